/* catalog.c - what is served at one moment: models, their champions, versions loaded by number */
#include "serve/catalog.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/trial.h"
#include "serve/shelf.h"

enum { FAILURES_MAX = 64 /* versions that are known to fail */ };

/* A version that was asked for by number and cannot be served. */
struct failure {
	char name[MANIFEST_NAME_MAX];
	char version[MANIFEST_VERSION_MAX];
};

struct catalog {
	struct shelf *shelf; /* counted */
	struct metrics_series *unknown;
	struct served *extras[CATALOG_EXTRAS_MAX]; /* counted; the first n_extras */
	size_t n_extras;
	struct failure failures[FAILURES_MAX]; /* the last n_failures, in a ring */
	size_t n_failures;
};

static void add_extra(struct catalog *c, struct served *s);
static void keep_extras(struct catalog *c, const struct catalog *old);

enum err
catalog_open(const struct catalog_source *source, const struct catalog *old, enum catalog_proof proof, struct catalog **out,
			 size_t *n_failed, struct err_info *info)
{
	struct catalog *c = calloc(1, sizeof *c);

	*out = NULL;
	*n_failed = 0;
	if (c == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for a catalog");
	c->unknown = metrics_unknown(source->metrics);
	enum err e = shelf_open(source, old != NULL ? old->shelf : NULL, proof, &c->shelf, n_failed, info);
	if (e != ERR_OK) {
		catalog_free(c);
		return e;
	}
	if (old != NULL)
		keep_extras(c, old);
	*out = c;
	return ERR_OK;
}

/* A catalog with the shelf and the extras of `old`; NULL without memory. */
static struct catalog *
copy(const struct catalog *old)
{
	struct catalog *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->shelf = old->shelf;
	c->shelf->refs++;
	c->unknown = old->unknown;
	for (size_t i = 0; i < old->n_extras; i++)
		add_extra(c, old->extras[i]);
	memcpy(c->failures, old->failures, sizeof c->failures);
	c->n_failures = old->n_failures;
	return c;
}

static enum err
version_failed(const char *name, const char *version, struct err_info *info)
{
	return err_set(info, ERR_MODEL_FAILED, "version %s of the model %s cannot be served; the server's log says why", version, name);
}

/* A copy that remembers what cannot be served, so that nobody can have it tried again and again. */
static enum err
remember_failure(const struct catalog *old, const char *name, const char *version, struct catalog **out, struct err_info *info)
{
	struct catalog *c = copy(old);

	if (c != NULL) {
		struct failure *f = &c->failures[c->n_failures++ % FAILURES_MAX];
		(void)snprintf(f->name, sizeof f->name, "%s", name);
		(void)snprintf(f->version, sizeof f->version, "%s", version);
	}
	*out = c;
	return version_failed(name, version, info);
}

static bool
has_failed(const struct catalog *c, const char *name, const char *version)
{
	for (size_t i = 0; i < c->n_failures && i < FAILURES_MAX; i++)
		if (strcmp(c->failures[i].name, name) == 0 && strcmp(c->failures[i].version, version) == 0)
			return true;
	return false;
}

enum err
catalog_open_with(const struct catalog_source *source, const struct catalog *old, const char *name, const char *version,
				  struct catalog **out, struct err_info *info)
{
	struct model *model;
	struct err_info why;

	*out = NULL;
	enum err e = trial_open(source->trial, source->store, name, version, &model, &why);
	if (e != ERR_OK) {
		log_message(source->log, LOG_ERROR, "version_failed", "%s", why.text);
		metrics_model_failure(metrics_series(source->metrics, name, ""), e);
	}
	if (e == ERR_OUT_OF_MEMORY)
		return err_set(info, e, "no memory for another version; try again later");
	if (e != ERR_OK)
		return remember_failure(old, name, version, out, info);
	struct served *s = served_open(source, model);
	struct catalog *c = s != NULL ? copy(old) : NULL;
	if (c == NULL) {
		served_unref(s);
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for another version; try again later");
	}
	add_extra(c, s);
	served_unref(s);
	log_message(source->log, LOG_INFO, "version_loaded", "model %s version %s was loaded for a request by number", name, version);
	*out = c;
	return ERR_OK;
}

void
catalog_free(struct catalog *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_extras; i++)
		served_unref(c->extras[i]);
	shelf_free(c->shelf);
	free(c);
}

