"""Tiny models of every kind that the XGBoost of this environment can make, and what it predicts with them.

    python3 version_models.py FOLDER

Called by make_version_fixtures.py in an environment of each version. Writes FOLDER/KIND.json or KIND.ubj and, beside it,
KIND.expected.json with rows and their predictions and margins. Everything is seeded. Uses only what XGBoost has had since 1.0.
"""
import json
import sys
from pathlib import Path

import numpy as np
import xgboost

from float32 import numbers

VERSION = tuple(int(part) for part in xgboost.__version__.split(".")[:2])
FEATURES = 5
CATEGORIES = {1: 3, 3: 12}  # column: how many. Of these 3 are split one against the rest, 12 by sets
TRAINING_ROWS = 200
TRIED_ROWS = 16
CLASSES = 3

TREES = {"max_depth": 3, "eta": 0.4, "tree_method": "hist", "nthread": 1, "seed": 5, "verbosity": 0}
SOFTPROB = {"num_class": CLASSES}
DART = {"booster": "dart", "rate_drop": 0.3, "one_drop": 1}
FOREST = {"num_parallel_tree": 3, "subsample": 0.6, "colsample_bynode": 0.6}
VECTORS = {"multi_strategy": "multi_output_tree"}
ONE_HOT = {"max_cat_to_onehot": 4}

PRUNED_SINCE = (1, 3)  # 1.0 cannot load its own file
UBJSON_SINCE = (1, 6)
CATEGORIES_SINCE = (1, 6)  # before, only the GPU could train with them
TARGETS_SINCE = (1, 6)
VECTORS_SINCE = (2, 0)
EXPECTILES_SINCE = (3, 3)
QUANTILES_SINCE = (2, 0)
VECTOR_QUANTILES_SINCE = (3, 2)
UNKNOWN_SINCE = (1, 7)  # what is in no set goes left; 1.6 sent it where a missing value goes


# Labels that each objective accepts, made from a score that is about standard normal.
def plain(score):
    return score


def binary(score):
    return (score > 0.3).astype(float)


def counts(score):
    return np.floor(np.exp(score))


def classes(score):
    return np.digitize(score, np.quantile(score, np.arange(1, CLASSES) / CLASSES)).astype(float)


def several(score):
    return np.column_stack([score, 2 * score + 3, -(score**2)])


# kind: objective, labels, parameters, and what else the case needs
MODELS = {
    "squarederror": ("reg:squarederror", plain, {}),
    "squarederror-json": ("reg:squarederror", plain, {}, {"json": True, "since": UBJSON_SINCE}),
    "logistic-base-score": ("binary:logistic", binary, {"base_score": 0.03}),
    "logistic": ("binary:logistic", binary, {}),
    "softprob": ("multi:softprob", classes, SOFTPROB, {"rounds": 2}),
    "softmax": ("multi:softmax", classes, SOFTPROB, {"rounds": 1}),
    "poisson": ("count:poisson", counts, {"max_delta_step": 0.7}),
    "dart": ("reg:squarederror", plain, DART),
    "softprob-dart": ("multi:softprob", classes, SOFTPROB | DART, {"rounds": 2}),
    "forest": ("reg:squarederror", plain, FOREST, {"rounds": 2}),
    "pruned": ("reg:squarederror", plain, {"gamma": 5.0, "tree_method": "exact"}, {"since": PRUNED_SINCE}),
    "expectiles": ("reg:expectileerror", plain, {"expectile_alpha": [0.1, 0.5, 0.9]}, {"rounds": 1, "since": EXPECTILES_SINCE}),
    "quantiles": ("reg:quantileerror", plain, {"quantile_alpha": [0.1, 0.5, 0.9]}, {"rounds": 1, "since": QUANTILES_SINCE}),
    "early-stopped": ("reg:squarederror", plain, {"eta": 0.9}, {"rounds": 20, "patience": 3}),
    "categorical": ("reg:squarederror", plain, ONE_HOT, {"categorical": True, "since": CATEGORIES_SINCE}),
    "categorical-json": ("binary:logistic", binary, ONE_HOT, {"rounds": 2, "categorical": True, "json": True, "since": CATEGORIES_SINCE}),
    "targets": ("reg:squarederror", several, {}, {"rounds": 1, "since": TARGETS_SINCE}),
    "vectors": ("reg:squarederror", several, VECTORS, {"since": VECTORS_SINCE}),
    "vectors-json": ("reg:squarederror", several, VECTORS, {"rounds": 2, "json": True, "since": VECTORS_SINCE}),
    "vectors-softprob": ("multi:softprob", classes, VECTORS | SOFTPROB, {"rounds": 2, "since": VECTORS_SINCE}),
    "vectors-categorical": ("reg:squarederror", several, VECTORS | ONE_HOT, {"categorical": True, "since": VECTORS_SINCE, "until": (3, 1)}),
    "vectors-quantiles": ("reg:quantileerror", plain, VECTORS | {"quantile_alpha": [0.1, 0.5, 0.9]}, {"since": VECTOR_QUANTILES_SINCE}),
    "vectors-forest": ("reg:squarederror", several, VECTORS | FOREST, {"rounds": 1, "since": VECTORS_SINCE}),
}


