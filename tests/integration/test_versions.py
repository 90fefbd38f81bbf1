"""test_versions.py - futaie models: every action with what it says and its exit status, bad model files, bad stores, many commands at once"""
import concurrent.futures
import json
import os
import pickle
import random
import shutil
import subprocess
import time

import pytest

from lib import bits, commands, models, need, stack
from lib.commands import add, aliases, done, futaie_models, listed, model_file, refused, snapshot, versions

MODEL = "house"
FIXTURE = "reg-squarederror"
OTHER = "reg-squarederror-base-score"       # of the same features, answers otherwise
UNNAMED = "reg-squarederror-unnamed"
LINEAR = "reg-squarederror-gblinear"        # the smallest
JSON_FIXTURE = "binary-logistic-json"
N_FEATURES = 5


def rows(fixture=FIXTURE):
    return json.loads(models.expected(fixture))["rows"]


def golden_file(fixture=FIXTURE, change=None):
    """Rows of a fixture and what python3-xgboost answered, as a file for --golden."""
    expected = json.loads(models.expected(fixture))
    golden = {"inputs": expected["rows"][:20], "outputs": expected["predictions"][:20]}
    if change:
        change(golden)
    path = stack.scratch("golden") / "golden.json"
    path.write_text(json.dumps(golden))
    return path


def written(content, name="model.ubj"):
    """A file with this content."""
    path = stack.scratch("file") / name
    path.write_bytes(content)
    return path


@pytest.fixture
def store():
    """An empty store."""
    return models.Store()


@pytest.fixture
def three(store):
    """Versions 1 to 3 of a model, without a champion."""
    for fixture in (FIXTURE, OTHER, FIXTURE):
        add(store, fixture, MODEL)
    return store


# What there is

def test_list_of_an_empty_store(store):
    """list of an empty store says that there is nothing, and what adds something"""
    assert "import" in done(futaie_models(store, "list"))
    assert done(futaie_models(store, "list", "--json")) == '{"models": []}\n'


def test_list(three):
    """list prints champion, versions and aliases, as text and as JSON"""
    done(futaie_models(three, "promote", MODEL, "2"))
    done(futaie_models(three, "alias", MODEL, "candidate", "3"))
    add(three, LINEAR, "another")
    said = done(futaie_models(three, "list")).splitlines()
    assert [line.split() for line in said[1:]] == [["another", "-", "1"], [MODEL, "2", "1,2,3", "candidate=3"]], said
    assert listed(three) == {
        "another": {"name": "another", "versions": ["1"], "aliases": {}},
        MODEL: {"name": MODEL, "versions": ["1", "2", "3"], "aliases": {"champion": "2", "candidate": "3"}}}


def test_list_of_a_broken_model(three):
    """list names a model whose aliases cannot be read, lists the others, and exits 1"""
    add(three, LINEAR, "another")
    (three.path / MODEL / "aliases.json").write_text("{")
    run = futaie_models(three, "list")
    assert "another" in run.stdout, run
    refused(run, MODEL, "aliases.json")
    assert [model["name"] for model in json.loads(futaie_models(three, "list", "--json").stdout)["models"]] == ["another", MODEL]


def test_show(three):
    """show prints a line a version, as JSON the names, and of one version the manifest"""
    done(futaie_models(three, "promote", MODEL, "1"))
    lines = [line.split() for line in done(futaie_models(three, "show", MODEL)).splitlines()[1:]]
    manifests = [three.manifest(MODEL, version) for version in "123"]
    assert [line[0] for line in lines] == ["1", "2", "3"]
    for line, manifest in zip(lines, manifests):
        assert line[1:5] == [manifest["created"], manifest["objective"], str(N_FEATURES), manifest["sha256"][:12]]
    assert lines[0][-1] == "champion", lines
    assert json.loads(done(futaie_models(three, "show", MODEL, "--json"))) == listed(three)[MODEL]
    for words in ((), ("--json",)):
        assert json.loads(done(futaie_models(three, "show", f"{MODEL}/2", *words))) == manifests[1]


def test_what_is_proven(store):
    """show says whether a version is proven, and whether by answers from elsewhere"""
    add(store, FIXTURE, MODEL, "--golden", golden_file())
    add(store, FIXTURE, MODEL)
    store.fixture(FIXTURE, name=MODEL, version="3")
    proven = done(futaie_models(store, "show", MODEL)).splitlines()
    column = proven[0].index("PROVEN")
    assert [line[column:column + 7].strip() for line in proven[1:]] == ["yes", "no", "to do"], proven


# verify

def test_verify(three):
    """verify proves one version, or all of a model"""
    assert done(futaie_models(three, "verify", f"{MODEL}/2")).startswith(f"{MODEL}/2: proven")
    assert [line.split(":")[0] for line in done(futaie_models(three, "verify", MODEL)).splitlines()] == [f"{MODEL}/{n}" for n in "123"]


DAMAGES = {
    "a changed byte": (lambda store: store.flip_byte(MODEL, "2"), "sha256"),
    "a cut file": (lambda store: store.model_file(MODEL, "2").write_bytes(store.model_file(MODEL, "2").read_bytes()[:-1]), "sha256"),
    "golden rows that are off": (lambda store: store.change_manifest(MODEL, "2", golden_off), "golden row"),
    "a model file that is gone": (lambda store: store.model_file(MODEL, "2").unlink(), "model.ubj"),
    "a manifest that is gone": (lambda store: (store.folder(MODEL, "2") / "manifest.json").unlink(), "manifest.json"),
    "a manifest of another version": (lambda store: store.change_manifest(MODEL, "2", lambda manifest: manifest.update(version="1")), "version"),
    "features of another model": (lambda store: store.change_manifest(MODEL, "2", other_features), "feature"),
    "a file that crashes XGBoost": (lambda store: hostile(store, MODEL, "2"), "the model file, byte"),
}


