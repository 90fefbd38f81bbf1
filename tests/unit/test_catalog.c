/* test_catalog.c - tests of serve/catalog: which model answers, and what is kept when things break */
#include "serve/catalog.h"

#include "expected.h"
#include "heap.h"

static struct metrics *metrics;
static const struct log quiet = {.level = (enum log_level)(LOG_ERROR + 1)};

static const char *
route_name(size_t route)
{
	(void)route;
	return "/";
}

static int
setup(void **state)
{
	metrics = metrics_open(1, route_name, 1);
	return metrics == NULL ? -1 : folder_setup(state);
}

static int
teardown(void **state)
{
	metrics_free(metrics);
	return folder_teardown(state);
}

static struct catalog_source
source_of(const char *default_model)
{
	return (struct catalog_source){.store = folder, .default_model = default_model, .metrics = metrics, .log = &quiet};
}

/* Opens the catalog of the folder, which must succeed with `n_failed` champions that could not be proven. */
static struct catalog *
open_catalog(const char *default_model, const struct catalog *old, size_t n_failed)
{
	const struct catalog_source source = source_of(default_model);
	struct catalog *c;
	struct err_info info;
	size_t failed = 77;

	assert_err(catalog_open(&source, old, CATALOG_PROVE_ALL, &c, &failed, &info), ERR_OK, &info);
	assert_int_equal(failed, n_failed);
	return c;
}

static void
check_open_fails(const char *row, const char *default_model, enum err e, const char *sentence)
{
	const struct catalog_source source = source_of(default_model);
	struct catalog *c = NULL;
	struct err_info info;
	size_t failed;

	check_err(row, catalog_open(&source, NULL, CATALOG_PROVE_ALL, &c, &failed, &info), e, &info);
	check_contains(row, info.text, sentence);
	check_integer(row, c == NULL, true);
}

/* `name` chooses `version`, or fails with `e`. */
static void
check_choice(const struct catalog *c, const char *name, enum err e, const char *version, const char *sentence)
{
	struct catalog_choice choice;
	struct err_info info;

	check_err(name, catalog_choose(c, name, &choice, &info), e, &info);
	check_integer(name, choice.series != NULL, true);
	check_integer(name, choice.model != NULL, e == ERR_OK);
	if (e == ERR_OK)
		check_string(name, model_version(choice.model), version);
	else
		check_contains(name, info.text, sentence);
	/* What no version answers is counted under the model, unless there is none of that name. */
	struct metrics_series *refused =
		catalog_model_json(c, name) != NULL ? metrics_series(metrics, name, "") : metrics_unknown(metrics);
	check_integer(name, *name == '\0' || choice.series == refused, *name == '\0' || e != ERR_OK);
}

static void
empty_store(void **state)
{
	struct catalog *c = open_catalog("", NULL, 0);

	(void)state;
	check_choice(c, "", ERR_NOT_READY, NULL, "the model store is empty; the operator must put a model there");
	check_choice(c, "house", ERR_UNKNOWN_MODEL, NULL, "there is no model \"house\"; GET /models lists them");
	assert_false(catalog_ready(c));
	assert_string_equal(catalog_models_json(c), "{\"models\":[]}\n");
	assert_null(catalog_model_json(c, "house"));
	catalog_free(c);
	catalog_free(NULL);
}

static void
only_model(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_add_version("reg-squarederror", "house", "2");
	folder_set_champion("house", "2");
	struct catalog *c = open_catalog("", NULL, 0);
	check_choice(c, "", ERR_OK, "2", "");
	check_choice(c, "house", ERR_OK, "2", "");
	check_choice(c, "hous", ERR_UNKNOWN_MODEL, NULL, "there is no model \"hous\"");
	check_choice(c, "House", ERR_UNKNOWN_MODEL, NULL, "there is no model \"House\"");
	assert_true(catalog_ready(c));
	catalog_free(c);
}

