# SPDX-License-Identifier: Apache-2.0
"""The engine's side of `fastpath capture`: a capture as pcapng over HTTP.

A slow caller delays nobody: what does not fit into the engine's rings meanwhile is missed and counted.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable

from aiohttp import web

from fastpath import DROP_SENTENCES, Capture
from fastpath.control.capture.request import INCOMPLETE, CaptureRequest
from fastpath.engine.captures.capture import INTERVAL_S
from fastpath.engine.captures.captured import Captured
from fastpath.pcap.pcapng import PcapngWriter

AT_ONCE = 1 << 18  # bytes of frames, for each worker, that are on their way to the caller at one time


class Encoder:
    """Encode a capture's records as blocks of pcapng. Each place is an interface."""

    def __init__(self, capture: Capture, count: int | None) -> None:
        self._capture = capture
        self._left = count
        self._blocks: list[bytes] = []
        self._writer = PcapngWriter(self, capture.snaplen)
        self._interfaces: dict[str, int] = {}
        self._missed = 0

    def write(self, block: bytes) -> None:
        """Keep a block for the next `take`."""
        self._blocks.append(block)

    @property
    def complete(self) -> bool:
        """Return whether `count` frames were taken."""
        return self._left == 0

    def take(self) -> bytes:
        """Return the next blocks, or nothing."""
        for record in self._capture.read(AT_ONCE)[: self._left]:
            self._put(record)
            if self._left is not None:
                self._left -= 1
        missed = self._capture.missed
        if missed != self._missed and self._interfaces:
            self._missed = missed
            self._writer.statistics(0, time.time_ns(), dropped=missed)
        blocks, self._blocks[:] = b"".join(self._blocks), []
        return blocks

    def _put(self, record: Captured) -> None:
        interface = self._interfaces.get(record.where)
        if interface is None:
            interface = self._interfaces[record.where] = self._writer.interface(record.where, self._capture.linktype)
        comment = f"drop {record.drop}: {DROP_SENTENCES[record.drop]}" if record.drop is not None else None
        self._writer.packet(
            interface, record.time_ns, record.data, record.length, direction=record.direction, comment=comment
        )


async def answer(
    request: web.Request, begin: Callable[[CaptureRequest], Capture], incomplete: str = ""
) -> web.StreamResponse:
    """Answer a request for a capture; `begin` begins it, in a thread. It ends when the caller closes the connection.
    The header INCOMPLETE has what it may lack."""
    wanted = CaptureRequest.model_validate_json(await request.read())
    capture = await asyncio.to_thread(begin, wanted)
    try:
        more = {INCOMPLETE: incomplete} if incomplete else {}
        response = web.StreamResponse(headers={"Content-Type": "application/x-pcapng", **more})
        response.enable_chunked_encoding()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the caller went away
            await _send(request, response, capture, wanted)
        return response
    finally:
        await asyncio.to_thread(capture.close)  # it waits for the engine's lock


async def _send(request: web.Request, response: web.StreamResponse, capture: Capture, wanted: CaptureRequest) -> None:
    ends = time.monotonic() + wanted.duration if wanted.duration is not None else math.inf
    encoder = Encoder(capture, wanted.count)
    while request.transport is not None and not request.transport.is_closing():
        if time.monotonic() >= ends:
            await asyncio.to_thread(capture.close)
        ended = capture.closed  # before the last look: nothing is lost in between
        blocks = await asyncio.to_thread(encoder.take)
        if blocks:
            await response.write(blocks)
        if encoder.complete or (ended and not blocks):
            await response.write_eof()
            return
        if not blocks:
            await asyncio.sleep(INTERVAL_S)
