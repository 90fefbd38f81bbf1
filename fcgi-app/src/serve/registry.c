/* registry.c - the catalog that is served now, and its exchange while requests run */
#include "serve/registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CACHE_LINE = 64, LOAD_WAIT_S = 2 };

struct slot {
	_Alignas(CACHE_LINE) const struct catalog *_Atomic held; /* what its worker uses now */
};

struct retired {
	struct catalog *catalog; /* owned */
	struct retired *next;
};

struct registry {
	struct catalog_source source;
	size_t n_workers;                /* that load versions; one slot more is the administration's */
	struct catalog *_Atomic current; /* owned */
	struct slot *slots;              /* owned; one a worker */
	pthread_mutex_t change;          /* held while catalogs are made, exchanged and freed */
	struct retired *retired;         /* guarded by change */
	atomic_size_t n_retired;         /* its length, so that a sweep with nothing to do takes no lock */
	atomic_size_t n_loading;         /* workers that load a version, or wait to */
};

enum err
registry_open(const struct catalog_source *source, size_t n_workers, struct registry **out, size_t *n_failed, struct err_info *info)
{
	struct registry *r = calloc(1, sizeof *r);
	struct catalog *first = NULL;
	enum err e;

	*out = NULL;
	if (r == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the registry");
	r->source = *source;
	r->n_workers = n_workers;
	(void)pthread_mutex_init(&r->change, NULL);
	r->slots = aligned_alloc(CACHE_LINE, (n_workers + 1) * sizeof *r->slots);
	if (r->slots == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the registry");
	else
		e = catalog_open(&r->source, NULL, CATALOG_PROVE_ALL, &first, n_failed, info);
	if (e != ERR_OK) {
		registry_free(r);
		return e;
	}
	memset(r->slots, 0, (n_workers + 1) * sizeof *r->slots);
	atomic_store(&r->current, first);
	*out = r;
	return ERR_OK;
}

void
registry_free(struct registry *r)
{
	if (r == NULL)
		return;
	for (struct retired *old = r->retired, *next; old != NULL; old = next) {
		next = old->next;
		catalog_free(old->catalog);
		free(old);
	}
	catalog_free(atomic_load(&r->current));
	free(r->slots);
	(void)pthread_mutex_destroy(&r->change);
	free(r);
}

static bool
is_held(struct registry *r, const struct catalog *c)
{
	for (size_t i = 0; i <= r->n_workers; i++)
		if (atomic_load(&r->slots[i].held) == c)
			return true;
	return false;
}

/* With `change` held. */
static void
sweep(struct registry *r)
{
	for (struct retired **link = &r->retired; *link != NULL;) {
		struct retired *old = *link;
		if (is_held(r, old->catalog)) {
			link = &old->next;
			continue;
		}
		*link = old->next;
		(void)atomic_fetch_sub(&r->n_retired, 1);
		catalog_free(old->catalog);
		free(old);
	}
}

/* Exchanges the catalog, with `change` held. Without memory to retire the old one, nothing is exchanged and `fresh` is freed. */
static enum err
publish(struct registry *r, struct catalog *fresh, struct err_info *info)
{
	struct retired *old = malloc(sizeof *old);

	if (old == NULL) {
		catalog_free(fresh);
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory to exchange the models");
	}
	old->catalog = atomic_exchange(&r->current, fresh);
	old->next = r->retired;
	r->retired = old;
	(void)atomic_fetch_add(&r->n_retired, 1);
	sweep(r);
	return ERR_OK;
}

bool
registry_reload(struct registry *r, enum catalog_proof proof)
{
	struct err_info info;
	struct catalog *fresh;
	size_t n_failed = 0;

	(void)pthread_mutex_lock(&r->change);
	enum err e = catalog_open(&r->source, atomic_load(&r->current), proof, &fresh, &n_failed, &info);
	if (e == ERR_OK)
		e = publish(r, fresh, &info);
	(void)pthread_mutex_unlock(&r->change);
	metrics_reload(r->source.metrics, e == ERR_OK && n_failed == 0);
	if (e != ERR_OK)
		log_message(r->source.log, LOG_ERROR, "reload_failed", "%s; what was served before goes on", info.text);
	else
		log_message(r->source.log, n_failed == 0 ? LOG_INFO : LOG_WARN, "reload",
					"the model store was read again; champions that failed: %zu", n_failed);
	return e == ERR_OK && n_failed == 0;
}

void
registry_sweep(struct registry *r)
{
	/* Whoever holds the lock sweeps when it publishes. */
	if (atomic_load(&r->n_retired) == 0 || pthread_mutex_trylock(&r->change) != 0)
		return;
	sweep(r);
	(void)pthread_mutex_unlock(&r->change);
}

const struct catalog *
registry_enter(struct registry *r, size_t worker)
{
	struct catalog *c;

	/* Once the slot is visible its catalog is not freed; the second look tells whether it was still the current one then. */
	do {
		c = atomic_load(&r->current);
		atomic_store(&r->slots[worker].held, c);
	} while (c != atomic_load(&r->current));
	return c;
}

void
registry_leave(struct registry *r, size_t worker)
{
	atomic_store_explicit(&r->slots[worker].held, NULL, memory_order_release);
}

/* Takes `change`, as a worker: bounded in time. */
static bool
lock_as_worker(struct registry *r)
{
	struct timespec until;

	/* The wall clock, since ThreadSanitizer does not know pthread_mutex_clocklock(); a step of it changes one wait. */
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LOAD_WAIT_S;
	return pthread_mutex_timedlock(&r->change, &until) == 0;
}

static enum err
load_version(struct registry *r, const char *name, const char *version, struct err_info *info)
{
	struct catalog_choice choice;
	struct catalog *fresh;
	bool unloaded;

	if (!lock_as_worker(r))
		return err_set(info, ERR_OVERLOADED, "other versions are being loaded; try again in a second");
	const struct catalog *now = atomic_load(&r->current);
	enum err e = catalog_choose_version(now, name, version, &choice, &unloaded, info);
	if (unloaded) { /* else another worker was faster, or the version has just gone */
		struct err_info unpublished;
		e = catalog_open_with(&r->source, now, name, version, &fresh, info);
		if (fresh != NULL && publish(r, fresh, &unpublished) != ERR_OK && e == ERR_OK)
			e = err_set(info, ERR_OUT_OF_MEMORY, "%s", unpublished.text);
	}
	(void)pthread_mutex_unlock(&r->change);
	return e;
}

enum err
registry_load_version(struct registry *r, const char *name, const char *version, struct err_info *info)
{
	enum err e;

	/* At most half of the workers load or wait to: the others go on with what is loaded. */
	if (atomic_fetch_add(&r->n_loading, 1) < (r->n_workers + 1) / 2)
		e = load_version(r, name, version, info);
	else
		e = err_set(info, ERR_OVERLOADED, "other versions are being loaded; try again in a second");
	(void)atomic_fetch_sub(&r->n_loading, 1);
	return e;
}

/* What became of a model that was to be loaded, or to be unloaded. */
static enum err
judge_change(const struct catalog *fresh, const struct catalog_source *source, struct err_info *info)
{
	const char *name = source->load != NULL ? source->load : source->unload;
	const struct store_model *stored = store_find(catalog_store(fresh), name);
	struct catalog_choice choice;

	if (stored == NULL)
		return catalog_choose(fresh, name, &choice, info);
	if (source->load == NULL)
		return ERR_OK;
	if (catalog_problem(fresh, stored)[0] != '\0')
		return err_set(info, ERR_MODEL_FAILED, "the champion of %s cannot be served; the server's log says why", name);
	return catalog_choose(fresh, name, &choice, info);
}

static enum err
change_model(struct registry *r, const char *load, const char *unload, struct err_info *info)
{
	struct catalog_source source = r->source;
	struct err_info unpublished;
	struct catalog *fresh;
	size_t n_failed = 0;

	source.load = load;
	source.unload = unload;
	(void)pthread_mutex_lock(&r->change);
	enum err e = catalog_open(&source, atomic_load(&r->current), CATALOG_PROVE_NEW, &fresh, &n_failed, info);
	if (e != ERR_OK) {
		log_message(r->source.log, LOG_ERROR, "reload_failed", "%s; what was served before goes on", info->text);
		e = err_set(info, ERR_MODEL_FAILED, "the models could not be read; the server's log says why");
	} else {
		e = judge_change(fresh, &source, info);
		if (publish(r, fresh, &unpublished) != ERR_OK)
			e = err_set(info, ERR_OUT_OF_MEMORY, "%s", unpublished.text);
	}
	(void)pthread_mutex_unlock(&r->change);
	metrics_reload(r->source.metrics, e == ERR_OK && n_failed == 0);
	return e;
}

enum err
registry_load_model(struct registry *r, const char *name, struct err_info *info)
{
	return change_model(r, name, NULL, info);
}

enum err
registry_unload_model(struct registry *r, const char *name, struct err_info *info)
{
	enum err e = change_model(r, NULL, name, info);

	if (e == ERR_OK)
		log_message(r->source.log, LOG_INFO, "unload", "model %s is not served until it is loaded", name);
	return e;
}
