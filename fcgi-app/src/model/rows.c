/* rows.c - a request's body into a matrix of float32 */
#include "model/rows.h"

#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/json.h"

enum { SHOWN_FEATURES = 8 /* in a sentence that lists them */ };

/* One reading: the matrix, the model's features, and where sentences go. */
struct reading {
	struct rows *rows;
	const struct features *f;
	struct err_info *info; /* the caller's */
	struct err_info inner; /* of the reader below, still without row and feature */
	struct json_reader json;
	struct csv_reader csv;
};

static enum err json_row(struct reading *in, float *row);

void
rows_init(struct rows *r, size_t body_max, size_t n_max)
{
	*r = (struct rows){.n_max = n_max};
	buf_init(&r->values, (body_max + FEATURES_MAX) * sizeof(float));
	buf_init(&r->marks, sizeof(uint32_t) * 2 * FEATURES_MAX);
}

void
rows_release(struct rows *r)
{
	buf_release(&r->values);
	buf_release(&r->marks);
	*r = (struct rows){0};
}

void
rows_shrink(struct rows *r, size_t keep)
{
	buf_shrink(&r->values, keep);
	buf_shrink(&r->marks, keep);
}

const float *
rows_values(const struct rows *r)
{
	return (const float *)(const void *)r->values.data;
}

/*
 * Empties the matrix and makes room for two marks a feature, all zero; NULL without memory. JSON: marks[column] is the last row that named
 * it, plus 1. CSV: marks[cell] is the cell's column plus 1, and marks[n + column] is set once the header named it.
 */
static uint32_t *
start(struct reading *in)
{
	struct rows *r = in->rows;
	size_t bytes = 2 * in->f->n * sizeof(uint32_t);

	r->n = 0;
	buf_reset(&r->values);
	buf_reset(&r->marks);
	if (!buf_reserve(&r->marks, bytes)) {
		(void)err_set(in->info, ERR_OUT_OF_MEMORY, "no memory for the request; try again later");
		return NULL;
	}
	memset(r->marks.data, 0, bytes);
	return (uint32_t *)(void *)r->marks.data;
}

/* Room for one more row at the end of the matrix. */
static enum err
add_row(struct reading *in, float **row)
{
	struct rows *r = in->rows;
	size_t bytes = in->f->n * sizeof(float);

	if (r->n == r->n_max)
		return err_set(in->info, ERR_TOO_MANY_ROWS, "more than %zu rows in one request; send them in several", r->n_max);
	if (!buf_reserve(&r->values, bytes))
		return err_set(in->info, ERR_OUT_OF_MEMORY, "no memory for row %zu; send fewer rows in one request", r->n);
	*row = (float *)(void *)(r->values.data + r->values.len);
	r->values.len += bytes;
	return ERR_OK;
}

/* Puts the row and the feature in front of the sentence of the reader below. */
static enum err
fail_at(struct reading *in, enum err e, const char *feature)
{
	long row = (long)in->rows->n;

	if (feature == NULL)
		return err_set_at(in->info, e, row, NULL, "row %ld: %s", row, in->inner.text);
	return err_set_at(in->info, e, row, feature, "row %ld, feature \"%.64s\": %s", row, feature, in->inner.text);
}

/* "8 features: MedInc, HouseAge, …" */
static const char *
list_features(const struct features *f, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%zu feature%s: ", f->n, f->n == 1 ? "" : "s");

	for (size_t i = 0; i < f->n && i < SHOWN_FEATURES && n > 0 && (size_t)n < cap; i++)
		n += snprintf(out + n, cap - (size_t)n, "%s%.30s", i == 0 ? "" : ", ", f->names[i]);
	if (f->n > SHOWN_FEATURES && n > 0 && (size_t)n < cap)
		(void)snprintf(out + n, cap - (size_t)n, ", …");
	return out;
}

