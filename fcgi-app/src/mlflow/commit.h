/* commit.h - the git commit that a folder is at, without git */
#ifndef FUTAIE_COMMIT_H
#define FUTAIE_COMMIT_H

#include <stdbool.h>

enum { COMMIT_HEX = 65 /* 40 hexadecimal digits of SHA-1, or 64 of SHA-256, and NUL */ };

/*
 * Looks for .git in `folder` and those above it, and reads HEAD and the branch that it names (gitrepository-layout(5)); work trees, whose .git is a file,
 * too. False where there is none or it cannot be told. Changes that are not committed do not show.
 */
bool commit_find(const char *folder, char out[COMMIT_HEX]);

#endif
