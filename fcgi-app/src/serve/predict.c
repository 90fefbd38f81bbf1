/* predict.c - POST /predict, /explain and their kin: rows in, predictions or explanations out */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/text.h"
#include "serve/request.h"

enum body_type { BODY_JSON, BODY_CSV };

enum {
	EXPLAIN_ROWS = 256,      /* explained at once, or fewer, so that there are at most … */
	EXPLAIN_FLOATS = 1 << 20 /* … so many contributions */
};

/* What a prediction is counted under, whatever becomes of it. */
struct counted {
	struct metrics_series *series;
	uint64_t duration_ns; /* in the scorer */
};

/* What prints the answers for all rows of the request by a model; the time in the scorer is added. */
typedef enum err print_fn(struct request *q, const struct model *m, enum booster_output output, uint64_t *duration_ns);

static enum err answer_rows(struct request *q, enum booster_output output, enum body_type type, print_fn *print,
							struct counted *counted);
static print_fn print_predictions;
static print_fn print_explanations;

/* True where the header's value is `type`, alone or with parameters of which a charset can only be UTF-8. */
static bool
is_type(const char *value, const char *type)
{
	size_t len = strlen(type);

	if (strncasecmp(value, type, len) != 0)
		return false;
	value += len + strspn(value + len, " \t");
	if (*value == '\0')
		return true;
	if (*value != ';')
		return false;
	const char *charset = strcasestr(value, "charset=");
	if (charset == NULL)
		return true;
	charset += strlen("charset=");
	charset += *charset == '"';
	size_t n = strcspn(charset, "\"; \t");
	return (n == 5 && strncasecmp(charset, "utf-8", n) == 0) || (n == 4 && strncasecmp(charset, "utf8", n) == 0) ||
		   (n == 8 && strncasecmp(charset, "us-ascii", n) == 0);
}

static enum err
read_type(struct request *q, enum body_type *type)
{
	const char *encoding = fcgi_io_param(q->io, "HTTP_CONTENT_ENCODING");
	const char *value = fcgi_io_param(q->io, "CONTENT_TYPE");
	char shown[64];

	if (*encoding != '\0' && strcasecmp(encoding, "identity") != 0)
		return err_set(&q->error, ERR_UNSUPPORTED_MEDIA_TYPE,
					   "the body is encoded as \"%s\"; send it plain, without Content-Encoding",
					   text_quote(encoding, strlen(encoding), shown, sizeof shown));

	*type = BODY_JSON;
	if (*value == '\0' || is_type(value, "application/json"))
		return ERR_OK;
	*type = BODY_CSV;
	if (is_type(value, "text/csv"))
		return ERR_OK;
	return err_set(&q->error, ERR_UNSUPPORTED_MEDIA_TYPE,
				   "the body's type is \"%s\"; send 'Content-Type: application/json' or 'Content-Type: text/csv', in UTF-8",
				   text_quote(value, strlen(value), shown, sizeof shown));
}

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

/* The model by path, inside the catalog. A version that is not loaded yet is loaded, outside of it. */
static enum err
enter_model(struct request *q, struct catalog_choice *choice)
{
	struct registry *registry = q->server->registry;
	bool unloaded;
	enum err e;

	const struct catalog *catalog = registry_enter(registry, q->worker);
	if (q->version[0] == '\0')
		return catalog_choose(catalog, q->model, choice, &q->error);
	for (int tries = 0; tries < 3; tries++) {
		e = catalog_choose_version(catalog, q->model, q->version, choice, &unloaded, &q->error);
		if (!unloaded)
			return e;
		registry_leave(registry, q->worker);
		e = registry_load_version(registry, q->model, q->version, &q->error);
		catalog = registry_enter(registry, q->worker);
		if (e != ERR_OK)
			return e;
	}
	return err_set(&q->error, ERR_OVERLOADED, "many versions are used at once, more than are kept loaded; try again later");
}

/* Chooses the model for a request that is refused before its rows matter, so that it is counted where it belongs. */
static void
choose_series(struct request *q, struct counted *counted)
{
	struct catalog_choice choice;
	struct err_info ignored;
	bool unloaded;
	const struct catalog *catalog = registry_enter(q->server->registry, q->worker);

	if (q->version[0] == '\0')
		(void)catalog_choose(catalog, q->model, &choice, &ignored);
	else
		(void)catalog_choose_version(catalog, q->model, q->version, &choice, &unloaded, &ignored);
	counted->series = choice.series;
	registry_leave(q->server->registry, q->worker);
}

