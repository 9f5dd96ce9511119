# SPDX-License-Identifier: Apache-2.0
"""The engine with its threads: frames flow by themselves while everything around them changes."""

import gc
import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from fastpath import Capture, ConflictError, Engine, Hub, LearningBridge, MemoryPort, Segment
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import DEADLINE_S, Lab, drain, receive, wait_until
from tests.support.ports import free_port

A, B = mac(0xA), mac(0xB)
ROUNDS = 2000


def has_received(port: MemoryPort) -> bool:
    return port.traffic.rx_frames > 0


@contextmanager
def pumping(segment: Segment) -> Iterator[list[int]]:
    """A thread sends through a pair of ports all the while: broadcast, known and unknown unicast. Gives
    the count of frames that came through; at the end it must still be growing."""
    one, two = segment.add_memory_port("pump"), segment.add_memory_port("drain")
    stopping = threading.Event()
    through = [0]

    def pump() -> None:
        for number in itertools.cycle(range(100)):
            if stopping.is_set():
                return
            for source, data in ((one, frame(BROADCAST, A)), (one, frame(mac(number), A)), (two, frame(A, B))):
                try:
                    source.send(data)
                except BlockingIOError:
                    time.sleep(0.001)
            through[0] += len(drain(two)) + len(drain(one))

    thread = threading.Thread(target=pump)
    thread.start()
    try:
        wait_until(lambda: through[0])
        yield through
        before = through[0]
        wait_until(lambda: through[0] > before)
    finally:
        stopping.set()
        thread.join()


