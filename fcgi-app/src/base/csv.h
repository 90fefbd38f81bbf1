/* csv.h - a pull reader of CSV, and where to cut it */
#ifndef FUTAIE_CSV_H
#define FUTAIE_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Reads RFC 4180 and what spreadsheets make of it: cells separated by commas, quoted or not, "" for a quote inside quotes; lines that
 * end in LF, CRLF or CR, mixed; a byte order mark at the start; empty lines are passed over. Allocates nothing; cells point into the
 * text, which the caller owns. Failures name line and column and end the reading.
 *
 *	csv_init(&r, text, len, &info);
 *	while (e == ERR_OK && (e = csv_row(&r, &more)) == ERR_OK && more)
 *		while (e == ERR_OK && (e = csv_cell(&r, &cell, &more)) == ERR_OK && more)
 *			e = csv_float(&cell, &x, &info);
 */
struct csv_reader {
	const char *p;
	const char *end; /* *end is readable and NUL */
	struct err_info *info;
	size_t line;   /* of the cell last given, from 1 */
	size_t column; /* of the cell last given, from 1; 0 before the first of a row */
	size_t next_line;
	bool row_ended;
};

struct csv_cell {
	const char *text; /* borrowed; without the quotes, but with "" still doubled where `doubled` */
	size_t len;
	bool quoted;
	bool doubled;
};

/* `text` must be NUL-terminated at `len`. */
void csv_init(struct csv_reader *r, const char *text, size_t len, struct err_info *info);

/* The same for rows from the middle of a text: the first of them stands in line `line`, and no byte order mark is looked for. */
void csv_resume(struct csv_reader *r, const char *text, size_t len, size_t line, struct err_info *info);

/* Moves to the next row that is not empty; `*more` is false at the end of the text. */
enum err csv_row(struct csv_reader *r, bool *more);

/* Gives the row's next cell; `*more` is false behind its last. ERR_BAD_CSV for a quote that does not close or closes mid-cell. */
enum err csv_cell(struct csv_reader *r, struct csv_cell *cell, bool *more);

/*
 * Takes the row's next cell in one go where it is a bare number, as nearly all are: what csv_cell() and csv_float() would give. False
 * where it is anything else, the row's end included, and then nothing is taken.
 */
bool csv_number(struct csv_reader *r, float *out);

/* Copies a cell's text without doubled quotes and outer blanks, NUL-terminated; false where it does not fit, is not UTF-8 or holds a NUL. */
bool csv_text(const struct csv_cell *cell, char *out, size_t cap);

/*
 * The number in a cell, as float32; an empty cell, NaN and nan are NaN (missing). On failure ERR_BAD_NUMBER (Infinity, beyond float32) or
 * ERR_BAD_CSV (no number), with no place in the sentence: the caller knows the column's name.
 */
enum err csv_float(const struct csv_cell *cell, float *out, struct err_info *info);

/* Where the next byte stands, for csv_cut(). */
enum csv_place {
	CSV_CELL_START, /* where a quote opens a quoted cell */
	CSV_CELL,
	CSV_QUOTED,
	CSV_QUOTE /* behind a quote in a quoted cell: its end, or the first of two */
};

/* How far a text that grows at its end was looked at. A zeroed struct is at the start of a row. */
struct csv_cut {
	size_t seen;          /* bytes looked at */
	size_t end;           /* bytes up to the end of the last row that is whole; 0 where there is none yet */
	enum csv_place place; /* of the byte at `seen` */
	bool lines;           /* set by the caller: quotes mean nothing, each line is a row */
};

/*
 * Looks at the bytes of `text` behind c->seen: for who cannot hold a whole text and must not part a row, nor CR from LF. It sees quotes
 * as csv_cell() does. With `first_row` it stops behind the first row end that it meets; an empty line counts as a row here.
 */
void csv_cut(struct csv_cut *c, const char *text, size_t len, bool first_row);

/* Line ends in a text, within quotes or not, as the reader counts them. text[len] must be readable. */
size_t csv_count_lines(const char *text, size_t len);

#endif
