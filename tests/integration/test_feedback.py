"""test_feedback.py - truths that come later: live errors, and the journal of what was asked and answered"""
import contextlib
import errno
import json
import os
import signal
import subprocess
import threading

import numpy
import pytest

from lib import fault, fcgi, load, models, prometheus, stack
from lib.models import CALIFORNIA, EXAMPLE, EXAMPLE_BODY, FEATURES

ON = ["--feedback-answers", "5000"]
MIB = 1 << 20
not_sanitized = pytest.mark.skipif(bool(stack.SANITIZED), reason="a sanitizer wants to be loaded first")


@pytest.fixture(scope="module")
def site(front):
    """Every fixture model behind a web server, with feedback on."""
    with stack.Site(models.FIXTURES, ON, front=front) as started:
        yield started


@pytest.fixture
def app(fresh, shipped_models):
    return fresh(shipped_models, ON)


@pytest.fixture
def journal():
    return stack.scratch("journal") / "predictions.jsonl"


def predict(site, rows, name=CALIFORNIA, request_id=None, path="predict"):
    """The predictions and the id of the answer."""
    headers = {"X-Request-Id": request_id} if request_id else {}
    reply = site.request("POST", f"/models/{name}/{path}", {"features": rows}, headers=headers) if not isinstance(site, stack.Site) else \
        site.post(f"/models/{name}/{path}", {"features": rows}, headers=headers)
    assert reply.status == 200, reply
    return json.loads(reply.text()).get("predictions"), reply.headers["x-request-id"]


def post(site, body):
    if isinstance(site, stack.Site):
        return site.post("/feedback", body)
    return site.request("POST", "/feedback", body)


def give(site, request_id, actual, status=200):
    reply = post(site, {"id": request_id, "actual": actual})
    assert reply.status == status, reply
    return json.loads(reply.text())


def refused(reply, status, code):
    error = json.loads(reply.text())
    assert (reply.status, error["code"]) == (status, code) and len(error["error"]) > 20, reply
    return error["error"]


def scrape(site):
    app = site.app if isinstance(site, stack.Site) else site
    return prometheus.parse(app.request("GET", "/metrics").text())


def live(site, name, version="1"):
    found = [model["live"] for model in json.loads(site.request("GET", "/status").text())["models"] if model["name"] == name and model["version"] == version]
    assert len(found) == 1
    return found[0]


def close(got, expected):
    assert abs(got - expected) <= 1e-12 * max(1, abs(expected)), f"{got!r}, expected {expected!r}"


def rows_of(name):
    """The fixture's rows but for those that XGBoost answers with huge numbers."""
    expected = json.loads(models.expected(name))
    return [row for row, value in zip(expected["rows"], expected["predictions"]) if numpy.all(numpy.abs(numpy.array(value, dtype=float)) < 1e6)]


def lines_of(path):
    """By their time: each worker's lines come to the file in their order, those of several workers as it happens."""
    return sorted((json.loads(line) for line in path.read_text().splitlines()), key=lambda line: line["time"])


# Truths and live errors

def test_round_trip(site):
    """An answer's X-Request-Id, or the client's own, takes the truth"""
    row = rows_of("reg-squarederror")[0]
    for own in (None, "order-4711"):
        _, request_id = predict(site, [row], "reg-squarederror", own)
        assert own is None or request_id == own
        assert give(site, request_id, 4.5) == {"model": "reg-squarederror", "version": "1", "matched": 1, "repeated": 0}
        assert give(site, request_id, 9.5) == {"model": "reg-squarederror", "version": "1", "matched": 0, "repeated": 1}


