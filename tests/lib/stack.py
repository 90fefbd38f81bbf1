"""stack.py - the real parts, started and stopped: futaie, the two web servers, and make run's script

Every part is a child of the test, known by its pid, with a log of its own that is shown when the test fails; each wait has an end.
What they write goes to a folder under $BUILD/test. Paths are kept relative to the top level, since a socket's may not be long.
"""
import atexit
import ctypes
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from lib import fcgi, http

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.path.relpath(os.environ.get("BUILD", "build"), ROOT)) if os.path.isabs(os.environ.get("BUILD", "")) \
    else Path(os.environ.get("BUILD", "build"))
FUTAIE = BUILD / "futaie"
WEBSERVER = ROOT / "webserver-conf"

SANITIZERS = {b"__asan_init": "address sanitizer", b"__tsan_init": "thread sanitizer"}


def sanitizer():
    """Which sanitizer is in the program, or "". With one it is slow and takes memory: what it takes is then not judged."""
    found = [name for mark, name in SANITIZERS.items() if FUTAIE.exists() and mark in FUTAIE.read_bytes()]
    return found[0] if found else ""


SANITIZED = sanitizer()

SANITIZER_OPTIONS = {
    "TSAN_OPTIONS": f"suppressions={ROOT / 'tests' / 'lib' / 'tsan.supp'} " + os.environ.get("TSAN_OPTIONS", ""),
    "OMP_NUM_THREADS": "1",     # ThreadSanitizer cannot see how libgomp's threads wait for each other
} if SANITIZED else {}

READY_S = 15
STOP_S = 15
BACKLOG = 512
PR_SET_PDEATHSIG = 1

PARTS = []              # what this test has started or found running; the logs of these are shown when it fails
_numbers = itertools.count(1)
_libc = ctypes.CDLL(None, use_errno=True)

os.chdir(ROOT)


def scratch(name):
    """An empty folder of our own under the build directory."""
    folder = BUILD / "test" / f"{os.getpid()}-{next(_numbers)}-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def free_ports(count):
    """Ports on loopback that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(what, condition, seconds=READY_S):
    """Waits until `condition()` gives something true, and gives that back."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def forget_ended_parts():
    """Called before each test: the parts that ended in an earlier one are no longer of interest, and old log lines neither."""
    PARTS[:] = [part for part in PARTS if part.running()]
    for part in PARTS:
        part.log_start = part.log_size()


def die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def resident_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1])


