/* chart.h - two pictures of a model, as SVG 1.1 */
#ifndef FUTAIE_CHART_H
#define FUTAIE_CHART_H

#include <stddef.h>

#include "base/buf.h"

enum {
	CHART_BARS = 30,     /* most that are drawn; the rest is told in a line */
	CHART_POINTS = 3000, /* most that are drawn: evenly picked */
	CHART_SVG_MAX = 4 << 20
};

/* Horizontal bars, the longest first; `title` stands above them. Values must be finite and not negative. */
void chart_bars(struct buf *svg, const char *title, const char *const *names, const double *values, size_t n);

/* A point for each pair, with the line on which both are the same. Values that are not finite are left out. */
void chart_scatter(struct buf *svg, const char *title, const char *x_name, const char *y_name, const float *x, const float *y,
				   size_t n);

#endif
