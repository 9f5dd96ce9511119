# SPDX-License-Identifier: Apache-2.0
"""How many frames a TAP keeps for its reader: the interface's transmit queue length, as in `ip link … txqueuelen`.

A TAP discards what its queue has no room for, and tells the sender nothing. The kernel's default of 1,000 frames is
two milliseconds of small datagrams, and a worker on a busy core is away for longer. A longer queue turns these losses
into larger bursts, which cost less each; under overload it adds the time that a worker takes to empty it.
docs/benchmarks/performance.md has the figures that the default was chosen by.
"""

import fcntl
import socket
import struct

from fastpath.errors import RefusedError, UsageError
from fastpath.text import to_kernel

KERNEL_DEFAULT = 1000  # DEFAULT_TX_QUEUE_LEN of <linux/netdevice.h>
DEFAULT_TXQUEUELEN = 6000
MAX_TXQUEUELEN = 100_000  # each queue of a TAP has a ring of that many pointers

_SIOCSIFTXQLEN = 0x8943  # <linux/sockios.h>
_REQUEST = struct.Struct("=16si20x")  # struct ifreq


def check_txqueuelen(length: int) -> int:
    """Return the length. Raise UsageError unless it is one that a TAP can have."""
    if not 1 <= length <= MAX_TXQUEUELEN:
        raise UsageError(f"invalid txqueuelen {length}: it is 1 to {MAX_TXQUEUELEN} frames")
    return length


def set_txqueuelen(name: str, length: int) -> None:
    """Give the interface `name` in the present network namespace this length. The kernel resizes the queues that are
    open (drivers/net/tun.c, tun_queue_resize). Raise RefusedError if it refuses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            fcntl.ioctl(sock, _SIOCSIFTXQLEN, _REQUEST.pack(to_kernel(name), length))
        except OSError as error:
            raise RefusedError(f"cannot set the queue length of the interface {name}: {error.strerror}") from error
