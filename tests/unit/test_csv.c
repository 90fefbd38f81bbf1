/* test_csv.c - tests of base/csv: rows and cells with their places, quotes, and numbers */
#include "base/csv.h"

#include <math.h>

#include "base/buf.h"
#include "unit.h"

/* All of a text, as "LINE:COLUMN=CELL|" for each cell and "/" behind each row, or the sentence of its failure. */
static void
render(const char *text, size_t len, struct buf *out)
{
	struct csv_reader r;
	struct csv_cell cell;
	struct err_info info;
	char shown[256];
	bool more;
	bool more_cells;
	enum err e;
	char *copy = unit_copy(text, len);

	buf_reset(out);
	csv_init(&r, copy, len, &info);
	while ((e = csv_row(&r, &more)) == ERR_OK && more) {
		while ((e = csv_cell(&r, &cell, &more_cells)) == ERR_OK && more_cells)
			buf_printf(out, "%zu:%zu=%s|", r.line, r.column, csv_text(&cell, shown, sizeof shown) ? shown : "(bad)");
		if (e != ERR_OK)
			break;
		buf_str(out, "/");
	}
	if (e != ERR_OK)
		buf_printf(out, "%s: %s", err_code(e), info.text);
	free(copy);
}

struct rendered {
	const char *text;
	const char *expected;
};

static void
check_rendered(const struct rendered *rows, size_t n)
{
	struct buf out;

	buf_init(&out, 10000);
	for (size_t i = 0; i < n; i++) {
		render(rows[i].text, strlen(rows[i].text), &out);
		check_string(rows[i].text, buf_peek(&out), rows[i].expected);
	}
	buf_release(&out);
}

static void
cells_and_rows(void **state)
{
	static const struct rendered rows[] = {
		{"", ""},
		{"a", "1:1=a|/"},
		{"a,b", "1:1=a|1:2=b|/"},
		{"a,b\n", "1:1=a|1:2=b|/"},
		{"a,b\n1,2", "1:1=a|1:2=b|/2:1=1|2:2=2|/"},
		{",", "1:1=|1:2=|/"},
		{",\n", "1:1=|1:2=|/"},
		{"a,", "1:1=a|1:2=|/"},
		{",,\n,", "1:1=|1:2=|1:3=|/2:1=|2:2=|/"},
		{"a;b\tc", "1:1=a;b\tc|/"},
		{" ", "1:1=|/"},
	};

	(void)state;
	check_rendered(rows, sizeof rows / sizeof rows[0]);
}

static void
line_ends(void **state)
{
	static const struct rendered rows[] = {
		{"a\r\nb\nc\rd", "1:1=a|/2:1=b|/3:1=c|/4:1=d|/"},
		{"a,b\r\n1,2\r\n", "1:1=a|1:2=b|/2:1=1|2:2=2|/"},
		{"a\r\r\nb", "1:1=a|/3:1=b|/"},
		{"a\n\rb", "1:1=a|/3:1=b|/"},
		{"a\r", "1:1=a|/"},
		{"a,\r\nb", "1:1=a|1:2=|/2:1=b|/"},
	};

	(void)state;
	check_rendered(rows, sizeof rows / sizeof rows[0]);
}

static void
empty_lines(void **state)
{
	static const struct rendered rows[] = {
		{"\n", ""},
		{"\r\n\r\n\n\r", ""},
		{"\n\na\n\n\nb\n\n", "3:1=a|/6:1=b|/"},
		{"a\r\n\r\nb", "1:1=a|/3:1=b|/"},
	};

	(void)state;
	check_rendered(rows, sizeof rows / sizeof rows[0]);
}

static void
byte_order_mark(void **state)
{
	static const struct rendered rows[] = {
		{"\xEF\xBB\xBF"
		 "a,b",
		 "1:1=a|1:2=b|/"},
		{"\xEF\xBB\xBF\"a\",b", "1:1=a|1:2=b|/"},
		{"\xEF\xBB\xBF", ""},
		{"a,\xEF\xBB\xBF"
		 "b",
		 "1:1=a|1:2=\xEF\xBB\xBF"
		 "b|/"},
	};

	(void)state;
	check_rendered(rows, sizeof rows / sizeof rows[0]);
}

static void
quotes(void **state)
{
	static const struct rendered rows[] = {
		{"\"a\",\"b\"", "1:1=a|1:2=b|/"},
		{"\"a,b\",c", "1:1=a,b|1:2=c|/"},
		{"\"\"", "1:1=|/"},
		{"\"\",\"\"\n", "1:1=|1:2=|/"},
		{"\"a\"\"b\"", "1:1=a\"b|/"},
		{"\"\"\"\"", "1:1=\"|/"},
		{"\"\"\"a\"\"\"", "1:1=\"a\"|/"},
		{"\"\"\"\"\"\"", "1:1=\"\"|/"},
		{"\"a\"  ,b", "1:1=a|1:2=b|/"},
		{"\"a\" ", "1:1=a|/"},
		{"\"a\"\r\n\"b\"\r\"c\"\n", "1:1=a|/2:1=b|/3:1=c|/"},
		{"a\"b,c", "1:1=a\"b|1:2=c|/"},
	};

	(void)state;
	check_rendered(rows, sizeof rows / sizeof rows[0]);
}

