/* test_chunks.c - tests of batch/chunks: where an input is cut, how its lines are counted, and how its format is told */
#include "batch/chunks.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

/* A file in memory that holds the text, at its start. */
static int
make_input(const char *text, size_t len)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, text + done, len - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void
open_input(struct chunks *c, const char *text, size_t len)
{
	struct err_info info;

	assert_err(chunks_init(c, make_input(text, len), "rows.csv", &info), ERR_OK, &info);
}

static void
close_input(struct chunks *c)
{
	(void)close(c->fd);
	chunks_release(c);
}

static void
formats(void **state)
{
	static const struct {
		const char *text;
		enum chunks_format format;
		size_t line; /* where reading starts */
		const char *first;
	} rows[] = {
		{"", CHUNKS_CSV, 1, ""},
		{"\n\r\n\r\r", CHUNKS_CSV, 4, "\r"},
		{"a,b\n1,2\n", CHUNKS_CSV, 1, "a,b\n1,2\n"},
		{"\xEF\xBB\xBF"
		 "a\n",
		 CHUNKS_CSV, 1, "a\n"},
		{"\xEF\xBB\xBF", CHUNKS_CSV, 1, ""},
		{"\xEF\xBB[\n", CHUNKS_CSV, 1, "\xEF\xBB[\n"},
		{"\"[1]\"\n", CHUNKS_CSV, 1, "\"[1]\"\n"},
		{"[1]\n[2]", CHUNKS_JSON_LINES, 1, "[1]\n"},
		{"{", CHUNKS_JSON_LINES, 1, "{"},
		{"\n\n \t\n  [1]\n", CHUNKS_JSON_LINES, 4, "  [1]\n"},
		{"\xEF\xBB\xBF\r\n{\n", CHUNKS_JSON_LINES, 2, "{\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chunks c;
		struct chunk chunk;
		struct err_info info;
		bool more;
		chunk_init(&chunk);
		open_input(&c, rows[i].text, strlen(rows[i].text));
		check_integer(rows[i].text, c.format, rows[i].format);
		check_err(rows[i].text, chunks_next(&c, &chunk, &more, &info), ERR_OK, &info);
		check_integer(rows[i].text, chunk.line, rows[i].line);
		check_string(rows[i].text, buf_peek(&chunk.text), rows[i].first);
		check_integer(rows[i].text, more, *rows[i].first != '\0');
		chunk_release(&chunk);
		close_input(&c);
	}
}

/* A writer that gives a pipe so many bytes at a time. */
struct writer {
	const char *text;
	size_t len;
	size_t step;
	int fd;
};

static void *
write_slowly(void *arg)
{
	const struct writer *w = arg;

	for (size_t done = 0; done < w->len; done += w->step) {
		size_t n = w->len - done < w->step ? w->len - done : w->step;
		if (write(w->fd, w->text + done, n) != (ssize_t)n)
			break;
		if (w->step < 100)
			(void)usleep(200);
	}
	(void)close(w->fd);
	return NULL;
}

/* Reads all of it: the pieces are the text, none is empty, each but the last ends behind a row, and lines and bytes are right. */
static size_t
check_pieces(struct chunks *c, const char *text, size_t len)
{
	struct chunk chunk;
	struct err_info info;
	bool more;
	size_t n = 0;
	size_t at = 0;

	chunk_init(&chunk);
	for (;; n++) {
		assert_err(chunks_next(c, &chunk, &more, &info), ERR_OK, &info);
		if (!more)
			break;
		assert_int_equal(chunk.sequence, n);
		assert_true(chunk.text.len > 0 && at + chunk.text.len <= len);
		assert_memory_equal(chunk.text.data, text + at, chunk.text.len);
		assert_int_equal(chunk.line, 1 + csv_count_lines(text, at));
		at += chunk.text.len;
		assert_int_equal(chunk.bytes, at);
		if (at < len && at > 0)
			assert_true(text[at - 1] == '\n' || (text[at - 1] == '\r' && text[at] != '\n'));
	}
	assert_int_equal(at, len);
	assert_err(chunks_next(c, &chunk, &more, &info), ERR_OK, &info);
	assert_false(more);
	chunk_release(&chunk);
	return n;
}

/* Rows with every line end, some of them with a quoted cell of several lines. */
static void
make_rows(struct buf *b, size_t n, const char *const *ends, size_t n_ends)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%zu,%s,%zu%s", i, i % 7 == 3 ? "\"a,\n\"\"\r\n\"" : "b", i * i, ends[i % n_ends]);
	assert_true(buf_ok(b));
}

