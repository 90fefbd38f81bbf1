/* test_text.c - tests of base/text: numbers against strtof and printf, UTF-8 and strings against their definitions */
#include "base/text.h"

#include <cjson/cJSON.h>
#include <float.h>
#include <limits.h>
#include <math.h>

#include "base/buf.h"
#include "base/json.h"
#include "unit.h"

enum { DECIMAL_MAX = 400 };

static const struct {
	const char *text;
	enum text_number result;
	float x;
} limit_rows[] = {
	{"3.4028234663852886e38", TEXT_OK, FLT_MAX},
	{"3.4028235e38", TEXT_OK, FLT_MAX},
	{"3.4028235677973366e38", TEXT_OK, FLT_MAX}, /* cut to 17 digits, half way to 2^128: just below it */
	{"3.4028235677973367e38", TEXT_TOO_BIG, 0},
	{"3.40282356779733661637539395458142568447e38", TEXT_OK, FLT_MAX},
	{"3.40282356779733661637539395458142568448e38", TEXT_TOO_BIG, 0},
	{"340282356779733661637539395458142568447", TEXT_OK, FLT_MAX},
	{"340282356779733661637539395458142568447.999999999999999999", TEXT_OK, FLT_MAX},
	{"340282356779733661637539395458142568448", TEXT_TOO_BIG, 0},
	{"-340282356779733661637539395458142568447", TEXT_OK, -FLT_MAX},
	{"-340282356779733661637539395458142568448", TEXT_TOO_BIG, 0},
	{"3.4028236e38", TEXT_TOO_BIG, 0},
	{"1e39", TEXT_TOO_BIG, 0},
	{"1e999", TEXT_TOO_BIG, 0},
	{"-1e999", TEXT_TOO_BIG, 0},
	{"1e2147483647", TEXT_TOO_BIG, 0},
	{"1e2147483648", TEXT_TOO_BIG, 0},
	{"1e99999999999999999999999999", TEXT_TOO_BIG, 0},
	{"1e-99999999999999999999999999", TEXT_OK, 0.0F},
	{"-1e-99999999999999999999999999", TEXT_OK, -0.0F},
	{"0e99999999999999999999999999", TEXT_OK, 0.0F},
	{"-0e-99999999999999999999999999", TEXT_OK, -0.0F},
	{"-0", TEXT_OK, -0.0F},
	{"-0.0", TEXT_OK, -0.0F},
	{"0", TEXT_OK, 0.0F},
	{"1.4e-45", TEXT_OK, FLT_TRUE_MIN},
	{"7.1e-46", TEXT_OK, FLT_TRUE_MIN},
	{"7.0e-46", TEXT_OK, 0.0F},
	{"1.1754944e-38", TEXT_OK, FLT_MIN},
	{"9007199254740993", TEXT_OK, 9007199254740992.0F},
	{"9007199254740993e22", TEXT_OK, 9007199254740992e22F},
	{"1e22", TEXT_OK, 1e22F},
	{"1e-22", TEXT_OK, 1e-22F},
	{"1e23", TEXT_OK, 1e23F},
	{"1e-23", TEXT_OK, 1e-23F},
	{"18446744073709551615", TEXT_OK, 18446744073709551615.0F},
	{"18446744073709551616", TEXT_OK, 18446744073709551616.0F},
	{"99999999999999999999", TEXT_OK, 1e20F},
};

