/* cmd_train.c - futaie train: a CSV file becomes a new version in the model store */
#include <limits.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "base/random.h"
#include "base/text.h"
#include "cmd.h"
#include "cmd_models.h"
#include "cmd_train_log.h"
#include "mlflow/settings.h"
#include "model/forest.h"
#include "model/manifest_write.h"
#include "model/model.h"
#include "model/parallel.h"
#include "model/sample.h"
#include "model/trial.h"
#include "model/versions.h"
#include "train/dataset.h"
#include "train/recipe.h"
#include "train/trainer.h"

enum { GOLDEN_MADE_UP = 15, GOLDEN_MISSING_EVERY = 5, METRICS_JSON_MAX = 16 * 1024, COMMAND_MAX = 4096, KEPT_MEMORY = 512 << 20 };

struct train {
	char data[PATH_MAX];
	char target[FEATURES_NAME_MAX];
	char name[MANIFEST_NAME_MAX];
	char columns[64 * 1024];
	char params[PATH_MAX];
	char parameters[16 * 1024];
	char test[32];
	char validation[32];
	char example[64 * 1024];
	char models[PATH_MAX];
	long long seed;
	long long rounds;
	long long patience;
	long long threads;
	long long period;
	bool promote;
	char mlflow[SETTINGS_URL_MAX];
	char mlflow_experiment[512];
	char mlflow_run[512];
	char mlflow_model[512];
	char mlflow_alias[256];
	long long mlflow_wait;
};

#define TEXT(field)               .type = OPTIONS_TEXT, .offset = offsetof(struct train, field), .cap = sizeof(((struct train *)0)->field)
#define INTEGER(field, low, high) .type = OPTIONS_INTEGER, .offset = offsetof(struct train, field), .min = (low), .max = (high)

static const struct options_row rows[] = {
	{"data", TEXT(data), .initial = "", .value = "FILE.csv",
	 .help = "The rows to learn from: CSV, with a header unless --columns names them. Every column but the target is a feature; an "
			 "empty cell "
			 "is missing."},
	{"target", TEXT(target), .initial = "", .value = "COLUMN", .help = "The column that is to be predicted."},
	{"name", TEXT(name), .initial = "", .value = "NAME", .help = "The model that gets a new version."},
	{"columns", TEXT(columns), .initial = "", .value = "A,B,...", .help = "The columns' names, for a file without a header."},
	{"params", TEXT(params), .initial = "", .value = "FILE.json",
	 .help =
		 "XGBoost's parameters as a JSON object, with num_boost_round and early_stopping_rounds as in Python's xgboost.train()."},
	{"param", .type = OPTIONS_LINES, .offset = offsetof(struct train, parameters), .cap = sizeof(((struct train *)0)->parameters),
	 .initial = "", .value = "NAME=VALUE", .help = "One of them, over those of the file; may stand several times."},
	{"seed", INTEGER(seed, -1, INT_MAX), .initial = "-1", .value = "N",
	 .help = "Of the split and of XGBoost: the same seed, data, parameters and number of threads give the same bytes. -1 means "
			 "that of the "
			 "file, or 0."},
	{"rounds", INTEGER(rounds, 0, 1000000), .initial = "0", .value = "N",
	 .help = "Most rounds of boosting. 0 means num_boost_round of the file, or 1000."},
	{"early-stopping", INTEGER(patience, -1, 1000000), .initial = "-1", .value = "N",
	 .help =
		 "Rounds without a better metric on the validation part after which training stops; the model is cut at its best round. 0 "
		 "trains all rounds. -1 means early_stopping_rounds of the file, or 50."},
	{"test", TEXT(test), .initial = "0.2", .value = "SHARE",
	 .help = "Share of the rows that is held out: neither training nor early stopping sees it, and the printed metric is of it."},
	{"validation", TEXT(validation), .initial = "0.1", .value = "SHARE", .help = "Share of the rows that tells when to stop."},
	{"example", TEXT(example), .initial = "", .value = "A,B,...",
	 .help =
		 "A row, in the features' order, that is to be the first golden row; the others are made up within the features' ranges."},
	{"threads", INTEGER(threads, 0, 1024), .initial = "0", .value = "N",
	 .help = "Threads to train with. 0 means the parameter nthread, or one a processor."},
	{"period", INTEGER(period, 0, 1000000), .initial = "25", .value = "N",
	 .help = "Rounds from one line of progress to the next; 0 prints only the last."},
	{"models", TEXT(models), .initial = "models", .value = "DIR", .help = "The model store; it is made where it does not exist."},
	{"promote", .type = OPTIONS_FLAG, .offset = offsetof(struct train, promote), .initial = "no", .value = "",
	 .help = "Make the new version the champion."},
	{"mlflow", TEXT(mlflow), .initial = "", .value = "URL",
	 .help = "Log the training as a run to the MLflow server http://HOST:PORT, and register the model there. Without it the "
			 "environment's "
			 "MLFLOW_TRACKING_URI; none logs nothing."},
	{"mlflow-experiment", TEXT(mlflow_experiment), .initial = "", .value = "NAME",
	 .help = "The run's experiment, made where it does not exist. Without it the environment's MLFLOW_EXPERIMENT_NAME, or the "
			 "model's name."},
	{"mlflow-run", TEXT(mlflow_run), .initial = "", .value = "NAME",
	 .help = "The run's name. Without it NAME/VERSION, once there is a version."},
	{"mlflow-model", TEXT(mlflow_model), .initial = "", .value = "NAME",
	 .help = "The registered model's name. Without it that of --name."},
	{"mlflow-alias", TEXT(mlflow_alias), .initial = "", .value = "ALIAS",
	 .help = "Give the registered version this alias, champion or challenger for example."},
	{"mlflow-wait", INTEGER(mlflow_wait, 0, 86400), .initial = "60", .value = "SECONDS",
	 .help = "How long, once the model is in the store, a server that does not answer is waited for."},
};

