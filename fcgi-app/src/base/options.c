/* options.c - one table drives command line, configuration file, --help, man page and sample file */
#include "base/options.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/files.h"
#include "base/text.h"

enum { FILE_MAX = 64 * 1024, LINE_MAX_BYTES = 4096, HELP_COLUMNS = 100, HELP_INDENT = 30 };

static enum err set_value(const struct options_row *row, void *values, const char *text, struct err_info *info);
static const struct options_row *find(const struct options_table *table, const char *name, size_t len);

void
options_init(const struct options_table *table, void *values)
{
	struct err_info info;

	for (size_t i = 0; i < table->n_rows; i++)
		if (table->rows[i].type == OPTIONS_LINES)
			*((char *)values + table->rows[i].offset) = '\0';
		else if (set_value(&table->rows[i], values, table->rows[i].initial, &info) != ERR_OK) {
			(void)fprintf(stderr, "futaie: the default of --%s is wrong: %s\n", table->rows[i].name, info.text);
			abort(); /* a mistake in the table, found by the first test that runs */
		}
}

const struct options_row *
options_match(const struct options_table *table, const char *word, const char **value)
{
	*value = NULL;
	if (word[1] == '-') {
		size_t len = strcspn(word + 2, "=");
		if (word[2 + len] == '=')
			*value = word + 2 + len + 1;
		return find(table, word + 2, len);
	}
	for (size_t i = 0; i < table->n_rows; i++)
		if (word[1] == table->rows[i].letter && word[2] == '\0')
			return &table->rows[i];
	return NULL;
}

/* Takes the option at argv[*i] with its value. */
static enum err
take_option(const struct options_table *table, void *values, int argc, char **argv, int *i, struct err_info *info)
{
	const char *value;
	const char *word = argv[*i];
	const struct options_row *row = options_match(table, word, &value);

	if (row == NULL)
		return err_set(info, ERR_USAGE, "unknown option %.100s; futaie %s --help lists them", word, table->command);
	if (row->type == OPTIONS_FLAG) {
		if (value != NULL)
			return err_set(info, ERR_USAGE, "--%s takes no value", row->name);
		value = "yes";
	} else if (value == NULL) {
		if (*i + 1 >= argc)
			return err_set(info, ERR_USAGE, "--%s needs a value: --%s %s", row->name, row->name, row->value);
		value = argv[++*i];
	}
	return set_value(row, values, value, info);
}

enum err
options_argv(const struct options_table *table, void *values, int argc, char **argv, bool *help, int *n_operands,
			 struct err_info *info)
{
	bool only_operands = false;

	*help = false;
	*n_operands = 0;
	for (int i = 0; i < argc; i++) {
		char *word = argv[i];
		if (only_operands || word[0] != '-' || word[1] == '\0') {
			argv[(*n_operands)++] = word;
		} else if (strcmp(word, "--") == 0) {
			only_operands = true;
		} else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			*help = true;
			return ERR_OK;
		} else {
			enum err e = take_option(table, values, argc, argv, &i, info);
			if (e != ERR_OK)
				return e;
		}
	}
	return ERR_OK;
}

/* Cuts the blanks off both ends, in place. */
static char *
trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/* One line of the file, without its line end. */
static enum err
take_line(const struct options_table *table, void *values, char *line, struct err_info *info)
{
	char *name = trim(line);
	char *equals = strchr(name, '=');

	if (*name == '\0' || *name == '#')
		return ERR_OK;
	if (equals == NULL)
		return err_set(info, ERR_USAGE, "expected \"name = value\", found \"%.60s\"", name);
	*equals = '\0';
	name = trim(name);
	const struct options_row *row = find(table, name, strlen(name));
	if (row == NULL || row->place == OPTIONS_COMMAND_LINE)
		return err_set(info, ERR_USAGE, "unknown option \"%.60s\"; futaie %s --help lists them", name, table->command);
	return set_value(row, values, trim(equals + 1), info);
}

