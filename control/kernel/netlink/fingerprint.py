# SPDX-License-Identifier: Apache-2.0
"""The fingerprint of a namespace: bytes that stay the same as long as nothing changes there, so that objects in order
need not be read again. It consists of the kernel's raw answers, without the parts that change by themselves: parsing
them, as pyroute2 does, takes far longer."""

import errno
import hashlib
import struct

from pyroute2.netlink.rtnl import RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.kernel.netlink.links import SKIP_STATS
from fastpath.control.kernel.netlink.rtnetlink import HEADER, Rtnetlink, build

IFLA_STATS, IFLA_LINKINFO, IFLA_STATS64 = 7, 18, 23
_COUNTERS = frozenset((IFLA_STATS, IFLA_STATS64))
_LINK = 16  # bytes of struct ifinfomsg
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr: length, type
_TYPE = 0x3FFF


def fingerprint(netlink: Rtnetlink, *, details: bool = False) -> bytes:
    """Return the fingerprint of all interfaces, addresses and routes; with `details`, of the attributes of an
    interface's kind, too. Raise RefusedError."""
    unwanted = _COUNTERS if details else _COUNTERS | {IFLA_LINKINFO}  # a bridge's details contain clocks
    digest = hashlib.sha256()
    with explained("look at the interfaces"):
        for message in netlink.dump_raw(RTM_GETLINK, build(ifinfmsg, SKIP_STATS)):
            digest.update(_without(message, unwanted))
        for kind, asked in ((RTM_GETADDR, ifaddrmsg), (RTM_GETROUTE, rtmsg)):
            for message in netlink.dump_raw(kind, build(asked)):
                digest.update(message[HEADER.size :])
    return digest.digest()


def link_fingerprint(netlink: Rtnetlink, name: str) -> bytes:
    """Return the fingerprint of one interface; empty if there is none. Raise RefusedError."""
    with explained("look at the interfaces", errno.ENODEV):
        asked = build(ifinfmsg, ("IFLA_IFNAME", name), SKIP_STATS)
        return _without(netlink.get_raw(RTM_GETLINK, asked), _COUNTERS)
    return b""


def _without(message: bytes, unwanted: frozenset[int]) -> bytes:
    """Return a link's message without its header and some of its attributes."""
    at = HEADER.size + _LINK
    kept = [message[HEADER.size : at]]
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind & _TYPE not in unwanted:
            kept.append(message[at : at + length])
        at += max((length + 3) & ~3, _ATTRIBUTE.size)
    return b"".join(kept)
