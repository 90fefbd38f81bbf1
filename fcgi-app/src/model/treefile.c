/* treefile.c - the trees of a model file, read */
#include "model/treefile.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/features.h"
#include "model/modelfile.h"
#include "model/treecheck.h"

#define LINEAR_MAX ((size_t)1 << 28) /* weights of gblinear */

/* The arrays of one tree, used again for the next. */
struct arrays {
	struct buf left;
	struct buf right;
	struct buf parent;
	struct buf feature;
	struct buf value;
	struct buf cover;
	struct buf base_weights; /* with vector leaves: n_leaf_values a node */
	struct buf leaf_weights; /* since 3.2, in place of these: n_leaf_values a leaf */
	struct buf default_left;
	struct buf split_type;
	struct buf categories;
	struct buf category_node;
	struct buf category_from;
	struct buf category_count;
	int64_t leaf_size;
	bool has_types; /* split_type stands there, be it empty */
};

struct reading {
	struct modelfile file;
	struct treefile_head *head;
	struct arrays arrays;
	struct treecheck check;
	treefile_visit *visit;
	void *context;
	struct err_info *info;
	size_t n_trees; /* visited */
	long long n_class;
	long long n_target;
	long long said_trees; /* what num_trees says; -1 where it is not there */
	bool has_model;
	bool has_trees;
	bool has_brackets;      /* base_score is an array in a string */
	bool has_leaf_weights;  /* vector leaves lie apart */
	bool has_model_weights; /* dart's weights lie in the model */
	struct buf linear;      /* float32, of gblinear */
};

/* A member of an object, and what reads its value. */
struct member {
	const char *name;
	enum err (*read)(struct reading *in);
};

static enum err
read_members(struct reading *in, const struct member *members, size_t n)
{
	char key[MODELFILE_KEY_MAX];
	uint32_t seen = 0;
	bool more;
	enum err e = modelfile_object(&in->file);

	while (e == ERR_OK && (e = modelfile_key(&in->file, key, &more)) == ERR_OK && more) {
		size_t i = 0;
		while (i < n && strcmp(members[i].name, key) != 0)
			i++;
		if (i < n && (seen >> i & 1) != 0) /* XGBoost may take the one that was not checked */
			return modelfile_fail(&in->file, "the member \"%s\" stands twice", key);
		seen |= i < n ? 1U << i : 0;
		e = i < n ? members[i].read(in) : modelfile_skip(&in->file);
	}
	return e;
}

#define READ_MEMBERS(in, members) read_members((in), (members), sizeof(members) / sizeof((members)[0]))

static enum err
out_of_memory(struct reading *in)
{
	return err_set(in->info, ERR_OUT_OF_MEMORY, "no memory for the trees");
}

enum element { INT32, INT64, FLOAT32, BYTE };

/* Takes an array of numbers into `out`, at most `most` of them. */
static enum err
read_array(struct reading *in, struct buf *out, enum element type, size_t most)
{
	struct modelfile_array a;
	size_t n = 0;
	bool more;
	enum err e = modelfile_array(&in->file, &a);

	buf_reset(out);
	while (e == ERR_OK && (e = modelfile_more(&in->file, &a, &more)) == ERR_OK && more) {
		int64_t whole = 0;
		float fraction = 0;
		if (n++ == most)
			return modelfile_fail(&in->file, "an array of more than %zu numbers", most);
		e = type == FLOAT32 ? modelfile_float(&in->file, &a, &fraction) : modelfile_integer(&in->file, &a, &whole);
		if (e != ERR_OK)
			return e;
		if ((type == INT32 && (whole < INT32_MIN || whole > INT32_MAX)) || (type == BYTE && (whole < 0 || whole > UINT8_MAX)))
			return modelfile_fail(&in->file, "the number %lld is too large here", (long long)whole);
		const int32_t narrow = (int32_t)whole;
		const uint8_t byte = (uint8_t)whole;
		if (type == INT32)
			buf_add(out, &narrow, sizeof narrow);
		else if (type == INT64)
			buf_add(out, &whole, sizeof whole);
		else if (type == FLOAT32)
			buf_add(out, &fraction, sizeof fraction);
		else
			buf_add(out, &byte, sizeof byte);
	}
	return e == ERR_OK && !buf_ok(out) ? out_of_memory(in) : e;
}

