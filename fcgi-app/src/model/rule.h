/* rule.h - Gauss-Legendre's rule on 0 … 1 */
#ifndef FUTAIE_RULE_H
#define FUTAIE_RULE_H

#include <stddef.h>

enum { RULE_POINTS_MAX = 128 };

/* The sum over its n points of weight f(x) is the integral of f from 0 to 1 where f is a polynomial of degree 2 n - 1 at most. Points beyond n have no weight. */
struct rule {
	float x[RULE_POINTS_MAX];
	float weight[RULE_POINTS_MAX];
};

/* Of n <= RULE_POINTS_MAX points. */
void rule_init(struct rule *r, size_t n);

#endif
