# SPDX-License-Identifier: Apache-2.0
"""`fastpath daemon`: build the services in two stages, and end them in the opposite order.

    data plane   mirror ── reconciler ── host_state ── drivers, engine    this host as the store says
                 peering ── prober                                        the other hosts
    services     store ── mirror, membership, reaper                      what all hosts agree on
                 api, metrics ── operations, queries; docker; dns         what others ask for

The engine's workers run beside all this and wait for none of it. The data plane is first: it takes over the
interfaces that a predecessor left, by what that kept on disk; the store may be away.
"""

import asyncio
import gc
import logging
import socket
import time

from fastpath.control.api.unix_socket import listening_socket
from fastpath.control.daemon.data_plane import DataPlane
from fastpath.control.runtime.config import DaemonConfig
from fastpath.control.runtime.descriptors import raise_limit
from fastpath.control.runtime.logs import set_up_logs
from fastpath.control.runtime.signals import StopSignals
from fastpath.control.runtime.state_dir import StateDir
from fastpath.errors import RefusedError

log = logging.getLogger("fastpath")

RETRY_S = 1.0

# Of what is known of many endpoints nearly all stays: with Python's own thresholds every look at it made the collector
# go through all of it several times, which took longer than the look.
GC_THRESHOLDS = (50_000, 20, 100)


def run(config: DaemonConfig) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP. Interfaces, leases and the store's entries stay, for a successor.
    Raise FastpathError if it cannot start."""
    set_up_logs(config.log_format, config.log_level)
    gc.set_threshold(*GC_THRESHOLDS)
    raise_limit()
    with StopSignals() as signals, StateDir(config.state_dir) as state, listening_socket(config.socket) as sock:
        plane: DataPlane | None = DataPlane(config, state)
        while plane is not None:
            try:
                asyncio.run(_run(config, plane, signals, sock.dup()))  # who serves closes it
            except BaseExceptionGroup as group:  # of the tasks that run beside each other
                if len(group.exceptions) == 1:
                    raise group.exceptions[0] from None
                raise
            plane = _next(config, state, signals) if plane.moved else None


def _next(config: DaemonConfig, state: StateDir, signals: StopSignals) -> DataPlane | None:
    """Return the data plane for another address of the VTEP, as soon as there is one; None if it is to stop first."""
    while not signals.received:
        try:
            return DataPlane(config, state)
        except RefusedError as error:  # it has gone again
            log.warning("%s", error)
            time.sleep(RETRY_S)
    return None


async def _run(config: DaemonConfig, plane: DataPlane, signals: StopSignals, sock: socket.socket) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals.then(lambda: loop.call_soon_threadsafe(stop.set))
    try:
        async with plane:
            # Not at the top: the start is in the gap of a restart, and frames flow without the services. Those take as
            # much CPU time to load as all the rest: aiohttp and the metrics 290 ms, Docker's part 50 ms, others 20 ms.
            from fastpath.control.daemon.services import serve  # noqa: PLC0415

            await serve(config, plane, sock, stop)
    finally:
        signals.then(lambda: None)
