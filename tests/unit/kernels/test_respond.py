# SPDX-License-Identifier: Apache-2.0
"""Questions that the engine answers in a neighbour's name, and all those that it must leave alone."""

import struct
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RS,
    ICMPv6NDOptMTU,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Padding, Raw

from fastpath import Hub, Port, Remote
from fastpath.addresses import IPAddress
from tests.support.engine import twin
from tests.support.engine.frames import BROADCAST, mac
from tests.support.engine.lab import FarEnd, Lab, drain
from tests.support.engine.twin_respond import respond
from tests.unit.engine.test_engine_counters import check_sums

ASKER, LOCAL, FAR, BESIDE, NOWHERE = (mac(number) for number in (1, 2, 3, 4, 5))
ASKER4, LOCAL4, FAR4, BESIDE4, NOWHERE4, OTHER4 = (f"10.0.0.{number}" for number in (1, 2, 3, 4, 5, 6))
ASKER6, LOCAL6, FAR6, BESIDE6, NOWHERE6, OTHER6 = (f"fd00::aa:{number}" for number in (1, 2, 3, 4, 5, 6))
WHO = {
    LOCAL4: LOCAL, FAR4: FAR, BESIDE4: BESIDE, NOWHERE4: NOWHERE, ASKER4: ASKER,
    LOCAL6: LOCAL, FAR6: FAR, BESIDE6: BESIDE, NOWHERE6: NOWHERE, ASKER6: ASKER,
}  # fmt: skip
NEIGHBOURS: dict[IPAddress, str] = {ip_address(address): owner for address, owner in WHO.items()}