/* What each grammar makes of a text: how far the number goes, or that it is none. */
static const struct {
	const char *text;
	int json; /* length of the number, or -1 */
	int csv;
} grammar_rows[] = {
	{"", -1, -1},
	{"0", 1, 1},
	{"-0", 2, 2},
	{"1", 1, 1},
	{"-1", 2, 2},
	{"10", 2, 2},
	{"+1", -1, 2},
	{"+", -1, -1},
	{"-", -1, -1},
	{"--1", -1, -1},
	{"+-1", -1, -1},
	{"-+1", -1, -1},
	{"++1", -1, -1},
	{"- 1", -1, -1},
	{"01", -1, 2},
	{"-01", -1, 3},
	{"00", -1, 2},
	{"000.5", -1, 5},
	{"0.5", 3, 3},
	{".5", -1, 2},
	{"-.5", -1, 3},
	{"+.5", -1, 3},
	{"1.", -1, 2},
	{"-1.", -1, 3},
	{".", -1, -1},
	{"-.", -1, -1},
	{"+.", -1, -1},
	{"..5", -1, -1},
	{"1..5", -1, 2},
	{"1.5.5", 3, 3},
	{"1e5", 3, 3},
	{"1E5", 3, 3},
	{"1e+5", 4, 4},
	{"1e-5", 4, 4},
	{"1e05", 4, 4},
	{"1e", -1, -1},
	{"1e+", -1, -1},
	{"1e-", -1, -1},
	{"1ee5", -1, -1},
	{"1e5e5", 3, 3},
	{"1e5.5", 3, 3},
	{"1e 5", -1, -1},
	{"1.e5", -1, 4},
	{".5e1", -1, 4},
	{".e5", -1, -1},
	{"e5", -1, -1},
	{"1,5", 1, 1},
	{"1 5", 1, 1},
	{"0x10", 1, 1},
	{"0X1p3", 1, 1},
	{"1f", 1, 1},
	{"1_0", 1, 1},
	{"inf", -1, -1},
	{"Infinity", -1, -1},
	{"-inf", -1, -1},
	{"nan", -1, -1},
	{"NaN", -1, -1},
	{"-nan", -1, -1},
	{" 1", -1, -1},
	{"\t1", -1, -1},
	{"1\n", 1, 1},
	{"1.5]", 3, 3},
	{"1.5}", 3, 3},
	{"12345678901234567890123456789e", -1, -1},
	{"12345678901234567890123456789.5x", 31, 31},
};

/* Reads the first `len` characters of `text`, which goes on to `end`, in both grammars. */
static void
check_number(const char *text, size_t len, const char *end, float expected)
{
	const char *after;
	float x = 0;

	for (int g = TEXT_JSON; g <= TEXT_CSV; g++) {
		enum text_number result = text_float(text, end, (enum text_grammar)g, &x, &after);
		check_integer(text, result, isinf(expected) ? TEXT_TOO_BIG : TEXT_OK);
		check_integer(text, after - text, len);
		if (result == TEXT_OK)
			check_float(text, x, expected);
	}
}

/* Reads the whole of `text`, alone and in front of more text (which is read in another way), and compares with strtof. */
static void
check_like_strtof(const char *text)
{
	static const char *const tails[] = {",12345678901234567890123456789", "\n0.00000000000000000000000000",
										"]}                         "};
	char longer[DECIMAL_MAX + 32];
	size_t len = strlen(text);
	const float expected = strtof(text, NULL);

	check_number(text, len, text + len, expected);
	if (len >= DECIMAL_MAX)
		return;
	int n = snprintf(longer, sizeof longer, "%s%s", text, tails[len % 3]);
	check_number(longer, len, longer + n, expected);
}

/* A decimal of `n` random digits, with a point, a sign and an exponent here and there. */
static void
random_decimal(uint64_t *seed, char *out, unsigned n)
{
	uint64_t r = unit_random(seed);
	unsigned point = (unsigned)(r % (n + 1));
	char *p = out;

	if ((r >> 8) % 4 == 0)
		*p++ = '-';
	if (point == 0)
		*p++ = '0';
	for (unsigned i = 0; i < n; i++) {
		if (i == point)
			*p++ = '.';
		unsigned digit = (unsigned)(unit_random(seed) % 10);
		if (i == 0 && digit == 0 && point > 1)
			digit = 1;
		*p++ = (char)('0' + digit);
	}
	*p = '\0';
	if ((r >> 16) % 2 == 0)
		(void)snprintf(p, 8, "%c%d", (r >> 17) % 2 ? 'e' : 'E', (int)((r >> 20) % 100) - 55);
}

static void
random_decimals(void **state)
{
	uint64_t seed = 1;
	char text[DECIMAL_MAX];

	(void)state;
	for (int i = 0; i < UNIT_TIMES(2000000); i++) {
		random_decimal(&seed, text, 1 + (unsigned)(unit_random(&seed) % 19));
		check_like_strtof(text);
	}
}

