#!/usr/bin/python3
"""train_with_python.py - the training that `futaie train` is compared with: xgboost.train() on the same rows and parameters

    train_with_python.py DATA.csv TARGET PARAMETERS.json ROUNDS

Prints the seconds of the call of xgboost.train(), reading and splitting not counted.
"""
import json
import sys
import time

import numpy as np
import xgboost


def main():
    data, target, parameters, rounds = sys.argv[1:]
    with open(data) as file:
        names = file.readline().strip().split(",")
    table = np.loadtxt(data, delimiter=",", skiprows=1, dtype=np.float32)
    column = names.index(target)
    labels, rows = table[:, column], np.delete(table, column, axis=1)
    order = np.random.default_rng(1).permutation(len(rows))
    _, validation, train = np.split(order, [len(rows) // 5, len(rows) // 5 + len(rows) // 10])
    with open(parameters) as file:
        chosen = {name: value for name, value in json.load(file).items() if name not in ("num_boost_round", "early_stopping_rounds")}
    started = time.monotonic()
    matrices = [xgboost.DMatrix(rows[part], labels[part]) for part in (train, validation)]
    xgboost.train(chosen, matrices[0], int(rounds), evals=[(matrices[0], "train"), (matrices[1], "validation")], verbose_eval=False)
    print(time.monotonic() - started)


if __name__ == "__main__":
    main()
