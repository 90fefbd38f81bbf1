/* mlmodel.h - MLflow's description of a model, the file MLmodel: read */
#ifndef FUTAIE_MLMODEL_H
#define FUTAIE_MLMODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { MLMODEL_FILE_MAX = 4 << 20, MLMODEL_PATH_MAX = 256, MLMODEL_TEXT_MAX = 128 };

/* What of it we need; "" or NULL for what it does not have. A zeroed struct is released. */
struct mlmodel {
	char flavors[MLMODEL_PATH_MAX]; /* their names, "python_function, xgboost", cut to fit */
	bool has_xgboost;
	char data[MLMODEL_PATH_MAX];        /* flavor xgboost: the model file, within the model's folder */
	char model_class[MLMODEL_TEXT_MAX]; /* "xgboost.core.Booster", "xgboost.sklearn.XGBClassifier" */
	char xgb_version[MLMODEL_TEXT_MAX];
	char pickled[MLMODEL_PATH_MAX]; /* flavor sklearn: its pickle */
	char mlflow_version[MLMODEL_TEXT_MAX];
	char run[MLMODEL_TEXT_MAX];
	char example[MLMODEL_PATH_MAX]; /* the input example's file */
	char example_orient[MLMODEL_TEXT_MAX];
	char *inputs; /* owned; the signature's inputs, as JSON */
};

/*
 * Reads the bytes of an MLmodel: YAML 1.1, by libyaml (the only includer of <yaml.h>). Only mappings of plain values are looked at; anchors, aliases,
 * several documents, and more than so many bytes, levels or entries are refused. A path that leads out of the model's folder is, too. ERR_REMOTE with a
 * sentence that names `name`; `m` is then released.
 */
enum err mlmodel_init(struct mlmodel *m, const char *name, const char *bytes, size_t len, struct err_info *info);
void mlmodel_release(struct mlmodel *m);

/* True for a path that stays within its folder: relative, no "..", no backslash or control character. */
bool mlmodel_is_path(const char *path);

#endif
