# SPDX-License-Identifier: Apache-2.0
"""How long an interface receives no data: python -m fastpath.bench.e2e.traffic.pauses DEVICE

It prints `ready`, looks every SAMPLE_S until a line or the end of its standard input, and prints one JSON object.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SAMPLE_S = 0.002
PAUSE_S = 0.02  # what counts as one
DATA = 1000  # bytes: less is an acknowledgement, or a neighbour's question
PR_SET_PDEATHSIG = 1


@dataclass
class Pauses:
    """The pauses in a counter of bytes, as far as samples prove them: from one that saw new data to the last one that
    saw none since. So a sample that comes late makes no pause."""

    total: int  # at the first sample
    since: float
    longest_s: float = 0.0
    number: int = 0
    still_s: float = 0.0  # of the pause that may go on

    def see(self, now: float, total: int) -> None:
        """Take a sample: the time in seconds, and all bytes so far."""
        if total - self.total < DATA:
            self.still_s = now - self.since
            return
        self.end()
        self.total, self.since, self.still_s = total, now, 0.0

    def end(self) -> None:
        """Count the pause that went on."""
        self.longest_s = max(self.longest_s, self.still_s)
        self.number += self.still_s >= PAUSE_S


def watch(device: str) -> dict[str, float]:
    """Return the pauses, and how much was received in which time, until standard input has something."""
    with Path(f"/sys/class/net/{device}/statistics/rx_bytes").open("rb", buffering=0) as counter:

        def received() -> int:
            return int(os.pread(counter.fileno(), 32, 0))

        begin, first = time.monotonic(), received()
        found = Pauses(first, begin)
        while not select.select([sys.stdin], [], [], SAMPLE_S)[0]:
            total = received()
            found.see(time.monotonic(), total)
        found.end()
        seconds = time.monotonic() - begin
        return {
            "longest_pause_ms": found.longest_s * 1e3,
            "pauses": found.number,
            "gbit_per_s": (received() - first) * 8e-9 / seconds,
            "seconds": seconds,
        }


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(PermissionError):  # the cores are full, and a late sample says less
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    print("ready", flush=True)
    print(json.dumps(watch(sys.argv[1])))
