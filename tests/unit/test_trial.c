/* test_trial.c - tests of model/trial and describe: new files tried in a child, and what a bare file is */
#include "model/trial.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <xgboost/c_api.h>

#include "base/json.h"
#include "expected.h"
#include "model/describe.h"

static const char *
program(void)
{
	static char path[PATH_MAX];
	const char *build = getenv("BUILD");

	(void)snprintf(path, sizeof path, "%s/futaie", build != NULL ? build : "build");
	return path;
}

static int
setup(void **state)
{
	if (folder_setup(state) != 0)
		return -1;
	folder_add_version("reg-squarederror", "house", "1");
	return 0;
}

static void
proves_fixtures(void **state)
{
	static const char *const names[] = {"reg-squarederror",
										"multi-softprob-gblinear",
										"binary-logistic-dart",
										"reg-squarederror-categorical",
										"reg-squarederror-multi-output",
										"binary-logistic-json"};
	struct proof proof;
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		check_err(names[i], trial_prove(program(), FOLDER_FIXTURES, names[i], "1", &proof, &info), ERR_OK, &info);
}

static void
passes_the_sentence_on(void **state)
{
	struct proof proof;
	struct err_info info;
	struct model *m;

	(void)state;
	folder_flip_byte("house/1/model.ubj");
	assert_err(trial_prove(program(), folder, "house", "1", &proof, &info), ERR_SHA256_MISMATCH, &info);
	assert_contains(info.text, "model house version 1 cannot be served: ");
	assert_contains(info.text, "the sha256 is");
	assert_err(trial_open(program(), folder, "house", "1", &m, &info), ERR_SHA256_MISMATCH, &info);
	assert_null(m);
	assert_err(trial_open(NULL, folder, "house", "1", &m, &info), ERR_SHA256_MISMATCH, &info);
	assert_err(trial_open(program(), folder, "house", "9", &m, &info), ERR_FILE, &info);
}

/* A program that ends otherwise than ours does. */
static const char *
script(const char *text)
{
	const char *path = folder_path("program");

	folder_write(path, text);
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

static void
judges_crashes(void **state)
{
	struct proof proof;
	struct err_info info;

	(void)state;
	assert_err(trial_prove(script("#!/bin/sh\nkill -SEGV $$\n"), folder, "house", "1", &proof, &info), ERR_BAD_MODEL, &info);
	assert_contains(info.text, "model house version 1 cannot be served: XGBoost crashed on it (Segmentation fault)");
	assert_err(trial_prove(script("#!/bin/sh\nkill -XCPU $$\n"), folder, "house", "1", &proof, &info), ERR_BAD_MODEL, &info);
	assert_contains(info.text, "XGBoost did not get done with it in time");
	assert_err(trial_prove(script("#!/bin/sh\nexit 9\n"), folder, "house", "1", &proof, &info), ERR_BAD_MODEL, &info);
	assert_contains(info.text, "its trial ended with status 9 and no word");
	assert_err(trial_prove(script("#!/bin/sh\necho half a word; kill -SEGV $$\n"), folder, "house", "1", &proof, &info),
			   ERR_BAD_MODEL, &info);
	assert_contains(info.text, "XGBoost crashed on it");
	assert_err(trial_prove(folder_path("none"), folder, "house", "1", &proof, &info), ERR_OUT_OF_MEMORY, &info);
	assert_contains(info.text, "cannot start a trial");
}

static void
gives_the_child_nothing(void **state)
{
	struct proof proof;
	struct err_info info;
	sigset_t blocked;
	sigset_t before;

	(void)state;
	int fd = open(folder, O_RDONLY | O_DIRECTORY); /* not close-on-exec, as libfcgi's */
	(void)sigfillset(&blocked);
	(void)sigprocmask(SIG_SETMASK, &blocked, &before);
	enum err e = trial_prove(script("#!/bin/sh\n"
									"for n in 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$n ] || { echo descriptor $n; exit 1; }; done\n"
									"trap 'got=1' USR1; kill -USR1 $$; [ \"$got\" = 1 ] || { echo signals; exit 1; }\n"
									"read -r line && { echo input; exit 1; }\nexit 0\n"),
							 folder, "house", "1", &proof, &info);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)close(fd);
	assert_err(e, ERR_OK, &info);
}

