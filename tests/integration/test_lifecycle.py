"""test_lifecycle.py - start, stop, restart and reload, with requests in flight and under load"""
import json
import os
import signal
import socket
import time

import pytest

from lib import fcgi, fixtures, http, models, stack
from lib.load import Load
from lib.models import CALIFORNIA, EXAMPLE_BODY

BODY = json.dumps(EXAMPLE_BODY).encode()
OTHER = "reg-squarederror"


@pytest.fixture
def own_site(request, shipped_models):
    """A site of the test's own, whose application may be stopped."""
    with stack.Site(shipped_models, front=fixtures.front_of(request)) as started:
        yield started


def half_sent(app):
    """A peer that has sent half of its body."""
    peer = app.peer().begin().params(fcgi.parameters_of("POST", "/predict", len(BODY), "application/json"))
    return peer.stdin(BODY[:40])


def the_rest(peer):
    with peer:
        return peer.stdin(BODY[40:]).end_stdin().reply()


# Under load

@pytest.mark.limit(60)
def test_restart_under_load(own_site, front):
    """SIGTERM and start again, twenty times under wrk through the web server, loses no request"""
    expected = own_site.post("/predict", EXAMPLE_BODY).text()
    restarts = 0
    with Load(own_site.http_port, expected=expected) as load:
        while restarts < 20:
            own_site.app.restart()
            restarts += 1
            time.sleep(0.15)
        time.sleep(0.5)
    assert load.lost() == {}, f"{load.result} after {restarts} restarts"
    assert load.requests() > 100, load.result


@pytest.mark.limit(60)
def test_reload_under_load(own_site):
    """SIGHUP twenty times under wrk loses no request, and memory and descriptors are flat"""
    expected = own_site.post("/predict", EXAMPLE_BODY).text()
    for _ in range(10):
        reload_models(own_site.app)
    before = own_site.app.rss_kib(), own_site.app.descriptors()
    with Load(own_site.http_port, expected=expected) as load:
        for _ in range(20):
            reload_models(own_site.app)
            time.sleep(0.05)
    after = own_site.app.rss_kib(), own_site.app.settled_descriptors(before[1])
    assert load.lost() == {}, load.result
    assert load.requests() > 100, load.result
    assert stack.SANITIZED or after[0] < before[0] + 8 * 1024, f"{before[0]} KiB before, {after[0]} KiB after"
    assert after[1] <= before[1], f"{before[1]} descriptors before, {after[1]} after"


@pytest.mark.limit(90)
def test_restart_under_load_of_make_run(shipped_models, front):
    """SIGTERM of what make run started, twenty times under wrk, loses no request"""
    with stack.MakeRun(shipped_models, front=front) as run:
        client = http.Client(run.http_port)
        with Load(run.http_port) as load:
            for _ in range(20):
                old = run.application()
                os.kill(old, signal.SIGTERM)
                stack.wait_for("the next process", lambda: run.application() not in (None, old), 20)
                assert client.get("/readyz").status == 200
                time.sleep(0.1)
        client.close()
        assert load.lost() == {}, load.result
        assert load.requests() > 100, load.result


def reload_models(app):
    """SIGHUP, and waits for the log line about it."""
    seen = len(reloads(app))
    app.send(signal.SIGHUP)
    stack.wait_for("a reload", lambda: len(reloads(app)) > seen, 5)


def reloads(app):
    return [line for line in app.log().splitlines() if '"reload' in line]


@pytest.mark.limit(60)
def test_two_processes_on_one_socket(own_site):
    """A second process on the same socket takes over while the first drains, under load, and no request is lost"""
    expected = own_site.post("/predict", EXAMPLE_BODY).text()
    with Load(own_site.http_port, expected=expected) as load:
        for _ in range(4):
            next_app = stack.Futaie(own_site.app.models, listener=own_site.app.listener)
            own_site.app.stop()
            own_site.app = next_app
            time.sleep(0.2)
    assert load.lost() == {}, load.result


# Draining

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_request_in_flight(fresh, shipped_models, number):
    """With half a body sent, the signal lets the request end and be answered"""
    app = fresh(shipped_models)
    peer = half_sent(app)
    time.sleep(0.1)
    app.send(number)
    time.sleep(0.3)
    assert app.running(), "the process ended with a request in flight"
    assert the_rest(peer).status == 200
    assert app.wait(5) == 0


