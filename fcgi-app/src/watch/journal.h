/* journal.h - a sample of what was asked and answered, as JSON lines in files that are bounded */
#ifndef FUTAIE_JOURNAL_H
#define FUTAIE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

/*
 * How it works: each worker prints its lines into a ring of its own (one writer, one reader, whole lines; all memory is there from the start), and one
 * thread takes them from there to the file, twenty times a second and more often where there is much. A worker never waits, allocates or enters the
 * kernel for it: where a ring is full, for a disk that is slow or full, lines are dropped and counted. Nothing is forced to the disk.
 *
 * A line is of one row of one answer, or of one truth; docs/feedback.md has the form of both. Which answers are in the sample is decided by their id
 * alone, so that the truth that comes later is where its answer is, also after a restart and on another server.
 *
 * The file is PATH; once it would grow beyond `file_max_bytes` it becomes PATH.1, that one PATH.2 and so on, and what would be more than `n_files` is
 * removed. A file that was moved or removed by others is made anew. A line that a crash cut off is ended before the next one.
 */
struct journal;

enum {
	JOURNAL_ROWS_MAX = 100,           /* of one answer; further ones are dropped */
	JOURNAL_LINE_MAX = 64 * 1024,     /* bytes; a longer one is dropped */
	JOURNAL_RING_BYTES = 1024 * 1024, /* a worker */
	JOURNAL_FILE_MIN = 1024 * 1024,   /* least file_max_bytes */
	JOURNAL_FILES_MAX = 1000,         /* most n_files */
	JOURNAL_OMIT_MAX = 4096,          /* bytes of journal_options.omit, with the NUL */
	JOURNAL_FEATURES_MAX = 32 * 1024  /* a model with more has lines that are too long in any case */
};

struct journal_options {
	const char *path;
	double share;     /* of the answers, 0 to 1 */
	const char *omit; /* features that are left out: "A,B", or "*" for all; borrowed */
	uint64_t file_max_bytes;
	size_t n_files; /* with the one that is written; at least 1 */
	size_t n_workers;
	const struct log *log; /* borrowed */
};

/* What the journal gets to know of one answer; borrowed for the call. */
struct journal_answer {
	const char *id;
	const char *model;
	const char *version;
	const char *const *features; /* names */
	size_t n_features;
	const float *rows;    /* n_rows x n_features, NaN for missing */
	size_t n_rows;        /* those that are given here, of … */
	size_t n_rows_all;    /* … so many of the request */
	const float *outputs; /* n_rows x width */
	size_t width;
	bool margins;
};

/* What the journal gets to know of the truth about one row; borrowed for the call. */
struct journal_truth {
	const char *id;
	const char *model;
	const char *version;
	size_t row;
	const float *actual; /* NaN: not known */
	size_t width;
};

/* Opens the file, and starts the thread with all signals blocked. ERR_FILE with a sentence where the file cannot be written. */
enum err journal_open(const struct journal_options *options, struct journal **out, struct err_info *info);

/* Writes what is left, as far as that can be written, and ends the thread. No worker may be in it. NULL is fine. */
void journal_free(struct journal *j);

/* Checks without a thread: ERR_FILE where the file could not be written; it is made where it is not there. */
enum err journal_check(const char *path, struct err_info *info);

/* Whether answers with that id are in the sample. Any thread. */
bool journal_wants(const struct journal *j, const char *id);

/* Only by that worker. */
void journal_answer(struct journal *j, size_t worker, const struct journal_answer *a);
void journal_truth(struct journal *j, size_t worker, const struct journal_truth *t);

/* Walks over the names in journal_options.omit: the length of the next one, whose start is put into `*name`; 0 behind the last. */
size_t journal_next_omitted(const char **at, const char **name);

/* Appends futaie_journal_lines_total, _dropped_total, _bytes_total and _errors_total. */
void journal_write_metrics(const struct journal *j, struct buf *out);

#endif
