/* cmd_serve.c - futaie serve: answer FastCGI requests with the models of a store */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/options.h"
#include "cmd.h"
#include "model/store.h"
#include "model/trial.h"
#include "serve/router.h"
#include "serve/socket.h"
#include "serve/watcher.h"
#include "serve/worker.h"
#include "version.h"

enum {
	TICK_MS = 200,
	THREADS_MIN = 2, /* so that one slow request does not stop all others */
	MMAP_BYTES = 1024 * 1024,
	ADMIN_BACKLOG = 16
};

struct serve {
	char socket[SOCKET_ADDRESS_MAX];
	char socket_mode[8];
	char socket_group[64];
	char admin_socket[SOCKET_ADDRESS_MAX];
	char admin_socket_mode[8];
	long long backlog;
	char models[PATH_MAX];
	char default_model[MANIFEST_NAME_MAX];
	char config[PATH_MAX];
	long long threads;
	long long body_max_bytes;
	long long rows_max;
	long long io_timeout_s;
	char keys[PATH_MAX];
	long long rate_per_key;
	long long rate_per_address;
	long long burst_s;
	long long in_flight_per_client;
	long long queue_max_ms;
	int log_level;
	int log_requests;
	long long feedback_answers;
	char journal[PATH_MAX];
	double journal_share;
	char journal_omit[JOURNAL_OMIT_MAX];
	long long journal_max_bytes;
	long long journal_files;
	bool test;
};

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const requests_logged[] = {"all", "errors", "none", NULL};

#define TEXT(field)               .type = OPTIONS_TEXT, .offset = offsetof(struct serve, field), .cap = sizeof(((struct serve *)0)->field)
#define INTEGER(field, low, high) .type = OPTIONS_INTEGER, .offset = offsetof(struct serve, field), .min = (low), .max = (high)
#define SHARE(field)              .type = OPTIONS_SHARE, .offset = offsetof(struct serve, field)
#define CHOICE(field, names)      .type = OPTIONS_CHOICE, .offset = offsetof(struct serve, field), .choices = (names)

