"""test_predict.py - predictions through the web server: what they are worth bit by bit, and every form a request may take"""
import csv
import io
import json
import subprocess

import pytest

from lib import bits, models, need, stack
from lib.models import CALIFORNIA, EXAMPLE, EXAMPLE_BODY, EXAMPLE_OBJECT, FEATURES

PATH = f"/models/{CALIFORNIA}/predict"
PYTHON = "/usr/bin/python3"
NAN = float("nan")


def ask(site, body, path="/predict", content_type="application/json"):
    """The answer to a request that must succeed, its numbers as text."""
    reply = site.post(path, body, content_type)
    assert reply.status == 200, reply
    return bits.loads(reply.text())


def predictions(site, rows, **options):
    return ask(site, {"features": rows}, **options)["predictions"]


def example(site):
    """The prediction of the example row."""
    return predictions(site, [EXAMPLE])[0]


def as_csv(header, rows):
    return "".join(",".join(str(cell) for cell in line) + "\n" for line in [header, *rows])


def compare(given, expected):
    """Bit for bit, and says where the first difference is."""
    assert len(given) == len(expected), f"{len(given)} predictions for {len(expected)} rows"
    for row, (ours, theirs) in enumerate(zip(bits.of_all(given), expected)):
        assert ours == theirs, f"row {row}: {given[row]} (bits {ours}), expected bits {theirs}"


# The same bits as XGBoost

@pytest.mark.limit(60)
def test_real_rows(site):
    """2,000 real rows give the same bits as python3-xgboost"""
    need.variable("FUTAIE_DATA_DIR", "the directory that holds cal_housing.data")
    need.module("xgboost", "python3-xgboost")
    text = subprocess.run([PYTHON, models.DATA / "california.py", "--rows", "2000"], capture_output=True, text=True, check=True).stdout
    rows = list(csv.reader(io.StringIO(text)))[1:]
    assert len(rows) == 2000
    compare(predictions(site, [[float(cell) for cell in row] for row in rows]), predict_with_python(text))
    compare(ask(site, text, content_type="text/csv")["predictions"], predict_with_python(text))


@pytest.mark.limit(60)
def test_real_rows_margin(site):
    """2,000 real rows give the same margins as python3-xgboost"""
    need.variable("FUTAIE_DATA_DIR", "the directory that holds cal_housing.data")
    need.module("xgboost", "python3-xgboost")
    text = subprocess.run([PYTHON, models.DATA / "california.py", "--rows", "2000"], capture_output=True, text=True, check=True).stdout
    compare(ask(site, text, "/predict?output=margin", "text/csv")["predictions"], predict_with_python(text, "--margin"))


def predict_with_python(text, *options):
    """Bits of python3-xgboost's predictions for a CSV of rows."""
    model = models.SHIPPED / CALIFORNIA / "1" / "model.ubj"
    run = subprocess.run([PYTHON, models.DATA / "predict_with_python.py", *options, model],
                         input=text, capture_output=True, text=True, check=True)
    return [bits.of_hex(line) for line in run.stdout.split()]


def golden():
    """The golden rows and the bits of their predictions, which python3-xgboost made."""
    rows = (models.DATA / "golden_rows.csv").read_text()
    expected = [bits.of(line) for line in (models.DATA / "golden_predictions.txt").read_text().split()]
    return rows, expected


def test_golden_rows_csv(site):
    """The golden rows as CSV give the bits that python3-xgboost gave"""
    rows, expected = golden()
    compare(ask(site, rows, content_type="text/csv")["predictions"], expected)


def test_golden_rows_json(site):
    """The golden rows as JSON give the bits that python3-xgboost gave"""
    rows, expected = golden()
    cells = [[float(cell) if cell else None for cell in row] for row in list(csv.reader(io.StringIO(rows)))[1:]]
    compare(predictions(site, cells), expected)


def test_golden_rows_one_by_one(site):
    """Golden rows sent one by one give the same bits as in a batch"""
    rows, expected = golden()
    cells = [[float(cell) if cell else None for cell in row] for row in list(csv.reader(io.StringIO(rows)))[1:]]
    compare([predictions(site, [row])[0] for row in cells[:200]], expected[:200])


