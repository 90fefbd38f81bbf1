/* test_json.c - tests of base/json: what the strict reader accepts, and each refusal with its place */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <math.h>

#include "unit.h"

enum { DEPTH = 8 };

static const struct {
	const char *text;
	const char *sentence;
} refused[] = {
	{"", "line 1, column 1: the JSON text ends too early; expected a value"},
	{" \n ", "line 2, column 2: the JSON text ends too early"},
	{"\xEF\xBB\xBF[]", "line 1, column 1: the JSON text starts with a byte order mark; send it without"},
	{"[\xEF\xBB\xBF]", "line 1, column 2: found the byte 0xEF"},
	{"[] []", "line 1, column 4: found '['; expected the end of the JSON text"},
	{"1 2", "line 1, column 3: found '2'; expected the end"},
	{"[1]]", "line 1, column 4: found ']'; expected the end"},
	{"[1,]", "line 1, column 4: a comma stands before ']'; remove it"},
	{"[1, ]", "line 1, column 5: a comma stands before ']'"},
	{"{\"a\":1,}", "line 1, column 8: a comma stands before '}'; remove it"},
	{"[,1]", "line 1, column 2: found ','; expected a value"},
	{"[1,,2]", "line 1, column 4: found ','; expected a value"},
	{"[1 2]", "line 1, column 4: found '2'; expected ',' or ']'"},
	{"[1", "line 1, column 3: the JSON text ends too early; expected ',' or ']'"},
	{"[1}", "line 1, column 3: found '}'; expected ',' or ']'"},
	{"{\"a\":1]", "line 1, column 7: found ']'; expected ',' or '}'"},
	{"{\"a\":1", "line 1, column 7: the JSON text ends too early; expected ',' or '}'"},
	{"{\"a\" 1}", "line 1, column 6: found '1'; expected ':' behind the member name"},
	{"{\"a\"", "line 1, column 5: the JSON text ends too early; expected ':'"},
	{"{\"a\":}", "line 1, column 6: found '}'; expected a value"},
	{"{a:1}", "line 1, column 2: found 'a'; expected a member name in double quotes"},
	{"{'a':1}", "line 1, column 2: found '''; expected a member name in double quotes"},
	{"{1:1}", "line 1, column 2: found '1'; expected a member name"},
	{"{,}", "line 1, column 2: found ','; expected a member name"},
	{"{null:1}", "line 1, column 2: found 'n'; expected a member name"},
	{"01", "line 1, column 1: this is not a JSON number"},
	{"-01", "line 1, column 1: this is not a JSON number"},
	{"[1,\n 01]", "line 2, column 2: this is not a JSON number"},
	{"1.", "line 1, column 1: this is not a JSON number"},
	{"-", "line 1, column 1: this is not a JSON number"},
	{"1e", "line 1, column 1: this is not a JSON number"},
	{"1e+", "line 1, column 1: this is not a JSON number"},
	{"-a", "line 1, column 1: this is not a JSON number"},
	{"+1", "line 1, column 1: a JSON number starts with a digit or a minus sign"},
	{".5", "line 1, column 1: a JSON number starts with a digit or a minus sign"},
	{"-.5", "line 1, column 1: this is not a JSON number"},
	{"0x10", "line 1, column 2: found 'x'; expected the end"},
	{"1.5.5", "line 1, column 4: found '.'; expected the end"},
	{"Infinity", "line 1, column 1: Infinity is not a value a feature can have"},
	{"-Infinity", "line 1, column 1: -Infinity is not a value a feature can have"},
	{"NaN", "line 1, column 1: found 'N'; expected a value"},
	{"-NaN", "line 1, column 1: this is not a JSON number"},
	{"nan", "line 1, column 1: expected a value; a word that starts with 'n' can only be null"},
	{"nul", "line 1, column 1: expected a value; a word that starts with 'n' can only be null"},
	{"tru", "line 1, column 1: expected a value; a word that starts with 't' can only be true"},
	{"True", "line 1, column 1: found 'T'; expected a value"},
	{"fals", "line 1, column 1: expected a value; a word that starts with 'f' can only be false"},
	{"nulll", "line 1, column 5: found 'l'; expected the end"},
	{"// a\n1", "line 1, column 1: found '/'; expected a value"},
	{"[1 /* a */]", "line 1, column 4: found '/'; expected ',' or ']'"},
	{"\x01", "line 1, column 1: found the byte 0x01; expected a value"},
	{"\xC3\xA9", "line 1, column 1: found the byte 0xC3; expected a value"},
	{"[\v1]", "line 1, column 2: found the byte 0x0B"},
	{"[\f1]", "line 1, column 2: found the byte 0x0C"},
	{"[\xC2\xA0]", "line 1, column 2: found the byte 0xC2"},
	{"\"", "line 1, column 2: the JSON text ends inside a string"},
	{"\"abc", "line 1, column 5: the JSON text ends inside a string"},
	{"\"abc\\", "line 1, column 6: the JSON text ends inside a string"},
	{"'abc'", "line 1, column 1: found '''; expected a value"},
	{"\"a\nb\"", "line 1, column 3: a control character in a string must be escaped"},
	{"\"a\tb\"", "line 1, column 3: a control character in a string must be escaped"},
	{"\"a\x1F\"", "line 1, column 3: a control character in a string must be escaped"},
	{"\"\xC3\"", "line 1, column 2: the string is not valid UTF-8"},
	{"\"a\xFF\"", "line 1, column 3: the string is not valid UTF-8"},
	{"\"\xC0\x80\"", "line 1, column 2: the string is not valid UTF-8"},
	{"\"\xED\xA0\x80\"", "line 1, column 2: the string is not valid UTF-8"},
	{"\"\xF4\x90\x80\x80\"", "line 1, column 2: the string is not valid UTF-8"},
	{"{\"\xFF\":1}", "line 1, column 3: the string is not valid UTF-8"},
	{"\"\\x41\"", "line 1, column 3: an unknown escape in a string"},
	{"\"\\'\"", "line 1, column 3: an unknown escape in a string"},
	{"\"\\U0041\"", "line 1, column 3: an unknown escape in a string"},
	{"\"\\0\"", "line 1, column 3: an unknown escape in a string"},
	{"\"\\u12\"", "\\u needs four hexadecimal digits"},
	{"\"\\u12g4\"", "\\u needs four hexadecimal digits"},
	{"\"\\u", "\\u needs four hexadecimal digits"},
	{"\"\\u+123\"", "\\u needs four hexadecimal digits"},
	{"\"\\u0000\"", "\\u0000 is not accepted in a string"},
	{"{\"a\\u0000b\":1}", "\\u0000 is not accepted in a string"},
	{"\"\\uD83D\"", "half of a surrogate pair stands alone"},
	{"\"\\uD83Dx\"", "half of a surrogate pair stands alone"},
	{"\"\\uD83D\\n\"", "half of a surrogate pair stands alone"},
	{"\"\\uD83D\\u0041\"", "half of a surrogate pair stands alone"},
	{"\"\\uD83D\\uD83D\"", "half of a surrogate pair stands alone"},
	{"\"\\uD83D\\uE000\"", "half of a surrogate pair stands alone"},
	{"\"\\uD83D\\u12\"", "half of a surrogate pair stands alone"},
	{"\"\\uDE00\"", "half of a surrogate pair stands alone"},
	{"\"\\uDC00\\uD800\"", "half of a surrogate pair stands alone"},
	{"[[[[[[[[[]]]]]]]]]", "line 1, column 9: nested too deeply"},
	{"{\"a\":[[[[[[[[1]]]]]]]]}", "line 1, column 13: nested too deeply"},
};

