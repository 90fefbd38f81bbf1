/* parallel.c - many rows through a forest, on several threads */
#include "model/parallel.h"

#include "base/spread.h"

struct job {
	const struct forest *f;
	enum booster_output output;
	const float *rows;
	size_t n_rows;
	size_t n_features;
	size_t width;
	float *out;
};

static void
predict_part(void *context, size_t part)
{
	const struct job *job = context;
	size_t first = part * PARALLEL_ROWS;
	size_t n = job->n_rows - first < PARALLEL_ROWS ? job->n_rows - first : PARALLEL_ROWS;

	forest_predict(job->f, job->output, job->rows + first * job->n_features, n, job->out + first * job->width);
}

void
parallel_predict(const struct forest *f, size_t n_threads, enum booster_output output, const float *rows, size_t n_rows, float *out)
{
	const struct booster_shape *shape = forest_shape(f);
	struct job job = {.f = f,
					  .output = output,
					  .rows = rows,
					  .n_rows = n_rows,
					  .n_features = shape->n_features,
					  .width = output == BOOSTER_MARGIN ? shape->n_margins : shape->n_values};

	job.out = out;
	spread_run(n_threads, (n_rows + PARALLEL_ROWS - 1) / PARALLEL_ROWS, predict_part, &job);
}
