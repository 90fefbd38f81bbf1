"""client.py - MLflow's own Python client, in its environment: a JSON object a line on standard input, an answer a line on standard output

    python client.py URL
    {"do": "run", "id": "…"}  →  {"ok": {…}}  or  {"error": "…"}
"""
import json
import os
import sys
import tempfile
import traceback

import mlflow
import numpy
import pandas
import xgboost
from mlflow import MlflowClient
from mlflow.models import infer_signature

NAMES = ["sepal length (cm)", "b", "c"]


def bits(values):
    """Of float32, as integers: JSON would say nothing of their last digit."""
    return numpy.asarray(values, dtype="f4").ravel().view("u4").tolist()


def run(client, id):
    found = client.get_run(id)
    metrics = {key: [(point.step, point.value) for point in client.get_metric_history(id, key)] for key in found.data.metrics}

    def files(folder=None):
        for file in client.list_artifacts(id, folder):
            yield from files(file.path) if file.is_dir else [file.path]
    outputs = getattr(found, "outputs", None)
    return {"status": found.info.status, "name": found.info.run_name, "experiment": client.get_experiment(found.info.experiment_id).name,
            "params": found.data.params, "tags": found.data.tags, "metrics": metrics, "artifacts": sorted(files()),
            "ended": found.info.end_time is not None,
            "models": [each.model_id for each in outputs.model_outputs] if outputs else []}


def runs(client, experiment):
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else [each.info.run_id for each in client.search_runs([found.experiment_id])]


def version(client, name, alias=None, number=None):
    found = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
    return {"version": str(found.version), "run": found.run_id, "source": found.source, "status": found.status}


def logged_model(client, id):
    found = client.get_logged_model(id)
    return {"status": str(found.status), "name": found.name, "run": found.source_run_id,
            "artifacts": sorted(file.path for file in client.list_logged_model_artifacts(id))}


def load(client, uri, names, rows):
    """What both of MLflow's loaders make of the rows."""
    frame = pandas.DataFrame(numpy.array(rows, dtype="f8"), columns=names)
    booster = mlflow.xgboost.load_model(uri)
    generic = mlflow.pyfunc.load_model(uri)
    return {"class": f"{type(booster).__module__}.{type(booster).__name__}",
            "xgboost": bits(booster.predict(xgboost.DMatrix(frame))), "pyfunc": bits(generic.predict(frame)),
            "inputs": generic.metadata.signature.inputs.to_dict(), "example": generic.input_example is not None}


def made_up(classes=2):
    random = numpy.random.default_rng(5)
    values = random.normal(size=(300, len(NAMES))).astype("f4")
    score = values[:, 0] + numpy.sin(3 * values[:, 1])
    return pandas.DataFrame(values, columns=NAMES), numpy.digitize(score, numpy.linspace(-0.5, 0.5, classes - 1)), score


def log(client, kind, name, format=None, golden=False, alias=None, named=True):
    """Logs and registers a model of `kind`, and gives back rows with its own Booster's answers for them."""
    frame, classes, score = made_up(3 if kind == "classes" else 2)
    mlflow.set_experiment("python")
    if not named:
        frame.columns = [f"f{i}" for i in range(len(NAMES))]
    if kind == "booster":
        model = booster = xgboost.train({"max_depth": 4, "seed": len(name)}, xgboost.DMatrix(frame, score), 12)
    else:
        model = (xgboost.XGBRegressor if kind == "regressor" else xgboost.XGBClassifier)(n_estimators=9, max_depth=3)
        model.fit(frame, score if kind == "regressor" else classes)
        booster = model.get_booster()
    rows = frame[:20]
    outputs = booster.predict(xgboost.DMatrix(rows))
    with mlflow.start_run() as active:
        mlflow.log_metric("mine", 0.25)
        mlflow.log_param("who", "python")
        options = {"model_format": format} if format else {}
        needs = {"pip_requirements": ["xgboost"]}      # else MLflow spends seconds on finding out
        place = {"name": "model"} if mlflow.__version__ >= "3" else {"artifact_path": "model"}
        if kind == "pickle":
            options = {} if mlflow.__version__ < "3" else {"serialization_format": "cloudpickle"}
            info = mlflow.sklearn.log_model(model, **place, **needs, **options)
        else:
            info = mlflow.xgboost.log_model(model, **place, signature=infer_signature(rows, outputs), input_example=rows[:4], **needs, **options)
        if golden:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "golden.json")
                with open(path, "w", encoding="utf-8") as file:
                    json.dump({"inputs": rows.astype("f8").values.tolist(), "outputs": outputs.astype("f8").tolist()}, file)
                if mlflow.__version__ >= "3":
                    client.log_model_artifact(info.model_id, path)
                else:
                    client.log_artifact(active.info.run_id, path, "model")
    registered = mlflow.register_model(info.model_uri, name)
    if alias:
        client.set_registered_model_alias(name, alias, registered.version)
    return {"version": str(registered.version), "names": list(frame.columns), "rows": rows.astype("f8").values.tolist(), "bits": bits(outputs),
            "run": active.info.run_id, "width": 1 if outputs.ndim == 1 else outputs.shape[1]}


def call(client, method, **arguments):
    """Any method of MlflowClient that gives back nothing of interest."""
    found = getattr(client, method)(**arguments)
    return {"id": found} if isinstance(found, str) else None


ACTIONS = {"run": run, "runs": runs, "version": version, "logged_model": logged_model, "load": load, "log": log, "call": call}


def main():
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)               # MLflow prints on standard output, too
    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            answer = {"ok": ACTIONS[wanted.pop("do")](client, **wanted)}
        except Exception as error:      # whatever it is, the test is told
            traceback.print_exc()
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