@pytest.mark.parametrize("name", models.fixture_names())
def test_every_objective(fixture_store, name):
    """Predictions and margins are XGBoost's, bit for bit"""
    expected = bits.loads(models.expected(name))
    body = '{"features": ' + json.dumps(json.loads(models.expected(name))["rows"]) + "}"
    for path, key in (("predict", "predictions"), ("predict?output=margin", "margins"), ("versions/1/predict", "predictions")):
        answer = ask(fixture_store, body, f"/models/{name}/{path}")
        assert (answer["model"], answer["version"]) == (name, "1")
        compare(answer["predictions"], bits.of_all(expected[key]))


def test_there_are_fixtures():
    """The fixtures hold every objective"""
    objectives = {json.loads((models.FIXTURES / name / "1" / "manifest.json").read_text())["objective"] for name in models.fixture_names()}
    wanted = {"reg:squarederror", "reg:squaredlogerror", "reg:logistic", "reg:pseudohubererror", "reg:absoluteerror", "reg:gamma",
              "reg:tweedie", "count:poisson", "binary:logistic", "binary:logitraw", "binary:hinge", "multi:softmax", "multi:softprob",
              "rank:pairwise", "rank:ndcg", "rank:map", "survival:cox", "survival:aft"}
    assert wanted <= objectives, f"missing: {sorted(wanted - objectives)}"


# How numbers are written

def test_shortest(site):
    """Every number is the shortest decimal that gives back its float32"""
    for text in ask(site, golden()[0], content_type="text/csv")["predictions"]:
        fewest = bits.fewest_digits(bits.of(text))
        assert bits.digits(text) == fewest, f"{text} has {bits.digits(text)} digits, {fewest} are enough"


@pytest.mark.parametrize("name", models.fixture_names())
def test_shortest_of_every_objective(fixture_store, name):
    """Predictions are written as short as they can be"""
    body = {"features": json.loads(models.expected(name))["rows"]}
    for path in ("predict", "predict?output=margin"):
        for text in bits.flat(ask(fixture_store, body, f"/models/{name}/{path}")["predictions"]):
            if text is not None:
                fewest = bits.fewest_digits(bits.of(text))
                assert bits.digits(text) == fewest, f"{text} has {bits.digits(text)} digits, {fewest} are enough"


# The answer

def test_answer(site):
    """An answer has the predictions, the model and its version, and nothing more"""
    reply = site.post("/predict", EXAMPLE_BODY)
    assert reply.status == 200, reply
    assert list(reply.json()) == ["predictions", "model", "version"], reply
    assert reply.json()["model"] == CALIFORNIA and reply.json()["version"] == "1", reply
    assert reply.headers["content-type"] == "application/json", reply.headers
    assert 3 < reply.json()["predictions"][0] < 6, reply


@pytest.mark.parametrize("path", ["/predict", PATH, f"/models/{CALIFORNIA}/versions/1/predict"])
def test_paths(site, path):
    """The same answer for the default model, the named one and its version"""
    assert ask(site, EXAMPLE_BODY, path) == ask(site, EXAMPLE_BODY)


def test_rows_keep_their_order(site):
    """One prediction per row, in the rows' order"""
    rows = [[age if column == 1 else cell for column, cell in enumerate(EXAMPLE)] for age in range(1, 53)]
    assert predictions(site, rows) == [predictions(site, [row])[0] for row in rows]
    assert len(set(predictions(site, rows))) > 1


def test_multi_class(fixture_store):
    """A row of several outputs is an array of numbers"""
    rows = json.loads(models.expected("multi-softprob"))["rows"]
    for row in predictions(fixture_store, rows, path="/models/multi-softprob/predict"):
        assert len(row) > 1 and abs(sum(map(float, row)) - 1) < 1e-5, row


def test_margin(fixture_store):
    """?output=margin gives the raw margin, ?output=value the prediction"""
    rows = json.loads(models.expected("binary-logistic"))["rows"]
    path = "/models/binary-logistic/predict"
    plain, margin = predictions(fixture_store, rows, path=path), predictions(fixture_store, rows, path=path + "?output=margin")
    assert all(0 <= float(number) <= 1 for number in plain) and not all(0 <= float(number) <= 1 for number in margin), margin
    assert predictions(fixture_store, rows, path=path + "?output=value") == plain


