/* forest.h - a model's trees, compiled: XGBoost's margins, bit for bit, without XGBoost */
#ifndef FUTAIE_FOREST_H
#define FUTAIE_FOREST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/booster.h"
#include "model/ranks.h"

/*
 * How it works: a tree's nodes lie in an array in breadth-first order, eight bytes each, the two children of a node side by side, so that a
 * step is two loads and two additions: next = node + child + (value >= split). A leaf is its own child and compares with NaN, so it stays where it is, and
 * every tree of a group can be walked for as many steps as the deepest of them needs, without a branch. One row walks eight trees at once,
 * a block of rows one tree with eight rows at once: the loads of one walk hide those of the others. The leaves' values are then
 * added one tree after the other, from the base score on, in float32, as XGBoost does it: so the bits are the same.
 *
 * That is how every tree can be scored. Two better ways take most of the trees: ranks.h blocks of rows, verdicts.h single rows. Measured with `make bench` on an
 * AMD EPYC (Zen 3), cycles a tree and row, trees of depth 6: 33 walked, 26 over verdicts, 7 in a block of ranks; XGBoost's blocks 50. On a Zen 4, of 100 and of 1,000
 * such trees: 19 and 15 over verdicts that were walked as above, 12 and 8 over verdicts in complete trees, 5.5 and 4.5 in a block of ranks.
 *
 * Tried on the latter and left out, with the same bits: QuickScorer, the bit vectors of all nodes that send the row right, taken from each feature's sorted splits, for
 * single rows (70 and 47) and for 16 at once with AVX-512 (15 and 15); complete trees that compare numbers, for single rows (15 and 17) and for eight at once (12 and 12); complete trees
 * over verdicts, 16 of them at once by AVX-512's loads by index (31 and 25), or four (14 and 10). On the former: the loads of AVX2 by index (gather) for leaves,
 * slower than scalar loads; ranks instead of verdicts for single rows.
 *
 * Immutable once opened; any number of threads may ask it.
 */
struct forest;

/* Counts up with every change of the code that scores: what an older one was proven to answer is to be proven again. */
enum { FOREST_REVISION = 5 };

/*
 * What it cannot do is ERR_UNSUPPORTED_MODEL (gblinear, trees of more than 65,535 nodes, more than 64 MiB of categories); a damaged
 * file ERR_BAD_MODEL.
 */
enum err forest_open(const void *bytes, size_t len, struct forest **out, struct err_info *info);

/* The same for a file that nobody needs any more: its memory goes back to the system while the trees are read, and it is released in any case. */
enum err forest_open_last(struct buf *file, struct forest **out, struct err_info *info);
void forest_free(struct forest *f);

/* Scores and explains with these instructions instead of the best that the processor has, which it must have; before others use the forest. */
void forest_use(struct forest *f, enum ranks_isa isa);

/* Name of the instructions that score blocks; "none" where no tree has ranks. */
const char *forest_isa_name(const struct forest *f);

/* Borrowed; as booster_shape() of the same file. */
const struct booster_shape *forest_shape(const struct forest *f);

/* As booster_feature_names() and booster_feature_types() of the same file, valid until forest_free(). */
const char *const *forest_feature_names(const struct forest *f);
const char *const *forest_feature_types(const struct forest *f);

/* Compiled trees: one of vector leaves counts once for each output. */
size_t forest_trees(const struct forest *f);

/* How many of the trees each of the faster ways takes; the others are walked. For tests. */
struct forest_ways {
	size_t ranks;    /* blocks of rows */
	size_t verdicts; /* single rows */
	size_t levels;   /* contributions */
};

struct forest_ways forest_ways(const struct forest *f);

/*
 * Calls `found` for every split: the column, and the number or, one by one, the categories that go right. For tests and proofs.
 */
void forest_splits(const struct forest *f, booster_split_fn *found, void *context);

/* Bytes of memory that it holds. */
size_t forest_bytes(const struct forest *f);

/*
 * Answers `n_rows` rows, row-major with shape->n_features float32 each, NaN meaning missing, in `out` (n_rows times the shape's n_values or n_margins floats), with
 * the bits of booster_predict().
 */
void forest_predict(const struct forest *f, enum booster_output output, const float *rows, size_t n_rows, float *out);

/*
 * The exact Shapley values of rows, as Booster.predict(pred_contribs=True) gives them: how much each feature adds to the margin. `out` gets for each row
 * and each of its n_margins n_features numbers, and behind them the base; together they add up to the margin. `scratch` is
 * forest_explain_scratch() bytes of the caller's, aligned for float. Only where forest_can_explain(): the file has its nodes' covers.
 */
bool forest_can_explain(const struct forest *f);
size_t forest_explain_scratch(const struct forest *f);

/* About how many steps XGBoost's recursion takes for a row: nodes times the square of depth. Ours takes a small part of it. */
size_t forest_explain_steps(const struct forest *f);

void forest_explain(const struct forest *f, const float *rows, size_t n_rows, void *scratch, float *out);

#endif
