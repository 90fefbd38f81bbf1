/* metrics.h - counters and histograms, counted without locks and summed at a scrape */
#ifndef FUTAIE_METRICS_H
#define FUTAIE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "watch/latency.h"

/*
 * How it works: each worker counts in a shard of its own (one writer, so a relaxed load and store suffice and no cache line is
 * shared); a scrape sums the shards. A scrape never waits for a request nor a request for a scrape.
 *
 * Names and units: Prometheus text format 0.0.4, https://prometheus.io/docs/instrumenting/exposition_formats/. No label value
 * comes from a client: models and versions are the store's, codes and routes are this program's.
 */
struct metrics;

/* Counts of one (model, version); made by metrics_series(), lives as long as the metrics. */
struct metrics_series;

enum {
	METRICS_SERIES_MAX = 2000,                    /* further models and versions are counted together as model="other" */
	METRICS_NUMBERS_MAX = METRICS_SERIES_MAX + 2, /* numbers of series are below it */
	METRICS_UNKNOWN_NUMBER = 0                    /* that of metrics_unknown() */
};

/* Shards for `n_shards` workers, and a duration histogram for each of `n_routes` routes, whose names are static. NULL without memory. */
struct metrics *metrics_open(size_t n_shards, const char *(*route_name)(size_t), size_t n_routes);
void metrics_free(struct metrics *m);

/*
 * The series of a model version, made on its first use; with version "" that of a model's requests which no version could answer, which
 * is written once it has counted. Any thread; takes a lock, so not on a request's path. Never NULL.
 */
struct metrics_series *metrics_series(struct metrics *m, const char *model, const char *version);

/* The series with model="" for requests whose model is not known. */
struct metrics_series *metrics_unknown(struct metrics *m);

/* From here on: only by the worker that owns `shard`. */
void metrics_request_begin(struct metrics *m, size_t shard);
void metrics_request_end(struct metrics *m, size_t shard, size_t route, uint64_t duration_ns);

/* One request on a route that predicts: its result, and where it is ERR_OK its rows and the time in the scorer. */
void metrics_prediction(struct metrics_series *s, size_t shard, enum err result, size_t rows, uint64_t duration_ns);

/* Requests that workers are in now. Any thread. */
size_t metrics_in_flight(const struct metrics *m);

/* The same request's whole time, and what of it went into reading its rows and printing its answer. */
void metrics_steps(struct metrics_series *s, size_t shard, enum err result, uint64_t total_ns, uint64_t input_ns,
				   uint64_t output_ns);

/* One request that was refused before it was looked into: counted where `reason` is one of that kind (unauthorized, overloaded …). */
void metrics_rejected(struct metrics *m, size_t shard, enum err reason);

/* One reload of the store, or of the keys, by any thread. */
void metrics_reload(struct metrics *m, bool success);
void metrics_keys_reload(struct metrics *m, bool success);

/* A version of the series' model could not be served, for this reason. Any thread. */
void metrics_model_failure(struct metrics_series *s, enum err reason);

/* What a series has counted so far; rows and the first four times are of requests that were answered. */
struct metrics_counts {
	uint64_t answered;
	uint64_t refused; /* or failed */
	uint64_t rows;
	uint64_t total_ns;
	uint64_t input_ns;
	uint64_t scorer_ns;
	uint64_t output_ns;
	uint64_t refused_ns;
	uint64_t last_ms; /* when it last answered, since the epoch; 0 where it has not */
};

/* What all requests that predict have added up to, and how long each took from its parameters to its answer. */
struct metrics_totals {
	uint64_t requests;
	uint64_t errors;   /* of these, refused or failed */
	uint64_t failures; /* of these, the server's fault: 5xx */
	uint64_t rows;
	uint64_t latency[LATENCY_BINS];
};

/* Any thread; a request is in the totals once metrics_request_end() was called. */
void metrics_totals(const struct metrics *m, struct metrics_totals *out);
double metrics_start_s(const struct metrics *m); /* since the epoch, by the clock of then */

/* Any thread. */
void metrics_read(const struct metrics *m, const struct metrics_series *s, struct metrics_counts *out);

/*
 * The series of all model versions, one after the other: the first behind NULL, NULL behind the last. At most METRICS_SERIES_MAX. Any thread; no
 * lock.
 */
const struct metrics_series *metrics_next(const struct metrics *m, const struct metrics_series *s);
const char *metrics_series_model(const struct metrics_series *s);
size_t metrics_series_number(const struct metrics_series *s); /* below METRICS_NUMBERS_MAX; never changes, never used again */
const char *metrics_series_version(const struct metrics_series *s);

/* Appends everything but what the registry knows (futaie_model_info). */
void metrics_write(const struct metrics *m, struct buf *out);

/* Pieces of the format, for other modules that write metrics of their own: the lines before a name's samples … */
void metrics_head(struct buf *out, const char *name, const char *type, const char *help);
/* … the labels of a series, without braces: model="…",version="…" … */
void metrics_series_labels(struct buf *out, const struct metrics_series *s);
/* … and `value` as a label's value, with its quotes, escaped. */
void metrics_label(struct buf *out, const char *value);

#endif
