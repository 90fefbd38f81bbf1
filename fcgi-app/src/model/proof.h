/* proof.h - the record of a version's long proof, beside its manifest */
#ifndef FUTAIE_PROOF_H
#define FUTAIE_PROOF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/model.h"

enum { PROOF_REASON_MAX = 256 };

/*
 * VERSION/proof.json, for example {"sha256": "…", "manifest_sha256": "…", "futaie": "0.1.0", "xgboost": "1.7.4", "forest": "3 portable avx2", "scorer": "forest", "reason": "",
 * "rows": 5000, "proven": "2026-11-23T10:40:00Z"}: a child process of this futaie, its forest (FOREST_REVISION) with these instructions, has loaded the model file with this libxgboost, within limits,
 * and predicted that many rows with it; and the forest gave the same bits, or `reason` says why it did not. A server needs no such child for
 * the same files then. A record of other files or versions, or none, only means that it is to be tried again.
 */
struct proof {
	enum model_scorer scorer;
	char reason[PROOF_REASON_MAX]; /* why it is not the forest, or "" */
	size_t rows;
};

/* True where the folder's record is of these files, this futaie, its forest with at least the instructions of this processor, and this libxgboost. */
bool proof_read(struct proof *p, const char *folder, const char *sha256);

/* Writes the record; ERR_FILE. */
enum err proof_write(const struct proof *p, const char *folder, const char *sha256, struct err_info *info);

#endif
