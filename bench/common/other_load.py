# SPDX-License-Identifier: Apache-2.0
"""What else the machine does: processes that are not the benchmark's, and other guests of its hypervisor."""

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fastpath.bench.common import machine

BUSY_CORES = 0.1  # more than what a machine does that nobody uses
BUSY_PRESSURE = 0.1
SAMPLE_S = 0.5
PROC = Path("/proc")
PRESSURE = PROC / "pressure" / "cpu"
NETNS = Path("/run/netns")
PF_KTHREAD = 0x00200000  # linux/sched.h
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class _Process:
    """A process, from proc_pid_stat(5): CPU time in ticks, with that of the children that it has waited for."""

    parent: int
    ticks: int
    is_kernel_thread: bool


def _processes(proc: Path) -> dict[int, _Process]:
    """Return all processes by PID, the youngest first, so that the time of one that ends meanwhile is in its parent's:
    the sum over a tree of processes never shrinks, and does not jump when one ends."""
    found = {}
    for pid in sorted((int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal()), reverse=True):
        with contextlib.suppress(OSError, IndexError):  # it ended
            fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
            ticks = sum(int(word) for word in fields[11:15])
            found[pid] = _Process(int(fields[1]), ticks, bool(int(fields[6]) & PF_KTHREAD))
    return found


def cpu_seconds_of_others(namespaces: Iterable[str] = (), proc: Path = PROC) -> float:
    """Return the CPU time since their start of all processes but this one, its descendants, those in the named network
    namespaces, and the kernel's threads, which work for the benchmark, too."""
    processes = {pid: one for pid, one in _processes(proc).items() if not one.is_kernel_thread}
    networks = {(NETNS / name).stat().st_ino for name in namespaces if (NETNS / name).exists()}
    own = {os.getpid()}

    def is_own(pid: int) -> bool:
        line = []
        while pid in processes and pid not in own:
            line.append(pid)
            pid = processes[pid].parent
        if pid in own:
            own.update(line)
        return pid in own

    def is_inside(pid: int) -> bool:
        with contextlib.suppress(OSError):
            return (proc / str(pid) / "ns" / "net").stat().st_ino in networks
        return False

    return sum(one.ticks for pid, one in processes.items() if not is_own(pid) and not is_inside(pid)) / TICKS


class OtherLoad:
    """How many cores others use from now on. `namespaces` are those in which the benchmark's processes are."""

    def __init__(self, namespaces: Iterable[str] = ()) -> None:
        self._namespaces = tuple(namespaces)
        self._before = cpu_seconds_of_others(self._namespaces)
        self._stolen = machine.cpu_time().stolen
        self._start = time.monotonic()

    def cores(self) -> float:
        """Return the mean since the start, what the hypervisor gave to others (steal) included."""
        took = time.monotonic() - self._start
        stolen = machine.cpu_time().stolen - self._stolen
        return max(0.0, cpu_seconds_of_others(self._namespaces) - self._before + stolen) / took


def waiting_seconds() -> float:
    """Return how long since boot some process waited for a core (PSI, `some`); 0 where the kernel does not tell."""
    with contextlib.suppress(OSError):
        for line in PRESSURE.read_text().splitlines():
            if line.startswith("some "):
                return int(line.rpartition("total=")[2]) / 1e6
    return 0.0


@dataclass(frozen=True)
class Look:
    """A look at the machine while the benchmark waits: busy cores, and the share of the time in which some process
    waited for a core."""

    cores: float
    pressure: float


def look(seconds: float = SAMPLE_S) -> Look:
    """Look for so long."""
    before, waited = machine.cpu_time(), waiting_seconds()
    time.sleep(seconds)
    return Look((machine.cpu_time() - before).busy / seconds, (waiting_seconds() - waited) / seconds)
