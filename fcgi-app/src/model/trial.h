/* trial.h - a model file is first loaded and tried in a child process, with limits */
#ifndef FUTAIE_TRIAL_H
#define FUTAIE_TRIAL_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/model.h"
#include "model/proof.h"

/*
 * XGBoost's loader can crash or hang on a file that is damaged or made to hurt, whatever sha256 it has: of 150 mutated UBJSON files 19
 * crashed libxgboost 1.7.4 and one hung it. So a process that must go on tries a new file in a child: PROGRAM trial …, which is this program
 * anew, since a child that is only forked off a process with threads may not call much. It has no descriptors but the standard ones,
 * writes no files, and is limited in memory, processor time and waking time.
 */
#define TRIAL_SELF "/proc/self/exe"

enum {
	TRIAL_ROWS = 1000, /* mixed of the golden ones, predicted in a batch and one by one */
	TRIAL_EXPLAINED_ROWS =
		8, /* of those mixed ones: at most so many have their contributions compared, as many as take XGBoost … */
	TRIAL_EXPLAIN_STEPS = 15000000, /* … so many steps, but one if that takes … */
	TRIAL_EXPLAIN_MOST = 200000000, /* … no more than these */
	TRIAL_SPLIT_ROWS = 4000,        /* of values at which the trees split, and their neighbours */
	TRIAL_CPU_S = 5,                /* processor time of a trial, and a second more for each … */
	TRIAL_BYTES_A_SECOND = 8 << 20  /* … of the model file */
};

/* How far a contribution may be from XGBoost's, over the largest of its row. */
#define TRIAL_EXPLAINED_TOLERANCE 1e-4F

/*
 * Proves STORE/NAME/VERSION in a child: all that model_open() does with XGBoost, and whether the forest gives the same bits for made-up rows, in a
 * batch and one by one, and the same contributions but for roundings; if not, that XGBoost gives the same bits in both ways. `proof` tells the
 * scorer. Where the library is older than the XGBoost that saved the file and cannot
 * read it, the golden rows prove the forest alone, and the proof's reason says so.
 * Fails with the child's code and sentence, and with ERR_BAD_MODEL where it crashed or used up its limits. Any thread.
 */
enum err trial_prove(const char *program, const char *store, const char *name, const char *version, struct proof *proof,
					 struct err_info *info);

/* Asks a child what the model file `path` is; the answer of describe_file() is appended to `json`. */
enum err trial_describe(const char *program, const char *path, struct buf *json, struct err_info *info);

/* Asks a child what the model file answers for the rows of the file `rows`; the answer of describe_rows() is appended to `json`. */
enum err trial_answer(const char *program, const char *path, const char *rows, struct buf *json, struct err_info *info);

/* Has a child read the model file `path`, of XGBoost's old binary format, and appends it as UBJSON: booster_convert(). */
enum err trial_convert(const char *program, const char *path, struct buf *ubjson, struct err_info *info);

/* model_open() behind a trial, with the scorer that it found, unless that is on record (proof.h); with XGBoost where `program` is NULL. */
enum err trial_open(const char *program, const char *store, const char *name, const char *version, struct model **out,
					struct err_info *info);

/*
 * The child's side, for its main thread before anything else: limits that last as long as the process, for a file of so many bytes; it ends
 * with the process `parent`.
 */
void trial_limit(long parent, size_t file_bytes);

/* What trial_prove() has the child do. */
enum err trial_prove_here(const char *store, const char *name, const char *version, struct proof *proof, struct err_info *info);

#endif
