/* truth.c - the newest answers, remembered until the truth about them comes, and how far they were from it */
#include "watch/truth.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/random.h"

enum {
	ID_WORDS = 8, /* 64 bytes, filled up with NUL */
	WORDS = 2 + ID_WORDS + TRUTH_VALUES_MAX / 2,
	WALK_MAX = 1000,   /* answers looked at for one id: many may have been given the same one */
	WINDOW_SLOTS = 25, /* an hour each: the one that runs, 23 before it, and the one to be emptied next */
	SLOT_S = TRUTH_WINDOW_S / (WINDOW_SLOTS - 1)
};

/* What a place's tag is made of: the answer's number + FIRST, and a bit for each row whose truth is known. 0 is that of a place never used. */
enum { KNOWN_BITS = 16, FIRST = 1 };
_Static_assert((int)KNOWN_BITS == (int)TRUTH_ROWS_MAX, "the tag has a bit for each row");

#define BUSY UINT64_MAX /* some worker writes it */

/* An answer, as it lies in the words of a place. */
struct answer {
	struct metrics_series *series;
	uint16_t n_rows; /* 0: too large */
	uint16_t width;
	uint16_t measure;
	uint16_t margins; /* 1: its values are no values */
	char id[ID_WORDS * sizeof(uint64_t)];
	float values[TRUTH_VALUES_MAX];
};
_Static_assert(sizeof(struct answer) == WORDS * sizeof(uint64_t), "an answer fills its words");
_Static_assert(sizeof((struct answer){0}.id) >= TRUTH_ID_MAX - 1, "an id fits");

struct place {
	_Atomic uint64_t tag;
	_Atomic uint64_t before; /* number + FIRST of the answer that its bucket named before, or 0 */
	_Atomic uint64_t words[WORDS];
};

/* Sums of losses. */
struct sums {
	_Atomic uint64_t n;
	_Atomic double loss;
};

enum result { RESULT_MATCHED, RESULT_REPEATED, RESULT_UNKNOWN_ID, RESULT_REFUSED, N_RESULTS };

static const char *const result_names[N_RESULTS] = {"matched", "repeated", "unknown_id", "refused"};

/* Of one series. */
struct live {
	_Atomic int measure; /* enum measure of its first truth; MEASURE_NONE: nothing is summed */
	struct sums all;
	struct sums window[WINDOW_SLOTS];
	_Atomic uint64_t results[N_RESULTS];
};

struct truth {
	struct metrics *metrics; /* borrowed */
	uint64_t seed;           /* so that nobody can choose ids that all fall into one bucket */
	size_t n_places;
	size_t n_buckets; /* a power of two */
	uint64_t started_ns;
	_Atomic uint64_t slot;      /* of the window: hours since the start */
	_Atomic uint64_t n_answers; /* ever remembered */
	struct place *places;       /* owned */
	_Atomic uint64_t *buckets;  /* owned; number + FIRST of the newest answer, or 0 */
	struct live *live;          /* owned; by the number of a series */
};

struct truth *
truth_open(struct metrics *m, size_t n_answers, uint64_t now_ns)
{
	struct truth *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->metrics = m;
	t->n_places = n_answers;
	t->started_ns = now_ns;
	for (t->n_buckets = 1; t->n_buckets < n_answers; t->n_buckets *= 2)
		;
	t->places = calloc(t->n_places, sizeof *t->places);
	t->buckets = calloc(t->n_buckets, sizeof *t->buckets);
	t->live = calloc(METRICS_NUMBERS_MAX, sizeof *t->live);
	if (t->places == NULL || t->buckets == NULL || t->live == NULL ||
		getrandom(&t->seed, sizeof t->seed, 0) != (ssize_t)sizeof t->seed) {
		truth_free(t);
		return NULL;
	}
	return t;
}

void
truth_free(struct truth *t)
{
	if (t == NULL)
		return;
	free(t->places);
	free(t->buckets);
	free(t->live);
	free(t);
}

