/* test_options.c - tests of base/options: command line, configuration file, and the sample file of futaie serve */
#include "base/options.h"

#include <unistd.h>

#include "cmd.h"
#include "folder.h"

#define SAMPLE "fcgi-app/etc/futaie.conf"

struct values {
	char name[8];
	char secret[8];
	long long count;
	int color;
	bool loud;
};

static const char *const colors[] = {"red", "green", NULL};

static const struct options_row table_rows[] = {
	{"name", 'n', OPTIONS_TEXT, OPTIONS_ANYWHERE, offsetof(struct values, name), sizeof(((struct values *)0)->name), 0, 0, NULL,
	 "x", "NAME", "A name. Two sentences."},
	{"secret", 0, OPTIONS_TEXT, OPTIONS_COMMAND_LINE, offsetof(struct values, secret), sizeof(((struct values *)0)->secret), 0, 0,
	 NULL, "", "WORD", "Not for files."},
	{"count", 0, OPTIONS_INTEGER, OPTIONS_ANYWHERE, offsetof(struct values, count), 0, -5, 10, NULL, "3", "N", "How many."},
	{"color", 'c', OPTIONS_CHOICE, OPTIONS_ANYWHERE, offsetof(struct values, color), 0, 0, 0, colors, "green", "COLOR", "Which."},
	{"loud", 'l', OPTIONS_FLAG, OPTIONS_ANYWHERE, offsetof(struct values, loud), 0, 0, 0, NULL, "no", "", "Whether."},
};

static const struct options_table table = {.command = "try",
										   .synopsis = "[OPTIONS]",
										   .summary = "Tries.",
										   .rows = table_rows,
										   .n_rows = sizeof table_rows / sizeof table_rows[0]};

/* Reads the words of `line`, separated by blanks, into `v`; operands are joined again in `operands`. */
static enum err
argv_line(const char *line, struct values *v, bool *help, char *operands, size_t cap, struct err_info *info)
{
	char words[256];
	char *argv[32];
	int argc = 0;
	int n_operands = 0;

	(void)snprintf(words, sizeof words, "%s", line);
	for (char *p = words, *word; (word = strsep(&p, " ")) != NULL;)
		if (p != NULL || *word != '\0' || argc > 0)
			argv[argc++] = word;
	enum err e = options_argv(&table, v, argc, argv, help, &n_operands, info);
	operands[0] = '\0';
	for (int i = 0; e == ERR_OK && !*help && i < n_operands; i++) {
		size_t n = strlen(operands);
		(void)snprintf(operands + n, cap - n, "%s%s", i == 0 ? "" : " ", argv[i]);
	}
	return e;
}

/* All values in one text. */
static const char *
shown(const struct values *v)
{
	static char text[128];

	(void)snprintf(text, sizeof text, "%s/%s/%lld/%d/%d", v->name, v->secret, v->count, v->color, v->loud);
	return text;
}

static void
defaults(void **state)
{
	struct values v;

	(void)state;
	memset(&v, 0x55, sizeof v);
	options_init(&table, &v);
	assert_string_equal(shown(&v), "x//3/1/0");
}