def test_live_rmse(site):
    """futaie_live_rmse is NumPy's, over single rows, several rows, and rows that are not known"""
    name, random = "reg-gamma", numpy.random.default_rng(5)
    rows = rows_of(name)
    predicted, truths = [], []
    for size in [1] * 40 + [3] * 20 + [16] * 5:
        chosen = [rows[i] for i in random.integers(0, len(rows), size)]
        values, request_id = predict(site, chosen, name)
        actual = [float(numpy.float32(x)) for x in random.gamma(2, 3, size)]
        known = random.random(size) < 0.8 if size > 1 else [True]
        give(site, request_id, actual[0] if size == 1 else [x if k else None for x, k in zip(actual, known)])
        predicted += [v for v, k in zip(values, known) if k]
        truths += [x for x, k in zip(actual, known) if k]
    errors = numpy.array(predicted, dtype=numpy.float32).astype(float) - numpy.array(truths)
    rmse = float(numpy.sqrt(numpy.mean(errors ** 2)))
    samples = scrape(site)
    close(prometheus.get(samples, "futaie_live_rmse", model=name, version="1"), rmse)
    close(prometheus.get(samples, "futaie_live_loss_sum", model=name, version="1", measure="rmse"), float(numpy.sum(errors ** 2)))
    assert prometheus.get(samples, "futaie_live_loss_count", model=name, version="1", measure="rmse") == len(truths)
    shown = live(site, name)
    assert (shown["measure"], shown["n"]) == ("rmse", len(truths)) and abs(shown["value"] - rmse) < 1e-6 * rmse, (shown, rmse)


def expected_logloss(values, truths):
    values, truths = numpy.array(values, dtype=numpy.float32).astype(float), numpy.array(truths, dtype=float)
    if values.ndim == 2:
        return -numpy.log(numpy.maximum(values[range(len(truths)), truths.astype(int)], 1e-16))
    return -truths * numpy.log(numpy.maximum(values, 1e-16)) - (1 - truths) * numpy.log(numpy.maximum(1 - values, 1e-16))


@pytest.mark.parametrize("name", ["binary-logistic", "multi-softprob", "binary-logitraw"])
def test_live_logloss(site, name):
    """futaie_live_logloss is NumPy's, for probabilities, classes and margins"""
    random = numpy.random.default_rng(7)
    values, truths = [], []
    for row in rows_of(name):
        answer, request_id = predict(site, [row], name)
        truth = int(random.integers(0, len(answer[0]) if isinstance(answer[0], list) else 2))
        give(site, request_id, [truth])
        values += answer
        truths.append(truth)
    if name == "binary-logitraw":
        values = 1 / (1 + numpy.exp(-numpy.array(values, dtype=numpy.float32).astype(float)))
        losses = -numpy.where(truths, numpy.log(values), numpy.log(1 - values))
    else:
        losses = expected_logloss(values, truths)
    close(prometheus.get(scrape(site), "futaie_live_logloss", model=name, version="1"), float(numpy.mean(losses)))


def test_live_error_rate(site):
    """Classes are held against classes"""
    wrong = 0
    for turn, row in enumerate(rows_of("multi-softmax")[:20]):
        (value,), request_id = predict(site, [row], "multi-softmax")
        wrong += value != turn % 3
        give(site, request_id, turn % 3)
    assert prometheus.get(scrape(site), "futaie_live_error_rate", model="multi-softmax", version="1") == wrong / 20


def test_several_targets(site):
    """A row of several targets takes an array"""
    name = "reg-squarederror-multi-output"
    row = rows_of(name)[0]
    values, request_id = predict(site, [row, row], name)
    width = len(values[0])
    assert width > 1
    refused(post(site, {"id": request_id, "actual": [1, 2]}), 400, "wrong_type")
    assert give(site, request_id, [[1] * width, [None] * width])["matched"] == 1
    error = numpy.array(values[0], dtype=numpy.float32).astype(float) - 1
    close(prometheus.get(scrape(site), "futaie_live_rmse", model=name, version="1"), float(numpy.sqrt(numpy.mean(error ** 2))))
    _, request_id = predict(site, [row], name)
    assert give(site, request_id, [1.5] * width)["matched"] == 1


def test_no_measure(site):
    """Ranks have no error of their own: truths are taken, and no gauge is made up"""
    _, request_id = predict(site, [rows_of("rank-map")[0]], "rank-map")
    assert give(site, request_id, 2)["matched"] == 1
    assert live(site, "rank-map") is None


def test_explanations_count(site):
    """The prediction in an explanation is remembered, too"""
    _, request_id = predict(site, [rows_of("reg-tweedie")[0]], "reg-tweedie", path="explain")
    assert give(site, request_id, 1)["matched"] == 1