static const struct options_row rows[] = {
	{"socket", TEXT(socket), .initial = "", .value = "PATH|HOST:PORT",
	 .help =
		 "Where to listen: a unix socket, or a TCP port (only ever for a web server you trust: FastCGI has no protection). Without "
		 "it, the listening socket is the one handed over as descriptor 0, by spawn-fcgi or systemd, and outlives this process."},
	{"config", TEXT(config), .place = OPTIONS_COMMAND_LINE, .initial = "", .value = "FILE",
	 .help = "Read these options from FILE first, as \"name = value\" lines; the command line has the last word."},
	{"models", TEXT(models), .initial = "models", .value = "DIR", .help = "The model store."},
	{"default-model", TEXT(default_model), .initial = "", .value = "NAME",
	 .help = "The model of /predict; without it, the only one of the store, or the only one that has a champion."},
	{"threads", INTEGER(threads, 0, 256), .initial = "0", .value = "N",
	 .help = "Worker threads; each answers one request at a time. 0 means one a processor, and at least two."},
	{"body-max-bytes", INTEGER(body_max_bytes, 1024, 1LL << 30), .initial = "33554432", .value = "N",
	 .help = "Largest body that is accepted; beyond it the answer is 413."},
	{"rows-max", INTEGER(rows_max, 1, 100000000), .initial = "100000", .value = "N",
	 .help = "Most rows in one request; beyond it the answer is 413."},
	{"io-timeout", INTEGER(io_timeout_s, 1, 3600), .initial = "30", .value = "SECONDS",
	 .help = "How long the web server may take for a request's parameters, for its body, or to take the answer. Also how long the "
			 "queue of a socket that was made is served after SIGTERM."},
	{"socket-mode", TEXT(socket_mode), .initial = "0660", .value = "MODE", .help = "Mode of a unix socket that is made, in octal."},
	{"socket-group", TEXT(socket_group), .initial = "", .value = "GROUP",
	 .help = "Group of a unix socket that is made: the web server's. Without it, that of this process."},
	{"admin-socket", TEXT(admin_socket), .initial = "", .value = "PATH",
	 .help = "Also listen on this unix socket, with a worker of its own, for POST /v2/repository/..., which loads and unloads "
			 "models; the "
			 "other socket does not know these paths. Never lead the public web server to it."},
	{"admin-socket-mode", TEXT(admin_socket_mode), .initial = "0600", .value = "MODE",
	 .help = "Mode of the admin socket, in octal. Its group is that of socket-group."},
	{"backlog", INTEGER(backlog, 1, 65535), .initial = "1024", .value = "N",
	 .help = "Connections that may wait for a worker, on a socket that is made."},
	{"keys", TEXT(keys), .initial = "", .value = "FILE",
	 .help = "Ask every request, but those for health, versions and /openapi.json, for a key of FILE, which futaie keys makes. A "
			 "change "
			 "of FILE is taken within a second. Without it, no keys are asked for."},
	{"rate-per-key", INTEGER(rate_per_key, 0, KEYS_RATE_MAX), .initial = "0", .value = "REQUESTS/S",
	 .help = "How many requests a second a key may make, where it has no rate of its own; beyond it the answer is 429. 0 means no "
			 "limit."},
	{"rate-per-address", INTEGER(rate_per_address, 0, KEYS_RATE_MAX), .initial = "0", .value = "REQUESTS/S",
	 .help =
		 "The same for a client's address, as the web server sees it (behind another proxy that is the proxy's), or for 64 bits "
		 "of an IPv6 address. 0 means no limit."},
	{"burst", INTEGER(burst_s, 1, 3600), .initial = "2", .value = "SECONDS",
	 .help = "How many seconds' worth of a rate may come at once."},
	{"in-flight-per-client", INTEGER(in_flight_per_client, 0, 256), .initial = "0", .value = "N",
	 .help = "How many requests of one key, or without keys of one address, workers are in at a time; beyond it the answer is 429. "
			 "Fewer than --threads, and "
			 "one client cannot have all workers. 0 means no limit."},
	{"queue-max", INTEGER(queue_max_ms, 0, 60000), .initial = "0", .value = "MILLISECONDS",
	 .help = "Where requests wait longer than this for a worker, further ones are answered 503 at once, until those that wait are "
			 "through. 0 means that they wait for as long as it takes."},
	{"log-level", CHOICE(log_level, levels), .initial = "info", .value = "LEVEL",
	 .help = "Least severe lines that are logged, on standard error."},
	{"log-requests", CHOICE(log_requests, requests_logged), .initial = "all", .value = "WHICH",
	 .help = "Which requests are logged: all, those that were refused or failed, or none."},
	{"feedback-answers", INTEGER(feedback_answers, 0, TRUTH_ANSWERS_MAX), .initial = "0", .value = "N",
	 .help =
		 "How many of the newest answers are remembered, 232 bytes each, so that POST /feedback can hold the truth against them. 0 "
		 "turns it off; less than 1000 counts as 1000."},
	{"journal", TEXT(journal), .initial = "", .value = "FILE",
	 .help = "Write rows that were asked, answers, and truths that came for them to FILE, as JSON lines. It holds what clients "
			 "send: see docs/feedback.md. Without it, there is no such file."},
	{"journal-sample", SHARE(journal_share), .initial = "1", .value = "SHARE",
	 .help = "Share of the answers that the journal has, by their ids."},
	{"journal-omit", TEXT(journal_omit), .initial = "", .value = "A,B",
	 .help = "Features that the journal must not have, by name; * leaves all of them out."},
	{"journal-max-bytes", INTEGER(journal_max_bytes, JOURNAL_FILE_MIN, 1LL << 40), .initial = "67108864", .value = "N",
	 .help = "Largest size of the journal's file; then it becomes FILE.1, that one FILE.2, and so on."},
	{"journal-files", INTEGER(journal_files, 1, JOURNAL_FILES_MAX), .initial = "8", .value = "N",
	 .help = "How many of the journal's files are kept, with the one that is written."},
	{"test", 't', .type = OPTIONS_FLAG, .place = OPTIONS_COMMAND_LINE, .offset = offsetof(struct serve, test), .initial = "no",
	 .value = "", .help = "Check the options and prove every champion of the store, say so, and exit."},
};

