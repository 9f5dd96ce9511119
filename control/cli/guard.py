# SPDX-License-Identifier: Apache-2.0
"""`fastpath guard`"""

import sys
from pathlib import Path

import click

from fastpath.control.api.json_client import JsonClient
from fastpath.control.cli.common.click_ext import Words
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import json_option, socket_option
from fastpath.control.cli.common.render import print_json, print_list, say, understood


@click.group()
def guard() -> None:
    """Show the rules that protect the VTEP and the store.

    \b
    Example:
      fastpath guard show
    """


@guard.command(cls=Words, usage="[NAME]")
@json_option
@socket_option
@click.argument("name", required=False)
@one_line_errors
def show(name: str | None, as_json: bool, socket: Path) -> None:
    """Show the guard's nftables rules, and what each has caught since the table was made.

    Without NAME, it is the daemon's guard, else that of a device. The exit status is 0 if the guard is in place, 1 if
    it is not, 2 if there is none.

    \b
    Examples:
      fastpath guard show
      fastpath guard show vx0 --json
    """
    if name is not None:
        from fastpath.control.device.client import Client  # noqa: PLC0415  # pydantic

        found = Client(name).guard()
    else:
        found = JsonClient(socket).guard()
    with understood():
        in_place = found["state"] == "in place"
        head = found["problem"] or f"the guard is {found['state']}"
        rows = [_row(rule) for rule in found["rules"]]
        foot = f"nft list table {found['table']}; restored {found['restored']} times after changes of others"
    if as_json:
        print_json(found)
    else:
        say(head)
        if rows:
            print_list(("chain", "rule", "", "packets", "bytes", "what it catches"), rows)
            say(foot)
    if not in_place:
        sys.exit(1)


def _row(rule: dict[str, object]) -> tuple[str, ...]:
    verdict = "passes" if rule["passes"] else "stopped"
    return (
        str(rule["chain"]),
        str(rule["name"]),
        verdict,
        f"{rule['packets']:,}",
        f"{rule['bytes']:,}",
        str(rule["sentence"]),
    )
