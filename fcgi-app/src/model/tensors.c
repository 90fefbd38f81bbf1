/* tensors.c - a request of the Open Inference Protocol into a matrix of float32 */
#include "model/tensors.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "binary tensors are little-endian, and taken as they are");

enum {
	DEPTH_MAX = 16, /* of what nobody reads: parameters, unknown members */
	TYPE_MAX = 8,
	CHECKED_AT_ONCE = 64 /* floats that are looked over for infinities together */
};

/* `n` values of a type at `p` into every `stride`-th float. */
typedef void convert_fn(const char *p, size_t n, float *out, size_t stride);

enum kind { KIND_FLOAT, KIND_INTEGER, KIND_BOOL };

struct datatype {
	char name[TYPE_MAX];
	size_t bytes;
	enum kind kind;
	long long min; /* of integers in JSON; those of 64 bits are only bounded by their digits */
	long long max;
	convert_fn *convert;
};

/* An input whose numbers stand behind the JSON. */
struct binary {
	const struct datatype *type;
	size_t column; /* or ALL_COLUMNS */
};

#define ALL_COLUMNS SIZE_MAX

/* An element of "inputs", as far as its members have come. */
struct input {
	char name[FEATURES_NAME_MAX];
	char type_name[TYPE_MAX];
	bool has_name;
	const struct datatype *type; /* NULL as long as it has none */
	size_t n_dims;               /* 0 as long as it has no shape */
	size_t dims[2];              /* the first two of them */
	const char *data;            /* where its JSON starts, while that could not be read yet */
	bool has_data;
	bool placed; /* its column is known and its n is right */
	size_t column;
	long long binary_size; /* or -1 */
};

/* One reading. */
struct reading {
	struct tensors *t;
	struct rows *rows;
	const struct features *f;
	struct err_info *info; /* the caller's */
	struct err_info inner; /* of the JSON reader */
	struct json_reader json;
	uint32_t *marks;   /* features that have come */
	size_t n_inputs;   /* that have been placed */
	size_t n_rows;     /* of the first of them */
	bool matrix;       /* that one was a matrix */
	float *values;     /* the matrix in the rows, or NULL while there is none */
	size_t binary_len; /* bytes that the inputs say stand behind the JSON */
	bool has_binary;   /* there is such a part */
	bool binary_output;
	bool chosen[TENSORS_WANTED_MAX];      /* wanted[i].binary was given */
	bool has_inputs, has_outputs, has_id; /* members that have been seen */
};

typedef enum err member_fn(struct reading *in, void *of, const char *name, bool *known);

static const struct datatype *find_type(const char *name);
static enum err read_members(struct reading *in, const char *what, member_fn *take, void *of);
static enum err read_json(struct reading *in);
static enum err take_binary(struct reading *in, const char *p, size_t len);
static enum err check_whole(struct reading *in);
static enum err read_raw(struct reading *in, const char *body, size_t len);

void
tensors_init(struct tensors *t)
{
	*t = (struct tensors){0};
	buf_init(&t->binary, sizeof(struct binary) * (FEATURES_MAX + 1));
}

void
tensors_release(struct tensors *t)
{
	buf_release(&t->binary);
	*t = (struct tensors){0};
}

void
tensors_shrink(struct tensors *t, size_t keep)
{
	buf_shrink(&t->binary, keep);
}

enum err
tensors_read(struct tensors *t, struct rows *r, const struct features *f, char *body, size_t len, size_t json_len,
			 struct err_info *info)
{
	struct reading in = {.t = t, .rows = r, .f = f, .info = info, .has_binary = json_len < len};
	enum err e;

	buf_reset(&t->binary);
	t->id = NULL;
	t->n_wanted = 1;
	t->wanted[0] = (struct tensors_wanted){.name = TENSORS_OUTPUT, .output = BOOSTER_VALUE};
	if (json_len == 0 && len > 0)
		return read_raw(&in, body, len);
	e = rows_marks(r, f, &in.marks, info);
	if (e != ERR_OK)
		return e;
	char behind = body[json_len];
	body[json_len] = '\0'; /* so that a number at the very end of the JSON ends there */
	json_init(&in.json, body, json_len, &in.inner);
	in.json.skip_nan = true;
	e = read_json(&in);
	body[json_len] = behind;
	if (e == ERR_OK)
		e = check_whole(&in);
	if (e == ERR_OK)
		e = take_binary(&in, body + json_len, len - json_len);
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < t->n_wanted; i++)
		t->wanted[i].binary = in.chosen[i] ? t->wanted[i].binary : in.binary_output;
	t->n_rows = in.n_rows;
	if (in.values != NULL)
		t->values = in.values;
	return ERR_OK;
}