/* Fills `a` in; an answer that cannot be held against a truth keeps only its id. */
static void
make_answer(struct answer *a, const struct truth_answer *given)
{
	size_t n_values = given->n_rows * given->width;
	bool fits = given->n_rows <= TRUTH_ROWS_MAX && given->width <= TRUTH_VALUES_MAX && n_values <= TRUTH_VALUES_MAX;

	*a = (struct answer){.series = given->series,
						 .width = (uint16_t)given->width,
						 .measure = (uint16_t)given->measure,
						 .margins = given->values == NULL};
	memcpy(a->id, given->id, strnlen(given->id, sizeof a->id));
	if (!fits || given->values == NULL)
		return;
	a->n_rows = (uint16_t)given->n_rows;
	memcpy(a->values, given->values, n_values * sizeof(float));
}

/* Release, so that no word is seen before the place is busy; the words behind the last value are of no interest. */
static void
put_words(struct place *p, const struct answer *a)
{
	uint64_t words[WORDS];
	size_t n_values = (size_t)a->n_rows * a->width;
	size_t n = 2 + ID_WORDS + (n_values + 1) / 2;

	memcpy(words, a, sizeof words);
	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(&p->words[i], words[i], memory_order_release);
}

static _Atomic uint64_t *
bucket_of(const struct truth *t, const char id[ID_WORDS * sizeof(uint64_t)])
{
	return &t->buckets[random_hash(id, ID_WORDS * sizeof(uint64_t), t->seed) & (t->n_buckets - 1)];
}

/* Has the place to itself again, for an answer that no bucket names yet; false where the others went once round the ring and took it. */
static bool
take_back(struct place *p, uint64_t number)
{
	uint64_t tag = number << KNOWN_BITS;

	return atomic_compare_exchange_strong(&p->tag, &tag, BUSY);
}

void
truth_remember(struct truth *t, const struct truth_answer *given)
{
	struct answer a;
	uint64_t number = atomic_fetch_add_explicit(&t->n_answers, 1, memory_order_relaxed) + FIRST;
	struct place *p = &t->places[(number - FIRST) % t->n_places];

	/* A worker that was interrupted here while the others went once round the ring keeps the place: this answer is forgotten. */
	if (atomic_exchange(&p->tag, BUSY) == BUSY)
		return;
	make_answer(&a, given);
	put_words(p, &a);
	_Atomic uint64_t *bucket = bucket_of(t, a.id);
	uint64_t before = atomic_load(bucket);
	do { /* nobody finds it until the bucket names it */
		atomic_store_explicit(&p->before, before, memory_order_release);
		atomic_store(&p->tag, number << KNOWN_BITS);
	} while (!atomic_compare_exchange_weak(bucket, &before, number) && take_back(p, number));
}

/* Copies answer `number` out of its place; false where it is not there any more. */
static bool
get_answer(const struct truth *t, uint64_t number, struct answer *a, uint64_t *before)
{
	struct place *p = &t->places[(number - FIRST) % t->n_places];
	uint64_t words[WORDS];

	if (atomic_load(&p->tag) >> KNOWN_BITS != number)
		return false;
	*before = atomic_load_explicit(&p->before, memory_order_acquire);
	for (size_t i = 0; i < WORDS; i++)
		words[i] = atomic_load_explicit(&p->words[i], memory_order_acquire);
	if (atomic_load(&p->tag) >> KNOWN_BITS != number)
		return false;
	memcpy(a, words, sizeof words);
	return true;
}

/* The number of the last answer with this id, or 0. */
static uint64_t
find_answer(const struct truth *t, const char *id, struct answer *a)
{
	char key[ID_WORDS * sizeof(uint64_t)] = {0};
	uint64_t before = 0;

	memcpy(key, id, strnlen(id, sizeof key));
	uint64_t number = atomic_load(bucket_of(t, key));
	for (int i = 0; number != 0 && i < WALK_MAX; i++, number = before) {
		if (!get_answer(t, number, a, &before))
			return 0; /* what it named before is older still */
		if (memcmp(a->id, key, sizeof key) == 0)
			return number;
	}
	return 0;
}

