/* test_journal.c - tests of watch/journal: lines, samples, rotation, disks that fail, many threads at once */
#include "watch/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "folder.h"
#include "heap.h"

enum { WORKERS = 3, WAIT_S = 20 };

static struct journal *journal;
static struct log silent = {.level = (enum log_level)(LOG_ERROR + 1)};
static struct err_info info;

static const char *const names[] = {"MedInc", "say \"a\"", "Ave"};

static void
open_journal(double share, const char *omit, uint64_t file_max_bytes, size_t n_files)
{
	const struct journal_options options = {.path = folder_path("j"),
											.share = share,
											.omit = omit,
											.file_max_bytes = file_max_bytes,
											.n_files = n_files,
											.n_workers = WORKERS,
											.log = &silent};

	assert_err(journal_open(&options, &journal, &info), ERR_OK, &info);
}

static void
open_simple(void)
{
	open_journal(1, "", JOURNAL_FILE_MIN, 3);
}

static void
close_journal(void)
{
	journal_free(journal);
	journal = NULL;
}

static int
teardown(void **state)
{
	close_journal();
	return folder_teardown(state);
}

/* A file of the folder; the caller frees it. "" where there is none. */
static char *
contents(const char *name)
{
	struct buf b;

	buf_init(&b, (size_t)64 * 1024 * 1024);
	(void)buf_reserve(&b, 1);
	(void)files_read(folder_path(name), &b, &info);
	(void)buf_peek(&b);
	return b.data;
}

static struct journal_answer
answer(const char *id, size_t n_rows)
{
	static const float rows[JOURNAL_ROWS_MAX + 1][3] = {{8.3252F, NAN, 41}, {1, 2, 3}};
	static const float outputs[JOURNAL_ROWS_MAX + 1] = {4.5F, NAN};

	return (struct journal_answer){.id = id,
								   .model = "house",
								   .version = "2",
								   .features = names,
								   .n_features = 3,
								   .rows = rows[0],
								   .n_rows = n_rows,
								   .n_rows_all = n_rows,
								   .outputs = outputs,
								   .width = 1};
}

static void
write_answer(size_t worker, const char *id, size_t n_rows)
{
	struct journal_answer a = answer(id, n_rows);

	journal_answer(journal, worker, &a);
}

/* The value of a metric, by its name with labels. */
static double
metric(const char *name)
{
	struct buf b;
	char line[128];

	(void)snprintf(line, sizeof line, "\n%s ", name);
	buf_init(&b, 65536);
	journal_write_metrics(journal, &b);
	const char *found = strstr(buf_peek(&b), line);
	if (found == NULL)
		fail_msg("there is no %s", name);
	double value = strtod(found + strlen(line), NULL);
	buf_release(&b);
	return value;
}

#define check_metric(name, expected) check_integer(name, metric(name), expected)

/* Waits until the metric is at least so much. */
static void
wait_metric(const char *name, double least)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	uint64_t until = clock_now_ns() + WAIT_S * 1000000000ULL;

	while (metric(name) < least) {
		if (clock_now_ns() > until)
			fail_msg("%s is %g after %d s, expected %g", name, metric(name), WAIT_S, least);
		(void)nanosleep(&pause, NULL);
	}
}

/* Lines of a text; each must be a JSON object. */
static size_t
count_lines(const char *name, const char *text)
{
	size_t n = 0;

	for (const char *line = text; *line != '\0'; n++) {
		size_t len = strcspn(line, "\n");
		cJSON *json = NULL;
		if (line[len] != '\n')
			fail_msg("[%s] the last line is cut: %s", name, line);
		check_err(name, json_document("line", line, len, &json, &info), ERR_OK, &info);
		cJSON_Delete(json);
		line += len + 1;
	}
	return n;
}

/* Everything behind the time, which differs. */
static const char *
behind_time(const char *line)
{
	const char *id = strstr(line, ",\"id\"");

	assert_non_null(id);
	assert_int_equal(strncmp(line, "{\"kind\":\"", 9), 0);
	return id;
}

