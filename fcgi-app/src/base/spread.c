/* spread.c - the parts of a job, on several threads for as long as it takes */
#include "base/spread.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct job {
	atomic_size_t next;
	size_t n_parts;
	spread_fn *part;
	void *context;
};

static void *
work(void *arg)
{
	struct job *job = arg;

	for (size_t i; (i = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed)) < job->n_parts;)
		job->part(job->context, i);
	return NULL;
}

void
spread_run(size_t n_threads, size_t n_parts, spread_fn *part, void *context)
{
	struct job job = {.n_parts = n_parts, .part = part, .context = context};
	pthread_t threads[SPREAD_THREADS_MAX];
	pthread_attr_t attributes;
	sigset_t all;
	size_t n = 0;

	n_threads = n_threads < n_parts ? n_threads : n_parts;
	n_threads = n_threads < SPREAD_THREADS_MAX ? n_threads : SPREAD_THREADS_MAX;
	if (n_threads > 1 && pthread_attr_init(&attributes) == 0) {
		(void)sigfillset(&all);
		(void)pthread_attr_setsigmask_np(&attributes, &all);
		while (n + 1 < n_threads && pthread_create(&threads[n], &attributes, work, &job) == 0)
			n++;
		(void)pthread_attr_destroy(&attributes);
	}
	(void)work(&job);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
}
