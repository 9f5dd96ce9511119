# SPDX-License-Identifier: Apache-2.0
"""Tasks beside a block: which of them may end it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from fastpath.control.runtime.background import LONGEST_S, WELL_S, Background, background


class Clock:
    """A clock that moves when a task sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def kept(clock: Clock, job: Callable[[], Awaitable[None]]) -> Background:
    """A task that is started again until it returns."""

    async def run() -> Background:
        async def coroutine() -> None:
            await job()

        async with asyncio.TaskGroup() as group:
            tasks = Background(group, sleep=clock.sleep, clock=clock)
            tasks.restarted("docker", coroutine)
        return tasks

    return asyncio.run(run())


def test_what_is_not_essential_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    clock, starts = Clock(), 0

    async def job() -> None:
        nonlocal starts
        starts += 1
        if starts <= 10:
            raise OSError(24, "Too many open files")

    with caplog.at_level(logging.INFO):
        tasks = kept(clock, job)
    assert starts == 11
    assert clock.slept[:7] == [1, 2, 4, 8, 16, 32, LONGEST_S]
    assert len(caplog.records) == 2  # it is always the same; with its cause
    assert "OSError" in caplog.text
    assert [problem.text for problem in tasks.problems] == [
        "the daemon's task docker failed and is started again: [Errno 24] Too many open files"
    ]
    clock.now += WELL_S
    assert tasks.problems == []


def test_one_that_ran_well_for_long_is_started_soon() -> None:
    clock, starts = Clock(), 0

    async def job() -> None:
        nonlocal starts
        starts += 1
        if starts == 4:
            clock.now += WELL_S
        if starts <= 4:
            raise ValueError

    kept(clock, job)
    assert clock.slept == [1, 2, 4, 1]


def test_an_essential_one_ends_the_block() -> None:
    async def fails() -> None:
        raise OSError(5, "Input/output error")

    async def run() -> None:
        async with background() as tasks:
            tasks.essential("mirror", fails())
            await asyncio.sleep(60)

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(run())
    assert isinstance(caught.value.exceptions[0], OSError)


def test_all_end_with_the_block() -> None:
    ended = []

    async def runs() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def run() -> None:
        async with background() as tasks:
            tasks.essential("mirror", runs())
            tasks.restarted("docker", runs)
            await asyncio.sleep(0)

    asyncio.run(run())
    assert ended == [True, True]
