/* metrics.c - counters and histograms, counted without locks and summed at a scrape */
#include "watch/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "version.h"

enum {
	CACHE_LINE = 64,
	LABEL_MAX = 72,
	BUCKETS_MAX = 18 /* with the last, +Inf */
};

/* Upper bounds of the buckets; a duration's are in nanoseconds and printed in seconds. */
struct bounds {
	size_t n;
	double unit;
	uint64_t upper[BUCKETS_MAX - 1];
};

static const struct bounds duration_bounds = {17,
											  1e-9,
											  {50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 25000000,
											   50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 5000000000,
											   10000000000}};

static const struct bounds row_bounds = {11, 1, {1, 2, 5, 10, 50, 100, 500, 1000, 5000, 10000, 100000}};

/* Why a request is refused for who asks, or for how much is asked. */
static const enum err rejections[] = {ERR_UNAUTHORIZED, ERR_FORBIDDEN, ERR_RATE_LIMITED, ERR_OVERLOADED};

enum { N_REJECTIONS = sizeof rejections / sizeof rejections[0] };

typedef _Atomic uint64_t counter;

struct histogram {
	counter sum;
	counter buckets[BUCKETS_MAX]; /* not cumulative */
};

struct series_shard {
	_Alignas(CACHE_LINE) counter requests;
	counter errors[ERR_COUNT];
	struct histogram duration;
	struct histogram rows;
	counter total_ns; /* of answered requests … */
	counter input_ns;
	counter output_ns;
	counter refused_ns; /* … and of others */
	counter last_ms;
};

struct metrics_series {
	char model[LABEL_MAX];
	char version[LABEL_MAX];
	struct metrics_series *_Atomic next;
	struct series_shard *shards; /* owned; one for each worker */
	counter failures[ERR_COUNT]; /* of versions that could not be served */
	size_t number;
	struct worker_shard *workers; /* borrowed from the metrics */
};

/* What a worker counts that belongs to no model. */
struct worker_shard {
	_Alignas(CACHE_LINE) counter in_flight;
	counter rejected[N_REJECTIONS];
	counter requests; /* that predict, and so on */
	counter errors;
	counter failures;
	counter rows;
	counter latency[LATENCY_BINS];
	/* of the request that the worker is in; by that worker only */
	bool predicts;
	enum err result;
	size_t n_rows;
};

struct metrics {
	size_t n_shards;
	const char *(*route_name)(size_t);
	size_t n_routes;
	struct worker_shard *workers;   /* owned; n_shards */
	struct histogram *durations;    /* owned; n_shards x n_routes */
	struct metrics_series *unknown; /* the head of the list of all series */
	struct metrics_series *other;   /* for what is over METRICS_SERIES_MAX */
	pthread_mutex_t lock;           /* for making series */
	size_t n_series;                /* guarded by lock */
	counter reloads[2];             /* [success] */
	counter keys_reloads[2];        /* [success] */
	double start_s;                 /* since the epoch */
};

static struct metrics_series *new_series(struct metrics *m, const char *model, const char *version);
static void write_process(const struct metrics *m, struct buf *out);

