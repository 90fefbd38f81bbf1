/* rest.c - MLflow's tracking server and model registry, through its REST API */
#include "mlflow/rest.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "base/text.h"
#include "mlflow/settings.h"

#define API       "/api/2.0/mlflow/"
#define ARTIFACTS "/api/2.0/mlflow-artifacts/artifacts"
#define PROXIED   "mlflow-artifacts:"

enum {
	ADDRESS_MAX = 8 * 1024,     /* of a call, with its query */
	REQUEST_MAX = 1000 * 1000,  /* bytes that MLflow takes in a call of log-batch */
	CODE_MAX = 64,              /* of MLflow's error codes */
	SLICE_NS = 50 * 1000 * 1000 /* of a wait, between two looks for a stop */
};

struct mlflow {
	struct settings settings;
	struct web *web; /* owned */
	web_stop *stop;
	void *context;
	uint64_t until_ns;   /* until when calls are tried again; 0: for ever */
	uint64_t random;     /* of the jitter */
	char code[CODE_MAX]; /* MLflow's, of the last refusal */
	long status;         /* of the last answer */
	struct web_answer answer;
	struct buf address;
	struct buf body;
};

enum err
mlflow_open(const char *uri, web_stop *stop, void *context, struct mlflow **out, struct err_info *info)
{
	struct mlflow *m = calloc(1, sizeof *m);
	enum err e;

	*out = NULL;
	if (m == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for MLflow");
	m->stop = stop;
	m->context = context;
	m->random = clock_now_ns();
	buf_init(&m->answer.body, MLFLOW_ANSWER_MAX);
	buf_init(&m->address, ADDRESS_MAX);
	buf_init(&m->body, REQUEST_MAX);
	e = settings_init(&m->settings, uri, info);
	m->settings.web.stop = stop;
	m->settings.web.context = context;
	if (e == ERR_OK)
		e = web_open(&m->settings.web, &m->web, info);
	if (e != ERR_OK) {
		mlflow_free(m);
		return e;
	}
	*out = m;
	return ERR_OK;
}

void
mlflow_free(struct mlflow *m)
{
	if (m == NULL)
		return;
	web_free(m->web);
	settings_release(&m->settings);
	buf_release(&m->answer.body);
	buf_release(&m->address);
	buf_release(&m->body);
	free(m);
}

const char *
mlflow_url(const struct mlflow *m)
{
	return m->settings.url;
}

void
mlflow_patience(struct mlflow *m, double seconds)
{
	m->until_ns = clock_now_ns() + (uint64_t)(seconds * 1e9);
}

void
mlflow_hurry(struct mlflow *m, int timeout_s)
{
	struct web *web;
	struct err_info ignored;

	if (m->settings.web.timeout_s <= timeout_s)
		return;
	m->settings.web.timeout_s = timeout_s;
	if (web_open(&m->settings.web, &web, &ignored) != ERR_OK)
		return;
	web_free(m->web);
	m->web = web;
}

static bool
is_stopped(const struct mlflow *m)
{
	return m->stop != NULL && m->stop(m->context);
}

/* Waits before the next try; false where there is to be none. */
static bool
wait_again(struct mlflow *m, int tries)
{
	double seconds = m->settings.backoff_s * (double)(1U << (unsigned)(tries < 10 ? tries - 1 : 9)) +
					 m->settings.jitter_s * random_unit(&m->random);

	if ((double)m->answer.retry_after_s > seconds)
		seconds = (double)m->answer.retry_after_s;
	uint64_t now = clock_now_ns();
	if (tries > m->settings.retries || (m->until_ns > 0 && now >= m->until_ns))
		return false;
	uint64_t until = seconds < 3600 ? now + (uint64_t)(seconds * 1e9) : UINT64_MAX;
	if (m->until_ns > 0 && until > m->until_ns)
		until = m->until_ns;
	for (; clock_now_ns() < until; (void)nanosleep(&(struct timespec){.tv_nsec = SLICE_NS}, NULL))
		if (is_stopped(m))
			return false;
	return !is_stopped(m);
}

static bool
is_trouble(long status)
{
	return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

/* MLflow's error, {"error_code": …, "message": …}; "" for each where the body is something else. */
static void
read_refusal(struct mlflow *m, char *message, size_t cap)
{
	struct err_info ignored;
	cJSON *tree = NULL;

	m->code[0] = '\0';
	message[0] = '\0';
	if (json_document("the answer", buf_peek(&m->answer.body), m->answer.body.len, &tree, &ignored) != ERR_OK)
		return;
	const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "error_code"));
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "message"));
	(void)snprintf(m->code, sizeof m->code, "%s", code != NULL ? code : "");
	if (text != NULL)
		(void)text_quote(text, strlen(text), message, cap);
	cJSON_Delete(tree);
}

