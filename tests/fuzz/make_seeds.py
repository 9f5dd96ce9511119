# SPDX-License-Identifier: Apache-2.0
"""Write the seed corpus: python make_seeds.py [DIRECTORY]

Small inputs that reach the branches which random bytes rarely find. The formats are those at the heads of
the fuzz targets. The output is the same every time.
"""

import struct
import sys
from pathlib import Path
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Padding, Raw

OWN, HERE, ELSEWHERE, GROUP, OTHER = (f"02:00:00:00:00:{last:02x}" for last in (1, 2, 3, 4, 9))
FOUR: dict[str, Any] = {"src": "10.0.0.1", "dst": "10.0.0.2"}
SIX: dict[str, Any] = {"src": "fd00::1", "dst": "fd00::2"}
STRICT, NO_LEARNING = 1, 2


def ethernet(source: str = OTHER, destination: str = OWN) -> Packet:
    return Ether(src=source, dst=destination)


def partial(frame: Packet) -> Packet:
    """The frame with an unfinished transport checksum: the pseudo-header's sum only."""
    frame = frame.__class__(bytes(frame))
    ip = frame[IP] if IP in frame else frame[IPv6]
    layer = frame[TCP] if TCP in frame else frame[UDP]
    size = len(layer)
    protocol = 6 if TCP in frame else 17
    raw = bytes(ip)
    addresses = raw[12:20] if ip.version == 4 else raw[8:40]
    words = struct.unpack(f"!{len(addresses) // 2}H", addresses)
    total = sum(words) + size + protocol
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    layer.chksum = total
    return frame


def frames() -> dict[str, Packet]:
    """(name, frame) of every kind that the parser tells apart."""
    return {
        "arp": ethernet(destination="ff:ff:ff:ff:ff:ff") / ARP(psrc=FOUR["src"], pdst=FOUR["dst"], hwsrc=OTHER),
        "tcp4": ethernet() / IP(**FOUR) / TCP(sport=40000, dport=80, flags="A") / Raw(b"x" * 21),
        "tcp4-partial": partial(ethernet() / IP(**FOUR, tos=2) / TCP(sport=1, dport=2) / Raw(b"abc")),
        "udp4-partial": partial(ethernet() / IP(**FOUR, tos=1) / UDP(sport=1, dport=2) / Raw(b"abcd")),
        "udp4-no-checksum": ethernet() / IP(**FOUR) / UDP(sport=1, dport=2, chksum=0) / Raw(b"abcd"),
        "icmp4": ethernet() / IP(**FOUR) / ICMP() / Raw(b"ping"),
        "options4": ethernet() / IP(**FOUR, options=[b"\x01\x01\x01\x00"]) / UDP() / Raw(b"x"),
        "fragment4": ethernet() / IP(**FOUR, flags="MF", frag=3, proto=17) / Raw(b"x" * 16),
        "padded4": partial(ethernet() / IP(**FOUR, tos=3) / TCP(sport=1, dport=2)) / Padding(bytes(6)),
        "tcp6-partial": partial(ethernet() / IPv6(**SIX, tc=2) / TCP(sport=1, dport=2) / Raw(b"abc")),
        "udp6": ethernet() / IPv6(**SIX, tc=3) / UDP(sport=1, dport=2) / Raw(b"abc"),
        "icmp6": ethernet() / IPv6(**SIX) / ICMPv6EchoRequest(data=b"ping"),
        "extensions6": ethernet()
        / IPv6(**SIX)
        / IPv6ExtHdrHopByHop()
        / IPv6ExtHdrRouting()
        / IPv6ExtHdrDestOpt()
        / AH(icv=bytes(12))
        / TCP(sport=1, dport=2),
        "fragment6": ethernet() / IPv6(**SIX) / IPv6ExtHdrFragment(nh=17, offset=2) / Raw(b"x" * 16),
        "fragment6-options": ethernet()
        / IPv6(**SIX)
        / IPv6ExtHdrFragment(nh=60, m=1)
        / IPv6ExtHdrDestOpt(nh=17)
        / Raw(b"x" * 16),
        "vlan": ethernet() / Dot1Q(vlan=100) / IP(**FOUR) / UDP(sport=1, dport=2) / Raw(b"x"),
        "qinq": ethernet() / Dot1AD(vlan=7) / Dot1Q(vlan=100) / IPv6(**SIX) / TCP(sport=1, dport=2),
        "big-tcp4": partial(ethernet() / IP(**FOUR) / TCP(sport=1, dport=2, flags="AC") / Raw(b"x" * 1600)),
        # The IP packet ends within the transport header, or within an extension header.
        "cut-udp4": ethernet() / IP(**FOUR, proto=17) / Raw(bytes(7)),
        "cut-tcp4": ethernet() / IP(**FOUR, proto=6) / Raw(bytes(17)),
        "cut-ports4": ethernet() / IP(**FOUR, proto=17) / Raw(bytes(3)),
        "cut-udp6": ethernet() / IPv6(**SIX, nh=17) / Raw(bytes(7)),
        "cut-tcp6": ethernet() / IPv6(**SIX, nh=6) / Raw(bytes(17)),
        "cut-extension6": ethernet() / IPv6(**SIX, nh=0) / Raw(bytes([6, 0, 0, 0, 0, 0, 0])),
        "cut-extension6-more": ethernet() / IPv6(**SIX, nh=0) / Raw(bytes([6])),
        "long-extension6": ethernet() / IPv6(**SIX, nh=60) / Raw(bytes([6, 1]) + bytes(13)),
        # Just as long as an MTU in bed.c, and one byte more.
        "mtu4": ethernet() / IP(**FOUR) / TCP(sport=1, dport=2) / Raw(bytes(536)),
        "mtu4-more": ethernet() / IP(**FOUR) / TCP(sport=1, dport=2) / Raw(bytes(537)),
        "own-source": ethernet(source=OWN) / IP(**FOUR) / UDP(),
        "pinned-source": ethernet(source=ELSEWHERE) / IP(**FOUR) / UDP(),
        "group-source": ethernet(source="01:00:5e:00:00:01") / IP(**FOUR) / UDP(),
        "to-remote": ethernet(source=HERE, destination=GROUP) / IP(**FOUR) / UDP(),
    }


