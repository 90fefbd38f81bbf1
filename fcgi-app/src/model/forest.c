/* forest.c - a model's trees, compiled: XGBoost's margins, bit for bit, without XGBoost */
#include "model/forest.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/contributions.h"
#include "model/splits.h"
#include "model/transform.h"
#include "model/treefile.h"
#include "model/verdicts.h"

enum {
	LANES = FOREST_WALKS,
	NODES_MAX = 65535,   /* of a tree */
	CLASSES_MAX = 4096,  /* of multi:softmax */
	WORDS_MAX = 1 << 24, /* of all sets: one of a large category takes 2 MiB, and four bytes in the file */
	BLOCK_MIN = 16       /* rows of which a block is worth its ranks */
};

/* The lanes' walks lie side by side in registers only where their loop is unrolled. */
#define UNROLL _Pragma("GCC unroll 8")

/* A text for each feature, or none. */
struct texts {
	char *bytes;       /* owned */
	const char **list; /* owned; or NULL */
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
	struct forest_node *nodes;           /* owned */
	float *leaves;                       /* owned; n_nodes: a leaf's value */
	struct forest_tree *trees;           /* owned */
	float *covers;                       /* owned; n_nodes: the training rows' hessians in a node; NULL where the file has none */
	struct forest_set *sets;             /* owned; for each node of the trees that have categories */
	uint32_t *words;                     /* owned */
	float *bases;                        /* owned; n_groups margins to start from */
	uint32_t *order;                     /* owned; the trees, one output's after the other's */
	uint32_t *group_first;               /* owned; n_groups + 1: where an output's begin */
	struct ranks *ranks;                 /* owned; for blocks of rows; or NULL */
	struct verdicts *verdicts;           /* owned; for single rows; or NULL */
	struct contributions *contributions; /* owned; or NULL where the file has no covers */
	struct texts names;
	struct texts types;
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
	bool no_covers; /* some tree has none */
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
	return e;
}

static struct forest_view
view(const struct forest *f)
{
	return (struct forest_view){.trees = f->trees,
								.nodes = f->nodes,
								.values = f->leaves,
								.covers = f->covers,
								.sets = f->sets,
								.words = f->words,
								.bases = f->bases,
								.order = f->order,
								.group_first = f->group_first,
								.n_trees = f->n_trees,
								.n_nodes = f->n_nodes,
								.n_groups = f->n_groups,
								.n_features = f->n_features};
}

/* Dart::PredictBatchImpl adds leaf times weight, rounded once each: the product may as well be made now. */
static void
weigh_leaves(struct forest *f, const float *weights, size_t n_leaf_values)
{
	const struct forest_view v = view(f);

	for (size_t tree = 0; tree < f->n_trees; tree++)
		for (size_t i = 0; i < forest_tree_nodes(&v, tree); i++)
			f->leaves[f->trees[tree].first + i] *= weights[tree / n_leaf_values];
}

/* Takes the texts over from the head, unless they are not one for each feature. */
static enum err
take_texts(struct texts *out, struct treefile_texts *texts, size_t n_features, struct err_info *info)
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
	if (h->n_features > FOREST_FEATURE_MASK || h->n_groups > (transform_is_class(f->transform) ? CLASSES_MAX : UINT16_MAX))
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

static enum err
make_scorers(struct forest *f, struct err_info *info)
{
	const struct forest_view v = view(f);
	struct splits splits;
	enum err e = splits_init(&splits, &v, info);

	if (e != ERR_OK)
		return e;
	e = ranks_open(&v, &splits, &f->ranks, info);
	if (e == ERR_OK)
		e = verdicts_open(&v, &splits, &f->verdicts, info);
	if (e == ERR_OK && f->covers != NULL)
		e = contributions_open(&v, &f->contributions, info);
	splits_release(&splits);
	return e;
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
	if (e == ERR_OK)
		e = sort_trees(b.f, info);
	if (e == ERR_OK) {
		cut_to_size(&b);
		e = make_scorers(b.f, info);
	}
	if (e != ERR_OK) {
		forest_free(b.f);
		return e;
	}
	*out = b.f;
	return ERR_OK;
}

