"""test_invocations.py - MLflow's scoring protocol, and SageMaker's: four forms of JSON, CSV, health, and errors in MLflow's form"""
import json

import pytest

from lib import bits, models, stack
from lib.models import EXAMPLE, EXAMPLE_BODY, EXAMPLE_OBJECT, FEATURES

PATH = "/invocations"
OTHER = [1.5, 20, 4.25, 1, 800, 3, 34.05, -118.25]
ROWS = [EXAMPLE, OTHER]


def split(rows=None, columns=None, **more):
    return {"dataframe_split": {"columns": columns or FEATURES, "data": rows or ROWS, **more}}


def forms():
    """Name → a body that holds ROWS."""
    order = [3, 1, 0, 2, 7, 6, 5, 4]
    records = [dict(zip(FEATURES, row)) for row in ROWS]
    return {
        "dataframe_split": split(),
        "dataframe_split in another order": split([[row[i] for i in order] for row in ROWS], [FEATURES[i] for i in order]),
        "dataframe_split with an index": split(index=["a", {"b": None}]),
        "dataframe_split whose data comes first": {"dataframe_split": {"data": ROWS, "index": [0, 1], "columns": FEATURES}},
        "dataframe_records": {"dataframe_records": records},
        "dataframe_records in another order": {"dataframe_records": [dict(reversed(record.items())) for record in records]},
        "instances as rows": {"instances": ROWS},
        "instances by name": {"instances": records},
        "inputs as a tensor": {"inputs": ROWS},
        "inputs as columns": {"inputs": {name: [row[i] for row in ROWS] for i, name in enumerate(FEATURES)}},
        "inputs as columns of one each": {"inputs": {name: [[row[i]] for row in ROWS] for i, name in reversed(list(enumerate(FEATURES)))}},
        "with params": {"params": {"n": [1, {}], "x": None}, **split()},
        "with members that MLflow passes over": {"signature_name": "s", **split(), "more": [{}]},
    }


def predictions(reply):
    assert reply.status == 200, reply
    assert reply.headers["content-type"] == "application/json"
    answer = bits.loads(reply.text())
    assert list(answer) == ["predictions"], answer
    return bits.of_all(answer["predictions"])


def expected(site, rows, path="/predict"):
    return bits.of_all(bits.loads(site.post(path, {"features": rows}).text())["predictions"])


@pytest.mark.parametrize("form", forms())
def test_forms(site, form):
    """Rows in each form are predicted as /predict does"""
    assert predictions(site.post(PATH, forms()[form])) == expected(site, ROWS)


def test_missing_values(site):
    """null and NaN are missing in each form"""
    body = json.dumps(forms()["inputs as columns"])
    for form, text in ((form, json.dumps(body)) for form, body in forms().items()):
        for word in ("null", "NaN"):
            assert predictions(site.post(PATH, text.replace("1.5", word))) == expected(site, [EXAMPLE, [None, *OTHER[1:]]]), form
    assert "1.5" in body


def test_csv(site):
    """CSV with a header is predicted as /predict does"""
    for type_name in ("text/csv", "text/csv; charset=utf-8"):
        text = "\n".join([",".join(reversed(FEATURES)), *(",".join(map(str, reversed(row))) for row in ROWS)])
        assert predictions(site.post(PATH, text, type_name)) == expected(site, ROWS)


def test_margin(site):
    """The query may ask for the margin here, too"""
    assert predictions(site.post(f"{PATH}?output=margin", split())) == expected(site, ROWS, "/predict?output=margin")


def test_several_outputs():
    """A model of several outputs answers an array a row"""
    rows = json.loads(models.expected("multi-softprob"))["rows"]
    with stack.Site(models.Store().fixture("multi-softprob").prove()) as site:
        found = predictions(site.post(PATH, {"instances": rows}))
        assert found == expected(site, rows) and len(found[0]) == 3


def test_health(site):
    """/ping and /health answer a newline"""
    for path in ("/ping", "/health"):
        reply = site.get(path)
        assert (reply.status, reply.body) == (200, b"\n"), reply


def test_not_ready(fresh):
    """Without a model, /ping is 503, and so is /invocations"""
    app = fresh(models.Store().fixture("reg-gamma", champion=False), ready=False)
    stack.wait_for("futaie to answer", lambda: app.log_lines("start"))
    refused(app.request("GET", "/ping"), 503, "TEMPORARILY_UNAVAILABLE", "not_ready")
    refused(app.request("POST", PATH, split()), 404, "RESOURCE_DOES_NOT_EXIST", "no_champion")


def refused(reply, status, error_code, code, part=""):
    assert reply.status == status, reply
    answer = reply.json()
    assert (answer["error_code"], answer["code"]) == (error_code, code) and part in answer["message"], reply
    assert "error" not in answer and reply.headers["content-type"] == "application/json"


