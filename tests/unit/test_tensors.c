/* test_tensors.c - tests of model/tensors: requests of the Open Inference Protocol into a matrix, with binary tensors and without */
#include "model/tensors.h"

#include <math.h>

#include "heap.h"

enum { BODY_MAX = 64 * 1024, ROWS_MAX = 100 };

static struct features abc;
static struct features one;
static struct rows rows;
static struct tensors tensors;

static int
setup(void **state)
{
	static const char *const names[] = {"a", "b", "c"};
	struct err_info info;

	(void)state;
	rows_init(&rows, BODY_MAX, ROWS_MAX);
	tensors_init(&tensors);
	return features_init(&abc, names, 3, &info) == ERR_OK && features_init(&one, names, 1, &info) == ERR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	features_release(&abc);
	features_release(&one);
	rows_release(&rows);
	tensors_release(&tensors);
	return 0;
}

/* Reads a copy of the exact size, which must be the same afterwards; the result's values lie in it or in the rows until the next call. */
static enum err
read_body(const struct features *f, const char *json, size_t json_len, const void *binary, size_t binary_len, struct err_info *info)
{
	static char *copy;
	size_t len = json_len + binary_len;

	free(copy);
	copy = unit_copy(json, json_len);
	copy = realloc(copy, len + 1);
	assert_non_null(copy);
	if (binary_len > 0)
		memcpy(copy + json_len, binary, binary_len);
	copy[len] = '\0';
	enum err e = tensors_read(&tensors, &rows, f, copy, len, json_len, info);
	assert_memory_equal(copy, json, json_len);
	if (binary_len > 0)
		assert_memory_equal(copy + json_len, binary, binary_len);
	assert_int_equal(copy[len], 0);
	return e;
}

static enum err
read_json(const struct features *f, const char *json, struct err_info *info)
{
	return read_body(f, json, strlen(json), NULL, 0, info);
}

/* The matrix as text: "1 2 nan/4 5 6/". */
static const char *
shown(size_t width)
{
	static char text[2048];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < tensors.n_rows * width; i++) {
		const char *end = (i + 1) % width == 0 ? "/" : " ";
		if (isnan(tensors.values[i]))
			n += (size_t)snprintf(text + n, sizeof text - n, "nan%s", end);
		else
			n += (size_t)snprintf(text + n, sizeof text - n, "%.9g%s", (double)tensors.values[i], end);
	}
	return text;
}

#define INPUT(name, shape, type, data) "{\"name\":\"" name "\",\"shape\":" shape ",\"datatype\":\"" type "\",\"data\":" data "}"
#define REQUEST(inputs)                "{\"inputs\":[" inputs "]}"
#define MATRIX(shape, type, data)      REQUEST(INPUT("x", shape, type, data))

