# SPDX-License-Identifier: Apache-2.0
"""A worker that died or hangs is noticed."""

import logging
import threading
from unittest import mock

import pytest

from fastpath import Engine
from fastpath.control.host import worker_watch
from fastpath.control.host.worker_watch import LOOKS, WorkerWatch
from tests.support.ports import free_port


def test_a_turn_that_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    states = [(10, True), (7, True)]
    ill = mock.Mock()
    watch = WorkerWatch(lambda: states, ill)
    for _ in range(LOOKS):
        watch.look()
    assert watch.well()
    for _ in range(2):
        watch.look()
    assert not watch.well()
    assert [(p.subject, p.text) for p in watch.problems] == [("worker 1", "worker 1 has hung in one turn for 6 s")]
    assert ill.call_count == 1
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
    states[1] = (8, True)
    watch.look()
    assert watch.well()


def test_turns_that_go_on_and_rest_are_well() -> None:
    turns = 1
    watch = WorkerWatch(lambda: [(turns, True), (20, True)], mock.Mock())
    for _ in range(3 * LOOKS):
        watch.look()
        turns += 2
    assert watch.well()


def test_a_thread_that_ended() -> None:
    ill = mock.Mock()
    watch = WorkerWatch(lambda: [(4, False)], ill)
    watch.look()
    assert [p.text for p in watch.problems] == ["worker 0 has ended"]
    assert ill.call_count == 1


def test_the_workers_of_an_engine() -> None:
    """It looks by itself, also while another thread holds the engine's lock."""
    noticed = threading.Event()
    with Engine("127.0.0.1", udp_port=free_port(), workers=2) as engine:
        assert [alive for _, alive in engine.worker_states()] == [False, False]
        engine.start()
        with (
            mock.patch.object(worker_watch, "INTERVAL_S", 0.01),
            WorkerWatch(engine.worker_states, noticed.set) as watch,
        ):
            assert [state.alive for state in watch.workers] == [True, True]
            segment = engine.add_segment(1)
            port = segment.add_memory_port("a")
            before = engine.worker_states()
            for _ in range(100):
                port.send(bytes(60))
            for _ in range(6000):
                if engine.worker_states() != before:
                    break
                threading.Event().wait(0.01)
            assert engine.worker_states() != before
            engine.stop()  # as if they had died
            assert noticed.wait(60)
            assert len(watch.problems) == 2
