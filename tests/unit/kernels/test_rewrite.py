# SPDX-License-Identifier: Apache-2.0
"""What forwarders do to frames: scapy says what should have come out."""

import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from fastpath import FLOOD, Burst, Forwarder, MemoryPort, UsageError
from tests.support.engine.frames import (
    checked_packets,
    frame,
    frames,
    ipv4_header_is_valid,
    mac,
    transport_is_valid,
    unfinished,
)
from tests.support.engine.lab import Lab, drain
from tests.support.engine.twin import NEEDS_CSUM, VNET, parse

Action = Callable[[Burst], object]
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
IP4, IP6 = 0xC0000207, [0x20010DB800000000, 0x42]


class Rewriter(Forwarder):
    """Does to every frame what it was told last, and floods it."""

    rewrites = True

    def __init__(self) -> None:
        self.action: Action = lambda _: None
        self.done: object = None

    def forward(self, burst: Burst) -> None:
        self.done = self.action(burst)
        burst.out = FLOOD


class Bench:
    """One port in, one out, the rewriter between them."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.rewriter = lab, Rewriter()
        segment = lab.engine.add_segment(1, forwarder=self.rewriter)
        self.a, self.b = segment.add_memory_port("a"), segment.add_memory_port("b")

    def through(self, data: bytes, action: Action, vnet: bytes = bytes(VNET.size)) -> bytes:
        self.rewriter.action = action
        self.lab.send(self.a, data, vnet=vnet)
        self.lab.poll()
        (result,) = drain(self.b)
        assert "forwarder_failed" not in self.lab.drops()
        return result

    @property
    def done(self) -> list[bool]:
        assert isinstance(self.rewriter.done, np.ndarray)
        return list(self.rewriter.done.tolist())


@pytest.fixture
def bench(lab: Lab) -> Bench:
    return Bench(lab)


def rebuilt(packet: Packet) -> bytes:
    """With the lengths and checksums that scapy computes."""
    return bytes(packet)


def ip_of(packet: Packet) -> Packet:
    ip: Packet = packet[IP] if IP in packet else packet[IPv6]
    return ip


@SHARED
@given(packet=checked_packets(), source=st.booleans())
def test_addresses(bench: Bench, packet: Packet, source: bool) -> None:
    before = bytes(packet)
    ip = ip_of(packet)
    field = "src" if source else "dst"
    setattr(ip, field, "192.0.2.7" if IP in packet else "2001:db8::42")

    def action(burst: Burst) -> object:
        if burst.ip_version[0] == 4:
            return getattr(burst, f"set_{field}_ip")(0, IP4)
        return getattr(burst, f"set_{field}_ip6")(0, IP6)

    after = bench.through(before, action)
    assert bench.done == [True]
    assert after == rebuilt(packet)


@SHARED
@given(packet=checked_packets(), port=st.integers(0, 65535), source=st.booleans())
def test_ports(bench: Bench, packet: Packet, port: int, source: bool) -> None:
    before = bytes(packet)
    layer = packet[TCP] if TCP in packet else packet[UDP]
    setattr(layer, "sport" if source else "dport", port)
    after = bench.through(before, lambda burst: (burst.set_src_port if source else burst.set_dst_port)(0, port))
    assert bench.done == [True]
    assert transport_is_valid(after)
    assert after == rebuilt(packet)


@SHARED
@given(packet=checked_packets(), ttl=st.integers(0, 255))
def test_ttl(bench: Bench, packet: Packet, ttl: int) -> None:
    ip = ip_of(packet)
    field = "ttl" if IP in packet else "hlim"
    setattr(ip, field, ttl)
    before = bytes(packet)
    if ttl > 1:
        setattr(ip, field, ttl - 1)
    after = bench.through(before, lambda burst: burst.decrement_ttl(0))
    assert bench.done == [ttl > 1]
    assert after == rebuilt(packet)


@SHARED
@given(packet=checked_packets(), vlan=st.integers(0, 4095))
def test_vlan_tags_go_on_and_off(bench: Bench, packet: Packet, vlan: int) -> None:
    before = bytes(packet)
    tags = (before[12:14] in (b"\x81\x00", b"\x88\xa8")) + (before[16:18] in (b"\x81\x00", b"\x88\xa8"))
    pushed = bench.through(before, lambda burst: burst.push_vlan(0, vlan))
    if before[12:14] in (b"\x81\x00", b"\x88\xa8") and tags == 2:
        assert bench.done == [False]
        assert pushed == before
        return
    assert bench.done == [True]
    assert pushed == before[:12] + struct.pack(">HH", 0x8100, vlan) + before[12:]
    assert bench.through(pushed, lambda burst: burst.pop_vlan(0)) == before
    assert bench.done == [True]


@SHARED
@given(packet=checked_packets())
def test_an_open_checksum_stays_open_and_right(bench: Bench, packet: Packet) -> None:
    """The kernel hands over the pseudo-header's sum; whoever finishes it must get the right checksum."""
    vnet, data = unfinished(bytes(packet))

    def action(burst: Burst) -> object:
        if burst.ip_version[0] == 4:
            burst.set_dst_ip(0, IP4)
        else:
            burst.set_dst_ip6(0, IP6)
        burst.set_dst_port(0, 99)
        return burst.push_vlan(0, 7)

    ip_of(packet).dst = "192.0.2.7" if IP in packet else "2001:db8::42"
    (packet[TCP] if TCP in packet else packet[UDP]).dport = 99
    bench.rewriter.action = action
    bench.lab.send(bench.a, data, vnet=vnet)
    bench.lab.poll()
    received = bench.b.receive_with_header()
    assert received is not None
    header, after = received
    flags, _, _, _, start, offset, _ = VNET.unpack(header)
    assert flags == NEEDS_CSUM
    expected_vnet, expected = unfinished(rebuilt(packet))
    if bench.done == [True]:
        assert after[12:16] == b"\x81\x00\x00\x07"
        after, start = after[:12] + after[16:], start - 4
    assert (start, offset) == VNET.unpack(expected_vnet)[4:6]
    assert after == expected