def decap() -> dict[str, bytes]:
    def packet(inner: Packet, vni: int = 42, outer_tos: int = 0, options: int = 0) -> bytes:
        return bytes([outer_tos, options]) + bytes(VXLAN(vni=vni, flags="Instance") / inner)

    tcp4, udp4 = frames()["tcp4-partial"], frames()["udp4-no-checksum"]
    reserved = b"\x88\0\0\1\0\0\x2a\1" + bytes(tcp4)
    seeds = {name: packet(frame) for name, frame in frames().items()}
    for outer in range(4):
        seeds[f"ecn{outer}-vni0"] = packet(tcp4, 0, outer, NO_LEARNING)
        seeds[f"ecn{outer}-vniffffff"] = packet(udp4, 0xFFFFFF, outer, NO_LEARNING)
    return seeds | {
        "reserved": bytes([0, 0]) + reserved,
        "reserved-strict": bytes([0, STRICT]) + reserved,
        "unknown-vni": packet(tcp4, 43),
        "no-flag": bytes([0, 0]) + bytes(8) + bytes(tcp4),
        "runt": bytes([0, 0]) + b"\x08\0\0\0\0\0\x2a\0" + bytes(13),
        "short": bytes([0, 0]) + b"\x08\0\0\0\0\0\x2a",
    }


def parse() -> dict[str, bytes]:
    def vnet(flags: int = 0, gso_type: int = 0, gso_size: int = 0, start: int = 0, offset: int = 0) -> bytes:
        return struct.pack("<BBHHHHH", flags, gso_type, 0, gso_size, start, offset, 0)

    partial4 = bytes(frames()["tcp4-partial"])
    seeds = {name: vnet() + b"\0" + bytes(frame) for name, frame in frames().items()}
    return seeds | {
        "needs-checksum": vnet(1, start=34, offset=16) + b"\1" + partial4,
        "needs-checksum-at-end": vnet(1, start=len(partial4) - 2) + b"\1" + partial4,
        "needs-checksum-outside": vnet(1, start=len(partial4) - 1) + b"\1" + partial4,
        "super-frame": vnet(1, 1, 1400, 34, 16) + b"\2" + bytes(frames()["big-tcp4"]),
        "short": vnet() + b"\0" + bytes(range(1, 15)),
    }


