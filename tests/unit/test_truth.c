/* test_truth.c - tests of watch/truth and watch/measure: answers, truths, losses, and many threads at once */
#include "watch/truth.h"

#include <math.h>
#include <pthread.h>

#include "base/text.h"
#include "heap.h"

enum { WORKERS = 4, ANSWERS = TRUTH_ANSWERS_MIN };

#define HOUR  3600000000000ULL
#define START (5 * HOUR)

static struct metrics *metrics;
static struct metrics_series *series;
static struct truth *truth;
static struct err_info info;

static const char *
route_name(size_t route)
{
	(void)route;
	return "other";
}

static int
setup(void **state)
{
	(void)state;
	metrics = metrics_open(WORKERS, route_name, 1);
	series = metrics_series(metrics, "house", "1");
	truth = truth_open(metrics, ANSWERS, START);
	return truth != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	truth_free(truth);
	metrics_free(metrics);
	return 0;
}

static void
remember(const char *id, enum measure measure, size_t n_rows, size_t width, const float *values)
{
	const struct truth_answer a = {
		.id = id, .series = series, .measure = measure, .n_rows = n_rows, .width = width, .values = values};

	truth_remember(truth, &a);
}

static enum err
join(const char *id, float actual, struct truth_joined *joined)
{
	const struct truth_actual a = {.n_rows = 1, .values = {actual}};

	return truth_join(truth, id, &a, joined, &info);
}

static const char *
numbered(unsigned number)
{
	static _Thread_local char id[32];

	(void)snprintf(id, sizeof id, "request-%u", number);
	return id;
}

