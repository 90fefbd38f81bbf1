/* cmd_intake.c - a model file of XGBoost from elsewhere becomes a new version of the store */
#include "cmd_intake.h"

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "model/describe.h"
#include "model/manifest_write.h"
#include "model/model.h"
#include "model/trial.h"
#include "model/versions.h"

enum { EXAMPLE_ROWS = 100 /* of the input example that become golden rows */ };

void
intake_init(struct intake *in, const struct models_options *o)
{
	*in = (struct intake){.options = o, .metrics = "{}"};
	buf_init(&in->bytes, MODEL_FILE_MAX);
}

void
intake_release(struct intake *in)
{
	buf_release(&in->bytes);
	cJSON_Delete(in->description);
	free(in->given_names);
	free(in->made_names);
	free(in->names);
	free(in->types);
	golden_release(&in->golden);
}

enum err
intake_judge(struct intake *in, struct err_info *info)
{
	switch (describe_kind(in->bytes.data, in->bytes.len)) {
	case DESCRIBE_UBJSON:
		in->model_file = "model.ubj";
		break;
	case DESCRIBE_JSON:
		in->model_file = "model.json";
		break;
	case DESCRIBE_PICKLE:
		return err_set(info, ERR_BAD_MODEL,
					   "%s: it is a pickle, which can run any program when it is loaded; save the model in Python with "
					   "booster.save_model(\"model.ubj\"), or model.get_booster().save_model(…) for a scikit-learn wrapper",
					   in->file);
	case DESCRIBE_BINARY:
		if (in->converts)
			return ERR_OK; /* it becomes UBJSON once it lies where a child can read it */
						   /* fall through */
	case DESCRIBE_OTHER:
		return err_set(info, ERR_BAD_MODEL,
					   "%s: it is neither UBJSON nor JSON of XGBoost; save the model in Python with "
					   "booster.save_model(\"model.ubj\"), which XGBoost 1.6 and later can",
					   in->file);
	}
	files_sha256(in->bytes.data, in->bytes.len, in->sha256);
	(void)describe_version(in->bytes.data, in->bytes.len, in->xgboost_version);
	return ERR_OK;
}

/* Where libxgboost cannot read the file, nothing shows that we read it right but golden rows. */
static enum err
check_proof(const struct intake *in, struct err_info *info)
{
	char library[16];

	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(in->description, "loads")) || in->options->golden[0] != '\0' ||
		in->recorded != NULL || in->options->unproven)
		return ERR_OK;
	return err_set(
		info, ERR_UNSUPPORTED_MODEL,
		"%s could not be proven: it was saved by XGBoost %s, and libxgboost %s is too old to read it; give --golden FILE, "
		"rows with what the model answered where it was made, or --unproven to take it without",
		in->file, in->xgboost_version, booster_library_version(library));
}

static enum err
describe(struct intake *in, const char *path, struct err_info *info)
{
	struct buf json;
	struct err_info why;

	buf_init(&json, DESCRIBE_JSON_MAX);
	enum err e = trial_describe(TRIAL_SELF, path, &json, &why);
	if (e == ERR_OK)
		e = json_document("the description of the model", buf_peek(&json), json.len, &in->description, &why);
	if (e != ERR_OK)
		(void)err_set(info, e, "%s cannot be imported: %s", in->file, why.text);
	buf_release(&json);
	if (e == ERR_OK)
		in->n_features = (size_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(in->description, "n_features"));
	return e;
}

