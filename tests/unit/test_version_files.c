/* test_version_files.c - tests of model/forest with files that other versions of XGBoost saved: the bits that each gave itself */
#include "damage.h"
#include "expected.h"
#include "model/booster.h"
#include "model/model.h"
#include "model/treefile.h"

#define FOLDER_VERSIONS "tests/data/versions"

enum { FILES_MIN = 200, VERSIONS_MIN = 14 };

static const char model_suffix[] = ".expected.json";

/* The outputs of every row, in a batch or one by one; the caller frees them. */
static float *
ask(const struct forest *f, enum booster_output output, const struct expected *x, bool alone)
{
	const struct booster_shape *shape = forest_shape(f);
	size_t width = output == BOOSTER_MARGIN ? shape->n_margins : shape->n_values;
	float *got = calloc(x->n_rows * width, sizeof *got);

	assert_non_null(got);
	for (size_t i = 0; alone && i < x->n_rows; i++)
		forest_predict(f, output, x->rows + i * x->n_features, 1, got + i * width);
	if (!alone)
		forest_predict(f, output, x->rows, x->n_rows, got);
	return got;
}

/*
 * XGBoost until 1.2, and for dart until 1.3, added up the trees and then base_score; later ones start from base_score, also with these files. We
 * do as they: the last bits are other ones than those that the old version gave.
 */
static bool
was_summed_otherwise(const char *path)
{
	const char *version = path + strlen(FOLDER_VERSIONS "/");

	return strverscmp(version, "1.3") < 0 || (strverscmp(version, "1.4") < 0 && strstr(path, "dart") != NULL);
}

static void
check_near(const char *path, const float *got, const float *expected, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fabsf(got[i] - expected[i]) > MODEL_GOLDEN_TOLERANCE * fmaxf(1, fabsf(expected[i])))
			fail_msg("%s, output %zu: %.9g, expected about %.9g", path, i, (double)got[i], (double)expected[i]);
}

static void
check_outputs(const char *path, const struct forest *f, enum booster_output output, const struct expected *x)
{
	const struct booster_shape *shape = forest_shape(f);
	const float *expected = output == BOOSTER_MARGIN ? x->margins : x->predictions;
	size_t width = output == BOOSTER_MARGIN ? x->n_margins : x->n_values;

	check_integer(path, output == BOOSTER_MARGIN ? shape->n_margins : shape->n_values, width);
	for (int alone = 0; alone <= 1; alone++) {
		float *got = ask(f, output, x, alone != 0);
		if (was_summed_otherwise(path))
			check_near(path, got, expected, x->n_rows * width);
		else
			expected_check(path, got, expected, x->n_rows, width);
		free(got);
	}
}

/* The library that is here must give the forest's bits, too, where it is not too old for the file. */
static void
check_library(const char *path, const char *bytes, size_t len, const struct forest *f, const struct expected *x)
{
	char library[16];
	struct booster *b;
	struct booster_caller caller;
	struct err_info info;

	if (strverscmp(path + strlen(FOLDER_VERSIONS "/"), booster_library_version(library)) > 0)
		return;
	check_err(path, booster_open(bytes, len, &b, &info), ERR_OK, &info);
	assert_err(booster_caller_init(&caller, &info), ERR_OK, &info);
	float *got = ask(f, BOOSTER_MARGIN, x, false);
	float *expected = calloc(x->n_rows * x->n_margins, sizeof *expected);
	check_err(path, booster_predict(b, &caller, BOOSTER_MARGIN, x->rows, x->n_rows, expected, &info), ERR_OK, &info);
	expected_check(path, got, expected, x->n_rows, x->n_margins);
	free(expected);
	free(got);
	booster_caller_release(&caller);
	booster_free(b);
}

/* The model file beside what is expected of it. */
static char *
read_model(const char *expected_path, size_t *len)
{
	char path[PATH_MAX];
	int stem = (int)(strlen(expected_path) - strlen(model_suffix));

	(void)snprintf(path, sizeof path, "%.*s.ubj", stem, expected_path);
	if (access(path, F_OK) != 0)
		(void)snprintf(path, sizeof path, "%.*s.json", stem, expected_path);
	return folder_read(path, len);
}

