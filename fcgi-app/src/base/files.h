/* files.h - whole files, with a maximum, their sha256, and changes that survive a loss of power */
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

/*
 * Writes a new file and forces it to the disk: what is there under the name later is whole. ERR_FILE where it exists already or cannot be
 * written; nothing of it is left then.
 */
enum err files_write(const char *path, const void *bytes, size_t len, struct err_info *info);

/*
 * Gives the file `name` of the folder `dir` new contents at once: readers, and whoever looks after a loss of power, find the old ones or the
 * new. On ERR_FILE the old ones are there, unless the sentence says that a loss of power may undo the change: then it is made, but could not be
 * forced to the disk. One process at a time, since the file is first written as ".NAME.new".
 */
enum err files_replace(const char *dir, const char *name, const void *bytes, size_t len, struct err_info *info);

/*
 * The same for a file that only some may read: a new one has mode 0600; one that takes another's place has that one's owner, group and mode,
 * less what 0640 does not allow, so that a server of another user can go on reading it. ERR_FILE also where they cannot be kept; the old
 * contents are there then.
 */
enum err files_replace_secret(const char *dir, const char *name, const void *bytes, size_t len, struct err_info *info);

/* Renames and forces both folders to the disk; failures as with files_replace(). A folder may take the place of an empty one. */
enum err files_rename(const char *from_dir, const char *from, const char *to_dir, const char *to, struct err_info *info);

/* Makes a folder with mode 0777 less the umask, and forces the one above it to the disk. */
enum err files_make_folder(const char *dir, const char *name, struct err_info *info);

/* Forces the names in a folder to the disk. */
enum err files_sync_folder(const char *dir, struct err_info *info);

/* Removes a file or a folder with all that is in it; what is not there is fine. */
enum err files_remove_tree(const char *path, struct err_info *info);

/* Called once where a lock is another process's and must be waited for. */
typedef void files_waiting(const char *path);

/*
 * Locks the open file or folder `fd` against other processes that do the same (flock(2)), until it is closed; waits for a minute at most.
 * `path` is for the sentence, `waiting` may be NULL.
 */
enum err files_lock(int fd, const char *path, files_waiting *waiting, struct err_info *info);

/* Writes "DIR/NAME" to `out`; false where it does not fit. */
bool files_join(char *out, size_t cap, const char *dir, const char *name);

#endif
