"""test_metrics.py - the metrics: in a format that Prometheus reads, and exactly equal to what was sent"""
import json
import threading

import pytest

from lib import models, prometheus
from lib.models import CALIFORNIA, EXAMPLE, EXAMPLE_BODY

VERSION = {"model": CALIFORNIA, "version": "1"}
OTHER = "reg-squarederror"


def scrape(app):
    reply = app.request("GET", "/metrics")
    assert reply.status == 200, reply
    assert reply.headers["content-type"].startswith("text/plain"), reply.headers
    return prometheus.parse(reply.text())


@pytest.fixture
def app(fresh):
    return fresh(models.SHIPPED)


def send(app, body=EXAMPLE_BODY, status=200, path="/predict", method="POST", content_type="application/json"):
    body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    reply = app.request(method, path, body, content_type)
    assert reply.status == status, reply
    return reply


def test_format(app):
    """/metrics parses strictly: HELP and TYPE, no series twice, cumulative buckets"""
    scrape(app)
    send(app)
    send(app, "{", 400)
    scrape(app)


def test_format_through_the_web_server(site):
    """/metrics through the web server parses too"""
    assert prometheus.total(scrape(site), "futaie_build_info") == 1


def test_format_of_many_models(fixture_store):
    """/metrics of a store with many models parses"""
    assert prometheus.total(scrape(fixture_store), "futaie_model_info") == len(models.fixture_names())


def test_names(app):
    """Every metric of the contract that this server has is there"""
    send(app)
    send(app, "{", 400)
    names = {name for name, _ in scrape(app)}
    for name in ("prediction_requests_total", "prediction_errors_total", "futaie_request_duration_seconds_bucket",
                 "futaie_predict_duration_seconds_count", "futaie_batch_rows_sum", "futaie_requests_in_flight", "futaie_model_info",
                 "futaie_model_reloads_total", "futaie_keys_reloads_total", "futaie_requests_rejected_total", "futaie_build_info", "process_cpu_seconds_total", "process_resident_memory_bytes",
                 "process_open_fds", "process_max_fds", "process_start_time_seconds", "process_virtual_memory_bytes"):
        assert name in names, f"{name} is not among {sorted(names)}"


def test_requests(app):
    """Requests are counted one by one, by model and version, also the last one before the scrape"""
    for sent in range(1, 21):
        send(app)
        assert prometheus.get(scrape(app), "prediction_requests_total", **VERSION) == sent


def test_requests_not_rows(app):
    """A batch counts as one request, its rows in futaie_batch_rows"""
    send(app, {"features": [EXAMPLE] * 10})
    send(app, {"features": [EXAMPLE] * 5})
    samples = scrape(app)
    assert prometheus.get(samples, "prediction_requests_total", **VERSION) == 2
    assert prometheus.total(samples, "futaie_batch_rows_count") == 2
    assert prometheus.total(samples, "futaie_batch_rows_sum") == 15


def test_every_route(app):
    """All three ways to a prediction count for the same model and version"""
    for path in ("/predict", f"/models/{CALIFORNIA}/predict", f"/models/{CALIFORNIA}/versions/1/predict"):
        send(app, path=path)
    assert prometheus.get(scrape(app), "prediction_requests_total", **VERSION) == 3


FAILURES = [
    ("bad_json", "{", {}), ("bad_number", '{"features": [[1e999,1,1,1,1,1,1,1]]}', {}), ("wrong_type", '{"features": 1}', {}),
    ("wrong_feature_count", '{"features": [[1]]}', {}), ("no_rows", '{"features": []}', {}), ("unknown_field", '{"rows": []}', {}),
    ("missing_field", "{}", {}), ("repeated_field", '{"features": [], "features": []}', {}),
    ("unknown_feature", '{"features": [{"Colour": 1}]}', {}), ("missing_feature", '{"features": [{}]}', {}),
    ("repeated_feature", '{"features": [{"MedInc": 1, "MedInc": 1}]}', {}), ("bad_csv", "MedInc\n\"", {"content_type": "text/csv"}),
    ("bad_parameter", json.dumps(EXAMPLE_BODY), {"path": "/predict?output=x"}),
    ("unsupported_media_type", "x", {"content_type": "text/plain", "status": 415}),
    ("unknown_version", json.dumps(EXAMPLE_BODY), {"path": f"/models/{CALIFORNIA}/versions/7/predict", "status": 404}),
    ("unknown_model", json.dumps(EXAMPLE_BODY), {"path": "/models/nobody/predict", "status": 404}),
]


