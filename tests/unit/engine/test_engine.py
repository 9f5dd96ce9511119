# SPDX-License-Identifier: Apache-2.0
"""The engine forwards: learning, flooding, split horizon, isolation, what remotes and ports get to see."""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from fastpath import Hub, LearningBridge
from tests.support.engine import twin
from tests.support.engine.frames import BROADCAST, CHECKSUM_FIELDS, ethernet, frame, mac, stored_checksum, unfinished
from tests.support.engine.lab import Lab, drain
from tests.support.ports import free_port

A, B, C = mac(0xA), mac(0xB), mac(0xC)


def test_unicast_after_learning(lab: Lab) -> None:
    segment = lab.engine.add_segment(42)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    lab.send(one, frame(B, A))
    lab.poll()
    assert drain(two) == [frame(B, A)]  # flooded: nobody knows B
    far = lab.far(2)
    segment.add_remote(far.address)
    lab.send(two, frame(A, B))
    lab.poll()
    assert drain(one) == [frame(A, B)]
    lab.send(one, frame(B, A))
    lab.poll()
    assert drain(two) == [frame(B, A)]
    assert drain(one) == []
    assert far.receive() == []
    assert lab.events() == {"learned": 2, "flooded": 1, "unknown_unicast": 1}


def test_remotes_are_learned(lab: Lab) -> None:
    """A VTEP that nobody configured: what comes from it teaches where its hosts are."""
    segment = lab.engine.add_segment(42)
    port = segment.add_memory_port("one")
    far = lab.far(2)
    far.send(42, frame(A, B))
    lab.poll()
    assert drain(port) == [frame(A, B)]
    lab.send(port, frame(B, A))
    lab.poll()
    assert [(packet.vni, packet.frame) for packet in far.receive()] == [(42, frame(B, A))]
    entry = segment.fdb.get(B)
    assert entry is not None
    assert entry.to == (far.remote(segment),)


@pytest.mark.parametrize("destination", [BROADCAST, "01:00:5e:00:00:fb", "33:33:00:00:00:01", mac(99)])
def test_flooding_with_head_end_replication(lab: Lab, destination: str) -> None:
    segment = lab.engine.add_segment(0xABCDEF)
    ports = [segment.add_memory_port(f"port{n}") for n in range(3)]
    far_ends = [lab.far(n) for n in (2, 3, 4)]
    for far in far_ends:
        segment.add_remote(far.address)
    data = frame(destination, A)
    lab.send(ports[0], data)
    lab.poll()
    assert [drain(port) for port in ports] == [[], [data], [data]]
    for far in far_ends:
        assert [(packet.vni, packet.frame) for packet in far.receive()] == [(0xABCDEF, data)]


