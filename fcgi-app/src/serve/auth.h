/* auth.h - which keys are good now: the keys file, read again when it changes, while requests run */
#ifndef FUTAIE_AUTH_H
#define FUTAIE_AUTH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "serve/keys.h"
#include "serve/rates.h"
#include "watch/metrics.h"

/*
 * How it works: the keys stand in a sorted, immutable table behind one atomic pointer. A worker writes the pointer it uses into its own slot (a hazard
 * pointer, as in registry.h) for the microsecond that a look takes. A thread of its own looks at the file four times a second; it makes a new
 * table, exchanges the pointer, waits until no slot names the old one, and frees that. A file that is not there any more, or broken, leaves the keys of before. What
 * a key has used of its rate stands beside the tables, and outlives them.
 */
struct auth;

/* What a good key is. */
struct auth_client {
	char id[KEYS_ID_CHARS + 1];
	size_t number; /* below KEYS_MAX, and no other key's */
	long rate;     /* its own, or 0 */
	rates_bucket *bucket;
};

/* Reads the file for the first time; ERR_FILE where that fails. `path`, `log` and `metrics` are borrowed. */
enum err auth_open(const char *path, size_t n_workers, const struct log *log, struct metrics *metrics, struct auth **out,
				   struct err_info *info);

/* No worker may be inside. NULL is fine. */
void auth_free(struct auth *a);

/* How many keys there are. Any thread. */
size_t auth_count(const struct auth *a);

/* Has the file be read again soon, and returns at once. Any thread. */
void auth_reload(struct auth *a);

/*
 * Looks a key up, as the worker with this number: `text`, of `len` bytes, is what the client gave. ERR_UNAUTHORIZED where it is no key, unknown or expired
 * at `now_s` (since the epoch), ERR_FORBIDDEN where it has not the scope. The hash is made and compared, in constant time, whether or not the id is
 * known, so that the time says nothing of either.
 */
enum err auth_check(struct auth *a, size_t worker, const char *text, size_t len, enum keys_scope scope, int64_t now_s,
					struct auth_client *client, struct err_info *info);

#endif
