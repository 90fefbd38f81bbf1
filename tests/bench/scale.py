#!/usr/bin/python3
"""scale.py - how the cost grows with rows, trees, depth, connections and threads: measured, and drawn by gnuplot

    scale.py [--seconds S] [NAME…]

Writes docs/scale/NAME.dat, the figures, and docs/scale/NAME.svg, the picture, for each name (default: all). docs/scale.md says what bends the
curves. Each measurement has an end; one that fails leaves a gap in its curve, and the exit status is 1.
"""
import argparse
import dataclasses
import itertools
import json
import operator
import os
import resource
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

import loads                            # noqa: E402
import random_trees                     # noqa: E402
import scorer                           # noqa: E402
import servers                          # noqa: E402
from lib import stack                   # noqa: E402

FOLDER = stack.ROOT / "docs" / "scale"
ROWS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
TREES, TREES_DEPTH = (10, 30, 100, 300, 1000, 3000, 10_000), 6
DEPTHS, DEPTHS_TREES = (2, 4, 6, 7, 8, 9, 10, 12, 14), 16
CONNECTIONS = (1, 3, 10, 30, 100, 300, 1000, 3000, 5000)
THREADS, ROUNDS = (1, 2, 3, 4), 3
LOAD_CONNECTIONS = 16
FEATURES = 8
PAIRS, BLOCK_ROWS = 3, 1024
IMPORT_S, DRAW_S = 60, 30
OWN_FILES = 100         # of wrk, beside its connections
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


