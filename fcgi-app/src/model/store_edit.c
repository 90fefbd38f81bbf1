/* store_edit.c - changes of the model store: one command at a time, and never half */
#include "model/store_edit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"

enum { NUMBER_FILE_MAX = 32 };

/* What lies in a store and belongs to no model: versions that are being added or removed. */
#define NEW_PREFIX ".futaie-new-"
#define OLD_PREFIX ".futaie-old-"

/* The number of the newest version that was ever removed, so that it is not used again. */
#define NUMBER_FILE "last_version"

/* With the lock, whatever is half made is of a command that was killed. */
static void
remove_leftovers(const struct store_edit *edit)
{
	const struct dirent *entry;
	char path[PATH_MAX];
	DIR *d = opendir(edit->dir);

	while (d != NULL && (entry = readdir(d)) != NULL)
		if ((strncmp(entry->d_name, NEW_PREFIX, strlen(NEW_PREFIX)) == 0 ||
			 strncmp(entry->d_name, OLD_PREFIX, strlen(OLD_PREFIX)) == 0) &&
			files_join(path, sizeof path, edit->dir, entry->d_name))
			(void)files_remove_tree(path, NULL); /* in a store that cannot be written, the change itself will say so */
	if (d != NULL)
		(void)closedir(d);
}

/* Where it is not there yet. */
static enum err
make_store(const char *dir, struct err_info *info)
{
	char above[PATH_MAX];

	if (mkdir(dir, 0777) == 0)
		return files_join(above, sizeof above, dir, "..") ? files_sync_folder(above, info) : ERR_OK;
	if (errno == EEXIST)
		return ERR_OK;
	return err_set(info, ERR_FILE, "%s: cannot make the model store: %s", dir, strerror(errno));
}

enum err
store_edit_init(struct store_edit *edit, const char *dir, bool create, files_waiting *waiting, struct err_info *info)
{
	enum err e;

	*edit = (struct store_edit){.fd = -1};
	if (strlen(dir) >= sizeof edit->dir)
		return err_set(info, ERR_FILE, "%.200s: the path is too long", dir);
	memcpy(edit->dir, dir, strlen(dir) + 1);
	if (create && (e = make_store(dir, info)) != ERR_OK)
		return e;
	edit->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (edit->fd < 0)
		return err_set(info, ERR_FILE, "%s: cannot open the model store: %s; --models DIR names another", dir, strerror(errno));
	e = files_lock(edit->fd, edit->dir, waiting, info);
	if (e == ERR_OK)
		remove_leftovers(edit);
	else
		store_edit_release(edit);
	return e;
}

void
store_edit_release(struct store_edit *edit)
{
	if (edit->fd < 0)
		return;
	if (edit->staging[0] != '\0')
		(void)files_remove_tree(edit->staging, NULL);
	(void)close(edit->fd);
	*edit = (struct store_edit){.fd = -1};
}

/* The number in MODEL/last_version, 0 where there is no such file. One that cannot be read must not let a number be used again. */
static enum err
read_number(const char *folder, long *number, struct err_info *info)
{
	char path[PATH_MAX];
	struct buf text;
	long long value = 0;

	*number = 0;
	if (!files_join(path, sizeof path, folder, NUMBER_FILE))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", folder);
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return ERR_OK;
	buf_init(&text, NUMBER_FILE_MAX);
	enum err e = files_read(path, &text, info);
	if (e == ERR_OK && text.len > 0 && text.data[text.len - 1] == '\n')
		text.len--;
	if (e == ERR_OK && !text_integer(buf_peek(&text), 1, INT_MAX, &value))
		e = err_set(info, ERR_FILE, "%s: expected the number of the newest version that was removed; write it there", path);
	buf_release(&text);
	*number = (long)value;
	return e;
}

/* The next version of a model: above all that are there, and all that ever were. */
static enum err
next_version(struct store_edit *edit, const struct store *store, struct err_info *info)
{
	char folder[PATH_MAX];
	const struct store_model *m = store_find(store, edit->name);
	long last = 0;

	edit->is_new_model = m == NULL;
	if (m != NULL && m->problem[0] != '\0')
		return err_set(info, ERR_FILE, "model %s cannot take another version: %s", edit->name, m->problem);
	if (m != NULL && m->n_versions == STORE_VERSIONS_MAX)
		return err_set(info, ERR_FILE, "model %s has %d versions, the most that are kept; remove old ones", edit->name,
					   STORE_VERSIONS_MAX);
	if (m == NULL && store->n_models == STORE_MODELS_MAX)
		return err_set(info, ERR_FILE, "%s holds %d models, the most that are kept", edit->dir, STORE_MODELS_MAX);
	if (m != NULL) {
		if (!files_join(folder, sizeof folder, edit->dir, edit->name))
			return err_set(info, ERR_FILE, "%.200s: the path is too long", edit->dir);
		enum err e = read_number(folder, &last, info);
		if (e != ERR_OK)
			return e;
	}
	if (m != NULL && m->n_versions > 0 && m->versions[m->n_versions - 1] > last)
		last = m->versions[m->n_versions - 1];
	if (last == INT_MAX)
		return err_set(info, ERR_FILE, "model %s has used up the version numbers", edit->name);
	char path[PATH_MAX];
	struct stat st;
	do /* something else may stand there under a number */
		(void)snprintf(edit->version, sizeof edit->version, "%d", (int)++last);
	while (m != NULL && last < INT_MAX && files_join(path, sizeof path, folder, edit->version) && lstat(path, &st) == 0);
	return ERR_OK;
}