/* The sentence of the JSON reader, for what belongs to no input. */
static enum err
pass_on(struct reading *in, enum err e)
{
	return e == ERR_OK ? ERR_OK : err_set(in->info, e, "%s", in->inner.text);
}

/* Skips null in the place of an object, an array or a string; false where there is something else. */
static bool
took_null(struct reading *in)
{
	return json_peek(&in->json) == JSON_NULL && json_skip(&in->json, 0) == ERR_OK;
}

/* The members of an object, each once for those that `take` knows; others are passed over, since servers and clients add some. */
static enum err
read_members(struct reading *in, const char *what, member_fn *take, void *of)
{
	char name[64];
	size_t len;
	bool more;
	enum err e =
		json_peek(&in->json) == JSON_OBJECT || json_peek(&in->json) == JSON_END || json_peek(&in->json) == JSON_BAD
			? json_open(&in->json, '{')
			: json_fail(&in->json, ERR_WRONG_TYPE, "%s must be an object, found %s", what, json_kind_name(json_peek(&in->json)));

	while (e == ERR_OK && (e = json_more(&in->json, '}', &more)) == ERR_OK && more) {
		bool known = false;
		e = json_name(&in->json, name, sizeof name, &len);
		if (e != ERR_OK)
			break;
		e = len < sizeof name ? take(in, of, name, &known) : ERR_OK;
		if (e != ERR_OK)
			return e;
		if (!known)
			e = json_skip(&in->json, DEPTH_MAX);
	}
	return pass_on(in, e);
}

/* Puts the input in front of the JSON reader's sentence. */
static enum err
input_failed(struct reading *in, const struct input *x, enum err e)
{
	if (e == ERR_OK)
		return ERR_OK;
	if (!x->has_name)
		return err_set(in->info, e, "an input: %s", in->inner.text);
	return err_set(in->info, e, "input \"%.64s\": %s", x->name, in->inner.text);
}

static enum err
repeated(struct reading *in, const char *what, const char *name)
{
	return err_set(in->info, ERR_REPEATED_FIELD, "%s has the member \"%s\" twice", what, name);
}

/* "shape": [n, features] */
static enum err
read_shape(struct reading *in, struct input *x)
{
	long long dim;
	bool more;
	enum err e = json_open(&in->json, '[');

	while (e == ERR_OK && (e = json_more(&in->json, ']', &more)) == ERR_OK && more) {
		e = json_integer(&in->json, 0, INT32_MAX, &dim);
		if (e == ERR_OK && x->n_dims < 2)
			x->dims[x->n_dims] = (size_t)dim;
		x->n_dims++;
	}
	if (e == ERR_OK && x->n_dims == 0)
		e = json_fail(&in->json, ERR_BAD_PARAMETER, "the shape is empty; expected [n, %zu]", in->f->n);
	return input_failed(in, x, e);
}

static enum err
read_type(struct reading *in, struct input *x)
{
	size_t len;
	enum err e = json_string(&in->json, x->type_name, sizeof x->type_name, &len);

	if (e != ERR_OK)
		return input_failed(in, x, e);
	x->type = len < sizeof x->type_name ? find_type(x->type_name) : NULL;
	if (x->type != NULL)
		return ERR_OK;
	return input_failed(in, x,
						json_fail(&in->json, ERR_WRONG_TYPE,
								  "the datatype %s%s is none a feature can have; take FP32, FP64, FP16, INT8 to INT64, UINT8 to "
								  "UINT64 or BOOL",
								  x->type_name, len < sizeof x->type_name ? "" : "..."));
}

/* The parameters of an input. */
static enum err
take_input_parameter(struct reading *in, void *of, const char *name, bool *known)
{
	struct input *x = of;

	*known = true;
	if (strcmp(name, "binary_data_size") == 0) {
		if (x->binary_size >= 0)
			return repeated(in, "an input's parameters", name);
		return input_failed(in, x, json_integer(&in->json, 0, INT64_MAX, &x->binary_size));
	}
	*known = false;
	if (strncmp(name, "shared_memory", strlen("shared_memory")) == 0)
		return err_set(in->info, ERR_NOT_IMPLEMENTED, "tensors in shared memory are not supported; send them in the body");
	return ERR_OK;
}

