"""test_restart.py - kill -9 of the server that make run started, and memory that stays where it is

make run starts futaie by webserver-conf/keep.sh, which holds the listening socket: what has not been accepted when a process dies is
answered by the next one.
"""
import os
import random
import re
import signal
import time

import pytest

from lib import fcgi, fixtures, http, stack
from lib.load import Load

import mixed

CONNECTIONS = 16
KILLS = 4                   # keep.sh waits before the sixth start in a row that lived for less than two seconds
AT_ONCE_S = 1.0
FLAT_KIB = 2_000_000 // 1024
GOOD, BAD, ABORTED = 20_000, 500, 100


@pytest.fixture
def run(request, shipped_models):
    with stack.MakeRun(shipped_models, front=fixtures.front_of(request)) as started:
        yield started


class Client:
    """One HTTP client of a run, and the FastCGI socket behind it."""

    def __init__(self, run):
        self.run = run
        self.http = http.Client(run.http_port)
        configuration = (run.build / "run" / f"{run.front}.conf").read_text()
        self.socket = re.search(r'^(?:var\.socket :=|Define SOCKET) "(.*)"$', configuration, re.MULTILINE)[1]

    def good(self):
        return self.http.request("POST", "/predict", mixed.EXAMPLE, mixed.JSON)

    def connect_to(self):
        return self.socket


def kill(run):
    """kill -9 of the application; gives back its pid."""
    pid = run.application()
    os.kill(pid, signal.SIGKILL)
    return pid


def until_good(client):
    """Seconds until a request is answered well, and the replies before."""
    started, others = time.monotonic(), []
    while (reply := client.good()).status != 200:
        others.append(reply)
        assert time.monotonic() - started < 10, f"no good answer for 10 s: {reply}"
    return time.monotonic() - started, others


@pytest.mark.limit(60)
def test_kill_under_load(run, front, say):
    """kill -9 under load costs no more requests than there are connections, and the next process serves within a second"""
    client, taken = Client(run), []
    expected = client.good().text()
    with Load(run.http_port, CONNECTIONS, expected) as load:
        for _ in range(KILLS):
            time.sleep(0.5)
            old = kill(run)
            seconds, _ = until_good(client)
            taken.append(seconds)
            stack.wait_for("the next process", lambda: run.application() not in (None, old))
        time.sleep(0.5)
    client.http.close()
    lost = load.lost()
    say(f"{KILLS} kills under {load.requests()} requests on {CONNECTIONS} connections: lost {lost or 'none'}; "
        f"good again after {', '.join(f'{seconds * 1000:.0f}' for seconds in taken)} ms")
    assert load.result["status"] <= KILLS * CONNECTIONS, lost
    assert lost.keys() <= {"status", "wrong"}, f"the web server answers all, if only with its own 500 or 503: {lost}"
    assert lost.get("wrong", 0) == lost.get("status", 0), f"a good status with a wrong body: {lost}"
    assert max(taken) < AT_ONCE_S, taken


def test_kill_while_idle(run, front):
    """kill -9 of an idle process costs no request: the next one waits for its successor"""
    client = Client(run)
    for _ in range(3):
        old = kill(run)
        reply = client.good()
        assert reply.status == 200, reply
        stack.wait_for("the next process", lambda: run.application() not in (None, old))
    client.http.close()


def test_log_of_a_kill(run):
    """The log says that the process ended, with which status, and that another was started"""
    kill(run)
    assert Client(run).good().status == 200
    log = (run.build / "log" / "futaie.log").read_text()
    assert re.search(r'"event":"keep","message":"futaie ended with status 137 and is started again"', log), log[-2000:]


# Memory

def load_good(run, count):
    done = 0
    for _ in range(30):
        with Load(run.http_port, CONNECTIONS) as load:
            time.sleep(1)
        assert load.lost() == {}, load.result
        done += load.requests()
        if done >= count:
            return done
    raise AssertionError(f"only {done} requests in half a minute")


def send_bad(client, count):
    """Through lighttpd, so that both are seen to keep nothing."""
    kept = [request for request in mixed.BAD if request[4] != 200 and len(request[1]) < 4000]
    for number in range(count):
        method, path, body, kind, _ = kept[number % len(kept)]
        reply = client.http.request(method, path, body or None, kind)
        assert 400 <= reply.status < 500, f"{method} {path} {body[:60]!r}: {reply}"


def abort(client, count):
    """Straight to the application: it ends in the middle of the parameters, of the body, with an abort, or before the answer is read."""
    for number in range(count):
        with fcgi.Peer(client.connect_to()) as peer:
            mixed.leave_early(peer, number)


def memory(run):
    """Resident memory in KiB and open descriptors of both processes, once the last connections have ended."""
    pids = {"futaie": run.application(),
            "lighttpd": next(pid for pid, command in run.processes().items() if os.path.basename(command.split(" ")[0]) == "lighttpd")}
    seen = {}
    for name, pid in pids.items():
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            seen[name] = int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]), len(os.listdir(f"/proc/{pid}/fd"))
    return seen


@pytest.mark.measures
@pytest.mark.limit(90)
def test_flat(run, say):
    """After 20,000 requests, 500 bad ones and 100 aborted ones, memory has grown by less than 2 MB and no descriptor is left open"""
    client, chance = Client(run), random.Random(1)
    load_good(run, GOOD // 4)
    send_bad(client, BAD // 4)
    abort(client, ABORTED // 4)
    assert client.good().status == 200
    time.sleep(0.3)
    pid, before = run.application(), memory(run)
    steps = [lambda: send_bad(client, BAD // 2), lambda: abort(client, ABORTED // 2)] * 2
    chance.shuffle(steps)
    done = load_good(run, GOOD)
    for step in steps:
        step()
    assert client.good().status == 200
    time.sleep(0.3)
    after = memory(run)
    client.http.close()
    say(f"{done} requests, {BAD} bad, {ABORTED} aborted: (KiB, descriptors) {before} before, {after} after")
    assert run.application() == pid, "it was restarted"
    for name in before:
        assert after[name][0] - before[name][0] < FLAT_KIB, f"{name}: {before[name][0]} KiB before, {after[name][0]} KiB after"
        assert after[name][1] <= before[name][1], f"{name}: {before[name][1]} descriptors before, {after[name][1]} after"