PROTOCOLS = {
    "/predict": {"features": [EXAMPLE]},
    "/explain": {"features": [EXAMPLE]},
    "/invocations": {"dataframe_split": {"columns": FEATURES, "data": [EXAMPLE]}},
    f"/v2/models/{CALIFORNIA}/infer": {"inputs": [{"name": "input", "shape": [1, 8], "datatype": "FP32", "data": EXAMPLE}]},
    f"/v2/models/{CALIFORNIA}/versions/1/infer": {"inputs": [{"name": "input", "shape": [1, 8], "datatype": "FP64", "data": EXAMPLE}]},
}


def test_every_protocol(fresh, shipped_models, journal):
    """Answers of every protocol are remembered and journalled, those of the admin socket too"""
    admin = stack.scratch("admin") / "admin.sock"
    app = fresh(shipped_models, [*ON, "--journal", journal, "--threads", "2", "--admin-socket", admin])
    asked = []
    for request in (app.request, lambda *words: fcgi.request(str(admin), *words)):
        for path, body in PROTOCOLS.items():
            reply = request("POST", path, body)
            assert reply.status == 200, (path, reply)
            asked.append(reply.headers["x-request-id"])
            assert json.loads(request("POST", "/feedback", {"id": asked[-1], "actual": 4.5}).text())["matched"] == 1, path
    assert live(app, CALIFORNIA)["n"] == len(asked)
    app.stop()
    lines = lines_of(journal)
    for kind in ("prediction", "feedback"):
        assert [line["id"] for line in lines if line["kind"] == kind] == asked, kind
    assert len({line["prediction"] for line in lines if line["kind"] == "prediction"}) == 1
    assert len({tuple(line["features"].items()) for line in lines if line["kind"] == "prediction"}) == 1


def test_unknown_id(site):
    """An id that is not known, of whatever kind, is 404 unknown_id with a sentence"""
    for request_id in ("nobody", "", "x" * 64, "x" * 1000, "Bär", "a\tb"):
        assert "remembered" in refused(post(site, {"id": request_id, "actual": 1}), 404, "unknown_id")


def test_too_large(site):
    """An answer of many rows, and margins, say why they take no truth"""
    row = rows_of("reg-squarederror")[0]
    _, request_id = predict(site, [row] * 17, "reg-squarederror")
    assert "16 rows" in refused(post(site, {"id": request_id, "actual": [1] * 17}), 404, "unknown_id")
    _, request_id = predict(site, [row], "reg-squarederror", path="predict?output=margin")
    assert "margins" in refused(post(site, {"id": request_id, "actual": 1}), 404, "unknown_id")


@pytest.mark.parametrize("outputs", [[{"name": "margin"}, {"name": "predict"}], [{"name": "predict", "parameters": {"binary_data": True}}, {"name": "margin"}]],
                         ids=["margins first", "values in binary"])
def test_margins_beside_values(site, outputs):
    """Where margins stand beside the values, in whatever order, the truth is held against the values"""
    name = "binary-logistic"
    row = rows_of(name)[0]
    before = prometheus.total(scrape(site), "futaie_live_loss_sum", model=name)
    value = predict(site, [row], name, "values-alone")[0][0]
    reply = site.post(f"/v2/models/{name}/infer", {"outputs": outputs, "inputs": [{"name": "input", "shape": [1, len(row)], "datatype": "FP32", "data": row}]},
                      headers={"X-Request-Id": "values-and-margins"})
    assert reply.status == 200, reply
    assert give(site, "values-and-margins", 1)["matched"] == 1
    close(prometheus.total(scrape(site), "futaie_live_loss_sum", model=name) - before, expected_logloss([value], [1])[0])