static void
json_requests(void **state)
{
	static const struct {
		const char *body;
		const char *matrix;
	} good[] = {
		{MATRIX("[2,3]", "FP32", "[1,2,3,4,5,6]"), "1 2 3/4 5 6/"},
		{MATRIX("[2,3]", "FP32", "[[1,2,3],[4,5,6]]"), "1 2 3/4 5 6/"},
		{MATRIX("[1,3]", "FP32", "[null,NaN,3e38]"), "nan nan 3.00000001e+38/"},
		{MATRIX("[1,3]", "FP64", "[0.1,1e-50,-2.5]"), "0.100000001 0 -2.5/"},
		{MATRIX("[1,3]", "INT64", "[9007199254740993,-9223372036854775808,null]"), "9.00719925e+15 -9.22337204e+18 nan/"},
		{MATRIX("[1,3]", "UINT64", "[18446744073709551615,0,-0]"), "1.84467441e+19 0 -0/"},
		{MATRIX("[1,3]", "INT8", "[-128,127,0]"), "-128 127 0/"},
		{MATRIX("[1,3]", "UINT8", "[0,255,7]"), "0 255 7/"},
		{MATRIX("[1,3]", "BOOL", "[true,false,null]"), "1 0 nan/"},
		{MATRIX("[1,3]", "BOOL", "[1,0,true]"), "1 0 1/"},
		{"{\"inputs\":[{\"data\":[1,NaN,3],\"datatype\":\"FP32\",\"shape\":[1,3],\"name\":\"late\"}]}", "1 nan 3/"},
		{"{\"inputs\":[{\"data\":[1,2,3],\"datatype\":\"FP32\",\"shape\":[1,3],\"name\":\"x\",\"parameters\":{\"content_type\":"
		 "\"np\"}}]}",
		 "1 2 3/"},
		{REQUEST(INPUT("c", "[2]", "FP32", "[3,6]") "," INPUT("a", "[2,1]", "INT32", "[[1],[4]]") "," INPUT("b", "[2]", "FP64",
																											"[2,null]")),
		 "1 2 3/4 nan 6/"},
		{"{\"id\":null,\"parameters\":null,\"outputs\":null,\"model_name\":\"m\",\"more\":[{}],\"inputs\":[" INPUT(
			 "x", "[1,3]", "FP32", "[1,2,3]") "]}",
		 "1 2 3/"},
		{"{\"outputs\":[],\"inputs\":[" INPUT("x", "[1,3]", "FP32", "[1,2,3]") "],\"parameters\":{\"priority\":3,\"x\":{}}}",
		 "1 2 3/"},
	};
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		check_err(good[i].body, read_json(&abc, good[i].body, &info), ERR_OK, &info);
		check_string(good[i].body, shown(3), good[i].matrix);
		check_integer(good[i].body, tensors.n_wanted, 1);
		check_string(good[i].body, tensors.wanted[0].name, "output__0");
		check_integer(good[i].body, tensors.wanted[0].binary, 0);
	}
	assert_err(read_json(&one, MATRIX("[2]", "FP32", "[1,2]"), &info), ERR_OK, &info);
	assert_string_equal(shown(1), "1/2/");
	assert_err(read_json(&one, MATRIX("[2,1]", "FP32", "[[1],[2]]"), &info), ERR_OK, &info);
	assert_string_equal(shown(1), "1/2/");
}

struct bad {
	const char *body;
	enum err code;
	const char *part;
};

