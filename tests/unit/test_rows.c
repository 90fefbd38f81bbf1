/* test_rows.c - tests of model/rows: JSON and CSV bodies into a matrix, and what each wrong body is told */
#include "model/rows.h"

#include <math.h>

#include "base/log.h"
#include "base/text.h"
#include "heap.h"

enum { BODY_MAX = 1 << 20, ROWS_MAX = 10 };

static struct features abc;  /* "a", "b", "c" */
static struct features wide; /* twelve of them */
static struct features one;  /* "only" */

static int
make_features(void **state)
{
	static const char *const names[] = {"a", "b", "c"};
	static const char *const wide_names[] = {"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "a \"b\""};
	static const char *const one_name[] = {"only"};
	struct err_info info;

	(void)state;
	return features_init(&abc, names, 3, &info) != ERR_OK || features_init(&wide, wide_names, 12, &info) != ERR_OK ||
		   features_init(&one, one_name, 1, &info) != ERR_OK;
}

static int
release_features(void **state)
{
	(void)state;
	features_release(&abc);
	features_release(&wide);
	features_release(&one);
	return 0;
}

/* Reads a copy of the body of its exact size. */
static enum err
read_json(struct rows *r, const struct features *f, const char *body, struct err_info *info)
{
	char *copy = unit_copy(body, strlen(body));
	enum err e = rows_json(r, f, copy, strlen(body), info);

	free(copy);
	return e;
}

static enum err
read_csv(struct rows *r, const struct features *f, const char *body, struct err_info *info)
{
	char *copy = unit_copy(body, strlen(body));
	enum err e = rows_csv(r, f, copy, strlen(body), info);

	free(copy);
	return e;
}

/* The matrix as text: "1 2 nan/4 5 6/". */
static const char *
shown(const struct rows *r, size_t width)
{
	static char text[2048];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < r->n * width; i++) {
		double x = fabs((double)rows_values(r)[i]); /* a NaN may have a sign */
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%.9g%s", rows_values(r)[i] < 0 ? "-" : "", x,
							  (i + 1) % width == 0 ? "/" : " ");
	}
	return text;
}

struct good {
	const char *body;
	const char *matrix;
};

static void
check_good(enum err (*read)(struct rows *, const struct features *, const char *, struct err_info *), const struct good *rows,
		   size_t n)
{
	struct rows r;
	struct err_info info;

	rows_init(&r, BODY_MAX, ROWS_MAX);
	for (size_t i = 0; i < n; i++) {
		check_err(rows[i].body, read(&r, &abc, rows[i].body, &info), ERR_OK, &info);
		check_string(rows[i].body, shown(&r, 3), rows[i].matrix);
	}
	rows_release(&r);
}

static void
json_bodies(void **state)
{
	static const struct good rows[] = {
		{"{\"features\": [[1, 2, 3]]}", "1 2 3/"},
		{"{\"features\":[[1,2,3],[4.5,-6e2,0.1]]}", "1 2 3/4.5 -600 0.100000001/"},
		{"{\"features\":[[null,NaN,3]]}", "nan nan 3/"},
		{"{\"features\":[{\"a\":1,\"b\":2,\"c\":3}]}", "1 2 3/"},
		{"{\"features\":[{\"c\":3,\"b\":2,\"a\":1}]}", "1 2 3/"},
		{"{\"features\":[{\"b\":2,\"c\":null,\"a\":NaN}]}", "nan 2 nan/"},
		{"{\"features\":[{\"\\u0061\":1,\"b\":2,\"c\":3}]}", "1 2 3/"},
		{"{\"features\":[{\"a\":1,\"c\":3,\"b\":2},[4,5,6],{\"c\":9,\"a\":7,\"b\":8}]}", "1 2 3/4 5 6/7 8 9/"},
		{" \n{ \"features\" :\t[ [ 1 , 2 , 3 ] ] } \r\n", "1 2 3/"},
		{"{\"\\u0066eatures\":[[1,2,3]]}", "1 2 3/"},
		{"{\"features\":[[1e-400,-0,3.4028235e38]]}", "0 0 3.40282347e+38/"},
	};

	(void)state;
	check_good(read_json, rows, sizeof rows / sizeof rows[0]);
}

static void
csv_bodies(void **state)
{
	static const struct good rows[] = {
		{"a,b,c\n1,2,3\n", "1 2 3/"},
		{"a,b,c\n1,2,3", "1 2 3/"},
		{"c,a,b\r\n3,1,2\r\n6,4,5\r\n", "1 2 3/4 5 6/"},
		{"a,b,c\n,nan,3\n", "nan nan 3/"},
		{"\"a\",\"b\",\"c\"\n\"1\",\" 2 \",+3\n", "1 2 3/"},
		{"\xEF\xBB\xBF"
		 "a,b,c\n1,2,3\n",
		 "1 2 3/"},
		{"\n\na , b , c\n\n1,2,3\n\n\n", "1 2 3/"},
		{"a,b,c\n,,\n", "nan nan nan/"},
		{"a,b,c\r1,2,3\r4,5,6", "1 2 3/4 5 6/"},
	};

	(void)state;
	check_good(read_csv, rows, sizeof rows / sizeof rows[0]);
}

struct bad {
	const char *body;
	enum err e;
	long row;
	const char *feature;
	const char *sentence;
};