void
forest_use(struct forest *f, enum ranks_isa isa)
{
	if (f->ranks != NULL)
		ranks_use(f->ranks, isa);
	if (f->contributions != NULL)
		contributions_use(f->contributions, isa);
}

const char *
forest_isa_name(const struct forest *f)
{
	return f->ranks != NULL ? ranks_isa_name(ranks_isa(f->ranks)) : "none";
}

void
forest_free(struct forest *f)
{
	if (f == NULL)
		return;
	free(f->nodes);
	free(f->leaves);
	free(f->covers);
	free(f->trees);
	free(f->sets);
	free(f->words);
	free(f->bases);
	free(f->order);
	free(f->group_first);
	contributions_free(f->contributions);
	ranks_free(f->ranks);
	verdicts_free(f->verdicts);
	free(f->names.bytes);
	free(f->names.list);
	free(f->types.bytes);
	free(f->types.list);
	free(f);
}

const struct booster_shape *
forest_shape(const struct forest *f)
{
	return &f->shape;
}

const char *const *
forest_feature_names(const struct forest *f)
{
	return f->names.list;
}

const char *const *
forest_feature_types(const struct forest *f)
{
	return f->types.list;
}

size_t
forest_trees(const struct forest *f)
{
	return f->n_trees;
}

struct forest_ways
forest_ways(const struct forest *f)
{
	struct forest_ways ways = {0};

	for (size_t i = 0; i < f->n_trees; i++) {
		ways.ranks += f->ranks != NULL && ranks_has_tree(f->ranks, i);
		ways.levels += f->contributions != NULL && contributions_has_levels(f->contributions, i);
	}
	for (size_t i = 0; f->verdicts != NULL && i + LANES <= f->n_trees; i += LANES)
		ways.verdicts += verdicts_can_walk(f->verdicts, i) ? LANES : 0;
	if (f->verdicts != NULL && f->n_groups == 1 && f->n_trees >= LANES && verdicts_can_walk(f->verdicts, f->n_trees - LANES))
		ways.verdicts += f->n_trees % LANES; /* margin_of_row() */
	return ways;
}

size_t
forest_bytes(const struct forest *f)
{
	const struct forest_view v = view(f);
	size_t covers = f->covers != NULL ? f->n_nodes * sizeof *f->covers : 0;
	size_t contributions = f->contributions != NULL ? contributions_bytes(f->contributions, &v) : 0;

	return sizeof *f + covers + contributions + f->n_nodes * (sizeof *f->nodes + sizeof *f->leaves) +
		   f->n_groups * sizeof *f->group_first + f->n_trees * (sizeof *f->trees + sizeof *f->order) + f->n_sets * sizeof *f->sets +
		   f->n_words * sizeof *f->words + (f->ranks != NULL ? ranks_bytes(f->ranks) : 0) +
		   (f->verdicts != NULL ? verdicts_bytes(f->verdicts) : 0);
}

static void
report_set(const struct forest *f, const struct forest_set *s, size_t column, booster_split_fn *found, void *context)
{
	for (uint32_t c = 0; c < s->n_bits; c++)
		if ((f->words[s->first + c / 32] >> (c % 32) & 1) != 0)
			found(context, column, (float)c);
}

void
forest_splits(const struct forest *f, booster_split_fn *found, void *context)
{
	const struct forest_view v = view(f);

	for (size_t i = 0; i < f->n_trees; i++) {
		const struct forest_tree *t = &f->trees[i];
		size_t n = forest_tree_nodes(&v, i);
		for (size_t at = 0; at < n; at++) {
			const struct forest_node *node = &f->nodes[t->first + at];
			size_t column = node->feature & FOREST_FEATURE_MASK;
			if (forest_is_leaf(node))
				continue;
			if (t->categorical != FOREST_NO_SETS && f->sets[t->categorical + at].first != FOREST_NO_SETS)
				report_set(f, &f->sets[t->categorical + at], column, found, context);
			else
				found(context, column, node->split);
		}
	}
}

