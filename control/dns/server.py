# SPDX-License-Identifier: Apache-2.0
"""Serves the resolvers' sockets in the event loop, over UDP and TCP. What anybody sends stops nothing."""

import asyncio
import contextlib
import logging
import struct
from typing import cast

from fastpath.control.dns.answer import Answers, Pending
from fastpath.control.dns.sockets import Opened, Sockets
from fastpath.control.model.objects import Network

log = logging.getLogger(__name__)

TCP_AT_ONCE = 32  # connections of one network
TCP_IDLE_S = 10.0


class Server:
    """The resolvers of all networks."""

    def __init__(self, sockets: Sockets, answers: Answers) -> None:
        self._sockets = sockets
        self._answers = answers
        self._serving: dict[Opened, _Serving] = {}

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
                await self._serve(set(self._sockets.current().values()))
                await changed.wait()
        finally:
            self._sockets.on_change(lambda: None)
            for opened in list(self._serving):
                self._serving.pop(opened).close()

    async def _serve(self, wanted: set[Opened]) -> None:
        for opened in self._serving.keys() - wanted:
            self._serving.pop(opened).close()
        for opened in wanted - self._serving.keys():
            serving = self._serving[opened] = _Serving(opened, self._answers)
            await serving.start()


class _Serving:
    """The resolver of one network."""

    def __init__(self, opened: Opened, answers: Answers) -> None:
        self._opened = opened
        self._answers = answers
        self._transports: list[asyncio.BaseTransport] = []
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        network = self._opened.network
        for sock in self._opened.udp:
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(network, self._answers), sock=sock)
            self._transports.append(transport)
        for sock in self._opened.tcp:
            self._servers.append(await asyncio.start_server(self._connected, sock=sock))

    def close(self) -> None:
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()
        for task in list(self._connections):
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # it is what runs this
        try:
            if len(self._connections) >= TCP_AT_ONCE:
                return
            self._connections.add(task)
            with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the questions of a connection, each preceded by its length (RFC 7766)."""
        while True:
            async with asyncio.timeout(TCP_IDLE_S):
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                wire = await reader.readexactly(length)
            answer = await self._answers.answer(self._opened.network, wire, tcp=True)
            if answer is None:
                return
            writer.write(struct.pack("!H", len(answer)) + answer)
            async with asyncio.timeout(TCP_IDLE_S):
                await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, network: Network, answers: Answers) -> None:
        self._network = network
        self._answers = answers
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def connection_lost(self, _: Exception | None) -> None:
        """Forget the transport."""
        for task in self._tasks:
            task.cancel()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a packet."""
        answer = self._answers.at_once(self._network, data)
        if isinstance(answer, Pending):
            task = asyncio.get_running_loop().create_task(self._later(answer, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif answer is not None:
            self._send(answer, addr)

    def error_received(self, exc: Exception) -> None:
        """Ignore that the client is gone."""
        log.debug("%s: %s", self._network.name, exc)

    async def _later(self, pending: Pending, addr: tuple[str, int]) -> None:
        answer = await self._answers.later(self._network, pending)
        if answer is not None:
            self._send(answer, addr)

    def _send(self, answer: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, addr)
