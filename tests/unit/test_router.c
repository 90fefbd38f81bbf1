/* test_router.c - tests of serve/router and the handlers behind it: requests over a real socket, one worker, no web server */
#include "serve/router.h"

#include <sys/mman.h>

#include "base/clock.h"
#include "base/text.h"
#include "expected.h"
#include "heap.h"
#include "peer.h"

enum { BODY_MAX = 64 * 1024, ROWS_MAX = BOOSTER_CHUNK_ROWS + 100 /* two chunks of an answer */ };

static struct server server;
static struct request worker;

/* The only worker, on a store with "house" (champion 2, and 1), "claims" (no champion) and "kinds" (three outputs). */
static int
setup(void **state)
{
	struct err_info info;
	size_t n_failed;

	if (peer_setup(state) != 0)
		return -1;
	folder_add_version("reg-gamma", "house", "1");
	folder_add_version("reg-squarederror", "house", "2");
	folder_add_version("reg-gamma", "claims", "1");
	folder_add_version("multi-softprob", "kinds", "7");
	folder_set_champion("house", "2");
	folder_set_champion("kinds", "7");
	server = (struct server){.body_max = BODY_MAX, .rows_max = ROWS_MAX, .log_requests = REQUEST_LOG_NONE};
	server.log.level = (enum log_level)(LOG_ERROR + 1);
	server.metrics = metrics_open(1, router_name, router_count());
	server.history = history_open(server.metrics, 1, clock_now_ns());
	const struct catalog_source source = {.store = folder, .default_model = "house", .metrics = server.metrics, .log = &server.log};
	if (registry_open(&source, 1, &server.registry, &n_failed, &info) != ERR_OK)
		return -1;
	return router_request_init(&worker, &server, 0, peer_io) ? 0 : -1;
}

static int
teardown(void **state)
{
	router_request_release(&worker);
	journal_free(server.journal);
	truth_free(server.truth);
	registry_free(server.registry);
	history_free(server.history);
	metrics_free(server.metrics);
	return peer_teardown(state);
}

struct call {
	const char *method;
	const char *uri;
	const char *type; /* CONTENT_TYPE, or NULL */
	const char *body; /* or NULL */
	const char *name; /* of one more parameter, or NULL */
	const char *value;
};

static void
build(const struct call *c)
{
	char length[24];
	size_t len = c->body != NULL ? strlen(c->body) : 0;

	peer_begin(0);
	peer_param("REQUEST_METHOD", c->method);
	peer_param("REQUEST_URI", c->uri);
	peer_param("REMOTE_ADDR", "192.0.2.1");
	if (c->type != NULL)
		peer_param("CONTENT_TYPE", c->type);
	if (c->name != NULL)
		peer_param(c->name, c->value);
	(void)snprintf(length, sizeof length, "%zu", len);
	peer_param("CONTENT_LENGTH", c->body != NULL ? length : "");
	peer_params_end();
	peer_body(c->body, len, PEER_RECORD_MAX);
}

/* One request, served; the caller releases the answer. */
static struct peer_answer
ask(const struct call *c)
{
	build(c);
	int fd = peer_send();
	check_integer(c->uri, fcgi_io_accept(peer_io), 0);
	router_serve(&worker);
	struct peer_answer a = peer_receive(fd);
	check_integer(c->uri, a.ended, 1);
	check_integer(c->uri, a.broken, 0);
	return a;
}

static const char *
body_of(const struct peer_answer *a)
{
	const char *end = strstr(a->text, "\r\n\r\n");

	return end != NULL ? end + 4 : "(no body)";
}

static int
status_of(const struct peer_answer *a)
{
	return strncmp(a->text, "Status: ", 8) == 0 ? (int)strtol(a->text + 8, NULL, 10) : -1;
}

/* What every answer has: its length, its type, an id, and no caching. */
static void
check_head(const char *row, const struct peer_answer *a)
{
	char length[64];

	(void)snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(body_of(a)));
	check_contains(row, a->text, length);
	check_contains(row, a->text, "\r\nContent-Type: ");
	check_contains(row, a->text, "\r\nX-Request-Id: ");
	check_contains(row, a->text, "\r\nCache-Control: no-store\r\n");
	check_integer(row, (strstr(a->text, "\r\nRetry-After: ") != NULL), status_of(a) == 503 || status_of(a) == 429);
	check_integer(row, (strstr(a->text, "\r\nAllow: ") != NULL), status_of(a) == 405);
}

