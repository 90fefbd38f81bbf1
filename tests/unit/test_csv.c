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

/* csv_number() takes what it takes as csv_cell() and csv_float() do, and nothing else. */
static void
bare_numbers(void **state)
{
	static const char *const texts[] = {"1",      "-1.5,",
										"1.25\n", "7\r\n",
										"7\r1",   "+1,2",
										"01,2",   "1.,2",
										".5,2",   "1e5,",
										"1e39,1", "1e,1",
										"",       ",1",
										"\n",     " 1,2",
										"1 ,2",   "\"1\",2",
										"nan,1",  "-",
										"1x,",    "12345.678901234567,12345678901234567890\n",
										"1;2",    "0.1\r"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct csv_reader a;
		struct csv_reader b;
		struct csv_cell cell;
		struct err_info info;
		char *text = unit_copy(texts[i], strlen(texts[i]));
		float x = 0;
		float y = 0;
		bool more = false;
		csv_resume(&a, text, strlen(text), 7, &info);
		csv_resume(&b, text, strlen(text), 7, &info);
		a.row_ended = b.row_ended = *text == '\0';
		struct csv_reader before = a;
		bool taken = csv_number(&a, &x);
		bool number = csv_cell(&b, &cell, &more) == ERR_OK && more && csv_float(&cell, &y, &info) == ERR_OK;
		bool bare = number && cell.len > 0 && !cell.quoted && strchr("+-.0123456789", cell.text[0]) != NULL &&
					strchr(cell.text, ' ') == NULL;
		check_integer(text, taken, bare);
		if (!taken)
			b = before;
		else
			check_float(text, x, y);
		check_integer(text, a.p - text, b.p - text);
		check_integer(text, a.line, b.line);
		check_integer(text, a.next_line, b.next_line);
		check_integer(text, a.column, b.column);
		check_integer(text, a.row_ended, b.row_ended);
		free(text);
	}
}

static void
resumed(void **state)
{
	struct csv_reader r;
	struct csv_cell cell;
	struct err_info info;
	bool more;

	(void)state;
	csv_resume(&r,
			   "\xEF\xBB\xBF"
			   "1\n2",
			   6, 41, &info);
	assert_err(csv_row(&r, &more), ERR_OK, &info);
	assert_err(csv_cell(&r, &cell, &more), ERR_OK, &info);
	assert_int_equal(cell.len, 4); /* no byte order mark in the middle of a text */
	assert_int_equal(r.line, 41);
	assert_err(csv_row(&r, &more), ERR_OK, &info);
	assert_err(csv_cell(&r, &cell, &more), ERR_OK, &info);
	assert_int_equal(r.line, 42);
}

