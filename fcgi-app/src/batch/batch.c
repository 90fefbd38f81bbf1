/* batch.c - rows in, predictions out, by several threads and in order */
#include "batch/batch.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "batch/chunks.h"
#include "model/rows.h"

enum {
	SLICE_OUTPUTS = 64 * 1024, /* predicted at once, but for one row of more */
	OUTPUTS_MAX = 1024 * 1024, /* of one row */
	OUT_BYTES = 1024 * 1024,   /* printed at most before they are written */
	LINES_MAX = OUT_BYTES + OUTPUTS_MAX * (TEXT_FLOAT_MAX + 1),
	KEPT_BYTES = 4 * 1024 * 1024, /* a matrix that one long row has made larger is given back */
	ANSWERS_A_THREAD = 2,         /* may be handed over before they are written */
	TICK_NS = 100000000
};

/* What became of one chunk: its lines, or those that are left of them, and how it ended. */
struct answer {
	bool ready;
	struct buf lines;
	size_t rows;
	uint64_t bytes; /* of the input up to the chunk's end */
	enum err e;     /* of the row behind these */
	struct err_info info;
};

/*
 * The threads take chunks in turns, read, predict and print each on their own, and hand the lines over in the answer of the chunk's
 * sequence. Who hands over what is to be written next writes it, and all that others have handed over behind it meanwhile; the others go
 * on with their next chunks, as far ahead as there are answers. `reading` and `writing` are never held together. `reading` is held while a
 * thread waits for input, `writing` not while it waits to write: being `busy` is its right to the descriptor and to the answer of the turn.
 */
struct run {
	const struct batch *b;
	struct rows_header header; /* immutable once the threads run */

	pthread_mutex_t reading;
	struct chunks chunks; /* guarded by reading; chunks_stop() needs no lock */

	pthread_mutex_t writing;
	pthread_cond_t turned; /* the turn, busy, or a failure */
	pthread_cond_t ended;  /* the number of threads */
	/* guarded by writing: */
	uint64_t turn; /* sequence of the chunk to be written next */
	bool busy;     /* a thread writes */
	struct batch_progress done;
	size_t n_running;
	enum err e; /* the first failure in the order of rows: nothing is written any more */
	struct err_info info;
	struct answer *answers; /* of the chunk with the sequence s: answers[s % n_answers] */
	size_t n_answers;
};

/* One thread with its own memory. */
struct worker {
	struct run *run;
	pthread_t thread;
	struct booster_caller caller;
	struct chunk chunk;
	struct rows rows;
	struct buf outputs; /* float32, of a slice */
	struct buf out;     /* lines to be written */
	bool busy;          /* run->busy is its own */
	struct err_info info;
};

static enum err read_header(struct run *run, struct err_info *info);
static enum err answer_all(struct run *run, struct err_info *info);
static void *work(void *arg);

enum err
batch_run(const struct batch *b, struct batch_progress *done, struct err_info *info)
{
	struct run run = {
		.b = b, .reading = PTHREAD_MUTEX_INITIALIZER, .writing = PTHREAD_MUTEX_INITIALIZER, .turned = PTHREAD_COND_INITIALIZER};
	pthread_condattr_t monotonic;

	*done = (struct batch_progress){0};
	enum err e = chunks_init(&run.chunks, b->in_fd, b->in_name, info);
	if (e != ERR_OK)
		return e;
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&run.ended, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	rows_header_init(&run.header);
	e = read_header(&run, info);
	if (e == ERR_OK)
		e = answer_all(&run, info);
	*done = run.done;
	if (e == ERR_OK && run.done.rows == 0)
		e = err_set(info, ERR_NO_ROWS, "%s: there are no rows%s", b->in_name,
					run.chunks.format == CHUNKS_CSV ? " behind the header" : "");
	rows_header_release(&run.header);
	(void)pthread_cond_destroy(&run.ended);
	chunks_release(&run.chunks);
	return e;
}

