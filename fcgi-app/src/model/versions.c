/* versions.c - what may be done with the versions of a model: add, promote, roll back, alias, remove */
#include "model/versions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "model/proof.h"
#include "model/trial.h"

enum { SHOWN = 20 /* versions in a sentence that lists them */ };

/* A change of one model's aliases. */
struct change {
	struct store store; /* owned */
	const struct store_model *m;
	struct store_alias *aliases; /* owned; a copy with room for two more */
	size_t n;
};

enum err
versions_find(const struct store *store, const char *dir, const char *name, const struct store_model **m, struct err_info *info)
{
	*m = store_find(store, name);
	if (*m == NULL)
		return err_set(info, ERR_FILE, "there is no model \"%.64s\" in %s; futaie models list shows what there is", name, dir);
	if ((*m)->problem[0] != '\0')
		return err_set(info, ERR_FILE, "model %s: %s", name, (*m)->problem);
	return ERR_OK;
}

enum err
versions_check(const struct store_model *m, const char *version, struct err_info *info)
{
	char list[256] = "none";
	size_t first = m->n_versions > SHOWN ? m->n_versions - SHOWN : 0;
	int len = 0;

	if (store_has_version(m, version))
		return ERR_OK;
	for (size_t i = first; i < m->n_versions && len >= 0 && (size_t)len < sizeof list; i++)
		len +=
			snprintf(list + len, sizeof list - (size_t)len, "%s%ld", i == first ? (first > 0 ? "…, " : "") : ", ", m->versions[i]);
	return err_set(info, ERR_FILE, "there is no version %.32s of %s; there are: %s", version, m->name, list);
}

static void
release(struct change *c)
{
	free(c->aliases);
	store_release(&c->store);
}

