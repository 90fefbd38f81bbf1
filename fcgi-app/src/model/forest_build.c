/* forest_build.c - how the trees of a model file become a forest */
#include "model/forest_build.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/treefile.h"

enum {
	NODES_MAX = 65535,     /* of a tree */
	GIVEN_BYTES = 1 << 18, /* of the file, at once */
	WORDS_MAX = 1 << 24    /* of all sets: one of a large category takes 2 MiB, and four bytes in the file */
};

/* Its arrays grow while the file is read, and are cut to size then. */
struct builder {
	struct forest *f;
	size_t cap_trees;
	size_t cap_nodes;
	size_t cap_sets;
	size_t cap_words;
	size_t n_added;  /* nodes of the last tree */
	size_t output;   /* with vector leaves: whose values are taken */
	uint32_t *order; /* owned; the file's nodes in the order of ours */
	size_t cap_order;
	bool no_covers;   /* some tree has none */
	struct buf *file; /* borrowed; NULL where its memory is not to be given back … */
	size_t given;     /* … and how much of it was */
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
	size_t cap_covers = b->cap_nodes;
	struct forest_tree *trees = grow(f->trees, f->n_trees, 1, sizeof *trees, &b->cap_trees);
	if (trees != NULL)
		f->trees = trees;
	float *leaves = grow(f->leaves, f->n_nodes, t->n, sizeof *leaves, &cap_leaves);
	if (leaves != NULL)
		f->leaves = leaves;
	float *covers = grow(f->covers, f->n_nodes, t->n, sizeof *covers, &cap_covers);
	if (covers != NULL)
		f->covers = covers;
	struct forest_node *nodes = grow(f->nodes, f->n_nodes, t->n, sizeof *nodes, &b->cap_nodes);
	if (nodes != NULL)
		f->nodes = nodes;
	uint32_t *order = grow(b->order, 0, t->n + 1, sizeof *order, &b->cap_order);
	if (order != NULL)
		b->order = order;
	return trees != NULL && leaves != NULL && covers != NULL && nodes != NULL && order != NULL;
}

/* The file's node `from` becomes our node `to`, both within the tree; its children are put at the end of the order. */
static void
add_node(struct builder *b, const struct treefile_tree *t, struct forest_node *nodes, float *leaves, size_t from, size_t to,
		 size_t *n)
{
	struct forest_node *node = &nodes[to];

	if (t->left[from] < 0) {
		*node = (struct forest_node){.split = NAN};
		leaves[to] = treefile_leaf(t, from, b->output);
		return;
	}
	*node = (struct forest_node){.split = t->value[from], .feature = (uint16_t)t->feature[from], .child = (uint16_t)(*n - to)};
	if (t->default_left[from] == 0)
		node->feature |= FOREST_DEFAULT_RIGHT;
	leaves[to] = 0;
	b->order[(*n)++] = (uint32_t)t->left[from];
	b->order[(*n)++] = (uint32_t)t->right[from];
}

