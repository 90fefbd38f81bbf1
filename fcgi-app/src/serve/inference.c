/* inference.c - the Open Inference Protocol (KServe V2, as Triton speaks it): what there is, what is ready, and predictions
 *
 * Formats: https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md; binary tensors as in
 * docs/protocol/extension_binary_data.md of triton-inference-server/server.
 */
#include <limits.h>
#include <string.h>

#include "serve/media.h"
#include "serve/score.h"
#include "version.h"

enum body_type { BODY_JSON, BODY_BINARY };

/* What the head of a request says. */
struct asked {
	size_t json_len; /* bytes of the body that are JSON */
};

enum err
inference_server(struct request *q)
{
	buf_printf(&q->answer, "{\"name\":\"futaie\",\"version\":\"%s\",\"extensions\":[\"binary_tensor_data\",\"statistics\"%s]}\n",
			   FUTAIE_VERSION, q->server->admin ? ",\"model_repository\"" : "");
	return ERR_OK;
}

enum err
inference_live(struct request *q)
{
	buf_str(&q->answer, "{\"live\":true}\n");
	return ERR_OK;
}

enum err
inference_ready(struct request *q)
{
	enum err e = status_readyz(q);

	if (e != ERR_OK)
		return e;
	buf_reset(&q->answer);
	buf_str(&q->answer, "{\"ready\":true}\n");
	return ERR_OK;
}

/* {"name":…,"versions":[…],"platform":…,"inputs":[…],"outputs":[…]} */
static void
write_metadata(const struct catalog *c, const struct model *m, struct buf *out)
{
	const struct store_model *stored = store_find(catalog_store(c), model_name(m));
	size_t width = model_outputs(m, BOOSTER_VALUE);

	buf_printf(out, "{\"name\":\"%s\",\"versions\":[", model_name(m));
	for (size_t i = 0; i < stored->n_versions; i++)
		buf_printf(out, "%s\"%ld\"", i == 0 ? "" : ",", stored->versions[i]);
	buf_printf(out, "],\"platform\":\"xgboost_%s\"", strcmp(model_file(m), "model.json") == 0 ? "json" : "ubj");
	buf_printf(out, ",\"inputs\":[{\"name\":\"" TENSORS_INPUT "\",\"datatype\":\"FP32\",\"shape\":[-1,%zu]}]",
			   model_features(m)->n);
	buf_str(out, ",\"outputs\":[{\"name\":\"" TENSORS_OUTPUT "\",\"datatype\":\"FP32\",\"shape\":[-1");
	if (width > 1)
		buf_printf(out, ",%zu", width);
	buf_str(out, "]}]}\n");
}

enum err
inference_model(struct request *q)
{
	struct catalog_choice choice;
	enum err e = score_enter(q, &choice);

	if (e == ERR_OK)
		write_metadata(choice.catalog, choice.model, &q->answer);
	registry_leave(q->server->registry, q->worker);
	return e;
}

enum err
inference_model_ready(struct request *q)
{
	struct catalog_choice choice;
	enum err e = score_enter(q, &choice);

	if (e == ERR_OK)
		buf_printf(&q->answer, "{\"name\":\"%s\",\"ready\":true}\n", model_name(choice.model));
	registry_leave(q->server->registry, q->worker);
	return e;
}

/* How much of the body is JSON: all of it, unless the header says otherwise. */
static enum err
judge_head(struct request *q, void *own)
{
	static const char *const types[] = {[BODY_JSON] = "application/json", [BODY_BINARY] = "application/octet-stream"};
	struct asked *asked = own;
	const char *header = fcgi_io_param(q->io, "HTTP_INFERENCE_HEADER_CONTENT_LENGTH");
	long long json_len;
	size_t type;
	enum err e = media_choose(q, types, sizeof types / sizeof types[0], &type);

	if (e != ERR_OK)
		return e;
	asked->json_len = q->body.len;
	if (*header == '\0' && type == BODY_BINARY)
		return err_set(&q->error, ERR_BAD_PARAMETER,
					   "a body of binary tensors needs the header Inference-Header-Content-Length: how many bytes of it are JSON");
	if (*header == '\0')
		return ERR_OK;
	if (!text_integer(header, 0, LLONG_MAX, &json_len))
		return err_set(&q->error, ERR_BAD_PARAMETER, "Inference-Header-Content-Length is not a whole number");
	if ((unsigned long long)json_len > q->body.len)
		return err_set(&q->error, ERR_BAD_PARAMETER, "Inference-Header-Content-Length says %lld bytes, but the body has only %zu",
					   json_len, q->body.len);
	if (json_len == 0 && type == BODY_JSON && *fcgi_io_param(q->io, "CONTENT_TYPE") != '\0')
		return err_set(
			&q->error, ERR_BAD_PARAMETER,
			"the body's type is JSON, but Inference-Header-Content-Length says that none of it is; numbers alone are sent "
			"as 'Content-Type: application/octet-stream'");
	asked->json_len = (size_t)json_len;
	return ERR_OK;
}