/* A failure's sentence with the name of the input in front. */
static enum err
name_input(const struct run *run, enum err e, const struct err_info *why, struct err_info *info)
{
	return err_set(info, e, "%.200s: %s", run->b->in_name, why->text);
}

/* The first line of a CSV that is not empty. Its chunks have no part in the sequence. */
static enum err
read_header(struct run *run, struct err_info *info)
{
	struct chunk chunk;
	struct err_info why;
	bool more = true;
	bool found = run->chunks.format != CHUNKS_CSV;
	enum err e = ERR_OK;

	chunk_init(&chunk);
	while (e == ERR_OK && more && !found) {
		e = chunks_row(&run->chunks, &chunk, &more, info);
		if (e == ERR_OK && more) {
			e = rows_header_csv(&run->header, model_features(run->b->model), buf_peek(&chunk.text), chunk.text.len, chunk.line,
								&found, &why);
			if (e != ERR_OK)
				(void)name_input(run, e, &why, info);
		}
	}
	if (e == ERR_OK && !found)
		e = err_set(info, ERR_NO_ROWS, "%s is empty; expected CSV with a header of the features' names, or JSON lines",
					run->b->in_name);
	run->turn = run->chunks.sequence;
	chunk_release(&chunk);
	return e;
}

/* Waits until all threads have ended, and tells of the progress meanwhile. */
static void
watch(struct run *run)
{
	(void)pthread_mutex_lock(&run->writing);
	while (run->n_running > 0) {
		uint64_t wake_ns = clock_now_ns() + TICK_NS;
		const struct timespec until = {.tv_sec = (time_t)(wake_ns / 1000000000U), .tv_nsec = (long)(wake_ns % 1000000000U)};
		int waited = 0;
		while (run->n_running > 0 && waited != ETIMEDOUT)
			waited = run->b->progress == NULL ? pthread_cond_wait(&run->ended, &run->writing)
											  : pthread_cond_timedwait(&run->ended, &run->writing, &until);
		const struct batch_progress now = run->done;
		if (waited == ETIMEDOUT) {
			(void)pthread_mutex_unlock(&run->writing);
			run->b->progress(run->b->progress_arg, &now);
			(void)pthread_mutex_lock(&run->writing);
		}
	}
	(void)pthread_mutex_unlock(&run->writing);
}

/* Starts as many threads as there are to be, or can be, and sees them end. */
static enum err
run_threads(struct run *run, struct worker *workers, struct err_info *info)
{
	size_t n = 0;

	(void)pthread_mutex_lock(&run->writing); /* so that none ends before all are counted */
	for (; n < run->b->n_threads; n++) {
		workers[n].run = run;
		if (pthread_create(&workers[n].thread, NULL, work, &workers[n]) != 0)
			break;
	}
	run->n_running = n;
	(void)pthread_mutex_unlock(&run->writing);
	watch(run);
	for (size_t i = 0; i < n; i++)
		(void)pthread_join(workers[i].thread, NULL);
	if (n == 0)
		return err_set(info, ERR_OUT_OF_MEMORY, "cannot start a thread");
	if (run->e != ERR_OK)
		*info = run->info;
	return run->e;
}

static enum err
answer_all(struct run *run, struct err_info *info)
{
	struct worker *workers = calloc(run->b->n_threads, sizeof *workers);
	enum err e;

	run->n_answers = ANSWERS_A_THREAD * run->b->n_threads;
	run->answers = calloc(run->n_answers, sizeof *run->answers);
	if (workers == NULL || run->answers == NULL) {
		e = err_set(info, ERR_OUT_OF_MEMORY, "no memory for %zu threads", run->b->n_threads);
	} else {
		for (size_t i = 0; i < run->n_answers; i++)
			buf_init(&run->answers[i].lines, LINES_MAX);
		e = run_threads(run, workers, info);
		for (size_t i = 0; i < run->n_answers; i++)
			buf_release(&run->answers[i].lines);
	}
	free(run->answers);
	free(workers);
	return e;
}

