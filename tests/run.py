#!/usr/bin/python3
"""run.py - run the groups of tests and sum them up in one last line

    tests/run.py            every group that `make test` has, quick ones first
    tests/run.py GROUP…     these groups
    tests/run.py --list     what groups there are

A group is one or more programs that print TAP (the Test Anything Protocol). Their lines pass through as they come; what is not
TAP is shown as a diagnostic. In a run of all groups those that mostly wait run beside the others, and their lines come last. A program also fails its group when it exits non-zero without a `not ok`, prints no plan, runs fewer
tests than planned, takes longer than its group may, or leaves a process behind. BUILD names the build directory (default build).
Exit status: 0 when nothing failed, 1 when something did, 2 for a group that does not exist.
"""
import argparse
import ctypes
import dataclasses
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("BUILD", "build"))
FUZZ_S = int(os.environ.get("FUZZ_S") or 60)
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable

PYTEST = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider"]

GRACE_S = 5             # between asking a group to end and killing it
PR_SET_CHILD_SUBREAPER = 36

BESIDE = set()          # pids of runners that run beside this one
RUNNER = [sys.executable, "-B", __file__]

RESULT = re.compile(r"^(?P<failed>not )?ok\b(?: +\d+)?(?: +-)? *(?P<name>.*?)(?: *(?<!\\)# *SKIP\S*(?: +(?P<reason>.*))?)?$", re.IGNORECASE)
SUM = re.compile(r"^\d+ passed, \d+ failed, \d+ skipped$")
PLAN = re.compile(r"^1\.\.(?P<count>\d+)(?: *# *SKIP\S*(?: +(?P<reason>.*))?)?$", re.IGNORECASE)


@dataclasses.dataclass
class Group:
    about: str          # one line for --list
    commands: object    # function that gives the programs to run, each an argv
    timeout_s: int      # for all of its programs together
    always: bool = True  # in a run of all groups; the others are run by name, by make test-reliability for one
    beside: bool = False    # in a run of all groups: at the same time as the others; it mostly waits


def unit_programs():
    """Every unit test program that the Makefile has built."""
    return [[str(path)] for path in sorted((ROOT / BUILD / "tests").glob("test_*")) if path.is_file() and os.access(path, os.X_OK)]


def pytest_file(name):
    """One file of tests/integration, through the plugin that prints TAP."""
    return lambda: [[*PYTEST, f"tests/integration/test_{name}.py"]]


def sanitized(sanitizer, *names):
    """Files of tests/integration against a server that is built with a sanitizer."""
    return ["tests/lib/sanitized.sh", sanitizer, *names]


