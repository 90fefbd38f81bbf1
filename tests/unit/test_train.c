/* test_train.c - tests of train/: data from CSV, recipes, splits, and learning */
#include <math.h>

#include "folder.h"
#include "model/booster.h"
#include "train/dataset.h"
#include "train/recipe.h"
#include "train/trainer.h"

static void
check_data(const char *text, const char *columns, size_t n, const char *names, const float *values, const float *target)
{
	struct dataset d;
	struct err_info info;
	char got[256] = "";

	folder_write(folder_path("d.csv"), text);
	check_err(text, dataset_init(&d, folder_path("d.csv"), columns, "y", &info), ERR_OK, &info);
	check_integer(text, d.n, n);
	for (size_t i = 0; i < d.features.n; i++)
		(void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i == 0 ? "" : ",", d.features.names[i]);
	check_string(text, got, names);
	for (size_t i = 0; i < n * d.features.n; i++)
		check_float(text, d.values[i], values[i]);
	for (size_t i = 0; i < n; i++)
		check_float(text, d.target[i], target[i]);
	check_integer(text, strlen(d.sha256), 64);
	dataset_release(&d);
	dataset_release(&d);
}

static void
reads_data(void **state)
{
	static const float ab[] = {1, 2, 4, 5};
	static const float y[] = {3, 6};
	static const float missing[] = {NAN, 2, 4, NAN};

	(void)state;
	check_data("a,b,y\n1,2,3\n4,5,6\n", "", 2, "a,b", ab, y);
	check_data("y,a,b\n3,1,2\n6,4,5", "", 2, "a,b", ab, y);
	check_data("a,y,b\r\n1,3,2\r\n\r\n4,6,5\r", "", 2, "a,b", ab, y);
	check_data("\xEF\xBB\xBF\"a\",\"b\",\"y\"\n\"1\",\"2\",3\n4,5,\"6\"\n", "", 2, "a,b", ab, y);
	check_data("1,2,3\n4,5,6\n", "a,b,y", 2, "a,b", ab, y);
	check_data("a,b,y\n,2,3\n4,nan,6\n", "", 2, "a,b", missing, y);
	check_data("\"a \"\"b\"\"\",y\n1,3\n4,6\n", "", 2, "a \"b\"", (const float[]){1, 4}, y);
}

static void
check_bad_data(const char *text, const char *columns, enum err e, const char *sentence)
{
	struct dataset d;
	struct err_info info;

	folder_write(folder_path("d.csv"), text);
	check_err(text, dataset_init(&d, folder_path("d.csv"), columns, "y", &info), e, &info);
	check_contains(text, info.text, sentence);
	check_integer(text, d.values == NULL && d.features.n == 0, true);
}

static void
refuses_data(void **state)
{
	struct dataset d;
	struct err_info info;

	(void)state;
	check_bad_data("", "", ERR_BAD_CSV, "/d.csv is empty");
	check_bad_data("\n\n", "", ERR_BAD_CSV, "/d.csv is empty");
	check_bad_data("a,y\n", "", ERR_NO_ROWS, "has no rows to learn from");
	check_bad_data("a,y\n1,x\n", "", ERR_BAD_CSV, "line 2, column 2, target \"y\": expected a number, found \"x\"");
	check_bad_data("a,y\n1,2\n\n1e99,2\n", "", ERR_BAD_NUMBER, "line 4, column 1, feature \"a\": 1e99 is beyond float32");
	check_bad_data("a,y\ninf,2\n", "", ERR_BAD_NUMBER, "line 2, column 1, feature \"a\": \"inf\" is not a value");
	check_bad_data("a,y\n1,\n", "", ERR_BAD_CSV, "line 2, column 2, target \"y\": it is missing");
	check_bad_data("a,y\n1,2,3\n", "", ERR_BAD_CSV, "line 2 has more than 2 cells; there are 2 columns");
	check_bad_data("a,y\n1\n", "", ERR_BAD_CSV, "line 2 has 1 cells; there are 2 columns");
	check_bad_data("a,y\n1,\"2\n", "", ERR_BAD_CSV, "line 2, column 2: a quoted cell does not end");
	check_bad_data("a,b\n1,2\n", "", ERR_MISSING_FEATURE, "has no column \"y\" for the target; its first is \"a\"");
	check_bad_data("a,a,y\n1,2,3\n", "", ERR_BAD_CSV, "line 1, column 2: the name \"a\" stands twice");
	check_bad_data("y,y\n1,2\n", "", ERR_BAD_CSV, "line 1, column 2: the name \"y\" stands twice");
	check_bad_data("y\n1\n2\n", "", ERR_BAD_MANIFEST, "a model has 1 to");
	check_bad_data("a,,y\n1,2,3\n", "", ERR_BAD_CSV, "line 1, column 2: the name is empty");
	check_bad_data("1,2\n3,4\n", "", ERR_BAD_CSV, "line 1 holds numbers, not names; name the columns with --columns");
	check_bad_data("a,y\n1,5\n2,5\n", "", ERR_BAD_CSV, "the target \"y\" is 5 in every row: there is nothing to learn");
	check_bad_data("1,2\n", "a,,y", ERR_USAGE, "--columns: name 2 is empty");
	check_bad_data("1,2\n", "a,b,y", ERR_BAD_CSV, "line 1 has 2 cells; there are 3 columns");
	assert_err(dataset_init(&d, folder_path("none"), "", "y", &info), ERR_FILE, &info);
	assert_err(dataset_init(&d, folder, "", "y", &info), ERR_FILE, &info);
}

