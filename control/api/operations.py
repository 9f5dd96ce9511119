# SPDX-License-Identifier: Apache-2.0
"""What users can change: networks and endpoints. Each operation happens completely or leaves nothing behind."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence

from fastpath.addresses import IPAddress
from fastpath.control.cluster.mirror import Mirror, caught_up, gone, heard_others
from fastpath.control.cluster.registry import Registry
from fastpath.control.host import lan
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.kernel import netns
from fastpath.control.model import macvlan
from fastpath.control.model.kinds import kind_of
from fastpath.control.model.objects import Endpoint, IPNetwork, Network, Sandbox
from fastpath.control.model.requests import EndpointCreate, EndpointSet, NetworkCreate, NetworkSet, StoreLayout
from fastpath.control.model.versions import PER_HOST_SINCE, older_than
from fastpath.control.store.interface import UnavailableError
from fastpath.engine.limits import check_name
from fastpath.errors import ConflictError, FastpathError, NotFoundError, UsageError

log = logging.getLogger(__name__)


class Operations:
    """Create and remove networks and endpoints. `routed` returns the subnets that this host has routes to."""

    def __init__(
        self,
        host: str,
        mirror: Mirror,
        registry: Registry,
        reconciler: Reconciler,
        *,
        kernel: KernelThread,
        routed: Callable[[], Sequence[tuple[IPNetwork, str]]],
    ) -> None:
        self._host = host
        self._mirror = mirror
        self._registry = registry
        self._reconciler = reconciler
        self._kernel = kernel
        self._routed = routed
        self._creating = asyncio.Lock()

    async def create_network(self, request: NetworkCreate) -> Network:
        """Create a network for all hosts and return it."""
        if self._mirror.lost_all is not None:
            raise UnavailableError(self._mirror.lost_all)
        kind = kind_of(request.driver)
        request = kind.checked(request)
        if kind.in_lan:
            await self._try(request)
        routed = await self._kernel.run(self._routed)
        network, _ = await self._registry.create_network(request, routed)
        log.info("network %s created: %s, %s", network.name, kind.describe(network), _pools(network))
        return network

    async def _try(self, request: NetworkCreate) -> None:
        """Try the network on this host: what the kernel says to it is best heard now."""
        if request.name not in self._mirror.networks:  # which the registry says
            macvlan.check_parent_free(request.name, request.options, self._mirror.networks.values())
            tried = request.model_dump(include={"name", "driver", "vni", "mtu", "internal", "options"})
            await self._reconciler.check_network(Network(subnets=(), **tried))

    async def set_network(self, name: str, request: NetworkSet) -> Network:
        """Change settings of a network, on all hosts, and return it."""
        old = older_than(self._mirror.peers.values(), PER_HOST_SINCE) if request.mtu is not None else []
        if old:
            raise ConflictError(
                f"the host {old[0].host} runs fastpath {old[0].version}, which would create its containers' "
                "interfaces again for another MTU: upgrade it first"
            )
        network, _ = await self._registry.set_network(name, request)
        log.info("network %s changed: %s", name, request.model_dump_json(exclude_none=True))
        return network

    async def remove_network(self, name: str) -> None:
        """Remove a network that has no endpoints."""
        await self._registry.remove_network(name)
        log.info("network %s removed", name)

    async def upgrade_store(self) -> StoreLayout:
        """Have each host keep its endpoints under a prefix of its own in the store; return how far that is."""
        await self._registry.upgrade()
        contents = self._mirror.contents
        return StoreLayout(per_host=contents.per_host, outside=dict(contents.outside()))

    async def create_endpoint(self, request: EndpointCreate) -> Endpoint:
        """Join a sandbox of this host to a network: claim addresses in the store, then create the interface."""
        check_name(request.name)
        async with self._creating:
            where = await self._kernel.run(netns.resolve, request.sandbox)
            self._check_free(where, request)
            if request.network not in self._mirror.networks:  # another host may have created it just now
                await caught_up(self._mirror, await self._registry.network_revision(request.network))
            identity = secrets.token_hex(8)
            request, avoid = await self._for_lan(request)
            try:
                in_use = await self._reconciler.in_use(request.network)
                carried = await self._reconciler.carries(request.network)
                endpoint, revision = await self._registry.create_endpoint(
                    identity, request, where, avoid, in_use, kernel_path=carried
                )
            except UnavailableError:
                self._reconciler.intentions.abandon(identity)  # the commit may have happened
                raise
        try:
            await heard_others(self._mirror, revision)
            await self._reconciler.ensure_endpoint_now(endpoint)
        except BaseException:
            await self._undo(endpoint)
            raise
        ready = endpoint.model_copy(update={"state": "ready"})
        try:
            written = await self._registry.set_state(endpoint, "ready")
        except UnavailableError:
            self._reconciler.look_at_everything()  # which writes it once the store is back
            return ready
        if written is None:
            raise ConflictError(f"endpoint {endpoint.id} was removed while it was created")
        log.info("endpoint %s created: %s in %s", endpoint.id, endpoint.addresses[0].ip, endpoint.network)
        return ready

    def forwarder_changed(self, network: str) -> None:
        """Let the kernel path follow: it carries nothing of a network with a forwarder of its own."""
        self._reconciler.network_changed(network)

    async def _for_lan(self, request: EndpointCreate) -> tuple[EndpointCreate, set[IPAddress]]:
        """Return the request with the parent's MAC address if it needs that, and the hosts' addresses in the LAN."""
        network = self._mirror.networks.get(request.network)
        if network is None or not kind_of(network.driver).in_lan:
            return request, set()
        mac = request.mac or await self._reconciler.own_mac(network)
        return request.model_copy(update={"mac": mac}), await lan.hosts_addresses(self._kernel, self._mirror)

    async def remove_endpoint(self, beginning: str) -> None:
        """Remove an endpoint of this host, named by its id or the beginning of it."""
        endpoint = self._find_here(beginning)
        if endpoint.manager:
            raise ConflictError(
                f"endpoint {endpoint.id} belongs to a Docker container: use `docker network disconnect`"
            )
        try:
            await self._registry.set_state(endpoint, "leaving")  # the reconciler must not create its interface again
        except UnavailableError:
            self._reconciler.intentions.abandon_for_good(endpoint.id)
        await self._reconciler.remove_endpoint(endpoint)
        try:
            await self._delete(endpoint)  # a store that is full takes that
        except UnavailableError as error:
            self._reconciler.intentions.abandon_for_good(endpoint.id)
            self._reconciler.look_at_everything()  # which deletes it once the store is back
            log.warning("endpoint %s removed; the store hears of it later: %s", endpoint.id, error)
            return
        log.info("endpoint %s removed", endpoint.id)

    async def set_endpoint(self, beginning: str, request: EndpointSet) -> Endpoint:
        """Change the addresses that an endpoint of this host may use, and return the endpoint."""
        endpoint, _ = await self._registry.set_allowed(self._find_here(beginning), request)
        log.info("endpoint %s is allowed: %s", endpoint.id, ", ".join(map(str, endpoint.allowed)) or "nothing more")
        return endpoint

    async def _delete(self, endpoint: Endpoint) -> None:
        if await self._registry.delete_endpoint(endpoint) is None:
            await gone(self._mirror, endpoint)

    def _find_here(self, beginning: str) -> Endpoint:
        endpoint = self._find(beginning)
        if endpoint.host != self._host:
            raise ConflictError(f"endpoint {endpoint.id} is on the host {endpoint.host}: use that one")
        return endpoint

    def _find(self, beginning: str) -> Endpoint:
        found = [
            endpoint
            for members in self._mirror.endpoints.values()
            for endpoint in members.values()
            if beginning and endpoint.id.startswith(beginning)
        ]
        if not found:
            raise NotFoundError(f"there is no endpoint {beginning}: see `fastpath endpoint ls`")
        if len(found) > 1:
            raise UsageError(f"{len(found)} endpoints have an id that begins with {beginning}: type more of it")
        return found[0]

    def _check_free(self, where: Sandbox, request: EndpointCreate) -> None:
        for endpoint in self._mirror.local_endpoints(self._host):
            if (endpoint.sandbox.inode, endpoint.sandbox.cookie) != (where.inode, where.cookie):
                continue
            if endpoint.network == request.network:
                raise ConflictError(f"{request.sandbox} is in the network {request.network} already, as {endpoint.id}")
            if endpoint.ifname == request.name:
                raise ConflictError(
                    f"{request.name} in {request.sandbox} is its interface in {endpoint.network}: choose another --name"
                )

    async def _undo(self, endpoint: Endpoint) -> None:
        self._reconciler.intentions.abandon(endpoint.id)
        try:
            await self._registry.set_state(endpoint, "leaving")
            await self._reconciler.remove_endpoint(endpoint)
            await self._delete(endpoint)
        except FastpathError as error:
            log.warning("endpoint %s is undone at the next pass: %s", endpoint.id, error)
            self._reconciler.look_at_everything()


def _pools(network: Network) -> str:
    return ", ".join(str(subnet.pool) for subnet in network.subnets)
