/* settings.h - which MLflow server, and how to speak to it: its URL and MLflow's own environment variables */
#ifndef FUTAIE_SETTINGS_H
#define FUTAIE_SETTINGS_H

#include "base/err.h"
#include "mlflow/web.h"

enum { SETTINGS_URL_MAX = 1024, SETTINGS_SECRET_MAX = 4096 };

/*
 * The variables and their meaning are those of mlflow.environment_variables (MLflow 2 and 3): MLFLOW_TRACKING_USERNAME and
 * MLFLOW_TRACKING_PASSWORD (basic authentication; both or neither, and over a token), MLFLOW_TRACKING_TOKEN (bearer),
 * MLFLOW_TRACKING_INSECURE_TLS ("true" or "1"), MLFLOW_TRACKING_SERVER_CERT_PATH (a file of authorities), MLFLOW_TRACKING_CLIENT_CERT_PATH (PEM with its
 * key), MLFLOW_HTTP_REQUEST_TIMEOUT (seconds, 120), MLFLOW_HTTP_REQUEST_MAX_RETRIES (7), MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR (seconds, 2)
 * and MLFLOW_HTTP_REQUEST_BACKOFF_JITTER (seconds, 1.0).
 */
struct settings {
	char url[SETTINGS_URL_MAX]; /* "http://host:5000", without a slash at the end and without credentials: fit for sentences */
	char user[SETTINGS_SECRET_MAX];
	char password[SETTINGS_SECRET_MAX];
	struct web_options web; /* borrows from this struct and from the environment */
	int retries;
	double backoff_s;
	double jitter_s;
};

/*
 * `uri` is http://… or https://…; "user:password@" in it is taken out, and used where the environment names no user. ERR_USAGE for another scheme, and
 * for a variable that is no number, with a sentence that does not repeat a credential.
 */
enum err settings_init(struct settings *s, const char *uri, struct err_info *info);

/* Overwrites the credentials. */
void settings_release(struct settings *s);

/* Copies `text` without what stands between "://" and "@": for messages and records. Cut to fit. */
const char *settings_shown(const char *text, char *out, size_t cap);

#endif
