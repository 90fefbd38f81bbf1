/* log.c - JSON lines on standard error */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_END = 48 /* kept free for "cut" and the end of the object */ };

void
log_line_init(struct buf *line)
{
	buf_init(line, LOG_LINE_MAX);
}

static char *
put(char *p, long value, int n_digits, char behind)
{
	for (int i = n_digits - 1; i >= 0; i--, value /= 10)
		p[i] = (char)('0' + value % 10);
	p[n_digits] = behind;
	return p + n_digits + 1;
}

/* {"time":"2026-11-24T23:42:49.798123Z */
static void
add_time(struct buf *line, const struct tm *utc, long us)
{
	char text[48] = "{\"time\":\"";
	char *p = text + strlen(text);

	p = put(p, utc->tm_year + 1900L, 4, '-');
	p = put(p, utc->tm_mon + 1L, 2, '-');
	p = put(p, utc->tm_mday, 2, 'T');
	p = put(p, utc->tm_hour, 2, ':');
	p = put(p, utc->tm_min, 2, ':');
	p = put(p, utc->tm_sec, 2, '.');
	p = put(p, us, 6, 'Z');
	buf_add(line, text, (size_t)(p - text));
}

static void
add_name(struct buf *line, const char *name)
{
	buf_str(line, ",\"");
	buf_str(line, name);
	buf_str(line, "\":");
}

bool
log_begin(struct buf *line, const struct log *log, enum log_level level, const char *event)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	struct timespec now;
	struct tm utc;

	if (level < log->level)
		return false;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &utc);
	buf_reset(line);
	line->max = LOG_LINE_MAX;
	add_time(line, &utc, now.tv_nsec / 1000);
	buf_str(line, "\",\"level\":\"");
	buf_str(line, names[level]);
	buf_str(line, "\",\"event\":\"");
	buf_str(line, event);
	buf_char(line, '"');
	return true;
}

/* Takes a field that did not fit back, says so once, and lets no more in. */
static void
keep_whole(struct buf *line, size_t before, const char *name)
{
	if (buf_ok(line) && line->len <= line->max - LINE_END)
		return;
	bool first = line->max == LOG_LINE_MAX;
	line->len = before;
	line->failed = false;
	if (first)
		buf_printf(line, ",\"cut\":\"%s\"", name);
	line->max = line->len + LINE_END;
}

void
log_text(struct buf *line, const char *name, const char *value)
{
	size_t before = line->len;

	add_name(line, name);
	text_json_string(line, value, strlen(value));
	keep_whole(line, before, name);
}

void
log_integer(struct buf *line, const char *name, long long value)
{
	size_t before = line->len;

	add_name(line, name);
	buf_integer(line, value);
	keep_whole(line, before, name);
}

static void
finish(struct buf *line)
{
	line->max = LOG_LINE_MAX;
	buf_str(line, "}\n");
}

void
log_end(struct buf *line)
{
	finish(line);
	log_write(line);
}

void
log_keep(struct buf *line, struct buf *kept)
{
	finish(line);
	if (kept->len + line->len > LOG_KEPT_MAX)
		log_write(kept);
	buf_add(kept, line->data, line->len);
	if (!buf_ok(kept)) /* no memory to keep it */
		log_write(line);
}

void
log_write(struct buf *kept)
{
	/* A log that cannot be written must not fail a request, so the result is of no use. */
	ssize_t written = kept->len > 0 ? write(STDERR_FILENO, kept->data, kept->len) : 0;
	(void)written;
	buf_reset(kept);
}

void
log_message(const struct log *log, enum log_level level, const char *event, const char *format, ...)
{
	struct buf line;
	char text[2 * 1024];
	va_list args;

	log_line_init(&line);
	if (!log_begin(&line, log, level, event))
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_text(&line, "message", text);
	log_end(&line);
	buf_release(&line);
}
