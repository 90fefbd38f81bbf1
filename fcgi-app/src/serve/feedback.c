/* feedback.c - what is kept of an answer until the truth about it comes: POST /feedback, and the journal */
#include "serve/feedback.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "serve/media.h"

enum {
	ITEMS_MAX = 1000,       /* truths in one request */
	BODY_MAX = 1024 * 1024, /* bytes */
	NAME_MAX_BYTES = 16     /* of a member's name; longer ones are unknown in any case */
};

/* One {"id": …, "actual": …}. */
struct item {
	char id[TRUTH_ID_MAX]; /* "" where it is too long for any id */
	bool has_id;
	bool has_actual;
	struct truth_actual actual;
};

/* The whole body, as far as it has been read. */
struct reading {
	struct request *q;
	struct json_reader json;
	bool join; /* else its form is judged only: a body with a mistake changes nothing */
	bool list; /* items are in "feedback": […] */
	size_t n;  /* items */
	size_t n_matched;
	size_t n_repeated;
	size_t n_failed;
};

void
feedback_keep(struct request *q, const struct score *s, const struct score_chunk *c)
{
	bool margins = s->output == BOOSTER_MARGIN;

	if (q->server->truth != NULL) {
		const struct truth_answer answer = {.id = q->id,
											.series = s->series,
											.measure = measure_find(model_shape(s->model)->objective),
											.n_rows = s->n_rows,
											.width = c->width,
											.values = margins ? NULL : c->outputs};
		truth_remember(q->server->truth, &answer);
	}
	if (q->server->journal != NULL && journal_wants(q->server->journal, q->id)) {
		const struct features *f = model_features(s->model);
		const struct journal_answer answer = {.id = q->id,
											  .model = model_name(s->model),
											  .version = model_version(s->model),
											  .features = (const char *const *)f->names,
											  .n_features = f->n,
											  .rows = c->rows,
											  .n_rows = c->n_rows,
											  .n_rows_all = s->n_rows,
											  .outputs = c->outputs,
											  .width = c->width,
											  .margins = margins};
		journal_answer(q->server->journal, q->worker, &answer);
	}
}

void
feedback_write_live(void *context, const struct metrics_series *s, struct buf *out)
{
	const struct truth *t = context;
	struct truth_live live = {0};

	if (t != NULL)
		truth_live(t, s, &live);
	if (live.n == 0)
		buf_str(out, ",\"live\":null");
	else
		buf_printf(out, ",\"live\":{\"measure\":\"%s\",\"value\":%.9g,\"n\":%" PRIu64 "}", measure_name(live.measure), live.value,
				   live.n);
}

/* Prefixes a sentence about an item of a list with its number. */
static enum err
fail_item(struct reading *r, enum err e)
{
	struct err_info *info = &r->q->error;

	if (r->list)
		return err_set_at(info, e, (long)r->n, NULL, "feedback %zu: %s", r->n, info->text);
	return e;
}

/* Takes the opening bracket of `kind`; another value is named in the sentence. */
static enum err
open_value(struct reading *r, enum json_kind kind, const char *expected)
{
	enum json_kind found = json_peek(&r->json);

	if (found != kind && found != JSON_END && found != JSON_BAD)
		return json_fail(&r->json, ERR_WRONG_TYPE, "expected %s, found %s", expected, json_kind_name(found));
	return json_open(&r->json, kind == JSON_ARRAY ? '[' : '{');
}

static enum err
read_number(struct reading *r, struct item *item, size_t *n)
{
	if (*n >= TRUTH_VALUES_MAX)
		return err_set(&r->q->error, ERR_WRONG_TYPE, "actual has more than %d numbers, more than is remembered of any answer",
					   TRUTH_VALUES_MAX);
	return json_float(&r->json, &item->actual.values[(*n)++]);
}

/* The numbers of one row of several targets. */
static enum err
read_row(struct reading *r, struct item *item, size_t *n)
{
	size_t start = *n;
	bool more;
	enum err e = json_open(&r->json, '[');

	while (e == ERR_OK && (e = json_more(&r->json, ']', &more)) == ERR_OK && more)
		e = read_number(r, item, n);
	if (e != ERR_OK)
		return e;
	size_t width = *n - start;
	if (width == 0 || (item->actual.width != 0 && item->actual.width != width))
		return json_fail(&r->json, ERR_WRONG_TYPE,
						 "the arrays in actual must have as many numbers as the model has targets, all of them");
	item->actual.width = width;
	return ERR_OK;
}