@pytest.mark.parametrize("code, body, options", FAILURES, ids=[code for code, _, _ in FAILURES])
def test_failures(app, code, body, options):
    """A failure counts as a request and as an error with the body's code"""
    reply = send(app, body, **{"status": 400, **options})
    if code != "bad_csv":       # which of its several faults a CSV is refused for is not fixed here
        assert reply.json()["code"] == code, reply
    samples = scrape(app)
    assert prometheus.total(samples, "prediction_requests_total") == 1, samples
    assert prometheus.total(samples, "prediction_errors_total") == 1, samples
    assert prometheus.total(samples, "prediction_errors_total", code=reply.json()["code"]) == 1, samples


def test_failure_labels(app):
    """A failure of a known model has its labels, one of an unknown model has model=\"\""""
    send(app, "{", 400)
    send(app, path="/models/nobody/predict", status=404)
    send(app, path="/models/nobody-else/predict", status=404)
    samples = scrape(app)
    assert prometheus.get(samples, "prediction_errors_total", code="bad_json", **VERSION) == 1, samples
    assert prometheus.total(samples, "prediction_errors_total", code="unknown_model", model="") == 2, samples
    assert not prometheus.total(samples, "prediction_errors_total", model="nobody"), samples


def test_refusals_of_a_known_model(app):
    """What no version of a known model could answer has the model's name and no version"""
    send(app, path=f"/models/{CALIFORNIA}/versions/7/predict", status=404)
    samples = scrape(app)
    assert prometheus.get(samples, "prediction_errors_total", model=CALIFORNIA, version="", code="unknown_version") == 1, samples
    assert prometheus.get(samples, "prediction_requests_total", model=CALIFORNIA, version="") == 1, samples


def test_labels_are_bounded(app):
    """No label value comes from a client"""
    for number in range(200):
        app.request("POST", f"/models/name{number}/predict", EXAMPLE_BODY)
        app.request("GET", f"/path{number}")
        app.request(f"METHOD{number}", "/predict")
    reply = app.request("GET", "/metrics").text()
    assert "name1" not in reply and "path1" not in reply and "METHOD1" not in reply


def test_other_paths_are_no_predictions(app):
    """Paths that predict nothing do not count as predictions"""
    for path in ("/healthz", "/readyz", "/version", "/models", f"/models/{CALIFORNIA}", "/nothing"):
        app.request("GET", path)
    app.request("GET", "/predict")
    samples = scrape(app)
    assert prometheus.get(samples, "prediction_requests_total", **VERSION) == 0, samples


def test_durations(app):
    """Each request is in one bucket of its route's duration"""
    before = prometheus.total(scrape(app), "futaie_request_duration_seconds_count")
    for _ in range(7):
        send(app)
    samples = scrape(app)
    # The first scrape itself is a request as well.
    assert prometheus.total(samples, "futaie_request_duration_seconds_count") == before + 8
    assert prometheus.total(samples, "futaie_predict_duration_seconds_count") == 7
    assert 0 < prometheus.total(samples, "futaie_predict_duration_seconds_sum") < prometheus.total(samples, "futaie_request_duration_seconds_sum") < 5


def test_model_info(app):
    """futaie_model_info says what is served and by which scorer"""
    served = [dict(labels) for name, labels in scrape(app) if name == "futaie_model_info"]
    assert [(each["model"], each["version"], bool(each["scorer"])) for each in served] == [(CALIFORNIA, "1", True)], served


def test_memory_is_true(app):
    """process_resident_memory_bytes and process_open_fds are the process's own"""
    samples = scrape(app)
    memory = prometheus.get(samples, "process_resident_memory_bytes")
    assert abs(memory - app.rss_kib() * 1024) < 4 * 1024 * 1024, f"{memory}, {app.rss_kib()} KiB by /proc"
    assert abs(prometheus.get(samples, "process_open_fds") - app.descriptors()) <= 2


@pytest.mark.limit(60)
def test_many_at_once(app):
    """Eight clients at once, with a scraper beside them, are counted exactly"""
    each, clients = 300, 8

    def client(number):
        for turn in range(each):
            send(app, *(("{", 400) if (turn + number) % 3 == 0 else ()))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        seen.append(prometheus.get(scrape(app), "prediction_requests_total", **VERSION))
    samples = scrape(app)
    assert seen == sorted(seen), "a counter went down"
    assert prometheus.get(samples, "prediction_requests_total", **VERSION) == each * clients
    assert prometheus.get(samples, "prediction_errors_total", code="bad_json", **VERSION) == each * clients / 3
    assert prometheus.total(samples, "futaie_requests_in_flight") <= 1
