# SPDX-License-Identifier: Apache-2.0
"""Trains and super-frames that a kernel refuses: accepted ones arrive, refused ones are counted."""

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from scapy.layers.inet import ICMP, IP

from fastpath import Engine, MemoryPort, Segment
from fastpath.engine.offloads import Offloads
from tests.support.engine import twin, twin_offload
from tests.support.engine.streams import Stream, pattern
from tests.support.hosts.hosts import DEADLINE_S, Lab, ip, wait_for

TCP4, UDP4 = Stream(), Stream(protocol=twin.UDP)
NETS = {"ipv4": ("192.0.2.", 20 + 8 + 8), "ipv6": ("2001:db8::", 40 + 8 + 8)}  # and the headers outside


class Sender:
    """An engine in h1 with a memory port, driven by the test."""

    def __init__(self, lab: Lab, net: str, offloads: Offloads) -> None:
        self.engine = lab.hosts[0].inside(partial(Engine, f"{net}1", offloads=offloads))
        self.segment: Segment = self.engine.add_segment(42)
        self.port: MemoryPort = self.segment.add_memory_port("m", mtu=1430)
        self.remote = self.segment.add_remote(f"{net}2")
        self.sent = 0

    def send(self, vnet: bytes, frame: bytes, segments: int) -> None:
        """Hand over a super-frame and let the engine serve it."""
        self.port.send(frame, vnet=vnet)
        self.sent += segments
        end = time.monotonic() + DEADLINE_S
        while self.port.traffic.rx_frames < self.sent:
            assert time.monotonic() < end
            self.engine.poll(0.01)

    def events(self) -> dict[str, int]:
        return self.engine.stats().workers[0].events

    def drops(self) -> dict[str, int]:
        return self.engine.stats().workers[0].drops


@contextmanager
def sender(lab: Lab, net: str, offloads: Offloads | None = None) -> Iterator[Sender]:
    one = Sender(lab, net, offloads or Offloads())
    with one.engine:
        yield one


@pytest.fixture(params=NETS)
def underlay(request: pytest.FixtureRequest) -> tuple[str, int]:
    return NETS[request.param]


def neighbours(lab: Lab, net: str) -> None:
    """h1 knows the way to h2: nothing waits for an answer."""
    mac = lab.hosts[1].run("cat", "/sys/class/net/u0/address").stdout.strip()
    ip("-n", lab.hosts[0].name, "neigh", "replace", f"{net}2", "lladdr", mac, "dev", "u0", "nud", "permanent")


def test_a_path_with_a_smaller_mtu(two: Lab, underlay: tuple[str, int]) -> None:
    """Segments that don't fit are counted, each of them; shorter ones pass, and later trains are trains again."""
    net, outer = underlay
    neighbours(two, net)
    length = "32" if "." in net else "128"
    ip("-n", two.hosts[0].name, *f"route add {net}2/{length} dev u0 mtu lock 1300".split())
    with sender(two, net) as one:
        vnet, frame = TCP4.super_frame(pattern(14100), 1390)  # ten that are too big, and a short one
        one.send(vnet, frame, 11)
        assert one.events()["train_refused"] == 1
        assert one.drops() == {"too_big": 10}
        assert one.remote.traffic.tx_frames == 1
        assert one.remote.traffic.drops == 10
        fits = 1300 - outer - TCP4.headers
        vnet, frame = TCP4.super_frame(pattern(10 * fits), fits)
        one.send(vnet, frame, 10)
        assert one.events()["train_refused"] == 1
        assert one.events()["trains"] == 1
        assert one.remote.traffic.tx_frames == 11
        vnet, frame = TCP4.super_frame(pattern(10 * fits), fits + 1)  # a byte too many
        one.send(vnet, frame, 10)
        assert one.drops() == {"too_big": 10, "exceeds_path": 10}
        assert one.events()["told_too_big"] == 1
        assert one.remote.path_mtu == 1300  # which the kernel said
        told = IP((one.port.receive() or b"")[14:])
        assert told[ICMP].nexthopmtu == 1300 - outer - 14


