# SPDX-License-Identifier: Apache-2.0
"""A socket that the event loop reads. Where more comes than may be looked at, it is left alone for a moment: the kernel
then drops what does not fit into its buffer, which costs the daemon nothing."""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine

log = logging.getLogger(__name__)

AT_ONCE = 64  # refused without a pause
ANSWERS = 8  # before others get their turn in the event loop: a few milliseconds
PAUSE_S = 0.01
TROUBLE_S = 1.0  # after an error of the kernel, such as too many open files


class Watched:
    """Call `take` while the socket can be read. It takes one thing and returns whether that was looked at; it raises
    BlockingIOError if there is none. Tasks for what takes longer end with it."""

    def __init__(self, sock: socket.socket, take: Callable[[], bool]) -> None:
        self._sock = sock
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._resume()

    def start(self, job: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a task, and return it."""
        task = self._loop.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """Read no more, close the socket, and cancel the tasks."""
        if self._pause is not None:
            self._pause.cancel()
        else:
            self._loop.remove_reader(self._sock)
        self._sock.close()
        for task in self._tasks:
            task.cancel()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock, self._readable)

    def _readable(self) -> None:
        refused = looked_at = 0
        try:
            while refused < AT_ONCE and looked_at < ANSWERS:
                if self._take():
                    looked_at += 1
                else:
                    refused += 1
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # nothing is left, or one asker is gone
        except OSError as error:
            log.warning("a resolver's socket cannot be read for %.0f s: %s", TROUBLE_S, error)
            self._wait(TROUBLE_S)
            return
        if refused >= AT_ONCE:
            self._wait(PAUSE_S)

    def _wait(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock)
        self._pause = self._loop.call_later(seconds, self._resume)
