/* json.c - a strict pull reader of JSON, and whole documents through cJSON */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static enum err json_word(struct json_reader *r, const char *word);
static enum err json_escape(struct json_reader *r, char out[4], size_t *n);
static enum err json_container(struct json_reader *r, char open, int depth_max);
static enum err json_tree_names(const char *name, const struct cJSON *item, struct err_info *info);

void
json_init(struct json_reader *r, const char *text, size_t len, struct err_info *info)
{
	*r = (struct json_reader){.text = text, .p = text, .end = text + len, .info = info};
}

static inline void
skip_space(struct json_reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
		r->p++;
}

enum json_kind
json_peek(struct json_reader *r)
{
	skip_space(r);
	if (r->p == r->end)
		return JSON_END;
	switch (*r->p) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 'n':
		return JSON_NULL;
	case 'N':
		return JSON_NAN;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case '-':
	case '+':
	case '.':
	case 'I':
		return JSON_NUMBER;
	default:
		return *r->p >= '0' && *r->p <= '9' ? JSON_NUMBER : JSON_BAD;
	}
}

const char *
json_kind_name(enum json_kind kind)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",  [JSON_NUMBER] = "a number",
		[JSON_NULL] = "null",        [JSON_NAN] = "NaN",
		[JSON_TRUE] = "true",        [JSON_FALSE] = "false",
		[JSON_END] = "the end",      [JSON_BAD] = "a character that starts no JSON value",
	};
	return names[kind];
}

enum err
json_fail(struct json_reader *r, enum err code, const char *format, ...)
{
	char sentence[ERR_TEXT_MAX / 2];
	size_t line = 1;
	const char *line_start = r->text;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	for (const char *p = r->text; p < r->p; p++) {
		if (*p == '\n') {
			line++;
			line_start = p + 1;
		}
	}
	size_t column = (size_t)(r->p - line_start) + 1;
	if (r->a_line)
		return err_set(r->info, code, "column %zu: %s", column, sentence);
	return err_set(r->info, code, "line %zu, column %zu: %s", line, column, sentence);
}

/* What stands at the reader does not belong there. */
static enum err
json_unexpected(struct json_reader *r, const char *expected)
{
	char shown[8];

	skip_space(r);
	if (r->p == r->end)
		return json_fail(r, ERR_BAD_JSON, "the JSON text ends too early; expected %s", expected);
	if (r->p == r->text && r->end - r->p >= 3 && memcmp(r->p, "\xEF\xBB\xBF", 3) == 0)
		return json_fail(r, ERR_BAD_JSON, "the JSON text starts with a byte order mark; send it without");
	text_quote(r->p, 1, shown, sizeof shown);
	if (*r->p >= 0x20 && *r->p < 0x7F)
		return json_fail(r, ERR_BAD_JSON, "found '%s'; expected %s", shown, expected);
	return json_fail(r, ERR_BAD_JSON, "found the byte 0x%02X; expected %s", (unsigned)(unsigned char)*r->p, expected);
}

enum err
json_open(struct json_reader *r, char bracket)
{
	skip_space(r);
	if (r->p == r->end || *r->p != bracket)
		return json_unexpected(r, bracket == '[' ? "'[' (an array)" : "'{' (an object)");
	r->p++;
	r->first = true;
	return ERR_OK;
}

enum err
json_more(struct json_reader *r, char bracket, bool *more)
{
	bool first = r->first;

	skip_space(r);
	r->first = false;
	*more = false;
	if (r->p < r->end && *r->p == bracket) {
		r->p++;
		return ERR_OK;
	}
	if (!first) {
		if (r->p == r->end || *r->p != ',')
			return json_unexpected(r, bracket == ']' ? "',' or ']'" : "',' or '}'");
		r->p++;
		skip_space(r);
		if (r->p < r->end && *r->p == bracket)
			return json_fail(r, ERR_BAD_JSON, "a comma stands before '%c'; remove it", bracket);
	}
	*more = true;
	return ERR_OK;
}

enum err
json_float(struct json_reader *r, float *out)
{
	const char *after;

	skip_space(r);
	if (r->p < r->end && (*r->p == '-' || (*r->p >= '0' && *r->p <= '9'))) { /* the hot path */
		switch (text_float(r->p, r->end, TEXT_JSON, out, &after)) {
		case TEXT_OK:
			r->p = after;
			return ERR_OK;
		case TEXT_TOO_BIG:
			return json_fail(r, ERR_BAD_NUMBER, "the number is beyond float32 (at most 3.4028235e38)");
		case TEXT_NOT_NUMBER:
			if (r->end - r->p > 1 && r->p[0] == '-' && r->p[1] == 'I')
				return json_fail(r, ERR_BAD_NUMBER, "-Infinity is not a value a feature can have; null or NaN means missing");
			return json_fail(r, ERR_BAD_JSON, "this is not a JSON number (no leading zeros, digits on both sides of the point)");
		}
	}
	enum json_kind kind = json_peek(r);
	*out = NAN;
	if (kind == JSON_NULL)
		return json_word(r, "null");
	if (kind == JSON_NAN)
		return json_word(r, "NaN");
	if (kind == JSON_END || kind == JSON_BAD)
		return json_unexpected(r, "a number");
	if (kind != JSON_NUMBER)
		return json_fail(r, ERR_WRONG_TYPE, "expected a number, found %s", json_kind_name(kind));
	if (*r->p == 'I')
		return json_fail(r, ERR_BAD_NUMBER, "Infinity is not a value a feature can have; null or NaN means missing");
	return json_fail(r, ERR_BAD_JSON, "a JSON number starts with a digit or a minus sign");
}

