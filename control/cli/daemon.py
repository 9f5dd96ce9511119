# SPDX-License-Identifier: Apache-2.0
"""`fastpath daemon`"""

from pathlib import Path
from typing import Any, get_args

import click

from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import PATH
from fastpath.control.runtime.config import DaemonConfig, load_config
from fastpath.control.runtime.paths import SOCKET, STATE_DIR

FORMATS = get_args(DaemonConfig.model_fields["log_format"].annotation)
LEVELS = get_args(DaemonConfig.model_fields["log_level"].annotation)


@click.command()
@click.option(
    "--config", "file", type=PATH, metavar="FILE", help="Configuration file, a fastpath.toml, with more settings."
)
@click.option("--host", metavar="NAME", help="Name of this host in the overlay.  [default: the host name]")
@click.option(
    "--vtep",
    metavar="ADDRESS|INTERFACE",
    help="VXLAN tunnel endpoint: local address.  [default: that of the default route]",
)
@click.option(
    "--store",
    metavar="URL",
    help="Shared store: sqlite:///PATH or etcd://HOST[:PORT][,HOST…].  [default: store.db in the state directory]",
)
@click.option(
    "--socket",
    type=PATH,
    envvar="FASTPATH_SOCKET",
    show_envvar=True,
    help=f"Socket that commands connect to.  [default: {SOCKET}]",
)
@click.option(
    "--state-dir", type=PATH, metavar="DIR", help=f"Directory of what outlives a restart.  [default: {STATE_DIR}]"
)
@click.option("--metrics", metavar="HOST:PORT|PATH", help="Serve Prometheus metrics and /healthz.  [default: off]")
@click.option(
    "--docker-plugin-dir",
    type=PATH,
    metavar="DIR",
    help="Serve Docker's network and IPAM driver in this directory, e.g. /run/docker/plugins.  [default: off]",
)
@click.option("--log-format", type=click.Choice(FORMATS), help="Format of log lines.  [default: text]")
@click.option("--log-level", type=click.Choice(LEVELS), help="Least severe level that is logged.  [default: info]")
@one_line_errors
def daemon(file: Path | None, **options: Any) -> None:
    """Run the overlay daemon of this host until SIGTERM or Ctrl-C.

    Traffic of containers survives a restart: the next daemon takes over the interfaces of this one.

    \b
    Examples:
      fastpath daemon --vtep eth0
      fastpath daemon --config /etc/fastpath.toml --store etcd://192.0.2.10:2379,192.0.2.11:2379
    """
    for key in ("socket", "state_dir", "docker_plugin_dir"):
        if options[key] is not None:
            options[key] = options[key].absolute()
    config = load_config(file, options)
    # Not at the top: the engine and netlink take long to load, and `--help` needs neither.
    from fastpath.control.daemon.main import run  # noqa: PLC0415

    run(config)
