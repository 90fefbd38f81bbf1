/* progress.c - a progress bar on a terminal */
#include "batch/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR_MIN = 8, BAR_MAX = 40, COLUMNS_UNKNOWN = 80 };

static size_t terminal_columns(int fd);
static void write_line(struct progress *p, const char *line, size_t len, const char *end);

void
progress_init(struct progress *p, int fd, uint64_t total)
{
	*p = (struct progress){.fd = fd, .total = total, .started_ns = clock_now_ns()};
}

static void
show(struct progress *p, const struct batch_progress *now, const char *end)
{
	char line[PROGRESS_LINE_MAX];
	size_t len = progress_line(line, sizeof line, terminal_columns(p->fd), p->total, now, clock_now_ns() - p->started_ns);

	write_line(p, line, len, end);
}

void
progress_show(struct progress *p, const struct batch_progress *now)
{
	show(p, now, "");
}

void
progress_finish(struct progress *p, const struct batch_progress *now)
{
	show(p, now, "\n");
	p->shown = 0;
}

void
progress_erase(struct progress *p)
{
	if (p->shown > 0)
		write_line(p, "", 0, "\r");
}

/* "1,234,567" */
static const char *
grouped(uint64_t n, char out[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
	size_t to = 0;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[to++] = ',';
		out[to++] = digits[i];
	}
	out[to] = '\0';
	return out;
}

/* "2 s", "1:05", "2:01:05" */
static const char *
duration(double seconds, char out[32])
{
	uint64_t s = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 1000000000U;

	if (s < 60)
		(void)snprintf(out, 32, "%u s", (unsigned)s);
	else if (s < 3600)
		(void)snprintf(out, 32, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
	else
		(void)snprintf(out, 32, "%u:%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	return out;
}

/* What stands behind the bar: "450,000 rows  310,000 rows/s  2 s left", or "in 3 s" at the end. */
static void
describe(char *out, size_t cap, double share, const struct batch_progress *now, double seconds)
{
	char rows[32];
	char rate[32];
	char left[32];

	(void)grouped(now->rows, rows);
	(void)grouped(seconds > 0 ? (uint64_t)((double)now->rows / seconds) : 0, rate);
	if (share >= 1)
		(void)snprintf(out, cap, "%s rows  %s rows/s  in %s", rows, rate, duration(seconds, left));
	else if (share > 0)
		(void)snprintf(out, cap, "%s rows  %s rows/s  %s left", rows, rate, duration(seconds / share - seconds, left));
	else
		(void)snprintf(out, cap, "%s rows", rows);
}

size_t
progress_line(char *out, size_t cap, size_t columns, uint64_t total, const struct batch_progress *now, uint64_t elapsed_ns)
{
	double share = now->bytes < total ? (double)now->bytes / (double)total : 1;
	char text[160];
	char bar[BAR_MAX + 1];
	size_t len;

	describe(text, sizeof text, share, now, (double)elapsed_ns / 1e9);
	size_t others = strlen("100% [] ") + strlen(text) + 1;
	size_t width = columns > others ? columns - others : 0;
	width = width > BAR_MAX ? BAR_MAX : width;
	size_t full = (size_t)(share * (double)width);
	memset(bar, '=', full);
	memset(bar + full, ' ', width - full);
	if (full < width)
		bar[full] = '>';
	bar[width] = '\0';
	if (width >= BAR_MIN)
		len = (size_t)snprintf(out, cap, "%3d%% [%s] %s", (int)(share * 100), bar, text);
	else
		len = (size_t)snprintf(out, cap, "%3d%% %s", (int)(share * 100), text);
	len = len < columns ? len : columns > 0 ? columns - 1 : 0;
	out[len] = '\0';
	return len;
}

static size_t
terminal_columns(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return COLUMNS_UNKNOWN;
	return size.ws_col < PROGRESS_LINE_MAX ? size.ws_col : PROGRESS_LINE_MAX - 1;
}

/* In one write, with blanks over what a longer line before has left. What a terminal does not take is no failure. */
static void
write_line(struct progress *p, const char *line, size_t len, const char *end)
{
	char all[2 * PROGRESS_LINE_MAX];
	int blanks = p->shown > len ? (int)(p->shown - len) : 0;
	int n = snprintf(all, sizeof all, "\r%s%*s%s", line, blanks, "", end);

	if (n > 0 && write(p->fd, all, (size_t)n) == n)
		p->shown = len;
}
