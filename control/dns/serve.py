# SPDX-License-Identifier: Apache-2.0
"""Puts the resolvers together, and serves them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastpath.control.config import DaemonConfig
from fastpath.control.dns.answer import Answers
from fastpath.control.dns.counts import Counts
from fastpath.control.dns.forward import Forwarder, host_servers
from fastpath.control.dns.names import Names
from fastpath.control.dns.server import Server
from fastpath.control.dns.sockets import Sockets


@contextlib.asynccontextmanager
async def resolvers(config: DaemonConfig, sockets: Sockets | None, names: Names, counts: Counts) -> AsyncIterator[None]:
    """Answer containers meanwhile, if it is wanted."""
    if sockets is None:
        yield
        return
    fixed = [(str(address), 53) for address in config.dns_servers] if config.dns_servers is not None else None
    forwarder = Forwarder(host_servers() if fixed is None else lambda: fixed)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(Server(sockets, Answers(names, forwarder, counts)).run(), name="resolvers")
        yield
        serving.cancel()
