/* distribution.c - what a column of numbers looked like when a model was trained */
#include "model/distribution.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int
compare(const void *a, const void *b)
{
	float x = *(const float *)a;
	float y = *(const float *)b;

	return (x > y) - (x < y);
}

void
distribution_init(struct distribution *d, const float *values, size_t n, size_t stride, float *scratch)
{
	size_t count = 0;
	double sum = 0;

	*d = (struct distribution){0};
	for (size_t i = 0; i < n; i++) {
		float value = values[i * stride];
		if (isnan(value))
			continue;
		scratch[count++] = value;
		sum += (double)value;
	}
	d->count = count;
	d->missing = n - count;
	if (count == 0)
		return;
	qsort(scratch, count, sizeof *scratch, compare);
	d->min = scratch[0];
	d->max = scratch[count - 1];
	d->mean = (float)(sum / (double)count);
	for (size_t i = 0; i < DISTRIBUTION_DECILES; i++) {
		double at = (double)(count - 1) * (double)(i + 1) / 10.0;
		size_t below = (size_t)at;
		double low = (double)scratch[below];
		double high = (double)scratch[below + 1 < count ? below + 1 : below];
		d->deciles[i] = (float)(low + (at - (double)below) * (high - low));
	}
}

size_t
distribution_knots(const struct distribution *d, float out[DISTRIBUTION_KNOTS])
{
	if (d->count == 0)
		return 0;
	out[0] = d->min;
	memcpy(out + 1, d->deciles, sizeof d->deciles);
	out[DISTRIBUTION_KNOTS - 1] = d->max;
	return DISTRIBUTION_KNOTS;
}