static void
lines_of_answers(void **state)
{
	(void)state;
	open_simple();
	write_answer(0, "abc", 2);
	const struct journal_truth truth = {
		.id = "abc", .model = "house", .version = "2", .row = 1, .actual = (float[]){7, 8}, .width = 2};
	journal_truth(journal, 0, &truth);
	struct journal_answer margins = answer("m", 1);
	margins.margins = true;
	margins.width = 2;
	journal_answer(journal, 0, &margins);
	close_journal();
	char *text = contents("j");
	char *second = strchr(text, '\n') + 1;
	char *third = strchr(second, '\n') + 1;
	char *fourth = strchr(third, '\n') + 1;
	check_integer(text, count_lines("j", text), 4);
	second[-1] = third[-1] = fourth[-1] = '\0';
	assert_contains(text, "{\"kind\":\"prediction\",\"time\":\"20");
	check_string(
		"first", behind_time(text),
		",\"id\":\"abc\",\"model\":\"house\",\"version\":\"2\",\"row\":0,\"features\":{\"MedInc\":8.3252,\"say \\\"a\\\"\":null,"
		"\"Ave\":41},\"prediction\":4.5}");
	assert_contains(second, "\"row\":1,\"features\":{\"MedInc\":1,\"say \\\"a\\\"\":2,\"Ave\":3},\"prediction\":null}");
	check_string("third", behind_time(third), ",\"id\":\"abc\",\"model\":\"house\",\"version\":\"2\",\"row\":1,\"actual\":[7,8]}");
	assert_contains(third, "{\"kind\":\"feedback\"");
	assert_contains(fourth, "\"margin\":[4.5,null]}");
	free(text);
}

static void
omits(void **state)
{
	(void)state;
	open_journal(1, " Ave , MedInc,,nothing", JOURNAL_FILE_MIN, 1);
	write_answer(0, "a", 2);
	close_journal();
	char *text = contents("j");
	check_integer(text, count_lines("j", text), 2);
	assert_null(strstr(text, "MedInc"));
	assert_null(strstr(text, "8.3252"));
	assert_null(strstr(text, "Ave"));
	assert_contains(text, "\"features\":{\"say \\\"a\\\"\":null},");
	free(text);
}

static void
omits_all(void **state)
{
	(void)state;
	open_journal(1, "*", JOURNAL_FILE_MIN, 1);
	write_answer(0, "a", 1);
	close_journal();
	char *text = contents("j");
	assert_contains(text, "\"features\":{},\"prediction\":4.5}");
	free(text);
}

static void
samples(void **state)
{
	enum { IDS = 200000 };
	static const double shares[] = {0, 0.01, 0.25, 0.9, 1};
	char id[32];

	(void)state;
	for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
		size_t n = 0;
		size_t nested = 0;
		open_journal(shares[i], "", JOURNAL_FILE_MIN, 1);
		struct journal *smaller = journal;
		open_journal(shares[i] / 2, "", JOURNAL_FILE_MIN, 1);
		for (int k = 0; k < IDS; k++) {
			(void)snprintf(id, sizeof id, "id-%d", k);
			n += journal_wants(smaller, id);
			nested += journal_wants(journal, id) && !journal_wants(smaller, id);
		}
		close_journal();
		journal_free(smaller);
		if (fabs((double)n / IDS - shares[i]) > 0.005)
			fail_msg("a share of %g took %zu of %d", shares[i], n, IDS);
		check_integer("a smaller share is a part of the larger", nested, 0);
	}
	/* For ever the same, since truths come after a restart, too. */
	open_journal(0.5, "", JOURNAL_FILE_MIN, 1);
	char bits[17] = "";
	for (int k = 0; k < 16; k++) {
		(void)snprintf(id, sizeof id, "%d", k);
		bits[k] = journal_wants(journal, id) ? '1' : '0';
	}
	check_string("ids 0 to 15", bits, "1110001010101011");
}

static void
too_many_rows(void **state)
{
	(void)state;
	open_simple();
	struct journal_answer a = answer("a", JOURNAL_ROWS_MAX + 1);
	a.n_rows_all = 5000;
	journal_answer(journal, 1, &a);
	check_metric("futaie_journal_lines_total{kind=\"prediction\"}", JOURNAL_ROWS_MAX);
	check_metric("futaie_journal_dropped_total{reason=\"too_many_rows\"}", 5000 - JOURNAL_ROWS_MAX);
}