static enum err
take(const struct served *s, struct catalog_choice *choice)
{
	choice->model = s->model;
	choice->series = s->series;
	return ERR_OK;
}

static enum err
unknown_model(const char *name, struct err_info *info)
{
	return err_set(info, ERR_UNKNOWN_MODEL, "there is no model \"%.64s\"; GET /models lists them", name);
}

static enum err
unloaded_model(const struct entry *entry, struct err_info *info)
{
	return err_set(info, ERR_NOT_READY, "the model %s was unloaded by the operator, who may load it again", entry->stored->name);
}

enum err
catalog_choose(const struct catalog *c, const char *name, struct catalog_choice *choice, struct err_info *info)
{
	const struct shelf *shelf = c->shelf;
	const struct entry *entry = *name == '\0' ? shelf->standard : shelf_find(shelf, name);

	*choice = (struct catalog_choice){.catalog = c, .series = c->unknown};
	if (entry == NULL && *name != '\0')
		return unknown_model(name, info);
	if (entry == NULL && shelf->store.n_models == 0)
		return err_set(info, ERR_NOT_READY, "the model store is empty; the operator must put a model there");
	if (entry == NULL)
		return err_set(info, ERR_NO_DEFAULT_MODEL,
					   "there are %zu models and none is the default; use /models/NAME/predict, or start with --default-model NAME",
					   shelf->store.n_models);
	choice->series = entry->refused;
	if (entry->unloaded)
		return unloaded_model(entry, info);
	if (entry->champion != NULL)
		return take(entry->champion, choice);
	if (entry->problem[0] != '\0')
		return err_set(info, ERR_NOT_READY, "the champion of %s cannot be served; the server's log says why", entry->stored->name);
	return err_set(info, ERR_NO_CHAMPION, "the model %s has no champion; futaie models promote %s VERSION names one",
				   entry->stored->name, entry->stored->name);
}

static struct served *
find_served(const struct catalog *c, const struct entry *entry, const char *version)
{
	if (entry->champion != NULL && strcmp(model_version(entry->champion->model), version) == 0)
		return entry->champion;
	for (size_t i = 0; i < c->n_extras; i++)
		if (strcmp(model_name(c->extras[i]->model), entry->stored->name) == 0 &&
			strcmp(model_version(c->extras[i]->model), version) == 0)
			return c->extras[i];
	return NULL;
}

enum err
catalog_choose_version(const struct catalog *c, const char *name, const char *version, struct catalog_choice *choice,
					   bool *unloaded, struct err_info *info)
{
	const struct entry *entry = shelf_find(c->shelf, name);

	*choice = (struct catalog_choice){.catalog = c, .series = c->unknown};
	*unloaded = false;
	if (entry == NULL)
		return unknown_model(name, info);
	choice->series = entry->refused;
	if (entry->unloaded)
		return unloaded_model(entry, info);
	struct served *s = find_served(c, entry, version);
	if (s != NULL) {
		atomic_store_explicit(&s->used_ns, clock_now_ns(), memory_order_relaxed);
		return take(s, choice);
	}
	if (!store_has_version(entry->stored, version))
		return err_set(info, ERR_UNKNOWN_VERSION, "the model %s has no version \"%.16s\"; GET /models/%s lists them",
					   entry->stored->name, version, entry->stored->name);
	if (has_failed(c, name, version))
		return version_failed(entry->stored->name, version, info);
	*unloaded = true;
	return err_set(info, ERR_NOT_READY, "version %s of the model %s is not loaded", version, entry->stored->name);
}

const char *
catalog_models_json(const struct catalog *c)
{
	return c->shelf->models_json;
}

const char *
catalog_model_json(const struct catalog *c, const char *name)
{
	const struct entry *entry = shelf_find(c->shelf, name);

	return entry != NULL ? entry->json : NULL;
}

void
catalog_write_choice(const struct catalog_choice *choice, struct buf *out)
{
	shelf_write_model(shelf_find(choice->catalog->shelf, model_name(choice->model))->stored, choice->model, out);
}

bool
catalog_ready(const struct catalog *c)
{
	const struct shelf *shelf = c->shelf;

	return shelf->standard != NULL ? shelf->standard->champion != NULL : shelf_has_champion(shelf);
}