def golden_off(manifest):
    manifest["golden"]["outputs"][0] *= 1.001


def other_features(manifest):
    manifest["features"][0]["name"] = "other"


def hostile(store, name, version):
    """A changed model file with a right sha256, on which XGBoost's loader crashes."""
    store.model_file(name, version).write_bytes(commands.crashing_file())
    store.rewrite_sha256(name, version)


@pytest.mark.parametrize("damage, hint", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged(three, damage, hint):
    """A damaged version: verify, promote and rollback exit 1 and say why, and the champion stays"""
    done(futaie_models(three, "promote", MODEL, "2"))
    done(futaie_models(three, "promote", MODEL, "1"))
    damage(three)
    before = snapshot(three)
    assert MODEL in refused(futaie_models(three, "verify", f"{MODEL}/2"), hint)
    run = futaie_models(three, "verify", MODEL)
    assert [line.split(":")[0] for line in run.stdout.splitlines()] == [f"{MODEL}/1", f"{MODEL}/3"], run
    refused(run, hint)
    refused(futaie_models(three, "promote", MODEL, "2"), hint)
    refused(futaie_models(three, "rollback", MODEL), hint)
    assert snapshot(three) == before
    assert aliases(three, MODEL) == {"champion": "1", "previous": "2"}


# promote, rollback, alias

def test_promote(three):
    """promote makes a version the champion, keeps the one of before as previous, and says both"""
    assert "1 is the champion" in done(futaie_models(three, "promote", MODEL, "1"))
    assert aliases(three, MODEL) == {"champion": "1"}
    said = done(futaie_models(three, "promote", MODEL, "2"))
    assert "2 is the champion" in said and "before it was 1" in said, said
    assert aliases(three, MODEL) == {"champion": "2", "previous": "1"}
    assert json.loads((three.path / MODEL / "aliases.json").read_text()) == {"champion": "2", "previous": "1"}


def test_promote_again(three):
    """Promoting the champion changes nothing, so that rollback still goes back to the one before"""
    for version in "1", "2", "2":
        done(futaie_models(three, "promote", MODEL, version))
    assert "already" in done(futaie_models(three, "promote", MODEL, "2"))
    assert aliases(three, MODEL) == {"champion": "2", "previous": "1"}


def test_rollback(three):
    """rollback restores the champion from before the last promotion, and a second one exits 1"""
    for version in "1", "2", "3":
        done(futaie_models(three, "promote", MODEL, version))
    said = done(futaie_models(three, "rollback", MODEL))
    assert "2 is the champion again" in said and "3" in said, said
    assert aliases(three, MODEL) == {"champion": "2"}
    before = snapshot(three)
    refused(futaie_models(three, "rollback", MODEL), MODEL, "previous")
    assert snapshot(three) == before
    done(futaie_models(three, "promote", MODEL, "1"))
    done(futaie_models(three, "rollback", MODEL))
    assert aliases(three, MODEL) == {"champion": "2"}


def test_rollback_without_a_champion(three):
    """rollback of a model that never had a champion, or only one, exits 1"""
    refused(futaie_models(three, "rollback", MODEL), "previous")
    done(futaie_models(three, "promote", MODEL, "1"))
    refused(futaie_models(three, "rollback", MODEL), "previous")
    assert aliases(three, MODEL) == {"champion": "1"}


def test_proof_on_record(three):
    """promote records the proof that a version copied by hand lacks"""
    three.fixture(FIXTURE, name=MODEL, version="4", champion=False)
    assert not (three.folder(MODEL, "4") / "proof.json").exists()
    done(futaie_models(three, "promote", MODEL, "4"))
    proof = json.loads((three.folder(MODEL, "4") / "proof.json").read_text())
    assert proof["sha256"] == three.manifest(MODEL, "4")["sha256"] and proof["rows"] > 0 and proof["xgboost"] and proof["futaie"], proof


def test_alias(three):
    """alias gives another alias to a version, moves it, and drops it"""
    done(futaie_models(three, "promote", MODEL, "1"))
    for version in "2", "3":
        assert "candidate" in done(futaie_models(three, "alias", MODEL, "candidate", version))
        assert aliases(three, MODEL) == {"champion": "1", "candidate": version}
    done(futaie_models(three, "alias", "--drop", MODEL, "candidate"))
    assert aliases(three, MODEL) == {"champion": "1"}
    refused(futaie_models(three, "alias", "--drop", MODEL, "candidate"), "candidate")
    refused(futaie_models(three, "alias", MODEL, "candidate", "9"), "9", "1, 2, 3")


@pytest.mark.parametrize("name", ["champion", "previous"])
def test_alias_of_promote(three, name):
    """champion and previous cannot be set or dropped by alias"""
    refused(futaie_models(three, "alias", MODEL, name, "1"), "promote", status=2)
    refused(futaie_models(three, "alias", "--drop", MODEL, name), "promote", status=2)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "x" * 65, "é", "a\nb", '"', "-x"])
