/* journal.c - a sample of what was asked and answered, as JSON lines in files that are bounded */
#include "watch/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "watch/metrics.h"

enum {
	CACHE_LINE = 64,
	OUT_BYTES = 256 * 1024, /* of one write */
	POLL_MS = 50,
	BUSY_POLL_MS = 5,    /* where a ring was as full as … */
	BUSY_PART = 16,      /* … a sixteenth */
	RETRY_MS = 1000,     /* after a failure */
	COMPLAIN_MS = 60000, /* between two lines in the log */
	PATH_SUFFIX_MAX = 8,
	NUMBERED_MAX = PATH_MAX + 32, /* of a path with a number */
	FILE_MODE = 0640              /* less the umask */
};

#define NS_PER_MS 1000000ULL
#define HASHES    0x1p63

enum kind { KIND_PREDICTION, KIND_FEEDBACK, N_KINDS };
enum reason { REASON_FULL, REASON_TOO_LONG, REASON_TOO_MANY_ROWS, N_REASONS };
enum operation { OPERATION_OPEN, OPERATION_WRITE, OPERATION_ROTATE, N_OPERATIONS };

static const char *const kind_names[N_KINDS] = {"prediction", "feedback"};
static const char *const reason_names[N_REASONS] = {"full", "too_long", "too_many_rows"};
static const char *const operation_names[N_OPERATIONS] = {"open", "write", "rotate"};

typedef _Atomic uint64_t counter;

/* Written by the thread, read by the worker: not in a line of the cache that the worker writes. */
struct tail {
	_Alignas(CACHE_LINE) _Atomic size_t at;
};

/* One worker's. Positions only grow; what they are modulo JOURNAL_RING_BYTES is a place in the ring. */
struct lane {
	struct tail tail;
	_Atomic size_t head; /* this and what follows is written by the worker */
	counter lines[N_KINDS];
	counter dropped[N_REASONS];
	char *ring;             /* owned */
	unsigned char *omitted; /* owned; JOURNAL_FEATURES_MAX: 1 where the feature is left out */
	struct buf line;        /* all of its memory is there from the start */
};

struct journal {
	char path[PATH_MAX];
	const char *omit;   /* borrowed */
	uint64_t threshold; /* ids with a hash below it are in the sample: a share of HASHES */
	uint64_t file_max_bytes;
	size_t n_files;
	const struct log *log; /* borrowed */
	size_t n_lanes;
	struct lane *lanes; /* owned */
	counter bytes;
	counter errors[N_OPERATIONS];

	/* the thread's */
	struct buf out;       /* whole lines on their way */
	size_t written;       /* of them */
	int fd;               /* -1: to be opened */
	uint64_t size;        /* of the file */
	bool cut;             /* the file ends within a line that nobody will end */
	uint64_t retry_ns;    /* nothing is tried before */
	uint64_t complain_ns; /* nothing is logged before */

	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping; /* guarded by lock */
};

static void *run(void *arg);

static void
count(counter *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static int
open_file(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, FILE_MODE);
}

/* Whether `fd` is a regular file, whose size and last byte matter. */
static bool
is_file(int fd, struct stat *st)
{
	if (fstat(fd, st) != 0)
		return false;
	errno = S_ISREG(st->st_mode) ? 0 : EINVAL;
	return errno == 0;
}

enum err
journal_check(const char *path, struct err_info *info)
{
	struct stat st;
	int fd = open_file(path);
	bool ok = fd >= 0 && is_file(fd, &st);
	const char *why = errno == EINVAL ? "it is no file" : strerror(errno);

	if (fd >= 0)
		(void)close(fd);
	if (!ok)
		return err_set(
			info, ERR_FILE,
			"the journal %s cannot be written: %s; name a file in a folder that this user may write to, or leave journal out", path,
			why);
	return ERR_OK;
}

static bool
lane_init(struct lane *l)
{
	l->ring = malloc(JOURNAL_RING_BYTES);
	l->omitted = malloc(JOURNAL_FEATURES_MAX);
	buf_init(&l->line, JOURNAL_LINE_MAX);
	return l->ring != NULL && l->omitted != NULL && buf_reserve(&l->line, JOURNAL_LINE_MAX);
}

