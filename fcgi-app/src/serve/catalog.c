/* catalog.c - what is served at one moment: models, their champions, versions loaded by number */
#include "serve/catalog.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "model/store.h"
#include "model/trial.h"

enum { JSON_MAX = 64 * 1024 * 1024, FAILURES_MAX = 64 };

/* A loaded version, shared by the catalogs that name it. */
struct served {
	struct model *model; /* owned */
	struct metrics_series *series;
	size_t refs;
	_Atomic uint64_t used_ns; /* last time it was chosen by number; written by workers */
};

/* A model of the store. */
struct entry {
	const struct store_model *stored; /* in the shelf's store */
	struct metrics_series *refused;   /* counts what no version of it could answer */
	struct served *champion;          /* counted; NULL where there is none or none could be proven */
	char *json;                       /* owned; the body of GET /models/NAME */
	char problem[ERR_TEXT_MAX];       /* why the champion that the store names does not serve, or "" */
};

/* What one reading of the store gave; shared by the catalogs that differ only in extras. */
struct shelf {
	struct store store;           /* owned */
	struct entry *entries;        /* owned; store.n_models, by name */
	const struct entry *standard; /* the default model, or NULL */
	char *models_json;            /* owned; the body of GET /models */
	size_t refs;
};

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

static enum err fill_shelf(const struct catalog_source *source, const struct catalog *old, enum catalog_proof proof,
						   struct shelf *shelf, size_t *n_failed, struct err_info *info);
static struct served *new_served(const struct catalog_source *source, struct model *model);
static struct served *ref(struct served *s);
static void unref(struct served *s);
static void free_shelf(struct shelf *shelf);
static void add_extra(struct catalog *c, struct served *s);
static void keep_extras(struct catalog *c, const struct catalog *old);

static int
compare_entry(const void *name, const void *entry)
{
	return strcmp(name, ((const struct entry *)entry)->stored->name);
}

static struct entry *
find_entry(const struct shelf *shelf, const char *name)
{
	return bsearch(name, shelf->entries, shelf->store.n_models, sizeof *shelf->entries, compare_entry);
}