static void
pieces_of_a_file(void **state)
{
	static const char *const mixed[] = {"\n", "\r\n", "\r", "\n\n"};
	static const char *const cr[] = {"\r"};
	static const char *const crlf[] = {"\r\n"};
	static const struct {
		const char *const *ends;
		size_t n;
	} kinds[] = {{mixed, 4}, {cr, 1}, {crlf, 1}};
	struct chunks c;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 24);
	for (size_t i = 0; i < 3; i++) {
		buf_reset(&b);
		make_rows(&b, 100000, kinds[i].ends, kinds[i].n);
		open_input(&c, buf_peek(&b), b.len);
		size_t n = check_pieces(&c, b.data, b.len);
		assert_true(n >= b.len / CHUNKS_BYTES && n <= b.len / CHUNKS_BYTES + 2);
		close_input(&c);
	}
	buf_release(&b);
}

static void
pieces_of_a_pipe(void **state)
{
	static const char *const mixed[] = {"\r\n", "\n", "\r"};
	static const size_t steps[] = {1, 2, 3, 7, 50, 4096, 100000};
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 22);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct err_info info;
		struct chunks c;
		pthread_t thread;
		int pipe_fds[2];
		buf_reset(&b);
		make_rows(&b, steps[i] < 100 ? 100 : 50000, mixed, 3);
		assert_int_equal(pipe(pipe_fds), 0);
		struct writer w = {.text = buf_peek(&b), .len = b.len, .step = steps[i], .fd = pipe_fds[1]};
		assert_int_equal(pthread_create(&thread, NULL, write_slowly, &w), 0);
		assert_err(chunks_init(&c, pipe_fds[0], "a pipe", &info), ERR_OK, &info);
		(void)check_pieces(&c, b.data, b.len);
		assert_int_equal(pthread_join(thread, NULL), 0);
		close_input(&c);
	}
	buf_release(&b);
}

static void
rows_are_not_held_back(void **state)
{
	struct chunks c;
	struct chunk chunk;
	struct err_info info;
	int fds[2];
	bool more;

	(void)state;
	chunk_init(&chunk);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "[1]\n[2]\n[3", 10), 10);
	assert_err(chunks_init(&c, fds[0], "a pipe", &info), ERR_OK, &info);
	assert_err(chunks_next(&c, &chunk, &more, &info), ERR_OK, &info);
	assert_string_equal(buf_peek(&chunk.text), "[1]\n[2]\n");
	assert_int_equal(write(fds[1], "]\n[4]", 5), 5);
	assert_err(chunks_next(&c, &chunk, &more, &info), ERR_OK, &info);
	assert_string_equal(buf_peek(&chunk.text), "[3]\n");
	assert_int_equal(close(fds[1]), 0);
	assert_err(chunks_next(&c, &chunk, &more, &info), ERR_OK, &info);
	assert_string_equal(buf_peek(&chunk.text), "[4]");
	assert_int_equal(chunk.line, 4);
	chunk_release(&chunk);
	close_input(&c);
}

static void
header_alone(void **state)
{
	static const char text[] = "\"a\nb\",c\r\n1,2\n3,4\n";
	struct chunks c;
	struct chunk chunk;
	struct err_info info;
	bool more;

	(void)state;
	chunk_init(&chunk);
	open_input(&c, text, strlen(text));
	assert_err(chunks_row(&c, &chunk, &more, &info), ERR_OK, &info);
	assert_string_equal(buf_peek(&chunk.text), "\"a\nb\",c\r\n");
	assert_err(chunks_next(&c, &chunk, &more, &info), ERR_OK, &info);
	assert_string_equal(buf_peek(&chunk.text), "1,2\n3,4\n");
	assert_int_equal(chunk.line, 3);
	assert_err(chunks_row(&c, &chunk, &more, &info), ERR_OK, &info);
	assert_false(more);
	chunk_release(&chunk);
	close_input(&c);
}

static void
long_rows(void **state)
{
	struct chunks c;
	struct chunk chunk;
	struct err_info info;
	struct buf b;
	bool more;
	size_t len = 5 * (size_t)CHUNKS_BYTES;

	(void)state;
	buf_init(&b, 2 * (size_t)CHUNKS_ROW_MAX);
	chunk_init(&chunk);
	assert_true(buf_reserve(&b, len + 100));
	memset(b.data, 'x', len);
	b.len = len;
	buf_str(&b, "\n1\n2\n");
	open_input(&c, b.data, b.len);
	assert_err(chunks_next(&c, &chunk, &more, &info), ERR_OK, &info);
	assert_true(chunk.text.len >= len + 1);
	assert_int_equal(chunk.text.data[len], '\n');
	close_input(&c);
	chunk_release(&chunk);
	buf_release(&b);
}

