"""test_keys.py - API keys and limits: futaie keys, 401, 403 and 429, rotation while requests run, and secrets that stay secret"""
import concurrent.futures
import json
import os
import re
import stat
import subprocess
import time

import pytest

from lib import commands, fcgi, fixtures, http, models, prometheus, stack
from lib.load import Load
from lib.models import CALIFORNIA, EXAMPLE_BODY

FORM = re.compile(r"futaie_[0-9a-f]{8}_[A-Za-z0-9_-]{43}\n")
SOON_S = 1              # within which a running server takes a change
SLOW = pytest.mark.skipif(bool(stack.SANITIZED), reason="a sanitizer makes it slow")
LEEWAY_S = 4 if stack.SANITIZED else 1


class Keys:
    """A keys file of a test's own."""

    def __init__(self, name="keys"):
        self.path = stack.scratch(name) / "keys.json"

    def run(self, *words, **options):
        return stack.run_futaie("keys", *words, "--keys", self.path, **options)

    def add(self, label="test", *words):
        return commands.done(self.run("add", label, *words)).strip()

    def list(self):
        return json.loads(commands.done(self.run("list", "--json")))["keys"]

    def revoke(self, key):
        return commands.done(self.run("revoke", key.split("_")[1]))

    def mode(self):
        return stat.S_IMODE(self.path.stat().st_mode)


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def guarded(request, keys, shipped_models):
    """A site that asks for keys of `keys`: guarded(more options)."""
    sites = []

    def start(*words):
        sites.append(stack.Site(shipped_models, ["--keys", keys.path, *words], front=fixtures.front_of(request)))
        return sites[-1]

    yield start
    for site in sites:
        site.__exit__(None, None, None)


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def refused(reply, status, code):
    assert (reply.status, reply.json()["code"]) == (status, code), reply
    assert len(reply.json()["error"]) > 20 and reply.headers["content-type"].startswith("application/json"), reply
    return reply


def scrape(app, key):
    return prometheus.parse(app.request("GET", "/metrics", headers=bearer(key)).text())


BODY = json.dumps(EXAMPLE_BODY).encode()


def half_sent(app, headers=None):
    """A peer that keeps a worker: half of its body has come."""
    return app.peer().begin().params(fcgi.parameters_of("POST", "/predict", len(BODY), "application/json", headers)).stdin(BODY[:40])


def the_rest(peer):
    return peer.stdin(BODY[40:]).end_stdin().reply()


# The command

def test_add(keys):
    """add prints the key on standard output alone, once, and keeps its hash in a file of mode 0600"""
    run = keys.run("add", "équipe A", "--scopes", "predict,metrics", "--expires", "30", "--rate", "5")
    assert run.returncode == 0 and FORM.fullmatch(run.stdout), run
    _, name, secret = run.stdout.strip().split("_", 2)
    assert secret not in run.stderr and name in run.stderr, run
    assert keys.mode() == 0o600 and secret not in keys.path.read_text()
    (key,) = keys.list()
    assert (key["id"], key["label"], key["scopes"], key["rate"]) == (name, "équipe A", ["predict", "metrics"], 5), key
    listed = commands.done(keys.run("list"))
    assert name in listed and "équipe A" in listed and key["expires"] in listed, listed
    stored = json.loads(keys.path.read_text())["keys"][0]
    assert stored["sha256"] not in listed and "sha256" not in key


def test_revoke(keys):
    """revoke removes the key of that id and no other; an unknown id exits 1"""
    first, second = keys.add("one"), keys.add("two")
    keys.revoke(first)
    assert [key["label"] for key in keys.list()] == ["two"]
    run = keys.run("revoke", first.split("_")[1])
    assert run.returncode == 1 and "no key with that id" in run.stderr, run
    run = keys.run("revoke", second)            # a whole key by mistake: not to be shown again
    assert run.returncode == 1 and second not in run.stdout + run.stderr, run


