"""test_openapi.py - the contract: every path, method and status of /openapi.json is asked for, and every answer is what it says

CASES provokes each status that the document promises, on the real server; one without a case fails, and so does an answer that the
document does not promise. Where an answer must look otherwise in the document, change fcgi-app/src/serve/openapi.json.
"""
import contextlib
import copy
import dataclasses
import json
import math
import re
import struct
import threading

import pytest

from lib import http, models, need, stack
from lib.models import CALIFORNIA, EXAMPLE_BODY

need.module("jsonschema", "python3-jsonschema")
from lib import openapi     # noqa: E402  # needs jsonschema itself

HOUSE, KINDS, LINEAR, COVERLESS = "reg-squarederror", "multi-softprob", "reg-squarederror-gblinear", "coverless"
TEXT = (stack.BUILD / "openapi.json").read_text()
DOCUMENT = openapi.Document(TEXT)

# Where requests of the cases go.

ROWS_MAX, BODY_MAX, FRONT_BODY_MAX = 3, 64 * 1024, 256 * 1024


@contextlib.contextmanager
def narrow():
    """The shipped model, with limits that are soon reached, and an answer that is remembered as "known"."""
    arguments = ["--rows-max", str(ROWS_MAX), "--body-max-bytes", str(BODY_MAX), "--feedback-answers", "1000"]
    with stack.Site(models.SHIPPED, arguments, {"body_max_kib": FRONT_BODY_MAX // 1024}) as site:
        assert site.post("/predict", EXAMPLE_BODY, headers={"X-Request-Id": "known"}).status == 200
        yield site


@contextlib.contextmanager
def mixed():
    """Several models, none the default; one has no champion, one cannot be explained; a version and a champion are broken."""
    store = models.Store().fixture(HOUSE).fixture(HOUSE, version="2", champion=False).fixture(KINDS).fixture(LINEAR).fixture(KINDS, name="waiting", champion=False)
    store.flip_byte(HOUSE, "2")
    import_coverless(store)
    with stack.Site(store) as site:
        store.fixture(HOUSE, name="broken", champion=False).flip_byte("broken")
        store.aliases("broken", champion="1")
        stack.wait_for("the broken model to be noticed", lambda: site.get("/readyz").json()["failed"] == ["broken"])
        yield site


def import_coverless(store):
    """A model whose file does not say how many training rows its nodes had."""
    tree = json.loads((models.OTHER_VERSIONS / "3.4.1" / "squarederror-json.json").read_text())
    for each in tree["learner"]["gradient_booster"]["model"]["trees"]:
        del each["sum_hessian"]
    path = stack.scratch("coverless") / "model.json"
    path.write_text(json.dumps(tree))
    run = stack.run_futaie("models", "import", COVERLESS, path, "--models", store, "--unproven", "--promote")
    assert run.returncode == 0, run


@contextlib.contextmanager
def empty():
    """futaie with an empty store."""
    with stack.Futaie(stack.scratch("models"), ready=False) as app:
        stack.wait_for("futaie to answer", lambda: app.request("GET", "/healthz").status == 200)
        with stack.Lighttpd(app.address) as front:
            yield front


@contextlib.contextmanager
def waiting():
    """One model, without a champion."""
    store = models.Store().fixture(HOUSE, champion=False)
    with stack.Futaie(store, ready=False) as app:
        stack.wait_for("futaie to answer", lambda: app.request("GET", "/healthz").status == 200)
        with stack.Lighttpd(app.address) as front:
            yield front


@contextlib.contextmanager
def down():
    """The web server alone."""
    with stack.Lighttpd(str(stack.scratch("down") / "app.sock")) as front:
        yield front


@contextlib.contextmanager
def dying():
    """An application that ends in the middle of each request, as one does that is killed."""
    address = str(stack.scratch("dying") / "app.sock")

    def serve(listener):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.recv(65536)
                connection.close()

    with contextlib.closing(stack.listening_socket(address)) as listener, stack.Lighttpd(address) as front:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield front


@pytest.fixture(scope="module")
def places():
    """Starts what a case asks, once: places(narrow) gives the port of its web server."""
    with contextlib.ExitStack() as started:
        ports = {}

        def port_of(place):
            if place not in ports:
                ports[place] = started.enter_context(place()).http_port
            return ports[place]

        yield port_of


KEYS = {}       # scope → key, of those that guarded() asks for


@contextlib.contextmanager
def guarded():
    """The shipped model, for those who have a key."""
    path = stack.scratch("keys") / "keys.json"
    for scope in ("predict", "metrics"):
        run = stack.run_futaie("keys", "add", "test", "--scopes", scope, "--keys", path)
        assert run.returncode == 0, run
        KEYS[scope] = run.stdout.strip()
    with stack.Site(models.SHIPPED, ["--keys", str(path)]) as site:
        yield site


@contextlib.contextmanager
def hurried():
    """The shipped model, one request a second."""
    with stack.Site(models.SHIPPED, ["--rate-per-address", "1", "--burst", "1"]) as site:
        yield site


# The cases: which operations get which request, and what must come back.

@dataclasses.dataclass
class Case:
    status: int
    operations: str             # a regular expression on their ids
    place: object = narrow
    code: str = ""              # of the error
    method: str = ""            # in place of the operation's
    body: object = None         # of POST, where not the example
    content_type: str = "application/json"
    headers: dict = dataclasses.field(default_factory=dict)
    query: str = ""
    name: str = CALIFORNIA
    version: str = "1"
    raw: bytes = b""            # lines to put behind the request's first, sent as they are, instead of fields and a body
    key: str = ""               # the scope of the key that is sent
    key_header: str = "Authorization"
    attempts: int = 1           # until the status comes
    responses: str = ""         # the document's name of the response, where it is not the status

    def __str__(self):
        return " ".join(filter(None, [str(self.status), self.code, self.method, self.place.__name__, self.key and f"{self.key} in {self.key_header}", self.query and "?" + self.query]))


PUBLIC = "isAlive|isReady|versions|openapi|inferenceServer|inferenceLive|inferenceReady|ping|health"
KEYED = f"(?!(?:{PUBLIC})$).*"
NOT_FEEDBACK = "(?!feedback$).*"                 # which answers 200 only where an answer is remembered
PREDICTING = f"(?!(?:metrics|{PUBLIC})$).*"     # what the scope predict is for
ANY, ROWS, INFER, SCORE = ".*", "predict.*|explain.*", "infer|inferVersion", "invocations"
POSTS = "|".join([ROWS, INFER, SCORE, "feedback"])
GETS = f"(?!(?:{POSTS})$).*"
DEFAULTS, CHAMPIONS, VERSIONS = "predict|explain", "(predict|explain)WithModel", "(predict|explain)WithVersion"
NAMED = CHAMPIONS + "|infer|inferenceModel|inferenceModelReady"
NUMBERED = VERSIONS + "|describeVersion|inferVersion|inferenceVersion|inferenceVersionReady"
READY = "isReady|inferenceReady|ping|health"
CSV = "MedInc,HouseAge,AveRooms,AveBedrms,Population,AveOccup,Latitude,Longitude\n8.3252,41,6.9841,1.02381,322,2.5556,37.88,-122.23\n"
HOUSE_BODY = {"features": [[1, 2, 3, 4, 5]]}
KINDS_BODY = HOUSE_BODY
SPLIT = {"dataframe_split": {"columns": models.FEATURES, "data": [models.EXAMPLE]}}


def tensors(row=models.EXAMPLE, datatype="FP32", **more):
    return {"inputs": [{"name": "input__0", "shape": [1, len(row)], "datatype": datatype, "data": row}], **more}


BODIES = {"infer": tensors(), "inferVersion": tensors(), "invocations": SPLIT}      # where it is not that of /predict
LENGTH = "Inference-Header-Content-Length"
RAW = struct.pack("<8f", *models.EXAMPLE)

CASES = [
    Case(200, NOT_FEEDBACK),
    Case(200, NOT_FEEDBACK, headers={"X-Request-Id": "a-client.s_own"}),
    Case(200, GETS, query="x=1"),
    Case(200, ROWS + "|" + SCORE, query="output=margin"),
    Case(200, ROWS, body={"features": [models.EXAMPLE_OBJECT, [None] * 8]}),
    Case(200, ROWS + "|" + SCORE, body=CSV, content_type="text/csv"),
    Case(200, INFER, body=tensors(id="a\u20ac", outputs=[{"name": "margin"}, {"name": "predict"}, {"name": "output__0", "parameters": {"binary_data": False}}])),
    Case(200, INFER, body=tensors(parameters={"binary_data_output": True}, outputs=[{"name": "output__0"}, {"name": "margin"}])),
    Case(200, INFER, body=tensors(outputs=[{"name": "output__0"}, {"name": "margin", "parameters": {"binary_data": True}}])),
    Case(200, INFER, body=RAW, content_type="application/octet-stream", headers={LENGTH: "0"}),
    Case(200, INFER, mixed, name=KINDS, body=tensors([1, 2, 3, 4, 5], "INT8")),
    Case(200, SCORE, body={"dataframe_records": [models.EXAMPLE_OBJECT], "params": None}),
    Case(200, SCORE, body={"instances": [models.EXAMPLE, models.EXAMPLE_OBJECT]}),
    Case(200, SCORE, body={"inputs": {name: [[number]] for name, number in models.EXAMPLE_OBJECT.items()}}),
    Case(200, "inferenceModel|inferenceVersion|inference.*Statistics", mixed, name=KINDS),
    Case(200, CHAMPIONS + "|" + VERSIONS, mixed, name=KINDS, body=KINDS_BODY),
    Case(200, CHAMPIONS + "|" + VERSIONS, mixed, name=KINDS, body=KINDS_BODY, query="output=margin"),
    Case(200, "describeModel", mixed, name=KINDS),
    Case(200, "describeModel|describeVersion", mixed, name=LINEAR),
    Case(200, "describeVersion", mixed, name="waiting"),
    Case(200, "describeModel", mixed, name="waiting"),
    Case(200, "describeModel", mixed, name="broken"),
    Case(200, "listModels|metrics|isReady", mixed),
    Case(200, "listModels|metrics", empty),

    Case(400, ROWS, code="bad_json", body="{"),
    Case(400, ROWS, code="bad_json", body=""),
    Case(400, ROWS, code="bad_csv", body=CSV.replace("8.3252", "large"), content_type="text/csv"),
    Case(400, ROWS, code="bad_number", body={"features": [[1e39] * 8]}),
    Case(400, ROWS, code="wrong_type", body={"features": [["x"] * 8]}),
    Case(400, ROWS, code="wrong_feature_count", body={"features": [[1]]}),
    Case(400, ROWS, code="unknown_feature", body={"features": [{"x": 1}]}),
    Case(400, ROWS, code="missing_feature", body={"features": [{"MedInc": 1}]}),
    Case(400, ROWS, code="repeated_feature", body='{"features": [{"MedInc": 1, "MedInc": 1}]}'),
    Case(400, ROWS, code="no_rows", body={"features": []}),
    Case(400, ROWS, code="unknown_field", body={"rows": []}),
    Case(400, ROWS, code="missing_field", body={}),
    Case(400, ROWS, code="repeated_field", body='{"features": [%s], "features": []}' % json.dumps(models.EXAMPLE)),
    Case(400, ROWS, code="bad_parameter", query="output=other"),
    Case(400, POSTS, code="bad_request", raw=b"Content-Length: 1\r\nContent-Length: 2\r\n"),

    Case(400, INFER + "|" + SCORE, code="bad_json", body="{"),
    Case(400, INFER + "|" + SCORE, code="wrong_type", body=[]),
    Case(400, INFER + "|" + SCORE, code="missing_field", body={}),
    Case(400, INFER, code="bad_number", body=tensors([1e39] * 8, "FP64")),
    Case(400, INFER, code="wrong_type", body=tensors(datatype="BYTES")),
    Case(400, INFER, code="wrong_feature_count", body=tensors([1] * 7)),
    Case(400, INFER, code="unknown_feature", body={"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}),
    Case(400, INFER, code="missing_feature", body={"inputs": [{"name": "MedInc", "shape": [1], "datatype": "FP32", "data": [1]}]}),
    Case(400, INFER, code="repeated_feature", body={"inputs": [{"name": "MedInc", "shape": [1], "datatype": "FP32", "data": [1]}] * 2}),
    Case(400, INFER, code="no_rows", body={"inputs": [{"name": "x", "shape": [0, 8], "datatype": "FP32", "data": []}]}),
    Case(400, INFER, code="repeated_field", body=tensors(outputs=[{"name": "margin"}] * 2)),
    Case(400, INFER, code="bad_parameter", body=tensors(outputs=[{"name": "labels"}])),
    Case(400, INFER, code="bad_parameter", body=RAW, content_type="application/octet-stream"),
    Case(400, SCORE, code="bad_csv", body=CSV.replace("8.3252", "large"), content_type="text/csv"),
    Case(400, SCORE, code="bad_number", body={"instances": [[1e39] * 8]}),
    Case(400, SCORE, code="wrong_type", body={"instances": [["x"] * 8]}),
    Case(400, SCORE, code="wrong_feature_count", body={"instances": [[1]]}),
    Case(400, SCORE, code="unknown_feature", body={"instances": [{"x": 1}]}),
    Case(400, SCORE, code="missing_feature", body={"dataframe_records": [{"MedInc": 1}]}),
    Case(400, SCORE, code="repeated_feature", body={"dataframe_split": {"columns": models.FEATURES + ["MedInc"], "data": []}}),
    Case(400, SCORE, code="no_rows", body={"dataframe_records": []}),
    Case(400, SCORE, code="unknown_field", body={**SPLIT, "instances": [models.EXAMPLE]}),
    Case(400, SCORE, code="repeated_field", body='{"instances": [%s], "instances": []}' % json.dumps(models.EXAMPLE)),
    Case(400, SCORE, code="bad_parameter", query="output=other"),

    Case(200, "(?!feedback$)" + PREDICTING, guarded, key="predict"),
    Case(200, "(?!feedback$)" + PREDICTING, guarded, key="predict", key_header="X-API-Key"),
    Case(200, "metrics", guarded, key="metrics"),
    Case(200, PUBLIC, guarded),
    Case(401, KEYED, guarded, code="unauthorized"),
    Case(401, KEYED, guarded, code="unauthorized", headers={"X-API-Key": "futaie_nobody"}),
    Case(403, PREDICTING, guarded, code="forbidden", key="metrics"),
    Case(403, "metrics", guarded, code="forbidden", key="predict"),
    Case(403, "metrics", code="forbidden", headers={"Via": "1.1 elsewhere"}),
    Case(429, KEYED, hurried, code="rate_limited", attempts=10),

    Case(404, DEFAULTS + "|" + SCORE, mixed, code="no_default_model"),
    Case(404, DEFAULTS + "|" + SCORE, waiting, code="no_champion"),
    Case(404, NAMED, mixed, code="no_champion", name="waiting"),
    Case(404, f"{NAMED}|{NUMBERED}|describeModel|inference(Model|Version)Statistics", code="unknown_model", name="nobody"),
    Case(404, f"{NAMED}|{NUMBERED}|describeModel|inference(Model|Version)Statistics", code="not_found", name="x" * 65),
    Case(404, NUMBERED + "|inferenceVersionStatistics", code="unknown_version", version="9"),
    Case(404, "explainWith.*", mixed, code="not_found", name=COVERLESS, body=HOUSE_BODY),

    Case(405, POSTS, code="method_not_allowed", method="GET"),
    Case(405, POSTS, code="method_not_allowed", method="PUT"),
    Case(405, GETS, code="method_not_allowed", method="POST"),
    Case(405, GETS, code="method_not_allowed", method="DELETE"),
    Case(405, ANY, code="method_not_allowed", method="PATCH"),

    Case(413, ROWS, code="too_many_rows", body={"features": [models.EXAMPLE] * (ROWS_MAX + 1)}),
    Case(413, INFER, code="too_many_rows", body=RAW * (ROWS_MAX + 1), content_type="application/octet-stream", headers={LENGTH: "0"}),
    Case(413, SCORE, code="too_many_rows", body={"instances": [models.EXAMPLE] * (ROWS_MAX + 1)}),
    Case(413, POSTS, code="body_too_large", body=" " * (BODY_MAX + 1)),
    Case(413, POSTS, code="body_too_large", body=" " * (FRONT_BODY_MAX + 1024)),

    Case(415, POSTS, code="unsupported_media_type", body="x", content_type="text/plain"),
    Case(415, POSTS, code="unsupported_media_type", headers={"Content-Encoding": "gzip"}),

    Case(501, INFER, code="not_implemented", body=tensors(outputs=[{"name": "output__0", "parameters": {"classification": 2}}])),

    Case(200, "feedback", body={"id": "known", "actual": 4.5}),
    Case(200, "feedback", body={"id": "known", "actual": [4.5]}),
    Case(200, "feedback", body={"feedback": [{"id": "known", "actual": 4.5}, {"id": "nobody's", "actual": [1, None]}]}),
    Case(200, "feedback", body={"feedback": []}),
    Case(400, "feedback", code="bad_json", body="{"),
    Case(400, "feedback", code="bad_number", body={"id": "known", "actual": 1e39}),
    Case(400, "feedback", code="wrong_type", body={"feedback": [{"id": "known", "actual": "4.5"}]}),
    Case(400, "feedback", code="unknown_field", body={"id": "known", "truth": 4.5}),
    Case(400, "feedback", code="missing_field", body={"id": "known"}),
    Case(400, "feedback", code="repeated_field", body='{"id": "known", "id": "known", "actual": 1}'),
    Case(404, "feedback", mixed, code="not_found", body={"id": "known", "actual": 4.5}),
    Case(404, "feedback", code="unknown_id", body={"id": "nobody's", "actual": 4.5}),
    Case(413, "feedback", code="too_many_rows", body={"feedback": [{"id": "known", "actual": 1}] * 1001}),

    Case(503, f"{DEFAULTS}|{SCORE}|{READY}", empty, code="not_ready"),
    Case(503, NAMED, mixed, code="not_ready", name="broken"),
    Case(503, NUMBERED, mixed, code="model_failed", name=HOUSE, version="2"),
    Case(503, ANY, down, code="unavailable"),

    Case(400, GETS, code="bad_request", raw=b"no colon\r\n", responses="default"),
    Case(411, POSTS, code="length_required", raw=b"Content-Type: application/json\r\n", responses="default"),
    Case(431, ANY, code="headers_too_large", headers={"X-Long": "x" * 9000}, responses="default"),
    Case(500, ANY, dying, code="internal", responses="default"),
]


def cases():
    for case in CASES:
        for operation in DOCUMENT.operations:
            if re.fullmatch(case.operations, operation.id):
                yield pytest.param(operation, case, id=f"{operation.id}, {case}")


def send(port, operation, case):
    path = operation.path.replace("{name}", case.name).replace("{version}", case.version) + (f"?{case.query}" if case.query else "")
    method = case.method or operation.method
    if case.raw:
        return http.exchange(port, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode() + case.raw + b"\r\n")[0]
    body = BODIES.get(operation.id, EXAMPLE_BODY) if case.body is None and method in ("POST", "PUT", "PATCH") else case.body
    headers = {**case.headers, **({case.key_header: ("Bearer " if case.key_header == "Authorization" else "") + KEYS[case.key]} if case.key else {})}
    with contextlib.closing(http.Client(port)) as client:
        for _ in range(case.attempts):
            reply = client.request(method, path, body, case.content_type if body is not None else None, headers=headers)
            if reply.status == case.status:
                break
        return reply


@pytest.mark.parametrize("operation, case", cases())
def test_answer(places, operation, case):
    """The answer is what the document says"""
    reply = send(places(case.place), operation, case)
    assert reply.status == case.status, reply
    assert DOCUMENT.promised(operation, case.status) == (case.responses or str(case.status)), f"{operation} documents no {case.status}"
    assert DOCUMENT.judge(operation, reply) == [], reply
    assert not case.code or reply.json()["code"] == case.code, reply


@pytest.mark.parametrize("operation", DOCUMENT.operations, ids=lambda operation: operation.id)
def test_every_response_has_a_case(operation):
    """Every documented status has a case that provokes it"""
    provoked = {case.responses or str(case.status) for case in CASES if re.fullmatch(case.operations, operation.id)}
    assert set(operation.responses) - provoked == set()


def test_every_case_has_an_operation():
    """Every case is for an operation of the document"""
    assert [case for case in CASES if not any(re.fullmatch(case.operations, operation.id) for operation in DOCUMENT.operations)] == []


@pytest.mark.parametrize("operation", [each for each in DOCUMENT.operations if each.method == "GET"], ids=lambda operation: operation.id)
def test_head(site, operation):
    """HEAD has the status and the fields of GET, and no body"""
    path = operation.path.replace("{name}", CALIFORNIA).replace("{version}", "1")
    get, head = site.get(path), site.request("HEAD", path)
    assert (head.status, head.body) == (get.status, b""), head
    assert head.headers["content-type"] == get.headers["content-type"] and head.headers["x-request-id"], head.headers


# The document itself

def test_served(site):
    """The document is served as it was built, by either web server"""
    reply = site.get("/openapi.json")
    assert reply.status == 200 and reply.headers["content-type"] == "application/json", reply.headers
    assert reply.text() == TEXT


def test_version():
    """The document has the version that futaie version prints"""
    assert f"futaie {DOCUMENT.tree['info']['version']}" in stack.run_futaie("version").stdout


def test_references():
    """Every reference leads somewhere, and every component is referred to"""
    for place, reference in DOCUMENT.references():
        assert reference.startswith("#/") and DOCUMENT.resolver.resolve(reference)[1] is not None, place
    referred = {reference for _, reference in DOCUMENT.references()}
    components = {f"#/components/{kind}/{name}" for kind, named in DOCUMENT.tree["components"].items() for name in named if kind != "securitySchemes"}
    assert components - referred == set()


def test_schemas():
    """Every schema is one of JSON Schema 2020-12"""
    assert len(DOCUMENT.schemas()) > 30
    for place, schema in DOCUMENT.schemas():
        try:
            openapi.jsonschema.Draft202012Validator.check_schema(schema)
        except openapi.jsonschema.SchemaError as error:
            pytest.fail(f"{place}: {error.message}")


def test_examples():
    """Every example is valid by its schema"""
    assert len(DOCUMENT.examples()) > 10
    for place, value, schema in DOCUMENT.examples():
        assert DOCUMENT.faults(value, schema) == [], place


def test_codes_of_the_web_server():
    """The codes of the web server's errors are those of its files"""
    files = {json.loads(path.read_text())["code"] for path in (stack.WEBSERVER / "errors").iterdir()}
    assert set(DOCUMENT.tree["components"]["schemas"]["WebServerErrorCode"]["enum"]) == files


# Its examples are true

def examples_of(content):
    """The values of the examples of a media type."""
    return ([content["example"]] if "example" in content else []) + [each["value"] for each in content.get("examples", {}).values()]


def is_part(example, answer):
    """True where an answer has what an example shows of it: all of its numbers and texts, and perhaps more members and elements."""
    if isinstance(example, dict) and isinstance(answer, dict):
        return all(name in answer and is_part(value, answer[name]) for name, value in example.items())
    if isinstance(example, list) and isinstance(answer, list):
        return len(example) <= len(answer) and all(map(is_part, example, answer))
    return example == answer and isinstance(example, bool) == isinstance(answer, bool)


@pytest.mark.parametrize("operation", [each for each in DOCUMENT.operations if each.method == "GET" and each.id not in ("openapi", "status") and not each.id.endswith("Statistics")], ids=lambda operation: operation.id)
def test_examples_of_answers(site, operation):
    """The example of an answer is what the shipped model's server answers"""
    reply = site.get(operation.path.replace("{name}", CALIFORNIA).replace("{version}", "1"))
    (content_type, content), = operation.responses["200"]["content"].items()
    example = examples_of(content)[0]
    if content_type == "application/json":
        assert is_part(example, reply.json()), reply
    else:
        assert example in reply.text(), reply


def about(got, expected):
    """The same, but for roundings: the last bits of a contribution depend on the processor's instructions."""
    if isinstance(expected, float):
        return isinstance(got, (int, float)) and math.isclose(got, expected, rel_tol=1e-6, abs_tol=1e-5)
    if isinstance(expected, dict):
        return isinstance(got, dict) and got.keys() == expected.keys() and all(about(got[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        return isinstance(got, list) and len(got) == len(expected) and all(map(about, got, expected))
    return got == expected


@pytest.mark.parametrize("operation", [each for each in DOCUMENT.operations if each.method == "POST" and each.id != "feedback"], ids=lambda operation: operation.id)
def test_examples_of_requests(site, operation):
    """Every example of a request is answered, and the first one with the example of the answer"""
    path = operation.path.replace("{name}", CALIFORNIA).replace("{version}", "1")
    answer, = examples_of(DOCUMENT.resolved(operation.responses["200"])["content"]["application/json"])
    replies = [site.post(path, example, content_type)
               for content_type, content in DOCUMENT.resolved(operation.item["requestBody"])["content"].items() for example in examples_of(content)]
    assert len(replies) > 1 and [reply.status for reply in replies] == [200] * len(replies), replies
    assert about(replies[0].json(), answer), replies[0]


def test_examples_of_feedback(places):
    """The examples of feedback are answered with its examples, when one of the answers is remembered"""
    operation = DOCUMENT.operation("feedback")
    with contextlib.closing(http.Client(places(narrow))) as client:
        requests = operation.item["requestBody"]["content"]["application/json"]
        for sent, expected in zip(examples_of(requests), examples_of(operation.responses["200"]["content"]["application/json"])):
            assert client.post("/predict", EXAMPLE_BODY, headers={"X-Request-Id": "5f2d8c3b9a417e06"}).status == 200
            assert is_part(without_sentences(expected), client.post("/feedback", sent).json())


def without_sentences(answer):
    return {**answer, "failed": [{name: value for name, value in each.items() if name != "error"} for each in answer["failed"]]} if "failed" in answer else answer


# The judge can say no

WRONG = {
    "a status that is not documented": lambda reply: setattr(reply, "status", 204),
    "a member too many": lambda reply: setattr(reply, "body", reply.body.replace(b"{", b'{"more": 1, ', 1)),
    "a member twice": lambda reply: setattr(reply, "body", reply.body.replace(b"{", b'{"model": "x", ', 1)),
    "a member missing": lambda reply: setattr(reply, "body", reply.body.replace(b'"version":', b'"model":', 1)),
    "a text in place of a number": lambda reply: setattr(reply, "body", reply.body.replace(b"[4.3943825]", b'["4.39"]')),
    "a number that is none": lambda reply: setattr(reply, "body", reply.body.replace(b"4.3943825", b"NaN")),
    "another type": lambda reply: reply.headers.update({"content-type": "text/html"}),
    "no request id": lambda reply: reply.headers.pop("x-request-id"),
    "a request id with other characters": lambda reply: reply.headers.update({"x-request-id": "a b"}),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_judge(site, change):
    """An answer that is changed is found out"""
    operation, reply = DOCUMENT.operation("predict"), site.post("/predict", EXAMPLE_BODY)
    assert DOCUMENT.judge(operation, reply) == []
    changed = copy.deepcopy(reply)
    change(changed)
    try:
        assert DOCUMENT.judge(operation, changed) != []
    except ValueError:
        pass                    # no JSON, or not as strict as it must be


def test_judge_of_errors():
    """A code that belongs to another status, or to the web server, is found out"""
    operation = DOCUMENT.operation("predict")
    for status, code in ((400, "unknown_model"), (404, "bad_json"), (405, "not_found"), (413, "overloaded"), (500, "bad_json"), (418, "unknown_model"), (503, "internal")):
        reply = http.Reply(status, [("Content-Type", "application/json"), ("X-Request-Id", "a"), ("Allow", "POST"), ("Retry-After", "1")],
                           json.dumps({"error": "something is wrong here", "code": code}).encode())
        assert DOCUMENT.judge(operation, reply) != [], code
