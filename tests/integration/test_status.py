"""test_status.py - GET /status: the last hour as the console sees it"""
import datetime
import json
import threading
import time

import pytest

from lib import models, stack
from lib.models import CALIFORNIA, EXAMPLE, EXAMPLE_BODY

LISTS = ("requests", "errors", "failures")


@pytest.fixture
def app(fresh, shipped_models):
    return fresh(shipped_models)


def status(site):
    reply = site.request("GET", "/status")
    assert reply.status == 200 and reply.headers["content-type"] == "application/json", reply
    return json.loads(reply.text())


def counted(steps):
    return sum(number for number in steps if number is not None)


def test_form(front, shipped_models):
    """The web server passes it on: sixty steps a span, null before the start, exact counts"""
    with stack.Site(shipped_models, front=front) as site:
        before = status(site)
        assert (before["workers"], before["in_flight"], before["feedback"]) == (2, 1, False) or before["workers"] > 2, before
        assert before["totals"] == {"requests": 0, "errors": 0, "failures": 0, "rows": 0}
        for _ in range(3):
            assert site.post("/predict", {"features": [EXAMPLE] * 2}).status == 200
        assert site.post("/predict", "{").status == 400
        after = status(site)
    assert after["totals"] == {"requests": 4, "errors": 1, "failures": 0, "rows": 6}
    assert after["models"] == [{"name": CALIFORNIA, "version": "1", "requests": 4, "errors": 1, "rows": 6,
                                "hour": {"requests": 4, "errors": 1}, "live": None}]
    for name, seconds in (("hour", 60), ("minute", 1)):
        span = after[name]
        assert span["step_s"] == seconds and 0 <= span["elapsed_s"] <= seconds, span
        for steps in [*(span[each] for each in LISTS), *span["latency_ms"].values()]:
            assert len(steps) == 60 and steps[0] is None, span
        assert [counted(span[each]) for each in LISTS] == [4, 1, 0], span
        assert sorted(span["latency_ms"]) == ["p50", "p90", "p99"]
        for p50, p90, p99, requests in zip(*(span["latency_ms"][each] for each in ("p50", "p90", "p99")), span["requests"]):
            assert (0 < p50 <= p90 <= p99 < 60000) if requests else (p50, p90, p99) == (None, None, None), span


def test_times(app):
    """now, started and uptime_s agree with the clock"""
    seen = status(app)
    now, started = (datetime.datetime.fromisoformat(seen[name].replace("Z", "+00:00")) for name in ("now", "started"))
    assert abs(now.timestamp() - time.time()) < 5 and abs((now - started).total_seconds() - seen["uptime_s"]) <= 2, seen


def test_counts_at_once(app):
    """Who has an answer finds it counted, and GETs are no predictions"""
    for sent in range(1, 20):
        assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200
        seen = status(app)
        assert (seen["totals"]["requests"], counted(seen["hour"]["requests"]), counted(seen["minute"]["requests"])) == (sent,) * 3, seen
    assert app.request("POST", "/explain", EXAMPLE_BODY).status == 200
    assert app.request("POST", "/models/nobody/predict", EXAMPLE_BODY).status == 404
    seen = status(app)
    assert (seen["totals"]["requests"], seen["totals"]["errors"], seen["models"][0]["requests"]) == (21, 1, 20), seen


def test_steps_move(app):
    """Seconds pass by: what was counted moves towards the past"""
    assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200

    def moved():
        steps = status(app)["minute"]["requests"]
        assert counted(steps) == 1, steps
        return steps[-1] == 0 and 1 in steps[-5:-1]
    stack.wait_for("the second to be over", moved)


def test_failures_are_the_servers(fresh):
    """A model that cannot answer is a failure; a client's mistake is none"""
    store = models.Store().california().add(models.SHIPPED / CALIFORNIA, version="2", champion=False)
    store.flip_byte(CALIFORNIA, "2")
    app = fresh(store)
    assert app.request("POST", "/predict", "{").status == 400
    assert app.request("POST", f"/models/{CALIFORNIA}/versions/2/predict", EXAMPLE_BODY).status == 503
    assert status(app)["totals"] == {"requests": 2, "errors": 2, "failures": 1, "rows": 0}


@pytest.mark.limit(60)
def test_under_load(app):
    """Six clients, and two that look all the time: sums only grow, and end where they must"""
    each, clients, seen = 200, 6, []

    def client():
        for turn in range(each):
            app.request("POST", "/predict", "{" if turn % 4 == 0 else EXAMPLE_BODY)

    def looker():
        mine = []
        while any(thread.is_alive() for thread in threads):
            now = status(app)
            mine.append(now["totals"]["requests"])
            assert counted(now["hour"]["requests"]) == now["totals"]["requests"], now
        seen.append(mine)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    lookers = [threading.Thread(target=looker) for _ in range(2)]
    for thread in [*threads, *lookers]:
        thread.start()
    for thread in [*threads, *lookers]:
        thread.join()
    assert len(seen) == 2 and all(mine == sorted(mine) and mine for mine in seen), seen
    totals = status(app)["totals"]
    assert (totals["requests"], totals["errors"]) == (each * clients, each * clients / 4), totals


def test_methods(app):
    """HEAD works, POST is 405"""
    assert app.request("HEAD", "/status").status == 200
    reply = app.request("POST", "/status", "{}")
    assert reply.status == 405 and reply.headers["allow"] == "GET, HEAD", reply
