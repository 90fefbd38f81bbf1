/* test_store.c - tests of model/store: folders, versions and aliases.json */
#include "model/store.h"

#include "folder.h"

static void
make_folder(const char *name)
{
	if (mkdir(folder_path(name), 0755) != 0)
		fail_msg("cannot make %s", name);
}

/* All of a store as text: "name:1,2,10{champion=2} ". */
static const char *
shown(const struct store *s)
{
	static char text[1024];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < s->n_models; i++) {
		const struct store_model *m = &s->models[i];
		n += (size_t)snprintf(text + n, sizeof text - n, "%s:", m->name);
		for (size_t k = 0; k < m->n_versions; k++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%ld", k == 0 ? "" : ",", m->versions[k]);
		for (size_t k = 0; k < m->n_aliases; k++)
			n += (size_t)snprintf(text + n, sizeof text - n, "{%s=%s}", m->aliases[k].name, m->aliases[k].version);
		n += (size_t)snprintf(text + n, sizeof text - n, " ");
	}
	return text;
}

static void
check_store(const char *expected)
{
	struct store s;
	struct err_info info;

	check_err(expected, store_init(&s, folder, &info), ERR_OK, &info);
	check_string("store", shown(&s), expected);
	store_release(&s);
}

static void
check_store_fails(const char *row, enum err e, const char *sentence)
{
	struct store s;
	struct err_info info;

	check_err(row, store_init(&s, folder, &info), e, &info);
	check_contains(row, info.text, sentence);
	check_integer(row, s.n_models, 0);
	check_integer(row, s.models == NULL, true);
}

static void
reads_models(void **state)
{
	(void)state;
	check_store("");
	make_folder("b");
	make_folder("b/10");
	make_folder("b/9");
	make_folder("b/1");
	make_folder("a");
	make_folder("B2._-x");
	folder_write(folder_path("b/aliases.json"), "{\"champion\": \"9\", \"challenger\": \"10\"}");
	folder_write(folder_path("a/aliases.json"), "{}");
	check_store("B2._-x: a: b:1,9,10{champion=9}{challenger=10} ");
}

static void
passes_over_others(void **state)
{
	(void)state;
	make_folder("a");
	make_folder("a/1");
	make_folder("a/0");
	make_folder("a/01");
	make_folder("a/-1");
	make_folder("a/+2");
	make_folder("a/1.5");
	make_folder("a/x");
	make_folder("a/2147483648");
	make_folder("a/99999999999999999999");
	make_folder("a/.2");
	folder_write(folder_path("a/2"), "a file");
	make_folder(".hidden");
	make_folder("-dash");
	make_folder("_under");
	make_folder("with space");
	make_folder("caf\xC3\xA9");
	folder_write(folder_path("file"), "");
	assert_int_equal(symlink("nowhere", folder_path("dangling")), 0);
	check_store("a:1 ");
}

static void
follows_links(void **state)
{
	(void)state;
	make_folder("a");
	make_folder("a/1");
	assert_int_equal(symlink("a", folder_path("b")), 0);
	assert_int_equal(symlink("1", folder_path("a/7")), 0);
	check_store("a:1,7 b:1,7 ");
}

static void
refuses_a_store_that_is_none(void **state)
{
	struct store s;
	struct err_info info;

	(void)state;
	assert_err(store_init(&s, folder_path("none"), &info), ERR_FILE, &info);
	assert_contains(info.text, "/none: cannot open the model store: No such file or directory");
	folder_write(folder_path("file"), "");
	assert_err(store_init(&s, folder_path("file"), &info), ERR_FILE, &info);
	assert_contains(info.text, "/file: cannot open the model store: Not a directory");
}

/* The model "a" alone has this problem, and no aliases; its versions are still known. */
static void
check_problem(const char *row, const char *sentence)
{
	struct store s;
	struct err_info info;

	check_err(row, store_init(&s, folder, &info), ERR_OK, &info);
	const struct store_model *m = store_find(&s, "a");
	assert_non_null(m);
	if (strstr(m->problem, sentence) == NULL)
		fail_msg("[%s] the problem is \"%s\", expected \"%s\" in it", row, m->problem, sentence);
	assert_int_equal(m->n_aliases, 0);
	for (size_t i = 0; i < s.n_models; i++)
		assert_true(&s.models[i] == m || s.models[i].problem[0] == '\0');
	store_release(&s);
}

static void
broken_aliases(void **state)
{
	static const struct {
		const char *text;
		const char *sentence;
	} rows[] = {
		{"", "the JSON text ends too early"},
		{"{", "line 1, column 2: the JSON text ends too early"},
		{"{\"champion\": \"1\",}", "line 1, column 18: a comma stands before '}'"},
		{"{\"champion\": \"1\", \"champion\": \"2\"}", "the member \"champion\" stands twice"},
		{"[]", "expected an object of at most 100 aliases"},
		{"\"1\"", "expected an object of at most 100 aliases"},
		{"null", "expected an object of at most 100 aliases"},
		{"{\"champion\": 1}", "\"champion\" must name a version as a string, \"1\" for example"},
		{"{\"champion\": null}", "\"champion\" must name a version as a string"},
		{"{\"champion\": \"0\"}", "\"champion\" must name a version as a string"},
		{"{\"champion\": \"01\"}", "\"champion\" must name a version as a string"},
		{"{\"champion\": \"v1\"}", "\"champion\" must name a version as a string"},
		{"{\"champion\": \"../1\"}", "\"champion\" must name a version as a string"},
		{"{\"champion\": \"\"}", "\"champion\" must name a version as a string"},
		{"{\"a b\": \"1\"}", "\"a b\" must name a version as a string"},
		{"{\"\": \"1\"}", "\"\" must name a version as a string"},
	};

	(void)state;
	make_folder("a");
	make_folder("a/1");
	make_folder("b");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		folder_write(folder_path("a/aliases.json"), rows[i].text);
		check_problem(rows[i].text, rows[i].sentence);
		check_problem(rows[i].text, "/a/aliases.json: ");
	}
}

