"""Predictions of Debian's python3-xgboost, to compare futaie's with bit for bit.

    python3 predict_with_python.py MODEL_FILE [--margin] < rows.csv

Reads CSV with a header row, an empty cell being missing. Prints one line per row: the float32 bit pattern as
eight hex digits, several outputs separated by commas.
"""
import argparse
import sys

import numpy as np

import store
from float32 import bits, read_csv


def check_header(header, names):
    """Columns are taken by position, so a header in another order would compare the wrong things."""
    if names and header != names:
        sys.exit(f"the header {header} is not the model's feature names {names}")


def main():
    parser = argparse.ArgumentParser(description="Predict with python3-xgboost; prints float32 bit patterns.")
    parser.add_argument("model_file", help="model.ubj or model.json")
    parser.add_argument("--margin", action="store_true", help="the raw margin instead of the prediction")
    options = parser.parse_args()
    booster = store.load(options.model_file)
    header, rows = read_csv(sys.stdin)
    check_header(header, booster.feature_names)
    for outputs in store.predict(booster, rows, options.margin):
        print(",".join(map(bits, np.atleast_1d(outputs))))


if __name__ == "__main__":
    main()
