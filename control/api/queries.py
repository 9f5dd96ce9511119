# SPDX-License-Identifier: Apache-2.0
"""What a daemon shows: networks, peers, FDB, and its health."""

import contextlib
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from fastpath import Capture, Engine, Port, Remote, Segment
from fastpath.control.capture.open import endpoint_ports, open_capture
from fastpath.control.capture.request import CaptureRequest
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.cluster.reaper import Reaper, another
from fastpath.control.host.captured import CapturedNetworks
from fastpath.control.host.guard.guard import Guard
from fastpath.control.host.guard.rules import table_of
from fastpath.control.host.kernel_probe import KernelProber
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.path_mtu import PathProber
from fastpath.control.host.probe import PATIENCE, Prober
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.host.underlay import HostUnderlay
from fastpath.control.model.kinds import kind_of
from fastpath.control.model.objects import Endpoint, Network, Peer
from fastpath.control.model.problem import Problem
from fastpath.control.model.requests import (
    GuardInfo,
    NetworkDetail,
    NetworkInfo,
    OverlayFdbLine,
    PeerInfo,
    PeerState,
    Status,
)
from fastpath.control.model.versions import PER_HOST_SINCE, older_than
from fastpath.engine.stats import EngineStats
from fastpath.errors import ConflictError, NotFoundError, UsageError
from fastpath.text import printable
from fastpath.version import VERSION

NEWER = "the other hosts' endpoints since `fastpath store upgrade`: upgrade it"


