/* verdicts.h - a forest's trees for one row: each distinct split is asked once, and the trees are walked over the verdicts */
#ifndef FUTAIE_VERDICTS_H
#define FUTAIE_VERDICTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/forest_nodes.h"
#include "model/ranks.h"
#include "model/splits.h"

/*
 * How it works. The nodes of a forest share splits: 100 trees of 60 leaves over 8 histograms of 256 bins have 6,000 nodes, but at most 2,040
 * splits. All are compared with the row first, several an instruction, which gives a byte each: 1, right, or 0. The trees are walked over
 * these, without any comparison and without regard to what is missing. A split by which missing values go left for some nodes and right for others is asked twice.
 *
 * FOREST_WALKS trees are walked together. Where they are nearly complete they are made so, down to the deepest leaf among them, with nodes that send every row left:
 * then a node's number says where its children are, a node is only the number of a verdict, and a step, node = 2 node + verdict, two loads and an addition.
 * Other trees keep where their children lie, in four bytes a node.
 */
enum { VERDICTS_MAX = 32768 };

/* Immutable; any number of threads. */
struct verdicts;

/* *out is NULL, without an error, where there are more splits than a walk over verdicts would save. */
enum err verdicts_open(const struct forest_view *forest, const struct splits *splits, struct verdicts **out, struct err_info *info);
void verdicts_free(struct verdicts *v);

/* Asks with these instructions instead of the best that the processor has, which it must have; before others use it. */
void verdicts_use(struct verdicts *v, enum ranks_isa isa);

size_t verdicts_bytes(const struct verdicts *v);

/* Asks all of a row: `verdicts` is the caller's, VERDICTS_MAX bytes. */
void verdicts_ask(const struct verdicts *v, const float *row, unsigned char *verdicts);

/* True where the FOREST_WALKS trees from `first` on, a multiple of that, can be walked so; or as many as are left. */
bool verdicts_can_walk(const struct verdicts *v, size_t first);

/* The values of the leaves that the row reaches in these trees. Of the forest: all its trees, and a value for each of its nodes. */
void verdicts_walk(const struct verdicts *v, size_t first, const struct forest_tree *trees, const float *values,
				   const unsigned char *verdicts, float leaves[FOREST_WALKS]);

#endif