class Scale:
    """Measures points: each a tuple, of which the first is where it stands on the x axis. None is a gap."""

    def __init__(self, seconds):
        self.seconds, self.problems = seconds, []
        self.folder = servers.folder("scale")

    def attempt(self, what, action, width):
        """The figures of one point, or as many gaps."""
        progress(what)
        try:
            return action()
        except (AssertionError, OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
            self.problems.append(f"{what}: {' '.join(str(error).split())[:300]}")
            return (None,) * width

    def body(self, rows):
        path = self.folder / f"{rows}.json"
        path.write_text(json.dumps(loads.example_body(rows)))
        return loads.Request(path)

    def rows(self):
        server = servers.Futaie()
        try:
            for rows in ROWS:
                yield rows, *self.attempt(f"{rows:,} rows a request", lambda: self.load_rows(server, rows), 3)
        finally:
            server.stop()

    def load_rows(self, server, rows):
        rate = loads.Rate(server, self.body(rows), 1, self.seconds)
        return tuple(us / rows for us in (rate.p50_us, rate.cpu_us["application"], rate.cpu_us["lighttpd"]))

    def trees(self):
        for trees in TREES:
            yield trees, *self.attempt(f"{trees:,} trees", lambda: self.score(trees, TREES_DEPTH), 4)

    def depth(self):
        for depth in DEPTHS:
            yield depth, *self.attempt(f"depth {depth}", lambda: self.score(DEPTHS_TREES, depth), 4)

    def score(self, trees, depth):
        """µs a row: XGBoost and the forest with one row a call, then with a block."""
        name = f"random-{trees}-{depth}"
        store, file = self.folder / "models", self.folder / f"{name}.ubj"
        file.write_bytes(random_trees.model(trees, depth, FEATURES))
        try:
            scorer.run([stack.FUTAIE, "models", "import", name, file, "--models", store, "--promote", "--unproven"], IMPORT_S)
            found = scorer.bench(store, name, PAIRS, "--rows", BLOCK_ROWS, "--what", "predict")
        finally:
            file.unlink()
            subprocess.run(["rm", "-rf", store / name], check=True)
        return tuple(measure[scorer_us] for measure in found["measures"] for scorer_us in ("xgboost_us", "forest_us"))

    def connections(self):
        most = allow_files()
        server = servers.Futaie()
        try:
            for count in CONNECTIONS:
                if count + OWN_FILES <= most:
                    yield count, *self.attempt(f"{count:,} connections", lambda: self.load_connections(server, count), 4)
        finally:
            server.stop()

    def load_connections(self, server, count):
        """Some are lost where the web server takes no more."""
        rate = loads.Rate(server, self.body(1), count, self.seconds, losses=True)
        return rate.a_second, rate.p50_us / 1000, rate.p99_us / 1000, sum(rate.lost.values())

    def threads(self):
        """In several rounds, there and back again: the differences are small."""
        rounds = {threads: [] for threads in THREADS}
        for number in range(ROUNDS):
            for threads in THREADS if number % 2 == 0 else reversed(THREADS):
                rounds[threads].append(self.attempt(f"{threads} threads, {number + 1} of {ROUNDS}", lambda: self.load_threads(threads), 2))
        rates = {threads: [loads.middle(found, operator.itemgetter(which)) for which in range(2)] for threads, found in rounds.items()}
        for threads, found in rates.items():
            yield threads, *(rate / one if rate and one else None for rate, one in zip(found, rates[THREADS[0]])), *found

    def load_threads(self, threads):
        """Requests a second, of one row and of many."""
        server = servers.Futaie("--threads", str(threads))
        try:
            return tuple(loads.Rate(server, self.body(rows), LOAD_CONNECTIONS, self.seconds).a_second for rows in (1, loads.MANY))
        finally:
            server.stop()


def allow_files():
    """As many open files as we may have, for wrk's connections: how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


# Pictures

@dataclasses.dataclass
class Curve:
    column: int             # of the data file, from 1
    title: str
    right: bool = False     # its axis


@dataclasses.dataclass
class Picture:
    """A data file's columns, and which of them are drawn how."""

    measure: object         # method of Scale
    title: str
    columns: tuple          # what each is, with its unit
    curves: tuple
    log: str                # axes, as gnuplot names them
    left: str               # what the axis shows
    right: str = ""

    def script(self, data, out):
        lines = [f"set terminal svg size 760,440 font 'sans-serif,13' background rgb 'white'\nset output '{out}'", f"set title \"{self.title}\"",
                 "set encoding utf8\nset datafile missing '?'\nset format '%g'\nset border 3 linecolor '#666666'\nset tics nomirror",
                 "set grid linecolor '#dddddd' linetype 1", "set key outside bottom center horizontal samplen 2", f"set logscale {self.log}" if self.log else "",
                 f"set xlabel '{self.columns[0]}' offset 0, 0.5\nset ylabel '{self.left}'", "" if "y" in self.log else "set yrange [0:*]", "" if "x" in self.log else "set xtics 1"]
        if self.right:
            lines.append(f"set border 11\nset y2tics\nset y2label '{self.right}'\nset y2range [0:*]\nset format y2 '%.0f'")
        drawn = [f"'{data}' using 1:{curve.column} axes {'x1y2' if curve.right else 'x1y1'} with linespoints pointtype 7 pointsize 0.5 "
                 f"linewidth 2 linecolor '{colour}' title '{curve.title}'" for curve, colour in zip(self.curves, itertools.cycle(COLOURS))]
        return "\n".join([*lines, "plot " + ", ".join(drawn), ""])


SCORERS = tuple(f"{scorer_name}, {rows}, µs a row" for rows in ("one row a call", f"{BLOCK_ROWS:,} rows a call") for scorer_name in ("XGBoost", "futaie"))
SCORER_CURVES = tuple(Curve(column, name.removesuffix(", µs a row")) for column, name in enumerate(SCORERS, 2))

PICTURES = {
    "rows": Picture(Scale.rows, "Rows in a request: /predict as JSON, one connection", (
        "rows of a request", "elapsed, median, µs a row", "CPU time of futaie, µs a row", "CPU time of lighttpd, µs a row"), (
        Curve(2, "elapsed"), Curve(3, "processor time of futaie"), Curve(4, "processor time of lighttpd")), "xy", "µs a row"),
    "trees": Picture(Scale.trees, f"Trees of a model, depth {TREES_DEPTH}: the scorer in process, one thread", ("trees", *SCORERS), SCORER_CURVES, "xy", "µs a row"),
    "depth": Picture(Scale.depth, f"Depth of {DEPTHS_TREES} full trees: the scorer in process, one thread", ("depth", *SCORERS), SCORER_CURVES, "y", "µs a row"),
    "connections": Picture(Scale.connections, "Connections at once: /predict, one row, kept open", (
        "connections", "requests/s", "latency, median, ms", "latency, 99th percentile, ms", "lost requests"), (
        Curve(3, "latency, median"), Curve(4, "latency, 99th percentile"), Curve(2, "requests/s (right)", right=True)), "xy", "ms", "requests/s"),
    "threads": Picture(Scale.threads, f"Threads of futaie, {os.cpu_count()} processors shared with lighttpd and wrk", (
        "threads", "one row a request, times one thread", f"{loads.MANY:,} rows a request, times one thread", "one row a request, requests/s",
        f"{loads.MANY:,} rows a request, requests/s"), (
        Curve(2, "one row a request"), Curve(3, f"{loads.MANY:,} rows a request")), "", "requests/s, times those of one thread"),
}


def write_data(path, picture, points):
    def cell(value):
        return "?" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)

    lines = [f"# {picture.title}", *(f"# {number} {column}" for number, column in enumerate(picture.columns, 1))]
    path.write_text("\n".join([*lines, *(" ".join(map(cell, point)) for point in points), ""]))


def draw(picture, data, out):
    run = subprocess.run(["gnuplot"], input=picture.script(data, out), capture_output=True, text=True, timeout=DRAW_S, check=False)
    assert run.returncode == 0, f"gnuplot ended with {run.returncode}: {run.stderr}"


def main():
    parser = argparse.ArgumentParser(description="Measure and draw how the cost grows.")
    parser.add_argument("--seconds", type=int, default=2, help="length of a load (default 2)")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; default all")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in PICTURES]
    if unknown:
        parser.error(f"there is no picture {', '.join(unknown)}; there are {', '.join(PICTURES)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    scale = Scale(options.seconds)
    for name in options.names or PICTURES:
        data, out = FOLDER / f"{name}.dat", FOLDER / f"{name}.svg"
        write_data(data, PICTURES[name], list(PICTURES[name].measure(scale)))
        draw(PICTURES[name], data, out)
        progress("")
        print(f"{os.path.relpath(out)}, {os.path.relpath(data)}", flush=True)
    for problem in scale.problems:
        print(f"not measured: {problem}", file=sys.stderr)
    return 1 if scale.problems else 0


if __name__ == "__main__":
    sys.exit(main())