# Forms of a row

def test_object_row(site):
    """A row may be an object by feature name"""
    assert predictions(site, [EXAMPLE_OBJECT]) == [example(site)]


def test_object_row_order(site):
    """The names of an object row may stand in any order"""
    assert predictions(site, [dict(reversed(EXAMPLE_OBJECT.items()))]) == [example(site)]


def test_mixed_rows(site):
    """Array rows and object rows may be mixed in one request"""
    assert predictions(site, [EXAMPLE, EXAMPLE_OBJECT, EXAMPLE]) == [example(site)] * 3


def test_escaped_name(site):
    """A feature name may be written with JSON escapes"""
    body = json.dumps({"features": [EXAMPLE_OBJECT]}).replace("MedInc", "\\u004dedInc")
    assert ask(site, body)["predictions"] == [example(site)]


def test_escaped_field(site):
    """The name of a field may be written with JSON escapes"""
    assert ask(site, json.dumps(EXAMPLE_BODY).replace("features", "f\\u0065atures"))["predictions"] == [example(site)]


def test_missing_array(site):
    """null and NaN are missing values in an array row"""
    with_null = predictions(site, [[None, *EXAMPLE[1:]]])
    assert with_null == predictions(site, [[NAN, *EXAMPLE[1:]]])
    assert with_null != [example(site)]


def test_missing_object(site):
    """null and NaN are missing values in an object row"""
    expected = predictions(site, [[None, *EXAMPLE[1:]]])
    assert predictions(site, [EXAMPLE_OBJECT | {"MedInc": None}]) == expected
    assert predictions(site, [EXAMPLE_OBJECT | {"MedInc": NAN}]) == expected


def test_all_missing(site):
    """A row of nothing but missing values has a prediction"""
    assert predictions(site, [[None] * 8]) == predictions(site, [[NAN] * 8])


def test_underflow(site):
    """A number too small for float32 is taken as zero"""
    for tiny in ("1e-60", "-1e-400", "0e999999"):
        body = json.dumps({"features": [[0, *EXAMPLE[1:]]]})
        assert ask(site, body.replace("[[0", f"[[{tiny}"))["predictions"] == ask(site, body)["predictions"], tiny


@pytest.mark.parametrize("text", ["8.3252", "83252e-4", "8.3252E0", "0.83252e+1", "8.32520000000000000000000000000000000000000000001"])
def test_spellings(site, text):
    """A number may be written in any way that JSON has"""
    body = json.dumps(EXAMPLE_BODY).replace("[[8.3252", f"[[{text}")
    assert ask(site, body)["predictions"] == [example(site)]


def test_largest_float32(site):
    """The largest float32 is a number like any other"""
    assert len(predictions(site, [[3.4028234663852886e38, *EXAMPLE[1:]], [-3.4028234663852886e38, *EXAMPLE[1:]]])) == 2


def test_white_space(site):
    """White space between the parts of a body does not matter"""
    body = json.dumps(EXAMPLE_BODY)
    for separator in " \t\r\n":
        spread = body.replace("[", separator + "[" + separator).replace(",", separator + "," + separator) + separator
        assert ask(site, spread)["predictions"] == [example(site)]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON", None])
def test_json_types(site, content_type):
    """A JSON body is taken with its type, a charset, in capitals, or with no type"""
    assert site.request("POST", "/predict", json.dumps(EXAMPLE_BODY), content_type).status == 200


# CSV

def csv_prediction(site, text, content_type="text/csv"):
    return ask(site, text, content_type=content_type)["predictions"]


def test_csv(site):
    """A CSV body with a header row is taken"""
    assert csv_prediction(site, as_csv(FEATURES, [EXAMPLE, EXAMPLE])) == [example(site)] * 2


