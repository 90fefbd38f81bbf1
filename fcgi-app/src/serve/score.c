/* score.c - a request that predicts, whatever its protocol: the model, its rows, the scorer in chunks, what is counted */
#include "serve/score.h"

#include <string.h>

#include "base/clock.h"
#include "model/parallel.h"
#include "serve/feedback.h"

enum { ENTER_TRIES = 3 };

static struct metrics_series *choose_series(struct request *q);
static enum err answer(struct request *q, const struct score_protocol *protocol, struct score *s, struct metrics_series **series);
static enum err predict_chunk(struct request *q, struct score *s, const struct score_chunk *c, float *outputs);

enum err
score_handle(struct request *q, const struct score_protocol *protocol, void *own)
{
	struct score s = {.own = own, .output = BOOSTER_VALUE, .chunk_max = BOOSTER_CHUNK_ROWS};
	struct metrics_series *series;
	uint64_t start = clock_now_ns();
	enum err e = fcgi_io_body(q->io, &q->body, q->server->body_max, &q->error);

	if (e == ERR_OK)
		e = protocol->accept(q, own);
	if (e == ERR_OK)
		e = answer(q, protocol, &s, &series);
	else
		series = choose_series(q);
	metrics_prediction(series, q->worker, e, q->n_rows, s.duration_ns);
	metrics_steps(series, q->worker, e, clock_now_ns() - start, s.input_ns, s.output_ns);
	return e;
}

void
score_count_refused(struct request *q)
{
	metrics_prediction(choose_series(q), q->worker, q->error.code, 0, 0);
}

enum err
score_run(struct request *q, struct score *s, score_take_fn *take)
{
	size_t width = model_outputs(s->model, s->output);
	size_t n_features = model_features(s->model)->n;
	size_t chunk = s->n_rows < s->chunk_max ? s->n_rows : s->chunk_max;
	size_t n_outputs = chunk * width;

	buf_reset(&q->outputs);
	if (!buf_reserve(&q->outputs, n_outputs * sizeof(float) + s->scratch_bytes))
		return err_set(&q->error, ERR_OUT_OF_MEMORY, "no memory for the outputs; send fewer rows in one request");
	float *outputs = (float *)(void *)q->outputs.data;
	for (size_t row = 0; row < s->n_rows && buf_ok(&q->answer); row += chunk) {
		const struct score_chunk c = {.first = row,
									  .n_rows = s->n_rows - row < chunk ? s->n_rows - row : chunk,
									  .rows = s->values + row * n_features,
									  .outputs = outputs,
									  .width = width,
									  .scratch = outputs + n_outputs};
		if (row > 0 && fcgi_io_is_gone(q->io))
			return err_set(&q->error, ERR_INCOMPLETE_BODY, "the peer went away before row %zu was answered", row);
		enum err e = predict_chunk(q, s, &c, outputs);
		if (e == ERR_OK)
			e = take(q, s, &c);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

enum err
score_end(struct request *q)
{
	if (!buf_ok(&q->answer))
		return err_set(&q->error, ERR_ANSWER_TOO_LARGE, "the answer would be larger than %zu bytes; send fewer rows in one request",
					   q->answer.max);
	return ERR_OK;
}

enum err
score_failed(struct request *q, const struct score *s, enum err e, const struct err_info *why)
{
	const char *name = model_name(s->model);
	const char *version = model_version(s->model);

	log_message(&q->server->log, LOG_ERROR, "predict_failed", "model %s version %s: %s", name, version, why->text);
	return err_set(&q->error, e, "version %s of the model %s cannot answer; the server's log says why", version, name);
}

/* This one, and one for each processor that no other worker uses. */
static size_t
count_threads(const struct request *q)
{
	size_t busy = metrics_in_flight(q->server->metrics);

	return busy < q->server->processors ? q->server->processors - busy + 1 : 1;
}

/* The one place where rows become predictions. */
static enum err
predict_chunk(struct request *q, struct score *s, const struct score_chunk *c, float *outputs)
{
	struct err_info why;
	uint64_t start = clock_now_ns();
	enum err e = ERR_OK;

	if (c->n_rows > PARALLEL_ROWS && model_forest(s->model) != NULL)
		parallel_predict(model_forest(s->model), count_threads(q), s->output, c->rows, c->n_rows, outputs);
	else
		e = model_predict(s->model, &q->caller, s->output, c->rows, c->n_rows, outputs, &why);
	s->duration_ns += clock_now_ns() - start;
	if (e != ERR_OK)
		return score_failed(q, s, e, &why);
	if (!s->beside && c->first == 0)
		feedback_keep(q, s, c);
	return ERR_OK;
}

enum err
score_enter(struct request *q, struct catalog_choice *choice)
{
	struct registry *registry = q->server->registry;
	bool unloaded;
	enum err e;

	const struct catalog *catalog = registry_enter(registry, q->worker);
	if (q->version[0] == '\0')
		return catalog_choose(catalog, q->model, choice, &q->error);
	for (int tries = 0; tries < ENTER_TRIES; tries++) {
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

/* Where to count a request that is refused before its rows matter: where it would belong. */
static struct metrics_series *
choose_series(struct request *q)
{
	struct catalog_choice choice;
	struct err_info ignored;
	bool unloaded;
	const struct catalog *catalog = registry_enter(q->server->registry, q->worker);

	if (q->version[0] == '\0')
		(void)catalog_choose(catalog, q->model, &choice, &ignored);
	else
		(void)catalog_choose_version(catalog, q->model, q->version, &choice, &unloaded, &ignored);
	registry_leave(q->server->registry, q->worker);
	return choice.series;
}

static enum err
read_and_print(struct request *q, const struct score_protocol *protocol, struct score *s)
{
	uint64_t start = clock_now_ns();
	enum err e = protocol->read(q, s);
	uint64_t read = clock_now_ns();

	s->input_ns = read - start;
	if (e == ERR_OK)
		e = protocol->print(q, s);
	s->output_ns = clock_now_ns() - read - s->duration_ns;
	return e;
}

static enum err
answer(struct request *q, const struct score_protocol *protocol, struct score *s, struct metrics_series **series)
{
	struct catalog_choice choice;
	enum err e = score_enter(q, &choice);

	*series = choice.series;
	if (e == ERR_OK) {
		s->model = choice.model;
		s->series = choice.series;
		memcpy(q->served_model, model_name(s->model), strlen(model_name(s->model)) + 1);
		memcpy(q->served_version, model_version(s->model), strlen(model_version(s->model)) + 1);
		e = read_and_print(q, protocol, s);
	}
	if (e == ERR_OK)
		q->n_rows = s->n_rows;
	registry_leave(q->server->registry, q->worker);
	return e;
}
