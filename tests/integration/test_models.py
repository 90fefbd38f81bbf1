"""test_models.py - the model store as clients and operators see it: what is listed, what is proven, what is refused"""
import json
import signal

import pytest

from lib import models, stack
from lib.models import CALIFORNIA, EXAMPLE_BODY, FEATURES

OTHER = "reg-squarederror"


def answer(app, path, status=200):
    reply = app.request("GET", path)
    assert reply.status == status, reply
    return reply.json()


# What is there

def test_list(site):
    """GET /models lists the names, versions and aliases"""
    assert answer(site, "/models") == {"models": [{"name": CALIFORNIA, "versions": ["1"], "aliases": {"champion": "1"}}]}


def test_list_of_many(fixture_store):
    """GET /models lists every model of the store, by name"""
    assert [model["name"] for model in answer(fixture_store, "/models")["models"]] == models.fixture_names()


def test_model(site):
    """GET /models/NAME describes the champion"""
    model = answer(site, f"/models/{CALIFORNIA}")
    manifest = json.loads((models.SHIPPED / CALIFORNIA / "1" / "manifest.json").read_text())
    assert [feature["name"] for feature in model["features"]] == FEATURES
    assert all(feature["type"] for feature in model["features"]), model["features"]
    for field in ("name", "version", "objective", "sha256", "metrics"):
        assert model[field] == manifest[field], f"{field}: {model[field]}, in the manifest {manifest[field]}"
    assert model["versions"] == ["1"] and model["scorer"], model


@pytest.mark.parametrize("name", models.fixture_names())
def test_every_model(fixture_store, name):
    """GET /models/NAME gives objective and features as in the manifest"""
    model, manifest = answer(fixture_store, f"/models/{name}"), json.loads((models.FIXTURES / name / "1" / "manifest.json").read_text())
    assert model["objective"] == manifest["objective"]
    assert [(each["name"], each["type"]) for each in model["features"]] == [(each["name"], each["type"]) for each in manifest["features"]]


def test_unknown_model(site):
    """GET /models/NAME of an unknown model gives 404"""
    error = answer(site, "/models/nobody", 404)
    assert error["code"] == "unknown_model" and "nobody" in error["error"], error


def test_versions_in_order(fresh):
    """Versions are listed by number, not by letters"""
    store = models.Store()
    for version in ("1", "2", "10", "9"):
        store.california(version=version)
    app = fresh(store)
    assert answer(app, "/models")["models"][0]["versions"] == ["1", "2", "9", "10"]


def test_head(site):
    """HEAD is answered as GET, without a body"""
    reply = site.request("HEAD", "/models")
    assert reply.status in (200, 405) and reply.body == b"", reply


def test_status_paths(site):
    """/healthz, /readyz and /version answer in JSON"""
    assert answer(site, "/healthz") and answer(site, "/readyz")
    version = answer(site, "/version")
    assert version["futaie"] if "futaie" in version else version["version"], version
    assert "1.7" in json.dumps(version), f"libxgboost's version is missing: {version}"


# Versions

def two_versions():
    """A store with two versions that answer differently, the first of them champion. Their features are not california's."""
    store = models.Store().fixture(OTHER, name="twice", version="1")
    return store.fixture("reg-squarederror-base-score", name="twice", version="2", champion=False)


def rows():
    return {"features": json.loads(models.expected(OTHER))["rows"][:3]}


def test_champion_is_served(fresh):
    """The champion is served, the other version under its number"""
    app = fresh(two_versions())
    first, second = (app.request("POST", f"/models/twice/versions/{version}/predict", rows()).json() for version in "12")
    assert (first["version"], second["version"]) == ("1", "2")
    assert first["predictions"] != second["predictions"]
    assert app.request("POST", "/models/twice/predict", rows()).json() == first


def test_version_is_described(fresh):
    """GET /models/NAME/versions/V describes that version, also one that no request has loaded yet"""
    store = models.Store()
    store.fixture(OTHER, name="twice").fixture("reg-gamma", name="twice", version="2", champion=False)
    app = fresh(store)
    champion, other = answer(app, "/models/twice"), answer(app, "/models/twice/versions/2")
    assert answer(app, "/models/twice/versions/1") == champion
    assert (champion["version"], champion["objective"], other["version"], other["objective"]) == ("1", "reg:squarederror", "2", "reg:gamma")
    assert other["sha256"] == store.manifest("twice", "2")["sha256"] and champion.keys() == other.keys(), other
    assert answer(app, "/models/twice/versions/3", 404)["code"] == "unknown_version"


