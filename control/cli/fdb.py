# SPDX-License-Identifier: Apache-2.0
"""`fastpath fdb`"""

from pathlib import Path
from typing import Any, TextIO

import click

from fastpath.control.api.json_client import JsonClient
from fastpath.control.cli.common.click_ext import Words
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import json_option, socket_option, unless_absent
from fastpath.control.cli.common.render import print_json, say, understood
from fastpath.control.cli.syntax import fdb as fdb_words
from fastpath.control.device.client import Client
from fastpath.control.device.control_socket import device_names
from fastpath.control.device.requests import FdbVerb
from fastpath.errors import FastpathError, RefusedError, UsageError


@click.group()
def fdb() -> None:
    """Manage forwarding databases of VXLAN devices, with `bridge fdb` syntax.

    \b
    Example:
      fastpath fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.3
    """


def _add_change_command(verb: FdbVerb, what: str, example: str) -> None:
    @fdb.command(
        verb,
        cls=Words,
        usage="LLADDR dev NAME [dst ADDRESS [port UDP-PORT]] [permanent|dynamic] [self]",
        help=f"{what}\n\n\b\nExample:\n  {example}",
    )
    @click.argument("words", nargs=-1)
    @one_line_errors
    def change(words: tuple[str, ...]) -> None:
        device, message = fdb_words.read_change(verb, words)
        Client(device).fdb_change(message)


_CHANGES: dict[FdbVerb, tuple[str, str]] = {
    "add": ("Add an entry that does not exist yet.", "fastpath fdb add 02:42:0a:00:00:05 dev vx0 dst 192.0.2.2"),
    "append": (
        "Add a destination to a multicast address, or to 00:00:00:00:00:00, the flood list.",
        "fastpath fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.3",
    ),
    "replace": ("Add or change an entry.", "fastpath fdb replace 02:42:0a:00:00:05 dev vx0 dst 192.0.2.3"),
    "del": ("Delete an entry, or one of its destinations.", "fastpath fdb del 02:42:0a:00:00:05 dev vx0"),
}
for _verb, (_what, _example) in _CHANGES.items():
    _add_change_command(_verb, _what, _example)


@fdb.command("batch", cls=Words, usage="FILE")
@click.option("-f", "--force", is_flag=True, help="Go on after an error.")
@click.argument("file", type=click.File())
@one_line_errors
def batch(file: TextIO, force: bool) -> None:
    """Make many changes: the lines of a file, or of standard input (-), as of `bridge -batch`.

    A line is a command without its first words, and # begins a comment.

    \b
    Examples:
      fastpath fdb batch stations.txt
      echo "add 02:42:0a:00:00:05 dev vx0 dst 192.0.2.2" | fastpath fdb batch -
    """
    failed = 0
    for number, line in enumerate(file, 1):
        words = line.partition("#")[0].split()
        if words[:1] == ["fdb"]:
            del words[0]
        if not words:
            continue
        try:
            if words[0] not in _CHANGES:
                raise UsageError(f"{words[0]} is not one of {', '.join(_CHANGES)}")
            device, message = fdb_words.read_change(words[0], words[1:])
            Client(device).fdb_change(message)
        except FastpathError as error:
            if not force:
                raise type(error)(f"{file.name}:{number}: {error}") from None
            say(f"{file.name}:{number}: {error}", err=True)
            failed += 1
    if failed:
        raise RefusedError(f"{failed} lines failed")


@fdb.command("flush", cls=Words, usage="dev NAME [dst ADDRESS [port UDP-PORT]] [permanent|dynamic]")
@click.argument("words", nargs=-1)
@one_line_errors
def fdb_flush(words: tuple[str, ...]) -> None:
    """Delete all entries except the flood list, or those of one kind or destination.

    \b
    Example:
      fastpath fdb flush dev vx0 dynamic
    """
    device, message = fdb_words.read_flush(words)
    Client(device).fdb_flush(message)


@fdb.command("show", cls=Words, usage="[dev NAME | network NAME]")
@click.option("-s", "--statistics", is_flag=True, help="Show the seconds since each address was last seen.")
@json_option
@socket_option
@click.argument("words", nargs=-1)
@one_line_errors
def show(words: tuple[str, ...], as_json: bool, statistics: bool, socket: Path) -> None:
    """Show the entries of a device, or of a network of the daemon.

    Without arguments, show all devices of this network namespace, and all networks if a daemon runs. --json prints the
    members of `bridge -json fdb`; entries of the daemon have a "network" instead of a device.

    \b
    Examples:
      fastpath fdb show dev vx0
      fastpath fdb show network blue
    """
    device, network = fdb_words.read_show(words)
    devices: list[dict[str, Any]] = []
    overlay: list[dict[str, Any]] = []
    if network is None:
        names = [device] if device is not None else device_names()
        devices = [line for name in names for line in Client(name).fdb_show()]
    if device is None:
        overlay = unless_absent(lambda: JsonClient(socket).fdb(network), [], needed=network is not None)
    with understood():
        if as_json:
            rows = fdb_words.as_rows(devices, name_device=device is None)
            print_json(
                rows + [{name: value for name, value in entry.items() if value is not None} for entry in overlay]
            )
            return
        lines = [fdb_words.format_line(line, name_device=device is None, statistics=statistics) for line in devices]
        lines += [_format(entry, name_network=network is None, statistics=statistics) for entry in overlay]
    if lines:
        say("\n".join(lines))


def _format(entry: dict[str, Any], *, name_network: bool, statistics: bool) -> str:
    """Return an entry of a network as one line."""
    parts = [entry["mac"], *(["network", entry["network"]] if name_network else [])]
    shown = [
        ("dev", "ifname"),
        ("dst", "dst"),
        ("port", "port"),
        ("endpoint", "endpoint"),
        *([("updated", "updated")] if statistics else []),
    ]
    for word, member in shown:
        if entry[member] is not None:
            parts += [word, str(entry[member])]
    return " ".join([*parts, *([entry["state"]] if entry["state"] else [])])
