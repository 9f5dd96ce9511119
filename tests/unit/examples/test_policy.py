# SPDX-License-Identifier: Apache-2.0
"""examples/forwarders/: the access list, the rate limit, and the choice among VTEPs."""

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from examples.forwarders import ecmp
from examples.forwarders.acl import Acl
from examples.forwarders.ecmp import Ecmp
from examples.forwarders.rate_limit import RateLimit
from fastpath import Hub, LearningBridge, RefusedError, UsageError
from tests.support.engine.forwarding import VNI, Site
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import FarEnd, Lab
from tests.support.engine.streams import Stream

A, B, GATEWAY = mac(0xA), mac(0xB), mac(0xE)
RULES = Path(__file__).parents[3] / "examples" / "forwarders" / "acl.toml"


def tcp(port: int, source: str = "10.0.0.1") -> bytes:
    return bytes(Ether(src=A, dst=B) / IP(src=source, dst="10.0.0.2") / TCP(dport=port))


def acl(tmp_path: Path, rules: str) -> Acl:
    (tmp_path / "rules.toml").write_text(rules)
    return Acl(rules=tmp_path / "rules.toml")


def test_the_first_rule_that_matches_decides(lab: Lab) -> None:
    site = Site(lab, "a b")
    site.use(Acl(rules=RULES) | Hub())
    passing = [tcp(80), tcp(22, "10.0.0.10"), tcp(8000)]
    assert site.send("a", *passing, tcp(22), tcp(22)) == {"b": passing}
    far = lab.far(2)
    far.send(VNI, tcp(8000))
    far.send(VNI, tcp(7999))
    lab.poll()
    assert site.received() == {"a": [tcp(7999)], "b": [tcp(7999)]}
    assert site.counters == {"Acl.no_ssh": 2, "Acl.no_high_ports": 1}


def test_what_no_rule_matches_can_be_denied(lab: Lab, tmp_path: Path) -> None:
    site = Site(lab, "a b")
    rules = 'default = "deny"\n[[rule]]\nname = "web"\naction = "allow"\ndst_port = 80'
    site.use(acl(tmp_path, rules) | Hub())
    assert site.send("a", tcp(80), tcp(81), frame(BROADCAST, A)) == {"b": [tcp(80)]}
    assert site.counters == {"Acl.default": 2}


