/* mlmodel.c - MLflow's description of a model, the file MLmodel: read */
#include "mlflow/mlmodel.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 16, ENTRIES_MAX = 10000, KEY_PATH_MAX = 512 };

/* Where a value goes, by its path. */
static const struct {
	const char *path;
	size_t offset;
	size_t cap;
} texts[] = {
#define TO(path, field)                                                                                                            \
	{                                                                                                                              \
		path, offsetof(struct mlmodel, field), sizeof(((struct mlmodel *)0)->field)                                                \
	}
	TO("flavors/xgboost/data", data),
	TO("flavors/xgboost/model_class", model_class),
	TO("flavors/xgboost/xgb_version", xgb_version),
	TO("flavors/sklearn/pickled_model", pickled),
	TO("mlflow_version", mlflow_version),
	TO("run_id", run),
	TO("saved_input_example_info/artifact_path", example),
	TO("saved_input_example_info/pandas_orient", example_orient),
#undef TO
};

/* One reading. */
struct reading {
	struct mlmodel *m;
	const char *name;
	struct err_info *info;
	char path[KEY_PATH_MAX];    /* of the value that comes next, '/' between the names; "" where it is of no interest */
	size_t ends[DEPTH_MAX + 1]; /* length of the path of each level */
	bool is_mapping[DEPTH_MAX + 1];
	bool wants_key[DEPTH_MAX + 1];
	int depth;
	size_t entries;
};

static enum err
refuse(const struct reading *in, const char *why)
{
	return err_set(in->info, ERR_REMOTE, "%.200s is not as MLflow writes it: %s", in->name, why);
}

/* The value at in->path. */
static enum err
take_value(struct reading *in, const char *text, size_t len)
{
	if (memchr(text, '\0', len) != NULL)
		return refuse(in, "a value holds a NUL");
	if (strcmp(in->path, "signature/inputs") == 0 && in->m->inputs == NULL) {
		in->m->inputs = strndup(text, len);
		return in->m->inputs != NULL ? ERR_OK : err_set(in->info, ERR_OUT_OF_MEMORY, "no memory for %.200s", in->name);
	}
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (strcmp(in->path, texts[i].path) != 0)
			continue;
		if (len >= texts[i].cap)
			return refuse(in, "a path or a name in it is too long");
		memcpy((char *)in->m + texts[i].offset, text, len);
		((char *)in->m)[texts[i].offset + len] = '\0';
	}
	return ERR_OK;
}

/* A key adds its name to the path of its mapping; one that does not fit leads to nothing of ours. */
static void
take_key(struct reading *in, const char *text, size_t len)
{
	size_t end = in->ends[in->depth];
	bool fits = end + len + 2 < sizeof in->path && memchr(text, '\0', len) == NULL && memchr(text, '/', len) == NULL;

	in->path[end] = '\0';
	if (!fits)
		(void)snprintf(in->path + end, sizeof in->path - end, "?");
	else
		(void)snprintf(in->path + end, sizeof in->path - end, "%s%.*s", end > 0 ? "/" : "", (int)len, text);
	if (in->depth == 2 && strncmp(in->path, "flavors/", 8) == 0) {
		size_t used = strlen(in->m->flavors);
		(void)snprintf(in->m->flavors + used, sizeof in->m->flavors - used, "%s%.64s", used > 0 ? ", " : "", in->path + 8);
		in->m->has_xgboost |= strcmp(in->path, "flavors/xgboost") == 0;
	}
}

static enum err
take_scalar(struct reading *in, const char *text, size_t len)
{
	enum err e = ERR_OK;

	if (++in->entries > ENTRIES_MAX)
		return refuse(in, "it has too many entries");
	if (in->depth == 0)
		return refuse(in, "it is no mapping");
	if (!in->is_mapping[in->depth])
		return ERR_OK; /* an element of a list */
	if (in->wants_key[in->depth])
		take_key(in, text, len);
	else
		e = take_value(in, text, len);
	in->wants_key[in->depth] = !in->wants_key[in->depth];
	return e;
}