MISUSED = {"no action": [], "an unknown action": ["rotate"], "add without a label": ["add"], "two labels": ["add", "a", "b"],
           "a label of two lines": ["add", "a\nb"], "an empty label": ["add", ""], "a label that is too long": ["add", "x" * 65],
           "an unknown scope": ["add", "a", "--scopes", "all"], "a scope twice": ["add", "a", "--scopes", "predict,predict"],
           "no scope": ["add", "a", "--scopes", ""], "too many days": ["add", "a", "--expires", "36501"],
           "a rate that is too high": ["add", "a", "--rate", "100001"], "list with a rate": ["list", "--rate", "5"],
           "revoke without an id": ["revoke"], "json with add": ["add", "a", "--json"]}


@pytest.mark.parametrize("words", MISUSED.values(), ids=MISUSED.keys())
def test_misuse(keys, words):
    """Wrong usage exits 2 with a sentence, and makes no file"""
    run = keys.run(*words)
    assert run.returncode == 2 and run.stderr.startswith("futaie keys: ") and run.stdout == "", run
    assert not keys.path.exists()


def test_no_file(keys):
    """list and revoke of a file that is not there exit 1 with its name"""
    for words in (["list"], ["revoke", "0123abcd"]):
        run = keys.run(*words)
        assert run.returncode == 1 and str(keys.path.name) in run.stderr, run
    assert not keys.path.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": [{"id": "x"}]}', '{"keys": []} more'])
def test_broken_file(keys, text):
    """A broken file is named, and neither add nor revoke writes over it"""
    keys.path.write_text(text)
    for words in (["list"], ["add", "a"], ["revoke", "0123abcd"]):
        run = keys.run(*words)
        assert run.returncode == 1 and "keys.json" in run.stderr and run.stdout == "", run
    assert keys.path.read_text() == text


def test_mode_and_owner(keys):
    """A file that the server's group may read stays so when a key is added"""
    keys.add()
    keys.path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(keys.path, 0, commands.NOBODY)
    before = keys.path.stat()
    keys.add()
    after = keys.path.stat()
    assert before.st_ino != after.st_ino, "it was not replaced at once"
    assert (keys.mode(), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)


def test_nobody_reads_the_key(keys):
    """Where the key cannot be written to standard output, it is not kept"""
    keys.add("first")
    with open("/dev/full", "w", encoding="ascii") as full:
        run = subprocess.run([stack.FUTAIE, "keys", "add", "lost", "--keys", keys.path], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 1 and "was not kept" in run.stderr, run
    assert [key["label"] for key in keys.list()] == ["first"]


def test_many_commands_at_once(keys):
    """Twenty commands at once lose no key"""
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda number: keys.add(f"key {number}"), range(20)))
    assert len(set(made)) == 20
    assert sorted(key["label"] for key in keys.list()) == sorted(f"key {number}" for number in range(20))


def test_full_disk():
    """On a full disk add exits 1 with a sentence, prints no key and leaves the file as it was"""
    with commands.Mount("64k") as mount:
        path = os.path.join(mount.path, "keys.json")
        assert stack.run_futaie("keys", "add", "first", "--keys", path).returncode == 0
        with open(path, encoding="utf-8") as file:
            before = file.read()
        with mount.filled(but=0):
            run = stack.run_futaie("keys", "add", "second", "--keys", path)
        assert run.returncode == 1 and run.stdout == "" and "No space left" in run.stderr, run
        with open(path, encoding="utf-8") as file:
            assert file.read() == before
        assert stack.run_futaie("keys", "add", "third", "--keys", path).returncode == 0


# What a client sees

PUBLIC = ["/healthz", "/readyz", "/version", "/ping", "/health", "/v2", "/v2/health/live", "/v2/health/ready"]
ASKED = [("POST", "/predict"), ("POST", f"/models/{CALIFORNIA}/predict"), ("POST", f"/models/{CALIFORNIA}/versions/1/predict"),
         ("POST", "/explain"), ("GET", "/models"), ("GET", f"/models/{CALIFORNIA}"), ("GET", "/metrics")]


