# SPDX-License-Identifier: Apache-2.0
"""Where the two drivers differ that Docker knows of us: what they are told, and what they tell."""

from collections.abc import Collection
from typing import Protocol

from fastpath.addresses import IPAddress
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.docker import wanted_macvlan, wanted_overlay
from fastpath.control.docker.claims import Claims
from fastpath.control.docker.protocol import CreateNetwork, InterfaceName, Joined
from fastpath.control.docker.wanted import Wanted
from fastpath.control.drivers import naming
from fastpath.control.host import lan
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.model.objects import Endpoint, Network
from fastpath.errors import ConflictError, UsageError


class Kind(Protocol):
    """What OverlayKind and MacvlanKind do."""

    def wanted(self, request: CreateNetwork) -> Wanted:
        """Return what `docker network create` asks for. Raise UsageError."""

    async def check(self, want: Wanted) -> None:
        """Raise FastpathError if this host cannot have the network."""

    async def own_mac(self, network: Network) -> str | None:
        """Return the MAC address of an endpoint if Docker asks for none; None: one that follows from its address."""

    async def check_addresses(self, network: Network, addresses: Collection[IPAddress]) -> None:
        """Raise ConflictError if an endpoint cannot have the addresses."""

    def joined(self, network: Network, endpoint: Endpoint) -> Joined:
        """Return the interface that Docker is to move, and the container's gateways."""


class OverlayKind:
    """`overhead` is what the tunnel adds to a packet, in bytes."""

    def __init__(self, overhead: int) -> None:
        self._overhead = overhead

    def wanted(self, request: CreateNetwork) -> Wanted:
        """See Kind."""
        return wanted_overlay.wanted(request, self._overhead)

    async def check(self, _: Wanted) -> None:
        """Accept: every host can."""

    async def own_mac(self, _: Network) -> None:
        """Return None: it follows from the address."""

    async def check_addresses(self, _: Network, addresses: Collection[IPAddress]) -> None:
        """Raise UsageError if there is no address."""
        if not addresses:
            raise UsageError("an endpoint needs an address: create the network with --ipam-driver fastpath")

    def joined(self, _: Network, endpoint: Endpoint) -> Joined:
        """Return the interface. Docker attaches its own gateway bridge, unless the network is internal."""
        return Joined(name=InterfaceName(source=naming.source_name(endpoint)))


class MacvlanKind:
    """Docker's own IPAM is as good as ours here, where every host has a part of the LAN's addresses for itself; so what
    it gave is claimed for the whole cluster."""

    def __init__(self, claims: Claims, mirror: Mirror, reconciler: Reconciler, kernel: KernelThread) -> None:
        self._claims = claims
        self._mirror = mirror
        self._reconciler = reconciler
        self._kernel = kernel

    def wanted(self, request: CreateNetwork) -> Wanted:
        """See Kind."""
        return wanted_macvlan.wanted(request)

    async def check(self, want: Wanted) -> None:
        """Create an interface, to see whether the kernel accepts it."""
        there = await self._claims.meant(want)
        if there is not None:
            want.check_same(there)
        else:
            asked = want.request().model_dump(include={"name", "driver", "vni", "mtu", "internal", "options"})
            there = Network(subnets=(), **asked)
        await self._reconciler.check_network(there)

    async def own_mac(self, network: Network) -> str | None:
        """Return the parent's in the mode passthru."""
        return await self._reconciler.own_mac(network)

    async def check_addresses(self, network: Network, addresses: Collection[IPAddress]) -> None:
        """Raise ConflictError for addresses of hosts, which Docker's IPAM does not know."""
        if not addresses:
            raise UsageError(f"an endpoint needs an address: docker network create {network.name} with a --subnet")
        for address in sorted({*addresses} & await lan.hosts_addresses(self._kernel, self._mirror), key=str):
            raise ConflictError(
                f"{address} is the address of a host: exclude it with --aux-address or --ip-range of "
                "docker network create, or use --ipam-driver fastpath"
            )

    def joined(self, network: Network, endpoint: Endpoint) -> Joined:
        """Return the interface, and the LAN's router as gateway."""
        families = {address.version for address in endpoint.addresses}
        gateways = {
            subnet.gateway.version: str(subnet.gateway)
            for subnet in (() if network.internal else network.subnets)
            if subnet.gateway.version in families
        }
        return Joined(
            name=InterfaceName(source=naming.source_name(endpoint)),
            gateway=gateways.get(4, ""),
            gateway_v6=gateways.get(6, ""),
            no_gateway=True,
        )