static void
check_bad(enum err (*read)(struct rows *, const struct features *, const char *, struct err_info *), const struct bad *rows,
		  size_t n)
{
	struct rows r;
	struct err_info info;

	rows_init(&r, BODY_MAX, ROWS_MAX);
	for (size_t i = 0; i < n; i++) {
		memset(&info, 0x55, sizeof info);
		check_err(rows[i].body, read(&r, &abc, rows[i].body, &info), rows[i].e, &info);
		check_contains(rows[i].body, info.text, rows[i].sentence);
		check_integer(rows[i].body, info.code, rows[i].e);
		check_integer(rows[i].body, info.row, rows[i].row);
		check_string(rows[i].body, info.feature, rows[i].feature);
		check_err(rows[i].body, read_json(&r, &abc, "{\"features\":[[1,2,3]]}", &info), ERR_OK, &info); /* the next is served */
		check_string(rows[i].body, shown(&r, 3), "1 2 3/");
	}
	rows_release(&r);
}

static void
json_bodies_that_are_no_body(void **state)
{
	static const struct bad rows[] = {
		{"", ERR_BAD_JSON, -1, "", "the body is empty; expected {\"features\": [[…], …]}"},
		{" \n", ERR_BAD_JSON, -1, "", "the body is empty"},
		{"[[1,2,3]]", ERR_WRONG_TYPE, -1, "", "the body is an array; expected an object"},
		{"\"x\"", ERR_WRONG_TYPE, -1, "", "the body is a string; expected an object"},
		{"null", ERR_WRONG_TYPE, -1, "", "the body is null; expected an object"},
		{"1", ERR_WRONG_TYPE, -1, "", "the body is a number; expected an object"},
		{"NaN", ERR_WRONG_TYPE, -1, "", "the body is NaN; expected an object"},
		{"x", ERR_BAD_JSON, -1, "", "line 1, column 1: found 'x'; expected '{' (an object)"},
		{"\xEF\xBB\xBF{}", ERR_BAD_JSON, -1, "", "starts with a byte order mark"},
		{"{", ERR_BAD_JSON, -1, "", "line 1, column 2: the JSON text ends too early; expected a member name"},
		{"{}", ERR_MISSING_FIELD, -1, "", "the body lacks \"features\"; expected {\"features\": [[…], …]}"},
		{"{\"feature\":[[1,2,3]]}", ERR_UNKNOWN_FIELD, -1, "", "the body has a member \"feature\"; expected only \"features\""},
		{"{\"Features\":[[1,2,3]]}", ERR_UNKNOWN_FIELD, -1, "", "the body has a member \"Features\""},
		{"{\"features\":[[1,2,3]],\"x\":1}", ERR_UNKNOWN_FIELD, -1, "", "the body has a member \"x\""},
		{"{\"features\":[[1,2,3]],\"features\":[[1,2,3]]}", ERR_REPEATED_FIELD, -1, "",
		 "the body has the member \"features\" twice"},
		{"{\"features\":[]}", ERR_NO_ROWS, -1, "", "there are no rows; send at least one"},
		{"{\"features\":[[1,2,3]]} x", ERR_BAD_JSON, -1, "", "line 1, column 24: found 'x'; expected the end"},
		{"{\"features\":[[1,2,3]]", ERR_BAD_JSON, -1, "", "line 1, column 22: the JSON text ends too early; expected ',' or '}'"},
		{"{\"features\":[[1,2,3]]}{\"features\":[[1,2,3]]}", ERR_BAD_JSON, -1, "",
		 "line 1, column 23: found '{'; expected the end"},
		{"{\"features\":{}}", ERR_WRONG_TYPE, -1, "", "\"features\" must be an array of rows, found an object"},
		{"{\"features\":1}", ERR_WRONG_TYPE, -1, "", "\"features\" must be an array of rows, found a number"},
		{"{\"features\":null}", ERR_WRONG_TYPE, -1, "", "\"features\" must be an array of rows, found null"},
		{"{\"features\":}", ERR_BAD_JSON, -1, "", "line 1, column 13: found '}'; expected '[' (an array)"},
		{"{\"features\"", ERR_BAD_JSON, -1, "", "expected ':' behind the member name"},
		{"{\"features\\u0000\":1}", ERR_BAD_JSON, -1, "", "\\u0000 is not accepted in a string"},
	};

	(void)state;
	check_bad(read_json, rows, sizeof rows / sizeof rows[0]);
}

