"""Tiny models of every kind that XGBoost 1.7 can make, and what python3-xgboost predicts with them.

    python3 make_fixtures.py

Writes a model store (fixtures/NAME/1 and fixtures/NAME/aliases.json) and, beside it, expected/NAME.json with rows
and their predictions and margins. Everything is seeded: the same libraries write the same bytes again.
"""
import shutil
from pathlib import Path

import numpy as np
import xgboost

import store
from float32 import numbers

HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "fixtures"
EXPECTED = HERE / "expected"
CREATED = store.rfc3339(1767225600)  # any fixed moment: the files must not change from run to run

FEATURES = ["size", "age", "load", "slope", "shift"]
CATEGORICAL_FEATURES = ["size", "colour", "load", "town", "shift"]
CATEGORIES = {1: 3, 3: 12}  # column: how many. Of these 3 are split one against the rest, 12 by sets
TRAINING_ROWS = 400
EXPECTED_ROWS = 40
GOLDEN_ROWS = 4
CLASSES = 3
GROUP = 20
ROUNDS = 4

TREES = {"max_depth": 3, "eta": 0.4, "tree_method": "hist", "nthread": 1, "seed": 5}
DART = TREES | {"booster": "dart", "rate_drop": 0.3, "one_drop": 1}
LINEAR = {"booster": "gblinear", "updater": "coord_descent", "eta": 0.5, "nthread": 1, "seed": 5}
SOFTPROB = {"num_class": CLASSES}


def make_rows(count, rng):
    """Features on different scales, one cell in ten missing."""
    rows = rng.normal(size=(count, len(FEATURES))) * [1, 10, 0.1, 1, 100] + [0, 40, 0, -2, 0]
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return np.round(rows, 3).astype(np.float32)


def make_categories(rows, rng):
    """The same rows with codes in the categorical columns; what was missing stays so."""
    rows = rows.copy()
    for column, count in CATEGORIES.items():
        codes = rng.integers(count, size=len(rows))
        rows[:, column] = np.where(np.isnan(rows[:, column]), np.nan, codes)
    return rows


def signal(rows, rng):
    """Something to learn: about standard normal, from several features and their interaction, with noise."""
    size, age, load, slope, shift = np.nan_to_num(rows, nan=1.0).T
    noise = rng.normal(scale=0.2, size=len(rows))
    return 0.8 * size + np.sin(age / 8) * slope / 3 + 5 * load + (shift > 30) - 0.5 + noise


def softmax_class(score):
    """Classes of about the same size."""
    return np.digitize(score, np.quantile(score, np.arange(1, CLASSES) / CLASSES)).astype(float)


# Labels that each objective accepts, made from the signal.
def plain(score):
    return {"label": score}


def positive(score):
    return {"label": np.exp(score)}


def share(score):
    return {"label": 1 / (1 + np.exp(-score))}


def binary(score):
    return {"label": (score > 0.3).astype(float)}


def counts(score):
    return {"label": np.floor(np.exp(score))}


def classes(score):
    return {"label": softmax_class(score)}


