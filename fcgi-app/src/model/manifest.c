/* manifest.c - manifest.json: what a model version is, and how it is proven */
#include "model/manifest.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"

/* Where a text member of the file goes. */
struct text_member {
	const char *name;
	size_t offset;
	size_t cap;
};

#define MEMBER(field)                                                                                                              \
	{                                                                                                                              \
#field, offsetof(struct manifest, field), sizeof(((struct manifest *)0)->field)                                            \
	}

static const struct text_member text_members[] = {
	MEMBER(name), MEMBER(version), MEMBER(created), MEMBER(objective), MEMBER(model_file), MEMBER(sha256), MEMBER(xgboost_version),
};

static enum err read_texts(struct manifest *m, const cJSON *tree, struct err_info *info);
static enum err read_features(struct manifest *m, const cJSON *tree, struct err_info *info);

/* The members' checks, on a tree that is known to be an object; sentences lack the file's name. */
static enum err
read_tree(struct manifest *m, const cJSON *tree, const char *name, const char *version, struct err_info *info)
{
	enum err e = read_texts(m, tree, info);

	if (e == ERR_OK && (strcmp(m->name, name) != 0 || strcmp(m->version, version) != 0))
		e = err_set(info, ERR_BAD_MANIFEST, "it is of %s version %s, but lies in the folder of %s version %s", m->name, m->version,
					name, version);
	if (e == ERR_OK && strcmp(m->model_file, "model.ubj") != 0 && strcmp(m->model_file, "model.json") != 0)
		e = err_set(info, ERR_BAD_MANIFEST, "\"model_file\" must be model.ubj or model.json, not \"%s\"", m->model_file);
	if (e == ERR_OK && (strlen(m->sha256) != FILES_SHA256_HEX - 1 || m->sha256[strspn(m->sha256, "0123456789abcdef")] != '\0'))
		e = err_set(info, ERR_BAD_MANIFEST, "\"sha256\" must be 64 lower-case hexadecimal digits, as sha256sum prints them");
	if (e == ERR_OK)
		e = read_features(m, tree, info);
	if (e == ERR_OK)
		e = golden_init(&m->golden, cJSON_GetObjectItemCaseSensitive(tree, "golden"), m->features.n, info);
	return e;
}

enum err
manifest_init(struct manifest *m, const char *dir, const char *name, const char *version, struct err_info *info)
{
	char path[PATH_MAX];
	struct buf text;
	struct err_info inner;
	cJSON *tree = NULL;

	*m = (struct manifest){0};
	if (!files_join(path, sizeof path, dir, "manifest.json"))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", dir);
	buf_init(&text, MANIFEST_FILE_MAX);
	enum err e = files_read(path, &text, info);
	if (e == ERR_OK)
		e = json_document(path, buf_peek(&text), text.len, &tree, info);
	if (e == ERR_OK) {
		e = cJSON_IsObject(tree) ? read_tree(m, tree, name, version, &inner)
								 : err_set(&inner, ERR_BAD_MANIFEST, "expected a JSON object");
		if (e != ERR_OK)
			(void)err_set(info, e, "%s: %s", path, inner.text);
	}
	cJSON_Delete(tree);
	buf_release(&text);
	if (e != ERR_OK)
		manifest_release(m);
	return e;
}

void
manifest_release(struct manifest *m)
{
	features_release(&m->features);
	cJSON_free(m->features_json);
	cJSON_free(m->metrics_json);
	golden_release(&m->golden);
	*m = (struct manifest){0};
}

static enum err
read_texts(struct manifest *m, const cJSON *tree, struct err_info *info)
{
	for (size_t i = 0; i < sizeof text_members / sizeof text_members[0]; i++) {
		const struct text_member *row = &text_members[i];
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(tree, row->name);
		if (!cJSON_IsString(item))
			return err_set(info, ERR_BAD_MANIFEST, "\"%s\" is missing or not a string", row->name);
		if (strlen(item->valuestring) >= row->cap)
			return err_set(info, ERR_BAD_MANIFEST, "\"%s\" is longer than %zu bytes", row->name, row->cap - 1);
		memcpy((char *)m + row->offset, item->valuestring, strlen(item->valuestring) + 1);
	}
	return ERR_OK;
}

/* A borrowed array of the features' names; the caller frees the array. */
static enum err
collect_names(const cJSON *list, const char ***names, size_t *n, struct err_info *info)
{
	const cJSON *item;

	*n = 0;
	*names = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof **names);
	if (*names == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the feature names");
	cJSON_ArrayForEach (item, list) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
		const cJSON *type = cJSON_GetObjectItemCaseSensitive(item, "type");
		if (!cJSON_IsString(name) || !cJSON_IsString(type))
			return err_set(info, ERR_BAD_MANIFEST, "\"features\"[%zu] needs a \"name\" and a \"type\", both strings", *n);
		(*names)[(*n)++] = name->valuestring;
	}
	return ERR_OK;
}

static enum err
read_features(struct manifest *m, const cJSON *tree, struct err_info *info)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "features");
	const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(tree, "metrics");
	const char **names = NULL;
	size_t n;

	if (!cJSON_IsArray(list))
		return err_set(info, ERR_BAD_MANIFEST, "\"features\" is missing or not an array");
	if (!cJSON_IsObject(metrics))
		return err_set(info, ERR_BAD_MANIFEST, "\"metrics\" is missing or not an object");
	enum err e = collect_names(list, &names, &n, info);
	if (e == ERR_OK)
		e = features_init(&m->features, names, n, info);
	free(names);
	if (e != ERR_OK)
		return e;
	m->features_json = cJSON_PrintUnformatted(list);
	m->metrics_json = cJSON_PrintUnformatted(metrics);
	if (m->features_json == NULL || m->metrics_json == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the description");
	return ERR_OK;
}