static void
json_rows_that_are_no_row(void **state)
{
	static const struct bad rows[] = {
		{"{\"features\":[1,2,3]}", ERR_WRONG_TYPE, 0, "",
		 "row 0: line 1, column 14: expected a row, an array of numbers or an object by feature name, found a number"},
		{"{\"features\":[[1,2,3],\"x\"]}", ERR_WRONG_TYPE, 1, "", "row 1: line 1, column 22: expected a row"},
		{"{\"features\":[null]}", ERR_WRONG_TYPE, 0, "", "found null; one row is written [[…]]"},
		{"{\"features\":[[1,2,3],]}", ERR_BAD_JSON, -1, "", "a comma stands before ']'; remove it"},
		{"{\"features\":[,]}", ERR_BAD_JSON, 0, "", "row 0: line 1, column 14: found ','; expected '[' (an array)"},
		{"{\"features\":[[1,2,3] [4,5,6]]}", ERR_BAD_JSON, -1, "", "line 1, column 22: found '['; expected ',' or ']'"},
		{"{\"features\":[[]]}", ERR_WRONG_FEATURE_COUNT, 0, "", "row 0 has 0 values; the model has 3 features: a, b, c"},
		{"{\"features\":[[1]]}", ERR_WRONG_FEATURE_COUNT, 0, "", "row 0 has 1 value; the model has 3 features: a, b, c"},
		{"{\"features\":[[1,2,3],[1,2]]}", ERR_WRONG_FEATURE_COUNT, 1, "", "row 1 has 2 values; the model has 3 features: a, b, c"},
		{"{\"features\":[[1,2,3,4]]}", ERR_WRONG_FEATURE_COUNT, 0, "", "row 0 has more than 3 values; the model has 3 features"},
		{"{\"features\":[[1,2,3],[1,2,3],[1,\n\"2\",3]]}", ERR_WRONG_TYPE, 2, "b",
		 "row 2, feature \"b\": line 2, column 1: expected a number, found a string"},
		{"{\"features\":[[true,2,3]]}", ERR_WRONG_TYPE, 0, "a",
		 "row 0, feature \"a\": line 1, column 15: expected a number, found true"},
		{"{\"features\":[[[1],2,3]]}", ERR_WRONG_TYPE, 0, "a", "expected a number, found an array"},
		{"{\"features\":[[1,2,Infinity]]}", ERR_BAD_NUMBER, 0, "c",
		 "row 0, feature \"c\": line 1, column 19: Infinity is not a value"},
		{"{\"features\":[[1,-Infinity,3]]}", ERR_BAD_NUMBER, 0, "b", "-Infinity is not a value"},
		{"{\"features\":[[1,2,1e999]]}", ERR_BAD_NUMBER, 0, "c", "the number is beyond float32"},
		{"{\"features\":[[1,2,3.5e38]]}", ERR_BAD_NUMBER, 0, "c", "the number is beyond float32"},
		{"{\"features\":[[01,2,3]]}", ERR_BAD_JSON, 0, "a", "row 0, feature \"a\": line 1, column 15: this is not a JSON number"},
		{"{\"features\":[[1,2,]]}", ERR_BAD_JSON, 0, "", "row 0: line 1, column 19: a comma stands before ']'"},
		{"{\"features\":[[1,2", ERR_BAD_JSON, 0, "", "row 0: line 1, column 18: the JSON text ends too early"},
		{"{\"features\":[[1,2,", ERR_BAD_JSON, 0, "c", "row 0, feature \"c\": line 1, column 19: the JSON text ends too early"},
		{"{\"features\":[[1 2 3]]}", ERR_BAD_JSON, 0, "", "row 0: line 1, column 17: found '2'; expected ',' or ']'"},
	};

	(void)state;
	check_bad(read_json, rows, sizeof rows / sizeof rows[0]);
}

static void
json_object_rows(void **state)
{
	static const struct bad rows[] = {
		{"{\"features\":[{}]}", ERR_MISSING_FEATURE, 0, "a",
		 "row 0: the feature \"a\" is missing; write null where its value is not known"},
		{"{\"features\":[{\"a\":1,\"c\":3}]}", ERR_MISSING_FEATURE, 0, "b", "row 0: the feature \"b\" is missing"},
		{"{\"features\":[[1,2,3],{\"b\":1,\"c\":3}]}", ERR_MISSING_FEATURE, 1, "a", "row 1: the feature \"a\" is missing"},
		{"{\"features\":[{\"a\":1,\"b\":2,\"c\":3},{\"a\":1}]}", ERR_MISSING_FEATURE, 1, "b",
		 "row 1: the feature \"b\" is missing"},
		{"{\"features\":[{\"a\":1,\"d\":2,\"c\":3}]}", ERR_UNKNOWN_FEATURE, 0, "d",
		 "row 0: the model has no feature \"d\"; it has 3 features: a, b, c"},
		{"{\"features\":[{\"A\":1,\"b\":2,\"c\":3}]}", ERR_UNKNOWN_FEATURE, 0, "A", "the model has no feature \"A\""},
		{"{\"features\":[{\"\":1}]}", ERR_UNKNOWN_FEATURE, 0, "", "the model has no feature \"\""},
		{"{\"features\":[{\"a\":1,\"a\":1,\"b\":2,\"c\":3}]}", ERR_REPEATED_FEATURE, 0, "a",
		 "row 0: the feature \"a\" stands twice"},
		{"{\"features\":[{\"a\":1,\"b\":2,\"c\":3,\"\\u0061\":1}]}", ERR_REPEATED_FEATURE, 0, "a",
		 "the feature \"a\" stands twice"},
		{"{\"features\":[{\"a\":\"1\",\"b\":2,\"c\":3}]}", ERR_WRONG_TYPE, 0, "a",
		 "row 0, feature \"a\": line 1, column 19: expected a number, found a string"},
		{"{\"features\":[{\"a\":1e39}]}", ERR_BAD_NUMBER, 0, "a", "the number is beyond float32"},
		{"{\"features\":[{\"a\" 1}]}", ERR_BAD_JSON, 0, "",
		 "row 0: line 1, column 19: found '1'; expected ':' behind the member name"},
		{"{\"features\":[{a:1}]}", ERR_BAD_JSON, 0, "", "row 0: line 1, column 15: found 'a'; expected a member name"},
		{"{\"features\":[{\"a\":1,}]}", ERR_BAD_JSON, 0, "", "row 0: line 1, column 21: a comma stands before '}'"},
		{"{\"features\":[{\"a\":1", ERR_BAD_JSON, 0, "", "row 0: line 1, column 20: the JSON text ends too early"},
		{"{\"features\":[{\"a\xFF\":1}]}", ERR_BAD_JSON, 0, "", "the string is not valid UTF-8"},
		{"{\"features\":[{\"a\\u0000\":1}]}", ERR_BAD_JSON, 0, "", "\\u0000 is not accepted"},
	};

	(void)state;
	check_bad(read_json, rows, sizeof rows / sizeof rows[0]);
}

