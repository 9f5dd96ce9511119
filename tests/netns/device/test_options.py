# SPDX-License-Identifier: Apache-2.0
"""The effects of `vxlan add` options on packets in the underlay, seen by a raw socket on the far host."""

import ipaddress
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from fastpath.engine.ports.tx_queue import DEFAULT_TXQUEUELEN
from tests.netns.device.test_frames import BROADCAST, A, B, frame, ipv4, quiet
from tests.support.hosts.hosts import Lab, Namespace, ip, wait_for


class Outer(NamedTuple):
    """A VXLAN packet, taken apart."""

    source: str
    destination: str
    tos: int
    ttl: int
    dont_fragment: bool
    source_port: int
    destination_port: int
    checksum: int
    vni: int
    inner: bytes


def outer(packet: bytes) -> Outer | None:
    """The packet behind an Ethernet header, if it is UDP over IPv4 or IPv6."""
    kind, data = packet[12:14], packet[14:]
    if kind == b"\x08\x00" and data[9] == socket.IPPROTO_UDP:
        tos, ttl, df, addresses, udp = data[1], data[8], bool(data[6] & 0x40), data[12:20], data[20:]
    elif kind == b"\x86\xdd" and data[6] == socket.IPPROTO_UDP:
        tos, ttl, df = struct.unpack("!H", data[:2])[0] >> 4 & 0xFF, data[7], True
        addresses, udp = data[8:40], data[40:]
    else:
        return None
    half = len(addresses) // 2
    here, there = (str(ipaddress.ip_address(part)) for part in (addresses[:half], addresses[half:]))
    source_port, destination_port, _, checksum = struct.unpack("!4H", udp[:8])
    vni = int.from_bytes(udp[12:15], "big")
    return Outer(here, there, tos, ttl, df, source_port, destination_port, checksum, vni, udp[16:])


@pytest.fixture
def wire(two: Lab) -> Iterator[tuple[Lab, socket.socket]]:
    """The lab, and a raw socket on h2's underlay."""
    for container in two.containers:
        quiet(container)
    two.wire("gro", "off")  # a train would cross a veth in one piece
    with two.hosts[1].raw("u0") as sock:
        yield two, sock


def add(lab: Lab, words: str) -> Namespace:
    """A device on h1 with these words; its container, up."""
    lab.hosts[0].fastpath(*f"vxlan add vx0 netns {lab.containers[0].name} -d".split(), *words.split())
    lab.containers[0].address()
    return lab.containers[0]


def exchange(container: Namespace, sock: socket.socket, *frames: bytes) -> list[Outer]:
    """Send frames from the container; the packets in which they come, in order."""
    found: list[Outer] = []
    with container.raw() as sender:
        for data in frames:
            sender.send(data)
        while len(found) < len(frames):
            packet = outer(sock.recv(1 << 16))
            if packet is not None and packet.inner in frames:
                found.append(packet)
    return found


HELLO = frame(BROADCAST, A, 0x88B5, b"hello")


def test_the_defaults(wire: tuple[Lab, socket.socket]) -> None:
    lab, sock = wire
    container = add(lab, "id 16777215 local 192.0.2.1 remote 192.0.2.2")
    (packet,) = exchange(container, sock, HELLO)
    assert packet[:5] == ("192.0.2.1", "192.0.2.2", 0, 64, True)
    assert 49152 <= packet.source_port <= 65535
    assert packet.destination_port == 4789
    assert packet.vni == 16777215


def test_ports_and_ttl(wire: tuple[Lab, socket.socket]) -> None:
    lab, sock = wire
    container = add(lab, "id 5 local 192.0.2.1 remote 192.0.2.2 dstport 8472 srcport 1000 1003 ttl 7")
    flows = [frame(B, A, 0x0800, ipv4(17, struct.pack("!HHHH", port, 53, 8, 0))) for port in range(1, 65)]
    first, again = exchange(container, sock, *flows), exchange(container, sock, *flows)
    assert {packet.ttl for packet in first} == {7}
    assert {packet.destination_port for packet in first} == {8472}
    # Several source ports, out of the range; a flow keeps its own.
    assert {packet.source_port for packet in first} <= {1000, 1001, 1002, 1003}
    assert len({packet.source_port for packet in first}) > 1
    port_of = {packet.inner: packet.source_port for packet in first}
    assert {packet.inner: packet.source_port for packet in again} == port_of


