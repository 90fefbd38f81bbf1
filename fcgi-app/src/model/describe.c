/* describe.c - what a bare model file is */
#include "model/describe.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "model/booster.h"
#include "model/forest.h"
#include "model/golden.h"
#include "model/manifest.h"
#include "model/model.h"
#include "model/sample.h"
#include "model/treefile.h"

enum { VERSION_NEAR_END = 4096, MISSING_EVERY = 5 };

/* The numbers at which the trees split one column. */
struct column {
	float *values; /* owned */
	size_t n;
	size_t cap;
};

struct columns {
	struct column *of; /* owned; n */
	size_t n;
	bool failed; /* no memory */
};

enum describe_kind
describe_kind(const char *bytes, size_t len)
{
	if (len > 1 && (unsigned char)bytes[0] == 0x80 && (unsigned char)bytes[1] <= 5)
		return DESCRIBE_PICKLE;
	if (len > 4 && (memcmp(bytes, "binf", 4) == 0 || memcmp(bytes, "bs64", 4) == 0))
		return DESCRIBE_BINARY;
	if (len < 2 || bytes[0] != '{')
		return DESCRIBE_OTHER;
	if (strchr("\" \t\r\n}", bytes[1]) != NULL)
		return DESCRIBE_JSON;
	return strchr("iUIlL#$", bytes[1]) != NULL ? DESCRIBE_UBJSON : DESCRIBE_OTHER;
}

/* Takes an integer of JSON or of UBJSON (type, big-endian bytes; ubjson.org) from [*p, end), and what stands before it. */
static bool
take_number(const unsigned char **p, const unsigned char *end, bool binary, unsigned *number)
{
	size_t size;

	*number = 0;
	if (!binary) {
		while (*p < end && strchr(",[ \n\r\t", **p) != NULL)
			++*p;
		const unsigned char *start = *p;
		while (*p < end && **p >= '0' && **p <= '9' && *p - start < 6)
			*number = *number * 10 + (*(*p)++ - '0');
		return *p > start;
	}
	if (*p == end)
		return false;
	switch (*(*p)++) {
	case 'i':
	case 'U':
		size = 1;
		break;
	case 'I':
		size = 2;
		break;
	case 'l':
		size = 4;
		break;
	case 'L':
		size = 8;
		break;
	default:
		return false;
	}
	for (; size > 0 && *p < end; size--)
		*number = *number << 8 | *(*p)++;
	return size == 0;
}

const char *
describe_version(const char *bytes, size_t len, char out[16])
{
	size_t from = len > VERSION_NEAR_END ? len - VERSION_NEAR_END : 0;
	const unsigned char *end = (const unsigned char *)bytes + len;
	const char *at = NULL;
	const char *next = bytes + from;
	bool binary = describe_kind(bytes, len) == DESCRIBE_UBJSON;
	unsigned n[3] = {0};
	unsigned count;

	while ((next = memmem(next, (size_t)(bytes + len - next), "version", 7)) != NULL)
		at = next++;
	if (at != NULL) {
		const unsigned char *p = (const unsigned char *)at + 7;
		if (!binary && p < end && *p == '"')
			p++;
		while (p < end && (*p == ':' || *p == ' ' || *p == '['))
			p++;
		if (binary && p < end && *p == '#' && ++p < end)
			(void)take_number(&p, end, true, &count);
		for (size_t i = 0; i < 3; i++)
			if (!take_number(&p, end, binary, &n[i]))
				break;
	}
	(void)snprintf(out, 16, "%u.%u.%u", n[0] % 1000, n[1] % 1000, n[2] % 1000);
	return out;
}

static void
note_split(void *context, size_t column, float value)
{
	struct columns *all = context;

	if (column >= all->n || !isfinite(value) || all->failed)
		return;
	struct column *c = &all->of[column];
	if (c->n == c->cap) {
		size_t cap = c->cap == 0 ? 16 : 2 * c->cap;
		float *grown = realloc(c->values, cap * sizeof *grown);
		if (grown == NULL) {
			all->failed = true;
			return;
		}
		c->values = grown;
		c->cap = cap;
	}
	c->values[c->n++] = value;
}

static int
compare(const void *a, const void *b)
{
	float x = *(const float *)a;
	float y = *(const float *)b;

	return (x > y) - (x < y);
}

/* Values on both sides of every split, ascending; for a feature that is never split, as in gblinear, any do. */
static void
finish_column(struct columns *all, size_t i, bool only_these)
{
	struct column *c = &all->of[i];
	float low = 0.0F;
	float high = 0.0F;

	for (size_t k = 0; k < c->n; k++) {
		low = k == 0 ? c->values[k] : fminf(low, c->values[k]);
		high = k == 0 ? c->values[k] : fmaxf(high, c->values[k]);
	}
	if (c->n == 0 || !only_these) {
		float margin = high > low ? (high - low) / 10 : 1.0F;
		note_split(all, i, only_these ? 0.0F : low - margin);
		note_split(all, i, only_these ? 1.0F : high + margin);
	}
	if (c->n > 0)
		qsort(c->values, c->n, sizeof *c->values, compare);
}