/* default_left and split_type are numbers, and in files of some versions true and false. */
static enum err
read_flags(struct reading *in, struct buf *out)
{
	struct modelfile_array a;
	struct modelfile before = in->file;
	enum modelfile_kind kind = MODELFILE_NUMBER;
	bool more;
	enum err e = modelfile_array(&in->file, &a);

	if (e == ERR_OK && a.type == 0 && (e = modelfile_more(&in->file, &a, &more)) == ERR_OK && more)
		e = modelfile_peek(&in->file, &kind);
	if (e != ERR_OK)
		return e;
	in->file = before;
	if (kind != MODELFILE_LITERAL)
		return read_array(in, out, BYTE, TREEFILE_NODES_MAX);
	buf_reset(out);
	e = modelfile_array(&in->file, &a);
	while (e == ERR_OK && (e = modelfile_more(&in->file, &a, &more)) == ERR_OK && more) {
		e = modelfile_peek(&in->file, &kind); /* up to the word itself */
		if (e == ERR_OK && kind != MODELFILE_LITERAL)
			e = modelfile_fail(&in->file, "expected true or false, as before");
		if (e != ERR_OK)
			return e;
		bool set = *in->file.p == 'T' || *in->file.p == 't';
		e = modelfile_skip(&in->file);
		buf_char(out, set ? 1 : 0);
	}
	return e == ERR_OK && !buf_ok(out) ? out_of_memory(in) : e;
}

static enum err
read_left(struct reading *in)
{
	return read_array(in, &in->arrays.left, INT32, TREEFILE_NODES_MAX);
}
static enum err
read_right(struct reading *in)
{
	return read_array(in, &in->arrays.right, INT32, TREEFILE_NODES_MAX);
}
static enum err
read_parent(struct reading *in)
{
	return read_array(in, &in->arrays.parent, INT32, TREEFILE_NODES_MAX);
}
static enum err
read_feature(struct reading *in)
{
	return read_array(in, &in->arrays.feature, INT32, TREEFILE_NODES_MAX);
}
static enum err
read_value(struct reading *in)
{
	return read_array(in, &in->arrays.value, FLOAT32, TREEFILE_NODES_MAX);
}
static enum err
read_cover(struct reading *in)
{
	return read_array(in, &in->arrays.cover, FLOAT32, TREEFILE_NODES_MAX);
}
static enum err
read_base_weights(struct reading *in)
{
	if (in->head->n_groups == 1)
		return modelfile_skip(&in->file);
	return read_array(in, &in->arrays.base_weights, FLOAT32, TREEFILE_LEAF_VALUES_MAX);
}
static enum err
read_leaf_weights(struct reading *in)
{
	return read_array(in, &in->arrays.leaf_weights, FLOAT32, TREEFILE_LEAF_VALUES_MAX);
}
static enum err
read_default(struct reading *in)
{
	return read_flags(in, &in->arrays.default_left);
}
static enum err
read_type(struct reading *in)
{
	in->arrays.has_types = true;
	return read_flags(in, &in->arrays.split_type);
}
static enum err
read_categories(struct reading *in)
{
	return read_array(in, &in->arrays.categories, INT32, TREEFILE_CATEGORIES_MAX);
}
static enum err
read_category_node(struct reading *in)
{
	return read_array(in, &in->arrays.category_node, INT32, TREEFILE_NODES_MAX);
}
static enum err
read_category_from(struct reading *in)
{
	return read_array(in, &in->arrays.category_from, INT64, TREEFILE_NODES_MAX);
}
static enum err
read_category_count(struct reading *in)
{
	return read_array(in, &in->arrays.category_count, INT64, TREEFILE_NODES_MAX);
}

