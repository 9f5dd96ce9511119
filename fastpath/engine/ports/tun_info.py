# SPDX-License-Identifier: Apache-2.0
"""Properties of a TUN/TAP interface, read by rtnetlink.

The ioctls of the interface do not tell how many of its queues are open in all processes. The messages are encoded here,
so that the engine needs no library.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from fastpath.errors import RefusedError
from fastpath.text import to_kernel

# <linux/rtnetlink.h>, <linux/if_link.h>
_RTM_GETLINK, _NLM_F_REQUEST, _NLMSG_ERROR = 18, 1, 2
_IFLA_IFNAME, _IFLA_TXQLEN, _IFLA_LINKINFO, _INFO_KIND, _INFO_DATA = 3, 13, 18, 1, 2
_TUN_TYPE, _TUN_PI, _TUN_VNET_HDR, _TUN_PERSIST, _TUN_MULTI_QUEUE, _TUN_NUM_QUEUES, _TUN_DISABLED = range(3, 10)
_MESSAGE = struct.Struct("=IHHII")  # nlmsghdr
_LINK = struct.Struct("=BxHiII")  # ifinfomsg
_ATTRIBUTE = struct.Struct("=HH")  # rtattr
_TYPE_TAP = 2  # IFF_TAP


@dataclass(frozen=True)
class TunInfo:
    """An interface of the tun driver."""

    tap: bool
    packet_information: bool
    vnet_header: bool
    multi_queue: bool
    persistent: bool
    queues: int
    """The number of open queues, in all processes together."""
    txqueuelen: int
    """The number of frames that each queue keeps for its reader."""


def tun_info(name: str) -> TunInfo | None:
    """Return the properties of the interface `name` in the present network namespace.

    Return None if it is not a TUN or TAP, or if the kernel is older than 4.16. Raise RefusedError if there is no such
    interface.
    """
    packed = to_kernel(name) + b"\0"
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _IFLA_IFNAME) + packed.ljust(
        -len(packed) // 4 * -4, b"\0"
    )
    body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(5)
        sock.sendto(_MESSAGE.pack(_MESSAGE.size + len(body), _RTM_GETLINK, _NLM_F_REQUEST, 1, 0) + body, (0, 0))
        answer = sock.recv(1 << 16)
    if _MESSAGE.unpack_from(answer)[1] == _NLMSG_ERROR:
        number = -struct.unpack_from("=i", answer, _MESSAGE.size)[0]
        if number == errno.ENODEV:
            raise RefusedError(f"there is no interface named {name}")
        raise RefusedError(f"cannot look at the interface {name}: {os.strerror(number)}")
    link = dict(_attributes(answer[_MESSAGE.size + _LINK.size :]))
    information = dict(_attributes(link.get(_IFLA_LINKINFO, b"")))
    if information.get(_INFO_KIND, b"").rstrip(b"\0") != b"tun" or _INFO_DATA not in information:
        return None
    data = {kind: int.from_bytes(value, sys.byteorder) for kind, value in _attributes(information[_INFO_DATA])}
    return TunInfo(
        tap=data.get(_TUN_TYPE) == _TYPE_TAP,
        packet_information=bool(data.get(_TUN_PI)),
        vnet_header=bool(data.get(_TUN_VNET_HDR)),
        multi_queue=bool(data.get(_TUN_MULTI_QUEUE)),
        persistent=bool(data.get(_TUN_PERSIST)),
        queues=data.get(_TUN_NUM_QUEUES, 0) + data.get(_TUN_DISABLED, 0),
        txqueuelen=int.from_bytes(link.get(_IFLA_TXQLEN, b""), sys.byteorder),
    )


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each attribute."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]
