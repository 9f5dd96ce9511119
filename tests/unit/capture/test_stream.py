# SPDX-License-Identifier: Apache-2.0
"""A capture over a control socket: when it ends, what a slow reader costs, and what its blocks say."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, UnixConnector, web
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Dot1Q

from fastpath import Capture, MemoryPort
from fastpath.control.capture.blocks import PACKET, STATISTICS, Packet, blocks, dropped, packets
from fastpath.control.capture.open import endpoint_ports, open_capture
from fastpath.control.capture.request import CaptureRequest
from fastpath.control.capture.stream import answer
from fastpath.control.capture.text import line
from fastpath.engine.captures.capture import DEFAULT_ROOM
from fastpath.engine.captures.captured import LINKTYPE_RAW
from fastpath.errors import NotFoundError, RefusedError
from tests.support.control.fake_daemon import ENDPOINT
from tests.support.engine.frames import BROADCAST, ethernet, frame, mac
from tests.support.engine.lab import DEADLINE_S, Lab, drain

A = mac(0xA)


class Site:
    """A lab's engine with one port, behind a control socket; a test may look at the captures that began."""

    def __init__(self, lab: Lab, path: Path) -> None:
        self.lab, self.path = lab, path
        self.segment = lab.engine.add_segment(42)
        self.port = self.segment.add_memory_port("one")
        self.other = self.segment.add_memory_port("two")
        self.captures: list[Capture] = []

    def begin(self, wanted: CaptureRequest) -> Capture:
        self.captures.append(open_capture(self.lab.engine, self.segment, wanted, {}))
        return self.captures[-1]

    def send(self, *frames: bytes) -> None:
        for data in frames:
            self.lab.send(self.port, data)
            self.lab.poll()
            drain(self.other)

    @contextlib.asynccontextmanager
    async def asked(self, **wanted: Any) -> AsyncIterator[ClientResponse]:
        """The answer to one request, whose capture has begun."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await answer(request, self.begin)

        app = web.Application()
        app.add_routes([web.post("/capture", handle)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(self.path)).start()
        body = CaptureRequest(**wanted).model_dump_json()
        try:
            async with (
                ClientSession(connector=UnixConnector(str(self.path))) as session,
                session.post("http://localhost/capture", data=body) as response,
            ):
                assert response.status == 200
                yield response
        finally:
            await runner.cleanup()

    async def ended(self) -> None:
        """Wait until the last capture is over."""
        end = time.monotonic() + DEADLINE_S
        while not self.captures[-1].closed:
            assert time.monotonic() < end
            await asyncio.sleep(0.001)


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    return Site(lab, tmp_path / "s.sock")


def test_it_ends_after_so_many_frames(site: Site) -> None:
    async def run() -> bytes:
        async with site.asked(ports=("one",), count=3) as response:
            site.send(*[frame(BROADCAST, A, b"\x88\xb5" + bytes([number])) for number in range(5)])
            return await response.read()

    found = list(packets(blocks([asyncio.run(run())])))
    assert [packet.data[-1] for packet in found] == [0, 1, 2]
    assert {(packet.interface, packet.direction, packet.comment) for packet in found} == {("one", "in", None)}
    assert site.captures[0].closed


def test_it_ends_after_so_long(site: Site) -> None:
    async def run() -> bytes:
        async with site.asked(duration=0.05) as response:
            site.send(frame(BROADCAST, A))
            return await response.read()

    assert len(list(packets(blocks([asyncio.run(run())])))) <= 2
    assert site.captures[0].closed


@pytest.mark.parametrize("busy", [False, True])
def test_a_reader_that_goes_away_ends_it(site: Site, busy: bool) -> None:
    async def run() -> None:
        async with site.asked() as response:
            assert (await response.content.read(4)) == b"\n\r\r\n"
            if busy:
                for _ in range(100):
                    site.send(frame(BROADCAST, A) + bytes(60000))
            response.close()
            await site.ended()

    asyncio.run(run())


@pytest.mark.slow
def test_a_reader_that_is_slow_misses_frames_and_costs_no_memory(site: Site) -> None:
    """Nobody reads while more goes by than the ring holds; the loop goes on meanwhile."""
    data = frame(BROADCAST, A) + bytes(60000)
    number = 3 * DEFAULT_ROOM // len(data)

    async def run() -> bytes:
        async with site.asked(ports=("one",)) as response:
            for _ in range(number):
                site.send(data)
                await asyncio.sleep(0)
            capture = site.captures[-1]
            assert capture.missed > 0
            got = b""
            while STATISTICS not in [block.kind for block in blocks([got])]:
                got += await response.content.readany()
            assert capture.missed == dropped([block for block in blocks([got]) if block.kind == STATISTICS][-1])
            kept = [block for block in blocks([got]) if block.kind == PACKET]
            assert len(kept) < number - capture.missed + 1
            return got

    asyncio.run(run())
    assert site.captures[0].closed


@given(st.lists(st.integers(1, 50), max_size=40))
def test_blocks_are_whole_however_they_come(sizes: list[int]) -> None:
    data = WRITTEN
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    pieces.append(data[at:])
    assert b"".join(block.data for block in blocks(pieces)) == data
    assert b"".join(block.data for block in blocks([data[:-1]])) == data[: -len(list(blocks([data]))[-1].data)]


@given(st.binary(max_size=300))
def test_what_is_no_capture_is_refused_or_nothing(data: bytes) -> None:
    for damaged in (data, WRITTEN[: len(data)] + data, WRITTEN + data):
        try:
            assert len(list(packets(blocks([damaged])))) <= 3
        except RefusedError as error:
            assert "not a capture" in str(error)  # noqa: PT017  # either is right


def written() -> bytes:
    """A short capture."""
    from fastpath.pcap.pcapng import PcapngWriter  # noqa: PLC0415

    pieces: list[bytes] = []

    class File:
        def write(self, data: bytes) -> None:
            pieces.append(data)

    writer = PcapngWriter(File())
    number = writer.interface("one")
    writer.packet(number, 1, frame(BROADCAST, A), direction="in", comment="drop runt: too short")
    writer.statistics(number, 2, dropped=7)
    writer.packet(number, 3, b"x", 100)
    return b"".join(pieces)


WRITTEN = written()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bytes(ethernet(IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5, dport=80))), "10.0.0.1.5 > 10.0.0.2.80 tcp"),
        (bytes(ethernet(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP())), "10.0.0.1 > 10.0.0.2 icmp"),
        (bytes(ethernet(IP(src="10.0.0.1", dst="10.0.0.2", frag=3) / b"xxxxxxxx")), "10.0.0.1 > 10.0.0.2 "),
        (bytes(ethernet(IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=7, dport=9))), "fd00::1.7 > fd00::2.9 udp"),
        (bytes(ethernet(IPv6(src="fd00::1", dst="fd00::2") / ICMPv6EchoRequest())), "fd00::1 > fd00::2 icmp6"),
        (bytes(ethernet(ARP(psrc="10.0.0.1", pdst="10.0.0.2"))), "arp who-has 10.0.0.2 from 10.0.0.1"),
        (bytes(ethernet(IP(), Dot1Q(vlan=7))), " vlan 7 127.0.0.1 > 127.0.0.1 "),
        (frame(mac(1), mac(2)), f"{mac(2)} > {mac(1)} ethertype 0x88b5"),
        (b"short", " cut"),
    ],
)
def test_lines(data: bytes, words: str) -> None:
    packet = Packet(1_700_000_000_123_456_789, "one", 1, "in", "drop runt: why", len(data), data)
    assert words in line(packet)
    assert line(packet)[8:].startswith(".123456 in  one drop runt: ")
    assert line(packet).endswith(f", length {len(data)}")


@given(st.binary(max_size=120), st.sampled_from([1, LINKTYPE_RAW]))
def test_a_line_is_one_line_whatever_the_frame(data: bytes, linktype: int) -> None:
    assert "\n" not in line(Packet(0, "one", linktype, None, None, len(data), data))


@pytest.fixture
def network(lab: Lab) -> tuple[Lab, MemoryPort, MemoryPort]:
    """A segment as a network has it, with two ports."""
    segment = lab.engine.add_segment(256)
    return lab, segment.add_memory_port("eth0"), segment.add_memory_port("eth1")


def test_a_network_s_ports_have_the_names_of_endpoints(network: tuple[Lab, MemoryPort, MemoryPort]) -> None:
    lab, port, other = network
    segment = lab.engine.segments[256]
    segment.fdb.set(ENDPOINT.mac, port, static=True)
    names = endpoint_ports(segment, [ENDPOINT, ENDPOINT.model_copy(update={"mac": mac(9)})])
    assert names == dict.fromkeys(("web", "www", "10.1.0.2", "fd00:1::2", ENDPOINT.id), port)
    for name, label, where in (
        ("www", True, "web"),
        ("eth0", True, "web"),
        ("web", False, "eth0"),
        ("eth1", True, "eth1"),
    ):
        with open_capture(lab.engine, segment, CaptureRequest(ports=(name,)), names, label=label) as capture:
            for each in (port, other):
                lab.send(each, frame(BROADCAST, A))
            lab.poll()
        assert {record.where for record in capture.read()} == {where}
    with pytest.raises(NotFoundError, match=r"no port db here: the ports are .*eth0 .*web"):
        open_capture(lab.engine, segment, CaptureRequest(ports=("db",)), names)
