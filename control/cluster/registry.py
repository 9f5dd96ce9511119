# SPDX-License-Identifier: Apache-2.0
"""Networks and endpoints in the store. Every change is one transaction, so two hosts never get one address,
MAC address, subnet or VNI, and a daemon that is killed leaves nothing half written.

An endpoint's life: `joining` (claimed) → its interface is created → `ready` → `leaving` → its interface is removed
→ the keys are deleted. After a crash the next daemon continues from the state that it finds.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

from fastpath.addresses import IPAddress
from fastpath.control.cluster import allowed, ipam, keys, last_given, places, whose
from fastpath.control.cluster.in_use import InUse
from fastpath.control.cluster.ipam import Pool
from fastpath.control.cluster.reservations import Reservations
from fastpath.control.cluster.stored import read_endpoint, read_network, read_peer, to_json
from fastpath.control.cluster.transact import Planned, ReadView, transact
from fastpath.control.model.choices import Carried
from fastpath.control.model.hostnames import of_sandbox
from fastpath.control.model.kinds import check_kernel_path, kind_of, may_have_kernel_path
from fastpath.control.model.macvlan import check_parent_free, range_of
from fastpath.control.model.objects import MIN_MTU_V6, Endpoint, IPInterface, IPNetwork, Network, Sandbox
from fastpath.control.model.requests import EndpointCreate, EndpointSet, NetworkCreate, NetworkSet
from fastpath.control.model.versions import PER_HOST_SINCE, older_than
from fastpath.control.store.checks import MAX_CHANGES
from fastpath.control.store.interface import Compare, Delete, Item, Put, Store
from fastpath.errors import ConflictError, NotFoundError, UsageError

SPREAD_AFTER = 3  # lost races after which addresses are chosen at random


class Registry:
    """Create, change and delete networks and endpoints on behalf of one host."""

    def __init__(self, store: Store, host: str, pool: Pool, host_id: str = "") -> None:
        self.host_id = host_id
        self._store = store
        self._host = host
        self._pool = pool
        self.reservations = Reservations(store, host)

    async def create_network(
        self, request: NetworkCreate, routed: Sequence[tuple[IPNetwork, str]] = (), **more: Any
    ) -> tuple[Network, int]:
        """Create a network; return it and its revision. `routed` are subnets that this host has routes to, each with
        its owner; `more` are fields of the network that no user sets. Raise UsageError, ConflictError."""

        async def plan(view: ReadView) -> Planned[Network]:
            await view.get(keys.NETWORKS_GUARD)
            items = await view.list(keys.NETWORKS)
            others = [other for item in items if (other := read_network(item)) is not None]
            reserved = [] if request.subnets else await self.reserved_pools()
            more["kernel_path"] = request.kernel_path or await self._kernel_path(request)
            network = self._plan_network(request, others, [*routed, *reserved]).model_copy(update=more)
            key = keys.network(network.name)
            if any(item.key == key for item in items):
                raise ConflictError(f"the store's {key} cannot be read: correct it, or choose another name")
            return Planned(
                network,
                [Put(keys.NETWORKS_GUARD, network.name.encode()), Put(key, to_json(network))],
                [Compare(key)],
                unsure=f"the network {network.name} may have been created nevertheless: see `fastpath network ls`",
            )

        return await transact(self._store, f"network {request.name}", plan)

    async def _kernel_path(self, request: NetworkCreate) -> Carried:
        """Return the default: to use the kernel path if such a network can, and all hosts have one at the same port."""
        if not may_have_kernel_path(request.driver, request.layout):
            return "off"
        peers = [read_peer(item) for item in (await self._store.list(keys.PEERS)).items]
        ports = {peer.kernel_port if peer is not None else 0 for peer in peers}
        return "tcp" if len(ports) == 1 and 0 not in ports else "off"

    async def reserved_pools(self) -> list[tuple[IPNetwork, str]]:
        """Return the subnets that are reserved for networks that do not exist yet."""
        items = (await self._store.list(keys.POOLS)).items
        pools = [keys.pool_of(item.key) for item in items]
        return [(pool, "a network that is being created") for pool in pools if pool is not None]

    def _plan_network(
        self, request: NetworkCreate, others: Sequence[Network], routed: Sequence[tuple[IPNetwork, str]]
    ) -> Network:
        for other in others:
            if other.name == request.name:
                raise ConflictError(f"there is a network {other.name} already: choose another name")
            if request.vni is not None and other.vni == request.vni:
                raise ConflictError(f"VNI {request.vni} belongs to the network {other.name}: choose another one")
        taken = [(subnet.pool, f"the network {other.name}") for other in others for subnet in other.subnets]
        pools = list(request.subnets)
        if not pools:
            pools = [ipam.choose_subnet(self._pool, [pool for pool, _ in [*taken, *routed]])]
        if kind_of(request.driver).in_lan:  # which hosts have routes to
            check_parent_free(request.name, request.options, others)
            routed = ()
        for pool in pools:
            ipam.check_subnet(pool, [*taken, *routed])
        _check_mtu(pools, request.mtu)
        check_kernel_path(request.driver, request.layout, request.kernel_path)
        vni = request.vni
        if vni is None and not kind_of(request.driver).in_lan:
            vni = ipam.choose_vni({other.vni for other in others if other.vni is not None})
        return Network(
            name=request.name,
            driver=request.driver,
            vni=vni,
            subnets=ipam.make_subnets(pools, request.gateways),
            mtu=request.mtu,
            layout=request.layout,
            internal=request.internal,
            options=request.options,
            port_security=request.port_security,
        )

    async def set_network(self, name: str, request: NetworkSet) -> tuple[Network, int]:
        """Change settings of a network; return it and its revision. Raise NotFoundError, UsageError."""
        wanted = request.model_dump(exclude_none=True)
        if wanted.get("mtu") == "auto":
            wanted["mtu"] = None

        async def plan(view: ReadView) -> Planned[Network]:
            item, there = await self._network(view, name)
            if kind_of(there.driver).in_lan and request.port_security is not None:
                raise UsageError(f"the {there.driver} network {name} has no port security: leave --port-security out")
            check_kernel_path(there.driver, there.layout, request.kernel_path)
            changed = there.model_copy(update=wanted)
            _check_mtu([subnet.pool for subnet in changed.subnets], changed.mtu)
            if changed == there:
                return Planned(there, revision=item.revision)
            return Planned(changed, [Put(item.key, to_json(changed, item.value))])

        return await transact(self._store, f"network {name}", plan)

    async def remove_network(self, name: str) -> int:
        """Delete a network; return the revision. Raise NotFoundError, and ConflictError if it has endpoints."""

        async def plan(view: ReadView) -> Planned[tuple[Item, ...]]:
            item, _ = await self._network(view, name)
            if view.attempt > 0:  # something was in the way
                await self._check_unused(view, name)
            users = await view.list(keys.users(name))
            unused = [Compare(keys.macs(name), prefix=True), Compare(keys.addresses(name), prefix=True)]
            return Planned(users, [Delete(item.key), *last_given.forgotten(name)], unused)

        users, revision = await transact(self._store, f"network {name}", plan)
        for user in users:  # one by one: a commit has a limit, hosts have none
            await self._store.commit([Compare(user.key, user.revision)], [Delete(user.key)])
        return revision

    async def _check_unused(self, view: ReadView, name: str) -> None:
        users = await self.members(view, name)
        if users:
            hosts = sorted({end.host for user in users if (end := read_endpoint(user)) is not None})
            raise ConflictError(
                f"the network {name} has {len(users)} endpoint{'s' if len(users) > 1 else ''} "
                f"on {', '.join(hosts) or 'unknown hosts'}: remove them first, see `fastpath endpoint ls {name}`"
            )
        for claim in await view.list(keys.addresses(name)):
            if claim.value.startswith(allowed.MARK):  # of an endpoint that a daemon of version 0.1 deleted
                await self._store.commit([Compare(claim.key, claim.revision)], [Delete(claim.key)])
                continue
            raise ConflictError(f"Docker uses the network {name}, or did so just now: try again in a few minutes")

    async def members(self, view: ReadView, name: str) -> list[Item]:
        """Return the endpoints of a network, wherever they are kept."""
        found = [*await view.list(keys.endpoints(name)), *await view.list(keys.HOSTS)]
        return [item for item in found if keys.network_of(item.key) == name]

    async def network_revision(self, name: str) -> int:
        """Return the revision at which a network was written. Raise NotFoundError."""
        item, _ = await self._network(self._store, name)
        return item.revision

    async def upgrade(self) -> None:
        """Have each host keep its endpoints under a prefix of its own. Raise ConflictError if a host would not see them
        there."""

        async def plan(view: ReadView) -> Planned[None]:
            if await view.get(keys.LAYOUT) is not None:
                return Planned(None)
            items = await view.list(keys.PEERS)
            peers = {peer.host: peer for item in items if (peer := read_peer(item)) is not None}
            for old in older_than(peers.values(), PER_HOST_SINCE):
                raise ConflictError(f"the host {old.host} runs fastpath {old.version}: upgrade it first")
            ends = [read_endpoint(item) for item in await view.list(keys.ENDPOINTS)]
            for host in sorted({end.host for end in ends if end is not None} - peers.keys()):
                raise ConflictError(f"the host {host} is away: start it, or wait until its endpoints are removed")
            unchanged = [Compare(item.key, item.revision) for item in items[: MAX_CHANGES - 1]]
            return Planned(None, [Put(keys.LAYOUT, keys.PER_HOST)], unchanged)

        await transact(self._store, "the layout of the store", plan)

    async def create_endpoint(
        self,
        identity: str,
        request: EndpointCreate,
        sandbox: Sandbox,
        avoid: Collection[IPAddress] = (),
        in_use: InUse = InUse(),  # noqa: B008  # it is frozen
        *,
        kernel_path: bool = False,
    ) -> tuple[Endpoint, int]:
        """Claim addresses, none of those in `avoid`, and a MAC address; return the new endpoint and the revision.

        If what is `in_use` is complete, the first attempt goes by that rather than list all that the store has, and the
        commit fails where an address is taken nevertheless. Raise NotFoundError, UsageError, ConflictError."""

        async def plan(view: ReadView) -> Planned[Endpoint] | None:
            _, network = await self._network(view, request.network)
            guess = in_use.complete and view.attempt == 0 and not request.addresses
            claimed = await view.list(keys.addresses(network.name)) if not guess else ()
            claims_of = {ip: found for found in claimed if (ip := keys.address_of(found.key)) is not None}
            for ip in request.addresses:
                if ip in claims_of:
                    who = await whose.holder(view, network.name, claims_of[ip])
                    raise ConflictError(f"the address {ip} is taken by {who}: choose another one")
            taken = {*claims_of, *avoid}
            late = view.attempt >= SPREAD_AFTER
            last = await last_given.read(view, network.name)

            addresses = in_use.choose(
                taken, lambda but: _choose_addresses(network, request.addresses, but, last=last, spread=late)
            )
            chosen = [address.ip for address in addresses if address.ip not in request.addresses]
            if guess and any(address.ip in in_use.holders for address in addresses):
                return None  # full, as far as this host knows: the store knows better
            await in_use.check(view, (address.ip for address in addresses))
            place = await places.find(view, self._host, network.name, identity)
            mac = request.mac or ipam.mac_for(addresses, at_random=late)
            endpoint = Endpoint(
                id=identity,
                network=network.name,
                host=self._host,
                host_id=self.host_id,
                mac=mac,
                addresses=addresses,
                sandbox=sandbox,
                ifname=request.name,
                kernel_path=kernel_path,
                names=tuple(dict.fromkeys(request.hostnames)) or of_sandbox(request.sandbox),
            )
            if request.mac and (held := await view.get(keys.mac(network.name, mac))) is not None:
                who = await whose.holder(view, network.name, held)
                raise ConflictError(f"the MAC address {mac} is taken by {who}: choose another one")
            claims = _claims(endpoint)
            return Planned(
                endpoint,
                [
                    *(Put(key, identity.encode()) for key in claims),
                    *place.put(endpoint),
                    *(last_given.put(network.name, ip) for ip in chosen),
                ],
                [Compare(key) for key in claims],
            )

        return await transact(self._store, f"an endpoint in {request.network}", plan)

    async def set_state(self, endpoint: Endpoint, state: Literal["ready", "leaving"]) -> int | None:
        """Write the endpoint's new state, its sandbox, and whether the kernel path reaches it; return the revision,
        None if the endpoint is gone."""

        def so(there: Endpoint) -> Endpoint:
            if there.state == "leaving" and state == "ready":
                return there
            carried = endpoint.kernel_path and state == "ready"
            if there.state == state and there.kernel_path == carried:
                return there
            return there.model_copy(update={"state": state, "sandbox": endpoint.sandbox, "kernel_path": carried})

        changed = await self.change_endpoint(endpoint, so)
        return changed[1] if changed is not None else None

    async def set_names(self, endpoint: Endpoint, names: tuple[str, ...]) -> int | None:
        """Write the endpoint's names; return the revision, None if the endpoint is gone."""
        changed = await self.change_endpoint(endpoint, lambda there: there.model_copy(update={"names": names}))
        return changed[1] if changed is not None else None

    async def change_endpoint(
        self, endpoint: Endpoint, change: Callable[[Endpoint], Endpoint]
    ) -> tuple[Endpoint, int] | None:
        """Apply `change` to this host's endpoint as the store has it, and write the result, as this host's and to where
        it belongs, if it differs; return it and the revision, None if the endpoint is gone."""

        async def plan(view: ReadView) -> Planned[Endpoint | None]:
            place = await places.find(view, endpoint.host, endpoint.network, endpoint.id)
            there = place.endpoint
            if place.item is None or there is None:
                return Planned(None)
            changed = change(there).model_copy(update={"host_id": self.host_id})
            if changed == there and place.settled:
                return Planned(there, revision=place.item.revision)
            return Planned(changed, place.put(changed))

        changed, revision = await transact(self._store, f"endpoint {endpoint.id}", plan)
        return (changed, revision) if changed is not None else None

    async def restore_endpoint(self, endpoint: Endpoint) -> None:
        """Claim again what an endpoint of this host had, and write it, after others deleted it: this host was away.
        Raise NotFoundError if its network is gone, ConflictError if somebody has one of its addresses."""

        async def plan(view: ReadView) -> Planned[None]:
            _, network = await self._network(view, endpoint.network)
            place = await places.find(view, self._host, endpoint.network, endpoint.id)
            if place.item is not None:
                return Planned(None)
            for address in endpoint.addresses:
                if not any(address.ip in subnet.pool for subnet in network.subnets):
                    raise ConflictError(f"{address.ip} is in no subnet of the network {network.name} any more")
            for claim in await asyncio.gather(*map(view.get, _claims(endpoint))):
                if claim is not None and claim.value not in (endpoint.id.encode(), self.reservations.owner):
                    what = claim.key.rpartition("/")[2]
                    raise ConflictError(f"{what} is {await self._holder(view, network.name, claim)} now")
            claims: list[Put | Delete] = [Put(key, endpoint.id.encode()) for key in _claims(endpoint)]
            claims += [await allowed.claimed(view, endpoint, each.ip) for each in endpoint.allowed]
            written = endpoint.model_copy(update={"host_id": self.host_id})
            return Planned(None, [*claims, *place.put(written)])

        await transact(self._store, f"endpoint {endpoint.id}", plan)

    async def _holder(self, view: ReadView, network: str, claim: Item) -> str:
        """Return whose a claim is, for people."""
        identity = claim.value.decode(errors="replace")
        for item in await self.members(view, network):
            end = read_endpoint(item)
            if end is not None and end.id == identity:
                return f"that of endpoint {end.id} of {end.host}"
        return "somebody else's"

    async def set_allowed(self, endpoint: Endpoint, request: EndpointSet) -> tuple[Endpoint, int]:
        """Change the addresses that an endpoint of this host may use; see allowed.py."""
        return await allowed.set_allowed(self._store, endpoint, request)

    async def delete_endpoint(self, endpoint: Endpoint, *, only_without_peer: bool = False) -> int | None:
        """Delete the endpoint and what it claimed; return the revision, None if it was gone already or, with
        `only_without_peer`, if its host is registered (again), or any host hears it."""

        async def plan(view: ReadView) -> Planned[bool]:
            place = await places.find(view, endpoint.host, endpoint.network, endpoint.id)
            if place.item is None or (only_without_peer and await _is_registered(view, place.endpoint or endpoint)):
                return Planned(False)
            changes: list[Put | Delete] = [*place.removal()]
            unheard = []
            if only_without_peer:
                if await view.list(keys.heard(endpoint.host)):
                    return Planned(False)
                unheard.append(Compare(keys.heard(endpoint.host), prefix=True))
                # A store that is full takes deletions, but nobody's word that a host is heard: nor this.
                changes.append(Put(keys.REAPER, endpoint.host.encode()))
            for claim in await asyncio.gather(*map(view.get, _claims(endpoint))):
                if claim is None or claim.value != endpoint.id.encode():
                    continue  # it is another endpoint's, whatever became of ours
                if endpoint.manager and endpoint.host == self._host and not claim.key.startswith(keys.CLAIMS_MACS):
                    # The manager will give the address back itself.
                    changes.append(Put(claim.key, self.reservations.owner, await self.reservations.lease()))
                else:
                    changes.append(Delete(claim.key))
            there = place.endpoint
            changes += await allowed.released(view, endpoint, [each.ip for each in there.allowed] if there else ())
            return Planned(True, changes, unheard)

        what = f"endpoint {endpoint.id}"
        deleted, revision = await transact(self._store, what, plan, lease_gone=self.reservations.lease_gone)
        return revision if deleted else None

    async def _network(self, store: Store | ReadView, name: str) -> tuple[Item, Network]:
        item = await store.get(keys.network(name)) if "/" not in name else None
        network = read_network(item) if item is not None else None
        if item is None or network is None:
            raise NotFoundError(f"there is no network {name}: see `fastpath network ls`")
        return item, network


