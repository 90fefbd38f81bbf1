/* test_openapi.c - tests of serve/openapi.json: it names the routes and the codes that there are */
#include "serve/openapi.h"

#include <cjson/cJSON.h>

#include "base/json.h"
#include "serve/router.h"
#include "unit.h"
#include "version.h"

static cJSON *document;

static int
setup(void **state)
{
	struct err_info info;

	(void)state;
	assert_err(json_document("openapi.json", (const char *)openapi_text, openapi_len, &document, &info), ERR_OK, &info);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cJSON_Delete(document);
	return 0;
}

/* What stands at `names`, ended by NULL. */
static const cJSON *
find(const char *const *names)
{
	const cJSON *item = document;

	for (; *names != NULL; names++) {
		item = cJSON_GetObjectItemCaseSensitive(item, *names);
		if (item == NULL)
			fail_msg("the document has no \"%s\"", *names);
	}
	return item;
}

static void
version(void **state)
{
	static const char *const names[] = {"info", "version", NULL};

	(void)state;
	assert_string_equal(cJSON_GetStringValue(find(names)), FUTAIE_VERSION);
}

/* The document writes methods in small letters. */
static void
write_method(char *out, size_t cap, const char *method)
{
	size_t n = 0;

	for (; method[n] != '\0' && n + 1 < cap; n++)
		out[n] = (char)(method[n] | 0x20);
	out[n] = '\0';
}

static void
routes_are_documented(void **state)
{
	static const char *const names[] = {"paths", NULL};
	const cJSON *paths = find(names);
	char method[16];

	(void)state;
	for (size_t i = 0; i + 1 < router_count(); i++) { /* the last one is "other" */
		const cJSON *path = cJSON_GetObjectItemCaseSensitive(paths, router_name(i));
		write_method(method, sizeof method, router_method(i));
		bool documented = cJSON_GetObjectItemCaseSensitive(path, method) != NULL;
		if (documented == router_is_local(i))
			fail_msg("%s %s is %s", router_method(i), router_name(i),
					 documented ? "documented, but only the admin socket has it" : "not documented");
	}
}

static bool
is_route(const char *path, const char *operation)
{
	char method[16];

	for (size_t i = 0; i + 1 < router_count(); i++) {
		write_method(method, sizeof method, router_method(i));
		if (strcmp(router_name(i), path) == 0 && strcmp(method, operation) == 0)
			return true;
	}
	return false;
}

static void
paths_are_routes(void **state)
{
	static const char *const names[] = {"paths", NULL};
	const cJSON *path;
	const cJSON *operation;

	(void)state;
	cJSON_ArrayForEach (path, find(names))
		cJSON_ArrayForEach (operation, path)
			if (!is_route(path->string, operation->string))
				fail_msg("%s %s is documented, but the router does not have it", operation->string, path->string);
}

/* A client may be answered with these; ERR_OK is none of them, nor are those that would be 500. */
static bool
is_public(enum err e)
{
	return err_status(e) >= 400 && err_status(e) != 500;
}

static void
codes(void **state)
{
	static const char *const names[] = {"components", "schemas", "ErrorCode", "enum", NULL};
	const cJSON *list = find(names);
	const cJSON *item = list->child;

	(void)state;
	for (int e = 0; e < ERR_COUNT; e++) { /* in the order of the table */
		if (!is_public((enum err)e))
			continue;
		check_string("code", item != NULL ? cJSON_GetStringValue(item) : NULL, err_code((enum err)e));
		item = item->next;
	}
	assert_null(item);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("the document is strict JSON and has the version of the program", version),
		TEST("every route but those of the admin socket is in the document, with its method", routes_are_documented),
		TEST("every path and method of the document is a route", paths_are_routes),
		TEST("the codes of errors are those of the table that a client may see, in its order", codes),
	};

	return cmocka_run_group_tests_name("openapi", tests, setup, teardown);
}