/* What the numbers of an input are: of one feature, or of all. */
static bool
is_matrix(const struct reading *in, const struct input *x)
{
	return (x->n_dims == 2 && x->dims[1] == in->f->n) || (x->n_dims == 1 && in->f->n == 1);
}

static enum err
wrong_shape(struct reading *in, const struct input *x)
{
	char shape[64];
	char list[256];

	if (x->n_dims == 1)
		(void)snprintf(shape, sizeof shape, "[%zu]", x->dims[0]);
	else
		(void)snprintf(shape, sizeof shape, "[%zu,%zu%s]", x->dims[0], x->dims[1], x->n_dims > 2 ? ",…" : "");
	return err_set(
		in->info, ERR_WRONG_FEATURE_COUNT,
		"input \"%.64s\" has the shape %s; expected one tensor of [n,%zu], or one of [n] for each feature; the model has %s",
		x->name, shape, in->f->n, rows_list_features(in->f, list, sizeof list));
}

static enum err
place_column(struct reading *in, struct input *x)
{
	char list[320];

	x->column = features_find(in->f, x->name, strlen(x->name), in->n_inputs);
	if (x->column == FEATURES_NONE)
		return err_set_at(in->info, ERR_UNKNOWN_FEATURE, ERR_NO_ROW, x->name,
						  "the model has no feature \"%.64s\", which an input is named; it has %s", x->name,
						  rows_list_features(in->f, list, sizeof list));
	if (in->marks[x->column] != 0)
		return err_set_at(in->info, ERR_REPEATED_FEATURE, ERR_NO_ROW, x->name, "the input \"%.64s\" stands twice", x->name);
	in->marks[x->column] = 1;
	return ERR_OK;
}

/* Where the numbers of an input go, once its name, type and shape are known. */
static enum err
place(struct reading *in, struct input *x)
{
	bool matrix = is_matrix(in, x);

	if (!matrix && x->n_dims != 1 && (x->n_dims != 2 || x->dims[1] != 1))
		return wrong_shape(in, x);
	if (in->n_inputs > 0 && (matrix || in->matrix))
		return err_set(
			in->info, ERR_WRONG_FEATURE_COUNT,
			"input \"%.64s\" stands beside a tensor of all features; send one of [n,%zu], or one of [n] for each feature", x->name,
			in->f->n);
	if (in->n_inputs > 0 && x->dims[0] != in->n_rows)
		return err_set(in->info, ERR_WRONG_FEATURE_COUNT, "input \"%.64s\" has %zu rows, those before it %zu", x->name, x->dims[0],
					   in->n_rows);
	in->matrix = matrix;
	in->n_rows = x->dims[0];
	x->placed = true;
	x->column = ALL_COLUMNS;
	enum err e = matrix ? ERR_OK : place_column(in, x);
	in->n_inputs++;
	return e;
}

/* The matrix in the rows; made for the first input that needs it. */
static enum err
need_values(struct reading *in)
{
	return in->values != NULL ? ERR_OK : rows_make(in->rows, in->f, in->n_rows, &in->values, in->info);
}

/* True where the text is a whole number of the type's range. */
static bool
is_whole(const struct datatype *type, const char *p, const char *end)
{
	bool negative = *p == '-';
	unsigned long long magnitude = 0;

	for (p += negative; p < end; p++)
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(magnitude, 10U, &magnitude) ||
			__builtin_add_overflow(magnitude, (unsigned)(*p - '0'), &magnitude))
			return false;
	if (negative)
		return magnitude <= (unsigned long long)-(type->min + 1) + 1;
	return type->max == 0 /* UINT64 */ || magnitude <= (unsigned long long)type->max;
}

/* One number of the JSON. */
static inline enum err
read_number(struct reading *in, const struct datatype *type, float *out)
{
	enum json_kind kind = type->kind == KIND_FLOAT ? JSON_NUMBER : json_peek(&in->json);
	const char *start = in->json.p;
	bool truth;

	if (type->kind == KIND_BOOL && (kind == JSON_TRUE || kind == JSON_FALSE)) {
		enum err e = json_boolean(&in->json, &truth);
		*out = truth ? 1.0F : 0.0F;
		return e;
	}
	enum err e = json_float(&in->json, out);
	if (e != ERR_OK || type->kind == KIND_FLOAT || isnan(*out) || is_whole(type, start, in->json.p))
		return e;
	in->json.p = start;
	return json_fail(&in->json, ERR_BAD_NUMBER, "the number is none of the datatype %s", type->name);
}

