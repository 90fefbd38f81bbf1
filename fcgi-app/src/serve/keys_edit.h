/* keys_edit.h - changes of the keys file: one command at a time, and never half */
#ifndef FUTAIE_KEYS_EDIT_H
#define FUTAIE_KEYS_EDIT_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/files.h"
#include "serve/keys.h"

/* The folder is locked (files_lock()) while a change is made. Readers take no lock; they find the old file or the new one. */
struct keys_edit {
	char dir[PATH_MAX];
	char name[NAME_MAX + 1];
	int fd; /* of the folder, locked; -1 when released */
	struct keys keys;
};

/*
 * Locks the folder and reads the file, following links; with `create` one that is not there is as one without keys. ERR_FILE; `edit` is then
 * released.
 */
enum err keys_edit_init(struct keys_edit *edit, const char *path, bool create, files_waiting *waiting, struct err_info *info);
void keys_edit_release(struct keys_edit *edit);

/*
 * Adds a key as `wanted` says, but for id and hash, which are made here and stored in `wanted`. Its text goes with a NUL to `text`: the only time that it
 * exists outside of its holder; wipe it (sodium_memzero()). Nothing is saved yet. ERR_FILE where the file is full, ERR_OUT_OF_MEMORY.
 */
enum err keys_edit_add(struct keys_edit *edit, struct key *wanted, char text[KEYS_TEXT_CHARS + 1], struct err_info *info);

/* Removes the key with that id; false where there is none. */
bool keys_edit_remove(struct keys_edit *edit, const char *id);

/* Writes the file; failures as with files_replace_secret(). */
enum err keys_edit_save(const struct keys_edit *edit, struct err_info *info);

#endif
