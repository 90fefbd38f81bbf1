/* test_model.c - tests of model/model: a version is proven whole or refused, and says which step failed */
#include "model/model.h"

#include "expected.h"

static void
check_fixture(const char *name)
{
	struct model *m;
	struct err_info info;
	struct expected x = {0};
	struct booster_caller caller;

	check_err(name, model_open(FOLDER_FIXTURES, name, "1", MODEL_XGBOOST, &m, &info), ERR_OK, &info);
	expected_init(&x, name);
	check_err(name, booster_caller_init(&caller, &info), ERR_OK, &info);
	check_string(name, model_name(m), name);
	check_integer(name, model_features(m)->n, x.n_features);
	check_integer(name, model_shape(m)->n_features, x.n_features);
	check_integer(name, model_outputs(m, BOOSTER_VALUE), x.n_values);
	check_integer(name, model_outputs(m, BOOSTER_MARGIN), x.n_margins);
	float *out = malloc(x.n_rows * (x.n_values + x.n_margins) * sizeof *out);
	check_err(name, model_predict(m, &caller, BOOSTER_VALUE, x.rows, x.n_rows, out, &info), ERR_OK, &info);
	expected_check(name, out, x.predictions, x.n_rows, x.n_values);
	check_err(name, model_predict(m, &caller, BOOSTER_MARGIN, x.rows, x.n_rows, out, &info), ERR_OK, &info);
	expected_check(name, out, x.margins, x.n_rows, x.n_margins);
	free(out);
	booster_caller_release(&caller);
	expected_release(&x);
	model_free(m);
}

static void
every_fixture(void **state)
{
	(void)state;
	expected_each(check_fixture);
}

static void
shipped_model(void **state)
{
	struct model *m;
	struct err_info info;

	(void)state;
	assert_err(model_open("models", "california-housing", "1", MODEL_XGBOOST, &m, &info), ERR_OK, &info);
	assert_int_equal(model_features(m)->n, 8);
	assert_string_equal(model_features(m)->names[0], "MedInc");
	model_free(m);
}

static void
tells_of_itself(void **state)
{
	struct model *m;
	struct err_info info;

	(void)state;
	assert_err(model_open(FOLDER_FIXTURES, "reg-squarederror", "1", MODEL_XGBOOST, &m, &info), ERR_OK, &info);
	cJSON *manifest = folder_read_json(FOLDER_FIXTURES "/reg-squarederror/1/manifest.json");
	char *features = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(manifest, "features"));
	assert_string_equal(model_name(m), "reg-squarederror");
	assert_string_equal(model_version(m), "1");
	assert_string_equal(model_created(m), cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(manifest, "created")));
	assert_string_equal(model_sha256(m), cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(manifest, "sha256")));
	assert_string_equal(model_features_json(m), features);
	assert_int_equal(model_metrics_json(m)[0], '{');
	assert_string_equal(model_scorer_name(m), "xgboost");
	assert_string_equal(model_shape(m)->objective, "reg:squarederror");
	cJSON_free(features);
	cJSON_Delete(manifest);
	model_free(m);
	model_free(NULL);
}

/* house/1 of the test's folder does not open. */
static void
check_refused(const char *row, enum err e, const char *sentence)
{
	struct model *m = NULL;
	struct err_info info;

	check_err(row, model_open(folder, "house", "1", MODEL_XGBOOST, &m, &info), e, &info);
	check_integer(row, m == NULL, true);
	check_contains(row, info.text, "model house version 1 cannot be served: ");
	check_contains(row, info.text, sentence);
}

static int
house_setup(void **state)
{
	if (folder_setup(state) != 0)
		return -1;
	folder_add_version("reg-squarederror", "house", "1");
	return 0;
}

static void
a_copy_opens(void **state)
{
	struct model *m;
	struct err_info info;

	(void)state;
	assert_err(model_open(folder, "house", "1", MODEL_XGBOOST, &m, &info), ERR_OK, &info);
	model_free(m);
}

static void
changed_bytes(void **state)
{
	size_t len;
	const char *path = folder_path("house/1/model.ubj");
	char *bytes = folder_read(path, &len);

	(void)state;
	for (size_t i = 0; i < len; i += len / 50) {
		char row[32];
		bytes[i] = (char)(bytes[i] ^ 0x10);
		folder_write_bytes(path, bytes, len);
		(void)snprintf(row, sizeof row, "byte %zu", i);
		check_refused(row, ERR_SHA256_MISMATCH, "/house/1/model.ubj: the sha256 is ");
		bytes[i] = (char)(bytes[i] ^ 0x10);
	}
	folder_write_bytes(path, bytes, len);
	free(bytes);
	a_copy_opens(state);
}

