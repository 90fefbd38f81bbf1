"""test_pull.py - futaie models pull from real servers: what Python logged serves the same numbers, and what cannot be taken is a sentence"""
import json
import os
import signal

import pytest

import rows
import server
from lib import commands, fcgi, models, stack

# Whether Debian's libxgboost 1.7.4 reads what `log` of client.py makes: XGBoost 3.2 goes with MLflow 3, 1.7.6 with MLflow 2.
READABLE = {"3": False, "2": True}


@pytest.fixture
def store():
    return models.Store()


def pull(store, mlflow, spec, *words, environment=None):
    return commands.futaie_models(store, "pull", spec, *words, environment={"MLFLOW_TRACKING_URI": getattr(mlflow, "url", mlflow), **(environment or {})})


def answers_alike(store, name, logged, spec=""):
    """The store's version answers the bits of the Booster that Python logged, by the names of its columns."""
    assert rows.predicted(store, name + spec, logged["names"], logged["rows"]) == logged["bits"]


@pytest.mark.limit(90)
@pytest.mark.parametrize("kind, format", [("booster", None), ("booster", "ubj"), ("booster", "json"), ("regressor", None), ("classifier", None),
                                          ("classes", None)])
def test_python_models(mlflow, store, kind, format):
    """A model that Python's mlflow.xgboost.log_model logged serves its Booster's numbers, by the names that pandas gave"""
    name = f"{kind}-{format or 'plain'}"
    logged = mlflow.ask("log", kind=kind, name=name, format=format)
    said = pull(store, mlflow, f"models:/{name}/{logged['version']}", "--promote", "--unproven")
    assert f"{name}: version 1 is the champion now" in commands.done(said), said
    answers_alike(store, name, logged)
    manifest = rows.manifest(store, name, "1")
    assert [feature["name"] for feature in manifest["features"]] == logged["names"]
    assert manifest["golden"]["unproven"] and len(manifest["golden"]["inputs"]) == 4
    assert manifest["metrics"] == {"mine": 0.25} and manifest["parameters"] == {"who": "python"}
    assert manifest["source"]["mlflow_run"] == logged["run"]
    assert (manifest["source"]["mlflow"]["server"], manifest["source"]["mlflow"]["version"]) == (mlflow.url, logged["version"])
    assert (manifest["model_file"] == "model.json") == (format == "json")
    served = commands.futaie_models(store, "verify", name)
    assert served.returncode == 0, served


@pytest.mark.limit(60)
def test_proof_wanted(mlflow, store):
    """Without recorded answers a version is not promoted, one that libxgboost cannot read not even taken, unless --unproven says so"""
    logged = mlflow.ask("log", kind="booster", name="unproven", alias="champion")
    said = pull(store, mlflow, "models:/unproven@champion", "--promote")
    assert said.returncode == 1 and "--unproven" in said.stderr, said
    if not READABLE[mlflow.version]:
        assert "too old to read it" in said.stderr and commands.versions(store, "unproven") == []
    else:
        assert commands.versions(store, "unproven") == ["1"] and "champion" not in commands.aliases(store, "unproven")
    commands.done(pull(store, mlflow, "models:/unproven@champion", "--promote", "--unproven"))
    assert commands.aliases(store, "unproven")["champion"] == "1"
    answers_alike(store, "unproven", logged)


@pytest.mark.limit(60)
def test_golden_beside_the_model(mlflow, store):
    """golden.json beside the logged model proves it: it is promoted without more words"""
    logged = mlflow.ask("log", kind="booster", name="golden", golden=True)
    said = commands.done(pull(store, mlflow, "models:/golden/1", "--promote"))
    assert "proven by 20 golden rows" in said and "champion now" in said
    answers_alike(store, "golden", logged)
    assert "unproven" not in rows.manifest(store, "golden", "1")["golden"]


@pytest.mark.limit(60)
def test_golden_of_a_file(mlflow, store):
    """--golden FILE proves it as with import, and wrong answers are refused"""
    logged = mlflow.ask("log", kind="regressor", name="by-file")
    path = stack.scratch("golden") / "golden.json"
    answers = rows.bits.value
    path.write_text(json.dumps({"inputs": logged["rows"], "outputs": [answers(each) for each in logged["bits"]]}))
    commands.done(pull(store, mlflow, "models:/by-file/1", "--promote", "--golden", path))
    path.write_text(json.dumps({"inputs": logged["rows"], "outputs": [answers(each) + 1 for each in logged["bits"]]}))
    said = pull(store, mlflow, "models:/by-file/1", "--as", "other", "--golden", path)
    assert said.returncode == 1 and "golden row 0" in said.stderr, said
    assert commands.versions(store, "other") == []


@pytest.mark.limit(60)
def test_no_names(mlflow, store):
    """Feature names can be given where neither file nor signature has better ones"""
    logged = mlflow.ask("log", kind="regressor", name="nameless", named=False)
    commands.done(pull(store, mlflow, "models:/nameless/1", "--unproven"))
    answers_alike(store, "nameless", logged, "/1")


