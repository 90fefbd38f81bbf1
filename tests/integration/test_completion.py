"""test_completion.py - completion of command lines: what `futaie complete` says, and the shells with the files that make install puts there"""
import contextlib
import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time

import pytest

from lib import models, need, stack
from lib.models import CALIFORNIA
from lib.stack import run_futaie

HOUSE = "reg-squarederror"
READ_S = 10


@pytest.fixture(scope="module")
def store():
    """Two models; one has two versions and two aliases."""
    made = models.Store().california().fixture(HOUSE).fixture(HOUSE, version="2", champion=False)
    made.aliases(HOUSE, champion="1", challenger="2")
    return made


def offered(*words):
    """What the last word may become."""
    run = run_futaie("complete", *words)
    assert (run.returncode, run.stderr) == (0, ""), run
    return [line.split("\t")[0] for line in run.stdout.splitlines()]


# What futaie says

def test_subcommands():
    """The subcommands of the help are offered, with what they do"""
    listed = re.findall(r"^  ([a-z]+) +(.*)$", run_futaie("--help").stdout, re.MULTILINE)
    assert len(listed) > 4 and run_futaie("complete", "").stdout.splitlines()[:-2] == [f"{name}\t{about}" for name, about in listed]
    assert offered("s") == ["serve"] and offered("xyz") == [] and offered("--v") == ["--version"]


@pytest.mark.parametrize("name", [name for name in offered("") if not name.startswith("-")])
def test_options(name):
    """The options of each subcommand's help are offered"""
    described = re.findall(r"^(?: {6}|  -[a-z], )(--[a-z-]+)", run_futaie(name, "--help").stdout, re.MULTILINE)
    assert described and sorted(offered(name, "-")) == sorted(described)
    assert offered(name, "--he") == ["--help"]


def test_lines():
    """Each line is a word and one sentence without its full stop, short enough for a line on a terminal"""
    for name in ("serve", "models", "predict", "train", "bench"):
        for line in run_futaie("complete", name, "-").stdout.splitlines():
            word, _, about = line.partition("\t")
            assert 3 < len(about) <= 76 and ". " not in about and not about.endswith("."), line


@pytest.mark.parametrize("words, expected", [
    (["serve", "--log-level", ""], ["debug", "info", "warn", "error"]),
    (["serve", "--log-level", "w"], ["warn"]),
    (["serve", "--log-level=w"], ["--log-level=warn"]),
    (["serve", "--log-level", "warn", "--log-l"], ["--log-level"]),
    (["serve", "--threads", ""], []),
    (["serve", "--config", ""], [":files"]),
    (["serve", "--config="], [":files"]),
    (["serve", "--models", ""], [":directories"]),
    (["serve", "-t", "--log-requests", "n"], ["none"]),
    (["serve", ""], []),
    (["train", "--data", ""], [":files"]),
    (["train", "--param", ""], []),
    (["models", "pro"], ["promote"]),
    (["models", "nothing", ""], []),
    (["models", "list", ""], []),
    (["keys", ""], ["add", "list", "revoke"]),
    (["keys", "add", ""], []),
    (["keys", "revoke", "--keys", ""], [":files"]),
    (["version", ""], ["--help"]),
    (["nothing", ""], ["--help"]),
    ([], ["serve", "models", "train", "predict", "bench", "version", "--help", "--version"]),
], ids=" ".join)
def test_words(words, expected):
    """A word becomes what may stand there"""
    assert [word for word in offered(*words) if words or word in expected] == expected


