/* fcgi_io.h - libfcgi: one FastCGI request at a time of one thread */
#ifndef FUTAIE_FCGI_IO_H
#define FUTAIE_FCGI_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The request of one worker thread. libfcgi has no time-outs: a signal whose handler does nothing, sent to the thread, ends its
 * read or write with EINTR, which libfcgi takes as the end of the connection.
 */
struct fcgi_io;

/* Once, before any thread; SIGPIPE and SIGUSR1 are ignored from then on. False where libfcgi cannot start. */
bool fcgi_io_start(void);

/* `listen_fd` is borrowed and non-blocking. NULL without memory. */
struct fcgi_io *fcgi_io_open(int listen_fd);
void fcgi_io_free(struct fcgi_io *io);

/* Takes a waiting connection and reads the request's parameters: 0, or a positive errno (EAGAIN: nothing waits). */
int fcgi_io_accept(struct fcgi_io *io);

/* A parameter of the request, or ""; borrowed until fcgi_io_finish(). The first of duplicates. */
const char *fcgi_io_param(const struct fcgi_io *io, const char *name);

/*
 * Reads the whole body into `body`, of which at most `max` bytes are accepted. ERR_BODY_TOO_LARGE, ERR_INCOMPLETE_BODY where the bytes
 * are not as many as CONTENT_LENGTH says or the peer went away, ERR_BAD_PARAMETER for a CONTENT_LENGTH that is no number,
 * ERR_OUT_OF_MEMORY.
 */
enum err fcgi_io_body(struct fcgi_io *io, struct buf *body, size_t max, struct err_info *info);

/* Takes what is left of the body, before the answer; where that is much, the rest after the answer, in fcgi_io_finish(). Bounded. */
void fcgi_io_discard(struct fcgi_io *io);

/* Writes bytes of the answer; false once the peer is gone. */
bool fcgi_io_write(struct fcgi_io *io, const char *bytes, size_t len);

/* True once the peer has closed the connection: nobody waits for the answer any more. */
bool fcgi_io_is_gone(const struct fcgi_io *io);

/* Ends the request and closes its connection, also where the peer asked to keep it. */
void fcgi_io_finish(struct fcgi_io *io);

/* Since when (CLOCK_MONOTONIC, nanoseconds) the thread has waited for its peer without a break, or 0 where it does not. Any thread. */
uint64_t fcgi_io_waiting_since(const struct fcgi_io *io);

#endif
