/* modelfile.c - a pull reader of XGBoost's model files, JSON or UBJSON */
#include "model/modelfile.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/describe.h"

enum { NUMBER_MAX = 64 /* characters of a number in JSON */ };

enum err
modelfile_fail(struct modelfile *r, const char *format, ...)
{
	char sentence[ERR_TEXT_MAX / 2];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	return err_set(r->info, ERR_BAD_MODEL, "the model file, byte %zu: %s", (size_t)(r->p - r->start), sentence);
}

enum err
modelfile_init(struct modelfile *r, const void *bytes, size_t len, struct err_info *info)
{
	enum describe_kind kind = describe_kind(bytes, len);

	*r = (struct modelfile){.start = bytes, .p = bytes, .end = (const unsigned char *)bytes + len, .info = info};
	r->binary = kind == DESCRIBE_UBJSON;
	if (kind != DESCRIBE_UBJSON && kind != DESCRIBE_JSON)
		return modelfile_fail(r, "the file is neither JSON nor UBJSON");
	return ERR_OK;
}

static void
skip_space(struct modelfile *r)
{
	while (!r->binary && r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
		r->p++;
}

/* The character that a value starts with, not taken; 0 at the end. */
static unsigned char
next(struct modelfile *r)
{
	skip_space(r);
	while (r->binary && r->p < r->end && *r->p == 'N') /* UBJSON's no-op */
		r->p++;
	return r->p < r->end ? *r->p : 0;
}

static enum err
unexpected(struct modelfile *r, const char *expected)
{
	if (r->p >= r->end)
		return modelfile_fail(r, "the file ends too early; expected %s", expected);
	return modelfile_fail(r, "found the byte 0x%02X; expected %s", (unsigned)*r->p, expected);
}

/* Bytes of a UBJSON number, or 0 for another type. */
static size_t
width_of(unsigned char type)
{
	switch (type) {
	case 'i':
	case 'U':
		return 1;
	case 'I':
		return 2;
	case 'l':
	case 'd':
		return 4;
	case 'L':
	case 'D':
		return 8;
	default:
		return 0;
	}
}

/* The big-endian bytes behind a UBJSON type. */
static enum err
take_bytes(struct modelfile *r, size_t width, uint64_t *bits)
{
	*bits = 0;
	if (width == 0)
		return unexpected(r, "a number");
	if ((size_t)(r->end - r->p) < width)
		return modelfile_fail(r, "the file ends within a number");
	for (size_t i = 0; i < width; i++)
		*bits = *bits << 8 | *r->p++;
	return ERR_OK;
}

static int64_t
to_integer(unsigned char type, uint64_t bits)
{
	switch (type) {
	case 'i':
		return (int8_t)bits;
	case 'I':
		return (int16_t)bits;
	case 'l':
		return (int32_t)bits;
	default:
		return (int64_t)bits;
	}
}

static double
to_double(unsigned char type, uint64_t bits)
{
	uint32_t low = (uint32_t)bits;
	float single;
	double value;

	if (type == 'd') {
		memcpy(&single, &low, sizeof single);
		return (double)single;
	}
	memcpy(&value, &bits, sizeof value);
	return type == 'D' ? value : (double)to_integer(type, bits);
}

/* A length or count: an integer with its type in front. */
static enum err
take_count(struct modelfile *r, uint64_t *count)
{
	enum err e;

	if (r->p == r->end)
		return unexpected(r, "a length");
	unsigned char type = *r->p;
	if (type == 'd' || type == 'D' || width_of(type) == 0)
		return unexpected(r, "a length");
	r->p++;
	e = take_bytes(r, width_of(type), count);
	if (e != ERR_OK)
		return e;
	int64_t value = to_integer(type, *count);
	if (value < 0 || value > r->end - r->p)
		return modelfile_fail(r, "a length of %lld, where %zu bytes are left", (long long)value, (size_t)(r->end - r->p));
	*count = (uint64_t)value;
	return ERR_OK;
}

enum err
modelfile_peek(struct modelfile *r, enum modelfile_kind *kind)
{
	unsigned char c = next(r);

	if (c == '{')
		*kind = MODELFILE_OBJECT;
	else if (c == '[')
		*kind = MODELFILE_ARRAY;
	else if (c == (r->binary ? 'S' : '"') || (r->binary && c == 'C'))
		*kind = MODELFILE_STRING;
	else if (r->binary ? width_of(c) > 0 : (c == '-' || (c >= '0' && c <= '9') || c == 'N' || c == 'I'))
		*kind = MODELFILE_NUMBER;
	else if (r->binary ? (c == 'T' || c == 'F' || c == 'Z') : (c == 't' || c == 'f' || c == 'n'))
		*kind = MODELFILE_LITERAL;
	else
		return unexpected(r, "a value");
	return ERR_OK;
}

static enum err
enter(struct modelfile *r, unsigned char bracket, const char *expected)
{
	if (next(r) != bracket)
		return unexpected(r, expected);
	if (r->depth == MODELFILE_DEPTH_MAX)
		return modelfile_fail(r, "values lie deeper than %d", MODELFILE_DEPTH_MAX);
	r->depth++;
	r->p++;
	return ERR_OK;
}

enum err
modelfile_object(struct modelfile *r)
{
	enum err e = enter(r, '{', "an object");

	r->fresh = true;
	if (e == ERR_OK && r->binary && r->p < r->end && (*r->p == '$' || *r->p == '#'))
		return modelfile_fail(r, "a counted object, which XGBoost does not write");
	return e;
}

/* The bytes of a JSON string, with escapes as they are; the reader stands on the opening quote. */
static enum err
take_quoted(struct modelfile *r, const unsigned char **text, size_t *len)
{
	if (next(r) != '"')
		return unexpected(r, "a string");
	*text = ++r->p;
	while (r->p < r->end && *r->p != '"')
		r->p += *r->p == '\\' ? 2 : 1;
	if (r->p >= r->end) {
		r->p = r->end;
		return modelfile_fail(r, "the file ends within a string");
	}
	*len = (size_t)(r->p++ - *text);
	return ERR_OK;
}

static enum err
take_text(struct modelfile *r, const unsigned char **text, size_t *len)
{
	uint64_t count = 0;
	enum err e;

	if (!r->binary)
		return take_quoted(r, text, len);
	e = take_count(r, &count);
	if (e != ERR_OK)
		return e;
	*text = r->p;
	*len = (size_t)count;
	r->p += count;
	return ERR_OK;
}

static void
copy_text(const unsigned char *text, size_t len, char *out, size_t cap)
{
	size_t n = len < cap - 1 ? len : cap - 1;

	if (n > 0)
		memcpy(out, text, n);
	out[n] = '\0';
}

/* Leaves an object or array where its bracket is next; in JSON the comma in front of another member is taken, too. */
static enum err
leave_or_go_on(struct modelfile *r, unsigned char bracket, bool first, bool *more)
{
	unsigned char c = next(r);

	*more = false;
	if (c == bracket) {
		r->p++;
		r->depth--;
		return ERR_OK;
	}
	if (r->p == r->end)
		return unexpected(r, bracket == '}' ? "'}'" : "']'");
	if (!r->binary && !first) {
		if (c != ',')
			return unexpected(r, "','");
		r->p++;
	}
	*more = true;
	return ERR_OK;
}

enum err
modelfile_key(struct modelfile *r, char key[MODELFILE_KEY_MAX], bool *more)
{
	const unsigned char *text = NULL;
	size_t len = 0;
	bool first = r->fresh;
	r->fresh = false;
	enum err e = leave_or_go_on(r, '}', first, more);

	if (e != ERR_OK || !*more)
		return e;
	e = take_text(r, &text, &len);
	if (e != ERR_OK)
		return e;
	copy_text(text, len, key, MODELFILE_KEY_MAX);
	if (!r->binary) {
		if (next(r) != ':')
			return unexpected(r, "':'");
		r->p++;
	}
	return ERR_OK;
}

enum err
modelfile_array(struct modelfile *r, struct modelfile_array *a)
{
	enum err e = enter(r, '[', "an array");

	*a = (struct modelfile_array){.first = true};
	if (e != ERR_OK || !r->binary)
		return e;
	if (r->p < r->end && *r->p == '$') {
		r->p++;
		if (r->p == r->end || width_of(*r->p) == 0)
			return unexpected(r, "the type of an array's numbers");
		a->type = *r->p++;
		if (r->p == r->end || *r->p != '#')
			return unexpected(r, "the count of an array");
	}
	if (r->p < r->end && *r->p == '#') {
		r->p++;
		e = take_count(r, &a->left);
		a->counted = true;
		if (e == ERR_OK && a->type != 0 && a->left * width_of(a->type) > (uint64_t)(r->end - r->p))
			e = modelfile_fail(r, "an array of %llu numbers, where %zu bytes are left", (unsigned long long)a->left,
							   (size_t)(r->end - r->p));
	}
	return e;
}

enum err
modelfile_more(struct modelfile *r, struct modelfile_array *a, bool *more)
{
	bool first = a->first;

	a->first = false;
	if (!a->counted)
		return leave_or_go_on(r, ']', first, more);
	*more = a->left > 0;
	if (*more)
		a->left--;
	else
		r->depth--;
	return ERR_OK;
}

uint64_t
modelfile_bound(const struct modelfile *r, const struct modelfile_array *a)
{
	return a->counted ? a->left : (uint64_t)(r->end - r->p);
}

/* A UBJSON number's type: the array's, or the one in front of it, which is taken. */
static enum err
take_type(struct modelfile *r, const struct modelfile_array *a, unsigned char *type)
{
	if (a != NULL && a->type != 0) {
		*type = a->type;
		return ERR_OK;
	}
	*type = next(r);
	if (width_of(*type) == 0)
		return unexpected(r, "a number");
	r->p++;
	return ERR_OK;
}

/* A JSON number's characters, NUL-terminated, taken. */
static enum err
take_digits(struct modelfile *r, char digits[NUMBER_MAX])
{
	size_t n = 0;

	(void)next(r);
	while (r->p < r->end && n < NUMBER_MAX - 1 && *r->p != 0 && strchr("+-.0123456789eEINaftiny", *r->p) != NULL)
		digits[n++] = (char)*r->p++;
	digits[n] = '\0';
	if (n == 0 || n == NUMBER_MAX - 1)
		return unexpected(r, "a number");
	return ERR_OK;
}

enum err
modelfile_integer(struct modelfile *r, const struct modelfile_array *a, int64_t *out)
{
	char digits[NUMBER_MAX];
	unsigned char type = 0;
	uint64_t bits = 0;
	char *end;
	enum err e;

	if (!r->binary) {
		e = take_digits(r, digits);
		if (e != ERR_OK)
			return e;
		*out = strtoll(digits, &end, 10);
		return *end == '\0' ? ERR_OK : modelfile_fail(r, "\"%s\" is no whole number", digits);
	}
	e = take_type(r, a, &type);
	if (e == ERR_OK)
		e = take_bytes(r, width_of(type), &bits);
	if (e != ERR_OK)
		return e;
	if (type == 'd' || type == 'D')
		return modelfile_fail(r, "a fraction where a whole number belongs");
	*out = to_integer(type, bits);
	return ERR_OK;
}

enum err
modelfile_float(struct modelfile *r, const struct modelfile_array *a, float *out)
{
	char digits[NUMBER_MAX];
	unsigned char type = 0;
	uint64_t bits = 0;
	char *end;
	enum err e;

	if (!r->binary) {
		e = take_digits(r, digits);
		if (e != ERR_OK)
			return e;
		*out = strtof(digits, &end);
		return *end == '\0' ? ERR_OK : modelfile_fail(r, "\"%s\" is no number", digits);
	}
	e = take_type(r, a, &type);
	if (e == ERR_OK)
		e = take_bytes(r, width_of(type), &bits);
	if (e == ERR_OK)
		*out = (float)to_double(type, bits);
	return e;
}

/* A JSON string with its quotes, whose escapes are to be read. */
static enum err
decode(struct modelfile *r, const unsigned char *quoted, size_t len, char *out, size_t cap)
{
	struct json_reader json;
	struct err_info why;
	size_t size;

	json_init(&json, (const char *)quoted, len, &why);
	return json_string(&json, out, cap, &size) == ERR_OK ? ERR_OK : modelfile_fail(r, "a string is not right: %.80s", why.text);
}

enum err
modelfile_string(struct modelfile *r, char *out, size_t cap)
{
	const unsigned char *text = NULL;
	size_t len = 0;
	enum err e;

	if (r->binary) {
		if (next(r) != 'S')
			return unexpected(r, "a string");
		r->p++;
	}
	e = take_text(r, &text, &len);
	if (e != ERR_OK)
		return e;
	if (!r->binary && memchr(text, '\\', len) != NULL)
		return decode(r, text - 1, len + 2, out, cap);
	copy_text(text, len, out, cap);
	return ERR_OK;
}

static enum err skip_array(struct modelfile *r);

static enum err
skip_object(struct modelfile *r)
{
	char key[MODELFILE_KEY_MAX];
	bool more;
	enum err e = modelfile_object(r);

	while (e == ERR_OK && (e = modelfile_key(r, key, &more)) == ERR_OK && more)
		e = modelfile_skip(r);
	return e;
}

static enum err
skip_array(struct modelfile *r)
{
	struct modelfile_array a;
	bool more;
	enum err e = modelfile_array(r, &a);

	if (e == ERR_OK && a.type != 0) { /* its size was checked */
		r->p += a.left * width_of(a.type);
		r->depth--;
		return ERR_OK;
	}
	while (e == ERR_OK && (e = modelfile_more(r, &a, &more)) == ERR_OK && more)
		e = modelfile_skip(r);
	return e;
}

static enum err
skip_literal(struct modelfile *r)
{
	if (r->binary) {
		r->p++;
		return ERR_OK;
	}
	while (r->p < r->end && *r->p >= 'a' && *r->p <= 'z')
		r->p++;
	return ERR_OK;
}

enum err
modelfile_skip(struct modelfile *r)
{
	enum modelfile_kind kind;
	const unsigned char *text = NULL;
	size_t len = 0;
	float ignored;
	enum err e = modelfile_peek(r, &kind);

	if (e != ERR_OK)
		return e;
	switch (kind) {
	case MODELFILE_OBJECT:
		return skip_object(r);
	case MODELFILE_ARRAY:
		return skip_array(r);
	case MODELFILE_NUMBER:
		return modelfile_float(r, NULL, &ignored);
	case MODELFILE_LITERAL:
		return skip_literal(r);
	case MODELFILE_STRING:
		break;
	}
	if (r->binary && *r->p++ == 'C') {
		r->p += r->p < r->end;
		return ERR_OK;
	}
	return take_text(r, &text, &len);
}
