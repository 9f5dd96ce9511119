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
        yield from _addresses(self.endpoint)


class Holders:
    """The holders of one network's addresses, and who waits for them."""

    def __init__(self) -> None:
        self._by_address: dict[str | IPAddress, Claimant] = {}
        self._waiting: dict[str | IPAddress, dict[str, Claimant]] = {}
        self._own: dict[str | IPAddress, dict[str, Claimant]] = {}  # this host's, which keep theirs, two of one, too

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

    def take(self, claimant: Claimant) -> list[Claimant]:
        """Give the endpoint its addresses; return those that lose one by that."""
        lost = {}
        for address in claimant.wants():
            if claimant.here:
                self._own.setdefault(address, {})[claimant.endpoint.id] = claimant
            holder = self._by_address.get(address)
            if holder is not None and holder.endpoint.id != claimant.endpoint.id and not holder.here:
                lost[holder.endpoint.id] = holder
            if holder is None or claimant.rank <= holder.rank or holder.endpoint.id in lost:
                self._by_address[address] = claimant
        return list(lost.values())

    def drop(self, endpoint: Endpoint) -> list[str | IPAddress]:
        """Take an endpoint's addresses back; return those that nobody has then."""
        free = []
        for address in _addresses(endpoint):
            own = self._own.get(address, {})
            own.pop(endpoint.id, None)
            if not own:
                self._own.pop(address, None)
            holder = self._by_address.get(address)
            if holder is None or holder.endpoint.id != endpoint.id:
                continue
            if own:
                self._by_address[address] = min(own.values(), key=lambda each: each.rank)
            else:
                del self._by_address[address]
                free.append(address)
        return free

    def wait(self, claimant: Claimant) -> None:
        """Note that the endpoint wants its addresses, and cannot have them now."""
        for address in claimant.wants():
            self._waiting.setdefault(address, {})[claimant.endpoint.id] = claimant

    def wait_no_longer(self, endpoint: Endpoint) -> None:
        """Note that the endpoint has its addresses, or is gone. No error if it did not wait."""
        for address in _addresses(endpoint):
            waiting = self._waiting.get(address, {})
            waiting.pop(endpoint.id, None)
            if not waiting:
                self._waiting.pop(address, None)

    def heirs(self, address: str | IPAddress) -> list[Claimant]:
        """Return those that wait for an address and come before its holder, if it has one; the first one first."""
        holder = self._by_address.get(address)
        waiting = self._waiting.get(address, {}).values()
        return sorted((each for each in waiting if holder is None or each.rank < holder.rank), key=lambda c: c.rank)


def _addresses(endpoint: Endpoint) -> Iterator[str | IPAddress]:
    yield endpoint.mac
    for address in endpoint.addresses:
        yield address.ip


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
