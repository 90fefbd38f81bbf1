"""test_inference.py - the Open Inference Protocol: metadata, predictions with and without binary tensors, refusals, statistics, the admin socket"""
import json
import os
import signal
import stat
import struct

import pytest

from lib import bits, fcgi, models, stack
from lib.models import CALIFORNIA, EXAMPLE, EXAMPLE_BODY, FEATURES

INFER = f"/v2/models/{CALIFORNIA}/infer"
LENGTH = "Inference-Header-Content-Length"
FORMATS = {"FP32": "f", "FP64": "d", "FP16": "e", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I",
           "UINT64": "Q", "BOOL": "?"}
WHOLE = [8, 41, 7, 1, 32, 3, 38, 122]          # a row that every datatype but BOOL can hold


def pack(datatype, numbers):
    return struct.pack(f"<{len(numbers)}{FORMATS[datatype]}", *numbers)


def tensor(name, shape, data, datatype="FP32"):
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def matrix(rows, datatype="FP32", name="input__0"):
    return tensor(name, [len(rows), len(rows[0])], rows, datatype)


def binary_input(rows, datatype="FP32", name="input__0", size=None):
    """A tensor without its numbers, and these."""
    data = pack(datatype, [number for row in rows for number in row])
    described = {"name": name, "shape": [len(rows), len(rows[0])], "datatype": datatype,
                 "parameters": {"binary_data_size": len(data) if size is None else size}}
    return described, data


def send_binary(site, path, request, data=b"", length=None, **options):
    """A body of JSON and binary tensors, with the header that says where the JSON ends."""
    text = request if isinstance(request, bytes) else json.dumps(request).encode()
    headers = {LENGTH: str(len(text) if length is None else length)}
    return site.request("POST", path, text + data, headers=headers, **options)


def outputs(reply):
    """name → (shape, numbers as bits) of an answer, whose binary part must be as long as it says."""
    assert reply.status == 200, reply
    length = int(reply.headers.get(LENGTH.lower(), len(reply.body)))
    answer, rest, found = bits.loads(reply.body[:length].decode()), reply.body[length:], {}
    for output in answer["outputs"]:
        shape = list(map(int, output["shape"]))
        assert output["datatype"] == "FP32"
        if "data" in output:
            numbers = bits.of_all(output["data"])
        else:
            size = int(output["parameters"]["binary_data_size"])
            numbers, rest = list(struct.unpack(f"<{size // 4}I", rest[:size])), rest[size:]
        assert len(numbers) == shape[0] * (shape[1] if len(shape) > 1 else 1)
        found[output["name"]] = (shape, numbers)
    assert rest == b""
    assert reply.headers["content-type"] == ("application/octet-stream" if LENGTH.lower() in reply.headers else "application/json")
    return found


def predictions(site, path, rows, query=""):
    """What /predict says, as bits, one behind the other."""
    reply = site.post(path + query, {"features": rows})
    assert reply.status == 200, reply
    return bits.flat(bits.of_all(bits.loads(reply.text())["predictions"]))


def golden_rows(count):
    _, *lines = (models.DATA / "golden_rows.csv").read_text().splitlines()
    return [[float(cell) if cell else None for cell in line.split(",")] for line in lines[:count]]


# What there is

def test_server_metadata(site):
    """GET /v2 names the server and its extensions"""
    answer = site.get("/v2").json()
    assert answer["name"] == "futaie" and answer["extensions"] == ["binary_tensor_data", "statistics"], answer
    assert answer["version"] == site.get("/version").json()["futaie"]


def test_health(site):
    """The server and the model are live and ready, by their number as well"""
    assert site.get("/v2/health/live").json() == {"live": True}
    assert site.get("/v2/health/ready").json() == {"ready": True}
    for path in (f"/v2/models/{CALIFORNIA}/ready", f"/v2/models/{CALIFORNIA}/versions/1/ready"):
        assert site.get(path).json() == {"name": CALIFORNIA, "ready": True}


def test_model_metadata(site):
    """A model's metadata names its versions and tensors, with or without a version in the path"""
    expected = {"name": CALIFORNIA, "versions": ["1"], "platform": "xgboost_ubj",
                "inputs": [{"name": "input__0", "datatype": "FP32", "shape": [-1, 8]}],
                "outputs": [{"name": "output__0", "datatype": "FP32", "shape": [-1]}]}
    assert site.get(f"/v2/models/{CALIFORNIA}").json() == expected
    assert site.get(f"/v2/models/{CALIFORNIA}/versions/1").json() == expected


