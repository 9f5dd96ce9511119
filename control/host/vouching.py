# SPDX-License-Identifier: Apache-2.0
"""Vouch for what the engine knows: that nobody has an address of a network which the engine does not know.

That is so while the engine has all that the mirror has, and the mirror all that the store has, and while every host
has port security: containers of version 0.1 may have addresses that the store does not know. The engine believes it
for a few seconds each time, so a daemon that hangs or ends vouches for nothing.
"""

import asyncio
from collections.abc import Callable

from fastpath import Engine
from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.model.versions import PORT_SECURITY_SINCE, older_than

LOOK_S = 1.0
VOUCHED_S = 3
LOOKS = 2  # in a row at which all was in order: a watch that comes back brings what it missed a moment later


class Voucher:
    """`settled` says whether the engine has all that the mirror has. Let `run` run, and have `changed` told of each
    change of the mirror."""

    def __init__(self, engine: Engine, mirror: Mirror, settled: Callable[[], bool]) -> None:
        self._engine = engine
        self._mirror = mirror
        self._settled = settled
        self._good = 0

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        try:
            while True:
                self.look()
                await asyncio.sleep(LOOK_S)
        finally:
            self._engine.vouch(0)

    def look(self) -> None:
        """Vouch, or do not."""
        peers = self._mirror.known_peers.values()
        good = self._mirror.current and self._settled() and not older_than(peers, PORT_SECURITY_SINCE)
        self._good = self._good + 1 if good else 0
        self._engine.vouch(VOUCHED_S if self._good >= LOOKS else 0)

    def changed(self, changes: Changes) -> None:
        """Vouch for nothing until the engine has the change, if it is about a network that is here."""
        names = changes.networks | {name for name, _ in changes.endpoints}
        networks = (self._mirror.networks.get(name) for name in names)
        here = self._engine.segments
        if changes.peers or any(network is not None and network.vni in here for network in networks):
            self._good = 0
            self._engine.vouch(0)
