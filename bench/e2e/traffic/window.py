# SPDX-License-Identifier: Apache-2.0
"""Running the ends of a load within one window, and counting CPU time in it."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

from fastpath.bench.common import machine
from fastpath.bench.common.namespaces import Namespace
from fastpath.errors import RefusedError

SENDER_CPU, RECEIVER_CPU = 0, 1
PINNING = (
    f"sender or client on core {SENDER_CPU}, receiver or server on core {RECEIVER_CPU}; "
    "overlays, kernel threads, interrupts, and the datagrams of flood… and paced… are not pinned"
)
WARM_UP_S = 0.3
ADDRESS = "10.9.0.2"
Figures = dict[str, float]


@dataclass(frozen=True)
class Window:
    """Traffic flows from `begin` to `end` and is counted from `count` on; CLOCK_MONOTONIC, ns."""

    begin: int
    count: int
    end: int

    @classmethod
    def starting_now(cls, seconds: float) -> "Window":
        """Return a window of `seconds` after the warm-up."""
        begin = time.monotonic_ns() + 5_000_000
        count = begin + int(WARM_UP_S * 1e9)
        return cls(begin, count, count + int(seconds * 1e9))

    @property
    def seconds(self) -> float:
        """The length of the part that is counted."""
        return (self.end - self.count) / 1e9


def _sleep_until(when_ns: int) -> None:
    time.sleep(max(0, when_ns - time.monotonic_ns()) / 1e9)


def cpu_within(window: Window) -> machine.CpuTime:
    """Wait for the end of the window. Return the CPU time that the machine spent in it."""
    _sleep_until(window.count)
    before = machine.cpu_time()
    _sleep_until(window.end)
    return machine.cpu_time() - before


def load(where: Namespace, role: str, *switches: str, **options: float | str) -> subprocess.Popen[str]:
    """Start one end of the load (load.py) with its options, `cpu` among them; it then waits for its window."""
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    program = "fastpath.bench.e2e.traffic.load"
    command = [sys.executable, "-m", program, role, "--address", ADDRESS, *words, *(f"--{name}" for name in switches)]
    return where.spawn(*command, stdin=subprocess.PIPE)


def last_line(text: str) -> str:
    """Return the last line of what a program printed."""
    return text.strip().rpartition("\n")[2]


def together(
    *ends: subprocess.Popen[str], seconds: float, drain: float = 0
) -> tuple[Window, machine.CpuTime, list[Figures]]:
    """Run all ends within one window. Return what each counted. The first end stays for `drain` seconds more."""
    for end in ends:
        assert end.stdout is not None
        if end.stdout.readline() != "ready\n":
            raise RefusedError(f"the load generator did not start: {last_line(end.communicate()[1])}")
    window = Window.starting_now(seconds)
    for end in ends:
        assert end.stdin is not None
        last = window.end + (int(drain * 1e9) if end is ends[0] else 0)
        end.stdin.write(f"{window.begin} {window.count} {last}\n")
        end.stdin.flush()
    cpu = cpu_within(window)
    tallies: list[Figures] = []
    for end in ends:
        output, errors = end.communicate(timeout=30)
        if end.returncode != 0:
            raise RefusedError(f"the load generator failed: {last_line(errors)}")
        tallies.append(json.loads(output))
    return window, cpu, tallies


def flow(window: Window, cpu: machine.CpuTime, received: Figures, sent: Figures) -> Figures:
    """Return the figures of datagrams that went one way."""
    return {
        "offered_kpps": sent["datagrams"] / window.seconds / 1e3,
        "received_kpps": received["datagrams"] / window.seconds / 1e3,
        "cpu_us_per_datagram": per(cpu.busy * 1e6, received["datagrams"]),
        "cpu_cores": cpu.busy / window.seconds,
        "stolen_s": cpu.stolen,
    }


def lost_percent(received: Figures, sent: Figures) -> float:
    """Return how much of all that was sent did not arrive, in per cent."""
    return 100 * max(0.0, 1 - per(received["total"], sent["total"])) if sent["total"] else 0.0


def per(cpu_s: float, count: float) -> float:
    """Return the cost of one; infinite where there was none."""
    return cpu_s / count if count else float("inf")