def make_rows(count, rng):
    """Features on different scales, one cell in ten missing."""
    rows = rng.normal(size=(count, FEATURES)) * [1, 10, 0.1, 1, 100] + [0, 40, 0, -2, 0]
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return np.round(rows, 3).astype(np.float32)


def make_categories(rows, rng):
    """The same rows with codes in the categorical columns; what was missing stays so."""
    for column, count in CATEGORIES.items():
        rows[:, column] = np.where(np.isnan(rows[:, column]), np.nan, rng.integers(count, size=len(rows)))
    return rows


def score(rows, rng):
    """Something to learn: from several features and their interaction, with noise."""
    size, age, load, slope, shift = np.nan_to_num(rows, nan=1.0).T
    return 0.8 * size + np.sin(age * 3) * slope / 3 + 5 * load + (shift > 30) - 0.5 + rng.normal(scale=0.2, size=len(rows))


def add_edges(rows, categorical):
    """Rows that trees are most often wrong about: all missing, far outside, zeros of both signs, what is no category."""
    rows[0] = np.nan
    rows[1] = 0
    rows[2] = -0.0
    rows[3:5] = [[3e38], [-3e38]]
    if categorical:
        rows[2:4, list(CATEGORIES)] = [[2, 11], [0.5, 7.9]]
    if categorical and VERSION >= UNKNOWN_SINCE:
        rows[4:10, list(CATEGORIES)] = [[3, 12], [50, 1000], [31, 32], [-1, -1], [-0.5, -0.5], [2**24, 3e9]]
    return rows


def data_matrix(rows, categorical, label=None):
    if not categorical:
        return xgboost.DMatrix(rows, label=label, nthread=1)
    types = ["c" if column in CATEGORIES else "q" for column in range(FEATURES)]
    return xgboost.DMatrix(rows, label=label, feature_types=types, enable_categorical=True, nthread=1)


def train(objective, label, parameters, rounds=3, patience=None, categorical=False):
    """A booster and the rows to try it on, which hold cases that training had not."""
    rng = np.random.default_rng(17)
    rows = make_rows(TRAINING_ROWS + TRIED_ROWS, rng)
    if categorical:
        rows = make_categories(rows, rng)
    seen, tried = np.split(rows, [TRAINING_ROWS])
    labels = label(score(seen, rng))
    # Rows that were trained on would never stop a training early: stop it by labels in reverse.
    evals = [(data_matrix(seen, categorical, labels[::-1]), "reversed")] if patience else []
    booster = xgboost.train(TREES | parameters | {"objective": objective}, data_matrix(seen, categorical, labels), rounds,
                            evals=evals, early_stopping_rounds=patience, verbose_eval=False)
    return booster, add_edges(tried, categorical)


def predict(booster, rows, margin):
    """One number a row, or a list of them where there are several outputs."""
    result = booster.predict(rows, output_margin=margin).reshape(rows.num_row(), -1)
    return numbers(result[:, 0] if result.shape[1] == 1 else result)


def write_model(folder, kind, objective, label, parameters, options):
    options = dict(options)
    if not options.pop("since", (1, 0)) <= VERSION <= options.pop("until", VERSION):
        return
    suffix = "json" if options.pop("json", False) or VERSION < UBJSON_SINCE else "ubj"
    booster, tried = train(objective, label, parameters, **options)
    path = folder / f"{kind}.{suffix}"
    booster.save_model(str(path))
    loaded = xgboost.Booster({"nthread": 1}, model_file=str(path))
    rows = data_matrix(tried, options.get("categorical", False))
    expected = {"rows": numbers(tried), "predictions": predict(loaded, rows, False), "margins": predict(loaded, rows, True)}
    (folder / f"{kind}.expected.json").write_text(json.dumps(expected, separators=(",", ":"), allow_nan=False) + "\n")


def main():
    folder = Path(sys.argv[1])
    for kind, (objective, label, parameters, *options) in MODELS.items():
        write_model(folder, kind, objective, label, parameters, options[0] if options else {})


if __name__ == "__main__":
    main()
