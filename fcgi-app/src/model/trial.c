/* trial.c - a model file is first loaded and tried in a child process, with limits */
#include "model/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/spread.h"
#include "model/describe.h"
#include "model/manifest.h"
#include "model/proof.h"
#include "model/sample.h"
#include "model/store.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* slower, and with an address space of their own */
#else
enum { SANITIZED = 0 };
#endif

enum {
	SLOWER = SANITIZED ? 10 : 1,
	WAKING_FACTOR = 6, /* waking time for processor time, on a machine with other work */
	SENTENCE_MAX = ERR_TEXT_MAX - 1,
	ANSWER_MAX = DESCRIBE_JSON_MAX,
	MISSING_EVERY = 3,     /* made-up row lacks a cell */
	MEMORY_BASE = 1 << 30, /* bytes of address space of a trial, and … */
	MEMORY_FACTOR = 60     /* … so many for each of the file: text of JSON grows to trees and their copies */
};

/* A child whose standard output we read. */
struct child {
	pid_t pid;
	int out;
};

static unsigned
cpu_seconds(size_t file_bytes)
{
	return SLOWER * (unsigned)(TRIAL_CPU_S + file_bytes / TRIAL_BYTES_A_SECOND);
}

/* What the child inherits: nothing but its output. */
static int
spawn(const char *program, const char *const *words, int out, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigset_t all;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	int error = posix_spawn_file_actions_init(&files);
	if (error != 0)
		return error;
	error = posix_spawnattr_init(&attributes);
	if (error != 0)
		goto out;
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if ((error = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO)) == 0 &&
		(error = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)) == 0 &&
		(error = posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0)) == 0 &&
		(error = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1)) == 0)
		error = posix_spawn(pid, program, &files, &attributes, (char *const *)words, environ);
	(void)posix_spawnattr_destroy(&attributes);
out:
	(void)posix_spawn_file_actions_destroy(&files);
	return error;
}

static enum err
start(const char *program, const char *const *words, struct child *child, struct err_info *info)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_set(info, ERR_OUT_OF_MEMORY, "cannot start a trial: %s", strerror(errno));
	int error = spawn(program, words, ends[1], &child->pid);
	(void)close(ends[1]);
	child->out = ends[0];
	if (error == 0)
		return ERR_OK;
	(void)close(ends[0]);
	return err_set(info, ERR_OUT_OF_MEMORY, "cannot start a trial: %s", strerror(error));
}

/* Reads the child's output to its end; false where it takes too long. More than fits is dropped. */
static bool
read_answer(const struct child *child, uint64_t until_ns, struct buf *answer)
{
	char bytes[16 * 1024];

	for (;;) {
		uint64_t now = clock_now_ns();
		struct pollfd ready = {.fd = child->out, .events = POLLIN};
		if (now >= until_ns)
			return false;
		int n = poll(&ready, 1, (int)((until_ns - now) / 1000000U) + 1);
		if (n < 0 && errno != EINTR)
			return true;
		if (n <= 0)
			continue;
		ssize_t got = read(child->out, bytes, sizeof bytes);
		if (got > 0)
			buf_add(answer, bytes, (size_t)got);
		else if (got == 0 || errno != EINTR)
			return true;
	}
}

