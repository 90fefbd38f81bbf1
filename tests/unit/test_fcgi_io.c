/* test_fcgi_io.c - tests of serve/fcgi_io: parameters, bodies and answers over a real socket */
#include "serve/fcgi_io.h"

#include <pthread.h>

#include "peer.h"

enum { BODY_MAX = 1000 };

static void
nothing_waits(void **state)
{
	(void)state;
	assert_int_equal(fcgi_io_accept(peer_io), EAGAIN);
	assert_int_equal(fcgi_io_accept(peer_io), EAGAIN);
	assert_int_equal(fcgi_io_waiting_since(peer_io), 0);
}

static void
parameters(void **state)
{
	char long_name[301];
	char long_value[5001];

	(void)state;
	memset(long_name, 'N', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	memset(long_value, 'v', sizeof long_value - 1);
	long_value[sizeof long_value - 1] = '\0';
	peer_begin(0);
	peer_param("REQUEST_METHOD", "POST");
	peer_param("EMPTY", "");
	peer_param(long_name, long_value);
	peer_param("TWICE", "first");
	peer_param("TWICE", "second");
	peer_params_end();
	peer_body("", 0, 1);
	int fd = peer_send();
	assert_int_equal(fcgi_io_accept(peer_io), 0);
	assert_string_equal(fcgi_io_param(peer_io, "REQUEST_METHOD"), "POST");
	assert_string_equal(fcgi_io_param(peer_io, "REQUEST_METHO"), "");
	assert_string_equal(fcgi_io_param(peer_io, "request_method"), "");
	assert_string_equal(fcgi_io_param(peer_io, "EMPTY"), "");
	assert_string_equal(fcgi_io_param(peer_io, long_name), long_value);
	assert_string_equal(fcgi_io_param(peer_io, "TWICE"), "first");
	fcgi_io_finish(peer_io);
	struct peer_answer a = peer_receive(fd);
	assert_int_equal(a.ended, 1);
	assert_int_equal(a.broken, 0);
	assert_int_equal(a.len, 0);
	peer_answer_release(&a);
}

/* A request with that CONTENT_LENGTH (none where NULL) and that body, in records of `most` bytes; `whole` where its end is sent. */
static int
send_body(const char *length, const char *body, size_t most, bool whole)
{
	peer_begin(0);
	peer_param("REQUEST_METHOD", "POST");
	if (length != NULL)
		peer_param("CONTENT_LENGTH", length);
	peer_params_end();
	peer_body(body, strlen(body), most);
	if (!whole)
		peer_out.len -= 8;
	return peer_send();
}

static void
bodies(void **state)
{
	static const size_t lengths[] = {0, 1, 2, 999, 1000};
	char body[BODY_MAX + 1];
	char length[16];
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		for (size_t most = 1; most <= BODY_MAX; most = most * 3 + 7) {
			for (int declared = 0; declared <= 1; declared++) {
				struct buf got;
				memset(body, 'b', lengths[i]);
				body[lengths[i]] = '\0';
				(void)snprintf(length, sizeof length, "%zu", lengths[i]);
				int fd = send_body(declared ? length : NULL, body, most, true);
				buf_init(&got, BODY_MAX + 65536);
				check_integer(length, fcgi_io_accept(peer_io), 0);
				check_err(length, fcgi_io_body(peer_io, &got, BODY_MAX, &info), ERR_OK, &info);
				check_integer(length, fcgi_io_waiting_since(peer_io), 0);
				check_string(length, buf_peek(&got), body);
				fcgi_io_finish(peer_io);
				buf_release(&got);
				(void)close(fd);
			}
		}
	}
}

