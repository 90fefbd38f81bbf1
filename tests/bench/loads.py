"""loads.py - requests a second: futaie behind lighttpd against other servers with the same model

Part of bench.py. The servers of a comparison all run, and are loaded by wrk one after the other, again and again in alternating order; the
median of the ratios within a round is what counts.
"""
import dataclasses
import json
import os
import random
import statistics
import subprocess

import figures
import processes
import servers
from figures import Figure
from lib import models, stack

WARM_UP_S = 1
SLACK_S = 15            # of one load, over its length
QUIET = 0.1             # share of the processors that other programs may take in a pair that is called quiet
SAME_BITS = 1e-7        # Flask prints the float32 as a float64, futaie as its shortest decimal
MANY = 1000


@dataclasses.dataclass
class Plan:
    """Which servers get which rows, and what futaie's requests a second should be of those of the others: label, words, target."""

    name: str
    what: str
    rows: int
    kinds: tuple            # in the order in which they are loaded: futaie among those that it is compared with
    against: tuple


PLANS = (
    Plan("one row", "/predict, one row, plain HTTP through lighttpd", 1, (servers.Flask, servers.Gunicorn, servers.Futaie, servers.Constant), (
        ("flask", "Flask's own server, same model", 28),
        ("gunicorn", f"gunicorn with {servers.WORKERS} workers, same model", 7),
        ("constant", "a FastCGI responder in C that answers a constant", 0.95))),
    Plan("many rows", f"/predict, {MANY:,} rows of JSON through lighttpd", MANY, (servers.Naive, servers.Futaie), (
        ("naive", "a naive responder in C: cJSON, XGBoost's C API", 4),)),
)


def example_body(count):
    """The example row, or the golden rows in an order that does not repeat."""
    if count == 1:
        return servers.BODY
    _, *rows = (models.DATA / "golden_rows.csv").read_text().splitlines()
    return {"features": [[float(cell) if cell else None for cell in row.split(",")] for row in random.Random(7).choices(rows, k=count)]}


class Rate:
    """One load of one server: requests a second, latency, and processor time a request of everybody who took part. With `losses` some of the
    requests may fail."""

    def __init__(self, server, body_file, connections, seconds, losses=False):
        pids = server.pids()
        before = {name: cpu_us(pids[name]) for name in pids}
        children_before, machine_before = processes.children_cpu_us(), processes.machine_us()
        wrk = run_wrk(server.port, body_file, connections, seconds)
        self.lost = {name: wrk[name] for name in ("status", "connect", "read", "write", "timeout") if wrk[name]}
        assert wrk["requests"] and (losses or not self.lost), f"of {wrk['requests']} requests, some failed: {self.lost}"
        machine_us = processes.machine_us() - machine_before
        self.wrk_us = (processes.children_cpu_us() - children_before) / wrk["requests"]
        self.cpu_us = {name: (cpu_us(pids[name]) - before[name]) / wrk["requests"] for name in pids}
        self.a_second = wrk["requests"] * 1_000_000 / wrk["duration_us"]
        self.p50_us, self.p99_us = wrk["p50_us"], wrk["p99_us"]
        ours_us = (self.wrk_us + sum(self.cpu_us.values())) * wrk["requests"]
        self.others = max(0.0, (machine_us - ours_us) / (wrk["duration_us"] * os.cpu_count()))     # share of all processors


def cpu_us(pids):
    return sum(processes.cpu_us(pid) for pid in pids)


def run_wrk(port, body_file, connections, seconds):
    words = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "10s",
             "--script", str(servers.HERE / "post.lua"), f"http://127.0.0.1:{port}"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=seconds + SLACK_S, check=False,
                           env={**os.environ, "BODY": str(body_file)}, preexec_fn=stack.die_with_parent)
    assert ended.returncode == 0, f"wrk ended with {ended.returncode}: {ended.stdout}{ended.stderr}"
    return json.loads(ended.stdout.splitlines()[-1])


def middle(rates, pick):
    """The median of what `pick` takes from each, or None where there is no such thing."""
    values = [pick(rate) for rate in rates]
    return None if None in values else statistics.median(values)


