/* manifest_write.h - manifest.json of a new version */
#ifndef FUTAIE_MANIFEST_WRITE_H
#define FUTAIE_MANIFEST_WRITE_H

#include <stddef.h>

#include "base/buf.h"
#include "model/distribution.h"
#include "model/golden.h"

/* What stands in it; docs/models.md tells the members. All borrowed. */
struct manifest_draft {
	const char *name;
	const char *version;
	const char *objective;
	const char *model_file;
	const char *sha256;
	const char *xgboost_version;
	size_t n_features;
	const char *const *names;
	const char *const *types;                 /* "float", "categorical", …; NULL: all "float" */
	const struct distribution *distributions; /* one a feature, or NULL */
	const char *target;                       /* name, or NULL for none */
	const struct distribution *target_values; /* with a target */
	const struct distribution *predictions;   /* or NULL */
	const char *metrics;                      /* JSON object */
	const char *parameters;                   /* JSON object, or NULL */
	const struct golden *golden;
	const char *data_sha256; /* or NULL */
	const char *command;
	const char *mlflow_run; /* id of the run that made it, or NULL */
	const char *mlflow;     /* JSON object: where in MLflow it was pulled from, or NULL */
};

/* Writes FOLDER/manifest.json, one golden row a line. ERR_FILE. */
enum err manifest_save(const struct manifest_draft *d, const char *folder, struct err_info *info);

#endif