static void
cuts(void **state)
{
	static const struct {
		const char *text;
		size_t end;       /* of all whole rows */
		size_t end_lines; /* where quotes mean nothing */
		size_t first;     /* of the first row */
	} rows[] = {
		{"", 0, 0, 0},
		{"a", 0, 0, 0},
		{"a\n", 2, 2, 2},
		{"a\nb", 2, 2, 2},
		{"a\nb\n", 4, 4, 2},
		{"a\r\nb\r\n", 6, 6, 3},
		{"a\rb\rc", 4, 4, 2},
		{"a\r", 0, 0, 0}, /* a LF may follow */
		{"a\nb\r", 2, 2, 2},
		{"a\r\r", 2, 2, 2},
		{"\n\n", 2, 2, 1},
		{"\"a\nb\"", 0, 3, 0},
		{"\"a\nb\"\n", 6, 6, 6},
		{"\"a\nb\"\nc\n", 8, 8, 6},
		{"1,\"a\"\"\nb\"\nc", 10, 10, 10},
		{"1,\"a\"\"\"\nb\"\nc\n", 13, 13, 8},
		{"a\"\nb\n", 5, 5, 3}, /* a quote within a cell is a character */
		{"a\n\"b\nc\n", 2, 7, 2},
		{"\"\n\n\n", 0, 4, 0},
		{"\"\"\n\"\"\n", 6, 6, 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t len = strlen(rows[i].text);
		char *text = unit_copy(rows[i].text, len);
		for (size_t step = 1; step <= len + 1; step++) { /* the text grows so many bytes at a time */
			struct csv_cut all = {0};
			struct csv_cut lines = {.lines = true};
			struct csv_cut first = {0};
			for (size_t n = 0; n < len + step; n += step) {
				csv_cut(&all, text, n < len ? n : len, false);
				csv_cut(&lines, text, n < len ? n : len, false);
				if (first.end == 0)
					csv_cut(&first, text, n < len ? n : len, true);
			}
			check_integer(text, all.end, rows[i].end);
			check_integer(text, lines.end, rows[i].end_lines);
			check_integer(text, first.end, rows[i].first);
		}
		free(text);
	}
}

/* All cells of a piece, as "LINE:COLUMN=CELL|" and "/"; false where it fails. */
static bool
render_piece(const char *text, size_t len, size_t line, struct buf *out)
{
	struct csv_reader r;
	struct csv_cell cell;
	struct err_info info;
	bool more;
	bool more_cells;
	enum err e;
	char *copy = unit_copy(text, len);

	csv_resume(&r, copy, len, line, &info);
	while ((e = csv_row(&r, &more)) == ERR_OK && more) {
		while ((e = csv_cell(&r, &cell, &more_cells)) == ERR_OK && more_cells)
			buf_printf(out, "%zu:%zu=%.*s|", r.line, r.column, (int)cell.len, cell.text);
		if (e != ERR_OK)
			break;
		buf_str(out, "/");
	}
	free(copy);
	return e == ERR_OK;
}

static void
cut_pieces_read_as_the_whole(void **state)
{
	static const char alphabet[] = "a,,\"\"\"\n\n\r";
	uint64_t seed = 11;
	struct buf whole;
	struct buf pieces;

	(void)state;
	buf_init(&whole, 10000);
	buf_init(&pieces, 10000);
	for (int i = 0; i < UNIT_TIMES(200000); i++) {
		char text[25];
		size_t len = (size_t)(unit_random(&seed) % sizeof text);
		for (size_t c = 0; c < len; c++)
			text[c] = alphabet[unit_random(&seed) % (sizeof alphabet - 1)];
		text[len] = '\0';
		buf_reset(&whole);
		if (!render_piece(text, len, 1, &whole))
			continue;
		size_t given = (size_t)(unit_random(&seed) % (len + 1)); /* what was there when it was cut */
		struct csv_cut cut = {0};
		csv_cut(&cut, text, given, false);
		buf_reset(&pieces);
		assert_true(render_piece(text, cut.end, 1, &pieces));
		assert_true(render_piece(text + cut.end, len - cut.end, 1 + csv_count_lines(text, cut.end), &pieces));
		check_string(text, buf_peek(&pieces), buf_peek(&whole));
	}
	buf_release(&whole);
	buf_release(&pieces);
}

static void
lines_are_counted(void **state)
{
	(void)state;
	assert_int_equal(csv_count_lines("", 0), 0);
	assert_int_equal(csv_count_lines("a\nb\r\nc\rd", 8), 3);
	assert_int_equal(csv_count_lines("\r\r\n\n", 4), 3);
	assert_int_equal(csv_count_lines("a\r", 2), 1);
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
		TEST("a bare number is taken in one go, as cell and number are, and nothing else is", bare_numbers),
		TEST("a reading that resumes counts lines on and looks for no byte order mark", resumed),
		TEST("a growing text is cut behind its last whole row, never within quotes or between CR and LF", cuts),
		TEST("the pieces of a cut text read as the whole does, line numbers included", cut_pieces_read_as_the_whole),
		TEST("line ends are counted as the reader counts them", lines_are_counted),
	};

	return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
