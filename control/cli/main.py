# SPDX-License-Identifier: Apache-2.0
"""`fastpath …`: the commands, put together. Errors are one line and exit status 2."""

import click

from fastpath.control.cli.click_ext import LazyGroup
from fastpath.version import VERSION

# Where each command is, and its line in the list. What a command needs is loaded when it is called.
COMMANDS = {
    "daemon": ("fastpath.control.cli.daemon:daemon", "Run this host's part of the overlay."),
    "status": ("fastpath.control.cli.status:status", "Is all well, and if not, what is not."),
    "network": ("fastpath.control.cli.network:network", "Networks that the containers of all hosts share."),
    "endpoint": ("fastpath.control.cli.endpoint:endpoint", "The places of containers in a network."),
    "peers": ("fastpath.control.cli.status:peers", "List the other hosts."),
    "vxlan": ("fastpath.control.cli.device:vxlan", "VXLAN devices, in the words of `ip link`."),
    "fdb": ("fastpath.control.cli.fdb:fdb", "Forwarding databases, in the words of `bridge fdb`."),
    "forwarder": ("fastpath.control.cli.forwarder:forwarder", "What decides where frames go: show, set, reset."),
    "stats": ("fastpath.control.cli.stats:stats", "Counters, and why frames were discarded."),
    "replay": ("fastpath.control.cli.replay:replay", "Send a capture through the engine, without root."),
    "capture": ("fastpath.control.cli.capture:capture", "Frames as they pass, for tcpdump and Wireshark."),
    "bench": ("fastpath.bench.e2e.command:bench", "Compare with other overlays, side by side."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="%(prog)s %(version)s")
def main() -> None:
    """fastpath: VXLAN with its data plane in userspace.

    \b
    A device:
      fastpath vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2 -d
      fastpath fdb show dev vx0
      fastpath stats vx0
      fastpath capture vx0
    \b
    An overlay, with `fastpath daemon` on every host:
      fastpath network create blue
      fastpath endpoint create blue --sandbox c1
      fastpath status
    """