def test_bad_alias(three, name):
    """An alias that is not allowed exits 2"""
    assert futaie_models(three, "alias", MODEL, name, "1").returncode == 2
    assert aliases(three, MODEL) == {}


# remove, and the numbers

def test_remove(three):
    """remove takes a version that no alias names out of the store"""
    assert "2 is removed" in done(futaie_models(three, "remove", MODEL, "2"))
    assert versions(three, MODEL) == ["1", "3"] and not three.folder(MODEL, "2").exists()
    refused(futaie_models(three, "remove", MODEL, "2"), "2", "1, 3")


@pytest.mark.parametrize("alias", ["champion", "previous", "candidate"])
def test_remove_a_named_version(three, alias):
    """Removing a version that an alias names exits 1 and names the alias"""
    done(futaie_models(three, "promote", MODEL, "1"))
    done(futaie_models(three, "promote", MODEL, "2"))
    done(futaie_models(three, "alias", MODEL, "candidate", "3"))
    before = snapshot(three)
    refused(futaie_models(three, "remove", MODEL, aliases(three, MODEL)[alias]), alias)
    assert snapshot(three) == before


def test_numbers_are_never_used_again(three):
    """Numbers are never used again: not that of the newest, not after all are removed, not those in between"""
    done(futaie_models(three, "remove", MODEL, "3"))
    assert add(three, FIXTURE, MODEL) == "4"
    for version in "1", "2", "4":
        done(futaie_models(three, "remove", MODEL, version))
    assert listed(three)[MODEL] == {"name": MODEL, "versions": [], "aliases": {}}
    assert add(three, FIXTURE, MODEL) == "5"
    done(futaie_models(three, "remove", MODEL, "5"))
    assert add(three, FIXTURE, MODEL) == "6"


def test_number_after_a_failure(three):
    """A refused import takes no number"""
    for _ in range(3):
        refused(futaie_models(three, "import", MODEL, written(b"{L\xff\xff")))
    assert add(three, FIXTURE, MODEL) == "4"


def test_most_versions(store):
    """A number beyond the largest is refused"""
    store.fixture(LINEAR, name=MODEL, version="2147483647", champion=False)
    refused(futaie_models(store, "import", MODEL, model_file(LINEAR)), "number")


# What is wrong with the call

WRONG = {
    "no action": ((), "action"),
    "an unknown action": (("publish", MODEL), "publish"),
    "too few operands": (("promote", MODEL), "promote NAME VERSION"),
    "too many operands": (("list", MODEL), "list"),
    "an operand too many for rollback": (("rollback", MODEL, "1"), "rollback NAME"),
    "an unknown option": (("list", "--colour"), "--colour"),
    "--json with promote": (("promote", MODEL, "1", "--json"), "--json"),
    "--golden with promote": (("promote", MODEL, "1", "--golden", "x"), "--golden"),
    "--drop with remove": (("remove", MODEL, "1", "--drop"), "--drop"),
    "alias without a version": (("alias", MODEL, "candidate"), "alias"),
    "a path for a name": (("show", "../models"), "NAME"),
    "a version that is no number": (("verify", f"{MODEL}/new"), "NAME"),
    "a version with a zero before it": (("verify", f"{MODEL}/01"), "NAME"),
}


@pytest.mark.parametrize("words, hint", WRONG.values(), ids=WRONG.keys())
def test_wrong_call(three, words, hint):
    """A wrong call exits 2, says how it is used, and changes nothing"""
    before = snapshot(three)
    refused(futaie_models(three, *words), hint, status=2)
    assert snapshot(three) == before


@pytest.mark.parametrize("words", [("show",), ("verify",), ("rollback",)], ids=" ".join)
def test_unknown_model(three, words):
    """A model that is not there exits 1 and says where to look"""
    refused(futaie_models(three, *words, "nobody"), "nobody", "list")


@pytest.mark.parametrize("version", ["9", "0", "-1", "01", "1.0", "", "99999999999999999999", "../1", "champion"])
def test_unknown_version(three, version):
    """A version that is not there exits 1 or 2, says which there are, and changes nothing"""
    before = snapshot(three)
    for words in (("promote", MODEL), ("remove", MODEL), ("alias", MODEL, "candidate")):
        run = futaie_models(three, *words, version)
        assert run.returncode in (1, 2) and run.stderr, run
        assert run.returncode == 2 or "1, 2, 3" in run.stderr, run
    assert snapshot(three) == before


BAD_NAMES = ["", ".", "..", ".hidden", "-x", "a/b", "../x", "a b", "a\tb", "x" * 65, "é", "a\\b", "$(id)", "a\nb"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_bad_name(store, name):
    """A name that is not allowed is refused by import, and nothing is made"""
    run = futaie_models(store, "import", name, model_file(LINEAR))
    assert run.returncode == 2, run
    assert snapshot(store) == {".": None}


@pytest.mark.parametrize("name", ["a", "x" * 64, "A.b_c-1", "1", "con.txt..", "lock"])
def test_good_name(store, name):
    """A name that is allowed works, however odd"""
    assert add(store, LINEAR, name) == "1"
    done(futaie_models(store, "promote", name, "1"))
    commands.is_sound(store)


# import

@pytest.mark.parametrize("name", models.fixture_names())
def test_import_of_every_fixture(imported, name):
    """An imported file answers with the bits that python3-xgboost gave"""
    expected = bits.loads(models.expected(name))
    body = json.dumps({"features": json.loads(models.expected(name))["rows"]})
    for path, key in (("predict", "predictions"), ("predict?output=margin", "margins")):
        reply = imported.request("POST", f"/models/{name}/{path}", body, "application/json")
        assert reply.status == 200, reply
        assert bits.of_all(bits.loads(reply.text())["predictions"]) == bits.of_all(expected[key])


@pytest.fixture(scope="module")
def imported():
    """A server of all fixtures, each imported with its golden rows and promoted."""
    store = models.Store("imported")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda name: futaie_models(store, "import", name, model_file(name), "--promote", "--golden", golden_file(name)),
                             models.fixture_names()))
    assert [run.stderr for run in runs if run.returncode] == []
    with stack.Futaie(store) as app:
        yield app