class Comparison:
    """One plan, carried out. `attempt(what, action)` is the result of the action, or None and a remark by that name."""

    def __init__(self, plan, options, attempt, progress):
        self.plan, self.options, self.attempt, self.progress = plan, options, attempt, progress
        self.rates, self.memory = {}, {}
        self.body = example_body(plan.rows)
        self.body_file = servers.FOLDER / f"{plan.rows}.json"

    def seconds(self):
        """How long it takes, about."""
        return len(self.plan.kinds) * (self.options.pairs * (self.options.seconds + 1) + WARM_UP_S)

    def run(self):
        self.body_file.parent.mkdir(parents=True, exist_ok=True)
        self.body_file.write_text(json.dumps(self.body))
        running = {}
        try:
            for kind in self.plan.kinds:
                self.progress(f"starting {kind.label}")
                server = self.attempt(kind.label, kind)
                if server is not None:
                    running[kind.label] = server
            if "futaie" in running:
                self.load(running)
        finally:
            for server in running.values():
                self.progress(f"stopping {server.label}")
                self.attempt(server.label, server.stop)

    def load(self, running):
        futaie = running["futaie"]
        self.memory["after start"] = self.attempt("memory", lambda: processes.memory_mb(*futaie.pids()["application"]))
        self.attempt(self.plan.name, lambda: self.compare_answers(running))
        self.rates = self.attempt(self.plan.name, lambda: self.alternate(list(running.values()))) or {}
        self.memory[f"after the loads, {self.plan.name} a request"] = self.attempt(
            "memory", lambda: processes.memory_mb(*futaie.pids()["application"]))

    def compare_answers(self, running):
        ours = servers.predictions(running["futaie"].port, self.body)
        for label, server in running.items():
            theirs = ours if label == "constant" else servers.predictions(server.port, self.body)
            assert len(ours) == len(theirs) == self.plan.rows, f"futaie has {len(ours)} predictions for {self.plan.rows} rows, {label} {len(theirs)}"
            wrong = [(one, other) for one, other in zip(ours, theirs) if abs(one - other) > SAME_BITS * abs(other)]
            assert not wrong, f"futaie predicts {wrong[0][0]}, {label} {wrong[0][1]}"

    def alternate(self, running):
        """Loads every server in turn, there and back again, so that what comes soon after each other is compared: label → rates."""
        options, rates = self.options, {server.label: [] for server in running}
        for server in running:
            self.progress(f"warming up: {server.label}")
            Rate(server, self.body_file, options.connections, WARM_UP_S)
        for number in range(options.pairs):
            for server in running if number % 2 == 0 else reversed(running):
                self.progress(f"{self.plan.name}, {number + 1} of {options.pairs}: {server.label}")
                rates[server.label].append(Rate(server, self.body_file, options.connections, options.seconds))
        return rates

    # What is shown

    def ratios(self, label, others_most=1.0):
        """Of the pairs in which other programs took at most this share of the processors."""
        pairs = zip(self.rates.get("futaie", []), self.rates.get(label, []))
        return [one.a_second / other.a_second for one, other in pairs if max(one.others, other.others) <= others_most]

    def figures(self, why):
        found = []
        for label, against, target in self.plan.against:
            every, quiet = self.ratios(label), self.ratios(label, QUIET)
            found.append(Figure(self.plan.what, against, "×", every, target=target, problem=why("futaie", label, self.plan.name)))
            if 0 < len(quiet) < len(every):
                found.append(Figure(f"  only the {len(quiet)} pairs in which others took little", "the same", "×", quiet))
        return found

    def table(self):
        head = ["server", "requests/s", "p50", "p99", "CPU of the application", "of lighttpd", "of wrk", "others' share"]
        columns = [(lambda rate: rate.a_second, ""), (lambda rate: rate.p50_us / 1000, "ms"), (lambda rate: rate.p99_us / 1000, "ms"),
                   (lambda rate: rate.cpu_us["application"], "µs"), (lambda rate: rate.cpu_us.get("lighttpd"), "µs"),
                   (lambda rate: rate.wrk_us, "µs"), (lambda rate: 100 * rate.others, "%")]
        rows = [[label, *(figures.amount(middle(rates, pick), unit) for pick, unit in columns)] for label, rates in self.rates.items()]
        options = self.options
        title = self.plan.what.removeprefix("/predict, ")
        return figures.Table(f"{title[0].upper()}{title[1:]}: medians; CPU time is per request", head, rows, [
            f"{options.connections} connections of wrk, {options.seconds} s a load, {options.pairs} loads of each server, in alternating order.",
            *self.notes()])

    def notes(self):
        shared = [f"wrk and the servers share {os.cpu_count()} processors; the others' share is what other programs took of them."]
        if self.plan.rows > 1:
            return shared
        return [*shared, f"Beyond {100 * QUIET:.0f} % it is futaie, which can use all of them, that loses, more than Flask's server, which mostly uses one.",
                "Flask's own server and gunicorn close each connection after its answer, so that each of their requests opens one; lighttpd keeps them.",
                "futaie and lighttpd log as shipped, a line a request each."]

    def data(self):
        return {label: [vars(rate) for rate in rates] for label, rates in self.rates.items()}