BAD = {
    "no JSON": ("{", "bad_json"), "an array": ("[]", "wrong_type"), "nothing": ("", "bad_json"), "no members": ("{}", "missing_field"),
    "no id": ('{"actual": 1}', "missing_field"), "no truth": ('{"id": "a"}', "missing_field"), "another member": ('{"id": "a", "actual": 1, "x": 2}', "unknown_field"),
    "two ids": ('{"id": "a", "id": "a", "actual": 1}', "repeated_field"), "two truths": ('{"id": "a", "actual": 1, "actual": 1}', "repeated_field"),
    "a number for an id": ('{"id": 7, "actual": 1}', "wrong_type"), "a string for a truth": ('{"id": "a", "actual": "1"}', "wrong_type"),
    "true": ('{"id": "a", "actual": true}', "wrong_type"), "null alone": ('{"id": "a", "actual": null}', "wrong_type"),
    "NaN alone": ('{"id": "a", "actual": NaN}', "wrong_type"), "an object": ('{"id": "a", "actual": {}}', "wrong_type"),
    "an empty array": ('{"id": "a", "actual": []}', "wrong_type"), "an array with an empty one": ('{"id": "a", "actual": [[]]}', "wrong_type"),
    "arrays of two lengths": ('{"id": "a", "actual": [[1, 2], [1]]}', "wrong_type"), "numbers and arrays": ('{"id": "a", "actual": [1, [1]]}', "wrong_type"),
    "arrays and numbers": ('{"id": "a", "actual": [[1], 1]}', "wrong_type"), "deep arrays": ('{"id": "a", "actual": [[[1]]]}', "wrong_type"),
    "a string within": ('{"id": "a", "actual": [1, "2"]}', "wrong_type"), "33 numbers": ('{"id": "a", "actual": [%s]}' % ",".join("1" * 33), "wrong_type"),
    "Infinity": ('{"id": "a", "actual": 1e999}', "bad_number"), "more behind": ('{"id": "a", "actual": 1} {}', "bad_json"), "a list's null": ('{"feedback": [null]}', "wrong_type"),
    "a cut list": ('{"feedback": [{"id": "a", "actual": 1}', "bad_json"),
    "a list that is none": ('{"feedback": {}}', "wrong_type"), "two lists": ('{"feedback": [], "feedback": []}', "repeated_field"),
    "something beside the list": ('{"feedback": [], "id": "a"}', "unknown_field"), "numbers in the list": ('{"feedback": [1]}', "wrong_type"),
    "a list in a list": ('{"feedback": [{"feedback": []}]}', "unknown_field"),
}


@pytest.mark.parametrize("body, code", BAD.values(), ids=BAD)
def test_bad_bodies(site, body, code):
    """A body of another form is 400 with a sentence"""
    before = prometheus.total(scrape(site), "futaie_feedback_total", result="refused")
    refused(post(site, body), 400, code)
    assert prometheus.total(scrape(site), "futaie_feedback_total", result="refused") == before + 1


def test_wrong_truths(site):
    """A truth that no answer of the objective could be is 400, and counts nothing"""
    for name, actual in (("binary-logistic", 1.5), ("binary-logistic", -1), ("multi-softprob", 99), ("multi-softprob", 0.5), ("binary-hinge", 2)):
        before = live(site, name)
        _, request_id = predict(site, [rows_of(name)[0]], name)
        refused(post(site, {"id": request_id, "actual": actual}), 400, "bad_number")
        assert live(site, name) == before
        assert give(site, request_id, 1)["matched"] == 1


def test_list(site):
    """A list joins what can be joined, and says which could not"""
    row = rows_of("reg-squarederror")[0]
    ids = [predict(site, [row], "reg-squarederror")[1] for _ in range(3)]
    items = [{"id": each, "actual": 1} for each in ids] + [{"id": "nobody", "actual": 1}, {"actual": [1, 2], "id": ids[0]}, {"id": ids[1], "actual": 2}]
    reply = json.loads(post(site, {"feedback": items}).text())
    assert (reply["matched"], reply["repeated"]) == (3, 1), reply
    assert [(each["index"], each["id"], each["code"]) for each in reply["failed"]] == [(3, "nobody", "unknown_id"), (4, ids[0], "wrong_type")], reply


def test_list_with_a_mistake(site):
    """A list with a mistake in its form changes nothing, and its place is named"""
    row = rows_of("reg-squarederror")[0]
    _, request_id = predict(site, [row], "reg-squarederror")
    reply = post(site, {"feedback": [{"id": request_id, "actual": 1}, {"id": request_id, "actual": "one"}]})
    assert "feedback 1:" in refused(reply, 400, "wrong_type") and json.loads(reply.text())["row"] == 1, reply
    assert give(site, request_id, 1)["matched"] == 1