@pytest.mark.parametrize("fixture, name", [(FIXTURE, "model.json"), (JSON_FIXTURE, "model.ubj"), (FIXTURE, "no extension"), (JSON_FIXTURE, "-.pkl")])
def test_import_by_content(store, fixture, name):
    """The content of a file decides whether it is UBJSON or JSON, not its name"""
    done(futaie_models(store, "import", MODEL, written(model_file(fixture).read_bytes(), name)))
    kept = store.model_file(MODEL)
    assert kept.name == model_file(fixture).name and kept.read_bytes() == model_file(fixture).read_bytes()


def test_import_of_spread_out_json(store):
    """JSON with line breaks, as people keep it, is JSON too"""
    tree = json.loads(model_file(JSON_FIXTURE).read_text())
    for text in (json.dumps(tree, indent=2), "{\n\t" + json.dumps(tree)[1:]):
        done(futaie_models(store, "import", MODEL, written(text.encode(), "model.json")))
    commands.is_sound(store)


def test_manifest_of_an_import(store):
    """The manifest of an import has the model's own features, objective and version of XGBoost"""
    add(store, FIXTURE, MODEL, "--golden", golden_file())
    made, given = store.manifest(MODEL), json.loads((models.FIXTURES / FIXTURE / "1" / "manifest.json").read_text())
    for member in ("objective", "sha256", "model_file", "xgboost_version"):
        assert made[member] == given[member]
    assert [feature["name"] for feature in made["features"]] == [feature["name"] for feature in given["features"]]
    expected = json.loads(models.expected(FIXTURE))
    assert bits.of_all(made["golden"]["outputs"]) == bits.of_all(expected["predictions"][:20]) and "unproven" not in made["golden"]
    assert made["source"]["command"].startswith("futaie models import"), made["source"]


def test_made_up_names(store):
    """A file without names gets f0, f1 and so on; --feature-names gives others"""
    add(store, UNNAMED, MODEL)
    assert [feature["name"] for feature in store.manifest(MODEL)["features"]] == [f"f{i}" for i in range(N_FEATURES)]
    names = ["Größe", "b c", "f9", '"q"', "é"]
    add(store, UNNAMED, MODEL, "--feature-names", ",".join(names))
    assert [feature["name"] for feature in store.manifest(MODEL, "2")["features"]] == names
    commands.is_sound(store)


BAD_FEATURES = {
    "too few": (UNNAMED, "a,b,c,d", "4 names"), "too many": (UNNAMED, "a,b,c,d,e,f", "6 names"), "one twice": (UNNAMED, "a,b,c,d,a", '"a"'),
    "an empty one": (UNNAMED, "a,b,,d,e", "empty"), "a comma at the end": (UNNAMED, "a,b,c,d,", "empty"),
    "others than the file's": (FIXTURE, "a,b,c,d,e", "the file"),
}


@pytest.mark.parametrize("fixture, names, hint", BAD_FEATURES.values(), ids=BAD_FEATURES.keys())
def test_bad_feature_names(store, fixture, names, hint):
    """--feature-names that cannot be: a sentence, and no version"""
    run = futaie_models(store, "import", MODEL, model_file(fixture), "--feature-names", names)
    assert run.returncode in (1, 2) and hint in run.stderr, run
    assert listed(store) == {}


def test_names_of_the_file(store):
    """--feature-names that are the file's own are accepted"""
    names = [feature["name"] for feature in json.loads((models.FIXTURES / FIXTURE / "1" / "manifest.json").read_text())["features"]]
    assert add(store, FIXTURE, MODEL, "--feature-names", ",".join(names)) == "1"


def test_promote_rules(store):
    """--promote wants --golden or --unproven; without --golden a warning says what is not shown"""
    refused(futaie_models(store, "import", MODEL, model_file(FIXTURE), "--promote"), "--golden", "--unproven")
    assert listed(store) == {}
    run = futaie_models(store, "import", MODEL, model_file(FIXTURE))
    assert "--golden" in run.stderr and "warn" not in run.stdout, run
    done(futaie_models(store, "import", MODEL, model_file(FIXTURE), "--promote", "--unproven"))
    assert aliases(store, MODEL) == {"champion": "2"}
    run = futaie_models(store, "import", MODEL, model_file(OTHER), "--promote", "--golden", golden_file(OTHER))
    assert run.stderr == "" and "champion" in done(run)
    assert aliases(store, MODEL) == {"champion": "3", "previous": "2"}


def off(golden):
    golden["outputs"][7] += 0.01


