/* files.c - whole files, with a maximum, their sha256, and changes that survive a loss of power */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	TREE_DESCRIPTORS = 16, /* open at a time while a tree is removed */
	LOCK_WAIT_S = 60,
	LOCK_STEP_MS = 50,
	SECRET_MODE = 0600,
	SECRET_MODE_MOST = 0640
};

/* Up to the end of the file, which may have grown or shrunk since its size was asked. */
static enum err
read_all(int fd, const char *path, size_t size, struct buf *b, struct err_info *info)
{
	char beyond[1]; /* where the buffer is full, a byte more tells whether the file is too long */

	if (!buf_reserve(b, size))
		return err_set(info, ERR_FILE, "%s: %zu bytes are more than the %zu that are accepted", path, size, b->max);
	for (;;) {
		size_t room = b->cap - b->len;
		ssize_t n = read(fd, room > 0 ? b->data + b->len : beyond, room > 0 ? room : sizeof beyond);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(info, ERR_FILE, "%s: cannot read: %s", path, strerror(errno));
		if (n == 0)
			return ERR_OK;
		if (room > 0)
			b->len += (size_t)n;
		else
			buf_add(b, beyond, sizeof beyond);
		if (!buf_ok(b))
			return err_set(info, ERR_FILE, "%s: grew beyond %zu bytes while it was read", path, b->max);
	}
}

enum err
files_read(const char *path, struct buf *b, struct err_info *info)
{
	struct stat st;
	enum err e;
	/* O_NONBLOCK: a FIFO in place of the file must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_set(info, ERR_FILE, "%s: cannot open: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0)
		e = err_set(info, ERR_FILE, "%s: cannot stat: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		e = err_set(info, ERR_FILE, "%s: not a regular file", path);
	else
		e = read_all(fd, path, (size_t)st.st_size, b, info);
	(void)close(fd);
	return e;
}

void
files_sha256(const void *bytes, size_t len, char out[FILES_SHA256_HEX])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(hash, bytes, len);
	(void)sodium_bin2hex(out, FILES_SHA256_HEX, hash, sizeof hash);
}

bool
files_join(char *out, size_t cap, const char *dir, const char *name)
{
	int n = snprintf(out, cap, "%s/%s", dir, name);

	return n >= 0 && (size_t)n < cap;
}

static bool
write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Gives a file that is being written the mode, owner and group of the one whose place it is to take. */
static bool
keep_standing(int fd, const struct stat *old)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	if ((st.st_uid != old->st_uid || st.st_gid != old->st_gid) && fchown(fd, old->st_uid, old->st_gid) != 0)
		return false;
	return fchmod(fd, old->st_mode & SECRET_MODE_MOST) == 0;
}

/* Writes a new file with that mode; with `old`, which is for secrets, with its owner, group and mode. */
static enum err
write_new(const char *path, mode_t mode, const struct stat *old, const void *bytes, size_t len, struct err_info *info)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0)
		return err_set(info, ERR_FILE, "%s: cannot make it: %s", path, strerror(errno));
	bool standing = old == NULL || keep_standing(fd, old);
	bool written = standing && write_all(fd, bytes, len) && fsync(fd) == 0;
	int error = errno;
	if (close(fd) != 0 && written) {
		written = false;
		error = errno;
	}
	if (written)
		return ERR_OK;
	(void)unlink(path);
	return err_set(info, ERR_FILE, "%s: cannot %s: %s", path,
				   standing ? "write it" : "give it the owner, group and mode of the file that it replaces", strerror(error));
}

enum err
files_write(const char *path, const void *bytes, size_t len, struct err_info *info)
{
	return write_new(path, 0666, NULL, bytes, len, info);
}

enum err
files_sync_folder(const char *dir, struct err_info *info)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool done = fd >= 0 && fsync(fd) == 0;
	int error = errno;

	if (fd >= 0)
		(void)close(fd);
	return done ? ERR_OK : err_set(info, ERR_FILE, "%s: cannot force the folder to the disk: %s", dir, strerror(error));
}

enum err
files_rename(const char *from_dir, const char *from, const char *to_dir, const char *to, struct err_info *info)
{
	char old[PATH_MAX];
	char new[PATH_MAX];

	if (!files_join(old, sizeof old, from_dir, from) || !files_join(new, sizeof new, to_dir, to))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", to_dir);
	if (rename(old, new) != 0)
		return err_set(info, ERR_FILE, "%s: cannot give it the name %s: %s", old, new, strerror(errno));
	struct err_info why;
	enum err e = files_sync_folder(to_dir, &why);
	if (e == ERR_OK && strcmp(from_dir, to_dir) != 0)
		e = files_sync_folder(from_dir, &why);
	return e == ERR_OK ? ERR_OK : err_set(info, e, "%s is changed, but a loss of power may undo it: %s", new, why.text);
}

/* As files_replace() with that mode for a new file; where `secret`, one that takes another's place has its standing. */
static enum err
replace(const char *dir, const char *name, mode_t mode, bool secret, const void *bytes, size_t len, struct err_info *info)
{
	char making[NAME_MAX + 1];
	char path[PATH_MAX];
	char old_path[PATH_MAX];
	struct stat old;

	if ((size_t)snprintf(making, sizeof making, ".%s.new", name) >= sizeof making || !files_join(path, sizeof path, dir, making) ||
		!files_join(old_path, sizeof old_path, dir, name))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", dir);
	(void)unlink(path); /* what a process that was killed may have left */
	bool keep = secret && stat(old_path, &old) == 0;
	enum err e = write_new(path, mode, keep ? &old : NULL, bytes, len, info);
	if (e == ERR_OK && (e = files_rename(dir, making, dir, name, info)) != ERR_OK)
		(void)unlink(path);
	return e;
}

enum err
files_replace(const char *dir, const char *name, const void *bytes, size_t len, struct err_info *info)
{
	return replace(dir, name, 0666, false, bytes, len, info);
}

enum err
files_replace_secret(const char *dir, const char *name, const void *bytes, size_t len, struct err_info *info)
{
	return replace(dir, name, SECRET_MODE, true, bytes, len, info);
}

enum err
files_lock(int fd, const char *path, files_waiting *waiting, struct err_info *info)
{
	const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};
	uint64_t until = clock_now_ns() + LOCK_WAIT_S * 1000000000ULL;

	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(info, ERR_FILE, "%s: cannot lock it: %s", path, strerror(errno));
		if (waiting != NULL)
			waiting(path);
		waiting = NULL;
		if (clock_now_ns() > until)
			return err_set(info, ERR_FILE, "%s: another command has changed it for a minute; try again when it is done", path);
		(void)nanosleep(&step, NULL);
	}
	return ERR_OK;
}

enum err
files_make_folder(const char *dir, const char *name, struct err_info *info)
{
	char path[PATH_MAX];

	if (!files_join(path, sizeof path, dir, name))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", dir);
	if (mkdir(path, 0777) != 0)
		return err_set(info, ERR_FILE, "%s: cannot make the folder: %s", path, strerror(errno));
	return files_sync_folder(dir, info);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path) != 0 && errno != ENOENT ? -1 : 0; /* somebody else may have been faster */
}

enum err
files_remove_tree(const char *path, struct err_info *info)
{
	if (nftw(path, remove_one, TREE_DESCRIPTORS, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		return err_set(info, ERR_FILE, "%s: cannot remove it: %s", path, strerror(errno));
	return ERR_OK;
}