static void
csv_headers(void **state)
{
	static const struct bad rows[] = {
		{"", ERR_BAD_CSV, -1, "", "the body is empty; expected a header with the features' names, and rows"},
		{"\n\r\n", ERR_BAD_CSV, -1, "", "the body is empty"},
		{"\xEF\xBB\xBF", ERR_BAD_CSV, -1, "", "the body is empty"},
		{"a,b,c", ERR_NO_ROWS, -1, "", "there are no rows; send at least one"},
		{"a,b,c\n\n", ERR_NO_ROWS, -1, "", "there are no rows"},
		{"a,b\n1,2\n", ERR_MISSING_FEATURE, -1, "c", "line 1: the header lacks the feature \"c\""},
		{"a,b,c,d\n1,2,3,4\n", ERR_UNKNOWN_FEATURE, -1, "d",
		 "line 1, column 4: the header names \"d\"; the model has 3 features: a, b, c"},
		{"1,2,3\n", ERR_UNKNOWN_FEATURE, -1, "1", "line 1, column 1: the header names \"1\""},
		{"a,,c\n", ERR_UNKNOWN_FEATURE, -1, "", "line 1, column 2: the header has an empty name"},
		{"a,b,a,c\n", ERR_REPEATED_FEATURE, -1, "a", "line 1, column 3: the header names \"a\" twice"},
		{"\n\na,b,b\n", ERR_REPEATED_FEATURE, -1, "b", "line 3, column 3: the header names \"b\" twice"},
		{"a,b,\"c\n", ERR_BAD_CSV, -1, "", "line 1, column 3: a quoted cell does not end"},
		{"a,\"b\"x,c\n", ERR_BAD_CSV, -1, "", "line 1, column 2: text stands behind the closing quote"},
		{"a,b,\xFF\n", ERR_BAD_CSV, -1, "", "line 1, column 3: the name is too long"},
		{"a;b;c\n1;2;3\n", ERR_UNKNOWN_FEATURE, -1, "a;b;c", "line 1, column 1: the header names \"a;b;c\""},
	};

	(void)state;
	check_bad(read_csv, rows, sizeof rows / sizeof rows[0]);
}

static void
csv_rows(void **state)
{
	static const struct bad rows[] = {
		{"a,b,c\n1,2\n", ERR_WRONG_FEATURE_COUNT, 0, "", "line 2 has 2 cells; the header has 3"},
		{"a,b,c\n1,2,3\n1,2,3,4\n", ERR_WRONG_FEATURE_COUNT, 1, "", "line 3 has more than 3 cells; the header has 3"},
		{"a,b,c\n1,2,3,\n", ERR_WRONG_FEATURE_COUNT, 0, "", "line 2 has more than 3 cells"},
		{"a,b,c\n\n\n1\n", ERR_WRONG_FEATURE_COUNT, 0, "", "line 4 has 1 cells; the header has 3"},
		{"c,b,a\n1,2,3\n1,x,3\n", ERR_BAD_CSV, 1, "b", "line 3, column 2, feature \"b\": expected a number, found \"x\""},
		{"c,b,a\nx,2,3\n", ERR_BAD_CSV, 0, "c", "line 2, column 1, feature \"c\": expected a number, found \"x\""},
		{"a,b,c\n1,inf,3\n", ERR_BAD_NUMBER, 0, "b", "line 2, column 2, feature \"b\": \"inf\" is not a value a feature can have"},
		{"a,b,c\n1,2,1e39\n", ERR_BAD_NUMBER, 0, "c", "line 2, column 3, feature \"c\": 1e39 is beyond float32"},
		{"a,b,c\n1,2,\"3\n", ERR_BAD_CSV, 0, "", "line 2, column 3: a quoted cell does not end"},
		{"a,b,c\n1,\"2\"\"\",3\n", ERR_BAD_CSV, 0, "b", "line 2, column 2, feature \"b\": expected a number"},
		{"\"a\",\"b\",c\n1,2,\"\n\"\n", ERR_BAD_CSV, 0, "c", "line 2, column 3, feature \"c\": expected a number"},
	};

	(void)state;
	check_bad(read_csv, rows, sizeof rows / sizeof rows[0]);
}

static void
every_prefix(void **state)
{
	static const char body[] = "{\"features\":[[1.5,null,-3e2],{\"c\":1,\"a\":2,\"b\":NaN}]}";
	struct rows r;
	struct err_info info;

	(void)state;
	rows_init(&r, BODY_MAX, ROWS_MAX);
	for (size_t len = 0; len <= strlen(body); len++) {
		char row[32];
		char *copy = unit_copy(body, len);
		(void)snprintf(row, sizeof row, "%zu bytes", len);
		check_err(row, rows_json(&r, &abc, copy, len, &info), len < strlen(body) ? ERR_BAD_JSON : ERR_OK, &info);
		free(copy);
	}
	rows_release(&r);
}

/* A body of `n` rows, in JSON or CSV. */
static void
make_body(struct buf *b, size_t n, bool csv)
{
	buf_reset(b);
	buf_str(b, csv ? "a,b,c\n" : "{\"features\":[");
	for (size_t i = 0; i < n; i++) {
		if (csv)
			buf_printf(b, "%zu,2,3\n", i);
		else if (i % 2 == 0)
			buf_printf(b, "%s[%zu,2,3]", i == 0 ? "" : ",", i);
		else
			buf_printf(b, ",{\"c\":3,\"b\":2,\"a\":%zu}", i);
	}
	if (!csv)
		buf_str(b, "]}");
	(void)buf_peek(b);
}

