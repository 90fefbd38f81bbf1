/* manifest_write.c - manifest.json of a new version */
#include "model/manifest_write.h"

#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "model/manifest.h"

static void
write_text(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "  \"%s\": ", name);
	text_json_string(out, value, strlen(value));
	buf_str(out, ",\n");
}

static void
write_numbers(struct buf *out, const float *values, size_t n)
{
	buf_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		buf_str(out, i == 0 ? "" : ", ");
		text_json_float(out, values[i]);
	}
	buf_char(out, ']');
}

/* Without the values that a column with nothing in it does not have. */
static void
write_distribution(struct buf *out, const struct distribution *d)
{
	buf_printf(out, "{\"count\": %zu, \"missing\": %zu", d->count, d->missing);
	if (d->count > 0) {
		buf_str(out, ", \"min\": ");
		text_json_float(out, d->min);
		buf_str(out, ", \"max\": ");
		text_json_float(out, d->max);
		buf_str(out, ", \"mean\": ");
		text_json_float(out, d->mean);
		buf_str(out, ", \"deciles\": ");
		write_numbers(out, d->deciles, DISTRIBUTION_DECILES);
	}
	buf_char(out, '}');
}

static void
write_features(struct buf *out, const struct manifest_draft *d)
{
	buf_str(out, "  \"features\": [\n");
	for (size_t i = 0; i < d->n_features; i++) {
		buf_str(out, "    {\"name\": ");
		text_json_string(out, d->names[i], strlen(d->names[i]));
		const char *type = d->types != NULL ? d->types[i] : "float";
		buf_str(out, ", \"type\": ");
		text_json_string(out, type, strlen(type));
		if (d->distributions != NULL) {
			buf_str(out, ",\n     \"distribution\": ");
			write_distribution(out, &d->distributions[i]);
		}
		buf_str(out, i + 1 < d->n_features ? "},\n" : "}\n");
	}
	buf_str(out, "  ],\n");
}

static void
write_target(struct buf *out, const struct manifest_draft *d)
{
	if (d->target != NULL) {
		buf_str(out, "  \"target\": {\"name\": ");
		text_json_string(out, d->target, strlen(d->target));
		buf_str(out, ", \"distribution\": ");
		write_distribution(out, d->target_values);
		buf_str(out, "},\n");
	}
	if (d->predictions != NULL) {
		buf_str(out, "  \"predictions\": {\"distribution\": ");
		write_distribution(out, d->predictions);
		buf_str(out, "},\n");
	}
}

/* A row a line; one output is a plain number. */
static void
write_rows(struct buf *out, const char *name, const float *values, size_t n_rows, size_t width, bool plain)
{
	buf_printf(out, "    \"%s\": [", name);
	for (size_t i = 0; i < n_rows; i++) {
		buf_str(out, i == 0 ? "" : ",");
		buf_str(out, plain ? (i == 0 ? "" : " ") : "\n      ");
		if (plain)
			text_json_float(out, values[i]);
		else
			write_numbers(out, values + i * width, width);
	}
	buf_str(out, plain ? "]" : "\n    ]");
}

static void
write_golden(struct buf *out, const struct manifest_draft *d)
{
	buf_str(out, "  \"golden\": {\n");
	write_rows(out, "inputs", d->golden->in, d->golden->n, d->n_features, false);
	buf_str(out, ",\n");
	write_rows(out, "outputs", d->golden->out, d->golden->n, d->golden->n_outputs, d->golden->n_outputs == 1);
	buf_printf(out, "%s\n  },\n", d->golden->unproven ? ",\n    \"unproven\": true" : "");
}

static void
manifest_write(const struct manifest_draft *d, struct buf *out)
{
	char now[CLOCK_RFC3339];

	buf_str(out, "{\n");
	write_text(out, "name", d->name);
	write_text(out, "version", d->version);
	write_text(out, "created", clock_rfc3339(now));
	write_text(out, "objective", d->objective);
	write_text(out, "model_file", d->model_file);
	write_text(out, "sha256", d->sha256);
	write_text(out, "xgboost_version", d->xgboost_version);
	write_features(out, d);
	write_target(out, d);
	buf_str(out, "  \"metrics\": ");
	buf_str(out, d->metrics);
	if (d->parameters != NULL) {
		buf_str(out, ",\n  \"parameters\": ");
		buf_str(out, d->parameters);
	}
	buf_str(out, ",\n");
	write_golden(out, d);
	buf_str(out, "  \"source\": {\"data_sha256\": ");
	if (d->data_sha256 != NULL)
		text_json_string(out, d->data_sha256, strlen(d->data_sha256));
	else
		buf_str(out, "null");
	buf_str(out, ", \"command\": ");
	text_json_string(out, d->command, strlen(d->command));
	buf_str(out, ", \"mlflow_run\": ");
	if (d->mlflow_run != NULL)
		text_json_string(out, d->mlflow_run, strlen(d->mlflow_run));
	else
		buf_str(out, "null");
	if (d->mlflow != NULL) {
		buf_str(out, ", \"mlflow\": ");
		buf_str(out, d->mlflow);
	}
	buf_str(out, "}\n}\n");
}

enum err
manifest_save(const struct manifest_draft *d, const char *folder, struct err_info *info)
{
	char path[PATH_MAX];
	struct buf text;
	enum err e;

	buf_init(&text, MANIFEST_FILE_MAX);
	manifest_write(d, &text);
	if (!buf_ok(&text))
		e = err_set(info, ERR_FILE, "the manifest would be larger than %d bytes", MANIFEST_FILE_MAX);
	else if (!files_join(path, sizeof path, folder, "manifest.json"))
		e = err_set(info, ERR_FILE, "%.200s: the path is too long", folder);
	else
		e = files_write(path, text.data, text.len, info);
	buf_release(&text);
	return e;
}