static void
random_long_decimals(void **state)
{
	uint64_t seed = 2;
	char text[DECIMAL_MAX];

	(void)state;
	for (int i = 0; i < UNIT_TIMES(200000); i++) {
		random_decimal(&seed, text, 17 + (unsigned)(unit_random(&seed) % 60));
		check_like_strtof(text);
	}
}

/* `x`, exact to `digits` digits behind the first, and the texts beside it: a digit more, and the last digit one up or down. */
static void
check_around(double x, int digits)
{
	char text[DECIMAL_MAX];
	char *last;

	(void)snprintf(text, sizeof text - 8, "%.*e", digits, x);
	check_like_strtof(text);
	last = strchr(text, 'e') - 1;
	char digit = *last;
	*last = digit == '9' ? '8' : (char)(digit + 1);
	check_like_strtof(text);
	*last = digit == '0' ? '1' : (char)(digit - 1);
	check_like_strtof(text);
	*last = digit;
	char exponent[8];
	memcpy(exponent, last + 1, strlen(last + 1) + 1);
	(void)snprintf(last + 1, 16, "00001%s", exponent);
	check_like_strtof(text);
}

/* The number half way between the float of `bits` and the next one, which is exact as a double. */
static double
half_way(uint32_t bits)
{
	return ((double)unit_float(bits) + (double)unit_float(bits + 1)) / 2;
}

static void
halfway_cases(void **state)
{
	static const int digits[] = {16, 17, 20, 25, 40, 60, 112};
	uint64_t seed = 3;

	(void)state;
	for (int i = 0; i < UNIT_TIMES(12000); i++) {
		uint32_t bits = (uint32_t)(unit_random(&seed) % 0x7F7FFFFF);
		for (size_t d = 0; d < sizeof digits / sizeof digits[0]; d++)
			check_around(half_way(bits), digits[d]);
	}
}

/* With at most 16 digits, where a double tells too little: it may lie half way though the decimal does not. */
static void
halfway_doubles(void **state)
{
	uint64_t seed = 8;

	(void)state;
	for (int i = 0; i < UNIT_TIMES(60000); i++) {
		uint32_t low = unit_bits(1e-6F);
		uint32_t bits = low + (uint32_t)(unit_random(&seed) % (unit_bits(1e30F) - low));
		check_around(half_way(bits), 15);
		check_around(half_way(bits), 14);
	}
}

static void
halfway_integers(void **state)
{
	char text[32];
	uint64_t seed = 4;

	(void)state;
	for (int i = 0; i < UNIT_TIMES(200000); i++) { /* 2^24 and up: a double holds them, a float holds every second, fourth, … */
		uint64_t x = (1ULL << (24 + i % 29)) | (unit_random(&seed) % (1ULL << (24 + i % 29)));
		x = i % 2 ? x : (x & ~((1ULL << (i % 29 + 1)) - 1)) | (1ULL << (i % 29)); /* just between two floats */
		(void)snprintf(text, sizeof text, "%llu", (unsigned long long)x);
		check_like_strtof(text);
		(void)snprintf(text, sizeof text, "%llu.0e-%d", (unsigned long long)x, i % 23);
		check_like_strtof(text);
	}
}

static void
subnormals(void **state)
{
	uint64_t seed = 5;

	(void)state;
	for (uint32_t bits = 0; bits < 2000; bits++)
		check_around(half_way(bits), 60);
	for (int i = 0; i < UNIT_TIMES(20000); i++) {
		uint32_t bits = (uint32_t)(unit_random(&seed) % 0x00800000);
		check_around(half_way(bits), 30);
		check_around((double)unit_float(bits), 17);
		check_around((double)unit_float(bits), 8);
	}
	check_around((double)FLT_MIN, 60);
	check_around(half_way(unit_bits(FLT_MIN)), 120);
	check_around(half_way(unit_bits(FLT_MIN) - 1), 120);
}

static void
limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof limit_rows / sizeof limit_rows[0]; i++) {
		const char *text = limit_rows[i].text;
		const char *after;
		float x = NAN;
		enum text_number result = text_float(text, text + strlen(text), TEXT_JSON, &x, &after);
		check_integer(text, result, limit_rows[i].result);
		check_integer(text, after - text, strlen(text));
		if (result == TEXT_OK)
			check_float(text, x, limit_rows[i].x);
	}
}

