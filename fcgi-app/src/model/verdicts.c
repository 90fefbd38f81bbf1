/* verdicts.c - a forest's trees for one row: each distinct split is asked once, and the trees are walked over the verdicts */
#include "model/verdicts.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
	ASKED = 16,        /* splits compared at once */
	SPLITS_A_TREE = 48 /* more are not worth it */
};

/* A node: whose verdict counts, and how far behind it its left child lies. A leaf asks the first verdict, which is always 0, and is its own child. */
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

struct verdicts {
	struct step *steps; /* all owned; of all nodes of the forest */
	struct question *questions;
	float *splits;
	bool *can_walk; /* of each tree: it and the next FOREST_WALKS - 1 */
	size_t n_nodes;
	size_t n_trees;
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

static enum err
make_steps(struct build *b, struct err_info *info)
{
	struct verdicts *v = b->v;
	const struct forest_view *f = b->forest;

	v->steps = calloc(f->n_nodes, sizeof *v->steps);
	v->can_walk = calloc(f->n_trees + 1, sizeof *v->can_walk);
	if (v->steps == NULL || v->can_walk == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu nodes", f->n_nodes);
	for (size_t i = 0; i < f->n_nodes; i++)
		if (b->splits->of_node[i] != SPLITS_NONE)
			v->steps[i] = (struct step){.verdict = (uint16_t)b->places[direction(&f->nodes[i])][b->splits->of_node[i]],
										.child = f->nodes[i].child};
	for (size_t tree = 0, row = 0; tree < f->n_trees; tree++) {
		row = b->splits->plain[tree] ? row + 1 : 0;
		if (row >= FOREST_WALKS)
			v->can_walk[tree - (FOREST_WALKS - 1)] = true;
	}
	return ERR_OK;
}

/* How many trees are walked FOREST_WALKS at a time, all of which can be. */
static size_t
walkable_trees(const struct build *b)
{
	size_t n = 0;

	for (size_t first = 0; first + FOREST_WALKS <= b->forest->n_trees; first += FOREST_WALKS) {
		size_t plain = 0;
		while (plain < FOREST_WALKS && b->splits->plain[first + plain])
			plain++;
		n += plain == FOREST_WALKS ? FOREST_WALKS : 0;
	}
	return n;
}

enum err
verdicts_open(const struct forest_view *forest, const struct splits *splits, struct verdicts **out, struct err_info *info)
{
	struct build b = {.v = calloc(1, sizeof(struct verdicts)), .forest = forest, .splits = splits};
	enum err e = ERR_OK;
	bool worth = false;

	*out = NULL;
	b.places[0] = calloc(splits->n + 1, sizeof *b.places[0]);
	b.places[1] = calloc(splits->n + 1, sizeof *b.places[1]);
	if (b.v == NULL || b.places[0] == NULL || b.places[1] == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu splits", splits->n);
	if (e == ERR_OK) {
		b.v->n_nodes = forest->n_nodes;
		b.v->n_trees = forest->n_trees;
		e = make_questions(&b, info);
	}
	if (e == ERR_OK) {
		worth = b.v->n_splits <= VERDICTS_MAX && b.v->n_splits <= SPLITS_A_TREE * walkable_trees(&b);
		e = worth ? make_steps(&b, info) : ERR_OK;
	}
	free(b.places[0]);
	free(b.places[1]);
	if (e == ERR_OK && worth)
		*out = b.v;
	else
		verdicts_free(b.v);
	return e;
}

void
verdicts_free(struct verdicts *v)
{
	if (v == NULL)
		return;
	free(v->steps);
	free(v->questions);
	free(v->splits);
	free(v->can_walk);
	free(v);
}

size_t
verdicts_bytes(const struct verdicts *v)
{
	return sizeof *v + v->n_nodes * sizeof *v->steps + v->n_questions * sizeof *v->questions + v->n_splits * sizeof *v->splits +
		   v->n_trees * sizeof *v->can_walk;
}

#ifdef __SSE2__
/* ASKED splits: 1 where the value goes right. */
static inline __m128i
ask_vectors(const float *splits, __m128 value, bool right)
{
	__m128i goes[4];

	for (size_t i = 0; i < 4; i++) {
		__m128 split = _mm_loadu_ps(splits + 4 * i);
		goes[i] = _mm_castps_si128(right ? _mm_cmpnlt_ps(value, split) : _mm_cmpge_ps(value, split));
	}
	__m128i all = _mm_packs_epi16(_mm_packs_epi32(goes[0], goes[1]), _mm_packs_epi32(goes[2], goes[3]));
	return _mm_and_si128(all, _mm_set1_epi8(1));
}

static inline void
ask(const float *splits, size_t n, float value, bool right, unsigned char *verdicts)
{
	for (size_t i = 0; i < n; i += ASKED)
		_mm_storeu_si128((__m128i *)(void *)(verdicts + i), ask_vectors(splits + i, _mm_set1_ps(value), right));
}
#else
static inline void
ask(const float *splits, size_t n, float value, bool right, unsigned char *verdicts)
{
	for (size_t i = 0; i < n; i++)
		verdicts[i] = right ? !(value < splits[i]) : value >= splits[i];
}
#endif

void
verdicts_ask(const struct verdicts *v, const float *row, unsigned char *verdicts)
{
	verdicts[0] = 0;
	for (size_t i = 0; i < v->n_questions; i++) {
		const struct question *q = &v->questions[i];
		if (q->right) /* a missing value, NaN, is not below any split */
			ask(v->splits + q->first, q->n, row[q->column], true, verdicts + q->first);
		else
			ask(v->splits + q->first, q->n, row[q->column], false, verdicts + q->first);
	}
}

bool
verdicts_can_walk(const struct verdicts *v, size_t first)
{
	return v->can_walk[first];
}

void
verdicts_walk(const struct verdicts *v, const struct forest_tree *trees, const unsigned char *verdicts, const float *values,
			  float leaves[FOREST_WALKS])
{
	const struct step *at[FOREST_WALKS];
	unsigned depth = 0;

	for (size_t i = 0; i < FOREST_WALKS; i++) {
		at[i] = v->steps + trees[i].first;
		depth = trees[i].depth > depth ? trees[i].depth : depth;
	}
	for (unsigned d = 0; d < depth; d++) {
#pragma GCC unroll 8
		for (size_t i = 0; i < FOREST_WALKS; i++)
			at[i] += at[i]->child + (size_t)verdicts[at[i]->verdict];
	}
	for (size_t i = 0; i < FOREST_WALKS; i++)
		leaves[i] = values[at[i] - v->steps];
}