/* What the status says, where it is no success; `what` is what was wanted. */
static enum err
judge(struct mlflow *m, const char *what, struct err_info *info)
{
	char message[256];
	long status = m->answer.status;

	m->status = status;
	if (status >= 200 && status < 300)
		return ERR_OK;
	read_refusal(m, message, sizeof message);
	if (status == 401 || status == 403)
		return err_set(
			info, ERR_REMOTE,
			"MLflow at %.120s does not let us %s (status %ld): MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
			"MLFLOW_TRACKING_TOKEN, say who we are",
			m->settings.url, what, status);
	if (status >= 300 && status < 400)
		return err_set(info, ERR_REMOTE,
					   "%.120s answers with a redirect (status %ld), which is not followed: give the address it leads to",
					   m->settings.url, status);
	return err_set(info, is_trouble(status) ? ERR_REMOTE_AWAY : ERR_REMOTE, "MLflow at %.120s: cannot %s: status %ld%s%s%s%s",
				   m->settings.url, what, status, m->code[0] != '\0' ? " " : "", m->code, message[0] != '\0' ? ": " : "", message);
}

/* Calls m->address until there is an answer or no patience; the answer's body is in m->answer. */
static enum err
call(struct mlflow *m, const char *method, const char *what, const char *type, const void *body, size_t len, size_t expected,
	 struct err_info *info)
{
	const struct web_request request = {
		.method = method, .url = buf_peek(&m->address), .type = type, .body = body, .len = len, .expected = expected};
	enum err e;
	int tries = 0;

	if (!buf_ok(&m->address))
		return err_set(info, ERR_REMOTE, "cannot %s: its address would be longer than %d bytes", what, ADDRESS_MAX);
	do {
		m->status = 0;
		e = web_call(m->web, &request, &m->answer, info);
		if (e == ERR_OK)
			e = judge(m, what, info);
		tries++;
	} while (e == ERR_REMOTE_AWAY && wait_again(m, tries));
	return e;
}

/* Begins an address: the server's URL and a part of the API. */
static void
address(struct mlflow *m, const char *api, const char *part)
{
	buf_reset(&m->address);
	buf_str(&m->address, m->settings.url);
	buf_str(&m->address, api);
	buf_str(&m->address, part);
}

static void
query(struct mlflow *m, char separator, const char *name, const char *value)
{
	buf_char(&m->address, separator);
	buf_str(&m->address, name);
	buf_char(&m->address, '=');
	web_escape(&m->address, value, false);
}

/* Begins the body of a call: {"name": "value", … */
static void
field(struct mlflow *m, const char *name, const char *value)
{
	buf_str(&m->body, m->body.len == 0 ? "{\"" : ",\"");
	buf_str(&m->body, name);
	buf_str(&m->body, "\":");
	text_json_string(&m->body, value, strlen(value));
}

static void
begin(struct mlflow *m, const char *part)
{
	address(m, API, part);
	buf_reset(&m->body);
}

/* Makes the call that was begun; `answer` may be NULL. */
static enum err
ask(struct mlflow *m, const char *method, const char *what, cJSON **answer, struct err_info *info)
{
	bool sends = strcmp(method, "GET") != 0;
	struct err_info why;

	if (answer != NULL)
		*answer = NULL;
	if (sends)
		buf_char(&m->body, '}');
	if (!buf_ok(&m->body))
		return err_set(info, ERR_REMOTE, "cannot %s: MLflow takes %d bytes in one call", what, REQUEST_MAX);
	enum err e = call(m, method, what, sends ? "application/json" : NULL, buf_peek(&m->body), m->body.len, 0, info);
	if (e != ERR_OK)
		return e;
	cJSON *tree = NULL;
	if (!m->answer.is_json || json_document("the answer", buf_peek(&m->answer.body), m->answer.body.len, &tree, &why) != ERR_OK ||
		!cJSON_IsObject(tree)) {
		cJSON_Delete(tree);
		return err_set(info, ERR_REMOTE,
					   "what answers at %.150s is no MLflow server: it was asked to %s, and the answer is not MLflow's JSON",
					   m->settings.url, what);
	}
	if (answer != NULL)
		*answer = tree;
	else
		cJSON_Delete(tree);
	return ERR_OK;
}

