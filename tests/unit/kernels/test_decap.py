# SPDX-License-Identifier: Apache-2.0
"""Decapsulation: header checks, ECN (RFC 6040), inner checksums that their sender did not finish."""

from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from fastpath import EVENT_SENTENCES
from fastpath.testing import oneshot
from tests.support.engine import twin
from tests.support.engine.frames import (
    checked_packets,
    ethernet,
    frames,
    ipv4_header_is_valid,
    stored_checksum,
    unfinished,
)
from tests.support.engine.lab import vxlan
from tests.support.examples import times

KNOWN = {0, 1, 42, 0xFFFFFF}
EVENTS = list(EVENT_SENTENCES)
VALID = bytes(ethernet(IP(src="10.0.0.1", dst="10.0.0.2", tos=2) / UDP() / Raw(b"data")))
decapsulate = oneshot.Decapsulator(sorted(KNOWN))
vnis = st.sampled_from([*sorted(KNOWN), 43, 0xFFFFFE]) | st.integers(0, 0xFFFFFF)
flags = st.sampled_from([1 << 27, 1 << 27, 0, 0xFF000000, 1 << 27 | 1, 1 << 27 | 1 << 31]) | st.integers(0, 2**32 - 1)
reserved = st.sampled_from([0, 0, 0, 1, 255])


def ours(payload: bytes, outer_tos: int = 0, *, strict: bool = False) -> twin.Decapsulated:
    """The kernel's answer in the twin's words."""
    got = decapsulate(payload, outer_tos, strict)
    unfinished_at = (got.checksum_start, got.checksum_offset) if got.needs_checksum else None
    return twin.Decapsulated(got.drop, got.frame, unfinished_at, tuple(EVENTS[number] for number in got.events))


def compare(payload: bytes, outer_tos: int = 0, *, strict: bool = False) -> None:
    expected = twin.decap(payload, KNOWN, outer_tos, strict=strict)
    got = ours(payload, outer_tos, strict=strict)
    assert got._replace(events=()) == expected._replace(events=())
    assert sorted(got.events) == sorted(expected.events)


@settings(max_examples=times(3))
@given(st.builds(vxlan, vnis, frames(), flags=flags, reserved=reserved), st.integers(0, 255), st.booleans())
def test_like_the_twin(payload: bytes, outer_tos: int, strict: bool) -> None:
    compare(payload, outer_tos, strict=strict)


@given(st.binary(max_size=60), st.integers(0, 255), st.booleans())
@example(b"", 0, False)
@example(b"\x08" + bytes(6), 0, False)
@example(b"\x08" + bytes(7), 0, True)
def test_random_payloads(payload: bytes, outer_tos: int, strict: bool) -> None:
    compare(payload, outer_tos, strict=strict)


@given(checked_packets(), st.sampled_from(sorted(KNOWN)))
def test_opens_what_scapy_made(packet: Packet, vni: int) -> None:
    got = decapsulate(bytes(VXLAN(vni=vni, flags=0x08) / packet))
    assert (got.drop, got.vni, got.frame) == (None, vni, bytes(packet))


@given(checked_packets(), st.sampled_from(sorted(KNOWN)))
def test_undoes_encap(packet: Packet, vni: int) -> None:
    data = bytes(packet)
    got = decapsulate(oneshot.encap(data, vni).packet or b"")
    assert (got.drop, got.vni, got.frame) == (None, vni, data)


@pytest.mark.parametrize("size", range(8))
def test_short_packets(size: int) -> None:
    assert ours(vxlan(42, b"")[:size]).drop == "short_packet"


def test_checks_come_in_order() -> None:
    assert ours(vxlan(43, VALID, flags=0xF7FFFFFF, reserved=1), strict=True).drop == "no_vni_flag"
    assert ours(vxlan(43, VALID, flags=0xFFFFFFFF, reserved=1), strict=True).drop == "unknown_vni"
    assert ours(vxlan(42, b"", flags=0xFFFFFFFF), strict=True).drop == "reserved_bits"
    assert ours(vxlan(42, VALID[:13]), 3).drop == "runt"


@pytest.mark.parametrize("bit", [bit for bit in range(40) if bit != 27])
def test_every_reserved_bit(bit: int) -> None:
    """39 of the header's bits are reserved: ignored and counted, or a reason to drop. Those of VXLAN-GPE that say what
    follows are never ignored."""
    header = {"flags": 1 << 27 | 1 << bit} if bit < 32 else {"reserved": 1 << bit - 32}
    payload = vxlan(42, VALID, **header)
    relaxed, strict = ours(payload), ours(payload, strict=True)
    if 1 << bit & 0x35000000:
        assert relaxed == strict
    else:
        assert (relaxed.drop, relaxed.frame, relaxed.events) == (None, VALID, ("reserved_bits_ignored",))
    assert (strict.drop, strict.frame, strict.events) == ("reserved_bits", None, ())


