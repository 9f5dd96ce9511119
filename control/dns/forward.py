# SPDX-License-Identifier: Apache-2.0
"""Questions that are not about containers go to the resolvers of the host, from the host's own namespace."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.resolver

from fastpath.control.dns.shares import Waiting

log = logging.getLogger(__name__)

RESOLV_CONF = Path("/etc/resolv.conf")
AT_ONCE = 256  # questions that wait for a server's answer
PER_NETWORK = 64  # of these, of one network
QUEUED = 1024  # questions that wait for one of those places: what is more is told at once that it failed
QUEUED_PER_NETWORK = 256
QUEUE_S = 2.0  # for such a place
TIMEOUT_S = 2.0  # for each server
TOTAL_S = 4.0  # for all of them: stub resolvers give up after five seconds
HURRY_S = 0.5  # for all of them, where the next question is likely to be one that we can answer
SICK = 3  # answers that a server owes in a row: from then on it is asked one question at a time
PAYLOAD = 1232  # bytes of UDP that pass everywhere, as all servers have it since the DNS flag day of 2020
UNWILLING = {dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR}  # another one may know

Server = tuple[str, int]


class BusyError(Exception):
    """Too many questions are waiting."""


@dataclass
class _Health:
    """What is known of a server: how many answers it owes in a row, and whether it is asked for one of them now."""

    owes: int = 0
    asked: bool = False


class Forwarder:
    """Ask `servers` one after the other, those that did not answer lately last."""

    def __init__(self, servers: Callable[[], Sequence[Server]], *, timeout: float = TIMEOUT_S) -> None:
        self._servers = servers
        self._timeout = timeout
        self._waiting = Waiting(AT_ONCE, PER_NETWORK)
        self._queue = Waiting(QUEUED, QUEUED_PER_NETWORK)
        self._freed = asyncio.Condition()
        self._health: dict[Server, _Health] = {}

    async def ask(
        self, network: str, asker: str, query: dns.message.Message, *, hurry: bool = False
    ) -> dns.message.Message | None:
        """Return the answer of a server, None if none answers. With `hurry`, wait for a short time only. Raise
        BusyError."""
        await self._enter(network, asker)
        try:
            return await self._ask(query, HURRY_S if hurry else max(TOTAL_S, 2 * self._timeout))
        finally:
            self._waiting.leave(network, asker)
            async with self._freed:
                self._freed.notify_all()

    async def _enter(self, network: str, asker: str) -> None:
        """Wait for a place. Raise BusyError."""
        if self._waiting.enter(network, asker):
            return
        if not self._queue.enter(network, asker):
            raise BusyError
        try:
            async with asyncio.timeout(QUEUE_S), self._freed:
                await self._freed.wait_for(lambda: self._waiting.enter(network, asker))
        except TimeoutError:
            raise BusyError from None
        finally:
            self._queue.leave(network, asker)

    async def _ask(self, query: dns.message.Message, seconds: float) -> dns.message.Message | None:
        servers = list(self._servers())
        self._health = {server: self._health.get(server, _Health()) for server in servers}
        end, unwilling = time.monotonic() + seconds, None
        for server in sorted(servers, key=lambda each: self._health[each].owes):  # it keeps the order of equals
            health = self._health[server]
            left = end - time.monotonic()
            if (health.owes >= SICK and health.asked) or left <= 0:
                continue  # somebody finds out just now
            answer = await self._ask_one(server, health, query, min(self._timeout, left))
            if answer is not None and answer.rcode() not in UNWILLING:
                return answer
            unwilling = unwilling or answer
        return unwilling

    async def _ask_one(
        self, server: Server, health: _Health, query: dns.message.Message, seconds: float
    ) -> dns.message.Message | None:
        address, port = server
        health.asked = True
        try:
            # What is not the answer, from whatever source, is passed over until the time is up.
            answer, _ = await dns.asyncquery.udp_with_fallback(
                _ours(query), address, timeout=seconds, port=port, ignore_unexpected=True, ignore_errors=True
            )
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
            log.debug("%s does not answer: %s", address, error)
            health.owes += 1
            return None
        finally:
            health.asked = False
        health.owes = 0
        return answer


def _ours(query: dns.message.Message) -> dns.message.Message:
    """Return the question with an id of ours and without the client's hop-by-hop options."""
    question = query.question[0]
    return dns.message.make_query(
        question.name,
        question.rdtype,
        question.rdclass,
        use_edns=0 if query.edns >= 0 else False,
        want_dnssec=bool(query.ednsflags & dns.flags.DO),
        payload=PAYLOAD if query.edns >= 0 else None,
        flags=query.flags & (dns.flags.RD | dns.flags.CD | dns.flags.AD),
    )


def host_servers(path: Path = RESOLV_CONF) -> Callable[[], list[Server]]:
    """Return a function that returns the servers of a resolv.conf; it reads the file again when that has changed."""
    known: tuple[object, list[Server]] = (None, [])

    def servers() -> list[Server]:
        nonlocal known
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != known[0]:
                known = (stamp, [(str(server), 53) for server in dns.resolver.Resolver(str(path)).nameservers])
        except (OSError, ValueError, dns.exception.DNSException) as error:
            log.debug("%s has no resolvers: %s", path, error)
            known = (None, [])
        return known[1]

    return servers
