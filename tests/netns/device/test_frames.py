# SPDX-License-Identifier: Apache-2.0
"""Any frame that a container sends arrives as it was, at every host that should get it, and once.

Raw sockets send and receive whole frames, so nothing here depends on what a kernel would make of them.
"""

import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from tests.support.hosts.hosts import Lab, Namespace, wait_for

BROADCAST = "ff:ff:ff:ff:ff:ff"
MULTICAST = "01:00:5e:00:00:fb"
A, B, C, UNKNOWN = ("02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c", "02:00:00:00:00:99")
TEST_ETHERTYPE = 0x88B5  # IEEE 802 local experimental


def frame(dst: str, src: str, ethertype: int, payload: bytes) -> bytes:
    return bytes.fromhex(dst.replace(":", "") + src.replace(":", "")) + struct.pack("!H", ethertype) + payload


def ipv4(protocol: int, payload: bytes, dst: bytes = b"\x0a\x09\0\x02") -> bytes:
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0, b"\x0a\x09\0\x01", dst)
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + header[12:] + payload


FRAMES = {
    "arp": frame(BROADCAST, A, 0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + bytes(20)),
    "ipv4": frame(B, A, 0x0800, ipv4(17, struct.pack("!HHHH", 9, 9, 8 + 30, 0) + bytes(30))),
    "udp without data": frame(B, A, 0x0800, ipv4(17, struct.pack("!HHHH", 9, 9, 8, 0))),
    "ipv6": frame(B, A, 0x86DD, struct.pack("!IHBB", 6 << 28, 4, 59, 64) + bytes(32) + b"data"),
    "vlan": frame(B, A, 0x8100, struct.pack("!HH", 100, 0x0800) + ipv4(1, bytes(40))),
    "two vlan tags": frame(B, A, 0x88A8, struct.pack("!HHHH", 5, 0x8100, 100, 0x0800) + ipv4(1, bytes(40))),
    "multicast": frame(MULTICAST, A, 0x0800, ipv4(17, struct.pack("!HHHH", 5353, 5353, 20, 0) + bytes(12))),
    "broadcast": frame(BROADCAST, A, TEST_ETHERTYPE, b"to everybody"),
    "neither IP nor ARP": frame(B, A, TEST_ETHERTYPE, bytes(range(256))),
    "header only": frame(B, A, TEST_ETHERTYPE, b""),
    "as long as the MTU allows": frame(B, A, TEST_ETHERTYPE, bytes(n & 0xFF for n in range(1450))),
    "IP with a wrong length": frame(B, A, 0x0800, b"\x45\0\xff\xff" + bytes(40)),
}


def exactly(wanted: bytes) -> Callable[[bytes], bool]:
    """Matches one frame."""
    return lambda data: data == wanted


def arrived(sock: socket.socket, match: Callable[[bytes], bool]) -> list[bytes]:
    """All frames that are there and match."""
    found: list[bytes] = []
    sock.setblocking(False)
    while True:
        try:
            data = sock.recv(1 << 16)
        except BlockingIOError:
            return found
        if match(data):
            found.append(data)


def frames_until(sock: socket.socket, last: bytes) -> list[bytes]:
    """The test's frames that came before `last`. (A raw socket also sees what it sends: not those.)"""
    sock.settimeout(30)
    found: list[bytes] = []
    while True:
        data, address = sock.recvfrom(1 << 16)
        if address[2] == socket.PACKET_OUTGOING:
            continue
        if data == last:
            return found
        if data[12:14] == struct.pack("!H", TEST_ETHERTYPE):
            found.append(data)


def next_frame(sock: socket.socket, match: Callable[[bytes], bool]) -> bytes:
    """The next frame that matches; a kernel may strip a VLAN tag on its way to the socket, so callers
    that care look at the TAP's other side."""
    sock.settimeout(30)
    while True:
        data = sock.recv(1 << 16)
        if match(data):
            return data


def quiet(container: Namespace) -> None:
    """No frames but those of the test: the kernel's own IPv6 chatter off."""
    for which in ("all", "default"):
        container.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{which}/disable_ipv6")


@pytest.fixture
def cloud(three: Lab) -> Iterator[tuple[Lab, list[socket.socket]]]:
    """Three hosts with one segment, and a raw socket on each container's interface."""
    for number, (host, container) in enumerate(zip(three.hosts, three.containers, strict=True), 1):
        quiet(container)
        others = " ".join(f"remote 192.0.2.{n}" for n in (1, 2, 3) if n != number)
        host.fastpath(*f"vxlan add vx0 id 7 local 192.0.2.{number} {others} netns {container.name} -d".split())
        container.address()
    sockets = [container.raw() for container in three.containers]
    yield three, sockets
    for sock in sockets:
        sock.close()


# A packet socket gets VLAN tags in auxiliary data; asking for them would test the kernel, not us.
UNTAGGED = [name for name in FRAMES if "vlan" not in name]


@pytest.mark.parametrize("name", UNTAGGED)
def test_frame_arrives_unchanged(cloud: tuple[Lab, list[socket.socket]], name: str) -> None:
    _, (c1, c2, c3) = cloud
    c1.send(FRAMES[name])
    for far in (c2, c3):  # B is not known anywhere yet, so unicast is flooded too
        assert next_frame(far, lambda data: data[6:12] == FRAMES[name][6:12]) == FRAMES[name]