/* XGBoost writes parameters as strings, and some versions as numbers. */
static enum err
read_number(struct reading *in, long long low, long long high, long long *out)
{
	enum modelfile_kind kind;
	char text[32];
	int64_t whole = 0;
	char *end;
	enum err e = modelfile_peek(&in->file, &kind);

	if (e != ERR_OK)
		return e;
	if (kind == MODELFILE_STRING) {
		e = modelfile_string(&in->file, text, sizeof text);
		if (e != ERR_OK)
			return e;
		*out = strtoll(text, &end, 10);
		if (end == text || *end != '\0')
			return modelfile_fail(&in->file, "\"%s\" is no whole number", text);
	} else {
		e = modelfile_integer(&in->file, NULL, &whole);
		*out = whole;
	}
	if (e == ERR_OK && (*out < low || *out > high))
		return modelfile_fail(&in->file, "the number %lld is not from %lld to %lld", *out, low, high);
	return e;
}

static enum err
read_leaf_size(struct reading *in)
{
	long long size = 0;
	enum err e = read_number(in, 0, INT_MAX, &size);

	in->arrays.leaf_size = size;
	return e;
}

static enum err
read_tree_param(struct reading *in)
{
	static const struct member members[] = {{"size_leaf_vector", read_leaf_size}};

	return READ_MEMBERS(in, members);
}

static const void *
array(const struct buf *b)
{
	return b->data;
}

/* What the arrays say of each other's lengths. */
static enum err
take_arrays(struct reading *in, struct treefile_tree *t)
{
	const struct arrays *a = &in->arrays;
	size_t n = a->left.len / sizeof(int32_t);
	size_t n_categorical = a->category_node.len / sizeof(int32_t);

	if (n == 0 || a->left.data == NULL || a->right.len != a->left.len || a->feature.len != a->left.len ||
		a->value.len != n * sizeof(float) || a->default_left.len != n || (a->has_types && a->split_type.len != n) ||
		(a->parent.len != a->left.len && a->parent.len != 0))
		return modelfile_fail(&in->file, "tree %zu: its arrays are not of one length", in->n_trees);
	if (a->category_from.len != n_categorical * sizeof(int64_t) || a->category_count.len != n_categorical * sizeof(int64_t))
		return modelfile_fail(&in->file, "tree %zu: its arrays of categories are not of one length", in->n_trees);
	*t = (struct treefile_tree){.n = n,
								.left = array(&a->left),
								.right = array(&a->right),
								.feature = array(&a->feature),
								.value = array(&a->value),
								.cover = a->cover.len == n * sizeof(float) ? array(&a->cover) : NULL,
								.n_leaf_values = 1,
								.default_left = array(&a->default_left),
								.categorical = a->split_type.len != 0 ? array(&a->split_type) : NULL,
								.category_node = array(&a->category_node),
								.category_from = array(&a->category_from),
								.category_count = array(&a->category_count),
								.categories = array(&a->categories),
								.n_categorical = n_categorical};
	return ERR_OK;
}

/* Leaves of several values: XGBoost up to 3.1 has them among the weights of all nodes, since 3.2 apart, with their number for a right child. */
static enum err
take_vectors(struct reading *in, struct treefile_tree *t)
{
	const struct arrays *a = &in->arrays;
	struct treefile_head *h = in->head;
	size_t n_values = a->leaf_size > 1 ? (size_t)a->leaf_size : 1;

	if (n_values != 1 && n_values != h->n_groups)
		return modelfile_fail(&in->file, "tree %zu has leaves of %zu values for %zu outputs", in->n_trees, n_values, h->n_groups);
	if (in->n_trees > 0 && n_values != h->n_leaf_values)
		return modelfile_fail(&in->file, "tree %zu has leaves of %zu values, those before it of %zu", in->n_trees, n_values,
							  h->n_leaf_values);
	h->n_leaf_values = n_values;
	if (n_values == 1)
		return ERR_OK;
	t->n_leaf_values = n_values;
	if (a->leaf_weights.len > 0) {
		in->has_leaf_weights = true;
		t->vectors = array(&a->leaf_weights);
		t->vector = t->right;
		t->n_vectors = a->leaf_weights.len / sizeof(float) / n_values;
	} else if (a->base_weights.len == t->n * n_values * sizeof(float)) {
		t->vectors = array(&a->base_weights);
		t->n_vectors = t->n;
	} else {
		return modelfile_fail(&in->file, "tree %zu: base_weights are not %zu for each node", in->n_trees, n_values);
	}
	return ERR_OK;
}