/* The rows [first, first + n) of a fixture as the body of a request. */
static void
make_body(const struct expected *x, size_t first, size_t n, struct buf *out)
{
	buf_reset(out);
	buf_str(out, "{\"features\":[");
	for (size_t i = first * x->n_features; i < (first + n) * x->n_features; i++) {
		buf_str(out, i > first * x->n_features ? "," : "");
		buf_str(out, i % x->n_features == 0 ? "[" : "");
		text_json_float(out, x->rows[i]);
		buf_str(out, i % x->n_features == x->n_features - 1 ? "]" : "");
	}
	buf_str(out, "]}");
	assert_true(buf_ok(out));
}

/* One row's element of "predictions" is a number, or an array of them, with the bits of `expected`. */
static void
check_row(const char *uri, const cJSON *row, const float *expected, size_t width)
{
	check_integer(uri, cJSON_IsArray(row), width > 1);
	check_integer(uri, width > 1 ? cJSON_GetArraySize(row) : 1, width);
	for (size_t i = 0; i < width; i++)
		check_float(uri, expected_number(width > 1 ? cJSON_GetArrayItem(row, (int)i) : row), expected[i]);
}

/* Asks for rows of a fixture at `uri`; the answer must be its predictions, or margins. */
static void
check_prediction(const char *uri, const char *fixture, size_t first, size_t n, const char *model, const char *version)
{
	struct expected x = {0};
	struct buf body;
	bool margin = strstr(uri, "output=margin") != NULL;

	expected_init(&x, fixture);
	size_t width = margin ? x.n_margins : x.n_values;
	const float *values = margin ? x.margins : x.predictions;
	buf_init(&body, BODY_MAX);
	make_body(&x, first, n, &body);
	const struct call call = {"POST", uri, "application/json", buf_peek(&body), NULL, NULL};
	struct peer_answer a = ask(&call);
	check_integer(uri, status_of(&a), 200);
	check_head(uri, &a);
	cJSON *tree = cJSON_Parse(body_of(&a));
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "predictions");
	check_integer(uri, cJSON_GetArraySize(list), n);
	for (size_t i = 0; i < n; i++)
		check_row(uri, cJSON_GetArrayItem(list, (int)i), values + (first + i) * width, width);
	check_string(uri, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "model")), model);
	check_string(uri, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "version")), version);
	check_integer(uri, cJSON_GetArraySize(tree), 3);
	cJSON_Delete(tree);
	peer_answer_release(&a);
	buf_release(&body);
	expected_release(&x);
}

static void
predictions(void **state)
{
	static const struct {
		const char *uri;
		const char *fixture;
		const char *model;
		const char *version;
	} rows[] = {
		{"/predict", "reg-squarederror", "house", "2"},
		{"/models/house/predict", "reg-squarederror", "house", "2"},
		{"/models/house/versions/2/predict", "reg-squarederror", "house", "2"},
		{"/models/house/versions/1/predict", "reg-gamma", "house", "1"},
		{"/models/claims/versions/1/predict", "reg-gamma", "claims", "1"},
		{"/models/kinds/predict", "multi-softprob", "kinds", "7"},
		{"/models/kinds/predict?output=margin", "multi-softprob", "kinds", "7"},
		{"/models/house/versions/1/predict?output=margin", "reg-gamma", "house", "1"},
		{"/predict?x=1&output=value", "reg-squarederror", "house", "2"},
		{"/%70redict", "reg-squarederror", "house", "2"},
		{"/models/h%6fuse/predict?", "reg-squarederror", "house", "2"},
	};

	(void)state;
	for (size_t n = 1; n <= 40; n = n * 2 + 1)
		for (size_t first = 0; first + n <= 40; first += n + 2)
			for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
				check_prediction(rows[i].uri, rows[i].fixture, first, n, rows[i].model, rows[i].version);
}

#define INFER "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,5],\"datatype\":\"FP32\",\"data\":[1,2,3,4,5]}]}"
/* five floats that are letters */
#define INFER_BINARY                                                                                                               \
	"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,5],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_size\":20}}]}"               \
	"                      aaaabbbbccccddddeeee"
#define ROW "{\"features\":[[1,2,3,4,5]]}"

