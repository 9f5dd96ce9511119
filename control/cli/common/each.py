# SPDX-License-Identifier: Apache-2.0
"""Commands that take several names."""

import json
from collections.abc import Callable, Sequence

import click

from fastpath.control.api.unix_http import AbsentError
from fastpath.control.cli.common.errors import fail
from fastpath.control.cli.common.render import say
from fastpath.errors import FastpathError
from fastpath.text import printable


def for_each(names: Sequence[str], action: Callable[[str], None]) -> None:
    """Call `action` once for each name, even after a failure. Print a line for each failure, and exit with status 2 if
    there was one."""
    failed = []
    for name in dict.fromkeys(names):
        try:
            action(name)
        except AbsentError:
            raise  # the others would fail alike
        except FastpathError as error:
            failed.append(str(error))
    for line in failed[:-1]:
        click.echo(f"fastpath: {printable(line)}", err=True)
    if failed:
        fail(failed[-1])


def remove_each(names: Sequence[str], remove: Callable[[str], None], *, as_json: bool) -> None:
    """Call `remove` for each name. Print the names that were removed: each at once, or as JSON at the end."""
    removed: list[str] = []

    def one(name: str) -> None:
        remove(name)
        removed.append(name)
        if not as_json:
            say(name)

    try:
        for_each(names, one)
    finally:
        if as_json:
            click.echo(json.dumps(removed))
