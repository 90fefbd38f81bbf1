/* truth.h - the newest answers, remembered until the truth about them comes, and how far they were from it */
#ifndef FUTAIE_TRUTH_H
#define FUTAIE_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "watch/measure.h"
#include "watch/metrics.h"

/*
 * How it works: answers lie in a ring of a fixed number of places, all allocated at the start; the newest takes the place of the oldest. They are found
 * by their id through buckets, each of which names the newest answer with such a hash; every answer names the one before it, by its number since the
 * start, which also tells whether its place still holds it. So nothing is ever unlinked. Workers take numbers by one atomic addition; a place is
 * written and read under a version (a sequence lock of atomic words: H. Boehm, "Can seqlocks get along with programming language memory models?", 2012),
 * which also holds the rows whose truth is known, so that each is counted once. No lock, no allocation, no system call.
 *
 * Losses are summed from the start, for Prometheus, and over a window of the last day that moves by the hour (so it is 23 to 24 hours
 * long).
 */
struct truth;

enum {
	TRUTH_ID_MAX = 65,     /* with its NUL */
	TRUTH_ROWS_MAX = 16,   /* of an answer that is remembered … */
	TRUTH_VALUES_MAX = 32, /* … and numbers in all of them */
	TRUTH_ANSWERS_MIN = 1000,
	TRUTH_ANSWERS_MAX = 10000000, /* 232 bytes each */
	TRUTH_WINDOW_S = 24 * 3600
};

/* One answer, borrowed for the call. */
struct truth_answer {
	const char *id;
	struct metrics_series *series;
	enum measure measure;
	size_t n_rows;
	size_t width;        /* numbers a row */
	const float *values; /* n_rows x width; NULL: values that no truth can be held against (margins) */
};

/* What came in for an id. NaN is a truth that is not known. */
struct truth_actual {
	size_t n_rows;
	size_t width; /* numbers a row; 0: one flat list of n_rows numbers, or one number */
	float values[TRUTH_VALUES_MAX];
};

/* What became of it. */
struct truth_joined {
	const struct metrics_series *series; /* NULL where the id is not known */
	size_t n_rows;                       /* of the answer */
	size_t targets;                      /* numbers that are the truth of a row */
	uint32_t matched;                    /* rows whose truth is known now and was not before, a bit for each */
	size_t n_matched;
	size_t n_repeated; /* rows whose truth was known already: the first one stays */
};

/* How far answers of one version were from the truth, in the last TRUTH_WINDOW_S. */
struct truth_live {
	enum measure measure;
	uint64_t n;
	double value; /* where n > 0 */
};

/* Remembers `n_answers` answers, TRUTH_ANSWERS_MIN to TRUTH_ANSWERS_MAX. `m` is borrowed. NULL without memory. */
struct truth *truth_open(struct metrics *m, size_t n_answers, uint64_t now_ns);
void truth_free(struct truth *t);

/* Any thread. Of answers with the same id the last one is found. One with more than the most rows or numbers is remembered as too large. */
void truth_remember(struct truth *t, const struct truth_answer *a);

/*
 * Holds the answer with that id against the truth. Any thread. ERR_UNKNOWN_ID where it is not there (any more) or was too large, ERR_WRONG_TYPE where `actual` is not of
 * the answer's shape, ERR_BAD_NUMBER for what no truth can be: then nothing of it counts.
 */
enum err truth_join(struct truth *t, const char *id, const struct truth_actual *actual, struct truth_joined *joined,
					struct err_info *info);

/* Counts a truth that was refused before its id was known. Any thread. */
void truth_refuse(struct truth *t);

/* Moves the window on. A few times a minute, by one thread. */
void truth_tick(struct truth *t, uint64_t now_ns);

void truth_live(const struct truth *t, const struct metrics_series *s, struct truth_live *out);

/* Appends futaie_feedback_total, futaie_live_loss and the gauges futaie_live_rmse, futaie_live_logloss and futaie_live_error_rate. */
void truth_write_metrics(const struct truth *t, struct buf *out);

#endif
