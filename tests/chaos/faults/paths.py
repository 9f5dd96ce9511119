# SPDX-License-Identifier: Apache-2.0
"""Faults between machines: nothing comes through."""

import contextlib
import random
from collections.abc import Iterator

from tests.chaos.bed import FORGOTTEN_S, MEMBERS, Bed
from tests.chaos.faults import fault

LONG_S = 1.5 * FORGOTTEN_S
DIRECTIONS = ("both ways", "one way", "the other way")


@fault("paths", 3, LONG_S)
@contextlib.contextmanager
def hosts_apart(bed: Bed, choose: random.Random) -> Iterator[str]:
    """Two hosts cannot reach each other, both of them reach the store."""
    one, other = choose.sample(range(len(bed.daemons)), 2)
    how = choose.choice(DIRECTIONS)
    ways = _ways([bed.daemons[one].vtep], [bed.daemons[other].vtep], how)
    with bed.disturbed([frozenset((one, other))]), bed.walls.closed(ways):
        yield f"nothing passes between h{one + 1} and h{other + 1}, {how}"


@fault("paths", 3, 2 * FORGOTTEN_S)
@contextlib.contextmanager
def host_without_store(bed: Bed, choose: random.Random) -> Iterator[str]:
    """One host does not reach the store, and all other hosts."""
    host = choose.randrange(len(bed.daemons))
    how = choose.choice(DIRECTIONS)
    with bed.walls.closed(_ways([bed.daemons[host].vtep], list(MEMBERS), how)):
        yield f"nothing passes between h{host + 1} and the store, {how}"


@fault("paths", 3, FORGOTTEN_S / 2)
@contextlib.contextmanager
def host_alone(bed: Bed, choose: random.Random) -> Iterator[str]:
    """One host reaches nobody."""
    host = choose.randrange(len(bed.daemons))
    own = bed.daemons[host].vtep
    others = [daemon.vtep for daemon in bed.daemons if daemon.vtep != own]
    with bed.disturbed(bed.pairs_of(host)), bed.walls.closed(_ways([own], [*others, *MEMBERS], "both ways")):
        yield f"h{host + 1} reaches nobody"


@fault("paths", 3, FORGOTTEN_S)
@contextlib.contextmanager
def compacted_behind_a_host(bed: Bed, choose: random.Random) -> Iterator[str]:
    """While one host does not reach the store, the store forgets what happened meanwhile."""
    host = choose.randrange(len(bed.daemons))
    own = bed.daemons[host].vtep
    with bed.walls.closed(_ways([own], list(MEMBERS), "both ways")):
        try:
            yield f"nothing passes between h{host + 1} and the store, which forgets its history"
        finally:
            running = bed.members_that_run()
            with contextlib.suppress(OSError):  # without a quorum it forgets nothing
                running[0].compact()


def _ways(some: list[str], others: list[str], how: str) -> set[tuple[str, str]]:
    """From the first to the second, from the second to the first, or both."""
    there = {(one, other) for one in some for other in others}
    back = {(other, one) for one, other in there}
    return {"both ways": there | back, "one way": there, "the other way": back}[how]
