/* fcgi_io.c - libfcgi: one FastCGI request at a time of one thread */
#include "serve/fcgi_io.h"

#include <errno.h>
#include <fcgiapp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

enum {
	READ_BYTES = 64 * 1024,
	DISCARD_MAX = 64 * 1024,       /* of a body that nobody wants, before the answer */
	LINGER_MAX = 64 * 1024 * 1024, /* and after it, before the connection is closed on a peer that still sends */
	LINGER_MS = 1000               /* of silence */
};

/*
 * On a unix socket connections are accepted and closed here: libfcgi would look first whether there is anything to read, and at the end shut down,
 * look and read before it closes, four system calls of the thirteen a request takes. Those of a TCP port it accepts itself, since it heeds
 * FCGI_WEB_SERVER_ADDRS.
 */
struct fcgi_io {
	FCGX_Request request;
	int listen_fd; /* borrowed */
	bool is_unix;
	bool linger;                       /* more of the body may come than was discarded */
	_Atomic uint64_t waiting_since_ns; /* written by the owner, read by the thread that watches */
};

static enum err read_body(struct fcgi_io *io, struct buf *body, size_t max, struct err_info *info);

/* From here on the thread may be waiting for its peer. */
static void
wait_begin(struct fcgi_io *io)
{
	atomic_store_explicit(&io->waiting_since_ns, clock_now_ns(), memory_order_relaxed);
}

static void
wait_end(struct fcgi_io *io)
{
	atomic_store_explicit(&io->waiting_since_ns, 0, memory_order_relaxed);
}

bool
fcgi_io_start(void)
{
	/*
	 * Behind each answer libfcgi waits up to two seconds for the peer to close first, so that a TCP peer surely reads it. Bodies
	 * are taken to their end before the connection is closed, up to LINGER_MAX, so nothing unread turns the close into a reset: closing at once
	 * is safe, and spares a sleep and a wake-up per request.
	 */
	(void)setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1);
	if (FCGX_Init() != 0)
		return false;
	/* libfcgi has just taken both: SIGUSR1 would make every later accept fail. */
	return signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGUSR1, SIG_IGN) != SIG_ERR;
}

static bool
is_unix_socket(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof address;

	return getsockname(fd, (struct sockaddr *)&address, &len) == 0 && address.ss_family == AF_UNIX;
}

struct fcgi_io *
fcgi_io_open(int listen_fd)
{
	struct fcgi_io *io = calloc(1, sizeof *io);

	if (io != NULL)
		*io = (struct fcgi_io){.listen_fd = listen_fd, .is_unix = is_unix_socket(listen_fd)};
	if (io != NULL && FCGX_InitRequest(&io->request, listen_fd, FCGI_FAIL_ACCEPT_ON_INTR) != 0) {
		free(io);
		io = NULL;
	}
	return io;
}

void
fcgi_io_free(struct fcgi_io *io)
{
	if (io == NULL)
		return;
	FCGX_Free(&io->request, 1);
	free(io);
}

