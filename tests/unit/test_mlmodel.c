/* test_mlmodel.c - tests of mlflow/mlmodel and mlflow/mlmodel_write: MLflow's description of a model, read and written */
#include "mlflow/mlmodel.h"

#include <cjson/cJSON.h>
#include <math.h>

#include "base/json.h"
#include "base/random.h"
#include "mlflow/mlmodel_write.h"
#include "unit.h"

/* As MLflow 3.17 wrote it, keys in its order. */
static const char written[] =
	"artifact_path: mlflow-artifacts:/1/models/m-98/artifacts\n"
	"flavors:\n"
	"  python_function:\n"
	"    data: other.bin\n"
	"    env:\n      conda: conda.yaml\n      virtualenv: python_env.yaml\n"
	"    loader_module: mlflow.xgboost\n    python_version: 3.11.2\n"
	"  xgboost:\n    code: null\n    data: model.xgb\n    model_class: xgboost.sklearn.XGBRegressor\n    model_format: xgb\n    "
	"xgb_version: 3.2.0\n"
	"is_signature_from_type_hint: false\nmlflow_version: 3.17.2\nmodel_id: m-98\nmodel_size_bytes: 12816\nprompts: null\n"
	"run_id: 5b9d\n"
	"saved_input_example_info:\n  artifact_path: input_example.json\n  pandas_orient: split\n  type: dataframe\n"
	"signature:\n"
	"  inputs: '[{\"type\": \"float\", \"name\": \"a\", \"required\": true}, {\"type\": \"float\", \"name\":\n"
	"    \"b c\", \"required\": true}]'\n"
	"  outputs: '[]'\n  params: null\n"
	"utc_time_created: '2026-11-25 00:09:40.047685'\n";

static void
reads_what_mlflow_writes(void **state)
{
	struct mlmodel m;
	struct err_info info;

	(void)state;
	assert_err(mlmodel_init(&m, "MLmodel", written, strlen(written), &info), ERR_OK, &info);
	assert_true(m.has_xgboost);
	assert_string_equal(m.flavors, "python_function, xgboost");
	assert_string_equal(m.data, "model.xgb");
	assert_string_equal(m.model_class, "xgboost.sklearn.XGBRegressor");
	assert_string_equal(m.xgb_version, "3.2.0");
	assert_string_equal(m.mlflow_version, "3.17.2");
	assert_string_equal(m.run, "5b9d");
	assert_string_equal(m.example, "input_example.json");
	assert_string_equal(m.example_orient, "split");
	assert_string_equal(m.inputs, "[{\"type\": \"float\", \"name\": \"a\", \"required\": true}, {\"type\": \"float\", \"name\": "
								  "\"b c\", \"required\": true}]");
	mlmodel_release(&m);
	mlmodel_release(&m);
}

static void
refuses_what_is_none(void **state)
{
	static const struct {
		const char *text;
		const char *part;
	} rows[] = {
		{"", "it is empty"},
		{"just words", "no mapping"},
		{"- a\n- b\n", "no mapping"},
		{"a: &x 1\nb: *x\n", "anchor"},
		{"a: *x\n", "alias"},
		{"a: 1\n---\nb: 2\n", "several documents"},
		{"a: [1, 2\n", "line"},
		{"{[1]: 2}", "a key in it is no text"},
		{"a: [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "nested too deeply"},
		{"flavors:\n  xgboost:\n    data: ../../etc/passwd\n", "leads out"},
		{"flavors:\n  xgboost:\n    data: /etc/passwd\n", "leads out"},
		{"flavors:\n  xgboost:\n    data: \"a\\0b\"\n", "NUL"},
		{"saved_input_example_info:\n  artifact_path: a/../b\n", "leads out"},
		{"flavors:\n  sklearn:\n    pickled_model: a//b\n", "leads out"},
	};
	struct mlmodel m;
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_err(rows[i].text, mlmodel_init(&m, "MLmodel", rows[i].text, strlen(rows[i].text), &info), ERR_REMOTE, &info);
		check_contains(rows[i].text, info.text, rows[i].part);
		check_contains(rows[i].text, info.text, "MLmodel");
	}
}

static void
bounds_entries_and_paths(void **state)
{
	struct mlmodel m;
	struct err_info info;
	char *many = malloc(12000 * 8);
	char path[600] = "flavors:\n  xgboost:\n    data: ";
	size_t len = 0;

	(void)state;
	assert_non_null(many);
	for (int i = 0; i < 12000; i++)
		len += (size_t)snprintf(many + len, 9, "k%d: 1\n", i % 1000);
	assert_err(mlmodel_init(&m, "MLmodel", many, len, &info), ERR_REMOTE, &info);
	assert_contains(info.text, "too many entries");
	free(many);
	len = strlen(path);
	memset(path + len, 'a', 300);
	assert_err(mlmodel_init(&m, "MLmodel", path, len + 300, &info), ERR_REMOTE, &info);
	assert_contains(info.text, "too long");
}

