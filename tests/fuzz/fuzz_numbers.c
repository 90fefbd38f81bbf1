/* fuzz_numbers.c - any text as a number and as a body of rows: the readers of the server against slow ones that are written plainly */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/text.h"
#include "fuzz.h"
#include "model/rows.h"
#include "model/tensors.h"

/*
 * Two judges: a reader of the grammar, character by character, that has the C library make the numbers; and, for what the members of a JSON
 * text are, cJSON. cJSON is no judge of what is JSON, since it
 *	- takes 01, 1., -.5, raw control characters, bytes that are not UTF-8, any white space, a byte order mark, text behind the document;
 *	- refuses NaN, and before CVE-2023-26819 was mended numbers of more than 63 characters;
 *	- has numbers as double, so that one may round twice on its way to float.
 * So it gets a text that the first judge has accepted, with the NaN written null and long numbers written 0; and what it makes of a number may
 * be the float next to ours.
 */
enum { DEPTH_MAX = 40, N_FEATURES = 2, ROWS_MAX = 1000, CJSON_NUMBER_MAX = 60 };

static const char *const names[N_FEATURES] = {"a", "b"};

/* Numbers alone */

static const char *
skip_digits(const char *p)
{
	while (*p >= '0' && *p <= '9')
		p++;
	return p;
}

/* Where the number at `p` ends, or NULL where none does; the text is NUL-terminated. */
static const char *
slow_number_end(const char *p, enum text_grammar grammar)
{
	if (*p == '-' || (grammar == TEXT_CSV && *p == '+'))
		p++;
	const char *whole = p;
	p = skip_digits(p);
	size_t n_whole = (size_t)(p - whole);
	size_t n_fraction = 0;
	if (grammar == TEXT_JSON && (n_whole == 0 || (*whole == '0' && n_whole > 1)))
		return NULL;
	if (*p == '.') {
		const char *fraction = p + 1;
		p = skip_digits(fraction);
		n_fraction = (size_t)(p - fraction);
		if (grammar == TEXT_JSON && n_fraction == 0)
			return NULL;
	}
	if (n_whole + n_fraction == 0)
		return NULL;
	if (*p != 'e' && *p != 'E')
		return p;
	p += p[1] == '+' || p[1] == '-' ? 2 : 1;
	return *p >= '0' && *p <= '9' ? skip_digits(p) : NULL;
}

static float
slow_float(const char *p, const char *end)
{
	char *alone = fuzz_copy(p, (size_t)(end - p));
	char *after;
	float x = strtof(alone, &after);

	FUZZ_CHECK(*after == '\0', "strtof stops in \"%s\"", alone);
	free(alone);
	return x;
}

static void
check_number(const char *text, size_t len, enum text_grammar grammar)
{
	const char *expected_end = slow_number_end(text, grammar);
	const char *after = NULL;
	float x = 0;
	enum text_number got = text_float(text, text + len, grammar, &x, &after);

	FUZZ_CHECK((got == TEXT_NOT_NUMBER) == (expected_end == NULL), "\"%s\" is a number for one reader only", text);
	if (expected_end == NULL)
		return;
	float expected = slow_float(text, expected_end);
	FUZZ_CHECK(after == expected_end, "\"%s\" ends after %td or %td characters", text, after - text, expected_end - text);
	FUZZ_CHECK((got == TEXT_TOO_BIG) == !isfinite(expected), "\"%s\" is too big for one reader only", text);
	FUZZ_CHECK(got == TEXT_TOO_BIG || fuzz_same(x, expected), "\"%s\" is %a or %a", text, (double)x, (double)expected);
	if (got == TEXT_OK) {
		char shortest[TEXT_FLOAT_MAX + 1] = "";
		shortest[text_float_print(x, shortest)] = '\0';
		FUZZ_CHECK(fuzz_same(strtof(shortest, NULL), x), "%a is printed as %s", (double)x, shortest);
	}
}