static void
splits_rows(void **state)
{
	struct split s;
	struct split again;
	struct err_info info;
	char seen[1000] = {0};

	(void)state;
	assert_err(split_init(&s, 1000, 0.2, 0.1, 7, &info), ERR_OK, &info);
	assert_err(split_init(&again, 1000, 0.2, 0.1, 7, &info), ERR_OK, &info);
	assert_int_equal(s.n_test, 200);
	assert_int_equal(s.n_validation, 100);
	assert_int_equal(s.n_train, 700);
	for (size_t i = 0; i < 1000; i++) {
		assert_true(s.order[i] < 1000 && seen[s.order[i]]++ == 0);
		assert_int_equal(s.order[i], again.order[i]);
	}
	split_release(&again);
	assert_err(split_init(&again, 1000, 0.2, 0.1, 8, &info), ERR_OK, &info);
	assert_memory_not_equal(s.order, again.order, 1000 * sizeof *s.order);
	split_release(&s);
	split_release(&again);
	assert_err(split_init(&s, 3, 0, 0, 1, &info), ERR_OK, &info);
	assert_int_equal(s.n_train, 3);
	split_release(&s);
	assert_err(split_init(&s, 4, 0.2, 0, 1, &info), ERR_NO_ROWS, &info);
	assert_err(split_init(&s, 10, 0.5, 0.4, 1, &info), ERR_NO_ROWS, &info);
	assert_contains(info.text, "10 rows are too few");
}

static const char *
parameter(const struct recipe *r, const char *name)
{
	for (size_t i = 0; i < r->n_parameters; i++)
		if (strcmp(r->parameters[i].name, name) == 0)
			return r->parameters[i].value;
	return "(none)";
}

static void
makes_recipes(void **state)
{
	struct recipe r;
	struct err_info info;

	(void)state;
	folder_write(folder_path("r.json"),
				 "{\"eta\": 0.1, \"max_depth\": 6, \"tree_method\": \"hist\", \"enable\": true, \"monotone_constraints\": "
				 "[1, 0], \"num_boost_round\": 20, \"seed\": 3}");
	assert_err(recipe_init(&r, &info), ERR_OK, &info);
	assert_err(recipe_read(&r, folder_path("r.json"), &info), ERR_OK, &info);
	assert_err(recipe_set(&r, "max_depth=8", &info), ERR_OK, &info);
	assert_err(recipe_set(&r, "alpha=1=2", &info), ERR_OK, &info);
	assert_err(recipe_finish(&r, &info), ERR_OK, &info);
	assert_string_equal(parameter(&r, "eta"), "0.1");
	assert_string_equal(parameter(&r, "max_depth"), "8");
	assert_string_equal(parameter(&r, "tree_method"), "hist");
	assert_string_equal(parameter(&r, "enable"), "true");
	assert_string_equal(parameter(&r, "monotone_constraints"), "(1,0)");
	assert_string_equal(parameter(&r, "objective"), "reg:squarederror");
	assert_string_equal(parameter(&r, "alpha"), "1=2");
	assert_string_equal(parameter(&r, "num_boost_round"), "(none)");
	assert_int_equal(r.rounds, 20);
	assert_int_equal(r.patience, 50);
	assert_int_equal(r.seed, 3);
	char *json = recipe_json(&r, 7);
	assert_contains(json, "\"num_boost_round\":7");
	assert_contains(json, "\"max_depth\":8");
	free(json);
	recipe_release(&r);
	recipe_release(&r);
}

