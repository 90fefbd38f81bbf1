"""test_swap.py - versions exchanged while wrk sends requests through the web server: promote, rollback, broken versions, two hundred swaps"""
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from lib import commands, models, need, prometheus, stack
from lib.commands import done, futaie_models
from lib.load import Load
from lib.models import CALIFORNIA, EXAMPLE_BODY, FEATURES

PYTHON = "/usr/bin/python3"
SWAPS = 200
FLAT_KIB = 4 * 1024
SERVES_S = 20           # a generous wait for what takes a second
TREES = 1000


class Swapping:
    """A site with versions that answer differently, and what its server says of them."""

    def __init__(self, site, store):
        self.site, self.app, self.store = site, site.app, store

    def body(self):
        """The answer to the example row, as text."""
        reply = self.site.post("/predict", EXAMPLE_BODY)
        assert reply.status == 200, reply
        return reply.text()

    def version(self):
        return json.loads(self.body())["version"]

    def wait_for(self, version, seconds=SERVES_S):
        stack.wait_for(f"version {version} to serve", lambda: self.version() == version, seconds)
        return self.body()

    def by_hand(self, version):
        """Names the champion as somebody with an editor does."""
        self.store.aliases(CALIFORNIA, champion=version)

    def bodies(self):
        """The answers of versions 1 and 2, each as it served."""
        self.by_hand("2")
        second = self.wait_for("2")
        self.by_hand("1")
        first = self.wait_for("1")
        assert json.loads(first)["predictions"] != json.loads(second)["predictions"]
        return [first, second]

    def reloads(self, result):
        return prometheus.get(prometheus.parse(self.app.request("GET", "/metrics").text()), "futaie_model_reloads_total", result=result)

    def errors(self):
        return [line["message"] for line in self.app.log_lines() if line["level"] == "error"]


def other_file():
    """The shipped model with another base_score: the same features and trees, other answers."""
    content = (models.SHIPPED / CALIFORNIA / "1" / "model.ubj").read_bytes()
    at = content.index(b"base_score") + len("base_scoreSL") + 8
    path = stack.scratch("other") / "model.ubj"
    path.write_bytes(content[:at] + bytes([content[at] + 1]) + content[at + 1:])
    return path


@pytest.fixture
def store():
    """Version 1 as it is shipped, which is champion, and version 2."""
    made = models.Store().california()
    done(futaie_models(made, "import", CALIFORNIA, other_file()))
    return made


@pytest.fixture
def swapping(store):
    with stack.Site(store) as site:
        yield Swapping(site, store)


# Promote and rollback

@pytest.mark.limit(90)
def test_promote_and_rollback_under_load(swapping):
    """promote and rollback under load are served without a signal, lose no request, and every answer is wholly of one version"""
    bodies = swapping.bodies()
    with Load(swapping.site.http_port, expected=bodies) as load:
        for _ in range(3):
            done(futaie_models(swapping.store, "promote", CALIFORNIA, "2"))
            assert swapping.wait_for("2") == bodies[1]
            done(futaie_models(swapping.store, "rollback", CALIFORNIA))
            assert swapping.wait_for("1") == bodies[0]
    assert load.lost() == {}, load.result
    assert min(load.seen()) > 0 and sum(load.seen()) == load.requests(), load.result
    assert swapping.reloads("failure") == 0 and swapping.errors() == []


@pytest.mark.limit(60)
def test_promote_and_signal(swapping):
    """SIGHUP behind a promotion under load loses no request, and takes the version too"""
    bodies = swapping.bodies()
    with Load(swapping.site.http_port, expected=bodies) as load:
        for version in "212":
            done(futaie_models(swapping.store, "promote", CALIFORNIA, version))
            swapping.app.send(signal.SIGHUP)
            swapping.wait_for(version)
    assert load.lost() == {} and sum(load.seen()) == load.requests(), load.result