def test_metadata_of_several_outputs(fixture_store):
    """The output of a model of several outputs has two dimensions"""
    answer = fixture_store.get("/v2/models/multi-softprob").json()
    assert answer["outputs"][0]["shape"] == [-1, fixture_store.get("/models/multi-softprob").json()["outputs"]], answer


def test_metadata_loads_a_version(fresh):
    """A version that is no champion is loaded when its metadata or readiness is asked for"""
    store = models.Store().fixture("reg-gamma", name="m").fixture("multi-softprob", name="m", version="2", champion=False).prove()
    app = fresh(store)
    assert app.request("GET", "/v2/models/m/versions/2/ready").json() == {"name": "m", "ready": True}
    answer = app.request("GET", "/v2/models/m/versions/2").json()
    assert answer["versions"] == ["1", "2"] and answer["outputs"][0]["shape"] == [-1, 3], answer
    assert [line["message"] for line in app.log_lines("version_loaded")] == ["model m version 2 was loaded for a request by number"]


# Predictions

@pytest.mark.parametrize("nested", [True, False], ids=["nested", "flat"])
def test_json_matrix(site, nested):
    """A matrix in JSON is predicted as /predict does"""
    rows = golden_rows(50)
    data = rows if nested else [number for row in rows for number in row]
    reply = site.post(INFER, {"id": "a\u20ac\"\n", "inputs": [tensor("any name", [50, 8], data)], "parameters": {"x": [1, {}]}})
    assert outputs(reply) == {"output__0": ([50], predictions(site, "/predict", rows))}
    answer = reply.json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == (CALIFORNIA, "1", "a\u20ac\"\n")


def test_tensor_a_feature(site):
    """Tensors of single features, in any order and of any number datatype, are predicted as /predict does"""
    rows = golden_rows(7)
    shapes = {True: [7, 1], False: [7]}
    inputs = [tensor(name, shapes[number % 2 == 0], [row[number] for row in rows], ["FP32", "FP64"][number % 2])
              for number, name in enumerate(FEATURES)]
    expected = {"output__0": ([7], predictions(site, "/predict", rows))}
    assert outputs(site.post(INFER, {"inputs": inputs[::-1]})) == expected
    assert outputs(site.post(f"/v2/models/{CALIFORNIA}/versions/1/infer", {"inputs": inputs})) == expected


@pytest.mark.parametrize("datatype", [name for name in FORMATS if name != "BOOL"])
def test_binary_datatypes(site, datatype):
    """A binary matrix of each datatype is predicted as the same numbers by /predict"""
    rows = [WHOLE, WHOLE[4:] + WHOLE[:4]]
    described, data = binary_input(rows, datatype)
    assert outputs(send_binary(site, INFER, {"inputs": [described]}, data)) == {"output__0": ([2], predictions(site, "/predict", rows))}


def test_binary_both_ways(site):
    """Binary tensors in and out, at each alignment of the first, have the bits of /predict; NaN is missing"""
    rows = golden_rows(20)
    described, data = binary_input([[float("nan") if number is None else number for number in row] for row in rows])
    expected = predictions(site, "/predict", rows)
    for blanks in range(5):
        text = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode() + b" " * blanks
        reply = send_binary(site, INFER, text, data, content_type="application/octet-stream")
        assert LENGTH.lower() in reply.headers
        assert outputs(reply) == {"output__0": ([20], expected)}


def test_body_without_json(site):
    """A body of nothing but float32 is rows, and the answer is binary"""
    reply = send_binary(site, INFER, b"", pack("FP32", EXAMPLE * 3), 0)
    assert outputs(reply) == {"output__0": ([3], predictions(site, "/predict", [EXAMPLE]) * 3)}


def test_body_of_json_alone(site):
    """A body that is called JSON is not taken for numbers, whatever its length"""
    text = json.dumps({"inputs": [matrix([EXAMPLE])]}).encode()
    reply = send_binary(site, INFER, text + b" " * (-len(text) % 32), length=0, content_type="application/json")
    refused(reply, 400, "bad_parameter", "the body's type is JSON")


