"""test_runs.py - futaie train --mlflow against real servers: what MLflow's own client finds there, and what happens when the server fails"""
import hashlib
import json
import os
import re
import signal
import subprocess
import time

import pytest

import rows
import server
from lib import commands, models, need, stack

SECRET = "s3cret-Pa55"
TOKEN = "t0ken-0f-mine"


@pytest.fixture(scope="module")
def data():
    return rows.write(rows.made_up())


@pytest.fixture
def store():
    return models.Store()


@pytest.fixture(scope="module")
def logged(mlflow, data):
    """A training with a server that does nothing wrong."""
    kept = models.Store()
    run = rows.train(kept, data, mlflow.url, *rows.QUICK, "--mlflow-experiment", "all is well", "--mlflow-alias", "challenger",
                     "--param", "eval_metric=mae")
    assert run.returncode == 0, run
    return kept, run, mlflow.ask("run", id=rows.run_id(run.stderr))


@pytest.mark.limit(180)
def test_the_run_is_there(mlflow, logged, data):
    """MLflow's client finds the run: finished, named after the version, with parameters and tags"""
    store, _, run = logged
    assert (run["status"], run["name"], run["experiment"], run["ended"]) == ("FINISHED", "house/1", "all is well", True), run
    wanted = {"data": "rows.csv", "rows": "400", "target": rows.TARGET, "max_depth": "3", "num_boost_round": "30", "seed": "3", "eval_metric": "mae",
              "objective": "reg:squarederror", "nthread": "1", "test": "0.2"}
    assert {name: run["params"].get(name) for name in wanted} == wanted
    tags = run["tags"]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    assert commit.returncode != 0 or tags["mlflow.source.git.commit"] == commit.stdout.strip()
    assert tags["futaie.data_sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert tags["mlflow.user"] and tags["mlflow.source.name"] == "futaie train", tags
    assert (tags["futaie.model"], tags["futaie.model_version"]) == ("house", "1")
    assert "futaie.failure" not in tags
    assert rows.manifest(store, "house", "1")["source"]["mlflow_run"] == rows.run_id(logged[1].stderr)


def test_metrics_of_each_round(logged):
    """Both parts' metrics are there for every round, once, and the final ones are the manifest's"""
    store, _, run = logged
    for part in ("train", "validation"):
        points = run["metrics"][f"{part}-mae"]
        assert [step for step, _ in sorted(points)] == list(range(1, 31)), points
    train = [value for _, value in sorted(run["metrics"]["train-mae"])]
    assert train[-1] < train[0]
    final = rows.manifest(store, "house", "1")["metrics"]
    for name, value in final.items():
        assert run["metrics"][name][-1][1] == pytest.approx(value), name
    assert run["metrics"]["train-mae"][-1][1] == pytest.approx(final["mae_train"], rel=1e-5)


def test_artifacts(mlflow, logged):
    """The artifacts are there: model, signature, example, requirements, manifest, importance and pictures"""
    store, said, run = logged
    pictures = {"feature_importance_gain.json", "feature_importance_gain.svg", "predicted_against_actual.svg"}
    model = {"MLmodel", "model.ubj", "manifest.json", "requirements.txt", "conda.yaml", "python_env.yaml", "input_example.json",
             "serving_input_example.json"}
    if mlflow.version == "3":
        assert set(run["artifacts"]) == pictures
        (logged_model,) = run["models"]
        found = mlflow.ask("logged_model", id=logged_model)
        assert "READY" in found["status"] and found["run"] == rows.run_id(said.stderr), found
        assert set(found["artifacts"]) == model
    else:
        assert set(run["artifacts"]) == pictures | {f"model/{name}" for name in model}
        assert json.loads(run["tags"]["mlflow.log-model.history"])[0]["flavors"]["xgboost"]["data"] == "model.ubj"


def test_alias(mlflow, logged):
    """The model is registered under its name, and the version has the alias"""
    found = mlflow.ask("version", name="house", alias="challenger")
    assert found["run"] == rows.run_id(logged[1].stderr) and found["status"] == "READY", found
    assert f'MLflow: version {found["version"]} of "house", alias challenger' in logged[1].stdout


@pytest.mark.limit(120)
def test_loads_in_python(mlflow, logged):
    """mlflow.xgboost.load_model and mlflow.pyfunc.load_model predict the bits of futaie predict"""
    store = logged[0]
    sample = [row for row, _ in rows.made_up()[:100]]
    found = mlflow.ask("load", uri="models:/house@challenger", names=rows.NAMES, rows=sample)
    wanted = rows.predicted(store, "house/1", rows.NAMES, sample)
    assert found["class"] == "xgboost.core.Booster"
    assert found["xgboost"] == wanted and found["pyfunc"] == wanted
    assert [column["name"] for column in found["inputs"]] == rows.NAMES and found["example"]


@pytest.mark.limit(120)
def test_california_housing(mlflow):
    """California housing, trained as make train does, predicts the same in Python as here, and pulls to the same file"""
    folder = need.variable("FUTAIE_DATA_DIR", "the directory that holds cal_housing.data")
    path = stack.scratch("california") / "rows.csv"
    subprocess.run(["models/california.sh", path], check=True, env={**os.environ, "FUTAIE_DATA_DIR": folder})
    store, other = models.Store(), models.Store()
    run = rows.train(store, path, mlflow.url, "--params", "models/train.json", "--period", "0", "--mlflow-alias", "champion", name="california",
                     target="MedHouseVal")
    assert run.returncode == 0, run
    header, *lines = path.read_text().splitlines()
    names = header.split(",")[:-1]
    sample = [[float(cell) for cell in line.split(",")[:-1]] for line in lines[::200]]
    found = mlflow.ask("load", uri="models:/california@champion", names=names, rows=sample)
    wanted = rows.predicted(store, "california/1", names, sample)
    assert found["xgboost"] == wanted and found["pyfunc"] == wanted
    commands.done(commands.futaie_models(other, "pull", "models:/california@champion", "--promote", "--mlflow", mlflow.url))
    assert rows.manifest(other, "california", "1")["sha256"] == rows.manifest(store, "california", "1")["sha256"]


@pytest.mark.limit(120)
def test_several_classes(mlflow, store):
    """A model of three classes has a signature of three outputs, and loads in Python with the same bits"""
    made = [(row, float(int(abs(y)) % 3)) for row, y in rows.made_up()]
    run = rows.train(store, rows.write(made), mlflow.url, *rows.QUICK, "--param", "objective=multi:softprob", "--param", "num_class=3",
                     "--mlflow-alias", "champion", name="kinds")
    assert run.returncode == 0, run
    sample = [row for row, _ in made[:30]]
    found = mlflow.ask("load", uri="models:/kinds@champion", names=rows.NAMES, rows=sample)
    assert found["pyfunc"] == rows.predicted(store, "kinds/1", rows.NAMES, sample) and len(found["pyfunc"]) == 90


@pytest.mark.limit(60)
def test_odd_names(mlflow, store, data):
    """Names with spaces, signs and accents come through as they are"""
    experiment, model = "prix & co. 100% été?#+", "maison d'été & co. 100%?#+"
    run = rows.train(store, data, mlflow.url + "/", *rows.QUICK, "--mlflow-experiment", experiment, "--mlflow-model", model, "--mlflow-run", "mine: é",
                     "--mlflow-alias", "champion")
    assert run.returncode == 0, run
    found = mlflow.ask("run", id=rows.run_id(run.stderr))
    assert (found["experiment"], found["name"]) == (experiment, "mine: é")
    assert mlflow.ask("version", name=model, alias="champion")["run"] == rows.run_id(run.stderr)
    refusal = commands.futaie_models(store, "pull", f"models:/{model}@champion", "--mlflow", mlflow.url)
    assert refusal.returncode == 2 and "--as" in refusal.stderr, refusal
    said = commands.done(commands.futaie_models(store, "pull", f"models:/{model}@champion", "--as", "other", "--mlflow", mlflow.url))
    assert "other: version 1 is added" in said


@pytest.mark.limit(60)
def test_long_values(mlflow, store):
    """A parameter longer than MLflow takes is cut, and the run is whole"""
    target = "a" * 100
    made = rows.write(rows.made_up())
    made.write_text(made.read_text().replace(rows.TARGET, target, 1))
    weights = "[" + ",".join(["[0,1,2]"] * 1000) + "]"
    run = rows.train(store, made, mlflow.url, *rows.QUICK, "--param", f"interaction_constraints={weights}", target=target)
    assert run.returncode == 0, run
    found = mlflow.ask("run", id=rows.run_id(run.stderr))
    assert found["status"] == "FINISHED" and found["params"]["target"] == target
    assert len(found["params"]["interaction_constraints"]) == 6000


@pytest.mark.limit(60)
def test_the_environment_names_the_server(mlflow, store, data):
    """MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME are heeded, and --mlflow none overrides them"""
    environment = {"MLFLOW_TRACKING_URI": mlflow.url, "MLFLOW_EXPERIMENT_NAME": "by the environment"}
    run = rows.train(store, data, None, *rows.QUICK, environment=environment)
    assert run.returncode == 0, run
    assert mlflow.ask("run", id=rows.run_id(run.stderr))["experiment"] == "by the environment"
    run = rows.train(store, data, "none", *rows.QUICK, environment=environment)
    assert run.returncode == 0 and "MLflow" not in run.stderr + run.stdout, run


@pytest.mark.limit(60)
def test_a_failed_training(mlflow, store):
    """A training that fails leaves a failed run that says why, and an empty store"""
    made = rows.write([(row, -1 - abs(y)) for row, y in rows.made_up()])
    run = rows.train(store, made, mlflow.url, *rows.QUICK, "--param", "objective=count:poisson", name="failing")
    assert run.returncode == 1, run
    found = mlflow.ask("run", id=rows.run_id(run.stderr))
    assert found["status"] == "FAILED" and found["ended"], found
    assert found["tags"]["futaie.failure"] in run.stderr
    assert commands.versions(store, "failing") == []


@pytest.mark.limit(60)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_a_signal(mlflow, store, data, number):
    """A signal ends the training as signals do, the run fails with its name, and the store is as before"""
    process = rows.start(store, data, mlflow.url, *rows.ENDLESS)
    try:
        first = process.stderr.readline()
        id = rows.run_id(first)
        stack.wait_for("metrics at the server", lambda: "train-rmse" in mlflow.ask("run", id=id)["metrics"], 30)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == -number, errors
    found = mlflow.ask("run", id=id)
    assert found["status"] == "FAILED" and found["ended"], found
    assert f"signal {int(number)}" in found["tags"]["futaie.failure"]
    assert commands.snapshot(store) == {".": None}


# A server that fails

@pytest.mark.limit(60)
def test_no_server(store, data):
    """Where no server answers at the start, nothing is trained, and a sentence names the URL and the way without"""
    (port,) = stack.free_ports(1)
    run = rows.train(store, data, f"http://127.0.0.1:{port}", *rows.QUICK, environment={"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"})
    assert run.returncode == 1, run
    assert f"http://127.0.0.1:{port}" in run.stderr and "--mlflow none" in run.stderr, run
    assert commands.snapshot(store) == {".": None}


@pytest.mark.parametrize("uri, hint", [("sqlite:///mlflow.db", "mlflow server"), ("ftp://host", "http://HOST:PORT"), ("http://host?x=1", "host, port and path")])
def test_no_url(store, data, uri, hint):
    """What is no URL of a server is wrong usage"""
    run = rows.train(store, data, uri, *rows.QUICK)
    assert run.returncode == 2 and hint in run.stderr, run


@pytest.mark.limit(90)
@pytest.mark.parametrize("kind, status, body, hints", [
    ("text/html", 200, "<html>a proxy</html>", ["no MLflow server"]),
    ("application/json", 200, '{"run": ', ["no MLflow server"]),
    ("application/json", 500, '{"error_code": "INTERNAL_ERROR", "message": "the disk is full"}', ["500", "the disk is full"]),
    ("text/html", 500, "<h1>Oops</h1>", ["500"]),
    ("text/html", 302, "", ["redirect"]),
    ("application/json", 401, "", ["MLFLOW_TRACKING_USERNAME"]),
    ("application/json", 200, '{"experiment": {"experiment_id": 7}}', ["no MLflow server"]),
], ids=["HTML", "half an answer", "500", "500 in HTML", "a redirect", "401", "an answer to another question"])
def test_wrong_answers(gate, store, data, kind, status, body, hints):
    """What is no answer of MLflow's is a sentence, and nothing is trained"""
    gate.says = server.answer(status, kind, body)
    run = rows.train(store, data, gate.url, *rows.QUICK, environment={"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
                                                                   "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0"})
    assert run.returncode == 1, run
    assert gate.url in run.stderr and all(hint in run.stderr for hint in hints), run
    assert commands.snapshot(store) == {".": None}


@pytest.mark.limit(60)
def test_a_slow_server(gate, store, data):
    """A server that takes connections and says nothing is given up after MLFLOW_HTTP_REQUEST_TIMEOUT"""
    gate.held.set()
    run = rows.train(store, data, gate.url, *rows.QUICK, environment={"MLFLOW_HTTP_REQUEST_TIMEOUT": "1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"})
    assert run.returncode == 1 and "does not answer" in run.stderr, run


@pytest.mark.limit(90)
@pytest.mark.parametrize("trouble", ["closed", "held", "500"])
def test_gone_in_the_middle(mlflow, gate, store, data, trouble):
    """A server that is away in the middle and comes back gets the whole run"""
    process = rows.start(store, data, gate.url, "--rounds", "20000", "--early-stopping", "0", "--period", "0", "--threads", "1", "--param", "max_depth=2")
    try:
        id = rows.run_id(process.stderr.readline())
        stack.wait_for("metrics at the server", lambda: "train-rmse" in mlflow.ask("run", id=id)["metrics"], 30)
        if trouble == "closed":
            gate.close()
        elif trouble == "held":
            gate.held.set()
        else:
            gate.says = server.answer(500, "text/html", "<h1>Oops</h1>")
        seen = len(gate.heads)
        time.sleep(2)           # a batch or two come to nothing
        gate.held.clear()
        gate.says = None
        if trouble == "closed":
            gate.open()
        else:
            gate.close()
            gate.open()
        output, errors = process.communicate(timeout=80)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert trouble == "closed" or len(gate.heads) > seen
    assert "warning" not in errors and "MLflow: version" in output, (output, errors)
    found = mlflow.ask("run", id=id)
    assert found["status"] == "FINISHED"
    for key in ("train-rmse", "validation-rmse"):
        steps = [step for step, _ in found["metrics"][key]]
        assert sorted(steps) == list(range(1, 20001)), f"{key}: {len(steps)}"


@pytest.mark.limit(90)
def test_gone_for_good(mlflow, gate, store, data):
    """A server that stays away gets a clear warning, and the model lands in the store all the same"""
    process = rows.start(store, data, gate.url, "--rounds", "3000", "--early-stopping", "0", "--period", "0", "--threads", "1", "--mlflow-wait", "1")
    try:
        id = rows.run_id(process.stderr.readline())
        gate.close()
        _, errors = process.communicate(timeout=80)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert f"warning: house version 1 is in the store, but MLflow has not all of it: {gate.url}" in errors, errors
    assert id in errors.splitlines()[-1]
    assert commands.versions(store, "house") == ["1"]
    commands.done(commands.futaie_models(store, "verify", "house"))
    assert mlflow.ask("run", id=id)["status"] == "RUNNING"


@pytest.mark.limit(60)
def test_a_run_that_is_deleted(mlflow, store, data):
    """A run that is deleted in the middle stops nothing: the model is in the store, and a warning says why MLflow has it not"""
    process = rows.start(store, data, mlflow.url, "--rounds", "6000", "--early-stopping", "0", "--period", "0", "--threads", "1")
    try:
        id = rows.run_id(process.stderr.readline())
        mlflow.ask("call", method="delete_run", run_id=id)
        _, errors = process.communicate(timeout=55)
    finally:
        process.kill()
    assert process.returncode == 0 and "warning: house version 1 is in the store" in errors, errors
    assert commands.versions(store, "house") == ["1"]


@pytest.mark.limit(60)
def test_a_deleted_experiment(mlflow, store, data):
    """An experiment of that name that is deleted is a sentence with the way out"""
    made = mlflow.ask("call", method="create_experiment", name="was here")
    mlflow.ask("call", method="delete_experiment", experiment_id=made["id"])
    run = rows.train(store, data, mlflow.url, *rows.QUICK, "--mlflow-experiment", "was here")
    assert run.returncode == 1 and "is deleted" in run.stderr and f"restore --experiment-id {made['id']}" in run.stderr, run


@pytest.mark.limit(90)
def test_two_make_the_experiment(mlflow, data):
    """Two trainings that start at once make one experiment of a new name"""
    stores = [models.Store() for _ in range(3)]
    running = [rows.start(each, data, mlflow.url, *rows.QUICK, "--mlflow-experiment", "at once") for each in stores]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert len(mlflow.ask("runs", experiment="at once")) == 3


# Who we are

@pytest.mark.limit(60)
@pytest.mark.parametrize("user, environment, wanted", [
    ("", {"MLFLOW_TRACKING_USERNAME": "zoé", "MLFLOW_TRACKING_PASSWORD": SECRET, "MLFLOW_TRACKING_TOKEN": TOKEN}, f"zoé:{SECRET}"),
    ("", {"MLFLOW_TRACKING_TOKEN": TOKEN}, f"Bearer {TOKEN}"),
    (f"zoe:{SECRET}%21@", {}, f"zoe:{SECRET}!"),
    ("", {}, None),
], ids=["user and password", "a token", "in the URL", "nobody"])
def test_credentials(gate, store, data, user, environment, wanted):
    """Each request says who we are by MLflow's own variables, and no secret is told anywhere else"""
    run = rows.train(store, data, gate.url.replace("://", f"://{user}"), *rows.QUICK, environment=environment)
    assert run.returncode == 0, run
    assert gate.credentials() == {wanted}
    kept = json.dumps(run.stdout + run.stderr) + "".join(text.decode("latin-1") for text in commands.snapshot(store).values() if text)
    assert SECRET not in kept and TOKEN not in kept
    assert SECRET not in "".join(re.sub(r"(?im)^authorization:.*$", "", head) for head in gate.heads)
    gate.says = server.answer(403, "application/json", "{}")
    run = rows.train(store, data, gate.url.replace("://", f"://{user}"), *rows.QUICK, environment=environment)
    assert run.returncode == 1 and SECRET not in run.stderr and TOKEN not in run.stderr, run


@pytest.mark.limit(60)
def test_tls(mlflow, store, data):
    """HTTPS: an unknown certificate is refused with a sentence, MLFLOW_TRACKING_SERVER_CERT_PATH has it believed, MLFLOW_TRACKING_INSECURE_TLS anything"""
    folder = stack.scratch("tls")
    subprocess.run([need.program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    with server.Gate(mlflow.port, certificate=folder / "both.pem") as gate:
        run = rows.train(store, data, gate.url, *rows.QUICK)
        assert run.returncode == 1 and "MLFLOW_TRACKING_SERVER_CERT_PATH" in run.stderr, run
        for environment in ({"MLFLOW_TRACKING_SERVER_CERT_PATH": str(folder / "cert.pem")}, {"MLFLOW_TRACKING_INSECURE_TLS": "true"}):
            run = rows.train(store, data, gate.url, *rows.QUICK, environment=environment)
            assert run.returncode == 0, run