@pytest.mark.parametrize("words, expected", [
    (["predict", ""], [CALIFORNIA, HOUSE]),
    (["predict", "--threads", "2", "reg"], [HOUSE]),
    (["predict", f"{HOUSE}@"], [f"{HOUSE}@champion", f"{HOUSE}@challenger"]),
    (["predict", f"{HOUSE}/"], [f"{HOUSE}/2", f"{HOUSE}/1"]),
    (["predict", "nobody@"], []),
    (["predict", HOUSE, ""], [":files"]),
    (["predict", HOUSE, "rows.csv", ""], []),
    (["bench", "cal"], [CALIFORNIA]),
    (["bench", HOUSE, ""], []),
    (["models", "show", "r"], [HOUSE]),
    (["models", "show", f"{HOUSE}/"], [f"{HOUSE}/2", f"{HOUSE}/1"]),
    (["models", "show", f"{HOUSE}@"], []),
    (["models", "promote", HOUSE, ""], ["2", "1"]),
    (["models", "promote", "nobody", ""], []),
    (["models", "promote", "x" * 200, ""], []),
    (["models", "alias", HOUSE, ""], ["champion", "challenger"]),
    (["models", "alias", HOUSE, "c", ""], ["2", "1"]),
    (["models", "import", HOUSE, ""], [":files"]),
    (["serve", "--default-model", ""], [CALIFORNIA, HOUSE]),
    (["serve", "--default-model=r"], [f"--default-model={HOUSE}"]),
    (["train", "--name", "c"], [CALIFORNIA]),
], ids=" ".join)
def test_words_of_a_store(store, words, expected):
    """Models, versions and aliases are those of the store that the line names"""
    command, *rest = words
    assert offered(command, "--models", store, *rest) == offered(command, f"--models={store}", *rest) == expected


def test_no_store():
    """Without a store, nothing is offered and nothing complained of"""
    assert offered("predict", "--models", "/nonexistent", "") == []


def test_many_words():
    """A line of a thousand words is taken"""
    assert offered("predict", *["word"] * 1000, "") == []


# The shells, with what is installed

@pytest.fixture(scope="module")
def installed():
    """What make install puts below PREFIX; make uninstall must take all of it away again."""
    folder = stack.scratch("installed").resolve()
    words = [os.environ.get("MAKE", "make"), "--no-print-directory", "-s", f"BUILD={stack.BUILD}", f"DESTDIR={folder}", "PREFIX=/usr"]
    subprocess.run([*words, "install"], check=True, capture_output=True)
    yield folder / "usr"
    subprocess.run([*words, "uninstall"], check=True, capture_output=True)
    assert [path for path in folder.rglob("*") if not path.is_dir()] == []