static void
changed_length(void **state)
{
	size_t len;
	const char *path = folder_path("house/1/model.ubj");
	char *bytes = folder_read(path, &len);

	(void)state;
	folder_write_bytes(path, bytes, len - 1);
	check_refused("cut by a byte", ERR_SHA256_MISMATCH, "but the manifest says");
	folder_write_bytes(path, bytes, len + 1); /* the NUL behind it */
	check_refused("longer by a byte", ERR_SHA256_MISMATCH, "the file was changed or cut");
	folder_write_bytes(path, bytes, 0);
	check_refused("empty", ERR_SHA256_MISMATCH, "the sha256 is e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	free(bytes);
}

static void
no_model_file(void **state)
{
	(void)state;
	assert_int_equal(unlink(folder_path("house/1/model.ubj")), 0);
	check_refused("missing", ERR_FILE, "/house/1/model.ubj: cannot open: No such file or directory");
	assert_int_equal(mkdir(folder_path("house/1/model.ubj"), 0755), 0);
	check_refused("a folder", ERR_FILE, "/house/1/model.ubj: not a regular file");
	assert_int_equal(rmdir(folder_path("house/1/model.ubj")), 0);
	assert_int_equal(mkfifo(folder_path("house/1/model.ubj"), 0644), 0);
	check_refused("a FIFO", ERR_FILE, "/house/1/model.ubj: not a regular file");
	assert_int_equal(unlink(folder_path("house/1/model.ubj")), 0);
	assert_int_equal(symlink("model.ubj", folder_path("house/1/model.ubj")), 0);
	check_refused("a link to itself", ERR_FILE, "/house/1/model.ubj: cannot open: Too many levels of symbolic links");
}

static void
no_manifest(void **state)
{
	(void)state;
	assert_int_equal(unlink(folder_path("house/1/manifest.json")), 0);
	check_refused("missing", ERR_FILE, "/house/1/manifest.json: cannot open: No such file or directory");
	assert_int_equal(mkfifo(folder_path("house/1/manifest.json"), 0644), 0);
	check_refused("a FIFO", ERR_FILE, "/house/1/manifest.json: not a regular file");
	assert_int_equal(unlink(folder_path("house/1/manifest.json")), 0);
	folder_write(folder_path("house/1/manifest.json"), "{");
	check_refused("cut", ERR_BAD_JSON, "/house/1/manifest.json: line 1, column 2: the JSON text ends too early");
}

static void
no_folder(void **state)
{
	struct model *m;
	struct err_info info;
	char deep[5000];

	(void)state;
	assert_err(model_open(folder, "house", "2", MODEL_XGBOOST, &m, &info), ERR_FILE, &info);
	assert_contains(info.text, "model house version 2 cannot be served: ");
	assert_err(model_open(folder, "hut", "1", MODEL_XGBOOST, &m, &info), ERR_FILE, &info);
	memset(deep, 'x', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	assert_err(model_open(deep, "house", "1", MODEL_XGBOOST, &m, &info), ERR_FILE, &info);
	assert_contains(info.text, "the path is too long");
}

/* Calls `edit` on the manifest of house/1, and writes it back. */
static void
edit_manifest(void (*edit)(cJSON *))
{
	const char *path = folder_path("house/1/manifest.json");
	cJSON *tree = folder_read_json(path);

	edit(tree);
	folder_write_json(path, tree);
	cJSON_Delete(tree);
}

static void
other_objective(cJSON *manifest)
{
	folder_set_text(manifest, "objective", "reg:logistic");
}

static void
other_name(cJSON *manifest)
{
	folder_set_text(manifest, "name", "hut");
}

static void
other_version(cJSON *manifest)
{
	folder_set_text(manifest, "version", "2");
}

static void
other_sha256(cJSON *manifest)
{
	folder_set_text(manifest, "sha256", "BDD3374fe84ff817109d42da2c411a749f9798ab1ed8ae3eafe8fa1d16d4d3a2");
}

static void
names_exchanged(cJSON *manifest)
{
	cJSON *features = cJSON_GetObjectItemCaseSensitive(manifest, "features");

	cJSON_InsertItemInArray(features, 0, cJSON_DetachItemFromArray(features, 1));
}

static void
one_feature_more(cJSON *manifest)
{
	cJSON *feature = cJSON_CreateObject();
	cJSON *row;

	(void)cJSON_AddStringToObject(feature, "name", "one-more");
	(void)cJSON_AddStringToObject(feature, "type", "float");
	(void)cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(manifest, "features"), feature);
	cJSON_ArrayForEach (row, cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(manifest, "golden"), "inputs"))
		(void)cJSON_AddItemToArray(row, cJSON_CreateNumber(1));
}

static cJSON *
golden_outputs(cJSON *manifest)
{
	return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(manifest, "golden"), "outputs");
}

/* Adds `by` to the number of golden row 1's output. */
static void
shift_golden(cJSON *manifest, double by)
{
	cJSON *output = cJSON_GetArrayItem(golden_outputs(manifest), 1);
	cJSON *number = cJSON_IsArray(output) ? cJSON_GetArrayItem(output, 0) : output;

	assert_true(cJSON_IsNumber(number));
	cJSON_SetNumberValue(number, number->valuedouble + by);
}

