#!/usr/bin/python3
"""train.py - futaie train, the whole command, against the call of xgboost.train() on the same rows and parameters

    train.py [--runs N]

Part of bench.py, and a program of its own. FUTAIE_DATA_DIR names the folder with cal_housing.data. Both are run in turns; the median of the
ratios of their times is what counts.
"""
import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

import figures                          # noqa: E402
import servers                          # noqa: E402
from figures import BELOW, Figure       # noqa: E402
from lib import stack                   # noqa: E402

RUNS, ROUNDS, RUN_S = 5, 200, 60
RATIO = 1.2
RECIPE = stack.ROOT / "models" / "train.json"


class Bench:
    def __init__(self, runs=RUNS, progress=lambda text: None):
        self.count, self.progress = runs, progress
        self.ours, self.theirs = [], []
        self.folder = servers.folder("train")
        self.skipped = "" if os.environ.get("FUTAIE_DATA_DIR") else "FUTAIE_DATA_DIR is not set: the folder that holds cal_housing.data"

    def run(self):
        if self.skipped:
            return
        data = self.folder / "california.csv"
        done([stack.ROOT / "models" / "california.sh", data])
        for number in range(self.count):
            self.progress(f"training, {number + 1} of {self.count}")
            for train in (self.train, self.train_with_python) if number % 2 == 0 else (self.train_with_python, self.train):
                train(data)

    def train(self, data):
        """All of the command: reading, training without early stopping, describing, proving, adding."""
        started = time.monotonic()
        done([stack.FUTAIE, "train", "--models", self.folder / "models", "--data", data, "--target", "MedHouseVal", "--name", "bench",
              "--params", RECIPE, "--rounds", ROUNDS, "--early-stopping", "0", "--period", "0"])
        self.ours.append(time.monotonic() - started)

    def train_with_python(self, data):
        said = done(["/usr/bin/python3", servers.HERE / "train_with_python.py", data, "MedHouseVal", RECIPE, ROUNDS])
        self.theirs.append(float(said))

    def figures(self, problem=""):
        what = f"futaie train, {ROUNDS} rounds, California housing"
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs)]
        return [Figure(what, "the call of xgboost.train() in Python", "×", ratios, BELOW, RATIO, problem or self.skipped)]

    def data(self):
        return {"futaie_s": self.ours, "python_s": self.theirs}


def done(words):
    """What a program printed that must succeed."""
    run = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=RUN_S, check=False)
    assert run.returncode == 0, f"{words[0]} ended with {run.returncode}: {run.stderr}"
    return run.stdout


def main():
    parser = argparse.ArgumentParser(description="Measure futaie train against xgboost.train().")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs of each (default {RUNS})")
    bench = Bench(parser.parse_args().runs)
    bench.run()
    print(figures.Table("Figures", figures.FIGURE_HEAD, [figure.cells() for figure in bench.figures()]).text())
    print(f"futaie train: {bench.ours}\nxgboost.train(): {bench.theirs}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
