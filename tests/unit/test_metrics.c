/* test_metrics.c - tests of watch/metrics: sums over shards, and the exposition line by line */
#include "watch/metrics.h"

#include <math.h>
#include <pthread.h>

#include "heap.h"

static const char *
route_name(size_t route)
{
	static const char *const names[] = {"/predict", "/models/{name}", "other"};

	return names[route];
}

static struct metrics *
open_metrics(size_t n_shards)
{
	struct metrics *m = metrics_open(n_shards, route_name, 3);

	assert_non_null(m);
	return m;
}

/* The whole exposition; the caller frees it. */
static char *
written(const struct metrics *m)
{
	struct buf b;

	buf_init(&b, (size_t)64 * 1024 * 1024);
	metrics_write(m, &b);
	assert_true(buf_ok(&b));
	(void)buf_peek(&b);
	return b.data;
}

/* The value of the sample whose name and labels are `series`, or NaN where there is none or more than one. */
static double
value(const char *text, const char *series)
{
	size_t len = strlen(series);
	double found = NAN;
	int n = 0;

	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		if (strncmp(line, series, len) == 0 && line[len] == ' ') {
			found = strtod(line + len + 1, NULL);
			n++;
		}
	return n == 1 ? found : NAN;
}

#define check_value(text, series, expected)                                                                                        \
	do {                                                                                                                           \
		double value_ = value((text), (series));                                                                                   \
		if (!(fabs(value_ - (expected)) <= 1e-9 * fabs((double)(expected))))                                                       \
			fail_msg("%s is %.17g, expected %.17g", (series), value_, (double)(expected));                                         \
	} while (0)

static void
sums_shards(void **state)
{
	struct metrics *m = open_metrics(3);
	struct metrics_series *a = metrics_series(m, "a", "1");

	(void)state;
	for (size_t shard = 0; shard < 3; shard++)
		for (size_t i = 0; i <= shard; i++)
			metrics_prediction(a, shard, ERR_OK, 2, 1000);
	metrics_prediction(a, 0, ERR_BAD_JSON, 0, 0);
	metrics_prediction(a, 2, ERR_BAD_JSON, 0, 0);
	metrics_prediction(a, 1, ERR_NO_ROWS, 0, 0);
	metrics_prediction(metrics_unknown(m), 1, ERR_UNKNOWN_MODEL, 0, 0);
	char *text = written(m);
	check_value(text, "prediction_requests_total{model=\"a\",version=\"1\"}", 9);
	check_value(text, "prediction_requests_total{model=\"\",version=\"\"}", 1);
	check_value(text, "prediction_errors_total{model=\"a\",version=\"1\",code=\"bad_json\"}", 2);
	check_value(text, "prediction_errors_total{model=\"a\",version=\"1\",code=\"no_rows\"}", 1);
	check_value(text, "prediction_errors_total{model=\"\",version=\"\",code=\"unknown_model\"}", 1);
	check_value(text, "futaie_batch_rows_count{model=\"a\",version=\"1\"}", 6);
	check_value(text, "futaie_batch_rows_sum{model=\"a\",version=\"1\"}", 12);
	check_value(text, "futaie_predict_duration_seconds_count{model=\"a\",version=\"1\"}", 6);
	check_value(text, "futaie_predict_duration_seconds_sum{model=\"a\",version=\"1\"}", 6e-6);
	free(text);
	metrics_free(m);
}

static void
row_buckets(void **state)
{
	static const size_t rows[] = {1, 2, 3, 5, 6, 100000, 100001, 4000000000U};
	static const struct {
		const char *le;
		double count;
	} expected[] = {{"1", 1}, {"2", 2}, {"5", 4}, {"10", 5}, {"50", 5}, {"100000", 6}, {"+Inf", 8}};
	struct metrics *m = open_metrics(1);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		metrics_prediction(metrics_series(m, "a", "1"), 0, ERR_OK, rows[i], 0);
	char *text = written(m);
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		char series[128];
		(void)snprintf(series, sizeof series, "futaie_batch_rows_bucket{model=\"a\",version=\"1\",le=\"%s\"}", expected[i].le);
		check_value(text, series, expected[i].count);
	}
	check_value(text, "futaie_batch_rows_sum{model=\"a\",version=\"1\"}", 4000200018.0);
	free(text);
	metrics_free(m);
}

