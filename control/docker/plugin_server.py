# SPDX-License-Identifier: Apache-2.0
"""Build the plugins and serve them. Docker calls a driver by the name of its socket."""

import contextlib
import functools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from fastpath.control.api.unix_socket import listening_socket
from fastpath.control.cluster.ipam import Pool
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.cluster.registry import Registry
from fastpath.control.docker.claims import Claims
from fastpath.control.docker.container_names import ContainerNames
from fastpath.control.docker.ipam_driver import IpamDriver
from fastpath.control.docker.kinds import Kind, MacvlanKind, OverlayKind
from fastpath.control.docker.network_driver import NetworkDriver
from fastpath.control.docker.plugin import Plugin
from fastpath.control.docker.state import DockerState
from fastpath.control.docker.upkeep import Upkeep
from fastpath.control.host import lan
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.host.underlay import HostUnderlay
from fastpath.control.host.underlay_watch import routed_subnets
from fastpath.control.model.objects import IPNetwork
from fastpath.control.runtime.background import Background
from fastpath.control.runtime.config import DaemonConfig
from fastpath.control.runtime.http_server import serving
from fastpath.control.store.interface import Store

OVERLAY: Final = "fastpath"
MACVLAN: Final = "fastpath-macvlan"


@contextlib.asynccontextmanager
async def serving_docker(
    config: DaemonConfig,
    *,
    tasks: Background,
    underlay: HostUnderlay,
    store: Store,
    mirror: Mirror,
    registry: Registry,
    reconciler: Reconciler,
    kernel: KernelThread,
) -> AsyncIterator[None]:
    """Answer Docker until the block ends, if the setting docker_plugin_dir is set."""
    if config.docker_plugin_dir is None:
        yield
        return

    async def routed() -> Sequence[tuple[IPNetwork, str]]:
        return await kernel.run(routed_subnets)

    state = DockerState(config.state_dir / "docker.json")
    claims = Claims(store, registry, config.host, Pool(config.pool, config.pool_prefix))

    def driver(kind: Kind) -> NetworkDriver:
        return NetworkDriver(
            kind,
            host=config.host,
            claims=claims,
            state=state,
            mirror=mirror,
            registry=registry,
            reconciler=reconciler,
            kernel=kernel,
            routed=routed,
        )

    overlay = driver(OverlayKind(underlay.overhead))
    macvlan = driver(MacvlanKind(claims, mirror, reconciler, kernel))
    avoid = functools.partial(lan.hosts_addresses, kernel, mirror)
    plugins = {
        OVERLAY: Plugin(
            overlay, IpamDriver(claims, state, routed, restore=overlay.restore, avoid=avoid, in_use=reconciler.in_use)
        ),
        MACVLAN: Plugin(macvlan),
    }
    async with contextlib.AsyncExitStack() as stack:
        for name, plugin in plugins.items():
            await stack.enter_async_context(_serving_plugin(config.docker_plugin_dir / f"{name}.sock", plugin))
        # One of each serves both drivers.
        tasks.restarted("docker", Upkeep(config.host, overlay, state, mirror).run)
        tasks.restarted("container names", ContainerNames(config.docker_socket, config.host, mirror, registry).run)
        yield


@contextlib.asynccontextmanager
async def _serving_plugin(path: Path, plugin: Plugin) -> AsyncIterator[None]:
    with listening_socket(path, option="--docker-plugin-dir") as sock:
        async with serving(plugin.application(), sock, shutdown_timeout=2.0):
            yield
