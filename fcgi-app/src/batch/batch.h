/* batch.h - rows in, predictions out, by several threads and in order */
#ifndef FUTAIE_BATCH_H
#define FUTAIE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/model.h"

enum { BATCH_THREADS_MAX = 256 };

/* How far it is. */
struct batch_progress {
	uint64_t bytes; /* of the input, whose rows are all written */
	uint64_t rows;  /* written */
};

/* What to do; all of it borrowed, and unchanged while batch_run() runs. */
struct batch {
	const struct model *model;
	enum booster_output output;
	bool json; /* one JSON value a line: null where CSV has nan, inf or -inf, an array where a row has several outputs */
	size_t n_threads;
	int in_fd;
	const char *in_name; /* in sentences */
	int out_fd;
	void (*progress)(void *arg,
					 const struct batch_progress *now); /* called ten times a second by batch_run()'s own thread; or NULL */
	void *progress_arg;
};

/*
 * Reads rows from in_fd, CSV with a header or JSON lines, to its end, and writes a line a row to out_fd, in the rows' order: the number, or the
 * numbers separated by commas. Memory is bounded by the threads, whatever the size of the input.
 *
 * ERR_CLOSED_PIPE where the reader of out_fd has gone (the caller ignores SIGPIPE), ERR_FILE where it cannot be written or in_fd not be
 * read, and what model/rows tells of a wrong row: then the rows before it, and no others, have been written. `*done` is set in any case.
 */
enum err batch_run(const struct batch *b, struct batch_progress *done, struct err_info *info);

#endif
