/* proof.h - the record of a version's long proof, beside its manifest */
#ifndef FUTAIE_PROOF_H
#define FUTAIE_PROOF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * VERSION/proof.json, for example {"sha256": "…", "futaie": "0.1.0", "xgboost": "1.7.4", "rows": 1000, "proven": "2026-11-23T10:40:00Z"}:
 * a child process of this futaie has loaded the model file with this libxgboost, within limits, and predicted that many rows with it. A
 * server needs no such child for the same file then. A record of other versions, or none, only means that it is to be tried again.
 */

/* True where the folder's record is of this file, this futaie and this libxgboost. */
bool proof_is_on_record(const char *folder, const char *sha256);

/* Writes the record; ERR_FILE. */
enum err proof_write(const char *folder, const char *sha256, size_t rows, struct err_info *info);

#endif
