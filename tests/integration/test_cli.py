"""test_cli.py - the command line: help, usage errors, the configuration file, and what -t finds"""
import json
import re
import signal

import pytest

from lib import models, stack
from lib.models import CALIFORNIA, EXAMPLE_BODY
from lib.stack import run_futaie

OPTIONS = ["socket", "config", "threads", "default-model", "models", "body-max-bytes", "rows-max", "io-timeout", "log-level"]
CONF = stack.ROOT / "fcgi-app" / "etc" / "futaie.conf"
OTHER = "reg-squarederror"


def written(text):
    """A configuration file with this text."""
    path = stack.scratch("conf") / "futaie.conf"
    path.write_text(text)
    return path


def check(*words, status):
    """`futaie serve -t` with these options."""
    run = run_futaie("serve", "-t", *words)
    assert run.returncode == status, run
    return run.stdout + run.stderr


# Help and usage

def subcommands():
    """What `futaie --help` lists."""
    return re.findall(r"^ {2,}([a-z]+)\b", run_futaie("--help").stdout, re.MULTILINE)


def test_help():
    """futaie --help lists the subcommands and exits 0"""
    run = run_futaie("--help")
    assert run.returncode == 0 and run.stderr == "", run
    assert {"serve", "version"} <= set(subcommands()), run.stdout


def test_help_of_each_subcommand():
    """--help of each subcommand exits 0 and says how it is used"""
    for name in subcommands():
        for word in ("--help", "-h"):
            run = run_futaie(name, word)
            assert run.returncode == 0 and "usage" in run.stdout.lower() and name in run.stdout and run.stderr == "", run


def test_help_names_every_option():
    """serve --help names every option, with its default"""
    text = run_futaie("serve", "--help").stdout
    for name in OPTIONS:
        assert f"--{name}" in text, f"--{name} is not in:\n{text}"
    assert "33554432" in text and "100000" in text, text


def test_help_fits():
    """No line of the help is over 100 columns"""
    for line in run_futaie("serve", "--help").stdout.splitlines():
        assert len(line) <= 100, line


def test_no_subcommand():
    """futaie alone exits 2 with the usage"""
    run = run_futaie()
    assert run.returncode == 2 and "usage" in run.stderr.lower() and "serve" in run.stderr, run


def test_unknown_subcommand():
    """An unknown subcommand exits 2 and names it"""
    run = run_futaie("sevre")
    assert run.returncode == 2 and "sevre" in run.stderr and "--help" in run.stderr, run


@pytest.mark.parametrize("word", ["--colour", "--sockets", "-x", "--colour=1", "--", "extra", "---models"])
def test_unknown_option(word):
    """An unknown option or operand exits 2 with a hint"""
    words = [word, "operand"] if word == "--" else [word]
    run = run_futaie("serve", *words)
    assert run.returncode == 2 and "--" in run.stderr and run.stdout == "", run
    assert len(run.stderr.splitlines()) <= 3, run.stderr


@pytest.mark.parametrize("name", OPTIONS)
def test_option_without_value(name):
    """An option without its value exits 2"""
    run = run_futaie("serve", f"--{name}")
    assert run.returncode == 2 and f"--{name}" in run.stderr, run


BAD_VALUES = [("threads", "257"), ("threads", "-1"), ("threads", "many"), ("threads", "1.5"), ("threads", "99999999999999999999"), ("threads", ""),
              ("rows-max", "0"), ("body-max-bytes", "1e6"), ("io-timeout", "0x10"), ("log-level", "loud")]


@pytest.mark.parametrize("name, value", BAD_VALUES)
def test_bad_value(name, value):
    """A value out of range exits 2 and says what is in range"""
    run = run_futaie("serve", f"--{name}", value)
    assert run.returncode == 2 and name in run.stderr, run
    assert re.search(r"from \d+ to \d+|one of|One of", run.stderr), run.stderr


def test_version():
    """futaie version exits 0 and names futaie and XGBoost"""
    run = run_futaie("version")
    assert run.returncode == 0 and re.search(r"futaie \d+\.\d+", run.stdout) and re.search(r"1\.7\.\d", run.stdout), run


# -t

def test_check(shipped_models):
    """serve -t of a good store exits 0 and says what would be served"""
    assert CALIFORNIA in check("--models", shipped_models, status=0)


def test_check_needs_no_socket(shipped_models):
    """serve -t does not touch the socket"""
    path = stack.scratch("socket") / "app.sock"
    check("--models", shipped_models, "--socket", path, status=0)
    assert not path.exists()


def change_golden(manifest):
    manifest["golden"]["outputs"][0] += 0.001