enum err
json_integer(struct json_reader *r, long long min, long long max, long long *out)
{
	enum json_kind kind = json_peek(r);
	const char *start = r->p;
	char digits[24];
	float ignored;

	if (kind == JSON_END || kind == JSON_BAD)
		return json_unexpected(r, "a whole number");
	if (kind != JSON_NUMBER)
		return json_fail(r, ERR_WRONG_TYPE, "expected a whole number, found %s", json_kind_name(kind));
	enum err e = json_float(r, &ignored); /* for the grammar */
	if (e != ERR_OK)
		return e;
	size_t len = (size_t)(r->p - start);
	if (len < sizeof digits) {
		memcpy(digits, start, len);
		digits[len] = '\0';
		if (text_integer(digits, min, max, out))
			return ERR_OK;
	}
	r->p = start;
	return json_fail(r, ERR_BAD_NUMBER, "expected a whole number from %lld to %lld", min, max);
}

enum err
json_boolean(struct json_reader *r, bool *out)
{
	enum json_kind kind = json_peek(r);

	if (kind == JSON_END || kind == JSON_BAD)
		return json_unexpected(r, "true or false");
	if (kind != JSON_TRUE && kind != JSON_FALSE)
		return json_fail(r, ERR_WRONG_TYPE, "expected true or false, found %s", json_kind_name(kind));
	*out = kind == JSON_TRUE;
	return json_word(r, *out ? "true" : "false");
}

enum err
json_string(struct json_reader *r, char *out, size_t cap, size_t *len)
{
	size_t n = 0;

	skip_space(r);
	if (r->p == r->end || *r->p != '"')
		return json_unexpected(r, "a string");
	for (r->p++; r->p < r->end && *r->p != '"';) {
		char decoded[4];
		const char *bytes = r->p;
		size_t size = 0;
		if (*r->p == '\\') {
			enum err e = json_escape(r, decoded, &size);
			if (e != ERR_OK)
				return e;
			bytes = decoded;
		} else {
			size = text_utf8(r->p, r->end);
			if (size == 0)
				return json_fail(r, ERR_BAD_JSON, "the string is not valid UTF-8");
			if ((unsigned char)*r->p < 0x20)
				return json_fail(r, ERR_BAD_JSON, "a control character in a string must be escaped");
			r->p += size;
		}
		for (size_t i = 0; i < size; i++, n++)
			if (n + 1 < cap)
				out[n] = bytes[i];
	}
	if (r->p == r->end)
		return json_fail(r, ERR_BAD_JSON, "the JSON text ends inside a string");
	r->p++;
	if (cap > 0)
		out[n < cap ? n : cap - 1] = '\0';
	*len = n;
	return ERR_OK;
}

enum err
json_name(struct json_reader *r, char *out, size_t cap, size_t *len)
{
	if (json_peek(r) != JSON_STRING)
		return json_unexpected(r, "a member name in double quotes");
	enum err e = json_string(r, out, cap, len);
	if (e != ERR_OK)
		return e;
	skip_space(r);
	if (r->p == r->end || *r->p != ':')
		return json_unexpected(r, "':' behind the member name");
	r->p++;
	return ERR_OK;
}

enum err
json_skip(struct json_reader *r, int depth_max)
{
	char none[1];
	size_t len;
	float number;

	switch (json_peek(r)) {
	case JSON_OBJECT:
		return json_container(r, '{', depth_max);
	case JSON_ARRAY:
		return json_container(r, '[', depth_max);
	case JSON_STRING:
		return json_string(r, none, sizeof none, &len);
	case JSON_TRUE:
		return json_word(r, "true");
	case JSON_FALSE:
		return json_word(r, "false");
	case JSON_NULL:
		return json_word(r, "null");
	case JSON_NUMBER: {
		enum err e = json_float(r, &number);
		if (e != ERR_BAD_NUMBER || *r->p == 'I' || r->p[1] == 'I')
			return e;
		/* Beyond float32, but a number all the same: its extent is known. */
		(void)text_float(r->p, r->end, TEXT_JSON, &number, &r->p);
		return ERR_OK;
	}
	case JSON_NAN:
		if (r->skip_nan)
			return json_word(r, "NaN");
		break;
	case JSON_END:
	case JSON_BAD:
		break;
	}
	return json_unexpected(r, "a value");
}

enum err
json_end(struct json_reader *r)
{
	if (json_peek(r) == JSON_END)
		return ERR_OK;
	return json_unexpected(r, "the end of the JSON text");
}

