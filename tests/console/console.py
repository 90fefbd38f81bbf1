#!/usr/bin/python3
"""console.py - the console in a real Chromium, against the real server behind the real web servers

    tests/console/console.py               the tests of test.mjs, as TAP
    tests/console/console.py screenshots   docs/console.png and docs/console-narrow.png, for the README

The packages of package.json go to $BUILD/console, which is left alone while the lock file is the same; nothing is written here. Where
a tool or the registry is missing the tests are skipped by name, and fail in CI.
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from lib import load, models, stack       # noqa: E402

PLACE = stack.BUILD / "console"
INSTALL_S = 300
SCREENSHOT_LOAD_S = 3

FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include>/etc/fonts/fonts.conf</include>
  <match target="pattern"><test name="family" qual="any"><string>system-ui</string></test><edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
  <match target="pattern"><test name="family" qual="any"><string>sans</string></test><edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
  <match target="pattern"><test name="family" qual="any"><string>sans-serif</string></test><edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
</fontconfig>
"""


def missing():
    """What the tests cannot do without and is not here, or ""."""
    for program, package in (("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm")):
        if not stack.path_of(program):
            return f"no {program} here: install Debian's {package} (make deps-clients does)"
    return install()


def install():
    """The npm packages and links to what they check, in a folder of their own; why not, or ""."""
    wanted = (HERE / "package-lock.json").read_text()
    mark = PLACE / "installed"
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(PLACE, ignore_errors=True)
        PLACE.mkdir(parents=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, PLACE)
        run = subprocess.run([stack.path_of("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=PLACE, capture_output=True, text=True,
                             timeout=INSTALL_S, check=False)
        if run.returncode != 0:
            return f"npm could not install: {(run.stderr.strip().splitlines() or ['it says nothing'])[0]}"
        mark.write_text(wanted)
    for name, target in (("www", stack.WEBSERVER / "www" / "static" / "js"), ("tests", HERE)):
        link = PLACE / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    shutil.copy(HERE / "tsconfig.json", PLACE)
    return ""


def store():
    """Models of several kinds, one of them with two versions."""
    made = models.Store("console").california()
    for name in ("multi-softprob", "multi-softmax", "reg-squarederror-categorical", "reg-squarederror-multi-output", "binary-logistic"):
        made.fixture(name)
    return made.fixture("reg-squarederror", name="twice").fixture("reg-squarederror-base-score", name="twice", version="2", champion=False).prove()


def environment(**values):
    """For node: where things are. Fonts are the same on every machine that has Inter."""
    fonts = (PLACE / "fonts.conf").resolve()
    fonts.write_text(FONTS)
    return {**os.environ, "FONTCONFIG_FILE": str(fonts), "CONSOLE": json.dumps(values)}


def node(script, *words, **values):
    return subprocess.run(["node", "--preserve-symlinks", "--preserve-symlinks-main", PLACE / "tests" / script, *words], env=environment(**values), check=False).returncode


@contextlib.contextmanager
def keyed(made):
    """A site that asks for keys, and one of them; both None where this futaie knows none."""
    keys = stack.scratch("keys") / "keys.json"
    if "--keys" not in stack.run_futaie("serve", "--help").stdout:
        yield None, None
        return
    added = stack.run_futaie("keys", "add", "console", "--scopes", "predict", "--keys", keys)
    assert added.returncode == 0, added
    with stack.Site(made, ["--keys", keys]) as site:
        yield site, added.stdout.split()[-1]


def test():
    why = missing()
    if why:
        print(f"1..1\nnot ok 1 - the console can be tried: {why}" if os.environ.get("CI") else f"1..0 # SKIP {why}")
        return 1 if os.environ.get("CI") else 0
    made = store()
    with stack.Site(made, ["--default-model", models.CALIFORNIA]) as site, stack.Site(made, front="apache") as apache, \
            stack.Site(made, ["--rows-max", "64"]) as small, keyed(made) as (locked, key):
        return node("test.mjs", *sys.argv[2:], site=url(site), apache=url(apache), small=url(small), locked=locked and url(locked), key=key, store=str(made.path),
                    futaie=str(stack.FUTAIE.resolve()), place=str(PLACE.resolve()), shots=str((PLACE / "shots").resolve()))


def url(site):
    return f"http://localhost:{site.http_port}"


def screenshots():
    why = missing()
    if why:
        sys.exit(f"console.py: {why}")
    with stack.Site(models.SHIPPED) as site, load.Load(site.http_port, connections=2):
        time.sleep(SCREENSHOT_LOAD_S)
        return node("screenshots.mjs", site=url(site), shots=str(PLACE.resolve() if "--try" in sys.argv else stack.ROOT / "docs"))


if __name__ == "__main__":
    sys.exit({"test": test, "screenshots": screenshots}[sys.argv[1] if len(sys.argv) > 1 else "test"]())