static enum err
check_tree(struct reading *in, struct treefile_tree *t)
{
	const struct arrays *a = &in->arrays;
	struct treecheck *c = &in->check;

	c->n_features = in->head->n_features;
	c->number = in->n_trees;
	c->parents = array(&a->parent);
	c->n_parents = a->parent.len / sizeof(int32_t);
	c->n_categories = a->categories.len / sizeof(int32_t);
	return treecheck_tree(c, t);
}

static enum err
read_tree(struct reading *in)
{
	static const struct member members[] = {
		{"left_children", read_left},
		{"right_children", read_right},
		{"parents", read_parent},
		{"split_indices", read_feature},
		{"split_conditions", read_value},
		{"sum_hessian", read_cover},
		{"base_weights", read_base_weights},
		{"leaf_weights", read_leaf_weights},
		{"default_left", read_default},
		{"split_type", read_type},
		{"categories", read_categories},
		{"categories_nodes", read_category_node},
		{"categories_segments", read_category_from},
		{"categories_sizes", read_category_count},
		{"tree_param", read_tree_param},
	};
	struct treefile_tree tree = {0};
	struct arrays *a = &in->arrays;

	buf_reset(&a->left);
	buf_reset(&a->cover);
	buf_reset(&a->right);
	buf_reset(&a->parent);
	buf_reset(&a->feature);
	buf_reset(&a->value);
	buf_reset(&a->default_left);
	buf_reset(&a->base_weights);
	buf_reset(&a->leaf_weights);
	buf_reset(&a->split_type);
	buf_reset(&a->categories);
	buf_reset(&a->category_node);
	buf_reset(&a->category_from);
	buf_reset(&a->category_count);
	a->leaf_size = 0;
	a->has_types = false;
	enum err e = READ_MEMBERS(in, members);
	if (e == ERR_OK)
		e = take_arrays(in, &tree);
	if (e == ERR_OK)
		e = take_vectors(in, &tree);
	if (e == ERR_OK)
		e = check_tree(in, &tree);
	tree.file_read = (size_t)(in->file.p - in->file.start);
	if (e == ERR_OK && in->visit != NULL)
		e = in->visit(in->context, in->n_trees, &tree, in->info);
	in->n_trees++;
	return e;
}

static enum err
read_trees(struct reading *in)
{
	struct modelfile_array a;
	bool more;
	enum err e = modelfile_array(&in->file, &a);

	in->has_trees = true;
	while (e == ERR_OK && (e = modelfile_more(&in->file, &a, &more)) == ERR_OK && more) {
		if (in->n_trees == TREEFILE_TREES_MAX)
			return modelfile_fail(&in->file, "more than %d trees", TREEFILE_TREES_MAX);
		e = read_tree(in);
	}
	return e;
}

static enum err
read_tree_info(struct reading *in)
{
	return read_array(in, &in->head->groups, INT32, TREEFILE_TREES_MAX);
}

static enum err
read_weights(struct reading *in)
{
	return read_array(in, &in->head->weights, FLOAT32, TREEFILE_TREES_MAX);
}

static enum err
read_model_weights(struct reading *in)
{
	in->has_model_weights = true;
	return read_weights(in);
}

static enum err
read_linear(struct reading *in)
{
	return read_array(in, &in->linear, FLOAT32, LINEAR_MAX);
}

static enum err
read_said_trees(struct reading *in)
{
	return read_number(in, 0, TREEFILE_TREES_MAX, &in->said_trees);
}

static enum err
read_gbtree_param(struct reading *in)
{
	static const struct member members[] = {{"num_trees", read_said_trees}};

	return READ_MEMBERS(in, members);
}

static enum err
read_model(struct reading *in)
{
	static const struct member members[] = {{"gbtree_model_param", read_gbtree_param},
											{"trees", read_trees},
											{"tree_info", read_tree_info},
											{"weights", read_linear},
											{"weight_drop", read_model_weights}};

	if (in->has_model) /* a booster's own, and another one in its "gbtree" */
		return modelfile_fail(&in->file, "the trees stand twice");
	in->has_model = true;
	return READ_MEMBERS(in, members);
}

