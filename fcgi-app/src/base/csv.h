/* csv.h - a pull reader of CSV */
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

/* Moves to the next row that is not empty; `*more` is false at the end of the text. */
enum err csv_row(struct csv_reader *r, bool *more);

/* Gives the row's next cell; `*more` is false behind its last. ERR_BAD_CSV for a quote that does not close or closes mid-cell. */
enum err csv_cell(struct csv_reader *r, struct csv_cell *cell, bool *more);

/* Copies a cell's text without doubled quotes and outer blanks, NUL-terminated; false where it does not fit, is not UTF-8 or holds a NUL. */
bool csv_text(const struct csv_cell *cell, char *out, size_t cap);

/*
 * The number in a cell, as float32; an empty cell, NaN and nan are NaN (missing). On failure ERR_BAD_NUMBER (Infinity, beyond float32) or
 * ERR_BAD_CSV (no number), with no place in the sentence: the caller knows the column's name.
 */
enum err csv_float(const struct csv_cell *cell, float *out, struct err_info *info);

#endif
