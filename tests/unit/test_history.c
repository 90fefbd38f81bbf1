/* test_history.c - tests of watch/history and watch/latency: steps on a clock of the test's own */
#include "watch/history.h"

#include <math.h>

#include <cjson/cJSON.h>

#include "base/json.h"
#include "unit.h"

enum { ROUTES = 2, WORKERS = 2 };

#define SECOND 1000000000ULL
#define START  (17 * SECOND)

static struct metrics *metrics;
static struct history *history;

static const char *
route_name(size_t route)
{
	return route == 0 ? "/predict" : "other";
}

static int
setup(void **state)
{
	(void)state;
	metrics = metrics_open(WORKERS, route_name, ROUTES);
	history = metrics != NULL ? history_open(metrics, WORKERS, START) : NULL;
	return history != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	history_free(history);
	metrics_free(metrics);
	return 0;
}

/* A request that predicts, by a worker. */
static void
request(struct metrics_series *s, size_t worker, enum err result, uint64_t duration_ns)
{
	metrics_request_begin(metrics, worker);
	metrics_prediction(s, worker, result, result == ERR_OK ? 3 : 0, duration_ns / 2);
	metrics_request_end(metrics, worker, 0, duration_ns);
}

/* What is written at that time after the start; the caller frees it. */
static cJSON *
written(uint64_t after_ns)
{
	struct buf b;
	struct err_info info;
	cJSON *json;

	buf_init(&b, (size_t)1024 * 1024);
	buf_char(&b, '{');
	history_write(history, START + after_ns, NULL, NULL, &b);
	buf_char(&b, '}');
	assert_err(json_document("history", buf_peek(&b), b.len, &json, &info), ERR_OK, &info);
	buf_release(&b);
	return json;
}

static const cJSON *
member(const cJSON *json, const char *name)
{
	const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, name);

	if (found == NULL)
		fail_msg("there is no member %s", name);
	return found;
}

/* The number `ago` steps before the last one, or NaN for null. */
static double
step(const cJSON *span, const char *name, int ago)
{
	const cJSON *list = member(span, name);

	assert_int_equal(cJSON_GetArraySize(list), HISTORY_STEPS);
	const cJSON *item = cJSON_GetArrayItem(list, HISTORY_STEPS - 1 - ago);
	return cJSON_IsNull(item) ? NAN : cJSON_GetNumberValue(item);
}

static double
number(const cJSON *json, const char *object, const char *name)
{
	return cJSON_GetNumberValue(member(member(json, object), name));
}