static const struct bad bad_requests[] = {
	{"", ERR_BAD_JSON, "the body is empty"},
	{"[]", ERR_WRONG_TYPE, "the request must be an object, found an array"},
	{"{}", ERR_MISSING_FIELD, "no \"inputs\""},
	{REQUEST(""), ERR_MISSING_FIELD, "no \"inputs\"; expected one tensor of [n,3]"},
	{"{\"inputs\":7}", ERR_BAD_JSON, "expected '[' (an array)"},
	{REQUEST("7"), ERR_WRONG_TYPE, "an input must be an object, found a number"},
	{REQUEST("{}"), ERR_MISSING_FIELD, "input 0 lacks its \"name\""},
	{REQUEST("{\"name\":\"x\"}"), ERR_MISSING_FIELD, "input \"x\" lacks its \"datatype\""},
	{REQUEST("{\"name\":\"x\",\"datatype\":\"FP32\"}"), ERR_MISSING_FIELD, "lacks its \"shape\""},
	{REQUEST("{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3]}"), ERR_MISSING_FIELD, "lacks its \"data\""},
	{REQUEST(INPUT("x", "[1,3]", "FP32", "[1,2,3]") ",{\"name\":\"x\"}"), ERR_MISSING_FIELD, "lacks its \"datatype\""},
	{"{\"inputs\":[],\"inputs\":[]}", ERR_REPEATED_FIELD, "the member \"inputs\" twice"},
	{"{\"id\":\"1\",\"id\":\"2\"}", ERR_REPEATED_FIELD, "\"id\" twice"},
	{"{\"id\":7}", ERR_WRONG_TYPE, "\"id\" must be a string, found a number"},
	{REQUEST("{\"name\":\"x\",\"name\":\"y\"}"), ERR_REPEATED_FIELD, "\"name\" twice"},
	{REQUEST("{\"data\":[],\"data\":[]}"), ERR_REPEATED_FIELD, "\"data\" twice"},
	{MATRIX("[1,3]", "FP32", "[1,2]"), ERR_WRONG_FEATURE_COUNT,
	 "its shape says 3 numbers, flat or a row in an array each; its data has fewer"},
	{MATRIX("[1,3]", "FP32", "[1,2,3,4]"), ERR_WRONG_FEATURE_COUNT, "its data has more"},
	{MATRIX("[2,3]", "FP32", "[[1,2,3]]"), ERR_WRONG_FEATURE_COUNT, "fewer"},
	{MATRIX("[2,3]", "FP32", "[[1,2,3],[1,2]]"), ERR_WRONG_FEATURE_COUNT, "fewer"},
	{MATRIX("[2,3]", "FP32", "[[1,2,3,4],[1,2]]"), ERR_WRONG_FEATURE_COUNT, "a longer row"},
	{MATRIX("[2,3]", "FP32", "[[1,2,3],4,5,6]"), ERR_BAD_JSON, "expected '['"},
	{MATRIX("[2,3]", "FP32", "[1,2,3,[4,5,6]]"), ERR_WRONG_TYPE, "row 1, feature \"a\": line 1"},
	{MATRIX("[1,3]", "FP32", "7"), ERR_BAD_JSON, "input \"x\": "},
	{MATRIX("[1,4]", "FP32", "[1,2,3,4]"), ERR_WRONG_FEATURE_COUNT,
	 "has the shape [1,4]; expected one tensor of [n,3], or one of [n] for each feature; the model has 3 features: a, b, c"},
	{MATRIX("[1,3,1]", "FP32", "[1,2,3]"), ERR_WRONG_FEATURE_COUNT, "the shape [1,3,…]"},
	{MATRIX("[]", "FP32", "[]"), ERR_BAD_PARAMETER, "the shape is empty"},
	{MATRIX("[-1,3]", "FP32", "[]"), ERR_BAD_NUMBER, "expected a whole number from 0"},
	{MATRIX("[1.0,3]", "FP32", "[]"), ERR_BAD_NUMBER, "expected a whole number"},
	{MATRIX("[\"1\",3]", "FP32", "[]"), ERR_WRONG_TYPE, "expected a whole number, found a string"},
	{MATRIX("[0,3]", "FP32", "[]"), ERR_NO_ROWS, "no rows"},
	{MATRIX("[101,3]", "FP32", "[]"), ERR_TOO_MANY_ROWS, "more than 100 rows"},
	{MATRIX("[3]", "FP32", "[1,2,3]"), ERR_UNKNOWN_FEATURE, "no feature \"x\", which an input is named; it has 3 features"},
	{REQUEST(INPUT("a", "[1]", "FP32", "[1]")), ERR_MISSING_FEATURE, "no input for the feature \"b\""},
	{REQUEST(INPUT("a", "[1]", "FP32", "[1]") "," INPUT("a", "[1]", "FP32", "[1]")), ERR_REPEATED_FEATURE, "\"a\" stands twice"},
	{REQUEST(INPUT("a", "[1]", "FP32", "[1]") "," INPUT("b", "[2]", "FP32", "[1,2]")), ERR_WRONG_FEATURE_COUNT,
	 "input \"b\" has 2 rows, those before it 1"},
	{REQUEST(INPUT("x", "[1,3]", "FP32", "[1,2,3]") "," INPUT("b", "[1]", "FP32", "[1]")), ERR_WRONG_FEATURE_COUNT,
	 "stands beside a tensor of all features"},
	{MATRIX("[1,3]", "BYTES", "[\"1\",\"2\",\"3\"]"), ERR_WRONG_TYPE, "the datatype BYTES is none a feature can have"},
	{MATRIX("[1,3]", "fp32", "[1,2,3]"), ERR_WRONG_TYPE, "the datatype fp32"},
	{MATRIX("[1,3]", "FLOAT32_OR_SO", "[1,2,3]"), ERR_WRONG_TYPE, "the datatype FLOAT32..."},
	{MATRIX("[1,3]", "FP32", "[1,2,Infinity]"), ERR_BAD_NUMBER, "row 0, feature \"c\""},
	{MATRIX("[1,3]", "FP64", "[1,2,1e39]"), ERR_BAD_NUMBER, "beyond float32"},
	{MATRIX("[1,3]", "FP32", "[1,2,\"3\"]"), ERR_WRONG_TYPE, "expected a number, found a string"},
	{MATRIX("[1,3]", "INT32", "[1,2,2147483648]"), ERR_BAD_NUMBER, "the number is none of the datatype INT32"},
	{MATRIX("[1,3]", "INT32", "[1,2,-2147483649]"), ERR_BAD_NUMBER, "INT32"},
	{MATRIX("[1,3]", "INT64", "[1,2,1.5]"), ERR_BAD_NUMBER, "INT64"},
	{MATRIX("[1,3]", "INT64", "[1,2,1e3]"), ERR_BAD_NUMBER, "INT64"},
	{MATRIX("[1,3]", "INT64", "[1,2,9223372036854775808]"), ERR_BAD_NUMBER, "INT64"},
	{MATRIX("[1,3]", "UINT64", "[1,2,18446744073709551616]"), ERR_BAD_NUMBER, "UINT64"},
	{MATRIX("[1,3]", "UINT8", "[1,2,-1]"), ERR_BAD_NUMBER, "UINT8"},
	{MATRIX("[1,3]", "UINT8", "[1,2,true]"), ERR_WRONG_TYPE, "found true"},
	{MATRIX("[1,3]", "BOOL", "[1,2,true]"), ERR_BAD_NUMBER, "BOOL"},
	{"{\"outputs\":[{\"name\":\"other\"}]}", ERR_BAD_PARAMETER, "there is no output \"other\"; there are output__0"},
	{"{\"outputs\":[{}]}", ERR_MISSING_FIELD, "lacks its \"name\""},
	{"{\"outputs\":[{\"name\":\"margin\"},{\"name\":\"margin\"}]}", ERR_REPEATED_FIELD, "requested twice"},
	{"{\"outputs\":[{\"name\":\"margin\",\"parameters\":{\"binary_data\":1}}]}", ERR_WRONG_TYPE,
	 "expected true or false, found a number"},
	{"{\"outputs\":[{\"name\":\"margin\",\"parameters\":{\"classification\":2}}]}", ERR_NOT_IMPLEMENTED, "classification"},
	{"{\"outputs\":[{\"name\":\"margin\",\"parameters\":{\"shared_memory_region\":\"r\"}}]}", ERR_NOT_IMPLEMENTED, "shared memory"},
	{REQUEST("{\"name\":\"x\",\"parameters\":{\"shared_memory_region\":\"r\"}}"), ERR_NOT_IMPLEMENTED, "shared memory"},
	{"{\"parameters\":7}", ERR_WRONG_TYPE, "\"parameters\" must be an object"},
	{"{\"parameters\":{\"binary_data_output\":\"yes\"}}", ERR_WRONG_TYPE, "expected true or false"},
	{REQUEST("{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"parameters\":{\"binary_data_size\":12}}"), ERR_MISSING_FIELD,
	 "nothing stands behind the JSON; the header Inference-Header-Content-Length"},
	{REQUEST("{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,3],\"parameters\":{\"binary_data_size\":12}}"),
	 ERR_REPEATED_FIELD, "both \"data\" and a binary_data_size"},
	{MATRIX("[1,3]", "FP32", "[1,2,3]") "x", ERR_BAD_JSON, "expected the end of the JSON text"},
};