/* HEAD, `n` zeros, TAIL. */
static void
check_zeros(const char *head, size_t n, const char *tail)
{
	size_t len = strlen(head) + n + strlen(tail);
	char *text = malloc(len + 1);

	assert_non_null(text);
	memcpy(text, head, strlen(head));
	memset(text + strlen(head), '0', n);
	memcpy(text + strlen(head) + n, tail, strlen(tail) + 1);
	check_like_strtof(text);
	free(text);
}

static void
long_zeros(void **state)
{
	static const size_t lengths[] = {1, 18, 19, 20, 37, 38, 39, 100, 1000, 99999, 100000, 100001, 1000000};

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		char tail[32];
		size_t n = lengths[i];
		check_zeros("0.", n, "1");
		check_zeros("-0.", n, "");
		check_zeros("1.", n, "1");
		check_zeros("16777217.", n, "1"); /* half way between two floats, but for the last digit */
		check_zeros("16777217.", n, "");
		check_zeros("1", n, "");
		check_zeros("1", n, ".5e-5");
		(void)snprintf(tail, sizeof tail, "1e%zu", n);
		check_zeros("0.", n, tail);
		(void)snprintf(tail, sizeof tail, "e-%zu", n);
		check_zeros("7", n, tail);
		(void)snprintf(tail, sizeof tail, "25e%zu", n + 3);
		check_zeros("0.", n, tail);
		check_zeros("1e", n, "7");
		check_zeros("1e-", n, "7");
	}
}

/* One row, with more text behind it. */
static void
check_grammars(size_t i, const char *tail)
{
	char shown[96];
	int len = snprintf(shown, sizeof shown, "%s%s", grammar_rows[i].text, tail);
	char *text = unit_copy(shown, (size_t)len);

	for (int g = TEXT_JSON; g <= TEXT_CSV; g++) {
		const char *after;
		float x = 0;
		int expected = g == TEXT_JSON ? grammar_rows[i].json : grammar_rows[i].csv;
		enum text_number result = text_float(text, text + len, (enum text_grammar)g, &x, &after);
		check_integer(text, result, expected < 0 ? TEXT_NOT_NUMBER : TEXT_OK);
		if (expected >= 0)
			check_integer(text, after - text, expected);
		if (expected >= 0 && strncmp(text, "0x", 2) != 0 && strncmp(text, "0X", 2) != 0)
			check_float(text, x, strtof(text, NULL));
	}
	free(text);
}

static void
grammars(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof grammar_rows / sizeof grammar_rows[0]; i++) {
		check_grammars(i, "");
		check_grammars(i, ",00000000000000000000000000000000");
	}
}

static void
ends_at_end(void **state)
{
	const char text[] = "12,345";
	const char long_text[] = "123456789012345678901234567890,5";
	const char *after;
	float x = 0;

	(void)state;
	assert_int_equal(text_float(text, text + 2, TEXT_CSV, &x, &after), TEXT_OK);
	assert_ptr_equal(after, text + 2);
	check_float(text, x, 12.0F);
	assert_int_equal(text_float(long_text, long_text + 30, TEXT_CSV, &x, &after), TEXT_OK);
	assert_ptr_equal(after, long_text + 30);
	check_float(long_text, x, 123456789012345678901234567890.0F);
}

/* `x` printed, NUL-terminated. */
static void
print(float x, char out[TEXT_FLOAT_MAX + 1])
{
	size_t n = text_float_print(x, out);

	if (n >= TEXT_FLOAT_MAX)
		fail_msg("%.9g takes %zu bytes", (double)x, n);
	out[n] = '\0';
}

/* Number of significant digits in a decimal. */
static int
significant(const char *text)
{
	char digits[TEXT_FLOAT_MAX + 1];
	int n = 0;
	int first = -1;
	int last = -1;

	for (; *text != '\0' && *text != 'e'; text++)
		if (*text >= '0' && *text <= '9')
			digits[n++] = *text;
	for (int i = 0; i < n; i++) {
		if (digits[i] == '0')
			continue;
		first = first < 0 ? i : first;
		last = i;
	}
	return last - first + 1;
}

