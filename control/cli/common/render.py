# SPDX-License-Identifier: Apache-2.0
"""Print answers of the daemon, for people and for programs."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from fastpath.errors import RefusedError
from fastpath.text import printable


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print lines for people. What a terminal would obey is escaped: parts of them were written by others."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=err, nl=nl)


def print_json(value: Any) -> None:
    """Print what --json asks for."""
    click.echo(json.dumps(value))


def print_list(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a line for each row, below the names of the columns."""
    lines = [[column.upper() for column in columns], *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Raise RefusedError if an answer lacks a member, or has another kind of value there."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RefusedError(
            f"the fastpath daemon answered in a way that is not understood here ({error}): is it of another version?"
        ) from error
