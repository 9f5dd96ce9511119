# SPDX-License-Identifier: Apache-2.0
"""How far a long run is: a bar on a terminal, lines in a log."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

Tell = Callable[[str, int, int], None]  # what comes next, how many measurements are done, of how many
LINE_S = 60.0


class Lines:
    """Tell how far it is by a line now and then, as in a log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = self._last = clock()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Print a line if the last one is old."""
        now = self._clock()
        if now - self._last < LINE_S or not done:
            return
        self._last = now
        left = (now - self._start) / done * max(0, total - done)
        print(f"{done} of {total}, about {max(1, round(left / 60))} min left; {what}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress() -> Iterator[Tell]:
    """Show a bar on a terminal, and elsewhere a line each minute.

    Both are drawn between measurements only, since drawing costs CPU time.
    """
    if not sys.stderr.isatty():
        yield Lines()
        return
    # Loaded here because `--help` does not need it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns: list[Any] = [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}")]
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None, refresh=True)

        yield tell