static enum err
wrong_count(struct reading *in, const char *has)
{
	char list[320];
	long row = (long)in->rows->n;

	return err_set_at(in->info, ERR_WRONG_FEATURE_COUNT, row, NULL, "row %ld has %s; the model has %s", row, has,
					  list_features(in->f, list, sizeof list));
}

/* [8.3252, 41, …] */
static enum err
json_array_row(struct reading *in, float *row)
{
	size_t i = 0;
	bool more;
	char has[48];
	enum err e = json_open(&in->json, '[');

	while (e == ERR_OK && (e = json_more(&in->json, ']', &more)) == ERR_OK && more) {
		if (i == in->f->n) {
			(void)snprintf(has, sizeof has, "more than %zu values", i);
			return wrong_count(in, has);
		}
		e = json_float(&in->json, &row[i]);
		if (e != ERR_OK)
			return fail_at(in, e, in->f->names[i]);
		i++;
	}
	if (e != ERR_OK)
		return fail_at(in, e, NULL);
	if (i != in->f->n) {
		(void)snprintf(has, sizeof has, "%zu value%s", i, i == 1 ? "" : "s");
		return wrong_count(in, has);
	}
	return ERR_OK;
}

/* The column of the member name at the reader; `mark` is this row's number + 1, `hint` the column that would be next in order. */
static enum err
json_column(struct reading *in, uint32_t mark, size_t hint, size_t *column)
{
	char name[FEATURES_NAME_MAX];
	size_t len;
	uint32_t *marks = (uint32_t *)(void *)in->rows->marks.data;
	long row = (long)in->rows->n;
	enum err e = json_name(&in->json, name, sizeof name, &len);

	if (e != ERR_OK)
		return fail_at(in, e, NULL);
	*column = len < sizeof name ? features_find(in->f, name, len, hint) : FEATURES_NONE;
	if (*column == FEATURES_NONE) {
		char list[320];
		return err_set_at(in->info, ERR_UNKNOWN_FEATURE, row, name, "row %ld: the model has no feature \"%.64s\"; it has %s", row,
						  name, list_features(in->f, list, sizeof list));
	}
	if (marks[*column] == mark)
		return err_set_at(in->info, ERR_REPEATED_FEATURE, row, name, "row %ld: the feature \"%.64s\" stands twice", row, name);
	marks[*column] = mark;
	return ERR_OK;
}

static enum err
missing_feature(struct reading *in, uint32_t mark)
{
	const uint32_t *marks = (const uint32_t *)(const void *)in->rows->marks.data;
	long row = (long)in->rows->n;

	for (size_t i = 0; i < in->f->n; i++)
		if (marks[i] != mark)
			return err_set_at(in->info, ERR_MISSING_FEATURE, row, in->f->names[i],
							  "row %ld: the feature \"%.64s\" is missing; write null where its value is not known", row,
							  in->f->names[i]);
	return ERR_OK;
}

/* {"MedInc": 8.3252, …} */
static enum err
json_object_row(struct reading *in, float *row)
{
	uint32_t mark = (uint32_t)in->rows->n + 1;
	size_t column = FEATURES_NONE;
	size_t n = 0;
	bool more;
	enum err e = json_open(&in->json, '{');

	while (e == ERR_OK && (e = json_more(&in->json, '}', &more)) == ERR_OK && more) {
		e = json_column(in, mark, column + 1, &column); /* FEATURES_NONE + 1 is 0 */
		if (e != ERR_OK)
			return e;
		e = json_float(&in->json, &row[column]);
		if (e != ERR_OK)
			return fail_at(in, e, in->f->names[column]);
		n++;
	}
	if (e != ERR_OK)
		return fail_at(in, e, NULL);
	return n == in->f->n ? ERR_OK : missing_feature(in, mark);
}

