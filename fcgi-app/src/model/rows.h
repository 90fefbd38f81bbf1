/* rows.h - a request's body into a matrix of float32 */
#ifndef FUTAIE_ROWS_H
#define FUTAIE_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/features.h"

/*
 * One worker's matrix, used again for each request: once it has grown to what requests need, reading allocates nothing. Its
 * memory is bounded: every value takes at least one byte of a body whose size is bounded.
 */
struct rows {
	struct buf values; /* float32, row-major */
	struct buf marks;  /* uint32 for each feature: see rows.c */
	size_t n;          /* rows read */
	size_t n_max;      /* most rows accepted */
};

/* For bodies of at most `body_max` bytes and `n_max` rows. */
void rows_init(struct rows *r, size_t body_max, size_t n_max);
void rows_release(struct rows *r);

/* Gives memory above `keep` bytes back. */
void rows_shrink(struct rows *r, size_t keep);

/* The matrix: n rows of as many float32 as the features, NaN for missing. Borrowed until the next reading. */
const float *rows_values(const struct rows *r);

/*
 * Reads {"features": [row, …]}, where a row is an array of numbers in the features' order or an object with every feature's name once.
 * null and NaN are missing. `text` is NUL-terminated at `len`. Failures name row and feature, and say what was expected.
 */
enum err rows_json(struct rows *r, const struct features *f, const char *text, size_t len, struct err_info *info);

/* Reads CSV with a header that names every feature once, in any order; an empty cell is missing. Failures name line and column. */
enum err rows_csv(struct rows *r, const struct features *f, const char *text, size_t len, struct err_info *info);

#endif
