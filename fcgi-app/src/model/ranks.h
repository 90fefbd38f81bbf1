/* ranks.h - a forest's trees over ranks instead of numbers: blocks of rows, as many at once as a vector has bytes */
#ifndef FUTAIE_RANKS_H
#define FUTAIE_RANKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/forest_nodes.h"
#include "model/splits.h"

/*
 * How it works. A comparison with a split needs not the number but its rank: how many of the feature's splits are not above it. Ranks are
 * counted once a row, by a binary search in each feature's sorted splits, and kept in bytes, one plane of RANKS_ROWS rows a feature: a feature of more than
 * 255 splits gets a plane for each 255 of them. What is missing has rank 0 in planes for nodes that send it left, and 255 in those for
 * nodes that send it right, so that no node asks for it again.
 *
 * Then all nodes of a tree are asked for all rows of a block, without a branch, one comparison for as many rows as a vector has bytes
 * (the idea of QuickScorer and its vectorised kin: Lucchese et al., SIGIR 2015 and 2016): from the nodes above two leaves upwards, each node
 * takes one of its children's results, which are numbers of leaves. Few instructions a row, none of which waits for memory or is mispredicted: a tree of 64 leaves
 * takes about six cycles a row, where a walk takes twenty. The leaves' values are added as XGBoost does it, one tree after the other in float32.
 *
 * Trees of more than RANKS_LEAVES leaves, or with categories, have no ranks.
 */
enum {
	RANKS_ROWS = 128,        /* of a block */
	RANKS_LEAVES = 256,      /* most of a tree */
	RANKS_PLANES_MAX = 1024, /* 128 KiB a block */
};

/* Sets of instructions that a block can be scored with. */
enum ranks_isa { RANKS_PORTABLE, RANKS_AVX2, RANKS_AVX512, RANKS_ISAS };

/* Immutable; any number of threads. */
struct ranks;

/* The best set that this processor has. */
enum ranks_isa ranks_best_isa(void);
bool ranks_has_isa(enum ranks_isa isa);

/* "portable", "avx2", "avx512". */
const char *ranks_isa_name(enum ranks_isa isa);

/* *out is NULL, without an error, where no tree would gain: then all are walked. */
enum err ranks_open(const struct forest_view *forest, const struct splits *splits, struct ranks **out, struct err_info *info);
void ranks_free(struct ranks *r);

/* The set that it scores with. */
enum ranks_isa ranks_isa(const struct ranks *r);

/* Scores with another set of instructions than the best; one that the processor has, and before others use it. */
void ranks_use(struct ranks *r, enum ranks_isa isa);

size_t ranks_bytes(const struct ranks *r);

/* False: the tree is to be walked. */
bool ranks_has_tree(const struct ranks *r, size_t tree);

/* A block's ranks: the caller's, on its stack. */
struct ranks_block {
	_Alignas(64) signed char planes[RANKS_PLANES_MAX][RANKS_ROWS];
	_Alignas(64) signed char slots[RANKS_LEAVES][RANKS_ROWS];
};

/* The ranks of n_rows <= RANKS_ROWS rows of n_features float32 each. */
void ranks_fill(const struct ranks *r, const float *rows, size_t n_rows, size_t n_features, struct ranks_block *block);

/* Adds the value of the leaf that each of the rows reaches in that tree to sums[0 … n_rows - 1]. */
void ranks_add_tree(const struct ranks *r, size_t tree, size_t n_rows, struct ranks_block *block, float *sums);

#endif
