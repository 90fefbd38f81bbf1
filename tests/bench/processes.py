"""processes.py - what a process has used, as the kernel counts it: processor time and memory"""
import os
import re
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
BYTES_A_MB = 1_000_000


def cpu_us(pid):
    """Processor time of all its threads since its start, user and system, in µs (in steps of a tick, mostly 10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000 // TICKS_A_SECOND


def children_cpu_us():
    """Processor time of the child processes that have ended and were waited for."""
    times = os.times()
    return (times.children_user + times.children_system) * 1_000_000


def memory_mb(pid):
    """Resident memory in MB (10⁶ bytes): all of it, its share of what is shared, and what is the process's alone."""
    status, rollup = Path(f"/proc/{pid}/status").read_text(), Path(f"/proc/{pid}/smaps_rollup").read_text()

    def kib(text, name):
        return int(re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[1])

    private = kib(rollup, "Private_Clean") + kib(rollup, "Private_Dirty")
    return {"rss": kib(status, "VmRSS") * 1024 / BYTES_A_MB, "pss": kib(rollup, "Pss") * 1024 / BYTES_A_MB,
            "private": private * 1024 / BYTES_A_MB}


def machine_us():
    """Processor time of everything that runs on this machine, in µs, summed over its processors."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _io_wait, interrupt, soft_interrupt, stolen = fields
    return (user + nice + system + interrupt + soft_interrupt + stolen) * 1_000_000 // TICKS_A_SECOND
