/* keys_edit.c - changes of the keys file: one command at a time, and never half */
#include "serve/keys_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buf.h"

enum { SECRET_BYTES = 32, ID_BYTES = KEYS_ID_CHARS / 2 };

/* The folder and the name of the file that `path` means: a link's target, so that the link stays. */
static enum err
split_path(struct keys_edit *edit, const char *path, struct err_info *info)
{
	char target[PATH_MAX];

	if (realpath(path, target) == NULL) {
		if (errno != ENOENT)
			return err_set(info, ERR_FILE, "%.300s: cannot find it: %s", path, strerror(errno));
		if (strlen(path) >= sizeof target)
			return err_set(info, ERR_FILE, "%.200s: the path is too long", path);
		memcpy(target, path, strlen(path) + 1);
	}
	char *slash = strrchr(target, '/');
	const char *name = slash != NULL ? slash + 1 : target;
	if (*name == '\0' || strlen(name) >= sizeof edit->name)
		return err_set(info, ERR_FILE, "%.200s: expected the name of a file", path);
	memcpy(edit->name, name, strlen(name) + 1);
	if (slash == NULL)
		memcpy(edit->dir, ".", 2);
	else
		(void)snprintf(edit->dir, sizeof edit->dir, "%.*s", slash == target ? 1 : (int)(slash - target), target);
	return ERR_OK;
}

static enum err
read_file(struct keys_edit *edit, const char *path, bool create, struct err_info *info)
{
	if (create && access(path, F_OK) != 0 && errno == ENOENT)
		return ERR_OK;
	return keys_read(path, &edit->keys, info);
}

enum err
keys_edit_init(struct keys_edit *edit, const char *path, bool create, files_waiting *waiting, struct err_info *info)
{
	*edit = (struct keys_edit){.fd = -1};
	enum err e = split_path(edit, path, info);
	if (e != ERR_OK)
		return e;
	edit->fd = open(edit->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (edit->fd < 0)
		return err_set(info, ERR_FILE, "%s: cannot open the folder: %s", edit->dir, strerror(errno));
	e = files_lock(edit->fd, edit->dir, waiting, info);
	if (e == ERR_OK)
		e = read_file(edit, path, create, info);
	if (e != ERR_OK)
		keys_edit_release(edit);
	return e;
}

void
keys_edit_release(struct keys_edit *edit)
{
	keys_release(&edit->keys);
	if (edit->fd >= 0)
		(void)close(edit->fd);
	edit->fd = -1;
}

/* Makes id, text and hash of a key; ids are few enough that one may come twice. */
static enum err
make_key(const struct keys *others, struct key *k, char text[KEYS_TEXT_CHARS + 1], struct err_info *info)
{
	unsigned char bytes[SECRET_BYTES + ID_BYTES];
	char secret[KEYS_SECRET_CHARS + 1];
	enum err e = ERR_OK;

	do {
		if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
			return err_set(info, ERR_FILE, "the kernel gives no random bytes: %s", strerror(errno));
		(void)sodium_bin2hex(k->id, sizeof k->id, bytes + SECRET_BYTES, ID_BYTES);
	} while (keys_find(others, k->id) != NULL);
	(void)sodium_bin2base64(secret, sizeof secret, bytes, SECRET_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	(void)snprintf(text, KEYS_TEXT_CHARS + 1, "futaie_%s_%s", k->id, secret);
	char id[KEYS_ID_CHARS + 1];
	if (!keys_parse(text, KEYS_TEXT_CHARS, id, k->hash))
		e = err_set(info, ERR_INTERNAL, "a key was made that has not the form of one");
	sodium_memzero(bytes, sizeof bytes);
	sodium_memzero(secret, sizeof secret);
	return e;
}

enum err
keys_edit_add(struct keys_edit *edit, struct key *wanted, char text[KEYS_TEXT_CHARS + 1], struct err_info *info)
{
	struct keys *keys = &edit->keys;

	if (keys->n == KEYS_MAX)
		return err_set(info, ERR_FILE, "%s/%s: it has %d keys, the most that are kept; revoke old ones", edit->dir, edit->name,
					   KEYS_MAX);
	struct key *more = realloc(keys->keys, (keys->n + 1) * sizeof *more);
	if (more == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for another key");
	keys->keys = more;
	enum err e = make_key(keys, wanted, text, info);
	if (e == ERR_OK)
		more[keys->n++] = *wanted;
	return e;
}

bool
keys_edit_remove(struct keys_edit *edit, const char *id)
{
	struct keys *keys = &edit->keys;
	const struct key *found = keys_find(keys, id);

	if (found == NULL)
		return false;
	size_t at = (size_t)(found - keys->keys);
	memmove(keys->keys + at, keys->keys + at + 1, (keys->n - at - 1) * sizeof *keys->keys);
	keys->n--;
	return true;
}

enum err
keys_edit_save(const struct keys_edit *edit, struct err_info *info)
{
	struct buf text;

	buf_init(&text, KEYS_FILE_MAX);
	buf_str(&text, "{\"keys\": [\n");
	for (size_t i = 0; i < edit->keys.n; i++) {
		keys_print(&text, &edit->keys.keys[i], true);
		buf_str(&text, i + 1 < edit->keys.n ? ",\n" : "\n");
	}
	buf_str(&text, "]}\n");
	enum err e = buf_ok(&text) ? files_replace_secret(edit->dir, edit->name, text.data, text.len, info)
							   : err_set(info, ERR_OUT_OF_MEMORY, "no memory for the keys file");
	buf_release(&text);
	return e;
}