static void
check_file(const char *path)
{
	struct expected x;
	struct forest *f;
	struct err_info info;
	size_t len;
	char *bytes = read_model(path, &len);

	check_err(path, forest_open(bytes, len, &f, &info), ERR_OK, &info);
	expected_read(&x, path);
	check_integer(path, forest_shape(f)->n_features, x.n_features);
	check_outputs(path, f, BOOSTER_MARGIN, &x);
	check_outputs(path, f, BOOSTER_VALUE, &x);
	check_library(path, bytes, len, f, &x);
	expected_release(&x);
	forest_free(f);
	free(bytes);
}

/* Calls `check` with the path of what is expected of each file of a version; gives back how many there are. */
static int
for_each_file(const char *version, void (*check)(const char *path))
{
	char path[PATH_MAX];
	struct dirent **list;
	int checked = 0;

	(void)snprintf(path, sizeof path, FOLDER_VERSIONS "/%s", version);
	int n = scandir(path, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (strstr(list[i]->d_name, model_suffix) != NULL) {
			(void)snprintf(path, sizeof path, FOLDER_VERSIONS "/%s/%s", version, list[i]->d_name);
			check(path);
			checked++;
		}
		free(list[i]);
	}
	free(list);
	return checked;
}

static void
answers_as_each_version(void **state)
{
	struct dirent **list;
	int n = scandir(FOLDER_VERSIONS, &list, NULL, versionsort);
	int versions = 0;
	int files = 0;

	(void)state;
	for (int i = 0; i < n; i++) {
		int checked = list[i]->d_name[0] == '.' ? 0 : for_each_file(list[i]->d_name, check_file);
		versions += checked > 0;
		files += checked;
		free(list[i]);
	}
	free(list);
	assert_true(versions >= VERSIONS_MIN && files >= FILES_MIN);
}

/* What a library of which version would misread. */
static void
knows_what_is_too_new(void **state)
{
	static const struct {
		const char *path;
		const char *too_old; /* or NULL */
		const char *reads;
	} files[] = {
		{"1.0.2/softprob.json", NULL, "1.7.4"},         {"2.0.3/softprob.ubj", NULL, "1.7.4"},
		{"2.0.3/vectors.ubj", "1.7.4", "2.0.0"},        {"3.0.5/vectors-softprob.ubj", "1.7.6", "2.1.4"},
		{"3.1.3/squarederror.ubj", "3.0.5", "3.1.0"},   {"3.1.3/vectors.ubj", "3.0.5", "3.1.0"},
		{"3.3.0/softmax.ubj", "2.1.4", "3.1.0"},        {"3.4.1/dart.ubj", "3.3.0", "3.4.0"},
		{"3.2.0/vectors-json.json", "3.1.3", "3.10.0"},
	};
	char path[PATH_MAX];
	struct err_info info;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		(void)snprintf(path, sizeof path, FOLDER_VERSIONS "/%s", files[i].path);
		char *bytes = folder_read(path, &len);
		check_err(path, treefile_check(bytes, len, files[i].reads, &info), ERR_OK, &info);
		if (files[i].too_old != NULL) {
			check_err(path, treefile_check(bytes, len, files[i].too_old, &info), ERR_UNSUPPORTED_MODEL, &info);
			check_contains(path, info.text, files[i].too_old);
		}
		free(bytes);
	}
}

static void
takes_no_harm(void **state)
{
	static const char *const paths[] = {"2.0.3/vectors.ubj",        "3.1.3/vectors-categorical.ubj", "3.2.0/vectors-json.json",
										"3.2.0/vectors-forest.ubj", "1.0.2/softprob-dart.json",      "3.4.1/categorical.ubj",
										"3.4.1/softprob-dart.ubj"};
	char path[PATH_MAX];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		(void)snprintf(path, sizeof path, FOLDER_VERSIONS "/%s", paths[i]);
		char *bytes = folder_read(path, &len);
		damage_check(paths[i], bytes, len);
		free(bytes);
	}
}

