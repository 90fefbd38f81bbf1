/* cmd_options.c - futaie options SUBCOMMAND FORMAT: the option tables, for the build and the tests */
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "cmd.h"

static const struct options_table *const tables[] = {&serve_options, &predict_options, &models_options,
													 &train_options, &keys_options,    &bench_options};

static const struct {
	const char *name;
	void (*print)(const struct options_table *, FILE *);
} formats[] = {
	{"help", options_print_help},
	{"mdoc", options_print_mdoc},
	{"conf", options_print_conf},
};

const struct options_table *
cmd_options_find(const char *command)
{
	for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
		if (strcmp(command, tables[t]->command) == 0)
			return tables[t];
	return NULL;
}

int
cmd_options(int argc, char **argv)
{
	const struct options_table *table = argc == 3 ? cmd_options_find(argv[1]) : NULL;

	for (size_t f = 0; table != NULL && f < sizeof formats / sizeof formats[0]; f++)
		if (strcmp(argv[2], formats[f].name) == 0) {
			formats[f].print(table, stdout);
			return EXIT_DONE;
		}
	(void)fprintf(stderr, "usage: futaie options SUBCOMMAND help|mdoc|conf\n");
	return EXIT_USAGE;
}
