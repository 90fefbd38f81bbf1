/* router.c - from a request's method and path to its handler, and its answer back to the peer */
#include "serve/router.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "serve/mlflow.h"
#include "serve/score.h"

enum {
	ANSWER_MAX = 512 * 1024 * 1024,
	KEEP_BYTES = 4 * 1024 * 1024, /* of each buffer, between requests */
	HEAD_MAX = 4096,
	LOG_KEPT_NS = 50 * 1000 * 1000, /* how long a line of the log is kept at most before the next request */
	ID_DIGITS = 16,
	BODY_SLACK = 64 * 1024 /* over the largest body, so that a larger one shows itself */
};

struct route {
	const char *method;  /* "GET" answers HEAD too */
	const char *pattern; /* {name} and {version} stand for one segment */
	request_handler *handler;
	enum request_scope scope;
	enum request_shape shape;
};

static const struct route routes[] = {
	{"POST", "/predict", predict_handle, REQUEST_PREDICT, REQUEST_OWN},
	{"POST", "/models/{name}/predict", predict_handle, REQUEST_PREDICT, REQUEST_OWN},
	{"POST", "/models/{name}/versions/{version}/predict", predict_handle, REQUEST_PREDICT, REQUEST_OWN},
	{"POST", "/explain", explain_handle, REQUEST_PREDICT, REQUEST_OWN},
	{"POST", "/models/{name}/explain", explain_handle, REQUEST_PREDICT, REQUEST_OWN},
	{"POST", "/models/{name}/versions/{version}/explain", explain_handle, REQUEST_PREDICT, REQUEST_OWN},
	{"POST", "/feedback", feedback_handle, REQUEST_CLIENT, REQUEST_OWN},
	{"GET", "/models", status_models, REQUEST_CLIENT, REQUEST_OWN},
	{"GET", "/models/{name}", status_model, REQUEST_CLIENT, REQUEST_OWN},
	{"GET", "/models/{name}/versions/{version}", status_model_version, REQUEST_CLIENT, REQUEST_OWN},
	{"GET", "/healthz", status_healthz, REQUEST_PUBLIC, REQUEST_OWN},
	{"GET", "/readyz", status_readyz, REQUEST_PUBLIC, REQUEST_OWN},
	{"GET", "/openapi.json", status_openapi, REQUEST_PUBLIC, REQUEST_OWN},
	{"GET", "/version", status_version, REQUEST_PUBLIC, REQUEST_OWN},
	{"GET", "/status", status_hour, REQUEST_CLIENT, REQUEST_OWN},
	{"GET", "/metrics", status_metrics, REQUEST_METRICS, REQUEST_OWN},
	{"GET", "/v2", inference_server, REQUEST_PUBLIC, REQUEST_INFERENCE},
	{"GET", "/v2/health/live", inference_live, REQUEST_PUBLIC, REQUEST_INFERENCE},
	{"GET", "/v2/health/ready", inference_ready, REQUEST_PUBLIC, REQUEST_INFERENCE},
	{"GET", "/v2/models/stats", statistics_handle, REQUEST_CLIENT, REQUEST_INFERENCE},
	{"GET", "/v2/models/{name}", inference_model, REQUEST_CLIENT, REQUEST_INFERENCE},
	{"GET", "/v2/models/{name}/ready", inference_model_ready, REQUEST_CLIENT, REQUEST_INFERENCE},
	{"GET", "/v2/models/{name}/stats", statistics_handle, REQUEST_CLIENT, REQUEST_INFERENCE},
	{"POST", "/v2/models/{name}/infer", inference_infer, REQUEST_PREDICT, REQUEST_INFERENCE},
	{"GET", "/v2/models/{name}/versions/{version}", inference_model, REQUEST_CLIENT, REQUEST_INFERENCE},
	{"GET", "/v2/models/{name}/versions/{version}/ready", inference_model_ready, REQUEST_CLIENT, REQUEST_INFERENCE},
	{"GET", "/v2/models/{name}/versions/{version}/stats", statistics_handle, REQUEST_CLIENT, REQUEST_INFERENCE},
	{"POST", "/v2/models/{name}/versions/{version}/infer", inference_infer, REQUEST_PREDICT, REQUEST_INFERENCE},
	{"POST", "/v2/repository/index", repository_index, REQUEST_LOCAL, REQUEST_INFERENCE},
	{"POST", "/v2/repository/models/{name}/load", repository_load, REQUEST_LOCAL, REQUEST_INFERENCE},
	{"POST", "/v2/repository/models/{name}/unload", repository_unload, REQUEST_LOCAL, REQUEST_INFERENCE},
	{"POST", "/invocations", mlflow_invocations, REQUEST_PREDICT, REQUEST_MLFLOW},
	{"GET", "/ping", mlflow_ping, REQUEST_PUBLIC, REQUEST_MLFLOW},
	{"GET", "/health", mlflow_ping, REQUEST_PUBLIC, REQUEST_MLFLOW},
};