const struct options_table train_options = {
	.command = "train",
	.synopsis = "--data FILE.csv --target COLUMN --name NAME [--params FILE.json] [OPTIONS]",
	.summary = "Trains a model of gradient-boosted trees and adds it to the store as a new version, proven.",
	.rows = rows,
	.n_rows = sizeof rows / sizeof rows[0],
};

/* One training, from the options to the version. */
struct job {
	const struct train *options;
	char command[COMMAND_MAX];
	double test;
	double validation;
	struct recipe recipe;
	struct dataset data;
	struct split split;
	float *values; /* owned; the rows in the order of the split */
	float *target; /* owned */
	struct learner *learner;
	int rounds; /* that the model has */
	struct learner_scores scores;
	struct buf file; /* the model's */
	char sha256[FILES_SHA256_HEX];
	struct booster *booster;            /* of that file */
	struct distribution *distributions; /* owned; one a feature */
	struct distribution target_values;
	struct distribution predictions;
	struct golden golden;
	char version[MANIFEST_VERSION_MAX];
	char folder[PATH_MAX]; /* of the version in the store */
	struct buf metrics;    /* JSON object */
	struct train_log *log; /* owned; NULL without MLflow */
};

static enum err
take_share(const char *name, const char *text, double *share, struct err_info *info)
{
	char *end;

	*share = strtod(text, &end);
	if (end == text || *end != '\0' || !(*share >= 0 && *share < 1))
		return err_set(info, ERR_USAGE, "--%s must be a share from 0 to below 1, not \"%.30s\"", name, text);
	return ERR_OK;
}

static enum err
set_number(struct recipe *r, const char *name, long long value, struct err_info *info)
{
	char text[64];

	(void)snprintf(text, sizeof text, "%s=%lld", name, value);
	return recipe_set(r, text, info);
}

/* Defaults, then the file, then the command line. */
static enum err
make_recipe(struct job *job, struct err_info *info)
{
	const struct train *o = job->options;
	char lines[sizeof o->parameters];
	enum err e = recipe_init(&job->recipe, info);

	if (e == ERR_OK && o->params[0] != '\0')
		e = recipe_read(&job->recipe, o->params, info);
	memcpy(lines, o->parameters, sizeof lines);
	for (char *line = lines, *end; e == ERR_OK && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		e = recipe_set(&job->recipe, line, info);
	}
	if (e == ERR_OK && o->seed >= 0)
		e = set_number(&job->recipe, "seed", o->seed, info);
	if (e == ERR_OK && o->rounds > 0)
		e = set_number(&job->recipe, "num_boost_round", o->rounds, info);
	if (e == ERR_OK && o->patience >= 0)
		e = set_number(&job->recipe, "early_stopping_rounds", o->patience, info);
	if (e == ERR_OK && o->threads > 0)
		e = set_number(&job->recipe, "nthread", o->threads, info);
	return e == ERR_OK ? recipe_finish(&job->recipe, info) : e;
}

