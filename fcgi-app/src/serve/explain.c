/* explain.c - POST /explain and its kin: the rows of /predict in, what each feature adds to the margin out */
#include <string.h>

#include "base/clock.h"
#include "serve/predict.h"

enum {
	EXPLAIN_ROWS = 256,      /* explained at once, or fewer, so that there are at most … */
	EXPLAIN_FLOATS = 1 << 20 /* … so many contributions */
};

/* Of one chunk, as model_explain() gives them. */
struct explained {
	const struct features *features;
	const float *contributions;
	size_t n_margins;
};

/* Floats that a row's contributions and bases take. */
static size_t
row_floats(const struct model *m)
{
	return model_outputs(m, BOOSTER_MARGIN) * (model_features(m)->n + 1);
}

/* Chunks whose contributions are bounded, in the chunk's scratch: they, and behind them what model_explain() needs. */
static void
plan_chunks(struct score *s)
{
	size_t row = row_floats(s->model);
	size_t most = s->n_rows < EXPLAIN_ROWS ? s->n_rows : EXPLAIN_ROWS;

	s->chunk_max = row * most <= EXPLAIN_FLOATS ? most : row <= EXPLAIN_FLOATS ? EXPLAIN_FLOATS / row : 1;
	s->scratch_bytes = s->chunk_max * row * sizeof(float) + model_explain_scratch(s->model);
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
print_explanation(struct buf *out, const struct explained *x, const struct score_chunk *c, size_t i)
{
	size_t n_features = x->features->n;
	const float *row = x->contributions + i * x->n_margins * (n_features + 1);

	buf_str(out, "{\"prediction\":");
	score_print_row(out, c->outputs + i * c->width, c->width);
	buf_str(out, ",\"base\":");
	print_column(out, row + n_features, x->n_margins, n_features + 1);
	buf_str(out, ",\"contributions\":{");
	for (size_t k = 0; k < n_features; k++) {
		if (k > 0)
			buf_char(out, ',');
		text_json_string(out, x->features->names[k], strlen(x->features->names[k]));
		buf_char(out, ':');
		print_column(out, row + k, x->n_margins, n_features + 1);
	}
	buf_str(out, "}}");
}

static enum err
take(struct request *q, struct score *s, const struct score_chunk *c)
{
	float *contributions = c->scratch;
	const struct explained x = {
		.features = model_features(s->model), .contributions = contributions, .n_margins = model_outputs(s->model, BOOSTER_MARGIN)};
	struct err_info why;
	uint64_t start = clock_now_ns();
	enum err e =
		model_explain(s->model, c->rows, c->n_rows, contributions + s->chunk_max * row_floats(s->model), contributions, &why);

	s->duration_ns += clock_now_ns() - start;
	if (e != ERR_OK)
		return score_failed(q, s, e, &why);
	for (size_t i = 0; i < c->n_rows; i++) {
		if (c->first + i > 0)
			buf_char(&q->answer, ',');
		print_explanation(&q->answer, &x, c, i);
	}
	return ERR_OK;
}

static enum err
print(struct request *q, struct score *s)
{
	if (!model_can_explain(s->model))
		return err_set(&q->error, ERR_NOT_FOUND,
					   "version %s of the model %s cannot be explained: its file does not say how many training rows its nodes had",
					   model_version(s->model), model_name(s->model));
	plan_chunks(s);
	buf_str(&q->answer, "{\"explanations\":[");
	enum err e = score_run(q, s, take);
	return e == ERR_OK ? predict_end(q, s) : e;
}

enum err
explain_handle(struct request *q)
{
	static const struct score_protocol protocol = {predict_accept, predict_read, print};
	struct predict_asked asked;

	return score_handle(q, &protocol, &asked);
}