def test_answers(keys, guarded, front):
    """Without a key 401, with one that lacks the scope 403, with the right one 200; health and version need none"""
    predict, metrics = keys.add(), keys.add("prometheus", "--scopes", "metrics")
    site = guarded()
    for path in PUBLIC:
        assert site.get(path).status == 200
    for method, path in ASKED:
        body = EXAMPLE_BODY if method == "POST" else None
        right, wrong = (metrics, predict) if path == "/metrics" else (predict, metrics)
        reply = refused(site.request(method, path, body), 401, "unauthorized")
        assert reply.headers["www-authenticate"] == "Bearer", reply.headers
        reply = refused(site.request(method, path, body, headers=bearer(wrong)), 403, "forbidden")
        assert "insufficient_scope" in reply.headers["www-authenticate"], reply.headers
        for headers in (bearer(right), {"X-API-Key": right}, {"authorization": f"bearer {right}"}):
            assert site.request(method, path, body, headers=headers).status == 200, f"{method} {path} with {list(headers)}"
    assert site.get("/nothing").status == 404


def test_other_protocols(keys, guarded):
    """The other protocols ask for the same keys, and refuse in their own form"""
    key, other = keys.add(), keys.add("prometheus", "--scopes", "metrics")
    site = guarded()
    for path, name in ((f"/v2/models/{CALIFORNIA}/infer", "error"), ("/invocations", "message")):
        for headers, status, code in (({}, 401, "unauthorized"), (bearer(other), 403, "forbidden")):
            assert name in refused_in_form(site.post(path, b"{", headers=headers), status, code)
        assert site.post(path, b"{", headers=bearer(key)).status == 400
    assert site.get(f"/v2/models/{CALIFORNIA}").status == 401
    assert site.get(f"/v2/models/{CALIFORNIA}", headers=bearer(key)).status == 200


def refused_in_form(reply, status, code):
    assert (reply.status, reply.json()["code"]) == (status, code), reply
    return reply.json()


def test_admin_socket(keys, fresh, shipped_models):
    """With keys, the admin socket asks for one with the scope admin; no other socket knows its paths"""
    key, admin = keys.add(), keys.add("operator", "--scopes", "admin")
    socket = keys.path.parent / "admin.sock"
    app = fresh(shipped_models, ["--keys", keys.path, "--admin-socket", socket])

    def ask(address, headers):
        return fcgi.request(address, "POST", "/v2/repository/index", "", headers=headers).status

    assert [ask(str(socket), headers) for headers in ({}, bearer(key), bearer(admin))] == [401, 403, 200]
    assert ask(app.connect_to(), bearer(admin)) == 404


def test_wrong_keys(keys, guarded, front):
    """A key that is unknown, cut, expired, in the query or of another scheme is 401"""
    key = keys.add()
    site = guarded()
    unknown = key[:16] + "_" + "A" * 43
    other_id = "futaie_00000000" + key[15:]
    for headers in (bearer(unknown), bearer(other_id), bearer(key[:-1]), bearer(key + "A"), bearer(""), bearer("x" * 4000), {"X-API-Key": "x"},
                    {"Authorization": f"Basic {key}"}, {"Authorization": key}, {"Cookie": f"key={key}"}):
        refused(site.post("/predict", EXAMPLE_BODY, headers=headers), 401, "unauthorized")
    refused(site.post(f"/predict?key={key}", EXAMPLE_BODY), 401, "unauthorized")
    assert site.post("/predict", EXAMPLE_BODY, headers=bearer(key)).status == 200


def test_expired(keys, guarded):
    """A key is refused from the second on in which it expires, and the sentence says so"""
    key = keys.add("short", "--expires", "1")
    text = keys.path.read_text()
    expires = json.loads(text)["keys"][0]["expires"]
    site = guarded()
    assert site.post("/predict", EXAMPLE_BODY, headers=bearer(key)).status == 200
    keys.path.write_text(text.replace(expires, "2026-01-01T00:00:00Z"))
    stack.wait_for("the change to be taken", lambda: site.post("/predict", EXAMPLE_BODY, headers=bearer(key)).status == 401, SOON_S + LEEWAY_S)
    assert "expired" in site.post("/predict", EXAMPLE_BODY, headers=bearer(key)).json()["error"]
    assert "(expired)" in commands.done(keys.run("list"))


def test_body_is_not_read(keys, fresh, shipped_models):
    """A request without a key is answered before its body has come"""
    keys.add()
    app = fresh(shipped_models, ["--keys", keys.path])
    with app.peer() as peer:
        reply = peer.begin().params(fcgi.parameters_of("POST", "/predict", 5_000_000, "application/json")).end_stdin().reply()
    refused(reply, 401, "unauthorized")


