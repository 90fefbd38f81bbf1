/* rows.c - rows in JSON or CSV into a matrix of float32 */
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
	struct err_info *info;   /* the caller's */
	struct err_info inner;   /* of the reader below, still without row and feature */
	const char *name;        /* of the member that holds the rows */
	const uint32_t *columns; /* column + 1 of each value of a JSON array, or NULL where they stand in the features' order */
	struct json_reader json;
	struct csv_reader csv;
	size_t line; /* of the JSON row, where each line is one; else 0 */
};

enum { WHERE_MAX = 32 };

static enum err json_row(struct reading *in, float *row);

void
rows_init(struct rows *r, size_t text_max, size_t n_max)
{
	*r = (struct rows){.n_max = n_max};
	buf_init(&r->values, (text_max + FEATURES_MAX) * sizeof(float));
	buf_init(&r->marks, sizeof(uint32_t) * FEATURES_MAX);
	rows_header_init(&r->header);
}

void
rows_release(struct rows *r)
{
	buf_release(&r->values);
	buf_release(&r->marks);
	rows_header_release(&r->header);
	*r = (struct rows){0};
}

void
rows_shrink(struct rows *r, size_t keep)
{
	buf_shrink(&r->values, keep);
	buf_shrink(&r->marks, keep);
	buf_shrink(&r->header.columns, keep);
}

void
rows_header_init(struct rows_header *h)
{
	*h = (struct rows_header){0};
	buf_init(&h->columns, sizeof(uint32_t) * 2 * FEATURES_MAX);
}

void
rows_header_release(struct rows_header *h)
{
	buf_release(&h->columns);
}

const float *
rows_values(const struct rows *r)
{
	return (const float *)(const void *)r->values.data;
}

/* `n` uint32 in `b`, all zero; NULL without memory. */
static uint32_t *
zeroes(struct buf *b, size_t n, struct err_info *info)
{
	buf_reset(b);
	if (!buf_reserve(b, n * sizeof(uint32_t))) {
		(void)err_set(info, ERR_OUT_OF_MEMORY, "no memory for the request; try again later");
		return NULL;
	}
	memset(b->data, 0, n * sizeof(uint32_t));
	return (uint32_t *)(void *)b->data;
}

static void
empty(struct rows *r)
{
	r->n = 0;
	buf_reset(&r->values);
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

/* The JSON row as a sentence names it: "row 0" of a request, "line 1" of JSON lines. */
static const char *
where(const struct reading *in, char out[WHERE_MAX])
{
	if (in->line != 0)
		(void)snprintf(out, WHERE_MAX, "line %zu", in->line);
	else
		(void)snprintf(out, WHERE_MAX, "row %zu", in->rows->n);
	return out;
}

/* Puts the row and the feature in front of the sentence of the JSON reader, which has a place as well. */
static enum err
fail_at(struct reading *in, enum err e, const char *feature)
{
	char at[WHERE_MAX];
	long row = (long)in->rows->n;
	const char *separator = in->line != 0 ? "," : ":"; /* before a mere column, or before line and column */

	(void)where(in, at);
	if (feature == NULL)
		return err_set_at(in->info, e, row, NULL, "%s%s %s", at, separator, in->inner.text);
	return err_set_at(in->info, e, row, feature, "%s, feature \"%.64s\"%s %s", at, feature, separator, in->inner.text);
}

const char *
rows_list_features(const struct features *f, char *out, size_t cap)
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
	char at[WHERE_MAX];
	char list[320];

	return err_set_at(in->info, ERR_WRONG_FEATURE_COUNT, (long)in->rows->n, NULL, "%s has %s; the model has %s", where(in, at), has,
					  rows_list_features(in->f, list, sizeof list));
}