BROKEN = {
    "a changed byte": (lambda store: store.flip_byte(OTHER), "sha256"),
    "golden rows that are off": (lambda store: store.change_manifest(OTHER, "1", change_golden), "golden"),
    "a feature too few in the manifest": (lambda store: store.change_manifest(OTHER, "1", lambda manifest: manifest["features"].pop()), "feature"),
    "a feature twice in the manifest": (lambda store: store.change_manifest(OTHER, "1", lambda manifest: manifest["features"][1].update(name=manifest["features"][0]["name"])), "feature"),
    "another model's objective": (lambda store: store.change_manifest(OTHER, "1", lambda manifest: manifest.update(objective="binary:logistic")), "objective"),
    "no model file": (lambda store: store.model_file(OTHER).unlink(), "model.ubj"),
    "no manifest": (lambda store: (store.folder(OTHER) / "manifest.json").unlink(), "manifest.json"),
    "a manifest that is no JSON": (lambda store: (store.folder(OTHER) / "manifest.json").write_text("{"), "manifest.json"),
    "a manifest without sha256": (lambda store: store.change_manifest(OTHER, "1", lambda manifest: manifest.pop("sha256")), "sha256"),
    "a manifest without golden rows": (lambda store: store.change_manifest(OTHER, "1", lambda manifest: manifest.pop("golden")), "golden"),
    "a folder in place of the model file": (lambda store: turn_into_folder(store.model_file(OTHER)), "model.ubj"),
    "an empty model file": (lambda store: store.model_file(OTHER).write_bytes(b""), "sha256"),
    "a champion that is not there": (lambda store: store.aliases(OTHER, champion="7"), "7"),
    "aliases that are no JSON": (lambda store: (store.path / OTHER / "aliases.json").write_text("champion: 1"), "aliases.json"),
    "a model file outside of its folder": (lambda store: store.change_manifest(OTHER, "1", lambda manifest: manifest.update(model_file="../../x/1/model.ubj")), "model_file"),
    "a damaged model with its own sha256": (lambda store: (store.model_file(OTHER).write_bytes(b"{L" + b"\xff" * 200), store.rewrite_sha256(OTHER)), "model file"),
}


def turn_into_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage, hint", BROKEN.values(), ids=BROKEN.keys())
def test_check_of_a_broken_model(damage, hint):
    """serve -t exits 1, names the model and says what is wrong"""
    store = models.Store().california().fixture(OTHER)
    damage(store)
    said = check("--models", store, status=1)
    assert OTHER in said and hint in said, said


@pytest.mark.parametrize("damage", [damage for damage, _ in BROKEN.values()], ids=BROKEN.keys())
def test_start_with_only_a_broken_model(damage):
    """serve exits 1 with a sentence when nothing can be served"""
    store = models.Store().fixture(OTHER)
    damage(store)
    app = stack.Futaie(store, ready=False)
    assert app.wait(5) == 1, app.log()
    assert OTHER in app.log(), app.log()


@pytest.mark.parametrize("store", ["/nonexistent/models", "/etc/passwd"], ids=["not there", "a file"])
def test_no_store(store):
    """A store that is not there or is no folder: exit 1 with its name"""
    assert store in check("--models", store, status=1)


def test_unknown_default_model(shipped_models):
    """A default model that is not in the store exits 1 with its name"""
    assert "nobody" in check("--models", shipped_models, "--default-model", "nobody", status=1)


# The configuration file

def test_file_is_the_command_line(shipped_models):
    """What stands in the configuration file works as on the command line"""
    conf = written("# a comment\n\n  rows-max=2\nthreads = 1\n\tbody-max-bytes   =   5000 \n")
    with stack.Futaie(shipped_models, ["--config", conf]) as app:
        assert app.request("POST", "/predict", {"features": EXAMPLE_BODY["features"] * 2}).status == 200
        assert app.request("POST", "/predict", {"features": EXAMPLE_BODY["features"] * 3}).status == 413
        assert app.request("POST", "/predict", " " * 6000, "application/json").status == 413


def test_command_line_has_the_last_word(shipped_models):
    """The command line has the last word, wherever --config stands"""
    conf = written("rows-max = 1\nlog-level = error\n")
    for words in (["--config", conf, "--rows-max", "2"], ["--rows-max", "2", "--config", conf]):
        with stack.Futaie(shipped_models, words) as app:
            assert app.request("POST", "/predict", {"features": EXAMPLE_BODY["features"] * 2}).status == 200


BAD_LINES = {"an unknown name": "colour = red", "no equals sign": "threads 4", "a value out of range": "threads = 257", "a word for a number": "rows-max = many",
             "an option for the command line": "config = other.conf", "an empty number": "threads =", "a choice that is none": "log-level = loud"}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_bad_line(shipped_models, line):
    """A bad line of the configuration file is named by file and line"""
    conf = written(f"# one\n\nrows-max = 10\n{line}\n")
    run = run_futaie("serve", "-t", "--models", shipped_models, "--config", conf)
    assert run.returncode in (1, 2), run
    assert f"{conf}:4:" in run.stderr, run.stderr


def test_no_file(shipped_models):
    """A configuration file that is not there is named"""
    run = run_futaie("serve", "-t", "--models", shipped_models, "--config", "/nonexistent/futaie.conf")
    assert run.returncode in (1, 2) and "/nonexistent/futaie.conf" in run.stderr, run