#define check_number(got, expected)                                                                                                \
	do {                                                                                                                           \
		double got_ = (got);                                                                                                       \
		double expected_ = (expected);                                                                                             \
		if (!(fabs(got_ - expected_) <= 1e-9))                                                                                     \
			fail_msg("%s is %.10g, expected %.10g", #got, got_, expected_);                                                        \
	} while (0)

static void
counts_steps(void **state)
{
	struct metrics_series *s = metrics_series(metrics, "house", "1");

	(void)state;
	request(s, 0, ERR_OK, 1000);
	request(s, 1, ERR_BAD_JSON, 1000);
	history_tick(history, START + 59 * SECOND + 800000000);
	history_tick(history, START + 60 * SECOND);
	request(s, 0, ERR_NOT_READY, 1000);
	request(s, 0, ERR_OK, 1000);
	request(s, 0, ERR_OK, 1000);
	cJSON *json = written(61 * SECOND + 500000000);
	const cJSON *hour = member(json, "hour");
	check_number(step(hour, "requests", 0), 3);
	check_number(step(hour, "errors", 0), 1);
	check_number(step(hour, "failures", 0), 1);
	check_number(step(hour, "requests", 1), 2);
	check_number(step(hour, "errors", 1), 1);
	check_number(step(hour, "failures", 1), 0);
	assert_true(isnan(step(hour, "requests", 2)));
	check_number(number(json, "hour", "elapsed_s"), 1.5);
	check_number(number(json, "totals", "requests"), 5);
	check_number(number(json, "totals", "errors"), 2);
	check_number(number(json, "totals", "failures"), 1);
	check_number(number(json, "totals", "rows"), 9);
	cJSON_Delete(json);
}

/* Who asks for it has read the clock before the lock was free. */
static void
late_writer(void **state)
{
	(void)state;
	history_tick(history, START + 60 * SECOND + 5000000);
	cJSON *json = written(59 * SECOND + 990000000);
	check_number(number(json, "hour", "elapsed_s"), 0.005);
	check_number(number(json, "minute", "elapsed_s"), 0.005);
	check_number(cJSON_GetNumberValue(member(json, "uptime_s")), 60);
	cJSON_Delete(json);
}

static void
counts_at_once(void **state)
{
	struct metrics_series *s = metrics_series(metrics, "house", "1");

	(void)state;
	for (int i = 1; i <= 5; i++) {
		request(s, 0, ERR_OK, 1000);
		cJSON *json = written(1000); /* no tick between */
		check_number(step(member(json, "hour"), "requests", 0), i);
		check_number(step(member(json, "minute"), "requests", 0), i);
		cJSON_Delete(json);
	}
}

static void
only_predictions(void **state)
{
	(void)state;
	metrics_request_begin(metrics, 0);
	metrics_request_end(metrics, 0, 1, 1000);
	request(metrics_unknown(metrics), 0, ERR_UNKNOWN_MODEL, 1000);
	metrics_request_begin(metrics, 0);
	metrics_request_end(metrics, 0, 1, 1000);
	cJSON *json = written(SECOND);
	check_number(number(json, "totals", "requests"), 1);
	check_number(number(json, "totals", "errors"), 1);
	assert_int_equal(cJSON_GetArraySize(member(json, "models")), 0);
	cJSON_Delete(json);
}

/* After hours the ring has gone round; what is older than an hour is gone, sums stay. */
static void
forgets_after_an_hour(void **state)
{
	struct metrics_series *s = metrics_series(metrics, "house", "1");

	(void)state;
	for (unsigned minute = 0; minute < 150; minute++) {
		for (unsigned i = 0; i <= minute; i++)
			request(s, i % WORKERS, ERR_OK, 1000);
		for (unsigned second = 1; second <= 60; second++)
			history_tick(history, START + (minute * 60ULL + second) * SECOND);
	}
	request(s, 0, ERR_BAD_CSV, 1000);
	cJSON *json = written(150 * 60 * SECOND);
	double sum = 1;
	check_number(step(member(json, "hour"), "requests", 0), 1);
	for (int ago = 1; ago < HISTORY_STEPS; ago++) {
		check_number(step(member(json, "hour"), "requests", ago), 151 - ago);
		sum += 151 - ago;
	}
	const cJSON *model = cJSON_GetArrayItem(member(json, "models"), 0);
	check_number(number(model, "hour", "requests"), sum);
	check_number(number(model, "hour", "errors"), 1);
	check_number(cJSON_GetNumberValue(member(model, "requests")), 150 * 151 / 2 + 1);
	cJSON_Delete(json);
}

/* A process that was stopped for long: what was counted before is in the past, if that is still shown. */
static void
long_pause(void **state)
{
	struct metrics_series *s = metrics_series(metrics, "house", "1");

	(void)state;
	request(s, 0, ERR_OK, 1000);
	cJSON *json = written(10 * SECOND); /* no tick in between */
	check_number(step(member(json, "minute"), "requests", 10), 1);
	check_number(step(member(json, "minute"), "requests", 0), 0);
	check_number(step(member(json, "minute"), "requests", 9), 0);
	cJSON_Delete(json);
	request(s, 0, ERR_OK, 1000);
	json = written(100000 * SECOND);
	for (int ago = 0; ago < HISTORY_STEPS; ago++) {
		check_number(step(member(json, "minute"), "requests", ago), 0);
		check_number(step(member(json, "hour"), "requests", ago), 0);
	}
	check_number(number(json, "totals", "requests"), 2);
	check_number(number(cJSON_GetArrayItem(member(json, "models"), 0), "hour", "requests"), 0);
	cJSON_Delete(json);
}

static void
clock_backwards(void **state)
{
	(void)state;
	history_tick(history, START + 90 * SECOND);
	history_tick(history, START + 89 * SECOND);
	history_tick(history, 0);
	cJSON *json = written(90 * SECOND);
	check_number(step(member(json, "hour"), "requests", 1), 0);
	assert_true(isnan(step(member(json, "hour"), "requests", 2)));
	cJSON_Delete(json);
}

static void
latency_of_steps(void **state)
{
	struct metrics_series *s = metrics_series(metrics, "house", "1");

	(void)state;
	for (int i = 0; i < 100; i++)
		request(s, 0, ERR_OK, i < 90 ? 100000 : 20000000);
	cJSON *json = written(SECOND / 2);
	const cJSON *latency = member(member(json, "hour"), "latency_ms");
	double p50 = step(latency, "p50", 0);
	double p99 = step(latency, "p99", 0);
	if (!(p50 > 0.1 / 1.125 && p50 < 0.1 * 1.125 && p99 > 20 / 1.125 && p99 < 20 * 1.125))
		fail_msg("p50 is %g ms, p99 %g ms", p50, p99);
	assert_true(isnan(step(latency, "p50", 1)));
	cJSON_Delete(json);
	json = written(61 * SECOND);
	assert_true(isnan(step(member(member(json, "hour"), "latency_ms"), "p50", 0)));
	check_number(step(member(member(json, "hour"), "latency_ms"), "p50", 1), p50);
	cJSON_Delete(json);
}

static void
bins_are_narrow(void **state)
{
	(void)state;
	size_t before = 0;
	for (uint64_t ns = 1; ns < 1ULL << 40; ns += 1 + ns / 97) {
		size_t bin = latency_bin(ns);
		char row[32];
		(void)snprintf(row, sizeof row, "%llu ns", (unsigned long long)ns);
		assert_true(bin < LATENCY_BINS);
		check_integer(row, bin >= before && bin <= before + 1, 1);
		before = bin;
		if (bin + 1 < LATENCY_BINS && !(latency_lower_ns(bin) <= ns && ns < latency_lower_ns(bin + 1)))
			fail_msg("[%s] is in bin %zu", row, bin);
		if (bin > 0 && bin + 1 < LATENCY_BINS)
			check_integer(row, (latency_lower_ns(bin + 1) - latency_lower_ns(bin)) * 8 <= latency_lower_ns(bin), 1);
	}
	check_integer("the last", before, LATENCY_BINS - 1);
}

static void
quantiles_interpolate(void **state)
{
	uint64_t bins[LATENCY_BINS] = {0};

	(void)state;
	bins[latency_bin(1000000)] = 4; /* one bin: its quarters */
	double lower = (double)latency_lower_ns(latency_bin(1000000)) * 1e-6;
	double upper = (double)latency_lower_ns(latency_bin(1000000) + 1) * 1e-6;
	check_number(latency_quantile_ms(bins, 4, 0.5), (lower + upper) / 2);
	check_number(latency_quantile_ms(bins, 4, 0.75), lower + (upper - lower) * 0.75);
	check_number(latency_quantile_ms(bins, 4, 1), upper);
}

static void
many_models(void **state)
{
	char name[16];

	(void)state;
	for (int i = 0; i < HISTORY_MODELS_MAX + 5; i++) {
		(void)snprintf(name, sizeof name, "m%d", i);
		(void)metrics_series(metrics, name, "1");
		(void)metrics_series(metrics, name, ""); /* a model's own has no version, and is no version */
	}
	cJSON *json = written(0);
	assert_int_equal(cJSON_GetArraySize(member(json, "models")), HISTORY_MODELS_MAX);
	check_number(cJSON_GetNumberValue(member(json, "models_left_out")), 5);
	cJSON_Delete(json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_WITH("requests, errors and failures are in the step they were in", counts_steps, setup, teardown),
		TEST_WITH("a request is in what is written next, without a tick between", counts_at_once, setup, teardown),
		TEST_WITH("only requests that predict count, of unknown models too", only_predictions, setup, teardown),
		TEST_WITH("after an hour a step is gone, of a model's sums too", forgets_after_an_hour, setup, teardown),
		TEST_WITH("a long pause leaves empty steps", long_pause, setup, teardown),
		TEST_WITH("a time before the last one changes nothing", clock_backwards, setup, teardown),
		TEST_WITH("who comes a moment late gets the newest step", late_writer, setup, teardown),
		TEST_WITH("quantiles of a step's latency are within an eighth", latency_of_steps, setup, teardown),
		TEST("every duration is in the bin whose bounds are around it, an eighth wide", bins_are_narrow),
		TEST("a quantile lies in its bin where its rank does", quantiles_interpolate),
		TEST_WITH("two hundred models are written, and how many were left out", many_models, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
