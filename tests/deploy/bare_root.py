#!/usr/bin/python3
"""bare_root.py - the README's two commands, make run and make test, in a Debian 12 that has only make

    tests/deploy/bare_root.py               a clean archive of HEAD
    tests/deploy/bare_root.py --worktree    what is in the working tree, committed or not
    tests/deploy/bare_root.py --keep        leave the root under $BUILD/test/bare-root to look at

Prints TAP. The root is made by mmdebstrap from this machine's own package sources, in namespaces of its own for mounts and
processes, so that whatever happens in it ends with it. Needs root, mmdebstrap and the network; all it writes is under $BUILD.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import stack       # noqa: E402

BARE = (stack.BUILD / "test" / "bare-root").resolve()
SOURCE = "/src/futaie"                      # where the project lies inside the root
DATA = "/srv/data"                          # FUTAIE_DATA_DIR inside the root, where it is set outside
LOG = BARE.parent / "bare-root.log"
PLAN = ["mmdebstrap makes a bare Debian 12 with make", "make run installs, builds and gets ready",
        "the curl that make run prints gives a prediction over HTTPS", "Ctrl-C stops make run and leaves no process behind",
        "make run starts again within seconds", "make test is green"]
READY_S = 180
TEST_S = 660
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "CI": "1"}
PORTS = {"HTTP_PORT": 5001, "HTTPS_PORT": 8443}


class Failed(Exception):
    pass


# The root

def debian_sources():
    """This machine's package sources that are Debian's."""
    folder = Path("/etc/apt")
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list")), *sorted(folder.glob("sources.list.d/*.sources"))]
    return [str(file) for file in files if file.is_file() and re.search(r"^(?!#).*https?://\S*debian", file.read_text(), re.MULTILINE)]


def apt_options():
    """How this machine reaches its package sources: proxies, and what it was told about dates."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    wanted = re.findall(r'^(?:Acquire::https?::(?:Proxy|ProxyAutoDetect)\S*|Acquire::Check-(?:Valid-Until|Date)) ".+";$', dump, re.MULTILINE)
    return [f"--aptopt={line}" for line in wanted]


def make_root():
    remove_root()
    BARE.parent.mkdir(parents=True, exist_ok=True)
    run_here(["mmdebstrap", "--variant=minbase", "--include=make", "--dpkgopt=force-unsafe-io", *apt_options(), "bookworm", BARE, *debian_sources()])


def remove_root():
    if BARE.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", BARE], check=True)


def copy_project(worktree):
    target = BARE / SOURCE.lstrip("/")
    target.mkdir(parents=True)
    if worktree:
        pack = "git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=-"
    else:
        pack = "git archive HEAD"
    run_here(["sh", "-c", f"{pack} | tar --extract --directory '{target}'"])
    if data := os.environ.get("FUTAIE_DATA_DIR"):
        (BARE / DATA[1:]).mkdir()
        shutil.copy(stack.ROOT / data / "cal_housing.data", BARE / DATA[1:])


