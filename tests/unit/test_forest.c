/* test_forest.c - tests of model/forest, treefile, modelfile and transform: XGBoost's bits without XGBoost, and no harm by any file */
#include "model/forest.h"

#include "damage.h"
#include "expected.h"
#include "model/treefile.h"

enum { RANDOM_ROWS = 500 };

/* The file of a fixture; the caller frees it. */
static char *
read_fixture(const char *name, size_t *len)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof path, FOLDER_FIXTURES "/%s/1/model.ubj", name);
	if (access(path, F_OK) != 0)
		(void)snprintf(path, sizeof path, FOLDER_FIXTURES "/%s/1/model.json", name);
	return folder_read(path, len);
}

static void
check_outputs(const char *name, const struct forest *f, enum booster_output output, const float *rows, size_t n_rows,
			  const float *expected)
{
	size_t n = forest_shape(f)->n_features;
	size_t width = output == BOOSTER_MARGIN ? forest_shape(f)->n_margins : forest_shape(f)->n_values;
	float *got = calloc(n_rows * width, sizeof *got);

	assert_non_null(got);
	forest_predict(f, output, rows, n_rows, got);
	for (size_t i = 0; i < n_rows * width; i++)
		check_float(name, got[i], expected[i]);
	for (size_t i = 0; i < n_rows; i++)
		forest_predict(f, output, rows + i * n, 1, got + i * width);
	for (size_t i = 0; i < n_rows * width; i++)
		check_float(name, got[i], expected[i]);
	free(got);
}

/* A cell that is missing, a category, a small or a large number. */
static float
random_cell(uint64_t *random)
{
	uint64_t x = unit_random(random);
	float unit = (float)(x >> 40) / 16777216.0F - 0.5F;

	switch (x % 8) {
	case 0:
		return NAN;
	case 1:
	case 2:
		return (float)(x >> 8 & 15);
	case 3:
		return unit * 1e30F;
	case 4:
		return unit * 100;
	default:
		return unit * 3;
	}
}

static void
check_random_rows(const char *name, const char *bytes, size_t len, const struct forest *f)
{
	struct booster *b;
	struct booster_caller caller;
	struct err_info info;
	uint64_t random = 1;
	size_t n = forest_shape(f)->n_features;
	float *rows = calloc(RANDOM_ROWS * n, sizeof *rows);

	check_err(name, booster_open(bytes, len, &b, &info), ERR_OK, &info);
	assert_err(booster_caller_init(&caller, &info), ERR_OK, &info);
	for (size_t i = 0; i < RANDOM_ROWS * n; i++)
		rows[i] = random_cell(&random);
	for (int output = BOOSTER_VALUE; output <= BOOSTER_MARGIN; output++) {
		float *expected = calloc(RANDOM_ROWS * booster_outputs(b, (enum booster_output)output), sizeof *expected);
		check_err(name, booster_predict(b, &caller, (enum booster_output)output, rows, RANDOM_ROWS, expected, &info), ERR_OK,
				  &info);
		check_outputs(name, f, (enum booster_output)output, rows, RANDOM_ROWS, expected);
		free(expected);
	}
	booster_caller_release(&caller);
	booster_free(b);
	free(rows);
}

static bool
is_linear(const char *name)
{
	return strstr(name, "gblinear") != NULL;
}

/* Calls `check` for every fixture. */
static void
for_each_fixture(void (*check)(const char *name))
{
	struct dirent **list;
	int n = scandir(FOLDER_FIXTURES, &list, NULL, alphasort);
	int checked = 0;

	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.') {
			check(list[i]->d_name);
			checked++;
		}
		free(list[i]);
	}
	free(list);
	assert_true(checked > 30);
}

static void
check_fixture(const char *name)
{
	struct expected x;
	struct forest *f;
	struct err_info info;
	size_t len;
	char *bytes = read_fixture(name, &len);

	if (is_linear(name)) {
		check_err(name, forest_open(bytes, len, &f, &info), ERR_UNSUPPORTED_MODEL, &info);
		check_integer(name, f == NULL, true);
		free(bytes);
		return;
	}
	check_err(name, forest_open(bytes, len, &f, &info), ERR_OK, &info);
	expected_init(&x, name);
	check_outputs(name, f, BOOSTER_VALUE, x.rows, x.n_rows, x.predictions);
	check_outputs(name, f, BOOSTER_MARGIN, x.rows, x.n_rows, x.margins);
	check_random_rows(name, bytes, len, f);
	expected_release(&x);
	forest_free(f);
	free(bytes);
}

