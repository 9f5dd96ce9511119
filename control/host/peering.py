# SPDX-License-Identifier: Apache-2.0
"""The hosts that this one exchanges packets with: the guard and the engine admit them, the prober probes them, and the
smallest of their MTUs limits the containers' MTU."""

import logging

from fastpath import Engine
from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.guard.guard import Guard
from fastpath.control.host.network_sync import admit, admit_early, entry_for, usable_peers
from fastpath.control.host.probe import Prober
from fastpath.control.host.underlay import LEAST_OF_PEER, HostUnderlay
from fastpath.control.model.objects import Peer
from fastpath.control.model.problem import Problem
from fastpath.control.runtime.failures import Failures

log = logging.getLogger(__name__)


class Peering:
    """`peers` are the usable peers by host, those that are not registered any more, but not forgotten, too."""

    def __init__(
        self, underlay: HostUnderlay, mirror: Mirror, engine: Engine, prober: Prober, guard: Guard | None = None
    ) -> None:
        self.peers: dict[str, Peer] = {}
        self._unusable: list[Problem] = []
        self._failures = Failures(log, "peer")
        self._underlay = underlay
        self._mirror = mirror
        self._engine = engine
        self._prober = prober
        self._guard = guard

    @property
    def problems(self) -> list[Problem]:
        """Return why other peers are not usable, or not admitted."""
        small = [peer for peer in self.peers.values() if peer.mtu < LEAST_OF_PEER]
        return [*self._unusable, *map(_too_small, small), *self._failures.problems]

    def changed(self, changes: Changes) -> None:
        """Update after a change of the mirror."""
        if changes.peers:
            self.update()
        for name, identity in changes.endpoints:
            self._admit_early(name, identity)

    def _admit_early(self, name: str, identity: str) -> None:
        network = self._mirror.networks.get(name)
        endpoint = self._mirror.endpoints.get(name, {}).get(identity)
        if network is None or endpoint is None:
            return
        entry = entry_for(endpoint, self._underlay.host, self.peers, None)
        if entry is not None and entry.vtep is not None:
            admit_early(self._engine, network.vni, entry.vtep)

    def update(self) -> None:
        """Use the peers that the mirror has now."""
        self.peers, self._unusable = usable_peers(
            self._mirror.known_peers.values(), self._underlay.host, self._underlay.vtep, self._engine.udp_port
        )
        if self._guard is not None:
            self._guard.set_peers(peer.vtep for peer in self.peers.values())
        admit(self._engine, self.peers.values(), self._failures)
        self._prober.set_peers({host: peer.vtep for host, peer in self.peers.items()})
        self._underlay.measured(self._underlay.mtu, self.peers.values())


def _too_small(peer: Peer) -> Problem:
    why = (
        f"{peer.host} says that its MTU is {peer.mtu}: less than {LEAST_OF_PEER} does not limit this host's containers"
    )
    return Problem("peer", peer.host, "mtu", why)