GOLDEN = {
    "one wrong output": (off, "golden row 7"),
    "an output too few": (lambda golden: golden["outputs"].pop(), "equal length"),
    "no rows": (lambda golden: golden.update(inputs=[], outputs=[]), "1 to"),
    "a row too short": (lambda golden: golden["inputs"][3].pop(), "5"),
    "two outputs a row": (lambda golden: golden.update(outputs=[[value, value] for value in golden["outputs"]]), "outputs"),
    "text for a number": (lambda golden: golden["outputs"].__setitem__(0, "1"), "outputs"),
    "a number beyond float32": (lambda golden: golden["inputs"][0].__setitem__(0, 1e39), "inputs"),
    "no outputs": (lambda golden: golden.pop("outputs"), "outputs"),
    "a missing output": (lambda golden: golden["outputs"].__setitem__(2, None), "golden row 2"),
}


@pytest.mark.parametrize("change, hint", GOLDEN.values(), ids=GOLDEN.keys())
def test_bad_golden(store, change, hint):
    """Golden rows that the model does not give back, or of another shape: refused with a sentence, and no version"""
    run = futaie_models(store, "import", MODEL, model_file(FIXTURE), "--golden", golden_file(change=change), "--promote")
    assert refused(run, hint) and listed(store) == {}


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b"\xff\xfe", b'{"inputs": 1, "outputs": 2}'], ids=ascii)
def test_bad_golden_file(store, content):
    """A golden file that is none is refused by its name"""
    path = written(content, "golden.json")
    refused(futaie_models(store, "import", MODEL, model_file(FIXTURE), "--golden", path), path)
    refused(futaie_models(store, "import", MODEL, model_file(FIXTURE), "--golden", "nowhere.json"), "nowhere.json")
    assert listed(store) == {}


# Files of other versions of XGBoost

def of_version(version):
    """The files that a version saved: kind → (model file, what the version answered)."""
    found = {}
    for path in sorted((models.OTHER_VERSIONS / version).glob("*.expected.json")):
        kind = path.name.split(".")[0]
        (file,) = set(path.parent.glob(f"{kind}.*")) - {path}
        found[kind] = (file, path.read_text())
    return found


def own_golden(text, change=None):
    """A file for --golden of what a version answered itself."""
    expected = json.loads(text)
    golden = {"inputs": expected["rows"], "outputs": expected["predictions"]}
    if change:
        change(golden)
    return written(json.dumps(golden).encode(), "golden.json")


TOO_NEW = "3.4.1"       # for libxgboost 1.7.4, all of them
SUMMED_OTHERWISE = "1.0.2"      # in the last bits; see tests/unit/test_version_files.c


@pytest.mark.limit(90)
@pytest.mark.parametrize("version", [SUMMED_OTHERWISE, "2.0.3", TOO_NEW])
def test_other_versions(version):
    """Files of an older and of newer XGBoosts, proven by their own answers, are served by the forest with these"""
    store, files = models.Store("others"), of_version(version)
    assert len(files) >= 10
    for kind, (file, text) in files.items():
        done(futaie_models(store, "import", kind, file, "--promote", "--golden", own_golden(text)))
        assert json.loads((store.folder(kind) / "proof.json").read_text())["scorer"] == "forest"
    with stack.Futaie(store) as app:
        for kind, (_, text) in files.items():
            body = json.dumps({"features": json.loads(text)["rows"]})
            for path, key in (("predict", "predictions"), ("predict?output=margin", "margins")):
                reply = app.request("POST", f"/models/{kind}/{path}", body, "application/json")
                assert reply.status == 200, reply
                if version != SUMMED_OTHERWISE:
                    assert bits.of_all(bits.loads(reply.text())["predictions"]) == bits.of_all(bits.loads(text)[key]), kind


@pytest.mark.parametrize("kind", ["vectors", "squarederror", "softprob-dart"])
def test_too_new_without_golden(store, kind):
    """A file that libxgboost is too old for cannot be proven without --golden: refused, unless --unproven is given"""
    file, text = of_version(TOO_NEW)[kind]
    refused(futaie_models(store, "import", MODEL, file), "could not be proven", TOO_NEW, "--golden", "--unproven")
    assert listed(store) == {}
    done(futaie_models(store, "import", MODEL, file, "--unproven", "--promote"))
    assert store.manifest(MODEL)["golden"]["unproven"] is True
    assert "scorer forest: libxgboost" in done(futaie_models(store, "verify", MODEL))
    done(futaie_models(store, "import", MODEL, file, "--golden", own_golden(text)))
    proven = done(futaie_models(store, "show", MODEL)).splitlines()
    column = proven[0].index("PROVEN")
    assert [line[column:column + 7].strip() for line in proven[1:]] == ["no", "yes"], proven


def off_in_a_list(golden):
    golden["outputs"][7][1] += 0.01


def test_too_new_with_wrong_golden(store):
    """A file that libxgboost is too old for is refused where its golden rows are not what the forest answers"""
    file, text = of_version(TOO_NEW)["vectors"]
    refused(futaie_models(store, "import", MODEL, file, "--golden", own_golden(text, off_in_a_list)), "golden row 7")
    assert listed(store) == {}


