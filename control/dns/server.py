# SPDX-License-Identifier: Apache-2.0
"""Serves the resolvers' sockets in the event loop, over UDP and TCP. What anybody sends stops nothing, and costs the
others at most their fair share (shares.py)."""

import asyncio
import contextlib

from fastpath.control.dns.answer import Answers
from fastpath.control.dns.connections import Connections, Crowd
from fastpath.control.dns.counts import Counts
from fastpath.control.dns.datagrams import Datagrams
from fastpath.control.dns.shares import Admission
from fastpath.control.dns.sockets import Opened, Sockets


class Server:
    """The resolvers of all networks."""

    def __init__(self, sockets: Sockets, answers: Answers, counts: Counts) -> None:
        self._sockets = sockets
        self._answers = answers
        self._counts = counts
        self._admission = Admission(counts)
        self._crowd = Crowd()
        self._serving: dict[Opened, list[Datagrams | Connections]] = {}

    async def run(self) -> None:
        """Serve the open sockets, as they come and go, until cancelled."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(changed.set)

        self._sockets.on_change(tell)
        try:
            while True:
                changed.clear()
                self._serve(set(self._sockets.current().values()))
                await changed.wait()
        finally:
            self._sockets.on_change(lambda: None)
            self._serve(set())

    def _serve(self, wanted: set[Opened]) -> None:
        for opened in self._serving.keys() - wanted:
            for each in self._serving.pop(opened):
                each.close()
            self._admission.forget(opened.network.name)
        for opened in wanted - self._serving.keys():
            serving = self._serving[opened] = []
            network = opened.network
            for sock in opened.udp:
                serving.append(Datagrams(sock, network, self._answers, self._admission))
            for sock in opened.tcp:
                serving.append(Connections(sock, network, self._answers, self._admission, self._crowd))
        self._counts.keep({opened.network.name for opened in self._serving})
