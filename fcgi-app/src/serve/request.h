/* request.h - what a handler gets, and what it gives back */
#ifndef FUTAIE_REQUEST_H
#define FUTAIE_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "model/manifest.h"
#include "model/rows.h"
#include "model/tensors.h"
#include "serve/fcgi_io.h"
#include "serve/gate.h"
#include "serve/registry.h"
#include "watch/history.h"
#include "watch/journal.h"
#include "watch/metrics.h"
#include "watch/truth.h"

enum {
	REQUEST_ID_MAX = 65,   /* with its NUL */
	REQUEST_PATH_MAX = 512 /* most bytes of a path, with its NUL; a longer one is 404 */
};

/* Which requests the log has. */
enum request_log { REQUEST_LOG_ALL, REQUEST_LOG_ERRORS, REQUEST_LOG_NONE };

/* Who may use a route, once keys are asked for. */
enum request_scope {
	REQUEST_PUBLIC,
	REQUEST_PREDICT, /* a prediction: counted as one, also where it is refused */
	REQUEST_CLIENT,  /* who may predict, for what is no prediction */
	REQUEST_METRICS,
	REQUEST_ADMIN,
	REQUEST_LOCAL /* as REQUEST_ADMIN, and only who reaches --admin-socket, which has the other routes as well */
};

/* Whose form the body of an error has. */
enum request_shape { REQUEST_OWN, REQUEST_INFERENCE /* Open Inference Protocol */, REQUEST_MLFLOW };

/* What all workers share; immutable while they run. */
struct server {
	size_t body_max; /* bytes */
	size_t rows_max;
	size_t processors; /* that scoring may use */
	enum request_log log_requests;
	bool admin; /* these are the workers of --admin-socket */
	struct log log;
	struct metrics *metrics;   /* owned by cmd_serve.c */
	struct registry *registry; /* owned by cmd_serve.c */
	struct gate *gate;         /* owned by cmd_serve.c; NULL where neither keys nor limits are asked for */
	struct history *history;   /* owned by cmd_serve.c */
	struct truth *truth;       /* owned by cmd_serve.c; NULL: feedback is off */
	struct journal *journal;   /* owned by cmd_serve.c; NULL: there is none */
};

/* One worker's request: the memory is the worker's and used again for the next one. */
struct request {
	const struct server *server;
	size_t worker; /* its number: the metrics' shard and the registry's slot */
	struct fcgi_io *io;

	/* of the request */
	char id[REQUEST_ID_MAX];
	char path[REQUEST_PATH_MAX];        /* percent-decoded */
	const char *query;                  /* behind the '?', or ""; borrowed from libfcgi */
	char model[MANIFEST_NAME_MAX];      /* {name} of the path, or "" */
	char version[MANIFEST_VERSION_MAX]; /* {version} of the path, or "" */
	struct buf body;
	struct rows rows;
	struct tensors tensors;
	enum request_shape shape; /* of an error */
	struct buf outputs;       /* float32 of one chunk */
	struct booster_caller caller;

	/* of the answer */
	struct err_info error; /* code is ERR_OK where there is none */
	const char *content_type;
	const char *allow;       /* for ERR_METHOD_NOT_ALLOWED */
	struct gate_result gate; /* what it said */
	struct buf answer;
	size_t json_len;                      /* of the answer's, where binary tensors stand behind its JSON; else 0 */
	size_t n_rows;                        /* predicted, for the log */
	char served_model[MANIFEST_NAME_MAX]; /* which answered, for the log */
	char served_version[MANIFEST_VERSION_MAX];

	struct buf head; /* the answer's header lines */
	struct buf line; /* of the log */
	struct buf kept; /* lines of it that are not written yet */
	uint64_t kept_since_ns;
	uint64_t id_state;
};

/* Handlers fill in `answer` and return ERR_OK, or fill in `error` and return its code. */
typedef enum err request_handler(struct request *q);

request_handler predict_handle;
request_handler explain_handle;
request_handler status_healthz;
request_handler status_readyz;
request_handler status_openapi;
request_handler status_version;
request_handler status_models;
request_handler status_model;
request_handler status_model_version;
request_handler status_metrics;
request_handler inference_server;
request_handler inference_live;
request_handler inference_ready;
request_handler inference_model;
request_handler inference_model_ready;
request_handler inference_infer;
request_handler statistics_handle;
request_handler repository_index;
request_handler repository_load;
request_handler repository_unload;
request_handler mlflow_invocations;
request_handler mlflow_ping;
request_handler status_hour;
request_handler feedback_handle;

#endif
