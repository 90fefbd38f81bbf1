/* spread.h - the parts of a job, on several threads for as long as it takes */
#ifndef FUTAIE_SPREAD_H
#define FUTAIE_SPREAD_H

#include <stddef.h>

enum { SPREAD_THREADS_MAX = 8 /* of one job, the caller's among them */ };

/* One part of a job, by its number; parts must not need each other. */
typedef void spread_fn(void *context, size_t part);

/*
 * Calls `part` for 0 to n_parts - 1, on the caller's thread and up to n_threads - 1 more, and returns once all are done. Each thread takes the next part that
 * nobody has taken. The threads last as long as the call (starting one costs some ten microseconds), and block every signal; where one cannot be
 * started the others do its share. Any thread.
 */
void spread_run(size_t n_threads, size_t n_parts, spread_fn *part, void *context);

#endif
