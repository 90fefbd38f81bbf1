/* test_scorers.c - tests of model/forest with its ranks and verdicts: random models of many kinds, made through XGBoost, answer with XGBoost's bits */
#include <math.h>

#include "model/booster.h"
#include "model/forest.h"
#include "train/learner.h"
#include "unit.h"

enum { PARAMETERS_MAX = 8, TRAIN_ROWS = 3000, ROWS_MAX = 700, SPLITS_MAX = 200000 };

/* A kind of model, and what it is there for. */
struct kind {
	const char *what;
	size_t n_features;
	int rounds;
	int digits; /* of the values: few make few splits */
	int classes;
	bool finite; /* XGBoost refuses infinities */
	struct learner_parameter parameters[PARAMETERS_MAX];
};

static const struct kind kinds[] = {
	{"one stump", 1, 1, 100, 0, false, {{"max_depth", "1"}}},
	{"a leaf for a tree", 2, 9, 100, 0, false, {{"min_child_weight", "1e9"}}},
	{"fewer trees than walks", 3, 5, 1000000, 0, false, {{"max_depth", "4"}}},
	{"full trees of few splits", 4, 40, 60, 0, false, {{"max_depth", "6"}}},
	{"more than 255 splits a feature", 2, 60, 1000000, 0, false, {{"max_depth", "6"}, {"tree_method", "exact"}}},
	{"255 splits a feature", 3, 60, 1000000, 0, false, {{"max_depth", "8"}, {"tree_method", "hist"}, {"max_bin", "256"}}},
	{"trees of more than 256 leaves", 5, 20, 1000000, 0, false, {{"max_depth", "12"}, {"min_child_weight", "0"}, {"lambda", "0"}}},
	{"tall and thin trees",
	 3,
	 17,
	 1000000,
	 0,
	 false,
	 {{"tree_method", "hist"}, {"grow_policy", "lossguide"}, {"max_depth", "0"}, {"max_leaves", "30"}}},
	{"more planes than a block has", 1500, 90, 100, 0, false, {{"max_depth", "5"}, {"colsample_bynode", "0.02"}}},
	{"several trees a round", 4, 6, 1000, 0, false, {{"num_parallel_tree", "5"}, {"subsample", "0.5"}, {"max_depth", "5"}}},
	{"classes, probabilities", 6, 10, 1000, 4, false, {{"objective", "multi:softprob"}, {"num_class", "4"}, {"max_depth", "4"}}},
	{"classes, the best", 6, 7, 1000, 3, false, {{"objective", "multi:softmax"}, {"num_class", "3"}, {"max_depth", "5"}}},
	{"yes or no", 6, 30, 1000, 2, false, {{"objective", "binary:logistic"}, {"max_depth", "5"}}},
	{"counts", 4, 20, 1000, 5, false, {{"objective", "count:poisson"}, {"max_depth", "4"}}},
	{"dart", 4, 25, 1000, 0, true, {{"booster", "dart"}, {"rate_drop", "0.3"}, {"max_depth", "4"}}},
};

/* What one model is asked with. */
struct trial {
	const struct kind *kind;
	struct booster *booster;
	struct booster_caller caller;
	struct forest *forest;
	float *rows; /* owned */
	float *expected;
	float *got;
	struct {
		size_t column;
		float value;
	} * splits; /* owned */
	size_t n_splits;
};

static float
random_value(uint64_t *random, int digits)
{
	return (float)((int)(unit_random(random) % (uint64_t)digits) - digits / 2) / 7;
}

/* Rows with a missing cell in ten, and a target that follows from them. */
static void
make_rows(const struct kind *k, float *values, float *target)
{
	uint64_t random = 11 * k->n_features + (uint64_t)k->rounds;

	for (size_t row = 0; row < TRAIN_ROWS; row++) {
		float sum = 0;
		for (size_t i = 0; i < k->n_features; i++) {
			float value = unit_random(&random) % 10 == 0 ? NAN : random_value(&random, k->digits);
			values[row * k->n_features + i] = value;
			sum += isnan(value) ? 3 : sinf(value * (float)(i + 1)) * 5;
		}
		sum += random_value(&random, 100) / 10;
		target[row] = k->classes == 0 ? sum : (float)((uint64_t)fabsf(sum) % (uint64_t)k->classes);
	}
}

/* The file of a model of that kind. */
static void
train(const struct kind *k, struct buf *file)
{
	float *values = calloc(TRAIN_ROWS * k->n_features, sizeof *values);
	float *target = calloc(TRAIN_ROWS, sizeof *target);
	char(*texts)[32] = calloc(k->n_features, sizeof *texts);
	const char **names = calloc(k->n_features, sizeof *names);
	struct features features = {0};
	struct learner *l;
	struct err_info info;
	size_t n = 0;
	struct learner_parameter parameters[PARAMETERS_MAX + 2] = {{"nthread", "1"}, {"base_score", "0.5"}};

	assert_true(values != NULL && target != NULL && texts != NULL && names != NULL);
	make_rows(k, values, target);
	for (size_t i = 0; i < k->n_features; i++) {
		(void)snprintf(texts[i], sizeof texts[i], "f%zu", i);
		names[i] = texts[i];
	}
	for (; n < PARAMETERS_MAX && k->parameters[n].name != NULL; n++)
		parameters[n + 2] = k->parameters[n];
	const struct learner_rows parts[LEARNER_PARTS] = {[LEARNER_TRAIN] = {TRAIN_ROWS, values, target}};
	check_err(k->what, features_init(&features, names, k->n_features, &info), ERR_OK, &info);
	check_err(k->what, learner_open(&features, parts, parameters, n + 2, &l, &info), ERR_OK, &info);
	for (int round = 0; round < k->rounds; round++)
		check_err(k->what, learner_update(l, round, &info), ERR_OK, &info);
	check_err(k->what, learner_save(l, file, &info), ERR_OK, &info);
	learner_free(l);
	features_release(&features);
	free(names);
	free(texts);
	free(target);
	free(values);
}

