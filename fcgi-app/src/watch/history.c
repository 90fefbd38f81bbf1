/* history.c - the last hour of a server, in steps of a minute and of a second, for people who look at it now */
#include "watch/history.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "version.h"

enum { N_QUANTILES = 3, N_SPANS = 2, NS_PER_S = 1000000000 };

static const double quantiles[N_QUANTILES] = {0.5, 0.9, 0.99};
static const char *const quantile_names[N_QUANTILES] = {"p50", "p90", "p99"};

/* What happened in a step. */
struct step {
	uint64_t requests;
	uint64_t errors;
	uint64_t failures;
	double latency_ms[N_QUANTILES]; /* where it had requests */
};

/* Steps of one length, the last HISTORY_STEPS of them. */
struct span {
	const char *name;
	unsigned step_s;
	uint64_t number;                  /* of the step that runs, from 0 */
	struct metrics_totals start;      /* when it began */
	struct step steps[HISTORY_STEPS]; /* that of number n is at n % HISTORY_STEPS */
};

/* Of one series at the start of a minute. */
struct mark {
	uint64_t requests;
	uint64_t errors;
};

struct history {
	const struct metrics *metrics; /* borrowed */
	size_t n_workers;
	uint64_t started_ns;
	pthread_mutex_t lock;
	uint64_t elapsed_ns;                 /* guarded by lock; since the start, at the newest look: some come with an older one */
	struct span spans[N_SPANS];          /* guarded by lock: hour, minute */
	struct metrics_totals now;           /* guarded by lock */
	struct mark (*marks)[HISTORY_STEPS]; /* guarded by lock; owned; of each number of a series, for the steps of the hour */
};

struct history *
history_open(const struct metrics *m, size_t n_workers, uint64_t now_ns)
{
	struct history *h = calloc(1, sizeof *h);

	if (h == NULL)
		return NULL;
	h->metrics = m;
	h->n_workers = n_workers;
	h->started_ns = now_ns;
	h->spans[0] = (struct span){.name = "hour", .step_s = 60};
	h->spans[1] = (struct span){.name = "minute", .step_s = 1};
	(void)pthread_mutex_init(&h->lock, NULL);
	h->marks = calloc(METRICS_NUMBERS_MAX, sizeof *h->marks);
	if (h->marks == NULL) {
		history_free(h);
		return NULL;
	}
	return h;
}

void
history_free(struct history *h)
{
	if (h == NULL)
		return;
	(void)pthread_mutex_destroy(&h->lock);
	free(h->marks);
	free(h);
}

/* The running step as it is now. */
static void
fill_step(struct span *s, const struct metrics_totals *now)
{
	struct step *step = &s->steps[s->number % HISTORY_STEPS];
	uint64_t latency[LATENCY_BINS];
	uint64_t n = 0;

	step->requests = now->requests - s->start.requests;
	step->errors = now->errors - s->start.errors;
	step->failures = now->failures - s->start.failures;
	for (size_t i = 0; i < LATENCY_BINS; i++) {
		latency[i] = now->latency[i] - s->start.latency[i];
		n += latency[i];
	}
	for (size_t i = 0; n > 0 && i < N_QUANTILES; i++)
		step->latency_ms[i] = latency_quantile_ms(latency, n, quantiles[i]);
}

/* Each series' counts now are those at the start of step `number` of the hour. */
static void
set_marks(struct history *h, uint64_t number)
{
	struct metrics_counts counts;

	for (const struct metrics_series *s = metrics_next(h->metrics, NULL); s != NULL; s = metrics_next(h->metrics, s)) {
		metrics_read(h->metrics, s, &counts);
		h->marks[metrics_series_number(s)][number % HISTORY_STEPS] =
			(struct mark){counts.answered + counts.refused, counts.refused};
	}
}

/* Brings a span to h->elapsed_ns, for counts as they are in h->now. */
static void
advance_span(struct history *h, struct span *s)
{
	uint64_t number = h->elapsed_ns / ((uint64_t)s->step_s * NS_PER_S);

	fill_step(s, &h->now);
	if (number > s->number)
		s->start = h->now;
	for (size_t i = 0; number > s->number && i < HISTORY_STEPS; i++) { /* a longer pause only needs the last ones */
		uint64_t passed = number - s->number;
		s->number += passed > HISTORY_STEPS ? passed - HISTORY_STEPS + 1 : 1;
		s->steps[s->number % HISTORY_STEPS] = (struct step){0};
		if (s == &h->spans[0])
			set_marks(h, s->number);
	}
}

/* Takes note of the time; one that somebody read before they waited for the lock is as the newest. */
static void
set_elapsed(struct history *h, uint64_t now_ns)
{
	uint64_t elapsed = now_ns > h->started_ns ? now_ns - h->started_ns : 0;

	h->elapsed_ns = elapsed > h->elapsed_ns ? elapsed : h->elapsed_ns;
}

static void
advance(struct history *h)
{
	metrics_totals(h->metrics, &h->now);
	for (size_t i = 0; i < N_SPANS; i++)
		advance_span(h, &h->spans[i]);
}

void
history_tick(struct history *h, uint64_t now_ns)
{
	(void)pthread_mutex_lock(&h->lock);
	set_elapsed(h, now_ns);
	if (h->elapsed_ns / NS_PER_S > h->spans[1].number)
		advance(h);
	(void)pthread_mutex_unlock(&h->lock);
}