def _check_mtu(pools: Sequence[IPNetwork], mtu: int | None) -> None:
    for pool in pools:
        if pool.version == 6 and mtu is not None and mtu < MIN_MTU_V6:
            raise UsageError(f"the subnet {pool} cannot have an MTU of {mtu}: IPv6 needs {MIN_MTU_V6}")


async def _is_registered(view: ReadView, endpoint: Endpoint) -> bool:
    """Return whether the endpoint's host is registered, rather than another machine of its name."""
    item = await view.get(keys.peer(endpoint.host))
    peer = read_peer(item) if item is not None else None
    return item is not None and (peer is None or endpoint.host_id in ("", peer.id))


def _claims(endpoint: Endpoint) -> list[str]:
    return [
        *(keys.address(endpoint.network, address.ip) for address in endpoint.addresses),
        keys.mac(endpoint.network, endpoint.mac),
    ]


def _choose_addresses(
    network: Network, wanted: Sequence[IPAddress], taken: set[IPAddress], *, last: last_given.Last, spread: bool
) -> tuple[IPInterface, ...]:
    left = list(wanted)
    chosen = []
    within = range_of(network)
    for subnet in network.subnets:
        own = [address for address in left if address in subnet.pool]
        if len(own) > 1:
            raise UsageError(
                f"{own[0]} and {own[1]} are both in {subnet.pool}: an endpoint has one address of a subnet"
            )
        if own:
            left.remove(own[0])
            chosen.append(ipam.ask_for_address(subnet, own[0], taken))
        else:
            free_of = taken | set(network.kept)  # not given unless asked for
            after = last.get(subnet.pool.version)
            chosen.append(ipam.choose_address(subnet, free_of, after=after, spread=spread, within=within))
    if left:
        pools = ", ".join(str(subnet.pool) for subnet in network.subnets)
        raise UsageError(f"{left[0]} is not in the network {network.name}, which has {pools}")
    return tuple(chosen)
