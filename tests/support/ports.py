# SPDX-License-Identifier: Apache-2.0
"""Ports for tests' own servers, which nobody else is given: neither by the kernel nor by another test process.

A port that the kernel found free may be another socket's a moment later, or while a server is down that is to come
back. So these are below the range from which the kernel gives, and each process has a block of them to itself.
"""

import functools
import itertools
import socket
from collections.abc import Iterator

FIRST, LAST = 10_000, 32_767  # Linux gives ports from 32768 unless it is told otherwise
BLOCK = 200  # a process that has used all of them begins again


def free_port(address: str = "127.0.0.1", kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """Return a port of this process on which nothing is bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in itertools.islice(_ports(), BLOCK):
        with socket.socket(family, kind) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"all ports of this process on {address} are in use")


def free_tcp_port(address: str = "127.0.0.1") -> int:
    """Return a TCP port of this process on which nothing is bound."""
    return free_port(address, socket.SOCK_STREAM)


@functools.cache
def _ports() -> Iterator[int]:
    """The ports of a block that no other process has, again and again."""
    for first in range(FIRST, LAST - BLOCK, BLOCK):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0fastpath-test-ports-{first}")
        except OSError:
            claim.close()
            continue
        claim.detach()  # the block is this process's until it ends
        return itertools.cycle(range(first, first + BLOCK))
    raise RuntimeError("other processes have all blocks of ports")