static void
refusals(void **state)
{
	static const struct {
		struct call call;
		int status;
		const char *part; /* of the body */
	} rows[] = {
		{{"GET", "/", NULL, NULL, NULL, NULL}, 404, "\"code\":\"not_found\""},
		{{"GET", "/nothing", NULL, NULL, NULL, NULL}, 404, "{\"error\":\"there is nothing at /nothing; POST /predict predicts"},
		{{"GET", "/models/", NULL, NULL, NULL, NULL}, 404, "not_found"},
		{{"GET", "/models/house/", NULL, NULL, NULL, NULL}, 404, "not_found"},
		{{"GET", "//models", NULL, NULL, NULL, NULL}, 404, "not_found"},
		{{"GET", "", NULL, NULL, NULL, NULL}, 404, "not_found"},
		{{"GET", "/models/%", NULL, NULL, NULL, NULL}, 404, "the path is too long or wrongly encoded"},
		{{"GET", "/models/%2", NULL, NULL, NULL, NULL}, 404, "the path is too long or wrongly encoded"},
		{{"GET", "/models/%zz", NULL, NULL, NULL, NULL}, 404, "the path is too long or wrongly encoded"},
		{{"GET", "/models/a%00b", NULL, NULL, NULL, NULL}, 404, "the path is too long or wrongly encoded"},
		{{"GET", "/x\r\n\"\x01\xFF", NULL, NULL, NULL, NULL}, 404, "there is nothing at /x??\\\"??;"},
		{{"GET", "/predict", NULL, NULL, NULL, NULL},
		 405,
		 "{\"error\":\"this path takes POST, not GET\",\"code\":\"method_not_allowed\"}\n"},
		{{"PUT", "/predict", NULL, ROW, NULL, NULL}, 405, "this path takes POST, not PUT"},
		{{"post", "/predict", NULL, ROW, NULL, NULL}, 405, "method_not_allowed"},
		{{"", "/predict", NULL, ROW, NULL, NULL}, 405, "method_not_allowed"},
		{{"POST", "/models", NULL, ROW, NULL, NULL}, 405, "this path takes GET, HEAD, not POST"},
		{{"DELETE", "/healthz", NULL, NULL, NULL, NULL}, 405, "this path takes GET, HEAD, not DELETE"},
		{{"GET", "/models/cave", NULL, NULL, NULL, NULL}, 404, "\"code\":\"unknown_model\""},
		{{"POST", "/models/cave/predict", NULL, ROW, NULL, NULL}, 404, "\"code\":\"unknown_model\""},
		{{"POST", "/models/claims/predict", NULL, ROW, NULL, NULL}, 404, "\"code\":\"no_champion\""},
		{{"POST", "/models/house/versions/9/predict", NULL, ROW, NULL, NULL}, 404, "\"code\":\"unknown_version\""},
		{{"GET", "/models/house/versions/9", NULL, NULL, NULL, NULL}, 404, "\"code\":\"unknown_version\""},
		{{"GET", "/models/cave/versions/1", NULL, NULL, NULL, NULL}, 404, "\"code\":\"unknown_model\""},
		{{"POST", "/models/house/versions/../predict", NULL, ROW, NULL, NULL}, 404, "\"code\":\"unknown_version\""},
		{{"POST", "/models/..%2f..%2fetc/predict", NULL, ROW, NULL, NULL}, 404, "\"code\":\"not_found\""},
		{{"POST", "/predict", "text/plain", ROW, NULL, NULL},
		 415,
		 "the body's type is \\\"text/plain\\\"; send 'Content-Type: application/json'"},
		{{"POST", "/predict", "application/jsonx", ROW, NULL, NULL}, 415, "unsupported_media_type"},
		{{"POST", "/predict", "application/json; charset=latin1", ROW, NULL, NULL}, 415, "unsupported_media_type"},
		{{"POST", "/predict", NULL, ROW, "HTTP_CONTENT_ENCODING", "gzip"}, 415, "the body is encoded as \\\"gzip\\\""},
		{{"POST", "/predict?output=other", NULL, ROW, NULL, NULL}, 400, "\"code\":\"bad_parameter\""},
		{{"POST", "/predict?output=margin&output=margin", NULL, ROW, NULL, NULL}, 400, "\"code\":\"bad_parameter\""},
		{{"POST", "/predict", NULL, "", NULL, NULL}, 400, "the body is empty"},
		{{"POST", "/predict", NULL, "{\"features\":[]}", NULL, NULL}, 400, "\"code\":\"no_rows\""},
		{{"POST", "/predict", NULL, "{\"features\":[[1,2,3,4,5],[1,2,3,4,\"x\"]]}", NULL, NULL},
		 400,
		 "\"code\":\"wrong_type\",\"row\":1,\"feature\":\"shift\"}\n"},
		{{"POST", "/predict", NULL, "{\"features\":[[1,2,3,4]]}", NULL, NULL},
		 400,
		 "\"code\":\"wrong_feature_count\",\"row\":0}\n"},
		{{"POST", "/predict", "text/csv", "a\n1\n", NULL, NULL}, 400, "\"code\":\"unknown_feature\",\"feature\":\"a\"}\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct peer_answer a = ask(&rows[i].call);
		check_integer(rows[i].call.uri, status_of(&a), rows[i].status);
		check_contains(rows[i].call.uri, body_of(&a), rows[i].part);
		check_contains(rows[i].call.uri, a.text, "\r\nContent-Type: application/json\r\n");
		check_head(rows[i].call.uri, &a);
		cJSON *tree = cJSON_Parse(body_of(&a));
		check_integer(rows[i].call.uri, cJSON_IsString(cJSON_GetObjectItemCaseSensitive(tree, "error")), true);
		check_integer(rows[i].call.uri, cJSON_IsString(cJSON_GetObjectItemCaseSensitive(tree, "code")), true);
		cJSON_Delete(tree);
		peer_answer_release(&a);
	}
}

static void
types_that_are_taken(void **state)
{
	static const char *const json[] = {NULL,
									   "",
									   "application/json",
									   "Application/JSON",
									   "application/json; charset=utf-8",
									   "application/json ;charset=\"UTF-8\"",
									   "application/json; charset=US-ASCII"};
	static const char csv_body[] = "shift,size,age,load,slope\n5,1,2,3,4\n";

	(void)state;
	const struct call csv = {"POST", "/predict", "text/csv; charset=utf-8; header=present", csv_body, NULL, NULL};
	struct peer_answer expected = ask(&csv);
	check_integer("csv", status_of(&expected), 200);
	for (size_t i = 0; i < sizeof json / sizeof json[0]; i++) {
		const struct call call = {"POST", "/predict", json[i], ROW, NULL, NULL};
		struct peer_answer a = ask(&call);
		check_integer(json[i] != NULL ? json[i] : "none", status_of(&a), 200);
		check_string(json[i] != NULL ? json[i] : "none", body_of(&a), body_of(&expected));
		peer_answer_release(&a);
	}
	peer_answer_release(&expected);
}

static void
sizes(void **state)
{
	char body[BODY_MAX + 8];

	(void)state;
	for (size_t len = BODY_MAX - 1; len <= BODY_MAX + 1; len++) {
		memset(body, ' ', len);
		memcpy(body, ROW, strlen(ROW));
		body[len] = '\0';
		const struct call call = {"POST", "/predict", NULL, body, NULL, NULL};
		struct peer_answer a = ask(&call);
		check_integer("bytes", status_of(&a), len > BODY_MAX ? 413 : 200);
		peer_answer_release(&a);
	}
	for (size_t rows = ROWS_MAX; rows <= ROWS_MAX + 1; rows++) {
		size_t n = (size_t)snprintf(body, sizeof body, "{\"features\":[[1,2,3,4,5]");
		for (size_t i = 1; i < rows; i++)
			n += (size_t)snprintf(body + n, sizeof body - n, ",[1,2,3,4,5]");
		(void)snprintf(body + n, sizeof body - n, "]}");
		const struct call call = {"POST", "/predict", NULL, body, NULL, NULL};
		struct peer_answer a = ask(&call);
		check_integer("rows", status_of(&a), rows > ROWS_MAX ? 413 : 200);
		cJSON *tree = cJSON_Parse(body_of(&a));
		check_integer("rows", cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(tree, "predictions")),
					  rows > ROWS_MAX ? 0 : rows);
		check_contains("rows", body_of(&a), rows > ROWS_MAX ? "\"code\":\"too_many_rows\"" : "\"version\":\"2\"");
		cJSON_Delete(tree);
		peer_answer_release(&a);
	}
}

