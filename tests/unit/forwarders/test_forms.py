# SPDX-License-Identifier: Apache-2.0
"""A learning bridge in three forms, built in, compiled by numba, and in Python, decides alike on random frames."""

import random
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastpath import FLOOD, PASS, Burst, Forwarder, LearningBridge, MemoryPort, Table
from fastpath.forwarder.compiled import compiled
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import FarEnd, Lab, drain

HOSTS = 64
PORT, REMOTE = 1, 2  # kinds of numbers
ETHERTYPE = b"\x88\xb5"

pytestmark = pytest.mark.compiler


@compiled(
    reasons=("bad_source_mac", "same_port", "split_horizon"),
    key=np.zeros(HOSTS, np.uint64),
    place=np.zeros(HOSTS, np.uint32),
)
def bridge(burst: Any, key: Any, place: Any, bad_source_mac: Any, same_port: Any, split_horizon: Any) -> None:  # noqa: PLR0917
    """A learning bridge. The test's addresses end in numbers below HOSTS."""
    for one in burst:
        if one.src_mac == 0 or one.src_mac >> 40 & 1:
            one.out = bad_source_mac
        else:
            key[one.src_mac % HOSTS] = one.src_mac
            place[one.src_mac % HOSTS] = one.port
    for one in burst:
        row = one.dst_mac % HOSTS
        if one.out != PASS:
            continue
        if key[row] != one.dst_mac or place[row] == 0:
            one.out = FLOOD
        elif place[row] == one.port and place[row] >> 28 == PORT:
            one.out = same_port
        elif place[row] >> 28 == REMOTE and one.port >> 28 == REMOTE:
            one.out = split_horizon
        else:
            one.out = place[row]


class PythonBridge(Forwarder):
    """The same with numpy, on a thread of its own."""

    def __init__(self) -> None:
        self.hosts = Table(HOSTS)
        self.place = self.hosts.column(np.uint32, FLOOD)
        self.reasons = {name: self.reason(name) for name in ("bad_source_mac", "same_port", "split_horizon")}

    def forward(self, burst: Burst) -> None:
        good = (burst.src_mac != 0) & (burst.src_mac >> 40 & 1 == 0)
        self.place[self.hosts.add(burst.src_mac[good])] = burst.port[good]
        where = self.place[self.hosts.find(burst.dst_mac)]
        horizon = (where >> 28 == REMOTE) & burst.from_remote
        same = (where == burst.port) & burst.from_port
        choices = [np.uint32(self.reasons[name]) for name in ("bad_source_mac", "same_port", "split_horizon")]
        burst.out = np.select([~good, same, horizon], choices, where)


class Outcome(NamedTuple):
    """What came out where, in order, and why frames were dropped."""

    ports: list[list[bytes]]
    remote: list[bytes]
    drops: dict[str, int]


def history(forwarder: Forwarder, seed: int) -> Outcome:
    """Bursts of random frames, each from one port or remote."""
    dice = random.Random(seed)
    hosts = [mac(n) for n in range(1, 9)]
    with Lab() as lab:
        segment = lab.engine.add_segment(7, forwarder=forwarder)
        ports = [segment.add_memory_port(name) for name in ("one", "two", "three")]
        far = lab.far(2)
        segment.add_remote(far.address)
        places: list[MemoryPort | FarEnd] = [*ports, far]
        for number in range(60):
            place = dice.choice(places)
            for n in range(dice.choice([1, 2, 9])):
                source = dice.choice([*hosts, *hosts, BROADCAST, "00:00:00:00:00:00"])
                data = frame(dice.choice([*hosts, *hosts, BROADCAST]), source, ETHERTYPE + bytes([number, n]))
                if isinstance(place, FarEnd):
                    place.send(7, data)
                else:
                    lab.send(place, data)
            lab.poll()
        drops = dict(lab.drops())
        if drops.pop("forwarder", 0):
            drops |= {name: number for name, number in forwarder.counters.items() if number}
        return Outcome([drain(port) for port in ports], [packet.frame for packet in far.receive()], drops)


@pytest.mark.parametrize("seed", range(5))
def test_the_three_forms_of_a_bridge_decide_alike(seed: int) -> None:
    outcome = history(LearningBridge(), seed)
    assert history(bridge(), seed) == outcome
    assert history(PythonBridge(), seed) == outcome
    assert set(outcome.drops) == {"bad_source_mac", "same_port", "split_horizon"}
    assert all(outcome.ports)
