/* queue.h - whether requests wait too long for a worker: measured by one that waits with them */
#ifndef FUTAIE_QUEUE_H
#define FUTAIE_QUEUE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"

/*
 * Connections wait in the kernel, first come, first served, and nobody tells for how long. So a thread joins them a few times a second: it connects to the
 * listening socket and says at once that it has nothing to say. A worker that comes to such a connection closes it, within microseconds and unnoticed; until then is
 * how long one waits. Where that is longer than the maximum, the queue is long until the connection has come through.
 */
struct queue;

/*
 * `listen_fd` and `log` are borrowed. Where the socket has no address, or this process may not connect to it, that is logged once, and the queue is not long.
 * ERR_OUT_OF_MEMORY where the thread cannot start.
 */
enum err queue_open(int listen_fd, long max_ms, const struct log *log, struct queue **out, struct err_info *info);

/* Ends the thread; what it has in the queue is no request, for whoever comes to it. NULL is fine. */
void queue_free(struct queue *q);

/* True while who is in front has waited for longer than the maximum. Any thread; one load. */
bool queue_is_long(const struct queue *q);

#endif
