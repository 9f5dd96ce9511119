# SPDX-License-Identifier: Apache-2.0
"""The housekeeper goes on, whatever its work raises, and says so."""

import os
import socket
from collections.abc import Iterator

import pytest

from fastpath import Port
from fastpath.engine.housekeeper import Housekeeper, Housekeeping
from tests.support.engine.lab import Lab, wait_until


@pytest.fixture
def attention() -> Iterator[int]:
    fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    yield fd
    os.close(fd)


def test_it_survives_anything(attention: int, caplog: pytest.LogCaptureFixture) -> None:
    """What fails again and again is logged once."""
    errors: list[BaseException | None] = [ValueError("a"), ValueError("a"), SystemExit("b"), MemoryError(), None]
    kept, rounds = Housekeeping(), []

    def tidy() -> None:
        rounds.append(1)
        error = errors[len(rounds) - 1]
        if error is not None:
            raise error

    keeper = Housekeeper(tidy, attention, kept)
    keeper.start()
    seen = []
    for count in range(1, len(errors) + 1):
        os.eventfd_write(attention, 1)
        wait_until(lambda count=count: len(rounds) == count and kept.failures == min(count, 4))  # type: ignore[misc]
        if count < len(errors):
            seen.append(kept.trouble)
    wait_until(lambda: kept.trouble is None)
    keeper.stop()
    assert seen == ["ValueError: a", "ValueError: a", "SystemExit: b", "MemoryError: "]
    assert len([record for record in caplog.records if "housekeeping failed" in record.message]) == 3


def test_another_one_may_be_quicker(attention: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is about to stop reads the same eventfd."""
    read, calls, rounds = os.eventfd_read, [], []

    def too_late(fd: int) -> int:
        read(fd)
        calls.append(fd)
        if len(calls) == 1:
            raise BlockingIOError
        return 1

    monkeypatch.setattr(os, "eventfd_read", too_late)
    keeper = Housekeeper(lambda: rounds.append(1), attention, Housekeeping())
    keeper.start()
    for count in (1, 2):
        os.eventfd_write(attention, 1)
        wait_until(lambda count=count: len(rounds) == count)  # type: ignore[misc]
    keeper.stop()


def test_one_step_that_fails_stops_no_other(lab: Lab) -> None:
    """Each of two ports that are gone is told of, and the first exception at the end."""
    told: list[str] = []

    class GoneError(Exception):
        pass

    def tell(port: Port) -> None:
        told.append(port.name)
        raise GoneError(port.name)

    segment = lab.engine.add_segment(1)
    ports = [segment.add_memory_port(name) for name in ("a", "b")]
    lab.engine.on_port_gone(tell)
    for port in ports:
        with socket.socket(fileno=os.dup(port.fileno())) as other_end:
            other_end.shutdown(socket.SHUT_RDWR)
    while lab.engine.poll():
        pass
    with pytest.raises(GoneError, match="a"):
        lab.engine.tidy()
    assert told == ["a", "b"]
    lab.engine.tidy()  # they are told of once
    assert told == ["a", "b"]
