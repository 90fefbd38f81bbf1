"""fault.py - builds fault.c, the library that lets changes of files fail, be slow, or be the last thing a program does"""
import os
import subprocess

from lib import stack

FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC"]


def build():
    """Its path, for LD_PRELOAD. A sanitizer wants to be loaded first: not for programs that are built with one."""
    path = stack.scratch("fault").resolve() / "fault.so"
    made = subprocess.run([*os.environ.get("CC", "cc").split(), *FLAGS, "-o", path, stack.ROOT / "tests" / "lib" / "fault.c"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    return path
