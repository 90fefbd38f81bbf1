/* chunks.c - whole rows from a descriptor, in pieces of bounded size */
#include "batch/chunks.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { KEPT_BYTES = 2 * CHUNKS_BYTES /* a buffer that a long row has made larger is given back */ };

static enum err find_format(struct chunks *c, struct err_info *info);
static enum err next(struct chunks *c, struct chunk *out, bool first_row, bool *more, struct err_info *info);

void
chunk_init(struct chunk *out)
{
	*out = (struct chunk){0};
	buf_init(&out->text, CHUNKS_MAX);
}

void
chunk_release(struct chunk *out)
{
	buf_release(&out->text);
}

enum err
chunks_init(struct chunks *c, int fd, const char *name, struct err_info *info)
{
	enum err e;

	*c = (struct chunks){.fd = fd, .name = name, .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .line = 1};
	buf_init(&c->carry, CHUNKS_MAX);
	if (c->stop_fd < 0)
		e = err_set(info, ERR_INTERNAL, "cannot make an event descriptor: %s", strerror(errno));
	else
		e = find_format(c, info);
	if (e != ERR_OK)
		chunks_release(c);
	return e;
}

void
chunks_release(struct chunks *c)
{
	if (c->stop_fd >= 0)
		(void)close(c->stop_fd);
	c->stop_fd = -1;
	buf_release(&c->carry);
}

enum err
chunks_row(struct chunks *c, struct chunk *out, bool *more, struct err_info *info)
{
	return next(c, out, true, more, info);
}

enum err
chunks_next(struct chunks *c, struct chunk *out, bool *more, struct err_info *info)
{
	return next(c, out, false, more, info);
}

void
chunks_stop(struct chunks *c)
{
	(void)eventfd_write(c->stop_fd, 1); /* full means that it is readable already */
}

/* Waits for input; false once it was stopped. */
static bool
wait_for_input(const struct chunks *c)
{
	struct pollfd fds[2] = {{.fd = c->stop_fd, .events = POLLIN}, {.fd = c->fd, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	return fds[0].revents == 0;
}

/* One read(2) to the end of `b`; c->ended where there was nothing. */
static enum err
read_some(struct chunks *c, struct buf *b, struct err_info *info)
{
	/* With a row that has no end yet in it, a whole block more. */
	size_t room = b->len < CHUNKS_BYTES / 2 ? CHUNKS_BYTES - b->len : CHUNKS_BYTES;
	ssize_t n;

	if (!buf_reserve(b, room))
		return err_set(info, ERR_OUT_OF_MEMORY, "%s: no memory for %zu bytes of rows", c->name, b->len + room);
	do {
		if (!wait_for_input(c)) {
			c->stopped = c->ended = true;
			return ERR_OK;
		}
		n = read(c->fd, b->data + b->len, room);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return err_set(info, ERR_FILE, "%s: cannot read: %s", c->name, strerror(errno));
	c->ended = n == 0;
	c->bytes += (uint64_t)n;
	b->len += (size_t)n;
	return ERR_OK;
}

static void
drop(struct buf *b, size_t n)
{
	if (n > 0)
		memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

/* A mark can come in pieces, from a pipe. */
static enum err
pass_mark(struct chunks *c, struct err_info *info)
{
	static const char mark[] = {'\xEF', '\xBB', '\xBF'};
	enum err e = ERR_OK;

	while (e == ERR_OK && !c->ended && c->carry.len < sizeof mark &&
		   memcmp(c->carry.len > 0 ? c->carry.data : mark, mark, c->carry.len) == 0)
		e = read_some(c, &c->carry, info);
	if (e == ERR_OK && c->carry.len >= sizeof mark && memcmp(c->carry.data, mark, sizeof mark) == 0)
		drop(&c->carry, sizeof mark);
	return e;
}

/* Drops the lines that are whole within the first `len` bytes. */
static void
drop_lines(struct chunks *c, size_t len)
{
	struct csv_cut cut = {.lines = true};

	csv_cut(&cut, buf_peek(&c->carry), len, false);
	c->line += csv_count_lines(buf_peek(&c->carry), cut.end);
	drop(&c->carry, cut.end);
}

static enum err
find_format(struct chunks *c, struct err_info *info)
{
	enum err e = pass_mark(c, info);

	while (e == ERR_OK) {
		size_t n = strspn(buf_peek(&c->carry), " \t\r\n");
		if (n < c->carry.len) {
			c->format = c->carry.data[n] == '[' || c->carry.data[n] == '{' ? CHUNKS_JSON_LINES : CHUNKS_CSV;
			drop_lines(c, n + 1);
			break;
		}
		drop_lines(c, c->carry.len);
		if (c->ended)
			break;
		if (c->carry.len > CHUNKS_ROW_MAX)
			return err_set(info, ERR_FILE, "%s: line %zu is longer than %d bytes, all of them blanks", c->name, c->line,
						   CHUNKS_ROW_MAX);
		e = read_some(c, &c->carry, info);
	}
	return e;
}

/* Reads on until a row is whole, or all is read. */
static enum err
fill(struct chunks *c, struct chunk *out, struct csv_cut *cut, bool first_row, struct err_info *info)
{
	for (;;) {
		csv_cut(cut, buf_peek(&out->text), out->text.len, first_row);
		if (cut->end > 0)
			return ERR_OK;
		if (out->text.len > CHUNKS_ROW_MAX)
			return err_set(info, ERR_FILE, "%s: the row that starts in line %zu is longer than %d bytes%s", c->name, c->line,
						   CHUNKS_ROW_MAX, cut->lines ? "" : "; does a quoted cell not end?");
		if (c->ended) {
			cut->end = out->text.len;
			return ERR_OK;
		}
		enum err e = read_some(c, &out->text, info);
		if (e != ERR_OK)
			return e;
	}
}

/* Takes what was carried over; the buffers change places rather than their bytes. */
static void
take_carry(struct chunks *c, struct chunk *out)
{
	struct buf spare = out->text;

	out->text = c->carry;
	c->carry = spare;
	buf_shrink(&c->carry, KEPT_BYTES);
}

static enum err
next(struct chunks *c, struct chunk *out, bool first_row, bool *more, struct err_info *info)
{
	struct csv_cut cut = {.lines = c->format == CHUNKS_JSON_LINES};

	take_carry(c, out);
	out->line = c->line;
	enum err e = fill(c, out, &cut, first_row, info);
	if (c->stopped)
		cut.end = out->text.len = 0; /* what has no end yet is no row */
	size_t rest = e == ERR_OK ? out->text.len - cut.end : 0;
	if (rest > 0)
		buf_add(&c->carry, out->text.data + cut.end, rest);
	if (e == ERR_OK && !buf_ok(&c->carry))
		e = err_set(info, ERR_OUT_OF_MEMORY, "%s: no memory for %zu bytes of rows", c->name, rest);
	out->text.len = e == ERR_OK ? cut.end : 0;
	*more = e != ERR_OK || out->text.len > 0;
	if (e != ERR_OK)
		c->ended = true;
	c->line += csv_count_lines(buf_peek(&out->text), out->text.len);
	out->bytes = c->bytes - c->carry.len;
	if (*more)
		out->sequence = c->sequence++;
	return e;
}
