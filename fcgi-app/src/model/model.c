/* model.c - one proven version of a model */
#include "model/model.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/files.h"
#include "model/forest.h"
#include "model/manifest.h"
#include "model/store.h"
#include "model/treefile.h"

enum { REASON_MAX = 256 };

struct model {
	struct manifest manifest;
	struct booster *booster; /* owned; NULL where the forest answers */
	struct forest *forest;   /* owned; NULL where libxgboost answers */
	char scorer_reason[REASON_MAX];
};

static enum err load_file(struct model *m, const char *dir, enum model_scorer scorer, struct err_info *info);
static enum err prove(const struct model *m, struct err_info *info);

/* A library does not always say that a file is too new for it. */
static enum err
explain_age(const struct model *m, enum err e, struct err_info *info)
{
	char library[16];
	struct err_info why = *info;

	if (e == ERR_UNSUPPORTED_MODEL || strverscmp(m->manifest.xgboost_version, booster_library_version(library)) <= 0)
		return e;
	return err_set(info, e, "it was saved by XGBoost %s, which is newer than the %s here: %s", m->manifest.xgboost_version, library,
				   why.text);
}

/* Reads and proves the version in `dir` into the zeroed `m`; sentences lack the version's name. */
static enum err
model_load(struct model *m, const char *dir, const char *name, const char *version, enum model_scorer scorer, struct err_info *info)
{
	enum err e = manifest_init(&m->manifest, dir, name, version, info);

	if (e != ERR_OK)
		return e;
	e = load_file(m, dir, scorer, info);
	if (e == ERR_OK)
		e = prove(m, info);
	return e != ERR_OK && e != ERR_FILE && e != ERR_SHA256_MISMATCH && scorer == MODEL_XGBOOST ? explain_age(m, e, info) : e;
}

enum err
model_open(const char *store, const char *name, const char *version, enum model_scorer scorer, struct model **out,
		   struct err_info *info)
{
	char dir[PATH_MAX];
	struct err_info inner;
	struct model *m = calloc(1, sizeof *m);
	enum err e;

