# SPDX-License-Identifier: Apache-2.0
"""The example of a forwarder in Cython: compiled as a project of its own, it does what the built-in bridge does."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from scapy.layers.l2 import ARP, Ether

import fastpath
from fastpath import Forwarder, LearningBridge
from fastpath.bench.common.example import build
from fastpath.control.runtime.forwarders import load
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import Lab, drain
from tests.support.examples import times
from tests.unit.engine.test_engine_random import REMOTES, SegmentMachine

ROOT = Path(__file__).parents[3]
A, B, C, D = mac(0xA), mac(0xB), mac(0xC), mac(0xD)

pytestmark = pytest.mark.compiler


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Forwarder]]:
    site = build(tmp_path_factory.mktemp("example"))
    sys.path.insert(0, str(site))
    yield importlib.import_module("example_forwarder.bridge").Bridge
    sys.path.remove(str(site))


class Outcome(NamedTuple):
    """What came out, and what was counted."""

    ports: list[list[bytes]]
    remote: list[bytes]
    drops: dict[str, int]
    events: dict[str, int]


def story(forwarder: Forwarder) -> Outcome:
    """Frames of every kind that a bridge treats differently."""
    with Lab() as lab:
        segment = lab.engine.add_segment(7, forwarder=forwarder)
        ports = [segment.add_memory_port(name) for name in ("one", "two")]
        far = lab.far(2)
        segment.add_remote(far.address)
        segment.neighbours.set("10.0.0.4", D)
        segment.fdb.set(D, far.remote(segment))
        question = bytes(Ether(src=A, dst=BROADCAST) / ARP(hwsrc=A, psrc="10.0.0.1", pdst="10.0.0.4"))
        sent = [(0, frame(B, A)), (1, frame(A, B)), (None, frame(A, C)), (0, frame(C, A)), (0, question)]
        sent += [(None, frame(D, C)), (1, frame(B, B)), (1, frame(A, BROADCAST)), (0, frame(A, D)), (0, frame(C, B))]
        for source, data in sent:
            if source is None:
                far.send(7, data)
            else:
                lab.send(ports[source], data)
            lab.poll()
        packets = [packet.frame for packet in far.receive()]
        return Outcome([drain(port) for port in ports], packets, lab.drops(), lab.events())


def test_the_same_frames_come_out(example: type[Forwarder]) -> None:
    bridge = example()
    outcome = story(bridge)
    assert outcome == story(LearningBridge())
    assert set(outcome.drops) == {"bad_source_mac", "same_port", "split_horizon", "static_source"}
    assert outcome.events["learned"] == 3
    assert bridge.counters == {"flooded": outcome.events["flooded"]}
    assert Ether(outcome.ports[0][-1])[ARP].hwsrc == D  # the question was answered, and not flooded


def test_random_histories(example: type[Forwarder]) -> None:
    """The engine does what the twin bridge does (test_engine_random.py) by this forwarder, too."""
    with Lab() as lab:
        for n in REMOTES:
            lab.far(2 + n)
        machine = type("Machine", (SegmentMachine,), {"lab": lab, "forwarder": example})
        run_state_machine_as_test(machine, settings=settings(max_examples=times(0.2), stateful_step_count=40))


def test_it_runs_in_the_workers(example: type[Forwarder], lab: Lab) -> None:
    bridge = example()
    segment = lab.engine.add_segment(7, forwarder=bridge)
    assert not bridge.deferred
    assert segment.forwarder is bridge
    assert bridge.name == "Bridge"


@pytest.mark.usefixtures("example")
def test_it_is_loaded_by_name() -> None:
    assert load("example_forwarder.bridge:Bridge").name == "Bridge"


def test_in_a_chain_a_frame_that_is_decided_on_stays_so(example: type[Forwarder], lab: Lab) -> None:
    first, second = example(), example()
    segment = lab.engine.add_segment(7, forwarder=first | second)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    lab.send(one, frame(B, A))
    lab.poll()
    assert drain(two) == [frame(B, A)]
    assert (first.counters, second.counters) == ({"flooded": 1}, {"flooded": 0})


def test_headers_are_found() -> None:
    include = Path(fastpath.get_include())
    assert {path.suffix for path in include.glob("*/*")} >= {".h", ".def"}
    assert (include / "tables" / "tables.h").exists()


def test_the_example_in_the_document_is_translated(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "forwarding" / "forwarders-cython.md").read_text()
    source = tmp_path / "quota.pyx"
    source.write_text(re.findall(r"(?s)```cython\n(.*?)```", text)[0])
    command = [sys.executable, "-m", "cython", "-3", "-I", str(ROOT), str(source)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in re.findall(r"`(\w+)\((?:context|frame|at|dest)", text):
        assert name in (ROOT / "fastpath" / "forwarder" / "native.pxd").read_text(), name