enum err
json_document(const char *name, const char *text, size_t len, struct cJSON **out, struct err_info *info)
{
	struct json_reader r;
	struct err_info inner;

	*out = NULL;
	json_init(&r, text, len, &inner);
	enum err e = json_skip(&r, JSON_DOCUMENT_DEPTH);
	if (e == ERR_OK)
		e = json_end(&r);
	if (e != ERR_OK)
		return err_set(info, ERR_BAD_JSON, "%s: %s", name, inner.text);
	struct cJSON *tree = cJSON_ParseWithLength(text, len);
	if (tree == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "%s: no memory to read it", name);
	e = json_tree_names(name, tree, info);
	if (e != ERR_OK) {
		cJSON_Delete(tree);
		return e;
	}
	*out = tree;
	return ERR_OK;
}

static enum err
json_word(struct json_reader *r, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
		return json_fail(r, ERR_BAD_JSON, "expected a value; a word that starts with '%c' can only be %s", word[0], word);
	r->p += len;
	return ERR_OK;
}

static bool
json_hex4(struct json_reader *r, uint32_t *code)
{
	*code = 0;
	if (r->end - r->p < 4)
		return false;
	for (int i = 0; i < 4; i++, r->p++) {
		char c = *r->p;
		if (c >= '0' && c <= '9')
			*code = *code * 16 + (uint32_t)(c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			*code = *code * 16 + (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	return true;
}

/* The code point of "\uXXXX" or of a pair of them; the reader stands behind the 'u'. */
static enum err
json_code_point(struct json_reader *r, uint32_t *code)
{
	uint32_t low;

	if (!json_hex4(r, code))
		return json_fail(r, ERR_BAD_JSON, "\\u needs four hexadecimal digits");
	if (*code == 0)
		return json_fail(r, ERR_BAD_JSON, "\\u0000 is not accepted in a string");
	if (*code < 0xD800 || *code > 0xDFFF)
		return ERR_OK;
	if (*code > 0xDBFF || r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u')
		return json_fail(r, ERR_BAD_JSON, "half of a surrogate pair stands alone");
	r->p += 2;
	if (!json_hex4(r, &low) || low < 0xDC00 || low > 0xDFFF)
		return json_fail(r, ERR_BAD_JSON, "half of a surrogate pair stands alone");
	*code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
	return ERR_OK;
}

static size_t
utf8_encode(uint32_t code, char out[4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3F));
	out[0] = (char)(lead[n] | code);
	return n;
}

/* Decodes one escape at the reader's backslash into UTF-8. */
static enum err
json_escape(struct json_reader *r, char out[4], size_t *n)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	uint32_t code;

	r->p++;
	if (r->p == r->end)
		return json_fail(r, ERR_BAD_JSON, "the JSON text ends inside a string");
	char c = *r->p++;
	const char *simple = c != '\0' ? strchr(from, c) : NULL;
	if (simple != NULL) {
		out[0] = to[simple - from];
		*n = 1;
		return ERR_OK;
	}
	if (c != 'u') {
		r->p--;
		return json_fail(r, ERR_BAD_JSON, "an unknown escape in a string; a backslash is written \\\\");
	}
	enum err e = json_code_point(r, &code);
	if (e == ERR_OK)
		*n = utf8_encode(code, out);
	return e;
}

static enum err
json_container(struct json_reader *r, char open, int depth_max)
{
	char close = open == '[' ? ']' : '}';
	char none[1];
	size_t len;
	bool more;

	if (depth_max <= 0)
		return json_fail(r, ERR_BAD_JSON, "nested too deeply");
	enum err e = json_open(r, open);
	while (e == ERR_OK && (e = json_more(r, close, &more)) == ERR_OK && more) {
		if (open == '{')
			e = json_name(r, none, sizeof none, &len);
		if (e == ERR_OK)
			e = json_skip(r, depth_max - 1);
	}
	return e;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Refuses an object that has a member name twice. */
static enum err
json_object_names(const char *name, const struct cJSON *object, struct err_info *info)
{
	enum err e = ERR_OK;
	size_t n = (size_t)cJSON_GetArraySize(object);
	size_t i = 0;
	const struct cJSON *member;

	if (n < 2)
		return ERR_OK;
	const char **names = calloc(n, sizeof *names);
	if (names == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "%s: no memory to read it", name);
	cJSON_ArrayForEach (member, object)
		names[i++] = member->string;
	qsort(names, n, sizeof *names, compare_names);
	for (i = 1; i < n && e == ERR_OK; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			e = err_set(info, ERR_REPEATED_FIELD, "%s: the member \"%.64s\" stands twice in one object", name, names[i]);
	free(names);
	return e;
}

static enum err
json_tree_names(const char *name, const struct cJSON *item, struct err_info *info)
{
	const struct cJSON *child;
	enum err e = ERR_OK;

	if (cJSON_IsObject(item))
		e = json_object_names(name, item, info);
	cJSON_ArrayForEach (child, item) {
		if (e != ERR_OK)
			break;
		e = json_tree_names(name, child, info);
	}
	return e;
}
