/* ranks_kernel.h - a tree's nodes for all rows of a block; ranks.c includes it once for each set of instructions */

/*
 * Of the includer: TARGET, the attribute that names the instructions; NAMED(x), the function's name; VECTOR and its LOAD, STORE and SPLAT (of
 * a byte); ABOVE(a, b), the bytes where a > b; TWIG(odd, left), odd, less 1 where left; and PICK(right, l, left), l where left.
 */

/* len is a multiple of the vector's size. Two nodes' results may be the same slot: each is read for the last time before it is written. */
static inline TARGET __attribute__((always_inline)) void
NAMED(ask_nodes)(const struct ranks *r, const struct ranked_tree *t, struct ranks_block *block, size_t len)
{
	const struct twig *twigs = r->twigs + t->first_twig;
	const struct branch *branches = r->branches + t->first_branch;

	for (size_t i = 0; i < t->n_twigs; i++) {
		const signed char *plane = block->planes[twigs[i].plane];
		VECTOR rank = SPLAT(twigs[i].rank);
		VECTOR odd = SPLAT((char)(2 * i + 1));
		for (size_t at = 0; at < len; at += sizeof(VECTOR))
			STORE(block->slots[i] + at, TWIG(odd, ABOVE(rank, LOAD(plane + at))));
	}
	for (size_t i = 0; i < t->n_lone; i++) {
		VECTOR leaf = SPLAT((char)((size_t)2 * t->n_twigs + i));
		for (size_t at = 0; at < len; at += sizeof(VECTOR))
			STORE(block->slots[t->n_twigs + i] + at, leaf);
	}
	for (size_t i = 0; i < t->n_branches; i++) {
		const signed char *plane = block->planes[branches[i].plane];
		signed char *left = block->slots[branches[i].left];
		const signed char *right = block->slots[branches[i].right];
		VECTOR rank = SPLAT(branches[i].rank);
		for (size_t at = 0; at < len; at += sizeof(VECTOR))
			STORE(left + at, PICK(LOAD(right + at), LOAD(left + at), ABOVE(rank, LOAD(plane + at))));
	}
}

static TARGET void
NAMED(add_tree)(const struct ranks *r, const struct ranked_tree *t, size_t n_rows, struct ranks_block *block, float *sums)
{
	const float *leaves = r->leaves + t->first_leaf;
	const unsigned char *reached = (const unsigned char *)block->slots[t->root];

	if (n_rows == RANKS_ROWS)
		NAMED(ask_nodes)(r, t, block, RANKS_ROWS);
	else
		NAMED(ask_nodes)(r, t, block, (n_rows + sizeof(VECTOR) - 1) / sizeof(VECTOR) * sizeof(VECTOR));
	for (size_t i = 0; i < n_rows; i++)
		sums[i] += leaves[reached[i]];
}
