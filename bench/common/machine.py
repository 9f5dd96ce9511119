# SPDX-License-Identifier: Apache-2.0
"""The machine that the figures come from: its parts, and how busy it is."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COUNTED = (
    "user+nice+system+irq+softirq of all cores, from /proc/stat (10 ms ticks); idle, iowait and steal are not counted"
)


@dataclass(frozen=True)
class CpuTime:
    """Seconds since boot, over all cores (proc_stat(5))."""

    busy: float
    stolen: float

    def __sub__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.busy - other.busy, self.stolen - other.stolen)


def cpu_time() -> CpuTime:
    """Return the CPU time that the machine has spent since boot."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = (int(word) for word in file.readline().split()[1:9])
    tick = os.sysconf("SC_CLK_TCK")
    return CpuTime((user + nice + system + irq + softirq) / tick, steal / tick)


def processor() -> str:
    """Return the CPU's name, as /proc/cpuinfo has it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def commit() -> str:
    """Return the commit of this program: with "+" where files were changed since, "" outside of a repository."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        found = git("rev-parse", "--short=12", "HEAD")
        return found + ("+" if found and git("status", "--porcelain", "--untracked-files=no") else "")
    except FileNotFoundError:
        return ""


def version_of(program: str, option: str = "--version") -> str:
    """Return the first line that a program prints about its version; "" where it is not installed."""
    if shutil.which(program) is None:
        return ""
    done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return next(iter((done.stdout or done.stderr).splitlines()), "").strip()