static enum err
number_failed(struct reading *in, const struct input *x, enum err e, size_t row, size_t column)
{
	const char *feature = in->f->names[column];

	return err_set_at(in->info, e, (long)row, feature, "input \"%.64s\", row %zu, feature \"%.64s\": %s", x->name, row, feature,
					  in->inner.text);
}

static enum err
wrong_amount(struct reading *in, const struct input *x, size_t width, const char *has)
{
	return err_set(in->info, ERR_WRONG_FEATURE_COUNT, "input \"%.64s\": its shape says %zu numbers%s; its data has %s", x->name,
				   in->n_rows * width, width == 1 ? "" : ", flat or a row in an array each", has);
}

/* A row's numbers; where the rows are arrays, with the brackets. */
static enum err
read_data_row(struct reading *in, const struct input *x, size_t row, size_t width, bool nested)
{
	size_t first = x->column == ALL_COLUMNS ? 0 : x->column;
	float *out = in->values + row * in->f->n + first;
	bool more = true;
	enum err e = nested ? json_more(&in->json, ']', &more) : ERR_OK;

	if (e == ERR_OK && nested && more)
		e = json_open(&in->json, '[');
	for (size_t i = 0; i < width && e == ERR_OK && more; i++) {
		e = json_more(&in->json, ']', &more);
		if (e != ERR_OK || !more)
			break;
		e = read_number(in, x->type, out + i);
		if (e != ERR_OK)
			return number_failed(in, x, e, row, first + i);
	}
	if (e == ERR_OK && !more)
		return wrong_amount(in, x, width, nested ? "fewer, or they are not in rows" : "fewer");
	if (e == ERR_OK && nested) {
		e = json_more(&in->json, ']', &more);
		if (e == ERR_OK && more)
			return wrong_amount(in, x, width, "a longer row");
	}
	return input_failed(in, x, e);
}

/* "data": flat, or a row in an array each. */
static enum err
read_data(struct reading *in, const struct input *x)
{
	size_t width = x->column == ALL_COLUMNS ? in->f->n : 1;
	bool more;
	enum err e = need_values(in);

	if (e != ERR_OK)
		return e;
	e = json_open(&in->json, '[');
	if (e != ERR_OK)
		return input_failed(in, x, e);
	bool nested = json_peek(&in->json) == JSON_ARRAY;
	for (size_t row = 0; row < in->n_rows; row++) {
		e = read_data_row(in, x, row, width, nested);
		if (e != ERR_OK)
			return e;
	}
	e = json_more(&in->json, ']', &more);
	if (e == ERR_OK && more)
		return wrong_amount(in, x, width, "more");
	return input_failed(in, x, e);
}

/* Reads "data" at once where all is known about it, as clients mostly write it; else remembers its place. */
static enum err
meet_data(struct reading *in, struct input *x)
{
	if (x->has_data)
		return repeated(in, "an input", "data");
	x->has_data = true;
	if (x->has_name && x->type != NULL && x->n_dims > 0) {
		enum err e = place(in, x);
		return e == ERR_OK ? read_data(in, x) : e;
	}
	x->data = in->json.p;
	return input_failed(in, x, json_skip(&in->json, DEPTH_MAX));
}

/* The members of an input. */
static enum err
take_input_member(struct reading *in, void *of, const char *name, bool *known)
{
	struct input *x = of;
	size_t len;

	*known = true;
	if (strcmp(name, "data") == 0)
		return meet_data(in, x);
	if (strcmp(name, "shape") == 0)
		return x->n_dims > 0 ? repeated(in, "an input", name) : read_shape(in, x);
	if (strcmp(name, "datatype") == 0)
		return x->type != NULL ? repeated(in, "an input", name) : read_type(in, x);
	if (strcmp(name, "parameters") == 0)
		return took_null(in) ? ERR_OK : read_members(in, "an input's \"parameters\"", take_input_parameter, x);
	*known = false;
	if (strcmp(name, "name") != 0)
		return ERR_OK;
	*known = true;
	if (x->has_name)
		return repeated(in, "an input", name);
	enum err e = json_string(&in->json, x->name, sizeof x->name, &len);
	if (e == ERR_OK && len >= sizeof x->name)
		e = json_fail(&in->json, ERR_UNKNOWN_FEATURE, "the name is longer than any feature's");
	e = input_failed(in, x, e);
	x->has_name = true;
	return e;
}

