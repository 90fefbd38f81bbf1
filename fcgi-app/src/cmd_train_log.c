/* cmd_train_log.c - a training as a run of MLflow */
#include "cmd_train_log.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/files.h"
#include "mlflow/chart.h"
#include "mlflow/commit.h"
#include "mlflow/mlmodel_write.h"
#include "mlflow/rest.h"
#include "mlflow/tracker.h"
#include "model/manifest.h"
#include "version.h"

#define WHO         "futaie train"
#define MODEL_NAME  "model"
#define FAILURE_TAG "futaie.failure"
#define WAKE_UP     SIGUSR2 /* for the thread that waits for signals */

enum {
	BEGIN_PATIENCE_S = 10, /* nothing has been trained yet */
	FAIL_WAIT_S = 10,      /* for the end of a run that failed: there is nothing to lose but that */
	HURRY_S = 5,           /* for the end of a run that a signal ended */
	EXAMPLE_ROWS = 5,
	TAGS_MAX = 16,
	UUID_HEX = 33
};

struct train_log {
	struct train_log_options options;
	struct mlflow *m;        /* owned; the tracker's while there is one */
	struct tracker *tracker; /* owned; NULL once it has ended */
	char server[MLFLOW_VERSION_MAX];
	char experiment[MLFLOW_ID_MAX];
	struct mlflow_run run;
	pthread_t signals;
	sigset_t set;               /* that the thread waits for */
	sigset_t before;            /* the mask to go back to */
	atomic_bool has_run;        /* `run` may be read by the thread */
	atomic_bool is_interrupted; /* the process is about to end */
	atomic_bool is_over;        /* the thread is to end */
};

/* A second signal while the run of the first is being ended. */
static bool
is_impatient(void *context)
{
	const struct train_log *log = context;

	return sigtimedwait(&log->set, NULL, &(const struct timespec){0}) > 0;
}

/* Over a connection of its own, since the other one may be in use. */
static void
end_run_now(struct train_log *log, int number)
{
	char why[64];
	struct mlflow *m;
	struct err_info info;
	const struct mlflow_pair tag = {FAILURE_TAG, why};

	(void)snprintf(why, sizeof why, "ended by signal %d (%s)", number, strsignal(number));
	(void)fprintf(stderr, WHO ": %s\n", why);
	enum err e = mlflow_open(log->options.uri, is_impatient, log, &m, &info);
	if (e == ERR_OK) {
		mlflow_patience(m, 0);
		mlflow_hurry(m, HURRY_S);
		e = mlflow_log(m, log->run.id, NULL, 0, NULL, 0, &tag, 1, &info);
		if (e == ERR_OK)
			e = mlflow_run_end(m, log->run.id, "FAILED", NULL, &info);
	}
	if (e != ERR_OK)
		(void)fprintf(stderr, WHO ": %s; the run %s is left as it is\n", info.text, log->run.id);
	mlflow_free(m);
}

static void *
wait_for_signal(void *context)
{
	struct train_log *log = context;
	int number;

	while (sigwait(&log->set, &number) != 0 || number == WAKE_UP)
		if (atomic_load(&log->is_over))
			return NULL;
	atomic_store(&log->is_interrupted, true);
	if (atomic_load(&log->has_run))
		end_run_now(log, number);
	sigset_t one;
	(void)sigemptyset(&one);
	(void)sigaddset(&one, number);
	(void)signal(number, SIG_DFL);
	(void)raise(number); /* of this thread: it dies with the whole process once it is let through */
	(void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	return NULL;
}

/* Signals that whoever started us has switched off stay so. */
static enum err
start_signals(struct train_log *log, struct err_info *info)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction now;

	(void)signal(SIGPIPE, SIG_IGN); /* a server that hangs up must not end us */
	(void)sigemptyset(&log->set);
	(void)sigaddset(&log->set, WAKE_UP);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			(void)sigaddset(&log->set, numbers[i]);
	(void)pthread_sigmask(SIG_BLOCK, &log->set, &log->before);
	int error = pthread_create(&log->signals, NULL, wait_for_signal, log);
	if (error == 0)
		return ERR_OK;
	(void)pthread_sigmask(SIG_SETMASK, &log->before, NULL);
	return err_set(info, ERR_OUT_OF_MEMORY, "no thread for signals: %s", strerror(error));
}

void
train_log_check(const struct train_log *log)
{
	while (log != NULL && atomic_load(&log->is_interrupted))
		(void)pause();
}

