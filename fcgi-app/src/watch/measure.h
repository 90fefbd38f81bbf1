/* measure.h - how far a model's answers are from the truth, by its objective */
#ifndef FUTAIE_MEASURE_H
#define FUTAIE_MEASURE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What is averaged over truths, each of which has a loss: XGBoost's own metrics (src/metric/elementwise_metric.cu and multiclass_metric.cu of version 1.7.4), in
 * double and with every row's weight 1.
 *
 *	rmse        the root of the mean of (value - truth)^2; where a row has several targets, the row's loss is the mean over them
 *	logloss     of one probability p and a truth y from 0 to 1: -y ln max(p, 1e-16) - (1 - y) ln max(1 - p, 1e-16);
 *	            of many, for the class y: -ln max(p[y], 1e-16)
 *	error_rate  the share of answers that name another class
 */
enum measure {
	MEASURE_NONE, /* ranks, survival and quantiles: no one number is the truth for them */
	MEASURE_RMSE,
	MEASURE_LOGLOSS,        /* the value is a probability */
	MEASURE_LOGLOSS_MARGIN, /* the value is the margin of one: binary:logitraw */
	MEASURE_LOGLOSS_CLASSES,
	MEASURE_ERROR_BINARY, /* the value is 0 or 1: binary:hinge */
	MEASURE_ERROR_CLASS,  /* the value is a class: multi:softmax */
};

/* That of an objective, by its name as XGBoost has it; MEASURE_NONE for one that is not known. */
enum measure measure_find(const char *objective);

/* "rmse", "logloss", "error_rate", or "" for MEASURE_NONE. Static. */
const char *measure_name(enum measure m);

/* How many numbers are the truth of one row, whose answer has `width`. */
size_t measure_targets(enum measure m, size_t width);

/* False where no truth can be so, whatever the answer was, and then `*expected` says what it must be. `truth` is finite. */
bool measure_accepts(enum measure m, size_t width, float truth, const char **expected);

/* The loss of one row, for truths that are accepted. Not finite where the answer was not. */
double measure_loss(enum measure m, const float *values, size_t width, const float *truth);

/* The measure, of a sum of `n` > 0 losses. */
double measure_value(enum measure m, double sum, double n);

#endif
