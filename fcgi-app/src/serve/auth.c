/* auth.c - which keys are good now: the keys file, read again when it changes, while requests run */
#include "serve/auth.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "serve/ticker.h"

enum { CACHE_LINE = 64, RETRY_S = 5, WAIT_NS = 100000 };

/* A key in the table. */
struct entry {
	struct key key;
	size_t number; /* of its bucket */
};

struct table {
	size_t n;
	struct entry entries[]; /* sorted by id */
};

struct slot {
	_Alignas(CACHE_LINE) const struct table *_Atomic held; /* what its worker uses now */
};

struct bucket {
	_Alignas(CACHE_LINE) rates_bucket bucket;
};

/* What shows that the file has changed. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
	struct timespec changed;
};

struct auth {
	const char *path;
	const struct log *log;
	struct metrics *metrics;
	size_t n_workers;
	struct table *_Atomic current; /* owned; exchanged by the thread alone */
	atomic_size_t n_keys;
	struct slot *slots;     /* owned; one a worker */
	struct bucket *buckets; /* owned; KEYS_MAX */
	struct stamp stamp;     /* of the file as it was read last; this and the next two are the thread's */
	bool failed;
	uint64_t retry_ns; /* when a file that failed is read again, which may have been for want of memory or descriptors */
	struct ticker *ticker;
};

static ticker_look look;

static struct stamp
read_stamp(const char *path)
{
	struct stamp s;
	struct stat st;

	memset(&s, 0, sizeof s); /* also what lies between its members: it is compared as bytes */
	if (stat(path, &st) != 0)
		return s;
	s.device = st.st_dev;
	s.inode = st.st_ino;
	s.size = st.st_size;
	s.modified = st.st_mtim;
	s.changed = st.st_ctim;
	return s;
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->key.id, ((const struct entry *)b)->key.id);
}

