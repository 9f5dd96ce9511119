# SPDX-License-Identifier: Apache-2.0
"""The content of the store: networks, endpoints, and their hosts.

Everything follows from numbers, so that the processes of the benchmark agree without communication.
"""

import hashlib
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastpath.control.cluster import keys
from fastpath.control.cluster.ipam import mac_for
from fastpath.control.cluster.stored import to_json
from fastpath.control.model.objects import Endpoint, IPInterface, Network, Peer, Sandbox, Subnet
from fastpath.control.store.interface import Put, Store

FIRST_VNI = 1000
PEERS = 10  # fictitious hosts: entries in the store, and a socket each
COMMIT_KEYS = 120  # of the 128 that a commit may change


@dataclass(frozen=True)
class Variant:
    """How many networks and endpoints there are.

    `local` endpoints are the measured host's, each in a sandbox of its own, one in each of the first networks. A
    single network is followed by empty ones.
    """

    name: str
    what: str
    networks: int
    endpoints: int  # in each network
    local: int
    empty: int = 0

    @property
    def pool_prefix(self) -> int:
        """The prefix length of each network's subnet."""
        return 16 if self.endpoints > 250 else 24

    def network(self, number: int) -> Network:
        """Return the network of that number, from 0."""
        base = ipaddress.ip_address("10.0.0.0") + (number << (32 - self.pool_prefix))
        pool = ipaddress.ip_network(f"{base}/{self.pool_prefix}")
        subnet = Subnet(pool=pool, gateway=pool[1])
        return Network(name=f"n{number:04}", vni=FIRST_VNI + number, subnets=(subnet,))

    def is_local(self, network: int, number: int) -> bool:
        """Return whether an endpoint is the measured host's."""
        return number < self.local if self.networks == 1 else number == 0 and network < self.local

    def sandbox_of(self, network: int, number: int) -> int:
        """Return the number of a local endpoint's sandbox."""
        return number if self.networks == 1 else network

    def address(self, network: int, number: int) -> IPInterface:
        """Return an endpoint's address; numbers beyond `endpoints` are made and removed during a run."""
        pool = self.network(network).subnets[0].pool
        return ipaddress.ip_interface(f"{pool[2 + number]}/{pool.prefixlen}")

    def endpoint(self, network: int, number: int, host: str, sandbox: Sandbox) -> Endpoint:
        """Return one endpoint, as the store has it."""
        address = self.address(network, number)
        name = f"n{network:04}"
        return Endpoint(
            id=hashlib.sha256(f"{name}/{number}".encode()).hexdigest()[:16],
            network=name,
            host=host,
            mac=mac_for([address]),
            addresses=(address,),
            sandbox=sandbox,
            state="ready",
        )


VARIANTS = {
    found.name: found
    for found in (
        Variant("wide", "one network of 10,000 endpoints, 1 of them here", 1, 10_000, 1, 999),
        Variant("many100", "1,000 networks of 10 endpoints, 100 of them here", 1_000, 10, 100),
        Variant("few", "one network of 2 endpoints, 1 of them here", 1, 2, 1),
    )
}


def peer_name(prefix: str, number: int) -> str:
    """Return a fictitious host's name; `prefix` is the measured host's without its end."""
    return f"{prefix}p{number}"


def peer_vtep(number: int) -> str:
    """Return a fictitious host's address on the underlay."""
    return f"192.0.2.{11 + number}"


def peer(prefix: str, number: int) -> Peer:
    """Return a fictitious host, as the store has it."""
    name = peer_name(prefix, number)
    return Peer.model_validate({"host": name, "id": name, "vtep": peer_vtep(number), "mtu": 1500, "version": "bench"})


def puts(found: Variant, prefix: str, sandboxes: Sequence[Sandbox]) -> Iterator[Put]:
    """Yield all networks and endpoints with their claims. `prefix` + "h1" is the measured host."""
    for number in range(found.networks + found.empty):
        network = found.network(number)
        yield Put(keys.network(network.name), to_json(network))
        for which in range(found.endpoints if number < found.networks else 0):
            yield from endpoint_puts(found, prefix, sandboxes, number, which)


def endpoint_puts(
    found: Variant, prefix: str, sandboxes: Sequence[Sandbox], network: int, number: int
) -> tuple[Put, Put, Put]:
    """Return one endpoint with its claims."""
    if found.is_local(network, number):
        host, sandbox = f"{prefix}h1", sandboxes[found.sandbox_of(network, number)]
    else:
        host = peer_name(prefix, (network + number) % PEERS)
        sandbox = Sandbox(path="/run/netns/elsewhere", inode=1)
    endpoint = found.endpoint(network, number, host, sandbox)
    identity = endpoint.id.encode()
    return (
        Put(keys.address(endpoint.network, endpoint.addresses[0].ip), identity),
        Put(keys.mac(endpoint.network, endpoint.mac), identity),
        Put(keys.endpoint(endpoint.network, endpoint.id), to_json(endpoint)),
    )


async def fill(store: Store, found: Variant, prefix: str, sandboxes: Sequence[Sandbox]) -> None:
    """Write all of it, COMMIT_KEYS to a commit."""
    batch: list[Put] = []
    for put in puts(found, prefix, sandboxes):
        batch.append(put)
        if len(batch) >= COMMIT_KEYS:
            await store.commit([], batch)
            batch = []
    if batch:
        await store.commit([], batch)
