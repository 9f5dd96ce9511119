# SPDX-License-Identifier: Apache-2.0
"""What the daemon shows: the control socket, and the metrics where they are wanted. It is loaded when frames flow."""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable

from fastpath.control.api import metrics_http
from fastpath.control.api.metrics import Metrics, Snapshot
from fastpath.control.api.operations import Operations
from fastpath.control.api.queries import Queries
from fastpath.control.api.routes import Routes
from fastpath.control.dns.counts import Counts
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.host.worker_watch import WorkerWatch
from fastpath.control.model.requests import GuardInfo
from fastpath.control.runtime.http_server import Address, serving
from fastpath.engine.stats import EngineStats


@contextlib.asynccontextmanager
async def serving_api(
    sock: socket.socket,
    *,
    stats: Callable[[], EngineStats],
    reconciler: Reconciler,
    operations: Operations,
    queries: Queries,
    questions: Counts,
    watch: WorkerWatch,
    metrics: Address | None,
) -> AsyncIterator[None]:
    """Answer on `sock`, and on `metrics`."""

    guard = GuardInfo(state="off", table="")

    def ask_guard() -> None:
        nonlocal guard
        guard = queries.guard()

    def snapshot() -> Snapshot:
        return Snapshot(
            queries.status(),
            stats(),
            queries.networks(),
            queries.peers(),
            reconciler.done,
            questions.as_dict(),
            questions.limited,
            guard,
            watch.workers,
        )

    routes = Routes(operations, queries, lambda: stats().as_dict(), capture=queries.open_capture)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(serving(routes.application(), sock, shutdown_timeout=2.0))
        if metrics is not None:
            app = metrics_http.application(Metrics(snapshot), queries.status, ask_guard)
            await stack.enter_async_context(metrics_http.serving_metrics(app, metrics))
        yield
