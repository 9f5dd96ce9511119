# SPDX-License-Identifier: Apache-2.0
"""Faults of the store. None of them may disturb a container."""

import contextlib
import random
import urllib.error
from collections.abc import Iterator

from tests.chaos.bed import FORGOTTEN_S, QUOTA, Bed
from tests.chaos.faults import fault
from tests.support.servers.etcd_server import Etcd

LONG_S = 1.5 * FORGOTTEN_S  # all leases and grace times are over
PIECE = 1 << 20  # bytes
FILL = "/chaos/fill/"


@contextlib.contextmanager
def _killed(members: list[Etcd]) -> Iterator[None]:
    for member in members:
        member.kill()
    try:
        yield
    finally:
        for member in members:
            member.launch()
        for member in members:
            member.wait()


@contextlib.contextmanager
def _paused(members: list[Etcd]) -> Iterator[None]:
    for member in members:
        member.pause()
    try:
        yield
    finally:
        for member in members:
            member.resume()


@fault("store", 5, LONG_S)
@contextlib.contextmanager
def store_killed(bed: Bed, _: random.Random) -> Iterator[str]:
    """Every member ends at once."""
    with _killed(bed.members):
        yield "all members of the store are killed"


@fault("store", 5, LONG_S)
@contextlib.contextmanager
def store_hung(bed: Bed, _: random.Random) -> Iterator[str]:
    """The store takes connections, and never answers."""
    with _paused(bed.members):
        yield "all members of the store are stopped"


@fault("store", 5, LONG_S)
@contextlib.contextmanager
def quorum_lost(bed: Bed, choose: random.Random) -> Iterator[str]:
    """One member is left, which can neither read nor write."""
    lost = choose.sample(bed.members, len(bed.members) // 2 + 1)
    with _killed(lost):
        yield f"{_names(lost)} of the store are killed: no quorum"


@fault("store", 2, 10)
@contextlib.contextmanager
def member_killed(bed: Bed, choose: random.Random) -> Iterator[str]:
    """One member ends, maybe the leader."""
    lost = choose.sample(bed.members, 1)
    with _killed(lost):
        yield f"{_names(lost)} of the store is killed"


@fault("store", 2, 10)
@contextlib.contextmanager
def member_hung(bed: Bed, choose: random.Random) -> Iterator[str]:
    """One member takes connections, and never answers."""
    lost = choose.sample(bed.members, 1)
    with _paused(lost):
        yield f"{_names(lost)} of the store is stopped"


@fault("store", 5, LONG_S)
@contextlib.contextmanager
def store_full(bed: Bed, _: random.Random) -> Iterator[str]:
    """Nothing can be written, but what is there can be read and deleted."""
    piece, first = b"x" * PIECE, bed.members[0]
    number = 0
    with contextlib.suppress(urllib.error.HTTPError):  # that is: no space is left
        for number in range(2 * QUOTA // PIECE):
            first.put(f"{FILL}{number}", piece)
    assert number < 2 * QUOTA // PIECE - 1, "the store did not become full"
    try:
        yield "the store is full"
    finally:
        for each in range(number + 1):
            first.delete(f"{FILL}{each}")
        first.compact()
        for member in bed.members:
            member.ask("/v3/maintenance/defragment", {})
        for alarm in first.ask("/v3/maintenance/alarm", {"action": "GET"}).get("alarms", ()):
            first.ask("/v3/maintenance/alarm", {"action": "DEACTIVATE", **alarm})


def _names(members: list[Etcd]) -> str:
    return " and ".join(member.place.name for member in members)