def test_split_horizon(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    port = segment.add_memory_port("one")
    near, other = lab.far(2), lab.far(3)
    for far in (near, other):
        segment.add_remote(far.address)
    near.send(1, frame(BROADCAST, A))
    lab.poll()
    assert drain(port) == [frame(BROADCAST, A)]
    other.send(1, frame(A, B))  # A is known to be behind a remote
    lab.poll()
    assert drain(port) == []
    assert near.receive() == other.receive() == []
    assert lab.drops() == {"split_horizon": 1}


def test_a_flood_that_nobody_would_get(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    port = segment.add_memory_port("one")
    lab.send(port, frame(BROADCAST, A))
    lab.poll()
    assert lab.drops() == {"no_destination": 1}
    lab.send(port, frame(A, B))
    lab.poll()
    assert lab.drops() == {"no_destination": 1, "same_port": 1}


def test_an_address_that_moves(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    far = lab.far(2)
    for source in (one, two):
        lab.send(source, frame(BROADCAST, A))
        lab.poll()
    far.send(1, frame(BROADCAST, A))
    lab.poll()
    drain(one)
    drain(two)
    lab.send(one, frame(A, B))
    lab.poll()
    assert [packet.frame for packet in far.receive()] == [frame(A, B)]
    assert drain(two) == []
    assert lab.events()["moved"] == 2


def test_segments_with_the_same_addresses_do_not_meet(lab: Lab) -> None:
    red, blue = lab.engine.add_segment(1), lab.engine.add_segment(2)
    ports = {segment.vni: [segment.add_memory_port(f"p{n}") for n in range(2)] for segment in (red, blue)}
    for vni, place in ((1, 0), (2, 1)):  # A is on the first port of red, and on the second of blue
        lab.send(ports[vni][place], frame(BROADCAST, A))
        lab.poll()
        assert [len(drain(port)) for other in (1, 2) for port in ports[other]].count(1) == 1
    lab.send(ports[1][1], frame(A, B))
    lab.send(ports[2][0], frame(A, B))
    lab.poll()
    assert [drain(port) for port in ports[1]] == [[frame(A, B)], []]
    assert [drain(port) for port in ports[2]] == [[], [frame(A, B)]]


def test_one_remote_in_two_segments(lab: Lab) -> None:
    far = lab.far(2)
    ports = []
    for vni in (0, 0xFFFFFF):
        segment = lab.engine.add_segment(vni)
        segment.add_remote(far.address)
        ports.append(segment.add_memory_port("one"))
    for port in ports:
        lab.send(port, frame(BROADCAST, A))
    lab.poll()
    assert {packet.vni for packet in far.receive()} == {0, 0xFFFFFF}
    assert len(lab.engine.stats().remotes) == 1


def test_hub_and_replacing_the_forwarder(lab: Lab) -> None:
    segment = lab.engine.add_segment(1, forwarder=Hub())
    ports = [segment.add_memory_port(f"p{n}") for n in range(3)]
    for _ in range(2):
        lab.send(ports[0], frame(B, A))
        lab.send(ports[1], frame(A, B))
        lab.poll()
    assert [len(drain(port)) for port in ports] == [2, 2, 4]
    assert len(segment.fdb) == 0
    segment.forwarder = LearningBridge()
    for _ in range(2):
        for port, data in ((ports[0], frame(B, A)), (ports[1], frame(A, B))):
            lab.send(port, data)
            lab.poll()
    assert [len(drain(port)) for port in ports] == [2, 2, 1]
    segment.forwarder = Hub()
    assert len(segment.fdb) == 2
    lab.send(ports[0], frame(B, A))
    lab.poll()
    assert [len(drain(port)) for port in ports] == [0, 1, 1]


@pytest.mark.parametrize("kind", CHECKSUM_FIELDS)
@pytest.mark.parametrize("ip", [IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")])
def test_unfinished_checksums(lab: Lab, ip: Packet, kind: type[Packet]) -> None:
    """They go to other ports as they are, and are completed for remotes: in one flood, both."""
    segment = lab.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    far = lab.far(2)
    segment.add_remote(far.address)
    finished = bytes(ethernet(ip / kind() / Raw(b"some data")))
    vnet, data = unfinished(finished)
    assert stored_checksum(data) != stored_checksum(finished)
    lab.send(one, data, vnet=vnet)
    lab.poll()
    assert two.receive_with_header() == (vnet, data)
    assert [packet.frame for packet in far.receive()] == [finished]
    assert lab.events()["checksum_completed"] == 1
    # The other way: a far end that left it open leaves it to our port.
    far.send(1, data)
    lab.poll()
    header, received = two.receive_with_header() or (b"", b"")
    assert received == data
    assert twin.VNET.unpack(header)[:6] == twin.VNET.unpack(vnet)[:6]
    assert lab.events()["checksum_inferred"] == 1


@pytest.mark.parametrize("version", [4, 6])
def test_ecn_on_the_wire(lab: Lab, version: int) -> None:
    """The outer header of what leaves, and the inner one of what arrives."""
    segment = lab.engine.add_segment(1, learning=False)
    port = segment.add_memory_port("one")
    far = lab.far(2)
    segment.add_remote(far.address)

    def packet(ecn: int) -> bytes:
        tos = 0x28 | ecn
        ip = IP(src="10.0.0.1", dst="10.0.0.2", tos=tos) if version == 4 else IPv6(src="::1", dst="::2", tc=tos)
        return bytes(ethernet(ip / UDP()))

    for ecn in range(4):
        lab.send(port, packet(ecn))
    lab.poll()
    # The engine spreads flows, not packets, over its sockets: one flow keeps its order.
    assert [p.tos for p in far.receive()] == [twin.ENCAP_ECN[ecn] for ecn in range(4)]
    for inner in range(4):
        for outer in range(4):
            far.send(1, packet(inner), tos=outer)
            lab.poll()
            becomes = twin.DECAP_ECN[inner][outer]
            assert drain(port) == ([] if becomes is None else [packet(becomes)])
    assert lab.drops() == {"ecn_invalid": 1}


def test_source_ports() -> None:
    """One flow has one source port, many flows have many, all of them in the range."""
    low = 40000
    with Lab(source_ports=(low, low + 999), source_port_count=4) as lab:
        segment = lab.engine.add_segment(1)
        port = segment.add_memory_port("one")
        far = lab.far(2)
        segment.add_remote(far.address)
        flows = [bytes(ethernet(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=n))) for n in range(1, 65)]
        seen: dict[bytes, set[int]] = {}
        for data in flows * 3:
            lab.send(port, data)
            lab.poll()
            for packet in far.receive():
                seen.setdefault(packet.frame, set()).add(packet.source_port)
        assert seen.keys() == set(flows)
        assert all(len(source_ports) == 1 for source_ports in seen.values())
        used = set.union(*seen.values())
        assert len(used) == 4
        assert all(low <= number < low + 1000 for number in used)


def test_ipv6_underlay() -> None:
    """Two engines on ::1, which differ by their UDP ports."""
    with Lab("::1") as lab, Lab("::1") as other:
        ends = []
        for here, there in ((lab, other), (other, lab)):
            # A learned remote has the engine's own UDP port, and with it ::1 would be the engine itself.
            segment = here.engine.add_segment(7, learning=False)
            segment.add_remote("::1", there.engine.udp_port)
            ends.append(segment.add_memory_port("one"))
        data = bytes(ethernet(IPv6(src="2001:db8::1", dst="2001:db8::2", tc=1) / UDP() / Raw(b"data")))
        lab.send(ends[0], data)
        lab.poll()
        other.sent += 1
        other.poll()
        assert drain(ends[1]) == [data]
        assert str(other.engine.stats().segments[0].tally.traffic.rx_bytes) == str(len(data))


def test_ipv6_far_end_with_a_udp_port_of_its_own() -> None:
    with Lab("::1") as lab:
        segment = lab.engine.add_segment(7, learning=False)
        port = segment.add_memory_port("one")
        far = lab.far_at("::1", free_port("::1"))
        remote = segment.add_remote(far.address, far.udp_port)
        data = bytes(ethernet(IPv6(src="2001:db8::1", dst="2001:db8::2", tc=0xB9) / UDP()))
        lab.send(port, data)
        lab.poll()
        assert [(packet.frame, packet.tos) for packet in far.receive()] == [(data, 1)]
        far.send(7, data, tos=2)
        lab.poll()
        assert drain(port) == [data]
        assert remote.traffic.tx_frames == 1