#define check_close(got, expected)                                                                                                 \
	do {                                                                                                                           \
		double got_ = (got);                                                                                                       \
		double expected_ = (expected);                                                                                             \
		if (!(fabs(got_ - expected_) <= 1e-12 * fmax(1, fabs(expected_))))                                                         \
			fail_msg("%s is %.17g, expected %.17g", #got, got_, expected_);                                                        \
	} while (0)

static double
live_value(uint64_t n)
{
	struct truth_live live;

	truth_live(truth, series, &live);
	check_integer("truths", live.n, n);
	return live.value;
}

/* The whole exposition; the caller frees it. */
static char *
written(void)
{
	struct buf b;

	buf_init(&b, (size_t)1024 * 1024);
	truth_write_metrics(truth, &b);
	assert_true(buf_ok(&b));
	(void)buf_peek(&b);
	return b.data;
}

static void
joins(void **state)
{
	struct truth_joined joined;

	(void)state;
	remember("a", MEASURE_RMSE, 1, 1, (float[]){4.5F});
	remember("b", MEASURE_RMSE, 1, 1, (float[]){2});
	assert_err(join("a", 4, &joined), ERR_OK, &info);
	check_integer("a", joined.n_matched, 1);
	check_integer("a", joined.matched, 1);
	assert_ptr_equal(joined.series, series);
	check_close(live_value(1), 0.5);
	assert_err(join("b", 0, &joined), ERR_OK, &info);
	check_close(live_value(2), sqrt((0.25 + 4) / 2));
}

static void
first_truth_stays(void **state)
{
	struct truth_joined joined;

	(void)state;
	remember("a", MEASURE_RMSE, 1, 1, (float[]){1});
	assert_err(join("a", 2, &joined), ERR_OK, &info);
	assert_err(join("a", 100, &joined), ERR_OK, &info);
	check_integer("again", joined.n_matched, 0);
	check_integer("again", joined.n_repeated, 1);
	check_close(live_value(1), 1);
	char *text = written();
	assert_contains(text, "futaie_feedback_total{model=\"house\",version=\"1\",result=\"matched\"} 1\n");
	assert_contains(text, "futaie_feedback_total{model=\"house\",version=\"1\",result=\"repeated\"} 1\n");
	free(text);
}

static void
last_of_an_id(void **state)
{
	struct truth_joined joined;

	(void)state;
	remember("same", MEASURE_RMSE, 1, 1, (float[]){1});
	remember("same", MEASURE_RMSE, 1, 1, (float[]){10});
	assert_err(join("same", 10, &joined), ERR_OK, &info);
	check_close(live_value(1), 0);
}

static void
newest_are_there(void **state)
{
	struct truth_joined joined;

	(void)state;
	for (unsigned i = 0; i < 5 * ANSWERS; i++)
		remember(numbered(i), MEASURE_RMSE, 1, 1, (float[]){(float)i});
	for (unsigned i = 0; i < 5 * ANSWERS; i++)
		check_err(numbered(i), join(numbered(i), (float)i, &joined), i < 4 * ANSWERS ? ERR_UNKNOWN_ID : ERR_OK, &info);
	check_close(live_value(ANSWERS), 0);
	char *text = written();
	assert_contains(text, "futaie_feedback_total{model=\"\",version=\"\",result=\"unknown_id\"} 4000\n");
	free(text);
}

static void
longest_id(void **state)
{
	struct truth_joined joined;
	char id[TRUTH_ID_MAX];

	(void)state;
	memset(id, 'x', sizeof id - 1);
	id[sizeof id - 1] = '\0';
	remember(id, MEASURE_RMSE, 1, 1, (float[]){1});
	assert_err(join(id, 1, &joined), ERR_OK, &info);
	id[sizeof id - 2] = '\0';
	assert_err(join(id, 1, &joined), ERR_UNKNOWN_ID, &info);
	assert_err(join("", 1, &joined), ERR_UNKNOWN_ID, &info);
}

static void
several_rows(void **state)
{
	struct truth_joined joined;
	struct truth_actual actual = {.n_rows = 3, .values = {1, NAN, 5}};

	(void)state;
	remember("a", MEASURE_RMSE, 3, 1, (float[]){1, 2, 3});
	assert_err(truth_join(truth, "a", &actual, &joined, &info), ERR_OK, &info);
	check_integer("two known", joined.n_matched, 2);
	check_integer("two known", joined.matched, 5);
	check_close(live_value(2), sqrt(2));
	actual.values[1] = 2;
	assert_err(truth_join(truth, "a", &actual, &joined, &info), ERR_OK, &info);
	check_integer("the third", joined.matched, 2);
	check_integer("the third", joined.n_repeated, 2);
	check_close(live_value(3), sqrt(4.0 / 3));
}

static void
several_targets(void **state)
{
	struct truth_joined joined;
	const struct truth_actual nested = {.n_rows = 2, .width = 2, .values = {1, 2, 3, NAN}};
	const struct truth_actual flat = {.n_rows = 2, .values = {10, 24}};
	const struct truth_actual four = {.n_rows = 4, .values = {1, 2, 3, 4}};

	(void)state;
	remember("two", MEASURE_RMSE, 2, 2, (float[]){2, 4, 6, 8});
	assert_err(truth_join(truth, "two", &four, &joined, &info), ERR_WRONG_TYPE, &info);
	assert_contains(info.text, "an array of 2 numbers");
	assert_err(truth_join(truth, "two", &nested, &joined, &info), ERR_OK, &info);
	check_integer("a row whose one number is missing", joined.matched, 1);
	check_integer("two", joined.targets, 2);
	check_close(live_value(1), sqrt((1.0 + 4) / 2));
	remember("one", MEASURE_RMSE, 1, 2, (float[]){10, 20});
	assert_err(truth_join(truth, "one", &flat, &joined, &info), ERR_OK, &info);
	check_close(live_value(2), sqrt((2.5 + 8) / 2));
}

static void
wrong_shapes(void **state)
{
	struct truth_joined joined;
	const struct truth_actual nested = {.n_rows = 3, .width = 2, .values = {0}};
	const struct truth_actual singles = {.n_rows = 3, .width = 1, .values = {1, 2, 3}};

	(void)state;
	remember("a", MEASURE_RMSE, 3, 1, (float[]){1, 2, 3});
	assert_err(join("a", 1, &joined), ERR_WRONG_TYPE, &info);
	assert_string_equal(info.text, "actual has 1 numbers; the answer had 3 rows, and each takes one number, or null");
	assert_err(truth_join(truth, "a", &nested, &joined, &info), ERR_WRONG_TYPE, &info);
	(void)live_value(0);
	assert_err(truth_join(truth, "a", &singles, &joined, &info), ERR_OK, &info);
	check_integer("singles", joined.n_matched, 3);
	char *text = written();
	assert_contains(text, "result=\"refused\"} 2\n");
	free(text);
}

static void
too_large(void **state)
{
	static const float values[TRUTH_VALUES_MAX + 1];
	struct truth_joined joined;

	(void)state;
	remember("rows", MEASURE_RMSE, TRUTH_ROWS_MAX + 1, 1, values);
	remember("width", MEASURE_LOGLOSS_CLASSES, 1, TRUTH_VALUES_MAX + 1, values);
	remember("both", MEASURE_LOGLOSS_CLASSES, 3, TRUTH_VALUES_MAX / 2, values);
	remember("huge", MEASURE_RMSE, 100000, 65536, values);
	remember("margins", MEASURE_RMSE, 1, 1, NULL);
	remember("most", MEASURE_RMSE, TRUTH_ROWS_MAX, 1, values);
	for (size_t i = 0; i < 4; i++) {
		const char *id = (const char *[]){"rows", "width", "both", "huge"}[i];
		check_err(id, join(id, 1, &joined), ERR_UNKNOWN_ID, &info);
		check_contains(id, info.text, "too large to be remembered");
	}
	assert_err(join("margins", 1, &joined), ERR_UNKNOWN_ID, &info);
	assert_contains(info.text, "was margins");
	assert_err(truth_join(truth, "most", &(struct truth_actual){.n_rows = TRUTH_ROWS_MAX}, &joined, &info), ERR_OK, &info);
	check_integer("most", joined.n_matched, TRUTH_ROWS_MAX);
}

static void
no_truth(void **state)
{
	static const struct {
		enum measure measure;
		float actual;
		enum err expected;
	} cases[] = {
		{MEASURE_LOGLOSS, 1.5F, ERR_BAD_NUMBER},
		{MEASURE_LOGLOSS, -0.1F, ERR_BAD_NUMBER},
		{MEASURE_LOGLOSS, 0.25F, ERR_OK},
		{MEASURE_LOGLOSS_MARGIN, 2, ERR_BAD_NUMBER},
		{MEASURE_LOGLOSS_CLASSES, 3, ERR_BAD_NUMBER},
		{MEASURE_LOGLOSS_CLASSES, 0.5F, ERR_BAD_NUMBER},
		{MEASURE_LOGLOSS_CLASSES, -1, ERR_BAD_NUMBER},
		{MEASURE_LOGLOSS_CLASSES, 2, ERR_OK},
		{MEASURE_LOGLOSS_CLASSES, 3e38F, ERR_BAD_NUMBER},
		{MEASURE_ERROR_BINARY, 0.5F, ERR_BAD_NUMBER},
		{MEASURE_ERROR_CLASS, 1.5F, ERR_BAD_NUMBER},
		{MEASURE_ERROR_CLASS, 3e38F, ERR_OK},
		{MEASURE_RMSE, -3e38F, ERR_OK},
		{MEASURE_NONE, -3e38F, ERR_OK},
	};
	struct truth_joined joined;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct metrics_series *own = metrics_series(metrics, numbered((unsigned)i), "1");
		size_t width = cases[i].measure == MEASURE_LOGLOSS_CLASSES ? 3 : 1;
		const struct truth_answer a = {.id = numbered((unsigned)i),
									   .series = own,
									   .measure = cases[i].measure,
									   .n_rows = 1,
									   .width = width,
									   .values = (float[]){1, 0, 0}};
		truth_remember(truth, &a);
		check_err(numbered((unsigned)i), join(numbered((unsigned)i), cases[i].actual, &joined), cases[i].expected, &info);
		struct truth_live live;
		truth_live(truth, own, &live);
		check_integer(numbered((unsigned)i), live.n, cases[i].expected == ERR_OK && cases[i].measure != MEASURE_NONE);
	}
}