static void
stop_signals(struct train_log *log)
{
	atomic_store(&log->is_over, true);
	(void)pthread_kill(log->signals, WAKE_UP);
	(void)pthread_join(log->signals, NULL);
	train_log_check(log);
	(void)pthread_sigmask(SIG_SETMASK, &log->before, NULL);
}

static const char *
user_name(void)
{
	const char *user = getenv("LOGNAME");

	if (user == NULL || *user == '\0')
		user = getenv("USER");
	if (user != NULL && *user != '\0')
		return user;
	const struct passwd *entry = getpwuid(getuid());
	return entry != NULL ? entry->pw_name : "unknown";
}

static enum err
begin_run(struct train_log *log, struct err_info *info)
{
	const struct train_log_options *o = &log->options;
	char library[16];
	char commit[COMMIT_HEX];
	struct mlflow_pair tags[TAGS_MAX] = {
		{"mlflow.user", user_name()},
		{"mlflow.source.name", WHO},
		{"mlflow.source.type", "LOCAL"},
		{"futaie.version", FUTAIE_VERSION},
		{"futaie.xgboost_version", booster_library_version(library)},
		{"futaie.data_sha256", o->data_sha256},
		{"futaie.command", o->command},
	};
	size_t n = 7;

	if (commit_find(".", commit))
		tags[n++] = (struct mlflow_pair){"mlflow.source.git.commit", commit};
	return mlflow_run_begin(log->m, log->experiment, o->run, tags, n, &log->run, info);
}

/* The recipe's, and what else tells one training from another; in as many calls as they take. */
static enum err
log_parameters(struct train_log *log, struct err_info *info)
{
	const struct train_log_options *o = &log->options;
	cJSON *tree = cJSON_Parse(o->parameters);
	const cJSON *item = tree != NULL ? tree->child : NULL;
	char *texts[MLFLOW_PAIRS_MAX] = {0};
	char rows[32];
	struct mlflow_pair pairs[MLFLOW_PAIRS_MAX] = {
		{"data", o->data}, {"rows", rows}, {"target", o->target}, {"test", o->test}, {"validation", o->validation}};
	size_t n = 5;
	enum err e = ERR_OK;

	(void)snprintf(rows, sizeof rows, "%zu", o->n_rows);
	do {
		size_t n_texts = 0;
		for (; item != NULL && n < MLFLOW_PAIRS_MAX; item = item->next) {
			char *text = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item);
			pairs[n++] = (struct mlflow_pair){item->string, cJSON_IsString(item) ? item->valuestring : text != NULL ? text : ""};
			texts[n_texts] = text;
			n_texts += text != NULL;
		}
		e = mlflow_log(log->m, log->run.id, NULL, 0, pairs, n, NULL, 0, info);
		while (n_texts > 0)
			cJSON_free(texts[--n_texts]);
		n = 0;
	} while (e == ERR_OK && item != NULL);
	cJSON_Delete(tree);
	return e;
}

static void
release(struct train_log *log)
{
	mlflow_free(log->m);
	free(log);
}

