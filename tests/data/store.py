"""A model store as futaie reads it: NAME/VERSION/{model.ubj, manifest.json} and NAME/aliases.json.

Both the shipped model and the test models are written through here, so that there is one place which
knows the keys of a manifest.
"""
import hashlib
import json
import time

import numpy as np
import xgboost

from float32 import number, numbers

ORDER = ("name", "version", "created", "objective", "model_file", "sha256", "features", "target", "predictions",
         "metrics", "parameters", "golden", "source", "xgboost_version")
TENTHS = np.arange(1, 10) / 10


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def distribution(values):
    """What drift is later measured against. `count` is the values that are there; `missing` comes on top."""
    present = values[~np.isnan(values)]
    return {
        "count": len(present),
        "missing": len(values) - len(present),
        "min": number(present.min()),
        "max": number(present.max()),
        "mean": number(present.mean(dtype=np.float64)),
        "deciles": numbers(np.quantile(present.astype(np.float64), TENTHS)),
    }


def describe(names, rows, types=None):
    """The `features` of a manifest; a categorical column holds codes, of which deciles would mean nothing."""
    described = []
    for name, column, kind in zip(names, rows.T, types or ["q"] * len(names)):
        is_numeric = kind == "q"
        feature = {"name": name, "type": "float" if is_numeric else "categorical"}
        described.append(feature | ({"distribution": distribution(column)} if is_numeric else {}))
    return described


def made_up_rows(features, count, rng, missing_rows=0, decimals=3):
    """Rows that look like the training data and are nobody's: drawn between the deciles of each feature.

    Plain uniform numbers between minimum and maximum would mostly fall where no training row was.
    The first `missing_rows` rows lack one value each.
    """
    rows = np.empty((count, len(features)), dtype=np.float32)
    for column, feature in zip(rows.T, features):
        known = feature["distribution"]
        knots = [known["min"], *known["deciles"], known["max"]]
        drawn = np.interp(rng.random(count), np.linspace(0, 1, len(knots)), knots)
        column[:] = np.clip(np.round(drawn, decimals), known["min"], known["max"])
    for row in rows[:missing_rows]:
        row[rng.integers(len(features))] = np.nan
    return rows


def load(path):
    """A booster as a user gets it from the file: nothing left over from training. One thread: same bits anywhere."""
    return xgboost.Booster({"nthread": 1}, model_file=str(path))


def matrix(booster, rows):
    """Rows as a DMatrix that carries the names and types which the booster was trained with."""
    categorical = "c" in (booster.feature_types or [])
    return xgboost.DMatrix(rows, feature_names=booster.feature_names, feature_types=booster.feature_types,
                           enable_categorical=categorical, nthread=1)


def predict(booster, rows, margin=False):
    """What every test takes as the truth: one number per row, or one array where there are several outputs."""
    result = booster.predict(matrix(booster, rows), output_margin=margin, strict_shape=True)
    assert result.shape[0] == len(rows) and result.ndim == 2, result.shape
    return result[:, 0] if result.shape[1] == 1 else result


def golden(booster, rows):
    return {"inputs": numbers(rows), "outputs": numbers(predict(booster, rows))}


def pretty(value, indent=""):
    """JSON with two spaces, but a list of plain values stays on one line: a row of numbers reads as a row."""
    inner = indent + "  "
    is_nest = isinstance(value, (dict, list)) and value
    if not is_nest or isinstance(value, list) and not any(isinstance(v, (dict, list)) for v in value):
        return json.dumps(value, allow_nan=False)
    if isinstance(value, dict):
        items, ends = [f"{json.dumps(k)}: {pretty(v, inner)}" for k, v in value.items()], "{}"
    else:
        items, ends = [pretty(v, inner) for v in value], "[]"
    return f"{ends[0]}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{ends[1]}"


def write_json(path, value):
    path.write_text(pretty(value) + "\n")


def write_manifest(folder, model_file, **values):
    """manifest.json beside a model file; a key that a model has no use for may be left out."""
    values |= {"name": folder.parent.name, "version": folder.name, "model_file": model_file,
               "sha256": sha256(folder / model_file), "xgboost_version": xgboost.__version__}
    assert values.keys() <= set(ORDER), values.keys() - set(ORDER)
    write_json(folder / "manifest.json", {key: values[key] for key in ORDER if key in values})


def write_champion(folder):
    """Make this version the one that is served."""
    write_json(folder.parent / "aliases.json", {"champion": folder.name})
