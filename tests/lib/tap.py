"""tap.py - a pytest plugin: TAP on standard output, a time limit for each test, logs of the parts on failure

The name of a test is the first line of its docstring, and for a parametrised one also its case. A test is given LIMIT_S seconds, or
what `@pytest.mark.limit(seconds)` says; the time its fixtures take is limited too.
"""
import signal
import sys

import pytest

from lib import stack

LIMIT_S = 30
LOG_LINES = 40


def install(config):
    """Takes the place of pytest's own report."""
    config.addinivalue_line("markers", "limit(seconds): how long the test may take")
    config.addinivalue_line("markers", "measures: left out with a sanitizer in the program, which is then slow and takes memory")
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(Tap(), "tap")


class Tap:
    def __init__(self):
        self.number = 0
        self.broken = []        # reports of files that could not be loaded
        self.names = {}         # nodeid → sentence
        self.reports = {}       # nodeid → reports of its phases so far

    # What is printed

    def pytest_collectreport(self, report):
        if report.failed:
            self.broken.append(report)

    def pytest_collection_finish(self, session):
        self.names = {item.nodeid: sentence(item) for item in session.items}
        print(f"1..{len(session.items) + len(self.broken)}", flush=True)
        for report in self.broken:
            self.show("not ok", f"{report.nodeid} can be loaded", diagnostics=report.longreprtext)

    def pytest_runtest_logreport(self, report):
        phases = self.reports.setdefault(report.nodeid, [])
        phases.append(report)
        if report.when == "teardown":
            self.show_test(self.names[report.nodeid], self.reports.pop(report.nodeid))

    def show_test(self, name, phases):
        failed = [report for report in phases if report.failed]
        skipped = [report for report in phases if report.skipped]
        if failed:
            self.show("not ok", name, diagnostics="\n".join(map(whole_story, failed)))
        elif skipped:
            self.show("ok", name, skip=skipped[0].longrepr[2].removeprefix("Skipped: "))
        else:
            self.show("ok", name)

    def show(self, verdict, name, skip=None, diagnostics=""):
        self.number += 1
        line = f"{verdict} {self.number} - " + name.replace("#", "\\#")
        print(line + (f" # SKIP {skip}" if skip else ""))
        for diagnostic in diagnostics.splitlines():
            print(f"# {diagnostic}")
        sys.stdout.flush()

    def pytest_keyboard_interrupt(self):
        print("Bail out! interrupted", flush=True)

    def pytest_internalerror(self, excrepr):
        print("\n".join(f"# {line}" for line in str(excrepr).splitlines()), flush=True)

    # What is added to a test

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if not (stack.SANITIZED and item.get_closest_marker("measures"))]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self, item):
        stack.forget_ended_parts()
        yield from limited(item, "getting ready for the test")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item):
        yield from limited(item, "the test")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        outcome = yield
        report = outcome.get_result()
        if report.failed:
            for part in stack.PARTS:
                report.sections.append((f"log of {part.name}", part.log_tail(LOG_LINES)))


def sentence(item):
    """`an empty rows array gives 400`, for the case of a parametrised test with the case behind a colon."""
    words = (item.function.__doc__ or item.function.__name__.removeprefix("test_").replace("_", " ")).strip().splitlines()[0].rstrip(".")
    words += f": {item.callspec.id}" if hasattr(item, "callspec") else ""
    return words + (f" ({stack.SANITIZED})" if stack.SANITIZED else "")


def whole_story(report):
    sections = [f"--- {title} ---\n{text}" for title, text in report.sections if text.strip()]
    return "\n".join([f"in {report.when}:", report.longreprtext, *sections])


def limited(item, what):
    """Runs the rest of a hook with an alarm set."""
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else LIMIT_S

    def too_long(_signal, _frame):
        pytest.fail(f"{what} took longer than {seconds} s")

    previous = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
