/* peer.h - the web server's side of FastCGI, for tests: requests as bytes, and answers put together again */
#ifndef FUTAIE_PEER_H
#define FUTAIE_PEER_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "folder.h"
#include "serve/fcgi_io.h"
#include "serve/socket.h"

/* Types of records: FastCGI Specification 1.0, section 8. */
enum peer_type { PEER_BEGIN = 1, PEER_ABORT = 2, PEER_END = 3, PEER_PARAMS = 4, PEER_STDIN = 5, PEER_STDOUT = 6, PEER_STDERR = 7 };

enum { PEER_KEEP_CONN = 1, PEER_RECORD_MAX = 65535, PEER_BYTES_MAX = 16 * 1024 * 1024 };

static struct socket peer_socket; /* of the program under test, in the test's folder */
static struct fcgi_io *peer_io;   /* its one worker */
static struct buf peer_out;       /* the request, as bytes */

static inline int
peer_setup(void **state)
{
	struct err_info info;

	if (folder_setup(state) != 0 || !fcgi_io_start())
		return -1;
	if (socket_init(&peer_socket, folder_path("socket"), 0600, "", 16, &info) != ERR_OK)
		return -1;
	peer_io = fcgi_io_open(peer_socket.fd);
	buf_init(&peer_out, PEER_BYTES_MAX);
	return peer_io == NULL ? -1 : 0;
}

static inline int
peer_teardown(void **state)
{
	fcgi_io_free(peer_io);
	peer_io = NULL;
	socket_release(&peer_socket);
	buf_release(&peer_out);
	return folder_teardown(state);
}

static inline void
peer_record(enum peer_type type, const void *bytes, size_t len, unsigned padding)
{
	static const char zeros[256];
	const unsigned char head[8] = {
		1, (unsigned char)type, 0, 1, (unsigned char)(len >> 8), (unsigned char)len, (unsigned char)padding, 0};

	buf_add(&peer_out, head, sizeof head);
	buf_add(&peer_out, bytes, len);
	buf_add(&peer_out, zeros, padding);
}

/* Starts a request anew. */
static inline void
peer_begin(unsigned flags)
{
	const unsigned char body[8] = {0, 1 /* responder */, (unsigned char)flags};

	buf_reset(&peer_out);
	peer_record(PEER_BEGIN, body, sizeof body, 0);
}

static inline void
peer_length(struct buf *b, size_t len)
{
	if (len > 127) {
		buf_char(b, (char)(0x80 | len >> 24));
		buf_char(b, (char)(len >> 16));
		buf_char(b, (char)(len >> 8));
	}
	buf_char(b, (char)len);
}

static inline void
peer_param(const char *name, const char *value)
{
	struct buf b;

	buf_init(&b, PEER_RECORD_MAX);
	peer_length(&b, strlen(name));
	peer_length(&b, strlen(value));
	buf_str(&b, name);
	buf_str(&b, value);
	assert_true(buf_ok(&b));
	peer_record(PEER_PARAMS, b.data, b.len, 3);
	buf_release(&b);
}

static inline void
peer_params_end(void)
{
	peer_record(PEER_PARAMS, NULL, 0, 0);
}

/* A whole body in records of at most `most` bytes, and its end. */
static inline void
peer_body(const char *body, size_t len, size_t most)
{
	for (size_t at = 0; at < len; at += most)
		peer_record(PEER_STDIN, body + at, len - at < most ? len - at : most, 5);
	peer_record(PEER_STDIN, NULL, 0, 0);
}

/* Connects and sends what was built; what does not fit into the socket's buffer is for a thread. */
static inline int
peer_send(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(buf_ok(&peer_out));
	const char *path = folder_path("socket");
	assert_true(strlen(path) < sizeof address.sun_path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(send(fd, peer_out.data, peer_out.len, MSG_NOSIGNAL | MSG_DONTWAIT), peer_out.len);
	return fd;
}

/* What came back. A zeroed struct is released. */
struct peer_answer {
	char *text; /* owned; all of STDOUT, NUL-terminated */
	size_t len;
	int ended;  /* END records */
	int broken; /* records that should not be there, or are cut */
};

static inline void
peer_answer_release(struct peer_answer *a)
{
	free(a->text);
	*a = (struct peer_answer){0};
}

/* Puts the records in `bytes` together. */
static inline void
peer_take_records(struct peer_answer *a, const unsigned char *bytes, size_t n)
{
	a->text = calloc(n + 1, 1);
	assert_non_null(a->text);
	for (size_t at = 0; at < n;) {
		if (n - at < 8) {
			a->broken++;
			return;
		}
		size_t len = (size_t)bytes[at + 4] << 8 | bytes[at + 5];
		size_t size = 8 + len + bytes[at + 6];
		if (bytes[at] != 1 || size > n - at) {
			a->broken++;
			return;
		}
		if (bytes[at + 1] == PEER_STDOUT) {
			memcpy(a->text + a->len, bytes + at + 8, len);
			a->len += len;
		} else if (bytes[at + 1] == PEER_END) {
			a->ended++;
		} else if (bytes[at + 1] != PEER_STDERR || len > 0) {
			a->broken++;
		}
		at += size;
	}
}

/* Reads until the program closes the connection, as it must. */
static inline struct peer_answer
peer_receive(int fd)
{
	struct peer_answer a = {0};
	struct buf b;
	ssize_t n;

	buf_init(&b, PEER_BYTES_MAX);
	do {
		assert_true(buf_reserve(&b, 65536));
		n = recv(fd, b.data + b.len, b.cap - b.len, 0);
		b.len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	(void)close(fd);
	peer_take_records(&a, (const unsigned char *)b.data, b.len);
	buf_release(&b);
	return a;
}

#endif
