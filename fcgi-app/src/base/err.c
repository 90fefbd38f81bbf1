/* err.c - what can go wrong, with its HTTP status, public code and sentence */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_row {
	const char *code;
	int status;
	int retry_after_s;
};

static const struct err_row err_table[ERR_COUNT] = {
	[ERR_OK] = {"ok", 200, 0},
	[ERR_BAD_JSON] = {"bad_json", 400, 0},
	[ERR_BAD_CSV] = {"bad_csv", 400, 0},
	[ERR_BAD_NUMBER] = {"bad_number", 400, 0},
	[ERR_WRONG_TYPE] = {"wrong_type", 400, 0},
	[ERR_WRONG_FEATURE_COUNT] = {"wrong_feature_count", 400, 0},
	[ERR_UNKNOWN_FEATURE] = {"unknown_feature", 400, 0},
	[ERR_MISSING_FEATURE] = {"missing_feature", 400, 0},
	[ERR_REPEATED_FEATURE] = {"repeated_feature", 400, 0},
	[ERR_NO_ROWS] = {"no_rows", 400, 0},
	[ERR_UNKNOWN_FIELD] = {"unknown_field", 400, 0},
	[ERR_MISSING_FIELD] = {"missing_field", 400, 0},
	[ERR_REPEATED_FIELD] = {"repeated_field", 400, 0},
	[ERR_BAD_PARAMETER] = {"bad_parameter", 400, 0},
	[ERR_INCOMPLETE_BODY] = {"incomplete_body", 400, 0},
	[ERR_NOT_FOUND] = {"not_found", 404, 0},
	[ERR_UNKNOWN_MODEL] = {"unknown_model", 404, 0},
	[ERR_UNKNOWN_VERSION] = {"unknown_version", 404, 0},
	[ERR_UNKNOWN_ID] = {"unknown_id", 404, 0},
	[ERR_NO_CHAMPION] = {"no_champion", 404, 0},
	[ERR_NO_DEFAULT_MODEL] = {"no_default_model", 404, 0},
	[ERR_METHOD_NOT_ALLOWED] = {"method_not_allowed", 405, 0},
	[ERR_BODY_TOO_LARGE] = {"body_too_large", 413, 0},
	[ERR_TOO_MANY_ROWS] = {"too_many_rows", 413, 0},
	[ERR_ANSWER_TOO_LARGE] = {"answer_too_large", 413, 0},
	[ERR_UNSUPPORTED_MEDIA_TYPE] = {"unsupported_media_type", 415, 0},
	[ERR_NOT_IMPLEMENTED] = {"not_implemented", 501, 0},
	[ERR_UNAUTHORIZED] = {"unauthorized", 401, 0},
	[ERR_FORBIDDEN] = {"forbidden", 403, 0},
	[ERR_RATE_LIMITED] = {"rate_limited", 429, 1},
	[ERR_NOT_READY] = {"not_ready", 503, 2},
	[ERR_OVERLOADED] = {"overloaded", 503, 1},
	[ERR_OUT_OF_MEMORY] = {"out_of_memory", 503, 2},
	[ERR_MODEL_FAILED] = {"model_failed", 503, 5},
	[ERR_INTERNAL] = {"internal", 500, 0},
	[ERR_USAGE] = {"usage", 500, 0},
	[ERR_FILE] = {"file", 500, 0},
	[ERR_CLOSED_PIPE] = {"closed_pipe", 500, 0},
	[ERR_BAD_MANIFEST] = {"bad_manifest", 500, 0},
	[ERR_SHA256_MISMATCH] = {"sha256_mismatch", 500, 0},
	[ERR_BAD_MODEL] = {"bad_model", 500, 0},
	[ERR_UNSUPPORTED_MODEL] = {"unsupported_model", 500, 0},
	[ERR_GOLDEN_MISMATCH] = {"golden_mismatch", 500, 0},
	[ERR_REMOTE_AWAY] = {"remote_away", 500, 0},
	[ERR_REMOTE] = {"remote", 500, 0},
};

void
err_record(struct err_info *info, enum err code, long row, const char *feature, const char *format, ...)
{
	char text[ERR_TEXT_MAX]; /* both aside, since they may be made of what `info` held */
	char name[ERR_FEATURE_MAX];
	va_list args;

	if (info == NULL)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	(void)snprintf(name, sizeof name, "%s", feature != NULL ? feature : "");
	memcpy(info->feature, name, sizeof name);
	memcpy(info->text, text, sizeof text);
	info->code = code;
	info->row = row;
}

int
err_status(enum err code)
{
	return err_table[code].status;
}

const char *
err_code(enum err code)
{
	return err_table[code].code;
}

enum err
err_find(const char *code, size_t len)
{
	for (int i = 0; i < ERR_COUNT; i++)
		if (strlen(err_table[i].code) == len && memcmp(err_table[i].code, code, len) == 0)
			return (enum err)i;
	return ERR_INTERNAL;
}

int
err_retry_after_s(enum err code)
{
	return err_table[code].retry_after_s;
}
