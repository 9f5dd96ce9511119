# SPDX-License-Identifier: Apache-2.0
"""Versions of daemons, as their hosts' records have them."""

import re
from collections.abc import Iterable

from fastpath.control.model.objects import Peer

PER_HOST_SINCE = (0, 2)  # the version that knows a prefix for each host
PORT_SECURITY_SINCE = (0, 2)  # the version whose containers send from addresses that the store knows


def older_than(peers: Iterable[Peer], minor: tuple[int, int]) -> list[Peer]:
    """Return the peers whose daemon is older than version MAJOR.MINOR, by name."""
    return sorted((peer for peer in peers if _minor(peer.version) < minor), key=lambda peer: peer.host)


def _minor(version: str) -> tuple[int, int]:
    found = re.match(r"([0-9]{1,6})\.([0-9]{1,6})", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
