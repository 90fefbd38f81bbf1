/* test_sample.c - tests of model/sample and model/distribution: what a column looks like, and made-up rows like it */
#include "model/sample.h"

#include <math.h>

#include "base/random.h"
#include "model/distribution.h"
#include "unit.h"

static void
distribution_of_a_column(void **state)
{
	/* numpy.quantile(a, numpy.arange(1, 10) / 10) of 3, 1, 4, 1, 5, 9, 2, 6 */
	static const float values[] = {3, 1, NAN, 4, 1, 5, 9, 2, 6};
	static const float deciles[] = {1, 1.4F, 2.1F, 2.8F, 3.5F, 4.2F, 4.9F, 5.6F, 6.9F};
	float scratch[9];
	struct distribution d;

	(void)state;
	distribution_init(&d, values, 9, 1, scratch);
	assert_int_equal(d.count, 8);
	assert_int_equal(d.missing, 1);
	check_float("min", d.min, 1);
	check_float("max", d.max, 9);
	check_float("mean", d.mean, 3.875F);
	for (size_t i = 0; i < DISTRIBUTION_DECILES; i++)
		check_float("decile", d.deciles[i], deciles[i]);
}

static void
distribution_by_stride(void **state)
{
	static const float rows[] = {1, 10, 2, 20, 3, 30};
	float scratch[3];
	struct distribution d;

	(void)state;
	distribution_init(&d, rows + 1, 3, 2, scratch);
	assert_int_equal(d.count, 3);
	check_float("min", d.min, 10);
	check_float("fifth decile", d.deciles[4], 20);
	check_float("max", d.max, 30);
}

static void
distribution_of_few(void **state)
{
	static const float one[] = {7};
	static const float none[] = {NAN, NAN};
	float scratch[2];
	float knots[DISTRIBUTION_KNOTS];
	struct distribution d;

	(void)state;
	distribution_init(&d, one, 1, 1, scratch);
	check_float("decile of one", d.deciles[8], 7);
	assert_int_equal(distribution_knots(&d, knots), DISTRIBUTION_KNOTS);
	check_float("first knot", knots[0], 7);
	distribution_init(&d, none, 2, 1, scratch);
	assert_int_equal(d.count, 0);
	assert_int_equal(d.missing, 2);
	assert_int_equal(distribution_knots(&d, knots), 0);
	distribution_init(&d, none, 0, 1, scratch);
	assert_int_equal(d.missing, 0);
}

static void
rows_within_their_ranges(void **state)
{
	static const float wide[] = {-1000, 0, 3, 1e6F};
	static const float narrow[] = {0.30000001F, 0.30000004F};
	static const float codes[] = {1, 5, 7};
	const struct sample_column columns[] = {{.values = wide, .n = 4},
											{.values = narrow, .n = 2},
											{.values = codes, .n = 3, .only_these = true},
											{.n = 0},
											{.values = codes, .n = 1}};
	float rows[500][5];
	uint64_t random = 3;

	(void)state;
	sample_rows(columns, 5, &random, 0, rows[0], 500);
	for (size_t i = 0; i < 500; i++) {
		assert_true(rows[i][0] >= -1000 && rows[i][0] <= 1e6F);
		assert_true(rows[i][1] >= narrow[0] && rows[i][1] <= narrow[1]);
		assert_true(rows[i][2] == 1 || rows[i][2] == 5 || rows[i][2] == 7);
		assert_true(isnan(rows[i][3]));
		check_float("lone value", rows[i][4], 1);
	}
}

static void
rows_that_miss_a_cell(void **state)
{
	static const float values[] = {0, 1};
	const struct sample_column columns[] = {{.values = values, .n = 2}, {.values = values, .n = 2}};
	float rows[20];
	float again[20];
	uint64_t random = 9;
	uint64_t same = 9;

	(void)state;
	sample_rows(columns, 2, &random, 5, rows, 10);
	sample_rows(columns, 2, &same, 5, again, 10);
	for (size_t i = 0; i < 10; i++)
		check_integer("missing", isnan(rows[2 * i]) + isnan(rows[2 * i + 1]), i % 5 == 0);
	for (size_t i = 0; i < 20; i++)
		check_float("the same seed", again[i], rows[i]);
}

static void
numbers_that_look_random(void **state)
{
	uint64_t random = 1;
	size_t counts[7] = {0};
	double sum = 0;

	(void)state;
	for (size_t i = 0; i < 70000; i++) {
		double unit = random_unit(&random);
		assert_true(unit >= 0 && unit < 1);
		sum += unit;
		size_t below = random_below(&random, 7);
		assert_true(below < 7);
		counts[below]++;
	}
	assert_true(fabs(sum / 70000 - 0.5) < 0.01);
	for (size_t i = 0; i < 7; i++)
		assert_true(counts[i] > 9500 && counts[i] < 10500);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("a column's deciles are those of numpy.quantile, and what is missing is counted apart", distribution_of_a_column),
		TEST("a column of a matrix is read by its stride", distribution_by_stride),
		TEST("one value has deciles, none has no knots", distribution_of_few),
		TEST("made-up cells lie between a column's values, categories among them", rows_within_their_ranges),
		TEST("every so many rows miss one cell, and the same seed gives the same rows", rows_that_miss_a_cell),
		TEST("random numbers spread evenly", numbers_that_look_random),
	};

	return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
