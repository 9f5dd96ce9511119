# SPDX-License-Identifier: Apache-2.0
"""The other hosts: python -m fastpath.bench.scale.others, in the namespace that has their addresses.

It fills the store, keeps the fictitious hosts' leases, answers and asks probes on their behalf, and makes and removes
endpoints when told to. On standard input comes one JSON object (`Orders`), then lines `change COUNT RATE`. On standard
output goes a line `filled`, for each new endpoint `made NETWORK NUMBER TIME` (CLOCK_MONOTONIC, when the commit was
confirmed), and `changed`.
"""

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TypeVar

from fastpath.bench.scale import content
from fastpath.bench.scale.content import PEERS, VARIANTS, Variant
from fastpath.control.cluster import keys
from fastpath.control.drivers.naming import PROBE_VNI
from fastpath.control.host.probe import ANSWER, ETHERTYPE, MAGIC, NONCE_SIZE, QUESTION, probe_mac
from fastpath.control.model.objects import Sandbox
from fastpath.control.store.interface import Delete, Put, Store, StoreOptions
from fastpath.control.store.open import open_store

T = TypeVar("T")
UDP_PORT = 4789
LEASE_S, PROBE_S = 30, 5  # as the daemon has them by default
VXLAN = b"\x08\0\0\0" + PROBE_VNI.to_bytes(3, "big") + b"\0"


@dataclass
class Orders:
    """What the process has to know."""

    store: str
    prefix: str
    variant: str
    sandboxes: list[tuple[str, int]]

    def as_line(self) -> str:
        """Return it as a line for the process's standard input."""
        return json.dumps(asdict(self)) + "\n"


def say(*words: object) -> None:
    print(*words, flush=True)


def new_endpoint(found: Variant, number: int) -> tuple[int, int]:
    """Return network and number of an endpoint to make, in a network in which the measured host takes part."""
    networks = min(found.networks, found.local)
    return number % networks, found.endpoints + number // networks


def old_endpoint(found: Variant, number: int) -> tuple[int, int]:
    """Return network and number of another host's endpoint to remove."""
    networks = min(found.networks, found.local)
    return number % networks, found.endpoints - 1 - number // networks


class Responder:
    """One fictitious host's UDP socket."""

    def __init__(self, number: int, prefix: str) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((content.peer_vtep(number), UDP_PORT))
        self._sock.setblocking(False)
        self._mac = probe_mac(content.peer_name(prefix, number))
        self._to = probe_mac(f"{prefix}h1")

    def start(self) -> None:
        """Answer probes from now on, in the running event loop."""
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._answer)

    def ask(self) -> None:
        """Send a probe to the measured host."""
        body = ETHERTYPE + MAGIC + QUESTION + bytes(NONCE_SIZE)
        self._send(VXLAN + self._to + self._mac + body, ("192.0.2.1", UDP_PORT))

    def _answer(self) -> None:
        packet, sender = self._sock.recvfrom(2048)
        frame = packet[8:]
        if packet[:8] == VXLAN and frame[12:14] == ETHERTYPE and frame[14 + len(MAGIC) :][:1] == QUESTION:
            nonce = frame[15 + len(MAGIC) :]
            answer = VXLAN + frame[6:12] + self._mac + ETHERTYPE + MAGIC + ANSWER + nonce
            self._send(answer, (sender[0], UDP_PORT))

    def _send(self, packet: bytes, to: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # the measured host is not there yet
            self._sock.sendto(packet, to)


class Others:
    """All fictitious hosts."""

    def __init__(self, orders: Orders) -> None:
        self._variant = VARIANTS[orders.variant]
        self._prefix = orders.prefix
        self._sandboxes = [Sandbox(path=path, inode=inode) for path, inode in orders.sandboxes]
        self._store: Store = open_store(orders.store, StoreOptions())
        self._leases: list[int] = []

    async def run(self, lines: asyncio.StreamReader) -> None:
        """Do all of it until standard input ends."""
        await content.fill(self._store, self._variant, self._prefix, self._sandboxes)
        for number in range(PEERS):
            peer = content.peer(self._prefix, number)
            lease = await self._store.grant(LEASE_S)
            self._leases.append(lease)
            await self._store.commit([], [Put(keys.peer(peer.host), peer.model_dump_json().encode(), lease)])
        responders = [Responder(number, self._prefix) for number in range(PEERS)]
        for responder in responders:
            responder.start()
        say("filled")
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._keep_alive()),
                tasks.create_task(_ask(responders)),
            ]
            while line := await lines.readline():
                _, count, rate = line.split()
                await self._change(int(count), float(rate))
                say("changed")
            for task in background:
                task.cancel()
        await self._store.close()

    async def _keep_alive(self) -> None:
        """Keep the leases alive, one after another."""
        for lease in _for_ever(self._leases):
            await asyncio.sleep(LEASE_S / 3 / PEERS)
            await self._store.keep_alive(lease)

    async def _change(self, count: int, rate: float) -> None:
        """Make and remove endpoints in turn, `count` in all."""
        start = time.monotonic()
        for step in range(count):
            await asyncio.sleep(max(0.0, start + step / rate - time.monotonic()))
            comes = step % 2 == 0
            network, number = (new_endpoint if comes else old_endpoint)(self._variant, step // 2)
            puts = content.endpoint_puts(self._variant, self._prefix, self._sandboxes, network, number)
            await self._store.commit([], puts if comes else [Delete(put.key) for put in puts])
            if comes:
                say("made", network, number, time.monotonic())


async def _ask(responders: list[Responder]) -> None:
    for responder in _for_ever(responders):
        await asyncio.sleep(PROBE_S / len(responders))
        responder.ask()


def _for_ever(items: list[T]) -> Iterator[T]:
    while True:
        yield from items


async def main() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    orders = Orders(**json.loads(await lines.readline()))
    await Others(orders).run(lines)


if __name__ == "__main__":
    asyncio.run(main())
