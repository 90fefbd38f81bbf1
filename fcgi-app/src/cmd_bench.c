/* cmd_bench.c - futaie bench: how fast a model of a store is scored and explained here, against XGBoost, one thread each */
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/options.h"
#include "cmd.h"
#include "model/forest.h"
#include "model/model.h"
#include "model/sample.h"
#include "model/spec.h"
#include "model/trial.h"

enum {
	PAIRS_MAX = 1000,
	ROWS_A_CALL_MAX = 100000,
	ROWS_MIN = 4096,     /* different ones, so that the processor's branch prediction does not learn them by heart */
	CELLS_MAX = 1 << 28, /* of all rows: a GiB */
	SPAN_NS = 50000000,  /* processor time of one measurement, at least */
	MISSING_EVERY = 3,   /* made-up row lacks a cell */
	NS_A_SECOND = 1000000000,
	EXPLAIN_ROWS = 16, /* in a call of the block of explanations, each of which takes XGBoost as long as some hundred predictions */
	COMPARED_ROWS = 64 /* whose explanations are compared before they are measured */
};

/* How far a contribution may be from XGBoost's, over the largest of its row and output. */
#define EXPLAIN_TOLERANCE 1e-5F

struct bench {
	char models[PATH_MAX];
	long long pairs;
	long long rows;
	int what; /* ALL, ONLY_PREDICT or ONLY_EXPLAIN */
	int isa;  /* BEST, or 1 + enum ranks_isa */
	bool json;
	const char *spec; /* operand, borrowed from argv */
};

enum { BEST };
enum { ALL, ONLY_PREDICT, ONLY_EXPLAIN };

static const char *const isa_choices[] = {"best", "portable", "avx2", "avx512", NULL};

static const char *const what_choices[] = {"all", "predict", "explain", NULL};

static const struct options_row rows[] = {
	{"models", .type = OPTIONS_TEXT, .offset = offsetof(struct bench, models), .cap = sizeof(((struct bench *)0)->models),
	 .initial = "models", .value = "DIR", .help = "The model store."},
	{"pairs", .type = OPTIONS_INTEGER, .offset = offsetof(struct bench, pairs), .min = 1, .max = PAIRS_MAX, .initial = "15",
	 .value = "N", .help = "How often both scorers are measured, one right behind the other."},
	{"rows", .type = OPTIONS_INTEGER, .offset = offsetof(struct bench, rows), .min = 1, .max = ROWS_A_CALL_MAX, .initial = "4096",
	 .value = "N", .help = "Rows in a call that predicts a block."},
	{"what", .type = OPTIONS_CHOICE, .offset = offsetof(struct bench, what), .choices = what_choices, .initial = "all",
	 .value = "WHAT", .help = "What is measured. XGBoost explains a row of many or deep trees in seconds."},
	{"isa", .type = OPTIONS_CHOICE, .offset = offsetof(struct bench, isa), .choices = isa_choices, .initial = "best",
	 .value = "WHICH", .help = "The instructions that the forest predicts and explains with; best is what a server uses."},
	{"json", .type = OPTIONS_FLAG, .offset = offsetof(struct bench, json), .initial = "no", .value = "",
	 .help = "Print JSON, with every pair."},
};

const struct options_table bench_options = {
	.command = "bench",
	.synopsis = "[OPTIONS] NAME[@ALIAS|/VERSION]",
	.summary = "Measures how fast this machine scores a model of the store and explains its answers, against XGBoost's C API: one "
			   "thread each, "
			   "rows one by one and in blocks, in alternating order. NAME alone means NAME@champion.",
	.rows = rows,
	.n_rows = sizeof rows / sizeof rows[0],
	.operands = "NAME[@ALIAS|/VERSION]",
};

enum scorer { XGBOOST, FOREST, SCORERS };

enum { PREDICT_ONE, PREDICT_BLOCK, EXPLAIN_ONE, EXPLAIN_BLOCK, MEASURES };

