# SPDX-License-Identifier: Apache-2.0
"""Hosts whose key in the store is gone. One whose data path answers has lost the store only: it stays a peer, with its
endpoints, until it has neither had a key nor answered for the grace time."""

import asyncio
import logging
import time

from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.probe import Prober
from fastpath.control.model.objects import Peer

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Unregistered:
    """Let `run` run, and have `changed` told of each change of the mirror."""

    def __init__(self, mirror: Mirror, prober: Prober, grace: float) -> None:
        self._mirror = mirror
        self._prober = prober
        self._grace = grace
        self._since: dict[str, float] = {}  # time.monotonic()

    def changed(self, changes: Changes) -> None:
        """Tell what became of a host."""
        for host in changes.peers & self._since.keys():
            if host in self._mirror.peers:
                away = time.monotonic() - self._since.pop(host)
                log.info("%s is registered again, after %.0f s", host, away)

    def heard(self) -> set[str]:
        """Return the hosts that are not registered, and whose data path answered within the grace time."""
        now = time.monotonic()
        pulses = self._prober.pulses
        return {
            host
            for host in self._mirror.contents.lost
            if (pulse := pulses.get(host)) is not None and pulse.answered is not None
            if not pulse.silent(now, self._grace)
        }

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Forget those that are silent."""
        now, heard = time.monotonic(), self.heard()
        for host, peer in list(self._mirror.contents.lost.items()):
            if host not in self._since:
                self._since[host] = now
                self._tell(peer, answers=host in heard)
            if host not in heard and now - self._since[host] > self._grace:
                del self._since[host]
                told = "%s has neither been registered nor answered for %.0f s: it is no peer any more"
                log.warning(told, host, self._grace)
                self._mirror.forget_peer(host)

    def _tell(self, peer: Peer, *, answers: bool) -> None:
        if answers:
            log.warning("%s (%s) is not registered any more, but answers: it stays a peer", peer.host, peer.vtep)
        else:
            log.warning("%s (%s) is not registered any more, and does not answer", peer.host, peer.vtep)