static enum err
enter(struct reading *in, bool is_mapping)
{
	if (in->depth == 0 && !is_mapping)
		return refuse(in, "it is no mapping");
	if (in->depth > 0 && in->is_mapping[in->depth] && in->wants_key[in->depth])
		return refuse(in, "a key in it is no text");
	if (in->depth == DEPTH_MAX)
		return refuse(in, "it is nested too deeply");
	in->depth++;
	if (!is_mapping || (in->depth > 1 && !in->is_mapping[in->depth - 1])) /* nothing of ours is in a list */
		(void)snprintf(in->path, sizeof in->path, "?");
	in->ends[in->depth] = in->depth == 1 ? 0 : strlen(in->path);
	in->is_mapping[in->depth] = is_mapping;
	in->wants_key[in->depth] = is_mapping;
	return ++in->entries > ENTRIES_MAX ? refuse(in, "it has too many entries") : ERR_OK;
}

static void
leave(struct reading *in)
{
	in->depth--;
	if (in->depth > 0) {
		in->path[in->ends[in->depth]] = '\0';
		in->wants_key[in->depth] = in->is_mapping[in->depth];
	}
}

static enum err
take_event(struct reading *in, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		if (event->data.scalar.anchor != NULL)
			return refuse(in, "it has an anchor");
		return take_scalar(in, (const char *)event->data.scalar.value, event->data.scalar.length);
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor != NULL ? refuse(in, "it has an anchor") : enter(in, true);
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor != NULL ? refuse(in, "it has an anchor") : enter(in, false);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		leave(in);
		return ERR_OK;
	case YAML_ALIAS_EVENT:
		return refuse(in, "it has an alias");
	default:
		return ERR_OK;
	}
}

static enum err
read_events(struct reading *in, yaml_parser_t *parser)
{
	yaml_event_t event;
	enum err e = ERR_OK;
	bool done = false;
	int documents = 0;

	while (e == ERR_OK && !done) {
		if (!yaml_parser_parse(parser, &event)) {
			char why[160];
			(void)snprintf(why, sizeof why, "line %zu: %.100s", parser->problem_mark.line + 1,
						   parser->problem != NULL ? parser->problem : "it cannot be read");
			return refuse(in, why);
		}
		if (event.type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
			e = refuse(in, "it has several documents");
		if (e == ERR_OK)
			e = take_event(in, &event);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	return e;
}

bool
mlmodel_is_path(const char *path)
{
	if (*path == '\0' || *path == '/')
		return false;
	for (const char *p = path;;) {
		size_t len = strcspn(p, "/");
		if (len == 0 || (len <= 2 && strncmp(p, "..", len) == 0))
			return false;
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)p[i] < ' ' || p[i] == '\\' || p[i] == 0x7F)
				return false;
		if (p[len] == '\0')
			return true;
		p += len + 1;
	}
}

static enum err
check_paths(const struct reading *in)
{
	const char *const paths[] = {in->m->data, in->m->pickled, in->m->example};

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		if (paths[i][0] != '\0' && !mlmodel_is_path(paths[i]))
			return refuse(in, "a path in it leads out of the model's folder");
	return ERR_OK;
}

enum err
mlmodel_init(struct mlmodel *m, const char *name, const char *bytes, size_t len, struct err_info *info)
{
	struct reading in = {.m = m, .name = name, .info = info};
	yaml_parser_t parser;
	enum err e;

	*m = (struct mlmodel){0};
	if (len > MLMODEL_FILE_MAX)
		return refuse(&in, "it is too large");
	if (!yaml_parser_initialize(&parser))
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory to read %.200s", name);
	yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, len);
	e = read_events(&in, &parser);
	yaml_parser_delete(&parser);
	if (e == ERR_OK && in.entries == 0)
		e = refuse(&in, "it is empty");
	if (e == ERR_OK)
		e = check_paths(&in);
	if (e != ERR_OK)
		mlmodel_release(m);
	return e;
}

void
mlmodel_release(struct mlmodel *m)
{
	free(m->inputs);
	*m = (struct mlmodel){0};
}
