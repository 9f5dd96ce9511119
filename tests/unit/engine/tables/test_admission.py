# SPDX-License-Identifier: Apache-2.0
"""An engine that accepts packets from known VTEPs only, and counts those of other senders."""

import socket
import threading
from collections.abc import Iterator

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

from fastpath import ConflictError, UsageError
from fastpath.engine.stats import Traffic
from tests.support.engine.frames import BROADCAST, ethernet, frame, mac
from tests.support.engine.lab import Lab, drain, vxlan, wait_until
from tests.unit.engine.test_engine_counters import check_sums

A, B = mac(0xA), mac(0xB)
HELLO = frame(BROADCAST, A)


@pytest.fixture
def closed() -> Iterator[Lab]:
    """An engine that knows nobody yet."""
    with Lab(known_only=True) as lab:
        yield lab


def tcp(sequence: int, payload: bytes = bytes(1000)) -> bytes:
    """One of the segments of a flow that can be merged."""
    ip = IP(src="10.0.0.1", dst="10.0.0.2", flags="DF", id=sequence)
    return bytes(ethernet(ip / TCP(seq=sequence, flags="A") / Raw(payload)))


def test_only_who_is_admitted_may_send(closed: Lab) -> None:
    segment = closed.engine.add_segment(42)
    port = segment.add_memory_port("one")
    friend, stranger = closed.far(2), closed.far(3)
    assert closed.engine.known_only
    assert closed.engine.admit(friend.address) == friend.remote(segment)
    friend.send(42, HELLO)
    stranger.send(42, frame(BROADCAST, B))
    closed.poll()
    assert drain(port) == [HELLO]
    assert closed.drops() == {"unknown_vtep": 1}
    assert segment.fdb.get(B) is None
    assert (entry := segment.fdb.get(A)) is not None
    assert entry.to == (friend.remote(segment),)
    assert [remote.address for remote in closed.engine.stats().remotes] == ["127.0.0.2"]
    assert friend.remote(segment).traffic == Traffic(rx_frames=1, rx_bytes=len(HELLO))
    check_sums(closed.engine)


def test_nothing_else_is_looked_at(closed: Lab) -> None:
    """Whatever a stranger sends is counted once, for this reason and for no other."""
    closed.engine.add_segment(42)
    stranger = closed.far(3)
    for payload in (b"", b"short", vxlan(42, HELLO), vxlan(7, HELLO), vxlan(42, HELLO, flags=0), vxlan(42, b"runt")):
        stranger.send_payload(payload)
    stranger.send_train(42, [HELLO] * 5)
    stranger.send_train(42, [tcp(0), tcp(1000), tcp(2000, bytes(10))])
    closed.poll()
    assert closed.drops() == {"unknown_vtep": 6 + 5 + 3}
    assert closed.events() == {}
    check_sums(closed.engine)


def test_the_source_port_does_not_matter(closed: Lab) -> None:
    """A VTEP sends from a port that it makes of the flow's hash."""
    segment = closed.engine.add_segment(42)
    port = segment.add_memory_port("one")
    closed.engine.admit("127.0.0.2")
    for number in range(3):
        closed.far_at("127.0.0.2", 0).send(42, frame(BROADCAST, mac(number + 1)))
    closed.poll()
    assert len(drain(port)) == 3
    assert closed.drops() == {}


def test_what_is_learned_points_to_where_the_vtep_listens(closed: Lab) -> None:
    segment = closed.engine.add_segment(42)
    port = segment.add_memory_port("one")
    far = closed.far_at("127.0.0.2", 0)
    listens = far.sock.getsockname()[1]
    closed.engine.admit("127.0.0.2", listens)
    far.send(42, HELLO)
    closed.poll()
    drain(port)
    closed.send(port, frame(A, B))
    closed.poll()
    assert far.wait().frame == frame(A, B)


def test_two_vtep_at_one_address(closed: Lab) -> None:
    """They can't be told apart: the one with the engine's UDP port stands for both while it is there."""
    segment = closed.engine.add_segment(42)
    far = closed.far_at("127.0.0.2", 0)
    closed.engine.admit("127.0.0.2", 1111)
    for expected in (1111, closed.engine.udp_port, 1111):
        if expected == closed.engine.udp_port:
            closed.engine.admit("127.0.0.2")
        elif len(closed.engine.admitted) == 2:
            closed.engine.dismiss("127.0.0.2")
        far.send(42, HELLO)
        closed.poll()
        assert (entry := segment.fdb.get(A)) is not None
        assert entry.to == (segment.remote("127.0.0.2", expected),)
    closed.engine.dismiss("127.0.0.2", 1111)
    far.send(42, HELLO)
    closed.poll()
    assert closed.drops()["unknown_vtep"] == 1