/* A value of the same name elsewhere is not taken for it. */
static void
minds_where_values_stand(void **state)
{
	static const char text[] = "data: no\nxgboost:\n  data: no\nflavors:\n  other:\n    xgboost:\n      data: no\n  xgboost/data: "
							   "no\n  list: [{data: no}, {xgboost: {data: no}}]\n";
	struct mlmodel m;
	struct err_info info;

	(void)state;
	assert_err(mlmodel_init(&m, "MLmodel", text, strlen(text), &info), ERR_OK, &info);
	assert_false(m.has_xgboost);
	assert_string_equal(m.data, "");
	assert_string_equal(m.flavors, "other, list");
	mlmodel_release(&m);
}

/* Cut and changed at random: it must not hurt, and a failure has a sentence. */
static void
survives_damage(void **state)
{
	uint64_t random = 7;
	struct mlmodel m;
	struct err_info info;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		size_t len = i % 3 == 0 ? random_below(&random, sizeof written) : sizeof written - 1;
		char *copy = unit_copy(written, len);
		for (int k = 0; k < i % 5 && len > 0; k++)
			copy[random_below(&random, len)] = (char)random_below(&random, 256);
		info.text[0] = '\0';
		if (mlmodel_init(&m, "MLmodel", copy, len, &info) != ERR_OK)
			assert_true(info.text[0] != '\0');
		mlmodel_release(&m);
		free(copy);
	}
}

static void
knows_paths(void **state)
{
	static const char *const good[] = {"model.ubj", "a/b/c", "a b", "..a", "a..", ".a", "été"};
	static const char *const bad[] = {"", "/a", "..", ".", "a/..", "../a", "a/../b", "a//b", "a/", "a\\b", "a\nb", "./a"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		check_integer(good[i], mlmodel_is_path(good[i]), true);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		check_integer(bad[i], mlmodel_is_path(bad[i]), false);
}

static void
reads_what_we_write(void **state)
{
	static const char *const names[] = {"a", "it's", "b: \"c\" # d"};
	static const float example[] = {1.5F, NAN, -2, 3, 4, 5};
	const struct mlmodel_draft d = {.artifact_path = "model",
									.run = "5b9d",
									.model_id = "",
									.uuid = "00ff",
									.mlflow = "3.17.2",
									.xgboost = "1.7.4",
									.data = "model.ubj",
									.n_features = 3,
									.names = names,
									.n_outputs = 2,
									.example = example,
									.n_example = 2};
	struct buf text;
	struct mlmodel m;
	struct err_info info;
	cJSON *tree;

	(void)state;
	buf_init(&text, MLMODEL_WRITE_MAX);
	mlmodel_write(&d, &text);
	assert_err(mlmodel_init(&m, "MLmodel", buf_peek(&text), text.len, &info), ERR_OK, &info);
	assert_string_equal(m.data, "model.ubj");
	assert_string_equal(m.model_class, "xgboost.core.Booster");
	assert_string_equal(m.mlflow_version, "3.17.2");
	assert_string_equal(m.example, MLMODEL_EXAMPLE);
	assert_err(json_document("inputs", m.inputs, strlen(m.inputs), &tree, &info), ERR_OK, &info);
	for (int i = 0; i < 3; i++)
		assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(tree, i), "name")), names[i]);
	cJSON_Delete(tree);
	assert_contains(buf_peek(&text), "\"shape\": [-1, 2]");
	mlmodel_release(&m);
	buf_reset(&text);
	mlmodel_write_note(&d, &text);
	assert_err(json_document("note", buf_peek(&text), text.len, &tree, &info), ERR_OK, &info);
	cJSON_Delete(tree);
	buf_reset(&text);
	mlmodel_write_example(&d, true, &text);
	assert_string_equal(
		buf_peek(&text),
		"{\"dataframe_split\": {\"columns\": [\"a\", \"it's\", \"b: \\\"c\\\" # d\"], \"data\": [[1.5, null, -2], [3, 4, 5]]}}");
	buf_release(&text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("an MLmodel as MLflow writes it is read", reads_what_mlflow_writes),
		TEST("what is no MLmodel is refused with a sentence: anchors, aliases, deep nests, paths that lead out",
			 refuses_what_is_none),
		TEST("entries and paths of an MLmodel are bounded", bounds_entries_and_paths),
		TEST("a value of the same name elsewhere in an MLmodel is not taken", minds_where_values_stand),
		TEST("a damaged MLmodel does no harm", survives_damage),
		TEST("paths that stay within their folder are told from others", knows_paths),
		TEST("an MLmodel of ours is read back, with quotes in names; its note and example are JSON", reads_what_we_write),
	};

	return cmocka_run_group_tests_name("mlmodel", tests, NULL, NULL);
}
