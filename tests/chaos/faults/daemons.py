# SPDX-License-Identifier: Apache-2.0
"""Faults of daemons. TCP does not notice them, since the kernel carries it; datagrams wait for the engine."""

import contextlib
import random
import signal
from collections.abc import Iterator

from tests.chaos.bed import LEASE_S, Bed
from tests.chaos.faults import fault


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