/* A child that has closed its output has nothing left to do. */
static bool
ends_in_time(const struct child *child, uint64_t until_ns)
{
	const struct timespec step = {.tv_nsec = 1000000};
	siginfo_t ended = {0};

	while (waitid(P_PID, (id_t)child->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0) {
		if (clock_now_ns() > until_ns)
			return false;
		(void)nanosleep(&step, NULL);
	}
	return true;
}

/* A sentence on how the child ended, where that was not by itself. */
static enum err
judge(int status, bool in_time, struct err_info *info)
{
	if (!in_time || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
		return err_set(info, ERR_BAD_MODEL, "XGBoost did not get done with it in time: the file is damaged, or made to hurt");
	if (WIFSIGNALED(status))
		return err_set(info, ERR_BAD_MODEL, "XGBoost crashed on it (%s): the file is damaged, or made to hurt",
					   strsignal(WTERMSIG(status)));
	return err_set(info, ERR_BAD_MODEL, "its trial ended with status %d and no word", WEXITSTATUS(status));
}

/* Runs the child to its end. What it says is the answer, or where it fails the code and the sentence. */
static enum err
run(const char *program, const char *const *words, size_t file_bytes, struct buf *answer, struct err_info *info)
{
	uint64_t limit_ns = (uint64_t)WAKING_FACTOR * cpu_seconds(file_bytes) * 1000000000U;
	struct child child;
	int status = 0;
	enum err e = start(program, words, &child, info);

	if (e != ERR_OK)
		return e;
	uint64_t until_ns = clock_now_ns() + limit_ns;
	bool in_time = read_answer(&child, until_ns, answer) && ends_in_time(&child, until_ns);
	if (!in_time)
		(void)kill(child.pid, SIGKILL);
	(void)close(child.out);
	pid_t ended;
	while ((ended = waitpid(child.pid, &status, 0)) < 0 && errno == EINTR)
		continue;
	if (ended < 0) /* as where SIGCHLD is ignored */
		return err_set(info, ERR_INTERNAL, "cannot learn how a trial ended: %s", strerror(errno));
	if (in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return ERR_OK;
	if (!in_time || !WIFEXITED(status) || answer->len == 0)
		return judge(status, in_time, info);
	const char *text = buf_peek(answer);
	size_t len = strcspn(text, "\n");
	enum err code = err_find(text, len);
	return err_set(info, code != ERR_OK ? code : ERR_INTERNAL, "%.*s", SENTENCE_MAX, text + len + (text[len] == '\n'));
}

static size_t
file_size(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0 || st.st_size < 0)
		return 0;
	return st.st_size < MODEL_FILE_MAX ? (size_t)st.st_size : MODEL_FILE_MAX;
}

/* Of the model file that the manifest names; 0 where it cannot be told, and the trial will say why. */
static size_t
model_bytes(const char *store, const char *name, const char *version)
{
	char folder[PATH_MAX];
	char path[PATH_MAX];
	struct manifest m;
	struct err_info ignored;
	size_t bytes = 0;

	if (!store_version_folder(folder, sizeof folder, store, name, version) ||
		manifest_init(&m, folder, name, version, &ignored) != ERR_OK)
		return 0;
	if (files_join(path, sizeof path, folder, m.model_file))
		bytes = file_size(path);
	manifest_release(&m);
	return bytes;
}

/* The child's answer: "forest ROWS", or "xgboost ROWS" and on the next line why. */
static void
read_scorer(const char *answer, struct proof *proof)
{
	size_t line = strcspn(answer, "\n");
	const char *space = memchr(answer, ' ', line);

	*proof = (struct proof){.scorer = strncmp(answer, "forest ", 7) == 0 ? MODEL_FOREST : MODEL_XGBOOST};
	proof->rows = space != NULL ? strtoul(space, NULL, 10) : 0;
	(void)snprintf(proof->reason, sizeof proof->reason, "%.255s", answer + line + (answer[line] == '\n'));
}

enum err
trial_prove(const char *program, const char *store, const char *name, const char *version, struct proof *proof,
			struct err_info *info)
{
	size_t bytes = model_bytes(store, name, version);
	char parent[32];
	char size[32];
	const char *const words[] = {"futaie", "trial", "prove", parent, size, store, name, version, NULL};
	struct buf answer;

	(void)snprintf(parent, sizeof parent, "%ld", (long)getpid());
	(void)snprintf(size, sizeof size, "%zu", bytes);
	buf_init(&answer, ANSWER_MAX);
	struct err_info why;
	enum err e = run(program, words, bytes, &answer, &why);
	if (e == ERR_OK)
		read_scorer(buf_peek(&answer), proof);
	else if (answer.len > 0)
		(void)err_set(info, e, "%s", why.text);
	else
		(void)err_set(info, e, "model %s version %s cannot be served: %s", name, version, why.text);
	buf_release(&answer);
	return e;
}

/* Has a child do `what` with one file, or two; `most` bounds its answer, which is appended to `out`. */
static enum err
have(const char *program, const char *what, const char *path, const char *second, size_t most, struct buf *out,
	 struct err_info *info)
{
	size_t bytes = file_size(path);
	char parent[32];
	char size[32];
	const char *const words[] = {"futaie", "trial", what, parent, size, path, second, NULL};
	struct buf answer;

	(void)snprintf(parent, sizeof parent, "%ld", (long)getpid());
	(void)snprintf(size, sizeof size, "%zu", bytes);
	buf_init(&answer, most);
	enum err e = run(program, words, bytes, &answer, info);
	if (e == ERR_OK && buf_ok(&answer))
		buf_add(out, answer.data, answer.len);
	else if (e == ERR_OK)
		e = err_set(info, ERR_BAD_MODEL, "what its trial says of it is larger than %zu bytes", most);
	buf_release(&answer);
	return e;
}

enum err
trial_describe(const char *program, const char *path, struct buf *json, struct err_info *info)
{
	return have(program, "describe", path, NULL, ANSWER_MAX, json, info);
}

enum err
trial_answer(const char *program, const char *path, const char *rows, struct buf *json, struct err_info *info)
{
	return have(program, "answer", path, rows, ANSWER_MAX, json, info);
}

enum err
trial_convert(const char *program, const char *path, struct buf *ubjson, struct err_info *info)
{
	return have(program, "convert", path, NULL, MODEL_FILE_MAX, ubjson, info);
}

/* What is on record of a version; false where it must be tried. */
static bool
find_record(const char *store, const char *name, const char *version, struct proof *proof)
{
	char folder[PATH_MAX];
	struct manifest m;
	struct err_info ignored;

	*proof = (struct proof){.scorer = MODEL_XGBOOST};
	if (!store_version_folder(folder, sizeof folder, store, name, version) ||
		manifest_init(&m, folder, name, version, &ignored) != ERR_OK)
		return true; /* there is nothing to try: model_open() says what is wrong */
	bool found = proof_read(proof, folder, m.sha256);
	manifest_release(&m);
	return found;
}

enum err
trial_open(const char *program, const char *store, const char *name, const char *version, struct model **out, struct err_info *info)
{
	struct proof proof = {.scorer = MODEL_XGBOOST};

	*out = NULL;
	if (program != NULL && !find_record(store, name, version, &proof)) {
		enum err e = trial_prove(program, store, name, version, &proof, info);
		if (e != ERR_OK)
			return e;
	}
	enum err e = model_open(store, name, version, proof.scorer, out, info);
	if (e == ERR_OK)
		model_set_scorer_reason(*out, proof.reason);
	return e;
}

static void
limit(__rlimit_resource_t resource, rlim_t most)
{
	struct rlimit now;

	if (getrlimit(resource, &now) != 0)
		return;
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most)
		most = now.rlim_max;
	/* At the hard limit of processor time the kernel kills; SIGXCPU, which says why, comes at the soft one. */
	rlim_t hard = resource == RLIMIT_CPU && most < now.rlim_max ? most + 1 : most;
	(void)setrlimit(resource, &(const struct rlimit){.rlim_cur = most, .rlim_max = hard});
}

void
trial_limit(long parent, size_t file_bytes)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it has died before it could be heard of */
		(void)raise(SIGKILL);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_CPU, cpu_seconds(file_bytes));
	if (!SANITIZED)
		limit(RLIMIT_AS, MEMORY_BASE + (rlim_t)MEMORY_FACTOR * file_bytes);
}

