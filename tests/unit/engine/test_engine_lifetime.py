# SPDX-License-Identifier: Apache-2.0
"""The engine owns a segment's lifetime: use of a removed part fails with one line."""

from collections.abc import Callable

import pytest

from fastpath import ConflictError, Fdb, LearningBridge, MemoryPort, Neighbours, Segment
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import Lab, drain

A, B = mac(0xA), mac(0xB)


def used_segment(lab: Lab, vni: int = 1) -> Segment:
    segment = lab.engine.add_segment(vni)
    segment.add_memory_port("one")
    segment.add_remote("127.0.0.2")
    segment.fdb[A] = segment.remotes[0]
    segment.neighbours["10.0.0.5"] = A
    return segment


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(ConflictError, match="removed") as caught:
        call()
    assert "\n" not in str(caught.value)


def of_segment(segment: Segment) -> list[Callable[[], object]]:
    return [
        segment.stats,
        segment.refresh,
        lambda: segment.ports,
        lambda: segment.remotes,
        lambda: segment.learning,
        lambda: segment.forwarder,
        lambda: setattr(segment, "learning", False),
        lambda: setattr(segment, "forwarder", LearningBridge()),
        lambda: segment.add_memory_port("two"),
        lambda: segment.add_sink_port("two"),
        lambda: segment.add_tap("two"),
        lambda: segment.adopt_tap("two"),
        lambda: segment.add_remote("127.0.0.3"),
        lambda: segment.remove_remote("127.0.0.2"),
        lambda: segment.hold_remote(LearningBridge(), "127.0.0.2"),
    ]


def of_port(port: MemoryPort) -> list[Callable[[], object]]:
    return [
        port.stats,
        lambda: port.traffic,
        lambda: port.number,
        lambda: port.send(frame(A, B)),
        port.receive,
        port.receive_with_header,
        port.fileno,
    ]


def of_fdb(fdb: Fdb, segment: Segment) -> list[Callable[[], object]]:
    remote = segment.remote("127.0.0.2")
    return [
        lambda: fdb.set(A, remote),
        lambda: fdb.append(BROADCAST, remote),
        lambda: fdb.delete(A),
        fdb.flush,
        lambda: fdb.get(A),
        lambda: fdb[A],
        lambda: A in fdb,
        lambda: len(fdb),
        lambda: list(fdb),
        lambda: fdb.pop(A, None),
        fdb.items,
        fdb.values,
        fdb.clear,
        lambda: fdb.update({A: remote}),  # type: ignore[dict-item]  # typed as what is read
        lambda: fdb.__setitem__(A, remote),
        lambda: fdb.__delitem__(A),
    ]


def of_neighbours(neighbours: Neighbours) -> list[Callable[[], object]]:
    return [
        lambda: neighbours.set("10.0.0.5", A),
        lambda: neighbours.delete("10.0.0.5"),
        lambda: neighbours.get("10.0.0.5"),
        lambda: neighbours["10.0.0.5"],
        lambda: "10.0.0.5" in neighbours,
        lambda: len(neighbours),
        lambda: list(neighbours),
        neighbours.items,
        neighbours.clear,
    ]


def test_nobody_but_the_engine_removes_a_segment(lab: Lab) -> None:
    """What was left in the engine's list and not in its tables crashed the housekeeper."""
    segment = used_segment(lab)
    assert not any(hasattr(segment, name) for name in ("close", "withdraw"))
    lab.engine.remove_segment(segment)
    assert lab.engine.segments == {}
    lab.engine.tidy()


@pytest.mark.parametrize("removed_by", ["engine", "close"])
def test_what_was_removed_says_so(lab: Lab, removed_by: str) -> None:
    segment = used_segment(lab)
    port, fdb, neighbours = segment.ports[0], segment.fdb, segment.neighbours
    assert isinstance(port, MemoryPort)
    calls = [*of_segment(segment), *of_port(port), *of_fdb(fdb, segment), *of_neighbours(neighbours)]
    if removed_by == "engine":
        lab.engine.remove_segment(segment)
        used_segment(lab)  # it gets the same place in the tables
    else:
        lab.engine.close()
    for call in calls:
        refused(call)
    assert port.removed
    assert (port.name, port.vni, segment.vni) == ("one", 1, 1)


def test_a_removed_port_says_so(lab: Lab) -> None:
    segment = used_segment(lab)
    port = segment.ports[0]
    assert isinstance(port, MemoryPort)
    calls = of_port(port)
    segment.remove_port(port)
    for call in calls:
        refused(call)
    refused(lambda: segment.remove_port(port))
    refused(lambda: lab.engine.capture(ports=[port]))
    refused(lambda: segment.fdb.set(A, port))


def test_a_capture_outlives_what_it_captured(lab: Lab) -> None:
    segment = used_segment(lab)
    port = segment.ports[0]
    assert isinstance(port, MemoryPort)
    captured = lab.engine.capture(ports=[port])
    lab.send(port, frame(BROADCAST, B))
    lab.poll()
    lab.engine.remove_segment(segment)
    assert [one.data for one in captured.read()] == [frame(BROADCAST, B)]
    lab.engine.close()
    assert (captured.closed, captured.read(), captured.missed) == (True, [], 0)
    captured.close()


def test_the_housekeeper_and_segments_that_come_and_go(lab: Lab) -> None:
    lab.engine.start()
    for vni in range(1, 30):
        segment = used_segment(lab, vni)
        lab.engine.tidy()
        lab.engine.remove_segment(segment)
        lab.engine.tidy()
    kept = used_segment(lab)
    port = kept.ports[0]
    assert isinstance(port, MemoryPort)
    assert drain(port) == []
    assert [remote.address for remote in lab.engine.stats().remotes] == ["127.0.0.2"]