static void
duration_buckets(void **state)
{
	static const uint64_t durations[] = {0, 50000, 50001, 1000000, 10000000000U, 10000000001U};
	static const struct {
		const char *le;
		double count;
	} expected[] = {{"5e-05", 2}, {"0.0001", 3}, {"0.0005", 3}, {"0.001", 4}, {"5", 4}, {"10", 5}, {"+Inf", 6}};
	struct metrics *m = open_metrics(2);

	(void)state;
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
		metrics_request_begin(m, i % 2);
		metrics_request_end(m, i % 2, 1, durations[i]);
	}
	char *text = written(m);
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		char series[128];
		(void)snprintf(series, sizeof series, "futaie_request_duration_seconds_bucket{route=\"/models/{name}\",le=\"%s\"}",
					   expected[i].le);
		check_value(text, series, expected[i].count);
	}
	check_value(text, "futaie_request_duration_seconds_sum{route=\"/models/{name}\"}", 20.001100002);
	check_value(text, "futaie_request_duration_seconds_count{route=\"/models/{name}\"}", 6);
	check_value(text, "futaie_request_duration_seconds_count{route=\"/predict\"}", 0);
	free(text);
	metrics_free(m);
}

static void
in_flight(void **state)
{
	struct metrics *m = open_metrics(3);

	(void)state;
	metrics_request_begin(m, 0);
	metrics_request_begin(m, 2);
	char *text = written(m);
	check_value(text, "futaie_requests_in_flight", 2);
	free(text);
	metrics_request_end(m, 0, 0, 1);
	text = written(m);
	check_value(text, "futaie_requests_in_flight", 1);
	free(text);
	metrics_request_end(m, 2, 0, 1);
	text = written(m);
	check_value(text, "futaie_requests_in_flight", 0);
	free(text);
	metrics_free(m);
}

static void
reloads(void **state)
{
	struct metrics *m = open_metrics(1);

	(void)state;
	metrics_reload(m, true);
	metrics_reload(m, true);
	metrics_reload(m, false);
	char *text = written(m);
	check_value(text, "futaie_model_reloads_total{result=\"success\"}", 2);
	check_value(text, "futaie_model_reloads_total{result=\"failure\"}", 1);
	free(text);
	metrics_free(m);
}

static void
series_are_made_once(void **state)
{
	struct metrics *m = open_metrics(1);
	struct metrics_series *a = metrics_series(m, "a", "1");

	(void)state;
	assert_ptr_equal(metrics_series(m, "a", "1"), a);
	assert_ptr_not_equal(metrics_series(m, "a", "2"), a);
	assert_ptr_not_equal(metrics_series(m, "b", "1"), a);
	assert_ptr_equal(metrics_series(m, "a", "1"), a);
	assert_ptr_not_equal(metrics_unknown(m), a);
	metrics_free(m);
	metrics_free(NULL);
}

static void
model_failures(void **state)
{
	struct metrics *m = open_metrics(2);

	(void)state;
	metrics_model_failure(metrics_series(m, "house", ""), ERR_GOLDEN_MISMATCH);
	metrics_model_failure(metrics_series(m, "house", ""), ERR_GOLDEN_MISMATCH);
	metrics_model_failure(metrics_series(m, "hut", ""), ERR_FILE);
	char *text = written(m);
	check_value(text, "futaie_model_failures_total{model=\"house\",reason=\"golden_mismatch\"}", 2);
	check_value(text, "futaie_model_failures_total{model=\"hut\",reason=\"file\"}", 1);
	assert_null(strstr(text, "prediction_requests_total{model=\"house\"")); /* it has answered nothing */
	free(text);
	metrics_free(m);
}

