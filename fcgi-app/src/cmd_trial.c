/* cmd_trial.c - futaie trial: the child in which a new model file is tried; not for people */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd.h"
#include "model/describe.h"
#include "model/trial.h"

enum { DESCRIPTION_MAX = 64 * 1024 * 1024 };

/* The most that the file can ask for; where its size cannot be told, the least. */
static void
limit_for(const char *path)
{
	struct stat st;

	trial_limit(stat(path, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 0);
}

static enum err
prove(char **words, struct err_info *info)
{
	char path[4096];

	(void)snprintf(path, sizeof path, "%s/%s/%s/model.ubj", words[0], words[1], words[2]);
	struct stat st;
	if (stat(path, &st) != 0)
		(void)snprintf(path, sizeof path, "%s/%s/%s/model.json", words[0], words[1], words[2]);
	limit_for(path);
	return trial_prove_here(words[0], words[1], words[2], info);
}

static enum err
describe(const char *path, struct err_info *info)
{
	struct buf json;

	limit_for(path);
	buf_init(&json, DESCRIPTION_MAX);
	enum err e = describe_file(path, &json, info);
	if (e == ERR_OK && fwrite(json.data, 1, json.len, stdout) != json.len)
		e = err_set(info, ERR_FILE, "cannot write the description");
	buf_release(&json);
	return e;
}

/* What goes wrong is said on standard output, where the parent reads it: the code on a line, then the sentence. */
int
cmd_trial(int argc, char **argv)
{
	struct err_info info;
	enum err e;

	if (argc == 5 && strcmp(argv[1], "prove") == 0)
		e = prove(argv + 2, &info);
	else if (argc == 3 && strcmp(argv[1], "describe") == 0)
		e = describe(argv[2], &info);
	else
		return EXIT_USAGE;
	if (e != ERR_OK)
		(void)printf("%s\n%s", err_code(e), info.text);
	return e == ERR_OK ? EXIT_DONE : EXIT_FAILED;
}
