"""Train a model with many trees on made-up rows, for tests of size and speed.

    python3 make_large.py --trees 1000 --features a,b,c model.ubj
"""
import argparse

import numpy as np
import xgboost

ROWS = 4000


def main():
    parser = argparse.ArgumentParser(description="Train a model with many trees on made-up rows.")
    parser.add_argument("model_file", help="what is written, model.ubj or model.json")
    parser.add_argument("--trees", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--features", required=True, help="their names, separated by commas")
    options = parser.parse_args()
    names = options.features.split(",")
    random = np.random.default_rng(1)
    rows = random.normal(size=(ROWS, len(names))).astype(np.float32)
    target = np.sin(rows).sum(axis=1) + random.normal(size=ROWS)
    matrix = xgboost.DMatrix(rows, target, feature_names=names)
    parameters = {"tree_method": "hist", "max_depth": 6, "eta": 0.02, "nthread": 1, "seed": 1}
    xgboost.train(parameters, matrix, options.trees).save_model(options.model_file)


if __name__ == "__main__":
    main()
