# SPDX-License-Identifier: Apache-2.0
"""`fastpath fdb`: the device's commands, and `show`, which shows the daemon's entries as well."""

import json
from pathlib import Path
from typing import Any

import click

from fastpath.control.api.client import DaemonClient
from fastpath.control.cli.click_ext import Words
from fastpath.control.cli.device import fdb
from fastpath.control.cli.errors import one_line_errors
from fastpath.control.cli.options import json_option, socket_option, unless_absent
from fastpath.control.device import fdb_words
from fastpath.control.device.client import Client
from fastpath.control.device.control_socket import device_names
from fastpath.control.device.requests import FdbLine
from fastpath.control.model.requests import OverlayFdbLine

__all__ = ["fdb"]


@fdb.command("show", cls=Words, usage="[dev NAME | network NAME]")
@click.option("-s", "--statistics", is_flag=True, help="Show for how many seconds an address was not heard of.")
@json_option
@socket_option
@click.argument("words", nargs=-1)
@one_line_errors
def show(words: tuple[str, ...], as_json: bool, statistics: bool, socket: Path) -> None:
    """Show the entries of a device or of a network of the daemon. Without words: of all devices that run in this
    network namespace, and of all networks if a daemon runs.

    --json prints what `bridge -json fdb` does; the daemon's entries have a "network".

    \b
    Examples:
      fastpath fdb show dev vx0
      fastpath fdb show network blue
    """
    device, network = fdb_words.read_show(words)
    devices: list[FdbLine] = []
    overlay: list[OverlayFdbLine] = []
    if network is None:
        names = [device] if device is not None else device_names()
        devices = [line for name in names for line in Client(name).fdb_show()]
    if device is None:
        overlay = unless_absent(lambda: DaemonClient(socket).fdb(network), [], needed=network is not None)
    if as_json:
        rows: list[dict[str, Any]] = fdb_words.as_rows(devices, name_device=device is None)
        rows += [line.model_dump(mode="json", exclude_none=True) for line in overlay]
        click.echo(json.dumps(rows))
        return
    for line in devices:
        click.echo(fdb_words.format_line(line, name_device=device is None, statistics=statistics))
    for entry in overlay:
        click.echo(_format(entry, name_network=network is None, statistics=statistics))


def _format(line: OverlayFdbLine, *, name_network: bool, statistics: bool) -> str:
    """As a device's, with the network in the device's place."""
    parts = [line.mac, *(["network", line.network] if name_network else [])]
    if line.ifname is not None:
        parts += ["dev", line.ifname]
    if line.dst is not None:
        parts += ["dst", line.dst]
    if line.port is not None:
        parts += ["port", str(line.port)]
    if statistics and line.updated is not None:
        parts += ["updated", str(line.updated)]
    return " ".join([*parts, *([line.state] if line.state else [])])