static enum err
read_kind(struct reading *in)
{
	return modelfile_string(&in->file, in->head->kind, sizeof in->head->kind);
}

static enum err
read_gbtree(struct reading *in)
{
	static const struct member members[] = {{"model", read_model}};

	return READ_MEMBERS(in, members);
}

/*
 * {"name": "gbtree", "model": …}, or {"name": "dart", "gbtree": {"name": "gbtree", "model": …}, "weight_drop": […]}; dart of XGBoost 3.3 may be a
 * "gbtree" with "weight_drop" beside "model", and since 3.4 it is one with "weight_drop" in "model".
 */
static enum err
read_booster(struct reading *in)
{
	static const struct member members[] = {
		{"name", read_kind}, {"model", read_model}, {"gbtree", read_gbtree}, {"weight_drop", read_weights}};

	return READ_MEMBERS(in, members);
}

/* "5E-1", 0.5, or since XGBoost 3.1 "[5E-1]", with a value for each target "[1E0,2E0]". */
static enum err
read_base_score(struct reading *in)
{
	enum modelfile_kind kind;
	char text[64 * 1024];
	float value;
	char *end;
	enum err e = modelfile_peek(&in->file, &kind);

	buf_reset(&in->head->bases);
	if (e == ERR_OK && kind == MODELFILE_NUMBER) {
		e = modelfile_float(&in->file, NULL, &value);
		buf_add(&in->head->bases, &value, sizeof value);
		return e;
	}
	if (e == ERR_OK)
		e = modelfile_string(&in->file, text, sizeof text);
	if (e != ERR_OK)
		return e;
	in->has_brackets = *text == '[';
	for (const char *p = text + (*text == '['); *p != '\0' && *p != ']'; p = end + (*end == ',')) {
		value = strtof(p, &end);
		if (end == p)
			return modelfile_fail(&in->file, "base_score \"%.40s\" is no number", text);
		buf_add(&in->head->bases, &value, sizeof value);
	}
	return in->head->bases.len > 0 ? ERR_OK : modelfile_fail(&in->file, "base_score is empty");
}

static enum err
read_n_class(struct reading *in)
{
	return read_number(in, 0, TREEFILE_GROUPS_MAX, &in->n_class);
}
static enum err
read_n_target(struct reading *in)
{
	return read_number(in, 0, TREEFILE_GROUPS_MAX, &in->n_target);
}

static enum err
read_n_feature(struct reading *in)
{
	long long n = 0;
	enum err e = read_number(in, 0, BOOSTER_FEATURES_MAX, &n);

	in->head->n_features = (size_t)n;
	return e;
}

static enum err
read_model_param(struct reading *in)
{
	static const struct member members[] = {{"base_score", read_base_score},
											{"num_class", read_n_class},
											{"num_feature", read_n_feature},
											{"num_target", read_n_target}};

	return READ_MEMBERS(in, members);
}

static enum err
read_objective_name(struct reading *in)
{
	return modelfile_string(&in->file, in->head->objective, sizeof in->head->objective);
}

static enum err
read_objective(struct reading *in)
{
	static const struct member members[] = {{"name", read_objective_name}};

	return READ_MEMBERS(in, members);
}

static enum err
read_texts(struct reading *in, struct treefile_texts *texts)
{
	char text[FEATURES_NAME_MAX];
	struct modelfile_array a;
	bool more;
	enum err e = modelfile_array(&in->file, &a);

	buf_reset(&texts->bytes);
	texts->n = 0;
	while (e == ERR_OK && (e = modelfile_more(&in->file, &a, &more)) == ERR_OK && more) {
		if (texts->n++ == BOOSTER_FEATURES_MAX)
			return modelfile_fail(&in->file, "more than %d features", BOOSTER_FEATURES_MAX);
		e = modelfile_string(&in->file, text, sizeof text);
		buf_add(&texts->bytes, text, strlen(text) + 1);
	}
	return e == ERR_OK && !buf_ok(&texts->bytes) ? out_of_memory(in) : e;
}