static void
most_series(void **state)
{
	struct metrics *m = open_metrics(2);
	struct metrics_series *last = NULL;
	char version[16];

	(void)state;
	for (int i = 1; i <= METRICS_SERIES_MAX; i++) {
		(void)snprintf(version, sizeof version, "%d", i);
		last = metrics_series(m, "a", version);
		metrics_prediction(last, 0, ERR_OK, 1, 1);
	}
	char *text = written(m);
	assert_null(strstr(text, "model=\"other\""));
	free(text);
	struct metrics_series *other = metrics_series(m, "b", "1");
	assert_ptr_not_equal(other, last);
	assert_ptr_equal(metrics_series(m, "c", "7"), other);
	assert_ptr_equal(metrics_series(m, "a", version), last);
	metrics_prediction(other, 1, ERR_OK, 1, 1);
	metrics_prediction(other, 0, ERR_BAD_JSON, 1, 1);
	text = written(m);
	check_value(text, "prediction_requests_total{model=\"other\",version=\"\"}", 2);
	check_value(text, "prediction_errors_total{model=\"other\",version=\"\",code=\"bad_json\"}", 1);
	check_value(text, "prediction_requests_total{model=\"a\",version=\"1000\"}", 1);
	assert_null(strstr(text, "model=\"b\""));
	free(text);
	metrics_free(m);
}

static void
labels(void **state)
{
	static const struct {
		const char *value;
		const char *expected;
	} rows[] = {
		{"", "\"\""},           {"a", "\"a\""},        {"a\"b", "\"a\\\"b\""},
		{"a\\b", "\"a\\\\b\""}, {"a\nb", "\"a\\nb\""}, {"\xC3\xA9{}=,", "\"\xC3\xA9{}=,\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf b;
		buf_init(&b, 100);
		metrics_label(&b, rows[i].value);
		check_string(rows[i].value, buf_peek(&b), rows[i].expected);
		buf_release(&b);
	}
}

/* [a-zA-Z_:][a-zA-Z0-9_:]* */
static size_t
name_length(const char *p)
{
	size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");

	return *p >= '0' && *p <= '9' ? 0 : n;
}

/* The end of {name="value",…} at `p`, or NULL where it is broken. */
static const char *
labels_end(const char *p)
{
	if (*p != '{')
		return p;
	do {
		size_t n = name_length(++p);
		if (n == 0 || p[n] != '=' || p[n + 1] != '"')
			return NULL;
		for (p += n + 2; *p != '"'; p++) {
			if (*p == '\n' || *p == '\0')
				return NULL;
			if (*p == '\\' && strchr("\\\"n", *++p) == NULL)
				return NULL;
		}
		p++;
	} while (*p == ',');
	return *p == '}' ? p + 1 : NULL;
}

/* One line of the text format 0.0.4: a comment of ours, or a sample of the family that was last announced. */
static void
check_line(const char *line, char family[128])
{
	char row[256];
	char *end;
	const char *p;
	char type[16];
	size_t n = name_length(line);

	(void)snprintf(row, sizeof row, "%.*s", (int)strcspn(line, "\n"), line);
	if (strncmp(row, "# HELP ", 7) == 0) {
		check_integer(row, sscanf(row + 7, "%127s", family), 1);
		return;
	}
	if (strncmp(row, "# TYPE ", 7) == 0) {
		char name[128];
		check_integer(row, sscanf(row + 7, "%127s %15s", name, type), 2);
		check_string(row, name, family);
		check_integer(row, strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 || strcmp(type, "histogram") == 0, true);
		return;
	}
	check_integer(row, n > 0 && strncmp(line, family, strlen(family)) == 0, true);
	p = labels_end(line + n);
	check_integer(row, p != NULL && *p == ' ', true);
	(void)strtod(p + 1, &end);
	check_integer(row, end > p + 1 && *end == '\n', true);
}

static void
exposition(void **state)
{
	struct metrics *m = open_metrics(2);
	char family[128] = "";
	int families = 0;

	(void)state;
	metrics_prediction(metrics_series(m, "quote\"back\\slash\nline", "1"), 0, ERR_OK, 3, 500);
	metrics_prediction(metrics_series(m, "b", "1"), 1, ERR_WRONG_TYPE, 3, 500);
	metrics_request_end(m, 1, 2, 700);
	char *text = written(m);
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
		check_line(line, family);
		families += strncmp(line, "# TYPE ", 7) == 0;
	}
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_true(families >= 12);
	check_value(text, "prediction_requests_total{model=\"quote\\\"back\\\\slash\\nline\",version=\"1\"}", 1);
	check_value(text, "futaie_batch_rows_count{model=\"quote\\\"back\\\\slash\\nline\",version=\"1\"}", 1);
	free(text);
	metrics_free(m);
}