def bad_bodies():
    return {
        "empty": ("", "bad_json", "the body is empty"),
        "a list": ([EXAMPLE], "wrong_type", "the body is an array"),
        "no rows": ({"params": {}}, "missing_field", "the body has no rows"),
        "both dataframe_split and instances": ({**split(), "instances": ROWS}, "unknown_field", "both \"dataframe_split\" and \"instances\""),
        "both inputs and dataframe_records": ({"inputs": ROWS, "dataframe_records": []}, "unknown_field", "both"),
        "one form twice": ('{"instances": [%s], "instances": [%s]}' % (EXAMPLE, EXAMPLE), "repeated_field", "twice"),
        "no columns": ({"dataframe_split": {"data": ROWS}}, "missing_field", "\"columns\""),
        "no data": ({"dataframe_split": {"columns": FEATURES}}, "missing_field", "\"data\""),
        "columns twice": ('{"dataframe_split": {"columns": %s, "columns": []}}' % json.dumps(FEATURES), "repeated_field", "columns"),
        "another member of a split": ({"dataframe_split": {"columns": FEATURES, "data": ROWS, "dtype": "x"}}, "unknown_field", "dtype"),
        "a missing column": (split([row[:7] for row in ROWS], FEATURES[:7]), "missing_feature", "Longitude"),
        "an extra column": (split(columns=FEATURES + ["Zzz"]), "unknown_feature", "Zzz"),
        "a repeated column": (split(columns=FEATURES + ["MedInc"]), "repeated_feature", "MedInc"),
        "columns that are numbers": (split(columns=list(range(8))), "bad_json", "the columns"),
        "a short row": (split([EXAMPLE, OTHER[:7]]), "wrong_feature_count", "row 1 has 7 values"),
        "a long row": (split([EXAMPLE, OTHER + [1]]), "wrong_feature_count", "row 1 has more than 8 values"),
        "a string for a number": (split([EXAMPLE, ["x", *OTHER[1:]]]), "wrong_type", "row 1, feature \"MedInc\""),
        "an empty split": ({"dataframe_split": {"columns": FEATURES, "data": []}}, "no_rows", ""),
        "no records": ({"dataframe_records": []}, "no_rows", ""),
        "a record without a column": ({"dataframe_records": [{name: 1 for name in FEATURES[1:]}]}, "missing_feature", "MedInc"),
        "a record with another column": ({"dataframe_records": [{**EXAMPLE_OBJECT, "Zzz": 1}]}, "unknown_feature", "Zzz"),
        "instances that are no array": ({"instances": 7}, "wrong_type", "\"instances\" must be an array of rows"),
        "columns of different lengths": ({"inputs": {name: [1] * (1 + (name == "Latitude")) for name in FEATURES}}, "wrong_feature_count", "Latitude"),
        "inputs without a column": ({"inputs": {name: [1] for name in FEATURES[:7]}}, "missing_feature", "Longitude"),
        "inputs with another column": ({"inputs": {"Zzz": [1]}}, "unknown_feature", "Zzz"),
        "params that are no object": ({"params": [1], **split()}, "wrong_type", "params"),
        "Infinity": (json.dumps(split()).replace("1.5", "Infinity"), "bad_number", "row 1, feature \"MedInc\""),
        "beyond float32": (json.dumps({"inputs": ROWS}).replace("1.5", "1e39"), "bad_number", "float32"),
        "JSON that ends early": (json.dumps(split())[:-1], "bad_json", "ends too early"),
    }


@pytest.mark.parametrize("case", bad_bodies())
def test_bad_body(site, case):
    """A body that is wrong is 400 in MLflow's form, with a sentence"""
    body, code, part = bad_bodies()[case]
    refused(site.post(PATH, body), 400, "BAD_REQUEST", code, part)
    assert site.post("/predict", EXAMPLE_BODY).status == 200


def test_heads(site):
    """Other methods are 405, other bodies 415, too many rows 413, all in MLflow's form"""
    refused(site.get(PATH), 405, "BAD_REQUEST", "method_not_allowed", "POST")
    refused(site.post("/ping", ""), 405, "BAD_REQUEST", "method_not_allowed", "GET")
    refused(site.post(PATH, "x", "application/vnd.apache.parquet"), 415, "BAD_REQUEST", "unsupported_media_type", "text/csv")
    refused(site.post(PATH, "x", "application/json; charset=latin-1"), 415, "BAD_REQUEST", "unsupported_media_type", "UTF-8")
    refused(site.post(PATH, '{"instances": [%s]}' % ",".join(["[1,2,3,4,5,6,7,8]"] * 100_001)), 413, "BAD_REQUEST", "too_many_rows")
    refused(site.post(f"{PATH}?output=other", split()), 400, "BAD_REQUEST", "bad_parameter")
