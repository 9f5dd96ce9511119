# SPDX-License-Identifier: Apache-2.0
"""The kernel's notifications of changes to nftables: which tables each transaction touched.

Facts of net/netfilter/nf_tables_api.c and <linux/netfilter/nf_tables.h>: a transaction's notifications are sent
before the call that commits it returns, one for each object, and NFT_MSG_NEWGEN is the last. The first attribute of
each object's notification is the name of its table.
"""

import errno
import socket
import struct
from collections.abc import Iterator

NETLINK_NETFILTER = 12
_GROUP_NFTABLES = 7  # NFNLGRP_NFTABLES
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
_NEW_GENERATION = 15  # NFT_MSG_NEWGEN
_TABLE_NAME = 1  # NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE and so on
_HEADER = struct.Struct("=IHHIIBBH")  # struct nlmsghdr: length, type, …; struct nfgenmsg: family, version, resource
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}  # NFPROTO_*
_SO_RCVBUFFORCE = 33
_BUFFER = 4 << 20  # somebody may replace ten thousand rules at once
_DATAGRAM = 1 << 16


class NftEvents:
    """A subscription in the network namespace of the thread that makes it. Raise OSError if there is none."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except PermissionError:  # without CAP_NET_ADMIN the system's limit applies
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        try:
            self._socket.bind((0, 1 << (_GROUP_NFTABLES - 1)))
        except BaseException:
            self._socket.close()
            raise
        self._touched: set[str] = set()  # by the transaction that is being reported

    def fileno(self) -> int:
        """Return the socket's descriptor, for poll."""
        return self._socket.fileno()

    def close(self) -> None:
        """End the subscription."""
        self._socket.close()

    def transactions(self) -> Iterator[set[str] | None]:
        """Yield what each transaction touched that was reported since the last call: tables such as "inet filter".
        None stands for transactions whose reports were lost."""
        while True:
            try:
                data = self._socket.recv(_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._touched = set()
                yield None
                continue
            yield from self._read(data)

    def _read(self, data: bytes) -> Iterator[set[str]]:
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, _, _, _, family, _, _ = _HEADER.unpack_from(data, at)
            if kind == SUBSYSTEM << 8 | _NEW_GENERATION:
                yield self._touched
                self._touched = set()
            elif kind >> 8 == SUBSYSTEM and (name := _table(data, at + _HEADER.size, at + length)) is not None:
                self._touched.add(f"{FAMILIES.get(family, family)} {name}")
            at += max((length + 3) & ~3, _HEADER.size)


def _table(data: bytes, at: int, end: int) -> str | None:
    if at + _ATTRIBUTE.size > min(end, len(data)):
        return None
    length, kind = _ATTRIBUTE.unpack_from(data, at)
    if kind != _TABLE_NAME or length < _ATTRIBUTE.size:
        return None
    return data[at + _ATTRIBUTE.size : min(at + length, end)].rstrip(b"\0").decode(errors="replace")
