/* statistics.c - the statistics extension of the Open Inference Protocol, from the metrics
 *
 * Format: docs/protocol/extension_statistics.md of triton-inference-server/server. A row is an inference, an answered request an execution; nothing
 * here waits in a queue or comes from a cache.
 */
#include <inttypes.h>
#include <string.h>

#include "serve/request.h"

/* What stands before another element. */
static const char *
separator(const struct buf *out)
{
	return out->len == 0 || out->data[out->len - 1] == '[' || out->data[out->len - 1] == '{' ? "" : ",";
}

static void
write_duration(struct buf *out, const char *name, uint64_t count, uint64_t ns)
{
	buf_printf(out, "%s\"%s\":{\"count\":%" PRIu64 ",\"ns\":%" PRIu64 "}", separator(out), name, count, ns);
}

/* One version, as it has been used since the process started; `series` is NULL where it has not been. */
static void
write_version(const struct metrics *m, const struct metrics_series *series, const char *model, const char *version, struct buf *out)
{
	struct metrics_counts n = {0};

	if (series != NULL)
		metrics_read(m, series, &n);
	buf_printf(out,
			   "%s{\"name\":\"%s\",\"version\":\"%s\",\"last_inference\":%" PRIu64 ",\"inference_count\":%" PRIu64
			   ",\"execution_count\":%" PRIu64 ",\"inference_stats\":",
			   separator(out), model, version, n.last_ms, n.rows, n.answered);
	buf_char(out, '{');
	write_duration(out, "success", n.answered, n.total_ns);
	write_duration(out, "fail", n.refused, n.refused_ns);
	write_duration(out, "queue", n.answered, 0);
	write_duration(out, "compute_input", n.answered, n.input_ns);
	write_duration(out, "compute_infer", n.answered, n.scorer_ns);
	write_duration(out, "compute_output", n.answered, n.output_ns);
	write_duration(out, "cache_hit", 0, 0);
	write_duration(out, "cache_miss", 0, 0);
	buf_str(out, "},\"batch_stats\":[]}");
}

/* What the path names: everything, a model, or a version, which is there even if it was never loaded. */
static void
write_versions(const struct request *q, const struct store *store, struct buf *out)
{
	const struct metrics *m = q->server->metrics;
	bool found = false;

	for (const struct metrics_series *s = metrics_next(m, NULL); s != NULL; s = metrics_next(m, s)) {
		const char *name = metrics_series_model(s);
		const char *version = metrics_series_version(s);
		const struct store_model *stored = store_find(store, name);
		if ((q->model[0] != '\0' && strcmp(q->model, name) != 0) || (q->version[0] != '\0' && strcmp(q->version, version) != 0) ||
			stored == NULL || !store_has_version(stored, version))
			continue;
		write_version(m, s, name, version, out);
		found = true;
	}
	if (!found && q->version[0] != '\0')
		write_version(m, NULL, q->model, q->version, out);
}

static enum err
check_names(struct request *q, const struct store *store)
{
	const struct store_model *stored = store_find(store, q->model);

	if (q->model[0] == '\0')
		return ERR_OK;
	if (stored == NULL)
		return err_set(&q->error, ERR_UNKNOWN_MODEL, "there is no model \"%.64s\"; GET /models lists them", q->model);
	if (q->version[0] != '\0' && !store_has_version(stored, q->version))
		return err_set(&q->error, ERR_UNKNOWN_VERSION, "the model %s has no version \"%.16s\"; GET /models/%s lists them",
					   stored->name, q->version, stored->name);
	return ERR_OK;
}

enum err
statistics_handle(struct request *q)
{
	const struct store *store = catalog_store(registry_enter(q->server->registry, q->worker));
	enum err e = check_names(q, store);

	if (e == ERR_OK) {
		buf_str(&q->answer, "{\"model_stats\":[");
		write_versions(q, store, &q->answer);
		buf_str(&q->answer, "]}\n");
	}
	registry_leave(q->server->registry, q->worker);
	return e;
}
