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
	ROWS_MAX = 130,      /* a block and a bit */
	CELLS_MAX = 1 << 17, /* of a matrix: wider models are asked for fewer rows */
	SPLITS_MAX = 512     /* that get a cell of their own */
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
	free(m.cells);
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
	enum err checked = treefile_check(copy, len, &why);
	enum err e = forest_open(copy, len, &f, &info);

	FUZZ_CHECK(e != ERR_OK || checked == ERR_OK, "a forest, but not to be given to XGBoost: %s", why.text);
	if (checked != ERR_OK)
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

	return x % 2 == 0 ? fuzz_random(random) % 64 : numbers[x / 2 % (sizeof numbers / sizeof numbers[0])];
}

/* Puts a big-endian number at `at`, where it fits. */
static void
put_number(uint8_t *data, size_t size, size_t at, size_t width, uint64_t number)
{
	for (size_t i = 0; i < width && at + width <= size; i++)
		data[at + i] = (uint8_t)(number >> 8 * (width - 1 - i));
}

/* "[$type#": one of the first numbers of the array. A type alone: the number behind it, or what looks like one. */
static void
put_odd_number(uint8_t *data, size_t size, uint64_t *random)
{
	size_t from = (size_t)(fuzz_random(random) % size);
	bool in_array = fuzz_random(random) % 3 != 0;

	for (size_t i = 0; i < size; i++) {
		size_t at = (from + i) % size;
		if (in_array && at + 6 < size && memcmp(data + at, "[$", 2) == 0) {
			size_t width = width_of(data[at + 2]);
			size_t first = at + 5 + width_of(data[at + 4]);
			put_number(data, size, first + (size_t)(fuzz_random(random) % 16) * width, width, odd_number(random));
			return;
		}
		if (!in_array && width_of(data[at]) > 0) {
			put_number(data, size, at + 1, width_of(data[at]), odd_number(random));
			return;
		}
	}
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t random = seed;

	if (size == 0 || fuzz_random(&random) % 2 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	for (uint64_t n = 1 + fuzz_random(&random) % 3; n > 0; n--)
		put_odd_number(data, size, &random);
	return size;
}
