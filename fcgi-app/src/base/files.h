/* files.h - whole files, with a maximum, and their sha256 */
#ifndef FUTAIE_FILES_H
#define FUTAIE_FILES_H

#include "base/buf.h"
#include "base/err.h"

enum { FILES_SHA256_HEX = 65 /* 64 hexadecimal digits and NUL */ };

/*
 * Appends the whole regular file `path` to `b`, whose maximum bounds it. ERR_FILE with a sentence where it cannot be read, is not a
 * regular file or is larger than the maximum; `b` then holds nothing of it that matters.
 */
enum err files_read(const char *path, struct buf *b, struct err_info *info);

/* SHA-256 (FIPS 180-4, by libsodium) of `len` bytes as lower-case hexadecimal digits. */
void files_sha256(const void *bytes, size_t len, char out[FILES_SHA256_HEX]);

/* Writes "DIR/NAME" to `out`; false where it does not fit. */
bool files_join(char *out, size_t cap, const char *dir, const char *name);

#endif