static void
most_rows(void **state)
{
	struct rows r;
	struct err_info info;
	struct buf b;

	(void)state;
	buf_init(&b, BODY_MAX);
	rows_init(&r, BODY_MAX, ROWS_MAX);
	for (int csv = 0; csv <= 1; csv++) {
		for (size_t n = ROWS_MAX - 1; n <= ROWS_MAX + 2; n++) {
			enum err expected = n > ROWS_MAX ? ERR_TOO_MANY_ROWS : ERR_OK;
			make_body(&b, n, csv);
			check_err(b.data, csv ? rows_csv(&r, &abc, b.data, b.len, &info) : rows_json(&r, &abc, b.data, b.len, &info), expected,
					  &info);
			if (expected == ERR_OK)
				assert_int_equal(r.n, n);
			else
				assert_string_equal(info.text, "more than 10 rows in one request; send them in several");
		}
	}
	rows_release(&r);
	buf_release(&b);
}

static void
reused_for_other_models(void **state)
{
	struct rows r;
	struct err_info info;

	(void)state;
	rows_init(&r, BODY_MAX, ROWS_MAX);
	for (int round = 0; round < 3; round++) {
		assert_err(read_json(&r, &wide, "{\"features\":[[0,1,2,3,4,5,6,7,8,9,10,11]]}", &info), ERR_OK, &info);
		assert_string_equal(shown(&r, 12), "0 1 2 3 4 5 6 7 8 9 10 11/");
		assert_err(read_json(&r, &one, "{\"features\":[{\"only\":5},{\"only\":6}]}", &info), ERR_OK, &info);
		assert_string_equal(shown(&r, 1), "5/6/");
		assert_err(read_json(&r, &abc, "{\"features\":[{\"a\":1,\"b\":2}]}", &info), ERR_MISSING_FEATURE, &info);
		assert_string_equal(info.feature, "c");
		assert_err(read_csv(&r, &abc, "b,c,a\n2,3,1\n", &info), ERR_OK, &info);
		assert_string_equal(shown(&r, 3), "1 2 3/");
		assert_err(read_json(&r, &abc, "{\"features\":[{\"c\":3,\"a\":1,\"b\":2}]}", &info), ERR_OK, &info);
		assert_string_equal(shown(&r, 3), "1 2 3/");
		assert_err(read_csv(&r, &one, "only\n7\n", &info), ERR_OK, &info);
		assert_string_equal(shown(&r, 1), "7/");
	}
	rows_release(&r);
}

static void
long_lists_and_names(void **state)
{
	struct rows r;
	struct err_info info;
	char body[2000];
	char name[600];

	(void)state;
	rows_init(&r, BODY_MAX, ROWS_MAX);
	assert_err(read_json(&r, &wide, "{\"features\":[[1]]}", &info), ERR_WRONG_FEATURE_COUNT, &info);
	assert_string_equal(info.text, "row 0 has 1 value; the model has 12 features: f0, f1, f2, f3, f4, f5, f6, f7, …");
	assert_err(read_json(&r, &one, "{\"features\":[[]]}", &info), ERR_WRONG_FEATURE_COUNT, &info);
	assert_string_equal(info.text, "row 0 has 0 values; the model has 1 feature: only");
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	(void)snprintf(body, sizeof body, "{\"features\":[{\"%s\":1}]}", name);
	assert_err(read_json(&r, &one, body, &info), ERR_UNKNOWN_FEATURE, &info);
	assert_int_equal(strlen(info.feature), ERR_FEATURE_MAX - 1);
	(void)snprintf(body, sizeof body, "{\"%s\":1}", name);
	assert_err(read_json(&r, &one, body, &info), ERR_UNKNOWN_FIELD, &info);
	(void)snprintf(body, sizeof body, "%s\n1\n", name);
	assert_err(read_csv(&r, &one, body, &info), ERR_BAD_CSV, &info);
	assert_contains(info.text, "line 1, column 1: the name is too long");
	rows_release(&r);
}

/* The longest body that may come, all of it values: it fits into the matrix. */
static void
densest_body(void **state)
{
	enum { SIZE = 100000 };
	struct rows r;
	struct err_info info;
	struct buf b;

	(void)state;
	buf_init(&b, SIZE + 10);
	rows_init(&r, SIZE, SIZE);
	buf_str(&b, "only\n");
	while (b.len + 2 <= SIZE)
		buf_str(&b, "1\n");
	(void)buf_peek(&b);
	assert_err(rows_csv(&r, &one, b.data, b.len, &info), ERR_OK, &info);
	assert_int_equal(r.n, (SIZE - 5) / 2);
	buf_reset(&b);
	buf_str(&b, "{\"features\":[[1]");
	while (b.len + 4 + 2 <= SIZE)
		buf_str(&b, ",[1]");
	buf_str(&b, "]}");
	(void)buf_peek(&b);
	assert_err(rows_json(&r, &one, b.data, b.len, &info), ERR_OK, &info);
	buf_reset(&b);
	buf_str(&b, "f0,f1,f2,f3,f4,f5,f6,f7,f8,f9,f10,\"a \"\"b\"\"\"\n");
	while (b.len + 12 <= SIZE)
		buf_str(&b, ",,,,,,,,,,,\n"); /* twelve empty cells take twelve bytes */
	(void)buf_peek(&b);
	assert_err(rows_csv(&r, &wide, b.data, b.len, &info), ERR_OK, &info);
	assert_true(r.n > 8000);
	rows_release(&r);
	buf_release(&b);
}

