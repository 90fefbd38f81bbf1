/* levels.c - exact Shapley values of one row: the nodes of several trees side by side in vectors, level by level */
#include "model/levels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
	BUNDLE_NODES = 512, /* of a bundle, unless one tree has more: what a row needs of them fits into the first cache */
	DEPTH_MAX = 64,     /* of a tree that is taken: a level has a strip at least, so that tall and thin ones would take much room */
	ARRAYS = 3          /* of a bundle's walk, for each point */
};

/* No share is 0, which would be divided by: that of no training row at all counts as this one. */
#define TINY 1e-30F

/* LEVELS_NODES nodes of one level that are no leaves, or fewer: then the rest adds nothing. */
struct strip {
	float split[LEVELS_NODES];
	float zero
		[LEVELS_NODES]; /* the share of the training rows that follow the path wherever it asks for the node's feature; 1 where it did not */
	float zero_left[LEVELS_NODES]; /* the same at the edges to its children */
	float zero_right[LEVELS_NODES];
	float leaf_left[LEVELS_NODES]; /* the values of children that are leaves; 0 for others */
	float leaf_right[LEVELS_NODES];
	uint16_t feature[LEVELS_NODES];
	uint16_t bit[LEVELS_NODES]; /* of the feature, among those of the path */
	uint32_t children;          /* the place in the bundle of the first child that is no leaf */
	uint16_t default_right;     /* a bit for each node */
	uint16_t inner_left;        /* whose children are no leaves */
	uint16_t inner_right;
};

/* A node that asks for a category: its cell becomes 1 where that goes right, else 0, and its split is between. */
struct category_node {
	uint32_t place; /* in the bundle */
	uint32_t set;
};

/* Trees of one output. */
struct bundle {
	uint32_t first_strip;
	uint32_t n_strips;
	uint32_t first_category;
	uint32_t n_categories;
	uint32_t n_roots;
	uint16_t n_points;
};

/* What a row needs on its way through a bundle: the caller's scratch memory. */
struct bundle_walk {
	const struct rule *rule;
	size_t n_points;
	size_t stride;   /* of the arrays with a number for each node, for each point */
	float *cells;    /* of each node; then what its feature gets */
	int32_t *state;  /* bits of the path's features that the row follows */
	float *products; /* going down; then what is below a node */
	float *
		ratios; /* the factors that the edges bring, over those whose place they take: LANES of left edges, LANES of right ones, … */
};

typedef void walk_fn(const struct bundle_walk *w, const struct strip *strips, size_t n);

struct levels {
	struct strip *strips; /* all owned */
	struct bundle *bundles;
	struct category_node *categories;
	uint32_t *output_first; /* n_outputs + 1: where the bundles of an output begin */
	bool *has;              /* of each tree */
	walk_fn *walk;
	size_t n_trees;
	size_t n_outputs;
	size_t n_strips;
	size_t n_bundles;
	size_t n_categories;
	size_t most_numbers; /* of the arrays of any bundle */
};

/* Sets of instructions */

#define COUNT_BITS(bits, lanes) ((size_t)__builtin_popcount((unsigned)(bits) & ((1U << (lanes)) - 1)))

#define TARGET
#define NAMED(x) x##_portable
typedef float floats4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t ints4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint16_t bits4 __attribute__((vector_size(8), aligned(2), may_alias));

static inline void
pack4(float *to, unsigned shape, floats4 v)
{
	for (size_t i = 0; i < 4; i++) {
		*to = v[i];
		to += shape >> i & 1;
	}
}

static inline void
pack_ints4(int32_t *to, unsigned shape, ints4 v)
{
	for (size_t i = 0; i < 4; i++) {
		*to = v[i];
		to += shape >> i & 1;
	}
}

static inline floats4
unpack4(unsigned shape, const float *from)
{
	floats4 lanes = {0};

	for (size_t i = 0; i < 4; i++) {
		lanes[i] = (shape >> i & 1) != 0 ? *from : 0;
		from += shape >> i & 1;
	}
	return lanes;
}

/* All bits of the lanes whose bit is set. */
static inline ints4
lanes4(unsigned bits)
{
	return ((ints4){1, 2, 4, 8} & (int32_t)bits) != 0;
}

