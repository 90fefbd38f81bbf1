/* rule.c - Gauss-Legendre's rule on 0 … 1 */
#include "model/rule.h"

#include <math.h>

/* The roots of the Legendre polynomial of degree n by Newton's method from Chebyshev's guess (Abramowitz and Stegun, 25.4.29). */
void
rule_init(struct rule *r, size_t n)
{
	*r = (struct rule){0};
	for (size_t i = 0; i < n; i++) {
		double x = cos(acos(-1.0) * ((double)i + 0.75) / ((double)n + 0.5));
		double slope = 1;
		for (int steps = 0; steps < 100; steps++) {
			double before = 0;
			double now = 1;
			for (size_t k = 0; k < n; k++) {
				double next = ((2.0 * (double)k + 1) * x * now - (double)k * before) / ((double)k + 1);
				before = now;
				now = next;
			}
			slope = (double)n * (x * now - before) / (x * x - 1);
			double step = now / slope;
			x -= step;
			if (fabs(step) < 1e-15)
				break;
		}
		r->x[i] = (float)((1 + x) / 2);
		r->weight[i] = (float)(1 / ((1 - x * x) * slope * slope));
	}
}