static enum err
read_feature_names(struct reading *in)
{
	return read_texts(in, &in->head->names);
}
static enum err
read_feature_types(struct reading *in)
{
	return read_texts(in, &in->head->types);
}

/* The number of features stands behind the trees in the file, and the trees are checked against it: so this is read first. */
static enum err
read_learner_head(struct reading *in)
{
	static const struct member members[] = {{"learner_model_param", read_model_param},
											{"objective", read_objective},
											{"feature_names", read_feature_names},
											{"feature_types", read_feature_types}};

	return READ_MEMBERS(in, members);
}

static enum err
read_learner(struct reading *in)
{
	static const struct member members[] = {{"gradient_booster", read_booster}};

	return READ_MEMBERS(in, members);
}

static enum err
check_head(struct reading *in)
{
	struct treefile_head *h = in->head;
	const int32_t *groups = array(&h->groups);

	h->n_trees = in->n_trees;
	size_t n_linear = in->linear.len / sizeof(float);
	if (strcmp(h->kind, "gblinear") == 0 && n_linear != (h->n_features + 1) * h->n_groups)
		return modelfile_fail(&in->file, "gblinear has %zu weights for %zu features and %zu outputs", n_linear, h->n_features,
							  h->n_groups);
	if (strcmp(h->kind, "gbtree") != 0 && strcmp(h->kind, "dart") != 0)
		return err_set(in->info, ERR_UNSUPPORTED_MODEL, "the booster \"%.15s\" is no forest", h->kind);
	if (!in->has_trees)
		return modelfile_fail(&in->file, "the file has no trees");
	if (in->said_trees >= 0 && (size_t)in->said_trees != h->n_trees)
		return modelfile_fail(&in->file, "num_trees is %lld, and there are %zu trees", in->said_trees, h->n_trees);
	if (h->groups.len != h->n_trees * sizeof *groups)
		return modelfile_fail(&in->file, "tree_info has %zu entries for %zu trees", h->groups.len / sizeof *groups, h->n_trees);
	for (size_t i = 0; i < h->n_trees; i++)
		if (groups[i] < 0 || (size_t)groups[i] >= h->n_groups)
			return modelfile_fail(&in->file, "tree %zu is of output %d of %zu", i, groups[i], h->n_groups);
	if ((strcmp(h->kind, "dart") == 0 || h->weights.len > 0) && h->weights.len != h->n_trees * sizeof(float))
		return modelfile_fail(&in->file, "weight_drop has %zu entries for %zu trees", h->weights.len / sizeof(float), h->n_trees);
	if (h->n_bases != 1 && h->n_bases != h->n_groups)
		return modelfile_fail(&in->file, "base_score has %zu values for %zu outputs", h->n_bases, h->n_groups);
	return ERR_OK;
}

static enum err
read_file(struct reading *in)
{
	static const struct member first[] = {{"learner", read_learner_head}};
	static const struct member second[] = {{"learner", read_learner}};
	struct treefile_head *h = in->head;
	struct modelfile start = in->file;
	enum err e = READ_MEMBERS(in, first);

	if (e != ERR_OK)
		return e;
	if (h->objective[0] == '\0' || h->n_features == 0 || h->bases.len == 0)
		return modelfile_fail(&in->file, "it lacks the objective, the number of features or base_score of an XGBoost model");
	long long n_class = in->n_class > 0 ? in->n_class : 1;
	long long n_target = in->n_target > 0 ? in->n_target : 1;
	h->n_groups = (size_t)(n_class > n_target ? n_class : n_target);
	h->n_bases = h->bases.len / sizeof(float);
	h->n_leaf_values = 1;
	in->file = start;
	e = READ_MEMBERS(in, second);
	return e == ERR_OK ? check_head(in) : e;
}

