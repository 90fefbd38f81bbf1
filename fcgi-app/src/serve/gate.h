/* gate.h - who gets in: keys, rates, and how much one client may have at a time */
#ifndef FUTAIE_GATE_H
#define FUTAIE_GATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "serve/keys.h"
#include "watch/metrics.h"

/*
 * What a server asks of a request before it reads its body. Everything is off by default, and then there is no gate: the router passes it with one
 * comparison. A client is the holder of a key, or without keys an address. No lock, and no memory that grows with the clients.
 */
struct gate;

struct gate_options {
	const char *keys;      /* path of the keys file, borrowed; "" where no keys are asked for */
	long rate_per_key;     /* requests a second; 0: no limit, unless the key has one of its own */
	long rate_per_address; /* the same, of one address or IPv6 /64, before its key is looked at; 0: no limit */
	long burst_s;          /* how many seconds' worth of a rate may come at once */
	long in_flight;        /* requests of one client that are worked on at a time; 0: no limit */
	long queue_max_ms;     /* how long requests may wait for a worker before further ones are refused; 0: no limit */
	int listen_fd;         /* borrowed; only looked at with queue_max_ms */
	size_t n_workers;
	const struct log *log; /* borrowed, as the next */
	struct metrics *metrics;
};

/* `*out` is NULL where nothing is asked. ERR_FILE for a keys file that cannot be read. */
enum err gate_open(const struct gate_options *options, struct gate **out, struct err_info *info);

/* No worker may be inside. NULL is fine. */
void gate_free(struct gate *g);

/* How many keys are good now; 0 where none are asked for. NULL is fine. */
size_t gate_keys(const struct gate *g);

/* Has the keys file be read again soon. NULL is fine. */
void gate_reload(struct gate *g);

/* A request, in the web server's words; all text is borrowed, and "" where it is not there. */
struct gate_request {
	const char *authorization; /* the header's value: "Bearer KEY" */
	const char *api_key;       /* the header X-API-Key, for clients that have no Authorization to give */
	const char *address;       /* REMOTE_ADDR: never a header, which anybody can write */
	enum keys_scope scope;     /* 0: only the queue and the address's rate are looked at */
};

/* What came of it. */
struct gate_result {
	char key[KEYS_ID_CHARS + 1]; /* id of the key, or "" */
	const char *challenge;       /* for the header WWW-Authenticate, static, or NULL */
	int retry_after_s;           /* or 0 */
};

/*
 * Lets a request in, as the worker with this number, which calls gate_leave() when the request has ended, whatever came of this. In this order:
 * ERR_OVERLOADED; ERR_RATE_LIMITED of the address; ERR_UNAUTHORIZED, ERR_FORBIDDEN; ERR_RATE_LIMITED for requests in flight, and of the key. `now_ns` is CLOCK_MONOTONIC.
 */
enum err gate_enter(struct gate *g, size_t worker, const struct gate_request *request, uint64_t now_ns, struct gate_result *result,
					struct err_info *info);
void gate_leave(struct gate *g, size_t worker);

#endif
