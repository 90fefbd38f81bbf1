/* shelf.h - what one reading of the model store gave: champions, proven, and ready-made JSON */
#ifndef FUTAIE_SHELF_H
#define FUTAIE_SHELF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/model.h"
#include "model/store.h"
#include "serve/catalog.h"

/* The inside of catalog.c, and for it alone. Counts of references are guarded as catalogs are: one thread at a time makes and frees them. */

/* A loaded version, shared by the shelves and catalogs that name it. */
struct served {
	struct model *model; /* owned */
	struct metrics_series *series;
	size_t refs;
	_Atomic uint64_t used_ns; /* last time it was chosen by number; written by workers */
};

/* A model of the store. */
struct entry {
	const struct store_model *stored; /* in the shelf's store */
	struct metrics_series *refused;   /* counts what no version of it could answer */
	struct served *champion;          /* counted; NULL where there is none or none could be proven */
	bool unloaded;                    /* by the operator, until it is loaded */
	char *json;                       /* owned; the body of GET /models/NAME */
	char problem[ERR_TEXT_MAX];       /* why the champion that the store names does not serve, or "" */
};

/* What one reading of the store gave; shared by the catalogs that differ only in extras. */
struct shelf {
	struct store store;           /* owned */
	struct entry *entries;        /* owned; store.n_models, by name */
	const struct entry *standard; /* the default model, or NULL */
	char *models_json;            /* owned; the body of GET /models */
	size_t refs;
};

/* Owns the model from here on, also on failure; NULL without memory. Counted once, for the caller. */
struct served *served_open(const struct catalog_source *source, struct model *model);

/* Counts another user of it; NULL is passed on. */
struct served *served_ref(struct served *s);
void served_unref(struct served *s);

/*
 * Reads the store and proves champions, as catalog_open() says; what `old` (or NULL) serves goes on where a champion fails. Counted once, for
 * the caller.
 */
enum err shelf_open(const struct catalog_source *source, const struct shelf *old, enum catalog_proof proof, struct shelf **out,
					size_t *n_failed, struct err_info *info);

/* Counts one user less. */
void shelf_free(struct shelf *shelf);

/* NULL where there is no such model. */
struct entry *shelf_find(const struct shelf *shelf, const char *name);

/* Appends the body of GET /models/NAME: what is known of `m`, a version of `stored`, or of no version where it is NULL. */
void shelf_write_model(const struct store_model *stored, const struct model *m, struct buf *out);

bool shelf_has_champion(const struct shelf *shelf);

#endif
