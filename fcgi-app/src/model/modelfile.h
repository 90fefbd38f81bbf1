/* modelfile.h - a pull reader of XGBoost's model files, JSON or UBJSON */
#ifndef FUTAIE_MODELFILE_H
#define FUTAIE_MODELFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Walks over the bytes of a model file, which the caller owns, and allocates nothing. Both encodings have the same values, so the caller does not
 * know which it is. Never reads beyond the bytes, whatever they are; depth, counts and lengths are checked against what is left of the file.
 *
 * Formats: JSON (RFC 8259; XGBoost also writes NaN and Infinity) and Universal Binary JSON draft 12 (https://ubjson.org) as XGBoost writes it: keys
 * with a length of any integer type, arrays as [$type#count, [#count or […].
 *
 * A function that can fail returns ERR_BAD_MODEL and leaves a sentence with the place in `info`; the reader must not be used further then. Not for
 * two threads at once.
 *
 *	e = modelfile_object(&r);
 *	while (e == ERR_OK && (e = modelfile_key(&r, key, &more)) == ERR_OK && more)
 *		e = strcmp(key, "learner") == 0 ? read_learner(&r) : modelfile_skip(&r);
 */
struct modelfile {
	const unsigned char *start;
	const unsigned char *p;
	const unsigned char *end;
	bool binary;
	int depth;
	bool fresh; /* in an object before its first key */
	struct err_info *info;
};

enum { MODELFILE_KEY_MAX = 64, MODELFILE_DEPTH_MAX = 64 };

enum modelfile_kind {
	MODELFILE_OBJECT,
	MODELFILE_ARRAY,
	MODELFILE_STRING,
	MODELFILE_NUMBER,
	MODELFILE_LITERAL /* true, false, null */
};

/* An array that was entered. */
struct modelfile_array {
	unsigned char type; /* UBJSON: that all elements have, or 0 */
	bool counted;       /* UBJSON: `left` is known */
	bool first;
	uint64_t left;
};

/* Which encoding it is shows in the first bytes. */
enum err modelfile_init(struct modelfile *r, const void *bytes, size_t len, struct err_info *info);

/* What comes next, in an object behind its key or at the start. */
enum err modelfile_peek(struct modelfile *r, enum modelfile_kind *kind);

/* Enters an object; then a key and its value in turn, until `*more` is false. A key that is longer than the maximum is cut. */
enum err modelfile_object(struct modelfile *r);
enum err modelfile_key(struct modelfile *r, char key[MODELFILE_KEY_MAX], bool *more);

/* Enters an array; then each element, until `*more` is false. */
enum err modelfile_array(struct modelfile *r, struct modelfile_array *a);
enum err modelfile_more(struct modelfile *r, struct modelfile_array *a, bool *more);

/* The most elements that the array can still have: of the count, or of the bytes that are left. */
uint64_t modelfile_bound(const struct modelfile *r, const struct modelfile_array *a);

/* Takes a value; `a` is the array that it is an element of, or NULL. A number that is no whole one is refused by modelfile_integer(). */
enum err modelfile_integer(struct modelfile *r, const struct modelfile_array *a, int64_t *out);
enum err modelfile_float(struct modelfile *r, const struct modelfile_array *a, float *out);

/* The text of a string, its escapes read, cut to fit, NUL-terminated; bytes that are no UTF-8 are taken as they are. */
enum err modelfile_string(struct modelfile *r, char *out, size_t cap);

/* Passes over a value, whatever it is. */
enum err modelfile_skip(struct modelfile *r);

/* ERR_BAD_MODEL with the place before the sentence: "the model file, byte 1234: …". */
enum err modelfile_fail(struct modelfile *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
