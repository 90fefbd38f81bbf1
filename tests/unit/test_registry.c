/* test_registry.c - tests of serve/registry: catalogs exchanged while threads predict with them */
#include "serve/registry.h"

#include <pthread.h>
#include <stdatomic.h>

#include "expected.h"
#include "heap.h"
#include "model/manifest.h"
#include "model/store.h"
#include "serve/watcher.h"

enum { WORKERS = 4, VERSIONS = 12 };

static const char *const version_names[VERSIONS + 1] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"};

static struct metrics *metrics;
static struct expected odd;  /* what versions 1, 3, … of "house" answer */
static struct expected even; /* and versions 2, 4, … */
static const struct log quiet = {.level = (enum log_level)(LOG_ERROR + 1)};

static const char *
route_name(size_t route)
{
	(void)route;
	return "/";
}

static const char *
fixture_of(int version)
{
	return version % 2 == 1 ? "reg-squarederror" : "reg-gamma";
}

/* A store with one model of twelve versions, the first of which is the champion. */
static int
setup(void **state)
{
	if (folder_setup(state) != 0)
		return -1;
	metrics = metrics_open(WORKERS, route_name, 1);
	for (int v = 1; v <= VERSIONS; v++)
		folder_add_version(fixture_of(v), "house", version_names[v]);
	folder_set_champion("house", "1");
	expected_init(&odd, fixture_of(1));
	expected_init(&even, fixture_of(2));
	return 0;
}

static int
teardown(void **state)
{
	expected_release(&odd);
	expected_release(&even);
	metrics_free(metrics);
	return folder_teardown(state);
}

static struct registry *
open_registry(void)
{
	const struct catalog_source source = {.store = folder, .default_model = "", .metrics = metrics, .log = &quiet};
	struct registry *r;
	struct err_info info;
	size_t n_failed;

	assert_err(registry_open(&source, WORKERS, &r, &n_failed, &info), ERR_OK, &info);
	assert_int_equal(n_failed, 0);
	return r;
}

/* The champion that worker 0 finds. */
static const char *
champion(struct registry *r)
{
	static char version[MANIFEST_VERSION_MAX];
	struct catalog_choice choice;
	struct err_info info;

	assert_err(catalog_choose(registry_enter(r, 0), "", &choice, &info), ERR_OK, &info);
	(void)snprintf(version, sizeof version, "%s", model_version(choice.model));
	registry_leave(r, 0);
	return version;
}

/* How many reloads were counted with the result. */
static long
reloads(const char *result)
{
	struct buf b;
	char series[64];

	buf_init(&b, 1000000);
	metrics_write(metrics, &b);
	(void)snprintf(series, sizeof series, "futaie_model_reloads_total{result=\"%s\"} ", result);
	const char *at = strstr(buf_peek(&b), series);
	assert_non_null(at);
	long n = strtol(at + strlen(series), NULL, 10);
	buf_release(&b);
	return n;
}

static void
opens_or_fails(void **state)
{
	struct catalog_source source = {.store = folder, .default_model = "", .metrics = metrics, .log = &quiet};
	struct registry *r = NULL;
	struct err_info info;
	size_t n_failed;

	(void)state;
	r = open_registry();
	assert_string_equal(champion(r), "1");
	registry_free(r);
	registry_free(NULL);
	folder_flip_byte("house/1/model.ubj");
	assert_err(registry_open(&source, WORKERS, &r, &n_failed, &info), ERR_BAD_MODEL, &info);
	assert_null(r);
	source.store = "/nonexistent/store";
	assert_err(registry_open(&source, WORKERS, &r, &n_failed, &info), ERR_FILE, &info);
	assert_null(r);
}

static void
reload_takes_the_new_champion(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	folder_set_champion("house", "2");
	assert_string_equal(champion(r), "1");
	registry_reload(r, CATALOG_PROVE_ALL);
	assert_string_equal(champion(r), "2");
	assert_int_equal(reloads("success"), 1);
	assert_int_equal(reloads("failure"), 0);
	registry_free(r);
}