class Street:
    """A segment with four neighbours: the asker and one more at port `one`, one at port `two`, one at a remote."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.segment = lab.engine.add_segment(42)
        self.one, self.two = self.segment.add_memory_port("one"), self.segment.add_memory_port("two")
        self.far: FarEnd = lab.far(2)
        self.segment.add_remote(self.far.address)
        self.flooded = False  # the last question
        places: dict[str, Port | Remote] = {
            ASKER: self.one,
            BESIDE: self.one,
            LOCAL: self.two,
            FAR: self.far.remote(self.segment),
        }
        for owner, place in places.items():
            self.segment.fdb.set(owner, place)
        for address, owner in WHO.items():
            self.segment.neighbours.set(address, owner)

    def ask(self, data: Packet | bytes, *, vnet: bytes = bytes(twin.VNET.size)) -> list[bytes]:
        """Send from port `one`; what came back there, where nothing else may go anywhere."""
        before = self.lab.events().get("answered", 0), self.lab.events().get("flooded", 0)
        self.lab.send(self.one, bytes(data), vnet=vnet)
        self.lab.poll()
        answers = drain(self.one)
        elsewhere = drain(self.two), [packet.frame for packet in self.far.receive()]
        after = self.lab.events().get("answered", 0), self.lab.events().get("flooded", 0)
        assert after[0] - before[0] == len(answers) <= 1
        assert after[1] - before[1] == bool(elsewhere[0])
        assert not (answers and any(elsewhere))
        if vnet == bytes(twin.VNET.size):  # what is left open is finished on its way to a remote, or discarded
            assert elsewhere[0] == elsewhere[1]
        assert all(copy == bytes(data) for copy in elsewhere[0])
        self.flooded = bool(elsewhere[0])
        return answers


@pytest.fixture
def street(lab: Lab) -> Street:
    return Street(lab)


def request(target: str, *, source: str = ASKER4, asker: str = ASKER, **changed: Any) -> Packet:
    arp: dict[str, Any] = {
        "op": 1,
        "hwsrc": asker,
        "psrc": source,
        "hwdst": "00:00:00:00:00:00",
        "pdst": target,
    } | changed
    return Ether(src=asker, dst=BROADCAST) / ARP(**arp)


def solicited_node(target: str) -> tuple[str, str]:
    """The group address of IPv6 and of Ethernet, RFC 4291 section 2.7.1 and RFC 2464 section 7."""
    last = IPv6Address(target).packed[13:]
    return str(IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + last)), (b"\x33\x33\xff" + last).hex(":")


def solicit(target: str, *, source: str = ASKER6, asker: str = ASKER, **changed: Any) -> Packet:
    to, ether = solicited_node(target)
    ip: dict[str, Any] = {"src": source, "dst": to, "hlim": 255} | changed
    return Ether(src=asker, dst=ether) / IPv6(**ip) / ICMPv6ND_NS(tgt=target)


def told(target: str, **changed: Any) -> Packet:
    """As hosts do it: with their own address."""
    return solicit(target, **changed) / ICMPv6NDOptSrcLLAddr(lladdr=ASKER)


@pytest.mark.parametrize("owner", [(LOCAL, LOCAL4, LOCAL6), (FAR, FAR4, FAR6)], ids=["at a port", "at a remote"])
def test_answers_are_those_that_the_owner_would_give(street: Street, owner: tuple[str, str, str]) -> None:
    """Field by field, as scapy reads them."""
    address, four, six = owner
    (reply,) = map(Ether, street.ask(request(four)))
    assert (reply.src, reply.dst, reply[ARP].op) == (address, ASKER, 2)
    assert (reply.hwsrc, reply.psrc, reply.hwdst, reply.pdst) == (address, four, ASKER, ASKER4)
    (data,) = street.ask(told(six))
    advertisement = Ether(data)
    assert (advertisement.src, advertisement.dst, advertisement[IPv6].hlim) == (address, ASKER, 255)
    assert (advertisement[IPv6].src, advertisement[IPv6].dst) == (six, ASKER6)
    na = advertisement[ICMPv6ND_NA]
    assert (na.R, na.S, na.O, na.tgt, na.lladdr) == (0, 1, 1, six, address)
    del advertisement[ICMPv6ND_NA].cksum
    assert bytes(advertisement) == data  # the checksum is the one that scapy computes
    assert street.lab.drops() == {}
    check_sums(street.lab.engine)


def test_probes(street: Street) -> None:
    """Somebody who does not have an address yet, and looks whether it is taken (RFC 5227, RFC 4862)."""
    (reply,) = map(Ether, street.ask(request(FAR4, source="0.0.0.0")))  # noqa: S104
    assert (reply.dst, reply.hwdst, reply.pdst, reply.psrc, reply.hwsrc) == (ASKER, ASKER, "0.0.0.0", FAR4, FAR)  # noqa: S104
    (data,) = street.ask(solicit(FAR6, source="::"))  # 8 bytes less than its answer
    answer = Ether(data)
    assert (answer.dst, answer[IPv6].dst, answer[ICMPv6ND_NA].S, answer.lladdr) == (
        "33:33:00:00:00:01",
        "ff02::1",
        0,
        FAR,
    )
    assert data == respond(bytes(solicit(FAR6, source="::")), NEIGHBOURS)


def test_a_router_says_so(street: Street) -> None:
    street.segment.neighbours.set(FAR6, FAR, router=True)
    (answer,) = map(Ether, street.ask(told(FAR6)))
    assert (answer[ICMPv6ND_NA].R, answer.lladdr) == (1, FAR)
    assert street.segment.neighbours.get(FAR6) == FAR


@pytest.mark.parametrize("question", [request(BESIDE4), told(BESIDE6)], ids=["arp", "nd"])
def test_a_neighbour_behind_the_same_port_answers_itself(street: Street, question: Packet) -> None:
    assert street.ask(question) == []
    assert not street.flooded
    assert street.lab.drops() == {"same_port": 1}


LEFT_ALONE: dict[str, Packet] = {
    "unknown address, arp": request(OTHER4),
    "unknown address, nd": told(OTHER6),
    "no way to the neighbour, arp": request(NOWHERE4),
    "no way to the neighbour, nd": told(NOWHERE6),
    "announcement": request(FAR4, source=FAR4),
    "own announcement": request(ASKER4),
    "own probe, arp": request(ASKER4, source="0.0.0.0"),  # noqa: S104
    "own probe, nd": solicit(ASKER6, source="::"),
    "source is target, nd": told(FAR6, source=FAR6),
    "reply": request(FAR4, op=2),
    "reverse": request(FAR4, op=3),
    "other hardware": request(FAR4, hwtype=6),
    "other protocol": request(FAR4, ptype=0x86DD),
    "long hardware address": request(FAR4, hwlen=8),
    "long protocol address": request(FAR4, plen=16),
    "in another's name": request(FAR4, hwsrc=LOCAL),
    "not to all": Ether(src=ASKER, dst="01:00:5e:00:00:01") / ARP(hwsrc=ASKER, psrc=ASKER4, pdst=FAR4),
    "tagged, arp": Ether(src=ASKER, dst=BROADCAST) / Dot1Q(vlan=7) / request(FAR4)[ARP],
    "tagged, nd": Ether(src=ASKER, dst=solicited_node(FAR6)[1]) / Dot1Q(vlan=7) / told(FAR6)[IPv6],
    "doubly tagged": Ether(src=ASKER, dst=BROADCAST) / Dot1AD(vlan=1) / Dot1Q(vlan=7) / request(FAR4)[ARP],
    "routed": told(FAR6, hlim=254),
    "hop-by-hop": Ether(src=ASKER, dst=solicited_node(FAR6)[1])
    / IPv6(src=ASKER6, dst=solicited_node(FAR6)[0], hlim=255)
    / IPv6ExtHdrHopByHop()
    / ICMPv6ND_NS(tgt=FAR6),
    "destination options": Ether(src=ASKER, dst=solicited_node(FAR6)[1])
    / IPv6(src=ASKER6, dst=solicited_node(FAR6)[0], hlim=255)
    / IPv6ExtHdrDestOpt()
    / ICMPv6ND_NS(tgt=FAR6),
    "another's group": told(FAR6, dst=solicited_node(OTHER6)[0]),
    "all nodes": told(FAR6, dst="ff02::1"),
    "from a group": told(FAR6, source="ff02::1"),
    "after a group": told("ff02::1"),
    "after an IPv4 address": told(f"::ffff:{FAR4}"),
    "another's link-layer address": solicit(FAR6) / ICMPv6NDOptSrcLLAddr(lladdr=LOCAL),
    "a probe with an address": told(FAR6, source="::"),
    "an option of no length": told(FAR6) / Raw(bytes(8)),
    "an option that is cut": told(FAR6) / Raw(b"\x05\x02" + bytes(6)),
    "half an option": told(FAR6) / Raw(b"\x05\x01\0\0"),
    "router solicitation": Ether(src=ASKER, dst="33:33:00:00:00:02")
    / IPv6(src=ASKER6, dst="ff02::2", hlim=255)
    / ICMPv6ND_RS(),
    "another code": Ether(src=ASKER, dst=solicited_node(FAR6)[1])
    / IPv6(src=ASKER6, dst=solicited_node(FAR6)[0], hlim=255)
    / ICMPv6ND_NS(tgt=FAR6, code=1),
    "wrong checksum": Ether(src=ASKER, dst=solicited_node(FAR6)[1])
    / IPv6(src=ASKER6, dst=solicited_node(FAR6)[0], hlim=255)
    / ICMPv6ND_NS(tgt=FAR6, cksum=1),
}


@pytest.mark.parametrize("question", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_left_alone(street: Street, question: Packet) -> None:
    assert respond(bytes(question), {k: v for k, v in NEIGHBOURS.items() if v != NOWHERE}) is None
    assert street.ask(question) == []
    assert street.flooded


@pytest.mark.parametrize("question", [request(FAR4), told(FAR6), solicit(FAR6)], ids=["arp", "nd", "bare nd"])
def test_cut_off(street: Street, question: Packet) -> None:
    whole = bytes(question)
    for size in range(14, len(whole)):
        assert street.ask(whole[:size]) == []
        assert street.flooded
    assert len(street.ask(whole)) == 1


@pytest.mark.parametrize("question", [request(FAR4), told(FAR6), solicit(FAR6)], ids=["arp", "nd", "bare nd"])
def test_padded(street: Street, question: Packet) -> None:
    """Ethernet's shortest frame has 60 bytes; what stands behind the packet does not matter."""
    for size in (1, 7, 8, 18, 300):
        assert street.ask(question / Padding(b"\xee" * size)) == [respond(bytes(question), NEIGHBOURS)]


