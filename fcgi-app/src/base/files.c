/* files.c - whole files, with a maximum, and their sha256 */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
