/* test_gate.c - tests of serve/gate and serve/auth: who gets in, and keys that change meanwhile */
#include "serve/gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "folder.h"
#include "heap.h"
#include "serve/auth.h"
#include "serve/keys_edit.h"

enum { N_WORKERS = 4, S = 1000000000, PATIENCE_S = 5 };

#define START_NS (1000ULL * S)

static const char *const routes[] = {"/predict"};
static struct metrics *metrics;
static const struct log quiet = {.level = (enum log_level)(LOG_ERROR + 1)};
static char path[PATH_MAX];

static const char *
route_name(size_t i)
{
	return routes[i];
}

static int
setup(void **state)
{
	if (folder_setup(state) != 0)
		return -1;
	(void)snprintf(path, sizeof path, "%s/keys.json", folder);
	metrics = metrics_open(N_WORKERS, route_name, 1);
	return metrics != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	metrics_free(metrics);
	return folder_teardown(state);
}

/* Adds a key to the file and stores its text and its id. */
static void
add_key(unsigned scopes, int64_t expires_s, long rate, char text[KEYS_TEXT_CHARS + 1])
{
	struct key k = {.label = "a", .scopes = scopes, .expires_s = expires_s, .rate = rate};
	struct keys_edit edit;
	struct err_info info;

	assert_err(keys_edit_init(&edit, path, true, NULL, &info), ERR_OK, &info);
	assert_err(keys_edit_add(&edit, &k, text, &info), ERR_OK, &info);
	assert_err(keys_edit_save(&edit, &info), ERR_OK, &info);
	keys_edit_release(&edit);
}

static void
revoke_key(const char *text)
{
	char id[KEYS_ID_CHARS + 1] = "";
	struct keys_edit edit;
	struct err_info info;

	memcpy(id, text + strlen("futaie_"), KEYS_ID_CHARS);
	assert_err(keys_edit_init(&edit, path, false, NULL, &info), ERR_OK, &info);
	assert_true(keys_edit_remove(&edit, id));
	assert_err(keys_edit_save(&edit, &info), ERR_OK, &info);
	keys_edit_release(&edit);
}

static struct gate_options
options(void)
{
	return (struct gate_options){.keys = "", .burst_s = 1, .n_workers = N_WORKERS, .log = &quiet, .metrics = metrics};
}

static struct gate *
open_gate(const struct gate_options *o)
{
	struct gate *g;
	struct err_info info;

	assert_err(gate_open(o, &g, &info), ERR_OK, &info);
	assert_non_null(g);
	return g;
}

static enum err
ask(struct gate *g, size_t worker, const char *authorization, const char *api_key, enum keys_scope scope, uint64_t now_ns,
	struct gate_result *result)
{
	const struct gate_request r = {authorization, api_key, "192.0.2.1", scope};
	struct err_info info;

	return gate_enter(g, worker, &r, now_ns, result, &info);
}

/* With a key as X-API-Key, by worker 0, who leaves at once. */
static enum err
ask_once(struct gate *g, const char *key, enum keys_scope scope)
{
	struct gate_result result;
	enum err e = ask(g, 0, "", key, scope, START_NS, &result);

	gate_leave(g, 0);
	return e;
}

/* Waits until a key gets this answer. */
static void
await(struct gate *g, const char *key, enum err expected)
{
	const struct timespec step = {.tv_nsec = 1000000};
	uint64_t until = clock_now_ns() + (uint64_t)PATIENCE_S * S;

	while (ask_once(g, key, KEYS_PREDICT) != expected) {
		assert_true(clock_now_ns() < until);
		(void)nanosleep(&step, NULL);
	}
}

static void
off(void **state)
{
	struct gate_options o = options();
	struct gate *g = (struct gate *)&o;
	struct err_info info;

	(void)state;
	assert_err(gate_open(&o, &g, &info), ERR_OK, &info);
	assert_null(g);
	gate_reload(g);
	assert_int_equal(gate_keys(g), 0);
	gate_free(g);
}

static void
no_file(void **state)
{
	struct gate_options o = options();
	struct gate *g;
	struct err_info info;

	(void)state;
	o.keys = path;
	assert_err(gate_open(&o, &g, &info), ERR_FILE, &info);
	assert_contains(info.text, "keys.json");
	assert_null(g);
	folder_write(path, "{}");
	assert_err(gate_open(&o, &g, &info), ERR_FILE, &info);
}

