/* cmd_pull.c - futaie models pull: a version of MLflow's model registry becomes a version of the store, once or for ever */
#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "cmd_intake.h"
#include "mlflow/fetch.h"
#include "mlflow/settings.h"
#include "model/manifest.h"
#include "model/trial.h"
#include "model/versions.h"

#define SCHEME "models:/"

enum {
	PATIENCE_S = 30,      /* of a single pull with a server that is away */
	WATCH_PATIENCE_S = 5, /* of a watch, which comes again anyway */
	AGAIN_S = 600,        /* until a version that could not be taken is tried again */
	AWAY_MAX_S = 300,     /* longest pause with a server that is away, unless the watch's own is longer */
	FROM_MAX = 8 * 1024
};

/* A pull, from the options to the store. */
struct pull {
	const struct models_options *options;
	char registered[MLFLOW_NAME_MAX]; /* the model's name in MLflow */
	char alias[MLFLOW_NAME_MAX];      /* or "" … */
	char number[MLFLOW_VERSION_MAX];  /* … or "" */
	char name[MLFLOW_NAME_MAX];       /* in the store */
	struct mlflow *m;                 /* owned */
	struct mlflow_version found;
	char version[MANIFEST_VERSION_MAX]; /* in the store */
	char before[MANIFEST_VERSION_MAX];  /* the champion of before, where it was promoted */
	bool added;                         /* it was not there */
	bool unproven;
	bool is_champion; /* already */
	bool promoted;
	size_t n_golden;
};

static sigset_t
ending_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	return set;
}

/* Of a watch, whose signals are blocked: true once one has come. */
static bool
is_ended(void *context)
{
	bool *ended = context;
	const sigset_t set = ending_signals();
	const struct timespec now = {0};

	*ended = *ended || sigtimedwait(&set, NULL, &now) > 0;
	return *ended;
}

/* models:/NAME@ALIAS or models:/NAME/VERSION; NAME may hold anything but a slash. */
static enum err
read_operand(struct pull *p, const char *operand, struct err_info *info)
{
	const char *text = operand + strlen(SCHEME);
	const char *at = strncmp(operand, SCHEME, strlen(SCHEME)) == 0 ? strrchr(text, '@') : NULL;
	const char *slash = strncmp(operand, SCHEME, strlen(SCHEME)) == 0 ? strrchr(text, '/') : NULL;
	const char *end = slash != NULL ? slash : at;

	if (end == NULL || end == text || end[1] == '\0' || (slash != NULL && !store_is_version(slash + 1)) ||
		memchr(text, '/', (size_t)(end - text)) != NULL)
		return err_set(info, ERR_USAGE,
					   "expected models:/NAME@ALIAS or models:/NAME/VERSION, models:/house@champion for example, not \"%.100s\"",
					   operand);
	if ((size_t)(end - text) >= sizeof p->registered || strlen(end + 1) >= sizeof p->number + (slash == NULL ? 200 : 0))
		return err_set(info, ERR_USAGE, "the name or the version in \"%.100s…\" is too long", operand);
	(void)snprintf(p->registered, sizeof p->registered, "%.*s", (int)(end - text), text);
	(void)snprintf(slash != NULL ? p->number : p->alias, slash != NULL ? sizeof p->number : sizeof p->alias, "%s", end + 1);
	return ERR_OK;
}

static enum err
check_options(struct pull *p, struct err_info *info)
{
	const struct models_options *o = p->options;

	(void)snprintf(p->name, sizeof p->name, "%s", o->as[0] != '\0' ? o->as : p->registered);
	if (!store_is_name(p->name))
		return err_set(info, ERR_USAGE,
					   "\"%.64s\" cannot be a model's name in the store (up to 64 letters, digits, '.', '_' and '-', a letter or "
					   "digit first): "
					   "give another with --as NAME",
					   p->name);
	if (o->watch > 0 && (p->alias[0] == '\0' || o->golden[0] != '\0'))
		return err_set(info, ERR_USAGE,
					   "--watch follows an alias, models:/NAME@ALIAS, and takes no --golden: golden rows are of one version");
	return ERR_OK;
}