static void
lines_within_cells(void **state)
{
	static const struct rendered rows[] = {
		{"\"a\nb\",c\nd", "1:1=a\nb|2:2=c|/3:1=d|/"},
		{"\"a\r\nb\",c\r\nd", "1:1=a\r\nb|2:2=c|/3:1=d|/"},
		{"\"a\rb\rc\",d\re", "1:1=a\rb\rc|3:2=d|/4:1=e|/"},
		{"\"\n\n\n\"\nx", "1:1=\n\n\n|/5:1=x|/"},
		{"x,\"\n", "1:1=x|bad_csv: line 1, column 2: a quoted cell does not end"},
	};

	(void)state;
	check_rendered(rows, sizeof rows / sizeof rows[0]);
}

static void
broken_quotes(void **state)
{
	static const struct rendered rows[] = {
		{"\"", "bad_csv: line 1, column 1: a quoted cell does not end"},
		{"\"a", "bad_csv: line 1, column 1: a quoted cell does not end"},
		{"a,\"b\n1,2", "1:1=a|bad_csv: line 1, column 2: a quoted cell does not end"},
		{"\"a\"\"", "bad_csv: line 1, column 1: a quoted cell does not end"},
		{"a\n\"b\"c,d", "1:1=a|/bad_csv: line 2, column 1: text stands behind the closing quote"},
		{"\"a\" b", "bad_csv: line 1, column 1: text stands behind the closing quote"},
		{"1,\"a\nb\"x", "1:1=1|bad_csv: line 1, column 2: text stands behind the closing quote"},
	};

	(void)state;
	check_rendered(rows, sizeof rows / sizeof rows[0]);
}

static void
blanks_are_trimmed(void **state)
{
	static const struct rendered rows[] = {
		{" a , b c\t,\t", "1:1=a|1:2=b c|1:3=|/"},
		{"\" a \"", "1:1=a|/"},
	};

	(void)state;
	check_rendered(rows, sizeof rows / sizeof rows[0]);
}

static void
nul_bytes(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	render("a\0b,c\0", 6, &out);
	assert_contains(buf_peek(&out), "|1:2=");
	buf_release(&out);
}

static void
text_that_does_not_fit(void **state)
{
	static const struct csv_cell plain = {.text = "abcd", .len = 4};
	static const struct csv_cell doubled = {.text = "a\"\"b", .len = 4, .quoted = true, .doubled = true};
	static const struct csv_cell bad = {.text = "a\xFF", .len = 2};
	static const struct csv_cell cut = {.text = "\xC3\xA9", .len = 1};
	char out[16];

	(void)state;
	assert_false(csv_text(&plain, out, 4));
	assert_true(csv_text(&plain, out, 5));
	assert_string_equal(out, "abcd");
	assert_false(csv_text(&doubled, out, 3));
	assert_true(csv_text(&doubled, out, 4));
	assert_string_equal(out, "a\"b");
	assert_false(csv_text(&bad, out, sizeof out));
	assert_false(csv_text(&cut, out, sizeof out));
}