@pytest.mark.parametrize("name", ["vlan", "two vlan tags"])
def test_vlan_tags_arrive(cloud: tuple[Lab, list[socket.socket]], name: str) -> None:
    _, (c1, c2, _) = cloud
    sent = FRAMES[name]
    c1.send(sent)
    got = next_frame(c2, lambda data: data[6:12] == sent[6:12])
    # The kernel moves the outer tag out of the data that it shows to a packet socket.
    assert got == sent or got == sent[:12] + sent[16:]


def test_broadcast_is_replicated_once_and_never_reflected(cloud: tuple[Lab, list[socket.socket]]) -> None:
    lab, (c1, c2, c3) = cloud
    sent = frame(BROADCAST, A, TEST_ETHERTYPE, b"only once please")
    last = frame(BROADCAST, A, TEST_ETHERTYPE, b"the last frame")
    for _ in range(100):
        c1.send(sent)
    c1.send(last)
    for far in (c2, c3):
        assert frames_until(far, last) == [sent] * 100
    # Whatever h2 and h3 might reflect would be on its way to c1 before these.
    for far, address in ((c2, B), (c3, C)):
        end = frame(BROADCAST, address, TEST_ETHERTYPE, b"the very last frame")
        far.send(end)
        assert frames_until(c1, end) == []
    for host in lab.hosts:
        assert "split_horizon" not in host.stats()["workers"][0]["drops"]


def test_learned_unicast_goes_to_one_host_only(cloud: tuple[Lab, list[socket.socket]]) -> None:
    lab, (c1, c2, c3) = cloud
    hello = frame(BROADCAST, B, TEST_ETHERTYPE, b"I am B")
    c2.send(hello)
    next_frame(c1, exactly(hello))
    next_frame(c3, exactly(hello))
    for _ in range(50):
        c1.send(frame(B, A, TEST_ETHERTYPE, b"to B alone"))
    last = frame(BROADCAST, A, TEST_ETHERTYPE, b"the last frame")
    c1.send(last)
    next_frame(c3, exactly(last))
    next_frame(c2, lambda data: b"to B alone" in data)
    assert arrived(c3, lambda data: b"to B alone" in data) == []
    remotes = {r["address"]: r["traffic"]["tx_frames"] for r in lab.hosts[0].stats()["remotes"]}
    assert remotes == {"192.0.2.2": 51, "192.0.2.3": 1}


def test_an_address_that_moves_is_followed(cloud: tuple[Lab, list[socket.socket]]) -> None:
    _, (c1, c2, c3) = cloud
    for here, there in ((c2, c3), (c3, c2)):
        hello = frame(BROADCAST, B, TEST_ETHERTYPE, b"B is here now")
        here.send(hello)
        next_frame(c1, exactly(hello))
        next_frame(there, exactly(hello))
        mine = frame(B, A, TEST_ETHERTYPE, b"follow")
        c1.send(mine)
        next_frame(here, exactly(mine))
        last = frame(BROADCAST, A, TEST_ETHERTYPE, b"the last frame")
        c1.send(last)
        next_frame(there, exactly(last))
        assert arrived(there, exactly(mine)) == []


def test_a_full_fdb_floods_and_goes_on(two: Lab) -> None:
    for number, (host, container) in enumerate(zip(two.hosts, two.containers, strict=True), 1):
        quiet(container)
        add = f"vxlan add vx0 id 7 local 192.0.2.{number} remote 192.0.2.{3 - number} netns {container.name} -d"
        host.fastpath(*add.split(), *(["maxaddress", "16"] if number == 2 else []))
        container.address()
    c1, c2 = (container.raw() for container in two.containers)
    with c1, c2:
        for number in range(100):
            c1.send(frame(BROADCAST, f"02:00:00:00:01:{number:02x}", TEST_ETHERTYPE, b"one of many"))
            next_frame(c2, lambda data: b"one of many" in data)
        stats = two.hosts[1].stats()
        assert stats["segments"][0]["fdb_entries"] == 16
        assert stats["segments"][0]["tally"]["events"]["fdb_full"] == 100 - 16
        assert stats["segments"][0]["tally"]["traffic"]["drops"] == 0
        c2.send(frame("02:00:00:00:01:63", B, TEST_ETHERTYPE, b"to one that was not learned"))
        next_frame(c1, lambda data: b"not learned" in data)


def test_garbage_on_the_port_is_counted_and_hurts_nobody(two: Lab) -> None:
    h1, h2 = two.hosts
    c1 = two.containers[0]
    for number, (host, container) in enumerate(zip(two.hosts, two.containers, strict=True), 1):
        add = f"vxlan add vx0 id 7 local 192.0.2.{number} remote 192.0.2.{3 - number} netns {container.name} -d"
        host.fastpath(*add.split())
        container.address(f"10.9.0.{number}/24")
    garbage = [
        b"",
        b"x",
        b"\x08\0\0\0",
        b"\0" * 50,
        b"\x08\0\0\0\0\0\x08\0" + bytes(60),
        b"\x08\0\0\0\0\0\x07\0" + b"short",
    ]
    with h2.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        for _ in range(100):
            for payload in garbage:
                sender.sendto(payload, ("192.0.2.1", 4789))

    def drops() -> dict[str, int]:
        found: dict[str, int] = h1.stats()["workers"][0]["drops"]
        return {name: count for name, count in found.items() if name != "no_destination"}

    expected = {"short_packet": 300, "no_vni_flag": 100, "unknown_vni": 100, "runt": 100}
    wait_for(lambda: sum(drops().values()) >= 600, "the garbage is counted")
    assert drops() == expected
    c1.run("ping", "-c", "2", "-i", "0.2", "10.9.0.2")
