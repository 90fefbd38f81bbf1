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
	buf_printf(line, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ\",\"level\":\"%s\",\"event\":\"%s\"", utc.tm_year + 1900,
			   utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000, names[level], event);
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

	buf_printf(line, ",\"%s\":", name);
	text_json_string(line, value, strlen(value));
	keep_whole(line, before, name);
}

void
log_integer(struct buf *line, const char *name, long long value)
{
	size_t before = line->len;

	buf_printf(line, ",\"%s\":%lld", name, value);
	keep_whole(line, before, name);
}

void
log_end(struct buf *line)
{
	line->max = LOG_LINE_MAX;
	buf_str(line, "}\n");
	/* A log that cannot be written must not fail a request, so the result is of no use. */
	ssize_t written = write(STDERR_FILENO, line->data, line->len);
	(void)written;
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
