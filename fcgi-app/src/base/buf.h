/* buf.h - growing bytes with a maximum */
#ifndef FUTAIE_BUF_H
#define FUTAIE_BUF_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A buffer of bytes that grows by doubling up to `max` and never beyond. A failed append (over the maximum, or no memory) leaves
 * the bytes as they were and sets `failed`, so that a chain of appends is checked once, at its end, with buf_ok().
 * A zeroed struct is a released buffer: releasing it again is fine, appending to it fails.
 */
struct buf {
	char *data;  /* owned; NULL until the first append */
	size_t len;  /* bytes in use */
	size_t cap;  /* bytes allocated */
	size_t max;  /* most bytes it may ever hold */
	bool failed; /* an append did not fit; cleared by buf_reset() */
};

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);

/* Empties it and keeps the memory, so that the next use allocates nothing. */
void buf_reset(struct buf *b);

/* Empties it and gives the memory back if more than `keep` bytes are allocated. */
void buf_shrink(struct buf *b, size_t keep);

/* Makes room for `extra` more bytes; false (and `failed`) where that is over the maximum or memory is short. */
bool buf_reserve(struct buf *b, size_t extra);

/*
 * Gives the memory of the first `n` bytes back to the system while the buffer lives, as far as whole pages go: for bytes that nobody reads any more. What they hold
 * from here on is not known.
 */
void buf_give_back(struct buf *b, size_t n);

void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_str(struct buf *b, const char *text);
void buf_integer(struct buf *b, long long value);

/* For what is not on a request's path: the format is read anew each time. */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Borrowed, NUL-terminated view of the bytes; "" where there are none. The NUL is not counted in len. */
const char *buf_peek(struct buf *b);

static inline bool
buf_ok(const struct buf *b)
{
	return !b->failed;
}

static inline void
buf_char(struct buf *b, char c)
{
	if (b->len < b->cap)
		b->data[b->len++] = c;
	else
		buf_add(b, &c, 1);
}

#endif