static void
answers_as_xgboost(void **state)
{
	(void)state;
	for_each_fixture(check_fixture);
	forest_free(NULL);
}

static void
check_damage(const char *name)
{
	size_t len;
	char *bytes = read_fixture(name, &len);

	damage_check(name, bytes, len);
	free(bytes);
}

static void
takes_no_harm(void **state)
{
	(void)state;
	for_each_fixture(check_damage);
	assert_int_equal(damage_try("", 0), ERR_BAD_MODEL);
	assert_int_equal(damage_try("{", 1), ERR_BAD_MODEL);
	assert_int_equal(damage_try("{}", 2), ERR_BAD_MODEL);
	assert_int_equal(damage_try("binf", 4), ERR_BAD_MODEL);
}

/* A model of one tree as text, with parts put in. */
static const char *
model_text(const char *base_score, const char *left, const char *right, const char *feature)
{
	static char text[4096];

	(void)snprintf(text, sizeof text,
				   "{\"learner\": {\"learner_model_param\": {\"base_score\": %s, \"num_class\": \"0\", \"num_feature\": \"2\"}, "
				   "\"objective\": {\"name\": "
				   "\"reg:squarederror\"}, \"gradient_booster\": {\"name\": \"gbtree\", \"model\": {\"tree_info\": [0], \"trees\": "
				   "[{\"left_children\": "
				   "[%s], \"right_children\": [%s], \"split_indices\": [%s], \"split_conditions\": [0.5, 1.5, -2], "
				   "\"default_left\": [true, false, "
				   "false], \"tree_param\": {\"num_nodes\": \"3\"}}]}}}, \"version\": [1, 0, 0]}",
				   base_score, left, right, feature);
	return text;
}

/* The text with `to` in the place of `from`, which stands in it. */
static const char *
changed(const char *text, const char *from, const char *to)
{
	static char copies[2][4096];
	static size_t n;
	char *copy = copies[n++ % 2];
	const char *at = strstr(text, from);

	assert_non_null(at);
	(void)snprintf(copy, sizeof copies[0], "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return copy;
}

static const char *
plain_model(void)
{
	return model_text("0", "1, -1, -1", "2, -1, -1", "1, 0, 0");
}

static float
ask(const char *text, float a, float b)
{
	struct forest *f;
	struct err_info info;
	const float row[] = {a, b};
	float out;

	check_err(text, forest_open(text, strlen(text), &f, &info), ERR_OK, &info);
	forest_predict(f, BOOSTER_VALUE, row, 1, &out);
	assert_true(forest_bytes(f) > 0 && forest_trees(f) == 1);
	forest_free(f);
	return out;
}

static void
forms_of_base_score(void **state)
{
	static const char *const forms[] = {"\"1E1\"", "10", "10.0", "\"[1E1]\"", "\"10\""};

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		const char *text = model_text(forms[i], "1, -1, -1", "2, -1, -1", "1, 0, 0");
		check_float(forms[i], ask(text, 9, 0.49F), 11.5F);
		check_float(forms[i], ask(text, 9, 0.5F), 8);
		check_float(forms[i], ask(text, 9, NAN), 11.5F);
	}
}

/* XGBoost 1.0 wrote true and false; other writers put blanks anywhere. */
static void
forms_of_flags(void **state)
{
	static const char *const forms[] = {"[false,false,true,false,false]", "[ false, false , true,\nfalse, false]",
										"[0, 0, 1, 0, 0]"};

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		const char *text = model_text("0", "1, -1, 3, -1, -1", "2, -1, 4, -1, -1", "1, 0, 1, 0, 0");
		text = changed(text, "[0.5, 1.5, -2]", "[0.5, 1.5, 7, 3, 4]");
		check_float(forms[i], ask(changed(text, "[true, false, false]", forms[i]), 9, NAN), 3);
	}
}

