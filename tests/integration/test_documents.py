"""test_documents.py - the documents say what is true: every command of theirs is run, every name in them exists

One server runs for all documents, started as `make run` does, in a folder that looks like the project's with everything built. Each document
begins with the shipped model store and a second version of its model. What the folder has besides: houses.csv (rows), sales.csv (rows and a
price), model.ubj and golden.json (a model as Python exports it). Paths of an installed system lie under root/.
"""
import atexit
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib import documents, http, models, need, stack

DOCUMENTS = documents.all_documents()
BLOCKS = [block for document in DOCUMENTS for block in document.blocks]
KNOWN = {"console", "sh", "json", "python", "ini", "lighttpd", "apache", "nginx", "yaml", "promql", "text", ""}
DOCUMENT_S = 60
ROWS = 1000
PATH_MAX = 80

SOURCE = stack.ROOT / "fcgi-app" / "src"

MAKE = """#!/bin/sh
# make, in a place where everything is built
case $1 in
run) shift; exec env FUTAIE={futaie} "$@" sh -c 'SERVE_ARGS="${{DEFAULT_MODEL:+--default-model $DEFAULT_MODEL}} $SERVE_ARGS" exec {run}' ;;
install) exec {make} -o all DESTDIR={root} "$@" ;;
esac
exec {make} "$@"
"""


# The place and its server

class Server(stack.MakeRun):
    """What `make run` starts, in a place of its own."""

    def __init__(self, place):
        self.place = place
        super().__init__("models", build=place / "build", from_folder=place)

    def environment(self):
        return {**super().environment(), "BUILD": "build", "MODELS": "models", "SERVE_ARGS": f"--default-model {models.CALIFORNIA}"}