static enum err
missing(struct reading *in, const struct input *x, const char *what)
{
	if (!x->has_name)
		return err_set(in->info, ERR_MISSING_FIELD, "input %zu lacks its \"%s\"", in->n_inputs, what);
	return err_set(in->info, ERR_MISSING_FIELD, "input \"%.64s\" lacks its \"%s\"", x->name, what);
}

/* An input whose numbers stand behind the JSON: its size must be that of its shape. */
static enum err
note_binary(struct reading *in, const struct input *x)
{
	size_t width = x->column == ALL_COLUMNS ? in->f->n : 1;
	size_t bytes = in->n_rows * width * x->type->bytes; /* 2^31 x 2^16 x 2^3 at most */
	const struct binary b = {.type = x->type, .column = x->column};

	if (!in->has_binary)
		return err_set(in->info, ERR_MISSING_FIELD,
					   "input \"%.64s\" has a binary_data_size, but nothing stands behind the JSON; the header "
					   "Inference-Header-Content-Length must say how long the JSON is",
					   x->name);
	if ((unsigned long long)x->binary_size != bytes)
		return err_set(in->info, ERR_BAD_PARAMETER,
					   "input \"%.64s\": its binary_data_size is %lld, but its shape and %s make %zu bytes", x->name,
					   x->binary_size, x->type->name, bytes);
	in->binary_len += bytes;
	buf_add(&in->t->binary, &b, sizeof b);
	if (!buf_ok(&in->t->binary))
		return err_set(in->info, ERR_OUT_OF_MEMORY, "no memory for the inputs; try again later");
	return ERR_OK;
}

/* An element of "inputs". */
static enum err
read_input(struct reading *in)
{
	struct input x = {.binary_size = -1};
	enum err e = read_members(in, "an input", take_input_member, &x);

	if (e != ERR_OK)
		return e;
	if (!x.has_name || x.type == NULL || x.n_dims == 0)
		return missing(in, &x, !x.has_name ? "name" : x.type == NULL ? "datatype" : "shape");
	if (x.has_data && x.binary_size >= 0)
		return err_set(in->info, ERR_REPEATED_FIELD, "input \"%.64s\" has both \"data\" and a binary_data_size", x.name);
	if (!x.has_data && x.binary_size < 0)
		return missing(in, &x, "data");
	if (x.placed)
		return ERR_OK;
	e = place(in, &x);
	if (e != ERR_OK || x.binary_size >= 0)
		return e == ERR_OK ? note_binary(in, &x) : e;
	const struct json_reader behind = in->json;
	in->json.p = x.data;
	e = read_data(in, &x);
	in->json = behind;
	return e;
}

/* "inputs" and "outputs": an array of objects. */
static enum err
read_list(struct reading *in, enum err (*read)(struct reading *))
{
	bool more;
	enum err e = json_open(&in->json, '[');

	while (e == ERR_OK && (e = json_more(&in->json, ']', &more)) == ERR_OK && more) {
		e = read(in);
		if (e != ERR_OK)
			return e;
	}
	return pass_on(in, e);
}

/* A requested output, as far as its members have come. */
struct output {
	char name[TENSORS_NAME_MAX];
	bool has_name;
	bool binary;
	bool chosen;
};

static enum err
take_output_parameter(struct reading *in, void *of, const char *name, bool *known)
{
	struct output *x = of;

	*known = strcmp(name, "binary_data") == 0;
	if (*known) {
		x->chosen = true;
		return pass_on(in, json_boolean(&in->json, &x->binary));
	}
	if (strcmp(name, "classification") == 0)
		return err_set(in->info, ERR_NOT_IMPLEMENTED,
					   "the classification extension is not supported; ask for the output without it");
	if (strncmp(name, "shared_memory", strlen("shared_memory")) == 0)
		return err_set(in->info, ERR_NOT_IMPLEMENTED, "tensors in shared memory are not supported; take them from the answer");
	return ERR_OK;
}