static void
check_refused(const char *text, const char *sentence)
{
	struct forest *f;
	struct err_info info;

	check_err(sentence, forest_open(text, strlen(text), &f, &info), ERR_BAD_MODEL, &info);
	check_contains(sentence, info.text, sentence);
}

/* XGBoost 3.3 has the weights of dart in a gbtree; the version before it would not heed them. */
static void
weights_without_dart(void **state)
{
	const char *weighted = changed(plain_model(), "\"model\":", "\"weight_drop\": [2], \"model\":");
	struct err_info info;

	(void)state;
	check_float("gbtree", ask(changed(plain_model(), "\"model\":", "\"weight_drop\": [], \"model\":"), 9, 0), 1.5F);
	check_float("gbtree", ask(weighted, 9, 0), 3);
	weighted = changed(plain_model(), "\"model\":", "\"weight_drop\": [2], \"model\":");
	assert_err(treefile_check(weighted, strlen(weighted), "1.7.4", &info), ERR_UNSUPPORTED_MODEL, &info);
	assert_contains(info.text, "1.7.4 would misread it");
	check_refused(changed(plain_model(), "\"model\":", "\"weight_drop\": [2, 3], \"model\":"),
				  "weight_drop has 2 entries for 1 trees");
}

static void
refuses_nonsense(void **state)
{
	(void)state;
	check_refused(model_text("\"x\"", "1, -1, -1", "2, -1, -1", "1, 0, 0"), "base_score \"x\" is no number");
	check_refused(model_text("\"[]\"", "1, -1, -1", "2, -1, -1", "1, 0, 0"), "base_score is empty");
	check_refused(model_text("\"[1,2]\"", "1, -1, -1", "2, -1, -1", "1, 0, 0"), "base_score has 2 values for 1 outputs");
	check_refused(model_text("0", "1, -1", "2, -1, -1", "1, 0, 0"), "tree 0: its arrays are not of one length");
	check_refused(model_text("0", "1, -1, -1", "3, -1, -1", "1, 0, 0"), "tree 0: node 0 has the children 1 and 3, of 3 nodes");
	check_refused(model_text("0", "1, -1, -1", "1, -1, -1", "1, 0, 0"), "tree 0: node 0 has the children 1 and 1, of 3 nodes");
	check_refused(model_text("0", "0, -1, -1", "2, -1, -1", "1, 0, 0"), "tree 0: node 0 has the children 0 and 2, of 3 nodes");
	check_refused(model_text("0", "1, 2, -1", "2, 1, -1", "1, 0, 0"), "tree 0: node 1 has the children 2 and 1");
	check_refused(model_text("0", "1, -1, -1", "2, -1, -1", "2, 0, 0"), "tree 0: node 0 asks for feature 2 of 2");
	check_refused(model_text("0", "1, -1, -1", "2, -1, -1", "-1, 0, 0"), "tree 0: node 0 asks for feature -1 of 2");
	check_refused(model_text("0", "1, -1, -1", "2, -1, -1", "1.5, 0, 0"), "is no whole number");
	check_refused(model_text("0", "1, -1, -1", "2, -1, 99999999999", "1, 0, 0"), "is too large here");
	check_refused(changed(plain_model(), "[true, false, false]", "[true, 0, 1]"), "expected true or false, as before");
	check_refused("{\"learner\": {\"learner_model_param\": {\"num_class\": \"12", "the file ends within a string");
	check_refused("{\"learner\": {\"learner_model_param\": {\"num_class\": \"12x\"", "\"12x\" is no whole number");
}

/* What is read of a file must be what XGBoost reads of it, which takes the first or the last, by its version and by the encoding. */
static void
refuses_members_twice(void **state)
{
	(void)state;
	check_refused(changed(plain_model(), "\"left_children\"", "\"left_children\": [0], \"left_children\""),
				  "the member \"left_children\" stands twice");
	check_refused(changed(plain_model(), "\"tree_info\"", "\"trees\": [], \"tree_info\""), "the member \"trees\" stands twice");
	check_refused(changed(plain_model(), "\"model\"", "\"gbtree\": {\"model\": {}}, \"model\""), "the trees stand twice");
	check_refused(changed(plain_model(), "{\"learner\"", "{\"learner\": {}, \"learner\""), "the member \"learner\" stands twice");
}