static void
note_split(void *context, size_t column, float value)
{
	struct trial *t = context;

	if (t->n_splits == SPLITS_MAX)
		return;
	t->splits[t->n_splits].column = column;
	t->splits[t->n_splits++].value = value;
}

/* A split, one of its neighbours, or what else a cell may be. */
static float
odd_value(const struct trial *t, size_t column, uint64_t *random)
{
	uint64_t x = unit_random(random);

	switch (x % 16) {
	case 0:
		return NAN;
	case 1:
		return t->kind->finite ? NAN : x & 64 ? INFINITY : -INFINITY;
	case 2:
		return x & 64 ? 0.0F : -0.0F;
	case 3:
		return x & 64 ? 1e-45F : -1e-40F;
	default:
		break;
	}
	for (int tries = 0; tries < 20 && t->n_splits > 0; tries++) {
		size_t i = unit_random(random) % t->n_splits;
		if (t->splits[i].column != column)
			continue;
		return x % 3 == 0 ? t->splits[i].value : nextafterf(t->splits[i].value, x % 3 == 1 ? INFINITY : -INFINITY);
	}
	return random_value(random, t->kind->digits);
}

/* The first n rows at once, by these instructions. */
static void
check_batch(struct trial *t, enum booster_output output, size_t n, const char *by)
{
	size_t width = booster_outputs(t->booster, output);

	memset(t->got, 0xA5, n * width * sizeof *t->got);
	forest_predict(t->forest, output, t->rows, n, t->got);
	for (size_t i = 0; i < n * width; i++)
		if (unit_bits(t->got[i]) != unit_bits(t->expected[i]))
			fail_msg("%s, %s, %zu rows: row %zu, output %zu is %.9g, XGBoost's is %.9g", t->kind->what, by, n, i / width, i % width,
					 (double)t->got[i], (double)t->expected[i]);
}

static void
check_output(struct trial *t, enum booster_output output)
{
	static const size_t sizes[] = {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 65, 127, 128, 129, 255, 300, ROWS_MAX};
	struct err_info info;

	check_err(t->kind->what, booster_predict(t->booster, &t->caller, output, t->rows, ROWS_MAX, t->expected, &info), ERR_OK, &info);
	for (int isa = 0; isa < RANKS_ISAS; isa++) {
		if (!ranks_has_isa((enum ranks_isa)isa))
			continue;
		forest_use(t->forest, (enum ranks_isa)isa);
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
			check_batch(t, output, sizes[i], ranks_isa_name((enum ranks_isa)isa));
	}
}

static void
check_kind(const struct kind *k)
{
	struct trial t = {.kind = k};
	struct err_info info;
	struct buf file;
	uint64_t random = 3;

	buf_init(&file, 64 << 20);
	train(k, &file);
	check_err(k->what, booster_open(file.data, file.len, &t.booster, &info), ERR_OK, &info);
	check_err(k->what, forest_open(file.data, file.len, &t.forest, &info), ERR_OK, &info);
	check_err(k->what, booster_caller_init(&t.caller, &info), ERR_OK, &info);
	size_t width = booster_shape(t.booster)->n_margins + booster_shape(t.booster)->n_values;
	t.rows = calloc(ROWS_MAX * k->n_features, sizeof *t.rows);
	t.expected = calloc(ROWS_MAX * width, sizeof *t.expected);
	t.got = calloc(ROWS_MAX * width, sizeof *t.got);
	t.splits = calloc(SPLITS_MAX, sizeof *t.splits);
	assert_true(t.rows != NULL && t.expected != NULL && t.got != NULL && t.splits != NULL);
	forest_splits(t.forest, note_split, &t);
	for (size_t i = 0; i < ROWS_MAX * k->n_features; i++)
		t.rows[i] = odd_value(&t, i % k->n_features, &random);
	check_output(&t, BOOSTER_MARGIN);
	check_output(&t, BOOSTER_VALUE);
	free(t.splits);
	free(t.got);
	free(t.expected);
	free(t.rows);
	booster_caller_release(&t.caller);
	forest_free(t.forest);
	booster_free(t.booster);
	buf_release(&file);
}

static void
all_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		check_kind(&kinds[i]);
}

static void
names_instructions(void **state)
{
	(void)state;
	assert_string_equal(ranks_isa_name(RANKS_PORTABLE), "portable");
	assert_true(ranks_has_isa(RANKS_PORTABLE));
	assert_true(ranks_has_isa(ranks_best_isa()));
	assert_false(ranks_has_isa(RANKS_ISAS));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("random models of every kind give XGBoost's bits, by all instructions, in batches of all sizes", all_kinds),
		TEST("instructions have names, and the best are there", names_instructions),
	};

	return cmocka_run_group_tests_name("scorers", tests, NULL, NULL);
}
