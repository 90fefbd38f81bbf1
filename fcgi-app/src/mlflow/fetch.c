/* fetch.c - a version of a registered model of MLflow, downloaded */
#include "mlflow/fetch.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/manifest.h"
#include "model/model.h"

enum { EXAMPLE_MAX = 16 << 20, METRICS_MAX = 1000 };

/* One download. */
struct fetching {
	struct fetch *f;
	struct mlflow *m;
	const struct mlflow_version *v;
	char artifacts[MLFLOW_URI_MAX];
	struct mlflow_files files; /* right in the model's folder */
};

static const struct mlflow_file *
find(const struct mlflow_files *files, const char *path)
{
	for (size_t i = 0; i < files->n; i++)
		if (strcmp(files->of[i].path, path) == 0 && !files->of[i].is_folder)
			return &files->of[i];
	return NULL;
}

/* A server names files within their folder, or within the model's. */
static enum err
size_of(struct fetching *in, const char *path, size_t *size, struct err_info *info)
{
	const char *slash = strrchr(path, '/');
	char folder[MLMODEL_PATH_MAX];
	struct mlflow_files nested = {0};
	enum err e = ERR_OK;
	const struct mlflow_file *file;

	if (slash == NULL) {
		file = find(&in->files, path);
	} else {
		(void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
		e = mlflow_list(in->m, in->artifacts, folder, &nested, info);
		file = e != ERR_OK ? NULL : find(&nested, slash + 1);
		if (e == ERR_OK && file == NULL)
			file = find(&nested, path);
	}
	*size = file != NULL ? file->size : 0;
	if (e == ERR_OK && file == NULL)
		e = err_set(info, ERR_REMOTE, "%.400s has no file %.100s: it was deleted, or never uploaded whole", in->f->label, path);
	mlflow_files_release(&nested);
	return e;
}

static enum err
download(struct fetching *in, const char *path, size_t most, struct buf *out, struct err_info *info)
{
	size_t size;
	enum err e = size_of(in, path, &size, info);

	buf_init(out, most);
	if (e == ERR_OK && size > most)
		e = err_set(info, ERR_REMOTE, "%.300s: %.100s has %zu bytes, more than the %zu that are accepted", in->f->label, path, size,
					most);
	if (e == ERR_OK)
		e = mlflow_download(in->m, in->artifacts, path, size, out, info);
	if (e == ERR_OK && size > 0 && out->len != size)
		e = err_set(info, ERR_REMOTE_AWAY, "%.300s: of %.100s came %zu bytes in place of %zu", in->f->label, path, out->len, size);
	return e;
}

/* A JSON document, where the model has it. */
static enum err
download_json(struct fetching *in, const char *path, size_t most, cJSON **out, struct err_info *info)
{
	struct buf text = {0};
	enum err e = ERR_OK;

	if (find(&in->files, path) == NULL)
		return ERR_OK;
	e = download(in, path, most, &text, info);
	if (e == ERR_OK)
		e = json_document(path, buf_peek(&text), text.len, out, info);
	buf_release(&text);
	return e;
}

static enum err
read_mlmodel(struct fetching *in, struct err_info *info)
{
	struct buf text = {0};
	struct mlmodel *m = &in->f->mlmodel;
	enum err e = download(in, "MLmodel", MLMODEL_FILE_MAX, &text, info);

	if (e == ERR_OK)
		e = mlmodel_init(m, "MLmodel", buf_peek(&text), text.len, info);
	buf_release(&text);
	if (e != ERR_OK || (m->has_xgboost && m->data[0] != '\0'))
		return e;
	if (m->pickled[0] != '\0')
		return err_set(info, ERR_BAD_MODEL,
					   "%.200s was logged by mlflow.sklearn as a pickle, which can run any program when it is loaded; log it anew "
					   "in Python with "
					   "mlflow.xgboost.log_model(model, name=\"model\", model_format=\"ubj\")",
					   in->f->label);
	return err_set(info, ERR_BAD_MODEL,
				   "%.200s is no model of XGBoost: its flavors are %.200s; log it in Python with mlflow.xgboost.log_model",
				   in->f->label, m->flavors[0] != '\0' ? m->flavors : "none");
}

/* The names of the signature's inputs; none for a tensor. */
static enum err
read_columns(struct fetching *in, struct err_info *info)
{
	const char *inputs = in->f->mlmodel.inputs;
	cJSON *tree = NULL;
	const cJSON *item;

	if (inputs == NULL || strcmp(inputs, "null") == 0)
		return ERR_OK;
	enum err e = json_document("the signature in MLmodel", inputs, strlen(inputs), &tree, info);
	if (e != ERR_OK)
		return e;
	bool named = cJSON_IsArray(tree) && tree->child != NULL;
	cJSON_ArrayForEach (item, tree)
		named = named && cJSON_IsString(cJSON_GetObjectItemCaseSensitive(item, "name"));
	in->f->columns = named ? cJSON_CreateArray() : NULL;
	cJSON_ArrayForEach (item, tree) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
		if (named && !cJSON_AddItemToArray(in->f->columns, cJSON_CreateString(name->valuestring)))
			e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the signature");
	}
	cJSON_Delete(tree);
	return e;
}