class Queries:
    """Read the state of the daemon; change nothing. `more` returns the problems of other services."""

    def __init__(
        self,
        *,
        underlay: HostUnderlay,
        store: str,
        probe_interval: float,
        engine: Engine,
        stats: Callable[[], EngineStats],
        captured: CapturedNetworks,
        mirror: Mirror,
        reconciler: Reconciler,
        kernel: KernelThread,
        prober: Prober,
        kernel_prober: KernelProber,
        paths: PathProber,
        reaper: Reaper,
        guard: Guard | None,
        more: Callable[[], list[Problem]],
    ) -> None:
        self._underlay = underlay
        self._store = store
        self._patience = PATIENCE * probe_interval
        self._engine = engine
        self._stats = stats
        self._captured = captured
        self._mirror = mirror
        self._reconciler = reconciler
        self._kernel = kernel
        self._prober = prober
        self._kernel_prober = kernel_prober
        self._paths = paths
        self._reaper = reaper
        self._guard = guard
        self._more = more
        self._started = time.monotonic()

    @property
    def _host(self) -> str:
        return self._underlay.host

    def networks(self) -> list[NetworkInfo]:
        """Return all networks, by name."""
        return [self.info(network) for _, network in sorted(self._mirror.networks.items())]

    def network(self, name: str) -> NetworkDetail:
        """Return one network with its endpoints. Raise NotFoundError."""
        network = self._mirror.networks.get(name)
        if network is None:
            raise NotFoundError(f"there is no network {name}: see `fastpath network ls`")
        members = sorted(self._mirror.endpoints.get(name, {}).values(), key=lambda end: end.addresses[0].ip.packed)
        return NetworkDetail(**dict(self.info(network)), members=tuple(members))

    def info(self, network: Network) -> NetworkInfo:
        """Return one network, with its MTU and the number of its endpoints."""
        members = self._mirror.endpoints.get(network.name, {}).values()
        return NetworkInfo(
            network=network,
            mtu=network.mtu
            if network.mtu is not None or kind_of(network.driver).in_lan
            else self._underlay.container_mtu(),
            endpoints=len(members),
            local_endpoints=sum(endpoint.host == self._host for endpoint in members),
        )

    def endpoints(self, name: str | None) -> list[Endpoint]:
        """Return the endpoints of one network or of all, by network and address. Raise NotFoundError."""
        if name is not None:
            return list(self.network(name).members)
        return [endpoint for network in sorted(self._mirror.networks) for endpoint in self.network(network).members]

    def peers(self) -> list[PeerInfo]:
        """Return all other hosts by name, also those that are gone but have endpoints."""
        now = time.monotonic()
        counts: dict[str, int] = {}
        for members in self._mirror.endpoints.values():
            for endpoint in members.values():
                counts[endpoint.host] = counts.get(endpoint.host, 0) + 1
        known = self._mirror.known_peers
        hosts = (known.keys() | counts.keys()) - {self._host}
        return [self._peer(host, known.get(host), counts.get(host, 0), now) for host in sorted(hosts)]

    def _peer(self, host: str, peer: Peer | None, endpoints: int, now: float) -> PeerInfo:
        pulse = self._prober.pulses.get(host)
        up = pulse is not None and pulse.answered is not None and not pulse.silent(now, self._patience)
        return PeerInfo(
            peer=peer,
            host=host,
            state=self._state_of(host, peer, up=up),
            endpoints=endpoints,
            last_seen=now - pulse.answered if pulse is not None and pulse.answered is not None else None,
            round_trip=pulse.round_trip if pulse is not None else None,
            kernel_path=self._kernel_prober.state(host),
            path_mtu=self._paths.smaller(host),
            forgotten_in=self._reaper.forgotten_in(host) if peer is None else None,
        )

    def _state_of(self, host: str, peer: Peer | None, *, up: bool) -> PeerState:
        if peer is None:
            return "gone"
        if host in self._mirror.contents.lost:
            return "unregistered"
        return "up" if up else "silent"

    def segment(self, name: str) -> Segment:
        """Return the segment of a network on this host. Raise NotFoundError, UsageError."""
        network = self._mirror.networks.get(name)
        if network is None:
            raise NotFoundError(f"there is no network {name}: see `fastpath network ls`")
        segment = self._engine.segments.get(network.vni) if network.vni is not None else None
        if segment is None:
            raise UsageError(f"network {name} has no endpoint on this host")
        return segment

    def fdb(self, name: str | None) -> Iterator[OverlayFdbLine]:
        """Return the FDB of one network, or of all that have endpoints here: an iterator that may be read in another
        thread. Raise NotFoundError."""
        if name is not None and name not in self._mirror.networks:
            raise NotFoundError(f"there is no network {name}: see `fastpath network ls`")
        segments = self._engine.segments
        wanted = [each for each in sorted(self._mirror.networks) if name in (None, each)]
        found = []
        for each in wanted:
            vni = self._mirror.networks[each].vni
            if vni is not None and (segment := segments.get(vni)) is not None:
                labels = {end.mac: end.label for end in self._mirror.endpoints.get(each, {}).values()}
                found.append(_lines(each, segment, labels))
        return itertools.chain.from_iterable(found)

    def captured(self, name: str) -> contextlib.AbstractAsyncContextManager[str]:
        """Return a context within which the engine sees the frames of a network: it says what may be missing."""
        return self._captured.seen(name, self._host, self._mirror, self._reconciler)

    def open_capture(self, name: str) -> Callable[[CaptureRequest], Capture]:
        """Return a function that begins a capture of a network, in any thread. Raise NotFoundError."""
        network = self.network(name).network
        segment = self._engine.segments.get(network.vni) if network.vni is not None else None
        if segment is None:
            raise NotFoundError(
                f"the network {name} has no overlay endpoints on this host, so there is nothing to capture"
            )
        here = [each for each in self._mirror.endpoints.get(name, {}).values() if each.host == self._host]
        own_ports = network.layout == "direct"  # or else one for all of them

        def begin(wanted: CaptureRequest) -> Capture:
            return open_capture(self._engine, segment, wanted, endpoint_ports(segment, here), label=own_ports)

        return begin

    def guard(self) -> GuardInfo:
        """Return the guard's state and rules. It calls nft: not in the event loop."""
        if self._guard is None:
            return GuardInfo(state="off", table=table_of(self._underlay.vtep, self._engine.udp_port))
        return self._guard.info()

    def status(self) -> Status:
        """Return the health and the problems of this host."""
        peers = self.peers()
        stats = self._stats()
        problems = self._problems(peers)
        endpoints = [e for members in self._mirror.endpoints.values() for e in members.values()]
        events = [tally.events for tally in stats.tallies]
        return Status(
            healthy=not problems,
            problems=tuple(printable(problem.text) for problem in problems),
            host=self._host,
            version=VERSION,
            pid=os.getpid(),
            uptime=time.monotonic() - self._started,
            vtep=str(self._underlay.vtep),
            udp_port=self._engine.udp_port,
            underlay_mtu=self._underlay.mtu,
            workers=len(stats.workers),
            guard=self._guard.state if self._guard is not None else "off",
            store=self._store,
            store_answers=self._mirror.answering,
            revision=self._mirror.revision,
            networks=len(self._mirror.networks),
            endpoints=len(endpoints),
            local_endpoints=sum(endpoint.host == self._host for endpoint in endpoints),
            peers=len(peers),
            peers_up=sum(peer.state == "up" for peer in peers),
            smaller_paths={peer.host: peer.path_mtu for peer in peers if peer.path_mtu is not None},
            rx_frames=stats.kernel_path.traffic.rx_frames + sum(tally.traffic.rx_frames for tally in stats.tallies),
            tx_frames=stats.kernel_path.traffic.tx_frames + sum(tally.traffic.tx_frames for tally in stats.tallies),
            dropped=stats.kernel_path.drops + sum(sum(tally.drops.values()) for tally in stats.tallies),
            flooded=sum(event.get("flooded", 0) for event in events),
            unknown_unicast=sum(event.get("unknown_unicast", 0) for event in events),
            answered=sum(event.get("answered", 0) for event in events),
        )

    def _problems(self, peers: list[PeerInfo]) -> list[Problem]:
        found = []
        if not self._mirror.synced.is_set():
            why = "the store has not answered since the start: this host uses its last known state"
            found.append(Problem("store", "", "not-reached", why))
        if (trouble := self._mirror.trouble) is not None:
            found.append(Problem("store", "", "trouble", trouble))
        if (warning := self._mirror.warning) is not None and warning not in (self._mirror.trouble or ""):
            found.append(Problem("store", "", "credentials", warning))
        if (overdue := self._kernel.overdue()) is not None:
            found.append(Problem("host", "kernel", "overdue", overdue))
        if (trouble := self._engine.housekeeping.trouble) is not None:
            why = f"the engine's housekeeper failed, and tries again: {trouble}"
            found.append(Problem("host", "engine", "housekeeping", why))
        found += self._guard.problems if self._guard is not None else ()
        found += self._more()
        found += [Problem("store", key, "ignored", why) for key, why in self._mirror.contents.ignored()]
        found += self._strangers() + self._too_old()
        found += [problem for _, problem in sorted(self._reconciler.problems.items(), key=lambda item: item[0])]
        for peer in peers:
            if peer.state == "silent" and peer.peer is not None and self._overdue(peer.host):
                why = f"peer {peer.host} ({peer.peer.vtep}) does not answer over the overlay's UDP port"
                found.append(Problem("peer", peer.host, "silent", why))
            if peer.state == "unregistered":
                found.append(Problem("peer", peer.host, "unregistered", _unregistered(peer)))
        for host in self._kernel_prober.silent(time.monotonic()):
            port = self._underlay.kernel_port
            why = f"the kernel path to {host} does not answer: the engine carries all frames; is UDP port {port} open?"
            found.append(Problem("peer", host, "kernel-path", why))
        for peer in peers:
            if peer.state == "gone" and peer.forgotten_in is not None:
                left = f"its {peer.endpoints} endpoints are removed in {peer.forgotten_in:.0f} s"
                found.append(Problem("peer", peer.host, "gone", f"peer {peer.host} is gone; {left}"))
        return found

    def _strangers(self) -> list[Problem]:
        """Return a problem for each other machine that had this host's name."""
        counts = Counter(another(endpoint) for endpoint in self._mirror.contents.strangers.values())
        found = []
        for who, count in sorted(counts.items()):
            left = self._reaper.forgotten_in(who)
            when = f"they are removed in {left:.0f} s" if left is not None else "they stay while it is registered"
            found.append(Problem("host", who, "stranger", f"{who} has {count} endpoints in the store; {when}"))
        return found

    def _too_old(self) -> list[Problem]:
        """Return a problem for each host whose version does not know where endpoints are kept."""
        if not self._mirror.contents.per_host:
            return []
        return [
            Problem("peer", peer.host, "version", f"{peer.host} runs fastpath {peer.version}, which cannot see {NEWER}")
            for peer in older_than(self._mirror.peers.values(), PER_HOST_SINCE)
        ]

    def _overdue(self, host: str) -> bool:
        pulse = self._prober.pulses.get(host)
        return pulse is not None and pulse.silent(time.monotonic(), self._patience)