static bool
lanes_init(struct journal *j, size_t n)
{
	j->lanes = aligned_alloc(CACHE_LINE, n * sizeof *j->lanes);
	if (j->lanes == NULL)
		return false;
	memset(j->lanes, 0, n * sizeof *j->lanes);
	j->n_lanes = n;
	for (size_t i = 0; i < n; i++)
		if (!lane_init(&j->lanes[i]))
			return false;
	return true;
}

/* A condition that waits by the monotonic clock, and the thread. */
static bool
start(struct journal *j)
{
	pthread_condattr_t monotonic;
	sigset_t all;
	sigset_t before;

	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&j->lock, NULL);
	(void)pthread_cond_init(&j->wake, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	j->started = pthread_create(&j->thread, NULL, run, j) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return j->started;
}

enum err
journal_open(const struct journal_options *o, struct journal **out, struct err_info *info)
{
	struct journal *j = calloc(1, sizeof *j);

	*out = NULL;
	if (j == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the journal");
	j->fd = -1;
	j->omit = o->omit;
	j->threshold = (uint64_t)(o->share * HASHES);
	j->file_max_bytes = o->file_max_bytes;
	j->n_files = o->n_files;
	j->log = o->log;
	buf_init(&j->out, OUT_BYTES);
	enum err e = ERR_OK;
	if (strlen(o->path) + PATH_SUFFIX_MAX > sizeof j->path)
		e = err_set(info, ERR_FILE, "the journal's path is too long");
	else
		(void)snprintf(j->path, sizeof j->path, "%s", o->path);
	if (e == ERR_OK)
		e = journal_check(j->path, info);
	if (e == ERR_OK && (!lanes_init(j, o->n_workers) || !buf_reserve(&j->out, OUT_BYTES) || !start(j)))
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for the journal's %zu rings of %d bytes", o->n_workers, JOURNAL_RING_BYTES);
	if (e != ERR_OK) {
		journal_free(j);
		return e;
	}
	*out = j;
	return ERR_OK;
}

static void
stop(struct journal *j)
{
	(void)pthread_mutex_lock(&j->lock);
	j->stopping = true;
	(void)pthread_cond_signal(&j->wake);
	(void)pthread_mutex_unlock(&j->lock);
	(void)pthread_join(j->thread, NULL);
	(void)pthread_cond_destroy(&j->wake);
	(void)pthread_mutex_destroy(&j->lock);
}

void
journal_free(struct journal *j)
{
	if (j == NULL)
		return;
	if (j->started)
		stop(j);
	if (j->fd >= 0)
		(void)close(j->fd);
	for (size_t i = 0; i < j->n_lanes; i++) {
		free(j->lanes[i].ring);
		free(j->lanes[i].omitted);
		buf_release(&j->lanes[i].line);
	}
	free(j->lanes);
	buf_release(&j->out);
	free(j);
}

bool
journal_wants(const struct journal *j, const char *id)
{
	return random_hash(id, strlen(id), 0) >> 1 < j->threshold;
}

size_t
journal_next_omitted(const char **at, const char **name)
{
	*at += strspn(*at, ", ");
	size_t len = strcspn(*at, ",");
	*name = *at;
	*at += len;
	while (len > 0 && (*name)[len - 1] == ' ')
		len--;
	return len;
}

static bool
is_omitted(const struct journal *j, const char *feature)
{
	size_t feature_len = strlen(feature);
	const char *at = j->omit;
	const char *name;

	for (size_t len; (len = journal_next_omitted(&at, &name)) > 0;)
		if ((len == 1 && *name == '*') || (len == feature_len && memcmp(name, feature, len) == 0))
			return true;
	return false;
}

/* {"kind":"…","time":"…","id":"…","model":"…","version":"…","row":0 */
static void
begin_line(struct buf *line, enum kind kind, const char *id, const char *model, const char *version, size_t row)
{
	struct timespec now;
	struct tm utc;

	buf_reset(line);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &utc);
	buf_printf(line, "{\"kind\":\"%s\",\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ\",\"id\":\"%s\"", kind_names[kind],
			   utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000, id);
	buf_printf(line, ",\"model\":\"%s\",\"version\":\"%s\",\"row\":%zu", model, version, row);
}

static void
print_values(struct buf *line, const char *name, const float *values, size_t n)
{
	buf_printf(line, ",\"%s\":%s", name, n == 1 ? "" : "[");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_char(line, ',');
		text_json_float(line, values[i]);
	}
	buf_str(line, n == 1 ? "" : "]");
}

