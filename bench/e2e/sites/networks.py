# SPDX-License-Identifier: Apache-2.0
"""A network as a user makes it: a daemon on each host, a store, `network create` and `endpoint create`."""

import sys
from collections.abc import Mapping

from fastpath.bench.common.daemon import Daemon, remove_named
from fastpath.bench.common.namespaces import Namespace
from fastpath.bench.e2e.names import Contestant
from fastpath.bench.e2e.sites import kernel_path
from fastpath.bench.e2e.sites.commits import commit_tree
from fastpath.bench.e2e.sites.site import DEVICE, Site
from fastpath.control.runtime.config import DaemonConfig
from fastpath.errors import RefusedError

NETWORK, SUBNET = "bench", "10.9.0.0/24"
GATEWAY = "10.9.0.254"  # the containers have the first addresses
KERNEL_PATH = {"kernel_path": "tcp"}


def network(site: Site, contestant: Contestant) -> None:
    """Lay it, and wait until TCP takes the way that is to be measured. All that is not named in the contestant's
    settings is as it comes, but for the kernel path, which it has. Raise RefusedError."""
    environment = {"PYTHONPATH": str(commit_tree(contestant.commit))} if contestant.commit is not None else {}
    of_daemon, of_network = split(KERNEL_PATH | contestant.own)
    daemons: dict[str, Daemon] = {}
    for _, host, _ in site.sides:
        if host.name not in daemons:  # both containers may be on one host
            daemons[host.name] = daemon = _daemon(site, host, of_daemon, environment)
            daemon.launch()
    for daemon in daemons.values():
        daemon.ready()

    def command(host: Namespace, *words: str) -> None:
        socket = f"FASTPATH_SOCKET={daemons[host.name].client.path}"
        assignments = [socket, *(f"{key}={value}" for key, value in environment.items())]
        done = host.run("env", *assignments, sys.executable, "-m", "fastpath", *words, check=False)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines()
            reason = said[-1].removeprefix("Error: ") if said else f"status {done.returncode}"
            raise RefusedError(f"{contestant}: {reason}")

    options = [word for key, value in of_network.items() for word in (f"--{key.replace('_', '-')}", value)]
    command(site.h1, "network", "create", NETWORK, "--subnet", SUBNET, "--gateway", GATEWAY, *options)
    for number, host, container in site.sides:
        where = ["--sandbox", container.name, "--name", DEVICE, "--ip", f"10.9.0.{number}"]
        command(host, "endpoint", "create", NETWORK, *where)
    try:
        kernel_path.check(site, wanted=of_network["kernel_path"] != "off")
    except RefusedError as error:
        raise RefusedError(f"{contestant}: {error}") from None


def _daemon(site: Site, host: Namespace, settings: Mapping[str, str], environment: Mapping[str, str]) -> Daemon:
    lines = "".join(f"{key} = {_toml(value)}\n" for key, value in settings.items())
    store = f"sqlite://{site.scratch}/store.db"
    daemon = Daemon(host.label, host, site.scratch, store, lines, environment=environment)
    site.cleanup.callback(remove_named, daemon.name)
    site.cleanup.callback(daemon.close)
    site.daemons.append(daemon)
    return daemon


def split(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the settings of the daemon (keys of fastpath.toml), and the others: options of `network create`."""
    of_daemon = {key: value for key, value in settings.items() if key in DaemonConfig.model_fields}
    return of_daemon, {key: value for key, value in settings.items() if key not in of_daemon}


def _toml(value: str) -> str:
    """Return a value as TOML has it: on and off are booleans, what is no number is text."""
    if value in ("on", "off"):
        return "true" if value == "on" else "false"
    return value if value.replace(".", "", 1).isdigit() else f'"{value}"'
