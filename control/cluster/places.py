# SPDX-License-Identifier: Apache-2.0
"""Where the store keeps an endpoint: among all of its network, as version 0.1 does, or under its host's own prefix,
once `fastpath store upgrade` has switched to that. An endpoint moves when its host writes it next."""

import asyncio
from dataclasses import dataclass

from fastpath.control.cluster import keys
from fastpath.control.cluster.stored import read_endpoint, to_json
from fastpath.control.cluster.transact import ReadView
from fastpath.control.model.objects import Endpoint
from fastpath.control.store.interface import Delete, Item, Put
from fastpath.errors import UsageError


@dataclass(frozen=True)
class Place:
    """`key`: where it belongs. `items`: what the store has of it, here or elsewhere."""

    key: str
    items: tuple[Item, ...]

    @property
    def item(self) -> Item | None:
        """Return what the store has."""
        return self.items[0] if self.items else None

    @property
    def endpoint(self) -> Endpoint | None:
        """Return the endpoint; None if there is none that can be read."""
        return read_endpoint(self.items[0]) if self.items else None

    @property
    def settled(self) -> bool:
        """Return whether it is where it belongs, and nowhere else."""
        return [item.key for item in self.items] == [self.key]

    def put(self, endpoint: Endpoint) -> list[Put | Delete]:
        """Return the changes that write it where it belongs."""
        before = self.items[0].value if self.items else b"{}"
        return [Put(self.key, to_json(endpoint, before)), *(d for d in self.removal() if d.key != self.key)]

    def removal(self) -> list[Delete]:
        """Return the changes that delete it."""
        return [Delete(item.key) for item in self.items]


async def find(view: ReadView, host: str, network: str, identity: str) -> Place:
    """Return the place of an endpoint of a host. Raise UsageError if the store's layout is of a later version."""
    old_key, own_key = keys.endpoint(network, identity), keys.host_endpoint(host, network, identity)
    layout, old, own = await asyncio.gather(view.get(keys.LAYOUT), view.get(old_key), view.get(own_key))
    if layout is not None and layout.value != keys.PER_HOST:
        raise UsageError("this version of fastpath does not know the store's layout: upgrade")
    found = (own, old) if layout is not None else (old, own)
    return Place(own_key if layout is not None else old_key, tuple(item for item in found if item is not None))
