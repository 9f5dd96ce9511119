# SPDX-License-Identifier: Apache-2.0
"""Questions that are not about containers go to the resolvers of the host, from the host's own namespace."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.resolver

from fastpath.control.dns.shares import Waiting

log = logging.getLogger(__name__)

RESOLV_CONF = Path("/etc/resolv.conf")
AT_ONCE = 256  # questions that wait for an answer: what is more is told at once that it failed
PER_NETWORK = 64  # of these, of one network
TIMEOUT_S = 2.0  # for each server
PAYLOAD = 1232  # bytes of UDP that pass everywhere, as all servers have it since the DNS flag day of 2020

Server = tuple[str, int]


class BusyError(Exception):
    """Too many questions are waiting."""


class Forwarder:
    """Ask `servers` one after the other."""

    def __init__(self, servers: Callable[[], Sequence[Server]], *, timeout: float = TIMEOUT_S) -> None:
        self._servers = servers
        self._timeout = timeout
        self._waiting = Waiting(AT_ONCE, PER_NETWORK)

    async def ask(self, network: str, asker: str, query: dns.message.Message) -> dns.message.Message | None:
        """Return the answer of a server, None if none answers. Raise BusyError."""
        if not self._waiting.enter(network, asker):
            raise BusyError
        try:
            return await self._ask(query)
        finally:
            self._waiting.leave(network, asker)

    async def _ask(self, query: dns.message.Message) -> dns.message.Message | None:
        for address, port in self._servers():
            try:
                # What is not the answer, from whatever source, is passed over until the time is up.
                answer, _ = await dns.asyncquery.udp_with_fallback(
                    _ours(query),
                    address,
                    timeout=self._timeout,
                    port=port,
                    ignore_unexpected=True,
                    ignore_errors=True,
                )
            except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
                log.debug("%s does not answer: %s", address, error)
                continue
            return answer
        return None


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
