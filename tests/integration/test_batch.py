"""test_batch.py - futaie predict: XGBoost's bits from files and pipes, in order, with sentences for what is wrong, in constant memory"""
import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from lib import bits, models, stack
from lib.models import CALIFORNIA, EXAMPLE, EXAMPLE_OBJECT, FEATURES

HEADER = ",".join(FEATURES)
ROW = ",".join(map(str, EXAMPLE))
ROWS = (models.DATA / "golden_rows.csv").read_text()
EXAMPLE_LINE = (models.DATA / "california_example.txt").read_text()


def predict(*words, stdin=b"", models_dir=models.SHIPPED, **options):
    """`futaie predict --models DIR …` to its end; standard input is text, bytes or a file."""
    given = {"input": stdin.encode() if isinstance(stdin, str) else stdin} if isinstance(stdin, (str, bytes)) else {"stdin": stdin}
    run = subprocess.run(argv(*words, models_dir=models_dir), env=environment(), timeout=60, check=False,
                         **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **given, **options})
    run.stdout, run.stderr = (run.stdout or b"").decode(), (run.stderr or b"").decode()
    return run


def argv(*words, models_dir=models.SHIPPED):
    return [str(stack.FUTAIE), "predict", "--models", str(models_dir), *map(str, words)]


def environment():
    return {**os.environ, **stack.SANITIZER_OPTIONS}


def lines(*words, **options):
    """What is printed for rows that are right."""
    run = predict(*words, **options)
    assert run.returncode == 0 and run.stderr == "", run
    return run.stdout


def refusal(*words, status=1, **options):
    """The sentence of a refusal, and how many lines were printed before it."""
    run = predict(*words, **options)
    assert run.returncode == status, run
    assert run.stderr.startswith("futaie predict: ") and run.stderr.count("\n") == 1, run.stderr
    return run.stderr.removeprefix("futaie predict: ").rstrip("\n"), run.stdout.count("\n")


def written(text, name="rows.csv"):
    path = stack.scratch("batch") / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def golden_lines():
    """The golden rows' predictions as python3-xgboost made them: bits."""
    return [bits.of(line) for line in (models.DATA / "golden_predictions.txt").read_text().split()]


def golden_cells():
    return [[float(cell) if cell else None for cell in row] for row in list(csv.reader(io.StringIO(ROWS)))[1:]]


def many_rows(count):
    """Golden rows in an order that does not repeat with the blocks: the CSV, and the number of each row."""
    rows = ROWS.splitlines()[1:]
    numbers = [i * 7919 % 1999 for i in range(count)]
    return "\n".join([HEADER, *(rows[number] for number in numbers)]) + "\n", numbers


# The same bits as XGBoost

def test_golden_rows():
    """The golden rows from a CSV file give the bits that python3-xgboost gave"""
    printed = lines(CALIFORNIA, models.DATA / "golden_rows.csv").splitlines()
    assert [bits.of(line) for line in printed] == golden_lines()


def test_golden_rows_as_json_lines():
    """The golden rows as JSON lines, arrays and objects, give the bits that python3-xgboost gave"""
    cells = golden_cells()
    text = "".join(json.dumps(row if i % 2 else dict(reversed(list(zip(FEATURES, row))))) + "\n" for i, row in enumerate(cells))
    assert [bits.of(line) for line in lines(CALIFORNIA, stdin=text).splitlines()] == golden_lines()


def of_line(line, as_json):
    """Bits of a printed line: a number or a list, None for what is not finite."""
    if as_json:
        return bits.of_all(bits.loads(line))
    found = [None if cell in ("nan", "inf", "-inf") else bits.of(cell) for cell in line.split(",")]
    return found if len(found) > 1 else found[0]


@pytest.mark.limit(60)
@pytest.mark.parametrize("name", models.fixture_names())
def test_every_objective(name):
    """Values and margins are XGBoost's bit for bit, from CSV and from JSON lines"""
    expected = json.loads(models.expected(name))
    texts = bits.loads(models.expected(name))
    features = [feature["name"] for feature in json.loads((models.FIXTURES / name / "1" / "manifest.json").read_text())["features"]]
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerows([features, *([["" if cell is None else cell for cell in row] for row in expected["rows"]])])
    as_csv = table.getvalue()
    as_lines = "".join(json.dumps(row) + "\n" for row in expected["rows"])
    for output, key in (("value", "predictions"), ("margin", "margins")):
        for text, words in ((as_csv, []), (as_lines, ["--json"])):
            printed = lines(name, "--output", output, *words, stdin=text, models_dir=models.FIXTURES).splitlines()
            given = [of_line(line, bool(words)) for line in printed]
            assert given == [each if not isinstance(each, list) or len(each) > 1 else each[0] for each in bits.of_all(texts[key])], (output, words)


