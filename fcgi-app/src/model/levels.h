/* levels.h - exact Shapley values of one row: the nodes of several trees side by side in vectors, level by level */
#ifndef FUTAIE_LEVELS_H
#define FUTAIE_LEVELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/forest_nodes.h"
#include "model/ranks.h"
#include "model/rule.h"

/*
 * The sums are those of contributions.h, turned so that all that depends on the row is one bit an edge, o. Let z and o be of a node's feature before it is asked
 * (1 where nobody asked for it yet), z' and o' of the edge to a child, and at a point x of the rule t = o x + z (1 - x), t' = o' x + z' (1 - x). Going down
 * from P = 1, the product of the path's factors, a child gets P' = P t' / t. Going up from H, the value of a leaf, a node gets H = sum over its children of
 * H' t' / t: what is below it, over the factors above. Then the node's feature gets the sum over the points of
 *
 *     w P / t (sum over both children of (o' - z') H'  -  (o - z) H)
 *
 * since what the edges add of a feature that is asked again takes the place of what the last edge to ask for it had added. No step of this depends on another node
 * of the level, so that vectors hold nodes: those of a level that are no leaves, of as many trees as fill the cache, lie side by side. From a strip of
 * LEVELS_NODES of them go first all left children that are no leaves, then all right ones: going down vectors are compressed, and going up expanded.
 * Which features of its path the row follows is a bit each in a state that goes down, too.
 *
 * Tall and thin trees, and those of paths that ask for more than LEVELS_FEATURES features, are left to contributions_walk.h.
 */
enum { LEVELS_NODES = 16, LEVELS_FEATURES = 16 };

/* Immutable; any number of threads. */
struct levels;

/* Of a forest that has covers. */
enum err levels_open(const struct forest_view *forest, struct levels **out, struct err_info *info);
void levels_free(struct levels *l);
size_t levels_bytes(const struct levels *l);

/* Uses these instructions, or the best that the processor has below them; before others use it. */
void levels_use(struct levels *l, enum ranks_isa isa);

/* False where the tree is not taken. */
bool levels_has_tree(const struct levels *l, size_t tree);

/* Bytes of scratch memory, aligned for float, that levels_explain() wants of its caller. */
size_t levels_scratch(const struct levels *l);

/* Adds what the taken trees of an output give each feature to sums[0 … n_features - 1]. */
void levels_explain(const struct levels *l, const struct forest_view *forest, const struct rule *rules, size_t output,
					const float *row, void *scratch, float *sums);

#endif