static size_t
ring_room(const struct lane *l)
{
	size_t used = atomic_load_explicit(&l->head, memory_order_relaxed) - atomic_load_explicit(&l->tail.at, memory_order_acquire);

	return JOURNAL_RING_BYTES - used;
}

/* Copies to the ring's place `at`, round its end. */
static void
ring_put(struct lane *l, size_t at, const char *bytes, size_t len)
{
	size_t start = at % JOURNAL_RING_BYTES;
	size_t first = len < JOURNAL_RING_BYTES - start ? len : JOURNAL_RING_BYTES - start;

	memcpy(l->ring + start, bytes, first);
	memcpy(l->ring, bytes + first, len - first);
}

/* Ends the line and gives it to the thread; false where the ring is full. */
static bool
end_line(struct lane *l, enum kind kind)
{
	size_t head = atomic_load_explicit(&l->head, memory_order_relaxed);

	buf_str(&l->line, "}\n");
	if (!buf_ok(&l->line)) {
		count(&l->dropped[REASON_TOO_LONG], 1);
		return true;
	}
	if (l->line.len > ring_room(l))
		return false;
	ring_put(l, head, l->line.data, l->line.len);
	count(&l->lines[kind], 1);
	atomic_store_explicit(&l->head, head + l->line.len, memory_order_release);
	return true;
}

static void
print_features(struct lane *l, const struct journal_answer *a, const float *row)
{
	const char *separator = "";

	buf_str(&l->line, ",\"features\":{");
	for (size_t i = 0; i < a->n_features && buf_ok(&l->line); i++) {
		if (l->omitted[i] != 0)
			continue;
		buf_str(&l->line, separator);
		text_json_string(&l->line, a->features[i], strlen(a->features[i]));
		buf_char(&l->line, ':');
		text_json_float(&l->line, row[i]);
		separator = ",";
	}
	buf_char(&l->line, '}');
}

void
journal_answer(struct journal *j, size_t worker, const struct journal_answer *a)
{
	struct lane *l = &j->lanes[worker];
	size_t n = a->n_rows < JOURNAL_ROWS_MAX ? a->n_rows : JOURNAL_ROWS_MAX;

	if (a->n_features > JOURNAL_FEATURES_MAX) {
		count(&l->dropped[REASON_TOO_LONG], a->n_rows_all);
		return;
	}
	if (a->n_rows_all > n)
		count(&l->dropped[REASON_TOO_MANY_ROWS], a->n_rows_all - n);
	for (size_t i = 0; i < a->n_features; i++)
		l->omitted[i] = is_omitted(j, a->features[i]);
	for (size_t i = 0; i < n; i++) {
		begin_line(&l->line, KIND_PREDICTION, a->id, a->model, a->version, i);
		print_features(l, a, a->rows + i * a->n_features);
		print_values(&l->line, a->margins ? "margin" : "prediction", a->outputs + i * a->width, a->width);
		if (!end_line(l, KIND_PREDICTION)) {
			count(&l->dropped[REASON_FULL], n - i);
			return;
		}
	}
}

void
journal_truth(struct journal *j, size_t worker, const struct journal_truth *t)
{
	struct lane *l = &j->lanes[worker];

	begin_line(&l->line, KIND_FEEDBACK, t->id, t->model, t->version, t->row);
	print_values(&l->line, "actual", t->actual, t->width);
	if (!end_line(l, KIND_FEEDBACK))
		count(&l->dropped[REASON_FULL], 1);
}

/* Counts a failure of which errno tells, and lets the file rest; the log has it once in a while. */
static bool
failed(struct journal *j, enum operation o, uint64_t now_ns)
{
	const char *why = strerror(errno);

	count(&j->errors[o], 1);
	j->retry_ns = now_ns + RETRY_MS * NS_PER_MS;
	if (now_ns >= j->complain_ns) {
		log_message(j->log, LOG_ERROR, "journal_failed",
					"cannot %s the journal %s: %s; lines are kept for a while and then dropped, which futaie_journal_dropped_total "
					"counts: make "
					"room or mend the folder, it is tried again every second",
					operation_names[o], j->path, why);
		j->complain_ns = now_ns + COMPLAIN_MS * NS_PER_MS;
	}
	return false;
}

static void
close_file(struct journal *j)
{
	if (j->fd >= 0)
		(void)close(j->fd);
	j->fd = -1;
}

