/* recipe.c - the parameters of a training: a JSON file, and what the command line says over it */
#include "train/recipe.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

enum { FILE_MAX = 1024 * 1024, THREADS_MAX = 1024, PARAMETERS_MAX = 200, ROUNDS_MAX = 1000000 };

#define ROUNDS   "num_boost_round"
#define PATIENCE "early_stopping_rounds"
#define SEED     "seed"

static enum err
put(struct recipe *r, const char *name, cJSON *value, struct err_info *info)
{
	if (value == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the parameters");
	cJSON_DeleteItemFromObjectCaseSensitive(r->tree, name);
	if (cJSON_AddItemToObject(r->tree, name, value))
		return ERR_OK;
	cJSON_Delete(value);
	return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the parameters");
}

enum err
recipe_init(struct recipe *r, struct err_info *info)
{
	*r = (struct recipe){.tree = cJSON_CreateObject()};
	if (r->tree == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the parameters");
	enum err e = put(r, "objective", cJSON_CreateString("reg:squarederror"), info);
	if (e == ERR_OK)
		e = put(r, ROUNDS, cJSON_CreateNumber(1000), info);
	if (e == ERR_OK)
		e = put(r, PATIENCE, cJSON_CreateNumber(50), info);
	if (e == ERR_OK)
		e = put(r, SEED, cJSON_CreateNumber(0), info);
	return e;
}

void
recipe_release(struct recipe *r)
{
	for (size_t i = 0; i < r->n_parameters; i++)
		free((char *)r->parameters[i].value);
	free(r->parameters);
	cJSON_Delete(r->tree);
	*r = (struct recipe){0};
}

enum err
recipe_read(struct recipe *r, const char *path, struct err_info *info)
{
	struct buf text;
	cJSON *tree = NULL;

	buf_init(&text, FILE_MAX);
	enum err e = files_read(path, &text, info);
	if (e == ERR_OK)
		e = json_document(path, buf_peek(&text), text.len, &tree, info);
	if (e == ERR_OK && !cJSON_IsObject(tree))
		e = err_set(info, ERR_USAGE, "%s: expected an object of parameters, {\"max_depth\": 6, …}", path);
	while (e == ERR_OK && tree->child != NULL) {
		cJSON *item = cJSON_DetachItemViaPointer(tree, tree->child);
		char name[64];
		(void)snprintf(name, sizeof name, "%s", item->string);
		if (strlen(item->string) >= sizeof name) {
			e = err_set(info, ERR_USAGE, "%s: the parameter \"%s…\" has too long a name", path, name);
			cJSON_Delete(item);
		} else if (cJSON_IsObject(item) || cJSON_IsNull(item)) {
			e = err_set(info, ERR_USAGE, "%s: \"%s\" must be a number, a string, true, false or an array", path, name);
			cJSON_Delete(item);
		} else {
			e = put(r, name, item, info);
		}
	}
	cJSON_Delete(tree);
	buf_release(&text);
	return e;
}

enum err
recipe_set(struct recipe *r, const char *assignment, struct err_info *info)
{
	char name[64];
	long long number;
	size_t len = strcspn(assignment, "=");

	if (len == 0 || len >= sizeof name || assignment[len] != '=')
		return err_set(info, ERR_USAGE, "a parameter is written NAME=VALUE, max_depth=8 for example, not \"%.60s\"", assignment);
	memcpy(name, assignment, len);
	name[len] = '\0';
	const char *value = assignment + len + 1;
	if (text_integer(value, -INT_MAX, INT_MAX, &number))
		return put(r, name, cJSON_CreateNumber((double)number), info);
	return put(r, name, cJSON_CreateString(value), info);
}

/* A whole number of the recipe; its text may be quoted. */
static enum err
take_integer(const struct recipe *r, const char *name, long long low, long long high, long long *out, struct err_info *info)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->tree, name);

	if (cJSON_IsNumber(item) && item->valuedouble >= (double)low && item->valuedouble <= (double)high) {
		*out = (long long)item->valuedouble;
		if (!((double)*out < item->valuedouble || (double)*out > item->valuedouble))
			return ERR_OK;
	}
	return err_set(info, ERR_USAGE, "the parameter %s must be a whole number from %lld to %lld", name, low, high);
}

