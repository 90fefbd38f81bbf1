/* test_buf.c - tests of base/buf: growth, the maximum, and the failed flag */
#include "base/buf.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

static void
chain_of_appends(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_null(b.data);
	buf_str(&b, "one");
	buf_char(&b, ' ');
	buf_add(&b, "two!", 3);
	buf_printf(&b, " %d%%", 3);
	buf_add(&b, NULL, 0);
	assert_true(buf_ok(&b));
	assert_string_equal(buf_peek(&b), "one two 3%");
	assert_int_equal(b.len, 10);
	buf_release(&b);
	assert_null(b.data);
}

static void
binary_bytes(void **state)
{
	struct buf b;
	const char bytes[] = {0, 1, (char)0xFF, 0};

	(void)state;
	buf_init(&b, 100);
	buf_add(&b, bytes, sizeof bytes);
	buf_char(&b, '\0');
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, bytes, 4);
	buf_release(&b);
}

static void
exactly_the_maximum(void **state)
{
	(void)state;
	for (size_t max = 1; max < 2000; max += 7) {
		struct buf b;
		buf_init(&b, max);
		for (size_t i = 0; i < max; i++)
			buf_char(&b, (char)('a' + i % 26));
		assert_true(buf_ok(&b));
		assert_int_equal(b.len, max);
		buf_char(&b, 'x');
		assert_false(buf_ok(&b));
		assert_int_equal(b.len, max);
		assert_true(b.cap <= max);
		for (size_t i = 0; i < max; i++)
			assert_int_equal(b.data[i], 'a' + (int)(i % 26));
		buf_release(&b);
	}
}

static void
never_above_the_maximum(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct buf b;
		char bytes[700] = {0};
		size_t max = unit_random(&seed) % 3000;
		size_t len = 0;
		buf_init(&b, max);
		for (int i = 0; i < 20; i++) {
			size_t n = unit_random(&seed) % sizeof bytes;
			bool fits = n <= max - len;
			bool failed = b.failed;
			buf_add(&b, bytes, n);
			len += fits ? n : 0;
			assert_int_equal(b.len, len);
			assert_int_equal(b.failed, failed || !fits);
			assert_true(b.cap <= max);
		}
		buf_release(&b);
	}
}

static void
failed_append_keeps_the_bytes(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_str(&b, "abc");
	buf_str(&b, "defg");
	assert_false(buf_ok(&b));
	assert_int_equal(b.len, 3);
	buf_str(&b, "d"); /* what fits is still taken, but the chain stays failed */
	assert_false(buf_ok(&b));
	buf_reset(&b);
	assert_true(buf_ok(&b));
	assert_int_equal(b.len, 0);
	buf_str(&b, "fghij");
	assert_true(buf_ok(&b));
	assert_memory_equal(b.data, "fghij", 5);
	buf_release(&b);
}

static void
sizes_that_would_overflow(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX / 4);
	buf_str(&b, "abc");
	assert_false(buf_reserve(&b, SIZE_MAX));
	assert_false(buf_reserve(&b, SIZE_MAX - 2));
	assert_false(buf_reserve(&b, SIZE_MAX / 4));
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "abc", 3);
	buf_release(&b);
}

static void
printf_too_long(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	buf_printf(&b, "%02000d", 1);
	assert_false(buf_ok(&b));
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

static void
reset_keeps_the_memory(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	assert_true(buf_reserve(&b, 5000));
	const char *data = b.data;
	buf_reset(&b);
	assert_true(buf_reserve(&b, 5000));
	assert_ptr_equal(b.data, data);
	buf_release(&b);
}

static void
shrink(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	buf_str(&b, "abc");
	size_t cap = b.cap;
	buf_shrink(&b, cap);
	assert_int_equal(b.cap, cap);
	assert_int_equal(b.len, 0);
	assert_true(buf_reserve(&b, 5000));
	b.failed = true;
	buf_shrink(&b, 4999);
	assert_int_equal(b.cap, 0);
	assert_null(b.data);
	assert_true(buf_ok(&b));
	buf_str(&b, "again");
	assert_string_equal(buf_peek(&b), "again");
	buf_release(&b);
}

static void
peek_of_nothing(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_string_equal(buf_peek(&b), "");
	buf_init(&b, 100);
	assert_string_equal(buf_peek(&b), "");
	buf_release(&b);
}

static void
zeroed_struct(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_release(&b);
	buf_char(&b, 'x');
	assert_false(buf_ok(&b));
	assert_int_equal(b.len, 0);
	buf_release(&b);
	buf_release(&b);
}

static void
gives_back_what_was_read(void **state)
{
	enum { SIZE = 1 << 20, READ = 300001 };
	struct buf b;
	unsigned char resident[SIZE / 4096 + 2];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	buf_init(&b, SIZE);
	buf_give_back(&b, 0);
	for (size_t i = 0; i < SIZE; i++)
		buf_char(&b, (char)i);
	buf_give_back(&b, 1);
	assert_int_equal(b.data[0], 0);
	assert_int_equal(b.data[1], 1);
	buf_give_back(&b, READ);
	assert_int_equal(b.len, SIZE);
	for (size_t i = READ; i < SIZE; i++)
		assert_int_equal(b.data[i], (char)i);
	char *first = b.data + page - (uintptr_t)b.data % page;
	size_t n = (size_t)(b.data + READ - first) / page;
	assert_true(n > READ / page - 2);
	assert_int_equal(mincore(first, n * page, resident), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(resident[i] & 1, 0);
	buf_release(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("a chain of appends gives one NUL-terminated text", chain_of_appends),
		TEST("a buffer holds bytes of any value", binary_bytes),
		TEST("a buffer takes exactly its maximum and not one byte more", exactly_the_maximum),
		TEST("no mix of appends exceeds the maximum, in bytes used or allocated", never_above_the_maximum),
		TEST("a failed append leaves the bytes and marks the chain until a reset", failed_append_keeps_the_bytes),
		TEST("a reserve whose size would overflow fails and leaves the bytes", sizes_that_would_overflow),
		TEST("a formatted text that is too long fails as a whole", printf_too_long),
		TEST("a reset keeps the memory", reset_keeps_the_memory),
		TEST("a shrink gives back more than it may keep, and no less", shrink),
		TEST("bytes that were read go back to the system by whole pages, and those behind them stay", gives_back_what_was_read),
		TEST("the text of an empty buffer is the empty string", peek_of_nothing),
		TEST("a zeroed buffer refuses appends and may be released twice", zeroed_struct),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