# Quick groups first: a broken build shows within seconds.
GROUPS = {
    "unit": Group("the C modules, one cmocka program each", unit_programs, 90),
    "harness": Group("the harness itself: a wrong count must not pass for a test", pytest_file("harness"), 60),
    "cli": Group("the command line, its help, its configuration file and its exit codes", pytest_file("cli"), 60),
    "completion": Group("completion of command lines in bash, zsh and fish, as installed", pytest_file("completion"), 90),
    "predict": Group("predictions: the same bits as XGBoost, for every objective", pytest_file("predict"), 120),
    "explain": Group("explanations: XGBoost's contributions, for every objective", pytest_file("explain"), 90),
    "inference": Group("the Open Inference Protocol, with binary tensors, and the admin socket", pytest_file("inference"), 120),
    "invocations": Group("MLflow's scoring protocol", pytest_file("invocations"), 90),
    "batch": Group("futaie predict: files and pipes of rows, in order and in constant memory", pytest_file("batch"), 240),
    "bench": Group("futaie bench: what it prints, and whom it refuses", pytest_file("bench"), 90),
    "openapi": Group("the contract: every answer of every path of /openapi.json is what it says", pytest_file("openapi"), 90),
    "models": Group("the model store as clients and operators see it", pytest_file("models"), 90),
    "versions": Group("futaie models: every action, bad files, bad stores, many commands at once", pytest_file("versions"), 300, beside=True),
    "train": Group("futaie train: what a model is worth, parameters, data that cannot be learned from", pytest_file("train"), 150),
    "keys": Group("API keys and limits: 401, 403 and 429, rotation under load, secrets that stay secret", pytest_file("keys"), 150),
    "metrics": Group("the metrics: exact counts in a format that Prometheus reads", pytest_file("metrics"), 60),
    "status": Group("the last hour: exact counts in steps", pytest_file("status"), 90),
    "feedback": Group("truths that come later: live errors, and a journal that is bounded and blocks nobody", pytest_file("feedback"), 150),
    "documents": Group("the documents: every command is run, every name exists", pytest_file("documents"), 180, beside=True),
    "http": Group("the web server in front: TLS, limits, headers, logs, error bodies", pytest_file("http"), 120),
    "badinput": Group("bad input: a 4xx with a sentence, and the next request is served", pytest_file("badinput"), 180),
    "run": Group("make run: starts, prints, stops, and leaves nothing behind", pytest_file("run"), 180, beside=True),
    "lifecycle": Group("start, stop, restart and reload under load", pytest_file("lifecycle"), 240, beside=True),
    "swap": Group("versions exchanged under load: promote, rollback, broken versions, two hundred swaps", pytest_file("swap"), 360, beside=True),
    "faults": Group("commands killed at each step, and disks that fail there: the store is never half-changed", lambda: [
        [*PYTEST, "tests/reliability/test_faults.py"]], 240, always=False),
    "sanitize": Group("bad input, loads and reloads with address, undefined-behaviour and thread sanitizers", lambda: [
        sanitized("address", "predict", "feedback", "inference", "invocations", "batch", "bench", "models", "badinput", "lifecycle", "keys"),
        sanitized("thread", "batch", "metrics", "status", "feedback", "inference", "models", "lifecycle", "keys")], 720, always=False),
    "reliability": Group("kill -9, memory that stays flat, and everything at once under sanitizers", lambda: [
        [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", f"tests/reliability/test_{name}.py"] for name in ("restart", "sanitizers")], 240, always=False),
    "fuzz": Group("made-up model files and made-up numbers: no harm, a sentence for each, and two readers agree", lambda: [
        ["tests/fuzz/fuzz.py"]], FUZZ_S + 240, always=False),
    "clients": Group("clients as their users install them: tritonclient, MLflow, requests, curl; a fuzzer and a linter of the OpenAPI document", lambda: [
        ["tests/clients/run.sh"]], 900, always=False),
    "mlflow": Group("training and pulling with real servers of MLflow 3 and 2, from PyPI", lambda: [[*PYTEST, "tests/mlflow"]], 900, always=False),
    "console": Group("the console in Chromium, behind both web servers: what it shows is what the server answers", lambda: [
        ["tests/console/console.py"]], 420, always=False),
    "lint": Group("warnings of two compilers, formatting, scripts, manual pages", lambda: [["tests/lint.sh"]], 480, always=False),
    "bare-root": Group("the README's two commands in a bare Debian 12", lambda: [["tests/deploy/bare_root.py"]], 840, always=False),
}


class Totals:
    """What all programs together have shown so far."""

    def __init__(self):
        self.passed = 0
        self.failures = []      # names
        self.skips = []         # (name, reason)

    def add(self, name, failed, reason):
        if failed:
            self.failures.append(name)
        elif reason is not None:
            self.skips.append((name, reason))
        else:
            self.passed += 1

    def __str__(self):
        return f"{self.passed} passed, {len(self.failures)} failed, {len(self.skips)} skipped"


class Program:
    """One program of a group: its lines, counted against its plan."""

    def __init__(self, argv, totals):
        self.argv = argv
        self.totals = totals
        self.planned = None
        self.ran = 0
        self.failed = 0

    def run(self, deadline):
        environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", PYTHONDONTWRITEBYTECODE="1", BUILD=str(BUILD))
        process = subprocess.Popen(self.argv, cwd=ROOT, env=environment, start_new_session=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            for line in lines_until(process, deadline):
                self.take(line)
            self.judge(process, timed_out=process.poll() is None)
        finally:
            end_process_group(process)

    def take(self, line):
        result, plan = RESULT.match(line), PLAN.match(line)
        if plan:
            self.planned = (self.planned or 0) + int(plan["count"])     # cmocka prints one plan for each of its groups
            if plan["count"] == "0":
                self.totals.add(self.name(), False, plan["reason"] or "no reason given")
        elif result:
            self.ran += 1
            self.failed += bool(result["failed"])
            name = result["name"]
            reason = result["reason"] or ("no reason given" if re.search(r"(?<!\\)# *SKIP", line, re.IGNORECASE) else None)
            self.totals.add(name or reason or "(no name)", bool(result["failed"]), reason)
        shown = line if plan or result or line.startswith(("#", "    ", "TAP version", "Bail out!")) else f"# {line}"
        print(shown, flush=True)

    def judge(self, process, timed_out):
        """Failures that the program could not print itself."""
        if timed_out:
            self.fail("took too long and was stopped")
        elif self.planned is None:
            self.fail(f"printed no plan ({how_it_ended(process.returncode)})")
        elif self.ran < self.planned:
            self.fail(f"ran {self.ran} of {self.planned} tests ({how_it_ended(process.returncode)})")
        elif self.ran > self.planned:
            self.fail(f"ran {self.ran} tests but planned {self.planned}")
        elif process.returncode != 0 and not self.failed:
            self.fail(f"{how_it_ended(process.returncode)} without a failed test")

    def fail(self, why):
        print(f"not ok - {self.name()} {why}", flush=True)
        self.totals.add(f"{self.name()} {why}", True, None)

    def name(self):
        return " ".join(self.argv).removeprefix(" ".join(PYTEST)).strip()


def lines_until(process, deadline):
    """The lines of a program as they come, until it ends or the deadline passes."""
    pipe, pending = process.stdout.fileno(), b""
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        ready, _, _ = select.select([pipe], [], [], 0 if ended else 0.2)
        if not ready:
            if ended:
                break               # something it left behind may hold the pipe open: do not wait for that
            continue
        chunk = os.read(pipe, 65536)
        if not chunk:
            wait_until(process, deadline)
            break
        *lines, pending = (pending + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in lines)
    if pending:
        yield pending.decode("utf-8", "replace")


def wait_until(process, deadline):
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        pass


def end_process_group(process):
    """Ask, then kill, all that is left of the program's process group."""
    for signal_number, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        if process.poll() is not None:
            break
        try:
            os.killpg(process.pid, signal_number)
            process.wait(patience_s)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    process.stdout.close()


def how_it_ended(status):
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def adopt_orphans():
    """Processes whose parent ends become ours, so that none that a test left behind is missed."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    """Our child processes that still run: pid → command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except (OSError, ValueError):
            continue
        if int(parent) == os.getpid() and state != "Z" and int(entry.name) not in BESIDE:
            found[int(entry.name)] = command
    return found


def end_orphans(name, totals):
    """A process that a group left behind is a failure; it ends here, and so do its own children in turn."""
    for _ in range(100):
        orphans = children()
        if not orphans:
            break
        for pid, command in orphans.items():
            why = f"{name} left a process behind: {command or pid}"
            print(f"not ok - {why}", flush=True)
            totals.add(why, True, None)
            end_orphan(pid)
    reap()


def end_orphan(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass                    # it has just ended by itself


def reap():
    """Takes note of ended processes, but for those whose end somebody waits for."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid in BESIDE:
                break
            os.waitpid(ended.si_pid, 0)
        except ChildProcessError:
            break


class Beside:
    """Groups that run at the same time as the others, in a runner of their own; their lines are kept until it has ended."""

    def __init__(self, names):
        self.argv = [*RUNNER, *names]
        self.limit_s = sum(GROUPS[name].timeout_s for name in names) + GRACE_S
        self.lines = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen(self.argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self.lines, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        BESIDE.add(self.process.pid)

    def end(self, totals):
        """Waits for it, and counts what it has printed."""
        program, last = Program(self.argv, totals), ""
        wait_until(self.process, time.monotonic() + self.limit_s)
        self.stop()
        self.lines.seek(0)
        for line in self.lines:
            last = line.rstrip("\n")
            program.take(last)
        if not SUM.match(last):
            program.fail(f"ended without a sum ({how_it_ended(self.process.returncode)})")
        elif self.process.returncode != 0 and not program.failed:
            program.fail(f"{how_it_ended(self.process.returncode)} without a failed test")

    def stop(self):
        """Its groups end as on Ctrl-C, and then it."""
        if self.process.poll() is None:
            self.process.terminate()
            wait_until(self.process, time.monotonic() + 4 * GRACE_S)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        BESIDE.discard(self.process.pid)


def run_group(name, totals):
    group, started = GROUPS[name], time.monotonic()
    print(f"# {name}: {group.about}", flush=True)
    programs = group.commands()
    if not programs:
        print(f"not ok - {name} has nothing to run", flush=True)
        totals.add(f"{name} has nothing to run", True, None)
    for argv in programs:
        Program(argv, totals).run(started + group.timeout_s)
        settle()
    end_orphans(name, totals)
    print(f"# {name}: {time.monotonic() - started:.1f} s", flush=True)


def settle():
    """Adopted processes that are about to end get a moment to do so."""
    for _ in range(20):
        if not children():
            break
        time.sleep(0.05)
        reap()


def sum_up(totals, names, started):
    for failure in totals.failures:
        print(f"# failed: {failure}")
    for name, reason in totals.skips:
        print(f"# skipped: {name}: {reason}")
    print(f"# {len(names)} groups in {time.monotonic() - started:.1f} s")
    print(totals, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Run groups of tests; the last line sums them up.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="groups to run (default: those of make test)")
    parser.add_argument("--list", action="store_true", help="print the groups and exit")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.groups if name not in GROUPS]
    if unknown:
        print(f"run.py: there is no group called {', '.join(unknown)}. The groups are:", file=sys.stderr)
        print_groups(sys.stderr)
        sys.exit(2)
    return arguments


def print_groups(file):
    for name, group in GROUPS.items():
        print(f"{name:10} {group.about}{'' if group.always else ' (by name only)'}", file=file)


def main():
    arguments = parse_arguments()
    if arguments.list:
        print_groups(sys.stdout)
        return 0
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Started by `&` in a script, SIGINT would be ignored here and in all that is started: then no Ctrl-C could be tried.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    names, totals, started = arguments.groups or [name for name, group in GROUPS.items() if group.always], Totals(), time.monotonic()
    apart = [name for name in names if GROUPS[name].beside] if not arguments.groups and os.cpu_count() > 1 else []
    beside = Beside(apart) if apart else None
    try:
        for name in names:
            if name not in apart:
                run_group(name, totals)
        if beside:
            beside.end(totals)
    except KeyboardInterrupt:
        end_orphans("the interrupted group", totals)
        totals.add("interrupted", True, None)
        if beside:
            beside.stop()
    sum_up(totals, names, started)
    return 1 if totals.failures or totals.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