def run_here(words):
    with open(LOG, "a") as log:
        if subprocess.run([str(word) for word in words], cwd=stack.ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode:
            raise Failed(f"{words[0]} failed:\n{log_tail(20)}")


def log_tail(lines):
    return "\n".join(LOG.read_text(errors="replace").splitlines()[-lines:])


class Room:
    """Namespaces for mounts and processes around the root; all in them ends when the room closes."""

    def __enter__(self):
        # Its root is the room's own, not one changed to: what runs in it enters namespaces and mounts as on a machine.
        mounts = (f"mount --bind '{BARE}' '{BARE}' && cd '{BARE}' && mount -t proc proc proc && mount -t tmpfs -o mode=1777 shm dev/shm"
                  " && mkdir -p dev/pts && mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts"
                  " && pivot_root . . && umount -l .")
        self.holder = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", f"{mounts} && echo open && exec sleep infinity"],
                                       stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        if self.holder.stdout.readline() != "open\n":
            raise Failed("cannot make namespaces and mount /proc in them")
        self.init = int(Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text().split()[0])
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.wait()

    def popen(self, command, **options):
        """A shell command in the root, in a session of its own, as on a terminal."""
        environment = {**ENVIRONMENT, **{name: str(port) for name, port in PORTS.items()}}
        if (BARE / DATA[1:]).exists():
            environment["FUTAIE_DATA_DIR"] = DATA
        return subprocess.Popen(["nsenter", f"--target={self.init}", "--mount", "--pid", "sh", "-c", f"cd {SOURCE} && {command}"],
                                env=environment, stdin=subprocess.DEVNULL, start_new_session=True, **options)

    def processes(self):
        """Command lines of what runs in the room, its holder left out."""
        found, room = [], os.readlink(f"/proc/{self.init}/ns/pid")
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and int(entry.name) != self.init and os.readlink(entry / "ns/pid") == room:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                    found += [command] if command else []       # a zombie has none
            except OSError:
                continue
        return found


# The steps, in the order of PLAN

def make_run(room):
    """Starts make run and waits for its curl to be printed and its ports to be open: the process and what it printed."""
    start = LOG.stat().st_size
    with open(LOG, "a") as log:
        process = room.popen("exec make run", stdout=log, stderr=log)

    def is_ready():
        if process.poll() is not None:
            raise Failed(f"make run ended with {process.returncode}:\n{log_tail(30)}")
        printed = LOG.read_text(errors="replace")[start:]
        return stack.printed_curls(printed) and all(stack.accepts(port) for port in PORTS.values()) and printed
    return process, wait_for("make run to get ready", is_ready, READY_S)


def wait_for(what, condition, seconds):
    try:
        return stack.wait_for(what, condition, seconds)
    except AssertionError as error:
        raise Failed(f"{error}\n{log_tail(30)}") from None


def use_curl(room, printed):
    commands = [command for command in stack.printed_curls(printed) if "https://" in command]
    if not commands:
        raise Failed(f"no curl over HTTPS in:\n{printed}")
    for command in commands:
        done = room.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        output, errors = done.communicate(timeout=30)
        if done.returncode or not json.loads(output)["predictions"]:
            raise Failed(f"{command}\n{output}{errors}")
        print(f"# {command}\n# {output.strip()}")


def stop(room, process):
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        raise Failed(f"make run still runs 20 s after Ctrl-C:\n{log_tail(20)}") from None
    wait_for("the processes of make run to end", lambda: not room.processes(), 5)


def make_test(room):
    process = room.popen("exec make test", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + TEST_S
    with open(LOG, "a") as log:
        last = ""
        for line in process.stdout:
            log.write(line)
            last = line.strip() if not line.startswith(("make: ***", "\n")) else last
            if line.startswith(("not ok", "# skipped:", "# failed:")) or re.match(r"# \w+: [\d.]+ s$", line):
                print("#   " + line.rstrip(), flush=True)
            if time.monotonic() > deadline:
                raise Failed(f"make test takes longer than {TEST_S} s")
    print(f"# make test: {last}")
    if process.wait() != 0 or not re.fullmatch(r"\d+ passed, 0 failed, \d+ skipped", last):
        raise Failed(f"make test ended with {process.returncode}, its last line is: {last}\n{log_tail(40)}")


class Steps:
    """Prints the result of each step in PLAN's order; after a failure the rest are failures too."""

    def __init__(self):
        print(f"1..{len(PLAN)}", flush=True)
        self.number = 0
        self.failed = False

    def run(self, function, *arguments):
        name, started = PLAN[self.number], time.monotonic()
        self.number += 1
        try:
            result = function(*arguments)
        except (Failed, OSError, ValueError, subprocess.SubprocessError) as error:
            self.failed = True
            print(f"not ok {self.number} - {name}")
            print("\n".join(f"# {line}" for line in str(error).splitlines()), flush=True)
            raise Failed from error
        print(f"ok {self.number} - {name}\n# {time.monotonic() - started:.1f} s", flush=True)
        return result

    def give_up(self):
        for name in PLAN[self.number:]:
            self.number += 1
            print(f"not ok {self.number} - {name}\n# a step before it failed")


def run_steps(steps, options):
    def prepare():
        make_root()
        copy_project(options.worktree)
    steps.run(prepare)
    choose_ports()
    with Room() as room:
        process, printed = steps.run(make_run, room)
        steps.run(use_curl, room, printed)
        steps.run(stop, room, process)

        def again():
            started = time.monotonic()
            second, _ = make_run(room)
            taken = time.monotonic() - started
            stop(room, second)
            if taken > 10:
                raise Failed(f"make run with everything in place took {taken:.1f} s")
        steps.run(again)
        steps.run(make_test, room)


def choose_ports():
    """The default ports where they are free, as a reader of the README would have it."""
    if any(stack.accepts(port) for port in PORTS.values()):
        PORTS.update(zip(PORTS, stack.free_ports(2)))
        print(f"# the default ports are taken here: using {PORTS}")


def cannot():
    """Why this cannot be tried here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("mmdebstrap", "unshare", "nsenter", "git"):
        if shutil.which(program) is None:
            return f"no {program} here"
    return None


def main():
    parser = argparse.ArgumentParser(description="Run make run and make test in a bare Debian 12.")
    parser.add_argument("--worktree", action="store_true", help="take the working tree instead of HEAD")
    parser.add_argument("--keep", action="store_true", help="leave the root to look at")
    options = parser.parse_args()
    if why := cannot():
        print(f"1..0 # SKIP {why}")
        return 0
    LOG.parent.mkdir(parents=True, exist_ok=True)
    LOG.write_text("")
    steps = Steps()
    try:
        run_steps(steps, options)
    except Failed as error:
        if str(error):
            print("\n".join(f"# {line}" for line in str(error).splitlines()))
            steps.failed = True
        steps.give_up()
    finally:
        if not options.keep:
            remove_root()
    return 1 if steps.failed else 0


if __name__ == "__main__":
    sys.exit(main())