def test_who_is_named_elsewhere_is_not_admitted_by_that(closed: Lab) -> None:
    segment = closed.engine.add_segment(42)
    port = segment.add_memory_port("one")
    listed, pinned, grouped = closed.far(2), closed.far(3), closed.far(4)
    segment.add_remote(listed.address)
    segment.fdb.set(A, pinned.remote(segment))
    segment.fdb.append("01:00:5e:00:00:01", grouped.remote(segment))
    for far in (listed, pinned, grouped):
        far.send(42, HELLO)
    closed.poll()
    assert closed.drops() == {"unknown_vtep": 3}
    assert drain(port) == []
    closed.send(port, frame(BROADCAST, B))
    closed.poll()
    assert len(listed.receive()) == 1  # we may send to it nevertheless


def test_dismissed(closed: Lab) -> None:
    segment = closed.engine.add_segment(42)
    port = segment.add_memory_port("one")
    friend, other = closed.far(2), closed.far(3)
    for far in (friend, other):
        closed.engine.admit(far.address)
        segment.add_remote(far.address)
    segment.fdb.set(mac(9), friend.remote(segment))
    friend.send(42, HELLO)
    other.send(42, frame(BROADCAST, B))
    closed.poll()
    assert len(drain(port)) == 2
    closed.engine.dismiss(friend.address)
    assert closed.engine.admitted == (other.remote(segment),)
    assert [entry.mac for entry in segment.fdb.values()] == [mac(9), B]  # what was learned is gone, the rest stays
    assert friend.remote(segment) in segment.remotes
    friend.send(42, HELLO)
    other.send(42, HELLO)
    closed.poll()
    assert drain(port) == [HELLO]
    assert closed.drops() == {"unknown_vtep": 1}
    closed.engine.admit(friend.address)
    friend.send(42, HELLO)
    closed.poll()
    assert closed.drops() == {"unknown_vtep": 1}
    check_sums(closed.engine)


def test_an_admitted_remote_is_not_forgotten(closed: Lab) -> None:
    closed.engine.add_segment(42)
    closed.engine.admit("127.0.0.2")
    closed.engine.admit("127.0.0.2", 1111)
    for _ in range(3):
        closed.engine.tidy()
    assert len(closed.engine.stats().remotes) == 2
    closed.engine.dismiss("127.0.0.2")
    closed.engine.dismiss("127.0.0.2", 1111)
    for _ in range(2):
        closed.engine.tidy()
    assert closed.engine.stats().remotes == []


def test_a_segment_that_does_not_learn(closed: Lab) -> None:
    segment = closed.engine.add_segment(42, learning=False)
    port = segment.add_memory_port("one")
    friend = closed.far(2)
    closed.engine.admit(friend.address)
    friend.send(42, HELLO)
    closed.poll()
    assert drain(port) == [HELLO]
    assert len(segment.fdb) == 0
    assert friend.remote(segment).traffic.rx_frames == 1


@pytest.mark.parametrize("merge_order", ["friend first", "stranger first", "in turns"])
def test_a_strangers_segments_are_merged_into_nobodys(closed: Lab, merge_order: str) -> None:
    """All of one flow by their headers, in one burst; a train is one sender's, so no part of it slips through."""
    segment = closed.engine.add_segment(42)
    port = segment.add_memory_port("one")
    friend, stranger = closed.far(2), closed.far(3)
    closed.engine.admit(friend.address)
    trains = {"friend first": "fs", "stranger first": "sf", "in turns": "fsfsfs"}[merge_order]
    sequence, sent = 0, []
    for who in trains:
        parts = [tcp(sequence + 1000 * i, bytes([ord(who)]) * 1000) for i in range(3)]
        (friend if who == "f" else stranger).send_train(42, parts)
        if who == "f":
            sent += parts
            sequence += 3000
    closed.poll()
    received = b"".join(data[54:] for data in drain(port))
    assert received == b"".join(data[54:] for data in sent)
    assert closed.drops() == {"unknown_vtep": 3 * trains.count("s")}
    check_sums(closed.engine)