static enum err
take_output_member(struct reading *in, void *of, const char *name, bool *known)
{
	struct output *x = of;
	char shown[64];
	size_t len;

	*known = true;
	if (strcmp(name, "parameters") == 0)
		return took_null(in) ? ERR_OK : read_members(in, "an output's \"parameters\"", take_output_parameter, x);
	*known = strcmp(name, "name") == 0;
	if (!*known)
		return ERR_OK;
	enum err e = json_string(&in->json, shown, sizeof shown, &len);
	if (e != ERR_OK)
		return pass_on(in, e);
	if (strcmp(shown, TENSORS_OUTPUT) != 0 && strcmp(shown, TENSORS_ALIAS) != 0 && strcmp(shown, TENSORS_MARGIN) != 0)
		return err_set(
			in->info, ERR_BAD_PARAMETER,
			"there is no output \"%s\"; there are " TENSORS_OUTPUT " (also called " TENSORS_ALIAS ") and " TENSORS_MARGIN, shown);
	(void)snprintf(x->name, sizeof x->name, "%.15s", shown);
	x->has_name = true;
	return ERR_OK;
}

/* An element of "outputs". */
static enum err
read_output(struct reading *in)
{
	struct tensors *t = in->t;
	struct output x = {0};
	enum err e = read_members(in, "an output", take_output_member, &x);

	if (e != ERR_OK)
		return e;
	if (!x.has_name)
		return err_set(in->info, ERR_MISSING_FIELD, "a requested output lacks its \"name\"");
	for (size_t i = 0; i < t->n_wanted; i++)
		if (strcmp(t->wanted[i].name, x.name) == 0)
			return err_set(in->info, ERR_REPEATED_FIELD, "the output \"%s\" is requested twice", x.name);
	struct tensors_wanted *wanted = &t->wanted[t->n_wanted];
	(void)snprintf(wanted->name, sizeof wanted->name, "%s", x.name);
	wanted->output = strcmp(x.name, TENSORS_MARGIN) == 0 ? BOOSTER_MARGIN : BOOSTER_VALUE;
	wanted->binary = x.binary;
	in->chosen[t->n_wanted++] = x.chosen;
	return ERR_OK;
}

static enum err
read_outputs(struct reading *in)
{
	enum err e;

	if (took_null(in))
		return ERR_OK;
	in->t->n_wanted = 0;
	e = read_list(in, read_output);
	in->t->n_wanted += e == ERR_OK && in->t->n_wanted == 0; /* an empty list asks for what none asks for */
	return e;
}

static enum err
take_parameter(struct reading *in, void *of, const char *name, bool *known)
{
	(void)of;
	*known = strcmp(name, "binary_data_output") == 0;
	return *known ? pass_on(in, json_boolean(&in->json, &in->binary_output)) : ERR_OK;
}

/* Keeps the place of the id, which the answer repeats as it is. */
static enum err
read_id(struct reading *in)
{
	char ignored[1];
	size_t len;

	if (took_null(in))
		return ERR_OK;
	enum json_kind kind = json_peek(&in->json);
	if (kind != JSON_STRING && kind != JSON_END && kind != JSON_BAD)
		return pass_on(in, json_fail(&in->json, ERR_WRONG_TYPE, "\"id\" must be a string, found %s", json_kind_name(kind)));
	const char *start = in->json.p;
	enum err e = json_string(&in->json, ignored, sizeof ignored, &len);
	in->t->id = start;
	in->t->id_len = (size_t)(in->json.p - start);
	return pass_on(in, e);
}

/* The members of the request. */
static enum err
take_member(struct reading *in, void *of, const char *name, bool *known)
{
	static const char what[] = "the request";

	(void)of;
	*known = true;
	if (strcmp(name, "inputs") == 0) {
		bool again = in->has_inputs;
		in->has_inputs = true;
		return again ? repeated(in, what, name) : read_list(in, read_input);
	}
	if (strcmp(name, "outputs") == 0) {
		bool again = in->has_outputs;
		in->has_outputs = true;
		return again ? repeated(in, what, name) : read_outputs(in);
	}
	if (strcmp(name, "id") == 0) {
		bool again = in->has_id;
		in->has_id = true;
		return again ? repeated(in, what, name) : read_id(in);
	}
	if (strcmp(name, "parameters") == 0)
		return took_null(in) ? ERR_OK : read_members(in, "\"parameters\"", take_parameter, NULL);
	*known = false;
	return ERR_OK;
}

