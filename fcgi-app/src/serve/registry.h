/* registry.h - the catalog that is served now, and its exchange while requests run */
#ifndef FUTAIE_REGISTRY_H
#define FUTAIE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "serve/catalog.h"

/*
 * How it works: the catalog stands behind one atomic pointer. A worker enters (writes the pointer it uses into its own slot, a hazard
 * pointer: M. Michael, "Hazard Pointers", 2004), uses the catalog, and leaves. A change makes a new catalog, exchanges the pointer and
 * retires the old one, which is freed once no slot names it. Readers never wait; changes wait for each other on one lock.
 */
struct registry;

/* Opens the first catalog, for workers 0 to n_workers - 1 and the one of the administration, n_workers; failures and `n_failed` as in catalog_open(). `source` is copied. */
enum err registry_open(const struct catalog_source *source, size_t n_workers, struct registry **out, size_t *n_failed,
					   struct err_info *info);

/* No worker may be inside. */
void registry_free(struct registry *r);

/*
 * Reads the store again. Logs and counts the result; on failure of the store as a whole the catalog is unchanged. True where every champion
 * that the store names serves now.
 */
bool registry_reload(struct registry *r, enum catalog_proof proof);

/* Frees retired catalogs that nobody uses any more; takes no lock where there are none. */
void registry_sweep(struct registry *r);

/* Only by the worker with this number, and not nested. The catalog is borrowed until registry_leave(). */
const struct catalog *registry_enter(struct registry *r, size_t worker);
void registry_leave(struct registry *r, size_t worker);

/*
 * Loads a version into the catalog, by a worker that is not inside; it enters again afterwards. Waits for another change for at most two
 * seconds, and at most half of the workers load or wait: ERR_OVERLOADED else. ERR_MODEL_FAILED where it cannot be proven.
 */
enum err registry_load_version(struct registry *r, const char *name, const char *version, struct err_info *info);

/*
 * Serves a model and proves its champion anew, or serves it no longer until it is loaded. Waits for another change to end.
 * ERR_UNKNOWN_MODEL; of loading also ERR_NO_CHAMPION, and ERR_MODEL_FAILED where the champion cannot be proven (an older one that served
 * goes on). By the administration's worker, which is not inside.
 */
enum err registry_load_model(struct registry *r, const char *name, struct err_info *info);
enum err registry_unload_model(struct registry *r, const char *name, struct err_info *info);

#endif
