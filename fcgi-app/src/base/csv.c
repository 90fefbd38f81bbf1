/* csv.c - a pull reader of CSV */
#include "base/csv.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

static enum err csv_quoted(struct csv_reader *r, struct csv_cell *cell);
static void csv_line_end(struct csv_reader *r);
static void csv_trim(const char **text, size_t *len);

void
csv_init(struct csv_reader *r, const char *text, size_t len, struct err_info *info)
{
	*r = (struct csv_reader){.p = text, .end = text + len, .info = info, .line = 1, .next_line = 1, .row_ended = true};
	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		r->p += 3;
}

enum err
csv_row(struct csv_reader *r, bool *more)
{
	while (r->p < r->end && (*r->p == '\n' || *r->p == '\r'))
		csv_line_end(r);
	r->line = r->next_line;
	r->column = 0;
	r->row_ended = r->p == r->end;
	*more = !r->row_ended;
	return ERR_OK;
}

enum err
csv_cell(struct csv_reader *r, struct csv_cell *cell, bool *more)
{
	*more = !r->row_ended;
	if (r->row_ended)
		return ERR_OK;
	r->line = r->next_line;
	r->column++;
	*cell = (struct csv_cell){.text = r->p};
	if (r->p < r->end && *r->p == '"') {
		enum err e = csv_quoted(r, cell);
		if (e != ERR_OK)
			return e;
	} else {
		while (r->p < r->end && *r->p != ',' && *r->p != '\n' && *r->p != '\r')
			r->p++;
		cell->len = (size_t)(r->p - cell->text);
	}
	if (r->p < r->end && *r->p == ',') {
		r->p++;
		return ERR_OK;
	}
	if (r->p < r->end)
		csv_line_end(r);
	r->row_ended = true;
	return ERR_OK;
}

bool
csv_text(const struct csv_cell *cell, char *out, size_t cap)
{
	const char *p = cell->text;
	size_t len = cell->len;
	size_t n = 0;

	csv_trim(&p, &len);
	for (const char *end = p + len; p < end;) {
		size_t size = text_utf8(p, end);
		if (size == 0 || *p == '\0' || n + size >= cap)
			return false;
		memcpy(out + n, p, size);
		n += size;
		p += size + (cell->doubled && *p == '"');
	}
	out[n] = '\0';
	return true;
}

enum err
csv_float(const struct csv_cell *cell, float *out, struct err_info *info)
{
	const char *p = cell->text;
	size_t len = cell->len;
	const char *after;
	char shown[40];

	csv_trim(&p, &len);
	*out = NAN;
	if (len == 0 || (len == 3 && strncasecmp(p, "nan", 3) == 0))
		return ERR_OK;
	enum text_number result = text_float(p, p + len, TEXT_CSV, out, &after);
	if (result == TEXT_OK && after == p + len)
		return ERR_OK;
	text_quote(p, len, shown, sizeof shown);
	if (result == TEXT_TOO_BIG && after == p + len)
		return err_set(info, ERR_BAD_NUMBER, "%s is beyond float32 (at most 3.4028235e38)", shown);
	if (strncasecmp(p + (*p == '-' || *p == '+'), "inf", 3) == 0)
		return err_set(info, ERR_BAD_NUMBER, "\"%s\" is not a value a feature can have; an empty cell or NaN means missing", shown);
	return err_set(info, ERR_BAD_CSV, "expected a number, found \"%s\"; an empty cell or NaN means missing", shown);
}

/* The reader stands on the opening quote; afterwards on what follows the closing one. */
static enum err
csv_quoted(struct csv_reader *r, struct csv_cell *cell)
{
	const char *p = r->p + 1;

	cell->text = p;
	cell->quoted = true;
	for (;; p++) {
		if (p == r->end)
			return err_set(r->info, ERR_BAD_CSV, "line %zu, column %zu: a quoted cell does not end", r->line, r->column);
		if (*p == '\n' || (*p == '\r' && p[1] != '\n'))
			r->next_line++;
		if (*p != '"')
			continue;
		if (p[1] != '"')
			break;
		cell->doubled = true;
		p++;
	}
	cell->len = (size_t)(p - cell->text);
	r->p = p + 1;
	while (r->p < r->end && *r->p == ' ')
		r->p++;
	if (r->p < r->end && *r->p != ',' && *r->p != '\n' && *r->p != '\r')
		return err_set(r->info, ERR_BAD_CSV, "line %zu, column %zu: text stands behind the closing quote", r->line, r->column);
	return ERR_OK;
}

static void
csv_line_end(struct csv_reader *r)
{
	if (*r->p == '\r' && r->p[1] == '\n')
		r->p++;
	r->p++;
	r->next_line++;
}

static void
csv_trim(const char **text, size_t *len)
{
	while (*len > 0 && (**text == ' ' || **text == '\t')) {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t'))
		(*len)--;
}