static void
broken_reloads(void **state)
{
	struct registry *r = open_registry();
	char away[sizeof folder + 8];

	(void)state;
	folder_flip_byte("house/2/model.ubj");
	folder_set_champion("house", "2");
	registry_reload(r, CATALOG_PROVE_ALL);
	assert_string_equal(champion(r), "1");
	assert_int_equal(reloads("failure"), 1);
	folder_write(folder_path("house/aliases.json"), "{\"champion\": 3}");
	registry_reload(r, CATALOG_PROVE_ALL);
	assert_string_equal(champion(r), "1");
	assert_int_equal(reloads("failure"), 2);
	folder_set_champion("house", "3");
	registry_reload(r, CATALOG_PROVE_ALL);
	assert_string_equal(champion(r), "3");
	assert_int_equal(reloads("success"), 1);
	(void)snprintf(away, sizeof away, "%s.away", folder);
	assert_int_equal(rename(folder, away), 0);
	registry_reload(r, CATALOG_PROVE_ALL);
	assert_int_equal(rename(away, folder), 0);
	assert_string_equal(champion(r), "3");
	assert_int_equal(reloads("failure"), 3);
	registry_free(r);
}

/* One prediction of the whole fixture by what was chosen; true where it is that of the version's fixture. */
static bool
answers_right(const struct model *m, struct booster_caller *caller)
{
	float out[64];
	const struct expected *x = strtol(model_version(m), NULL, 10) % 2 == 1 ? &odd : &even;

	if (model_predict(m, caller, BOOSTER_VALUE, x->rows, x->n_rows, out, NULL) != ERR_OK)
		return false;
	for (size_t i = 0; i < x->n_rows; i++)
		if (!expected_same(out[i], x->predictions[i]))
			return false;
	return true;
}

static void
held_catalog_lives(void **state)
{
	struct registry *r = open_registry();
	struct catalog_choice choice;
	struct booster_caller caller;
	struct err_info info;

	(void)state;
	assert_err(booster_caller_init(&caller, &info), ERR_OK, &info);
	assert_err(catalog_choose(registry_enter(r, 3), "", &choice, &info), ERR_OK, &info);
	for (int v = 2; v <= 6; v++) {
		folder_set_champion("house", version_names[v]);
		registry_reload(r, CATALOG_PROVE_ALL);
		registry_sweep(r);
		assert_string_equal(champion(r), version_names[v]);
		assert_string_equal(model_version(choice.model), "1");
		assert_true(answers_right(choice.model, &caller));
	}
	registry_leave(r, 3);
	registry_sweep(r);
	assert_string_equal(champion(r), "6");
	booster_caller_release(&caller);
	registry_free(r);
}

static void
loads_versions(void **state)
{
	struct registry *r = open_registry();
	struct catalog_choice choice;
	struct booster_caller caller;
	struct err_info info;
	bool unloaded;

	(void)state;
	assert_err(booster_caller_init(&caller, &info), ERR_OK, &info);
	for (int v = 1; v <= VERSIONS; v++) {
		const char *version = version_names[v];
		check_err(version, registry_load_version(r, "house", version, &info), ERR_OK, &info);
		const struct catalog *c = registry_enter(r, 1);
		check_err(version, catalog_choose_version(c, "house", version, &choice, &unloaded, &info), ERR_OK, &info);
		check_integer(version, answers_right(choice.model, &caller), true);
		registry_leave(r, 1);
	}
	assert_string_equal(champion(r), "1");
	booster_caller_release(&caller);
	registry_free(r);
}

static void
versions_that_do_not_load(void **state)
{
	struct registry *r = open_registry();
	struct err_info info;

	(void)state;
	folder_flip_byte("house/5/model.ubj");
	assert_err(registry_load_version(r, "house", "5", &info), ERR_MODEL_FAILED, &info);
	assert_err(registry_load_version(r, "house", "77", &info), ERR_UNKNOWN_VERSION, &info);
	assert_err(registry_load_version(r, "cave", "1", &info), ERR_UNKNOWN_MODEL, &info);
	assert_err(registry_load_version(r, "house", "../1", &info), ERR_UNKNOWN_VERSION, &info);
	assert_string_equal(champion(r), "1");
	folder_flip_byte("house/5/model.ubj");
	assert_err(registry_load_version(r, "house", "5", &info), ERR_MODEL_FAILED,
			   &info); /* known to fail until the store is read again */
	registry_reload(r, CATALOG_PROVE_NEW);
	assert_err(registry_load_version(r, "house", "5", &info), ERR_OK, &info);
	registry_free(r);
}

static void
what_is_served_is_not_proven_again(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	folder_flip_byte("house/1/model.ubj");
	registry_reload(r, CATALOG_PROVE_NEW);
	assert_int_equal(reloads("failure"), 0);
	registry_reload(r, CATALOG_PROVE_ALL);
	assert_int_equal(reloads("failure"), 1);
	assert_string_equal(champion(r), "1");
	folder_flip_byte("house/2/model.ubj");
	folder_set_champion("house", "2");
	registry_reload(r, CATALOG_PROVE_NEW);
	assert_int_equal(reloads("failure"), 2);
	assert_string_equal(champion(r), "1");
	registry_free(r);
}

