# SPDX-License-Identifier: Apache-2.0
"""What Docker's requests change in the store, each in one transaction (docs/operators/store.md).

An address is Docker's before it is an endpoint's, and again afterwards (reservations.py). Only one thing makes it
an endpoint's: `create_endpoint`, which takes it from this host's Docker, or if it is free, and from nobody else. So
whatever was reserved for too long, or given back twice, two endpoints never have one address.
"""

import logging
from collections.abc import Collection, Sequence
from typing import Final

from fastpath.addresses import IPAddress
from fastpath.control.cluster import ipam, keys, last_given, places, whose
from fastpath.control.cluster.in_use import InUse
from fastpath.control.cluster.ipam import Pool
from fastpath.control.cluster.registry import SPREAD_AFTER, Registry
from fastpath.control.cluster.stored import read_endpoint, read_network
from fastpath.control.cluster.transact import Planned, ReadView, transact
from fastpath.control.docker.wanted import Wanted
from fastpath.control.model.macvlan import range_of
from fastpath.control.model.objects import NOWHERE, Endpoint, IPInterface, IPNetwork, Network, Sandbox
from fastpath.control.store.interface import Compare, Delete, DeniedError, Put, Store
from fastpath.errors import ConflictError, NotFoundError

log = logging.getLogger(__name__)

MANAGER: Final = "docker"