def test_names_of_a_too_new_file(store):
    """The names in a file that libxgboost is too old for are its features, and a manifest with others is refused"""
    file, text = of_version(TOO_NEW)["vectors-json"]
    names, tree = ["Größe", 'a"b', "c\\d", "\u20ac\U0001f333", "x"], json.loads(file.read_text())
    tree["learner"] |= {"feature_names": names, "feature_types": ["float", "int", "q", "i", "float"]}
    changed = written(json.dumps(tree).encode(), "model.json")
    done(futaie_models(store, "import", MODEL, changed, "--golden", own_golden(text)))
    assert [(f["name"], f["type"]) for f in store.manifest(MODEL)["features"]] == list(zip(names, tree["learner"]["feature_types"]))
    store.change_manifest(MODEL, "1", other_features)
    refused(futaie_models(store, "verify", MODEL), "Größe")


# Files that are no model

def fifo():
    path = stack.scratch("fifo") / "model.ubj"
    os.mkfifo(path)
    return path


def dangling():
    path = stack.scratch("link") / "model.ubj"
    path.symlink_to("nowhere")
    return path


class Harmful:
    def __reduce__(self):
        return (os.system, ("touch loaded",))


NO_MODELS = {
    "a pickle": (lambda: written(pickle.dumps(Harmful()), "model.pkl"), "pickle"),
    "an old pickle": (lambda: written(pickle.dumps({"a": 1}, protocol=0), "model.pkl"), "UBJSON"),
    "an empty file": (lambda: written(b""), "UBJSON"),
    "a brace": (lambda: written(b"{"), "UBJSON"),
    "an empty object": (lambda: written(b"{}"), "XGBoost"),
    "text": (lambda: written(b"hello, world\n"), "UBJSON"),
    "XGBoost's old format": (lambda: written(b"binf" + bytes(200)), "UBJSON"),
    "JSON of something else": (lambda: written(b'{"learner": {"attributes": {}}}'), "XGBoost"),
    "deep JSON": (lambda: written(b'{"a":' * 100_000), "deeper"),
    "a directory": (lambda: stack.scratch("folder"), "regular file"),
    "a FIFO": (fifo, "regular file"),
    "/dev/zero": (lambda: "/dev/zero", "regular file"),
    "a file that is not there": (lambda: "nowhere.ubj", "nowhere.ubj"),
    "a file that crashes XGBoost": (lambda: written(commands.crashing_file()), "the model file, byte"),
    "a file that hangs XGBoost": (lambda: written(commands.hanging_file()), "the model file, byte"),
    "a dangling link": (dangling, "model.ubj"),
}


@pytest.mark.limit(90)
@pytest.mark.parametrize("make, hint", NO_MODELS.values(), ids=NO_MODELS.keys())
def test_no_model(three, make, hint):
    """What is no model is refused by its name, with what it is, and the store is unchanged"""
    before, path = snapshot(three), make()
    sentence = refused(futaie_models(three, "import", MODEL, path, timeout_s=60), hint)
    assert os.path.basename(path) in sentence and len(sentence.splitlines()) == 1, sentence
    assert snapshot(three) == before and not os.path.exists("loaded")


def test_unreadable(store):
    """A file that the user may not read is refused by its name"""
    path, target = written(model_file(FIXTURE).read_bytes()), stack.scratch("nobody")
    target.chmod(0o777)
    path.chmod(0)
    run = as_nobody("models", "import", MODEL, path, "--models", target)
    refused(run, path, "Permission denied")
    assert os.listdir(target) == []


def test_store_of_another_user(three):
    """A store that the user may not write is refused, and may be read"""
    before = snapshot(three)
    assert MODEL in done(as_nobody("models", "list", "--models", three))
    for words in (("import", MODEL, model_file(FIXTURE)), ("promote", MODEL, "1"), ("remove", MODEL, "3")):
        refused(as_nobody("models", *words, "--models", three), "Permission denied")
    assert snapshot(three) == before


