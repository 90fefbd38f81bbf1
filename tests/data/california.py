"""California housing: from the published columns to the features of the example model.

    FUTAIE_DATA_DIR=DIR python3 california.py --rows 2000 --seed 7 > rows.csv

DIR holds cal_housing.data. The data set is not part of the project; tests that need it are skipped without it.
"""
import argparse
import os
import sys
from pathlib import Path

import numpy as np

from float32 import write_csv

FEATURES = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"]
TARGET = "MedHouseVal"
EXAMPLE = [8.3252, 41, 6.9841, 1.023810, 322, 2.5556, 37.88, -122.23]


def data_file():
    """Where cal_housing.data is, or the end of the program with a sentence that says how to tell us."""
    folder = os.environ.get("FUTAIE_DATA_DIR")
    if not folder:
        sys.exit("FUTAIE_DATA_DIR is not set: it names the directory that holds cal_housing.data")
    path = Path(folder) / "cal_housing.data"
    if not path.is_file():
        sys.exit(f"{path} is not there: FUTAIE_DATA_DIR names the directory that holds cal_housing.data")
    return path


def read(path):
    """Feature rows and target, in float32 as XGBoost takes them; the ratios are computed in double first."""
    longitude, latitude, age, rooms, bedrooms, population, households, income, value = np.loadtxt(path, delimiter=",").T
    features = [income, age, rooms / households, bedrooms / households, population, population / households,
                latitude, longitude]
    return np.column_stack(features).astype(np.float32), (value / 100000).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description="Real California housing rows as CSV, on standard output.")
    parser.add_argument("--rows", type=int, default=2000, help="how many rows, drawn without repetition (2000)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed draws the same rows (7)")
    options = parser.parse_args()
    rows, _ = read(data_file())
    chosen = np.random.default_rng(options.seed).permutation(len(rows))[: options.rows]
    write_csv(sys.stdout, FEATURES, rows[chosen])


if __name__ == "__main__":
    main()