def test_limits(site):
    """More than 1000 truths or a body of more than a MiB are 413, another type is 415, GET is 405"""
    many = [{"id": "a", "actual": 1}] * 1001
    assert post(site, {"feedback": many[:1000]}).status == 200
    refused(post(site, {"feedback": many}), 413, "too_many_rows")
    refused(post(site, '{"id": "a", "actual": ' + " " * MIB + "1}"), 413, "body_too_large")
    assert site.post("/feedback", "id,actual\na,1\n", "text/csv").status == 415
    assert site.request("GET", "/feedback").status == 405


def test_off(front, shipped_models):
    """Without the option it is 404, and the sentence names the option"""
    with stack.Site(shipped_models, front=front) as off:
        _, request_id = predict(off, [EXAMPLE])
        assert "--feedback-answers" in refused(post(off, {"id": request_id, "actual": 1}), 404, "not_found")
        assert json.loads(off.get("/status").text())["feedback"] is False
        assert not [name for name, _ in scrape(off) if name.startswith(("futaie_live", "futaie_feedback", "futaie_journal"))]


def test_versions_apart(fresh):
    """Two versions of a model have their errors apart, and keep them when one takes the other's place"""
    store = models.Store().california().add(models.SHIPPED / CALIFORNIA, version="2", champion=False)
    app = fresh(store, ON)
    (value,), first = predict(app, [EXAMPLE])
    give(app, first, value)
    store.aliases(CALIFORNIA, champion="2")
    stack.wait_for("version 2", lambda: json.loads(app.request("GET", f"/models/{CALIFORNIA}").text())["version"] == "2")
    (value,), second = predict(app, [EXAMPLE])
    give(app, second, float(numpy.float32(value)) + 1)
    assert live(app, CALIFORNIA, "1") == {"measure": "rmse", "value": 0, "n": 1}
    assert live(app, CALIFORNIA, "2")["value"] == pytest.approx(1, abs=1e-6)


def test_restart_forgets(fresh, shipped_models, journal):
    """A restart loses what was in memory and nothing of the journal"""
    app = fresh(shipped_models, [*ON, "--journal", journal])
    _, before = predict(app, [EXAMPLE])
    give(app, before, 4)
    _, waiting = predict(app, [EXAMPLE])
    app.restart()
    app.wait_ready(app.is_ready)
    assert "restart" in refused(post(app, {"id": waiting, "actual": 4}), 404, "unknown_id")
    _, after = predict(app, [EXAMPLE])
    app.stop()
    assert [(line["kind"], line["id"]) for line in lines_of(journal)] == \
        [("prediction", before), ("feedback", before), ("prediction", waiting), ("prediction", after)]


# The journal

def test_lines(fresh, shipped_models, journal):
    """A line of the journal is a row of an answer, or a truth; training can join them by id and row"""
    app = fresh(shipped_models, [*ON, "--journal", journal])
    values, request_id = predict(app, [EXAMPLE, dict(zip(FEATURES, [None] * 8))])
    give(app, request_id, [4.5, None])
    give(app, request_id, [None, 2.5])
    give(app, request_id, [1, 1])
    app.stop()
    lines = lines_of(journal)
    assert [(line["kind"], line["row"]) for line in lines] == [("prediction", 0), ("prediction", 1), ("feedback", 0), ("feedback", 1)], lines
    assert all((line["id"], line["model"], line["version"]) == (request_id, CALIFORNIA, "1") for line in lines), lines
    assert [line["prediction"] for line in lines[:2]] == values
    assert [numpy.float32(x) for x in lines[0]["features"].values()] == [numpy.float32(x) for x in EXAMPLE]
    assert lines[1]["features"] == dict.fromkeys(FEATURES)
    assert [line["actual"] for line in lines[2:]] == [4.5, 2.5]


def test_omitted(fresh, shipped_models, journal):
    """Features that are left out are nowhere in the files, by name or by value; a name that means nothing is warned of"""
    app = fresh(shipped_models, [*ON, "--journal", journal, "--journal-omit", "MedInc, Latitude,Longitud"])
    _, request_id = predict(app, [[8.765, 41, 6.9841, 1.02381, 322, 2.5556, 37.654, -122.23]])
    give(app, request_id, 1)
    (warning,) = app.log_lines("journal_omits_nothing")
    assert '"Longitud"' in warning["message"]
    app.stop()
    text = journal.read_text()
    assert list(lines_of(journal)[0]["features"]) == [name for name in FEATURES if name not in ("MedInc", "Latitude")]
    assert not any(part in text for part in ("MedInc", "Latitude", "8.765", "37.654")), text


