"""test_train.py - futaie train: what the model is worth, what the manifest says of it, parameters, and data that cannot be learned from"""
import concurrent.futures
import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess

import pytest

from lib import bits, commands, models, need, stack
from lib.commands import aliases, done, refused, snapshot, versions
from lib.models import CALIFORNIA, EXAMPLE

MODEL = "made-up"
TARGET = "y"
NAMES = ["a", "b", "c"]
ROWS = 400
QUICK = ("--rounds", "20", "--period", "0", "--threads", "1")
TRAIN_JSON = models.SHIPPED / "train.json"


def train(store, data, *words, name=MODEL, target=TARGET, **options):
    """`futaie train` on this store, to its end."""
    return stack.run_futaie("train", "--models", store, "--data", data, "--target", target, "--name", name, *words, **options)


def written(text, name="data.csv"):
    """A file with this text; a lone surrogate stands for its byte."""
    path = stack.scratch("csv") / name
    path.write_bytes(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    return path


@pytest.fixture(scope="module")
def numpy():
    return need.module("numpy", "python3-numpy")


@pytest.fixture(scope="module")
def xgboost():
    return need.module("xgboost", "python3-xgboost")


def made_up(numpy, kind="number", rows=ROWS):
    """Rows of three features, one with missing values, and a target that depends on them."""
    random = numpy.random.default_rng(3)
    values = random.normal(size=(rows, len(NAMES)))
    values[:, 2] = numpy.where(random.random(rows) < 0.1, numpy.nan, values[:, 2])
    value = 2 * values[:, 0] + numpy.sin(3 * values[:, 1]) + 0.1 * random.normal(size=rows)
    target = {"number": value, "class": (value > 0) * 1.0, "classes": numpy.digitize(value, [-1, 1]) * 1.0, "count": numpy.floor(numpy.abs(value))}[kind]
    return values.astype("f4"), target.astype("f4")


def as_csv(values, target, names=(*NAMES, TARGET)):
    lines = [",".join(names)]
    for row, last in zip(values, target):
        lines.append(",".join("" if value != value else repr(float(value)) for value in [*row, last]))
    return written("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def data(numpy):
    return as_csv(*made_up(numpy))


@pytest.fixture
def store():
    return models.Store()


def split(count, seed, test=0.2, validation=0.1):
    """The rows held out, those that stop the training, and those to train on: splitmix64 and Fisher-Yates, as dataset.h says."""
    state, order, mask = seed, list(range(count)), (1 << 64) - 1

    def below(limit):
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return int(((z ^ (z >> 31)) >> 11) * 2.0 ** -53 * limit)

    for last in range(count, 1, -1):
        chosen = below(last)
        order[last - 1], order[chosen] = order[chosen], order[last - 1]
    n_test, n_validation = int(count * test), int(count * validation)
    return {"test": order[:n_test], "validation": order[n_test:n_test + n_validation], "train": order[n_test + n_validation:]}


def predicted(xgboost, store, values, version="1", names=NAMES, name=MODEL):
    booster = xgboost.Booster(model_file=str(store.model_file(name, version)))
    return booster.predict(xgboost.DMatrix(values, feature_names=list(names)))


# What the model is worth

def test_bits(numpy, xgboost, data, store, fresh):
    """The predictions of a trained model are those of python3-xgboost with the same file, bit for bit"""
    done(train(store, data, "--promote", *QUICK))
    values, _ = made_up(numpy)
    rows = [[None if value != value else float(value) for value in row] for row in values]
    reply = fresh(store).request("POST", "/predict", {"features": rows})
    given = bits.of_all(bits.loads(reply.text())["predictions"])
    assert given == predicted(xgboost, store, values).view("u4").tolist()


KINDS = {
    "binary:logistic": ("class", (), "logloss", lambda numpy, p, y: -numpy.mean(y * numpy.log(p) + (1 - y) * numpy.log(1 - p))),
    "multi:softprob": ("classes", ("--param", "num_class=3"), "mlogloss",
                       lambda numpy, p, y: -numpy.mean(numpy.log(p[numpy.arange(len(y)), y.astype(int)]))),
    "multi:softmax": ("classes", ("--param", "num_class=3", "--param", "eval_metric=merror"), "merror", lambda numpy, p, y: numpy.mean(p != y)),
    "reg:squarederror": ("number", (), "rmse", lambda numpy, p, y: numpy.sqrt(numpy.mean((p - y) ** 2))),
    "reg:absoluteerror": ("number", (), "mae", lambda numpy, p, y: numpy.mean(numpy.abs(p - y))),
    "count:poisson": ("count", ("--param", "eval_metric=rmse"), "rmse", lambda numpy, p, y: numpy.sqrt(numpy.mean((p - y) ** 2))),
}


@pytest.mark.parametrize("objective", KINDS)
def test_objectives(numpy, xgboost, store, fresh, objective):
    """A model of this objective is trained, its metrics are NumPy's on the same split, and it is served bit for bit"""
    kind, words, metric, compute = KINDS[objective]
    values, target = made_up(numpy, kind)
    done(train(store, as_csv(values, target), "--param", f"objective={objective}", *words, "--promote", "--seed", "11", *QUICK))
    manifest, outputs = store.manifest(MODEL), predicted(xgboost, store, values)
    assert manifest["objective"] == objective
    for part, numbers in split(ROWS, 11).items():
        assert manifest["metrics"][f"rows_{part}"] == len(numbers)
        expected = compute(numpy, outputs[numbers].astype("f8"), target[numbers].astype("f8"))
        assert manifest["metrics"][f"{metric}_{part}"] == pytest.approx(float(expected), rel=1e-5, abs=1e-7), f"{metric} of {part}"
    rows = [[None if value != value else float(value) for value in row] for row in values[:50]]
    reply = fresh(store).request("POST", "/predict", {"features": rows})
    assert bits.of_all(bits.loads(reply.text())["predictions"]) == outputs[:50].view("u4").tolist()


def distribution(numpy, column):
    present = column[~numpy.isnan(column)].astype("f8")
    return {"count": len(present), "missing": int(numpy.isnan(column).sum()), "min": present.min(), "max": present.max(), "mean": present.mean(),
            "deciles": list(numpy.quantile(present, numpy.arange(1, 10) / 10))}


def flat(found):
    return [found[member] for member in ("count", "missing", "min", "max", "mean")] + list(found["deciles"])


def test_distributions(numpy, xgboost, data, store):
    """The distributions of features, target and predictions in the manifest are NumPy's of the training rows"""
    done(train(store, data, "--seed", "5", *QUICK))
    values, target = made_up(numpy)
    rows, manifest = split(ROWS, 5)["train"], store.manifest(MODEL)
    expected = {name: values[rows, i] for i, name in enumerate(NAMES)} | {
        TARGET: target[rows], "predictions": predicted(xgboost, store, values[rows])}
    found = {feature["name"]: feature["distribution"] for feature in manifest["features"]} | {
        manifest["target"]["name"]: manifest["target"]["distribution"], "predictions": manifest["predictions"]["distribution"]}
    assert list(found) == list(expected)
    for name, column in expected.items():
        assert flat(found[name]) == pytest.approx(flat(distribution(numpy, column)), rel=1e-6, abs=1e-7), name
    assert found["c"]["missing"] > 0


def test_empty_column(numpy, store):
    """A column without any value is a feature whose distribution has only counts"""
    values, target = made_up(numpy)
    values[:, 1] = numpy.nan
    done(train(store, as_csv(values, target), "--promote", *QUICK))
    assert store.manifest(MODEL)["features"][1]["distribution"] == {"count": 0, "missing": 280}
    commands.is_sound(store)


def test_manifest(data, store):
    """The manifest says which data, which command, which parameters and how many rounds"""
    done(train(store, data, "--seed", "7", "--param", "max_depth=3", *QUICK))
    manifest = store.manifest(MODEL)
    assert manifest["source"]["data_sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert manifest["source"]["command"].startswith("futaie train ") and "--seed 7" in manifest["source"]["command"]
    parameters = manifest["parameters"]
    assert (parameters["max_depth"], parameters["seed"], parameters["nthread"]) == (3, 7, 1) and parameters["num_boost_round"] <= 20
    assert manifest["sha256"] == hashlib.sha256(store.model_file(MODEL).read_bytes()).hexdigest()
    assert len(manifest["golden"]["inputs"]) == len(manifest["golden"]["outputs"]) >= 10 and "unproven" not in manifest["golden"]
    assert (store.folder(MODEL) / "proof.json").exists()


def test_golden_rows_are_made_up(numpy, data, store):
    """No golden row is a row of the data; --example is the first of them"""
    values, _ = made_up(numpy)
    done(train(store, data, "--example", "0.25,,-1", *QUICK))
    inputs = store.manifest(MODEL)["golden"]["inputs"]
    assert inputs[0] == [0.25, None, -1]
    real = {tuple(row[:2]) for row in values.tolist()}
    assert not [row for row in inputs if tuple(row[:2]) in real]


def test_same_seed(data, store):
    """The same seed gives the same bytes, another seed others"""
    for seed in "4", "4", "5":
        done(train(store, data, "--seed", seed, "--param", "subsample=0.7", *QUICK))
    first, second, third = (store.model_file(MODEL, version).read_bytes() for version in "123")
    assert first == second and first != third
    assert store.manifest(MODEL, "1")["golden"] == store.manifest(MODEL, "2")["golden"]


# Early stopping

def test_best_round(numpy, xgboost, data, store):
    """The model is cut at the round that was best on the validation part, some rounds after which training stopped"""
    run = train(store, data, "--early-stopping", "12", "--period", "1", "--threads", "1")
    done(run)
    scores = [float(value) for value in re.findall(r"validation ([\d.]+) \(best", run.stderr)]
    booster = xgboost.Booster(model_file=str(store.model_file(MODEL)))
    rounds, best = booster.num_boosted_rounds(), min(range(len(scores)), key=scores.__getitem__) + 1
    assert len(scores) < 1000 and len(scores) == rounds + 12, f"{rounds} rounds are kept of {len(scores)}"
    assert scores[rounds - 1] == scores[best - 1], f"cut at {rounds}, best was {best}"
    assert store.manifest(MODEL)["parameters"]["num_boost_round"] == rounds
    assert f"{rounds} rounds" in run.stdout
    values, target = made_up(numpy)
    numbers = split(ROWS, 0)["validation"]
    error = predicted(xgboost, store, values[numbers]).astype("f8") - target[numbers]
    assert scores[rounds - 1] == pytest.approx(float(numpy.sqrt(numpy.mean(error ** 2))), abs=1e-5)


@pytest.mark.parametrize("words", [("--early-stopping", "0"), ("--validation", "0"), ("--param", "early_stopping_rounds=0")], ids=" ".join)
def test_all_rounds(xgboost, data, store, words):
    """Without early stopping all rounds are trained and kept"""
    done(train(store, data, "--rounds", "150", "--period", "0", "--threads", "1", *words))
    assert xgboost.Booster(model_file=str(store.model_file(MODEL))).num_boosted_rounds() == 150


def test_metric_of_which_more_is_better(numpy, xgboost, store):
    """With auc, training stops when it no longer grows"""
    values, target = made_up(numpy, "class")
    run = train(store, as_csv(values, target), "--param", "objective=binary:logistic", "--param", "eval_metric=auc", "--early-stopping", "8",
                "--period", "1", "--threads", "1", "--validation", "0.3")
    done(run)
    scores = [float(value) for value in re.findall(r"validation ([\d.]+) \(best", run.stderr)]
    rounds = xgboost.Booster(model_file=str(store.model_file(MODEL))).num_boosted_rounds()
    assert scores[rounds - 1] == max(scores) and len(scores) == rounds + 8, (rounds, scores)


# The store

def test_versions(data, store):
    """Each training is a new version that nothing serves until it is promoted; --promote does it"""
    assert "promote" in done(train(store, data, *QUICK))
    assert versions(store, MODEL) == ["1"] and aliases(store, MODEL) == {}
    assert "champion" in done(train(store, data, "--promote", *QUICK))
    assert "before it was 2" in done(train(store, data, "--promote", *QUICK))
    assert versions(store, MODEL) == ["1", "2", "3"] and aliases(store, MODEL) == {"champion": "3", "previous": "2"}
    commands.is_sound(store)


def test_two_trainings_at_once(data, store):
    """Trainings at once on one store each get a version of their own"""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda seed: train(store, data, "--seed", str(seed), *QUICK), range(6)))
    assert [run for run in runs if run.returncode] == []
    assert versions(store, MODEL) == list("123456")
    assert len({store.manifest(MODEL, version)["parameters"]["seed"] for version in "123456"}) == 6
    commands.is_sound(store)


def test_interrupted(numpy, store):
    """Ctrl-C in the middle of the training ends it and leaves the store as it was"""
    big = as_csv(*made_up(numpy, rows=5000))
    done(train(store, big, "--promote", *QUICK))
    before = snapshot(store)
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen([stack.FUTAIE, "train", "--models", store.path, "--data", big, "--target", TARGET, "--name", MODEL, "--rounds",
                                    "1000000", "--early-stopping", "0", "--period", "1", "--threads", "1", "--promote"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, preexec_fn=stack.die_with_parent)
        while "round" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        with process.stderr:
            assert process.wait(10) != 0
        assert snapshot(store) == before


def test_read_only_store(data):
    """A read-only store is refused with a sentence that names it"""
    with commands.Mount("1m") as mount:
        mount.remount("ro")
        refused(train(f"{mount.path}/store", data, *QUICK), "Read-only file system", mount.path)


def test_full_disk(data):
    """A full disk is named in a sentence, and the store is as it was, however much room there is before the end"""
    with commands.Mount("512k") as mount:
        path = f"{mount.path}/store"
        done(train(path, data, *QUICK, "--promote"))
        before = snapshot(path)
        for pages in (0, 1, 2, 3, 5, 10, 13, 15):
            with mount.filled(but=pages):
                run = train(path, data, *QUICK)
            refused_or_done(run, path, before)
        commands.is_sound(path)


def refused_or_done(run, path, before):
    if run.returncode == 0:
        assert set(before) < set(snapshot(path))
    else:
        assert run.returncode == 1 and "No space left" in run.stderr.splitlines()[-1], run
        assert snapshot(path) == before


def test_no_folder_for_the_store(data):
    """A store that cannot be made is named"""
    refused(train("/nonexistent/models", data, *QUICK), "/nonexistent/models")


# Parameters

def parameters(store, version="1"):
    return store.manifest(MODEL, version)["parameters"]


def test_precedence(data, store):
    """The command line's --seed and --rounds go over --param, that over --params, and that over the defaults"""
    file = written(json.dumps({"max_depth": 2, "eta": 0.5, "seed": 3, "num_boost_round": 4, "lambda": 2.5, "early_stopping_rounds": 9}), "params.json")
    words = ("--params", file, "--period", "0")
    done(train(store, data, *words))
    assert parameters(store) == {"objective": "reg:squarederror", "max_depth": 2, "eta": 0.5, "seed": 3, "num_boost_round": 4, "lambda": 2.5,
                                 "early_stopping_rounds": 9}
    done(train(store, data, "--param", "max_depth=3", "--param", "eta=0.25", *words, "--param", "seed=8", "--param", "num_boost_round=5"))
    found = parameters(store, "2")
    assert [found[name] for name in ("max_depth", "eta", "seed", "num_boost_round", "lambda")] == [3, "0.25", 8, 5, 2.5], found
    done(train(store, data, "--param", "seed=8", "--param", "num_boost_round=5", *words, "--seed", "9", "--rounds", "6", "--param", "max_depth=1",
               "--param", "max_depth=4"))
    found = parameters(store, "3")
    assert [found[name] for name in ("max_depth", "seed", "num_boost_round")] == [4, 9, 6], found


def test_parameters_are_used(xgboost, data, store):
    """The parameters reach XGBoost: the trees are as shallow as they say"""
    done(train(store, data, "--params", written('{"max_depth": 1}', "params.json"), *QUICK))
    done(train(store, data, "--param", "max_depth=2", *QUICK))
    for version, depth in (("1", 1), ("2", 2)):
        trees = xgboost.Booster(model_file=str(store.model_file(MODEL, version))).get_dump()
        assert max(line.count("\t") for tree in trees for line in tree.splitlines()) == depth


def test_unknown_parameter(data, store):
    """A parameter that XGBoost does not know warns by its name, and the training goes on"""
    run = train(store, data, "--param", "max_deep=3", *QUICK)
    assert "max_deep" in run.stderr and done(run)


def test_lists_of_parameters(data, store):
    """Arrays in the file of parameters mean what they mean to xgboost.train() in Python: several metrics, constraints"""
    file = written(json.dumps({"eval_metric": ["mae", "rmse"], "monotone_constraints": [1, 0, 0]}), "params.json")
    done(train(store, data, "--params", file, *QUICK))
    assert {"mae_test", "rmse_test"} <= set(store.manifest(MODEL)["metrics"])


def test_store_before_the_training(data):
    """A store that cannot be made is found out before the training, not after it"""
    run = train("/nonexistent/models", data, *QUICK)
    assert "round " not in refused(run, "/nonexistent/models"), run


def test_dart_at_its_best(data, store):
    """What early stopping keeps of a dart model is as good on the validation part as the round that it says was the best"""
    run = train(store, data, "--param", "booster=dart", "--param", "rate_drop=0.1", "--rounds", "60", "--period", "60", "--threads", "1")
    done(run)
    (best,) = set(re.findall(r"\(best ([\d.]+) in", run.stderr))
    assert store.manifest(MODEL)["metrics"]["rmse_validation"] == pytest.approx(float(best), abs=1e-5), run


def test_full_output(data, store):
    """Output that cannot be written is a failure, as for futaie models"""
    with open("/dev/full", "w", encoding="ascii") as full:
        run = subprocess.run([stack.FUTAIE, "train", "--models", store.path, "--data", data, "--target", TARGET, "--name", MODEL, *QUICK], stdout=full,
                             stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert run.returncode == 1 and "standard output" in run.stderr, run


WRONG_PARAMETERS = {
    "text for a number": ("max_depth=deep", "max_depth"), "out of range": ("eta=-1", "greater equal"), "an unknown objective": ("objective=reg:best", "reg:best"),
    "an unknown metric": ("eval_metric=best", "best"), "an unknown booster": ("booster=forest", "forest"), "no rounds": ("num_boost_round=0", "num_boost_round"),
    "half a round": ("num_boost_round=2.5", "num_boost_round"), "a negative seed": ("seed=-1", "seed"), "no value": ("max_depth", "NAME=VALUE"),
    "no name": ("=3", "NAME=VALUE"), "too many threads": ("nthread=100000", "1024"), "under its other name": ("n_jobs=100000", "1024"), "a class too few": ("objective=multi:softprob", "class"),
}


@pytest.mark.parametrize("assignment, hint", WRONG_PARAMETERS.values(), ids=WRONG_PARAMETERS.keys())
def test_wrong_parameter(data, store, assignment, hint):
    """A parameter that cannot be fails with a sentence, and the store is as it was"""
    run = train(store, data, "--period", "0", "--param", assignment)
    assert run.returncode in (1, 2) and run.stderr.splitlines()[-1].startswith("futaie train: ") and hint in run.stderr.splitlines()[-1], run
    assert snapshot(store) == {".": None}


WRONG_FILES = {"not there": None, "empty": "", "no JSON": "max_depth: 3", "an array": "[1]", "an object in it": '{"max_depth": {"a": 1}}',
               "null": '{"max_depth": null}', "a name twice": '{"eta": 1, "eta": 0.5}'}


@pytest.mark.parametrize("text", WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_wrong_parameter_file(data, store, text):
    """A file of parameters that is none is named"""
    path = written(text, "params.json") if text is not None else "nowhere.json"
    run = train(store, data, "--params", path, *QUICK)
    assert run.returncode in (1, 2) and str(path) in run.stderr, run
    assert snapshot(store) == {".": None}


WRONG_WORDS = {
    "no data": (("--name", "x", "--target", "y"), "--data"), "no target": (("--data", "x.csv", "--name", "x"), "--target"),
    "no name": (("--data", "x.csv", "--target", "y"), "--name"), "a name that is a path": (("--data", "x", "--target", "y", "--name", "../x"), "../x"),
    "a share of one": (("--data", "x", "--target", "y", "--name", "x", "--test", "1"), "--test"),
    "a share that is no number": (("--data", "x", "--target", "y", "--name", "x", "--validation", "nan"), "--validation"),
    "an unknown option": (("--colour", "red"), "--colour"), "an operand": (("data.csv",), "data.csv"),
}


@pytest.mark.parametrize("words, hint", WRONG_WORDS.values(), ids=WRONG_WORDS.keys())
def test_wrong_call(words, hint):
    """A wrong call exits 2 and says what is wrong"""
    run = stack.run_futaie("train", *words)
    assert run.returncode == 2 and hint in run.stderr, run


def test_wrong_example(data, store):
    """An example of another width, or with text in it, exits 2"""
    for example, hint in (("1,2", "3 values"), ("1,2,3,4", "3 values"), ("1,2,x", "value 3")):
        assert hint in refused(train(store, data, *QUICK, "--example", example), status=2)
    assert snapshot(store) == {".": None}


# Data that cannot be learned from

HEADER = "a,b,y\n"
BAD_DATA = {
    "a cell that is text": (HEADER + "1,2,3\n4,old,6\n", ['line 3, column 2, feature "b"', "old"]),
    "a cell with a unit": (HEADER + "1,2,3\n4,5 m,6\n", ["line 3, column 2", "5 m"]),
    "a hexadecimal cell": (HEADER + "1,2,3\n0x10,5,6\n", ["line 3, column 1", "0x10"]),
    "Infinity": (HEADER + "1,2,3\n4,Infinity,6\n", ["line 3, column 2", "Infinity"]),
    "-inf in the target": (HEADER + "1,2,3\n4,5,-inf\n", ['line 3, column 3, target "y"', "-inf"]),
    "a number beyond float32": (HEADER + "1,2,3\n4,1e39,6\n", ["line 3, column 2", "1e39"]),
    "a missing target": (HEADER + "1,2,3\n4,5,\n", ['line 3, column 3, target "y"', "missing"]),
    "NaN in the target": (HEADER + "1,2,3\n4,5,NaN\n", ['line 3, column 3, target "y"', "missing"]),
    "a constant target": (HEADER + "1,2,3\n4,5,3.0\n", ['"y"', "3 in every row"]),
    "only a header": (HEADER, ["no rows"]),
    "a header without a line end": (HEADER.strip(), ["no rows"]),
    "an empty file": ("", ["is empty"]),
    "only line ends": ("\n\r\n\n", ["is empty"]),
    "only a byte order mark": ("\ufeff", ["is empty"]),
    "no such column": ("a,b,z\n1,2,3\n4,5,6\n", ['no column "y"']),
    "another separator": ("a;b;y\n1;2;3\n4;5;6\n", ['no column "y"', "a;b;y"]),
    "a row too short": (HEADER + "1,2,3\n4,5\n", ["line 3", "2 cells", "3 columns"]),
    "a row too long": (HEADER + "1,2,3\n4,5,6,7\n", ["line 3", "more than 3 cells"]),
    "the target twice": ("a,y,y\n1,2,3\n4,5,6\n", ['"y"']),
    "a name twice": ("a,a,y\n1,2,3\n4,5,6\n", ['"a"']),
    "an empty name": ("a,,y\n1,2,3\n4,5,6\n", ["line 1, column 2"]),
    "a header that is data": ("1,2,3\n4,5,6\n", ["line 1", "--columns"]),
    "a quote that does not close": (HEADER + '1,2,3\n4,"5,6\n', ["line 3, column 2", "quoted"]),
    "text behind a quote": (HEADER + '1,2,3\n4,"5"x,6\n', ["line 3, column 2", "quote"]),
    "a line end in a cell": (HEADER + '1,2,3\n4,"5\n",6\n', ["column 2"]),
    "bytes that are no UTF-8": ("a,\udcff,y\n1,2,3\n4,5,6\n", ["line 1, column 2", "UTF-8"]),
    "only the target": ("y\n1\n2\n", ["0"]),
    "a single row": (HEADER + "1,2,3\n", ["y"]),
    "binary": (b"\0\1\2\3" * 100, ["line 1"]),
}


@pytest.mark.parametrize("text, hints", BAD_DATA.values(), ids=BAD_DATA.keys())
def test_bad_data(store, text, hints):
    """Data that cannot be learned from is refused by file, line and column, and the store is as it was"""
    path = written(text)
    run = train(store, path, "--test", "0", "--validation", "0", *QUICK)
    assert refused(run, path, *hints).count("\n") == 1
    assert snapshot(store) == {".": None}


@pytest.mark.parametrize("make, hint", [(lambda: "nowhere.csv", "No such file"), (lambda: stack.ROOT, "regular file"), (lambda: "/dev/zero", "regular file")],
                         ids=["not there", "a folder", "/dev/zero"])
def test_no_data_file(store, make, hint):
    """What is no file is refused by its name"""
    refused(train(store, make(), *QUICK), make(), hint)


def test_too_few_rows(store):
    """Too few rows for the shares that are held out are refused, and the sentence says what helps"""
    assert "--test 0" in refused(train(store, written(HEADER + "1,2,3\n4,5,6\n7,8,9\n"), *QUICK))


PLAIN = "a,b,y\n1,2,3\n4,,6\n7,8,9.5\n"
SAME_DATA = {
    "line ends of Windows": PLAIN.replace("\n", "\r\n"),
    "line ends of old": PLAIN.replace("\n", "\r"),
    "mixed line ends": "a,b,y\r\n1,2,3\r4,,6\n7,8,9.5",
    "a byte order mark": "\ufeff" + PLAIN,
    "quoted cells": '"a","b","y"\n"1","2","3"\n"4","","6"\n7,"8",9.5\n',
    "blanks": "a, b ,y\n 1,2 ,\t3\n4, ,6\n7,8,9.5  \n",
    "NaN for missing": PLAIN.replace(",,", ",NaN,"),
    "empty lines": "\n\na,b,y\n\n1,2,3\n\r\n4,,6\n7,8,9.5\n\n\n",
    "other ways to write numbers": "a,b,y\n1.0,+2,3e0\n4.,,.6e1\n007,8,9.50\n",
}


@pytest.mark.parametrize("text", SAME_DATA.values(), ids=SAME_DATA.keys())
def test_same_data(store, text):
    """Data that is written otherwise gives the same model"""
    words = ("--test", "0", "--validation", "0", *QUICK)
    for each in (PLAIN, text):
        done(train(store, written(each), *words))
    assert store.model_file(MODEL, "1").read_bytes() == store.model_file(MODEL, "2").read_bytes()
    manifests = [store.manifest(MODEL, version) for version in "12"]
    assert manifests[0]["features"] == manifests[1]["features"] and manifests[0]["golden"] == manifests[1]["golden"]


def test_quoted_names(store, fresh):
    """Names with commas, quotes, blanks and umlauts come through to the manifest and to a request"""
    names = ['a,b', 'say "x"', "with blank", "Größe"]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in [*names, TARGET])
    done(train(store, written(f"{header}\n1,2,3,4,5\n2,3,4,5,7\n"), "--test", "0", "--validation", "0", "--promote", *QUICK))
    assert [feature["name"] for feature in store.manifest(MODEL)["features"]] == names
    assert fresh(store).request("POST", "/predict", {"features": [dict(zip(names, range(4)))]}).status == 200


def test_columns(store):
    """--columns names the columns of a file without a header, and must name all of them"""
    path, words = written("1,2,3\n4,5,6\n7,8,9.5\n"), ("--test", "0", "--validation", "0", *QUICK)
    done(train(store, path, "--columns", "a,b,y", *words))
    done(train(store, written("a,b,y\n1,2,3\n4,5,6\n7,8,9.5\n"), *words))
    assert store.model_file(MODEL, "1").read_bytes() == store.model_file(MODEL, "2").read_bytes()
    refused(train(store, path, "--columns", "a,y", *words), "line 1", "2 columns")
    refused(train(store, path, "--columns", "a,b,c,y", *words), "line 1 has 3 cells", "4 columns")
    refused(train(store, path, "--columns", "a,b,z", *words), 'no column "y"')
    refused(train(store, path, "--columns", "a,,y", *words), "--columns", status=2)
    refused(train(store, path, "--columns", "a,b,y,", *words), "--columns", status=2)


def test_target_anywhere(numpy, data, store):
    """The target may be any column: the features keep the order of the file"""
    values, target = made_up(numpy)
    mixed = numpy.column_stack([values[:, :1], target, values[:, 1:]])
    done(train(store, data, *QUICK))
    done(train(store, as_csv(mixed[:, :-1], mixed[:, -1], ("a", TARGET, "b", "c")), *QUICK))
    assert store.model_file(MODEL, "1").read_bytes() == store.model_file(MODEL, "2").read_bytes()


# California housing

@pytest.fixture(scope="module")
def california():
    """What `make train` makes of the real rows: its output, and the store."""
    folder = need.variable("FUTAIE_DATA_DIR", "the directory that holds cal_housing.data")
    store = models.Store("trained")
    run = subprocess.run([os.environ.get("MAKE", "make"), "--no-print-directory", "-s", "train", f"BUILD={stack.BUILD}", f"MODELS={store}",
                          "TRAIN_ARGS=--promote"], capture_output=True, text=True, timeout=100, check=False, env={**os.environ, "FUTAIE_DATA_DIR": folder})
    assert run.returncode == 0, run.stderr[-3000:]
    return run, store


@pytest.mark.measures
@pytest.mark.limit(120)
def test_make_train(california, say):
    """make train gives a model with an RMSE of at most 0.450 on the rows held out, in a file under 3 MB, and prints both"""
    run, store = california
    manifest, size = store.manifest(CALIFORNIA), store.model_file(CALIFORNIA).stat().st_size
    say(f"make train: RMSE {manifest['metrics']['rmse_test']:.4f}, {size} bytes")
    assert manifest["metrics"]["rmse_test"] <= 0.450 and size < 3_000_000
    assert f"held out {manifest['metrics']['rmse_test']:.4f} (4128 rows" in run.stdout and f"{size} bytes" in run.stdout, run.stdout
    assert manifest["golden"]["inputs"][0] == EXAMPLE and aliases(store, CALIFORNIA) == {"champion": "1"}
    commands.is_sound(store)


@pytest.mark.measures
@pytest.mark.limit(120)
def test_shipped_model(california, say):
    """The shipped manifest's RMSE is what make train gives"""
    _, store = california
    made, shipped = store.manifest(CALIFORNIA), json.loads((models.SHIPPED / CALIFORNIA / "1" / "manifest.json").read_text())
    say("the shipped model is made again byte for byte" if made["sha256"] == shipped["sha256"] else "this machine makes another model than the shipped one")
    assert made["metrics"]["rmse_test"] == pytest.approx(shipped["metrics"]["rmse_test"], abs=0.005)
    assert shipped["metrics"]["rmse_test"] <= 0.450 and (models.SHIPPED / CALIFORNIA / "1" / "model.ubj").stat().st_size < 3_000_000


@pytest.mark.measures
@pytest.mark.limit(120)
def test_real_metrics(numpy, xgboost, california):
    """RMSE of all three parts of the real rows is what NumPy computes on the same split, and so are the distributions"""
    _, store = california
    with open(stack.BUILD / "data" / "california.csv", encoding="ascii") as file:
        rows = list(csv.reader(file))
    table, names = numpy.array(rows[1:], dtype="f8").astype("f4"), rows[0]
    values, target, manifest = table[:, :-1], table[:, -1], store.manifest(CALIFORNIA)
    outputs = predicted(xgboost, store, values, names=names[:-1], name=CALIFORNIA).astype("f8")
    parts = split(len(target), manifest["parameters"]["seed"])
    for part, numbers in parts.items():
        expected = numpy.sqrt(numpy.mean((outputs[numbers] - target[numbers]) ** 2))
        assert manifest["metrics"][f"rmse_{part}"] == pytest.approx(float(expected), rel=1e-5), part
    for i, feature in enumerate(manifest["features"]):
        assert flat(feature["distribution"]) == pytest.approx(flat(distribution(numpy, values[parts["train"], i])), rel=1e-5), feature["name"]


@pytest.mark.measures
@pytest.mark.limit(120)
def test_real_rows_again(california):
    """Training on the real rows again gives the same bytes"""
    _, store = california
    done(train(store, stack.BUILD / "data" / "california.csv", "--params", TRAIN_JSON, "--period", "0", name=CALIFORNIA, target="MedHouseVal",
               timeout_s=100))
    assert store.model_file(CALIFORNIA, "1").read_bytes() == store.model_file(CALIFORNIA, "2").read_bytes()


@pytest.mark.measures
@pytest.mark.limit(120)
def test_real_bits(numpy, xgboost, california, fresh):
    """The model of make train answers 2,000 real rows with the bits of python3-xgboost"""
    _, store = california
    with open(stack.BUILD / "data" / "california.csv", encoding="ascii") as file:
        rows = list(csv.reader(file))[:2001]
    text = "".join(",".join(row[:-1]) + "\n" for row in rows)
    values = numpy.loadtxt(io.StringIO(text), delimiter=",", skiprows=1).astype("f4")
    reply = fresh(store).request("POST", "/predict", text, "text/csv")
    expected = predicted(xgboost, store, values, names=rows[0][:-1], name=CALIFORNIA)
    assert bits.of_all(bits.loads(reply.text())["predictions"]) == expected.view("u4").tolist()


def prepare(folder, out=None):
    """models/california.sh with this FUTAIE_DATA_DIR."""
    out = out or stack.scratch("prepared") / "california.csv"
    run = subprocess.run([models.SHIPPED / "california.sh", out], capture_output=True, text=True, timeout=60, check=False,
                         env={**os.environ, "FUTAIE_DATA_DIR": str(folder)})
    return run, out


LINE = "-122.23,37.88,41,880,129,322,126,8.3252,452600\n"
WRONG_DATA = {
    "no file": (None, "cal_housing.data is not there"), "an empty file": ("", "0 rows"), "too few rows": (LINE * 100, "100 rows"),
    "text for a number": (LINE.replace("-122.23", "west") * 20640, "line 1"),
    "another number of columns": (LINE * 50 + LINE.replace(",41", ""), "line 51"), "another separator": (LINE.replace(",", " ") * 20640, "line 1"),
}


@pytest.mark.parametrize("text, hint", WRONG_DATA.values(), ids=WRONG_DATA.keys())
def test_wrong_california_data(text, hint):
    """models/california.sh refuses data that is missing or wrong, with a sentence, and leaves no file to train on"""
    folder = stack.scratch("wrong")
    if text is not None:
        (folder / "cal_housing.data").write_text(text)
    run, out = prepare(folder)
    assert run.returncode == 1 and hint in run.stderr and run.stderr.startswith("california.sh: "), run
    assert not out.exists()


def test_failed_download():
    """Without data and without a network, models/california.sh says how to get the data by other means"""
    environment = {name: value for name, value in os.environ.items() if name != "FUTAIE_DATA_DIR"}
    out = stack.scratch("download") / "california.csv"
    run = subprocess.run([models.SHIPPED / "california.sh", out], capture_output=True, text=True, timeout=60, check=False,
                         env={**environment, "https_proxy": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""})
    assert run.returncode == 1 and "FUTAIE_DATA_DIR" in run.stderr, run
    assert not out.exists()
