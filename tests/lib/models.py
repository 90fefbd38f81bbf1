"""models.py - model stores to serve from: the shipped one, the fixtures, and copies of them with something wrong"""
import hashlib
import json
import shutil

from lib import stack

SHIPPED = stack.ROOT / "models"
FIXTURES = stack.ROOT / "tests" / "data" / "fixtures"
EXPECTED = stack.ROOT / "tests" / "data" / "expected"
OTHER_VERSIONS = stack.ROOT / "tests" / "data" / "versions"
DATA = stack.ROOT / "tests" / "data"

CALIFORNIA = "california-housing"
FEATURES = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"]
EXAMPLE = [8.3252, 41, 6.9841, 1.023810, 322, 2.5556, 37.88, -122.23]
EXAMPLE_OBJECT = dict(zip(FEATURES, EXAMPLE))
EXAMPLE_BODY = {"features": [EXAMPLE]}


def fixture_names():
    """Every model of the fixtures; an empty list where they have not been made."""
    return sorted(folder.name for folder in FIXTURES.iterdir() if folder.is_dir()) if FIXTURES.is_dir() else []


def expected(name):
    """Text of the file with a fixture's rows and what XGBoost predicts for them."""
    return (EXPECTED / f"{name}.json").read_text()


class Store:
    """A model store of our own in the build directory, made of copies."""

    def __init__(self, name="models"):
        self.path = stack.scratch(name)

    def __str__(self):
        return str(self.path)

    def add(self, source, name=None, version="1", champion=True):
        """Copies version 1 of the model folder `source`, under another name or number where given."""
        name = name or source.name
        target = self.path / name / version
        shutil.copytree(source / "1", target)
        if (name, version) != (source.name, "1"):      # else its bytes stay, and with them the record of its proof
            self.change_manifest(name, version, lambda manifest: manifest.update(name=name, version=version))
        if champion:
            self.aliases(name, champion=version)
        return self

    def california(self, **options):
        return self.add(SHIPPED / CALIFORNIA, **options)

    def fixture(self, fixture, **options):
        return self.add(FIXTURES / fixture, **options)

    def aliases(self, name, **aliases):
        new = self.path / name / "aliases.json.new"
        new.write_text(json.dumps(aliases))
        new.replace(self.path / name / "aliases.json")

    def folder(self, name, version="1"):
        return self.path / name / version

    def change_manifest(self, name, version, change):
        path = self.folder(name, version) / "manifest.json"
        manifest = json.loads(path.read_text())
        change(manifest)
        path.write_text(json.dumps(manifest))

    def manifest(self, name, version="1"):
        return json.loads((self.folder(name, version) / "manifest.json").read_text())

    def model_file(self, name, version="1"):
        return self.folder(name, version) / self.manifest(name, version)["model_file"]

    def flip_byte(self, name, version="1", offset=None):
        path = self.model_file(name, version)
        data = bytearray(path.read_bytes())
        offset = len(data) // 2 if offset is None else offset
        data[offset] ^= 0x20
        path.write_bytes(data)

    def rewrite_sha256(self, name, version="1"):
        """Makes the manifest agree with a changed model file."""
        found = hashlib.sha256(self.model_file(name, version).read_bytes()).hexdigest()
        self.change_manifest(name, version, lambda manifest: manifest.update(sha256=found))

    def prove(self):
        """Puts the proof of every version on record, as promote does, so that a server starts no trials; the aliases stay."""
        for path in sorted(self.path.glob("*/*/manifest.json")):
            name, version = path.parent.parent.name, path.parent.name
            aliases = self.path / name / "aliases.json"
            before = aliases.read_bytes() if aliases.exists() else None
            run = stack.run_futaie("models", "promote", name, version, "--models", self.path)
            assert run.returncode == 0, run
            if before is None:
                aliases.unlink()
            else:
                aliases.write_bytes(before)
        return self