static enum err
check_options(struct job *job, struct err_info *info)
{
	const struct train *o = job->options;

	if (o->data[0] == '\0' || o->target[0] == '\0' || o->name[0] == '\0')
		return err_set(info, ERR_USAGE, "--data FILE.csv, --target COLUMN and --name NAME are needed");
	if (!store_is_name(o->name))
		return err_set(info, ERR_USAGE,
					   "\"%s\" cannot be a model's name: up to 64 letters, digits, '.', '_' and '-', a letter or digit first",
					   o->name);
	enum err e = take_share("test", o->test, &job->test, info);
	if (e == ERR_OK)
		e = take_share("validation", o->validation, &job->validation, info);
	if (e == ERR_OK && job->test + job->validation >= 1)
		e = err_set(info, ERR_USAGE, "--test and --validation add up to %g: nothing is left to train on",
					job->test + job->validation);
	return e;
}

/* The rows in the order of the split, so that each part is one block. */
static enum err
arrange(struct job *job, struct err_info *info)
{
	const struct dataset *d = &job->data;
	size_t n = d->features.n;

	enum err e = split_init(&job->split, d->n, job->test, job->validation, job->recipe.seed, info);
	if (e != ERR_OK)
		return e;
	job->values = calloc(d->n * n, sizeof *job->values);
	job->target = calloc(d->n, sizeof *job->target);
	if (job->values == NULL || job->target == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory to split %zu rows", d->n);
	for (size_t i = 0; i < d->n; i++) {
		size_t from = job->split.order[i];
		memcpy(job->values + i * n, d->values + from * n, n * sizeof *job->values);
		job->target[i] = d->target[from];
	}
	return ERR_OK;
}

static const float *
train_rows(const struct job *job)
{
	return job->values + (job->split.n_test + job->split.n_validation) * job->data.features.n;
}

static enum err
open_learner(struct job *job, struct err_info *info)
{
	const struct split *s = &job->split;
	size_t n = job->data.features.n;
	const struct learner_rows parts[LEARNER_PARTS] = {
		[LEARNER_TEST] = {.n = s->n_test, .values = job->values, .target = job->target},
		[LEARNER_VALIDATION] = {.n = s->n_validation, .values = job->values + s->n_test * n, .target = job->target + s->n_test},
		[LEARNER_TRAIN] = {.n = s->n_train, .values = train_rows(job), .target = job->target + s->n_test + s->n_validation},
	};

	return learner_open(&job->data.features, parts, job->recipe.parameters, job->recipe.n_parameters, &job->learner, info);
}

static void
report(void *context, const struct trainer_progress *p)
{
	double left = p->round > 0 ? p->elapsed_s / p->round * (p->rounds - p->round) : 0;

	(void)context;
	(void)fprintf(stderr, "round %5d of %d  %s train %.5f", p->round, p->rounds, p->now.name, p->now.value[LEARNER_TRAIN]);
	if (!isnan(p->best_value))
		(void)fprintf(stderr, "  validation %.5f (best %.5f in round %d)", p->now.value[LEARNER_VALIDATION], p->best_value,
					  p->best_round);
	(void)fprintf(stderr, "  %.1f s, at most %.0f s left\n", p->elapsed_s, left);
}

static void
log_round(void *context, int round, const struct learner_scores *scores)
{
	const struct job *job = context;

	train_log_round(job->log, round, scores);
}

static enum err
train(struct job *job, struct err_info *info)
{
	const struct trainer_options options = {.rounds = job->recipe.rounds,
											.patience = job->split.n_validation > 0 ? job->recipe.patience : 0,
											.period = (int)job->options->period,
											.report = report,
											.measured = job->log != NULL ? log_round : NULL,
											.context = job};

	(void)fprintf(stderr, "%zu rows, %zu features: %zu to train on, %zu to stop by, %zu held out\n", job->data.n,
				  job->data.features.n, job->split.n_train, job->split.n_validation, job->split.n_test);
	enum err e = trainer_run(job->learner, &options, &job->rounds, info);
	if (e == ERR_OK)
		e = learner_evaluate(job->learner, job->rounds - 1, true, &job->scores, info);
	if (e == ERR_OK)
		e = learner_save(job->learner, &job->file, info);
	if (e != ERR_OK)
		return e;
	learner_free(job->learner);
	job->learner = NULL;
	files_sha256(job->file.data, job->file.len, job->sha256);
	return booster_open(job->file.data, job->file.len, &job->booster, info);
}

/* XGBoost's answers for many rows, by the forest where it can: its bits are the same. */
static enum err
predict_rows(const struct job *job, const float *values, size_t n, float *outputs, struct err_info *info)
{
	struct booster_caller caller = {0};
	struct forest *forest;
	enum err e = forest_open(job->file.data, job->file.len, &forest, info);

	if (e == ERR_OK && forest_shape(forest)->n_values == booster_outputs(job->booster, BOOSTER_VALUE))
		parallel_predict(forest, (size_t)sysconf(_SC_NPROCESSORS_ONLN), BOOSTER_VALUE, values, n, outputs);
	else if ((e = booster_caller_init(&caller, info)) == ERR_OK)
		e = booster_predict(job->booster, &caller, BOOSTER_VALUE, values, n, outputs, info);
	booster_caller_release(&caller);
	forest_free(forest);
	return e;
}

/* What drift is measured against later: the training rows, and what the model makes of them. */
static enum err
describe_rows(struct job *job, struct err_info *info)
{
	size_t n = job->data.features.n;
	size_t n_train = job->split.n_train;
	size_t width = booster_outputs(job->booster, BOOSTER_VALUE);
	const float *values = train_rows(job);
	float *outputs = calloc(n_train * width, sizeof *outputs);
	float *scratch = calloc(n_train, sizeof *scratch);
	enum err e = ERR_OK;

	job->distributions = calloc(n, sizeof *job->distributions);
	if (outputs == NULL || scratch == NULL || job->distributions == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory to describe the rows");
	if (e == ERR_OK)
		e = predict_rows(job, values, n_train, outputs, info);
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		distribution_init(&job->distributions[i], values + i, n_train, n, scratch);
	if (e == ERR_OK) {
		distribution_init(&job->target_values, job->target + job->data.n - n_train, n_train, 1, scratch);
		distribution_init(&job->predictions, outputs, n_train, width, scratch);
	}
	free(outputs);
	free(scratch);
	return e;
}

/* --example, as the first golden row. */
static enum err
take_example(const struct job *job, float *row, struct err_info *info)
{
	const char *p = job->options->example;
	const char *end = p + strlen(p);
	size_t n = job->data.features.n;

	for (size_t i = 0; i < n; i++) {
		p += strspn(p, " ");
		const char *after = p;
		if (*p == ',' || *p == '\0')
			row[i] = NAN;
		else if (text_float(p, end, TEXT_CSV, &row[i], &after) != TEXT_OK ||
				 (after += strspn(after, " "), *after != ',' && *after != '\0'))
			return err_set(info, ERR_USAGE, "--example: value %zu is no number", i + 1);
		if ((*after == '\0') != (i + 1 == n))
			return err_set(info, ERR_USAGE, "--example must have %zu values, one a feature", n);
		p = after + 1;
	}
	return ERR_OK;
}

static enum err
make_golden_rows(struct job *job, struct err_info *info)
{
	size_t n = job->data.features.n;
	bool has_example = job->options->example[0] != '\0';
	float(*knots)[DISTRIBUTION_KNOTS] = calloc(n, sizeof *knots);
	struct sample_column *columns = calloc(n, sizeof *columns);
	uint64_t random = job->recipe.seed;
	struct golden *g = &job->golden;
	enum err e = ERR_OK;

	*g = (struct golden){.n = (has_example ? 1 : 0) + GOLDEN_MADE_UP, .n_outputs = booster_outputs(job->booster, BOOSTER_VALUE)};
	g->in = calloc(g->n * n, sizeof *g->in);
	g->out = calloc(g->n * g->n_outputs, sizeof *g->out);
	if (knots == NULL || columns == NULL || g->in == NULL || g->out == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the golden rows");
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		columns[i] = (struct sample_column){.values = knots[i], .n = distribution_knots(&job->distributions[i], knots[i])};
	if (e == ERR_OK && has_example)
		e = take_example(job, g->in, info);
	if (e == ERR_OK)
		sample_rows(columns, n, &random, GOLDEN_MISSING_EVERY, g->in + (has_example ? n : 0), GOLDEN_MADE_UP);
	free(knots);
	free(columns);
	return e;
}

static enum err
answer_golden_rows(struct job *job, struct err_info *info)
{
	struct booster_caller caller;
	enum err e = booster_caller_init(&caller, info);

	if (e == ERR_OK)
		e = booster_predict(job->booster, &caller, BOOSTER_VALUE, job->golden.in, job->golden.n, job->golden.out, info);
	booster_caller_release(&caller);
	return e;
}

/* {"rmse_train": 0.31, …, "rows_train": 14448, …} */
static enum err
write_metrics(const struct job *job, struct buf *json, struct err_info *info)
{
	static const char *const names[LEARNER_PARTS] = {"train", "validation", "test"};
	const size_t counts[LEARNER_PARTS] = {job->split.n_train, job->split.n_validation, job->split.n_test};

	buf_char(json, '{');
	for (size_t i = 0; i < job->scores.n; i++)
		for (size_t part = 0; part < LEARNER_PARTS; part++)
			if (isfinite(job->scores.metrics[i].value[part]))
				buf_printf(json, "\"%s_%s\": %.10g, ", job->scores.metrics[i].name, names[part],
						   job->scores.metrics[i].value[part]);
	for (size_t part = 0; part < LEARNER_PARTS; part++)
		buf_printf(json, "%s\"rows_%s\": %zu", part == 0 ? "" : ", ", names[part], counts[part]);
	buf_char(json, '}');
	return buf_ok(json) ? ERR_OK : err_set(info, ERR_OUT_OF_MEMORY, "no memory for the metrics");
}

static enum err
save(struct job *job, const struct store_edit *edit, const char *folder, struct err_info *info)
{
	char path[PATH_MAX];
	char library[16];
	char *parameters = recipe_json(&job->recipe, job->rounds);
	enum err e = write_metrics(job, &job->metrics, info);
	const struct manifest_draft draft = {
		.name = edit->name,
		.version = edit->version,
		.objective = booster_shape(job->booster)->objective,
		.model_file = "model.ubj",
		.sha256 = job->sha256,
		.xgboost_version = booster_library_version(library),
		.n_features = job->data.features.n,
		.names = (const char *const *)job->data.features.names,
		.distributions = job->distributions,
		.target = job->options->target,
		.target_values = &job->target_values,
		.predictions = &job->predictions,
		.metrics = buf_peek(&job->metrics),
		.parameters = parameters,
		.golden = &job->golden,
		.data_sha256 = job->data.sha256,
		.command = job->command,
		.mlflow_run = job->log != NULL ? train_log_run(job->log) : NULL,
	};
	if (e == ERR_OK && parameters == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the parameters");
	if (e == ERR_OK && !files_join(path, sizeof path, folder, draft.model_file))
		e = err_set(info, ERR_FILE, "%.200s: the path is too long", folder);
	if (e == ERR_OK)
		e = files_write(path, job->file.data, job->file.len, info);
	if (e == ERR_OK)
		e = manifest_save(&draft, folder, info);
	free(parameters);
	return e;
}

static void
print_result(const struct job *job)
{
	(void)printf("%s: version %s is added: %d rounds, %zu bytes\n", job->options->name, job->version, job->rounds, job->file.len);
	for (size_t i = 0; i < job->scores.n; i++) {
		const struct learner_metric *m = &job->scores.metrics[i];
		(void)printf("%s: train %.4f", m->name, m->value[LEARNER_TRAIN]);
		if (!isnan(m->value[LEARNER_VALIDATION]))
			(void)printf(", validation %.4f", m->value[LEARNER_VALIDATION]);
		if (!isnan(m->value[LEARNER_TEST]))
			(void)printf(", held out %.4f (%zu rows that neither training nor early stopping saw)", m->value[LEARNER_TEST],
						 job->split.n_test);
		(void)printf("\n");
	}
	(void)fflush(stdout);
}

static enum err
publish(struct job *job, struct err_info *info)
{
	const struct train *o = job->options;
	struct store_edit edit;
	char folder[PATH_MAX];
	train_log_check(job->log);
	enum err e = models_lock(&edit, o->models, true, info);

	if (e == ERR_OK)
		e = store_edit_begin(&edit, o->name, folder, info);
	if (e == ERR_OK)
		e = save(job, &edit, folder, info);
	if (e == ERR_OK)
		e = versions_add(&edit, TRIAL_SELF, info);
	if (e == ERR_OK) {
		memcpy(job->version, edit.version, sizeof job->version);
		(void)store_version_folder(job->folder, sizeof job->folder, o->models, o->name, edit.version);
		print_result(job);
		if (o->promote)
			e = models_promote(&edit, o->name, edit.version, info);
		else
			(void)printf("futaie models promote %s %s --models %s makes it the champion\n", o->name, edit.version, o->models);
	}
	store_edit_release(&edit);
	return e;
}

/* A store that takes no version is found out before the training, not after it. */
static enum err
check_store(const struct job *job, struct err_info *info)
{
	struct store_edit edit;
	char folder[PATH_MAX];
	enum err e = models_lock(&edit, job->options->models, true, info);

	if (e == ERR_OK)
		e = store_edit_begin(&edit, job->options->name, folder, info);
	store_edit_release(&edit);
	return e;
}

static enum err
check_example(const struct job *job, struct err_info *info)
{
	if (job->options->example[0] == '\0')
		return ERR_OK;
	float *row = calloc(job->data.features.n, sizeof *row);
	enum err e = row != NULL ? take_example(job, row, info) : err_set(info, ERR_OUT_OF_MEMORY, "no memory for the example");
	free(row);
	return e;
}

/* The server that is given, or the environment's; NULL for none. */
static const char *
mlflow_uri(const struct train *o)
{
	const char *uri = o->mlflow[0] != '\0' ? o->mlflow : getenv("MLFLOW_TRACKING_URI");

	return uri == NULL || *uri == '\0' || strcmp(uri, "none") == 0 ? NULL : uri;
}

static const char *
or_else(const char *text, const char *otherwise)
{
	return text != NULL && *text != '\0' ? text : otherwise;
}

static enum err
open_log(struct job *job, struct err_info *info)
{
	const struct train *o = job->options;
	char *parameters = recipe_json(&job->recipe, job->recipe.rounds);
	const char *slash = strrchr(o->data, '/');
	const struct train_log_options options = {
		.uri = mlflow_uri(o),
		.experiment = or_else(or_else(o->mlflow_experiment, getenv("MLFLOW_EXPERIMENT_NAME")), o->name),
		.run = or_else(o->mlflow_run, o->name),
		.run_is_given = o->mlflow_run[0] != '\0',
		.model = or_else(o->mlflow_model, o->name),
		.alias = o->mlflow_alias,
		.wait_s = (double)o->mlflow_wait,
		.parameters = parameters,
		.data = slash != NULL ? slash + 1 : o->data,
		.data_sha256 = job->data.sha256,
		.target = o->target,
		.test = o->test,
		.validation = o->validation,
		.command = job->command,
		.n_rows = job->data.n,
	};
	struct err_info why;

	if (options.uri == NULL) {
		free(parameters);
		return ERR_OK;
	}
	enum err e = parameters != NULL ? train_log_open(&options, &job->log, &why)
									: err_set(&why, ERR_OUT_OF_MEMORY, "no memory for the parameters");
	free(parameters);
	return e == ERR_OK || e == ERR_USAGE
			   ? (e == ERR_OK ? ERR_OK : err_set(info, e, "%s", why.text))
			   : err_set(info, e, "nothing is trained, since MLflow gets no run of it: %s; --mlflow none trains without", why.text);
}

/* What the model answers for the rows held out, in a picture; of several outputs a row there is none. */
static void
finish_log(struct job *job)
{
	size_t n = job->split.n_test;
	float *predicted = NULL;
	struct err_info ignored;

	if (booster_outputs(job->booster, BOOSTER_VALUE) == 1 && n > 0 && (predicted = calloc(n, sizeof *predicted)) != NULL &&
		predict_rows(job, job->values, n, predicted, &ignored) != ERR_OK) {
		free(predicted);
		predicted = NULL;
	}
	const struct train_log_result result = {
		.folder = job->folder,
		.name = job->options->name,
		.version = job->version,
		.metrics = buf_peek(&job->metrics),
		.rounds = job->rounds,
		.file = &job->file,
		.booster = job->booster,
		.features = &job->data.features,
		.golden = &job->golden,
		.actual = job->target,
		.predicted = predicted,
		.n_held = predicted != NULL ? n : 0,
	};
	train_log_finish(job->log, &result);
	job->log = NULL;
	free(predicted);
}

static enum err
run(struct job *job, struct err_info *info)
{
	enum err e = check_options(job, info);

	if (e == ERR_OK)
		e = make_recipe(job, info);
	if (e == ERR_OK)
		e = check_store(job, info);
	if (e == ERR_OK)
		e = dataset_init(&job->data, job->options->data, job->options->columns, job->options->target, info);
	if (e == ERR_OK)
		e = check_example(job, info);
	if (e == ERR_OK)
		e = arrange(job, info);
	if (e == ERR_OK)
		e = open_log(job, info);
	if (e == ERR_OK)
		e = open_learner(job, info);
	if (e == ERR_OK)
		e = train(job, info);
	if (e == ERR_OK)
		e = describe_rows(job, info);
	if (e == ERR_OK)
		e = make_golden_rows(job, info);
	if (e == ERR_OK)
		e = answer_golden_rows(job, info);
	if (e == ERR_OK)
		e = publish(job, info);
	if (job->log != NULL && job->version[0] != '\0')
		finish_log(job);
	else if (e != ERR_OK)
		train_log_fail(job->log, info->text);
	return e;
}

static void
release(struct job *job)
{
	recipe_release(&job->recipe);
	dataset_release(&job->data);
	split_release(&job->split);
	free(job->values);
	free(job->target);
	learner_free(job->learner);
	buf_release(&job->file);
	booster_free(job->booster);
	free(job->distributions);
	golden_release(&job->golden);
	buf_release(&job->metrics);
}

/* "futaie train --data …", for the manifest, without the credentials of a URL. */
static void
note_command(struct job *job, int argc, char **argv)
{
	size_t len = (size_t)snprintf(job->command, sizeof job->command, "futaie");

	for (int i = 0; i < argc && len < sizeof job->command; i++) {
		char shown[COMMAND_MAX];
		(void)settings_shown(argv[i], shown, sizeof shown);
		int n = snprintf(job->command + len, sizeof job->command - len, strchr(shown, ' ') != NULL ? " '%s'" : " %s", shown);
		len += n > 0 ? (size_t)n : 0;
	}
}

static enum err
read_and_run(struct train *o, int argc, char **argv, bool *help, struct err_info *info)
{
	struct job job = {.options = o};
	int n_operands;

	note_command(&job, argc, argv);
	buf_init(&job.file, MODEL_FILE_MAX);
	buf_init(&job.metrics, METRICS_JSON_MAX);
	options_init(&train_options, o);
	enum err e = options_argv(&train_options, o, argc - 1, argv + 1, help, &n_operands, info);
	if (e == ERR_OK && !*help && n_operands > 0)
		e = err_set(info, ERR_USAGE, "unexpected operand \"%.60s\"; options start with --", argv[1]);
	if (e == ERR_OK && !*help)
		e = run(&job, info);
	release(&job);
	return e;
}

/*
 * Threads of OpenMP that wait for each other must sleep, not spin: on a machine with other work spinning makes training several times slower. libgomp
 * reads the variable when the program is loaded, so it is loaded once more.
 */
static void
wait_without_spinning(char **argv)
{
	if (getenv("OMP_WAIT_POLICY") != NULL || setenv("OMP_WAIT_POLICY", "passive", 1) != 0)
		return;
	(void)execv("/proc/self/exe", argv - 1); /* argv[-1] is the program; where it fails, spinning is still right */
}

/* XGBoost takes and gives back its histograms in every round: memory that stays with the process spares the kernel's share, 6 % of the training. */
static void
keep_memory(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, KEPT_MEMORY);
	(void)mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY);
}

int
cmd_train(int argc, char **argv)
{
	struct train *o = calloc(1, sizeof *o);
	struct err_info info;
	bool help = false;
	enum err e;

	wait_without_spinning(argv);
	keep_memory();
	if (o == NULL)
		e = err_set(&info, ERR_OUT_OF_MEMORY, "no memory for the options");
	else
		e = read_and_run(o, argc, argv, &help, &info);
	free(o);
	if (e == ERR_OK && help)
		options_print_help(&train_options, stdout);
	if (e == ERR_OK && (fflush(stdout) != 0 || ferror(stdout)))
		e = err_set(&info, ERR_FILE, "cannot write to standard output");
	if (e != ERR_OK)
		(void)fprintf(stderr, "futaie train: %s\n", info.text);
	return e == ERR_OK ? EXIT_DONE : e == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