/* Marks rows as known; their bits that were not yet, or 0 where the answer has gone. `*gone` tells that apart. */
static uint32_t
mark_known(struct truth *t, uint64_t number, uint32_t rows, bool *gone)
{
	struct place *p = &t->places[(number - FIRST) % t->n_places];
	uint64_t tag = atomic_load(&p->tag);

	do {
		*gone = tag >> KNOWN_BITS != number;
		if (*gone)
			return 0;
	} while (!atomic_compare_exchange_weak(&p->tag, &tag, tag | rows));
	return rows & ~(uint32_t)(tag & ((1U << KNOWN_BITS) - 1));
}

static void
add(struct sums *s, double loss)
{
	double before = atomic_load_explicit(&s->loss, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(&s->loss, &before, before + loss, memory_order_relaxed, memory_order_relaxed))
		;
	atomic_fetch_add_explicit(&s->n, 1, memory_order_relaxed);
}

static void
add_loss(struct truth *t, struct live *live, enum measure measure, double loss)
{
	int kept = MEASURE_NONE;

	if (measure == MEASURE_NONE || !isfinite(loss))
		return;
	/* Only versions that are counted together, being too many, can have several measures: the first one stays. */
	if (!atomic_compare_exchange_strong(&live->measure, &kept, (int)measure) && kept != (int)measure)
		return;
	add(&live->all, loss);
	add(&live->window[atomic_load(&t->slot) % WINDOW_SLOTS], loss);
}

static void
count_result(struct truth *t, size_t series, enum result r)
{
	atomic_fetch_add_explicit(&t->live[series].results[r], 1, memory_order_relaxed);
}

void
truth_refuse(struct truth *t)
{
	count_result(t, METRICS_UNKNOWN_NUMBER, RESULT_REFUSED);
}

static enum err
unknown_id(struct truth *t, const char *id, struct err_info *info)
{
	count_result(t, METRICS_UNKNOWN_NUMBER, RESULT_UNKNOWN_ID);
	return err_set(
		info, ERR_UNKNOWN_ID,
		"no answer with the id \"%.64s\" is remembered; the newest %zu are, until a restart: send the X-Request-Id of one of them",
		id, t->n_places);
}

/* An answer that is remembered without its values. */
static enum err
check_answer(struct truth *t, const struct answer *a, struct err_info *info)
{
	if (a->n_rows > 0)
		return ERR_OK;
	count_result(t, metrics_series_number(a->series), RESULT_REFUSED);
	if (a->margins != 0)
		return err_set(info, ERR_UNKNOWN_ID, "the answer with the id \"%.64s\" was margins; truths are held against values only",
					   a->id);
	return err_set(info, ERR_UNKNOWN_ID,
				   "the answer with the id \"%.64s\" was too large to be remembered: at most %d rows and %d numbers are", a->id,
				   TRUTH_ROWS_MAX, TRUTH_VALUES_MAX);
}

static enum err
check_shape(const struct answer *a, const struct truth_actual *actual, size_t targets, struct err_info *info)
{
	size_t n = actual->n_rows * (actual->width > 0 ? actual->width : 1);
	bool flat = actual->width == 0 && (targets == 1 || a->n_rows == 1) && n == a->n_rows * targets;

	if (flat || (actual->width == targets && actual->n_rows == a->n_rows))
		return ERR_OK;
	if (targets == 1)
		return err_set(info, ERR_WRONG_TYPE, "actual has %zu numbers; the answer had %d rows, and each takes one number, or null",
					   n, a->n_rows);
	return err_set(info, ERR_WRONG_TYPE, "actual has %zu numbers; the answer had %d rows, and each takes an array of %zu numbers",
				   n, a->n_rows, targets);
}