static void
headers(void **state)
{
	char key[KEYS_TEXT_CHARS + 1];
	char value[256];
	struct gate_result result;
	struct gate_options o = options();
	static const struct {
		const char *authorization; /* %s is the key */
		const char *api_key;
		enum err expected;
		const char *challenge;
	} rows[] = {
		{"Bearer %s", "", ERR_OK, NULL},
		{"bearer %s", "", ERR_OK, NULL},
		{"Bearer  %s ", "", ERR_OK, NULL},
		{"", "%s", ERR_OK, NULL},
		{"Basic dXNlcjpwYXNz", "%s", ERR_OK, NULL},
		{"Bearer %s", "nonsense", ERR_OK, NULL},
		{"", "", ERR_UNAUTHORIZED, "Bearer"},
		{"Bearer", "", ERR_UNAUTHORIZED, "Bearer"},
		{"Bearer ", "", ERR_UNAUTHORIZED, "Bearer error=\"invalid_token\""},
		{"Basic %s", "", ERR_UNAUTHORIZED, "Bearer"},
		{"%s", "", ERR_UNAUTHORIZED, "Bearer"},
		{"Bearer %s x", "", ERR_UNAUTHORIZED, "Bearer"},
		{"Bearer %sx", "", ERR_UNAUTHORIZED, "Bearer error=\"invalid_token\""},
		{"Bearer nonsense", "%s", ERR_UNAUTHORIZED, "Bearer error=\"invalid_token\""},
	};

	(void)state;
	add_key(KEYS_PREDICT, INT64_MAX, 0, key);
	o.keys = path;
	struct gate *g = open_gate(&o);
	assert_int_equal(gate_keys(g), 1);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *place = strstr(rows[i].authorization, "%s");
		(void)snprintf(value, sizeof value, "%.*s%s%s", place != NULL ? (int)(place - rows[i].authorization) : 255,
					   rows[i].authorization, place != NULL ? key : "", place != NULL ? place + 2 : "");
		enum err e = ask(g, 0, value, strcmp(rows[i].api_key, "%s") == 0 ? key : rows[i].api_key, KEYS_PREDICT, START_NS, &result);
		gate_leave(g, 0);
		check_integer(rows[i].authorization, e, rows[i].expected);
		check_string(rows[i].authorization, result.challenge != NULL ? result.challenge : "",
					 rows[i].challenge != NULL ? rows[i].challenge : "");
		check_integer(rows[i].authorization, result.key[0] != '\0', e == ERR_OK);
	}
	gate_free(g);
}

static void
judgements(void **state)
{
	char good[KEYS_TEXT_CHARS + 1];
	char scraper[KEYS_TEXT_CHARS + 1];
	char expired[KEYS_TEXT_CHARS + 1];
	char lasting[KEYS_TEXT_CHARS + 1];
	char wrong[KEYS_TEXT_CHARS + 1];
	struct gate_options o = options();

	(void)state;
	add_key(KEYS_PREDICT, INT64_MAX, 0, good);
	add_key(KEYS_METRICS | KEYS_ADMIN, INT64_MAX, 0, scraper);
	add_key(KEYS_PREDICT, time(NULL), 0, expired);
	add_key(KEYS_PREDICT, time(NULL) + 1000, 0, lasting);
	o.keys = path;
	struct gate *g = open_gate(&o);
	assert_int_equal(ask_once(g, good, KEYS_PREDICT), ERR_OK);
	assert_int_equal(ask_once(g, good, KEYS_METRICS), ERR_FORBIDDEN);
	assert_int_equal(ask_once(g, good, KEYS_ADMIN), ERR_FORBIDDEN);
	assert_int_equal(ask_once(g, scraper, KEYS_PREDICT), ERR_FORBIDDEN);
	assert_int_equal(ask_once(g, scraper, KEYS_METRICS), ERR_OK);
	assert_int_equal(ask_once(g, scraper, KEYS_ADMIN), ERR_OK);
	assert_int_equal(ask_once(g, expired, KEYS_PREDICT), ERR_UNAUTHORIZED);
	assert_int_equal(ask_once(g, lasting, KEYS_PREDICT), ERR_OK);
	for (int i = 0; i < KEYS_TEXT_CHARS; i++) { /* one character is another */
		memcpy(wrong, good, sizeof wrong);
		wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
		check_integer(wrong, ask_once(g, wrong, KEYS_PREDICT), ERR_UNAUTHORIZED);
	}
	memcpy(wrong, good, sizeof wrong); /* another's id */
	memcpy(wrong, scraper, KEYS_TEXT_CHARS - KEYS_SECRET_CHARS);
	assert_int_equal(ask_once(g, wrong, KEYS_PREDICT), ERR_UNAUTHORIZED);
	gate_free(g);
}