def test_many_in_flight(fresh, shipped_models):
    """With as many requests in flight as there are workers, SIGTERM loses none"""
    app = fresh(shipped_models, ["--threads", "4"])
    peers = [half_sent(app) for _ in range(4)]
    time.sleep(0.2)
    app.send(signal.SIGTERM)
    time.sleep(0.2)
    assert [the_rest(peer).status for peer in peers] == [200] * 4
    assert app.wait(5) == 0


def test_queue_is_left_to_the_next(fresh, shipped_models):
    """Connections that wait in a handed-over socket are answered by the next process"""
    app = fresh(shipped_models, ["--threads", "1"])
    busy = half_sent(app)
    time.sleep(0.1)
    waiting = [half_sent(app) for _ in range(5)]
    app.send(signal.SIGTERM)
    time.sleep(0.1)
    assert the_rest(busy).status == 200
    assert app.wait(5) == 0
    app.start(ready=False)
    assert [the_rest(peer).status for peer in waiting] == [200] * 5


def test_queue_of_an_own_socket(shipped_models):
    """Connections that wait in a socket of its own are answered before the process ends"""
    path = stack.scratch("queue") / "app.sock"
    app = stack.Futaie(shipped_models, ["--threads", "1"], socket_option=str(path))
    busy = half_sent(app)
    time.sleep(0.1)
    waiting = [half_sent(app) for _ in range(5)]
    app.send(signal.SIGTERM)
    time.sleep(0.1)
    assert the_rest(busy).status == 200
    assert [the_rest(peer).status for peer in waiting] == [200] * 5
    assert app.wait(5) == 0
    assert not path.exists()


def test_idle_stop(fresh, shipped_models):
    """An idle process ends at once"""
    app = fresh(shipped_models)
    started = time.monotonic()
    app.stop()
    assert time.monotonic() - started < (5 if stack.SANITIZED else 1)


def test_silent_peer_does_not_stop_the_drain(fresh, shipped_models):
    """A silent peer holds the drain no longer than --io-timeout"""
    app = fresh(shipped_models, ["--io-timeout", "1"])
    with half_sent(app):
        time.sleep(0.1)
        app.send(signal.SIGTERM)
        assert app.wait(6) == 0


def test_second_signal(fresh, shipped_models):
    """A second SIGTERM while it drains does no harm"""
    app = fresh(shipped_models)
    peer = half_sent(app)
    time.sleep(0.1)
    for _ in range(3):
        app.send(signal.SIGTERM)
        time.sleep(0.05)
    assert the_rest(peer).status == 200
    assert app.wait(5) == 0


def test_signal_while_starting(shipped_models):
    """SIGTERM at any moment of the start ends it cleanly"""
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08):
        app = stack.Futaie(shipped_models, ready=False)
        time.sleep(delay)
        app.send(signal.SIGTERM)
        assert app.wait(5) in (0, -signal.SIGTERM), f"{app.process.returncode} after {delay} s: {app.log()}"


def test_stray_signals(fresh, shipped_models):
    """SIGPIPE, SIGUSR1 and SIGUSR2 do not end the process"""
    app = fresh(shipped_models)
    for number in (signal.SIGPIPE, signal.SIGUSR2, signal.SIGUSR1):
        app.send(number)
        time.sleep(0.05)
        assert app.running(), f"{number.name} ended the process"
        assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200


def test_closed_log(shipped_models):
    """The process serves on when nobody reads its log any more"""
    reader, writer = os.pipe()
    with stack.Futaie(shipped_models, log_to=writer) as app:
        os.close(writer)
        os.close(reader)
        for _ in range(3):
            assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200


def test_kill_and_start(own_site, front):
    """After kill -9 the next process on the socket serves"""
    own_site.app.send(signal.SIGKILL)
    own_site.app.wait()
    own_site.app.start()
    assert own_site.post("/predict", EXAMPLE_BODY).status == 200


# Starting