def too_big() -> dict[str, bytes]:
    def question(packet: Packet, mtu: int = 68, options: int = 0) -> bytes:
        return struct.pack(">HB", mtu, options) + bytes(packet)

    data, less = Raw(bytes(300)), Raw(bytes(100))
    four, six = ethernet() / IP(**FOUR, flags="DF"), ethernet() / IPv6(**SIX)
    tags = ethernet() / Dot1AD(vlan=7) / Dot1Q(vlan=100)
    return {
        "udp4": question(four / UDP() / data, 200),
        "tcp4-super": question(four / TCP() / data, 100, 1),
        "vlan4": question(tags / IP(**FOUR, flags="DF") / UDP() / Raw(bytes(900)), 500),
        "options4": question(ethernet() / IP(**FOUR, flags="DF", options=[b"\1\1\1\0"]) / ICMP(type=8) / less),
        "no-df4": question(ethernet() / IP(**FOUR) / UDP() / less),
        "error4": question(four / ICMP(type=3, code=1) / less),
        "error4-missing": question(four / IP(proto=1)),
        "udp6": question(six / UDP() / Raw(bytes(1400)), 1300),
        "vlan6": question(tags / IPv6(**SIX) / ICMPv6EchoRequest() / Raw(bytes(1300)), 1280),
        "error6": question(six / ICMPv6DestUnreach() / Raw(bytes(1300)), 1280),
        "error6-options": question(six / IPv6ExtHdrDestOpt() / ICMPv6DestUnreach() / Raw(bytes(1300)), 1280),
        "fragment6": question(six / IPv6ExtHdrFragment(m=1) / UDP() / Raw(bytes(1300)), 1280),
        "group6": question(ethernet() / IPv6(src="fd00::1", dst="ff02::1") / UDP() / Raw(bytes(1300)), 1280),
    }


def split() -> dict[str, bytes]:
    def super_frame(frame: Packet, gso_type: int, gso_size: int, times: int = 0) -> bytes:
        return struct.pack(">BBHB", 1, gso_type, gso_size, times) + bytes(frame)

    data = Raw(bytes(range(250)))
    kinds: dict[str, tuple[Packet, int]] = {
        "tcp4": (IP(**FOUR, flags="DF", id=65534) / TCP(sport=1, dport=2, flags="PAF", seq=4294967000) / data, 1),
        "tcp4-cwr": (IP(**FOUR) / TCP(flags="ACE", options=[("Timestamp", (1, 2))]) / data, 0x81),
        "tcp6": (IPv6(**SIX) / TCP(flags="PA") / data, 4),
        "udp4": (IP(**FOUR, options=[b"\1\1\1\0"]) / UDP() / data, 5),
        "udp6": (IPv6(**SIX) / IPv6ExtHdrDestOpt() / UDP() / data, 5),
        "no-payload": (IP(**FOUR) / TCP(), 1),
        "other-type": (IPv6(**SIX) / TCP() / data, 1),
        "icmp": (IP(**FOUR) / ICMP() / data, 5),
    }
    seeds = {name: super_frame(ethernet() / ip, kind, 100) for name, (ip, kind) in kinds.items()}
    tagged = ethernet() / Dot1AD(vlan=7) / Dot1Q(vlan=100) / IP(**FOUR, len=2040) / TCP() / Raw(bytes(500))
    cut = bytes(ethernet() / IP(**FOUR, proto=6) / Raw(bytes(17)))
    return seeds | {
        "tagged-repeated": super_frame(tagged, 1, 7, 15),
        "padded": super_frame(ethernet() / kinds["tcp4"][0] / Padding(bytes(9)), 1, 33),
        "one-byte": super_frame(ethernet() / kinds["udp4"][0], 5, 1),
        "no-size": super_frame(ethernet() / kinds["tcp4"][0], 1, 0),
        "headers-cut": struct.pack(">BBHB", 1, 1, 100, 0) + cut,
    }


