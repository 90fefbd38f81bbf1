/* forest_nodes.h - how a compiled forest lies in memory; for forest.c and what it scores with */
#ifndef FUTAIE_FOREST_NODES_H
#define FUTAIE_FOREST_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FOREST_FEATURE_MASK = 0x7FFF,
	FOREST_DEFAULT_RIGHT = 0x8000,
	FOREST_WALKS = 8 /* walks at once: the loads of one hide those of the others, and all fit into registers */
};

#define FOREST_NO_SETS UINT32_MAX

/* An inner node, or a leaf: its split is NaN and its child itself, so that who goes on from it stays. */
struct forest_node {
	float split;
	uint16_t feature; /* with FOREST_DEFAULT_RIGHT where a missing value goes right */
	uint16_t child;   /* how far behind the node its left child lies, and the right one behind that; 0 in a leaf */
};

struct forest_tree {
	uint32_t first;       /* of its nodes */
	uint16_t depth;       /* steps to its deepest leaf */
	uint16_t group;       /* the output that it adds to */
	uint32_t categorical; /* its first node in the forest's sets, or FOREST_NO_SETS */
};

/* The categories that go right, as bits: an inner node's `split` is a comparison, unless its set is here. */
struct forest_set {
	uint32_t first; /* of its words, or FOREST_NO_SETS where the node compares */
	uint32_t n_bits;
};

/* A forest's arrays. Borrowed. */
struct forest_view {
	const struct forest_tree *trees;
	const struct forest_node *nodes; /* of all trees, each in breadth-first order */
	const float *values;             /* a node's value, where it is a leaf */
	const float *covers;             /* the training rows' hessians in a node; NULL where the file has none */
	const struct forest_set *sets;   /* for each node of the trees that have categories */
	const uint32_t *words;           /* of the sets */
	const float *bases;              /* n_groups margins to start from */
	const uint32_t *order;           /* the trees, one output's after the other's, each in the file's order */
	const uint32_t *group_first;     /* n_groups + 1: where an output's begin in `order` */
	size_t n_trees;
	size_t n_nodes;
	size_t n_groups;
	size_t n_features;
};

static inline bool
forest_is_leaf(const struct forest_node *node)
{
	return node->child == 0;
}

static inline size_t
forest_tree_nodes(const struct forest_view *v, size_t tree)
{
	return (tree + 1 < v->n_trees ? v->trees[tree + 1].first : v->n_nodes) - v->trees[tree].first;
}

/* The set of a node of a tree with categories, or NULL where it compares. */
static inline const struct forest_set *
forest_set(const struct forest_view *v, const struct forest_tree *t, size_t node)
{
	const struct forest_set *s = &v->sets[t->categorical + (node - t->first)];

	return s->first != FOREST_NO_SETS ? s : NULL;
}

/* True where the category of `value` goes right; what is no category that a set can hold goes left (XGBoost 1.7, common/categorical.h). */
static inline bool
forest_set_has(const struct forest_view *v, const struct forest_set *s, float value)
{
	if (!(value >= 0) || value >= (float)s->n_bits)
		return false;
	uint32_t category = (uint32_t)value;
	return (v->words[s->first + category / 32] >> (category % 32) & 1) != 0;
}

#endif
