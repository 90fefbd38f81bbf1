/* test_spread.c - tests of base/spread and model/parallel: every part is done once, on any number of threads, with the bits of one */
#include "base/spread.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "folder.h"
#include "model/parallel.h"

enum { PARTS_MAX = 1000, ROWS = 3 * PARALLEL_ROWS + 17 };

struct parts {
	atomic_int done[PARTS_MAX];
	pthread_t caller;
	atomic_int foreign;         /* parts that another thread has done */
	atomic_int open_to_signals; /* of these, those whose thread takes one */
};

static void
note_part(void *context, size_t part)
{
	struct parts *p = context;
	sigset_t blocked;

	(void)atomic_fetch_add(&p->done[part], 1);
	if (pthread_equal(pthread_self(), p->caller))
		return;
	(void)atomic_fetch_add(&p->foreign, 1);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (sigismember(&blocked, SIGUSR2) != 1 || sigismember(&blocked, SIGTERM) != 1)
		(void)atomic_fetch_add(&p->open_to_signals, 1);
}

static void
each_part_once(void **state)
{
	static const struct {
		const char *what;
		size_t n_threads;
		size_t n_parts;
	} rows[] = {{"nothing to do", 4, 0},
				{"one part", 4, 1},
				{"one thread", 1, PARTS_MAX},
				{"none at all", 0, 5},
				{"as many as parts", 3, 3},
				{"fewer than parts", 4, PARTS_MAX},
				{"more than may be", 1000, PARTS_MAX}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct parts p = {.caller = pthread_self()};
		spread_run(rows[i].n_threads, rows[i].n_parts, note_part, &p);
		for (size_t k = 0; k < PARTS_MAX; k++)
			check_integer(rows[i].what, atomic_load(&p.done[k]), k < rows[i].n_parts);
		if (rows[i].n_threads <= 1)
			check_integer(rows[i].what, atomic_load(&p.foreign), 0);
		check_integer(rows[i].what, atomic_load(&p.open_to_signals), 0);
	}
}

/* Each waits for the other, so that one thread could not do both. */
static void
meet(void *context, size_t part)
{
	(void)part;
	(void)pthread_barrier_wait(context);
}

static void
at_the_same_time(void **state)
{
	pthread_barrier_t both;

	(void)state;
	assert_int_equal(pthread_barrier_init(&both, NULL, 2), 0);
	spread_run(2, 2, meet, &both);
	(void)pthread_barrier_destroy(&both);
}

static void
same_bits(void **state)
{
	static const char *const names[] = {"reg-squarederror", "multi-softprob", "multi-softmax", "reg-squarederror-categorical"};
	struct err_info info;
	uint64_t random = 5;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[PATH_MAX];
		struct forest *f;
		size_t len;
		(void)snprintf(path, sizeof path, FOLDER_FIXTURES "/%s/1/model.ubj", names[i]);
		char *bytes = folder_read(path, &len);
		check_err(names[i], forest_open(bytes, len, &f, &info), ERR_OK, &info);
		size_t n = forest_shape(f)->n_features;
		size_t width = forest_shape(f)->n_margins;
		float *rows = calloc(ROWS * n, sizeof *rows);
		float *expected = calloc(ROWS * width, sizeof *expected);
		float *got = calloc(ROWS * width, sizeof *got);
		for (size_t k = 0; k < ROWS * n; k++)
			rows[k] = (float)(unit_random(&random) % 1000) / 100 - 5;
		for (int output = BOOSTER_VALUE; output <= BOOSTER_MARGIN; output++) {
			forest_predict(f, (enum booster_output)output, rows, ROWS, expected);
			parallel_predict(f, 4, (enum booster_output)output, rows, ROWS, got);
			for (size_t k = 0; k < ROWS * width; k++)
				check_float(names[i], got[k], expected[k]);
		}
		free(rows);
		free(expected);
		free(got);
		forest_free(f);
		free(bytes);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("every part is done once, whatever the number of threads", each_part_once),
		TEST("two parts run at the same time on two threads", at_the_same_time),
		TEST("many rows on several threads have the bits of one thread", same_bits),
	};

	return cmocka_run_group_tests_name("spread", tests, NULL, NULL);
}