static void
golden_far(cJSON *manifest)
{
	shift_golden(manifest, 0.5);
}

static void
newer_and_far(cJSON *manifest)
{
	cJSON_SetValuestring(cJSON_GetObjectItemCaseSensitive(manifest, "xgboost_version"), "99.0.0");
	golden_far(manifest);
}

static void
golden_beyond_tolerance(cJSON *manifest)
{
	shift_golden(manifest, 2e-4);
}

static void
golden_missing(cJSON *manifest)
{
	cJSON_ReplaceItemInArray(golden_outputs(manifest), 1, cJSON_CreateNull());
}

static void
golden_two_outputs(cJSON *manifest)
{
	cJSON *outputs = golden_outputs(manifest);
	int n = cJSON_GetArraySize(outputs);
	const float two[] = {1, 2};

	for (int i = 0; i < n; i++)
		cJSON_ReplaceItemInArray(outputs, i, cJSON_CreateFloatArray(two, 2));
}

static void
other_manifests(void **state)
{
	static const struct {
		const char *row;
		void (*edit)(cJSON *);
		enum err e;
		const char *sentence;
	} rows[] = {
		{"objective", other_objective, ERR_BAD_MANIFEST,
		 "the manifest's objective is reg:logistic, the model file's reg:squarederror"},
		{"name", other_name, ERR_BAD_MANIFEST, "it is of hut version 1, but lies in the folder of house version 1"},
		{"version", other_version, ERR_BAD_MANIFEST, "it is of house version 2, but lies in the folder of house version 1"},
		{"sha256 in capitals", other_sha256, ERR_BAD_MANIFEST, "must be 64 lower-case hexadecimal digits"},
		{"a feature more", one_feature_more, ERR_BAD_MANIFEST, "the manifest names 6 features, the model file has 5"},
		{"two names exchanged", names_exchanged, ERR_BAD_MANIFEST, "but the model file names it"},
		{"a newer XGBoost and a golden row far off", newer_and_far, ERR_GOLDEN_MISMATCH,
		 "it was saved by XGBoost 99.0.0, which is newer"},
		{"golden row far off", golden_far, ERR_GOLDEN_MISMATCH, "golden row 1 gives "},
		{"golden row off by 2e-4", golden_beyond_tolerance, ERR_GOLDEN_MISMATCH, "golden row 1 gives "},
		{"golden row null", golden_missing, ERR_GOLDEN_MISMATCH, "golden row 1 gives "},
		{"golden rows of two outputs", golden_two_outputs, ERR_BAD_MANIFEST,
		 "the golden rows have 2 outputs each, the model gives 1"},
	};
	const char *path = folder_path("house/1/manifest.json");
	char *good = folder_read(path, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		edit_manifest(rows[i].edit);
		check_refused(rows[i].row, rows[i].e, rows[i].sentence);
		folder_write(path, good);
	}
	free(good);
	a_copy_opens(state);
}

/* Makes house/1 of a text in place of a model, with the right sha256. */
static void
model_of_text(const char *text)
{
	const char *path = folder_path("house/1/manifest.json");
	char sha256[FILES_SHA256_HEX];
	cJSON *tree = folder_read_json(path);

	files_sha256(text, strlen(text), sha256);
	folder_set_text(tree, "sha256", sha256);
	folder_write_json(path, tree);
	folder_write(folder_path("house/1/model.ubj"), text);
	cJSON_Delete(tree);
}

static void
no_xgboost_model(void **state)
{
	(void)state;
	model_of_text("{}");
	check_refused("{}", ERR_BAD_MODEL, "it lacks the objective, the number of features or base_score of an XGBoost model");
	model_of_text("not a model");
	check_refused("text", ERR_BAD_MODEL, "the file is neither JSON nor UBJSON");
}

#define WITH_HOUSE(sentence, function) TEST_WITH(sentence, function, house_setup, folder_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("every fixture is proven and predicts with the bits of Booster.predict", every_fixture),
		TEST("the shipped model is proven", shipped_model),
		TEST("a model tells name, version, features, metrics and sha256 of its manifest", tells_of_itself),
		WITH_HOUSE("a copy of a version is proven", a_copy_opens),
		WITH_HOUSE("a model file with any byte changed is refused", changed_bytes),
		WITH_HOUSE("a model file that is cut, longer or empty is refused", changed_length),
		WITH_HOUSE("a missing model file, a folder, a FIFO and an endless link in its place are refused", no_model_file),
		WITH_HOUSE("a missing, cut or unreadable manifest is refused", no_manifest),
		WITH_HOUSE("a version that is not there is refused", no_folder),
		WITH_HOUSE("a manifest of another model, objective, features or golden rows is refused", other_manifests),
		WITH_HOUSE("a file with the right sha256 that is no model is refused", no_xgboost_model),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
