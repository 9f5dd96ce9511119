# SPDX-License-Identifier: Apache-2.0
"""Questions for addresses of which control knows that nobody has them: they are not flooded, while control says so."""

from ipaddress import IPv4Address, ip_address

import pytest
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from fastpath import UsageError
from fastpath.engine.complete import check_complete
from tests.support.engine.frames import BROADCAST, mac
from tests.support.engine.lab import Lab, drain

OWN, OTHER = mac(1), mac(2)
SUBNETS = ("10.9.0.0/20", "fd09::/64")
ROUTER = ("10.9.0.254", "fd09::fe")


class Network:
    """A segment with a port that asks, and another one to which it may be flooded. It has two neighbours."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.segment = lab.engine.add_segment(42)
        self.port, self.other = self.segment.add_memory_port("one"), self.segment.add_memory_port("two")
        self.segment.fdb.set(OWN, self.port)
        self.segment.fdb.set(OTHER, self.other)
        for number, owner in ((1, OWN), (2, OTHER)):
            self.segment.neighbours.set(f"10.9.0.{number}", owner)
            self.segment.neighbours.set(f"fd09::{number}", owner)
        self.segment.complete = SUBNETS, ROUTER
        lab.engine.vouch(1000)

    def ask(self, question: Packet) -> str:
        """Return what became of a question: "flooded", "answered", or why it was dropped."""
        before = self.lab.drops()
        self.lab.send(self.port, bytes(question))
        self.lab.poll()
        dropped = [reason for reason, count in self.lab.drops().items() if count > before.get(reason, 0)]
        found = ["flooded"] * len(drain(self.other)) + ["answered"] * len(drain(self.port)) + dropped
        (one,) = found
        return one

    def arp(self, target: str, source: str = "10.9.0.1") -> str:
        return self.ask(Ether(src=OWN, dst=BROADCAST) / ARP(hwsrc=OWN, psrc=source, pdst=target))

    def solicit(self, target: str, source: str = "fd09::1") -> str:
        to = "ff02::1:ff" + ip_address(target).exploded[-7:]
        ether = Ether(src=OWN, dst="33:33:ff:00:00:00")
        question = ether / IPv6(src=source, dst=to, hlim=255) / ICMPv6ND_NS(tgt=target)
        return self.ask(question if source == "::" else question / ICMPv6NDOptSrcLLAddr(lladdr=OWN))


@pytest.fixture
def network(lab: Lab) -> Network:
    return Network(lab)


@pytest.mark.parametrize(
    ("target", "becomes"),
    [
        ("10.9.0.2", "answered"),
        ("10.9.0.3", "unknown_target"),
        ("10.9.15.255", "unknown_target"),
        ("10.9.16.0", "flooded"),  # just behind the subnet
        ("10.8.255.255", "flooded"),
        ("10.9.0.254", "flooded"),  # an exception
        ("10.9.0.253", "unknown_target"),
        ("169.254.1.1", "flooded"),
    ],
)
def test_arp(network: Network, target: str, becomes: str) -> None:
    assert network.arp(target) == becomes
    assert network.arp(target, "0.0.0.0") == becomes  # noqa: S104  # a probe (RFC 5227): nobody has it, so it is free


@pytest.mark.parametrize(
    ("target", "becomes"),
    [
        ("fd09::2", "answered"),
        ("fd09::3", "unknown_target"),
        ("fd09::ffff:ffff:ffff:ffff", "unknown_target"),
        ("fd09:0:0:1::3", "flooded"),
        ("fd09::fe", "flooded"),
        ("fe80::3", "flooded"),  # kernels make these themselves
        ("fd09::1", "flooded"),  # its own: another one that has it shall hear of that
    ],
)
def test_neighbour_discovery(network: Network, target: str, becomes: str) -> None:
    assert network.solicit(target, "::") == becomes
    if target != "fd09::1":
        assert network.solicit(target) == becomes


def test_announcements_are_no_questions(network: Network) -> None:
    assert network.arp("10.9.0.77", "10.9.0.77") == "flooded"


def test_only_while_control_vouches_for_it(network: Network) -> None:
    engine = network.lab.engine
    engine.advance_clock(500)
    assert network.arp("10.9.0.3") == "unknown_target"
    engine.advance_clock(600)  # control hangs, or ended
    assert network.arp("10.9.0.3") == "flooded"
    engine.vouch(500)
    assert network.arp("10.9.0.3") == "unknown_target"
    engine.vouch(0)
    assert network.arp("10.9.0.3") == "flooded"


def test_it_may_change(network: Network) -> None:
    network.segment.complete = ["10.9.0.0/20"], ["10.9.0.3"]
    assert network.arp("10.9.0.3") == "flooded"
    assert network.arp("10.9.0.254") == "unknown_target"
    assert network.solicit("fd09::3") == "flooded"
    network.segment.neighbours.set("10.9.0.4", OTHER)
    assert network.arp("10.9.0.4") == "answered"
    network.segment.neighbours.delete("10.9.0.4")
    assert network.arp("10.9.0.4") == "unknown_target"
    network.segment.complete = None
    assert network.arp("10.9.0.4") == "flooded"
    assert network.segment.complete is None


def test_other_segments_and_remotes_are_not_concerned(network: Network) -> None:
    other = network.lab.engine.add_segment(43)
    asker, hearer = other.add_memory_port("one"), other.add_memory_port("two")
    other.neighbours.set("10.9.0.2", OTHER)
    question = bytes(Ether(src=OWN, dst=BROADCAST) / ARP(hwsrc=OWN, psrc="10.9.0.1", pdst="10.9.0.3"))
    network.lab.send(asker, question)
    far = network.lab.far(2)
    far.send(42, bytes(Ether(src=mac(9), dst=BROADCAST) / ARP(hwsrc=mac(9), psrc="10.9.0.9", pdst="10.9.0.3")))
    network.lab.poll()
    assert drain(hearer) == [question]
    assert len(drain(network.other)) == 1
    assert network.lab.drops() == {}


def test_many_exceptions(network: Network) -> None:
    """Each is found, and none of those between them."""
    odd = [f"10.9.{number >> 7}.{(number & 127) * 2 + 1}" for number in range(300)]
    network.segment.complete = SUBNETS, [*odd, "fd09::5", "::1:2"]
    for number in (0, 1, 130, 298, 299):
        assert network.arp(odd[number].replace("10.9.0.1", "10.9.0.3")) == "flooded"
        even = IPv4Address(odd[number]) + 3
        assert network.arp(str(even)) == "unknown_target"
    assert network.solicit("fd09::5") == "flooded"


def test_the_order_of_the_list_is_the_engines() -> None:
    """It searches in bytes, IPv4 as ::ffff:a.b.c.d."""
    found = check_complete((["10.0.0.0/8", "10.0.0.0/8"], ["::1:0:0:2", "10.0.0.1", "::2"]))
    assert [str(address) for address in found.exceptions] == ["::2", "10.0.0.1", "::1:0:0:2"]
    assert len(found.subnets) == 1


@pytest.mark.parametrize("wrong", [(["10.0.0.1/8"], []), (["x"], []), ([], ["224.0.0.1"])])
def test_misuse(network: Network, wrong: tuple[list[str], list[str]]) -> None:
    before = network.segment.complete
    with pytest.raises(UsageError, match=r"is not a subnet|is not the address of one host"):
        network.segment.complete = wrong
    assert network.segment.complete == before
    with pytest.raises(UsageError, match="between 0 and 3600"):
        network.lab.engine.vouch(-1)