# What is printed

def test_one_row():
    """A row's line is the shortest decimal and nothing else"""
    assert lines(CALIFORNIA, stdin=f"{HEADER}\n{ROW}\n") == EXAMPLE_LINE


def test_several_outputs():
    """Several outputs are separated by commas, and with --json an array"""
    rows = json.loads(models.expected("multi-softprob"))["rows"][1:3]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    plain = lines("multi-softprob", stdin=text, models_dir=models.FIXTURES)
    assert re.fullmatch(r"([0-9.e-]+,[0-9.e-]+,[0-9.e-]+\n){2}", plain), plain
    assert lines("multi-softprob", "--json", stdin=text, models_dir=models.FIXTURES) == "".join(f"[{line}]\n" for line in plain.split())


def test_not_finite():
    """What is not finite is nan, inf or -inf, and with --json null"""
    text = "[3e38, 3e38, 3e38, 3e38, 3e38]\n[-3e38, -3e38, -3e38, -3e38, -3e38]\n"
    one, several = "reg-squarederror-gblinear", "multi-softprob-gblinear"
    assert lines(one, stdin=text, models_dir=models.FIXTURES) == "inf\n-inf\n"
    assert lines(one, "--json", stdin=text, models_dir=models.FIXTURES) == "null\nnull\n"
    assert lines(several, stdin=text, models_dir=models.FIXTURES) == "nan,nan,nan\n" * 2
    assert lines(several, "--json", stdin=text, models_dir=models.FIXTURES) == "[null,null,null]\n" * 2


# Where rows come from

def test_sources():
    """FILE, standard input, - and a pipe give the same"""
    path = written(f"{HEADER}\n{ROW}\n")
    assert lines(CALIFORNIA, path) == lines(CALIFORNIA, stdin=path.read_bytes()) == lines(CALIFORNIA, "-", stdin=path.read_bytes()) == EXAMPLE_LINE
    with open(path, "rb") as file:
        assert lines(CALIFORNIA, stdin=file) == EXAMPLE_LINE


def test_rest_of_a_file():
    """Of standard input that was read in part, the rest is read"""
    path = written(f"a line for somebody else\n{HEADER}\n{ROW}\n")
    with open(path, "rb", buffering=0) as file:
        file.seek(len("a line for somebody else\n"))
        assert lines(CALIFORNIA, stdin=file) == EXAMPLE_LINE


