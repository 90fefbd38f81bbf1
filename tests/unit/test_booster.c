/* test_booster.c - tests of model/booster: loading, shapes, and predictions with the bits of Booster.predict() */
#include "model/booster.h"

#include <pthread.h>

#include "expected.h"

static struct booster *
open_fixture(const char *name)
{
	char path[PATH_MAX];
	struct err_info info;
	struct booster *b;
	size_t len;

	(void)snprintf(path, sizeof path, FOLDER_FIXTURES "/%s/1/model.ubj", name);
	if (access(path, F_OK) != 0)
		(void)snprintf(path, sizeof path, FOLDER_FIXTURES "/%s/1/model.json", name);
	char *bytes = folder_read(path, &len);
	check_err(name, booster_open(bytes, len, &b, &info), ERR_OK, &info);
	memset(bytes, 0xAA, len); /* the booster needs them no more */
	free(bytes);
	return b;
}

static void
check_fixture(const char *name)
{
	struct booster *b = open_fixture(name);
	struct booster_caller caller;
	struct expected x = {0};
	struct err_info info;

	expected_init(&x, name);
	check_err(name, booster_caller_init(&caller, &info), ERR_OK, &info);
	check_integer(name, booster_shape(b)->n_features, x.n_features);
	check_integer(name, booster_outputs(b, BOOSTER_VALUE), x.n_values);
	check_integer(name, booster_outputs(b, BOOSTER_MARGIN), x.n_margins);
	size_t width = x.n_values > x.n_margins ? x.n_values : x.n_margins;
	float *out = malloc(x.n_rows * width * sizeof *out);
	check_err(name, booster_predict(b, &caller, BOOSTER_VALUE, x.rows, x.n_rows, out, &info), ERR_OK, &info);
	expected_check(name, out, x.predictions, x.n_rows, x.n_values);
	check_err(name, booster_predict(b, &caller, BOOSTER_MARGIN, x.rows, x.n_rows, out, &info), ERR_OK, &info);
	expected_check(name, out, x.margins, x.n_rows, x.n_margins);
	for (size_t i = 0; i < x.n_rows; i++) { /* row by row, from the last */
		size_t row = x.n_rows - 1 - i;
		check_err(name, booster_predict(b, &caller, BOOSTER_VALUE, x.rows + row * x.n_features, 1, out, &info), ERR_OK, &info);
		expected_check(name, out, x.predictions + row * x.n_values, 1, x.n_values);
	}
	free(out);
	expected_release(&x);
	booster_caller_release(&caller);
	booster_free(b);
}

static void
predicts_like_python(void **state)
{
	(void)state;
	expected_each(check_fixture);
}

static void
shapes(void **state)
{
	static const struct {
		const char *name;
		const char *objective;
		const char *kind;
		size_t n_values;
		size_t n_margins;
	} rows[] = {
		{"reg-squarederror", "reg:squarederror", "gbtree", 1, 1},
		{"reg-squarederror-dart", "reg:squarederror", "dart", 1, 1},
		{"reg-squarederror-gblinear", "reg:squarederror", "gblinear", 1, 1},
		{"reg-squarederror-multi-output", "reg:squarederror", "gbtree", 3, 3},
		{"binary-logistic-json", "binary:logistic", "gbtree", 1, 1},
		{"binary-hinge", "binary:hinge", "gbtree", 1, 1},
		{"multi-softprob", "multi:softprob", "gbtree", 3, 3},
		{"multi-softmax", "multi:softmax", "gbtree", 1, 3},
		{"rank-ndcg", "rank:ndcg", "gbtree", 1, 1},
		{"survival-cox", "survival:cox", "gbtree", 1, 1},
		{"count-poisson", "count:poisson", "gbtree", 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct booster *b = open_fixture(rows[i].name);
		check_string(rows[i].name, booster_shape(b)->objective, rows[i].objective);
		check_string(rows[i].name, booster_shape(b)->kind, rows[i].kind);
		check_integer(rows[i].name, booster_outputs(b, BOOSTER_VALUE), rows[i].n_values);
		check_integer(rows[i].name, booster_outputs(b, BOOSTER_MARGIN), rows[i].n_margins);
		booster_free(b);
	}
}

static void
refuses_what_is_no_model(void **state)
{
	static const char *const rows[] = {"{}", "[]", "null", "{\"learner\":{}}", "{\"version\":[1,7,4]}", "not a model", "x"};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err_info info;
		struct booster *b = NULL;
		check_err(rows[i], booster_open(rows[i], strlen(rows[i]), &b, &info), ERR_BAD_MODEL, &info);
		check_integer(rows[i], b == NULL, true);
		check_contains(rows[i], info.text, "XGBoost cannot load the model file: ");
		check_integer(rows[i], strchr(info.text, '\n') == NULL, true);
		check_integer(rows[i], strstr(info.text, "Stack trace") == NULL, true);
	}
}