static void
too_long(void **state)
{
	enum { WIDE = 20000 };
	static const char *many[WIDE];
	static float row[WIDE];
	struct journal_answer a = answer("wide", 1);

	(void)state;
	open_simple();
	for (size_t i = 0; i < WIDE; i++)
		many[i] = "name";
	a.features = many;
	a.n_features = WIDE;
	a.rows = row;
	journal_answer(journal, 0, &a);
	a.n_features = JOURNAL_FEATURES_MAX + 1; /* not even looked at */
	journal_answer(journal, 0, &a);
	write_answer(0, "next", 1);
	check_metric("futaie_journal_dropped_total{reason=\"too_long\"}", 2);
	close_journal();
	char *text = contents("j");
	check_integer("the next", count_lines("j", text), 1);
	free(text);
}

/* Numbered lines over many files: the newest are there in order and whole, and no file is too large. */
static void
rotates(void **state)
{
	enum { LINES = 40000, FILES = 3 };
	char id[32];
	size_t total = 0;
	unsigned last = LINES;

	(void)state;
	open_journal(1, "", JOURNAL_FILE_MIN, FILES);
	for (unsigned i = 0; i < LINES; i++) {
		(void)snprintf(id, sizeof id, "n%u", i);
		write_answer(0, id, 1);
		if (i % 1000 == 999)
			wait_metric("futaie_journal_bytes_total", 170.0 * i);
	}
	check_metric("futaie_journal_dropped_total{reason=\"full\"}", 0);
	close_journal();
	for (size_t f = 0; f < FILES; f++) {
		char name[16];
		(void)snprintf(name, sizeof name, f == 0 ? "j" : "j.%zu", f);
		char *text = contents(name);
		size_t n = count_lines(name, text);
		if (strlen(text) > JOURNAL_FILE_MIN || (f > 0 && strlen(text) < JOURNAL_FILE_MIN / 2))
			fail_msg("[%s] holds %zu bytes", name, strlen(text));
		unsigned first = (unsigned)strtoul(strstr(text, "\"id\":\"n") + 7, NULL, 10);
		check_integer(name, first + n, last);
		last = first;
		total += n;
		free(text);
	}
	assert_true(total < LINES);
	assert_int_not_equal(access(folder_path("j.3"), F_OK), 0);
}

static void
only_one_file(void **state)
{
	(void)state;
	open_journal(1, "", JOURNAL_FILE_MIN, 1);
	for (unsigned i = 0; i < 100; i++) {
		write_answer(0, "x", JOURNAL_ROWS_MAX);
		wait_metric("futaie_journal_bytes_total", 150.0 * i * JOURNAL_ROWS_MAX);
	}
	close_journal();
	char *text = contents("j");
	assert_true(strlen(text) > 0 && strlen(text) <= JOURNAL_FILE_MIN);
	(void)count_lines("j", text);
	free(text);
	assert_int_not_equal(access(folder_path("j.1"), F_OK), 0);
}

static void
ends_a_cut_line(void **state)
{
	(void)state;
	assert_err(files_write(folder_path("j"), "{\"kind\":\"pred", 13, &info), ERR_OK, &info);
	open_simple();
	write_answer(0, "a", 1);
	close_journal();
	open_simple();
	write_answer(0, "b", 1);
	close_journal();
	char *text = contents("j");
	assert_int_equal(strncmp(text, "{\"kind\":\"pred\n{\"kind\":\"prediction\"", 33), 0);
	check_integer(text, count_lines("j", strchr(text, '\n') + 1), 2);
	free(text);
}

static void
moved_away(void **state)
{
	(void)state;
	open_simple();
	write_answer(0, "a", 1);
	wait_metric("futaie_journal_bytes_total", 1);
	assert_int_equal(rename(folder_path("j"), folder_path("taken")), 0);
	write_answer(0, "b", 1);
	close_journal();
	char *taken = contents("taken");
	char *text = contents("j");
	assert_contains(taken, "\"id\":\"a\"");
	check_integer("taken", count_lines("taken", taken), 1);
	assert_contains(text, "\"id\":\"b\"");
	check_integer("new", count_lines("j", text), 1);
	free(taken);
	free(text);
}

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A disk that takes no more: nobody waits, what does not fit is counted, and later all that was taken is there, whole. */
static void
full_disk(void **state)
{
	char id[32];

	(void)state;
	limit_files(100000);
	open_journal(1, "", 1ULL << 40, 3);
	unsigned n = 0;
	for (; metric("futaie_journal_dropped_total{reason=\"full\"}") < 1; n++) {
		(void)snprintf(id, sizeof id, "n%u", n);
		write_answer(0, id, 1);
		assert_true(n < 100000);
	}
	wait_metric("futaie_journal_errors_total{operation=\"write\"}", 1);
	check_metric("futaie_journal_bytes_total", 100000);
	limit_files(RLIM_INFINITY);
	wait_metric("futaie_journal_bytes_total", 1000000);
	write_answer(0, "after", 1);
	check_metric("futaie_journal_dropped_total{reason=\"full\"}", 1);
	check_metric("futaie_journal_lines_total{kind=\"prediction\"}", n);
	close_journal();
	char *text = contents("j");
	check_integer("lines", count_lines("j", text), n);
	(void)snprintf(id, sizeof id, "\"id\":\"n%u\"", n - 2);
	assert_contains(text, id);
	assert_contains(text, "\"id\":\"after\"");
	free(text);
}

