/* cmd_models.h - what the actions of futaie models share */
#ifndef FUTAIE_CMD_MODELS_H
#define FUTAIE_CMD_MODELS_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"
#include "model/manifest.h"
#include "model/store_edit.h"

struct models_options {
	char models[PATH_MAX];
	char feature_names[256 * 1024];
	char golden[PATH_MAX];
	char as[MANIFEST_NAME_MAX];
	char mlflow[1024];
	long long watch;
	bool json;
	bool promote;
	bool unproven;
	bool drop;
};

/* Locks the store of a command that changes it, and says so where that must wait. */
enum err models_lock(struct store_edit *edit, const char *dir, bool create, struct err_info *info);

/* Promotes and says what was and is the champion. */
enum err models_promote(struct store_edit *edit, const char *name, const char *version, struct err_info *info);

/* futaie models import NAME FILE */
enum err models_import(const struct models_options *o, char **operands, struct err_info *info);

/* futaie models pull models:/NAME@ALIAS|models:/NAME/VERSION */
enum err models_pull(const struct models_options *o, char **operands, struct err_info *info);

#endif