/* `n` rows that repeat those of a fixture, each a little further. */
static float *
many_rows(const struct expected *x, size_t n)
{
	float *rows = malloc(n * x->n_features * sizeof *rows);

	assert_non_null(rows);
	for (size_t i = 0; i < n * x->n_features; i++)
		rows[i] = x->rows[i % (x->n_rows * x->n_features)] + (float)(i % 977) * 0.01F;
	return rows;
}

static void
check_chunks(const char *name, size_t n)
{
	struct booster *b = open_fixture(name);
	struct booster_caller caller;
	struct expected x = {0};
	struct err_info info;

	expected_init(&x, name);
	check_err(name, booster_caller_init(&caller, &info), ERR_OK, &info);
	float *rows = many_rows(&x, n);
	float *all = malloc(n * x.n_values * sizeof *all);
	float *one = malloc(x.n_values * sizeof *one);
	check_err(name, booster_predict(b, &caller, BOOSTER_VALUE, rows, n, all, &info), ERR_OK, &info);
	for (size_t i = 0; i < n; i++) {
		check_err(name, booster_predict(b, &caller, BOOSTER_VALUE, rows + i * x.n_features, 1, one, &info), ERR_OK, &info);
		if (memcmp(one, all + i * x.n_values, x.n_values * sizeof *one) != 0)
			fail_msg("%s: row %zu of %zu gives %.9g, alone %.9g", name, i, n, (double)all[i * x.n_values], (double)one[0]);
	}
	free(one);
	free(all);
	free(rows);
	expected_release(&x);
	booster_caller_release(&caller);
	booster_free(b);
}

static void
chunks(void **state)
{
	(void)state;
	check_chunks("reg-squarederror", 10000);
	check_chunks("multi-softprob", BOOSTER_CHUNK_ROWS);
	check_chunks("multi-softprob", BOOSTER_CHUNK_ROWS + 1);
	check_chunks("binary-logistic-dart", 2 * BOOSTER_CHUNK_ROWS + 1);
	check_chunks("reg-squarederror-gblinear", BOOSTER_CHUNK_ROWS + 100);
}

static void
no_rows(void **state)
{
	struct booster *b = open_fixture("reg-squarederror");
	struct booster_caller caller;
	struct err_info info;
	float out = 7;

	(void)state;
	assert_err(booster_caller_init(&caller, &info), ERR_OK, &info);
	assert_err(booster_predict(b, &caller, BOOSTER_VALUE, NULL, 0, &out, &info), ERR_OK, &info);
	check_float("untouched", out, 7.0F);
	booster_caller_release(&caller);
	booster_free(b);
}

