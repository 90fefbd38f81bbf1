/* shelf.c - what one reading of the model store gave: champions, proven, and ready-made JSON */
#include "serve/shelf.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "model/trial.h"

enum { JSON_MAX = 64 * 1024 * 1024 };

static enum err fill(const struct catalog_source *source, const struct shelf *old, enum catalog_proof proof, struct shelf *shelf,
					 size_t *n_failed, struct err_info *info);

struct served *
served_open(const struct catalog_source *source, struct model *model)
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

struct served *
served_ref(struct served *s)
{
	if (s != NULL)
		s->refs++;
	return s;
}

void
served_unref(struct served *s)
{
	if (s == NULL || --s->refs > 0)
		return;
	model_free(s->model);
	free(s);
}

enum err
shelf_open(const struct catalog_source *source, const struct shelf *old, enum catalog_proof proof, struct shelf **out,
		   size_t *n_failed, struct err_info *info)
{
	struct shelf *shelf = calloc(1, sizeof *shelf);

	*out = NULL;
	*n_failed = 0;
	if (shelf == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the models");
	shelf->refs = 1;
	enum err e = fill(source, old, proof, shelf, n_failed, info);
	if (e != ERR_OK) {
		shelf_free(shelf);
		return e;
	}
	*out = shelf;
	return ERR_OK;
}

void
shelf_free(struct shelf *shelf)
{
	if (shelf == NULL || --shelf->refs > 0)
		return;
	for (size_t i = 0; shelf->entries != NULL && i < shelf->store.n_models; i++) {
		served_unref(shelf->entries[i].champion);
		free(shelf->entries[i].json);
	}
	free(shelf->entries);
	free(shelf->models_json);
	store_release(&shelf->store);
	free(shelf);
}

static int
compare_entry(const void *name, const void *entry)
{
	return strcmp(name, ((const struct entry *)entry)->stored->name);
}

struct entry *
shelf_find(const struct shelf *shelf, const char *name)
{
	return bsearch(name, shelf->entries, shelf->store.n_models, sizeof *shelf->entries, compare_entry);
}

bool
shelf_has_champion(const struct shelf *shelf)
{
	for (size_t i = 0; i < shelf->store.n_models; i++)
		if (shelf->entries[i].champion != NULL)
			return true;
	return false;
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

void
shelf_write_model(const struct store_model *stored, const struct model *m, struct buf *out)
{
	buf_printf(out, "{\"name\":\"%s\",\"version\":", stored->name);
	if (m == NULL) {
		buf_str(out, "null,");
		write_versions(stored, out);
		buf_str(out, "}\n");
		return;
	}
	buf_printf(out, "\"%s\",", model_version(m));
	write_versions(stored, out);
	buf_str(out, ",\"created\":");
	text_json_string(out, model_created(m), strlen(model_created(m)));
	buf_str(out, ",\"features\":");
	buf_str(out, model_features_json(m));
	buf_printf(out, ",\"objective\":\"%s\",\"outputs\":%zu,\"metrics\":", model_shape(m)->objective,
			   model_outputs(m, BOOSTER_VALUE));
	buf_str(out, model_metrics_json(m));
	buf_printf(out, ",\"sha256\":\"%s\",\"scorer\":\"%s\"", model_sha256(m), model_scorer_name(m));
	if (model_scorer_reason(m)[0] != '\0') {
		buf_str(out, ",\"scorer_reason\":");
		text_json_string(out, model_scorer_reason(m), strlen(model_scorer_reason(m)));
	}
	buf_str(out, "}\n");
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
		const struct entry *entry = &shelf->entries[i];
		buf_printf(&list, "%s{\"name\":\"%s\",", i == 0 ? "" : ",", shelf->store.models[i].name);
		write_versions(&shelf->store.models[i], &list);
		buf_str(&list, "}");
		buf_reset(&one);
		shelf_write_model(entry->stored, entry->champion != NULL ? entry->champion->model : NULL, &one);
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
	if (!store_version_folder(folder, sizeof folder, source->store, name, version) ||
		manifest_init(&m, folder, name, version, &ignored) != ERR_OK)
		return false;
	bool same = strcmp(m.sha256, model_sha256(s->model)) == 0;
	manifest_release(&m);
	return same;
}

static bool
is_model(const char *name, const struct store_model *stored)
{
	return name != NULL && strcmp(name, stored->name) == 0;
}

/* What the operator unloaded stays so, whatever happens in the store. */
static bool
stays_unloaded(const struct catalog_source *source, const struct entry *before, const struct store_model *stored)
{
	return is_model(source->unload, stored) || (before != NULL && before->unloaded && !is_model(source->load, stored));
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
	entry->unloaded = stays_unloaded(source, before, stored);
	if (version == NULL || entry->unloaded)
		return ERR_OK;
	if (proof == CATALOG_PROVE_NEW && !is_model(source->load, stored) && is_served(source, served, stored->name, version)) {
		entry->champion = served_ref(served);
		return ERR_OK;
	}
	enum err e = trial_open(source->trial, source->store, stored->name, version, &model, info);
	if (e != ERR_OK)
		return e;
	if (same_version(served, model)) {
		model_free(model); /* keep the one that is warm */
		entry->champion = served_ref(served);
		return ERR_OK;
	}
	entry->champion = served_open(source, model);
	if (entry->champion == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the model %s", stored->name);
	const char *reason = model_scorer_reason(model);
	log_message(source->log, LOG_INFO, "champion", "model %s version %s serves, scored by %s%s%s", stored->name, version,
				strcmp(model_scorer_name(model), "forest") == 0 ? "the compiled forest" : "libxgboost",
				reason[0] != '\0' ? ": " : "", reason);
	return ERR_OK;
}

/* What `old` served goes on where the champion cannot be loaded. */
static void
prove_champion(const struct catalog_source *source, const struct shelf *old, enum catalog_proof proof, struct entry *entry)
{
	const struct entry *before = old != NULL ? shelf_find(old, entry->stored->name) : NULL;
	struct err_info why;

	enum err e = load_champion(source, before, proof, entry, &why);
	if (e == ERR_OK)
		return;
	metrics_model_failure(entry->refused, e);
	(void)snprintf(entry->problem, sizeof entry->problem, "%s", why.text);
	entry->champion = before != NULL ? served_ref(before->champion) : NULL;
	if (entry->champion != NULL)
		log_message(source->log, LOG_ERROR, "champion_failed", "%s; version %s goes on serving", why.text,
					model_version(entry->champion->model));
	else
		log_message(source->log, LOG_ERROR, "champion_failed", "%s", why.text);
}

/* Proves all champions. Where there are some and none can serve, that is a failure of the whole. */
static enum err
prove_champions(const struct catalog_source *source, const struct shelf *old, enum catalog_proof proof, struct shelf *shelf,
				size_t *n_failed, struct err_info *info)
{
	const struct entry *failed = NULL;
	size_t n_champions = 0;
	size_t n_unloaded = 0;

	for (size_t i = 0; i < shelf->store.n_models; i++) {
		struct entry *entry = &shelf->entries[i];
		prove_champion(source, old, proof, entry);
		n_champions += entry->champion != NULL;
		n_unloaded += entry->unloaded;
		if (entry->problem[0] == '\0')
			continue;
		failed = entry;
		++*n_failed;
	}
	if (n_champions == 0 && n_unloaded == 0 && old != NULL && shelf_has_champion(old))
		return err_set(info, ERR_FILE, "%s names no champion any more, as if it were not mounted", source->store);
	if (n_champions == 0 && failed != NULL)
		return err_set(info, ERR_BAD_MODEL, "no model can be served: %s", failed->problem);
	return ERR_OK;
}

/* The only model, or the only one with a champion: another that is not promoted yet must not take /predict away. NULL where there is none. */
static const struct entry *
only_model(const struct shelf *shelf)
{
	const struct entry *only = NULL;

	if (shelf->store.n_models == 1)
		return &shelf->entries[0];
	for (size_t i = 0; i < shelf->store.n_models; i++) {
		const struct entry *entry = &shelf->entries[i];
		if (store_alias(entry->stored, "champion") == NULL && entry->champion == NULL)
			continue;
		if (only != NULL)
			return NULL;
		only = entry;
	}
	return only;
}

static enum err
choose_default(const struct catalog_source *source, struct shelf *shelf, struct err_info *info)
{
	if (source->default_model[0] == '\0') {
		shelf->standard = only_model(shelf);
		return ERR_OK;
	}
	shelf->standard = shelf_find(shelf, source->default_model);
	if (shelf->standard == NULL)
		return err_set(info, ERR_FILE, "%s has no model \"%.64s\", which --default-model names", source->store,
					   source->default_model);
	return ERR_OK;
}

static enum err
fill(const struct catalog_source *source, const struct shelf *old, enum catalog_proof proof, struct shelf *shelf, size_t *n_failed,
	 struct err_info *info)
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
