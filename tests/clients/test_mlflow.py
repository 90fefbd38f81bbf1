"""test_mlflow.py - MLflow's own client of a scoring server, and the bodies that its tools and pandas make"""
import json

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from mlflow.utils.proto_json_utils import dump_input_data

from lib import models
from lib.models import EXAMPLE, FEATURES


@pytest.fixture
def client(site):
    return ScoringServerClient("127.0.0.1", site.http_port)


@pytest.fixture
def frame():
    return pd.read_csv(models.DATA / "golden_rows.csv", dtype=np.float32).head(200)


def predict(site, frame, query=""):
    listed = [[None if np.isnan(number) else float(number) for number in row] for row in frame[FEATURES].to_numpy()]
    return np.array(site.post("/predict" + query, {"features": listed}).json()["predictions"], np.float32)


def same_bits(found, expected):
    assert np.asarray(found, np.float32).tobytes() == expected.tobytes()


def test_health(site, client):
    """The client finds the server well, and its version"""
    client.ping()
    client.wait_server_ready(timeout=5)
    assert "futaie" in json.loads(client.get_version())


def test_frame(site, client, frame):
    """A frame, with its columns in any order, is predicted with the bits of /predict"""
    for each in (frame, frame[FEATURES[::-1]], frame.set_index(pd.Index(range(7, 7 + len(frame))))):
        answer = client.invoke(each)
        same_bits(answer.get_predictions(predictions_format="ndarray"), predict(site, frame))
        same_bits(answer.get_predictions()[0], predict(site, frame))


def test_array(site, client, frame):
    """An array, a list of rows and params beside a frame as well"""
    rows = frame[FEATURES].to_numpy()
    same_bits(client.invoke(rows).get_predictions("ndarray"), predict(site, frame))
    same_bits(client.invoke(rows.tolist()).get_predictions("ndarray"), predict(site, frame))
    same_bits(client.invoke(frame, params={"temperature": 0.5}).get_predictions("ndarray"), predict(site, frame))


def test_pandas(site, frame):
    """What pandas and MLflow write of a frame is read: split, records, columns, CSV"""
    bodies = [dump_input_data(frame), json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split", double_precision=15))}),
              json.dumps({"dataframe_records": frame.to_dict(orient="records")}), json.dumps({"instances": frame.to_dict(orient="records")}),
              json.dumps({"inputs": frame.to_dict(orient="list")})]
    for body in bodies:
        same_bits(site.post("/invocations", body).json()["predictions"], predict(site, frame))
    same_bits(site.post("/invocations", frame.to_csv(index=False), "text/csv").json()["predictions"], predict(site, frame))


def test_errors(client, frame):
    """A refusal reaches the user with its status and our sentence"""
    with pytest.raises(Exception, match="error code 400.*BAD_REQUEST.*lack the feature .*Longitude"):
        client.invoke(frame[FEATURES[:7]])
    with pytest.raises(Exception, match="error code 400.*name .*MedInc.* twice"):
        client.invoke(pd.DataFrame([[*EXAMPLE, 1.0]], columns=[*FEATURES, "MedInc"]))