/* One version with both scorers, and the rows that they are asked. A zeroed struct is released. */
struct contest {
	struct model *models[SCORERS];
	size_t n_features;
	size_t n_outputs;
	size_t n_numbers; /* of an explanation */
	size_t n_rows;
	float *rows;                  /* owned; n_rows x n_features */
	float *answers[SCORERS];      /* owned; n_rows x n_outputs */
	float *explanations[SCORERS]; /* owned; EXPLAIN_ROWS x n_numbers */
	void *scratch;                /* owned; of the forest's explanations */
};

/* What one pair has taken: nanoseconds of processor time a row. */
struct pair {
	double ns[SCORERS];
};

/* One call for n rows from `first` on. */
typedef enum err ask_fn(const struct contest *c, enum scorer scorer, size_t first, size_t n, struct err_info *info);

static ask_fn predict;
static ask_fn explain;

struct measure {
	const char *what;
	ask_fn *ask;
	size_t rows_a_call;
	size_t n; /* pairs */
	struct pair pairs[PAIRS_MAX];
};

static enum err
read_options(struct bench *o, int argc, char **argv, bool *help, struct err_info *info)
{
	int n;

	options_init(&bench_options, o);
	enum err e = options_argv(&bench_options, o, argc, argv, help, &n, info);
	if (e != ERR_OK || *help)
		return e;
	if (n != 1)
		return err_set(info, ERR_USAGE, "expected NAME, NAME@ALIAS or NAME/VERSION; futaie bench --help");
	o->spec = argv[0];
	if (o->isa != BEST && !ranks_has_isa((enum ranks_isa)(o->isa - 1)))
		return err_set(info, ERR_FILE, "this processor has no %s; its best is %s", isa_choices[o->isa],
					   ranks_isa_name(ranks_best_isa()));
	return ERR_OK;
}

/* Opening */

/* A version that XGBoost answers for: why the forest does not. */
static enum err
explain_xgboost(const struct bench *o, const struct spec *spec, struct err_info *info)
{
	struct model *forest;
	struct err_info why;
	enum err e = model_open(o->models, spec->name, spec->version, MODEL_FOREST, &forest, &why);

	model_free(forest);
	return err_set(info, ERR_UNSUPPORTED_MODEL, "only XGBoost can score it, so that there is nothing to compare: %s",
				   e != ERR_OK ? why.text : "its trial found other bits with the forest");
}

static enum err
open_models(struct contest *c, const struct bench *o, struct err_info *info)
{
	struct spec spec;
	enum err e = spec_resolve(&spec, o->models, o->spec, info);

	if (e == ERR_OK)
		e = trial_open(TRIAL_SELF, o->models, spec.name, spec.version, &c->models[FOREST], info);
	if (e == ERR_OK && model_forest(c->models[FOREST]) == NULL)
		e = explain_xgboost(o, &spec, info);
	if (e == ERR_OK)
		e = model_open(o->models, spec.name, spec.version, MODEL_XGBOOST, &c->models[XGBOOST], info);
	if (e == ERR_OK && o->isa != BEST)
		model_use(c->models[FOREST], (enum ranks_isa)(o->isa - 1));
	return e;
}

/* Rows */

/* The numbers at which the trees split, by column. A zeroed struct is released. */
struct columns {
	struct sample_column *columns; /* owned */
	float *values;                 /* owned; of all columns, one behind the other */
};

static void
count_split(void *context, size_t column, float value)
{
	struct columns *c = context;

	if (isfinite(value))
		c->columns[column].n++;
}

static void
take_split(void *context, size_t column, float value)
{
	struct columns *c = context;
	struct sample_column *s = &c->columns[column];

	if (isfinite(value))
		c->values[(size_t)(s->values - c->values) + s->n++] = value;
}

static int
compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a;
	float y = *(const float *)b;

	return (x > y) - (x < y);
}

