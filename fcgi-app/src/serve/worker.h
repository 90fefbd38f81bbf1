/* worker.h - threads, accept loop, draining, stuck peers */
#ifndef FUTAIE_WORKER_H
#define FUTAIE_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "serve/request.h"

/*
 * Worker threads share one listening socket. Each has an epoll of its own with that socket (EPOLLEXCLUSIVE: one connection wakes one
 * worker) and with the event that ends the work; it accepts without blocking, so that a worker that lost a race goes back to waiting.
 */
struct workers;

struct workers_options {
	const struct server *server; /* borrowed */
	int listen_fd;               /* borrowed, non-blocking */
	size_t first;                /* the number of the first */
	size_t n;
	unsigned io_timeout_s; /* a peer that keeps a worker waiting for longer is given up */
	bool serve_queue;      /* when stopping, first serve the connections that wait, for io_timeout_s at most: nobody else will */
};

/* Starts the threads. They inherit a mask that blocks all signals but SIGUSR2, which wakes a thread whose peer is given up. */
enum err workers_open(const struct workers_options *options, struct workers **out, struct err_info *info);

/* Gives up peers that have kept a worker waiting for too long. Call it a few times a second from one thread. */
void workers_watch(struct workers *w);

/* Makes every worker end after the request it is in. Returns at once. */
void workers_stop(struct workers *w);

/* Waits for all workers to end (workers_stop() was called), watching meanwhile, and frees everything. */
void workers_free(struct workers *w);

#endif
