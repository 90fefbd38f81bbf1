/* ranks.c - a forest's trees over ranks instead of numbers: blocks of rows, as many at once as a vector has bytes */
#include "model/ranks.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
	CHUNK = 255, /* splits of a plane */
	BIAS = 128,  /* a byte holds rank - BIAS, since vectors compare signed bytes */
	LANES = 8,   /* rows whose ranks are searched at once */
	NO_PLANE = 0xFFFF,
	PLANES_A_TREE = 3 /* more are not worth it */
};

#define UNROLL _Pragma("GCC unroll 8")

/* A node above two leaves, which are number 2i and 2i + 1 for the tree's twig i; its result lies in slot i. */
struct twig {
	uint16_t plane;
	signed char rank; /* a row whose rank is below it goes left */
};

/* Any other node: the results of its children lie in two slots, and its own takes the place of the left one's. */
struct branch {
	uint16_t plane;
	signed char rank;
	uint8_t left;
	uint8_t right;
};

/* The leaves of branches lie in slots n_twigs and on, and their numbers go on at 2 * n_twigs. */
struct ranked_tree {
	uint32_t first_twig;
	uint32_t first_branch;
	uint32_t first_leaf;
	uint16_t n_twigs;
	uint16_t n_lone;
	uint16_t n_branches;
	uint8_t root; /* the slot of its result */
	bool has;     /* it has ranks */
};

/* A feature that some node asks for. */
struct field {
	uint32_t column;
	uint32_t first; /* of its splits: ascending, then NaN up to a power of two less one */
	uint32_t half;  /* half that power: the first step of the search */
	uint32_t first_plane;
	uint32_t n_planes;
};

struct plane {
	uint32_t below; /* splits before its first one */
	bool right;     /* where missing values go */
};

struct ranks {
	enum ranks_isa isa;
	struct ranked_tree *trees; /* all of these owned */
	struct twig *twigs;
	struct branch *branches;
	float *leaves;
	struct field *fields;
	struct plane *planes;
	float *splits;
	size_t n_trees;
	size_t n_twigs;
	size_t n_branches;
	size_t n_leaves;
	size_t n_fields;
	size_t n_planes;
	size_t n_splits;
};

/* Sets of instructions */

#define TARGET
#define NAMED(x) x##_portable
typedef signed char bytes16 __attribute__((vector_size(16), may_alias));
#define VECTOR            bytes16
#define LOAD(p)           (*(const bytes16 *)(const void *)(p))
#define STORE(p, v)       (*(bytes16 *)(void *)(p) = (v))
#define SPLAT(x)          ((bytes16){0} + (signed char)(x))
#define ABOVE(a, b)       ((bytes16)((a) > (b)))
#define TWIG(odd, l)      ((odd) + (l))
#define PICK(right, l, m) (((right) & ~(m)) | ((l) & (m)))
#include "model/ranks_kernel.h"
#undef TARGET
#undef NAMED
#undef VECTOR
#undef LOAD
#undef STORE
#undef SPLAT
#undef ABOVE
#undef TWIG
#undef PICK

#ifdef __x86_64__
#define TARGET            __attribute__((target("avx2")))
#define NAMED(x)          x##_avx2
#define VECTOR            __m256i
#define LOAD(p)           _mm256_load_si256((const __m256i *)(const void *)(p))
#define STORE(p, v)       _mm256_store_si256((__m256i *)(void *)(p), (v))
#define SPLAT(x)          _mm256_set1_epi8((char)(x))
#define ABOVE(a, b)       _mm256_cmpgt_epi8((a), (b))
#define TWIG(odd, l)      _mm256_add_epi8((odd), (l))
#define PICK(right, l, m) _mm256_blendv_epi8((right), (l), (m))
#include "model/ranks_kernel.h"
#undef TARGET
#undef NAMED
#undef VECTOR
#undef LOAD
#undef STORE
#undef SPLAT
#undef ABOVE
#undef TWIG
#undef PICK

#define TARGET            __attribute__((target("avx512f,avx512bw")))
#define NAMED(x)          x##_avx512
#define VECTOR            __m512i
#define LOAD(p)           _mm512_load_si512((const void *)(p))
#define STORE(p, v)       _mm512_store_si512((void *)(p), (v))
#define SPLAT(x)          _mm512_set1_epi8((char)(x))
#define ABOVE(a, b)       _mm512_cmpgt_epi8_mask((a), (b))
#define TWIG(odd, l)      _mm512_mask_sub_epi8((odd), (l), (odd), _mm512_set1_epi8(1))
#define PICK(right, l, m) _mm512_mask_mov_epi8((right), (m), (l))
#include "model/ranks_kernel.h"
#endif

typedef void add_tree_fn(const struct ranks *r, const struct ranked_tree *t, size_t n_rows, struct ranks_block *block, float *sums);

