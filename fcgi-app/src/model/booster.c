/* booster.c - XGBoost's C API: one loaded model */
#include "model/booster.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

/* OpenMP 3.0, section 3.2.1; gcc's <omp.h> has it, clang's is another package. */
void omp_set_num_threads(int n);

enum { INTERFACE_MAX = 160 };

struct booster {
	BoosterHandle handle; /* owned */
	struct booster_shape shape;
};

static enum err read_config(struct booster *b, struct err_info *info);
static enum err read_shape(struct booster *b, struct err_info *info);

enum err
booster_caller_init(struct booster_caller *c, struct err_info *info)
{
	*c = (struct booster_caller){0};
	/* Verbosity is a setting of the thread: XGBoost must not write lines that are not ours into the log. */
	if (XGBSetGlobalConfig("{\"verbosity\": 0}") != 0 || XGProxyDMatrixCreate(&c->proxy) != 0)
		return booster_failed(info, ERR_OUT_OF_MEMORY, "XGBoost cannot make a matrix");
	return ERR_OK;
}

void
booster_caller_release(struct booster_caller *c)
{
	if (c->proxy != NULL)
		(void)XGDMatrixFree(c->proxy);
	*c = (struct booster_caller){0};
}

enum err
booster_open(const void *bytes, size_t len, struct booster **out, struct err_info *info)
{
	struct booster *b = calloc(1, sizeof *b);
	enum err e = ERR_OK;

	*out = NULL;
	if (b == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for a model");
	/* XGBoost's loader asks OpenMP for a thread a processor whatever nthread says, and they would stay, spinning after each load. */
	omp_set_num_threads(1);
	/* Verbosity is a setting of the thread: XGBoost must not write lines that are not ours into the log. */
	if (XGBSetGlobalConfig("{\"verbosity\": 0}") != 0 || XGBoosterCreate(NULL, 0, &b->handle) != 0 ||
		XGBoosterSetParam(b->handle, "nthread", "1") != 0)
		e = booster_failed(info, ERR_BAD_MODEL, "XGBoost cannot start");
	if (e == ERR_OK && XGBoosterLoadModelFromBuffer(b->handle, bytes, len) != 0)
		e = booster_failed(info, ERR_BAD_MODEL, "XGBoost cannot load the model file");
	if (e == ERR_OK)
		e = read_config(b, info);
	if (e == ERR_OK)
		e = read_shape(b, info);
	if (e != ERR_OK) {
		booster_free(b);
		return e;
	}
	*out = b;
	return ERR_OK;
}

void
booster_free(struct booster *b)
{
	if (b == NULL)
		return;
	if (b->handle != NULL)
		(void)XGBoosterFree(b->handle);
	free(b);
}

const struct booster_shape *
booster_shape(const struct booster *b)
{
	return &b->shape;
}

static const char *const *
feature_info(const struct booster *b, const char *field)
{
	bst_ulong n = 0;
	const char **texts = NULL;

	if (XGBoosterGetStrFeatureInfo(b->handle, field, &n, &texts) != 0 || n != b->shape.n_features)
		return NULL;
	return texts;
}

const char *const *
booster_feature_names(const struct booster *b)
{
	return feature_info(b, "feature_name");
}

const char *const *
booster_feature_types(const struct booster *b)
{
	return feature_info(b, "feature_type");
}

enum err
booster_gains(const struct booster *b, booster_gain_fn *found, void *context, struct err_info *info)
{
	bst_ulong n_names = 0;
	bst_ulong n_dimensions = 0;
	const char **names = NULL;
	const bst_ulong *shape = NULL;
	const float *scores = NULL;

	if (strcmp(b->shape.kind, "gblinear") == 0)
		return err_set(info, ERR_UNSUPPORTED_MODEL, "gblinear has no splits, and so no gains");
	if (XGBoosterFeatureScore(b->handle, "{\"importance_type\":\"gain\"}", &n_names, &names, &n_dimensions, &shape, &scores) != 0)
		return booster_failed(info, ERR_MODEL_FAILED, "XGBoost cannot tell the gains");
	for (bst_ulong i = 0; i < n_names; i++)
		found(context, names[i], scores[i]);
	return ERR_OK;
}

enum err
booster_convert(const void *bytes, size_t len, struct buf *ubjson, struct err_info *info)
{
	BoosterHandle handle = NULL;
	bst_ulong n = 0;
	const char *saved = NULL;
	enum err e = ERR_OK;

	if (XGBoosterCreate(NULL, 0, &handle) != 0 || XGBoosterSetParam(handle, "nthread", "1") != 0 ||
		XGBoosterLoadModelFromBuffer(handle, bytes, len) != 0 ||
		XGBoosterSaveModelToBuffer(handle, "{\"format\":\"ubj\"}", &n, &saved) != 0)
		e = booster_failed(info, ERR_BAD_MODEL, "XGBoost cannot read it");
	else
		buf_add(ubjson, saved, n);
	if (handle != NULL)
		(void)XGBoosterFree(handle);
	return e == ERR_OK && !buf_ok(ubjson)
			   ? err_set(info, ERR_OUT_OF_MEMORY, "no memory for a model file of %llu bytes", (unsigned long long)n)
			   : e;
}

size_t
booster_outputs(const struct booster *b, enum booster_output output)
{
	return output == BOOSTER_MARGIN ? b->shape.n_margins : b->shape.n_values;
}

const char *
booster_library_version(char out[16])
{
	int major;
	int minor;
	int patch;

	XGBoostVersion(&major, &minor, &patch);
	(void)snprintf(out, 16, "%d.%d.%d", major, minor, patch);
	return out;
}

enum err
booster_failed(struct err_info *info, enum err code, const char *what)
{
	const char *text = XGBGetLastError();
	const char *position = strstr(text, ".cc:");
	size_t len;

	if (position == NULL)
		position = strstr(text, ".h:");
	if (position != NULL && (position = strstr(position, ": ")) != NULL)
		text = position + 2;
	len = strcspn(text, "\n");
	return err_set(info, code, "%s: %.*s", what, (int)(len < 300 ? len : 300), text);
}

/* Copies the string at PATH (names separated by '/') of XGBoost's configuration. */
static bool
config_string(const cJSON *config, const char *path, char *out, size_t cap)
{
	char name[64];

	while (config != NULL && *path != '\0') {
		size_t len = strcspn(path, "/");
		(void)snprintf(name, sizeof name, "%.*s", (int)len, path);
		config = cJSON_GetObjectItemCaseSensitive(config, name);
		path += len + (path[len] == '/');
	}
	if (config == NULL || !cJSON_IsString(config) || strlen(config->valuestring) >= cap)
		return false;
	memcpy(out, config->valuestring, strlen(config->valuestring) + 1);
	return true;
}

static enum err
read_config(struct booster *b, struct err_info *info)
{
	bst_ulong len;
	const char *text;
	bst_ulong n_features;

	if (XGBoosterSaveJsonConfig(b->handle, &len, &text) != 0 || XGBoosterGetNumFeature(b->handle, &n_features) != 0)
		return booster_failed(info, ERR_BAD_MODEL, "XGBoost does not tell the model's configuration");
	b->shape.n_features = n_features;
	cJSON *config = cJSON_ParseWithLength(text, len);
	bool known = config_string(config, "learner/objective/name", b->shape.objective, sizeof b->shape.objective) &&
				 config_string(config, "learner/gradient_booster/name", b->shape.kind, sizeof b->shape.kind);
	cJSON_Delete(config);
	if (!known)
		return err_set(info, ERR_BAD_MODEL, "the model file names no objective or booster that XGBoost knows");
	if (n_features == 0 || n_features > BOOSTER_FEATURES_MAX)
		return err_set(info, ERR_BAD_MODEL, "the model has %llu features; 1 to %d are accepted", (unsigned long long)n_features,
					   BOOSTER_FEATURES_MAX);
	return ERR_OK;
}

struct answer {
	const bst_ulong *shape;
	bst_ulong n_dims;
	const float *values;  /* XGBoost's, of this thread: copy before the next call */
	DMatrixHandle matrix; /* to be freed behind the copy, or NULL */
};

static const char *
predict_config(enum booster_output output)
{
	return output == BOOSTER_MARGIN ? "{\"type\":1,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,\"strict_shape\":"
									  "true,\"cache_id\":0,\"missing\":NaN}"
									: "{\"type\":0,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,\"strict_shape\":"
									  "true,\"cache_id\":0,\"missing\":NaN}";
}

/* The rows as XGBoost wants to be told of them: NumPy's array interface. */
static void
describe_rows(const struct booster *b, const float *rows, size_t n_rows, char interface[INTERFACE_MAX])
{
	(void)snprintf(interface, INTERFACE_MAX, "{\"data\":[%ju,true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\",\"version\":3}",
				   (uintmax_t)(uintptr_t)rows, n_rows, b->shape.n_features);
}

/*
 * Only gbtree is asked in place: libxgboost 1.7.4 refuses gblinear there, and sums dart's weighted trees in another order than
 * Booster.predict() does, which changes last bits. Those two go through XGBoost's own matrix.
 */
static int
ask(const struct booster *b, struct booster_caller *caller, enum booster_output output, const float *rows, size_t n_rows,
	struct answer *a)
{
	char interface[INTERFACE_MAX];

	describe_rows(b, rows, n_rows, interface);
	if (strcmp(b->shape.kind, "gbtree") == 0)
		return XGBoosterPredictFromDense(b->handle, interface, predict_config(output), caller->proxy, &a->shape, &a->n_dims,
										 &a->values);
	if (XGDMatrixCreateFromDense(interface, "{\"missing\":NaN,\"nthread\":1}", &a->matrix) != 0)
		return -1;
	return XGBoosterPredictFromDMatrix(b->handle, a->matrix, predict_config(output), &a->shape, &a->n_dims, &a->values);
}

static void
answer_release(struct answer *a)
{
	if (a->matrix != NULL)
		(void)XGDMatrixFree(a->matrix);
}

static enum err
predict_chunk(const struct booster *b, struct booster_caller *caller, enum booster_output output, const float *rows, size_t n_rows,
			  float *out, struct err_info *info)
{
	size_t n_outputs = booster_outputs(b, output);
	struct answer a = {0};
	enum err e = ERR_OK;

	if (ask(b, caller, output, rows, n_rows, &a) != 0)
		e = booster_failed(info, ERR_MODEL_FAILED, "XGBoost cannot predict");
	else if (a.n_dims != 2 || a.shape[0] != n_rows || a.shape[1] != n_outputs)
		e = err_set(info, ERR_MODEL_FAILED, "XGBoost answered another shape than %zu x %zu", n_rows, n_outputs);
	else
		memcpy(out, a.values, n_rows * n_outputs * sizeof *out);
	answer_release(&a);
	return e;
}

enum err
booster_predict(const struct booster *b, struct booster_caller *caller, enum booster_output output, const float *rows,
				size_t n_rows, float *out, struct err_info *info)
{
	size_t n_features = b->shape.n_features;
	size_t n_outputs = booster_outputs(b, output);
	enum err e = ERR_OK;

	for (size_t row = 0; row < n_rows && e == ERR_OK; row += BOOSTER_CHUNK_ROWS) {
		size_t n = n_rows - row < BOOSTER_CHUNK_ROWS ? n_rows - row : BOOSTER_CHUNK_ROWS;
		e = predict_chunk(b, caller, output, rows + row * n_features, n, out + row * n_outputs, info);
	}
	return e;
}

static enum err
explain_chunk(const struct booster *b, const float *rows, size_t n_rows, float *out, struct err_info *info)
{
	static const char config[] = "{\"type\":2,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,\"strict_shape\":true}";
	size_t n = n_rows * b->shape.n_margins * (b->shape.n_features + 1);
	struct answer a = {0};
	char interface[INTERFACE_MAX];
	enum err e = ERR_OK;

	describe_rows(b, rows, n_rows, interface);
	if (XGDMatrixCreateFromDense(interface, "{\"missing\":NaN,\"nthread\":1}", &a.matrix) != 0 ||
		XGBoosterPredictFromDMatrix(b->handle, a.matrix, config, &a.shape, &a.n_dims, &a.values) != 0)
		e = booster_failed(info, ERR_MODEL_FAILED, "XGBoost cannot explain");
	else if (a.n_dims != 3 || a.shape[0] != n_rows || a.shape[1] != b->shape.n_margins || a.shape[2] != b->shape.n_features + 1)
		e = err_set(info, ERR_MODEL_FAILED, "XGBoost explains in another shape than %zu x %zu x %zu", n_rows, b->shape.n_margins,
					b->shape.n_features + 1);
	else
		memcpy(out, a.values, n * sizeof *out);
	answer_release(&a);
	return e;
}

enum err
booster_explain(const struct booster *b, const float *rows, size_t n_rows, float *out, struct err_info *info)
{
	enum err e = ERR_OK;

	for (size_t row = 0; row < n_rows && e == ERR_OK; row += BOOSTER_CHUNK_ROWS) {
		size_t n = n_rows - row < BOOSTER_CHUNK_ROWS ? n_rows - row : BOOSTER_CHUNK_ROWS;
		e = explain_chunk(b, rows + row * b->shape.n_features, n, out + row * b->shape.n_margins * (b->shape.n_features + 1), info);
	}
	return e;
}

/* One output's width, by a row of missing values; it is the warm-up call as well. */
static enum err
probe_width(const struct booster *b, struct booster_caller *caller, enum booster_output output, const float *row, size_t *width,
			struct err_info *info)
{
	struct answer a = {0};
	enum err e = ERR_OK;

	if (ask(b, caller, output, row, 1, &a) != 0)
		e = booster_failed(info, ERR_BAD_MODEL, "XGBoost cannot predict with this model");
	else if (a.n_dims != 2 || a.shape[0] != 1 || a.shape[1] == 0)
		e = err_set(info, ERR_BAD_MODEL, "XGBoost answers a shape that is not rows x outputs");
	else
		*width = a.shape[1];
	answer_release(&a);
	return e;
}

static enum err
read_shape(struct booster *b, struct err_info *info)
{
	struct booster_caller caller;
	float *row = malloc(b->shape.n_features * sizeof *row);
	enum err e = booster_caller_init(&caller, info);

	if (row == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for a row of %zu features", b->shape.n_features);
	for (size_t i = 0; row != NULL && i < b->shape.n_features; i++)
		row[i] = NAN;
	if (e == ERR_OK)
		e = probe_width(b, &caller, BOOSTER_VALUE, row, &b->shape.n_values, info);
	if (e == ERR_OK)
		e = probe_width(b, &caller, BOOSTER_MARGIN, row, &b->shape.n_margins, info);
	booster_caller_release(&caller);
	free(row);
	return e;
}

struct splits {
	booster_split_fn *found;
	void *context;
};

/* A node of XGBoost's JSON dump, whose "split" is the column's number, and those below it. */
static void
walk(const struct splits *to, const cJSON *node)
{
	const cJSON *split = cJSON_GetObjectItemCaseSensitive(node, "split");
	const cJSON *at = cJSON_GetObjectItemCaseSensitive(node, "split_condition");
	const cJSON *child;

	if (!cJSON_IsString(split))
		return;
	size_t column = strtoul(split->valuestring, NULL, 10);
	if (cJSON_IsNumber(at))
		to->found(to->context, column, (float)at->valuedouble);
	cJSON_ArrayForEach (child, at) /* an array of categories */
		to->found(to->context, column, (float)child->valuedouble);
	cJSON_ArrayForEach (child, cJSON_GetObjectItemCaseSensitive(node, "children"))
		walk(to, child);
}

static enum err
walk_trees(const struct booster *b, const struct splits *to, const char **names, const char **types, struct err_info *info)
{
	bst_ulong n = 0;
	const char **trees = NULL;

	if (XGBoosterDumpModelExWithFeatures(b->handle, (int)b->shape.n_features, names, types, 0, "json", &n, &trees) != 0)
		return booster_failed(info, ERR_BAD_MODEL, "XGBoost cannot list the trees");
	for (bst_ulong i = 0; i < n; i++) {
		cJSON *tree = cJSON_Parse(trees[i]);
		if (tree == NULL)
			return err_set(info, ERR_BAD_MODEL, "XGBoost's list of tree %llu is no JSON", (unsigned long long)i);
		walk(to, tree);
		cJSON_Delete(tree);
	}
	return ERR_OK;
}

enum err
booster_splits(const struct booster *b, booster_split_fn *found, void *context, struct err_info *info)
{
	enum { NUMBER = 24 };
	size_t n = b->shape.n_features;
	const struct splits to = {.found = found, .context = context};
	const char *const *known = booster_feature_types(b);
	const char **names = calloc(2 * n, sizeof *names);
	char *numbers = malloc(n * NUMBER);
	enum err e = ERR_OK;

	if (names == NULL || numbers == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the names of %zu features", n);
	/* Numbers for names, so that a split tells its column. */
	for (size_t i = 0; i < n && e == ERR_OK; i++) {
		(void)snprintf(numbers + i * NUMBER, NUMBER, "%zu", i);
		names[i] = numbers + i * NUMBER;
		names[n + i] = known != NULL && strcmp(known[i], "c") == 0 ? "c" : "float";
	}
	if (e == ERR_OK && strcmp(b->shape.kind, "gblinear") != 0)
		e = walk_trees(b, &to, names, names + n, info);
	free(names);
	free(numbers);
	return e;
}
