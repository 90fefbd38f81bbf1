/* web.h - HTTP calls to one server, through libcurl */
#ifndef FUTAIE_WEB_H
#define FUTAIE_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The only includer of <curl/curl.h>. The library is opened when the first call wants it, not when the program starts: with its TLS it would
 * take several megabytes and milliseconds of a server that never makes a call.
 *
 * Only http and https; redirects are not followed, since what was sent may not be for others. No sentence holds a credential: `url` must have none.
 */
struct web;

/* True where what is under way is to end, for a signal for example; asked at least once a second. By the thread that makes the call. */
typedef bool web_stop(void *context);

/* All borrowed for the life of the web; NULL or "" for what there is not. */
struct web_options {
	const char *user; /* basic authentication, with a password */
	const char *password;
	const char *token;       /* bearer, where there is no user */
	const char *ca_file;     /* whom to believe, in place of the system's list */
	const char *certificate; /* of ours, PEM, with its key */
	bool insecure;           /* believe anybody */
	int timeout_s;           /* to connect; without a byte; and for the whole, beside what the size takes */
	web_stop *stop;          /* or NULL */
	void *context;
};

struct web_request {
	const char *method;
	const char *url;
	const char *type; /* of the body, or NULL for none */
	const void *body;
	size_t len;
	size_t expected; /* bytes of the answer, where they are known: they give it time */
};

/* `body` is of the caller, whose maximum bounds it. */
struct web_answer {
	long status;
	long retry_after_s; /* 0: not said */
	bool is_json;
	struct buf body;
};

/* Not for two threads at once. ERR_FILE where libcurl is not there. */
enum err web_open(const struct web_options *options, struct web **out, struct err_info *info);
void web_free(struct web *w);

/*
 * Makes one call, once. ERR_REMOTE_AWAY where the server cannot be reached, takes too long or the call was stopped; ERR_REMOTE where its certificate is not
 * believed, the URL is none, or the answer is larger than its maximum. Any status is an answer.
 */
enum err web_call(struct web *w, const struct web_request *request, struct web_answer *answer, struct err_info *info);

/* Appends `text` with all but letters, digits, "-", "_", "." and "~" percent-encoded (RFC 3986); slashes are kept where `path`. */
void web_escape(struct buf *out, const char *text, bool path);

#endif