/* Copies the text at PATH (names separated by '/'); with `needed` its absence is an error. */
static enum err
take(const struct mlflow *m, const cJSON *tree, const char *path, char *out, size_t cap, bool needed, struct err_info *info)
{
	char name[64];

	out[0] = '\0';
	for (const char *p = path; tree != NULL && *p != '\0';) {
		size_t len = strcspn(p, "/");
		(void)snprintf(name, sizeof name, "%.*s", (int)len, p);
		tree = cJSON_GetObjectItemCaseSensitive(tree, name);
		p += len + (p[len] == '/');
	}
	const char *text = cJSON_GetStringValue(tree);
	if (text == NULL && !needed)
		return ERR_OK;
	if (text == NULL || strlen(text) >= cap)
		return err_set(info, ERR_REMOTE, "the answer of MLflow at %.150s has no %s, or one of more than %zu bytes", m->settings.url,
					   path, cap - 1);
	memcpy(out, text, strlen(text) + 1);
	return ERR_OK;
}

/* Makes the call and takes one text from its answer. */
static enum err
ask_text(struct mlflow *m, const char *method, const char *what, const char *path, char *out, size_t cap, struct err_info *info)
{
	cJSON *answer;
	enum err e = ask(m, method, what, &answer, info);

	if (e == ERR_OK)
		e = take(m, answer, path, out, cap, true, info);
	cJSON_Delete(answer);
	return e;
}

enum err
mlflow_server_version(struct mlflow *m, char out[MLFLOW_VERSION_MAX], struct err_info *info)
{
	address(m, "/version", "");
	enum err e = call(m, "GET", "ask its version", NULL, NULL, 0, 0, info);
	if (e != ERR_OK)
		return e;
	const char *text = buf_peek(&m->answer.body);
	size_t len = strspn(text, "0123456789.abcdefghijklmnopqrstuvwxyz+-");
	if (len == 0 || len >= MLFLOW_VERSION_MAX || !isdigit((unsigned char)text[0]) || text[len + strspn(text + len, "\r\n")] != '\0')
		return err_set(info, ERR_REMOTE, "what answers at %.150s is no MLflow server: %.150s/version is no version",
					   m->settings.url, m->settings.url);
	(void)snprintf(out, MLFLOW_VERSION_MAX, "%.*s", (int)len, text);
	return ERR_OK;
}

static enum err
find_experiment(struct mlflow *m, const char *name, char id[MLFLOW_ID_MAX], struct err_info *info)
{
	char stage[32];
	cJSON *answer;

	begin(m, "experiments/get-by-name");
	query(m, '?', "experiment_name", name);
	enum err e = ask(m, "GET", "find the experiment", &answer, info);
	if (e == ERR_OK)
		e = take(m, answer, "experiment/experiment_id", id, MLFLOW_ID_MAX, true, info);
	if (e == ERR_OK)
		e = take(m, answer, "experiment/lifecycle_stage", stage, sizeof stage, false, info);
	if (e == ERR_OK && strcmp(stage, "deleted") == 0)
		e = err_set(info, ERR_REMOTE,
					"the experiment \"%.100s\" of MLflow at %.100s is deleted; mlflow experiments restore --experiment-id %s "
					"brings it back, "
					"or --mlflow-experiment names another",
					name, m->settings.url, id);
	cJSON_Delete(answer);
	return e;
}