class Claims:
    """Networks, subnets, addresses and endpoints on behalf of one host's Docker."""

    def __init__(self, store: Store, registry: Registry, host: str, pool: Pool) -> None:
        self._store = store
        self._registry = registry
        self._reservations = registry.reservations
        self._host = host
        self._pool = pool

    # Networks.

    async def networks(self) -> list[Network]:
        """Return all networks that the store has now."""
        items = (await self._store.list(keys.NETWORKS)).items
        return [network for item in items if (network := read_network(item)) is not None]

    async def meant(self, wanted: Wanted) -> Network | None:
        """Return the network that `wanted` is to join, None if there is none."""
        return next((network for network in await self.networks() if wanted.is_meant(network)), None)

    async def use_network(self, wanted: Wanted, routed: Sequence[tuple[IPNetwork, str]]) -> tuple[Network, int]:
        """Create or join the network, as one of its users; return it and its revision."""

        async def plan(view: ReadView) -> Planned[tuple[Network, int]] | None:
            there = await self.meant(wanted)
            if there is None:
                try:
                    more = {"manager": MANAGER, "kept": wanted.kept}
                    await self._registry.create_network(wanted.request(), routed, **more)
                except ConflictError:
                    if await self.meant(wanted) is None:
                        raise
                return None
            wanted.check_same(there)
            item = await view.get(keys.network(there.name))
            if item is None:
                return None
            return Planned((there, item.revision), [Put(keys.user(there.name, self._host), MANAGER.encode())])

        used, _ = await transact(self._store, f"network {wanted.new_name}", plan)
        return used

    async def leave_network(self, name: str) -> None:
        """Remove this host's Docker from the network's users. A network that Docker created is deleted with its last
        user. Raise ConflictError if endpoints of Docker's are about to go: try again."""
        own = keys.user(name, self._host)

        async def plan(view: ReadView) -> Planned[None]:
            item = await self._store.get(keys.network(name))
            network = read_network(item) if item is not None else None
            users = await view.list(keys.users(name))
            last = all(user.key == own for user in users)
            if item is None or network is None or network.manager != MANAGER or not last:
                return Planned(None, [Delete(own)])
            if view.attempt > 0:  # something was in the way
                ends = [read_endpoint(end) for end in await self._registry.members(view, name)]
                if any(end is None or end.manager != MANAGER for end in ends):
                    return Planned(None, [Delete(own)])  # somebody uses it without Docker, and may go on
                if ends:  # as after an outage: whose they are tells the store soon
                    raise ConflictError(f"the network {name} has endpoints of Docker's that are being removed")
            claimed = await view.list(keys.addresses(name))
            return Planned(
                None,
                [
                    Delete(item.key),
                    Delete(own),
                    *last_given.forgotten(name),
                    *(Delete(address.key) for address in claimed),
                ],
                [
                    Compare(item.key, item.revision),
                    Compare(keys.macs(name), prefix=True),
                    *(Compare(user.key, user.revision) for user in users),
                    *(Compare(address.key, address.revision) for address in claimed),
                ],
            )

        try:
            await transact(self._store, f"network {name}", plan)
        except DeniedError as error:  # to remove the network; the mark is this host's own
            log.info("the network %s stays: %s", name, error)
            await self._store.commit([], [Delete(own)])

    # Subnets.

    async def choose_pool(self, routed: Sequence[tuple[IPNetwork, str]]) -> IPNetwork:
        """Reserve a subnet for this host until its network is created, and return it."""

        async def plan(view: ReadView) -> Planned[IPNetwork]:
            await view.get(keys.NETWORKS_GUARD)
            taken = [subnet.pool for network in await self.networks() for subnet in network.subnets]
            avoid = [pool for pool, _ in [*await self._registry.reserved_pools(), *routed]]
            pool = ipam.choose_subnet(self._pool, [*taken, *avoid])
            return Planned(
                pool,
                [
                    Put(keys.NETWORKS_GUARD, str(pool).encode()),
                    Put(keys.pool(pool), self._reservations.owner, await self._reservations.lease()),
                ],
            )

        pool, _ = await transact(self._store, "a subnet", plan, lease_gone=self._reservations.lease_gone)
        return pool

    async def release_pool(self, pool: IPNetwork) -> None:
        """Delete the reservation of a subnet, if there is one."""
        item = await self._store.get(keys.pool(pool))
        if item is not None and item.value == self._reservations.owner:
            await self._store.commit([Compare(item.key, item.revision)], [Delete(item.key)])

    # Addresses.

    async def reserve_address(
        self,
        network: str,
        pool: IPNetwork,
        within: IPNetwork,
        wish: IPAddress | None,
        *,
        avoid: Collection[IPAddress] = (),
        in_use: InUse = InUse(),  # noqa: B008  # it is frozen
    ) -> IPInterface:
        """Reserve an address for this host's Docker and return it: `wish`, or one of the subnet `pool` that is in
        `within` and neither in `avoid` nor in use. Raise ConflictError if it is taken, or none is left."""

        async def plan(view: ReadView) -> Planned[IPInterface]:
            item = await view.get(keys.network(network))
            found = read_network(item) if item is not None else None
            subnet = next((s for s in found.subnets if s.pool == pool), None) if found is not None else None
            if found is None or subnet is None:
                raise NotFoundError(f"there is no network {network} with the subnet {pool} any more: create it again")
            claims = await view.list(keys.addresses(network))
            taken = {address for claim in claims if (address := keys.address_of(claim.key)) is not None} | {*avoid}
            if wish is not None:
                # Docker may ask again when it got no answer. That two containers don't get it, create_endpoint sees to.
                own = {keys.address_of(claim.key) for claim in claims if claim.value == self._reservations.owner}
                held = next((claim for claim in claims if keys.address_of(claim.key) == wish), None)
                if held is not None and wish not in own:
                    who = await whose.holder(view, network, held)
                    raise ConflictError(f"the address {wish} is taken by {who}: choose another one")
                address = ipam.ask_for_address(subnet, wish, taken - own)
            else:
                part = within if within != pool else range_of(found)
                late = view.attempt >= SPREAD_AFTER
                after = (await last_given.read(view, network)).get(pool.version)
                address = in_use.choose(
                    taken | {*found.kept},
                    lambda but: ipam.choose_address(subnet, but, after=after, spread=late, within=part),
                )
            await in_use.check(view, [address.ip])
            key = keys.address(network, address.ip)
            revision_before = next((claim.revision for claim in claims if claim.key == key), 0)
            reservation = Put(key, self._reservations.owner, await self._reservations.lease())
            given = [last_given.put(network, address.ip)] if wish is None else []
            return Planned(address, [reservation, *given], [Compare(key, revision_before)])

        what = f"an address in {network}"
        address, _ = await transact(self._store, what, plan, lease_gone=self._reservations.lease_gone)
        return address

    async def release_address(self, network: str, address: IPAddress) -> None:
        """Delete the reservation of an address, if there is one."""
        item = await self._store.get(keys.address(network, address))
        if item is not None and item.value == self._reservations.owner:
            await self._store.commit([Compare(item.key, item.revision)], [Delete(item.key)])

    # Endpoints.

    async def create_endpoint(
        self, network: str, identity: str, addresses: tuple[IPInterface, ...], mac: str | None
    ) -> tuple[Endpoint, int]:
        """Create an endpoint, `joining`, without a sandbox; return it and the revision. Repeating this is no error."""

        async def plan(view: ReadView) -> Planned[Endpoint]:
            place = await places.find(view, self._host, network, identity)
            if place.item is not None:
                return Planned(self._same(place.endpoint, addresses, mac), revision=place.item.revision)
            if await view.get(keys.network(network)) is None:
                raise NotFoundError(f"there is no network {network} in the cluster any more: create it again")
            endpoint = Endpoint(
                id=identity,
                network=network,
                host=self._host,
                host_id=self._registry.host_id,
                mac=mac or ipam.mac_for(addresses, at_random=view.attempt >= SPREAD_AFTER),
                addresses=addresses,
                sandbox=NOWHERE,
                manager=MANAGER,
            )
            mac_key = keys.mac(network, endpoint.mac)
            if mac and (held := await view.get(mac_key)) is not None:
                who = await whose.holder(view, network, held)
                raise ConflictError(f"the MAC address {mac} is taken by {who}: choose another one")
            puts = [Put(mac_key, identity.encode()), *place.put(endpoint)]
            for address in addresses:
                key = keys.address(network, address.ip)
                claim = await view.get(key)
                if claim is not None and claim.value != self._reservations.owner:
                    who = await whose.holder(view, network, claim)
                    raise ConflictError(f"the address {address.ip} is taken by {who}: try again")
                puts.append(Put(key, identity.encode()))
            return Planned(endpoint, puts, [Compare(mac_key)])

        return await transact(self._store, f"an endpoint in {network}", plan)

    def _same(self, there: Endpoint | None, addresses: tuple[IPInterface, ...], mac: str | None) -> Endpoint:
        if there is None or there.host != self._host or there.addresses != addresses or mac not in (None, there.mac):
            raise ConflictError("another endpoint has this id in the store: try again")
        return there

    async def place(self, endpoint: Endpoint, sandbox: Sandbox) -> tuple[Endpoint, int]:
        """Write the endpoint's sandbox; return the endpoint and the revision. Raise NotFoundError."""

        def placed(there: Endpoint) -> Endpoint:
            if there.state == "leaving":
                raise NotFoundError(f"endpoint {endpoint.id} was removed meanwhile")
            if there.sandbox == sandbox:
                return there
            return there.model_copy(update={"sandbox": sandbox, "state": "joining"})

        changed = await self._registry.change_endpoint(endpoint, placed)
        if changed is None:
            raise NotFoundError(f"endpoint {endpoint.id} was removed meanwhile")
        return changed
