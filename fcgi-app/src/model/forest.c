/* forest.c - a model's trees, compiled: XGBoost's margins, bit for bit, without XGBoost */
#include "model/forest.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/transform.h"
#include "model/treefile.h"

enum {
	LANES = 8,         /* walks at once */
	NODES_MAX = 65535, /* of a tree */
	FEATURE_MASK = 0x7FFF,
	DEFAULT_RIGHT = 0x8000,
	CLASSES_MAX = 4096, /* of multi:softmax */
	BLOCK_ROWS = 64     /* rows that go through all trees together: their sums stay in the nearest cache */
};

/* An inner node, or a leaf whose split is NaN and whose child is itself. */
struct node {
	float split;
	uint16_t feature; /* with DEFAULT_RIGHT where a missing value goes right */
	uint16_t child;   /* the left one, within the tree; the right one is behind it */
};

struct tree {
	uint32_t first;       /* of its nodes */
	uint16_t depth;       /* steps to its deepest leaf */
	uint16_t group;       /* the output that it adds to */
	uint32_t categorical; /* its first node in `sets`, or NO_SETS */
};

#define NO_SETS UINT32_MAX

/* The lanes' walks lie side by side in registers only where their loop is unrolled. */
#define UNROLL _Pragma("GCC unroll 8")

/* The categories that go right, as bits: an inner node's `split` is a comparison, unless its set is here. */
struct set {
	uint32_t first; /* of its words, or NO_SETS where the node compares */
	uint32_t n_bits;
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
	struct node *nodes; /* owned */
	float *leaves;      /* owned; n_nodes: a leaf's value */
	struct tree *trees; /* owned */
	struct set *sets;   /* owned; for each node of the trees that have categories */
	uint32_t *words;    /* owned */
	float *bases;       /* owned; n_groups margins to start from */
	float *weights;     /* owned; n_trees, with dart; else NULL */
};

/* Grown while the file is read, then cut to size. */
struct builder {
	struct forest *f;
	size_t cap_trees;
	size_t cap_nodes;
	size_t cap_sets;
	size_t cap_words;
	uint32_t *order; /* owned; the file's nodes in the order of ours */
	size_t cap_order;
};

/* Room for `more` elements of `size` behind the first n. */
static void *
grow(void *array, size_t n, size_t more, size_t size, size_t *cap)
{
	if (n + more <= *cap)
		return array;
	size_t wanted = *cap + *cap / 2 > n + more ? *cap + *cap / 2 : n + more;
	void *grown = realloc(array, wanted * size);
	if (grown != NULL)
		*cap = wanted;
	return grown;
}

static bool
reserve(struct builder *b, const struct treefile_tree *t)
{
	struct forest *f = b->f;
	size_t cap_leaves = b->cap_nodes;
	struct tree *trees = grow(f->trees, f->n_trees, 1, sizeof *trees, &b->cap_trees);
	if (trees != NULL)
		f->trees = trees;
	float *leaves = grow(f->leaves, f->n_nodes, t->n, sizeof *leaves, &cap_leaves);
	if (leaves != NULL)
		f->leaves = leaves;
	struct node *nodes = grow(f->nodes, f->n_nodes, t->n, sizeof *nodes, &b->cap_nodes);
	if (nodes != NULL)
		f->nodes = nodes;
	uint32_t *order = grow(b->order, 0, t->n + 1, sizeof *order, &b->cap_order);
	if (order != NULL)
		b->order = order;
	return trees != NULL && leaves != NULL && nodes != NULL && order != NULL;
}

/* The file's node `from` becomes our node `to`, both within the tree; its children are put at the end of the order. */
static void
add_node(struct builder *b, const struct treefile_tree *t, struct node *nodes, float *leaves, size_t from, size_t to, size_t *n)
{
	struct node *node = &nodes[to];

	if (t->left[from] < 0) {
		*node = (struct node){.split = NAN, .child = (uint16_t)to};
		leaves[to] = t->value[from];
		return;
	}
	*node = (struct node){.split = t->value[from], .feature = (uint16_t)t->feature[from], .child = (uint16_t)*n};
	if (t->default_left[from] == 0)
		node->feature |= DEFAULT_RIGHT;
	leaves[to] = 0;
	b->order[(*n)++] = (uint32_t)t->left[from];
	b->order[(*n)++] = (uint32_t)t->right[from];
}