enum err
mlflow_experiment(struct mlflow *m, const char *name, char id[MLFLOW_ID_MAX], struct err_info *info)
{
	enum err e = find_experiment(m, name, id, info);

	if (e != ERR_REMOTE || strcmp(m->code, "RESOURCE_DOES_NOT_EXIST") != 0)
		return e;
	begin(m, "experiments/create");
	field(m, "name", name);
	e = ask_text(m, "POST", "make the experiment", "experiment_id", id, MLFLOW_ID_MAX, info);
	if (e == ERR_REMOTE && strcmp(m->code, "RESOURCE_ALREADY_EXISTS") == 0) /* somebody was faster */
		e = find_experiment(m, name, id, info);
	return e;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As much of a text as MLflow takes: whole characters. */
static size_t
cut(const char *text, size_t most)
{
	const char *end = text + strlen(text);
	const char *p = text;

	for (size_t n = 0; p < end && n < most; n++) {
		size_t size = text_utf8(p, end);
		p += size > 0 ? size : 1;
	}
	return (size_t)(p - text);
}

static void
add_pairs(struct buf *out, const char *name, const struct mlflow_pair *pairs, size_t n, size_t most)
{
	buf_printf(out, ",\"%s\":[", name);
	for (size_t i = 0; i < n; i++) {
		buf_str(out, i == 0 ? "{\"key\":" : ",{\"key\":");
		text_json_string(out, pairs[i].key, cut(pairs[i].key, MLFLOW_KEY_MAX));
		buf_str(out, ",\"value\":");
		text_json_string(out, pairs[i].value, cut(pairs[i].value, most));
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

enum err
mlflow_run_begin(struct mlflow *m, const char *experiment, const char *name, const struct mlflow_pair *tags, size_t n_tags,
				 struct mlflow_run *run, struct err_info *info)
{
	cJSON *answer;

	begin(m, "runs/create");
	field(m, "experiment_id", experiment);
	field(m, "run_name", name);
	buf_printf(&m->body, ",\"start_time\":%lld", (long long)now_ms());
	add_pairs(&m->body, "tags", tags, n_tags, MLFLOW_TAG_MAX);
	enum err e = ask(m, "POST", "begin a run", &answer, info);
	if (e == ERR_OK)
		e = take(m, answer, "run/info/run_id", run->id, sizeof run->id, true, info);
	if (e == ERR_OK)
		e = take(m, answer, "run/info/artifact_uri", run->artifacts, sizeof run->artifacts, true, info);
	cJSON_Delete(answer);
	return e;
}

enum err
mlflow_log(struct mlflow *m, const char *run, const struct mlflow_metric *metrics, size_t n_metrics,
		   const struct mlflow_pair *params, size_t n_params, const struct mlflow_pair *tags, size_t n_tags, struct err_info *info)
{
	begin(m, "runs/log-batch");
	field(m, "run_id", run);
	buf_str(&m->body, ",\"metrics\":[");
	for (size_t i = 0; i < n_metrics; i++) {
		buf_str(&m->body, i == 0 ? "{\"key\":" : ",{\"key\":");
		text_json_string(&m->body, metrics[i].key, strlen(metrics[i].key));
		buf_printf(&m->body, ",\"value\":%.17g,\"timestamp\":%lld,\"step\":%ld}", metrics[i].value, (long long)metrics[i].time_ms,
				   metrics[i].step);
	}
	buf_char(&m->body, ']');
	add_pairs(&m->body, "params", params, n_params, MLFLOW_VALUE_MAX);
	add_pairs(&m->body, "tags", tags, n_tags, MLFLOW_TAG_MAX);
	return ask(m, "POST", "log to the run", NULL, info);
}

enum err
mlflow_run_end(struct mlflow *m, const char *run, const char *status, const char *name, struct err_info *info)
{
	begin(m, "runs/update");
	field(m, "run_id", run);
	field(m, "status", status);
	if (name != NULL)
		field(m, "run_name", name);
	buf_printf(&m->body, ",\"end_time\":%lld", (long long)now_ms());
	return ask(m, "POST", "end the run", NULL, info);
}

enum err
mlflow_model_begin(struct mlflow *m, const char *experiment, const char *run, const char *name, struct mlflow_model *model,
				   struct err_info *info)
{
	cJSON *answer;

	*model = (struct mlflow_model){0};
	begin(m, "logged-models");
	field(m, "experiment_id", experiment);
	field(m, "name", name);
	field(m, "source_run_id", run);
	enum err e = ask(m, "POST", "log a model", &answer, info);
	if (e == ERR_REMOTE && (m->status == 404 || m->status == 405) && m->code[0] == '\0')
		return ERR_OK; /* a server of before 3.0 */
	if (e == ERR_OK)
		e = take(m, answer, "model/info/model_id", model->id, sizeof model->id, true, info);
	if (e == ERR_OK)
		e = take(m, answer, "model/info/artifact_uri", model->artifacts, sizeof model->artifacts, true, info);
	cJSON_Delete(answer);
	return e;
}

enum err
mlflow_model_end(struct mlflow *m, const char *run, const struct mlflow_model *model, long step, struct err_info *info)
{
	begin(m, "logged-models/");
	web_escape(&m->address, model->id, false);
	field(m, "model_id", model->id);
	field(m, "status", "LOGGED_MODEL_READY");
	enum err e = ask(m, "PATCH", "make the logged model ready", NULL, info);
	if (e != ERR_OK)
		return e;
	begin(m, "runs/outputs");
	field(m, "run_id", run);
	buf_str(&m->body, ",\"models\":[{\"model_id\":");
	text_json_string(&m->body, model->id, strlen(model->id));
	buf_printf(&m->body, ",\"step\":%ld}]", step);
	return ask(m, "POST", "make the model an output of the run", NULL, info);
}

enum err
mlflow_model_note(struct mlflow *m, const char *run, const char *json, struct err_info *info)
{
	begin(m, "runs/log-model");
	field(m, "run_id", run);
	field(m, "model_json", json);
	return ask(m, "POST", "note the run's model", NULL, info);
}

/* The path that the server's proxy knows `artifacts` by: what follows "mlflow-artifacts:/", or our own address of it. */
static enum err
proxied(const struct mlflow *m, const char *artifacts, const char **path, struct err_info *info)
{
	size_t len = strlen(m->settings.url);
	const char *p = NULL;

	if (strncmp(artifacts, PROXIED, strlen(PROXIED)) == 0) {
		p = artifacts + strlen(PROXIED);
		if (p[0] == '/' && p[1] == '/') { /* with a host, which must be the one that has our credentials */
			const char *host = strstr(m->settings.url, "://") + 3;
			p = strncmp(p + 2, host, strcspn(host, "/")) == 0 ? p + 2 + strcspn(host, "/") : NULL;
		}
	} else if (strncmp(artifacts, m->settings.url, len) == 0 && strncmp(artifacts + len, ARTIFACTS, strlen(ARTIFACTS)) == 0) {
		p = artifacts + len + strlen(ARTIFACTS);
	}
	if (p == NULL || (*p != '/' && *p != '\0') || strstr(p, "/..") != NULL)
		return err_set(info, ERR_REMOTE,
					   "MLflow at %.120s keeps these artifacts at %.150s, past its own proxy, and futaie has no way there; start "
					   "the server with "
					   "--artifacts-destination in place of --default-artifact-root",
					   m->settings.url, artifacts);
	*path = p + strspn(p, "/");
	return ERR_OK;
}

/* The address of a file or a folder of artifacts. */
static enum err
address_file(struct mlflow *m, const char *artifacts, const char *path, struct err_info *info)
{
	const char *root;
	enum err e = proxied(m, artifacts, &root, info);

	if (e != ERR_OK)
		return e;
	address(m, ARTIFACTS, "/");
	web_escape(&m->address, root, true);
	buf_char(&m->address, '/');
	web_escape(&m->address, path, true);
	return ERR_OK;
}

enum err
mlflow_upload(struct mlflow *m, const char *artifacts, const char *path, const void *bytes, size_t len, struct err_info *info)
{
	char what[128];
	enum err e = address_file(m, artifacts, path, info);

	(void)snprintf(what, sizeof what, "upload %.100s", path);
	return e == ERR_OK ? call(m, "PUT", what, "application/octet-stream", bytes, len, 0, info) : e;
}

enum err
mlflow_register(struct mlflow *m, const char *name, const char *source, const char *run, const char *model,
				char version[MLFLOW_VERSION_MAX], struct err_info *info)
{
	begin(m, "registered-models/create");
	field(m, "name", name);
	enum err e = ask(m, "POST", "make the registered model", NULL, info);
	if (e == ERR_REMOTE && strcmp(m->code, "RESOURCE_ALREADY_EXISTS") == 0)
		e = ERR_OK;
	if (e != ERR_OK)
		return e;
	begin(m, "model-versions/create");
	field(m, "name", name);
	field(m, "source", source);
	field(m, "run_id", run);
	if (model[0] != '\0')
		field(m, "model_id", model);
	return ask_text(m, "POST", "register the model", "model_version/version", version, MLFLOW_VERSION_MAX, info);
}

enum err
mlflow_alias(struct mlflow *m, const char *name, const char *alias, const char *version, struct err_info *info)
{
	begin(m, "registered-models/alias");
	field(m, "name", name);
	field(m, "alias", alias);
	field(m, "version", version);
	return ask(m, "POST", "set the alias", NULL, info);
}

enum err
mlflow_find(struct mlflow *m, const char *name, const char *alias, const char *number, struct mlflow_version *v,
			struct err_info *info)
{
	char status[32];
	char what[200];
	cJSON *answer;

	(void)snprintf(what, sizeof what, "find models:/%.100s%s%.60s", name, alias != NULL ? "@" : "/",
				   alias != NULL ? alias : number);
	begin(m, alias != NULL ? "registered-models/alias" : "model-versions/get");
	query(m, '?', "name", name);
	query(m, '&', alias != NULL ? "alias" : "version", alias != NULL ? alias : number);
	enum err e = ask(m, "GET", what, &answer, info);
	if (e == ERR_OK)
		e = take(m, answer, "model_version/name", v->name, sizeof v->name, true, info);
	if (e == ERR_OK)
		e = take(m, answer, "model_version/version", v->version, sizeof v->version, true, info);
	if (e == ERR_OK)
		e = take(m, answer, "model_version/source", v->source, sizeof v->source, false, info);
	if (e == ERR_OK)
		e = take(m, answer, "model_version/run_id", v->run, sizeof v->run, false, info);
	if (e == ERR_OK)
		e = take(m, answer, "model_version/status", status, sizeof status, false, info);
	if (e == ERR_OK && status[0] != '\0' && strcmp(status, "READY") != 0)
		e = err_set(info, ERR_REMOTE_AWAY, "version %s of \"%.100s\" at %.100s is not ready: its status is %s", v->version, name,
					m->settings.url, status);
	cJSON_Delete(answer);
	return e;
}

/* Where a logged model's or a run's artifacts are. */
static enum err
resolve(struct mlflow *m, char artifacts[MLFLOW_URI_MAX], struct err_info *info)
{
	char root[MLFLOW_URI_MAX];
	char id[MLFLOW_ID_MAX];
	bool is_model = strncmp(artifacts, "models:/m-", 10) == 0;
	const char *start = artifacts + (is_model ? 8 : 6);
	size_t len = strcspn(start, "/");

	if (!is_model && strncmp(artifacts, "runs:/", 6) != 0)
		return ERR_OK;
	(void)snprintf(id, sizeof id, "%.*s", (int)(len < sizeof id ? len : sizeof id - 1), start);
	begin(m, is_model ? "logged-models/" : "runs/get");
	if (is_model)
		web_escape(&m->address, id, false);
	else
		query(m, '?', "run_id", id);
	enum err e = ask_text(m, "GET", "find the model's files", is_model ? "model/info/artifact_uri" : "run/info/artifact_uri", root,
						  sizeof root, info);
	if (e != ERR_OK)
		return e;
	const char *rest = start + len;
	if (strlen(root) + strlen(rest) >= MLFLOW_URI_MAX)
		return err_set(info, ERR_REMOTE, "the model's files have too long an address: %.200s", root);
	char rest_copy[MLFLOW_URI_MAX];
	(void)snprintf(rest_copy, sizeof rest_copy, "%s", rest);
	(void)snprintf(artifacts, MLFLOW_URI_MAX, "%s%s", root, rest_copy);
	return ERR_OK;
}

enum err
mlflow_location(struct mlflow *m, const struct mlflow_version *v, char artifacts[MLFLOW_URI_MAX], struct err_info *info)
{
	begin(m, "model-versions/get-download-uri");
	query(m, '?', "name", v->name);
	query(m, '&', "version", v->version);
	enum err e = ask_text(m, "GET", "find the version's files", "artifact_uri", artifacts, MLFLOW_URI_MAX, info);
	return e == ERR_OK ? resolve(m, artifacts, info) : e;
}

/* A server names files within the folder, or with the folder's own path before them. */
static enum err
take_files(const struct mlflow *m, const cJSON *list, struct mlflow_files *files, struct err_info *info)
{
	const cJSON *item;
	size_t n = (size_t)cJSON_GetArraySize(list);

	if (n > MLFLOW_FILES_MAX)
		return err_set(info, ERR_REMOTE, "a folder of artifacts of MLflow at %.150s has %zu files; at most %d are looked at",
					   m->settings.url, n, MLFLOW_FILES_MAX);
	files->of = calloc(n + 1, sizeof *files->of);
	if (files->of == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for a list of files");
	cJSON_ArrayForEach (item, list) {
		struct mlflow_file *f = &files->of[files->n];
		const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "path"));
		const cJSON *size = cJSON_GetObjectItemCaseSensitive(item, "file_size");
		double bytes = cJSON_IsString(size) ? strtod(size->valuestring, NULL) : cJSON_IsNumber(size) ? size->valuedouble : 0;
		if (path == NULL || strlen(path) >= sizeof f->path)
			continue; /* none that we would ask for */
		memcpy(f->path, path, strlen(path) + 1);
		f->size = bytes > 0 && bytes < 1e15 ? (size_t)bytes : 0;
		f->is_folder = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "is_dir"));
		files->n++;
	}
	return ERR_OK;
}