static void
wrong_bodies(void **state)
{
	static const struct {
		const char *length;
		size_t bytes;
		bool whole;
		enum err e;
		const char *sentence;
	} rows[] = {
		{"1001", 1001, true, ERR_BODY_TOO_LARGE, "the body is larger than 1000 bytes; send it in several requests"},
		{"99999999999", 10, true, ERR_BODY_TOO_LARGE, "the body is larger than 1000 bytes"},
		{NULL, 1001, true, ERR_BODY_TOO_LARGE, "the body is larger than 1000 bytes"},
		{"10", 1001, true, ERR_BODY_TOO_LARGE, "the body is larger than 1000 bytes"},
		{"10", 9, true, ERR_INCOMPLETE_BODY, "Content-Length says 10 bytes, but 9 came"},
		{"10", 11, true, ERR_INCOMPLETE_BODY, "Content-Length says 10 bytes, but 11 came"},
		{"10", 0, true, ERR_INCOMPLETE_BODY, "Content-Length says 10 bytes, but 0 came"},
		{"0", 1, true, ERR_INCOMPLETE_BODY, "Content-Length says 0 bytes, but 1 came"},
		{"x", 5, true, ERR_BAD_PARAMETER, "Content-Length is not a whole number"},
		{"-1", 5, true, ERR_BAD_PARAMETER, "Content-Length is not a whole number"},
		{"5.0", 5, true, ERR_BAD_PARAMETER, "Content-Length is not a whole number"},
		{" 5", 5, true, ERR_BAD_PARAMETER, "Content-Length is not a whole number"},
		{"99999999999999999999", 5, true, ERR_BAD_PARAMETER, "Content-Length is not a whole number"},
		{"100", 50, false, ERR_INCOMPLETE_BODY, "the connection ended inside the body, after 50 bytes"},
		{NULL, 50, false, ERR_INCOMPLETE_BODY, "the connection ended inside the body, after 50 bytes"},
	};
	char body[2000];
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf got;
		char row[64];
		(void)snprintf(row, sizeof row, "%s with %zu bytes", rows[i].length != NULL ? rows[i].length : "no length", rows[i].bytes);
		memset(body, 'b', rows[i].bytes);
		body[rows[i].bytes] = '\0';
		int fd = send_body(rows[i].length, body, 400, rows[i].whole);
		if (!rows[i].whole)
			(void)shutdown(fd, SHUT_WR);
		buf_init(&got, BODY_MAX + 65536);
		check_integer(row, fcgi_io_accept(peer_io), 0);
		check_err(row, fcgi_io_body(peer_io, &got, BODY_MAX, &info), rows[i].e, &info);
		check_contains(row, info.text, rows[i].sentence);
		fcgi_io_discard(peer_io);
		check_integer(row, fcgi_io_waiting_since(peer_io), 0);
		fcgi_io_finish(peer_io);
		buf_release(&got);
		(void)close(fd);
	}
}

static void
no_room_for_the_body(void **state)
{
	struct buf got;
	struct err_info info;
	int fd = send_body("500", "short", 10, true);

	(void)state;
	buf_init(&got, 100);
	assert_int_equal(fcgi_io_accept(peer_io), 0);
	assert_err(fcgi_io_body(peer_io, &got, BODY_MAX, &info), ERR_OUT_OF_MEMORY, &info);
	assert_contains(info.text, "no memory for a body of 500 bytes");
	fcgi_io_finish(peer_io);
	buf_release(&got);
	(void)close(fd);
}

/* The peer that reads an answer which is larger than a socket's buffer. */
static void *
receive(void *arg)
{
	struct peer_answer *a = malloc(sizeof *a);

	*a = peer_receive(*(int *)arg);
	return a;
}

static void
long_answers(void **state)
{
	enum { N = 1000000 };
	char *text = malloc(N);
	pthread_t thread;
	void *result;
	int fd = send_body("2", "{}", 10, true);

	(void)state;
	for (size_t i = 0; i < N; i++)
		text[i] = (char)('a' + i % 23);
	assert_int_equal(fcgi_io_accept(peer_io), 0);
	assert_int_equal(pthread_create(&thread, NULL, receive, &fd), 0);
	bool written = fcgi_io_write(peer_io, text, N / 2) && fcgi_io_write(peer_io, text + N / 2, N / 2);
	fcgi_io_finish(peer_io);
	assert_int_equal(pthread_join(thread, &result), 0);
	struct peer_answer *a = result;
	assert_true(written);
	assert_int_equal(a->ended, 1);
	assert_int_equal(a->broken, 0);
	assert_int_equal(a->len, N);
	assert_memory_equal(a->text, text, N);
	peer_answer_release(a);
	free(a);
	free(text);
}

/* The peer that closes once it has the whole answer, whatever it has not sent. */
static void *
receive_and_close(void *arg)
{
	int fd = *(int *)arg;
	struct peer_answer *a = calloc(1, sizeof *a);
	char bytes[4096];
	size_t len = 0;
	ssize_t n;

	while (a->ended == 0 && (n = recv(fd, bytes + len, sizeof bytes - len, 0)) > 0) {
		len += (size_t)n;
		peer_answer_release(a);
		peer_take_records(a, (const unsigned char *)bytes, len);
	}
	(void)close(fd);
	return a;
}

static void
endless_bodies(void **state)
{
	enum { N = 100 * 1024 };
	static const char body[N];
	pthread_t thread;
	void *result;

	(void)state;
	peer_begin(0);
	peer_param("REQUEST_METHOD", "POST");
	peer_params_end();
	for (size_t at = 0; at < N; at += N / 4)
		peer_record(PEER_STDIN, body + at, N / 4, 0);
	int fd = peer_send();
	assert_int_equal(fcgi_io_accept(peer_io), 0);
	assert_int_equal(pthread_create(&thread, NULL, receive_and_close, &fd), 0);
	fcgi_io_discard(peer_io);
	assert_true(fcgi_io_write(peer_io, "Status: 413\r\n\r\n", 15));
	fcgi_io_finish(peer_io);
	assert_int_equal(pthread_join(thread, &result), 0);
	struct peer_answer *a = result;
	assert_string_equal(a->text, "Status: 413\r\n\r\n");
	assert_int_equal(a->ended, 1);
	peer_answer_release(a);
	free(a);
}

