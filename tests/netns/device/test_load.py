# SPDX-License-Identifier: Apache-2.0
"""Engines of this process in two hosts: changes while frames flow, and very many segments."""

import resource
import socket
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from fastpath import Engine, Hub, LearningBridge, MemoryPort
from tests.support.hosts.hosts import Lab, wait_for

BROADCAST, A, B = (bytes.fromhex(mac) for mac in ("ffffffffffff", "02000000000a", "02000000000b"))
ETHERTYPE = b"\x88\xb5"


def frame(dst: bytes, src: bytes, text: str) -> bytes:
    return (dst + src + ETHERTYPE + text.encode()).ljust(60, b"\0")


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def engines(request: pytest.FixtureRequest, two: Lab) -> Iterator[tuple[Lab, Engine, Engine]]:
    """An engine in h1 and one in h2, running."""
    one, other = (
        host.inside(partial(Engine, f"192.0.2.{number}", workers=request.param))
        for number, host in enumerate(two.hosts, 1)
    )
    with one, other:
        one.start()
        other.start()
        yield two, one, other


def test_ports_come_and_go_under_load(engines: tuple[Lab, Engine, Engine]) -> None:
    lab, one, other = engines
    c1, c2 = lab.containers
    for number, engine, container in ((1, one, c1), (2, other, c2)):
        segment = engine.add_segment(42)
        segment.add_remote(f"192.0.2.{3 - number}")
        container.inside(partial(segment.add_tap, "vx0", mtu=1450))
        container.address(f"10.9.0.{number}/24")
    c1.run("ping", "-c", "2", "-i", "0.2", "10.9.0.2")
    flood = c1.spawn("ping", "-q", "-f", "-w", "300", "10.9.0.2")
    links = c1.links()
    segment = one.segments[42]
    for cycle in range(100):
        port = c1.inside(partial(segment.add_tap, "vx1", mtu=1450, up=True))
        memory = segment.add_memory_port(f"m{cycle}")
        segment.forwarder = Hub() if cycle % 10 == 0 else LearningBridge()
        other.segments[42].fdb.flush()
        extra = one.add_segment(1000 + cycle)
        extra.add_remote("192.0.2.2")
        extra.add_memory_port("x")
        for gone in (port, memory):
            segment.remove_port(gone)
        one.remove_segment(extra)
    assert c1.links() == links
    assert flood.poll() is None, "the flood ended before the changes did"
    flood.terminate()
    flood.communicate()
    segment.forwarder = LearningBridge()
    c1.run("ping", "-c", "5", "-i", "0.2", "10.9.0.2")
    assert sum(worker.traffic.tx_frames for worker in one.stats().workers) > 100
    assert len(one.stats().ports) == 1


def test_4094_segments(engines: tuple[Lab, Engine, Engine]) -> None:
    _, one, other = engines
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count, ports = 4094, 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    try:
        ends: dict[int, tuple[MemoryPort, MemoryPort]] = {}
        for vni in range(1, count + 1):
            here, there = one.add_segment(vni), other.add_segment(vni)
            here.add_remote("192.0.2.2")
            there.add_remote("192.0.2.1")
            if vni % (count // ports) == 0 or vni in (1, count):
                ends[vni] = (here.add_memory_port("m"), there.add_memory_port("m"))
        # The same addresses in every segment: none may see another one's frames.
        for vni, (near, far) in ends.items():
            asked, answered = frame(BROADCAST, A, f"ask {vni}"), frame(A, B, f"answer {vni}")
            near.send(asked)
            assert wait_for(far.receive, f"VNI {vni} there") == asked
            far.send(answered)
            assert wait_for(near.receive, f"VNI {vni} back") == answered
        for near, far in ends.values():
            assert near.receive() is None
            assert far.receive() is None
        stats = one.stats()
        assert len(stats.segments) == count
        assert stats.fdb_entries == 2 * len(ends)
        assert [worker.drops for worker in stats.workers] == [{}] * len(stats.workers)
        for engine in (one, other):
            for segment in list(engine.segments.values()):
                engine.remove_segment(segment)
        assert one.stats().fdb_entries == 0
        assert one.stats().segments == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_several_workers_share_the_load(two: Lab) -> None:
    """Packets of many flows reach every worker, and everything arrives."""
    h1, h2 = two.hosts
    with h1.inside(lambda: Engine("192.0.2.1", workers=2)) as engine:
        segment = engine.add_segment(7)
        port = segment.add_memory_port("m")
        engine.start()
        received: list[bytes] = []
        done = threading.Event()

        def collect() -> None:
            while not done.is_set():
                data = port.receive()
                if data is not None:
                    received.append(data)

        collector = threading.Thread(target=collect)
        collector.start()
        header = b"\x08\0\0\0\0\0\x07\0"
        sent = [frame(BROADCAST, A, f"flow {flow} frame {n}") for n in range(20) for flow in range(32)]
        senders = h2.inside(lambda: [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(32)])
        try:
            for number, data in enumerate(sent):
                senders[number % 32].sendto(header + data, ("192.0.2.1", 4789))
            wait_for(lambda: len(received) == len(sent), "all frames arrive")
        finally:
            done.set()
            collector.join()
            for sender in senders:
                sender.close()
        assert sorted(received) == sorted(sent)
        assert all(tally.traffic.rx_frames > 0 for tally in engine.stats().workers)