/* Reads a whole document; the text is a copy of its exact size. */
static enum err
skip_all(const char *text, size_t len, struct err_info *info)
{
	struct json_reader r;
	char *copy = unit_copy(text, len);

	json_init(&r, copy, len, info);
	enum err e = json_skip(&r, DEPTH);
	if (e == ERR_OK)
		e = json_end(&r);
	free(copy);
	return e;
}

static void
accepts(void **state)
{
	static const char *const rows[] = {
		"0",
		"-0",
		"10",
		"1.5",
		"-1.5e-7",
		"1E+5",
		"1e999",
		"-1e999",
		"123456789012345678901234567890",
		"null",
		"true",
		"false",
		"\"\"",
		"\"a\"",
		"[]",
		"{}",
		"[ ]",
		"{ }",
		"[1]",
		"[1,2]",
		"[1,[2,[3]]]",
		"{\"a\":1}",
		"{\"a\":{\"b\":[]}}",
		" \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n",
		"{ \"a\" : 1 , \"b\" : 2 }",
		"{\"\":1}",
		"\"\x7F\"",
		"\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u00E9\\uD83D\\ude00\"",
		"[[[[[[[[]]]]]]]]",
		"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}",
		"[1e999,2]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err_info info;
		check_err(rows[i], skip_all(rows[i], strlen(rows[i]), &info), ERR_OK, &info);
		cJSON *tree = NULL;
		check_err(rows[i], json_document("d", rows[i], strlen(rows[i]), &tree, &info), ERR_OK, &info);
		cJSON_Delete(tree);
	}
}