def test_no_rules_deny_nothing(lab: Lab, tmp_path: Path) -> None:
    site = Site(lab, "a b")
    site.use(acl(tmp_path, "") | Hub())
    assert site.send("a", tcp(80)) == {"b": [tcp(80)]}


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ('[[rule]]\nname = "x"', "it needs a name, and to allow or deny"),
        ('[[rule]]\naction = "deny"', "it needs a name, and to allow or deny"),
        ('default = "maybe"', "it needs a name, and to allow or deny"),
        ('[[rule]]\nname = "x"\naction = "deny"\nport = 1', 'nothing can be matched by "port"'),
    ],
)
def test_rules_that_are_wrong(tmp_path: Path, rules: str, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        acl(tmp_path, rules)


def test_a_source_may_send_what_its_bucket_holds(lab: Lab) -> None:
    site = Site(lab, "a b")
    site.use(RateLimit(rate=100, burst=1000) | Hub())
    mine, other = frame(B, A, bytes(86)), frame(A, B, bytes(86))  # 98 bytes
    assert site.send("a", *[mine] * 20) == {"b": [mine] * 11}  # the last one may owe
    assert site.send("a", mine, other) == {"b": [other]}
    site.wait(1)
    assert site.send("a", mine, mine) == {"b": [mine]}
    site.wait(1000)
    assert site.send("a", *[mine, other] * 10) == {"b": [mine, other] * 10}
    assert site.send("a", mine, mine) == {"b": [mine]}
    assert site.counters == {"RateLimit.too_fast": 12}


def test_a_super_frame_counts_all_its_bytes(lab: Lab) -> None:
    site = Site(lab, "a b")
    limit = RateLimit(rate=1000, burst=2000)
    site.use(limit | Hub())
    stream = Stream()
    vnet, data = stream.super_frame(bytes(40_000), 1000)
    assert [len(out) for out in site.send_super("a", (vnet, data), 40)["b"]] == [len(data)]
    site.wait((len(data) - 2000) // 1000)
    assert site.send_super("a", (vnet, data), 40) == {}
    assert site.counters == {"RateLimit.too_fast": 40}
    site.wait(1)
    assert list(site.send_super("a", (vnet, data), 40)) == ["b"]


def test_buckets_that_are_full_are_forgotten(lab: Lab) -> None:
    site = Site(lab, "a b")
    limit = RateLimit(rate=100, burst=1000, capacity=1)
    site.use(limit | Hub())
    site.send("a", frame(B, A))
    site.send("a", frame(A, B, bytes(2000)))  # no room: shares a bucket with
    assert site.send("a", frame(A, mac(0xC))) == {}  # this one
    site.wait(100)
    assert len(limit.buckets) == 0
    assert site.send("a", frame(A, mac(0xC))) == {"b": [frame(A, mac(0xC))]}


@cache
def flows() -> list[bytes]:
    """Of 200 clients; not made where this file is only collected, since scapy takes a third of a second."""
    head = Ether(src=A, dst=GATEWAY) / IP(src="10.0.0.1", dst="192.0.2.1")
    return [bytes(head / UDP(sport=1000 + n, dport=53) / b"x") for n in range(200)]


def takes(site: Site, fars: list[FarEnd]) -> list[int]:
    """Which VTEP each of the flows takes."""
    assert site.send("a", *flows()) == {}
    chosen = {packet.frame: n for n, far in enumerate(fars) for packet in far.receive()}
    return [chosen[flow] for flow in flows()]


def hear(site: Site, far: FarEnd) -> None:
    """Have a VTEP say something."""
    far.send(VNI, frame(A, GATEWAY))
    site.lab.poll()
    site.received()


def go_on(site: Site, fars: list[FarEnd], answering: list[FarEnd]) -> None:
    """Fifteen seconds of traffic, of which only some VTEPs say anything."""
    for _ in range(3):
        takes(site, fars)
        for far in answering:
            hear(site, far)
        site.wait(5)


def test_flows_are_spread_and_only_those_of_the_failed_one_move(lab: Lab) -> None:
    site = Site(lab, "a b")
    fars = [lab.far(n) for n in (2, 3, 4)]
    site.use(Ecmp(gateway=GATEWAY, vteps=[far.address for far in fars]) | LearningBridge())
    before = takes(site, fars)
    assert all(count > len(flows()) / 6 for count in Counter(before).values())
    go_on(site, fars, fars)
    assert takes(site, fars) == before
    assert site.counters == {}
    go_on(site, fars, fars[1:])
    during = takes(site, fars)
    assert all(now == was if was else now for now, was in zip(during, before, strict=True))
    assert site.counters == {"Ecmp.detoured": before.count(0)}
    hear(site, fars[0])  # it is back
    assert takes(site, fars) == before


def test_a_silent_one_is_tried_again(lab: Lab) -> None:
    site = Site(lab, "a b")
    fars = [lab.far(n) for n in (2, 3)]
    site.use(Ecmp(gateway=GATEWAY, vteps=[far.address for far in fars], silence=10, retry=60))
    before = takes(site, fars)
    go_on(site, fars, fars[1:])
    assert set(takes(site, fars)) == {1}
    site.wait(61)
    assert takes(site, fars) == before
    go_on(site, fars, fars[1:])
    assert set(takes(site, fars)) == {1}


def test_who_is_not_sent_to_may_be_silent(lab: Lab) -> None:
    site = Site(lab, "a b")
    fars = [lab.far(n) for n in (2, 3)]
    site.use(Ecmp(gateway=GATEWAY, vteps=[far.address for far in fars], silence=10))
    before = takes(site, fars)
    for _ in range(3):
        site.wait(11)
        assert takes(site, fars) == before


def test_where_all_are_silent_all_are_used(lab: Lab) -> None:
    site = Site(lab, "a b")
    fars = [lab.far(n) for n in (2, 3)]
    site.use(Ecmp(gateway=GATEWAY, vteps=[far.address for far in fars]))
    before = takes(site, fars)
    go_on(site, fars, [])
    go_on(site, fars, [])
    assert takes(site, fars) == before


def test_what_is_not_for_the_gateway_is_left_to_the_next(lab: Lab) -> None:
    site = Site(lab, "a b")
    far = lab.far(2)
    site.use(Ecmp(gateway=GATEWAY, vteps=[far.address]) | Hub())
    assert site.send("a", frame(B, A)) == {"b": [frame(B, A)]}
    far.send(VNI, frame(GATEWAY, B))  # what comes from a remote never goes to one
    lab.poll()
    assert site.received() == {"a": [frame(GATEWAY, B)], "b": [frame(GATEWAY, B)]}


def test_weights_are_even() -> None:
    hashes = np.arange(30_000, dtype=np.uint32)
    counts = np.bincount(ecmp.weights(hashes, np.array([1, 2, 3], np.uint64)).argmax(axis=1))
    assert (np.abs(counts - 10_000) < 500).all()


def test_vteps_that_are_wrong(lab: Lab) -> None:
    with pytest.raises(UsageError, match="vteps is empty"):
        Ecmp(gateway=GATEWAY, vteps=[])
    with pytest.raises(UsageError, match="not a MAC address"):
        Ecmp(gateway="x", vteps=["192.0.2.1"])
    site = Site(lab, "a")
    with pytest.raises((UsageError, RefusedError), match="fd00::1"):
        site.use(Ecmp(gateway=GATEWAY, vteps=["fd00::1"]))