class Part:
    """One process. `stop()` says that it must end by itself and cleanly; `kill()` is for when nothing else helps."""

    name = "part"
    stop_signal = signal.SIGTERM

    def __init__(self, folder=None):
        self.folder = folder or scratch(self.name)
        self.log_path = self.folder / f"{self.name}.log"
        self.log_start = 0
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def launch(self, argv, stdin=subprocess.DEVNULL, own_group=False, environment=None, log_to=None, folder=ROOT):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(word) for word in argv], stdin=stdin, cwd=folder,
                                            stdout=log_to or log, stderr=log_to or log,
                                            env={**os.environ, **SANITIZER_OPTIONS, **(environment or {})}, start_new_session=own_group,
                                            preexec_fn=None if own_group else die_with_parent)
        PARTS.append(self)
        atexit.register(self.kill)

    def wait_ready(self, is_ready):
        def look():
            assert self.running(), f"{self.name} ended with {self.process.returncode} before it was ready:\n{self.log_tail(20)}"
            return is_ready()
        wait_for(f"{self.name} to be ready", look)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=STOP_S):
        """Exit status of a process that is about to end."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {seconds} s") from None

    def stop(self, number=None):
        """Ends a part that runs, and demands exit status 0; one that has ended already must have ended so too."""
        if self.process is None:
            return
        if self.running():
            self.send(number or self.stop_signal)
        try:
            status = self.wait()
        finally:
            self.kill()
        assert status == 0, f"{self.name} ended with {status}:\n{self.log_tail(20)}"

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()

    # What is seen from outside

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_size(self):
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_tail(self, lines):
        """The last lines since the test began."""
        if not self.log_path.exists():
            return ""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_start)
            return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])

    def rss_kib(self):
        """Resident memory, in KiB."""
        return resident_kib(self.pid)

    def peak_kib(self):
        return int(re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def settled_descriptors(self, most):
        """How many descriptors are open once the last connections have ended: waits a little for at most this many."""
        deadline = time.monotonic() + 2
        while self.descriptors() > most and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.descriptors()

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))


class Futaie(Part):
    """`futaie serve`. Its listening socket is ours and handed over as descriptor 0, so that a second process can take it on; with
    `socket_option` it makes its own."""

    name = "futaie"

    def __init__(self, models, args=(), socket_option=None, listener=None, folder=None, environment=None, log_to=None,
                 ready=True):
        super().__init__(folder)
        self.models, self.args, self.socket_option = models, list(args), socket_option
        self.environment, self.log_to = environment, log_to
        self.address = socket_option or str(self.folder / "app.sock")
        self.listener = listener
        if listener is None and socket_option is None:
            self.listener = listening_socket(self.address)
        elif listener is not None:
            self.address = listener.getsockname()
        self.start(ready)

    def argv(self):
        return [FUTAIE, "serve", "--models", self.models, *(["--socket", self.socket_option] if self.socket_option else []), *self.args]

    def start(self, ready=True):
        assert os.access(FUTAIE, os.X_OK), f"{FUTAIE} is not built"
        self.launch(self.argv(), self.listener or subprocess.DEVNULL, environment=self.environment, log_to=self.log_to)
        if ready:
            self.wait_ready(self.is_ready)
        return self

    def is_ready(self):
        try:
            return self.request("GET", "/readyz", timeout_s=1).status == 200
        except OSError:         # not there yet, or does not answer within the second
            return False

    def restart(self, number=signal.SIGTERM):
        """Ends the process and starts another on the same socket, without a look at whether it is ready."""
        self.stop(number)
        return self.start(ready=False)

    def connect_to(self):
        """The address in the form that fcgi.Peer takes."""
        host, colon, port = self.address.rpartition(":")
        return (host, int(port)) if colon and "/" not in self.address else self.address

    def peer(self, **options):
        return fcgi.Peer(self.connect_to(), **options)

    def request(self, method, path, body=b"", content_type=None, **options):
        """Straight to the process, without a web server."""
        return fcgi.request(self.connect_to(), method, path, body, content_type, **options)

    def log_lines(self, event=None):
        """The log as a list of dicts; every line must be a JSON object."""
        lines = [json.loads(line) for line in self.log().splitlines()]
        return [line for line in lines if event is None or line["event"] == event]


def listening_socket(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(BACKLOG)
    return listener


def certificate(folder):
    """A self-signed certificate for a test, with its key in the same file."""
    path = folder / "tls.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", path, "-out", path], check=True, capture_output=True)
    return path


def path_of(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Front(Part):
    """A web server with webserver-conf/ in front of a FastCGI socket. `settings` replace variables of its defaults, by the names in
    defaults.conf: {"redirect_scheme": "http"}."""

    def __init__(self, app_socket, settings=None, folder=None):
        super().__init__(folder)
        self.http_port, self.https_port = free_ports(2)
        self.access_log = self.folder / "access.log"
        self.configuration = self.folder / f"{self.name}.conf"
        self.configuration.write_text(self.place(app_socket, settings or {}))
        self.start()

    def place(self, app_socket, settings):
        """What a place's own file holds."""
        raise NotImplementedError

    def variables(self, app_socket, settings):
        here = self.folder.resolve()
        return {"root": WEBSERVER, "http_port": self.http_port, "https_port": self.https_port, "tls_cert": certificate(here),
                "tls_key": here / "tls.pem", "socket": app_socket, "access_log": here / "access.log",
                "error_log": here / f"{self.name}.log", **settings}

    def wait_listening(self):
        self.wait_ready(lambda: accepts(self.http_port) and accepts(self.https_port))

    def write_logs(self):
        """Asks for the lines that are not in the access log yet."""

    def access_lines(self):
        """The access log as a list of dicts. It may be written in the server's own time, so callers wait for what they look for."""
        text = self.access_log.read_text() if self.access_log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]


class Lighttpd(Front):
    name = "lighttpd"
    stop_signal = signal.SIGINT         # SIGTERM ends it at once and with status 1

    def place(self, app_socket, settings):
        variables = self.variables(app_socket, {"upload_dir": self.folder.resolve(), **settings})
        lines = [f"var.{name} := " + (str(value) if isinstance(value, int) else f'"{value}"') for name, value in variables.items()]
        return "\n".join([f'include "{WEBSERVER / "defaults.conf"}"', *lines, f'include "{WEBSERVER / "lighttpd.conf"}"', ""])

    def start(self):
        self.launch([path_of("lighttpd"), "-D", "-f", self.configuration])
        self.wait_listening()
        return self

    def write_logs(self):
        self.send(signal.SIGHUP)        # reopens the logs, which writes them out


# Apache refuses to serve as root: see webserver-conf/run-apache.sh.
NOT_ROOT = ["setpriv", "--reuid", "www-data", "--regid", "www-data", "--clear-groups", "--inh-caps=-all,+dac_override",
            "--ambient-caps=-all,+dac_override", "--pdeathsig", "TERM", "--"] if os.geteuid() == 0 else []


