#!/usr/bin/python3
"""predict.py - futaie predict against pandas and xgboost, end to end: a CSV of a million rows to a prediction a line

    predict.py [--rows N] [--runs N]

Part of bench.py, and a program of its own. Both are run in turns; the median of the ratios of their times is what counts, and their
predictions must have the same bits.
"""
import argparse
import os
import random
import re
import subprocess
import sys
import time
from array import array
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

import figures                          # noqa: E402
import processes                        # noqa: E402
import servers                          # noqa: E402
from figures import BELOW, Figure       # noqa: E402
from lib import models, stack           # noqa: E402

ROWS, RUNS = 1_000_000, 3
RUN_S = 60              # of one run, at most
LOOK_S = 0.02           # between two looks at its memory
RATIO, MEMORY_MB = 4, 60
QUIET = 0.1             # share of the processors that other programs may take in a pair that is called quiet
OURS, THEIRS = "futaie predict", "pandas.read_csv, Booster.predict"


def make_rows(path, count):
    """The golden rows again and again, in an order that does not repeat."""
    header, *rows = (models.DATA / "golden_rows.csv").read_text().splitlines()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{header}\n")
        for line in random.Random(7).choices(rows, k=count):
            file.write(f"{line}\n")


class Run:
    """One program from its start to its end: time, processor time, the peak of its resident memory, and what others took meanwhile."""

    def __init__(self, argv, out):
        started, machine_before, own_before = time.monotonic(), processes.machine_us(), own_us()
        with open(out, "wb") as file:
            process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=file, preexec_fn=stack.die_with_parent)
        self.peak_mb = 0.0
        try:
            pid, status, usage = self.watch(process.pid, started)
        except BaseException:
            process.kill()
            process.wait()
            raise
        self.seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)      # it was waited for
        self.cpu_s = usage.ru_utime + usage.ru_stime
        others_us = processes.machine_us() - machine_before - (own_us() - own_before) - self.cpu_s * 1_000_000
        self.others = max(0.0, others_us / (self.seconds * 1_000_000 * os.cpu_count()))    # share of all processors
        assert process.returncode == 0, f"{argv[0]} (process {pid}) ended with {process.returncode}"

    def watch(self, pid, started):
        """Looks at its memory until it has ended; the peak in its rusage is also that of the copy of us before its exec."""
        while True:
            self.peak_mb = max(self.peak_mb, peak_mb(pid))
            ended = os.wait4(pid, os.WNOHANG)
            if ended[0]:
                return ended
            assert time.monotonic() - started < RUN_S, f"process {pid} takes longer than {RUN_S} s"
            time.sleep(LOOK_S)


def own_us():
    times = os.times()
    return (times.user + times.system) * 1_000_000


def peak_mb(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s+(\d+)", status, re.MULTILINE)
    return int(found[1]) * 1024 / processes.BYTES_A_MB if found else 0.0


def values(path):
    """The predictions as float32."""
    return array("f", map(float, path.read_text().split()))


class Bench:
    def __init__(self, rows=ROWS, runs=RUNS, progress=lambda text: None):
        self.rows, self.count, self.progress = rows, runs, progress
        self.runs = {OURS: [], THEIRS: []}
        self.folder = servers.folder("predict")

    def run(self):
        """There and back again, so that neighbours are compared."""
        path = self.folder / "rows.csv"
        self.progress("making rows")
        make_rows(path, self.rows)
        commands = {OURS: [stack.FUTAIE, "predict", "--models", servers.MODELS, servers.MODEL, path],
                    THEIRS: ["/usr/bin/python3", servers.HERE / "predict_pandas.py", servers.model_file(), path]}
        outs = {OURS: self.folder / "futaie.txt", THEIRS: self.folder / "python.txt"}
        for number in range(self.count):
            for label in (OURS, THEIRS) if number % 2 == 0 else (THEIRS, OURS):
                self.progress(f"{number + 1} of {self.count}: {label}")
                self.runs[label].append(Run(commands[label], outs[label]))
            if number == 0:
                assert values(outs[OURS]) == values(outs[THEIRS]), "the predictions differ"
        for file in (path, *outs.values()):
            file.unlink()

    def figures(self, problem=""):
        what = f"predict, {self.rows:,} rows × {len(models.FEATURES)}, CSV to text"
        every, quiet = self.ratios(), self.ratios(QUIET)
        found = [Figure(what, "pandas and xgboost in Python", "×", every, target=RATIO, problem=problem)]
        if 0 < len(quiet) < len(every):
            found.append(Figure(f"  only the {len(quiet)} pairs in which others took little", "the same", "×", quiet))
        return [*found, Figure("peak of its resident memory", "–", "MB", [run.peak_mb for run in self.runs[OURS]], BELOW, MEMORY_MB, problem)]

    def ratios(self, others_most=1.0):
        """Of the pairs in which other programs took at most this share of the processors."""
        pairs = zip(self.runs[OURS], self.runs[THEIRS])
        return [theirs.seconds / ours.seconds for ours, theirs in pairs if max(ours.others, theirs.others) <= others_most]

    def table(self):
        head = ["program", "time", "rows/s", "CPU time", "peak memory", "others' share"]
        rows = [[label, figures.amount(median(runs, "seconds"), "s"), figures.amount(self.rows / median(runs, "seconds")),
                 figures.amount(median(runs, "cpu_s"), "s"), figures.amount(median(runs, "peak_mb"), "MB"), figures.amount(100 * median(runs, "others"), "%")] for label, runs in self.runs.items() if runs]
        return figures.Table("A file of rows, end to end: medians", head, rows, [
            f"{self.rows:,} rows as CSV in a file, a prediction a line out; {self.count} runs of each, in alternating order, on {os.cpu_count()} processors.",
            "Both use all processors to predict; Python reads and prints with one. What other programs take slows down who can use all of them: with no",
            "processor to spare the ratio is that of the CPU times."])

    def data(self):
        return {label: [vars(run) for run in runs] for label, runs in self.runs.items()}


def median(runs, name):
    return figures.statistics.median(getattr(run, name) for run in runs)


def main():
    parser = argparse.ArgumentParser(description="Measure futaie predict against pandas and xgboost.")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows of the file (default {ROWS})")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs of each (default {RUNS})")
    options = parser.parse_args()
    bench = Bench(options.rows, options.runs)
    bench.run()
    head = figures.Table("Figures", figures.FIGURE_HEAD, [figure.cells() for figure in bench.figures()])
    print("\n".join(table.text() for table in (head, bench.table())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
