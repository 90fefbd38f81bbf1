"""commands.py - futaie models and futaie train as a user runs them, and what a model store must look like after each"""
import contextlib
import json
import os
import subprocess

from lib import models, need, stack

ACTIONS = ("list", "show", "verify", "promote", "rollback", "alias", "import", "remove")
NOBODY = 65534


def futaie_models(store, *words, **options):
    """`futaie models …` on this store, to its end."""
    return stack.run_futaie("models", *words, "--models", store, **options)


def done(run):
    """What a command printed that must succeed."""
    assert run.returncode == 0, run
    return run.stdout


def refused(run, *hints, status=1):
    """What a command that must fail printed to standard error; its last line is a sentence of the command's own."""
    assert run.returncode == status, run
    assert run.stderr.splitlines()[-1].startswith(("futaie models: ", "futaie train: ")) or status == 2, run
    for hint in hints:
        assert str(hint) in run.stderr, f'"{hint}" is not in: {run.stderr}'
    return run.stderr


def listed(store):
    """Every model of `futaie models list --json`: name → its versions and aliases."""
    found = json.loads(done(futaie_models(store, "list", "--json")))["models"]
    return {model["name"]: model for model in found}


def versions(store, name):
    return listed(store)[name]["versions"] if name in listed(store) else []


def aliases(store, name):
    return listed(store)[name]["aliases"]


def model_file(fixture):
    """The model file of a fixture."""
    (path,) = (models.FIXTURES / fixture / "1").glob("model.*")
    return path


def crashing_file():
    """A UBJSON model whose first split asks for a feature far beyond the row: libxgboost 1.7.4 dies of it by SIGSEGV when it predicts."""
    return with_integers({"split_indices": 0x7FFFFFFF})


def hanging_file():
    """A UBJSON model whose root is its own child: libxgboost 1.7.4 goes round in circles when it predicts."""
    return with_integers({"left_children": 0, "right_children": 0})


def with_integers(changes, fixture="reg-squarederror"):
    """A UBJSON fixture with another first number in these arrays of its first tree."""
    data = bytearray(model_file(fixture).read_bytes())
    for name, number in changes.items():
        mark = f"{name}[$l#L".encode()
        at = data.index(mark) + len(mark) + 8
        data[at:at + 4] = number.to_bytes(4, "big")
    return bytes(data)


def add(store, fixture, name, *words):
    """Imports a fixture and gives back the number of the new version."""
    said = done(futaie_models(store, "import", name, model_file(fixture), *words))
    return said.split(" version ")[1].split(" ")[0]


def snapshot(store):
    """Every file and folder of a store: path → contents."""
    found = {}
    for folder, _, names in os.walk(str(store)):
        found[os.path.relpath(folder, str(store))] = None
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, str(store))] = file.read()
    return found


def leftovers(store):
    """What lies in a store and belongs to no model: hidden folders, and hidden files of the models."""
    return sorted(path for path in snapshot(store) if any(part.startswith(".") and part != "." for part in path.split(os.sep)))


def is_sound(store):
    """Says so by the commands: every model can be listed, every version proven, and what is to be served can be."""
    found = listed(store)
    for name, model in found.items():
        assert set(model["aliases"].values()) <= set(model["versions"]), f"{name}: an alias names a version that is not there: {model}"
        if model["versions"]:
            done(futaie_models(store, "verify", name))
    if any("champion" in model["aliases"] for model in found.values()):
        checked = stack.run_futaie("serve", "-t", "--models", store)
        assert checked.returncode == 0, checked
    return found


# Stores of a test's own file system

class Mount:
    """A small tmpfs, in a mount namespace that ends with it. `path` leads there from outside."""

    def __init__(self, size):
        unshare = need.mount_namespaces()
        self.folder = stack.scratch("mount").resolve()
        self.process = subprocess.Popen(
            [unshare, "--mount", "--propagation", "private", "sh", "-euc",
             'mount -t tmpfs -o "size=$1,mode=755" none "$2"; echo mounted; exec cat', "sh", str(size), self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=stack.die_with_parent)
        assert self.process.stdout.readline() == "mounted\n", "the file system could not be mounted"
        self.path = f"/proc/{self.process.pid}/root{self.folder}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate(timeout=10)

    def remount(self, options):
        """With other options, ro or rw for example."""
        subprocess.run(["nsenter", "--mount", f"--target={self.process.pid}", "mount", "-o", f"remount,{options}", self.folder],
                       check=True, timeout=10)

    def free_pages(self):
        found = os.statvfs(self.path)
        return found.f_bavail

    @contextlib.contextmanager
    def filled(self, but):
        """A file takes up all pages but so many."""
        ballast = os.path.join(self.path, ".ballast")
        page = os.statvfs(self.path).f_bsize
        with open(ballast, "wb") as file:
            file.write(b"\1" * (max(0, self.free_pages() - but) * page))
        yield
        os.unlink(ballast)