class Apache(Front):
    name = "apache"
    stop_signal = signal.SIGTERM        # SIGWINCH would let requests end, and take a second for it

    def place(self, app_socket, settings):
        # An absolute path, but no longer than the relative one.
        variables = self.variables(Path("/proc/self/cwd", app_socket), {"run_dir": self.folder.resolve(), **settings})
        lines = [f'Define {name.upper()} "{value}"' for name, value in variables.items()]
        return "\n".join([f'Include "{WEBSERVER / "apache-defaults.conf"}"', *lines, f'Include "{WEBSERVER / "apache.conf"}"', ""])

    def start(self):
        self.launch([*NOT_ROOT, path_of("apache2"), "-DFOREGROUND", "-f", self.configuration.resolve()], environment={"TMPDIR": str(self.folder.resolve())})
        self.wait_listening()
        return self

    def processes(self):
        """The one that was started, and those that serve."""
        return [self.pid, *map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())]

    def rss_kib(self):
        return sum(resident_kib(pid) for pid in self.processes())

    def kill(self):
        if self.running():
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            self.process.wait()


FRONTS = {front.name: front for front in (Lighttpd, Apache)}


def accepts(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


class Site:
    """futaie behind a web server: what a client sees. Requests go over plain HTTP on one kept connection unless said."""

    def __init__(self, models, args=(), settings=None, front=Lighttpd.name):
        self.app = Futaie(models, args)
        self.front = FRONTS[front](self.app.address, settings)
        self.http_port, self.https_port = self.front.http_port, self.front.https_port
        self.client = http.Client(self.http_port)

    def request(self, method, path, body=None, content_type=None, **options):
        return self.client.request(method, path, body, content_type, **options)

    def get(self, path, **options):
        return self.client.get(path, **options)

    def post(self, path, body, content_type="application/json", **options):
        return self.client.post(path, body, content_type, **options)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.client.close()
        try:
            self.front.__exit__(kind)
        finally:
            self.app.__exit__(kind)


class MakeRun(Part):
    """`webserver-conf/run.sh`, what make run starts once everything is built; in a session of its own, as on a terminal."""

    name = "run"

    def __init__(self, models, build=None, ports=None, from_folder=ROOT, absolute=False, ready=True, front=Lighttpd.name):
        super().__init__()
        self.front = front
        self.build = build or self.folder
        self.build = self.build.resolve() if absolute else self.build
        self.models, self.from_folder = models, from_folder
        self.http_port, self.https_port = ports or free_ports(2)
        self.start(ready)

    def environment(self):
        return {"BUILD": str(self.build), "FUTAIE": str(FUTAIE.resolve()), "MODELS": str(self.models), "FRONT": self.front,
                "HTTP_PORT": str(self.http_port), "HTTPS_PORT": str(self.https_port)}

    def start(self, ready=True):
        self.launch([WEBSERVER / "run.sh"], own_group=True, environment=self.environment(), folder=self.from_folder)
        if ready:
            self.wait_ready(lambda: "curl" in self.log() and accepts(self.http_port) and accepts(self.https_port))
        return self

    def interrupt(self):
        """Ctrl-C: the terminal sends SIGINT to the whole foreground group."""
        os.killpg(self.pid, signal.SIGINT)

    def kill(self):
        if self.process is not None:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.wait()

    def processes(self):
        """The processes of this run, known by the port in their environment: pid → command line."""
        found, mark = {}, f"HTTP_PORT={self.http_port}".encode()
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            except OSError:
                continue
        return found

    def application(self):
        """Pid of its futaie, or None while there is none."""
        pids = [pid for pid, command in self.processes().items() if command.split(" ")[0].endswith("/futaie")]
        return pids[0] if len(pids) == 1 else None

    def web_server(self):
        """Pid of its web server; of Apache, the process that started the others."""
        program = {"lighttpd": "lighttpd", "apache": "apache2"}[self.front]
        return min(pid for pid, command in self.processes().items() if command.split(" ")[0].rpartition("/")[2] == program)

    def log_tail(self, lines):
        parts = [super().log_tail(lines)]
        for path in sorted(self.build.glob("log/*.log")):
            parts += [f"{path.name}:", *path.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(parts)


def printed_curls(text):
    """The curl commands in what make run printed, each with its continuation lines."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip().removeprefix("$ ") for line in joined.splitlines() if re.match(r"\s*(\$ )?curl ", line)]


def run_futaie(*words, stdin=None, timeout_s=30, environment=None):
    """Runs the program to its end: exit status, output and errors as text."""
    assert os.access(FUTAIE, os.X_OK), f"{FUTAIE} is not built"
    return subprocess.run([str(FUTAIE), *map(str, words)], input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout_s,
                          check=False, env={**os.environ, **SANITIZER_OPTIONS, **(environment or {})}, **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))