/* A tree of two leaves of two values each as text, with parts put in. */
static const char *
vectors_text(const char *n_target, const char *size, const char *right, const char *weights)
{
	static char text[4096];

	(void)snprintf(text, sizeof text,
				   "{\"learner\": {\"learner_model_param\": {\"base_score\": \"[1,2]\", \"num_feature\": \"1\", \"num_target\": "
				   "\"%s\"}, \"objective\": {\"name\": \"reg:squarederror\"}, \"gradient_booster\": {\"name\": \"gbtree\", "
				   "\"model\": {\"tree_info\": [0], \"trees\": [{\"left_children\": [1, -1, -1], \"right_children\": [%s], "
				   "\"split_indices\": [0, 0, 0], \"split_conditions\": [0.5, 0, 0], \"default_left\": [0, 0, 0], %s, "
				   "\"tree_param\": {\"size_leaf_vector\": \"%s\"}}]}}}, \"version\": [3, 2, 0]}",
				   n_target, right, weights, size);
	return text;
}

static void
check_refused(const char *text, const char *sentence)
{
	struct forest *f;
	struct err_info info;

	check_err(sentence, forest_open(text, strlen(text), &f, &info), ERR_BAD_MODEL, &info);
	check_contains(sentence, info.text, sentence);
}

static void
checks_vectors(void **state)
{
	static const char *const right[] = {"2, -1, -1", "2, 1, 0"};
	static const char *const weights[] = {"\"base_weights\": [0, 0, 10, 20, 30, 40]",
										  "\"base_weights\": [0], \"leaf_weights\": [30, 40, 10, 20]"};
	const float rows[] = {0, 1};
	float out[4];
	struct forest *f;
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *text = vectors_text("2", "2", right[i], weights[i]);
		check_err(text, forest_open(text, strlen(text), &f, &info), ERR_OK, &info);
		forest_predict(f, BOOSTER_VALUE, rows, 2, out);
		check_integer(text, memcmp(out, (const float[]){11, 22, 31, 42}, sizeof out), 0);
		forest_free(f);
	}
	check_refused(vectors_text("2", "3", right[0], weights[0]), "tree 0 has leaves of 3 values for 2 outputs");
	check_refused(vectors_text("2", "2", right[0], "\"base_weights\": [1, 2]"), "base_weights are not 2 for each node");
	check_refused(vectors_text("2", "2", right[0], weights[1]), "the values of leaf 1 are not among the 2 of leaf_weights");
	check_refused(vectors_text("2", "2", "2, 2, 0", weights[1]), "the values of leaf 1 are not among the 2 of leaf_weights");
	check_refused(vectors_text("2", "2", "2, 0, 0", "\"leaf_weights\": [1, 2]"),
				  "the values of leaf 2 are not among the 1 of leaf_weights");
}

/* Weights make dart of a gbtree; there must be one for each tree. */
static void
checks_weights(void **state)
{
	static const char model[] =
		"{\"learner\": {\"learner_model_param\": {\"base_score\": \"1\", \"num_feature\": \"1\"}, \"objective\": "
		"{\"name\": \"reg:squarederror\"}, \"gradient_booster\": {\"name\": \"gbtree\", \"model\": "
		"{\"weight_drop\": [%s], \"tree_info\": [0], \"trees\": [{\"left_children\": [-1], "
		"\"right_children\": [-1], \"split_indices\": [0], \"split_conditions\": [8], \"default_left\": "
		"[0]}]}}}}";
	const float row = 0;
	char text[1024];
	float out;
	struct forest *f;
	struct err_info info;

	(void)state;
	(void)snprintf(text, sizeof text, model, "0.5");
	check_err(text, forest_open(text, strlen(text), &f, &info), ERR_OK, &info);
	forest_predict(f, BOOSTER_VALUE, &row, 1, &out);
	check_integer(text, out == 5.0F, true);
	forest_free(f);
	(void)snprintf(text, sizeof text, model, "0.5, 1");
	check_refused(text, "weight_drop has 2 entries for 1 trees");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("files saved by XGBoost 1.0 to 3.4 answer with the bits that each version gave, in a batch and alone",
			 answers_as_each_version),
		TEST("a file that a library would misread is told from one that it reads", knows_what_is_too_new),
		TEST("a damaged file of another version is refused or does no harm", takes_no_harm),
		TEST("leaves of several values are read from either place, and refused where they are not there", checks_vectors),
		TEST("dart's weights are read beside the trees of a gbtree, and there is one for each", checks_weights),
	};

	return cmocka_run_group_tests_name("version files", tests, NULL, NULL);
}
