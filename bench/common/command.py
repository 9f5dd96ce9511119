# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks' commands share: options, checks before a run, an orderly end, and what is shown afterwards."""

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastpath.errors import RefusedError

if TYPE_CHECKING:
    from fastpath.bench.common.results import Kept

K = TypeVar("K", bound="Kept")
F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)


def rounds_option(default: int, most: int = 100) -> Callable[[F], F]:
    """Return the option `--rounds`."""
    return click.option(
        "--rounds", type=click.IntRange(1, most), default=default, show_default=True, help="Number of repetitions."
    )


def json_option(function: F) -> F:
    """Add the option `--json`, called `json_file`."""
    return click.option("--json", "json_file", type=FILE, metavar="FILE", help="Write all figures to FILE.")(function)


def check_root(command: str) -> None:
    """Raise RefusedError unless this process is root."""
    if os.geteuid() != 0:
        raise RefusedError(f"the benchmark makes network namespaces, which needs root: sudo {command}")


def missing(programs: tuple[str, ...]) -> str | None:
    """Return which programs are not installed, in words, or None."""
    absent = [program for program in programs if shutil.which(program) is None]
    return f"{', '.join(absent)} not installed" if absent else None


def check_programs(*programs: str) -> None:
    """Raise RefusedError unless all programs are installed."""
    if (reason := missing(programs)) is not None:
        raise RefusedError(reason)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into an exception that ends the run, so that everything is removed."""

    def end(number: int, _: FrameType | None) -> None:
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)  # a second one must not stop the removal
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show(found: K, json_file: Path | None, render: Callable[[K], str]) -> None:
    """Write the results file where one is asked for, and print the table."""
    if json_file is not None:
        found.write(json_file)
    click.echo(render(found))