def test_icmpv6_has_a_checksum_over_addresses(bench: Bench) -> None:
    packet = (
        Ether(src=mac(1), dst=mac(2)) / IPv6(src="2001:db8::1", dst="2001:db8::2") / ICMPv6EchoRequest(data=b"ping")
    )
    before = bytes(packet)
    packet[IPv6].dst = "2001:db8::42"
    assert bench.through(before, lambda burst: burst.set_dst_ip6(0, IP6)) == rebuilt(packet)


def set_to(method: str, value: object) -> Action:
    """Have this method of the burst write the value into the first frame."""
    return lambda burst: getattr(burst, method)(0, value)


MAC_BYTES = bytes.fromhex("0200000000aa")


@pytest.mark.parametrize(
    ("method", "number", "forms"),
    [
        ("set_src_mac", 0x0200000000AA, [mac(0xAA), "02-00-00-00-00-AA", MAC_BYTES]),
        ("set_dst_mac", 0x0200000000AA, [mac(0xAA), bytearray(MAC_BYTES)]),
        ("set_src_ip", 0xC0000207, ["192.0.2.7", IPv4Address("192.0.2.7")]),
        ("set_dst_ip", 0xC0000207, ["192.0.2.7", IPv4Address("192.0.2.7")]),
    ],
)
def test_one_address_in_any_form(bench: Bench, method: str, number: int, forms: list[Any]) -> None:
    packet = bytes(Ether(src=mac(1), dst=mac(2)) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / b"x")
    expected, *others = (bench.through(packet, set_to(method, to)) for to in (number, *forms))
    assert expected != packet
    assert others == [expected] * len(forms)


