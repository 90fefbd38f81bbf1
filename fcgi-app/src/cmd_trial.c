/* cmd_trial.c - futaie trial: the child in which a new model file is tried; not for people */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "model/describe.h"
#include "model/trial.h"

static enum err
prove(char **words, struct err_info *info)
{
	struct proof proof;
	enum err e = trial_prove_here(words[0], words[1], words[2], &proof, info);

	if (e == ERR_OK)
		(void)printf("%s %zu\n%s", proof.scorer == MODEL_FOREST ? "forest" : "xgboost", proof.rows, proof.reason);
	return e;
}

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

	bool proves = argc == 7 && strcmp(argv[1], "prove") == 0;
	if (!proves && !(argc == 5 && strcmp(argv[1], "describe") == 0))
		return EXIT_USAGE;
	trial_limit(strtol(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	if (proves)
		e = prove(argv + 4, &info);
	else
		e = describe(argv[4], &info);
	if (e != ERR_OK)
		(void)printf("%s\n%s", err_code(e), info.text);
	return e == ERR_OK ? EXIT_DONE : EXIT_FAILED;
}
