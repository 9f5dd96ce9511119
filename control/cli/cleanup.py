# SPDX-License-Identifier: Apache-2.0
"""`fastpath cleanup`"""

from pathlib import Path

import click

from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import PATH
from fastpath.control.runtime.config import load_config


@click.command()
@click.option("--config", "file", type=PATH, metavar="FILE", help="Configuration file of the daemon.")
@click.option("--state-dir", type=PATH, metavar="DIR", help="The daemon's state directory.")
@click.option(
    "--host", "hosts", multiple=True, metavar="NAME", help="A name that this host had.  [default: all that it had]"
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@one_line_errors
def cleanup(file: Path | None, state_dir: Path | None, hosts: tuple[str, ...], *, yes: bool) -> None:
    """Remove what the daemon left on this host: interfaces, namespaces, the gateway bridge, nftables rules.

    The daemon must not run. Containers lose their overlay interfaces. The store keeps the endpoints: other hosts remove
    them, as those of any dead host.

    \b
    Examples:
      fastpath cleanup --config /etc/fastpath.toml         # before an uninstallation
      fastpath cleanup --host its-former-name
    """
    config = load_config(file, {"state_dir": state_dir.absolute() if state_dir is not None else None})
    if not yes:
        click.confirm("Containers of this host lose their overlay interfaces. Go on?", abort=True)
    # Not at the top: netlink takes long to load, and `--help` needs none.
    from fastpath.control.daemon import former  # noqa: PLC0415
    from fastpath.control.runtime.state_dir import StateDir  # noqa: PLC0415

    with StateDir(config.state_dir) as state:
        if not hosts and not former.read(state.lives).hosts:
            click.echo(
                f"nothing is known in {config.state_dir}: if the daemon had another state directory, or was older than "
                "version 0.2, give --config, --state-dir or --host"
            )
        for sentence in former.clean_up(state.lives, hosts or None):
            click.echo(sentence)
