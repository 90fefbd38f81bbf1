/* verdicts.c - a forest's trees for one row: each distinct split is asked once, and the trees are walked over the verdicts */
#include "model/verdicts.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
	ASKED = 16,         /* splits compared at once */
	SPLITS_A_TREE = 48, /* more are not worth it */
	COMPLETE_MAX = 10,  /* depth of trees that are made complete, unless they would have more than … */
	PADDING_MAX = 4     /* … so many times their leaves */
};

/* FOREST_WALKS trees that are walked together, or the last ones. */
enum walk { WALK_NOT, WALK_STEPS, WALK_COMPLETE };

struct group {
	uint32_t first; /* of its complete trees' nodes and of their leaves: FOREST_WALKS times two to the power of depth each */
	uint8_t depth;  /* of the deepest */
	uint8_t walk;   /* enum walk */
};

#define UNROLL _Pragma("GCC unroll 8")

/* A node of a tree that is not made complete: whose verdict counts, and how far behind it its left child lies. A leaf asks the first verdict, which is always 0, and is its own child. */
struct step {
	uint16_t verdict;
	uint16_t child;
};

/* The splits of a column, for the nodes that send what is missing the same way. */
struct question {
	uint32_t column;
	uint32_t first; /* of its splits and verdicts */
	uint32_t n;     /* a multiple of ASKED */
	bool right;     /* where missing values go */
};

typedef void ask_fn(const struct verdicts *v, const float *row, unsigned char *verdicts);

struct verdicts {
	ask_fn *ask_all;
	struct group *groups; /* all owned */
	uint16_t *
		nodes; /* of complete trees: the number of a verdict; the root is node 1 of each tree, and node n has the children 2 n and 2 n + 1 */
	float *leaves;      /* of complete trees: of the nodes that would follow */
	struct step *steps; /* of all nodes of the forest; or NULL where no trees are walked so */
	struct question *questions;
	float *splits;
	size_t n_groups;
	size_t n_complete; /* nodes, and leaves */
	size_t n_steps;
	size_t n_questions;
	size_t n_splits;
};

struct build {
	struct verdicts *v;
	const struct forest_view *forest;
	const struct splits *splits;
	uint32_t *places[2]; /* owned; a split's verdict for nodes that send missing values left, and right; 0: no node asks for it */
};

static size_t
direction(const struct forest_node *node)
{
	return (node->feature & FOREST_DEFAULT_RIGHT) != 0;
}

/* One question: the splits from `from` to `end` that are asked for. Padding is never asked for. */
static void
add_question(struct build *b, size_t from, size_t end, size_t right)
{
	struct verdicts *v = b->v;
	size_t first = v->n_splits;

	for (size_t i = from; i < end; i++) {
		if (b->places[right][i] == 0)
			continue;
		b->places[right][i] = (uint32_t)v->n_splits;
		v->splits[v->n_splits++] = b->splits->all[i].value;
	}
	if (v->n_splits == first)
		return;
	while (v->n_splits % ASKED != 0)
		v->splits[v->n_splits++] = NAN;
	v->questions[v->n_questions++] = (struct question){
		.column = b->splits->all[from].column, .first = (uint32_t)first, .n = (uint32_t)(v->n_splits - first), .right = right != 0};
}

