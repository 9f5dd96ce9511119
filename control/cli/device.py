# SPDX-License-Identifier: Apache-2.0
"""`fastpath vxlan`: devices without a daemon."""

import os
import select
from dataclasses import fields
from typing import Any

import click

from fastpath.control.cli.common.click_ext import Words
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import json_option
from fastpath.control.cli.common.render import print_json, say
from fastpath.control.cli.syntax.vxlan import vxlan_config
from fastpath.control.device.client import Client
from fastpath.control.device.control_socket import device_names
from fastpath.control.device.requests import DeviceInfo
from fastpath.control.runtime.engine_options import DEFAULT_SOURCE_PORTS, MAX_SOURCE_PORTS, MAX_WORKERS
from fastpath.engine.limits import DEFAULT_SPIN_US, MAX_SPIN_US
from fastpath.engine.offloads import Offloads
from fastpath.errors import RefusedError

STOP_TIMEOUT_S = 10.0


@click.group()
def vxlan() -> None:
    """Manage VXLAN devices, with `ip link` syntax.

    \b
    Example, on a host with the address 192.0.2.1:
      fastpath vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2 -d
      ip address add 10.9.0.1/24 dev vx0 && ip link set vx0 up
    """


@vxlan.command(
    "add",
    cls=Words,
    usage="NAME id VNI [local A] [remote B]... [dstport P] [srcport MIN MAX] [ttl N|auto] "
    "[[no]learning] [ageing S] [maxaddress N] [mtu N] [txqueuelen N] [netns NS]",
)
@click.option(
    "-d", "--detach", "detached", is_flag=True, help="Run in the background: return when the device is ready."
)
@click.option(
    "--workers",
    type=click.IntRange(1, MAX_WORKERS),
    help="Number of worker threads.  [default: one per two cores]",
)
@click.option(
    "--spin",
    type=click.IntRange(0, MAX_SPIN_US),
    default=DEFAULT_SPIN_US,
    show_default=True,
    help="Microseconds that an idle worker polls before it sleeps; 0 to sleep at once.",
)
@click.option("--pin", is_flag=True, help="Pin each worker to a core.")
@click.option(
    "--source-ports",
    type=click.IntRange(1, MAX_SOURCE_PORTS),
    default=DEFAULT_SOURCE_PORTS,
    show_default=True,
    help="Number of UDP source ports per worker, which tell flows apart.",
)
@click.option("--tso/--no-tso", default=True, help="Accept TCP super-frames from the interface.")
@click.option("--uso/--no-uso", default=True, help="Accept UDP super-frames from the interface.")
@click.option("--gso/--no-gso", default=True, help="Send packets in batches (UDP_SEGMENT).")
@click.option("--gro/--no-gro", default=True, help="Receive packets in batches (UDP_GRO).")
@click.option("--merge/--no-merge", default=True, help="Merge frames of one flow before the interface gets them.")
@click.option("--guard", is_flag=True, help="Admit packets of remotes only, by nftables: see `fastpath guard show`.")
@click.argument("name")
@click.argument("words", nargs=-1)
@one_line_errors
def vxlan_add(name: str, words: tuple[str, ...], detached: bool, workers: int | None, **settings: Any) -> None:
    """Create a VXLAN device and run it until Ctrl-C, or in the background with -d.

    NAME is a network interface (a TAP), which can be added to a bridge or moved into a container's namespace. It
    disappears when the process ends.

    \b
    Examples:
      fastpath vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2
      fastpath vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2 remote 192.0.2.3 netns c1 -d
      fastpath vxlan add vx6 id 7 local 2001:db8::1 remote 2001:db8::2 dstport 8472 nolearning
    """
    offloads = Offloads(**{field.name: settings.pop(field.name) for field in fields(Offloads)})
    if workers is not None:
        settings["workers"] = workers
    config = vxlan_config(name, words, offloads=offloads, **settings)
    # The engine, netlink and the HTTP server take ten times as long to load as the other commands.
    from fastpath.control.device.run import detach, run  # noqa: PLC0415

    if detached:
        detach(config)
        return
    why = run(config, lambda device: say(_describe(device.info()) + " (Ctrl-C ends it)"))
    if why is not None:
        raise RefusedError(f"{name} ended: {why}")


@vxlan.command("del", cls=Words, usage="NAME")
@click.argument("name")
@one_line_errors
def vxlan_del(name: str) -> None:
    """Delete a VXLAN device: end its process.

    \b
    Example:
      fastpath vxlan del vx0
    """
    client = Client(name)
    process = os.pidfd_open(client.show().pid)
    try:
        client.stop()
        ended, _, _ = select.select([process], [], [], STOP_TIMEOUT_S)
    finally:
        os.close(process)
    if not ended:
        raise RefusedError(f"{name} did not end within {STOP_TIMEOUT_S:.0f} s")


@vxlan.command("show", cls=Words, usage="[NAME]")
@json_option
@click.argument("name", required=False)
@one_line_errors
def vxlan_show(name: str | None, as_json: bool) -> None:
    """Show the VXLAN devices of this network namespace.

    \b
    Example:
      fastpath vxlan show vx0 --json
    """
    infos = [Client(device).show() for device in ([name] if name is not None else device_names())]
    if as_json:
        print_json([info.model_dump(mode="json") for info in infos])
        return
    for info in infos:
        say(_describe(info))


def _describe(info: DeviceInfo) -> str:
    parts = [f"{info.ifname}: vxlan id {info.id}"]
    if info.local is not None:
        parts.append(f"local {info.local}")
    parts += [f"remote {remote}" for remote in info.remotes]
    parts += [f"dstport {info.dstport}", f"srcport {info.srcport[0]} {info.srcport[1]}"]
    parts += [f"ttl {info.ttl or 'auto'}", "learning" if info.learning else "nolearning", f"ageing {info.ageing}"]
    if info.maxaddress:
        parts.append(f"maxaddress {info.maxaddress}")
    parts.append(f"mtu {info.mtu}")
    if info.netns is not None:
        parts.append(f"netns {info.netns}")
    return " ".join(parts)
