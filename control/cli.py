# SPDX-License-Identifier: Apache-2.0
"""`fastpath …`: the commands, put together. Errors are one line and exit status 2."""

import click

from fastpath.bench.e2e.command import bench
from fastpath.control.device import commands as device
from fastpath.version import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="%(prog)s %(version)s")
def main() -> None:
    """fastpath: VXLAN with its data plane in userspace.

    \b
    Example:
      fastpath vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2 -d
      fastpath fdb show dev vx0
      fastpath stats vx0
    """


for command in (device.vxlan, device.fdb, device.stats, bench):
    main.add_command(command)
