/* learner.h - XGBoost's C API: a model that learns */
#ifndef FUTAIE_LEARNER_H
#define FUTAIE_LEARNER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/features.h"

/* What the rows are for. */
enum learner_part { LEARNER_TRAIN, LEARNER_VALIDATION, LEARNER_TEST, LEARNER_PARTS };

enum { LEARNER_METRICS_MAX = 8, LEARNER_METRIC_NAME_MAX = 32 };

/* A value of each part under one metric; NaN for a part that has no rows. */
struct learner_metric {
	char name[LEARNER_METRIC_NAME_MAX]; /* XGBoost's: "rmse", "logloss", … */
	double value[LEARNER_PARTS];
};

struct learner_scores {
	size_t n;
	struct learner_metric metrics[LEARNER_METRICS_MAX];
};

/* A parameter of XGBoost, both as text. Borrowed. */
struct learner_parameter {
	const char *name;
	const char *value;
};

/* One part's rows; a part without rows has n 0. Borrowed during learner_open(). */
struct learner_rows {
	size_t n;
	const float *values; /* n x features, row-major, NaN for missing */
	const float *target; /* n */
};

/* Not for two threads at once. It uses as many threads as the parameter nthread says, or a processor each. */
struct learner;

/* `features` and `parameters` are borrowed for its life. Sets how many threads OpenMP gives the calling thread, where nthread says it. ERR_USAGE with XGBoost's sentence where it refuses a parameter; unknown ones it only warns of, on standard error. */
enum err learner_open(const struct features *features, const struct learner_rows parts[LEARNER_PARTS],
					  const struct learner_parameter *parameters, size_t n_parameters, struct learner **out, struct err_info *info);
void learner_free(struct learner *l);

/* One round of boosting, numbered from 0. */
enum err learner_update(struct learner *l, int round, struct err_info *info);

/*
 * The metrics after that round; the held-out part only where `with_test`, since it takes time. ERR_MODEL_FAILED where one is not finite.
 */
enum err learner_evaluate(struct learner *l, int round, bool with_test, struct learner_scores *scores, struct err_info *info);

/*
 * True where the model of an earlier round is a part of the later one, as with gbtree: dart weights earlier trees anew, and gblinear has none. Those
 * are kept round by round instead.
 */
bool learner_can_cut(const struct learner *l);

/* Keeps the first `rounds` rounds, where learner_can_cut(). */
enum err learner_cut(struct learner *l, int rounds, struct err_info *info);

/* Remembers the model as it is now, in place of what was remembered; learner_recall() makes it the model again. */
enum err learner_remember(struct learner *l, struct err_info *info);
enum err learner_recall(struct learner *l, struct err_info *info);

/* Appends the model file, UBJSON. */
enum err learner_save(struct learner *l, struct buf *out, struct err_info *info);

/* True for metrics of which more is better: auc, aucpr, map, ndcg, pre (XGBoost's EarlyStopping has the same list). */
bool learner_is_gain(const char *metric);

#endif
