/* test_log.c - tests of base/log: every line is one JSON object in one write, whatever stands in it */
#include "base/log.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <regex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "heap.h"

static int saved_stderr = -1;
static int caught = -1; /* a file in memory, which is standard error while catching */

static void
catch_stderr(void)
{
	caught = memfd_create("stderr", 0);
	assert_true(caught >= 0);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(dup2(caught, STDERR_FILENO) >= 0);
}

/* What was written since catch_stderr(); the caller frees it. */
static char *
caught_stderr(void)
{
	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	off_t len = lseek(caught, 0, SEEK_END);
	char *text = calloc((size_t)len + 1, 1);
	assert_non_null(text);
	assert_int_equal(pread(caught, text, (size_t)len, 0), len);
	(void)close(caught);
	return text;
}

/* The tree of exactly one line, which both the strict reader and cJSON take. */
static cJSON *
line_tree(const char *text)
{
	struct err_info info;
	cJSON *tree;
	size_t len = strlen(text);

	assert_true(len > 0);
	check_integer(text, len <= LOG_LINE_MAX, true);
	check_integer(text, text[len - 1], '\n');
	check_integer(text, strcspn(text, "\n"), len - 1);
	/* Names may stand twice ("cut"), so json_document() would be too strict. */
	struct json_reader r;
	json_init(&r, text, len, &info);
	check_err(text, json_skip(&r, 2), ERR_OK, &info);
	check_err(text, json_end(&r), ERR_OK, &info);
	tree = cJSON_Parse(text);
	assert_non_null(tree);
	return tree;
}

static const char *
member(const cJSON *tree, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, name));

	return text != NULL ? text : "(none)";
}

static void
a_line(void **state)
{
	const struct log log = {.level = LOG_INFO};
	struct buf line;
	regex_t time;

	(void)state;
	log_line_init(&line);
	catch_stderr();
	bool begun = log_begin(&line, &log, LOG_WARN, "reload");
	log_text(&line, "model", "a\"b\\c\n\xFF");
	log_integer(&line, "rows", -3);
	log_integer(&line, "most", LLONG_MIN);
	log_end(&line);
	char *text = caught_stderr();
	assert_true(begun);
	cJSON *tree = line_tree(text);
	assert_string_equal(member(tree, "level"), "warn");
	assert_string_equal(member(tree, "event"), "reload");
	assert_string_equal(member(tree, "model"), "a\"b\\c\n\xEF\xBF\xBD");
	assert_contains(text, "\"rows\":-3,\"most\":-9223372036854775808}\n");
	assert_int_equal(regcomp(&time, "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$", REG_EXTENDED), 0);
	check_integer(member(tree, "time"), regexec(&time, member(tree, "time"), 0, NULL, 0), 0);
	regfree(&time);
	cJSON_Delete(tree);
	free(text);
	buf_release(&line);
}

static void
levels(void **state)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	struct buf line;

	(void)state;
	log_line_init(&line);
	for (int least = LOG_DEBUG; least <= LOG_ERROR; least++) {
		const struct log log = {.level = (enum log_level)least};
		for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
			catch_stderr();
			bool begun = log_begin(&line, &log, (enum log_level)level, "x");
			if (begun)
				log_end(&line);
			char *text = caught_stderr();
			check_integer(names[level], begun, level >= least);
			if (begun) {
				cJSON *tree = line_tree(text);
				check_string(names[level], member(tree, "level"), names[level]);
				cJSON_Delete(tree);
			}
			free(text);
		}
	}
	buf_release(&line);
}

/* A line with one text of `len` times `c` between two short ones. */
static void
check_long_text(char c, size_t len)
{
	const struct log log = {.level = LOG_DEBUG};
	char value[2 * LOG_LINE_MAX] = "";
	struct buf line;
	char row[64];

	(void)snprintf(row, sizeof row, "%zu times 0x%02X", len, (unsigned)(unsigned char)c);
	memset(value, c, len);
	value[len] = '\0';
	log_line_init(&line);
	catch_stderr();
	(void)log_begin(&line, &log, LOG_INFO, "request");
	log_text(&line, "first", "kept");
	log_text(&line, "long", value);
	log_text(&line, "last", "short");
	log_end(&line);
	char *text = caught_stderr();
	cJSON *tree = line_tree(text);
	check_string(row, member(tree, "first"), "kept");
	bool whole = strcmp(member(tree, "long"), "(none)") != 0;
	if (!whole)
		check_string(row, member(tree, "cut"), "long");
	if (len < 400)
		check_integer(row, whole, true);
	if (len > LOG_LINE_MAX)
		check_integer(row, whole, false);
	cJSON_Delete(tree);
	free(text);
	buf_release(&line);
}

static void
texts_that_do_not_fit(void **state)
{
	(void)state;
	check_long_text('x', 399);
	check_long_text('x', 2 * LOG_LINE_MAX - 1);
	check_long_text('\x01', LOG_LINE_MAX);
	for (size_t len = LOG_LINE_MAX - 220; len <= LOG_LINE_MAX; len++)
		check_long_text('x', len);
	for (size_t len = 600; len < 670; len++)
		check_long_text('\x01', len);
}

