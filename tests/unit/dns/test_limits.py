# SPDX-License-Identifier: Apache-2.0
"""What one asker does costs others at most their share: rates, connections, questions that wait for other servers."""

import asyncio
import contextlib
import logging
import os
import random
import socket
import struct
from collections.abc import Callable
from unittest import mock

import dns.asyncquery
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.control.dns import connections, shares, sockets
from fastpath.control.dns.connections import PER_ASKER, PER_NETWORK, Crowd
from fastpath.control.dns.counts import QUIET_S, Counts
from fastpath.control.dns.shares import BURST_S, QUESTIONS, Admission, Shares, Waiting
from fastpath.control.dns.shares import PER_ASKER as ASKERS_RATE
from tests.attacks.dns_deaf import Deaf
from tests.attacks.dns_flood import flood
from tests.support.control.dns_lab import BLUE, Resolver, endpoint, served, texts

PATIENCE_S = 60.0
WEB = endpoint(2, "web")
ALL = [endpoint(number, "all") for number in range(2, 200)]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_an_asker_has_a_burst_and_then_its_rate() -> None:
    clock = Clock()
    admission = Admission(Counts(), clock)
    assert sum(admission.take("blue", "a") for _ in range(5000)) == ASKERS_RATE * BURST_S
    clock.now += 1.0
    assert sum(admission.take("blue", "a") for _ in range(5000)) == ASKERS_RATE
    assert admission.take("blue", "b")


def test_a_flood_of_some_networks_leaves_the_others_their_share() -> None:
    clock = Clock()
    admission = Admission(Counts(), clock)
    taken = dict.fromkeys("0123456789q", 0)
    for _ in range(600):  # six seconds; each asker by itself is within its rate
        clock.now += 0.01
        for name in "0123456789":
            for asker in "abcdefgh":
                taken[name] += admission.take(name, asker)
        taken["q"] += admission.take("q", "quiet")
    assert taken["q"] == 600
    assert sum(taken.values()) < QUESTIONS * 6 + 10 * 2 * shares.PER_NETWORK  # and the bursts


def test_invented_sources_take_from_their_own_network_only() -> None:
    clock = Clock()
    counts = Counts(clock)
    admission = Admission(counts, clock)
    taken = sum(admission.take("blue", f"10.1.{i >> 8}.{i & 255}") for i in range(20_000))
    assert taken <= shares.PER_NETWORK * BURST_S
    assert counts.limited == {"blue": 20_000 - taken}
    assert admission.take("red", "10.2.0.2")


def test_those_who_were_silent_are_forgotten() -> None:
    clock = Clock()
    few = Shares(10.0, 10.0, 2, clock)
    assert [few.take(who) for who in "abc"] == [True, True, False]
    clock.now += BURST_S
    assert few.take("c")


@given(st.lists(st.tuples(st.sampled_from("nm"), st.sampled_from("abcde"), st.booleans()), max_size=200))
def test_what_waits_is_counted_right(steps: list[tuple[str, str, bool]]) -> None:
    waiting = Waiting(12, 8)
    there: list[tuple[str, str]] = []
    for network, asker, leaves in steps:
        if leaves and (network, asker) in there:
            waiting.leave(network, asker)
            there.remove((network, asker))
        elif waiting.enter(network, asker):
            there.append((network, asker))
        assert waiting.sum == len(there) <= 12
        assert all(sum(name == n for n, _ in there) <= 8 for name in "nm")