/* Adds to a counter that only this thread writes. */
static inline void
count(counter *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t
get(const counter *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void
observe(struct histogram *h, const struct bounds *bounds, uint64_t value)
{
	size_t i = 0;

	while (i < bounds->n && value > bounds->upper[i])
		i++;
	count(&h->buckets[i], 1);
	count(&h->sum, value);
}

struct metrics *
metrics_open(size_t n_shards, const char *(*route_name)(size_t), size_t n_routes)
{
	struct metrics *m = calloc(1, sizeof *m);
	struct timespec now;

	if (m == NULL)
		return NULL;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	*m = (struct metrics){.n_shards = n_shards, .route_name = route_name, .n_routes = n_routes};
	m->start_s = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
	(void)pthread_mutex_init(&m->lock, NULL);
	m->workers = aligned_alloc(CACHE_LINE, n_shards * sizeof *m->workers);
	m->durations = calloc(n_shards * n_routes, sizeof *m->durations);
	m->unknown = new_series(m, "", "");
	m->other = new_series(m, "other", "");
	if (m->other != NULL)
		m->other->number = METRICS_NUMBERS_MAX - 1;
	if (m->workers == NULL || m->durations == NULL || m->unknown == NULL || m->other == NULL) {
		metrics_free(m);
		return NULL;
	}
	memset(m->workers, 0, n_shards * sizeof *m->workers);
	return m;
}

static void
free_series(struct metrics_series *s)
{
	if (s != NULL)
		free(s->shards);
	free(s);
}

void
metrics_free(struct metrics *m)
{
	if (m == NULL)
		return;
	for (struct metrics_series *s = m->unknown, *next; s != NULL; s = next) {
		next = s->next;
		free_series(s);
	}
	free_series(m->other);
	free(m->workers);
	free(m->durations);
	(void)pthread_mutex_destroy(&m->lock);
	free(m);
}

struct metrics_series *
metrics_series(struct metrics *m, const char *model, const char *version)
{
	struct metrics_series *s;
	struct metrics_series *last = NULL;

	(void)pthread_mutex_lock(&m->lock);
	for (s = m->unknown; s != NULL; last = s, s = s->next)
		if (strcmp(s->model, model) == 0 && strcmp(s->version, version) == 0)
			break;
	if (s == NULL && m->n_series < METRICS_SERIES_MAX && (s = new_series(m, model, version)) != NULL) {
		s->number = ++m->n_series;
		atomic_store_explicit(&last->next, s, memory_order_release);
	}
	(void)pthread_mutex_unlock(&m->lock);
	return s != NULL ? s : m->other;
}

struct metrics_series *
metrics_unknown(struct metrics *m)
{
	return m->unknown;
}

void
metrics_request_begin(struct metrics *m, size_t shard)
{
	m->workers[shard].predicts = false;
	count(&m->workers[shard].in_flight, 1);
}

void
metrics_request_end(struct metrics *m, size_t shard, size_t route, uint64_t duration_ns)
{
	struct worker_shard *w = &m->workers[shard];

	observe(&m->durations[shard * m->n_routes + route], &duration_bounds, duration_ns);
	if (w->predicts) {
		count(&w->requests, 1);
		count(&w->errors, w->result != ERR_OK);
		count(&w->failures, err_status(w->result) >= 500);
		count(&w->rows, w->n_rows);
		count(&w->latency[latency_bin(duration_ns)], 1);
	}
	atomic_store_explicit(&w->in_flight, 0, memory_order_relaxed);
}

void
metrics_prediction(struct metrics_series *s, size_t shard, enum err result, size_t rows, uint64_t duration_ns)
{
	struct series_shard *mine = &s->shards[shard];
	struct worker_shard *w = &s->workers[shard];

	w->predicts = true;
	w->result = result;
	w->n_rows = result == ERR_OK ? rows : 0;
	count(&mine->requests, 1);
	if (result != ERR_OK) {
		count(&mine->errors[result], 1);
		return;
	}
	observe(&mine->rows, &row_bounds, rows);
	observe(&mine->duration, &duration_bounds, duration_ns);
}

double
metrics_start_s(const struct metrics *m)
{
	return m->start_s;
}

void
metrics_totals(const struct metrics *m, struct metrics_totals *out)
{
	*out = (struct metrics_totals){0};
	for (size_t k = 0; k < m->n_shards; k++) {
		const struct worker_shard *w = &m->workers[k];
		out->requests += get(&w->requests);
		out->errors += get(&w->errors);
		out->failures += get(&w->failures);
		out->rows += get(&w->rows);
		for (size_t i = 0; i < LATENCY_BINS; i++)
			out->latency[i] += get(&w->latency[i]);
	}
}

size_t
metrics_series_number(const struct metrics_series *s)
{
	return s->number;
}

void
metrics_steps(struct metrics_series *s, size_t shard, enum err result, uint64_t total_ns, uint64_t input_ns, uint64_t output_ns)
{
	struct series_shard *mine = &s->shards[shard];

	if (result != ERR_OK) {
		count(&mine->refused_ns, total_ns);
		return;
	}
	count(&mine->total_ns, total_ns);
	count(&mine->input_ns, input_ns);
	count(&mine->output_ns, output_ns);
	atomic_store_explicit(&mine->last_ms, clock_epoch_ms(), memory_order_relaxed);
}

static void
read_shard(const struct series_shard *shard, struct metrics_counts *out)
{
	uint64_t last = get(&shard->last_ms);

	for (int code = 1; code < ERR_COUNT; code++)
		out->refused += get(&shard->errors[code]);
	for (size_t i = 0; i <= duration_bounds.n; i++)
		out->answered += get(&shard->duration.buckets[i]);
	out->rows += get(&shard->rows.sum);
	out->total_ns += get(&shard->total_ns);
	out->input_ns += get(&shard->input_ns);
	out->scorer_ns += get(&shard->duration.sum);
	out->output_ns += get(&shard->output_ns);
	out->refused_ns += get(&shard->refused_ns);
	out->last_ms = last > out->last_ms ? last : out->last_ms;
}

void
metrics_read(const struct metrics *m, const struct metrics_series *s, struct metrics_counts *out)
{
	*out = (struct metrics_counts){0};
	for (size_t k = 0; k < m->n_shards; k++)
		read_shard(&s->shards[k], out);
}

const struct metrics_series *
metrics_next(const struct metrics *m, const struct metrics_series *s)
{
	do
		s = s == NULL ? m->unknown : atomic_load_explicit(&s->next, memory_order_acquire);
	while (s != NULL && s->version[0] == '\0');
	return s;
}

const char *
metrics_series_model(const struct metrics_series *s)
{
	return s->model;
}

const char *
metrics_series_version(const struct metrics_series *s)
{
	return s->version;
}

void
metrics_rejected(struct metrics *m, size_t shard, enum err reason)
{
	for (size_t i = 0; i < N_REJECTIONS; i++)
		if (rejections[i] == reason)
			count(&m->workers[shard].rejected[i], 1);
}

void
metrics_keys_reload(struct metrics *m, bool success)
{
	atomic_fetch_add_explicit(&m->keys_reloads[success], 1, memory_order_relaxed);
}

void
metrics_reload(struct metrics *m, bool success)
{
	atomic_fetch_add_explicit(&m->reloads[success], 1, memory_order_relaxed);
}

void
metrics_model_failure(struct metrics_series *s, enum err reason)
{
	atomic_fetch_add_explicit(&s->failures[reason], 1, memory_order_relaxed);
}

void
metrics_label(struct buf *out, const char *value)
{
	buf_char(out, '"');
	for (; *value != '\0'; value++) {
		if (*value == '\n') {
			buf_str(out, "\\n");
			continue;
		}
		if (*value == '"' || *value == '\\')
			buf_char(out, '\\');
		buf_char(out, *value);
	}
	buf_char(out, '"');
}

void
metrics_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
metrics_series_labels(struct buf *out, const struct metrics_series *s)
{
	buf_str(out, "model=");
	metrics_label(out, s->model);
	buf_str(out, ",version=");
	metrics_label(out, s->version);
}

/* The lines of one histogram whose shards lie `stride` bytes apart; `labels` is without braces. */
static void
write_histogram(struct buf *out, const char *name, const char *labels, const struct bounds *bounds, const struct histogram *first,
				size_t stride, size_t n_shards)
{
	uint64_t total = 0;
	uint64_t sum = 0;

	for (size_t i = 0; i <= bounds->n; i++) {
		for (size_t k = 0; k < n_shards; k++)
			total += get(&((const struct histogram *)((const char *)first + k * stride))->buckets[i]);
		if (i < bounds->n)
			buf_printf(out, "%s_bucket{%s,le=\"%.10g\"} %" PRIu64 "\n", name, labels, (double)bounds->upper[i] * bounds->unit,
					   total);
		else
			buf_printf(out, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, labels, total);
	}
	for (size_t k = 0; k < n_shards; k++)
		sum += get(&((const struct histogram *)((const char *)first + k * stride))->sum);
	buf_printf(out, "%s_sum{%s} %.10g\n", name, labels, (double)sum * bounds->unit);
	buf_printf(out, "%s_count{%s} %" PRIu64 "\n", name, labels, total);
}

static uint64_t
sum_requests(const struct metrics *m, const struct metrics_series *s)
{
	uint64_t total = 0;

	for (size_t k = 0; k < m->n_shards; k++)
		total += get(&s->shards[k].requests);
	return total;
}

/* True for the unknown models' and the versions' series; a model's own and `other` are only of interest once they count. */
static bool
is_written(const struct metrics *m, const struct metrics_series *s)
{
	return s == m->unknown || s->version[0] != '\0' || sum_requests(m, s) > 0;
}

/* The next series to write: those of the list, and behind them `other`. */
static const struct metrics_series *
next_series(const struct metrics *m, const struct metrics_series *s)
{
	do {
		if (s == m->other)
			return NULL;
		s = s == NULL ? m->unknown : atomic_load_explicit(&s->next, memory_order_acquire);
		if (s == NULL)
			s = m->other;
	} while (!is_written(m, s));
	return s;
}

static void
write_requests(const struct metrics *m, struct buf *out)
{
	metrics_head(out, "prediction_requests_total", "counter", "Requests on routes that predict, failures included.");
	for (const struct metrics_series *s = next_series(m, NULL); s != NULL; s = next_series(m, s)) {
		buf_str(out, "prediction_requests_total{");
		metrics_series_labels(out, s);
		buf_printf(out, "} %" PRIu64 "\n", sum_requests(m, s));
	}
	metrics_head(out, "prediction_errors_total", "counter",
				 "Requests on routes that predict which were refused or failed, by the code of the answer.");
	for (const struct metrics_series *s = next_series(m, NULL); s != NULL; s = next_series(m, s)) {
		for (int code = 1; code < ERR_COUNT; code++) {
			uint64_t total = 0;
			for (size_t k = 0; k < m->n_shards; k++)
				total += get(&s->shards[k].errors[code]);
			if (total == 0)
				continue;
			buf_str(out, "prediction_errors_total{");
			metrics_series_labels(out, s);
			buf_printf(out, ",code=\"%s\"} %" PRIu64 "\n", err_code((enum err)code), total);
		}
	}
}

/* One of the histograms that every series has, at `offset` in its shards. */
static void
write_series_histogram(const struct metrics *m, struct buf *out, const char *name, const char *help, const struct bounds *bounds,
					   size_t offset)
{
	struct buf labels;

	buf_init(&labels, (size_t)4 * LABEL_MAX);
	metrics_head(out, name, "histogram", help);
	for (const struct metrics_series *s = next_series(m, NULL); s != NULL; s = next_series(m, s)) {
		if (s == m->unknown)
			continue;
		buf_reset(&labels);
		metrics_series_labels(&labels, s);
		write_histogram(out, name, buf_peek(&labels), bounds, (const struct histogram *)((const char *)s->shards + offset),
						sizeof *s->shards, m->n_shards);
	}
	buf_release(&labels);
}

size_t
metrics_in_flight(const struct metrics *m)
{
	uint64_t n = 0;

	for (size_t k = 0; k < m->n_shards; k++)
		n += get(&m->workers[k].in_flight);
	return (size_t)n;
}

static void
write_routes(const struct metrics *m, struct buf *out)
{
	char labels[LABEL_MAX];

	metrics_head(out, "futaie_request_duration_seconds", "histogram", "Time from a request's parameters to its answer, by route.");
	for (size_t r = 0; r < m->n_routes; r++) {
		(void)snprintf(labels, sizeof labels, "route=\"%s\"", m->route_name(r));
		write_histogram(out, "futaie_request_duration_seconds", labels, &duration_bounds, &m->durations[r],
						m->n_routes * sizeof *m->durations, m->n_shards);
	}
	metrics_head(out, "futaie_requests_in_flight", "gauge", "Requests that workers are in now, this scrape among them.");
	buf_printf(out, "futaie_requests_in_flight %zu\n", metrics_in_flight(m));
}

static void
write_rejections(const struct metrics *m, struct buf *out)
{
	metrics_head(out, "futaie_requests_rejected_total", "counter",
				 "Requests that were refused for who asked, or for how much was asked, by reason.");
	for (size_t i = 0; i < N_REJECTIONS; i++) {
		uint64_t total = 0;
		for (size_t k = 0; k < m->n_shards; k++)
			total += get(&m->workers[k].rejected[i]);
		buf_printf(out, "futaie_requests_rejected_total{reason=\"%s\"} %" PRIu64 "\n", err_code(rejections[i]), total);
	}
}

/* A counter by result, of which `counts` has failures and successes. */
static void
write_results(struct buf *out, const char *name, const char *help, const counter counts[2])
{
	metrics_head(out, name, "counter", help);
	buf_printf(out, "%s{result=\"success\"} %" PRIu64 "\n", name, get(&counts[1]));
	buf_printf(out, "%s{result=\"failure\"} %" PRIu64 "\n", name, get(&counts[0]));
}

static void
write_series_failures(const struct metrics_series *s, struct buf *out)
{
	for (int code = 1; code < ERR_COUNT; code++) {
		if (get(&s->failures[code]) == 0)
			continue;
		buf_str(out, "futaie_model_failures_total{model=");
		metrics_label(out, s->model);
		buf_printf(out, ",reason=\"%s\"} %" PRIu64 "\n", err_code((enum err)code), get(&s->failures[code]));
	}
}

static void
write_failures(const struct metrics *m, struct buf *out)
{
	metrics_head(out, "futaie_model_failures_total", "counter",
				 "Versions that could not be served, by model and reason; the log has the sentence.");
	for (const struct metrics_series *s = m->unknown; s != NULL; s = atomic_load_explicit(&s->next, memory_order_acquire))
		write_series_failures(s, out);
	write_series_failures(m->other, out);
}

void
metrics_write(const struct metrics *m, struct buf *out)
{
	write_requests(m, out);
	write_series_histogram(m, out, "futaie_predict_duration_seconds", "Time in the scorer, by model version.", &duration_bounds,
						   offsetof(struct series_shard, duration));
	write_series_histogram(m, out, "futaie_batch_rows", "Rows of an answered request, by model version.", &row_bounds,
						   offsetof(struct series_shard, rows));
	write_routes(m, out);
	write_rejections(m, out);
	write_results(out, "futaie_model_reloads_total", "Reloads of the model store, by result.", m->reloads);
	write_results(out, "futaie_keys_reloads_total", "Reloads of the keys file, by result.", m->keys_reloads);
	write_failures(m, out);
	metrics_head(out, "futaie_build_info", "gauge", "The version of futaie that runs, always 1.");
	buf_printf(out, "futaie_build_info{version=\"%s\"} 1\n", FUTAIE_VERSION);
	write_process(m, out);
}

static struct metrics_series *
new_series(struct metrics *m, const char *model, const char *version)
{
	struct metrics_series *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->workers = m->workers;
	(void)snprintf(s->model, sizeof s->model, "%s", model);
	(void)snprintf(s->version, sizeof s->version, "%s", version);
	s->shards = aligned_alloc(CACHE_LINE, m->n_shards * sizeof *s->shards);
	if (s->shards == NULL) {
		free(s);
		return NULL;
	}
	memset(s->shards, 0, m->n_shards * sizeof *s->shards);
	return s;
}

static uint64_t
count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n >= 3 ? n - 3 : 0; /* ".", ".." and the one that reads them */
}

/* The first two numbers of /proc/self/statm: pages of address space, and resident ones; 0 where they cannot be read. */
static void
read_statm(unsigned long pages[2])
{
	char text[128] = "";
	char *p = text;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f != NULL) {
		text[fread(text, 1, sizeof text - 1, f)] = '\0';
		(void)fclose(f);
	}
	pages[0] = strtoul(p, &p, 10);
	pages[1] = strtoul(p, &p, 10);
}

/* The standard metrics of a process, https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics */
static void
write_process(const struct metrics *m, struct buf *out)
{
	struct rusage usage;
	struct rlimit limit = {0};
	unsigned long pages[2];
	unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);

	read_statm(pages);
	(void)getrusage(RUSAGE_SELF, &usage);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	metrics_head(out, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.");
	buf_printf(out, "process_cpu_seconds_total %.6f\n",
			   (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
				   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6);
	metrics_head(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
	buf_printf(out, "process_resident_memory_bytes %lu\n", pages[1] * page);
	metrics_head(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.");
	buf_printf(out, "process_virtual_memory_bytes %lu\n", pages[0] * page);
	metrics_head(out, "process_open_fds", "gauge", "Number of open file descriptors.");
	buf_printf(out, "process_open_fds %" PRIu64 "\n", count_descriptors());
	metrics_head(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.");
	buf_printf(out, "process_max_fds %" PRIu64 "\n", (uint64_t)limit.rlim_cur);
	metrics_head(out, "process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.");
	buf_printf(out, "process_start_time_seconds %.3f\n", m->start_s);
}
