/* versions.h - what may be done with the versions of a model: add, promote, roll back, alias, remove */
#ifndef FUTAIE_VERSIONS_H
#define FUTAIE_VERSIONS_H

#include "base/err.h"
#include "model/store_edit.h"

/*
 * All of them want a locked store, prove a version by a trial with `program` (see trial.h) before it may serve, and on failure leave the store
 * as it was, with a sentence that says what there is instead.
 */

#define VERSIONS_CHAMPION "champion"
#define VERSIONS_PREVIOUS "previous" /* the champion from before the last promotion */

/* Proves the version that store_edit_begin() began, records that, and adds it. */
enum err versions_add(struct store_edit *edit, const char *program, struct err_info *info);

/*
 * Makes `version` the champion, and what was champion before the previous one; `before` gets that version, or "" for none. Where it is the champion
 * already, nothing changes and `before` is `version`.
 */
enum err versions_promote(struct store_edit *edit, const char *program, const char *name, const char *version,
						  char before[MANIFEST_VERSION_MAX], struct err_info *info);

/* Makes the previous version the champion again; `from` and `to` get the versions. There is no previous one afterwards. */
enum err versions_rollback(struct store_edit *edit, const char *program, const char *name, char from[MANIFEST_VERSION_MAX],
						   char to[MANIFEST_VERSION_MAX], struct err_info *info);

/* Sets any alias but those two; with `version` NULL it is dropped. */
enum err versions_alias(struct store_edit *edit, const char *name, const char *alias, const char *version, struct err_info *info);

/* Removes a version that no alias names. */
enum err versions_remove(struct store_edit *edit, const char *name, const char *version, struct err_info *info);

/* The model `name` of a store that was read, where it can be read; else ERR_FILE with a sentence. */
enum err versions_find(const struct store *store, const char *dir, const char *name, const struct store_model **m,
					   struct err_info *info);

/* The same for one version of it: "there is no version 7 of …; there are 1, 2, 3". */
enum err versions_check(const struct store_model *m, const char *version, struct err_info *info);

#endif
