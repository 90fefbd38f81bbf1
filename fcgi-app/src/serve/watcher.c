/* watcher.c - the thread that reads the model store again when it has changed, or when it is asked to */
#include "serve/watcher.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/store.h"
#include "serve/ticker.h"

enum { RETRY_FIRST_S = 5, RETRY_LAST_S = 600 };

struct watcher {
	struct registry *registry;
	const char *store;
	uint64_t stamp;    /* of the store as it was read last; this and the next two are the thread's */
	unsigned retry_s;  /* how long a failed reload waits for its next try; 0 where none has failed */
	uint64_t retry_ns; /* when that is */
	struct ticker *ticker;
};

/* What failed may have failed for a passing reason: memory, descriptors, files that were still being copied. */
static void
plan_retry(struct watcher *w, bool done, bool changed)
{
	if (done)
		w->retry_s = 0;
	else if (changed || w->retry_s == 0)
		w->retry_s = RETRY_FIRST_S;
	else
		w->retry_s = w->retry_s * 2 < RETRY_LAST_S ? w->retry_s * 2 : RETRY_LAST_S;
	w->retry_ns = clock_now_ns() + (uint64_t)w->retry_s * 1000000000U;
}

static void
look(void *arg, bool asked)
{
	struct watcher *w = arg;
	uint64_t now = store_stamp(w->store);
	bool changed = asked || now != w->stamp;
	bool again = w->retry_s > 0 && clock_now_ns() >= w->retry_ns;

	if (!changed && !again)
		return;
	w->stamp = now;
	bool done = registry_reload(w->registry, asked ? CATALOG_PROVE_ALL : CATALOG_PROVE_NEW);
	plan_retry(w, done, changed);
}

enum err
watcher_open(struct registry *r, const char *store, uint64_t stamp, struct watcher **out, struct err_info *info)
{
	struct watcher *w = calloc(1, sizeof *w);

	*out = NULL;
	if (w == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory to watch the store");
	w->registry = r;
	w->store = store;
	w->stamp = stamp;
	int result = ticker_open(look, w, &w->ticker);
	if (result != 0) {
		free(w);
		return err_set(info, ERR_OUT_OF_MEMORY, "cannot start the thread that watches the store: %s", strerror(result));
	}
	*out = w;
	return ERR_OK;
}

void
watcher_reload(struct watcher *w)
{
	ticker_ask(w->ticker);
}

void
watcher_free(struct watcher *w)
{
	if (w == NULL)
		return;
	ticker_free(w->ticker);
	free(w);
}
