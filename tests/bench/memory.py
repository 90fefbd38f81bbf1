#!/usr/bin/python3
"""memory.py - the peak memory of a server that holds a large model, over that of one that holds next to none

    memory.py [--runs N]

Part of bench.py, and a program of its own. The peak (VmHWM) is that of futaie serve from its start to the first answer of /readyz, with both models
proven before; the difference is what reading, compiling and holding the large one takes, and its ratio to the size of the model file is the figure.
"""
import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

import figures                          # noqa: E402
import random_trees                     # noqa: E402
import servers                          # noqa: E402
from figures import BELOW, Figure       # noqa: E402
from lib import fcgi, stack             # noqa: E402

RUNS = 5
TREES, DEPTH, FEATURES = 1000, 6, 8
BARE = (1, 1)                           # trees and depth of the model that stands for none
TARGET = 1.5
IMPORT_S, START_S = 60, 10
KIB = 1024


def peak_bytes(store):
    """VmHWM of futaie serve once it is ready."""
    address = str(servers.folder("memory") / "app.sock")
    Path(address).unlink(missing_ok=True)
    listener = stack.listening_socket(address)
    process = subprocess.Popen([stack.FUTAIE, "serve", "--models", store], stdin=listener, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=stack.die_with_parent)
    try:
        reply = fcgi.request(address, "GET", "/readyz", timeout_s=START_S)
        assert reply.status == 200, f"/readyz answers {reply}"
        return int(re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)[1]) * KIB
    finally:
        listener.close()
        process.terminate()
        process.wait(START_S)


class Bench:
    def __init__(self, runs=RUNS, progress=lambda text: None):
        self.count, self.progress = runs, progress
        self.folder = servers.folder("memory")
        self.file_bytes, self.runs = None, []

    @property
    def seconds_most(self):
        return 2 * IMPORT_S + 2 * self.count * START_S

    def run(self):
        large, bare = self.store("large", TREES, DEPTH), self.store("bare", *BARE)
        self.file_bytes = next((large / "model" / "1").glob("model.*")).stat().st_size
        for number in range(self.count):
            self.progress(f"memory: start {number + 1} of {self.count}")
            self.runs.append((peak_bytes(large), peak_bytes(bare)))

    def store(self, name, trees, depth):
        """A store with one model of random trees, proven."""
        store, file = self.folder / name, self.folder / f"{name}.ubj"
        shutil.rmtree(store, ignore_errors=True)
        file.write_bytes(random_trees.model(trees, depth, FEATURES))
        subprocess.run([stack.FUTAIE, "models", "import", "model", file, "--models", store, "--promote", "--unproven"], check=True, capture_output=True,
                       timeout=IMPORT_S)
        file.unlink()
        proof = json.loads((store / "model" / "1" / "proof.json").read_text())
        assert proof["scorer"] == "forest", f"the model is proven otherwise: {proof}"
        return store

    def figures(self, problem=""):
        return [Figure(f"peak memory of a model of {TREES:,} trees of depth {DEPTH}, over a bare process", "its UBJSON file", "×",
                       [(large - bare) / self.file_bytes for large, bare in self.runs], BELOW, TARGET, problem)]

    def data(self):
        return {"file_bytes": self.file_bytes, "peaks_bytes": [{"large": large, "bare": bare} for large, bare in self.runs]}


def main():
    parser = argparse.ArgumentParser(description="Measure the peak memory of a server with a large model.")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"starts of each server (default {RUNS})")
    part = Bench(parser.parse_args().runs)
    part.run()
    print(figures.Table("Figures", figures.FIGURE_HEAD, [figure.cells() for figure in part.figures()]).text())
    print(json.dumps(part.data(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
