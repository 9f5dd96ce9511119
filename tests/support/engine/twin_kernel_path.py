# SPDX-License-Identifier: Apache-2.0
"""A slow twin of the kernel path's decision about a frame from a port (src/bpf/kernel_path.c)."""

from ipaddress import IPv4Address, IPv6Address

from tests.support.engine.twin import ICMPV6, IPV4, IPV6, TCP, UDP, VLAN, be16
from tests.support.engine.twin_allowed import ARP, Senders, _may_use

ENGINE, ANYWHERE, LOCAL = "engine", "anywhere", "local"
Source = IPv4Address | IPv6Address | None


def decide(frame: bytes, senders: Senders, ports: set[str], remotes: set[str], mtu: int) -> str:
    """The verdict, by its name. `ports` and `remotes` are the MAC addresses that are known there."""
    kind, source = _kind(frame)
    if kind == ENGINE:
        return "engine_kind"
    destination, mac = frame[:6].hex(":"), frame[6:12]
    if destination not in ports | remotes:
        return "engine_destination"
    own = senders.get(mac.hex(":"))
    if own is None or not (source in own or (isinstance(source, IPv6Address) and _may_use(source, own, mac))):
        return "engine_source"
    if destination in ports:
        return "to_local"
    if kind == LOCAL:
        return "engine_kind"
    return "to_remote" if len(frame) - 14 <= mtu else "engine_size"


def _kind(frame: bytes) -> tuple[str, Source]:
    if len(frame) < 14:
        return ENGINE, None
    kind, rest = be16(frame, 12), frame[14:]
    if kind == VLAN or len(rest) < 20:
        return ENGINE, None
    if kind == ARP:
        good = len(rest) >= 28 and rest[:6] == bytes.fromhex("000108000604") and rest[8:14] == frame[6:12]
        return (ANYWHERE if good and be16(rest, 6) in (1, 2) else ENGINE), IPv4Address(rest[14:18])
    if kind == IPV4 and rest[0] == 0x45 and 20 <= be16(rest, 2) <= len(rest):
        fragment, source = be16(rest, 6), IPv4Address(rest[12:16])
        if rest[9] == UDP and fragment & 0x1FFF:
            return LOCAL, source
        if rest[9] == TCP and fragment & 0x3FFF:
            return ENGINE, source
        return _upper(rest[9], rest[20 : be16(rest, 2)], (67, 68)), source
    if kind == IPV6 and len(rest) >= 40 and rest[0] >> 4 == 6 and be16(rest, 4) <= len(rest) - 40:
        body, source6 = rest[40 : 40 + be16(rest, 4)], IPv6Address(rest[8:24])
        if rest[6] == ICMPV6:
            return _icmp6(body, rest[7], source6, frame[6:12]), source6
        return (_upper(rest[6], body, (547, 546)) if rest[6] in (TCP, UDP) else ENGINE), source6
    return ENGINE, None


def _upper(protocol: int, body: bytes, dhcp: tuple[int, int]) -> str:
    if protocol == TCP:
        return ANYWHERE if len(body) >= 20 and 20 <= (body[12] >> 4) * 4 <= len(body) else ENGINE
    if protocol == UDP:
        rogue = len(body) < 4 or be16(body, 0) == dhcp[0] or be16(body, 2) == dhcp[1]
        return ENGINE if rogue else LOCAL
    return LOCAL


def _icmp6(body: bytes, hops: int, source: IPv6Address, mac: bytes) -> str:
    if len(body) < 4 or body[0] in (133, 134, 137):
        return ENGINE
    if body[0] not in (135, 136):
        return LOCAL
    if len(body) not in (24, 32) or body[1] != 0 or hops != 255:
        return ENGINE
    if body[0] == 136 and body[8:24] != source.packed:
        return ENGINE
    option = bytes([body[0] - 134, 1]) + mac
    return ANYWHERE if body[24:] in (b"", option) else ENGINE
