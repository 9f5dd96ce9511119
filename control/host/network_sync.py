# SPDX-License-Identifier: Apache-2.0
"""Program endpoints and peers from the store into the engine: members, flood list, FDB, neighbours.

`NetworkSync` does so for one segment: one endpoint at a time as events come, or all of them, compared with what the
engine really has. So frames to a known endpoint are never flooded, and an ARP request for its address is answered on
the sender's host. A peer may send to a network while it has endpoints of it.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastpath import Engine, Port, Remote, Segment, TapPort
from fastpath.addresses import IPAddress, format_mac
from fastpath.control.drivers.kernel_network import KernelNetwork, Reach
from fastpath.control.model.objects import Endpoint, Peer
from fastpath.control.model.problem import Problem, problem_of
from fastpath.control.runtime.failures import Failures
from fastpath.engine.complete import IPNetwork
from fastpath.errors import FastpathError, UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineEntry:
    """The engine's entry for one endpoint. Without `vtep`, it is behind this host's `port`; without `port`, too, it has
    no interface yet. What an interface says of its own MAC address proves nothing: the container may change it.
    `allowed` are further addresses that it may use, which may be another's at another time. `reach` is how the kernel
    path reaches it, if it does."""

    mac: str
    addresses: tuple[IPAddress, ...]
    vtep: IPAddress | None = None
    port: Port | None = None
    allowed: tuple[IPAddress, ...] = ()
    reach: Reach | None = None


class NetworkSync:
    """One network in one engine, and in the kernel path if that has a part in it (`kernel`). All methods are called
    from one thread at a time."""

    def __init__(self, segment: Segment, kernel: KernelNetwork | None = None) -> None:
        self.segment = segment
        self.kernel = kernel
        self.failed: dict[str, Problem] = {}  # what the engine refused at the last `sync`, by endpoint
        self._entries: dict[str, EngineEntry] = {}
        # The endpoint programmed last for a MAC or IP address: the next owner's entry often comes before the previous
        # owner's removal, which must not remove it.
        self._owners: dict[str | IPAddress, str] = {}
        self._vteps: Counter[IPAddress] = Counter()
        self._remotes: dict[IPAddress, Remote] = {}  # creating one takes longer than an FDB entry
        self._allowed: dict[str, tuple[IPAddress, ...]] = {}  # of those endpoints that have some
        self._closed: tuple[frozenset[IPNetwork], frozenset[IPAddress]] | None = None

    @property
    def vteps(self) -> frozenset[IPAddress]:
        """Return the VTEPs that have endpoints of this network."""
        return frozenset(self._vteps)

    def set(self, identity: str, entry: EngineEntry | None) -> None:
        """Program the current state of one endpoint; None: it is gone."""
        before = self._entries.get(identity)
        if before == entry:
            return
        reach = entry.reach if entry is not None else None
        with self.kernel.changing(identity, reach) if self.kernel is not None else contextlib.nullcontext():
            self._set(identity, before, entry)

    def _set(self, identity: str, before: EngineEntry | None, entry: EngineEntry | None) -> None:
        if entry is not None:
            self._program(entry)  # first: it may raise, and nothing is counted then
            self._flood_to(entry.vtep)
            self._entries[identity] = entry
            self._owners.update(dict.fromkeys((entry.mac, *entry.addresses), identity))
        else:
            del self._entries[identity]
        if before is not None:
            self._withdraw(identity, before, entry)
            self._spare(before.vtep)

    def update(self, wanted: Mapping[str, EngineEntry | None]) -> dict[str, Problem]:
        """Program the current state of these endpoints (None: gone). Return what the engine refused."""
        failed = {}
        # First of all: a new endpoint's addresses may be asked for before it is programmed.
        self._allowed.update({i: entry.allowed for i, entry in wanted.items() if entry is not None and entry.allowed})
        self._publish_complete()
        for identity, entry in wanted.items():
            try:
                self.set(identity, entry)
            except FastpathError as error:
                failed[identity] = self._refused(identity, error)
            else:
                if entry is None or not entry.allowed:
                    self._allowed.pop(identity, None)
        if self.kernel is not None:
            self.kernel.publish()
        if failed:
            self.close(None)
        return failed

    def close(self, subnets: Iterable[IPNetwork] | None, exceptions: Iterable[IPAddress] = ()) -> None:
        """Say that in these subnets nobody has an address but the endpoints and the `exceptions`: the engine then drops
        questions for others, while the daemon vouches for that (vouching.py). None: somebody may."""
        self._closed = None if subnets is None else (frozenset(subnets), frozenset(exceptions))
        self._publish_complete()

    def _publish_complete(self) -> None:
        if self._closed is None:
            self.segment.complete = None
            return
        subnets, exceptions = self._closed
        try:
            self.segment.complete = (subnets, exceptions.union(*self._allowed.values()))
        except UsageError:  # the store may call anything a router's address: no reason to leave the network as it is
            self.segment.complete = None

    def sync(self, wanted: Mapping[str, EngineEntry]) -> int:
        """Program all endpoints, and compare and repair what the engine has. Return how many repairs
        were needed of what had been programmed before. `failed` has what the engine refused."""
        known = self._entries.keys() | self._allowed.keys()  # of those that the engine refused, too
        self.failed = self.update(dict.fromkeys(known - wanted.keys()))
        self.failed |= self.update(wanted)
        repairs = self._repair_flood_list() + self._repair_fdb() + self._repair_neighbours()
        self.failed |= self._contested()
        self._tell_kernel()
        return repairs

    def _tell_kernel(self) -> None:
        """Tell the kernel path of what it could not use when the engine was told, such as the remotes of a network that
        had no vxlan device for a while."""
        if self.kernel is None:
            return
        for identity, entry in self._entries.items():
            if self._owners.get(entry.mac) == identity:
                try:
                    self.kernel.set(identity, entry.reach)
                except FastpathError as error:
                    self.failed[identity] = self._refused(identity, error)
        self.kernel.publish()

    def _contested(self) -> dict[str, Problem]:
        """Return the endpoints whose interface has a MAC address that is another endpoint's or the gateway's, or that
        found no room."""
        self.segment.refresh()
        found = {}
        for identity, entry in self._entries.items():
            port = entry.port
            if isinstance(port, TapPort) and not port.removed and port.contested is not None:
                mac = format_mac(port.contested)
                why = f"its interface was given the MAC address {mac}, which is another's: frames from it are dropped"
                found[identity] = Problem(f"VNI {self.segment.vni}", identity, "contested-mac", why)
            elif isinstance(port, TapPort) and not port.removed and port.unplaced is not None:
                mac = format_mac(port.unplaced)
                why = f"the FDB has no room for the MAC address {mac} of its interface: frames to it are flooded"
                found[identity] = Problem(f"VNI {self.segment.vni}", identity, "fdb-full", why)
        return found

    def _refused(self, identity: str, error: FastpathError) -> Problem:
        log.debug("the engine refuses endpoint %s", identity, exc_info=error)
        return problem_of(f"VNI {self.segment.vni}", identity, error)

    def _program(self, entry: EngineEntry) -> None:
        to: Port | Remote | None = entry.port
        if entry.vtep is not None:
            to = self._remote(entry.vtep)
        if to is not None:
            self.segment.fdb.set(entry.mac, to)
        for address in entry.addresses:
            self.segment.neighbours.set(address, entry.mac)

    def _withdraw(self, identity: str, before: EngineEntry, after: EngineEntry | None) -> None:
        if after is not None and after.mac == before.mac:
            told = after.vtep is not None or after.port is not None
            if not told and self._owners.get(before.mac) == identity:
                self._forget_mac(before.mac)
        elif self._disown(before.mac, identity):
            self._forget_mac(before.mac)
        for address in before.addresses:
            if (after is None or address not in after.addresses) and self._disown(address, identity):
                self.segment.neighbours.delete(address)

    def _disown(self, what: str | IPAddress, identity: str) -> bool:
        """Forget the owner, and return whether it was that endpoint's."""
        if self._owners.get(what) != identity:
            return False
        del self._owners[what]
        return True

    def _forget_mac(self, mac: str) -> None:
        found = self.segment.fdb.get(mac)
        if found is not None and found.static and not found.local:
            self.segment.fdb.delete(mac)

    def _flood_to(self, vtep: IPAddress | None) -> None:
        if vtep is None:
            return
        self._vteps[vtep] += 1
        if self._vteps[vtep] == 1:
            if self.segment.members_only:
                self.segment.admit(vtep)
            if self._remote(vtep) not in self.segment.remotes:
                self.segment.add_remote(vtep)

    def _spare(self, vtep: IPAddress | None) -> None:
        if vtep is None:
            return
        self._vteps[vtep] -= 1
        if self._vteps[vtep] <= 0:
            del self._vteps[vtep]
            if self._remote(vtep) in self.segment.remotes:
                self.segment.remove_remote(vtep)
            if vtep in self.segment.members:
                self.segment.dismiss(vtep)
            del self._remotes[vtep]

    def _remote(self, vtep: IPAddress) -> Remote:
        found = self._remotes.get(vtep)
        if found is None:
            found = self._remotes[vtep] = self.segment.remote(vtep)
        return found

    def _repair_flood_list(self) -> int:
        actual = {remote.address for remote in self.segment.remotes}
        for vtep in actual - self.vteps:
            self.segment.remove_remote(vtep)
        for vtep in self.vteps - actual:
            self.segment.add_remote(vtep)
        if self.segment.members_only:
            for vtep in self.segment.members - self.vteps:  # an endpoint that came and went at once: `admit_early`
                self.segment.dismiss(vtep)
            for vtep in self.vteps - self.segment.members:
                self.segment.admit(vtep)
        return len(actual ^ self.vteps)

    def _repair_fdb(self) -> int:
        repairs = 0
        actual = {entry.mac: entry.to for entry in self.segment.fdb.values() if entry.static and not entry.local}
        for identity, entry in self._entries.items():
            if self._owners.setdefault(entry.mac, identity) != identity:
                continue
            to = self._remote(entry.vtep) if entry.vtep is not None else entry.port
            found = actual.pop(entry.mac, ())
            if to is not None and found != (to,):
                try:
                    self.segment.fdb.set(entry.mac, to)
                except FastpathError as error:
                    self.failed[identity] = self._refused(identity, error)
                repairs += 1
        for mac in actual:
            self.segment.fdb.delete(mac)
        return repairs + len(actual)

    def _repair_neighbours(self) -> int:
        actual = dict(self.segment.neighbours.items())
        wanted = {
            address: entry.mac
            for identity, entry in self._entries.items()
            for address in entry.addresses
            if self._owners.setdefault(address, identity) == identity
        }
        if actual == wanted:
            return 0
        for address in actual.keys() - wanted.keys():
            self.segment.neighbours.delete(address)
        wrong = [(address, mac) for address, mac in wanted.items() if actual.get(address) != mac]
        for address, mac in wrong:
            self.segment.neighbours.set(address, mac)
        return len(actual.keys() - wanted.keys()) + len(wrong)