enum err
options_file(const struct options_table *table, void *values, const char *path, struct err_info *info)
{
	struct buf text;
	struct err_info inner;
	unsigned number = 1;

	buf_init(&text, FILE_MAX);
	enum err e = files_read(path, &text, info);
	if (e != ERR_OK)
		goto out;
	for (size_t start = 0; start < text.len; number++) {
		char line[LINE_MAX_BYTES];
		const char *from = text.data + start;
		const char *newline = memchr(from, '\n', text.len - start);
		size_t len = newline != NULL ? (size_t)(newline - from) : text.len - start;
		start += len + 1;
		if (len >= sizeof line || memchr(from, '\0', len) != NULL) {
			e = err_set(info, ERR_USAGE, "%s:%u: the line is too long or holds a NUL", path, number);
			goto out;
		}
		memcpy(line, from, len);
		line[len] = '\0';
		e = take_line(table, values, line, &inner);
		if (e != ERR_OK) {
			e = err_set(info, e, "%s:%u: %s", path, number, inner.text);
			goto out;
		}
	}
out:
	buf_release(&text);
	return e;
}

/* Writes `text` in lines of at most HELP_COLUMNS, each after the first behind `indent` blanks and `prefix`. */
static void
print_wrapped(FILE *out, const char *text, size_t column, int indent, const char *prefix)
{
	const char *separator = "";

	while (*text != '\0') {
		size_t len = strcspn(text, " ");
		if (column + strlen(separator) + len > HELP_COLUMNS) {
			(void)fprintf(out, "\n%*s%s", indent, "", prefix);
			column = (size_t)indent + strlen(prefix);
			separator = "";
		}
		(void)fprintf(out, "%s%.*s", separator, (int)len, text);
		column += strlen(separator) + len;
		separator = " ";
		text += len + (text[len] == ' ');
	}
}

/* " From 1 to 256.", " One of all, errors.", or nothing. */
static void
describe_range(const struct options_row *row, char *text, size_t cap)
{
	text[0] = '\0';
	if (row->type == OPTIONS_INTEGER)
		(void)snprintf(text, cap, " From %lld to %lld.", row->min, row->max);
	if (row->type == OPTIONS_SHARE)
		(void)snprintf(text, cap, " From 0 to 1.");
	for (size_t i = 0; row->type == OPTIONS_CHOICE && row->choices[i] != NULL; i++) {
		size_t n = strlen(text);
		(void)snprintf(text + n, cap - n, "%s%s", i == 0 ? " One of " : ", ", row->choices[i]);
	}
	if (row->type == OPTIONS_CHOICE)
		(void)snprintf(text + strlen(text), cap - strlen(text), ".");
}

/* The help with range and default behind it. */
static void
describe(const struct options_row *row, char *text, size_t cap)
{
	char range[128];

	describe_range(row, range, sizeof range);
	(void)snprintf(text, cap, "%s%s", row->help, range);
	if (row->type != OPTIONS_FLAG && row->type != OPTIONS_LINES && row->initial[0] != '\0')
		(void)snprintf(text + strlen(text), cap - strlen(text), " Default: %s.", row->initial);
}

void
options_print_help(const struct options_table *table, FILE *out)
{
	(void)fprintf(out, "usage: futaie %s%s%s\n\n", table->command, table->synopsis[0] != '\0' ? " " : "", table->synopsis);
	print_wrapped(out, table->summary, 0, 0, "");
	(void)fprintf(out, "\n\n");
	for (size_t i = 0; i < table->n_rows; i++) {
		const struct options_row *row = &table->rows[i];
		char text[1024];
		char left[64];
		int n = snprintf(left, sizeof left, "  %c%c%s--%s%s%s", row->letter ? '-' : ' ', row->letter ? row->letter : ' ',
						 row->letter ? ", " : "  ", row->name, row->type == OPTIONS_FLAG ? "" : " ",
						 row->type == OPTIONS_FLAG ? "" : row->value);
		(void)fprintf(out, "%-*s", HELP_INDENT, left);
		if (n >= HELP_INDENT)
			(void)fprintf(out, "\n%*s", HELP_INDENT, "");
		describe(row, text, sizeof text);
		print_wrapped(out, text, HELP_INDENT, HELP_INDENT, "");
		(void)fputc('\n', out);
	}
	(void)fprintf(out, "  -h, --help%*sThis text.\n", HELP_INDENT - 12, "");
}

