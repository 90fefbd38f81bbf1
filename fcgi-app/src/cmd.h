/* cmd.h - the subcommands, one file each */
#ifndef FUTAIE_CMD_H
#define FUTAIE_CMD_H

#include <stddef.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* argv[0] is the subcommand's name. Returns the exit code. */
typedef int cmd_run(int argc, char **argv);

struct command {
	const char *name;
	cmd_run *run;
	const char *summary; /* NULL: not in the help */
};

cmd_run cmd_serve;
cmd_run cmd_models;
cmd_run cmd_train;
cmd_run cmd_predict;
cmd_run cmd_keys;
cmd_run cmd_bench;
cmd_run cmd_version;

/* The child in which a new model file is tried, started by trial.c; not in the help. */
cmd_run cmd_trial;

/* Prints a subcommand's options as help, man page source or sample file, for the build; not in the help. */
cmd_run cmd_options;

/*
 * futaie complete WORD…: prints what the last word may become, for the shells; not in the help. The others are those before it, without
 * "futaie". A line each: the word, a tab and what it means; or ":files" or ":directories" where the shell knows better.
 */
int cmd_complete(const struct command *commands, size_t n_commands, int argc, char **argv);

struct options_table;

/* The options of a subcommand; NULL where it has none. */
const struct options_table *cmd_options_find(const char *command);

extern const struct options_table serve_options;
extern const struct options_table models_options;
extern const struct options_table train_options;
extern const struct options_table predict_options;
extern const struct options_table keys_options;
extern const struct options_table bench_options;

#endif