#define LANES              4
#define FLOATS             floats4
#define INTS               ints4
#define MASK               ints4
#define SHAPE              unsigned
#define SHAPE_OF(bits)     ((unsigned)(bits)&15U)
#define COUNT(bits)        COUNT_BITS(bits, 4)
#define PACK(p, s, v)      pack4((p), (s), (v))
#define PACK_INTS(p, s, v) pack_ints4((p), (s), (v))
#define UNPACK(s, p)       unpack4((s), (p))
#define LOAD(p)            (*(const floats4 *)(const void *)(p))
#define STORE(p, v)        (*(floats4 *)(void *)(p) = (v))
#define SPLAT(x)           ((floats4){0} + (x))
#define ADD(a, b)          ((a) + (b))
#define SUB(a, b)          ((a) - (b))
#define MUL(a, b)          ((a) * (b))
#define DIV(a, b)          ((a) / (b))
#define MULADD(a, b, c)    ((a) * (b) + (c))
#define LOAD_INTS(p)       (*(const ints4 *)(const void *)(p))
#define LOAD_BITS(p)       __builtin_convertvector(*(const bits4 *)(const void *)(p), ints4)
#define TEST(a, b)         (((a) & (b)) != 0)
#define RIGHT(c, s, bits)  (((c) >= (s)) | (((c) != (c)) & lanes4(bits)))
#define AND(a, b)          ((a) & (b))
#define AND_NOT(a, b)      ((a) & ~(b))
#define KEEP(m, v)         ((floats4)((ints4)(v) & (m)))
#define CLEAR(m, v, bits)  ((v) & ~((bits) & (m)))
#include "model/levels_kernel.h"

#ifdef __x86_64__
#define TARGET_AVX2 __attribute__((target("avx2,fma,bmi2")))

/* Which lanes go where, and the other way round, a byte each. */
struct shape8 {
	__m256i pack;
	__m256i unpack;
	__m256 lanes;
};

static inline TARGET_AVX2 struct shape8
shape8(unsigned bits)
{
	const uint64_t places = 0x0706050403020100U;
	uint64_t bytes = _pdep_u64(bits & 255U, 0x0101010101010101U) * 255U;
	__m256i all = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);

	return (struct shape8){
		.pack = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)_pext_u64(places, bytes))),
		.unpack = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)_pdep_u64(places, bytes))),
		.lanes = _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(all, _mm256_set1_epi32((int)bits)), all)),
	};
}

#define TARGET             TARGET_AVX2
#define NAMED(x)           x##_avx2
#define LANES              8
#define FLOATS             __m256
#define INTS               __m256i
#define MASK               __m256
#define SHAPE              struct shape8
#define SHAPE_OF(bits)     shape8((unsigned)(bits))
#define COUNT(bits)        COUNT_BITS(bits, 8)
#define PACK(p, s, v)      _mm256_storeu_ps((p), _mm256_permutevar8x32_ps((v), (s).pack))
#define PACK_INTS(p, s, v) _mm256_storeu_si256((__m256i *)(void *)(p), _mm256_permutevar8x32_epi32((v), (s).pack))
#define UNPACK(s, p)       _mm256_and_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(p), (s).unpack), (s).lanes)
#define LOAD(p)            _mm256_loadu_ps(p)
#define STORE(p, v)        _mm256_storeu_ps((p), (v))
#define SPLAT(x)           _mm256_set1_ps(x)
#define ADD(a, b)          _mm256_add_ps((a), (b))
#define SUB(a, b)          _mm256_sub_ps((a), (b))
#define MUL(a, b)          _mm256_mul_ps((a), (b))
#define DIV(a, b)          _mm256_div_ps((a), (b))
#define MULADD(a, b, c)    _mm256_fmadd_ps((a), (b), (c))
#define LOAD_INTS(p)       _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define LOAD_BITS(p)       _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define TEST(a, b)         _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_and_si256((a), (b)), _mm256_setzero_si256()))
#define RIGHT(c, s, bits)                                                                                                          \
	_mm256_or_ps(_mm256_cmp_ps((c), (s), _CMP_GE_OQ), _mm256_and_ps(_mm256_cmp_ps((c), (c), _CMP_UNORD_Q), shape8(bits).lanes))
#define AND(a, b)         _mm256_and_ps((a), (b))
#define AND_NOT(a, b)     _mm256_andnot_ps((b), (a))
#define KEEP(m, v)        _mm256_and_ps((m), (v))
#define CLEAR(m, v, bits) _mm256_andnot_si256(_mm256_and_si256(_mm256_castps_si256(m), (bits)), (v))
#include "model/levels_kernel.h"

