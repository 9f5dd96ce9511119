# SPDX-License-Identifier: Apache-2.0
"""Encapsulation: the VXLAN header, the checksum that the kernel left open, outer ECN bits."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from fastpath.testing import oneshot
from tests.support.engine import twin
from tests.support.engine.frames import (
    CHECKSUM_FIELDS,
    checked_packets,
    ethernet,
    frames,
    stored_checksum,
    transport_is_valid,
    unfinished,
)
from tests.support.examples import times

vnis = st.sampled_from([0, 1, 0x123456, 0xFFFFFF]) | st.integers(0, 0xFFFFFF)
# Checksum fields that point into, near the end of, and far behind the frame.
vnets = st.builds(
    twin.VNET.pack,
    st.sampled_from([0, twin.NEEDS_CSUM, twin.NEEDS_CSUM, 0xFF]),
    st.sampled_from([0, 0, 0, twin.GSO_TCPV4, twin.GSO_TCPV6 | twin.GSO_ECN]),
    st.integers(0, 0xFFFF),
    st.sampled_from([0, 0, 1448]),
    st.integers(0, 120) | st.integers(0, 0xFFFF),
    st.integers(0, 40) | st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
)


def compare(data: bytes, vni: int, vnet: bytes) -> None:
    ours = oneshot.encap(data, vni, vnet)
    assert twin.Encapsulated(*ours) == twin.encap(data, vni, vnet)


def carried(data: bytes, vni: int = 1, vnet: bytes = bytes(twin.VNET.size)) -> bytes:
    """The inner frame of the packet that encap makes."""
    packet = oneshot.encap(data, vni, vnet).packet
    assert packet is not None
    return packet[twin.VXLAN_SIZE :]


@settings(max_examples=times(3))
@given(frames(), vnis, vnets)
def test_like_the_twin(data: bytes, vni: int, vnet: bytes) -> None:
    compare(data, vni, vnet)


@given(checked_packets(), vnis)
def test_header_like_scapys(packet: Packet, vni: int) -> None:
    ours = oneshot.encap(bytes(packet), vni)
    assert ours.packet == bytes(VXLAN(vni=vni, flags=0x08) / packet)
    assert not ours.completed
    parsed = VXLAN(ours.packet)
    assert (parsed.vni, parsed[Ether].dst) == (vni, packet.dst)


@given(checked_packets())
def test_completed_checksum_like_scapys(packet: Packet) -> None:
    finished = bytes(packet)
    vnet, data = unfinished(finished)
    ours = oneshot.encap(data, 1, vnet)
    assert ours.completed
    inner = carried(data, 1, vnet)
    assert transport_is_valid(inner)
    # 0x0000 and 0xffff are one number in TCP; UDP uses only the latter (RFC 768).
    expected = stored_checksum(finished) or 0xFFFF
    assert stored_checksum(inner) == expected


@pytest.mark.parametrize("kind", CHECKSUM_FIELDS)
@pytest.mark.parametrize("ip", [IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")])
@pytest.mark.parametrize("tags", [(), (Dot1Q(vlan=5),), (Dot1Q(vlan=5), Dot1Q(vlan=6))])
def test_completed_in_every_kind_of_packet(kind: type[Packet], ip: Packet, tags: tuple[Packet, ...]) -> None:
    for size in (0, 1, 2, 3, 31, 32, 33, 1400):
        finished = bytes(ethernet(ip / kind() / Raw(b"\xa5" * size), *tags))
        vnet, data = unfinished(finished)
        assert oneshot.encap(data, 7, vnet).packet == bytes(VXLAN(vni=7, flags=0x08)) + finished


def test_a_udp_checksum_of_zero_is_written_as_ones() -> None:
    """RFC 768: 0 would say that there is no checksum."""
    ip = IP(src="10.0.0.1", dst="10.0.0.2")
    missing = stored_checksum(bytes(ethernet(ip / UDP() / Raw(b"\0\0"))))
    data = bytes(ethernet(ip / UDP() / Raw(missing.to_bytes(2, "big"))))
    assert stored_checksum(data) == 0xFFFF  # says scapy
    vnet, data = unfinished(data)
    assert stored_checksum(carried(data, 1, vnet)) == 0xFFFF


@pytest.mark.parametrize(
    ("start", "offset", "fits"),
    [(14, 4, True), (18, 0, True), (19, 0, False), (20, 0, False), (0, 19, False), (65535, 65535, False)],
)
def test_a_checksum_outside_of_the_frame(start: int, offset: int, fits: bool) -> None:
    vnet = twin.VNET.pack(twin.NEEDS_CSUM, 0, 0, 0, start, offset, 0)
    ours = oneshot.encap(bytes(20), 1, vnet)
    assert ours.drop == (None if fits else "bad_checksum_start")
    compare(bytes(20), 1, vnet)


@pytest.mark.parametrize("version", [4, 6])
def test_outer_ecn(version: int) -> None:
    """All 256 TOS values: only the ECN bits reach the outer header, and CE becomes ECT(0)."""
    for inner in range(256):
        ip = IP(src="10.0.0.1", dst="10.0.0.2", tos=inner) if version == 4 else IPv6(src="::1", dst="::2", tc=inner)
        data = bytes(ethernet(ip / UDP()))
        ours = oneshot.encap(data, 1)
        assert ours.tos == {0: 0, 1: 1, 2: 2, 3: 2}[inner & 3]
        assert carried(data) == data  # the inner packet keeps its mark


def test_no_ecn_where_there_is_no_ip() -> None:
    assert oneshot.encap(bytes(ethernet(ARP())), 1).tos == 0


def test_super_frames_are_not_split_here() -> None:
    """That was done before (uplink.c): encap only sees frames of wire size."""
    finished = bytes(ethernet(IP(src="10.0.0.1", dst="10.0.0.2") / TCP() / Raw(bytes(3000))))
    vnet, data = unfinished(finished)
    assert carried(data, 1, twin.VNET.pack(twin.NEEDS_CSUM, twin.GSO_TCPV4, 54, 1448, 34, 16, 0)) == finished
    assert carried(data, 1, vnet) == finished


@given(st.binary(max_size=13), vnis)
@example(b"", 0)
def test_runts_are_carried(data: bytes, vni: int) -> None:
    """Encap does not judge: runts are dropped where frames enter (test_engine_drops.py)."""
    compare(data, vni, bytes(twin.VNET.size))