bool
catalog_has_feature(const struct catalog *c, const char *name, size_t len)
{
	for (size_t i = 0; i < c->shelf->store.n_models; i++) {
		const struct served *champion = c->shelf->entries[i].champion;
		const struct features *f = champion != NULL ? model_features(champion->model) : NULL;
		for (size_t k = 0; f != NULL && k < f->n; k++)
			if (strlen(f->names[k]) == len && memcmp(f->names[k], name, len) == 0)
				return true;
	}
	return false;
}

void
catalog_write_ready(const struct catalog *c, struct buf *out)
{
	const struct shelf *shelf = c->shelf;
	const char *separator = "";

	buf_str(out, "{\"status\":\"ready\",\"models\":[");
	for (size_t i = 0; i < shelf->store.n_models; i++) {
		const struct entry *entry = &shelf->entries[i];
		if (entry->champion == NULL)
			continue;
		buf_printf(out, "%s{\"name\":\"%s\",\"version\":\"%s\"}", separator, entry->stored->name,
				   model_version(entry->champion->model));
		separator = ",";
	}
	separator = "";
	buf_str(out, "],\"failed\":[");
	for (size_t i = 0; i < shelf->store.n_models; i++) {
		if (shelf->entries[i].problem[0] == '\0')
			continue;
		buf_printf(out, "%s\"%s\"", separator, shelf->entries[i].stored->name);
		separator = ",";
	}
	buf_str(out, "]}\n");
}

const struct store *
catalog_store(const struct catalog *c)
{
	return &c->shelf->store;
}

enum catalog_state
catalog_state(const struct catalog *c, const struct store_model *m, const char *version)
{
	const struct entry *entry = shelf_find(c->shelf, m->name);

	if (entry->unloaded)
		return CATALOG_UNLOADED;
	if (find_served(c, entry, version) != NULL)
		return CATALOG_LOADED;
	return has_failed(c, m->name, version) ? CATALOG_FAILED : CATALOG_AVAILABLE;
}

const char *
catalog_problem(const struct catalog *c, const struct store_model *m)
{
	return shelf_find(c->shelf, m->name)->problem;
}

static void
write_info(const struct served *s, const char *role, struct buf *out)
{
	buf_str(out, "futaie_model_info{model=");
	metrics_label(out, model_name(s->model));
	buf_str(out, ",version=");
	metrics_label(out, model_version(s->model));
	buf_printf(out, ",role=\"%s\",objective=\"%s\",scorer=\"%s\",scorer_reason=", role, model_shape(s->model)->objective,
			   model_scorer_name(s->model));
	metrics_label(out, model_scorer_reason(s->model));
	buf_printf(out, ",sha256=\"%s\"} 1\n", model_sha256(s->model));
}

void
catalog_write_metrics(const struct catalog *c, struct buf *out)
{
	buf_str(out, "# HELP futaie_model_info The model versions that are loaded, always 1.\n# TYPE futaie_model_info gauge\n");
	for (size_t i = 0; i < c->shelf->store.n_models; i++)
		if (c->shelf->entries[i].champion != NULL)
			write_info(c->shelf->entries[i].champion, "champion", out);
	for (size_t i = 0; i < c->n_extras; i++)
		write_info(c->extras[i], "by_number", out);
}

static void
add_extra(struct catalog *c, struct served *s)
{
	size_t oldest = 0;

	if (c->n_extras < CATALOG_EXTRAS_MAX) {
		c->extras[c->n_extras++] = served_ref(s);
		return;
	}
	for (size_t i = 1; i < c->n_extras; i++)
		if (c->extras[i]->used_ns < c->extras[oldest]->used_ns)
			oldest = i;
	served_unref(c->extras[oldest]);
	c->extras[oldest] = served_ref(s);
}

/* Keeps the versions that were loaded by number and are still in the store. */
static void
keep_extras(struct catalog *c, const struct catalog *old)
{
	for (size_t i = 0; i < old->n_extras; i++) {
		const struct entry *entry = shelf_find(c->shelf, model_name(old->extras[i]->model));
		const char *version = model_version(old->extras[i]->model);
		if (entry != NULL && !entry->unloaded && store_has_version(entry->stored, version) &&
			find_served(c, entry, version) == NULL)
			add_extra(c, old->extras[i]);
	}
}
