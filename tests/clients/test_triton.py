"""test_triton.py - tritonclient[http], Triton's own client: what it asks, sends and understands, with binary tensors and without"""
import random

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from lib import models, stack
from lib.models import CALIFORNIA, EXAMPLE, FEATURES


@pytest.fixture
def client(site):
    with triton.InferenceServerClient(f"127.0.0.1:{site.http_port}") as opened:
        yield opened


def golden_rows(count):
    _, *lines = (models.DATA / "golden_rows.csv").read_text().splitlines()
    chosen = random.Random(3).choices(lines, k=count)
    return np.array([[float(cell) if cell else np.nan for cell in line.split(",")] for line in chosen], np.float32)


def predict(site, rows, query=""):
    """What /predict says of float32 rows, as float32."""
    listed = [[None if np.isnan(number) else float(number) for number in row] for row in rows]
    reply = site.post("/predict" + query, {"features": listed})
    assert reply.status == 200, reply
    return np.array(reply.json()["predictions"], np.float32)


def matrix(rows, datatype="FP32", binary=True, name="input__0"):
    made = triton.InferInput(name, list(rows.shape), datatype)
    made.set_data_from_numpy(rows, binary_data=binary)
    return made


def same_bits(found, expected):
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


def test_server(client):
    """The client finds the server live, ready and with its extensions"""
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(CALIFORNIA) and client.is_model_ready(CALIFORNIA, "1")
    assert not client.is_model_ready("none") and not client.is_model_ready(CALIFORNIA, "99")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata(CALIFORNIA)
    assert metadata["inputs"] == [{"name": "input__0", "datatype": "FP32", "shape": [-1, len(FEATURES)]}]


@pytest.mark.parametrize("binary_in", [True, False], ids=["binary in", "JSON in"])
@pytest.mark.parametrize("binary_out", [True, False, None], ids=["binary out", "JSON out", "no outputs named"])
def test_predictions(site, client, binary_in, binary_out):
    """Predictions have the bits of /predict"""
    rows = golden_rows(300) if binary_in else np.nan_to_num(golden_rows(300))      # the client writes NaN that its JSON cannot hold
    wanted = None if binary_out is None else [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("output__0", "margin")]
    result = client.infer(CALIFORNIA, [matrix(rows, binary=binary_in)], outputs=wanted, request_id="r-7")
    same_bits(result.as_numpy("output__0"), predict(site, rows))
    if wanted:
        same_bits(result.as_numpy("margin"), predict(site, rows, "?output=margin"))
    answer = result.get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("r-7", CALIFORNIA, "1")


@pytest.mark.parametrize("datatype", ["FP64", "INT64", "INT32", "UINT8", "FP16"])
def test_datatypes(site, client, datatype):
    """Arrays of other types are rounded to float32"""
    types = {"FP64": np.float64, "INT64": np.int64, "INT32": np.int32, "UINT8": np.uint8, "FP16": np.float16}
    rows = np.abs(np.nan_to_num(golden_rows(20))).clip(0, 255).astype(types[datatype])
    result = client.infer(CALIFORNIA, [matrix(rows, datatype)])
    same_bits(result.as_numpy("output__0"), predict(site, rows.astype(np.float32)))


def test_tensor_a_feature(site, client):
    """Columns by name, one of them in JSON, are predicted as the matrix is"""
    rows = golden_rows(50)
    inputs = [matrix(np.ascontiguousarray(rows[:, number]), name=name) for number, name in enumerate(FEATURES)]
    inputs[1] = matrix(np.nan_to_num(rows[:, [1]]), name=FEATURES[1], binary=False)
    rows[:, 1] = np.nan_to_num(rows[:, 1])
    same_bits(client.infer(CALIFORNIA, inputs[::-1], model_version="1").as_numpy("output__0"), predict(site, rows))


def test_many_at_once(site, client):
    """Requests that the client sends at once come back right"""
    batches = [golden_rows(count) for count in range(1, 30)]
    with triton.InferenceServerClient(f"127.0.0.1:{site.http_port}", concurrency=4) as many:
        waiting = [many.async_infer(CALIFORNIA, [matrix(rows)]) for rows in batches]
        for rows, request in zip(batches, waiting):
            same_bits(request.get_result().as_numpy("output__0"), predict(site, rows))


def test_errors(client):
    """Refusals reach the client as its own exception, with our sentence"""
    example = np.array([EXAMPLE], np.float32)
    with pytest.raises(InferenceServerException) as raised:
        client.infer("none", [matrix(example)])
    assert raised.value.status() == "404" and "there is no model" in raised.value.message()
    with pytest.raises(InferenceServerException) as raised:
        client.infer(CALIFORNIA, [matrix(example[:, :7])])
    assert raised.value.status() == "400" and "[n,8]" in raised.value.message()
    with pytest.raises(InferenceServerException) as raised:
        client.infer(CALIFORNIA, [matrix(example)], outputs=[triton.InferRequestedOutput("output__0", class_count=2)])
    assert raised.value.status() == "501"


def test_statistics(client):
    """Statistics grow with what the client asked for"""
    def counts():
        found, = client.get_inference_statistics(CALIFORNIA)["model_stats"]
        return found["inference_count"], found["execution_count"]

    before = counts()
    client.infer(CALIFORNIA, [matrix(golden_rows(10))])
    assert counts() == (before[0] + 10, before[1] + 1)
    assert CALIFORNIA in [each["name"] for each in client.get_inference_statistics()["model_stats"]]


def test_repository(fresh):
    """Through a web server of the operator's own in front of the admin socket the client loads and unloads"""
    folder = stack.scratch("admin")
    app = fresh(models.Store().california().prove(), args=["--admin-socket", folder / "admin.sock"])
    with stack.Lighttpd(folder / "admin.sock") as front, triton.InferenceServerClient(f"127.0.0.1:{front.http_port}") as client:
        assert [(each["name"], each["state"]) for each in client.get_model_repository_index()] == [(CALIFORNIA, "READY")]
        client.unload_model(CALIFORNIA)
        assert not client.is_model_ready(CALIFORNIA) and not client.is_server_ready()
        assert app.request("POST", "/predict", models.EXAMPLE_BODY).status == 503
        client.load_model(CALIFORNIA)
        assert client.is_model_ready(CALIFORNIA)
        assert app.request("POST", "/predict", models.EXAMPLE_BODY).status == 200


def test_no_repository(client):
    """Through the public web server it does not"""
    with pytest.raises(InferenceServerException) as raised:
        client.unload_model(CALIFORNIA)
    assert raised.value.status() == "404"
    assert client.is_model_ready(CALIFORNIA)
