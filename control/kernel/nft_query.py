# SPDX-License-Identifier: Apache-2.0
"""Quick questions to nftables, without the program nft: a system call each, where that takes ten milliseconds
(nf_tables_getgen and nf_tables_gettable in net/netfilter/nf_tables_api.c)."""

import errno
import os
import socket
import struct

from fastpath.control.kernel.nft_events import FAMILIES, NETLINK_NETFILTER, SUBSYSTEM

_NEW_TABLE, _GET_TABLE, _NEW_GENERATION, _GET_GENERATION = 0, 1, 15, 16  # NFT_MSG_NEWTABLE and so on
_MESSAGE = struct.Struct("=IHHIIBBH")  # struct nlmsghdr, struct nfgenmsg
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
_NUMBER = struct.Struct("=i")  # struct nlmsgerr begins with it
_TABLE_NAME, _GENERATION = 1, 1  # NFTA_TABLE_NAME, NFTA_GEN_ID
_REQUEST = 1  # NLM_F_REQUEST
_ERROR = 2  # NLMSG_ERROR


def generation() -> int:
    """Return the number of the rule set of the calling thread's network namespace, which the kernel increases with
    every change. Raise OSError."""
    answer = _ask(_GET_GENERATION, _NEW_GENERATION)
    size, kind = _ATTRIBUTE.unpack_from(answer)
    if (size, kind) != (8, _GENERATION):
        raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
    return int.from_bytes(answer[4:8], "big")


def known_generation() -> int | None:
    """Return the same; None: it is not known."""
    try:
        return generation()
    except OSError:
        return None


def has_table(table: str) -> bool:
    """Return whether there is a table such as "inet NAME". Raise OSError if that is unknown."""
    family, _, name = table.partition(" ")
    number = next(number for number, known in FAMILIES.items() if known == family)
    data = name.encode() + b"\0"
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(data), _TABLE_NAME) + data
    try:
        _ask(_GET_TABLE, _NEW_TABLE, number, attribute.ljust((len(attribute) + 3) & ~3, b"\0"))
    except FileNotFoundError:
        return False
    return True


def _ask(question: int, expected: int, family: int = 0, attributes: bytes = b"") -> bytes:
    """Return the attributes of the kernel's answer. Raise OSError."""
    size = _MESSAGE.size + len(attributes)
    asked = _MESSAGE.pack(size, SUBSYSTEM << 8 | question, _REQUEST, 1, 0, family, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as sock:
        sock.send(asked + attributes)
        answer = sock.recv(1 << 16)
    kind = _MESSAGE.unpack_from(answer)[1]
    if kind == _ERROR:
        number = -_NUMBER.unpack_from(answer, 16)[0]
        raise OSError(number, os.strerror(number))
    if kind != SUBSYSTEM << 8 | expected:
        raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
    return answer[_MESSAGE.size :]