/* A model file, loaded one way or the other. */
struct loaded {
	struct booster *booster; /* owned; or NULL */
	struct forest *forest;   /* owned; where libxgboost is too old for the file; or NULL */
};

static const struct booster_shape *
shape_of(const struct loaded *l)
{
	return l->booster != NULL ? booster_shape(l->booster) : forest_shape(l->forest);
}

static const char *const *
types_of(const struct loaded *l)
{
	return l->booster != NULL ? booster_feature_types(l->booster) : forest_feature_types(l->forest);
}

static const char *const *
names_of(const struct loaded *l)
{
	return l->booster != NULL ? booster_feature_names(l->booster) : forest_feature_names(l->forest);
}

static enum err
find_splits(const struct loaded *l, struct columns *all, struct err_info *info)
{
	if (l->booster != NULL)
		return booster_splits(l->booster, note_split, all, info);
	forest_splits(l->forest, note_split, all);
	return ERR_OK;
}

static enum err
make_up_rows(const struct loaded *l, float *rows, struct err_info *info)
{
	size_t n = shape_of(l)->n_features;
	const char *const *types;
	uint64_t random = 1;
	struct columns all = {.of = calloc(n, sizeof *all.of), .n = n};
	struct sample_column *columns = calloc(n, sizeof *columns);
	enum err e = ERR_OK;

	if (all.of == NULL || columns == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu features", n);
	else
		e = find_splits(l, &all, info);
	types = types_of(l);
	for (size_t i = 0; i < n && e == ERR_OK; i++) {
		bool only_these = types != NULL && strcmp(types[i], "c") == 0;
		finish_column(&all, i, only_these);
		columns[i] = (struct sample_column){.values = all.of[i].values, .n = all.of[i].n, .only_these = only_these};
	}
	if (e == ERR_OK && all.failed)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the splits");
	if (e == ERR_OK)
		sample_rows(columns, n, &random, MISSING_EVERY, rows, DESCRIBE_ROWS);
	for (size_t i = 0; all.of != NULL && i < n; i++)
		free(all.of[i].values);
	free(all.of);
	free(columns);
	return e;
}

static void
write_texts(struct buf *json, const char *name, const char *const *texts, size_t n)
{
	buf_printf(json, "\"%s\":%s", name, texts != NULL ? "[" : "null");
	for (size_t i = 0; texts != NULL && i < n; i++) {
		buf_str(json, i == 0 ? "" : ",");
		text_json_string(json, texts[i], strlen(texts[i]));
	}
	buf_str(json, texts != NULL ? "]," : ",");
}

static void
write_matrix(struct buf *json, const float *values, size_t n, size_t width)
{
	buf_char(json, '[');
	for (size_t row = 0; row < n; row++) {
		buf_str(json, row == 0 ? "[" : ",[");
		for (size_t i = 0; i < width; i++) {
			buf_str(json, i == 0 ? "" : ",");
			text_json_float(json, values[row * width + i]);
		}
		buf_char(json, ']');
	}
	buf_char(json, ']');
}

static void
write_golden(struct buf *json, const struct booster_shape *shape, const float *rows, const float *outputs, size_t n)
{
	buf_str(json, "{\"inputs\":");
	write_matrix(json, rows, n, shape->n_features);
	buf_str(json, ",\"outputs\":");
	write_matrix(json, outputs, n, shape->n_values);
	buf_char(json, '}');
}

/* Values of `n` rows. */
static enum err
ask(const struct loaded *l, const float *rows, size_t n, float *outputs, struct err_info *info)
{
	struct booster_caller caller;

	if (l->booster == NULL) {
		forest_predict(l->forest, BOOSTER_VALUE, rows, n, outputs);
		return ERR_OK;
	}
	enum err e = booster_caller_init(&caller, info);
	if (e == ERR_OK)
		e = booster_predict(l->booster, &caller, BOOSTER_VALUE, rows, n, outputs, info);
	booster_caller_release(&caller);
	return e;
}

static enum err
describe_loaded(const struct loaded *l, struct buf *json, struct err_info *info)
{
	const struct booster_shape *shape = shape_of(l);
	float *rows = calloc(DESCRIBE_ROWS * shape->n_features, sizeof *rows);
	float *outputs = calloc(DESCRIBE_ROWS * shape->n_values, sizeof *outputs);
	enum err e = ERR_OK;

	if (rows == NULL || outputs == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for made-up rows");
	if (e == ERR_OK)
		e = make_up_rows(l, rows, info);
	if (e == ERR_OK)
		e = ask(l, rows, DESCRIBE_ROWS, outputs, info);
	if (e == ERR_OK) {
		buf_printf(json, "{\"objective\":\"%s\",\"n_features\":%zu,\"loads\":%s,", shape->objective, shape->n_features,
				   l->booster != NULL ? "true" : "false");
		write_texts(json, "names", names_of(l), shape->n_features);
		write_texts(json, "types", types_of(l), shape->n_features);
		buf_str(json, "\"golden\":");
		write_golden(json, shape, rows, outputs, DESCRIBE_ROWS);
		buf_char(json, '}');
	}
	free(rows);
	free(outputs);
	return e;
}

/* A file of a newer XGBoost that libxgboost refuses, or would misread, may be a forest all the same. */
static enum err
load(struct loaded *l, const struct buf *bytes, struct err_info *info)
{
	char library[16];
	char saved_by[16];
	struct err_info why;

	*l = (struct loaded){0};
	(void)booster_library_version(library);
	enum err e = treefile_check(bytes->data, bytes->len, library, info);
	if (e == ERR_OK)
		e = booster_open(bytes->data, bytes->len, &l->booster, info);
	if (e == ERR_OK || strverscmp(describe_version(bytes->data, bytes->len, saved_by), library) <= 0)
		return e;
	return forest_open(bytes->data, bytes->len, &l->forest, &why) == ERR_OK ? ERR_OK : e;
}

static enum err
load_file(const char *path, struct loaded *l, struct err_info *info)
{
	struct buf bytes;

	*l = (struct loaded){0};
	buf_init(&bytes, MODEL_FILE_MAX);
	enum err e = files_read(path, &bytes, info);
	if (e == ERR_OK)
		e = load(l, &bytes, info);
	buf_release(&bytes);
	return e;
}

static enum err
finish(struct loaded *l, enum err e, struct buf *json, struct err_info *info)
{
	booster_free(l->booster);
	forest_free(l->forest);
	if (e == ERR_OK && !buf_ok(json))
		e = err_set(info, ERR_BAD_MODEL, "its description is too large");
	return e;
}

enum err
describe_file(const char *path, struct buf *json, struct err_info *info)
{
	struct loaded l;
	enum err e = load_file(path, &l, info);

	if (e == ERR_OK)
		e = describe_loaded(&l, json, info);
	return finish(&l, e, json, info);
}

/* The rows of {"inputs": [[…]]}, to be freed. */
static enum err
read_inputs(const cJSON *tree, size_t width, float **rows, size_t *n, struct err_info *info)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "inputs");
	const cJSON *row;
	const cJSON *cell;
	size_t i = 0;

	*n = (size_t)cJSON_GetArraySize(list);
	if (*n == 0 || *n > GOLDEN_MAX)
		return err_set(info, ERR_BAD_MANIFEST, "there must be 1 to %d input rows", GOLDEN_MAX);
	*rows = calloc(*n * width, sizeof **rows);
	if (*rows == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu rows", *n);
	cJSON_ArrayForEach (row, list) {
		if ((size_t)cJSON_GetArraySize(row) != width)
			return err_set(info, ERR_BAD_MANIFEST, "input row %zu has not the model's %zu values", i / width, width);
		cJSON_ArrayForEach (cell, row)
			(*rows)[i++] = cJSON_IsNumber(cell) ? (float)cell->valuedouble : NAN;
	}
	return ERR_OK;
}

static enum err
answer_loaded(const struct loaded *l, const cJSON *tree, struct buf *json, struct err_info *info)
{
	const struct booster_shape *shape = shape_of(l);
	float *rows = NULL;
	float *outputs = NULL;
	size_t n;
	enum err e = read_inputs(tree, shape->n_features, &rows, &n, info);

	if (e == ERR_OK && (outputs = calloc(n * shape->n_values, sizeof *outputs)) == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the answers");
	if (e == ERR_OK)
		e = ask(l, rows, n, outputs, info);
	if (e == ERR_OK)
		write_golden(json, shape, rows, outputs, n);
	free(rows);
	free(outputs);
	return e;
}

enum err
describe_rows(const char *path, const char *rows, struct buf *json, struct err_info *info)
{
	struct loaded l = {0};
	struct buf text;
	cJSON *tree = NULL;

	buf_init(&text, MANIFEST_FILE_MAX);
	enum err e = files_read(rows, &text, info);
	if (e == ERR_OK)
		e = json_document(rows, buf_peek(&text), text.len, &tree, info);
	if (e == ERR_OK)
		e = load_file(path, &l, info);
	if (e == ERR_OK)
		e = answer_loaded(&l, tree, json, info);
	cJSON_Delete(tree);
	buf_release(&text);
	return finish(&l, e, json, info);
}

enum err
describe_convert(const char *path, struct buf *ubjson, struct err_info *info)
{
	struct buf bytes;

	buf_init(&bytes, MODEL_FILE_MAX);
	enum err e = files_read(path, &bytes, info);
	if (e == ERR_OK)
		e = booster_convert(bytes.data, bytes.len, ubjson, info);
	buf_release(&bytes);
	return e;
}
