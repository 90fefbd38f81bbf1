/* treefile.h - the trees of a model file, read and checked */
#ifndef FUTAIE_TREEFILE_H
#define FUTAIE_TREEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/booster.h"

enum {
	TREEFILE_TREES_MAX = 1000000,
	TREEFILE_NODES_MAX = 1 << 24,       /* of one tree */
	TREEFILE_LEAF_VALUES_MAX = 1 << 26, /* of one tree */
	TREEFILE_DEPTH_MAX = 4096,
	TREEFILE_GROUPS_MAX = 65536, /* classes times targets */
	TREEFILE_CATEGORIES_MAX = 1 << 24
};

/* Texts, each NUL-terminated, one behind the other. */
struct treefile_texts {
	struct buf bytes;
	size_t n;
};

/* What the file says of the whole model. */
struct treefile_head {
	char objective[BOOSTER_OBJECTIVE_MAX];
	char kind[BOOSTER_KIND_MAX]; /* "gbtree", "dart", … */
	size_t n_features;
	struct treefile_texts names; /* of the features; none where the file has none */
	struct treefile_texts types;
	size_t n_groups;  /* outputs a row: classes or targets */
	size_t n_bases;   /* 1, or n_groups */
	struct buf bases; /* float32: base_score as the file has it, before the objective's inverse transform */
	size_t n_trees;
	size_t n_leaf_values; /* 1; or n_groups: vector leaves, each tree adds to every output */
	struct buf groups;    /* int32 a tree: the output that it adds to; of no meaning with vector leaves */
	struct buf weights;   /* float32 a tree, of dart, which may be called gbtree; else empty */
};

/*
 * One tree, as arrays over its nodes; node 0 is the root, and every node but the root is the child of exactly one other. The arrays are the
 * reader's and valid until the next tree.
 */
struct treefile_tree {
	size_t n;
	const int32_t *left; /* -1 in a leaf */
	const int32_t *right;
	const int32_t *feature; /* below n_features in an inner node */
	const float *value;     /* where an inner node splits, or a leaf's value, if it has one only */
	const float *cover;     /* the training rows' hessians in a node; NULL where the file has none */
	const float *vectors;   /* else n_leaf_values each, of which a leaf has … */
	const int32_t *vector;  /* … this one; or where NULL that of the node's number */
	size_t n_vectors;       /* how many there are */
	size_t n_leaf_values;   /* as the head's */
	const uint8_t *default_left;
	const uint8_t *categorical;   /* 1: the node asks for a category */
	const int32_t *category_node; /* n_categorical nodes, ascending, … */
	const int64_t *category_from; /* … and where their categories lie in `categories`, each set with its own */
	const int64_t *category_count;
	const int32_t *categories; /* that go right, each below TREEFILE_CATEGORIES_MAX */
	size_t n_categorical;
	size_t depth;     /* of the deepest leaf; 0 where the root is one */
	size_t file_read; /* bytes of the file up to the end of the tree, which are not read again */
};

/* What a leaf adds to an output; to the only one that it adds to where n_leaf_values is 1. */
static inline float
treefile_leaf(const struct treefile_tree *t, size_t leaf, size_t output)
{
	if (t->n_leaf_values == 1)
		return t->value[leaf];
	return t->vectors[(t->vector != NULL ? (size_t)t->vector[leaf] : leaf) * t->n_leaf_values + output];
}

/* Called for each tree, in the file's order; a failure ends the reading. */
typedef enum err treefile_visit(void *context, size_t number, const struct treefile_tree *tree, struct err_info *info);

/*
 * Reads a whole model file, JSON or UBJSON, as XGBoost 1.0 to 3.4 saves them, checking every index, count and size; `visit` gets each tree.
 * ERR_BAD_MODEL with the place of what is wrong; ERR_UNSUPPORTED_MODEL for what is no forest (gblinear). There are never more
 * leaves times their values than numbers in the file. Memory: a few times the largest tree. On failure `head` is released.
 */
enum err treefile_read(const void *bytes, size_t len, struct treefile_head *head, treefile_visit *visit, void *context,
					   struct err_info *info);
void treefile_head_release(struct treefile_head *head);

/*
 * Whether the file may be given to the XGBoost of the version `library`. ERR_BAD_MODEL where a tree, or the weights of gblinear, would lead it out
 * of its memory or round in a circle: XGBoost checks no index. ERR_UNSUPPORTED_MODEL where it would misread the file without a word, since it is
 * too old: vector leaves are known since 2.0 and lie elsewhere since 3.2, base_score is an array in a string since 3.1, dart's weights may lie
 * elsewhere since 3.3. What is otherwise no forest passes.
 */
enum err treefile_check(const void *bytes, size_t len, const char *library, struct err_info *info);

#endif
