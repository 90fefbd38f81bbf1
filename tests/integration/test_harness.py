"""test_harness.py - the harness itself: the runner on programs that print what a test might, and the readers on what they must refuse

A runner that counts wrongly makes every other test worthless, so it is tried on each way in which a program can lie to it.
"""
import subprocess
import sys
import textwrap

import pytest

from lib import bits, fcgi, prometheus, stack


def run(*programs, timeout_s=10):
    """The last line and the status of tests/run.py with these programs (shell) as its only group, and all that it printed."""
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, "tests")
        import run
        run.GRACE_S = 0.5
        run.GROUPS = {{"tried": run.Group("tried", lambda: [["sh", "-c", line] for line in {list(programs)!r}], {timeout_s})}}
        sys.argv = ["run.py"]
        sys.exit(run.main())
    """)
    done = subprocess.run([sys.executable, "-B", "-c", script], cwd=stack.ROOT, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.splitlines()[-1], done.returncode, done.stdout


CASES = {
    "all is well": ("echo 1..2; echo ok 1 - a; echo ok 2 - b", "2 passed, 0 failed, 0 skipped", 0),
    "one failed": ("echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1", "1 passed, 1 failed, 0 skipped", 1),
    "one skipped": ("echo 1..2; echo ok 1 - a; echo 'ok 2 - b # SKIP no c'", "1 passed, 0 failed, 1 skipped", 0),
    "all skipped": ("echo '1..0 # SKIP no c'", "0 passed, 0 failed, 1 skipped", 1),
    "no plan": ("echo ok 1 - a", "1 passed, 1 failed, 0 skipped", 1),
    "nothing at all": ("true", "0 passed, 1 failed, 0 skipped", 1),
    "fewer than planned": ("echo 1..3; echo ok 1 - a", "1 passed, 1 failed, 0 skipped", 1),
    "more than planned": ("echo 1..1; echo ok 1 - a; echo ok 2 - b", "2 passed, 1 failed, 0 skipped", 1),
    "non-zero without a failed test": ("echo 1..1; echo ok 1 - a; exit 3", "1 passed, 1 failed, 0 skipped", 1),
    "a crash": ("echo 1..2; echo ok 1 - a; kill -SEGV $$", "1 passed, 1 failed, 0 skipped", 1),
    "a last line without its end": ("echo 1..1; printf 'ok 1 - a'", "1 passed, 0 failed, 0 skipped", 0),
    "several plans": ("echo 1..1; echo ok 1 - a; echo 1..1; echo ok 1 - b", "2 passed, 0 failed, 0 skipped", 0),
    "not a program": ("exec /nonexistent", "0 passed, 1 failed, 0 skipped", 1),
}


@pytest.mark.parametrize("program, last, status", CASES.values(), ids=CASES.keys())
def test_counting(program, last, status):
    """The runner counts what a program printed, and what it should have"""
    assert run(program)[:2] == (last, status)


def test_several_programs():
    """The programs of a group are summed up"""
    assert run("echo 1..1; echo ok 1 - a", "echo 1..1; echo not ok 1 - b")[:2] == ("1 passed, 1 failed, 0 skipped", 1)


def test_lines_pass_through():
    """TAP lines and diagnostics pass through, other lines become diagnostics"""
    output = run("echo 1..1; echo not ok 1 - a; echo '# because'; echo stray >&2; exit 1")[2].splitlines()
    assert [line for line in output if line in ("not ok 1 - a", "# because", "# stray")] == ["not ok 1 - a", "# because", "# stray"], output


def test_skips_are_listed():
    """Skips are listed with their reasons before the last line"""
    output = run("echo 1..2; echo ok 1 - a; echo 'ok 2 - b # SKIP no c'")[2].splitlines()
    assert "# skipped: b: no c" in output[-4:], output


@pytest.mark.parametrize("program", ["echo 1..1; sleep 60", "echo 1..1; trap '' TERM; while :; do sleep 1; done"], ids=["that sleeps", "that ignores SIGTERM"])
def test_timeout(program):
    """A program that takes too long is stopped and fails"""
    last, status, output = run(program, timeout_s=1)
    assert (last, status) == ("0 passed, 1 failed, 0 skipped", 1), output


def test_left_behind():
    """A process that a program leaves behind is a failure and is ended"""
    last, status, output = run("echo 1..1; echo ok 1 - a; setsid sleep 4321 >/dev/null 2>&1 &")
    assert (last, status) == ("1 passed, 1 failed, 0 skipped", 1), output
    assert "left a process behind: sleep 4321" in output, output


def run_beside(one, other):
    """The last line, the status and all output of a run of two groups, the second of them beside the first; each is a program (shell)."""
    groups = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, "tests")
        import run
        run.GRACE_S = 0.5
        run.GROUPS = {{"one": run.Group("one", lambda: [["sh", "-c", {one!r}]], 10), "other": run.Group("other", lambda: [["sh", "-c", {other!r}]], 2, beside=True)}}
        """)
    script = f"""{groups}
run.RUNNER = [sys.executable, "-B", "-c", {groups + "sys.exit(run.main())"!r}]
run.os.cpu_count = lambda: 2
sys.argv = ["run.py"]
sys.exit(run.main())
"""
    done = subprocess.run([sys.executable, "-B", "-c", script], cwd=stack.ROOT, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.splitlines()[-1], done.returncode, done.stdout


def test_beside(tmp_path):
    """Groups that run beside the others are counted with them, and their lines are not mixed"""
    meet = f"touch {tmp_path}/$0; for i in $(seq 50); do [ -e {tmp_path}/$1 ] && break; sleep 0.1; done; [ -e {tmp_path}/$1 ] && echo 1..1 && echo ok 1 - $0"
    last, status, output = run_beside(meet.replace("$0", "a").replace("$1", "b"), meet.replace("$0", "b").replace("$1", "a"))
    assert (last, status) == ("2 passed, 0 failed, 0 skipped", 0), output
    assert output.index("ok 1 - a") < output.index("# one:", 10) < output.index("ok 1 - b"), output


@pytest.mark.parametrize("other, last", [("echo 1..2; echo ok 1 - b; echo not ok 2 - c; exit 1", "2 passed, 1 failed, 0 skipped"),
                                         ("echo 1..1; echo ok 1 - b; kill -SEGV $$", "2 passed, 1 failed, 0 skipped"),
                                         ("echo 1..1; setsid sleep 4322 & echo ok 1 - b", "2 passed, 1 failed, 0 skipped"),
                                         ("echo 1..1; sleep 60", "1 passed, 1 failed, 0 skipped")], ids=["a test", "a program", "left behind", "too long"])
def test_failure_beside(other, last):
    """A failure in a group that runs beside the others is one of the whole"""
    got, status, output = run_beside("echo 1..1; echo ok 1 - a", other)
    assert (got, status) == (last, 1), output


def test_unknown_group():
    """An unknown group ends with 2 and the list of groups"""
    done = subprocess.run([stack.ROOT / "tests" / "run.py", "nope"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "nope" in done.stderr and "predict" in done.stderr, done


# The reader of metrics

GOOD = """# HELP a_total What it counts.
# TYPE a_total counter
a_total{x="1",y="q\\"\\\\\\n"} 3
a_total 4
# HELP h_seconds How long.
# TYPE h_seconds histogram
h_seconds_bucket{le="0.1"} 1
h_seconds_bucket{le="+Inf"} 2
h_seconds_sum 7.5
h_seconds_count 2
"""


def test_metrics_are_read():
    """The reader of metrics reads counters, labels with escapes and histograms"""
    samples = prometheus.parse(GOOD)
    assert prometheus.get(samples, "a_total", x="1", y='q"\\\n') == 3
    assert prometheus.total(samples, "a_total") == 7
    assert prometheus.get(samples, "h_seconds_count") == 2


MALFORMED = {
    "no HELP": ("# HELP a_total What it counts.\n", ""), "no TYPE": ("# TYPE a_total counter\n", ""), "TYPE twice": ("# TYPE a", "# TYPE a_total counter\n# TYPE a"),
    "a series twice": ("a_total 4", "a_total 4\na_total 5"), "a bad number": ("a_total 4", "a_total four"), "a bad label": ('x="1"', 'x=1'),
    "a label twice": ('x="1"', 'x="1",x="2"'), "a bad escape": ("\\n", "\\t"), "a quote too few": ('"} 3', "} 3"), "a negative counter": ("a_total 4", "a_total -4"),
    "a counter without _total": ("a_total", "a"), "two places": ("h_seconds_count 2", "h_seconds_count 2\na_total{z=\"1\"} 1"),
    "buckets that go down": ('{le="0.1"} 1', '{le="0.1"} 3'), "no +Inf": ('h_seconds_bucket{le="+Inf"} 2\n', ""), "another count": ("count 2", "count 3"),
    "no sum": ("h_seconds_sum 7.5\n", ""), "no last line end": ("h_seconds_count 2\n", "h_seconds_count 2"), "an unknown type": ("counter", "number"),
    "a blank too many": ("a_total 4", "a_total  4"), "buckets out of order": ('h_seconds_bucket{le="+Inf"}', 'h_seconds_bucket{le="0.01"} 1\nh_seconds_bucket{le="+Inf"}'),
}


@pytest.mark.parametrize("part, replacement", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_metrics(part, replacement):
    """The reader of metrics refuses what a scraper could misread"""
    text = GOOD.replace(part, replacement)
    assert text != GOOD
    with pytest.raises(prometheus.Malformed):
        prometheus.parse(text)


# Decimals

@pytest.mark.parametrize("text, fewest", [("0.1", 1), ("4.26", 3), ("16777216", 8), ("3.4028235e38", 8), ("1e-45", 1), ("1.1754944e-38", 8), ("0", 1), ("33554432", 8)])
def test_fewest_digits(text, fewest):
    """The fewest digits of a float32 are found"""
    assert bits.fewest_digits(bits.of(text)) == fewest


@pytest.mark.parametrize("text, count", [("0.10", 1), ("100", 1), ("1.50e3", 2), ("0.000120", 2), ("0", 1), ("-4.26", 3)])
def test_digits(text, count):
    """The digits of a decimal are counted without the zeros at its ends"""
    assert bits.digits(text) == count


# FastCGI

def test_records():
    """FastCGI records and parameters are framed as the specification says"""
    assert fcgi.record(fcgi.STDIN, b"abc", padding=5) == b"\x01\x05\x00\x01\x00\x03\x05\x00abc" + bytes(5)
    assert fcgi.pairs({"A": "b"}) == b"\x01\x01Ab"
    assert fcgi.pairs({"A": "b" * 200})[:5] == b"\x01\x80\x00\x00\xc8"
    reply = fcgi.Reply(b"Status: 404 Not Found\r\nX-A: b: c\r\n\r\nbody\r\n\r\n", True)
    assert (reply.status, reply.headers["x-a"], reply.body) == (404, "b: c", b"body\r\n\r\n")