def test_requested_outputs(site):
    """Outputs come in the order, by the names and in the form that were asked for"""
    wanted = [{"name": "margin"}, {"name": "output__0", "parameters": {"binary_data": True}}, {"name": "predict", "parameters": {"binary_data": False}}]
    for default in (True, False):
        reply = site.post(INFER, {"inputs": [matrix([EXAMPLE] * 2)], "outputs": wanted, "parameters": {"binary_data_output": default}})
        value = predictions(site, "/predict", [EXAMPLE] * 2)
        margin = predictions(site, "/predict", [EXAMPLE] * 2, "?output=margin")
        assert outputs(reply) == {"margin": ([2], margin), "output__0": ([2], value), "predict": ([2], value)}
        head = json.loads(reply.body[:int(reply.headers[LENGTH.lower()])])
        assert [output["name"] for output in head["outputs"]] == ["margin", "output__0", "predict"]
        assert ["data" in output for output in head["outputs"]] == [not default, False, True]


@pytest.mark.parametrize("name", models.fixture_names())
def test_every_objective(fixture_store, name):
    """Values and margins of every objective are those of /predict, in JSON and in binary"""
    rows = json.loads(models.expected(name))["rows"]
    path = f"/models/{name}/predict"
    described, data = binary_input([[float("nan") if number is None else number for number in row] for row in rows])
    expected = {"output__0": predictions(fixture_store, path, rows), "margin": predictions(fixture_store, path, rows, "?output=margin")}
    wanted = [{"name": name} for name in expected]
    for request, behind in (({"inputs": [matrix(rows)], "outputs": wanted}, b""),
                            ({"inputs": [described], "outputs": wanted, "parameters": {"binary_data_output": True}}, data)):
        found = outputs(send_binary(fixture_store, f"/v2/models/{name}/infer", request, behind))
        for output, numbers in expected.items():
            shape, values = found[output]
            # what is not finite is null in JSON, and what it is in binary
            assert [None if number is None else value for number, value in zip(numbers, values)] == numbers
            assert shape == [len(rows)] if len(numbers) == len(rows) else shape == [len(rows), len(numbers) // len(rows)]


def test_many_rows(site):
    """More rows than are scored at once come back in order"""
    rows = golden_rows(200) * 45
    described, data = binary_input([[float("nan") if number is None else number for number in row] for row in rows])
    reply = send_binary(site, INFER, {"inputs": [described], "parameters": {"binary_data_output": True}}, data)
    assert outputs(reply) == {"output__0": ([9000], predictions(site, "/predict", rows[:200]) * 45)}


# Refusals

def refused(reply, status, code, part=""):
    assert reply.status == status, reply
    answer = reply.json()
    assert answer["code"] == code and part in answer["error"], reply
    assert LENGTH.lower() not in reply.headers and reply.headers["content-type"] == "application/json", reply.headers
    assert ("allow" in reply.headers) == (status == 405) and ("retry-after" in reply.headers) == (status == 503), reply.headers


def bad_bodies():
    good = matrix([EXAMPLE])
    return {
        "empty": ("", "bad_json", "the body is empty"),
        "an array": ([good], "wrong_type", "the request must be an object"),
        "no inputs": ({"id": "1"}, "missing_field", "no \"inputs\""),
        "inputs twice": ('{"inputs": [], "inputs": []}', "repeated_field", "twice"),
        "a wrong datatype": ({"inputs": [{**good, "datatype": "FLOAT"}]}, "wrong_type", "FLOAT"),
        "strings": ({"inputs": [tensor("x", [1, 8], ["a"] * 8, "BYTES")]}, "wrong_type", "BYTES"),
        "numbers that are no integers": ({"inputs": [{**good, "datatype": "INT64"}]}, "bad_number", "INT64"),
        "numbers out of range": ({"inputs": [tensor("x", [1, 8], [128, *WHOLE[1:]], "INT8")]}, "bad_number", "INT8"),
        "a shape that does not match the data": ({"inputs": [{**good, "shape": [2, 8]}]}, "wrong_feature_count", "its shape says 16 numbers"),
        "a shape of other features": ({"inputs": [tensor("x", [1, 7], EXAMPLE[:7])]}, "wrong_feature_count", "the shape [1,7]"),
        "three dimensions": ({"inputs": [tensor("x", [1, 1, 8], EXAMPLE)]}, "wrong_feature_count", "the shape [1,1,…]"),
        "no rows": ({"inputs": [tensor("x", [0, 8], [])]}, "no_rows", ""),
        "a missing feature": ({"inputs": [tensor(name, [1], [1]) for name in FEATURES[1:]]}, "missing_feature", "MedInc"),
        "an unknown feature": ({"inputs": [tensor(name, [1], [1]) for name in ["Zzz"] + FEATURES]}, "unknown_feature", "Zzz"),
        "a repeated feature": ({"inputs": [tensor(name, [1], [1]) for name in ["MedInc"] + FEATURES]}, "repeated_feature", "MedInc"),
        "Infinity": (json.dumps({"inputs": [good]}).replace("8.3252", "Infinity"), "bad_number", "Infinity"),
        "beyond float32": (json.dumps({"inputs": [{**good, "datatype": "FP64"}]}).replace("8.3252", "1e39"), "bad_number", "float32"),
        "an unknown output": ({"inputs": [good], "outputs": [{"name": "labels"}]}, "bad_parameter", "labels"),
        "an output twice": ({"inputs": [good], "outputs": [{"name": "margin"}] * 2}, "repeated_field", "margin"),
        "binary without the header": ({"inputs": [binary_input([EXAMPLE])[0]]}, "missing_field", LENGTH),
        "an id that is no string": ({"id": 5, "inputs": [good]}, "wrong_type", "id"),
    }


@pytest.mark.parametrize("case", bad_bodies())
def test_bad_body(site, case):
    """A request that is wrong is 400 with a sentence"""
    body, code, part = bad_bodies()[case]
    refused(site.post(INFER, body), 400, code, part)
    assert site.post("/predict", EXAMPLE_BODY).status == 200


def test_unsupported(site):
    """What the protocol has and futaie has not is 501"""
    shared = {"name": "x", "shape": [1, 8], "datatype": "FP32", "parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 32}}
    refused(site.post(INFER, {"inputs": [shared]}), 501, "not_implemented", "shared memory")
    refused(site.post(INFER, {"inputs": [matrix([EXAMPLE])], "outputs": [{"name": "output__0", "parameters": {"classification": 3}}]}), 501, "not_implemented",
            "classification")


def bad_binaries():
    described, data = binary_input([EXAMPLE])
    text = json.dumps({"inputs": [described]}).encode()
    infinite = binary_input([EXAMPLE[:7] + [float("inf")]])
    return {
        "a size that is not the shape's": ({"inputs": [binary_input([EXAMPLE], size=28)[0]]}, data, None, "bad_parameter", "its binary_data_size is 28"),
        "a size of another datatype": ({"inputs": [{**described, "datatype": "FP64"}]}, data, None, "bad_parameter", "FP64 make 64 bytes"),
        "fewer bytes": ({"inputs": [described]}, data[:-1], None, "bad_parameter", "31 stand behind the JSON"),
        "more bytes": ({"inputs": [described]}, data + b"\0", None, "bad_parameter", "33 stand behind the JSON"),
        "bytes that nobody has": ({"inputs": [matrix([EXAMPLE])]}, data, None, "bad_parameter", "make 0 bytes, but 32 stand"),
        "both data and a size": ({"inputs": [{**described, "data": EXAMPLE}]}, data, None, "repeated_field", "both"),
        "a header beyond the body": ({"inputs": [described]}, data, 100_000, "bad_parameter", "has only"),
        "a header that is too small": ({"inputs": [described]}, data, len(text) - 1, "bad_json", "ends too early"),
        "a header that is too large": ({"inputs": [described]}, data, len(text) + 1, "bad_json", ""),
        "a header that is no number": ({"inputs": [described]}, data, "32k", "bad_parameter", "whole number"),
        "a negative header": ({"inputs": [described]}, data, -1, "bad_parameter", "whole number"),
        "an infinity": ({"inputs": [infinite[0]]}, infinite[1], None, "bad_number", "row 0, feature \"Longitude\": Infinity"),
        "no JSON and no rows": (b"", data + b"\0", 0, "wrong_feature_count", "33 bytes"),
    }


@pytest.mark.parametrize("case", bad_binaries())
def test_bad_binary(site, case):
    """A binary part that is wrong, or whose sizes do not add up, is 400 with a sentence"""
    request, data, length, code, part = bad_binaries()[case]
    refused(send_binary(site, INFER, request, data, length), 400, code, part)
    assert site.post("/predict", EXAMPLE_BODY).status == 200


def test_heads(site):
    """Unknown models, versions and paths are 404, wrong methods 405, other bodies 415, too many rows 413"""
    body = {"inputs": [matrix([EXAMPLE])]}
    refused(site.post("/v2/models/none/infer", body), 404, "unknown_model", "none")
    refused(site.post(f"/v2/models/{CALIFORNIA}/versions/99/infer", body), 404, "unknown_version", "99")
    for path in ("/v2/models/none", "/v2/models/none/ready", "/v2/models/none/stats"):
        refused(site.get(path), 404, "unknown_model")
    for path in ("", "/ready", "/stats"):
        refused(site.get(f"/v2/models/{CALIFORNIA}/versions/99{path}"), 404, "unknown_version")
    refused(site.get("/v2/nothing"), 404, "not_found")
    refused(site.get(INFER), 405, "method_not_allowed", "POST")
    refused(site.post(f"/v2/models/{CALIFORNIA}", body), 405, "method_not_allowed", "GET")
    refused(site.post(INFER, json.dumps(body), "text/csv"), 415, "unsupported_media_type", "application/octet-stream")
    refused(site.request("POST", INFER, json.dumps(body), headers={"Content-Encoding": "gzip"}), 415, "unsupported_media_type", "gzip")
    refused(site.post(INFER, json.dumps(body), "application/octet-stream"), 400, "bad_parameter", LENGTH)
    refused(send_binary(site, INFER, b"", pack("UINT8", [0]) * 32 * 100_001, 0), 413, "too_many_rows")


def test_not_ready(fresh):
    """Without a model that can be served, the server is live and not ready"""
    store = models.Store().fixture("reg-gamma", champion=False)
    app = fresh(store, ready=False)
    stack.wait_for("futaie to answer", lambda: app.log_lines("start"))
    assert app.request("GET", "/v2/health/live").status == 200
    refused(app.request("GET", "/v2/health/ready"), 503, "not_ready")
    refused(app.request("GET", "/v2/models/reg-gamma/ready"), 404, "no_champion")


# Statistics

def statistics(app, path):
    reply = app.request("GET", path)
    assert reply.status == 200, reply
    return reply.json()["model_stats"]


def test_statistics(fresh):
    """Statistics count requests, rows and failures of each version that was loaded, exactly"""
    store = models.Store().california().fixture("reg-gamma").fixture("reg-gamma", version="2", champion=False).prove()
    app = fresh(store, args=["--default-model", CALIFORNIA])
    before = statistics(app, f"/v2/models/{CALIFORNIA}/stats")[0]
    assert before["last_inference"] == 0 and before["inference_count"] == 0
    for count in (1, 2, 3):
        assert app.request("POST", INFER, {"inputs": [matrix([EXAMPLE] * count)]}).status == 200
    assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200
    assert app.request("POST", INFER, {"inputs": []}).status == 400
    one, = statistics(app, f"/v2/models/{CALIFORNIA}/versions/1/stats")
    assert (one["name"], one["version"], one["inference_count"], one["execution_count"]) == (CALIFORNIA, "1", 7, 4), one
    took = one["inference_stats"]
    assert {name: value["count"] for name, value in took.items()} == {
        "success": 4, "fail": 1, "queue": 4, "compute_input": 4, "compute_infer": 4, "compute_output": 4, "cache_hit": 0, "cache_miss": 0}
    parts = sum(took[name]["ns"] for name in ("compute_input", "compute_infer", "compute_output"))
    assert 0 < parts <= took["success"]["ns"] and took["fail"]["ns"] > 0, took
    assert one["last_inference"] > 1_600_000_000_000 and one["batch_stats"] == []
    named = [(each["name"], each["version"]) for each in statistics(app, "/v2/models/stats")]
    assert sorted(named) == [(CALIFORNIA, "1"), ("reg-gamma", "1")]
    unused, = statistics(app, "/v2/models/reg-gamma/versions/2/stats")     # in the store, but never loaded
    assert unused["execution_count"] == 0


# The admin socket

def admin_of(app):
    return lambda method, path, body=b"", **options: fcgi.request(app.admin, method, path, body, **options)


@pytest.fixture
def administered(fresh):
    """Starts futaie with an admin socket: administered(store) gives it, and what asks there."""
    def start(store, *args):
        folder = stack.scratch("admin")
        app = fresh(store, args=["--admin-socket", folder / "admin.sock", *args])
        app.admin = str(folder / "admin.sock")
        return app, admin_of(app)

    return start


def index(admin, body=b""):
    reply = admin("POST", "/v2/repository/index", body)
    assert reply.status == 200, reply
    return {(each["name"], each["version"]): (each["state"], each["reason"]) for each in reply.json()}


def gamma_body(rows=1):
    return {"features": json.loads(models.expected("reg-gamma"))["rows"][:rows]}


def test_admin_only(site):
    """The public side has no way to the repository"""
    for path in ("/v2/repository/index", f"/v2/repository/models/{CALIFORNIA}/load", f"/v2/repository/models/{CALIFORNIA}/unload"):
        for variant in (path, path.replace("/v2/", "//v2//"), path.replace("repository", "%72epository"), path + "?x=1", "/x/.." + path):
            assert site.post(variant, {}).status in (400, 404), variant
        refused(site.post(path, {}), 404, "not_found")
    assert site.post("/predict", EXAMPLE_BODY).status == 200


def test_main_socket_with_an_admin_socket(administered):
    """With an admin socket the other socket still does not know the repository, and the admin one knows the rest as well"""
    app, admin = administered(models.Store().california().prove())
    refused(app.request("POST", "/v2/repository/index", {}), 404, "not_found")
    refused(app.request("POST", f"/v2/repository/models/{CALIFORNIA}/unload", {}), 404, "not_found")
    assert admin("POST", "/predict", EXAMPLE_BODY).json() == app.request("POST", "/predict", EXAMPLE_BODY).json()
    assert admin("GET", "/v2").json()["extensions"] == ["binary_tensor_data", "statistics", "model_repository"]
    assert admin("GET", "/metrics").status == 200
    refused(admin("GET", "/v2/repository/index"), 405, "method_not_allowed", "POST")


def test_admin_socket_is_its_own(administered):
    """The admin socket is the owner's alone, has the mode that is asked for, and goes when the process ends"""
    app, _ = administered(models.Store().california().prove())
    assert stat.S_IMODE(os.stat(app.admin).st_mode) == 0o600
    app.stop()
    assert not os.path.exists(app.admin)
    app, _ = administered(models.Store().california().prove(), "--admin-socket-mode", "0660")
    assert stat.S_IMODE(os.stat(app.admin).st_mode) == 0o660


def test_index(administered):
    """The index tells what is loaded, and why the rest is not"""
    store = models.Store().california().fixture("reg-gamma", champion=False).fixture("reg-gamma", version="2", champion=False).prove()
    app, admin = administered(store, "--default-model", CALIFORNIA)
    later = ("UNAVAILABLE", "loaded once it is asked for by number")
    assert index(admin) == {(CALIFORNIA, "1"): ("READY", ""), ("reg-gamma", "1"): later, ("reg-gamma", "2"): later}
    assert app.request("POST", "/models/reg-gamma/versions/2/predict", gamma_body()).status == 200
    assert index(admin, b'{"ready": true}') == {(CALIFORNIA, "1"): ("READY", ""), ("reg-gamma", "2"): ("READY", "")}
    assert len(index(admin, b'{"ready": false, "more": [1]}')) == 3
    refused(admin("POST", "/v2/repository/index", b'{"ready": 1}'), 400, "wrong_type", "true or false")
    refused(admin("POST", "/v2/repository/index", b"["), 400, "bad_json")
    refused(admin("POST", "/v2/repository/index", b"{}", content_type="text/plain"), 415, "unsupported_media_type")


def test_unload_and_load(administered):
    """An unloaded model is 503 by every path and through reloads and promotions, until it is loaded"""
    store = models.Store().california().fixture("reg-gamma").fixture("reg-gamma", version="2", champion=False).prove()
    app, admin = administered(store, "--default-model", CALIFORNIA)
    assert app.request("POST", "/models/reg-gamma/versions/2/predict", gamma_body()).status == 200
    assert admin("POST", "/v2/repository/models/reg-gamma/unload", {"parameters": {"unload_dependents": True}}).status == 200

    def is_unloaded():
        for path in ("/models/reg-gamma/predict", "/models/reg-gamma/versions/2/predict"):
            refused(app.request("POST", path, gamma_body()), 503, "not_ready", "reg-gamma was unloaded by the operator")
        refused(app.request("GET", "/v2/models/reg-gamma/ready"), 503, "not_ready")
        assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200
        assert app.request("GET", "/v2/health/ready").status == 200
        return index(admin) == {(CALIFORNIA, "1"): ("READY", ""), ("reg-gamma", "1"): ("UNAVAILABLE", "unloaded"),
                                ("reg-gamma", "2"): ("UNAVAILABLE", "unloaded")}

    assert is_unloaded()
    store.aliases("reg-gamma", champion="2")
    app.send(signal.SIGHUP)
    stack.wait_for("the reload", lambda: len(app.log_lines("reload")) >= 1)
    assert is_unloaded()
    assert admin("POST", "/v2/repository/models/reg-gamma/load").status == 200
    answer = app.request("POST", "/models/reg-gamma/predict", gamma_body()).json()
    assert answer["version"] == "2", answer
    assert index(admin)[("reg-gamma", "2")] == ("READY", "")
    assert [line["message"] for line in app.log_lines("unload")] == ["model reg-gamma is not served until it is loaded"]


def test_unload_the_only_model(administered):
    """The only model may be unloaded too; the server is then not ready, until it is loaded"""
    app, admin = administered(models.Store().california().prove())
    assert admin("POST", f"/v2/repository/models/{CALIFORNIA}/unload").status == 200
    refused(app.request("GET", "/v2/health/ready"), 503, "not_ready")
    refused(app.request("POST", "/predict", EXAMPLE_BODY), 503, "not_ready")
    assert admin("POST", f"/v2/repository/models/{CALIFORNIA}/load").status == 200
    assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200


def test_load_proves(administered):
    """Loading proves the champion anew: one that was changed is refused, and what served before goes on"""
    store = models.Store().california().fixture("reg-gamma").fixture("reg-squarederror", champion=False).prove()
    app, admin = administered(store, "--default-model", CALIFORNIA)
    store.flip_byte("reg-gamma")
    refused(admin("POST", "/v2/repository/models/reg-gamma/load"), 503, "model_failed", "the champion of reg-gamma cannot be served")
    assert app.request("POST", "/models/reg-gamma/predict", gamma_body()).status == 200
    assert "sha256" in app.log_lines("champion_failed")[-1]["message"]
    store.flip_byte("reg-gamma")
    assert admin("POST", "/v2/repository/models/reg-gamma/load").status == 200
    refused(admin("POST", "/v2/repository/models/none/load"), 404, "unknown_model", "none")
    refused(admin("POST", "/v2/repository/models/none/unload"), 404, "unknown_model", "none")
    refused(admin("POST", "/v2/repository/models/reg-squarederror/load"), 404, "no_champion")
    refused(admin("POST", "/v2/repository/models/reg-gamma/load", {"parameters": {"config": "{}"}}), 501, "not_implemented", "config")
    refused(admin("POST", "/v2/repository/models/reg-gamma/load", {"parameters": {"file:1/model.ubj": "AAAA"}}), 501, "not_implemented", "file:1")


def test_admin_socket_options():
    """An admin socket that is no path, or a mode that is none, is told at the start"""
    for words, part in ((["--admin-socket", "127.0.0.1:9000"], "must be the path of a unix socket"),
                        (["--admin-socket", "/tmp/x/y", "--socket", "/tmp/x/y"], "give two paths"),
                        (["--admin-socket-mode", "rw"], "admin-socket-mode must be an octal mode")):
        run = stack.run_futaie("serve", "-t", "--models", models.SHIPPED, *words)
        assert run.returncode == 2 and part in run.stderr, run
    run = stack.run_futaie("serve", "-t", "--models", models.SHIPPED, "--admin-socket", "/tmp/" + "x" * 120)
    assert run.returncode == 1 and "too long" in run.stderr, run