static void
skips_what_is_on_record(void **state)
{
	struct model *m;
	struct err_info info;
	const char *crash = script("#!/bin/sh\nkill -SEGV $$\n");
	struct proof proof = {.scorer = MODEL_XGBOOST, .rows = 1};
	char sha256[FILES_SHA256_HEX];

	(void)state;
	assert_err(trial_open(crash, folder, "house", "1", &m, &info), ERR_BAD_MODEL, &info);
	assert_err(model_open(folder, "house", "1", MODEL_XGBOOST, &m, &info), ERR_OK, &info);
	(void)snprintf(sha256, sizeof sha256, "%s", model_sha256(m));
	model_free(m);
	assert_err(proof_write(&proof, folder_path("house/1"), sha256, &info), ERR_OK, &info);
	assert_err(trial_open(crash, folder, "house", "1", &m, &info), ERR_OK, &info);
	assert_string_equal(model_scorer_name(m), "xgboost");
	model_free(m);
	proof.scorer = MODEL_FOREST;
	assert_err(proof_write(&proof, folder_path("house/1"), sha256, &info), ERR_OK, &info);
	assert_err(trial_open(crash, folder, "house", "1", &m, &info), ERR_OK, &info);
	assert_string_equal(model_scorer_name(m), "forest");
	model_free(m);
	assert_err(proof_write(&proof, folder_path("house/1"), "0000", &info), ERR_OK, &info); /* of another model file */
	assert_err(trial_open(crash, folder, "house", "1", &m, &info), ERR_BAD_MODEL, &info);
	assert_err(proof_write(&proof, folder_path("house/1"), sha256, &info), ERR_OK, &info);
	cJSON *manifest = folder_read_json(folder_path("house/1/manifest.json")); /* and of another manifest */
	folder_set_text(manifest, "created", "2020-01-01T00:00:00Z");
	folder_write_json(folder_path("house/1/manifest.json"), manifest);
	cJSON_Delete(manifest);
	assert_err(trial_open(crash, folder, "house", "1", &m, &info), ERR_BAD_MODEL, &info);
}

static void
limits_the_process(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct rlimit core;
		struct rlimit cpu;
		struct rlimit file;
		trial_limit((long)getppid(), (size_t)16 * TRIAL_BYTES_A_SECOND);
		(void)getrlimit(RLIMIT_CORE, &core);
		(void)getrlimit(RLIMIT_CPU, &cpu);
		(void)getrlimit(RLIMIT_FSIZE, &file);
		bool right = core.rlim_max == 0 && file.rlim_max == 0 && cpu.rlim_max >= TRIAL_CPU_S + 16 && cpu.rlim_max < 1000;
		_exit(right ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
kinds_of_files(void **state)
{
	(void)state;
	assert_int_equal(describe_kind("{L\0\0\0\0", 6), DESCRIBE_UBJSON);
	assert_int_equal(describe_kind("{\"learner\"", 10), DESCRIBE_JSON);
	assert_int_equal(describe_kind("{\n \"learner\"", 12), DESCRIBE_JSON);
	assert_int_equal(describe_kind("\x80\x04\x95", 3), DESCRIBE_PICKLE);
	assert_int_equal(describe_kind("binf", 4), DESCRIBE_OTHER);
	assert_int_equal(describe_kind("", 0), DESCRIBE_OTHER);
	assert_int_equal(describe_kind("{", 1), DESCRIBE_OTHER);
	assert_int_equal(describe_kind("\x80", 1), DESCRIBE_OTHER);
}

static void
versions_of_files(void **state)
{
	static const char *const files[] = {"reg-squarederror/1/model.ubj", "binary-logistic-json/1/model.json"};
	static const struct {
		const char *bytes;
		size_t len;
		const char *version;
	} texts[] = {
		{"{\"version\": [3, 1, 0]}", 21, "3.1.0"},
		{"{\"version\":[2,1", 15, "2.1.0"},
		{"{\"version", 9, "0.0.0"},
		{"{}", 2, "0.0.0"},
		{"{L version[#i\x03i", 15, "0.0.0"},
		{"{Lversion[#i\x03i\x02i", 16, "2.0.0"},
	};
	char out[16];
	char path[PATH_MAX];
	size_t len;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof path, FOLDER_FIXTURES "/%s", files[i]);
		char *bytes = folder_read(path, &len);
		check_string(files[i], describe_version(bytes, len, out), "1.7.4");
		free(bytes);
	}
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		char *copy = unit_copy(texts[i].bytes, texts[i].len);
		check_string(texts[i].version, describe_version(copy, texts[i].len, out), texts[i].version);
		free(copy);
	}
}

