/* test_progress.c - tests of batch/progress: the line at each moment and width, and what is written over it */
#include "batch/progress.h"

#include <fcntl.h>
#include <unistd.h>

#include "unit.h"

enum { SECOND = 1000000000 };

static void
lines(void **state)
{
	static const struct {
		size_t columns;
		uint64_t bytes; /* of 1000 */
		uint64_t rows;
		double seconds;
		const char *line;
	} rows[] = {
		{200, 0, 0, 0.1, "  0% [>                                       ] 0 rows"},
		{200, 500, 450000, 1.5, " 50% [====================>                   ] 450,000 rows  300,000 rows/s  2 s left"},
		{80, 250, 1234567, 10, " 25% [=======>                      ] 1,234,567 rows  123,456 rows/s  30 s left"},
		{60, 250, 1234567, 10, " 25% [==>       ] 1,234,567 rows  123,456 rows/s  30 s left"},
		{56, 250, 1234567, 10, " 25% 1,234,567 rows  123,456 rows/s  30 s left"},
		{20, 250, 1234567, 10, " 25% 1,234,567 rows"},
		{1, 250, 1234567, 10, ""},
		{0, 250, 1234567, 10, ""},
		{80, 100, 999, 60, " 10% [====>                                   ] 999 rows  16 rows/s  9:00 left"},
		{80, 10, 1000, 100, "  1% [>                                   ] 1,000 rows  10 rows/s  2:45:00 left"},
		{80, 999, 1000, 1, " 99% [====================================>] 1,000 rows  1,000 rows/s  0 s left"},
		{80, 1000, 1000, 61, "100% [========================================] 1,000 rows  16 rows/s  in 1:01"},
		{80, 2000, 1000, 0, "100% [========================================] 1,000 rows  0 rows/s  in 0 s"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[PROGRESS_LINE_MAX];
		const struct batch_progress now = {.bytes = rows[i].bytes, .rows = rows[i].rows};
		size_t len = progress_line(out, sizeof out, rows[i].columns, 1000, &now, (uint64_t)(rows[i].seconds * SECOND));
		check_string(rows[i].line, out, rows[i].line);
		check_integer(rows[i].line, len, strlen(rows[i].line));
		if (rows[i].columns > 0)
			assert_true(len < rows[i].columns);
	}
}

static void
every_width(void **state)
{
	char out[PROGRESS_LINE_MAX];

	(void)state;
	for (size_t columns = 0; columns < PROGRESS_LINE_MAX; columns++)
		for (uint64_t bytes = 0; bytes <= 100; bytes++) {
			const struct batch_progress now = {.bytes = bytes, .rows = bytes * UINT64_MAX / 100};
			size_t len = progress_line(out, sizeof out, columns, 100, &now, bytes * SECOND);
			assert_int_equal(len, strlen(out));
			assert_true(len < columns || len == 0);
		}
}

static void
written_over(void **state)
{
	struct progress p;
	char out[1000];
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	progress_init(&p, fds[1], 1000);
	progress_erase(&p); /* nothing stands there */
	assert_int_equal(read(fds[0], out, sizeof out), -1);
	progress_show(&p, &(struct batch_progress){.bytes = 1, .rows = 1});
	ssize_t first = read(fds[0], out, sizeof out);
	assert_true(first > 20 && out[0] == '\r' && memchr(out, '\n', (size_t)first) == NULL);
	progress_erase(&p);
	ssize_t n = read(fds[0], out, sizeof out);
	assert_int_equal(n, first + 1);
	assert_int_equal(strspn(out + 1, " "), n - 2);
	assert_true(out[0] == '\r' && out[n - 1] == '\r');
	progress_show(&p, &(struct batch_progress){.bytes = 1, .rows = 1});
	assert_true(read(fds[0], out, sizeof out) > 0);
	progress_finish(&p, &(struct batch_progress){.bytes = 1000, .rows = 9});
	n = read(fds[0], out, sizeof out);
	assert_memory_equal(out, "\r100% [", 7);
	assert_true(out[n - 1] == '\n');
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("the line tells share, rows, rate and time left, as far as it is wide", lines),
		TEST("the line is narrower than the terminal, whatever its width and the numbers", every_width),
		TEST("a line is written over the one before, erased or finished", written_over),
	};

	return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