def test_large_body_without_a_key(keys, guarded, front):
    """A large body without a key is answered 401, and the next request is served"""
    key = keys.add()
    site = guarded()
    for _ in range(2):
        refused(site.post("/predict", b" " * 20_000_000), 401, "unauthorized")
        assert site.post("/predict", EXAMPLE_BODY, headers=bearer(key)).status == 200


def test_counted(keys, fresh, shipped_models):
    """Refusals are counted by reason, and as errors of the model that was asked for"""
    key = keys.add("both", "--scopes", "metrics")
    app = fresh(shipped_models, ["--keys", keys.path, "--rate-per-address", "5"])
    for _ in range(3):
        refused(app.request("POST", "/predict", EXAMPLE_BODY), 401, "unauthorized")
    refused(app.request("POST", "/models/nobody/predict", EXAMPLE_BODY), 401, "unauthorized")
    refused(app.request("POST", f"/models/{CALIFORNIA}/explain", EXAMPLE_BODY, headers=bearer(key)), 403, "forbidden")
    for _ in range(5):
        refused(app.request("GET", "/models"), 401, "unauthorized")
    refused(app.request("GET", "/models"), 429, "rate_limited")
    time.sleep(0.3)
    samples = scrape(app, key)
    counted = {reason: prometheus.get(samples, "futaie_requests_rejected_total", reason=reason)
               for reason in ("unauthorized", "forbidden", "rate_limited", "overloaded")}
    assert counted == {"unauthorized": 9, "forbidden": 1, "rate_limited": 1, "overloaded": 0}
    version = {"model": CALIFORNIA, "version": "1"}
    assert prometheus.get(samples, "prediction_requests_total", **version) == 4
    assert prometheus.get(samples, "prediction_errors_total", code="unauthorized", **version) == 3
    assert prometheus.get(samples, "prediction_errors_total", code="forbidden", **version) == 1
    assert prometheus.get(samples, "prediction_errors_total", code="unauthorized", model="", version="") == 1
    assert not any("nobody" in dict(labels).values() for _, labels in samples)


# Rates

def test_rate_per_key(keys, guarded, front):
    """A key over its rate gets 429 with Retry-After, another key goes on, and after the wait it is let in again"""
    slow, free = keys.add("slow", "--rate", "1"), keys.add("free")
    site = guarded("--rate-per-key", "100000", "--burst", "3")
    statuses = [site.post("/predict", EXAMPLE_BODY, headers=bearer(slow)).status for _ in range(3)]
    assert statuses == [200] * 3
    reply = refused(site.post("/predict", EXAMPLE_BODY, headers=bearer(slow)), 429, "rate_limited")
    assert 1 <= int(reply.headers["retry-after"]) <= 2, reply.headers
    assert site.post("/predict", EXAMPLE_BODY, headers=bearer(free)).status == 200
    time.sleep(int(reply.headers["retry-after"]))
    assert site.post("/predict", EXAMPLE_BODY, headers=bearer(slow)).status == 200


def test_rate_per_address(request, shipped_models, front):
    """An address over its rate gets 429, whatever it says in X-Forwarded-For; health stays open"""
    with stack.Site(shipped_models, ["--rate-per-address", "2", "--burst", "2"], front=front) as site:
        replies = [site.post("/predict", EXAMPLE_BODY, headers={"X-Forwarded-For": f"192.0.2.{number}"}) for number in range(12)]
        statuses = [reply.status for reply in replies]
        assert statuses[:4] == [200] * 4 and 429 in statuses, statuses
        over = next(reply for reply in replies if reply.status == 429)
        assert int(over.headers["retry-after"]) == 1 and over.json()["code"] == "rate_limited", over.headers
        assert [site.get("/healthz").status for _ in range(10)] == [200] * 10


