/* rest.h - MLflow's tracking server and model registry, through its REST API */
#ifndef FUTAIE_REST_H
#define FUTAIE_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "mlflow/web.h"

struct cJSON;

/*
 * The API is version 2.0 of https://mlflow.org/docs/latest/rest-api.html as servers 2.x and 3.x speak it; where they differ, the function says so.
 *
 * Failures of any function: ERR_REMOTE_AWAY where the server could not be reached or had trouble of its own (408, 429, 500, 502 to 504) and did not
 * recover while the handle is patient; ERR_REMOTE where it says no, or answers what is not MLflow's (HTML of a proxy, for example);
 * ERR_OUT_OF_MEMORY. The sentence names the server, without credentials, and MLflow's own words.
 */
struct mlflow;

enum {
	MLFLOW_ID_MAX = 128,          /* of an experiment, a run or a logged model, with its NUL */
	MLFLOW_NAME_MAX = 512,        /* of a registered model or an experiment */
	MLFLOW_URI_MAX = 2048,        /* of artifacts */
	MLFLOW_VERSION_MAX = 32,      /* of a server; of a registered model: digits */
	MLFLOW_METRICS_MAX = 900,     /* in one call: MLflow takes 1,000 entities in all … */
	MLFLOW_PAIRS_MAX = 100,       /* … of which 100 parameters and 100 tags */
	MLFLOW_VALUE_MAX = 6000,      /* characters of a parameter's value; more are cut */
	MLFLOW_TAG_MAX = 5000,        /* of a tag's */
	MLFLOW_KEY_MAX = 250,         /* of a key */
	MLFLOW_ANSWER_MAX = 16 << 20, /* bytes of an answer that is JSON */
	MLFLOW_FILES_MAX = 1000       /* of one folder of artifacts */
};

/* One measured value. `key` must be what MLflow takes: mlflow_key(). */
struct mlflow_metric {
	const char *key;
	double value;
	int64_t time_ms; /* since 1970 */
	long step;
};

struct mlflow_pair {
	const char *key;
	const char *value;
};

struct mlflow_run {
	char id[MLFLOW_ID_MAX];
	char artifacts[MLFLOW_URI_MAX]; /* where they are kept: "mlflow-artifacts:/1/…/artifacts" */
};

/* A logged model of a 3.x server. */
struct mlflow_model {
	char id[MLFLOW_ID_MAX]; /* "" where the server has no such thing */
	char artifacts[MLFLOW_URI_MAX];
};

struct mlflow_version {
	char name[MLFLOW_NAME_MAX];
	char version[MLFLOW_VERSION_MAX];
	char source[MLFLOW_URI_MAX];
	char run[MLFLOW_ID_MAX]; /* or "" */
};

struct mlflow_file {
	char path[256]; /* within the folder */
	size_t size;
	bool is_folder;
};

/* Of one folder. */
struct mlflow_files {
	struct mlflow_file *of; /* owned */
	size_t n;
};

/*
 * For the server at `uri`, as settings.h reads it and the environment. No call is made. `stop` may be NULL; it ends waiting as well as calls. Not for
 * two threads at once.
 */
enum err mlflow_open(const char *uri, web_stop *stop, void *context, struct mlflow **out, struct err_info *info);
void mlflow_free(struct mlflow *m);

/* Its URL, without credentials. */
const char *mlflow_url(const struct mlflow *m);

/* How long a call may go on trying where the server is away, from now on and all calls together; 0: each tries once. MLflow's own limit of retries for a call stays. */
void mlflow_patience(struct mlflow *m, double seconds);

/* Shortens how long a single call may take. */
void mlflow_hurry(struct mlflow *m, int timeout_s);

/* "3.17.2". */
enum err mlflow_server_version(struct mlflow *m, char out[MLFLOW_VERSION_MAX], struct err_info *info);

/* The experiment of that name, made where there is none. ERR_REMOTE where it is deleted. */
enum err mlflow_experiment(struct mlflow *m, const char *name, char id[MLFLOW_ID_MAX], struct err_info *info);

/* Starts a run. */
enum err mlflow_run_begin(struct mlflow *m, const char *experiment, const char *name, const struct mlflow_pair *tags, size_t n_tags,
						  struct mlflow_run *run, struct err_info *info);

/* Logs at most MLFLOW_METRICS_MAX metrics and MLFLOW_PAIRS_MAX of either pairs. The same metrics logged again are no others. */
enum err mlflow_log(struct mlflow *m, const char *run, const struct mlflow_metric *metrics, size_t n_metrics,
					const struct mlflow_pair *params, size_t n_params, const struct mlflow_pair *tags, size_t n_tags,
					struct err_info *info);

/* Ends it as "FINISHED" or "FAILED"; `name` is its new name, or NULL. */
enum err mlflow_run_end(struct mlflow *m, const char *run, const char *status, const char *name, struct err_info *info);

/* Starts a logged model of the run; a 2.x server has none, then `model` is empty. */
enum err mlflow_model_begin(struct mlflow *m, const char *experiment, const char *run, const char *name, struct mlflow_model *model,
							struct err_info *info);

/* Makes it ready and an output of the run, at that step. */
enum err mlflow_model_end(struct mlflow *m, const char *run, const struct mlflow_model *model, long step, struct err_info *info);

/* Tells a 2.x server that the run has a model: `json` is its description (MLmodel). */
enum err mlflow_model_note(struct mlflow *m, const char *run, const char *json, struct err_info *info);

/* Puts a file below `artifacts`, by the server's own proxy. ERR_REMOTE where it keeps artifacts elsewhere. */
enum err mlflow_upload(struct mlflow *m, const char *artifacts, const char *path, const void *bytes, size_t len,
					   struct err_info *info);

/* Makes the registered model where there is none, and a version of it from `source`; `model` may be "". `version` gets its number. */
enum err mlflow_register(struct mlflow *m, const char *name, const char *source, const char *run, const char *model,
						 char version[MLFLOW_VERSION_MAX], struct err_info *info);

enum err mlflow_alias(struct mlflow *m, const char *name, const char *alias, const char *version, struct err_info *info);

/* The version of a registered model that `alias` names, or with `alias` NULL the one of that number. */
enum err mlflow_find(struct mlflow *m, const char *name, const char *alias, const char *number, struct mlflow_version *v,
					 struct err_info *info);

/* Where the files of a version are. */
enum err mlflow_location(struct mlflow *m, const struct mlflow_version *v, char artifacts[MLFLOW_URI_MAX], struct err_info *info);

/* The files and folders right below `artifacts`/`folder`; `folder` may be "". */
enum err mlflow_list(struct mlflow *m, const char *artifacts, const char *folder, struct mlflow_files *files,
					 struct err_info *info);
void mlflow_files_release(struct mlflow_files *files);

/* The bytes of a file take the place of what is in `out`, whose maximum bounds them; `size` is what the list says. */
enum err mlflow_download(struct mlflow *m, const char *artifacts, const char *path, size_t size, struct buf *out,
						 struct err_info *info);

/* The run's last metrics and parameters, as MLflow's "data" object; the caller's, to be freed by cJSON_Delete(). */
enum err mlflow_run_data(struct mlflow *m, const char *run, struct cJSON **data, struct err_info *info);

/* Copies `name` as a key that MLflow takes: letters, digits and "_-./ "; "@" becomes "_at_" as with its own XGBoost logging, others "_". */
const char *mlflow_key(const char *name, char out[MLFLOW_KEY_MAX + 1]);

#endif
