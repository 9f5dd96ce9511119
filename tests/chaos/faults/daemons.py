# SPDX-License-Identifier: Apache-2.0
"""Faults of daemons. TCP does not notice them, since the kernel carries it; datagrams wait for the engine."""

import contextlib
import random
import signal
import sys
from collections.abc import Iterator

from tests.chaos.bed import LEASE_S, Bed
from tests.chaos.faults import fault

CLOCKS = {
    "ten days slow": -864_000,
    "an hour slow": -3_600,
    "30 s slow": -30,
    "an hour fast": 3_600,
    "a year fast": 31_536_000,
}
# A time namespace has no clock of the day, and libfaketime's waits do not end.
WRONG = """
import runpy, time
right = time.time
time.time = lambda: right() + {}
runpy.run_module("fastpath", run_name="__main__")
"""


@fault("daemons", 0, 3)
@contextlib.contextmanager
def daemon_killed(bed: Bed, choose: random.Random) -> Iterator[str]:
    """kill -9, and a start soon after."""
    host = choose.randrange(len(bed.daemons))
    daemon = bed.daemons[host]
    with bed.disturbed(bed.pairs_of(host), "udp"):
        daemon.kill()
        try:
            yield f"the daemon of h{host + 1} is killed"
        finally:
            daemon.start()


@fault("daemons", 0, 3)
@contextlib.contextmanager
def daemon_restarted(bed: Bed, choose: random.Random) -> Iterator[str]:
    """SIGTERM, and a start soon after."""
    host = choose.randrange(len(bed.daemons))
    daemon = bed.daemons[host]
    with bed.disturbed(bed.pairs_of(host), "udp"):
        status = daemon.stop()
        assert status == 0, daemon.log.read_text()
        try:
            yield f"the daemon of h{host + 1} is restarted"
        finally:
            daemon.start()


@fault("daemons", 1, 1.5 * LEASE_S)
@contextlib.contextmanager
def daemon_stopped(bed: Bed, choose: random.Random) -> Iterator[str]:
    """It does nothing for a while, maybe for longer than its lease."""
    host = choose.randrange(len(bed.daemons))
    daemon = bed.daemons[host]
    with bed.disturbed(bed.pairs_of(host), "udp"):
        daemon.pause()
        try:
            yield f"the daemon of h{host + 1} is stopped"
        finally:
            daemon.send_signal(signal.SIGCONT)


@fault("daemons", 2, 1.5 * LEASE_S)
@contextlib.contextmanager
def clock_off(bed: Bed, choose: random.Random) -> Iterator[str]:
    """A host's daemon starts while its clock is wrong; it is right again at the next start."""
    host = choose.randrange(len(bed.daemons))
    daemon = bed.daemons[host]
    off = choose.choice(list(CLOCKS))
    with bed.disturbed(bed.pairs_of(host), "udp"):
        daemon.stop()
        daemon.start((sys.executable, "-c", WRONG.format(CLOCKS[off])))
    try:
        yield f"the clock of h{host + 1} is {off}"
    finally:
        with bed.disturbed(bed.pairs_of(host), "udp"):
            daemon.stop()
            daemon.start()
