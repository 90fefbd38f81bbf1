/* cmd.h - the subcommands, one file each */
#ifndef FUTAIE_CMD_H
#define FUTAIE_CMD_H

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* argv[0] is the subcommand's name. Returns the exit code. */
typedef int cmd_run(int argc, char **argv);

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

struct options_table;

extern const struct options_table serve_options;
extern const struct options_table models_options;
extern const struct options_table train_options;
extern const struct options_table predict_options;
extern const struct options_table keys_options;
extern const struct options_table bench_options;

#endif
