/* mlflow.h - what the router needs to know of MLflow's scoring protocol */
#ifndef FUTAIE_MLFLOW_H
#define FUTAIE_MLFLOW_H

#include "base/err.h"

/* The name that MLflow has for such a failure: ErrorCode of mlflow/protos/databricks.proto, by the status. A static string. */
const char *mlflow_error_code(enum err code);

#endif