/* The decimals of n digits around |x|: the nearest one, and those one below and above. All that read back as x are told of. */
static bool
reads_back(float x, int n, long double *nearest)
{
	char text[32];
	bool found = false;
	long double best = 0;

	(void)snprintf(text, sizeof text, "%.*e", n - 1, (double)x);
	char *e = strchr(text, 'e');
	int exponent = (int)strtol(e + 1, NULL, 10);
	long long digits = 0;
	for (const char *p = text; p < e; p++)
		if (*p != '.')
			digits = digits * 10 + (*p - '0');
	for (long long d = digits - 1; d <= digits + 1; d++) {
		(void)snprintf(text, sizeof text, "%llde%d", d, exponent - (n - 1));
		if (strtof(text, NULL) != x)
			continue;
		long double distance = fabsl(strtold(text, NULL) - (long double)x);
		best = !found || distance < best ? distance : best;
		found = true;
	}
	*nearest = best;
	return found;
}

/* x > 0: the text reads back as x, with no more digits than needed, and no decimal of as many digits is nearer. */
static void
check_shortest(float x)
{
	char text[TEXT_FLOAT_MAX + 1];
	long double nearest;

	print(x, text);
	check_float(text, strtof(text, NULL), x);
	int n = significant(text);
	if (n > 1 && reads_back(x, n - 1, &nearest))
		fail_msg("%.9g is printed as %s, but %d digits suffice", (double)x, text, n - 1);
	if (!reads_back(x, n, &nearest))
		fail_msg("%.9g: the %d digits of %s are too few", (double)x, n, text);
	long double distance = fabsl(strtold(text, NULL) - (long double)x);
	if (distance > nearest * (1 + 1e-9L))
		fail_msg("%.9g is printed as %s, but another decimal of %d digits is nearer", (double)x, text, n);
}

static void
prints_shortest(void **state)
{
	(void)state;
	for (uint32_t bits = 1; bits < 0x7F800000; bits += UNIT_SANITIZED ? 49999 : 1499)
		check_shortest(unit_float(bits));
}

static void
prints_powers_of_two(void **state)
{
	(void)state;
	for (int e = -149; e <= 127; e++) {
		float x = ldexpf(1.0F, e);
		check_shortest(x);
		check_shortest(unit_float(unit_bits(x) + 1));
		if (e > -149)
			check_shortest(unit_float(unit_bits(x) - 1));
	}
}

static void
prints_powers_of_ten(void **state)
{
	char expected[8];
	char text[TEXT_FLOAT_MAX + 1];

	(void)state;
	for (int e = -45; e <= 38; e++) {
		(void)snprintf(expected, sizeof expected, "1e%d", e);
		float x = strtof(expected, NULL);
		check_shortest(x);
		print(x, text);
		check_integer(expected, significant(text), 1);
	}
}

static void
prints_subnormals(void **state)
{
	(void)state;
	for (uint32_t bits = 1; bits < 20000; bits++)
		check_shortest(unit_float(bits));
	for (uint32_t bits = 20000; bits < 0x00800000; bits += (uint32_t)(UNIT_SANITIZED ? 997 : 101))
		check_shortest(unit_float(bits));
}

static void
prints_integers(void **state)
{
	char text[TEXT_FLOAT_MAX + 1];
	char expected[32];

	(void)state;
	for (int i = 0; i <= 1 << 24; i += i < 100000 ? 1 : 37) {
		print((float)i, text);
		(void)snprintf(expected, sizeof expected, "%d", i);
		check_string(expected, text, expected);
		print(-(float)i, text);
		check_string(expected, text + 1, expected);
		check_integer(expected, text[0], '-');
	}
}