static enum err
open_server(struct pull *p, bool *ended, struct err_info *info)
{
	const char *const places[] = {p->options->mlflow, getenv("MLFLOW_REGISTRY_URI"), getenv("MLFLOW_TRACKING_URI")};
	const char *uri = NULL;

	for (size_t i = 0; i < sizeof places / sizeof places[0] && uri == NULL; i++)
		uri = places[i] != NULL && places[i][0] != '\0' ? places[i] : NULL;
	if (uri == NULL)
		return err_set(info, ERR_USAGE, "which MLflow server? Give --mlflow http://HOST:5000, or set MLFLOW_TRACKING_URI");
	return mlflow_open(uri, ended != NULL ? is_ended : NULL, ended, &p->m, info);
}

/* {"server": …, "model": …, "version": …, "run": …, "source": …}: where it is from. */
static void
write_from(const struct pull *p, struct buf *json)
{
	const char *const members[][2] = {{"server", mlflow_url(p->m)},
									  {"model", p->found.name},
									  {"version", p->found.version},
									  {"run", p->found.run},
									  {"source", p->found.source}};

	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		buf_printf(json, "%s\"%s\": ", i == 0 ? "{" : ", ", members[i][0]);
		text_json_string(json, members[i][1], strlen(members[i][1]));
	}
	buf_char(json, '}');
}

/* True where the manifest says that the version is from there; `unproven` is told then. */
static bool
is_from(const char *folder, const cJSON *from, bool *unproven)
{
	char path[PATH_MAX];
	struct buf text;
	struct err_info ignored;
	cJSON *tree = NULL;

	buf_init(&text, MANIFEST_FILE_MAX);
	if (files_join(path, sizeof path, folder, "manifest.json") && files_read(path, &text, &ignored) == ERR_OK)
		(void)json_document(path, buf_peek(&text), text.len, &tree, &ignored);
	const cJSON *source = cJSON_GetObjectItemCaseSensitive(tree, "source");
	bool same = cJSON_Compare(cJSON_GetObjectItemCaseSensitive(source, "mlflow"), from, true);
	*unproven = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(tree, "golden"), "unproven"));
	cJSON_Delete(tree);
	buf_release(&text);
	return same;
}

/* Whether the store has the version already: the newest that is from there. */
static enum err
look_in_store(struct pull *p, struct err_info *info)
{
	struct store store;
	char folder[PATH_MAX];
	struct buf json;
	cJSON *from = NULL;

	p->version[0] = '\0';
	p->is_champion = false;
	if (store_init(&store, p->options->models, info) != ERR_OK)
		return ERR_OK; /* it is made with its first version, or the lock says what is wrong */
	buf_init(&json, FROM_MAX);
	write_from(p, &json);
	enum err e = json_document("the version's origin", buf_peek(&json), json.len, &from, info);
	const struct store_model *m = store_find(&store, p->name);
	for (size_t i = m != NULL ? m->n_versions : 0; e == ERR_OK && i-- > 0;) {
		(void)snprintf(p->version, sizeof p->version, "%d", (int)m->versions[i]);
		if (store_version_folder(folder, sizeof folder, p->options->models, p->name, p->version) &&
			is_from(folder, from, &p->unproven))
			break;
		p->version[0] = '\0';
	}
	const char *champion = m != NULL ? store_alias(m, VERSIONS_CHAMPION) : NULL;
	p->is_champion = champion != NULL && p->version[0] != '\0' && strcmp(champion, p->version) == 0;
	cJSON_Delete(from);
	buf_release(&json);
	store_release(&store);
	return e;
}

/* golden.json beside the model: rows as they are. */
static void
fill_intake(struct intake *in, const struct pull *p, struct fetch *f, const char *from)
{
	in->name = p->name;
	in->file = f->label;
	in->command = "futaie models pull";
	in->mlflow = from;
	in->mlflow_run = p->found.run[0] != '\0' ? p->found.run : NULL;
	in->converts = true;
	in->columns = f->columns;
	in->example = f->example;
	in->recorded = f->golden;
	in->manifest = p->options->golden[0] == '\0' ? f->manifest : NULL;
	in->metrics = f->metrics != NULL ? f->metrics : "{}";
	in->parameters = f->parameters;
	in->bytes = f->bytes;
	f->bytes = (struct buf){0};
}

/* A manifest's golden rows are recorded ones unless it says that they are not. */
static void
note_golden(struct pull *p, const struct intake *in)
{
	const cJSON *golden = cJSON_GetObjectItemCaseSensitive(in->manifest, "golden");

	p->unproven = in->manifest != NULL ? cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(golden, "unproven")) : in->golden.unproven;
	p->n_golden =
		in->manifest != NULL ? (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(golden, "inputs")) : in->golden.n;
}

