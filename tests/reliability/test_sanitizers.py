"""test_sanitizers.py - the server with address, undefined-behaviour and thread sanitizers in it, while everything happens at once

The integration tests run with these sanitizers as well (tests/lib/sanitized.sh), one thing after the other. Here clients do all of it
at the same time, models are exchanged under them every 50 ms, and the end comes while requests are in flight.
"""
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from lib import fcgi, models, stack

import mixed

LOAD_S = {"address": 6, "thread": 8}
CLIENTS = 8
WORKERS = 8
RELOAD_EVERY_S = 0.05
FIXTURES = ["binary-logistic", "multi-softprob", "multi-softprob-gblinear", "reg-squarederror-categorical", "survival-aft"]

ENVIRONMENT = {
    "address": {
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1:exitcode=66",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    },
    "thread": {
        "TSAN_OPTIONS": "exitcode=66:history_size=4:detect_deadlocks=1:second_deadlock_stack=1",
        # XGBoost loads a model's trees with libgomp's threads, whose waits for each other the sanitizer cannot see. With one thread
        # there are none, and nothing of the libraries has to be suppressed.
        "OMP_NUM_THREADS": "1",
    },
}
REPORT = re.compile(r"ERROR: (?:Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|ThreadSanitizer: CHECK|Sanitizer: DEADLYSIGNAL")


class Sanitized(stack.Futaie):
    """A server with a sanitizer in it, on a socket of its own: whoever is connected when it ends is answered."""

    def __init__(self, program, sanitizer, store):
        self.program = program
        super().__init__(store, ["--threads", str(WORKERS), "--default-model", models.CALIFORNIA, "--backlog", "64"],
                         socket_option=str(stack.scratch(sanitizer) / "app.sock"), environment=ENVIRONMENT[sanitizer])

    def argv(self):
        return [self.program, *super().argv()[1:]]

    def is_ready(self):
        return os.path.exists(self.address) and super().is_ready()

    def reports(self):
        """What the sanitizer has written, from its first word on."""
        log = self.log()
        found = REPORT.search(log)
        return log[found.start():][:6000] if found else ""


@pytest.fixture(scope="module")
def program(request):
    """Built as tests/lib/sanitized.sh does, in the same place, so that it is built once."""
    sanitizer = request.param
    build = stack.BUILD / sanitizer
    words = [os.environ.get("MAKE", "make"), "--no-print-directory", "-s", "-j2", f"SAN={sanitizer}", f"BUILD={build}", f"{build}/futaie"]
    made = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stderr
    tried = subprocess.run([build / "futaie", "version"], capture_output=True, text=True, timeout=30, check=False)
    if tried.returncode != 0:
        pytest.skip(f"the {sanitizer} sanitizer cannot run on this kernel: {(tried.stderr.splitlines() or ['no message'])[0]}")
    return sanitizer, build / "futaie"


@pytest.fixture
def store():
    """The shipped model, one with many versions, one whose champion changes, and fixtures of several kinds."""
    made = models.Store().california()
    for version in range(1, mixed.VERSIONS + 1):
        made.fixture(mixed.NUMBERED, version=str(version), champion=version == 1)
    for version in ("1", "2"):
        made.fixture(mixed.SWAPPED, version=version)
    for name in FIXTURES:
        made.fixture(name)
    return made.prove()


class Reloads:
    """SIGHUP every 50 ms; now and then another champion, one that cannot be proven, or a store without it."""

    def __init__(self, app, store):
        self.app, self.store, self.count = app, store, 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(10)

    def run(self):
        steps = [self.promote_2, self.no_change, self.break_version, self.promote_1, self.mend_version, self.take_away, self.bring_back,
                 self.no_change]
        while not self.stopping.wait(RELOAD_EVERY_S):
            steps[self.count % len(steps)]()
            self.app.send(signal.SIGHUP)
            self.count += 1

    def no_change(self):
        pass

    def promote_1(self):
        self.store.aliases(mixed.SWAPPED, champion="1")

    def promote_2(self):
        self.store.aliases(mixed.SWAPPED, champion="2")

    def break_version(self):
        """The champion's file no longer has the manifest's sha256: what was served before goes on."""
        self.store.flip_byte(mixed.SWAPPED, "2")

    def mend_version(self):
        self.store.flip_byte(mixed.SWAPPED, "2")

    def take_away(self):
        """A version that may be loaded leaves the store."""
        os.rename(self.store.folder(mixed.NUMBERED, mixed.FLEETING), self.store.folder(mixed.NUMBERED, "away"))

    def bring_back(self):
        os.rename(self.store.folder(mixed.NUMBERED, "away"), self.store.folder(mixed.NUMBERED, mixed.FLEETING))


def reload_count(app):
    return sum('"event":"reload' in line for line in app.log().splitlines())


def unfinished(app):
    """A peer in the middle of its body, and the rest of it."""
    half = len(mixed.EXAMPLE) // 2
    peer = app.peer(timeout_s=mixed.TIMEOUT_S).begin().params(fcgi.parameters_of("POST", "/predict", len(mixed.EXAMPLE), mixed.JSON))
    peer.stdin(mixed.EXAMPLE[:half].encode())
    return peer, mixed.EXAMPLE[half:].encode()


@pytest.mark.limit(150)
@pytest.mark.parametrize("program", ["address", "thread"], indirect=True)
def test_everything_at_once(program, store, say):
    """Requests of every kind, aborts and a reload every 50 ms, then SIGTERM: every answer is right, nothing is reported or leaked"""
    sanitizer, path = program
    app = Sanitized(path, sanitizer, store)
    try:
        with mixed.Clients(app, FIXTURES, CLIENTS) as clients:
            with Reloads(app, store) as reloads:
                time.sleep(LOAD_S[sanitizer])
            peers = [unfinished(app) for _ in range(3)]
            time.sleep(0.2)
            clients.application_ends()
            app.send(signal.SIGTERM)
            time.sleep(0.2)
            last = [peer.stdin(rest).end_stdin().reply().status for peer, rest in peers]
            status = app.wait(60)
    finally:
        app.kill()
    say(f"{sanitizer}: {sum(clients.counts.values())} requests, {reload_count(app)} reloads for {reloads.count} signals: {dict(clients.counts)}")
    assert app.reports() == "", app.reports()
    assert status == 0, f"exit status {status}: {app.log_tail(20)}"
    assert clients.wrong == [], "\n".join(clients.wrong[:20])
    assert last == [200, 200, 200], last
    assert reload_count(app) >= 4 and sum(clients.counts.values()) >= 500, "too little has happened to say anything"
