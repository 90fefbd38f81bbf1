/* cmd_models.c - futaie models ACTION: the versions of the model store */
#include "cmd_models.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/options.h"
#include "cmd.h"
#include "model/proof.h"
#include "model/trial.h"
#include "model/versions.h"

#define TEXT(field)                                                                                                                \
	.type = OPTIONS_TEXT, .offset = offsetof(struct models_options, field), .cap = sizeof(((struct models_options *)0)->field)
#define FLAG(field) .type = OPTIONS_FLAG, .offset = offsetof(struct models_options, field), .initial = "no", .value = ""

static const struct options_row rows[] = {
	{"models", TEXT(models), .initial = "models", .value = "DIR", .help = "The model store."},
	{"json", FLAG(json), .help = "With list and show: print JSON."},
	{"feature-names", TEXT(feature_names), .initial = "", .value = "A,B,...",
	 .help = "With import and pull: the features' names in the model's order, where the file holds none. Without them pull takes "
			 "those of the signature; "
			 "else they are f0, f1 and so on."},
	{"golden", TEXT(golden), .initial = "", .value = "FILE",
	 .help = "With import and pull: rows and what the model answered where it was made, {\"inputs\": [[…], …], \"outputs\": [1.5, "
			 "…]}; null "
			 "is a missing "
			 "value. It fails where they are answered otherwise here."},
	{"promote", FLAG(promote), .help = "With import and pull: make the version the champion."},
	{"unproven", FLAG(unproven),
	 .help = "With import and pull, where no golden rows come with the model: promote it, or take a file that libxgboost is too "
			 "old for, although "
			 "nothing shows that it answers here as where it was made."},
	{"as", TEXT(as), .initial = "", .value = "NAME",
	 .help = "With pull: the model's name in the store. Without it the registered model's."},
	{"watch", .type = OPTIONS_INTEGER, .offset = offsetof(struct models_options, watch), .min = 0, .max = 86400, .initial = "0",
	 .value = "SECONDS",
	 .help = "With pull: look at the alias every so many seconds until SIGTERM, and make what it names the champion whenever that "
			 "is another "
			 "version. 0 pulls once."},
	{"mlflow", TEXT(mlflow), .initial = "", .value = "URL",
	 .help = "With pull: the MLflow server, http://HOST:5000 for example. Without it the environment's MLFLOW_REGISTRY_URI or "
			 "MLFLOW_TRACKING_URI."},
	{"drop", FLAG(drop), .help = "With alias: drop the alias instead of setting it."},
};

static bool describe_action(size_t i, struct options_action *out);

const struct options_table models_options = {
	.command = "models",
	.synopsis = "ACTION [NAME …] [--models DIR] [OPTIONS]",
	.summary = "Lists, proves and changes the versions of the model store. A running server takes a change within a second.",
	.rows = rows,
	.n_rows = sizeof rows / sizeof rows[0],
	.action = describe_action,
};

typedef enum err action_run(const struct models_options *o, char **operands, struct err_info *info);

static action_run list;
static action_run show;
static action_run verify;
static action_run promote;
static action_run rollback;
static action_run alias;
static action_run drop;
static action_run remove_version;

struct action {
	const char *name;
	const char *operands;
	int n_operands;
	action_run *run;
	const char *summary;
};

static const struct action actions[] = {
	{"list", "", 0, list, "every model with its versions and aliases"},
	{"show", "NAME[/VERSION]", 1, show, "a model's versions, or all of one"},
	{"verify", "NAME[/VERSION]", 1, verify, "prove a version, or all of them: sha256, load, golden rows, made-up rows"},
	{"promote", "NAME VERSION", 2, promote, "prove a version and make it the champion"},
	{"rollback", "NAME", 1, rollback, "make the champion from before the last promotion champion again"},
	{"alias", "NAME ALIAS VERSION", 3, alias, "give another alias to a version; --drop NAME ALIAS takes it away"},
	{"import", "NAME FILE", 2, models_import, "add a model file of XGBoost as a new version"},
	{"pull", "models:/NAME@ALIAS", 1, models_pull, "add a version of MLflow's registry, or models:/NAME/VERSION"},
	{"remove", "NAME VERSION", 2, remove_version, "remove a version that no alias names; its number is not used again"},
};

enum { N_ACTIONS = sizeof actions / sizeof actions[0] };

static const struct action drop_action = {"alias", "--drop NAME ALIAS", 2, drop, NULL};

static bool
describe_action(size_t i, struct options_action *out)
{
	if (i >= N_ACTIONS)
		return false;
	*out = (struct options_action){actions[i].name, actions[i].operands, actions[i].summary};
	return true;
}