static enum err
add(struct pull *p, struct fetch *f, struct err_info *info)
{
	struct store_edit edit;
	struct intake in;
	struct buf from;

	buf_init(&from, FROM_MAX);
	write_from(p, &from);
	intake_init(&in, p->options);
	fill_intake(&in, p, f, buf_peek(&from));
	enum err e = intake_judge(&in, info);
	if (e == ERR_OK) {
		e = models_lock(&edit, p->options->models, true, info);
		if (e == ERR_OK)
			e = intake_add(&in, &edit, info);
		if (e == ERR_OK)
			memcpy(p->version, edit.version, sizeof p->version);
		store_edit_release(&edit);
	}
	if (e == ERR_OK) {
		p->added = true;
		note_golden(p, &in);
	}
	intake_release(&in);
	buf_release(&from);
	return e;
}

static enum err
promote(struct pull *p, struct err_info *info)
{
	struct store_edit edit;

	if (p->is_champion)
		return ERR_OK;
	if (p->unproven && !p->options->unproven)
		return err_set(
			info, ERR_GOLDEN_MISMATCH,
			"version %s of %s is there, but not promoted: its golden rows are its own answers of today, so nothing shows that it "
			"answers here as where it was made; log golden.json with it, or give --unproven",
			p->version, p->name);
	enum err e = models_lock(&edit, p->options->models, false, info);
	if (e == ERR_OK)
		e = versions_promote(&edit, TRIAL_SELF, p->name, p->version, p->before, info);
	if (e == ERR_OK)
		p->promoted = strcmp(p->before, p->version) != 0;
	store_edit_release(&edit);
	return e;
}

/* Finds the version and takes it, unless the store has it. */
static enum err
pull(struct pull *p, struct err_info *info)
{
	struct fetch f;

	p->added = false;
	p->promoted = false;
	enum err e = mlflow_find(p->m, p->registered, p->alias[0] != '\0' ? p->alias : NULL, p->number, &p->found, info);
	if (e == ERR_OK)
		e = look_in_store(p, info);
	if (e != ERR_OK || p->version[0] != '\0')
		return e;
	e = fetch_init(&f, p->m, &p->found, info);
	if (e == ERR_OK)
		e = add(p, &f, info);
	fetch_release(&f);
	return e;
}

static enum err
pull_once(struct pull *p, struct err_info *info)
{
	mlflow_patience(p->m, PATIENCE_S);
	enum err e = pull(p, info);
	if (e != ERR_OK)
		return e;
	if (!p->added)
		(void)printf("%s: version %s of \"%s\" in MLflow is there already, as version %s\n", p->name, p->found.version,
					 p->registered, p->version);
	else
		(void)printf("%s: version %s is added, version %s of \"%s\" in MLflow, %s %zu golden rows\n", p->name, p->version,
					 p->found.version, p->registered, p->unproven ? "with its own answers as" : "proven by", p->n_golden);
	if (!p->options->promote) {
		if (p->unproven && !p->options->unproven)
			(void)fprintf(stderr,
						  "futaie models: nothing shows that version %s answers here as where it was made: its golden rows are its "
						  "own answers of today\n",
						  p->version);
		return ERR_OK;
	}
	e = promote(p, info);
	if (e == ERR_OK && !p->promoted)
		(void)printf("%s: version %s is the champion already\n", p->name, p->version);
	else if (e == ERR_OK)
		(void)printf("%s: version %s is the champion now%s%s\n", p->name, p->version,
					 p->before[0] != '\0' ? "; before it was " : "", p->before);
	return e;
}

/* What a watch remembers from look to look. */
struct watch {
	struct pull *pull;
	struct log log;
	bool ended;
	bool away;                    /* the server did not answer last time */
	unsigned failures;            /* one behind the other, for that reason */
	char bad[MLFLOW_VERSION_MAX]; /* that could not be taken or promoted … */
	char source[MLFLOW_URI_MAX];  /* … from there … */
	uint64_t again_ns;            /* … and is not tried before */
	uint64_t random;
};