static int
compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a;
	float y = *(const float *)b;

	return (x > y) - (x < y);
}

/* The values of each column of the golden rows, ascending: what made-up rows are mixed of. */
static void
find_columns(const float *golden, size_t n_golden, size_t n, float *values, struct sample_column *columns)
{
	for (size_t i = 0; i < n; i++) {
		struct sample_column *c = &columns[i];
		float *mine = values + i * n_golden;
		*c = (struct sample_column){.values = mine, .only_these = true};
		for (size_t row = 0; row < n_golden; row++)
			if (golden[row * n + i] == golden[row * n + i])
				mine[c->n++] = golden[row * n + i];
		qsort(mine, c->n, sizeof *mine, compare_floats);
	}
}

/* The same rows in a batch and one by one. */
static enum err
compare_ways(const struct model *m, const float *rows, float *batch, float *single, struct err_info *info)
{
	size_t n = model_features(m)->n;
	size_t width = model_outputs(m, BOOSTER_MARGIN);
	struct booster_caller caller;
	enum err e = booster_caller_init(&caller, info);

	if (e == ERR_OK)
		e = model_predict(m, &caller, BOOSTER_MARGIN, rows, TRIAL_ROWS, batch, info);
	for (size_t row = 0; row < TRIAL_ROWS && e == ERR_OK; row++) {
		e = model_predict(m, &caller, BOOSTER_MARGIN, rows + row * n, 1, single, info);
		if (e == ERR_OK && memcmp(single, batch + row * width, width * sizeof *single) != 0)
			e = err_set(info, ERR_MODEL_FAILED, "made-up row %zu gives other bits alone than among others", row);
	}
	booster_caller_release(&caller);
	return e;
}