class Place:
    """A folder like the project's, its server, and a reader in it."""

    def __init__(self):
        self.folder = stack.scratch("docs").resolve()
        if len(str(self.folder)) > PATH_MAX:        # else run.sh would put the socket elsewhere
            self.folder = Path(tempfile.mkdtemp(prefix="futaie-docs-"))
            atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.root = self.folder / "root"
        self.store, self.kept = self.folder / "models", self.folder / "models.kept"
        self.link()
        self.fill()
        self.server = self.serve()
        (self.folder / ".curlrc").write_text("silent\nshow-error\n")     # as on a terminal, where the answer takes the place of the meter
        self.reader = documents.Reader(self.folder, self.names(), self.environment())

    def serve(self, attempts=3):
        """The server; once more where another program took a port between the look for a free one and the start."""
        try:
            return Server(self.folder)
        except AssertionError:
            log = self.folder / "build" / "log" / "error.log"
            if attempts == 1 or "Address already in use" not in log.read_text():
                raise
            return self.serve(attempts - 1)

    def link(self):
        for name in ("Makefile", "README.md", "docs", "fcgi-app", "webserver-conf", "tests", "CHANGELOG.md"):
            (self.folder / name).symlink_to(stack.ROOT / name)
        for folder in ("bin", "build", "root/etc/futaie", "root/run/futaie", "root/var/lib/futaie", "root/var/log/lighttpd"):
            (self.folder / folder).mkdir(parents=True)
        (self.folder / "build-2").mkdir()
        (self.folder / "build-2" / "tls").symlink_to("../build/tls")
        for built in [stack.BUILD / "man", *(path for path in stack.BUILD.iterdir() if path.is_file())]:
            (self.folder / "build" / built.name).symlink_to(built.resolve())
        (self.folder / "bin" / "futaie").symlink_to(stack.FUTAIE.resolve())
        self.script("make", MAKE.format(futaie=stack.FUTAIE.resolve(), run=stack.WEBSERVER / "run.sh", root=self.root, make=shutil.which("make")))
        self.script("sudo", '#!/bin/sh\nexec "$@"\n')

    def script(self, name, text):
        (self.folder / "bin" / name).write_text(text)
        (self.folder / "bin" / name).chmod(0o755)

    def fill(self):
        """The files that documents ask for, and a second version of the shipped model."""
        shutil.copytree(models.SHIPPED, self.store)
        version = self.store / models.CALIFORNIA / "1"
        manifest = json.loads((version / "manifest.json").read_text())
        shutil.copy(version / "model.ubj", self.folder)
        (self.folder / "golden.json").write_text(json.dumps({key: manifest["golden"][key][:10] for key in ("inputs", "outputs")}))
        rng, rows = random.Random(1), [",".join(models.FEATURES), ",".join(map(str, models.EXAMPLE))]
        for _ in range(1, ROWS):
            rows.append(",".join(f"{rng.uniform(*rng.choice(edges(feature))):.4g}" for feature in manifest["features"]))
        (self.folder / "houses.csv").write_text("\n".join(rows) + "\n")
        (self.folder / "sales.csv").write_text("\n".join([rows[0] + ",price", *(f"{row},{price(row):.3f}" for row in rows[1:])]) + "\n")
        for words in (("import", models.CALIFORNIA, "model.ubj", "--golden", "golden.json"), ("promote", models.CALIFORNIA, "1")):
            subprocess.run([stack.FUTAIE.resolve(), "models", *words], cwd=self.folder, check=True, capture_output=True)
        (self.store / models.CALIFORNIA / "aliases.json").write_text('{"champion": "1"}')
        shutil.copytree(self.store, self.kept, copy_function=os.link)

    def names(self):
        ports = zip(("5001", "8443", "5002", "8444"), [self.server.http_port, self.server.https_port, *stack.free_ports(2)])
        return [*((rf"\b{documented}\b", str(port)) for documented, port in ports),
                (r"(?<![\w./])(/etc/futaie|/etc/systemd|/run/futaie|/var/lib/futaie|/var/log/lighttpd|/usr/local|/srv)\b", str(self.root) + r"\1")]

    def environment(self):
        return {"PATH": f"{self.folder / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
                "HTTP_PORT": str(self.server.http_port), "HTTPS_PORT": str(self.server.https_port)}

    def begin(self):
        """The store as it was, and the server with it."""
        for folder in [*self.store.glob("*/"), *(self.store / models.CALIFORNIA).glob("*/")]:
            if not (self.kept / folder.relative_to(self.store)).exists():
                shutil.rmtree(folder)
        shutil.copytree(self.kept, self.store, copy_function=link_where_missing, dirs_exist_ok=True)
        aliases = self.store / models.CALIFORNIA / "aliases.json"
        shutil.copy(self.kept / models.CALIFORNIA / "aliases.json", f"{aliases}.new")
        os.replace(f"{aliases}.new", aliases)
        wanted = {"models": [{"name": models.CALIFORNIA, "versions": ["1", "2"], "aliases": {"champion": "1"}}]}
        client = http.Client(self.server.http_port)
        stack.wait_for("the server to take the shipped store", lambda: client.get("/models").json() == wanted)
        client.close()
        os.kill(self.server.web_server(), signal.SIGHUP)        # writes the access log
        for folder in ("srv", "var/lib/futaie"):
            shutil.rmtree(self.root / folder, ignore_errors=True)
            (self.root / folder).mkdir()
        shutil.copytree(self.kept, self.root / "srv" / "models", copy_function=os.link)


def link_where_missing(source, target):
    if not os.path.exists(target):
        os.link(source, target)


def edges(feature):
    """The parts of a feature's range that its rows are made in."""
    known = feature["distribution"]
    points = [known["min"], *known["deciles"], known["max"]]
    return list(zip(points, points[1:]))


def price(row):
    income, age, rooms, *_ = map(float, row.split(","))
    return 0.4 * income + 0.01 * age + 0.05 * rooms


@pytest.fixture(scope="module")
def place():
    made = Place()
    with made.server:
        yield made


# Commands

