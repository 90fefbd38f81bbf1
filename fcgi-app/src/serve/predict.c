/* predict.c - POST /predict and its kin: rows in JSON or CSV in, predictions out */
#include "serve/predict.h"

#include <string.h>

#include "serve/media.h"

/* The query's `output`: value or margin, at most once. Other names in a query do not matter. */
static enum err
read_output(struct request *q, enum booster_output *output)
{
	size_t n_seen = 0;
	bool known = true;

	*output = BOOSTER_VALUE;
	for (const char *p = q->query; *p != '\0';) {
		size_t len = strcspn(p, "&");
		if (strncmp(p, "output", 6) == 0 && (len == 6 || p[6] == '=')) {
			bool margin = len == 13 && strncmp(p, "output=margin", len) == 0;
			known = known && (margin || (len == 12 && strncmp(p, "output=value", len) == 0));
			*output = margin ? BOOSTER_MARGIN : BOOSTER_VALUE;
			n_seen++;
		}
		p += len + (p[len] == '&');
	}
	if (!known || n_seen > 1)
		return err_set(&q->error, ERR_BAD_PARAMETER, "the query's output must be value or margin, once: ?output=margin");
	return ERR_OK;
}

enum err
predict_accept(struct request *q, void *own)
{
	static const char *const types[] = {[PREDICT_JSON] = "application/json", [PREDICT_CSV] = "text/csv"};
	struct predict_asked *asked = own;
	size_t type;
	enum err e = media_choose(q, types, sizeof types / sizeof types[0], &type);

	if (e != ERR_OK)
		return e;
	asked->type = (enum predict_type)type;
	return read_output(q, &asked->output);
}

enum err
predict_read(struct request *q, struct score *s)
{
	const struct predict_asked *asked = s->own;
	const struct features *features = model_features(s->model);
	const char *text = buf_peek(&q->body);
	enum err e = asked->type == PREDICT_CSV ? rows_csv(&q->rows, features, text, q->body.len, &q->error)
											: rows_json(&q->rows, features, text, q->body.len, &q->error);

	s->output = asked->output;
	s->values = rows_values(&q->rows);
	s->n_rows = q->rows.n;
	return e;
}

enum err
predict_end(struct request *q, const struct score *s)
{
	buf_str(&q->answer, "],\"model\":\"");
	buf_str(&q->answer, model_name(s->model));
	buf_str(&q->answer, "\",\"version\":\"");
	buf_str(&q->answer, model_version(s->model));
	buf_str(&q->answer, "\"}\n");
	return score_end(q);
}

enum err
predict_take(struct request *q, struct score *s, const struct score_chunk *c)
{
	(void)s;
	for (size_t i = 0; i < c->n_rows; i++) {
		if (c->first + i > 0)
			buf_char(&q->answer, ',');
		score_print_row(&q->answer, c->outputs + i * c->width, c->width);
	}
	return ERR_OK;
}

static enum err
print(struct request *q, struct score *s)
{
	buf_str(&q->answer, "{\"predictions\":[");
	enum err e = score_run(q, s, predict_take);
	return e == ERR_OK ? predict_end(q, s) : e;
}

enum err
predict_handle(struct request *q)
{
	static const struct score_protocol protocol = {predict_accept, predict_read, print};
	struct predict_asked asked;

	return score_handle(q, &protocol, &asked);
}
