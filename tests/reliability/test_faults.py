"""test_faults.py - commands that are killed at each of their steps, or whose disk fails there: the store is never half-changed

lib/fault.c counts the calls of a command that change files, and lets the N-th one be the last, or fail. Each test runs its command for
N = 1, 2, 3, … until it gets through, on a fresh copy of the same store, and looks at the store afterwards.
"""
import concurrent.futures
import errno
import json
import os
import shutil
import signal

import pytest

from lib import commands, fault, models, stack
from lib.commands import add, done, futaie_models

pytestmark = [pytest.mark.skipif(bool(stack.SANITIZED), reason="a sanitizer wants to be loaded first"), pytest.mark.limit(60)]

MODEL = "house"
OTHER = "garden"
FIXTURE = "reg-squarederror-gblinear"       # a small file
MOST_STEPS = 100
TAKE_ROOM = ("open", "open64", "write", "rename", "mkdir", "mkdtemp")


@pytest.fixture(scope="module")
def library():
    return fault.build()


@pytest.fixture(scope="module")
def template():
    """Versions 1 to 3, champion 2, previous 1, and a file that a killed command has left."""
    store = models.Store("template")
    for _ in range(3):
        add(store, FIXTURE, MODEL)
    for words in (("promote", MODEL, "1"), ("promote", MODEL, "2"), ("alias", MODEL, "candidate", "1")):
        done(futaie_models(store, *words))
    (store.path / MODEL / "3" / "proof.json").unlink()      # so that a promotion has to write it
    (store.path / MODEL / ".aliases.json.new").write_text('{"champ')
    return store


@pytest.fixture(scope="module")
def littered(template):
    """The same, with what a killed import and a killed removal have left."""
    store = copied(template)
    for folder in (".futaie-new-killed", f".futaie-old-{MODEL}-9"):
        shutil.copytree(store.folder(MODEL, "1"), store.path / folder / MODEL / "9")
    return store


IMPORT = ("import", MODEL, commands.model_file(FIXTURE))
PROMOTE = ("promote", MODEL, "3")
ALIAS = ("alias", MODEL, "candidate", "3")

# A command, and the one that comes next.
CHANGES = {
    "promote": (PROMOTE, PROMOTE),
    "rollback": (("rollback", MODEL), PROMOTE),
    "import": (IMPORT, IMPORT),
    "import of a new model": (("import", OTHER, commands.model_file(FIXTURE)), IMPORT),
    "import and promote": ((*IMPORT, "--promote", "--unproven"), IMPORT),
    "remove": (("remove", MODEL, "3"), IMPORT),
    "alias": (ALIAS, ALIAS),
    "drop an alias": (("alias", "--drop", MODEL, "candidate"), ALIAS),
}
DISK = ("promote", "import", "remove", "alias")


def state(store):
    """What the commands tell of the store."""
    return {name: (model["versions"], model["aliases"]) for name, model in commands.listed(store).items()}


def copied(template):
    store = models.Store("faults")
    shutil.copytree(template.path, store.path, dirs_exist_ok=True)
    return store


def with_fault(library, store, words, step, error=None, lasting=False):
    """Runs a command with a fault at one of its steps; gives back how it ended, and the steps that it did."""
    trace = stack.scratch("trace").resolve() / "trace"
    environment = {"LD_PRELOAD": str(library), "FAULT_AT": str(step), "FAULT_TRACE": str(trace)}
    environment |= {"FAULT_ERRNO": str(error)} if error else {}
    environment |= {"FAULT_LASTING": "1"} if lasting else {}
    run = futaie_models(store, *words, environment=environment)
    return run, trace.read_text().splitlines() if trace.exists() else []


def possible(template, words):
    """The store before the command and after it, where nothing goes wrong; a step between two changes leaves the first."""
    store = copied(template)
    found = [state(store)]
    if "--promote" in words:
        done(futaie_models(store, *[word for word in words if not str(word).startswith("--")]))
        found.append(state(store))
        store = copied(template)
    done(futaie_models(store, *words))
    return [*found, state(store)]


def at_each_step(library, template, words, look, **fault):
    """Runs the command with a fault at step 1, 2, 3, … until it gets through, and has each store looked at: look(store, run, step). Two at a time."""
    run, steps = with_fault(library, copied(template), words, 0)
    assert run.returncode == 0 and 5 < len(steps) < MOST_STEPS, f"{run} in {steps}"

    def one(step):
        store = copied(template)
        run, done_steps = with_fault(library, store, words, step, **fault)
        assert len(done_steps) >= step, f"step {step} was not reached: {run}, {done_steps}"
        return look(store, run, done_steps[step - 1])

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(one, range(1, len(steps) + 1)))
    run, again = with_fault(library, copied(template), words, len(steps) + 1, **fault)
    assert run.returncode == 0 and len(again) == len(steps), f"it did not get through: {run}, {again}"
    return found


def check(store, expected, following, where):
    """It is one of the expected stores, can be served, and the next command works on it and uses no number twice."""
    found = state(store)
    assert found in expected, f"after {where}: {found}"
    text = (store.path / MODEL / "aliases.json").read_text()
    assert json.loads(text) == found[MODEL][1], f"after {where}: {text}"
    served = stack.run_futaie("serve", "-t", "--models", store)
    assert served.returncode == 0, f"after {where}: {served}"
    said = done(futaie_models(store, *following))
    if following is IMPORT:
        number = int(said.split(" version ")[1].split(" ")[0])
        assert number > max(map(int, expected[0][MODEL][0] + found[MODEL][0])), f"after {where}: {said}"
    assert [path for path in os.listdir(store.path) if path.startswith(".")] == [], f"after {where} and the next command"
    untouched(store, expected[0][MODEL][0], where)
    for name, (versions, _) in state(store).items():
        done(futaie_models(store, "verify", f"{name}/{versions[-1]}"))
    return expected.index(found)


