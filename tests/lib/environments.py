"""environments.py - programs from npm for the group `clients`, installed under the build directory

They are used again while the lock file is the same. Where npm cannot install them, tests are skipped by name, and fail in CI.
"""
import shutil
import subprocess

from lib import need, stack

CLIENTS = stack.ROOT / "tests" / "clients"
INSTALL_S = 300


def node():
    """The folder of the programs of tests/clients/package.json."""
    folder, lock = stack.BUILD / "node-clients", CLIENTS / "package-lock.json"
    npm, mark = need.program("npm", "npm"), folder / "installed"
    if not mark.exists() or mark.read_text() != lock.read_text():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in (lock.name, "package.json", ".npmrc"):
            shutil.copy(CLIENTS / name, folder)
        run = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, timeout=INSTALL_S,
                             check=False)
        if run.returncode != 0:
            why = (run.stderr.strip().splitlines() or ["it says nothing"])[-1]
            need.unavailable(f"npm could not install the clients' packages: {why}")
        shutil.copy(lock, mark)
    return (folder / "node_modules" / ".bin").resolve()
