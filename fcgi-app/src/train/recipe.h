/* recipe.h - the parameters of a training: a JSON file, and what the command line says over it */
#ifndef FUTAIE_RECIPE_H
#define FUTAIE_RECIPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "train/learner.h"

struct cJSON;

/*
 * A flat object: XGBoost's parameters by XGBoost's names, and num_boost_round (most rounds) and early_stopping_rounds (rounds without a better
 * validation metric after which it stops), as arguments of Python's xgboost.train(). A zeroed struct is released.
 */
struct recipe {
	struct cJSON *tree;                   /* owned */
	struct learner_parameter *parameters; /* owned, and each value; by recipe_finish() */
	size_t n_parameters;
	int rounds;
	int patience; /* 0: no early stopping */
	uint64_t seed;
};

/* With the defaults: num_boost_round 1000, early_stopping_rounds 50, seed 0, objective reg:squarederror. */
enum err recipe_init(struct recipe *r, struct err_info *info);
void recipe_release(struct recipe *r);

/* Reads a file over what is there. ERR_FILE, ERR_BAD_JSON, ERR_USAGE with a sentence that names file and member. */
enum err recipe_read(struct recipe *r, const char *path, struct err_info *info);

/* Sets one, as text of the command line: "max_depth=8". */
enum err recipe_set(struct recipe *r, const char *assignment, struct err_info *info);

/* Checks the whole and fills in the numbers and `parameters`. Call it once, at the end. */
enum err recipe_finish(struct recipe *r, struct err_info *info);

/* The recipe as a JSON object, with num_boost_round as it was in the end; to be freed with free(). NULL without memory. */
char *recipe_json(const struct recipe *r, int rounds);

#endif