/* Where the one tree of a model stands in its text. */
static const char *
tree_of(const char *text, int *len)
{
	const char *tree = strstr(text, "{\"left_children\"");
	const char *end = strstr(text, "}}]");

	assert_true(tree != NULL && end != NULL);
	*len = (int)(end + 2 - tree);
	return tree;
}

/* The model `first`, with `n` times the tree of the model `more` behind its own. The caller frees it. */
static char *
more_trees(const char *first, const char *more, size_t n)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int len;
	int len_more;
	const char *tree = tree_of(first, &len);
	const char *tree_more = tree_of(more, &len_more);
	const char *info = strstr(first, "[0], \"trees\"");

	assert_true(out != NULL && info != NULL);
	(void)fprintf(out, "%.*s[0", (int)(info - first), first);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(out, ", 0");
	(void)fprintf(out, "%.*s", (int)(tree + len - info - 2), info + 2);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(out, ", %.*s", len_more, tree_more);
	(void)fprintf(out, "%s", tree + len);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* The arrays of one tree are not those of the next. */
static void
refuses_trees_without_arrays(void **state)
{
	static const char *const names[] = {"right_children", "split_indices", "split_conditions", "default_left"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char *text = more_trees(plain_model(), changed(plain_model(), names[i], "other"), 1);
		check_refused(text, "tree 1: its arrays are not of one length");
		free(text);
	}
}

static void
checks_trees_of_vectors(void **state)
{
	const char *vectors = changed(plain_model(), "\"num_nodes\"", "\"size_leaf_vector\": \"2\", \"num_nodes\"");
	char *text = more_trees(vectors, plain_model(), 1);
	struct err_info info;

	(void)state;
	check_refused(text, "tree 0 has leaves of 2 values for 1 outputs");
	assert_err(treefile_check(text, strlen(text), "99", &info), ERR_BAD_MODEL, &info);
	free(text);
}

/* XGBoost 1.7 ends in a segmentation fault with each of these. */
static void
refuses_what_ends_xgboost(void **state)
{
	const char *before = "\"split_indices\"";

	(void)state;
	check_refused(changed(plain_model(), before, "\"parents\": [2147483647, 0, 2000000000], \"split_indices\""),
				  "tree 0: node 2 has the parent 2000000000, of 3 nodes");
	check_refused(changed(plain_model(), before, "\"parents\": [2147483647, -5, 0], \"split_indices\""),
				  "node 1 has the parent -5");
	check_refused(changed(plain_model(), before, "\"parents\": [0, 0], \"split_indices\""), "its arrays are not of one length");
	check_refused(changed(plain_model(), before, "\"split_type\": [], \"split_indices\""), "its arrays are not of one length");
	check_refused(changed(plain_model(), "\"tree_info\"", "\"gbtree_model_param\": {\"num_trees\": \"2\"}, \"tree_info\""),
				  "num_trees is 2, and there are 1 trees");
	check_float("parents", ask(changed(plain_model(), before, "\"parents\": [2147483647, 0, 0], \"split_indices\""), 9, 0), 1.5F);
}

/* A tree of two nodes that ask for categories, and its sets. */
static const char *
sets_model(const char *categories, const char *nodes, const char *from, const char *counts)
{
	char sets[512];
	const char *text = model_text("0", "1, -1, 3, -1, -1", "2, -1, 4, -1, -1", "1, 0, 0, 0, 0");

	(void)snprintf(sets, sizeof sets,
				   "\"split_type\": [1, 0, 1, 0, 0], \"categories\": [%s], \"categories_nodes\": [%s], "
				   "\"categories_segments\": [%s], \"categories_sizes\": [%s], \"tree_param\"",
				   categories, nodes, from, counts);
	text = changed(text, "[0.5, 1.5, -2]", "[0, 1.5, 0, 3, 4]");
	text = changed(text, "[true, false, false]", "[1, 0, 1, 0, 0]");
	return changed(text, "\"tree_param\"", sets);
}