def test_rates_of_two_addresses(fresh, shipped_models):
    """Each address has its own rate, IPv6 by its network"""
    app = fresh(shipped_models, ["--rate-per-address", "1", "--burst", "1"])

    def ask(address):
        variables = {**fcgi.parameters_of("GET", "/models", 0), "REMOTE_ADDR": address}
        with app.peer() as peer:
            return peer.begin().params(variables).end_stdin().reply().status

    assert [ask(address) for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1")] == [200] * 4
    assert [ask(address) for address in ("192.0.2.1", "::ffff:192.0.2.2", "2001:db8::2")] == [429] * 3


def test_in_flight(keys, fresh, shipped_models):
    """One client cannot have all workers: beyond --in-flight-per-client it gets 429, and another is served"""
    first, second = keys.add("first"), keys.add("second")
    app = fresh(shipped_models, ["--keys", keys.path, "--threads", "3", "--in-flight-per-client", "2"])
    peers = [half_sent(app, bearer(first)) for _ in range(2)]
    time.sleep(0.2)
    for _ in range(5):
        reply = refused(app.request("POST", "/predict", EXAMPLE_BODY, headers=bearer(first)), 429, "rate_limited")
        assert int(reply.headers["retry-after"]) >= 1
        assert app.request("POST", "/predict", EXAMPLE_BODY, headers=bearer(second)).status == 200
    for peer in peers:
        with peer:
            assert the_rest(peer).status == 200
    assert app.request("POST", "/predict", EXAMPLE_BODY, headers=bearer(first)).status == 200


# The queue

def send_whole(app):
    """A peer whose request waits as a whole."""
    return app.peer().begin().params(fcgi.parameters_of("POST", "/predict", len(BODY), "application/json")).stdin(BODY).end_stdin()


def test_long_queue(fresh, shipped_models):
    """Where requests wait longer than --queue-max they get 503 with Retry-After once a worker is free, and then all goes on"""
    app = fresh(shipped_models, ["--threads", "1", "--queue-max", "300"])
    with half_sent(app) as busy:
        stack.wait_for("the queue to be long", lambda: app.log_lines("queue"), 5)
        waiting = [send_whole(app) for _ in range(20)]
        health = app.peer().begin().params(fcgi.parameters_of("GET", "/healthz", 0)).end_stdin()
        assert the_rest(busy).status == 200
    replies = [peer.reply() for peer in waiting]
    assert health.reply().status == 200
    # The one that measures came first: those behind it have waited for less, as far as is known.
    assert {reply.status for reply in replies} <= {200, 503}, replies
    for reply in replies:
        if reply.status == 503:
            refused(reply, 503, "overloaded")
            assert int(reply.headers["retry-after"]) >= 1
    stack.wait_for("the queue to be short", lambda: len(app.log_lines("queue")) == 2, 5)
    assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200


def test_long_queue_is_shed(fresh, shipped_models):
    """Requests in front of the one that measures are refused while it has waited for too long"""
    app = fresh(shipped_models, ["--threads", "1", "--queue-max", "400"])
    with half_sent(app) as busy:
        waiting = [send_whole(app) for _ in range(40)]      # before the next connection that measures, or a few behind it
        stack.wait_for("the queue to be long", lambda: app.log_lines("queue"), 5)
        assert the_rest(busy).status == 200
    statuses = [peer.reply().status for peer in waiting]
    assert statuses.count(503) >= 20, statuses
    stack.wait_for("the queue to be short", lambda: len(app.log_lines("queue")) == 2, 5)       # or what asks for the counts is refused and counted, too
    counted = prometheus.parse(app.request("GET", "/metrics").text())
    assert prometheus.get(counted, "futaie_requests_rejected_total", reason="overloaded") == statuses.count(503)
    assert prometheus.get(counted, "prediction_errors_total", model=CALIFORNIA, version="1", code="overloaded") == statuses.count(503)


@pytest.mark.limit(60)
def test_short_queue(request, shipped_models, front):
    """Under a load that it can bear, --queue-max refuses nothing, and what measures is not counted"""
    with stack.Site(shipped_models, ["--queue-max", "1000"], front=front) as site:
        expected = site.post("/predict", EXAMPLE_BODY).text()
        before = site.app.descriptors()
        with Load(site.http_port, expected=expected) as load:
            time.sleep(2)
        assert load.lost() == {} and load.requests() > 100, load.result
        counted = prometheus.parse(site.app.request("GET", "/metrics").text())
        assert prometheus.total(counted, "futaie_request_duration_seconds_count", route="other") == 0
        assert site.app.log_lines("queue") == [] and site.app.settled_descriptors(before + 2) <= before + 2      # the one that measures


# Rotation

@pytest.mark.limit(60)
def test_rotation_under_load(keys, guarded, front):
    """Keys added and revoked under load cost the others no request, and each change is taken within a second"""
    key = keys.add("load")
    site = guarded("--log-requests", "errors")
    expected = site.post("/predict", EXAMPLE_BODY, headers=bearer(key)).text()
    client = http.Client(site.http_port)
    with Load(site.http_port, expected=expected, headers=bearer(key)) as load:
        for _ in range(5):
            new = keys.add("next")
            stack.wait_for("the new key to be good", lambda: client.get("/models", headers=bearer(new)).status == 200, SOON_S + LEEWAY_S)
            keys.revoke(new)
            stack.wait_for("the old key to be refused", lambda: client.get("/models", headers=bearer(new)).status == 401, SOON_S + LEEWAY_S)
    client.close()
    assert load.lost() == {} and load.requests() > 100, load.result


@SLOW
def test_revoked_within_a_second(keys, fresh, shipped_models):
    """A revoked key is refused within a second"""
    key = keys.add()
    app = fresh(shipped_models, ["--keys", keys.path])
    assert app.request("GET", "/models", headers=bearer(key)).status == 200
    keys.revoke(key)
    started = time.monotonic()
    stack.wait_for("the key to be refused", lambda: app.request("GET", "/models", headers=bearer(key)).status == 401, SOON_S)
    assert time.monotonic() - started < SOON_S


def test_broken_while_it_runs(keys, fresh, shipped_models):
    """A keys file that breaks or goes away leaves the keys of before, with a log line and a count; mended, it is taken again"""
    key = keys.add("lasting", "--scopes", "predict,metrics")
    app = fresh(shipped_models, ["--keys", keys.path])
    good = keys.path.read_text()
    for number, damage in enumerate([lambda: keys.path.write_text(good[:-9]), keys.path.unlink], 1):
        damage()
        stack.wait_for("the failure to be logged", lambda: len(app.log_lines("keys_failed")) == number, SOON_S + LEEWAY_S)
        assert app.request("POST", "/predict", EXAMPLE_BODY, headers=bearer(key)).status == 200
        assert prometheus.get(scrape(app, key), "futaie_keys_reloads_total", result="failure") == number
    assert all("keys.json" in line["message"] for line in app.log_lines("keys_failed"))
    keys.path.write_text(good)
    other = keys.add("other")
    stack.wait_for("the file to be taken again", lambda: app.request("GET", "/models", headers=bearer(other)).status == 200, SOON_S + LEEWAY_S)


def test_sighup(keys, fresh, shipped_models):
    """SIGHUP reads the keys at once"""
    keys.add()
    app = fresh(shipped_models, ["--keys", keys.path])
    app.send(stack.signal.SIGHUP)
    stack.wait_for("the keys to be read", lambda: app.log_lines("keys"), SOON_S + LEEWAY_S)


# Starting

@pytest.mark.limit(120)
def test_serve_checks_the_file(keys, shipped_models):
    """serve and serve -t exit 1 with a sentence for a keys file that is missing, broken or anybody's to change"""
    for damage in (lambda: None, lambda: keys.path.write_text("{}"), lambda: (keys.path.unlink(), keys.add(), keys.path.chmod(0o666))):
        damage()
        for words in ([], ["-t"]):
            run = stack.run_futaie("serve", *words, "--models", shipped_models, "--keys", keys.path, "--socket", keys.path.parent / "app.sock")
            assert run.returncode == 1 and "keys.json" in run.stderr, run
    keys.path.chmod(0o600)
    run = stack.run_futaie("serve", "-t", "--models", shipped_models, "--keys", keys.path)
    assert run.returncode == 0 and "keys.json: 1" in run.stdout, run


def test_rate_without_keys(shipped_models):
    """A rate per key without keys exits 2 with a sentence"""
    run = stack.run_futaie("serve", "-t", "--models", shipped_models, "--rate-per-key", "5")
    assert run.returncode == 2 and "--keys" in run.stderr, run


def test_warnings(keys, shipped_models):
    """serve warns where it listens on more than loopback without keys, and where the file holds none"""
    keys.path.write_text('{"keys": []}')
    for args in ([], ["--keys", keys.path]):
        port = stack.free_ports(1)[0]
        with stack.Futaie(shipped_models, args, socket_option=f"0.0.0.0:{port}") as app:
            assert len(app.log_lines("no_keys")) == 1, app.log()
            assert ("holds no keys" in app.log()) == bool(args), app.log()
    keys.add()
    with stack.Futaie(shipped_models, ["--keys", keys.path], socket_option=f"0.0.0.0:{stack.free_ports(1)[0]}") as app:
        assert app.log_lines("no_keys") == [], app.log()
    with stack.Futaie(shipped_models, socket_option=f"127.0.0.1:{stack.free_ports(1)[0]}") as app:
        assert app.log_lines("no_keys") == [], app.log()


class BoundRun(stack.MakeRun):
    """make run with BIND and KEYS."""

    def __init__(self, bind, keys=None, **options):
        self.more = {"BIND": bind, **({"KEYS": str(keys.path)} if keys else {})}
        super().__init__(models.SHIPPED, **options)

    def environment(self):
        return {**super().environment(), **self.more}


@SLOW
def test_make_run_warns(keys):
    """make run warns where BIND is more than loopback and no KEYS are given"""
    keys.add()
    for bind, file, warned in (("0.0.0.0", None, True), ("0.0.0.0", keys, False), ("127.0.0.1", None, False)):
        with BoundRun(bind, file) as part:
            said = stack.wait_for("all to be said", lambda: "Ctrl-C" in part.log() and part.log())
            time.sleep(0.1)
            assert ("WARNING" in part.log()) == warned, said
            part.interrupt()
            part.wait(15)
            part.process.returncode = 0         # by Ctrl-C, which is no failure here


@SLOW
def test_make_run_with_keys(keys, front):
    """make run KEYS=FILE asks for keys, and the curl that it prints works with one in the environment"""
    key = keys.add()
    with BoundRun("127.0.0.1", keys, front=front) as part:
        (command, *_) = stack.printed_curls(part.log())
        for environment, hint in (({"FUTAIE_KEY": key}, "predictions"), ({"FUTAIE_KEY": "x"}, "unauthorized")):
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=10, check=False, env={**os.environ, **environment})
            assert hint in done.stdout and key not in command, done
        part.interrupt()
        part.wait(15)
        part.process.returncode = 0


