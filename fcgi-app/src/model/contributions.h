/* contributions.h - exact Shapley values of a forest's answers: how much each feature adds to the margin */
#ifndef FUTAIE_CONTRIBUTIONS_H
#define FUTAIE_CONTRIBUTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/forest_nodes.h"
#include "model/ranks.h"

/*
 * The values are those of TreeSHAP with path-dependent expectations (Lundberg et al., "Consistent Individualized Feature Attribution for Tree
 * Ensembles", 2018), which is what XGBoost's pred_contribs gives. A leaf of value v whose path asks for d features adds to feature j
 *
 *     v (o_j - z_j) * integral from 0 to 1 of the product over the path's other features k of t_k(x) dx,   t_k(x) = o_k x + z_k (1 - x),
 *
 * where o is 1 if the row goes the path's way wherever it asks for the feature, else 0, and z is the share of the training rows that do, the product of
 * the covers' ratios. (The integral is the sum over subsets with the weights s! (d - 1 - s)! / d!, since these are Beta functions.) The
 * product is a polynomial of degree d - 1, so that Gauss-Legendre's rule with half as many points as features is exact. At one point x, all leaves below an edge
 * share the factors of the edges above: so products are made going down and sums of leaves going up, once an edge, and an edge's feature gets the sum below it
 * without its own factor (the idea of Linear TreeSHAP: Yu et al., NeurIPS 2022). Lundberg's recursion takes d^2 steps a leaf.
 *
 * Row by row levels.h does that for most trees, with the nodes of several trees side by side in vectors. contributions_walk.h does it for the others, and where there
 * are no wide vectors for all trees of a block of rows: eight rows go down a tree together.
 */
struct contributions;

/* For the forest, which must have covers. ERR_UNSUPPORTED_MODEL for paths of more than 512 nodes or 256 features. */
enum err contributions_open(const struct forest_view *forest, struct contributions **out, struct err_info *info);
void contributions_free(struct contributions *c);

/* Uses these instructions instead of the best that the processor has, which it must have; before others use it. */
void contributions_use(struct contributions *c, enum ranks_isa isa);

/* True where levels.h takes the tree. */
bool contributions_has_levels(const struct contributions *c, size_t tree);

/* Bytes of memory that it holds. */
size_t contributions_bytes(const struct contributions *c, const struct forest_view *forest);

/* Bytes of scratch memory, aligned for float, that contributions_explain() wants of its caller. */
size_t contributions_scratch(const struct contributions *c, size_t n_features);

/* See forest_explain(). */
void contributions_explain(const struct contributions *c, const struct forest_view *forest, const float *rows, size_t n_rows,
						   void *scratch, float *out);

#endif
