/* watcher.h - the thread that reads the model store again when it has changed, or when it is asked to */
#ifndef FUTAIE_WATCHER_H
#define FUTAIE_WATCHER_H

#include <stdint.h>

#include "base/err.h"
#include "serve/registry.h"

/*
 * Looks at the store's stamp (store_stamp()) four times a second, which works on every file system, and has the registry prove what is new;
 * asked by watcher_reload(), it has all of it proven. A reload that failed is tried again after five
 * seconds, ten, and so on up to ten minutes. So a large model or a slow disk holds up neither signals nor requests.
 */
struct watcher;

/* Starts the thread, with all signals blocked. `stamp` is of before the registry read the store. `r` and `store` are borrowed. */
enum err watcher_open(struct registry *r, const char *store, uint64_t stamp, struct watcher **out, struct err_info *info);

/* Asks for a reload and returns at once. Any thread. */
void watcher_reload(struct watcher *w);

/* Waits for a reload that is under way, and ends the thread. */
void watcher_free(struct watcher *w);

#endif
