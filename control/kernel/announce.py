# SPDX-License-Identifier: Apache-2.0
"""Tell neighbours which MAC address an IP address has now: by an ARP announcement (RFC 5227, 2.3) and an unsolicited
neighbour advertisement (RFC 4861, 7.2.6). Who had another one replaces it."""

import socket
import struct
from collections.abc import Iterable

from fastpath.addresses import IPAddress

BROADCAST = b"\xff" * 6
ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
ALL_NODES_MAC = bytes.fromhex("333300000001")
ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
OVERRIDE = 0x20000000
NEIGHBOUR_ADVERTISEMENT, TARGET_LINK_LAYER_ADDRESS = 136, 2
HOP_LIMIT = 255


def send(interface: str, mac: str, addresses: Iterable[IPAddress]) -> None:
    """Send the announcements on an interface of the calling thread's namespace. Raise OSError."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC) as sock:
        sock.bind((interface, 0))
        for address in addresses:
            sock.send(frame(bytes.fromhex(mac.replace(":", "")), address))


def frame(mac: bytes, address: IPAddress) -> bytes:
    """Return the Ethernet frame that announces an address."""
    return _arp(mac, address.packed) if address.version == 4 else _advertisement(mac, address.packed)


def _arp(mac: bytes, ip: bytes) -> bytes:
    question = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)  # Ethernet, IPv4; who asks for its own address announces it
    return BROADCAST + mac + struct.pack("!H", ETH_P_ARP) + question + mac + ip + bytes(6) + ip


def _advertisement(mac: bytes, ip: bytes) -> bytes:
    option = struct.pack("!BB6s", TARGET_LINK_LAYER_ADDRESS, 1, mac)
    body = struct.pack("!BBHI16s", NEIGHBOUR_ADVERTISEMENT, 0, 0, OVERRIDE, ip) + option
    pseudo = ip + ALL_NODES + struct.pack("!IHBB", len(body), 0, 0, socket.IPPROTO_ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    header = struct.pack("!IHBB16s16s", 6 << 28, len(body), socket.IPPROTO_ICMPV6, HOP_LIMIT, ip, ALL_NODES)
    return ALL_NODES_MAC + mac + struct.pack("!H", ETH_P_IPV6) + header + body


def _checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071 of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
