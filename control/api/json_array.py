# SPDX-License-Identifier: Apache-2.0
"""Answers that are long lists: made in a thread, and sent while they are made, so that no other request waits."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator

from aiohttp import web
from pydantic import BaseModel

BATCH = 2000


async def json_array(request: web.Request, messages: Iterable[BaseModel]) -> web.StreamResponse:
    """Answer with a JSON array. What `messages` raises ends the connection before the array is complete."""
    response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    pieces = _pieces(iter(messages))
    while piece := await asyncio.to_thread(next, pieces, b""):
        await response.write(piece)
    await response.write_eof()
    return response


def _pieces(messages: Iterator[BaseModel]) -> Iterator[bytes]:
    yield b"["
    before = ""
    while batch := list(itertools.islice(messages, BATCH)):
        yield (before + ",".join(message.model_dump_json() for message in batch)).encode()
        before = ","
    yield b"]"
