/* forest.c - a model's trees, compiled: XGBoost's margins, bit for bit, without XGBoost */
#include "model/forest.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/forest_build.h"
#include "model/splits.h"

enum {
	LANES = FOREST_WALKS,
	BLOCK_MIN = 16,                      /* rows of which a block is worth its ranks */
	MARGINS_MAX = 4 * FOREST_CLASSES_MAX /* that wait to become classes */
};

/* The lanes' walks lie side by side in registers only where their loop is unrolled. */
#define UNROLL _Pragma("GCC unroll 8")

static enum err
make_scorers(struct forest *f, struct err_info *info)
{
	const struct forest_view v = forest_view(f);
	struct splits splits;
	enum err e = splits_init(&splits, &v, info);

	if (e != ERR_OK)
		return e;
	e = ranks_open(&v, &splits, &f->ranks, info);
	if (e == ERR_OK)
		e = verdicts_open(&v, &splits, &f->verdicts, info);
	splits_release(&splits);
	return e == ERR_OK && f->covers != NULL ? contributions_open(&v, &f->contributions, info) : e;
}

static enum err
open_forest(const void *bytes, size_t len, struct buf *last, struct forest **out, struct err_info *info)
{
	struct forest *f = calloc(1, sizeof *f);

	*out = NULL;
	if (f == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for a forest");
	enum err e = forest_build(f, bytes, len, last, info);
	if (last != NULL)
		buf_release(last);
	if (e == ERR_OK)
		e = make_scorers(f, info);
	if (e != ERR_OK) {
		forest_free(f);
		return e;
	}
	*out = f;
	return ERR_OK;
}

enum err
forest_open(const void *bytes, size_t len, struct forest **out, struct err_info *info)
{
	return open_forest(bytes, len, NULL, out, info);
}

enum err
forest_open_last(struct buf *file, struct forest **out, struct err_info *info)
{
	enum err e = open_forest(file->data, file->len, file, out, info);

	buf_release(file);
	return e;
}

void
forest_use(struct forest *f, enum ranks_isa isa)
{
	if (f->ranks != NULL)
		ranks_use(f->ranks, isa);
	if (f->verdicts != NULL)
		verdicts_use(f->verdicts, isa);
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
	for (size_t i = 0; f->verdicts != NULL && i < f->n_trees; i += LANES)
		if (verdicts_can_walk(f->verdicts, i))
			ways.verdicts += f->n_trees - i < LANES ? f->n_trees - i : LANES;
	return ways;
}

size_t
forest_bytes(const struct forest *f)
{
	const struct forest_view v = forest_view(f);
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
	const struct forest_view v = forest_view(f);

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
	const struct forest_view v = forest_view(f);
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

/*
 * The leaves that one row reaches in the LANES trees from `first` on, a multiple of LANES, or in those that are left: how many. Where fewer are left, and they are not walked
 * over verdicts, LANES trees are walked all the same, some of them once more.
 */
static inline size_t
leaves_of_row(const struct forest *f, size_t first, const float *row, const unsigned char *verdicts, float leaves[LANES])
{
	size_t n = f->n_trees - first < LANES ? f->n_trees - first : LANES;

	if (f->verdicts != NULL && verdicts_can_walk(f->verdicts, first)) {
		verdicts_walk(f->verdicts, first, f->trees, f->leaves, verdicts, leaves);
	} else if (f->n_sets == 0 && f->n_trees >= LANES) {
		float all[LANES];
		walk_trees(f, f->trees + first + n - LANES, row, all);
		for (size_t i = 0; i < n; i++)
			leaves[i] = all[LANES - n + i];
	} else {
		for (size_t i = 0; i < n; i++)
			leaves[i] = walk_tree(f, &f->trees[first + i], row);
	}
	return n;
}

/* One output; the sum stays in a register. */
static float
margin_of_row(const struct forest *f, const float *row, const unsigned char *verdicts)
{
	float sum = f->bases[0];

	for (size_t i = 0; i < f->n_trees; i += LANES) {
		float leaves[LANES];
		size_t n = leaves_of_row(f, i, row, verdicts, leaves);
		for (size_t k = 0; k < n; k++)
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
	if (f->n_groups == 1) {
		sums[0] = margin_of_row(f, row, verdicts);
		return;
	}
	memcpy(sums, f->bases, f->n_groups * sizeof *sums);
	for (size_t i = 0; i < f->n_trees; i += LANES) {
		float leaves[LANES];
		size_t n = leaves_of_row(f, i, row, verdicts, leaves);
		for (size_t k = 0; k < n; k++)
			sums[f->trees[i + k].group] += leaves[k];
	}
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

/* Many margins of a row become one class: as many rows at once as a block has, or fewer, whose margins fit. */
static void
classes(const struct forest *f, const float *rows, size_t n_rows, float *out)
{
	float sums[MARGINS_MAX];
	size_t most = MARGINS_MAX / f->n_groups < RANKS_ROWS ? MARGINS_MAX / f->n_groups : RANKS_ROWS;

	while (n_rows > 0) {
		size_t n = n_rows < most ? n_rows : most;
		margins(f, rows, n, sums);
		for (size_t i = 0; i < n; i++)
			out[i] = transform_class(sums + i * f->n_groups, f->n_groups);
		rows += n * f->n_features;
		out += n;
		n_rows -= n;
	}
}

void
forest_predict(const struct forest *f, enum booster_output output, const float *rows, size_t n_rows, float *out)
{
	if (output == BOOSTER_VALUE && transform_is_class(f->transform)) {
		classes(f, rows, n_rows, out);
		return;
	}
	margins(f, rows, n_rows, out);
	if (output == BOOSTER_VALUE)
		transform_apply(f->transform, out, n_rows, f->n_groups);
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
	const struct forest_view v = forest_view(f);
	size_t steps = 1;

	for (size_t i = 0; i < f->n_trees; i++)
		steps += forest_tree_nodes(&v, i) * f->trees[i].depth * f->trees[i].depth;
	return steps;
}

void
forest_explain(const struct forest *f, const float *rows, size_t n_rows, void *scratch, float *out)
{
	const struct forest_view v = forest_view(f);

	contributions_explain(f->contributions, &v, rows, n_rows, scratch, out);
}