def test_row_by_row():
    """A row of a slow writer is answered before the next one comes"""
    process = subprocess.Popen(argv(CALIFORNIA), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
    try:
        process.stdin.write(f"{HEADER}\n".encode())
        for _ in range(3):
            process.stdin.write(f"{ROW}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().decode() == EXAMPLE_LINE
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


FORMS = {
    "LF": f"{HEADER}\n{ROW}\n{ROW}\n", "CRLF": f"{HEADER}\r\n{ROW}\r\n{ROW}\r\n", "CR only": f"{HEADER}\r{ROW}\r{ROW}\r",
    "mixed line ends": f"{HEADER}\r\n{ROW}\n{ROW}\r", "no end of the last line": f"{HEADER}\n{ROW}\n{ROW}", "a byte order mark": f"\ufeff{HEADER}\n{ROW}\n{ROW}\n",
    "empty lines": f"\n\r\n{HEADER}\n\n\n{ROW}\r\r{ROW}\n\n", "quoted cells": f"{HEADER}\n" + ",".join(f'"{cell}"' for cell in EXAMPLE) + f"\n{ROW}\n",
    "a quoted header": ",".join(f'"{name}"' for name in FEATURES) + f"\n{ROW}\n{ROW}\n", "blanks around cells": f"{HEADER.replace(',', ' , ')}\n{ROW.replace(',', ' ,')}\n{ROW}\n",
    "columns in another order": ",".join(reversed(FEATURES)) + "\n" + (",".join(map(str, reversed(EXAMPLE))) + "\n") * 2,
    "JSON lines": f"{json.dumps(EXAMPLE)}\n{json.dumps(EXAMPLE_OBJECT)}\n", "JSON lines with blank ones": f" \n\r\n{json.dumps(EXAMPLE)}\r\n\t\n  {json.dumps(EXAMPLE)}",
    "JSON lines behind a byte order mark": f"\ufeff{json.dumps(EXAMPLE)}\r{json.dumps(EXAMPLE)}\r",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_form(text):
    """Every form of two rows is read rightly"""
    assert lines(CALIFORNIA, stdin=text) == EXAMPLE_LINE * 2


# What is wrong with rows

def with_cell(number, value, row=ROW):
    cells = row.split(",")
    cells[number] = value
    return ",".join(cells)


WRONG = {
    "nothing at all": ("", "standard input is empty", 0),
    "only empty lines": ("\n\r\n \n", "standard input is empty", 0),
    "a header without rows": (f"{HEADER}\n", "there are no rows", 0),
    "a bad cell": (f"{HEADER}\n{ROW}\n{with_cell(3, 'many')}\n{ROW}\n", 'line 3, column 4, feature "AveBedrms": expected a number, found "many"', 1),
    "a bad cell behind a cell of two lines": (f"{HEADER}\r\n" + with_cell(1, '"\n"') + "\r\n", 'line 2, column 2, feature "HouseAge"', 0),
    "a bad cell behind CR only": (f"{HEADER}\r{ROW}\r{with_cell(0, 'x')}\r", 'line 3, column 1, feature "MedInc"', 1),
    "Infinity": (f"{HEADER}\n{with_cell(7, 'inf')}\n", 'line 2, column 8, feature "Longitude": "inf" is not a value a feature can have', 0),
    "a number beyond float32": (f"{HEADER}\n{with_cell(7, '1e39')}\n", 'line 2, column 8, feature "Longitude": 1e39 is beyond float32', 0),
    "a cell too few": (f"{HEADER}\n{ROW}\n1,2\n", "line 3 has 2 cells; the header has 8", 1),
    "a cell too many": (f"{HEADER}\n{ROW},1\n", "line 2 has more than 8 cells", 0),
    "a missing column": (f"{HEADER.removesuffix(',Longitude')}\n{ROW}\n", 'line 1: the header lacks the feature "Longitude"', 0),
    "an extra column": (f"{HEADER},id\n{ROW},7\n", 'line 1, column 9: the header names "id"', 0),
    "a repeated column": (f"{HEADER},MedInc\n{ROW},7\n", 'line 1, column 9: the header names "MedInc" twice', 0),
    "no header": (f"{ROW}\n{ROW}\n", 'line 1, column 1: the header names "8.3252"', 0),
    "another separator": (f"{HEADER}\n{ROW}\n".replace(",", ";"), "line 1, column 1: the header names", 0),
    "a quote that does not close": (f'{HEADER}\n{ROW}\n"{ROW}\n{ROW}\n', "line 3, column 1: a quoted cell does not end", 1),
    "text behind a quote": (f"{HEADER}\n" + with_cell(2, '"1"2') + "\n", "line 2, column 3: text stands behind the closing quote", 0),
    "UTF-16": (f"{HEADER}\n{ROW}\n".encode("utf-16"), "line 1, column 1: the name is too long or not valid UTF-8", 0),
    "a JSON line that is cut": (f"{json.dumps(EXAMPLE)}\n[1, 2\n", "line 2, column 6: the JSON text ends too early", 1),
    "a JSON line with a value too few": (f"\n{json.dumps(EXAMPLE)}\n[1, 2]\n", "line 3 has 2 values; the model has 8 features: MedInc", 1),
    "a JSON line with a string": (json.dumps([*EXAMPLE[:7], "west"]), 'line 1, feature "Longitude", column 51: expected a number, found a string', 0),
    "a JSON line without a feature": (json.dumps({name: 1 for name in FEATURES[1:]}), 'line 1: the feature "MedInc" is missing', 0),
    "a JSON line with an extra feature": (json.dumps({**EXAMPLE_OBJECT, "id": 1}), 'line 1: the model has no feature "id"', 0),
    "a JSON line with a feature twice": ('{"MedInc": 1, "MedInc": 1}', 'line 1: the feature "MedInc" stands twice', 0),
    "a JSON line with Infinity": ("[" + ROW.replace("41", "Infinity") + "]", 'line 1, feature "HouseAge", column 9: Infinity is not a value', 0),
    "two rows in a JSON line": (f"{json.dumps(EXAMPLE)} {json.dumps(EXAMPLE)}", "expected the end of the JSON text", 0),
    "a request's body": (json.dumps({"features": [EXAMPLE]}), 'line 1: the model has no feature "features"', 0),
}


@pytest.mark.parametrize("text, sentence, before", WRONG.values(), ids=WRONG.keys())
def test_wrong(text, sentence, before):
    """What is wrong is named by line and column, behind the rows before it"""
    said, printed = refusal(CALIFORNIA, stdin=text)
    assert sentence in said, said
    assert printed == before, f"{printed} lines were printed, {before} rows stand before"
    path = written(text)
    said, printed = refusal(CALIFORNIA, path)
    assert sentence.replace("standard input", str(path)) in said and str(path) in said and printed == before, said


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_wrong_far_behind(threads):
    """A wrong cell far behind is named by its line, and the rows before it, and no others, are answered"""
    text, numbers = many_rows(30_000)
    rows = text.split("\n")
    rows[20_001] = with_cell(2, "?", rows[20_001])
    rows[25_000] = "worse"
    run = predict(CALIFORNIA, "--threads", threads, stdin="\r\n".join(rows))
    assert run.returncode == 1 and 'line 20002, column 3, feature "AveRooms"' in run.stderr, run.stderr
    golden = golden_lines()
    assert [bits.of(line) for line in run.stdout.splitlines()] == [golden[number] for number in numbers[:20_000]]


# Which model

@pytest.fixture(scope="module")
def store():
    """A model with versions 1, 2 and 5, where the champion is 2, and one without a champion."""
    made = models.Store()
    for version, fixture in (("1", "reg-squarederror"), ("2", "binary-logistic"), ("5", "count-poisson")):
        made.fixture(fixture, name="sizes", version=version)
    made.aliases("sizes", champion="2", challenger="5", lost="9")
    return made.fixture("reg-gamma", champion=False)


@pytest.mark.parametrize("spec, fixture", [("sizes", "binary-logistic"), ("sizes@champion", "binary-logistic"), ("sizes@challenger", "count-poisson"),
                                           ("sizes/1", "reg-squarederror"), ("sizes/5", "count-poisson"), ("reg-gamma/1", "reg-gamma")])
def test_spec(store, spec, fixture):
    """NAME, NAME@ALIAS and NAME/VERSION answer with the version that they mean"""
    text = "".join(json.dumps(row) + "\n" for row in json.loads(models.expected(fixture))["rows"])
    assert lines(spec, stdin=text, models_dir=store) == lines(f"{fixture}/1", stdin=text, models_dir=models.FIXTURES)


@pytest.mark.parametrize("spec, status, hints", [
    ("houses", 1, ['no model "houses"', "reg-gamma, sizes"]), ("sizes@best", 1, ['no alias "best"', "champion (version 2), challenger (version 5)", "1, 2, 5"]),
    ("sizes/3", 1, ["no version 3", "1, 2, 5"]), ("sizes@lost", 1, ["no version 9", "alias lost"]), ("reg-gamma", 1, ['no alias "champion"', "its versions are: 1"]),
    ("sizes/x", 2, ["NAME@ALIAS or NAME/VERSION"]), ("sizes@", 2, ["NAME@ALIAS or NAME/VERSION"]), ("../sizes", 2, ["NAME@ALIAS or NAME/VERSION"]), ("", 2, ["NAME@ALIAS"]),
])
def test_unknown(store, spec, status, hints):
    """A model, alias or version that is not there is refused with what there is"""
    said, _ = refusal(spec, status=status, models_dir=store)
    assert all(hint in said for hint in hints), said


def test_unproven():
    """A version that cannot be proven answers nothing"""
    store = models.Store().california()
    store.flip_byte(CALIFORNIA)
    said, printed = refusal(CALIFORNIA, stdin=ROWS, models_dir=store)
    assert "sha256" in said and printed == 0, said


def test_no_store():
    """A store that is not there is named"""
    said, _ = refusal(CALIFORNIA, models_dir="/nonexistent/models")
    assert "/nonexistent/models" in said, said


# Usage

@pytest.mark.parametrize("words", [[], [CALIFORNIA, "a", "b"], ["--colour", CALIFORNIA], [CALIFORNIA, "--output", "both"], [CALIFORNIA, "--threads", "257"], [CALIFORNIA, "--json=1"]],
                         ids=["no model", "an operand too many", "an unknown option", "an unknown output", "too many threads", "a value for a flag"])
def test_usage(words):
    """Wrong usage exits 2 with a sentence"""
    refusal(*words, status=2)


def test_no_file():
    """A file that is not there, and a folder, are named"""
    for path, why in (("/nonexistent/rows.csv", "No such file"), (str(models.DATA), "Is a directory")):
        said, _ = refusal(CALIFORNIA, path)
        assert path in said and why in said, said


# Order, and ends that are not the end of the input

@pytest.mark.limit(60)
@pytest.mark.parametrize("threads", [0, 1, 3, 16])
def test_order(threads):
    """100,000 rows are answered in their order, whatever the number of threads"""
    text, numbers = many_rows(100_000)
    alone = lines(CALIFORNIA, stdin=ROWS).splitlines()
    printed = lines(CALIFORNIA, "--threads", threads, written(text)).splitlines()
    assert printed == [alone[number] for number in numbers]


@pytest.mark.limit(60)
def test_order_of_json_lines():
    """JSON lines through a pipe are answered in their order"""
    cells, alone = golden_cells(), lines(CALIFORNIA, stdin=ROWS).splitlines()
    numbers = [i * 7919 % 1999 for i in range(60_000)]
    texts = [json.dumps(row) for row in cells]
    assert lines(CALIFORNIA, stdin="\n".join(texts[number] for number in numbers)).splitlines() == [alone[number] for number in numbers]


def test_full_disk():
    """A full disk is a failure with a sentence"""
    with open("/dev/full", "wb") as full:
        said, _ = refusal(CALIFORNIA, stdin=ROWS, stdout=full)
    assert said == "cannot write the predictions: No space left on device", said


def test_closed_pipe():
    """A reader that goes away, head for example, ends it quietly"""
    text, _ = many_rows(50_000)
    process = subprocess.Popen(argv(CALIFORNIA, written(text)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment())
    assert process.stdout.readline() != b""
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(20) == 1 and said == "", said


def test_closed_pipe_while_rows_are_awaited():
    """A reader that goes away ends it though more rows may come"""
    process = subprocess.Popen(argv(CALIFORNIA), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    try:
        process.stdin.write(f"{HEADER}\n{ROW}\n".encode())
        process.stdin.flush()
        assert process.stdout.readline().decode() == EXAMPLE_LINE
        process.stdout.close()
        process.stdin.write(f"{ROW}\n".encode())
        process.stdin.flush()
        assert process.wait(10) == 1
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stderr.close()


def test_kill():
    """SIGTERM and SIGINT end it at once, and what was printed is right"""
    text, numbers = many_rows(200_000)
    path, golden = written(text), golden_lines()
    for number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(argv(CALIFORNIA, path), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment())
        first = process.stdout.readline()
        process.send_signal(number)
        rest = process.stdout.read()
        process.stdout.close()
        assert process.wait(10) == -number
        whole = (first + rest).decode().split("\n")[:-1]
        assert len(whole) < len(numbers)
        assert [bits.of(line) for line in whole] == [golden[number] for number in numbers[:len(whole)]]


# Memory

def peak_kib(rows):
    """Peak of the resident memory over so many rows, which come through a pipe that stays open until it was looked at."""
    block = "\n".join(ROWS.splitlines()[1:]) + "\n"
    path = stack.scratch("batch") / "out"
    with open(path, "wb") as out:
        process = subprocess.Popen(argv(CALIFORNIA), stdin=subprocess.PIPE, stdout=out, env=environment())
    try:
        process.stdin.write(f"{HEADER}\n".encode())
        for _ in range(rows // 2000):
            process.stdin.write(block.encode())
        process.stdin.flush()
        expected = len(lines(CALIFORNIA, stdin=ROWS)) * (rows // 2000)
        stack.wait_for("all rows to be answered", lambda: path.stat().st_size == expected, 40)
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
            peak = int(re.search(r"^VmHWM:\s+(\d+)", status.read(), re.MULTILINE)[1])
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    return peak


@pytest.mark.measures
@pytest.mark.limit(90)
def test_constant_memory():
    """A million rows take the memory of a hundred thousand, and less than 60 MB"""
    few, many = peak_kib(100_000), peak_kib(1_000_000)
    assert many <= few + 4096, f"{few} KiB for 100,000 rows, {many} KiB for 1,000,000"
    assert many * 1024 < 60_000_000, f"{many} KiB"


# The terminal

READER_WAITS_S = 1.2


def on_a_terminal(*words, stdout_too=False, **options):
    """Runs it with standard error on a terminal: exit status, and all that was written there. Its predictions go to one who takes a
    while to read on: however fast it is, there is time for a bar."""
    master, slave = pty.openpty()
    # A shell, not a thread, so that there is nothing to join where it fails.
    reader = subprocess.Popen(["sh", "-c", f"sleep {READER_WAITS_S}; exec cat >/dev/null"], stdin=subprocess.PIPE)
    process = subprocess.Popen(argv(*words), stdout=slave if stdout_too else reader.stdin, stderr=slave, env=environment(), **{"stdin": subprocess.DEVNULL, **options})
    reader.stdin.close()
    os.close(slave)
    seen, deadline = b"", time.monotonic() + 25
    while time.monotonic() < deadline:
        try:
            seen += os.read(master, 65536)
        except OSError:         # the last writer has gone
            break
    os.close(master)
    reader.wait(5)
    return process.wait(5), seen.decode()


def test_progress():
    """On a terminal a bar shows share, rows, rate and time left, and ends with a line of its own"""
    count = 60_000
    text, _ = many_rows(count)
    path = written(text)
    for words, options in (((CALIFORNIA, path), {}), ((CALIFORNIA,), {"stdin": open(path, "rb")})):
        status, seen = on_a_terminal(*words, **options)
        assert status == 0, seen
        *shown, last = seen.removesuffix("\r\n").split("\r")[1:]
        assert shown and all(re.match(r" *\d+% \[=*>? *\] [0-9,]+ rows", line) for line in shown), seen
        assert any(re.search(r"[0-9,]+ rows/s  \S+( s)? left", line) for line in shown), seen
        assert re.fullmatch(rf"100% \[=+\] {count:,} rows  [0-9,]+ rows/s  in \d+ s *", last), seen
        assert seen.count("\n") == 1 and all(len(line) < 80 for line in shown), seen
        for stream in options.values():
            stream.close()


def test_progress_is_erased():
    """A sentence takes the place of the bar"""
    text, _ = many_rows(100_000)
    status, seen = on_a_terminal(CALIFORNIA, written(text + "1,2\n"))
    assert status == 1, seen
    assert re.search(r"\r +\rfutaie predict: \S+: line 100002 has 2 cells; the header has 8\r\n$", seen), seen


def test_no_progress():
    """There is no bar for a pipe, and none among predictions on the terminal"""
    assert on_a_terminal(CALIFORNIA, models.DATA / "golden_rows.csv", stdout_too=True)[1] == lines(CALIFORNIA, stdin=ROWS).replace("\n", "\r\n")
    with subprocess.Popen(["cat", models.DATA / "golden_rows.csv"], stdout=subprocess.PIPE) as cat:
        assert on_a_terminal(CALIFORNIA, stdin=cat.stdout) == (0, "")


def test_rows_from_a_terminal():
    """Who types rows is told once what to type"""
    master, slave = pty.openpty()
    process = subprocess.Popen(argv(CALIFORNIA), stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    os.close(slave)
    os.write(master, f"{json.dumps(EXAMPLE)}\n".encode())
    assert process.stdout.readline().decode() == EXAMPLE_LINE
    os.write(master, b"\4")     # Ctrl-D
    rest, said = process.communicate(timeout=10)
    os.close(master)
    assert process.returncode == 0 and rest == b"", said
    assert said.decode().count("\n") == 1 and "JSON lines" in said.decode() and "Ctrl-D" in said.decode(), said