/* Which rows have a truth: all of its numbers. */
static enum err
check_values(const struct answer *a, const struct truth_actual *actual, size_t targets, uint32_t *rows, struct err_info *info)
{
	const char *expected;

	*rows = 0;
	for (size_t row = 0; row < a->n_rows; row++) {
		bool known = true;
		for (size_t i = 0; i < targets; i++) {
			float truth = actual->values[row * targets + i];
			known = known && !isnan(truth);
			if (!isnan(truth) && !measure_accepts((enum measure)a->measure, a->width, truth, &expected))
				return err_set(info, ERR_BAD_NUMBER, "actual %zu is %g; for this model's objective it must be %s", row,
							   (double)truth, expected);
		}
		*rows |= known ? 1U << row : 0;
	}
	return ERR_OK;
}

/* Adds the losses of the rows that are newly known. */
static void
add_losses(struct truth *t, const struct answer *a, const struct truth_actual *actual, struct truth_joined *joined)
{
	struct live *live = &t->live[metrics_series_number(a->series)];

	for (size_t row = 0; row < a->n_rows; row++) {
		if ((joined->matched >> row & 1) == 0)
			continue;
		joined->n_matched++;
		add_loss(
			t, live, (enum measure)a->measure,
			measure_loss((enum measure)a->measure, a->values + row * a->width, a->width, actual->values + row * joined->targets));
	}
}

static enum err
check(struct truth *t, const struct answer *a, const struct truth_actual *actual, size_t targets, uint32_t *rows,
	  struct err_info *info)
{
	enum err e = check_shape(a, actual, targets, info);

	if (e == ERR_OK)
		e = check_values(a, actual, targets, rows, info);
	if (e != ERR_OK)
		count_result(t, metrics_series_number(a->series), RESULT_REFUSED);
	return e;
}

enum err
truth_join(struct truth *t, const char *id, const struct truth_actual *actual, struct truth_joined *joined, struct err_info *info)
{
	struct answer a;
	uint32_t rows;
	bool gone;

	*joined = (struct truth_joined){0};
	uint64_t number = find_answer(t, id, &a);
	if (number == 0)
		return unknown_id(t, id, info);
	enum err e = check_answer(t, &a, info);
	if (e != ERR_OK)
		return e;
	size_t targets = measure_targets((enum measure)a.measure, a.width);
	e = check(t, &a, actual, targets, &rows, info);
	if (e != ERR_OK)
		return e;
	*joined = (struct truth_joined){.series = a.series, .n_rows = a.n_rows, .targets = targets};
	joined->matched = mark_known(t, number, rows, &gone);
	if (gone)
		return unknown_id(t, id, info);
	add_losses(t, &a, actual, joined);
	joined->n_repeated = (size_t)__builtin_popcount(rows) - joined->n_matched;
	count_result(t, metrics_series_number(a.series),
				 joined->n_matched > 0 || joined->n_repeated == 0 ? RESULT_MATCHED : RESULT_REPEATED);
	return ERR_OK;
}

/* The slot that comes next is emptied when the one before it begins, and nobody reads it until then. */
void
truth_tick(struct truth *t, uint64_t now_ns)
{
	uint64_t slot = now_ns > t->started_ns ? (now_ns - t->started_ns) / (SLOT_S * 1000000000ULL) : 0;
	uint64_t current = atomic_load(&t->slot);

	for (int i = 0; current < slot && i < WINDOW_SLOTS; i++) {
		current = slot - current > WINDOW_SLOTS ? slot - WINDOW_SLOTS : current + 1;
		atomic_store(&t->slot, current);
		for (size_t k = 0; k < METRICS_NUMBERS_MAX; k++) {
			struct sums *next = &t->live[k].window[(current + 1) % WINDOW_SLOTS];
			if (atomic_load_explicit(&next->n, memory_order_relaxed) == 0)
				continue; /* also keeps memory that was never written from being there at all */
			atomic_store_explicit(&next->n, 0, memory_order_relaxed);
			atomic_store_explicit(&next->loss, 0, memory_order_relaxed);
		}
	}
}