static void
print_help(void)
{
	options_print_help(&models_options, stdout);
	(void)printf("\nActions:\n");
	for (size_t i = 0; i < N_ACTIONS; i++) {
		char usage[64];
		(void)snprintf(usage, sizeof usage, "%s %s", actions[i].name, actions[i].operands);
		(void)printf("  %-27s %s\n", usage, actions[i].summary);
	}
}

static const struct action *
find_action(const char *name)
{
	for (size_t i = 0; i < N_ACTIONS; i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

/* An option that the action does not know would be passed over in silence. */
static enum err
check_options(const struct models_options *o, const struct action *a, struct err_info *info)
{
	bool takes = a->run == models_import || a->run == models_pull;

	if (o->json && a->run != list && a->run != show)
		return err_set(info, ERR_USAGE, "--json is for list and show");
	if ((o->promote || o->unproven || o->golden[0] != '\0' || o->feature_names[0] != '\0') && !takes)
		return err_set(info, ERR_USAGE, "--promote, --unproven, --golden and --feature-names are for import and pull");
	if ((o->as[0] != '\0' || o->watch > 0 || o->mlflow[0] != '\0') && a->run != models_pull)
		return err_set(info, ERR_USAGE, "--as, --watch and --mlflow are for pull");
	if (o->drop && a->run != drop)
		return err_set(info, ERR_USAGE, "--drop is for alias");
	return ERR_OK;
}

static enum err
run(struct models_options *o, int argc, char **argv, bool *help, struct err_info *info)
{
	int n;

	options_init(&models_options, o);
	enum err e = options_argv(&models_options, o, argc, argv, help, &n, info);
	if (e != ERR_OK || *help)
		return e;
	if (n == 0)
		return err_set(info, ERR_USAGE, "expected an action; futaie models --help lists them");
	const struct action *a = find_action(argv[0]);
	if (a == NULL)
		return err_set(info, ERR_USAGE, "there is no action \"%.60s\"; futaie models --help lists them", argv[0]);
	if (a->run == alias && o->drop)
		a = &drop_action;
	if (n - 1 != a->n_operands)
		return err_set(info, ERR_USAGE, "usage: futaie models %s %s", a->name, a->operands);
	e = check_options(o, a, info);
	return e == ERR_OK ? a->run(o, argv + 1, info) : e;
}

int
cmd_models(int argc, char **argv)
{
	struct models_options *o = calloc(1, sizeof *o);
	struct err_info info;
	bool help = false;
	enum err e;

	if (o == NULL)
		e = err_set(&info, ERR_OUT_OF_MEMORY, "no memory for the options");
	else
		e = run(o, argc - 1, argv + 1, &help, &info);
	free(o);
	if (e == ERR_OK && help)
		print_help();
	if (e == ERR_OK && (fflush(stdout) != 0 || ferror(stdout)))
		e = err_set(&info, ERR_FILE, "cannot write to standard output");
	if (e != ERR_OK)
		(void)fprintf(stderr, "futaie models: %s\n", info.text);
	return e == ERR_OK ? EXIT_DONE : e == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

static void
say_waiting(const char *dir)
{
	(void)fprintf(stderr, "futaie: another command is changing %s; waiting for it\n", dir);
}

enum err
models_lock(struct store_edit *edit, const char *dir, bool create, struct err_info *info)
{
	return store_edit_init(edit, dir, create, say_waiting, info);
}

enum err
models_promote(struct store_edit *edit, const char *name, const char *version, struct err_info *info)
{
	char before[MANIFEST_VERSION_MAX];
	enum err e = versions_promote(edit, TRIAL_SELF, name, version, before, info);

	if (e != ERR_OK)
		return e;
	if (strcmp(before, version) == 0)
		(void)printf("%s: version %s is the champion already\n", name, version);
	else if (before[0] == '\0')
		(void)printf("%s: version %s is the champion now\n", name, version);
	else
		(void)printf("%s: version %s is the champion now; before it was %s, which rollback brings back\n", name, version, before);
	return ERR_OK;
}

/* NAME or NAME/VERSION; `version` is NULL without one. */
static enum err
split_operand(char *operand, const char **version, struct err_info *info)
{
	char *slash = strchr(operand, '/');

	*version = NULL;
	if (slash != NULL) {
		*slash = '\0';
		*version = slash + 1;
	}
	if (!store_is_name(operand) || (slash != NULL && !store_is_version(*version)))
		return err_set(info, ERR_USAGE, "expected NAME or NAME/VERSION, california-housing/1 for example");
	return ERR_OK;
}

/* Reads the store and finds the operand's model, and its version where there is one. */
static enum err
open_store(const struct models_options *o, char *operand, struct store *store, const struct store_model **m, const char **version,
		   struct err_info *info)
{
	*store = (struct store){0};
	enum err e = split_operand(operand, version, info);
	if (e == ERR_OK)
		e = store_init(store, o->models, info);
	if (e == ERR_OK)
		e = versions_find(store, o->models, operand, m, info);
	if (e == ERR_OK && *version != NULL)
		e = versions_check(*m, *version, info);
	return e;
}

static void
print_versions_json(const struct store_model *m)
{
	(void)printf("{\"name\": \"%s\", \"versions\": [", m->name);
	for (size_t i = 0; i < m->n_versions; i++)
		(void)printf("%s\"%ld\"", i == 0 ? "" : ", ", m->versions[i]);
	(void)printf("], \"aliases\": {");
	for (size_t i = 0; i < m->n_aliases; i++)
		(void)printf("%s\"%s\": \"%s\"", i == 0 ? "" : ", ", m->aliases[i].name, m->aliases[i].version);
	(void)printf("}}");
}

static void
print_model(const struct store_model *m)
{
	const char *champion = store_alias(m, VERSIONS_CHAMPION);

	(void)printf("%-32s %-9s ", m->name, champion != NULL ? champion : "-");
	for (size_t i = 0; i < m->n_versions; i++)
		(void)printf("%s%ld", i == 0 ? "" : ",", m->versions[i]);
	for (size_t i = 0; i < m->n_aliases; i++)
		if (strcmp(m->aliases[i].name, VERSIONS_CHAMPION) != 0)
			(void)printf("  %s=%s", m->aliases[i].name, m->aliases[i].version);
	(void)printf("\n");
}

static enum err
list(const struct models_options *o, char **operands, struct err_info *info)
{
	struct store store;
	size_t n_broken = 0;
	enum err e = store_init(&store, o->models, info);

	(void)operands;
	if (e != ERR_OK)
		return e;
	if (o->json)
		(void)printf("{\"models\": [");
	else if (store.n_models == 0)
		(void)printf("%s holds no models; futaie models import or futaie train adds one\n", o->models);
	else
		(void)printf("%-32s %-9s %s\n", "NAME", "CHAMPION", "VERSIONS AND OTHER ALIASES");
	for (size_t i = 0; i < store.n_models; i++) {
		const struct store_model *m = &store.models[i];
		if (m->problem[0] != '\0') {
			(void)fprintf(stderr, "futaie models: %s: %s\n", m->name, m->problem);
			n_broken++;
		}
		if (o->json) {
			(void)printf("%s", i == 0 ? "" : ", ");
			print_versions_json(m);
		} else {
			print_model(m);
		}
	}
	if (o->json)
		(void)printf("]}\n");
	store_release(&store);
	return n_broken == 0 ? ERR_OK : err_set(info, ERR_FILE, "models that cannot be read: %zu", n_broken);
}

/* One line of `show NAME`. */
static enum err
print_version(const char *dir, const struct store_model *m, long number, struct err_info *info)
{
	char version[MANIFEST_VERSION_MAX];
	char folder[PATH_MAX];
	struct manifest manifest;
	struct proof proof;

	(void)snprintf(version, sizeof version, "%d", (int)number);
	if (!store_version_folder(folder, sizeof folder, dir, m->name, version))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", dir);
	enum err e = manifest_init(&manifest, folder, m->name, version, info);
	if (e != ERR_OK)
		return e;
	bool tried = proof_read(&proof, folder, manifest.sha256);
	(void)printf("%-8s %-21s %-20s %8zu  %.12s  %-7s  %-8s", version, manifest.created, manifest.objective, manifest.features.n,
				 manifest.sha256,
				 manifest.golden.unproven ? "no"
				 : tried                  ? "yes"
										  : "to do",
				 !tried                         ? "-"
				 : proof.scorer == MODEL_FOREST ? "forest"
												: "xgboost");
	for (size_t i = 0; i < m->n_aliases; i++)
		if (strcmp(m->aliases[i].version, version) == 0)
			(void)printf(" %s", m->aliases[i].name);
	(void)printf("\n");
	manifest_release(&manifest);
	return ERR_OK;
}

static enum err
print_manifest(const char *dir, const char *name, const char *version, struct err_info *info)
{
	char folder[PATH_MAX];
	char path[PATH_MAX];
	struct buf text;

	if (!store_version_folder(folder, sizeof folder, dir, name, version) || !files_join(path, sizeof path, folder, "manifest.json"))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", dir);
	buf_init(&text, MANIFEST_FILE_MAX);
	enum err e = files_read(path, &text, info);
	if (e == ERR_OK)
		(void)fwrite(text.data, 1, text.len, stdout);
	buf_release(&text);
	return e;
}

static enum err
show(const struct models_options *o, char **operands, struct err_info *info)
{
	struct store store;
	const struct store_model *m;
	const char *version;
	enum err e = open_store(o, operands[0], &store, &m, &version, info);

	if (e == ERR_OK && version != NULL) {
		e = print_manifest(o->models, m->name, version, info);
	} else if (e == ERR_OK && o->json) {
		print_versions_json(m);
		(void)printf("\n");
	} else if (e == ERR_OK) {
		(void)printf("%-8s %-21s %-20s %8s  %-12s  %-7s  %-8s %s\n", "VERSION", "CREATED", "OBJECTIVE", "FEATURES", "SHA256",
					 "PROVEN", "SCORER", "ALIASES");
		size_t n_broken = 0;
		for (size_t i = 0; i < m->n_versions; i++) {
			struct err_info why;
			if (print_version(o->models, m, m->versions[i], &why) == ERR_OK)
				continue;
			(void)fprintf(stderr, "futaie models: version %ld: %s\n", m->versions[i], why.text);
			n_broken++;
		}
		if (n_broken > 0)
			e = err_set(info, ERR_FILE, "versions that cannot be read: %zu", n_broken);
	}
	store_release(&store);
	return e;
}

static bool
verify_one(const char *dir, const char *name, const char *version)
{
	struct err_info info;
	struct proof proof;
	uint64_t start = clock_now_ns();

	if (trial_prove(TRIAL_SELF, dir, name, version, &proof, &info) != ERR_OK) {
		(void)fflush(stdout);
		(void)fprintf(stderr, "futaie models: %s\n", info.text);
		return false;
	}
	(void)printf("%s/%s: proven: sha256, load, golden rows, %zu made-up rows, in %.2f s; scorer %s%s%s\n", name, version,
				 proof.rows, (double)(clock_now_ns() - start) * 1e-9, proof.scorer == MODEL_FOREST ? "forest" : "xgboost",
				 proof.reason[0] != '\0' ? ": " : "", proof.reason);
	return true;
}

static enum err
verify(const struct models_options *o, char **operands, struct err_info *info)
{
	struct store store;
	const struct store_model *m;
	const char *version;
	size_t n_failed = 0;
	enum err e = open_store(o, operands[0], &store, &m, &version, info);

	if (e == ERR_OK && version != NULL)
		n_failed += !verify_one(o->models, m->name, version);
	for (size_t i = 0; e == ERR_OK && version == NULL && i < m->n_versions; i++) {
		char number[MANIFEST_VERSION_MAX];
		(void)snprintf(number, sizeof number, "%d", (int)m->versions[i]);
		n_failed += !verify_one(o->models, m->name, number);
	}
	if (e == ERR_OK && version == NULL && m->n_versions == 0)
		e = err_set(info, ERR_FILE, "model %s has no versions", m->name);
	store_release(&store);
	return e == ERR_OK && n_failed > 0 ? err_set(info, ERR_BAD_MODEL, "versions that cannot be served: %zu", n_failed) : e;
}

static enum err
promote(const struct models_options *o, char **operands, struct err_info *info)
{
	struct store_edit edit;
	enum err e = models_lock(&edit, o->models, false, info);

	if (e == ERR_OK)
		e = models_promote(&edit, operands[0], operands[1], info);
	store_edit_release(&edit);
	return e;
}

static enum err
rollback(const struct models_options *o, char **operands, struct err_info *info)
{
	struct store_edit edit;
	char from[MANIFEST_VERSION_MAX];
	char to[MANIFEST_VERSION_MAX];
	enum err e = models_lock(&edit, o->models, false, info);

	if (e == ERR_OK)
		e = versions_rollback(&edit, TRIAL_SELF, operands[0], from, to, info);
	if (e == ERR_OK)
		(void)printf("%s: version %s is the champion again, in place of %s\n", operands[0], to, from);
	store_edit_release(&edit);
	return e;
}

static enum err
alias(const struct models_options *o, char **operands, struct err_info *info)
{
	struct store_edit edit;
	enum err e = models_lock(&edit, o->models, false, info);

	if (e == ERR_OK)
		e = versions_alias(&edit, operands[0], operands[1], operands[2], info);
	if (e == ERR_OK)
		(void)printf("%s: %s is version %s now\n", operands[0], operands[1], operands[2]);
	store_edit_release(&edit);
	return e;
}

static enum err
drop(const struct models_options *o, char **operands, struct err_info *info)
{
	struct store_edit edit;
	enum err e = models_lock(&edit, o->models, false, info);

	if (e == ERR_OK)
		e = versions_alias(&edit, operands[0], operands[1], NULL, info);
	if (e == ERR_OK)
		(void)printf("%s: there is no %s any more\n", operands[0], operands[1]);
	store_edit_release(&edit);
	return e;
}

static enum err
remove_version(const struct models_options *o, char **operands, struct err_info *info)
{
	struct store_edit edit;
	enum err e = models_lock(&edit, o->models, false, info);

	if (e == ERR_OK)
		e = versions_remove(&edit, operands[0], operands[1], info);
	if (e == ERR_OK)
		(void)printf("%s: version %s is removed\n", operands[0], operands[1]);
	store_edit_release(&edit);
	return e;
}