static enum err
json_row(struct reading *in, float *row)
{
	enum json_kind kind = json_peek(&in->json);
	enum err e;

	if (kind == JSON_ARRAY)
		return json_array_row(in, row);
	if (kind == JSON_OBJECT)
		return json_object_row(in, row);
	if (kind == JSON_END || kind == JSON_BAD)
		e = json_open(&in->json, '['); /* for its sentence */
	else
		e = json_fail(&in->json, ERR_WRONG_TYPE,
					  "expected a row, an array of numbers or an object by feature name, found %s; one row is written [[…]]",
					  json_kind_name(kind));
	return fail_at(in, e, NULL);
}

/* The value of "features". */
static enum err
json_rows(struct reading *in)
{
	bool more;
	float *row;
	enum json_kind kind = json_peek(&in->json);
	enum err e;

	if (kind != JSON_ARRAY && kind != JSON_END && kind != JSON_BAD)
		e = json_fail(&in->json, ERR_WRONG_TYPE, "\"features\" must be an array of rows, found %s", json_kind_name(kind));
	else
		e = json_open(&in->json, '[');
	if (e != ERR_OK)
		return err_set(in->info, e, "%s", in->inner.text);
	while ((e = json_more(&in->json, ']', &more)) == ERR_OK && more) {
		if ((e = add_row(in, &row)) != ERR_OK || (e = json_row(in, row)) != ERR_OK)
			return e;
		in->rows->n++;
	}
	return e == ERR_OK ? ERR_OK : err_set(in->info, e, "%s", in->inner.text);
}

/* The members of the body's object; exactly one is known. */
static enum err
json_members(struct reading *in)
{
	bool more;
	bool seen = false;
	char name[64];
	size_t len;
	enum err e = json_open(&in->json, '{');

	while (e == ERR_OK && (e = json_more(&in->json, '}', &more)) == ERR_OK && more) {
		e = json_name(&in->json, name, sizeof name, &len);
		if (e != ERR_OK)
			break;
		if (len >= sizeof name || strcmp(name, "features") != 0)
			return err_set(in->info, ERR_UNKNOWN_FIELD,
						   "the body has a member \"%.60s\"; expected only \"features\": {\"features\": [[…], …]}", name);
		if (seen)
			return err_set(in->info, ERR_REPEATED_FIELD, "the body has the member \"features\" twice");
		seen = true;
		e = json_rows(in);
		if (e != ERR_OK)
			return e;
	}
	if (e == ERR_OK)
		e = json_end(&in->json);
	if (e != ERR_OK)
		return err_set(in->info, e, "%s", in->inner.text);
	if (!seen)
		return err_set(in->info, ERR_MISSING_FIELD, "the body lacks \"features\"; expected {\"features\": [[…], …]}");
	return ERR_OK;
}

static enum err
no_rows(struct reading *in)
{
	return err_set(in->info, ERR_NO_ROWS, "there are no rows; send at least one");
}

enum err
rows_json(struct rows *r, const struct features *f, const char *text, size_t len, struct err_info *info)
{
	struct reading in = {.rows = r, .f = f, .info = info};
	enum json_kind kind;

	if (start(&in) == NULL)
		return ERR_OUT_OF_MEMORY;
	json_init(&in.json, text, len, &in.inner);
	kind = json_peek(&in.json);
	if (kind == JSON_END)
		return err_set(info, ERR_BAD_JSON, "the body is empty; expected {\"features\": [[…], …]}");
	if (kind != JSON_OBJECT && kind != JSON_BAD)
		return err_set(info, ERR_WRONG_TYPE, "the body is %s; expected an object: {\"features\": [[…], …]}", json_kind_name(kind));
	enum err e = json_members(&in);
	if (e == ERR_OK && r->n == 0)
		return no_rows(&in);
	return e;
}

