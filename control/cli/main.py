# SPDX-License-Identifier: Apache-2.0
"""`fastpath`: the list of commands. Errors are one line and exit status 2."""

import click

from fastpath.control.cli.common.click_ext import LazyGroup
from fastpath.version import VERSION

# The module of each command, which is loaded when the command is called, and its line in the list.
COMMANDS = {
    "daemon": ("fastpath.control.cli.daemon:daemon", "Run the overlay daemon of this host."),
    "status": ("fastpath.control.cli.status:status", "Show health and problems of this host."),
    "network": ("fastpath.control.cli.network:network", "Manage networks, which all hosts share."),
    "endpoint": ("fastpath.control.cli.endpoint:endpoint", "Connect containers and namespaces to networks."),
    "peers": ("fastpath.control.cli.status:peers", "List the other hosts."),
    "store": ("fastpath.control.cli.store:store", "Manage the layout of the hosts' store."),
    "vxlan": ("fastpath.control.cli.device:vxlan", "Manage VXLAN devices, with `ip link` syntax."),
    "fdb": ("fastpath.control.cli.fdb:fdb", "Manage forwarding databases, with `bridge fdb` syntax."),
    "forwarder": ("fastpath.control.cli.forwarder:forwarder", "Show or set what decides where frames go."),
    "guard": ("fastpath.control.cli.guard:guard", "Show the rules that protect the VTEP and the store."),
    "stats": ("fastpath.control.cli.stats:stats", "Show counters and drop reasons."),
    "replay": ("fastpath.control.cli.replay:replay", "Run a capture file through the engine, without root."),
    "capture": ("fastpath.control.cli.capture:capture", "Capture frames, for tcpdump and Wireshark."),
    "cleanup": ("fastpath.control.cli.cleanup:cleanup", "Remove what the daemon left on this host."),
    "bench": ("fastpath.bench.e2e.command:bench", "Benchmark against other overlays."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="%(prog)s %(version)s")
def main() -> None:
    """fastpath: VXLAN with its data plane in userspace.

    \b
    A single device, without a daemon:
      fastpath vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2 -d
      fastpath fdb show dev vx0
      fastpath stats vx0
      fastpath capture vx0
    \b
    An overlay network, with `fastpath daemon` running on every host:
      fastpath network create blue
      fastpath endpoint create blue --sandbox c1
      fastpath status
    """