def test_sample(fresh, shipped_models, journal):
    """A share of the answers is journalled, and exactly their truths"""
    app = fresh(shipped_models, [*ON, "--journal", journal, "--journal-sample", "0.2"])
    for number in range(1000):
        predict(app, [EXAMPLE], request_id=f"n{number}")
        if number % 2:
            give(app, f"n{number}", 4)
    app.stop()
    lines = lines_of(journal)
    asked = [line["id"] for line in lines if line["kind"] == "prediction"]
    told = [line["id"] for line in lines if line["kind"] == "feedback"]
    assert 140 < len(asked) < 260, len(asked)
    assert told == [each for each in asked if int(each[1:]) % 2], (asked, told)


def counts(app):
    samples = scrape(app)
    return {name: prometheus.get(samples, f"futaie_journal_{metric}_total", **labels) for name, metric, labels in (
        ("lines", "lines", {"kind": "prediction"}), ("truths", "lines", {"kind": "feedback"}), ("full", "dropped", {"reason": "full"}),
        ("bytes", "bytes", {}), ("open", "errors", {"operation": "open"}), ("write", "errors", {"operation": "write"}))}


def whole_lines(paths):
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.mark.limit(90)
def test_under_load(front, shipped_models, journal, say):
    """Under load with truths beside it nothing is lost, files stay bounded, and all counts add up"""
    given = 0
    options = [*ON, "--journal", journal, "--journal-max-bytes", str(MIB), "--journal-files", "2", "--log-requests", "none"]
    with stack.Site(shipped_models, options, front=front) as site:
        with load.Load(site.http_port) as wrk:
            for _ in range(300):
                _, request_id = predict(site.app, [EXAMPLE])
                given += give(site.app, request_id, 4)["matched"]
        assert not wrk.lost(), wrk.lost()
        stack.wait_for("the last requests", lambda: prometheus.get(scrape(site), "futaie_requests_in_flight") == 1)
        seen, samples = counts(site.app), scrape(site)
        predictions = prometheus.get(samples, "prediction_requests_total", model=CALIFORNIA, version="1")
        assert given == 300 and predictions >= wrk.requests() + 300
        assert seen["lines"] + seen["truths"] + seen["full"] == predictions + 300, (seen, predictions)
        assert prometheus.get(samples, "futaie_live_loss_count", model=CALIFORNIA, version="1", measure="rmse") == 300
        site.app.stop()
        say(f"{front}: {wrk.requests()} requests, {seen['full']:.0f} lines dropped")
    files = sorted(journal.parent.iterdir())
    assert {path.name for path in files} <= {journal.name, journal.name + ".1"} and journal in files, files
    assert all(path.stat().st_size <= MIB for path in files)
    lines = whole_lines(files)
    assert all(line["kind"] in ("prediction", "feedback") for line in lines)
    removed = seen["lines"] + seen["truths"] - len(lines)
    assert removed == 0 if len(files) == 1 else removed >= 0, (seen, len(lines))


@contextlib.contextmanager
def with_fault(journal, **settings):
    """futaie whose journal's disk fails as `settings` of lib/fault.c say; its log goes through a pipe, as that would count as a file."""
    reading, writing = os.pipe()
    environment = {"LD_PRELOAD": str(fault.build()), **{f"FAULT_{name.upper()}": str(value) for name, value in settings.items()}}
    app = stack.Futaie(models.SHIPPED, [*ON, "--journal", journal, "--log-requests", "none"], environment=environment, log_to=writing)
    os.close(writing)
    collected = []
    thread = threading.Thread(target=lambda: collected.append(open(reading, encoding="utf-8").read()))
    thread.start()
    try:
        yield app, lambda: (thread.join(10), [json.loads(line) for line in collected[0].splitlines()])[1]
    finally:
        if app.running():
            app.kill()
        thread.join(10)


def first_write(journal):
    """The number of the call that writes the first lines."""
    trace = journal.parent / "trace"
    with with_fault(journal, at=0, trace=trace.resolve()) as (app, _):
        predict(app, [EXAMPLE])
        stack.wait_for("the first line", lambda: " write " in trace.read_text())
        app.stop()
    return next(int(line.split()[0]) for line in trace.read_text().splitlines() if line.split()[1] == "write")