static void
arrays_init(struct arrays *a)
{
	const size_t most = (size_t)TREEFILE_NODES_MAX * sizeof(int64_t);

	*a = (struct arrays){0};
	buf_init(&a->left, most);
	buf_init(&a->right, most);
	buf_init(&a->parent, most);
	buf_init(&a->feature, most);
	buf_init(&a->value, most);
	buf_init(&a->cover, most);
	buf_init(&a->base_weights, (size_t)TREEFILE_LEAF_VALUES_MAX * sizeof(float));
	buf_init(&a->leaf_weights, (size_t)TREEFILE_LEAF_VALUES_MAX * sizeof(float));
	buf_init(&a->default_left, most);
	buf_init(&a->split_type, most);
	buf_init(&a->categories, (size_t)TREEFILE_CATEGORIES_MAX * sizeof(int32_t));
	buf_init(&a->category_node, most);
	buf_init(&a->category_from, most);
	buf_init(&a->category_count, most);
}

static void
arrays_release(struct arrays *a)
{
	buf_release(&a->left);
	buf_release(&a->right);
	buf_release(&a->parent);
	buf_release(&a->feature);
	buf_release(&a->value);
	buf_release(&a->cover);
	buf_release(&a->base_weights);
	buf_release(&a->leaf_weights);
	buf_release(&a->default_left);
	buf_release(&a->split_type);
	buf_release(&a->categories);
	buf_release(&a->category_node);
	buf_release(&a->category_from);
	buf_release(&a->category_count);
}

/* Reads all that `in` names; the head is to be released in any case. */
static enum err
read_all(struct reading *in, const void *bytes, size_t len)
{
	struct treefile_head *head = in->head;
	const size_t most = (size_t)TREEFILE_TREES_MAX * sizeof(float);
	const size_t most_text = (size_t)BOOSTER_FEATURES_MAX * FEATURES_NAME_MAX;

	*head = (struct treefile_head){0};
	buf_init(&head->names.bytes, most_text);
	buf_init(&head->types.bytes, most_text);
	buf_init(&head->bases, (size_t)TREEFILE_GROUPS_MAX * sizeof(float));
	buf_init(&head->groups, most);
	buf_init(&head->weights, most);
	arrays_init(&in->arrays);
	treecheck_init(&in->check, &in->file);
	buf_init(&in->linear, LINEAR_MAX * sizeof(float));
	enum err e = modelfile_init(&in->file, bytes, len, in->info);
	if (e == ERR_OK)
		e = read_file(in);
	arrays_release(&in->arrays);
	treecheck_release(&in->check);
	buf_release(&in->linear);
	return e;
}

enum err
treefile_read(const void *bytes, size_t len, struct treefile_head *head, treefile_visit *visit, void *context,
			  struct err_info *info)
{
	struct reading in = {.head = head, .visit = visit, .context = context, .info = info, .said_trees = -1};
	enum err e = read_all(&in, bytes, len);

	if (e != ERR_OK)
		treefile_head_release(head);
	return e;
}

void
treefile_head_release(struct treefile_head *head)
{
	buf_release(&head->names.bytes);
	buf_release(&head->types.bytes);
	buf_release(&head->bases);
	buf_release(&head->groups);
	buf_release(&head->weights);
	*head = (struct treefile_head){0};
}

/* The oldest XGBoost that does not misread the file. */
static const char *
oldest_reader(const struct reading *in)
{
	if (in->has_model_weights)
		return "3.4.0";
	if (in->head->weights.len > 0 && strcmp(in->head->kind, "gbtree") == 0)
		return "3.3.0";
	if (in->has_leaf_weights)
		return "3.2.0";
	if (in->has_brackets)
		return "3.1.0";
	return in->head->n_leaf_values > 1 ? "2.0.0" : "1.0.0";
}

enum err
treefile_check(const void *bytes, size_t len, const char *library, struct err_info *info)
{
	struct treefile_head head;
	struct reading in = {.head = &head, .info = info, .said_trees = -1};
	enum err e = read_all(&in, bytes, len);

	if (e == ERR_UNSUPPORTED_MODEL)
		e = ERR_OK;
	if (e == ERR_OK && strverscmp(oldest_reader(&in), library) > 0)
		e = err_set(info, ERR_UNSUPPORTED_MODEL, "libxgboost %s would misread it; %s and newer can read it", library,
					oldest_reader(&in));
	treefile_head_release(&head);
	return e;
}
