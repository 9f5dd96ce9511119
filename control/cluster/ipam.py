# SPDX-License-Identifier: Apache-2.0
"""Choose the next subnet, VNI and address. Nothing here writes: registry.py commits the choice."""

import itertools
import random
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_network

from fastpath.addresses import IPAddress, parse_host
from fastpath.control.model.objects import MAX_VNI, MIN_VNI, IPInterface, IPNetwork, Subnet
from fastpath.errors import ConflictError, UsageError


@dataclass(frozen=True)
class Pool:
    """Where subnets come from if the user gives none: by default 10.0.0.0/8 in /24s, as in Docker's overlay."""

    network: IPv4Network | IPv6Network
    prefix: int


_MAPPED = IPv6Network("::ffff:0:0/96")
DEFAULT_POOL = Pool(IPv4Network("10.0.0.0/8"), 24)


def choose_subnet(pool: Pool, taken: Iterable[IPNetwork]) -> IPNetwork:
    """Return the first subnet of the pool that overlaps nothing in `taken`. Raise ConflictError if there is none."""
    spans = sorted(
        (int(net.network_address), int(net.broadcast_address))
        for net in taken
        if net.version == pool.network.version and net.overlaps(pool.network)
    )
    size = 1 << (pool.network.max_prefixlen - pool.prefix)
    at, end = int(pool.network.network_address), int(pool.network.broadcast_address)
    for first, last in spans:
        if first >= at + size:
            break
        at = max(at, (last // size + 1) * size)
    if at + size - 1 > end:
        raise ConflictError(
            f"the pool {pool.network} has no free /{pool.prefix}: remove a network, or give --subnet or a larger pool"
        )
    address = type(pool.network.network_address)(at)
    return ip_network(f"{address}/{pool.prefix}")


def check_subnet(subnet: IPNetwork, taken: Iterable[tuple[IPNetwork, str]]) -> None:
    """Raise ConflictError if the subnet overlaps one of `taken`, pairs of a subnet and its owner, and UsageError if
    containers cannot use it."""
    if subnet.num_addresses < 4:
        raise UsageError(f"the subnet {subnet} is too small: it needs room for a gateway and an endpoint")
    if subnet.version == 6 and subnet.overlaps(_MAPPED):
        raise UsageError(f"the subnet {subnet} is IPv4 written as IPv6: write it as IPv4, e.g. 10.1.0.0/24")
    if subnet.is_multicast or subnet.is_loopback or subnet.is_link_local or subnet.is_unspecified:
        raise UsageError(f"the subnet {subnet} cannot be used for containers: choose a private one, e.g. 10.1.0.0/24")
    for other, whose in taken:
        if other.version == subnet.version and other.overlaps(subnet):
            raise ConflictError(f"the subnet {subnet} overlaps {other} of {whose}: choose another one")


def make_subnets(pools: Sequence[IPNetwork], gateways: Sequence[IPAddress]) -> tuple[Subnet, ...]:
    """Return each pool with the gateway that lies in it, or with its first address. Raise UsageError."""
    left = list(gateways)
    subnets = []
    for pool in pools:
        check_subnet(pool, ())
        own = [gateway for gateway in left if gateway in pool]
        if len(own) > 1:
            raise UsageError(f"{own[0]} and {own[1]} are both in {pool}: a subnet has one gateway")
        gateway = own[0] if own else pool.network_address + 1
        if gateway in own:
            left.remove(gateway)
        if not is_usable(pool, gateway):
            raise UsageError(
                f"{gateway} cannot be the gateway of {pool}: it is the subnet's own or its broadcast address"
            )
        subnets.append(Subnet(pool=pool, gateway=parse_host(gateway)))
    if left:
        raise UsageError(f"the gateway {left[0]} is in none of the subnets: give its --subnet too")
    versions = [pool.version for pool in pools]
    if len(set(versions)) < len(versions):
        raise UsageError("a network has one IPv4 subnet and one IPv6 subnet at most")
    return tuple(subnets)


def is_usable(pool: IPNetwork, address: IPAddress) -> bool:
    """Return whether an interface may have the address: neither the network's own nor IPv4's broadcast address."""
    last = pool.broadcast_address if pool.version == 4 else None
    return address in pool and address not in (pool.network_address, last)


def choose_vni(taken: Collection[int]) -> int:
    """Return the lowest free VNI. Raise ConflictError if there is none."""
    for vni in range(MIN_VNI, MAX_VNI + 1):
        if vni not in taken:
            return vni
    raise ConflictError("no VNI is free: remove a network")


def choose_address(
    subnet: Subnet,
    taken: Collection[IPAddress],
    *,
    after: IPAddress | None = None,
    spread: bool = False,
    within: IPNetwork | None = None,
) -> IPInterface:
    """Return the first free address of the subnet, or of its part `within`, behind the address `after`, or else from
    the beginning; with `spread` a random one not far from there, for a caller that lost several races. Raise
    ConflictError if the subnet, or that part, is full."""
    pool = subnet.pool
    low, high = int(pool.network_address) + 1, int(pool.broadcast_address) - (1 if pool.version == 4 else 0)
    if within is not None and within.version == pool.version:
        low, high = max(low, int(within.network_address)), min(high, int(within.broadcast_address))
        pool_or_part = f"the part {within} of the subnet {pool}"
    else:
        pool_or_part = f"the subnet {pool}"
    used = {int(address) for address in taken if address in pool} | {int(subnet.gateway)}
    start = low
    if after is not None and after.version == pool.version and low <= int(after) < high:
        start = int(after) + 1
    if spread:
        start = random.randint(start, min(high, start + 4 * (len(used) + 16)))  # noqa: S311  # only to part rivals
    for number in itertools.chain(range(start, high + 1), range(low, start)):
        if number not in used:
            return _interface(pool, number)
    raise ConflictError(f"{pool_or_part} is full: every address is taken")


def ask_for_address(subnet: Subnet, address: IPAddress, taken: Collection[IPAddress]) -> IPInterface:
    """Return `address` as an interface's. Raise UsageError or ConflictError if it cannot be given."""
    if not is_usable(subnet.pool, address):
        raise UsageError(
            f"{address} cannot be given: it is the network's own or the broadcast address of {subnet.pool}"
        )
    if address == subnet.gateway:
        raise ConflictError(f"{address} is the gateway of {subnet.pool}: choose another address")
    if address in taken:
        raise ConflictError(f"the address {address} is taken: choose another one")
    return _interface(subnet.pool, int(address))


def _interface(pool: IPNetwork, number: int) -> IPInterface:
    if pool.version == 4:
        return IPv4Interface((number, pool.prefixlen))
    return IPv6Interface((number, pool.prefixlen))


def mac_for(addresses: Sequence[IPInterface], *, at_random: bool = False) -> str:
    """Return 02:42 and the IPv4 address, as Docker's overlay does; 02:43 and the end of the IPv6 address if there is no
    IPv4 address; 02:44 and random bytes for a caller that found those taken."""
    first = addresses[0].ip
    if at_random:
        return (b"\x02\x44" + secrets.token_bytes(4)).hex(":")
    return ((b"\x02\x42" if first.version == 4 else b"\x02\x43") + first.packed[-4:]).hex(":")