def marked(version: int, ecn: int, dscp: int = 0xB8, tag: bool = False) -> bytes:
    tos = dscp | ecn
    ip = IP(src="10.0.0.1", dst="10.0.0.2", tos=tos) if version == 4 else IPv6(src="::1", dst="::2", tc=tos)
    return bytes(ethernet(ip / TCP() / Raw(b"data"), *([Dot1Q(vlan=3)] if tag else [])))


@pytest.mark.parametrize("tag", [False, True])
@pytest.mark.parametrize("version", [4, 6])
def test_ecn(version: int, tag: bool) -> None:
    """All 16 combinations, RFC 6040 figure 4."""
    for inner, outer in product(range(4), range(4)):
        got = ours(vxlan(42, marked(version, inner, tag=tag)), outer | 0x40)
        becomes = twin.DECAP_ECN[inner][outer]
        if becomes is None:
            assert got.drop == "ecn_invalid"
            continue
        assert got.frame == marked(version, becomes, tag=tag)  # scapy computed the header's checksum anew
        assert got.events == (() if becomes == inner else ("ecn_marked",))


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 255))
def test_ipv4_header_checksum_after_marking(tos: int, ttl: int, identification: int, outer_tos: int) -> None:
    ip = IP(src="10.0.0.1", dst="10.0.0.2", tos=tos, ttl=ttl, id=identification)
    got = ours(vxlan(42, bytes(ethernet(ip / UDP()))), outer_tos)
    assert got.drop == "ecn_invalid" or ipv4_header_is_valid(got.frame or b"")


def test_ecn_does_not_concern_what_is_not_ip() -> None:
    arp = bytes(ethernet(ARP()))
    assert ours(vxlan(42, arp), 3) == twin.Decapsulated(None, arp)


@given(checked_packets(), st.binary(max_size=20))
def test_unfinished_checksums_are_noticed(packet: Packet, padding: bytes) -> None:
    vnet, data = unfinished(bytes(packet))
    start, offset = twin.VNET.unpack(vnet)[4:6]
    got = ours(vxlan(42, data + padding))
    assert got.drop is None
    assert got.frame == data + padding
    # Whoever finishes the checksum sums to the end of the frame, so padding must not count.
    assert got.unfinished == (None if any(padding) else (start, offset))
    assert ("checksum_inferred" in got.events) == (not any(padding))


@given(checked_packets())
def test_finished_checksums_are_left_alone(packet: Packet) -> None:
    _, open_ = unfinished(bytes(packet))
    data = bytes(packet)
    got = ours(vxlan(42, data))
    looks_open = stored_checksum(open_) == stored_checksum(data)  # one in 65,536 does
    assert (got.unfinished is not None) == looks_open
    assert got.frame == data


def test_no_udp_checksum_is_finished() -> None:
    data = bytes(ethernet(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(chksum=0) / Raw(b"data")))
    assert ours(vxlan(42, data)) == twin.Decapsulated(None, data)


@pytest.mark.parametrize("inner", [UDP(), UDP() / Raw(b"x"), ICMP(), TCP() / Raw(bytes(40000))])
def test_sizes_from_nothing_to_super_frames(inner: Packet) -> None:
    data = bytes(ethernet(IP(src="10.0.0.1", dst="10.0.0.2") / inner))
    assert ours(vxlan(42, data)) == twin.Decapsulated(None, data)
    compare(vxlan(42, data[:-1]))


def vnet_for(data: bytes, mtu: int) -> tuple[int, ...]:
    header, is_super = oneshot.vnet_for_port(data, mtu)
    _, gso_type, header_length, gso_size, *_ = twin.VNET.unpack(header)
    assert is_super == (gso_size != 0)
    return gso_type, header_length, gso_size


def test_tcp_larger_than_the_mtu_becomes_a_super_frame() -> None:
    v4, v6 = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="::1", dst="::2")
    data = Raw(bytes(3000))
    assert vnet_for(bytes(ethernet(v4 / TCP() / data)), 1450) == (twin.GSO_TCPV4, 54, 1410)
    assert vnet_for(bytes(ethernet(v6 / TCP() / data)), 1450) == (twin.GSO_TCPV6, 74, 1390)
    assert vnet_for(bytes(ethernet(v4 / TCP() / data, Dot1Q())), 1450) == (twin.GSO_TCPV4, 58, 1410)
    timestamps = TCP(options=[("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)], flags="AC")
    assert vnet_for(bytes(ethernet(v4 / timestamps / data)), 1450) == (twin.GSO_TCPV4 | twin.GSO_ECN, 66, 1398)
    # Not TCP, not larger, or a header that leaves no room for data.
    assert vnet_for(bytes(ethernet(v4 / UDP() / data)), 1450) == (0, 0, 0)
    assert vnet_for(bytes(ethernet(v4 / TCP() / Raw(bytes(1410)))), 1450) == (0, 0, 0)
    assert vnet_for(bytes(ethernet(v6 / TCP() / data)), 68 - 8) == (0, 0, 0)