/* Every one of a thousand keys is found, and none other. */
static void
many_keys(void **state)
{
	char(*texts)[KEYS_TEXT_CHARS + 1] = malloc(KEYS_MAX * sizeof *texts);
	struct key k = {.label = "a", .scopes = KEYS_PREDICT, .expires_s = INT64_MAX};
	struct gate_options o = options();
	struct keys_edit edit;
	struct err_info info;

	(void)state;
	assert_non_null(texts);
	assert_err(keys_edit_init(&edit, path, true, NULL, &info), ERR_OK, &info);
	for (int i = 0; i < KEYS_MAX; i++)
		assert_err(keys_edit_add(&edit, &k, texts[i], &info), ERR_OK, &info);
	assert_err(keys_edit_save(&edit, &info), ERR_OK, &info);
	keys_edit_release(&edit);
	o.keys = path;
	struct gate *g = open_gate(&o);
	for (int i = 0; i < KEYS_MAX; i++)
		assert_int_equal(ask_once(g, texts[i], KEYS_PREDICT), ERR_OK);
	gate_free(g);
	free(texts);
}

static void
reloads(void **state)
{
	char first[KEYS_TEXT_CHARS + 1];
	char second[KEYS_TEXT_CHARS + 1];
	struct gate_options o = options();

	(void)state;
	add_key(KEYS_PREDICT, INT64_MAX, 0, first);
	o.keys = path;
	struct gate *g = open_gate(&o);
	add_key(KEYS_PREDICT, INT64_MAX, 0, second);
	await(g, second, ERR_OK); /* by itself */
	revoke_key(first);
	gate_reload(g);
	await(g, first, ERR_UNAUTHORIZED);
	assert_int_equal(ask_once(g, second, KEYS_PREDICT), ERR_OK);
	assert_int_equal(gate_keys(g), 1);
	gate_free(g);
}

/* What is counted under `series` in a scrape. */
static int
scraped(const char *series)
{
	struct buf b;

	buf_init(&b, 1024 * 1024);
	metrics_write(metrics, &b);
	const char *found = strstr(buf_peek(&b), series);
	assert_non_null(found);
	int value = (int)strtol(found + strlen(series), NULL, 10);
	buf_release(&b);
	return value;
}

static void
broken_file(void **state)
{
	static const char failure[] = "futaie_keys_reloads_total{result=\"failure\"} ";
	char key[KEYS_TEXT_CHARS + 1];
	char other[KEYS_TEXT_CHARS + 1];
	struct gate_options o = options();
	const struct timespec step = {.tv_nsec = 1000000};
	uint64_t until = clock_now_ns() + (uint64_t)PATIENCE_S * S;

	(void)state;
	add_key(KEYS_PREDICT, INT64_MAX, 0, key);
	o.keys = path;
	struct gate *g = open_gate(&o);
	char *good = folder_read(path, NULL);
	for (int broken = 1; broken <= 2; broken++) {
		if (broken == 1)
			folder_write(path, "{\"keys\": [");
		else
			assert_int_equal(unlink(path), 0);
		gate_reload(g);
		while (scraped(failure) < broken) {
			assert_true(clock_now_ns() < until);
			(void)nanosleep(&step, NULL);
		}
		assert_int_equal(ask_once(g, key, KEYS_PREDICT), ERR_OK);
	}
	folder_write(path, good);
	free(good);
	add_key(KEYS_PREDICT, INT64_MAX, 0, other);
	await(g, other, ERR_OK);
	assert_true(scraped("futaie_keys_reloads_total{result=\"success\"} ") > 0);
	gate_free(g);
}

/* A reload must not fill buckets again, nor give one key's to another. */
static void
rates_outlive_reloads(void **state)
{
	char first[KEYS_TEXT_CHARS + 1];
	char second[KEYS_TEXT_CHARS + 1];
	struct gate_result result;
	struct gate_options o = options();

	(void)state;
	add_key(KEYS_PREDICT, INT64_MAX, 0, first);
	o.keys = path;
	o.rate_per_key = 2;
	struct gate *g = open_gate(&o);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask(g, 0, "", first, KEYS_PREDICT, START_NS, &result), ERR_OK);
	add_key(KEYS_PREDICT, INT64_MAX, 7, second);
	await(g, second, ERR_OK); /* takes one of its seven */
	assert_int_equal(ask(g, 0, "", first, KEYS_PREDICT, START_NS, &result), ERR_RATE_LIMITED);
	assert_int_equal(result.retry_after_s, 1);
	for (int i = 0; i < 6; i++)
		assert_int_equal(ask(g, 0, "", second, KEYS_PREDICT, START_NS, &result), ERR_OK);
	assert_int_equal(ask(g, 0, "", second, KEYS_PREDICT, START_NS, &result), ERR_RATE_LIMITED);
	assert_int_equal(ask(g, 0, "", first, KEYS_PREDICT, START_NS + S / 2, &result), ERR_OK);
	gate_free(g);
}

