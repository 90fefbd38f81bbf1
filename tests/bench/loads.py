#!/usr/bin/python3
"""loads.py - requests a second: futaie behind lighttpd against other servers with the same model

    loads.py [--pairs N] [--seconds S] [--connections N] [PLAN...]

Part of bench.py, and a program of its own for some of the plans: "one row", "many rows", "a tensor". The servers of a comparison all run, and are loaded by wrk one after the other, again and again in alternating order; the
median of the ratios within a round is what counts.
"""
import argparse
import dataclasses
import json
import os
import random
import statistics
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

import figures                          # noqa: E402
import processes                        # noqa: E402
import servers                          # noqa: E402
from figures import Figure              # noqa: E402
from lib import models, stack           # noqa: E402

WARM_UP_S = 1
SLACK_S = 15            # of one load, over its length
QUIET = 0.1             # share of the processors that other programs may take in a pair that is called quiet
SAME_BITS = 1e-7        # Flask prints the float32 as a float64, futaie as its shortest decimal
MANY = 1000


@dataclasses.dataclass
class Request:
    """What is posted again and again: a file with the body, where to, and how much of it is JSON where binary tensors stand behind that."""

    body_file: Path
    target: str = "/predict"
    json_length: int = None


@dataclasses.dataclass
class Plan:
    """Which servers get which rows, and what futaie's requests a second should be of those of the others: label, words, target. Each server
    gets JSON, unless `loads` says what is compared: label, label of the server, "json" or "tensor"."""

    name: str
    what: str
    rows: int
    kinds: tuple            # in the order in which they are loaded: futaie among those that it is compared with
    against: tuple
    loads: tuple = ()

    def __post_init__(self):
        self.loads = self.loads or tuple((kind.label, kind.label, "json") for kind in self.kinds)


PLANS = (
    Plan("one row", "/predict, one row, plain HTTP through lighttpd", 1, (servers.Flask, servers.Gunicorn, servers.Futaie, servers.Constant), (
        ("flask", "Flask's own server, same model", 28),
        ("gunicorn", f"gunicorn with {servers.WORKERS} workers, same model", 7),
        ("constant", "a FastCGI responder in C that answers a constant", 0.95))),
    Plan("many rows", f"/predict, {MANY:,} rows of JSON through lighttpd", MANY, (servers.Naive, servers.Futaie), (
        ("naive", "a naive responder in C: cJSON, XGBoost's C API", 4),)),
    Plan("a tensor", f"/v2/…/infer, {MANY:,} rows in a binary tensor through lighttpd", MANY, (servers.Futaie, servers.ConstantTensor), (
        ("futaie, JSON", "/predict, the same rows in JSON", 2),
        ("constant", "a FastCGI responder in C that reads them and answers a constant", 0.5)), (
        ("futaie, JSON", "futaie", "json"), ("futaie", "futaie", "tensor"), ("constant", "constant", "tensor"))),
)


def example_body(count):
    """The example row, or the golden rows in an order that does not repeat."""
    if count == 1:
        return servers.BODY
    _, *rows = (models.DATA / "golden_rows.csv").read_text().splitlines()
    return {"features": [[float(cell) if cell else None for cell in row.split(",")] for row in random.Random(7).choices(rows, k=count)]}


def json_request(body):
    path = servers.FOLDER / f"{len(body['features'])}.json"
    path.write_text(json.dumps(body))
    return Request(path)


def tensor_request(body):
    """The same rows as one binary tensor, and the answer wanted so, too."""
    rows = body["features"]
    numbers = [float("nan") if number is None else number for row in rows for number in row]
    data = struct.pack(f"<{len(numbers)}f", *numbers)
    described = {"name": "input__0", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "parameters": {"binary_data_size": len(data)}}
    text = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode()
    path = servers.FOLDER / f"{len(rows)}.tensor"
    path.write_bytes(text + data)
    return Request(path, servers.INFER, len(text))


