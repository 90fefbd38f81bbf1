/* store.h - the folders of the model store */
#ifndef FUTAIE_STORE_H
#define FUTAIE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/manifest.h"

enum {
	STORE_MODELS_MAX = 1000,
	STORE_VERSIONS_MAX = 10000,     /* of one model */
	STORE_ALIASES_MAX = 100,        /* of one model */
	STORE_ALIASES_BYTES = 64 * 1024 /* most of aliases.json */
};

struct store_alias {
	char name[MANIFEST_NAME_MAX];
	char version[MANIFEST_VERSION_MAX];
};

/* One model: STORE/NAME with its VERSION folders and aliases.json, as they were when read. */
struct store_model {
	char name[MANIFEST_NAME_MAX];
	long *versions; /* owned; ascending */
	size_t n_versions;
	struct store_alias *aliases; /* owned; in the file's order */
	size_t n_aliases;
	char problem
		[ERR_TEXT_MAX]; /* why its folder or its aliases cannot be read, or ""; it has no aliases then, and no versions either where its folder cannot */
};

/* A snapshot of the store; nothing in it follows later changes. A zeroed struct is released. */
struct store {
	struct store_model *models; /* owned; by name */
	size_t n_models;
};

/*
 * Reads the folders below `dir` whose names are model names; others are passed over. A model that cannot be read, for a broken
 * aliases.json for example, has a problem and does not hinder the others. ERR_FILE where `dir` cannot be read. On failure `s` is released.
 */
enum err store_init(struct store *s, const char *dir, struct err_info *info);
void store_release(struct store *s);

/*
 * A number that changes when models, versions or aliases come, go or change: made of names and of the times, sizes and inodes of folders and
 * aliases.json files. It reads no file; 0 where `dir` cannot be read. While a change is only milliseconds old, another call gives another number,
 * since file systems do not tell times apart that are closer.
 */
uint64_t store_stamp(const char *dir);

/* Writes "STORE/NAME/VERSION" to `out`; false where it does not fit. */
bool store_version_folder(char *out, size_t cap, const char *store, const char *name, const char *version);

/* [A-Za-z0-9][A-Za-z0-9._-]{0,63} */
bool store_is_name(const char *text);

/* A positive integer without leading zeros. */
bool store_is_version(const char *text);

const struct store_model *store_find(const struct store *s, const char *name);

/* Version that an alias names, or NULL; borrowed. */
const char *store_alias(const struct store_model *m, const char *alias);

bool store_has_version(const struct store_model *m, const char *version);

#endif