def test_too_much_is_reported_once_until_it_is_quiet_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    counts = Counts(clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            clock.now += 1.0
            counts.limit("blue", "10.1.0.2")
        assert len(caplog.records) == 1
        clock.now += QUIET_S
        counts.limit("blue", "10.1.0.2")
    assert len(caplog.records) == 2


def test_the_asker_with_most_connections_makes_room() -> None:
    async def run() -> None:
        crowd = Crowd()
        tasks = {}
        for number in range(PER_NETWORK):
            asker = f"{number // PER_ASKER}"
            assert crowd.has_room("blue", asker)
            tasks[number] = asyncio.create_task(asyncio.sleep(PATIENCE_S))
            crowd.enter("blue", asker, tasks[number])
        assert not crowd.has_room("blue", "0")
        assert crowd.has_room("blue", "another")
        await asyncio.sleep(0)
        assert [number for number, task in tasks.items() if task.cancelled()] == [0]
        assert len(crowd) == PER_NETWORK - 1

    asyncio.run(run())


def test_connections_that_do_not_read_are_aborted() -> None:
    """One asker has several connections at most, and they end, with their descriptors, though nothing is ever read."""

    async def client(port: int) -> None:
        before = descriptors()
        deaf = await asyncio.to_thread(Deaf, "127.0.0.1", port, 3 * PER_ASKER, source="127.0.0.2")
        try:
            await until(lambda: deaf.ask() <= PER_ASKER)
            # Meanwhile others are answered.
            answer = await dns.asyncquery.tcp(dns.message.make_query("all", "A"), "127.0.0.1", port=port, timeout=60)
            assert len(texts(answer)) == 198
            await until(lambda: deaf.ask() == 0)
            await until(lambda: descriptors() <= before + len(deaf.sockets))
        finally:
            deaf.close()

    with mock.patch.object(connections, "IDLE_S", 0.5), mock.patch.object(sockets, "STREAM_BUFFER", 4096):
        served(Resolver(*ALL), client)


def test_a_connection_that_asks_nothing_or_too_slowly_ends() -> None:
    async def client(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(struct.pack("!H", 40) + b"x")
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == b""
        writer.close()

    with mock.patch.object(connections, "IDLE_S", 0.1):
        served(Resolver(WEB), client)


def test_an_answer_comes_though_the_asker_has_said_all() -> None:
    """A client may shut its direction down behind the question."""

    async def client(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        wire = dns.message.make_query("all", "A").to_wire()
        writer.write(struct.pack("!H", len(wire)) + wire)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
        assert len(texts(dns.message.from_wire(answer[2:]))) == 198
        writer.close()

    served(Resolver(*ALL), client)


async def asked_again(port: int) -> dns.message.Message:
    """Ask as resolvers do, again when there is no answer: the kernel drops what a full socket cannot take."""
    for _ in range(60):
        with contextlib.suppress(dns.exception.Timeout):
            return await dns.asyncquery.udp(dns.message.make_query("web", "A"), "127.0.0.1", port=port, timeout=2)
    raise AssertionError("no answer")


def test_a_flood_is_dropped_before_it_is_parsed() -> None:
    resolver = Resolver(WEB)
    parsed = mock.Mock(wraps=dns.message.from_wire)

    async def client(port: int) -> None:
        with mock.patch.object(dns.message, "from_wire", parsed):
            await asyncio.to_thread(flood, "127.0.0.1", port, 2000, source="127.0.0.3")
            await until(lambda: resolver.counts.limited.get("blue", 0) > 0)
        assert texts(await asked_again(port)) == ["10.1.0.2"]

    with mock.patch.object(shares, "PER_ASKER", 20.0):
        served(resolver, client)
    assert parsed.call_count < 1500


def test_a_message_of_thousands_of_records_is_not_parsed() -> None:
    question = dns.message.make_query("web", "A").to_wire()
    many = question[:4] + struct.pack("!HHHH", 5000, 0, 0, 0) + question[12:] * 3000
    resolver = Resolver(WEB)
    with mock.patch.object(dns.message, "from_wire", side_effect=AssertionError):
        for wire in (many, many[:1300], question[:6] + b"\0\1" + question[8:]):
            answer = resolver.answers.at_once(BLUE, wire, tcp=True)
            assert isinstance(answer, bytes)
            assert (answer[:2], answer[2] >> 7, answer[3] & 15) == (wire[:2], 1, dns.rcode.FORMERR)
        assert resolver.answers.at_once(BLUE, question[:2] + b"\x80" + question[3:]) is None


def test_garbage_from_a_server_does_not_end_a_forwarded_question() -> None:
    """Before its answer a server sends garbage, the answer to another question, and one with another id."""

    async def run() -> None:
        loop = asyncio.get_running_loop()

        class Server(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                query = dns.message.from_wire(data)
                other = dns.message.make_query("other.example", "A", id=query.id)
                right = dns.message.make_response(query).to_wire()
                wrong_id = struct.pack("!H", query.id ^ 1) + right[2:]
                for wire in (random.randbytes(60), b"", dns.message.make_response(other).to_wire(), wrong_id, right):
                    self.transport.sendto(wire, addr)  # type: ignore[attr-defined]

        transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
        server = ("127.0.0.1", transport.get_extra_info("sockname")[1])
        resolver = Resolver(WEB, servers=[server], timeout=PATIENCE_S)
        wire = await resolver.answers.answer(BLUE, dns.message.make_query("example.com", "A").to_wire())
        assert wire is not None
        assert dns.message.from_wire(wire).rcode() == dns.rcode.NOERROR
        assert resolver.counted() == {"forwarded": 1}
        transport.close()

    asyncio.run(run())


@given(
    st.integers(0, 0xFFFF),
    st.tuples(*[st.integers(0, 3)] * 4),
    st.lists(st.binary(max_size=70), max_size=5),
    st.binary(max_size=40),
    st.booleans(),
)
def test_questions_that_look_real_stop_nothing(
    flags: int, counts: tuple[int, ...], labels: list[bytes], rest: bytes, tcp: bool
) -> None:
    """Headers of all kinds, then names with lengths, pointers and types of all kinds."""
    name = b"".join(bytes((len(label),)) + label for label in labels)
    wire = struct.pack("!HHHHHH", 7, flags, *counts) + name + b"\0" + rest
    answer = Resolver(WEB).answers.at_once(BLUE, wire, tcp=tcp)
    if isinstance(answer, bytes):
        assert answer[:2] == wire[:2]
        assert answer[2] & 0x80


def test_an_answer_that_the_socket_does_not_take_is_counted() -> None:
    resolver = Resolver(WEB)

    async def client(port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", port))
            sock.send(dns.message.make_query("web", "A").to_wire())
            await until(lambda: resolver.counted().get("unsent") == 1)

    with mock.patch.object(socket.socket, "sendto", side_effect=BlockingIOError):
        served(resolver, client)