@pytest.mark.limit(60)
def test_new_model_under_load(swapping):
    """A model that is imported and promoted under load is listed and served without a signal, and one that is removed is gone"""
    bodies = swapping.bodies()
    fixture = "binary-logistic"
    rows = {"features": json.loads(models.expected(fixture))["rows"]}
    # Another model beside it leaves none to be the default one: the load asks for /predict.
    with Load(swapping.site.http_port, expected=bodies) as load:
        done(futaie_models(swapping.store, "import", CALIFORNIA, other_file()))
        stack.wait_for("version 3 by number", lambda: swapping.site.post(f"/models/{CALIFORNIA}/versions/3/predict", EXAMPLE_BODY).status == 200)
        done(futaie_models(swapping.store, "remove", CALIFORNIA, "3"))
        stack.wait_for("version 3 to go", lambda: swapping.site.post(f"/models/{CALIFORNIA}/versions/3/predict", EXAMPLE_BODY).status == 404)
    assert load.lost() == {}, load.result
    commands.add(swapping.store, fixture, fixture, "--promote", "--unproven")
    stack.wait_for("the new model", lambda: swapping.site.post(f"/models/{fixture}/predict", rows).status == 200)
    assert [model["name"] for model in swapping.site.get("/models").json()["models"]] == [fixture, CALIFORNIA]


# Broken versions

def truncated(store):
    path = store.model_file(CALIFORNIA, "3")
    path.write_bytes(path.read_bytes()[:-1000])


def golden_off(store):
    store.change_manifest(CALIFORNIA, "3", lambda manifest: manifest["golden"]["outputs"].__setitem__(0, manifest["golden"]["outputs"][0] + 0.001))


def wrong_features(store):
    store.change_manifest(CALIFORNIA, "3", lambda manifest: manifest["features"].reverse())


def crashing(store):
    store.model_file(CALIFORNIA, "3").write_bytes(commands.crashing_file())
    store.rewrite_sha256(CALIFORNIA, "3")


def truncated_with_its_sha256(store):
    truncated(store)
    store.rewrite_sha256(CALIFORNIA, "3")


BROKEN = {
    "a truncated file": (truncated, "sha256"),
    "a truncated file with its own sha256": (truncated_with_its_sha256, "XGBoost cannot load"),
    "golden rows that are off": (golden_off, "golden row 0"),
    "wrong features": (wrong_features, "Longitude"),
    "a file that crashes XGBoost": (crashing, "crashed"),
    "no files at all": (lambda store: [path.unlink() for path in store.folder(CALIFORNIA, "3").iterdir()], "manifest.json"),
    "a version that is not there": (lambda store: shutil.rmtree(store.folder(CALIFORNIA, "3")), "manifest.json"),
    "aliases that are cut": (lambda store: (store.path / CALIFORNIA / "aliases.json").write_text('{"champion": "'), "aliases.json"),
}


@pytest.mark.limit(60)
@pytest.mark.parametrize("damage, hint", BROKEN.values(), ids=BROKEN.keys())
def test_broken_version_under_load(swapping, damage, hint):
    """A broken version made champion by hand under load: the old one goes on, the log and a metric say why, once; the next good one serves"""
    done(futaie_models(swapping.store, "import", CALIFORNIA, other_file()))
    damage(swapping.store)
    expected, second = swapping.body(), json.loads(swapping.body())
    failures = swapping.reloads("failure")
    with Load(swapping.site.http_port, expected=expected) as load:
        if "aliases" not in hint:
            swapping.by_hand("3")
        stack.wait_for("a failed reload", lambda: swapping.reloads("failure") > failures, SERVES_S)
        time.sleep(0.6)
    assert load.lost() == {} and load.requests() > 50, load.result
    assert swapping.reloads("failure") == failures + 1, "it is tried again and again"
    (message,) = {message for message in swapping.errors()}
    assert hint in message and CALIFORNIA in message and "version 1 goes on serving" in message, message
    assert swapping.site.get("/readyz").status == 200 and swapping.app.running()
    swapping.by_hand("2")
    assert json.loads(swapping.wait_for("2"))["predictions"] != second["predictions"]


# Many swaps

def memory_of_swaps(swapping, bodies, first, last):
    """Swaps to and fro, and waits for each to serve; gives back memory after the last."""
    for number in range(first, last):
        version = str(number % 2 + 1)
        swapping.by_hand(version)
        swapping.app.send(signal.SIGHUP)
        assert swapping.wait_for(version) == bodies[int(version) - 1]
    return swapping.app.rss_kib()