static enum err
read_json(struct reading *in)
{
	if (json_peek(&in->json) == JSON_END)
		return err_set(in->info, ERR_BAD_JSON, "the body is empty; expected {\"inputs\": [{\"name\": …, \"shape\": …, …}]}");
	enum err e = read_members(in, "the request", take_member, NULL);
	if (e == ERR_OK)
		e = pass_on(in, json_end(&in->json));
	return e;
}

/* All features must have come, and rows. */
static enum err
check_whole(struct reading *in)
{
	if (!in->has_inputs || in->n_inputs == 0)
		return err_set(in->info, ERR_MISSING_FIELD, "the request has no \"inputs\"; expected one tensor of [n,%zu]", in->f->n);
	for (size_t i = 0; i < in->f->n && !in->matrix; i++)
		if (in->marks[i] == 0)
			return err_set_at(in->info, ERR_MISSING_FEATURE, ERR_NO_ROW, in->f->names[i],
							  "there is no input for the feature \"%.64s\"; write null or NaN where its value is not known",
							  in->f->names[i]);
	if (in->n_rows == 0)
		return err_set(in->info, ERR_NO_ROWS, "there are no rows; send at least one");
	if (in->n_rows > in->rows->n_max)
		return err_set(in->info, ERR_TOO_MANY_ROWS, "more than %zu rows in one request; send them in several", in->rows->n_max);
	return ERR_OK;
}

/* True where one of `n` floats is an infinity. */
static bool
has_infinity(const float *values, size_t n)
{
	unsigned found = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &values[i], sizeof bits);
		found |= (bits & 0x7FFFFFFFU) == 0x7F800000U;
	}
	return found != 0;
}

/* Refuses what is infinite, as read or beyond float32, or a truth value that is neither 0 nor 1. `n` floats of `width` columns lie `stride` apart. */
static enum err
check_values(struct reading *in, const struct binary *b, const float *values, size_t n)
{
	size_t width = b->column == ALL_COLUMNS ? in->f->n : 1;
	size_t stride = b->column == ALL_COLUMNS ? 1 : in->f->n;

	for (size_t i = 0; i < n; i++) {
		if (stride == 1 && n - i >= CHECKED_AT_ONCE && b->type->kind == KIND_FLOAT && !has_infinity(values + i, CHECKED_AT_ONCE)) {
			i += CHECKED_AT_ONCE - 1;
			continue;
		}
		float value = values[i * stride];
		bool bad = b->type->kind == KIND_BOOL ? value > 1 : isinf(value);
		size_t column = b->column == ALL_COLUMNS ? i % width : b->column;
		if (bad)
			return err_set_at(in->info, ERR_BAD_NUMBER, (long)(i / width), in->f->names[column],
							  "row %zu, feature \"%.64s\": %s is not a value a feature can have; NaN means missing", i / width,
							  in->f->names[column],
							  b->type->kind == KIND_BOOL ? "a BOOL other than 0 and 1" : "Infinity, or a number beyond float32,");
	}
	return ERR_OK;
}

/* The one tensor of a request with nothing to convert stays where it is in the body. */
static bool
stays(const struct reading *in, const struct binary *b, const char *p)
{
	return b->column == ALL_COLUMNS && strcmp(b->type->name, "FP32") == 0 && (uintptr_t)p % _Alignof(float) == 0 &&
		   in->values == NULL;
}

static enum err
take_tensor(struct reading *in, const struct binary *b, const char *p)
{
	size_t n = b->column == ALL_COLUMNS ? in->n_rows * in->f->n : in->n_rows;

	if (stays(in, b, p)) {
		in->t->values = (const float *)(const void *)p;
		return check_values(in, b, in->t->values, n);
	}
	enum err e = need_values(in);
	if (e != ERR_OK)
		return e;
	float *out = in->values + (b->column == ALL_COLUMNS ? 0 : b->column);
	b->type->convert(p, n, out, b->column == ALL_COLUMNS ? 1 : in->f->n);
	return check_values(in, b, out, n);
}

/* The binary tensors, one behind the other in the order of the inputs. */
static enum err
take_binary(struct reading *in, const char *p, size_t len)
{
	const struct binary *inputs = (const struct binary *)(const void *)in->t->binary.data;
	size_t n = in->t->binary.len / sizeof *inputs;

	if (in->binary_len != len)
		return err_set(in->info, ERR_BAD_PARAMETER, "the inputs' binary_data_size make %zu bytes, but %zu stand behind the JSON",
					   in->binary_len, len);
	for (size_t i = 0; i < n; i++) {
		size_t count = inputs[i].column == ALL_COLUMNS ? in->n_rows * in->f->n : in->n_rows;
		enum err e = take_tensor(in, &inputs[i], p);
		if (e != ERR_OK)
			return e;
		p += count * inputs[i].type->bytes;
	}
	return ERR_OK;
}