/* From a node to the child that the row goes to; a leaf is its own. */
static inline uint32_t
step(const struct forest_node *nodes, uint32_t at, const float *row)
{
	const struct forest_node n = nodes[at];
	float value = row[n.feature & FOREST_FEATURE_MASK];

	/* value >= split, or missing and the default is right, without a branch; a leaf's NaN makes neither true. */
	uint32_t right = (uint32_t)(value >= n.split) | ((uint32_t)(value != value) & (uint32_t)(n.feature >> 15));
	return at + n.child + right;
}

static float
walk_categorical(const struct forest *f, const struct forest_tree *t, const float *row)
{
	const struct forest_view v = view(f);
	uint32_t at = t->first;

	while (!forest_is_leaf(&f->nodes[at])) {
		const struct forest_node *n = &f->nodes[at];
		const struct forest_set *set = forest_set(&v, t, at);
		float value = row[n->feature & FOREST_FEATURE_MASK];
		if (value != value || set == NULL)
			at = step(f->nodes, at, row);
		else
			at += n->child + (uint32_t)forest_set_has(&v, set, value);
	}
	return f->leaves[at];
}

/* The leaves that one row reaches in LANES trees. */
static inline void
walk_trees(const struct forest *f, const struct forest_tree *t, const float *row, float leaves[LANES])
{
	uint32_t at[LANES];
	unsigned depth = 0;

	for (size_t i = 0; i < LANES; i++) {
		at[i] = t[i].first;
		depth = t[i].depth > depth ? t[i].depth : depth;
	}
	for (unsigned d = 0; d < depth; d++) {
		UNROLL
		for (size_t i = 0; i < LANES; i++)
			at[i] = step(f->nodes, at[i], row);
	}
	for (size_t i = 0; i < LANES; i++)
		leaves[i] = f->leaves[at[i]];
}

/* The leaves that LANES rows reach in one tree. */
static inline void
walk_rows(const struct forest *f, const struct forest_tree *t, const float *rows, float leaves[LANES])
{
	uint32_t at[LANES];

	for (size_t i = 0; i < LANES; i++)
		at[i] = t->first;
	for (unsigned d = 0; d < t->depth; d++) {
		UNROLL
		for (size_t i = 0; i < LANES; i++)
			at[i] = step(f->nodes, at[i], rows + i * f->n_features);
	}
	for (size_t i = 0; i < LANES; i++)
		leaves[i] = f->leaves[at[i]];
}

static float
walk_tree(const struct forest *f, const struct forest_tree *t, const float *row)
{
	const struct forest_node *nodes = f->nodes + t->first;
	uint32_t at = 0;

	if (t->categorical != FOREST_NO_SETS)
		return walk_categorical(f, t, row);
	for (unsigned d = 0; d < t->depth; d++)
		at = step(nodes, at, row);
	return f->leaves[t->first + at];
}

/* The leaves that one row reaches in the LANES trees from the first on. */
static inline void
leaves_of_row(const struct forest *f, size_t first, const float *row, const unsigned char *verdicts, float leaves[LANES])
{
	if (f->verdicts != NULL && verdicts_can_walk(f->verdicts, first))
		verdicts_walk(f->verdicts, f->trees + first, verdicts, f->leaves, leaves);
	else if (f->n_sets == 0)
		walk_trees(f, f->trees + first, row, leaves);
	else
		for (size_t i = 0; i < LANES; i++)
			leaves[i] = walk_tree(f, &f->trees[first + i], row);
}

/* One output; the sum stays in a register. */
static float
margin_of_row(const struct forest *f, const float *row, const unsigned char *verdicts)
{
	float sum = f->bases[0];

	for (size_t i = 0; i < f->n_trees; i += LANES) {
		float leaves[LANES];
		size_t first = i + LANES <= f->n_trees ? i : f->n_trees - LANES; /* the last trees once more, where fewer are left */
		leaves_of_row(f, first, row, verdicts, leaves);
		for (size_t k = i - first; k < LANES; k++)
			sum += leaves[k];
	}
	return sum;
}

