# SPDX-License-Identifier: Apache-2.0
"""`fastpath status` and `fastpath peers`"""

import sys
from pathlib import Path
from typing import Any

import click

from fastpath.control.api.json_client import JsonClient
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import json_option, socket_option
from fastpath.control.cli.common.render import print_json, print_list, say, understood

SHOWN_PATHS = 5  # on the screen of `status`; `peers` has all


@click.command()
@json_option
@socket_option
@one_line_errors
def status(as_json: bool, socket: Path) -> None:
    """Show health and problems of this host.

    The exit status is 0 if the host is healthy, 1 if it has problems, 2 if no daemon answers.

    \b
    Example:
      fastpath status || echo "this host has problems"
    """
    found = JsonClient(socket).status()
    with understood():
        healthy, screen = found["healthy"], _screen(found)
    if as_json:
        print_json(found)
    else:
        say(screen)
    if not healthy:
        sys.exit(1)


def _screen(status: dict[str, Any]) -> str:
    reachable = "reachable" if status["store_answers"] else "NOT REACHABLE"
    lines = [
        f"{status['host']}: " + ("healthy" if status["healthy"] else "has problems"),
        *(f"  – {problem}" for problem in status["problems"]),
        "",
        f"daemon     fastpath {status['version']}, process {status['pid']}, up {duration(status['uptime'])}",
        f"vtep       {status['vtep']} port {status['udp_port']}, underlay MTU {status['underlay_mtu']}, "
        f"{_count(status['workers'], 'worker')}",
        f"guard      {status['guard']}",
        f"store      {status['store']}: {reachable}, revision {status['revision']}",
        f"peers      {status['peers_up']} of {status['peers']} up",
        *_paths(status.get("smaller_paths", {})),
        f"networks   {status['networks']}",
        f"endpoints  {status['endpoints']}, {status['local_endpoints']} on this host",
        f"frames     {status['rx_frames']:,} in, {status['tx_frames']:,} out, {status['dropped']:,} dropped "
        "(see `fastpath stats`)",
        f"flooded    {status['flooded']:,}, of which {status['unknown_unicast']:,} to unknown unicast addresses",
        f"answered   {status['answered']:,} ARP and ND requests, without flooding",
    ]
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time in the two units that matter."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"


@click.command()
@json_option
@socket_option
@one_line_errors
def peers(as_json: bool, socket: Path) -> None:
    """List the other hosts, with the state of the path to each.

    up: it answers probes. silent: its daemon is registered, but its data path does not answer. unregistered: its lease
    expired; it stays a peer as long as it answers probes, and for the grace time after that. gone: it is none any more.

    The kernel path is up, or silent: then the engine carries all frames. off: no network has endpoints there and here
    that use it.

    The path MTU is shown where it is less than that of both hosts' interfaces: the longest packet of the underlay, in
    bytes.

    \b
    Example:
      fastpath peers
    """
    found = JsonClient(socket).peers()
    if as_json:
        print_json(found)
        return
    with understood():
        rows = [_row(peer) for peer in found]
    link = ("last seen", "round trip", "kernel path", "path mtu")
    print_list(("host", "vtep", "state", *link, "endpoints", "version", "forgotten in"), rows)


def _paths(smaller: dict[str, int]) -> list[str]:
    """Return the line about paths that take less than both hosts' interfaces, if there are any."""
    found = [f"{mtu} bytes to {host}" for host, mtu in sorted(smaller.items())]
    shown = found if len(found) <= SHOWN_PATHS else [*found[:SHOWN_PATHS], f"and {len(found) - SHOWN_PATHS} more"]
    return [f"path MTU   {', '.join(shown)}"] if found else []


def _row(info: dict[str, Any]) -> tuple[str, ...]:
    peer, last_seen, round_trip, forgotten_in = (
        info[member] for member in ("peer", "last_seen", "round_trip", "forgotten_in")
    )
    return (
        info["host"],
        f"{peer['vtep']} port {peer['udp_port']}" if peer is not None else "–",
        info["state"],
        f"{duration(last_seen)} ago" if last_seen is not None else "never",
        f"{round_trip * 1000:.2f} ms" if round_trip is not None else "–",
        info.get("kernel_path", "off"),
        str(info.get("path_mtu") or "–"),
        str(info["endpoints"]),
        peer["version"] if peer is not None else "–",
        duration(forgotten_in) if forgotten_in is not None else "–",
    )