def respond() -> dict[str, bytes]:
    """See the options in fuzz_respond.c; 10.0.0.N and fd00::N are neighbours for N of 1, 2, 3 and 5. Nobody else has
    an address in 10.0.0.0/9, but perhaps 10.0.0.9."""
    other_port, unfinished, repaired, super_frame = 1, 2, 4, 8

    def ask(options: int, question: Packet) -> bytes:
        return bytes([options]) + bytes(question)

    def arp(target: str, source: str = "10.0.0.9", **fields: Any) -> Packet:
        request = ARP(hwsrc=OTHER, psrc=source, pdst=target, **fields)
        return ethernet(destination="ff:ff:ff:ff:ff:ff") / request

    def solicit(last: int, source: str = "fd00::9") -> Packet:
        to = ethernet(destination=f"33:33:ff:00:00:{last:02x}")
        return to / IPv6(src=source, dst=f"ff02::1:ff00:{last:x}", hlim=255) / ICMPv6ND_NS(tgt=f"fd00::{last:x}")

    mine = ICMPv6NDOptSrcLLAddr(lladdr=OTHER)
    return {
        "arp": ask(0, arp("10.0.0.2")),
        "arp-padded": ask(0, arp("10.0.0.3") / Padding(bytes(18))),
        "arp-probe": ask(0, arp("10.0.0.2", "0.0.0.0")),  # noqa: S104
        "arp-same-port": ask(0, arp("10.0.0.1")),
        "arp-other-port": ask(other_port, arp("10.0.0.1")),
        "arp-nowhere": ask(0, arp("10.0.0.5")),
        "arp-nobody": ask(0, arp("10.127.255.255")),
        "arp-exception": ask(0, arp("10.0.0.9", "10.0.0.8")),
        "arp-outside": ask(0, arp("10.128.0.0")),
        "arp-reply": ask(0, arp("10.0.0.2", op=2)),
        "arp-announcement": ask(0, arp("10.0.0.2", "10.0.0.2")),
        "nd": ask(repaired, solicit(2) / mine),
        "nd-router": ask(0, solicit(3) / mine),
        "nd-bare": ask(repaired, solicit(2)),
        "nd-probe": ask(repaired, solicit(2, "::")),
        "nd-options": ask(repaired, solicit(2) / Raw(b"\x0e\x01abcdef") / mine),
        "nd-empty-option": ask(repaired, solicit(2) / Raw(bytes(8))),
        "nd-cut-option": ask(repaired, solicit(2) / Raw(b"\x05\x02" + bytes(6))),
        "nd-unfinished": ask(unfinished, solicit(2) / mine),
        "nd-same-port": ask(0, solicit(1) / mine),
        "nd-super-frame": ask(super_frame, solicit(2) / mine),
        "nd-padded": ask(0, solicit(2) / Padding(bytes(9))),
    }