/* Waits until the champion is `version`, for at most ten seconds. */
static bool
comes(struct registry *r, const char *version)
{
	for (int i = 0; i < 1000 && strcmp(champion(r), version) != 0; i++)
		(void)usleep(10000);
	return strcmp(champion(r), version) == 0;
}

static void
watches_the_store(void **state)
{
	struct registry *r;
	struct watcher *w;
	struct err_info info;
	uint64_t stamp = store_stamp(folder);

	(void)state;
	r = open_registry();
	assert_err(watcher_open(r, folder, stamp, &w, &info), ERR_OK, &info);
	folder_set_champion("house", "2");
	assert_true(comes(r, "2"));
	folder_set_champion("house", "3");
	assert_true(comes(r, "3"));
	watcher_reload(w);
	watcher_free(w);
	watcher_free(NULL);
	registry_free(r);
}

static void
reloads_when_asked(void **state)
{
	struct registry *r;
	struct watcher *w;
	struct err_info info;

	(void)state;
	(void)usleep(30000); /* until the store's times are settled */
	uint64_t stamp = store_stamp(folder);
	r = open_registry();
	assert_err(watcher_open(r, folder, stamp, &w, &info), ERR_OK, &info);
	for (long n = 1; n <= 3; n++) {
		watcher_reload(w);
		for (int i = 0; i < 1000 && reloads("success") < n; i++)
			(void)usleep(10000);
		assert_int_equal(reloads("success"), n);
	}
	watcher_free(w);
	registry_free(r);
}

/* A worker's thread below. */
struct worker {
	struct registry *registry;
	size_t number;
	atomic_bool *stop;
	bool by_number; /* asks for versions, else for the champion */
	long answered;
	long overloaded;
	long wrong;
};

/* As predict.c does: enter, choose, perhaps load, predict, leave. */
static void
ask(struct worker *w, struct booster_caller *caller, const char *version)
{
	const struct catalog *c = registry_enter(w->registry, w->number);
	struct catalog_choice choice;
	struct err_info info;
	bool unloaded = false;
	enum err e = version == NULL ? catalog_choose(c, "", &choice, &info)
								 : catalog_choose_version(c, "house", version, &choice, &unloaded, &info);

	if (e == ERR_OK) {
		w->answered++;
		w->wrong += !answers_right(choice.model, caller) || (version != NULL && strcmp(model_version(choice.model), version) != 0);
	}
	registry_leave(w->registry, w->number);
	if (unloaded) {
		e = registry_load_version(w->registry, "house", version, &info);
		w->overloaded += e == ERR_OVERLOADED;
		w->wrong += e != ERR_OK && e != ERR_OVERLOADED;
	} else {
		w->wrong += e != ERR_OK;
	}
}

static void *
run_worker(void *arg)
{
	struct worker *w = arg;
	struct booster_caller caller;
	uint64_t seed = w->number;

	if (booster_caller_init(&caller, NULL) != ERR_OK)
		w->wrong++;
	while (!atomic_load(w->stop))
		ask(w, &caller, w->by_number ? version_names[1 + unit_random(&seed) % VERSIONS] : NULL);
	booster_caller_release(&caller);
	return NULL;
}

