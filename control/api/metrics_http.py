# SPDX-License-Identifier: Apache-2.0
"""Serve /metrics and /healthz at the address of the setting `metrics`."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from fastpath.control.api.metrics import Metrics
from fastpath.control.model.requests import Status
from fastpath.control.runtime.http_server import Address, serving
from fastpath.errors import RefusedError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def healthz(status: Callable[[], Status]) -> Handler:
    """Return a handler that answers with the Status: 200 if healthy, else 503."""

    async def handle(_: web.Request) -> web.StreamResponse:
        now = status()
        return web.json_response(now.model_dump(mode="json"), status=200 if now.healthy else 503)

    return handle


def application(
    metrics: Metrics, status: Callable[[], Status], prepare: Callable[[], object] = lambda: None
) -> web.Application:
    """Return the application that is served. `prepare` is called before each scrape, in a thread that may block."""

    async def render(request: web.Request) -> web.StreamResponse:
        await asyncio.to_thread(prepare)
        page, content_type = metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes([web.get("/metrics", render), web.get("/healthz", healthz(status))])
    return app


@contextlib.asynccontextmanager
async def serving_metrics(app: web.Application, listen: Address) -> AsyncIterator[None]:
    """Serve `app` until the block ends. Raise RefusedError if `listen` cannot be listened on."""
    where = str(listen) if isinstance(listen, Path) else f"{listen[0]} port {listen[1]}"
    async with contextlib.AsyncExitStack() as stack:
        try:
            if isinstance(listen, Path):
                _check_free(listen)
            await stack.enter_async_context(serving(app, listen, shutdown_timeout=0.5))
        except OSError as error:
            why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
            raise RefusedError(f"cannot serve metrics on {where}: {why or error}") from error
        yield


def _check_free(path: Path) -> None:
    """Raise OSError if somebody listens on `path`: asyncio would replace that socket, too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)
        with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
            sock.connect(os.fspath(path))
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