static void
status_routes(void **state)
{
	static const struct {
		const char *uri;
		const char *part;
	} rows[] = {
		{"/healthz", "{\"status\":\"alive\"}\n"},
		{"/readyz", "{\"status\":\"ready\",\"models\":[{\"name\":\"house\",\"version\":\"2\"},{\"name\":\"kinds\",\"version\":"
					"\"7\"}],\"failed\":[]}\n"},
		{"/version", "{\"futaie\":\""},
		{"/models", "{\"models\":[{\"name\":\"claims\",\"versions\":[\"1\"],\"aliases\":{}},{\"name\":\"house\""},
		{"/models/house", "{\"name\":\"house\",\"version\":\"2\",\"versions\":[\"1\",\"2\"],\"aliases\":{\"champion\":\"2\"},"},
		{"/models/claims", "{\"name\":\"claims\",\"version\":null,\"versions\":[\"1\"],\"aliases\":{}}\n"},
		{"/models/house/versions/1",
		 "{\"name\":\"house\",\"version\":\"1\",\"versions\":[\"1\",\"2\"],\"aliases\":{\"champion\":\"2\"},"},
		{"/models/claims/versions/1", "{\"name\":\"claims\",\"version\":\"1\",\"versions\":[\"1\"],\"aliases\":{},\"created\":"},
		{"/healthz?x=y", "{\"status\":\"alive\"}\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct call get = {"GET", rows[i].uri, NULL, NULL, NULL, NULL};
		const struct call head = {"HEAD", rows[i].uri, NULL, NULL, NULL, NULL};
		struct peer_answer a = ask(&get);
		struct peer_answer b = ask(&head);
		char length[64];
		check_integer(rows[i].uri, status_of(&a), 200);
		check_integer(rows[i].uri, strncmp(body_of(&a), rows[i].part, strlen(rows[i].part)), 0);
		check_head(rows[i].uri, &a);
		check_integer(rows[i].uri, status_of(&b), 200);
		check_string(rows[i].uri, body_of(&b), "");
		(void)snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(body_of(&a)));
		check_contains(rows[i].uri, b.text, length);
		cJSON *tree = cJSON_Parse(body_of(&a));
		check_integer(rows[i].uri, tree != NULL, true);
		cJSON_Delete(tree);
		peer_answer_release(&a);
		peer_answer_release(&b);
	}
}

