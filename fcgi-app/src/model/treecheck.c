/* treecheck.c - what a tree's arrays must be, so that nobody is led out of them or round in a circle */
#include "model/treecheck.h"

#include <string.h>

static enum err
out_of_memory(struct treecheck *c)
{
	return err_set(c->file->info, ERR_OUT_OF_MEMORY, "no memory for the trees");
}

/* Sets of categories lie within their array, side by side: so all of them are no longer than it. */
static enum err
check_sets(struct treecheck *c, const struct treefile_tree *t)
{
	uint64_t left = c->n_categories;

	for (size_t i = 0; i < t->n_categorical; i++) {
		if (i > 0 && t->category_node[i] <= t->category_node[i - 1])
			return modelfile_fail(c->file, "tree %zu: the nodes of its categories do not ascend", c->number);
		if (t->category_from[i] < 0 || t->category_count[i] < 0 || (uint64_t)t->category_from[i] > c->n_categories ||
			(uint64_t)t->category_count[i] > c->n_categories - (uint64_t)t->category_from[i])
			return modelfile_fail(c->file, "tree %zu: the categories of set %zu are not in the file", c->number, i);
		if ((uint64_t)t->category_count[i] > left)
			return modelfile_fail(c->file, "tree %zu: sets share categories", c->number);
		left -= (uint64_t)t->category_count[i];
	}
	return ERR_OK;
}

/* There is a set for each categorical node. */
static enum err
check_categories(struct treecheck *c, const struct treefile_tree *t)
{
	size_t next = 0;

	for (size_t i = 0; i < t->n; i++) {
		bool inner = t->left[i] >= 0;
		if (t->categorical == NULL || t->categorical[i] == 0 || !inner)
			continue;
		while (next < t->n_categorical && (size_t)t->category_node[next] < i && t->category_node[next] >= 0)
			next++;
		if (next == t->n_categorical || t->category_node[next] != (int32_t)i)
			return modelfile_fail(c->file, "tree %zu: node %zu asks for categories and has none", c->number, i);
	}
	for (size_t i = 0; i < c->n_categories; i++)
		if (t->categories[i] < 0 || t->categories[i] >= TREEFILE_CATEGORIES_MAX)
			return modelfile_fail(c->file, "tree %zu: the category %d is not from 0 to %d", c->number, t->categories[i],
								  TREEFILE_CATEGORIES_MAX - 1);
	return check_sets(c, t);
}

struct visit {
	int32_t node;
	int32_t depth;
};

/* A child that was not reached before, which is now. */
static bool
is_new(const struct treefile_tree *t, char *reached, int32_t child)
{
	if (child <= 0 || (size_t)child >= t->n || reached[child] != 0)
		return false;
	reached[child] = 1;
	return true;
}

static enum err
check_node(struct treecheck *c, const struct treefile_tree *t, const struct visit *v)
{
	int32_t left = t->left[v->node];
	int32_t right = t->right[v->node];
	char *reached = c->reached.data;

	if (!is_new(t, reached, left) || !is_new(t, reached, right))
		return modelfile_fail(c->file, "tree %zu: node %d has the children %d and %d, of %zu nodes that have one parent each",
							  c->number, v->node, left, right, t->n);
	if (t->feature[v->node] < 0 || (size_t)t->feature[v->node] >= c->n_features)
		return modelfile_fail(c->file, "tree %zu: node %d asks for feature %d of %zu", c->number, v->node, t->feature[v->node],
							  c->n_features);
	if (v->depth == TREEFILE_DEPTH_MAX)
		return modelfile_fail(c->file, "tree %zu is deeper than %d", c->number, TREEFILE_DEPTH_MAX);
	return ERR_OK;
}

/* Nothing is asked of the parents here, but XGBoost looks each of them up. */
static enum err
check_parents(struct treecheck *c, const struct treefile_tree *t)
{
	for (size_t i = 1; i < c->n_parents; i++)
		if (c->parents[i] < 0 || (size_t)c->parents[i] >= t->n)
			return modelfile_fail(c->file, "tree %zu: node %zu has the parent %d, of %zu nodes", c->number, i, c->parents[i], t->n);
	return ERR_OK;
}

/* Several leaves may not share their values: a small file would make a large forest. */
static enum err
check_leaf(struct treecheck *c, const struct treefile_tree *t, int32_t leaf, size_t n_leaves)
{
	if (t->vector == NULL)
		return ERR_OK;
	if (n_leaves > t->n_vectors || t->vector[leaf] < 0 || (size_t)t->vector[leaf] >= t->n_vectors)
		return modelfile_fail(c->file, "tree %zu: the values of leaf %d are not among the %zu of leaf_weights", c->number, leaf,
							  t->n_vectors);
	return ERR_OK;
}

/* Every node is reached once from the root, so that there are no circles; some files keep nodes that were pruned and are not reached. */
static enum err
check_shape(struct treecheck *c, struct treefile_tree *t)
{
	struct buf *order = &c->order;
	struct buf *reached = &c->reached;
	size_t n_leaves = 0;
	enum err e = ERR_OK;

	buf_reset(order);
	buf_reset(reached);
	buf_add(order, &(const struct visit){0, 0}, sizeof(struct visit));
	if (!buf_ok(order) || !buf_reserve(reached, t->n))
		return out_of_memory(c);
	memset(reached->data, 0, t->n);
	for (size_t seen = 0; e == ERR_OK && buf_ok(order) && seen < order->len / sizeof(struct visit); seen++) {
		struct visit v;
		memcpy(&v, order->data + seen * sizeof v, sizeof v);
		if ((size_t)v.depth > t->depth)
			t->depth = (size_t)v.depth;
		if (t->left == NULL || t->left[v.node] == -1) {
			e = check_leaf(c, t, v.node, ++n_leaves);
			continue;
		}
		e = check_node(c, t, &v);
		buf_add(order, &(const struct visit){t->left[v.node], v.depth + 1}, sizeof v);
		buf_add(order, &(const struct visit){t->right[v.node], v.depth + 1}, sizeof v);
	}
	return e == ERR_OK && !buf_ok(order) ? out_of_memory(c) : e;
}

enum err
treecheck_tree(struct treecheck *c, struct treefile_tree *t)
{
	enum err e = check_shape(c, t);

	if (e == ERR_OK)
		e = check_parents(c, t);
	return e == ERR_OK ? check_categories(c, t) : e;
}

void
treecheck_init(struct treecheck *c, struct modelfile *file)
{
	*c = (struct treecheck){.file = file};
	buf_init(&c->order, (size_t)TREEFILE_NODES_MAX * sizeof(struct visit));
	buf_init(&c->reached, TREEFILE_NODES_MAX);
}

void
treecheck_release(struct treecheck *c)
{
	buf_release(&c->order);
	buf_release(&c->reached);
}
