/* trainer.c - rounds of boosting, with early stopping */
#include "train/trainer.h"

#include <math.h>
#include <stdbool.h>

#include "base/clock.h"

struct training {
	const struct trainer_options *options;
	struct trainer_progress progress;
	uint64_t start_ns;
};

/* Notes the round's metrics; true where it is the best so far. */
static void
note(struct training *t, const struct learner_scores *scores)
{
	struct trainer_progress *p = &t->progress;

	p->elapsed_s = (double)(clock_now_ns() - t->start_ns) * 1e-9;
	if (scores->n > 0)
		p->now = scores->metrics[scores->n - 1];
	double value = scores->n > 0 ? p->now.value[LEARNER_VALIDATION] : (double)NAN;
	if (isnan(value)) {
		p->best_round = p->round;
		return;
	}
	bool better = learner_is_gain(p->now.name) ? value > p->best_value : value < p->best_value;
	if (p->best_round > 0 && !better)
		return;
	p->best_round = p->round;
	p->best_value = value;
}

static bool
is_done(const struct training *t)
{
	const struct trainer_progress *p = &t->progress;

	return p->round == p->rounds || (t->options->patience > 0 && p->round - p->best_round >= t->options->patience);
}

enum err
trainer_run(struct learner *l, const struct trainer_options *options, int *rounds, struct err_info *info)
{
	struct training t = {
		.options = options, .progress = {.rounds = options->rounds, .best_value = (double)NAN}, .start_ns = clock_now_ns()};
	struct trainer_progress *p = &t.progress;
	struct learner_scores scores;
	bool remembers = options->patience > 0 && !learner_can_cut(l);

	do {
		enum err e = learner_update(l, p->round, info);
		if (e == ERR_OK)
			e = learner_evaluate(l, p->round, false, &scores, info);
		if (e != ERR_OK)
			return e;
		p->round++;
		note(&t, &scores);
		if (options->measured != NULL)
			options->measured(options->context, p->round, &scores);
		if (remembers && p->best_round == p->round && (e = learner_remember(l, info)) != ERR_OK)
			return e;
		if (options->report != NULL && (is_done(&t) || (options->period > 0 && p->round % options->period == 0)))
			options->report(options->context, p);
	} while (!is_done(&t));
	*rounds = options->patience > 0 ? p->best_round : p->round;
	if (*rounds == p->round)
		return ERR_OK;
	return remembers ? learner_recall(l, info) : learner_cut(l, *rounds, info);
}
