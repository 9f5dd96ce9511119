# SPDX-License-Identifier: Apache-2.0
"""NetworkDriver: Docker's networks and endpoints as ours, of one kind (kinds.py).

An endpoint exists in the store from CreateEndpoint, so every host knows it before it sends. Join makes its interface
(managed.py); Docker takes it from there, and the reconciler keeps frames going. Our id of an endpoint is how Docker's
begins. What Docker says of what we don't know (any more) is taken for done.
"""

import logging
from ipaddress import ip_interface

from fastpath.control.cluster.mirror import Mirror, caught_up, gone, heard_others
from fastpath.control.cluster.registry import Registry
from fastpath.control.docker.claims import MANAGER, Claims
from fastpath.control.docker.ipam_driver import RoutedSubnets
from fastpath.control.docker.kinds import Kind
from fastpath.control.docker.protocol import (
    CreateEndpoint,
    CreateNetwork,
    EndpointCreated,
    Interface,
    Join,
    Joined,
    NetworkCapabilities,
    Nothing,
    OneEndpoint,
    OneNetwork,
    OperationalInfo,
)
from fastpath.control.docker.state import DockerNetwork, DockerState
from fastpath.control.drivers import managed
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.model.objects import Endpoint, IPInterface, Network, Sandbox
from fastpath.control.store.interface import UnavailableError
from fastpath.errors import FastpathError, NotFoundError, UsageError

log = logging.getLogger(__name__)


