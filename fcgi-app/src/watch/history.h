/* history.h - the last hour of a server, in steps of a minute and of a second, for people who look at it now */
#ifndef FUTAIE_HISTORY_H
#define FUTAIE_HISTORY_H

#include <stdint.h>

#include "base/buf.h"
#include "watch/metrics.h"

/*
 * How it works: the workers' counters only grow; a tick takes what they have grown by since a step began. So requests pay nothing for it, and
 * its memory does not depend on their number. Steps are counted on the monotonic clock from the start of the server: no change of the wall
 * clock moves, stretches or empties one.
 *
 * One lock guards it, taken by the tick once a second and by who writes it out, for microseconds; no request that predicts takes it.
 */
struct history;

enum { HISTORY_STEPS = 60, HISTORY_MODELS_MAX = 200 /* written out */ };

/* `m` is borrowed; `n_workers` is only written out. NULL without memory. */
struct history *history_open(const struct metrics *m, size_t n_workers, uint64_t now_ns);
void history_free(struct history *h);

/* Ends the steps that are over at `now_ns` of clock_now_ns(). A few times a second, by one thread; what is late is counted in the step of the last tick. */
void history_tick(struct history *h, uint64_t now_ns);

/* Appends further members of a model's object, each behind a comma. */
typedef void history_member_fn(void *context, const struct metrics_series *s, struct buf *out);

/*
 * Appends, without the braces around all of it, the members that docs/api.md (Status) describes, the last of which is `models`; what has been counted
 * until `now_ns` is in them. Any thread.
 */
void history_write(struct history *h, uint64_t now_ns, history_member_fn *member, void *context, struct buf *out);

#endif
