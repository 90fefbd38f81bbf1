/* progress.h - a progress bar on a terminal */
#ifndef FUTAIE_PROGRESS_H
#define FUTAIE_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#include "batch/batch.h"

enum { PROGRESS_LINE_MAX = 256 };

/* One bar, in one line that is written anew each time. Not for use by two threads at once. */
struct progress {
	int fd;              /* borrowed; a terminal */
	uint64_t total;      /* bytes of the input */
	uint64_t started_ns; /* by base/clock */
	size_t shown;        /* columns of the line that stands there now */
};

/* Starts the clock. `total` is not 0. */
void progress_init(struct progress *p, int fd, uint64_t total);

/* Writes the line anew. */
void progress_show(struct progress *p, const struct batch_progress *now);

/* The whole is done: the last line stays, and the cursor stands below it. */
void progress_finish(struct progress *p, const struct batch_progress *now);

/* Makes the line empty again, for a sentence in its place. */
void progress_erase(struct progress *p);

/*
 * The line, of less than `columns` characters, all ASCII: " 45% [=====>      ]  450,000 rows  310,000 rows/s  2 s left". The bar gives way
 * where the terminal is narrow, then the end of the text. Returns its length; `cap` is at least PROGRESS_LINE_MAX.
 */
size_t progress_line(char *out, size_t cap, size_t columns, uint64_t total, const struct batch_progress *now, uint64_t elapsed_ns);

#endif
