# SPDX-License-Identifier: Apache-2.0
"""The objects that the store has, from its events. Whoever writes to the store may write nonsense, or too much: that is
ignored and told, and changes nothing else."""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from fastpath.control.cluster import keys
from fastpath.control.cluster.stored import parse, shown, why
from fastpath.control.model.objects import Endpoint, Network, Peer
from fastpath.control.store.interface import Event

log = logging.getLogger(__name__)

MAX_NETWORKS = 1 << 14
MAX_PEERS = 1 << 12
MAX_ENDPOINTS = 1 << 14  # of one host
TOLD = 10  # what cannot be read is told in so many lines


@dataclass
class Changes:
    """What changed: networks and peers by name, endpoints as (network, id); `layout`: where endpoints are kept."""

    networks: set[str] = field(default_factory=set)
    endpoints: set[tuple[str, str]] = field(default_factory=set)
    peers: set[str] = field(default_factory=set)
    layout: bool = False

    def __bool__(self) -> bool:
        return bool(self.networks or self.endpoints or self.peers or self.layout)


class TooManyError(ValueError):
    """There are more objects of a kind than a host takes."""


class Contents:
    """`strangers` are endpoints of another machine that had this host's name: none of this host's, until they go like
    those of any dead host. `unreadable` and `excess` say, by key, why an object is ignored; `per_host`, whether each
    host keeps its endpoints under a prefix of its own."""

    def __init__(self, host: str = "", host_id: str = "") -> None:
        self.networks: dict[str, Network] = {}
        self.endpoints: dict[str, dict[str, Endpoint]] = {}
        self.peers: dict[str, Peer] = {}
        self.strangers: dict[tuple[str, str], Endpoint] = {}
        self.per_host = False
        self.unreadable: dict[str, str] = {}
        self.excess: dict[str, str] = {}
        # By key; the value's hash too, since a store that took the place of another one has the same numbers.
        self.seen: dict[str, tuple[int, int]] = {}
        self._host, self._host_id = host, host_id
        self._at: dict[tuple[str, str], tuple[str, str]] = {}  # each endpoint's key and host
        self._of_host: Counter[str] = Counter()

    def take(self, events: Iterable[Event]) -> Changes:
        """Apply what happened, in order; return what changed."""
        changes = Changes()
        for event in events:
            seen = (event.revision, hash(event.value))
            if event.value is None:
                self.seen.pop(event.key, None)
            elif self.seen.get(event.key) == seen:
                continue
            else:
                self.seen[event.key] = seen
            try:
                self._change(event, changes)
                self.unreadable.pop(event.key, None)
                self.excess.pop(event.key, None)
            except TooManyError as error:
                if str(error) not in self.excess.values():
                    log.error("%s", error)
                self.excess[event.key] = str(error)
            except ValueError as error:
                # What was known under the key stays: a typing error must not remove a network.
                known, reason = self.unreadable.get(event.key), why(error)
                self.unreadable[event.key] = reason
                if reason != known and len(self.unreadable) <= TOLD:
                    log.error("the store's %s cannot be read and is ignored: %s", shown(event.key), reason)
        return changes

    def ignored(self) -> list[tuple[str, str]]:
        """Return a key, or the like, and a sentence for each line that a person should read."""
        found = [
            (shown(key), f"{shown(key)} in the store cannot be read: {reason}")
            for key, reason in sorted(self.unreadable.items())[:TOLD]
        ]
        if len(self.unreadable) > TOLD:
            found.append(("more", f"{len(self.unreadable) - TOLD} more objects in the store cannot be read"))
        counts = Counter(self.excess.values())
        return found + [(text, f"{text}; {count} ignored") for text, count in sorted(counts.items())]

    def outside(self) -> Counter[str]:
        """Return how many endpoints each host has outside its own prefix."""
        return Counter(host for key, host in self._at.values() if key.startswith(keys.ENDPOINTS))

    def unsettled(self, host: str) -> list[Endpoint]:
        """Return the endpoints of this host that have no host id, or are not where the layout wants them."""
        prefix = keys.HOSTS if self.per_host else keys.ENDPOINTS
        return [
            endpoint
            for (name, identity), (key, at) in self._at.items()
            if at == host
            and (endpoint := self.endpoints.get(name, {}).get(identity)) is not None
            and (not endpoint.host_id or not key.startswith(prefix))
        ]

    def _change(self, event: Event, changes: Changes) -> None:
        if event.key.startswith(keys.NETWORKS):
            self._change_network(event.key.removeprefix(keys.NETWORKS), event.value, changes)
        elif event.key.startswith(keys.PEERS):
            self._change_peer(event.key.removeprefix(keys.PEERS), event.value, changes)
        elif event.key.startswith((keys.ENDPOINTS, keys.HOSTS)):
            self._change_endpoint(event.key, event.value, changes)
        elif event.key == keys.LAYOUT:
            changes.layout = True
            self.per_host = event.value is not None
            if event.value not in (None, keys.PER_HOST):
                raise ValueError("this version of fastpath does not know the layout: upgrade")

    def _change_network(self, name: str, value: bytes | None, changes: Changes) -> None:
        changes.networks.add(name)
        if value is None:
            self.networks.pop(name, None)
            return
        network = parse(Network, value)
        _check_named(network.name, name)
        if name not in self.networks and len(self.networks) >= MAX_NETWORKS:
            raise TooManyError(f"the store has more than {MAX_NETWORKS:,} networks")
        self.networks[name] = network

    def _change_peer(self, name: str, value: bytes | None, changes: Changes) -> None:
        changes.peers.add(name)
        if value is None:
            self.peers.pop(name, None)
            return
        peer = parse(Peer, value)
        _check_named(peer.host, name)
        if name not in self.peers and len(self.peers) >= MAX_PEERS:
            raise TooManyError(f"the store has more than {MAX_PEERS:,} hosts")
        self.peers[name] = peer

    def _change_endpoint(self, key: str, value: bytes | None, changes: Changes) -> None:
        if value is None:
            self._delete_endpoint(key, changes)
            return
        host, name, identity = keys.parts(key)
        at = self._at.get((name, identity))
        endpoint = parse(Endpoint, value)
        _check_named(f"{endpoint.network}/{endpoint.id}", f"{name}/{identity}")
        if host is not None:
            _check_named(endpoint.host, host)
        if at is not None and at[0] != key and at[1] != endpoint.host:
            raise ValueError(f"the host {at[1]} has the endpoint of this id")
        if at is None and self._of_host[endpoint.host] >= MAX_ENDPOINTS:
            raise TooManyError(f"the host {endpoint.host} has more than {MAX_ENDPOINTS:,} endpoints in the store")
        changes.endpoints.add((name, identity))
        if at is not None:
            self._forget(name, identity)
        self._at[name, identity] = (key, endpoint.host)
        self._of_host[endpoint.host] += 1
        if endpoint.host == self._host and endpoint.host_id not in ("", self._host_id):
            self.strangers[name, identity] = endpoint
        else:
            self.endpoints.setdefault(name, {})[identity] = endpoint

    def _delete_endpoint(self, key: str, changes: Changes) -> None:
        with contextlib.suppress(ValueError):
            _, name, identity = keys.parts(key)
            if self._at.get((name, identity), ("", ""))[0] == key:  # else it has moved, or is another host's
                changes.endpoints.add((name, identity))
                self._forget(name, identity)

    def _forget(self, name: str, identity: str) -> None:
        _, host = self._at.pop((name, identity))
        self._of_host[host] -= 1
        if not self._of_host[host]:
            del self._of_host[host]
        self.strangers.pop((name, identity), None)
        members = self.endpoints.get(name, {})
        members.pop(identity, None)
        if not members:
            self.endpoints.pop(name, None)


def _check_named(by_value: str, by_key: str) -> None:
    if by_value != by_key:
        raise ValueError("its value has another name than its key")
