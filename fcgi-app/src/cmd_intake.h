/* cmd_intake.h - what futaie models import and pull share: a model file from elsewhere becomes a new version */
#ifndef FUTAIE_CMD_INTAKE_H
#define FUTAIE_CMD_INTAKE_H

#include "base/buf.h"
#include "base/files.h"
#include "cmd_models.h"
#include "model/golden.h"

struct cJSON;

/* A zeroed struct is released. */
struct intake {
	/* the caller's, borrowed; NULL for what there is not */
	const struct models_options *options; /* models, feature_names, golden, unproven */
	const char *name;                     /* in the store */
	const char *file;                     /* for sentences */
	const struct cJSON *columns;          /* names of the features, for a file that has none */
	const struct cJSON *recorded;         /* golden rows that came with the model */
	const struct cJSON *example;          /* rows that came with it, without answers */
	struct cJSON *manifest;               /* that came with it: taken as it is but for name, version and source; is changed */
	const char *metrics;                  /* JSON objects */
	const char *parameters;
	const char *command;
	const char *mlflow_run;
	const char *mlflow; /* JSON object: where in MLflow it is from */
	bool converts;      /* take the old binary format, too, by a trial that makes it UBJSON */
	struct buf bytes;   /* the model file; intake_release() frees it */
	/* what is found out */
	const char *model_file; /* its name in the store */
	char sha256[FILES_SHA256_HEX];
	char xgboost_version[16];  /* that wrote it */
	struct cJSON *description; /* owned; of describe_file() */
	size_t n_features;
	char *given_names;  /* owned; --feature-names, cut at the commas */
	char *made_names;   /* owned; f0, f1, … */
	const char **names; /* owned; n_features */
	const char **types; /* owned; n_features */
	struct golden golden;
};

void intake_init(struct intake *in, const struct models_options *o);
void intake_release(struct intake *in);

/* Says what is wrong with the name. */
enum err intake_check(const struct intake *in, struct err_info *info);

/* What the bytes are: UBJSON or JSON, or why they are not taken. */
enum err intake_judge(struct intake *in, struct err_info *info);

/* Adds them to the locked store as the next version, whose number is then in `edit`; the proof is the trial's. */
enum err intake_add(struct intake *in, struct store_edit *edit, struct err_info *info);

#endif
