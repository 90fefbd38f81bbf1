"""Tiny models that many versions of XGBoost saved, and what each predicted with its own.

    python3 make_version_fixtures.py [FOLDER]

Makes a virtual environment for each version below FOLDER (default build/versions), which is a few GB in all, and runs version_models.py in
each: versions/VERSION/KIND.json or KIND.ubj and KIND.expected.json. An environment that is there is used again. Wants python3.11, and python3.12
for what has left 3.11 behind, on the PATH.

Left out: 1.1 and the other releases of these lines, whose files are the same; 0.90 and older, which write neither JSON nor UBJSON.
"""
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "versions"
DEFAULT_FOLDER = HERE.parent.parent / "build" / "versions"

OLD = ("python3.11", "numpy==1.23.5", "scipy==1.10.1")  # numpy 1.24 dropped names that XGBoost used until 1.6
MIDDLE = ("python3.11", "numpy==1.26.4", "scipy==1.11.4")
NEW = ("python3.12", "numpy==1.26.4", "scipy==1.11.4")
VERSIONS = {
    "1.0.2": OLD,
    "1.2.1": OLD,
    "1.3.3": OLD,
    "1.4.2": OLD,
    "1.5.2": OLD,
    "1.6.2": OLD,
    "1.7.6": MIDDLE,
    "2.0.3": MIDDLE,
    "2.1.4": MIDDLE,
    "3.0.5": MIDDLE,
    "3.1.3": MIDDLE,
    "3.2.0": MIDDLE,
    "3.3.0": NEW,
    "3.4.1": NEW,
}


def environment(folder, version, python, *libraries):
    """The Python of an environment with this version; without what XGBoost's packages bring for the GPU."""
    own = folder / version / "bin" / "python"
    if not (folder / version / "done").exists():
        subprocess.run([python, "-m", "venv", "--clear", folder / version], check=True)
        subprocess.run([own, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary", ":all:",
                        *libraries, f"xgboost=={version}"], check=True)
        (folder / version / "done").touch()
    return own


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_FOLDER).resolve()
    for version, needs in VERSIONS.items():
        python = environment(folder, version, *needs)
        target = FIXTURES / version
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        subprocess.run([python, "-W", "ignore", HERE / "version_models.py", target], check=True)
        print(f"{version}: {len(list(target.glob('*.expected.json')))} models", flush=True)


if __name__ == "__main__":
    main()
