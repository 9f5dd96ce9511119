# SPDX-License-Identifier: Apache-2.0
"""A slow twin of neighbour suppression: which frames are questions, read byte by byte as the RFCs have it, and
the answer to them, built by scapy."""

from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from fastpath.addresses import IPAddress
from tests.support.engine.twin import be16, ones_sum, parse, pseudo_header

ICMPV6 = 58
UNSPECIFIED = IPv6Address("::")


class Question(NamedTuple):
    """Who asks for what: MAC and IP address of the asker, whose IP address is 0 where it probes."""

    mac: str
    source: IPAddress
    target: IPAddress


def arp_question(data: bytes) -> Question | None:
    """RFC 826: a broadcast request; RFC 5227 section 3: no announcement."""
    if len(data) < 42 or data[:6] != b"\xff" * 6 or data[12:22] != bytes.fromhex("0806 0001 0800 06 04 0001"):
        return None
    if data[22:28] != data[6:12] or data[28:32] == data[38:42]:
        return None
    return Question(data[6:12].hex(":"), IPv4Address(data[28:32]), IPv4Address(data[38:42]))


def options_are_right(options: bytes, source: IPAddress, mac: bytes) -> bool:
    """RFC 4861 section 4.6: type, length in units of 8 bytes, value."""
    while options:
        size = 8 * options[1] if len(options) >= 2 else 0
        if size == 0 or size > len(options):
            return False
        if options[0] == 1 and (source == UNSPECIFIED or options[2:size] != mac):
            return False
        options = options[size:]
    return True


def solicitation(data: bytes, *, unfinished: bool = False) -> Question | None:
    """RFC 4861 section 7.1.1, without extension headers, to the solicited-node address. `unfinished`: the
    checksum is not there yet."""
    if len(data) < 54 or data[12:14] != b"\x86\xdd" or data[14] >> 4 != 6 or data[20] != ICMPV6 or data[21] != 255:
        return None
    length = be16(data, 18)
    icmp = data[54 : 54 + length]
    if len(icmp) < length or length < 24 or icmp[:2] != bytes([135, 0]):
        return None
    source, to, target = IPv6Address(data[22:38]), data[38:54], IPv6Address(icmp[8:24])
    wrong = target.is_multicast or target.ipv4_mapped is not None or source.is_multicast or source == target
    if wrong or to != bytes.fromhex("ff0200000000000000000001ff") + target.packed[13:]:
        return None
    if not options_are_right(icmp[24:], source, data[6:12]):
        return None
    if not unfinished and ones_sum(pseudo_header(data[14:], 6, ICMPV6, length) + icmp) != 0xFFFF:
        return None
    return Question(data[6:12].hex(":"), source, target)


def answer(asked: Question, mac: str, *, router: bool = False) -> bytes:
    """What the owner of the target would say."""
    if asked.target.version == 4:
        reply = ARP(op=2, hwsrc=mac, psrc=str(asked.target), hwdst=asked.mac, pdst=str(asked.source))
        return bytes(Ether(src=mac, dst=asked.mac) / reply)
    probe = asked.source == UNSPECIFIED
    ether = Ether(src=mac, dst="33:33:00:00:00:01" if probe else asked.mac)
    ip = IPv6(src=str(asked.target), dst="ff02::1" if probe else str(asked.source), hlim=255)
    advertisement = ICMPv6ND_NA(R=int(router), S=int(not probe), O=1, tgt=str(asked.target))
    return bytes(ether / ip / advertisement / ICMPv6NDOptDstLLAddr(lladdr=mac))


def respond(data: bytes, neighbours: dict[IPAddress, str], *, unfinished: bool = False) -> bytes | None:
    """The answer to a frame, or None where it is none of our business. (Where neighbours are is not asked.)"""
    asked = arp_question(data) if not unfinished else None
    if asked is None and data[0] & 1 and parse(data).version == 6:
        asked = solicitation(data, unfinished=unfinished)
    if asked is None or neighbours.get(asked.target, asked.mac) == asked.mac:
        return None
    return answer(asked, neighbours[asked.target])
