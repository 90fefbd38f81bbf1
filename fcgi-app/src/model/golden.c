/* golden.c - rows with the outputs that a model must give for them */
#include "model/golden.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

/* A number, or null for NaN. */
static bool
to_float(const cJSON *item, float *out)
{
	if (cJSON_IsNull(item)) {
		*out = NAN;
		return true;
	}
	if (!cJSON_IsNumber(item))
		return false;
	*out = (float)item->valuedouble;
	return isfinite(*out);
}

/* The numbers of one golden row (an array, or a lone number where width is 1) to out[0 .. width). */
static bool
to_row(const cJSON *row, float *out, size_t width)
{
	const cJSON *item;
	size_t i = 0;

	if (!cJSON_IsArray(row))
		return width == 1 && to_float(row, out);
	if ((size_t)cJSON_GetArraySize(row) != width)
		return false;
	cJSON_ArrayForEach (item, row)
		if (!to_float(item, &out[i++]))
			return false;
	return true;
}

/* All rows of `list` as n x width floats in a new array. */
static enum err
to_matrix(const cJSON *list, const char *what, size_t n, size_t width, float **out, struct err_info *info)
{
	const cJSON *row;
	size_t i = 0;

	*out = malloc(n * width * sizeof **out);
	if (*out == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the golden rows");
	cJSON_ArrayForEach (row, list) {
		if (!to_row(row, *out + i * width, width))
			return err_set(info, ERR_BAD_MANIFEST, "\"golden\".\"%s\"[%zu] is not %zu finite numbers", what, i, width);
		i++;
	}
	return ERR_OK;
}

enum err
golden_init(struct golden *g, const cJSON *golden, size_t n_features, struct err_info *info)
{
	const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(golden, "inputs");
	const cJSON *outputs = cJSON_GetObjectItemCaseSensitive(golden, "outputs");
	size_t n = (size_t)cJSON_GetArraySize(inputs);

	*g = (struct golden){.unproven = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(golden, "unproven"))};
	if (!cJSON_IsArray(inputs) || !cJSON_IsArray(outputs) || n == 0 || n > GOLDEN_MAX || n != (size_t)cJSON_GetArraySize(outputs))
		return err_set(info, ERR_BAD_MANIFEST, "\"golden\" needs \"inputs\" and \"outputs\", arrays of equal length from 1 to %d",
					   GOLDEN_MAX);
	const cJSON *first = cJSON_GetArrayItem(outputs, 0);
	g->n = n;
	g->n_outputs = cJSON_IsArray(first) ? (size_t)cJSON_GetArraySize(first) : 1;
	if (g->n_outputs == 0)
		return err_set(info, ERR_BAD_MANIFEST, "\"golden\".\"outputs\"[0] is empty");
	enum err e = to_matrix(inputs, "inputs", n, n_features, &g->in, info);
	if (e == ERR_OK)
		e = to_matrix(outputs, "outputs", n, g->n_outputs, &g->out, info);
	if (e != ERR_OK)
		golden_release(g);
	return e;
}

void
golden_release(struct golden *g)
{
	free(g->in);
	free(g->out);
	*g = (struct golden){0};
}
