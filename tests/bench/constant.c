/* constant.c - a FastCGI responder that answers every request with the same bytes: the most that libfcgi can do
 *
 * Takes the arguments of `futaie serve`, so that webserver-conf/run.sh starts it in futaie's place: -t ends it at once, --threads N is
 * kept, the rest has no meaning here. The listening socket is descriptor 0. It reads each body and sends a head and a body as long as
 * futaie's; it looks at nothing, counts nothing and logs nothing.
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MIN = 2, THREADS_MAX = 256 };

static const char answer[] =
	"Status: 200\r\nContent-Type: application/json\r\nContent-Length: 70\r\nX-Request-Id: 0123456789abcdef\r\n"
	"Cache-Control: no-store\r\n\r\n"
	"{\"predictions\":[4.3943825],\"model\":\"california-housing\",\"version\":\"1\"}\n";

static void *
serve(void *arg)
{
	FCGX_Request request;
	char body[8 * 1024];

	(void)arg;
	if (FCGX_InitRequest(&request, STDIN_FILENO, 0) != 0)
		return NULL;
	while (FCGX_Accept_r(&request) >= 0) {
		while (FCGX_GetStr(body, sizeof body, request.in) > 0)
			continue;
		(void)FCGX_PutStr(answer, sizeof answer - 1, request.out);
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
	if (setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1) != 0 || FCGX_Init() != 0)
		return EXIT_FAILURE;
	(void)signal(SIGTERM, SIG_DFL); /* libfcgi's handler would only set a flag */
	for (long i = 0; i < n_threads; i++)
		if (pthread_create(&threads[i], NULL, serve, NULL) != 0)
			return EXIT_FAILURE;
	for (long i = 0; i < n_threads; i++)
		(void)pthread_join(threads[i], NULL);
	return EXIT_SUCCESS;
}
