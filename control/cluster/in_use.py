# SPDX-License-Identifier: Apache-2.0
"""Addresses that this host knows to be in use, whatever the claims in the store say: somebody may have deleted them."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from fastpath.addresses import IPAddress
from fastpath.control.cluster import places
from fastpath.control.cluster.transact import ReadView
from fastpath.control.cluster.whose import describe
from fastpath.control.model.objects import Endpoint
from fastpath.errors import ConflictError

T = TypeVar("T")


@dataclass(frozen=True)
class InUse:
    """What is in use in one network. `holders` are the endpoints that have or may use an address, as this host's mirror
    knows them. `refused` are addresses that somebody behind a port of this host used lately without being allowed to:
    they are given away only when no other one is left. `complete`: the mirror is in sync with the store."""

    holders: Mapping[IPAddress, Endpoint] = field(default_factory=dict)
    refused: frozenset[IPAddress] = frozenset()
    complete: bool = False

    def choose(self, taken: Collection[IPAddress], choice: Callable[[set[IPAddress]], T]) -> T:
        """Return the choice of addresses that are not in `taken`, nor in use if there are others. Raise the choice's
        ConflictError."""
        try:
            return choice({*taken, *self.refused, *self.holders})
        except ConflictError:
            return choice(set(taken))  # the mirror may be behind

    async def check(self, view: ReadView, addresses: Iterable[IPAddress]) -> None:
        """Raise ConflictError if the store has an endpoint with one of these addresses, which nobody claims."""
        for address in addresses:
            holder = self.holders.get(address)
            if holder is None:
                continue
            if (await places.find(view, holder.host, holder.network, holder.id)).item is not None:
                raise ConflictError(f"the address {address} is taken by {describe(holder)}: choose another one")