static void
refused_requests(void **state)
{
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof bad_requests / sizeof bad_requests[0]; i++) {
		check_err(bad_requests[i].body, read_json(&abc, bad_requests[i].body, &info), bad_requests[i].code, &info);
		check_contains(bad_requests[i].body, info.text, bad_requests[i].part);
	}
}

static void
every_prefix(void **state)
{
	static const char body[] = "{\"id\":\"\\u00e9\",\"inputs\":[" INPUT(
		"c", "[1]", "FP32", "[3]") ",{\"data\":[[1]],\"name\":\"a\",\"shape\":[1,1],"
								   "\"datatype\":\"BOOL\"}," INPUT(
									   "b", "[1]", "UINT8",
									   "[2]") "],\"outputs\":[{\"name\":\"margin\",\"parameters\":{\"binary_data\":true}}]}";
	struct err_info info;

	(void)state;
	assert_err(read_body(&abc, body, sizeof body - 1, NULL, 0, &info), ERR_OK, &info);
	for (size_t n = 0; n < sizeof body - 1; n++) {
		enum err e = read_body(&abc, body, n, NULL, 0, &info);
		check_err(body + n, e, ERR_BAD_JSON, &info);
	}
	/* and where something stands behind that might go on with it */
	for (size_t n = 1; n < sizeof body - 1; n++)
		check_err(body + n, read_body(&abc, body, n, body + n, sizeof body - 1 - n, &info), ERR_BAD_JSON, &info);
}

#define BINARY(name, shape, type, size)                                                                                            \
	"{\"name\":\"" name "\",\"shape\":" shape ",\"datatype\":\"" type "\",\"parameters\":{\"binary_data_size\":" size "}}"

static enum err
read_binary(const struct features *f, const char *json, const void *bytes, size_t len, struct err_info *info)
{
	return read_body(f, json, strlen(json), bytes, len, info);
}

