/* store.c - the folders of the model store */
#include "model/store.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/json.h"
#include "base/text.h"

enum { SETTLED_NS = 20000000 /* several ticks of the kernel's clock */ };

static enum err read_model(struct store_model *m, const char *store, const char *name, struct err_info *info);
static void release_model(struct store_model *m);

bool
store_version_folder(char *out, size_t cap, const char *store, const char *name, const char *version)
{
	int n = snprintf(out, cap, "%s/%s/%s", store, name, version);

	return n >= 0 && (size_t)n < cap;
}

bool
store_is_name(const char *text)
{
	size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return len > 0 && len < MANIFEST_NAME_MAX && text[len] == '\0' && isalnum((unsigned char)text[0]);
}

bool
store_is_version(const char *text)
{
	long long value;

	return text[0] != '0' && text[0] != '-' && text_integer(text, 1, INT_MAX, &value);
}

static bool
is_folder(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return files_join(path, sizeof path, dir, name) && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int
compare_models(const void *a, const void *b)
{
	return strcmp(((const struct store_model *)a)->name, ((const struct store_model *)b)->name);
}

static enum err
add_model(struct store *s, const char *dir, const char *name, struct err_info *info)
{
	if (s->n_models == STORE_MODELS_MAX)
		return err_set(info, ERR_FILE, "%s: more than %d models", dir, STORE_MODELS_MAX);
	struct store_model *grown = realloc(s->models, (s->n_models + 1) * sizeof *grown);
	if (grown == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the list of models");
	s->models = grown;
	grown[s->n_models] = (struct store_model){0};
	struct store_model *m = &grown[s->n_models++];
	struct err_info why;
	enum err e = read_model(m, dir, name, &why);
	if (e == ERR_OUT_OF_MEMORY)
		return err_set(info, e, "%s", why.text);
	if (e != ERR_OK) {
		free(m->aliases);
		m->aliases = NULL;
		m->n_aliases = 0;
		(void)snprintf(m->problem, sizeof m->problem, "%s", why.text);
	}
	return ERR_OK;
}

enum err
store_init(struct store *s, const char *dir, struct err_info *info)
{
	const struct dirent *entry;
	enum err e = ERR_OK;

	*s = (struct store){0};
	DIR *d = opendir(dir);
	if (d == NULL)
		return err_set(info, ERR_FILE, "%s: cannot open the model store: %s; --models DIR names another", dir, strerror(errno));
	while (e == ERR_OK && (entry = readdir(d)) != NULL)
		if (store_is_name(entry->d_name) && is_folder(dir, entry->d_name))
			e = add_model(s, dir, entry->d_name, info);
	(void)closedir(d);
	if (e != ERR_OK)
		store_release(s);
	else if (s->n_models > 0)
		qsort(s->models, s->n_models, sizeof *s->models, compare_models);
	return e;
}

void
store_release(struct store *s)
{
	for (size_t i = 0; i < s->n_models; i++)
		release_model(&s->models[i]);
	free(s->models);
	*s = (struct store){0};
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t
hash(uint64_t state, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		state = (state ^ ((const unsigned char *)bytes)[i]) * 1099511628211U;
	return state;
}

/* The state of one file or folder; `*newest_ns` is raised to its time of change. */
static uint64_t
hash_stat(uint64_t state, const char *path, int64_t *newest_ns)
{
	struct stat st = {0};

	if (stat(path, &st) != 0)
		return state;
	int64_t changed_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
	const int64_t parts[] = {changed_ns, (int64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (int64_t)st.st_ino, st.st_size};
	if (changed_ns > *newest_ns)
		*newest_ns = changed_ns;
	return hash(state, parts, sizeof parts);
}

static uint64_t
hash_model(const char *dir, const char *name, int64_t *newest_ns)
{
	char folder[PATH_MAX];
	char aliases[PATH_MAX];
	uint64_t state = hash(14695981039346656037U, name, strlen(name));

	if (!files_join(folder, sizeof folder, dir, name) || !files_join(aliases, sizeof aliases, folder, "aliases.json"))
		return state;
	return hash_stat(hash_stat(state, folder, newest_ns), aliases, newest_ns);
}

uint64_t
store_stamp(const char *dir)
{
	const struct dirent *entry;
	struct timespec now;
	int64_t newest_ns = 0;
	uint64_t sum = 1;
	DIR *d = opendir(dir);

	if (d == NULL)
		return 0;
	while ((entry = readdir(d)) != NULL)
		if (store_is_name(entry->d_name))
			sum += hash_model(dir, entry->d_name, &newest_ns); /* a sum: the order of names means nothing */
	(void)closedir(d);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	int64_t age_ns = now_ns - newest_ns; /* below zero where a clock was set back, or is another machine's */
	return age_ns > -SETTLED_NS && age_ns < SETTLED_NS ? hash(sum, &now_ns, sizeof now_ns) : sum;
}

const struct store_model *
store_find(const struct store *s, const char *name)
{
	for (size_t i = 0; i < s->n_models; i++)
		if (strcmp(s->models[i].name, name) == 0)
			return &s->models[i];
	return NULL;
}

const char *
store_alias(const struct store_model *m, const char *alias)
{
	for (size_t i = 0; i < m->n_aliases; i++)
		if (strcmp(m->aliases[i].name, alias) == 0)
			return m->aliases[i].version;
	return NULL;
}

bool
store_has_version(const struct store_model *m, const char *version)
{
	long long value;

	if (!store_is_version(version) || !text_integer(version, 1, INT_MAX, &value))
		return false;
	for (size_t i = 0; i < m->n_versions; i++)
		if (m->versions[i] == value)
			return true;
	return false;
}

static void
release_model(struct store_model *m)
{
	free(m->versions);
	free(m->aliases);
	*m = (struct store_model){0};
}

static int
compare_versions(const void *a, const void *b)
{
	long x = *(const long *)a;
	long y = *(const long *)b;

	return (x > y) - (x < y);
}

static enum err
read_versions(struct store_model *m, const char *dir, struct err_info *info)
{
	const struct dirent *entry;
	enum err e = ERR_OK;
	DIR *d = opendir(dir);

	if (d == NULL)
		return err_set(info, ERR_FILE, "%s: cannot open: %s", dir, strerror(errno));
	while (e == ERR_OK && (entry = readdir(d)) != NULL) {
		if (!store_is_version(entry->d_name) || !is_folder(dir, entry->d_name))
			continue;
		long *grown = realloc(m->versions, (m->n_versions + 1) * sizeof *grown);
		if (grown == NULL) {
			e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the versions of %s", m->name);
		} else {
			m->versions = grown;
			grown[m->n_versions++] = strtol(entry->d_name, NULL, 10);
			if (m->n_versions > STORE_VERSIONS_MAX)
				e = err_set(info, ERR_FILE, "%s: more than %d versions", dir, STORE_VERSIONS_MAX);
		}
	}
	(void)closedir(d);
	if (e == ERR_OK && m->n_versions > 0)
		qsort(m->versions, m->n_versions, sizeof *m->versions, compare_versions);
	return e;
}

/* The members of aliases.json, whose name is `path` in sentences. */
static enum err
take_aliases(struct store_model *m, const cJSON *tree, const char *path, struct err_info *info)
{
	const cJSON *item;
	int n = cJSON_GetArraySize(tree);

	if (!cJSON_IsObject(tree) || n > STORE_ALIASES_MAX)
		return err_set(info, ERR_BAD_MANIFEST, "%s: expected an object of at most %d aliases", path, STORE_ALIASES_MAX);
	m->aliases = calloc((size_t)n + 1, sizeof *m->aliases);
	if (m->aliases == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the aliases of %s", m->name);
	cJSON_ArrayForEach (item, tree) {
		if (!store_is_name(item->string) || !cJSON_IsString(item) || !store_is_version(item->valuestring))
			return err_set(info, ERR_BAD_MANIFEST, "%s: \"%.64s\" must name a version as a string, \"1\" for example", path,
						   item->string);
		struct store_alias *alias = &m->aliases[m->n_aliases++];
		(void)snprintf(alias->name, sizeof alias->name, "%s", item->string);
		(void)snprintf(alias->version, sizeof alias->version, "%s", item->valuestring);
	}
	return ERR_OK;
}

static enum err
read_aliases(struct store_model *m, const char *dir, struct err_info *info)
{
	char path[PATH_MAX];
	struct stat st;
	struct buf text;
	cJSON *tree = NULL;

	if (!files_join(path, sizeof path, dir, "aliases.json"))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", dir);
	if (lstat(path, &st) != 0 && errno == ENOENT) /* a dangling link is there, and broken */
		return ERR_OK;
	buf_init(&text, STORE_ALIASES_BYTES);
	enum err e = files_read(path, &text, info);
	if (e == ERR_OK)
		e = json_document(path, buf_peek(&text), text.len, &tree, info);
	if (e == ERR_OK)
		e = take_aliases(m, tree, path, info);
	cJSON_Delete(tree);
	buf_release(&text);
	return e;
}

static enum err
read_model(struct store_model *m, const char *store, const char *name, struct err_info *info)
{
	char dir[PATH_MAX];

	(void)snprintf(m->name, sizeof m->name, "%s", name);
	if (!files_join(dir, sizeof dir, store, name))
		return err_set(info, ERR_FILE, "%.200s: the path is too long", store);
	enum err e = read_versions(m, dir, info);
	if (e != ERR_OK) {
		free(m->versions);
		m->versions = NULL;
		m->n_versions = 0;
		return e;
	}
	return read_aliases(m, dir, info);
}
