# SPDX-License-Identifier: Apache-2.0
"""examples/forwarders/: those that answer or change frames, beside scapy."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from examples.forwarders.arp_responder import ArpResponder
from examples.forwarders.maglev import Maglev, maglev_table
from examples.forwarders.match_action import MatchAction
from fastpath import ConflictError, Hub, LearningBridge, RefusedError, UsageError
from tests.support.engine.forwarding import VNI, Site
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import Lab
from tests.support.engine.twin_respond import Question, answer

A, B, C = mac(0xA), mac(0xB), mac(0xC)
PROGRAM = Path(__file__).parents[3] / "examples" / "forwarders" / "match_action.toml"


def arp(target: str, *, sender: str = "10.0.0.1", source: str = A) -> bytes:
    request = ARP(op=1, hwsrc=source, psrc=sender, pdst=target)
    return bytes(Ether(src=source, dst=BROADCAST) / request)


def solicitation(target: str, *, sender: str = "fd00::1", hlim: int = 255) -> bytes:
    group = IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | int(IPv6Address(target)) & 0xFFFFFF)
    ether = Ether(src=A, dst="33:33:" + group.packed[12:].hex(":"))
    option = ICMPv6NDOptSrcLLAddr(lladdr=A) if sender != "::" else b""
    return bytes(ether / IPv6(src=sender, dst=str(group), hlim=hlim) / ICMPv6ND_NS(tgt=target) / option)


def test_questions_are_answered_where_they_are_asked(lab: Lab) -> None:
    site = Site(lab, "a b")
    site.use(ArpResponder(hosts=[f"10.0.0.5={B}", f"fd00::5={B}"]) | Hub())
    who, v4, v6 = ip_address("10.0.0.1"), ip_address("10.0.0.5"), ip_address("fd00::5")
    assert site.send("a", arp("10.0.0.5")) == {"a": [answer(Question(A, who, v4), B)]}
    assert site.send("a", solicitation("fd00::5")) == {"a": [answer(Question(A, ip_address("fd00::1"), v6), B)]}
    assert site.send("a", solicitation("fd00::5", sender="::")) == {"a": [answer(Question(A, IPv6Address(0), v6), B)]}
    probe = arp("10.0.0.5", sender="0.0.0.0")  # noqa: S104 – an address that is not there yet
    assert site.send("a", probe) == {"a": [answer(Question(A, IPv4Address(0), v4), B)]}
    assert site.counters == {"ArpResponder.answered": 4}


def test_other_questions_go_on(lab: Lab) -> None:
    site = Site(lab, "a b")
    site.use(ArpResponder(hosts=[f"10.0.0.5={B}", f"fd00::5={B}"]) | Hub())
    others = [
        arp("10.0.0.6"),
        arp("10.0.0.5", source=B, sender="10.0.0.5"),  # an announcement
        arp("10.0.0.5", source=C, sender="10.0.0.5"),
        bytes(Ether(src=A, dst=B) / ARP(op=1, hwsrc=A, psrc="10.0.0.1", pdst="10.0.0.5")),  # is B there?
        bytes(Ether(src=A, dst=BROADCAST) / ARP(op=2, hwsrc=A, psrc="10.0.0.1", pdst="10.0.0.5")),
        arp("10.0.0.5")[:41],
        solicitation("fd00::6"),
        solicitation("fd00::5", hlim=64),
        solicitation("fd00::5")[:77],
    ]
    assert site.send("a", *others) == {"b": others}
    lab.far(2).send(VNI, arp("10.0.0.5"))  # its own host answers
    lab.poll()
    assert site.received() == {"a": [arp("10.0.0.5")], "b": [arp("10.0.0.5")]}
    assert site.counters == {}


@pytest.mark.parametrize("host", ["10.0.0.5", f"10.0.0={B}", "10.0.0.5=02:00", ""])
def test_hosts_that_are_wrong(host: str) -> None:
    with pytest.raises(UsageError):
        ArpResponder(hosts=[host])


BACKENDS = {"10.0.0.5": B, "10.0.0.6": C}
VIP, VIP_MAC = "10.0.0.100", mac(0x64)


def balanced(site: Site, idle: float = 300) -> Maglev:
    """A load balancer in front of a bridge that knows who is where."""
    site.segment.fdb.set(A, site.ports["client"])
    for port, address in zip(("b", "c"), BACKENDS.values(), strict=True):
        site.segment.fdb.set(address, site.ports[port])
    maglev = Maglev(
        address=VIP, port=80, backends=[f"{ip}={address}" for ip, address in BACKENDS.items()], size=251, idle=idle
    )
    site.use(maglev | LearningBridge())
    return maglev


@pytest.mark.parametrize("transport", [TCP, UDP])
def test_a_flow_goes_to_one_backend_and_back(lab: Lab, transport: type[Packet]) -> None:
    site = Site(lab, "client b c")
    balanced(site)
    chosen = set()
    for sport in range(1000, 1030):
        request = Ether(src=A, dst=VIP_MAC) / IP(src="10.0.0.1", dst=VIP) / transport(sport=sport, dport=80) / b"GET"
        ((port, frames),) = site.send("client", bytes(request), bytes(request)).items()
        backend = "10.0.0.5" if port == "b" else "10.0.0.6"
        there = Ether(src=A, dst=BACKENDS[backend]) / IP(src="10.0.0.1", dst=backend) / request[transport]
        del there[transport].chksum
        assert frames == [bytes(there)] * 2
        reply = transport(sport=80, dport=sport) / b"200"
        answered = Ether(src=BACKENDS[backend], dst=A) / IP(src=backend, dst="10.0.0.1") / reply
        back = Ether(src=BACKENDS[backend], dst=A) / IP(src=VIP, dst="10.0.0.1") / reply
        assert site.send(port, bytes(answered)) == {"client": [bytes(back)]}
        chosen.add(port)
    assert chosen == {"b", "c"}
    assert site.counters == {}


def test_what_is_not_the_service_s_is_left_alone(lab: Lab) -> None:
    site = Site(lab, "client b c")
    balanced(site)
    others = [
        Ether(src=A, dst=B) / IP(src="10.0.0.1", dst=VIP) / TCP(dport=81),
        Ether(src=A, dst=B) / IP(src="10.0.0.1", dst="10.0.0.5") / TCP(dport=80),
        Ether(src=A, dst=B) / IPv6(src="fd00::1", dst="fd00::2") / TCP(dport=80),
    ]
    assert site.send("client", *map(bytes, others)) == {"b": [*map(bytes, others)]}
    straight = bytes(Ether(src=B, dst=A) / IP(src="10.0.0.5", dst="10.0.0.1") / TCP(sport=80))
    assert site.send("b", straight) == {"client": [straight]}


def test_flows_end_and_their_number_is_limited(lab: Lab) -> None:
    site = Site(lab, "client b c")
    maglev = balanced(site, idle=100)
    ether = Ether(src=A, dst=VIP_MAC)
    frames = [bytes(ether / IP(src="10.0.0.1", dst=VIP) / UDP(sport=n, dport=80)) for n in range(10)]
    site.send("client", *frames)
    assert len(maglev.flows) == 10
    site.wait(99)
    site.send("client", frames[0])
    site.wait(10)
    assert len(maglev.flows) == 1
    maglev.flows.add(np.arange(1, 65536, dtype=np.uint64))
    assert site.send("client", frames[1]) == {}
    assert len(site.send("client", frames[0])) == 1
    assert site.counters == {"Maglev.no_room": 1}


def test_the_table_is_even_and_changes_little() -> None:
    names = [f"10.0.0.{n}" for n in range(10)]
    table = maglev_table(names, 65537)
    assert set(np.bincount(table)) <= {65537 // 10, 65537 // 10 + 1}
    without = maglev_table(names[:-1], 65537)
    moved = (table != without) & (table != 9)
    assert 0 < np.count_nonzero(moved) < 0.1 * len(table)


@pytest.mark.parametrize(("names", "size"), [([], 251), (["a"], 250), (["a"], 1), (["a", "b", "c"], 2)])
def test_tables_that_are_wrong(names: list[str], size: int) -> None:
    with pytest.raises(UsageError, match="it must be a prime"):
        maglev_table(names, size)


def test_tables_say_what_is_done(lab: Lab) -> None:
    site = Site(lab, "a b")
    site.use(MatchAction(program=PROGRAM) | Hub())
    service = TCP(sport=1000, dport=80)
    there = Ether(src=A, dst=VIP_MAC) / IP(src="10.0.0.1", dst=VIP, ttl=9) / service
    changed = Ether(src=A, dst=mac(5)) / IP(src="10.0.0.1", dst="10.0.0.5", ttl=8) / TCP(sport=1000, dport=8080)
    assert site.send("a", bytes(there)) == {"b": [bytes(changed)]}
    answered = Ether(src=B, dst=A) / IP(src="10.0.0.5", dst="10.0.0.1") / TCP(sport=8080, dport=1000)
    back = Ether(src=B, dst=A) / IP(src=VIP, dst="10.0.0.1") / TCP(sport=80, dport=1000)
    assert site.send("a", bytes(answered)) == {"b": [bytes(back)]}
    bogus = Ether(src=A, dst=B) / IP(src="192.0.2.7", dst=VIP) / service
    late = Ether(src=A, dst=B) / IP(src="10.0.0.1", dst=VIP, ttl=1) / service
    assert site.send("a", bytes(bogus), bytes(late), frame(B, A)) == {"b": [frame(B, A)]}
    assert {name.removeprefix("MatchAction."): count for name, count in site.counters.items()} == {
        "bogus": 1,
        "impossible": 1,
        "unwanted_hits": 1,
        "unwanted_misses": 4,
        "to_service_hits": 2,
        "to_service_misses": 2,
        "from_service_hits": 1,
        "from_service_misses": 2,
    }


def program(tmp_path: Path, *actions: str) -> MatchAction:
    """One table with one entry, for UDP."""
    text = f'[[table]]\nname = "t"\n[[table.entry]]\nmatch = {{protocol = "udp"}}\nactions = {list(actions)}'
    (tmp_path / "program.toml").write_text(text)
    return MatchAction(program=tmp_path / "program.toml")


@pytest.mark.parametrize(
    ("action", "changed"),
    [
        ("set_src_mac 02:00:00:00:00:0c", Ether(src=C, dst=B) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP()),
        ("push_vlan 42", Ether(src=A, dst=B) / Dot1Q(vlan=42) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP()),
        ("set_src_port 54", Ether(src=A, dst=B) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=54)),
        ("set_dst_ip 10.0.0.9", Ether(src=A, dst=B) / IP(src="10.0.0.1", dst="10.0.0.9") / UDP()),
    ],
)
def test_actions(lab: Lab, tmp_path: Path, action: str, changed: Packet) -> None:
    site = Site(lab, "a b c")
    site.use(program(tmp_path, action, "to_port c"))
    assert site.send("a", bytes(Ether(src=A, dst=B) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP())) == {
        "c": [bytes(changed)]
    }


def test_an_action_can_name_a_remote(lab: Lab, tmp_path: Path) -> None:
    site = Site(lab, "a b")
    far = lab.far(2)
    site.use(program(tmp_path, "pop_vlan", f"to_remote {far.address}"))
    inner = IP(src="10.0.0.1", dst="10.0.0.2") / UDP()
    assert site.send("a", bytes(Ether(src=A, dst=B) / Dot1Q(vlan=7) / inner)) == {}
    assert [packet.frame for packet in far.receive()] == [bytes(Ether(src=A, dst=B) / inner)]


@pytest.mark.parametrize("action", ["jump", "drop", "pop_vlan 3", "set_dst_ip x", "to_port nowhere", "set_src_port"])
def test_actions_that_are_wrong(lab: Lab, tmp_path: Path, action: str) -> None:
    site = Site(lab, "a")
    with pytest.raises((UsageError, RefusedError, ConflictError)):
        site.use(program(tmp_path, action))
    assert type(site.segment.forwarder) is LearningBridge
