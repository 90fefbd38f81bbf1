/* ticker.c - a thread that looks at something a few times a second, and at once when it is asked to */
#include "serve/ticker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LOOK_MS = 250 };

struct ticker {
	ticker_look *look;
	void *arg;
	int wake_fd; /* counts what was asked for, and the end */
	atomic_bool stopping;
	pthread_t thread;
};

static void *
run(void *arg)
{
	struct ticker *t = arg;
	struct pollfd wake = {.fd = t->wake_fd, .events = POLLIN};

	for (;;) {
		uint64_t n_asked = 0;
		(void)poll(&wake, 1, LOOK_MS);
		if (atomic_load(&t->stopping))
			return NULL;
		t->look(t->arg, read(t->wake_fd, &n_asked, sizeof n_asked) > 0);
	}
}

int
ticker_open(ticker_look *look, void *arg, struct ticker **out)
{
	struct ticker *t = calloc(1, sizeof *t);
	sigset_t blocked;
	sigset_t before;

	*out = NULL;
	if (t == NULL)
		return ENOMEM;
	t->look = look;
	t->arg = arg;
	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	(void)sigfillset(&blocked);
	(void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
	int result = t->wake_fd < 0 ? errno : pthread_create(&t->thread, NULL, run, t);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result == 0) {
		*out = t;
		return 0;
	}
	if (t->wake_fd >= 0)
		(void)close(t->wake_fd);
	free(t);
	return result;
}

void
ticker_ask(struct ticker *t)
{
	const uint64_t one = 1;
	ssize_t written = write(t->wake_fd, &one, sizeof one);

	(void)written; /* it only fails where it was asked 2^64 times and nobody looked */
}

void
ticker_free(struct ticker *t)
{
	if (t == NULL)
		return;
	atomic_store(&t->stopping, true);
	ticker_ask(t);
	(void)pthread_join(t->thread, NULL);
	(void)close(t->wake_fd);
	free(t);
}
