# SPDX-License-Identifier: Apache-2.0
"""What a daemon uses over a while, and what its metrics say about full passes."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from fastpath.bench.common.process import cpu_seconds


@dataclass(frozen=True)
class Reconciled:
    """The number of full passes so far, and their total time."""

    passes: float
    seconds: float

    def each_ms(self, before: "Reconciled") -> float | None:
        """Return the mean time of the passes since `before`; None if there was none."""
        passes = self.passes - before.passes
        return (self.seconds - before.seconds) / passes * 1000 if passes else None


def reconciled(metrics: Path) -> Reconciled:
    """Read the passes from the daemon's metrics."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(str(metrics))
        sock.sendall(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n")
        page = b"".join(iter(lambda: sock.recv(1 << 16), b"")).decode()
    found = {"runs": 0.0, "seconds": 0.0}
    for line in page.splitlines():
        name, _, value = line.rpartition(" ")
        for key in found:
            if name.startswith(f"fastpath_reconcile_{key}_total"):
                found[key] += float(value)
    return Reconciled(found["runs"], found["seconds"])


class Window:
    """The CPU time of a process from now on, as a share of one core."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began, self._spent = time.monotonic(), cpu_seconds(pid)

    def percent(self) -> float:
        """Return the share up to now, in per cent."""
        return (cpu_seconds(self._pid) - self._spent) / (time.monotonic() - self._began) * 100