static void
margins_of_row(const struct forest *f, const float *row, float *sums)
{
	unsigned char verdicts[VERDICTS_MAX];

	if (f->verdicts != NULL)
		verdicts_ask(f->verdicts, row, verdicts);
	if (f->n_groups == 1 && f->n_trees >= LANES) {
		sums[0] = margin_of_row(f, row, verdicts);
		return;
	}
	size_t i = 0;
	memcpy(sums, f->bases, f->n_groups * sizeof *sums);
	for (; i + LANES <= f->n_trees; i += LANES) {
		float leaves[LANES];
		leaves_of_row(f, i, row, verdicts, leaves);
		for (size_t k = 0; k < LANES; k++)
			sums[f->trees[i + k].group] += leaves[k];
	}
	for (; i < f->n_trees; i++)
		sums[f->trees[i].group] += walk_tree(f, &f->trees[i], row);
}

/* Rows that go through all trees together. */
struct block {
	const float *rows;
	size_t n_rows;
	float sums[RANKS_ROWS]; /* of one output */
	struct ranks_block ranks;
};

/* A tree that has no ranks. */
static void
add_walked(const struct forest *f, const struct forest_tree *t, struct block *b)
{
	size_t row = 0;

	for (; t->categorical == FOREST_NO_SETS && row + LANES <= b->n_rows; row += LANES) {
		float leaves[LANES];
		walk_rows(f, t, b->rows + row * f->n_features, leaves);
		for (size_t i = 0; i < LANES; i++)
			b->sums[row + i] += leaves[i];
	}
	for (; row < b->n_rows; row++)
		b->sums[row] += walk_tree(f, t, b->rows + row * f->n_features);
}

static void
margins_of_block(const struct forest *f, struct block *b, float *out)
{
	if (f->ranks != NULL)
		ranks_fill(f->ranks, b->rows, b->n_rows, f->n_features, &b->ranks);
	for (size_t group = 0; group < f->n_groups; group++) {
		for (size_t i = 0; i < b->n_rows; i++)
			b->sums[i] = f->bases[group];
		for (size_t k = f->group_first[group]; k < f->group_first[group + 1]; k++) {
			size_t tree = f->order[k];
			if (f->ranks != NULL && ranks_has_tree(f->ranks, tree))
				ranks_add_tree(f->ranks, tree, b->n_rows, &b->ranks, b->sums);
			else
				add_walked(f, &f->trees[tree], b);
		}
		for (size_t i = 0; i < b->n_rows; i++)
			out[i * f->n_groups + group] = b->sums[i];
	}
}

static void
margins(const struct forest *f, const float *rows, size_t n_rows, float *out)
{
	while (n_rows >= BLOCK_MIN) {
		struct block b;
		b.rows = rows;
		b.n_rows = n_rows < RANKS_ROWS ? n_rows : RANKS_ROWS;
		margins_of_block(f, &b, out);
		rows += b.n_rows * f->n_features;
		out += b.n_rows * f->n_groups;
		n_rows -= b.n_rows;
	}
	for (; n_rows > 0; n_rows--) {
		margins_of_row(f, rows, out);
		rows += f->n_features;
		out += f->n_groups;
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
		margins_of_row(f, rows + i * f->n_features, sums);
		out[i] = transform_class(sums, f->n_groups);
	}
}

bool
forest_can_explain(const struct forest *f)
{
	return f->contributions != NULL;
}

size_t
forest_explain_scratch(const struct forest *f)
{
	return contributions_scratch(f->contributions, f->n_features);
}

size_t
forest_explain_steps(const struct forest *f)
{
	const struct forest_view v = view(f);
	size_t steps = 1;

	for (size_t i = 0; i < f->n_trees; i++)
		steps += forest_tree_nodes(&v, i) * f->trees[i].depth * f->trees[i].depth;
	return steps;
}

void
forest_explain(const struct forest *f, const float *rows, size_t n_rows, void *scratch, float *out)
{
	const struct forest_view v = view(f);

	contributions_explain(f->contributions, &v, rows, n_rows, scratch, out);
}
