/* predict.h - what /predict and /explain have in common: the body and the query */
#ifndef FUTAIE_PREDICT_H
#define FUTAIE_PREDICT_H

#include "serve/score.h"

enum predict_type { PREDICT_JSON, PREDICT_CSV };

/* What the request asks for; the `own` of both protocols. */
struct predict_asked {
	enum predict_type type;
	enum booster_output output;
};

/* The functions of struct score_protocol. */
enum err predict_accept(struct request *q, void *own);
enum err predict_read(struct request *q, struct score *s);

/* Prints a chunk's predictions as elements of an array; for score_run(). */
score_take_fn predict_take;

/* Ends the answer with the model and its version. */
enum err predict_end(struct request *q, const struct score *s);

#endif