enum err
store_edit_begin(struct store_edit *edit, const char *name, char folder[PATH_MAX], struct err_info *info)
{
	struct store store;
	char model[PATH_MAX];
	enum err e = store_init(&store, edit->dir, info);

	if (e != ERR_OK)
		return e;
	(void)snprintf(edit->name, sizeof edit->name, "%s", name);
	e = next_version(edit, &store, info);
	store_release(&store);
	if (e != ERR_OK)
		return e;
	char staging[PATH_MAX];
	if (!files_join(staging, sizeof staging, edit->dir, NEW_PREFIX "XXXXXX"))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", edit->dir);
	if (mkdtemp(staging) == NULL)
		return err_set(info, ERR_FILE, "%s: cannot make a folder in the model store: %s", edit->dir, strerror(errno));
	memcpy(edit->staging, staging, sizeof staging);
	if (!files_join(model, sizeof model, staging, name) || !files_join(folder, PATH_MAX, model, edit->version))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", edit->dir);
	e = files_make_folder(staging, name, info);
	return e == ERR_OK ? files_make_folder(model, edit->version, info) : e;
}

enum err
store_edit_add(struct store_edit *edit, struct err_info *info)
{
	char from[PATH_MAX];
	char to[PATH_MAX];
	enum err e;

	if (!files_join(from, sizeof from, edit->staging, edit->name) || !files_join(to, sizeof to, edit->dir, edit->name))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", edit->dir);
	if (edit->is_new_model)
		e = files_rename(edit->staging, edit->name, edit->dir, edit->name, info);
	else
		e = files_rename(from, edit->version, to, edit->version, info);
	(void)files_remove_tree(edit->staging, NULL);
	edit->staging[0] = '\0';
	return e;
}

enum err
store_edit_aliases(const struct store_edit *edit, const char *name, const struct store_alias *aliases, size_t n,
				   struct err_info *info)
{
	char folder[PATH_MAX];
	struct buf text;

	if (!files_join(folder, sizeof folder, edit->dir, name))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", edit->dir);
	buf_init(&text, STORE_ALIASES_BYTES);
	buf_char(&text, '{');
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s\"%s\": \"%s\"", i == 0 ? "" : ", ", aliases[i].name, aliases[i].version);
	buf_str(&text, "}\n");
	enum err e = buf_ok(&text) ? files_replace(folder, "aliases.json", text.data, text.len, info)
							   : err_set(info, ERR_OUT_OF_MEMORY, "no memory for the aliases of %s", name);
	buf_release(&text);
	return e;
}

/* Where the newest version goes, its number must be remembered first. */
static enum err
remember_number(const char *folder, const struct store_model *m, const char *version, struct err_info *info)
{
	long number = strtol(version, NULL, 10);
	char text[NUMBER_FILE_MAX];

	long last;
	enum err e = read_number(folder, &last, info);

	if (e != ERR_OK || m->versions[m->n_versions - 1] != number || last >= number)
		return e;
	int len = snprintf(text, sizeof text, "%ld\n", number);
	return files_replace(folder, NUMBER_FILE, text, (size_t)len, info);
}

enum err
store_edit_remove(const struct store_edit *edit, const struct store_model *m, const char *version, struct err_info *info)
{
	char folder[PATH_MAX];
	char removed[PATH_MAX];
	char name[NAME_MAX + 1];

	(void)snprintf(name, sizeof name, OLD_PREFIX "%s-%s", m->name, version);
	if (!files_join(folder, sizeof folder, edit->dir, m->name) || !files_join(removed, sizeof removed, edit->dir, name))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", edit->dir);
	enum err e = remember_number(folder, m, version, info);
	if (e == ERR_OK)
		e = files_rename(folder, version, edit->dir, name, info);
	if (e == ERR_OK)
		(void)files_remove_tree(removed, NULL); /* else the next command removes it */
	return e;
}
