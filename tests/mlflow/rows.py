"""rows.py - made-up rows as CSV, and futaie's commands on them"""
import json
import os
import subprocess

from lib import bits, stack

NAMES = ["rooms, all", "b", "crime"]
TARGET = "price"
QUICK = ("--rounds", "30", "--early-stopping", "0", "--period", "0", "--threads", "1", "--seed", "3", "--param", "max_depth=3")
# Enough that it is still under way when something happens to it, however fast the machine; no test waits for its end.
ENDLESS = ("--rounds", "1000000", "--early-stopping", "0", "--period", "0", "--threads", "1", "--param", "max_depth=2")


def made_up(count=400):
    """Rows with a missing value here and there; each number is a float32 that its text gives back."""
    state, rows = 9, []
    for _ in range(count):
        row = []
        for _ in NAMES:
            state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
            row.append((state >> 44) / 1024 - 512)
        y = row[0] * 2 + abs(row[1]) - row[2] / 7
        row[2] = None if state % 11 == 0 else row[2]
        rows.append((row, y))
    return rows


def write(rows):
    path = stack.scratch("csv") / "rows.csv"
    lines = [",".join(['"rooms, all"', "b", "crime", TARGET])]
    lines += [",".join("" if cell is None else repr(cell) for cell in [*row, y]) for row, y in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def train(store, data, url, *words, name="house", environment=None, target=TARGET, timeout_s=120):
    return stack.run_futaie("train", "--models", store, "--data", data, "--target", target, "--name", name, *words,
                            *(("--mlflow", url) if url else ()), environment=environment, timeout_s=timeout_s)


def start(store, data, url, *words):
    """The same, under way. The caller ends it."""
    return subprocess.Popen([str(stack.FUTAIE), "train", "--models", str(store), "--data", str(data), "--target", TARGET, "--name", "house", *words,
                             "--mlflow", url], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, **stack.SANITIZER_OPTIONS}, preexec_fn=stack.die_with_parent)


def run_id(stderr):
    """Of "MLflow run ID in the experiment …"."""
    return next(line.split()[2] for line in stderr.splitlines() if line.startswith("MLflow run "))


def predicted(store, spec, names, rows):
    """The bits of what futaie predict answers."""
    objects = "".join(json.dumps(dict(zip(names, row))) + "\n" for row in rows)
    done = stack.run_futaie("predict", spec, "--models", store, "--json", stdin=objects)
    assert done.returncode == 0, done
    values = [json.loads(line, parse_float=str, parse_int=str) for line in done.stdout.splitlines()]
    flat = [number for value in values for number in (value if isinstance(value, list) else [value])]
    return [bits.of(number) for number in flat]


def manifest(store, name, version):
    return json.loads((store.path / name / version / "manifest.json").read_text())
