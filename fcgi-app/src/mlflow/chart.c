/* chart.c - two pictures of a model, as SVG 1.1 */
#include "mlflow/chart.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum {
	WIDTH = 760,
	MARGIN = 20,
	TITLE = 44, /* height of what stands above */
	BAR = 22,
	LABEL = 210,      /* width of a bar's name */
	NUMBER = 90,      /* of the number behind it */
	LABEL_CHARS = 30, /* that fit into it */
	SIDE = 560,       /* of the square of points */
	AXIS = 70,        /* room for its numbers */
	TICKS = 6
};

#define FONT  "font-family=\"Helvetica,Arial,sans-serif\""
#define INK   "#1f2933"
#define FAINT "#cbd2d9"
#define FILL  "#2f6f4f"

/* A text within an element: what XML does not take becomes U+FFFD. */
static void
write_text(struct buf *svg, const char *text, size_t most)
{
	const char *end = text + strlen(text);
	size_t n = 0;

	for (const char *p = text; p < end; n++) {
		size_t size = text_utf8(p, end);
		if (n == most && p < end) {
			buf_str(svg, "…");
			return;
		}
		if (size == 0 || (unsigned char)*p < ' ')
			buf_str(svg, "\xEF\xBF\xBD");
		else if (*p == '&')
			buf_str(svg, "&amp;");
		else if (*p == '<')
			buf_str(svg, "&lt;");
		else
			buf_add(svg, p, size);
		p += size > 0 ? size : 1;
	}
}

static void
open_svg(struct buf *svg, int width, int height, const char *title)
{
	buf_printf(svg,
			   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" " FONT ">\n"
			   "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n<text x=\"%d\" y=\"28\" font-size=\"16\" "
			   "font-weight=\"bold\" fill=\"" INK "\">",
			   width, height, width, height, MARGIN);
	write_text(svg, title, 80);
	buf_str(svg, "</text>\n");
}

struct bar {
	const char *name;
	double value;
};

static int
compare_bars(const void *a, const void *b)
{
	const struct bar *x = a;
	const struct bar *y = b;

	return x->value < y->value ? 1 : x->value > y->value ? -1 : strcmp(x->name, y->name);
}

static void
draw_bar(struct buf *svg, const struct bar *bar, double most, size_t row)
{
	int top = TITLE + (int)row * BAR;
	double length = most > 0 ? bar->value / most * (WIDTH - 2 * MARGIN - LABEL - NUMBER) : 0;

	buf_printf(svg, "<text x=\"%d\" y=\"%d\" font-size=\"12\" text-anchor=\"end\" fill=\"" INK "\">", MARGIN + LABEL - 8, top + 15);
	write_text(svg, bar->name, LABEL_CHARS);
	buf_printf(svg,
			   "</text><rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"" FILL "\"/>"
			   "<text x=\"%.1f\" y=\"%d\" font-size=\"12\" fill=\"" INK "\">%.4g</text>\n",
			   MARGIN + LABEL, top + 3, length, BAR - 6, MARGIN + LABEL + length + 6, top + 15, bar->value);
}