const struct options_table serve_options = {
	.command = "serve",
	.synopsis = "[--socket PATH|HOST:PORT] [--models DIR] [--config FILE] [-t] [OPTIONS]",
	.summary =
		"Answers FastCGI requests with the models of a store. SIGTERM ends it after the requests in flight; SIGHUP reads the "
		"store again, which it also does by itself when the store changes.",
	.rows = rows,
	.n_rows = sizeof rows / sizeof rows[0],
};

/* Everything that lives as long as the process. */
struct running {
	struct socket socket;
	struct socket admin_socket;
	struct server server;
	struct server admin; /* the same, for the workers of the admin socket */
	struct workers *workers;
	struct workers *admin_workers; /* one, or NULL without an admin socket */
	struct watcher *watcher;
};

static enum err
read_options(struct serve *o, int argc, char **argv, bool *help, struct err_info *info)
{
	int n_operands;
	enum err e;

	options_init(&serve_options, o);
	e = options_argv(&serve_options, o, argc, argv, help, &n_operands, info);
	if (e == ERR_OK && n_operands > 0)
		e = err_set(info, ERR_USAGE, "unexpected operand \"%.60s\"; options start with --", argv[0]);
	if (e != ERR_OK || *help || o->config[0] == '\0')
		return e;
	/* The file's values go below those of the command line, which is therefore read again. */
	char config[PATH_MAX];
	memcpy(config, o->config, sizeof config);
	options_init(&serve_options, o);
	e = options_file(&serve_options, o, config, info);
	return e == ERR_OK ? options_argv(&serve_options, o, argc, argv, help, &n_operands, info) : e;
}

/* The mode that the option `name` gives. */
static enum err
read_mode(const char *name, const char *text, mode_t *mode, struct err_info *info)
{
	char *end;
	unsigned long value = strtoul(text, &end, 8);

	if (end == text || *end != '\0' || value > 0777)
		return err_set(info, ERR_USAGE, "%s must be an octal mode such as 0660, not \"%s\"", name, text);
	*mode = (mode_t)value;
	return ERR_OK;
}

/* What can be wrong with options that belong together. */
static enum err
check_options(const struct serve *o, struct err_info *info)
{
	mode_t mode;
	enum err e = read_mode("socket-mode", o->socket_mode, &mode, info);

	if (e == ERR_OK)
		e = read_mode("admin-socket-mode", o->admin_socket_mode, &mode, info);
	if (e == ERR_OK && o->admin_socket[0] != '\0' && strchr(o->admin_socket, '/') == NULL)
		return err_set(info, ERR_USAGE, "admin-socket must be the path of a unix socket, with a '/' in it, not \"%s\"",
					   o->admin_socket);
	if (e == ERR_OK && o->admin_socket[0] != '\0' && strcmp(o->admin_socket, o->socket) == 0)
		return err_set(info, ERR_USAGE, "admin-socket and socket are both %s: give two paths", o->socket);
	if (e == ERR_OK && o->rate_per_key > 0 && o->keys[0] == '\0') /* it would be passed over in silence */
		return err_set(info, ERR_USAGE, "rate-per-key is of no use without keys: give --keys FILE, or --rate-per-address instead");
	return e;
}

/* Proves one model's champion and says so; false where it cannot be served. */
static bool
test_champion(const struct serve *o, const struct store_model *stored)
{
	struct model *model;
	struct err_info info;
	const char *version = store_alias(stored, "champion");

	if (stored->problem[0] != '\0') {
		(void)fprintf(stderr, "futaie serve: model %s cannot be served: %s\n", stored->name, stored->problem);
		return false;
	}
	if (version == NULL) {
		(void)printf("model %s: no champion, so it is not served; futaie models promote %s VERSION --models %s names one\n",
					 stored->name, stored->name, o->models);
		return true;
	}
	if (trial_open(TRIAL_SELF, o->models, stored->name, version, &model, &info) != ERR_OK) {
		(void)fprintf(stderr, "futaie serve: %s\n", info.text);
		return false;
	}
	(void)printf("model %s version %s: proven, %s, %zu features\n", stored->name, version, model_shape(model)->objective,
				 model_shape(model)->n_features);
	model_free(model);
	return true;
}