/* Whether a file's last byte ends a line; of an empty one as well. */
static bool
ends_whole(const char *path, off_t size)
{
	char last = '\n';
	int fd = size > 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	if (fd >= 0) {
		if (pread(fd, &last, 1, size - 1) != 1)
			last = '\n';
		(void)close(fd);
	}
	return last == '\n';
}

/* Opens PATH, whose next line is then the first that was not written whole. */
static bool
open_current(struct journal *j, uint64_t now_ns)
{
	struct stat st;

	j->fd = open_file(j->path);
	if (j->fd < 0 || !is_file(j->fd, &st)) {
		(void)failed(j, OPERATION_OPEN, now_ns);
		close_file(j);
		return false;
	}
	j->size = (uint64_t)st.st_size;
	j->cut = !ends_whole(j->path, st.st_size);
	while (j->written > 0 && j->written < j->out.len && j->out.data[j->written - 1] != '\n')
		j->written--;
	return true;
}

/* Whether PATH is still the file that is open: others may have moved or removed it. */
static bool
is_current(const struct journal *j)
{
	struct stat open_one;
	struct stat named;

	return j->fd >= 0 && fstat(j->fd, &open_one) == 0 && stat(j->path, &named) == 0 && open_one.st_dev == named.st_dev &&
		   open_one.st_ino == named.st_ino;
}

/* The path of a file of the journal, by its number; PATH itself, where that is 0. */
static const char *
numbered(const struct journal *j, size_t number, char path[NUMBERED_MAX])
{
	(void)snprintf(path, NUMBERED_MAX, number == 0 ? "%s" : "%s.%zu", j->path, number);
	return path;
}

/* Renames a file to the next number, or removes the last one; one that is not there is fine. */
static bool
shift(const struct journal *j, size_t number)
{
	char from[NUMBERED_MAX];
	char to[NUMBERED_MAX];
	bool last = number + 1 == j->n_files;

	(void)numbered(j, number, from);
	return (last ? unlink(from) : rename(from, numbered(j, number + 1, to))) == 0 || errno == ENOENT;
}

/* How many files must move for PATH.1 to be free: those in front of the first number that is. */
static size_t
count_shifts(const struct journal *j)
{
	char path[NUMBERED_MAX];
	struct stat st;
	size_t n = 1;

	while (n < j->n_files && lstat(numbered(j, n, path), &st) == 0)
		n++;
	return n;
}

/*
 * PATH becomes PATH.1 and so on; a new one is opened. Nothing is written until that has come off, so the files stay bounded. A try that fails half way
 * leaves a number free, and the next one begins there: however often it is tried, one file is removed.
 */
static bool
rotate(struct journal *j, uint64_t now_ns)
{
	for (size_t number = count_shifts(j); number-- > 0;)
		if (!shift(j, number))
			return failed(j, OPERATION_ROTATE, now_ns);
	close_file(j);
	return open_current(j, now_ns);
}

/* Opens and rotates as needed, so that what is left of `out` may be written. */
static bool
prepare_file(struct journal *j, uint64_t now_ns)
{
	struct stat st;

	if (!is_current(j)) {
		close_file(j);
		if (!open_current(j, now_ns))
			return false;
	}
	if (fstat(j->fd, &st) == 0) /* two processes write it while one takes over from the other */
		j->size = (uint64_t)st.st_size;
	bool between_lines = j->written == 0 || j->out.data[j->written - 1] == '\n';
	if (between_lines && j->size > 0 && j->size + 1 + j->out.len - j->written > j->file_max_bytes)
		return rotate(j, now_ns);
	return true;
}

/* Writes all of `out`; false where the rest must wait. */
static bool
flush(struct journal *j, uint64_t now_ns)
{
	if (now_ns < j->retry_ns || !prepare_file(j, now_ns))
		return false;
	if (j->cut) {
		if (write(j->fd, "\n", 1) != 1)
			return failed(j, OPERATION_WRITE, now_ns);
		j->cut = false;
	}
	while (j->written < j->out.len) {
		ssize_t n = write(j->fd, j->out.data + j->written, j->out.len - j->written);
		if (n <= 0)
			return failed(j, OPERATION_WRITE, now_ns);
		j->written += (size_t)n;
		count(&j->bytes, (uint64_t)n);
	}
	buf_reset(&j->out);
	j->written = 0;
	return true;
}

