/* gate.c - who gets in: keys, rates, and how much one client may have at a time */
#include "serve/gate.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "serve/auth.h"
#include "serve/queue.h"
#include "serve/rates.h"

enum { CACHE_LINE = 64, SECOND_NS = 1000000000 };

/* Whose request a worker is in: with as many workers as there are, to count is faster than to keep count, and cannot go wrong. */
struct flight {
	_Alignas(CACHE_LINE) _Atomic uint64_t client; /* 0: none */
};

struct gate {
	struct gate_options options;
	struct auth *auth;                 /* owned; NULL without keys */
	struct rates_addresses *addresses; /* owned */
	struct rates_limit per_key;        /* of keys without a rate of their own */
	struct rates_limit per_address;
	struct flight *flights; /* owned; one a worker */
	struct queue *queue;    /* owned; NULL without queue_max_ms */
};

static bool
is_needed(const struct gate_options *o)
{
	return o->keys[0] != '\0' || o->rate_per_address > 0 || o->in_flight > 0 || o->queue_max_ms > 0;
}

enum err
gate_open(const struct gate_options *options, struct gate **out, struct err_info *info)
{
	enum err e = ERR_OK;

	*out = NULL;
	if (!is_needed(options))
		return ERR_OK;
	struct gate *g = calloc(1, sizeof *g);
	if (g == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the limits");
	g->options = *options;
	if (options->rate_per_key > 0)
		g->per_key = rates_limit_of(options->rate_per_key, options->burst_s);
	if (options->rate_per_address > 0)
		g->per_address = rates_limit_of(options->rate_per_address, options->burst_s);
	g->addresses = rates_addresses_open();
	g->flights = aligned_alloc(CACHE_LINE, options->n_workers * sizeof *g->flights);
	if (g->addresses == NULL || g->flights == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the limits");
	else
		memset(g->flights, 0, options->n_workers * sizeof *g->flights);
	if (e == ERR_OK && options->keys[0] != '\0')
		e = auth_open(options->keys, options->n_workers, options->log, options->metrics, &g->auth, info);
	if (e == ERR_OK && options->queue_max_ms > 0)
		e = queue_open(options->listen_fd, options->queue_max_ms, options->log, &g->queue, info);
	if (e == ERR_OK)
		*out = g;
	else
		gate_free(g);
	return e;
}

void
gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	queue_free(g->queue);
	auth_free(g->auth);
	rates_addresses_free(g->addresses);
	free(g->flights);
	free(g);
}

size_t
gate_keys(const struct gate *g)
{
	return g != NULL && g->auth != NULL ? auth_count(g->auth) : 0;
}

void
gate_reload(struct gate *g)
{
	if (g != NULL && g->auth != NULL)
		auth_reload(g->auth);
}

/* The text of the key that a request brings, or NULL. */
static const char *
find_key(const struct gate_request *r, size_t *len)
{
	const char *text = NULL;

	if (strncasecmp(r->authorization, "Bearer ", 7) == 0)
		text = r->authorization + 7;
	else if (r->api_key[0] != '\0')
		text = r->api_key;
	if (text == NULL)
		return NULL;
	text += strspn(text, " ");
	*len = strcspn(text, " ");
	return text[*len + strspn(text + *len, " ")] == '\0' ? text : NULL;
}

static enum err
check_key(struct gate *g, size_t worker, const struct gate_request *r, struct gate_result *result, struct auth_client *client,
		  struct err_info *info)
{
	size_t len;
	const char *text = find_key(r, &len);

	if (text == NULL) {
		result->challenge = "Bearer";
		return err_set(info, ERR_UNAUTHORIZED, "this needs a key: send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'");
	}
	enum err e = auth_check(g->auth, worker, text, len, r->scope, time(NULL), client, info);
	memcpy(result->key, client->id, sizeof result->key);
	if (e == ERR_UNAUTHORIZED)
		result->challenge = "Bearer error=\"invalid_token\""; /* RFC 6750, section 3.1 */
	else if (e == ERR_FORBIDDEN)
		result->challenge = "Bearer error=\"insufficient_scope\"";
	return e;
}

static enum err
take(rates_bucket *bucket, const struct rates_limit *limit, uint64_t now_ns, const char *whose, struct gate_result *result,
	 struct err_info *info)
{
	uint64_t wait_ns = rates_take(bucket, limit, now_ns);

	if (wait_ns == 0)
		return ERR_OK;
	result->retry_after_s = (int)((wait_ns + SECOND_NS - 1) / SECOND_NS);
	return err_set(info, ERR_RATE_LIMITED, "too many requests %s: it is %ld a second; try again in %d s", whose, limit->rate,
				   result->retry_after_s);
}

/*
 * Says whose request this worker is in, and counts the workers that say the same. Two that come at the same moment see each other,
 * and may both be refused; never are too many let in.
 */
static enum err
count_flights(struct gate *g, size_t worker, uint64_t client, struct err_info *info)
{
	long n = 0;

	atomic_store(&g->flights[worker].client, client);
	for (size_t i = 0; i < g->options.n_workers; i++)
		n += atomic_load(&g->flights[i].client) == client;
	if (n <= g->options.in_flight)
		return ERR_OK;
	atomic_store(&g->flights[worker].client, 0);
	return err_set(info, ERR_RATE_LIMITED, "%ld of your requests are being answered, the most at a time; wait for one of them",
				   g->options.in_flight);
}

enum err
gate_enter(struct gate *g, size_t worker, const struct gate_request *request, uint64_t now_ns, struct gate_result *result,
		   struct err_info *info)
{
	const struct gate_options *o = &g->options;
	bool by_key = g->auth != NULL && request->scope != 0;
	bool by_address = o->rate_per_address > 0 || (!by_key && o->in_flight > 0);
	uint64_t client = by_address ? rates_client(g->addresses, request->address) : 0;
	struct auth_client holder = {0};
	enum err e = ERR_OK;

	*result = (struct gate_result){0};
	if (g->queue != NULL && request->scope != KEYS_ADMIN && queue_is_long(g->queue))
		return err_set(info, ERR_OVERLOADED, "requests wait longer than %ld ms to be worked on; try again in a second",
					   o->queue_max_ms);
	if (o->rate_per_address > 0)
		e = take(rates_bucket_of(g->addresses, client), &g->per_address, now_ns, "from your address", result, info);
	if (e == ERR_OK && by_key) {
		e = check_key(g, worker, request, result, &holder, info);
		client = holder.number + 1;
	}
	if (e == ERR_OK && o->in_flight > 0 && request->scope != 0)
		e = count_flights(g, worker, client, info);
	if (e == ERR_OK && by_key && (holder.rate > 0 || o->rate_per_key > 0)) {
		const struct rates_limit own = holder.rate > 0 ? rates_limit_of(holder.rate, o->burst_s) : g->per_key;
		e = take(holder.bucket, &own, now_ns, "with this key", result, info);
	}
	return e;
}

void
gate_leave(struct gate *g, size_t worker)
{
	if (g->options.in_flight > 0)
		atomic_store_explicit(&g->flights[worker].client, 0, memory_order_release);
}
