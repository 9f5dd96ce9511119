# SPDX-License-Identifier: Apache-2.0
"""What the daemon shows: the control socket, and the metrics where they are wanted. It is loaded when frames flow."""

import contextlib
import socket
from collections.abc import AsyncIterator

from fastpath import Engine
from fastpath.control.api import metrics_http
from fastpath.control.api.metrics import Metrics, Snapshot
from fastpath.control.api.operations import Operations
from fastpath.control.api.queries import View
from fastpath.control.api.routes import Api
from fastpath.control.dns.counts import Counts
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.runtime.http_server import Address, serving


@contextlib.asynccontextmanager
async def faces(
    sock: socket.socket,
    *,
    engine: Engine,
    reconciler: Reconciler,
    operations: Operations,
    view: View,
    questions: Counts,
    metrics: Address | None,
) -> AsyncIterator[None]:
    """Answer on `sock`, and on `metrics`."""

    def snapshot() -> Snapshot:
        return Snapshot(
            view.status(), engine.stats(), view.networks(), view.peers(), reconciler.done, questions.as_dict()
        )

    api = Api(operations, view, reconciler, lambda: engine.stats().as_dict(), capture=view.open_capture)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(serving(api.application(), sock, shutdown_timeout=2.0))
        if metrics is not None:
            app = metrics_http.application(Metrics(snapshot), view.status)
            await stack.enter_async_context(metrics_http.serve(app, metrics))
        yield
