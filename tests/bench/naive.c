/* naive.c - /predict as one writes it first in C: cJSON for the body, XGBoost's C API for the rows, cJSON for the answer
 *
 * Its process lasts and its model is loaded once, as futaie's. MODEL names the model file. Rows are arrays of numbers, which it believes to be as
 * long as the first; what is wrong is answered with 400 and no sentence.
 */
#include "responder.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

static BoosterHandle booster; /* read by all threads */

/* One thread a request, as futaie does it: the requests share the processors. NULL without an answer; XGBoost's, until the thread's next call. */
static const float *
predict(const float *rows, size_t n_rows, size_t n_columns)
{
	static const char config[] = "{\"type\":0,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,\"strict_shape\":false,"
								 "\"cache_id\":0,\"missing\":NaN}";
	char interface[160];
	const bst_ulong *shape;
	bst_ulong n_dims;
	const float *values;

	(void)snprintf(interface, sizeof interface, "{\"data\":[%ju,true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\",\"version\":3}",
				   (uintmax_t)(uintptr_t)rows, n_rows, n_columns);
	if (XGBoosterPredictFromDense(booster, interface, config, NULL, &shape, &n_dims, &values) != 0 || shape[0] != n_rows)
		return NULL;
	return values;
}

/* The first call sets up what is lazy in XGBoost, which threads must not do at once. */
bool
responder_prepare(void)
{
	bst_ulong n_columns;
	const char *file = getenv("MODEL");

	if (file == NULL || XGBoosterCreate(NULL, 0, &booster) != 0 || XGBoosterSetParam(booster, "nthread", "1") != 0 ||
		XGBoosterLoadModel(booster, file) != 0 || XGBoosterGetNumFeature(booster, &n_columns) != 0)
		return false;
	float *row = calloc(n_columns, sizeof *row);
	bool done = row != NULL && predict(row, 1, n_columns) != NULL;
	free(row);
	return done;
}

static char *
read_body(FCGX_Request *request, size_t *len)
{
	const char *text = FCGX_GetParam("CONTENT_LENGTH", request->envp);
	size_t n = text != NULL ? strtoul(text, NULL, 10) : 0;
	char *body = malloc(n + 1);

	*len = 0;
	for (int got = 1; body != NULL && *len < n && got > 0; *len += (size_t)got)
		got = FCGX_GetStr(body + *len, (int)(n - *len), request->in);
	return body;
}

/* Row-major; NULL where they are no rows of one length. */
static float *
fill_matrix(const cJSON *features, size_t *n_rows, size_t *n_columns)
{
	const cJSON *row;
	const cJSON *cell;
	float *next;

	*n_rows = (size_t)cJSON_GetArraySize(features);
	*n_columns = (size_t)cJSON_GetArraySize(cJSON_GetArrayItem(features, 0));
	float *rows = malloc((*n_rows * *n_columns + 1) * sizeof *rows);
	if (rows == NULL || (next = rows) == NULL)
		return NULL;
	cJSON_ArrayForEach (row, features) {
		if ((size_t)cJSON_GetArraySize(row) != *n_columns)
			break;
		cJSON_ArrayForEach (cell, row)
			*next++ = (float)cJSON_GetNumberValue(cell);
	}
	if (row == NULL && *n_rows > 0)
		return rows;
	free(rows);
	return NULL;
}

/* The answer as text, for the caller to free; NULL where the body is wrong. */
static char *
answer_body(const char *body, size_t len)
{
	size_t n_rows;
	size_t n_columns;
	cJSON *document = cJSON_ParseWithLength(body, len);
	float *rows = fill_matrix(cJSON_GetObjectItemCaseSensitive(document, "features"), &n_rows, &n_columns);
	const float *values = rows != NULL ? predict(rows, n_rows, n_columns) : NULL;
	char *text = NULL;

	if (values != NULL) {
		cJSON *answer = cJSON_CreateObject();
		(void)cJSON_AddItemToObject(answer, "predictions", cJSON_CreateFloatArray(values, (int)n_rows));
		text = cJSON_PrintUnformatted(answer);
		cJSON_Delete(answer);
	}
	free(rows);
	cJSON_Delete(document);
	return text;
}

void
responder_answer(FCGX_Request *request)
{
	size_t len;
	char *body = read_body(request, &len);
	char *text = body != NULL && len > 0 ? answer_body(body, len) : NULL;

	if (text != NULL)
		(void)FCGX_FPrintF(request->out, "Status: 200\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
						   (int)strlen(text));
	else /* a request without a body asks whether it is ready */
		(void)FCGX_FPrintF(request->out, "Status: %d\r\nContent-Length: 0\r\n\r\n", len > 0 ? 400 : 200);
	if (text != NULL)
		(void)FCGX_PutStr(text, (int)strlen(text), request->out);
	free(text);
	free(body);
}