static const struct {
	const char *name;
	add_tree_fn *add_tree; /* NULL: not for this architecture */
} isas[RANKS_ISAS] = {
	[RANKS_PORTABLE] = {"portable", add_tree_portable},
#ifdef __x86_64__
	[RANKS_AVX2] = {"avx2", add_tree_avx2},
	[RANKS_AVX512] = {"avx512", add_tree_avx512},
#else
	[RANKS_AVX2] = {"avx2", NULL},
	[RANKS_AVX512] = {"avx512", NULL},
#endif
};

bool
ranks_has_isa(enum ranks_isa isa)
{
#ifdef __x86_64__
	if (isa == RANKS_AVX2)
		return __builtin_cpu_supports("avx2") != 0;
	if (isa == RANKS_AVX512)
		return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
#endif
	return isa == RANKS_PORTABLE;
}

enum ranks_isa
ranks_best_isa(void)
{
	enum ranks_isa best = RANKS_ISAS - 1;

	while (!ranks_has_isa(best))
		best--;
	return best;
}

const char *
ranks_isa_name(enum ranks_isa isa)
{
	return isas[isa].name;
}

enum ranks_isa
ranks_isa(const struct ranks *r)
{
	return r->isa;
}

void
ranks_use(struct ranks *r, enum ranks_isa isa)
{
	r->isa = isa;
}

/* Making them */

/* Up to CHUNK splits of one column that follow each other. */
struct chunk {
	size_t first_split;
	uint32_t below; /* splits of the column before it */
	uint32_t field;
	uint16_t planes[2]; /* for nodes that send missing values left, and right; NO_PLANE where there are none */
};

struct build {
	struct ranks *r;
	const struct forest_view *forest;
	const struct splits *splits;
	uint32_t *chunk_of;   /* owned; of each split */
	struct chunk *chunks; /* owned */
	size_t n_chunks;
};

static bool
is_leaf(const struct build *b, size_t node)
{
	return forest_is_leaf(&b->forest->nodes[node]);
}

static bool
can_have(const struct build *b, size_t tree)
{
	return b->splits->plain[tree] && forest_tree_nodes(b->forest, tree) <= 2 * RANKS_LEAVES - 1;
}

/* Half the least power of two above n. */
static uint32_t
half_above(size_t n)
{
	uint32_t half = 1;

	while ((size_t)2 * half <= n)
		half *= 2;
	return half;
}

/* A field for each column, with its splits, and its chunks. */
static bool
make_fields(struct build *b)
{
	struct ranks *r = b->r;
	const struct splits *s = b->splits;
	size_t cap = 0;

	for (size_t i = 0; i < s->n; i = splits_column_end(s, i)) {
		r->n_fields++;
		cap += 2 * half_above(splits_column_end(s, i) - i) - 1;
	}
	r->fields = calloc(r->n_fields + 1, sizeof *r->fields);
	r->splits = calloc(cap + 1, sizeof *r->splits);
	b->chunk_of = calloc(s->n + 1, sizeof *b->chunk_of);
	b->chunks = calloc(s->n + 1, sizeof *b->chunks);
	if (r->fields == NULL || r->splits == NULL || b->chunk_of == NULL || b->chunks == NULL)
		return false;
	for (size_t i = 0, field = 0, end; i < s->n; i = end, field++) {
		end = splits_column_end(s, i);
		r->fields[field] = (struct field){.column = s->all[i].column, .first = (uint32_t)r->n_splits, .half = half_above(end - i)};
		for (size_t k = i; k < i + (size_t)2 * r->fields[field].half - 1; k++)
			r->splits[r->n_splits++] = k < end ? s->all[k].value : NAN;
		for (size_t k = i; k < end; k++) {
			if ((k - i) % CHUNK == 0)
				b->chunks[b->n_chunks++] = (struct chunk){
					.first_split = k, .below = (uint32_t)(k - i), .field = (uint32_t)field, .planes = {NO_PLANE, NO_PLANE}};
			b->chunk_of[k] = (uint32_t)b->n_chunks - 1;
		}
	}
	return true;
}

static uint16_t *
plane_of(struct build *b, size_t node)
{
	struct chunk *c = &b->chunks[b->chunk_of[b->splits->of_node[node]]];

	return &c->planes[(b->forest->nodes[node].feature & FOREST_DEFAULT_RIGHT) != 0];
}

/* Marks the planes that the nodes of a tree with ranks ask for. */
static void
mark_planes(struct build *b, size_t tree)
{
	size_t first = b->forest->trees[tree].first;

	for (size_t i = first; i < first + forest_tree_nodes(b->forest, tree); i++)
		if (!is_leaf(b, i))
			*plane_of(b, i) = 0;
}

