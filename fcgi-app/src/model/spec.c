/* spec.c - NAME, NAME@ALIAS or NAME/VERSION: which version of a store is meant */
#include "model/spec.h"

#include <stdio.h>
#include <string.h>

#include "model/store.h"

enum { LIST_MAX = 240 /* bytes of what there is, in a sentence */ };

static enum err resolve(struct spec *s, const struct store_model *m, const char *alias, const char *dir, struct err_info *info);

/* A sentence's list: "1, 2, 3", cut with "…" where it is long, "none" where it is empty. */
struct list {
	char text[LIST_MAX];
	size_t len;
	bool cut;
};

static void
add(struct list *l, const char *item)
{
	size_t room = sizeof l->text - l->len;
	int n = l->cut ? 0 : snprintf(l->text + l->len, room, "%s%s", l->len > 0 ? ", " : "", item);

	if ((size_t)n + sizeof ", …" < room) {
		l->len += (size_t)n;
	} else {
		(void)snprintf(l->text + l->len, room, "%s", ", …");
		l->cut = true;
	}
}

static const char *
shown(const struct list *l)
{
	return l->len > 0 ? l->text : "none";
}

static const char *
list_models(const struct store *store, struct list *l)
{
	for (size_t i = 0; i < store->n_models; i++)
		add(l, store->models[i].name);
	return shown(l);
}

static const char *
list_versions(const struct store_model *m, struct list *l)
{
	char number[24];

	for (size_t i = 0; i < m->n_versions; i++) {
		(void)snprintf(number, sizeof number, "%ld", m->versions[i]);
		add(l, number);
	}
	return shown(l);
}

static const char *
list_aliases(const struct store_model *m, struct list *l)
{
	char item[MANIFEST_NAME_MAX + MANIFEST_VERSION_MAX + 16];

	for (size_t i = 0; i < m->n_aliases; i++) {
		(void)snprintf(item, sizeof item, "%s (version %s)", m->aliases[i].name, m->aliases[i].version);
		add(l, item);
	}
	return shown(l);
}

/* Takes the text apart: the name, and either the version or the alias, which is not to be "". */
static enum err
parse(struct spec *s, char alias[MANIFEST_NAME_MAX], const char *text, struct err_info *info)
{
	size_t len = strcspn(text, "@/");
	const char *rest = text[len] != '\0' ? text + len + 1 : "champion";

	*s = (struct spec){0};
	alias[0] = '\0';
	if (len < sizeof s->name)
		memcpy(s->name, text, len);
	if (!store_is_name(s->name) || (text[len] == '/' ? !store_is_version(rest) : !store_is_name(rest)))
		return err_set(info, ERR_USAGE, "\"%.140s\" is no NAME, NAME@ALIAS or NAME/VERSION, such as house-prices/2", text);
	if (text[len] == '/')
		(void)snprintf(s->version, sizeof s->version, "%s", rest);
	else
		(void)snprintf(alias, MANIFEST_NAME_MAX, "%s", rest);
	return ERR_OK;
}

enum err
spec_resolve(struct spec *s, const char *store, const char *text, struct err_info *info)
{
	char alias[MANIFEST_NAME_MAX];
	struct store all;
	struct list list = {0};
	enum err e = parse(s, alias, text, info);

	if (e == ERR_OK)
		e = store_init(&all, store, info);
	if (e != ERR_OK)
		return e;
	const struct store_model *m = store_find(&all, s->name);
	if (m == NULL)
		e = err_set(info, ERR_UNKNOWN_MODEL, "%.120s has no model \"%s\"; its models are: %s", store, s->name,
					list_models(&all, &list));
	else
		e = resolve(s, m, alias, store, info);
	store_release(&all);
	return e;
}

static enum err
resolve(struct spec *s, const struct store_model *m, const char *alias, const char *dir, struct err_info *info)
{
	struct list list = {0};
	struct list others = {0};

	if (m->problem[0] != '\0')
		return err_set(info, ERR_FILE, "the model %s cannot be used: %s", s->name, m->problem);
	if (alias[0] != '\0') {
		const char *version = store_alias(m, alias);
		if (version == NULL)
			return err_set(info, strcmp(alias, "champion") == 0 ? ERR_NO_CHAMPION : ERR_UNKNOWN_VERSION,
						   "the model %s has no alias \"%s\"; its aliases are: %s; its versions are: %s", s->name, alias,
						   list_aliases(m, &list), list_versions(m, &others));
		(void)snprintf(s->version, sizeof s->version, "%s", version);
	}
	if (!store_has_version(m, s->version))
		return err_set(info, ERR_UNKNOWN_VERSION, "%.120s has no version %s of the model %s%s%s; its versions are: %s", dir,
					   s->version, s->name, alias[0] != '\0' ? ", which is its alias " : "", alias, list_versions(m, &list));
	return ERR_OK;
}