static enum err
handle(struct request *q, print_fn *print)
{
	enum body_type type;
	enum booster_output output;
	struct counted counted = {0};
	enum err e = fcgi_io_body(q->io, &q->body, q->server->body_max, &q->error);

	if (e == ERR_OK)
		e = read_type(q, &type);
	if (e == ERR_OK)
		e = read_output(q, &output);
	if (e == ERR_OK)
		e = answer_rows(q, output, type, print, &counted);
	else
		choose_series(q, &counted);
	metrics_prediction(counted.series, q->worker, e, q->n_rows, counted.duration_ns);
	return e;
}

enum err
predict_handle(struct request *q)
{
	return handle(q, print_predictions);
}

enum err
explain_handle(struct request *q)
{
	return handle(q, print_explanations);
}

/* One row's outputs as JSON. */
static inline void
print_row(struct buf *out, const float *values, size_t n)
{
	if (n == 1) {
		text_json_float(out, values[0]);
		return;
	}
	buf_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_char(out, ',');
		text_json_float(out, values[i]);
	}
	buf_char(out, ']');
}

/* XGBoost's own words are for the log, not for strangers. */
static enum err
scorer_failed(struct request *q, const struct model *m, enum err e, const struct err_info *why)
{
	log_message(&q->server->log, LOG_ERROR, "predict_failed", "model %s version %s: %s", model_name(m), model_version(m),
				why->text);
	return err_set(&q->error, e, "version %s of the model %s cannot answer; the server's log says why", model_version(m),
				   model_name(m));
}

static enum err
end_answer(struct request *q, const struct model *m)
{
	buf_printf(&q->answer, "],\"model\":\"%s\",\"version\":\"%s\"}\n", model_name(m), model_version(m));
	if (!buf_ok(&q->answer))
		return err_set(&q->error, ERR_ANSWER_TOO_LARGE, "the answer would be larger than %zu bytes; send fewer rows in one request",
					   q->answer.max);
	return ERR_OK;
}

/* Predicts in chunks, so that outputs take little memory however many rows there are, and prints each. */
static enum err
print_predictions(struct request *q, const struct model *m, enum booster_output output, uint64_t *duration_ns)
{
	size_t width = model_outputs(m, output);
	size_t n_features = model_features(m)->n;
	const float *values = rows_values(&q->rows);
	size_t chunk = q->rows.n < BOOSTER_CHUNK_ROWS ? q->rows.n : BOOSTER_CHUNK_ROWS;

	if (!buf_reserve(&q->outputs, chunk * width * sizeof(float)))
		return err_set(&q->error, ERR_OUT_OF_MEMORY, "no memory for the outputs; send fewer rows in one request");
	float *outputs = (float *)(void *)q->outputs.data;
	buf_str(&q->answer, "{\"predictions\":[");
	for (size_t row = 0; row < q->rows.n && buf_ok(&q->answer); row += chunk) {
		size_t n = q->rows.n - row < chunk ? q->rows.n - row : chunk;
		uint64_t start = clock_now_ns();
		struct err_info why;
		enum err e = model_predict(m, &q->caller, output, values + row * n_features, n, outputs, &why);
		*duration_ns += clock_now_ns() - start;
		if (e != ERR_OK)
			return scorer_failed(q, m, e, &why);
		for (size_t i = 0; i < n; i++) {
			if (row + i > 0)
				buf_char(&q->answer, ',');
			print_row(&q->answer, outputs + i * width, width);
		}
	}
	return end_answer(q, m);
}

/* The memory for explaining a chunk of rows, all of it in the request's outputs. */
struct explaining {
	size_t chunk; /* rows */
	size_t n_features;
	size_t n_margins;
	size_t n_values;
	float *values;        /* predictions */
	float *contributions; /* as model_explain() gives them */
	void *scratch;
};