/* All that there are, ascending in each column; false without memory. */
static bool
gather_splits(struct columns *splits, const struct model *m)
{
	size_t n_features = model_features(m)->n;
	size_t n = 0;

	splits->columns = calloc(n_features, sizeof *splits->columns);
	if (splits->columns == NULL)
		return false;
	model_splits(m, count_split, splits);
	for (size_t i = 0; i < n_features; i++)
		n += splits->columns[i].n;
	splits->values = calloc(n + 1, sizeof *splits->values);
	if (splits->values == NULL)
		return false;
	float *next = splits->values;
	for (size_t i = 0; i < n_features; i++) {
		struct sample_column *c = &splits->columns[i];
		float *mine = next;
		next += c->n;
		*c = (struct sample_column){.values = mine};
	}
	model_splits(m, take_split, splits);
	for (size_t i = 0; i < n_features; i++)
		qsort(splits->values + (splits->columns[i].values - splits->values), splits->columns[i].n, sizeof *splits->values,
			  compare_floats);
	return true;
}

/* Cells fall between the numbers at which the trees split, most where most splits are: so every row goes its own way through the trees. */
static enum err
make_rows(struct contest *c, struct err_info *info)
{
	uint64_t random = 1;
	struct columns splits = {0};
	enum err e = ERR_OK;

	c->rows = calloc(c->n_rows * c->n_features, sizeof *c->rows);
	if (c->rows != NULL && gather_splits(&splits, c->models[FOREST]))
		sample_rows(splits.columns, c->n_features, &random, MISSING_EVERY, c->rows, c->n_rows);
	else
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu rows", c->n_rows);
	free(splits.columns);
	free(splits.values);
	return e;
}