@pytest.mark.parametrize("content", [b"\0\0\0", b"threads = 1\0\n", b"x" * 10_000, b"threads = " + b"9" * 5000, b"\xff\xfe", b"=" * 300, b"a" * 100_000 + b"\n"],
                         ids=["NULs", "a NUL", "a long word", "a long number", "no UTF-8", "equals signs", "a very long line"])
def test_hostile_file(shipped_models, content):
    """A configuration file of nonsense is refused, not believed"""
    path = written("")
    path.write_bytes(content)
    run = run_futaie("serve", "-t", "--models", shipped_models, "--config", path)
    assert run.returncode in (1, 2) and str(path) in run.stderr, run


def test_sample_file(shipped_models):
    """The sample futaie.conf names every option of serve, with its default, and is itself valid"""
    text = CONF.read_text()
    for name in OPTIONS:
        if name != "config":
            assert re.search(rf"^#?\s*{name} =", text, re.MULTILINE), f"{name} is not in {CONF.name}"
    check("--models", shipped_models, "--config", CONF, status=0)


def test_sample_file_uncommented(shipped_models):
    """The defaults in the sample futaie.conf are accepted when uncommented"""
    lines = [line.removeprefix("#") for line in CONF.read_text().splitlines() if re.match(r"#[a-z-]+ = \S", line)]
    conf = written("\n".join(line for line in lines if not line.startswith(("models", "socket"))) + "\n")
    check("--models", shipped_models, "--config", conf, status=0)


# Sockets

def test_own_socket(shipped_models):
    """--socket PATH makes the socket with mode 0660 and removes it at the end"""
    path = stack.scratch("own") / "app.sock"
    with stack.Futaie(shipped_models, socket_option=str(path)):
        assert oct(path.stat().st_mode)[-4:] == "0660"
    assert not path.exists()


def test_stale_socket(shipped_models):
    """--socket PATH takes the place of a socket that a killed process left"""
    path = stack.scratch("stale") / "app.sock"
    killed = stack.Futaie(shipped_models, socket_option=str(path))
    killed.send(signal.SIGKILL)
    killed.wait()
    assert path.exists()
    with stack.Futaie(shipped_models, socket_option=str(path)) as app:
        assert app.request("GET", "/healthz").status == 200


def test_socket_in_use(shipped_models):
    """--socket PATH on which another process listens exits 1 and leaves it alone"""
    path = stack.scratch("used") / "app.sock"
    with stack.Futaie(shipped_models, socket_option=str(path)) as first:
        second = stack.Futaie(shipped_models, socket_option=str(path), ready=False)
        assert second.wait(5) == 1 and str(path) in second.log(), second.log()
        assert first.request("GET", "/healthz").status == 200


def test_socket_is_a_file(shipped_models):
    """--socket PATH does not replace a file that is no socket"""
    path = stack.scratch("file") / "app.sock"
    path.write_text("precious")
    app = stack.Futaie(shipped_models, socket_option=str(path), ready=False)
    assert app.wait(5) == 1 and str(path) in app.log(), app.log()
    assert path.read_text() == "precious"


def test_tcp_socket(shipped_models):
    """--socket HOST:PORT listens there"""
    (port,) = stack.free_ports(1)
    with stack.Futaie(shipped_models, socket_option=f"127.0.0.1:{port}") as app:
        assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:x", "/nonexistent/folder/app.sock", "/" + "x" * 200, "999.999.999.999:5000"])
def test_bad_socket(shipped_models, address):
    """An address that cannot be listened on exits 1 or 2 with its name"""
    app = stack.Futaie(shipped_models, socket_option=address, ready=False)
    assert app.wait(5) in (1, 2) and (address.rpartition(":")[0] or address)[:60] in app.log(), app.log()


def test_no_socket(shipped_models):
    """Without --socket and without a socket as descriptor 0: a sentence and a non-zero exit"""
    run = run_futaie("serve", "--models", shipped_models)
    assert run.returncode in (1, 2) and "--socket" in run.stderr, run


def test_log_level(shipped_models):
    """--log-level error leaves requests out of the log"""
    with stack.Futaie(shipped_models, ["--log-level", "error"]) as app:
        app.request("POST", "/predict", json.dumps(EXAMPLE_BODY))
    assert not app.log_lines(), app.log()


@pytest.mark.parametrize("words, sentence", [
    (("--socket-group", "no-such-group"), 'there is no group "no-such-group"'),
    (("--socket", "127.0.0.1:port"), "the port must be a number"),
    (("--socket", "/run/" + "x" * 120), "too long for a unix socket"),
], ids=["group", "port", "path"])
def test_check_of_the_socket(shipped_models, words, sentence):
    """serve -t refuses a socket that could not be made"""
    assert sentence in check("--models", shipped_models, *words, status=1)