/* [8.3252, 41, …] */
static enum err
json_array_row(struct reading *in, float *row)
{
	size_t i = 0;
	size_t column;
	bool more;
	char has[48];
	enum err e = json_open(&in->json, '[');

	while (e == ERR_OK && (e = json_more(&in->json, ']', &more)) == ERR_OK && more) {
		if (i == in->f->n) {
			(void)snprintf(has, sizeof has, "more than %zu values", i);
			return wrong_count(in, has);
		}
		column = in->columns != NULL ? in->columns[i] - 1 : i;
		e = json_float(&in->json, &row[column]);
		if (e != ERR_OK)
			return fail_at(in, e, in->f->names[column]);
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
	char at[WHERE_MAX];
	size_t len;
	uint32_t *marks = (uint32_t *)(void *)in->rows->marks.data;
	long row = (long)in->rows->n;
	enum err e = json_name(&in->json, name, sizeof name, &len);

	if (e != ERR_OK)
		return fail_at(in, e, NULL);
	*column = len < sizeof name ? features_find(in->f, name, len, hint) : FEATURES_NONE;
	if (*column == FEATURES_NONE) {
		char list[320];
		return err_set_at(in->info, ERR_UNKNOWN_FEATURE, row, name, "%s: the model has no feature \"%.64s\"; it has %s",
						  where(in, at), name, rows_list_features(in->f, list, sizeof list));
	}
	if (marks[*column] == mark)
		return err_set_at(in->info, ERR_REPEATED_FEATURE, row, name, "%s: the feature \"%.64s\" stands twice", where(in, at), name);
	marks[*column] = mark;
	return ERR_OK;
}

static enum err
missing_feature(struct reading *in, uint32_t mark)
{
	const uint32_t *marks = (const uint32_t *)(const void *)in->rows->marks.data;
	char at[WHERE_MAX];

	for (size_t i = 0; i < in->f->n; i++)
		if (marks[i] != mark)
			return err_set_at(in->info, ERR_MISSING_FEATURE, (long)in->rows->n, in->f->names[i],
							  "%s: the feature \"%.64s\" is missing; write null where its value is not known", where(in, at),
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
		e = json_fail(&in->json, ERR_WRONG_TYPE, "expected a row, an array of numbers or an object by feature name, found %s%s",
					  json_kind_name(kind), in->line != 0 ? "" : "; one row is written [[…]]");
	return fail_at(in, e, NULL);
}

/* The array of rows. */
static enum err
json_rows(struct reading *in)
{
	bool more;
	float *row;
	enum json_kind kind = json_peek(&in->json);
	enum err e;

	if (kind != JSON_ARRAY && kind != JSON_END && kind != JSON_BAD)
		e = json_fail(&in->json, ERR_WRONG_TYPE, "\"%s\" must be an array of rows, found %s", in->name, json_kind_name(kind));
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
	struct reading in = {.rows = r, .f = f, .info = info, .name = "features"};
	enum json_kind kind;

	empty(r);
	if (zeroes(&r->marks, f->n, info) == NULL)
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

/* One line of JSON lines, which is not blank. */
static enum err
json_line(struct reading *in, const char *text, size_t len)
{
	float *row;
	enum err e = add_row(in, &row);

	if (e != ERR_OK)
		return e;
	json_init(&in->json, text, len, &in->inner);
	in->json.a_line = true;
	e = json_row(in, row);
	if (e != ERR_OK)
		return e;
	e = json_end(&in->json);
	return e == ERR_OK ? ERR_OK : fail_at(in, e, NULL);
}

/* Length of the line at `p`, without its end. */
static size_t
line_length(const char *p, const char *end)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p));
	const char *cr = memchr(p, '\r', (size_t)((lf != NULL ? lf : end) - p));

	return (size_t)((cr != NULL ? cr : lf != NULL ? lf : end) - p);
}

static bool
is_blank(const char *p, size_t len)
{
	while (len > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	return len == 0;
}

enum err
rows_json_lines(struct rows *r, const struct features *f, const char *text, size_t len, size_t line, struct err_info *info)
{
	struct reading in = {.rows = r, .f = f, .info = info, .line = line};
	const char *end = text + len;

	empty(r);
	if (zeroes(&r->marks, f->n, info) == NULL)
		return ERR_OUT_OF_MEMORY;
	for (const char *p = text; p < end; in.line++) {
		size_t n = line_length(p, end);
		if (!is_blank(p, n)) {
			enum err e = json_line(&in, p, n);
			if (e != ERR_OK)
				return e;
			r->n++;
		}
		p += n;
		if (p < end)
			p += p[0] == '\r' && p + 1 < end && p[1] == '\n' ? 2 : 1;
	}
	return ERR_OK;
}

/* The columns of a header, cell by cell, as column + 1; behind them one mark a column is set once it was named. */
static enum err
csv_header(struct reading *in, struct rows_header *h)
{
	struct csv_cell cell;
	char name[FEATURES_NAME_MAX];
	uint32_t *columns = zeroes(&h->columns, 2 * in->f->n, in->info);
	size_t column = FEATURES_NONE;
	size_t n = 0;
	bool more;
	enum err e;

	if (columns == NULL)
		return ERR_OUT_OF_MEMORY;
	uint32_t *seen = columns + in->f->n;
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
							  name, rows_list_features(in->f, list, sizeof list));
		}
		if (seen[column] != 0)
			return err_set_at(in->info, ERR_REPEATED_FEATURE, ERR_NO_ROW, name,
							  "line %zu, column %zu: the header names \"%.64s\" twice", in->csv.line, in->csv.column, name);
		seen[column] = 1;
		columns[n++] = (uint32_t)column + 1;
	}
	if (e != ERR_OK)
		return err_set(in->info, e, "%s", in->inner.text);
	for (size_t f = 0; f < in->f->n; f++)
		if (seen[f] == 0)
			return err_set_at(in->info, ERR_MISSING_FEATURE, ERR_NO_ROW, in->f->names[f],
							  "line %zu: the header lacks the feature \"%.64s\"", in->csv.line, in->f->names[f]);
	return ERR_OK;
}