/* Room for them. */
static enum err
make_explanations(struct contest *c, struct err_info *info)
{
	if (!model_can_explain(c->models[FOREST]))
		return err_set(info, ERR_UNSUPPORTED_MODEL,
					   "its file does not say how many training rows its nodes had, which explanations want");
	c->n_numbers = (c->n_features + 1) * model_outputs(c->models[FOREST], BOOSTER_MARGIN);
	c->scratch = malloc(model_explain_scratch(c->models[FOREST]) + 1);
	for (int s = 0; s < SCORERS; s++)
		c->explanations[s] = calloc(EXPLAIN_ROWS * c->n_numbers, sizeof(float));
	if (c->scratch == NULL || c->explanations[XGBOOST] == NULL || c->explanations[FOREST] == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for explanations of %zu numbers", c->n_numbers);
	return ERR_OK;
}

static enum err
contest_open(struct contest *c, const struct bench *o, struct err_info *info)
{
	enum err e = open_models(c, o, info);

	if (e != ERR_OK)
		return e;
	c->n_features = model_features(c->models[FOREST])->n;
	c->n_outputs = model_outputs(c->models[FOREST], BOOSTER_VALUE);
	c->n_rows = o->rows > ROWS_MIN ? (size_t)o->rows : ROWS_MIN;
	if (c->n_rows > CELLS_MAX / (c->n_features > c->n_outputs ? c->n_features : c->n_outputs))
		return err_set(info, ERR_OUT_OF_MEMORY, "%zu rows of %zu features and %zu outputs are too many", c->n_rows, c->n_features,
					   c->n_outputs);
	for (int s = 0; s < SCORERS; s++)
		if ((c->answers[s] = calloc(c->n_rows * c->n_outputs, sizeof *c->answers[s])) == NULL)
			return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the answers of %zu rows", c->n_rows);
	if (o->what != ONLY_PREDICT)
		e = make_explanations(c, info);
	return e == ERR_OK ? make_rows(c, info) : e;
}

static void
contest_release(struct contest *c)
{
	for (int s = 0; s < SCORERS; s++) {
		model_free(c->models[s]);
		free(c->answers[s]);
		free(c->explanations[s]);
	}
	free(c->rows);
	free(c->scratch);
	*c = (struct contest){0};
}

/* Asking */

/* XGBoost gets the plain call, without what booster.h keeps for a thread. */
static enum err
predict(const struct contest *c, enum scorer scorer, size_t first, size_t n, struct err_info *info)
{
	struct booster_caller plain = {0};

	return model_predict(c->models[scorer], &plain, BOOSTER_VALUE, c->rows + first * c->n_features, n,
						 c->answers[scorer] + first * c->n_outputs, info);
}

static enum err
explain(const struct contest *c, enum scorer scorer, size_t first, size_t n, struct err_info *info)
{
	return model_explain(c->models[scorer], c->rows + first * c->n_features, n, c->scratch, c->explanations[scorer], info);
}

static enum err
predict_all(const struct contest *c, enum scorer scorer, size_t rows_a_call, struct err_info *info)
{
	enum err e = ERR_OK;

	for (size_t row = 0; row < c->n_rows && e == ERR_OK; row += rows_a_call)
		e = predict(c, scorer, row, c->n_rows - row < rows_a_call ? c->n_rows - row : rows_a_call, info);
	return e;
}

/* Every row, in the ways that are measured. It warms both up, too. */
static enum err
compare_bits(const struct contest *c, const struct measure *measures, struct err_info *info)
{
	size_t width = c->n_outputs * sizeof *c->answers[0];
	enum err e = predict_all(c, XGBOOST, ROWS_MIN, info);

	for (size_t m = PREDICT_ONE; m <= PREDICT_BLOCK && e == ERR_OK; m++) {
		e = predict_all(c, FOREST, measures[m].rows_a_call, info);
		for (size_t row = 0; row < c->n_rows && e == ERR_OK; row++) {
			const float *theirs = c->answers[XGBOOST] + row * c->n_outputs;
			const float *ours = c->answers[FOREST] + row * c->n_outputs;
			if (memcmp(ours, theirs, width) != 0)
				e = err_set(info, ERR_MODEL_FAILED, "%s: made-up row %zu gives other bits than XGBoost's, %.9g and %.9g at first",
							measures[m].what, row, (double)ours[0], (double)theirs[0]);
		}
	}
	return e;
}

/* The last explanations of both: n_rows of them, the first of which is of row `first`. */
static enum err
compare_explained(const struct contest *c, size_t first, size_t n_rows, struct err_info *info)
{
	size_t width = c->n_features + 1;
	size_t n = n_rows * c->n_numbers;

	for (size_t i = 0; i < n; i += width) {
		const float *theirs = c->explanations[XGBOOST] + i;
		const float *ours = c->explanations[FOREST] + i;
		float most = 0;
		for (size_t k = 0; k < width; k++)
			most = fmaxf(most, fabsf(theirs[k]));
		for (size_t k = 0; k < width; k++)
			if (!(fabsf(ours[k] - theirs[k]) <= EXPLAIN_TOLERANCE * most))
				return err_set(info, ERR_MODEL_FAILED, "a contribution to made-up row %zu is %.9g, XGBoost's is %.9g",
							   first + i / c->n_numbers, (double)ours[k], (double)theirs[k]);
	}
	return ERR_OK;
}

/* Some rows, in the ways that are measured; contributions may differ in roundings. */
static enum err
compare_explanations(const struct contest *c, const struct measure *measures, struct err_info *info)
{
	enum err e = ERR_OK;

	for (size_t m = EXPLAIN_ONE; m <= EXPLAIN_BLOCK && e == ERR_OK; m++) {
		size_t n = measures[m].rows_a_call;
		for (size_t row = 0; row < COMPARED_ROWS && e == ERR_OK; row += n) {
			e = explain(c, XGBOOST, row, n, info);
			if (e == ERR_OK)
				e = explain(c, FOREST, row, n, info);
			if (e == ERR_OK)
				e = compare_explained(c, row, n, info);
		}
	}
	return e;
}

static uint64_t
cpu_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_A_SECOND + (uint64_t)now.tv_nsec;
}

/*
 * Nanoseconds a row. The kernel is asked for this clock each time, which takes as long as some rows do: so it is looked at after one call, two
 * more, four more and so on.
 */
static enum err
time_scorer(const struct contest *c, const struct measure *m, enum scorer scorer, double *ns, struct err_info *info)
{
	uint64_t started = cpu_now_ns();
	uint64_t taken = 0;
	size_t calls = 0;
	size_t row = 0;
	enum err e = ERR_OK;

	for (size_t more = 1; taken < SPAN_NS && e == ERR_OK; more *= 2) {
		for (size_t i = 0; i < more && e == ERR_OK; i++) {
			e = m->ask(c, scorer, row, m->rows_a_call, info);
			row += m->rows_a_call;
			if (c->n_rows - row < m->rows_a_call)
				row = 0;
		}
		calls += more;
		taken = cpu_now_ns() - started;
	}
	*ns = (double)taken / (double)(calls * m->rows_a_call);
	return e;
}

