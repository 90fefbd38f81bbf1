"""test_requests.py - Python's requests, and the programs of the README"""
import re
import struct

import pytest
import requests

from lib import models, stack
from lib.models import CALIFORNIA, EXAMPLE, EXAMPLE_OBJECT, FEATURES


@pytest.fixture(params=["http", "https"])
def session(request, site):
    """A session that keeps its connection, and whose paths are those of the site."""
    base = f"http://127.0.0.1:{site.http_port}" if request.param == "http" else f"https://localhost:{site.https_port}"
    with requests.Session() as opened:
        opened.trust_env = False
        opened.verify = str(site.front.folder / "tls.pem")
        plain = opened.request
        opened.request = lambda method, path, **options: plain(method, base + path, timeout=10, **options)
        yield opened


def test_protocols(session):
    """Each protocol answers the same number, by json= and by data="""
    expected = session.post("/predict", json=models.EXAMPLE_BODY).json()["predictions"]
    described = {"name": "x", "shape": [1, 8], "datatype": "FP32"}
    answer = session.post(f"/v2/models/{CALIFORNIA}/infer", json={"inputs": [{**described, "data": EXAMPLE}]})
    assert answer.headers["Content-Type"] == "application/json" and answer.json()["outputs"][0]["data"] == expected
    assert session.post("/invocations", json={"dataframe_records": [EXAMPLE_OBJECT]}).json() == {"predictions": expected}
    text = ",".join(FEATURES) + "\n" + ",".join(map(str, EXAMPLE))
    assert session.post("/invocations", data=text, headers={"Content-Type": "text/csv"}).json() == {"predictions": expected}
    raw = session.post(f"/v2/models/{CALIFORNIA}/infer", data=struct.pack("<8f", *EXAMPLE), headers={"Inference-Header-Content-Length": "0"})
    assert raw.content[int(raw.headers["Inference-Header-Content-Length"]):] == struct.pack("<f", expected[0])


def test_errors(session):
    """Refusals are JSON, and the session goes on"""
    for path, member in (("/predict", "error"), (f"/v2/models/{CALIFORNIA}/infer", "error"), ("/invocations", "message")):
        answer = session.post(path, json={"nothing": 1})
        assert answer.status_code == 400 and len(answer.json()[member]) > 20, answer.text
    assert session.get("/v2/models/none").status_code == 404
    assert session.get("/ping").text == "\n"


def readme_programs():
    return re.findall(r"^```python\n(.*?)^```", (stack.ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(readme_programs())))
def test_readme(site, number, capsys):
    """A program of the README prints what it says"""
    program = readme_programs()[number]
    exec(compile(program.replace("localhost:5001", f"127.0.0.1:{site.http_port}"), "README.md", "exec"), {})
    said = capsys.readouterr().out.split()
    promised = re.findall(r"# (\S.*\d.*)$", program, re.MULTILINE)[-1].split()
    assert said == promised and "4.3943825" in "".join(said)
