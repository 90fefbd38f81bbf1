#!/usr/bin/python3
"""bench.py - speed and memory, as ratios within one run

    bench.py [--pairs N] [--seconds S] [--starts N] [--connections N] [--runs N]

Every ratio is of two rates that were measured one after the other, again and again in alternating order; the median of the pairs'
ratios is what counts, so that a machine that is slower for a while slows both. Prints a table, and writes it as bench.md and bench.json under
$BUILD/bench. A target that is missed is shown, not a failure: the exit status is 1 only when something could not be measured.
"""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

import figures                          # noqa: E402
import predict                          # noqa: E402
import processes                        # noqa: E402
import servers                          # noqa: E402
import train                            # noqa: E402
from figures import BELOW, Figure       # noqa: E402
from lib import fcgi, stack             # noqa: E402

WARM_UP_S = 1
SLACK_S = 15            # of one load, over its length
FIXED_S = 60            # of the whole, over its loads
TRAIN_S = 10            # of one training
START_S = 10
PREDICT_S = 60          # of a file of rows by futaie and by Python
QUIET = 0.1             # share of the processors that other programs may take in a pair that is called quiet
COMPARED = [("flask", "Flask's own server, same model", 15), ("constant", "a FastCGI responder in C that answers a constant", None)]
SAME_BITS = 1e-7        # Flask prints the float32 as a float64, futaie as its shortest decimal


