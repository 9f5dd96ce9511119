# SPDX-License-Identifier: Apache-2.0
"""Tasks that run beside a block of code and end with it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine

Start = Callable[[str, Coroutine[None, None, None]], None]


@contextlib.asynccontextmanager
async def background() -> AsyncIterator[Start]:
    """Yield a function that starts a task by name. Cancel all tasks when the block ends; when one of them fails,
    cancel the block and raise an ExceptionGroup."""
    async with asyncio.TaskGroup() as group:
        running: list[asyncio.Task[None]] = []
        yield lambda name, job: running.append(group.create_task(job, name=name))
        for task in running:
            task.cancel()
