# SPDX-License-Identifier: Apache-2.0
"""The one thread that changes kernel and engine: netlink calls may take milliseconds, in which the event loop has to
keep the lease alive."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

OVERDUE_S = 30.0  # a call that takes longer probably hangs


class KernelThread:
    """A thread that runs calls one after the other, in the order of their arrival."""

    def __init__(self) -> None:
        self._at_work_since: float | None = None  # start of the present call
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fastpath-kernel")

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in the thread, and return what it returns."""

        def work() -> R:
            self._at_work_since = time.monotonic()
            try:
                return function(*args, **kwargs)
            finally:
                self._at_work_since = None

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def overdue(self) -> str | None:
        """Return a sentence about the present call if it takes too long, since all other calls wait for it; else
        None."""
        since = self._at_work_since
        taken = time.monotonic() - since if since is not None else 0.0
        return f"one look at this host's interfaces has taken {taken:.0f} s so far" if taken > OVERDUE_S else None

    def close(self) -> None:
        """End the thread, once the present call is done."""
        self._thread.shutdown(wait=True)