static void
check_bad_recipe(const char *file, const char *assignment, const char *sentence)
{
	struct recipe r;
	struct err_info info;

	assert_err(recipe_init(&r, &info), ERR_OK, &info);
	folder_write(folder_path("r.json"), file);
	enum err e = recipe_read(&r, folder_path("r.json"), &info);
	if (e == ERR_OK)
		e = recipe_set(&r, assignment, &info);
	if (e == ERR_OK)
		e = recipe_finish(&r, &info);
	check_integer(sentence, e != ERR_OK, true);
	check_contains(sentence, info.text, sentence);
	recipe_release(&r);
}

static void
refuses_recipes(void **state)
{
	(void)state;
	check_bad_recipe("[]", "a=1", "expected an object of parameters");
	check_bad_recipe("{", "a=1", "r.json");
	check_bad_recipe("{\"eta\": {}}", "a=1", "\"eta\" must be a number");
	check_bad_recipe("{\"eta\": null}", "a=1", "\"eta\" must be a number");
	check_bad_recipe("{\"eta\": 1, \"eta\": 2}", "a=1", "eta");
	check_bad_recipe("{}", "max_depth", "a parameter is written NAME=VALUE");
	check_bad_recipe("{}", "=1", "a parameter is written NAME=VALUE");
	check_bad_recipe("{}", "num_boost_round=0", "num_boost_round must be a whole number from 1");
	check_bad_recipe("{\"num_boost_round\": 1.5}", "a=1", "num_boost_round must be a whole number");
	check_bad_recipe("{\"seed\": \"x\"}", "a=1", "seed must be a whole number");
	check_bad_recipe("{}", "early_stopping_rounds=-1", "early_stopping_rounds must be a whole number from 0");
}

enum { ROWS = 300, FEATURES = 2 };

/* A learner of y = x0 + noise, with these parameters. */
static enum err
open_learner(struct learner **l, const struct learner_parameter *parameters, size_t n, struct err_info *info)
{
	static const char *const names[] = {"a", "b"};
	static float values[ROWS * FEATURES];
	static float target[ROWS];
	static struct features f; /* for the learner's life */
	uint64_t random = 5;

	for (size_t i = 0; i < ROWS; i++) {
		values[2 * i] = (float)(unit_random(&random) % 1000) / 1000;
		values[2 * i + 1] = (float)(unit_random(&random) % 1000) / 1000;
		target[i] = values[2 * i] + (float)(unit_random(&random) % 1000) / 2000;
	}
	const struct learner_rows parts[LEARNER_PARTS] = {[LEARNER_TRAIN] = {200, values, target},
													  [LEARNER_VALIDATION] = {50, values + 400, target + 200},
													  [LEARNER_TEST] = {50, values + 500, target + 250}};
	features_release(&f);
	assert_err(features_init(&f, names, FEATURES, info), ERR_OK, info);
	return learner_open(&f, parts, parameters, n, l, info);
}

static const struct learner_parameter plain[] = {
	{"objective", "reg:squarederror"}, {"nthread", "1"}, {"max_depth", "3"}, {"eta", "0.5"}};

static int last_round;

static void
note_report(void *context, const struct trainer_progress *p)
{
	int *count = context;

	++*count;
	last_round = p->round;
	assert_string_equal(p->now.name, "rmse");
	assert_true(p->best_round >= 1 && p->best_round <= p->round);
}

