/* cmd_predict.c - futaie predict: a batch of rows through one model of a store */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/options.h"
#include "batch/batch.h"
#include "batch/progress.h"
#include "cmd.h"
#include "model/spec.h"
#include "model/trial.h"

struct predict {
	char models[PATH_MAX];
	long long threads;
	int output; /* enum booster_output */
	bool json;
	const char *spec; /* operands, borrowed from argv */
	const char *file; /* NULL: standard input */
};

static const char *const outputs[] = {"value", "margin", NULL};

static const struct options_row rows[] = {
	{"models", .type = OPTIONS_TEXT, .offset = offsetof(struct predict, models), .cap = sizeof(((struct predict *)0)->models),
	 .initial = "models", .value = "DIR", .help = "The model store."},
	{"output", .type = OPTIONS_CHOICE, .offset = offsetof(struct predict, output), .choices = outputs, .initial = "value",
	 .value = "WHICH",
	 .help = "What is printed: the value after the objective's transform (a probability, a count, …), or the raw margin."},
	{"json", .type = OPTIONS_FLAG, .offset = offsetof(struct predict, json), .initial = "no", .value = "",
	 .help = "Print JSON lines: a number, or an array where a row has several outputs; null for what is not finite."},
	{"threads", .type = OPTIONS_INTEGER, .offset = offsetof(struct predict, threads), .min = 0, .max = BATCH_THREADS_MAX,
	 .initial = "0", .value = "N", .help = "Threads that read, predict and print. 0 means one a processor."},
};

const struct options_table predict_options = {
	.command = "predict",
	.synopsis = "[OPTIONS] NAME[@ALIAS|/VERSION] [FILE]",
	.summary = "Predicts the rows of FILE, or of standard input, with a model of the store, and prints a line for each. Rows are "
			   "CSV with a "
			   "header, or JSON lines. NAME alone means NAME@champion.",
	.rows = rows,
	.n_rows = sizeof rows / sizeof rows[0],
	.operands = "NAME[@ALIAS|/VERSION] [FILE]",
};

static int say(const struct err_info *info);

static enum err
read_options(struct predict *o, int argc, char **argv, bool *help, struct err_info *info)
{
	int n;

	options_init(&predict_options, o);
	enum err e = options_argv(&predict_options, o, argc, argv, help, &n, info);
	if (e != ERR_OK || *help)
		return e;
	if (n < 1 || n > 2)
		return err_set(info, ERR_USAGE, "expected NAME, NAME@ALIAS or NAME/VERSION, and perhaps a FILE; futaie predict --help");
	o->spec = argv[0];
	o->file = n == 2 && strcmp(argv[1], "-") != 0 ? argv[1] : NULL;
	return ERR_OK;
}

static enum err
open_input(const struct predict *o, int *fd, struct err_info *info)
{
	*fd = o->file == NULL ? STDIN_FILENO : open(o->file, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return err_set(info, ERR_FILE, "%.300s: cannot open: %s", o->file, strerror(errno));
	if (o->file == NULL && isatty(STDIN_FILENO))
		(void)fprintf(stderr,
					  "futaie predict: rows are read from this terminal: CSV with a header, or JSON lines; Ctrl-D ends them\n");
	return ERR_OK;
}

/* Bytes that are still to be read of a regular file, else 0. */
static uint64_t
size_of_input(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	off_t position = lseek(fd, 0, SEEK_CUR);
	return position >= 0 && position < st.st_size ? (uint64_t)(st.st_size - position) : 0;
}

static void
show(void *arg, const struct batch_progress *now)
{
	progress_show(arg, now);
}

/* Where the predictions go to the terminal as well, they are progress enough, and a bar between them would be in their way. */
static enum err
predict(const struct predict *o, const struct model *model, int fd, struct err_info *info)
{
	uint64_t size = size_of_input(fd);
	bool bar = size > 0 && isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	struct progress progress;
	struct batch_progress done;
	const struct batch batch = {
		.model = model,
		.output = (enum booster_output)o->output,
		.json = o->json,
		.n_threads = o->threads > 0   ? (size_t)o->threads
					 : processors > 0 ? (size_t)processors
									  : 1,
		.in_fd = fd,
		.in_name = o->file != NULL ? o->file : "standard input",
		.out_fd = STDOUT_FILENO,
		.progress = bar ? show : NULL,
		.progress_arg = &progress,
	};

	progress_init(&progress, STDERR_FILENO, size);
	enum err e = batch_run(&batch, &done, info);
	if (bar && e == ERR_OK)
		progress_finish(&progress, &done);
	else if (bar)
		progress_erase(&progress);
	/* Some file systems tell only here that they had no room. */
	if (e == ERR_OK && close(STDOUT_FILENO) != 0)
		e = err_set(info, ERR_FILE, "cannot write the predictions: %s", strerror(errno));
	return e;
}

int
cmd_predict(int argc, char **argv)
{
	struct predict options;
	struct spec spec;
	struct model *model = NULL;
	struct err_info info;
	bool help;
	int fd = -1;

	if (read_options(&options, argc - 1, argv + 1, &help, &info) != ERR_OK)
		return say(&info);
	if (help) {
		options_print_help(&predict_options, stdout);
		return EXIT_DONE;
	}
	(void)signal(SIGPIPE, SIG_IGN); /* it would leave the progress bar behind */
	enum err e = spec_resolve(&spec, options.models, options.spec, &info);
	if (e == ERR_OK)
		e = open_input(&options, &fd, &info);
	if (e == ERR_OK)
		e = trial_open(TRIAL_SELF, options.models, spec.name, spec.version, &model, &info);
	if (e == ERR_OK)
		e = predict(&options, model, fd, &info);
	model_free(model);
	if (fd > STDERR_FILENO)
		(void)close(fd);
	return e == ERR_OK ? EXIT_DONE : say(&info);
}

/* Who closes the pipe early, head(1) for example, knows why. */
static int
say(const struct err_info *info)
{
	if (info->code != ERR_CLOSED_PIPE)
		(void)fprintf(stderr, "futaie predict: %s\n", info->text);
	return info->code == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