static void
show_progress(const struct measure *m, size_t done)
{
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\r\033[K%s: pair %zu of %zu", m->what, done + 1, m->n);
}

static void
end_progress(void)
{
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\r\033[K");
}

/* Who is first changes with each pair, so that a machine that becomes slower, or faster, favours neither. */
static enum err
run_measure(const struct contest *c, struct measure *m, struct err_info *info)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < m->n && e == ERR_OK; i++) {
		show_progress(m, i);
		for (size_t turn = 0; turn < SCORERS && e == ERR_OK; turn++) {
			enum scorer scorer = (i + turn) % SCORERS == 0 ? XGBOOST : FOREST;
			e = time_scorer(c, m, scorer, &m->pairs[i].ns[scorer], info);
		}
	}
	end_progress();
	return e;
}

/* Results */

struct spread {
	double least;
	double median;
	double most;
};

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
ratio(const struct pair *p)
{
	return p->ns[XGBOOST] / p->ns[FOREST];
}

static double
xgboost_us(const struct pair *p)
{
	return p->ns[XGBOOST] / 1000;
}

static double
forest_us(const struct pair *p)
{
	return p->ns[FOREST] / 1000;
}

static struct spread
spread_of(const struct measure *m, double (*pick)(const struct pair *))
{
	double values[PAIRS_MAX];

	for (size_t i = 0; i < m->n; i++)
		values[i] = pick(&m->pairs[i]);
	qsort(values, m->n, sizeof values[0], compare_doubles);
	return (struct spread){values[0], (values[(m->n - 1) / 2] + values[m->n / 2]) / 2, values[m->n - 1]};
}

/* "avx2, portable": those that the processor has. */
static const char *
list_isas(const char *separator, char *out, size_t cap)
{
	size_t len = 0;

	for (int isa = RANKS_ISAS - 1; isa >= 0 && len < cap; isa--)
		if (ranks_has_isa((enum ranks_isa)isa))
			len += (size_t)snprintf(out + len, cap - len, "%s%s", len > 0 ? separator : "", ranks_isa_name((enum ranks_isa)isa));
	return out;
}

static void
print_table(const struct contest *c, const struct measure *measures)
{
	const struct model *m = c->models[FOREST];
	char isas[64];

	(void)printf("%s, version %s: %zu trees, %zu features; %zu different rows, %zu pairs, the same answers\n", model_name(m),
				 model_version(m), forest_trees(model_forest(m)), c->n_features, c->n_rows,
				 measures[PREDICT_ONE].n > 0 ? measures[PREDICT_ONE].n : measures[EXPLAIN_ONE].n);
	(void)printf("instructions for blocks: %s (this processor has %s)\n\n", forest_isa_name(model_forest(m)),
				 list_isas(", ", isas, sizeof isas));
	(void)printf("%-24s %14s %14s   %s\n", "", "XGBoost us/row", "forest us/row", "ratio, median (min-max)");
	for (size_t i = 0; i < MEASURES; i++) {
		if (measures[i].n == 0)
			continue;
		struct spread s = spread_of(&measures[i], ratio);
		char what[64];
		(void)snprintf(what, sizeof what, "%s, %zu row%s a call", i < EXPLAIN_ONE ? "predict" : "explain", measures[i].rows_a_call,
					   measures[i].rows_a_call > 1 ? "s" : "");
		(void)printf("%-24s %14.3f %14.3f   %.1f (%.1f-%.1f)\n", what, spread_of(&measures[i], xgboost_us).median,
					 spread_of(&measures[i], forest_us).median, s.median, s.least, s.most);
	}
}

