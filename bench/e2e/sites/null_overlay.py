# SPDX-License-Identifier: Apache-2.0
"""The `null` overlay as a process: python -m fastpath.bench.e2e.sites.null_overlay DEVICE LOCAL REMOTE

It makes a TAP, prints `ready`, and moves frames between the TAP and a UDP socket (shuttle.c).
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys

from fastpath.bench.e2e.loops import native

PORT = 4999
SEGMENT = 1472  # UDP payload at an MTU of 1500
BUFFER = 4 << 20
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
TAP = 0x0002 | 0x1000 | 0x4000  # IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
CSUM_TSO, USO = 0x01 | 0x02 | 0x04 | 0x08, 0x20 | 0x40
SO_RCVBUFFORCE, UDP_GRO = 33, 104
PR_SET_PDEATHSIG = 1


def open_tap(name: str) -> int:
    """Open a TAP with all offloads that this kernel knows (USO since Linux 6.2)."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP))
    try:
        fcntl.ioctl(tap, TUNSETOFFLOAD, CSUM_TSO | USO)
    except OSError:
        fcntl.ioctl(tap, TUNSETOFFLOAD, CSUM_TSO)
    return tap


def open_udp(local: str, remote: str) -> socket.socket:
    """Open the connected socket to the other end."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    udp.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    udp.bind((local, PORT))
    udp.connect((remote, PORT))
    return udp


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    tap, udp = open_tap(sys.argv[1]), open_udp(sys.argv[2], sys.argv[3])
    print("ready", flush=True)
    native.shuttle(tap, udp.fileno(), SEGMENT)
