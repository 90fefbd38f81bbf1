/* folder.h - temporary folders, and model stores made of the fixtures */
#ifndef FUTAIE_FOLDER_H
#define FUTAIE_FOLDER_H

#include <cjson/cJSON.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/files.h"
#include "unit.h"

#define FOLDER_FIXTURES "tests/data/fixtures"
#define FOLDER_EXPECTED "tests/data/expected"

/* The folder of the test that runs: made by folder_setup(), removed with all that is in it by folder_teardown(). */
static char folder[256];

static inline int
folder_setup(void **state)
{
	const char *parent = getenv("TMPDIR");

	(void)state;
	(void)snprintf(folder, sizeof folder, "%s/futaie-unit-XXXXXX", parent != NULL && *parent != '\0' ? parent : "/tmp");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static inline int
folder_remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static inline int
folder_remove(const char *path)
{
	return nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline int
folder_teardown(void **state)
{
	(void)state;
	return folder_remove(folder);
}

/* "FOLDER/NAME" in one of a few buffers that are used in turn. */
static inline const char *
folder_path(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, PATH_MAX, "%s/%s", folder, name);
	return path;
}

static inline void
folder_write_bytes(const char *path, const void *bytes, size_t len)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL)
		fail_msg("cannot write %s", path);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void
folder_write(const char *path, const char *text)
{
	folder_write_bytes(path, text, strlen(text));
}

/* A whole file, NUL-terminated; the caller frees it. */
static inline char *
folder_read(const char *path, size_t *len)
{
	struct buf b;
	struct err_info info;

	buf_init(&b, (size_t)64 * 1024 * 1024);
	check_err(path, files_read(path, &b, &info), ERR_OK, &info);
	(void)buf_peek(&b);
	if (len != NULL)
		*len = b.len;
	return b.data;
}

static inline cJSON *
folder_read_json(const char *path)
{
	char *text = folder_read(path, NULL);
	cJSON *tree = cJSON_Parse(text);

	if (tree == NULL)
		fail_msg("%s is not JSON", path);
	free(text);
	return tree;
}

static inline void
folder_write_json(const char *path, const cJSON *tree)
{
	char *text = cJSON_Print(tree);

	assert_non_null(text);
	folder_write(path, text);
	cJSON_free(text);
}

static inline void
folder_set_text(cJSON *object, const char *name, const char *value)
{
	assert_true(cJSON_ReplaceItemInObjectCaseSensitive(object, name, cJSON_CreateString(value)));
}

/* Makes FOLDER/NAME/VERSION, a version that can be served, of a fixture. */
static inline void
folder_add_version(const char *fixture, const char *name, const char *version)
{
	char from[128];
	char to[128];
	size_t len;

	(void)mkdir(folder_path(name), 0755);
	(void)snprintf(to, sizeof to, "%s/%s", name, version);
	assert_int_equal(mkdir(folder_path(to), 0755), 0);
	(void)snprintf(from, sizeof from, FOLDER_FIXTURES "/%s/1/model.ubj", fixture);
	(void)snprintf(to, sizeof to, "%s/%s/model.ubj", name, version);
	char *bytes = folder_read(from, &len);
	folder_write_bytes(folder_path(to), bytes, len);
	free(bytes);
	(void)snprintf(from, sizeof from, FOLDER_FIXTURES "/%s/1/manifest.json", fixture);
	(void)snprintf(to, sizeof to, "%s/%s/manifest.json", name, version);
	cJSON *manifest = folder_read_json(from);
	folder_set_text(manifest, "name", name);
	folder_set_text(manifest, "version", version);
	folder_write_json(folder_path(to), manifest);
	cJSON_Delete(manifest);
}

/* Replaces FOLDER/NAME/aliases.json by {"champion": VERSION}. */
static inline void
folder_set_champion(const char *name, const char *version)
{
	char path[128];
	char text[64];

	(void)snprintf(path, sizeof path, "%s/aliases.json", name);
	(void)snprintf(text, sizeof text, "{\"champion\": \"%s\"}\n", version);
	folder_write(folder_path(path), text);
}

/* Changes one byte in the middle of FOLDER/NAME. */
static inline void
folder_flip_byte(const char *name)
{
	size_t len;
	const char *path = folder_path(name);
	char *bytes = folder_read(path, &len);

	bytes[len / 2] = (char)(bytes[len / 2] ^ 1);
	folder_write_bytes(path, bytes, len);
	free(bytes);
}

#endif