static void
default_model(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_add_version("reg-gamma", "claims", "5");
	folder_set_champion("house", "1");
	folder_set_champion("claims", "5");
	struct catalog *c = open_catalog("", NULL, 0);
	check_choice(c, "", ERR_NO_DEFAULT_MODEL, NULL, "there are 2 models and none is the default; use /models/NAME/predict");
	check_choice(c, "house", ERR_OK, "1", "");
	check_choice(c, "claims", ERR_OK, "5", "");
	assert_true(catalog_ready(c));
	catalog_free(c);
	c = open_catalog("claims", NULL, 0);
	check_choice(c, "", ERR_OK, "5", "");
	catalog_free(c);
	check_open_fails("a default that is not there", "hut", ERR_FILE, "has no model \"hut\", which --default-model names");
}

static void
no_champion(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	struct catalog *c = open_catalog("", NULL, 0);
	check_choice(c, "", ERR_NO_CHAMPION, NULL, "the model house has no champion; futaie models promote house VERSION names one");
	check_choice(c, "house", ERR_NO_CHAMPION, NULL, "the model house has no champion");
	assert_false(catalog_ready(c));
	catalog_free(c);
}

static void
broken_champions(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_add_version("reg-gamma", "claims", "1");
	folder_set_champion("house", "1");
	folder_set_champion("claims", "1");
	folder_flip_byte("house/1/model.ubj");
	struct catalog *c = open_catalog("", NULL, 1);
	check_choice(c, "house", ERR_NOT_READY, NULL, "the champion of house cannot be served; the server's log says why");
	check_choice(c, "claims", ERR_OK, "1", "");
	assert_true(catalog_ready(c));
	catalog_free(c);
	c = open_catalog("house", NULL, 1);
	assert_false(catalog_ready(c));
	catalog_free(c);
	folder_flip_byte("claims/1/model.ubj");
	check_open_fails("all broken", "", ERR_BAD_MODEL, "no model can be served: model ");
}

static void
champion_that_is_not_there(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_set_champion("house", "9");
	check_open_fails("version 9", "", ERR_BAD_MODEL, "no model can be served: model house version 9 cannot be served: ");
}

static void
broken_champion_keeps_the_old(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_add_version("reg-squarederror", "house", "2");
	folder_set_champion("house", "1");
	struct catalog *old = open_catalog("", NULL, 0);
	folder_flip_byte("house/2/model.ubj");
	folder_set_champion("house", "2");
	struct catalog *c = open_catalog("", old, 1);
	catalog_free(old);
	check_choice(c, "", ERR_OK, "1", "");
	assert_true(catalog_ready(c));
	folder_flip_byte("house/2/model.ubj");
	struct catalog *next = open_catalog("", c, 0);
	catalog_free(c);
	check_choice(next, "", ERR_OK, "2", "");
	catalog_free(next);
}

static void
unchanged_champion_stays_loaded(void **state)
{
	struct catalog_choice before;
	struct catalog_choice after;
	struct err_info info;

	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_set_champion("house", "1");
	struct catalog *old = open_catalog("", NULL, 0);
	assert_err(catalog_choose(old, "", &before, &info), ERR_OK, &info);
	struct catalog *c = open_catalog("", old, 0);
	assert_err(catalog_choose(c, "", &after, &info), ERR_OK, &info);
	assert_ptr_equal(before.model, after.model);
	assert_ptr_equal(before.series, after.series);
	catalog_free(old);
	check_choice(c, "", ERR_OK, "1", "");
	catalog_free(c);
}

/* What a request by number gets: "ok", "unloaded", or the code. */
static const char *
by_number(const struct catalog *c, const char *name, const char *version)
{
	struct catalog_choice choice;
	struct err_info info;
	bool unloaded;
	enum err e = catalog_choose_version(c, name, version, &choice, &unloaded, &info);

	if (e == ERR_OK) {
		check_string(version, model_name(choice.model), name);
		check_string(version, model_version(choice.model), version);
		check_integer(version, unloaded, false);
		return "ok";
	}
	struct metrics_series *refused = e == ERR_UNKNOWN_MODEL ? metrics_unknown(metrics) : metrics_series(metrics, name, "");
	check_integer(version, choice.model == NULL && choice.series == refused, true);
	if (unloaded)
		check_integer(version, e, ERR_NOT_READY);
	return unloaded ? "unloaded" : err_code(e);
}

