/* splits.h - the distinct splits of a forest's nodes: what ranks and verdicts are made of */
#ifndef FUTAIE_SPLITS_H
#define FUTAIE_SPLITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/forest_nodes.h"

#define SPLITS_NONE UINT32_MAX

/* A column and a number that some node compares it with. */
struct node_split {
	uint32_t column;
	float value;
};

/* Of the plain trees, those without categories. Needed only while ranks and verdicts are made. */
struct splits {
	struct node_split *all; /* owned; each once, by column and value */
	size_t n;
	uint32_t *
		of_node; /* owned; the place in `all` of each of the forest's nodes; SPLITS_NONE for leaves and for trees that are not plain */
	bool *plain; /* owned; of each tree */
};

/* Source: the forest's arrays, borrowed during the call. */
enum err splits_init(struct splits *s, const struct forest_view *forest, struct err_info *info);
/* Where the splits of the column of split i end. */
size_t splits_column_end(const struct splits *s, size_t i);

void splits_release(struct splits *s);

#endif