def test_too_short_by_its_own_account(street: Street) -> None:
    """The target is there, but a part of it stands behind the packet; the checksum is right."""
    whole = bytes(solicit(FAR6))
    for length in range(8, 24):
        data = whole[:18] + length.to_bytes(2, "big") + whole[20:56] + bytes(2) + whole[58:]
        pseudo = twin.pseudo_header(data[14:], 6, 58, length)
        checksum = 0xFFFF - twin.ones_sum(pseudo + data[54 : 54 + length])
        data = data[:56] + checksum.to_bytes(2, "big") + data[58:]
        assert street.ask(data) == []
        assert street.flooded


def test_more_options(street: Street) -> None:
    question = told(FAR6) / ICMPv6NDOptMTU() / Raw(b"\xfd\x02" + bytes(14))
    assert street.ask(question) == [respond(bytes(question), NEIGHBOURS)]


def test_questions_one_behind_the_other(street: Street) -> None:
    """They lie in one buffer: an answer that is longer than its question must not touch the next one."""
    probes = [bytes(solicit(FAR6, source="::")), bytes(request(FAR4)), bytes(solicit(LOCAL6, source="::"))] * 20
    for probe in probes:
        street.lab.send(street.one, probe)
    street.lab.poll()
    assert drain(street.one) == [respond(probe, NEIGHBOURS) for probe in probes]
    assert street.lab.events() == {"answered": 60}


