/* forest_build.h - a forest's parts, and how the trees of a model file become them; for forest.c alone */
#ifndef FUTAIE_FOREST_BUILD_H
#define FUTAIE_FOREST_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/booster.h"
#include "model/contributions.h"
#include "model/forest.h"
#include "model/forest_nodes.h"
#include "model/ranks.h"
#include "model/transform.h"
#include "model/verdicts.h"

enum { FOREST_CLASSES_MAX = 4096 /* of multi:softmax */ };

/* A text for each feature, or none. */
struct forest_texts {
	char *bytes;       /* owned */
	const char **list; /* owned; or NULL */
};

struct forest {
	struct booster_shape shape;
	const struct transform *transform;
	size_t n_features;
	size_t n_groups;
	size_t n_trees;
	size_t n_nodes;
	size_t n_sets;
	size_t n_words;
	struct forest_node *nodes;           /* owned */
	float *leaves;                       /* owned; n_nodes: a leaf's value */
	struct forest_tree *trees;           /* owned */
	float *covers;                       /* owned; n_nodes: the training rows' hessians in a node; NULL where the file has none */
	struct forest_set *sets;             /* owned; for each node of the trees that have categories */
	uint32_t *words;                     /* owned */
	float *bases;                        /* owned; n_groups margins to start from */
	uint32_t *order;                     /* owned; the trees, one output's after the other's */
	uint32_t *group_first;               /* owned; n_groups + 1: where an output's begin */
	struct ranks *ranks;                 /* owned; for blocks of rows; or NULL */
	struct verdicts *verdicts;           /* owned; for single rows; or NULL */
	struct contributions *contributions; /* owned; or NULL where the file has no covers */
	struct forest_texts names;
	struct forest_texts types;
};

static inline struct forest_view
forest_view(const struct forest *f)
{
	return (struct forest_view){.trees = f->trees,
								.nodes = f->nodes,
								.values = f->leaves,
								.covers = f->covers,
								.sets = f->sets,
								.words = f->words,
								.bases = f->bases,
								.order = f->order,
								.group_first = f->group_first,
								.n_trees = f->n_trees,
								.n_nodes = f->n_nodes,
								.n_groups = f->n_groups,
								.n_features = f->n_features};
}

/*
 * Reads a model file, whose memory it may give back where `last` is not NULL but the buffer that has it, and fills the zeroed forest in, but for what it is scored with in faster ways. On failure, for which see forest_open(), it holds what it had got
 * to: forest_free() frees that.
 */
enum err forest_build(struct forest *f, const void *bytes, size_t len, struct buf *last, struct err_info *info);

#endif