def untouched(store, versions, where):
    """The files of the versions that were there are those of the fixture."""
    for version in versions:
        if (store.path / MODEL / version).exists():
            assert store.model_file(MODEL, version).read_bytes() == commands.model_file(FIXTURE).read_bytes(), f"after {where}: version {version}"
            assert store.manifest(MODEL, version)["version"] == version


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "import"])      # which is the first part of "import and promote"
def test_killed(library, template, name):
    """Killed at each step, a command leaves the store as it was or as it was to be, and the next command works"""
    words, following = CHANGES[name]
    expected = possible(template, words)

    def look(store, run, where):
        assert run.returncode == -signal.SIGKILL, f"{where}: {run}"
        return check(store, expected, following, where)

    found = at_each_step(library, template, words, look)
    assert found == sorted(found) and found[0] == 0, f"a step back: {found}"
    assert set(found) == set(range(len(expected))), f"what the steps left: {found}"


def test_killed_while_it_removes_leftovers(library, littered):
    """Killed while it removes what another command left, a command leaves that to the next one"""
    expected = possible(littered, ALIAS)
    at_each_step(library, littered, ALIAS, lambda store, run, where: check(store, expected, ALIAS, where))


@pytest.mark.parametrize("name", DISK)
def test_full_disk(library, template, name):
    """Where the disk is full from one step on, a command says so and leaves the store as it was"""
    words, _ = CHANGES[name]
    expected = possible(template, words)

    def look(store, run, where):
        if where.split()[1] not in TAKE_ROOM:
            return
        assert run.returncode == 1 and "No space left" in run.stderr, f"{where}: {run}"
        assert state(store) == expected[0], f"after {where}, which said {run.stderr}: {state(store)}"

    at_each_step(library, template, words, look, error=errno.ENOSPC, lasting=True)


@pytest.mark.parametrize("name", DISK)
def test_failing_disk(library, template, name):
    """Where the disk fails at one step, the store is as it was or as it was to be, and the next command works"""
    words, following = CHANGES[name]
    expected = possible(template, words)

    def look(store, run, where):
        assert run.returncode in (0, 1) and (run.returncode == 0 or run.stderr.startswith("futaie models: ")), f"{where}: {run}"
        assert run.returncode == 1 or state(store) == expected[-1], f"{where}: it said that all went well: {run}, {state(store)}"
        check(store, expected, following, where)

    at_each_step(library, template, words, look, error=errno.EIO)


@pytest.mark.parametrize("name", DISK)
def test_failure_means_nothing_changed(library, template, name):
    """Where the disk fails at one step and the command says that it failed, the store is as it was, or the sentence says otherwise"""
    words, _ = CHANGES[name]
    expected = possible(template, words)

    def look(store, run, where):
        told = "is changed, but a loss of power may undo it" in run.stderr
        assert run.returncode == 0 or told or state(store) == expected[0], f"after {where}, which said {run.stderr}: {state(store)}"

    at_each_step(library, template, words, look, error=errno.EIO)


# The keys file

KEYS_STEPS = 6          # of add: an old temporary file away, open, write, fsync, rename, fsync of the folder
BEFORE = 2              # keys in the file


def faulty_keys(library, step, error=None):
    """A file with two keys, on which `futaie keys add` has run with a fault at one of its steps: the file, and how the command ended."""
    path = stack.scratch("keys").resolve() / "keys.json"
    for label in range(BEFORE):
        assert stack.run_futaie("keys", "add", str(label), "--keys", path).returncode == 0
    environment = {"LD_PRELOAD": str(library), "FAULT_AT": str(step)} | ({"FAULT_ERRNO": str(error)} if error else {})
    return path, stack.run_futaie("keys", "add", "more", "--keys", path, environment=environment)


def kept(path):
    """How many keys are in the file, which must be whole, and take another one."""
    listed = stack.run_futaie("keys", "list", "--json", "--keys", path)
    assert listed.returncode == 0, listed
    assert stack.run_futaie("keys", "add", "next", "--keys", path).returncode == 0
    assert os.listdir(path.parent) == [path.name], "something is left behind"
    return len(json.loads(listed.stdout)["keys"])


def test_keys_killed(library):
    """Killed at each step, futaie keys add leaves the file as it was or as it was to be, and prints no key"""
    found = []
    for step in range(1, KEYS_STEPS + 1):
        path, run = faulty_keys(library, step)
        assert run.returncode == -signal.SIGKILL and run.stdout == "", f"step {step}: {run}"
        found.append(kept(path) - BEFORE)
    assert found == [0] * 5 + [1], found
    path, run = faulty_keys(library, KEYS_STEPS + 1)
    assert run.returncode == 0 and kept(path) == BEFORE + 1, run


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["a full disk", "a failing disk"])
def test_keys_on_a_bad_disk(library, error):
    """Where the disk fails at one step, futaie keys add prints no key, and leaves the file as it was, or says otherwise"""
    for step in range(2, KEYS_STEPS + 1):
        path, run = faulty_keys(library, step, error)
        assert run.returncode == 1 and run.stdout == "" and os.strerror(error) in run.stderr, f"step {step}: {run}"
        told = "is changed, but a loss of power may undo it" in run.stderr
        assert told == (step == KEYS_STEPS), f"step {step}: {run}"
        assert kept(path) == BEFORE + told
