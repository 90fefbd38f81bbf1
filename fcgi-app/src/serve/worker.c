/* worker.c - threads, accept loop, draining, stuck peers */
#include "serve/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/router.h"

enum {
	JOIN_TICK_MS = 200,
	COMPLAINT_NS = 1000 * 1000 * 1000, /* between two lines of the log about that */
	ERROR_PAUSE_MS = 50                /* after an accept that failed for want of descriptors or memory */
};

struct worker {
	struct workers *pool;
	pthread_t thread;
	bool started;
	uint64_t complained_ns; /* when the log last had a line about an accept that failed */
	int epoll_fd;
	struct fcgi_io *io;     /* owned */
	struct request request; /* owned; used by the thread only */
};

struct workers {
	struct workers_options options;
	int stop_fd; /* readable once the work is to end; never read */
	atomic_bool stopping;
	_Atomic uint64_t stop_until_ns; /* when the queue is no longer served; set before `stopping` */
	size_t n;
	struct worker *workers; /* owned */
};

static void *run(void *arg);

static void
wake_up(int signal_number)
{
	(void)signal_number; /* the interrupted system call is the point */
}

static bool
watch_fd(int epoll_fd, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data = {.fd = fd}};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static enum err
worker_init(struct worker *w, struct workers *pool, size_t number, struct err_info *info)
{
	w->pool = pool;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->io = fcgi_io_open(pool->options.listen_fd);
	if (w->epoll_fd < 0 || !watch_fd(w->epoll_fd, pool->options.listen_fd, EPOLLIN | EPOLLEXCLUSIVE) ||
		!watch_fd(w->epoll_fd, pool->stop_fd, EPOLLIN))
		return err_set(info, ERR_FILE, "cannot watch the listening socket: %s", strerror(errno));
	if (w->io == NULL || !router_request_init(&w->request, pool->options.server, pool->options.first + number, w->io))
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for worker %zu", number);
	int result = pthread_create(&w->thread, NULL, run, w);
	if (result != 0)
		return err_set(info, ERR_FILE, "cannot start worker %zu: %s", number, strerror(result));
	w->started = true;
	return ERR_OK;
}

static void
worker_release(struct worker *w)
{
	router_request_release(&w->request);
	fcgi_io_free(w->io);
	if (w->epoll_fd >= 0)
		(void)close(w->epoll_fd);
}

enum err
workers_open(const struct workers_options *options, struct workers **out, struct err_info *info)
{
	struct sigaction action = {.sa_handler = wake_up}; /* no SA_RESTART */
	struct workers *w = calloc(1, sizeof *w);
	sigset_t blocked;
	sigset_t before;
	enum err e = ERR_OK;

	*out = NULL;
	if (w == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the workers");
	w->options = *options;
	w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->workers = calloc(options->n, sizeof *w->workers);
	if (w->stop_fd < 0 || w->workers == NULL || sigaction(SIGUSR2, &action, NULL) != 0)
		e = err_set(info, ERR_OUT_OF_MEMORY, "cannot start the workers: %s", strerror(errno));
	(void)sigfillset(&blocked);
	(void)sigdelset(&blocked, SIGUSR2);
	(void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
	while (e == ERR_OK && w->n < options->n) {
		e = worker_init(&w->workers[w->n], w, w->n, info);
		w->n++; /* also one that is half made is to be released */
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e != ERR_OK) {
		workers_stop(w);
		workers_free(w);
		return e;
	}
	*out = w;
	return ERR_OK;
}

void
workers_watch(struct workers *w)
{
	uint64_t limit_ns = (uint64_t)w->options.io_timeout_s * 1000000000U;
	uint64_t now_ns = clock_now_ns();

	for (size_t i = 0; i < w->n; i++) {
		struct worker *worker = &w->workers[i];
		uint64_t since = worker->started ? fcgi_io_waiting_since(worker->io) : 0;
		if (since == 0 || now_ns < since + limit_ns)
			continue;
		log_message(&w->options.server->log, LOG_WARN, "peer_given_up", "worker %zu has waited for its peer for %u s", i,
					w->options.io_timeout_s);
		(void)pthread_kill(worker->thread, SIGUSR2);
	}
}

void
workers_stop(struct workers *w)
{
	const uint64_t one = 1;

	atomic_store(&w->stop_until_ns, clock_now_ns() + (uint64_t)w->options.io_timeout_s * 1000000000U);
	atomic_store(&w->stopping, true);
	ssize_t written = w->stop_fd >= 0 ? write(w->stop_fd, &one, sizeof one) : 0;
	(void)written; /* an eventfd takes its first 1 always */
}

static void
join(struct workers *w, struct worker *worker)
{
	struct timespec until;

	do {
		workers_watch(w);
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += JOIN_TICK_MS * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_nsec -= 1000000000L;
			until.tv_sec++;
		}
	} while (pthread_timedjoin_np(worker->thread, NULL, &until) == ETIMEDOUT);
	worker->started = false;
}

void
workers_free(struct workers *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < w->n; i++)
		if (w->workers[i].started)
			join(w, &w->workers[i]);
	for (size_t i = 0; i < w->n; i++)
		worker_release(&w->workers[i]);
	if (w->stop_fd >= 0)
		(void)close(w->stop_fd);
	free(w->workers);
	free(w);
}

/* Waits for a connection or the end of the work. */
static void
wait_for_work(struct worker *w)
{
	struct epoll_event event;

	router_write_log(&w->request);
	(void)epoll_wait(w->epoll_fd, &event, 1, -1); /* an interruption only means another look */
}

static void
pause_after_error(struct worker *w, int error)
{
	const struct timespec pause = {.tv_nsec = ERROR_PAUSE_MS * 1000000L};

	uint64_t now_ns = clock_now_ns();

	router_write_log(&w->request);
	if (w->complained_ns == 0 || now_ns - w->complained_ns >= COMPLAINT_NS) {
		log_message(&w->pool->options.server->log, LOG_WARN, "accept_failed", "cannot take a connection: %s", strerror(error));
		w->complained_ns = now_ns;
	}
	(void)nanosleep(&pause, NULL);
}

/* A connection that the peer or the watch ended before its request was whole, or nothing at all. */
static bool
is_harmless(int error)
{
	return error == EAGAIN || error == EINTR || error == ECONNABORTED || error == ECONNRESET || error == EPIPE;
}

static void *
run(void *arg)
{
	struct worker *w = arg;
	struct workers *pool = w->pool;

	for (;;) {
		bool stopping = atomic_load(&pool->stopping);
		if (stopping && (!pool->options.serve_queue || clock_now_ns() > atomic_load(&pool->stop_until_ns)))
			break;
		int error = fcgi_io_accept(w->io);
		if (error == 0)
			router_serve(&w->request);
		else if (error == EAGAIN && stopping)
			break;
		else if (error == EAGAIN)
			wait_for_work(w);
		else if (!is_harmless(error))
			pause_after_error(w, error);
	}
	router_write_log(&w->request);
	return NULL;
}
