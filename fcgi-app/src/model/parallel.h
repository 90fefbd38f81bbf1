/* parallel.h - many rows through a forest, on several threads */
#ifndef FUTAIE_PARALLEL_H
#define FUTAIE_PARALLEL_H

#include <stddef.h>

#include "model/forest.h"

enum {
	PARALLEL_ROWS =
		1024 /* of a part: some hundreds of microseconds for a hundred trees, so that starting a thread is little beside it */
};

/* forest_predict() on up to `n_threads` threads, the caller's among them, with the same bits. Few rows start no thread. */
void parallel_predict(const struct forest *f, size_t n_threads, enum booster_output output, const float *rows, size_t n_rows,
					  float *out);

#endif