static void
learns_and_stops_early(void **state)
{
	struct learner *l;
	struct err_info info;
	struct learner_scores scores;
	struct learner_scores best = {0};
	struct booster *b;
	struct buf file;
	int reports = 0;
	int rounds = 0;
	const struct trainer_options options = {.rounds = 200, .patience = 5, .period = 2, .report = note_report, .context = &reports};

	(void)state;
	assert_err(open_learner(&l, plain, 4, &info), ERR_OK, &info);
	assert_err(trainer_run(l, &options, &rounds, &info), ERR_OK, &info);
	assert_true(rounds >= 1 && rounds < 100);
	assert_int_equal(last_round, rounds + 5);
	assert_true(reports >= (rounds + 5) / 2);
	assert_err(learner_evaluate(l, 0, true, &scores, &info), ERR_OK, &info);
	assert_int_equal(scores.n, 1);
	assert_true(isfinite(scores.metrics[0].value[LEARNER_TRAIN]) && isfinite(scores.metrics[0].value[LEARNER_TEST]));
	buf_init(&file, 1 << 24);
	assert_err(learner_save(l, &file, &info), ERR_OK, &info);
	assert_err(booster_open(file.data, file.len, &b, &info), ERR_OK, &info);
	assert_int_equal(booster_shape(b)->n_features, 2);
	assert_string_equal(booster_feature_names(b)[1], "b");
	booster_free(b);
	learner_free(l);

	/* The same rounds by hand: the cut model is the one of its best round. */
	assert_err(open_learner(&l, plain, 4, &info), ERR_OK, &info);
	for (int round = 0; round < rounds; round++) {
		assert_err(learner_update(l, round, &info), ERR_OK, &info);
		assert_err(learner_evaluate(l, round, true, &best, &info), ERR_OK, &info);
	}
	for (size_t part = 0; part < LEARNER_PARTS; part++)
		assert_true(fabs(best.metrics[0].value[part] - scores.metrics[0].value[part]) < 1e-5);
	learner_free(l);
	learner_free(NULL);
	buf_release(&file);
}

static void
learns_all_rounds(void **state)
{
	struct learner *l;
	struct err_info info;
	int rounds = 0;
	const struct trainer_options options = {.rounds = 12};

	(void)state;
	assert_err(open_learner(&l, plain, 4, &info), ERR_OK, &info);
	assert_err(trainer_run(l, &options, &rounds, &info), ERR_OK, &info);
	assert_int_equal(rounds, 12);
	learner_free(l);
}

static void
reads_all_metrics(void **state)
{
	static const struct learner_parameter several[] = {{"objective", "reg:squarederror"},
													   {"nthread", "1"},
													   {"eval_metric", "mae"},
													   {"eval_metric", "rmse"},
													   {"eval_metric", "rmsle"}};
	struct learner *l;
	struct err_info info;
	struct learner_scores scores;

	(void)state;
	assert_err(open_learner(&l, several, 5, &info), ERR_OK, &info);
	assert_err(learner_update(l, 0, &info), ERR_OK, &info);
	assert_err(learner_evaluate(l, 0, false, &scores, &info), ERR_OK, &info);
	assert_int_equal(scores.n, 3);
	assert_string_equal(scores.metrics[0].name, "mae");
	assert_string_equal(scores.metrics[2].name, "rmsle");
	assert_true(isnan(scores.metrics[0].value[LEARNER_TEST]));
	learner_free(l);
	assert_true(learner_is_gain("auc") && learner_is_gain("ndcg@5") && !learner_is_gain("rmse") && !learner_is_gain("aucx"));
}

static void
refuses_parameters(void **state)
{
	static const struct learner_parameter wrong[] = {{"max_depth", "deep"}};
	static const struct learner_parameter unknown[] = {{"objective", "reg:nothing"}};
	struct learner *l = NULL;
	struct err_info info;
	int rounds;
	const struct trainer_options options = {.rounds = 1};

	(void)state;
	/* XGBoost looks at parameters when it first needs them. */
	enum err e = open_learner(&l, wrong, 1, &info);
	if (e == ERR_OK)
		e = trainer_run(l, &options, &rounds, &info);
	assert_int_not_equal(e, ERR_OK);
	assert_contains(info.text, "max_depth");
	learner_free(l);
	e = open_learner(&l, unknown, 1, &info);
	if (e == ERR_OK)
		e = trainer_run(l, &options, &rounds, &info);
	assert_int_not_equal(e, ERR_OK);
	assert_contains(info.text, "reg:nothing");
	learner_free(l);
}

#define IN_FOLDER(sentence, function) TEST_WITH(sentence, function, folder_setup, folder_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_FOLDER("data is read with its names, from any mix of line ends, quotes and a byte order mark", reads_data),
		IN_FOLDER("bad data is refused by file, line and column", refuses_data),
		TEST("rows are split at random, each once, the same for the same seed", splits_rows),
		IN_FOLDER("a recipe is the defaults, the file and the command line, in that order", makes_recipes),
		IN_FOLDER("a recipe that makes no sense is refused with a sentence", refuses_recipes),
		TEST("training stops early and keeps its best round", learns_and_stops_early),
		TEST("without patience all rounds are trained", learns_all_rounds),
		TEST("several metrics are read, the last of which stops the training", reads_all_metrics),
		TEST("parameters that XGBoost refuses are told with its sentence", refuses_parameters),
	};

	return cmocka_run_group_tests_name("train", tests, NULL, NULL);
}
