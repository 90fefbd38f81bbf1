/* tracker.c - the metrics of a training on their way to MLflow, while it goes on */
#include "mlflow/tracker.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"

#define SECOND_NS 1000000000U

enum { BATCH = MLFLOW_METRICS_MAX, AWAY_MAX_S = 30 };

struct point {
	double value;
	int64_t time_ms;
	long step;
	unsigned key;
};

/*
 * Lock: `lock` is held for moments only, by whoever puts and by the thread when it looks and copies; nothing else is locked under it.
 */
struct tracker {
	struct mlflow *m; /* the thread's */
	const char *run;
	const char *who;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* guarded by lock */
	char keys[TRACKER_KEYS_MAX][MLFLOW_KEY_MAX + 1];
	size_t n_keys;
	struct point *queue; /* owned; a ring; its pages are only taken once they are used */
	size_t first;
	size_t n;
	uint64_t first_ns; /* when the oldest came */
	uint64_t until_ns; /* when it is to end at the latest; 0: not yet */
	struct tracker_sum sum;
	/* the thread's alone */
	struct point sending[BATCH];
	struct mlflow_metric metrics[BATCH];
	uint64_t random;
	unsigned failures; /* one behind the other */
	bool refused;      /* MLflow does not want them: the rest is dropped */
};

static int64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The key's number, or TRACKER_KEYS_MAX where there are too many. */
static size_t
find_key(struct tracker *t, const char *key)
{
	size_t i = 0;

	while (i < t->n_keys && strcmp(t->keys[i], key) != 0)
		i++;
	if (i == t->n_keys && i < TRACKER_KEYS_MAX) {
		(void)snprintf(t->keys[i], sizeof t->keys[i], "%s", key);
		t->n_keys++;
	}
	return i;
}

void
tracker_put(struct tracker *t, const char *key, double value, long step)
{
	(void)pthread_mutex_lock(&t->lock);
	size_t k = find_key(t, key);
	if (k == TRACKER_KEYS_MAX || t->n == TRACKER_QUEUE_MAX) {
		t->sum.lost++;
	} else {
		t->queue[(t->first + t->n++) % TRACKER_QUEUE_MAX] =
			(struct point){.value = value, .time_ms = now_ms(), .step = step, .key = (unsigned)k};
		if (t->n == 1)
			t->first_ns = clock_now_ns();
		if (t->n == 1 || t->n == BATCH)
			(void)pthread_cond_signal(&t->changed);
	}
	(void)pthread_mutex_unlock(&t->lock);
}

/* Until that time or until something has changed. Locked. */
static void
wait_until(struct tracker *t, uint64_t ns)
{
	const struct timespec at = {.tv_sec = (time_t)(ns / SECOND_NS), .tv_nsec = (long)(ns % SECOND_NS)};

	(void)pthread_cond_clockwait(&t->changed, &t->lock, CLOCK_MONOTONIC, &at);
}

/* Waits for a batch, or what there is after a second, or the end. Locked; returns how many are to be sent. */
static size_t
wait_for_points(struct tracker *t)
{
	while (t->until_ns == 0 && t->n < BATCH) {
		if (t->n == 0)
			(void)pthread_cond_wait(&t->changed, &t->lock);
		else if (clock_now_ns() >= t->first_ns + SECOND_NS)
			break;
		else
			wait_until(t, t->first_ns + SECOND_NS);
	}
	return t->n < BATCH ? t->n : BATCH;
}

/* After a failure: longer from try to try, with jitter; less at the end. Locked; false where there is no time left. */
static bool
wait_after_failure(struct tracker *t)
{
	double seconds = (double)(1U << (t->failures < 6 ? t->failures - 1 : 5)) * (0.5 + random_unit(&t->random));
	uint64_t until = clock_now_ns() + (uint64_t)((seconds < AWAY_MAX_S ? seconds : AWAY_MAX_S) * 1e9);

	while (clock_now_ns() < until) {
		if (t->until_ns > 0) { /* the end is near: half a second from now is soon enough */
			uint64_t soon = clock_now_ns() + SECOND_NS / 2;
			until = until < soon ? until : soon;
			if (until > t->until_ns)
				return false;
		}
		wait_until(t, until);
	}
	return t->until_ns == 0 || clock_now_ns() < t->until_ns;
}

