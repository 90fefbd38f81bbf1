/* web.c - HTTP calls to one server, through libcurl */
#include "mlflow/web.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "version.h"

#define LIBRARY "libcurl.so.4"

enum { BYTES_A_SECOND = 64 * 1024 /* the slowest that a body may come or go */ };

/* What we call of it. */
struct library {
	void *handle;
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_easy_init) *easy_init;
	__typeof__(curl_easy_cleanup) *easy_cleanup;
	__typeof__(curl_easy_reset) *easy_reset;
	__typeof__(curl_easy_setopt) *easy_setopt;
	__typeof__(curl_easy_perform) *easy_perform;
	__typeof__(curl_easy_getinfo) *easy_getinfo;
	__typeof__(curl_easy_strerror) *easy_strerror;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
};

struct web {
	struct library curl;
	struct web_options options;
	CURL *easy;               /* owned; keeps the connection */
	struct web_answer *taken; /* by the call that is under way */
	char why[CURL_ERROR_SIZE];
};

static const struct {
	const char *name;
	size_t offset;
} symbols[] = {
	{"curl_global_init", offsetof(struct library, global_init)},
	{"curl_easy_init", offsetof(struct library, easy_init)},
	{"curl_easy_cleanup", offsetof(struct library, easy_cleanup)},
	{"curl_easy_reset", offsetof(struct library, easy_reset)},
	{"curl_easy_setopt", offsetof(struct library, easy_setopt)},
	{"curl_easy_perform", offsetof(struct library, easy_perform)},
	{"curl_easy_getinfo", offsetof(struct library, easy_getinfo)},
	{"curl_easy_strerror", offsetof(struct library, easy_strerror)},
	{"curl_slist_append", offsetof(struct library, slist_append)},
	{"curl_slist_free_all", offsetof(struct library, slist_free_all)},
};

/* It stays open as long as the process: its TLS library does not like to be loaded twice. */
static enum err
open_library(struct library *l, struct err_info *info)
{
	l->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (l->handle == NULL)
		return err_set(info, ERR_FILE,
					   "MLflow is reached through libcurl, which cannot be loaded (%.200s): install Debian's libcurl4", dlerror());
	for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
		void *found = dlsym(l->handle, symbols[i].name);
		if (found == NULL)
			return err_set(info, ERR_FILE, "%s has no %s: install Debian's libcurl4", LIBRARY, symbols[i].name);
		memcpy((char *)l + symbols[i].offset, &found, sizeof found);
	}
	if (l->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(info, ERR_OUT_OF_MEMORY, "libcurl cannot start");
	return ERR_OK;
}

