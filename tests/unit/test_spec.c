/* test_spec.c - tests of model/spec: NAME, NAME@ALIAS and NAME/VERSION, and what a refusal says */
#include "model/spec.h"

#include "folder.h"

/* "one" with versions 1, 2 and 10, "two" without a champion, "broken" with aliases that are no JSON. */
static int
make_store(void **state)
{
	if (folder_setup(state) != 0)
		return -1;
	for (size_t i = 0; i < 3; i++)
		(void)mkdir(folder_path((const char *const[]){"one", "two", "broken"}[i]), 0755);
	for (size_t i = 0; i < 5; i++)
		(void)mkdir(folder_path((const char *const[]){"one/1", "one/2", "one/10", "two/1", "broken/1"}[i]), 0755);
	folder_write(folder_path("one/aliases.json"), "{\"champion\": \"2\", \"challenger\": \"10\", \"lost\": \"7\"}");
	folder_write(folder_path("broken/aliases.json"), "champion");
	return 0;
}

static void
found(void **state)
{
	static const struct {
		const char *text;
		const char *name;
		const char *version;
	} rows[] = {
		{"one", "one", "2"},   {"one@champion", "one", "2"}, {"one@challenger", "one", "10"},
		{"one/1", "one", "1"}, {"one/10", "one", "10"},      {"two/1", "two", "1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct spec s;
		struct err_info info;
		check_err(rows[i].text, spec_resolve(&s, folder, rows[i].text, &info), ERR_OK, &info);
		check_string(rows[i].text, s.name, rows[i].name);
		check_string(rows[i].text, s.version, rows[i].version);
	}
}

static void
refused(void **state)
{
	static const struct {
		const char *text;
		enum err e;
		const char *sentence;
	} rows[] = {
		{"three", ERR_UNKNOWN_MODEL, " has no model \"three\"; its models are: broken, one, two"},
		{"one/3", ERR_UNKNOWN_VERSION, " has no version 3 of the model one; its versions are: 1, 2, 10"},
		{"one@lost", ERR_UNKNOWN_VERSION,
		 " has no version 7 of the model one, which is its alias lost; its versions are: 1, 2, 10"},
		{"one@best", ERR_UNKNOWN_VERSION,
		 "the model one has no alias \"best\"; its aliases are: champion (version 2), challenger (version 10), lost (version 7); "
		 "its "
		 "versions are: 1, 2, 10"},
		{"two", ERR_NO_CHAMPION, "the model two has no alias \"champion\"; its aliases are: none; its versions are: 1"},
		{"broken", ERR_FILE, "the model broken cannot be used: "},
		{"broken/1", ERR_FILE, "the model broken cannot be used: "},
		{"", ERR_USAGE, "\"\" is no NAME, NAME@ALIAS or NAME/VERSION"},
		{"one@", ERR_USAGE, "\"one@\" is no NAME"},
		{"one/", ERR_USAGE, "\"one/\" is no NAME"},
		{"one/01", ERR_USAGE, "\"one/01\" is no NAME"},
		{"one/x", ERR_USAGE, "\"one/x\" is no NAME"},
		{"one/1/2", ERR_USAGE, "\"one/1/2\" is no NAME"},
		{"one@a@b", ERR_USAGE, "is no NAME"},
		{"../one", ERR_USAGE, "is no NAME"},
		{"-", ERR_USAGE, "is no NAME"},
		{"o ne", ERR_USAGE, "is no NAME"},
		{"a123456789b123456789c123456789d123456789e123456789f123456789g1234", ERR_USAGE, "is no NAME"},
		{"one@a123456789b123456789c123456789d123456789e123456789f123456789g1234", ERR_USAGE, "is no NAME"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct spec s;
		struct err_info info;
		check_err(rows[i].text, spec_resolve(&s, folder, rows[i].text, &info), rows[i].e, &info);
		check_contains(rows[i].text, info.text, rows[i].sentence);
	}
}

static void
no_store(void **state)
{
	struct spec s;
	struct err_info info;

	(void)state;
	assert_err(spec_resolve(&s, folder_path("nowhere"), "one", &info), ERR_FILE, &info);
	assert_contains(info.text, "nowhere: cannot open the model store: ");
	assert_int_equal(mkdir(folder_path("empty"), 0755), 0);
	assert_err(spec_resolve(&s, folder_path("empty"), "one", &info), ERR_UNKNOWN_MODEL, &info);
	assert_contains(info.text, "its models are: none");
}

static void
long_lists(void **state)
{
	struct spec s;
	struct err_info info;
	char name[32];

	(void)state;
	assert_int_equal(mkdir(folder_path("many"), 0755), 0);
	for (int i = 1; i <= 300; i++) {
		(void)snprintf(name, sizeof name, "many/%d", i);
		assert_int_equal(mkdir(folder_path(name), 0755), 0);
	}
	assert_err(spec_resolve(&s, folder, "many/1000", &info), ERR_UNKNOWN_VERSION, &info);
	assert_contains(info.text, "its versions are: 1, 2, 3, 4,");
	assert_string_equal(info.text + strlen(info.text) - strlen(", …"), ", …");
	assert_err(spec_resolve(&s, folder, "many/300", &info), ERR_OK, &info);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_WITH("a version is found by name, by alias and by number", found, make_store, folder_teardown),
		TEST_WITH("what is not there or is no such form is refused, with what there is", refused, make_store, folder_teardown),
		TEST_WITH("a store that is not there or is empty is named", no_store, make_store, folder_teardown),
		TEST_WITH("a long list of versions is cut to fit", long_lists, make_store, folder_teardown),
	};

	return cmocka_run_group_tests_name("spec", tests, NULL, NULL);
}