def test_an_underlay_of_ipv6() -> None:
    with Lab("::1", known_only=True) as lab:
        port = lab.engine.add_segment(42).add_memory_port("one")
        far = lab.far_at("::1", 0)
        far.send(42, HELLO)
        lab.poll()
        assert lab.drops() == {"unknown_vtep": 1}
        lab.engine.admit("::1", far.sock.getsockname()[1])
        far.send(42, HELLO)
        lab.poll()
        assert drain(port) == [HELLO]


def test_misuse(closed: Lab, lab: Lab) -> None:
    for call in (lab.engine.admit, lab.engine.dismiss):
        with pytest.raises(ConflictError, match="known_only=True"):
            call("127.0.0.2")
    assert not lab.engine.known_only
    assert lab.engine.admitted == ()
    with pytest.raises(UsageError, match="this VTEP itself"):
        closed.engine.admit("127.0.0.1")
    with pytest.raises(UsageError, match="not of one family"):
        closed.engine.admit("::2")
    with pytest.raises(UsageError, match="not a UDP port"):
        closed.engine.admit("127.0.0.2", 0)
    closed.engine.admit("127.0.0.2")
    with pytest.raises(ConflictError, match="is admitted already"):
        closed.engine.admit("127.0.0.2")
    with pytest.raises(ConflictError, match="is not admitted"):
        closed.engine.dismiss("127.0.0.2", 1111)
    closed.engine.close()
    with pytest.raises(ConflictError, match="closed"):
        closed.engine.admit("127.0.0.3")


def test_many(closed: Lab) -> None:
    """Thousands come and go; the places in the tables are used again."""
    addresses = [f"10.0.{number >> 8}.{number & 255}" for number in range(3000)]
    for _ in range(2):
        for address in addresses:
            closed.engine.admit(address)
        assert len(closed.engine.admitted) == len(addresses)
        for address in addresses:
            closed.engine.dismiss(address)
        for _ in range(2):
            closed.engine.tidy()
        assert closed.engine.stats().remotes == []


def test_a_segment_of_members_only(closed: Lab) -> None:
    """Host 2 has part in VNI 42, host 3 in 43, both in 1, which takes all that the engine admits."""
    probes = closed.engine.add_segment(1)
    segments = {vni: closed.engine.add_segment(vni, members_only=True) for vni in (42, 43)}
    ports = {vni: segment.add_memory_port("p") for vni, segment in {1: probes, **segments}.items()}
    two, three, stranger = (closed.far(n) for n in (2, 3, 4))
    for far in (two, three):
        closed.engine.admit(far.address)
    segments[42].admit(two.address)
    segments[43].admit(three.address)
    segments[43].admit(stranger.address)  # which the engine does not admit
    assert {str(address) for address in segments[43].members} == {"127.0.0.3", "127.0.0.4"}
    for far in (two, three, stranger):
        for vni in (42, 43, 1, 42):
            far.send(vni, frame(BROADCAST, mac(far.sock.fileno())))
    closed.poll()
    assert {vni: len(drain(port)) for vni, port in ports.items()} == {42: 2, 43: 1, 1: 2}
    assert closed.drops() == {"unknown_vtep": 4, "not_member": 3}
    counted = {segment.vni: segment.tally.drops for segment in closed.engine.stats().segments}
    assert counted == {1: {}, 42: {"not_member": 2}, 43: {"not_member": 1}}
    assert two.remote(probes).traffic.drops == 1
    assert [entry.to for entry in segments[43].fdb.values()] == [(three.remote(probes),)]
    check_sums(closed.engine)


def test_a_train_for_somebody_elses_segment(closed: Lab) -> None:
    """One message with packets for two segments: each is looked at."""
    for vni in (42, 43):
        closed.engine.add_segment(vni, members_only=True).add_memory_port("p")
    mine, other = closed.engine.segments[42], closed.engine.segments[43]
    far = closed.far(2)
    closed.engine.admit(far.address)
    mine.admit(far.address)
    packets = [vxlan(vni, tcp(1000 * n)) for n, vni in enumerate((42, 42, 43, 43, 42))]
    far.send_segmented(b"".join(packets), len(packets[0]), 5)
    closed.poll()
    assert closed.drops() == {"not_member": 2}
    assert mine.ports[0].traffic.tx_frames == 3
    assert other.ports[0].traffic.tx_frames == 0
    check_sums(closed.engine)


