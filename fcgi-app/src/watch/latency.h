/* latency.h - durations in bins that are narrow everywhere, and their quantiles */
#ifndef FUTAIE_LATENCY_H
#define FUTAIE_LATENCY_H

#include <stddef.h>
#include <stdint.h>

/*
 * A power of two of nanoseconds is divided in eight: each bin is at most an eighth wider than its lower bound, from a microsecond to half a minute.
 * Shorter durations are in the first bin, longer ones in the last. (The buckets of /metrics are few, since Prometheus keeps each as a series.)
 */
enum {
	LATENCY_LOG_MIN = 10, /* 2^10 ns */
	LATENCY_LOG_MAX = 35, /* 2^35 ns = 34 s */
	LATENCY_PARTS = 8,
	LATENCY_BINS = 1 + (LATENCY_LOG_MAX - LATENCY_LOG_MIN) * LATENCY_PARTS
};

static inline size_t
latency_bin(uint64_t ns)
{
	if (ns < 1U << LATENCY_LOG_MIN)
		return 0;
	unsigned log = 63 - (unsigned)__builtin_clzll(ns);
	if (log >= LATENCY_LOG_MAX)
		return LATENCY_BINS - 1;
	return 1 + (size_t)(log - LATENCY_LOG_MIN) * LATENCY_PARTS + ((ns >> (log - 3)) & (LATENCY_PARTS - 1));
}

/* The lower bound of a bin, which is the upper one of the bin before it. */
static inline uint64_t
latency_lower_ns(size_t bin)
{
	if (bin == 0)
		return 0;
	unsigned log = LATENCY_LOG_MIN + (unsigned)((bin - 1) / LATENCY_PARTS);
	return (LATENCY_PARTS + (uint64_t)((bin - 1) % LATENCY_PARTS)) << (log - 3);
}

/*
 * The quantile `q` of `total` > 0 durations, in milliseconds: the place in its bin by linear interpolation, as Prometheus's histogram_quantile() has
 * it (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile).
 */
static inline double
latency_quantile_ms(const uint64_t bins[LATENCY_BINS], uint64_t total, double q)
{
	double rank = q * (double)total;
	double before = 0;

	for (size_t i = 0; i < LATENCY_BINS; i++) {
		double n = (double)bins[i];
		if (n > 0 && before + n >= rank) {
			double lower = (double)latency_lower_ns(i);
			double width = (double)latency_lower_ns(i + 1) - lower;
			return (lower + width * (rank - before) / n) * 1e-6;
		}
		before += n;
	}
	return (double)latency_lower_ns(LATENCY_BINS - 1) * 1e-6;
}

#endif