static void
losses(void **state)
{
	(void)state;
	check_close(measure_loss(MEASURE_LOGLOSS, (float[]){0.25F}, 1, (float[]){1}), -log(0.25));
	check_close(measure_loss(MEASURE_LOGLOSS, (float[]){0.25F}, 1, (float[]){0}), -log(0.75));
	check_close(measure_loss(MEASURE_LOGLOSS, (float[]){0.25F}, 1, (float[]){0.5F}), -0.5 * log(0.25) - 0.5 * log(0.75));
	check_close(measure_loss(MEASURE_LOGLOSS, (float[]){0}, 1, (float[]){1}), -log(1e-16));
	check_close(measure_loss(MEASURE_LOGLOSS, (float[]){0}, 1, (float[]){0}), 0);
	check_close(measure_loss(MEASURE_LOGLOSS_MARGIN, (float[]){0}, 1, (float[]){1}), log(2));
	check_close(measure_loss(MEASURE_LOGLOSS_MARGIN, (float[]){2}, 1, (float[]){0}), log(1 + exp(2)));
	check_close(measure_loss(MEASURE_LOGLOSS_CLASSES, (float[]){0.5F, 0.25F, 0.25F}, 3, (float[]){1}), -log(0.25));
	check_close(measure_loss(MEASURE_ERROR_CLASS, (float[]){2}, 1, (float[]){2}), 0);
	check_close(measure_loss(MEASURE_ERROR_BINARY, (float[]){1}, 1, (float[]){0}), 1);
	check_close(measure_loss(MEASURE_RMSE, (float[]){1, 5}, 2, (float[]){2, 2}), 5);
	assert_true(isnan(measure_loss(MEASURE_LOGLOSS, (float[]){NAN}, 1, (float[]){1})));
	check_close(measure_value(MEASURE_RMSE, 8, 2), 2);
	check_close(measure_value(MEASURE_LOGLOSS, 8, 2), 4);
}