def test_ipv6_underlay(wire: tuple[Lab, socket.socket]) -> None:
    lab, sock = wire
    container = add(lab, "id 5 local 2001:db8::1 remote 2001:db8::2 ttl 9")
    (packet,) = exchange(container, sock, HELLO)
    assert (packet.source, packet.destination, packet.ttl, packet.vni) == ("2001:db8::1", "2001:db8::2", 9, 5)
    # RFC 8200 section 8.1 wants a UDP checksum; on a veth it may be left for the device to finish.
    assert packet.checksum != 0


def test_congestion_marks_follow_rfc_6040(wire: tuple[Lab, socket.socket]) -> None:
    lab, sock = wire
    container = add(lab, "id 5 local 192.0.2.1 remote 192.0.2.2")
    inner = frame(B, A, 0x0800, ipv4(17, struct.pack("!HHHH", 1, 53, 8, 0)))
    marked = [inner[:15] + bytes([0xB8 | ecn]) + inner[16:] for ecn in range(4)]
    packets = exchange(container, sock, *marked)
    # Only the ECN bits are copied, and a mark starts anew in the underlay.
    assert [packet.tos for packet in packets] == [0, 1, 2, 2]


def test_remotes_may_be_none_and_many(wire: tuple[Lab, socket.socket]) -> None:
    lab, sock = wire
    container = add(lab, "id 5 local 192.0.2.1")
    with container.raw() as sender:
        sender.send(HELLO)
    dropped = {"no_destination": 1}
    wait_for(lambda: lab.hosts[0].stats()["workers"][0]["drops"] == dropped, "nobody is there to send it to")
    assert lab.hosts[0].fastpath("fdb", "append", "00:00:00:00:00:00", "dev", "vx0", "dst", "192.0.2.2").returncode == 0
    (packet,) = exchange(container, sock, HELLO)
    assert packet.destination == "192.0.2.2"
    assert lab.hosts[0].stats()["workers"][0]["drops"] == dropped


def test_what_does_not_fit_is_counted(wire: tuple[Lab, socket.socket]) -> None:
    lab, sock = wire
    container = add(lab, "id 5 local 192.0.2.1 remote 192.0.2.2 mtu 3000")
    large = frame(B, A, 0x88B5, bytes(1451))  # 1 byte more than the underlay's 1500 take
    fits = frame(B, A, 0x88B5, bytes(1450))
    with container.raw() as sender:
        sender.send(large)
    (packet,) = exchange(container, sock, fits)
    assert packet.inner == fits
    assert lab.hosts[0].stats()["workers"][0]["drops"] == {"too_big": 1}


def test_the_mtu_follows_the_underlay(wire: tuple[Lab, socket.socket]) -> None:
    lab, _ = wire
    host = lab.hosts[0]
    ip("-n", host.name, "link", "set", "u0", "mtu", "9000")
    for words, mtu in (
        ("local 192.0.2.1 remote 192.0.2.2", 8950),
        ("local 2001:db8::1 remote 2001:db8::2", 8930),
        ("local 192.0.2.1", 8950),
        ("local 192.0.2.1 mtu 1400", 1400),
    ):
        host.fastpath("vxlan", "add", "vx0", "id", "5", *words.split(), "-d")
        assert f" mtu {mtu}\n" in host.fastpath("vxlan", "show", "vx0").stdout
        assert f" mtu {mtu} " in ip("-n", host.name, "link", "show", "vx0")
        host.fastpath("vxlan", "del", "vx0")


def test_the_length_of_the_queue(two: Lab) -> None:
    host = two.hosts[0]
    for words, length in (("", DEFAULT_TXQUEUELEN), ("txqueuelen 77", 77)):
        host.fastpath("vxlan", "add", "vx0", "id", "5", *words.split(), "-d")
        assert f" qlen {length}\n" in ip("-n", host.name, "link", "show", "vx0")
        host.fastpath("vxlan", "del", "vx0")
