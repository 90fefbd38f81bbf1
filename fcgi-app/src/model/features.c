/* features.c - a model's feature names, in order, and the way from a name to its column */
#include "model/features.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a, 32 bits (Fowler, Noll, Vo). The names are the model's own, so nobody can fill the table with collisions. */
static uint32_t
hash_name(const char *name, size_t len)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619U;
	return hash;
}

static bool
same(const char *name, const char *text, size_t len)
{
	return strnlen(name, len + 1) == len && memcmp(name, text, len) == 0;
}

/* The slot that holds `name`, or the free one where it would go. */
static uint32_t *
find_slot(const struct features *f, const char *name, size_t len)
{
	for (uint32_t i = hash_name(name, len);; i++) {
		uint32_t *slot = &f->slots[i & (f->n_slots - 1)];
		if (*slot == 0 || same(f->names[*slot - 1], name, len))
			return slot;
	}
}

size_t
features_find(const struct features *f, const char *name, size_t len, size_t hint)
{
	if (hint < f->n && same(f->names[hint], name, len))
		return hint;
	uint32_t slot = *find_slot(f, name, len);
	return slot != 0 ? slot - 1 : FEATURES_NONE;
}

static enum err
add_name(struct features *f, const char *name, struct err_info *info)
{
	size_t len = strlen(name);

	if (len == 0 || len >= FEATURES_NAME_MAX)
		return err_set(info, ERR_BAD_MANIFEST, "the name of feature %zu is empty or longer than %d bytes", f->n,
					   FEATURES_NAME_MAX - 1);
	uint32_t *slot = find_slot(f, name, len);
	if (*slot != 0)
		return err_set(info, ERR_BAD_MANIFEST, "two features are named \"%.64s\"", name);
	if ((f->names[f->n] = strdup(name)) == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the feature names");
	*slot = (uint32_t)++f->n;
	return ERR_OK;
}

enum err
features_init(struct features *f, const char *const *names, size_t n, struct err_info *info)
{
	enum err e = ERR_OK;

	*f = (struct features){.n_slots = 4};
	if (n == 0 || n > FEATURES_MAX)
		return err_set(info, ERR_BAD_MANIFEST, "a model has 1 to %d features, not %zu", FEATURES_MAX, n);
	while (f->n_slots < 2 * n)
		f->n_slots *= 2;
	f->names = calloc(n, sizeof *f->names);
	f->slots = calloc(f->n_slots, sizeof *f->slots);
	if (f->names == NULL || f->slots == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the feature names");
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		e = add_name(f, names[i], info);
	if (e != ERR_OK)
		features_release(f);
	return e;
}

void
features_release(struct features *f)
{
	for (size_t i = 0; f->names != NULL && i < f->n; i++)
		free(f->names[i]);
	free(f->names);
	free(f->slots);
	*f = (struct features){0};
}
