/* describe.h - what a bare model file is */
#ifndef FUTAIE_DESCRIBE_H
#define FUTAIE_DESCRIBE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	DESCRIBE_ROWS = 16,                  /* made-up rows with the model's answers */
	DESCRIBE_JSON_MAX = 64 * 1024 * 1024 /* most bytes of a description */
};

enum describe_kind {
	DESCRIBE_UBJSON,
	DESCRIBE_JSON,
	DESCRIBE_PICKLE, /* Python's; never loaded: it can run any program */
	DESCRIBE_BINARY, /* XGBoost's old format, which 3.1 and later have no more */
	DESCRIBE_OTHER
};

/* By the first bytes: the content decides, not the name. */
enum describe_kind describe_kind(const char *bytes, size_t len);

/* The version of XGBoost that wrote the file, "1.7.4", as it says near its end; "0.0.0" where it does not. */
const char *describe_version(const char *bytes, size_t len, char out[16]);

/*
 * Loads the model file with libxgboost, or where that is too old for it as a forest, `path` and appends what it is to `json`: {"objective", "names": [...] or null, "types": [...] or null, "n_features",
 * "loads": whether libxgboost can, "golden": {"inputs": [[…]], "outputs": […]}}. The golden rows are made up, between the numbers at which the trees split, and so are their
 * outputs: they show that the model answers the same later, not that it answers right. XGBoost may crash on the file: see trial.h.
 */
enum err describe_file(const char *path, struct buf *json, struct err_info *info);

/*
 * Loads the model file in the same way and appends {"inputs": [[…]], "outputs": […]} to `json`: what it answers for the inputs in the file `rows`, {"inputs": [[…]]} with null
 * for missing values.
 */
enum err describe_rows(const char *path, const char *rows, struct buf *json, struct err_info *info);

/* What is in a model file of the old binary format, as UBJSON: booster_convert() of a file. */
enum err describe_convert(const char *path, struct buf *ubjson, struct err_info *info);

#endif
