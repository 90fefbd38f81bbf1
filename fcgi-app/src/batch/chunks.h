/* chunks.h - whole rows from a descriptor, in pieces of bounded size */
#ifndef FUTAIE_CHUNKS_H
#define FUTAIE_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/csv.h"
#include "base/err.h"

enum {
	CHUNKS_BYTES = 256 * 1024,                     /* read at once: fits a processor's own cache with the rows made of it */
	CHUNKS_ROW_MAX = 32 * 1024 * 1024,             /* most bytes of one row */
	CHUNKS_MAX = CHUNKS_ROW_MAX + 2 * CHUNKS_BYTES /* most bytes of a chunk: one such row, and what was read behind it */
};

enum chunks_format { CHUNKS_CSV, CHUNKS_JSON_LINES };

/* One piece of whole rows. A zeroed struct is released. */
struct chunk {
	struct buf text;   /* NUL-terminated; one row may be without its line end, the input's last */
	size_t line;       /* number of its first line, from 1 */
	uint64_t sequence; /* 0 for the first piece, then one more each */
	uint64_t bytes;    /* of the input up to its end */
};

void chunk_init(struct chunk *out);
void chunk_release(struct chunk *out);

/*
 * Reads a descriptor: a file, a pipe, a terminal. A chunk is what one read(2) gives, cut behind the last row that is whole, so that rows of a
 * slow writer are not held back; a row longer than that is read to its end. Rows end with their line (LF, CRLF or CR, mixed), in CSV not
 * within a quoted cell. A byte order mark at the start is passed over. One thread at a time, but for chunks_stop().
 */
struct chunks {
	int fd;           /* borrowed */
	const char *name; /* borrowed; of the input, for sentences */
	int stop_fd;      /* owned eventfd: readable once it was stopped; -1 where released */
	enum chunks_format format;
	struct buf carry; /* read, but not given out yet */
	size_t line;      /* number of its first line */
	uint64_t sequence;
	uint64_t bytes; /* read so far, the mark included */
	bool ended;     /* nothing is left to read */
	bool stopped;
};

/*
 * Reads up to the first character that is not blank and tells the format by it: '[' or '{' for JSON lines, anything else for CSV, nothing at
 * all included. Lines of blanks before it are passed over. ERR_FILE with a sentence where it cannot be read. On failure `c` is released.
 */
enum err chunks_init(struct chunks *c, int fd, const char *name, struct err_info *info);
void chunks_release(struct chunks *c);

/* Gives the next row alone: a CSV's header, or an empty line before it. `*more` is false at the end of the input. */
enum err chunks_row(struct chunks *c, struct chunk *out, bool *more, struct err_info *info);

/*
 * Gives the next piece; `*more` is false at the end of the input, or after chunks_stop(). A failure (the input cannot be read, or a row is
 * longer than CHUNKS_ROW_MAX) takes a number in the sequence as well, with an empty text, and is the last.
 */
enum err chunks_next(struct chunks *c, struct chunk *out, bool *more, struct err_info *info);

/* Makes a chunks_next() that waits for input, and all later ones, find the end. Any thread. */
void chunks_stop(struct chunks *c);

#endif