static void
run_workers(struct registry *r, struct worker workers[WORKERS], size_t n_by_number, int n_reloads)
{
	pthread_t threads[WORKERS];
	atomic_bool stop = false;

	for (size_t i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.registry = r, .number = i, .stop = &stop, .by_number = i < n_by_number};
		assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
	}
	for (int i = 0; i < n_reloads; i++) {
		folder_set_champion("house", version_names[1 + i % VERSIONS]);
		registry_reload(r, CATALOG_PROVE_ALL);
		registry_sweep(r);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void
swaps_under_load(void **state)
{
	enum { RELOADS = UNIT_TIMES(400) };
	struct registry *r = open_registry();
	struct worker workers[WORKERS];

	(void)state;
	run_workers(r, workers, 0, RELOADS);
	for (size_t i = 0; i < WORKERS; i++) {
		assert_int_equal(workers[i].wrong, 0);
		assert_true(workers[i].answered > 0);
	}
	assert_int_equal(reloads("success"), RELOADS);
	assert_string_equal(champion(r), version_names[1 + (RELOADS - 1) % VERSIONS]);
	registry_free(r);
}

static void
loads_under_load(void **state)
{
	struct registry *r = open_registry();
	struct worker workers[WORKERS];

	(void)state;
	run_workers(r, workers, 3, UNIT_TIMES(200));
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(workers[i].wrong, 0);
	assert_true(workers[WORKERS - 1].answered > 0);
	registry_free(r);
}

static void
entering_allocates_nothing(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	heap_start();
	for (int i = 0; i < 1000; i++) {
		(void)registry_enter(r, 2);
		registry_leave(r, 2);
		registry_sweep(r);
	}
	assert_int_equal(heap_all, 0);
	registry_free(r);
}

/* What the administration's worker, one behind the others, is told of the model. */
static enum err
choose_as_admin(struct registry *r, struct err_info *info)
{
	struct catalog_choice choice;
	enum err e = catalog_choose(registry_enter(r, WORKERS), "house", &choice, info);

	registry_leave(r, WORKERS);
	return e;
}

static void
unloads_and_loads(void **state)
{
	struct registry *r = open_registry();
	struct err_info info;

	(void)state;
	assert_err(registry_load_version(r, "house", "5", &info), ERR_OK, &info);
	assert_err(registry_unload_model(r, "cave", &info), ERR_UNKNOWN_MODEL, &info);
	assert_err(registry_load_model(r, "cave", &info), ERR_UNKNOWN_MODEL, &info);
	assert_err(registry_unload_model(r, "house", &info), ERR_OK, &info);
	assert_err(registry_unload_model(r, "house", &info), ERR_OK, &info); /* again is the same */
	for (int i = 0; i < 2; i++) {
		assert_err(choose_as_admin(r, &info), ERR_NOT_READY, &info);
		assert_contains(info.text, "was unloaded by the operator");
		assert_err(registry_load_version(r, "house", "5", &info), ERR_NOT_READY, &info);
		folder_set_champion("house", "2");
		registry_reload(r, i == 0 ? CATALOG_PROVE_NEW : CATALOG_PROVE_ALL);
	}
	assert_err(registry_load_model(r, "house", &info), ERR_OK, &info);
	assert_string_equal(champion(r), "2");
	registry_sweep(r);
	registry_free(r);
}

static void
loading_a_broken_champion(void **state)
{
	struct registry *r = open_registry();
	struct err_info info;

	(void)state;
	folder_set_champion("house", "99");
	assert_err(registry_load_model(r, "house", &info), ERR_MODEL_FAILED, &info);
	assert_string_equal(champion(r), "1"); /* goes on */
	assert_err(registry_unload_model(r, "house", &info), ERR_OK, &info);
	assert_err(registry_load_model(r, "house", &info), ERR_MODEL_FAILED, &info);
	assert_err(choose_as_admin(r, &info), ERR_NOT_READY, &info);
	folder_set_champion("house", "3");
	assert_err(registry_load_model(r, "house", &info), ERR_OK, &info);
	assert_string_equal(champion(r), "3");
	registry_free(r);
}

#define IN_STORE(sentence, function) TEST_WITH(sentence, function, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_STORE("a registry opens with the store's champions, or not at all", opens_or_fails),
		IN_STORE("a reload takes the new champion and counts itself", reload_takes_the_new_champion),
		IN_STORE("a reload that fails leaves what was served, and counts itself", broken_reloads),
		IN_STORE("a catalog that a worker is in lives through reloads and sweeps", held_catalog_lives),
		IN_STORE("every version by number is loaded at its first use", loads_versions),
		IN_STORE("a version that is broken or unknown is not loaded, and may be mended", versions_that_do_not_load),
		IN_STORE("what is served is proven again only where all is, a new champion always", what_is_served_is_not_proven_again),
		IN_STORE("the watcher takes a new champion by itself", watches_the_store),
		IN_STORE("the watcher reads the store again each time it is asked", reloads_when_asked),
		IN_STORE("four workers predict right while champions are exchanged", swaps_under_load),
		IN_STORE("workers load versions by number while champions are exchanged", loads_under_load),
		IN_STORE("an unloaded model stays so through reloads, until it is loaded", unloads_and_loads),
		IN_STORE("a champion that cannot be proven is not loaded, and an older one goes on", loading_a_broken_champion),
		IN_STORE("entering, leaving and an idle sweep allocate nothing", entering_allocates_nothing),
	};

	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
