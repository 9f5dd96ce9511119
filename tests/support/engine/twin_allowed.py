# SPDX-License-Identifier: Apache-2.0
"""A slow twin of port security: whether a frame may enter, read byte by byte as the RFCs have it."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from fastpath.addresses import IPAddress
from tests.support.engine.twin import (
    AUTHENTICATION,
    EXTENSIONS,
    FRAGMENT,
    ICMPV6,
    IPV4,
    IPV6,
    MAX_EXTENSIONS,
    MAX_TAGS,
    QINQ,
    TCP,
    UDP,
    VLAN,
    Flow,
    be16,
    parse,
)

ARP = 0x0806
ANY4, ANY6 = IPv4Address(0), IPv6Address(0)
HIDDEN, LATER, OTHER = "hidden", "later", "other"

Senders = Mapping[str, tuple[IPAddress, ...]]
Refusal = tuple[str, IPAddress | None]  # the reason, and the address that was claimed


def refusal(frame: bytes, senders: Senders) -> Refusal | None:
    """Why the frame is refused; None if it is not."""
    mac = frame[6:12]
    own = senders.get(mac.hex(":"))
    if own is None:
        return "spoofed_source", None
    flow = parse(frame)
    if flow.version == 4:
        return _ipv4(frame, flow, own)
    if flow.version == 6:
        return _ipv6(frame, flow, own, mac)
    return _other(frame, own, mac)


def _other(frame: bytes, own: tuple[IPAddress, ...], mac: bytes) -> Refusal | None:
    at, kind = 14, be16(frame, 12)
    for _ in range(MAX_TAGS):
        if kind in (VLAN, QINQ) and len(frame) >= at + 4:
            at, kind = at + 4, be16(frame, at + 2)
    if kind in (VLAN, QINQ, IPV4, IPV6):
        return "hidden_headers", None
    if kind != ARP:
        return None
    arp = frame[at : at + 28]
    if len(arp) < 28 or arp[:6] != bytes.fromhex("0001 0800 06 04") or arp[8:14] != mac:
        return "spoofed_arp", None
    address = IPv4Address(arp[14:18])
    if address in own or (address == ANY4 and be16(arp, 6) == 1):
        return None
    return "spoofed_arp", _claim(address)


def _claim(address: IPAddress) -> IPAddress | None:
    """Nobody has the address that stands for none."""
    return None if address in (ANY4, ANY6) else address


def _dhcp(frame: bytes, at: int, end: int, server: int, client: int) -> Refusal | None:
    if at + 4 > end:
        return "hidden_headers", None
    rogue = be16(frame, at) == server or be16(frame, at + 2) == client
    return ("rogue_dhcp", None) if rogue else None


def _ipv4(frame: bytes, flow: Flow, own: tuple[IPAddress, ...]) -> Refusal | None:
    ip = frame[flow.network :]
    source, at = IPv4Address(ip[12:16]), flow.network + (ip[0] & 15) * 4
    if source not in own:
        if source != ANY4:
            return "spoofed_source", source
        client = flow.protocol == UDP and not flow.fragment and at + 4 <= flow.end
        return None if client and frame[at : at + 4] == bytes([0, 68, 0, 67]) else ("spoofed_source", None)
    if flow.protocol != UDP or be16(ip, 6) & 0x1FFF:
        return None
    return _dhcp(frame, at, flow.end, 67, 68)


def _may_use(address: IPv6Address, own: tuple[IPAddress, ...], mac: bytes) -> bool:
    if address in own:
        return True
    if not address.is_link_local:
        return False
    packed = address.packed
    made_of_a_mac = packed[11:13] == b"\xff\xfe"
    return not made_of_a_mac or bytes([packed[8] ^ 2]) + packed[9:11] + packed[13:] == mac


def _upper(frame: bytes, flow: Flow) -> tuple[str | int, int, bool]:
    """(protocol or why there is none, its offset, whether it is in a fragment)."""
    following, at, fragment = frame[flow.network + 6], flow.network + 40, False
    for _ in range(MAX_EXTENSIONS):
        if following not in EXTENSIONS:
            break
        if flow.end - at < 8:
            return HIDDEN, 0, fragment
        size = 8 * (1 + frame[at + 1])
        if following == FRAGMENT:
            if fragment:
                return HIDDEN, 0, fragment
            if be16(frame, at + 2) >> 3:
                return LATER, 0, True
            size, fragment = 8, True
        elif following == AUTHENTICATION:
            size = 4 * (2 + frame[at + 1])
        if size > flow.end - at:
            return HIDDEN, 0, fragment
        following, at = frame[at], at + size
    if following in EXTENSIONS or (following in (TCP, UDP, ICMPV6) and at >= flow.end):
        return HIDDEN, 0, fragment
    return (following if following in (TCP, UDP, ICMPV6) else OTHER), at, fragment


def _ipv6(frame: bytes, flow: Flow, own: tuple[IPAddress, ...], mac: bytes) -> Refusal | None:
    source = IPv6Address(frame[flow.network + 8 : flow.network + 24])
    if source != ANY6 and not _may_use(source, own, mac):
        return "spoofed_source", _claim(source)
    protocol, at, fragment = _upper(frame, flow)
    if protocol == HIDDEN:
        return "hidden_headers", None
    if protocol == ICMPV6:
        return _icmp(frame[at : flow.end], own, mac, nowhere=source == ANY6, fragment=fragment)
    if source == ANY6:
        return "spoofed_source", None
    return _dhcp(frame, at, flow.end, 547, 546) if protocol == UDP else None


def _icmp(icmp: bytes, own: tuple[IPAddress, ...], mac: bytes, *, nowhere: bool, fragment: bool) -> Refusal | None:
    kind = icmp[0]
    if kind in (134, 137):
        return "rogue_router", None
    if nowhere and kind not in (131, 132, 133, 135, 143):
        return "spoofed_source", None
    if kind not in (133, 135, 136):
        return None
    fixed = 8 if kind == 133 else 24
    if fragment or len(icmp) < fixed:
        return "hidden_headers", None
    target = IPv6Address(icmp[8:24]) if fixed == 24 else ANY6
    if (kind == 136 or (kind == 135 and nowhere)) and not _may_use(target, own, mac):
        return "spoofed_arp", _claim(target)
    options = icmp[fixed:]
    while options:
        size = 8 * options[1] if len(options) >= 8 else 0
        if size == 0 or size > len(options) or (options[0] in (1, 2) and options[2:size] != mac):
            return "spoofed_arp", None
        options = options[size:]
    return None