static void
binary_types(void **state)
{
	static const float f32[] = {1.5F, NAN, -3e38F};
	static const double f64[] = {0.1, NAN, 3.4028235677973366e38 * (1 - 1e-16)}; /* the last rounds to the largest float32 */
	static const int64_t i64[] = {9007199254740993, INT64_MIN, -1};
	static const int32_t i32[] = {16777217, INT32_MIN, -1};
	static const int16_t i16[] = {INT16_MAX, INT16_MIN, -1};
	static const int8_t i8[] = {INT8_MAX, INT8_MIN, -1};
	static const uint64_t u64[] = {UINT64_MAX, 0, 33554435};
	static const uint32_t u32[] = {UINT32_MAX, 0, 16777219};
	static const uint16_t u16[] = {UINT16_MAX, 0, 1};
	static const uint8_t u8[] = {UINT8_MAX, 0, 1};
	static const uint8_t truth[] = {1, 0, 1};
	static const uint16_t f16[] = {0x3C00, 0x7E00, 0x8001};
	static const struct {
		const char *json;
		const void *bytes;
		size_t len;
		float expected[3];
	} types[] = {
		{REQUEST(BINARY("x", "[1,3]", "FP32", "12")), f32, sizeof f32, {1.5F, NAN, -3e38F}},
		{REQUEST(BINARY("x", "[1,3]", "FP64", "24")), f64, sizeof f64, {0.1F, NAN, 3.4028234663852886e38F}},
		{REQUEST(BINARY("x", "[1,3]", "INT64", "24")), i64, sizeof i64, {9007199254740992.0F, -9223372036854775808.0F, -1}},
		{REQUEST(BINARY("x", "[1,3]", "INT32", "12")), i32, sizeof i32, {16777216, -2147483648.0F, -1}},
		{REQUEST(BINARY("x", "[1,3]", "INT16", "6")), i16, sizeof i16, {32767, -32768, -1}},
		{REQUEST(BINARY("x", "[1,3]", "INT8", "3")), i8, sizeof i8, {127, -128, -1}},
		{REQUEST(BINARY("x", "[1,3]", "UINT64", "24")), u64, sizeof u64, {18446744073709551616.0F, 0, 33554436}},
		{REQUEST(BINARY("x", "[1,3]", "UINT32", "12")), u32, sizeof u32, {4294967296.0F, 0, 16777220}},
		{REQUEST(BINARY("x", "[1,3]", "UINT16", "6")), u16, sizeof u16, {65535, 0, 1}},
		{REQUEST(BINARY("x", "[1,3]", "UINT8", "3")), u8, sizeof u8, {255, 0, 1}},
		{REQUEST(BINARY("x", "[1,3]", "BOOL", "3")), truth, sizeof truth, {1, 0, 1}},
		{REQUEST(BINARY("x", "[1,3]", "FP16", "6")), f16, sizeof f16, {1, NAN, -5.9604645e-8F}},
	};
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		for (size_t shift = 0; shift < 4; shift++) { /* the binary part begins at every address of a float */
			char json[256];
			(void)snprintf(json, sizeof json, "%s%.*s", types[i].json, (int)shift, "   ");
			check_err(json, read_binary(&abc, json, types[i].bytes, types[i].len, &info), ERR_OK, &info);
			check_integer(json, tensors.n_rows, 1);
			for (size_t k = 0; k < 3; k++)
				check_float(json, tensors.values[k], types[i].expected[k]);
		}
}

/* IEEE 754's rules once more, by another way: all 65536 halves. */
static void
every_half(void **state)
{
	struct err_info info;

	(void)state;
	for (unsigned h = 0; h < 65536; h++) {
		uint16_t bits = (uint16_t)h;
		int exponent = (int)(h >> 10 & 31U);
		double mantissa = (double)(h & 1023U) / 1024;
		double value = exponent == 0 ? mantissa * pow(2, -14) : (1 + mantissa) * pow(2, exponent - 15);
		enum err e = read_binary(&one, REQUEST(BINARY("x", "[1]", "FP16", "2")), &bits, sizeof bits, &info);
		assert_err(e, exponent == 31 && mantissa == 0 ? ERR_BAD_NUMBER : ERR_OK, &info);
		if (e == ERR_OK)
			check_float("half", tensors.values[0], exponent == 31 ? NAN : (float)((h & 0x8000U) != 0 ? -value : value));
	}
}