/* A description of a fixture by the child, as a tree. */
static cJSON *
describe(const char *fixture)
{
	char path[PATH_MAX];
	struct buf json;
	struct err_info info;
	cJSON *tree = NULL;

	(void)snprintf(path, sizeof path, FOLDER_FIXTURES "/%s", fixture);
	buf_init(&json, 1 << 20);
	check_err(fixture, trial_describe(program(), path, &json, &info), ERR_OK, &info);
	check_err(fixture, json_document(fixture, buf_peek(&json), json.len, &tree, &info), ERR_OK, &info);
	buf_release(&json);
	return tree;
}

static void
describes_files(void **state)
{
	cJSON *tree = describe("reg-squarederror-categorical/1/model.ubj");
	const cJSON *row;

	(void)state;
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(tree, "objective")), "reg:squarederror");
	assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(tree, "n_features")), 5);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "names"), 3)), "town");
	assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "types"), 3)), "c");
	const cJSON *inputs = cJSON_GetObjectItem(cJSON_GetObjectItem(tree, "golden"), "inputs");
	assert_int_equal(cJSON_GetArraySize(inputs), DESCRIBE_ROWS);
	cJSON_ArrayForEach (row, inputs) { /* categories are whole and among the known */
		const cJSON *town = cJSON_GetArrayItem(row, 3);
		if (cJSON_IsNumber(town))
			assert_true(town->valuedouble >= 0 && town->valuedouble < 12 && floor(town->valuedouble) >= town->valuedouble);
	}
	cJSON_Delete(tree);
	tree = describe("reg-squarederror-unnamed/1/model.ubj");
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(tree, "names")));
	cJSON_Delete(tree);
	tree = describe("multi-softprob/1/model.ubj");
	const cJSON *outputs = cJSON_GetObjectItem(cJSON_GetObjectItem(tree, "golden"), "outputs");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetArrayItem(outputs, 0)), 3);
	cJSON_Delete(tree);
}

static void
describes_no_damaged_files(void **state)
{
	struct buf json;
	struct err_info info;
	size_t len;
	char *bytes = folder_read(FOLDER_FIXTURES "/reg-squarederror/1/model.ubj", &len);

	(void)state;
	buf_init(&json, 1 << 20);
	for (size_t cut = 1; cut < len; cut += len / 7) {
		folder_write_bytes(folder_path("cut.ubj"), bytes, cut);
		check_err("cut", trial_describe(program(), folder_path("cut.ubj"), &json, &info), ERR_BAD_MODEL, &info);
		check_integer("nothing is described", json.len, 0);
	}
	assert_err(trial_describe(program(), folder_path("none"), &json, &info), ERR_FILE, &info);
	assert_contains(info.text, "cannot open");
	buf_release(&json);
	free(bytes);
}

