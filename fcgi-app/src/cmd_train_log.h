/* cmd_train_log.h - a training as a run of MLflow */
#ifndef FUTAIE_CMD_TRAIN_LOG_H
#define FUTAIE_CMD_TRAIN_LOG_H

#include "base/buf.h"
#include "base/err.h"
#include "model/booster.h"
#include "model/features.h"
#include "model/golden.h"
#include "train/learner.h"

/*
 * From its begin to its end a run is in MLflow's list as RUNNING; it ends FINISHED, or FAILED with the tag futaie.failure saying why, also on SIGINT,
 * SIGTERM and SIGHUP: a thread takes these, ends the run within seconds, and then the process as the signal does by default. A second one does that at once.
 *
 * What MLflow answers never stops a training that has begun: it is said on standard error.
 */
struct train_log;

struct train_log_options {
	const char *uri;
	const char *experiment;
	const char *run;        /* its name */
	bool run_is_given;      /* by the user: then the model's version does not become its name */
	const char *model;      /* the registered model's name */
	const char *alias;      /* that the version gets, or "" */
	double wait_s;          /* how long a server that is away is waited for at the end */
	const char *parameters; /* JSON object */
	const char *data;       /* the file's name */
	const char *data_sha256;
	const char *target;
	const char *test; /* shares */
	const char *validation;
	const char *command;
	size_t n_rows;
};

/* What came of the training. All borrowed. */
struct train_log_result {
	const char *folder; /* of the version in the store */
	const char *name;   /* in the store */
	const char *version;
	const char *metrics; /* JSON object of numbers */
	int rounds;
	const struct buf *file; /* the model's */
	const struct booster *booster;
	const struct features *features;
	const struct golden *golden;
	const char *target;
	const float *actual; /* of the rows held out; n_held of both */
	const float *predicted;
	size_t n_held; /* 0: none, or several outputs a row */
};

/* Begins the run. A server that does not answer is waited for only a few seconds: nothing is lost yet. All options are borrowed until the end. */
enum err train_log_open(const struct train_log_options *o, struct train_log **out, struct err_info *info);

/* A round's metrics; the training does not wait. */
void train_log_round(struct train_log *log, int round, const struct learner_scores *scores);

/* The run's id. */
const char *train_log_run(const struct train_log *log);

/* Returns, unless a signal has come: then the process ends here, before anything is changed. */
void train_log_check(const struct train_log *log);

/* Uploads the model, registers it, and ends the run FINISHED. Prints where it is, or a warning. Frees the log. */
void train_log_finish(struct train_log *log, const struct train_log_result *result);

/* Ends the run FAILED. Frees the log; NULL is fine. */
void train_log_fail(struct train_log *log, const char *why);

#endif
