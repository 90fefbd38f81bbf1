/* trainer.h - rounds of boosting, with early stopping */
#ifndef FUTAIE_TRAINER_H
#define FUTAIE_TRAINER_H

#include "base/err.h"
#include "train/learner.h"

/* How far the training is; the metric is the last that XGBoost reports, as in Python's early stopping. */
struct trainer_progress {
	int round;  /* done, from 1 */
	int rounds; /* at most */
	struct learner_metric now;
	int best_round;    /* from 1; without a validation part the round itself */
	double best_value; /* of the metric on the validation part, or NaN */
	double elapsed_s;
};

typedef void trainer_report(void *context, const struct trainer_progress *progress);

/* All metrics of a round, numbered from 1; the held-out part's are not measured. */
typedef void trainer_round(void *context, int round, const struct learner_scores *scores);

struct trainer_options {
	int rounds;
	int patience;            /* rounds without a better validation metric; 0: all rounds */
	int period;              /* rounds from one report to the next; 0: none but the last */
	trainer_report *report;  /* or NULL */
	trainer_round *measured; /* called in every round; or NULL */
	void *context;
};

/*
 * Trains, and makes the model that of its best round where it has a validation part and patience. `rounds` gets how many it has then.
 */
enum err trainer_run(struct learner *l, const struct trainer_options *options, int *rounds, struct err_info *info);

#endif