static enum err
explaining_init(struct explaining *x, struct request *q, const struct model *m, enum booster_output output)
{
	size_t n_rows = q->rows.n < EXPLAIN_ROWS ? q->rows.n : EXPLAIN_ROWS;
	size_t n_features = model_features(m)->n;
	size_t n_margins = model_outputs(m, BOOSTER_MARGIN);
	size_t row = n_margins * (n_features + 1);

	*x = (struct explaining){.chunk = row * n_rows <= EXPLAIN_FLOATS ? n_rows
									  : row <= EXPLAIN_FLOATS        ? EXPLAIN_FLOATS / row
																	 : 1,
							 .n_features = n_features,
							 .n_margins = n_margins,
							 .n_values = model_outputs(m, output)};
	size_t n_floats = x->chunk * (x->n_values + row);
	if (!buf_reserve(&q->outputs, n_floats * sizeof(float) + model_explain_scratch(m)))
		return err_set(&q->error, ERR_OUT_OF_MEMORY, "no memory for the explanations; send fewer rows in one request");
	x->values = (float *)(void *)q->outputs.data;
	x->contributions = x->values + x->chunk * x->n_values;
	x->scratch = x->values + n_floats;
	return ERR_OK;
}

/* The numbers of one column for all outputs: a number, or an array. `stride` floats lie between two outputs. */
static void
print_column(struct buf *out, const float *values, size_t n, size_t stride)
{
	if (n == 1) {
		text_json_float(out, values[0]);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		buf_char(out, i == 0 ? '[' : ',');
		text_json_float(out, values[i * stride]);
	}
	buf_char(out, ']');
}

/* {"prediction":4.39,"base":2.07,"contributions":{"MedInc":2.1,…}} */
static void
print_explanation(struct buf *out, const struct explaining *x, const struct features *f, size_t i)
{
	const float *row = x->contributions + i * x->n_margins * (x->n_features + 1);

	buf_str(out, "{\"prediction\":");
	print_row(out, x->values + i * x->n_values, x->n_values);
	buf_str(out, ",\"base\":");
	print_column(out, row + x->n_features, x->n_margins, x->n_features + 1);
	buf_str(out, ",\"contributions\":{");
	for (size_t k = 0; k < x->n_features; k++) {
		if (k > 0)
			buf_char(out, ',');
		text_json_string(out, f->names[k], strlen(f->names[k]));
		buf_char(out, ':');
		print_column(out, row + k, x->n_margins, x->n_features + 1);
	}
	buf_str(out, "}}");
}

static enum err
print_explanations(struct request *q, const struct model *m, enum booster_output output, uint64_t *duration_ns)
{
	const struct features *features = model_features(m);
	const float *values = rows_values(&q->rows);
	struct explaining x;
	enum err e = model_can_explain(m)
					 ? explaining_init(&x, q, m, output)
					 : err_set(&q->error, ERR_NOT_FOUND,
							   "version %s of the model %s cannot be explained: its file does not say how many training "
							   "rows its nodes had",
							   model_version(m), model_name(m));

	if (e != ERR_OK)
		return e;
	buf_str(&q->answer, "{\"explanations\":[");
	for (size_t row = 0; row < q->rows.n && buf_ok(&q->answer); row += x.chunk) {
		size_t n = q->rows.n - row < x.chunk ? q->rows.n - row : x.chunk;
		const float *rows = values + row * x.n_features;
		uint64_t start = clock_now_ns();
		struct err_info why;
		e = model_predict(m, &q->caller, output, rows, n, x.values, &why);
		if (e == ERR_OK)
			e = model_explain(m, rows, n, x.scratch, x.contributions, &why);
		*duration_ns += clock_now_ns() - start;
		if (e != ERR_OK)
			return scorer_failed(q, m, e, &why);
		for (size_t i = 0; i < n; i++) {
			if (row + i > 0)
				buf_char(&q->answer, ',');
			print_explanation(&q->answer, &x, features, i);
		}
	}
	return end_answer(q, m);
}

static enum err
answer_rows(struct request *q, enum booster_output output, enum body_type type, print_fn *print, struct counted *counted)
{
	struct catalog_choice choice;
	enum err e = enter_model(q, &choice);

	counted->series = choice.series;
	if (e == ERR_OK) {
		const struct features *features = model_features(choice.model);
		const char *text = buf_peek(&q->body);
		memcpy(q->served_model, model_name(choice.model), strlen(model_name(choice.model)) + 1);
		memcpy(q->served_version, model_version(choice.model), strlen(model_version(choice.model)) + 1);
		e = type == BODY_CSV ? rows_csv(&q->rows, features, text, q->body.len, &q->error)
							 : rows_json(&q->rows, features, text, q->body.len, &q->error);
	}
	if (e == ERR_OK)
		e = print(q, choice.model, output, &counted->duration_ns);
	if (e == ERR_OK)
		q->n_rows = q->rows.n;
	registry_leave(q->server->registry, q->worker);
	return e;
}
