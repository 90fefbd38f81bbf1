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

/* Writes what was found out. */
static enum err
print(enum err e, const struct buf *out, struct err_info *info)
{
	if (e == ERR_OK && fwrite(out->data, 1, out->len, stdout) != out->len)
		e = err_set(info, ERR_FILE, "cannot write the answer");
	return e;
}

static enum err
describe(char **words, struct err_info *info)
{
	struct buf json;

	buf_init(&json, DESCRIBE_JSON_MAX);
	enum err e = print(describe_file(words[0], &json, info), &json, info);
	buf_release(&json);
	return e;
}

static enum err
answer(char **words, struct err_info *info)
{
	struct buf json;

	buf_init(&json, DESCRIBE_JSON_MAX);
	enum err e = print(describe_rows(words[0], words[1], &json, info), &json, info);
	buf_release(&json);
	return e;
}

static enum err
convert(char **words, struct err_info *info)
{
	struct buf ubjson;

	buf_init(&ubjson, MODEL_FILE_MAX);
	enum err e = print(describe_convert(words[0], &ubjson, info), &ubjson, info);
	buf_release(&ubjson);
	return e;
}

static const struct {
	const char *name;
	int n_words; /* behind PARENT and BYTES */
	enum err (*run)(char **words, struct err_info *info);
} tasks[] = {{"prove", 3, prove}, {"describe", 1, describe}, {"answer", 2, answer}, {"convert", 1, convert}};

/* futaie trial prove|describe|answer|convert PARENT BYTES …. What goes wrong is said on standard output: the code on a line, then the sentence. */
int
cmd_trial(int argc, char **argv)
{
	struct err_info info;
	size_t i = 0;

	while (i < sizeof tasks / sizeof tasks[0] && (argc != 4 + tasks[i].n_words || strcmp(argv[1], tasks[i].name) != 0))
		i++;
	if (i == sizeof tasks / sizeof tasks[0])
		return EXIT_USAGE;
	trial_limit(strtol(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	enum err e = tasks[i].run(argv + 4, &info);
	if (e != ERR_OK)
		(void)printf("%s\n%s", err_code(e), info.text);
	return e == ERR_OK ? EXIT_DONE : EXIT_FAILED;
}