static void
notation(void **state)
{
	static const struct {
		float x;
		const char *text;
	} rows[] = {
		{0.0F, "0"},
		{-0.0F, "-0"},
		{1.0F, "1"},
		{-1.5F, "-1.5"},
		{0.1F, "0.1"},
		{4.26F, "4.26"},
		{0.3F, "0.3"},
		{1e-4F, "0.0001"},
		{1.5e-4F, "0.00015"},
		{9.9999e-5F, "9.9999e-5"},
		{-1e-5F, "-1e-5"},
		{1.5e-7F, "1.5e-7"},
		{16777216.0F, "16777216"},
		{1e10F, "10000000000"},
		{1.2345679e10F, "12345679000"},
		{9.999999e15F, "9999999000000000"},
		{1e16F, "1e16"},
		{1.5e16F, "1.5e16"},
		{FLT_MAX, "3.4028235e38"},
		{-FLT_MAX, "-3.4028235e38"},
		{FLT_MIN, "1.1754944e-38"},
		{FLT_TRUE_MIN, "1e-45"},
		{8388608.5F, "8388608"},
		{8388609.0F, "8388609"},
		{123456.79F, "123456.79"},
		{0.33333334F, "0.33333334"},
	};
	char text[TEXT_FLOAT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		print(rows[i].x, text);
		check_string(rows[i].text, text, rows[i].text);
	}
}

/* All that is printed is JSON and reads back with our own reader as well. */
static void
printed_is_json(void **state)
{
	char text[TEXT_FLOAT_MAX + 1];
	uint64_t seed = 6;

	(void)state;
	for (int i = 0; i < UNIT_TIMES(1000000); i++) {
		uint32_t bits = (uint32_t)unit_random(&seed);
		float x = unit_float(bits);
		float back = 0;
		const char *after;
		if (!isfinite(x))
			continue;
		print(x, text);
		check_integer(text, text_float(text, text + strlen(text), TEXT_JSON, &back, &after), TEXT_OK);
		check_integer(text, *after, '\0');
		check_float(text, back, x);
	}
}

static void
json_float_not_finite(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	text_json_float(&b, NAN);
	buf_char(&b, ' ');
	text_json_float(&b, INFINITY);
	buf_char(&b, ' ');
	text_json_float(&b, -INFINITY);
	buf_char(&b, ' ');
	text_json_float(&b, 0.5F);
	assert_string_equal(buf_peek(&b), "null null null 0.5");
	buf_release(&b);
}

/* RFC 3629, by hand. */
static size_t
encode(uint32_t code, unsigned char out[4])
{
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	if (n == 1)
		out[0] = (unsigned char)code;
	else if (n == 2)
		out[0] = (unsigned char)(0xC0 | code >> 6);
	else if (n == 3)
		out[0] = (unsigned char)(0xE0 | code >> 12);
	else
		out[0] = (unsigned char)(0xF0 | code >> 18);
	for (size_t i = 1; i < n; i++)
		out[i] = (unsigned char)(0x80 | (code >> (6 * (n - 1 - i)) & 0x3F));
	return n;
}

static size_t
utf8(const unsigned char *bytes, size_t len)
{
	return text_utf8((const char *)bytes, (const char *)bytes + len);
}

static void
utf8_accepts_all_characters(void **state)
{
	unsigned char bytes[4];

	(void)state;
	for (uint32_t code = 0; code <= 0x10FFFF; code++) {
		size_t n = encode(code, bytes);
		size_t expected = code >= 0xD800 && code <= 0xDFFF ? 0 : n;
		if (utf8(bytes, n) != expected)
			fail_msg("U+%04X: %zu bytes, expected %zu", code, utf8(bytes, n), expected);
		for (size_t cut = 0; cut < n; cut++)
			if (utf8(bytes, cut) != 0)
				fail_msg("U+%04X cut to %zu bytes is accepted", code, cut);
	}
}

/* As many sequences of two, three and four bytes are accepted as there are characters of that length. */
static void
utf8_accepts_nothing_else(void **state)
{
	static const unsigned char last[] = {0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF}; /* two of them continue */
	size_t count[5] = {0};
	size_t count4 = 0;
	unsigned char b[4];

	(void)state;
	for (uint32_t i = 0; i < 0x1000000; i++) {
		b[0] = (unsigned char)(i >> 16);
		b[1] = (unsigned char)(i >> 8);
		b[2] = (unsigned char)i;
		count[utf8(b, 3)]++;
		if (b[0] < 0xE0)
			continue;
		for (size_t k = 0; k < sizeof last; k++) {
			b[3] = last[k];
			count4 += utf8(b, 4) == 4;
		}
	}
	assert_int_equal(count[1], 128 * 65536);
	assert_int_equal(count[2], 1920 * 256);
	assert_int_equal(count[3], 61440);
	assert_int_equal(count[4], 0);
	assert_int_equal(count4, 0x100000 / 64 * 2);
}