/* A fixture in the old binary format. */
static void
write_binary(const char *fixture, const char *path)
{
	BoosterHandle booster;
	char name[PATH_MAX];

	(void)snprintf(name, sizeof name, FOLDER_FIXTURES "/%s/1/model.ubj", fixture);
	assert_int_equal(XGBoosterCreate(NULL, 0, &booster), 0);
	assert_int_equal(XGBoosterLoadModel(booster, name), 0);
	assert_int_equal(XGBoosterSaveModel(booster, path), 0);
	(void)XGBoosterFree(booster);
}

static void
converts_the_old_format(void **state)
{
	static const char rows[] = "{\"inputs\": [[1, 2, null, 0, 5], [0.5, -3, 1e9, 1, 2]]}";
	struct buf ubjson;
	struct buf before;
	struct buf after;
	struct err_info info;
	size_t len;

	(void)state;
	buf_init(&ubjson, MODEL_FILE_MAX);
	buf_init(&before, 1 << 20);
	buf_init(&after, 1 << 20);
	write_binary("reg-squarederror", folder_path("old.xgb"));
	folder_write(folder_path("rows.json"), rows);
	assert_err(trial_convert(program(), folder_path("old.xgb"), &ubjson, &info), ERR_OK, &info);
	char *old = folder_read(folder_path("old.xgb"), &len);
	assert_int_equal(describe_kind(old, len), DESCRIBE_BINARY);
	free(old);
	assert_int_equal(describe_kind(ubjson.data, ubjson.len), DESCRIBE_UBJSON);
	folder_write_bytes(folder_path("new.ubj"), ubjson.data, ubjson.len);
	assert_err(trial_answer(program(), FOLDER_FIXTURES "/reg-squarederror/1/model.ubj", folder_path("rows.json"), &before, &info),
			   ERR_OK, &info);
	assert_err(trial_answer(program(), folder_path("new.ubj"), folder_path("rows.json"), &after, &info), ERR_OK, &info);
	assert_contains(buf_peek(&before), "{\"inputs\":[[1,2,null,0,5],[0.5,-3,1000000000,1,2]],\"outputs\":[[");
	assert_string_equal(buf_peek(&before), buf_peek(&after));
	folder_write(folder_path("old"), "binf and then nothing of use");
	buf_reset(&ubjson);
	assert_err(trial_convert(program(), folder_path("old"), &ubjson, &info), ERR_BAD_MODEL, &info);
	folder_write(folder_path("rows.json"), "{\"inputs\": [[1, 2]]}");
	assert_err(trial_answer(program(), folder_path("new.ubj"), folder_path("rows.json"), &after, &info), ERR_BAD_MANIFEST, &info);
	assert_contains(info.text, "input row 0");
	buf_release(&ubjson);
	buf_release(&before);
	buf_release(&after);
}

#define IN_STORE(sentence, function) TEST_WITH(sentence, function, setup, folder_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("versions of every kind of booster are proven in a child", proves_fixtures),
		IN_STORE("the old binary format becomes UBJSON in a child, with the same answers; a damaged one a sentence",
				 converts_the_old_format),
		IN_STORE("the child's sentence is passed on", passes_the_sentence_on),
		IN_STORE("a child that crashes, runs out of time or says nothing is told of", judges_crashes),
		IN_STORE("the child gets no descriptors, no input and no blocked signals", gives_the_child_nothing),
		IN_STORE("what is on record as proven is not tried again, another file is", skips_what_is_on_record),
		TEST("the limits of a trial are those of its process", limits_the_process),
		TEST("UBJSON, JSON, pickles and others are told apart by their first bytes", kinds_of_files),
		TEST("the version of XGBoost that wrote a file is found near its end", versions_of_files),
		TEST("a bare file is described with names, types and made-up golden rows", describes_files),
		IN_STORE("a cut file is not described", describes_no_damaged_files),
	};

	return cmocka_run_group_tests_name("trial", tests, NULL, NULL);
}
