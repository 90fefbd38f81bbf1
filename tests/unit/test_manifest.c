/* test_manifest.c - tests of model/manifest: what manifest.json must hold */
#include "model/manifest.h"

#include <math.h>

#include "folder.h"

#define GOOD                                                                                                                       \
	"{\"name\":\"m\",\"version\":\"2\",\"created\":\"2026-01-01T00:00:00Z\",\"objective\":\"reg:squarederror\","                   \
	"\"model_file\":\"model.ubj\",\"sha256\":\"0123456789012345678901234567890123456789012345678901234567890123\","                \
	"\"xgboost_version\":\"1.7.4\","                                                                                               \
	"\"features\":[{\"name\":\"a\",\"type\":\"float\"},{\"name\":\"b\",\"type\":\"float\",\"distribution\":{\"mean\":0.5}}],"      \
	"\"metrics\":{\"rmse\":0.25},\"golden\":{\"inputs\":[[1,null],[0.1,-3e38]],\"outputs\":[1.5,null]},\"target\":\"t\","          \
	"\"unknown\":[1]}"

static enum err
read_text(const char *text, struct manifest *m, struct err_info *info)
{
	folder_write(folder_path("manifest.json"), text);
	return manifest_init(m, folder, "m", "2", info);
}

static void
reads_all(void **state)
{
	struct manifest m;
	struct err_info info;

	(void)state;
	assert_err(read_text(GOOD, &m, &info), ERR_OK, &info);
	assert_string_equal(m.name, "m");
	assert_string_equal(m.version, "2");
	assert_string_equal(m.created, "2026-01-01T00:00:00Z");
	assert_string_equal(m.objective, "reg:squarederror");
	assert_string_equal(m.model_file, "model.ubj");
	assert_string_equal(m.sha256, "0123456789012345678901234567890123456789012345678901234567890123");
	assert_int_equal(m.features.n, 2);
	assert_string_equal(m.features.names[1], "b");
	assert_string_equal(m.features_json, "[{\"name\":\"a\",\"type\":\"float\"},"
										 "{\"name\":\"b\",\"type\":\"float\",\"distribution\":{\"mean\":0.5}}]");
	assert_string_equal(m.metrics_json, "{\"rmse\":0.25}");
	assert_int_equal(m.golden.n, 2);
	assert_int_equal(m.golden.n_outputs, 1);
	check_float("in 0", m.golden.in[0], 1.0F);
	check_float("in 1", m.golden.in[1], NAN);
	check_float("in 2", m.golden.in[2], 0.1F);
	check_float("in 3", m.golden.in[3], -3e38F);
	check_float("out 0", m.golden.out[0], 1.5F);
	check_float("out 1", m.golden.out[1], NAN);
	manifest_release(&m);
	assert_null(m.golden.in);
	manifest_release(&m);
}

/* GOOD with the value at `path` ("golden/inputs") replaced by `json`, or removed where that is NULL; the caller frees it. */
static char *
edited(const char *path, const char *json)
{
	cJSON *tree = cJSON_Parse(GOOD);
	cJSON *parent = tree;
	const char *slash = strchr(path, '/');

	if (slash != NULL) {
		char first[32];
		(void)snprintf(first, sizeof first, "%.*s", (int)(slash - path), path);
		parent = cJSON_GetObjectItemCaseSensitive(tree, first);
		path = slash + 1;
	}
	assert_non_null(cJSON_GetObjectItemCaseSensitive(parent, path));
	if (json == NULL)
		cJSON_DeleteItemFromObjectCaseSensitive(parent, path);
	else
		assert_true(cJSON_ReplaceItemInObjectCaseSensitive(parent, path, cJSON_CreateRaw(json)));
	char *text = cJSON_PrintUnformatted(tree);
	cJSON_Delete(tree);
	return text;
}

static void
check_edit(const char *path, const char *json, enum err e, const char *sentence)
{
	struct manifest m;
	struct err_info info;
	char row[128];
	char *text = edited(path, json);

	(void)snprintf(row, sizeof row, "%s: %.80s", path, json != NULL ? json : "(removed)");
	check_err(row, read_text(text, &m, &info), e, &info);
	if (e != ERR_OK) {
		check_contains(row, info.text, sentence);
		check_contains(row, info.text, "/manifest.json: ");
		check_integer(row, m.features_json == NULL && m.golden.in == NULL && m.features.n == 0, true);
	}
	manifest_release(&m);
	cJSON_free(text);
}

static void
missing_members(void **state)
{
	static const char *const names[] = {"name",   "version",         "created",  "objective", "model_file",
										"sha256", "xgboost_version", "features", "metrics"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char sentence[64];
		(void)snprintf(sentence, sizeof sentence, "\"%s\" is missing or not a", names[i]);
		check_edit(names[i], NULL, ERR_BAD_MANIFEST, sentence);
		check_edit(names[i], "null", ERR_BAD_MANIFEST, sentence);
		check_edit(names[i], "7", ERR_BAD_MANIFEST, sentence);
	}
	check_edit("golden", NULL, ERR_BAD_MANIFEST, "\"golden\" needs \"inputs\" and \"outputs\"");
	check_edit("golden/inputs", NULL, ERR_BAD_MANIFEST, "\"golden\" needs \"inputs\" and \"outputs\"");
	check_edit("golden/outputs", NULL, ERR_BAD_MANIFEST, "\"golden\" needs \"inputs\" and \"outputs\"");
}

