# SPDX-License-Identifier: Apache-2.0
"""A socket of NETLINK_ROUTE, and how its messages are built and taken apart (rtnetlink(7), <linux/netlink.h>).

A socket belongs to the namespace of the thread that opens it. Afterwards any thread may use it, one at a time.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Self

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP, _INTERRUPTED = 1, 4, 0x300, 0x10
CREATE, EXCLUSIVE, REPLACE = 0x400, 0x200, 0x100
NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_BUFFER = 1 << 17
_TRIES = 10  # of a dump that changes interrupt

NEWLINK, DELLINK, GETLINK, SETLINK = 16, 17, 18, 19
NEWADDR, GETADDR = 20, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30


class Rtnetlink:
    """One socket. Methods raise OSError, for what the kernel refuses, too."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self.socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def change(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Have the kernel change something."""
        self._send(kind, body, _REQUEST | _ACK | flags)
        while not self._receive()[1]:
            pass

    def get(self, kind: int, body: bytes) -> bytes:
        """Return the kernel's answer to a question after one thing."""
        self._send(kind, body, _REQUEST)
        found: list[bytes] = []
        while not found:
            found = self._receive()[0]
        return found[0]

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Return all things of a kind, none of them twice."""
        for _ in range(_TRIES):
            found, done, interrupted = [], False, False
            self._send(kind, body, _REQUEST | _DUMP)
            while not done:
                more, done, torn = self._receive()
                found += more
                interrupted |= torn
            if not interrupted:
                break
        return found

    def _send(self, kind: int, body: bytes, flags: int) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self.socket.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, self._sequence, 0) + body)

    def _receive(self) -> tuple[list[bytes], bool, bool]:
        """Return the bodies of one datagram, whether it is the last one, and whether a change tore the dump."""
        data, at = self.socket.recv(_BUFFER), 0
        bodies, done, interrupted = [], False, False
        while at + _HEADER.size <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
            body = data[at + _HEADER.size : at + length]
            at += max((length + 3) & ~3, _HEADER.size)
            if sequence != self._sequence:  # of a question that was given up
                continue
            interrupted |= bool(flags & _INTERRUPTED)
            if kind in (_ERROR, _DONE):
                done = True
                number = -_ERRNO.unpack_from(body)[0] if len(body) >= _ERRNO.size else 0
                if number > 0:
                    raise OSError(number, os.strerror(number))
            else:
                bodies.append(body)
        return bodies, done, interrupted


def attribute(kind: int, value: bytes | str | int) -> bytes:
    """Return a struct rtattr with its padding; a number becomes 32 bits, a text ends with a zero."""
    if isinstance(value, int):
        value = struct.pack("=I", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(body: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes that begin at an offset, each with its type and value."""
    for kind, raw in raw_attributes(body, at):
        yield kind, raw[_ATTRIBUTE.size :]


def raw_attributes(body: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes that begin at an offset, each with its type, and whole: with its header."""
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        yield kind & _TYPE_MASK, body[at : at + length]
        at += max((length + 3) & ~3, _ATTRIBUTE.size)


def text(value: bytes) -> str:
    """Return the text of an attribute."""
    return value.rstrip(b"\0").decode(errors="replace")


def number(value: bytes) -> int:
    """Return the number of an attribute, of whatever size."""
    return int.from_bytes(value, sys.byteorder)
