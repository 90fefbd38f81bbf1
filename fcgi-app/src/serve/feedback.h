/* feedback.h - what is kept of an answer until the truth about it comes: POST /feedback, and the journal */
#ifndef FUTAIE_FEEDBACK_H
#define FUTAIE_FEEDBACK_H

#include "serve/score.h"

/*
 * Keeps what the options ask for of the first chunk of an answer: in memory, so that POST /feedback finds it, and in the journal where its id is in
 * the sample. Where both are off it does nothing; else it neither allocates nor waits.
 */
void feedback_keep(struct request *q, const struct score *s, const struct score_chunk *c);

/* "live" of a model in GET /status; `context` is the struct truth, or NULL. */
void feedback_write_live(void *context, const struct metrics_series *s, struct buf *out);

#endif