static void
wrong_members(void **state)
{
	(void)state;
	check_edit("name", "\"other\"", ERR_BAD_MANIFEST, "it is of other version 2, but lies in the folder of m version 2");
	check_edit("name", "\"M\"", ERR_BAD_MANIFEST, "it is of M version 2");
	check_edit("version", "\"3\"", ERR_BAD_MANIFEST, "it is of m version 3, but lies in the folder of m version 2");
	check_edit("version", "\"02\"", ERR_BAD_MANIFEST, "it is of m version 02");
	check_edit("version", "2", ERR_BAD_MANIFEST, "\"version\" is missing or not a string");
	check_edit("model_file", "\"model.bin\"", ERR_BAD_MANIFEST, "must be model.ubj or model.json, not \"model.bin\"");
	check_edit("model_file", "\"../model.ubj\"", ERR_BAD_MANIFEST, "must be model.ubj or model.json");
	check_edit("model_file", "\"model.json\"", ERR_OK, "");
	check_edit("model_file", "\"0123456789012345\"", ERR_BAD_MANIFEST, "\"model_file\" is longer than 15 bytes");
	check_edit("sha256", "\"01234567890123456789012345678901234567890123456789012345678901234\"", ERR_BAD_MANIFEST,
			   "\"sha256\" is longer than 64 bytes");
	check_edit("metrics", "[]", ERR_BAD_MANIFEST, "\"metrics\" is missing or not an object");
	check_edit("metrics", "{}", ERR_OK, "");
	check_edit("golden", "[]", ERR_BAD_MANIFEST, "\"golden\" needs \"inputs\" and \"outputs\"");
}

static void
wrong_features(void **state)
{
	(void)state;
	check_edit("features", "{}", ERR_BAD_MANIFEST, "\"features\" is missing or not an array");
	check_edit("features", "[]", ERR_BAD_MANIFEST, "a model has 1 to 65536 features, not 0");
	check_edit("features", "[\"a\",\"b\"]", ERR_BAD_MANIFEST, "\"features\"[0] needs a \"name\" and a \"type\", both strings");
	check_edit("features", "[[\"name\",\"type\"],\"b\"]", ERR_BAD_MANIFEST, "\"features\"[0] needs");
	check_edit("features", "[{\"name\":\"a\",\"type\":\"float\"},{\"name\":\"b\"}]", ERR_BAD_MANIFEST, "\"features\"[1] needs");
	check_edit("features", "[{\"name\":1,\"type\":\"float\"}]", ERR_BAD_MANIFEST, "\"features\"[0] needs");
	check_edit("features", "[null]", ERR_BAD_MANIFEST, "\"features\"[0] needs");
	check_edit("features", "[{\"name\":\"\",\"type\":\"float\"}]", ERR_BAD_MANIFEST, "the name of feature 0 is empty");
	check_edit("features", "[{\"name\":\"a\",\"type\":\"float\"},{\"name\":\"a\",\"type\":\"float\"}]", ERR_BAD_MANIFEST,
			   "two features are named \"a\"");
}

static void
wrong_golden_rows(void **state)
{
	static const char needs[] = "\"golden\" needs \"inputs\" and \"outputs\", arrays of equal length from 1 to 10000";

	(void)state;
	check_edit("golden/inputs", "[]", ERR_BAD_MANIFEST, needs);
	check_edit("golden/inputs", "[[1,2]]", ERR_BAD_MANIFEST, needs);
	check_edit("golden/inputs", "{}", ERR_BAD_MANIFEST, needs);
	check_edit("golden/inputs", "[[1,2],[1]]", ERR_BAD_MANIFEST, "\"golden\".\"inputs\"[1] is not 2 finite numbers");
	check_edit("golden/inputs", "[[1,2,3],[1,2]]", ERR_BAD_MANIFEST, "\"golden\".\"inputs\"[0] is not 2 finite numbers");
	check_edit("golden/inputs", "[1,2]", ERR_BAD_MANIFEST, "\"golden\".\"inputs\"[0] is not 2 finite numbers");
	check_edit("golden/inputs", "[[1,\"2\"],[1,2]]", ERR_BAD_MANIFEST, "\"golden\".\"inputs\"[0] is not 2 finite numbers");
	check_edit("golden/inputs", "[[1,1e39],[1,2]]", ERR_BAD_MANIFEST, "\"golden\".\"inputs\"[0] is not 2 finite numbers");
	check_edit("golden/inputs", "[[1,-1e999],[1,2]]", ERR_BAD_MANIFEST, "\"golden\".\"inputs\"[0] is not 2 finite numbers");
	check_edit("golden/outputs", "[1]", ERR_BAD_MANIFEST, needs);
	check_edit("golden/outputs", "[[],[]]", ERR_BAD_MANIFEST, "\"golden\".\"outputs\"[0] is empty");
	check_edit("golden/outputs", "[[1,2],[1]]", ERR_BAD_MANIFEST, "\"golden\".\"outputs\"[1] is not 2 finite numbers");
	check_edit("golden/outputs", "[1,[1,2]]", ERR_BAD_MANIFEST, "\"golden\".\"outputs\"[1] is not 1 finite numbers");
	check_edit("golden/outputs", "[1,true]", ERR_BAD_MANIFEST, "\"golden\".\"outputs\"[1] is not 1 finite numbers");
	check_edit("golden/outputs", "[1,[1]]", ERR_OK, "");
	check_edit("golden/outputs", "[[1,null],[null,2]]", ERR_OK, "");
}

