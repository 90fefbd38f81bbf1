/* distribution.h - what a column of numbers looked like when a model was trained */
#ifndef FUTAIE_DISTRIBUTION_H
#define FUTAIE_DISTRIBUTION_H

#include <stddef.h>

enum { DISTRIBUTION_DECILES = 9, DISTRIBUTION_KNOTS = DISTRIBUTION_DECILES + 2 };

struct distribution {
	size_t count;   /* values that are there; the rest is only set where there are some */
	size_t missing; /* NaN */
	float min;
	float max;
	float mean;                          /* of the values in double precision */
	float deciles[DISTRIBUTION_DECILES]; /* linear between neighbours, as numpy.quantile: Hyndman and Fan's type 7 (1996) */
};

/* Of `n` float32, every `stride`-th from `values`; `scratch` has room for n and is overwritten. */
void distribution_init(struct distribution *d, const float *values, size_t n, size_t stride, float *scratch);

/* The minimum, deciles and maximum, ascending: see sample.h. None (0) where there are no values, else DISTRIBUTION_KNOTS. */
size_t distribution_knots(const struct distribution *d, float out[DISTRIBUTION_KNOTS]);

#endif
