"""Golden rows of the shipped model, for test machines that have no python3-xgboost.

    python3 make_golden.py

Draws made-up rows from the feature distributions in the manifest of models/california-housing/1 and writes
golden_rows.csv, golden_predictions.txt and california_example.txt (of the documents' example row) beside this file. To be run again whenever that model is trained again.
"""
import json
from pathlib import Path

import numpy as np

import california
import store
from float32 import number, write_csv

HERE = Path(__file__).resolve().parent
VERSION = HERE.parents[1] / "models" / "california-housing" / "1"
ROWS = 2000
ROWS_WITH_MISSING = 100
SEED = 11


def main():
    manifest = json.loads((VERSION / "manifest.json").read_text())
    features = manifest["features"]
    rng = np.random.default_rng(SEED)
    rows = rng.permutation(store.made_up_rows(features, ROWS, rng, missing_rows=ROWS_WITH_MISSING))
    with open(HERE / "golden_rows.csv", "w") as out:
        write_csv(out, [f["name"] for f in features], rows)
    booster = store.load(VERSION / manifest["model_file"])
    predictions = store.predict(booster, rows)
    (HERE / "golden_predictions.txt").write_text("".join(f"{number(p)}\n" for p in predictions))
    example = np.array([california.EXAMPLE], dtype=np.float32)
    (HERE / "california_example.txt").write_text(f"{number(store.predict(booster, example)[0])}\n")


if __name__ == "__main__":
    main()
