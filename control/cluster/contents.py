# SPDX-License-Identifier: Apache-2.0
"""The objects that the store has, from its events. Whoever writes to the store may write nonsense, or too much: that is
ignored and told, and changes nothing else."""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from fastpath.addresses import IPAddress
from fastpath.control.cluster import keys
from fastpath.control.cluster.doubts import Doubts
from fastpath.control.cluster.holders import Claimant, Holders
from fastpath.control.cluster.stored import parse, shown, why
from fastpath.control.model.objects import Endpoint, Network, Peer
from fastpath.control.store.interface import Event

log = logging.getLogger(__name__)

MAX_NETWORKS = 1 << 14
MAX_PEERS = 1 << 12
MAX_ENDPOINTS = 1 << 14  # of one host
T = TypeVar("T")

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
    """`lost` are hosts whose key is gone: as they were last, until `forget`, or another host has their VTEP. `orphans`
    are this host's endpoints that somebody else deleted: they stay until they are written again, or `given_up`.
    `strangers` are endpoints of another machine that had this host's name: none of this host's, until they go like
    those of any dead host. `disputed` are those that cannot have the addresses that they claim (holders.py), each with
    the reason: they are ignored. `unreadable` and `excess` say, by key, why an object is; `per_host`, whether each host
    keeps its endpoints under a prefix of its own."""

    def __init__(self, host: str = "", host_id: str = "") -> None:
        self.networks: dict[str, Network] = {}
        self.endpoints: dict[str, dict[str, Endpoint]] = {}
        self.peers: dict[str, Peer] = {}
        self.lost: dict[str, Peer] = {}
        self.orphans: set[tuple[str, str]] = set()
        self.strangers: dict[tuple[str, str], Endpoint] = {}
        self.disputed: dict[str, dict[str, tuple[Endpoint, str]]] = {}
        self.per_host = False
        self.unreadable: dict[str, str] = {}
        self._doubts = Doubts()
        self.excess: dict[str, str] = {}
        # By key; the value's hash too, since a store that took the place of another one has the same numbers.
        self.seen: dict[str, tuple[int, int]] = {}
        # Whether an endpoint of this host is to go, by its id: then it is no orphan.
        self.is_unwanted: Callable[[str], bool] = lambda _: False
        self._host, self._host_id = host, host_id
        self._by_others = False
        self._at: dict[tuple[str, str], tuple[str, str]] = {}  # each endpoint's key and host
        self._of_host: Counter[str] = Counter()
        self._since: dict[tuple[str, str], int] = {}  # the revision at which each endpoint was first seen, or created
        self._holders: dict[str, Holders] = {}

    def take(self, events: Iterable[Event], *, by_others: bool = False) -> Changes:
        """Apply what happened, in order; return what changed. `by_others`: this host did not do it, so endpoints of
        its own that it deletes become orphans."""
        changes = Changes()
        self._by_others = by_others
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
                self._believe(event.key, changes)
                self.excess.pop(event.key, None)
            except TooManyError as error:
                if str(error) not in self.excess.values():
                    log.error("%s", error)
                self.excess[event.key] = str(error)
            except ValueError as error:
                # What was known under the key stays: a typing error must not remove a network.
                known, reason = self.unreadable.get(event.key), why(error)
                if known is None:
                    _touch(self._doubts.add(event.key), changes)
                self.unreadable[event.key] = reason
                if reason != known and len(self.unreadable) <= TOLD:
                    log.error("the store's %s cannot be read and is ignored: %s", shown(event.key), reason)
        return changes

    def _believe(self, key: str, changes: Changes) -> None:
        """Note that the object of a key can be read, or is gone."""
        if self.unreadable.pop(key, None) is not None:
            _touch(self._doubts.remove(key), changes)

    def knows_all(self, name: str | None = None) -> bool:
        """Return whether no object that may be about this network (None: about all) is one that cannot be read."""
        if name is None:
            return not self._doubts.about_all
        return not self._doubts.about(name, self.endpoints.get(name, {}))

    def ignored(self) -> list[tuple[str, str]]:
        """Return a key, or the like, and a sentence for each line that a person should read."""
        found = [
            (shown(key), f"{shown(key)} in the store cannot be read: {reason}")
            for key, reason in sorted(self.unreadable.items())[:TOLD]
        ]
        if len(self.unreadable) > TOLD:
            found.append(("more", f"{len(self.unreadable) - TOLD} more objects in the store cannot be read"))
        disputed = [each for members in self.disputed.values() for each in members.values()]
        found += [(endpoint.id, _dispute(endpoint, reason)) for endpoint, reason in disputed[:TOLD]]
        if len(disputed) > TOLD:
            found.append(("disputed", f"{len(disputed) - TOLD} more endpoints in the store are ignored"))
        counts = Counter(self.excess.values())
        return found + [(text, f"{text}; {count} ignored") for text, count in sorted(counts.items())]

    def all_endpoints(self) -> Iterator[Endpoint]:
        """Yield the endpoints, disputed ones too."""
        for members in self.endpoints.values():
            yield from members.values()
        for disputed in self.disputed.values():
            yield from (endpoint for endpoint, _ in disputed.values())

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
            self._change_endpoint(event, changes)
        elif event.key == keys.LAYOUT:
            changes.layout = True
            self.per_host = event.value is not None
            if event.value not in (None, keys.PER_HOST):
                raise ValueError("this version of fastpath does not know the layout: upgrade")

    def _change_network(self, name: str, value: bytes | None, changes: Changes) -> None:
        changes.networks.add(name)
        before = self.networks.get(name)
        network = parse(Network, value) if value is not None else None
        named = network.name if network is not None else name
        _change(self.networks, name, network, named=named, most=MAX_NETWORKS, what="networks")
        if network is not None and (before is None or before.subnets != network.subnets):
            self._judge_again(name, changes)

    def _change_peer(self, name: str, value: bytes | None, changes: Changes) -> None:
        changes.peers.add(name)
        peer = parse(Peer, value) if value is not None else None
        named = peer.host if peer is not None else name
        before = self.peers.get(name)
        _change(self.peers, name, peer, named=named, most=MAX_PEERS, what="hosts")
        if peer is not None:
            for other in [o for o in self.lost.values() if o.host == name or o.vtep == peer.vtep]:
                del self.lost[other.host]
                changes.peers.add(other.host)
        elif before is not None and self._may_be_back(before):
            self.lost[name] = before

    def _may_be_back(self, peer: Peer) -> bool:
        """Return whether a host whose key is gone is worth being remembered."""
        taken = any(other.vtep == peer.vtep for other in self.peers.values())
        return peer.host != self._host and not taken and len(self.lost) < MAX_PEERS

    def forget(self, host: str) -> Changes:
        """Forget a host that is lost. No error if it is not."""
        return Changes(peers={host} if self.lost.pop(host, None) is not None else set())

    def given_up(self, endpoint: Endpoint) -> Changes:
        """Forget an endpoint of this host that was deleted, and cannot be restored. No error if it is none."""
        changes, place = Changes(), (endpoint.network, endpoint.id)
        self._by_others = False
        if place in self.orphans:
            self._delete_endpoint(self._at[place][0], changes)
        return changes

    def _change_endpoint(self, event: Event, changes: Changes) -> None:
        key = event.key
        if event.value is None:
            self._delete_endpoint(key, changes)
            return
        host, name, identity = keys.parts(key)
        at = self._at.get((name, identity))
        endpoint = parse(Endpoint, event.value)
        _check_named(f"{endpoint.network}/{endpoint.id}", f"{name}/{identity}")
        if host is not None:
            _check_named(endpoint.host, host)
        if at is not None and at[0] != key and at[1] != endpoint.host:
            raise ValueError(f"the host {at[1]} has the endpoint of this id")
        if at is None and self._of_host[endpoint.host] >= MAX_ENDPOINTS:
            raise TooManyError(f"the host {endpoint.host} has more than {MAX_ENDPOINTS:,} endpoints in the store")
        before = self._find(name, identity)
        if before is not None and (before.mac, before.addresses) != (endpoint.mac, endpoint.addresses):
            raise ValueError("an endpoint keeps the addresses that it was created with")
        changes.endpoints.add((name, identity))
        since = self._since.get((name, identity)) or event.created or event.revision
        if at is not None:
            self._forget(name, identity)
        self._at[name, identity] = (key, endpoint.host)
        self._since[name, identity] = since
        self._of_host[endpoint.host] += 1
        if endpoint.host == self._host and endpoint.host_id not in ("", self._host_id):
            self.strangers[name, identity] = endpoint
            self._leave(endpoint, changes)
        else:
            self._judge(endpoint, changes)

    def _delete_endpoint(self, key: str, changes: Changes) -> None:
        with contextlib.suppress(ValueError):
            _, name, identity = keys.parts(key)
            if self._at.get((name, identity), ("", ""))[0] == key:  # else it has moved, or is another host's
                changes.endpoints.add((name, identity))
                if self._by_others and self._is_ours(name, identity):
                    self.orphans.add((name, identity))
                    return
                gone = self._forget(name, identity)
                if gone is not None:
                    self._leave(gone, changes)

    def _is_ours(self, name: str, identity: str) -> bool:
        """Return whether an endpoint is this host's, and is not about to be removed."""
        endpoint = self.endpoints.get(name, {}).get(identity)
        if endpoint is None or endpoint.host != self._host:
            return False
        return endpoint.state != "leaving" and not self.is_unwanted(identity)

    def _find(self, name: str, identity: str) -> Endpoint | None:
        """Return an endpoint as it is known, a disputed one too."""
        known = self.endpoints.get(name, {}).get(identity) or self.strangers.get((name, identity))
        return known if known is not None else self.disputed.get(name, {}).get(identity, (None, ""))[0]

    def _judge(self, endpoint: Endpoint, changes: Changes) -> None:
        """Put an endpoint among those that are believed, or those that are disputed."""
        since = self._since[endpoint.network, endpoint.id]
        free = self._place(Claimant(endpoint, since, endpoint.host == self._host), changes)
        self._hand_on(endpoint.network, free or [], changes)

    def _place(self, claimant: Claimant, changes: Changes) -> list[str | IPAddress] | None:
        """Put an endpoint where it belongs. Return the addresses that nobody has any more since then; None: it is
        disputed."""
        endpoint = claimant.endpoint
        name, identity = endpoint.network, endpoint.id
        holders = self._holders.setdefault(name, Holders())
        reason = holders.objection(self.networks.get(name), claimant)
        if reason is not None:
            self._dispute(claimant, reason)
            return None
        losers = holders.take(claimant)
        self._settle(endpoint)
        self.endpoints.setdefault(name, {})[identity] = endpoint
        free = []
        for loser in losers:
            self._remove(self.endpoints, loser.endpoint)
            changes.endpoints.add((name, loser.endpoint.id))
            # This host may have heard of its own endpoint before it hears that the last holder is gone.
            level = logging.DEBUG if claimant.here else logging.ERROR
            self._dispute(loser, f"endpoint {identity} of {endpoint.host} has its address", level)
            free += holders.drop(loser.endpoint)
        return free

    def _hand_on(self, name: str, free: list[str | IPAddress], changes: Changes) -> None:
        """Let those that wait for these addresses have them: for each, the first one that can. It may take others from
        somebody, and so on: not by recursion, since whoever writes to the store decides how far that goes."""
        while free:
            for claimant in self._holders[name].heirs(free.pop()):
                more = self._place(claimant, changes)
                if more is not None:
                    changes.endpoints.add((name, claimant.endpoint.id))
                    free += more
                    break

    def _dispute(self, claimant: Claimant, reason: str, level: int = logging.ERROR) -> None:
        endpoint = claimant.endpoint
        disputed = self.disputed.setdefault(endpoint.network, {})
        if len(disputed) < TOLD and disputed.get(endpoint.id, (None, ""))[1] != reason:
            log.log(level, "%s", _dispute(endpoint, reason))
        disputed[endpoint.id] = endpoint, reason
        self._holders[endpoint.network].wait(claimant)

    def _settle(self, endpoint: Endpoint) -> None:
        """Take an endpoint from those that are disputed, if it is one."""
        self._remove(self.disputed, endpoint)
        if endpoint.network in self._holders:
            self._holders[endpoint.network].wait_no_longer(endpoint)

    def _leave(self, gone: Endpoint, changes: Changes) -> None:
        """Let others have the addresses of an endpoint, if they claimed them, too."""
        if gone.network in self._holders:
            self._hand_on(gone.network, self._holders[gone.network].drop(gone), changes)

    def _judge_again(self, name: str, changes: Changes) -> None:
        """Judge all endpoints of a network, whose subnets changed or are known only now."""
        heard = [endpoint for endpoint, _ in self.disputed.pop(name, {}).values()]
        heard += self.endpoints.pop(name, {}).values()
        self._holders[name] = Holders()
        for endpoint in sorted(heard, key=lambda each: self._since[name, each.id]):
            changes.endpoints.add((name, endpoint.id))
            self._judge(endpoint, changes)

    def _forget(self, name: str, identity: str) -> Endpoint | None:
        """Forget an endpoint, and return it unless it is another machine's."""
        self.orphans.discard((name, identity))
        _, host = self._at.pop((name, identity))
        del self._since[name, identity]
        self._of_host[host] -= 1
        if not self._of_host[host]:
            del self._of_host[host]
        known = self._find(name, identity)
        if known is None or self.strangers.pop((name, identity), None) is not None:
            return None
        self._remove(self.endpoints, known)
        self._settle(known)
        return known

    def _remove(self, kind: dict[str, dict[str, T]], endpoint: Endpoint) -> None:
        members = kind.get(endpoint.network, {})
        members.pop(endpoint.id, None)
        if not members:
            kind.pop(endpoint.network, None)


def _touch(subject: keys.Subject, changes: Changes) -> None:
    """Note that there is more, or less, doubt about a network or a host."""
    if subject.network is not None:
        changes.networks.add(subject.network)
    if subject.host is not None:
        changes.peers.add(subject.host)


def _change(known: dict[str, T], name: str, value: T | None, *, named: str, most: int, what: str) -> None:
    """Set or remove an object by its name. Raise ValueError if it is `named` otherwise, TooManyError."""
    _check_named(named, name)
    if value is None:
        known.pop(name, None)
        return
    if name not in known and len(known) >= most:
        raise TooManyError(f"the store has more than {most:,} {what}")
    known[name] = value


def _check_named(by_value: str, by_key: str) -> None:
    if by_value != by_key:
        raise ValueError("its value has another name than its key")


def _dispute(endpoint: Endpoint, reason: str) -> str:
    return f"endpoint {endpoint.id} of {endpoint.host} in {endpoint.network} is ignored: {reason}"
