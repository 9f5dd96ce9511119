# SPDX-License-Identifier: Apache-2.0
"""A resolver of the network blue, without a mirror that follows a store, on loopback where a test needs sockets."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import dns.message

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.dns.answer import Answers
from fastpath.control.dns.counts import Counts
from fastpath.control.dns.forward import Forwarder
from fastpath.control.dns.names import Names
from fastpath.control.dns.server import Server
from fastpath.control.dns.sockets import Opened, Sockets, _bound
from fastpath.control.model.objects import NOWHERE, Endpoint, Network

BLUE = Network.model_validate(
    {
        "name": "blue",
        "vni": 300,
        "subnets": [
            {"pool": "10.1.0.0/16", "gateway": "10.1.0.1"},
            {"pool": "fd00:1::/64", "gateway": "fd00:1::1"},
        ],
    }
)
INTERNAL = BLUE.model_copy(update={"name": "inside", "internal": True})


def endpoint(number: int, *names: str, network: str = "blue", **more: Any) -> Endpoint:
    fields = {
        "id": f"{number:016x}",
        "network": network,
        "host": "h1",
        "mac": f"02:42:0a:01:{number >> 8:02x}:{number & 255:02x}",
        "addresses": [f"10.1.{number >> 8}.{number & 255}/16"],
        "sandbox": NOWHERE,
        "names": names,
        "state": "ready",
    }
    return Endpoint.model_validate(fields | more)


class Resolver:
    """A resolver of the network blue, and what it counted."""

    def __init__(self, *endpoints: Endpoint, servers: Sequence[tuple[str, int]] = (), timeout: float = 5.0) -> None:
        self.mirror = Mirror(None)
        self.mirror.networks["blue"] = BLUE
        for each in endpoints:
            self.mirror.endpoints.setdefault(each.network, {})[each.id] = each
        self.counts = Counts()
        self.names = Names(self.mirror)
        self.answers = Answers(self.names, Forwarder(lambda: servers, timeout=timeout), self.counts)

    def ask(self, name: str, kind: str = "A", *, network: Network = BLUE, **more: Any) -> dns.message.Message:
        query = dns.message.make_query(name, kind, **more)
        wire = asyncio.run(self.answers.answer(network, query.to_wire()))
        assert wire is not None
        answer = dns.message.from_wire(wire)
        assert query.is_response(answer)
        return answer

    def counted(self) -> dict[str, int]:
        return {result: count for result, count in self.counts.as_dict().items() if count}


def texts(answer: dns.message.Message) -> list[str]:
    return sorted(str(record) for rrset in answer.answer for record in rrset)


class Listening:
    """Resolvers on loopback, by UDP and TCP on one port."""

    def __init__(self, resolver: Resolver) -> None:
        self.sockets = Sockets()
        self.server = Server(self.sockets, resolver.answers, resolver.counts)
        opened = Opened(BLUE, NOWHERE)
        opened.tcp.append(_bound(4, socket.SOCK_STREAM, "127.0.0.1", 0))
        self.port = opened.tcp[0].getsockname()[1]
        opened.udp.append(_bound(4, socket.SOCK_DGRAM, "127.0.0.1", self.port))
        self.sockets._opened["blue"] = opened


def served(resolver: Resolver, client: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        listening = Listening(resolver)
        serving = asyncio.create_task(listening.server.run())
        try:
            await client(listening.port)
        finally:
            serving.cancel()

    asyncio.run(run())