/* Cuts --feature-names at its commas. */
static enum err
split_names(struct intake *in, struct err_info *info)
{
	size_t n = 0;

	in->given_names = strdup(in->options->feature_names);
	if (in->given_names == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the feature names");
	for (char *p = in->given_names; p != NULL; n++) {
		char *comma = strchr(p, ',');
		if (comma != NULL)
			*comma++ = '\0';
		if (n < in->n_features)
			in->names[n] = p;
		p = comma;
	}
	if (n != in->n_features)
		return err_set(info, ERR_USAGE, "--feature-names has %zu names, the model has %zu features", n, in->n_features);
	struct features checked;
	struct err_info why;
	if (features_init(&checked, in->names, n, &why) != ERR_OK)
		return err_set(info, ERR_USAGE, "--feature-names: %s", why.text);
	features_release(&checked);
	for (const char *p = in->options->feature_names, *end = p + strlen(p); p < end;) {
		size_t size = text_utf8(p, end);
		if (size == 0)
			return err_set(info, ERR_USAGE, "--feature-names is not valid UTF-8");
		p += size;
	}
	return ERR_OK;
}

static enum err
make_names(struct intake *in, struct err_info *info)
{
	enum { LONGEST = 24 };

	in->made_names = malloc(in->n_features * LONGEST);
	if (in->made_names == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the feature names");
	for (size_t i = 0; i < in->n_features; i++) {
		in->names[i] = in->made_names + i * LONGEST;
		(void)snprintf(in->made_names + i * LONGEST, LONGEST, "f%zu", i);
	}
	return ERR_OK;
}

/* The names of the file have the last word. */
static enum err
take_names(struct intake *in, const cJSON *list, struct err_info *info)
{
	const cJSON *item;
	size_t i = 0;
	bool given = in->options->feature_names[0] != '\0';

	cJSON_ArrayForEach (item, list) {
		if (i == in->n_features)
			break;
		if (given && (in->names[i] == NULL || strcmp(in->names[i], item->valuestring) != 0))
			return err_set(info, ERR_USAGE, "--feature-names calls feature %zu \"%.64s\", the file \"%.64s\"; leave the option out",
						   i, in->names[i], item->valuestring);
		in->names[i++] = item->valuestring;
	}
	return ERR_OK;
}

static enum err
take_types(struct intake *in, const cJSON *list, struct err_info *info)
{
	static const char *const known[] = {"float", "int", "i", "q", "c"};
	const cJSON *item;
	size_t i = 0;

	for (; i < in->n_features; i++)
		in->types[i] = "float";
	i = 0;
	cJSON_ArrayForEach (item, list) {
		size_t k = 0;
		while (k < sizeof known / sizeof known[0] && (!cJSON_IsString(item) || strcmp(item->valuestring, known[k]) != 0))
			k++;
		if (i == in->n_features || k == sizeof known / sizeof known[0])
			return err_set(info, ERR_BAD_MODEL, "%s: the type of feature %zu is none of float, int, i, q and c", in->file, i);
		in->types[i++] = strcmp(known[k], "c") == 0 ? "categorical" : known[k];
	}
	return ERR_OK;
}

/* The names that came with a file that has none itself. */
static enum err
take_columns(struct intake *in, struct err_info *info)
{
	size_t n = (size_t)cJSON_GetArraySize(in->columns);

	if (n != in->n_features)
		return err_set(info, ERR_USAGE, "%s: the signature has %zu columns, the model %zu features; give --feature-names", in->file,
					   n, in->n_features);
	return take_names(in, in->columns, info);
}

static enum err
find_features(struct intake *in, struct err_info *info)
{
	const cJSON *names = cJSON_GetObjectItemCaseSensitive(in->description, "names");
	bool given = in->options->feature_names[0] != '\0';
	enum err e = ERR_OK;

	in->names = calloc(in->n_features, sizeof *in->names);
	in->types = calloc(in->n_features, sizeof *in->types);
	if (in->names == NULL || in->types == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the features");
	if (given)
		e = split_names(in, info);
	else if (!cJSON_IsArray(names) && in->columns != NULL)
		e = take_columns(in, info);
	else if (!cJSON_IsArray(names))
		e = make_names(in, info);
	if (e == ERR_OK)
		e = take_names(in, names, info);
	return e == ERR_OK ? take_types(in, cJSON_GetObjectItemCaseSensitive(in->description, "types"), info) : e;
}

/* Golden rows of a document that is somebody's record of what the model answered. */
static enum err
take_golden(struct intake *in, const char *name, const cJSON *tree, struct err_info *info)
{
	struct err_info why;
	enum err e = golden_init(&in->golden, tree, in->n_features, &why);

	if (e != ERR_OK)
		(void)err_set(info, e, "%s: %s; expected {\"inputs\": [[…], …], \"outputs\": [1.5, …]} for %zu features", name, why.text,
					  in->n_features);
	in->golden.unproven = false;
	return e;
}

static enum err
read_golden(struct intake *in, const char *path, struct err_info *info)
{
	struct buf text;
	cJSON *tree = NULL;

	buf_init(&text, MANIFEST_FILE_MAX);
	enum err e = files_read(path, &text, info);
	if (e == ERR_OK)
		e = json_document(path, buf_peek(&text), text.len, &tree, info);
	if (e == ERR_OK)
		e = take_golden(in, path, tree, info);
	cJSON_Delete(tree);
	buf_release(&text);
	return e;
}

/* The column of a feature in the example's rows. */
static size_t
find_column(const cJSON *columns, const char *name, size_t otherwise)
{
	const cJSON *item;
	size_t i = 0;

	if (!cJSON_IsArray(columns))
		return otherwise;
	cJSON_ArrayForEach (item, columns) {
		if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
			return i;
		i++;
	}
	return SIZE_MAX;
}

/* One row of the example in the features' order; false where it has no number for one of them. */
static bool
write_example_row(const struct intake *in, const cJSON *columns, const cJSON *row, float *cells, struct buf *json)
{
	size_t width = (size_t)cJSON_GetArraySize(row);
	const cJSON *cell;
	size_t i = 0;

	if (width == 0 || width > FEATURES_MAX)
		return false;
	cJSON_ArrayForEach (cell, row) {
		bool fits = cJSON_IsNumber(cell) && fabs(cell->valuedouble) <= (double)FLT_MAX;
		if (!fits && !cJSON_IsNull(cell) && !cJSON_IsBool(cell))
			return false;
		cells[i++] = cJSON_IsNull(cell) ? NAN : cJSON_IsBool(cell) ? (cJSON_IsTrue(cell) ? 1.0F : 0.0F) : (float)cell->valuedouble;
	}
	for (i = 0; i < in->n_features; i++) {
		size_t column = find_column(columns, in->names[i], i);
		if (column >= width)
			return false;
		buf_char(json, i == 0 ? '[' : ',');
		text_json_float(json, cells[column]);
	}
	buf_char(json, ']');
	return true;
}

/*
 * The input example as MLflow writes it, {"columns": […], "data": [[…]]}, {"inputs": [[…]]} or [[…]], as {"inputs": [[…]]} in the features' order. False where it is
 * none that the model could take: then made-up rows do.
 */
static bool
write_example(const struct intake *in, struct buf *json)
{
	const cJSON *columns = cJSON_GetObjectItemCaseSensitive(in->example, "columns");
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(in->example, "data");
	const cJSON *row;
	float *cells = calloc(FEATURES_MAX, sizeof *cells);
	size_t n = 0;
	bool fits = cells != NULL;

	if (cJSON_IsObject(in->example) && data == NULL)
		data = cJSON_GetObjectItemCaseSensitive(in->example, "inputs");
	else if (cJSON_IsArray(in->example))
		data = in->example;
	buf_str(json, "{\"inputs\":[");
	cJSON_ArrayForEach (row, data) {
		if (!fits || n == EXAMPLE_ROWS)
			break;
		buf_str(json, n++ == 0 ? "" : ",");
		fits = cJSON_IsArray(row) && write_example_row(in, columns, row, cells, json);
	}
	buf_str(json, "]}");
	free(cells);
	return fits && n > 0 && buf_ok(json);
}

/* The input example's rows with the model's own answers. They lie beside the version while a child answers them. */
static enum err
answer_example(struct intake *in, const char *staging, const char *path, struct err_info *info)
{
	char rows[PATH_MAX];
	struct buf json;
	cJSON *tree = NULL;
	enum err e;

	buf_init(&json, MANIFEST_FILE_MAX);
	if (in->example == NULL || !write_example(in, &json) || !files_join(rows, sizeof rows, staging, "example.json")) {
		buf_release(&json);
		return ERR_OK;
	}
	e = files_write(rows, json.data, json.len, info);
	buf_reset(&json);
	if (e == ERR_OK)
		e = trial_answer(TRIAL_SELF, path, rows, &json, info);
	if (e == ERR_OK)
		e = json_document("the answers to the input example", buf_peek(&json), json.len, &tree, info);
	if (e == ERR_OK)
		e = golden_init(&in->golden, tree, in->n_features, info);
	cJSON_Delete(tree);
	buf_release(&json);
	return e;
}

/* The golden rows of --golden or those that came with the model; else the input example or made-up rows, with the model's own answers. */
static enum err
find_golden(struct intake *in, const char *staging, const char *path, struct err_info *info)
{
	if (in->options->golden[0] != '\0')
		return read_golden(in, in->options->golden, info);
	if (in->recorded != NULL)
		return take_golden(in, in->file, in->recorded, info);
	enum err e = answer_example(in, staging, path, info);
	if (e == ERR_OK && in->golden.n == 0)
		e = golden_init(&in->golden, cJSON_GetObjectItemCaseSensitive(in->description, "golden"), in->n_features, info);
	in->golden.unproven = true;
	return e;
}

static enum err
write_manifest(struct intake *in, const struct store_edit *edit, const char *folder, struct err_info *info)
{
	const struct manifest_draft draft = {
		.name = edit->name,
		.version = edit->version,
		.objective = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(in->description, "objective")),
		.model_file = in->model_file,
		.sha256 = in->sha256,
		.xgboost_version = in->xgboost_version,
		.n_features = in->n_features,
		.names = in->names,
		.types = in->types,
		.metrics = in->metrics,
		.parameters = in->parameters,
		.golden = &in->golden,
		.command = in->command,
		.mlflow_run = in->mlflow_run,
		.mlflow = in->mlflow,
	};

	return manifest_save(&draft, folder, info);
}

/* A manifest that came with the model, under the store's name and number. */
static enum err
write_own_manifest(struct intake *in, const struct store_edit *edit, const char *folder, struct err_info *info)
{
	char path[PATH_MAX];
	char *text = NULL;
	cJSON *source = cJSON_GetObjectItemCaseSensitive(in->manifest, "source");
	cJSON *from = cJSON_Parse(in->mlflow);
	enum err e = ERR_OK;

	if (!cJSON_ReplaceItemInObjectCaseSensitive(in->manifest, "name", cJSON_CreateString(edit->name)) ||
		!cJSON_ReplaceItemInObjectCaseSensitive(in->manifest, "version", cJSON_CreateString(edit->version)) ||
		!cJSON_IsObject(source))
		e = err_set(info, ERR_BAD_MANIFEST, "%s: the manifest.json beside it lacks name, version or source", in->file);
	cJSON_DeleteItemFromObjectCaseSensitive(source, "mlflow");
	if (e == ERR_OK &&
		(from == NULL || !cJSON_AddItemToObject(source, "mlflow", from) || (text = cJSON_Print(in->manifest)) == NULL))
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the manifest");
	else if (e != ERR_OK)
		cJSON_Delete(from);
	if (e == ERR_OK && !files_join(path, sizeof path, folder, "manifest.json"))
		e = err_set(info, ERR_FILE, "%.200s: the path is too long", folder);
	if (e == ERR_OK)
		e = files_write(path, text, strlen(text), info);
	cJSON_free(text);
	return e;
}

/* XGBoost's old binary format is read by a child with limits, beside the version, and what is kept is UBJSON. */
static enum err
convert(struct intake *in, const char *staging, struct err_info *info)
{
	char path[PATH_MAX];
	struct buf ubjson;
	struct err_info why;

	if (describe_kind(in->bytes.data, in->bytes.len) != DESCRIBE_BINARY)
		return ERR_OK;
	if (!files_join(path, sizeof path, staging, "model.old"))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", staging);
	buf_init(&ubjson, MODEL_FILE_MAX);
	enum err e = files_write(path, in->bytes.data, in->bytes.len, info);
	if (e == ERR_OK && (e = trial_convert(TRIAL_SELF, path, &ubjson, &why)) != ERR_OK)
		(void)err_set(info, e, "%s, in XGBoost's old binary format, cannot be made UBJSON: %s", in->file, why.text);
	buf_release(&in->bytes);
	in->bytes = ubjson;
	in->converts = false;
	return e == ERR_OK ? intake_judge(in, info) : e;
}

/* Puts the file and its manifest into the folder of the new version. */
static enum err
fill_version(struct intake *in, const struct store_edit *edit, const char *folder, struct err_info *info)
{
	char path[PATH_MAX];
	enum err e = convert(in, edit->staging, info);

	if (e == ERR_OK && !files_join(path, sizeof path, folder, in->model_file))
		e = err_set(info, ERR_FILE, "%.200s: the path is too long", folder);
	if (e == ERR_OK)
		e = files_write(path, in->bytes.data, in->bytes.len, info);
	if (e == ERR_OK && in->manifest != NULL)
		return write_own_manifest(in, edit, folder, info);
	if (e == ERR_OK)
		e = describe(in, path, info);
	if (e == ERR_OK)
		e = check_proof(in, info);
	if (e == ERR_OK)
		e = find_features(in, info);
	if (e == ERR_OK)
		e = find_golden(in, edit->staging, path, info);
	return e == ERR_OK ? write_manifest(in, edit, folder, info) : e;
}

enum err
intake_add(struct intake *in, struct store_edit *edit, struct err_info *info)
{
	char folder[PATH_MAX];
	enum err e = store_edit_begin(edit, in->name, folder, info);

	if (e == ERR_OK)
		e = fill_version(in, edit, folder, info);
	return e == ERR_OK ? versions_add(edit, TRIAL_SELF, info) : e;
}

enum err
intake_check(const struct intake *in, struct err_info *info)
{
	if (!store_is_name(in->name))
		return err_set(info, ERR_USAGE,
					   "\"%.64s\" cannot be a model's name: up to 64 letters, digits, '.', '_' and '-', a letter or digit first",
					   in->name);
	return ERR_OK;
}