/* The most bytes of whole lines, at most `room`, of `len` bytes at `tail`, which end with a line. */
static size_t
whole_lines(const struct lane *l, size_t tail, size_t len, size_t room)
{
	if (len <= room)
		return len;
	while (room > 0 && l->ring[(tail + room - 1) % JOURNAL_RING_BYTES] != '\n')
		room--;
	return room;
}

/* Moves whole lines from a ring to `out`; the bytes that had been waiting. */
static size_t
gather(struct journal *j, struct lane *l)
{
	size_t tail = atomic_load_explicit(&l->tail.at, memory_order_relaxed);
	size_t waiting = atomic_load_explicit(&l->head, memory_order_acquire) - tail;
	size_t n = whole_lines(l, tail, waiting, OUT_BYTES - j->out.len);
	size_t start = tail % JOURNAL_RING_BYTES;
	size_t first = n < JOURNAL_RING_BYTES - start ? n : JOURNAL_RING_BYTES - start;

	buf_add(&j->out, l->ring + start, first);
	buf_add(&j->out, l->ring, n - first);
	atomic_store_explicit(&l->tail.at, tail + n, memory_order_release);
	return waiting;
}

/* Takes what lies in the rings to the file, until they are empty or it must wait. True where there is much. */
static bool
drain(struct journal *j)
{
	size_t most = 0;

	for (;;) {
		for (size_t i = 0; i < j->n_lanes && j->written == 0; i++) {
			size_t waiting = gather(j, &j->lanes[i]);
			most = waiting > most ? waiting : most;
		}
		if (j->out.len == 0)
			return most > JOURNAL_RING_BYTES / BUSY_PART;
		if (!flush(j, clock_now_ns()))
			return false;
	}
}

/* Waits until it is time for the next look; false once it is to end. */
static bool
rest(struct journal *j, unsigned ms)
{
	uint64_t until = clock_now_ns() + ms * NS_PER_MS;
	const struct timespec at = {.tv_sec = (time_t)(until / 1000000000U), .tv_nsec = (long)(until % 1000000000U)};

	(void)pthread_mutex_lock(&j->lock);
	if (!j->stopping)
		(void)pthread_cond_timedwait(&j->wake, &j->lock, &at);
	bool going_on = !j->stopping;
	(void)pthread_mutex_unlock(&j->lock);
	return going_on;
}

static void *
run(void *arg)
{
	struct journal *j = arg;

	while (rest(j, drain(j) ? BUSY_POLL_MS : POLL_MS))
		;
	j->retry_ns = 0; /* one last try */
	(void)drain(j);
	return NULL;
}

static uint64_t
sum(const struct journal *j, size_t offset)
{
	uint64_t total = 0;

	for (size_t i = 0; i < j->n_lanes; i++)
		total += atomic_load_explicit((const counter *)(const void *)((const char *)&j->lanes[i] + offset), memory_order_relaxed);
	return total;
}

void
journal_write_metrics(const struct journal *j, struct buf *out)
{
	metrics_head(out, "futaie_journal_lines_total", "counter", "Lines that were given to the journal, by kind.");
	for (size_t i = 0; i < N_KINDS; i++)
		buf_printf(out, "futaie_journal_lines_total{kind=\"%s\"} %" PRIu64 "\n", kind_names[i],
				   sum(j, offsetof(struct lane, lines) + i * sizeof(counter)));
	metrics_head(out, "futaie_journal_dropped_total", "counter", "Lines that the journal has not taken, by reason.");
	for (size_t i = 0; i < N_REASONS; i++)
		buf_printf(out, "futaie_journal_dropped_total{reason=\"%s\"} %" PRIu64 "\n", reason_names[i],
				   sum(j, offsetof(struct lane, dropped) + i * sizeof(counter)));
	metrics_head(out, "futaie_journal_bytes_total", "counter", "Bytes written to the journal's files.");
	buf_printf(out, "futaie_journal_bytes_total %" PRIu64 "\n", atomic_load_explicit(&j->bytes, memory_order_relaxed));
	metrics_head(out, "futaie_journal_errors_total", "counter", "Failures of the journal's files, by what was tried.");
	for (size_t i = 0; i < N_OPERATIONS; i++)
		buf_printf(out, "futaie_journal_errors_total{operation=\"%s\"} %" PRIu64 "\n", operation_names[i],
				   atomic_load_explicit(&j->errors[i], memory_order_relaxed));
}
