/* fuzz_model.c - any bytes as a model file: refused with a sentence, or a forest whose ways of scoring give the same bits */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "model/forest.h"
#include "model/treefile.h"

enum {
	ROWS_MAX = 130,         /* a block and a bit */
	CELLS_MAX = 1 << 17,    /* of a matrix: wider models are asked for fewer rows */
	SPLITS_MAX = 512,       /* that get a cell of their own */
	EXPLAIN_ROWS = 9,       /* or fewer: no more … */
	EXPLAINED_MAX = 1 << 20 /* … numbers than these */
};

/* A matrix, and where the next split's number is put. */
struct matrix {
	float *cells;
	size_t n_rows;
	size_t width;
	size_t n_splits;
};

/* What a forest answers, one row at a time: what all other ways must give. */
struct answers {
	enum booster_output output;
	size_t width;
	float *single;
	float *other;
};

/* On a split or just below it is where ways of comparing could differ. */
static void
put_split(void *context, size_t column, float value)
{
	struct matrix *m = context;

	FUZZ_CHECK(column < m->width, "a split by column %zu of %zu", column, m->width);
	if (m->n_splits++ >= SPLITS_MAX)
		return;
	size_t row = m->n_splits / 2 % m->n_rows;
	m->cells[row * m->width + column] = m->n_splits % 2 == 0 ? value : nextafterf(value, -INFINITY);
}

static void
fill(struct matrix *m, const struct forest *f)
{
	static const float odd[] = {NAN,     0.0F,     -0.0F,        1.0F,        -1.0F,    3.0F, 0.5F,
								FLT_MAX, -FLT_MAX, FLT_TRUE_MIN, 16777216.0F, INFINITY, NAN};

	for (size_t i = 0; i < m->n_rows * m->width; i++)
		m->cells[i] = odd[i % (sizeof odd / sizeof odd[0])];
	forest_splits(f, put_split, m);
}

static void
compare(const struct forest *f, const struct matrix *m, const struct answers *a, size_t n_rows)
{
	forest_predict(f, a->output, m->cells, n_rows, a->other);
	for (size_t i = 0; i < n_rows * a->width; i++)
		FUZZ_CHECK(fuzz_same(a->other[i], a->single[i]), "%zu rows, output %zu: %a in a batch, %a alone", n_rows, i,
				   (double)a->other[i], (double)a->single[i]);
}

static void
ask(struct forest *f, const struct matrix *m, enum booster_output output, size_t width)
{
	static const size_t counts[] = {9, 40, ROWS_MAX};
	struct answers a = {.output = output,
						.width = width,
						.single = fuzz_alloc(m->n_rows * width * sizeof(float)),
						.other = fuzz_alloc(m->n_rows * width * sizeof(float))};

	for (size_t i = 0; i < m->n_rows; i++)
		forest_predict(f, output, m->cells + i * m->width, 1, a.single + i * width);
	for (int isa = RANKS_PORTABLE; isa < RANKS_ISAS; isa++) {
		if (!ranks_has_isa((enum ranks_isa)isa))
			continue;
		forest_use(f, (enum ranks_isa)isa);
		for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
			if (counts[i] <= m->n_rows)
				compare(f, m, &a, counts[i]);
	}
	free(a.single);
	free(a.other);
}

/* Contributions by all instructions, alone and in a block; covers may be anything, so that only harm would show. */
static void
explain(struct forest *f, const struct matrix *m, size_t n_outputs)
{
	size_t a_row = n_outputs * (m->width + 1);
	size_t n_rows = EXPLAINED_MAX / a_row < EXPLAIN_ROWS ? EXPLAINED_MAX / a_row : EXPLAIN_ROWS;

	if (!forest_can_explain(f) || n_rows == 0 || n_rows > m->n_rows)
		return;
	float *out = fuzz_alloc(n_rows * a_row * sizeof *out);
	void *scratch = fuzz_alloc(forest_explain_scratch(f));
	for (int isa = RANKS_PORTABLE; isa < RANKS_ISAS; isa++) {
		if (!ranks_has_isa((enum ranks_isa)isa))
			continue;
		forest_use(f, (enum ranks_isa)isa);
		forest_explain(f, m->cells, n_rows, scratch, out);
		forest_explain(f, m->cells, 1, scratch, out);
	}
	free(scratch);
	free(out);
}