/* The step that is `i`-th of those shown, the oldest first; NULL where it would lie before the start. */
static const struct step *
shown_step(const struct span *s, size_t i)
{
	uint64_t ago = HISTORY_STEPS - 1 - i;

	return ago > s->number ? NULL : &s->steps[(s->number - ago) % HISTORY_STEPS];
}

/* ,"NAME":[…]; `offset` is that of a uint64_t in struct step. */
static void
write_counts(const struct span *s, const char *name, size_t offset, struct buf *out)
{
	buf_printf(out, ",\"%s\":[", name);
	for (size_t i = 0; i < HISTORY_STEPS; i++) {
		const struct step *step = shown_step(s, i);
		if (i > 0)
			buf_char(out, ',');
		if (step == NULL)
			buf_str(out, "null");
		else
			buf_printf(out, "%" PRIu64, *(const uint64_t *)(const void *)((const char *)step + offset));
	}
	buf_char(out, ']');
}

static void
write_quantile(const struct span *s, size_t q, struct buf *out)
{
	buf_printf(out, "%s\"%s\":[", q > 0 ? "," : "", quantile_names[q]);
	for (size_t i = 0; i < HISTORY_STEPS; i++) {
		const struct step *step = shown_step(s, i);
		if (i > 0)
			buf_char(out, ',');
		if (step == NULL || step->requests == 0)
			buf_str(out, "null");
		else
			buf_printf(out, "%.4g", step->latency_ms[q]);
	}
	buf_char(out, ']');
}

static void
write_span(const struct span *s, uint64_t elapsed, struct buf *out)
{
	buf_printf(out, "\"%s\":{\"step_s\":%u,\"elapsed_s\":%.3f", s->name, s->step_s,
			   (double)elapsed / NS_PER_S - (double)(s->number * s->step_s));
	write_counts(s, "requests", offsetof(struct step, requests), out);
	write_counts(s, "errors", offsetof(struct step, errors), out);
	write_counts(s, "failures", offsetof(struct step, failures), out);
	buf_str(out, ",\"latency_ms\":{");
	for (size_t q = 0; q < N_QUANTILES; q++)
		write_quantile(s, q, out);
	buf_str(out, "}},");
}

/* With the counts since the oldest step of the hour that is shown, whose mark is the one that is to be overwritten next. */
static void
write_model(const struct history *h, const struct metrics_series *s, history_member_fn *member, void *context, struct buf *out)
{
	const struct mark *mark = &h->marks[metrics_series_number(s)][(h->spans[0].number + 1) % HISTORY_STEPS];
	struct metrics_counts counts;

	metrics_read(h->metrics, s, &counts);
	uint64_t requests = counts.answered + counts.refused;
	buf_printf(out, "{\"name\":\"%s\",\"version\":\"%s\"", metrics_series_model(s), metrics_series_version(s));
	buf_printf(out, ",\"requests\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"rows\":%" PRIu64, requests, counts.refused, counts.rows);
	buf_printf(out, ",\"hour\":{\"requests\":%" PRIu64 ",\"errors\":%" PRIu64 "}", requests - mark->requests,
			   counts.refused - mark->errors);
	if (member != NULL)
		member(context, s, out);
	buf_char(out, '}');
}

static void
write_models(const struct history *h, history_member_fn *member, void *context, struct buf *out)
{
	size_t n = 0;

	buf_str(out, "\"models\":[");
	for (const struct metrics_series *s = metrics_next(h->metrics, NULL); s != NULL; s = metrics_next(h->metrics, s)) {
		if (n < HISTORY_MODELS_MAX) {
			buf_str(out, n > 0 ? "," : "");
			write_model(h, s, member, context, out);
		}
		n++;
	}
	buf_char(out, ']');
	if (n > HISTORY_MODELS_MAX)
		buf_printf(out, ",\"models_left_out\":%zu", n - HISTORY_MODELS_MAX);
}

static void
write_times(const struct history *h, struct buf *out)
{
	char now[CLOCK_RFC3339];
	char started[CLOCK_RFC3339];
	const struct metrics_totals *c = &h->now;

	buf_printf(out, "\"now\":\"%s\",\"started\":\"%s\",\"uptime_s\":%" PRIu64 ",\"version\":\"%s\"",
			   clock_rfc3339_of(time(NULL), now), clock_rfc3339_of((time_t)metrics_start_s(h->metrics), started),
			   h->elapsed_ns / NS_PER_S, FUTAIE_VERSION);
	buf_printf(out, ",\"workers\":%zu,\"in_flight\":%zu", h->n_workers, metrics_in_flight(h->metrics));
	buf_printf(out, ",\"totals\":{\"requests\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"failures\":%" PRIu64 ",\"rows\":%" PRIu64 "},",
			   c->requests, c->errors, c->failures, c->rows);
}

void
history_write(struct history *h, uint64_t now_ns, history_member_fn *member, void *context, struct buf *out)
{
	(void)pthread_mutex_lock(&h->lock);
	set_elapsed(h, now_ns);
	advance(h);
	write_times(h, out);
	for (size_t i = 0; i < N_SPANS; i++)
		write_span(&h->spans[i], h->elapsed_ns, out);
	write_models(h, member, context, out);
	(void)pthread_mutex_unlock(&h->lock);
}
