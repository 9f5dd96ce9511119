# SPDX-License-Identifier: Apache-2.0
"""Options that many commands have, and values that they read alike."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from pydantic import BaseModel, ValidationError

from fastpath.control.api.unix_http import AbsentError
from fastpath.control.cli.errors import fail
from fastpath.control.runtime.paths import SOCKET
from fastpath.errors import FastpathError, UsageError

PATH = click.Path(path_type=Path, readable=False)  # whether it may be opened is found out, and told, by opening it

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

HINTS = {
    "--subnet": "a subnet such as 10.1.0.0/24 or fd00:1::/64",
    "--gateway": "an address such as 10.1.0.1",
    "--ip": "an address such as 10.1.0.5",
    "--vni": "256 to 16777215",
    "--mtu": "68 to 65521",
}


def socket_option(function: F) -> F:
    """--socket, as the parameter `socket`."""
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
    """--json, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def print_json(value: BaseModel | Sequence[BaseModel]) -> None:
    """What --json prints of a message, or of a list of them."""
    if isinstance(value, BaseModel):
        click.echo(value.model_dump_json())
    else:
        click.echo(json.dumps([each.model_dump(mode="json") for each in value]))


def build(model: type[M], words: dict[str, str], **values: Any) -> M:
    """A message of what was typed. `words` says for each of its fields by which word that was. Raises
    UsageError, one line that names the word."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        word = words[str(first["loc"][0])]
        why = HINTS.get(word) or first["msg"].removeprefix("Value error, ")
        raise UsageError(f'{word} "{first["input"]}" cannot be: {why}') from None


def for_each(things: Sequence[str], action: Callable[[str], None]) -> None:
    """Do it for every one of them, though it fails for some: each of those is one line, and the exit status 2
    in the end. Names that stand twice are done once."""
    failed = []
    for thing in dict.fromkeys(things):
        try:
            action(thing)
        except AbsentError:
            raise  # the others would fail alike
        except FastpathError as error:
            failed.append(str(error))
    for line in failed[:-1]:
        click.echo(f"fastpath: {line}", err=True)
    if failed:
        fail(failed[-1])


def remove_each(names: Sequence[str], remove: Callable[[str], None], *, as_json: bool) -> None:
    """for_each, and print the names of those that were removed: each when it is, or as a list in the end."""
    removed: list[str] = []

    def one(name: str) -> None:
        remove(name)
        removed.append(name)
        if not as_json:
            click.echo(name)

    try:
        for_each(names, one)
    finally:
        if as_json:
            click.echo(json.dumps(removed))


def unless_absent(ask: Callable[[], T], otherwise: T, *, needed: bool = False) -> T:
    """What the daemon answers; `otherwise` if there is none, unless it is `needed` or --socket was typed."""
    typed = click.get_current_context().get_parameter_source("socket") is ParameterSource.COMMANDLINE
    try:
        return ask()
    except AbsentError:
        if needed or typed:
            raise
        return otherwise
