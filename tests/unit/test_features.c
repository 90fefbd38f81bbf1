/* test_features.c - tests of model/features: names to columns */
#include "model/features.h"

#include <stdbool.h>

#include "unit.h"

static size_t
find(const struct features *f, const char *name, size_t hint)
{
	return features_find(f, name, strlen(name), hint);
}

static void
finds_every_name(void **state)
{
	static const char *const names[] = {"size", "age", "load", "a b", "\xC3\xA9", "Size"};
	const size_t n = sizeof names / sizeof names[0];
	struct features f;
	struct err_info info;

	(void)state;
	assert_err(features_init(&f, names, n, &info), ERR_OK, &info);
	assert_int_equal(f.n, n);
	for (size_t i = 0; i < n; i++)
		for (size_t hint = 0; hint <= n; hint++) {
			check_string(names[i], f.names[i], names[i]);
			check_integer(names[i], find(&f, names[i], hint), i);
			check_integer(names[i], find(&f, names[i], FEATURES_NONE), i);
		}
	features_release(&f);
}

static void
finds_nothing_else(void **state)
{
	static const char *const names[] = {"size", "age"};
	static const char *const others[] = {"", "siz", "sizes", "SIZE", "ag", "agee", "size ", "x"};
	struct features f;
	struct err_info info;

	(void)state;
	assert_err(features_init(&f, names, 2, &info), ERR_OK, &info);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		for (size_t hint = 0; hint < 3; hint++)
			check_integer(others[i], find(&f, others[i], hint) == FEATURES_NONE, true);
	features_release(&f);
}

static void
compares_as_many_bytes_as_told(void **state)
{
	static const char *const names[] = {"age"};
	struct features f;
	struct err_info info;

	(void)state;
	assert_err(features_init(&f, names, 1, &info), ERR_OK, &info);
	assert_int_equal(features_find(&f, "age\":1", 3, 0), 0);
	assert_int_equal(features_find(&f, "age\":1", 3, 9), 0);
	assert_true(features_find(&f, "age\":1", 4, 0) == FEATURES_NONE);
	assert_true(features_find(&f, "age\0x", 5, 0) == FEATURES_NONE);
	assert_true(features_find(&f, "age\0x", 5, 9) == FEATURES_NONE);
	features_release(&f);
}

static void
copies_the_names(void **state)
{
	char name[] = "age";
	const char *const names[] = {name};
	struct features f;
	struct err_info info;

	(void)state;
	assert_err(features_init(&f, names, 1, &info), ERR_OK, &info);
	name[0] = 'X';
	assert_int_equal(find(&f, "age", 0), 0);
	features_release(&f);
}

/* `n` names f0, f1, … in one block; release with free(names[0]) and free(names). */
static char **
many_names(size_t n)
{
	char **names = calloc(n, sizeof *names);
	char *text = malloc(n * 16);

	for (size_t i = 0; i < n; i++) {
		names[i] = text + i * 16;
		(void)snprintf(names[i], 16, "f%zu", i);
	}
	return names;
}

static void
as_many_as_allowed(void **state)
{
	char **names = many_names(FEATURES_MAX + 1);
	struct features f;
	struct err_info info;

	(void)state;
	assert_err(features_init(&f, (const char *const *)names, FEATURES_MAX, &info), ERR_OK, &info);
	for (size_t i = 0; i < FEATURES_MAX; i++)
		check_integer(names[i], find(&f, names[i], i + 1), i);
	assert_true(find(&f, names[FEATURES_MAX], 0) == FEATURES_NONE);
	features_release(&f);
	assert_err(features_init(&f, (const char *const *)names, FEATURES_MAX + 1, &info), ERR_BAD_MANIFEST, &info);
	assert_string_equal(info.text, "a model has 1 to 65536 features, not 65537");
	free(names[0]);
	free(names);
}

static void
refusals(void **state)
{
	static char long_name[FEATURES_NAME_MAX + 1];
	static const struct {
		const char *names[3];
		size_t n;
		const char *sentence;
	} rows[] = {
		{{"a"}, 0, "a model has 1 to 65536 features, not 0"},
		{{"a", "", "b"}, 3, "the name of feature 1 is empty or longer than 255 bytes"},
		{{"a", "b", "a"}, 3, "two features are named \"a\""},
		{{"a", "a"}, 2, "two features are named \"a\""},
		{{long_name}, 1, "the name of feature 0 is empty or longer than 255 bytes"},
	};
	struct features f;
	struct err_info info;

	(void)state;
	memset(long_name, 'x', FEATURES_NAME_MAX);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_err(rows[i].sentence, features_init(&f, rows[i].names, rows[i].n, &info), ERR_BAD_MANIFEST, &info);
		check_string(rows[i].sentence, info.text, rows[i].sentence);
		features_release(&f); /* harmless behind a failure */
	}
	long_name[FEATURES_NAME_MAX - 1] = '\0';
	assert_err(features_init(&f, rows[4].names, 1, &info), ERR_OK, &info);
	features_release(&f);
}

static void
zeroed_struct(void **state)
{
	struct features f = {0};

	(void)state;
	features_release(&f);
	features_release(&f);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("every name is found at its column, whatever the hint", finds_every_name),
		TEST("no other name is found", finds_nothing_else),
		TEST("a name is as long as told, whatever stands behind it", compares_as_many_bytes_as_told),
		TEST("names are copied", copies_the_names),
		TEST("65536 names are found, and one more is refused", as_many_as_allowed),
		TEST("no names, an empty one, a long one and a repeated one are refused", refusals),
		TEST("zeroed features may be released", zeroed_struct),
	};

	return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
