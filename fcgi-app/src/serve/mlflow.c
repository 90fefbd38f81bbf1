/* mlflow.c - MLflow's scoring protocol, and SageMaker's: POST /invocations, GET /ping and /health
 *
 * Formats: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ and mlflow/pyfunc/scoring_server (MLflow 2.0 and later).
 */
#include "serve/mlflow.h"

#include <string.h>

#include "base/json.h"
#include "serve/predict.h"

enum { DEPTH_MAX = 16 /* of what nobody reads: params, an index, unknown members */ };

/* One reading of a JSON body. */
struct reading {
	struct rows *rows;
	const struct features *f;
	struct err_info *info; /* the caller's */
	struct err_info inner; /* of the JSON reader */
	struct json_reader json;
	char form[24]; /* the member that holds the rows, or "" */
};

const char *
mlflow_error_code(enum err code)
{
	switch (err_status(code)) {
	case 401:
		return "UNAUTHENTICATED";
	case 403:
		return "PERMISSION_DENIED";
	case 404:
		return code == ERR_NOT_FOUND ? "ENDPOINT_NOT_FOUND" : "RESOURCE_DOES_NOT_EXIST";
	case 429:
		return "REQUEST_LIMIT_EXCEEDED";
	case 500:
		return "INTERNAL_ERROR";
	case 501:
		return "NOT_IMPLEMENTED";
	case 503:
		return "TEMPORARILY_UNAVAILABLE";
	default:
		return "BAD_REQUEST";
	}
}

static enum err
pass_on(struct reading *in, enum err e)
{
	return e == ERR_OK ? ERR_OK : err_set(in->info, e, "%s", in->inner.text);
}

static enum err
skip(struct reading *in)
{
	return pass_on(in, json_skip(&in->json, DEPTH_MAX));
}

/* The rows of a split, in the order of its columns. */
static enum err
read_data(struct reading *in)
{
	return rows_json_table(in->rows, in->f, &in->rows->header, &in->json, in->info);
}

/* A member of a split. `*data` is where its rows stand as long as its columns have not come; NULL where there are none. */
static enum err
take_split_member(struct reading *in, const char *name, bool *has_columns, bool *has_data, const char **data)
{
	bool *seen = strcmp(name, "columns") == 0 ? has_columns : strcmp(name, "data") == 0 ? has_data : NULL;

	if (seen == NULL && strcmp(name, "index") == 0)
		return skip(in);
	if (seen == NULL)
		return err_set(in->info, ERR_UNKNOWN_FIELD, "\"dataframe_split\" has a member \"%.60s\"; expected columns, data and index",
					   name);
	if (*seen)
		return err_set(in->info, ERR_REPEATED_FIELD, "\"dataframe_split\" has the member \"%s\" twice", name);
	*seen = true;
	if (seen == has_columns)
		return rows_header_json(&in->rows->header, in->f, &in->json, in->info);
	if (*has_columns)
		return read_data(in);
	(void)json_peek(&in->json);
	*data = in->json.p;
	return skip(in);
}

/* {"columns": ["MedInc", …], "data": [[…], …], "index": […]} */
static enum err
read_split(struct reading *in)
{
	char name[64];
	size_t len;
	bool more;
	bool has_columns = false;
	bool has_data = false;
	const char *data = NULL;
	enum err e = json_open(&in->json, '{');

	while (e == ERR_OK && (e = json_more(&in->json, '}', &more)) == ERR_OK && more) {
		e = json_name(&in->json, name, sizeof name, &len);
		if (e != ERR_OK)
			break;
		e = take_split_member(in, name, &has_columns, &has_data, &data);
		if (e != ERR_OK)
			return e;
	}
	if (e != ERR_OK)
		return pass_on(in, e);
	if (!has_columns || !has_data)
		return err_set(in->info, ERR_MISSING_FIELD, "\"dataframe_split\" lacks its \"%s\"", has_columns ? "data" : "columns");
	if (data == NULL)
		return ERR_OK;
	const struct json_reader behind = in->json;
	in->json.p = data;
	e = read_data(in);
	in->json = behind;
	return e;
}