def allowed() -> dict[str, bytes]:
    """See the options in fuzz_allowed.c: 02:00:00:00:00:0N has 10.9.0.N and fd09::N."""
    many, super_frame = 1, 2
    four: dict[str, Any] = {"src": "10.9.0.1", "dst": "10.9.0.2"}
    six: dict[str, Any] = {"src": "fd09::1", "dst": "ff02::1", "hlim": 255}
    mine, nodes = ethernet(OWN, HERE), ethernet(OWN, "33:33:00:00:00:01")
    router = ICMPv6ND_RA() / ICMPv6NDOptSrcLLAddr(lladdr=OWN)
    behind = bytes((IPv6(**six) / IPv6ExtHdrDestOpt(nh=58) / router)[IPv6ExtHdrDestOpt])
    frames: dict[str, tuple[int, Packet]] = {
        "arp": (0, mine / ARP(hwsrc=OWN, psrc="10.9.0.1", pdst="10.9.0.2")),
        "arp-spoofed": (0, mine / Dot1Q(vlan=7) / ARP(hwsrc=OWN, psrc="10.9.0.2", pdst="10.9.0.2")),
        "udp4": (0, mine / IP(**four) / UDP(sport=1, dport=2)),
        "dhcp": (0, mine / IP(**four) / UDP(sport=67, dport=68)),
        "dhcp-fragment": (0, mine / IP(**four, flags="MF") / UDP(sport=67, dport=68) / Raw(bytes(8))),
        "dhcp-client": (0, mine / IP(src="0.0.0.0") / UDP(sport=68, dport=67)),  # noqa: S104
        "many": (many, ethernet(GROUP, OWN) / IP(src="10.9.0.4") / ICMP()),
        "udp6": (many, ethernet(HERE, OWN) / IPv6(src="fd09::2") / UDP(sport=1, dport=2)),
        "link-local": (0, mine / IPv6(src="fe80::ff:fe00:1") / ICMPv6EchoRequest()),
        "advertise": (0, nodes / IPv6(**six) / ICMPv6ND_NA(tgt="fd09::1") / ICMPv6NDOptDstLLAddr(lladdr=OWN)),
        "solicit": (0, nodes / IPv6(**six) / ICMPv6ND_NS(tgt="fd09::2") / ICMPv6NDOptSrcLLAddr(lladdr=OWN)),
        "detect": (0, nodes / IPv6(src="::", dst="ff02::1", hlim=255) / ICMPv6ND_NS(tgt="fd09::1")),
        "router": (0, nodes / IPv6(**six) / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / router),
        "router-fragment": (0, nodes / IPv6(**six) / IPv6ExtHdrFragment(nh=60, m=1) / Raw(behind[:24])),
        "super-frame": (super_frame, mine / IP(**four) / TCP(sport=1, dport=2) / Raw(bytes(40))),
    }
    udp = bytes(frames["udp4"][1])
    opened = {"open": (34, 6), "open-address": (0, 28)}  # where the checksum begins, and belongs
    return {name: bytes([options]) + bytes(frame) for name, (options, frame) in frames.items()} | {
        name: struct.pack(">BHH", 4, *place) + udp for name, place in opened.items()
    }


def merge() -> dict[str, bytes]:
    """See `make` in fuzz_merge.c: the low two bits of a byte choose the stream."""
    tcp4, tcp6, udp4, udp6 = 3, 1, 2, 0
    has_size, has_flags, changes, cuts, pads, raw = 4, 8, 16, 32, 64, 128

    def arrive(*frames: int, gap: int = 0, options: int = 0) -> bytes:
        return bytes([gap, options, *frames])

    damage = (tcp4 | changes, 100, 1)
    return {
        "tcp4": arrive(*[tcp4] * 20),
        "tcp6": arrive(*[tcp6] * 20, gap=5),
        "train": arrive(*[tcp4] * 20, options=2),
        "train-damaged": arrive(tcp4, tcp4, *damage, tcp4, tcp4, udp4, udp4, options=3),
        "udp4": arrive(*[udp4] * 48),
        "udp6": arrive(*[udp6] * 20),
        "mixed": arrive(*[tcp4, tcp6, udp4, udp6] * 12),
        "push": arrive(tcp4, tcp4, tcp4 | has_flags, 8, tcp4, tcp4, tcp4 | has_flags, 1, tcp4),
        "congestion": arrive(tcp4, tcp4 | has_flags, 0x80, tcp4, tcp4 | has_flags, 0x40, tcp4),
        "short": arrive(tcp4, tcp4 | has_size, 0, 10, tcp4, tcp4 | has_size, 2, 100, tcp4 | has_size, 0, 0),
        "damaged": arrive(tcp4, *damage, tcp4, tcp4, *damage, tcp4, options=1),
        "changed": arrive(tcp4, tcp4 | changes, 22, 1, tcp4, tcp4 | changes, 15, 3, tcp4),
        "cut-and-padded": arrive(udp4, udp4 | cuts, 5, udp4, udp4 | pads, 6, udp4),
        "raw": arrive(tcp4, raw, 20, *range(20), tcp4),
        "large": arrive(*[tcp4 | has_size, 2, 180] * 40, gap=63),
    }


