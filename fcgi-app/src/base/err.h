/* err.h - what can go wrong, with its HTTP status, public code and sentence */
#ifndef FUTAIE_ERR_H
#define FUTAIE_ERR_H

#include <stddef.h>

/*
 * One enum for every failure of the program. A function that can fail returns `enum err` (ERR_OK is 0) and, where it takes a
 * `struct err_info *`, fills it in exactly when it returns something else. err.c's table gives each its HTTP status and its
 * public code (the `code` of an error body, and the label of prediction_errors_total).
 */
enum err {
	ERR_OK,
	/* the request's text: 400 */
	ERR_BAD_JSON,
	ERR_BAD_CSV,
	ERR_BAD_NUMBER,
	ERR_WRONG_TYPE,
	ERR_WRONG_FEATURE_COUNT,
	ERR_UNKNOWN_FEATURE,
	ERR_MISSING_FEATURE,
	ERR_REPEATED_FEATURE,
	ERR_NO_ROWS,
	ERR_UNKNOWN_FIELD,
	ERR_MISSING_FIELD,
	ERR_REPEATED_FIELD,
	ERR_BAD_PARAMETER,
	ERR_INCOMPLETE_BODY,
	/* the request's target: 404, 405 */
	ERR_NOT_FOUND,
	ERR_UNKNOWN_MODEL,
	ERR_UNKNOWN_VERSION,
	ERR_UNKNOWN_ID,
	ERR_NO_CHAMPION,
	ERR_NO_DEFAULT_MODEL,
	ERR_METHOD_NOT_ALLOWED,
	/* the request's size and kind: 413, 415 */
	ERR_BODY_TOO_LARGE,
	ERR_TOO_MANY_ROWS,
	ERR_ANSWER_TOO_LARGE,
	ERR_UNSUPPORTED_MEDIA_TYPE,
	/* what the request asks for: 501 */
	ERR_NOT_IMPLEMENTED,
	/* who asks, and how often: 401, 403, 429 */
	ERR_UNAUTHORIZED,
	ERR_FORBIDDEN,
	ERR_RATE_LIMITED,
	/* the server's state: 503 */
	ERR_NOT_READY,
	ERR_OVERLOADED,
	ERR_OUT_OF_MEMORY,
	ERR_MODEL_FAILED,
	/* never an answer to a client's input */
	ERR_INTERNAL,
	/* not HTTP: configuration, files, models */
	ERR_USAGE,
	ERR_FILE,
	ERR_CLOSED_PIPE, /* whoever read our output has gone */
	ERR_BAD_MANIFEST,
	ERR_SHA256_MISMATCH,
	ERR_BAD_MODEL,
	ERR_UNSUPPORTED_MODEL,
	ERR_GOLDEN_MISMATCH,
	/* another server that we ask */
	ERR_REMOTE_AWAY, /* it cannot be reached, or has trouble of its own: later it may answer */
	ERR_REMOTE,      /* it says no, or what it says cannot be used */
	ERR_COUNT
};

enum { ERR_TEXT_MAX = 512, ERR_FEATURE_MAX = 96 };

#define ERR_NO_ROW (-1L)

/* A failure with its sentence. The caller owns it; err_record() makes it whole, so it needs no initialisation before a call. */
struct err_info {
	enum err code;
	long row;                      /* zero-based row of the request's body, or ERR_NO_ROW */
	char feature[ERR_FEATURE_MAX]; /* feature's name, cut to fit, or "" */
	char text[ERR_TEXT_MAX];       /* what is wrong, where, what was expected */
};

/*
 * Fills in `info`, unless it is NULL; `feature` may be NULL. Called through the two macros below, which have the value of `code`, so that
 * compilers and analysers see that a failure is not ERR_OK.
 */
void err_record(struct err_info *info, enum err code, long row, const char *feature, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* err_set(info, code, format, ...): a failure of no row and no feature. */
#define err_set(info, code, ...) (err_record((info), (code), ERR_NO_ROW, NULL, __VA_ARGS__), (enum err)(code))

/* err_set_at(info, code, row, feature, format, ...): the same, with the row and the feature concerned. */
#define err_set_at(info, code, row, feature, ...) (err_record((info), (code), (row), (feature), __VA_ARGS__), (enum err)(code))

/* HTTP status of `code`: 200 for ERR_OK, 500 for what should never reach a client. */
int err_status(enum err code);

/* Public name of `code` in snake_case, a static string. */
const char *err_code(enum err code);

/* The failure with that public name, or ERR_INTERNAL where there is none. */
enum err err_find(const char *code, size_t len);

/* Seconds a client should wait before it tries again, or 0 where trying again does not help. */
int err_retry_after_s(enum err code);

#endif