ALIKE = [("a 1", "a  1\n"), ("in 0.29 s", "in 1.5 s"), ("2026-11-23T10:40:07.413671Z x", "2027-01-02T03:04:05Z x"), ("a\n…\nz", "a\nb\nc\nz"), ('{"a": […], "b": 1}', '{"a":[1,2],"b":1}'),
         ("X-Request-Id: 25041e609295ea9f", "X-Request-Id: 0123456789abcdef"), ("process 12", "process 3456")]
DIFFERENT = [("a 1", "a 2"), ("8 features", "9 features"), ('{"predictions":[4.3943825]}', '{"predictions":[4.3943826]}'), ("a\n…\nz", "a\nb\nc"), ("a", "a\nb"), ("", "a"),
             ('{"a": […], "b": 1}', '{"a":[1,2],"b":2}'), ("rows", "row")]


def test_comparison():
    """What a document shows is not what is printed where a word or a number differs; times and ids may"""
    for shown, printed in ALIKE:
        assert documents.same(shown, printed), f"{shown} is not {printed}"
    for shown, printed in DIFFERENT:
        assert not documents.same(shown, printed), f"{shown} is {printed}"


def test_complaints(place):
    """A command that prints something else, fails in silence, takes a file of the machine or goes on for ever is complained of"""
    def typed(text, language="console"):
        return place.reader.type(documents.Block("a document", 1, language, "", text, {}))

    assert typed("$ echo a\na") == [] and typed("$ echo 'a\nb'\na\nb") == [] and typed("echo a \\\n  b", "sh") == []
    for wrong in ("$ echo a\nb", "$ false", "$ futaie version\n…\nxgboost 0.1", "$ cat /dev/null\nx", "$ make run MODELS=nothing"):
        assert len(typed(wrong)) == 1, f"{wrong} passes"
    with pytest.raises(AssertionError, match="outside"):
        typed("$ cat /etc/passwd")


@pytest.mark.limit(DOCUMENT_S)
@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands(place, say, document):
    """Every command of a document does what is shown"""
    place.begin()
    complaints, counted = [], {"run": 0, "not run": 0}
    for block in document.blocks:
        if block.language in documents.COMMANDS:
            counted["run" if block.not_run is None else "not run"] += 1
        if block.file:
            place.reader.write(block)
        if block.language in documents.COMMANDS and block.not_run is None:
            assert block.commands(), f"{block}: no command in it"
            assert not (outside := foreign_hosts(block)), f"{block}: asks {outside}, and is not marked as not run"
            complaints += place.reader.type(block)
    if sum(counted.values()):
        say(f"{document}: {counted['run']} blocks of commands run, {counted['not run']} not")
    assert not complaints, "\n".join(complaints)


def foreign_hosts(block):
    """Hosts that the commands of a block would ask over the network."""
    typed = "\n".join(command for command, _ in block.commands())
    return [host for host in re.findall(r"https?://([^/:\s\"']+)", typed) if host not in ("localhost", "127.0.0.1")]


def test_not_run(say):
    """What is left out says why"""
    left_out = [block for block in BLOCKS if block.not_run is not None]
    for block in left_out:
        assert len(block.not_run) > 10, f"{block}: \"{block.not_run}\" is no reason"
        assert block.language in documents.COMMANDS, f"{block}: only commands are run, so no mark is needed"
        say(f"not run: {block}: {block.not_run}")


def test_languages():
    """Every block says what it is"""
    for block in BLOCKS:
        assert block.language in KNOWN, f"{block}: what is \"{block.language}\"?"
        assert block.language in documents.COMMANDS or not re.search(r"^\$ ", block.text, re.MULTILINE), f"{block}: commands in a block that is not marked as console"
        assert block.language not in ("yaml", "ini", "lighttpd", "apache", "nginx") or block.file or block.language == "yaml", f"{block}: which file is it?"


def test_make_run(place):
    """README shows what make run prints"""
    for document in DOCUMENTS[:2]:
        (shown,) = [expected for block in document.blocks for command, expected in block.commands() if command == "make run"]
        beginning = shown.partition("\n\n")[2]
        assert documents.same(place.reader.here(beginning) + "\n…", place.server.log()), f"{document} shows:\n{beginning}\nit prints:\n{place.server.log()}"


