/* commit.c - the git commit that a folder is at, without git */
#include "mlflow/commit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"

enum { LINE_MAX_BYTES = 4096, PACKED_MAX = 64 << 20 };

/* The first line of a small file, without what is behind it. */
static bool
read_line(const char *folder, const char *name, char out[LINE_MAX_BYTES])
{
	char path[PATH_MAX];
	struct buf text;
	struct err_info ignored;

	buf_init(&text, LINE_MAX_BYTES - 1);
	bool found = files_join(path, sizeof path, folder, name) && files_read(path, &text, &ignored) == ERR_OK;
	if (found)
		(void)snprintf(out, LINE_MAX_BYTES, "%.*s", (int)strcspn(buf_peek(&text), "\r\n"), buf_peek(&text));
	buf_release(&text);
	return found;
}

static bool
take_hash(const char *text, size_t len, char out[COMMIT_HEX])
{
	if ((len != 40 && len != 64) || strspn(text, "0123456789abcdef") < len)
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

/* "HASH refs/heads/main" in packed-refs. */
static bool
find_packed(const char *git, const char *ref, char out[COMMIT_HEX])
{
	char path[PATH_MAX];
	struct buf text;
	struct err_info ignored;
	bool found = false;

	buf_init(&text, PACKED_MAX);
	if (files_join(path, sizeof path, git, "packed-refs") && files_read(path, &text, &ignored) == ERR_OK) {
		const char *p = buf_peek(&text);
		while (!found && *p != '\0') {
			size_t len = strcspn(p, "\n");
			size_t hash = strcspn(p, " \n");
			found = len == hash + 1 + strlen(ref) && memcmp(p + hash + 1, ref, strlen(ref)) == 0 && take_hash(p, hash, out);
			p += len + (p[len] == '\n');
		}
	}
	buf_release(&text);
	return found;
}

/* The folder that branches are in: of a work tree, that of the repository it is of. */
static void
find_common(const char *git, char out[PATH_MAX])
{
	char line[LINE_MAX_BYTES];

	(void)snprintf(out, PATH_MAX, "%s", git);
	if (read_line(git, "commondir", line) && (line[0] == '/' ? strlen(line) < PATH_MAX : files_join(out, PATH_MAX, git, line)) &&
		line[0] == '/')
		memcpy(out, line, strlen(line) + 1);
}

static bool
read_head(const char *git, char out[COMMIT_HEX])
{
	char line[LINE_MAX_BYTES];
	char common[PATH_MAX];
	char hash[LINE_MAX_BYTES];

	if (!read_line(git, "HEAD", line))
		return false;
	if (strncmp(line, "ref: ", 5) != 0)
		return take_hash(line, strlen(line), out);
	const char *ref = line + 5;
	if (strncmp(ref, "refs/", 5) != 0 || strstr(ref, "..") != NULL)
		return false;
	find_common(git, common);
	if (read_line(common, ref, hash))
		return take_hash(hash, strlen(hash), out);
	return find_packed(common, ref, out);
}

bool
commit_find(const char *folder, char out[COMMIT_HEX])
{
	char at[PATH_MAX];
	char git[PATH_MAX];
	char line[LINE_MAX_BYTES];
	struct stat st;

	if (realpath(folder, at) == NULL)
		return false;
	for (;;) {
		if (!files_join(git, sizeof git, at, ".git"))
			return false;
		if (stat(git, &st) == 0 && S_ISDIR(st.st_mode))
			return read_head(git, out);
		if (stat(git, &st) == 0 && read_line(at, ".git", line) && strncmp(line, "gitdir: /", 9) == 0)
			return read_head(line + 8, out);
		char *slash = strrchr(at, '/');
		if (slash == NULL || at[1] == '\0')
			return false;
		slash[slash == at] = '\0';
	}
}
