/* sample.c - made-up rows: nobody's data, within the range of known values */
#include "model/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"

/* Few digits, so that rows read well: as many as tell a feature's values apart. */
static float
shorten(float value, float low, float high)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%.4g", (double)value);
	float shorter = strtof(text, NULL);
	return shorter < low || shorter > high ? value : shorter;
}

static float
draw(const struct sample_column *c, uint64_t *random)
{
	if (c->n == 0)
		return NAN;
	if (c->n == 1 || c->only_these)
		return c->values[random_below(random, c->n)];
	size_t i = random_below(random, c->n - 1);
	double low = (double)c->values[i];
	double high = (double)c->values[i + 1];
	return shorten((float)(low + random_unit(random) * (high - low)), c->values[0], c->values[c->n - 1]);
}

void
sample_rows(const struct sample_column *columns, size_t n_columns, uint64_t *random, size_t missing_every, float *out,
			size_t n_rows)
{
	for (size_t row = 0; row < n_rows; row++) {
		float *cells = out + row * n_columns;
		for (size_t i = 0; i < n_columns; i++)
			cells[i] = draw(&columns[i], random);
		if (missing_every != 0 && row % missing_every == 0)
			cells[random_below(random, n_columns)] = NAN;
	}
}