static void
sets_of_categories(void **state)
{
	struct forest *f;
	struct err_info info;

	(void)state;
	check_float("left", ask(sets_model("3, 5, 6", "0, 2", "0, 1", "1, 2"), 6, 2), 1.5F);
	check_float("right, left", ask(sets_model("3, 5, 6", "0, 2", "0, 1", "1, 2"), 4, 3), 3);
	check_float("right, right", ask(sets_model("3, 5, 6", "0, 2", "0, 1", "1, 2"), 6, 3), 4);
	check_refused(sets_model("3, 5, 6", "0, 2", "0, 0", "2, 2"), "sets share categories");
	check_refused(sets_model("3, 5, 6", "0, 2, 1", "0, 1, 0", "1, 1, 0"), "the nodes of its categories do not ascend");
	check_refused(sets_model("3, 5, 6", "0", "0", "1"), "node 2 asks for categories and has none");
	check_refused(sets_model("3, 5, 6", "0, 2", "0, 2", "1, 2"), "the categories of set 1 are not in the file");
	const char *large = sets_model("16777215, 3", "0, 2", "0, 1", "1, 1");
	char *text = more_trees(large, large, 40);
	assert_err(forest_open(text, strlen(text), &f, &info), ERR_UNSUPPORTED_MODEL, &info);
	assert_contains(info.text, "the categories take more than");
	assert_err(treefile_check(text, strlen(text), "99", &info), ERR_OK, &info);
	free(text);
}

/* The shipped model, which is large enough that its file goes back to the system in several pieces; and one that is no model. */
static void
opens_a_file_for_the_last_time(void **state)
{
	static const float row[] = {8.3252F, 41, 6.9841F, 1.02381F, 322, 2.5556F, 37.88F, -122.23F};
	struct buf file;
	struct forest *kept;
	struct forest *f;
	struct err_info info;
	float expected;
	float got;

	(void)state;
	buf_init(&file, 64 << 20);
	assert_err(files_read("models/california-housing/1/model.ubj", &file, &info), ERR_OK, &info);
	assert_true(file.len > 1 << 20);
	assert_err(forest_open(file.data, file.len, &kept, &info), ERR_OK, &info);
	assert_err(forest_open_last(&file, &f, &info), ERR_OK, &info);
	assert_null(file.data);
	forest_predict(kept, BOOSTER_MARGIN, row, 1, &expected);
	forest_predict(f, BOOSTER_MARGIN, row, 1, &got);
	assert_int_equal(unit_bits(got), unit_bits(expected));
	assert_int_equal(forest_bytes(f), forest_bytes(kept));
	forest_free(f);
	forest_free(kept);
	buf_init(&file, 100);
	buf_str(&file, "{}");
	assert_err(forest_open_last(&file, &f, &info), ERR_BAD_MODEL, &info);
	assert_null(file.data);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("every fixture of trees answers with XGBoost's bits, in a batch and alone, also rows of odd numbers",
			 answers_as_xgboost),
		TEST("a file that is opened for the last time gives the same forest, and is released in any case",
			 opens_a_file_for_the_last_time),
		TEST("a damaged file is refused or does no harm", takes_no_harm),
		TEST("a member that stands twice is refused", refuses_members_twice),
		TEST("a tree that lacks an array does not get that of the tree before", refuses_trees_without_arrays),
		TEST("leaves have as many values as there are outputs, or one", checks_trees_of_vectors),
		TEST("parents out of range, an empty split_type and a wrong num_trees are refused", refuses_what_ends_xgboost),
		TEST("sets of categories lie side by side, and take a bounded space", sets_of_categories),
		TEST("base_score is read as a number, a string and an array in a string", forms_of_base_score),
		TEST("default_left is read as numbers and as words, with blanks or without", forms_of_flags),
		TEST("weight_drop counts for all trees, as in XGBoost 3.3", weights_without_dart),
		TEST("trees that make no sense are refused with the place", refuses_nonsense),
	};

	return cmocka_run_group_tests_name("forest", tests, NULL, NULL);
}