enum err
web_open(const struct web_options *options, struct web **out, struct err_info *info)
{
	struct web *w = calloc(1, sizeof *w);
	enum err e;

	*out = NULL;
	if (w == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for calls");
	w->options = *options;
	e = open_library(&w->curl, info);
	if (e == ERR_OK && (w->easy = w->curl.easy_init()) == NULL)
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for calls");
	if (e != ERR_OK) {
		web_free(w);
		return e;
	}
	*out = w;
	return ERR_OK;
}

void
web_free(struct web *w)
{
	if (w == NULL)
		return;
	if (w->easy != NULL)
		w->curl.easy_cleanup(w->easy);
	if (w->curl.handle != NULL)
		(void)dlclose(w->curl.handle);
	free(w);
}

static size_t
take_body(char *bytes, size_t size, size_t n, void *context)
{
	struct web_answer *answer = context;

	buf_add(&answer->body, bytes, size * n);
	return buf_ok(&answer->body) ? size * n : 0;
}

static size_t
take_header(char *bytes, size_t size, size_t n, void *context)
{
	static const char retry[] = "retry-after:";
	struct web_answer *answer = context;
	char line[64] = "";
	size_t len = size * n;

	memcpy(line, bytes, len < sizeof line - 1 ? len : sizeof line - 1);
	if (strncasecmp(line, retry, sizeof retry - 1) == 0)
		answer->retry_after_s = strtol(line + sizeof retry - 1, NULL, 10);
	return len;
}

static int
look_for_stop(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct web *w = context;

	(void)a, (void)b, (void)c, (void)d;
	return w->options.stop != NULL && w->options.stop(w->options.context);
}

static void
set_limits(struct web *w, const struct web_request *r)
{
	const struct library *l = &w->curl;
	long timeout_s = w->options.timeout_s;

	l->easy_setopt(w->easy, CURLOPT_NOSIGNAL, 1L);
	l->easy_setopt(w->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	l->easy_setopt(w->easy, CURLOPT_FOLLOWLOCATION, 0L);
	l->easy_setopt(w->easy, CURLOPT_CONNECTTIMEOUT, timeout_s);
	l->easy_setopt(w->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	l->easy_setopt(w->easy, CURLOPT_LOW_SPEED_TIME, timeout_s);
	l->easy_setopt(w->easy, CURLOPT_TIMEOUT, timeout_s + (long)((r->len + r->expected) / BYTES_A_SECOND));
	l->easy_setopt(w->easy, CURLOPT_NOPROGRESS, 0L);
	l->easy_setopt(w->easy, CURLOPT_XFERINFOFUNCTION, look_for_stop);
	l->easy_setopt(w->easy, CURLOPT_XFERINFODATA, w);
}

static bool
given(const char *text)
{
	return text != NULL && *text != '\0';
}

static void
set_credentials(struct web *w)
{
	const struct web_options *o = &w->options;
	const struct library *l = &w->curl;

	if (given(o->user) && given(o->password)) {
		l->easy_setopt(w->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		l->easy_setopt(w->easy, CURLOPT_USERNAME, o->user);
		l->easy_setopt(w->easy, CURLOPT_PASSWORD, o->password);
	} else if (given(o->token)) {
		l->easy_setopt(w->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		l->easy_setopt(w->easy, CURLOPT_XOAUTH2_BEARER, o->token);
	}
	l->easy_setopt(w->easy, CURLOPT_SSL_VERIFYPEER, o->insecure ? 0L : 1L);
	l->easy_setopt(w->easy, CURLOPT_SSL_VERIFYHOST, o->insecure ? 0L : 2L);
	if (given(o->ca_file))
		l->easy_setopt(w->easy, CURLOPT_CAINFO, o->ca_file);
	if (given(o->certificate))
		l->easy_setopt(w->easy, CURLOPT_SSLCERT, o->certificate);
}

/* The caller frees the headers. */
static struct curl_slist *
set_request(struct web *w, const struct web_request *r, struct web_answer *answer)
{
	const struct library *l = &w->curl;
	struct curl_slist *headers = l->slist_append(NULL, "Expect:"); /* no waiting for a 100 */
	char type[128];

	l->easy_setopt(w->easy, CURLOPT_URL, r->url);
	l->easy_setopt(w->easy, CURLOPT_ERRORBUFFER, w->why);
	l->easy_setopt(w->easy, CURLOPT_USERAGENT, "futaie/" FUTAIE_VERSION);
	l->easy_setopt(w->easy, CURLOPT_WRITEFUNCTION, take_body);
	l->easy_setopt(w->easy, CURLOPT_WRITEDATA, answer);
	l->easy_setopt(w->easy, CURLOPT_HEADERFUNCTION, take_header);
	l->easy_setopt(w->easy, CURLOPT_HEADERDATA, answer);
	if (r->type != NULL) {
		(void)snprintf(type, sizeof type, "Content-Type: %s", r->type);
		headers = l->slist_append(headers, type);
		l->easy_setopt(w->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->len);
		l->easy_setopt(w->easy, CURLOPT_POSTFIELDS, r->body);
	}
	l->easy_setopt(w->easy, CURLOPT_CUSTOMREQUEST, r->method);
	l->easy_setopt(w->easy, CURLOPT_HTTPHEADER, headers);
	return headers;
}

static enum err
judge(const struct web *w, CURLcode code, const struct web_request *r, const struct web_answer *answer, struct err_info *info)
{
	const char *why = w->why[0] != '\0' ? w->why : w->curl.easy_strerror(code);

	switch (code) {
	case CURLE_OK:
		return ERR_OK;
	case CURLE_ABORTED_BY_CALLBACK:
		return err_set(info, ERR_REMOTE_AWAY, "%.200s: stopped before it had answered", r->url);
	case CURLE_WRITE_ERROR:
		return err_set(info, ERR_REMOTE, "%.200s: the answer is larger than the %zu bytes that are accepted", r->url,
					   answer->body.max);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(info, ERR_REMOTE,
					   "%.150s: its certificate is not believed (%.150s); MLFLOW_TRACKING_SERVER_CERT_PATH names a file with its "
					   "authority's",
					   r->url, why);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_SSL_CERTPROBLEM:
		return err_set(info, ERR_REMOTE, "%.200s: %.200s", r->url, why);
	default:
		return err_set(info, ERR_REMOTE_AWAY, "%.200s does not answer: %.200s", r->url, why);
	}
}

enum err
web_call(struct web *w, const struct web_request *request, struct web_answer *answer, struct err_info *info)
{
	const struct library *l = &w->curl;
	char *type = NULL;

	l->easy_reset(w->easy); /* the connection stays */
	answer->status = 0;
	answer->retry_after_s = 0;
	buf_reset(&answer->body);
	w->why[0] = '\0';
	set_limits(w, request);
	set_credentials(w);
	struct curl_slist *headers = set_request(w, request, answer);
	CURLcode code = l->easy_perform(w->easy);
	l->slist_free_all(headers);
	(void)l->easy_getinfo(w->easy, CURLINFO_RESPONSE_CODE, &answer->status);
	(void)l->easy_getinfo(w->easy, CURLINFO_CONTENT_TYPE, &type);
	answer->is_json = type != NULL && strncasecmp(type, "application/json", 16) == 0;
	return judge(w, code, request, answer, info);
}

void
web_escape(struct buf *out, const char *text, bool path)
{
	static const char hex[] = "0123456789ABCDEF";

	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("-_.~", *p) != NULL;
		if (plain || (path && *p == '/')) {
			buf_char(out, (char)*p);
			continue;
		}
		buf_char(out, '%');
		buf_char(out, hex[*p >> 4]);
		buf_char(out, hex[*p & 15]);
	}
}
