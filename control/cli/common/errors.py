# SPDX-License-Identifier: Apache-2.0
"""Errors: one line, exit status 2."""

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from fastpath.errors import FastpathError
from fastpath.text import printable


def fail(message: str) -> NoReturn:
    """Print one line and exit with status 2."""
    with contextlib.suppress(OSError):
        click.echo(f"fastpath: {printable(message)}", err=True)
    sys.exit(2)


def one_line_errors(function: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command: print its errors as one line, and exit with status 2."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except FastpathError as error:
            import logging  # noqa: PLC0415  # 10 ms that only failures need

            # Shown by a daemon that cannot start; nothing else has a log.
            logging.getLogger(__name__).debug("its cause", exc_info=error)
            fail(str(error))
        except OSError as error:  # a full disk, no file descriptor left, a missing directory
            fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")

    return wrapped