#define TARGET             __attribute__((target("avx512f")))
#define NAMED(x)           x##_avx512
#define LANES              16
#define FLOATS             __m512
#define INTS               __m512i
#define MASK               __mmask16
#define SHAPE              __mmask16
#define SHAPE_OF(bits)     ((__mmask16)(bits))
#define COUNT(bits)        COUNT_BITS(bits, 16)
#define PACK(p, s, v)      _mm512_storeu_ps((p), _mm512_maskz_compress_ps((s), (v)))
#define PACK_INTS(p, s, v) _mm512_storeu_si512((p), _mm512_maskz_compress_epi32((s), (v)))
#define UNPACK(s, p)       _mm512_maskz_expand_ps((s), _mm512_loadu_ps(p))
#define LOAD(p)            _mm512_loadu_ps(p)
#define STORE(p, v)        _mm512_storeu_ps((p), (v))
#define SPLAT(x)           _mm512_set1_ps(x)
#define ADD(a, b)          _mm512_add_ps((a), (b))
#define SUB(a, b)          _mm512_sub_ps((a), (b))
#define MUL(a, b)          _mm512_mul_ps((a), (b))
#define DIV(a, b)          _mm512_div_ps((a), (b))
#define MULADD(a, b, c)    _mm512_fmadd_ps((a), (b), (c))
#define LOAD_INTS(p)       _mm512_loadu_si512(p)
#define LOAD_BITS(p)       _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#define TEST(a, b)         _mm512_test_epi32_mask((a), (b))
#define RIGHT(c, s, bits)                                                                                                          \
	((__mmask16)(_mm512_cmp_ps_mask((c), (s), _CMP_GE_OQ) | (_mm512_cmp_ps_mask((c), (c), _CMP_UNORD_Q) & (bits))))
#define AND(a, b)         ((__mmask16)((a) & (b)))
#define AND_NOT(a, b)     ((__mmask16)((a) & ~(b)))
#define KEEP(m, v)        _mm512_maskz_mov_ps((m), (v))
#define CLEAR(m, v, bits) _mm512_mask_andnot_epi32((v), (m), (bits), (v))
#include "model/levels_kernel.h"
#endif