/* Notes how a call went, and tells people what changes. Not locked. */
static void
tell(struct tracker *t, enum err e, const struct err_info *why)
{
	if (e == ERR_OK && t->failures > 0)
		(void)fprintf(stderr, "%s: MLflow at %s answers again\n", t->who, mlflow_url(t->m));
	if (e == ERR_REMOTE_AWAY && t->failures == 0)
		(void)fprintf(stderr, "%s: %s; the training goes on, and what it measures waits\n", t->who, why->text);
	if (e != ERR_OK && e != ERR_REMOTE_AWAY)
		(void)fprintf(stderr, "%s: %s; the training goes on without\n", t->who, why->text);
	t->failures = e == ERR_OK ? 0 : t->failures + 1;
}

static enum err
send_points(struct tracker *t, size_t n, struct err_info *info)
{
	for (size_t i = 0; i < n; i++)
		t->metrics[i] = (struct mlflow_metric){.key = t->keys[t->sending[i].key],
											   .value = t->sending[i].value,
											   .time_ms = t->sending[i].time_ms,
											   .step = t->sending[i].step};
	return mlflow_log(t->m, t->run, t->metrics, n, NULL, 0, NULL, 0, info);
}

/* Takes what was sent, or is lost for good, from the queue. Locked. */
static void
drop(struct tracker *t, size_t n, bool sent)
{
	t->first = (t->first + n) % TRACKER_QUEUE_MAX;
	t->n -= n;
	t->first_ns = clock_now_ns();
	*(sent ? &t->sum.sent : &t->sum.lost) += n;
}

static void *
run(void *context)
{
	struct tracker *t = context;
	struct err_info why = {0};
	bool goes_on = true;

	(void)pthread_mutex_lock(&t->lock);
	while (goes_on) {
		size_t n = wait_for_points(t);
		if (n == 0)
			break; /* the end, and nothing waits */
		for (size_t i = 0; i < n; i++)
			t->sending[i] = t->queue[(t->first + i) % TRACKER_QUEUE_MAX];
		(void)pthread_mutex_unlock(&t->lock);
		enum err e = t->refused ? ERR_REMOTE : send_points(t, n, &why);
		if (!t->refused)
			tell(t, e, &why);
		(void)pthread_mutex_lock(&t->lock);
		t->refused |= e != ERR_OK && e != ERR_REMOTE_AWAY;
		t->sum.away = e == ERR_REMOTE_AWAY;
		if (e != ERR_OK)
			memcpy(t->sum.why, why.text, sizeof t->sum.why);
		if (e != ERR_REMOTE_AWAY)
			drop(t, n, e == ERR_OK);
		else
			goes_on = wait_after_failure(t);
	}
	t->sum.lost += t->n;
	(void)pthread_mutex_unlock(&t->lock);
	return NULL;
}

enum err
tracker_open(struct mlflow *m, const char *id, const char *who, struct tracker **out, struct err_info *info)
{
	struct tracker *t = calloc(1, sizeof *t);
	sigset_t all;
	sigset_t before;

	*out = NULL;
	if (t != NULL && (t->queue = calloc(TRACKER_QUEUE_MAX, sizeof *t->queue)) == NULL) {
		free(t);
		t = NULL;
	}
	if (t == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the metrics that wait");
	t->m = m;
	t->run = id;
	t->who = who;
	t->random = clock_now_ns();
	mlflow_patience(m, 0); /* here it is the thread that tries again */
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->changed, NULL);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&t->thread, NULL, run, t);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0) {
		free(t->queue);
		free(t);
		return err_set(info, ERR_OUT_OF_MEMORY, "no thread for MLflow: %s", strerror(error));
	}
	*out = t;
	return ERR_OK;
}

void
tracker_close(struct tracker *t, double seconds, struct tracker_sum *sum)
{
	(void)pthread_mutex_lock(&t->lock);
	t->until_ns = clock_now_ns() + (uint64_t)(seconds * 1e9) + 1;
	(void)pthread_cond_signal(&t->changed);
	(void)pthread_mutex_unlock(&t->lock);
	(void)pthread_join(t->thread, NULL);
	*sum = t->sum;
	(void)pthread_cond_destroy(&t->changed);
	(void)pthread_mutex_destroy(&t->lock);
	free(t->queue);
	free(t);
}