/* "1.5", "1.5,2.5"; in JSON "1.5", "[1.5,2.5]". */
static void
print_row(struct buf *out, const float *values, size_t n, bool json)
{
	if (json && n > 1)
		buf_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_char(out, ',');
		if (json || isfinite(values[i]))
			text_json_float(out, values[i]);
		else
			buf_str(out, isnan(values[i]) ? "nan" : values[i] > 0 ? "inf" : "-inf");
	}
	if (json && n > 1)
		buf_char(out, ']');
	buf_char(out, '\n');
}

static enum err
write_all(int fd, const char *p, size_t len, struct err_info *info)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			(void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		} else if (errno != EINTR) {
			return err_set(info, errno == EPIPE ? ERR_CLOSED_PIPE : ERR_FILE, "cannot write the predictions: %s", strerror(errno));
		}
	}
	return ERR_OK;
}

/* The first failure ends the run. `writing` is held. */
static void
fail(struct run *run, enum err e, const struct err_info *info)
{
	if (run->e != ERR_OK)
		return;
	run->e = e;
	run->info = *info;
	chunks_stop(&run->chunks);
	(void)pthread_cond_broadcast(&run->turned);
}

/* Writes the answer of the turn and what is ready behind it. `writing` is held, and the thread is busy. */
static void
write_answers(struct run *run)
{
	struct answer *a;

	while (run->e == ERR_OK && (a = &run->answers[run->turn % run->n_answers])->ready) {
		struct err_info why;
		(void)pthread_mutex_unlock(&run->writing);
		enum err e = write_all(run->b->out_fd, a->lines.data, a->lines.len, &why);
		(void)pthread_mutex_lock(&run->writing);
		buf_reset(&a->lines);
		a->ready = false;
		run->turn++;
		if (e == ERR_OK) {
			run->done.rows += a->rows;
			run->done.bytes = a->bytes;
		}
		if (e != ERR_OK || a->e != ERR_OK)
			fail(run, e != ERR_OK ? e : a->e, e != ERR_OK ? &why : &a->info);
		(void)pthread_cond_broadcast(&run->turned);
	}
}

/* Hands the chunk's lines over, with `e` behind them; false where nothing more is to be done. */
static bool
hand_over(struct worker *w, enum err e)
{
	struct run *run = w->run;

	(void)pthread_mutex_lock(&run->writing);
	while (run->e == ERR_OK && w->chunk.sequence - run->turn >= run->n_answers)
		(void)pthread_cond_wait(&run->turned, &run->writing);
	if (run->e == ERR_OK) {
		struct answer *a = &run->answers[w->chunk.sequence % run->n_answers];
		struct buf empty = a->lines;
		*a = (struct answer){.ready = true, .lines = w->out, .rows = w->rows.n, .bytes = w->chunk.bytes, .e = e};
		if (e != ERR_OK)
			a->info = w->info;
		w->out = empty;
		if (w->busy || !run->busy) {
			run->busy = true;
			write_answers(run);
			run->busy = w->busy = false;
			(void)pthread_cond_broadcast(&run->turned);
		}
	}
	bool more = run->e == ERR_OK && e == ERR_OK;
	(void)pthread_mutex_unlock(&run->writing);
	return more;
}

/*
 * Writes what is printed of a chunk before its end, in its turn, and stays busy. ERR_CLOSED_PIPE, though nobody will hear of it, where a
 * chunk before has failed.
 */
static enum err
flush(struct worker *w)
{
	struct run *run = w->run;

	(void)pthread_mutex_lock(&run->writing);
	while (run->e == ERR_OK && !w->busy && (run->busy || run->turn != w->chunk.sequence))
		(void)pthread_cond_wait(&run->turned, &run->writing);
	enum err e = run->e == ERR_OK ? ERR_OK : err_set(&w->info, ERR_CLOSED_PIPE, "a row before it has failed");
	if (e == ERR_OK)
		run->busy = w->busy = true;
	(void)pthread_mutex_unlock(&run->writing);
	if (e == ERR_OK)
		e = write_all(run->b->out_fd, w->out.data, w->out.len, &w->info);
	buf_reset(&w->out);
	return e;
}