static void
shrinks(void **state)
{
	struct rows r;
	struct err_info info;
	struct buf b;

	(void)state;
	buf_init(&b, BODY_MAX);
	rows_init(&r, BODY_MAX, 10000);
	make_body(&b, 5000, true);
	assert_err(rows_csv(&r, &abc, b.data, b.len, &info), ERR_OK, &info);
	assert_true(r.values.cap >= 60000);
	rows_shrink(&r, 1000);
	assert_int_equal(r.values.cap, 0);
	assert_err(read_csv(&r, &abc, "a,b,c\n1,2,3", &info), ERR_OK, &info);
	assert_string_equal(shown(&r, 3), "1 2 3/");
	rows_shrink(&r, 1000);
	assert_true(r.values.cap > 0);
	rows_release(&r);
	rows_release(&r);
	buf_release(&b);
}

/* One request's worth of work: read both kinds of body and one that is refused, and print the values. */
static void
work(struct rows *r, const struct buf *json, const struct buf *csv, struct buf *out)
{
	static const char wrong[] = "{\"features\":[[1,2,3],{\"a\":1,\"z\":2}]}";
	struct err_info info;
	bool ok = rows_json(r, &abc, json->data, json->len, &info) == ERR_OK;

	ok = ok && rows_csv(r, &abc, csv->data, csv->len, &info) == ERR_OK;
	buf_reset(out);
	for (size_t i = 0; i < r->n * 3; i++)
		text_json_float(out, rows_values(r)[i]);
	ok = ok && rows_json(r, &abc, wrong, strlen(wrong), &info) == ERR_UNKNOWN_FEATURE;
	text_json_string(out, info.text, strlen(info.text));
	assert_true(ok && buf_ok(out));
}

static void
warm_reading_allocates_nothing(void **state)
{
	struct rows r;
	struct buf json;
	struct buf csv;
	struct buf out;

	(void)state;
	buf_init(&json, BODY_MAX);
	buf_init(&csv, BODY_MAX);
	buf_init(&out, BODY_MAX);
	rows_init(&r, BODY_MAX, 1000);
	make_body(&json, 1000, false);
	make_body(&csv, 1000, true);
	work(&r, &json, &csv, &out);
	heap_start();
	for (int i = 0; i < 10; i++)
		work(&r, &json, &csv, &out);
	assert_int_equal(heap_all, 0);
	rows_release(&r);
	buf_release(&json);
	buf_release(&csv);
	buf_release(&out);
}

/* A stream: the header, then a piece that starts in line 5. */
static enum err
read_pieces(struct rows *r, const char *header, const char *piece, struct err_info *info)
{
	struct rows_header h;
	bool found;
	char *copy = unit_copy(piece, strlen(piece));

	rows_header_init(&h);
	enum err e = rows_header_csv(&h, &abc, header, strlen(header), 1, &found, info);
	if (e == ERR_OK)
		assert_true(found);
	if (e == ERR_OK)
		e = rows_csv_more(r, &abc, &h, copy, strlen(copy), 5, info);
	rows_header_release(&h);
	free(copy);
	return e;
}

static void
csv_pieces(void **state)
{
	struct rows r;
	struct err_info info;

	(void)state;
	rows_init(&r, BODY_MAX, ROWS_MAX);
	assert_err(read_pieces(&r, "c,a,b\n", "3,1,2\r\n\n6,4,5", &info), ERR_OK, &info);
	assert_string_equal(shown(&r, 3), "1 2 3/4 5 6/");
	assert_err(read_pieces(&r, "a,b,c\n", "\n\n", &info), ERR_OK, &info);
	assert_int_equal(r.n, 0);
	assert_err(read_pieces(&r, "a,b,c\n", "", &info), ERR_OK, &info);
	assert_err(read_pieces(&r, "a,b,c\n", "1,2,3\n\"4\",\" 5\",\"\n\"\n", &info), ERR_BAD_CSV, &info);
	assert_contains(info.text, "line 6, column 3, feature \"c\": expected a number");
	assert_string_equal(shown(&r, 3), "1 2 3/");
	assert_err(read_pieces(&r, "a,b,c\n", "1,2,3\n4,5,6\n7,x,9\n", &info), ERR_BAD_CSV, &info);
	assert_contains(info.text, "line 7, column 2, feature \"b\": expected a number, found \"x\"");
	assert_string_equal(shown(&r, 3), "1 2 3/4 5 6/");
	assert_err(read_pieces(&r, "a,b,c,d\n", "", &info), ERR_UNKNOWN_FEATURE, &info);
	rows_release(&r);
}

static void
header_behind_empty_lines(void **state)
{
	struct rows_header h;
	struct err_info info;
	bool found = true;

	(void)state;
	rows_header_init(&h);
	assert_err(rows_header_csv(&h, &abc, "\r\n", 2, 1, &found, &info), ERR_OK, &info);
	assert_false(found);
	assert_err(rows_header_csv(&h, &abc, "a,b,x\n", 6, 3, &found, &info), ERR_UNKNOWN_FEATURE, &info);
	assert_contains(info.text, "line 3, column 3: the header names \"x\"");
	rows_header_release(&h);
	rows_header_release(&h);
}

static enum err
read_lines(struct rows *r, const struct features *f, const char *text, struct err_info *info)
{
	char *copy = unit_copy(text, strlen(text));
	enum err e = rows_json_lines(r, f, copy, strlen(copy), 10, info);

	free(copy);
	return e;
}

static void
json_lines(void **state)
{
	static const struct good rows[] = {
		{"", ""},
		{" \n\r\n\t\r", ""},
		{"[1,2,3]", "1 2 3/"},
		{"[1,2,3]\n", "1 2 3/"},
		{"[1,2,3]\r\n{\"c\":6,\"a\":4,\"b\":5}\r[7,8,9]", "1 2 3/4 5 6/7 8 9/"},
		{"\n [ 1, null ,NaN ] \n\n{\"b\":null,\"a\":4,\"c\":6}\n", "1 nan nan/4 nan 6/"},
	};

	(void)state;
	check_good(read_lines, rows, sizeof rows / sizeof rows[0]);
}