def test_french():
    """The French README has the same blocks of commands and programs as README, in the same order"""
    english, french = ([(block.language, block.text) for block in document.blocks] for document in DOCUMENTS[:2])
    assert english == french


# Data and programs

def test_json():
    """Every JSON block is JSON, or an object a line"""
    for block in BLOCKS:
        if block.language == "json":
            text = re.sub(r",?\s*…", "", block.text)
            for part in text.splitlines() if re.search(r"\}\n\{", text) else [text]:
                json.loads(part)


def test_python():
    """Every Python block can be compiled"""
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, str(block), "exec")


def test_python_export(place):
    """What docs/models.md exports from Python is proven and served here"""
    numpy, xgboost = need.module("numpy", "python3-numpy"), need.module("xgboost", "python3-xgboost")
    (block,) = [block for block in BLOCKS if block.document == "docs/models.md" and block.language == "python"]
    names, folder = {}, stack.scratch("export").resolve()
    exec(compile(block.text, str(block), "exec"), names)
    rng = numpy.random.default_rng(1)
    rows = rng.normal(size=(200, 3)).astype("float32")
    rows[::7, 1] = numpy.nan
    data = xgboost.DMatrix(rows, numpy.nan_to_num(rows).sum(axis=1), feature_names=["a", "b", "c"])
    names["export"](xgboost.train({"max_depth": 3, "nthread": 1}, data, 10), rows[:20], str(folder))
    run = stack.run_futaie("models", "import", "sum", folder / "model.ubj", "--golden", folder / "golden.json", "--promote", "--models", folder / "store")
    assert run.returncode == 0 and "proven by 20 golden rows" in run.stdout, run


def test_units():
    """systemd takes the units that docs/operations.md shows"""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd here, which is nothing that a test installs")
    folder = stack.scratch("units").resolve()
    units = [block for block in BLOCKS if block.file.startswith("/etc/systemd/system/") and block.file.endswith((".service", ".socket"))]
    assert len(units) >= 2
    for block in units:
        text = re.sub(r"^(Exec\w+=)\S+", rf"\1{stack.FUTAIE.resolve()}", block.text, flags=re.MULTILINE)
        (folder / block.file.rpartition("/")[2]).write_text(text)
    run = subprocess.run([analyze, "verify", "--man=no", *sorted(folder.iterdir())], capture_output=True, text=True, timeout=20, check=False)
    complaints = [line for line in run.stderr.splitlines() if str(folder) in line or "futaie" in line]
    assert not complaints, run.stderr


# Names

def test_links():
    """Every link to a file or a heading of the project leads there"""
    by_path = {document.path.resolve(): document for document in DOCUMENTS}
    for document in DOCUMENTS:
        for line, target in document.links():
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (document.path.parent / path).resolve() if path else document.path
            assert file.exists(), f"{document}:{line}: there is no {path}"
            if anchor:
                assert file in by_path and anchor in by_path[file].anchors(), f"{document}:{line}: no heading of {path or 'this page'} is #{anchor}"


def make_targets():
    return set(re.findall(r"^([a-z-]+):.*## ", (stack.ROOT / "Makefile").read_text(), re.MULTILINE))


def make_knobs():
    return set(re.findall(r"^([A-Z_]+) *\?=", (stack.ROOT / "Makefile").read_text(), re.MULTILINE)) | {"SERVE_ARGS"}


def all_commands():
    """Every command in blocks and in inline code, with where it stands."""
    for document in DOCUMENTS:
        for block in document.blocks:
            for command, _ in block.commands() if block.language in documents.COMMANDS else []:
                yield str(block), command
        for line, piece in document.code():
            yield f"{document}:{line}", piece