void
options_print_mdoc(const struct options_table *table, FILE *out)
{
	(void)fprintf(out, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < table->n_rows; i++) {
		const struct options_row *row = &table->rows[i];
		char text[1024];
		(void)fprintf(out, ".It ");
		if (row->letter != 0)
			(void)fprintf(out, "Fl %c , ", row->letter);
		(void)fprintf(out, "Fl Fl %s", row->name);
		if (row->type != OPTIONS_FLAG)
			(void)fprintf(out, " Ar %s", row->value);
		describe(row, text, sizeof text);
		(void)fprintf(out, "\n");
		for (const char *p = text; *p != '\0'; p++) { /* mdoc wants each sentence on a line of its own */
			(void)fputc(*p, out);
			if (*p == '.' && p[1] == ' ') {
				(void)fputc('\n', out);
				p++;
			}
		}
		(void)fputc('\n', out);
	}
	(void)fprintf(out, ".El\n");
}

void
options_print_conf(const struct options_table *table, FILE *out)
{
	(void)fprintf(out, "# futaie.conf - configuration of futaie %s; see futaie-%s(1)\n", table->command, table->command);
	(void)fprintf(out, "#\n# Every option with its default. The command line has the last word.\n");
	for (size_t i = 0; i < table->n_rows; i++) {
		const struct options_row *row = &table->rows[i];
		char text[1024];
		if (row->place == OPTIONS_COMMAND_LINE)
			continue;
		describe(row, text, sizeof text);
		(void)fprintf(out, "\n# ");
		print_wrapped(out, text, 2, 0, "# ");
		(void)fprintf(out, "\n#%s =%s%s\n", row->name, row->initial[0] != '\0' ? " " : "", row->initial);
	}
}

static const struct options_row *
find(const struct options_table *table, const char *name, size_t len)
{
	for (size_t i = 0; i < table->n_rows; i++)
		if (strlen(table->rows[i].name) == len && memcmp(table->rows[i].name, name, len) == 0)
			return &table->rows[i];
	return NULL;
}

static enum err
set_choice(const struct options_row *row, int *value, const char *text, struct err_info *info)
{
	char range[128];

	for (int i = 0; row->choices[i] != NULL; i++)
		if (strcmp(row->choices[i], text) == 0) {
			*value = i;
			return ERR_OK;
		}
	describe_range(row, range, sizeof range);
	return err_set(info, ERR_USAGE, "%s cannot be \"%.60s\".%s", row->name, text, range);
}

/* Adds a line, behind those that are there; the default is none. */
static enum err
add_line(const struct options_row *row, char *lines, const char *text, struct err_info *info)
{
	size_t len = strlen(lines);

	if (strlen(text) + 1 >= row->cap - len)
		return err_set(info, ERR_USAGE, "%s stands too often: at most %zu bytes in all", row->name, row->cap - 1);
	(void)snprintf(lines + len, row->cap - len, "%s\n", text);
	return ERR_OK;
}

/* A plain decimal such as 0.05, read independently of the locale. */
static enum err
set_share(const struct options_row *row, double *value, const char *text, struct err_info *info)
{
	const char *end = text + strlen(text);
	const char *after;
	float share;

	if (text_float(text, end, TEXT_CSV, &share, &after) != TEXT_OK || after != end || !(share >= 0 && share <= 1))
		return err_set(info, ERR_USAGE, "%s must be a number from 0 to 1, such as 0.05, not \"%.60s\"", row->name, text);
	*value = (double)share;
	return ERR_OK;
}

static enum err
set_value(const struct options_row *row, void *values, const char *text, struct err_info *info)
{
	void *value = (char *)values + row->offset;

	switch (row->type) {
	case OPTIONS_TEXT:
		if (strlen(text) >= row->cap)
			return err_set(info, ERR_USAGE, "%s is too long: at most %zu bytes", row->name, row->cap - 1);
		memcpy(value, text, strlen(text) + 1);
		return ERR_OK;
	case OPTIONS_LINES:
		return add_line(row, value, text, info);
	case OPTIONS_INTEGER:
		if (!text_integer(text, row->min, row->max, value))
			return err_set(info, ERR_USAGE, "%s must be a whole number from %lld to %lld, not \"%.60s\"", row->name, row->min,
						   row->max, text);
		return ERR_OK;
	case OPTIONS_CHOICE:
		return set_choice(row, value, text, info);
	case OPTIONS_SHARE:
		return set_share(row, value, text, info);
	case OPTIONS_FLAG:
		if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
			return err_set(info, ERR_USAGE, "%s must be yes or no, not \"%.60s\"", row->name, text);
		*(bool *)value = text[0] == 'y';
		return ERR_OK;
	}
	return ERR_OK;
}