def progress(text):
    """One line that is overwritten, where somebody looks."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


# Loads

class Rate:
    """One load of one server: requests a second, latency, and processor time a request of everybody who took part."""

    def __init__(self, server, options, seconds):
        pids = server.pids()
        before = {name: processes.cpu_us(pid) for name, pid in pids.items()}
        children_before, machine_before = processes.children_cpu_us(), processes.machine_us()
        wrk = run_wrk(server.port, options.connections, seconds)
        machine_us = processes.machine_us() - machine_before
        self.wrk_us = (processes.children_cpu_us() - children_before) / wrk["requests"]
        self.cpu_us = {name: (processes.cpu_us(pid) - before[name]) / wrk["requests"] for name, pid in pids.items()}
        self.a_second = wrk["requests"] * 1_000_000 / wrk["duration_us"]
        self.p50_us, self.p99_us = wrk["p50_us"], wrk["p99_us"]
        ours_us = (self.wrk_us + sum(self.cpu_us.values())) * wrk["requests"]
        self.others = max(0.0, (machine_us - ours_us) / (wrk["duration_us"] * os.cpu_count()))     # share of all processors


def run_wrk(port, connections, seconds):
    words = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "10s",
             "--script", str(servers.HERE / "post.lua"), f"http://127.0.0.1:{port}"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=seconds + SLACK_S, check=False,
                           preexec_fn=stack.die_with_parent)
    assert ended.returncode == 0, f"wrk ended with {ended.returncode}: {ended.stdout}{ended.stderr}"
    result = json.loads(ended.stdout.splitlines()[-1])
    errors = {name: result[name] for name in ("status", "connect", "read", "write", "timeout") if result[name]}
    assert not errors and result["requests"], f"of {result['requests']} requests, some failed: {errors}"
    return result


def alternate(running, options):
    """Loads every server in turn, there and back again, so that neighbours are compared: label → rates."""
    rates = {server.label: [] for server in running}
    for server in running:
        progress(f"warming up: {server.label}")
        Rate(server, options, WARM_UP_S)
    for number in range(options.pairs):
        for server in running if number % 2 == 0 else reversed(running):
            progress(f"{number + 1} of {options.pairs}: {server.label}")
            rates[server.label].append(Rate(server, options, options.seconds))
    return rates


def ratios(rates, ours, theirs, others_most=1.0):
    """Of the pairs in which other programs took at most this share of the processors."""
    return [one.a_second / other.a_second for one, other in zip(rates[ours], rates[theirs]) if max(one.others, other.others) <= others_most]


def middle(rates, pick):
    """The median of what `pick` takes from each, or None where there is no such thing."""
    values = [pick(rate) for rate in rates]
    return None if None in values else statistics.median(values)


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
        self.rates, self.memory, self.problems = {}, {}, {}
        self.figures = []
        self.batch = predict.Bench(runs=options.runs, progress=progress)
        self.training = train.Bench(progress=progress)

    def run(self):
        servers.FOLDER.mkdir(parents=True, exist_ok=True)
        running = self.start_servers()
        try:
            self.measure_loads(running)
        finally:
            for server in running:
                progress(f"stopping {server.label}")
                self.attempt(server.label, server.stop)
        self.figures += self.speed_figures() + self.start_figures() + self.memory_figures()
        self.attempt("predict", self.batch.run)
        self.figures += self.batch.figures(self.why("predict"))
        self.attempt("train", self.training.run)
        self.figures += self.training.figures(self.why("train"))
        progress("")

    def attempt(self, what, action):
        """The result of `action`, or None and a remark: one thing that cannot be measured does not stop the others."""
        try:
            return action()
        except (AssertionError, OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
            self.problems.setdefault(what, re.sub(r"\s+", " ", f"{error}")[:300] or type(error).__name__)
            return None

    def start_servers(self):
        """Flask, futaie, constant: futaie stands between the two that it is compared with."""
        running = []
        for kind in (servers.Flask, servers.Futaie, servers.Constant):
            progress(f"starting {kind.label}")
            server = self.attempt(kind.label, kind)
            if server is not None:
                running.append(server)
        return running

    def measure_loads(self, running):
        started = {server.label: server for server in running}
        futaie = started.get("futaie")
        if futaie is None:
            return
        self.memory["after start"] = self.attempt("memory", lambda: processes.memory_mb(futaie.pids()["application"]))
        self.attempt("loads", lambda: self.compare_answers(started))
        self.rates = self.attempt("loads", lambda: alternate(running, self.options)) or {}
        self.memory["after the loads"] = self.attempt("memory", lambda: processes.memory_mb(futaie.pids()["application"]))

    def compare_answers(self, started):
        if "flask" in started:
            ours, theirs = servers.prediction(started["futaie"].port), servers.prediction(started["flask"].port)
            assert abs(ours - theirs) <= SAME_BITS * abs(theirs), f"futaie predicts {ours}, Flask's server {theirs}"

    def why(self, *names):
        return "; ".join(self.problems[name] for name in names if name in self.problems) or "the load before it failed"

    def speed_figures(self):
        found = []
        for label, against, target in COMPARED:
            known = "futaie" in self.rates and label in self.rates
            every = ratios(self.rates, "futaie", label) if known else []
            quiet = ratios(self.rates, "futaie", label, QUIET) if known else []
            found.append(Figure("/predict, one row, plain HTTP through lighttpd", against, "×", every, target=target,
                                problem=self.why("futaie", label, "loads")))
            if 0 < len(quiet) < len(every):
                found.append(Figure(f"  only the {len(quiet)} pairs in which others took little", "the same", "×", quiet))
        return found

    def start_figures(self):
        taken = self.attempt("start", lambda: measure_starts(self.options)) or []
        return [Figure("ready after exec, default model", "–", "ms", taken, BELOW, 200, self.why("start"))]

    def memory_figures(self):
        why = self.why("futaie", "memory")
        return [Figure(f"futaie's resident memory {when}", "–", "MB", [memory["rss"]] if memory else [], BELOW, 40, why)
                for when, memory in (self.memory or {"after start": None}).items()]

    # What is shown

    def tables(self):
        missing = [f"not measured: {name}: {why}" for name, why in self.problems.items()]
        return [figures.Table("Figures", figures.FIGURE_HEAD, [figure.cells() for figure in self.figures], missing),
                self.rates_table(), self.memory_table(), self.batch.table()]

    def rates_table(self):
        head = ["server", "requests/s", "p50", "p99", "CPU of the application", "of lighttpd", "of wrk", "others' share"]
        columns = [(lambda rate: rate.a_second, ""), (lambda rate: rate.p50_us / 1000, "ms"), (lambda rate: rate.p99_us / 1000, "ms"),
                   (lambda rate: rate.cpu_us["application"], "µs"), (lambda rate: rate.cpu_us.get("lighttpd"), "µs"),
                   (lambda rate: rate.wrk_us, "µs"), (lambda rate: 100 * rate.others, "%")]
        rows = [[label, *(figures.amount(middle(rates, pick), unit) for pick, unit in columns)] for label, rates in self.rates.items()]
        options = self.options
        return figures.Table("One row a request: medians; CPU time is per request", head, rows, [
            f"{options.connections} connections of wrk, {options.seconds} s a load, {options.pairs} loads of each server, in alternating order.",
            f"wrk and the servers share {os.cpu_count()} processors. What other programs took of them is the others' share: beyond {100 * QUIET:.0f} % it is",
            "futaie, which can use all of them, that loses, more than Flask's server, which mostly uses one.",
            "Flask's own server closes each connection after its answer, so that each of its requests opens one; lighttpd keeps them.",
            "futaie and lighttpd log as shipped, a line a request each."])

    def memory_table(self):
        rows = [[when, *(figures.amount(memory[kind], "MB") for kind in ("rss", "pss", "private"))]
                for when, memory in self.memory.items() if memory]
        return figures.Table("Memory of futaie (MB of 10⁶ bytes)", ["when", "resident", "its share (Pss)", "private"], rows)

    def data(self):
        return {"options": vars(self.options), "processors": os.cpu_count(), "figures": [figure.as_json() for figure in self.figures],
                "rates": {label: [vars(rate) for rate in rates] for label, rates in self.rates.items()}, "memory_mb": self.memory, "predict": self.batch.data(),
                "train": self.training.data(), "problems": self.problems}

    def complete(self):
        return not self.problems and all(figure.values or figure.problem == self.training.skipped for figure in self.figures)


def parse_arguments():
    def whole(text):
        number = int(text)
        if number < 1:
            raise ValueError(text)
        return number

    parser = argparse.ArgumentParser(description="Measure speed and memory as ratios within one run.")
    parser.add_argument("--pairs", type=whole, default=5, help="loads of each server (default 5)")
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
    signal.alarm(FIXED_S + 3 * (options.pairs * (options.seconds + 1) + WARM_UP_S) + options.runs * PREDICT_S + 2 * train.RUNS * TRAIN_S)
    bench = Bench(options)
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
