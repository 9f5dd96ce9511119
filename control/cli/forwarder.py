# SPDX-License-Identifier: Apache-2.0
"""`fastpath forwarder`"""

from pathlib import Path

import click

from fastpath.control.api.client import DaemonClient
from fastpath.control.cli.common.click_ext import Words
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import json_option, socket_option
from fastpath.control.cli.common.render import print_json, say
from fastpath.control.cli.syntax.forwarder import parse
from fastpath.control.device.client import Client
from fastpath.control.device.control_socket import device_names
from fastpath.control.model.requests import ForwarderInfo, ForwarderSet


@click.group()
def forwarder() -> None:
    """Show or set the forwarder: what decides where the frames of a device or network go.

    \b
    Example:
      fastpath forwarder set vx0 acl.py rules=acl.toml '|' bridge
      fastpath stats vx0
      fastpath forwarder reset vx0
    """


def _ask(segment: str, socket: Path, wanted: ForwarderSet | None) -> ForwarderInfo:
    """Set the forwarder of a device if one of that name runs here, else of a network of the daemon."""
    if segment in device_names():
        return Client(segment).set_forwarder(wanted)
    return DaemonClient(socket).set_forwarder(segment, wanted)


@forwarder.command("set", cls=Words, usage="SEGMENT FILE.py[:NAME] [PARAMETER=VALUE]... ['|' FILE.py ...]...")
@json_option
@socket_option
@click.argument("segment")
@click.argument("words", nargs=-1, required=True)
@one_line_errors
def set_(segment: str, words: tuple[str, ...], as_json: bool, socket: Path) -> None:
    """Replace the forwarder while frames flow.

    SEGMENT is a device, or a network of the daemon. A forwarder is a class derived from fastpath.Forwarder in a file,
    package.module:NAME, bridge or hub. After a | comes the next one, for frames on which the first did not decide.

    The forwarder runs in the process of the device or daemon, with its privileges, until that process ends. Other
    hosts keep their own.

    \b
    Examples:
      fastpath forwarder set vx0 learning_bridge.py
      fastpath forwarder set blue ecmp.py:Ecmp vteps=192.0.2.2,192.0.2.3 '|' bridge
    """
    found = _ask(segment, socket, ForwarderSet(elements=tuple(parse(words, Path.cwd()))))
    _print(found, as_json)


@forwarder.command("reset", cls=Words, usage="SEGMENT")
@json_option
@socket_option
@click.argument("segment")
@one_line_errors
def reset(segment: str, as_json: bool, socket: Path) -> None:
    """Return to the learning bridge.

    \b
    Example:
      fastpath forwarder reset vx0
    """
    _print(_ask(segment, socket, None), as_json)


@forwarder.command("show", cls=Words, usage="SEGMENT")
@json_option
@socket_option
@click.argument("segment")
@one_line_errors
def show(segment: str, as_json: bool, socket: Path) -> None:
    """Show the forwarder, its counters and its failures.

    \b
    Example:
      fastpath forwarder show vx0 --json
    """
    here = segment in device_names()
    _print(Client(segment).forwarder() if here else DaemonClient(socket).forwarder(segment), as_json)


def _print(found: ForwarderInfo, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    say(found.name + (" (in Python, on a thread of its own)" if found.deferred else ""))
    for name, count in found.counters.items():
        say(f"  {name}: {count:,}")
    if found.failures:
        say(f"  failed {found.failures:,} times, last: {found.last_error}")