/* Each family once, and no sample twice. */
static void
nothing_twice(void **state)
{
	struct metrics *m = open_metrics(1);

	(void)state;
	metrics_prediction(metrics_series(m, "a", "1"), 0, ERR_OK, 3, 500);
	char *text = written(m);
	for (char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
		char series[256];
		const char *end = line[0] == '#' ? line + strcspn(line, "\n") : labels_end(line + name_length(line));
		(void)snprintf(series, sizeof series, "\n%.*s ", (int)(end - line), line);
		const char *again = strstr(line + 1, series);
		check_integer(series + 1, again == NULL, true);
	}
	free(text);
	metrics_free(m);
}

static void
buckets_are_cumulative(void **state)
{
	struct metrics *m = open_metrics(4);
	uint64_t seed = 1;
	double before = 0;
	int n = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		metrics_prediction(metrics_series(m, "a", "1"), (size_t)(i % 4), ERR_OK, 1, unit_random(&seed) % 20000000000U);
	char *text = written(m);
	static const char prefix[] = "futaie_predict_duration_seconds_bucket{";
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
		if (strncmp(line, prefix, strlen(prefix)) != 0)
			continue;
		double count = strtod(strchr(line, ' '), NULL);
		assert_true(count >= before);
		before = count;
		n++;
	}
	assert_int_equal(n, 18);
	assert_int_equal((int)before, 1000);
	free(text);
	metrics_free(m);
}

static void
process_metrics(void **state)
{
	struct metrics *m = open_metrics(1);
	char *text = written(m);

	(void)state;
	assert_true(value(text, "process_resident_memory_bytes") > 100000);
	assert_true(value(text, "process_virtual_memory_bytes") > value(text, "process_resident_memory_bytes"));
	assert_true(value(text, "process_open_fds") >= 2);
	assert_true(value(text, "process_max_fds") >= 3);
	assert_true(value(text, "process_cpu_seconds_total") >= 0);
	assert_true(value(text, "process_start_time_seconds") > 1.6e9);
	free(text);
	metrics_free(m);
}

struct counting {
	struct metrics *m;
	size_t shard;
};

enum { COUNTED = 20000 };

static void *
count_often(void *arg)
{
	const struct counting *c = arg;

	for (int i = 0; i < COUNTED; i++) {
		char version[16];
		metrics_request_begin(c->m, c->shard);
		(void)snprintf(version, sizeof version, "%d", i % 5);
		metrics_prediction(metrics_series(c->m, "a", version), c->shard, i % 10 == 0 ? ERR_NO_ROWS : ERR_OK, 1, 1);
		metrics_request_end(c->m, c->shard, 0, 1);
	}
	return NULL;
}

static void
threads_count_right(void **state)
{
	enum { N = 4 };
	struct metrics *m = open_metrics(N);
	pthread_t threads[N];
	struct counting counting[N];
	double requests = 0;
	double errors = 0;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		counting[i] = (struct counting){m, i};
		assert_int_equal(pthread_create(&threads[i], NULL, count_often, &counting[i]), 0);
	}
	for (int i = 0; i < 20; i++) /* scrapes meanwhile */
		free(written(m));
	for (size_t i = 0; i < N; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	char *text = written(m);
	for (int i = 0; i < 5; i++) {
		char series[128];
		(void)snprintf(series, sizeof series, "prediction_requests_total{model=\"a\",version=\"%d\"}", i);
		requests += value(text, series);
		(void)snprintf(series, sizeof series, "prediction_errors_total{model=\"a\",version=\"%d\",code=\"no_rows\"}", i);
		errors += i % 5 == 0 ? value(text, series) : 0;
	}
	assert_int_equal((int)requests, N * COUNTED);
	assert_int_equal((int)errors, N * COUNTED / 10);
	check_value(text, "futaie_request_duration_seconds_count{route=\"/predict\"}", N * COUNTED);
	free(text);
	metrics_free(m);
}