static void
aliases_that_are_no_file(void **state)
{
	(void)state;
	make_folder("a");
	make_folder("a/aliases.json");
	check_problem("a folder", "/a/aliases.json: not a regular file");
	assert_int_equal(rmdir(folder_path("a/aliases.json")), 0);
	assert_int_equal(mkfifo(folder_path("a/aliases.json"), 0644), 0);
	check_problem("a FIFO", "/a/aliases.json: not a regular file");
	assert_int_equal(unlink(folder_path("a/aliases.json")), 0);
	char *large = calloc(1, 70001);
	memset(large, ' ', 70000);
	folder_write(folder_path("a/aliases.json"), large);
	free(large);
	check_problem("70000 bytes", "/a/aliases.json: 70000 bytes are more than the 65536 that are accepted");
}

static void
most_aliases(void **state)
{
	char text[4000];

	(void)state;
	make_folder("a");
	for (int n = 100; n <= 101; n++) {
		size_t len = 0;
		for (int i = 0; i < n; i++)
			len += (size_t)snprintf(text + len, sizeof text - len, "%s\"a%d\":\"%d\"", i == 0 ? "{" : ",", i, i + 1);
		(void)snprintf(text + len, sizeof text - len, "}");
		folder_write(folder_path("a/aliases.json"), text);
		if (n == 101)
			check_problem("101 aliases", "expected an object of at most 100 aliases");
	}
}

static void
most_models(void **state)
{
	struct store s;
	struct err_info info;
	char name[16];

	(void)state;
	for (int i = 0; i < STORE_MODELS_MAX; i++) {
		(void)snprintf(name, sizeof name, "m%04d", i);
		make_folder(name);
	}
	assert_err(store_init(&s, folder, &info), ERR_OK, &info);
	assert_int_equal(s.n_models, STORE_MODELS_MAX);
	for (size_t i = 1; i < s.n_models; i++)
		assert_true(strcmp(s.models[i - 1].name, s.models[i].name) < 0);
	store_release(&s);
	make_folder("one-more");
	check_store_fails("1001 models", ERR_FILE, ": more than 1000 models");
}

static void
names(void **state)
{
	static const char *const good[] = {"a",
									   "Z",
									   "0",
									   "a.b",
									   "a_b",
									   "a-b",
									   "california-housing",
									   "9.._-",
									   "a23456789012345678901234567890123456789012345678901234567890abcd"};
	static const char *const bad[] = {"",
									  ".",
									  "..",
									  ".a",
									  "-a",
									  "_a",
									  "a b",
									  "a/b",
									  "a\n",
									  "a\xC3\xA9",
									  "a%2f",
									  "a\\b",
									  "a23456789012345678901234567890123456789012345678901234567890abcde"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		check_integer(good[i], store_is_name(good[i]), true);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		check_integer(bad[i], store_is_name(bad[i]), false);
}

static void
versions(void **state)
{
	static const char *const good[] = {"1", "9", "10", "2147483647"};
	static const char *const bad[] = {"",   "0",   "00",  "01", "-1",  "+1",         " 1",
									  "1 ", "1.0", "1e1", "x",  "0x1", "2147483648", "9999999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		check_integer(good[i], store_is_version(good[i]), true);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		check_integer(bad[i], store_is_version(bad[i]), false);
}

static void
look_ups(void **state)
{
	struct store s;
	struct err_info info;

	(void)state;
	make_folder("a");
	make_folder("a/3");
	make_folder("b");
	folder_write(folder_path("a/aliases.json"), "{\"champion\": \"3\", \"previous\": \"2\"}");
	assert_err(store_init(&s, folder, &info), ERR_OK, &info);
	const struct store_model *m = store_find(&s, "a");
	assert_non_null(m);
	assert_string_equal(store_alias(m, "champion"), "3");
	assert_string_equal(store_alias(m, "previous"), "2");
	assert_null(store_alias(m, "Champion"));
	assert_true(store_has_version(m, "3"));
	assert_false(store_has_version(m, "2"));
	assert_false(store_has_version(m, "03"));
	assert_false(store_has_version(m, "3x"));
	assert_false(store_has_version(m, ""));
	assert_null(store_find(&s, "c"));
	assert_null(store_find(&s, ""));
	assert_null(store_alias(store_find(&s, "b"), "champion"));
	store_release(&s);
	store_release(&s);
}

#define IN_FOLDER(sentence, function) TEST_WITH(sentence, function, folder_setup, folder_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_FOLDER("models are read by name, versions by number, aliases in their order", reads_models),
		IN_FOLDER("folders and files that are no models or versions are passed over", passes_over_others),
		IN_FOLDER("links to folders are followed", follows_links),
		IN_FOLDER("a store that is missing or no folder is refused", refuses_a_store_that_is_none),
		IN_FOLDER("a broken aliases.json is its model's problem alone, told with its path", broken_aliases),
		IN_FOLDER("a folder, a FIFO or a large file in place of aliases.json is its model's problem", aliases_that_are_no_file),
		IN_FOLDER("100 aliases are read, and one more is refused", most_aliases),
		IN_FOLDER("1000 models are read by name, and one more is refused", most_models),
		TEST("a name has 1 to 64 letters, digits, dots, dashes and underlines, a letter or digit first", names),
		TEST("a version is a positive integer without leading zeros", versions),
		IN_FOLDER("models, aliases and versions are found by their exact names", look_ups),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
