/* sample.h - made-up rows: nobody's data, within the range of known values */
#ifndef FUTAIE_SAMPLE_H
#define FUTAIE_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of a feature: `n` ascending finite values, for example its minimum, deciles and maximum. Without any, cells are missing. */
struct sample_column {
	const float *values; /* borrowed */
	size_t n;
	bool only_these; /* never between two of them: categories */
};

/*
 * Fills in `n_rows` rows of `n_columns` float32, row-major: each cell is a value between two neighbours of its column's values, with about
 * four digits. Every `missing_every`-th row lacks one cell (0: none does). The same `*random` (see base/random.h) gives the same rows.
 */
void sample_rows(const struct sample_column *columns, size_t n_columns, uint64_t *random, size_t missing_every, float *out,
				 size_t n_rows);

#endif
