# SPDX-License-Identifier: Apache-2.0
"""Packets that do not fit the path to their remote: their senders are told, like by a router."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_Redirect,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Padding, Raw

from fastpath import MemoryPort, Segment, UsageError
from tests.support.engine.frames import BROADCAST, mac
from tests.support.engine.lab import FarEnd, Lab, drain
from tests.support.engine.streams import Stream, pattern
from tests.support.engine.twin import TCP as TCP_NUMBER
from tests.support.engine.twin import UDP as UDP_NUMBER
from tests.unit.engine.test_engine_counters import check_sums

PATH, OVERHEAD = 1400, 50  # bytes
LEFT = PATH - OVERHEAD  # for the inner IP packet
HERE, THERE = mac(1), mac(2)
FOUR: dict[str, Any] = {"src": "10.0.0.1", "dst": "10.0.0.2"}
SIX: dict[str, Any] = {"src": "fd00::1", "dst": "fd00::2"}


class Way:
    """Port `one`, and a remote with the MAC address THERE, to which the path takes 1,400 bytes."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.segment: Segment = lab.engine.add_segment(42)
        self.one: MemoryPort = self.segment.add_memory_port("one")
        self.far: FarEnd = lab.far(2)
        self.segment.fdb.set(THERE, self.far.remote(self.segment))
        lab.engine.set_path_mtu(self.far.address, PATH)

    def send(self, frame: Packet | bytes, **options: Any) -> tuple[list[bytes], int]:
        """Send it; what came back, and how many packets went out."""
        self.lab.send(self.one, bytes(frame), **options)
        self.lab.poll()
        return drain(self.one), len(self.far.receive())


@pytest.fixture
def way() -> Iterator[Way]:
    with Lab() as lab:
        yield Way(lab)
        check_sums(lab.engine)


def four(size: int, *tags: Packet, upper: Packet | None = None, **fields: Any) -> Packet:
    """A frame with an IPv4 packet of that size, in bytes."""
    return filled(THERE, tags, IP(**{**FOUR, "flags": "DF", **fields}), upper or UDP(sport=1, dport=2), size)


def six(size: int, *tags: Packet, upper: Packet | None = None, **fields: Any) -> Packet:
    """A frame with an IPv6 packet of that size, in bytes."""
    return filled(THERE, tags, IPv6(**{**SIX, **fields}), upper or UDP(sport=1, dport=2), size)


def filled(to: str, tags: tuple[Packet, ...], ip: Packet, upper: Packet, size: int) -> Packet:
    frame: Packet = Ether(src=HERE, dst=to)
    for tag in tags:
        frame /= tag
    return frame / ip / upper / Raw(bytes(size - len(ip / upper)))


def whole(data: bytes) -> Packet:
    """A frame whose lengths and checksums are right."""
    frame = Ether(data)
    again = frame.copy()
    for layer in again.iterpayloads():
        for field in ("chksum", "cksum", "len", "plen"):
            if field in layer.fields:
                layer.delfieldval(field)
        if isinstance(layer, (ICMP, ICMPv6PacketTooBig)):
            break  # what it quotes is cut off
    assert bytes(again) == data
    return frame


def test_ipv4(way: Way) -> None:
    assert way.send(four(LEFT)) == ([], 1)
    big = four(LEFT + 1)
    (answer,), sent = way.send(big)
    frame = whole(answer)
    assert sent == 0
    assert (frame.src, frame.dst) == (THERE, HERE)
    assert (frame[IP].src, frame[IP].dst, frame[IP].flags) == ("10.0.0.2", "10.0.0.1", "DF")
    assert (frame[ICMP].type, frame[ICMP].code, frame[ICMP].nexthopmtu) == (3, 4, LEFT)
    assert frame[IP].len == 576
    assert bytes(frame[ICMP])[8:] == bytes(big[IP])[: 576 - 28]
    assert way.lab.drops() == {"exceeds_path": 1}
    assert way.lab.events()["told_too_big"] == 1
    assert way.far.remote(way.segment).path_mtu == PATH
    assert way.far.remote(way.segment).traffic.drops == 1


def test_ipv6(way: Way) -> None:
    assert way.send(six(LEFT)) == ([], 1)
    big = six(LEFT + 1)
    (answer,), sent = way.send(big)
    frame = whole(answer)
    assert sent == 0
    assert (frame[IPv6].src, frame[IPv6].dst) == ("fd00::2", "fd00::1")
    assert (frame[ICMPv6PacketTooBig].code, frame[ICMPv6PacketTooBig].mtu) == (0, LEFT)
    assert frame[IPv6].plen == 1280 - 40
    assert bytes(frame[ICMPv6PacketTooBig])[8:] == bytes(big[IPv6])[: 1280 - 48]


