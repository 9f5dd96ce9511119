# SPDX-License-Identifier: Apache-2.0
"""Signals that end a process: noted at any moment, acted on when no operation is incomplete."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Self

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """A context in which SIGINT, SIGTERM and SIGHUP only set `received` and call the action given to `then`."""

    def __init__(self) -> None:
        self.received = False
        self._then: Callable[[], object] | None = None
        self._previous: dict[
            signal.Signals, signal.Handlers | Callable[[int, FrameType | None], object] | int | None
        ] = {}

    def __enter__(self) -> Self:
        for number in NUMBERS:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def then(self, action: Callable[[], object]) -> None:
        """Call `action` at the next signal, or now if there was one."""
        self._then = action
        if self.received:
            action()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        if self._then is not None:
            self._then()
