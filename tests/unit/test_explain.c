/* test_explain.c - tests of model/contributions: the Shapley values of every fixture, as XGBoost gives them */
#include <math.h>

#include "expected.h"
#include "model/booster.h"
#include "model/forest.h"

/* How far a number may be from XGBoost's, over the largest number of its row. */
#define TOLERANCE 1e-5F

enum { ROWS = 61 };

static float
largest(const float *values, size_t n)
{
	float most = 0;

	for (size_t i = 0; i < n; i++)
		most = fmaxf(most, fabsf(values[i]));
	return most;
}

/* By these instructions, all at once: the rows' contributions are XGBoost's, and add up to the margin. */
static void
check_rows(const char *name, const struct booster *b, const struct forest *f, const float *rows)
{
	const struct booster_shape *shape = forest_shape(f);
	size_t width = shape->n_features + 1;
	size_t n = ROWS * shape->n_margins;
	float *ours = calloc(n * width, sizeof *ours);
	float *theirs = calloc(n * width, sizeof *theirs);
	float *margins = calloc(n, sizeof *margins);
	void *scratch = malloc(forest_explain_scratch(f));
	struct err_info info;

	assert_true(ours != NULL && theirs != NULL && margins != NULL && scratch != NULL);
	check_err(name, booster_explain(b, rows, ROWS, theirs, &info), ERR_OK, &info);
	forest_explain(f, rows, ROWS, scratch, ours);
	forest_predict(f, BOOSTER_MARGIN, rows, ROWS, margins);
	for (size_t i = 0; i < n; i++) {
		float most = fmaxf(largest(theirs + i * width, width), 1e-3F);
		float sum = 0;
		for (size_t k = 0; k < width; k++) {
			float got = ours[i * width + k];
			sum += got;
			if (!(fabsf(got - theirs[i * width + k]) <= TOLERANCE * most))
				fail_msg("%s, row and output %zu, feature %zu: %.9g, XGBoost's is %.9g", name, i, k, (double)got,
						 (double)theirs[i * width + k]);
		}
		if (!(fabsf(sum - margins[i]) <= TOLERANCE * fmaxf(most, fabsf(margins[i]))))
			fail_msg("%s, row and output %zu: the sum is %.9g, the margin %.9g", name, i, (double)sum, (double)margins[i]);
	}
	free(scratch);
	free(margins);
	free(theirs);
	free(ours);
}

static void
check_fixture(const char *name)
{
	char path[PATH_MAX];
	struct expected x;
	struct booster *b;
	struct forest *f;
	struct err_info info;
	size_t len;

	(void)snprintf(path, sizeof path, FOLDER_FIXTURES "/%s/1/model.ubj", name);
	if (access(path, F_OK) != 0)
		(void)snprintf(path, sizeof path, FOLDER_FIXTURES "/%s/1/model.json", name);
	char *bytes = folder_read(path, &len);
	if (forest_open(bytes, len, &f, &info) == ERR_OK) { /* gblinear is no forest */
		check_err(name, booster_open(bytes, len, &b, &info), ERR_OK, &info);
		expected_init(&x, name);
		float *rows = calloc(ROWS * x.n_features, sizeof *rows);
		assert_non_null(rows);
		for (size_t i = 0; i < ROWS * x.n_features; i++)
			rows[i] = x.rows[i % (x.n_rows * x.n_features)];
		check_integer(name, forest_can_explain(f), true);
		for (int isa = 0; isa < RANKS_ISAS; isa++) {
			if (!ranks_has_isa((enum ranks_isa)isa))
				continue;
			forest_use(f, (enum ranks_isa)isa);
			check_rows(name, b, f, rows);
		}
		free(rows);
		expected_release(&x);
		booster_free(b);
		forest_free(f);
	}
	free(bytes);
}

static void
as_xgboost(void **state)
{
	(void)state;
	expected_each(check_fixture);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("contributions of every fixture of trees are XGBoost's, and add up to the margin", as_xgboost),
	};

	return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