@pytest.mark.limit(60)
def test_twice(mlflow, store):
    """Pulling the same version again is no new version; a new one in the registry is"""
    mlflow.ask("log", kind="booster", name="twice", golden=True, alias="champion")
    commands.done(pull(store, mlflow, "models:/twice@champion"))
    before = commands.snapshot(store)
    assert "is there already, as version 1" in commands.done(pull(store, mlflow, "models:/twice/1"))
    assert commands.snapshot(store) == before
    assert "version 1 is the champion now" in commands.done(pull(store, mlflow, "models:/twice@champion", "--promote"))
    mlflow.ask("log", kind="booster", name="twice", golden=True, alias="champion")
    assert "version 2 is added, version 2 of" in commands.done(pull(store, mlflow, "models:/twice@champion", "--promote"))
    assert commands.aliases(store, "twice") == {"champion": "2", "previous": "1"}


@pytest.mark.limit(60)
def test_round_trip(mlflow, store):
    """What futaie trained comes back with its manifest: the same file, features, golden rows, metrics and run, and is proven"""
    data, other = rows.write(rows.made_up()), models.Store()
    run = rows.train(store, data, mlflow.url, *rows.QUICK, "--mlflow-alias", "champion", name="trip")
    assert run.returncode == 0, run
    said = commands.done(pull(other, mlflow, "models:/trip@champion", "--as", "back", "--promote"))
    assert "proven by 15 golden rows" in said, said
    one, two = rows.manifest(store, "trip", "1"), rows.manifest(other, "back", "1")
    for same in ("sha256", "features", "golden", "metrics", "parameters", "target", "predictions", "created", "xgboost_version"):
        assert one[same] == two[same], same
    assert two["source"]["mlflow_run"] == one["source"]["mlflow_run"] == rows.run_id(run.stderr)
    sample = [row for row, _ in rows.made_up()[:50]]
    assert rows.predicted(store, "trip/1", rows.NAMES, sample) == rows.predicted(other, "back", rows.NAMES, sample)


@pytest.mark.limit(60)
def test_a_pickle(mlflow, store):
    """A model that mlflow.sklearn pickled is refused, with the line of Python that saves it anew"""
    mlflow.ask("log", kind="pickle", name="pickle")
    said = pull(store, mlflow, "models:/pickle/1", "--unproven")
    assert said.returncode == 1 and "pickle" in said.stderr and "mlflow.xgboost.log_model" in said.stderr, said
    assert commands.snapshot(store) == {".": None}


@pytest.mark.limit(60)
@pytest.mark.parametrize("change, hint", [
    (lambda path: path.write_bytes(b"\x80\x04\x95" + b"x" * 200), "pickle"),
    (lambda path: path.write_bytes(b"PK\x03\x04" + b"x" * 200), "neither UBJSON nor JSON"),
    (lambda path: path.write_bytes(b"binf" + b"\xff" * 4000), "old binary format"),
    (lambda path: path.write_bytes(path.read_bytes()[:-700]), ""),
    (lambda path: path.unlink(), "has no file"),
], ids=["a pickle", "a zip file", "a damaged old binary", "a cut file", "no file"])
def test_bad_files(mlflow, store, change, hint):
    """What the model file holds decides, whatever it is called; nothing bad gets into the store"""
    mlflow.ask("log", kind="booster", name="spoilt", format="ubj")
    number = mlflow.ask("log", kind="booster", name="spoilt", format="ubj")["version"]
    newest = max((mlflow.folder / "artifacts").rglob("model.ubj"), key=lambda path: path.stat().st_mtime_ns)
    change(newest)
    said = pull(store, mlflow, f"models:/spoilt/{number}", "--unproven", "--promote")
    assert said.returncode == 1 and hint in said.stderr, said
    assert commands.versions(store, "spoilt") == [] and commands.leftovers(store) == []


@pytest.mark.limit(60)
def test_what_is_not_there(mlflow, store):
    """A model, a version or an alias that is not there, or was deleted under us, is a sentence that names it"""
    made = mlflow.ask("log", kind="booster", name="fleeting", golden=True, alias="champion")
    commands.done(pull(store, mlflow, "models:/fleeting@champion", "--promote"))
    mlflow.ask("call", method="delete_model_version", name="fleeting", version=made["version"])
    for spec, word in (("models:/fleeting/1", "fleeting/1"), ("models:/fleeting@champion", "fleeting@champion"), ("models:/none@champion", "none@champion"),
                       ("models:/fleeting@nobody", "fleeting@nobody"), ("models:/fleeting/77", "fleeting/77")):
        said = pull(store, mlflow, spec)
        assert said.returncode == 1 and word in said.stderr and mlflow.url in said.stderr, said
    assert commands.aliases(store, "fleeting") == {"champion": "1"}


