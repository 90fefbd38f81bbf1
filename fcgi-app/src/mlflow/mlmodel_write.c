/* mlmodel_write.c - the files that make a folder an MLflow model, as MLflow's own XGBoost flavor writes them */
#include "mlflow/mlmodel_write.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

#define PYTHON "3.11"

/* Single quotes, doubled within (YAML 1.1, section 9.1.2); JSON that has no line breaks fits into them. */
static void
write_quoted(struct buf *yaml, struct buf *text)
{
	const char *p = buf_peek(text);

	yaml->failed |= text->failed;
	buf_char(yaml, '\'');
	for (size_t i = 0; i < text->len; i++) {
		if (p[i] == '\'')
			buf_char(yaml, '\'');
		buf_char(yaml, p[i]);
	}
	buf_char(yaml, '\'');
}

static void
write_inputs(const struct mlmodel_draft *d, struct buf *yaml)
{
	struct buf json;

	buf_init(&json, MLMODEL_WRITE_MAX);
	buf_char(&json, '[');
	for (size_t i = 0; i < d->n_features; i++) {
		buf_str(&json, i == 0 ? "{\"type\": \"double\", \"name\": " : ", {\"type\": \"double\", \"name\": ");
		text_json_string(&json, d->names[i], strlen(d->names[i]));
		buf_str(&json, ", \"required\": true}");
	}
	buf_char(&json, ']');
	write_quoted(yaml, &json);
	buf_release(&json);
}

static const char *
now(char out[40])
{
	struct timespec at;
	struct tm utc = {0};
	char seconds[20];

	(void)clock_gettime(CLOCK_REALTIME, &at);
	(void)gmtime_r(&at.tv_sec, &utc);
	(void)strftime(seconds, sizeof seconds, "%Y-%m-%d %H:%M:%S", &utc);
	(void)snprintf(out, 40, "%s.%06d", seconds, (int)(at.tv_nsec / 1000) % 1000000);
	return out;
}

static void
write_line(struct buf *yaml, const char *name, const char *value)
{
	struct buf text;

	buf_init(&text, MLMODEL_WRITE_MAX);
	buf_str(&text, value);
	buf_str(yaml, name);
	buf_str(yaml, ": ");
	write_quoted(yaml, &text);
	buf_char(yaml, '\n');
	buf_release(&text);
}

void
mlmodel_write(const struct mlmodel_draft *d, struct buf *yaml)
{
	char time[40];

	write_line(yaml, "artifact_path", d->artifact_path);
	buf_str(yaml, "flavors:\n  python_function:\n");
	write_line(yaml, "    data", d->data);
	buf_str(yaml, "    env:\n      conda: conda.yaml\n      virtualenv: python_env.yaml\n"
				  "    loader_module: mlflow.xgboost\n    python_version: '" PYTHON "'\n  xgboost:\n    code: null\n");
	write_line(yaml, "    data", d->data);
	buf_str(yaml, "    model_class: xgboost.core.Booster\n    model_format: ubj\n");
	write_line(yaml, "    xgb_version", d->xgboost);
	write_line(yaml, "mlflow_version", d->mlflow);
	if (d->model_id[0] != '\0')
		write_line(yaml, "model_id", d->model_id);
	buf_printf(yaml, "model_size_bytes: %zu\n", d->data_bytes);
	write_line(yaml, "model_uuid", d->model_id[0] != '\0' ? d->model_id : d->uuid);
	write_line(yaml, "run_id", d->run);
	buf_str(yaml, "saved_input_example_info:\n  artifact_path: " MLMODEL_EXAMPLE
				  "\n  pandas_orient: split\n  serving_input_path: " MLMODEL_SERVING_EXAMPLE
				  "\n  type: dataframe\nsignature:\n  inputs: ");
	write_inputs(d, yaml);
	buf_str(yaml, "\n  outputs: '[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"float32\", \"shape\": [-1");
	if (d->n_outputs > 1)
		buf_printf(yaml, ", %zu", d->n_outputs);
	buf_str(yaml, "]}}]'\n  params: null\n");
	write_line(yaml, "utc_time_created", now(time));
}

static void
write_member(struct buf *json, const char *name, const char *value)
{
	buf_str(json, name);
	text_json_string(json, value, strlen(value));
}

void
mlmodel_write_note(const struct mlmodel_draft *d, struct buf *json)
{
	char time[40];

	write_member(json, "{\"run_id\":", d->run);
	write_member(json, ",\"artifact_path\":", d->artifact_path);
	write_member(json, ",\"utc_time_created\":", now(time));
	write_member(json, ",\"model_uuid\":", d->uuid);
	write_member(json, ",\"mlflow_version\":", d->mlflow);
	write_member(
		json, ",\"flavors\":{\"python_function\":{\"loader_module\":\"mlflow.xgboost\",\"python_version\":\"" PYTHON "\",\"data\":",
		d->data);
	write_member(
		json, ",\"env\":{\"conda\":\"conda.yaml\",\"virtualenv\":\"python_env.yaml\"}},\"xgboost\":{\"xgb_version\":", d->xgboost);
	write_member(json, ",\"data\":", d->data);
	buf_str(json, ",\"model_class\":\"xgboost.core.Booster\",\"model_format\":\"ubj\",\"code\":null}}}");
}

/* XGBoost loads the files of older ones. */
void
mlmodel_write_requirements(const struct mlmodel_draft *d, struct buf *text)
{
	buf_printf(text, "mlflow==%s\nxgboost>=%s\nnumpy\npandas\nscipy\n", d->mlflow, d->xgboost);
}

void
mlmodel_write_conda(const struct mlmodel_draft *d, struct buf *yaml)
{
	buf_printf(yaml,
			   "channels:\n- conda-forge\ndependencies:\n- python=" PYTHON
			   "\n- pip\n- pip:\n  - mlflow==%s\n  - xgboost>=%s\n  - numpy\n  - pandas\n"
			   "  - scipy\nname: mlflow-env\n",
			   d->mlflow, d->xgboost);
}

void
mlmodel_write_python_env(struct buf *yaml)
{
	buf_str(yaml,
			"python: '" PYTHON "'\nbuild_dependencies:\n- pip\n- setuptools\n- wheel\ndependencies:\n- -r requirements.txt\n");
}

void
mlmodel_write_example(const struct mlmodel_draft *d, bool serving, struct buf *json)
{
	buf_str(json, serving ? "{\"dataframe_split\": {\"columns\": [" : "{\"columns\": [");
	for (size_t i = 0; i < d->n_features; i++) {
		buf_str(json, i == 0 ? "" : ", ");
		text_json_string(json, d->names[i], strlen(d->names[i]));
	}
	buf_str(json, "], \"data\": [");
	for (size_t row = 0; row < d->n_example; row++) {
		for (size_t i = 0; i < d->n_features; i++) {
			buf_str(json, i > 0 ? ", " : row == 0 ? "[" : ", [");
			text_json_float(json, d->example[row * d->n_features + i]);
		}
		buf_char(json, ']');
	}
	buf_str(json, serving ? "]}}" : "]}");
}