/* One caller asks boosters of different widths and kinds in turn, as a worker does. */
static void
one_caller_for_many(void **state)
{
	static const char *const names[] = {
		"reg-squarederror",          "multi-softprob",          "reg-squarederror-categorical", "binary-logistic-dart",
		"reg-squarederror-gblinear", "reg-squarederror-unnamed"};
	enum { N = sizeof names / sizeof names[0] };
	struct booster *boosters[N];
	struct expected x[N] = {0};
	struct booster_caller caller;
	struct err_info info;
	float out[64 * 3];

	(void)state;
	assert_err(booster_caller_init(&caller, &info), ERR_OK, &info);
	for (size_t i = 0; i < N; i++) {
		boosters[i] = open_fixture(names[i]);
		expected_init(&x[i], names[i]);
		assert_true(x[i].n_rows * x[i].n_values <= sizeof out / sizeof out[0]);
	}
	for (size_t round = 0; round < 10; round++)
		for (size_t i = 0; i < N; i++) {
			size_t k = (i * 5 + round) % N;
			check_err(names[k], booster_predict(boosters[k], &caller, BOOSTER_VALUE, x[k].rows, x[k].n_rows, out, &info), ERR_OK,
					  &info);
			expected_check(names[k], out, x[k].predictions, x[k].n_rows, x[k].n_values);
		}
	for (size_t i = 0; i < N; i++) {
		booster_free(boosters[i]);
		expected_release(&x[i]);
	}
	booster_caller_release(&caller);
	booster_caller_release(&caller);
}

/* What one of the threads below works on, and what it found. */
struct job {
	const struct booster *booster;
	const struct expected *x;
	size_t wrong;
	enum err e;
};

static void *
predict_often(void *arg)
{
	struct job *job = arg;
	const struct expected *x = job->x;
	struct booster_caller caller;
	float out[64 * 3];

	job->e = booster_caller_init(&caller, NULL);
	for (size_t i = 0; i < (size_t)UNIT_TIMES(400) && job->e == ERR_OK; i++) {
		size_t first = i % x->n_rows;
		size_t n = i % 2 == 0 ? 1 : x->n_rows - first;
		bool margin = i % 3 == 0;
		size_t width = margin ? x->n_margins : x->n_values;
		job->e = booster_predict(job->booster, &caller, margin ? BOOSTER_MARGIN : BOOSTER_VALUE, x->rows + first * x->n_features, n,
								 out, NULL);
		for (size_t k = 0; k < n * width && job->e == ERR_OK; k++)
			job->wrong += !expected_same(out[k], (margin ? x->margins : x->predictions)[first * width + k]);
	}
	booster_caller_release(&caller);
	return NULL;
}

static void
check_threads(const char *name)
{
	enum { N = 8 };
	struct booster *b = open_fixture(name);
	struct expected x = {0};
	pthread_t threads[N];
	struct job jobs[N];

	expected_init(&x, name);
	for (size_t i = 0; i < N; i++) {
		jobs[i] = (struct job){.booster = b, .x = &x};
		assert_int_equal(pthread_create(&threads[i], NULL, predict_often, &jobs[i]), 0);
	}
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		check_string(name, err_code(jobs[i].e), "ok");
		check_integer(name, jobs[i].wrong, 0);
	}
	expected_release(&x);
	booster_free(b);
}

static void
eight_threads(void **state)
{
	(void)state;
	check_threads("reg-squarederror");
	check_threads("multi-softprob");
	check_threads("binary-logistic-dart");
	check_threads("reg-squarederror-gblinear");
}

static void
free_nothing(void **state)
{
	struct booster_caller caller = {0};

	(void)state;
	booster_free(NULL);
	booster_caller_release(&caller);
}

static void
library_version(void **state)
{
	char text[16];
	unsigned major;
	unsigned minor;
	unsigned patch;
	char end;

	(void)state;
	assert_int_equal(sscanf(booster_library_version(text), "%u.%u.%u%c", &major, &minor, &patch, &end), 3);
	assert_ptr_equal(booster_library_version(text), text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("every fixture gives predictions and margins with the bits of Booster.predict", predicts_like_python),
		TEST("a booster tells its objective, kind and outputs", shapes),
		TEST("what is no model is refused in one line of XGBoost's own words", refuses_what_is_no_model),
		TEST("10,000 rows give what they give one by one, and so do the sizes around a chunk", chunks),
		TEST("no rows give no outputs", no_rows),
		TEST("one caller asks boosters of different widths and kinds in turn", one_caller_for_many),
		TEST("eight threads at once get what one thread gets", eight_threads),
		TEST("nothing may be freed", free_nothing),
		TEST("the library tells its version", library_version),
	};

	return cmocka_run_group_tests_name("booster", tests, NULL, NULL);
}