@pytest.mark.parametrize("spec, hint", [("house@champion", "models:/NAME@ALIAS"), ("models:/house", "models:/NAME@ALIAS"), ("models:/@x", "models:/NAME"),
                                        ("models:/a/b/c", "models:/NAME"), ("models:/house/latest", "models:/NAME"), ("models:/house/01", "models:/NAME")])
def test_no_spec(store, spec, hint):
    """What names no version of a registry is wrong usage"""
    said = pull(store, "http://127.0.0.1:1", spec)
    assert said.returncode == 2 and hint in said.stderr, said


def test_which_server(store):
    """Without a server's URL the sentence says where it may stand"""
    said = commands.futaie_models(store, "pull", "models:/house@champion")
    assert said.returncode == 2 and "MLFLOW_TRACKING_URI" in said.stderr, said


@pytest.mark.limit(60)
def test_spoilt_answers(gate, store):
    """HTML, half an answer and a broken list are sentences, and the store stays as it is"""
    for kind, body in (("text/html", "<html>proxy</html>"), ("application/json", '{"model_version": '), ("application/json", "[]"),
                       ("application/json", '{"model_version": {"name": "x", "version": 1}}')):
        gate.says = server.answer(200, kind, body)
        said = pull(store, gate, "models:/house@champion")
        assert said.returncode == 1 and gate.url in said.stderr, said
    assert commands.snapshot(store) == {".": None}


class Watch(stack.Part):
    """futaie models pull --watch"""

    name = "watch"

    def __init__(self, store, url, spec, *words):
        super().__init__()
        self.launch([stack.FUTAIE, "models", "pull", spec, "--watch", "1", "--models", store, *words], environment={"MLFLOW_TRACKING_URI": url})

    def lines(self):
        return [json.loads(line) for line in self.log().splitlines()]

    def events(self):
        return [line["event"] for line in self.lines()]


@pytest.mark.limit(120)
def test_watch(mlflow, gate, store):
    """A watch follows the alias: promotes what is new and proven, forward and back, survives the server being away, and ends on SIGTERM"""
    mlflow.ask("log", kind="booster", name="followed", golden=True, alias="champion")
    with Watch(store, gate.url, "models:/followed@champion") as watch:
        def champion(number):
            return lambda: os.path.exists(f"{store}/followed/aliases.json") and commands.aliases(store, "followed").get("champion") == number
        stack.wait_for("the first champion", champion("1"), 30)
        mlflow.ask("log", kind="regressor", name="followed", golden=True, alias="champion")
        stack.wait_for("the second champion", champion("2"), 30)
        gate.close()
        stack.wait_for("a warning", lambda: "pull_server_away" in watch.events(), 30)
        mlflow.ask("call", method="set_registered_model_alias", name="followed", alias="champion", version="1")
        gate.open()
        stack.wait_for("the first champion again", champion("1"), 30)
        mlflow.ask("log", kind="booster", name="followed", alias="champion")       # nothing proves it
        stack.wait_for("a refusal", lambda: "pull_failed" in watch.events(), 30)
        assert champion("1")()
        mlflow.ask("call", method="delete_registered_model_alias", name="followed", alias="champion")
        stack.wait_for("a second refusal", lambda: watch.events().count("pull_failed") == 2, 30)
        assert champion("1")()
        mlflow.ask("call", method="set_registered_model_alias", name="followed", alias="champion", version="2")
        stack.wait_for("the second champion", champion("2"), 30)
    events = watch.events()
    assert events[0] == "pull_watch" and events[-1] == "pull_watch_ends", events
    assert events.count("pull_promoted") == 4 and events.count("pull_server_away") == 1, events
    assert watch.lines()[-1]["registered_version"] == "2"
    assert commands.versions(store, "followed") in (["1", "2"], ["1", "2", "3"])


@pytest.mark.limit(60)
def test_watch_ends_at_once(gate, store):
    """SIGTERM ends a watch that waits for a server which says nothing"""
    gate.held.set()
    with Watch(store, gate.url, "models:/house@champion") as watch:
        stack.wait_for("a request", lambda: gate.heads)
        watch.stop(signal.SIGTERM)


@pytest.mark.limit(60)
def test_watch_serves(mlflow, store):
    """A server beside a watch takes the registry's new champion without a restart"""
    first = mlflow.ask("log", kind="booster", name="served", golden=True, alias="champion")
    second = mlflow.ask("log", kind="regressor", name="served", golden=True)
    commands.done(pull(store, mlflow, "models:/served@champion", "--promote"))
    with stack.Futaie(store) as futaie, Watch(store, mlflow.url, "models:/served@champion"):
        def answer():
            reply = fcgi.request(futaie.address, "POST", "/predict", json.dumps({"features": first["rows"][:1]}).encode())
            said = json.loads(reply.body, parse_float=str, parse_int=str)
            return said["version"], rows.bits.of(said["predictions"][0])
        assert answer() == ("1", first["bits"][0])
        mlflow.ask("call", method="set_registered_model_alias", name="served", alias="champion", version=second["version"])
        stack.wait_for("the new champion's answer", lambda: answer() == ("2", second["bits"][0]), 30)