enum err
catalog_open(const struct catalog_source *source, const struct catalog *old, enum catalog_proof proof, struct catalog **out,
			 size_t *n_failed, struct err_info *info)
{
	struct catalog *c = calloc(1, sizeof *c);

	*out = NULL;
	*n_failed = 0;
	if (c == NULL || (c->shelf = calloc(1, sizeof *c->shelf)) == NULL) {
		catalog_free(c);
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for a catalog");
	}
	c->shelf->refs = 1;
	c->unknown = metrics_unknown(source->metrics);
	enum err e = fill_shelf(source, old, proof, c->shelf, n_failed, info);
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
	struct served *s = new_served(source, model);
	struct catalog *c = s != NULL ? copy(old) : NULL;
	if (c == NULL) {
		unref(s);
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for another version; try again later");
	}
	add_extra(c, s);
	unref(s);
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
		unref(c->extras[i]);
	free_shelf(c->shelf);
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

enum err
catalog_choose(const struct catalog *c, const char *name, struct catalog_choice *choice, struct err_info *info)
{
	const struct shelf *shelf = c->shelf;
	const struct entry *entry = *name == '\0' ? shelf->standard : find_entry(shelf, name);

	*choice = (struct catalog_choice){.series = c->unknown};
	if (entry == NULL && *name != '\0')
		return unknown_model(name, info);
	if (entry == NULL && shelf->store.n_models == 0)
		return err_set(info, ERR_NOT_READY, "the model store is empty; the operator must put a model there");
	if (entry == NULL)
		return err_set(info, ERR_NO_DEFAULT_MODEL,
					   "there are %zu models and none is the default; use /models/NAME/predict, or start with --default-model NAME",
					   shelf->store.n_models);
	choice->series = entry->refused;
	if (entry->champion != NULL)
		return take(entry->champion, choice);
	if (entry->problem[0] != '\0')
		return err_set(info, ERR_NOT_READY, "the champion of %s cannot be served; the server's log says why", entry->stored->name);
	return err_set(info, ERR_NO_CHAMPION, "the model %s has no champion: its aliases.json must name one", entry->stored->name);
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
	const struct entry *entry = find_entry(c->shelf, name);

	*choice = (struct catalog_choice){.series = c->unknown};
	*unloaded = false;
	if (entry == NULL)
		return unknown_model(name, info);
	choice->series = entry->refused;
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
	const struct entry *entry = find_entry(c->shelf, name);

	return entry != NULL ? entry->json : NULL;
}

static bool
has_champion(const struct shelf *shelf)
{
	for (size_t i = 0; i < shelf->store.n_models; i++)
		if (shelf->entries[i].champion != NULL)
			return true;
	return false;
}

bool
catalog_ready(const struct catalog *c)
{
	const struct shelf *shelf = c->shelf;

	return shelf->standard != NULL ? shelf->standard->champion != NULL : has_champion(shelf);
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

static void
write_info(const struct served *s, const char *role, struct buf *out)
{
	buf_str(out, "futaie_model_info{model=");
	metrics_label(out, model_name(s->model));
	buf_str(out, ",version=");
	metrics_label(out, model_version(s->model));
	buf_printf(out, ",role=\"%s\",objective=\"%s\",scorer=\"%s\",sha256=\"%s\"} 1\n", role, model_shape(s->model)->objective,
			   model_scorer(s->model), model_sha256(s->model));
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

/* Owns the model from here on, also on failure; NULL without memory. Counted once, for the caller. */
static struct served *
new_served(const struct catalog_source *source, struct model *model)
{
	struct served *s = calloc(1, sizeof *s);

	if (s == NULL) {
		model_free(model);
		return NULL;
	}
	s->model = model;
	s->series = metrics_series(source->metrics, model_name(model), model_version(model));
	s->refs = 1;
	s->used_ns = clock_now_ns();
	return s;
}

static struct served *
ref(struct served *s)
{
	if (s != NULL)
		s->refs++;
	return s;
}

static void
unref(struct served *s)
{
	if (s == NULL || --s->refs > 0)
		return;
	model_free(s->model);
	free(s);
}

static void
free_shelf(struct shelf *shelf)
{
	if (shelf == NULL || --shelf->refs > 0)
		return;
	for (size_t i = 0; shelf->entries != NULL && i < shelf->store.n_models; i++) {
		unref(shelf->entries[i].champion);
		free(shelf->entries[i].json);
	}
	free(shelf->entries);
	free(shelf->models_json);
	store_release(&shelf->store);
	free(shelf);
}

static void
add_extra(struct catalog *c, struct served *s)
{
	size_t oldest = 0;

	if (c->n_extras < CATALOG_EXTRAS_MAX) {
		c->extras[c->n_extras++] = ref(s);
		return;
	}
	for (size_t i = 1; i < c->n_extras; i++)
		if (c->extras[i]->used_ns < c->extras[oldest]->used_ns)
			oldest = i;
	unref(c->extras[oldest]);
	c->extras[oldest] = ref(s);
}

/* Keeps the versions that were loaded by number and are still in the store. */
static void
keep_extras(struct catalog *c, const struct catalog *old)
{
	for (size_t i = 0; i < old->n_extras; i++) {
		const struct entry *entry = find_entry(c->shelf, model_name(old->extras[i]->model));
		const char *version = model_version(old->extras[i]->model);
		if (entry != NULL && store_has_version(entry->stored, version) && find_served(c, entry, version) == NULL)
			add_extra(c, old->extras[i]);
	}
}

static void
write_versions(const struct store_model *m, struct buf *out)
{
	buf_str(out, "\"versions\":[");
	for (size_t i = 0; i < m->n_versions; i++)
		buf_printf(out, "%s\"%ld\"", i == 0 ? "" : ",", m->versions[i]);
	buf_str(out, "],\"aliases\":{");
	for (size_t i = 0; i < m->n_aliases; i++)
		buf_printf(out, "%s\"%s\":\"%s\"", i == 0 ? "" : ",", m->aliases[i].name, m->aliases[i].version);
	buf_str(out, "}");
}

static void
write_entry(const struct entry *entry, struct buf *out)
{
	buf_printf(out, "{\"name\":\"%s\",\"version\":", entry->stored->name);
	if (entry->champion == NULL) {
		buf_str(out, "null,");
		write_versions(entry->stored, out);
		buf_str(out, "}\n");
		return;
	}
	const struct model *m = entry->champion->model;
	buf_printf(out, "\"%s\",", model_version(m));
	write_versions(entry->stored, out);
	buf_str(out, ",\"created\":");
	text_json_string(out, model_created(m), strlen(model_created(m)));
	buf_str(out, ",\"features\":");
	buf_str(out, model_features_json(m));
	buf_printf(out, ",\"objective\":\"%s\",\"outputs\":%zu,\"metrics\":", model_shape(m)->objective,
			   model_outputs(m, BOOSTER_VALUE));
	buf_str(out, model_metrics_json(m));
	buf_printf(out, ",\"sha256\":\"%s\",\"scorer\":\"%s\"}\n", model_sha256(m), model_scorer(m));
}

static enum err
write_json(struct shelf *shelf, struct err_info *info)
{
	struct buf list;
	struct buf one;
	bool ok = true;

	buf_init(&list, JSON_MAX);
	buf_init(&one, JSON_MAX);
	buf_str(&list, "{\"models\":[");
	for (size_t i = 0; i < shelf->store.n_models && ok; i++) {
		buf_printf(&list, "%s{\"name\":\"%s\",", i == 0 ? "" : ",", shelf->store.models[i].name);
		write_versions(&shelf->store.models[i], &list);
		buf_str(&list, "}");
		buf_reset(&one);
		write_entry(&shelf->entries[i], &one);
		shelf->entries[i].json = strdup(buf_peek(&one));
		ok = buf_ok(&one) && shelf->entries[i].json != NULL;
	}
	buf_str(&list, "]}\n");
	shelf->models_json = strdup(buf_peek(&list));
	ok = ok && buf_ok(&list) && shelf->models_json != NULL;
	buf_release(&list);
	buf_release(&one);
	return ok ? ERR_OK : err_set(info, ERR_OUT_OF_MEMORY, "no memory for the models' descriptions");
}

static bool
same_version(const struct served *s, const struct model *model)
{
	return s != NULL && strcmp(model_version(s->model), model_version(model)) == 0 &&
		   strcmp(model_sha256(s->model), model_sha256(model)) == 0;
}

/* True where the manifest in the store is of the very model that is served. */
static bool
is_served(const struct catalog_source *source, const struct served *s, const char *name, const char *version)
{
	char folder[PATH_MAX];
	struct manifest m;
	struct err_info ignored;

	if (s == NULL || strcmp(model_version(s->model), version) != 0)
		return false;
	int n = snprintf(folder, sizeof folder, "%s/%s/%s", source->store, name, version);
	if (n < 0 || (size_t)n >= sizeof folder || manifest_init(&m, folder, name, version, &ignored) != ERR_OK)
		return false;
	bool same = strcmp(m.sha256, model_sha256(s->model)) == 0;
	manifest_release(&m);
	return same;
}

/* Loads the champion that the store names for `entry`, where there is one; the one of `before` is kept where it is the same. */
static enum err
load_champion(const struct catalog_source *source, const struct entry *before, enum catalog_proof proof, struct entry *entry,
			  struct err_info *info)
{
	const struct store_model *stored = entry->stored;
	const char *version = store_alias(stored, "champion");
	struct served *served = before != NULL ? before->champion : NULL;
	struct model *model;

	if (stored->problem[0] != '\0')
		return err_set(info, ERR_BAD_MANIFEST, "model %s: %s", stored->name, stored->problem);
	if (version == NULL)
		return ERR_OK;
	if (proof == CATALOG_PROVE_NEW && is_served(source, served, stored->name, version)) {
		entry->champion = ref(served);
		return ERR_OK;
	}
	enum err e = trial_open(source->trial, source->store, stored->name, version, &model, info);
	if (e != ERR_OK)
		return e;
	if (same_version(served, model)) {
		model_free(model); /* keep the one that is warm */
		entry->champion = ref(served);
		return ERR_OK;
	}
	entry->champion = new_served(source, model);
	if (entry->champion == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the model %s", stored->name);
	log_message(source->log, LOG_INFO, "champion", "model %s version %s serves", stored->name, version);
	return ERR_OK;
}

/* What `old` served goes on where the champion cannot be loaded. */
static void
prove_champion(const struct catalog_source *source, const struct catalog *old, enum catalog_proof proof, struct entry *entry)
{
	const struct entry *before = old != NULL ? find_entry(old->shelf, entry->stored->name) : NULL;
	struct err_info why;

	enum err e = load_champion(source, before, proof, entry, &why);
	if (e == ERR_OK)
		return;
	metrics_model_failure(entry->refused, e);
	(void)snprintf(entry->problem, sizeof entry->problem, "%s", why.text);
	entry->champion = before != NULL ? ref(before->champion) : NULL;
	if (entry->champion != NULL)
		log_message(source->log, LOG_ERROR, "champion_failed", "%s; version %s goes on serving", why.text,
					model_version(entry->champion->model));
	else
		log_message(source->log, LOG_ERROR, "champion_failed", "%s", why.text);
}

/* Proves all champions. Where there are some and none can serve, that is a failure of the whole. */
static enum err
prove_champions(const struct catalog_source *source, const struct catalog *old, enum catalog_proof proof, struct shelf *shelf,
				size_t *n_failed, struct err_info *info)
{
	const struct entry *failed = NULL;
	size_t n_champions = 0;

	for (size_t i = 0; i < shelf->store.n_models; i++) {
		struct entry *entry = &shelf->entries[i];
		prove_champion(source, old, proof, entry);
		n_champions += entry->champion != NULL;
		if (entry->problem[0] == '\0')
			continue;
		failed = entry;
		++*n_failed;
	}
	if (n_champions == 0 && old != NULL && has_champion(old->shelf))
		return err_set(info, ERR_FILE, "%s names no champion any more, as if it were not mounted", source->store);
	if (n_champions == 0 && failed != NULL)
		return err_set(info, ERR_BAD_MODEL, "no model can be served: %s", failed->problem);
	return ERR_OK;
}

static enum err
choose_default(const struct catalog_source *source, struct shelf *shelf, struct err_info *info)
{
	if (source->default_model[0] == '\0') {
		shelf->standard = shelf->store.n_models == 1 ? &shelf->entries[0] : NULL;
		return ERR_OK;
	}
	shelf->standard = find_entry(shelf, source->default_model);
	if (shelf->standard == NULL)
		return err_set(info, ERR_FILE, "%s has no model \"%.64s\", which --default-model names", source->store,
					   source->default_model);
	return ERR_OK;
}

static enum err
fill_shelf(const struct catalog_source *source, const struct catalog *old, enum catalog_proof proof, struct shelf *shelf,
		   size_t *n_failed, struct err_info *info)
{
	enum err e = store_init(&shelf->store, source->store, info);

	if (e != ERR_OK)
		return e;
	shelf->entries = calloc(shelf->store.n_models + 1, sizeof *shelf->entries);
	if (shelf->entries == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the models");
	for (size_t i = 0; i < shelf->store.n_models; i++) {
		shelf->entries[i].stored = &shelf->store.models[i];
		shelf->entries[i].refused = metrics_series(source->metrics, shelf->store.models[i].name, "");
	}
	e = prove_champions(source, old, proof, shelf, n_failed, info);
	if (e == ERR_OK)
		e = choose_default(source, shelf, info);
	if (e == ERR_OK)
		e = write_json(shelf, info);
	return e;
}
