# SPDX-License-Identifier: Apache-2.0
"""`fastpath endpoint`"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fastpath.control.api.json_client import JsonClient
from fastpath.control.cli.common.each import remove_each
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import json_option, socket_option
from fastpath.control.cli.common.render import print_json, print_list, say, understood
from fastpath.engine.limits import check_name
from fastpath.errors import UsageError

if TYPE_CHECKING:
    from fastpath.control.api.client import DaemonClient

POLL_S = 0.1  # between two questions whether the store is back
WORDS = {
    "network": "network",
    "sandbox": "--sandbox",
    "name": "--name",
    "addresses": "--ip",
    "mac": "--mac",
    "hostnames": "--hostname",
    "allow": "ADDRESS",
    "disallow": "ADDRESS",
}


@click.group()
def endpoint() -> None:
    """Connect containers, or other network namespaces, to networks.

    \b
    Example:
      fastpath endpoint create blue --sandbox c1
    """


@endpoint.command("create")
@click.option("--sandbox", required=True, metavar="NS", help="Network namespace: a name of `ip netns`, or a path.")
@click.option("--name", default="eth0", show_default=True, help="Name of the interface in the namespace.")
@click.option(
    "--ip", "addresses", multiple=True, metavar="ADDRESS", help="IP address, one per subnet.  [default: a free one]"
)
@click.option("--mac", metavar="ADDRESS", help="MAC address.  [default: derived from the IPv4 address]")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0,
    metavar="SECONDS",
    help="Wait so long for a store that is not reachable.",
)
@click.option(
    "--hostname",
    "hostnames",
    multiple=True,
    metavar="NAME",
    help="DNS name; may be repeated.  [default: name of the namespace]",
)
@json_option
@socket_option
@click.argument("network")
@one_line_errors
def create(sandbox: str, name: str, wait: float, as_json: bool, socket: Path, **more: Any) -> None:
    """Connect a network namespace of this host to a network, and print its addresses.

    \b
    Examples:
      fastpath endpoint create blue --sandbox c1
      fastpath endpoint create blue --sandbox /proc/4711/ns/net --name eth1 --ip 10.1.0.5
      fastpath endpoint create blue --sandbox c1 --wait 300
      fastpath endpoint create blue --sandbox c2 --hostname web
    """
    from fastpath.control.api.client import DaemonClient  # noqa: PLC0415  # pydantic, which the others do without
    from fastpath.control.cli.common.requests import build  # noqa: PLC0415
    from fastpath.control.model.requests import EndpointCreate  # noqa: PLC0415

    check_name(name)
    message = build(EndpointCreate, WORDS, sandbox=_sandbox(sandbox), name=name, **more)
    daemon = DaemonClient(socket)
    if wait:
        _await_store(daemon, wait)
    made = daemon.create_endpoint(message)
    if as_json:
        print_json(made.model_dump(mode="json"))
        return
    for address in made.addresses:
        say(str(address))


def _await_store(daemon: "DaemonClient", seconds: float) -> None:
    """Wait until the store answers, or the time is up: the next request then fails with the reason."""
    deadline = time.monotonic() + seconds
    said = False
    while not (status := daemon.status()).store_answers and time.monotonic() < deadline:
        if not said:
            say(f"waiting for the store {status.store}, for up to {seconds:g} s", err=True)
            said = True
        time.sleep(POLL_S)


def _sandbox(text: str) -> str:
    """Return the name, or an absolute path: the daemon runs in another directory. Raise UsageError."""
    if not text:
        raise UsageError('invalid --sandbox "": expected a name of `ip netns`, or a path')
    if "/" not in text:
        return text
    path = str(Path(text).absolute())
    if path.startswith(("/proc/self/", "/proc/thread-self/")):
        raise UsageError(f"--sandbox {path} is the namespace of this command, which ends: use /proc/PID/ns/net")
    return path


@endpoint.command("ls")
@json_option
@socket_option
@click.argument("network", required=False)
@one_line_errors
def ls(network: str | None, as_json: bool, socket: Path) -> None:
    """List the endpoints of one network or of all networks, on all hosts.

    \b
    Example:
      fastpath endpoint ls blue
    """
    found = JsonClient(socket).endpoints(network)
    if as_json:
        print_json(found)
        return
    with understood():
        rows = [_row(each) for each in found]
    print_list(("id", "network", "names", "addresses", "mac", "host", "interface", "sandbox", "state"), rows)


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    return (
        each["id"],
        each["network"],
        " ".join(each["names"]),
        " ".join(each["addresses"]),
        each["mac"],
        each["host"],
        each["ifname"],
        each["sandbox"]["path"],
        each["state"],
    )


@endpoint.command("allow")
@click.option("--remove", is_flag=True, help="Take the addresses back.")
@json_option
@socket_option
@click.argument("identity", metavar="ID")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@one_line_errors
def allow(identity: str, addresses: tuple[str, ...], remove: bool, as_json: bool, socket: Path) -> None:
    """Let an endpoint of this host use further addresses, and print all that it is allowed.

    For addresses that move between endpoints, by VRRP or as floating addresses: allow them at each of
    these endpoints. No endpoint gets such an address as its own.

    \b
    Examples:
      fastpath endpoint allow 1f0c 10.1.0.100
      fastpath endpoint allow 1f0c 10.1.0.100 --remove
    """
    from fastpath.control.api.client import DaemonClient  # noqa: PLC0415  # pydantic, which the others do without
    from fastpath.control.cli.common.requests import build  # noqa: PLC0415
    from fastpath.control.model.requests import EndpointSet  # noqa: PLC0415

    message = build(EndpointSet, WORDS, **{"disallow" if remove else "allow": addresses})
    changed = DaemonClient(socket).set_endpoint(identity, message)
    if as_json:
        print_json(changed.model_dump(mode="json"))
        return
    for address in changed.allowed:
        say(str(address))


@endpoint.command("rm")
@json_option
@socket_option
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@one_line_errors
def rm(ids: tuple[str, ...], as_json: bool, socket: Path) -> None:
    """Remove endpoints of this host, by id or the beginning of an id.

    \b
    Example:
      fastpath endpoint rm 1f0c
    """
    remove_each(ids, JsonClient(socket).remove_endpoint, as_json=as_json)
