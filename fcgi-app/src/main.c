/* main.c - futaie SUBCOMMAND */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

static cmd_run complete;

static const struct command commands[] = {
	{"serve", cmd_serve, "answer FastCGI requests with the models of a store"},
	{"models", cmd_models, "list, prove, promote, import and remove versions of the model store"},
	{"train", cmd_train, "train a model from a CSV file: a new version in the store"},
	{"predict", cmd_predict, "predict a file of rows with a model of a store"},
	{"keys", cmd_keys, "make, list and revoke the API keys of a server"},
	{"bench", cmd_bench, "measure how fast a model is scored here, against XGBoost"},
	{"version", cmd_version, "print the versions of futaie and libxgboost"},
	{"options", cmd_options, NULL},
	{"complete", complete, NULL},
	{"trial", cmd_trial, NULL},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static int
complete(int argc, char **argv)
{
	return cmd_complete(commands, N_COMMANDS, argc, argv);
}

static void
print_help(FILE *out)
{
	(void)fprintf(out, "usage: futaie SUBCOMMAND [OPTIONS]\n\nXGBoost models over HTTPS, from a process that holds them.\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (commands[i].summary != NULL)
			(void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	(void)fprintf(out, "\nfutaie SUBCOMMAND --help tells its options. Exit codes: 0 done, 1 failed, 2 wrong usage.\n");
}

/* What is opened later must not come to stand where standard output and error are expected. */
static bool
fill_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

int
main(int argc, char **argv)
{
	if (!fill_descriptors())
		return EXIT_FAILED;
	(void)signal(SIGCHLD, SIG_DFL); /* ignored, as some starters leave it, no child's end could be learnt */
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return EXIT_DONE;
	}
	const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	(void)fprintf(stderr, "futaie: there is no subcommand \"%.60s\"; futaie --help lists them\n", argv[1]);
	return EXIT_USAGE;
}
