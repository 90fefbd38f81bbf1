/* watcher.c - the thread that reads the model store again when it has changed, or when it is asked to */
#include "serve/watcher.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "model/store.h"

enum { LOOK_MS = 250, RETRY_FIRST_S = 5, RETRY_LAST_S = 600 };

struct watcher {
	struct registry *registry;
	const char *store;
	uint64_t stamp;    /* of the store as it was read last; this and the next two are the thread's */
	unsigned retry_s;  /* how long a failed reload waits for its next try; 0 where none has failed */
	uint64_t retry_ns; /* when that is */
	int wake_fd;       /* counts what was asked for, and the end */
	atomic_bool stopping;
	pthread_t thread;
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
look(struct watcher *w)
{
	uint64_t n_asked = 0;
	uint64_t now = store_stamp(w->store);
	bool asked = read(w->wake_fd, &n_asked, sizeof n_asked) > 0;

	bool changed = asked || now != w->stamp;
	bool again = w->retry_s > 0 && clock_now_ns() >= w->retry_ns;
	if (!changed && !again)
		return;
	w->stamp = now;
	bool done = registry_reload(w->registry, asked ? CATALOG_PROVE_ALL : CATALOG_PROVE_NEW);
	plan_retry(w, done, changed);
}

static void *
run(void *arg)
{
	struct watcher *w = arg;
	struct pollfd wake = {.fd = w->wake_fd, .events = POLLIN};

	for (;;) {
		(void)poll(&wake, 1, LOOK_MS);
		if (atomic_load(&w->stopping))
			return NULL;
		look(w);
	}
}

enum err
watcher_open(struct registry *r, const char *store, uint64_t stamp, struct watcher **out, struct err_info *info)
{
	struct watcher *w = calloc(1, sizeof *w);
	sigset_t blocked;
	sigset_t before;

	*out = NULL;
	if (w == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory to watch the store");
	w->registry = r;
	w->store = store;
	w->stamp = stamp;
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	(void)sigfillset(&blocked);
	(void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
	int result = w->wake_fd < 0 ? errno : pthread_create(&w->thread, NULL, run, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result != 0) {
		if (w->wake_fd >= 0)
			(void)close(w->wake_fd);
		free(w);
		return err_set(info, ERR_OUT_OF_MEMORY, "cannot start the thread that watches the store: %s", strerror(result));
	}
	*out = w;
	return ERR_OK;
}

void
watcher_reload(struct watcher *w)
{
	const uint64_t one = 1;
	ssize_t written = write(w->wake_fd, &one, sizeof one);

	(void)written; /* it only fails where it was asked 2^64 times and nobody looked */
}

void
watcher_free(struct watcher *w)
{
	if (w == NULL)
		return;
	atomic_store(&w->stopping, true);
	watcher_reload(w);
	(void)pthread_join(w->thread, NULL);
	(void)close(w->wake_fd);
	free(w);
}
