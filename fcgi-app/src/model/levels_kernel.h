/* levels_kernel.h - one row through a bundle of trees; levels.c includes it once for each set of instructions */

/*
 * Of the includer: TARGET, the attribute that names the instructions; NAMED(x), the function's name; LANES, the numbers of a vector; the types FLOATS, INTS, MASK (a
 * truth for each lane) and SHAPE (LANES bits, ready for what follows); SHAPE_OF(bits); PACK(to, shape, v), the lanes of the shape's bits side by side into memory, and PACK_INTS; UNPACK(shape, from),
 * from memory back to their lanes, 0 in others; LOAD, STORE, SPLAT, ADD, SUB, MUL, DIV of floats and MULADD(a, b, c), a b + c; LOAD_INTS, LOAD_BITS (uint16_t) of
 * integers; TEST(a, b), the lanes where they share bits; RIGHT(cells, splits, bits), the lanes that go right, with the bits of those that do
 * where the cell is missing; AND and AND_NOT(a, b), a without b, of masks; KEEP(mask, v), 0 elsewhere; and CLEAR(mask, v, bits), v without the bits in those lanes.
 */

enum { NAMED(PARTS) = LEVELS_NODES / LANES };

/* LANES of a strip's nodes: what the row follows, of their features and of the edges to their children, and where those that are no leaves lie. */
struct NAMED(part) {
	MASK before;
	MASK left;
	MASK right;
	SHAPE lefts;
	SHAPE rights;
	size_t to_left;
	size_t to_right;
};

static inline TARGET __attribute__((always_inline)) void
NAMED(place_children)(const struct strip *s, struct NAMED(part) * parts)
{
	size_t to = s->children;

	for (size_t i = 0; i < NAMED(PARTS); i++) {
		parts[i].lefts = SHAPE_OF(s->inner_left >> i * LANES);
		parts[i].to_left = to;
		to += COUNT(s->inner_left >> i * LANES);
	}
	for (size_t i = 0; i < NAMED(PARTS); i++) {
		parts[i].rights = SHAPE_OF(s->inner_right >> i * LANES);
		parts[i].to_right = to;
		to += COUNT(s->inner_right >> i * LANES);
	}
}

static inline TARGET __attribute__((always_inline)) void
NAMED(ask)(const struct bundle_walk *w, const struct strip *s, size_t node, size_t at, struct NAMED(part) * p)
{
	MASK goes_right = RIGHT(LOAD(w->cells + node + at), LOAD(s->split + at), s->default_right >> at);

	p->before = TEST(LOAD_INTS(w->state + node + at), LOAD_BITS(s->bit + at));
	p->left = AND_NOT(p->before, goes_right);
	p->right = AND(p->before, goes_right);
}

/* The states of the children: a feature that the row does not follow to them is followed no more. */
static inline TARGET __attribute__((always_inline)) void
NAMED(pass_states)(const struct bundle_walk *w, const struct strip *s, size_t node, const struct NAMED(part) * parts)
{
	INTS rest[NAMED(PARTS)];

	for (size_t i = 0; i < NAMED(PARTS); i++) {
		INTS state = LOAD_INTS(w->state + node + i * LANES);
		INTS bits = LOAD_BITS(s->bit + i * LANES);
		PACK_INTS(w->state + parts[i].to_left, parts[i].lefts, CLEAR(parts[i].right, state, bits));
		rest[i] = CLEAR(parts[i].left, state, bits);
	}
	for (size_t i = 0; i < NAMED(PARTS); i++)
		PACK_INTS(w->state + parts[i].to_right, parts[i].rights, rest[i]);
}

/* At one point of the rule the products of the children; what the nodes' own are good for from here on takes their place. */
static inline TARGET __attribute__((always_inline)) void
NAMED(pass_products)(const struct bundle_walk *w, const struct strip *s, size_t node, const struct NAMED(part) * parts,
					 bool has_children, size_t point)
{
	float *products = w->products + point * w->stride;
	float *ratios = w->ratios + 2 * point * w->stride + 2 * node;
	FLOATS x = SPLAT(w->rule->x[point]);
	FLOATS other = SPLAT(1 - w->rule->x[point]);
	FLOATS weight = SPLAT(w->rule->weight[point]);
	FLOATS rest[NAMED(PARTS)];

	for (size_t i = 0; i < NAMED(PARTS); i++) {
		size_t at = i * LANES;
		const struct NAMED(part) *p = &parts[i];
		FLOATS product = LOAD(products + node + at);
		FLOATS over = DIV(SPLAT(1), MULADD(LOAD(s->zero + at), other, KEEP(p->before, x)));
		FLOATS left = MUL(MULADD(LOAD(s->zero_left + at), other, KEEP(p->left, x)), over);
		FLOATS right = MUL(MULADD(LOAD(s->zero_right + at), other, KEEP(p->right, x)), over);
		STORE(ratios + 2 * at, left);
		STORE(ratios + 2 * at + LANES, right);
		STORE(products + node + at, MUL(MUL(product, over), weight));
		if (has_children)
			PACK(products + p->to_left, p->lefts, MUL(product, left));
		rest[i] = MUL(product, right);
	}
	for (size_t i = 0; has_children && i < NAMED(PARTS); i++)
		PACK(products + parts[i].to_right, parts[i].rights, rest[i]);
}