@pytest.mark.limit(120)
def test_many_swaps_under_load(swapping, say):
    """Two hundred swaps under load: no request fails, every answer is one of the two, and memory is flat after the tenth"""
    bodies, swaps = swapping.bodies(), 20 if stack.SANITIZED else SWAPS
    with Load(swapping.site.http_port, expected=bodies) as load:
        before, started = memory_of_swaps(swapping, bodies, 0, 10), time.monotonic()
        after = memory_of_swaps(swapping, bodies, 10, swaps)
        each = (time.monotonic() - started) / (swaps - 10)
    assert load.lost() == {}, load.result
    assert sum(load.seen()) == load.requests() and min(load.seen()) > 0, load.result
    say(f"{swaps} swaps under {load.requests()} requests, {each * 1000:.0f} ms each: {before} KiB after the tenth, {after} KiB after the last")
    assert stack.SANITIZED or after < before + FLAT_KIB, f"{before} KiB after the tenth swap, {after} KiB after the last"


@pytest.mark.limit(60)
def test_promotions_in_a_row_under_load(swapping):
    """Promotions as fast as they go, faster than the server looks, end with the last one served and nothing lost"""
    bodies = swapping.bodies()
    with Load(swapping.site.http_port, expected=bodies) as load:
        for number in range(12):
            done(futaie_models(swapping.store, "promote", CALIFORNIA, str(number % 2 + 1)))
        swapping.wait_for("2")
    assert load.lost() == {} and sum(load.seen()) == load.requests(), load.result


@pytest.mark.limit(60)
def test_batches_are_of_one_version(swapping):
    """Batches that are answered while versions change are wholly of the version that they name"""
    bodies = [json.loads(body) for body in swapping.bodies()]
    value = {body["version"]: body["predictions"][0] for body in bodies}
    batch, stopping, seen = {"features": EXAMPLE_BODY["features"] * 2000}, threading.Event(), []

    def swap():
        number = 0
        while not stopping.wait(0.01):
            number += 1
            swapping.by_hand(str(number % 2 + 1))
            swapping.app.send(signal.SIGHUP)

    swapper = threading.Thread(target=swap, daemon=True)
    swapper.start()
    try:
        for _ in range(60):
            answer = swapping.site.post("/predict", batch).json()
            assert set(answer["predictions"]) == {value[answer["version"]]}, f"a mix in an answer of version {answer['version']}"
            seen.append(answer["version"])
    finally:
        stopping.set()
        swapper.join(10)
    assert set(seen) == {"1", "2"}, seen


# A large version

@pytest.fixture(scope="module")
def large():
    """A model of 1,000 trees, made once in a build directory."""
    need.module("xgboost", "python3-xgboost")
    path = stack.BUILD / "test-models" / f"trees-{TREES}.ubj"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        making = path.with_suffix(f".{os.getpid()}.ubj")
        subprocess.run([PYTHON, models.DATA / "make_large.py", "--trees", str(TREES), "--features", ",".join(FEATURES), making],
                       check=True, timeout=100)
        making.replace(path)
    return path


@pytest.mark.limit(60)
def test_large_version_under_load(swapping, large, say):
    """A version of 1,000 trees is promoted under load, and nothing is lost"""
    started = time.monotonic()
    done(futaie_models(swapping.store, "import", CALIFORNIA, large))
    importing = time.monotonic() - started
    bodies = swapping.bodies()
    swapping.by_hand("3")
    bodies.append(swapping.wait_for("3"))
    swapping.by_hand("1")
    swapping.wait_for("1")
    with Load(swapping.site.http_port, expected=bodies) as load:
        started = time.monotonic()
        done(futaie_models(swapping.store, "promote", CALIFORNIA, "3"))
        promoted = time.monotonic()
        swapping.wait_for("3")
        served = time.monotonic()
    assert load.lost() == {} and sum(load.seen()) == load.requests(), load.result
    say(f"swap with {TREES} trees, {large.stat().st_size} bytes: {(served - promoted) * 1000:.0f} ms under load from the end of promote, which "
        f"took {(promoted - started) * 1000:.0f} ms; the import took {importing * 1000:.0f} ms")


@pytest.mark.limit(60)
@pytest.mark.parametrize("on_record", [True, False], ids=["proven", "to be tried"])
def test_end_in_the_middle_of_a_reload(store, large, fresh, on_record):
    """SIGTERM in the middle of a reload ends the process cleanly, at any moment"""
    done(futaie_models(store, "import", CALIFORNIA, large))
    if not on_record:
        (store.folder(CALIFORNIA, "3") / "proof.json").unlink()
    for delay in (0.0, 0.005, 0.02, 0.08, 0.3):
        store.aliases(CALIFORNIA, champion="1")
        app = fresh(store)
        store.aliases(CALIFORNIA, champion="3")
        app.send(signal.SIGHUP)
        time.sleep(delay)
        assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200
        app.stop()
