/* manifest.h - manifest.json: what a model version is, and how it is proven */
#ifndef FUTAIE_MANIFEST_H
#define FUTAIE_MANIFEST_H

#include <stddef.h>

#include "base/err.h"
#include "base/files.h"
#include "model/booster.h"
#include "model/features.h"
#include "model/golden.h"

enum {
	MANIFEST_NAME_MAX = 65,              /* a model's or alias's name, with its NUL */
	MANIFEST_VERSION_MAX = 16,           /* digits of a version, with the NUL */
	MANIFEST_FILE_MAX = 16 * 1024 * 1024 /* most bytes of manifest.json */
};

/* Owned by its model; immutable once opened. A zeroed struct is released. */
struct manifest {
	char name[MANIFEST_NAME_MAX];
	char version[MANIFEST_VERSION_MAX];
	char created[40]; /* RFC 3339 */
	char objective[BOOSTER_OBJECTIVE_MAX];
	char model_file[16]; /* "model.ubj" or "model.json" */
	char sha256[FILES_SHA256_HEX];
	char xgboost_version[16]; /* that saved the model file, "1.7.4" */
	struct features features;
	char *features_json; /* owned; the arrays and objects of the file, for /models/NAME */
	char *metrics_json;
	struct golden golden;
};

/*
 * Reads DIR/manifest.json and checks that it is whole and is of this model and version. ERR_FILE, ERR_BAD_JSON, ERR_REPEATED_FIELD or
 * ERR_BAD_MANIFEST with a sentence that names the file and the member; `m` is then released.
 */
enum err manifest_init(struct manifest *m, const char *dir, const char *name, const char *version, struct err_info *info);
void manifest_release(struct manifest *m);

#endif