/* Rows are numbers and null, or arrays of these. */
static enum err
read_rows(struct reading *r, struct item *item)
{
	size_t n = 0;
	size_t n_numbers = 0;
	bool more;
	enum err e = json_open(&r->json, '[');

	while (e == ERR_OK && (e = json_more(&r->json, ']', &more)) == ERR_OK && more) {
		bool array = json_peek(&r->json) == JSON_ARRAY;
		if (array && n_numbers > 0)
			return json_fail(&r->json, ERR_WRONG_TYPE,
							 "actual has numbers and arrays side by side; give one or the other for every row");
		if (!array && item->actual.width > 0)
			return json_fail(&r->json, ERR_WRONG_TYPE,
							 "actual has arrays and %s side by side; an unknown row of several targets is [null, …]",
							 json_kind_name(json_peek(&r->json)));
		e = array ? read_row(r, item, &n) : read_number(r, item, &n);
		n_numbers += !array;
		item->actual.n_rows++;
	}
	if (e == ERR_OK && n == 0)
		e = json_fail(&r->json, ERR_WRONG_TYPE, "actual is an empty array; give a number a row, or null");
	return e;
}

static enum err
read_actual(struct reading *r, struct item *item)
{
	size_t n = 0;
	enum json_kind kind = json_peek(&r->json);

	item->actual.n_rows = 0;
	item->actual.width = 0;
	if (kind == JSON_ARRAY)
		return read_rows(r, item);
	if (kind != JSON_NUMBER)
		return json_fail(&r->json, ERR_WRONG_TYPE, "actual must be a number or an array of them, not %s", json_kind_name(kind));
	item->actual.n_rows = 1;
	return read_number(r, item, &n);
}

static enum err
read_id(struct reading *r, struct item *item)
{
	size_t len;
	enum json_kind kind = json_peek(&r->json);

	if (kind != JSON_STRING)
		return json_fail(&r->json, ERR_WRONG_TYPE, "id must be a string, the X-Request-Id of an answer, not %s",
						 json_kind_name(kind));
	enum err e = json_string(&r->json, item->id, sizeof item->id, &len);
	if (e == ERR_OK && len >= sizeof item->id)
		item->id[0] = '\0';
	return e;
}

static enum err
repeated(struct reading *r, const char *name)
{
	return json_fail(&r->json, ERR_REPEATED_FIELD, "\"%s\" stands twice", name);
}

/* Takes one member of an item, whose name was read. */
static enum err
read_member(struct reading *r, struct item *item, const char *name)
{
	char shown[NAME_MAX_BYTES];

	if (strcmp(name, "id") == 0) {
		if (item->has_id)
			return repeated(r, name);
		item->has_id = true;
		return read_id(r, item);
	}
	if (strcmp(name, "actual") == 0) {
		if (item->has_actual)
			return repeated(r, name);
		item->has_actual = true;
		return read_actual(r, item);
	}
	return json_fail(&r->json, ERR_UNKNOWN_FIELD, "unknown member \"%s\"; expected {\"id\": …, \"actual\": …}",
					 text_quote(name, strlen(name), shown, sizeof shown));
}

static void
journal_rows(struct request *q, const struct item *item, const struct truth_joined *joined)
{
	struct journal *j = q->server->journal;

	if (j == NULL || !journal_wants(j, item->id))
		return;
	for (size_t row = 0; row < joined->n_rows; row++) {
		const struct journal_truth truth = {.id = item->id,
											.model = metrics_series_model(joined->series),
											.version = metrics_series_version(joined->series),
											.row = row,
											.actual = item->actual.values + row * joined->targets,
											.width = joined->targets};
		if ((joined->matched >> row & 1) != 0)
			journal_truth(j, q->worker, &truth);
	}
}

/* One of a list that could not be joined, for the answer. */
static void
print_failed(struct reading *r, const char *id)
{
	const struct err_info *info = &r->q->error;
	struct buf *out = &r->q->answer;

	buf_printf(out, "%s{\"index\":%zu,\"id\":", r->n_failed > 0 ? "," : "", r->n);
	text_json_string(out, id, strlen(id));
	buf_printf(out, ",\"code\":\"%s\",\"error\":", err_code(info->code));
	text_json_string(out, info->text, strlen(info->text));
	buf_char(out, '}');
}

static enum err
join(struct reading *r, const struct item *item)
{
	struct truth_joined joined;
	enum err e = truth_join(r->q->server->truth, item->id, &item->actual, &joined, &r->q->error);

	if (e != ERR_OK && !r->list)
		return e;
	if (e != ERR_OK) {
		print_failed(r, item->id);
		r->n_failed++;
		return ERR_OK;
	}
	r->n_matched += joined.n_matched;
	r->n_repeated += joined.n_repeated;
	journal_rows(r->q, item, &joined);
	if (!r->list)
		buf_printf(&r->q->answer, "{\"model\":\"%s\",\"version\":\"%s\",", metrics_series_model(joined.series),
				   metrics_series_version(joined.series));
	return ERR_OK;
}

