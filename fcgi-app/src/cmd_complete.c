/* cmd_complete.c - futaie complete WORD…: what the last word of a command line may become, for fcgi-app/completion */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "cmd.h"
#include "model/store.h"

enum {
	OPERANDS_MAX = 8,    /* no subcommand has that many */
	SUMMARY_COLUMNS = 76 /* of a sentence beside a word */
};

/* A command line up to the cursor. All strings are those of argv. */
struct line {
	const struct options_table *table;
	const char *word;              /* that is being written */
	const char *value;             /* the part of it that an option's value is, or NULL */
	const struct options_row *row; /* whose value is being written, or NULL */
	const char *store;
	const char *operands[OPERANDS_MAX];
	size_t n_operands;
};

static bool
starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* Prints the `len` bytes of `head` and `candidate` where the word may become that, and of `about` the first sentence. */
static void
offer_behind(const struct line *line, const char *head, size_t len, const char *candidate, const char *about)
{
	const char *end = strstr(about, ". ");
	size_t n = end != NULL ? (size_t)(end - about) : strlen(about);

	if (end == NULL && n > 0 && about[n - 1] == '.')
		n--;
	if (n > SUMMARY_COLUMNS) {
		n = SUMMARY_COLUMNS;
		while (n > 0 && about[n] != ' ')
			n--;
	}
	if (strncmp(line->word, head, len) == 0 && starts_with(candidate, line->word + len))
		(void)printf("%.*s%s\t%.*s\n", (int)len, head, candidate, (int)n, about);
}

/* The same for the whole of the word, or for the value in it. */
static void
offer(const struct line *line, const char *candidate, const char *about)
{
	size_t head = line->value != NULL ? (size_t)(line->value - line->word) : 0;

	offer_behind(line, line->word, head, candidate, about);
}

static void
offer_commands(const struct line *line, const struct command *commands, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (commands[i].summary != NULL)
			offer(line, commands[i].name, commands[i].summary);
	offer(line, "--help", "list the subcommands");
	offer(line, "--version", "print the versions of futaie and libxgboost");
}

static void
offer_options(const struct line *line)
{
	char word[64];

	for (size_t i = 0; line->table != NULL && i < line->table->n_rows; i++) {
		(void)snprintf(word, sizeof word, "--%s", line->table->rows[i].name);
		offer(line, word, line->table->rows[i].help);
	}
	offer(line, "--help", "list the options");
}

static void
offer_actions(const struct line *line)
{
	struct options_action action;

	for (size_t i = 0; line->table->action(i, &action); i++)
		offer(line, action.name, action.summary);
}

static void
offer_names(const struct line *line, const struct store *store)
{
	char about[MANIFEST_VERSION_MAX + 16];

	for (size_t i = 0; i < store->n_models; i++) {
		const char *champion = store_alias(&store->models[i], "champion");
		(void)snprintf(about, sizeof about, "%s%s", champion != NULL ? "version " : "no champion",
					   champion != NULL ? champion : "");
		offer(line, store->models[i].name, about);
	}
}

/* The aliases of a model behind the first `len` bytes of the word. */
static void
offer_aliases(const struct line *line, size_t len, const struct store_model *m)
{
	char about[MANIFEST_VERSION_MAX + 16];

	for (size_t i = 0; i < m->n_aliases; i++) {
		(void)snprintf(about, sizeof about, "version %s", m->aliases[i].version);
		offer_behind(line, line->word, len, m->aliases[i].name, about);
	}
}

static void
offer_versions(const struct line *line, size_t len, const struct store_model *m)
{
	char number[MANIFEST_VERSION_MAX + 8];

	for (size_t i = m->n_versions; i-- > 0;) {
		(void)snprintf(number, sizeof number, "%ld", m->versions[i]);
		offer_behind(line, line->word, len, number, "");
	}
}

/* The model that the first `len` bytes of `text` name, or NULL. */
static const struct store_model *
find_model(const struct store *store, const char *text, size_t len)
{
	char name[MANIFEST_NAME_MAX];

	if (len >= sizeof name)
		return NULL;
	memcpy(name, text, len);
	name[len] = '\0';
	return store_find(store, name);
}

/* NAME, NAME@ALIAS or NAME/VERSION, as far as `kind` ("NAME[@ALIAS|/VERSION]") has them. */
static void
offer_specs(const struct line *line, const struct store *store, const char *kind, size_t kind_len)
{
	size_t name = strcspn(line->word, "@/");
	const struct store_model *m = find_model(store, line->word, name);

	if (line->word[name] == '\0' || line->value != NULL)
		offer_names(line, store);
	else if (m != NULL && line->word[name] == '@' && memchr(kind, '@', kind_len) != NULL)
		offer_aliases(line, name + 1, m);
	else if (m != NULL && line->word[name] == '/' && memchr(kind, '/', kind_len) != NULL)
		offer_versions(line, name + 1, m);
}