/* Puts a version into the catalog, as the registry does. */
static void
load(struct catalog **c, const char *name, const char *version)
{
	const struct catalog_source source = source_of("");
	struct catalog *with;
	struct err_info info;

	check_err(version, catalog_open_with(&source, *c, name, version, &with, &info), ERR_OK, &info);
	catalog_free(*c);
	*c = with;
}

static void
versions_by_number(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_add_version("reg-gamma", "house", "2");
	folder_add_version("reg-squarederror", "hut", "1");
	folder_set_champion("house", "1");
	struct catalog *c = open_catalog("", NULL, 0);
	assert_string_equal(by_number(c, "house", "1"), "ok");
	assert_string_equal(by_number(c, "house", "2"), "unloaded");
	assert_string_equal(by_number(c, "hut", "1"), "unloaded");
	assert_string_equal(by_number(c, "house", "3"), "unknown_version");
	assert_string_equal(by_number(c, "house", "01"), "unknown_version");
	assert_string_equal(by_number(c, "house", "0"), "unknown_version");
	assert_string_equal(by_number(c, "house", "-1"), "unknown_version");
	assert_string_equal(by_number(c, "house", "x"), "unknown_version");
	assert_string_equal(by_number(c, "cave", "1"), "unknown_model");
	load(&c, "house", "2");
	assert_string_equal(by_number(c, "house", "2"), "ok");
	assert_string_equal(by_number(c, "house", "1"), "ok");
	assert_string_equal(by_number(c, "hut", "1"), "unloaded");
	load(&c, "hut", "1");
	assert_string_equal(by_number(c, "hut", "1"), "ok");
	check_choice(c, "house", ERR_OK, "1", "");
	check_choice(c, "hut", ERR_NO_CHAMPION, NULL, "no champion");
	catalog_free(c);
}

static void
broken_version_by_number(void **state)
{
	const struct catalog_source source = source_of("");
	struct catalog *with = NULL;
	struct err_info info;

	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_add_version("reg-squarederror", "house", "2");
	folder_set_champion("house", "1");
	folder_flip_byte("house/2/model.ubj");
	struct catalog *c = open_catalog("", NULL, 0);
	assert_err(catalog_open_with(&source, c, "house", "2", &with, &info), ERR_MODEL_FAILED, &info);
	assert_string_equal(info.text, "version 2 of the model house cannot be served; the server's log says why");
	assert_string_equal(by_number(c, "house", "2"), "unloaded");
	assert_string_equal(by_number(with, "house", "2"), "model_failed");
	assert_string_equal(by_number(with, "house", "1"), "ok");
	struct catalog *next = open_catalog("", with, 0);
	assert_string_equal(by_number(next, "house", "2"), "unloaded");
	catalog_free(next);
	catalog_free(with);
	catalog_free(c);
}

/* Which of the versions 2 to 20 are loaded, as "2 3 ". */
static const char *
loaded(const struct catalog *c)
{
	static char text[128];
	struct buf b;
	size_t n = 0;

	buf_init(&b, 100000);
	catalog_write_metrics(c, &b);
	text[0] = '\0';
	for (int v = 2; v <= 20; v++) {
		char part[64];
		(void)snprintf(part, sizeof part, "version=\"%d\",role=\"by_number\"", v);
		if (strstr(buf_peek(&b), part) != NULL)
			n += (size_t)snprintf(text + n, sizeof text - n, "%d ", v);
	}
	buf_release(&b);
	return text;
}