static void
rate_of_an_address(void **state)
{
	struct gate_options o = options();
	struct gate_request r = {"", "", "192.0.2.1", KEYS_PREDICT};
	struct gate_result result;
	struct err_info info;

	(void)state;
	o.rate_per_address = 3;
	o.burst_s = 2;
	struct gate *g = open_gate(&o);
	for (int i = 0; i < 6; i++)
		assert_err(gate_enter(g, 0, &r, START_NS, &result, &info), ERR_OK, &info);
	assert_err(gate_enter(g, 0, &r, START_NS, &result, &info), ERR_RATE_LIMITED, &info);
	assert_int_equal(result.retry_after_s, 1);
	assert_contains(info.text, "3 a second");
	r.scope = 0; /* what is not found counts as well */
	assert_err(gate_enter(g, 0, &r, START_NS, &result, &info), ERR_RATE_LIMITED, &info);
	r.address = "192.0.2.2";
	assert_err(gate_enter(g, 0, &r, START_NS, &result, &info), ERR_OK, &info);
	gate_free(g);
}

/* Also where a second of nanoseconds is no multiple of it. */
static void
names_the_rate(void **state)
{
	const struct gate_request r = {"", "", "192.0.2.1", KEYS_PREDICT};
	struct gate_options o = options();
	struct gate_result result;
	struct err_info info;

	(void)state;
	o.rate_per_address = 70001;
	struct gate *g = open_gate(&o);
	while (gate_enter(g, 0, &r, START_NS, &result, &info) == ERR_OK)
		;
	assert_err(info.code, ERR_RATE_LIMITED, &info);
	assert_contains(info.text, "it is 70001 a second");
	gate_free(g);
}

/* Also of who has no key: the limit is there before it. */
static void
address_before_key(void **state)
{
	char key[KEYS_TEXT_CHARS + 1];
	struct gate_options o = options();
	struct gate_result result;

	(void)state;
	add_key(KEYS_PREDICT, INT64_MAX, 0, key);
	o.keys = path;
	o.rate_per_address = 1;
	struct gate *g = open_gate(&o);
	assert_int_equal(ask(g, 0, "", "", KEYS_PREDICT, START_NS, &result), ERR_UNAUTHORIZED);
	assert_int_equal(ask(g, 0, "", "", KEYS_PREDICT, START_NS, &result), ERR_RATE_LIMITED);
	gate_free(g);
}

static void
in_flight(void **state)
{
	char first[KEYS_TEXT_CHARS + 1];
	char second[KEYS_TEXT_CHARS + 1];
	struct gate_result result;
	struct gate_options o = options();

	(void)state;
	add_key(KEYS_PREDICT, INT64_MAX, 0, first);
	add_key(KEYS_PREDICT, INT64_MAX, 0, second);
	o.keys = path;
	o.in_flight = 2;
	struct gate *g = open_gate(&o);
	assert_int_equal(ask(g, 0, "", first, KEYS_PREDICT, START_NS, &result), ERR_OK);
	assert_int_equal(ask(g, 1, "", first, KEYS_PREDICT, START_NS, &result), ERR_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(g, 2, "", first, KEYS_PREDICT, START_NS, &result), ERR_RATE_LIMITED);
	assert_int_equal(ask(g, 2, "", second, KEYS_PREDICT, START_NS, &result), ERR_OK);
	assert_int_equal(ask(g, 3, "", "", KEYS_PREDICT, START_NS, &result), ERR_UNAUTHORIZED);
	gate_leave(g, 3);
	gate_leave(g, 0);
	assert_int_equal(ask(g, 3, "", first, KEYS_PREDICT, START_NS, &result), ERR_OK);
	gate_free(g);
}

static void
in_flight_of_an_address(void **state)
{
	struct gate_options o = options();
	struct gate_request r = {"", "", "2001:db8::1", KEYS_PREDICT};
	struct gate_result result;
	struct err_info info;

	(void)state;
	o.in_flight = 1;
	struct gate *g = open_gate(&o);
	assert_err(gate_enter(g, 0, &r, START_NS, &result, &info), ERR_OK, &info);
	r.address = "2001:db8::2";
	assert_err(gate_enter(g, 1, &r, START_NS, &result, &info), ERR_RATE_LIMITED, &info);
	r.address = "192.0.2.1";
	assert_err(gate_enter(g, 1, &r, START_NS, &result, &info), ERR_OK, &info);
	gate_free(g);
}

