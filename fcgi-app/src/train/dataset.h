/* dataset.h - a CSV file as rows to learn from */
#ifndef FUTAIE_DATASET_H
#define FUTAIE_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/files.h"
#include "model/features.h"

enum { DATASET_COLUMNS_MAX = 4096 };

/* A zeroed struct is released. */
struct dataset {
	struct features features;      /* in the file's order, without the target */
	size_t n;                      /* rows */
	float *values;                 /* owned; n x features.n, row-major, NaN for missing */
	float *target;                 /* owned; n, all finite */
	char sha256[FILES_SHA256_HEX]; /* of the file */
};

/*
 * Reads the CSV file `path`. `columns` names its columns ("a,b,c"), or is "" where its first line does. All columns but `target` are features.
 * Failures name line and column: a cell that is no number, a row of another width, a name that is empty or stands twice, a target that is
 * missing, no rows, a target that is the same in every row. ERR_FILE, ERR_BAD_CSV, ERR_BAD_NUMBER, … ; `d` is then released.
 */
enum err dataset_init(struct dataset *d, const char *path, const char *columns, const char *target, struct err_info *info);
void dataset_release(struct dataset *d);

/* Which rows are for what, by number; all three arrays are parts of `order`. */
struct split {
	size_t *order; /* owned; all rows in random order: those held out, those that stop the training, those to train on */
	size_t n_test;
	size_t n_validation;
	size_t n_train;
};

/*
 * Shares of the rows, in [0, 1): at random, the same for the same seed. ERR_NO_ROWS where too few rows are left to train on, or a share that is
 * not zero gets none.
 */
enum err split_init(struct split *s, size_t n, double test, double validation, uint64_t seed, struct err_info *info);
void split_release(struct split *s);

#endif