static void
least_recently_used(void **state)
{
	char version[8];

	(void)state;
	for (int v = 1; v <= 12; v++) {
		(void)snprintf(version, sizeof version, "%d", v);
		folder_add_version("reg-squarederror", "house", version);
	}
	folder_set_champion("house", "1");
	struct catalog *c = open_catalog("", NULL, 0);
	for (int v = 2; v <= 9; v++) {
		(void)snprintf(version, sizeof version, "%d", v);
		load(&c, "house", version);
	}
	assert_string_equal(loaded(c), "2 3 4 5 6 7 8 9 ");
	assert_string_equal(by_number(c, "house", "2"), "ok");
	load(&c, "house", "10");
	assert_string_equal(loaded(c), "2 4 5 6 7 8 9 10 ");
	assert_string_equal(by_number(c, "house", "3"), "unloaded");
	assert_string_equal(by_number(c, "house", "4"), "ok");
	load(&c, "house", "11");
	assert_string_equal(loaded(c), "2 4 6 7 8 9 10 11 ");
	load(&c, "house", "12");
	assert_string_equal(loaded(c), "2 4 7 8 9 10 11 12 ");
	struct catalog *again = open_catalog("", c, 0);
	catalog_free(c);
	assert_string_equal(loaded(again), "2 4 7 8 9 10 11 12 ");
	check_choice(again, "", ERR_OK, "1", "");
	catalog_free(again);
}

static void
extras_follow_the_store(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_add_version("reg-squarederror", "house", "2");
	folder_add_version("reg-squarederror", "house", "3");
	folder_set_champion("house", "1");
	struct catalog *c = open_catalog("", NULL, 0);
	load(&c, "house", "2");
	load(&c, "house", "3");
	assert_int_equal(folder_remove(folder_path("house/3")), 0);
	folder_set_champion("house", "2");
	struct catalog *next = open_catalog("", c, 0);
	catalog_free(c);
	assert_string_equal(loaded(next), ""); /* 2 is the champion now, and 3 is gone */
	assert_string_equal(by_number(next, "house", "2"), "ok");
	assert_string_equal(by_number(next, "house", "3"), "unknown_version");
	assert_string_equal(by_number(next, "house", "1"), "unloaded");
	catalog_free(next);
}

static void
model_that_is_removed(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_add_version("reg-squarederror", "hut", "1");
	folder_set_champion("house", "1");
	folder_set_champion("hut", "1");
	struct catalog *c = open_catalog("", NULL, 0);
	assert_int_equal(folder_remove(folder_path("hut")), 0);
	struct catalog *next = open_catalog("", c, 0);
	catalog_free(c);
	check_choice(next, "hut", ERR_UNKNOWN_MODEL, NULL, "there is no model \"hut\"");
	check_choice(next, "", ERR_OK, "1", ""); /* the only one now */
	catalog_free(next);
}

static void
lists_models(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_add_version("reg-squarederror", "house", "10");
	folder_add_version("multi-softprob", "kinds", "3");
	folder_write(folder_path("house/aliases.json"), "{\"champion\": \"10\", \"challenger\": \"1\"}");
	struct catalog *c = open_catalog("", NULL, 0);
	assert_string_equal(catalog_models_json(c), "{\"models\":[{\"name\":\"house\",\"versions\":[\"1\",\"10\"],"
												"\"aliases\":{\"champion\":\"10\",\"challenger\":\"1\"}},"
												"{\"name\":\"kinds\",\"versions\":[\"3\"],\"aliases\":{}}]}\n");
	assert_string_equal(catalog_model_json(c, "kinds"),
						"{\"name\":\"kinds\",\"version\":null,\"versions\":[\"3\"],\"aliases\":{}}\n");
	cJSON *house = cJSON_Parse(catalog_model_json(c, "house"));
	assert_non_null(house);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(house, "version")), "10");
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(house, "objective")), "reg:squarederror");
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(house, "scorer")), "xgboost");
	assert_int_equal(strlen(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(house, "sha256"))), 64);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(house, "features")), 5);
	assert_true(cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(house, "metrics")));
	cJSON_Delete(house);
	assert_null(catalog_model_json(c, "cave"));
	catalog_free(c);
}

