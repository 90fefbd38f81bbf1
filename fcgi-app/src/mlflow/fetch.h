/* fetch.h - a version of a registered model of MLflow, downloaded */
#ifndef FUTAIE_FETCH_H
#define FUTAIE_FETCH_H

#include "base/buf.h"
#include "base/err.h"
#include "mlflow/mlmodel.h"
#include "mlflow/rest.h"

/* What was found; NULL for what the version does not have. A zeroed struct is released. */
struct fetch {
	char label[1024]; /* for sentences: "models:/house/3 (model.xgb)" */
	struct mlmodel mlmodel;
	struct buf bytes;       /* of the model file */
	struct cJSON *manifest; /* owned; futaie's own */
	struct cJSON *golden;   /* owned; golden.json beside the model */
	struct cJSON *example;  /* owned; the input example */
	struct cJSON *columns;  /* owned; names of the signature's inputs, where all have one */
	char *metrics;          /* owned; JSON object of numbers: the run's */
	char *parameters;       /* owned; JSON object of texts: the run's */
};

/*
 * Downloads the model file of a version and what tells about it. All sizes are bounded. ERR_REMOTE_AWAY and ERR_REMOTE as rest.h says;
 * ERR_BAD_MODEL for a model that is no XGBoost's or lies in a pickle, with what to do in Python. `f` is then released.
 */
enum err fetch_init(struct fetch *f, struct mlflow *m, const struct mlflow_version *v, struct err_info *info);
void fetch_release(struct fetch *f);

#endif
