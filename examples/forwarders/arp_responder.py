# SPDX-License-Identifier: Apache-2.0
"""Answers questions for the addresses of given hosts: ARP (RFC 826) and neighbour discovery (RFC 4861).

fastpath forwarder set vx0 examples/forwarders/arp_responder.py hosts=10.0.0.5=02:00:00:00:00:05 '|' bridge
"""

import struct

import numpy as np

from fastpath import Burst, Forwarder
from fastpath.addresses import parse_host, parse_mac

GROUP = 1 << 40  # set in addresses of many
ARP, ICMPV6 = 0x0806, 58
REQUEST, REPLY = bytes.fromhex("0806 0001 0800 06 04 0001"), bytes.fromhex("0806 0001 0800 06 04 0002")
SOLICITED, OVERRIDE = 0x40000000, 0x20000000
ALL_NODES, ALL_NODES_MAC = bytes.fromhex("ff02 0000 0000 0000 0000 0000 0000 0001"), bytes.fromhex("333300000001")


class ArpResponder(Forwarder):
    """`hosts` are IP=MAC, IPv4 or IPv6. A question from a port to all is answered at that port and goes nowhere else;
    every other frame is left to the next forwarder."""

    rewrites = True

    def __init__(self, hosts: list[str] = []) -> None:  # noqa: B006
        pairs = [host.partition("=") for host in hosts]
        self.hosts = {parse_host(ip).packed: parse_mac(mac).to_bytes(6) for ip, _, mac in pairs}

    def forward(self, burst: Burst) -> None:
        neighbour_discovery = (burst.protocol == ICMPV6) & (burst.ttl == 255)
        may_ask = burst.from_port & (burst.dst_mac & GROUP != 0) & ((burst.ethertype == ARP) | neighbour_discovery)
        for i in np.flatnonzero(may_ask).tolist():
            answer = self.answer(bytes(burst.frame(i)))
            if answer and burst.replace(i, answer):
                burst.out[i] = burst.port[i]
                self.count("answered")

    def answer(self, asked: bytes) -> bytes | None:
        """Return the frame that answers this one."""
        asker = asked[6:12]
        if len(asked) >= 42 and asked[12:22] == REQUEST:
            ip, mac = asked[28:32], self.hosts.get(asked[38:42], asker)
            announced = ip == asked[38:42]
            return None if announced or mac == asker else asker + mac + REPLY + mac + asked[38:42] + asker + ip
        if len(asked) >= 78 and asked[12:14] == b"\x86\xdd" and asked[20] == ICMPV6 and asked[54:56] == b"\x87\x00":
            ip, mac = asked[22:38], self.hosts.get(asked[62:78], asker)
            return None if mac == asker else advertisement(asked[62:78], mac, ip, asker)
        return None


def advertisement(target: bytes, mac: bytes, asker: bytes, asker_mac: bytes) -> bytes:
    """Return a neighbour advertisement; it goes to all if the asker has no address yet (RFC 4861 section 7.2.4)."""
    to, to_mac, flags = (asker, asker_mac, SOLICITED | OVERRIDE) if any(asker) else (ALL_NODES, ALL_NODES_MAC, OVERRIDE)
    icmp = struct.pack("!BBxxI16sBB6s", 136, 0, flags, target, 2, 1, mac)
    # The 16-bit words' sum in one's complement is the remainder by 0xffff (RFC 1071).
    total = int.from_bytes(target + to + struct.pack("!II", len(icmp), ICMPV6) + icmp) % 0xFFFF
    ip = struct.pack("!IHBB", 6 << 28, len(icmp), ICMPV6, 255) + target + to
    return to_mac + mac + b"\x86\xdd" + ip + icmp[:2] + struct.pack("!H", 0xFFFF - total) + icmp[4:]
