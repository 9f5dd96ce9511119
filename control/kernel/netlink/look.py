# SPDX-License-Identifier: Apache-2.0
"""What a namespace looks like, as bytes that are the same for as long as nothing is changed there: so that what was
found in order need not be read again. The kernel's own answers are compared, without those parts that change by
themselves; to take them apart, as pyroute2 does, takes twenty times as long."""

import hashlib
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

from fastpath.errors import RefusedError

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")
_LINK_SIZE = 16  # of struct ifinfomsg
_ERROR, _DONE = 2, 3
_REQUEST, _DUMP = 1, 0x300
_GETLINK, _GETADDR, _GETROUTE = 18, 22, 26
_IFNAME, _STATS, _LINKINFO, _STATS64, _EXT_MASK = 3, 7, 18, 23, 29
_SKIP_STATS = struct.pack("=HHI", 8, _EXT_MASK, 8)  # those of IPv6, which are many; the others are always told
_COUNTERS = frozenset((_STATS, _STATS64))
_BUFFER = 1 << 17


class Look:
    """A netlink socket of the calling thread's namespace."""

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)

    def __enter__(self) -> "Look":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._sock.close()

    def everything(self, *, details: bool = False) -> bytes:
        """All interfaces, addresses and routes; with `details` what belongs to the kind of an interface, too. Raises
        RefusedError."""
        unwanted = _COUNTERS if details else _COUNTERS | {_LINKINFO}  # a bridge's has clocks in it
        digest = hashlib.sha256()
        for body in self._ask(_GETLINK, bytes(_LINK_SIZE) + _SKIP_STATS, _DUMP):
            digest.update(_without(body, unwanted))
        for kind, size in ((_GETADDR, 8), (_GETROUTE, 12)):
            for body in self._ask(kind, bytes(size), _DUMP):
                digest.update(body)
        return digest.digest()

    def link(self, name: str) -> bytes:
        """One interface; empty where there is none. Raises RefusedError."""
        text = name.encode() + b"\0"
        attribute = _ATTRIBUTE.pack(4 + len(text), _IFNAME) + text + bytes(-len(text) % 4)
        asked = self._ask(_GETLINK, bytes(_LINK_SIZE) + attribute + _SKIP_STATS, 0)
        return b"".join(_without(body, _COUNTERS) for body in asked)

    def _ask(self, kind: int, body: bytes, flags: int) -> Iterator[bytes]:
        """The bodies of what is answered."""
        try:
            self._sock.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 0, 0) + body)
            while True:
                data = self._sock.recv(_BUFFER)
                while data:
                    length, answer, *_ = _HEADER.unpack_from(data)
                    if answer in (_DONE, _ERROR):
                        return
                    yield data[_HEADER.size : length]
                    data = data[(length + 3) & ~3 :]
                if not flags:
                    return
        except OSError as error:
            raise RefusedError(f"cannot look at the interfaces: {os.strerror(error.errno or 0)}") from error


def appearance(*, details: bool = False) -> bytes:
    """Look.everything of the present namespace."""
    with Look() as look:
        return look.everything(details=details)


def _without(body: bytes, unwanted: frozenset[int]) -> bytes:
    """A link's message without some of its attributes."""
    kept, at = [body[:_LINK_SIZE]], _LINK_SIZE
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if kind & 0x3FFF not in unwanted:
            kept.append(body[at : at + length])
        at += max((length + 3) & ~3, 4)
    return b"".join(kept)
