"""test_curl.py - curl, as it is called in documents and scripts: each protocol, both schemes, files and pipes"""
import json
import struct
import subprocess

import pytest

from lib import models, need
from lib.models import CALIFORNIA, EXAMPLE, FEATURES

INFER = f"/v2/models/{CALIFORNIA}/infer"
MATRIX = {"name": "input__0", "shape": [1, 8], "datatype": "FP32"}


@pytest.fixture(params=["http", "https"])
def curl(request, site):
    """curl(path, words…) gives the body, and with `head` what --dump-header wrote; it must end well."""
    program = need.program("curl", "curl")
    base = f"http://localhost:{site.http_port}" if request.param == "http" else f"https://localhost:{site.https_port}"
    trust = [] if request.param == "http" else ["--cacert", site.front.folder / "tls.pem"]

    def run(path, *words, stdin=None):
        done = subprocess.run([program, "--silent", "--show-error", "--max-time", "10", *map(str, trust), *map(str, words), base + path], input=stdin, capture_output=True,
                              check=False, timeout=15)
        assert done.returncode == 0, done
        return done.stdout

    return run


@pytest.fixture
def expected(site):
    return site.post("/predict", models.EXAMPLE_BODY).json()["predictions"]


def test_json(curl, expected):
    """Each protocol's JSON from the command line"""
    kind = ("-H", "Content-Type: application/json")
    assert json.loads(curl("/predict", *kind, "-d", json.dumps(models.EXAMPLE_BODY)))["predictions"] == expected
    answer = json.loads(curl(INFER, *kind, "-d", json.dumps({"inputs": [{**MATRIX, "data": EXAMPLE}]})))
    assert answer["outputs"][0]["data"] == expected
    split = {"dataframe_split": {"columns": FEATURES, "data": [EXAMPLE]}}
    assert json.loads(curl("/invocations", *kind, "-d", json.dumps(split)))["predictions"] == expected


def test_csv_from_a_pipe(curl, expected):
    """CSV from a pipe"""
    text = ",".join(FEATURES) + "\n" + ",".join(map(str, EXAMPLE)) + "\n"
    for path in ("/predict", "/invocations"):
        assert json.loads(curl(path, "-H", "Content-Type: text/csv", "--data-binary", "@-", stdin=text.encode()))["predictions"] == expected


def test_binary_file(curl, expected, tmp_path):
    """A binary tensor from a file, into a file"""
    text = json.dumps({"inputs": [{**MATRIX, "parameters": {"binary_data_size": 32}}], "parameters": {"binary_data_output": True}}).encode()
    (tmp_path / "request").write_bytes(text + struct.pack("<8f", *EXAMPLE))
    curl(INFER, "-H", f"Inference-Header-Content-Length: {len(text)}", "-H", "Content-Type: application/octet-stream", "--data-binary",
         f"@{tmp_path / 'request'}", "--output", tmp_path / "answer", "--dump-header", tmp_path / "head")
    head = dict(line.split(": ", 1) for line in (tmp_path / "head").read_text().lower().splitlines() if ": " in line)
    answer = (tmp_path / "answer").read_bytes()
    number = struct.pack("<f", expected[0])
    assert answer[int(head["inference-header-content-length"]):] == number


def test_health(curl):
    """Health checks by status alone"""
    for path in ("/ping", "/health", "/v2/health/live", "/v2/health/ready", f"/v2/models/{CALIFORNIA}/ready"):
        assert curl(path, "--fail", "--output", "/dev/null", "--write-out", "%{http_code}") == b"200"
        assert curl(path, "--head", "--output", "/dev/null", "--write-out", "%{http_code}") == b"200"


def test_large(curl, site):
    """A body of megabytes, for which curl asks first (Expect: 100-continue)"""
    rows = [EXAMPLE] * 20_000
    body = json.dumps({"inputs": [{"name": "x", "shape": [20_000, 8], "datatype": "FP64", "data": rows}]}).encode()
    assert len(body) > 1_000_000
    answer = json.loads(curl(INFER, "-H", "Content-Type: application/json", "--data-binary", "@-", stdin=body))
    assert answer["outputs"][0]["data"] == site.post("/predict", models.EXAMPLE_BODY).json()["predictions"] * 20_000