enum { N_ROUTES = sizeof routes / sizeof routes[0] };

static enum err read_path(struct request *q);
static const struct route *find_route(struct request *q, const char *method);
static enum err pass_gate(struct request *q, const struct route *route, uint64_t now_ns);
static void make_id(struct request *q);
static void write_error(struct request *q);
static void write_answer(struct request *q, bool with_body);
static void log_request(struct request *q, const char *method, uint64_t duration_ns);
static void keep_line(struct request *q, uint64_t start_ns);

size_t
router_count(void)
{
	return N_ROUTES + 1;
}

const char *
router_name(size_t route)
{
	return route < N_ROUTES ? routes[route].pattern : "other";
}

const char *
router_method(size_t route)
{
	return route < N_ROUTES ? routes[route].method : "";
}

bool
router_is_local(size_t route)
{
	return route < N_ROUTES && routes[route].scope == REQUEST_LOCAL;
}

bool
router_request_init(struct request *q, const struct server *server, size_t worker, struct fcgi_io *io)
{
	*q = (struct request){.server = server, .worker = worker, .io = io};
	buf_init(&q->body, server->body_max + BODY_SLACK);
	rows_init(&q->rows, server->body_max, server->rows_max);
	tensors_init(&q->tensors);
	buf_init(&q->outputs, ANSWER_MAX);
	buf_init(&q->answer, ANSWER_MAX);
	buf_init(&q->head, HEAD_MAX);
	log_line_init(&q->line);
	buf_init(&q->kept, LOG_KEPT_MAX);
	return booster_caller_init(&q->caller, NULL) == ERR_OK &&
		   getrandom(&q->id_state, sizeof q->id_state, 0) == (ssize_t)sizeof q->id_state;
}

void
router_request_release(struct request *q)
{
	buf_release(&q->body);
	rows_release(&q->rows);
	tensors_release(&q->tensors);
	buf_release(&q->outputs);
	booster_caller_release(&q->caller);
	buf_release(&q->answer);
	buf_release(&q->head);
	router_write_log(q);
	buf_release(&q->line);
	buf_release(&q->kept);
}

/* Empties the buffers, and gives back what an unusually large request took: this worker may not be needed for hours. */
static void
give_back(struct request *q)
{
	buf_shrink(&q->body, KEEP_BYTES);
	rows_shrink(&q->rows, KEEP_BYTES);
	tensors_shrink(&q->tensors, KEEP_BYTES);
	buf_shrink(&q->outputs, KEEP_BYTES);
	buf_shrink(&q->answer, KEEP_BYTES);
	buf_reset(&q->head);
}

static void
reset(struct request *q)
{
	q->query = "";
	q->path[0] = q->model[0] = q->version[0] = q->served_model[0] = q->served_version[0] = '\0';
	q->error = (struct err_info){.row = ERR_NO_ROW};
	q->content_type = "application/json";
	q->allow = NULL;
	q->shape = REQUEST_OWN;
	q->json_len = 0;
	q->gate = (struct gate_result){0};
	q->n_rows = 0;
}

