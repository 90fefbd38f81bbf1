/* keys.h - API keys: their text, and the file that holds their hashes */
#ifndef FUTAIE_KEYS_H
#define FUTAIE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A key is "futaie_ID_SECRET": ID, eight hexadecimal digits, names it in lists and logs; SECRET is 32 random bytes in base64url without
 * padding (RFC 4648, section 5), 43 characters. At rest there is only the SHA-256 of the 43 characters (`printf %s SECRET | sha256sum`).
 * One round of a plain hash is right for it: slow, salted ones (RFC 9106) are for passwords, which can be guessed; 256 random bits
 * cannot, and no two keys share a hash. It costs a request a quarter of a microsecond.
 *
 * The file, of at most KEYS_FILE_MAX bytes and KEYS_MAX keys, whose members all stand there, but for `expires` and `rate`:
 *
 *	{"keys": [
 *	{"id": "5f0c11ae", "label": "billing", "scopes": ["predict", "metrics"], "created": "2026-11-23T10:40:00Z",
 *	 "expires": "2027-11-23T10:40:00Z", "rate": 50, "sha256": "…"}
 *	]}
 */
enum {
	KEYS_MAX = 1000,
	KEYS_FILE_MAX = 1024 * 1024,
	KEYS_ID_CHARS = 8,
	KEYS_SECRET_CHARS = 43,
	KEYS_TEXT_CHARS = 7 + KEYS_ID_CHARS + 1 + KEYS_SECRET_CHARS,
	KEYS_HASH_BYTES = 32,
	KEYS_LABEL_MAX = 65, /* with its NUL */
	KEYS_RATE_MAX = 100000,
	KEYS_DAYS_MAX = 36500
};

/* What a key allows; a set of them is their sum. None includes another. */
enum keys_scope { KEYS_PREDICT = 1, KEYS_METRICS = 2, KEYS_ADMIN = 4 };

struct key {
	char id[KEYS_ID_CHARS + 1];
	char label[KEYS_LABEL_MAX]; /* UTF-8 without control characters */
	unsigned scopes;
	int64_t created_s; /* since the epoch */
	int64_t expires_s; /* the first second in which it is refused; INT64_MAX: never */
	long rate;         /* requests a second; 0: the server's own --rate-per-key */
	unsigned char hash[KEYS_HASH_BYTES];
};

/* Zeroed, it is empty and released. */
struct keys {
	struct key *keys; /* owned; in the file's order */
	size_t n;
};

/*
 * Reads a keys file. ERR_FILE where it cannot be read, where others than owner and group may change it, or where it is no keys file; the
 * sentence starts with the path. `keys` is then released.
 */
enum err keys_read(const char *path, struct keys *keys, struct err_info *info);
void keys_release(struct keys *keys);

/* The key with that id, or NULL. */
const struct key *keys_find(const struct keys *keys, const char *id);

/* Splits the text of a key that a client gave, which need not be NUL-terminated: its id and the hash of its secret. False where it has not the form of one. */
bool keys_parse(const char *text, size_t len, char id[KEYS_ID_CHARS + 1], unsigned char hash[KEYS_HASH_BYTES]);

/* "predict,metrics" to a set; false for an unknown name, none, or one that stands twice. */
bool keys_scopes_read(const char *text, unsigned *scopes);

enum { KEYS_SCOPES_MAX = 32 };

/* The other way. */
const char *keys_scopes_print(unsigned scopes, char out[KEYS_SCOPES_MAX]);

/* True for 1 to KEYS_LABEL_MAX - 1 bytes of UTF-8 that print. */
bool keys_is_label(const char *label);

/* Appends a key as an object of the file; without its hash for lists. */
void keys_print(struct buf *out, const struct key *k, bool with_hash);

#endif
