/* spec.h - NAME, NAME@ALIAS or NAME/VERSION: which version of a store is meant */
#ifndef FUTAIE_SPEC_H
#define FUTAIE_SPEC_H

#include "base/err.h"
#include "model/manifest.h"

/* One version, by name and number. */
struct spec {
	char name[MANIFEST_NAME_MAX];
	char version[MANIFEST_VERSION_MAX];
};

/*
 * Finds what `text` means in the store as it is now; NAME alone is NAME@champion. ERR_USAGE where it is none of the three forms;
 * ERR_UNKNOWN_MODEL, ERR_UNKNOWN_VERSION or ERR_NO_CHAMPION, with a sentence that says what there is; ERR_FILE where the store or the
 * model's part of it cannot be read.
 */
enum err spec_resolve(struct spec *s, const char *store, const char *text, struct err_info *info);

#endif