/* The text that XGBoost takes for a value; the caller frees it. */
static char *
to_text(const cJSON *item)
{
	if (cJSON_IsString(item))
		return strdup(item->valuestring);
	if (cJSON_IsBool(item))
		return strdup(cJSON_IsTrue(item) ? "true" : "false");
	return cJSON_PrintUnformatted(item);
}

/* As Python's xgboost.train() takes lists: constraints as a tuple, "(1,0)"; all others as JSON. */
static char *
to_tuple(const cJSON *list)
{
	char *text = cJSON_PrintUnformatted(list);
	size_t len = text != NULL ? strlen(text) : 0;

	if (len >= 2) {
		text[0] = '(';
		text[len - 1] = ')';
	}
	return text;
}

static enum err
add_parameter(struct recipe *r, const char *name, char *value, struct err_info *info)
{
	if (value == NULL || r->n_parameters == PARAMETERS_MAX) {
		free(value);
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the parameters, or more than %d", PARAMETERS_MAX);
	}
	r->parameters[r->n_parameters++] = (struct learner_parameter){.name = name, .value = value};
	return ERR_OK;
}

/* Several metrics are as many parameters of one name. */
static enum err
add_item(struct recipe *r, const cJSON *item, struct err_info *info)
{
	const cJSON *each;
	enum err e = ERR_OK;

	if (cJSON_IsArray(item) && strcmp(item->string, "eval_metric") == 0) {
		cJSON_ArrayForEach (each, item)
			if (e == ERR_OK)
				e = add_parameter(r, item->string, to_text(each), info);
		return e;
	}
	bool tuple = cJSON_IsArray(item) && strcmp(item->string, "monotone_constraints") == 0;
	return add_parameter(r, item->string, tuple ? to_tuple(item) : to_text(item), info);
}

/* Ours are not XGBoost's. */
static bool
is_ours(const char *name)
{
	return strcmp(name, ROUNDS) == 0 || strcmp(name, PATIENCE) == 0;
}

enum err
recipe_finish(struct recipe *r, struct err_info *info)
{
	static const char *const threads[] = {"nthread", "n_jobs"};
	const cJSON *item;
	long long ignored;
	long long rounds = 0;
	long long patience = 0;
	long long seed = 0;
	size_t n = (size_t)cJSON_GetArraySize(r->tree);
	enum err e = take_integer(r, ROUNDS, 1, ROUNDS_MAX, &rounds, info);

	if (e == ERR_OK)
		e = take_integer(r, PATIENCE, 0, ROUNDS_MAX, &patience, info);
	if (e == ERR_OK)
		e = take_integer(r, SEED, 0, INT_MAX, &seed, info);
	for (size_t i = 0; i < sizeof threads / sizeof threads[0] && e == ERR_OK; i++)
		if (cJSON_GetObjectItemCaseSensitive(r->tree, threads[i]) != NULL) /* more of them end libgomp in a segmentation fault */
			e = take_integer(r, threads[i], -1, THREADS_MAX, &ignored, info);
	if (e == ERR_OK && n > PARAMETERS_MAX)
		e = err_set(info, ERR_USAGE, "more than %d parameters", PARAMETERS_MAX);
	if (e != ERR_OK)
		return e;
	r->rounds = (int)rounds;
	r->patience = (int)patience;
	r->seed = (uint64_t)seed;
	r->parameters = calloc(PARAMETERS_MAX, sizeof *r->parameters);
	if (r->parameters == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the parameters");
	cJSON_ArrayForEach (item, r->tree)
		if (e == ERR_OK && !is_ours(item->string))
			e = add_item(r, item, info);
	return e;
}

char *
recipe_json(const struct recipe *r, int rounds)
{
	cJSON *tree = cJSON_Duplicate(r->tree, true);
	char *text = NULL;

	if (tree != NULL && cJSON_ReplaceItemInObjectCaseSensitive(tree, ROUNDS, cJSON_CreateNumber(rounds)))
		text = cJSON_PrintUnformatted(tree);
	cJSON_Delete(tree);
	return text;
}
