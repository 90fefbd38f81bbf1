/* verdicts.h - a forest's trees for one row: each distinct split is asked once, and the trees are walked over the verdicts */
#ifndef FUTAIE_VERDICTS_H
#define FUTAIE_VERDICTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/forest_nodes.h"
#include "model/splits.h"

/*
 * How it works. The nodes of a forest share splits: 100 trees of 60 leaves over 8 histograms of 256 bins have 6,000 nodes, but at most 2,040
 * splits. All are compared with the row first, several an instruction, which gives a byte each: 1, right, or 0. A step of a walk
 * then is two loads and two additions, next = node + child + verdict, without any comparison and without regard to what is missing, and a node takes four bytes
 * instead of eight. A split by which missing values go left for some nodes and right for others is asked twice.
 */
enum { VERDICTS_MAX = 32768 };

/* Immutable; any number of threads. */
struct verdicts;

/* *out is NULL, without an error, where there are more splits than a walk over verdicts would save. */
enum err verdicts_open(const struct forest_view *forest, const struct splits *splits, struct verdicts **out, struct err_info *info);
void verdicts_free(struct verdicts *v);
size_t verdicts_bytes(const struct verdicts *v);

/* Asks all of a row: `verdicts` is the caller's, VERDICTS_MAX bytes. */
void verdicts_ask(const struct verdicts *v, const float *row, unsigned char *verdicts);

/* True where the FOREST_WALKS trees from `first` on can be walked so. */
bool verdicts_can_walk(const struct verdicts *v, size_t first);

/* The values of the leaves that the row reaches in FOREST_WALKS trees; `values` has one for each of the forest's nodes. */
void verdicts_walk(const struct verdicts *v, const struct forest_tree *trees, const unsigned char *verdicts, const float *values,
				   float leaves[FOREST_WALKS]);

#endif