static enum err
read_rows(struct request *q, struct score *s)
{
	const struct asked *asked = s->own;

	(void)buf_peek(&q->body); /* for the NUL behind it */
	if (q->body.len == 0)
		return err_set(&q->error, ERR_BAD_JSON, "the body is empty; expected {\"inputs\": [{\"name\": …, \"shape\": …, …}]}");
	enum err e =
		tensors_read(&q->tensors, &q->rows, model_features(s->model), q->body.data, q->body.len, asked->json_len, &q->error);
	s->values = q->tensors.values;
	s->n_rows = q->tensors.n_rows;
	return e;
}

/* A chunk's outputs as elements of a flat array. */
static enum err
take_json(struct request *q, struct score *s, const struct score_chunk *c)
{
	(void)s;
	for (size_t i = 0; i < c->n_rows * c->width; i++) {
		if (c->first + i > 0)
			buf_char(&q->answer, ',');
		text_json_float(&q->answer, c->outputs[i]);
	}
	return ERR_OK;
}

/* The same as they lie in memory: little-endian, which tensors.c makes sure of. */
static enum err
take_binary(struct request *q, struct score *s, const struct score_chunk *c)
{
	(void)s;
	buf_add(&q->answer, c->outputs, c->n_rows * c->width * sizeof(float));
	return ERR_OK;
}

/* The one of the outputs that is the prediction, for which a truth may come: values; margins only where nothing else is wanted. */
static size_t
find_prediction(const struct tensors *t)
{
	for (size_t i = 0; i < t->n_wanted; i++)
		if (t->wanted[i].output == BOOSTER_VALUE)
			return i;
	return 0;
}

static enum err
run_output(struct request *q, struct score *s, size_t i, score_take_fn *take)
{
	s->output = q->tensors.wanted[i].output;
	s->beside = i != find_prediction(&q->tensors);
	return score_run(q, s, take);
}

/* An output's description and, unless they are wanted in binary, its numbers. */
static enum err
print_output(struct request *q, struct score *s, size_t i)
{
	const struct tensors_wanted *wanted = &q->tensors.wanted[i];
	size_t width = model_outputs(s->model, wanted->output);
	enum err e = ERR_OK;

	buf_printf(&q->answer, "{\"name\":\"%s\",\"datatype\":\"FP32\",\"shape\":[%zu", wanted->name, s->n_rows);
	if (width > 1)
		buf_printf(&q->answer, ",%zu", width);
	if (wanted->binary) {
		buf_printf(&q->answer, "],\"parameters\":{\"binary_data_size\":%zu}}", s->n_rows * width * sizeof(float));
		return ERR_OK;
	}
	buf_str(&q->answer, "],\"data\":[");
	e = run_output(q, s, i, take_json);
	buf_str(&q->answer, "]}");
	return e;
}

/* The JSON of the answer. */
static enum err
print_json(struct request *q, struct score *s)
{
	const struct tensors *t = &q->tensors;
	enum err e = ERR_OK;

	buf_printf(&q->answer, "{\"model_name\":\"%s\",\"model_version\":\"%s\"", model_name(s->model), model_version(s->model));
	if (t->id != NULL) {
		buf_str(&q->answer, ",\"id\":");
		buf_add(&q->answer, t->id, t->id_len);
	}
	buf_str(&q->answer, ",\"outputs\":[");
	for (size_t i = 0; i < t->n_wanted && e == ERR_OK; i++) {
		if (i > 0)
			buf_char(&q->answer, ',');
		e = print_output(q, s, i);
	}
	buf_str(&q->answer, "]}");
	return e;
}

static enum err
print_answer(struct request *q, struct score *s)
{
	const struct tensors *t = &q->tensors;
	enum err e = print_json(q, s);

	for (size_t i = 0; i < t->n_wanted && e == ERR_OK; i++) {
		if (!t->wanted[i].binary)
			continue;
		if (q->json_len == 0) {
			q->json_len = q->answer.len;
			q->content_type = "application/octet-stream";
		}
		e = run_output(q, s, i, take_binary);
	}
	return e == ERR_OK ? score_end(q) : e;
}

enum err
inference_infer(struct request *q)
{
	static const struct score_protocol protocol = {judge_head, read_rows, print_answer};
	struct asked asked;

	return score_handle(q, &protocol, &asked);
}
