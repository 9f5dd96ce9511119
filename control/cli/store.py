# SPDX-License-Identifier: Apache-2.0
"""`fastpath store`"""

from pathlib import Path

import click

from fastpath.control.api.json_client import JsonClient
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import json_option, socket_option
from fastpath.control.cli.common.render import print_json, say, understood


@click.group()
def store() -> None:
    """Manage the layout of the store that all hosts share.

    \b
    Example:
      fastpath store upgrade
    """


@store.command("upgrade")
@json_option
@socket_option
@one_line_errors
def upgrade(as_json: bool, socket: Path) -> None:
    """Keep each host's endpoints under a prefix of its own in the store.

    Then a role of etcd can keep a host from changing the endpoints of others. All hosts have to run
    fastpath 0.2 or newer, and cannot go back. Type it again to see which endpoints have not moved yet.

    \b
    Example:
      fastpath store upgrade
    """
    found = JsonClient(socket).upgrade_store()
    if as_json:
        print_json(found)
        return
    with understood():
        outside = ", ".join(f"{count} of {host}" for host, count in sorted(found["outside"].items()))
        moving = outside or ("" if found["per_host"] else "all")
    say(f"not moved yet: {moving}" if moving else "all endpoints are under their hosts' prefixes")
