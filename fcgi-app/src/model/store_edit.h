/* store_edit.h - changes of the model store: one command at a time, and never half */
#ifndef FUTAIE_STORE_EDIT_H
#define FUTAIE_STORE_EDIT_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/files.h"
#include "model/manifest.h"
#include "model/store.h"

/*
 * How it stays whole: a change is made beside what is there (STORE/.futaie-new-…), forced to the disk, and takes its place by one rename(2). A reader
 * that comes at any moment, or after a loss of power, finds the store as it was or as it is to be. What a killed command left beside it
 * is removed by the next one. Changes wait for each other by flock(2) on the store's folder; readers take no lock.
 */
struct store_edit {
	char dir[PATH_MAX];
	int fd;                       /* of the folder, locked; -1 when released */
	char staging[PATH_MAX];       /* STORE/.futaie-new-…, or "" */
	char name[MANIFEST_NAME_MAX]; /* of the version that is being added */
	char version[MANIFEST_VERSION_MAX];
	bool is_new_model; /* its folder is to be added with it */
};

/*
 * Locks the store as files_lock() does. With `create` a store that does not exist is made. ERR_FILE; `edit` is then released.
 */
enum err store_edit_init(struct store_edit *edit, const char *dir, bool create, files_waiting *waiting, struct err_info *info);

/* Removes what was begun and not finished, and unlocks. */
void store_edit_release(struct store_edit *edit);

/*
 * Begins a new version of `name`, with the next number that was never used: makes a folder for its files and stores its path in `folder`.
 * It lies in a store of its own, STORE/.futaie-new-…, where it can be proven before it is added.
 */
enum err store_edit_begin(struct store_edit *edit, const char *name, char folder[PATH_MAX], struct err_info *info);

/* Adds the version that was begun, under its number; failures here and below as with files_replace(): the store is as before, or the sentence says not. */
enum err store_edit_add(struct store_edit *edit, struct err_info *info);

/* Replaces aliases.json of a model: `n` aliases. */
enum err store_edit_aliases(const struct store_edit *edit, const char *name, const struct store_alias *aliases, size_t n,
							struct err_info *info);

/* Removes a version; its number is not used again. */
enum err store_edit_remove(const struct store_edit *edit, const struct store_model *m, const char *version, struct err_info *info);

#endif
