/* queue.c - whether requests wait too long for a worker: measured by one that waits with them */
#include "serve/queue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { PERIOD_MS = 100 /* between two connections */, FAILED_MS = 1000, MS_NS = 1000000 };

struct queue {
	struct sockaddr_storage address; /* of the listening socket */
	socklen_t address_len;
	long max_ms;
	const struct log *log;
	atomic_bool is_long;
	int stop_fd; /* readable once the thread is to end */
	pthread_t thread;
};

static void *run(void *arg);

enum err
queue_open(int listen_fd, long max_ms, const struct log *log, struct queue **out, struct err_info *info)
{
	struct queue *q = calloc(1, sizeof *q);
	sigset_t blocked;
	sigset_t before;

	*out = NULL;
	if (q == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory to watch the queue");
	q->max_ms = max_ms;
	q->log = log;
	q->address_len = sizeof q->address;
	if (getsockname(listen_fd, (struct sockaddr *)&q->address, &q->address_len) != 0)
		q->address_len = 0;
	q->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	(void)sigfillset(&blocked);
	(void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
	int result = q->stop_fd < 0 ? errno : pthread_create(&q->thread, NULL, run, q);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result == 0) {
		*out = q;
		return ERR_OK;
	}
	if (q->stop_fd >= 0)
		(void)close(q->stop_fd);
	free(q);
	return err_set(info, ERR_OUT_OF_MEMORY, "cannot start the thread that watches the queue: %s", strerror(result));
}

void
queue_free(struct queue *q)
{
	const uint64_t one = 1;

	if (q == NULL)
		return;
	ssize_t written = write(q->stop_fd, &one, sizeof one);
	(void)written; /* an eventfd takes its first 1 always */
	(void)pthread_join(q->thread, NULL);
	(void)close(q->stop_fd);
	free(q);
}

bool
queue_is_long(const struct queue *q)
{
	return atomic_load_explicit(&q->is_long, memory_order_relaxed);
}

/* Connects and ends our side at once; -1 with errno where that fails, EAGAIN where the queue is full. */
static int
join(const struct queue *q)
{
	int fd = socket(q->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if ((connect(fd, (const struct sockaddr *)&q->address, q->address_len) != 0 && errno != EINPROGRESS) ||
		(shutdown(fd, SHUT_WR) != 0 && errno != ENOTCONN)) {
		int error = errno;
		(void)close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* Waits until the peer of `fd` has closed, if it is not -1, or for `wait_ms` (-1: for ever). True where this thread is to end. */
static bool
wait_for_peer(const struct queue *q, int fd, int wait_ms, bool *closed)
{
	struct pollfd fds[] = {{.fd = q->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN | POLLRDHUP}};

	(void)poll(fds, 2, wait_ms);
	*closed = fds[1].revents != 0;
	return fds[0].revents != 0;
}

static void
set_long(struct queue *q, bool is_long)
{
	if (atomic_exchange_explicit(&q->is_long, is_long, memory_order_relaxed) != is_long)
		log_message(q->log, is_long ? LOG_WARN : LOG_INFO, "queue",
					is_long ? "requests wait longer than %ld ms for a worker: further ones are refused"
							: "requests wait less than %ld ms for a worker again",
					q->max_ms);
}

/* One of us waits in the queue. True where this thread is to end. */
static bool
wait_in_queue(struct queue *q, int fd)
{
	bool closed;
	bool stop = wait_for_peer(q, fd, (int)q->max_ms, &closed);

	if (!stop && !closed) {
		set_long(q, true);
		stop = wait_for_peer(q, fd, -1, &closed);
	}
	set_long(q, false);
	return stop;
}

static void *
run(void *arg)
{
	struct queue *q = arg;
	bool ignored;
	bool told = false;
	uint64_t full_since_ns = 0;

	for (int wait_ms = PERIOD_MS; !wait_for_peer(q, -1, wait_ms, &ignored);) {
		int fd = join(q);
		wait_ms = PERIOD_MS;
		if (fd >= 0) {
			bool stop = wait_in_queue(q, fd);
			(void)close(fd);
			full_since_ns = 0;
			if (stop)
				break;
		} else if (errno == EAGAIN) {
			full_since_ns = full_since_ns != 0 ? full_since_ns : clock_now_ns();
			if (clock_now_ns() - full_since_ns > (uint64_t)q->max_ms * MS_NS)
				set_long(q, true);
		} else {
			set_long(q, false); /* what it was when the queue was full says nothing of it now */
			full_since_ns = 0;
			if (!told)
				log_message(q->log, LOG_WARN, "queue", "cannot find out how long requests wait for a worker: connect: %s",
							strerror(errno));
			told = true;
			wait_ms = FAILED_MS;
		}
	}
	return NULL;
}