void
chart_bars(struct buf *svg, const char *title, const char *const *names, const double *values, size_t n)
{
	struct bar *bars = calloc(n + 1, sizeof *bars);
	size_t shown = n < CHART_BARS ? n : CHART_BARS;

	if (bars == NULL) {
		svg->failed = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		bars[i] = (struct bar){.name = names[i], .value = values[i]};
	qsort(bars, n, sizeof *bars, compare_bars);
	open_svg(svg, WIDTH, TITLE + (int)shown * BAR + (shown < n ? BAR : 0) + MARGIN, title);
	for (size_t i = 0; i < shown; i++)
		draw_bar(svg, &bars[i], bars[0].value, i);
	if (shown < n)
		buf_printf(svg, "<text x=\"%d\" y=\"%d\" font-size=\"12\" fill=\"" INK "\">and %zu more features</text>\n", MARGIN + LABEL,
				   TITLE + (int)shown * BAR + 15, n - shown);
	buf_str(svg, "</svg>\n");
	free(bars);
}

/* Both axes are the same, so that the diagonal is where both values are. */
struct axes {
	double low;
	double high;
	double step;
};

/* Bounds of all values, and a round step between the ticks. */
static struct axes
find_axes(const float *x, const float *y, size_t n)
{
	struct axes a = {.low = INFINITY, .high = -INFINITY};

	for (size_t i = 0; i < n; i++) {
		if (!isfinite(x[i]) || !isfinite(y[i]))
			continue;
		a.low = fmin(a.low, fmin((double)x[i], (double)y[i]));
		a.high = fmax(a.high, fmax((double)x[i], (double)y[i]));
	}
	if (!(a.low < a.high)) {
		double at = isfinite(a.low) ? a.low : 0;
		a.low = at - 1;
		a.high = at + 1;
	}
	double rough = (a.high - a.low) / TICKS;
	double power = pow(10, floor(log10(rough)));
	a.step = rough <= power ? power : rough <= 2 * power ? 2 * power : rough <= 5 * power ? 5 * power : 10 * power;
	a.low = floor(a.low / a.step) * a.step;
	a.high = ceil(a.high / a.step) * a.step;
	return a;
}

static double
place(const struct axes *a, double value)
{
	return (value - a->low) / (a->high - a->low) * SIDE;
}

static void
draw_axes(struct buf *svg, const struct axes *a, const char *x_name, const char *y_name)
{
	int steps = (int)lround((a->high - a->low) / a->step);

	for (int i = 0; i <= steps; i++) {
		double value = a->low + i * a->step;
		double at = place(a, value);
		value = fabs(value) < a->step / 1e6 ? 0 : value;
		buf_printf(svg,
				   "<path d=\"M%d %.1fh%dM%.1f %dv%d\" stroke=\"" FAINT
				   "\"/><text x=\"%d\" y=\"%.1f\" font-size=\"12\" text-anchor=\"end\" fill=\"" INK
				   "\">%.6g</text><text x=\"%.1f\" y=\"%d\" font-size=\"12\" text-anchor=\"middle\" fill=\"" INK "\">%.6g</text>\n",
				   AXIS, TITLE + SIDE - at, SIDE, AXIS + at, TITLE, SIDE, AXIS - 8, TITLE + SIDE - at + 4, value, AXIS + at,
				   TITLE + SIDE + 18, value);
	}
	buf_printf(svg, "<path d=\"M%d %dL%d %d\" stroke=\"" INK "\" stroke-dasharray=\"5 4\"/>\n", AXIS, TITLE + SIDE, AXIS + SIDE,
			   TITLE);
	buf_printf(svg, "<text x=\"%d\" y=\"%d\" font-size=\"13\" text-anchor=\"middle\" fill=\"" INK "\">", AXIS + SIDE / 2,
			   TITLE + SIDE + 40);
	write_text(svg, x_name, 60);
	buf_printf(
		svg, "</text>\n<text transform=\"translate(18 %d) rotate(-90)\" font-size=\"13\" text-anchor=\"middle\" fill=\"" INK "\">",
		TITLE + SIDE / 2);
	write_text(svg, y_name, 60);
	buf_str(svg, "</text>\n");
}

void
chart_scatter(struct buf *svg, const char *title, const char *x_name, const char *y_name, const float *x, const float *y, size_t n)
{
	struct axes a = find_axes(x, y, n);
	size_t shown = n < CHART_POINTS ? n : CHART_POINTS;

	open_svg(svg, AXIS + SIDE + 2 * MARGIN, TITLE + SIDE + 60, title);
	draw_axes(svg, &a, x_name, y_name);
	buf_str(svg, "<path fill=\"none\" stroke=\"" FILL "\" stroke-opacity=\"0.5\" stroke-width=\"3\" stroke-linecap=\"round\" d=\"");
	for (size_t k = 0; k < shown; k++) {
		size_t i = (size_t)((uint64_t)k * n / shown);
		if (isfinite(x[i]) && isfinite(y[i]))
			buf_printf(svg, "M%.1f %.1fh0", AXIS + place(&a, (double)x[i]), TITLE + SIDE - place(&a, (double)y[i]));
	}
	buf_str(svg, "\"/>\n</svg>\n");
}