/* A plane for each chunk and direction that is asked for, in the fields' order. */
static bool
make_planes(struct build *b)
{
	struct ranks *r = b->r;

	for (size_t tree = 0; tree < r->n_trees; tree++)
		if (r->trees[tree].has)
			mark_planes(b, tree);
	r->planes = calloc(2 * b->n_chunks + 1, sizeof *r->planes);
	if (r->planes == NULL)
		return false;
	for (size_t i = 0; i < b->n_chunks && r->n_planes <= RANKS_PLANES_MAX; i++) {
		struct chunk *c = &b->chunks[i];
		struct field *f = &r->fields[c->field];
		if (c->below == 0)
			f->first_plane = (uint32_t)r->n_planes;
		for (size_t right = 0; right < 2; right++) {
			if (c->planes[right] == NO_PLANE)
				continue;
			c->planes[right] = (uint16_t)r->n_planes;
			r->planes[r->n_planes++] = (struct plane){.below = c->below, .right = right != 0};
			f->n_planes++;
		}
	}
	return true;
}

/* The plane and the rank that a node compares. */
static struct twig
place(struct build *b, size_t node)
{
	size_t split = b->splits->of_node[node];
	size_t first = b->chunks[b->chunk_of[split]].first_split;

	return (struct twig){.plane = *plane_of(b, node), .rank = (signed char)((int)(split - first) + 1 - BIAS)};
}

static size_t
left_child(const struct build *b, size_t node)
{
	return node + b->forest->nodes[node].child;
}

static bool
is_twig(const struct build *b, size_t node)
{
	return !is_leaf(b, node) && is_leaf(b, left_child(b, node)) && is_leaf(b, left_child(b, node) + 1);
}

/* The slot of a branch's child, by the tree's own numbers in `slots`; a new one for a leaf. */
static uint8_t
child_slot(struct build *b, struct ranked_tree *t, size_t child, const uint8_t *slots, size_t first)
{
	if (!is_leaf(b, child))
		return slots[child - first];
	b->r->leaves[t->first_leaf + 2U * t->n_twigs + t->n_lone] = b->forest->values[child];
	return (uint8_t)(t->n_twigs + t->n_lone++);
}

/* A tree's nodes from the last to the first, so that children come before their parents. */
static void
make_tree(struct build *b, size_t tree)
{
	struct ranks *r = b->r;
	struct ranked_tree *t = &r->trees[tree];
	size_t first = b->forest->trees[tree].first;
	size_t end = first + forest_tree_nodes(b->forest, tree);
	uint8_t slots[2 * RANKS_LEAVES] = {0};

	t->first_twig = (uint32_t)r->n_twigs;
	t->first_branch = (uint32_t)r->n_branches;
	t->first_leaf = (uint32_t)r->n_leaves;
	for (size_t i = end; i-- > first;) {
		if (!is_twig(b, i))
			continue;
		slots[i - first] = (uint8_t)t->n_twigs++;
		r->twigs[r->n_twigs++] = place(b, i);
		r->leaves[r->n_leaves++] = b->forest->values[left_child(b, i)];
		r->leaves[r->n_leaves++] = b->forest->values[left_child(b, i) + 1];
	}
	for (size_t i = end; i-- > first;) {
		if (is_leaf(b, i) || is_twig(b, i))
			continue;
		size_t left = left_child(b, i);
		struct twig asks = place(b, i);
		struct branch *branch = &r->branches[r->n_branches++];
		*branch = (struct branch){.plane = asks.plane, .rank = asks.rank};
		branch->left = child_slot(b, t, left, slots, first);
		branch->right = child_slot(b, t, left + 1, slots, first);
		slots[i - first] = branch->left;
		t->n_branches++;
	}
	t->root = child_slot(b, t, first, slots, first);
	r->n_leaves += t->n_lone;
}

static bool
make_trees(struct build *b)
{
	struct ranks *r = b->r;
	size_t n = b->forest->n_nodes;

	r->twigs = calloc(n, sizeof *r->twigs);
	r->branches = calloc(n, sizeof *r->branches);
	r->leaves = calloc(n, sizeof *r->leaves);
	if (r->twigs == NULL || r->branches == NULL || r->leaves == NULL)
		return false;
	for (size_t tree = 0; tree < r->n_trees; tree++)
		if (r->trees[tree].has)
			make_tree(b, tree);
	return true;
}

/* Gives back what the arrays have too much. */
static void
shrink(struct ranks *r)
{
	void *smaller;

	if ((smaller = realloc(r->twigs, (r->n_twigs + 1) * sizeof *r->twigs)) != NULL)
		r->twigs = smaller;
	if ((smaller = realloc(r->branches, (r->n_branches + 1) * sizeof *r->branches)) != NULL)
		r->branches = smaller;
	if ((smaller = realloc(r->leaves, (r->n_leaves + 1) * sizeof *r->leaves)) != NULL)
		r->leaves = smaller;
}