def test_a_vlan_takes_its_part_of_the_path(way: Way) -> None:
    tags = (Dot1AD(vlan=7, prio=5), Dot1Q(vlan=9, prio=3))
    assert way.send(four(LEFT - 8, *tags)) == ([], 1)
    (answer,), _ = way.send(four(LEFT - 7, *tags))
    frame = whole(answer)
    assert (frame[Dot1AD].vlan, frame[Dot1AD].prio, frame[Dot1Q].vlan, frame[Dot1Q].prio) == (7, 5, 9, 3)
    assert frame[ICMP].nexthopmtu == LEFT - 8
    (answer,), _ = way.send(six(LEFT - 3, Dot1Q(vlan=9)))
    assert whole(answer)[ICMPv6PacketTooBig].mtu == LEFT - 4


def to_the_remote(frame: bytes) -> bytes:
    return bytes.fromhex(THERE.replace(":", "")) + frame[6:]


@pytest.mark.parametrize(
    "stream", [Stream(version, protocol) for version in (4, 6) for protocol in (TCP_NUMBER, UDP_NUMBER)]
)
def test_super_frames_are_judged_by_their_segments(way: Way, stream: Stream) -> None:
    fits = LEFT - (stream.headers - 14)
    vnet, frame = stream.super_frame(pattern(20000), fits)
    assert way.send(to_the_remote(frame), vnet=vnet, segments=-(-20000 // fits)) == ([], -(-20000 // fits))
    vnet, frame = stream.super_frame(pattern(20000), fits + 1)
    (answer,), sent = way.send(to_the_remote(frame), vnet=vnet, segments=-(-20000 // (fits + 1)))
    assert sent == 0
    told = whole(answer)
    assert (told[ICMP].nexthopmtu if stream.version == 4 else told[ICMPv6PacketTooBig].mtu) == LEFT
    assert way.lab.drops() == {"exceeds_path": -(-20000 // (fits + 1))}


def test_a_short_super_frame_is_no_longer_than_it_is(way: Way) -> None:
    vnet, frame = Stream(6, TCP_NUMBER).super_frame(pattern(1000), 1400)
    assert way.send(to_the_remote(frame), vnet=vnet) == ([], 1)


@pytest.mark.parametrize(
    "frame",
    {
        "no DF": four(LEFT + 1, flags=0),
        "a later fragment": four(LEFT + 1, flags="DF", frag=100),
        "from a group": four(LEFT + 1, src="224.0.0.1"),
        "from nobody": four(LEFT + 1, src="0.1.2.3"),
        "to a group": four(LEFT + 1, dst="239.1.1.1"),
        "to all": four(LEFT + 1, dst="255.255.255.255"),
        "an ICMP error": four(LEFT + 1, upper=ICMP(type=3, code=1)),
        "an ICMP redirect": four(LEFT + 1, upper=ICMP(type=5, code=1)),
        "an ICMP error with options": four(LEFT + 1, upper=ICMP(type=11), options=[IPOption_NOP()] * 4),
        "an ICMPv6 error": six(LEFT + 1, upper=ICMPv6DestUnreach()),
        "an ICMPv6 redirect": six(LEFT + 1, upper=ICMPv6ND_Redirect()),
        "an ICMPv6 error behind options": six(LEFT + 1, upper=IPv6ExtHdrDestOpt() / ICMPv6TimeExceeded()),
        "an ICMPv6 error's fragment": six(LEFT + 1, upper=IPv6ExtHdrFragment(m=1) / ICMPv6TimeExceeded()),
        "a later fragment of IPv6": six(LEFT + 1, upper=IPv6ExtHdrFragment(offset=9, nh=17)),
        "from no IPv6 address": six(LEFT + 1, src="::"),
        "to an IPv6 group": six(LEFT + 1, dst="ff02::1"),
        "no IP": Ether(src=HERE, dst=THERE, type=0x88B5) / Raw(bytes(LEFT + 1)),
        "ARP": Ether(src=HERE, dst=THERE) / ARP() / Raw(bytes(LEFT)),
        "malformed": Ether(src=HERE, dst=THERE, type=0x800) / Raw(b"\x4f" + bytes(LEFT)),
        "padding": four(LEFT - 100) / Padding(bytes(101)),
    }.items(),
    ids=lambda case: case[0],
)
def test_what_nobody_can_be_told_of_leaves_in_fragments(way: Way, frame: tuple[str, Packet]) -> None:
    way.lab.send(way.one, bytes(frame[1]))
    way.lab.poll()
    assert drain(way.one) == []
    (packet,) = way.far.receive()  # its kernel put it together
    assert (packet.vni, packet.frame) == (42, bytes(frame[1]))
    assert way.lab.events()["fragmented"] == 1
    assert way.lab.drops() == {}


def test_a_super_frame_without_df(way: Way) -> None:
    stream = Stream(4, UDP_NUMBER, fragment=0)
    vnet, frame = stream.super_frame(pattern(5000), 1400)
    assert way.send(to_the_remote(frame), vnet=vnet, segments=4) == ([], 4)
    assert way.lab.events()["fragmented"] == 1
    assert "trains" not in way.lab.events()
    assert way.far.remote(way.segment).traffic.tx_frames == 4


def test_no_packet_is_larger_than_udp_takes(way: Way) -> None:
    assert way.send(Ether(src=HERE, dst=THERE, type=0x88B5) / Raw(bytes(65500))) == ([], 0)
    assert way.lab.drops() == {"too_big": 1}


@pytest.mark.parametrize(
    "frame",
    {
        "an echo": four(LEFT + 1, upper=ICMP(type=8)),
        "a first fragment": four(LEFT + 1, flags="DF+MF"),
        "options": four(LEFT + 1, options=[IPOption_NOP()] * 40),
        "ESP": four(LEFT + 1, proto=50, upper=Raw(b"12345678")),
        "an IPv6 echo": six(LEFT + 1, upper=ICMPv6EchoRequest()),
        "a first fragment of IPv6": six(LEFT + 1, upper=IPv6ExtHdrFragment(m=1) / UDP()),
        "an extension header": six(LEFT + 1, upper=IPv6ExtHdrDestOpt() / TCP()),
    }.items(),
    ids=lambda case: case[0],
)
def test_they_are_told(way: Way, frame: tuple[str, Packet]) -> None:
    (answer,), sent = way.send(frame[1])
    assert sent == 0
    whole(answer)


def test_to_a_group_address(way: Way) -> None:
    way.segment.add_remote(way.far.address)
    data = filled(BROADCAST, (), IP(**FOUR, flags="DF"), UDP(), LEFT + 1)
    assert way.send(data) == ([], 1)
    assert way.lab.events()["fragmented"] == 1


def test_what_came_from_elsewhere_is_not_answered(way: Way) -> None:
    two = way.segment.add_memory_port("two")
    other = way.lab.engine.add_segment(43)
    apart = other.add_memory_port("apart")
    other.fdb.set(THERE, way.far.remote(other))
    way.lab.send(apart, bytes(four(LEFT + 1)))
    way.lab.poll()
    assert (len(drain(apart)), drain(two), drain(way.one)) == (1, [], [])  # the port that it came from


def test_ipv6_takes_1280_bytes_everywhere(way: Way) -> None:
    way.lab.engine.set_path_mtu(way.far.address, 1000)
    (answer,), _ = way.send(six(1281))
    assert whole(answer)[ICMPv6PacketTooBig].mtu == 1280
    assert way.send(six(1280)) == ([], 1)  # to send less, the sender would not obey
    (answer,), _ = way.send(four(951))
    assert whole(answer)[ICMP].nexthopmtu == 950
    assert way.lab.drops() == {"exceeds_path": 2}


def test_a_path_that_has_room_for_no_packet(way: Way) -> None:
    way.lab.engine.set_path_mtu(way.far.address, 68)
    assert way.send(four(100)) == ([], 1)
    assert way.lab.events()["fragmented"] == 1


def test_a_port_is_not_told_without_end(way: Way) -> None:
    for _ in range(210):
        way.lab.send(way.one, bytes(four(LEFT + 1)))
    way.lab.poll()
    assert len(drain(way.one)) == 200  # those of two seconds
    assert way.lab.drops() == {"exceeds_path": 210}
    way.lab.engine.advance_clock(1)
    assert len(way.send(four(LEFT + 1))[0]) == 1


def test_a_path_that_grows(way: Way) -> None:
    assert len(way.send(four(LEFT + 1))[0]) == 1
    way.lab.engine.set_path_mtu(way.far.address, PATH + 1)
    assert way.send(four(LEFT + 1)) == ([], 1)
    way.lab.engine.set_path_mtu(way.far.address, None)
    assert way.send(four(9000)) == ([], 1)
    assert way.far.remote(way.segment).path_mtu is None


def test_a_remote_that_comes_later(way: Way) -> None:
    late = way.lab.far(3)
    way.lab.engine.set_path_mtu(late.address, 1300)
    way.segment.fdb.set(mac(3), late.remote(way.segment))
    assert late.remote(way.segment).path_mtu == 1300
    found = {remote.address: remote.path_mtu for remote in way.lab.engine.stats().remotes}
    assert found == {way.far.address: PATH, late.address: 1300}


@pytest.mark.parametrize("mtu", [0, 67, 65536])
def test_what_no_path_has_is_refused(way: Way, mtu: int) -> None:
    with pytest.raises(UsageError, match=f"path MTU {mtu}"):
        way.lab.engine.set_path_mtu(ip_address("127.0.0.2"), mtu)
    assert way.far.remote(way.segment).path_mtu == PATH


@pytest.mark.parametrize("far", ["::1"])
def test_an_ipv6_underlay(far: str) -> None:
    with Lab("::1", source_ports=(40000, 41000)) as lab:
        way = Way.__new__(Way)
        way.lab, way.segment = lab, lab.engine.add_segment(42)
        way.one = way.segment.add_memory_port("one")
        remote = way.segment.remote(far, 9)
        way.segment.fdb.set(THERE, remote)
        lab.engine.set_path_mtu(far, PATH)
        lab.send(way.one, bytes(four(PATH - 69)))
        lab.poll()
        assert whole(drain(way.one)[0])[ICMP].nexthopmtu == PATH - 70
        assert remote.path_mtu == PATH