static void
tensors_of_features(void **state)
{
	struct {
		float b[2];
		uint8_t c[2];
		char none[2];
	} behind = {{2, 5}, {3, 6}, {0}};
	struct err_info info;

	(void)state;
	assert_err(read_binary(&abc,
						   REQUEST(BINARY("b", "[2]", "FP32", "8") "," INPUT("a", "[2]", "FP32", "[1,4]") "," BINARY("c", "[2,1]",
																													 "UINT8", "2")),
						   &behind, 10, &info),
			   ERR_OK, &info);
	assert_string_equal(shown(3), "1 2 3/4 5 6/");
}

static void
binary_parts_that_do_not_add_up(void **state)
{
	static const float six[] = {1, 2, 3, 4, 5, 6};
	static const struct {
		const char *json;
		size_t len;
		enum err code;
		const char *part;
	} bad[] = {
		{REQUEST(BINARY("x", "[2,3]", "FP32", "20")), 20, ERR_BAD_PARAMETER,
		 "its binary_data_size is 20, but its shape and FP32 make 24 bytes"},
		{REQUEST(BINARY("x", "[2,3]", "FP32", "28")), 24, ERR_BAD_PARAMETER, "is 28, but its shape and FP32 make 24"},
		{REQUEST(BINARY("x", "[2,3]", "FP64", "24")), 24, ERR_BAD_PARAMETER, "FP64 make 48 bytes"},
		{REQUEST(BINARY("x", "[2,3]", "FP32", "-24")), 24, ERR_BAD_NUMBER, "a whole number from 0"},
		{REQUEST(BINARY("x", "[2,3]", "FP32", "24.0")), 24, ERR_BAD_NUMBER, "a whole number"},
		{REQUEST(BINARY("x", "[2,3]", "FP32", "24,\"binary_data_size\":24")), 24, ERR_REPEATED_FIELD, "twice"},
		{REQUEST(BINARY("x", "[2,3]", "FP32", "24")), 23, ERR_BAD_PARAMETER,
		 "binary_data_size make 24 bytes, but 23 stand behind the JSON"},
		{REQUEST(BINARY("x", "[1,3]", "FP32", "12")), 24, ERR_BAD_PARAMETER, "make 12 bytes, but 24 stand"},
		{MATRIX("[1,3]", "FP32", "[1,2,3]"), 24, ERR_BAD_PARAMETER, "make 0 bytes, but 24 stand"},
		{REQUEST(BINARY("x", "[2147483647,3]", "FP64", "51539607528")), 24, ERR_TOO_MANY_ROWS, "more than 100 rows"},
		{REQUEST(BINARY("x", "[0,3]", "FP32", "0")), 24, ERR_NO_ROWS, "no rows"},
	};
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		check_err(bad[i].json, read_binary(&abc, bad[i].json, six, bad[i].len, &info), bad[i].code, &info);
		check_contains(bad[i].json, info.text, bad[i].part);
	}
}

static void
binary_infinities(void **state)
{
	enum { N = 3 * ROWS_MAX };
	static const char json[] = REQUEST(BINARY("x", "[100,3]", "FP32", "1200"));
	static const uint8_t two = 2;
	static float values[N];
	static const double beyond = 3.5e38;
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		char part[48];
		values[i] = i % 2 == 0 ? INFINITY : -INFINITY;
		assert_err(read_binary(&abc, json, values, sizeof values, &info), ERR_BAD_NUMBER, &info);
		(void)snprintf(part, sizeof part, "row %zu, feature \"%c\": Infinity", i / 3, (char)('a' + i % 3));
		assert_contains(info.text, part);
		assert_int_equal(info.row, i / 3);
		values[i] = i % 2 == 0 ? 1.0F : NAN;
	}
	assert_err(read_binary(&abc, json, values, sizeof values, &info), ERR_OK, &info);
	assert_err(read_binary(&one, REQUEST(BINARY("x", "[1]", "FP64", "8")), &beyond, sizeof beyond, &info), ERR_BAD_NUMBER, &info);
	assert_err(read_binary(&one, REQUEST(BINARY("x", "[1]", "BOOL", "1")), &two, 1, &info), ERR_BAD_NUMBER, &info);
	assert_contains(info.text, "a BOOL other than 0 and 1");
}