static const struct entry *
find(const struct table *t, const char *id)
{
	size_t low = 0;
	size_t high = t->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(id, t->entries[middle].key.id);
		if (order == 0)
			return &t->entries[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Gives each key the bucket that it has, or a full one that no key has. */
static void
number_keys(struct auth *a, struct table *fresh, const struct table *before)
{
	bool taken[KEYS_MAX] = {false};
	size_t next = 0;

	for (size_t i = 0; i < fresh->n; i++) {
		const struct entry *same = before != NULL ? find(before, fresh->entries[i].key.id) : NULL;
		fresh->entries[i].number = same != NULL ? same->number : KEYS_MAX;
		if (same != NULL)
			taken[same->number] = true;
	}
	for (size_t i = 0; i < fresh->n; i++) {
		if (fresh->entries[i].number != KEYS_MAX)
			continue;
		while (taken[next])
			next++;
		fresh->entries[i].number = next;
		taken[next] = true;
		atomic_store(&a->buckets[next].bucket, 0);
	}
}

static enum err
read_table(struct auth *a, struct table **out, struct err_info *info)
{
	struct keys keys;
	enum err e = keys_read(a->path, &keys, info);

	*out = NULL;
	if (e != ERR_OK)
		return e;
	struct table *t = malloc(sizeof *t + keys.n * sizeof t->entries[0]);
	if (t != NULL) {
		t->n = keys.n;
		for (size_t i = 0; i < keys.n; i++)
			t->entries[i] = (struct entry){.key = keys.keys[i]};
		qsort(t->entries, t->n, sizeof t->entries[0], by_id);
		number_keys(a, t, atomic_load(&a->current));
	}
	keys_release(&keys);
	*out = t;
	return t != NULL ? ERR_OK : err_set(info, ERR_OUT_OF_MEMORY, "%s: no memory for the keys", a->path);
}

/* Waits until no worker uses the table: each does for a microsecond, unless the kernel has taken it off its processor meanwhile. */
static void
await_unused(const struct auth *a, const struct table *t)
{
	const struct timespec step = {.tv_nsec = WAIT_NS};

	for (size_t i = 0; i < a->n_workers; i++)
		while (atomic_load(&a->slots[i].held) == t)
			(void)nanosleep(&step, NULL);
}

static enum err
reload(struct auth *a, struct err_info *info)
{
	struct table *fresh;

	a->stamp = read_stamp(a->path); /* before it is read, so that no later change is missed */
	enum err e = read_table(a, &fresh, info);
	a->failed = e != ERR_OK;
	a->retry_ns = clock_now_ns() + (uint64_t)RETRY_S * 1000000000U;
	if (e != ERR_OK)
		return e;
	atomic_store(&a->n_keys, fresh->n);
	struct table *old = atomic_exchange(&a->current, fresh);
	if (old != NULL) /* else it is the first, and no slot names one */
		await_unused(a, old);
	free(old);
	return ERR_OK;
}

enum err
auth_open(const char *path, size_t n_workers, const struct log *log, struct metrics *metrics, struct auth **out,
		  struct err_info *info)
{
	struct auth *a = calloc(1, sizeof *a);
	enum err e = ERR_OK;

	*out = NULL;
	if (a == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the keys");
	*a = (struct auth){.path = path, .log = log, .metrics = metrics, .n_workers = n_workers};
	a->slots = aligned_alloc(CACHE_LINE, n_workers * sizeof *a->slots);
	a->buckets = aligned_alloc(CACHE_LINE, KEYS_MAX * sizeof *a->buckets);
	if (a->slots == NULL || a->buckets == NULL) {
		a->n_workers = 0;
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the keys");
	} else {
		memset(a->slots, 0, n_workers * sizeof *a->slots);
		memset(a->buckets, 0, KEYS_MAX * sizeof *a->buckets);
		e = reload(a, info);
	}
	int result = e == ERR_OK ? ticker_open(look, a, &a->ticker) : 0;
	if (result != 0)
		e = err_set(info, ERR_OUT_OF_MEMORY, "cannot start the thread that watches the keys: %s", strerror(result));
	if (e == ERR_OK)
		*out = a;
	else
		auth_free(a);
	return e;
}

void
auth_free(struct auth *a)
{
	if (a == NULL)
		return;
	ticker_free(a->ticker);
	free(atomic_load(&a->current));
	free(a->slots);
	free(a->buckets);
	free(a);
}

size_t
auth_count(const struct auth *a)
{
	return atomic_load(&a->n_keys);
}

void
auth_reload(struct auth *a)
{
	ticker_ask(a->ticker);
}

/* The thread's look. A file that stays broken is tried again in silence. */
static void
look(void *arg, bool asked)
{
	struct auth *a = arg;
	struct stamp now = read_stamp(a->path);
	bool changed = asked || memcmp(&now, &a->stamp, sizeof now) != 0;
	struct err_info info;

	if (!changed && !(a->failed && clock_now_ns() >= a->retry_ns))
		return;
	enum err e = reload(a, &info);
	if (e != ERR_OK && !changed)
		return;
	metrics_keys_reload(a->metrics, e == ERR_OK);
	if (e == ERR_OK)
		log_message(a->log, LOG_INFO, "keys", "the keys file was read again; keys: %zu", auth_count(a));
	else
		log_message(a->log, LOG_ERROR, "keys_failed", "%s; the keys of before stay good", info.text);
}

static const struct table *
enter(struct auth *a, size_t worker)
{
	const struct table *t;

	/* Once the slot is visible its table is not freed; the second look tells whether it was still the current one then. */
	do {
		t = atomic_load(&a->current);
		atomic_store(&a->slots[worker].held, t);
	} while (t != atomic_load(&a->current));
	return t;
}

static enum err
judge(const struct entry *found, bool same, enum keys_scope scope, int64_t now_s, struct err_info *info)
{
	char time[CLOCK_RFC3339];
	char scopes[KEYS_SCOPES_MAX];

	if (found == NULL || !same)
		return err_set(info, ERR_UNAUTHORIZED, "this key is not known, or it was revoked; ask for a new one");
	if (found->key.expires_s <= now_s)
		return err_set(info, ERR_UNAUTHORIZED, "the key %s has expired, at %s; ask for a new one", found->key.id,
					   clock_rfc3339_of(found->key.expires_s, time));
	if ((found->key.scopes & scope) == 0)
		return err_set(info, ERR_FORBIDDEN, "the key %s does not allow this: it has not the scope %s", found->key.id,
					   keys_scopes_print(scope, scopes));
	return ERR_OK;
}

enum err
auth_check(struct auth *a, size_t worker, const char *text, size_t len, enum keys_scope scope, int64_t now_s,
		   struct auth_client *client, struct err_info *info)
{
	static const unsigned char nobody[KEYS_HASH_BYTES];
	unsigned char hash[KEYS_HASH_BYTES];
	char id[KEYS_ID_CHARS + 1];

	*client = (struct auth_client){0};
	if (!keys_parse(text, len, id, hash))
		return err_set(info, ERR_UNAUTHORIZED,
					   "what was sent is no key of this server, which are like futaie_0123abcd_ and 43 characters");
	const struct table *t = enter(a, worker);
	const struct entry *found = find(t, id);
	bool same = sodium_memcmp(hash, found != NULL ? found->key.hash : nobody, sizeof hash) == 0;
	if (found != NULL && same) {
		*client =
			(struct auth_client){.number = found->number, .rate = found->key.rate, .bucket = &a->buckets[found->number].bucket};
		memcpy(client->id, id, sizeof client->id);
	}
	enum err e = judge(found, same, scope, now_s, info);
	atomic_store_explicit(&a->slots[worker].held, NULL, memory_order_release);
	return e;
}