/* Fills in marks[cell] = column + 1 by the header; `*n` is the number of cells, which is that of the features. */
static enum err
csv_header(struct reading *in, uint32_t *marks)
{
	struct csv_cell cell;
	char name[FEATURES_NAME_MAX];
	uint32_t *seen = marks + in->f->n;
	size_t column = FEATURES_NONE;
	size_t n = 0;
	bool more;
	enum err e;

	while ((e = csv_cell(&in->csv, &cell, &more)) == ERR_OK && more) {
		if (!csv_text(&cell, name, sizeof name))
			return err_set(in->info, ERR_BAD_CSV, "line %zu, column %zu: the name is too long or not valid UTF-8", in->csv.line,
						   in->csv.column);
		column = features_find(in->f, name, strlen(name), column + 1);
		if (column == FEATURES_NONE && *name == '\0')
			return err_set(in->info, ERR_UNKNOWN_FEATURE,
						   "line %zu, column %zu: the header has an empty name (an index? to_csv(index=False))", in->csv.line,
						   in->csv.column);
		if (column == FEATURES_NONE) {
			char list[320];
			return err_set_at(in->info, ERR_UNKNOWN_FEATURE, ERR_NO_ROW, name,
							  "line %zu, column %zu: the header names \"%.64s\"; the model has %s", in->csv.line, in->csv.column,
							  name, list_features(in->f, list, sizeof list));
		}
		if (seen[column] != 0)
			return err_set_at(in->info, ERR_REPEATED_FEATURE, ERR_NO_ROW, name,
							  "line %zu, column %zu: the header names \"%.64s\" twice", in->csv.line, in->csv.column, name);
		seen[column] = 1;
		marks[n++] = (uint32_t)column + 1;
	}
	if (e != ERR_OK)
		return err_set(in->info, e, "%s", in->inner.text);
	for (size_t f = 0; f < in->f->n; f++)
		if (seen[f] == 0)
			return err_set_at(in->info, ERR_MISSING_FEATURE, ERR_NO_ROW, in->f->names[f],
							  "line %zu: the header lacks the feature \"%.64s\"", in->csv.line, in->f->names[f]);
	return ERR_OK;
}

/* One row of cells; marks tells each cell's column. */
static enum err
csv_values(struct reading *in, const uint32_t *marks, float *row)
{
	struct csv_cell cell;
	struct err_info why;
	size_t n = 0;
	bool more;
	enum err e;

	while ((e = csv_cell(&in->csv, &cell, &more)) == ERR_OK && more) {
		if (n == in->f->n)
			break;
		size_t column = marks[n++] - 1;
		e = csv_float(&cell, &row[column], &why);
		if (e != ERR_OK)
			return err_set_at(in->info, e, (long)in->rows->n, in->f->names[column], "line %zu, column %zu, feature \"%.64s\": %s",
							  in->csv.line, in->csv.column, in->f->names[column], why.text);
	}
	if (e != ERR_OK)
		return err_set_at(in->info, e, (long)in->rows->n, NULL, "%s", in->inner.text);
	if (n != in->f->n || more)
		return err_set_at(in->info, ERR_WRONG_FEATURE_COUNT, (long)in->rows->n, NULL,
						  "line %zu has %s%zu cells; the header has %zu", in->csv.line, more ? "more than " : "", n, in->f->n);
	return ERR_OK;
}

enum err
rows_csv(struct rows *r, const struct features *f, const char *text, size_t len, struct err_info *info)
{
	struct reading in = {.rows = r, .f = f, .info = info};
	uint32_t *marks = start(&in);
	bool more;
	float *row;

	if (marks == NULL)
		return ERR_OUT_OF_MEMORY;
	csv_init(&in.csv, text, len, &in.inner);
	enum err e = csv_row(&in.csv, &more);
	if (e == ERR_OK && !more)
		return err_set(info, ERR_BAD_CSV, "the body is empty; expected a header with the features' names, and rows");
	if (e == ERR_OK)
		e = csv_header(&in, marks);
	while (e == ERR_OK && (e = csv_row(&in.csv, &more)) == ERR_OK && more) {
		if ((e = add_row(&in, &row)) != ERR_OK || (e = csv_values(&in, marks, row)) != ERR_OK)
			return e;
		r->n++;
	}
	if (e == ERR_OK && r->n == 0)
		return no_rows(&in);
	return e;
}