def test_a_member_that_leaves(closed: Lab) -> None:
    """Nothing is accepted or learned after `dismiss` has returned, and the other segment does not notice."""
    one, two = (closed.engine.add_segment(vni, members_only=True) for vni in (42, 43))
    far = closed.far(2)
    closed.engine.admit(far.address)
    for segment in (one, two):
        segment.add_memory_port("p")
        segment.admit(far.address)
        segment.admit(far.address)  # no error
        far.send(segment.vni, HELLO)
    closed.poll()
    one.fdb.set(mac(9), far.remote(one))
    one.dismiss(far.address)
    assert (one.members, len(two.members)) == (frozenset(), 1)
    assert [list(segment.fdb) for segment in (one, two)] == [[mac(9)], [A]]
    far.send(42, HELLO)
    far.send(43, HELLO)
    closed.poll()
    assert closed.drops() == {"not_member": 1}
    one.admit(far.address)
    closed.engine.dismiss(far.address)  # of the whole engine
    far.send(42, HELLO)
    closed.poll()
    assert closed.drops() == {"not_member": 1, "unknown_vtep": 1}
    closed.engine.admit(far.address)
    far.send(42, HELLO)
    closed.poll()
    assert A in one.fdb


def test_the_next_segment_does_not_inherit_members(closed: Lab) -> None:
    """It may have the index, the VNI and even the memory of one that was removed."""
    far = closed.far(2)
    closed.engine.admit(far.address)
    for number in range(1, 20):
        segment = closed.engine.add_segment(42, members_only=True)
        segment.admit(far.address)
        far.send(42, HELLO)
        closed.poll()
        assert closed.drops().get("not_member", 0) == number - 1
        closed.engine.remove_segment(segment)
        segment = closed.engine.add_segment(42, members_only=True)
        assert segment.members == frozenset()
        far.send(42, HELLO)
        closed.poll()
        assert closed.drops()["not_member"] == number
        closed.engine.remove_segment(segment)


def test_misuse_of_members(closed: Lab, lab: Lab) -> None:
    with pytest.raises(UsageError, match="known_only"):
        lab.engine.add_segment(42, members_only=True)
    everybody = closed.engine.add_segment(1)
    assert not everybody.members_only
    assert everybody.members == frozenset()
    for call in (everybody.admit, everybody.dismiss):
        with pytest.raises(ConflictError, match="members_only=True"):
            call("127.0.0.2")
    segment = closed.engine.add_segment(42, members_only=True)
    assert segment.members_only
    with pytest.raises(ConflictError, match="no member"):
        segment.dismiss("127.0.0.2")
    with pytest.raises(UsageError):
        segment.admit("nonsense")


def test_admitted_and_dismissed_while_frames_flow(closed: Lab) -> None:
    """A friend sends all the time, a stranger too; somebody else is admitted and dismissed in between."""
    segment = closed.engine.add_segment(42)
    port = segment.add_memory_port("one")
    friend, stranger, other = closed.far(2), closed.far(3), closed.far(4)
    closed.engine.admit(friend.address)
    segment.add_remote(other.address)  # else it is forgotten while it is not admitted, and what it sent with it
    target = (str(closed.engine.local), closed.engine.udp_port)
    stop = threading.Event()
    received: list[bytes] = []

    def send(sock: socket.socket, source: str) -> None:
        while not stop.is_set():
            sock.sendto(vxlan(42, frame(BROADCAST, source)), target)

    threads = [
        threading.Thread(target=send, args=(far.sock, mac(number + 1)))
        for number, far in enumerate((friend, stranger, other))
    ]
    closed.engine.start()
    try:
        for thread in threads:
            thread.start()
        for _ in range(30):
            closed.engine.admit(other.address)
            wait_until(lambda: segment.fdb.get(mac(3)) is not None)
            received += drain(port)
            closed.engine.dismiss(other.address)
            assert segment.fdb.get(mac(3)) is None  # and it is not learned again
            received += drain(port)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        closed.engine.stop()
    received += drain(port)
    sources = {data[6:12].hex(":") for data in received}
    assert mac(1) in sources
    assert mac(2) not in sources
    assert closed.drops()["unknown_vtep"] > 0
    assert segment.fdb.get(mac(3)) is None
    check_sums(closed.engine)