void
levels_use(struct levels *l, enum ranks_isa isa)
{
	l->walk = walk_portable;
#ifdef __x86_64__
	if (isa >= RANKS_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
		l->walk = walk_avx2;
	if (isa >= RANKS_AVX512 && ranks_has_isa(RANKS_AVX512))
		l->walk = walk_avx512;
#endif
}

/* Making them */

/* Of a node of the tree that is looked at. */
struct facts {
	uint32_t parent; /* within the tree */
	uint16_t bit;    /* of its feature, in an inner node */
	uint16_t n;      /* features of the path to it */
	float zero;      /* at the edge to it, of its parent's feature */
};

/* A node that is no leaf, of a level. */
struct place {
	uint32_t tree;
	uint32_t node; /* within the tree */
};

struct build {
	struct levels *l;
	const struct forest_view *forest;
	struct facts *facts; /* owned; of the nodes of a bundle's trees, one tree's behind the other's … */
	size_t *first_facts; /* owned; … from here on, by the tree's number in the forest */
	struct place *level; /* owned; and the next one */
	struct place *next;
	size_t n_level;
	size_t n_next;
};

/* How many inner nodes a tree has. */
static size_t
inner_nodes(const struct forest_view *v, size_t tree)
{
	return forest_tree_nodes(v, tree) / 2;
}

/* The nearest node above, which asks for the same feature, and through `edge` the node below it on the path; UINT32_MAX: none does. */
static uint32_t
find_above(const struct forest_node *nodes, const struct facts *facts, uint32_t node, uint32_t *edge)
{
	uint16_t feature = nodes[node].feature & FOREST_FEATURE_MASK;
	uint32_t above = facts[node].parent;

	*edge = node;
	while (above != UINT32_MAX && (nodes[above].feature & FOREST_FEATURE_MASK) != feature) {
		*edge = above;
		above = facts[above].parent;
	}
	return above;
}

static float
share(const struct forest_view *v, size_t child, size_t node, float before)
{
	float zero = before * (v->covers[child] / v->covers[node]);

	return zero > TINY ? zero : TINY;
}

/* Of all nodes of a tree; false where its paths ask for too many features. */
static bool
look_at_tree(const struct forest_view *v, size_t tree, struct facts *facts)
{
	size_t first = v->trees[tree].first;
	const struct forest_node *nodes = v->nodes + first;
	size_t n = forest_tree_nodes(v, tree);

	facts[0] = (struct facts){.parent = UINT32_MAX, .zero = 1};
	for (uint32_t i = 0; i < n; i++) {
		uint32_t edge;
		if (forest_is_leaf(&nodes[i]))
			continue;
		uint32_t above = find_above(nodes, facts, i, &edge);
		uint16_t count = (uint16_t)(facts[i].n + (above == UINT32_MAX));
		float before = above != UINT32_MAX ? facts[edge].zero : 1;
		if (count > LEVELS_FEATURES)
			return false;
		facts[i].bit = (uint16_t)(above != UINT32_MAX ? facts[above].bit : 1U << (count - 1));
		for (uint32_t child = i + nodes[i].child; child < i + nodes[i].child + 2U; child++)
			facts[child] = (struct facts){.parent = i, .n = count, .zero = share(v, first + child, first + i, before)};
	}
	return true;
}

/* The trees order[from … end - 1] are a bundle: as many as are taken until it is full. */
static size_t
end_of_bundle(const struct build *b, size_t from, size_t end)
{
	const struct forest_view *v = b->forest;
	size_t n = 0;

	while (from < end) {
		size_t tree = v->order[from];
		size_t more = b->l->has[tree] ? inner_nodes(v, tree) : 0;
		if (n > 0 && n + more > BUNDLE_NODES)
			break;
		n += more;
		from++;
	}
	return from;
}

/* The roots are the first level. */
static void
add_roots(struct build *b, size_t from, size_t end, struct bundle *bundle)
{
	const struct forest_view *v = b->forest;
	size_t n_facts = 0;
	size_t most = 0;

	b->n_level = 0;
	for (size_t k = from; k < end; k++) {
		uint32_t tree = v->order[k];
		if (!b->l->has[tree])
			continue;
		b->first_facts[tree] = n_facts;
		(void)look_at_tree(v, tree, b->facts + n_facts);
		for (size_t i = n_facts; i < n_facts + forest_tree_nodes(v, tree); i++)
			most = b->facts[i].n > most ? b->facts[i].n : most;
		n_facts += forest_tree_nodes(v, tree);
		b->level[b->n_level++] = (struct place){.tree = tree};
	}
	bundle->n_roots = (uint32_t)b->n_level;
	bundle->n_points = (uint16_t)((most + 1) / 2);
}

static void
add_category(struct build *b, const struct place *p, struct strip *s, size_t lane, size_t place)
{
	const struct forest_tree *t = &b->forest->trees[p->tree];
	struct levels *l = b->l;

	if (t->categorical == FOREST_NO_SETS || forest_set(b->forest, t, t->first + p->node) == NULL)
		return;
	if (l->categories != NULL) {
		l->categories[l->n_categories] = (struct category_node){.place = (uint32_t)place, .set = t->categorical + p->node};
		s->split[lane] = 0.5F;
	}
	l->n_categories++;
}

/* One node of a strip, and what its children are; an inner one goes to the next level with its side. */
static void
add_node(struct build *b, const struct place *p, struct strip *s, size_t lane)
{
	const struct forest_view *v = b->forest;
	size_t first = v->trees[p->tree].first;
	const struct forest_node *node = &v->nodes[first + p->node];
	const struct facts *facts = b->facts + b->first_facts[p->tree];
	size_t left = p->node + node->child;
	uint32_t edge;
	uint32_t above = find_above(v->nodes + first, facts, p->node, &edge);
	uint16_t bit = (uint16_t)(1U << lane);

	s->split[lane] = node->split;
	s->zero[lane] = above != UINT32_MAX ? facts[edge].zero : 1;
	s->zero_left[lane] = facts[left].zero;
	s->zero_right[lane] = facts[left + 1].zero;
	s->feature[lane] = node->feature & FOREST_FEATURE_MASK;
	s->bit[lane] = facts[p->node].bit;
	if ((node->feature & FOREST_DEFAULT_RIGHT) != 0)
		s->default_right |= bit;
	if (forest_is_leaf(&v->nodes[first + left]))
		s->leaf_left[lane] = v->values[first + left];
	else
		s->inner_left |= bit;
	if (forest_is_leaf(&v->nodes[first + left + 1]))
		s->leaf_right[lane] = v->values[first + left + 1];
	else
		s->inner_right |= bit;
}

/* The inner children on one side of a strip's nodes, for the next level. */
static void
add_children(struct build *b, const struct place *places, unsigned inner, size_t side)
{
	for (size_t lane = 0; lane < LEVELS_NODES; lane++) {
		if ((inner >> lane & 1) == 0)
			continue;
		const struct place *p = &places[lane];
		const struct forest_node *node = &b->forest->nodes[b->forest->trees[p->tree].first + p->node];
		b->next[b->n_next++] = (struct place){.tree = p->tree, .node = (uint32_t)(p->node + node->child + side)};
	}
}

/* The strips of a level, whose first node has this place in the bundle; gives that of the next level's. */
static size_t
add_level(struct build *b, size_t place)
{
	struct levels *l = b->l;
	size_t n_strips = (b->n_level + LEVELS_NODES - 1) / LEVELS_NODES;
	size_t next = place + n_strips * LEVELS_NODES;

	b->n_next = 0;
	for (size_t i = 0; i < n_strips; i++) {
		struct strip s = {.children = (uint32_t)(next + b->n_next)};
		for (size_t lane = 0; lane < LEVELS_NODES; lane++) {
			size_t k = i * LEVELS_NODES + lane;
			s.zero[lane] = s.zero_left[lane] = s.zero_right[lane] = 1;
			if (k >= b->n_level)
				continue;
			add_node(b, &b->level[k], &s, lane);
			add_category(b, &b->level[k], &s, lane, place + k);
		}
		add_children(b, b->level + i * LEVELS_NODES, s.inner_left, 0);
		add_children(b, b->level + i * LEVELS_NODES, s.inner_right, 1);
		if (l->strips != NULL)
			l->strips[l->n_strips] = s;
		l->n_strips++;
	}
	struct place *level = b->level;
	b->level = b->next;
	b->next = level;
	b->n_level = b->n_next;
	return next;
}

static void
add_bundle(struct build *b, size_t from, size_t end)
{
	struct levels *l = b->l;
	struct bundle bundle = {.first_strip = (uint32_t)l->n_strips, .first_category = (uint32_t)l->n_categories};
	size_t place = 0;

	add_roots(b, from, end, &bundle);
	if (b->n_level == 0)
		return;
	while (b->n_level > 0)
		place = add_level(b, place);
	bundle.n_strips = (uint32_t)l->n_strips - bundle.first_strip;
	bundle.n_categories = (uint32_t)l->n_categories - bundle.first_category;
	size_t numbers = (place + LEVELS_NODES) * (2 + (size_t)ARRAYS * bundle.n_points);
	l->most_numbers = numbers > l->most_numbers ? numbers : l->most_numbers;
	if (l->bundles != NULL)
		l->bundles[l->n_bundles] = bundle;
	l->n_bundles++;
}

/* Counts the strips, bundles and categories, or where there is room for them makes them. */
static void
add_bundles(struct build *b)
{
	const struct forest_view *v = b->forest;
	struct levels *l = b->l;

	l->n_strips = l->n_bundles = l->n_categories = 0;
	for (size_t output = 0; output < v->n_groups; output++) {
		size_t end = v->group_first[output + 1];
		l->output_first[output] = (uint32_t)l->n_bundles;
		for (size_t from = v->group_first[output], next; from < end; from = next) {
			next = end_of_bundle(b, from, end);
			add_bundle(b, from, next);
		}
	}
	l->output_first[v->n_groups] = (uint32_t)l->n_bundles;
}

/* Takes the trees that have inner nodes and few features a path. */
static void
choose_trees(struct build *b)
{
	for (size_t tree = 0; tree < b->forest->n_trees; tree++)
		b->l->has[tree] = inner_nodes(b->forest, tree) > 0 && b->forest->trees[tree].depth <= DEPTH_MAX &&
						  look_at_tree(b->forest, tree, b->facts);
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

static bool
make(struct build *b)
{
	const struct forest_view *v = b->forest;
	struct levels *l = b->l;
	size_t most = most_nodes(v) + 3 * (size_t)BUNDLE_NODES; /* a tree of n inner nodes has 2 n + 1 */

	l->has = calloc(v->n_trees + 1, sizeof *l->has);
	l->output_first = calloc(v->n_groups + 1, sizeof *l->output_first);
	b->facts = calloc(most, sizeof *b->facts);
	b->first_facts = calloc(v->n_trees + 1, sizeof *b->first_facts);
	b->level = calloc(most, sizeof *b->level);
	b->next = calloc(most, sizeof *b->next);
	if (l->has == NULL || l->output_first == NULL || b->facts == NULL || b->first_facts == NULL || b->level == NULL ||
		b->next == NULL)
		return false;
	choose_trees(b);
	add_bundles(b);
	l->strips = calloc(l->n_strips + 1, sizeof *l->strips);
	l->bundles = calloc(l->n_bundles + 1, sizeof *l->bundles);
	l->categories = calloc(l->n_categories + 1, sizeof *l->categories);
	if (l->strips == NULL || l->bundles == NULL || l->categories == NULL)
		return false;
	add_bundles(b);
	return true;
}

enum err
levels_open(const struct forest_view *forest, struct levels **out, struct err_info *info)
{
	struct build b = {.l = calloc(1, sizeof(struct levels)), .forest = forest};
	enum err e = ERR_OK;

	*out = NULL;
	if (b.l == NULL || !make(&b))
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory to explain %zu trees", forest->n_trees);
	free(b.facts);
	free(b.first_facts);
	free(b.level);
	free(b.next);
	if (e != ERR_OK) {
		levels_free(b.l);
		return e;
	}
	b.l->n_trees = forest->n_trees;
	b.l->n_outputs = forest->n_groups;
	levels_use(b.l, RANKS_ISAS - 1);
	*out = b.l;
	return ERR_OK;
}

void
levels_free(struct levels *l)
{
	if (l == NULL)
		return;
	free(l->strips);
	free(l->bundles);
	free(l->categories);
	free(l->output_first);
	free(l->has);
	free(l);
}

size_t
levels_bytes(const struct levels *l)
{
	return sizeof *l + l->n_strips * sizeof *l->strips + l->n_bundles * sizeof *l->bundles +
		   l->n_categories * sizeof *l->categories + l->n_outputs * sizeof *l->output_first + l->n_trees * sizeof *l->has;
}

bool
levels_has_tree(const struct levels *l, size_t tree)
{
	return l->has[tree];
}

size_t
levels_scratch(const struct levels *l)
{
	return l->most_numbers * sizeof(float);
}

/* Asking them */

/* The scratch memory for a bundle of n nodes; what its roots start from. What no node writes there must be finite, since a strip's rest takes part. */
static void
walk_init(struct bundle_walk *w, const struct bundle *b, const struct rule *rules, void *scratch)
{
	float *numbers = scratch;
	size_t n_arrays = b->n_points;

	w->rule = &rules[b->n_points - 1];
	w->n_points = b->n_points;
	w->stride = (size_t)(b->n_strips + 1) * LEVELS_NODES;
	w->cells = numbers;
	w->state = (int32_t *)(void *)(numbers + w->stride);
	w->products = numbers + 2 * w->stride;
	w->ratios = w->products + n_arrays * w->stride;
	memset(w->state, 0xFF, w->stride * sizeof *w->state);
	memset(w->products, 0, n_arrays * w->stride * sizeof *w->products);
	for (size_t g = 0; g < n_arrays; g++)
		for (size_t i = 0; i < b->n_roots; i++)
			w->products[g * w->stride + i] = 1;
}

static void
fill_cells(const struct levels *l, const struct forest_view *v, const struct bundle *b, const float *row, float *cells)
{
	const struct strip *strips = l->strips + b->first_strip;

	for (size_t i = 0; i < b->n_strips; i++)
		for (size_t lane = 0; lane < LEVELS_NODES; lane++)
			cells[i * LEVELS_NODES + lane] = row[strips[i].feature[lane]];
	for (size_t i = b->first_category; i < b->first_category + b->n_categories; i++) {
		const struct category_node *c = &l->categories[i];
		if (!isnan(cells[c->place]))
			cells[c->place] = forest_set_has(v, &v->sets[c->set], cells[c->place]) ? 1 : 0;
	}
}

void
levels_explain(const struct levels *l, const struct forest_view *forest, const struct rule *rules, size_t output, const float *row,
			   void *scratch, float *sums)
{
	for (size_t i = l->output_first[output]; i < l->output_first[output + 1]; i++) {
		const struct bundle *b = &l->bundles[i];
		const struct strip *strips = l->strips + b->first_strip;
		struct bundle_walk w;
		walk_init(&w, b, rules, scratch);
		fill_cells(l, forest, b, row, w.cells);
		l->walk(&w, strips, b->n_strips);
		for (size_t k = 0; k < b->n_strips; k++)
			for (size_t lane = 0; lane < LEVELS_NODES; lane++)
				sums[strips[k].feature[lane]] += w.cells[k * LEVELS_NODES + lane];
	}
}
