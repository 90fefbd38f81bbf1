/* mlmodel_write.h - the files that make a folder an MLflow model, as MLflow's own XGBoost flavor writes them */
#ifndef FUTAIE_MLMODEL_WRITE_H
#define FUTAIE_MLMODEL_WRITE_H

#include <stddef.h>

#include "base/buf.h"

/*
 * Written for mlflow.xgboost.load_model() and mlflow.pyfunc.load_model() of MLflow 2 and 3. The signature's inputs are "double", since a user's DataFrame
 * mostly is and XGBoost rounds it to float32 itself; outputs are float32.
 */
struct mlmodel_draft {
	const char *artifact_path; /* "model", or a logged model's artifacts */
	const char *run;
	const char *model_id; /* of a 3.x server's logged model, or "" */
	const char *uuid;     /* 32 hexadecimal digits, where there is no model_id */
	const char *mlflow;   /* version that it is written for: the server's */
	const char *xgboost;  /* version that saved the file */
	const char *data;     /* the model file's name */
	size_t data_bytes;
	size_t n_features;
	const char *const *names;
	size_t n_outputs;     /* of a row */
	const float *example; /* n_example x n_features, NaN for missing */
	size_t n_example;
};

enum { MLMODEL_WRITE_MAX = 64 << 20 };

void mlmodel_write(const struct mlmodel_draft *d, struct buf *yaml);

/* The same in JSON, without the signature: what a 2.x server shows of a run's models. */
void mlmodel_write_note(const struct mlmodel_draft *d, struct buf *json);

void mlmodel_write_requirements(const struct mlmodel_draft *d, struct buf *text);
void mlmodel_write_conda(const struct mlmodel_draft *d, struct buf *yaml);
void mlmodel_write_python_env(struct buf *yaml);

/* The input example as pandas has it with orient "split"; with `serving` as /invocations takes it. */
void mlmodel_write_example(const struct mlmodel_draft *d, bool serving, struct buf *json);

#define MLMODEL_EXAMPLE         "input_example.json"
#define MLMODEL_SERVING_EXAMPLE "serving_input_example.json"

#endif
