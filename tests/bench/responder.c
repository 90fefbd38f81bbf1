/* responder.c - a FastCGI responder in futaie's place: threads that accept, and an answer by whoever includes responder.h
 *
 * Takes the arguments of `futaie serve`, so that webserver-conf/run.sh starts it: -t ends it at once, --threads N is kept, the rest has no
 * meaning here. The listening socket is descriptor 0.
 */
#include "responder.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MIN = 2, THREADS_MAX = 256 };

static void *
serve(void *arg)
{
	FCGX_Request request;

	(void)arg;
	if (FCGX_InitRequest(&request, STDIN_FILENO, 0) != 0)
		return NULL;
	while (FCGX_Accept_r(&request) >= 0) {
		responder_answer(&request);
		FCGX_Finish_r(&request);
	}
	return NULL;
}

/* As many as futaie takes: one a processor and at least two, or what --threads says. */
static long
choose_threads(int argc, char **argv)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--threads") == 0)
			n = strtol(argv[i + 1], NULL, 10);
	n = n < THREADS_MIN ? THREADS_MIN : n;
	return n > THREADS_MAX ? THREADS_MAX : n;
}

int
main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	long n_threads = choose_threads(argc, argv);

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-t") == 0)
			return EXIT_SUCCESS;
	/* As futaie does: without it, libfcgi waits for the peer to close first. */
	if (setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1) != 0 || FCGX_Init() != 0 || !responder_prepare())
		return EXIT_FAILURE;
	(void)signal(SIGTERM, SIG_DFL); /* libfcgi's handler would only set a flag */
	for (long i = 0; i < n_threads; i++)
		if (pthread_create(&threads[i], NULL, serve, NULL) != 0)
			return EXIT_FAILURE;
	for (long i = 0; i < n_threads; i++)
		(void)pthread_join(threads[i], NULL);
	return EXIT_SUCCESS;
}
