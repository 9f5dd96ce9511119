# SPDX-License-Identifier: Apache-2.0
"""The HTTP server behind all our sockets: an aiohttp application on a socket, a path or a TCP port."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

Address = Path | tuple[str, int]


@contextlib.asynccontextmanager
async def serving(
    app: web.Application, where: socket.socket | Address, *, shutdown_timeout: float
) -> AsyncIterator[None]:
    """Serve `app` until the block ends; requests in progress then have `shutdown_timeout` seconds to end. `where` is a
    listening socket, or the address of a new one. Raise OSError if listening on that address fails."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_timeout)
    await runner.setup()
    try:
        await _site(runner, where).start()
        yield
    finally:
        await runner.cleanup()


def _site(runner: web.AppRunner, where: socket.socket | Address) -> web.BaseSite:
    if isinstance(where, socket.socket):
        return web.SockSite(runner, where)
    if isinstance(where, Path):
        return web.UnixSite(runner, os.fspath(where))
    return web.TCPSite(runner, *where)