static enum err
make_questions(struct build *b, struct err_info *info)
{
	struct verdicts *v = b->v;
	const struct splits *s = b->splits;
	size_t columns = 0;

	for (size_t i = 0; i < b->forest->n_nodes; i++)
		if (s->of_node[i] != SPLITS_NONE)
			b->places[direction(&b->forest->nodes[i])][s->of_node[i]] = 1;
	for (size_t i = 0; i < s->n; i = splits_column_end(s, i))
		columns++;
	v->splits = calloc(2 * (s->n + columns * ASKED) + ASKED, sizeof *v->splits);
	v->questions = calloc(2 * columns + 1, sizeof *v->questions);
	if (v->splits == NULL || v->questions == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu splits", s->n);
	v->n_splits = ASKED; /* the leaves' verdict, and what pads it */
	for (size_t i = 0, end; i < s->n; i = end) {
		end = splits_column_end(s, i);
		add_question(b, i, end, 0);
		add_question(b, i, end, 1);
	}
	return ERR_OK;
}

/* The trees of a group: FOREST_WALKS of them, or those that are left. */
static size_t
trees_of_group(const struct forest_view *f, size_t group)
{
	size_t left = f->n_trees - group * FOREST_WALKS;

	return left < FOREST_WALKS ? left : FOREST_WALKS;
}

/* How a group is walked, and how deep it is. */
static struct group
choose_walk(const struct build *b, size_t number)
{
	const struct forest_view *f = b->forest;
	size_t first = number * FOREST_WALKS;
	size_t n = trees_of_group(f, number);
	size_t n_leaves = 0;
	struct group group = {.walk = WALK_NOT};
	unsigned depth = 0;

	for (size_t tree = first; tree < first + n; tree++) {
		if (!b->splits->plain[tree])
			return group;
		depth = f->trees[tree].depth > depth ? f->trees[tree].depth : depth;
		n_leaves += forest_tree_nodes(f, tree) / 2 + 1;
	}
	if (depth <= COMPLETE_MAX && (n << depth) <= PADDING_MAX * n_leaves)
		group = (struct group){.walk = WALK_COMPLETE, .depth = (uint8_t)depth};
	else if (n == FOREST_WALKS)
		group.walk = WALK_STEPS;
	return group;
}

static uint16_t
verdict_of(const struct build *b, size_t node)
{
	return (uint16_t)b->places[direction(&b->forest->nodes[node])][b->splits->of_node[node]];
}

/* The forest's node as node `to` of a complete tree, and what is below it; a leaf above the others sends every row left. */
static void
complete(struct build *b, size_t node, size_t first, size_t to, unsigned depth)
{
	const struct forest_node *n = &b->forest->nodes[node];
	const bool leaf = forest_is_leaf(n);

	if (to >> depth != 0) {
		b->v->leaves[first + to - ((size_t)1 << depth)] = b->forest->values[node];
		return;
	}
	b->v->nodes[first + to] = leaf ? 0 : verdict_of(b, node);
	complete(b, leaf ? node : node + n->child, first, 2 * to, depth);
	if (!leaf)
		complete(b, node + n->child + 1, first, 2 * to + 1, depth);
}

static void
fill_groups(struct build *b)
{
	struct verdicts *v = b->v;
	const struct forest_view *f = b->forest;

	for (size_t i = 0; i < v->n_groups; i++)
		for (size_t k = 0; v->groups[i].walk == WALK_COMPLETE && k < trees_of_group(f, i); k++)
			complete(b, f->trees[i * FOREST_WALKS + k].first, v->groups[i].first + (k << v->groups[i].depth), 1,
					 v->groups[i].depth);
	for (size_t i = 0; i < v->n_steps; i++)
		if (b->splits->of_node[i] != SPLITS_NONE)
			v->steps[i] = (struct step){.verdict = verdict_of(b, i), .child = f->nodes[i].child};
}

/* How all groups are walked, and with what. */
static enum err
make_groups(struct build *b, struct err_info *info)
{
	struct verdicts *v = b->v;
	const struct forest_view *f = b->forest;

	for (size_t i = 0; i < v->n_groups; i++) {
		struct group *g = &v->groups[i];
		g->first = (uint32_t)v->n_complete;
		if (g->walk == WALK_COMPLETE)
			v->n_complete += (size_t)FOREST_WALKS << g->depth;
		else if (g->walk == WALK_STEPS)
			v->n_steps = f->n_nodes;
	}
	v->nodes = calloc(v->n_complete + 1, sizeof *v->nodes);
	v->leaves = calloc(v->n_complete + 1, sizeof *v->leaves);
	v->steps = v->n_steps > 0 ? calloc(v->n_steps, sizeof *v->steps) : NULL;
	if (v->nodes == NULL || v->leaves == NULL || (v->n_steps > 0 && v->steps == NULL))
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu nodes", f->n_nodes);
	fill_groups(b);
	return ERR_OK;
}

/* Chooses how each group is walked; how many trees these are. */
static enum err
choose_walks(struct build *b, size_t *n_trees, struct err_info *info)
{
	struct verdicts *v = b->v;

	*n_trees = 0;
	v->n_groups = (b->forest->n_trees + FOREST_WALKS - 1) / FOREST_WALKS;
	v->groups = calloc(v->n_groups + 1, sizeof *v->groups);
	if (v->groups == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu trees", b->forest->n_trees);
	for (size_t i = 0; i < v->n_groups; i++) {
		v->groups[i] = choose_walk(b, i);
		*n_trees += v->groups[i].walk != WALK_NOT ? trees_of_group(b->forest, i) : 0;
	}
	return ERR_OK;
}

enum err
verdicts_open(const struct forest_view *forest, const struct splits *splits, struct verdicts **out, struct err_info *info)
{
	struct build b = {.v = calloc(1, sizeof(struct verdicts)), .forest = forest, .splits = splits};
	enum err e = ERR_OK;
	bool worth = false;
	size_t n_trees = 0;

	*out = NULL;
	b.places[0] = calloc(splits->n + 1, sizeof *b.places[0]);
	b.places[1] = calloc(splits->n + 1, sizeof *b.places[1]);
	if (b.v == NULL || b.places[0] == NULL || b.places[1] == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu splits", splits->n);
	if (e == ERR_OK)
		e = make_questions(&b, info);
	if (e == ERR_OK)
		e = choose_walks(&b, &n_trees, info);
	if (e == ERR_OK) {
		worth = b.v->n_splits <= VERDICTS_MAX && b.v->n_splits <= SPLITS_A_TREE * n_trees;
		e = worth ? make_groups(&b, info) : ERR_OK;
	}
	free(b.places[0]);
	free(b.places[1]);
	if (e != ERR_OK || !worth) {
		verdicts_free(b.v);
		return e;
	}
	verdicts_use(b.v, ranks_best_isa());
	*out = b.v;
	return ERR_OK;
}

void
verdicts_free(struct verdicts *v)
{
	if (v == NULL)
		return;
	free(v->groups);
	free(v->nodes);
	free(v->leaves);
	free(v->steps);
	free(v->questions);
	free(v->splits);
	free(v);
}

size_t
verdicts_bytes(const struct verdicts *v)
{
	return sizeof *v + v->n_groups * sizeof *v->groups + v->n_complete * (sizeof *v->nodes + sizeof *v->leaves) +
		   v->n_steps * sizeof *v->steps + v->n_questions * sizeof *v->questions + v->n_splits * sizeof *v->splits;
}

/* Asking: a missing value, NaN, is not below any split, so that all goes right that is not below where missing values do */

static inline void
ask_portable(const float *splits, size_t n, float value, bool right, unsigned char *verdicts)
{
#ifdef __SSE2__
	const __m128 values = _mm_set1_ps(value);

	for (size_t i = 0; i < n; i += ASKED) {
		__m128i goes[4];
		for (size_t k = 0; k < 4; k++) {
			__m128 split = _mm_loadu_ps(splits + i + 4 * k);
			goes[k] = _mm_castps_si128(right ? _mm_cmpnlt_ps(values, split) : _mm_cmpge_ps(values, split));
		}
		__m128i all = _mm_packs_epi16(_mm_packs_epi32(goes[0], goes[1]), _mm_packs_epi32(goes[2], goes[3]));
		_mm_storeu_si128((__m128i *)(void *)(verdicts + i), _mm_and_si128(all, _mm_set1_epi8(1)));
	}
#else
	for (size_t i = 0; i < n; i++)
		verdicts[i] = right ? !(value < splits[i]) : value >= splits[i];
#endif
}

#ifdef __x86_64__
static inline __attribute__((target("avx512f,avx512bw,avx512vl"), always_inline)) void
ask_avx512(const float *splits, size_t n, float value, const int comparison, unsigned char *verdicts)
{
	const __m512 values = _mm512_set1_ps(value);
	const __m128i ones = _mm_set1_epi8(1);

	for (size_t i = 0; i < n; i += ASKED) {
		__mmask16 goes = comparison == _CMP_NLT_UQ ? _mm512_cmp_ps_mask(values, _mm512_loadu_ps(splits + i), _CMP_NLT_UQ)
												   : _mm512_cmp_ps_mask(values, _mm512_loadu_ps(splits + i), _CMP_GE_OQ);
		_mm_storeu_si128((__m128i *)(void *)(verdicts + i), _mm_maskz_mov_epi8(goes, ones));
	}
}

static __attribute__((target("avx512f,avx512bw,avx512vl"))) void
ask_all_avx512(const struct verdicts *v, const float *row, unsigned char *verdicts)
{
	for (size_t i = 0; i < v->n_questions; i++) {
		const struct question *q = &v->questions[i];
		if (q->right)
			ask_avx512(v->splits + q->first, q->n, row[q->column], _CMP_NLT_UQ, verdicts + q->first);
		else
			ask_avx512(v->splits + q->first, q->n, row[q->column], _CMP_GE_OQ, verdicts + q->first);
	}
}
#endif

static void
ask_all_portable(const struct verdicts *v, const float *row, unsigned char *verdicts)
{
	for (size_t i = 0; i < v->n_questions; i++) {
		const struct question *q = &v->questions[i];
		if (q->right)
			ask_portable(v->splits + q->first, q->n, row[q->column], true, verdicts + q->first);
		else
			ask_portable(v->splits + q->first, q->n, row[q->column], false, verdicts + q->first);
	}
}

void
verdicts_use(struct verdicts *v, enum ranks_isa isa)
{
	v->ask_all = ask_all_portable;
#ifdef __x86_64__
	if (isa == RANKS_AVX512 && ranks_has_isa(RANKS_AVX512) && __builtin_cpu_supports("avx512vl"))
		v->ask_all = ask_all_avx512;
#endif
}

void
verdicts_ask(const struct verdicts *v, const float *row, unsigned char *verdicts)
{
	verdicts[0] = 0;
	v->ask_all(v, row, verdicts);
}

bool
verdicts_can_walk(const struct verdicts *v, size_t first)
{
	return v->groups[first / FOREST_WALKS].walk != WALK_NOT;
}

/* Trees of a depth that the compiler knows, so that the distance of one to the next is part of the instructions. */
static inline __attribute__((always_inline)) void
walk_complete(const uint16_t *nodes, const float *values, const unsigned char *verdicts, unsigned depth, float leaves[FOREST_WALKS])
{
	size_t at[FOREST_WALKS];

	for (size_t i = 0; i < FOREST_WALKS; i++)
		at[i] = 1;
#pragma GCC unroll 10
	for (unsigned d = 0; d < depth; d++) {
		UNROLL
		for (size_t i = 0; i < FOREST_WALKS; i++)
			at[i] = 2 * at[i] + verdicts[nodes[(i << depth) + at[i]]];
	}
	UNROLL
	for (size_t i = 0; i < FOREST_WALKS; i++)
		leaves[i] = values[(i << depth) + at[i] - ((size_t)1 << depth)];
}

static void
walk_steps(const struct step *steps, const struct forest_tree *trees, const float *values, const unsigned char *verdicts,
		   float leaves[FOREST_WALKS])
{
	const struct step *at[FOREST_WALKS];
	unsigned depth = 0;

	for (size_t i = 0; i < FOREST_WALKS; i++) {
		at[i] = steps + trees[i].first;
		depth = trees[i].depth > depth ? trees[i].depth : depth;
	}
	for (unsigned d = 0; d < depth; d++) {
		UNROLL
		for (size_t i = 0; i < FOREST_WALKS; i++)
			at[i] += at[i]->child + (size_t)verdicts[at[i]->verdict];
	}
	for (size_t i = 0; i < FOREST_WALKS; i++)
		leaves[i] = values[at[i] - steps];
}

void
verdicts_walk(const struct verdicts *v, size_t first, const struct forest_tree *trees, const float *values,
			  const unsigned char *verdicts, float leaves[FOREST_WALKS])
{
	const struct group *g = &v->groups[first / FOREST_WALKS];
	const uint16_t *nodes = v->nodes + g->first;
	const float *complete_leaves = v->leaves + g->first;

	if (g->walk == WALK_STEPS) {
		walk_steps(v->steps, trees + first, values, verdicts, leaves);
		return;
	}
	switch (g->depth) {
#define OF_DEPTH(n)                                                                                                                \
	case n:                                                                                                                        \
		walk_complete(nodes, complete_leaves, verdicts, n, leaves);                                                                \
		break;
		OF_DEPTH(0)
		OF_DEPTH(1)
		OF_DEPTH(2)
		OF_DEPTH(3)
		OF_DEPTH(4)
		OF_DEPTH(5)
		OF_DEPTH(6)
		OF_DEPTH(7)
		OF_DEPTH(8)
		OF_DEPTH(9)
		OF_DEPTH(10)
#undef OF_DEPTH
	default: /* COMPLETE_MAX is the most */
		break;
	}
}
