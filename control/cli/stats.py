# SPDX-License-Identifier: Apache-2.0
"""`fastpath stats`"""

import json
from pathlib import Path
from typing import Any

import click

from fastpath.control.api.json_client import JsonClient
from fastpath.control.cli.common.click_ext import Words
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import json_option, socket_option, unless_absent
from fastpath.control.device.control_socket import device_names

DAEMON = "overlay daemon"  # no device has a name with a space


@click.command(cls=Words, usage="[NAME]")
@json_option
@socket_option
@click.argument("name", required=False)
@one_line_errors
def stats(name: str | None, as_json: bool, socket: Path) -> None:
    """Show counters: traffic by port, remote, segment and worker, and drops by reason.

    Without NAME, show all devices of this network namespace, and the daemon if one runs.

    \b
    Examples:
      fastpath stats vx0 --json
      fastpath stats --json | jq '."overlay daemon".fdb_entries'
    """
    found: dict[str, dict[str, Any]] = {}
    devices = [name] if name is not None else device_names()
    if devices:
        from fastpath.control.device.client import Client  # noqa: PLC0415  # pydantic

        found |= {device: Client(device).stats() for device in devices}
    if name is None and (daemon := unless_absent(lambda: JsonClient(socket).stats(), None)) is not None:
        found[DAEMON] = daemon
    if as_json:
        click.echo(json.dumps(found))
        return
    from fastpath.control.cli.reports.stats import print_stats  # noqa: PLC0415  # rich

    for device, numbers in found.items():
        print_stats(device, numbers)