def udp() -> dict[str, bytes]:
    """A count, so many packets, then the kernel's answers: 0 takes all, 160 and more are errors (fuzz_udp.c)."""
    eagain, eio, emsgsize = 160 + (4 - 160) % 9, 160 + (0 - 160) % 9, 160 + (1 - 160) % 9
    same = [1] * 40
    return {
        "trains": bytes([1, 100, *[1] * 100, 0]),
        "no-trains": bytes([0, 100, *[1] * 100, 0]),
        "two-remotes": bytes([1, 80, *[1, 9] * 40, 0]),
        "refused": bytes([1, 40, *same, eio, *[0] * 40, 40, *same, 0]),
        "too-big": bytes([1, 5, 6, 6, 6, 6, 5, emsgsize, *[emsgsize] * 4, 0, 40, *same, 0]),
        "full": bytes([1, 40, *same, eagain, 1, 0, 40, *same, eagain, 0]),
        "partly": bytes([1, 8, 1, 17, 1, 17, 5, 6, 7, 0, 1, 2, 3]),
        "large": bytes([1, 9, 7, 7, 7, 6, 6, 6, 5, 4, 0, 0]),
    }


LEARN, SET, RETIRE, AGE, RECLAIM, LOOKUP, SHARE, TIME = 0, 3, 4, 5, 6, 7, 8, 9


def fdb() -> dict[str, bytes]:
    def table(size: int, *operations: tuple[int, ...]) -> bytes:
        """`size` is an index of table_sizes[] in fuzz_fdb.c."""
        return bytes([size]) + bytes(8) + b"\0\0\xff" + b"".join(bytes(operation) for operation in operations)

    everything, entry, learned_only = 0, 3, 8
    ageing, limit = 0x80, 0
    pin = (SET, 9, 1, 1)
    retire_all = (RETIRE, everything, 0)
    fill = [(LEARN, key, 1) for key in range(40)]
    large_fill = [(LEARN, key, 1) for key in range(128)]
    moves = [(LEARN, 1, 1), (LEARN, 1, 1), (LEARN, 1, 5), (SET, 1, 2, 1), (LEARN, 1, 3), (SET, 1, 2, 2), (LEARN, 1, 3)]
    ages = [(TIME, 0, 30), (AGE, 0), (TIME, 0, 1), (LEARN, 2, 1), (AGE, 3), (AGE, 0)]
    return {
        "learn-move-pin": table(4, *moves),
        "fill": table(4, *fill, (LOOKUP, 0, 64), retire_all, (RECLAIM,), *fill),
        "no-reclaim": table(4, *fill, retire_all, *fill, retire_all, (LEARN, 1, 1), (RECLAIM,)),
        "larger": table(7, *large_fill, (RETIRE, learned_only, 0), (LOOKUP, 0, 64)),
        "age": table(4, (SHARE, ageing, 0, 30), *fill[:8], pin, *ages),
        "limit": table(4, (SHARE, limit, 3), *fill[:8], pin, (RETIRE, entry, 1), (LEARN, 7, 1), (SHARE, limit, 0)),
        "by-destination": table(4, *fill[:8], (LEARN, 9, 5), (SET, 70, 5, 1), (RETIRE, 4, 0, 5), (RETIRE, 6, 1, 1)),
        "one-entry": table(0, (LEARN, 31, 8), (LEARN, 127, 8), (RETIRE, entry, 31), (LEARN, 127, 12), (LOOKUP, 96, 32)),
    }


def remote() -> dict[str, bytes]:
    add, retire, reclaim, check = 1, 2, 0, 0xE0
    v4, v6 = b"\0", b"\1"
    every = range(96)

    def each(operation: int, keys: range) -> bytes:
        return b"".join(bytes([operation, key]) for key in keys)

    few = range(20)
    gaps = each(retire, range(0, 96, 2)) + each(reclaim | check, range(0, 96, 4))
    return {
        "fill": v4 + each(add, every) + each(add | check, range(3)),
        "again": v6 + each(add, every) + each(retire, every) + each(add | check, range(9)),
        "reclaim": v4 + each(add, few) + each(retire, few) + each(reclaim, few) + each(add | check, few),
        "gaps": v6 + each(add, every) + gaps + each(add, range(95, 0, -1)),
    }


def directory() -> dict[str, bytes]:
    put, delete, reclaim, walk = 0, 1, 2, 3

    def each(operation: int, keys: range) -> bytes:
        return b"".join(bytes([operation, key]) for key in keys)

    few, many = range(8), range(40)
    return {
        "fill": b"\x17" + each(put, many) + bytes([walk]) + each(delete, many) + bytes([reclaim]) + each(put, many),
        "one": b"\0" + each(put, few) + each(delete, few) + each(put, few) + bytes([reclaim]) + each(put, few),
        "change": b"\x07" + each(put, few) * 2 + bytes([delete, 3, delete, 5, put, 5, reclaim, put, 5, put, 3, walk]),
    }


