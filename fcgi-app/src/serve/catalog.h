/* catalog.h - what is served at one moment: models, their champions, versions loaded by number */
#ifndef FUTAIE_CATALOG_H
#define FUTAIE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "model/model.h"
#include "model/store.h"
#include "watch/metrics.h"

enum { CATALOG_EXTRAS_MAX = 8 /* versions other than champions that are kept loaded */ };

/*
 * A catalog does not change once it is published, so any number of threads may read it. Catalogs share loaded models by counting
 * references; making and freeing catalogs is therefore for one thread at a time (the registry's `change` lock).
 */
struct catalog;

/* What is the same for all catalogs of a server; borrowed for their life. */
struct catalog_source {
	const char *store;         /* folder */
	const char *default_model; /* or "" */
	const char
		*trial; /* program that tries new versions in a child, see model/trial.h; NULL: nothing is tried before it is loaded */
	struct metrics *metrics;
	const struct log *log;
	const char *load;   /* of one change, or NULL: this model is served again, and its champion proven anew; … */
	const char *unload; /* … this one is no longer served until it is loaded */
};

/* A model to answer with; valid as long as the catalog. */
struct catalog_choice {
	const struct catalog *catalog; /* that it was chosen from */
	const struct model *model;     /* NULL on failure */
	struct metrics_series *series; /* never NULL: of the version, of the model where no version can answer, or of unknown models */
};

/* Which champions a new catalog proves. */
enum catalog_proof {
	CATALOG_PROVE_ALL,
	CATALOG_PROVE_NEW /* those that the old one does not serve already: another version, or another sha256 in its manifest */
};

/*
 * Reads the store and proves champions. What cannot be proven is logged and counted in `*n_failed`, and served as in `old`
 * (or NULL). Fails where the store cannot be read, where the default model is not in it, or where it has champions and none can be
 * served. `info` is not NULL.
 */
enum err catalog_open(const struct catalog_source *source, const struct catalog *old, enum catalog_proof proof,
					  struct catalog **out, size_t *n_failed, struct err_info *info);

/*
 * The same as `old` with one more version loaded, in place of the one used least recently where there are CATALOG_EXTRAS_MAX. Where the version
 * cannot be served, the result is ERR_MODEL_FAILED and still a catalog: one that remembers so, until the store is read again.
 */
enum err catalog_open_with(const struct catalog_source *source, const struct catalog *old, const char *name, const char *version,
						   struct catalog **out, struct err_info *info);

void catalog_free(struct catalog *c);

/*
 * Chooses the champion of `name`, or of the default model where `name` is "". ERR_UNKNOWN_MODEL, ERR_NO_CHAMPION, ERR_NO_DEFAULT_MODEL,
 * ERR_NOT_READY (its champion cannot be served, or there are no models).
 */
enum err catalog_choose(const struct catalog *c, const char *name, struct catalog_choice *choice, struct err_info *info);

/*
 * Chooses a version by number; `*unloaded` is set where it is in the store but must be loaded first (and the result is ERR_NOT_READY).
 * ERR_UNKNOWN_MODEL, ERR_UNKNOWN_VERSION, ERR_MODEL_FAILED (it was tried and cannot be served).
 */
enum err catalog_choose_version(const struct catalog *c, const char *name, const char *version, struct catalog_choice *choice,
								bool *unloaded, struct err_info *info);

/* The ready-made bodies of GET /models and GET /models/NAME (NULL where there is no such model); borrowed. */
const char *catalog_models_json(const struct catalog *c);
const char *catalog_model_json(const struct catalog *c, const char *name);

/* Appends the body of GET /models/NAME/versions/V, for a choice that did not fail. */
void catalog_write_choice(const struct catalog_choice *choice, struct buf *out);

/* True where a request for the default model can be answered or, without one, a request for any. */
bool catalog_ready(const struct catalog *c);

/* True where a champion has a feature of that name, whose length is given. */
bool catalog_has_feature(const struct catalog *c, const char *name, size_t len);

/* Appends the body of /readyz. */
void catalog_write_ready(const struct catalog *c, struct buf *out);

/* The store as it was read for the catalog; borrowed. */
const struct store *catalog_store(const struct catalog *c);

/* What a version is at this moment. */
enum catalog_state {
	CATALOG_LOADED,
	CATALOG_UNLOADED,  /* with its model, by the operator */
	CATALOG_AVAILABLE, /* by number: loaded once it is asked for */
	CATALOG_FAILED     /* it was tried and cannot be served */
};

/* `m` and `version` are of catalog_store(). */
enum catalog_state catalog_state(const struct catalog *c, const struct store_model *m, const char *version);

/* Why the champion that the store names does not serve, or "". The same for `m`. */
const char *catalog_problem(const struct catalog *c, const struct store_model *m);

/* Appends futaie_model_info. */
void catalog_write_metrics(const struct catalog *c, struct buf *out);

#endif
