/* contributions_walk.h - LANES rows down all trees of an output; contributions.c includes it once for each number of lanes and set of instructions */

/* Of the includer: LANES; TARGET, the attribute that names the instructions; and NAMED(x), the name of a type or function. */
typedef float NAMED(lanes) __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef int32_t NAMED(bits) __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(sizeof(int32_t)), may_alias));

#define IS_NAN(cells) ((cells) != (cells))

/* A feature that the path asks for, by the last edge that does. */
struct NAMED(element) {
	NAMED(lanes) one; /* 1 where the row goes the path's way, else 0 */
	float zero;       /* the share of the training rows that do */
	uint32_t feature;
	size_t level; /* of the edge */
};

/* Of a node and the edge to it, a number for each row and point. */
struct NAMED(level) {
	NAMED(lanes) * factors;  /* of the edge's feature */
	NAMED(lanes) * products; /* of the factors of all features of the path */
	NAMED(lanes) * below;    /* the sum of value and product over the leaves below */
	NAMED(lanes) * replaced; /* the part of it whose paths ask for the edge's feature again */
};

/* Down one tree with LANES rows. */
struct NAMED(down) {
	const struct forest_view *forest;
	const struct forest_tree *tree;
	const struct rule *rule;
	size_t n_points;            /* over the rule's points */
	const NAMED(lanes) * cells; /* of each feature */
	NAMED(lanes) * sums;        /* of each feature: what is to be found */
	NAMED(lanes) * numbers;     /* of the levels */
	struct NAMED(element) path[FEATURES_MAX_PATH];
};

static inline TARGET struct NAMED(level) NAMED(level_at)(const struct NAMED(down) * w, size_t depth)
{
	NAMED(lanes) *first = w->numbers + LEVEL_NUMBERS * w->n_points * depth;

	return (struct NAMED(level)){first, first + w->n_points, first + 2 * w->n_points, first + 3 * w->n_points};
}

/* All bits set in the lanes whose row goes right. */
static inline TARGET void
NAMED(ask_node)(const struct NAMED(down) * w, size_t at, NAMED(bits) * right)
{
	const struct forest_node *node = &w->forest->nodes[at];
	NAMED(lanes) cells = w->cells[node->feature & FOREST_FEATURE_MASK];
	const struct forest_set *set = w->tree->categorical != FOREST_NO_SETS ? forest_set(w->forest, w->tree, at) : NULL;
	NAMED(bits) missing = (NAMED(bits))IS_NAN(cells);

	if (set == NULL)
		*right = (NAMED(bits))(cells >= node->split);
	else
		for (size_t i = 0; i < LANES; i++)
			((int32_t *)right)[i] = forest_set_has(w->forest, set, ((const float *)&cells)[i]) ? -1 : 0;
	if ((node->feature & FOREST_DEFAULT_RIGHT) != 0)
		*right |= missing;
	else
		*right &= ~missing;
}

static size_t
NAMED(find_feature)(const struct NAMED(down) * w, size_t n, uint32_t feature)
{
	size_t k = 0;

	while (k < n && w->path[k].feature != feature)
		k++;
	return k;
}

/* Goes down an edge: its factors, and the products with them in place of those that the feature had before, if it is asked for again. */
static inline TARGET void
NAMED(go_down)(const struct NAMED(down) * w, const struct NAMED(element) * e, const struct NAMED(element) * before,
			   const struct NAMED(level) * above, const struct NAMED(level) * l)
{
	for (size_t g = 0; g < w->n_points; g++) {
		l->factors[g] = e->one * w->rule->x[g] + e->zero * (1 - w->rule->x[g]) + TINY;
		l->products[g] = above->products[g] * l->factors[g];
		l->replaced[g] = (NAMED(lanes)){0};
	}
	if (before == NULL)
		return;
	const struct NAMED(level) old = NAMED(level_at)(w, before->level);
	for (size_t g = 0; g < w->n_points; g++)
		l->products[g] /= old.factors[g];
}

/* Comes back: the edge's feature gets what the leaves below add to it, and the node above their sum. */
static inline TARGET void
NAMED(come_back)(const struct NAMED(down) * w, const struct NAMED(element) * e, const struct NAMED(element) * before,
				 const struct NAMED(level) * above, const struct NAMED(level) * l)
{
	NAMED(lanes) found = {0};

	for (size_t g = 0; g < w->n_points; g++) {
		found += w->rule->weight[g] * (l->below[g] - l->replaced[g]) / l->factors[g];
		above->below[g] += l->below[g];
	}
	w->sums[e->feature] += (e->one - e->zero) * found;
	if (before == NULL)
		return;
	const struct NAMED(level) old = NAMED(level_at)(w, before->level);
	for (size_t g = 0; g < w->n_points; g++)
		old.replaced[g] += l->below[g];
}