static void
floats(void **state)
{
	static const struct {
		const char *text;
		enum err e;
		float x;
		const char *sentence;
	} rows[] = {
		{"", ERR_OK, NAN, ""},
		{" \t", ERR_OK, NAN, ""},
		{"NaN", ERR_OK, NAN, ""},
		{"nan", ERR_OK, NAN, ""},
		{"NAN", ERR_OK, NAN, ""},
		{" 1.5 ", ERR_OK, 1.5F, ""},
		{"+1", ERR_OK, 1.0F, ""},
		{"01", ERR_OK, 1.0F, ""},
		{"1.", ERR_OK, 1.0F, ""},
		{".5", ERR_OK, 0.5F, ""},
		{"-0", ERR_OK, -0.0F, ""},
		{"1e-7", ERR_OK, 1e-7F, ""},
		{"3.4028235e38", ERR_OK, 3.4028235e38F, ""},
		{"1e39", ERR_BAD_NUMBER, 0, "1e39 is beyond float32 (at most 3.4028235e38)"},
		{"-1e999", ERR_BAD_NUMBER, 0, "-1e999 is beyond float32 (at most 3.4028235e38)"},
		{"inf", ERR_BAD_NUMBER, 0, "\"inf\" is not a value a feature can have; an empty cell or NaN means missing"},
		{"-Infinity", ERR_BAD_NUMBER, 0, "\"-Infinity\" is not a value a feature can have; an empty cell or NaN means missing"},
		{"+INF", ERR_BAD_NUMBER, 0, "\"+INF\" is not a value a feature can have; an empty cell or NaN means missing"},
		{"abc", ERR_BAD_CSV, 0, "expected a number, found \"abc\"; an empty cell or NaN means missing"},
		{"1 2", ERR_BAD_CSV, 0, "expected a number, found \"1 2\"; an empty cell or NaN means missing"},
		{"1;5", ERR_BAD_CSV, 0, "expected a number, found \"1;5\"; an empty cell or NaN means missing"},
		{"0x10", ERR_BAD_CSV, 0, "expected a number, found \"0x10\"; an empty cell or NaN means missing"},
		{"1e", ERR_BAD_CSV, 0, "expected a number, found \"1e\"; an empty cell or NaN means missing"},
		{"-nan", ERR_BAD_CSV, 0, "expected a number, found \"-nan\"; an empty cell or NaN means missing"},
		{"NA", ERR_BAD_CSV, 0, "expected a number, found \"NA\"; an empty cell or NaN means missing"},
		{"null", ERR_BAD_CSV, 0, "expected a number, found \"null\"; an empty cell or NaN means missing"},
		{"-", ERR_BAD_CSV, 0, "expected a number, found \"-\"; an empty cell or NaN means missing"},
		{"\xC3\xA9", ERR_BAD_CSV, 0, "expected a number, found \"?\?\"; an empty cell or NaN means missing"},
		{"1\"\"2", ERR_BAD_CSV, 0, "expected a number, found \"1\"\"2\"; an empty cell or NaN means missing"},
		{"1e39x", ERR_BAD_CSV, 0, "expected a number, found \"1e39x\"; an empty cell or NaN means missing"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *text = unit_copy(rows[i].text, strlen(rows[i].text));
		const struct csv_cell cell = {.text = text, .len = strlen(text)};
		struct err_info info = {0};
		float x = 7;
		check_err(text, csv_float(&cell, &x, &info), rows[i].e, &info);
		if (rows[i].e == ERR_OK)
			check_float(text, x, rows[i].x);
		check_string(text, info.text, rows[i].sentence);
		free(text);
	}
}

static void
long_cell_in_sentence(void **state)
{
	char text[3001];
	const struct csv_cell cell = {.text = text, .len = sizeof text - 1};
	struct err_info info;
	float x;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_err(csv_float(&cell, &x, &info), ERR_BAD_CSV, &info);
	assert_contains(info.text, "xxx...\"; an empty cell or NaN means missing");
}

/* A number is read in its cell only: the comma behind it must not matter, nor what follows. */
static void
numbers_of_a_row(void **state)
{
	static const char text[] = "1,23456789012345678901234567890,\"3\",4.5e1\n";
	static const float expected[] = {1.0F, 23456789012345678901234567890.0F, 3.0F, 45.0F};
	struct csv_reader r;
	struct csv_cell cell;
	struct err_info info;
	bool more;

	(void)state;
	csv_init(&r, text, strlen(text), &info);
	assert_err(csv_row(&r, &more), ERR_OK, &info);
	for (size_t i = 0; i < 4; i++) {
		float x;
		assert_err(csv_cell(&r, &cell, &more), ERR_OK, &info);
		assert_true(more);
		assert_err(csv_float(&cell, &x, &info), ERR_OK, &info);
		check_float("row", x, expected[i]);
	}
	assert_err(csv_cell(&r, &cell, &more), ERR_OK, &info);
	assert_false(more);
	assert_err(csv_row(&r, &more), ERR_OK, &info);
	assert_false(more);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("cells are separated by commas and rows by lines, empty cells included", cells_and_rows),
		TEST("lines end in LF, CRLF or CR, mixed", line_ends),
		TEST("empty lines are passed over and still counted", empty_lines),
		TEST("a byte order mark is passed over at the start only", byte_order_mark),
		TEST("quoted cells hold commas and doubled quotes", quotes),
		TEST("a quoted cell may hold line ends, and the lines behind it are counted right", lines_within_cells),
		TEST("a quote that does not close and text behind a closing quote are refused with their place", broken_quotes),
		TEST("blanks around a cell are trimmed", blanks_are_trimmed),
		TEST("NUL bytes do not end the reading", nul_bytes),
		TEST("a cell's text that does not fit or is not UTF-8 is refused", text_that_does_not_fit),
		TEST("a cell is a number, missing, or refused in a sentence", floats),
		TEST("a long cell is cut in the sentence", long_cell_in_sentence),
		TEST("the numbers of a row are read cell by cell", numbers_of_a_row),
	};

	return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