void
router_serve(struct request *q)
{
	uint64_t start = clock_now_ns();
	const char *method = fcgi_io_param(q->io, "REQUEST_METHOD");
	const struct route *route = NULL;

	if (q->kept.len > 0 && start - q->kept_since_ns > LOG_KEPT_NS)
		router_write_log(q);
	reset(q);
	metrics_request_begin(q->server->metrics, q->worker);
	make_id(q);
	enum err e = read_path(q);
	if (e == ERR_OK)
		route = find_route(q, strcmp(method, "HEAD") == 0 ? "GET" : method);
	if (route == NULL)
		e = q->error.code;
	if (q->server->gate != NULL && (route == NULL || route->scope != REQUEST_PUBLIC))
		e = pass_gate(q, route, start);
	if (route != NULL && e == ERR_OK)
		e = route->handler(q);
	if (e == ERR_OK && !buf_ok(&q->answer))
		e = err_set(&q->error, ERR_OUT_OF_MEMORY, "no memory for the answer; try again later");
	if (e != ERR_OK)
		write_error(q);
	else
		q->error.code = ERR_OK; /* also where a handler met a failure and mended it */
	uint64_t duration = clock_now_ns() - start;
	metrics_request_end(q->server->metrics, q->worker, route != NULL ? (size_t)(route - routes) : N_ROUTES, duration);
	if (q->error.code != ERR_OK)
		metrics_rejected(q->server->metrics, q->worker, q->error.code);
	write_answer(q, strcmp(method, "HEAD") != 0);
	log_request(q, method, duration); /* the parameters die with the request, so before its end */
	fcgi_io_finish(q->io);
	if (q->server->gate != NULL)
		gate_leave(q->server->gate, q->worker);
	keep_line(q, start);
	give_back(q);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Splits REQUEST_URI into the decoded path and the query. A path that cannot be one of ours is simply not found. */
static enum err
read_path(struct request *q)
{
	const char *uri = fcgi_io_param(q->io, "REQUEST_URI");
	size_t n = 0;

	for (; *uri != '\0' && *uri != '?'; uri++) {
		int c = (unsigned char)*uri;
		if (c == '%') {
			int high = hex_value(uri[1]);
			int low = high < 0 ? -1 : hex_value(uri[2]);
			c = low < 0 ? 0 : high * 16 + low;
			uri += 2;
		}
		if (c == 0 || n + 1 >= sizeof q->path) {
			q->path[n] = '\0';
			return err_set(&q->error, ERR_NOT_FOUND, "the path is too long or wrongly encoded; GET /models lists the models");
		}
		q->path[n++] = (char)c;
	}
	q->path[n] = '\0';
	q->query = *uri == '?' ? uri + 1 : "";
	return ERR_OK;
}

/* Copies the path's segment for a placeholder; false where it is empty or too long to be a name. */
static bool
take_segment(const char **path, char *out, size_t cap)
{
	size_t len = strcspn(*path, "/");

	if (len == 0 || len >= cap)
		return false;
	memcpy(out, *path, len);
	out[len] = '\0';
	*path += len;
	return true;
}

static bool
match(struct request *q, const char *pattern)
{
	const char *path = q->path;

	while (*pattern != '\0') {
		if (strncmp(pattern, "{name}", 6) == 0) {
			if (!take_segment(&path, q->model, sizeof q->model))
				return false;
			pattern += 6;
		} else if (strncmp(pattern, "{version}", 9) == 0) {
			if (!take_segment(&path, q->version, sizeof q->version))
				return false;
			pattern += 9;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

/* The row for path and method, or NULL with the error. */
static const struct route *
find_route(struct request *q, const char *method)
{
	const struct route *other = NULL;

	for (const struct route *route = routes; route < routes + N_ROUTES; route++) {
		q->model[0] = q->version[0] = '\0';
		if ((route->scope == REQUEST_LOCAL && !q->server->admin) || !match(q, route->pattern))
			continue;
		q->shape = route->shape;
		if (strcmp(route->method, method) == 0)
			return route;
		other = route;
	}
	if (other == NULL) {
		char shown[96];
		(void)err_set(&q->error, ERR_NOT_FOUND, "there is nothing at %s; POST /predict predicts, GET /models lists the models",
					  text_quote(q->path, strlen(q->path), shown, sizeof shown));
		return NULL;
	}
	q->allow = strcmp(other->method, "GET") == 0 ? "GET, HEAD" : other->method;
	(void)err_set(&q->error, ERR_METHOD_NOT_ALLOWED, "this path takes %s, not %.20s", q->allow, method);
	return NULL;
}

/* Whether a request is let in, before its body is read; one for nothing that we have goes on to be refused for that. */
static enum err
pass_gate(struct request *q, const struct route *route, uint64_t now_ns)
{
	static const enum keys_scope scopes[] = {[REQUEST_PREDICT] = KEYS_PREDICT,
											 [REQUEST_CLIENT] = KEYS_PREDICT,
											 [REQUEST_METRICS] = KEYS_METRICS,
											 [REQUEST_ADMIN] = KEYS_ADMIN,
											 [REQUEST_LOCAL] = KEYS_ADMIN};
	const struct gate_request request = {.authorization = fcgi_io_param(q->io, "HTTP_AUTHORIZATION"),
										 .api_key = fcgi_io_param(q->io, "HTTP_X_API_KEY"),
										 .address = fcgi_io_param(q->io, "REMOTE_ADDR"),
										 .scope = route != NULL ? scopes[route->scope] : 0};
	enum err e = gate_enter(q->server->gate, q->worker, &request, now_ns, &q->gate, &q->error);

	if (e == ERR_OK)
		return q->error.code;
	q->allow = NULL;
	if (route != NULL && route->scope == REQUEST_PREDICT)
		score_count_refused(q);
	return e;
}

/* An id of the client's where it is harmless to repeat and to log, else 64 random bits (splitmix64, seeded by the kernel). */
static void
make_id(struct request *q)
{
	const char *given = fcgi_io_param(q->io, "HTTP_X_REQUEST_ID");
	size_t len = strspn(given, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	if (len > 0 && len < sizeof q->id && given[len] == '\0') {
		memcpy(q->id, given, len + 1);
		return;
	}
	uint64_t bits = random_next(&q->id_state);
	for (size_t i = 0; i < ID_DIGITS; i++)
		q->id[i] = "0123456789abcdef"[bits >> (60 - 4 * i) & 15];
	q->id[ID_DIGITS] = '\0';
}

/*
 * A sentence and our own code for it, and the row and the feature where they are known. The Open Inference Protocol has the same "error", and
 * MLflow a "message" and one of its own codes; more members do no harm in either.
 */
static void
write_error(struct request *q)
{
	buf_reset(&q->answer);
	q->content_type = "application/json";
	q->json_len = 0;
	if (q->shape == REQUEST_MLFLOW)
		buf_printf(&q->answer, "{\"error_code\":\"%s\",\"message\":", mlflow_error_code(q->error.code));
	else
		buf_str(&q->answer, "{\"error\":");
	text_json_string(&q->answer, q->error.text, strlen(q->error.text));
	buf_printf(&q->answer, ",\"code\":\"%s\"", err_code(q->error.code));
	if (q->error.row != ERR_NO_ROW)
		buf_printf(&q->answer, ",\"row\":%ld", q->error.row);
	if (q->error.feature[0] != '\0') {
		buf_str(&q->answer, ",\"feature\":");
		text_json_string(&q->answer, q->error.feature, strlen(q->error.feature));
	}
	buf_str(&q->answer, "}\n");
}

static void
write_answer(struct request *q, bool with_body)
{
	struct buf *head = &q->head;
	int retry_after_s = q->gate.retry_after_s > 0 ? q->gate.retry_after_s : err_retry_after_s(q->error.code);

	buf_str(head, "Status: ");
	buf_integer(head, err_status(q->error.code));
	buf_str(head, "\r\nContent-Type: ");
	buf_str(head, q->content_type);
	buf_str(head, "\r\nContent-Length: ");
	buf_integer(head, (long long)q->answer.len);
	buf_str(head, "\r\nX-Request-Id: ");
	buf_str(head, q->id);
	buf_str(head, "\r\nCache-Control: no-store\r\n");
	if (q->allow != NULL)
		buf_printf(head, "Allow: %s\r\n", q->allow);
	if (q->gate.challenge != NULL)
		buf_printf(head, "WWW-Authenticate: %s\r\n", q->gate.challenge);
	if (retry_after_s > 0)
		buf_printf(head, "Retry-After: %d\r\n", retry_after_s);
	if (q->json_len > 0)
		buf_printf(head, "Inference-Header-Content-Length: %zu\r\n", q->json_len);
	buf_str(head, "\r\n");
	fcgi_io_discard(q->io);
	if (fcgi_io_write(q->io, head->data, head->len) && with_body)
		(void)fcgi_io_write(q->io, q->answer.data, q->answer.len);
}

static void
log_request(struct request *q, const char *method, uint64_t duration_ns)
{
	enum err e = q->error.code;
	int status = err_status(e);
	enum log_level level = status >= 500 ? LOG_WARN : LOG_INFO;

	buf_reset(&q->line);
	if (q->server->log_requests == REQUEST_LOG_NONE || (q->server->log_requests == REQUEST_LOG_ERRORS && e == ERR_OK) ||
		!log_begin(&q->line, &q->server->log, level, "request"))
		return;
	log_text(&q->line, "request_id", q->id);
	log_text(&q->line, "remote", fcgi_io_param(q->io, "REMOTE_ADDR"));
	if (q->gate.key[0] != '\0')
		log_text(&q->line, "key", q->gate.key);
	log_text(&q->line, "method", method);
	log_text(&q->line, "path", q->path);
	log_integer(&q->line, "status", status);
	log_integer(&q->line, "duration_us", (long long)(duration_ns / 1000));
	if (q->served_model[0] != '\0') {
		log_text(&q->line, "model", q->served_model);
		log_text(&q->line, "version", q->served_version);
	}
	if (q->n_rows > 0)
		log_integer(&q->line, "rows", (long long)q->n_rows);
	if (e != ERR_OK) {
		log_text(&q->line, "code", err_code(e));
		log_text(&q->line, "error", q->error.text);
	}
}

/* Behind the answer, and while requests come one behind the other many lines at once: a write(2) is a tenth of a request's cost. */
static void
keep_line(struct request *q, uint64_t start_ns)
{
	if (q->line.len == 0)
		return;
	if (q->kept.len == 0)
		q->kept_since_ns = start_ns;
	log_keep(&q->line, &q->kept);
}

void
router_write_log(struct request *q)
{
	log_write(&q->kept);
}
