# SPDX-License-Identifier: Apache-2.0
"""The fingerprint of a namespace: bytes that are the same for as long as nothing is changed there, so that what was
found in order need not be read again. The kernel's own answers are compared, without those parts that change by
themselves: to take them apart takes far longer."""

import errno
import hashlib

from fastpath.control.kernel.netlink import rtnetlink
from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.kernel.netlink.link import HEADER, IFLA_IFNAME, IFLA_LINKINFO
from fastpath.control.kernel.netlink.links import ADDRESS, EMPTY, ROUTE, SKIP_STATS
from fastpath.control.kernel.netlink.rtnetlink import Rtnetlink, attribute, raw_attributes

IFLA_STATS, IFLA_STATS64 = 7, 23
_COUNTERS = frozenset((IFLA_STATS, IFLA_STATS64))


def fingerprint(netlink: Rtnetlink, *, details: bool = False) -> bytes:
    """Return the one of all interfaces, addresses and routes; with `details` of what belongs to the kind of an
    interface, too. Raise RefusedError."""
    unwanted = _COUNTERS if details else _COUNTERS | {IFLA_LINKINFO}  # a bridge's has clocks in it
    digest = hashlib.sha256()
    with explained("look at the interfaces"):
        for body in netlink.dump(rtnetlink.GETLINK, HEADER.pack(*EMPTY) + SKIP_STATS):
            digest.update(_without(body, unwanted))
        for kind, size in ((rtnetlink.GETADDR, ADDRESS.size), (rtnetlink.GETROUTE, ROUTE.size)):
            for body in netlink.dump(kind, bytes(size)):
                digest.update(body)
    return digest.digest()


def link_fingerprint(netlink: Rtnetlink, name: str) -> bytes:
    """Return the one of one interface; empty where there is none. Raise RefusedError."""
    with explained("look at the interfaces", errno.ENODEV):
        asked = HEADER.pack(*EMPTY) + attribute(IFLA_IFNAME, name) + SKIP_STATS
        return _without(netlink.get(rtnetlink.GETLINK, asked), _COUNTERS)
    return b""


def _without(body: bytes, unwanted: frozenset[int]) -> bytes:
    """Return a link's message without some of its attributes."""
    kept = [raw for kind, raw in raw_attributes(body, HEADER.size) if kind not in unwanted]
    return b"".join((body[: HEADER.size], *kept))