def _unregistered(peer: PeerInfo) -> str:
    seen = f"it answered {peer.last_seen:.0f} s ago" if peer.last_seen is not None else "it does not answer"
    return f"peer {peer.host} is not registered in the store any more; {seen}: see `fastpath status` there"


def _lines(network: str, segment: Segment, labels: Mapping[str, str]) -> Iterator[OverlayFdbLine]:
    """Yield the flood list and the FDB, as far as the segment is there. `labels` name the endpoints by MAC address."""
    with contextlib.suppress(ConflictError):  # it is being removed
        for remote in segment.remotes:
            yield _line(network, "00:00:00:00:00:00", remote, "permanent")
        for entry in segment.fdb.values():
            state = "local" if entry.local else "permanent" if entry.static else ""
            for to in entry.to:
                age = None if entry.static else entry.age
                yield _line(network, entry.mac, to, state, updated=age, endpoint=labels.get(entry.mac))


def _line(network: str, mac: str, to: Port | Remote, state: str, **more: int | str | None) -> OverlayFdbLine:
    remote = to if isinstance(to, Remote) else None
    return OverlayFdbLine.model_validate(
        {
            "network": network,
            "mac": mac,
            "dst": str(remote.address) if remote is not None else None,
            "ifname": printable(to.name) if isinstance(to, Port) else None,
            "state": state,
            **more,
        }
    )
