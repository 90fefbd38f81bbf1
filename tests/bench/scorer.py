#!/usr/bin/python3
"""scorer.py - futaie's scorer against XGBoost's C API, in process and one thread each: futaie bench of models of several sizes

    scorer.py [--pairs N]

Part of bench.py, and a program of its own. FUTAIE_DATA_DIR names the folder with cal_housing.data, on which the models are trained.
"""
import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

import figures                          # noqa: E402
import servers                          # noqa: E402
from figures import Figure              # noqa: E402
from lib import stack                   # noqa: E402

PAIRS = 15
TRAIN_S, BENCH_S = 120, 120     # of one training and of one futaie bench, at most
PARAMETERS = {"objective": "reg:squarederror", "tree_method": "hist", "max_bin": 256, "eta": 0.1, "seed": 1}


@dataclasses.dataclass
class Size:
    """A model, and how much faster than XGBoost it should be scored: one row in a call, and a block of rows; and explained, in both ways."""

    trees: int
    depth: int
    one_row: float
    block: float
    explained: float = None
    found: dict = None      # what futaie bench --json has printed

    @property
    def name(self):
        return f"trees-{self.trees}-depth-{self.depth}"


def sizes():
    return [Size(100, 6, 25, 5, 5), Size(500, 8, None, 3), Size(1000, 6, None, 3)]


class Bench:
    def __init__(self, pairs=PAIRS, progress=lambda text: None):
        self.pairs, self.progress, self.sizes = pairs, progress, sizes()
        self.folder = servers.folder("scorer")
        self.skipped = "" if os.environ.get("FUTAIE_DATA_DIR") else "FUTAIE_DATA_DIR is not set: the folder that holds cal_housing.data"

    @property
    def seconds_most(self):
        return len(self.sizes) * (TRAIN_S + BENCH_S)

    def run(self):
        if self.skipped:
            return
        data = self.folder / "california.csv"
        run([stack.ROOT / "models" / "california.sh", data], TRAIN_S)
        shutil.rmtree(self.folder / "models", ignore_errors=True)       # versions of earlier runs
        for size in self.sizes:
            self.progress(f"training {size.trees:,} trees of depth {size.depth}")
            self.train(size, data)
            self.progress(f"scoring with {size.trees:,} trees of depth {size.depth}")
            size.found = bench(self.folder / "models", size.name, self.pairs)

    def train(self, size, data):
        recipe = self.folder / f"{size.name}.json"
        recipe.write_text(json.dumps({**PARAMETERS, "max_depth": size.depth}))
        run([stack.FUTAIE, "train", "--models", self.folder / "models", "--data", data, "--target", "MedHouseVal", "--name", size.name,
             "--params", recipe, "--rounds", size.trees, "--early-stopping", "0", "--period", "0", "--promote"], TRAIN_S)

    def figures(self, problem=""):
        found = []
        for size in self.sizes:
            for what, measures, targets in (("scorer", "measures", (size.one_row, size.block)), ("explanations", "explanations", (size.explained, size.explained))):
                for block, target in enumerate(targets):
                    measure = size.found[measures][block] if size.found else {"rows": "some" if block else 1, "pairs": []}
                    rows = "one row a call" if measure["rows"] == 1 else f"{measure['rows']:,} rows a call" if size.found else "rows in blocks"
                    found.append(Figure(f"{what}, {rows}, {size.trees:,} trees of depth {size.depth}", "XGBoost's C API, one thread", "×",
                                        [pair["ratio"] for pair in measure["pairs"]], target=target, problem=problem or self.skipped))
        return found

    def table(self):
        head = ["trees", "depth", "what", "rows a call", "XGBoost", "futaie", "instructions for blocks"]
        rows = [[f"{size.trees:,}", str(size.depth), what, f"{measure['rows']:,}", figures.amount(measure["xgboost_us"], "µs"),
                 figures.amount(measure["forest_us"], "µs"), size.found["isa"]]
                for size in self.sizes if size.found for what, measures in (("predict", "measures"), ("explain", "explanations")) for measure in size.found[measures]]
        return figures.Table("The scorer in process: processor time a row, medians", head, rows, [self.skipped] if self.skipped else [
            f"{self.pairs} pairs, one thread, made-up rows between the trees' splits; XGBoost by the plain call XGBoosterPredictFromDense."])

    def data(self):
        return {size.name: size.found for size in self.sizes}


def bench(models, name, pairs, *words):
    return json.loads(run([stack.FUTAIE, "bench", "--models", models, "--pairs", pairs, "--json", *words, name], BENCH_S))


def run(words, seconds):
    """What a program printed that must succeed."""
    ended = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=seconds, check=False)
    assert ended.returncode == 0, f"{words[0]} ended with {ended.returncode}: {ended.stderr}"
    return ended.stdout


def main():
    parser = argparse.ArgumentParser(description="Measure futaie's scorer against XGBoost's C API.")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"pairs of each measure (default {PAIRS})")
    part = Bench(parser.parse_args().pairs)
    part.run()
    head = figures.Table("Figures", figures.FIGURE_HEAD, [figure.cells() for figure in part.figures()])
    print("\n".join(table.text() for table in (head, part.table())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
