# SPDX-License-Identifier: Apache-2.0
"""Filters from words, beside what scapy put into the frames."""

import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from fastpath import PASS, Burst, Forwarder, Match, UsageError
from tests.support.engine.forwarding import Site
from tests.support.engine.lab import Lab

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FRAMES = {
    "tcp": ETHER / IP(src="10.1.0.1", dst="10.2.0.1", ttl=9, tos=4) / TCP(sport=1000, dport=443),
    "udp": ETHER / IP(src="10.1.0.2", dst="192.0.2.1") / UDP(sport=53, dport=8080),
    "ip6": ETHER / IPv6(src="fd00::1", dst="2001:db8:1::2") / TCP(sport=7, dport=22),
    "arp": Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="10.1.0.1"),
    "part": ETHER / IP(src="172.16.0.1", dst="172.16.0.2", flags="MF") / UDP(dport=67),
    "vlan": ETHER / Dot1Q(vlan=42) / IP(src="172.16.0.1", dst="10.2.3.4") / UDP(dport=67),
}


class Ask(Forwarder):
    """Notes which frames match."""

    def __init__(self, match: Match) -> None:
        self.match, self.answer = match, list[bool]()

    def forward(self, burst: Burst) -> None:
        mask = self.match(burst)
        assert mask.dtype == np.bool_
        self.answer += mask.tolist()
        burst.out = PASS


def matching(lab: Lab, match: Match) -> set[str]:
    """The names of the frames that match."""
    site = Site(lab, "a")
    ask = Ask(match)
    site.use(ask)
    site.send("a", *map(bytes, FRAMES.values()))
    assert site.counters == {}
    return {name for name, matched in zip(FRAMES, ask.answer, strict=True) if matched}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, set(FRAMES)),
        ({"protocol": "tcp"}, {"tcp", "ip6"}),
        ({"protocol": [6, "udp"]}, {"tcp", "udp", "ip6", "vlan", "part"}),
        ({"dst_port": "22-443"}, {"tcp", "ip6", "vlan"}),
        ({"dst_port": 22, "protocol": "udp"}, set()),
        ({"dst_port": []}, set()),
        ({"src_ip": "10.1.0.0/24"}, {"tcp", "udp"}),
        ({"src_ip": "0.0.0.0/0"}, {"tcp", "udp", "vlan", "part"}),
        ({"src_ip": ["fd00::/8", "10.1.0.2"]}, {"ip6", "udp"}),
        ({"dst_ip": "2001:db8:1::2"}, {"ip6"}),
        ({"dst_ip": "2001:db8:1::/127"}, set()),
        ({"dst_mac": "ff:ff:ff:ff:ff:ff"}, {"arp"}),
        ({"dst_mac": "01:00:00:00:00:00/01:00:00:00:00:00"}, {"arp"}),
        ({"ethertype": "arp"}, {"arp"}),
        ({"ethertype": "0x86dd"}, {"ip6"}),
        ({"vlan": 42}, {"vlan"}),
        ({"ttl": 9, "tos": 4}, {"tcp"}),
        ({"fragment": 1}, {"part"}),
        ({"protocol": "udp", "dst_port": 67}, {"vlan"}),
        ({"from": "port"}, set(FRAMES)),
        ({"from": "remote"}, set()),
    ],
)
def test_what_matches(lab: Lab, wanted: dict[str, object], names: set[str]) -> None:
    assert matching(lab, Match(wanted)) == names


def test_words_of_a_command_line(lab: Lab) -> None:
    assert matching(lab, Match.parse(["dst_port=443", "dst_port=22", "protocol=tcp"])) == {"tcp", "ip6"}


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_prefixes_beside_the_library(net: ipaddress.IPv4Address, bits: int, host: ipaddress.IPv4Address) -> None:
    network = ipaddress.ip_network(f"{net}/{bits}", strict=False)

    class Fake:
        ip_version = np.array([4], np.uint8)
        dst_ip = np.array([int(host)], np.uint32)

        def __len__(self) -> int:
            return 1

    assert Match({"dst_ip": str(network)})(Fake()).tolist() == [host in network]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"colour": "red"}, 'nothing can be matched by "colour"'),
        ({"out": 1}, 'nothing can be matched by "out"'),
        ({"dst_port": 65536}, '"65536" is nothing that dst_port can be'),
        ({"dst_port": "9-8"}, '"9-8" is nothing that dst_port can be'),
        ({"dst_port": -1}, '"-1" is nothing that dst_port can be'),
        ({"protocol": "tpc"}, "LOW-HIGH, icmp, tcp, udp, icmp6, sctp"),
        ({"src_ip": "10.0.0.1/8"}, "has host bits set"),
        ({"src_ip": ""}, "invalid address or prefix"),
        ({"src_mac": "02:00"}, "not a MAC address"),
        ({"from": "above"}, "write port or remote"),
    ],
)
def test_what_cannot_be_matched(wanted: dict[str, object], error: str) -> None:
    with pytest.raises(UsageError, match=error):
        Match(wanted)


def test_a_word_without_a_value() -> None:
    with pytest.raises(UsageError, match="write it like dst_port=443"):
        Match.parse(["dst_port"])
