# SPDX-License-Identifier: Apache-2.0
"""Measure what forwarders cost that run in the workers: the built-in one and those of users."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fastpath import FLOOD, Forwarder, LearningBridge
from fastpath.bench.common.example import build
from fastpath.bench.micro import loops
from fastpath.bench.micro.bench_kernels import measure, udp_frame
from fastpath.forwarder.compiled import compiled

SLOTS = 1 << 16


@compiled(place=np.full(SLOTS, FLOOD, np.uint32))
def learner(burst: Any, place: Any) -> None:
    """Do the least that a bridge does, by the last two bytes of addresses only."""
    for i in range(len(burst)):
        place[burst[i].src_mac % SLOTS] = burst[i].port
    for i in range(len(burst)):
        burst[i].out = place[burst[i].dst_mac % SLOTS]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> type[Forwarder]:
    """Compile the example forwarder in Cython, and return its class."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(build(tmp_path_factory.mktemp("example"))))
        found: type[Forwarder] = importlib.import_module("example_forwarder.bridge").Bridge
        return found


def forward(benchmark: BenchmarkFixture, name: str, forwarder: Forwarder, hosts: int) -> None:
    """Measure a forwarder with `hosts` hosts at a port, and as many behind a remote."""
    frames = loops.Forwarding(forwarder, udp_frame(64), hosts)
    frames.forward(1)
    assert frames.forward(1) == 2 * hosts, "a frame did not go to where its destination was learned"
    rounds: int = max(1, 8192 // hosts)
    measure(benchmark, f"forwarder, {name}, {2 * hosts} hosts", lambda: frames.forward(rounds), each=2 * hosts * rounds)


@pytest.mark.parametrize("hosts", [64, 1024])
def test_forwarder(benchmark: BenchmarkFixture, hosts: int) -> None:
    forward(benchmark, "built-in bridge", LearningBridge(), hosts)


@pytest.mark.parametrize("hosts", [64, 1024])
def test_forwarder_in_cython(benchmark: BenchmarkFixture, example: Callable[[], Forwarder], hosts: int) -> None:
    forward(benchmark, "bridge in Cython", example(), hosts)


@pytest.mark.parametrize("hosts", [64, 1024])
def test_forwarder_by_numba(benchmark: BenchmarkFixture, hosts: int) -> None:
    forward(benchmark, "by numba", learner(), hosts)