def test_what_the_kernel_left_open(street: Street) -> None:
    question = bytes(told(FAR6))
    unfinished = question[:56] + b"\xab\xcd" + question[58:]
    vnet = twin.VNET.pack(twin.NEEDS_CSUM, 0, 0, 0, 54, 2, 0)
    assert street.ask(unfinished, vnet=vnet) == [respond(question, NEIGHBOURS)]
    assert street.ask(unfinished) == []  # the same without saying so is wrong
    for start, offset in ((54, 4), (14, 2)):
        assert street.ask(unfinished, vnet=twin.VNET.pack(twin.NEEDS_CSUM, 0, 0, 0, start, offset, 0)) == []
    assert street.ask(bytes(request(FAR4)), vnet=vnet) == []


def test_an_answer_has_a_plain_header(street: Street) -> None:
    question = bytes(told(FAR6))
    street.lab.send(street.one, question, vnet=twin.VNET.pack(twin.NEEDS_CSUM, 0, 0, 0, 54, 2, 0))
    street.lab.poll()
    header, _ = street.one.receive_with_header() or (b"", b"")
    assert header == bytes(twin.VNET.size)


def test_unicast_questions_go_to_the_owner(street: Street) -> None:
    """A host that checks whether its neighbour is still there wants to hear it from the neighbour."""
    probe = request(LOCAL4)
    probe.dst = LOCAL
    street.lab.send(street.one, bytes(probe))
    street.lab.poll()
    assert (drain(street.one), drain(street.two)) == ([], [bytes(probe)])
    assert street.lab.events() == {}


