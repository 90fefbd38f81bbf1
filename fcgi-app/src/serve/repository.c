/* repository.c - the repository extension of the Open Inference Protocol: what is loaded, and its change; on --admin-socket only
 *
 * Format: docs/protocol/extension_model_repository.md of triton-inference-server/server.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "serve/media.h"

enum { DEPTH_MAX = 16 };

/* Takes the value of a member, or leaves it and says so. */
typedef enum err member_fn(struct request *q, struct json_reader *json, const char *name, void *of, bool *known);

/* The members of an object that may be missing altogether. */
static enum err
read_object(struct request *q, struct json_reader *json, member_fn *take, void *of)
{
	char name[64];
	size_t len;
	bool more;
	bool known;
	enum err e = json_open(json, '{');

	while (e == ERR_OK && (e = json_more(json, '}', &more)) == ERR_OK && more) {
		e = json_name(json, name, sizeof name, &len);
		known = false;
		if (e == ERR_OK)
			e = take(q, json, name, of, &known);
		if (e == ERR_OK && !known)
			e = json_skip(json, DEPTH_MAX);
	}
	return e;
}

/* The body: nothing, or an object. */
static enum err
read_body(struct request *q, member_fn *take, void *of)
{
	static const char *const types[] = {"application/json"};
	struct json_reader json;
	struct err_info why;
	size_t type;
	enum err e = fcgi_io_body(q->io, &q->body, q->server->body_max, &q->error);

	if (e == ERR_OK && q->body.len > 0)
		e = media_choose(q, types, 1, &type);
	if (e != ERR_OK)
		return e;
	json_init(&json, buf_peek(&q->body), q->body.len, &why);
	if (json_peek(&json) == JSON_END)
		return ERR_OK;
	e = read_object(q, &json, take, of);
	if (e == ERR_OK)
		e = json_end(&json);
	if (e != ERR_OK && q->error.code == ERR_OK)
		return err_set(&q->error, e, "%s", why.text);
	return e;
}

static enum err
take_ready(struct request *q, struct json_reader *json, const char *name, void *of, bool *known)
{
	(void)q;
	*known = strcmp(name, "ready") == 0;
	return *known ? json_boolean(json, of) : ERR_OK;
}

/* What Triton can change with a load is the store's here. */
static enum err
take_parameter(struct request *q, struct json_reader *json, const char *name, void *of, bool *known)
{
	(void)json;
	(void)of;
	*known = false;
	if (strcmp(name, "config") != 0 && strncmp(name, "file:", 5) != 0)
		return ERR_OK;
	return err_set(&q->error, ERR_NOT_IMPLEMENTED, "a model is loaded as the store has it; the parameter \"%s\" is not supported",
				   name);
}

static enum err
take_parameters(struct request *q, struct json_reader *json, const char *name, void *of, bool *known)
{
	*known = strcmp(name, "parameters") == 0 && json_peek(json) == JSON_OBJECT;
	return *known ? read_object(q, json, take_parameter, of) : ERR_OK;
}

static const char *
reason(const struct catalog *c, const struct store_model *m, enum catalog_state state, const char *version)
{
	const char *champion = store_alias(m, "champion");

	if (state == CATALOG_UNLOADED)
		return "unloaded";
	if (state == CATALOG_FAILED || (champion != NULL && strcmp(champion, version) == 0 && catalog_problem(c, m)[0] != '\0'))
		return "it cannot be served; the server's log says why";
	return state == CATALOG_LOADED ? "" : "loaded once it is asked for by number";
}

static void
write_versions(const struct catalog *c, const struct store_model *m, bool ready_only, struct buf *out)
{
	char version[MANIFEST_VERSION_MAX];

	for (size_t i = 0; i < m->n_versions && buf_ok(out); i++) {
		(void)snprintf(version, sizeof version, "%ld", m->versions[i]);
		enum catalog_state state = catalog_state(c, m, version);
		if (ready_only && state != CATALOG_LOADED)
			continue;
		buf_printf(out, "%s{\"name\":\"%s\",\"version\":\"%s\",\"state\":\"%s\",\"reason\":\"%s\"}",
				   out->data[out->len - 1] == '[' ? "" : ",", m->name, version, state == CATALOG_LOADED ? "READY" : "UNAVAILABLE",
				   reason(c, m, state, version));
	}
}

enum err
repository_index(struct request *q)
{
	bool ready_only = false;
	enum err e = read_body(q, take_ready, &ready_only);

	if (e != ERR_OK)
		return e;
	const struct catalog *catalog = registry_enter(q->server->registry, q->worker);
	const struct store *store = catalog_store(catalog);
	buf_char(&q->answer, '[');
	for (size_t i = 0; i < store->n_models; i++)
		write_versions(catalog, &store->models[i], ready_only, &q->answer);
	registry_leave(q->server->registry, q->worker);
	buf_str(&q->answer, "]\n");
	return ERR_OK;
}

enum err
repository_load(struct request *q)
{
	enum err e = read_body(q, take_parameters, NULL);

	buf_str(&q->answer, "{}\n");
	return e == ERR_OK ? registry_load_model(q->server->registry, q->model, &q->error) : e;
}

enum err
repository_unload(struct request *q)
{
	enum err e = read_body(q, take_parameters, NULL);

	buf_str(&q->answer, "{}\n");
	return e == ERR_OK ? registry_unload_model(q->server->registry, q->model, &q->error) : e;
}
