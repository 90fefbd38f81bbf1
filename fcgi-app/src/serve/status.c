/* status.c - what the server tells of itself: health, versions, models, metrics, the last hour */
#include "base/clock.h"
#include "model/booster.h"
#include "serve/feedback.h"
#include "serve/openapi.h"
#include "serve/request.h"
#include "serve/score.h"
#include "version.h"

enum err
status_healthz(struct request *q)
{
	buf_str(&q->answer, "{\"status\":\"alive\"}\n");
	return ERR_OK;
}

enum err
status_readyz(struct request *q)
{
	const struct catalog *catalog = registry_enter(q->server->registry, q->worker);
	bool ready = catalog_ready(catalog);

	if (ready)
		catalog_write_ready(catalog, &q->answer);
	registry_leave(q->server->registry, q->worker);
	if (!ready)
		return err_set(&q->error, ERR_NOT_READY, "no model can be served yet; the server's log says why");
	return ERR_OK;
}

enum err
status_openapi(struct request *q)
{
	buf_add(&q->answer, openapi_text, openapi_len);
	return ERR_OK;
}

enum err
status_version(struct request *q)
{
	char library[16];

	buf_printf(&q->answer, "{\"futaie\":\"%s\",\"xgboost\":\"%s\"}\n", FUTAIE_VERSION, booster_library_version(library));
	return ERR_OK;
}

enum err
status_models(struct request *q)
{
	const struct catalog *catalog = registry_enter(q->server->registry, q->worker);

	buf_str(&q->answer, catalog_models_json(catalog));
	registry_leave(q->server->registry, q->worker);
	return ERR_OK;
}

enum err
status_model(struct request *q)
{
	const struct catalog *catalog = registry_enter(q->server->registry, q->worker);
	const char *json = catalog_model_json(catalog, q->model);

	if (json != NULL)
		buf_str(&q->answer, json);
	registry_leave(q->server->registry, q->worker);
	if (json == NULL)
		return err_set(&q->error, ERR_UNKNOWN_MODEL, "there is no model \"%.64s\"; GET /models lists them", q->model);
	return ERR_OK;
}

enum err
status_model_version(struct request *q)
{
	struct catalog_choice choice;
	enum err e = score_enter(q, &choice);

	if (e == ERR_OK)
		catalog_write_choice(&choice, &q->answer);
	registry_leave(q->server->registry, q->worker);
	return e;
}

enum err
status_metrics(struct request *q)
{
	q->content_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write(q->server->metrics, &q->answer);
	if (q->server->truth != NULL)
		truth_write_metrics(q->server->truth, &q->answer);
	if (q->server->journal != NULL)
		journal_write_metrics(q->server->journal, &q->answer);
	const struct catalog *catalog = registry_enter(q->server->registry, q->worker);
	catalog_write_metrics(catalog, &q->answer);
	registry_leave(q->server->registry, q->worker);
	return ERR_OK;
}

enum err
status_hour(struct request *q)
{
	buf_char(&q->answer, '{');
	history_write(q->server->history, clock_now_ns(), feedback_write_live, q->server->truth, &q->answer);
	buf_printf(&q->answer, ",\"feedback\":%s}\n", q->server->truth != NULL ? "true" : "false");
	return ERR_OK;
}
