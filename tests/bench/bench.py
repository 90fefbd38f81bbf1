#!/usr/bin/python3
"""bench.py - speed and memory, as ratios within one run

    bench.py [--pairs N] [--seconds S] [--starts N] [--connections N] [--runs N]

Every ratio is of two rates that were measured one after the other, again and again in alternating order; the median of the pairs'
ratios is what counts, so that a machine that is slower for a while slows both. Prints a table, and writes it as bench.md and bench.json under
$BUILD/bench. A target that is missed is shown, not a failure: the exit status is 1 only when something could not be measured.
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

import figures                          # noqa: E402
import loads                            # noqa: E402
import memory                           # noqa: E402
import predict                          # noqa: E402
import scorer                           # noqa: E402
import servers                          # noqa: E402
import train                            # noqa: E402
from figures import BELOW, Figure       # noqa: E402
from lib import fcgi, stack             # noqa: E402

FIXED_S = 60            # of the whole, over its loads
TRAIN_S = 10            # of one training
START_S = 10
PREDICT_S = 60          # of a file of rows by futaie and by Python


def progress(text):
    """One line that is overwritten, where somebody looks."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


# Start

def start_ms():
    """From exec to the first answer of /readyz. Its socket listens already, so the request waits in it for the first accept."""
    address = str(servers.folder("start") / "app.sock")
    Path(address).unlink(missing_ok=True)
    listener = stack.listening_socket(address)
    started = time.monotonic()
    process = subprocess.Popen([stack.FUTAIE, "serve", "--models", servers.MODELS], stdin=listener, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, preexec_fn=stack.die_with_parent)
    try:
        reply = fcgi.request(address, "GET", "/readyz", timeout_s=START_S)
        taken = (time.monotonic() - started) * 1000
        assert reply.status == 200, f"/readyz answers {reply}"
        return taken
    finally:
        listener.close()
        process.terminate()
        process.wait(START_S)


def measure_starts(options):
    taken = []
    for number in range(options.starts + 1):
        progress(f"start {number} of {options.starts}")
        taken.append(start_ms())
    return taken[1:]            # the first may have waited for the disk


# Everything

class Bench:
    def __init__(self, options):
        self.options = options
        self.problems, self.figures = {}, []
        self.comparisons = [loads.Comparison(plan, options, self.attempt, progress) for plan in loads.PLANS]
        self.scorer = scorer.Bench(pairs=options.pairs, progress=progress)
        self.batch = predict.Bench(runs=options.runs, progress=progress)
        self.peak = memory.Bench(progress=progress)
        self.training = train.Bench(progress=progress)

    def seconds_most(self):
        """After which something hangs."""
        return int(FIXED_S + sum(comparison.seconds() for comparison in self.comparisons) + self.options.runs * PREDICT_S + self.scorer.seconds_most +
                   2 * train.RUNS * TRAIN_S + self.peak.seconds_most)

    def run(self):
        servers.FOLDER.mkdir(parents=True, exist_ok=True)
        for comparison in self.comparisons:
            comparison.run()
            self.figures += comparison.figures(self.why)
        self.figures += self.start_figures() + self.memory_figures()
        for name, part in (("scorer", self.scorer), ("peak", self.peak), ("predict", self.batch), ("train", self.training)):
            self.attempt(name, part.run)
            self.figures += part.figures(self.problems.get(name, ""))
        progress("")

    def attempt(self, what, action):
        """The result of `action`, or None and a remark: one thing that cannot be measured does not stop the others."""
        try:
            return action()
        except (AssertionError, OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
            self.problems.setdefault(what, re.sub(r"\s+", " ", f"{error}")[:300] or type(error).__name__)
            return None

    def why(self, *names):
        return "; ".join(self.problems[name] for name in names if name in self.problems) or "the load before it failed"

    def memory(self):
        """When → MB of futaie, of all loads; the first of those with the same name."""
        found = {}
        for comparison in self.comparisons:
            for when, memory in comparison.memory.items():
                found.setdefault(when, memory)
        return found

    def start_figures(self):
        taken = self.attempt("start", lambda: measure_starts(self.options)) or []
        return [Figure("ready after exec, default model", "–", "ms", taken, BELOW, 200, self.why("start"))]

    def memory_figures(self):
        why = self.why("futaie", "memory")
        return [Figure(f"futaie's resident memory {when}", "–", "MB", [memory["rss"]] if memory else [], BELOW, 40, why)
                for when, memory in (self.memory() or {"after start": None}).items()]

    # What is shown

    def tables(self):
        missing = [f"not measured: {name}: {why}" for name, why in self.problems.items()]
        return [figures.Table("Figures", figures.FIGURE_HEAD, [figure.cells() for figure in self.figures], missing),
                *(comparison.table() for comparison in self.comparisons), self.memory_table(), self.scorer.table(), self.batch.table()]

    def memory_table(self):
        rows = [[when, *(figures.amount(memory[kind], "MB") for kind in ("rss", "pss", "private"))]
                for when, memory in self.memory().items() if memory]
        return figures.Table("Memory of futaie (MB of 10⁶ bytes)", ["when", "resident", "its share (Pss)", "private"], rows)

    def data(self):
        return {"options": vars(self.options), "processors": os.cpu_count(), "figures": [figure.as_json() for figure in self.figures],
                "loads": {comparison.plan.name: comparison.data() for comparison in self.comparisons}, "memory_mb": self.memory(),
                "scorer": self.scorer.data(), "predict": self.batch.data(), "train": self.training.data(), "peak": self.peak.data(), "problems": self.problems}

    def complete(self):
        return not self.problems and all(figure.values or figure.problem in filter(None, (self.scorer.skipped, self.training.skipped)) for figure in self.figures)


def parse_arguments():
    def whole(text):
        number = int(text)
        if number < 1:
            raise ValueError(text)
        return number

    parser = argparse.ArgumentParser(description="Measure speed and memory as ratios within one run.")
    parser.add_argument("--pairs", type=whole, default=15, help="loads of each server, and pairs of futaie bench (default 15)")
    parser.add_argument("--seconds", type=whole, default=2, help="length of a load, in whole seconds (default 2)")
    parser.add_argument("--starts", type=whole, default=11, help="starts that are timed (default 11)")
    parser.add_argument("--runs", type=whole, default=predict.RUNS, help=f"runs of futaie predict (default {predict.RUNS})")
    parser.add_argument("--connections", type=whole, default=16, help="connections that wrk keeps (default 16)")
    return parser.parse_args()


def too_long(_signal, _frame):
    raise AssertionError("the bench took too long")


def main():
    options = parse_arguments()
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bench = Bench(options)
    signal.alarm(bench.seconds_most())
    try:
        bench.run()
    except KeyboardInterrupt:
        progress("")
        print("interrupted", file=sys.stderr)
        return 1
    tables = bench.tables()
    print("\n".join(table.text() for table in tables))
    print("Also in {} and {}".format(*figures.write(servers.FOLDER, "bench", tables, bench.data())))
    return 0 if bench.complete() else 1


if __name__ == "__main__":
    sys.exit(main())
