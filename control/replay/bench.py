# SPDX-License-Identifier: Apache-2.0
"""Measure a forwarder: hand it the frames of a capture, in memory, again and again."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from fastpath.control.replay.session import Session
from fastpath.errors import UsageError
from fastpath.replay.replay import END, MORE, STORED

ROUNDS = 9
FRAMES = 1 << 14  # kept at once: with their descriptors they fit into the caches


@dataclass(frozen=True)
class Cost:
    """Nanoseconds per frame: the median, the fastest and the slowest of the rounds."""

    median_ns: float
    min_ns: float
    max_ns: float


@dataclass(frozen=True)
class Bench:
    """A measurement. `parse` finds the headers, once per frame for any forwarder."""

    frames: int
    rounds: int
    forward: Cost
    parse: Cost


def bench(session: Session, rounds: int = ROUNDS, progress: Callable[[int], object] = lambda _: None) -> Bench:
    """Measure with all frames of the session's capture, piece by piece: each piece is read once and forwarded
    `rounds` times; a round is the sum over all pieces. Nothing is delivered. Raise UsageError for a capture without
    frames."""
    replayer = session.replayer
    replayer.begin_store(FRAMES)
    forward, parse, frames = [0] * rounds, [0] * rounds, 0
    while True:
        why = session.step()
        if why in (MORE, STORED, END) and replayer.stored:
            frames += replayer.stored
            replayer.time_forwarder()  # so that addresses are learned, and caches warm
            for number in range(rounds):
                forward[number] += replayer.time_forwarder()
                parse[number] += replayer.time_parser()
        if why == END:
            break
        if why == MORE:
            replayer.fill()
        elif why == STORED:
            replayer.forget_stored()
        progress(replayer.offset)
    if frames == 0:
        raise UsageError("the capture has no frames to measure with")
    return Bench(frames, rounds, _cost(forward, frames), _cost(parse, frames))


def _cost(nanoseconds: list[int], frames: int) -> Cost:
    each = [total / frames for total in nanoseconds]
    return Cost(round(statistics.median(each), 2), round(min(each), 2), round(max(each), 2))