static void
peer_that_is_gone(void **state)
{
	char *text = calloc(1, 1000000);
	int fd = send_body("2", "{}", 10, true);

	(void)state;
	assert_int_equal(fcgi_io_accept(peer_io), 0);
	assert_false(fcgi_io_is_gone(peer_io));
	(void)shutdown(fd, SHUT_WR); /* it may still read */
	assert_false(fcgi_io_is_gone(peer_io));
	(void)close(fd);
	assert_true(fcgi_io_is_gone(peer_io));
	assert_false(fcgi_io_write(peer_io, text, 1000000) && fcgi_io_write(peer_io, text, 1000000));
	fcgi_io_finish(peer_io);
	free(text);
	assert_int_equal(fcgi_io_accept(peer_io), EAGAIN);
}

static void
connections_are_never_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		peer_begin(PEER_KEEP_CONN);
		peer_param("REQUEST_METHOD", "GET");
		peer_params_end();
		peer_body("", 0, 1);
		int fd = peer_send();
		assert_int_equal(fcgi_io_accept(peer_io), 0);
		assert_true(fcgi_io_write(peer_io, "Status: 200\r\n\r\n", 15));
		fcgi_io_finish(peer_io);
		struct peer_answer a = peer_receive(fd); /* returns at the connection's end */
		assert_int_equal(a.ended, 1);
		assert_string_equal(a.text, "Status: 200\r\n\r\n");
		peer_answer_release(&a);
	}
}

/* Sends bytes that are no request and closes; then a request must be served. */
static void
check_garbage(const char *row, const void *bytes, size_t len)
{
	buf_reset(&peer_out);
	buf_add(&peer_out, bytes, len);
	int fd = peer_send();
	(void)shutdown(fd, SHUT_WR);
	int result = fcgi_io_accept(peer_io);
	if (result == 0) {
		fcgi_io_discard(peer_io);
		fcgi_io_finish(peer_io);
	}
	(void)close(fd);
	fd = send_body("2", "{}", 10, true);
	check_integer(row, fcgi_io_accept(peer_io), 0);
	check_string(row, fcgi_io_param(peer_io, "REQUEST_METHOD"), "POST");
	fcgi_io_finish(peer_io);
	(void)close(fd);
}

static void
garbage(void **state)
{
	uint64_t seed = 1;
	unsigned char bytes[300];

	(void)state;
	check_garbage("nothing", "", 0);
	check_garbage("HTTP", "GET / HTTP/1.1\r\n\r\n", 18);
	check_garbage("zeros", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	for (int round = 0; round < 300; round++) {
		char row[32];
		size_t len = 1 + unit_random(&seed) % sizeof bytes;
		for (size_t i = 0; i < len; i++)
			bytes[i] = (unsigned char)unit_random(&seed);
		bytes[0] = 1; /* the protocol's version, so that the rest is looked at */
		(void)snprintf(row, sizeof row, "random %d", round);
		check_garbage(row, bytes, len);
	}
}

static void
cut_requests(void **state)
{
	struct buf whole;

	(void)state;
	buf_init(&whole, 10000);
	(void)close(send_body("2", "{}", 10, true));
	buf_add(&whole, peer_out.data, peer_out.len);
	if (fcgi_io_accept(peer_io) == 0)
		fcgi_io_finish(peer_io);
	for (size_t len = 0; len < whole.len; len += 3) {
		char row[32];
		(void)snprintf(row, sizeof row, "%zu bytes", len);
		check_garbage(row, whole.data, len);
	}
	buf_release(&whole);
}

#define WITH_PEER(sentence, function) TEST_WITH(sentence, function, peer_setup, peer_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_PEER("an accept does not wait", nothing_waits),
		WITH_PEER("parameters of any length are found by their exact name, the first of two", parameters),
		WITH_PEER("a body is read whole, with or without its length, however it is cut into records", bodies),
		WITH_PEER("a body that is too large, too short, too long or cut off is refused", wrong_bodies),
		WITH_PEER("a body without room is out_of_memory", no_room_for_the_body),
		WITH_PEER("an answer of a million bytes arrives whole", long_answers),
		WITH_PEER("a body that does not end is answered before it does", endless_bodies),
		WITH_PEER("a peer that is gone ends the writing", peer_that_is_gone),
		WITH_PEER("a connection is closed even where the peer asks to keep it", connections_are_never_kept),
		WITH_PEER("bytes that are no request do not stop the next one", garbage),
		WITH_PEER("a request cut off anywhere does not stop the next one", cut_requests),
	};

	return cmocka_run_group_tests_name("fcgi_io", tests, NULL, NULL);
}