def as_nobody(*words):
    """The program as a user without rights."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    setpriv = [need.program("setpriv", "util-linux"), f"--reuid={commands.NOBODY}", f"--regid={commands.NOBODY}", "--clear-groups"]
    run = subprocess.run([*setpriv, str(stack.FUTAIE), *map(str, words)], capture_output=True, text=True, timeout=30, check=False)
    if run.returncode in (126, 127):
        pytest.skip(f"the build folder is closed to other users: {run.stderr.strip()}")
    return run


# Damaged files

def mutations(content, count, seed):
    """Copies with one byte changed, set to an extreme, or taken out."""
    chance = random.Random(seed)
    for _ in range(count):
        at, data = chance.randrange(2, len(content)), bytearray(content)
        kind = chance.randrange(4)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.choice([0, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            data[at] = chance.randrange(256)
        else:
            del data[at]
        yield bytes(data)


def truncations(content, count):
    return [content[:len(content) * number // count] for number in range(count)] + [content[:-1]]


def try_all(contents):
    """Imports each into one of two stores; gives back the stores, and how many were accepted. Nothing may be left of what was refused."""
    stores, accepted = [models.Store("damaged"), models.Store("damaged")], []

    def some(number):
        store, count = stores[number], 0
        path = written(b"")
        for content in contents[number::2]:
            path.write_bytes(content)
            run = futaie_models(store, "import", MODEL, path, timeout_s=60)
            assert run.returncode in (0, 1), f"{run} with {content[:20]}…"
            count += run.returncode == 0
            assert run.returncode == 0 or len(run.stderr.splitlines()) == 1 and str(path) in run.stderr or MODEL in run.stderr, run
            assert sorted(os.listdir(store.path / MODEL) if count else []) == sorted(map(str, range(1, count + 1))), run
            assert os.listdir(store.path) == ([MODEL] if count else []), run
        accepted.append(count)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(some, range(2)))
    return stores, sum(accepted)


@pytest.mark.limit(120)
@pytest.mark.parametrize("fixture, count", [(FIXTURE, 180), (JSON_FIXTURE, 120)], ids=["UBJSON", "JSON"])
def test_damaged_files(say, fixture, count):
    """Hundreds of files with one byte changed: the command never crashes, what it refuses leaves nothing, what it accepts is sound"""
    content = model_file(fixture).read_bytes()
    stores, accepted = try_all(list(mutations(content, count, seed=1)))
    say(f"{count} changed files of {fixture}: {accepted} are models still")
    for store in stores:
        if versions(store, MODEL):
            for version in versions(store, MODEL):
                store.aliases(MODEL, champion=version)
                checked = stack.run_futaie("serve", "-t", "--models", store)
                assert checked.returncode == 0, checked


@pytest.mark.limit(60)
@pytest.mark.parametrize("fixture", [FIXTURE, JSON_FIXTURE], ids=["UBJSON", "JSON"])
def test_cut_files(fixture):
    """Files cut at forty places are all refused"""
    _, accepted = try_all(truncations(model_file(fixture).read_bytes(), 40))
    assert accepted == 0


# The store itself

STORES = {
    "is not there": (lambda: stack.scratch("none") / "store", "No such file"),
    "is a file": (lambda: written(b"", "store"), "Not a directory"),
    "is below a file": (lambda: written(b"", "store") / "models", "Not a directory"),
    "is a dangling link": (dangling, "No such file"),
}


@pytest.mark.parametrize("make, hint", STORES.values(), ids=STORES.keys())
def test_bad_store(make, hint):
    """A store that is none is refused by its name by every action that does not make one"""
    path = make()
    for words in (("list",), ("show", MODEL), ("verify", MODEL), ("promote", MODEL, "1"), ("rollback", MODEL), ("alias", MODEL, "x", "1"),
                  ("remove", MODEL, "1")):
        refused(futaie_models(path, *words), path, hint)
    assert not path.exists() or path.read_bytes() == b""


def test_import_makes_the_store():
    """import makes the store where its folder does not exist, but not the folders above"""
    path = stack.scratch("new") / "store"
    add(path, FIXTURE, MODEL)
    assert commands.is_sound(path)
    refused(futaie_models(path / "deeper" / "store", "import", MODEL, model_file(FIXTURE)), "deeper")
    refused(futaie_models(written(b"", "store"), "import", MODEL, model_file(FIXTURE)), "store")


def test_file_in_place_of_a_model(store):
    """A file with the model's name is not overwritten"""
    (store.path / MODEL).write_text("precious")
    refused(futaie_models(store, "import", MODEL, model_file(FIXTURE)), MODEL)
    assert (store.path / MODEL).read_text() == "precious" and os.listdir(store.path) == [MODEL]


def test_read_only_store(three):
    """On a read-only file system every change fails with a sentence and nothing changes; reading works"""
    with commands.Mount("4m") as mount:
        shutil.copytree(three.path, f"{mount.path}/store")
        path = f"{mount.path}/store"
        done(futaie_models(path, "promote", MODEL, "1"))
        done(futaie_models(path, "promote", MODEL, "2"))
        mount.remount("ro")
        before = snapshot(path)
        for words in (("promote", MODEL, "3"), ("rollback", MODEL), ("alias", MODEL, "x", "1"), ("import", MODEL, model_file(FIXTURE)),
                      ("remove", MODEL, "3")):
            refused(futaie_models(path, *words), path, "Read-only file system")
        assert snapshot(path) == before
        commands.is_sound(path)
        mount.remount("rw")
        done(futaie_models(path, "promote", MODEL, "3"))


@pytest.mark.parametrize("words", [("import", MODEL, model_file(FIXTURE)), ("promote", MODEL, "3"), ("remove", MODEL, "3"), ("alias", MODEL, "x", "3")],
                         ids=lambda words: words[0])
def test_full_store(three, words):
    """On a full file system a change fails with a sentence and nothing changes, however much room there is before the end"""
    (three.folder(MODEL, "3") / "proof.json").unlink()
    with commands.Mount("256k") as mount:
        shutil.copytree(three.path, f"{mount.path}/store")
        path, failures = f"{mount.path}/store", 0
        before = snapshot(path)
        for pages in range(20):
            with mount.filled(but=pages):
                run = futaie_models(path, *words)
            if run.returncode == 0:
                break
            refused(run, "No space left")
            after = snapshot(path)
            after.pop(f"{MODEL}/3/proof.json", None)    # what was proven stays proven
            assert after == before, f"with {pages} pages left: {run}"
            failures += 1
        assert failures and run.returncode == 0, f"{failures} failures, then {run}"
        commands.is_sound(path)


# At once

@pytest.mark.limit(60)
def test_imports_at_once(store):
    """Twenty imports at once into one store each get a number of their own, and none is lost"""
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        runs = list(pool.map(lambda number: futaie_models(store, "import", (MODEL, "other")[number % 2], model_file(LINEAR)), range(20)))
    assert [run for run in runs if run.returncode] == []
    numbers = sorted((run.stdout.split(":")[0], int(run.stdout.split(" version ")[1].split(" ")[0])) for run in runs)
    assert numbers == [(name, number) for name in (MODEL, "other") for number in range(1, 11)]
    assert {name: model["versions"] for name, model in listed(store).items()} == \
        {name: [str(number) for number in range(1, 11)] for name in (MODEL, "other")}
    commands.is_sound(store)