/* Judges an item whose members were all read, and joins it. */
static enum err
take_item(struct reading *r, const struct item *item)
{
	if (!item->has_id || !item->has_actual)
		return fail_item(r, json_fail(&r->json, ERR_MISSING_FIELD, "\"%s\" is missing; expected {\"id\": …, \"actual\": …}",
									  item->has_id ? "actual" : "id"));
	return r->join ? join(r, item) : ERR_OK;
}

static enum err
read_item(struct reading *r)
{
	struct item item = {0};
	char name[NAME_MAX_BYTES];
	size_t len;
	bool more;
	enum err e = open_value(r, JSON_OBJECT, "{\"id\": …, \"actual\": …}");

	while (e == ERR_OK && (e = json_more(&r->json, '}', &more)) == ERR_OK && more) {
		e = json_name(&r->json, name, sizeof name, &len);
		if (e == ERR_OK)
			e = read_member(r, &item, name);
	}
	return e == ERR_OK ? take_item(r, &item) : fail_item(r, e);
}

static enum err
read_list(struct reading *r)
{
	bool more;
	enum err e = open_value(r, JSON_ARRAY, "an array of {\"id\": …, \"actual\": …}");

	r->list = true;
	while (e == ERR_OK && (e = json_more(&r->json, ']', &more)) == ERR_OK && more) {
		if (r->n >= ITEMS_MAX)
			return err_set(&r->q->error, ERR_TOO_MANY_ROWS, "more than %d truths in one request; send several", ITEMS_MAX);
		e = read_item(r);
		r->n++;
	}
	return e;
}

/* True where the body's first member is "feedback". */
static bool
is_list(struct reading *r)
{
	struct json_reader ahead = r->json;
	struct err_info ignored;
	char name[NAME_MAX_BYTES];
	size_t len;
	bool more;

	ahead.info = &ignored;
	return json_open(&ahead, '{') == ERR_OK && json_more(&ahead, '}', &more) == ERR_OK && more &&
		   json_name(&ahead, name, sizeof name, &len) == ERR_OK && strcmp(name, "feedback") == 0;
}

/* {"feedback": […]} and nothing else. */
static enum err
read_lists(struct reading *r)
{
	char name[NAME_MAX_BYTES];
	char shown[NAME_MAX_BYTES];
	size_t len;
	bool more;
	enum err e = json_open(&r->json, '{');

	while (e == ERR_OK && (e = json_more(&r->json, '}', &more)) == ERR_OK && more) {
		e = json_name(&r->json, name, sizeof name, &len);
		if (e == ERR_OK && strcmp(name, "feedback") != 0)
			return json_fail(&r->json, ERR_UNKNOWN_FIELD, "unknown member \"%s\" beside \"feedback\"",
							 text_quote(name, strlen(name), shown, sizeof shown));
		if (e == ERR_OK && r->list)
			return repeated(r, name);
		if (e == ERR_OK)
			e = read_list(r);
	}
	return e;
}

static enum err
read_body(struct reading *r)
{
	enum err e;

	json_init(&r->json, buf_peek(&r->q->body), r->q->body.len, &r->q->error);
	e = is_list(r) ? read_lists(r) : read_item(r);
	return e == ERR_OK ? json_end(&r->json) : e;
}

/* Twice: the first time to judge the form of all of it, the second time to join. */
static enum err
answer(struct request *q)
{
	struct reading judged = {.q = q};
	struct reading joined = {.q = q, .join = true};
	enum err e = read_body(&judged);

	if (e != ERR_OK) {
		truth_refuse(q->server->truth);
		return e;
	}
	if (judged.list)
		buf_str(&q->answer, "{\"failed\":[");
	e = read_body(&joined);
	if (e != ERR_OK)
		return e;
	if (judged.list)
		buf_str(&q->answer, "],");
	buf_printf(&q->answer, "\"matched\":%zu,\"repeated\":%zu}\n", joined.n_matched, joined.n_repeated);
	return ERR_OK;
}

enum err
feedback_handle(struct request *q)
{
	static const char *const types[] = {"application/json"};
	size_t body_max = q->server->body_max < BODY_MAX ? q->server->body_max : BODY_MAX;
	size_t type;

	if (q->server->truth == NULL)
		return err_set(
			&q->error, ERR_NOT_FOUND,
			"feedback is off: answers are not remembered; the operator turns it on with futaie serve --feedback-answers 100000");
	enum err e = fcgi_io_body(q->io, &q->body, body_max, &q->error);
	if (e == ERR_OK)
		e = media_choose(q, types, 1, &type);
	return e == ERR_OK ? answer(q) : e;
}
