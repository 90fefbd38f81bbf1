/* expected.h - rows, predictions and margins of a fixture as tests/data/expected has them, made by Python's Booster.predict */
#ifndef FUTAIE_EXPECTED_H
#define FUTAIE_EXPECTED_H

#include <dirent.h>
#include <math.h>

#include "folder.h"

/* A zeroed struct is released. */
struct expected {
	size_t n_rows;
	size_t n_features;
	size_t n_values;
	size_t n_margins;
	float *rows; /* owned, as the two below; NaN for null */
	float *predictions;
	float *margins;
};

static inline float
expected_number(const cJSON *item)
{
	return cJSON_IsNumber(item) ? (float)item->valuedouble : NAN;
}

/* A list of numbers, or of lists of them, as a matrix; the caller frees it. */
static inline float *
expected_matrix(const cJSON *list, size_t *n, size_t *width)
{
	const cJSON *row;
	const cJSON *item;
	size_t i = 0;

	*n = (size_t)cJSON_GetArraySize(list);
	assert_true(*n > 0);
	*width = cJSON_IsArray(cJSON_GetArrayItem(list, 0)) ? (size_t)cJSON_GetArraySize(cJSON_GetArrayItem(list, 0)) : 1;
	float *matrix = malloc(*n * *width * sizeof *matrix);
	assert_non_null(matrix);
	cJSON_ArrayForEach (row, list) {
		if (!cJSON_IsArray(row))
			matrix[i++] = expected_number(row);
		cJSON_ArrayForEach (item, row)
			matrix[i++] = expected_number(item);
	}
	assert_int_equal(i, *n * *width);
	return matrix;
}

static inline void
expected_read(struct expected *x, const char *path)
{
	size_t n;
	cJSON *tree = folder_read_json(path);
	x->rows = expected_matrix(cJSON_GetObjectItemCaseSensitive(tree, "rows"), &x->n_rows, &x->n_features);
	x->predictions = expected_matrix(cJSON_GetObjectItemCaseSensitive(tree, "predictions"), &n, &x->n_values);
	assert_int_equal(n, x->n_rows);
	x->margins = expected_matrix(cJSON_GetObjectItemCaseSensitive(tree, "margins"), &n, &x->n_margins);
	assert_int_equal(n, x->n_rows);
	cJSON_Delete(tree);
}

static inline void
expected_init(struct expected *x, const char *name)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof path, FOLDER_EXPECTED "/%s.json", name);
	expected_read(x, path);
}

static inline void
expected_release(struct expected *x)
{
	free(x->rows);
	free(x->predictions);
	free(x->margins);
	*x = (struct expected){0};
}

/* The same bits; what is not finite is null in the file, so NaN. */
static inline bool
expected_same(float got, float expected)
{
	return isnan(expected) ? !isfinite(got) : unit_bits(got) == unit_bits(expected);
}

static inline void
expected_check(const char *name, const float *got, const float *expected, size_t n_rows, size_t width)
{
	for (size_t i = 0; i < n_rows * width; i++)
		if (!expected_same(got[i], expected[i]))
			fail_msg("%s, row %zu, output %zu: %.9g, expected %.9g", name, i / width, i % width, (double)got[i],
					 (double)expected[i]);
}

/* Calls `check` with the name of each fixture. */
static inline void
expected_each(void (*check)(const char *name))
{
	struct dirent **entries;
	int n = scandir(FOLDER_FIXTURES, &entries, NULL, alphasort);
	int checked = 0;

	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.') {
			check(entries[i]->d_name);
			checked++;
		}
		free(entries[i]);
	}
	free(entries);
	if (checked < 30)
		fail_msg("only %d fixtures in " FOLDER_FIXTURES, checked);
}

#endif