/* The -t option. */
static int
test_store(const struct serve *o)
{
	struct store store;
	struct err_info info;
	size_t n_champions = 0;
	bool ok = true;

	if (store_init(&store, o->models, &info) != ERR_OK) {
		(void)fprintf(stderr, "futaie serve: %s\n", info.text);
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < store.n_models; i++) {
		ok = test_champion(o, &store.models[i]) && ok;
		n_champions += store_alias(&store.models[i], "champion") != NULL;
	}
	if (n_champions == 0) {
		(void)fprintf(stderr,
					  "futaie serve: nothing in %s would be served; futaie models import or train adds a model, promote makes a "
					  "version champion\n",
					  o->models);
		ok = false;
	}
	if (o->default_model[0] != '\0' && store_find(&store, o->default_model) == NULL) {
		(void)fprintf(stderr, "futaie serve: %s has no model \"%s\", which --default-model names\n", o->models, o->default_model);
		ok = false;
	}
	if (ok)
		(void)printf("the options are right; models in %s: %zu\n", o->models, store.n_models);
	store_release(&store);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

/* The keys of -t. */
static int
test_keys(const struct serve *o)
{
	struct keys keys;
	struct err_info info;

	if (o->keys[0] == '\0')
		return EXIT_DONE;
	if (keys_read(o->keys, &keys, &info) != ERR_OK) {
		(void)fprintf(stderr, "futaie serve: %s\n", info.text);
		return EXIT_FAILED;
	}
	(void)printf("keys in %s: %zu\n", o->keys, keys.n);
	keys_release(&keys);
	return EXIT_DONE;
}

static size_t
count_processors(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors > 0 ? (size_t)processors : 1;
}

static size_t
choose_threads(const struct serve *o)
{
	size_t processors = count_processors();

	if (o->threads > 0)
		return (size_t)o->threads;
	return processors > THREADS_MIN ? processors : THREADS_MIN;
}

/* What is kept of answers, where it is asked for. */
static enum err
open_feedback(const struct serve *o, struct server *server, size_t n_threads, struct err_info *info)
{
	if (o->feedback_answers > 0) {
		size_t n = o->feedback_answers < TRUTH_ANSWERS_MIN ? TRUTH_ANSWERS_MIN : (size_t)o->feedback_answers;
		server->truth = truth_open(server->metrics, n, clock_now_ns());
		if (server->truth == NULL)
			return err_set(info, ERR_OUT_OF_MEMORY, "no memory to remember %zu answers; give a smaller feedback-answers", n);
	}
	if (o->journal[0] == '\0')
		return ERR_OK;
	const struct journal_options options = {.path = o->journal,
											.share = o->journal_share,
											.omit = o->journal_omit,
											.file_max_bytes = (uint64_t)o->journal_max_bytes,
											.n_files = (size_t)o->journal_files,
											.n_workers = n_threads + 1, /* the last is of the admin socket */
											.log = &server->log};
	return journal_open(&options, &server->journal, info);
}

/* A name that is mistyped leaves out nothing: better said before the first line is written. */
static void
warn_of_omitted(const struct serve *o, const struct server *server)
{
	const struct catalog *catalog = registry_enter(server->registry, 0); /* as worker 0, which is not there yet */
	const char *at = o->journal_omit;
	const char *name;

	for (size_t len; server->journal != NULL && (len = journal_next_omitted(&at, &name)) > 0;)
		if (!(len == 1 && *name == '*') && !catalog_has_feature(catalog, name, len))
			log_message(&server->log, LOG_WARN, "journal_omits_nothing",
						"journal-omit names \"%.*s\", which is no feature of any champion: is it spelt as in GET /models/NAME?",
						(int)len, name);
	registry_leave(server->registry, 0);
}

static enum err
open_gate(const struct serve *o, struct server *server, size_t n_threads, int listen_fd, struct err_info *info)
{
	const struct gate_options options = {.keys = o->keys,
										 .rate_per_key = (long)o->rate_per_key,
										 .rate_per_address = (long)o->rate_per_address,
										 .burst_s = (long)o->burst_s,
										 .in_flight = (long)o->in_flight_per_client,
										 .queue_max_ms = (long)o->queue_max_ms,
										 .listen_fd = listen_fd,
										 .n_workers = n_threads + 1, /* the last is of the admin socket */
										 .log = &server->log,
										 .metrics = server->metrics};

	return gate_open(&options, &server->gate, info);
}

static enum err
open_models(const struct serve *o, struct server *server, size_t n_threads, struct err_info *info)
{
	size_t n_failed;

	server->metrics = metrics_open(n_threads + 1, router_name, router_count()); /* the last is of the admin socket */
	if (server->metrics == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the metrics");
	server->history = history_open(server->metrics, n_threads, clock_now_ns());
	if (server->history == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the last hour's counts");
	const struct catalog_source source = {.store = o->models,
										  .default_model = o->default_model,
										  .trial = TRIAL_SELF,
										  .metrics = server->metrics,
										  .log = &server->log};
	return registry_open(&source, n_threads, &server->registry, &n_failed, info);
}

/* A store without a champion is no failure: one may be promoted later. But it is hardly meant. */
static void
warn_if_unready(const struct server *server)
{
	bool ready = catalog_ready(registry_enter(server->registry, 0)); /* as worker 0, which is not there yet */

	registry_leave(server->registry, 0);
	if (!ready)
		log_message(
			&server->log, LOG_WARN, "not_ready",
			"no model is served: the store has no champion; answers are 503 until it has one: futaie models promote NAME VERSION");
}

/* The administration: a socket, and a worker behind the others. */
static enum err
start_admin(const struct serve *o, struct running *run, size_t n_threads, struct err_info *info)
{
	mode_t mode = 0;
	enum err e = read_mode("admin-socket-mode", o->admin_socket_mode, &mode, info);

	if (e == ERR_OK)
		e = socket_init(&run->admin_socket, o->admin_socket, mode, o->socket_group, ADMIN_BACKLOG, info);
	if (e != ERR_OK)
		return e;
	run->admin = run->server;
	run->admin.admin = true;
	const struct workers_options workers = {.server = &run->admin,
											.listen_fd = run->admin_socket.fd,
											.first = n_threads,
											.n = 1,
											.io_timeout_s = (unsigned)o->io_timeout_s};
	return workers_open(&workers, &run->admin_workers, info);
}

/* What an operator hardly means. */
static void
warn_if_open(const struct serve *o, const struct running *run)
{
	const struct log *log = &run->server.log;

	if (run->socket.wide)
		log_message(log, LOG_WARN, "open_port",
					"FastCGI listens on more than loopback: whoever reaches the port can use and crash this process");
	if (run->socket.wide && o->keys[0] == '\0')
		log_message(log, LOG_WARN, "no_keys",
					"requests from more than loopback are answered without a key: futaie keys add LABEL --keys FILE makes one, "
					"serve --keys FILE asks for it");
	if (o->keys[0] != '\0' && gate_keys(run->server.gate) == 0)
		log_message(log, LOG_WARN, "no_keys", "%s holds no keys, so every request is refused: futaie keys add LABEL --keys %s",
					o->keys, o->keys);
}

static enum err
start(const struct serve *o, struct running *run, struct err_info *info)
{
	size_t n_threads = choose_threads(o);
	uint64_t stamp = store_stamp(o->models); /* before it is read, so that no later change is missed */
	mode_t mode = 0;
	enum err e = read_mode("socket-mode", o->socket_mode, &mode, info);

	run->server = (struct server){.body_max = (size_t)o->body_max_bytes,
								  .rows_max = (size_t)o->rows_max,
								  .processors = count_processors(),
								  .log_requests = (enum request_log)o->log_requests,
								  .log = {.level = (enum log_level)o->log_level}};
	if (e == ERR_OK)
		e = open_models(o, &run->server, n_threads, info);
	if (e == ERR_OK)
		e = open_feedback(o, &run->server, n_threads, info);
	if (e == ERR_OK && !fcgi_io_start())
		e = err_set(info, ERR_INTERNAL, "libfcgi cannot start");
	if (e == ERR_OK)
		e = socket_init(&run->socket, o->socket, mode, o->socket_group, (int)o->backlog, info);
	if (e == ERR_OK)
		e = open_gate(o, &run->server, n_threads, run->socket.fd, info);
	if (e != ERR_OK)
		return e;
	warn_if_open(o, run);
	const struct workers_options workers = {.server = &run->server,
											.listen_fd = run->socket.fd,
											.n = n_threads,
											.io_timeout_s = (unsigned)o->io_timeout_s,
											.serve_queue = !run->socket.handed_over};
	warn_if_unready(&run->server);
	warn_of_omitted(o, &run->server);
	if (o->admin_socket[0] != '\0')
		e = start_admin(o, run, n_threads, info);
	if (e == ERR_OK)
		e = workers_open(&workers, &run->workers, info);
	if (e == ERR_OK)
		e = watcher_open(run->server.registry, o->models, stamp, &run->watcher, info);
	if (e == ERR_OK)
		log_message(&run->server.log, LOG_INFO, "start", "futaie %s serves %s with %zu threads", FUTAIE_VERSION, o->models,
					n_threads);
	return e;
}

static void
stop(struct running *run)
{
	socket_unlink(&run->socket);
	socket_unlink(&run->admin_socket);
	if (run->workers != NULL)
		workers_stop(run->workers);
	if (run->admin_workers != NULL)
		workers_stop(run->admin_workers);
	watcher_free(run->watcher);
	workers_free(run->workers);
	workers_free(run->admin_workers);
	socket_release(&run->socket);
	socket_release(&run->admin_socket);
	gate_free(run->server.gate);
	journal_free(run->server.journal);
	truth_free(run->server.truth);
	registry_free(run->server.registry);
	history_free(run->server.history);
	metrics_free(run->server.metrics);
}

/* Signals are taken here and nowhere else; until then they wait. */
static void
block_signals(sigset_t *awaited)
{
	(void)sigemptyset(awaited);
	(void)sigaddset(awaited, SIGTERM);
	(void)sigaddset(awaited, SIGINT);
	(void)sigaddset(awaited, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, awaited, NULL);
}

/* Until SIGTERM or SIGINT. */
static void
wait_for_end(struct running *run, const sigset_t *awaited)
{
	const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};

	for (;;) {
		int signal_number = sigtimedwait(awaited, NULL, &tick);
		if (signal_number == SIGTERM || signal_number == SIGINT)
			return;
		if (signal_number == SIGHUP) {
			watcher_reload(run->watcher);
			gate_reload(run->server.gate);
		}
		workers_watch(run->workers);
		if (run->admin_workers != NULL)
			workers_watch(run->admin_workers);
		registry_sweep(run->server.registry);
		history_tick(run->server.history, clock_now_ns());
		if (run->server.truth != NULL)
			truth_tick(run->server.truth, clock_now_ns());
	}
}

int
cmd_serve(int argc, char **argv)
{
	struct serve options;
	struct running run = {.socket = {.fd = -1}};
	struct err_info info;
	sigset_t awaited;
	bool help;

	if (read_options(&options, argc - 1, argv + 1, &help, &info) != ERR_OK) {
		(void)fprintf(stderr, "futaie serve: %s\n", info.text);
		return info.code == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
	}
	if (help) {
		options_print_help(&serve_options, stdout);
		return EXIT_DONE;
	}
	if (check_options(&options, &info) != ERR_OK) {
		(void)fprintf(stderr, "futaie serve: %s\n", info.text);
		return EXIT_USAGE;
	}
	if (options.test && (socket_check(options.socket, options.socket_group, &info) != ERR_OK ||
						 socket_check(options.admin_socket, options.socket_group, &info) != ERR_OK ||
						 (options.journal[0] != '\0' && journal_check(options.journal, &info) != ERR_OK))) {
		(void)fprintf(stderr, "futaie serve: %s\n", info.text);
		return EXIT_FAILED;
	}
	if (options.test) {
		int keys = test_keys(&options);
		return test_store(&options) == EXIT_DONE ? keys : EXIT_FAILED;
	}
	/* A fixed limit: glibc would raise it with each large block that is freed, and then keep such blocks for ever. */
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	block_signals(&awaited);
	enum err e = start(&options, &run, &info);
	if (e == ERR_OK) {
		wait_for_end(&run, &awaited);
		log_message(&run.server.log, LOG_INFO, "stop", "draining: requests in flight are finished");
	} else {
		(void)fprintf(stderr, "futaie serve: %s\n", info.text);
	}
	stop(&run);
	return e == ERR_OK ? EXIT_DONE : e == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