/* Rows mixed of the golden ones' values; the caller frees them. NULL without memory. */
static float *
mix_golden_rows(const struct model *m)
{
	size_t n = model_features(m)->n;
	size_t n_golden = model_golden_rows(m);
	uint64_t random = 1;
	struct sample_column *columns = calloc(n, sizeof *columns);
	float *values = calloc(n * n_golden, sizeof *values);
	float *rows = calloc(TRIAL_ROWS * n, sizeof *rows);

	if (columns != NULL && values != NULL && rows != NULL) {
		find_columns(model_golden_inputs(m), n_golden, n, values, columns);
		sample_rows(columns, n, &random, MISSING_EVERY, rows, TRIAL_ROWS);
	}
	if (columns == NULL || values == NULL) {
		free(rows);
		rows = NULL;
	}
	free(columns);
	free(values);
	return rows;
}

static enum err
try_made_up_rows(const struct model *m, const float *rows, struct err_info *info)
{
	size_t width = model_outputs(m, BOOSTER_MARGIN);
	float *outputs = calloc((TRIAL_ROWS + 1) * width, sizeof *outputs);
	enum err e;

	if (outputs == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for made-up rows");
	e = compare_ways(m, rows, outputs, outputs + TRIAL_ROWS * width, info);
	free(outputs);
	return e;
}

/* Rows that are being filled in with the numbers at which the trees split, and what lies next to them. */
struct split_rows {
	float *rows;
	size_t n;    /* columns */
	size_t next; /* row */
	uint64_t random;
};

static void
take_split(void *context, size_t column, float value)
{
	struct split_rows *s = context;
	const float near[] = {value, nextafterf(value, -INFINITY), nextafterf(value, INFINITY)};

	for (size_t i = 0; i < 3; i++) {
		s->rows[s->next * s->n + column] = near[i];
		s->next = s->next + 1 < TRIAL_SPLIT_ROWS ? s->next + 1 : random_below(&s->random, TRIAL_SPLIT_ROWS);
	}
}

/* Some of the cells are what no split has: missing, zeros with either sign, the smallest and the largest numbers, infinities unless XGBoost refuses them. */
static void
fill_odd(struct split_rows *s, bool finite)
{
	static const float odd[] = {NAN,  0.0F, -0.0F, 1e-45F, -1e-45F,  1.1754944e-38F, 3.4028235e38F, -3.4028235e38F,
								1.0F, 3.0F, 0.5F,  7.0F,   INFINITY, -INFINITY};
	const size_t n = sizeof odd / sizeof odd[0] - (finite ? 2 : 0);

	for (size_t i = 0; i < TRIAL_SPLIT_ROWS * s->n; i++)
		s->rows[i] = odd[random_below(&s->random, n)];
}

/* Both scorers on the same rows, each on a thread of its own. The forest answers in batches by every set of instructions that the processor has. */
struct contest {
	const struct model *booster;
	struct model *forest;
	enum booster_output output;
	const float *rows;
	size_t n_rows;
	size_t width;
	size_t n_ways; /* of the forest: one by one and in a batch, by each set */
	float *theirs; /* owned */
	float *ours;   /* owned; n_ways times */
	enum err e;    /* of XGBoost */
	struct err_info info;
};

static void
ask_booster(struct contest *c)
{
	struct booster_caller caller;

	c->e = booster_caller_init(&caller, &c->info);
	if (c->e == ERR_OK)
		c->e = model_predict(c->booster, &caller, c->output, c->rows, c->n_rows, c->theirs, &c->info);
	booster_caller_release(&caller);
}

static void
ask_forest(struct contest *c)
{
	const struct forest *f = model_forest(c->forest);
	size_t n = model_features(c->forest)->n;
	float *out = c->ours;

	for (enum ranks_isa isa = RANKS_PORTABLE; isa <= ranks_best_isa(); isa++) { /* which ends with the best, as it was */
		if (!ranks_has_isa(isa))
			continue;
		model_use(c->forest, isa);
		for (size_t i = 0; i < c->n_rows; i++, out += c->width)
			forest_predict(f, c->output, c->rows + i * n, 1, out);
		forest_predict(f, c->output, c->rows, c->n_rows, out);
		out += c->n_rows * c->width;
	}
}

static void
ask_one(void *context, size_t part)
{
	if (part == 0)
		ask_booster(context);
	else
		ask_forest(context);
}

static enum err
compare_answers(const struct contest *c, struct err_info *info)
{
	for (size_t i = 0; i < c->n_rows; i++)
		for (size_t way = 0; way < c->n_ways; way++) {
			const float *ours = c->ours + (way * c->n_rows + i) * c->width;
			if (memcmp(ours, c->theirs + i * c->width, c->width * sizeof *ours) != 0)
				return err_set(info, ERR_MODEL_FAILED, "made-up row %zu gives %.9g, XGBoost gives %.9g", i, (double)ours[0],
							   (double)c->theirs[i * c->width]);
		}
	return ERR_OK;
}

/* The same bits, in a batch and (the forest) one by one. */
static enum err
compare_scorers(const struct model *booster, struct model *forest, enum booster_output output, const float *rows, size_t n_rows,
				struct err_info *info)
{
	struct contest c = {.booster = booster,
						.forest = forest,
						.output = output,
						.rows = rows,
						.n_rows = n_rows,
						.n_ways = 2, /* the portable set is always there */
						.width = model_outputs(booster, output)};
	enum err e;

	for (int isa = RANKS_PORTABLE + 1; isa < RANKS_ISAS; isa++)
		c.n_ways += ranks_has_isa((enum ranks_isa)isa) ? 2 : 0;
	c.theirs = calloc(n_rows * c.width, sizeof *c.theirs);
	c.ours = calloc(c.n_ways * n_rows * c.width, sizeof *c.ours);
	if (c.theirs == NULL || c.ours == NULL || model_outputs(forest, output) != c.width) {
		e = err_set(info, ERR_MODEL_FAILED, "the forest has another number of outputs, or there is no memory to compare");
	} else {
		spread_run(2, 2, ask_one, &c);
		e = c.e == ERR_OK ? compare_answers(&c, info) : err_set(info, c.e, "%s", c.info.text);
	}
	free(c.theirs);
	free(c.ours);
	return e;
}

/* n explanations of `width` numbers. */
static enum err
compare_contributions(const float *ours, const float *theirs, size_t n, size_t width, struct err_info *info)
{
	for (size_t i = 0; i < n; i++) {
		float most = 0;
		for (size_t k = 0; k < width; k++)
			most = fmaxf(most, fabsf(theirs[i * width + k]));
		for (size_t k = 0; k < width; k++)
			if (!(fabsf(ours[i * width + k] - theirs[i * width + k]) <= TRIAL_EXPLAINED_TOLERANCE * most))
				return err_set(info, ERR_MODEL_FAILED, "a contribution to made-up row %zu is %.9g, XGBoost's is %.9g", i,
							   (double)ours[i * width + k], (double)theirs[i * width + k]);
	}
	return ERR_OK;
}

/* Contributions may differ in roundings, so that a few rows show what there is to see; by all instructions, of which the best come last, as before. */
static enum err
compare_explanations(const struct model *booster, struct model *forest, const float *rows, struct err_info *info)
{
	size_t width = model_features(booster)->n + 1;
	size_t steps = model_explain_steps(forest);
	size_t wanted = steps <= TRIAL_EXPLAIN_STEPS / TRIAL_EXPLAINED_ROWS ? TRIAL_EXPLAINED_ROWS : TRIAL_EXPLAIN_STEPS / steps;
	size_t n_rows = wanted > 0 || steps > TRIAL_EXPLAIN_MOST ? wanted : 1;
	size_t n = n_rows * model_outputs(booster, BOOSTER_MARGIN);
	float *theirs = calloc(n * width + 1, sizeof *theirs);
	float *ours = calloc(n * width + 1, sizeof *ours);
	void *scratch = malloc(model_explain_scratch(forest));
	enum err e;

	if (theirs == NULL || ours == NULL || scratch == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory to compare explanations");
	else
		e = model_explain(booster, rows, n_rows, NULL, theirs, info);
	for (enum ranks_isa isa = RANKS_PORTABLE; isa <= ranks_best_isa() && e == ERR_OK; isa++) {
		if (!ranks_has_isa(isa))
			continue;
		model_use(forest, isa);
		e = model_explain(forest, rows, n_rows, scratch, ours, info);
		if (e == ERR_OK)
			e = compare_contributions(ours, theirs, n, width, info);
	}
	free(theirs);
	free(ours);
	free(scratch);
	return e;
}

/* One version, opened for both scorers. */
struct pair {
	const char *store;
	const char *name;
	const char *version;
	struct model *booster; /* owned; NULL where `e` is not ERR_OK */
	struct model *forest;  /* owned; the same with `why_not` */
	enum err e;
	enum err why_not;
	struct err_info info;
	struct err_info why;
};

static void
open_one(void *context, size_t part)
{
	struct pair *p = context;

	if (part == 0)
		p->e = model_open(p->store, p->name, p->version, MODEL_XGBOOST, &p->booster, &p->info);
	else
		p->why_not = model_open(p->store, p->name, p->version, MODEL_FOREST, &p->forest, &p->why);
}

/* The same bits and explanations from both, for rows mixed of golden ones and rows of splits. */
static enum err
compare_pair(const struct pair *p, const float *golden, const float *splits, struct err_info *why)
{
	enum err e = compare_scorers(p->booster, p->forest, BOOSTER_VALUE, golden, TRIAL_ROWS, why);

	if (e == ERR_OK && !model_can_explain(p->forest))
		e = err_set(why, ERR_UNSUPPORTED_MODEL,
					"the file does not say how many training rows its nodes had, which explanations want");
	if (e == ERR_OK)
		e = compare_explanations(p->booster, p->forest, golden, why);
	if (e == ERR_OK) /* their values follow from their margins */
		e = compare_scorers(p->booster, p->forest, BOOSTER_MARGIN, splits, TRIAL_SPLIT_ROWS, why);
	return e;
}

/* Whether the forest answers as XGBoost does; ERR_OK also where it does not, with the reason. */
static enum err
try_forest(struct pair *p, const float *golden, struct proof *proof, struct err_info *info)
{
	struct split_rows s = {.n = model_features(p->booster)->n, .random = 2};
	enum err e = p->why_not;

	s.rows = calloc(TRIAL_SPLIT_ROWS * s.n, sizeof *s.rows);
	if (s.rows == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for made-up rows");
	if (e == ERR_OK) {
		fill_odd(&s, strcmp(model_shape(p->booster)->kind, "gbtree") != 0);
		model_splits(p->forest, take_split, &s);
		e = compare_pair(p, golden, s.rows, &p->why);
	}
	proof->scorer = e == ERR_OK ? MODEL_FOREST : MODEL_XGBOOST;
	proof->rows = TRIAL_ROWS + (e == ERR_OK ? TRIAL_SPLIT_ROWS : 0);
	(void)snprintf(proof->reason, sizeof proof->reason, "%.255s", e == ERR_OK ? "" : p->why.text);
	free(s.rows);
	return ERR_OK;
}

/* Whether XGBoost failed with `e` perhaps only since the library is older than what saved the version. */
static bool
may_be_too_old(enum err e, const char *store, const char *name, const char *version)
{
	char folder[PATH_MAX];
	char library[16];
	struct manifest m;
	struct err_info ignored;

	if ((e != ERR_UNSUPPORTED_MODEL && e != ERR_BAD_MODEL && e != ERR_GOLDEN_MISMATCH) ||
		!store_version_folder(folder, sizeof folder, store, name, version) ||
		manifest_init(&m, folder, name, version, &ignored) != ERR_OK)
		return false;
	bool newer = strverscmp(m.xgboost_version, booster_library_version(library)) > 0;
	manifest_release(&m);
	return newer;
}

/* A version that libxgboost is too old for: its golden rows are the proof of the forest. On failure `info` says what XGBoost said, unless it could not. */
static enum err
prove_forest_alone(struct pair *p, struct proof *proof, struct err_info *info)
{
	char library[16];
	float *rows = NULL;
	enum err e = p->why_not;

	if (e == ERR_OK && (rows = mix_golden_rows(p->forest)) == NULL)
		e = err_set(&p->why, ERR_OUT_OF_MEMORY, "no memory for made-up rows");
	if (e == ERR_OK)
		e = try_made_up_rows(p->forest, rows, &p->why);
	free(rows);
	if (e == ERR_OK) {
		*proof = (struct proof){.scorer = MODEL_FOREST, .rows = TRIAL_ROWS};
		(void)snprintf(proof->reason, sizeof proof->reason, "libxgboost %s is too old for the file; its golden rows are the proof",
					   booster_library_version(library));
		return ERR_OK;
	}
	if (p->e != ERR_UNSUPPORTED_MODEL || e == ERR_UNSUPPORTED_MODEL) {
		*info = p->info;
		return p->e;
	}
	*info = p->why;
	return e;
}

static enum err
prove_pair(struct pair *p, struct proof *proof, struct err_info *info)
{
	float *rows = NULL;
	enum err e = p->e;

	if (e != ERR_OK)
		*info = p->info;
	else if ((rows = mix_golden_rows(p->booster)) == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for made-up rows");
	if (e == ERR_OK)
		e = try_forest(p, rows, proof, info);
	if (e == ERR_OK && proof->scorer == MODEL_XGBOOST)
		e = try_made_up_rows(p->booster, rows, info);
	free(rows);
	return e;
}

enum err
trial_prove_here(const char *store, const char *name, const char *version, struct proof *proof, struct err_info *info)
{
	struct pair p = {.store = store, .name = name, .version = version};

	spread_run(2, 2, open_one, &p);
	enum err e = may_be_too_old(p.e, store, name, version) ? prove_forest_alone(&p, proof, info) : prove_pair(&p, proof, info);
	model_free(p.booster);
	model_free(p.forest);
	return e;
}