/* "[ROW,ROW,…]" with `n` rows. */
static void
add_rows(struct buf *b, const char *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_char(b, i == 0 ? '[' : ',');
		buf_str(b, row);
	}
	buf_char(b, ']');
}

static void
most_golden_rows(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000000);
	for (size_t n = GOLDEN_MAX; n <= GOLDEN_MAX + 1; n++) {
		buf_reset(&b);
		buf_str(&b, "{\"inputs\":");
		add_rows(&b, "[1,2]", n);
		buf_str(&b, ",\"outputs\":");
		add_rows(&b, "1", n);
		buf_char(&b, '}');
		check_edit("golden", buf_peek(&b), n > GOLDEN_MAX ? ERR_BAD_MANIFEST : ERR_OK, "arrays of equal length from 1 to 10000");
	}
	buf_release(&b);
}

static void
texts_that_are_no_manifest(void **state)
{
	static const struct {
		const char *text;
		enum err e;
		const char *sentence;
	} rows[] = {
		{"", ERR_BAD_JSON, "line 1, column 1: the JSON text ends too early"},
		{"[]", ERR_BAD_MANIFEST, "expected a JSON object"},
		{"null", ERR_BAD_MANIFEST, "expected a JSON object"},
		{"{}", ERR_BAD_MANIFEST, "\"name\" is missing or not a string"},
		{"{\"name\":\"m\",\"name\":\"m\"}", ERR_REPEATED_FIELD, "the member \"name\" stands twice"},
		{"{\"name\":NaN}", ERR_BAD_JSON, "line 1, column 9: found 'N'"},
		{"{\"Name\":\"m\"}", ERR_BAD_MANIFEST, "\"name\" is missing or not a string"},
		{"\xEF\xBB\xBF{}", ERR_BAD_JSON, "starts with a byte order mark"},
	};
	struct manifest m;
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_err(rows[i].text, read_text(rows[i].text, &m, &info), rows[i].e, &info);
		check_contains(rows[i].text, info.text, rows[i].sentence);
		check_contains(rows[i].text, info.text, "/manifest.json: ");
	}
}

static void
every_prefix(void **state)
{
	struct manifest m;
	struct err_info info;
	char text[sizeof GOOD];

	(void)state;
	for (size_t len = 0; len < strlen(GOOD); len += 3) {
		char row[32];
		memcpy(text, GOOD, len);
		text[len] = '\0';
		(void)snprintf(row, sizeof row, "%zu bytes", len);
		check_err(row, read_text(text, &m, &info), ERR_BAD_JSON, &info);
	}
}

static void
no_file(void **state)
{
	struct manifest m;
	struct err_info info;
	char deep[5000];

	(void)state;
	assert_err(manifest_init(&m, folder, "m", "2", &info), ERR_FILE, &info);
	assert_contains(info.text, "/manifest.json: cannot open: No such file or directory");
	assert_int_equal(mkdir(folder_path("manifest.json"), 0755), 0);
	assert_err(manifest_init(&m, folder, "m", "2", &info), ERR_FILE, &info);
	assert_contains(info.text, "/manifest.json: not a regular file");
	assert_int_equal(rmdir(folder_path("manifest.json")), 0);
	assert_int_equal(mkfifo(folder_path("manifest.json"), 0644), 0);
	assert_err(manifest_init(&m, folder, "m", "2", &info), ERR_FILE, &info);
	assert_contains(info.text, "/manifest.json: not a regular file");
	memset(deep, 'x', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	assert_err(manifest_init(&m, deep, "m", "2", &info), ERR_FILE, &info);
}

#define IN_FOLDER(sentence, function) TEST_WITH(sentence, function, folder_setup, folder_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_FOLDER("a whole manifest is read, and unknown members do not matter", reads_all),
		IN_FOLDER("a missing member or one of another type is refused by its name", missing_members),
		IN_FOLDER("a manifest of another name or version, or with an odd model file, is refused", wrong_members),
		IN_FOLDER("features without names, types or uniqueness are refused", wrong_features),
		IN_FOLDER("golden rows that are none, ragged, or not finite are refused", wrong_golden_rows),
		IN_FOLDER("10000 golden rows are read, and one more is refused", most_golden_rows),
		IN_FOLDER("a text that is no manifest is refused with its path", texts_that_are_no_manifest),
		IN_FOLDER("a truncated manifest is refused", every_prefix),
		IN_FOLDER("a missing manifest, a folder and a FIFO in its place are refused", no_file),
	};

	return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