/* The number behind `series` in a scrape, or -1. */
static long
scraped(const char *series)
{
	const struct call call = {"GET", "/metrics", NULL, NULL, NULL, NULL};
	struct peer_answer a = ask(&call);
	const char *at = strstr(body_of(&a), series);
	long n = at != NULL ? strtol(at + strlen(series), NULL, 10) : -1;

	check_contains(series, a.text, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	peer_answer_release(&a);
	return n;
}

static void
counts(void **state)
{
	static const struct call calls[] = {
		{"POST", "/predict", NULL, ROW, NULL, NULL},
		{"POST", "/predict", NULL, ROW, NULL, NULL},
		{"POST", "/models/house/versions/2/predict", NULL, "[]", NULL, NULL},
		{"POST", "/predict", "text/plain", ROW, NULL, NULL},
		{"POST", "/models/cave/predict", NULL, ROW, NULL, NULL},
		{"POST", "/models/house/versions/9/predict", NULL, ROW, NULL, NULL},
		{"POST", "/models/house/versions/1/predict", NULL, ROW, NULL, NULL},
		{"GET", "/predict", NULL, NULL, NULL, NULL},
		{"GET", "/nothing", NULL, NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		struct peer_answer a = ask(&calls[i]);
		peer_answer_release(&a);
	}
	assert_int_equal(scraped("\nprediction_requests_total{model=\"house\",version=\"2\"} "), 4);
	assert_int_equal(scraped("\nprediction_requests_total{model=\"house\",version=\"1\"} "), 1);
	assert_int_equal(scraped("\nprediction_requests_total{model=\"\",version=\"\"} "), 1);
	assert_int_equal(scraped("\nprediction_requests_total{model=\"house\",version=\"\"} "), 1);
	assert_int_equal(scraped("\nprediction_errors_total{model=\"house\",version=\"2\",code=\"wrong_type\"} "), 1);
	assert_int_equal(scraped("\nprediction_errors_total{model=\"house\",version=\"2\",code=\"unsupported_media_type\"} "), 1);
	assert_int_equal(scraped("\nprediction_errors_total{model=\"\",version=\"\",code=\"unknown_model\"} "), 1);
	assert_int_equal(scraped("\nprediction_errors_total{model=\"house\",version=\"\",code=\"unknown_version\"} "), 1);
	assert_int_equal(scraped("\nfutaie_batch_rows_count{model=\"house\",version=\"2\"} "), 2);
	assert_int_equal(scraped("\nfutaie_request_duration_seconds_count{route=\"/predict\"} "), 3);
	assert_int_equal(scraped("\nfutaie_request_duration_seconds_count{route=\"other\"} "), 2);
	assert_int_equal(scraped("\nfutaie_requests_in_flight "), 1);
	assert_int_equal(scraped("\nfutaie_model_info{model=\"house\",version=\"2\",role=\"champion\","), 0);
}

/* The value of a header line; in one of two buffers used in turn. */
static const char *
header(const struct peer_answer *a, const char *name)
{
	static char values[2][128];
	static unsigned next;
	char *value = values[next++ % 2];
	const char *at = strstr(a->text, name);

	value[0] = '\0';
	if (at != NULL)
		(void)snprintf(value, sizeof values[0], "%.*s", (int)strcspn(at + strlen(name), "\r"), at + strlen(name));
	return value;
}

static void
request_ids(void **state)
{
	static const struct {
		const char *given;
		bool kept;
	} rows[] = {
		{"abc-123_X.y", true},
		{"0123456789012345678901234567890123456789012345678901234567890123", true},
		{"01234567890123456789012345678901234567890123456789012345678901234", false},
		{"", false},
		{"a b", false},
		{"a\r\nSet-Cookie: x", false},
		{"\"quoted\"", false},
		{"caf\xC3\xA9", false},
	};
	char before[128] = "";

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct call call = {"GET", "/healthz", NULL, NULL, "HTTP_X_REQUEST_ID", rows[i].given};
		struct peer_answer a = ask(&call);
		const char *id = header(&a, "\r\nX-Request-Id: ");
		if (rows[i].kept) {
			check_string(rows[i].given, id, rows[i].given);
		} else {
			check_integer(id, strspn(id, "0123456789abcdef"), 16);
			check_integer(id, strlen(id), 16);
			check_integer(id, strcmp(id, before) != 0, true);
			(void)snprintf(before, sizeof before, "%s", id);
		}
		check_integer(rows[i].given, strstr(a.text, "Set-Cookie") == NULL, true);
		peer_answer_release(&a);
	}
}

static void
long_paths(void **state)
{
	char uri[2 * REQUEST_PATH_MAX];

	(void)state;
	for (size_t len = REQUEST_PATH_MAX - 3; len <= REQUEST_PATH_MAX + 3; len++) {
		memset(uri, 'x', len);
		memcpy(uri, "/models/", 8);
		uri[len] = '\0';
		const struct call call = {"GET", uri, NULL, NULL, NULL, NULL};
		struct peer_answer a = ask(&call);
		check_integer(uri, status_of(&a), 404);
		check_contains(uri, body_of(&a), len < REQUEST_PATH_MAX ? "there is nothing at /models/xxx" : "the path is too long");
		peer_answer_release(&a);
	}
	char query[3000];
	(void)snprintf(query, sizeof query, "/healthz?%02800d", 7);
	const struct call call = {"GET", query, NULL, NULL, NULL, NULL};
	struct peer_answer a = ask(&call);
	assert_int_equal(status_of(&a), 200);
	peer_answer_release(&a);
}

/* What one request writes to standard error; the caller frees it. */
static char *
logged(const struct call *call)
{
	int caught = memfd_create("stderr", 0);
	int saved = dup(STDERR_FILENO);

	(void)dup2(caught, STDERR_FILENO);
	build(call);
	int fd = peer_send();
	int accepted = fcgi_io_accept(peer_io);
	router_serve(&worker);
	router_write_log(&worker);
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	assert_int_equal(accepted, 0);
	(void)close(fd);
	off_t len = lseek(caught, 0, SEEK_END);
	char *text = calloc((size_t)len + 1, 1);
	assert_int_equal(pread(caught, text, (size_t)len, 0), len);
	(void)close(caught);
	return text;
}

static void
check_logged(enum request_log which, const struct call *call, const char *part)
{
	server.log.level = LOG_INFO;
	server.log_requests = which;
	char *text = logged(call);
	server.log.level = (enum log_level)(LOG_ERROR + 1);
	server.log_requests = REQUEST_LOG_NONE;
	if (part == NULL) {
		check_string(call->uri, text, "");
	} else {
		check_contains(call->uri, text, part);
		cJSON *tree = cJSON_Parse(text);
		check_integer(call->uri, cJSON_IsObject(tree), true);
		cJSON_Delete(tree);
	}
	free(text);
}

static void
logs(void **state)
{
	static const struct call good = {"POST", "/predict", NULL, ROW, "HTTP_X_REQUEST_ID", "id-1"};
	static const struct call bad = {"POST", "/predict", NULL, "[]", "HTTP_X_REQUEST_ID", "id-2"};
	static const struct call odd = {"GET", "/%22%0a%ff", NULL, NULL, NULL, NULL};

	(void)state;
	check_logged(REQUEST_LOG_ALL, &good,
				 "\"request_id\":\"id-1\",\"remote\":\"192.0.2.1\",\"method\":\"POST\",\"path\":\"/predict\","
				 "\"status\":200,\"duration_us\":");
	check_logged(REQUEST_LOG_ALL, &good, ",\"model\":\"house\",\"version\":\"2\",\"rows\":1}\n");
	check_logged(REQUEST_LOG_ALL, &bad, "\"status\":400,");
	check_logged(REQUEST_LOG_ALL, &bad,
				 "\"code\":\"wrong_type\",\"error\":\"the body is an array; expected an object: "
				 "{\\\"features\\\": [[\xE2\x80\xA6], \xE2\x80\xA6]}\"}\n");
	check_logged(REQUEST_LOG_ALL, &odd, "\"path\":\"/\\\"\\u000a\xEF\xBF\xBD\"");
	check_logged(REQUEST_LOG_ERRORS, &good, NULL);
	check_logged(REQUEST_LOG_ERRORS, &bad, "\"request_id\":\"id-2\"");
	check_logged(REQUEST_LOG_NONE, &good, NULL);
	check_logged(REQUEST_LOG_NONE, &bad, NULL);
}

/* Allocations that futaie's own code asks for while it serves one request. */
static size_t
own_allocations(const struct call *call)
{
	build(call);
	int fd = peer_send();
	heap_start();
	int accepted = fcgi_io_accept(peer_io);
	router_serve(&worker);
	size_t n = heap_own;
	assert_int_equal(accepted, 0);
	struct peer_answer a = peer_receive(fd);
	check_integer(call->uri, a.ended, 1);
	peer_answer_release(&a);
	return n;
}

static void
warm_requests_allocate_nothing(void **state)
{
	static const struct call calls[] = {
		{"POST", "/predict", NULL, ROW, NULL, NULL},
		{"POST", "/predict?output=margin", "application/json", ROW, NULL, NULL},
		{"POST", "/predict", NULL, "{\"features\":[{\"size\":1,\"age\":2,\"load\":3,\"slope\":4,\"shift\":null}]}", NULL, NULL},
		{"POST", "/predict", "text/csv", "size,age,load,slope,shift\n1,2,3,4,5\n1,2,3,4,\n", NULL, NULL},
		{"POST", "/models/kinds/predict", NULL, ROW, NULL, NULL},
		{"POST", "/models/house/versions/1/predict", NULL, ROW, NULL, NULL},
		{"POST", "/predict", NULL, "{\"features\":[[1,2,3,4,\"x\"]]}", NULL, NULL},
		{"POST", "/models/cave/predict", NULL, ROW, NULL, NULL},
		{"POST", "/v2/models/house/infer", NULL, INFER, NULL, NULL},
		{"POST", "/v2/models/kinds/versions/7/infer", NULL, INFER, NULL, NULL},
		{"POST", "/v2/models/house/infer", NULL, INFER_BINARY, "HTTP_INFERENCE_HEADER_CONTENT_LENGTH", "116"},
		{"POST", "/invocations", NULL,
		 "{\"dataframe_split\":{\"columns\":[\"size\",\"age\",\"load\",\"slope\",\"shift\"],\"data\":[[1,2,3,4,5]]}}", NULL, NULL},
		{"POST", "/invocations", NULL, "{\"inputs\":{\"size\":[1],\"age\":[2],\"load\":[3],\"slope\":[4],\"shift\":[null]}}", NULL,
		 NULL},
		{"POST", "/invocations", NULL, "{\"instances\":[[1,2,3,4,5]]}", NULL, NULL},
		{"POST", "/invocations", NULL, "{\"inputs\":{}}", NULL, NULL},
		{"GET", "/v2/models/house", NULL, NULL, NULL, NULL},
		{"GET", "/v2/models/stats", NULL, NULL, NULL, NULL},
		{"GET", "/ping", NULL, NULL, NULL, NULL},
		{"GET", "/healthz", NULL, NULL, NULL, NULL},
		{"GET", "/models/house", NULL, NULL, NULL, NULL},
		{"GET", "/status", NULL, NULL, NULL, NULL},
		{"GET", "/nothing", NULL, NULL, NULL, NULL},
	};
	const size_t n = sizeof calls / sizeof calls[0];

	(void)state;
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < n; i++) {
			size_t own = own_allocations(&calls[i]);
			if (round > 0)
				check_integer(calls[i].uri, own, 0);
		}
}

