# SPDX-License-Identifier: Apache-2.0
"""A Replayer that is used after what it needs was removed says so, or counts it, and reads nothing that was freed."""

import io
from collections.abc import Callable

import pytest

from fastpath import ConflictError, LearningBridge, Port, Segment
from fastpath.pcap.pcap import CaptureReader
from fastpath.replay.replay import BEGIN, END, Replayer
from tests.support.engine.captures import pcap
from tests.support.engine.frames import BROADCAST, frame, mac

RECORDS = 20


def begun() -> tuple[Replayer, Segment, Port]:
    """A replay before its first record, whose frames enter at one of two ports."""
    capture = pcap([(number, frame(BROADCAST, mac(number + 1))) for number in range(RECORDS)])
    replayer = Replayer(CaptureReader(io.BytesIO(capture), "in"))
    go_on(replayer, BEGIN)
    segment = replayer.add_segment(1, LearningBridge())
    first, _ = replayer.add_port(segment, "first"), replayer.add_port(segment, "second")
    replayer.enter_at(first)
    return replayer, segment, first


def go_on(replayer: Replayer, until: int) -> None:
    while replayer.step() != until:
        pass


def test_without_an_accident() -> None:
    replayer, segment, _ = begun()
    go_on(replayer, END)
    assert segment.stats().tally.traffic.rx_frames == RECORDS
    assert replayer.counted["no_port"] == 0
    replayer.close()


def test_a_closed_one() -> None:
    replayer, segment, port = begun()
    replayer.close()
    replayer.close()
    calls: list[Callable[[], object]] = [
        replayer.step,
        replayer.time_forwarder,
        lambda: replayer.add_segment(2, LearningBridge()),
        lambda: replayer.set_forwarder(segment, LearningBridge()),
        lambda: replayer.add_port(segment, "third"),
        lambda: replayer.enter_at(port),
        lambda: replayer.enter_by_interface(0, port),
        segment.stats,
    ]
    for call in calls:
        with pytest.raises(ConflictError, match=r"closed|removed"):
            call()
    assert replayer.stats().segments == []


@pytest.mark.parametrize("by_interface", [False, True])
def test_a_port_that_was_removed(by_interface: bool) -> None:
    replayer, segment, port = begun()
    if by_interface:
        replayer.enter_by_interface(0, port)
    segment.remove_port(port)
    go_on(replayer, END)
    assert replayer.counted["no_port"] == RECORDS
    assert segment.stats().tally.traffic.rx_frames == 0
    replayer.close()