static void
objectives(void **state)
{
	(void)state;
	check_string("", measure_name(measure_find("reg:squarederror")), "rmse");
	check_string("", measure_name(measure_find("binary:logistic")), "logloss");
	check_string("", measure_name(measure_find("binary:logitraw")), "logloss");
	check_string("", measure_name(measure_find("multi:softprob")), "logloss");
	check_string("", measure_name(measure_find("multi:softmax")), "error_rate");
	check_string("", measure_name(measure_find("rank:ndcg")), "");
	check_string("", measure_name(measure_find("survival:cox")), "");
	check_string("", measure_name(measure_find("something:new")), "");
}

/* What is not finite must not spoil a sum for ever. */
static void
not_finite(void **state)
{
	struct truth_joined joined;

	(void)state;
	remember("nan", MEASURE_RMSE, 1, 1, (float[]){NAN});
	remember("good", MEASURE_RMSE, 1, 1, (float[]){3});
	assert_err(join("nan", 1, &joined), ERR_OK, &info);
	check_integer("nan", joined.n_matched, 1);
	assert_err(join("good", 1, &joined), ERR_OK, &info);
	check_close(live_value(1), 2);
}

static void
window_moves(void **state)
{
	struct truth_joined joined;

	(void)state;
	for (unsigned hour = 0; hour < 60; hour++) {
		truth_tick(truth, START + hour * HOUR);
		remember(numbered(hour), MEASURE_RMSE, 1, 1, (float[]){(float)hour});
		assert_err(join(numbered(hour), 0, &joined), ERR_OK, &info);
		double sum = 0;
		unsigned from = hour >= 23 ? hour - 23 : 0;
		for (unsigned i = from; i <= hour; i++)
			sum += (double)i * i;
		check_close(live_value(hour - from + 1), sqrt(sum / (hour - from + 1)));
	}
	truth_tick(truth, START + 5000 * HOUR);
	(void)live_value(0);
	char *text = written();
	assert_contains(text, "futaie_live_loss_count{model=\"house\",version=\"1\",measure=\"rmse\"} 60\n");
	assert_null(strstr(text, "futaie_live_rmse"));
	free(text);
	remember("later", MEASURE_RMSE, 1, 1, (float[]){7});
	assert_err(join("later", 0, &joined), ERR_OK, &info);
	check_close(live_value(1), 7);
	truth_tick(truth, START); /* time does not go back */
	check_close(live_value(1), 7);
}

