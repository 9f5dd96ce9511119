# SPDX-License-Identifier: Apache-2.0
"""Waiting for a quiet machine before a measurement."""

import time

from fastpath.bench.common import machine

SAMPLE_S = 2.0
QUIET_CORES = 0.3  # a machine is quiet when at most so many cores are busy


def busy_cores(seconds: float = SAMPLE_S) -> float:
    """Return how many cores are busy, measured for `seconds`."""
    before = machine.cpu_time()
    time.sleep(seconds)
    return (machine.cpu_time() - before).busy / seconds


def wait_for_quiet(patience: float) -> float:
    """Wait for at most `patience` seconds until the machine is quiet. Return how many cores were busy at the end."""
    end = time.monotonic() + patience
    while (busy := busy_cores()) > QUIET_CORES and time.monotonic() < end:
        pass
    return busy