/* One row of cells, each cell's column by the header. */
static enum err
csv_values(struct reading *in, const uint32_t *columns, float *row)
{
	struct csv_cell cell;
	struct err_info why;
	size_t n = 0;
	bool more;
	enum err e;

	for (;;) {
		while (n < in->f->n && csv_number(&in->csv, &row[columns[n] - 1])) /* the hot path */
			n++;
		e = csv_cell(&in->csv, &cell, &more);
		if (e != ERR_OK || !more || n == in->f->n)
			break;
		size_t column = columns[n++] - 1;
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

/* All rows that the reader still has. */
static enum err
csv_rows(struct reading *in, const struct rows_header *h)
{
	const uint32_t *columns = (const uint32_t *)(const void *)h->columns.data;
	bool more;
	float *row;
	enum err e;

	while ((e = csv_row(&in->csv, &more)) == ERR_OK && more) {
		if ((e = add_row(in, &row)) != ERR_OK || (e = csv_values(in, columns, row)) != ERR_OK)
			return e;
		in->rows->n++;
	}
	return e;
}

enum err
rows_csv(struct rows *r, const struct features *f, const char *text, size_t len, struct err_info *info)
{
	struct reading in = {.rows = r, .f = f, .info = info};
	bool more;

	empty(r);
	csv_init(&in.csv, text, len, &in.inner);
	enum err e = csv_row(&in.csv, &more);
	if (e == ERR_OK && !more)
		return err_set(info, ERR_BAD_CSV, "the body is empty; expected a header with the features' names, and rows");
	if (e == ERR_OK)
		e = csv_header(&in, &r->header);
	if (e == ERR_OK)
		e = csv_rows(&in, &r->header);
	if (e == ERR_OK && r->n == 0)
		return no_rows(&in);
	return e;
}

enum err
rows_header_csv(struct rows_header *h, const struct features *f, const char *text, size_t len, size_t line, bool *found,
				struct err_info *info)
{
	struct reading in = {.f = f, .info = info};

	csv_resume(&in.csv, text, len, line, &in.inner);
	enum err e = csv_row(&in.csv, found);
	return e == ERR_OK && *found ? csv_header(&in, h) : e;
}

enum err
rows_csv_more(struct rows *r, const struct features *f, const struct rows_header *h, const char *text, size_t len, size_t line,
			  struct err_info *info)
{
	struct reading in = {.rows = r, .f = f, .info = info};

	empty(r);
	csv_resume(&in.csv, text, len, line, &in.inner);
	return csv_rows(&in, h);
}

/* Makes `in` go on where another reader stands, with sentences of its own; return_reader() is the way back. */
static void
borrow_reader(struct reading *in, const struct json_reader *json)
{
	in->json = *json;
	in->json.info = &in->inner;
}

static void
return_reader(const struct reading *in, struct json_reader *json)
{
	json->p = in->json.p;
	json->first = in->json.first;
}

/* The column of a name in a header, which `seen` marks; `*column` comes as the one before. `where` begins the sentences. */
static enum err
name_column(struct reading *in, const char *where_text, const char *name, size_t len, uint32_t *seen, size_t *column)
{
	char list[320];

	*column = len < FEATURES_NAME_MAX ? features_find(in->f, name, len, *column + 1) : FEATURES_NONE; /* FEATURES_NONE + 1 is 0 */
	if (*column == FEATURES_NONE)
		return err_set_at(in->info, ERR_UNKNOWN_FEATURE, ERR_NO_ROW, name, "%s name \"%.64s\"; the model has %s", where_text, name,
						  rows_list_features(in->f, list, sizeof list));
	if (seen[*column] != 0)
		return err_set_at(in->info, ERR_REPEATED_FEATURE, ERR_NO_ROW, name, "%s name \"%.64s\" twice", where_text, name);
	seen[*column] = 1;
	return ERR_OK;
}

/* The failure of a header that does not name all features. */
static enum err
lacking_column(struct reading *in, const char *where_text, const uint32_t *seen)
{
	size_t i = 0;

	while (i + 1 < in->f->n && seen[i] != 0)
		i++;
	return err_set_at(in->info, ERR_MISSING_FEATURE, ERR_NO_ROW, in->f->names[i], "%s lack the feature \"%.64s\"", where_text,
					  in->f->names[i]);
}

enum err
rows_json_array(struct rows *r, const struct features *f, const char *name, struct json_reader *json, struct err_info *info)
{
	struct reading in = {.rows = r, .f = f, .info = info, .name = name};

	empty(r);
	if (zeroes(&r->marks, f->n, info) == NULL)
		return ERR_OUT_OF_MEMORY;
	borrow_reader(&in, json);
	enum err e = json_rows(&in);
	if (e == ERR_OK && r->n == 0)
		return no_rows(&in);
	return_reader(&in, json);
	return e;
}

enum err
rows_header_json(struct rows_header *h, const struct features *f, struct json_reader *json, struct err_info *info)
{
	struct reading in = {.f = f, .info = info};
	char name[FEATURES_NAME_MAX];
	uint32_t *columns = zeroes(&h->columns, 2 * f->n, info);
	size_t column = FEATURES_NONE;
	size_t n = 0;
	size_t len;
	bool more;

	if (columns == NULL)
		return ERR_OUT_OF_MEMORY;
	borrow_reader(&in, json);
	enum err e = json_open(&in.json, '[');
	while (e == ERR_OK && (e = json_more(&in.json, ']', &more)) == ERR_OK && more) {
		e = json_string(&in.json, name, sizeof name, &len);
		if (e != ERR_OK)
			break;
		e = name_column(&in, "the columns", name, len, columns + f->n, &column);
		if (e != ERR_OK)
			return e;
		columns[n++] = (uint32_t)column + 1;
	}
	if (e != ERR_OK)
		return err_set(info, e, "the columns: %s", in.inner.text);
	return_reader(&in, json);
	return n == f->n ? ERR_OK : lacking_column(&in, "the columns", columns + f->n);
}

enum err
rows_json_table(struct rows *r, const struct features *f, const struct rows_header *h, struct json_reader *json,
				struct err_info *info)
{
	struct reading in = {.rows = r, .f = f, .info = info, .name = "data"};
	bool more;
	float *row;

	in.columns = (const uint32_t *)(const void *)h->columns.data;
	empty(r);
	borrow_reader(&in, json);
	enum err e = json_open(&in.json, '[');
	while (e == ERR_OK && (e = json_more(&in.json, ']', &more)) == ERR_OK && more) {
		if ((e = add_row(&in, &row)) != ERR_OK || (e = json_array_row(&in, row)) != ERR_OK)
			return e;
		r->n++;
	}
	if (e != ERR_OK)
		return err_set(info, e, "%s", in.inner.text);
	return_reader(&in, json);
	return r->n == 0 ? no_rows(&in) : ERR_OK;
}

/* A number of a column, which may stand in an array of its own. */
static enum err
json_cell(struct reading *in, float *out)
{
	bool more;
	enum err e;

	if (json_peek(&in->json) != JSON_ARRAY)
		return json_float(&in->json, out);
	e = json_open(&in->json, '[');
	if (e == ERR_OK)
		e = json_more(&in->json, ']', &more);
	if (e == ERR_OK && !more)
		return json_fail(&in->json, ERR_WRONG_TYPE, "expected a number in the array");
	if (e == ERR_OK)
		e = json_float(&in->json, out);
	if (e == ERR_OK)
		e = json_more(&in->json, ']', &more);
	if (e == ERR_OK && more)
		return json_fail(&in->json, ERR_WRONG_TYPE, "expected one number a row in a column");
	return e;
}

/* Takes a matrix of one column apart, into one of all features. */
static enum err
spread_column(struct reading *in, size_t column)
{
	struct rows *r = in->rows;
	size_t bytes = r->n * in->f->n * sizeof(float);

	if (r->n == 0)
		return no_rows(in);
	if (r->n > r->values.max / sizeof(float) / in->f->n)
		return err_set(in->info, ERR_TOO_MANY_ROWS, "%zu rows of %zu features are too many for one request; send them in several",
					   r->n, in->f->n);
	if (!buf_reserve(&r->values, bytes - r->values.len))
		return err_set(in->info, ERR_OUT_OF_MEMORY, "no memory for %zu rows; send fewer rows in one request", r->n);
	float *values = (float *)(void *)r->values.data;
	for (size_t i = r->n; i-- > 0;)
		values[i * in->f->n + column] = values[i];
	r->values.len = bytes;
	return ERR_OK;
}

/* The numbers of the first column, which say how many rows there are: one behind the other, and then in their places. */
static enum err
json_first_column(struct reading *in, size_t column)
{
	struct rows *r = in->rows;
	bool more;
	enum err e = json_open(&in->json, '[');

	while (e == ERR_OK && (e = json_more(&in->json, ']', &more)) == ERR_OK && more) {
		if (r->n == r->n_max)
			return err_set(in->info, ERR_TOO_MANY_ROWS, "more than %zu rows in one request; send them in several", r->n_max);
		if (!buf_reserve(&r->values, sizeof(float)))
			return err_set(in->info, ERR_OUT_OF_MEMORY, "no memory for row %zu; send fewer rows in one request", r->n);
		e = json_cell(in, (float *)(void *)(r->values.data + r->values.len));
		if (e != ERR_OK)
			return fail_at(in, e, in->f->names[column]);
		r->values.len += sizeof(float);
		r->n++;
	}
	return e == ERR_OK ? spread_column(in, column) : fail_at(in, e, in->f->names[column]);
}

/* The numbers of a further column. */
static enum err
json_next_column(struct reading *in, size_t column)
{
	struct rows *r = in->rows;
	float *values = (float *)(void *)r->values.data;
	size_t n = r->n;
	size_t i = 0;
	bool more;
	enum err e = json_open(&in->json, '[');

	while (e == ERR_OK && (e = json_more(&in->json, ']', &more)) == ERR_OK && more && i < n) {
		r->n = i; /* for the sentences */
		e = json_cell(in, &values[i * in->f->n + column]);
		i++;
	}
	if (e != ERR_OK)
		return fail_at(in, e, in->f->names[column]);
	r->n = n;
	if (i != n || more)
		return err_set_at(in->info, ERR_WRONG_FEATURE_COUNT, ERR_NO_ROW, in->f->names[column],
						  "the column \"%.64s\" has %s%zu rows, the one before it %zu", in->f->names[column],
						  more ? "more than " : "", i, n);
	return ERR_OK;
}

enum err
rows_json_columns(struct rows *r, const struct features *f, struct json_reader *json, struct err_info *info)
{
	struct reading in = {.rows = r, .f = f, .info = info};
	char name[FEATURES_NAME_MAX];
	uint32_t *seen = zeroes(&r->marks, f->n, info);
	size_t column = FEATURES_NONE;
	size_t n = 0;
	size_t len;
	bool more;

	empty(r);
	if (seen == NULL)
		return ERR_OUT_OF_MEMORY;
	borrow_reader(&in, json);
	enum err e = json_open(&in.json, '{');
	while (e == ERR_OK && (e = json_more(&in.json, '}', &more)) == ERR_OK && more) {
		e = json_name(&in.json, name, sizeof name, &len);
		if (e != ERR_OK)
			break;
		e = name_column(&in, "the columns", name, len, seen, &column);
		if (e == ERR_OK)
			e = n++ == 0 ? json_first_column(&in, column) : json_next_column(&in, column);
		if (e != ERR_OK)
			return e;
	}
	if (e != ERR_OK)
		return err_set(info, e, "%s", in.inner.text);
	return_reader(&in, json);
	return n == f->n ? ERR_OK : lacking_column(&in, "the columns", seen);
}

enum err
rows_make(struct rows *r, const struct features *f, size_t n, float **values, struct err_info *info)
{
	if (n == 0)
		return err_set(info, ERR_NO_ROWS, "there are no rows; send at least one");
	if (n > r->n_max)
		return err_set(info, ERR_TOO_MANY_ROWS, "more than %zu rows in one request; send them in several", r->n_max);
	buf_reset(&r->values);
	if (n > r->values.max / sizeof(float) / f->n)
		return err_set(info, ERR_TOO_MANY_ROWS, "%zu rows of %zu features are too many for one request; send them in several", n,
					   f->n);
	if (!buf_reserve(&r->values, n * f->n * sizeof(float)))
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu rows of %zu features; send fewer rows in one request", n, f->n);
	r->values.len = n * f->n * sizeof(float);
	r->n = n;
	*values = (float *)(void *)r->values.data;
	return ERR_OK;
}

enum err
rows_marks(struct rows *r, const struct features *f, uint32_t **marks, struct err_info *info)
{
	*marks = zeroes(&r->marks, f->n, info);
	return *marks != NULL ? ERR_OK : ERR_OUT_OF_MEMORY;
}
