# SPDX-License-Identifier: Apache-2.0
"""The number of a namespace's rule set, which the kernel increases with every change of nftables: a quick way to see
that nobody changed anything (nf_tables_getgen in net/netfilter/nf_tables_api.c)."""

import errno
import socket
import struct

from fastpath.control.kernel.nft_events import NETLINK_NETFILTER, SUBSYSTEM

_NEW, _GET = 15, 16  # NFT_MSG_NEWGEN, NFT_MSG_GETGEN
_ASKED = struct.Struct("=IHHIIBBH")  # struct nlmsghdr, struct nfgenmsg
_ANSWER = struct.Struct("=IHHIIBBHHH")  # the same, and the first attribute's struct nlattr: NFTA_GEN_ID
_REQUEST = 1  # NLM_F_REQUEST


def generation() -> int:
    """Return the number in the calling thread's network namespace. Raise OSError if the kernel does not tell."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as sock:
        sock.send(_ASKED.pack(_ASKED.size, SUBSYSTEM << 8 | _GET, _REQUEST, 1, 0, 0, 0, 0))
        answer = sock.recv(4096)
    if len(answer) >= _ANSWER.size + 4:
        _, kind, *_, size, attribute = _ANSWER.unpack_from(answer)
        if (kind, size, attribute) == (SUBSYSTEM << 8 | _NEW, 8, 1):
            return int.from_bytes(answer[_ANSWER.size : _ANSWER.size + 4], "big")
    raise OSError(errno.EOPNOTSUPP, "the kernel does not tell the number of the rule set")