/* [{"key", "value"}] as an object; of several values of a key the last counts. */
static char *
to_object(const cJSON *list, bool numbers)
{
	cJSON *object = cJSON_CreateObject();
	const cJSON *item;
	size_t n = 0;

	cJSON_ArrayForEach (item, list) {
		const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "key"));
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
		bool fits = numbers ? cJSON_IsNumber(value) && isfinite(value->valuedouble) : cJSON_IsString(value);
		if (key == NULL || !fits || n++ == METRICS_MAX)
			continue;
		cJSON_DeleteItemFromObjectCaseSensitive(object, key);
		(void)cJSON_AddItemToObject(object, key, cJSON_Duplicate(value, false));
	}
	char *text = cJSON_PrintUnformatted(object);
	cJSON_Delete(object);
	return text;
}

/* A run that is gone, or lies elsewhere, is no reason not to take the model. */
static enum err
read_run(struct fetching *in, struct err_info *info)
{
	cJSON *data = NULL;

	if (in->v->run[0] == '\0')
		return ERR_OK;
	enum err e = mlflow_run_data(in->m, in->v->run, &data, info);
	if (e == ERR_OK) {
		in->f->metrics = to_object(cJSON_GetObjectItemCaseSensitive(data, "metrics"), true);
		in->f->parameters = to_object(cJSON_GetObjectItemCaseSensitive(data, "params"), false);
	}
	cJSON_Delete(data);
	return e == ERR_REMOTE ? ERR_OK : e;
}

static enum err
read_all(struct fetching *in, struct err_info *info)
{
	struct fetch *f = in->f;
	enum err e = read_mlmodel(in, info);

	if (e == ERR_OK)
		e = read_columns(in, info);
	if (e == ERR_OK)
		(void)snprintf(f->label, sizeof f->label, "models:/%.400s/%s (%.200s)", in->v->name, in->v->version, f->mlmodel.data);
	if (e == ERR_OK)
		e = download(in, f->mlmodel.data, MODEL_FILE_MAX, &f->bytes, info);
	if (e == ERR_OK)
		e = download_json(in, "manifest.json", MANIFEST_FILE_MAX, &f->manifest, info);
	if (e == ERR_OK)
		e = download_json(in, "golden.json", MANIFEST_FILE_MAX, &f->golden, info);
	if (e != ERR_OK)
		return e;
	if (f->mlmodel.example[0] != '\0')
		e = download_json(in, f->mlmodel.example, EXAMPLE_MAX, &f->example, info);
	if (e == ERR_BAD_JSON) /* NaN in it, for example: made-up rows do as well */
		e = ERR_OK;
	return e == ERR_OK ? read_run(in, info) : e;
}

enum err
fetch_init(struct fetch *f, struct mlflow *m, const struct mlflow_version *v, struct err_info *info)
{
	struct fetching in = {.f = f, .m = m, .v = v};

	*f = (struct fetch){0};
	(void)snprintf(f->label, sizeof f->label, "models:/%.400s/%s", v->name, v->version);
	enum err e = mlflow_location(m, v, in.artifacts, info);
	if (e == ERR_OK)
		e = mlflow_list(m, in.artifacts, "", &in.files, info);
	if (e == ERR_OK)
		e = read_all(&in, info);
	mlflow_files_release(&in.files);
	if (e != ERR_OK)
		fetch_release(f);
	return e;
}

void
fetch_release(struct fetch *f)
{
	mlmodel_release(&f->mlmodel);
	buf_release(&f->bytes);
	cJSON_Delete(f->manifest);
	cJSON_Delete(f->golden);
	cJSON_Delete(f->example);
	cJSON_Delete(f->columns);
	cJSON_free(f->metrics);
	cJSON_free(f->parameters);
	*f = (struct fetch){0};
}