@pytest.mark.limit(60)
def test_changes_at_once(three):
    """Promotions, aliases, rollbacks, imports and removals at once: aliases.json is whole at every moment, and nothing is lost"""
    path, stopping = three.path / MODEL / "aliases.json", []
    done(futaie_models(three, "promote", MODEL, "1"))

    def look():
        seen = 0
        while not stopping:
            found = json.loads(path.read_text())
            assert found["champion"] in "123" and found["champion"] != found.get("previous"), found
            seen += 1
            time.sleep(0.001)
        return seen

    def change(number):
        return futaie_models(three, *[("promote", MODEL, str(number % 3 + 1)), ("alias", MODEL, f"a{number}", "2"), ("rollback", MODEL),
                                      ("import", MODEL, model_file(LINEAR))][number % 4])

    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        looking = pool.submit(look)
        runs = list(pool.map(change, range(32)))
        stopping.append(True)
        assert looking.result(10) > 10
    failed = [run for run in runs if run.returncode and "no previous champion" not in run.stderr]
    assert failed == []
    assert {alias for alias in aliases(three, MODEL) if alias.startswith("a")} == {f"a{number}" for number in range(1, 32, 4)}
    assert versions(three, MODEL) == [str(number) for number in range(1, 12)]
    commands.is_sound(three)


def test_waiting_for_the_lock(three):
    """A command waits for another that changes the store, and says so"""
    holder = subprocess.Popen([need.program("flock", "util-linux"), three.path, "sh", "-c", "echo held; read -r _"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, preexec_fn=stack.die_with_parent)
    assert holder.stdout.readline() == "held\n"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(futaie_models, three, "promote", MODEL, "1")
        time.sleep(0.4)
        assert not waiting.done()
        assert MODEL in done(futaie_models(three, "list")), "reading takes no lock"
        holder.communicate("\n", timeout=10)
        run = waiting.result(20)
    assert done(run) and "waiting" in run.stderr, run


# What a killed command leaves

def test_leftovers(three, fresh):
    """What a killed command left is never listed or served, and the next change removes it"""
    done(futaie_models(three, "promote", MODEL, "1"))
    for folder in (".futaie-new-Ab12Cd", f".futaie-old-{MODEL}-7"):
        shutil.copytree(three.folder(MODEL, "2"), three.path / folder / MODEL / "7")
    (three.path / MODEL / ".aliases.json.new").write_text('{"champion": "2')
    assert list(listed(three)) == [MODEL] and versions(three, MODEL) == ["1", "2", "3"]
    app = fresh(three)
    assert app.request("GET", "/models").json() == {"models": [{"name": MODEL, "versions": ["1", "2", "3"], "aliases": {"champion": "1"}}]}
    assert app.request("GET", "/models/.futaie-new-Ab12Cd").status == 404
    done(futaie_models(three, "promote", MODEL, "2"))
    assert sorted(os.listdir(three.path)) == [MODEL]
    assert not (three.path / MODEL / ".aliases.json.new").exists()


def test_other_things_stay(three):
    """What is not the commands' own stays where it is"""
    kept = {"README.md": "about", ".git": "hidden", ".newer": "hidden", ".new-photos": "hidden", ".old-config": "hidden", f"{MODEL}/notes.txt": "notes", f"{MODEL}/1/extra.bin": "extra"}
    for name, text in kept.items():
        (three.path / name).write_text(text)
    for words in (("promote", MODEL, "1"), ("import", MODEL, model_file(FIXTURE)), ("remove", MODEL, "3")):
        done(futaie_models(three, *words))
    assert {name: (three.path / name).read_text() for name in kept} == kept


# Files and names that are not what they seem

NEWER_SCORE = {"a number in brackets": ("[7.5E-1]", "3.1.0"), "several": ("[7.5E-1,2.5E-1]", "base_score has 2 values")}


@pytest.mark.parametrize("score, hint", NEWER_SCORE.values(), ids=NEWER_SCORE.keys())
def test_newer_file(store, score, hint):
    """A file of XGBoost 3.1, whose base_score libxgboost 1.7.4 misreads in silence, is refused where nothing proves it, and the sentence says why"""
    tree = json.loads(model_file(JSON_FIXTURE).read_text())
    tree["learner"]["learner_model_param"]["base_score"] = score
    tree["version"] = [3, 1, 0]
    refused(futaie_models(store, "import", MODEL, written(json.dumps(tree).encode(), "model.json")), hint)
    assert listed(store) == {}


@pytest.mark.parametrize("names, hint", [("a,b,c,d,a", '"a"'), ("a,b,,d,e", "empty"), ("a,b,c,d,\udcff", "UTF-8")], ids=["twice", "empty", "no UTF-8"])
def test_feature_names_are_named(store, names, hint):
    """What is wrong with --feature-names is said of that option, not of a file that nobody knows"""
    run = futaie_models(store, "import", MODEL, model_file(UNNAMED), "--feature-names", names)
    assert run.returncode == 2 and hint in run.stderr and "--feature-names" in run.stderr and ".new-" not in run.stderr, run
