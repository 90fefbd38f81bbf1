/* measure.c - how far a model's answers are from the truth, by its objective */
#include "watch/measure.h"

#include <math.h>
#include <string.h>

#define LEAST_PROBABILITY 1e-16

struct objective {
	const char *name;
	enum measure measure;
};

/* rank:*, survival:* and reg:quantileerror are left out on purpose. */
static const struct objective objectives[] = {
	{"reg:squarederror", MEASURE_RMSE},
	{"reg:linear", MEASURE_RMSE},
	{"reg:squaredlogerror", MEASURE_RMSE},
	{"reg:pseudohubererror", MEASURE_RMSE},
	{"reg:absoluteerror", MEASURE_RMSE},
	{"reg:logistic", MEASURE_RMSE},
	{"reg:gamma", MEASURE_RMSE},
	{"reg:tweedie", MEASURE_RMSE},
	{"count:poisson", MEASURE_RMSE},
	{"binary:logistic", MEASURE_LOGLOSS},
	{"binary:logitraw", MEASURE_LOGLOSS_MARGIN},
	{"binary:hinge", MEASURE_ERROR_BINARY},
	{"multi:softprob", MEASURE_LOGLOSS_CLASSES},
	{"multi:softmax", MEASURE_ERROR_CLASS},
};

enum measure
measure_find(const char *objective)
{
	for (size_t i = 0; i < sizeof objectives / sizeof objectives[0]; i++)
		if (strcmp(objectives[i].name, objective) == 0)
			return objectives[i].measure;
	return MEASURE_NONE;
}

const char *
measure_name(enum measure m)
{
	static const char *const names[] = {
		[MEASURE_NONE] = "",
		[MEASURE_RMSE] = "rmse",
		[MEASURE_LOGLOSS] = "logloss",
		[MEASURE_LOGLOSS_MARGIN] = "logloss",
		[MEASURE_LOGLOSS_CLASSES] = "logloss",
		[MEASURE_ERROR_BINARY] = "error_rate",
		[MEASURE_ERROR_CLASS] = "error_rate",
	};

	return names[m];
}

size_t
measure_targets(enum measure m, size_t width)
{
	return m == MEASURE_RMSE ? width : 1;
}

bool
measure_accepts(enum measure m, size_t width, float truth, const char **expected)
{
	switch (m) {
	case MEASURE_LOGLOSS:
	case MEASURE_LOGLOSS_MARGIN:
		*expected = "a number from 0 to 1";
		return truth >= 0 && truth <= 1;
	case MEASURE_ERROR_BINARY:
		*expected = "0 or 1";
		return truth == 0 || truth == 1;
	case MEASURE_LOGLOSS_CLASSES:
		*expected = "the number of a class, from 0 and below the number of classes";
		return truth >= 0 && truth < (float)width && truth == floorf(truth);
	case MEASURE_ERROR_CLASS:
		*expected = "the number of a class, from 0";
		return truth >= 0 && truth == floorf(truth);
	case MEASURE_NONE:
	case MEASURE_RMSE:
		break;
	}
	*expected = "a number";
	return true;
}

static double
minus_log(double p)
{
	return -log(p > LEAST_PROBABILITY ? p : LEAST_PROBABILITY);
}

/* A truth that is sure of itself must not meet 0 times infinity; that of 1e-16 is finite, so nothing here is. NaN stays NaN. */
static double
logloss(double p, double y)
{
	return isnan(p) ? p : y * minus_log(p) + (1 - y) * minus_log(1 - p);
}

static double
squared_error(const float *values, size_t width, const float *truth)
{
	double sum = 0;

	for (size_t i = 0; i < width; i++) {
		double difference = (double)values[i] - (double)truth[i];
		sum += difference * difference;
	}
	return sum / (double)width;
}

double
measure_loss(enum measure m, const float *values, size_t width, const float *truth)
{
	switch (m) {
	case MEASURE_RMSE:
		return squared_error(values, width, truth);
	case MEASURE_LOGLOSS:
		return logloss((double)values[0], (double)truth[0]);
	case MEASURE_LOGLOSS_MARGIN:
		return logloss(1 / (1 + exp(-(double)values[0])), (double)truth[0]);
	case MEASURE_LOGLOSS_CLASSES:
		return isnan(values[(size_t)truth[0]]) ? (double)NAN : minus_log((double)values[(size_t)truth[0]]);
	case MEASURE_ERROR_BINARY:
	case MEASURE_ERROR_CLASS:
		return values[0] == truth[0] ? 0 : 1;
	case MEASURE_NONE:
		break;
	}
	return 0;
}

double
measure_value(enum measure m, double sum, double n)
{
	return m == MEASURE_RMSE ? sqrt(sum / n) : sum / n;
}