/* From an inner node on, with a path of n features and `depth` edges to it, whose level's products are made. */
static TARGET void
NAMED(visit)(struct NAMED(down) * w, size_t at, size_t n, size_t depth)
{
	const struct forest_node *node = &w->forest->nodes[at];
	const struct NAMED(level) here = NAMED(level_at)(w, depth);
	const struct NAMED(level) next = NAMED(level_at)(w, depth + 1);
	uint32_t feature = node->feature & FOREST_FEATURE_MASK;
	NAMED(bits) right;

	for (size_t g = 0; g < w->n_points; g++)
		here.below[g] = (NAMED(lanes)){0};
	NAMED(ask_node)(w, at, &right);
	size_t k = NAMED(find_feature)(w, n, feature);
	const struct NAMED(element) before = k < n ? w->path[k] : (struct NAMED(element)){.one = (NAMED(lanes)){0} + 1, .zero = 1};
	for (size_t side = 0; side < 2; side++) {
		size_t child = at + node->child + side;
		const struct NAMED(element) e = {.one = (NAMED(lanes))((NAMED(bits))before.one & (side == 0 ? ~right : right)),
										 .zero = before.zero * (w->forest->covers[child] / w->forest->covers[at]),
										 .feature = feature,
										 .level = depth + 1};
		w->path[k] = e;
		NAMED(go_down)(w, &e, k < n ? &before : NULL, &here, &next);
		if (forest_is_leaf(&w->forest->nodes[child]))
			for (size_t g = 0; g < w->n_points; g++)
				next.below[g] = w->forest->values[child] * next.products[g];
		else
			NAMED(visit)(w, child, k < n ? n : n + 1, depth + 1);
		NAMED(come_back)(w, &e, k < n ? &before : NULL, &here, &next);
	}
	w->path[k] = before;
}

/* LANES rows at most, one output. */
static TARGET void
NAMED(walk_lanes)(struct NAMED(down) * w, const struct contributions *c, size_t group, bool all)
{
	const struct forest_view *v = w->forest;

	for (size_t i = 0; i < v->n_features; i++)
		w->sums[i] = (NAMED(lanes)){0};
	for (size_t k = v->group_first[group]; k < v->group_first[group + 1]; k++) {
		size_t tree = v->order[k];
		if (!is_walked(c, tree, all))
			continue;
		w->tree = &v->trees[tree];
		w->n_points = c->points[tree];
		w->rule = &c->rules[c->points[tree] - 1];
		const struct NAMED(level) root = NAMED(level_at)(w, 0);
		for (size_t g = 0; g < w->n_points; g++)
			root.products[g] = (NAMED(lanes)){0} + 1;
		NAMED(visit)(w, w->tree->first, 0, 0);
	}
}

static TARGET void
NAMED(fill_cells)(NAMED(lanes) * cells, const float *rows, size_t n_rows, size_t n_features)
{
	for (size_t feature = 0; feature < n_features; feature++)
		for (size_t i = 0; i < LANES; i++)
			((float *)&cells[feature])[i] = rows[(i < n_rows ? i : 0) * n_features + feature];
}

/* Adds what the walked trees give to n_rows rows; see contributions_explain(). */
static TARGET void
NAMED(walk)(const struct contributions *c, const struct forest_view *forest, const float *rows, size_t n_rows, bool all,
			void *scratch, float *out)
{
	size_t n = forest->n_features;
	NAMED(lanes) *cells = scratch;
	struct NAMED(down) w;

	w.forest = forest;
	w.cells = cells;
	w.sums = cells + n;
	w.numbers = (NAMED(lanes) *)(void *)(cells + 2 * n);
	for (size_t row = 0; row < n_rows; row += LANES) {
		size_t n_lanes = n_rows - row < LANES ? n_rows - row : LANES;
		NAMED(fill_cells)(cells, rows + row * n, n_lanes, n);
		for (size_t group = 0; group < forest->n_groups; group++) {
			NAMED(walk_lanes)(&w, c, group, all);
			for (size_t i = 0; i < n_lanes; i++) {
				float *to = out + ((row + i) * forest->n_groups + group) * (n + 1);
				for (size_t feature = 0; feature < n; feature++)
					to[feature] += ((const float *)&w.sums[feature])[i];
			}
		}
	}
}

#undef IS_NAN
#undef LANES
#undef TARGET
#undef NAMED