static void
open_feedback(void)
{
	struct err_info info;
	const struct journal_options options = {.path = folder_path("journal"),
											.share = 1,
											.omit = "age",
											.file_max_bytes = JOURNAL_FILE_MIN,
											.n_files = 2,
											.n_workers = 1,
											.log = &server.log};

	server.truth = truth_open(server.metrics, TRUTH_ANSWERS_MIN, clock_now_ns());
	assert_non_null(server.truth);
	assert_err(journal_open(&options, &server.journal, &info), ERR_OK, &info);
}

static void
feedback_allocates_nothing(void **state)
{
	static const struct call calls[] = {
		{"POST", "/predict", NULL, ROW, "HTTP_X_REQUEST_ID", "own"},
		{"POST", "/models/kinds/predict", NULL, ROW, NULL, NULL},
		{"POST", "/feedback", NULL, "{\"id\":\"own\",\"actual\":[4.5]}", NULL, NULL},
		{"POST", "/feedback", NULL, "{\"feedback\":[{\"id\":\"own\",\"actual\":4.5},{\"actual\":[[1,2],[3,null]],\"id\":\"x\"}]}",
		 NULL, NULL},
		{"POST", "/feedback", NULL, "{\"id\":7}", NULL, NULL},
		{"GET", "/status", NULL, NULL, NULL, NULL},
	};
	const size_t n = sizeof calls / sizeof calls[0];

	(void)state;
	open_feedback();
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < n; i++) {
			size_t own = own_allocations(&calls[i]);
			if (round > 0)
				check_integer(calls[i].uri, own, 0);
		}
	struct truth_live live;
	truth_live(server.truth, metrics_series(server.metrics, "house", "2"), &live);
	check_integer("each round's answer got its truth once", live.n, 3);
}