enum err
train_log_open(const struct train_log_options *o, struct train_log **out, struct err_info *info)
{
	struct train_log *log = calloc(1, sizeof *log);

	*out = NULL;
	if (log == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for MLflow");
	log->options = *o;
	enum err e = mlflow_open(o->uri, NULL, NULL, &log->m, info);
	if (e == ERR_OK)
		e = start_signals(log, info);
	if (e != ERR_OK) {
		release(log);
		return e;
	}
	mlflow_patience(log->m, BEGIN_PATIENCE_S);
	e = mlflow_server_version(log->m, log->server, info);
	if (e == ERR_OK)
		e = mlflow_experiment(log->m, o->experiment, log->experiment, info);
	if (e == ERR_OK)
		e = begin_run(log, info);
	atomic_store(&log->has_run, e == ERR_OK);
	if (e == ERR_OK)
		e = log_parameters(log, info);
	if (e == ERR_OK)
		e = tracker_open(log->m, log->run.id, WHO, &log->tracker, info);
	if (e != ERR_OK) {
		train_log_fail(log, info->text);
		return e;
	}
	(void)fprintf(stderr, "MLflow run %s in the experiment \"%s\" at %s\n", log->run.id, o->experiment, mlflow_url(log->m));
	*out = log;
	return ERR_OK;
}

const char *
train_log_run(const struct train_log *log)
{
	return log->run.id;
}

void
train_log_round(struct train_log *log, int round, const struct learner_scores *scores)
{
	static const char *const parts[LEARNER_PARTS] = {"train", "validation", "test"};

	for (size_t i = 0; i < scores->n; i++)
		for (size_t part = 0; part < LEARNER_PARTS; part++) {
			char name[LEARNER_METRIC_NAME_MAX + 16];
			char key[MLFLOW_KEY_MAX + 1];
			if (!isfinite(scores->metrics[i].value[part]))
				continue;
			(void)snprintf(name, sizeof name, "%s-%s", parts[part], scores->metrics[i].name);
			tracker_put(log->tracker, mlflow_key(name, key), scores->metrics[i].value[part], round);
		}
}

/* The end of the tracker; what it could not send is said. */
static void
close_tracker(struct train_log *log, double seconds)
{
	struct tracker_sum sum;

	if (log->tracker == NULL)
		return;
	tracker_close(log->tracker, seconds, &sum);
	log->tracker = NULL;
	if (sum.lost > 0)
		(void)fprintf(stderr, WHO ": MLflow has only %zu of the %zu values of the rounds: %s\n", sum.sent, sum.sent + sum.lost,
					  sum.why[0] != '\0' ? sum.why : "more came than it took");
}

void
train_log_fail(struct train_log *log, const char *why)
{
	struct err_info info;
	const struct mlflow_pair tag = {FAILURE_TAG, why};

	if (log == NULL)
		return;
	train_log_check(log);
	const double wait_s = log->options.wait_s < FAIL_WAIT_S ? log->options.wait_s : FAIL_WAIT_S;
	close_tracker(log, wait_s);
	if (atomic_load(&log->has_run)) {
		mlflow_patience(log->m, wait_s);
		enum err e = mlflow_log(log->m, log->run.id, NULL, 0, NULL, 0, &tag, 1, &info);
		if (e == ERR_OK)
			e = mlflow_run_end(log->m, log->run.id, "FAILED", NULL, &info);
		if (e != ERR_OK)
			(void)fprintf(stderr, WHO ": %s; the run %s is left as it is\n", info.text, log->run.id);
	}
	stop_signals(log);
	release(log);
}

/* The finish of a run: what is made on the way. */
struct finish {
	struct train_log *log;
	const struct train_log_result *result;
	struct mlflow_model model;
	char artifacts[MLFLOW_URI_MAX]; /* of the model */
	char uuid[UUID_HEX];
	struct mlmodel_draft draft;
	char version[MLFLOW_VERSION_MAX]; /* in the registry */
	struct err_info *info;
};

/* The metrics of the manifest, which are of the model as it is kept, at the step of its last round. */
static enum err
log_result(const struct finish *f)
{
	const struct train_log_result *r = f->result;
	struct mlflow_metric metrics[MLFLOW_PAIRS_MAX];
	char keys[MLFLOW_PAIRS_MAX][MLFLOW_KEY_MAX + 1];
	const struct mlflow_pair tags[] = {{"futaie.model", r->name}, {"futaie.model_version", r->version}};
	cJSON *tree = cJSON_Parse(r->metrics);
	const cJSON *item;
	size_t n = 0;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	const int64_t ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	cJSON_ArrayForEach (item, tree) {
		if (!cJSON_IsNumber(item) || n + 1 == MLFLOW_PAIRS_MAX)
			continue;
		metrics[n] = (struct mlflow_metric){
			.key = mlflow_key(item->string, keys[n]), .value = item->valuedouble, .time_ms = ms, .step = r->rounds};
		n++;
	}
	metrics[n++] = (struct mlflow_metric){.key = "rounds", .value = r->rounds, .time_ms = ms, .step = r->rounds};
	enum err e = mlflow_log(f->log->m, f->log->run.id, metrics, n, NULL, 0, tags, 2, f->info);
	cJSON_Delete(tree);
	return e;
}

static enum err
put(const struct finish *f, const char *artifacts, const char *path, struct buf *bytes)
{
	enum err e = buf_ok(bytes) ? mlflow_upload(f->log->m, artifacts, path, buf_peek(bytes), bytes->len, f->info)
							   : err_set(f->info, ERR_OUT_OF_MEMORY, "no memory for %s", path);

	buf_release(bytes);
	return e;
}

/* Gains by feature. */
struct gains {
	const struct features *features;
	double *values; /* owned; one a feature */
};

static void
note_gain(void *context, const char *name, float gain)
{
	struct gains *g = context;
	size_t i = features_find(g->features, name, strlen(name), 0);

	if (i != FEATURES_NONE && isfinite(gain))
		g->values[i] = (double)gain;
}

static enum err
put_gains(const struct finish *f, const struct gains *g)
{
	const struct features *features = g->features;
	const char *const *names = (const char *const *)features->names;
	const char *artifacts = f->log->run.artifacts;
	struct buf text;
	cJSON *tree = cJSON_CreateObject();

	buf_init(&text, CHART_SVG_MAX);
	chart_bars(&text, "Feature importance: gain, on average for a split", names, g->values, features->n);
	enum err e = put(f, artifacts, "feature_importance_gain.svg", &text);
	for (size_t i = 0; i < features->n; i++)
		(void)cJSON_AddNumberToObject(tree, names[i], g->values[i]);
	char *json = cJSON_Print(tree);
	cJSON_Delete(tree);
	buf_init(&text, MLMODEL_WRITE_MAX);
	buf_str(&text, json != NULL ? json : "");
	cJSON_free(json);
	if (e == ERR_OK)
		return put(f, artifacts, "feature_importance_gain.json", &text);
	buf_release(&text);
	return e;
}

/* The run's own files: what it learnt, as pictures and numbers. */
static enum err
put_pictures(const struct finish *f)
{
	const struct train_log_result *r = f->result;
	struct gains g = {.features = r->features, .values = calloc(r->features->n, sizeof *g.values)};
	enum err e = g.values != NULL ? booster_gains(r->booster, note_gain, &g, f->info) : ERR_OUT_OF_MEMORY;
	struct buf svg;
	char title[160];

	if (e == ERR_OK)
		e = put_gains(f, &g);
	else
		e = ERR_OK; /* gblinear has none */
	free(g.values);
	if (e != ERR_OK || r->n_held == 0)
		return e;
	(void)snprintf(title, sizeof title, "%.60s, version %s: the %zu rows held out", r->name, r->version, r->n_held);
	buf_init(&svg, CHART_SVG_MAX);
	chart_scatter(&svg, title, "actual", "predicted", r->actual, r->predicted, r->n_held);
	return put(f, f->log->run.artifacts, "predicted_against_actual.svg", &svg);
}

static enum err
put_manifest(const struct finish *f)
{
	char path[PATH_MAX];
	struct buf text;

	buf_init(&text, MANIFEST_FILE_MAX);
	if (!files_join(path, sizeof path, f->result->folder, "manifest.json"))
		return err_set(f->info, ERR_FILE, "%.200s: the path is too long", f->result->folder);
	enum err e = files_read(path, &text, f->info);
	if (e == ERR_OK)
		return put(f, f->artifacts, "manifest.json", &text);
	buf_release(&text);
	return e;
}

static void
write_example(const struct mlmodel_draft *d, struct buf *out)
{
	mlmodel_write_example(d, false, out);
}

static void
write_serving_example(const struct mlmodel_draft *d, struct buf *out)
{
	mlmodel_write_example(d, true, out);
}

static void
write_python_env(const struct mlmodel_draft *d, struct buf *out)
{
	(void)d;
	mlmodel_write_python_env(out);
}

/* The model's folder. MLmodel comes last: what has one is whole. */
static enum err
put_model(const struct finish *f)
{
	static const struct {
		const char *path;
		void (*write)(const struct mlmodel_draft *d, struct buf *out);
	} files[] = {{"requirements.txt", mlmodel_write_requirements},
				 {"conda.yaml", mlmodel_write_conda},
				 {"python_env.yaml", write_python_env},
				 {MLMODEL_EXAMPLE, write_example},
				 {MLMODEL_SERVING_EXAMPLE, write_serving_example},
				 {"MLmodel", mlmodel_write}};
	const struct buf *file = f->result->file;
	enum err e = mlflow_upload(f->log->m, f->artifacts, f->draft.data, file->data, file->len, f->info);

	if (e == ERR_OK)
		e = put_manifest(f);
	for (size_t i = 0; i < sizeof files / sizeof files[0] && e == ERR_OK; i++) {
		struct buf text;
		buf_init(&text, MLMODEL_WRITE_MAX);
		files[i].write(&f->draft, &text);
		e = put(f, f->artifacts, files[i].path, &text);
	}
	return e;
}

/* A 3.x server has a logged model, a 2.x server a folder of the run. */
static enum err
begin_model(struct finish *f)
{
	struct train_log *log = f->log;
	unsigned char random[(UUID_HEX - 1) / 2];
	enum err e = mlflow_model_begin(log->m, log->experiment, log->run.id, MODEL_NAME, &f->model, f->info);

	if (e != ERR_OK)
		return e;
	if (f->model.id[0] != '\0')
		(void)snprintf(f->artifacts, sizeof f->artifacts, "%s", f->model.artifacts);
	else if (strlen(log->run.artifacts) + sizeof MODEL_NAME + 1 < sizeof f->artifacts)
		(void)snprintf(f->artifacts, sizeof f->artifacts, "%.2000s/" MODEL_NAME, log->run.artifacts);
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return err_set(f->info, ERR_OUT_OF_MEMORY, "no random numbers for the model's id");
	for (size_t i = 0; i < sizeof random; i++)
		(void)snprintf(f->uuid + 2 * i, 3, "%02x", random[i]);
	return ERR_OK;
}

static enum err
end_model(const struct finish *f)
{
	struct buf note;

	if (f->model.id[0] != '\0')
		return mlflow_model_end(f->log->m, f->log->run.id, &f->model, f->result->rounds, f->info);
	buf_init(&note, MLMODEL_WRITE_MAX);
	mlmodel_write_note(&f->draft, &note);
	enum err e = mlflow_model_note(f->log->m, f->log->run.id, buf_peek(&note), f->info);
	buf_release(&note);
	return e;
}

static enum err
register_model(struct finish *f)
{
	struct train_log *log = f->log;
	char source[MLFLOW_URI_MAX];

	(void)snprintf(source, sizeof source, "models:/%s", f->model.id);
	enum err e = mlflow_register(log->m, log->options.model, f->model.id[0] != '\0' ? source : f->artifacts, log->run.id,
								 f->model.id, f->version, f->info);
	if (e == ERR_OK && log->options.alias[0] != '\0')
		e = mlflow_alias(log->m, log->options.model, log->options.alias, f->version, f->info);
	return e;
}

static enum err
send_all(struct finish *f)
{
	const struct train_log_result *r = f->result;
	char name[MANIFEST_NAME_MAX + MANIFEST_VERSION_MAX];
	char library[16];

	enum err e = log_result(f);
	if (e == ERR_OK)
		e = put_pictures(f);
	if (e == ERR_OK)
		e = begin_model(f);
	if (e != ERR_OK)
		return e;
	f->draft = (struct mlmodel_draft){
		.artifact_path = f->model.id[0] != '\0' ? f->artifacts : MODEL_NAME,
		.run = f->log->run.id,
		.model_id = f->model.id,
		.uuid = f->uuid,
		.mlflow = f->log->server,
		.xgboost = booster_library_version(library),
		.data = "model.ubj",
		.data_bytes = r->file->len,
		.n_features = r->features->n,
		.names = (const char *const *)r->features->names,
		.n_outputs = r->golden->n_outputs,
		.example = r->golden->in,
		.n_example = r->golden->n < EXAMPLE_ROWS ? r->golden->n : EXAMPLE_ROWS,
	};
	e = put_model(f);
	if (e == ERR_OK)
		e = end_model(f);
	if (e == ERR_OK)
		e = register_model(f);
	(void)snprintf(name, sizeof name, "%s/%s", r->name, r->version);
	train_log_check(f->log); /* the end is not said twice */
	return e == ERR_OK ? mlflow_run_end(f->log->m, f->log->run.id, "FINISHED", f->log->options.run_is_given ? NULL : name, f->info)
					   : e;
}

/* Only a server that answers, but not as we want, can be told. */
static void
warn(const struct finish *f, enum err e)
{
	const struct train_log *log = f->log;
	struct err_info ignored;
	char why[ERR_TEXT_MAX];
	const struct mlflow_pair tag = {FAILURE_TAG, why};

	memcpy(why, f->info->text, sizeof why);
	(void)fprintf(
		stderr,
		WHO
		": warning: %s version %s is in the store, but MLflow has not all of it: %s. Of the run %s it has what was sent before; "
		"futaie does not send it later.\n",
		f->result->name, f->result->version, why, log->run.id);
	if (e == ERR_REMOTE_AWAY)
		return;
	mlflow_patience(log->m, 0);
	if (mlflow_log(log->m, log->run.id, NULL, 0, NULL, 0, &tag, 1, &ignored) == ERR_OK)
		(void)mlflow_run_end(log->m, log->run.id, "FAILED", NULL, &ignored);
}

void
train_log_finish(struct train_log *log, const struct train_log_result *result)
{
	struct err_info info;
	struct finish f = {.log = log, .result = result, .info = &info};

	close_tracker(log, log->options.wait_s);
	mlflow_patience(log->m, log->options.wait_s);
	enum err e = send_all(&f);
	train_log_check(log);
	if (e == ERR_OK)
		(void)printf("MLflow: version %s of \"%s\"%s%s, run %s at %s\n", f.version, log->options.model,
					 log->options.alias[0] != '\0' ? ", alias " : "", log->options.alias, log->run.id, mlflow_url(log->m));
	else
		warn(&f, e);
	stop_signals(log);
	release(log);
}
