/* rates.h - how often a client may ask: token buckets, of a key or of an address */
#ifndef FUTAIE_RATES_H
#define FUTAIE_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A bucket holds up to rate x burst requests and is filled again at the rate. It is kept as one number, the time at which it will be full (the generic cell
 * rate algorithm, ITU-T I.371, where that is the theoretical arrival time), so that taking a request is one compare-and-swap and an idle
 * bucket needs no care. Zero is a full bucket. Times are CLOCK_MONOTONIC nanoseconds, given by the caller.
 */
typedef _Atomic uint64_t rates_bucket;

/* Requests a second, and how many seconds' worth of them may come at once. Both at least 1. */
struct rates_limit {
	long rate;            /* as it was given */
	uint64_t interval_ns; /* between two requests at the rate */
	uint64_t burst_ns;    /* what a full bucket is worth */
};

struct rates_limit rates_limit_of(long rate, long burst_s);

/* Takes one request from the bucket: 0, or how many nanoseconds (at least 1) until there is one. Any thread; a refused request takes nothing. */
uint64_t rates_take(rates_bucket *bucket, const struct rates_limit *limit, uint64_t now_ns);

/*
 * Buckets of client addresses: RATES_BUCKETS of them, chosen by a hash (SipHash-2-4) with a key of this process, so that nobody can aim at another's. Memory
 * is bounded however many addresses come, at the price that two may share a bucket: with a thousand of them active, one in 65 does.
 */
struct rates_addresses;

enum { RATES_BUCKETS = 1 << 16 };

/* NULL without memory. */
struct rates_addresses *rates_addresses_open(void);
void rates_addresses_free(struct rates_addresses *a);

/*
 * The client that an address stands for: IPv4 as it is (also in its IPv6 form, ::ffff:192.0.2.1), of IPv6 the first 64 bits, which is what one client commonly
 * has. What is no address is one client together. Never 0.
 */
uint64_t rates_client(const struct rates_addresses *a, const char *address);

/* The bucket of a client. */
rates_bucket *rates_bucket_of(struct rates_addresses *a, uint64_t client);

#endif