/* Reads the model as it is now. */
static enum err
begin(struct change *c, const struct store_edit *edit, const char *name, struct err_info *info)
{
	*c = (struct change){0};
	enum err e = store_init(&c->store, edit->dir, info);
	if (e == ERR_OK)
		e = versions_find(&c->store, edit->dir, name, &c->m, info);
	if (e != ERR_OK)
		return e;
	c->aliases = calloc(c->m->n_aliases + 2, sizeof *c->aliases);
	if (c->aliases == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the aliases of %s", name);
	c->n = c->m->n_aliases;
	if (c->n > 0)
		memcpy(c->aliases, c->m->aliases, c->n * sizeof *c->aliases);
	return ERR_OK;
}

/* Sets an alias in the copy, or drops it where `version` is NULL. */
static void
set(struct change *c, const char *alias, const char *version)
{
	size_t i = 0;

	while (i < c->n && strcmp(c->aliases[i].name, alias) != 0)
		i++;
	if (version == NULL) {
		for (; i + 1 < c->n; i++)
			c->aliases[i] = c->aliases[i + 1];
		c->n -= i < c->n;
		return;
	}
	(void)snprintf(c->aliases[i].name, sizeof c->aliases[i].name, "%s", alias);
	(void)snprintf(c->aliases[i].version, sizeof c->aliases[i].version, "%s", version);
	c->n += i == c->n;
}

static enum err
commit(const struct change *c, const struct store_edit *edit, struct err_info *info)
{
	if (c->n > STORE_ALIASES_MAX)
		return err_set(info, ERR_FILE, "model %s has %d aliases, the most that are kept", c->m->name, STORE_ALIASES_MAX);
	return store_edit_aliases(edit, c->m->name, c->aliases, c->n, info);
}

/* Proves a version by a trial and puts that on record; what is on record is opened and asked its golden rows again. */
static enum err
prove(const char *program, const char *store, const char *name, const char *version, struct err_info *info)
{
	char folder[PATH_MAX];
	struct manifest m;
	struct proof proof;

	if (!store_version_folder(folder, sizeof folder, store, name, version))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", store);
	enum err e = manifest_init(&m, folder, name, version, info);
	if (e != ERR_OK)
		return e;
	if (proof_read(&proof, folder, m.sha256)) {
		struct model *model;
		e = trial_open(program, store, name, version, &model, info);
		model_free(model);
	} else {
		e = trial_prove(program, store, name, version, &proof, info);
		if (e == ERR_OK)
			e = proof_write(&proof, folder, m.sha256, info);
	}
	manifest_release(&m);
	return e;
}

enum err
versions_add(struct store_edit *edit, const char *program, struct err_info *info)
{
	enum err e = prove(program, edit->staging, edit->name, edit->version, info);

	return e == ERR_OK ? store_edit_add(edit, info) : e;
}

enum err
versions_promote(struct store_edit *edit, const char *program, const char *name, const char *version,
				 char before[MANIFEST_VERSION_MAX], struct err_info *info)
{
	struct change c;
	enum err e = begin(&c, edit, name, info);

	if (e == ERR_OK)
		e = versions_check(c.m, version, info);
	if (e == ERR_OK)
		e = prove(program, edit->dir, name, version, info);
	if (e == ERR_OK) {
		const char *champion = store_alias(c.m, VERSIONS_CHAMPION);
		(void)snprintf(before, MANIFEST_VERSION_MAX, "%s", champion != NULL ? champion : "");
		if (strcmp(before, version) != 0) {
			set(&c, VERSIONS_CHAMPION, version);
			set(&c, VERSIONS_PREVIOUS, champion);
			e = commit(&c, edit, info);
		}
	}
	release(&c);
	return e;
}

enum err
versions_rollback(struct store_edit *edit, const char *program, const char *name, char from[MANIFEST_VERSION_MAX],
				  char to[MANIFEST_VERSION_MAX], struct err_info *info)
{
	struct change c;
	enum err e = begin(&c, edit, name, info);
	const char *previous = e == ERR_OK ? store_alias(c.m, VERSIONS_PREVIOUS) : NULL;

	if (e == ERR_OK && previous == NULL)
		e = err_set(info, ERR_FILE, "model %s has no previous champion to go back to; promote names one by its number", name);
	if (e == ERR_OK)
		e = versions_check(c.m, previous, info);
	if (e == ERR_OK)
		e = prove(program, edit->dir, name, previous, info);
	if (e == ERR_OK) {
		const char *champion = store_alias(c.m, VERSIONS_CHAMPION);
		(void)snprintf(from, MANIFEST_VERSION_MAX, "%s", champion != NULL ? champion : "");
		(void)snprintf(to, MANIFEST_VERSION_MAX, "%s", previous);
		set(&c, VERSIONS_CHAMPION, to);
		set(&c, VERSIONS_PREVIOUS, NULL);
		e = commit(&c, edit, info);
	}
	release(&c);
	return e;
}

enum err
versions_alias(struct store_edit *edit, const char *name, const char *alias, const char *version, struct err_info *info)
{
	struct change c;

	if (strcmp(alias, VERSIONS_CHAMPION) == 0 || strcmp(alias, VERSIONS_PREVIOUS) == 0)
		return err_set(info, ERR_USAGE, "the alias \"%s\" is set by futaie models promote and rollback", alias);
	if (!store_is_name(alias))
		return err_set(info, ERR_USAGE,
					   "\"%.64s\" cannot be an alias: up to 64 letters, digits, '.', '_' and '-', a letter or digit first", alias);
	if (store_is_version(alias))
		return err_set(info, ERR_USAGE, "\"%.64s\" is a version's number, and cannot be an alias as well", alias);
	enum err e = begin(&c, edit, name, info);
	if (e == ERR_OK && version != NULL)
		e = versions_check(c.m, version, info);
	if (e == ERR_OK && version == NULL && store_alias(c.m, alias) == NULL)
		e = err_set(info, ERR_FILE, "model %s has no alias \"%s\"", name, alias);
	if (e == ERR_OK) {
		set(&c, alias, version);
		e = commit(&c, edit, info);
	}
	release(&c);
	return e;
}

enum err
versions_remove(struct store_edit *edit, const char *name, const char *version, struct err_info *info)
{
	struct change c;
	enum err e = begin(&c, edit, name, info);

	if (e == ERR_OK)
		e = versions_check(c.m, version, info);
	for (size_t i = 0; e == ERR_OK && i < c.m->n_aliases; i++)
		if (strcmp(c.m->aliases[i].version, version) == 0)
			e = err_set(info, ERR_FILE, "version %s of %s is its %s; give that alias to another version first, or drop it", version,
						name, c.m->aliases[i].name);
	if (e == ERR_OK)
		e = store_edit_remove(edit, c.m, version, info);
	release(&c);
	return e;
}
