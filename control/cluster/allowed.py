# SPDX-License-Identifier: Apache-2.0
"""Further addresses that endpoints may use: those that move between them, by VRRP or as floating addresses.

Several endpoints may have the same one. Its claim names them all, so nobody gets it as an address of its own.
"""

import ipaddress
from collections.abc import Iterable

from fastpath.addresses import IPAddress
from fastpath.control.cluster import ipam, keys, places
from fastpath.control.cluster.stored import MAX_VALUE, read_network
from fastpath.control.cluster.transact import Planned, ReadView, transact
from fastpath.control.model.objects import MAX_ALLOWED, Endpoint, IPInterface, Network
from fastpath.control.model.requests import EndpointSet
from fastpath.control.store.interface import Delete, Item, Put, Store
from fastpath.errors import ConflictError, NotFoundError, UsageError

MARK = b"allowed "  # then the ids of the endpoints


async def set_allowed(store: Store, endpoint: Endpoint, request: EndpointSet) -> tuple[Endpoint, int]:
    """Change the addresses that an endpoint of this host may use; return it and the revision. Raise NotFoundError,
    UsageError, ConflictError."""

    async def plan(view: ReadView) -> Planned[Endpoint]:
        place = await places.find(view, endpoint.host, endpoint.network, endpoint.id)
        there = place.endpoint
        found = await view.get(keys.network(endpoint.network))
        network = read_network(found) if found is not None else None
        if place.item is None or there is None or network is None:
            raise NotFoundError(f"endpoint {endpoint.id} was removed meanwhile")
        left = {address.ip: address for address in there.allowed}
        for ip in request.disallow:
            if left.pop(ip, None) is None:
                raise UsageError(f"{ip} is not one of the addresses that endpoint {there.id} is allowed")
        left |= {ip: _checked(network, there, ip) for ip in request.allow}
        if len(left) > MAX_ALLOWED:
            raise UsageError(f"an endpoint is allowed {MAX_ALLOWED} further addresses, not {len(left)}")
        changed = there.model_copy(update={"allowed": tuple(left.values())})
        if changed == there:
            return Planned(there, revision=place.item.revision)
        before = {address.ip for address in there.allowed}
        claims = [await claimed(view, there, ip) for ip in left.keys() - before]
        claims += await released(view, there, before - left.keys())
        return Planned(changed, [*place.put(changed), *claims])

    return await transact(store, f"endpoint {endpoint.id}", plan)


async def released(view: ReadView, endpoint: Endpoint, ips: Iterable[IPAddress]) -> list[Put | Delete]:
    """Return the changes by which the endpoint gives these addresses back."""
    changes: list[Put | Delete] = []
    for ip in ips:
        claim = await view.get(keys.address(endpoint.network, ip))
        if claim is not None and claim.value.startswith(MARK):
            changes.append(_put(claim.key, _users(claim) - {endpoint.id}))
    return changes


def _checked(network: Network, endpoint: Endpoint, ip: IPAddress) -> IPInterface:
    """Return an address with its subnet's prefix length. Raise UsageError, ConflictError."""
    if ip in {address.ip for address in endpoint.addresses}:
        raise UsageError(f"{ip} is an address of endpoint {endpoint.id} already")
    for subnet in network.subnets:
        if ip in subnet.pool:
            return ipam.ask_for_address(subnet, ip, ())
    pools = ", ".join(str(subnet.pool) for subnet in network.subnets)
    if ip.is_multicast or ip.is_unspecified or ip.is_loopback or ip == ipaddress.IPv4Address("255.255.255.255"):
        raise UsageError(f"{ip} is not the address of one interface: the network {network.name} has {pools}")
    return ipaddress.ip_interface(ip)


async def claimed(view: ReadView, endpoint: Endpoint, ip: IPAddress) -> Put | Delete:
    """Return the change by which the endpoint may use an address. Raise ConflictError."""
    key = keys.address(endpoint.network, ip)
    claim = await view.get(key)
    if claim is not None and len(claim.value) > MAX_VALUE - 64:  # and it is read no further
        raise ConflictError(f"the address {ip} is allowed to as many endpoints as can be")
    if claim is None or claim.value.startswith(MARK):
        return _put(key, (_users(claim) if claim is not None else set()) | {endpoint.id})
    if claim.lease:
        raise ConflictError(f"the address {ip} is reserved for Docker: try again in a few minutes")
    raise ConflictError(f"the address {ip} belongs to endpoint {claim.value.decode(errors='replace')[:16]}")


def _users(claim: Item) -> set[str]:
    return {identity.decode(errors="replace") for identity in claim.value.removeprefix(MARK).split()}


def _put(key: str, users: set[str]) -> Put | Delete:
    return Put(key, MARK + " ".join(sorted(users)).encode()) if users else Delete(key)
