/* test_rates.c - tests of serve/rates: buckets by a clock that the test sets, and addresses */
#include "serve/rates.h"

#include <pthread.h>
#include <stdatomic.h>

#include "unit.h"

enum { S = 1000000000 };

/* How many requests a bucket gives at one moment. */
static int
drain(rates_bucket *b, const struct rates_limit *limit, uint64_t now_ns)
{
	int n = 0;

	while (n < 1000000 && rates_take(b, limit, now_ns) == 0)
		n++;
	return n;
}

static void
burst_then_rate(void **state)
{
	static const struct {
		long rate;
		long burst_s;
	} rows[] = {{1, 1}, {1, 10}, {5, 2}, {100, 1}, {1000, 3}, {100000, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct rates_limit limit = rates_limit_of(rows[i].rate, rows[i].burst_s);
		rates_bucket b = 0;
		uint64_t now = 1000ULL * S;
		check_integer("a full bucket", drain(&b, &limit, now), rows[i].rate * rows[i].burst_s);
		for (int second = 1; second <= 5; second++)
			check_integer("each second", drain(&b, &limit, now += S), rows[i].rate);
		check_integer("after a rest", drain(&b, &limit, now + 1000ULL * S), rows[i].rate * rows[i].burst_s);
	}
}

static void
wait_is_exact(void **state)
{
	const struct rates_limit limit = rates_limit_of(4, 1);
	rates_bucket b = 0;
	uint64_t now = 77ULL * S;

	(void)state;
	assert_int_equal(drain(&b, &limit, now), 4);
	for (int i = 0; i < 10; i++) {
		uint64_t wait = rates_take(&b, &limit, now);
		assert_int_equal(wait, S / 4);
		assert_int_equal(rates_take(&b, &limit, now + wait - 1), 1);
		assert_int_equal(rates_take(&b, &limit, now + wait), 0);
		now += wait;
	}
}

static void
refusals_take_nothing(void **state)
{
	const struct rates_limit limit = rates_limit_of(2, 1);
	rates_bucket b = 0;

	(void)state;
	assert_int_equal(drain(&b, &limit, S), 2);
	for (int i = 0; i < 1000; i++)
		assert_true(rates_take(&b, &limit, S) > 0);
	assert_int_equal(drain(&b, &limit, 2ULL * S), 2);
}

/* CLOCK_MONOTONIC starts near zero where a machine has just started. */
static void
young_clock(void **state)
{
	const struct rates_limit limit = rates_limit_of(10, 5);
	rates_bucket b = 0;

	(void)state;
	assert_int_equal(drain(&b, &limit, 1), 50);
}

struct taking {
	rates_bucket *bucket;
	atomic_int *n_taken;
};

static void *
take_often(void *arg)
{
	const struct taking *t = arg;
	const struct rates_limit limit = rates_limit_of(1000, 2);

	for (int i = 0; i < 2000; i++)
		if (rates_take(t->bucket, &limit, 5ULL * S) == 0)
			atomic_fetch_add(t->n_taken, 1);
	return NULL;
}

static void
threads_take_no_more(void **state)
{
	enum { N = 4 };
	rates_bucket b = 0;
	atomic_int n_taken = 0;
	struct taking t = {&b, &n_taken};
	pthread_t threads[N];

	(void)state;
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_often, &t), 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&n_taken), 2000);
}

static void
addresses(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool same;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"2001:DB8::1", "2001:db8::1", true},
		{"::1", "127.0.0.1", false},
		{"", "unix:", true},
		{"", "192.0.2.1", false},
		{"192.0.2.1", "192.0.2.1:40000", false},
	};
	struct rates_addresses *a = rates_addresses_open();

	(void)state;
	assert_non_null(a);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t first = rates_client(a, rows[i].a);
		uint64_t second = rates_client(a, rows[i].b);
		check_integer(rows[i].b, first == second, rows[i].same);
		check_integer(rows[i].a, first != 0, true);
	}
	assert_ptr_equal(rates_bucket_of(a, rates_client(a, "192.0.2.1")), rates_bucket_of(a, rates_client(a, "192.0.2.1")));
	rates_addresses_free(a);
}

/* Nobody can know which addresses share a bucket. */
static void
own_hash(void **state)
{
	struct rates_addresses *a = rates_addresses_open();
	struct rates_addresses *b = rates_addresses_open();

	(void)state;
	assert_int_not_equal(rates_client(a, "192.0.2.1"), rates_client(b, "192.0.2.1"));
	rates_addresses_free(a);
	rates_addresses_free(b);
}

static void
few_share(void **state)
{
	enum { N = 2000 };
	static bool used[RATES_BUCKETS];
	struct rates_addresses *a = rates_addresses_open();
	int n_shared = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		char address[16];
		(void)snprintf(address, sizeof address, "10.0.%u.%u", i / 250, i % 250);
		size_t at = (size_t)(rates_bucket_of(a, rates_client(a, address)) - rates_bucket_of(a, 0));
		assert_true(at < RATES_BUCKETS);
		n_shared += used[at];
		used[at] = true;
	}
	assert_in_range(n_shared, 0, 100); /* 30 are to be expected, and 100 come once in 10^24 times */
	rates_addresses_free(a);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("a full bucket gives its burst at once, and then the rate", burst_then_rate),
		TEST("the wait that is told is exactly the time until the next request is let in", wait_is_exact),
		TEST("a refused request takes nothing from the bucket", refusals_take_nothing),
		TEST("a bucket is full also where the clock has just started", young_clock),
		TEST("threads that take at the same time get no more than there is", threads_take_no_more),
		TEST("IPv4 in either form is one client, and an IPv6 network of 64 bits is one", addresses),
		TEST("the hash of addresses is each process's own", own_hash),
		TEST("few of two thousand addresses share a bucket", few_share),
	};

	return cmocka_run_group_tests_name("rates", tests, NULL, NULL);
}
