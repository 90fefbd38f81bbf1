/* booster.h - XGBoost's C API: one loaded model */
#ifndef FUTAIE_BOOSTER_H
#define FUTAIE_BOOSTER_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* What of a model's answer is wanted. */
enum booster_output {
	BOOSTER_VALUE, /* after the objective's transform: a probability, a class, a count, … */
	BOOSTER_MARGIN /* the raw sum of the trees and the base score */
};

enum {
	BOOSTER_OBJECTIVE_MAX = 64,
	BOOSTER_KIND_MAX = 16,
	BOOSTER_FEATURES_MAX = 65536, /* most features of a model */
	BOOSTER_CHUNK_ROWS = 4096     /* rows in one call of the C API: bounds what XGBoost keeps per thread */
};

struct booster;

/*
 * What a thread keeps to ask boosters with: XGBoost's proxy for rows in the caller's memory. Without one, each call of the C API makes its own,
 * which reads two files of /sys/fs/cgroup and takes 15 of 26 microseconds (libxgboost 1.7.4, 125 trees, one row). A zeroed
 * struct is released; given to booster_predict(), it makes the plain call, as other programs do it.
 */
struct booster_caller {
	void *proxy; /* owned DMatrixHandle */
};

/* By the thread that will use it. */
enum err booster_caller_init(struct booster_caller *c, struct err_info *info);
void booster_caller_release(struct booster_caller *c);

struct booster_shape {
	size_t n_features;
	size_t n_values;                       /* outputs a row for BOOSTER_VALUE */
	size_t n_margins;                      /* outputs a row for BOOSTER_MARGIN */
	char objective[BOOSTER_OBJECTIVE_MAX]; /* XGBoost's name, "reg:squarederror" */
	char kind[BOOSTER_KIND_MAX];           /* "gbtree", "dart" or "gblinear" */
};

/*
 * Loads a model from the bytes of its file, JSON or UBJSON; the bytes may be freed afterwards. ERR_BAD_MODEL with XGBoost's own
 * sentence where it refuses them. XGBoost's loader can crash on damaged bytes: check their sha256 first.
 * The booster uses one thread, whoever calls it.
 */
enum err booster_open(const void *bytes, size_t len, struct booster **out, struct err_info *info);
void booster_free(struct booster *b);

/* Borrowed; valid until booster_free(). */
const struct booster_shape *booster_shape(const struct booster *b);

/*
 * The feature names that the model file holds, n_features of them, or NULL where it holds none. Borrowed, and valid until the thread's next
 * call of XGBoost. Only while no other thread uses the booster.
 */
const char *const *booster_feature_names(const struct booster *b);

/* The same for the features' types: "float", "int", "i", "q", or "c" for a categorical one. */
const char *const *booster_feature_types(const struct booster *b);

/* What booster_splits() reports: a tree compares the column with `value`, or has this category of it in a set. */
typedef void booster_split_fn(void *context, size_t column, float value);

/* Reports every split of a model's trees; gblinear has none. Only while no other thread uses the booster. */
enum err booster_splits(const struct booster *b, booster_split_fn *found, void *context, struct err_info *info);

/*
 * Reports how much the splits by a feature made the loss smaller, on average ("gain"); features without a split are left out, and gblinear has none: ERR_UNSUPPORTED_MODEL. Only
 * while no other thread uses the booster.
 */
typedef void booster_gain_fn(void *context, const char *name, float gain);
enum err booster_gains(const struct booster *b, booster_gain_fn *found, void *context, struct err_info *info);

/*
 * Appends what is in a model file of any format that this XGBoost loads, the old binary one among them, as UBJSON. Nothing checks the old one before
 * XGBoost reads it: only for a child with limits (trial.h).
 */
enum err booster_convert(const void *bytes, size_t len, struct buf *ubjson, struct err_info *info);

/* Sets `info` to `what` and XGBoost's last error, without its time stamp, source position and stack trace; returns `code`. */
enum err booster_failed(struct err_info *info, enum err code, const char *what);

/* Outputs a row: n_values or n_margins of the shape. */
size_t booster_outputs(const struct booster *b, enum booster_output output);

/*
 * Predicts `n_rows` rows, row-major with shape->n_features float32 each, NaN meaning missing, into `out` (n_rows * booster_outputs()
 * floats), with the bits of Python's Booster.predict(). Any number of threads may call it at once, after one first call
 * that has returned (it sets up what is lazy in XGBoost), each with a caller of its own. ERR_MODEL_FAILED where XGBoost fails, out of
 * memory for example.
 */
enum err booster_predict(const struct booster *b, struct booster_caller *caller, enum booster_output output, const float *rows,
						 size_t n_rows, float *out, struct err_info *info);

/*
 * The exact contributions of each feature to the margin, as Booster.predict(pred_contribs=True): for each row and each of its n_margins n_features
 * floats, and behind them the base. Otherwise as booster_predict().
 */
enum err booster_explain(const struct booster *b, const float *rows, size_t n_rows, float *out, struct err_info *info);

/* "1.7.4": the version of the library that is linked. */
const char *booster_library_version(char out[16]);

#endif