def test_questions_from_a_remote_are_not_answered(street: Street) -> None:
    for question in (request(LOCAL4, asker=FAR), solicit(LOCAL6, asker=FAR)):
        street.far.send(42, bytes(question))
        street.lab.poll()
        assert drain(street.two) == [bytes(question)]
        assert street.far.receive() == []
    assert street.lab.events() == {"flooded": 2}


def test_a_group_entry_does_not_prevent_answers(street: Street) -> None:
    """The broadcast address may have destinations of its own."""
    street.segment.fdb.append(BROADCAST, street.far.remote(street.segment))
    street.segment.fdb.append(BROADCAST, street.segment.remote("127.0.0.3"))
    assert len(street.ask(request(FAR4))) == 1
    assert street.far.receive() == []


def test_whoever_may_not_speak_gets_no_answer(street: Street) -> None:
    street.segment.fdb.set(mac(9), street.two)
    assert street.ask(request(FAR4, asker=mac(9))) == []
    assert not street.flooded
    assert street.lab.drops() == {"static_source": 1}


def test_the_asker_is_learned(street: Street) -> None:
    assert len(street.ask(request(FAR4, asker=mac(9)))) == 1
    assert (entry := street.segment.fdb.get(mac(9))) is not None
    assert entry.to == (street.one,)


def test_a_hub_answers_nothing(street: Street) -> None:
    street.segment.forwarder = Hub()
    assert street.ask(request(FAR4)) == []


def test_segments_are_apart(street: Street) -> None:
    other = street.lab.engine.add_segment(43)
    port, beside = other.add_memory_port("one"), other.add_memory_port("two")
    other.fdb.set(FAR, beside)
    other.neighbours.set(OTHER4, FAR)
    street.lab.send(port, bytes(request(FAR4)))
    street.lab.poll()
    assert drain(beside) == [bytes(request(FAR4))]


@pytest.fixture(scope="module")
def shared() -> Iterator[Street]:
    with Lab() as lab:
        yield Street(lab)


addresses = st.sampled_from([*WHO, OTHER4, OTHER6, "10.0.0.255"])
good_options = st.sampled_from([b"", b"\x0e\x01abcdef", b"\xfd\x02" + bytes(14)])


@st.composite
def questions(draw: st.DrawFn) -> bytes:
    """Good ones, and such that differ in a byte or are cut."""
    target = draw(addresses)
    if ":" in target:
        source = draw(st.sampled_from([ASKER6, "fe80::1", "::"]))
        packet = solicit(target, source=source)
        if draw(st.booleans()) and source != "::":
            packet = packet / ICMPv6NDOptSrcLLAddr(lladdr=ASKER)
        packet = packet / Raw(draw(good_options))
    else:
        packet = request(target, source=draw(st.sampled_from([ASKER4, "0.0.0.0"])))  # noqa: S104
    data = bytearray(bytes(packet) + draw(st.binary(max_size=3)))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data) - 1).filter(lambda n: not 6 <= n < 12))
        data[at] = draw(st.sampled_from([0, 1, 2, 6, 0xFF, data[at] ^ 1]))
    data[0] |= 1  # to a group
    return bytes(data[: draw(st.integers(14, len(data)) | st.just(len(data)))])


@given(questions(), st.booleans())
def test_like_the_twin(shared: Street, question: bytes, unfinished: bool) -> None:
    vnet = struct.pack("=BBHHHHH", twin.NEEDS_CSUM, 0, 0, 0, 54, 2, 0) if unfinished else bytes(12)
    street, reachable = shared, {k: v for k, v in NEIGHBOURS.items() if v != NOWHERE}
    expected = respond(question, reachable, unfinished=unfinished)
    beside = expected is not None and expected[6:12].hex(":") == BESIDE
    before = street.lab.drops().get("same_port", 0)
    street.lab.send(street.one, question, vnet=vnet)
    street.lab.poll()
    assert drain(street.one) == ([] if expected is None or beside else [expected])
    assert bool(drain(street.two)) == (expected is None)
    assert street.lab.drops().get("same_port", 0) - before == beside
    street.far.receive()