static void
print_measure(const struct measure *m)
{
	struct spread s = spread_of(m, ratio);

	(void)printf(
		"{\"rows\":%zu,\"xgboost_us\":%.6g,\"forest_us\":%.6g,\"ratio\":%.6g,\"ratio_min\":%.6g,\"ratio_max\":%.6g,\"pairs\":[",
		m->rows_a_call, spread_of(m, xgboost_us).median, spread_of(m, forest_us).median, s.median, s.least, s.most);
	for (size_t i = 0; i < m->n; i++)
		(void)printf("%s{\"xgboost_us\":%.6g,\"forest_us\":%.6g,\"ratio\":%.6g}", i > 0 ? "," : "", xgboost_us(&m->pairs[i]),
					 forest_us(&m->pairs[i]), ratio(&m->pairs[i]));
	(void)printf("]}");
}

static void
print_json(const struct contest *c, const struct measure *measures)
{
	const struct model *m = c->models[FOREST];
	char isas[64];

	(void)printf(
		"{\"model\":\"%s\",\"version\":\"%s\",\"trees\":%zu,\"features\":%zu,\"rows\":%zu,\"isa\":\"%s\",\"isas\":[\"%s\"],"
		"\"measures\":[",
		model_name(m), model_version(m), forest_trees(model_forest(m)), c->n_features, c->n_rows, forest_isa_name(model_forest(m)),
		list_isas("\",\"", isas, sizeof isas));
	for (size_t i = 0; i < MEASURES; i++) {
		(void)printf("%s", i == EXPLAIN_ONE ? "],\"explanations\":[" : i % EXPLAIN_ONE > 0 && measures[i].n > 0 ? "," : "");
		if (measures[i].n > 0)
			print_measure(&measures[i]);
	}
	(void)printf("]}\n");
}

static enum err
run_contest(const struct contest *c, const struct bench *o, struct measure *measures, struct err_info *info)
{
	static const char *const names[MEASURES] = {"one row a call", "blocks of rows", "explanations, one row a call",
												"explanations, blocks of rows"};
	const size_t rows_a_call[MEASURES] = {1, (size_t)o->rows, 1, EXPLAIN_ROWS};

	for (size_t i = 0; i < MEASURES; i++) {
		bool wanted = o->what != (i < EXPLAIN_ONE ? ONLY_EXPLAIN : ONLY_PREDICT);
		measures[i].what = names[i];
		measures[i].ask = i < EXPLAIN_ONE ? predict : explain;
		measures[i].rows_a_call = rows_a_call[i];
		measures[i].n = wanted ? (size_t)o->pairs : 0;
	}
	enum err e = o->what != ONLY_EXPLAIN ? compare_bits(c, measures, info) : ERR_OK;
	if (e == ERR_OK && o->what != ONLY_PREDICT)
		e = compare_explanations(c, measures, info);
	for (size_t i = 0; i < MEASURES && e == ERR_OK; i++)
		e = run_measure(c, &measures[i], info);
	return e;
}

static enum err
bench(const struct bench *o, struct err_info *info)
{
	struct contest c = {0};
	struct measure *measures = calloc(MEASURES, sizeof *measures);
	enum err e = measures != NULL ? contest_open(&c, o, info) : err_set(info, ERR_OUT_OF_MEMORY, "no memory for the figures");

	if (e == ERR_OK)
		e = run_contest(&c, o, measures, info);
	if (e == ERR_OK)
		(o->json ? print_json : print_table)(&c, measures);
	if (e == ERR_OK && (fflush(stdout) != 0 || ferror(stdout)))
		e = err_set(info, ERR_FILE, "cannot write the figures");
	contest_release(&c);
	free(measures);
	return e;
}

int
cmd_bench(int argc, char **argv)
{
	struct bench options;
	struct err_info info;
	bool help = false;
	enum err e = read_options(&options, argc - 1, argv + 1, &help, &info);

	if (e == ERR_OK && help) {
		options_print_help(&bench_options, stdout);
		return EXIT_DONE;
	}
	if (e == ERR_OK)
		e = bench(&options, &info);
	if (e != ERR_OK)
		(void)fprintf(stderr, "futaie bench: %s\n", info.text);
	return e == ERR_OK ? EXIT_DONE : info.code == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