static void
ask_all(struct forest *f)
{
	const struct booster_shape *shape = forest_shape(f);
	size_t widest = shape->n_features > shape->n_margins ? shape->n_features : shape->n_margins;
	size_t n_rows = CELLS_MAX / widest < ROWS_MAX ? CELLS_MAX / widest : ROWS_MAX;
	struct matrix m = {
		.n_rows = n_rows, .width = shape->n_features, .cells = fuzz_alloc(n_rows * shape->n_features * sizeof(float))};

	fill(&m, f);
	ask(f, &m, BOOSTER_MARGIN, shape->n_margins);
	ask(f, &m, BOOSTER_VALUE, shape->n_values);
	explain(f, &m, shape->n_margins);
	free(m.cells);
}

/* A tree as the reader promises it, which its arrays' spare room would otherwise hide. */
struct walk {
	const struct treefile_head *head;
	const struct treefile_tree *tree;
	bool *seen; /* owned; of each node */
	size_t n_leaves;
};

static void
check_set(const struct treefile_tree *t, int32_t node)
{
	size_t i = 0;

	while (i < t->n_categorical && t->category_node[i] != node)
		i++;
	FUZZ_CHECK(i < t->n_categorical, "node %d has no categories", node);
	for (int64_t k = 0; k < t->category_count[i]; k++) {
		int32_t category = t->categories[t->category_from[i] + k];
		FUZZ_CHECK(category >= 0 && category < TREEFILE_CATEGORIES_MAX, "node %d has the category %d", node, category);
	}
}

/* A leaf of several values has them within their array, and no two leaves share theirs: so there are no more leaves than vectors. */
static void
check_leaf(struct walk *w, int32_t leaf)
{
	const struct treefile_tree *t = w->tree;

	w->n_leaves++;
	if (t->n_leaf_values == 1)
		return;
	int32_t vector = t->vector != NULL ? t->vector[leaf] : leaf;
	FUZZ_CHECK(t->n_leaf_values == w->head->n_groups, "leaves of %zu values for %zu outputs", t->n_leaf_values, w->head->n_groups);
	FUZZ_CHECK(vector >= 0 && (size_t)vector < t->n_vectors, "leaf %d has the values %d of %zu", leaf, vector, t->n_vectors);
	FUZZ_CHECK(w->n_leaves <= t->n_vectors, "%zu leaves of %zu values", w->n_leaves, t->n_vectors);
	for (size_t i = 0; i < t->n_leaf_values; i++)
		FUZZ_CHECK(fuzz_same(treefile_leaf(t, (size_t)leaf, i), t->vectors[(size_t)vector * t->n_leaf_values + i]),
				   "leaf %d has another value for output %zu", leaf, i);
}

static void
check_node(struct walk *w, int32_t node, size_t depth)
{
	const struct treefile_tree *t = w->tree;

	FUZZ_CHECK(node >= 0 && (size_t)node < t->n && !w->seen[node], "node %d of %zu, or twice", node, t->n);
	FUZZ_CHECK(depth <= t->depth, "node %d is deeper than %zu", node, t->depth);
	w->seen[node] = true;
	if (t->left[node] == -1) {
		check_leaf(w, node);
		return;
	}
	FUZZ_CHECK(t->feature[node] >= 0 && (size_t)t->feature[node] < w->head->n_features, "node %d asks for %d", node,
			   t->feature[node]);
	if (t->categorical != NULL && t->categorical[node] != 0)
		check_set(t, node);
	check_node(w, t->left[node], depth + 1);
	check_node(w, t->right[node], depth + 1);
}

static enum err
check_tree(void *head, size_t number, const struct treefile_tree *t, struct err_info *info)
{
	struct walk w = {.head = head, .tree = t, .seen = fuzz_alloc(t->n * sizeof *w.seen)};

	(void)number;
	(void)info;
	check_node(&w, 0, 0);
	free(w.seen);
	return ERR_OK;
}

static void
check_trees(const char *bytes, size_t len)
{
	struct treefile_head head;
	struct err_info info;

	if (treefile_read(bytes, len, &head, check_tree, &head, &info) == ERR_OK)
		treefile_head_release(&head);
}

