/* damage.h - model files that are cut or changed: opened as a forest and asked, whatever they are */
#ifndef FUTAIE_DAMAGE_H
#define FUTAIE_DAMAGE_H

#include <math.h>

#include "model/forest.h"
#include "unit.h"

enum { DAMAGE_ROWS = 33 /* a block, and more than a vector */ };

/* Opens what may be damaged, and asks it: whatever it is, it must not hurt. */
static inline enum err
damage_try(const char *bytes, size_t len)
{
	char *copy = unit_copy(bytes, len);
	struct forest *f;
	struct err_info info;
	enum err e = forest_open(copy, len, &f, &info);

	if (e == ERR_OK) {
		const struct booster_shape *shape = forest_shape(f);
		size_t n_outputs = shape->n_margins > shape->n_values ? shape->n_margins : shape->n_values;
		float *rows = calloc(DAMAGE_ROWS * shape->n_features, sizeof *rows);
		float *out = calloc(DAMAGE_ROWS * n_outputs, sizeof *out);
		assert_true(rows != NULL && out != NULL);
		for (size_t i = 0; i < DAMAGE_ROWS * shape->n_features; i++)
			rows[i] = i % 3 == 0 ? NAN : (float)i - 20;
		forest_predict(f, BOOSTER_VALUE, rows, DAMAGE_ROWS, out);
		forest_predict(f, BOOSTER_MARGIN, rows, 1, out);
		free(rows);
		free(out);
		forest_free(f);
	} else {
		assert_true(e == ERR_BAD_MODEL || e == ERR_UNSUPPORTED_MODEL || e == ERR_OUT_OF_MEMORY);
		assert_true(info.text[0] != '\0');
	}
	free(copy);
	return e;
}

/* Cuts and changes the bytes of a file in many ways; they are as before afterwards. */
static inline void
damage_check(const char *name, char *bytes, size_t len)
{
	uint64_t random = len;
	size_t cuts = UNIT_TIMES(200);

	for (size_t i = 0; i < cuts; i++)
		check_integer(name, damage_try(bytes, len * i / cuts) != ERR_OK, true);
	for (int i = 0; i < UNIT_TIMES(400); i++) {
		size_t at = unit_random(&random) % len;
		char before = bytes[at];
		bytes[at] = (char)(i % 3 == 0 ? 0xFF : i % 3 == 1 ? before ^ (1 << (unit_random(&random) % 8)) : (int)unit_random(&random));
		(void)damage_try(bytes, len);
		bytes[at] = before;
	}
}

#endif