static void
refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		struct err_info info;
		enum err e = skip_all(refused[i].text, strlen(refused[i].text), &info);
		check_err(refused[i].text, e, strstr(refused[i].text, "Infinity") != NULL ? ERR_BAD_NUMBER : ERR_BAD_JSON, &info);
		check_contains(refused[i].text, info.text, refused[i].sentence);
		check_contains(refused[i].text, info.text, "line ");
		check_integer(refused[i].text, info.code, e);
	}
}

static void
refuses_nul_bytes(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *sentence;
	} rows[] = {
		{"\0", 1, "line 1, column 1: found the byte 0x00"},       {"[\0]", 3, "line 1, column 2: found the byte 0x00"},
		{"[1\0", 3, "line 1, column 3: found the byte 0x00"},     {"1\0", 2, "line 1, column 2: found the byte 0x00"},
		{"\"a\0b\"", 5, "line 1, column 3: a control character"}, {"\"a\\\0b\"", 6, "line 1, column 4: an unknown escape"},
		{"nul\0l", 5, "line 1, column 1: expected a value"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err_info info;
		check_err(rows[i].text, skip_all(rows[i].text, rows[i].len, &info), ERR_BAD_JSON, &info);
		check_contains(rows[i].sentence, info.text, rows[i].sentence);
	}
}

static void
refuses_every_prefix(void **state)
{
	static const char document[] =
		"{\"features\": [[8.3252e+0, -41, null, true], {\"a\\u00e9\\uD83D\\uDE00\\n\xE2\x82\xAC\": \"b\"}, "
		"false, [], {}, [[-0.5E-3]]], \"end\": {\"x\": [1, 2]}}";

	(void)state;
	for (size_t len = 0; len <= strlen(document); len++) {
		struct err_info info;
		char row[32];
		(void)snprintf(row, sizeof row, "%zu bytes", len);
		check_err(row, skip_all(document, len, &info), len < strlen(document) ? ERR_BAD_JSON : ERR_OK, &info);
	}
}

static void
deep_nesting(void **state)
{
	enum { N = 100000 };
	char *text = malloc(2 * N + 1);
	struct err_info info;
	cJSON *tree;

	(void)state;
	memset(text, '[', N);
	memset(text + N, ']', N);
	text[2 * N] = '\0';
	assert_err(skip_all(text, 2 * N, &info), ERR_BAD_JSON, &info);
	assert_err(json_document("deep", text, 2 * N, &tree, &info), ERR_BAD_JSON, &info);
	assert_null(tree);
	assert_string_equal(info.text, "deep: line 1, column 33: nested too deeply");
	for (size_t i = 0; i + 5 <= N; i += 5)
		memcpy(text + i, "{\"a\":", 5);
	assert_err(skip_all(text, N, &info), ERR_BAD_JSON, &info);
	assert_string_equal(info.text, "line 1, column 41: nested too deeply");
	free(text);
}

