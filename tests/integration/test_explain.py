"""test_explain.py - POST /explain: how much each feature adds to the margin, as XGBoost's pred_contribs has it"""
import json
import math

import pytest

from lib import models, need
from lib.models import CALIFORNIA, EXAMPLE, EXAMPLE_BODY, EXAMPLE_OBJECT, FEATURES

TOLERANCE = 1e-5        # of the largest contribution of a row
LINEAR = [name for name in models.fixture_names() if "gblinear" in name]


@pytest.fixture(scope="module")
def xgboost():
    return need.module("xgboost", "python3-xgboost")


def explain(site, body, path="/explain", content_type="application/json"):
    reply = site.post(path, body, content_type)
    assert reply.status == 200, reply
    return reply.json()


def columns(explanation, features):
    """The contributions and the base of each output."""
    found = [explanation["contributions"][name] for name in features] + [explanation["base"]]
    assert list(explanation["contributions"]) == features
    return list(zip(*found)) if isinstance(found[-1], list) else [found]


def with_python(xgboost, file, rows):
    """rows × outputs × (features + 1), of python3-xgboost."""
    numpy = need.module("numpy", "python3-numpy")
    booster = xgboost.Booster(model_file=str(file))
    matrix = numpy.array([[math.nan if cell is None else cell for cell in row] for row in rows], dtype=numpy.float32)
    types = booster.feature_types
    found = booster.predict(xgboost.DMatrix(matrix, feature_names=booster.feature_names, feature_types=types, enable_categorical=bool(types)),
                            pred_contribs=True)
    return found if found.ndim == 3 else found[:, None, :]


def near(ours, theirs, most):
    """What is not finite is null."""
    return abs(ours - theirs) <= TOLERANCE * most if math.isfinite(theirs) else ours is None


def compare(given, expected):
    for row, (ours, theirs) in enumerate(zip(given, expected)):
        assert len(ours) == len(theirs), f"row {row} has {len(ours)} outputs, expected {len(theirs)}"
        for mine, yours in zip(ours, theirs):
            most = max((abs(float(number)) for number in yours if math.isfinite(number)), default=0)
            assert all(near(a, float(b), max(most, 1e-3)) for a, b in zip(mine, yours)), f"row {row}: {mine}, expected {list(yours)}"


@pytest.mark.parametrize("name", models.fixture_names())
def test_every_objective(fixture_store, xgboost, name):
    """Contributions and base are XGBoost's, and add up to the margin; the prediction is /predict's"""
    expected = json.loads(models.expected(name))
    file = next((models.FIXTURES / name / "1").glob("model.*"))
    features = [feature["name"] for feature in json.loads((models.FIXTURES / name / "1" / "manifest.json").read_text())["features"]]
    answer = explain(fixture_store, {"features": expected["rows"]}, f"/models/{name}/explain")
    assert (answer["model"], answer["version"]) == (name, "1")
    found = [columns(explanation, features) for explanation in answer["explanations"]]
    compare(found, with_python(xgboost, file, expected["rows"]))
    for explanation, outputs, prediction, margin in zip(answer["explanations"], found, expected["predictions"], expected["margins"], strict=True):
        assert explanation["prediction"] == prediction
        for output, single in zip(outputs, margin if isinstance(margin, list) else [margin], strict=True):
            if None not in output:
                assert abs(sum(output) - single) <= TOLERANCE * max(1, *map(abs, output)), (output, single)


def test_there_are_linear_models():
    """Models that are no trees are among them: XGBoost itself explains those"""
    assert LINEAR


def test_example(site):
    """The example row: the features' names in their order, and a sum that is its prediction"""
    answer = explain(site, EXAMPLE_BODY)
    assert list(answer) == ["explanations", "model", "version"] and answer["model"] == CALIFORNIA
    (explanation,) = answer["explanations"]
    assert list(explanation) == ["prediction", "base", "contributions"] and list(explanation["contributions"]) == FEATURES
    predicted = site.post("/predict", EXAMPLE_BODY).json()["predictions"][0]
    assert explanation["prediction"] == predicted
    assert abs(explanation["base"] + sum(explanation["contributions"].values()) - predicted) < 1e-5
    assert max(explanation["contributions"], key=explanation["contributions"].get) == "MedInc"


@pytest.mark.parametrize("path", ["/explain", f"/models/{CALIFORNIA}/explain", f"/models/{CALIFORNIA}/versions/1/explain"])
def test_paths(site, path):
    """The default model, the named one and its version give the same"""
    assert explain(site, EXAMPLE_BODY, path) == explain(site, EXAMPLE_BODY)


def test_forms(site):
    """Objects, CSV, and missing values are taken as for /predict"""
    expected = explain(site, EXAMPLE_BODY)
    assert explain(site, {"features": [EXAMPLE_OBJECT]}) == expected
    text = ",".join(FEATURES) + "\n" + ",".join(map(str, EXAMPLE)) + "\n"
    assert explain(site, text, content_type="text/csv") == expected
    assert explain(site, {"features": [[None] * len(FEATURES)]})["explanations"][0]["contributions"].keys() == set(FEATURES)


def test_many_rows(site):
    """A thousand rows at once have the explanations that they have alone, but for rounding"""
    rows = [[cell if column != 1 else age % 50 + 1 for column, cell in enumerate(EXAMPLE)] for age in range(1000)]
    together = explain(site, {"features": rows})["explanations"]
    assert len(together) == 1000
    for age in (0, 7, 255, 256, 999):
        alone = explain(site, {"features": [rows[age]]})["explanations"][0]
        assert together[age]["prediction"] == alone["prediction"]
        for name in FEATURES:
            assert abs(together[age]["contributions"][name] - alone["contributions"][name]) < 1e-5, (age, name)


def test_margin(fixture_store):
    """?output=margin gives the margin as the prediction"""
    rows = json.loads(models.expected("binary-logistic"))["rows"][:3]
    for explanation in explain(fixture_store, {"features": rows}, "/models/binary-logistic/explain?output=margin")["explanations"]:
        assert abs(explanation["base"] + sum(explanation["contributions"].values()) - explanation["prediction"]) < 1e-4


@pytest.mark.parametrize("body, code", [({"features": []}, "no_rows"), ({"features": [[1, 2]]}, "wrong_feature_count"), ("{", "bad_json"),
                                        ({"rows": []}, "unknown_field")])
def test_bad_bodies(site, body, code):
    """A bad body is the 400 that it is for /predict"""
    reply = site.post("/explain", body)
    assert (reply.status, reply.json()["code"]) == (400, code), reply


def test_methods(site):
    """Only POST explains"""
    reply = site.request("GET", "/explain")
    assert (reply.status, reply.headers["allow"]) == (405, "POST"), reply


def test_unknown_model(site):
    """An unknown model is a 404, and counted without a name"""
    reply = site.post("/models/nobody/explain", EXAMPLE_BODY)
    assert (reply.status, reply.json()["code"]) == (404, "unknown_model"), reply
