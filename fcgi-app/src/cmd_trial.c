/* cmd_trial.c - futaie trial: the child in which a new model file is tried; not for people */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "model/describe.h"
#include "model/trial.h"

static enum err
describe(const char *path, struct err_info *info)
{
	struct buf json;

	buf_init(&json, DESCRIBE_JSON_MAX);
	enum err e = describe_file(path, &json, info);
	if (e == ERR_OK && fwrite(json.data, 1, json.len, stdout) != json.len)
		e = err_set(info, ERR_FILE, "cannot write the description");
	buf_release(&json);
	return e;
}

/* futaie trial prove|describe PARENT BYTES …. What goes wrong is said on standard output: the code on a line, then the sentence. */
int
cmd_trial(int argc, char **argv)
{
	struct err_info info;
	enum err e;

	bool prove = argc == 7 && strcmp(argv[1], "prove") == 0;
	if (!prove && !(argc == 5 && strcmp(argv[1], "describe") == 0))
		return EXIT_USAGE;
	trial_limit(strtol(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	if (prove)
		e = trial_prove_here(argv[4], argv[5], argv[6], &info);
	else
		e = describe(argv[4], &info);
	if (e != ERR_OK)
		(void)printf("%s\n%s", err_code(e), info.text);
	return e == ERR_OK ? EXIT_DONE : EXIT_FAILED;
}