def relevance(score):
    return {"label": softmax_class(score), "group": [GROUP] * (len(score) // GROUP)}


def relevant(score):
    return {"label": (score > 0.3).astype(float), "group": [GROUP] * (len(score) // GROUP)}


def survival(score):
    """Times for Cox: a negative one is censored."""
    return {"label": np.exp(score) * np.where(np.arange(len(score)) % 4 == 0, -1, 1)}


def bounds(score):
    """Intervals for the accelerated failure time model: every fourth is open to the right."""
    time = np.exp(score)
    return {"label_lower_bound": time, "label_upper_bound": np.where(np.arange(len(time)) % 4 == 0, np.inf, time)}


def several(score):
    """Three targets at once."""
    return {"label": np.column_stack([score, 2 * score + 3, -(score**2)])}


def offset(score):
    return {"label": 1000 + 50 * score}


# name: objective, labels, parameters, and what else the case needs
MODELS = {
    "reg-squarederror": ("reg:squarederror", plain, TREES),
    "reg-squaredlogerror": ("reg:squaredlogerror", positive, TREES),
    "reg-logistic": ("reg:logistic", share, TREES),
    "reg-pseudohubererror": ("reg:pseudohubererror", plain, TREES | {"huber_slope": 1.5}),
    "reg-absoluteerror": ("reg:absoluteerror", plain, TREES),
    "reg-gamma": ("reg:gamma", positive, TREES),
    "reg-tweedie": ("reg:tweedie", counts, TREES | {"tweedie_variance_power": 1.4}),
    "count-poisson": ("count:poisson", counts, TREES),
    "binary-logistic": ("binary:logistic", binary, TREES | {"scale_pos_weight": 2}),
    "binary-logitraw": ("binary:logitraw", binary, TREES),
    "binary-hinge": ("binary:hinge", binary, TREES),
    "multi-softmax": ("multi:softmax", classes, TREES | SOFTPROB, {"rounds": 2}),
    "multi-softprob": ("multi:softprob", classes, TREES | SOFTPROB, {"rounds": 2}),
    "rank-pairwise": ("rank:pairwise", relevance, TREES),
    "rank-ndcg": ("rank:ndcg", relevance, TREES),
    "rank-map": ("rank:map", relevant, TREES),
    "survival-cox": ("survival:cox", survival, TREES),
    "survival-aft": ("survival:aft", bounds, TREES | {"aft_loss_distribution": "logistic",
                                                     "aft_loss_distribution_scale": 1.2}),
    "reg-squarederror-dart": ("reg:squarederror", plain, DART),
    "binary-logistic-dart": ("binary:logistic", binary, DART),
    "multi-softprob-dart": ("multi:softprob", classes, DART | SOFTPROB, {"rounds": 2}),
    "reg-squarederror-gblinear": ("reg:squarederror", plain, LINEAR),
    "binary-logistic-gblinear": ("binary:logistic", binary, LINEAR),
    "multi-softprob-gblinear": ("multi:softprob", classes, LINEAR | SOFTPROB),
    "reg-squarederror-categorical": ("reg:squarederror", plain, TREES | {"max_cat_to_onehot": 4},
                                     {"categorical": True}),
    "binary-logistic-json": ("binary:logistic", binary, TREES, {"model_file": "model.json"}),
    "reg-squarederror-forest": ("reg:squarederror", plain, TREES | {"num_parallel_tree": 3, "subsample": 0.6,
                                                                   "colsample_bynode": 0.6}, {"rounds": 2}),
    "reg-squarederror-multi-output": ("reg:squarederror", several, TREES, {"rounds": 2}),
    "reg-squarederror-early-stopped": ("reg:squarederror", plain, TREES | {"eta": 0.9}, {"patience": 3, "rounds": 20}),
    "reg-squarederror-base-score": ("reg:squarederror", offset, TREES | {"base_score": 1000.0}),
    "binary-logistic-base-score": ("binary:logistic", binary, TREES | {"base_score": 0.03}),
    "count-poisson-base-score": ("count:poisson", counts, TREES | {"base_score": 20.0}),
    "reg-squarederror-unnamed": ("reg:squarederror", plain, TREES, {"named": False}),
}


def data_matrix(rows, labels, categorical, named):
    """Training data; a name in the model file is what a bare import later finds its features by."""
    names = CATEGORICAL_FEATURES if categorical else FEATURES
    types = ["c" if column in CATEGORIES else "q" for column in range(len(names))] if categorical else None
    return xgboost.DMatrix(rows, **labels, feature_names=names if named else None, feature_types=types,
                           enable_categorical=categorical, nthread=1)


def train(objective, label, parameters, rng, rounds=ROUNDS, patience=None, categorical=False, named=True):
    """A booster, the rows it saw and the rows to try it on, which hold cases that training had not."""
    rows = make_rows(TRAINING_ROWS + EXPECTED_ROWS, rng)
    labels = label(signal(rows, rng)[:TRAINING_ROWS])
    if categorical:
        rows = make_categories(rows, rng)
    seen, tried = np.split(rows, [TRAINING_ROWS])
    data = data_matrix(seen, labels, categorical, named)
    # Rows that were trained on would never stop a training early: stop it by labels in reverse.
    evals = [(data_matrix(seen, {"label": labels["label"][::-1]}, categorical, named), "reversed")] if patience else []
    booster = xgboost.train(parameters | {"objective": objective}, data, rounds, evals=evals,
                            early_stopping_rounds=patience, verbose_eval=False)
    return booster, seen, add_edges(tried, categorical)


def add_edges(rows, categorical):
    """Rows that trees are most often wrong about: all missing, far outside, zeros of both signs, unseen codes."""
    rows[0] = np.nan
    rows[1] = 0
    rows[2] = -0.0
    rows[3:5] = [[3e38], [-3e38]]
    if categorical:
        rows[2:5, list(CATEGORIES)] = [[2, 11], [3, 12], [50, 1000]]
    return rows


def describe(booster, seen, categorical):
    names = CATEGORICAL_FEATURES if categorical else FEATURES
    return store.describe(names, seen, booster.feature_types)


def write_model(name, objective, label, parameters, options):
    """One model of the store and its expected file."""
    options = dict(options)
    model_file = options.pop("model_file", "model.ubj")
    booster, seen, tried = train(objective, label, parameters, np.random.default_rng(17), **options)
    folder = FIXTURES / name / "1"
    folder.mkdir(parents=True)
    booster.save_model(folder / model_file)
    loaded = store.load(folder / model_file)
    store.write_manifest(
        folder, model_file, created=CREATED, objective=objective,
        features=describe(booster, seen, options.get("categorical", False)),
        target={"name": "target"},
        metrics={"rows_train": len(seen)},
        parameters=parameters | {"objective": objective, "num_boost_round": loaded.num_boosted_rounds()},
        golden=store.golden(loaded, tried[5 : 5 + GOLDEN_ROWS]),
        source={"command": "tests/data/make_fixtures.py", "mlflow_run": None})
    store.write_champion(folder)
    write_expected(name, loaded, tried)


def write_expected(name, booster, rows):
    expected = {"rows": numbers(rows), "predictions": numbers(store.predict(booster, rows)),
                "margins": numbers(store.predict(booster, rows, margin=True))}
    store.write_json(EXPECTED / f"{name}.json", expected)


def main():
    for folder in (FIXTURES, EXPECTED):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    for name, (objective, label, parameters, *options) in MODELS.items():
        write_model(name, objective, label, parameters, options[0] if options else {})
    print(f"{len(MODELS)} models in {FIXTURES.name}/, what they predict in {EXPECTED.name}/")


if __name__ == "__main__":
    main()
