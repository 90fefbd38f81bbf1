/* test_scorers.c - tests of model/forest with its ranks and verdicts: random models of many kinds, made through XGBoost, answer with XGBoost's bits and contributions */
#include <math.h>

#include "model/booster.h"
#include "model/forest.h"
#include "train/learner.h"
#include "unit.h"

enum { PARAMETERS_MAX = 8, TRAIN_ROWS = 3000, ROWS_MAX = 700, SPLITS_MAX = 200000, EXPLAINED_ROWS = 11 };

/* How far a contribution may be from XGBoost's, over the largest of its row and output. */
#define EXPLAIN_TOLERANCE 1e-5F

/* How many trees a faster way takes. */
enum taken { NONE, SOME, ALL };

/* A kind of model, and what it is there for. */
struct kind {
	const char *what;
	size_t n_features;
	int rounds;
	int digits; /* of the values: few make few splits */
	int classes;
	bool finite; /* XGBoost refuses infinities */
	enum taken ranks;
	enum taken verdicts;
	enum taken levels;
	float explained; /* how far XGBoost's own contributions are from the exact ones, if farther than EXPLAIN_TOLERANCE */
	struct learner_parameter parameters[PARAMETERS_MAX];
};

static const struct kind kinds[] = {
	{.what = "one stump",
	 .n_features = 1,
	 .rounds = 1,
	 .digits = 100,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"max_depth", "1"}}},
	{.what = "a leaf for a tree",
	 .n_features = 2,
	 .rounds = 9,
	 .digits = 100,
	 .ranks = NONE,
	 .verdicts = ALL,
	 .levels = NONE,
	 .parameters = {{"min_child_weight", "1e9"}}},
	{.what = "fewer trees than walks",
	 .n_features = 3,
	 .rounds = 5,
	 .digits = 1000000,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"max_depth", "4"}}},
	{.what = "fewer trees than walks, of many splits",
	 .n_features = 3,
	 .rounds = 3,
	 .digits = 1000000,
	 .ranks = NONE,
	 .verdicts = NONE,
	 .levels = ALL,
	 .parameters = {{"max_depth", "10"}, {"tree_method", "exact"}, {"min_child_weight", "0"}, {"lambda", "0"}}},
	{.what = "full trees of few splits",
	 .n_features = 4,
	 .rounds = 40,
	 .digits = 60,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"max_depth", "6"}}},
	{.what = "more than 255 splits a feature",
	 .n_features = 2,
	 .rounds = 60,
	 .digits = 1000000,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"max_depth", "6"}, {"tree_method", "exact"}}},
	{.what = "255 splits a feature",
	 .n_features = 3,
	 .rounds = 60,
	 .digits = 1000000,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"max_depth", "8"}, {"tree_method", "hist"}, {"max_bin", "256"}}},
	{.what = "trees of more than 256 leaves",
	 .n_features = 5,
	 .rounds = 20,
	 .digits = 1000000,
	 .ranks = NONE,
	 .verdicts = NONE,
	 .levels = ALL,
	 .parameters = {{"max_depth", "12"}, {"min_child_weight", "0"}, {"lambda", "0"}}},
	{.what = "tall and thin trees",
	 .n_features = 3,
	 .rounds = 17,
	 .digits = 1000000,
	 .ranks = ALL,
	 .verdicts = SOME,
	 .levels = ALL,
	 .parameters = {{"tree_method", "hist"}, {"grow_policy", "lossguide"}, {"max_depth", "0"}, {"max_leaves", "30"}}},
	{.what = "paths of many features",
	 .n_features = 40,
	 .rounds = 12,
	 .digits = 1000000,
	 .ranks = NONE,
	 .verdicts = NONE,
	 .levels = SOME,
	 .explained = 2e-4F,
	 .parameters =
		 {{"max_depth", "22"}, {"min_child_weight", "0"}, {"lambda", "0"}, {"subsample", "0.3"}, {"colsample_bynode", "0.1"}}},
	{.what = "more planes than a block has",
	 .n_features = 1500,
	 .rounds = 90,
	 .digits = 100,
	 .ranks = NONE,
	 .verdicts = NONE,
	 .levels = ALL,
	 .parameters = {{"max_depth", "5"}, {"colsample_bynode", "0.02"}}},
	{.what = "several trees a round",
	 .n_features = 4,
	 .rounds = 6,
	 .digits = 1000,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"num_parallel_tree", "5"}, {"subsample", "0.5"}, {"max_depth", "5"}}},
	{.what = "classes, probabilities",
	 .n_features = 6,
	 .rounds = 10,
	 .digits = 1000,
	 .classes = 4,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"objective", "multi:softprob"}, {"num_class", "4"}, {"max_depth", "4"}}},
	{.what = "classes, the best",
	 .n_features = 6,
	 .rounds = 7,
	 .digits = 1000,
	 .classes = 3,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"objective", "multi:softmax"}, {"num_class", "3"}, {"max_depth", "5"}}},
	{.what = "more classes than a whole block's margins have room for",
	 .n_features = 6,
	 .rounds = 2,
	 .digits = 1000,
	 .classes = 150,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = SOME,
	 .parameters = {{"objective", "multi:softmax"}, {"num_class", "150"}, {"max_depth", "2"}}},
	{.what = "yes or no",
	 .n_features = 6,
	 .rounds = 30,
	 .digits = 1000,
	 .classes = 2,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"objective", "binary:logistic"}, {"max_depth", "5"}}},
	{.what = "counts",
	 .n_features = 4,
	 .rounds = 20,
	 .digits = 1000,
	 .classes = 5,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"objective", "count:poisson"}, {"max_depth", "4"}}},
	{.what = "dart",
	 .n_features = 4,
	 .rounds = 25,
	 .digits = 1000,
	 .finite = true,
	 .ranks = ALL,
	 .verdicts = ALL,
	 .levels = ALL,
	 .parameters = {{"booster", "dart"}, {"rate_drop", "0.3"}, {"max_depth", "4"}}},
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