/* A body without JSON. */
static enum err
read_raw(struct reading *in, const char *body, size_t len)
{
	size_t row = in->f->n * sizeof(float);
	const struct binary b = {.type = find_type("FP32"), .column = ALL_COLUMNS};

	in->n_rows = len / row;
	if (len % row != 0)
		return err_set(in->info, ERR_WRONG_FEATURE_COUNT, "the body's %zu bytes are no rows of %zu float32", len, in->f->n);
	if (in->n_rows > in->rows->n_max)
		return err_set(in->info, ERR_TOO_MANY_ROWS, "more than %zu rows in one request; send them in several", in->rows->n_max);
	enum err e = take_tensor(in, &b, body);
	in->t->wanted[0].binary = true;
	in->t->n_rows = in->n_rows;
	if (in->values != NULL)
		in->t->values = in->values;
	return e;
}

#define DEFINE_CONVERT(name, type)                                                                                                 \
	static void name(const char *p, size_t n, float *out, size_t stride)                                                           \
	{                                                                                                                              \
		for (size_t i = 0; i < n; i++) {                                                                                           \
			type value;                                                                                                            \
			memcpy(&value, p + i * sizeof value, sizeof value);                                                                    \
			out[i * stride] = (float)value;                                                                                        \
		}                                                                                                                          \
	}

DEFINE_CONVERT(convert_fp32, float)
DEFINE_CONVERT(convert_fp64, double)
DEFINE_CONVERT(convert_int8, int8_t)
DEFINE_CONVERT(convert_int16, int16_t)
DEFINE_CONVERT(convert_int32, int32_t)
DEFINE_CONVERT(convert_int64, int64_t)
DEFINE_CONVERT(convert_uint8, uint8_t)
DEFINE_CONVERT(convert_uint16, uint16_t)
DEFINE_CONVERT(convert_uint32, uint32_t)
DEFINE_CONVERT(convert_uint64, uint64_t)

/* IEEE 754 binary16: a sign, five bits of exponent with a bias of 15, ten of mantissa. */
static float
half(uint16_t h)
{
	unsigned exponent = (h >> 10) & 31U;
	unsigned mantissa = h & 1023U;
	float magnitude = exponent == 31  ? (mantissa != 0 ? NAN : INFINITY)
					  : exponent == 0 ? ldexpf((float)mantissa, -24)
									  : ldexpf((float)(mantissa | 1024U), (int)exponent - 25);

	return (h & 0x8000U) != 0 ? -magnitude : magnitude;
}

static void
convert_fp16(const char *p, size_t n, float *out, size_t stride)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t value;
		memcpy(&value, p + i * sizeof value, sizeof value);
		out[i * stride] = half(value);
	}
}

static const struct datatype *
find_type(const char *name)
{
	static const struct datatype types[] = {
		{"FP32", 4, KIND_FLOAT, 0, 0, convert_fp32},
		{"FP64", 8, KIND_FLOAT, 0, 0, convert_fp64},
		{"FP16", 2, KIND_FLOAT, 0, 0, convert_fp16},
		{"INT64", 8, KIND_INTEGER, INT64_MIN, INT64_MAX, convert_int64},
		{"INT32", 4, KIND_INTEGER, INT32_MIN, INT32_MAX, convert_int32},
		{"INT16", 2, KIND_INTEGER, INT16_MIN, INT16_MAX, convert_int16},
		{"INT8", 1, KIND_INTEGER, INT8_MIN, INT8_MAX, convert_int8},
		{"UINT64", 8, KIND_INTEGER, 0, 0, convert_uint64},
		{"UINT32", 4, KIND_INTEGER, 0, UINT32_MAX, convert_uint32},
		{"UINT16", 2, KIND_INTEGER, 0, UINT16_MAX, convert_uint16},
		{"UINT8", 1, KIND_INTEGER, 0, UINT8_MAX, convert_uint8},
		{"BOOL", 1, KIND_BOOL, 0, 1, convert_uint8},
	};

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}