enum err
mlflow_list(struct mlflow *m, const char *artifacts, const char *folder, struct mlflow_files *files, struct err_info *info)
{
	const char *root;
	cJSON *answer;

	*files = (struct mlflow_files){0};
	enum err e = proxied(m, artifacts, &root, info);
	if (e != ERR_OK)
		return e;
	address(m, ARTIFACTS, "?path=");
	buf_reset(&m->body);
	web_escape(&m->address, root, true);
	if (*folder != '\0')
		buf_char(&m->address, '/');
	web_escape(&m->address, folder, true);
	e = ask(m, "GET", "list the model's files", &answer, info);
	if (e == ERR_OK)
		e = take_files(m, cJSON_GetObjectItemCaseSensitive(answer, "files"), files, info);
	cJSON_Delete(answer);
	if (e != ERR_OK)
		mlflow_files_release(files);
	return e;
}

void
mlflow_files_release(struct mlflow_files *files)
{
	free(files->of);
	*files = (struct mlflow_files){0};
}

enum err
mlflow_download(struct mlflow *m, const char *artifacts, const char *path, size_t size, struct buf *out, struct err_info *info)
{
	char what[128];
	struct buf mine = m->answer.body;
	enum err e = address_file(m, artifacts, path, info);

	if (e != ERR_OK)
		return e;
	(void)snprintf(what, sizeof what, "download %.100s", path);
	m->answer.body = *out; /* the bytes go straight to where they are wanted */
	e = call(m, "GET", what, NULL, NULL, 0, size, info);
	*out = m->answer.body;
	m->answer.body = mine;
	return e;
}

enum err
mlflow_run_data(struct mlflow *m, const char *run, cJSON **data, struct err_info *info)
{
	cJSON *answer;

	*data = NULL;
	begin(m, "runs/get");
	query(m, '?', "run_id", run);
	enum err e = ask(m, "GET", "read the run", &answer, info);
	if (e == ERR_OK) {
		cJSON *inner = cJSON_GetObjectItemCaseSensitive(answer, "run");
		*data = cJSON_DetachItemFromObjectCaseSensitive(inner, "data");
	}
	cJSON_Delete(answer);
	return e;
}

const char *
mlflow_key(const char *name, char out[MLFLOW_KEY_MAX + 1])
{
	size_t n = 0;

	for (; *name != '\0' && n + 4 < MLFLOW_KEY_MAX; name++) {
		if (*name == '@') {
			memcpy(out + n, "_at_", 4);
			n += 4;
		} else {
			bool known = isalnum((unsigned char)*name) || strchr("_-./ ", *name) != NULL;
			out[n] = '_';
			if (known)
				out[n] = *name;
			n++;
		}
	}
	out[n] = '\0';
	return out;
}