def test_make():
    """Every target and knob of make that a document names is there"""
    targets, knobs, found = make_targets(), make_knobs(), 0
    for where, command in all_commands():
        for words in re.findall(r"^\s*(?:sudo )?make\b(.*)", command, re.MULTILINE):
            for word in words.partition("#")[0].split():
                name, is_knob, _ = word.partition("=")
                found += 1
                assert not re.fullmatch(r"[a-z-]+", word) or word in targets or words.startswith(" -C"), f"{where}: there is no target {word}"
                assert not is_knob or name in knobs, f"{where}: make knows no {name}"
    assert found > 20


INTERNAL = {"trial", "options"}        # subcommands that the program and make alone call
SUBCOMMANDS = re.findall(r"^ {2}([a-z]+) ", stack.run_futaie("--help").stdout, re.MULTILINE) if stack.FUTAIE.exists() else []


@pytest.fixture(scope="module")
def help_texts():
    return {name: stack.run_futaie(name, "--help").stdout for name in SUBCOMMANDS}


def test_options(help_texts):
    """Every subcommand, action and option of futaie that a document uses is in its help"""
    found = 0
    for where, command in all_commands():
        for name, words in re.findall(r"(?<![\w./-])(?<!-u )(?:build/|/usr/local/bin/)?futaie ([a-z]+)\b([^|;&<>\n]*(?:\\\n[^|;&<>\n]*)*)", command):
            if name in INTERNAL:
                continue
            assert name in help_texts, f"{where}: there is no futaie {name}"
            found += 1
            for option in re.findall(r"(?<!\S)(--[a-z][a-z-]*)", words):
                assert re.search(rf"{option}\b(?!-)", help_texts[name]), f"{where}: futaie {name} has no {option}"
            action = re.match(r" ([a-z]+)\b", words)
            if name in ("models", "keys") and action:
                assert re.search(rf"^ +{action[1]}\b", help_texts[name], re.MULTILINE), f"{where}: futaie {name} has no {action[1]}"
    assert found > 30


# Of curl, pytest, lighttpd's friends and others, in inline code.
OTHERS_OPTIONS = {"--http1.1", "--cacert", "--list", "--data-binary"}


def test_lone_options(help_texts):
    """Every option that stands alone in a sentence is one of futaie's"""
    known = set(re.findall(r"--[a-z][a-z-]*", "\n".join(help_texts.values()))) | OTHERS_OPTIONS
    for document in DOCUMENTS:
        for line, piece in document.code():
            if piece.startswith("--"):
                assert piece.split()[0].split("=")[0] in known, f"{document}:{line}: nothing has an option {piece}"


def api():
    return next(document for document in DOCUMENTS if document.name == "docs/api.md")


def table_rows(document):
    """The cells of every table's rows."""
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", text.strip().strip("|"))] for _, text in document.prose if text.startswith("|")]


def column(document, heading):
    """The inline code of the first column of the table whose first column has this heading."""
    texts = [text for _, text in document.prose]
    start = next(i for i, text in enumerate(texts) if text.startswith(f"| {heading} |")) + 2
    found = []
    for text in texts[start:]:
        if not text.startswith("|"):
            break
        found += re.findall(r"`([^`]+)`", text.split("|")[1])
    return found


def operations():
    return next(document for document in DOCUMENTS if document.name == "docs/operations.md")


def test_knobs():
    """Every knob in the table of docs/operations.md is one of the Makefile's, with its default"""
    makefile = (stack.ROOT / "Makefile").read_text()
    assert set(column(operations(), "knob")) <= make_knobs()
    for cells in table_rows(operations()):
        for name in re.findall(r"`([A-Z_]+)`", cells[0]) if len(cells) == 3 else []:
            default = re.search(rf"^{name} *\?= *([^#\n]*)", makefile, re.MULTILINE)
            assert not default or default[1].strip() in cells[1].split(", ") + [""], f"{name} is {default[1]}, not {cells[1]}"


def test_log_fields(place):
    """docs/operations.md has every field of the log, and no event that is not logged"""
    lines = [json.loads(line) for line in (place.folder / "build" / "log" / "futaie.log").read_text().splitlines()]
    fields, events = set(column(operations(), "field")), set(column(operations(), "event"))
    assert {name for line in lines for name in line} <= fields
    logged = set(re.findall(r'LOG_[A-Z]+,\s*"([a-z_]+)"', "\n".join(path.read_text() for path in SOURCE.glob("**/*.c")))) | {"request", "keep"}
    assert len(events) > 10 and events <= logged, events - logged


