# SPDX-License-Identifier: Apache-2.0
"""Questions by TCP. A connection that is idle, slow, or that does not read its answers is aborted; where there are too
many, the asker who has most loses its oldest."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping

from fastpath.control.dns.answer import LONGEST, Answers
from fastpath.control.dns.shares import Admission
from fastpath.control.dns.watched import Watched
from fastpath.control.model.objects import Network

AT_ONCE = 256  # connections of all networks
PER_NETWORK = 32
PER_ASKER = 8
IDLE_S = 10.0  # for a whole question, and for the asker to take the answer
ABORT = struct.pack("ii", 1, 0)  # struct linger

_Tasks = list[asyncio.Task[None]]


class Crowd:
    """The open connections of all networks, by network and asker, oldest first."""

    def __init__(self) -> None:
        self._networks: dict[str, dict[str, _Tasks]] = {}

    def __len__(self) -> int:
        return sum(_count(askers) for askers in self._networks.values())

    def has_room(self, network: str, asker: str) -> bool:
        """Return whether this asker may have one more. If need be, the one who has most loses its oldest."""
        askers = self._networks.get(network, {})
        mine = len(askers.get(asker, ()))
        if mine >= PER_ASKER:
            return False
        if _count(askers) >= PER_NETWORK:
            return self._take_from(network, mine)
        if len(self) < AT_ONCE:
            return True
        largest = max(self._networks, key=lambda name: _count(self._networks[name]))
        return _count(self._networks[largest]) > _count(askers) + 1 and self._take_from(largest, 0)

    def enter(self, network: str, asker: str, task: asyncio.Task[None]) -> None:
        """Note a connection."""
        self._networks.setdefault(network, {}).setdefault(asker, []).append(task)

    def leave(self, network: str, asker: str, task: asyncio.Task[None]) -> None:
        """Forget a connection, if it is noted."""
        askers = self._networks.get(network, {})
        if task in askers.get(asker, ()):
            askers[asker].remove(task)
            if not askers[asker]:
                del askers[asker]
            if not askers:
                del self._networks[network]

    def _take_from(self, network: str, mine: int) -> bool:
        askers = self._networks[network]
        asker = max(askers, key=lambda each: len(askers[each]))
        if len(askers[asker]) <= mine + 1:
            return False
        oldest = askers[asker][0]
        self.leave(network, asker, oldest)
        oldest.cancel()
        return True


class Connections:
    """Answer the questions of one network that come by one listening socket, which is closed with it."""

    def __init__(
        self,
        sock: socket.socket,
        network: Network,
        answers: Answers,
        admission: Admission,
        crowd: Crowd,
    ) -> None:
        self._sock = sock
        self._network = network
        self._answers = answers
        self._admission = admission
        self._crowd = crowd
        self._watched = Watched(sock, self._take)

    def close(self) -> None:
        """Answer no more."""
        self._watched.close()

    def _take(self) -> bool:
        sock, (asker, *_) = self._sock.accept()
        name = self._network.name
        admitted = self._admission.take(name, asker)
        if admitted and not self._crowd.has_room(name, asker):
            self._admission.counts.limit(name, asker)
            admitted = False
        if not admitted:
            _abort(sock)
            return False
        sock.setblocking(False)
        task = self._watched.start(self._serve(sock, asker))
        self._crowd.enter(name, asker, task)
        task.add_done_callback(lambda done: self._crowd.leave(name, asker, done))
        task.add_done_callback(lambda _: sock.close())  # also if it was cancelled before it began
        return True

    async def _serve(self, sock: socket.socket, asker: str) -> None:
        reader, writer = await asyncio.open_connection(sock=sock, limit=LONGEST)
        writer.transport.set_write_buffer_limits(high=0)  # so that `drain` waits until the kernel has all
        try:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                await self._converse(reader, writer, asker)
        finally:
            writer.transport.abort()  # `close` would wait for an asker who does not read

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asker: str) -> None:
        """Answer the questions of a connection, each preceded by its length (RFC 7766)."""
        first = True  # it was paid for with the connection
        while True:
            async with asyncio.timeout(IDLE_S):
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                if length > LONGEST:
                    self._admission.counts.add("malformed")
                    return
                wire = await reader.readexactly(length)
            if not first and not self._admission.take(self._network.name, asker):
                return
            first = False
            answer = await self._answers.answer(self._network, wire, tcp=True, asker=asker)
            if answer is None:
                return
            writer.write(struct.pack("!H", len(answer)) + answer)
            async with asyncio.timeout(IDLE_S):
                await writer.drain()


def _count(askers: Mapping[str, _Tasks]) -> int:
    return sum(len(tasks) for tasks in askers.values())


def _abort(sock: socket.socket) -> None:
    """Close a connection at once, without anything that stays in the kernel."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    sock.close()