static void
check_refusal(enum err e, const struct err_info *info)
{
	FUZZ_CHECK(e == ERR_BAD_MODEL || e == ERR_UNSUPPORTED_MODEL, "refused as %s: %s", err_code(e), info->text);
	FUZZ_CHECK(info->text[0] != '\0' && info->code == e, "refused as %s without a sentence", err_code(e));
	FUZZ_CHECK(e != ERR_BAD_MODEL || strstr(info->text, "byte ") != NULL, "refused without the place: %s", info->text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *copy = fuzz_copy(bytes, len);
	struct forest *f;
	struct err_info info = {0};
	struct err_info why = {0};
	enum err checked = treefile_check(copy, len, "99", &why);
	enum err e = forest_open(copy, len, &f, &info);

	FUZZ_CHECK(e != ERR_OK || checked == ERR_OK, "a forest, but not to be given to XGBoost: %s", why.text);
	if (checked == ERR_OK)
		check_trees(copy, len);
	else
		check_refusal(checked, &why);
	if (e != ERR_OK)
		check_refusal(e, &info);
	else
		ask_all(f);
	forest_free(e == ERR_OK ? f : NULL);
	free(copy);
	return 0;
}

/*
 * Plain mutations seldom meet a whole number of UBJSON, and then all of its bytes; ours puts one that readers are wrong about into an array
 * or behind a type.
 */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static size_t
width_of(uint8_t type)
{
	const char *types = "iUIldLD";
	static const size_t widths[] = {1, 1, 2, 4, 4, 8, 8};
	const char *found = type != 0 ? strchr(types, type) : NULL;

	return found != NULL ? widths[found - types] : 0;
}

/* A small one, or one at the edge of a type, a power of two or a maximum of the reader's. */
static uint64_t
odd_number(uint64_t *random)
{
	static const uint64_t numbers[] = {
		UINT64_MAX,       UINT64_MAX - 1, INT64_MAX, 1ULL << 63, 1ULL << 60, INT_MAX, 1ULL << 31, UINT32_MAX, 1ULL << 24,
		(1ULL << 24) - 1, 65536,          65535,     32768,      32767,      255,     127,        0x7F800000, 0x7FC00000};
	uint64_t x = fuzz_random(random);

	return x % 2 == 0 ? fuzz_random(random) % 16 : numbers[x / 2 % (sizeof numbers / sizeof numbers[0])];
}

/* Puts a big-endian number at `at`, where it fits. */
static void
put_number(uint8_t *data, size_t size, size_t at, size_t width, uint64_t number)
{
	for (size_t i = 0; i < width && at + width <= size; i++)
		data[at + i] = (uint8_t)(number >> 8 * (width - 1 - i));
}

/* Where one of the arrays starts that are written "[$type#", each as likely; or `size`. */
static size_t
some_array(const uint8_t *data, size_t size, uint64_t *random)
{
	size_t found = size;
	uint64_t n = 0;

	for (size_t at = 0; at + 6 < size; at++)
		if (memcmp(data + at, "[$", 2) == 0 && fuzz_random(random) % ++n == 0)
			found = at;
	return found;
}

/* One of an array's first numbers. */
static void
change_array(uint8_t *data, size_t size, uint64_t *random)
{
	size_t at = some_array(data, size, random);

	if (at == size)
		return;
	size_t width = width_of(data[at + 2]);
	size_t first = at + 5 + width_of(data[at + 4]);
	put_number(data, size, first + (size_t)(fuzz_random(random) % 16) * width, width, odd_number(random));
}

/* The number behind a type, or behind what looks like one. */
static void
change_number(uint8_t *data, size_t size, uint64_t *random)
{
	size_t from = (size_t)(fuzz_random(random) % size);

	for (size_t at = from; at < size; at++) {
		if (width_of(data[at]) > 0) {
			put_number(data, size, at + 1, width_of(data[at]), odd_number(random));
			return;
		}
	}
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t random = seed;
	uint64_t kind = fuzz_random(&random) % 4;

	if (size == 0 || kind == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	if (kind == 1)
		change_number(data, size, &random);
	else
		change_array(data, size, &random);
	return size;
}
