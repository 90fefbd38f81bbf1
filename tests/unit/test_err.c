/* test_err.c - tests of base/err: the table of statuses and codes, and the sentences */
#include "unit.h"

static void
every_code_has_a_name(void **state)
{
	(void)state;
	for (int e = 0; e < ERR_COUNT; e++) {
		const char *code = err_code((enum err)e);
		assert_non_null(code);
		check_integer(code, strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(code));
		for (int other = 0; other < e; other++)
			if (strcmp(code, err_code((enum err)other)) == 0)
				fail_msg("errors %d and %d are both called %s", other, e, code);
	}
}

static void
statuses(void **state)
{
	static const struct {
		enum err first;
		enum err last;
		int status;
	} ranges[] = {
		{ERR_OK, ERR_OK, 200},
		{ERR_BAD_JSON, ERR_INCOMPLETE_BODY, 400},
		{ERR_NOT_FOUND, ERR_NO_DEFAULT_MODEL, 404},
		{ERR_METHOD_NOT_ALLOWED, ERR_METHOD_NOT_ALLOWED, 405},
		{ERR_BODY_TOO_LARGE, ERR_ANSWER_TOO_LARGE, 413},
		{ERR_UNSUPPORTED_MEDIA_TYPE, ERR_UNSUPPORTED_MEDIA_TYPE, 415},
		{ERR_NOT_IMPLEMENTED, ERR_NOT_IMPLEMENTED, 501},
		{ERR_UNAUTHORIZED, ERR_UNAUTHORIZED, 401},
		{ERR_FORBIDDEN, ERR_FORBIDDEN, 403},
		{ERR_RATE_LIMITED, ERR_RATE_LIMITED, 429},
		{ERR_NOT_READY, ERR_MODEL_FAILED, 503},
		{ERR_INTERNAL, ERR_COUNT - 1, 500},
	};
	int checked = 0;

	(void)state;
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		for (int e = (int)ranges[i].first; e <= (int)ranges[i].last; e++, checked++)
			check_integer(err_code((enum err)e), err_status((enum err)e), ranges[i].status);
	assert_int_equal(checked, ERR_COUNT);
}

static void
retry_after(void **state)
{
	(void)state;
	for (int e = 0; e < ERR_COUNT; e++)
		check_integer(err_code((enum err)e), err_retry_after_s((enum err)e) > 0,
					  err_status((enum err)e) == 503 || err_status((enum err)e) == 429);
}

static void
set_fills_in_all(void **state)
{
	struct err_info info;

	(void)state;
	memset(&info, 0x55, sizeof info);
	assert_int_equal(err_set(&info, ERR_NO_ROWS, "%d of %s", 7, "x"), ERR_NO_ROWS);
	assert_int_equal(info.code, ERR_NO_ROWS);
	assert_int_equal(info.row, ERR_NO_ROW);
	assert_string_equal(info.feature, "");
	assert_string_equal(info.text, "7 of x");
	assert_int_equal(err_set_at(&info, ERR_BAD_NUMBER, 3, "size", "bad"), ERR_BAD_NUMBER);
	assert_int_equal(info.row, 3);
	assert_string_equal(info.feature, "size");
}

static void
set_cuts_what_is_too_long(void **state)
{
	struct err_info info;
	char text[2 * ERR_TEXT_MAX];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	(void)err_set_at(&info, ERR_INTERNAL, 0, text, "%s", text);
	assert_int_equal(strlen(info.text), ERR_TEXT_MAX - 1);
	assert_int_equal(strlen(info.feature), ERR_FEATURE_MAX - 1);
}

static void
set_may_quote_itself(void **state)
{
	struct err_info info;

	(void)state;
	(void)err_set_at(&info, ERR_BAD_JSON, 1, "age", "inner");
	(void)err_set_at(&info, info.code, info.row, NULL, "outer, %s: %s", info.feature, info.text);
	assert_string_equal(info.text, "outer, age: inner");
	assert_string_equal(info.feature, "");
}

static void
set_without_info(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_FILE, "nobody asks"), ERR_FILE);
}

static void
found_by_their_names(void **state)
{
	(void)state;
	for (int code = 0; code < ERR_COUNT; code++)
		check_integer(err_code((enum err)code), err_find(err_code((enum err)code), strlen(err_code((enum err)code))), code);
	assert_int_equal(err_find("", 0), ERR_INTERNAL);
	assert_int_equal(err_find("bad_jso", 7), ERR_INTERNAL);
	assert_int_equal(err_find("bad_json more", 8), ERR_BAD_JSON);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("every error has a public code of its own in snake_case", every_code_has_a_name),
		TEST("every error has the HTTP status of its group", statuses),
		TEST("every 503 says when to try again, and nothing else does", retry_after),
		TEST("err_set and err_set_at fill in all of an uninitialised err_info", set_fills_in_all),
		TEST("a sentence and a feature's name are cut to fit", set_cuts_what_is_too_long),
		TEST("a sentence may quote the sentence that it replaces", set_may_quote_itself),
		TEST("err_set takes NULL where nobody wants the sentence", set_without_info),
		TEST("every code is found by its public name, and nothing else", found_by_their_names),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