static void
readiness(void **state)
{
	struct buf b;

	(void)state;
	folder_add_version("reg-squarederror", "house", "2");
	folder_add_version("reg-squarederror", "hut", "1");
	folder_add_version("reg-squarederror", "idle", "1");
	folder_set_champion("house", "2");
	folder_set_champion("hut", "1");
	folder_flip_byte("hut/1/model.ubj");
	struct catalog *c = open_catalog("", NULL, 1);
	buf_init(&b, 10000);
	catalog_write_ready(c, &b);
	assert_string_equal(buf_peek(&b),
						"{\"status\":\"ready\",\"models\":[{\"name\":\"house\",\"version\":\"2\"}],\"failed\":[\"hut\"]}\n");
	buf_reset(&b);
	catalog_write_metrics(c, &b);
	assert_contains(buf_peek(&b), "\n# TYPE futaie_model_info gauge\n"
								  "futaie_model_info{model=\"house\",version=\"2\",role=\"champion\","
								  "objective=\"reg:squarederror\",scorer=\"xgboost\",scorer_reason=\"\",sha256=\"");
	assert_null(strstr(buf_peek(&b), "hut"));
	buf_release(&b);
	catalog_free(c);
}

static void
unreadable_store(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_write(folder_path("house/aliases.json"), "{");
	check_open_fails("a broken aliases.json", "", ERR_BAD_MODEL, "/house/aliases.json: line 1, column 2");
}

static void
choosing_allocates_nothing(void **state)
{
	(void)state;
	folder_add_version("reg-squarederror", "house", "1");
	folder_set_champion("house", "1");
	struct catalog *c = open_catalog("", NULL, 0);
	struct catalog_choice choice;
	struct err_info info;
	bool unloaded;
	heap_start();
	(void)catalog_choose(c, "", &choice, &info);
	(void)catalog_choose(c, "house", &choice, &info);
	(void)catalog_choose(c, "cave", &choice, &info);
	(void)catalog_choose_version(c, "house", "1", &choice, &unloaded, &info);
	(void)catalog_choose_version(c, "house", "7", &choice, &unloaded, &info);
	assert_int_equal(heap_all, 0);
	catalog_free(c);
}

#define IN_STORE(sentence, function) TEST_WITH(sentence, function, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_STORE("an empty store is not ready, and its models are unknown", empty_store),
		IN_STORE("the only model is the default one", only_model),
		IN_STORE("of several models the named one is the default, and without a name none", default_model),
		IN_STORE("a model without a champion is no_champion", no_champion),
		IN_STORE("a broken champion is not_ready while others serve, and all broken is a failure", broken_champions),
		IN_STORE("a champion that is not in the store is a failure", champion_that_is_not_there),
		IN_STORE("a new champion that is broken leaves the old one serving", broken_champion_keeps_the_old),
		IN_STORE("a champion that did not change stays loaded", unchanged_champion_stays_loaded),
		IN_STORE("versions by number are served, to be loaded, or unknown", versions_by_number),
		IN_STORE("a broken version by number is model_failed, and stays so until the store is read again",
				 broken_version_by_number),
		IN_STORE("at most eight versions stay loaded, those used last", least_recently_used),
		IN_STORE("a loaded version that is promoted or removed is no extra any more", extras_follow_the_store),
		IN_STORE("a removed model is unknown, and the one that remains is the default", model_that_is_removed),
		IN_STORE("models are listed with versions, aliases and description", lists_models),
		IN_STORE("readiness and metrics tell champions and failures", readiness),
		IN_STORE("a store whose only model has a broken aliases.json is refused", unreadable_store),
		IN_STORE("choosing allocates nothing", choosing_allocates_nothing),
	};

	return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