/* Up to the first NUL, at the end of a text, and where a comma stands behind it, with more to come. */
static void
check_numbers(const char *bytes, size_t len)
{
	size_t n = strnlen(bytes, len);
	char *text = fuzz_copy(bytes, n);

	check_number(text, n, TEXT_JSON);
	check_number(text, n, TEXT_CSV);
	free(text);
	text = fuzz_alloc(n + 32);
	memcpy(text, bytes, n);
	memset(text + n, ',', 30);
	check_number(text, n + 30, TEXT_JSON);
	check_number(text, n + 30, TEXT_CSV);
	free(text);
}

/* JSON */

struct slow_number {
	float x;
	bool kept; /* cJSON reads its text */
};

/* A text that is read by the grammar, and what cJSON gets of it. */
struct slow_json {
	const char *p;
	const char *end;
	struct slow_number *numbers; /* owned; in the text's order, null and NaN among them */
	size_t n_numbers;
	char *plain; /* owned */
	size_t n_plain;
	int deepest;
	bool has_nan;
	bool has_long; /* a number that some cJSON cannot read */
	bool too_big;  /* a number beyond float32 */
};

static bool slow_value(struct slow_json *s, int depth);

static void
keep(struct slow_json *s, const char *from, size_t len)
{
	memcpy(s->plain + s->n_plain, from, len);
	s->n_plain += len;
}

static void
add_number(struct slow_json *s, float x, bool kept)
{
	s->numbers[s->n_numbers++] = (struct slow_number){.x = x, .kept = kept};
}

static bool
slow_number(struct slow_json *s)
{
	const char *end = slow_number_end(s->p, TEXT_JSON);

	if (end == NULL)
		return false;
	size_t len = (size_t)(end - s->p);
	float x = slow_float(s->p, end);
	bool kept = len <= CJSON_NUMBER_MAX;
	s->has_long = s->has_long || !kept;
	s->too_big = s->too_big || !isfinite(x);
	add_number(s, x, kept);
	keep(s, kept ? s->p : "0", kept ? len : 1);
	s->p = end;
	return true;
}