@not_sanitized
def test_full_disk(journal):
    """A full disk fails no request: it is counted, said once, and the server ends in peace"""
    with with_fault(journal, at=first_write(journal), errno=errno.ENOSPC, lasting=1) as (app, log):
        for _ in range(200):
            _, request_id = predict(app, [EXAMPLE])
            give(app, request_id, 4)
        stack.wait_for("a second try", lambda: counts(app)["write"] >= 2)
        seen = counts(app)
        assert (seen["lines"], seen["truths"], seen["full"]) == (200, 200, 0), seen
        app.stop()
    (said,) = [line for line in log() if line["event"] == "journal_failed"]
    assert "No space left" in said["message"] and str(journal) in said["message"], said


@not_sanitized
@pytest.mark.limit(60)
def test_slow_disk(journal):
    """A disk that takes a third of a second for a write slows no request; what does not fit is dropped and counted"""
    with with_fault(journal, slow_ms=300) as (app, _):
        with stack.FRONTS["lighttpd"](app.address) as front:
            with load.Load(front.http_port) as wrk:
                stack.wait_for("the first line that is dropped", lambda: predict(app, [EXAMPLE] * 100) and counts(app)["full"] > 0, 40)
                for _ in range(50):
                    _, request_id = predict(app, [EXAMPLE])
                    give(app, request_id, 4)
            assert not wrk.lost(), wrk.lost()
        stack.wait_for("the last requests", lambda: prometheus.get(scrape(app), "futaie_requests_in_flight") == 1)
        seen = counts(app)
        rows = prometheus.get(scrape(app), "futaie_batch_rows_sum", model=CALIFORNIA, version="1")
        assert seen["lines"] + seen["truths"] + seen["full"] == rows + 50, (seen, rows)
        app.stop()
    assert len(lines_of(journal)) == seen["lines"] + seen["truths"]


@not_sanitized
def test_killed_in_a_write(fresh, shipped_models, journal):
    """A crash in the middle of a line costs that line only"""
    number = first_write(journal)
    journal.unlink()
    with with_fault(journal, at=number) as (app, _):
        with contextlib.suppress(OSError, AssertionError):      # its write is the last thing it does
            predict(app, [EXAMPLE])
        assert app.wait() == -signal.SIGKILL
    cut = journal.read_text()
    assert cut and not cut.endswith("\n")
    again = fresh(shipped_models, ["--journal", journal])
    _, request_id = predict(again, [EXAMPLE])
    again.stop()
    text = journal.read_text()
    assert text.startswith(cut + "\n") and json.loads(text[len(cut) + 1:])["id"] == request_id


def test_cannot_be_written(journal):
    """A journal that cannot be written is refused at the start, and by -t"""
    for words in ([], ["-t"]):
        run = subprocess.run([stack.FUTAIE, "serve", "--models", models.SHIPPED, "--socket", journal.parent / "s", "--journal", journal / "none", *words],
                             capture_output=True, text=True, timeout=30, check=False)
        assert run.returncode == 1 and "journal" in run.stderr and "cannot be written" in run.stderr, run


@pytest.mark.parametrize("words", [["--journal-sample", "1.5"], ["--journal-sample", "-0.1"], ["--journal-sample", "x"], ["--journal-sample", ""],
                                   ["--journal-max-bytes", "10"], ["--journal-files", "0"], ["--feedback-answers", "-1"]], ids=" ".join)
def test_bad_options(words):
    """Options out of their range are a usage error"""
    run = subprocess.run([stack.FUTAIE, "serve", *words], capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 2 and words[0].strip("-") in run.stderr, run


@pytest.mark.skipif(bool(stack.SANITIZED), reason="a sanitizer keeps what is freed")
def test_memory_is_bounded(fresh, shipped_models):
    """Answers beyond those that are remembered take no more memory"""
    app = fresh(shipped_models, ["--feedback-answers", "1000", "--log-requests", "none"])

    def ask(times):
        for _ in range(times):
            assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200

    ask(2000)
    before = app.rss_kib()
    ask(3000)
    assert app.rss_kib() - before < 1024, (before, app.rss_kib())