/* The same rows, explained so many a call; of EXPLAINED_ROWS. */
static void
check_explained(const struct trial *t, const float *rows, size_t rows_a_call, const float *expected, const char *by)
{
	size_t width = t->kind->n_features + 1;
	size_t n_outputs = booster_shape(t->booster)->n_margins;
	float tolerance = fmaxf(EXPLAIN_TOLERANCE, t->kind->explained);
	size_t n = EXPLAINED_ROWS * n_outputs;
	float *got = calloc(n * width, sizeof *got);
	void *scratch = malloc(forest_explain_scratch(t->forest));

	assert_true(got != NULL && scratch != NULL);
	for (size_t row = 0; row < EXPLAINED_ROWS; row += rows_a_call)
		forest_explain(t->forest, rows + row * t->kind->n_features,
					   EXPLAINED_ROWS - row < rows_a_call ? EXPLAINED_ROWS - row : rows_a_call, scratch,
					   got + row * n_outputs * width);
	for (size_t i = 0; i < n; i++) {
		float most = 0;
		for (size_t k = 0; k < width; k++)
			most = fmaxf(most, fabsf(expected[i * width + k]));
		for (size_t k = 0; k < width; k++)
			if (!(fabsf(got[i * width + k] - expected[i * width + k]) <= tolerance * most))
				fail_msg("%s, %s, %zu rows a call: row and output %zu, feature %zu adds %.9g, with XGBoost %.9g", t->kind->what, by,
						 rows_a_call, i, k, (double)got[i * width + k], (double)expected[i * width + k]);
	}
	free(scratch);
	free(got);
}

/* XGBoost explains no infinities. */
static void
check_explanations(const struct trial *t)
{
	size_t n_cells = EXPLAINED_ROWS * t->kind->n_features;
	float *rows = calloc(n_cells, sizeof *rows);
	float *expected = calloc(EXPLAINED_ROWS * booster_shape(t->booster)->n_margins * (t->kind->n_features + 1), sizeof *expected);
	struct err_info info;

	assert_true(rows != NULL && expected != NULL);
	for (size_t i = 0; i < n_cells; i++)
		rows[i] = isinf(t->rows[i]) ? NAN : t->rows[i];
	check_err(t->kind->what, booster_explain(t->booster, rows, EXPLAINED_ROWS, expected, &info), ERR_OK, &info);
	for (int isa = 0; isa < RANKS_ISAS; isa++) {
		if (!ranks_has_isa((enum ranks_isa)isa))
			continue;
		forest_use(t->forest, (enum ranks_isa)isa);
		check_explained(t, rows, 1, expected, ranks_isa_name((enum ranks_isa)isa));
		check_explained(t, rows, EXPLAINED_ROWS, expected, ranks_isa_name((enum ranks_isa)isa));
	}
	free(expected);
	free(rows);
}

static void
check_taken(const struct kind *k, const char *way, size_t n, size_t n_trees, enum taken expected)
{
	enum taken taken = n == 0 ? NONE : n < n_trees ? SOME : ALL;

	if (taken != expected)
		fail_msg("%s: %s take %zu of %zu trees", k->what, way, n, n_trees);
}

/* A kind that is scored in other ways than those that it is there for tests nothing. */
static void
check_ways(const struct kind *k, const struct forest *f)
{
	const struct forest_ways ways = forest_ways(f);
	size_t n = forest_trees(f);

	check_taken(k, "ranks", ways.ranks, n, k->ranks);
	check_taken(k, "verdicts", ways.verdicts, n, k->verdicts);
	check_taken(k, "levels", ways.levels, n, k->levels);
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
	check_ways(k, t.forest);
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
	check_explanations(&t);
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
		TEST("random models of every kind give XGBoost's bits and contributions, by all instructions, in batches of all sizes",
			 all_kinds),
		TEST("instructions have names, and the best are there", names_instructions),
	};

	return cmocka_run_group_tests_name("scorers", tests, NULL, NULL);
}