@pytest.mark.parametrize("content_type", ["text/csv; charset=utf-8", "text/csv;header=present", "TEXT/CSV"])
def test_csv_types(site, content_type):
    """A CSV type may have parameters and capitals"""
    assert csv_prediction(site, as_csv(FEATURES, [EXAMPLE]), content_type) == [example(site)]


def test_csv_order(site):
    """CSV columns are found by name, in any order"""
    assert csv_prediction(site, as_csv(FEATURES[::-1], [EXAMPLE[::-1]])) == [example(site)]


def test_csv_byte_order_mark(site):
    """A CSV may begin with a byte order mark"""
    assert csv_prediction(site, "\ufeff" + as_csv(FEATURES, [EXAMPLE])) == [example(site)]


def test_csv_line_ends(site):
    """CSV lines may end in LF, CRLF or CR, mixed, and the last in nothing"""
    text = as_csv(FEATURES, [EXAMPLE, EXAMPLE])
    for changed in (text.replace("\n", "\r\n"), text.replace("\n", "\r"), text.replace("\n", "\r\n", 1), text.rstrip("\n")):
        assert csv_prediction(site, changed) == [example(site)] * 2, changed


def test_csv_quotes(site):
    """CSV names and numbers may be quoted"""
    text = as_csv([f'"{name}"' for name in FEATURES], [[f'"{cell}"' for cell in EXAMPLE], EXAMPLE])
    assert csv_prediction(site, text) == [example(site)] * 2


def test_csv_empty_lines(site):
    """Empty lines in a CSV are passed over"""
    assert csv_prediction(site, "\n" + as_csv(FEATURES, [EXAMPLE]).replace("\n", "\n\n") + "\r\n") == [example(site)]


def test_csv_missing(site):
    """An empty cell, NaN and nan are missing values in a CSV"""
    expected = predictions(site, [[None, *EXAMPLE[1:]]])
    for cell in ("", "NaN", "nan", '""'):
        assert csv_prediction(site, as_csv(FEATURES, [[cell, *EXAMPLE[1:]]])) == expected, cell


def test_csv_blanks(site):
    """Blanks around the names and numbers of a CSV do not matter"""
    assert csv_prediction(site, as_csv(FEATURES, [EXAMPLE]).replace(",", " , ")) == [example(site)]


# Which model

def test_default_is_the_only_one(site):
    """With one model, /predict is that model"""
    assert ask(site, EXAMPLE_BODY)["model"] == CALIFORNIA


def test_no_default(fixture_store):
    """With several models and no default, /predict gives 404 no_default_model"""
    reply = fixture_store.post("/predict", {"features": [[1, 2, 3, 4, 5]]})
    assert (reply.status, reply.json()["code"]) == (404, "no_default_model"), reply


def test_named_default(fresh):
    """With several models, --default-model names the one that /predict is"""
    store = models.Store().california().california(name="other")
    app = fresh(store, ["--default-model", "other"])
    reply = app.request("POST", "/predict", EXAMPLE_BODY)
    assert (reply.status, reply.json()["model"]) == (200, "other"), reply


def test_batch(site):
    """A batch of 20,000 rows is answered in full"""
    answer = predictions(site, [EXAMPLE] * 20_000)
    assert answer == [example(site)] * 20_000


@pytest.mark.limit(60)
def test_most_rows(site):
    """100,000 rows are answered, one more gives 413"""
    row = ",".join(map(str, EXAMPLE)) + "\n"
    most = ",".join(FEATURES) + "\n" + row * 100_000
    assert len(csv_prediction(site, most)) == 100_000
    reply = site.post("/predict", most + row, "text/csv")
    assert (reply.status, reply.json()["code"]) == (413, "too_many_rows"), reply


@pytest.mark.measures
def test_memory(site):
    """After batches of 100,000 rows their memory is given back"""
    before = site.app.rss_kib()
    row = ",".join(map(str, EXAMPLE)) + "\n"
    for _ in range(3):
        csv_prediction(site, ",".join(FEATURES) + "\n" + row * 100_000)

    def is_back():
        example(site)
        return site.app.rss_kib() < before + 20_000
    stack.wait_for(f"memory to come back from {site.app.rss_kib()} KiB to about the {before} KiB before", is_back, 5)
