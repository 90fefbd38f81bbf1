/* test_queue.c - tests of serve/queue: connections that wait, a queue that is full, a socket that is gone */
#include "serve/queue.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "folder.h"

enum { MAX_MS = 50, PATIENCE_S = 20 };

static const struct log quiet = {.level = (enum log_level)(LOG_ERROR + 1)};
static int listener;
static struct queue *queue;

/* A socket where one connection more may wait than `backlog`, and the queue at it. */
static void
open_queue(int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct err_info info;

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", folder_path("s"));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, backlog), 0);
	assert_err(queue_open(listener, MAX_MS, &quiet, &queue, &info), ERR_OK, &info);
}

static int
connect_to(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", folder_path("s"));
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static int
teardown(void **state)
{
	queue_free(queue);
	(void)close(listener);
	return folder_teardown(state);
}

static void
await(bool is_long)
{
	const struct timespec step = {.tv_nsec = 1000000};
	uint64_t until = clock_now_ns() + PATIENCE_S * 1000000000ULL;

	while (queue_is_long(queue) != is_long) {
		assert_true(clock_now_ns() < until);
		(void)nanosleep(&step, NULL);
	}
}

static void
nobody_comes(void **state)
{
	(void)state;
	open_queue(16);
	await(true);
	for (int fd; queue_is_long(queue) && (fd = accept(listener, NULL, NULL)) >= 0;)
		(void)close(fd);
	await(false);
}

/* As while a server drains that another one follows: its path is gone, and there is nothing left to measure by. */
static void
socket_gone(void **state)
{
	(void)state;
	open_queue(0);
	int waiting = connect_to(); /* and there is no room for one more */
	await(true);
	assert_int_equal(unlink(folder_path("s")), 0);
	await(false);
	(void)close(waiting);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_WITH("the queue is long while nobody takes from it, and no longer once somebody has", nobody_comes, folder_setup,
				  teardown),
		TEST_WITH("a full queue that can no longer be measured is not long for ever", socket_gone, folder_setup, teardown),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
