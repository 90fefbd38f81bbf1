/* transform.h - from the margin, the raw sum, to the value of XGBoost's objectives, and back for base_score */
#ifndef FUTAIE_TRANSFORM_H
#define FUTAIE_TRANSFORM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What an objective does with the margin: XGBoost's ObjFunction::PredTransform and ProbToMargin (src/objective/ of version 1.7.4, or the one that
 * brought the objective), in float32
 * with the same operations in the same order, so that the bits are the same where the C library's expf is.
 */
struct transform;

/* NULL for an objective that is not known. The result is static. */
const struct transform *transform_find(const char *objective);

/* base_score as the file has it, a value for each output, as margins, in place. */
void transform_to_margins(const struct transform *t, float *values, size_t n_groups);

/* True for multi:softmax, whose value is one class in place of many margins. */
bool transform_is_class(const struct transform *t);

/* The class with the largest margin, the first of equal ones. */
float transform_class(const float *margins, size_t n);

/* n_rows x n_groups margins to values, in place; not for classes. */
void transform_apply(const struct transform *t, float *values, size_t n_rows, size_t n_groups);

#endif
