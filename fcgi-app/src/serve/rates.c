/* rates.c - how often a client may ask: token buckets, of a key or of an address */
#include "serve/rates.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SECOND_NS = 1000000000, PREFIX_BYTES = 8 /* of IPv6 */ };

struct rates_addresses {
	unsigned char key[crypto_shorthash_KEYBYTES];
	rates_bucket buckets[RATES_BUCKETS];
};

struct rates_limit
rates_limit_of(long rate, long burst_s)
{
	return (struct rates_limit){
		.rate = rate, .interval_ns = (uint64_t)(SECOND_NS / rate), .burst_ns = (uint64_t)burst_s * SECOND_NS};
}

uint64_t
rates_take(rates_bucket *bucket, const struct rates_limit *limit, uint64_t now_ns)
{
	uint64_t full_ns = atomic_load_explicit(bucket, memory_order_relaxed);
	uint64_t then_ns;

	do {
		then_ns = (full_ns > now_ns ? full_ns : now_ns) + limit->interval_ns;
		if (then_ns > now_ns + limit->burst_ns)
			return then_ns - now_ns - limit->burst_ns;
	} while (!atomic_compare_exchange_weak_explicit(bucket, &full_ns, then_ns, memory_order_relaxed, memory_order_relaxed));
	return 0;
}

struct rates_addresses *
rates_addresses_open(void)
{
	struct rates_addresses *a = calloc(1, sizeof *a); /* its pages are the kernel's until an address comes to them */

	if (a != NULL && getrandom(a->key, sizeof a->key, 0) != (ssize_t)sizeof a->key) {
		free(a);
		return NULL;
	}
	return a;
}

void
rates_addresses_free(struct rates_addresses *a)
{
	free(a);
}

uint64_t
rates_client(const struct rates_addresses *a, const char *address)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
	unsigned char bytes[sizeof(struct in6_addr)] = {0};
	unsigned char hash[crypto_shorthash_BYTES];
	unsigned char name[1 + PREFIX_BYTES] = {0};
	uint64_t client;

	if (inet_pton(AF_INET, address, bytes) == 1) {
		name[0] = 4;
		memcpy(name + 1, bytes, sizeof(struct in_addr));
	} else if (inet_pton(AF_INET6, address, bytes) == 1 && memcmp(bytes, mapped, sizeof mapped) == 0) {
		name[0] = 4;
		memcpy(name + 1, bytes + sizeof mapped, sizeof(struct in_addr));
	} else if (inet_pton(AF_INET6, address, bytes) == 1) {
		name[0] = 6;
		memcpy(name + 1, bytes, PREFIX_BYTES);
	}
	(void)crypto_shorthash(hash, name, sizeof name, a->key);
	memcpy(&client, hash, sizeof client);
	return client != 0 ? client : 1;
}

rates_bucket *
rates_bucket_of(struct rates_addresses *a, uint64_t client)
{
	return &a->buckets[client % RATES_BUCKETS];
}