static void
json_lines_that_are_no_row(void **state)
{
	static const struct bad rows[] = {
		{"[1,2,3]\n[1,2]\n", ERR_WRONG_FEATURE_COUNT, 1, "", "line 11 has 2 values; the model has 3 features: a, b, c"},
		{"[1,2,3,4]", ERR_WRONG_FEATURE_COUNT, 0, "", "line 10 has more than 3 values"},
		{"\r\n\r[1,\"2\",3]", ERR_WRONG_TYPE, 0, "b", "line 12, feature \"b\", column 4: expected a number, found a string"},
		{"[1,2,1e39]", ERR_BAD_NUMBER, 0, "c", "line 10, feature \"c\", column 6: the number is beyond float32"},
		{"[1,2,Infinity]", ERR_BAD_NUMBER, 0, "c", "line 10, feature \"c\", column 6: Infinity is not a value a feature can have"},
		{"[1,2,3", ERR_BAD_JSON, 0, "", "line 10, column 7: the JSON text ends too early; expected ',' or ']'"},
		{"[1,2,\n3]", ERR_BAD_JSON, 0, "c", "line 10, feature \"c\", column 6: the JSON text ends too early"},
		{"[1,2,3] [4,5,6]", ERR_BAD_JSON, 0, "", "line 10, column 9: found '['; expected the end of the JSON text"},
		{"[1,2,3]\n7\n", ERR_WRONG_TYPE, 1, "",
		 "line 11, column 1: expected a row, an array of numbers or an object by feature name, found a number"},
		{"a,b,c\n", ERR_BAD_JSON, 0, "", "line 10, column 1: found 'a'; expected '[' (an array)"},
		{"{\"a\":1,\"b\":2}", ERR_MISSING_FEATURE, 0, "c", "line 10: the feature \"c\" is missing; write null"},
		{"{\"a\":1,\"b\":2,\"d\":2}", ERR_UNKNOWN_FEATURE, 0, "d", "line 10: the model has no feature \"d\"; it has 3 features"},
		{"{\"a\":1,\"a\":2,\"c\":2}", ERR_REPEATED_FEATURE, 0, "a", "line 10: the feature \"a\" stands twice"},
		{"{\"features\":[[1,2,3]]}", ERR_UNKNOWN_FEATURE, 0, "features", "line 10: the model has no feature \"features\""},
	};

	(void)state;
	check_bad(read_lines, rows, sizeof rows / sizeof rows[0]);
}

/* A value of a larger body, which the reader must leave behind it. */
static enum err
read_value(struct rows *r, const char *form, const char *text, struct err_info *info)
{
	struct err_info inner;
	struct json_reader json;
	char *copy = unit_copy(text, strlen(text));
	enum err e;

	json_init(&json, copy, strlen(copy), &inner);
	if (strcmp(form, "array") == 0)
		e = rows_json_array(r, &abc, "instances", &json, info);
	else if (strcmp(form, "columns") == 0)
		e = rows_json_columns(r, &abc, &json, info);
	else
		e = rows_header_json(&r->header, &abc, &json, info);
	if (e == ERR_OK && strcmp(form, "table") == 0)
		e = rows_json_table(r, &abc, &r->header, &json, info);
	if (e == ERR_OK)
		assert_err(json_end(&json), ERR_OK, &inner);
	free(copy);
	return e;
}

static void
json_parts(void **state)
{
	static const struct {
		const char *form;
		const char *text;
		const char *matrix;
	} good[] = {
		{"array", "[[1,2,3],{\"c\":6,\"a\":4,\"b\":null}] ", "1 2 3/4 nan 6/"},
		{"table", "[\"c\",\"a\",\"b\"] [[3,1,2],[NaN,4,5]]", "1 2 3/4 5 nan/"},
		{"columns", "{\"b\":[2,5],\"a\":[[1],[4]],\"c\":[3,null]}", "1 2 3/4 5 nan/"},
		{"columns", "{\"c\":[[3]],\"b\":[2],\"a\":[1]}", "1 2 3/"},
		{"header", "[\"a\",\"b\",\"c\"]", NULL},
	};
	struct rows r;
	struct err_info info;

	(void)state;
	rows_init(&r, BODY_MAX, ROWS_MAX);
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
			check_err(good[i].text, read_value(&r, good[i].form, good[i].text, &info), ERR_OK, &info);
			if (good[i].matrix != NULL)
				check_string(good[i].text, shown(&r, 3), good[i].matrix);
		}
	rows_release(&r);
}