/* What stands where help and usage write `kind`: "FILE.csv", "DIR", "NAME[/VERSION]". */
static void
offer_kind(const struct line *line, const char *kind, size_t len)
{
	struct store store;
	struct err_info ignored;
	const char *model = line->n_operands > 0 ? line->operands[line->n_operands > 1 && line->table->action != NULL] : "";

	if (starts_with(kind, "FILE") || starts_with(kind, "PATH"))
		(void)printf(":files\n");
	if (starts_with(kind, "DIR"))
		(void)printf(":directories\n");
	if (starts_with(kind, "NAME=") || store_init(&store, line->store, &ignored) != ERR_OK)
		return;
	const struct store_model *m = store_find(&store, model);
	if (starts_with(kind, "NAME"))
		offer_specs(line, &store, kind, len);
	else if (m != NULL && starts_with(kind, "ALIAS"))
		offer_aliases(line, 0, m);
	else if (m != NULL && starts_with(kind, "VERSION"))
		offer_versions(line, 0, m);
	store_release(&store);
}

static void
offer_values(const struct line *line)
{
	const struct options_row *row = line->row;

	if (row->type == OPTIONS_CHOICE)
		for (size_t i = 0; row->choices[i] != NULL; i++)
			offer(line, row->choices[i], "");
	else
		offer_kind(line, row->value, strlen(row->value));
}

/* The operands that the subcommand takes, "NAME [FILE]", and in `*first` which of the line's is the first of them; NULL without any. */
static const char *
find_operands(const struct line *line, size_t *first)
{
	struct options_action action;

	*first = 0;
	if (line->table->action == NULL)
		return line->table->operands;
	*first = 1;
	for (size_t i = 0; line->table->action(i, &action); i++)
		if (strcmp(action.name, line->operands[0]) == 0)
			return action.operands;
	return NULL;
}

static void
offer_operands(const struct line *line)
{
	size_t at;

	if (line->table->action != NULL && line->n_operands == 0) {
		offer_actions(line);
		return;
	}
	const char *kind = find_operands(line, &at);
	for (; kind != NULL && *kind != '\0'; at++) {
		size_t len = strcspn(kind, " ");
		if (at == line->n_operands) {
			bool optional = *kind == '[';
			offer_kind(line, kind + optional, len - optional);
			return;
		}
		kind += len + strspn(kind + len, " ");
	}
}

/* Takes in one of the words before the last; true where the next one is its value. */
static bool
take_word(struct line *line, const char *word)
{
	const char *value = NULL;

	if (word[0] != '-' || word[1] == '\0') {
		if (line->n_operands < OPERANDS_MAX)
			line->operands[line->n_operands++] = word;
		return false;
	}
	line->row = options_match(line->table, word, &value);
	if (line->row != NULL && value != NULL && strcmp(line->row->name, "models") == 0)
		line->store = value;
	return line->row != NULL && line->row->type != OPTIONS_FLAG && value == NULL;
}

/* Reads the words behind the subcommand; the last one is being written. */
static void
read_line(struct line *line, int argc, char **argv)
{
	bool expects_value = false;

	for (int i = 0; i < argc - 1; i++) {
		if (expects_value && strcmp(line->row->name, "models") == 0)
			line->store = argv[i];
		expects_value = !expects_value && take_word(line, argv[i]);
	}
	line->word = argv[argc - 1];
	if (expects_value) {
		line->value = line->word;
		return;
	}
	line->row = line->word[0] == '-' ? options_match(line->table, line->word, &line->value) : NULL;
	if (line->value == NULL)
		line->row = NULL;
}

int
cmd_complete(const struct command *commands, size_t n_commands, int argc, char **argv)
{
	struct line line = {.word = argc > 1 ? argv[argc - 1] : ""};

	if (argc <= 2) {
		offer_commands(&line, commands, n_commands);
		return EXIT_DONE;
	}
	line.table = cmd_options_find(argv[1]);
	if (line.table == NULL) {
		offer(&line, "--help", "say how it is used");
		return EXIT_DONE;
	}
	line.store = "models";
	read_line(&line, argc - 2, argv + 2);
	if (line.row != NULL)
		offer_values(&line);
	else if (line.word[0] == '-')
		offer_options(&line);
	else
		offer_operands(&line);
	return EXIT_DONE;
}
