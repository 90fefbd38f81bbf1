/* contributions.c - exact Shapley values of a forest's answers */
#include "model/contributions.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/levels.h"
#include "model/rule.h"

enum {
	BLOCK = 8,               /* rows that go down a tree together */
	DEPTH_MAX = 512,         /* most nodes on a path, and … */
	FEATURES_MAX_PATH = 256, /* … most features that it asks for: twice the points of a rule */
	LEVEL_NUMBERS = 4        /* of struct level */
};

/* No factor is 0, which it would be divided by: a share of no training row at all counts as this one. */
#define TINY 1e-30F

struct contributions {
	float *means;       /* owned; of each output: the base margin and all trees' expectations */
	struct rule *rules; /* owned; of 1, 2, … points */
	size_t n_rules;
	uint16_t *points;      /* owned; of each tree's rule */
	size_t depth;          /* of the deepest tree */
	struct levels *levels; /* owned; for the trees that it takes */
	bool all_levels;       /* it takes all that are no leaf alone */
	enum ranks_isa isa;
};

/* The trees that are walked. */
static bool
is_walked(const struct contributions *c, size_t tree, bool walks_all)
{
	return c->points[tree] > 0 && (walks_all || !levels_has_tree(c->levels, tree)); /* without points it is a leaf alone */
}

#define LANES BLOCK
#define TARGET
#define NAMED(x) x##_portable
#include "model/contributions_walk.h"

#ifdef __x86_64__
#define LANES    BLOCK
#define TARGET   __attribute__((target("avx2")))
#define NAMED(x) x##_avx2
#include "model/contributions_walk.h"
#endif

/* The tree's expectation over the training rows (XGBoost's FillNodeMeanValues), from the leaves upwards; `means` has room for its nodes. */
static float
tree_mean(const struct forest_view *v, size_t tree, float *means)
{
	size_t first = v->trees[tree].first;

	for (size_t i = forest_tree_nodes(v, tree); i-- > 0;) {
		const struct forest_node *node = &v->nodes[first + i];
		size_t left = i + node->child;
		if (forest_is_leaf(node))
			means[i] = v->values[first + i];
		else
			means[i] =
				(means[left] * v->covers[first + left] + means[left + 1] * v->covers[first + left + 1]) / v->covers[first + i];
	}
	return means[0];
}

/* The most features on a path; `counts` has room for the tree's nodes, and `parents` too. */
static size_t
path_features(const struct forest_view *v, size_t tree, uint16_t *counts, uint32_t *parents)
{
	const struct forest_node *nodes = v->nodes + v->trees[tree].first;
	size_t most = 0;

	counts[0] = 0;
	parents[0] = UINT32_MAX;
	for (size_t i = 0; i < forest_tree_nodes(v, tree); i++) {
		uint16_t feature = nodes[i].feature & FOREST_FEATURE_MASK;
		uint16_t count = counts[i];
		uint32_t above = parents[i];
		if (count > most)
			most = count;
		if (forest_is_leaf(&nodes[i]))
			continue;
		while (above != UINT32_MAX && (nodes[above].feature & FOREST_FEATURE_MASK) != feature)
			above = parents[above];
		count = (uint16_t)(count + (above == UINT32_MAX));
		for (size_t child = i + nodes[i].child; child < i + nodes[i].child + 2U; child++) {
			counts[child] = count;
			parents[child] = (uint32_t)i;
		}
	}
	return most;
}

static size_t
most_nodes(const struct forest_view *v)
{
	size_t most = 1;

	for (size_t tree = 0; tree < v->n_trees; tree++)
		if (forest_tree_nodes(v, tree) > most)
			most = forest_tree_nodes(v, tree);
	return most;
}