class Terminal:
    """A shell on a terminal, with futaie in its path."""

    def __init__(self, installed, argv):
        self.fd, other = pty.openpty()
        environment = {"PATH": f"{installed / 'bin'}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "> ", "HOME": "/nonexistent", "LC_ALL": "C"}
        self.process = subprocess.Popen(argv, stdin=other, stdout=other, stderr=other, env=environment, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(other)
        self.pending = ""
        self.read_until("> ")

    def type(self, text):
        os.write(self.fd, text.encode())

    def read_until(self, mark):
        """What the terminal shows next, up to the mark."""
        deadline = time.monotonic() + READ_S
        while mark not in self.pending:
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"waited {READ_S} s for {mark!r} in {self.pending!r}"
            self.pending += os.read(self.fd, 65536).decode(errors="replace")
        shown, _, self.pending = self.pending.partition(mark)
        return shown

    def complete(self, text):
        """The line that a text becomes when the tabulator is pressed behind it: the shell prints it as words."""
        self.type(f"{text}\t")
        self.read_until(text)
        self.type(":\x01printf '<%s>\\n' \x05\r")     # to the start of the line, a command before it, and enter
        self.read_until("\r\n")
        return re.findall(r"<([^<>\r\n]*)>", self.read_until("> "))

    def close(self):
        os.close(self.fd)               # the terminal hangs up
        self.process.wait(READ_S)


@pytest.fixture(scope="module")
def bash(installed):
    terminal = Terminal(installed, [need.program("bash", "bash"), "--norc", "--noprofile", "-i"])
    terminal.type(f"source '{installed}/share/bash-completion/completions/futaie'; echo rea''dy\r")
    terminal.read_until("ready\r\n")
    terminal.read_until("> ")
    with contextlib.closing(terminal):
        yield terminal


@pytest.fixture(scope="module")
def zsh(installed):
    terminal = Terminal(installed, [need.program("zsh", "zsh"), "-f", "-i"])
    terminal.type(f"unsetopt zle_bracketed_paste; fpath=('{installed}/share/zsh/site-functions' $fpath); autoload -U compinit; compinit -D -u; echo rea''dy\r")
    terminal.read_until("ready\r\n")
    terminal.read_until("> ")
    with contextlib.closing(terminal):
        yield terminal


# What is written, and what becomes of the last word; the ":" that is written behind it shows whether a blank was put there.
LINES = {
    "a subcommand": ("futaie ser", ["futaie", "serve", ":"]),
    "an option": ("futaie serve --log-l", ["futaie", "serve", "--log-level", ":"]),
    "a value": ("futaie serve --log-level w", ["futaie", "serve", "--log-level", "warn", ":"]),
    "a value behind =": ("futaie serve --log-level=w", ["futaie", "serve", "--log-level=warn", ":"]),
    "a model": ("futaie predict --models STORE cal", ["futaie", "predict", "--models", "STORE", CALIFORNIA, ":"]),
    "an alias": (f"futaie predict --models STORE {HOUSE}@champ", ["futaie", "predict", "--models", "STORE", f"{HOUSE}@champion", ":"]),
    "an alias of one": (f"futaie predict --models STORE {CALIFORNIA}@", ["futaie", "predict", "--models", "STORE", f"{CALIFORNIA}@champion", ":"]),
    "a version": (f"futaie predict --models=STORE {CALIFORNIA}/", ["futaie", "predict", "--models=STORE", f"{CALIFORNIA}/1", ":"]),
    "a file": ("futaie serve --config CONTRIB", ["futaie", "serve", "--config", "CONTRIBUTING.md", ":"]),
    "a file behind =": ("futaie serve --config=CONTRIB", ["futaie", "serve", "--config=CONTRIBUTING.md", ":"]),
    "a folder": ("futaie serve --models fcgi-a", ["futaie", "serve", "--models", "fcgi-app/:"]),
}


def at(store, text):
    return text.replace("STORE", str(store))


@pytest.mark.parametrize("text, expected", LINES.values(), ids=LINES.keys())
def test_bash(bash, store, text, expected):
    """In bash, the tabulator completes"""
    assert bash.complete(at(store, text)) == [at(store, word) for word in expected]


@pytest.mark.parametrize("text, expected", LINES.values(), ids=LINES.keys())
def test_zsh(zsh, store, text, expected):
    """In zsh, the tabulator completes"""
    assert zsh.complete(at(store, text)) == [at(store, word) for word in expected]


@pytest.mark.parametrize("text, expected", LINES.values(), ids=LINES.keys())
def test_fish(installed, store, text, expected):
    """In fish, the completion is the only one that is offered"""
    script = f"source '{installed}/share/fish/vendor_completions.d/futaie.fish'; complete -C '{at(store, text)}'"
    run = subprocess.run([need.program("fish", "fish"), "--no-config", "--command", script], capture_output=True, text=True, check=False,
                         env={**os.environ, "PATH": f"{installed / 'bin'}:{os.environ['PATH']}"})
    whole = expected[-2] if expected[-1] == ":" else expected[-1].removesuffix(":")
    assert [line.split("\t")[0] for line in run.stdout.splitlines()] == [whole], run


def test_syntax(installed):
    """zsh and fish find no fault in the files"""
    for words in ([need.program("zsh", "zsh"), "-n", installed / "share/zsh/site-functions/_futaie"],
                  [need.program("fish", "fish"), "--no-execute", installed / "share/fish/vendor_completions.d/futaie.fish"]):
        run = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stderr) == (0, ""), run