static void
command_lines(void **state)
{
	static const struct {
		const char *line;
		const char *values;
		const char *operands;
	} rows[] = {
		{"", "x//3/1/0", ""},
		{"--name abc", "abc//3/1/0", ""},
		{"--name=abc", "abc//3/1/0", ""},
		{"--name=", "//3/1/0", ""},
		{"--name=a=b", "a=b//3/1/0", ""},
		{"-n abc", "abc//3/1/0", ""},
		{"--name --loud", "--loud//3/1/0", ""},
		{"--secret s", "x/s/3/1/0", ""},
		{"--count -5", "x//-5/1/0", ""},
		{"--count=10", "x//10/1/0", ""},
		{"--color red --loud", "x//3/0/1", ""},
		{"-c red -l", "x//3/0/1", ""},
		{"--count 1 --count 2", "x//2/1/0", ""},
		{"one --count 1 two", "x//1/1/0", "one two"},
		{"-", "x//3/1/0", "-"},
		{"--", "x//3/1/0", ""},
		{"-- --count 1 --help", "x//3/1/0", "--count 1 --help"},
		{"--count 1 -- -- -l", "x//1/1/0", "-- -l"},
		{"--name --", "--//3/1/0", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct values v;
		struct err_info info;
		bool help = true;
		char operands[128];
		options_init(&table, &v);
		check_err(rows[i].line, argv_line(rows[i].line, &v, &help, operands, sizeof operands, &info), ERR_OK, &info);
		check_string(rows[i].line, shown(&v), rows[i].values);
		check_string(rows[i].line, operands, rows[i].operands);
		check_integer(rows[i].line, help, false);
	}
}

static void
wrong_command_lines(void **state)
{
	static const struct {
		const char *line;
		const char *sentence;
	} rows[] = {
		{"--nam x", "unknown option --nam; futaie try --help lists them"},
		{"--names x", "unknown option --names; futaie try --help lists them"},
		{"--Name x", "unknown option --Name; futaie try --help lists them"},
		{"--=x", "unknown option --=x; futaie try --help lists them"},
		{"-x", "unknown option -x; futaie try --help lists them"},
		{"-nabc", "unknown option -nabc; futaie try --help lists them"},
		{"-lc red", "unknown option -lc; futaie try --help lists them"},
		{"-name abc", "unknown option -name; futaie try --help lists them"},
		{"--name", "--name needs a value: --name NAME"},
		{"--loud -n", "--name needs a value: --name NAME"},
		{"--loud=yes", "--loud takes no value"},
		{"--loud=", "--loud takes no value"},
		{"--name 12345678", "name is too long: at most 7 bytes"},
		{"--count 11", "count must be a whole number from -5 to 10, not \"11\""},
		{"--count -6", "count must be a whole number from -5 to 10, not \"-6\""},
		{"--count=", "count must be a whole number from -5 to 10, not \"\""},
		{"--count 1.5", "count must be a whole number from -5 to 10, not \"1.5\""},
		{"--count 99999999999999999999", "count must be a whole number from -5 to 10, not \"99999999999999999999\""},
		{"--count --loud", "count must be a whole number from -5 to 10, not \"--loud\""},
		{"--color blue", "color cannot be \"blue\". One of red, green."},
		{"--color Red", "color cannot be \"Red\". One of red, green."},
		{"--color=", "color cannot be \"\". One of red, green."},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct values v;
		struct err_info info;
		bool help;
		char operands[128];
		options_init(&table, &v);
		check_err(rows[i].line, argv_line(rows[i].line, &v, &help, operands, sizeof operands, &info), ERR_USAGE, &info);
		check_string(rows[i].line, info.text, rows[i].sentence);
	}
}

static void
shares(void **state)
{
	static const struct options_row row = {
		.name = "part", .type = OPTIONS_SHARE, .initial = "0.25", .value = "SHARE", .help = "How much."};
	static const struct options_table one = {.command = "try", .synopsis = "", .summary = "Tries.", .rows = &row, .n_rows = 1};
	static const struct {
		const char *text;
		double value; /* -1: refused */
	} cases[] = {{"0", 0},     {"1", 1},     {"0.5", 0.5},     {".5", 0.5},  {"5e-1", 0.5}, {"1.0", 1},
				 {"1.01", -1}, {"-0.1", -1}, {"", -1},         {"0,5", -1},  {"x", -1},     {"0.5x", -1},
				 {"50%", -1},  {"NaN", -1},  {"Infinity", -1}, {" 0.5", -1}, {"1e999", -1}, {"1e-999", 0}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err_info info;
		double value = -2;
		char text[32];
		char *argv[] = {(char[]){"--part"}, text};
		bool help;
		int n_operands;
		(void)snprintf(text, sizeof text, "%s", cases[i].text);
		options_init(&one, &value);
		assert_true(value == 0.25);
		check_err(text, options_argv(&one, &value, 2, argv, &help, &n_operands, &info), cases[i].value < 0 ? ERR_USAGE : ERR_OK,
				  &info);
		if (cases[i].value < 0)
			check_contains(text, info.text, "part must be a number from 0 to 1, such as 0.05, not \"");
		else
			check_integer(text, value == cases[i].value, true);
	}
}

static void
help_wins(void **state)
{
	static const char *const lines[] = {"--help", "-h", "--count 1 --help", "one --help --unknown", "-h --count x"};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct values v;
		struct err_info info;
		bool help = false;
		char operands[128];
		options_init(&table, &v);
		check_err(lines[i], argv_line(lines[i], &v, &help, operands, sizeof operands, &info), ERR_OK, &info);
		check_integer(lines[i], help, true);
	}
}