/* The expectations, and how many points each tree wants. */
static enum err
look_at_trees(struct contributions *c, const struct forest_view *v, struct err_info *info)
{
	size_t n = most_nodes(v);
	float *means = calloc(n, sizeof *means);
	uint16_t *counts = calloc(n, sizeof *counts);
	uint32_t *parents = calloc(n, sizeof *parents);
	enum err e = ERR_OK;

	if (means == NULL || counts == NULL || parents == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory to explain %zu trees", v->n_trees);
	for (size_t tree = 0; tree < v->n_trees && e == ERR_OK; tree++) {
		size_t features = path_features(v, tree, counts, parents);
		c->depth = v->trees[tree].depth > c->depth ? v->trees[tree].depth : c->depth;
		if (features > FEATURES_MAX_PATH || c->depth > DEPTH_MAX)
			e = err_set(info, ERR_UNSUPPORTED_MODEL,
						"tree %zu has a path of %u nodes and one of %zu features; %d and %d are the most that can be explained",
						tree, v->trees[tree].depth, features, DEPTH_MAX, FEATURES_MAX_PATH);
		c->points[tree] = (uint16_t)((features + 1) / 2);
		c->n_rules = c->points[tree] > c->n_rules ? c->points[tree] : c->n_rules;
		c->means[v->trees[tree].group] += tree_mean(v, tree, means);
	}
	free(means);
	free(counts);
	free(parents);
	return e;
}

static bool
takes_all(const struct contributions *c, const struct forest_view *v)
{
	size_t tree = 0;

	while (tree < v->n_trees && !is_walked(c, tree, false))
		tree++;
	return tree == v->n_trees;
}

static enum err
make(struct contributions *c, const struct forest_view *v, struct err_info *info)
{
	c->means = calloc(v->n_groups + 1, sizeof *c->means);
	c->points = calloc(v->n_trees + 1, sizeof *c->points);
	if (c->means == NULL || c->points == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory to explain %zu trees", v->n_trees);
	for (size_t group = 0; group < v->n_groups; group++)
		c->means[group] = v->bases[group];
	enum err e = look_at_trees(c, v, info);
	if (e != ERR_OK)
		return e;
	c->rules = calloc(c->n_rules + 1, sizeof *c->rules);
	if (c->rules == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory to explain %zu trees", v->n_trees);
	for (size_t i = 0; i < c->n_rules; i++)
		rule_init(&c->rules[i], i + 1);
	e = levels_open(v, &c->levels, info);
	if (e != ERR_OK)
		return e;
	c->all_levels = takes_all(c, v);
	contributions_use(c, ranks_best_isa());
	return ERR_OK;
}

enum err
contributions_open(const struct forest_view *forest, struct contributions **out, struct err_info *info)
{
	struct contributions *c = calloc(1, sizeof *c);
	enum err e = c != NULL ? make(c, forest, info) : err_set(info, ERR_OUT_OF_MEMORY, "no memory to explain");

	*out = NULL;
	if (e == ERR_OK)
		*out = c;
	else
		contributions_free(c);
	return e;
}

void
contributions_free(struct contributions *c)
{
	if (c == NULL)
		return;
	free(c->means);
	free(c->rules);
	free(c->points);
	levels_free(c->levels);
	free(c);
}

void
contributions_use(struct contributions *c, enum ranks_isa isa)
{
	levels_use(c->levels, isa);
	c->isa = isa;
}

bool
contributions_has_levels(const struct contributions *c, size_t tree)
{
	return levels_has_tree(c->levels, tree);
}

size_t
contributions_bytes(const struct contributions *c, const struct forest_view *forest)
{
	return sizeof *c + forest->n_groups * sizeof *c->means + c->n_rules * sizeof *c->rules + forest->n_trees * sizeof *c->points +
		   levels_bytes(c->levels);
}

size_t
contributions_scratch(const struct contributions *c, size_t n_features)
{
	size_t walk = (2 * n_features + LEVEL_NUMBERS * (c->n_rules + 1) * (c->depth + 1)) * BLOCK * sizeof(float);

	return walk > levels_scratch(c->levels) ? walk : levels_scratch(c->levels);
}

static void
walk_rows(const struct contributions *c, const struct forest_view *forest, const float *rows, size_t n_rows, bool all,
		  void *scratch, float *out)
{
#ifdef __x86_64__
	if (c->isa != RANKS_PORTABLE)
		walk_avx2(c, forest, rows, n_rows, all, scratch, out);
	else
#endif
		walk_portable(c, forest, rows, n_rows, all, scratch, out);
}

void
contributions_explain(const struct contributions *c, const struct forest_view *forest, const float *rows, size_t n_rows,
					  void *scratch, float *out)
{
	const size_t width = forest->n_features + 1;
	const bool walks_all = c->isa == RANKS_PORTABLE && n_rows >= BLOCK / 2; /* whose vectors of nodes are slow */

	for (size_t i = 0; i < n_rows * forest->n_groups; i++) {
		memset(out + i * width, 0, forest->n_features * sizeof *out);
		out[i * width + forest->n_features] = c->means[i % forest->n_groups];
	}
	for (size_t i = 0; !walks_all && i < n_rows * forest->n_groups; i++)
		levels_explain(c->levels, forest, c->rules, i % forest->n_groups, rows + i / forest->n_groups * forest->n_features, scratch,
					   out + i * width);
	if (walks_all || !c->all_levels)
		walk_rows(c, forest, rows, n_rows, walks_all, scratch, out);
}
