/* score.h - a request that predicts, whatever its protocol: the model, its rows, the scorer in chunks, what is counted */
#ifndef FUTAIE_SCORE_H
#define FUTAIE_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "model/booster.h"
#include "model/model.h"
#include "serve/request.h"

/*
 * A protocol reads the body into a matrix and prints what the model says; all else is done here, once for all of them. The order is: the body is
 * read, `accept`, the catalog is entered and the model chosen by the path, `read`, `print` (which calls score_run()), the catalog is left, the
 * metrics count. So a protocol neither waits for its peer while it holds a model, nor answers before it is counted.
 */
struct score;
struct score_chunk;

struct score_protocol {
	/* Before a model is chosen: judges the body's kind and the query. */
	enum err (*accept)(struct request *q, void *own);
	/* The body into s->values and s->n_rows, for s->model. */
	enum err (*read)(struct request *q, struct score *s);
	/* Predictions or explanations into q->answer. */
	enum err (*print)(struct request *q, struct score *s);
};

/* One request's; lent to the protocol's functions. */
struct score {
	void *own;                     /* the protocol's, as given to score_handle() */
	const struct model *model;     /* borrowed until the handler returns */
	struct metrics_series *series; /* of its version */
	const float *values;           /* row-major, as many a row as the model has features, NaN for missing; the request's */
	size_t n_rows;
	enum booster_output output; /* for score_run(); values unless the protocol sets another */
	size_t chunk_max;           /* rows; BOOSTER_CHUNK_ROWS unless the protocol sets fewer */
	size_t scratch_bytes;       /* the protocol's wish, see struct score_chunk */
	bool beside; /* what score_run() gives now stands beside the prediction, which another run gives: feedback passes it over */
	uint64_t duration_ns; /* in the scorer */
	uint64_t input_ns;    /* in the protocol's read … */
	uint64_t output_ns;   /* … and print */
};

/* Some rows and what the model says of them. */
struct score_chunk {
	size_t first; /* its first row's number in the request */
	size_t n_rows;
	const float *rows;    /* n_rows x features */
	const float *outputs; /* n_rows x width */
	size_t width;
	void *scratch; /* s->scratch_bytes, aligned for float; the same for all chunks */
};

/* Takes a chunk, which is valid until it returns. */
typedef enum err score_take_fn(struct request *q, struct score *s, const struct score_chunk *c);

/*
 * Enters the catalog and chooses the model that the path names; a version that is not loaded yet is loaded, outside of the catalog. Failures as in
 * catalog_choose(), catalog_choose_version() and registry_load_version(). The caller leaves the catalog, also after a failure.
 */
enum err score_enter(struct request *q, struct catalog_choice *choice);

/* What a route that predicts does. */
enum err score_handle(struct request *q, const struct score_protocol *protocol, void *own);

/* Counts a request on such a route that was refused before its handler was called, for the reason in q->error. */
void score_count_refused(struct request *q);

/*
 * Predicts all rows, in chunks so that outputs take little memory however many rows there are, and gives each chunk in order to `take`. Ends early
 * where the answer is full. Every prediction that the server makes passes here.
 */
enum err score_run(struct request *q, struct score *s, score_take_fn *take);

/* Behind the last append to the answer: ERR_ANSWER_TOO_LARGE where it did not fit. */
enum err score_end(struct request *q);

/* The scorer failed on this request: `why` goes to the log, a sentence for strangers into q->error. Returns `e`. */
enum err score_failed(struct request *q, const struct score *s, enum err e, const struct err_info *why);

/* Appends one row's outputs as JSON: a number, or an array. */
static inline void
score_print_row(struct buf *out, const float *values, size_t n)
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

#endif
