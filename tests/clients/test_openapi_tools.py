"""test_openapi_tools.py - the OpenAPI document in the hands of others: the official schema, a linter, and a fuzzer on the real server"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lib import environments, models, stack

HERE = environments.CLIENTS
BUILT = stack.BUILD / "openapi.json"
FUZZ_S = 240

pytestmark = pytest.mark.limit(600)     # the first test that needs an environment waits for its installation


@pytest.fixture(scope="module")
def node():
    return environments.node()


def of_python(name):
    """A program of the environment that pytest runs in: see run.sh."""
    return Path(sys.executable).parent / name


def run(*words, timeout_s=60):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout_s, check=False,
                          env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"})


def test_official_schema():
    """The document is valid by the official schema of OpenAPI 3.1"""
    checked = run(of_python("openapi-spec-validator"), "--schema", "3.1", BUILT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_linter(node):
    """Redocly's linter has nothing to say about the document"""
    linted = run(node / "redocly", "lint", "--config", HERE / "redocly.yaml", BUILT)
    assert linted.returncode == 0 and "Your API description is valid" in linted.stdout + linted.stderr, linted.stdout + linted.stderr


def narrowed(document, model, keys=False):
    """The document with what only one model's rows are like, so that whatever is valid by it must be answered with 200. With
    `keys`, those are no longer optional."""
    names = [feature["name"] for feature in model["features"]]
    by_name = document["components"]["schemas"]["RowByName"]
    document["components"]["schemas"]["Row"]["oneOf"][0].update(minItems=len(names), maxItems=len(names))
    by_name.update(properties={name: by_name["additionalProperties"] for name in names}, required=names, additionalProperties=False)
    cells = ",".join([r"-?[0-9]{1,6}(\.[0-9]{1,6})?"] * len(names))
    csv = document["components"]["schemas"]["Csv"]
    csv["pattern"] = f"^{','.join(names)}\n({cells}\n){{1,3}}$"
    if keys:
        document["security"] = [{"bearer": []}, {"apiKey": []}]
    document["components"]["parameters"]["name"]["schema"] = {"enum": [model["name"]]}
    document["components"]["parameters"]["version"]["schema"] = {"enum": model["versions"]}
    return document


def remember(site, **headers):
    """Has an answer remembered by the id that the examples of feedback name."""
    reply = site.post("/predict", models.EXAMPLE_BODY, headers={"X-Request-Id": "5f2d8c3b9a417e06", **headers})
    assert reply.status == 200, reply


@pytest.fixture
def remembering(front):
    """The shipped model's site, where feedback is taken."""
    with stack.Site(models.SHIPPED, ["--feedback-answers", "1000"], front=front) as site:
        remember(site)
        yield site


def test_fuzzer(remembering, say):
    """Schemathesis finds no fault in any answer"""
    site = remembering
    document = narrowed(site.get("/openapi.json").json(), site.get(f"/models/{models.CALIFORNIA}").json())
    fuzz(site, document, say)
    assert site.app.running() and site.post("/predict", models.EXAMPLE_BODY).status == 200


def test_fuzzer_with_keys(say):
    """Schemathesis finds no fault where keys are asked for, and none that is passed over"""
    path = stack.scratch("keys") / "keys.json"
    made = stack.run_futaie("keys", "add", "schemathesis", "--scopes", "predict,metrics", "--keys", path)
    assert made.returncode == 0, made
    key = {"Authorization": "Bearer " + made.stdout.strip()}
    with stack.Site(models.SHIPPED, ["--keys", str(path), "--feedback-answers", "1000"]) as site:
        remember(site, **key)
        model = site.get(f"/models/{models.CALIFORNIA}", headers=key).json()
        fuzz(site, narrowed(site.get("/openapi.json").json(), model, keys=True), say, "--header", f"Authorization: {key['Authorization']}")


def fuzz(site, document, say, *words):
    path = stack.scratch("schemathesis") / "openapi.json"
    path.write_text(json.dumps(document))
    fuzzed = run(of_python("schemathesis"), "--no-color", "--config-file", HERE / "schemathesis.toml", "run", path,
                 "--url", f"http://127.0.0.1:{site.http_port}", *words, timeout_s=FUZZ_S)
    assert fuzzed.returncode == 0, fuzzed.stdout + fuzzed.stderr
    operations = re.search(r"Tested: (\d+)", fuzzed.stdout)
    assert operations and int(operations[1]) == sum(len(item) for item in document["paths"].values()), fuzzed.stdout
    say(re.search(r"Test cases:\n +(.*)", fuzzed.stdout)[1])
