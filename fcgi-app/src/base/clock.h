/* clock.h - time that only goes forward, and the date of today as text */
#ifndef FUTAIE_CLOCK_H
#define FUTAIE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* CLOCK_MONOTONIC in nanoseconds; never 0. Any thread. */
static inline uint64_t
clock_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Milliseconds since 1970, by the wall clock. Any thread. */
static inline uint64_t
clock_epoch_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000U + (uint64_t)now.tv_nsec / 1000000U;
}

enum { CLOCK_RFC3339 = 32 };

/* A time in UTC as RFC 3339 with seconds, "2026-11-23T10:40:00Z". */
static inline const char *
clock_rfc3339_of(time_t when, char out[CLOCK_RFC3339])
{
	struct tm utc = {0};

	(void)gmtime_r(&when, &utc);
	(void)strftime(out, CLOCK_RFC3339, "%Y-%m-%dT%H:%M:%SZ", &utc);
	return out;
}

#define CLOCK_LAST_S 253402300799LL /* the end of the year 9999 */

/*
 * The time now, as above; that of SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch)
 * where the environment has such a number, so that what is made from the same input is the same.
 */
static inline const char *
clock_rfc3339(char out[CLOCK_RFC3339])
{
	const char *fixed = getenv("SOURCE_DATE_EPOCH");
	char *end = NULL;
	long long seconds = fixed != NULL ? strtoll(fixed, &end, 10) : -1;
	bool is_time = fixed != NULL && end != fixed && *end == '\0' && seconds >= 0 && seconds <= CLOCK_LAST_S;

	return clock_rfc3339_of(is_time ? (time_t)seconds : time(NULL), out);
}

#endif
