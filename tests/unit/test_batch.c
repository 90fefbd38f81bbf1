/* test_batch.c - tests of batch/batch: XGBoost's bits in the rows' order by any number of threads, and what is written before a failure */
#include "batch/batch.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/text.h"
#include "expected.h"

enum { TEXT_MAX = 1 << 26 };

static struct model *model; /* reg-squarederror: five features */

static int
open_model(void **state)
{
	struct err_info info;

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	return model_open(FOLDER_FIXTURES, "reg-squarederror", "1", MODEL_XGBOOST, &model, &info) == ERR_OK ? 0 : -1;
}

static int
free_model(void **state)
{
	(void)state;
	model_free(model);
	return 0;
}

static int
memory_file(const char *text, size_t len)
{
	int fd = memfd_create("batch", MFD_CLOEXEC);

	assert_true(fd >= 0);
	if (len > 0)
		assert_int_equal(write(fd, text, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Runs a batch over the text; what it writes is appended to `out`. */
static enum err
run(struct batch *b, const char *text, size_t len, struct buf *out, struct batch_progress *done, struct err_info *info)
{
	int in_fd = memory_file(text, len);
	int out_fd = memory_file("", 0);
	struct stat st;

	b->in_fd = in_fd;
	b->out_fd = out_fd;
	b->in_name = "rows";
	b->n_threads = b->n_threads > 0 ? b->n_threads : 1;
	b->model = b->model != NULL ? b->model : model;
	enum err e = batch_run(b, done, info);
	assert_int_equal(fstat(out_fd, &st), 0);
	assert_true(buf_reserve(out, (size_t)st.st_size));
	assert_int_equal(pread(out_fd, out->data + out->len, (size_t)st.st_size, 0), st.st_size);
	out->len += (size_t)st.st_size;
	(void)close(in_fd);
	(void)close(out_fd);
	return e;
}

/* What the outputs should look like, by the rules of the manual page. */
static void
print_expected(struct buf *out, const float *values, size_t n_rows, size_t width, bool json)
{
	for (size_t i = 0; i < n_rows * width; i++) {
		if (i % width == 0 && json && width > 1)
			buf_char(out, '[');
		if (json || isfinite(values[i]))
			text_json_float(out, values[i]);
		else
			buf_str(out, isnan(values[i]) ? "nan" : values[i] > 0 ? "inf" : "-inf");
		if (i % width + 1 < width)
			buf_char(out, ',');
		else
			buf_str(out, json && width > 1 ? "]\n" : "\n");
	}
}

/* The rows as CSV, behind a header of the model's names, or as JSON lines, arrays and objects in turns. */
static void
print_rows(struct buf *out, const struct expected *x, const struct features *f, bool json)
{
	for (size_t c = 0; !json && c < f->n; c++)
		buf_printf(out, "%s%s", c > 0 ? "," : "", f->names[c]);
	buf_str(out, json ? "" : "\n");
	for (size_t i = 0; i < x->n_rows; i++) {
		bool object = i % 2 == 1;
		if (json)
			buf_str(out, object ? "{" : "[");
		for (size_t c = 0; c < f->n; c++) {
			buf_str(out, c > 0 ? "," : "");
			if (json && object)
				buf_printf(out, "\"%s\":", f->names[c]);
			if (isnan(x->rows[i * f->n + c]))
				buf_str(out, json ? "null" : "");
			else
				buf_printf(out, "%.9g", (double)x->rows[i * f->n + c]);
		}
		buf_str(out, json ? (object ? "}\n" : "]\n") : "\r\n");
	}
	assert_true(buf_ok(out));
}

static void
check_fixture_as(const char *name, const struct model *m, const struct expected *x, int kind)
{
	bool json = kind & 1;
	bool margin = kind & 2;
	struct batch b = {.model = m, .output = margin ? BOOSTER_MARGIN : BOOSTER_VALUE, .json = json, .n_threads = 1 + (kind & 1)};
	size_t width = margin ? x->n_margins : x->n_values;
	struct batch_progress done;
	struct err_info info;
	struct buf in;
	struct buf out;
	struct buf expected;

	buf_init(&in, TEXT_MAX);
	buf_init(&out, TEXT_MAX);
	buf_init(&expected, TEXT_MAX);
	print_rows(&in, x, model_features(m), json);
	check_err(name, run(&b, in.data, in.len, &out, &done, &info), ERR_OK, &info);
	print_expected(&expected, margin ? x->margins : x->predictions, x->n_rows, width, json);
	/* What is not finite is null in the expectations, which cannot tell inf from nan. */
	if (json || strstr(buf_peek(&expected), "nan") == NULL)
		check_string(name, buf_peek(&out), buf_peek(&expected));
	check_integer(name, done.rows, x->n_rows);
	check_integer(name, done.bytes, in.len);
	buf_release(&in);
	buf_release(&out);
	buf_release(&expected);
}

static void
check_fixture(const char *name)
{
	struct expected x;
	struct err_info info;
	struct model *m;

	expected_init(&x, name);
	check_err(name, model_open(FOLDER_FIXTURES, name, "1", MODEL_XGBOOST, &m, &info), ERR_OK, &info);
	for (int kind = 0; kind < 4; kind++)
		check_fixture_as(name, m, &x, kind);
	model_free(m);
	expected_release(&x);
}

static void
every_fixture(void **state)
{
	(void)state;
	expected_each(check_fixture);
}

/* `n` rows of the example model that differ. */
static void
make_rows(struct buf *out, size_t n, bool json)
{
	uint64_t seed = 21;

	buf_str(out, json ? "" : "size,age,load,slope,shift\n");
	for (size_t i = 0; i < n; i++) {
		uint64_t r = unit_random(&seed);
		buf_printf(out, json ? "[%u.%u,%u,%u,%u,%u]\n" : "%u.%u,%u,%u,%u,%u\n", (unsigned)(r % 7), (unsigned)(r >> 8) % 1000,
				   (unsigned)(r >> 16) % 5, (unsigned)(r >> 24) % 3, (unsigned)(r >> 32) % 9, (unsigned)(r >> 40) % 4);
	}
	assert_true(buf_ok(out));
}

/* One row after the other is asked by another way: all rows in one call of the model. */
static void
order_is_kept(void **state)
{
	static const size_t threads[] = {1, 2, 3, 8, 64};
	size_t n = (size_t)UNIT_TIMES(300000);
	struct buf in;
	struct buf out;
	struct buf first;
	struct batch_progress done;
	struct err_info info;

	(void)state;
	buf_init(&in, TEXT_MAX);
	buf_init(&out, TEXT_MAX);
	buf_init(&first, TEXT_MAX);
	for (int json = 0; json <= 1; json++) {
		buf_reset(&in);
		buf_reset(&first);
		make_rows(&in, n, json);
		for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
			struct batch b = {.n_threads = threads[t]};
			buf_reset(&out);
			assert_err(run(&b, in.data, in.len, &out, &done, &info), ERR_OK, &info);
			assert_int_equal(done.rows, n);
			if (t == 0)
				buf_add(&first, out.data, out.len);
			assert_int_equal(out.len, first.len);
			assert_memory_equal(out.data, first.data, first.len);
		}
	}
	buf_release(&in);
	buf_release(&out);
	buf_release(&first);
}

/* Short rows of a model with several outputs: a chunk's lines are then more than are printed before some of them are written. */
static void
more_lines_than_rows(void **state)
{
	size_t n = 150000;
	struct model *several;
	struct batch_progress done;
	struct err_info info;
	struct buf in;
	struct buf out;
	struct buf first;

	(void)state;
	buf_init(&in, TEXT_MAX);
	buf_init(&out, TEXT_MAX);
	buf_init(&first, TEXT_MAX);
	assert_err(model_open(FOLDER_FIXTURES, "multi-softprob", "1", MODEL_XGBOOST, &several, &info), ERR_OK, &info);
	buf_str(&in, "size,age,load,slope,shift\n");
	for (size_t i = 0; i < n; i++)
		buf_str(&in, i == 0 || i * i / 1000 % 3 != 0 ? "-9,,,,\n" : "9,9,,,\n");
	for (size_t threads = 1; threads <= 5; threads++) {
		struct batch b = {.model = several, .n_threads = threads};
		buf_reset(&out);
		assert_err(run(&b, in.data, in.len, &out, &done, &info), ERR_OK, &info);
		assert_int_equal(done.rows, n);
		if (threads == 1)
			buf_add(&first, out.data, out.len);
		assert_int_equal(out.len, first.len);
		assert_memory_equal(out.data, first.data, first.len);
	}
	const char *second_line = strchr(first.data, '\n') + 1;
	const char *last_line = memrchr(first.data, '\n', first.len - 1);
	assert_true(strncmp(first.data, last_line + 1, (size_t)(second_line - first.data)) != 0); /* rows differ: order can be seen */
	model_free(several);
	buf_release(&in);
	buf_release(&out);
	buf_release(&first);
}

static size_t
count(const struct buf *b, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == c;
	return n;
}

static void
rows_before_a_wrong_one(void **state)
{
	static const size_t bad_rows[] = {0, 1, 4095, 4096, 20000, 59999};
	struct buf in;
	struct buf out;
	struct buf whole;
	struct batch_progress done;
	struct err_info info;
	char sentence[100];

	(void)state;
	buf_init(&in, TEXT_MAX);
	buf_init(&out, TEXT_MAX);
	buf_init(&whole, TEXT_MAX);
	make_rows(&in, 60000, false);
	assert_err(run(&(struct batch){0}, in.data, in.len, &whole, &done, &info), ERR_OK, &info);
	for (size_t i = 0; i < 2 * sizeof bad_rows / sizeof bad_rows[0]; i++) {
		size_t bad = bad_rows[i / 2];
		char *p = strchr(in.data, '\n') + 1;
		for (size_t row = 0; row < bad; row++)
			p = strchr(p, '\n') + 1;
		char kept = *p;
		*p = 'x';
		buf_reset(&out);
		struct batch b = {.n_threads = i % 2 ? 4 : 1};
		assert_err(run(&b, in.data, in.len, &out, &done, &info), ERR_BAD_CSV, &info);
		*p = kept;
		(void)snprintf(sentence, sizeof sentence, "rows: line %zu, column 1, feature \"size\": expected a number, found \"x",
					   bad + 2);
		assert_contains(info.text, sentence);
		assert_int_equal(done.rows, bad);
		assert_int_equal(count(&out, '\n'), bad);
		assert_true(out.len <= whole.len && memcmp(buf_peek(&out), whole.data, out.len) == 0);
	}
	buf_release(&in);
	buf_release(&out);
	buf_release(&whole);
}

static void
refused(void **state)
{
	static const struct {
		const char *text;
		enum err e;
		const char *sentence;
		const char *written;
	} rows[] = {
		{"", ERR_NO_ROWS, "rows is empty; expected CSV with a header of the features' names, or JSON lines", ""},
		{"\n \r\n", ERR_NO_ROWS, "rows is empty", ""},
		{" \t\r\n\n \rsize,age,load,slope,shift\n1,2,3,4,x\n", ERR_BAD_CSV, "rows: line 5, column 5, feature \"shift\"", ""},
		{"\n\r\n\r", ERR_NO_ROWS, "rows is empty", ""},
		{"\xEF\xBB\xBF", ERR_NO_ROWS, "rows is empty", ""},
		{"size,age,load,slope,shift", ERR_NO_ROWS, "rows: there are no rows behind the header", ""},
		{"size,age,load,slope,shift\r\n\r\n", ERR_NO_ROWS, "rows: there are no rows behind the header", ""},
		{"\nsize,age,load,slope\n1,2,3,4\n", ERR_MISSING_FEATURE, "rows: line 2: the header lacks the feature \"shift\"", ""},
		{"\"size\n\",age,load,slope\n", ERR_UNKNOWN_FEATURE, "rows: line 1, column 1: the header names", ""},
		{"size,age,load,slope,shift\n1,2,3,4\n", ERR_WRONG_FEATURE_COUNT, "rows: line 2 has 4 cells; the header has 5", ""},
		{"size,age,load,slope,shift\n1,2,3,4,\"5\n", ERR_BAD_CSV, "rows: line 2, column 5: a quoted cell does not end", ""},
		{"[1,2,3,4,5]\n\n[1,2,3,4]\n", ERR_WRONG_FEATURE_COUNT, "rows: line 3 has 4 values; the model has 5 features", "1"},
		{"[1,2,3,4,Infinity]", ERR_BAD_NUMBER, "rows: line 1, feature \"shift\", column 10: Infinity is not a value", ""},
	};
	struct batch_progress done;
	struct err_info info;
	struct buf out;

	(void)state;
	buf_init(&out, TEXT_MAX);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct batch b = {.n_threads = 2};
		buf_reset(&out);
		check_err(rows[i].text, run(&b, rows[i].text, strlen(rows[i].text), &out, &done, &info), rows[i].e, &info);
		check_contains(rows[i].text, info.text, rows[i].sentence);
		check_integer(rows[i].text, count(&out, '\n'), strlen(rows[i].written));
		check_integer(rows[i].text, done.rows, strlen(rows[i].written));
	}
	buf_release(&out);
}

static void
full_disk(void **state)
{
	struct batch b = {.model = model, .n_threads = 2, .in_name = "rows"};
	struct batch_progress done;
	struct err_info info;
	struct buf in;

	(void)state;
	buf_init(&in, TEXT_MAX);
	make_rows(&in, 100000, false);
	b.in_fd = memory_file(in.data, in.len);
	b.out_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(b.out_fd >= 0);
	assert_err(batch_run(&b, &done, &info), ERR_FILE, &info);
	assert_string_equal(info.text, "cannot write the predictions: No space left on device");
	(void)close(b.in_fd);
	(void)close(b.out_fd);
	buf_release(&in);
}

/* The input stays open and silent: who has nothing to do but wait for it must not wait for ever. */
static void
closed_pipe(void **state)
{
	static const char text[] = "size,age,load,slope,shift\n1,2,3,4,5\n1,2,3,4,5\n";
	struct batch b = {.model = model, .n_threads = 4, .in_name = "rows"};
	struct batch_progress done;
	struct err_info info;
	int in_fds[2];
	int out_fds[2];

	(void)state;
	assert_int_equal(pipe(in_fds), 0);
	assert_int_equal(pipe(out_fds), 0);
	assert_int_equal(write(in_fds[1], text, strlen(text)), strlen(text));
	(void)close(out_fds[0]);
	b.in_fd = in_fds[0];
	b.out_fd = out_fds[1];
	assert_err(batch_run(&b, &done, &info), ERR_CLOSED_PIPE, &info);
	assert_int_equal(done.rows, 0);
	(void)close(in_fds[0]);
	(void)close(in_fds[1]);
	(void)close(out_fds[1]);
}

struct reader {
	int fd;
	struct buf got;
};

static void *
read_slowly(void *arg)
{
	struct reader *r = arg;
	char bytes[5000];
	ssize_t n;

	while ((n = read(r->fd, bytes, sizeof bytes)) > 0) {
		buf_add(&r->got, bytes, (size_t)n);
		(void)usleep(1000); /* so that the threads run as far ahead as they may */
	}
	return NULL;
}

/* A pipe that does not wait takes a part of what is written, then nothing for a while. */
static void
short_writes(void **state)
{
	struct batch b = {.model = model, .n_threads = 2, .in_name = "rows"};
	struct batch_progress done;
	struct err_info info;
	struct reader reader;
	pthread_t thread;
	struct buf in;
	struct buf out;
	int fds[2];

	(void)state;
	buf_init(&in, TEXT_MAX);
	buf_init(&out, TEXT_MAX);
	buf_init(&reader.got, TEXT_MAX);
	make_rows(&in, 100000, true);
	assert_err(run(&(struct batch){0}, in.data, in.len, &out, &done, &info), ERR_OK, &info);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	reader.fd = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
	b.in_fd = memory_file(in.data, in.len);
	b.out_fd = fds[1];
	assert_err(batch_run(&b, &done, &info), ERR_OK, &info);
	(void)close(fds[1]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(reader.got.len, out.len);
	assert_memory_equal(reader.got.data, out.data, out.len);
	(void)close(b.in_fd);
	(void)close(fds[0]);
	buf_release(&reader.got);
	buf_release(&in);
	buf_release(&out);
}

struct told {
	int times;
	struct batch_progress last;
	int in_fd; /* closed after a few times: the end of the input */
};

static void
take_progress(void *arg, const struct batch_progress *now)
{
	struct told *told = arg;

	assert_true(now->rows >= told->last.rows && now->bytes >= told->last.bytes);
	told->last = *now;
	if (++told->times == 2)
		(void)close(told->in_fd);
}

static void
progress_is_told(void **state)
{
	static const char text[] = "size,age,load,slope,shift\n1,2,3,4,5\n1,2,3,4,5\n1,2,3,";
	struct told told = {0};
	struct batch b = {.model = model, .n_threads = 2, .in_name = "rows", .progress = take_progress, .progress_arg = &told};
	struct batch_progress done;
	struct err_info info;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
	told.in_fd = fds[1];
	b.in_fd = fds[0];
	b.out_fd = memory_file("", 0);
	assert_err(batch_run(&b, &done, &info), ERR_WRONG_FEATURE_COUNT, &info); /* the half row at the end */
	assert_true(told.times >= 2);
	assert_int_equal(told.last.rows, 2);
	assert_int_equal(told.last.bytes, strlen(text) - strlen("1,2,3,"));
	assert_int_equal(done.rows, 2);
	(void)close(b.in_fd);
	(void)close(b.out_fd);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("every fixture's values and margins have XGBoost's bits, from CSV and from JSON lines", every_fixture),
		TEST("lines come in the order of the rows, whatever the number of threads", order_is_kept),
		TEST("lines that are many times as long as their rows come whole and in order", more_lines_than_rows),
		TEST("the rows before a wrong one are written, and no others, wherever it stands", rows_before_a_wrong_one),
		TEST("what holds no rows or wrong ones is refused by line and column", refused),
		TEST("a full disk is a failure with a sentence", full_disk),
		TEST("a closed pipe ends the run, even while more input is waited for", closed_pipe),
		TEST("what is written in parts arrives whole", short_writes),
		TEST("progress is told while rows are waited for, and never goes back", progress_is_told),
	};

	return cmocka_run_group_tests_name("batch", tests, open_model, free_model);
}