/* What cannot be rotated must not grow. */
static void
blocked_rotation(void **state)
{
	(void)state;
	open_journal(1, "", JOURNAL_FILE_MIN, 2);
	assert_int_equal(mkdir(folder_path("j.1"), 0700), 0);
	assert_int_equal(mkdir(folder_path("j.1/x"), 0700), 0);
	while (metric("futaie_journal_errors_total{operation=\"rotate\"}") < 1) {
		write_answer(0, "x", JOURNAL_ROWS_MAX);
		wait_metric("futaie_journal_lines_total{kind=\"prediction\"}", 0);
	}
	char *text = contents("j");
	assert_true(strlen(text) <= JOURNAL_FILE_MIN);
	free(text);
	double before = metric("futaie_journal_bytes_total");
	assert_int_equal(rmdir(folder_path("j.1/x")), 0);
	assert_int_equal(rmdir(folder_path("j.1")), 0);
	wait_metric("futaie_journal_bytes_total", before + 1);
	assert_int_equal(access(folder_path("j.1"), F_OK), 0);
}

/* The file whose renaming fails, by its name's end; "" for none. */
static const char *_Atomic stuck = "";

/* The C library's, but for that file. */
int
rename(const char *from, const char *to)
{
	const char *end = atomic_load(&stuck);
	size_t len = strlen(from);

	if (*end != '\0' && len >= strlen(end) && strcmp(from + len - strlen(end), end) == 0) {
		errno = EACCES;
		return -1;
	}
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* Every try must not push another file out. */
static void
stuck_rotation(void **state)
{
	(void)state;
	for (int i = 1; i < 5; i++) {
		char name[8];
		(void)snprintf(name, sizeof name, "j.%d", i);
		assert_err(files_write(folder_path(name), name, strlen(name), &info), ERR_OK, &info);
	}
	atomic_store(&stuck, "/j.1");
	open_journal(1, "", JOURNAL_FILE_MIN, 6);
	while (metric("futaie_journal_errors_total{operation=\"rotate\"}") < 1) {
		write_answer(0, "x", JOURNAL_ROWS_MAX);
		wait_metric("futaie_journal_lines_total{kind=\"prediction\"}", 0);
	}
	wait_metric("futaie_journal_errors_total{operation=\"rotate\"}", 3);
	double before = metric("futaie_journal_bytes_total");
	atomic_store(&stuck, "");
	wait_metric("futaie_journal_bytes_total", before + 1);
	for (int i = 1; i < 5; i++) {
		char was[8];
		char is[8];
		(void)snprintf(was, sizeof was, "j.%d", i);
		(void)snprintf(is, sizeof is, "j.%d", i + 1);
		char *text = contents(is);
		assert_string_equal(text, was);
		free(text);
	}
}

static void
cannot_be_written(void **state)
{
	struct journal_options options = {
		.share = 1, .omit = "", .file_max_bytes = JOURNAL_FILE_MIN, .n_files = 1, .n_workers = 1, .log = &silent};

	(void)state;
	options.path = folder_path("none/j");
	assert_err(journal_open(&options, &journal, &info), ERR_FILE, &info);
	assert_contains(info.text, "No such file or directory");
	options.path = folder;
	assert_err(journal_open(&options, &journal, &info), ERR_FILE, &info);
	options.path = "/dev/null";
	assert_err(journal_open(&options, &journal, &info), ERR_FILE, &info);
	assert_contains(info.text, "it is no file");
	assert_null(journal);
	assert_err(journal_check(folder_path("new"), &info), ERR_OK, &info);
	assert_int_equal(access(folder_path("new"), F_OK), 0);
}

static void
modes(void **state)
{
	struct stat st;

	(void)state;
	mode_t before = umask(0);
	open_simple();
	(void)umask(before);
	assert_int_equal(stat(folder_path("j"), &st), 0);
	check_integer("mode", st.st_mode & 07777, 0640);
}

static void *
producer(void *arg)
{
	size_t me = *(size_t *)arg;
	char id[32];

	for (unsigned i = 0; i < (unsigned)UNIT_TIMES(30000); i++) {
		(void)snprintf(id, sizeof id, "w%zu-%u", me, i);
		write_answer(me, id, 1);
	}
	return NULL;
}

static void
many_threads(void **state)
{
	pthread_t threads[WORKERS];
	size_t numbers[WORKERS];
	size_t seen = 0;

	(void)state;
	open_journal(1, "", 1ULL << 40, 1);
	for (size_t i = 0; i < WORKERS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, producer, &numbers[i]), 0);
	}
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	double taken = metric("futaie_journal_lines_total{kind=\"prediction\"}");
	double dropped = metric("futaie_journal_dropped_total{reason=\"full\"}");
	check_integer("all are counted", taken + dropped, WORKERS * UNIT_TIMES(30000));
	close_journal();
	char *text = contents("j");
	check_integer("lines", count_lines("j", text), taken);
	/* Those of one worker are in their order. */
	unsigned next[WORKERS] = {0};
	for (const char *p = text; (p = strstr(p, "\"id\":\"w")) != NULL; p++, seen++) {
		char *end;
		size_t worker = strtoul(p + 7, &end, 10);
		unsigned number = (unsigned)strtoul(end + 1, NULL, 10);
		assert_true(worker < WORKERS);
		check_integer("order", number >= next[worker], 1);
		next[worker] = number + 1;
	}
	check_integer("seen", seen, taken);
	free(text);
}

