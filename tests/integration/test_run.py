"""test_run.py - make run's script: it starts, prints what to do, stops, and leaves nothing behind"""
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from lib import fixtures, http, models, stack

STOPPED = (0, 130, -signal.SIGINT)      # a shell that was interrupted may say so


@pytest.fixture
def run(request):
    """Starts run.sh; whatever is left of it is killed after the test. A test that takes `front` too runs with each web server."""
    front, started = fixtures.front_of(request), []

    def start(models_folder=models.SHIPPED, **options):
        started.append(stack.MakeRun(models_folder, **{"front": front, **options}))
        return started[-1]

    yield start
    for part in started:
        part.kill()


def leftovers(folder):
    """Sockets, pipes and pid files in a folder: what only a running process needs."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode) or name.endswith((".pid", ".sock")):
                found.append(path)
    return found


def demand_gone(part):
    """Nothing of a run that has ended is left: no process, no socket, no listener."""
    stack.wait_for("its processes to end", lambda: not part.processes(), 5)
    assert leftovers(part.build) == []
    assert not stack.accepts(part.http_port) and not stack.accepts(part.https_port)


def answers(part):
    client = http.Client(part.http_port)
    reply = client.post("/predict", models.EXAMPLE_BODY)
    client.close()
    return reply.status == 200


def test_prints(run):
    """It prints both URLs and a curl command"""
    part = run()
    assert re.search(rf"http://[a-z0-9.]+:{part.http_port}\b", part.log()), part.log()
    assert re.search(rf"https://[a-z0-9.]+:{part.https_port}\b", part.log()), part.log()
    assert stack.printed_curls(part.log()), part.log()


def test_curl(run, front):
    """The curl command that it prints works as printed, over HTTPS"""
    part = run()
    commands = stack.printed_curls(part.log())
    assert any("https://" in command for command in commands), commands
    for command in commands:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=10, check=False)
        assert done.returncode == 0, f"{command}: {done}"
        assert "predictions" not in command and json.loads(done.stdout)["predictions"][0] > 3, f"{command}: {done}"


@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM"])
def test_stop(run, front, way):
    """It stops, and leaves no process, socket or file behind"""
    part = run()
    assert answers(part) and part.processes()
    if way == "Ctrl-C":
        part.interrupt()
    else:
        part.send(signal.SIGTERM)
    assert part.wait(10) in (STOPPED if way == "Ctrl-C" else (*STOPPED, 143, -signal.SIGTERM)), part.log()
    demand_gone(part)


def test_stop_under_load(run, front):
    """Ctrl-C with requests in flight stops it too"""
    part = run()
    with http.connect(part.http_port) as slow:
        slow.sendall(http.head("POST", "/predict", Content_Length=100) + b"{")
        part.interrupt()
        part.wait(15)
    demand_gone(part)


def test_request_in_flight(run, front):
    """Ctrl-C lets a request in flight be answered"""
    part = run()
    body = json.dumps(models.EXAMPLE_BODY).encode()
    with http.connect(part.http_port) as client:
        client.sendall(http.head("POST", "/predict", Content_Length=len(body)) + body[:-1])
        time.sleep(0.2)
        part.interrupt()
        time.sleep(0.2)
        client.sendall(body[-1:])
        assert http.replies(http.everything(client))[0].status == 200
    assert part.wait(15) in STOPPED, part.log()


def test_twice_ctrl_c(run):
    """A second Ctrl-C does no harm"""
    part = run()
    part.interrupt()
    time.sleep(0.05)
    if part.running():
        part.interrupt()
    part.wait(10)
    demand_gone(part)


def test_again(run, front):
    """Started again in the same place it is quick and keeps its certificate"""
    first = run()
    before = fingerprint(first.https_port)
    first.interrupt()
    first.wait(10)
    started = time.monotonic()
    second = run(build=first.build, ports=(first.http_port, first.https_port))
    assert time.monotonic() - started < 3
    assert answers(second) and fingerprint(second.https_port) == before


def fingerprint(port):
    with socket.create_connection(("127.0.0.1", port), 5) as plain, http.trust_anyone().wrap_socket(plain) as connection:
        return connection.getpeercert(binary_form=True)


@pytest.mark.parametrize("which", [0, 1], ids=["HTTP_PORT", "HTTPS_PORT"])
def test_port_taken(run, which):
    """A port that is taken is named, with the variable that changes it"""
    ports = stack.free_ports(2)
    with socket.create_server(("127.0.0.1", ports[which])):
        part = run(ports=ports, ready=False)
        assert part.wait(10) not in STOPPED, part.log()
    assert str(ports[which]) in part.log() and ("HTTP_PORT", "HTTPS_PORT")[which] in part.log(), part.log()
    assert len(part.log().splitlines()) < 15, part.log()
    demand_gone(part)


def test_two_side_by_side(run):
    """A second one beside it works with its own BUILD and ports"""
    first, second = run(), run()
    assert answers(first) and answers(second)
    first.interrupt()
    first.wait(10)
    demand_gone(first)
    assert answers(second)


def test_second_in_the_same_place(run):
    """A second one in the same BUILD is refused, and the first goes on"""
    first = run()
    second = run(build=first.build, ready=False)
    assert second.wait(10) not in STOPPED, second.log()
    assert "BUILD" in second.log(), second.log()
    assert answers(first)


def test_other_models(run):
    """MODELS names another store"""
    store = models.Store().california(name="renamed")
    part = run(store)
    client = http.Client(part.http_port)
    assert client.post("/predict", models.EXAMPLE_BODY).json()["model"] == "renamed"
    client.close()


def test_broken_models(run):
    """A store that cannot be served ends it with the reason"""
    store = models.Store().california()
    store.flip_byte(models.CALIFORNIA)
    part = run(store, ready=False)
    assert part.wait(15) not in STOPPED, part.log()
    assert "sha256" in part.log(), part.log()
    demand_gone(part)


def test_absent_models(run):
    """A store that is not there ends it with its name"""
    part = run("/nonexistent/models", ready=False)
    assert part.wait(15) not in STOPPED, part.log()
    assert "/nonexistent/models" in part.log(), part.log()
    demand_gone(part)


def test_killed_application(run, front):
    """When the application is killed, it is started again"""
    part = run()
    killed = part.application()
    os.kill(killed, signal.SIGKILL)
    stack.wait_for("another process", lambda: part.application() not in (None, killed), 10)
    assert answers(part)


def test_killed_web_server(run, front):
    """When the web server is killed, it ends with a word about it"""
    part = run()
    os.kill(part.web_server(), signal.SIGKILL)
    assert part.wait(20) not in STOPPED and f"{part.front} ended by itself" in part.log().lower(), part.log()
    demand_gone(part)


def test_unknown_front(run):
    """A FRONT that is none ends it with status 2 and the names that it may be"""
    part = run(front="nginx", ready=False)
    assert part.wait(5) == 2 and all(word in part.log() for word in ("FRONT=nginx", "lighttpd", "apache")), part.log()


def test_killed_script(run, front):
    """When the script itself is killed, its processes do not serve on for ever"""
    part = run()
    part.process.kill()
    part.wait()
    stack.wait_for("its processes to end", lambda: not part.processes(), 10)


def test_from_another_folder(run):
    """It can be started from another folder"""
    assert answers(run(from_folder="/", absolute=True))