static void
escapes(void **state)
{
	static const struct {
		const char *text;
		const char *decoded;
	} rows[] = {
		{"\"\"", ""},
		{"\"plain\"", "plain"},
		{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
		{"\"\\u0001\\u0041\\u007F\"", "\x01"
									  "A\x7F"},
		{"\"\\u0080\\u00e9\\u07fF\"", "\xC2\x80\xC3\xA9\xDF\xBF"},
		{"\"\\u0800\\u20AC\\uD7ff\\ue000\\uFFFF\"", "\xE0\xA0\x80\xE2\x82\xAC\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"},
		{"\"\\uD800\\uDC00\\uD83D\\uDE00\\uDBFF\\uDFFF\"", "\xF0\x90\x80\x80\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF"},
		{"\"\xF0\x9F\x98\x80\\u0041\"", "\xF0\x9F\x98\x80"
										"A"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json_reader r;
		struct err_info info;
		char out[64];
		size_t len;
		json_init(&r, rows[i].text, strlen(rows[i].text), &info);
		check_err(rows[i].text, json_string(&r, out, sizeof out, &len), ERR_OK, &info);
		check_string(rows[i].text, out, rows[i].decoded);
		check_integer(rows[i].text, len, strlen(rows[i].decoded));
		check_err(rows[i].text, json_end(&r), ERR_OK, &info);
	}
}

static void
string_that_does_not_fit(void **state)
{
	static const char text[] = "\"a\\u00e9\\n\xE2\x82\xAC!\"";
	static const char decoded[] = "a\xC3\xA9\n\xE2\x82\xAC!";
	struct json_reader r;
	struct err_info info;

	(void)state;
	for (size_t cap = 0; cap <= sizeof decoded + 1; cap++) {
		char *out = malloc(cap + 1);
		size_t len;
		memset(out, '#', cap + 1);
		json_init(&r, text, strlen(text), &info);
		assert_err(json_string(&r, out, cap, &len), ERR_OK, &info);
		assert_int_equal(len, strlen(decoded));
		size_t fits = cap == 0 ? 0 : cap > len ? len : cap - 1;
		assert_memory_equal(out, decoded, fits);
		if (cap > 0)
			assert_int_equal(out[fits], '\0');
		assert_int_equal(out[cap], '#');
		free(out);
	}
}

static void
floats(void **state)
{
	static const struct {
		const char *text;
		float x;
	} rows[] = {
		{"1", 1.0F},
		{" \n\t\r-1.5", -1.5F},
		{"-0", -0.0F},
		{"1e-400", 0.0F},
		{"null", NAN},
		{"NaN", NAN},
		{"3.4028235e38", 3.4028235e38F},
		{"0.1", 0.1F},
		{"1.00000005960464477540", 1.0000001F},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json_reader r;
		struct err_info info;
		float x = 7;
		char *text = unit_copy(rows[i].text, strlen(rows[i].text));
		json_init(&r, text, strlen(text), &info);
		check_err(text, json_float(&r, &x), ERR_OK, &info);
		check_float(text, x, rows[i].x);
		check_err(text, json_end(&r), ERR_OK, &info);
		free(text);
	}
}

static void
float_refusals(void **state)
{
	static const struct {
		const char *text;
		enum err e;
		const char *sentence;
	} rows[] = {
		{"", ERR_BAD_JSON, "line 1, column 1: the JSON text ends too early; expected a number"},
		{"]", ERR_BAD_JSON, "line 1, column 1: found ']'; expected a number"},
		{"\"1\"", ERR_WRONG_TYPE, "line 1, column 1: expected a number, found a string"},
		{"true", ERR_WRONG_TYPE, "line 1, column 1: expected a number, found true"},
		{"false", ERR_WRONG_TYPE, "line 1, column 1: expected a number, found false"},
		{"[1]", ERR_WRONG_TYPE, "line 1, column 1: expected a number, found an array"},
		{" {}", ERR_WRONG_TYPE, "line 1, column 2: expected a number, found an object"},
		{"1e39", ERR_BAD_NUMBER, "line 1, column 1: the number is beyond float32 (at most 3.4028235e38)"},
		{"-1e999", ERR_BAD_NUMBER, "line 1, column 1: the number is beyond float32"},
		{"Infinity", ERR_BAD_NUMBER, "line 1, column 1: Infinity is not a value a feature can have; null or NaN means missing"},
		{"-Infinity", ERR_BAD_NUMBER, "line 1, column 1: -Infinity is not a value a feature can have; null or NaN means missing"},
		{"Na", ERR_BAD_JSON, "line 1, column 1: expected a value; a word that starts with 'N' can only be NaN"},
		{"nan", ERR_BAD_JSON, "line 1, column 1: expected a value; a word that starts with 'n' can only be null"},
		{"-nan", ERR_BAD_JSON, "line 1, column 1: this is not a JSON number"},
		{"+1", ERR_BAD_JSON, "line 1, column 1: a JSON number starts with a digit or a minus sign"},
		{"01", ERR_BAD_JSON, "line 1, column 1: this is not a JSON number"},
		{"?", ERR_BAD_JSON, "line 1, column 1: found '?'; expected a number"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json_reader r;
		struct err_info info;
		float x;
		char *text = unit_copy(rows[i].text, strlen(rows[i].text));
		json_init(&r, text, strlen(text), &info);
		check_err(text, json_float(&r, &x), rows[i].e, &info);
		check_contains(text, info.text, rows[i].sentence);
		free(text);
	}
}

static void
nan_only_for_numbers(void **state)
{
	static const char *const rows[] = {"NaN", "[NaN]", "{\"a\":NaN}", "{NaN:1}"};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err_info info;
		cJSON *tree;
		check_err(rows[i], skip_all(rows[i], strlen(rows[i]), &info), ERR_BAD_JSON, &info);
		check_err(rows[i], json_document("d", rows[i], strlen(rows[i]), &tree, &info), ERR_BAD_JSON, &info);
	}
}

static void
peek(void **state)
{
	static const struct {
		const char *text;
		enum json_kind kind;
		const char *name;
	} rows[] = {
		{" {", JSON_OBJECT, "an object"},
		{"[", JSON_ARRAY, "an array"},
		{"\"", JSON_STRING, "a string"},
		{"0", JSON_NUMBER, "a number"},
		{"9", JSON_NUMBER, "a number"},
		{"-", JSON_NUMBER, "a number"},
		{"+", JSON_NUMBER, "a number"},
		{".", JSON_NUMBER, "a number"},
		{"I", JSON_NUMBER, "a number"},
		{"n", JSON_NULL, "null"},
		{"N", JSON_NAN, "NaN"},
		{"t", JSON_TRUE, "true"},
		{"f", JSON_FALSE, "false"},
		{" \n", JSON_END, "the end"},
		{"]", JSON_BAD, "a character that starts no JSON value"},
		{"\x80", JSON_BAD, "a character that starts no JSON value"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json_reader r;
		struct err_info info;
		json_init(&r, rows[i].text, strlen(rows[i].text), &info);
		check_integer(rows[i].text, json_peek(&r), rows[i].kind);
		check_integer(rows[i].text, json_peek(&r), rows[i].kind);
		check_string(rows[i].text, json_kind_name(rows[i].kind), rows[i].name);
	}
}

static void
walks(void **state)
{
	static const char text[] = " { \"a\" : [ 1 , NaN ] , \"b\" : { } } ";
	struct json_reader r;
	struct err_info info;
	char name[4];
	size_t len;
	bool more;
	float x;

	(void)state;
	json_init(&r, text, strlen(text), &info);
	assert_err(json_open(&r, '{'), ERR_OK, &info);
	assert_err(json_more(&r, '}', &more), ERR_OK, &info);
	assert_true(more);
	assert_err(json_name(&r, name, sizeof name, &len), ERR_OK, &info);
	assert_string_equal(name, "a");
	assert_err(json_open(&r, '['), ERR_OK, &info);
	assert_err(json_more(&r, ']', &more), ERR_OK, &info);
	assert_err(json_float(&r, &x), ERR_OK, &info);
	assert_err(json_more(&r, ']', &more), ERR_OK, &info);
	assert_true(more);
	assert_err(json_float(&r, &x), ERR_OK, &info);
	assert_err(json_more(&r, ']', &more), ERR_OK, &info);
	assert_false(more);
	assert_err(json_more(&r, '}', &more), ERR_OK, &info);
	assert_true(more);
	assert_err(json_name(&r, name, sizeof name, &len), ERR_OK, &info);
	assert_err(json_skip(&r, 1), ERR_OK, &info);
	assert_err(json_more(&r, '}', &more), ERR_OK, &info);
	assert_false(more);
	assert_err(json_end(&r), ERR_OK, &info);
}

static void
skip_depth(void **state)
{
	static const struct {
		const char *text;
		int depth;
		enum err e;
	} rows[] = {
		{"1", 0, ERR_OK},    {"[]", 0, ERR_BAD_JSON},           {"[]", 1, ERR_OK},           {"[[]]", 1, ERR_BAD_JSON},
		{"[[]]", 2, ERR_OK}, {"[{\"a\":[]}]", 2, ERR_BAD_JSON}, {"[{\"a\":[]}]", 3, ERR_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json_reader r;
		struct err_info info;
		json_init(&r, rows[i].text, strlen(rows[i].text), &info);
		check_err(rows[i].text, json_skip(&r, rows[i].depth), rows[i].e, &info);
	}
}

static void
places_count_lines(void **state)
{
	static const char text[] = "{\n  \"a\": 1,\r\n\t\"b\": ?\n}";
	struct err_info info;

	(void)state;
	assert_err(skip_all(text, strlen(text), &info), ERR_BAD_JSON, &info);
	assert_string_equal(info.text, "line 3, column 7: found '?'; expected a value");
}

static void
document_tree(void **state)
{
	static const char text[] = "{\"a\": [1, 2.5, null, \"\\u00e9\"], \"b\": {\"a\": true}}";
	struct err_info info;
	cJSON *tree;

	(void)state;
	assert_err(json_document("d", text, strlen(text), &tree, &info), ERR_OK, &info);
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "a");
	assert_int_equal(cJSON_GetArraySize(list), 4);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(list, 3)), "\xC3\xA9");
	cJSON_Delete(tree);
}

static void
document_repeated_names(void **state)
{
	static const struct {
		const char *text;
		enum err e;
	} rows[] = {
		{"{\"a\":1,\"a\":2}", ERR_REPEATED_FIELD},
		{"{\"a\":1,\"b\":2,\"\\u0061\":3}", ERR_REPEATED_FIELD},
		{"[{\"x\":{\"a\":1,\"a\":1}}]", ERR_REPEATED_FIELD},
		{"{\"\":1,\"\":2}", ERR_REPEATED_FIELD},
		{"{\"a\":1,\"A\":2}", ERR_OK},
		{"{\"a\":{\"a\":1}}", ERR_OK},
		{"[{\"a\":1},{\"a\":1}]", ERR_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err_info info;
		cJSON *tree;
		check_err(rows[i].text, json_document("file.json", rows[i].text, strlen(rows[i].text), &tree, &info), rows[i].e, &info);
		check_integer(rows[i].text, tree != NULL, rows[i].e == ERR_OK);
		if (rows[i].e != ERR_OK)
			check_contains(rows[i].text, info.text, "file.json: the member \"");
		cJSON_Delete(tree);
	}
}

static void
document_names_the_file(void **state)
{
	struct err_info info;
	cJSON *tree;

	(void)state;
	assert_err(json_document("dir/file.json", "{\n]", 3, &tree, &info), ERR_BAD_JSON, &info);
	assert_string_equal(info.text, "dir/file.json: line 2, column 1: found ']'; expected a member name in double quotes");
	assert_null(tree);
}

/* cJSON reads at most 63 bytes of a number; what the reader has accepted must not be called a want of memory. */
static void
document_long_numbers(void **state)
{
	static const char *const rows[] = {
		"[0.1000000000000000055511151231257827021181583404541015625]",
		"[0.10000000000000000555111512312578270211815834045410156250000000000000000000]",
		"[1000000000000000000000000000000000000000000000000000000000000000000000000000000000000]",
		"[1e0000000000000000000000000000000000000000000000000000000000000000000000000000000005]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err_info info;
		cJSON *tree;
		check_err(rows[i], json_document("d", rows[i], strlen(rows[i]), &tree, &info), ERR_OK, &info);
		double got = cJSON_GetNumberValue(cJSON_GetArrayItem(tree, 0));
		cJSON_Delete(tree);
		if (got != strtod(rows[i] + 1, NULL))
			fail_msg("[%s] is read as %.17g", rows[i], got);
	}
}

static void
whole_numbers(void **state)
{
	static const struct {
		const char *text;
		enum err code;
		long long value; /* where it is one */
		const char *part;
	} rows[] = {
		{"0", ERR_OK, 0, ""},
		{" -12 ", ERR_OK, -12, ""},
		{"9007199254740993", ERR_OK, 9007199254740993, ""},
		{"9007199254740994", ERR_BAD_NUMBER, 0, "line 1, column 1: expected a whole number from -12 to 9007199254740993"},
		{"-13", ERR_BAD_NUMBER, 0, "a whole number from"},
		{"1.0", ERR_BAD_NUMBER, 0, "a whole number from"},
		{"1e2", ERR_BAD_NUMBER, 0, "a whole number from"},
		{"99999999999999999999999999999", ERR_BAD_NUMBER, 0, "a whole number from"},
		{"1e99", ERR_BAD_NUMBER, 0, "beyond float32"},
		{"\"1\"", ERR_WRONG_TYPE, 0, "expected a whole number, found a string"},
		{"null", ERR_WRONG_TYPE, 0, "found null"},
		{"NaN", ERR_WRONG_TYPE, 0, "found NaN"},
		{"01", ERR_BAD_JSON, 0, "not a JSON number"},
		{"", ERR_BAD_JSON, 0, "expected a whole number"},
		{"x", ERR_BAD_JSON, 0, "expected a whole number"},
	};
	struct json_reader r;
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		long long value = 0;
		char *copy = unit_copy(rows[i].text, strlen(rows[i].text));
		json_init(&r, copy, strlen(copy), &info);
		check_err(rows[i].text, json_integer(&r, -12, 9007199254740993, &value), rows[i].code, &info);
		if (rows[i].code == ERR_OK)
			check_integer(rows[i].text, value, rows[i].value);
		else
			check_contains(rows[i].text, info.text, rows[i].part);
		free(copy);
	}
}

static void
truth_values(void **state)
{
	static const char text[] = "[true , false,1]";
	struct json_reader r;
	struct err_info info;
	bool more;
	bool truth = false;

	(void)state;
	json_init(&r, text, sizeof text - 1, &info);
	assert_err(json_open(&r, '['), ERR_OK, &info);
	assert_err(json_more(&r, ']', &more), ERR_OK, &info);
	assert_err(json_boolean(&r, &truth), ERR_OK, &info);
	assert_true(truth);
	assert_err(json_more(&r, ']', &more), ERR_OK, &info);
	assert_err(json_boolean(&r, &truth), ERR_OK, &info);
	assert_false(truth);
	assert_err(json_more(&r, ']', &more), ERR_OK, &info);
	assert_err(json_boolean(&r, &truth), ERR_WRONG_TYPE, &info);
	assert_string_equal(info.text, "line 1, column 15: expected true or false, found a number");
	json_init(&r, "tru", 3, &info);
	assert_err(json_boolean(&r, &truth), ERR_BAD_JSON, &info);
	json_init(&r, "", 0, &info);
	assert_err(json_boolean(&r, &truth), ERR_BAD_JSON, &info);
}

static void
skipped_nan(void **state)
{
	static const char text[] = "{\"a\":[NaN,[NaN]]}";
	struct json_reader r;
	struct err_info info;

	(void)state;
	json_init(&r, text, sizeof text - 1, &info);
	assert_err(json_skip(&r, DEPTH), ERR_BAD_JSON, &info);
	json_init(&r, text, sizeof text - 1, &info);
	r.skip_nan = true;
	assert_err(json_skip(&r, DEPTH), ERR_OK, &info);
	assert_err(json_end(&r), ERR_OK, &info);
	json_init(&r, "Nan", 3, &info);
	r.skip_nan = true;
	assert_err(json_skip(&r, DEPTH), ERR_BAD_JSON, &info);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("all that RFC 8259 allows is accepted", accepts),
		TEST("all that RFC 8259 does not allow is refused, with line and column", refuses),
		TEST("a NUL byte is refused wherever it stands", refuses_nul_bytes),
		TEST("every prefix of a document is refused", refuses_every_prefix),
		TEST("nesting 100,000 deep is refused at the limit", deep_nesting),
		TEST("every escape and surrogate pair is decoded", escapes),
		TEST("a string that does not fit is cut and its whole length told", string_that_does_not_fit),
		TEST("a number, null and NaN are read as float32", floats),
		TEST("what is no float32 is refused by kind, with its place", float_refusals),
		TEST("NaN is refused where no number is asked for", nan_only_for_numbers),
		TEST("a peek tells the kind of the next value without taking it", peek),
		TEST("a reader walks through objects and arrays with white space everywhere", walks),
		TEST("a skipped value may be as deep as allowed and no deeper", skip_depth),
		TEST("a place counts lines, and bytes within its line", places_count_lines),
		TEST("a document becomes a tree", document_tree),
		TEST("a document with a repeated member name is refused at any depth", document_repeated_names),
		TEST("a document's failure names the file and the place", document_names_the_file),
		TEST("a document may hold numbers of more than 63 bytes", document_long_numbers),
		TEST("whole numbers are read within their bounds, and nothing else", whole_numbers),
		TEST("true and false are read, and nothing else", truth_values),
		TEST("NaN is skipped only where the reader is told so", skipped_nan),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
