/* features.h - a model's feature names, in order, and the way from a name to its column */
#ifndef FUTAIE_FEATURES_H
#define FUTAIE_FEATURES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	FEATURES_MAX = 65536,   /* most features of a model */
	FEATURES_NAME_MAX = 256 /* most bytes of a name, with its NUL */
};

#define FEATURES_NONE SIZE_MAX

/* Immutable once made; any number of threads may look names up. A zeroed struct is released. */
struct features {
	size_t n;
	char **names;     /* owned, NUL-terminated */
	uint32_t *slots;  /* owned; open addressing: column + 1, or 0 */
	uint32_t n_slots; /* a power of two, at least 2 n */
};

/* Copies `n` names. ERR_BAD_MANIFEST for none, too many, an empty, over-long or repeated name. */
enum err features_init(struct features *f, const char *const *names, size_t n, struct err_info *info);
void features_release(struct features *f);

/* Column of a name, or FEATURES_NONE; `hint` is the column to try first (names mostly come in order). */
size_t features_find(const struct features *f, const char *name, size_t len, size_t hint);

#endif
