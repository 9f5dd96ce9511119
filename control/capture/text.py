# SPDX-License-Identifier: Apache-2.0
"""Show a captured frame in one line; tcpdump and Wireshark show more."""

import time
from ipaddress import IPv4Address, IPv6Address

from fastpath.addresses import format_mac
from fastpath.control.capture.blocks import Packet
from fastpath.engine.captures.captured import LINKTYPE_RAW

IPV4, ARP, IPV6, VLAN_TAGS = 0x0800, 0x0806, 0x86DD, (0x8100, 0x88A8)
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
WITH_PORTS = (6, 17)
ARP_WORDS = {1: "who-has", 2: "is-at"}


def line(packet: Packet) -> str:
    """Return time, direction, place, the reason if it was dropped, and a summary of the frame."""
    seconds, nanoseconds = divmod(packet.time_ns, 1_000_000_000)
    clock = time.strftime("%H:%M:%S", time.localtime(seconds))
    reason = f" {packet.comment.split(':')[0]}:" if packet.comment else ":"
    what = _ip(packet.data) if packet.linktype == LINKTYPE_RAW else _ethernet(packet.data)
    return (
        f"{clock}.{nanoseconds // 1000:06} {packet.direction or '?':3} {packet.interface}{reason} "
        f"{what}, length {packet.length}"
    )


def _ethernet(frame: bytes) -> str:
    if len(frame) < 14:
        return "cut"
    target, source = (format_mac(int.from_bytes(frame[at : at + 6], "big")) for at in (0, 6))
    tags, at, kind = "", 14, _be16(frame, 12)
    while kind in VLAN_TAGS and len(frame) >= at + 4:
        tags += f" vlan {_be16(frame, at) & 0xFFF}"
        kind, at = _be16(frame, at + 2), at + 4
    return f"{source} > {target}{tags} {_network(kind, frame[at:])}"


def _network(kind: int, data: bytes) -> str:
    if kind in (IPV4, IPV6):
        return _ip(data)
    if kind == ARP and len(data) >= 28:
        sender, target = IPv4Address(data[14:18]), IPv4Address(data[24:28])
        return f"arp {ARP_WORDS.get(_be16(data, 6), 'other')} {target} from {sender}"
    return "arp" if kind == ARP else f"ethertype 0x{kind:04x}"


def _ip(data: bytes) -> str:
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        source, target = str(IPv4Address(data[12:16])), str(IPv4Address(data[16:20]))
        protocol, size, first = data[9], (data[0] & 15) * 4, _be16(data, 6) & 0x1FFF == 0
    elif version == 6 and len(data) >= 40:
        source, target = str(IPv6Address(data[8:24])), str(IPv6Address(data[24:40]))
        protocol, size, first = data[6], 40, True
    else:
        return "ip, cut"
    if protocol in WITH_PORTS and first and len(data) >= size + 4:
        source, target = f"{source}.{_be16(data, size)}", f"{target}.{_be16(data, size + 2)}"
    return f"{source} > {target} {PROTOCOLS.get(protocol, f'protocol {protocol}')}"


def _be16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
