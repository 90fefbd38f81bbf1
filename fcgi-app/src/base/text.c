/* text.c - numbers and strings, in and out of decimal text */
#include "base/text.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum {
	DIGITS_MAX = 19,    /* most decimal digits that always fit in 64 bits */
	WINDOW = 8,         /* characters that scan_plain() looks at together */
	PLAIN_MAX = 26,     /* characters that it may look at: sign, point, three windows */
	EXP_LIMIT = 100000, /* an exponent beyond it is over or under every float */
	NEAR_ULPS = 4,      /* more than two roundings to double, of the digits and of the quotient, can be off by */
	POW10_FIRST = -31,
	POW10_EXACT_MAX = 22, /* 10^22 is the largest power of ten that a double holds exactly */
	FLOAT_BIAS = 150,     /* of the significand seen as an integer */
	FLOAT_SIG_BITS = 23
};

/* ceil(10^k * 2^(63 - floor(log2(10^k)))) for k from -31 to 45: Giulietti's g(k), computed with integers of any size. */
static const uint64_t pow10_table[] = {
	0x81CEB32C4B43FCF5, 0xA2425FF75E14FC32, 0xCAD2F7F5359A3B3F, 0xFD87B5F28300CA0E, 0x9E74D1B791E07E49, 0xC612062576589DDB,
	0xF79687AED3EEC552, 0x9ABE14CD44753B53, 0xC16D9A0095928A28, 0xF1C90080BAF72CB2, 0x971DA05074DA7BEF, 0xBCE5086492111AEB,
	0xEC1E4A7DB69561A6, 0x9392EE8E921D5D08, 0xB877AA3236A4B44A, 0xE69594BEC44DE15C, 0x901D7CF73AB0ACDA, 0xB424DC35095CD810,
	0xE12E13424BB40E14, 0x8CBCCC096F5088CC, 0xAFEBFF0BCB24AAFF, 0xDBE6FECEBDEDD5BF, 0x89705F4136B4A598, 0xABCC77118461CEFD,
	0xD6BF94D5E57A42BD, 0x8637BD05AF6C69B6, 0xA7C5AC471B478424, 0xD1B71758E219652C, 0x83126E978D4FDF3C, 0xA3D70A3D70A3D70B,
	0xCCCCCCCCCCCCCCCD, 0x8000000000000000, 0xA000000000000000, 0xC800000000000000, 0xFA00000000000000, 0x9C40000000000000,
	0xC350000000000000, 0xF424000000000000, 0x9896800000000000, 0xBEBC200000000000, 0xEE6B280000000000, 0x9502F90000000000,
	0xBA43B74000000000, 0xE8D4A51000000000, 0x9184E72A00000000, 0xB5E620F480000000, 0xE35FA931A0000000, 0x8E1BC9BF04000000,
	0xB1A2BC2EC5000000, 0xDE0B6B3A76400000, 0x8AC7230489E80000, 0xAD78EBC5AC620000, 0xD8D726B7177A8000, 0x878678326EAC9000,
	0xA968163F0A57B400, 0xD3C21BCECCEDA100, 0x84595161401484A0, 0xA56FA5B99019A5C8, 0xCECB8F27F4200F3A, 0x813F3978F8940985,
	0xA18F07D736B90BE6, 0xC9F2C9CD04674EDF, 0xFC6F7C4045812297, 0x9DC5ADA82B70B59E, 0xC5371912364CE306, 0xF684DF56C3E01BC7,
	0x9A130B963A6C115D, 0xC097CE7BC90715B4, 0xF0BDC21ABB48DB21, 0x96769950B50D88F5, 0xBC143FA4E250EB32, 0xEB194F8E1AE525FE,
	0x92EFD1B8D0CF37BF, 0xB7ABC627050305AE, 0xE596B7B0C643C71A, 0x8F7E32CE7BEA5C70, 0xB35DBF821AE4F38C,
};