def test_make_run_without_the_file(keys):
    """make run KEYS=FILE without such a file says how one is made"""
    part = BoundRun("127.0.0.1", keys, ready=False)
    assert part.wait(10) == 1 and "keys add" in part.log(), part.log()


# Secrets

def test_nothing_is_told(keys, guarded, front):
    """No key and no hash is in a log, an answer, the metrics or a command line"""
    key = keys.add("told", "--scopes", "predict,metrics")
    digest = json.loads(keys.path.read_text())["keys"][0]["sha256"]
    site = guarded()
    told = []
    for headers in (bearer(key), {"X-API-Key": key}, bearer(key[:-1] + "!"), {"Authorization": f"Basic {key}"}):
        for path in ("/predict", "/metrics", "/nothing"):
            told.append(site.request("POST", path, "{", "application/json", headers=headers).text())
    told.append(site.get("/metrics", headers=bearer(key)).text())
    for process in (site.app.pid, site.front.pid):
        with open(f"/proc/{process}/cmdline", encoding="latin-1") as file:
            told.append(file.read())
        with open(f"/proc/{process}/environ", encoding="latin-1") as file:
            told.append(file.read())
    site.front.write_logs()
    stack.wait_for("the access log", lambda: len(site.front.access_lines()) >= 12, 8)
    told += [site.app.log(), site.front.log(), site.front.access_log.read_text()]
    for text in told:
        assert key[16:-1] not in text and digest not in text, text
    assert any(line.get("key") == key.split("_")[1] for line in site.app.log_lines("request")), "the log does not say which key"
