# SPDX-License-Identifier: Apache-2.0
"""IpamDriver: pools and addresses, for all hosts from the one store.

A pool's id says which subnet it is, so there is nothing to remember of it. Requests that come before the network itself
are for its gateway and for addresses that it keeps (--aux-address); they become part of the network by CreateNetwork.
"""

import contextlib
import functools
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address, ip_network

from fastpath.addresses import IPAddress
from fastpath.control.cluster import ipam
from fastpath.control.cluster.in_use import InUse
from fastpath.control.docker.claims import Claims
from fastpath.control.docker.protocol import (
    AddressGiven,
    AddressSpaces,
    IpamCapabilities,
    Nothing,
    PoolGiven,
    ReleaseAddress,
    ReleasePool,
    RequestAddress,
    RequestPool,
)
from fastpath.control.docker.state import DockerState
from fastpath.control.docker.wanted import ADDRESS_SPACE, NAME
from fastpath.control.model.kinds import kind_of
from fastpath.control.model.objects import IPNetwork
from fastpath.control.store.interface import UnavailableError
from fastpath.errors import NotFoundError, UsageError

RoutedSubnets = Callable[[], Awaitable[Sequence[tuple[IPNetwork, str]]]]


class IpamDriver:
    """`routed` returns the subnets that this host has routes to; `restore` creates a network again that vanished from
    the store; `avoid` returns the addresses of hosts in a LAN, `in_use` those in use in a network."""

    def __init__(
        self,
        claims: Claims,
        state: DockerState,
        routed: RoutedSubnets,
        *,
        restore: Callable[[str], Awaitable[None]],
        avoid: Callable[[], Awaitable[set[IPAddress]]],
        in_use: Callable[[str], Awaitable[InUse]],
    ) -> None:
        self._claims = claims
        self._state = state
        self._routed = routed
        self._restore = restore
        self._avoid = avoid
        self._in_use = in_use

    async def capabilities(self, _: Nothing) -> IpamCapabilities:
        """Return no capability: Docker need not repeat requests after a restart."""
        return IpamCapabilities()

    async def address_spaces(self, _: Nothing) -> AddressSpaces:
        """Return the address space by which CreateNetwork recognizes addresses of ours."""
        return AddressSpaces(local=ADDRESS_SPACE, everywhere=ADDRESS_SPACE)

    async def request_pool(self, request: RequestPool) -> PoolGiven:
        """Return the requested subnet, or that of a network in the cluster, or a free one."""
        if request.pool:
            pool = _subnet(request.pool, "--subnet")
        elif NAME in request.options:
            pool = await self._pool_of(request.options[NAME], 6 if request.v6 else 4)
        elif request.v6:
            raise UsageError("no IPv6 subnet is chosen by itself: add one, as in --ipv6 --subnet fd00:1::/64")
        else:
            pool = await self._claims.choose_pool(await self._routed())
        part = _subnet(request.sub_pool, "--ip-range") if request.sub_pool else pool
        if part.version != pool.version or not part.subnet_of(pool):  # type: ignore[arg-type]  # of one version
            raise UsageError(f"--ip-range {part} is not in {pool}")
        return PoolGiven(id=str(pool) if part == pool else f"{pool}+{part}", pool=str(pool))

    async def release_pool(self, request: ReleasePool) -> Nothing:
        """Delete the reservation of a subnet."""
        pool, _ = _read_id(request.id)
        with contextlib.suppress(UnavailableError):  # its lease ends
            await self._claims.release_pool(pool)
        return Nothing()

    async def request_address(self, request: RequestAddress) -> AddressGiven:
        """Return an address for a container, or for the network's gateway, which is the same on every host."""
        pool, part = _read_id(request.pool)
        wish = _address(request.address) if request.address else None
        entry = self._state.of_pool(pool)
        if request.for_gateway or entry is None:
            address = wish or await self._gateway(pool)
            if not ipam.is_usable(pool, address):
                raise UsageError(f"{address} cannot be an address of {pool}")
            return AddressGiven(address=f"{address}/{pool.prefixlen}")
        avoid = await self._avoid() if kind_of(entry.wanted.driver).in_lan else set()
        in_use = await self._in_use(entry.network)
        reserve = functools.partial(
            self._claims.reserve_address, entry.network, pool, part, wish, avoid=avoid, in_use=in_use
        )
        try:
            given = await reserve()
        except NotFoundError:
            await self._restore(entry.network)
            given = await reserve()
        return AddressGiven(address=str(given))

    async def release_address(self, request: ReleaseAddress) -> Nothing:
        """Delete the reservation of an address, if there is one."""
        pool, _ = _read_id(request.pool)
        entry = self._state.of_pool(pool)
        if entry is not None and request.address:
            with contextlib.suppress(UnavailableError):  # its lease ends
                await self._claims.release_address(entry.network, _address(request.address))
        return Nothing()

    async def _pool_of(self, name: str, version: int) -> IPNetwork:
        for network in await self._claims.networks():
            for subnet in network.subnets if network.name == name else ():
                if subnet.pool.version == version:
                    return subnet.pool
        raise UsageError(f"there is no network {name} with IPv{version} in the cluster: give --subnet to make it")

    async def _gateway(self, pool: IPNetwork) -> IPAddress:
        for network in await self._claims.networks():
            for subnet in network.subnets:
                if subnet.pool == pool:
                    return subnet.gateway
        return pool.network_address + 1


def _read_id(text: str) -> tuple[IPNetwork, IPNetwork]:
    """Return the subnet, and the part of it that addresses are taken from."""
    pool, _, part = text.partition("+")
    return _subnet(pool, "pool"), _subnet(part or pool, "pool")


def _subnet(text: str, what: str) -> IPNetwork:
    try:
        return ip_network(text)
    except ValueError as error:
        raise UsageError(f"invalid {what} {text}: {error}") from None


def _address(text: str) -> IPAddress:
    try:
        return ip_address(text.partition("/")[0])
    except ValueError:
        raise UsageError(f"{text} is not an IP address") from None
