# SPDX-License-Identifier: Apache-2.0
"""The timer of an engine."""

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

INTERVAL_S = 10.0  # as the kernel's vxlan_cleanup

log = logging.getLogger("fastpath")


@dataclass
class Housekeeping:
    """How often the housekeeper failed, and why the last time; None: its last round was in order."""

    failures: int = 0
    trouble: str | None = None


def attempt(steps: Iterable[Callable[[], object]]) -> list[Exception]:
    """Take all steps, whatever becomes of those before, and return what they raised."""
    failures = []
    for step in steps:
        try:
            step()
        except Exception as error:
            failures.append(error)
    return failures


class Housekeeper(threading.Thread):
    """Calls `tidy` every INTERVAL_S, and at once when a worker writes to the eventfd `attention`. `kept` tells how that
    went. Nothing that `tidy` raises ends the thread."""

    def __init__(self, tidy: Callable[[], None], attention: int, kept: Housekeeping) -> None:
        super().__init__(name="fastpath-tidy", daemon=True)
        self._tidy = tidy
        self._kept = kept
        self._attention = os.dup(attention)  # the engine may close its own before this thread ends
        self._stopping = False
        self._closing = threading.Lock()

    def run(self) -> None:
        """Run until `stop`."""
        poll = select.poll()
        poll.register(self._attention, select.POLLIN)
        try:
            while not self._stopping:
                if poll.poll(INTERVAL_S * 1000):
                    with contextlib.suppress(BlockingIOError):  # one that is about to stop was quicker
                        os.eventfd_read(self._attention)
                if not self._stopping:
                    self._tidy_once()
        finally:
            with self._closing:
                os.close(self._attention)
                self._attention = -1

    def _tidy_once(self) -> None:
        try:
            self._tidy()
        except BaseException as error:  # even SystemExit: the next round may succeed
            trouble = f"{type(error).__name__}: {error}"
            if trouble != self._kept.trouble:  # else it would be told every ten seconds
                log.exception("housekeeping failed")
            self._kept.failures += 1
            self._kept.trouble = trouble
        else:
            self._kept.trouble = None

    def stop(self) -> None:
        """End the thread and wait for that. Safe to call from the thread itself (by a callback)."""
        self._stopping = True
        with self._closing:
            if self._attention >= 0:
                os.eventfd_write(self._attention, 1)
        if threading.current_thread() is not self:
            self.join()
