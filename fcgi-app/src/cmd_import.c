/* cmd_import.c - futaie models import: a model file of XGBoost becomes a new version */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "cmd_models.h"
#include "model/describe.h"
#include "model/manifest_write.h"
#include "model/model.h"
#include "model/trial.h"
#include "model/versions.h"

/* What the import knows of the file. */
struct import {
	const struct models_options *options;
	const char *name;
	const char *file;
	struct buf bytes;       /* of the file */
	const char *model_file; /* its name in the store */
	char sha256[FILES_SHA256_HEX];
	char xgboost_version[16]; /* that wrote it */
	cJSON *description;       /* owned; of describe_file() */
	size_t n_features;
	char *given_names;  /* owned; --feature-names, cut at the commas */
	char *made_names;   /* owned; f0, f1, … */
	const char **names; /* owned; n_features */
	const char **types; /* owned; n_features */
	struct golden golden;
};

static void
release(struct import *in)
{
	buf_release(&in->bytes);
	cJSON_Delete(in->description);
	free(in->given_names);
	free(in->made_names);
	free(in->names);
	free(in->types);
	golden_release(&in->golden);
}

static enum err
read_file(struct import *in, struct err_info *info)
{
	enum err e = files_read(in->file, &in->bytes, info);

	if (e != ERR_OK)
		return e;
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
check_proof(const struct import *in, struct err_info *info)
{
	char library[16];

	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(in->description, "loads")) || in->options->golden[0] != '\0' ||
		in->options->unproven)
		return ERR_OK;
	return err_set(
		info, ERR_UNSUPPORTED_MODEL,
		"%s could not be proven: it was saved by XGBoost %s, and libxgboost %s is too old to read it; give --golden FILE, "
		"rows with what the model answered where it was made, or --unproven to take it without",
		in->file, in->xgboost_version, booster_library_version(library));
}

static enum err
describe(struct import *in, const char *path, struct err_info *info)
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
split_names(struct import *in, struct err_info *info)
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
make_names(struct import *in, struct err_info *info)
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
take_names(struct import *in, const cJSON *list, struct err_info *info)
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
take_types(struct import *in, const cJSON *list, struct err_info *info)
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

static enum err
find_features(struct import *in, struct err_info *info)
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
	else if (!cJSON_IsArray(names))
		e = make_names(in, info);
	if (e == ERR_OK)
		e = take_names(in, names, info);
	return e == ERR_OK ? take_types(in, cJSON_GetObjectItemCaseSensitive(in->description, "types"), info) : e;
}

/* The golden rows of --golden, or the model's own answers to made-up rows. */
static enum err
find_golden(struct import *in, struct err_info *info)
{
	const char *path = in->options->golden;
	struct buf text;
	struct err_info why;
	cJSON *tree = NULL;

	if (*path == '\0') {
		enum err e = golden_init(&in->golden, cJSON_GetObjectItemCaseSensitive(in->description, "golden"), in->n_features, info);
		in->golden.unproven = true;
		return e;
	}
	buf_init(&text, MANIFEST_FILE_MAX);
	enum err e = files_read(path, &text, info);
	if (e == ERR_OK)
		e = json_document(path, buf_peek(&text), text.len, &tree, info);
	if (e == ERR_OK && (e = golden_init(&in->golden, tree, in->n_features, &why)) != ERR_OK)
		(void)err_set(info, e, "%s: %s; expected {\"inputs\": [[…], …], \"outputs\": [1.5, …]} for %zu features", path, why.text,
					  in->n_features);
	in->golden.unproven = false;
	cJSON_Delete(tree);
	buf_release(&text);
	return e;
}

static enum err
write_manifest(struct import *in, const struct store_edit *edit, const char *folder, struct err_info *info)
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
		.metrics = "{}",
		.golden = &in->golden,
		.command = "futaie models import",
	};

	return manifest_save(&draft, folder, info);
}

/* Puts the file and its manifest into the folder of the new version. */
static enum err
fill_version(struct import *in, const struct store_edit *edit, const char *folder, struct err_info *info)
{
	char path[PATH_MAX];
	enum err e;

	if (!files_join(path, sizeof path, folder, in->model_file))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", folder);
	e = files_write(path, in->bytes.data, in->bytes.len, info);
	if (e == ERR_OK)
		e = describe(in, path, info);
	if (e == ERR_OK)
		e = check_proof(in, info);
	if (e == ERR_OK)
		e = find_features(in, info);
	if (e == ERR_OK)
		e = find_golden(in, info);
	return e == ERR_OK ? write_manifest(in, edit, folder, info) : e;
}

static enum err
add(struct import *in, struct err_info *info)
{
	struct store_edit edit;
	char folder[PATH_MAX];
	enum err e = models_lock(&edit, in->options->models, true, info);

	if (e == ERR_OK)
		e = store_edit_begin(&edit, in->name, folder, info);
	if (e == ERR_OK)
		e = fill_version(in, &edit, folder, info);
	if (e == ERR_OK)
		e = versions_add(&edit, TRIAL_SELF, info);
	if (e == ERR_OK) {
		(void)printf("%s: version %s is added, %s %zu golden rows\n", in->name, edit.version,
					 in->golden.unproven ? "with its own answers as" : "proven by", in->golden.n);
		if (in->golden.unproven && !in->options->unproven)
			(void)fprintf(
				stderr,
				"futaie models: without --golden nothing shows that version %s answers here as where it was made: its golden rows "
				"are its own answers of today\n",
				edit.version);
		if (in->options->promote)
			e = models_promote(&edit, in->name, edit.version, info);
	}
	store_edit_release(&edit);
	return e;
}

enum err
models_import(const struct models_options *o, char **operands, struct err_info *info)
{
	struct import in = {.options = o, .name = operands[0], .file = operands[1]};

	if (!store_is_name(in.name))
		return err_set(info, ERR_USAGE,
					   "\"%.64s\" cannot be a model's name: up to 64 letters, digits, '.', '_' and '-', a letter or digit first",
					   in.name);
	if (o->promote && o->golden[0] == '\0' && !o->unproven)
		return err_set(info, ERR_FILE,
					   "to promote it at once give --golden FILE, rows with what the model answered where it was made, or "
					   "--unproven to serve it "
					   "without");
	buf_init(&in.bytes, MODEL_FILE_MAX);
	enum err e = read_file(&in, info);
	if (e == ERR_OK)
		e = add(&in, info);
	release(&in);
	return e;
}
