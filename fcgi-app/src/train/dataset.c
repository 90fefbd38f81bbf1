/* dataset.c - a CSV file as rows to learn from */
#include "train/dataset.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/csv.h"
#include "base/random.h"

enum { TRAIN_ROWS_MIN = 2 };

static const size_t file_max = (size_t)16 << 30;

/* One reading of the file. */
struct reading {
	struct dataset *d;
	const char *path;
	const char *target;
	struct err_info *info; /* the caller's */
	struct err_info inner; /* of the reader */
	struct csv_reader csv;
	char **names; /* owned, and each of them; all columns of the file */
	size_t n_columns;
	size_t target_column;
	struct buf values;
	struct buf targets;
};

static bool
has_name(const struct reading *in, const char *name)
{
	for (size_t i = 0; i < in->n_columns; i++)
		if (strcmp(in->names[i], name) == 0)
			return true;
	return false;
}

static enum err
add_name(struct reading *in, const char *name)
{
	char **grown = realloc(in->names, (in->n_columns + 1) * sizeof *grown);

	if (in->n_columns == DATASET_COLUMNS_MAX) {
		in->names = grown != NULL ? grown : in->names;
		return err_set(in->info, ERR_BAD_CSV, "%s: more than %d columns", in->path, DATASET_COLUMNS_MAX);
	}
	if (grown == NULL)
		return err_set(in->info, ERR_OUT_OF_MEMORY, "no memory for the columns' names");
	in->names = grown;
	if ((grown[in->n_columns] = strdup(name)) == NULL)
		return err_set(in->info, ERR_OUT_OF_MEMORY, "no memory for the columns' names");
	in->n_columns++;
	return ERR_OK;
}

static bool
is_number(const struct csv_cell *cell)
{
	struct err_info ignored;
	float value;

	return cell->len > 0 && csv_float(cell, &value, &ignored) == ERR_OK;
}

/* The names in the file's first line. Numbers there are no names: the file has none then. */
static enum err
read_header(struct reading *in)
{
	struct csv_cell cell;
	char name[FEATURES_NAME_MAX];
	size_t n_numbers = 0;
	bool more;
	enum err e = csv_row(&in->csv, &more);

	if (e == ERR_OK && !more)
		return err_set(in->info, ERR_BAD_CSV, "%s is empty; expected a header and rows", in->path);
	while (e == ERR_OK && (e = csv_cell(&in->csv, &cell, &more)) == ERR_OK && more) {
		n_numbers += is_number(&cell);
		if (!csv_text(&cell, name, sizeof name) || *name == '\0')
			return err_set(in->info, ERR_BAD_CSV, "%s: line %zu, column %zu: the name is empty, too long or not valid UTF-8",
						   in->path, in->csv.line, in->csv.column);
		if (has_name(in, name))
			return err_set(in->info, ERR_BAD_CSV, "%s: line %zu, column %zu: the name \"%.64s\" stands twice", in->path,
						   in->csv.line, in->csv.column, name);
		if ((e = add_name(in, name)) != ERR_OK)
			return e;
	}
	if (e != ERR_OK)
		return err_set(in->info, e, "%s: %s", in->path, in->inner.text);
	if (n_numbers == in->n_columns)
		return err_set(in->info, ERR_BAD_CSV, "%s: line 1 holds numbers, not names; name the columns with --columns a,b,…",
					   in->path);
	return ERR_OK;
}

static enum err
take_columns(struct reading *in, const char *columns)
{
	char name[FEATURES_NAME_MAX];

	for (const char *p = columns;; p++) {
		size_t len = strcspn(p, ",");
		if (len == 0 || len >= sizeof name)
			return err_set(in->info, ERR_USAGE, "--columns: name %zu is empty or too long", in->n_columns + 1);
		memcpy(name, p, len);
		name[len] = '\0';
		if (has_name(in, name))
			return err_set(in->info, ERR_USAGE, "--columns: the name \"%.64s\" stands twice", name);
		enum err e = add_name(in, name);
		if (e != ERR_OK)
			return e;
		p += len;
		if (*p == '\0')
			return ERR_OK;
	}
}

/* Finds the target among the columns; all others are features. */
static enum err
take_names(struct reading *in)
{
	struct err_info why;
	size_t n = 0;
	const char **features = calloc(in->n_columns, sizeof *features);

	if (features == NULL)
		return err_set(in->info, ERR_OUT_OF_MEMORY, "no memory for the columns' names");
	in->target_column = in->n_columns;
	for (size_t i = 0; i < in->n_columns; i++) {
		if (strcmp(in->names[i], in->target) == 0)
			in->target_column = i;
		else
			features[n++] = in->names[i];
	}
	enum err e = ERR_OK;
	if (in->target_column == in->n_columns)
		e = err_set(in->info, ERR_MISSING_FEATURE, "%s has no column \"%.64s\" for the target; its first is \"%.64s\"", in->path,
					in->target, in->names[0]);
	else if ((e = features_init(&in->d->features, features, n, &why)) != ERR_OK)
		(void)err_set(in->info, e, "%s: %s", in->path, why.text);
	free(features);
	return e;
}

static enum err
wrong_cell(struct reading *in, enum err e, size_t column, const char *sentence)
{
	return err_set(in->info, e, "%s: line %zu, column %zu, %s \"%.64s\": %s", in->path, in->csv.line, in->csv.column,
				   column == in->target_column ? "target" : "feature", in->names[column], sentence);
}