static enum err
file_text(const char *text, size_t len, struct values *v, struct err_info *info)
{
	folder_write_bytes(folder_path("f.conf"), text, len);
	options_init(&table, v);
	return options_file(&table, v, folder_path("f.conf"), info);
}

static void
files(void **state)
{
	static const struct {
		const char *text;
		const char *values;
	} rows[] = {
		{"", "x//3/1/0"},
		{"\n\n# a comment\n  # another\n \t\n", "x//3/1/0"},
		{"name = abc\n", "abc//3/1/0"},
		{"name=abc", "abc//3/1/0"},
		{"  name\t=  abc  \r\ncount = -1\r\n", "abc//-1/1/0"},
		{"name = a # b\n", "a # b//3/1/0"},
		{"name = a = b\n", "a = b//3/1/0"},
		{"name =\n", "//3/1/0"},
		{"color = red\ncolor = green\ncolor = red\n", "x//3/0/0"},
		{"loud = yes\n", "x//3/1/1"},
		{"loud = yes\nloud = no\n", "x//3/1/0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct values v;
		struct err_info info;
		check_err(rows[i].text, file_text(rows[i].text, strlen(rows[i].text), &v, &info), ERR_OK, &info);
		check_string(rows[i].text, shown(&v), rows[i].values);
	}
}

static void
wrong_files(void **state)
{
	static const struct {
		const char *text;
		const char *sentence;
	} rows[] = {
		{"nam = x\n", "/f.conf:1: unknown option \"nam\"; futaie try --help lists them"},
		{"\n# c\nname = a\n--name = x\n", "/f.conf:4: unknown option \"--name\"; futaie try --help lists them"},
		{"secret = s\n", "/f.conf:1: unknown option \"secret\"; futaie try --help lists them"},
		{"n = x\n", "/f.conf:1: unknown option \"n\"; futaie try --help lists them"},
		{"help = yes\n", "/f.conf:1: unknown option \"help\"; futaie try --help lists them"},
		{"= x\n", "/f.conf:1: unknown option \"\"; futaie try --help lists them"},
		{"name\n", "/f.conf:1: expected \"name = value\", found \"name\""},
		{"name abc\n", "/f.conf:1: expected \"name = value\", found \"name abc\""},
		{"count = 1\r\ncount = 11\r\n", "/f.conf:2: count must be a whole number from -5 to 10, not \"11\""},
		{"color = blue", "/f.conf:1: color cannot be \"blue\". One of red, green."},
		{"name = 12345678\n", "/f.conf:1: name is too long: at most 7 bytes"},
		{"loud = maybe\n", "/f.conf:1: loud "},
		{"loud =\n", "/f.conf:1: loud "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct values v;
		struct err_info info;
		check_err(rows[i].text, file_text(rows[i].text, strlen(rows[i].text), &v, &info), ERR_USAGE, &info);
		check_contains(rows[i].text, info.text, rows[i].sentence);
		check_contains(rows[i].text, info.text, folder);
	}
}

static void
broken_files(void **state)
{
	struct values v;
	struct err_info info;
	char line[5001];

	(void)state;
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	assert_err(file_text(line, strlen(line), &v, &info), ERR_USAGE, &info);
	assert_contains(info.text, "/f.conf:1: the line is too long or holds a NUL");
	assert_err(file_text("a\0b", 3, &v, &info), ERR_USAGE, &info);
	assert_contains(info.text, "/f.conf:1: the line is too long or holds a NUL");
	assert_err(file_text("name = a\ncolor = red\0\n", 22, &v, &info), ERR_USAGE, &info);
	assert_contains(info.text, "/f.conf:2: the line is too long or holds a NUL");
	assert_err(options_file(&table, &v, folder_path("none"), &info), ERR_FILE, &info);
	assert_contains(info.text, "/none: cannot open");
	assert_err(options_file(&table, &v, folder, &info), ERR_FILE, &info);
	char *large = calloc(1, 100000);
	memset(large, '\n', 99999);
	assert_err(file_text(large, 99999, &v, &info), ERR_FILE, &info);
	free(large);
}

static void
command_line_has_the_last_word(void **state)
{
	struct values v;
	struct err_info info;
	bool help;
	char operands[8];

	(void)state;
	assert_err(file_text("name = file\ncount = 7\n", 22, &v, &info), ERR_OK, &info);
	assert_err(argv_line("--count 8", &v, &help, operands, sizeof operands, &info), ERR_OK, &info);
	assert_string_equal(shown(&v), "file//8/1/0");
}

/* What a printer of options prints; the caller frees it. */
static char *
printed(void (*print)(const struct options_table *, FILE *), const struct options_table *t)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	print(t, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void
printed_help(void **state)
{
	char *text = printed(options_print_help, &table);

	(void)state;
	assert_contains(text, "usage: futaie try [OPTIONS]\n\nTries.\n");
	assert_contains(text, "  -n, --name NAME             A name. Two sentences. Default: x.\n");
	assert_contains(text, "      --secret WORD           Not for files.\n");
	assert_contains(text, "      --count N               How many. From -5 to 10. Default: 3.\n");
	assert_contains(text, "  -c, --color COLOR           Which. One of red, green. Default: green.\n");
	assert_contains(text, "  -l, --loud                  Whether.\n");
	assert_contains(text, "  -h, --help                  This text.\n");
	free(text);
}

static void
printed_mdoc(void **state)
{
	char *text = printed(options_print_mdoc, &table);

	(void)state;
	assert_contains(text, ".Bl -tag -width Ds\n.It Fl n , Fl Fl name Ar NAME\nA name.\nTwo sentences.\nDefault: x.\n");
	assert_contains(text, ".It Fl l , Fl Fl loud\nWhether.\n.El\n");
	free(text);
}

static void
printed_conf(void **state)
{
	char *text = printed(options_print_conf, &table);

	(void)state;
	assert_contains(text, "# A name. Two sentences. Default: x.\n#name = x\n");
	assert_contains(text, "#count = 3\n");
	assert_null(strstr(text, "secret"));
	free(text);
}

/* Lines that users see have no blanks at their ends and are not too wide. */
static void
printed_lines(void **state)
{
	static void (*const prints[])(const struct options_table *, FILE *) = {options_print_help, options_print_conf};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *text = printed(prints[i], &serve_options);
		for (const char *line = text; *line != '\0';) {
			size_t len = strcspn(line, "\n");
			char row[256];
			(void)snprintf(row, sizeof row, "%.*s", (int)len, line);
			check_integer(row, len <= 100, true);
			if (len > 0)
				check_integer(row, line[len - 1] != ' ', true);
			line += len + (line[len] != '\0');
		}
		free(text);
	}
}

/* The size of the values of a table whose struct is not known here. */
static size_t
values_size(const struct options_table *t)
{
	size_t size = 0;

	for (size_t i = 0; i < t->n_rows; i++) {
		size_t end = t->rows[i].offset + (t->rows[i].type == OPTIONS_TEXT ? t->rows[i].cap : sizeof(long long));
		size = end > size ? end : size;
	}
	return size;
}

static void
sample_names_every_option(void **state)
{
	char *text = folder_read(SAMPLE, NULL);

	(void)state;
	for (size_t i = 0; i < serve_options.n_rows; i++) {
		const struct options_row *row = &serve_options.rows[i];
		char line[128];
		(void)snprintf(line, sizeof line, "\n#%s =%s%s\n", row->name, row->initial[0] != '\0' ? " " : "", row->initial);
		check_integer(row->name, strstr(text, line) != NULL, row->place == OPTIONS_ANYWHERE);
	}
	free(text);
}

/* Takes the # off each "#name = value", and only there. */
static void
uncomment(char *text)
{
	char *to = text;

	for (const char *p = text; *p != '\0';) {
		size_t len = strcspn(p, "\n") + 1;
		bool option = p[0] == '#' && p[1] != ' ' && p[1] != '\n';
		memmove(to, p + option, len - option);
		to += len - option;
		p += len;
	}
	*to = '\0';
}

static void
sample_gives_the_defaults(void **state)
{
	size_t size = values_size(&serve_options);
	unsigned char *expected = calloc(2, size);
	unsigned char *got = expected + size;
	struct err_info info;
	char *text = folder_read(SAMPLE, NULL);

	(void)state;
	uncomment(text);
	assert_contains(text, "\nthreads = 0\n");
	folder_write(folder_path("f.conf"), text);
	options_init(&serve_options, expected);
	for (size_t i = 0; i < serve_options.n_rows; i++) { /* other than any default */
		const struct options_row *row = &serve_options.rows[i];
		if (row->place == OPTIONS_ANYWHERE)
			memset(got + row->offset, 0x55, row->type == OPTIONS_TEXT ? row->cap : sizeof(int));
		else
			memcpy(got + row->offset, expected + row->offset, row->type == OPTIONS_TEXT ? row->cap : sizeof(bool));
	}
	assert_err(options_file(&serve_options, got, folder_path("f.conf"), &info), ERR_OK, &info);
	for (size_t i = 0; i < serve_options.n_rows; i++) {
		const struct options_row *row = &serve_options.rows[i];
		if (row->type == OPTIONS_TEXT)
			check_string(row->name, (const char *)got + row->offset, (const char *)expected + row->offset);
		else if (row->type == OPTIONS_CHOICE)
			check_integer(row->name, memcmp(got + row->offset, expected + row->offset, sizeof(int)), 0);
		else if (row->type == OPTIONS_INTEGER)
			check_integer(row->name, memcmp(got + row->offset, expected + row->offset, sizeof(long long)), 0);
		else if (row->type == OPTIONS_SHARE)
			check_integer(row->name, memcmp(got + row->offset, expected + row->offset, sizeof(double)), 0);
	}
	free(text);
	free(expected);
}

static void
sample_is_as_printed(void **state)
{
	char *text = folder_read(SAMPLE, NULL);
	char *expected = printed(options_print_conf, &serve_options);

	(void)state;
	assert_string_equal(text, expected);
	free(text);
	free(expected);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("every option has its default", defaults),
		TEST("options are read as --name value, --name=value or -x, and operands are told apart", command_lines),
		TEST("unknown names, missing values and values out of range are refused in a sentence", wrong_command_lines),
		TEST("a share is a number from 0 to 1", shares),
		TEST("--help and -h end the reading", help_wins),
		TEST_WITH("a file has name = value lines, empty lines and comments", files, folder_setup, folder_teardown),
		TEST_WITH("what is wrong in a file is told with file and line", wrong_files, folder_setup, folder_teardown),
		TEST_WITH("a file that is missing, too large, or has NULs or endless lines is refused", broken_files, folder_setup,
				  folder_teardown),
		TEST_WITH("the command line has the last word", command_line_has_the_last_word, folder_setup, folder_teardown),
		TEST("the help shows every option with range and default", printed_help),
		TEST("the manual page has a sentence a line", printed_mdoc),
		TEST("the sample file shows what may stand in a file, with its default", printed_conf),
		TEST("the help and the sample file have no blanks at line ends and no line over 100 bytes", printed_lines),
		TEST("futaie.conf names every option that may stand in it, and no other", sample_names_every_option),
		TEST_WITH("futaie.conf with every line taken in gives the defaults", sample_gives_the_defaults, folder_setup,
				  folder_teardown),
		TEST("futaie.conf is what the option table prints", sample_is_as_printed),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
