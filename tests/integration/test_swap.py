"""test_swap.py - versions exchanged while wrk sends requests through the web server: promote, rollback, broken versions, two hundred swaps"""
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from lib import commands, fixtures, models, need, prometheus, stack
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

    def metric(self, name, **labels):
        return prometheus.get(prometheus.parse(self.app.request("GET", "/metrics").text()), name, **labels)

    def reloads(self, result):
        return self.metric("futaie_model_reloads_total", result=result)

    def failures(self, reason):
        return self.metric("futaie_model_failures_total", model=CALIFORNIA, reason=reason)

    def errors(self):
        return [line["message"] for line in self.app.log_lines() if line["level"] == "error"]


def other_file():
    """The shipped model with another base_score: the same features and trees, other answers."""
    content = (models.SHIPPED / CALIFORNIA / "1" / "model.ubj").read_bytes()
    at = content.index(b"base_score") + len("base_scoreSL") + 8
    path = stack.scratch("other") / "model.ubj"
    path.write_bytes(content[:at] + bytes([content[at] + 1]) + content[at + 1:])
    return path


def two_versions():
    made = models.Store().california()
    done(futaie_models(made, "import", CALIFORNIA, other_file()))
    return made.prove()


@pytest.fixture
def store():
    """Version 1 as it is shipped, which is champion, and version 2."""
    return two_versions()


@pytest.fixture
def swapping(request, store):
    """The versions behind a web server: with each of them where the test takes `front` as well."""
    with stack.Site(store, front=fixtures.front_of(request)) as site:
        yield Swapping(site, store)


# Promote and rollback

@pytest.mark.limit(90)
def test_promote_and_rollback_under_load(swapping, front):
    """promote and rollback under load are served without a signal, lose no request, and every answer is wholly of one version"""
    bodies = swapping.bodies()
    with Load(swapping.site.http_port, expected=bodies) as load:
        for _ in range(2):
            done(futaie_models(swapping.store, "promote", CALIFORNIA, "2"))
            assert swapping.wait_for("2") == bodies[1]
            done(futaie_models(swapping.store, "rollback", CALIFORNIA))
            assert swapping.wait_for("1") == bodies[0]
    assert load.lost() == {}, load.result
    assert min(load.seen()) > 0 and sum(load.seen()) == load.requests(), load.result
    assert swapping.reloads("failure") == 0 and swapping.errors() == []


@pytest.mark.limit(60)
def test_promote_and_signal(swapping, front):
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

def truncated(store, version):
    path = store.model_file(CALIFORNIA, version)
    path.write_bytes(path.read_bytes()[:-1000])


def truncated_with_its_sha256(store, version):
    truncated(store, version)
    store.rewrite_sha256(CALIFORNIA, version)


def golden_off(store, version):
    store.change_manifest(CALIFORNIA, version, lambda manifest: manifest["golden"].update(outputs=[0.5] * len(manifest["golden"]["inputs"])))


def wrong_features(store, version):
    store.change_manifest(CALIFORNIA, version, lambda manifest: manifest["features"].reverse())


def crashing(store, version):
    store.model_file(CALIFORNIA, version).write_bytes(commands.crashing_file())
    store.rewrite_sha256(CALIFORNIA, version)


def without_files(store, version):
    for path in store.folder(CALIFORNIA, version).iterdir():
        path.unlink()


def without_folder(store, version):
    shutil.rmtree(store.folder(CALIFORNIA, version))


def cut_aliases(store, _version):
    (store.path / CALIFORNIA / "aliases.json").write_text('{"champion": "')


# What is done to a version, what the log says then, and the reason that a metric gives.
BROKEN = {
    "a truncated file": (truncated, "sha256", "sha256_mismatch"),
    "a truncated file with its own sha256": (truncated_with_its_sha256, "the model file, byte", "bad_model"),
    "golden rows that are off": (golden_off, "golden row 0", "golden_mismatch"),
    "wrong features": (wrong_features, "Longitude", "bad_manifest"),
    "no files at all": (without_files, "manifest.json", "file"),
    "a version that is not there": (without_folder, "manifest.json", "file"),
    "aliases that are cut": (cut_aliases, "aliases.json", None),
}


@pytest.fixture(scope="module")
def broken():
    """One site for all broken versions."""
    store = two_versions()
    with stack.Site(store) as site:
        yield Swapping(site, store)


def break_under_load(swapping, damage, hint, reason):
    """Makes a broken version champion by hand; version 1 must go on, and version 2 serve afterwards."""
    version = done(futaie_models(swapping.store, "import", CALIFORNIA, other_file())).split(" version ")[1].split(" ")[0]
    expected, n_errors = swapping.wait_for("1"), len(swapping.errors())
    before = swapping.reloads("failure"), swapping.failures(reason)
    damage(swapping.store, version)
    with Load(swapping.site.http_port, expected=expected) as load:
        if damage is not cut_aliases:
            swapping.by_hand(version)
        stack.wait_for("a failed reload", lambda: swapping.reloads("failure") > before[0], SERVES_S)
        time.sleep(0.8)
    assert load.lost() == {} and load.requests() > 50, load.result
    # A store that changed in the last few milliseconds is read once more, in case it goes on changing.
    assert swapping.reloads("failure") - before[0] in (1, 2), "it is tried again and again"
    assert not reason or swapping.failures(reason) - before[1] in (1, 2)
    (message,) = set(swapping.errors()[n_errors:])
    assert hint in message and CALIFORNIA in message and "version 1 goes on serving" in message, message
    assert swapping.site.get("/readyz").status == 200 and swapping.app.running()
    swapping.by_hand("2")
    assert json.loads(swapping.wait_for("2"))["predictions"] != json.loads(expected)["predictions"]
    swapping.by_hand("1")
    assert swapping.wait_for("1") == expected


@pytest.mark.limit(60)
@pytest.mark.parametrize("kind", BROKEN)
def test_broken_version_under_load(broken, kind):
    """A broken version made champion by hand under load: the old one goes on, the log and metrics say why; the next good one serves"""
    break_under_load(broken, *BROKEN[kind])


@pytest.mark.limit(60)
def test_hostile_version_under_load(swapping, front):
    """A version on which libxgboost would crash, with a right sha256, made champion by hand under load: the old one goes on"""
    break_under_load(swapping, crashing, "the model file, byte", "bad_model")


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
def test_many_swaps_under_load(swapping, front, say):
    """Two hundred swaps under load: no request fails, every answer is one of the two, and memory is flat after the tenth"""
    bodies, swaps = swapping.bodies(), 20 if stack.SANITIZED else SWAPS
    with Load(swapping.site.http_port, expected=bodies) as load:
        before, started = memory_of_swaps(swapping, bodies, 0, 10), time.monotonic()
        after = memory_of_swaps(swapping, bodies, 10, swaps)
        each = (time.monotonic() - started) / (swaps - 10)
    assert load.lost() == {}, load.result
    assert sum(load.seen()) == load.requests() and min(load.seen()) > 0, load.result
    say(f"{front}: {swaps} swaps under {load.requests()} requests, {each * 1000:.0f} ms each: {before} KiB after the tenth, {after} KiB after the last")
    assert stack.SANITIZED or after < before + FLAT_KIB, f"{before} KiB after the tenth swap, {after} KiB after the last"


@pytest.mark.limit(60)
def test_promotions_in_a_row_under_load(swapping):
    """Promotions as fast as they go, faster than the server looks, end with the last one served and nothing lost"""
    bodies = swapping.bodies()
    with Load(swapping.site.http_port, expected=bodies) as load:
        for number in range(8):
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
        for _ in range(40):
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
