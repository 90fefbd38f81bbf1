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

/* A forest's arrays. Borrowed. */
struct forest_view {
	const struct forest_tree *trees;
	const struct forest_node *nodes; /* of all trees, each in breadth-first order */
	const float *values;             /* a node's value, where it is a leaf */
	size_t n_trees;
	size_t n_nodes;
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

#endif
