/* csv.c - a pull reader of CSV, and where to cut it */
#include "base/csv.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

static enum err csv_quoted(struct csv_reader *r, struct csv_cell *cell);
static void csv_line_end(struct csv_reader *r);
static void csv_trim(const char **text, size_t *len);
static void cut_bare(struct csv_cut *c, const char *text, size_t len);
static void cut_quoted(struct csv_cut *c, const char *text, size_t len, bool first_row);

void
csv_init(struct csv_reader *r, const char *text, size_t len, struct err_info *info)
{
	csv_resume(r, text, len, 1, info);
	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		r->p += 3;
}

void
csv_resume(struct csv_reader *r, const char *text, size_t len, size_t line, struct err_info *info)
{
	*r = (struct csv_reader){.p = text, .end = text + len, .info = info, .line = line, .next_line = line, .row_ended = true};
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

/* Takes the comma or line end that the reader stands on. */
static void
end_cell(struct csv_reader *r)
{
	if (r->p < r->end && *r->p == ',') {
		r->p++;
		return;
	}
	if (r->p < r->end)
		csv_line_end(r);
	r->row_ended = true;
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
	end_cell(r);
	return ERR_OK;
}

bool
csv_number(struct csv_reader *r, float *out)
{
	const char *after;

	if (r->row_ended || text_float(r->p, r->end, TEXT_CSV, out, &after) != TEXT_OK ||
		(after < r->end && *after != ',' && *after != '\n' && *after != '\r'))
		return false;
	r->line = r->next_line;
	r->column++;
	r->p = after;
	end_cell(r);
	return true;
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

void
csv_cut(struct csv_cut *c, const char *text, size_t len, bool first_row)
{
	bool within = c->place == CSV_QUOTED || c->place == CSV_QUOTE;

	if (!first_row && (c->lines || (!within && memchr(text + c->seen, '"', len - c->seen) == NULL)))
		cut_bare(c, text, len);
	else
		cut_quoted(c, text, len, first_row);
}

size_t
csv_count_lines(const char *text, size_t len)
{
	const char *end = text + len;
	size_t n = 0;

	for (const char *p = text; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		n++;
	for (const char *p = text; (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p++)
		n += p[1] != '\n';
	return n;
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

/* Where nothing is quoted the last line end can be looked for from behind, at the speed of memory. */
static void
cut_bare(struct csv_cut *c, const char *text, size_t len)
{
	/* A CR at the very end waits: a LF may follow. */
	size_t seen = len > c->seen && text[len - 1] == '\r' ? len - 1 : len;
	const char *rest = text + c->seen;
	const char *last = memrchr(rest, '\n', seen - c->seen);

	if (last != NULL)
		rest = last + 1;
	const char *cr = memrchr(rest, '\r', (size_t)(text + seen - rest));
	if (cr != NULL)
		last = cr;
	if (last != NULL)
		c->end = (size_t)(last - text) + 1;
	if (seen > c->seen)
		c->place = text[seen - 1] == ',' || c->end == seen ? CSV_CELL_START : CSV_CELL;
	c->seen = seen;
}

static void
cut_quoted(struct csv_cut *c, const char *text, size_t len, bool first_row)
{
	size_t i = c->seen;
	bool ended = false;

	for (; i < len && !(ended && first_row); i++) {
		ended = false;
		if (c->place == CSV_QUOTED) {
			const char *quote = memchr(text + i, '"', len - i);
			i = quote != NULL ? (size_t)(quote - text) : len - 1;
			c->place = quote != NULL ? CSV_QUOTE : CSV_QUOTED;
		} else if (text[i] == '"' && c->place != CSV_CELL && !c->lines) {
			c->place = CSV_QUOTED;
		} else if (text[i] == '\n' || text[i] == '\r') {
			if (text[i] == '\r' && i + 1 == len)
				break; /* a LF may follow */
			i += text[i] == '\r' && text[i + 1] == '\n';
			c->place = CSV_CELL_START;
			c->end = i + 1;
			ended = true;
		} else {
			c->place = text[i] == ',' ? CSV_CELL_START : CSV_CELL;
		}
	}
	c->seen = i;
}
