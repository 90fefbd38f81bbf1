/* text.h - numbers and strings, in and out of decimal text */
#ifndef FUTAIE_TEXT_H
#define FUTAIE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum text_number {
	TEXT_OK,         /* a number, within float32 */
	TEXT_NOT_NUMBER, /* the text does not start with a number of the grammar */
	TEXT_TOO_BIG     /* a number whose nearest float32 is infinite */
};

enum text_grammar {
	TEXT_JSON, /* RFC 8259, section 6: no leading plus, no leading zeros, digits on both sides of the point */
	TEXT_CSV   /* also "+1", "01", "1." and ".5", as spreadsheets write them */
};

/*
 * Reads the number at the start of [p, end) and stores the nearest float32 (ties to even: the bits of strtof on the same text; too
 * small a number is a subnormal or a zero, with its sign). `*after` is the first character that does not belong to it; on
 * TEXT_NOT_NUMBER it is where the grammar was left. *end must be readable and must not be part of a number (NUL, for example).
 *
 * How: up to 19 digits are gathered in an integer m and a power of ten e. Where m < 2^53 and |e| <= 22, one double operation gives
 * m * 10^e correctly rounded to double (Clinger 1990); rounding that to float can only err where the double is exactly between two
 * floats. With a larger m and e <= 0 it is off by two units in the last place at most, and can only err within these of such a double. There, as
 * for all other numbers, strtof decides.
 */
enum text_number text_float(const char *p, const char *end, enum text_grammar grammar, float *out, const char **after);

enum { TEXT_FLOAT_MAX = 32 };

/*
 * Writes the shortest decimal that reads back as the same float32, and of those the nearest to it, without a NUL; returns its
 * length, below TEXT_FLOAT_MAX. Plain notation for 1e-4 <= |x| < 1e16, else "1.5e-7". `x` must be finite.
 * Algorithm: Raffaello Giulietti, "The Schubfach way to render doubles" (2020), with 64-bit powers for float32.
 */
size_t text_float_print(float x, char out[TEXT_FLOAT_MAX]);

/* Appends `x` as above, or `null` where it is not finite (JSON has no word for it). */
void text_json_float(struct buf *b, float x);

/* Appends `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD, so the result is always valid. */
void text_json_string(struct buf *b, const char *text, size_t len);

/* Length of the valid UTF-8 sequence at `p` (1-4), or 0 (RFC 3629: no surrogates, nothing overlong, nothing over U+10FFFF). */
size_t text_utf8(const char *p, const char *end);

/* Copies a printable form of [p, p+len) for a sentence: control characters and non-ASCII bytes as '?', cut with "..." to fit. */
const char *text_quote(const char *p, size_t len, char *out, size_t cap);

/* A whole decimal integer within [min, max]; false for anything else. `text` is NUL-terminated. */
bool text_integer(const char *text, long long min, long long max, long long *out);

#endif