static enum err
read_row(struct reading *in)
{
	struct csv_cell cell;
	struct err_info why;
	size_t column = 0;
	float value;
	bool more;
	enum err e;

	while ((e = csv_cell(&in->csv, &cell, &more)) == ERR_OK && more && column < in->n_columns) {
		if ((e = csv_float(&cell, &value, &why)) != ERR_OK)
			return wrong_cell(in, e, column, why.text);
		if (column == in->target_column && isnan(value))
			return wrong_cell(in, ERR_BAD_CSV, column, "it is missing; every row needs one to learn from");
		buf_add(column == in->target_column ? &in->targets : &in->values, &value, sizeof value);
		column++;
	}
	if (e != ERR_OK)
		return err_set(in->info, e, "%s: %s", in->path, in->inner.text);
	if (column != in->n_columns || more)
		return err_set(in->info, ERR_BAD_CSV, "%s: line %zu has %s%zu cells; there are %zu columns", in->path, in->csv.line,
					   more ? "more than " : "", column, in->n_columns);
	return ERR_OK;
}

static enum err
read_rows(struct reading *in)
{
	bool more;
	enum err e = csv_row(&in->csv, &more);

	for (; e == ERR_OK && more; in->d->n++) {
		e = read_row(in);
		if (e == ERR_OK)
			e = csv_row(&in->csv, &more);
	}
	if (e != ERR_OK)
		return e;
	if (!buf_ok(&in->values) || !buf_ok(&in->targets))
		return err_set(in->info, ERR_OUT_OF_MEMORY, "%s: no memory for its %zu rows", in->path, in->d->n);
	if (in->d->n == 0)
		return err_set(in->info, ERR_NO_ROWS, "%s has no rows to learn from", in->path);
	in->d->values = (float *)(void *)in->values.data;
	in->d->target = (float *)(void *)in->targets.data;
	in->values = in->targets = (struct buf){0};
	return ERR_OK;
}

static enum err
check_target(const struct reading *in)
{
	const float *target = in->d->target;

	for (size_t i = 1; i < in->d->n; i++)
		if (target[i] < target[0] || target[i] > target[0])
			return ERR_OK;
	return err_set(in->info, ERR_BAD_CSV, "%s: the target \"%.64s\" is %g in every row: there is nothing to learn", in->path,
				   in->target, (double)target[0]);
}

static enum err
read_text(struct reading *in, const struct buf *text, const char *columns)
{
	enum err e;

	csv_init(&in->csv, text->data, text->len, &in->inner);
	buf_init(&in->values, file_max);
	buf_init(&in->targets, file_max);
	e = *columns == '\0' ? read_header(in) : take_columns(in, columns);
	if (e == ERR_OK)
		e = take_names(in);
	if (e == ERR_OK)
		e = read_rows(in);
	return e == ERR_OK ? check_target(in) : e;
}

enum err
dataset_init(struct dataset *d, const char *path, const char *columns, const char *target, struct err_info *info)
{
	struct reading in = {.d = d, .path = path, .target = target, .info = info};
	struct buf text;

	*d = (struct dataset){0};
	buf_init(&text, file_max);
	enum err e = files_read(path, &text, info);
	if (e == ERR_OK && text.len == 0)
		e = err_set(info, ERR_BAD_CSV, "%s is empty; expected a header and rows", path);
	if (e == ERR_OK) {
		files_sha256(text.data, text.len, d->sha256);
		(void)buf_peek(&text); /* the reader wants a NUL behind the text */
		e = read_text(&in, &text, columns);
	}
	buf_release(&text);
	buf_release(&in.values);
	buf_release(&in.targets);
	for (size_t i = 0; i < in.n_columns; i++)
		free(in.names[i]);
	free(in.names);
	if (e != ERR_OK)
		dataset_release(d);
	return e;
}

void
dataset_release(struct dataset *d)
{
	features_release(&d->features);
	free(d->values);
	free(d->target);
	*d = (struct dataset){0};
}

/* Fisher and Yates's shuffle, as Knuth's algorithm P (The Art of Computer Programming, 3.4.2). */
static void
shuffle(size_t *order, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	for (size_t i = n; i > 1; i--) {
		size_t k = random_below(&seed, i);
		size_t swapped = order[i - 1];
		order[i - 1] = order[k];
		order[k] = swapped;
	}
}

enum err
split_init(struct split *s, size_t n, double test, double validation, uint64_t seed, struct err_info *info)
{
	*s = (struct split){.n_test = (size_t)((double)n * test), .n_validation = (size_t)((double)n * validation)};
	if ((test > 0 && s->n_test == 0) || (validation > 0 && s->n_validation == 0) ||
		s->n_test + s->n_validation + TRAIN_ROWS_MIN > n)
		return err_set(
			info, ERR_NO_ROWS,
			"%zu rows are too few for shares of %g to hold out and %g to stop the training; give more rows, or --test 0 and "
			"--validation 0",
			n, test, validation);
	s->n_train = n - s->n_test - s->n_validation;
	s->order = calloc(n, sizeof *s->order);
	if (s->order == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory to shuffle %zu rows", n);
	shuffle(s->order, n, seed);
	return ERR_OK;
}

void
split_release(struct split *s)
{
	free(s->order);
	*s = (struct split){0};
}
