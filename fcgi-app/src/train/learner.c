/* learner.c - XGBoost's C API: a model that learns */
#include "train/learner.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "model/booster.h"
#include "model/model.h"

enum { THREADS_MAX = 1024 };

/* OpenMP 3.0, section 3.2.1; gcc's <omp.h> has it, clang's is another package. */
void omp_set_num_threads(int n);

struct learner {
	const struct features *features; /* borrowed */
	const struct learner_parameter *parameters;
	size_t n_parameters;
	BoosterHandle handle;                  /* owned */
	DMatrixHandle matrices[LEARNER_PARTS]; /* owned; NULL for a part without rows */
	struct buf remembered;                 /* a model file */
};

static const char *const part_names[LEARNER_PARTS] = {"train", "validation", "test"};

/* A matrix of one part's rows; XGBoost copies them. */
static enum err
open_matrix(const struct features *f, const struct learner_rows *rows, DMatrixHandle *out, struct err_info *info)
{
	char interface[160];

	(void)snprintf(interface, sizeof interface, "{\"data\":[%ju,true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\",\"version\":3}",
				   (uintmax_t)(uintptr_t)rows->values, rows->n, f->n);
	if (XGDMatrixCreateFromDense(interface, "{\"missing\":NaN,\"nthread\":0}", out) != 0 ||
		XGDMatrixSetFloatInfo(*out, "label", rows->target, rows->n) != 0 ||
		XGDMatrixSetStrFeatureInfo(*out, "feature_name", (const char **)f->names, f->n) != 0)
		return booster_failed(info, ERR_BAD_MODEL, "XGBoost does not take the rows");
	return ERR_OK;
}

/* A model as the parameters say, with what was remembered where there is something. */
static enum err
open_booster(const struct learner *l, BoosterHandle *out, struct err_info *info)
{
	DMatrixHandle cached[LEARNER_PARTS]; /* so that predictions for the metrics go on from round to round */
	bst_ulong n_cached = 0;
	const struct features *f = l->features;

	for (size_t i = 0; i <= LEARNER_VALIDATION; i++)
		if (l->matrices[i] != NULL)
			cached[n_cached++] = l->matrices[i];
	if (XGBoosterCreate(cached, n_cached, out) != 0 || XGBoosterSetParam(*out, "validate_parameters", "true") != 0)
		return booster_failed(info, ERR_BAD_MODEL, "XGBoost cannot start");
	if (l->remembered.len > 0 && XGBoosterLoadModelFromBuffer(*out, l->remembered.data, l->remembered.len) != 0)
		return booster_failed(info, ERR_BAD_MODEL, "XGBoost cannot load the model of the best round");
	for (size_t i = 0; i < l->n_parameters; i++)
		if (XGBoosterSetParam(*out, l->parameters[i].name, l->parameters[i].value) != 0)
			return booster_failed(info, ERR_USAGE, l->parameters[i].name);
	if (XGBoosterSetStrFeatureInfo(*out, "feature_name", (const char **)f->names, f->n) != 0)
		return booster_failed(info, ERR_BAD_MODEL, "XGBoost does not take the features' names");
	return ERR_OK;
}

/* XGBoost has parallel regions that do not heed its parameter; a second thread that is woken for them in each round takes time from the first. */
static void
limit_threads(const struct learner *l)
{
	for (size_t i = 0; i < l->n_parameters; i++) {
		if (strcmp(l->parameters[i].name, "nthread") != 0)
			continue;
		long n = strtol(l->parameters[i].value, NULL, 10);
		if (n > 0 && n <= THREADS_MAX)
			omp_set_num_threads((int)n);
	}
}

