/* golden.h - rows with the outputs that a model must give for them */
#ifndef FUTAIE_GOLDEN_H
#define FUTAIE_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct cJSON;

enum { GOLDEN_MAX = 10000 /* most golden rows */ };

/* Immutable once made; a zeroed struct is released. */
struct golden {
	size_t n;         /* rows, at least one */
	size_t n_outputs; /* of each */
	float *in;        /* owned; n x features, NaN for missing */
	float *out;       /* owned; n x n_outputs, NaN for what is not finite */
	bool unproven; /* the outputs are the model's own, and nobody else's: they show that it stays the same, not that it is right */
};

/*
 * Reads {"inputs": [[…], …], "outputs": […], "unproven": true}: an output is a number, or an array where there are several; null is NaN;
 * "unproven" may be left out. ERR_BAD_MANIFEST or ERR_OUT_OF_MEMORY with a sentence; `g` is then released.
 */
enum err golden_init(struct golden *g, const struct cJSON *golden, size_t n_features, struct err_info *info);
void golden_release(struct golden *g);

#endif