static void
bodies_without_json(void **state)
{
	static const float six[] = {1, 2, 3, 4, NAN, 6};
	static const float too_many[3 * (ROWS_MAX + 1)];
	struct err_info info;

	(void)state;
	assert_err(read_binary(&abc, "", six, sizeof six, &info), ERR_OK, &info);
	assert_string_equal(shown(3), "1 2 3/4 nan 6/");
	assert_true(tensors.wanted[0].binary);
	assert_err(read_binary(&abc, "", six, sizeof six - 1, &info), ERR_WRONG_FEATURE_COUNT, &info);
	assert_contains(info.text, "the body's 23 bytes are no rows of 3 float32");
	assert_err(read_binary(&abc, "", too_many, sizeof too_many, &info), ERR_TOO_MANY_ROWS, &info);
}

static void
requested_outputs(void **state)
{
	static const char json[] =
		"{\"id\": \"a\\n\\u20ac\",\"outputs\":[{\"name\":\"predict\"},{\"name\":\"margin\",\"parameters\":{\"binary_data\":false}},"
		"{\"parameters\":{\"binary_data\":true},\"name\":\"output__0\"}],\"parameters\":{\"binary_data_output\":true},"
		"\"inputs\":[" INPUT("x", "[1,3]", "FP32", "[1,2,3]") "]}";
	static const struct tensors_wanted expected[] = {
		{"predict", BOOSTER_VALUE, true}, {"margin", BOOSTER_MARGIN, false}, {"output__0", BOOSTER_VALUE, true}};
	struct err_info info;

	(void)state;
	assert_err(read_json(&abc, json, &info), ERR_OK, &info);
	assert_int_equal(tensors.n_wanted, 3);
	for (size_t i = 0; i < 3; i++) {
		check_string(expected[i].name, tensors.wanted[i].name, expected[i].name);
		check_integer(expected[i].name, tensors.wanted[i].output, expected[i].output);
		check_integer(expected[i].name, tensors.wanted[i].binary, expected[i].binary);
	}
	assert_int_equal(tensors.id_len, strlen("\"a\\n\\u20ac\""));
	assert_memory_equal(tensors.id, "\"a\\n\\u20ac\"", tensors.id_len);
}

static void
warm_reading_allocates_nothing(void **state)
{
	static const float three[] = {1, 2, 3};
	static char jsons[][256] = {
		MATRIX("[1,3]", "FP32", "[1,2,3]"),
		REQUEST(BINARY("x", "[1,3]", "FP32", "12")),
		REQUEST(INPUT("a", "[1]", "FP32", "[1]") "," INPUT("b", "[1]", "INT8", "[1]") "," BINARY("c", "[3]", "FP32", "12")),
		REQUEST(BINARY("x", "[1,3]", "INT32", "12")),
		MATRIX("[1,3]", "FP32", "[1,2]"),
	};
	struct err_info info;

	(void)state;
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < sizeof jsons / sizeof jsons[0]; i++) {
			size_t json_len = strlen(jsons[i]);
			size_t binary_len = strstr(jsons[i], "binary") != NULL ? sizeof three : 0;
			char *body = unit_copy(jsons[i], sizeof jsons[i] - 1);
			memcpy(body + json_len, three, binary_len);
			body[json_len + binary_len] = '\0';
			heap_start();
			(void)tensors_read(&tensors, &rows, &abc, body, json_len + binary_len, json_len, &info);
			if (round > 0)
				check_integer(jsons[i], heap_all, 0);
			free(body);
		}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("inputs in JSON are read flat or nested, as one matrix or a tensor a feature, whatever their members' order",
			 json_requests),
		TEST("a request whose names, shapes, types and data do not agree is refused in a sentence", refused_requests),
		TEST("every prefix of a request is refused as bad_json, whatever stands behind it", every_prefix),
		TEST("binary tensors of each datatype are rounded to the nearest float32, at any address", binary_types),
		TEST("each of the 65,536 FP16 is read as IEEE 754 says", every_half),
		TEST("tensors of single features may be binary and JSON in one request", tensors_of_features),
		TEST("binary parts whose sizes do not add up are refused one by one", binary_parts_that_do_not_add_up),
		TEST("an infinity in a binary tensor is refused by row and feature, wherever it is", binary_infinities),
		TEST("a body without JSON is rows of float32", bodies_without_json),
		TEST("outputs are given by the names and in the form that were asked for, and the id as it was written", requested_outputs),
		TEST("a warm reading allocates nothing", warm_reading_allocates_nothing),
	};

	return cmocka_run_group_tests_name("tensors", tests, setup, teardown);
}
