# SPDX-License-Identifier: Apache-2.0
"""Which endpoint of a network has an address. Claims in the store see to it that there is one only; but a host whose
role of the store keeps it from others' endpoints can delete claims, and write what it likes about its own endpoints.

Who had an address first keeps it. An endpoint of this host keeps its own: this host gave them to a container.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fastpath.addresses import IPAddress
from fastpath.control.model.objects import Endpoint, Network


@dataclass(frozen=True)
class Claimant:
    """An endpoint, and the revision since which it has its addresses."""

    endpoint: Endpoint
    since: int
    here: bool

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Return what the first of several is the smallest by."""
        return not self.here, self.since, self.endpoint.id

    def wants(self) -> Iterator[str | IPAddress]:
        """Yield its MAC address and IP addresses."""
        yield self.endpoint.mac
        for address in self.endpoint.addresses:
            yield address.ip


class Holders:
    """The holders of one network's addresses."""

    def __init__(self) -> None:
        self._by_address: dict[str | IPAddress, Claimant] = {}

    def objection(self, network: Network | None, claimant: Claimant) -> str | None:
        """Return why the endpoint cannot have its addresses; None if it can."""
        if claimant.here:
            return None
        if network is not None and (why := _not_of(network, claimant.endpoint)) is not None:
            return why
        for address in claimant.wants():
            holder = self._by_address.get(address)
            if holder is not None and holder.endpoint.id != claimant.endpoint.id and holder.rank < claimant.rank:
                return f"endpoint {holder.endpoint.id} of {holder.endpoint.host} has had {address} before"
        return None

    def take(self, claimant: Claimant) -> list[Endpoint]:
        """Give the endpoint its addresses; return those that lose one by that."""
        lost = {}
        for address in claimant.wants():
            holder = self._by_address.get(address)
            if holder is not None and holder.endpoint.id != claimant.endpoint.id and not holder.here:
                lost[holder.endpoint.id] = holder.endpoint
            if holder is None or claimant.rank <= holder.rank or holder.endpoint.id in lost:
                self._by_address[address] = claimant
        return list(lost.values())

    def drop(self, endpoint: Endpoint) -> None:
        """Take an endpoint's addresses back."""
        for address in (endpoint.mac, *(address.ip for address in endpoint.addresses)):
            holder = self._by_address.get(address)
            if holder is not None and holder.endpoint.id == endpoint.id:
                del self._by_address[address]


def _not_of(network: Network, endpoint: Endpoint) -> str | None:
    """Return which of the endpoint's addresses no endpoint of the network can have, in a sentence."""
    if network.vni is not None and endpoint.mac == network.gateway_mac:
        return f"{endpoint.mac} is the gateway's"
    for address in endpoint.addresses:
        subnet = next((subnet for subnet in network.subnets if address.ip in subnet.pool), None)
        if subnet is None:
            return f"{address.ip} is in no subnet of the network"
        if address.ip == subnet.gateway:
            return f"{address.ip} is the gateway's"
    return None