static enum err
add_set(struct builder *b, const struct treefile_tree *t, size_t which, struct forest_set *set, struct err_info *info)
{
	struct forest *f = b->f;
	const int32_t *categories = t->categories + t->category_from[which];
	size_t n = (size_t)t->category_count[which];
	uint32_t n_bits = 0;

	for (size_t i = 0; i < n; i++)
		if ((uint32_t)categories[i] >= n_bits)
			n_bits = (uint32_t)categories[i] + 1;
	size_t n_words = (n_bits + 31) / 32;
	if (f->n_words + n_words > WORDS_MAX)
		return err_set(info, ERR_UNSUPPORTED_MODEL, "the categories take more than %zu bytes", WORDS_MAX * sizeof *f->words);
	uint32_t *words = grow(f->words, f->n_words, n_words + 1, sizeof *words, &b->cap_words);
	if (words != NULL)
		f->words = words;
	if (words == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the categories");
	memset(words + f->n_words, 0, n_words * sizeof *words);
	for (size_t i = 0; i < n; i++)
		words[f->n_words + (uint32_t)categories[i] / 32] |= 1U << (categories[i] % 32);
	*set = (struct forest_set){.first = (uint32_t)f->n_words, .n_bits = n_bits};
	f->n_words += n_words;
	return ERR_OK;
}

static int
compare_nodes(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a;
	int32_t y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* A set for each node of a tree that has categories, most of them none. */
static enum err
add_sets(struct builder *b, const struct treefile_tree *t, size_t n, struct err_info *info)
{
	struct forest *f = b->f;
	struct forest_set *sets = grow(f->sets, f->n_sets, n, sizeof *sets, &b->cap_sets);
	enum err e = ERR_OK;

	if (sets == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the categories");
	f->sets = sets;
	for (size_t to = 0; to < n && e == ERR_OK; to++) {
		int32_t from = (int32_t)b->order[to];
		struct forest_set *set = &sets[f->n_sets + to];
		*set = (struct forest_set){.first = FOREST_NO_SETS};
		if (t->left[from] < 0 || t->categorical == NULL || t->categorical[from] == 0)
			continue;
		const int32_t *found = bsearch(&from, t->category_node, t->n_categorical, sizeof from, compare_nodes);
		e = add_set(b, t, (size_t)(found - t->category_node), set, info); /* each has one: the reader has seen to that */
	}
	f->n_sets += n;
	return e;
}

/* XGBoost takes the node behind the left child for the right one, whatever the file says, and sends every number right of a split by NaN. */
static enum err
check_splits(const struct treefile_tree *t, size_t number, struct err_info *info)
{
	for (size_t i = 0; i < t->n; i++) {
		bool compares = t->left[i] >= 0 && (t->categorical == NULL || t->categorical[i] == 0);
		if (compares && (isnan(t->value[i]) || t->right[i] != t->left[i] + 1))
			return err_set(info, ERR_UNSUPPORTED_MODEL, "tree %zu: node %zu splits by NaN, or its children do not lie side by side",
						   number, i);
	}
	return ERR_OK;
}

/* Adds the tree with the values that its leaves have for the builder's output. */
static enum err
add_scalar_tree(struct builder *b, const struct treefile_tree *t, struct forest_tree *tree)
{
	struct forest *f = b->f;
	size_t n = 1;

	if (f->n_nodes + t->n > UINT32_MAX || !reserve(b, t))
		return ERR_OUT_OF_MEMORY;
	*tree = (struct forest_tree){.first = (uint32_t)f->n_nodes, .depth = (uint16_t)t->depth, .categorical = FOREST_NO_SETS};
	b->order[0] = 0;
	for (size_t to = 0; to < n; to++)
		add_node(b, t, f->nodes + f->n_nodes, f->leaves + f->n_nodes, b->order[to], to, &n);
	b->no_covers |= t->cover == NULL;
	for (size_t to = 0; to < n; to++)
		f->covers[f->n_nodes + to] = t->cover != NULL ? t->cover[b->order[to]] : 0;
	f->n_nodes += n;
	b->n_added = n;
	return ERR_OK;
}

/*
 * A tree of vector leaves becomes one tree for each output: the sums of each output are then XGBoost's. It has as many leaves in all as the file
 * has values of leaves. They ask for the same categories, whose sets they share.
 */
static enum err
add_tree(void *context, size_t number, const struct treefile_tree *t, struct err_info *info)
{
	struct builder *b = context;
	struct forest *f = b->f;
	uint32_t sets = FOREST_NO_SETS;
	enum err e = ERR_OK;

	if (t->n > NODES_MAX)
		return err_set(info, ERR_UNSUPPORTED_MODEL, "tree %zu has %zu nodes; %d are the most of a compiled one", number, t->n,
					   NODES_MAX);
	e = check_splits(t, number, info);
	for (b->output = 0; b->output < t->n_leaf_values && e == ERR_OK; b->output++) {
		struct forest_tree tree;
		if (add_scalar_tree(b, t, &tree) != ERR_OK)
			return err_set(info, ERR_OUT_OF_MEMORY, "no memory for tree %zu", number);
		if (b->output == 0 && t->n_categorical > 0) {
			sets = (uint32_t)f->n_sets;
			e = add_sets(b, t, b->n_added, info);
		}
		tree.categorical = sets;
		f->trees[f->n_trees++] = tree;
	}
	if (b->file != NULL && t->file_read >= b->given + GIVEN_BYTES) {
		b->given = t->file_read;
		buf_give_back(b->file, b->given);
	}
	return e;
}

/* Dart::PredictBatchImpl adds leaf times weight, rounded once each: the product may as well be made now. */
static void
weigh_leaves(struct forest *f, const float *weights, size_t n_leaf_values)
{
	const struct forest_view v = forest_view(f);

	for (size_t tree = 0; tree < f->n_trees; tree++)
		for (size_t i = 0; i < forest_tree_nodes(&v, tree); i++)
			f->leaves[f->trees[tree].first + i] *= weights[tree / n_leaf_values];
}

/* Takes the texts over from the head, unless they are not one for each feature. */
static enum err
take_texts(struct forest_texts *out, struct treefile_texts *texts, size_t n_features, struct err_info *info)
{
	if (texts->n != n_features)
		return ERR_OK;
	out->list = calloc(texts->n, sizeof *out->list);
	if (out->list == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the features");
	out->bytes = texts->bytes.data;
	texts->bytes.data = NULL;
	buf_release(&texts->bytes);
	const char *next = out->bytes;
	for (size_t i = 0; i < texts->n; i++, next += strlen(next) + 1)
		out->list[i] = next;
	return ERR_OK;
}

/* What the head of the file says, once all of it was read. */
static enum err
take_head(struct forest *f, struct treefile_head *h, struct err_info *info)
{
	const int32_t *groups = (const int32_t *)(const void *)h->groups.data;
	const float *bases = (const float *)(const void *)h->bases.data;

	f->transform = transform_find(h->objective);
	if (f->transform == NULL)
		return err_set(info, ERR_UNSUPPORTED_MODEL, "the objective %s is not known", h->objective);
	if (h->n_features > FOREST_FEATURE_MASK || h->n_groups > (transform_is_class(f->transform) ? FOREST_CLASSES_MAX : UINT16_MAX))
		return err_set(info, ERR_UNSUPPORTED_MODEL, "%zu features and %zu outputs are more than a compiled forest has",
					   h->n_features, h->n_groups);
	f->n_features = h->n_features;
	f->n_groups = h->n_groups;
	for (size_t i = 0; i < f->n_trees; i++)
		f->trees[i].group = (uint16_t)(h->n_leaf_values > 1 ? i % h->n_leaf_values : (size_t)groups[i]);
	f->bases = calloc(f->n_groups, sizeof *f->bases);
	if (f->bases == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu outputs", f->n_groups);
	for (size_t i = 0; i < f->n_groups; i++)
		f->bases[i] = bases[h->n_bases == 1 ? 0 : i];
	transform_to_margins(f->transform, f->bases, f->n_groups);
	f->shape = (struct booster_shape){
		.n_features = h->n_features, .n_values = transform_is_class(f->transform) ? 1 : h->n_groups, .n_margins = h->n_groups};
	memcpy(f->shape.objective, h->objective, sizeof f->shape.objective);
	memcpy(f->shape.kind, h->kind, sizeof f->shape.kind);
	if (h->weights.len > 0)
		weigh_leaves(f, (const float *)(const void *)h->weights.data, h->n_leaf_values);
	enum err e = take_texts(&f->names, &h->names, h->n_features, info);
	return e == ERR_OK ? take_texts(&f->types, &h->types, h->n_features, info) : e;
}

/* The trees by their outputs. */
static enum err
sort_trees(struct forest *f, struct err_info *info)
{
	f->order = calloc(f->n_trees + 1, sizeof *f->order);
	f->group_first = calloc(f->n_groups + 2, sizeof *f->group_first);
	if (f->order == NULL || f->group_first == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu trees", f->n_trees);
	uint32_t *next = f->group_first + 1; /* while they are filled in, an output's end stands where the next one's begin will */
	for (size_t i = 0; i < f->n_trees; i++)
		next[f->trees[i].group + 1U]++;
	for (size_t group = 0; group < f->n_groups; group++)
		next[group + 1] += next[group];
	for (size_t i = 0; i < f->n_trees; i++)
		f->order[next[f->trees[i].group]++] = (uint32_t)i;
	return ERR_OK;
}

static void *
cut(void *array, size_t n, size_t size)
{
	void *smaller = realloc(array, (n + 1) * size);

	return smaller != NULL ? smaller : array;
}

static void
cut_to_size(struct builder *b)
{
	struct forest *f = b->f;

	if (b->no_covers) {
		free(f->covers);
		f->covers = NULL;
	} else {
		f->covers = cut(f->covers, f->n_nodes, sizeof *f->covers);
	}
	f->nodes = cut(f->nodes, f->n_nodes, sizeof *f->nodes);
	f->leaves = cut(f->leaves, f->n_nodes, sizeof *f->leaves);
	f->trees = cut(f->trees, f->n_trees, sizeof *f->trees);
	f->sets = cut(f->sets, f->n_sets, sizeof *f->sets);
	f->words = cut(f->words, f->n_words, sizeof *f->words);
}

enum err
forest_build(struct forest *f, const void *bytes, size_t len, struct buf *last, struct err_info *info)
{
	struct treefile_head head;
	struct builder b = {.f = f, .file = last};
	enum err e = treefile_read(bytes, len, &head, add_tree, &b, info);

	free(b.order);
	if (e != ERR_OK)
		return e;
	e = take_head(f, &head, info);
	treefile_head_release(&head);
	if (e == ERR_OK)
		e = sort_trees(f, info);
	if (e == ERR_OK)
		cut_to_size(&b);
	return e;
}