def test_ready(fresh, shipped_models):
    """/readyz gives 200 once the models are proven, and names nothing that is not ready"""
    app = fresh(shipped_models)
    reply = app.request("GET", "/readyz")
    assert reply.status == 200 and reply.json(), reply


@pytest.mark.measures
def test_memory(fresh, shipped_models):
    """Resident memory with the default model is under 40 MB, also after a thousand requests"""
    app = fresh(shipped_models)
    for _ in range(1000):
        app.request("POST", "/predict", EXAMPLE_BODY)
    assert app.rss_kib() * 1024 < 40_000_000, f"{app.rss_kib()} KiB"


@pytest.mark.measures
def test_memory_is_flat_under_load(own_site):
    """Three seconds of load leave memory and descriptors where they were"""
    with Load(own_site.http_port):
        time.sleep(1)
    before = own_site.app.rss_kib(), own_site.app.descriptors()
    with Load(own_site.http_port) as load:
        time.sleep(3)
    after = own_site.app.rss_kib(), own_site.app.settled_descriptors(before[1])
    assert load.lost() == {} and after[0] <= before[0] + 512 and after[1] <= before[1], f"{before} before, {after} after {load.requests()} requests"


def test_one_bad_model_beside_a_good_one():
    """A model that cannot be proven at the start is left out, and the good one is served"""
    store = models.Store().california().fixture(OTHER)
    store.flip_byte(OTHER)
    with stack.Futaie(store, ["--default-model", CALIFORNIA]) as app:
        assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200
        reply = app.request("POST", f"/models/{OTHER}/predict", {"features": [[1, 2, 3, 4, 5]]})
        assert reply.status in (404, 503) and reply.json()["code"], reply
        assert any(OTHER in json.dumps(line) for line in app.log_lines() if line["level"] in ("warn", "error")), app.log()


def test_threads(fresh, shipped_models):
    """--threads says how many requests run at once"""
    app = fresh(shipped_models, ["--threads", "3"])
    peers = [half_sent(app) for _ in range(3)]
    time.sleep(0.2)
    with pytest.raises(socket.timeout):
        app.request("POST", "/predict", EXAMPLE_BODY, timeout_s=0.5)
    assert [the_rest(peer).status for peer in peers] == [200] * 3


# Who hands the socket over

class SpawningLighttpd(stack.Lighttpd):
    """lighttpd that makes the socket and starts futaie on it by itself (bin-path), with a configuration of a few lines."""

    def place(self, app_socket, settings):
        command = f"{stack.FUTAIE.resolve()} serve --models {models.SHIPPED}"
        return "\n".join(['server.modules = ("mod_fastcgi")', f'server.document-root = "{self.folder.resolve()}"', 'server.bind = "127.0.0.1"',
                          f"server.port = {self.http_port}", f'server.errorlog = "{self.folder.resolve() / "lighttpd.log"}"',
                          f'fastcgi.server = ("/" => (("socket" => "{app_socket}", "bin-path" => "{command}", "max-procs" => 1,'
                          ' "check-local" => "disable")))', ""])

    def start(self):
        self.launch([stack.path_of("lighttpd"), "-D", "-f", self.configuration])
        self.wait_ready(lambda: stack.accepts(self.http_port))
        return self


def test_bin_path():
    """lighttpd's bin-path starts it with the socket as descriptor 0, and it answers"""
    with SpawningLighttpd((stack.scratch("spawned") / "app.sock").resolve()) as front:
        reply = http.Client(front.http_port).post("/predict", EXAMPLE_BODY)
        assert (reply.status, reply.json()["model"]) == (200, CALIFORNIA), reply


def test_spawn_fcgi():
    """spawn-fcgi starts it with the socket as descriptor 0, and it answers"""
    path = stack.scratch("spawned") / "app.sock"
    with stack.Part() as spawned:
        spawned.launch([stack.path_of("spawn-fcgi"), "-n", "-s", path, "--", stack.FUTAIE.resolve(), "serve", "--models", models.SHIPPED])
        spawned.wait_ready(path.exists)
        reply = fcgi.request(str(path), "POST", "/predict", EXAMPLE_BODY)
        assert (reply.status, reply.json()["model"]) == (200, CALIFORNIA), reply
