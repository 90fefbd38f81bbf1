/* splits.c - the distinct splits of a forest's nodes */
#include "model/splits.h"

#include <stdlib.h>
#include <string.h>

/* Column and split as a number whose order is theirs. */
static uint64_t
key_of(const struct forest_node *node)
{
	uint32_t bits;

	memcpy(&bits, &node->split, sizeof bits);
	bits ^= (bits >> 31) != 0 ? UINT32_MAX : 0x80000000U;
	return (uint64_t)(node->feature & FOREST_FEATURE_MASK) << 32 | bits;
}

static struct node_split
split_of(uint64_t key)
{
	struct node_split s = {.column = (uint32_t)(key >> 32)};
	uint32_t bits = (uint32_t)key;

	bits ^= (bits >> 31) != 0 ? 0x80000000U : UINT32_MAX;
	memcpy(&s.value, &bits, sizeof s.value);
	return s;
}

static int
compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* The keys of all inner nodes of the plain trees. */
static size_t
collect(const struct splits *s, const struct forest_view *v, uint64_t *keys)
{
	size_t n = 0;

	for (size_t tree = 0; tree < v->n_trees; tree++) {
		size_t first = v->trees[tree].first;
		for (size_t i = 0; s->plain[tree] && i < forest_tree_nodes(v, tree); i++)
			if (!forest_is_leaf(&v->nodes[first + i]))
				keys[n++] = key_of(&v->nodes[first + i]);
	}
	return n;
}

static void
find_places(struct splits *s, const struct forest_view *v, const uint64_t *keys)
{
	for (size_t tree = 0; tree < v->n_trees; tree++) {
		size_t first = v->trees[tree].first;
		for (size_t i = first; i < first + forest_tree_nodes(v, tree); i++) {
			s->of_node[i] = SPLITS_NONE;
			if (!s->plain[tree] || forest_is_leaf(&v->nodes[i]))
				continue;
			uint64_t wanted = key_of(&v->nodes[i]);
			const uint64_t *found = bsearch(&wanted, keys, s->n, sizeof *keys, compare);
			s->of_node[i] = (uint32_t)(found - keys);
		}
	}
}

static bool
fill(struct splits *s, const struct forest_view *v, uint64_t *keys)
{
	size_t n = collect(s, v, keys);

	qsort(keys, n, sizeof *keys, compare);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || keys[i] != keys[i - 1])
			keys[s->n++] = keys[i];
	s->all = calloc(s->n + 1, sizeof *s->all);
	if (s->all == NULL)
		return false;
	for (size_t i = 0; i < s->n; i++)
		s->all[i] = split_of(keys[i]);
	find_places(s, v, keys);
	return true;
}

enum err
splits_init(struct splits *s, const struct forest_view *v, struct err_info *info)
{
	uint64_t *keys = calloc(v->n_nodes + 1, sizeof *keys);
	enum err e = ERR_OK;

	*s = (struct splits){.of_node = calloc(v->n_nodes + 1, sizeof *s->of_node), .plain = calloc(v->n_trees + 1, sizeof *s->plain)};
	for (size_t i = 0; s->plain != NULL && i < v->n_trees; i++)
		s->plain[i] = v->trees[i].categorical == FOREST_NO_SETS;
	if (keys == NULL || s->of_node == NULL || s->plain == NULL || !fill(s, v, keys))
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the splits of %zu nodes", v->n_nodes);
	free(keys);
	if (e != ERR_OK)
		splits_release(s);
	return e;
}

size_t
splits_column_end(const struct splits *s, size_t i)
{
	uint32_t column = s->all[i].column;

	while (i < s->n && s->all[i].column == column)
		i++;
	return i;
}

void
splits_release(struct splits *s)
{
	free(s->all);
	free(s->of_node);
	free(s->plain);
	*s = (struct splits){0};
}
