# SPDX-License-Identifier: Apache-2.0
"""Every discarded frame has its reason, and the counters of ports, remotes, segments and workers agree."""

from dataclasses import fields

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw

from fastpath import DROP_SENTENCES, EVENT_SENTENCES, Engine
from fastpath.engine.stats import Tally, Traffic
from fastpath.errors import UsageError
from tests.support.engine import twin
from tests.support.engine.frames import BROADCAST, ethernet, frame, mac
from tests.support.engine.lab import Lab, drain, vxlan

A, B = mac(0xA), mac(0xB)


def check_sums(engine: Engine) -> None:
    """What the workers counted is what the segments counted, and that is what ports and remotes counted;
    only packets that were dropped before they had a segment or a source are the workers' alone."""
    stats = engine.stats()

    def total(tallies: list[Tally]) -> tuple[Traffic, dict[str, int], dict[str, int]]:
        names = [field.name for field in fields(Traffic)]
        traffic = Traffic(**{name: sum(getattr(t.traffic, name) for t in tallies) for name in names})
        drops = {name: sum(t.drops.get(name, 0) for t in tallies) for name in DROP_SENTENCES}
        return traffic, drops, {name: sum(t.events.get(name, 0) for t in tallies) for name in EVENT_SENTENCES}

    workers, worker_drops, worker_events = total(stats.tallies)
    segments, segment_drops, segment_events = total([segment.tally for segment in stats.segments])
    assert workers.drops == sum(worker_drops.values())
    assert segments.drops == sum(segment_drops.values())
    homeless = {"unknown_vtep", "short_packet", "no_vni_flag", "unknown_vni"}
    assert {n: c for n, c in worker_drops.items() if n not in homeless} == {
        n: c for n, c in segment_drops.items() if n not in homeless
    }
    assert not any(segment_drops[name] for name in homeless)
    alone = {"trains_received", "read_failed"}  # of no segment, or of several
    assert {n: c for n, c in worker_events.items() if n not in alone} == {
        n: c for n, c in segment_events.items() if n not in alone
    }
    places = [port.traffic for port in stats.ports] + [remote.traffic for remote in stats.remotes]
    for name in ("rx_frames", "rx_bytes", "tx_frames", "tx_bytes"):
        assert getattr(workers, name) == getattr(segments, name) == sum(getattr(t, name) for t in places), name


def test_every_reason_and_event_has_a_sentence() -> None:
    for name, sentence in (DROP_SENTENCES | EVENT_SENTENCES).items():
        assert name.isidentifier()
        assert len(sentence) > len(name)
        assert "\n" not in sentence


def test_bad_packets_from_the_underlay(lab: Lab) -> None:
    segment = lab.engine.add_segment(42)
    port = segment.add_memory_port("one")
    far = lab.far(2)
    good = frame(BROADCAST, A)
    far.send_payload(b"")
    far.send_payload(vxlan(42, good)[:7])
    far.send(42, good, flags=0)
    far.send(43, good)
    far.send(42, good[:13])
    far.send(42, b"")
    far.send(42, bytes(ethernet(IP(src="10.0.0.1", dst="10.0.0.2") / UDP())), tos=3)
    lab.poll()
    assert drain(port) == []
    assert lab.drops() == {"short_packet": 2, "no_vni_flag": 1, "unknown_vni": 1, "runt": 2, "ecn_invalid": 1}
    assert segment.stats().tally.drops == {"runt": 2, "ecn_invalid": 1}
    assert len(lab.engine.stats().remotes) == 0  # rubbish teaches nothing
    far.send(42, good)
    lab.poll()
    assert drain(port) == [good]
    check_sums(lab.engine)


@pytest.mark.parametrize("strict", [False, True])
def test_reserved_bits(strict: bool) -> None:
    with Lab(strict=strict) as lab:
        port = lab.engine.add_segment(42).add_memory_port("one")
        far = lab.far(2)
        far.send(42, frame(BROADCAST, A), flags=1 << 27 | 1)
        far.send(42, frame(BROADCAST, A), reserved=1)
        far.send(42, frame(BROADCAST, A))
        lab.poll()
        assert len(drain(port)) == (1 if strict else 3)
        assert lab.drops() == ({"reserved_bits": 2} if strict else {})
        assert lab.events().get("reserved_bits_ignored", 0) == (0 if strict else 2)
        check_sums(lab.engine)


@pytest.mark.parametrize("source", ["00:00:00:00:00:00", BROADCAST, "01:00:5e:00:00:01"])
@pytest.mark.parametrize("learning", [False, True])
def test_sources_that_no_host_has(lab: Lab, source: str, learning: bool) -> None:
    segment = lab.engine.add_segment(42, learning=learning)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    far = lab.far(2)
    segment.add_remote(far.address)
    lab.send(one, frame(BROADCAST, source))
    far.send(42, frame(BROADCAST, source))
    lab.poll()
    assert drain(two) == []
    assert lab.drops() == {"bad_source_mac": 2}
    assert len(segment.fdb) == 0
    check_sums(lab.engine)