static void
slow_space(struct slow_json *s)
{
	while (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')
		keep(s, s->p++, 1);
}

/* The next character is `c`, and is taken; the text's end is a NUL. */
static bool
slow_take(struct slow_json *s, char c)
{
	slow_space(s);
	if (s->p == s->end || *s->p != c)
		return false;
	keep(s, s->p++, 1);
	return true;
}

static bool
slow_word(struct slow_json *s, const char *word, const char *instead)
{
	size_t len = strlen(word);

	if (strncmp(s->p, word, len) != 0)
		return false;
	keep(s, instead, strlen(instead));
	s->p += len;
	return true;
}

/* RFC 3629's table, row by row. */
static size_t
slow_utf8(const unsigned char *u)
{
	static const unsigned char rows[][5] = {{1, 0x20, 0x7F, 0, 0},       {2, 0xC2, 0xDF, 0x80, 0xBF}, {3, 0xE0, 0xE0, 0xA0, 0xBF},
											{3, 0xE1, 0xEC, 0x80, 0xBF}, {3, 0xED, 0xED, 0x80, 0x9F}, {3, 0xEE, 0xEF, 0x80, 0xBF},
											{4, 0xF0, 0xF0, 0x90, 0xBF}, {4, 0xF1, 0xF3, 0x80, 0xBF}, {4, 0xF4, 0xF4, 0x80, 0x8F}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (u[0] < rows[i][1] || u[0] > rows[i][2])
			continue;
		if (rows[i][0] > 1 && (u[1] < rows[i][3] || u[1] > rows[i][4]))
			return 0;
		for (size_t k = 2; k < rows[i][0]; k++)
			if (u[k] < 0x80 || u[k] > 0xBF)
				return 0;
		return rows[i][0];
	}
	return 0;
}

/* The four digits of \uXXXX, or -1. */
static long
slow_hex(const char *p)
{
	char digits[5] = "";

	for (size_t i = 0; i < 4; i++) {
		if (p[i] == '\0' || strchr("0123456789abcdefABCDEF", p[i]) == NULL)
			return -1;
		digits[i] = p[i];
	}
	return strtol(digits, NULL, 16);
}

/* Characters of the escape at the backslash, or 0. No NUL and no half of a surrogate pair. */
static size_t
slow_escape(const char *p)
{
	if (p[1] != 'u')
		return p[1] != '\0' && strchr("\"\\/bfnrt", p[1]) != NULL ? 2 : 0;
	long code = slow_hex(p + 2);
	if (code <= 0 || (code >= 0xDC00 && code <= 0xDFFF))
		return 0;
	if (code < 0xD800 || code > 0xDBFF)
		return 6;
	long low = p[6] == '\\' && p[7] == 'u' ? slow_hex(p + 8) : -1;
	return low >= 0xDC00 && low <= 0xDFFF ? 12 : 0;
}

static bool
slow_string(struct slow_json *s)
{
	if (!slow_take(s, '"'))
		return false;
	while (*s->p != '"') {
		size_t n = *s->p == '\\' ? slow_escape(s->p) : slow_utf8((const unsigned char *)s->p);
		if (n == 0)
			return false;
		keep(s, s->p, n);
		s->p += n;
	}
	return slow_take(s, '"');
}

static bool
slow_members(struct slow_json *s, int depth)
{
	bool object = *s->p == '{';
	char close = object ? '}' : ']';

	if (depth > s->deepest)
		s->deepest = depth;
	keep(s, s->p++, 1);
	if (depth > DEPTH_MAX)
		return false;
	if (slow_take(s, close))
		return true;
	do {
		slow_space(s);
		if (object && (!slow_string(s) || !slow_take(s, ':')))
			return false;
		if (!slow_value(s, depth))
			return false;
	} while (slow_take(s, ','));
	return slow_take(s, close);
}

static bool
slow_value(struct slow_json *s, int depth)
{
	slow_space(s);
	switch (*s->p) {
	case '{':
	case '[':
		return slow_members(s, depth + 1);
	case '"':
		return slow_string(s);
	case 't':
		return slow_word(s, "true", "true");
	case 'f':
		return slow_word(s, "false", "false");
	case 'n':
		add_number(s, NAN, false);
		return slow_word(s, "null", "null");
	case 'N':
		s->has_nan = true;
		add_number(s, NAN, false);
		return slow_word(s, "NaN", "null");
	default:
		return slow_number(s);
	}
}

/* Whether the text is JSON plus NaN. */
static bool
slow_json_init(struct slow_json *s, const char *text, size_t len)
{
	*s = (struct slow_json){.p = text,
							.end = text + len,
							.numbers = fuzz_alloc((len + 1) * sizeof *s->numbers),
							.plain = fuzz_alloc(2 * len + 8)}; /* "null" is longer than "NaN" */
	if (!slow_value(s, 0))
		return false;
	slow_space(s);
	return s->p == s->end;
}

static void
slow_json_release(struct slow_json *s)
{
	free(s->numbers);
	free(s->plain);
}

/* Rows as the second readers have them. */
struct matrix {
	float cells[ROWS_MAX][N_FEATURES];
	size_t n;
};

/* A cell that is a number or null, which is the next of the text. */
static bool
take_cell(const struct slow_json *s, size_t *next, const cJSON *item, float *cell)
{
	if (!cJSON_IsNumber(item) && !cJSON_IsNull(item))
		return false;
	FUZZ_CHECK(*next < s->n_numbers, "cJSON has more than %zu numbers", s->n_numbers);
	const struct slow_number *number = &s->numbers[(*next)++];
	*cell = number->x;
	if (number->kept) {
		float theirs = (float)item->valuedouble;
		FUZZ_CHECK(fuzz_same(theirs, number->x) || nextafterf(theirs, number->x) == number->x, "%a, and %a for cJSON",
				   (double)number->x, (double)theirs);
	}
	return true;
}

static bool
take_row(const struct slow_json *s, size_t *next, const cJSON *row, float *cells)
{
	const cJSON *item;
	bool seen[N_FEATURES] = {false};
	size_t n = 0;

	if (!cJSON_IsArray(row) && !cJSON_IsObject(row))
		return false;
	cJSON_ArrayForEach (item, row) {
		size_t column = n++;
		if (cJSON_IsObject(row))
			for (column = 0; column < N_FEATURES && strcmp(names[column], item->string) != 0;)
				column++;
		if (column >= N_FEATURES || seen[column] || !take_cell(s, next, item, &cells[column]))
			return false;
		seen[column] = true;
	}
	return n == N_FEATURES;
}

/* What the text's members say, once it is JSON. */
static bool
take_rows(const struct slow_json *s, const cJSON *tree, struct matrix *m)
{
	const cJSON *list = cJSON_IsObject(tree) ? tree->child : NULL;
	const cJSON *row;
	size_t next = 0;

	m->n = 0;
	if (list == NULL || list->next != NULL || strcmp(list->string, "features") != 0 || !cJSON_IsArray(list))
		return false;
	cJSON_ArrayForEach (row, list) {
		if (m->n == ROWS_MAX || !take_row(s, &next, row, m->cells[m->n]))
			return false;
		m->n++;
	}
	return m->n > 0;
}

static bool
slow_rows_json(const char *text, size_t len, struct matrix *m)
{
	struct slow_json s;
	bool fine = slow_json_init(&s, text, len);

	if (fine && s.deepest <= 3 && !s.too_big) {
		cJSON *tree = cJSON_ParseWithLength(s.plain, s.n_plain);
		FUZZ_CHECK(tree != NULL, "cJSON refuses \"%s\"", s.plain);
		fine = take_rows(&s, tree, m);
		cJSON_Delete(tree);
	} else {
		fine = false;
	}
	slow_json_release(&s);
	return fine;
}

/* CSV */

struct slow_csv {
	const char *p;
	const char *end;
	char *cell; /* owned; the text of the cell, without its quotes and outer blanks */
	size_t n;
	bool last; /* of its row */
};

static bool
is_line_end(char c)
{
	return c == '\n' || c == '\r';
}

static void
slow_line_end(struct slow_csv *s)
{
	if (s->p < s->end)
		s->p += s->p[0] == '\r' && s->p + 1 < s->end && s->p[1] == '\n' ? 2 : 1;
}

static void
slow_trim(struct slow_csv *s)
{
	size_t from = 0;

	while (s->n > 0 && (s->cell[s->n - 1] == ' ' || s->cell[s->n - 1] == '\t'))
		s->n--;
	while (from < s->n && (s->cell[from] == ' ' || s->cell[from] == '\t'))
		from++;
	s->n -= from;
	memmove(s->cell, s->cell + from, s->n);
	s->cell[s->n] = '\0';
}

/* False where a quote does not close, or text stands behind the one that does. */
static bool
slow_quoted(struct slow_csv *s)
{
	for (s->p++;; s->p++) {
		if (s->p == s->end)
			return false;
		if (*s->p == '"' && (s->p + 1 == s->end || s->p[1] != '"'))
			break;
		if (*s->p == '"')
			s->p++;
		s->cell[s->n++] = *s->p;
	}
	for (s->p++; s->p < s->end && *s->p == ' ';)
		s->p++;
	return s->p == s->end || *s->p == ',' || is_line_end(*s->p);
}

static bool
slow_cell(struct slow_csv *s)
{
	s->n = 0;
	if (s->p < s->end && *s->p == '"') {
		if (!slow_quoted(s))
			return false;
	} else {
		while (s->p < s->end && *s->p != ',' && !is_line_end(*s->p))
			s->cell[s->n++] = *s->p++;
	}
	slow_trim(s);
	s->last = s->p == s->end || *s->p != ',';
	if (s->last)
		slow_line_end(s);
	else
		s->p++;
	return true;
}

/* Moves to the next row; false at the end of the text. */
static bool
slow_row(struct slow_csv *s)
{
	while (s->p < s->end && is_line_end(*s->p))
		s->p++;
	s->last = false;
	return s->p < s->end;
}

static bool
slow_header(struct slow_csv *s, size_t columns[N_FEATURES])
{
	bool seen[N_FEATURES] = {false};

	for (size_t n = 0; !s->last; n++) {
		size_t column = 0;
		if (n == N_FEATURES || !slow_cell(s))
			return false;
		while (column < N_FEATURES && (strlen(names[column]) != s->n || memcmp(names[column], s->cell, s->n) != 0))
			column++;
		if (column == N_FEATURES || seen[column])
			return false;
		seen[column] = true;
		columns[n] = column;
	}
	return seen[0] && seen[1];
}

static bool
slow_cell_float(const struct slow_csv *s, float *x)
{
	*x = NAN;
	if (s->n == 0 || (s->n == 3 && strncasecmp(s->cell, "nan", 3) == 0))
		return true;
	if (slow_number_end(s->cell, TEXT_CSV) != s->cell + s->n)
		return false;
	*x = slow_float(s->cell, s->cell + s->n);
	return isfinite(*x);
}

static bool
slow_table(struct slow_csv *s, struct matrix *m)
{
	size_t columns[N_FEATURES] = {0};

	if (!slow_row(s) || !slow_header(s, columns))
		return false;
	for (m->n = 0; slow_row(s); m->n++) {
		size_t n = 0;
		for (; !s->last; n++)
			if (m->n == ROWS_MAX || n == N_FEATURES || !slow_cell(s) || !slow_cell_float(s, &m->cells[m->n][columns[n]]))
				return false;
		if (n != N_FEATURES)
			return false;
	}
	return m->n > 0;
}

static bool
slow_rows_csv(const char *text, size_t len, struct matrix *m)
{
	size_t mark = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
	struct slow_csv s = {.p = text + mark, .end = text + len, .cell = fuzz_alloc(len)};
	bool fine = slow_table(&s, m);

	free(s.cell);
	return fine;
}

/* Both readers of a whole text */

static struct features features;
static struct rows rows;
static struct tensors tensors;
static struct matrix slow; /* large for a stack */

typedef enum err read_fn(struct rows *r, const struct features *f, const char *text, size_t len, struct err_info *info);
typedef bool slow_read_fn(const char *text, size_t len, struct matrix *m);

static void
check_body(const char *bytes, size_t len, read_fn *read, slow_read_fn *slow_read)
{
	char *text = fuzz_copy(bytes, len);
	struct err_info info = {0};
	enum err e = read(&rows, &features, text, len, &info);
	bool fine = slow_read(text, len, &slow);

	FUZZ_CHECK((e == ERR_OK) == fine, "%s, and the slow reader %s it: %s", err_code(e), fine ? "takes" : "refuses", text);
	FUZZ_CHECK(e == ERR_OK || (info.text[0] != '\0' && info.code == e && err_status(e) < 500), "%s: \"%s\"", err_code(e),
			   info.text);
	if (fine) {
		FUZZ_CHECK(rows.n == slow.n, "%zu or %zu rows: %s", rows.n, slow.n, text);
		for (size_t i = 0; i < rows.n * N_FEATURES; i++)
			FUZZ_CHECK(fuzz_same(rows_values(&rows)[i], slow.cells[i / N_FEATURES][i % N_FEATURES]), "cell %zu is %a or %a: %s", i,
					   (double)rows_values(&rows)[i], (double)slow.cells[i / N_FEATURES][i % N_FEATURES], text);
	}
	free(text);
}

/* A short text as the first cell of a body. */
static void
check_cell(const char *bytes, size_t len, const char *before, const char *after, read_fn *read, slow_read_fn *slow_read)
{
	size_t n_before = strlen(before);
	size_t n_after = strlen(after);
	char *text = fuzz_alloc(n_before + len + n_after);

	memcpy(text, before, n_before);
	memcpy(text + n_before, bytes, len);
	memcpy(text + n_before + len, after, n_after);
	check_body(text, n_before + len + n_after, read, slow_read);
	free(text);
}

/* A document is JSON without NaN, its depth bounded; a number beyond float32 is fine there. */
static void
check_document(const char *bytes, size_t len)
{
	char *text = fuzz_copy(bytes, len);
	struct slow_json s;
	struct cJSON *tree;
	struct err_info info = {0};
	bool fine = slow_json_init(&s, text, len) && !s.has_nan && s.deepest <= JSON_DOCUMENT_DEPTH;
	enum err e = json_document("text", text, len, &tree, &info);

	FUZZ_CHECK((e == ERR_OK || e == ERR_REPEATED_FIELD) == fine || s.has_long, "%s, and the slow reader %s it: %s", err_code(e),
			   fine ? "takes" : "refuses", text);
	FUZZ_CHECK((tree != NULL) == (e == ERR_OK) && (e == ERR_OK || info.text[0] != '\0'), "%s: \"%s\"", err_code(e), info.text);
	cJSON_Delete(tree);
	slow_json_release(&s);
	free(text);
}

static void
check_refusal(enum err e, const struct err_info *info)
{
	FUZZ_CHECK(e == ERR_OK || (info->text[0] != '\0' && info->code == e && (err_status(e) < 500 || e == ERR_NOT_IMPLEMENTED)),
			   "%s: \"%s\"", err_code(e), info->text);
}

/* A request of the Open Inference Protocol whose JSON ends at `json_len`: no harm, the body as it was, and numbers that are there and finite. */
static void
check_tensors(const char *bytes, size_t len, size_t json_len)
{
	char *body = fuzz_copy(bytes, len);
	struct err_info info = {0};
	enum err e = tensors_read(&tensors, &rows, &features, body, len, json_len, &info);

	check_refusal(e, &info);
	FUZZ_CHECK(memcmp(body, bytes, len) == 0 && body[len] == '\0', "the body was changed");
	FUZZ_CHECK(e != ERR_OK || (tensors.n_rows > 0 && tensors.n_rows <= ROWS_MAX && tensors.n_wanted > 0), "%zu rows, %zu outputs",
			   tensors.n_rows, tensors.n_wanted);
	for (size_t i = 0; e == ERR_OK && i < tensors.n_rows * N_FEATURES; i++)
		FUZZ_CHECK(!isinf(tensors.values[i]), "number %zu is infinite", i);
	free(body);
}

/* Rows in other forms, which are parts of larger bodies. */
static void
check_parts(const char *bytes, size_t len)
{
	for (int form = 0; form < 3; form++) {
		char *text = fuzz_copy(bytes, len);
		struct err_info info = {0};
		struct err_info inner = {0};
		struct json_reader json;
		json_init(&json, text, len, &inner);
		enum err e = form == 0   ? rows_json_array(&rows, &features, "instances", &json, &info)
					 : form == 1 ? rows_json_columns(&rows, &features, &json, &info)
								 : rows_header_json(&rows.header, &features, &json, &info);
		if (form == 2 && e == ERR_OK)
			e = rows_json_table(&rows, &features, &rows.header, &json, &info);
		check_refusal(e, &info);
		for (size_t i = 0; e == ERR_OK && i < rows.n * N_FEATURES; i++)
			FUZZ_CHECK(!isinf(rows_values(&rows)[i]), "number %zu is infinite", i);
		free(text);
	}
}

/* The input as a whole request, as one with a binary part of a quarter of it, and as the data of one that is right. */
static void
check_protocols(const char *bytes, size_t len)
{
	static const char before[] = "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[";
	static const char after[] = ",1]}]}";
	size_t n = sizeof before - 1 + len + sizeof after - 1;
	char *text = fuzz_alloc(n);

	check_tensors(bytes, len, len);
	check_tensors(bytes, len, len - len / 4);
	check_tensors(bytes, len, 0);
	memcpy(text, before, sizeof before - 1);
	memcpy(text + sizeof before - 1, bytes, len);
	memcpy(text + sizeof before - 1 + len, after, sizeof after - 1);
	check_tensors(text, n, n);
	free(text);
	check_parts(bytes, len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const char *text = (const char *)bytes;
	struct err_info info;

	if (features.n == 0) {
		FUZZ_CHECK(features_init(&features, names, N_FEATURES, &info) == ERR_OK, "%s", info.text);
		rows_init(&rows, 1 << 20, ROWS_MAX);
		tensors_init(&tensors);
	}
	if (len == 0)
		return 0;
	check_numbers(text, len);
	check_body(text, len, rows_json, slow_rows_json);
	check_body(text, len, rows_csv, slow_rows_csv);
	check_document(text, len);
	check_protocols(text, len);
	check_cell(text, len, "{\"features\":[[", ",1]]}", rows_json, slow_rows_json);
	check_cell(text, len, "a,b\n", ",1\n", rows_csv, slow_rows_csv);
	return 0;
}
