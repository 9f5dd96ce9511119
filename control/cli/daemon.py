# SPDX-License-Identifier: Apache-2.0
"""`fastpath daemon`"""

from pathlib import Path
from typing import Any, get_args

import click

from fastpath.control.cli.errors import one_line_errors
from fastpath.control.cli.options import PATH
from fastpath.control.runtime.config import DaemonConfig, load_config
from fastpath.control.runtime.paths import SOCKET, STATE_DIR

FORMATS = get_args(DaemonConfig.model_fields["log_format"].annotation)
LEVELS = get_args(DaemonConfig.model_fields["log_level"].annotation)


@click.command()
@click.option("--config", "file", type=PATH, metavar="FILE", help="A fastpath.toml, which has more settings.")
@click.option("--host", metavar="NAME", help="This host's name in the overlay.  [default: the host name]")
@click.option(
    "--vtep", metavar="ADDRESS|INTERFACE", help="Where packets arrive.  [default: where the default route leaves]"
)
@click.option(
    "--store",
    metavar="URL",
    help="sqlite:///PATH or etcd://HOST[:PORT][,HOST…].  [default: store.db in the state directory]",
)
@click.option(
    "--socket",
    type=PATH,
    envvar="FASTPATH_SOCKET",
    show_envvar=True,
    help=f"Where to listen for commands.  [default: {SOCKET}]",
)
@click.option("--state-dir", type=PATH, metavar="DIR", help=f"What outlives a restart.  [default: {STATE_DIR}]")
@click.option("--metrics", metavar="HOST:PORT|PATH", help="Serve Prometheus metrics and /healthz.  [default: off]")
@click.option(
    "--docker-plugin-dir",
    type=PATH,
    metavar="DIR",
    help="Be Docker's network and IPAM driver, in this folder: Docker looks in /run/docker/plugins.  [default: off]",
)
@click.option("--log-format", type=click.Choice(FORMATS), help="[default: text]")
@click.option("--log-level", type=click.Choice(LEVELS), help="[default: info]")
@one_line_errors
def daemon(file: Path | None, **options: Any) -> None:
    """Run this host's part of the overlay until SIGTERM or Ctrl-C.

    Containers' traffic survives a restart: the next daemon takes over what this one leaves.

    \b
    Examples:
      fastpath daemon --vtep eth0
      fastpath daemon --config /etc/fastpath.toml --store etcd://192.0.2.10:2379,192.0.2.11:2379
    """
    for key in ("socket", "state_dir", "docker_plugin_dir"):
        if options[key] is not None:
            options[key] = options[key].absolute()
    config = load_config(file, options)
    # Not at the top: the engine and netlink take 400 ms to load, twice as long as all other commands.
    from fastpath.control.daemon.main import run  # noqa: PLC0415

    run(config)
