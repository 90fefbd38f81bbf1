/* rows.h - rows in JSON or CSV into a matrix of float32 */
#ifndef FUTAIE_ROWS_H
#define FUTAIE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/features.h"

/* Which feature each cell of a row holds, for a CSV or a table. Once read, any number of threads may use it. A zeroed struct is released. */
struct rows_header {
	struct buf columns; /* uint32: see rows.c */
};

/*
 * One thread's matrix, used again for each reading: once it has grown to what readings need, they allocate nothing. Its
 * memory is bounded: every value takes at least one byte of a text whose size is bounded.
 */
struct rows {
	struct buf values;         /* float32, row-major */
	struct buf marks;          /* uint32 for each feature: the last JSON row that named it, plus 1 */
	struct rows_header header; /* of rows_csv() */
	size_t n;                  /* rows read */
	size_t n_max;              /* most rows accepted */
};

/* For texts of at most `text_max` bytes and `n_max` rows. */
void rows_init(struct rows *r, size_t text_max, size_t n_max);
void rows_release(struct rows *r);

/* Gives memory above `keep` bytes back. */
void rows_shrink(struct rows *r, size_t keep);

/* The matrix: n rows of as many float32 as the features, NaN for missing. Borrowed until the next reading. */
const float *rows_values(const struct rows *r);

/*
 * A request's body, whole. Both name what was wrong, where, and what was expected.
 */

/*
 * Reads {"features": [row, …]}, where a row is an array of numbers in the features' order or an object with every feature's name once.
 * null and NaN are missing. `text` is NUL-terminated at `len`. Failures name row and feature.
 */
enum err rows_json(struct rows *r, const struct features *f, const char *text, size_t len, struct err_info *info);

/* Reads CSV with a header that names every feature once, in any order; an empty cell is missing. Failures name line and column. */
enum err rows_csv(struct rows *r, const struct features *f, const char *text, size_t len, struct err_info *info);

/*
 * Parts of a JSON body that others read: the value at a reader whose `info` is not `info`. Where one fails the reader is of no more use.
 */

/* Reads an array of rows, each as in rows_json(); `name` is that of the member, for sentences. */
enum err rows_json_array(struct rows *r, const struct features *f, const char *name, struct json_reader *json,
						 struct err_info *info);

/* Reads ["MedInc", …], which names every feature once, in any order. */
enum err rows_header_json(struct rows_header *h, const struct features *f, struct json_reader *json, struct err_info *info);

/* Reads an array of arrays of numbers, in the order of the header. */
enum err rows_json_table(struct rows *r, const struct features *f, const struct rows_header *h, struct json_reader *json,
						 struct err_info *info);

/* Reads {"MedInc": [8.3252, …], …}, columns of the same length, each number of which may stand in an array of its own. */
enum err rows_json_columns(struct rows *r, const struct features *f, struct json_reader *json, struct err_info *info);

/*
 * For readers that fill the matrix in themselves.
 */

/* Room for `n` rows, which the caller fills in. ERR_NO_ROWS, ERR_TOO_MANY_ROWS or ERR_OUT_OF_MEMORY. */
enum err rows_make(struct rows *r, const struct features *f, size_t n, float **values, struct err_info *info);

/* A mark for each feature, all zero; ERR_OUT_OF_MEMORY. Borrowed until the next reading. */
enum err rows_marks(struct rows *r, const struct features *f, uint32_t **marks, struct err_info *info);

/* "8 features: MedInc, HouseAge, …", for a sentence. */
const char *rows_list_features(const struct features *f, char *out, size_t cap);

/*
 * A stream, in pieces of whole rows. `line` is the number of a piece's first line; `text` is NUL-terminated at `len`, or goes on with another
 * row there. A piece without rows is none that fails. Where one fails, the matrix holds the rows before the wrong one.
 */

void rows_header_init(struct rows_header *h);
void rows_header_release(struct rows_header *h);

/* Reads the header; `*found` is false where the piece holds empty lines only. */
enum err rows_header_csv(struct rows_header *h, const struct features *f, const char *text, size_t len, size_t line, bool *found,
						 struct err_info *info);

/* Reads CSV rows, whose header was read before. Failures name line and column. */
enum err rows_csv_more(struct rows *r, const struct features *f, const struct rows_header *h, const char *text, size_t len,
					   size_t line, struct err_info *info);

/* Reads JSON lines: each that is not blank holds a row as rows_json() takes them. Failures name the line. */
enum err rows_json_lines(struct rows *r, const struct features *f, const char *text, size_t len, size_t line,
						 struct err_info *info);

#endif
