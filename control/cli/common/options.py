# SPDX-License-Identifier: Apache-2.0
"""Options that many commands have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from fastpath.control.api.unix_http import AbsentError
from fastpath.control.runtime.paths import SOCKET

PATH = click.Path(path_type=Path, readable=False)  # opening it tells, in our words, whether it can be read

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def socket_option(function: F) -> F:
    """Add --socket, as the parameter `socket`."""
    return click.option(
        "--socket",
        type=PATH,
        default=SOCKET,
        envvar="FASTPATH_SOCKET",
        show_default=True,
        show_envvar=True,
        help="Where the daemon listens.",
    )(function)


def json_option(function: F) -> F:
    """Add --json, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def unless_absent(ask: Callable[[], T], otherwise: T, *, needed: bool = False) -> T:
    """Return what the daemon answers; `otherwise` if none runs, unless it is `needed` or --socket was typed."""
    typed = click.get_current_context().get_parameter_source("socket") is ParameterSource.COMMANDLINE
    try:
        return ask()
    except AbsentError:
        if needed or typed:
            raise
        return otherwise