static void
allocates_nothing(void **state)
{
	const struct journal_truth truth = {.id = "a", .model = "house", .version = "2", .actual = (float[]){7}, .width = 1};

	(void)state;
	open_simple();
	write_answer(0, "warm", 1); /* the C library reads its time zone once */
	heap_start();
	for (unsigned i = 0; i < 10000; i++) {
		if (journal_wants(journal, "a"))
			write_answer(0, "a", 3);
		journal_truth(journal, 0, &truth);
	}
	check_integer("allocations", heap_all, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_WITH("answers and truths have a line a row", lines_of_answers, folder_setup, teardown),
		TEST_WITH("features that are to be left out are nowhere", omits, folder_setup, teardown),
		TEST_WITH("all features can be left out", omits_all, folder_setup, teardown),
		TEST_WITH("a share of the ids is in the sample, always the same ones", samples, folder_setup, teardown),
		TEST_WITH("rows beyond the most of an answer are dropped and counted", too_many_rows, folder_setup, teardown),
		TEST_WITH("a line that is too long is dropped and counted", too_long, folder_setup, teardown),
		TEST_WITH("files are rotated between lines, bounded in size and number", rotates, folder_setup, teardown),
		TEST_WITH("one file alone is bounded as well", only_one_file, folder_setup, teardown),
		TEST_WITH("a line that a crash has cut is ended, and a restart appends", ends_a_cut_line, folder_setup, teardown),
		TEST_WITH("a file that was moved away is made anew", moved_away, folder_setup, teardown),
		TEST_WITH("a full disk blocks nobody and cuts no line", full_disk, folder_setup, teardown),
		TEST_WITH("a file that cannot be rotated does not grow", blocked_rotation, folder_setup, teardown),
		TEST_WITH("where one file cannot be renamed the others are all kept", stuck_rotation, folder_setup, teardown),
		TEST_WITH("a journal that cannot be written is an error at the start", cannot_be_written, folder_setup, teardown),
		TEST_WITH("the file is not for everyone to read", modes, folder_setup, teardown),
		TEST_WITH("threads that write at once lose and mix nothing", many_threads, folder_setup, teardown),
		TEST_WITH("writing a line allocates nothing", allocates_nothing, folder_setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