static void
say(const struct watch *w, enum log_level level, const char *event, const char *message)
{
	const struct pull *p = w->pull;
	struct buf line;

	log_line_init(&line);
	if (log_begin(&line, &w->log, level, event)) {
		log_text(&line, "model", p->name);
		log_text(&line, "version", p->version);
		log_text(&line, "registered_model", p->registered);
		log_text(&line, "registered_version", p->found.version);
		log_text(&line, "server", mlflow_url(p->m));
		log_text(&line, "message", message);
		log_end(&line);
	}
	buf_release(&line);
}

/* A version that is known to be bad is not downloaded at each look. */
static bool
is_known_bad(struct watch *w, struct err_info *info)
{
	struct pull *p = w->pull;
	struct mlflow_version now;

	if (w->bad[0] == '\0')
		return false;
	return mlflow_find(p->m, p->registered, p->alias, NULL, &now, info) == ERR_OK && strcmp(now.version, w->bad) == 0 &&
		   strcmp(now.source, w->source) == 0 && clock_now_ns() < w->again_ns;
}

/* Says what a look found, where that is new. */
static void
note(struct watch *w, enum err e, const struct err_info *info)
{
	const struct pull *p = w->pull;

	if (e == ERR_OK && w->away)
		say(w, LOG_INFO, "pull_server_back", "the server answers again");
	if (e == ERR_REMOTE_AWAY) {
		w->failures++;
		if (!w->away && !w->ended)
			say(w, LOG_WARN, "pull_server_away", info->text);
		w->away = true;
		return;
	}
	w->away = false;
	w->failures = 0;
	if (e == ERR_OK) {
		w->bad[0] = '\0';
		if (p->promoted)
			say(w, LOG_INFO, "pull_promoted", "the registry's version is the champion now");
		return;
	}
	say(w, LOG_ERROR, "pull_failed", info->text);
	memcpy(w->bad, p->found.version, sizeof w->bad);
	memcpy(w->source, p->found.source, sizeof w->source);
	w->again_ns = clock_now_ns() + AGAIN_S * 1000000000ULL;
}

/* The pause between two looks, with a tenth of jitter; longer from time to time while the server is away. */
static void
wait_for_next(struct watch *w)
{
	double seconds = (double)w->pull->options->watch;
	double most = seconds > AWAY_MAX_S ? seconds : AWAY_MAX_S;
	const sigset_t set = ending_signals();

	for (unsigned i = 1; i < w->failures && seconds < most; i++)
		seconds = seconds * 2 < most ? seconds * 2 : most;
	seconds *= 0.9 + 0.2 * random_unit(&w->random);
	const struct timespec pause = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
	w->ended = w->ended || sigtimedwait(&set, NULL, &pause) > 0;
}

/* Until SIGTERM or SIGINT. */
static enum err
watch(struct watch *w, struct err_info *info)
{
	struct pull *p = w->pull;

	say(w, LOG_INFO, "pull_watch", "following the registry's alias");
	while (!w->ended) {
		mlflow_patience(p->m, WATCH_PATIENCE_S);
		if (!is_known_bad(w, info)) {
			enum err e = pull(p, info);
			if (e == ERR_OK && p->added)
				say(w, LOG_INFO, "pull_added",
					p->unproven ? "added, with its own answers as golden rows" : "added, proven by its golden rows");
			if (e == ERR_OK)
				e = promote(p, info);
			note(w, e, info);
		}
		if (!w->ended)
			wait_for_next(w);
	}
	say(w, LOG_INFO, "pull_watch_ends", "asked to end");
	return ERR_OK;
}

static enum err
start_watch(struct pull *p, struct err_info *info)
{
	struct watch w = {.pull = p, .log = {.level = LOG_INFO}, .random = clock_now_ns()};
	const sigset_t set = ending_signals();

	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	enum err e = open_server(p, &w.ended, info);
	return e == ERR_OK ? watch(&w, info) : e;
}

enum err
models_pull(const struct models_options *o, char **operands, struct err_info *info)
{
	struct pull p = {.options = o};

	(void)signal(SIGPIPE, SIG_IGN); /* a server that hangs up must not end us */
	enum err e = read_operand(&p, operands[0], info);
	if (e == ERR_OK)
		e = check_options(&p, info);
	if (e == ERR_OK && o->watch > 0) {
		e = start_watch(&p, info);
	} else if (e == ERR_OK) {
		e = open_server(&p, NULL, info);
		if (e == ERR_OK)
			e = pull_once(&p, info);
	}
	mlflow_free(p.m);
	return e;
}
