"""servers.py - what is measured: futaie and other responders behind the shipped lighttpd, Flask's own server, and gunicorn

Each is started by its real way in (webserver-conf/run.sh, python3 flask_app.py, gunicorn), on free ports of loopback, with all that it
writes under $BUILD/bench, and has the processes whose time is counted: name → pids.
"""
import json
import os
import shlex
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import http, stack             # noqa: E402

FOLDER = stack.BUILD / "bench"
HERE = Path(__file__).resolve().parent
MODELS = stack.ROOT / "models"
MODEL = "california-housing"
INFER = f"/v2/models/{MODEL}/infer"
BODY = {"features": [[8.3252, 41, 6.9841, 1.023810, 322, 2.5556, 37.88, -122.23]]}
COMPILE_S = 60
WORKERS = 2


def folder(name):
    made = FOLDER / name
    made.mkdir(parents=True, exist_ok=True)
    return made


def model_file():
    version = json.loads((MODELS / MODEL / "aliases.json").read_text())["champion"]
    manifest = json.loads((MODELS / MODEL / version / "manifest.json").read_text())
    return MODELS / MODEL / version / manifest["model_file"]


def predictions(port, body):
    """What the server says to these rows: it is the right thing, or nothing is worth measuring."""
    client = http.Client(port)
    try:
        reply = client.post("/predict", body)
    finally:
        client.close()
    assert reply.status == 200, f"/predict answers {reply.status}: {reply.text()[:200]}"
    return reply.json()["predictions"]


def inferred(port, request):
    """The same for a tensor of rows."""
    client = http.Client(port)
    try:
        reply = client.request("POST", request.target, request.body_file.read_bytes(), headers={"Inference-Header-Content-Length": str(request.json_length)})
    finally:
        client.close()
    assert reply.status == 200, f"{request.target} answers {reply.status}: {reply.text()[:200]}"
    data = reply.body[int(reply.headers["inference-header-content-length"]):]
    return list(struct.unpack(f"<{len(data) // 4}f", data))


class Futaie(stack.MakeRun):
    """futaie behind lighttpd, as make run starts them."""

    label = "futaie"
    program = stack.FUTAIE

    def __init__(self, *serve_args):
        self.serve_args = " ".join(serve_args)
        super().__init__(MODELS, build=folder(self.label), absolute=True)

    def environment(self):
        return {**super().environment(), "FUTAIE": str(self.program.resolve()), "SERVE_ARGS": self.serve_args}

    @property
    def port(self):
        return self.http_port

    def pids(self):
        found = {"application": [], "lighttpd": []}
        for pid, command in self.processes().items():
            name = os.path.basename(command.split(" ")[0])
            if name in (self.program.name, "lighttpd"):
                found["lighttpd" if name == "lighttpd" else "application"].append(pid)
        assert all(found.values()), f"{self.label} has ended:\n{self.log_tail(20)}"
        return found


class Responder(Futaie):
    """The same with a FastCGI responder of our own in futaie's place."""

    packages = ["fcgi"]

    def __init__(self):
        compile_responder(self.label, self.program, self.packages)
        super().__init__()


class Constant(Responder):
    """It answers a constant."""

    label = "constant"
    program = FOLDER / "constant.bin"


class ConstantTensor(Constant):
    """The constant is as long as the predictions of a thousand rows in a binary tensor, and what describes them."""

    def environment(self):
        return {**super().environment(), "ANSWER_BYTES": "4160"}


class Naive(Responder):
    """It parses, predicts and prints as one writes it first."""

    label = "naive"
    program = FOLDER / "naive.bin"
    packages = ["fcgi", "xgboost", "libcjson"]

    def environment(self):
        return {**super().environment(), "MODEL": str(model_file().resolve())}


def compile_responder(name, program, packages):
    program.parent.mkdir(parents=True, exist_ok=True)
    asked = subprocess.run(["pkg-config", "--cflags", "--libs", *packages], check=True, capture_output=True, text=True)
    flags = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-pthread"]
    subprocess.run([os.environ.get("CC", "cc"), *flags, "-o", program, HERE / f"{name}.c", HERE / "responder.c", *shlex.split(asked.stdout)],
                   check=True, timeout=COMPILE_S)


class Flask(stack.Part):
    """Flask's own server with the same model: a thread and a connection a request."""

    name = label = "flask"

    def __init__(self):
        super().__init__(folder(self.label))
        self.port, = stack.free_ports(1)
        self.launch(["/usr/bin/python3", HERE / "flask_app.py", model_file(), self.port])
        self.wait_ready(lambda: stack.accepts(self.port))

    def pids(self):
        return {"application": [self.pid]}

    def stop(self, number=None):
        self.kill()             # it has no way to end cleanly


class Gunicorn(stack.Part):
    """The same application as it is deployed: gunicorn with a process a processor of two, each of which has the model."""

    name = label = "gunicorn"

    def __init__(self):
        super().__init__(folder(self.label))
        self.port, = stack.free_ports(1)
        self.launch(["/usr/bin/gunicorn", "--workers", WORKERS, "--bind", f"127.0.0.1:{self.port}", "--chdir", HERE, "--log-level", "warning",
                     "flask_app:app"], environment={"MODEL": str(model_file().resolve()), "PYTHONDONTWRITEBYTECODE": "1"})
        self.wait_ready(lambda: len(self.workers()) == WORKERS and stack.accepts(self.port))

    def workers(self):
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def pids(self):
        return {"application": [self.pid, *self.workers()]}