static void
utf8_refusals(void **state)
{
	static const char *const rows[] = {
		"\x80",
		"\xBF",
		"\xC0\x80",
		"\xC1\xBF",
		"\xC2",
		"\xC2\x41",
		"\xE0\x80\x80",
		"\xE0\x9F\xBF",
		"\xE2\x82",
		"\xE2\x82\x41",
		"\xED\xA0\x80",
		"\xED\xBF\xBF",
		"\xF0\x80\x80\x80",
		"\xF0\x8F\xBF\xBF",
		"\xF0\x9F\x98",
		"\xF4\x90\x80\x80",
		"\xF5\x80\x80\x80",
		"\xF8\x88\x80\x80\x80",
		"\xFE",
		"\xFF",
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (text_utf8(rows[i], rows[i] + strlen(rows[i])) != 0)
			fail_msg("row %zu is accepted", i);
}

static void
json_string_table(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *json;
	} rows[] = {
		{"", 0, "\"\""},
		{"plain", 5, "\"plain\""},
		{"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
		{"\n\t\x01\x1F\x7F", 5, "\"\\u000a\\u0009\\u0001\\u001f\\u007f\""},
		{"a\0b", 3, "\"a\\u0000b\""},
		{"\xC3\xA9\xF0\x9F\x98\x80", 6, "\"\xC3\xA9\xF0\x9F\x98\x80\""},
		{"\xC3", 1, "\"\xEF\xBF\xBD\""},
		{"\xC3(", 2, "\"\xEF\xBF\xBD(\""},
		{"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
		{"\xFF\"", 2, "\"\xEF\xBF\xBD\\\"\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf b;
		char *text = unit_copy(rows[i].text, rows[i].len);
		buf_init(&b, 1000);
		text_json_string(&b, text, rows[i].len);
		check_string(rows[i].json, buf_peek(&b), rows[i].json);
		buf_release(&b);
		free(text);
	}
}

/* Random bytes, some of which make characters, as a JSON string that our strict reader and cJSON take. */
static void
check_random_string(uint64_t *seed, struct buf *b)
{
	char bytes[64];
	char back[4 * sizeof bytes];
	size_t len = unit_random(seed) % sizeof bytes;
	size_t back_len;
	bool valid = true;
	struct json_reader r;
	struct err_info info;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(1 + unit_random(seed) % 255);
	for (const char *p = bytes; p < bytes + len; p += valid ? text_utf8(p, bytes + len) : len)
		valid = text_utf8(p, bytes + len) > 0;
	buf_reset(b);
	text_json_string(b, bytes, len);
	assert_true(buf_ok(b));
	json_init(&r, buf_peek(b), b->len, &info);
	assert_err(json_string(&r, back, sizeof back, &back_len), ERR_OK, &info);
	assert_err(json_end(&r), ERR_OK, &info);
	if (valid) {
		assert_int_equal(back_len, len);
		assert_memory_equal(back, bytes, len);
	}
	cJSON *tree = cJSON_Parse(buf_peek(b));
	assert_non_null(tree);
	assert_string_equal(cJSON_GetStringValue(tree), back);
	cJSON_Delete(tree);
}

static void
json_string_always_valid(void **state)
{
	uint64_t seed = 7;
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	for (int i = 0; i < UNIT_TIMES(100000); i++)
		check_random_string(&seed, &b);
	buf_release(&b);
}

static void
quote(void **state)
{
	char out[8];

	(void)state;
	assert_string_equal(text_quote("abc", 3, out, sizeof out), "abc");
	assert_string_equal(text_quote("", 0, out, sizeof out), "");
	assert_string_equal(text_quote("a\nb\x7F\xC3\xA9", 6, out, sizeof out), "a?b???");
	assert_string_equal(text_quote("1234567", 7, out, sizeof out), "1234567");
	assert_string_equal(text_quote("12345678", 8, out, sizeof out), "1234...");
	assert_string_equal(text_quote("123456789", 9, out, sizeof out), "1234...");
	assert_string_equal(text_quote("123", 3, out, 3), "12");
	assert_string_equal(text_quote("a\0b", 3, out, sizeof out), "a?b");
}

static void
integer(void **state)
{
	static const struct {
		const char *text;
		long long min;
		long long max;
		bool ok;
		long long value;
	} rows[] = {
		{"0", 0, 10, true, 0},
		{"10", 0, 10, true, 10},
		{"11", 0, 10, false, 0},
		{"-1", 0, 10, false, 0},
		{"-1", -1, 10, true, -1},
		{"-0", 0, 0, true, 0},
		{"007", 0, 10, true, 7},
		{"", 0, 10, false, 0},
		{"-", -10, 10, false, 0},
		{"+1", 0, 10, false, 0},
		{" 1", 0, 10, false, 0},
		{"1 ", 0, 10, false, 0},
		{"- 1", -10, 10, false, 0},
		{"--1", -10, 10, false, 0},
		{"-+1", -10, 10, false, 0},
		{"1x", 0, 10, false, 0},
		{"0x1", 0, 10, false, 0},
		{"1.0", 0, 10, false, 0},
		{"1e1", 0, 10, false, 0},
		{"9223372036854775807", LLONG_MIN, LLONG_MAX, true, LLONG_MAX},
		{"-9223372036854775808", LLONG_MIN, LLONG_MAX, true, LLONG_MIN},
		{"9223372036854775808", LLONG_MIN, LLONG_MAX, false, 0},
		{"-9223372036854775809", LLONG_MIN, LLONG_MAX, false, 0},
		{"99999999999999999999999", LLONG_MIN, LLONG_MAX, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		long long value = 77;
		check_integer(rows[i].text, text_integer(rows[i].text, rows[i].min, rows[i].max, &value), rows[i].ok);
		check_integer(rows[i].text, value, rows[i].ok ? rows[i].value : 77);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("millions of decimals of up to 19 digits read as strtof reads them, bit for bit", random_decimals),
		TEST("decimals of 17 to 76 digits read as strtof reads them, bit for bit", random_long_decimals),
		TEST("decimals half way between two floats, and those beside them, read as strtof reads them", halfway_cases),
		TEST("decimals of 16 digits whose double is half way between two floats read as strtof reads them", halfway_doubles),
		TEST("integers half way between two floats read as strtof reads them", halfway_integers),
		TEST("subnormals and the decimals between them read as strtof reads them", subnormals),
		TEST("numbers at the limits of float32 are the nearest float or too big", limits),
		TEST("numbers with up to a million zeros read as strtof reads them", long_zeros),
		TEST("the grammars of JSON and of CSV accept what they should, and no more", grammars),
		TEST("a number ends where its text does, whatever stands behind", ends_at_end),
		TEST("a printed float is the shortest decimal that reads back, and the nearest of those", prints_shortest),
		TEST("powers of two and their neighbours are printed shortest", prints_powers_of_two),
		TEST("powers of ten are printed with one digit", prints_powers_of_ten),
		TEST("subnormals are printed shortest", prints_subnormals),
		TEST("integers up to 2^24 are printed as integers", prints_integers),
		TEST("notation is plain from 1e-4 to below 1e16 and scientific elsewhere", notation),
		TEST("a million printed floats are JSON numbers and read back the same", printed_is_json),
		TEST("a float that is not finite is null in JSON", json_float_not_finite),
		TEST("every character of Unicode is valid UTF-8, and cut it is not", utf8_accepts_all_characters),
		TEST("no sequence of bytes is valid UTF-8 but those of characters", utf8_accepts_nothing_else),
		TEST("overlong forms, surrogates, and what is over U+10FFFF are not UTF-8", utf8_refusals),
		TEST("a JSON string escapes what must be escaped and mends what is not UTF-8", json_string_table),
		TEST("a JSON string of any bytes is valid, and of valid UTF-8 reads back the same", json_string_always_valid),
		TEST("a quoted text has printable characters only and is cut to fit", quote),
		TEST("an integer is decimal digits within its range and nothing else", integer),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
