/* model.h - one proven version of a model */
#ifndef FUTAIE_MODEL_H
#define FUTAIE_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/booster.h"
#include "model/features.h"
#include "model/forest.h"

enum { MODEL_FILE_MAX = 1024 * 1024 * 1024 /* most bytes of a model file */ };

/* How near a golden row's output must be to the recorded one: |a - b| <= MODEL_GOLDEN_TOLERANCE * max(1, |b|). */
#define MODEL_GOLDEN_TOLERANCE 1e-6F

/*
 * Immutable once opened; any number of threads may read it and predict with it. It owns everything that its functions lend.
 */
struct model;

/* Which code answers for a model. */
enum model_scorer {
	MODEL_XGBOOST, /* libxgboost: any model that it loads */
	MODEL_FOREST /* our own, without libxgboost: trees that a trial has shown to answer with the same bits, or to be too new for it (trial.h) */
};

/*
 * Opens STORE/NAME/VERSION and proves it: the manifest is whole, the model file has the recorded sha256, the scorer loads it, its features
 * are as many as the manifest names, and the golden rows give the recorded outputs. On failure there is no model, and the sentence
 * says which step failed. ERR_UNSUPPORTED_MODEL where the scorer cannot answer for it: libxgboost where it is too old.
 */
enum err model_open(const char *store, const char *name, const char *version, enum model_scorer scorer, struct model **out,
					struct err_info *info);
void model_free(struct model *m);

const char *model_name(const struct model *m);
const char *model_version(const struct model *m);
const char *model_sha256(const struct model *m);
const char *model_file(const struct model *m); /* "model.ubj" or "model.json" */
const char *model_created(const struct model *m);
const char *model_features_json(const struct model *m); /* a JSON array */
const char *model_metrics_json(const struct model *m);  /* a JSON object */
const struct features *model_features(const struct model *m);
const struct booster_shape *model_shape(const struct model *m);

/* The golden rows' inputs: model_golden_rows() x features, row-major, NaN for missing. */
size_t model_golden_rows(const struct model *m);
const float *model_golden_inputs(const struct model *m);

/* Its compiled trees, borrowed; NULL with MODEL_XGBOOST. */
const struct forest *model_forest(const struct model *m);

/* forest_use() on them: before any other thread has the model. */
void model_use(struct model *m, enum ranks_isa isa);

/* "xgboost" or "forest". */
const char *model_scorer_name(const struct model *m);

/* Why it is that one, a sentence; "" where there is nothing to say. Set before any other thread has the model, cut to fit. */
const char *model_scorer_reason(const struct model *m);
void model_set_scorer_reason(struct model *m, const char *reason);

/* Reports the splits of the trees to made-up rows: forest_splits(); nothing with MODEL_XGBOOST. */
void model_splits(const struct model *m, booster_split_fn *found, void *context);

/* Outputs a row. */
size_t model_outputs(const struct model *m, enum booster_output output);

/* booster_predict() on this model; `caller` is the thread's. */
enum err model_predict(const struct model *m, struct booster_caller *caller, enum booster_output output, const float *rows,
					   size_t n_rows, float *out, struct err_info *info);

/*
 * How much each feature adds to the margin: for each row and each of its margins as many floats as features, and behind them the base; see
 * forest_explain(). `scratch` is model_explain_scratch() bytes, aligned for float, of the caller's. Only where model_can_explain().
 */
bool model_can_explain(const struct model *m);
size_t model_explain_scratch(const struct model *m);
size_t model_explain_steps(const struct model *m); /* what it takes XGBoost, a row; 0 with MODEL_XGBOOST */
enum err model_explain(const struct model *m, const float *rows, size_t n_rows, void *scratch, float *out, struct err_info *info);

#endif