@pytest.fixture(params=[1, 2])
def running(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A started engine with one worker, and one with two."""
    with Lab(workers=request.param, fdb_entries=256) as lab:
        lab.engine.start()
        yield lab


def test_frames_flow(running: Lab) -> None:
    segment = running.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    # Several far ends, so that with two workers both have something to do.
    far_ends = [running.far(number) for number in range(2, 18)]
    for far in far_ends:
        segment.add_remote(far.address)
    for number in range(100):
        one.send(frame(BROADCAST, A, b"\x88\xb5" + number.to_bytes(2, "big")))
        data = receive(two, 1)
        assert [far.wait().frame for far in far_ends] == data * len(far_ends)
    for number, far in enumerate(far_ends):
        far.send(1, frame(A, mac(1000 + number)))
    assert len(receive(one, len(far_ends))) == len(far_ends)
    for number, far in enumerate(far_ends):
        wait_until(partial(segment.fdb.get, mac(1000 + number)))
        one.send(frame(mac(1000 + number), A))
        assert far.wait().frame == frame(mac(1000 + number), A)
    assert running.drops() == {}
    assert running.engine.running


def test_ports_come_and_go(running: Lab) -> None:
    segment = running.engine.add_segment(1)
    with pumping(segment):
        for number in range(ROUNDS):
            port = segment.add_memory_port("guest")
            if number % 100 == 0:
                port.send(frame(BROADCAST, mac(77)))
                assert receive(port, 1)
                wait_until(lambda: segment.fdb.get(mac(77)))
            segment.remove_port(port)
            if number % 100 == 0:
                assert segment.fdb.get(mac(77)) is None
        assert len(segment.ports) == 2


def test_segments_come_and_go(running: Lab) -> None:
    busy = running.engine.add_segment(1)
    far = running.far(2)
    with pumping(busy):
        for number in range(ROUNDS):
            segment = running.engine.add_segment(2, forwarder=Hub() if number % 2 else None)
            port = segment.add_memory_port("one")
            far.send(2, frame(BROADCAST, mac(77)))
            if number % 100 == 0:
                assert receive(port, 1)[0] == frame(BROADCAST, mac(77))
            running.engine.remove_segment(segment)
        assert running.engine.segments == {1: busy}
    assert {entry.mac for entry in busy.fdb.values()} == {A, B}
    assert running.engine.stats().fdb_entries == 2


def test_forwarders_and_learning_change(running: Lab) -> None:
    segment = running.engine.add_segment(1)
    with pumping(segment):
        for _ in range(ROUNDS):
            segment.forwarder = Hub()
            segment.forwarder = LearningBridge()
            segment.learning = not segment.learning
    assert isinstance(segment.forwarder, LearningBridge)


def test_remotes_and_entries_come_and_go(running: Lab) -> None:
    segment = running.engine.add_segment(1)
    far = running.far(2)
    with pumping(segment):
        for number in range(ROUNDS):
            remote = segment.add_remote(far.address)
            segment.fdb.set(mac(number % 100), remote)
            segment.fdb.append("01:00:5e:00:00:01", remote)
            far.send(1, frame(BROADCAST, mac(1000 + number)))
            segment.remove_remote(far.address)
            segment.fdb.flush(static=True)
            if number % 50 == 0:
                running.engine.advance_clock(1000)
                running.engine.tidy()
                running.engine.tidy()
    segment.fdb.flush(static=True)
    for entry in segment.fdb.values():
        assert entry.to, "an entry points to a port or remote that is gone"


def test_frames_keep_their_order(running: Lab) -> None:
    """One flow on one worker, through a port and over the underlay."""
    segment = running.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    far = running.far(2)
    segment.add_remote(far.address)
    frames = [frame(BROADCAST, A, b"\x88\xb5" + number.to_bytes(4, "big")) for number in range(1000)]
    got: list[bytes] = []
    for data in frames:
        one.send(data)
        got += drain(two)
    got += receive(two, len(frames) - len(got))
    assert got == frames
    assert [far.wait().frame for _ in frames] == frames


def test_cycles_leave_no_thread_and_no_descriptor() -> None:
    def census() -> tuple[int, set[threading.Thread]]:
        return len(os.listdir("/proc/self/fd")), set(threading.enumerate())

    gc.collect()  # what other tests left
    before = census()
    with Lab(workers=2) as lab:
        segment = lab.engine.add_segment(1)
        one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
        opened = census()
        for _ in range(24):
            lab.engine.start()
            assert lab.engine.running
            one.send(frame(BROADCAST, A))
            assert receive(two, 1) == [frame(BROADCAST, A)]
            lab.engine.stop()
            lab.engine.stop()
            assert not lab.engine.running
            assert census() == opened
    assert census() == before
    for _ in range(24):
        engine = Engine("127.0.0.1", udp_port=free_port(), workers=2)
        engine.add_segment(1).add_memory_port("one")
        engine.start()
        engine.close()
        engine.close()
        assert census() == before


def test_closing_while_frames_flow() -> None:
    for _ in range(10):
        with Lab(workers=2) as lab:
            segment = lab.engine.add_segment(1)
            port = segment.add_memory_port("one")
            segment.add_memory_port("two")
            lab.engine.start()
            failures: list[BaseException] = []

            def pump(port: MemoryPort = port, failures: list[BaseException] = failures) -> None:
                try:
                    while True:
                        try:
                            port.send(frame(BROADCAST, A))
                        except BlockingIOError:
                            time.sleep(0.001)
                except BaseException as error:
                    failures.append(error)

            thread = threading.Thread(target=pump)
            thread.start()
            wait_until(partial(has_received, port))
            lab.engine.close()
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
            assert isinstance(failures[0], ConflictError | OSError)


def test_captures_come_and_go(running: Lab) -> None:
    """With filters and without, read and not, while frames flow; each sees frames, and none is kept."""
    segment = running.engine.add_segment(1)
    options: tuple[dict[str, Any], ...] = ({}, {"filter": "ether broadcast"}, {"ports": None}, {"drops": ["any"]})
    with pumping(segment) as through:
        for number in range(200):
            selection = dict(options[number % len(options)])
            if "ports" in selection:
                selection["ports"] = segment.ports[:1]
            with running.engine.capture(segment, room=1 << 18, **selection) as capture:
                before = through[0]
                if number % 10 == 0 and "drops" not in selection:
                    wait_until(capture.read)
                elif number % 10 == 1:
                    wait_until(lambda before=before: through[0] > before + 20)  # type: ignore[misc]
            found = capture.read()
            if selection.get("filter"):
                assert all(record.data[:6] == b"\xff" * 6 for record in found)
    gc.collect()
    # By type: isinstance asks a weak reference's proxy, which raises if what it stands for is gone.
    kept = [one for one in gc.get_objects() if type(one) is Capture]
    assert kept in ([], [capture])