class Rate:
    """One load of one server: requests a second, latency, and processor time a request of everybody who took part. With `losses` some of the
    requests may fail."""

    def __init__(self, server, request, connections, seconds, losses=False):
        pids = server.pids()
        before = {name: cpu_us(pids[name]) for name in pids}
        children_before, machine_before = processes.children_cpu_us(), processes.machine_us()
        wrk = run_wrk(server.port, request, connections, seconds)
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


def run_wrk(port, request, connections, seconds):
    words = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "10s",
             "--script", str(servers.HERE / "post.lua"), f"http://127.0.0.1:{port}"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=seconds + SLACK_S, check=False,
                           env={**os.environ, "BODY": str(request.body_file), "TARGET": request.target, "JSON_LENGTH": str(request.json_length or "")},
                           preexec_fn=stack.die_with_parent)
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
        self.requests = {}

    def seconds(self):
        """How long it takes, about."""
        return len(self.plan.loads) * (self.options.pairs * (self.options.seconds + 1) + WARM_UP_S)

    def run(self):
        servers.FOLDER.mkdir(parents=True, exist_ok=True)
        self.requests = {"json": json_request(self.body), "tensor": tensor_request(self.body)}
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
        self.rates = self.attempt(self.plan.name, lambda: self.alternate(running)) or {}
        self.memory[f"after the loads, {self.plan.name} a request"] = self.attempt(
            "memory", lambda: processes.memory_mb(*futaie.pids()["application"]))

    def compare_answers(self, running):
        ours = servers.predictions(running["futaie"].port, self.body)
        for label, server in running.items():
            theirs = ours if label.startswith("constant") else servers.predictions(server.port, self.body)
            assert len(ours) == len(theirs) == self.plan.rows, f"futaie has {len(ours)} predictions for {self.plan.rows} rows, {label} {len(theirs)}"
            wrong = [(one, other) for one, other in zip(ours, theirs) if abs(one - other) > SAME_BITS * abs(other)]
            assert not wrong, f"futaie predicts {wrong[0][0]}, {label} {wrong[0][1]}"
        inferred = servers.inferred(running["futaie"].port, self.requests["tensor"])
        assert inferred == [struct.unpack("<f", struct.pack("<f", number))[0] for number in ours], "a tensor is not predicted as JSON is"

    def alternate(self, running):
        """Carries out every load in turn, there and back again, so that what comes soon after each other is compared: label → rates."""
        options = self.options
        loads = [(label, running[server], self.requests[form]) for label, server, form in self.plan.loads if server in running]
        rates = {label: [] for label, _, _ in loads}
        for label, server, request in loads:
            self.progress(f"warming up: {label}")
            Rate(server, request, options.connections, WARM_UP_S)
        for number in range(options.pairs):
            for label, server, request in loads if number % 2 == 0 else reversed(loads):
                self.progress(f"{self.plan.name}, {number + 1} of {options.pairs}: {label}")
                rates[label].append(Rate(server, request, options.connections, options.seconds))
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
        title = self.plan.what.split(", ", 1)[1]
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


def main():
    parser = argparse.ArgumentParser(description="Measure requests a second as ratios within one run.")
    parser.add_argument("plans", nargs="*", metavar="PLAN", choices=[[], *(plan.name for plan in PLANS)], help="which (default all)")
    parser.add_argument("--pairs", type=int, default=5, help="loads of each server (default 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a load, in whole seconds (default 2)")
    parser.add_argument("--connections", type=int, default=16, help="connections that wrk keeps (default 16)")
    options = parser.parse_args()
    for plan in PLANS:
        if not options.plans or plan.name in options.plans:
            comparison = Comparison(plan, options, lambda what, action: action(), lambda text: None)
            comparison.run()
            head = figures.Table("Figures", figures.FIGURE_HEAD, [figure.cells() for figure in comparison.figures(lambda *names: "")])
            print("\n".join(table.text() for table in (head, comparison.table())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