/* The fields of a request's line with a path and an error that together are longer than a line, whatever the lengths. */
static void
full_lines(void **state)
{
	const struct log log = {.level = LOG_DEBUG};
	struct buf line;
	char value[LOG_LINE_MAX];

	(void)state;
	log_line_init(&line);
	for (size_t len = LOG_LINE_MAX - 400; len < LOG_LINE_MAX - 40; len++) {
		memset(value, 'x', len);
		value[len] = '\0';
		catch_stderr();
		(void)log_begin(&line, &log, LOG_INFO, "request");
		log_text(&line, "request_id", "0123456789abcdef");
		log_text(&line, "path", value);
		log_integer(&line, "status", 503);
		log_integer(&line, "duration_us", 30000000);
		log_text(&line, "model", "0123456789012345678901234567890123456789012345678901234567890123");
		log_text(&line, "version", "123456789012345");
		log_integer(&line, "rows", 100000);
		log_text(&line, "code", "unsupported_media_type");
		log_text(&line, "error", "a sentence");
		log_end(&line);
		char *text = caught_stderr();
		cJSON_Delete(line_tree(text));
		free(text);
	}
	buf_release(&line);
}

static void
messages(void **state)
{
	const struct log log = {.level = LOG_INFO};

	(void)state;
	catch_stderr();
	log_message(&log, LOG_DEBUG, "quiet", "not written");
	log_message(&log, LOG_ERROR, "champion_failed", "model %s: \"%d\"", "a", 7);
	char *text = caught_stderr();
	cJSON *tree = line_tree(text);
	assert_string_equal(member(tree, "event"), "champion_failed");
	assert_string_equal(member(tree, "message"), "model a: \"7\"");
	cJSON_Delete(tree);
	free(text);
}

static void
long_messages(void **state)
{
	const struct log log = {.level = LOG_INFO};
	char value[8000];

	(void)state;
	memset(value, 'x', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	catch_stderr();
	log_message(&log, LOG_INFO, "long", "%s", value);
	char *text = caught_stderr();
	cJSON *tree = line_tree(text);
	assert_contains(member(tree, "message"), "xxxxx");
	cJSON_Delete(tree);
	free(text);
}

static void
lines_do_not_leak_into_each_other(void **state)
{
	const struct log log = {.level = LOG_INFO};
	struct buf line;

	(void)state;
	log_line_init(&line);
	catch_stderr();
	(void)log_begin(&line, &log, LOG_INFO, "one");
	log_text(&line, "secret", "x");
	log_end(&line);
	(void)log_begin(&line, &log, LOG_INFO, "two");
	log_end(&line);
	char *text = caught_stderr();
	char *second = strchr(text, '\n') + 1;
	cJSON *tree = line_tree(second);
	assert_string_equal(member(tree, "event"), "two");
	assert_string_equal(member(tree, "secret"), "(none)");
	cJSON_Delete(tree);
	free(text);
	buf_release(&line);
}

static void
request_line(struct buf *line, const struct log *log)
{
	(void)log_begin(line, log, LOG_INFO, "request");
	log_text(line, "request_id", "0123456789abcdef");
	log_text(line, "path", "/models/a/predict");
	log_integer(line, "status", 200);
	log_end(line);
}

/* Writes into a socket of packets, so that each write is seen for itself. */
static void
kept_lines(void **state)
{
	enum { LINES = 100 };
	const struct log log = {.level = LOG_INFO};
	struct buf line;
	struct buf kept;
	char packet[2 * LOG_KEPT_MAX];
	int ends[2];
	size_t n_lines = 0;
	size_t n_writes = 0;
	ssize_t len;

	(void)state;
	log_line_init(&line);
	buf_init(&kept, LOG_KEPT_MAX);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	int saved = dup(STDERR_FILENO);
	(void)dup2(ends[0], STDERR_FILENO);
	for (int i = 0; i < LINES; i++) {
		(void)log_begin(&line, &log, LOG_INFO, "request");
		log_integer(&line, "number", i);
		log_keep(&line, &kept);
	}
	log_write(&kept);
	log_write(&kept); /* nothing is left */
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	(void)close(ends[0]);
	for (; (len = read(ends[1], packet, sizeof packet - 1)) > 0; n_writes++) {
		packet[len] = '\0';
		check_integer("bytes at once", len <= LOG_KEPT_MAX, true);
		check_integer("the last byte", packet[len - 1], '\n');
		for (char *p = packet; *p != '\0'; p = strchr(p, '\n') + 1, n_lines++)
			check_integer("the line's number", strtol(strstr(p, "\"number\":") + strlen("\"number\":"), NULL, 10), (long)n_lines);
	}
	(void)close(ends[1]);
	assert_int_equal(n_lines, LINES);
	assert_in_range(n_writes, 2, LINES / 10);
	buf_release(&line);
	buf_release(&kept);
}

static void
warm_lines_allocate_nothing(void **state)
{
	const struct log log = {.level = LOG_INFO};
	struct buf line;

	(void)state;
	log_line_init(&line);
	catch_stderr();
	request_line(&line, &log);
	heap_start();
	for (int i = 0; i < 100; i++)
		request_line(&line, &log);
	size_t n = heap_all;
	free(caught_stderr());
	assert_int_equal(n, 0);
	buf_release(&line);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("a line is one JSON object with time, level, event and its fields", a_line),
		TEST("lines below the level are not written", levels),
		TEST("a text that does not fit is left out and named as cut", texts_that_do_not_fit),
		TEST("a line that is filled to its end is still one JSON object", full_lines),
		TEST("a message is formatted and escaped, or not written at its level", messages),
		TEST("a message that is too long is cut and still one JSON object", long_messages),
		TEST("a line holds nothing of the line before", lines_do_not_leak_into_each_other),
		TEST("lines that are kept are written whole, in order, many at once", kept_lines),
		TEST("a warm line allocates nothing", warm_lines_allocate_nothing),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
