"""need.py - what a test cannot do without: skip by name where it is missing, fail in CI where Debian has it"""
import importlib
import os
import shutil
import subprocess

import pytest


def module(name, package):
    """The Python module `name`, which Debian has in `package`."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"no {name} here", package)


def program(name, package):
    """The path of the program `name`, which Debian has in `package`."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        missing(f"no {name} here", package)
    return path


def network_namespaces():
    """Root, iproute2 and a kernel that lets us make a network namespace."""
    ip = program("ip", "iproute2")
    if os.geteuid() != 0:
        pytest.skip("needs root to make a network namespace")
    name = f"futaie-try-{os.getpid()}"
    for words in (["add", name], ["exec", name, "true"]):
        made = subprocess.run([ip, "netns", *words], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            subprocess.run([ip, "netns", "delete", name], capture_output=True, check=False)
            pytest.skip(f"cannot make a network namespace: {made.stderr.strip()}")
    subprocess.run([ip, "netns", "delete", name], check=True)
    return ip


def mount_namespaces():
    """Root, and a kernel that lets us mount a file system that only we see."""
    unshare = program("unshare", "util-linux")
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    made = subprocess.run([unshare, "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True,
                          check=False)
    if made.returncode != 0:
        pytest.skip(f"cannot mount a file system: {made.stderr.strip()}")
    return unshare


def variable(name, what):
    """The value of an environment variable that only some machines set."""
    value = os.environ.get(name)
    if not value:
        pytest.skip(f"{name} is not set: {what}")
    return value


def unavailable(what):
    """What comes from a registry and cannot be had."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must have it")
    pytest.skip(what)


def missing(what, package):
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must have it: install Debian's {package}")
    pytest.skip(f"{what}: install Debian's {package}")