/* A member that holds rows; false in `*known` where it is none. */
static enum err
take_form(struct reading *in, const char *name, bool *known)
{
	static const char *const forms[] = {"dataframe_split", "dataframe_records", "instances", "inputs"};
	size_t i = 0;

	while (i < sizeof forms / sizeof forms[0] && strcmp(forms[i], name) != 0)
		i++;
	*known = i < sizeof forms / sizeof forms[0];
	if (!*known)
		return ERR_OK;
	if (strcmp(in->form, name) == 0)
		return err_set(in->info, ERR_REPEATED_FIELD, "the body has the member \"%s\" twice", name);
	if (in->form[0] != '\0')
		return err_set(
			in->info, ERR_UNKNOWN_FIELD,
			"the body has both \"%s\" and \"%s\"; expected one of dataframe_split, dataframe_records, instances and inputs",
			in->form, name);
	memcpy(in->form, name, strlen(name) + 1);
	if (strcmp(name, "dataframe_split") == 0)
		return read_split(in);
	if (strcmp(name, "inputs") == 0 && json_peek(&in->json) == JSON_OBJECT)
		return rows_json_columns(in->rows, in->f, &in->json, in->info);
	return rows_json_array(in->rows, in->f, name, &in->json, in->info);
}

static enum err
take_params(struct reading *in)
{
	enum json_kind kind = json_peek(&in->json);

	if (kind != JSON_OBJECT && kind != JSON_NULL && kind != JSON_END && kind != JSON_BAD)
		return pass_on(in, json_fail(&in->json, ERR_WRONG_TYPE, "\"params\" must be an object, found %s", json_kind_name(kind)));
	return skip(in);
}

/* The members of the body: exactly one form of rows; params, which no model here has; others are passed over, as MLflow does. */
static enum err
read_members(struct reading *in)
{
	char name[64];
	size_t len;
	bool more;
	bool known;
	enum err e = json_open(&in->json, '{');

	while (e == ERR_OK && (e = json_more(&in->json, '}', &more)) == ERR_OK && more) {
		e = json_name(&in->json, name, sizeof name, &len);
		if (e != ERR_OK)
			break;
		e = take_form(in, name, &known);
		if (e == ERR_OK && !known)
			e = strcmp(name, "params") == 0 ? take_params(in) : skip(in);
		if (e != ERR_OK)
			return e;
	}
	return pass_on(in, e == ERR_OK ? json_end(&in->json) : e);
}

static enum err
read_json(struct request *q, const struct features *f)
{
	static const char expected[] =
		"expected {\"dataframe_split\": {\"columns\": [names], \"data\": [[…], …]}}, or dataframe_records, "
		"instances or inputs";
	struct reading in = {.rows = &q->rows, .f = f, .info = &q->error};

	json_init(&in.json, buf_peek(&q->body), q->body.len, &in.inner);
	in.json.skip_nan = true;
	enum json_kind kind = json_peek(&in.json);
	if (kind == JSON_END)
		return err_set(&q->error, ERR_BAD_JSON, "the body is empty; %s", expected);
	if (kind != JSON_OBJECT && kind != JSON_BAD)
		return err_set(&q->error, ERR_WRONG_TYPE, "the body is %s; %s", json_kind_name(kind), expected);
	enum err e = read_members(&in);
	if (e == ERR_OK && in.form[0] == '\0')
		return err_set(&q->error, ERR_MISSING_FIELD, "the body has no rows; %s", expected);
	return e;
}

static enum err
read_rows(struct request *q, struct score *s)
{
	const struct predict_asked *asked = s->own;

	if (asked->type == PREDICT_CSV)
		return predict_read(q, s);
	enum err e = read_json(q, model_features(s->model));
	s->output = asked->output;
	s->values = rows_values(&q->rows);
	s->n_rows = q->rows.n;
	return e;
}

static enum err
print_answer(struct request *q, struct score *s)
{
	buf_str(&q->answer, "{\"predictions\":[");
	enum err e = score_run(q, s, predict_take);
	buf_str(&q->answer, "]}\n");
	return e == ERR_OK ? score_end(q) : e;
}

enum err
mlflow_invocations(struct request *q)
{
	static const struct score_protocol protocol = {predict_accept, read_rows, print_answer};
	struct predict_asked asked;

	return score_handle(q, &protocol, &asked);
}

enum err
mlflow_ping(struct request *q)
{
	enum err e = status_readyz(q);

	if (e != ERR_OK)
		return e;
	buf_reset(&q->answer);
	buf_str(&q->answer, "\n");
	q->content_type = "text/plain; charset=utf-8";
	return ERR_OK;
}