int
fcgi_io_accept(struct fcgi_io *io)
{
	io->linger = false;
	if (io->is_unix) {
		int fd = accept4(io->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return errno;
		io->request.ipcFd = fd;
		io->request.keepConnection = 1; /* or FCGX_Accept_r() closes it first, as what is left of the request before */
	}
	wait_begin(io);
	int result = FCGX_Accept_r(&io->request);
	wait_end(io);
	return result >= 0 ? 0 : -result;
}

const char *
fcgi_io_param(const struct fcgi_io *io, const char *name)
{
	size_t len = strlen(name);

	/* As FCGX_GetParam(), which calls strncmp() for each parameter before it. */
	for (char **p = io->request.envp; p != NULL && *p != NULL; p++)
		if (**p == *name && strncmp(*p, name, len) == 0 && (*p)[len] == '=')
			return *p + len + 1;
	return "";
}

static enum err
too_large(size_t max, struct err_info *info)
{
	return err_set(info, ERR_BODY_TOO_LARGE, "the body is larger than %zu bytes; send it in several requests", max);
}

enum err
fcgi_io_body(struct fcgi_io *io, struct buf *body, size_t max, struct err_info *info)
{
	wait_begin(io);
	enum err e = read_body(io, body, max, info);
	wait_end(io);
	return e;
}

static enum err
read_body(struct fcgi_io *io, struct buf *body, size_t max, struct err_info *info)
{
	const char *declared = fcgi_io_param(io, "CONTENT_LENGTH");
	long long length = -1;

	if (*declared != '\0' && !text_integer(declared, 0, LLONG_MAX, &length))
		return err_set(info, ERR_BAD_PARAMETER, "Content-Length is not a whole number");
	if (length > (long long)max)
		return too_large(max, info);
	/* One byte more than accepted, so that a longer body shows itself, and one for a NUL behind it. */
	if (length > 0 && !buf_reserve(body, (size_t)length + 2))
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for a body of %lld bytes; try again later", length);
	for (;;) {
		if (body->cap - body->len < 2 && !buf_reserve(body, READ_BYTES))
			return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the body; try again later");
		size_t room = body->cap - body->len - 1;
		int n = FCGX_GetStr(body->data + body->len, room > INT_MAX ? INT_MAX : (int)room, io->request.in);
		if (n <= 0)
			break;
		body->len += (size_t)n;
		if (body->len > max)
			return too_large(max, info);
	}
	if (FCGX_GetError(io->request.in) != 0)
		return err_set(info, ERR_INCOMPLETE_BODY, "the connection ended inside the body, after %zu bytes", body->len);
	if (length >= 0 && body->len != (size_t)length)
		return err_set(info, ERR_INCOMPLETE_BODY, "Content-Length says %lld bytes, but %zu came", length, body->len);
	return ERR_OK;
}

void
fcgi_io_discard(struct fcgi_io *io)
{
	char bytes[8 * 1024];
	size_t total = 0;
	int n;

	wait_begin(io);
	while (total < DISCARD_MAX && (n = FCGX_GetStr(bytes, sizeof bytes, io->request.in)) > 0)
		total += (size_t)n;
	io->linger = total >= DISCARD_MAX;
	wait_end(io);
}

bool
fcgi_io_is_gone(const struct fcgi_io *io)
{
	struct pollfd peer = {.fd = io->request.ipcFd};

	return poll(&peer, 1, 0) == 1 && (peer.revents & (POLLHUP | POLLERR)) != 0;
}

bool
fcgi_io_write(struct fcgi_io *io, const char *bytes, size_t len)
{
	wait_begin(io);
	while (len > 0) {
		int n = FCGX_PutStr(bytes, len > INT_MAX ? INT_MAX : (int)len, io->request.out);
		if (n <= 0)
			break;
		bytes += n;
		len -= (size_t)n;
	}
	wait_end(io);
	return len == 0;
}

/* Reads until the peer closes or has no more. Closed on while it sends, Apache takes that for a failure and drops the answer. */
static void
linger(int fd)
{
	struct pollfd peer = {.fd = fd, .events = POLLIN};
	char bytes[8 * 1024];
	size_t total = 0;
	ssize_t n = 1;

	while (total < LINGER_MAX && n > 0 && poll(&peer, 1, LINGER_MS) > 0) {
		n = read(fd, bytes, sizeof bytes);
		total += n > 0 ? (size_t)n : 0;
	}
}

void
fcgi_io_finish(struct fcgi_io *io)
{
	wait_begin(io);
	io->request.keepConnection = io->linger || io->is_unix;
	FCGX_Finish_r(&io->request);
	if (io->linger && io->request.ipcFd >= 0)
		linger(io->request.ipcFd);
	/* Also where the peer asked to keep the connection: a worker that waits for its next request would serve nobody else. */
	if (io->is_unix && io->request.ipcFd >= 0) {
		(void)close(io->request.ipcFd);
		io->request.ipcFd = -1;
	}
	FCGX_Free(&io->request, 1);
	wait_end(io);
}

uint64_t
fcgi_io_waiting_since(const struct fcgi_io *io)
{
	return atomic_load_explicit(&io->waiting_since_ns, memory_order_relaxed);
}
