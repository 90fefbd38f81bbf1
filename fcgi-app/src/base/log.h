/* log.h - JSON lines on standard error */
#ifndef FUTAIE_LOG_H
#define FUTAIE_LOG_H

#include <stdbool.h>

#include "base/buf.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum {
	LOG_KEPT_MAX = 4096, /* PIPE_BUF: what is written at once does not mix with what others write into the same pipe */
	LOG_LINE_MAX = 4000
};

/*
 * One line is one JSON object: {"time": RFC 3339 in UTC with microseconds, "level", "event", …}. It is built in a buffer of the
 * caller and written by one write(2); it takes no lock and, once the buffer is warm, allocates nothing. A line that does not fit is cut
 * to its first fields and says so.
 *
 *	if (log_begin(&line, log, LOG_INFO, "reload")) {
 *		log_text(&line, "model", name);
 *		log_end(&line);
 *	}
 */
struct log {
	enum log_level level; /* lines below it are not written; set before threads start */
};

void log_line_init(struct buf *line);
bool log_begin(struct buf *line, const struct log *log, enum log_level level, const char *event);
void log_text(struct buf *line, const char *name, const char *value);
void log_integer(struct buf *line, const char *name, long long value);
void log_end(struct buf *line);

/*
 * In log_end()'s place where many lines come: the line is kept behind those in `kept`, a buffer of the caller's with the maximum LOG_KEPT_MAX, which are
 * written first where it would not fit. What is kept is lost if the process is killed. log_write() writes it.
 */
void log_keep(struct buf *line, struct buf *kept);
void log_write(struct buf *kept);

/* A whole line with one more field, "message", from threads that have no buffer of their own. */
void log_message(const struct log *log, enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