enum err
learner_open(const struct features *features, const struct learner_rows parts[LEARNER_PARTS],
			 const struct learner_parameter *parameters, size_t n_parameters, struct learner **out, struct err_info *info)
{
	struct learner *l = calloc(1, sizeof *l);
	enum err e = ERR_OK;

	*out = NULL;
	if (l == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory to learn with");
	l->features = features;
	l->parameters = parameters;
	l->n_parameters = n_parameters;
	buf_init(&l->remembered, MODEL_FILE_MAX);
	limit_threads(l);
	for (size_t i = 0; i < LEARNER_PARTS && e == ERR_OK; i++)
		if (parts[i].n > 0)
			e = open_matrix(features, &parts[i], &l->matrices[i], info);
	if (e == ERR_OK)
		e = open_booster(l, &l->handle, info);
	if (e != ERR_OK) {
		learner_free(l);
		return e;
	}
	*out = l;
	return ERR_OK;
}

void
learner_free(struct learner *l)
{
	if (l == NULL)
		return;
	if (l->handle != NULL)
		(void)XGBoosterFree(l->handle);
	for (size_t i = 0; i < LEARNER_PARTS; i++)
		if (l->matrices[i] != NULL)
			(void)XGDMatrixFree(l->matrices[i]);
	buf_release(&l->remembered);
	free(l);
}

enum err
learner_update(struct learner *l, int round, struct err_info *info)
{
	if (XGBoosterUpdateOneIter(l->handle, round, l->matrices[LEARNER_TRAIN]) != 0)
		return booster_failed(info, ERR_MODEL_FAILED, "XGBoost cannot train with these parameters and rows");
	return ERR_OK;
}

/* The metric of that name, which is added where it is new; NULL where there are too many. */
static struct learner_metric *
find_metric(struct learner_scores *scores, const char *name, size_t len)
{
	for (size_t i = 0; i < scores->n; i++)
		if (strlen(scores->metrics[i].name) == len && memcmp(scores->metrics[i].name, name, len) == 0)
			return &scores->metrics[i];
	if (scores->n == LEARNER_METRICS_MAX || len >= LEARNER_METRIC_NAME_MAX)
		return NULL;
	struct learner_metric *m = &scores->metrics[scores->n++];
	memcpy(m->name, name, len);
	m->name[len] = '\0';
	for (size_t i = 0; i < LEARNER_PARTS; i++)
		m->value[i] = (double)NAN;
	return m;
}

/* XGBoost's line: "[12]\ttrain-rmse:0.51\tvalidation-rmse:0.53". A metric's name may hold a '-' or an '@'. */
static void
read_scores(const char *line, struct learner_scores *scores)
{
	for (const char *p = strchr(line, '\t'); p != NULL; p = strchr(p, '\t')) {
		p++;
		size_t len = strcspn(p, "\t");
		const char *dash = memchr(p, '-', len);
		const char *colon = dash;
		for (const char *q = dash; q != NULL && q < p + len; q++)
			if (*q == ':')
				colon = q;
		if (dash == NULL || colon == dash)
			continue;
		for (size_t i = 0; i < LEARNER_PARTS; i++) {
			if (strlen(part_names[i]) != (size_t)(dash - p) || memcmp(part_names[i], p, (size_t)(dash - p)) != 0)
				continue;
			struct learner_metric *m = find_metric(scores, dash + 1, (size_t)(colon - dash - 1));
			if (m != NULL)
				m->value[i] = strtod(colon + 1, NULL);
		}
	}
}

/* A model that has diverged must not pass for one that has no such part. */
static enum err
check_scores(const struct learner *l, int round, bool with_test, const struct learner_scores *scores, struct err_info *info)
{
	for (size_t i = 0; i < scores->n; i++)
		for (size_t part = 0; part < LEARNER_PARTS; part++) {
			const struct learner_metric *m = &scores->metrics[i];
			if (l->matrices[part] == NULL || (part == LEARNER_TEST && !with_test) || isfinite(m->value[part]))
				continue;
			return err_set(info, ERR_MODEL_FAILED, "%s of the %s part is %g in round %d: the parameters do not suit the target",
						   m->name, part_names[part], m->value[part], round + 1);
		}
	return ERR_OK;
}

enum err
learner_evaluate(struct learner *l, int round, bool with_test, struct learner_scores *scores, struct err_info *info)
{
	DMatrixHandle matrices[LEARNER_PARTS];
	const char *names[LEARNER_PARTS];
	bst_ulong n = 0;
	const char *line;

	for (size_t i = 0; i < LEARNER_PARTS; i++) {
		if (l->matrices[i] == NULL || (i == LEARNER_TEST && !with_test))
			continue;
		matrices[n] = l->matrices[i];
		names[n++] = part_names[i];
	}
	*scores = (struct learner_scores){0};
	if (XGBoosterEvalOneIter(l->handle, round, matrices, names, n, &line) != 0)
		return booster_failed(info, ERR_MODEL_FAILED, "XGBoost cannot measure the model");
	read_scores(line, scores);
	return check_scores(l, round, with_test, scores, info);
}

bool
learner_can_cut(const struct learner *l)
{
	bool can = true;

	for (size_t i = 0; i < l->n_parameters; i++)
		if (strcmp(l->parameters[i].name, "booster") == 0)
			can = strcmp(l->parameters[i].value, "dart") != 0 && strcmp(l->parameters[i].value, "gblinear") != 0;
	return can;
}

enum err
learner_cut(struct learner *l, int rounds, struct err_info *info)
{
	BoosterHandle cut;

	if (XGBoosterSlice(l->handle, 0, rounds, 1, &cut) != 0)
		return booster_failed(info, ERR_MODEL_FAILED, "the model cannot be cut at its best round; train with --validation 0");
	(void)XGBoosterFree(l->handle);
	l->handle = cut;
	return ERR_OK;
}

enum err
learner_remember(struct learner *l, struct err_info *info)
{
	buf_reset(&l->remembered);
	return learner_save(l, &l->remembered, info);
}

enum err
learner_recall(struct learner *l, struct err_info *info)
{
	BoosterHandle recalled = NULL;
	enum err e = open_booster(l, &recalled, info);

	if (e != ERR_OK) {
		if (recalled != NULL)
			(void)XGBoosterFree(recalled);
		return e;
	}
	(void)XGBoosterFree(l->handle);
	l->handle = recalled;
	return ERR_OK;
}

enum err
learner_save(struct learner *l, struct buf *out, struct err_info *info)
{
	bst_ulong len = 0;
	const char *bytes = NULL;

	if (XGBoosterSaveModelToBuffer(l->handle, "{\"format\":\"ubj\"}", &len, &bytes) != 0)
		return booster_failed(info, ERR_BAD_MODEL, "XGBoost cannot save the model");
	buf_add(out, bytes, len);
	return buf_ok(out) ? ERR_OK
					   : err_set(info, ERR_OUT_OF_MEMORY, "no memory for a model file of %llu bytes", (unsigned long long)len);
}

bool
learner_is_gain(const char *metric)
{
	static const char *const gains[] = {"auc", "aucpr", "map", "ndcg", "pre"};
	size_t len = strcspn(metric, "@");

	for (size_t i = 0; i < sizeof gains / sizeof gains[0]; i++)
		if (strlen(gains[i]) == len && memcmp(gains[i], metric, len) == 0)
			return true;
	return false;
}
