/* treecheck.h - what a tree's arrays must be, so that nobody is led out of them or round in a circle */
#ifndef FUTAIE_TREECHECK_H
#define FUTAIE_TREECHECK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/modelfile.h"
#include "model/treefile.h"

/* What a tree is checked against: set anew for each, but for the file and the scratch memory. */
struct treecheck {
	struct modelfile *file; /* borrowed: where the sentence says that it is wrong */
	size_t n_features;
	size_t number;          /* of the tree */
	const int32_t *parents; /* of its nodes, or none: XGBoost looks them up */
	size_t n_parents;
	size_t n_categories; /* of all its sets */
	struct buf order;    /* owned; nodes still to be looked at, with their depth */
	struct buf reached;  /* owned; a byte a node */
};

void treecheck_init(struct treecheck *c, struct modelfile *file);
void treecheck_release(struct treecheck *c);

/*
 * Whether a tree whose arrays have the lengths that treefile.h gives them keeps to all else that it promises; sets its depth. ERR_BAD_MODEL with the
 * tree and node that do not. Takes time by the nodes and categories.
 */
enum err treecheck_tree(struct treecheck *c, struct treefile_tree *t);

#endif
