# SPDX-License-Identifier: Apache-2.0
"""A socket of NETLINK_ROUTE. pyroute2 builds and parses its messages.

It is a plain socket: pyroute2's IPRoute has an event loop, and opens another socket in each thread that calls it, which
may be in another namespace. Our socket belongs to the namespace of the thread that opens it; afterwards any thread may
use it, one at a time.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from pyroute2 import IPRSocket
from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR
from pyroute2.netlink.rtnl import RTM_GETADDR, RTM_GETLINK, RTM_GETNEIGH, RTM_GETROUTE

from fastpath.text import to_kernel

Message = Any
"""One of pyroute2's messages: a mapping whose `get` knows attributes, too."""
HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ERRNO = struct.Struct("=i")
_BUFFER = 1 << 16
_TRIES = 10  # of a dump that changes interrupt
_SOL_NETLINK, _GET_STRICT_CHK = 270, 12  # <linux/netlink.h>, Linux 4.20: filters of a dump are obeyed

# In a sandbox, which may make any number of objects and change them all the time: bytes of a dump, of about 2,000
# interfaces (some 100 ms of CPU time), or 8,000 addresses or routes (20 ms).
SANDBOX_LIMITS = {RTM_GETLINK: 2 << 20, RTM_GETADDR: 1 << 19, RTM_GETROUTE: 1 << 19, RTM_GETNEIGH: 1 << 19}


# RTM_GETLINK, a dump: struct ifinfomsg, and IFLA_EXT_MASK with RTEXT_FILTER_SKIP_STATS.
_LIST_LINKS = HEADER.pack(40, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + bytes(16) + struct.pack("=HHI", 8, 29, 8)


def links_mention(mark: bytes) -> bool:
    """Return whether these bytes are in what the kernel says of the interfaces of the thread's namespace. It takes a
    tenth of a millisecond: for looks into all namespaces of a host. It does not look at what is beyond the limits of a
    sandbox. Raise OSError."""
    left = SANDBOX_LIMITS[RTM_GETLINK]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(_LIST_LINKS)
        while left > 0:
            data = sock.recv(_BUFFER)
            if mark in data:
                return True
            if any(kind in (NLMSG_ERROR, NLMSG_DONE) for kind, _, _, _ in _messages(data)):
                break
            left -= len(data)
    return False


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the messages of one datagram: kind, flags, sequence number, and all of it."""
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, at)
        yield kind, flags, sequence, data[at : at + length]
        at += max((length + 3) & ~3, HEADER.size)


def build(kind: Any, *attributes: tuple[str, object], **fields: int) -> Message:
    """Return a message of a class of pyroute2's, with fields of its header and attributes by their names."""
    message = kind()
    message.update(fields)
    message["attrs"] = [(name, _encoded(value)) for name, value in attributes]
    return message


def _encoded(value: object) -> object:
    """Return names as bytes if pyroute2 could not encode them."""
    return to_kernel(value) if isinstance(value, str) and not value.isascii() else value


def _open() -> IPRSocket:
    opened = IPRSocket()
    with contextlib.suppress(OSError):
        opened.socket.setsockopt(_SOL_NETLINK, _GET_STRICT_CHK, 1)
    return opened


class Rtnetlink:
    """One socket. Methods raise OSError, also for the kernel's refusals.

    `limits` are the most bytes of a dump, by its kind. A dump that is longer is cut: `cut` is True then, until the next
    dump, and the socket is replaced by one that `reopen` opens in the same namespace.
    """

    def __init__(
        self,
        limits: Mapping[int, int] | None = None,
        reopen: Callable[[Callable[[], IPRSocket]], IPRSocket] = lambda function: function(),
    ) -> None:
        self.limits = limits or {}
        self.cut = False
        self._reopen = reopen
        self._ipr = _open()  # now: later, the caller could be another thread
        self._sequence = 0

    @property
    def socket(self) -> Any:
        """The socket itself."""
        return self._ipr.socket

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._ipr.close()

    def change(self, kind: int, message: Message, flags: int = 0) -> None:
        """Send a change to the kernel, and wait until it is done."""
        self._send(kind, message, NLM_F_REQUEST | NLM_F_ACK | flags)
        while not self._receive()[1]:
            pass

    def get(self, kind: int, message: Message) -> Message:
        """Return the kernel's answer about one object."""
        return self._parsed(self.get_raw(kind, message))

    def get_raw(self, kind: int, message: Message) -> bytes:
        """Return the answer as the kernel sent it, with its header."""
        self._send(kind, message, NLM_F_REQUEST)
        found: list[bytes] = []
        while not found:
            found = self._receive()[0]
        return found[0]

    def dump(self, kind: int, message: Message, keep: Callable[[bytes], bool] = lambda _: True) -> Iterator[Message]:
        """Return all objects of a kind, each once. `keep` tells by an object's bytes whether to parse it: that takes
        far longer than to get them."""
        return map(self._parsed, filter(keep, self.dump_raw(kind, message)))

    def dump_raw(self, kind: int, message: Message) -> list[bytes]:
        """Return all objects of a kind as the kernel sent them, with their headers."""
        most = self.limits.get(kind)
        self.cut = False
        for _ in range(_TRIES):
            found, done, interrupted, left = [], False, False, most
            self._send(kind, message, NLM_F_REQUEST | NLM_F_DUMP)
            while not done:
                more, done, torn = self._receive()
                found += more
                interrupted |= torn
                if left is not None and (left := left - sum(map(len, more))) < 0 and not done:
                    self._end_dump()
                    return found
            if not interrupted:
                break
        return found

    def _end_dump(self) -> None:
        """Give up the rest of a dump. The kernel begins no other one at this socket before its end."""
        self.cut = True
        self._ipr.close()
        self._ipr = self._reopen(_open)

    def _send(self, kind: int, message: Message, flags: int) -> None:
        self._sequence = self._sequence % 0xFFFFFFFF + 1
        self._ipr.put(message, kind, flags, msg_seq=self._sequence)

    def _receive(self) -> tuple[list[bytes], bool, bool]:
        """Return the messages of one datagram, whether it is the last one, and whether a change tore the dump."""
        found, done, interrupted = [], False, False
        for kind, flags, sequence, message in _messages(self._ipr.recv(_BUFFER)):
            if sequence != self._sequence:  # of a request that was given up
                continue
            interrupted |= bool(flags & NLM_F_DUMP_INTR)
            if kind in (NLMSG_ERROR, NLMSG_DONE):
                done = True
                short = len(message) < HEADER.size + _ERRNO.size
                number = 0 if short else -_ERRNO.unpack_from(message, HEADER.size)[0]
                if number > 0:
                    raise OSError(number, os.strerror(number))
            else:
                found.append(message)
        return found, done, interrupted

    def _parsed(self, message: bytes) -> Message:
        return next(self._ipr.marshal.parse(message))