static void
rows_without_end(void **state)
{
	static const struct {
		const char *start;
		char fill;
		const char *sentence;
	} rows[] = {
		{"a\n1,2\n\"", '\n', "rows.csv: the row that starts in line 3 is longer than 33554432 bytes; does a quoted cell not end?"},
		{"[1]\n[", ' ', "rows.csv: the row that starts in line 2 is longer than 33554432 bytes"},
		{"", ' ', "rows.csv: line 1 is longer than 33554432 bytes, all of them blanks"},
	};
	size_t len = (size_t)CHUNKS_ROW_MAX + CHUNKS_BYTES;
	char *text = malloc(len + 16);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chunks c;
		struct chunk chunk;
		struct err_info info;
		bool more = true;
		size_t start = strlen(rows[i].start);
		memcpy(text, rows[i].start, start);
		memset(text + start, rows[i].fill, len);
		int fd = make_input(text, start + len);
		chunk_init(&chunk);
		enum err e = chunks_init(&c, fd, "rows.csv", &info);
		if (e == ERR_OK) {
			assert_err(chunks_next(&c, &chunk, &more, &info), ERR_OK, &info); /* the rows before it */
			assert_true(more);
			e = chunks_next(&c, &chunk, &more, &info);
			assert_true(more);
			assert_int_equal(chunk.sequence, 1);
			assert_int_equal(chunk.text.len, 0);
		}
		check_err(rows[i].start, e, ERR_FILE, &info);
		check_string(rows[i].start, info.text, rows[i].sentence);
		if (start > 0) {
			assert_err(chunks_next(&c, &chunk, &more, &info), ERR_OK, &info);
			assert_false(more);
			chunks_release(&c);
		}
		chunk_release(&chunk);
		(void)close(fd);
	}
	free(text);
}

static void
unreadable(void **state)
{
	struct chunks c;
	struct err_info info;
	int fd = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);

	(void)state;
	assert_err(chunks_init(&c, fd, "/", &info), ERR_FILE, &info);
	assert_string_equal(info.text, "/: cannot read: Is a directory");
	chunks_release(&c); /* released already, which is fine */
	(void)close(fd);
}

static void *
stop_soon(void *arg)
{
	(void)usleep(20000);
	chunks_stop(arg);
	return NULL;
}

static void
stopped(void **state)
{
	struct chunks c;
	struct chunk chunk;
	struct err_info info;
	pthread_t thread;
	int fds[2];
	bool more = true;

	(void)state;
	chunk_init(&chunk);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "a\n1\n2", 5), 5);
	assert_err(chunks_init(&c, fds[0], "a pipe", &info), ERR_OK, &info);
	assert_err(chunks_next(&c, &chunk, &more, &info), ERR_OK, &info);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, &c), 0);
	assert_err(chunks_next(&c, &chunk, &more, &info), ERR_OK, &info);
	assert_false(more); /* "2" may go on: it is no row */
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_err(chunks_next(&c, &chunk, &more, &info), ERR_OK, &info);
	assert_false(more);
	(void)close(fds[1]);
	chunk_release(&chunk);
	close_input(&c);
}

static void
descriptor_that_does_not_wait(void **state)
{
	struct chunks c;
	struct err_info info;
	pthread_t thread;
	int fds[2];
	static const char text[] = "a\n1\n2\n3\n";

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	struct writer w = {.text = text, .len = strlen(text), .step = 2, .fd = fds[1]};
	assert_int_equal(pthread_create(&thread, NULL, write_slowly, &w), 0);
	assert_err(chunks_init(&c, fds[0], "a pipe", &info), ERR_OK, &info);
	(void)check_pieces(&c, text, strlen(text));
	assert_int_equal(pthread_join(thread, NULL), 0);
	close_input(&c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("the first character that is not blank tells JSON lines from CSV, behind a byte order mark too", formats),
		TEST("the pieces of a file are whole rows with every line end, and their lines and bytes are counted", pieces_of_a_file),
		TEST("the pieces of a pipe are whole rows, however few bytes come at once", pieces_of_a_pipe),
		TEST("rows that are there are given before the next ones come", rows_are_not_held_back),
		TEST("a header is given alone, even of several lines", header_alone),
		TEST("a row longer than a block is read to its end", long_rows),
		TEST("a row without an end is refused by its line, behind the rows before it", rows_without_end),
		TEST("what cannot be read is refused with its name", unreadable),
		TEST("a stop wakes who waits for input, and what has no end is no row", stopped),
		TEST("a descriptor that does not wait is waited for", descriptor_that_does_not_wait),
	};

	return cmocka_run_group_tests_name("chunks", tests, NULL, NULL);
}
