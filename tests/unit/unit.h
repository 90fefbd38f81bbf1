/* unit.h - what every unit test needs: cmocka, named tests, and checks that say which row of a table failed */
#ifndef FUTAIE_UNIT_H
#define FUTAIE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* A test and its name, a sentence. */
#define TEST(sentence, function)                                                                                                   \
	{                                                                                                                              \
		(sentence), (function), NULL, NULL, NULL                                                                                   \
	}
#define TEST_WITH(sentence, function, setup, teardown)                                                                             \
	{                                                                                                                              \
		(sentence), (function), (setup), (teardown), NULL                                                                          \
	}

/* Checks on the row of a table: `row` is a string that tells which, such as the text that was read. */
#define check_integer(row, got, expected)                                                                                          \
	do {                                                                                                                           \
		long long got_ = (long long)(got);                                                                                         \
		long long expected_ = (long long)(expected);                                                                               \
		if (got_ != expected_)                                                                                                     \
			fail_msg("[%s] %s is %lld, expected %lld", (row), #got, got_, expected_);                                              \
	} while (0)

#define check_string(row, got, expected)                                                                                           \
	do {                                                                                                                           \
		const char *got_ = (got);                                                                                                  \
		const char *expected_ = (expected);                                                                                        \
		if (got_ == NULL || strcmp(got_, expected_) != 0)                                                                          \
			fail_msg("[%s] %s is \"%s\", expected \"%s\"", (row), #got, got_ != NULL ? got_ : "(NULL)", expected_);                \
	} while (0)

#define check_contains(row, got, part)                                                                                             \
	do {                                                                                                                           \
		const char *got_ = (got);                                                                                                  \
		const char *part_ = (part);                                                                                                \
		if (strstr(got_, part_) == NULL)                                                                                           \
			fail_msg("[%s] %s is \"%s\", expected \"%s\" in it", (row), #got, got_, part_);                                        \
	} while (0)

/* The code of a failure with its sentence, or ERR_OK. */
#define check_err(row, got, expected, info)                                                                                        \
	do {                                                                                                                           \
		enum err got_err_ = (got);                                                                                                 \
		enum err expected_err_ = (expected);                                                                                       \
		if (got_err_ != expected_err_)                                                                                             \
			fail_msg("[%s] %s is %s (%s), expected %s", (row), #got, err_code(got_err_), got_err_ != ERR_OK ? (info)->text : "",   \
					 err_code(expected_err_));                                                                                     \
	} while (0)

#define assert_err(got, expected, info) check_err(#got, got, expected, info)
#define assert_contains(got, part)      check_contains(#got, got, part)

/* The same bits, NaN being equal to NaN. */
#define check_float(row, got, expected)                                                                                            \
	do {                                                                                                                           \
		float got_ = (got);                                                                                                        \
		float expected_ = (expected);                                                                                              \
		if (unit_bits(got_) != unit_bits(expected_) && (got_ == got_ || expected_ == expected_))                                   \
			fail_msg("[%s] %s is %.9g, expected %.9g", (row), #got, (double)got_, (double)expected_);                              \
	} while (0)

static inline uint32_t
unit_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	return bits;
}

static inline float
unit_float(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof x);
	return x;
}

/* A copy of its exact size with a NUL behind it, so that the address sanitizer sees each byte read too far. The caller frees it. */
static inline char *
unit_copy(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

/* The next of a fixed sequence of 64-bit numbers that look random (splitmix64). */
static inline uint64_t
unit_random(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15U;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
	return z ^ (z >> 31);
}

/* Sanitizers make everything slower and keep books of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNIT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNIT_SANITIZED 1
#endif
#endif
#ifndef UNIT_SANITIZED
#define UNIT_SANITIZED 0
#endif

/* Repetitions of a loop: a tenth of them under a sanitizer. */
#define UNIT_TIMES(n) (UNIT_SANITIZED ? (n) / 10 : (n))

#endif
