# SPDX-License-Identifier: Apache-2.0
"""Tasks that run beside a block of code and end with it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

from fastpath.control.model.problem import Problem
from fastpath.control.runtime.failures import Failures

log = logging.getLogger(__name__)

FIRST_S, LONGEST_S = 1.0, 60.0  # pauses between two starts
WELL_S = 60.0  # after which a task that was started again counts as well


class Background:
    """Starts tasks. `problems` are those of tasks that were started again."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group = group
        self._sleep = sleep
        self._clock = clock
        self._running: list[asyncio.Task[None]] = []
        self._failures = Failures(log, "daemon", logging.ERROR)
        self._well_at: dict[str, float] = {}  # when a task that failed counts as well again

    @property
    def problems(self) -> list[Problem]:
        """Return what ended tasks lately."""
        now = self._clock()
        for name, well_at in self._well_at.items():
            if now >= well_at:
                self._failures.over(name)
        return self._failures.problems

    def essential(self, name: str, job: Coroutine[None, None, None]) -> None:
        """Start a task. If it fails, the block is cancelled, and the failure raised."""
        self._running.append(self._group.create_task(job, name=name))

    def restarted(self, name: str, job: Callable[[], Coroutine[None, None, None]]) -> None:
        """Start a task that is started again, later and later, when it fails: nothing else needs it."""
        self.essential(name, self._keep(name, job))

    def cancel(self) -> None:
        """Cancel all tasks."""
        for task in self._running:
            task.cancel()

    async def _keep(self, name: str, job: Callable[[], Coroutine[None, None, None]]) -> None:
        pause = FIRST_S
        while True:
            begin = self._clock()
            try:
                await job()
            except Exception as error:
                if self._clock() - begin >= WELL_S:
                    pause = FIRST_S
                text = f"the daemon's task {name} failed and is started again: {error or type(error).__name__}"
                self._failures.failed(name, error, text)
                self._well_at[name] = self._clock() + pause + WELL_S
            else:
                return
            await self._sleep(pause)
            pause = min(2 * pause, LONGEST_S)


@contextlib.asynccontextmanager
async def background() -> AsyncIterator[Background]:
    """Yield what starts tasks. Cancel all tasks when the block ends; when an essential one fails, cancel the block and
    raise an ExceptionGroup."""
    async with asyncio.TaskGroup() as group:
        tasks = Background(group)
        yield tasks
        tasks.cancel()