/* The ranks of a row cost a search for each field and a byte for each plane, which a tree or so must gain. */
static bool
is_worth_it(const struct ranks *r)
{
	size_t n_ranked = 0;

	for (size_t i = 0; i < r->n_trees; i++)
		n_ranked += r->trees[i].has ? 1 : 0;
	return r->n_planes > 0 && r->n_planes <= RANKS_PLANES_MAX && r->n_planes <= PLANES_A_TREE * n_ranked;
}

static enum err
make(struct build *b, bool *gains, struct err_info *info)
{
	struct ranks *r = b->r;

	r->trees = calloc(r->n_trees + 1, sizeof *r->trees);
	if (r->trees == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the ranks of %zu trees", r->n_trees);
	for (size_t i = 0; i < r->n_trees; i++)
		r->trees[i].has = can_have(b, i);
	if (!make_fields(b) || !make_planes(b))
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the ranks of %zu trees", r->n_trees);
	*gains = is_worth_it(r);
	if (*gains && !make_trees(b))
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the ranks of %zu trees", r->n_trees);
	if (*gains)
		shrink(r);
	return ERR_OK;
}

enum err
ranks_open(const struct forest_view *forest, const struct splits *splits, struct ranks **out, struct err_info *info)
{
	struct build b = {.r = calloc(1, sizeof(struct ranks)), .forest = forest, .splits = splits};
	bool gains = false;

	*out = NULL;
	if (b.r == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the ranks of %zu trees", forest->n_trees);
	b.r->n_trees = forest->n_trees;
	b.r->isa = ranks_best_isa();
	enum err e = make(&b, &gains, info);
	free(b.chunk_of);
	free(b.chunks);
	if (e == ERR_OK && gains)
		*out = b.r;
	else
		ranks_free(b.r);
	return e;
}

void
ranks_free(struct ranks *r)
{
	if (r == NULL)
		return;
	free(r->trees);
	free(r->twigs);
	free(r->branches);
	free(r->leaves);
	free(r->fields);
	free(r->planes);
	free(r->splits);
	free(r);
}

size_t
ranks_bytes(const struct ranks *r)
{
	return sizeof *r + r->n_trees * sizeof *r->trees + r->n_twigs * sizeof *r->twigs + r->n_branches * sizeof *r->branches +
		   r->n_leaves * sizeof *r->leaves + r->n_fields * sizeof *r->fields + r->n_planes * sizeof *r->planes +
		   r->n_splits * sizeof *r->splits;
}

bool
ranks_has_tree(const struct ranks *r, size_t tree)
{
	return r->trees[tree].has;
}

/* Asking them */

/* How many splits are not above the value, of LANES rows at once: a search that takes the same steps for every value. NaN is above none. */
static inline void
search(const float *splits, uint32_t half, const float values[LANES], uint32_t ranks[LANES])
{
	for (size_t i = 0; i < LANES; i++)
		ranks[i] = 0;
	for (uint32_t h = half; h > 0; h /= 2) {
		UNROLL
		for (size_t i = 0; i < LANES; i++)
			ranks[i] += splits[ranks[i] + h - 1] <= values[i] ? h : 0;
	}
}

static inline signed char
byte_of(uint32_t rank, uint32_t below, bool to_end)
{
	uint32_t above = rank > below ? rank - below : 0;

	return (signed char)((int)(to_end || above > CHUNK ? CHUNK : above) - BIAS);
}

static void
fill_field(const struct ranks *r, const struct field *f, const float *rows, size_t n_rows, size_t n_features,
		   struct ranks_block *block)
{
	const float *cells = rows + f->column;

	for (size_t row = 0; row < n_rows; row += LANES) {
		float values[LANES];
		uint32_t ranks[LANES];
		for (size_t i = 0; i < LANES; i++)
			values[i] = cells[(row + i < n_rows ? row + i : n_rows - 1) * n_features];
		search(r->splits + f->first, f->half, values, ranks);
		for (size_t p = f->first_plane; p < f->first_plane + f->n_planes; p++)
			for (size_t i = 0; i < LANES; i++)
				block->planes[p][row + i] = byte_of(ranks[i], r->planes[p].below, r->planes[p].right && isnan(values[i]));
	}
}

void
ranks_fill(const struct ranks *r, const float *rows, size_t n_rows, size_t n_features, struct ranks_block *block)
{
	for (size_t i = 0; i < r->n_fields; i++)
		if (r->fields[i].n_planes > 0)
			fill_field(r, &r->fields[i], rows, n_rows, n_features, block);
}

void
ranks_add_tree(const struct ranks *r, size_t tree, size_t n_rows, struct ranks_block *block, float *sums)
{
	isas[r->isa].add_tree(r, &r->trees[tree], n_rows, block, sums);
}
