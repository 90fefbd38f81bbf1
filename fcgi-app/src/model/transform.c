/* transform.c - from the margin, the raw sum, to the value of XGBoost's objectives, and back for base_score */
#include "model/transform.h"

#include <math.h>
#include <string.h>

enum kind { IDENTITY, LOGISTIC, EXP, HINGE, SOFTMAX, SOFTPROB, EXPECTILES };

struct transform {
	const char *objective;
	enum kind value;  /* from the margin */
	enum kind margin; /* whose inverse base_score goes through */
};

static const struct transform transforms[] = {
	{"reg:squarederror", IDENTITY, IDENTITY},
	{"reg:linear", IDENTITY, IDENTITY},
	{"reg:squaredlogerror", IDENTITY, IDENTITY},
	{"reg:pseudohubererror", IDENTITY, IDENTITY},
	{"reg:absoluteerror", IDENTITY, IDENTITY},
	{"reg:quantileerror", IDENTITY, IDENTITY},
	{"reg:expectileerror", EXPECTILES, EXPECTILES},
	{"reg:logistic", LOGISTIC, LOGISTIC},
	{"binary:logistic", LOGISTIC, LOGISTIC},
	{"binary:logitraw", IDENTITY, IDENTITY},
	{"binary:hinge", HINGE, IDENTITY},
	{"reg:gamma", EXP, EXP},
	{"reg:tweedie", EXP, EXP},
	{"count:poisson", EXP, EXP},
	{"survival:cox", EXP, EXP},
	{"survival:aft", EXP, EXP},
	{"rank:pairwise", IDENTITY, IDENTITY},
	{"rank:ndcg", IDENTITY, IDENTITY},
	{"rank:map", IDENTITY, IDENTITY},
	{"multi:softmax", SOFTMAX, IDENTITY},
	{"multi:softprob", SOFTPROB, IDENTITY},
};

const struct transform *
transform_find(const char *objective)
{
	for (size_t i = 0; i < sizeof transforms / sizeof transforms[0]; i++)
		if (strcmp(transforms[i].objective, objective) == 0)
			return &transforms[i];
	return NULL;
}

/* Since XGBoost 3.3: the margin of an expectile but the first is what softplus makes the step from the one before, which is never below this. */
static const float expectile_step = 1e-6F;

static float
softplus(float x)
{
	return fmaxf(x, 0) + log1pf(expf(-fabsf(x)));
}

static float
softplus_inverse(float y)
{
	return y + logf(-expm1f(-y));
}

static void
expectiles(float *values, size_t n)
{
	for (size_t i = 1; i < n; i++)
		values[i] = values[i - 1] + (expectile_step + softplus(values[i]));
}

static void
expectiles_to_margins(float *values, size_t n)
{
	for (size_t i = n; i-- > 1;)
		values[i] = softplus_inverse(fmaxf(values[i] - values[i - 1] - expectile_step, expectile_step));
}

void
transform_to_margins(const struct transform *t, float *values, size_t n_groups)
{
	if (t->margin == EXPECTILES)
		expectiles_to_margins(values, n_groups);
	for (size_t i = 0; i < n_groups; i++) {
		if (t->margin == LOGISTIC)
			values[i] = -logf(1.0F / values[i] - 1.0F);
		else if (t->margin == EXP)
			values[i] = logf(values[i]);
	}
}

bool
transform_is_class(const struct transform *t)
{
	return t->value == SOFTMAX;
}

float
transform_class(const float *margins, size_t n)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		if (margins[i] > margins[best])
			best = i;
	return (float)best;
}

/* XGBoost's common::Sigmoid: the tiny term keeps the divisor above zero, the bound keeps expf finite. */
static float
sigmoid(float x)
{
	const float tiny = 1e-16F;
	float denominator = expf(fminf(-x, 88.7F)) + 1.0F + tiny;

	return 1.0F / denominator;
}

/* XGBoost's common::Softmax: the sum is a double. */
static void
softmax(float *values, size_t n)
{
	float most = values[0];
	double sum = 0;

	for (size_t i = 1; i < n; i++)
		most = fmaxf(values[i], most);
	for (size_t i = 0; i < n; i++) {
		values[i] = expf(values[i] - most);
		sum += (double)values[i];
	}
	for (size_t i = 0; i < n; i++)
		values[i] /= (float)sum;
}

void
transform_apply(const struct transform *t, float *values, size_t n_rows, size_t n_groups)
{
	size_t n = n_rows * n_groups;

	switch (t->value) {
	case LOGISTIC:
		for (size_t i = 0; i < n; i++)
			values[i] = sigmoid(values[i]);
		break;
	case EXP:
		for (size_t i = 0; i < n; i++)
			values[i] = expf(values[i]);
		break;
	case HINGE:
		for (size_t i = 0; i < n; i++)
			values[i] = values[i] > 0.0F ? 1.0F : 0.0F;
		break;
	case EXPECTILES:
		for (size_t i = 0; i < n_rows; i++)
			expectiles(values + i * n_groups, n_groups);
		break;
	case SOFTPROB:
		for (size_t i = 0; i < n_rows; i++)
			softmax(values + i * n_groups, n_groups);
		break;
	case SOFTMAX:
	case IDENTITY:
		break;
	}
}