static inline TARGET __attribute__((always_inline)) void
NAMED(go_down)(const struct bundle_walk *w, const struct strip *s, size_t node)
{
	const bool has_children = (s->inner_left | s->inner_right) != 0;
	struct NAMED(part) parts[NAMED(PARTS)];

	NAMED(place_children)(s, parts);
	for (size_t i = 0; i < NAMED(PARTS); i++)
		NAMED(ask)(w, s, node, i * LANES, &parts[i]);
	if (has_children)
		NAMED(pass_states)(w, s, node, parts);
	for (size_t point = 0; point < w->n_points; point++)
		NAMED(pass_products)(w, s, node, parts, has_children, point);
}

/* What is below some of a strip's nodes takes the place of their products, and what their features get that of the cells. */
static inline TARGET __attribute__((always_inline)) void
NAMED(add_up)(const struct bundle_walk *w, const struct strip *s, size_t node, size_t at, const struct NAMED(part) * p)
{
	FLOATS by_node = SUB(LOAD(s->zero + at), KEEP(p->before, SPLAT(1)));
	FLOATS by_left = SUB(KEEP(p->left, SPLAT(1)), LOAD(s->zero_left + at));
	FLOATS by_right = SUB(KEEP(p->right, SPLAT(1)), LOAD(s->zero_right + at));
	FLOATS found = SPLAT(0);

	for (size_t point = 0; point < w->n_points; point++) {
		float *below = w->products + point * w->stride;
		const float *ratios = w->ratios + 2 * point * w->stride + 2 * (node + at);
		FLOATS left = ADD(UNPACK(p->lefts, below + p->to_left), LOAD(s->leaf_left + at));
		FLOATS right = ADD(UNPACK(p->rights, below + p->to_right), LOAD(s->leaf_right + at));
		FLOATS sum = MULADD(LOAD(ratios), left, MUL(LOAD(ratios + LANES), right));
		FLOATS added = MULADD(by_left, left, MULADD(by_right, right, MUL(by_node, sum)));
		found = MULADD(LOAD(below + node + at), added, found);
		STORE(below + node + at, sum);
	}
	STORE(w->cells + node + at, found);
}

static inline TARGET __attribute__((always_inline)) void
NAMED(come_up)(const struct bundle_walk *w, const struct strip *s, size_t node)
{
	struct NAMED(part) parts[NAMED(PARTS)];

	NAMED(place_children)(s, parts);
	for (size_t i = 0; i < NAMED(PARTS); i++) {
		NAMED(ask)(w, s, node, i * LANES, &parts[i]);
		NAMED(add_up)(w, s, node, i * LANES, &parts[i]);
	}
}

static TARGET void
NAMED(walk)(const struct bundle_walk *walk, const struct strip *strips, size_t n)
{
	const struct bundle_walk w = *walk; /* in registers, since no store can change it */

	for (size_t i = 0; i < n; i++)
		NAMED(go_down)(&w, &strips[i], i * LEVELS_NODES);
	for (size_t i = n; i-- > 0;)
		NAMED(come_up)(&w, &strips[i], i * LEVELS_NODES);
}

#undef TARGET
#undef NAMED
#undef LANES
#undef FLOATS
#undef INTS
#undef MASK
#undef SHAPE
#undef SHAPE_OF
#undef COUNT
#undef PACK
#undef PACK_INTS
#undef UNPACK
#undef LOAD
#undef STORE
#undef SPLAT
#undef ADD
#undef SUB
#undef MUL
#undef DIV
#undef MULADD
#undef LOAD_INTS
#undef LOAD_BITS
#undef TEST
#undef RIGHT
#undef AND
#undef AND_NOT
#undef KEEP
#undef CLEAR