static const double pow10_exact[POW10_EXACT_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
														1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* A decimal as read: digits * 10^exp10, with dropped digits where there were more than DIGITS_MAX. */
struct decimal {
	uint64_t digits;
	int exp10;
	bool negative;
	bool dropped;
};

static bool scan_plain(const char *p, const char *end, struct decimal *d, const char **after);
static enum text_number decimal_scan(const char *p, const char *end, enum text_grammar grammar, struct decimal *d,
									 const char **after);
static bool decimal_to_float(const struct decimal *d, float *out);
static struct decimal float_to_decimal(uint32_t sig, uint32_t biased);
static size_t print_plain(char *out, const char *digits, int n, int point);
static size_t print_scientific(char *out, const char *digits, int n, int exp10);

enum text_number
text_float(const char *p, const char *end, enum text_grammar grammar, float *out, const char **after)
{
	struct decimal d = {0};
	enum text_number result = TEXT_OK;

	if (!scan_plain(p, end, &d, after)) {
		d = (struct decimal){0};
		result = decimal_scan(p, end, grammar, &d, after);
	}
	if (result != TEXT_OK || decimal_to_float(&d, out))
		return result;
	*out = strtof(p, NULL);
	return isinf(*out) ? TEXT_TOO_BIG : TEXT_OK;
}

size_t
text_float_print(float x, char out[TEXT_FLOAT_MAX])
{
	uint32_t bits;
	char digits[16] = "0";
	int n = 0;
	size_t len = 0;

	memcpy(&bits, &x, sizeof bits);
	if (bits >> 31)
		out[len++] = '-';
	bits &= 0x7FFFFFFFU;
	if (bits == 0) {
		out[len++] = '0';
		return len;
	}
	struct decimal d = float_to_decimal(bits & ((1U << FLOAT_SIG_BITS) - 1), bits >> FLOAT_SIG_BITS);
	while (d.digits % 10 == 0) {
		d.digits /= 10;
		d.exp10++;
	}
	for (uint64_t rest = d.digits; rest != 0; rest /= 10)
		n++;
	for (int i = n; i-- > 0; d.digits /= 10)
		digits[i] = (char)('0' + d.digits % 10);
	int point = n + d.exp10; /* digits before the decimal point */
	if (point > -4 && point <= 16)
		return len + print_plain(out + len, digits, n, point);
	return len + print_scientific(out + len, digits, n, point - 1);
}

void
text_json_float(struct buf *b, float x)
{
	if (!isfinite(x)) {
		buf_add(b, "null", 4);
	} else if (buf_reserve(b, TEXT_FLOAT_MAX)) {
		b->len += text_float_print(x, b->data + b->len);
	}
}

void
text_json_string(struct buf *b, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const char *p = text;
	const char *end = text + len;

	buf_char(b, '"');
	while (p < end) {
		unsigned char c = (unsigned char)*p;
		size_t n = text_utf8(p, end);
		if (c == '"' || c == '\\') {
			buf_char(b, '\\');
			buf_char(b, (char)c);
		} else if (c < 0x20 || c == 0x7F) {
			char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
			buf_add(b, escape, sizeof escape);
		} else if (n == 0) {
			buf_add(b, "\xEF\xBF\xBD", 3);
		} else {
			buf_add(b, p, n);
		}
		p += n == 0 ? 1 : n;
	}
	buf_char(b, '"');
}

size_t
text_utf8(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t left = (size_t)(end - p);
	size_t n;
	unsigned char low = 0x80;
	unsigned char high = 0xBF;

	if (left == 0)
		return 0;
	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xC2 || u[0] > 0xF4)
		return 0;
	n = u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : 4;
	if (left < n)
		return 0;
	if (u[0] == 0xE0)
		low = 0xA0; /* overlong */
	else if (u[0] == 0xED)
		high = 0x9F; /* surrogates */
	else if (u[0] == 0xF0)
		low = 0x90; /* overlong */
	else if (u[0] == 0xF4)
		high = 0x8F; /* over U+10FFFF */
	if (u[1] < low || u[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((u[i] & 0xC0) != 0x80)
			return 0;
	return n;
}

const char *
text_quote(const char *p, size_t len, char *out, size_t cap)
{
	size_t n = len < cap ? len : cap - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = (char)(p[i] >= 0x20 && p[i] < 0x7F ? p[i] : '?');
	out[n] = '\0';
	if (n < len && n >= 3)
		memcpy(out + n - 3, "...", 3);
	return out;
}

bool
text_integer(const char *text, long long min, long long max, long long *out)
{
	char *end;

	if (*text != '-' && (*text < '0' || *text > '9'))
		return false;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < min || value > max)
		return false;
	*out = value;
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * The number that the digits at `p` write, WINDOW at most; `*n` is how many they are. Reads WINDOW characters. SWAR: each byte of a word is a
 * character; its digits are moved to the end of the word, behind zeros, and added up in pairs, fours and eights by multiplication.
 */
static inline uint64_t
window_digits(const char *p, unsigned *n)
{
	uint64_t x;

	memcpy(&x, p, sizeof x);
	x = le64toh(x) ^ 0x3030303030303030U;
	uint64_t others = ((x + 0x7676767676767676U) | x) & 0x8080808080808080U; /* exact up to the first that is no digit */
	*n = others != 0 ? (unsigned)__builtin_ctzll(others) / 8 : WINDOW;
	if (*n == 0)
		return 0;
	x <<= 64 - 8 * *n;
	x = x * 10 + (x >> 8);
	return ((x & 0x000000FF000000FFU) * (100 + (1000000ULL << 32)) + ((x >> 16) & 0x000000FF000000FFU) * (1 + (10000ULL << 32))) >>
		   32;
}

/*
 * What files of numbers are full of, read without a branch a digit: up to 7 digits before the point and 15 behind, no exponent, in both
 * grammars. False, which means nothing, for all others, and near the end of the text.
 */
static bool
scan_plain(const char *p, const char *end, struct decimal *d, const char **after)
{
	static const uint64_t powers[WINDOW + 1] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
	unsigned n;

	if (end - p < PLAIN_MAX)
		return false;
	d->negative = *p == '-';
	p += d->negative;
	d->digits = window_digits(p, &n);
	if (n == 0 || n == WINDOW || (*p == '0' && n > 1))
		return false;
	p += n;
	if (*p == '.') {
		const char *fraction = ++p;
		unsigned n_whole = n;
		for (n = WINDOW; n == WINDOW && p - fraction <= WINDOW; p += n) {
			uint64_t more = window_digits(p, &n);
			d->digits = d->digits * powers[n] + more;
		}
		d->exp10 = (int)(fraction - p);
		if (n == WINDOW || p == fraction || n_whole + (size_t)(p - fraction) > DIGITS_MAX)
			return false;
	}
	*after = p;
	return (*p | 0x20) != 'e';
}

/* Gathers a run of digits; those behind the point lower the exponent. */
static const char *
scan_digits(const char *p, const char *end, struct decimal *d, int *kept, bool fraction)
{
	for (; p < end && is_digit(*p); p++) {
		if (*kept < DIGITS_MAX) {
			d->digits = d->digits * 10 + (uint64_t)(*p - '0');
			*kept += d->digits != 0;
			d->exp10 -= fraction;
		} else {
			d->dropped = true;
			d->exp10 += !fraction;
		}
	}
	return p;
}

/* The exponent at *p ("e" was seen). False where no digit follows. */
static bool
scan_exponent(const char **p, const char *end, struct decimal *d)
{
	const char *q = *p + 1;
	bool negative = false;
	int value = 0;

	if (q < end && (*q == '+' || *q == '-'))
		negative = *q++ == '-';
	*p = q;
	for (; q < end && is_digit(*q); q++)
		if (value < EXP_LIMIT)
			value = value * 10 + (*q - '0');
	if (q == *p)
		return false;
	if (value >= EXP_LIMIT)
		d->dropped = true; /* its end was not read: only strtof knows */
	d->exp10 += negative ? -value : value;
	*p = q;
	return true;
}

static enum text_number
decimal_scan(const char *p, const char *end, enum text_grammar grammar, struct decimal *d, const char **after)
{
	int kept = 0;
	const char *whole;
	size_t n_whole;
	size_t n_fraction = 0;

	if (p < end && (*p == '-' || (*p == '+' && grammar == TEXT_CSV)))
		d->negative = *p++ == '-';
	whole = p;
	p = scan_digits(p, end, d, &kept, false);
	n_whole = (size_t)(p - whole);
	*after = p;
	if (grammar == TEXT_JSON && (n_whole == 0 || (n_whole > 1 && *whole == '0')))
		return TEXT_NOT_NUMBER;
	if (p < end && *p == '.') {
		const char *fraction = p + 1;
		p = scan_digits(fraction, end, d, &kept, true);
		n_fraction = (size_t)(p - fraction);
		*after = p;
		if (grammar == TEXT_JSON && n_fraction == 0)
			return TEXT_NOT_NUMBER;
	}
	if (n_whole + n_fraction == 0)
		return TEXT_NOT_NUMBER;
	if (p < end && (*p == 'e' || *p == 'E')) {
		bool whole_exponent = scan_exponent(&p, end, d);
		*after = p;
		if (!whole_exponent)
			return TEXT_NOT_NUMBER;
	}
	return TEXT_OK;
}

/* False where only strtof knows: too many digits, too large an exponent, or a double too near to half way between two floats. */
static bool
decimal_to_float(const struct decimal *d, float *out)
{
	const uint64_t half = 1ULL << 28; /* of the 29 bits by which a double is longer than a float */
	bool exact = d->digits <= 1ULL << 53;
	uint64_t near = exact ? 0 : NEAR_ULPS;
	double x = (double)d->digits;
	uint64_t bits;

	if (d->dropped || d->exp10 < -POW10_EXACT_MAX || d->exp10 > (exact ? POW10_EXACT_MAX : 0)) {
		if (d->digits != 0 || d->dropped)
			return false;
	} else {
		x = d->exp10 < 0 ? x / pow10_exact[-d->exp10] : x * pow10_exact[d->exp10];
		memcpy(&bits, &x, sizeof bits);
		if ((bits & (2 * half - 1)) - (half - near) <= 2 * near)
			return false;
	}
	*out = d->negative ? -(float)x : (float)x;
	return true;
}

/* floor(log2(10^k)), right for |k| <= 1233. */
static int
log2_pow10(int k)
{
	return (k * 1741647) >> 19;
}

/* (g * c) / 2^64, where a remainder is kept as a lowest bit that is set ("round to odd"). */
static uint32_t
round_to_odd(uint64_t g, uint32_t c)
{
	uint64_t low = (uint64_t)(uint32_t)g * c;
	uint64_t high = (g >> 32) * c + (low >> 32);

	return (uint32_t)(high >> 32) | ((uint32_t)high > 1);
}

/* The shortest decimal in the rounding interval of sig * 2^(biased - FLOAT_BIAS); the names are the paper's. */
static struct decimal
float_to_decimal(uint32_t sig, uint32_t biased)
{
	uint32_t c = biased != 0 ? sig | 1U << FLOAT_SIG_BITS : sig;
	int q = (biased != 0 ? (int)biased : 1) - FLOAT_BIAS;
	uint32_t lower_is_closer = sig == 0 && biased > 1;
	uint32_t odd = c & 1; /* an even significand owns the ends of its interval */

	if (q <= 0 && q > -24 && (c & ((1U << -q) - 1)) == 0)
		return (struct decimal){.digits = c >> -q};
	int k = (q * 1262611 - (lower_is_closer ? 524031 : 0)) >> 22; /* floor(log10(2^q)), or of 3/4 of it */
	int h = q + log2_pow10(-k) + 1;
	uint64_t g = pow10_table[-k - POW10_FIRST];
	uint32_t lower = round_to_odd(g, (4 * c - 2 + lower_is_closer) << h) + odd;
	uint32_t vb = round_to_odd(g, (4 * c) << h);
	uint32_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
	uint32_t s = vb / 4;
	if (s >= 10) { /* one digit less? */
		uint32_t t = s / 10;
		bool below = lower <= 40 * t;
		bool above = 40 * t + 40 <= upper;
		if (below != above)
			return (struct decimal){.digits = t + above, .exp10 = k + 1};
	}
	bool below = lower <= 4 * s;
	bool above = 4 * s + 4 <= upper;
	if (below != above)
		return (struct decimal){.digits = s + above, .exp10 = k};
	uint32_t middle = 4 * s + 2;
	bool up = vb > middle || (vb == middle && (s & 1) != 0);
	return (struct decimal){.digits = s + up, .exp10 = k};
}

static size_t
print_plain(char *out, const char *digits, int n, int point)
{
	char *p = out;

	if (point <= 0) {
		*p++ = '0';
		*p++ = '.';
		for (int i = point; i < 0; i++)
			*p++ = '0';
	}
	for (int i = 0; i < n || i < point; i++) {
		if (i == point && i > 0)
			*p++ = '.';
		*p++ = (char)(i < n ? digits[i] : '0');
	}
	return (size_t)(p - out);
}

static size_t
print_scientific(char *out, const char *digits, int n, int exp10)
{
	char *p = out;

	*p++ = digits[0];
	if (n > 1)
		*p++ = '.';
	for (int i = 1; i < n; i++)
		*p++ = digits[i];
	*p++ = 'e';
	if (exp10 < 0)
		*p++ = '-';
	exp10 = exp10 < 0 ? -exp10 : exp10;
	if (exp10 >= 10)
		*p++ = (char)('0' + exp10 / 10);
	*p++ = (char)('0' + exp10 % 10);
	return (size_t)(p - out);
}