def test_many_versions(fresh):
    """Twelve versions answer in turn, although at most eight are kept"""
    store = models.Store().fixture(OTHER, name="many")
    for version in range(2, 13):
        store.fixture(OTHER, name="many", version=str(version), champion=False)
    app = fresh(store)
    for version in [*range(1, 13), *range(12, 0, -1)]:
        reply = app.request("POST", f"/models/many/versions/{version}/predict", rows())
        assert (reply.status, reply.json()["version"]) == (200, str(version)), reply


def test_no_champion(fresh):
    """A model without a champion gives 404 no_champion, its versions answer"""
    store = models.Store().california().fixture(OTHER, champion=False)
    app = fresh(store)
    reply = app.request("POST", f"/models/{OTHER}/predict", rows())
    assert (reply.status, reply.json()["code"]) == (404, "no_champion"), reply
    assert app.request("POST", f"/models/{OTHER}/versions/1/predict", rows()).status == 200


def test_bad_version_by_number(fresh):
    """A broken version asked for by number gives 503, and the champion still answers"""
    store = models.Store().california().fixture(OTHER, name="broken", champion=False)
    store.flip_byte("broken")
    app = fresh(store)
    reply = app.request("POST", "/models/broken/versions/1/predict", rows())
    assert (reply.status, reply.json()["code"]) == (503, "model_failed"), reply
    assert int(reply.headers["retry-after"]) > 0, reply.headers
    assert app.request("POST", f"/models/{CALIFORNIA}/predict", EXAMPLE_BODY).status == 200


# Stores with something in them that is no model, or with nothing at all

def test_empty_store():
    """An empty store is alive but not ready: 503 with Retry-After"""
    with stack.Futaie(models.Store(), ready=False) as app:
        assert app.request("GET", "/healthz").status == 200
        for method, path in (("GET", "/readyz"), ("POST", "/predict")):
            reply = app.request(method, path, json.dumps(EXAMPLE_BODY) if method == "POST" else b"", "application/json")
            assert (reply.status, reply.json()["code"]) == (503, "not_ready") and int(reply.headers["retry-after"]) > 0, reply


def test_other_files(fresh):
    """Files, hidden folders and folders of other names in the store are passed over"""
    store = models.Store().california()
    (store.path / "README").write_text("models")
    (store.path / ".git").mkdir()
    (store.path / "a name with blanks").mkdir()
    (store.path / CALIFORNIA / "notes").mkdir()
    (store.path / CALIFORNIA / "01").mkdir()
    app = fresh(store)
    assert answer(app, "/models")["models"] == [{"name": CALIFORNIA, "versions": ["1"], "aliases": {"champion": "1"}}]


# SIGHUP

def test_reload_takes_a_new_champion(fresh):
    """SIGHUP takes a new champion"""
    store = two_versions()
    app = fresh(store)
    store.aliases("twice", champion="2")
    app.send(signal.SIGHUP)
    stack.wait_for("the new champion", lambda: app.request("POST", "/models/twice/predict", rows()).json()["version"] == "2", 5)


def test_reload_takes_a_new_model(fresh):
    """SIGHUP takes a new model"""
    store = models.Store().california()
    app = fresh(store)
    store.fixture(OTHER)
    app.send(signal.SIGHUP)
    stack.wait_for("the new model", lambda: app.request("POST", f"/models/{OTHER}/predict", rows()).status == 200, 5)


BREAK = {
    "a changed byte": lambda store: store.flip_byte("twice", "2"),
    "a truncated file": lambda store: truncate(store.model_file("twice", "2")),
    "golden rows that are off": lambda store: store.change_manifest("twice", "2", golden_off),
    "a model file that is gone": lambda store: store.model_file("twice", "2").unlink(),
    "a manifest that is gone": lambda store: (store.folder("twice", "2") / "manifest.json").unlink(),
}


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def golden_off(manifest):
    """One output of the golden rows is off by a thousandth."""
    manifest["golden"]["outputs"][-1] *= 1.001


@pytest.mark.parametrize("damage", BREAK.values(), ids=BREAK.keys())
def test_reload_of_a_broken_version(fresh, damage):
    """SIGHUP with a broken champion leaves the old one serving, with a log line that says why"""
    store = two_versions()
    damage(store)
    app = fresh(store)
    before = app.request("POST", "/models/twice/predict", rows()).json()
    store.aliases("twice", champion="2")
    lines = len(app.log_lines())
    app.send(signal.SIGHUP)
    stack.wait_for("a log line about version 2 of twice",
                   lambda: [line for line in app.log_lines()[lines:] if line["level"] in ("warn", "error") and "twice" in json.dumps(line)], 5)
    assert app.request("POST", "/models/twice/predict", rows()).json() == before
    assert answer(app, "/readyz")