/* Versions that are counted together, as there are too many, may differ in their measure. */
static void
one_measure(void **state)
{
	struct truth_joined joined;

	(void)state;
	remember("a", MEASURE_RMSE, 1, 1, (float[]){1});
	remember("b", MEASURE_LOGLOSS, 1, 1, (float[]){0.5F});
	assert_err(join("a", 3, &joined), ERR_OK, &info);
	assert_err(join("b", 1, &joined), ERR_OK, &info);
	check_close(live_value(1), 2);
}

static void *
client(void *arg)
{
	unsigned me = *(unsigned *)arg;
	struct truth_joined joined;
	struct err_info mine;

	for (unsigned i = 0; i < (unsigned)UNIT_TIMES(20000); i++) {
		unsigned number = i * WORKERS + me;
		char id[32];
		(void)snprintf(id, sizeof id, "%u", number);
		const struct truth_answer a = {
			.id = id, .series = series, .measure = MEASURE_RMSE, .n_rows = 2, .width = 1, .values = (float[]){(float)number, 1}};
		truth_remember(truth, &a);
		/* Its own answer, and others' which may be gone or just be overwritten: what is found is whole. */
		for (unsigned back = 0; back < 2 * ANSWERS && back <= number; back += 997) {
			const struct truth_actual actual = {.n_rows = 2, .values = {(float)(number - back), 3}};
			(void)snprintf(id, sizeof id, "%u", number - back);
			(void)truth_join(truth, id, &actual, &joined, &mine);
		}
	}
	return NULL;
}

static void
many_threads(void **state)
{
	pthread_t threads[WORKERS];
	unsigned numbers[WORKERS];
	struct truth_live live;

	(void)state;
	for (unsigned i = 0; i < WORKERS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, client, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	truth_live(truth, series, &live);
	/* Each answer has the losses 0 and 4, once: a torn or mistaken one would show. */
	check_close(live.value, sqrt(2));
	uint64_t most = 2ULL * WORKERS * (uint64_t)UNIT_TIMES(20000);
	if (live.n % 2 != 0 || live.n > most || live.n < most / 10 * 9)
		fail_msg("%llu of %llu truths were counted", (unsigned long long)live.n, (unsigned long long)most);
}

static void
allocates_nothing(void **state)
{
	struct truth_joined joined;

	(void)state;
	heap_start();
	for (unsigned i = 0; i < 3 * ANSWERS; i++) {
		remember(numbered(i), MEASURE_RMSE, 1, 1, (float[]){1});
		assert_int_equal(join(numbered(i), 1, &joined), ERR_OK);
	}
	check_integer("allocations", heap_all, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_WITH("a truth is held against the answer with its id", joins, setup, teardown),
		TEST_WITH("of two truths for one row the first one stays", first_truth_stays, setup, teardown),
		TEST_WITH("of two answers with one id the last one is found", last_of_an_id, setup, teardown),
		TEST_WITH("exactly the newest answers are remembered", newest_are_there, setup, teardown),
		TEST_WITH("an id of the greatest length is told from a shorter one", longest_id, setup, teardown),
		TEST_WITH("rows may get their truths one after the other", several_rows, setup, teardown),
		TEST_WITH("a row of several targets needs all of its truths", several_targets, setup, teardown),
		TEST_WITH("truths of another shape than the answer are refused", wrong_shapes, setup, teardown),
		TEST_WITH("answers too large, and margins, are refused with the reason", too_large, setup, teardown),
		TEST_WITH("what no truth can be is refused, and counts nothing", no_truth, setup, teardown),
		TEST("losses are XGBoost's", losses),
		TEST("objectives have their measures", objectives),
		TEST_WITH("an answer that is not finite spoils no sum", not_finite, setup, teardown),
		TEST_WITH("the window moves by the hour; sums from the start stay", window_moves, setup, teardown),
		TEST_WITH("a series keeps to one measure", one_measure, setup, teardown),
		TEST_WITH("threads that remember and join at once find whole answers, and count each once", many_threads, setup, teardown),
		TEST_WITH("remembering and joining allocate nothing", allocates_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