def test_one_ipv6_address_in_any_form(bench: Bench) -> None:
    packet = bytes(Ether(src=mac(1), dst=mac(2)) / IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP() / b"x")
    forms = (IP6, "2001:db8::42", IPv6Address("2001:db8::42"))
    expected, *others = (bench.through(packet, set_to("set_dst_ip6", to)) for to in forms)
    assert expected != packet
    assert others == [expected, expected]


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("set_src_mac", "02:00:00:00:00"),
        ("set_dst_mac", b"12345"),
        ("set_src_ip", "fd00::1"),
        ("set_dst_ip6", "10.0.0.1"),
    ],
)
def test_what_is_no_such_address(bench: Bench, method: str, wrong: str | bytes) -> None:
    def attempt(burst: Burst) -> object:
        with pytest.raises(UsageError, match="address"):
            getattr(burst, method)(0, wrong)
        return None

    packet = bytes(Ether(src=mac(1), dst=mac(2)) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / b"x")
    assert bench.through(packet, attempt) == packet


@pytest.mark.parametrize(("flags", "fragment"), [("MF", 0), (0, 185), ("MF", 8)])
def test_fragments_get_other_addresses_but_no_ports(bench: Bench, flags: str | int, fragment: int) -> None:
    whole = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / Raw(bytes(range(200)))
    payload = bytes(whole)[20:]
    part = IP(src="10.0.0.1", dst="10.0.0.2", flags=flags, frag=fragment, proto=17) / Raw(payload)
    before = bytes(Ether(src=mac(1), dst=mac(2)) / part)
    assert bench.through(before, lambda burst: burst.set_dst_port(0, 9)) == before
    assert bench.done == [False]
    after = bench.through(before, lambda burst: burst.set_dst_ip(0, IP4))
    assert ipv4_header_is_valid(after)
    whole.dst = "192.0.2.7"
    expected = bytes(whole)[20:] if fragment == 0 else payload  # the first one has the checksum of all
    assert after[34:] == expected


def test_no_udp_checksum_stays_none(bench: Bench) -> None:
    packet = Ether(src=mac(1), dst=mac(2)) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(chksum=0) / b"x"
    after = bench.through(bytes(packet), lambda burst: burst.set_dst_ip(0, IP4))
    assert after[40:42] == b"\0\0"


def test_mac_addresses(bench: Bench) -> None:
    def action(burst: Burst) -> object:
        burst.set_src_mac([0], 0x0200000000AA)
        return burst.set_dst_mac(burst.src_mac > 0, np.array([0x0200000000BB]))

    assert bench.through(frame(mac(1), mac(2)), action) == frame("02:00:00:00:00:bb", "02:00:00:00:00:aa")


def test_the_columns_show_the_frame_as_it_came(bench: Bench) -> None:
    def action(burst: Burst) -> object:
        burst.set_src_mac(0, 5)
        return burst.src_mac == 2 | 0x02 << 40

    bench.through(frame(mac(1), mac(2)), action)
    assert bench.done == [True]


@pytest.mark.parametrize("growth", [-20, 0, 64])
def test_a_frame_is_replaced_by_another_one(bench: Bench, growth: int) -> None:
    data = frame(mac(1), mac(2), bytes(50))
    other = b"\xff" * (len(data) + growth)
    assert bench.through(data, lambda burst: burst.replace(0, other)) == other


@pytest.mark.parametrize("size", [0, 13, 64 + 65])
def test_a_frame_is_not_replaced_by_what_is_too_short_or_too_long(bench: Bench, size: int) -> None:
    data = frame(mac(1), mac(2), b"\x88\xb5" + bytes(50))
    assert len(data) == 64
    assert bench.through(data, lambda burst: np.array([burst.replace(0, bytes(size))])) == data
    assert bench.done == [False]


def test_tags_do_not_grow_out_of_the_frame_s_room(bench: Bench) -> None:
    """Tag, then claim that there is none, again and again."""

    def action(burst: Burst) -> object:
        done = []
        for _ in range(100):
            done.append(bool(burst.push_vlan(0, 1)[0]))
            burst.frame(0)[12:14] = b"\x88\xb5"
        return np.array(done)

    after = bench.through(frame(mac(1), mac(2)), action)
    count = sum(bench.done)
    assert 0 < count <= 10
    assert bench.done == [True] * count + [False] * (100 - count)
    assert len(after) == len(frame(mac(1), mac(2))) + 4 * count