def entry_for(endpoint: Endpoint, host: str, peers: Mapping[str, Peer], port: Port | None) -> EngineEntry | None:
    """Return the entry of an endpoint for the engine of `host`; None if the endpoint is leaving, or its host is not a
    peer at present. `port` is the port of a local endpoint, if it has one."""
    addresses = tuple(address.ip for address in endpoint.addresses)
    if endpoint.state == "leaving":
        return None
    if endpoint.host == host:
        return EngineEntry(endpoint.mac, addresses, port=port, allowed=endpoint.allowed)
    peer = peers.get(endpoint.host)
    if peer is None or endpoint.host_id not in ("", peer.id):  # or another machine has the host's name now
        return None
    return EngineEntry(endpoint.mac, addresses, vtep=peer.vtep, allowed=endpoint.allowed)


def usable_peers(
    peers: Iterable[Peer], host: str, vtep: IPAddress, udp_port: int
) -> tuple[dict[str, Peer], list[Problem]]:
    """Return the hosts that this one can exchange packets with, by name, and the problems of the others."""
    found: dict[str, Peer] = {}
    problems = []
    for peer in peers:
        if peer.host == host:
            continue
        if peer.vtep.version != vtep.version:
            why = f"{peer.host} has the VTEP {peer.vtep}, this host {vtep}: use one address family on all hosts"
            problems.append(Problem("peer", peer.host, "family", why))
        elif peer.udp_port != udp_port:
            why = f"{peer.host} listens on UDP port {peer.udp_port}, this host on {udp_port}: use one port on all hosts"
            problems.append(Problem("peer", peer.host, "udp-port", why))
        elif peer.vtep == vtep:
            why = f"{peer.host} has this host's own VTEP {vtep}: give each host an address of its own"
            problems.append(Problem("peer", peer.host, "vtep", why))
        else:
            found[peer.host] = peer
    return found, problems


def admit(engine: Engine, peers: Iterable[Peer], failures: Failures) -> None:
    """Admit packets from the peers only, unless the engine accepts packets from every sender."""
    if not engine.known_only:
        return
    wanted = {peer.vtep for peer in peers}
    admitted = {remote.address for remote in engine.admitted}
    for address in admitted - wanted:
        engine.dismiss(address)
    for address in wanted - admitted:
        try:
            engine.admit(address)
            failures.over(str(address))
        except FastpathError as error:
            failures.failed(str(address), error, f"cannot admit packets from {address}: {error}")
    failures.only({str(address) for address in wanted})


def admit_early(engine: Engine, vni: int | None, vtep: IPAddress) -> None:
    """Admit packets of one network from a peer that has just got an endpoint of it. `NetworkSync` comes to that later,
    after other work; the endpoint's first packets may be here before."""
    segment = engine.segments.get(vni) if vni is not None else None
    if segment is None:
        return
    try:
        if segment.members_only:
            segment.admit(vtep)
    except FastpathError as error:  # the segment was removed meanwhile
        log.debug("cannot admit packets of VNI %s from %s yet: %s", vni, vtep, error)
