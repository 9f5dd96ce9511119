# SPDX-License-Identifier: Apache-2.0
"""Notice a worker that died, or that hangs within a turn. Workers do nothing for it: they count their turns anyway.

It is a thread, and takes no lock of the engine's: a call that changes the engine's tables waits for all workers, so
that the kernel thread, and perhaps the event loop, hang with the worker.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastpath.control.model.problem import Problem

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
LOOKS = 5  # at which a turn is the same: a turn takes milliseconds. Not a time: the process may have been stopped


@dataclass(frozen=True)
class WorkerState:
    """What is known of a worker. `turns` is the engine's count, which is odd within a turn."""

    turns: int
    alive: bool
    looks: int = 0
    """How often in a row it was seen within the same turn."""

    @property
    def well(self) -> bool:
        """Whether it serves its interfaces."""
        return self.alive and self.looks < LOOKS


class WorkerWatch:
    """A context in which the workers are watched. `states` is Engine.worker_states. `ill` is called once, in the
    watch's thread, when a worker is not well."""

    def __init__(self, states: Callable[[], Sequence[tuple[int, bool]]], ill: Callable[[], None]) -> None:
        self._states = states
        self._ill = ill
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fastpath-watch", daemon=True)
        self.workers: tuple[WorkerState, ...] = ()

    def __enter__(self) -> "WorkerWatch":
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def problems(self) -> list[Problem]:
        """Return which workers are not well."""
        return [
            Problem("host", f"worker {index}", "hangs" if state.alive else "dead", f"worker {index} {_what(state)}")
            for index, state in enumerate(self.workers)
            if not state.well
        ]

    def well(self) -> bool:
        """Return whether all workers are well."""
        return all(state.well for state in self.workers)

    def look(self) -> None:
        """Look once."""
        was_well = self.well()
        before = dict(enumerate(self.workers))
        found = []
        for index, (turns, alive) in enumerate(self._states()):
            then = before.get(index)
            same = then is not None and then.turns == turns and turns % 2 == 1
            found.append(WorkerState(turns, alive, then.looks + 1 if same and then is not None else 0))
        self.workers = tuple(found)
        if was_well and not self.well():
            for problem in self.problems:
                log.critical("%s: frames are lost until this daemon is started again", problem.text)
            self._ill()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self.look()


def _what(state: WorkerState) -> str:
    return f"has hung in one turn for {state.looks * INTERVAL_S:.0f} s" if state.alive else "has ended"
