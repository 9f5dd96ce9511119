# SPDX-License-Identifier: Apache-2.0
"""Programs on what arrives at interfaces: a filter of the kind bpf, in direct action, at clsact (tc-bpf(8)).

Each interface has one filter of ours, always with the same handle: to attach another program replaces it in one step.
"""

import errno
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from pyroute2.netlink import NLM_F_CREATE
from pyroute2.netlink.rtnl import RTM_DELQDISC, RTM_GETTFILTER, RTM_NEWQDISC, RTM_NEWTFILTER
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.kernel.netlink.link import Link
from fastpath.control.kernel.netlink.links import NEW, nested
from fastpath.control.kernel.netlink.rtnetlink import HEADER, Message, Rtnetlink, build

CLSACT, CLSACT_HANDLE, INGRESS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2  # <linux/pkt_sched.h>
HANDLE, PRIORITY, ETH_P_ALL = 1, 1, 3
DIRECT_ACTION = 1  # TCA_BPF_FLAG_ACT_DIRECT
_INFO = PRIORITY << 16 | socket.htons(ETH_P_ALL)
_TCMSG = 20  # bytes of struct tcmsg
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr: length, type
_TYPE = 0x3FFF
TCA_OPTIONS, TCA_BPF_TAG, TCA_BPF_ID = 2, 10, 11  # pyroute2 knows the options up to 8
_NONE = (errno.ENOENT, errno.EINVAL, errno.ENODEV)  # no filter, no clsact, no interface


@dataclass(frozen=True)
class Attached:
    """The program of an interface's filter: its number in the kernel and its tag."""

    id: int
    tag: bytes


def attach(netlink: Rtnetlink, link: Link, fd: int, name: str) -> None:
    """Let the program of a file descriptor decide about all that arrives at the interface. Raise RefusedError."""
    with explained(f"attach a program to {link.name}"):
        try:
            netlink.change(RTM_NEWQDISC, _message(link, CLSACT, ("TCA_KIND", "clsact"), handle=CLSACT_HANDLE), NEW)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
        options = nested(("TCA_BPF_FD", fd), ("TCA_BPF_NAME", name), ("TCA_BPF_FLAGS", DIRECT_ACTION))
        wanted = _message(link, INGRESS, ("TCA_KIND", "bpf"), ("TCA_OPTIONS", options), handle=HANDLE, info=_INFO)
        netlink.change(RTM_NEWTFILTER, wanted, NLM_F_CREATE)


def attached(netlink: Rtnetlink, link: Link) -> Attached | None:
    """Return the program that `attach` attached, or None. Raise RefusedError."""
    with explained(f"look for a program on {link.name}", *_NONE):
        asked = _message(link, INGRESS, ("TCA_KIND", "bpf"), handle=HANDLE, info=_INFO)
        answer = netlink.get_raw(RTM_GETTFILTER, asked)
        options = dict(_attributes(dict(_attributes(answer[HEADER.size + _TCMSG :])).get(TCA_OPTIONS, b"")))
        if TCA_BPF_ID in options:
            return Attached(int.from_bytes(options[TCA_BPF_ID], sys.byteorder), options.get(TCA_BPF_TAG, b""))
    return None


def detach(netlink: Rtnetlink, link: Link) -> None:
    """Remove clsact with the filters of an interface, if it is there. Raise RefusedError."""
    with explained(f"remove the programs of {link.name}", *_NONE):
        netlink.change(RTM_DELQDISC, _message(link, CLSACT, ("TCA_KIND", "clsact"), handle=CLSACT_HANDLE))


def _message(link: Link, parent: int, *attributes: tuple[str, object], **fields: int) -> Message:
    return build(tcmsg, *attributes, index=link.index, parent=parent, **fields)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the value of each attribute."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        yield kind & _TYPE, data[at + _ATTRIBUTE.size : at + length]
        at += max((length + 3) & ~3, _ATTRIBUTE.size)