def test_bytes_can_be_written(bench: Bench) -> None:
    def action(burst: Burst) -> None:
        burst.frame(0)[-1] = 0x55

    data = frame(mac(1), mac(2))
    assert bench.through(data, action) == data[:-1] + b"\x55"


def test_a_super_frame_whose_headers_were_spoilt_is_dropped(lab: Lab) -> None:
    bench = Bench(lab)
    packet = Ether(src=mac(1), dst=mac(2)) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="A") / Raw(bytes(3000))
    vnet, data = unfinished(bytes(packet))
    start, offset = VNET.unpack(vnet)[4:6]
    vnet = VNET.pack(NEEDS_CSUM, 1, 54, 1000, start, offset, 0)

    def spoil(burst: Burst) -> None:
        burst.frame(0)[23] = 47  # GRE has no super-frames

    bench.rewriter.action = spoil
    lab.send(bench.a, data, vnet=vnet, segments=3)
    lab.poll()
    assert drain(bench.b) == []
    assert lab.drops()["bad_super_frame"] >= 1


@pytest.mark.parametrize("to_remote", [False, True])
def test_no_copy_of_a_spoilt_super_frame_is_sent(lab: Lab, to_remote: bool) -> None:
    bench = Bench(lab)
    far = lab.far(2)
    packet = Ether(src=mac(1), dst=mac(2)) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="A") / Raw(bytes(3000))
    vnet, data = unfinished(bytes(packet))
    start, offset = VNET.unpack(vnet)[4:6]
    vnet = VNET.pack(NEEDS_CSUM, 1, 54, 1000, start, offset, 0)

    def spoil(burst: Burst) -> None:
        burst.copy(0, bench.rewriter.remote(far.address) if to_remote else bench.b.number)
        burst.frame(0)[23] = 17

    bench.rewriter.action = spoil
    lab.send(bench.a, data, vnet=vnet, segments=3)
    lab.poll()
    assert drain(bench.b) == []
    assert far.receive() == []
    assert lab.drops() == {"bad_super_frame": 3}


def test_what_was_handed_out_for_writing_is_taken_back(bench: Bench) -> None:
    kept: list[memoryview] = []
    bench.through(frame(mac(1), mac(2)), lambda burst: kept.append(burst.frame(0)))
    with pytest.raises(ValueError, match="released"):
        kept[0][0] = 1


ACTIONS: list[Callable[[Burst, MemoryPort], object]] = [
    lambda burst, _: burst.set_dst_ip(burst.ip_version == 4, IP4),
    lambda burst, _: burst.set_src_ip6(burst.length > 0, IP6),
    lambda burst, _: burst.set_src_port(np.arange(len(burst)), 5),
    lambda burst, _: burst.decrement_ttl(np.arange(len(burst))),
    lambda burst, _: burst.push_vlan(np.arange(len(burst)), 9),
    lambda burst, _: burst.pop_vlan(np.arange(len(burst))),
    lambda burst, _: burst.replace(0, bytes(burst.frame(0))[::-1]),
    lambda burst, port: burst.copy(0, port.number),
]


@SHARED
@given(data=frames(), order=st.lists(st.sampled_from(ACTIONS), max_size=6))
def test_anything_may_be_done_to_any_frame(
    bench: Bench, data: bytes, order: list[Callable[[Burst, MemoryPort], object]]
) -> None:
    """Nothing is read or written out of bounds (the sanitizers watch), and nothing raises."""
    before = sum(bench.lab.drops().values())
    bench.rewriter.action = lambda burst: [action(burst, bench.b) for action in order]
    bench.lab.send(bench.a, data)
    bench.lab.poll()
    assert "forwarder_failed" not in bench.lab.drops()
    assert len(drain(bench.b)) + sum(bench.lab.drops().values()) - before >= 1
    assert parse(data[:14]) is not None or len(data) < 14