def pcap() -> dict[str, bytes]:
    def piece(size: int, *parts: bytes) -> bytes:
        return struct.pack(">H", size - 1) + b"".join(parts)

    def classic(order: str, magic: int, linktype: int, *lengths: tuple[int, int]) -> bytes:
        head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, linktype)
        return head + b"".join(struct.pack(f"{order}IIII", 1, 2, n, of) + b"x" * n for n, of in lengths)

    def block(order: str, kind: int, body: bytes) -> bytes:
        size = struct.pack(f"{order}I", 12 + len(body))
        return struct.pack(f"{order}I", kind) + size + body + size

    def section(order: str) -> bytes:
        return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))

    def interface(order: str, *options: tuple[int, bytes], snaplen: int = 0) -> bytes:
        coded = b"".join(struct.pack(f"{order}HH", code, len(v)) + v + bytes(-len(v) % 4) for code, v in options)
        return block(order, 1, struct.pack(f"{order}HHI", 1, 0, snaplen) + coded + bytes(4))

    def packet(order: str, number: int, size: int, options: bytes = b"", kind: int = 6) -> bytes:
        head = struct.pack(f"{order}IIIII", number, 5, 6, size, size + 1)
        return block(order, kind, head + b"x" * size + bytes(-size % 4) + options)

    def simple(order: str, size: int) -> bytes:
        return block(order, 3, struct.pack(f"{order}I", size) + b"x" * size + bytes(-size % 4))

    micro, nano = 0xA1B2C3D4, 0xA1B23C4D
    options = [(2, b"eth0"), (9, b"\x09"), (13, b"\x04"), (14, bytes(7) + b"\x01")]
    return {
        "classic": piece(7, classic("<", micro, 1, (4, 4), (0, 0), (9, 20))),
        "classic-big": piece(1024, classic(">", nano, 1, (60, 60))),
        "classic-fcs": piece(40, classic("<", micro, 0x24000001, (64, 64), (3, 3))),
        "classic-long": piece(40, classic("<", micro, 1, (4, 4))[:-12] + b"\xff" * 12),
        "gzip": piece(4, b"\x1f\x8b" + bytes(30)),
        "ng": piece(9, section("<"), interface("<", *options), packet("<", 0, 5), simple("<", 7)),
        "ng-big": piece(99, section(">"), interface(">", (9, b"\x8a")), packet(">", 0, 8), block(">", 5, bytes(40))),
        "ng-sections": piece(60, section("<"), interface("<"), section(">"), interface(">"), packet(">", 0, 4)),
        "ng-outbound": piece(60, section("<"), interface("<"), packet("<", 0, 4, struct.pack("<HHII", 2, 4, 2, 0))),
        "ng-old": piece(60, section("<"), interface("<", snaplen=4), packet("<", 0, 6, kind=2), simple("<", 9)),
        "ng-nowhere": piece(60, section("<"), packet("<", 3, 4)),
    }


def outer() -> dict[str, bytes]:
    inner = UDP(sport=50000, dport=4789) / VXLAN(vni=42) / ethernet() / IP(**FOUR) / UDP()
    four, six = IP(src="192.0.2.2", dst="192.0.2.1") / inner, IPv6(src="2001:db8::2", dst="2001:db8::1") / inner
    return {
        "ethernet": b"\0" + bytes(ethernet() / four),
        "tagged6": b"\0" + bytes(ethernet() / Dot1Q(vlan=7) / six),
        "raw4": b"\1" + bytes(four),
        "raw6": b"\1" + bytes(six),
        "cooked": b"\2" + bytes(14) + b"\x08\0" + bytes(four),
        "cooked-cut": b"\2" + bytes(14),
        "other": b"\x80",
    }


def main(seeds: Path) -> None:
    for target in (decap, parse, allowed, respond, too_big, split, merge, udp, fdb, remote, directory, pcap, outer):
        folder = seeds / target.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in target().items():
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "seeds")
