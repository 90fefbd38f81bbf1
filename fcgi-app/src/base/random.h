/* random.h - numbers that look random and are the same for the same seed; not for secrets */
#ifndef FUTAIE_RANDOM_H
#define FUTAIE_RANDOM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The next of the sequence that `*state` stands in; any first state does. splitmix64: Steele, Lea, Flood, OOPSLA 2014. */
static inline uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15U;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
	return z ^ (z >> 31);
}

/* In [0, 1). */
static inline double
random_unit(uint64_t *state)
{
	return (double)(random_next(state) >> 11) * 0x1p-53;
}

/* In [0, n), n > 0. For the n that fit in memory the bias of the product is below 2^-24. */
static inline size_t
random_below(uint64_t *state, size_t n)
{
	return (size_t)(random_unit(state) * (double)n);
}

/* A hash of bytes, the same on every machine of this byte order: splitmix64 over words of eight bytes, the last filled up with zeros. Not for secrets. */
static inline uint64_t
random_hash(const char *bytes, size_t len, uint64_t seed)
{
	uint64_t state = seed ^ len;

	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = 0;
		memcpy(&word, bytes + i, len - i < sizeof word ? len - i : sizeof word);
		state ^= word;
		state = random_next(&state);
	}
	return state;
}

#endif
