/* fuzz.h - what both fuzzers need: a check that says what differs, exact copies, bits */
#ifndef FUTAIE_FUZZ_H
#define FUTAIE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer calls it with each input; 0 means that the input was tried. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Ends the fuzzer, which keeps the input, where something is not as it must be. */
#define FUZZ_CHECK(condition, ...)                                                                                                 \
	do {                                                                                                                           \
		if (!(condition)) {                                                                                                        \
			(void)fprintf(stderr, "fuzz: " __VA_ARGS__);                                                                           \
			(void)fprintf(stderr, " (%s:%d)\n", __FILE__, __LINE__);                                                               \
			abort();                                                                                                               \
		}                                                                                                                          \
	} while (0)

/* Zeroed bytes, at least one. The caller frees them. */
static inline void *
fuzz_alloc(size_t bytes)
{
	void *p = calloc(bytes + 1, 1);

	FUZZ_CHECK(p != NULL, "no memory for %zu bytes", bytes);
	return p;
}

/* A copy of its exact size with a NUL behind it, so that the address sanitizer sees each byte read too far. The caller frees it. */
static inline char *
fuzz_copy(const void *bytes, size_t len)
{
	char *copy = fuzz_alloc(len);

	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

/* The same bits, NaN being equal to NaN. */
static inline bool
fuzz_same(float a, float b)
{
	return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

/* splitmix64 */
static inline uint64_t
fuzz_random(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15U;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
	return z ^ (z >> 31);
}

#endif
