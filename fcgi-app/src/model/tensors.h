/* tensors.h - a request of the Open Inference Protocol into a matrix of float32 */
#ifndef FUTAIE_TENSORS_H
#define FUTAIE_TENSORS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/booster.h"
#include "model/features.h"
#include "model/rows.h"

/*
 * Formats: https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md, and Triton's extension
 * binary_tensor_data, docs/protocol/extension_binary_data.md of triton-inference-server/server.
 *
 * The inputs are one tensor [n, features] under any name, in the model's order, or a tensor [n] or [n, 1] for each feature, by its name. Numbers go to
 * float32 as the body has them, rounded to nearest. null and NaN are missing; Infinity and what is beyond float32 is ERR_BAD_NUMBER.
 */
#define TENSORS_INPUT  "input__0"  /* names as in Triton's FIL backend, which serves XGBoost models there */
#define TENSORS_OUTPUT "output__0" /* what the model answers; also called … */
#define TENSORS_ALIAS  "predict"   /* … as MLServer calls it */
#define TENSORS_MARGIN "margin"    /* only where it is asked for */

enum {
	TENSORS_WANTED_MAX = 3, /* each of the names above once */
	TENSORS_NAME_MAX = 16
};

struct tensors_wanted {
	char name[TENSORS_NAME_MAX];
	enum booster_output output;
	bool binary;
};

/* One thread's memory, used again for each request: once warm, a reading allocates nothing. A zeroed struct is released. */
struct tensors {
	struct buf binary; /* struct binary (tensors.c) for each input that stands behind the JSON */

	/* of the last reading */
	const char *id; /* the JSON string of the request's id, in the body; or NULL */
	size_t id_len;
	struct tensors_wanted wanted[TENSORS_WANTED_MAX];
	size_t n_wanted;     /* at least 1 */
	const float *values; /* the matrix, in the body or in the rows */
	size_t n_rows;
};

void tensors_init(struct tensors *t);
void tensors_release(struct tensors *t);

/* Gives memory above `keep` bytes back. */
void tensors_shrink(struct tensors *t, size_t keep);

/*
 * Reads a body whose first `json_len` bytes are JSON and the rest binary tensors. `body` is NUL-terminated at `len`; it is borrowed as long as the
 * result is used, and as it was before when this returns. `r` gives memory for the matrix, and the most rows. With a `json_len` of 0 all of the
 * body is one FP32 tensor [n, features], and the answer is wanted in binary.
 */
enum err tensors_read(struct tensors *t, struct rows *r, const struct features *f, char *body, size_t len, size_t json_len,
					  struct err_info *info);

#endif