def test_runts_on_a_port(lab: Lab) -> None:
    segment = lab.engine.add_segment(42)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    for size in range(14):
        lab.send(one, frame(BROADCAST, A)[:size])
    with pytest.raises(UsageError, match="12 bytes, not 5"):
        one.send(b"", vnet=b"short")
    lab.send(one, frame(BROADCAST, A)[:14])
    lab.poll()
    assert drain(two) == [frame(BROADCAST, A)[:14]]
    assert lab.drops() == {"runt": 14}
    assert one.traffic == Traffic(rx_frames=1, rx_bytes=14, drops=14)
    check_sums(lab.engine)


def test_what_cannot_be_sent_to_a_remote(lab: Lab) -> None:
    segment = lab.engine.add_segment(42)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    far_ends = [lab.far(2), lab.far(3)]
    for far in far_ends:
        segment.add_remote(far.address)
    data = frame(BROADCAST, A)
    lab.send(one, data, vnet=twin.VNET.pack(twin.NEEDS_CSUM, 0, 0, 0, 1000, 0, 0))
    lab.send(one, data + bytes(65500))
    lab.poll()
    assert [len(far.receive()) for far in far_ends] == [0, 0]
    assert len(drain(two)) == 2  # a port takes both of them
    assert lab.drops() == {"bad_checksum_start": 2, "too_big": 2}  # a copy each
    assert [far.remote(segment).traffic for far in far_ends] == [Traffic(drops=2)] * 2
    check_sums(lab.engine)


def test_the_largest_packet_gets_through(lab: Lab) -> None:
    segment = lab.engine.add_segment(42)
    port = segment.add_memory_port("one")
    far = lab.far(2)
    segment.add_remote(far.address)
    data = (frame(BROADCAST, A) + bytes(65507))[: 65507 - 8]
    lab.send(port, data)
    lab.poll()
    assert [packet.frame for packet in far.receive()] == [data]
    far.send(42, data)
    lab.poll()
    assert drain(port) == [data]


def test_a_port_that_is_not_read(lab: Lab) -> None:
    segment = lab.engine.add_segment(42)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    data = frame(BROADCAST, A) + bytes(60000)
    sent = 0
    while not lab.drops():
        lab.send(one, data)
        lab.poll()
        sent += 1
        assert sent < 1000
    assert lab.drops() == {"port_full": 1}
    assert two.traffic == Traffic(tx_frames=sent - 1, tx_bytes=(sent - 1) * len(data), drops=1)
    assert drain(two) == [data] * (sent - 1)
    check_sums(lab.engine)


def test_a_remote_without_a_route() -> None:
    with Lab() as lab:
        segment = lab.engine.add_segment(42)
        port = segment.add_memory_port("one")
        remote = segment.add_remote("192.0.2.1")  # a socket bound to 127.0.0.1 cannot send there
        lab.send(port, frame(BROADCAST, A))
        lab.poll()
        assert sum(lab.drops().values()) == 1
        assert set(lab.drops()) <= {"underlay_unreachable", "underlay_error"}
        assert remote.traffic == Traffic(drops=1)
        check_sums(lab.engine)


def test_super_frames_are_inferred(lab: Lab) -> None:
    """A kernel behind a veth sends TCP packets larger than the MTU; our port hands them on as super-frames."""
    port = lab.engine.add_segment(42).add_memory_port("one", mtu=1450)
    far = lab.far(2)
    data = bytes(ethernet(IP(src="10.0.0.1", dst="10.0.0.2") / TCP() / Raw(bytes(9000))))
    far.send(42, data)
    lab.poll()
    header, received = port.receive_with_header() or (b"", b"")
    assert received == data
    assert twin.VNET.unpack(header)[1:4] == (twin.GSO_TCPV4, 54, 1410)
    assert lab.events() == {"learned": 1, "flooded": 1, "unknown_unicast": 1, "super_frame_inferred": 1}


def test_traffic_to_the_byte(lab: Lab) -> None:
    segment = lab.engine.add_segment(42)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    near, other = lab.far(2), lab.far(3)
    for far in (near, other):
        segment.add_remote(far.address)
    up, down = frame(BROADCAST, A) + bytes(100), frame(A, B) + bytes(200)
    for _ in range(3):
        lab.send(one, up)
    lab.poll()
    near.send(42, down)
    lab.poll()
    assert one.traffic == Traffic(3, 3 * len(up), 1, len(down), 0)
    assert two.traffic == Traffic(0, 0, 3, 3 * len(up), 0)
    assert near.remote(segment).traffic == Traffic(1, len(down), 3, 3 * len(up), 0)
    assert other.remote(segment).traffic == Traffic(0, 0, 3, 3 * len(up), 0)
    everything = Traffic(4, 3 * len(up) + len(down), 10, 9 * len(up) + len(down), 0)
    stats = lab.engine.stats()
    assert [worker.traffic for worker in stats.workers] == [everything]
    assert stats.segments[0].tally.traffic == everything
    assert stats.segments[0].fdb_entries == stats.fdb_entries == 2
    assert [(port.name, port.segment, port.gone) for port in stats.ports] == [("one", 42, False), ("two", 42, False)]
    assert [remote.address for remote in stats.remotes] == ["127.0.0.2", "127.0.0.3"]
    assert stats.socket_overflows == 0
    assert stats.as_dict()["segments"][0]["tally"]["events"] == {"learned": 2, "flooded": 3}
    check_sums(lab.engine)
