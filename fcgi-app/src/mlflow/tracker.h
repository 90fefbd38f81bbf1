/* tracker.h - the metrics of a training on their way to MLflow, while it goes on */
#ifndef FUTAIE_TRACKER_H
#define FUTAIE_TRACKER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "mlflow/rest.h"

enum {
	TRACKER_KEYS_MAX = 32,         /* kinds of metrics */
	TRACKER_QUEUE_MAX = 256 * 1024 /* values that wait: a server that stays away any longer loses the newest */
};

/*
 * A thread of its own sends what waits, in batches: a second after the first of them came or once a batch is full. Where the server is away it
 * waits longer from try to try, up to half a minute, and says so once on standard error; what waits is sent when it is back. Whoever trains only puts
 * values in a queue under a lock that is never held during a call.
 */
struct tracker;

struct tracker_sum {
	size_t sent;
	size_t lost;            /* that found the queue full, or were never taken */
	char why[ERR_TEXT_MAX]; /* the last failure, or "" */
	bool away;              /* the server did not answer at the end */
};

/* `m` belongs to the thread until tracker_close(); `run` is borrowed; sentences on standard error start with `who`. All signals are blocked in the thread. */
enum err tracker_open(struct mlflow *m, const char *run, const char *who, struct tracker **out, struct err_info *info);

/* Queues a value; one of a key beyond the maximum counts as lost. Any thread. */
void tracker_put(struct tracker *t, const char *key, double value, long step);

/* Sends what waits, for at most so many seconds where the server is away, then ends the thread and frees it. */
void tracker_close(struct tracker *t, double seconds, struct tracker_sum *sum);

#endif
