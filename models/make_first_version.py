"""Train the shipped California housing model: models/california-housing/1.

    FUTAIE_DATA_DIR=DIR python3 models/make_first_version.py

A stopgap that needs python3-xgboost: `futaie train` replaces it, and with it this file goes.
DIR holds cal_housing.data. The same data gives the same bytes of model.ubj; SOURCE_DATE_EPOCH, where set,
is the manifest's time of creation.
"""
import os
import sys
import time
from pathlib import Path

import numpy as np
import xgboost

MODELS = Path(__file__).resolve().parent
sys.path.insert(0, str(MODELS.parent / "tests" / "data"))

import california
import store
from float32 import numbers

VERSION = MODELS / "california-housing" / "1"
SEED = 42
MAX_ROUNDS = 2000
PATIENCE = 50
# Chosen by RMSE on validation parts alone, then by the number of trees, which a prediction pays for. One thread, because the order of sums, and with it the
# bytes of the model, changes with their number.
PARAMETERS = {
    "objective": "reg:squarederror",
    "tree_method": "hist",
    "grow_policy": "lossguide",
    "max_depth": 10,
    "max_bin": 256,
    "eta": 0.12,
    "min_child_weight": 10,
    "gamma": 0.02,
    "subsample": 0.9,
    "colsample_bytree": 0.8,
    "nthread": 1,
    "seed": SEED,
}


def split(count):
    """Row numbers: a fifth that is only measured on, a tenth that stops the training, the rest to train on."""
    order = np.random.default_rng(SEED).permutation(count)
    test, validation, train = np.split(order, [count // 5, count // 5 + count // 10])
    return {"train": train, "validation": validation, "test": test}


def train(rows, target, parts):
    """A booster cut at its best round on the validation part."""
    data = {part: xgboost.DMatrix(rows[parts[part]], target[parts[part]], feature_names=california.FEATURES, nthread=1)
            for part in ("train", "validation")}
    booster = xgboost.train(PARAMETERS, data["train"], MAX_ROUNDS, evals=[(data["validation"], "validation")],
                            early_stopping_rounds=PATIENCE, verbose_eval=False)
    best = booster[: booster.best_iteration + 1]
    best.set_attr(best_ntree_limit=None)  # counts trees of the uncut model
    return best


def measure(booster, rows, target, parts):
    """RMSE and row count of each part."""
    def rmse(part):
        return float(np.sqrt(np.mean((store.predict(booster, rows[part]).astype(np.float64) - target[part]) ** 2)))
    return ({f"rmse_{name}": round(rmse(part), 6) for name, part in parts.items()}
            | {f"rows_{name}": len(part) for name, part in parts.items()})


def golden_rows(features):
    """The example of the documents, then made-up rows, three of which miss a value."""
    example = np.array([california.EXAMPLE], dtype=np.float32)
    return np.vstack([example, store.made_up_rows(features, 15, np.random.default_rng(SEED), missing_rows=3)])


def check_in_place(booster, golden):
    """The server predicts in place, without a DMatrix: the outputs it is held to must not depend on that."""
    rows = np.array(golden["inputs"], dtype=np.float32)
    assert numbers(booster.inplace_predict(rows)) == golden["outputs"], "inplace_predict gives other bits than predict"


def main():
    data_file = california.data_file()
    rows, target = california.read(data_file)
    parts = split(len(rows))
    VERSION.mkdir(parents=True, exist_ok=True)
    model_file = VERSION / "model.ubj"
    train(rows, target, parts).save_model(model_file)

    booster = store.load(model_file)
    training_rows = rows[parts["train"]]
    features = store.describe(california.FEATURES, training_rows)
    golden = store.golden(booster, golden_rows(features))
    check_in_place(booster, golden)
    metrics = measure(booster, rows, target, parts)
    store.write_manifest(
        VERSION, model_file.name,
        created=store.rfc3339(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))),
        objective=PARAMETERS["objective"],
        features=features,
        target={"name": california.TARGET, "distribution": store.distribution(target[parts["train"]])},
        predictions={"distribution": store.distribution(store.predict(booster, training_rows))},
        metrics=metrics,
        parameters=PARAMETERS | {"num_boost_round": booster.num_boosted_rounds()},
        golden=golden,
        source={"data_sha256": store.sha256(data_file), "command": "models/make_first_version.py", "mlflow_run": None})
    store.write_champion(VERSION)
    print(f"{booster.num_boosted_rounds()} rounds, {model_file.stat().st_size:,} bytes, held-out RMSE "
          f"{metrics['rmse_test']:.4f}, validation {metrics['rmse_validation']:.4f}")


if __name__ == "__main__":
    main()