struct asking {
	struct gate *gate;
	size_t worker;
	const char *key;
	atomic_bool *stop;
	long n_refused;
	long n;
};

static void *
ask_often(void *arg)
{
	struct asking *a = arg;
	struct gate_result result;

	while (!atomic_load(a->stop) || a->n == 0) {
		a->n_refused += ask(a->gate, a->worker, "", a->key, KEYS_PREDICT, START_NS, &result) != ERR_OK;
		gate_leave(a->gate, a->worker);
		a->n++;
	}
	return NULL;
}

static void
reloads_under_load(void **state)
{
	char key[KEYS_TEXT_CHARS + 1];
	char other[KEYS_TEXT_CHARS + 1];
	struct gate_options o = options();
	struct asking asking[N_WORKERS - 1];
	pthread_t threads[N_WORKERS - 1];
	atomic_bool stop = false;

	(void)state;
	add_key(KEYS_PREDICT, INT64_MAX, 0, key);
	o.keys = path;
	o.in_flight = N_WORKERS;
	struct gate *g = open_gate(&o);
	for (size_t i = 0; i < N_WORKERS - 1; i++) {
		asking[i] = (struct asking){.gate = g, .worker = i + 1, .key = key, .stop = &stop};
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &asking[i]), 0);
	}
	for (int i = 0; i < 10; i++) {
		add_key(KEYS_PREDICT, INT64_MAX, 0, other);
		gate_reload(g);
		await(g, other, ERR_OK);
		revoke_key(other);
		gate_reload(g);
		await(g, other, ERR_UNAUTHORIZED);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < N_WORKERS - 1; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(asking[i].n_refused, 0);
	}
	gate_free(g);
}

/* How long it takes is printed: a key is to cost less than a microsecond. */
static void
entering_allocates_nothing(void **state)
{
	enum { N = 100000 };
	char key[KEYS_TEXT_CHARS + 1];
	struct gate_options o = options();
	struct gate_result result;

	(void)state;
	add_key(KEYS_PREDICT, INT64_MAX, 0, key);
	o.keys = path;
	o.burst_s = 3600;
	for (int all = 0; all < 2; all++) {
		o.rate_per_key = o.rate_per_address = all ? KEYS_RATE_MAX : 0;
		o.in_flight = all ? 2 : 0;
		struct gate *g = open_gate(&o);
		assert_int_equal(ask(g, 0, "", key, KEYS_PREDICT, START_NS, &result), ERR_OK);
		heap_start();
		uint64_t start = clock_now_ns();
		for (int i = 0; i < UNIT_TIMES(N); i++) {
			(void)ask(g, 0, "", key, KEYS_PREDICT, START_NS, &result);
			gate_leave(g, 0);
		}
		uint64_t took = clock_now_ns() - start;
		assert_int_equal(heap_all, 0);
		(void)fprintf(stderr, "# a key%s: %.0f ns a request\n", all ? ", two rates and the requests in flight" : "",
					  (double)took / UNIT_TIMES(N));
		gate_free(g);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_WITH("without keys and limits there is no gate", off, setup, teardown),
		TEST_WITH("a keys file that cannot be read lets no gate open", no_file, setup, teardown),
		TEST_WITH("a key comes as a Bearer token or as X-API-Key", headers, setup, teardown),
		TEST_WITH("only the right key that has not expired and has the scope gets in", judgements, setup, teardown),
		TEST_WITH("each of a thousand keys is known", many_keys, setup, teardown),
		TEST_WITH("a changed file is taken by itself, or when that is asked", reloads, setup, teardown),
		TEST_WITH("a broken or removed file leaves the keys of before, and is counted", broken_file, setup, teardown),
		TEST_WITH("what a key has used of its rate outlives a reload", rates_outlive_reloads, setup, teardown),
		TEST_WITH("an address has a rate, and another address its own", rate_of_an_address, setup, teardown),
		TEST_WITH("who asks too often is told the rate as it was set", names_the_rate, setup, teardown),
		TEST_WITH("the rate of an address also holds for who has no key", address_before_key, setup, teardown),
		TEST_WITH("one key has so many requests in flight, and another its own", in_flight, setup, teardown),
		TEST_WITH("without keys one address has so many requests in flight", in_flight_of_an_address, setup, teardown),
		TEST_WITH("no request is refused while the keys are exchanged under load", reloads_under_load, setup, teardown),
		TEST_WITH("to let a request in allocates nothing", entering_allocates_nothing, setup, teardown),
	};

	return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
