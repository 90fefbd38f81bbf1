/* json.h - a strict pull reader of JSON, and whole documents through cJSON */
#ifndef FUTAIE_JSON_H
#define FUTAIE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct cJSON;

/*
 * The reader walks over a text that the caller owns and allocates nothing. It accepts RFC 8259 exactly, plus the word NaN where a
 * number may stand (Python's json writes it). Everything else is refused with line and column: a byte order mark, bytes that are not
 * UTF-8, raw control characters, "\u0000", lone surrogates, 01, 1., +1, .5, Infinity, trailing commas, text behind the document.
 *
 * A function that can fail returns `enum err` and leaves the sentence in `info`, which the caller passes to json_init(). After a
 * failure the reader must not be used further. Not for use by two threads at once.
 *
 *	json_init(&r, text, len, &info);
 *	e = json_open(&r, '[');
 *	while (e == ERR_OK && (e = json_more(&r, ']', &more)) == ERR_OK && more)
 *		e = json_float(&r, &x);
 *	if (e == ERR_OK)
 *		e = json_end(&r);
 */
struct json_reader {
	const char *text; /* borrowed; text[len] is readable and NUL */
	const char *p;
	const char *end;
	struct err_info *info;
	bool first; /* the next json_more() is the first in its array or object */
	/* set by the caller behind json_init() */
	bool a_line;   /* the text is one line of several, whose number the sentences leave to him */
	bool skip_nan; /* json_skip() takes NaN, too */
};

enum json_kind {
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_STRING,
	JSON_NUMBER, /* also what looks like the start of one: +1, .5, Infinity */
	JSON_NULL,
	JSON_NAN,
	JSON_TRUE,
	JSON_FALSE,
	JSON_END, /* nothing but white space is left */
	JSON_BAD  /* no value starts with this character */
};

/* text[len] must be readable and no part of a number, so that a number at the very end stops: NUL, or a line's end. */
void json_init(struct json_reader *r, const char *text, size_t len, struct err_info *info);

/* Skips white space and tells what value comes next, without taking it. */
enum json_kind json_peek(struct json_reader *r);

/* "an object", "a string", … for sentences; a static string. */
const char *json_kind_name(enum json_kind kind);

/* Takes the opening '[' or '{'. */
enum err json_open(struct json_reader *r, char bracket);

/* In an array or object: takes the comma before the next element and sets `*more`, or takes `bracket` (']' or '}') and clears it. */
enum err json_more(struct json_reader *r, char bracket, bool *more);

/*
 * Takes a number, null or NaN as float32; the latter two store NaN (missing). ERR_WRONG_TYPE for another value, ERR_BAD_NUMBER
 * for Infinity and for numbers beyond float32, ERR_BAD_JSON for what is not JSON.
 */
enum err json_float(struct json_reader *r, float *out);

/*
 * Takes a whole number within [min, max], written without a point or an exponent. ERR_WRONG_TYPE for another value, ERR_BAD_NUMBER for a number
 * that is not whole or not within.
 */
enum err json_integer(struct json_reader *r, long long min, long long max, long long *out);

/* Takes true or false. */
enum err json_boolean(struct json_reader *r, bool *out);

/*
 * Takes a string and stores it decoded and NUL-terminated in `out`; `*len` is its whole length in bytes, which may be `cap` or more:
 * then `out` holds what fits.
 */
enum err json_string(struct json_reader *r, char *out, size_t cap, size_t *len);

/* The same for an object's member name, with the colon behind it. */
enum err json_name(struct json_reader *r, char *out, size_t cap, size_t *len);

/* Takes any value whose depth is at most `depth_max`, checking all of it; NaN only where the reader says so. */
enum err json_skip(struct json_reader *r, int depth_max);

/* Succeeds where nothing but white space is left. */
enum err json_end(struct json_reader *r);

/* Sets `info` to `format` with the place of the reader before it ("line 1, column 7: …", or "column 7: …"); returns `code`. */
enum err json_fail(struct json_reader *r, enum err code, const char *format, ...) __attribute__((format(printf, 3, 4)));

enum { JSON_DOCUMENT_DEPTH = 32 };

/*
 * Parses a whole document by the rules above, without NaN and without repeated member names, into cJSON's tree: for manifests and the
 * like, not for request bodies. `*out` is the caller's, to be freed by cJSON_Delete(). `name` stands in the sentences. ERR_BAD_JSON,
 * ERR_REPEATED_FIELD or ERR_OUT_OF_MEMORY on failure, and then `*out` is NULL.
 */
enum err json_document(const char *name, const char *text, size_t len, struct cJSON **out, struct err_info *info);

#endif