static enum err
add_set(struct builder *b, const struct treefile_tree *t, size_t which, struct set *set, struct err_info *info)
{
	struct forest *f = b->f;
	const int32_t *categories = t->categories + t->category_from[which];
	size_t n = (size_t)t->category_count[which];
	uint32_t n_bits = 0;

	for (size_t i = 0; i < n; i++)
		if ((uint32_t)categories[i] >= n_bits)
			n_bits = (uint32_t)categories[i] + 1;
	size_t n_words = (n_bits + 31) / 32;
	uint32_t *words = grow(f->words, f->n_words, n_words + 1, sizeof *words, &b->cap_words);
	if (words != NULL)
		f->words = words;
	if (words == NULL || f->n_words + n_words > UINT32_MAX / 2)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the categories");
	memset(words + f->n_words, 0, n_words * sizeof *words);
	for (size_t i = 0; i < n; i++)
		words[f->n_words + (uint32_t)categories[i] / 32] |= 1U << (categories[i] % 32);
	*set = (struct set){.first = (uint32_t)f->n_words, .n_bits = n_bits};
	f->n_words += n_words;
	return ERR_OK;
}

/* A set for each node of a tree that has categories, most of them none. */
static enum err
add_sets(struct builder *b, const struct treefile_tree *t, size_t n, struct err_info *info)
{
	struct forest *f = b->f;
	struct set *sets = grow(f->sets, f->n_sets, n, sizeof *sets, &b->cap_sets);
	enum err e = ERR_OK;

	if (sets == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the categories");
	f->sets = sets;
	for (size_t to = 0; to < n && e == ERR_OK; to++) {
		size_t from = b->order[to];
		struct set *set = &sets[f->n_sets + to];
		*set = (struct set){.first = NO_SETS};
		if (t->left[from] < 0 || t->categorical == NULL || t->categorical[from] == 0)
			continue;
		size_t which = 0;
		while (which < t->n_categorical && t->category_node[which] != (int32_t)from)
			which++;
		e = add_set(b, t, which, set, info);
	}
	f->n_sets += n;
	return e;
}

static enum err
add_tree(void *context, size_t number, const struct treefile_tree *t, struct err_info *info)
{
	struct builder *b = context;
	struct forest *f = b->f;
	size_t n = 1;

	if (t->n > NODES_MAX)
		return err_set(info, ERR_UNSUPPORTED_MODEL, "tree %zu has %zu nodes; %d are the most of a compiled one", number, t->n,
					   NODES_MAX);
	if (f->n_nodes + t->n > UINT32_MAX || !reserve(b, t))
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for tree %zu", number);
	struct tree *tree = &f->trees[f->n_trees];
	*tree = (struct tree){.first = (uint32_t)f->n_nodes, .depth = (uint16_t)t->depth, .categorical = NO_SETS};
	b->order[0] = 0;
	for (size_t to = 0; to < n; to++)
		add_node(b, t, f->nodes + f->n_nodes, f->leaves + f->n_nodes, b->order[to], to, &n);
	enum err e = ERR_OK;
	if (t->n_categorical > 0) {
		tree->categorical = (uint32_t)f->n_sets;
		e = add_sets(b, t, n, info);
	}
	f->n_nodes += n;
	f->n_trees++;
	return e;
}

/* What the head of the file says, once all of it was read. */
static enum err
take_head(struct forest *f, const struct treefile_head *h, struct err_info *info)
{
	const int32_t *groups = (const int32_t *)(const void *)h->groups.data;
	const float *bases = (const float *)(const void *)h->bases.data;

	f->transform = transform_find(h->objective);
	if (f->transform == NULL)
		return err_set(info, ERR_UNSUPPORTED_MODEL, "the objective %s is not known", h->objective);
	if (h->n_features > FEATURE_MASK || h->n_groups > (transform_is_class(f->transform) ? CLASSES_MAX : UINT16_MAX))
		return err_set(info, ERR_UNSUPPORTED_MODEL, "%zu features and %zu outputs are more than a compiled forest has",
					   h->n_features, h->n_groups);
	f->n_features = h->n_features;
	f->n_groups = h->n_groups;
	for (size_t i = 0; i < f->n_trees; i++)
		f->trees[i].group = (uint16_t)groups[i];
	f->bases = calloc(f->n_groups, sizeof *f->bases);
	if (f->bases == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu outputs", f->n_groups);
	for (size_t i = 0; i < f->n_groups; i++)
		f->bases[i] = transform_to_margin(f->transform, bases[h->n_bases == 1 ? 0 : i]);
	f->shape = (struct booster_shape){
		.n_features = h->n_features, .n_values = transform_is_class(f->transform) ? 1 : h->n_groups, .n_margins = h->n_groups};
	memcpy(f->shape.objective, h->objective, sizeof f->shape.objective);
	memcpy(f->shape.kind, h->kind, sizeof f->shape.kind);
	if (h->weights.len == 0)
		return ERR_OK;
	f->weights = malloc(h->weights.len);
	if (f->weights == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the weights");
	memcpy(f->weights, h->weights.data, h->weights.len);
	return ERR_OK;
}

enum err
forest_open(const void *bytes, size_t len, struct forest **out, struct err_info *info)
{
	struct treefile_head head;
	struct builder b = {.f = calloc(1, sizeof(struct forest))};

	*out = NULL;
	if (b.f == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for a forest");
	enum err e = treefile_read(bytes, len, &head, add_tree, &b, info);
	free(b.order);
	if (e == ERR_OK) {
		e = take_head(b.f, &head, info);
		treefile_head_release(&head);
	}
	if (e != ERR_OK) {
		forest_free(b.f);
		return e;
	}
	*out = b.f;
	return ERR_OK;
}

void
forest_free(struct forest *f)
{
	if (f == NULL)
		return;
	free(f->nodes);
	free(f->leaves);
	free(f->trees);
	free(f->sets);
	free(f->words);
	free(f->bases);
	free(f->weights);
	free(f);
}

const struct booster_shape *
forest_shape(const struct forest *f)
{
	return &f->shape;
}

size_t
forest_trees(const struct forest *f)
{
	return f->n_trees;
}

size_t
forest_bytes(const struct forest *f)
{
	return sizeof *f + f->n_nodes * (sizeof *f->nodes + sizeof *f->leaves) + f->n_trees * sizeof *f->trees +
		   f->n_sets * sizeof *f->sets + f->n_words * sizeof *f->words;
}

static void
report_set(const struct forest *f, const struct set *s, size_t column, booster_split_fn *found, void *context)
{
	for (uint32_t c = 0; c < s->n_bits; c++)
		if ((f->words[s->first + c / 32] >> (c % 32) & 1) != 0)
			found(context, column, (float)c);
}

void
forest_splits(const struct forest *f, booster_split_fn *found, void *context)
{
	for (size_t i = 0; i < f->n_trees; i++) {
		const struct tree *t = &f->trees[i];
		size_t n = (i + 1 < f->n_trees ? f->trees[i + 1].first : f->n_nodes) - t->first;
		for (size_t at = 0; at < n; at++) {
			const struct node *node = &f->nodes[t->first + at];
			size_t column = node->feature & FEATURE_MASK;
			if (node->child == at)
				continue;
			if (t->categorical != NO_SETS && f->sets[t->categorical + at].first != NO_SETS)
				report_set(f, &f->sets[t->categorical + at], column, found, context);
			else
				found(context, column, node->split);
		}
	}
}

static inline uint32_t
step(const struct node *nodes, uint32_t at, const float *row)
{
	const struct node n = nodes[at];
	float value = row[n.feature & FEATURE_MASK];

	/* value >= split, or missing and the default is right; a leaf's NaN makes neither true. */
	bool right = value >= n.split || (value != value && (n.feature & DEFAULT_RIGHT) != 0);
	return n.child + (uint32_t)right;
}

/* The same for rows in which nothing is missing. */
static inline uint32_t
step_whole(const struct node *nodes, uint32_t at, const float *row)
{
	const struct node n = nodes[at];

	return n.child + (uint32_t)(row[n.feature & FEATURE_MASK] >= n.split);
}

/* True where the category of `value` goes right; what is no category that a set can hold goes left (XGBoost 1.7, common/categorical.h). */
static bool
goes_right(const struct forest *f, const struct set *s, float value)
{
	if (!(value >= 0) || value >= (float)s->n_bits)
		return false;
	uint32_t category = (uint32_t)value;
	return (f->words[s->first + category / 32] >> (category % 32) & 1) != 0;
}

static float
walk_categorical(const struct forest *f, const struct tree *t, const float *row)
{
	const struct node *nodes = f->nodes + t->first;
	const struct set *sets = f->sets + t->categorical;
	uint32_t at = 0;

	while (nodes[at].child != at) {
		const struct node *n = &nodes[at];
		float value = row[n->feature & FEATURE_MASK];
		if (value != value || sets[at].first == NO_SETS)
			at = step(nodes, at, row);
		else
			at = n->child + (uint32_t)goes_right(f, &sets[at], value);
	}
	return f->leaves[t->first + at];
}

static bool
has_missing(const float *row, size_t n)
{
	bool missing = false;

	for (size_t i = 0; i < n; i++)
		missing |= row[i] != row[i];
	return missing;
}

/* The leaves that one row reaches in LANES trees. */
static inline void
walk_trees(const struct forest *f, const struct tree *t, const float *row, bool whole, float leaves[LANES])
{
	const struct node *nodes[LANES];
	uint32_t at[LANES] = {0};
	unsigned depth = 0;

	for (size_t i = 0; i < LANES; i++) {
		nodes[i] = f->nodes + t[i].first;
		depth = t[i].depth > depth ? t[i].depth : depth;
	}
	for (unsigned d = 0; d < depth; d++) {
		UNROLL
		for (size_t i = 0; i < LANES; i++)
			at[i] = whole ? step_whole(nodes[i], at[i], row) : step(nodes[i], at[i], row);
	}
	for (size_t i = 0; i < LANES; i++)
		leaves[i] = f->leaves[t[i].first + at[i]];
}

static float
walk_tree(const struct forest *f, const struct tree *t, const float *row)
{
	const struct node *nodes = f->nodes + t->first;
	uint32_t at = 0;

	if (t->categorical != NO_SETS)
		return walk_categorical(f, t, row);
	for (unsigned d = 0; d < t->depth; d++)
		at = step(nodes, at, row);
	return f->leaves[t->first + at];
}

/* As XGBoost adds: GBTree::PredictBatch and Dart::PredictBatchImpl. */
static inline void
add_leaf(const struct forest *f, size_t tree, float leaf, float *sums)
{
	size_t group = f->trees[tree].group;

	if (f->weights == NULL)
		sums[group] += leaf;
	else
		sums[group] += leaf * f->weights[tree];
}

static void
margin_of_row(const struct forest *f, const float *row, float *sums)
{
	bool whole = !has_missing(row, f->n_features);
	size_t i = 0;

	memcpy(sums, f->bases, f->n_groups * sizeof *sums);
	for (; f->n_sets == 0 && i + LANES <= f->n_trees; i += LANES) {
		float leaves[LANES];
		if (whole)
			walk_trees(f, &f->trees[i], row, true, leaves);
		else
			walk_trees(f, &f->trees[i], row, false, leaves);
		for (size_t k = 0; k < LANES; k++)
			add_leaf(f, i + k, leaves[k], sums);
	}
	for (; i < f->n_trees; i++)
		add_leaf(f, i, walk_tree(f, &f->trees[i], row), sums);
}

/* LANES rows through one tree. */
static inline void
walk_rows(const struct forest *f, const struct tree *t, const float *rows, bool whole, float leaves[LANES])
{
	const struct node *nodes = f->nodes + t->first;
	uint32_t at[LANES] = {0};

	for (unsigned d = 0; d < t->depth; d++) {
		UNROLL
		for (size_t i = 0; i < LANES; i++) {
			const float *row = rows + i * f->n_features;
			at[i] = whole ? step_whole(nodes, at[i], row) : step(nodes, at[i], row);
		}
	}
	for (size_t i = 0; i < LANES; i++)
		leaves[i] = f->leaves[t->first + at[i]];
}

/* n_rows is a multiple of LANES. */
static void
margins_of_block(const struct forest *f, const float *rows, size_t n_rows, float *sums)
{
	bool whole = !has_missing(rows, n_rows * f->n_features);

	for (size_t i = 0; i < n_rows; i++)
		memcpy(sums + i * f->n_groups, f->bases, f->n_groups * sizeof *sums);
	for (size_t tree = 0; tree < f->n_trees; tree++) {
		const struct tree *t = &f->trees[tree];
		for (size_t row = 0; row < n_rows; row += LANES) {
			const float *first = rows + row * f->n_features;
			float leaves[LANES];
			if (t->categorical != NO_SETS)
				for (size_t i = 0; i < LANES; i++)
					leaves[i] = walk_categorical(f, t, first + i * f->n_features);
			else if (whole)
				walk_rows(f, t, first, true, leaves);
			else
				walk_rows(f, t, first, false, leaves);
			for (size_t i = 0; i < LANES; i++)
				add_leaf(f, tree, leaves[i], sums + (row + i) * f->n_groups);
		}
	}
}

static void
margins(const struct forest *f, const float *rows, size_t n_rows, float *sums)
{
	while (n_rows >= LANES) {
		size_t n = n_rows < BLOCK_ROWS ? n_rows / LANES * LANES : BLOCK_ROWS;
		margins_of_block(f, rows, n, sums);
		rows += n * f->n_features;
		sums += n * f->n_groups;
		n_rows -= n;
	}
	for (; n_rows > 0; n_rows--) {
		margin_of_row(f, rows, sums);
		rows += f->n_features;
		sums += f->n_groups;
	}
}

void
forest_predict(const struct forest *f, enum booster_output output, const float *rows, size_t n_rows, float *out)
{
	if (output == BOOSTER_MARGIN || !transform_is_class(f->transform)) {
		margins(f, rows, n_rows, out);
		if (output == BOOSTER_VALUE)
			transform_apply(f->transform, out, n_rows, f->n_groups);
		return;
	}
	for (size_t i = 0; i < n_rows; i++) { /* many margins become one class */
		float sums[CLASSES_MAX];
		margin_of_row(f, rows + i * f->n_features, sums);
		out[i] = transform_class(sums, f->n_groups);
	}
}