def test_error_codes():
    """docs/api.md has every error code that a client can see, under its status, and no other"""
    table = re.findall(r'\[ERR_\w+\] = \{"(\w+)", (\d+), \d+\}', (SOURCE / "base" / "err.c").read_text())
    assert len(table) > 30
    codes = {(code, status) for code, status in table if status not in ("200", "500")}
    written = {(code, cells[0][:3]) for cells in table_rows(api()) if re.match(r"[45]\d\d\b", cells[0]) for code in re.findall(r"`([a-z_0-9]+)`", cells[1])}
    assert written == codes


def test_web_server_codes():
    """Every other code that the documents show is one of the web server's"""
    table = re.findall(r'\[ERR_\w+\] = \{"(\w+)"', (SOURCE / "base" / "err.c").read_text())
    pages = [json.loads(path.read_text())["code"] for path in (stack.WEBSERVER / "errors").glob("*.html")]
    for document in DOCUMENTS:
        for status, code in re.findall(r"\b([45]\d\d),? `([a-z_]+)`", "\n".join(text for _, text in document.prose)):
            assert code in table or code in pages, f"{document}: there is no code {code} ({status})"
        for block in document.blocks:
            for code in re.findall(r'"code": ?"([a-z_0-9]+)"', block.text):
                assert code in table or code in pages, f"{block}: there is no code {code}"


def test_routes():
    """docs/api.md has every route of the router, and no other"""
    routes = {(method, path.replace("{name}", "NAME").replace("{version}", "V"))
              for method, path in re.findall(r'\{"(GET|POST|DELETE|PUT)", "(/[^"]*)"', (SOURCE / "serve" / "router.c").read_text())}
    assert len(routes) > 8
    written, before = set(), set()
    for cells in table_rows(api()):
        method, same, here = None, "the same with" in cells[0], set()
        for word, pattern in re.findall(r"\b(GET|POST|DELETE|PUT)\b|`(/[^`]*)`", cells[0]):
            method = word or method
            if pattern and method:
                paths = [path + pattern for _, path in before] if same and not here else spelled_out(pattern)
                here |= {(method, path) for path in paths}
        written |= here
        before = here if here and not same else before
    assert written - {("GET", "/")} == routes       # the page at / is the web server's


def spelled_out(pattern):
    """`/a[/b]/c` is `/a/c` and `/a/b/c`."""
    before, bracket, rest = pattern.partition("[")
    if not bracket:
        return [pattern]
    inside, _, after = rest.partition("]")
    return [before + end for end in (*spelled_out(after), *spelled_out(inside + after))]


def metric_names():
    """Names of metrics that the sources print, or the beginning of a name and `%s`."""
    return re.findall(r"\b((?:futaie|prediction|process)_[a-z0-9_]+)(%s)?", "\n".join(path.read_text() for path in SOURCE.glob("*/*.c")))


def test_metrics_exist():
    """Every metric that a document names is one of the program's"""
    known = {name for name, more in metric_names() if not more}
    beginnings = tuple(name for name, more in metric_names() if more)
    for document in DOCUMENTS:
        text = "\n".join([*(piece for _, piece in document.code()), *(block.text for block in document.blocks)])
        for name in re.findall(r"(?<![\w./-])((?:futaie|prediction|process)_[a-z0-9_]+)(?![\w*./(-])", text):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in known or base in known or name.startswith(beginnings), f"{document}: there is no metric {name}"


def test_metrics_documented(place):
    """docs/api.md names every metric that the server prints"""
    client = http.Client(place.server.http_port)
    text = client.get("/metrics").text()
    client.close()
    named = {piece for _, piece in api().code()}
    for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE):
        assert name in named or name.startswith("process_"), f"{name} is not in docs/api.md"