def test_a_path_that_grows_again(two: Lab, underlay: tuple[str, int]) -> None:
    """What the kernel said of the path is asked again after ten seconds, and not before."""
    net, outer = underlay
    neighbours(two, net)
    route = f"{net}2/{'32' if '.' in net else '128'} dev u0".split()
    ip("-n", two.hosts[0].name, "route", "add", *route, "mtu", "lock", "1300")
    with sender(two, net) as one:
        vnet, frame = TCP4.super_frame(pattern(5000), 1500 - outer - TCP4.headers)
        one.send(vnet, frame, 4)
        ip("-n", two.hosts[0].name, "route", "change", *route)
        one.send(vnet, frame, 4)
        assert one.drops() == {"too_big": 3, "exceeds_path": 4}  # a short one passed
        one.engine.advance_clock(10)
        one.send(vnet, frame, 4)
        assert one.drops() == {"too_big": 3, "exceeds_path": 4}
        assert one.remote.traffic.tx_frames == 5
        assert one.remote.path_mtu == 1500


def test_an_underlay_without_checksum_offload(two: Lab, underlay: tuple[str, int]) -> None:
    """A kernel before 6.11 refuses trains there (EIO), a later one finishes the checksums: every packet arrives."""
    net, _ = underlay
    neighbours(two, net)
    two.hosts[0].run("ethtool", "-K", "u0", "tx", "off")
    with sender(two, net) as one, two.hosts[1].inside(partial(Engine, f"{net}2")) as other:
        segment = other.add_segment(42)
        port = segment.add_memory_port("m")
        other.start()
        vnet, frame = TCP4.super_frame(pattern(13900), 1390)
        for _ in range(2):
            one.send(vnet, frame, 10)
        assert one.remote.traffic.tx_frames == 20
        assert one.drops() == {}
        assert one.events().get("trains", 0) + one.events().get("train_refused", 0) in (1, 2)
        wait_for(lambda: port.traffic.tx_frames == 20, "all of them arrive")
        received = list(iter(port.receive_with_header, None))
        parts = [part for header, data in received for part in (twin_offload.split(data, header) or [data])]
        assert parts == (twin_offload.split(frame, vnet) or []) * 2


def test_a_super_frame_that_a_port_refuses(two: Lab) -> None:
    """The kernel takes no UDP super-frame of more than 128 segments (UDP_MAX_SEGMENTS), and none sends one: it is
    dropped where it enters. One whose checksum belongs elsewhere is delivered frame by frame where the kernel looks
    (6.11). The port still takes what comes next."""
    with two.hosts[0].inside(partial(Engine, "192.0.2.1")) as engine:
        segment = engine.add_segment(42)
        memory = segment.add_memory_port("m")
        tap = two.containers[0].inside(partial(segment.add_tap, "vx0", mtu=1450, up=True))
        two.containers[0].address("10.0.0.2/24")
        assert tap.mac is not None
        destination = struct.pack(">Q", tap.mac)[2:]

        def send(segments: int, arrives: bool = True, field: int = 6) -> None:
            sent = tap.traffic.tx_frames + arrives * segments
            vnet, frame = UDP4.super_frame(pattern(100 * segments), 100)
            vnet = twin.VNET.pack(*twin.VNET.unpack(vnet)[:5], field, 0)
            memory.send(destination + frame[6:], vnet=vnet)
            engine.poll()
            assert tap.traffic.tx_frames == sent, engine.stats().workers[0].drops

        send(10)
        send(128)
        send(129, arrives=False)
        assert engine.stats().workers[0].drops == {"tiny_segments": 129}
        send(10)
        assert "super_frame_refused" not in segment.stats().tally.events
        send(10, field=2)
        refused = segment.stats().tally.events.get("super_frame_refused", 0)
        assert refused in (0, 1)
        send(10)
        assert segment.stats().tally.events.get("super_frame_refused", 0) == refused