static void
counting_allocates_nothing(void **state)
{
	struct metrics *m = open_metrics(1);
	struct metrics_series *a = metrics_series(m, "a", "1");

	(void)state;
	heap_start();
	for (int i = 0; i < 100; i++) {
		metrics_request_begin(m, 0);
		metrics_prediction(a, 0, i % 2 == 0 ? ERR_OK : ERR_BAD_JSON, 10, 1000);
		metrics_request_end(m, 0, 1, 1000);
	}
	assert_int_equal(heap_all, 0);
	metrics_free(m);
}

static void
counts_of_a_series(void **state)
{
	struct metrics *m = metrics_open(2, route_name, 1);
	struct metrics_series *one = metrics_series(m, "house", "1");
	struct metrics_counts n;

	(void)state;
	(void)metrics_series(m, "house", "");
	struct metrics_series *two = metrics_series(m, "house", "2");
	metrics_read(m, one, &n);
	assert_int_equal(n.answered + n.refused + n.rows + n.total_ns + n.last_ms, 0);
	metrics_prediction(one, 0, ERR_OK, 10, 300);
	metrics_steps(one, 0, ERR_OK, 1000, 200, 400);
	metrics_prediction(one, 1, ERR_OK, 5, 30);
	metrics_steps(one, 1, ERR_OK, 100, 20, 40);
	metrics_prediction(one, 1, ERR_BAD_JSON, 7, 0);
	metrics_steps(one, 1, ERR_BAD_JSON, 9, 5, 0);
	metrics_read(m, one, &n);
	assert_int_equal(n.answered, 2);
	assert_int_equal(n.refused, 1);
	assert_int_equal(n.rows, 15);
	assert_int_equal(n.total_ns, 1100);
	assert_int_equal(n.input_ns, 220);
	assert_int_equal(n.scorer_ns, 330);
	assert_int_equal(n.output_ns, 440);
	assert_int_equal(n.refused_ns, 9);
	assert_true(n.last_ms > 1600000000000);
	assert_ptr_equal(metrics_next(m, NULL), one);
	assert_ptr_equal(metrics_next(m, one), two);
	assert_null(metrics_next(m, two));
	assert_string_equal(metrics_series_model(two), "house");
	assert_string_equal(metrics_series_version(two), "2");
	metrics_free(m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("a scrape sums requests, errors, rows and durations over all workers", sums_shards),
		TEST("rows fall into the bucket of their upper bound, and beyond all into +Inf", row_buckets),
		TEST("durations are counted in nanoseconds and printed in seconds, by route", duration_buckets),
		TEST("requests in flight are those begun and not ended", in_flight),
		TEST("reloads are counted by result", reloads),
		TEST("a series is made once for each model and version", series_are_made_once),
		TEST("versions that could not be served are counted by model and reason", model_failures),
		TEST("over 2000 series are counted together as other", most_series),
		TEST("a label's value has quotes, backslashes and line ends escaped", labels),
		TEST("every line of a scrape is the text format 0.0.4", exposition),
		TEST("a scrape has no family and no sample twice", nothing_twice),
		TEST("the buckets of a histogram are cumulative up to its count", buckets_are_cumulative),
		TEST("the standard metrics of a process are there", process_metrics),
		TEST("threads that count while others scrape lose nothing", threads_count_right),
		TEST("counting allocates nothing", counting_allocates_nothing),
		TEST("what a series has counted is summed over the workers, and series come one after the other", counts_of_a_series),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