	*out = NULL;
	if (m == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for model %s version %s", name, version);
	if (!store_version_folder(dir, sizeof dir, store, name, version))
		e = err_set(&inner, ERR_FILE, "the path is too long");
	else
		e = model_load(m, dir, name, version, scorer, &inner);
	if (e != ERR_OK) {
		model_free(m);
		return err_set(info, e, "model %s version %s cannot be served: %s", name, version, inner.text);
	}
	*out = m;
	return ERR_OK;
}

void
model_free(struct model *m)
{
	if (m == NULL)
		return;
	booster_free(m->booster);
	forest_free(m->forest);
	manifest_release(&m->manifest);
	free(m);
}

const char *
model_name(const struct model *m)
{
	return m->manifest.name;
}

const char *
model_version(const struct model *m)
{
	return m->manifest.version;
}

const char *
model_sha256(const struct model *m)
{
	return m->manifest.sha256;
}

const char *
model_file(const struct model *m)
{
	return m->manifest.model_file;
}

const char *
model_created(const struct model *m)
{
	return m->manifest.created;
}

const char *
model_features_json(const struct model *m)
{
	return m->manifest.features_json;
}

const char *
model_metrics_json(const struct model *m)
{
	return m->manifest.metrics_json;
}

const struct features *
model_features(const struct model *m)
{
	return &m->manifest.features;
}

const struct booster_shape *
model_shape(const struct model *m)
{
	return m->forest != NULL ? forest_shape(m->forest) : booster_shape(m->booster);
}

size_t
model_golden_rows(const struct model *m)
{
	return m->manifest.golden.n;
}

const float *
model_golden_inputs(const struct model *m)
{
	return m->manifest.golden.in;
}

const struct forest *
model_forest(const struct model *m)
{
	return m->forest;
}

void
model_use(struct model *m, enum ranks_isa isa)
{
	if (m->forest != NULL)
		forest_use(m->forest, isa);
}

const char *
model_scorer_name(const struct model *m)
{
	return m->forest != NULL ? "forest" : "xgboost";
}

const char *
model_scorer_reason(const struct model *m)
{
	return m->scorer_reason;
}

void
model_set_scorer_reason(struct model *m, const char *reason)
{
	(void)snprintf(m->scorer_reason, sizeof m->scorer_reason, "%s", reason);
}

void
model_splits(const struct model *m, booster_split_fn *found, void *context)
{
	if (m->forest != NULL)
		forest_splits(m->forest, found, context);
}

size_t
model_outputs(const struct model *m, enum booster_output output)
{
	const struct booster_shape *shape = model_shape(m);

	return output == BOOSTER_MARGIN ? shape->n_margins : shape->n_values;
}

enum err
model_predict(const struct model *m, struct booster_caller *caller, enum booster_output output, const float *rows, size_t n_rows,
			  float *out, struct err_info *info)
{
	if (m->forest == NULL)
		return booster_predict(m->booster, caller, output, rows, n_rows, out, info);
	forest_predict(m->forest, output, rows, n_rows, out);
	return ERR_OK;
}

bool
model_can_explain(const struct model *m)
{
	return m->forest == NULL || forest_can_explain(m->forest);
}

size_t
model_explain_scratch(const struct model *m)
{
	return m->forest != NULL ? forest_explain_scratch(m->forest) : 0;
}

size_t
model_explain_steps(const struct model *m)
{
	return m->forest != NULL ? forest_explain_steps(m->forest) : 0;
}

enum err
model_explain(const struct model *m, const float *rows, size_t n_rows, void *scratch, float *out, struct err_info *info)
{
	if (m->forest == NULL)
		return booster_explain(m->booster, rows, n_rows, out, info);
	forest_explain(m->forest, rows, n_rows, scratch, out);
	return ERR_OK;
}

/* The model file's bytes: hashed first, since XGBoost's loader must not see damaged ones. */
static enum err
load_file(struct model *m, const char *dir, enum model_scorer scorer, struct err_info *info)
{
	char path[PATH_MAX];
	char sha256[FILES_SHA256_HEX];
	char library[16];
	struct buf bytes;

	if (!files_join(path, sizeof path, dir, m->manifest.model_file))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", dir);
	buf_init(&bytes, MODEL_FILE_MAX);
	enum err e = files_read(path, &bytes, info);
	if (e == ERR_OK) {
		files_sha256(bytes.data, bytes.len, sha256);
		if (strcmp(sha256, m->manifest.sha256) != 0)
			e = err_set(info, ERR_SHA256_MISMATCH, "%s: the sha256 is %s, but the manifest says %s: the file was changed or cut",
						path, sha256, m->manifest.sha256);
		else if (scorer == MODEL_FOREST)
			e = forest_open_last(&bytes, &m->forest, info);
		else if ((e = treefile_check(bytes.data, bytes.len, booster_library_version(library), info)) == ERR_OK)
			e = booster_open(bytes.data, bytes.len, &m->booster, info);
	}
	buf_release(&bytes);
	return e;
}

/* Golden rows are arrays, so they cannot tell names that were written in another order than the model's. */
static enum err
check_names(const struct model *m, struct err_info *info)
{
	const struct features *f = &m->manifest.features;
	const char *const *names = m->booster != NULL ? booster_feature_names(m->booster) : forest_feature_names(m->forest);

	for (size_t i = 0; names != NULL && i < f->n; i++)
		if (strcmp(names[i], f->names[i]) != 0)
			return err_set(info, ERR_BAD_MANIFEST, "\"features\"[%zu] is \"%.64s\", but the model file names it \"%.64s\"", i,
						   f->names[i], names[i]);
	return ERR_OK;
}

static enum err
check_shape(const struct model *m, struct err_info *info)
{
	const struct manifest *manifest = &m->manifest;
	const struct booster_shape *shape = model_shape(m);

	if (shape->n_features != manifest->features.n)
		return err_set(info, ERR_BAD_MANIFEST, "the manifest names %zu features, the model file has %zu", manifest->features.n,
					   shape->n_features);
	if (strcmp(shape->objective, manifest->objective) != 0)
		return err_set(info, ERR_BAD_MANIFEST, "the manifest's objective is %s, the model file's %s", manifest->objective,
					   shape->objective);
	if (shape->n_values != manifest->golden.n_outputs)
		return err_set(info, ERR_BAD_MANIFEST, "the golden rows have %zu outputs each, the model gives %zu",
					   manifest->golden.n_outputs, shape->n_values);
	return ERR_OK;
}

/* Equal within the tolerance; what is not finite was recorded as null. */
static bool
golden_equal(float got, float recorded)
{
	if (!isfinite(got) || !isfinite(recorded))
		return !isfinite(got) && !isfinite(recorded);
	return fabsf(got - recorded) <= MODEL_GOLDEN_TOLERANCE * fmaxf(1.0F, fabsf(recorded));
}

static enum err
prove(const struct model *m, struct err_info *info)
{
	const struct manifest *manifest = &m->manifest;
	size_t n = manifest->golden.n * manifest->golden.n_outputs;
	struct booster_caller caller;
	enum err e = check_shape(m, info);

	if (e == ERR_OK)
		e = check_names(m, info);
	if (e == ERR_OK)
		e = booster_caller_init(&caller, info);
	if (e != ERR_OK)
		return e;
	float *got = malloc(n * sizeof *got);
	if (got == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the golden rows");
	else
		e = model_predict(m, &caller, BOOSTER_VALUE, manifest->golden.in, manifest->golden.n, got, info);
	booster_caller_release(&caller);
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		if (!golden_equal(got[i], manifest->golden.out[i]))
			e = err_set(info, ERR_GOLDEN_MISMATCH, "golden row %zu gives %.9g, recorded is %.9g", i / manifest->golden.n_outputs,
						(double)got[i], (double)manifest->golden.out[i]);
	free(got);
	return e;
}