void
truth_live(const struct truth *t, const struct metrics_series *s, struct truth_live *out)
{
	const struct live *live = &t->live[metrics_series_number(s)];
	uint64_t next = (atomic_load(&t->slot) + 1) % WINDOW_SLOTS;
	double loss = 0;

	*out = (struct truth_live){.measure = (enum measure)atomic_load(&live->measure)};
	for (size_t i = 0; i < WINDOW_SLOTS; i++) {
		if (i == next)
			continue;
		out->n += atomic_load_explicit(&live->window[i].n, memory_order_relaxed);
		loss += atomic_load_explicit(&live->window[i].loss, memory_order_relaxed);
	}
	if (out->n > 0)
		out->value = measure_value(out->measure, loss, (double)out->n);
}

static void
write_results_of(const struct truth *t, const struct metrics_series *s, struct buf *out)
{
	for (size_t r = 0; r < N_RESULTS; r++) {
		uint64_t n = atomic_load_explicit(&t->live[metrics_series_number(s)].results[r], memory_order_relaxed);
		if (n == 0)
			continue;
		buf_str(out, "futaie_feedback_total{");
		metrics_series_labels(out, s);
		buf_printf(out, ",result=\"%s\"} %" PRIu64 "\n", result_names[r], n);
	}
}

static void
write_results(const struct truth *t, struct buf *out)
{
	metrics_head(out, "futaie_feedback_total", "counter", "Truths that came in, an id each, by what became of them.");
	write_results_of(t, metrics_unknown(t->metrics), out);
	for (const struct metrics_series *s = metrics_next(t->metrics, NULL); s != NULL; s = metrics_next(t->metrics, s))
		write_results_of(t, s, out);
}

static void
write_losses(const struct truth *t, struct buf *out)
{
	metrics_head(
		out, "futaie_live_loss", "summary",
		"Losses of rows whose truth is known, since the start; a rate of _sum over that of _count is their mean: for rmse the "
		"squared error.");
	for (const struct metrics_series *s = metrics_next(t->metrics, NULL); s != NULL; s = metrics_next(t->metrics, s)) {
		const struct live *live = &t->live[metrics_series_number(s)];
		uint64_t n = atomic_load_explicit(&live->all.n, memory_order_relaxed);
		const char *measure = measure_name((enum measure)atomic_load(&live->measure));
		if (n == 0)
			continue;
		buf_str(out, "futaie_live_loss_sum{");
		metrics_series_labels(out, s);
		buf_printf(out, ",measure=\"%s\"} %.17g\n", measure, atomic_load_explicit(&live->all.loss, memory_order_relaxed));
		buf_str(out, "futaie_live_loss_count{");
		metrics_series_labels(out, s);
		buf_printf(out, ",measure=\"%s\"} %" PRIu64 "\n", measure, n);
	}
}

/* The gauge of one measure. */
static void
write_gauge(const struct truth *t, const char *measure, struct buf *out)
{
	char name[64];
	bool first = true;

	(void)snprintf(name, sizeof name, "futaie_live_%s", measure);
	for (const struct metrics_series *s = metrics_next(t->metrics, NULL); s != NULL; s = metrics_next(t->metrics, s)) {
		struct truth_live live;
		truth_live(t, s, &live);
		if (live.n == 0 || strcmp(measure_name(live.measure), measure) != 0)
			continue;
		if (first)
			metrics_head(out, name, "gauge", "How far answers were from the truths that came in within the last 24 hours.");
		first = false;
		buf_printf(out, "%s{", name);
		metrics_series_labels(out, s);
		buf_printf(out, "} %.17g\n", live.value);
	}
}

void
truth_write_metrics(const struct truth *t, struct buf *out)
{
	write_results(t, out);
	write_losses(t, out);
	write_gauge(t, measure_name(MEASURE_RMSE), out);
	write_gauge(t, measure_name(MEASURE_LOGLOSS), out);
	write_gauge(t, measure_name(MEASURE_ERROR_BINARY), out);
}