static void
json_parts_that_are_wrong(void **state)
{
	static const struct {
		const char *form;
		const char *text;
		enum err code;
		const char *part;
	} bad[] = {
		{"array", "[]", ERR_NO_ROWS, "no rows"},
		{"array", "7", ERR_WRONG_TYPE, "\"instances\" must be an array of rows, found a number"},
		{"array", "[[1,2]]", ERR_WRONG_FEATURE_COUNT, "row 0 has 2 values"},
		{"header", "[\"a\",\"b\"]", ERR_MISSING_FEATURE, "the columns lack the feature \"c\""},
		{"header", "[\"a\",\"b\",\"b\"]", ERR_REPEATED_FEATURE, "the columns name \"b\" twice"},
		{"header", "[\"a\",\"b\",\"c\",\"d\"]", ERR_UNKNOWN_FEATURE, "the columns name \"d\"; the model has 3 features: a, b, c"},
		{"header", "[0,1,2]", ERR_BAD_JSON, "the columns: line 1, column 2"},
		{"header", "{}", ERR_BAD_JSON, "expected '['"},
		{"table", "[\"c\",\"a\",\"b\"] [[3,1]]", ERR_WRONG_FEATURE_COUNT, "row 0 has 2 values; the model has 3 features"},
		{"table", "[\"c\",\"a\",\"b\"] [[3,1,2,4]]", ERR_WRONG_FEATURE_COUNT, "row 0 has more than 3 values"},
		{"table", "[\"c\",\"a\",\"b\"] [[3,1,2],[3,\"x\",2]]", ERR_WRONG_TYPE, "row 1, feature \"a\": line 1"},
		{"table", "[\"c\",\"a\",\"b\"] [[3,1,2],{}]", ERR_BAD_JSON, "expected '['"},
		{"table", "[\"c\",\"a\",\"b\"] []", ERR_NO_ROWS, "no rows"},
		{"columns", "{}", ERR_MISSING_FEATURE, "the columns lack the feature \"a\""},
		{"columns", "{\"a\":[],\"b\":[],\"c\":[]}", ERR_NO_ROWS, "no rows"},
		{"columns", "{\"a\":[1],\"b\":[2],\"c\":[]}", ERR_WRONG_FEATURE_COUNT, "the column \"c\" has 0 rows, the one before it 1"},
		{"columns", "{\"a\":[1],\"b\":[2,3],\"c\":[1]}", ERR_WRONG_FEATURE_COUNT,
		 "the column \"b\" has more than 1 rows, the one before it 1"},
		{"columns", "{\"a\":[1],\"a\":[2]}", ERR_REPEATED_FEATURE, "\"a\" twice"},
		{"columns", "{\"a\":[1],\"z\":[2]}", ERR_UNKNOWN_FEATURE, "name \"z\""},
		{"columns", "{\"a\":[[1,2]]}", ERR_WRONG_TYPE,
		 "row 0, feature \"a\": line 1, column 10: expected one number a row in a column"},
		{"columns", "{\"a\":[[]]}", ERR_WRONG_TYPE, "expected a number in the array"},
		{"columns", "{\"a\":[1,2],\"b\":[1,Infinity]}", ERR_BAD_NUMBER, "row 1, feature \"b\""},
		{"columns", "{\"a\":7}", ERR_BAD_JSON, "feature \"a\": line 1"},
	};
	struct rows r;
	struct err_info info;

	(void)state;
	rows_init(&r, BODY_MAX, ROWS_MAX);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		check_err(bad[i].text, read_value(&r, bad[i].form, bad[i].text, &info), bad[i].code, &info);
		check_contains(bad[i].text, info.text, bad[i].part);
	}
	rows_release(&r);
}

static void
rows_to_fill_in(void **state)
{
	struct rows few;
	struct err_info info;
	float *values;

	(void)state;
	rows_init(&few, 1000, 1000000000);
	assert_err(rows_make(&few, &abc, 0, &values, &info), ERR_NO_ROWS, &info);
	assert_err(rows_make(&few, &abc, 1000000001, &values, &info), ERR_TOO_MANY_ROWS, &info);
	/* fewer than are allowed, but more than the largest text could hold */
	assert_err(rows_make(&few, &abc, 1000000000, &values, &info), ERR_TOO_MANY_ROWS, &info);
	assert_contains(info.text, "1000000000 rows of 3 features are too many");
	assert_err(rows_make(&few, &abc, 7, &values, &info), ERR_OK, &info);
	for (size_t i = 0; i < 21; i++)
		values[i] = (float)i;
	assert_int_equal(few.n, 7);
	check_float("the last", rows_values(&few)[20], 20);
	rows_release(&few);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("JSON rows are read as arrays in order or as objects in any order", json_bodies),
		TEST("CSV rows are read in the order of their header", csv_bodies),
		TEST("a JSON body that is no object of features is refused in a sentence", json_bodies_that_are_no_body),
		TEST("a JSON row with a wrong value or a wrong count is refused by row and feature", json_rows_that_are_no_row),
		TEST("an object row names every feature once, else it is refused", json_object_rows),
		TEST("a CSV header names every feature once, else it is refused by line and column", csv_headers),
		TEST("a CSV row with a bad cell or a wrong count is refused by line and column", csv_rows),
		TEST("every prefix of a body is refused as bad_json", every_prefix),
		TEST("as many rows as allowed are read, and one more is too_many_rows", most_rows),
		TEST("one matrix serves models of different features in turn", reused_for_other_models),
		TEST("sentences about many features and long names are cut to fit", long_lists_and_names),
		TEST("the densest body of the largest size fits", densest_body),
		TEST("a matrix gives memory back and grows again", shrinks),
		TEST("pieces of a CSV are read by the header that came before, and count lines on", csv_pieces),
		TEST("a header is looked for behind empty lines", header_behind_empty_lines),
		TEST("JSON lines are rows, one each, in lines of any end, and blank ones are passed over", json_lines),
		TEST("a JSON line that is no row is refused by its number", json_lines_that_are_no_row),
		TEST("parts of a JSON body are read as rows, as a table with its columns, or column by column", json_parts),
		TEST("a part of a JSON body that is wrong is refused in a sentence", json_parts_that_are_wrong),
		TEST("room for rows to fill in is bounded by their number and by the largest text", rows_to_fill_in),
		TEST("a warm reading of JSON, CSV and refusals allocates nothing", warm_reading_allocates_nothing),
	};

	return cmocka_run_group_tests_name("rows", tests, make_features, release_features);
}
