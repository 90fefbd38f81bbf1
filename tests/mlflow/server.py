"""server.py - real MLflow servers on loopback, their Python client, and a gate before a server that can be closed"""
import base64
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from lib import stack

READY_S = 120
ANSWER_S = 90
OFFLINE = 3             # exit status of environment.sh where there is no PyPI
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "GIT_PYTHON_REFRESH": "quiet"}
# None of the user's own MLflow may reach the tests.
for _name in [name for name in os.environ if name.startswith("MLFLOW_")]:
    del os.environ[_name]


def environment(version):
    """The folder of the virtual environment; made once, and skipped by name where the packages cannot be had."""
    made = subprocess.run(["tests/mlflow/environment.sh", version], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if made.returncode == OFFLINE:
        pytest.skip(f"needs packages from PyPI: {made.stderr.strip().splitlines()[-1]}")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


class Mlflow(stack.Part):
    """`mlflow server` with a sqlite store, and a Python client that answers a line for a line."""

    def __init__(self, version):
        self.version = version
        self.name = f"mlflow{version}"
        folder = environment(version)
        super().__init__()
        here = self.folder.resolve()
        self.python = f"{folder}/bin/python"
        (self.port,) = stack.free_ports(1)
        self.launch([f"{folder}/bin/mlflow", "server", "--host", "127.0.0.1", "--port", self.port, "--workers", "2",
                     "--backend-store-uri", f"sqlite:///{here}/mlflow.db", "--artifacts-destination", here / "artifacts"],
                    own_group=True, environment=QUIET)
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = None
        try:
            stack.wait_for(f"{self.name} to be ready", self.is_ready, READY_S)
        except BaseException:
            self.end()
            raise

    def is_ready(self):
        assert self.running(), f"{self.name} ended:\n{self.log_tail(30)}"
        try:
            with urllib.request.urlopen(self.url + "/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def ask(self, action, **arguments):
        """What the Python client answers; a failure there is one here."""
        if self.client is None:
            with open(self.log_path, "ab") as log:
                self.client = subprocess.Popen([self.python, "tests/mlflow/client.py", self.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                               stderr=log, text=True, env={**os.environ, **QUIET, "OMP_NUM_THREADS": "1"},
                                               preexec_fn=stack.die_with_parent)
        self.client.stdin.write(json.dumps({"do": action, **arguments}) + "\n")
        self.client.stdin.flush()
        ready, _, _ = select.select([self.client.stdout], [], [], ANSWER_S)
        assert ready, f"the Python client does not answer: {action} {arguments}"
        answer = json.loads(self.client.stdout.readline() or '{"error": "the Python client ended"}')
        assert "ok" in answer, f"{action} {arguments}: {answer['error']}"
        return answer["ok"]

    def end(self):
        if self.client is not None:
            self.client.kill()
            self.client.wait()
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


class Gate:
    """A port that leads to a server. `closed`: connections are refused; `held`: nothing is answered; `says`: a whole answer in its place. It remembers the
    heads of all requests."""

    def __init__(self, port, certificate=None):
        self.target = port
        self.listener = None
        self.certificate = certificate
        self.held = threading.Event()
        self.says = None
        self.heads = []
        self.sockets = set()
        self.lock = threading.Lock()
        (self.port,) = stack.free_ports(1)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *_):
        self.close()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """As a server that ended: what is open breaks, what comes is refused."""
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            for each in self.sockets:
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def accept(self, listener):
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            if self.certificate:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.certificate)
                peer = context.wrap_socket(peer, server_side=True)
            with self.lock:
                self.sockets.add(peer)
            file = peer.makefile("rb")
            while self.one(peer, file):
                pass
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.sockets.discard(peer)
            peer.close()

    def one(self, peer, file):
        """One request there and its answer back; False at the end of the connection."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline(65536)
            if not line:
                return False
            head += line
        self.heads.append(head.decode("latin-1"))
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        body = file.read(length)
        if self.held.is_set():
            peer.recv(1)            # until the other side has had enough
            return False
        if self.says:
            peer.sendall(self.says)
            return False
        head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"accept-encoding:", b"authorization:")))
        head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        with socket.create_connection(("127.0.0.1", self.target), timeout=60) as server:
            server.sendall(head + body)
            while chunk := server.recv(65536):
                peer.sendall(chunk)
        return False

    def credentials(self):
        """What the requests said of who we are: "user:password" or "Bearer …"; None without a word."""
        found = set()
        for head in self.heads:
            word = next((line.split(": ", 1)[1] for line in head.split("\r\n") if line.lower().startswith("authorization: ")), None)
            found.add(base64.b64decode(word[6:]).decode() if word and word.startswith("Basic ") else word)
        return found


def answer(status, kind, body):
    text = body.encode()
    return f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text
