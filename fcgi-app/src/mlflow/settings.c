/* settings.c - which MLflow server, and how to speak to it: its URL and MLflow's own environment variables */
#include "mlflow/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { TIMEOUT_S = 120, RETRIES = 7, BACKOFF_S = 2, TIMEOUT_MAX_S = 86400, RETRIES_MAX = 100, BACKOFF_MAX_S = 120 };

static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL ? value : "";
}

/* The first '@' behind "://" and before the path; NULL where there are no credentials. */
static const char *
find_at(const char *url, const char **start)
{
	const char *scheme = strstr(url, "://");
	const char *at = NULL;

	if (scheme == NULL)
		return NULL;
	*start = scheme + 3;
	for (const char *p = *start; *p != '\0' && strchr("/?# ", *p) == NULL; p++)
		if (*p == '@')
			at = p;
	return at;
}

const char *
settings_shown(const char *text, char *out, size_t cap)
{
	const char *start;
	const char *at = find_at(text, &start);

	if (at != NULL)
		(void)snprintf(out, cap, "%.*s%s", (int)(start - text), text, at + 1);
	else
		(void)snprintf(out, cap, "%s", text);
	return out;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A part of the URL, its percent-encoding undone; false where it is too long. */
static bool
decode(const char *p, const char *end, char *out, size_t cap)
{
	size_t n = 0;

	for (; p < end; p++) {
		if (n + 1 >= cap)
			return false;
		bool encoded = *p == '%' && end - p > 2 && hex(p[1]) >= 0 && hex(p[2]) >= 0;
		out[n] = *p;
		if (encoded) {
			out[n] = (char)(hex(p[1]) * 16 + hex(p[2]));
			p += 2;
		}
		n++;
	}
	out[n] = '\0';
	return true;
}

static enum err
take_url(struct settings *s, const char *uri, struct err_info *info)
{
	char shown[SETTINGS_URL_MAX];
	const char *start;
	const char *at = find_at(uri, &start);

	(void)settings_shown(uri, shown, sizeof shown);
	if (strncasecmp(shown, "http://", 7) != 0 && strncasecmp(shown, "https://", 8) != 0)
		return err_set(
			info, ERR_USAGE,
			"an MLflow server is given as http://HOST:PORT or https://HOST, not \"%.100s\"; mlflow server --backend-store-uri … "
			"serves such a store",
			shown);
	if (strlen(shown) + 1 >= sizeof shown || strpbrk(shown, "?# \t\r\n") != NULL)
		return err_set(info, ERR_USAGE, "the MLflow server's URL is too long, or has more than host, port and path: %.100s", shown);
	size_t len = strlen(shown);
	while (len > 0 && shown[len - 1] == '/')
		shown[--len] = '\0';
	memcpy(s->url, shown, len + 1);
	if (at == NULL)
		return ERR_OK;
	const char *colon = memchr(start, ':', (size_t)(at - start));
	if (!decode(start, colon != NULL ? colon : at, s->user, sizeof s->user) ||
		(colon != NULL && !decode(colon + 1, at, s->password, sizeof s->password)))
		return err_set(info, ERR_USAGE, "the credentials in the URL of %.100s are too long", s->url);
	return ERR_OK;
}

static enum err
take_credentials(struct settings *s, struct err_info *info)
{
	const char *user = variable("MLFLOW_TRACKING_USERNAME");
	const char *password = variable("MLFLOW_TRACKING_PASSWORD");

	if (strlen(user) >= sizeof s->user || strlen(password) >= sizeof s->password)
		return err_set(info, ERR_USAGE, "MLFLOW_TRACKING_USERNAME or MLFLOW_TRACKING_PASSWORD is longer than %d bytes",
					   SETTINGS_SECRET_MAX - 1);
	if (*user != '\0' && *password != '\0') {
		memcpy(s->user, user, strlen(user) + 1);
		memcpy(s->password, password, strlen(password) + 1);
	}
	return ERR_OK;
}

static enum err
take_integer(const char *name, int low, int high, int *value, struct err_info *info)
{
	const char *text = variable(name);
	long long number;

	if (*text == '\0')
		return ERR_OK;
	if (!text_integer(text, low, high, &number))
		return err_set(info, ERR_USAGE, "%s must be a whole number from %d to %d, not \"%.30s\"", name, low, high, text);
	*value = (int)number;
	return ERR_OK;
}

static enum err
take_seconds(const char *name, double *value, struct err_info *info)
{
	const char *text = variable(name);
	char *end;

	if (*text == '\0')
		return ERR_OK;
	double number = strtod(text, &end);
	if (end == text || *end != '\0' || !(number >= 0 && number <= BACKOFF_MAX_S))
		return err_set(info, ERR_USAGE, "%s must be seconds from 0 to %d, not \"%.30s\"", name, BACKOFF_MAX_S, text);
	*value = number;
	return ERR_OK;
}

enum err
settings_init(struct settings *s, const char *uri, struct err_info *info)
{
	const char *insecure = variable("MLFLOW_TRACKING_INSECURE_TLS");

	*s = (struct settings){.retries = RETRIES, .backoff_s = BACKOFF_S, .jitter_s = 1, .web = {.timeout_s = TIMEOUT_S}};
	enum err e = take_url(s, uri, info);
	if (e == ERR_OK)
		e = take_credentials(s, info);
	if (e == ERR_OK)
		e = take_integer("MLFLOW_HTTP_REQUEST_TIMEOUT", 1, TIMEOUT_MAX_S, &s->web.timeout_s, info);
	if (e == ERR_OK)
		e = take_integer("MLFLOW_HTTP_REQUEST_MAX_RETRIES", 0, RETRIES_MAX, &s->retries, info);
	if (e == ERR_OK)
		e = take_seconds("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", &s->backoff_s, info);
	if (e == ERR_OK)
		e = take_seconds("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", &s->jitter_s, info);
	s->web.user = s->user;
	s->web.password = s->password;
	s->web.token = variable("MLFLOW_TRACKING_TOKEN");
	s->web.ca_file = variable("MLFLOW_TRACKING_SERVER_CERT_PATH");
	s->web.certificate = variable("MLFLOW_TRACKING_CLIENT_CERT_PATH");
	s->web.insecure = strcasecmp(insecure, "true") == 0 || strcmp(insecure, "1") == 0;
	return e;
}

void
settings_release(struct settings *s)
{
	explicit_bzero(s, sizeof *s);
}
