/* contributions.c - exact Shapley values of a forest's answers */
#include "model/contributions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = 8,               /* rows at once */
	STEP_MAX = 4,            /* points at once */
	DEPTH_MAX = 512,         /* most nodes on a path, and … */
	FEATURES_MAX_PATH = 256, /* … most features that it asks for */
	POINTS_MAX = FEATURES_MAX_PATH / 2,
	LEVEL_NUMBERS = 4 /* of struct level */
};

/* No factor is 0, which it would be divided by: a share of no training row at all counts as this one. */
#define TINY 1e-30F

/* Gauss-Legendre's rule on 0 … 1 */
struct rule {
	float x[POINTS_MAX];
	float weight[POINTS_MAX];
};

struct contributions {
	float *means;       /* owned; of each output: the base margin and all trees' expectations */
	struct rule *rules; /* owned; of 1, 2, … points */
	size_t n_rules;
	uint16_t *points; /* owned; of each tree's rule */
	size_t depth;     /* of the deepest tree */
};

#define LANES 1
#define TARGET
#define NAMED(x) x##_alone
#include "model/contributions_walk.h"

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

/* The roots of the Legendre polynomial of degree n by Newton's method from Chebyshev's guess (Abramowitz and Stegun, 25.4.29). */
static void
make_rule(struct rule *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double x = cos(acos(-1.0) * ((double)i + 0.75) / ((double)n + 0.5));
		double slope = 1;
		for (int steps = 0; steps < 100; steps++) {
			double before = 0;
			double now = 1;
			for (size_t k = 0; k < n; k++) {
				double next = ((2.0 * (double)k + 1) * x * now - (double)k * before) / ((double)k + 1);
				before = now;
				now = next;
			}
			slope = (double)n * (x * now - before) / (x * x - 1);
			double step = now / slope;
			x -= step;
			if (fabs(step) < 1e-15)
				break;
		}
		r->x[i] = (float)((1 + x) / 2);
		r->weight[i] = (float)(1 / ((1 - x * x) * slope * slope));
	}
}

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
		make_rule(&c->rules[i], i + 1);
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
	free(c);
}

size_t
contributions_scratch(const struct contributions *c, size_t n_features)
{
	return (2 * n_features + LEVEL_NUMBERS * (c->n_rules + STEP_MAX) * (c->depth + 1)) * BLOCK * sizeof(float);
}

void
contributions_explain(const struct contributions *c, const struct forest_view *forest, const float *rows, size_t n_rows,
					  void *scratch, float *out)
{
	if (n_rows == 1)
		explain_alone(c, forest, rows, n_rows, scratch, out);
#ifdef __x86_64__
	else if (__builtin_cpu_supports("avx2"))
		explain_avx2(c, forest, rows, n_rows, scratch, out);
#endif
	else
		explain_portable(c, forest, rows, n_rows, scratch, out);
}
