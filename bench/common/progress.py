# SPDX-License-Identifier: Apache-2.0
"""A progress bar for long runs."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

Tell = Callable[[str, int, int], None]  # what comes next, how many measurements are done, of how many


@contextlib.contextmanager
def progress() -> Iterator[Tell]:
    """Show a bar on a terminal. It is drawn between measurements only, since drawing costs CPU time."""
    if not sys.stderr.isatty():
        yield lambda *_: None
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