static void
route_names(void **state)
{
	(void)state;
	assert_true(router_count() > 5);
	assert_string_equal(router_name(0), "/predict");
	assert_string_equal(router_name(router_count() - 1), "other");
	for (size_t i = 0; i < router_count(); i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(router_name(i), router_name(k)) == 0)
				fail_msg("routes %zu and %zu are both called %s", k, i, router_name(i));
}

#define WITH_SERVER(sentence, function) TEST_WITH(sentence, function, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_SERVER("every route that predicts answers with the bits of Booster.predict", predictions),
		WITH_SERVER("what is refused has its status, its code and a sentence in JSON", refusals),
		WITH_SERVER("a body is JSON where no type says otherwise, or CSV", types_that_are_taken),
		WITH_SERVER("the largest body and the most rows are answered, and one more is 413", sizes),
		WITH_SERVER("health, versions and models answer GET and HEAD", status_routes),
		WITH_SERVER("requests are counted under model, version and code", counts),
		WITH_SERVER("a harmless request id is kept, and any other is replaced", request_ids),
		WITH_SERVER("a path of up to 511 bytes is looked up, and a query may be longer", long_paths),
		WITH_SERVER("requests are logged as asked for, in one line of JSON", logs),
		WITH_SERVER("a warm request allocates nothing in futaie's own code", warm_requests_allocate_nothing),
		WITH_SERVER("nor do answers that are remembered and journalled, and their truths", feedback_allocates_nothing),
		TEST("every route has a name of its own for the metrics", route_names),
	};

	return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
