/* options.h - one table drives command line, configuration file, --help, man page and sample file */
#ifndef FUTAIE_OPTIONS_H
#define FUTAIE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

enum options_type {
	OPTIONS_TEXT,    /* char[cap] in the struct */
	OPTIONS_INTEGER, /* long long */
	OPTIONS_CHOICE,  /* int: index into `choices` */
	OPTIONS_FLAG,    /* bool; takes no value */
	OPTIONS_LINES,   /* char[cap]; may stand several times: each adds a line */
	OPTIONS_SHARE    /* double, 0 to 1 */
};

/* Where an option may stand. */
enum options_place {
	OPTIONS_ANYWHERE,    /* command line and configuration file */
	OPTIONS_COMMAND_LINE /* only there */
};

struct options_row {
	const char *name; /* without the dashes; also the name in the file */
	char letter;      /* one-letter form, or 0 */
	enum options_type type;
	enum options_place place;
	size_t offset; /* of the value in the subcommand's struct */
	size_t cap;    /* OPTIONS_TEXT, OPTIONS_LINES: size of the array */
	long long min; /* OPTIONS_INTEGER */
	long long max;
	const char *const *choices; /* OPTIONS_CHOICE: names, ended by NULL */
	const char *initial;        /* default, as a user would write it */
	const char *value;          /* what stands for the value in the help: "DIR", "N" */
	const char *help;           /* one or more sentences, no line breaks */
};

/* A word that a subcommand's first operand may be: "promote". All strings are static. */
struct options_action {
	const char *name;
	const char *operands; /* that follow: "NAME VERSION" */
	const char *summary;
};

/* What a subcommand takes. All strings are static. */
struct options_table {
	const char *command;  /* "serve" */
	const char *synopsis; /* "[--socket PATH|HOST:PORT] …" */
	const char *summary;  /* one sentence */
	const struct options_row *rows;
	size_t n_rows;
	const char *operands;                                 /* "NAME[@ALIAS|/VERSION] [FILE]"; NULL without any, or with actions */
	bool (*action)(size_t i, struct options_action *out); /* the i-th; false behind the last. NULL without any */
};

/* Sets every value of `values` (the subcommand's struct) to its default. */
void options_init(const struct options_table *table, void *values);

/*
 * Reads the arguments behind the subcommand into `values`; options may be written "--name value" or "--name=value". With `--help` (or -h)
 * among them, `*help` is set and nothing else matters. Operands (words without a dash, or behind "--") are moved to the front of
 * argv and counted in `*n_operands`. ERR_USAGE with a sentence for what is unknown, lacks its value or is out of range.
 */
enum err options_argv(const struct options_table *table, void *values, int argc, char **argv, bool *help, int *n_operands,
					  struct err_info *info);

/* Reads a configuration file: "name = value" lines; empty lines and those that start with # do not count. Sentences start FILE:LINE. */
enum err options_file(const struct options_table *table, void *values, const char *path, struct err_info *info);

/* The row that "--name", "--name=value" or "-x" means, or NULL; `*value` is what follows the '=', or NULL. */
const struct options_row *options_match(const struct options_table *table, const char *word, const char **value);

void options_print_help(const struct options_table *table, FILE *out);

/* The options as an mdoc list, for the man page. */
void options_print_mdoc(const struct options_table *table, FILE *out);

/* The options as a commented sample file. */
void options_print_conf(const struct options_table *table, FILE *out);

#endif