class NetworkDriver:
    """Answer Docker's requests to one of its network drivers."""

    def __init__(
        self,
        kind: Kind,
        *,
        host: str,
        claims: Claims,
        state: DockerState,
        mirror: Mirror,
        registry: Registry,
        reconciler: Reconciler,
        kernel: KernelThread,
        routed: RoutedSubnets,
    ) -> None:
        self._kind = kind
        self._host = host
        self._claims = claims
        self._state = state
        self._mirror = mirror
        self._registry = registry
        self._reconciler = reconciler
        self._kernel = kernel
        self._routed = routed

    async def capabilities(self, _: Nothing) -> NetworkCapabilities:
        """Return the scopes: Docker replicates nothing itself, but a network reaches other hosts."""
        return NetworkCapabilities(scope="local", connectivity_scope="global")

    # Networks.

    async def create_network(self, request: CreateNetwork) -> Nothing:
        """Create the network in the cluster, or join the existing one."""
        want = self._kind.wanted(request)
        async with self._state.lock:
            await self._kind.check(want)
            network, revision = await self._claims.use_network(want, await self._routed())
            self._state.add(request.network, DockerNetwork(network=network.name, wanted=want))
        await self._shown(network, revision)
        log.info("Docker created the network %s, as %s", network.name, request.network[:12])
        return Nothing()

    async def restore(self, name: str) -> None:
        """Create a network again that is no longer in the cluster, if this host's Docker has it."""
        entry = self._state.of_network(name)
        if entry is None:
            raise NotFoundError(f"there is no network {name}")
        async with self._state.lock:
            again = entry.wanted.model_copy(update={"name": name})
            network, revision = await self._claims.use_network(again, await self._routed())
        await self._shown(network, revision)
        log.warning("the network %s was missing in the cluster and is created again, since Docker has it", name)

    async def _shown(self, network: Network, revision: int) -> None:
        """Wait until the mirror shows the network, which another host may have created."""
        if self._mirror.networks.get(network.name) != network:
            await caught_up(self._mirror, revision)

    async def delete_network(self, request: OneNetwork) -> Nothing:
        """Forget the network. It always succeeds; the store is told later if it does not answer."""
        entry = self._state.remove(request.network)
        if entry is None:
            return Nothing()
        if entry.network in self._state.left:
            for endpoint in [e for e in self._own_endpoints() if e.network == entry.network]:
                await self._remove(endpoint)
            try:
                await self.strike_off(entry.network)
            except FastpathError as error:
                log.warning("this host leaves the network %s in the store later: %s", entry.network, error)
        log.info("Docker removed the network %s", entry.network)
        return Nothing()

    async def strike_off(self, name: str) -> None:
        """Tell the store that this host's Docker left the network."""
        self._check_store()
        async with self._state.lock:
            if name in self._state.left:
                await self._claims.leave_network(name)
                self._state.struck_off(name)

    # Endpoints.

    async def create_endpoint(self, request: CreateEndpoint) -> EndpointCreated:
        """Claim what the endpoint needs."""
        entry = self._state.networks.get(request.network)
        if entry is None:
            raise NotFoundError(
                f"fastpath on this host does not know the network {request.network[:12]}: "
                "docker network rm it, and create it again"
            )
        identity = request.endpoint[:16]
        mac = request.interface.mac.lower() or None
        addresses = tuple(_interface(t) for t in (request.interface.address, request.interface.address_v6) if t)
        try:
            endpoint = await self._claim(entry.network, identity, addresses, mac)
        except NotFoundError:
            await self.restore(entry.network)
            endpoint = await self._claim(entry.network, identity, addresses, mac)
        return EndpointCreated(interface=Interface(mac="" if mac else endpoint.mac))

    async def _claim(self, name: str, identity: str, addresses: tuple[IPInterface, ...], mac: str | None) -> Endpoint:
        network = self._network(name)
        await self._kind.check_addresses(network, [address.ip for address in addresses])
        mac = mac or await self._kind.own_mac(network)
        endpoint, revision = await self._claims.create_endpoint(name, identity, addresses, mac)
        if identity not in self._mirror.endpoints.get(name, {}):  # an earlier attempt got no answer
            await caught_up(self._mirror, revision)
        return endpoint

    def _network(self, name: str) -> Network:
        network = self._mirror.networks.get(name)
        if network is None:
            raise NotFoundError(f"there is no network {name} in the cluster any more: create it again")
        return network

    async def join(self, request: Join) -> Joined:
        """Create the interface; Docker moves it into the sandbox."""
        endpoint = self._find(request)
        if endpoint is None:
            raise NotFoundError(
                f"fastpath does not know the endpoint {request.endpoint[:12]}: start the container again"
            )
        # Of a container that starts there is no namespace yet: Docker makes one when it has all interfaces.
        where = await self._kernel.run(managed.expected, request.sandbox)
        where = where or Sandbox(path=request.sandbox, inode=0)
        endpoint, revision = await self._claims.place(endpoint, where)
        await heard_others(self._mirror, revision)
        await self._reconciler.ensure_endpoint_now(endpoint)
        log.info("endpoint %s: %s in %s", endpoint.id, endpoint.addresses[0].ip, endpoint.network)
        return self._kind.joined(self._network(endpoint.network), endpoint)

    async def leave(self, _: OneEndpoint) -> Nothing:
        """Do nothing: Docker still needs the interface in the sandbox; it is removed by DeleteEndpoint."""
        return Nothing()

    async def delete_endpoint(self, request: OneEndpoint) -> Nothing:
        """Remove the endpoint. Like delete_network it always succeeds."""
        endpoint = self._find(request)
        if endpoint is not None:
            await self._remove(endpoint)
        return Nothing()

    async def endpoint_info(self, _: OneEndpoint) -> OperationalInfo:
        """Return nothing: there is nothing for Docker to show."""
        return OperationalInfo()

    async def nothing(self, _: Nothing) -> Nothing:
        """Do nothing."""
        return Nothing()

    async def remove_orphan(self, endpoint: Endpoint) -> None:
        """Remove an endpoint that Docker forgot, unless its interface is in a sandbox after all."""
        place = await self._kernel.run(managed.look_for, self._host, endpoint)
        if place is not None and place.within is not None:
            return
        log.warning("endpoint %s in %s was never joined: Docker forgot it", endpoint.id, endpoint.network)
        await self._remove(endpoint)

    async def _remove(self, endpoint: Endpoint) -> None:
        self._reconciler.intentions.abandon(endpoint.id)  # so that no pass creates it again, or misses it
        try:
            await self._reconciler.remove_endpoint(endpoint)
            self._check_store()
            if await self._registry.delete_endpoint(endpoint) is not None:
                await self._give_back(endpoint)
            else:
                await gone(self._mirror, endpoint)
        except UnavailableError as error:
            log.warning("the endpoint %s is deleted from the store later: %s", endpoint.id, error)
            self._reconciler.look_at_everything()
        except FastpathError as error:
            log.error("the endpoint %s is removed at the next pass: %s", endpoint.id, error)
            self._reconciler.look_at_everything()

    async def _give_back(self, endpoint: Endpoint) -> None:
        """Delete the reservations of addresses that Docker's own IPAM gave. If this fails, a lease ends."""
        entry = self._state.of_network(endpoint.network)
        for address in endpoint.addresses if entry is not None and not entry.wanted.own_ipam else ():
            await self._claims.release_address(endpoint.network, address.ip)

    def _check_store(self) -> None:
        """Raise UnavailableError if the store is known to be away: removals need not wait for it."""
        if not self._mirror.answering:
            raise UnavailableError(self._mirror.trouble or "the store does not answer")

    def _own_endpoints(self) -> list[Endpoint]:
        return [e for e in self._mirror.local_endpoints(self._host) if e.manager == MANAGER]

    def _find(self, request: OneEndpoint) -> Endpoint | None:
        return next((e for e in self._own_endpoints() if e.id == request.endpoint[:16]), None)


def _interface(text: str) -> IPInterface:
    try:
        return ip_interface(text)
    except ValueError:
        raise UsageError(f"{text} is not an address with a prefix length") from None