/* Predicts and prints the rows that were read, slice by slice. */
static enum err
answer_rows(struct worker *w)
{
	const struct batch *b = w->run->b;
	size_t width = model_outputs(b->model, b->output);
	size_t n_features = model_features(b->model)->n;
	size_t slice = width < SLICE_OUTPUTS ? SLICE_OUTPUTS / width : 1;

	slice = slice < BOOSTER_CHUNK_ROWS ? slice : BOOSTER_CHUNK_ROWS;
	if (!buf_reserve(&w->outputs, slice * width * sizeof(float)))
		return err_set(&w->info, ERR_OUT_OF_MEMORY, "no memory for %zu outputs a row", width);
	float *outputs = (float *)(void *)w->outputs.data;
	for (size_t row = 0; row < w->rows.n; row += slice) {
		size_t n = w->rows.n - row < slice ? w->rows.n - row : slice;
		enum err e = model_predict(b->model, &w->caller, b->output, rows_values(&w->rows) + row * n_features, n, outputs, &w->info);
		for (size_t i = 0; e == ERR_OK && i < n; i++)
			print_row(&w->out, outputs + i * width, width, b->json);
		if (e == ERR_OK && !buf_ok(&w->out))
			e = err_set(&w->info, ERR_OUT_OF_MEMORY, "no memory for the lines of %zu rows", n);
		if (e == ERR_OK && w->out.len >= OUT_BYTES)
			e = flush(w);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

/* Rows of the chunk into the matrix. On failure the matrix holds those before the wrong one. */
static enum err
read_rows(struct worker *w)
{
	const struct run *run = w->run;
	const struct features *f = model_features(run->b->model);
	const char *text = buf_peek(&w->chunk.text);
	struct err_info why;
	enum err e;

	rows_shrink(&w->rows, KEPT_BYTES);
	if (run->chunks.format == CHUNKS_CSV)
		e = rows_csv_more(&w->rows, f, &run->header, text, w->chunk.text.len, w->chunk.line, &why);
	else
		e = rows_json_lines(&w->rows, f, text, w->chunk.text.len, w->chunk.line, &why);
	return e == ERR_OK ? e : name_input(run, e, &why, &w->info);
}

/* One chunk; `e` is how its reading from the descriptor went. False where this was the last. */
static bool
answer_chunk(struct worker *w, enum err e)
{
	w->rows.n = 0;
	if (e == ERR_OK)
		e = read_rows(w);
	const struct err_info wrong_row = w->info;
	enum err answered = answer_rows(w);
	if (answered != ERR_OK)
		return hand_over(w, answered);
	w->info = wrong_row;
	return hand_over(w, e);
}

static enum err
worker_init(struct worker *w)
{
	chunk_init(&w->chunk);
	rows_init(&w->rows, CHUNKS_MAX, SIZE_MAX);
	buf_init(&w->outputs, OUTPUTS_MAX * sizeof(float));
	buf_init(&w->out, LINES_MAX);
	return booster_caller_init(&w->caller, &w->info);
}

static void
worker_release(struct worker *w)
{
	booster_caller_release(&w->caller);
	buf_release(&w->out);
	buf_release(&w->outputs);
	rows_release(&w->rows);
	chunk_release(&w->chunk);
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct run *run = w->run;
	enum err init = worker_init(w);
	bool more = init == ERR_OK;

	while (more) {
		(void)pthread_mutex_lock(&run->reading);
		enum err e = chunks_next(&run->chunks, &w->chunk, &more, &w->info);
		(void)pthread_mutex_unlock(&run->reading);
		more = more && answer_chunk(w, e);
	}
	worker_release(w);
	(void)pthread_mutex_lock(&run->writing);
	if (init != ERR_OK)
		fail(run, init, &w->info);
	run->n_running--;
	(void)pthread_cond_signal(&run->ended);
	(void)pthread_mutex_unlock(&run->writing);
	return NULL;
}
