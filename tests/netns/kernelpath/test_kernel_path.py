# SPDX-License-Identifier: Apache-2.0
"""Containers whose TCP the kernel carries, and the rest the engine, on two hosts."""

import json
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from fastpath.kernelpath.programs import maps_of
from tests.support.hosts import hosts, kernel_path_lab
from tests.support.hosts.hosts import Namespace, wait_for
from tests.support.hosts.kernel_path_lab import TUNNEL, UDP_PORT, VNI, Host, KernelPathLab, addresses, mac
from tests.support.servers.stream import Stream

SOL_PACKET, PACKET_VNET_HDR = 263, 15  # <linux/if_packet.h>
MARKER = 0x88B5  # IEEE 802 local experimental
TAKE_OVER = """
import json, sys
from fastpath.control.kernel.netlink import Links, Rtnetlink, filters
from fastpath.kernelpath.path import KernelPath
names = dict(json.loads(sys.argv[1]))
with Rtnetlink() as netlink:
    links = {name: Links(netlink).get(name) for name in names}
    with KernelPath([filters.attached(netlink, link).id for link in links.values()]) as path:
        assert path.taken_over
        for name, program in names.items():
            filters.attach(netlink, links[name], getattr(path, program).fd, "fp_" + program)
        print(len(path.ports), len(path.destinations), path.verdicts()["to_remote"])
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[KernelPathLab]:
    with kernel_path_lab.lab() as made:
        yield made


def frames_of_engine(host: Host) -> int:
    """How many frames the engine received from containers."""
    return sum(port.traffic.rx_frames for port in host.ports.values())


def changes(host: Host, before: dict[str, int]) -> dict[str, int]:
    return {name: count - before[name] for name, count in host.path.verdicts().items() if count != before[name]}


def transfer(frm: Namespace, to: Namespace, address: str, size: int = 4 << 20) -> int:
    """Send bytes by TCP; return how many arrived."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = to.inside(lambda: socket.create_server((address, 5001), family=family))
    with server, frm.inside(lambda: socket.create_connection((address, 5001), hosts.DEADLINE_S)) as out:
        server.settimeout(hosts.DEADLINE_S)
        with server.accept()[0] as connection:
            connection.settimeout(hosts.DEADLINE_S)
            received, sent = 0, 0
            while received < size:
                if sent < size:
                    sent += out.send(bytes(min(1 << 16, size - sent)))
                received += len(connection.recv(1 << 18))
            return received


@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_carries_tcp(lab: KernelPathLab, version: int) -> None:
    one, two = lab.sides
    address = addresses(2)[version == 6]
    assert hosts.reaches(lab.containers[0], address)
    before, by_engine = [side.path.verdicts() for side in lab.sides], frames_of_engine(one)
    port = one.index(one.veth(1))
    sent = one.path.port_traffic(port).rx_bytes
    assert transfer(lab.containers[0], lab.containers[1], address) == 4 << 20
    assert changes(one, before[0])["to_remote"] > 0
    assert changes(two, before[1])["from_remote"] > 0
    assert one.path.port_traffic(port).rx_bytes - sent > 4 << 20
    assert frames_of_engine(one) - by_engine < 20  # an ARP request perhaps, and what IPv6 multicasts
    assert not lab.hosts[1].counts()["IpReasmReqds"]


@pytest.mark.parametrize("version", [4, 6])
def test_the_engine_carries_ping_to_other_hosts(lab: KernelPathLab, version: int) -> None:
    one = lab.sides[0]
    before = one.path.verdicts()
    assert hosts.reaches(lab.containers[0], addresses(2)[version == 6])
    found = changes(one, before)
    assert found["engine_kind"] > 0
    assert found["from_engine"] > 0


@pytest.mark.parametrize("version", [4, 6])
def test_ports_of_one_host_need_no_engine(lab: KernelPathLab, version: int) -> None:
    one, address = lab.sides[0], addresses(3)[version == 6]
    assert hosts.reaches(lab.containers[0], address)  # who asks for the address, asks everybody
    kernel_path_lab.neighbour(lab.containers[0], 3)
    kernel_path_lab.neighbour(lab.containers[2], 1)
    before = one.path.verdicts()
    assert hosts.reaches(lab.containers[0], address)
    assert transfer(lab.containers[0], lab.containers[2], address) == 4 << 20
    assert changes(one, before)["to_local"] > 10


class Wire:
    """Raw sockets at containers: what one sends, and whether it arrives before a marker that is sent last."""

    def __init__(self, lab: KernelPathLab, stack: ExitStack) -> None:
        self.sockets = [stack.enter_context(container.raw("eth0")) for container in lab.containers]
        self.markers = 0

    def send(self, frame: Packet | bytes, number: int = 1) -> None:
        self.sockets[number - 1].send(bytes(frame))

    def receive(self, number: int, text: bytes) -> bytes:
        """Wait for the frame that contains the text."""
        while text not in (frame := self.sockets[number - 1].recv(1 << 16)):
            pass
        return frame

    def arrived(self, number: int, frm: int = 1) -> list[bytes]:
        """All frames from the one container to the other, up to a marker by the way of the engine. It may overtake
        frames of other flows: that these were dropped, a counter has to tell, too."""
        self.markers += 1
        ethernet = bytes.fromhex((mac(number) + mac(frm)).replace(":", ""))
        marker = ethernet + struct.pack(">HI", MARKER, self.markers) + bytes(46)
        self.send(marker, frm)
        found: list[bytes] = []
        while (frame := self.sockets[number - 1].recv(1 << 16)) != marker:
            found += [frame] if frame[:12] == ethernet else []
        return found


@pytest.fixture
def wire(lab: KernelPathLab) -> Iterator[Wire]:
    with ExitStack() as stack:
        yield Wire(lab, stack)


def frame(to: int, frm: int = 1, source: str = "", **more: Any) -> Packet:
    return Ether(dst=mac(to), src=mac(frm)) / IP(src=source or addresses(frm)[0], dst=addresses(to)[0], **more)


@pytest.mark.parametrize("to", [2, 3])
def test_spoofed_frames_are_dropped_by_the_engine(lab: KernelPathLab, wire: Wire, to: int) -> None:
    one = lab.sides[0]
    before, drops = one.path.verdicts(), one.segment.stats().tally.drops.get("spoofed_source", 0)
    wire.send(frame(to, source="10.9.0.77") / TCP() / Raw(b"spoofed"))
    wire.send(Ether(dst=mac(to), src=mac(9)) / IP(src=addresses(1)[0], dst=addresses(to)[0]) / TCP() / Raw(b"spoofed"))
    found = b"".join(wire.arrived(to))
    assert b"spoofed" not in found
    assert changes(one, before)["engine_source"] == 2
    wait_for(lambda: one.segment.stats().tally.drops.get("spoofed_source", 0) == drops + 2, "the engine drops them")


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("fragment", frame(2, flags="MF") / TCP() / Raw(b"a fragment".ljust(44))),
        (
            "tagged",
            Ether(dst=mac(2), src=mac(1)) / Dot1Q(vlan=7) / IP(src="10.9.0.1", dst="10.9.0.2") / TCP() / Raw(b"tagged"),
        ),
        ("udp", frame(2) / UDP(sport=7, dport=8) / Raw(b"udp")),
        ("icmp", frame(2) / ICMP(type=0) / Raw(b"icmp")),
    ],
)
def test_other_kinds_of_frames_take_the_engine(lab: KernelPathLab, wire: Wire, kind: str, what: Packet) -> None:
    one = lab.sides[0]
    before = one.path.verdicts()
    wire.send(what)
    assert wire.receive(2, kind.encode())[:12] == bytes(what)[:12]
    assert changes(one, before).keys() >= {"engine_kind"}
    assert "to_remote" not in changes(one, before)


def test_what_a_stranger_sends_to_the_tunnel_is_dropped(lab: KernelPathLab, wire: Wire) -> None:
    """The packets are those of a host, so this is about networks and MAC addresses, not about peers."""
    one = lab.sides[0]
    sender = lab.hosts[1].inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def send(inner: Packet, vni: int = VNI) -> None:
        sender.sendto(bytes(VXLAN(flags=8, vni=vni) / inner), ("192.0.2.1", UDP_PORT))

    def fate(inner: Packet) -> dict[str, int]:
        before = one.path.verdicts()
        send(inner)

        def seen() -> dict[str, int]:  # without what containers send by themselves
            return {name: n for name, n in changes(one, before).items() if name.startswith(("drop", "from_remote"))}

        return wait_for(seen, "the program sees it")

    everybody, payload = "ff:ff:ff:ff:ff:ff", TCP(flags="R") / Raw(b"injected")
    with sender:
        send(frame(1, 2) / payload, VNI + 1)  # which the vxlan device drops: the counts below are of others
        assert fate(Ether(dst=mac(1), src=mac(9)) / IP(src="10.9.0.2") / payload) == {"drop_source": 1}
        assert fate(frame(1, 2, "10.9.0.9") / payload) == {"drop_source": 1}
        assert fate(frame(1, 3) / payload) == {"drop_source": 1}  # of this host itself
        assert fate(Ether(dst=mac(9), src=mac(2)) / IP(src="10.9.0.2") / payload) == {"drop_destination": 1}
        assert fate(Ether(dst=everybody, src=mac(2)) / IP(src="10.9.0.2") / payload) == {"drop_destination": 1}
        assert fate(frame(1, 2) / UDP(sport=9, dport=9) / Raw(b"injected")) == {"drop_kind": 1}
        assert b"injected" not in b"".join(wire.arrived(1, frm=2))
        assert fate(frame(1, 2) / payload)["from_remote"] == 1
        assert wire.receive(1, b"injected")[:12] == bytes(frame(1, 2))[:12]


def test_a_checksum_over_the_source_address_is_noticed_at_the_other_end(lab: KernelPathLab) -> None:
    """Whoever may use raw sockets says where a checksum is to be written; u0 has it written in software."""
    one, two = lab.sides
    what = bytes(frame(2) / TCP(sport=7, dport=8, flags="R") / Raw(b"x" * 32))
    plain = struct.pack("=BBHHHH", 0, 0, 0, 0, 0, 0)  # struct virtio_net_hdr
    over_source = struct.pack("=BBHHHH", 1, 0, 0, 0, 20, 6)  # newer kernels want the sum to begin at 20 at least
    lab.hosts[0].run("ethtool", "-K", "u0", "tx", "off")
    try:
        with lab.containers[0].raw("eth0") as sock:
            sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
            for header, verdict in ((plain, "from_remote"), (over_source, "drop_source")):
                before = two.path.verdicts()[verdict]
                sock.send(header + what)
                wait_for(lambda: two.path.verdicts()[verdict] > before, verdict)  # noqa: B023
    finally:
        lab.hosts[0].run("ethtool", "-K", "u0", "tx", "on")
    assert one.path.verdicts()["to_remote"] >= 2


def test_what_is_too_big_is_not_fragmented(lab: KernelPathLab) -> None:
    """A container may raise its MTU. The path to the peer stays what it is."""
    one = lab.sides[0]
    before = one.path.verdicts()
    one.pen.ip(f"link set {one.veth(1)} mtu 1500")
    lab.containers[0].ip("link set eth0 mtu 1500")
    lab.containers[1].ip("link set eth0 mtu 1500")
    try:
        server = lab.containers[1].inside(lambda: socket.create_server((addresses(2)[0], 5002)))
        with server, lab.containers[0].inside(lambda: socket.create_connection((addresses(2)[0], 5002), 60)) as out:
            out.send(bytes(1 << 16))
            wait_for(lambda: changes(one, before).get("engine_size"), "too big is left to the engine")
            wait_for(lambda: one.segment.stats().tally.drops.get("too_big"), "which drops it")
    finally:
        lab.containers[1].ip("link set eth0 mtu 1450")
        lab.containers[0].ip("link set eth0 mtu 1450")
        one.pen.ip(f"link set {one.veth(1)} mtu 1450")
    assert not lab.hosts[1].counts()["IpReasmReqds"]
    assert not lab.hosts[0].counts()["IpFragCreates"]


def test_without_its_filter_nothing_passes(lab: KernelPathLab, wire: Wire) -> None:
    one = lab.sides[0]
    one.pen.run("tc", "qdisc", "del", "dev", one.veth(1), "clsact")
    assert one.attached(one.veth(1)) is None
    for to in (2, 3):
        wire.send(frame(to) / TCP(sport=7, dport=8, flags="R") / Raw(b"unfiltered"))
        wire.send(frame(to) / UDP(sport=7, dport=8) / Raw(b"unfiltered"))
    wire.send(Ether(dst="ff:ff:ff:ff:ff:ff", src=mac(1)) / IP(src=addresses(1)[0]) / UDP() / Raw(b"unfiltered"))
    received = int(one.pen.run("cat", f"/sys/class/net/{one.veth(1)}/statistics/rx_packets").stdout)
    assert received >= 5
    one.attach(one.veth(1), one.path.from_port)
    for to in (2, 3):
        assert b"unfiltered" not in b"".join(wire.arrived(to))


def test_connections_and_neighbours_live_without_an_engine(lab: KernelPathLab) -> None:
    container, (address, address6) = lab.containers[0], addresses(2)
    stream = Stream(container, lab.containers[1], address)
    assert hosts.reaches(container, address6)
    for side in lab.sides:
        side.engine.stop()
    try:
        stream.flows()
        for known in (address, address6):  # asked by unicast, as by a host that heard nothing for a while
            container.ip(f"neigh replace {known} lladdr {mac(2)} dev eth0 nud probe")
            wait_for(
                lambda: "REACHABLE" in container.ip(f"neigh show {known} dev eth0"),  # noqa: B023
                f"{known} answers",
            )
        stream.flows()
    finally:
        for side in lab.sides:
            side.engine.start()
        stream.end()


def test_the_next_process_takes_over_in_mid_stream(lab: KernelPathLab) -> None:
    one = lab.sides[0]
    stream = Stream(lab.containers[0], lab.containers[1], addresses(2)[0])
    stream.flows()
    names = {one.veth(1): "from_port", one.veth(3): "from_port", one.tap(1): "from_engine", TUNNEL: "from_tunnel"}
    before = {name: one.attached(name) for name in names}
    done = one.pen.run(sys.executable, "-c", TAKE_OVER, json.dumps(names))
    ports, destinations, carried = map(int, done.stdout.split())
    assert (ports, destinations) == (2, 3)
    assert carried > 0
    for name, known in before.items():
        now = one.attached(name)
        assert known is not None
        assert now is not None
        assert now.id != known.id
        assert now.tag == known.tag
    verdicts = one.path.verdicts()  # of the same maps
    stream.flows()
    assert changes(one, verdicts)["to_remote"] > 0
    stream.end()


def test_a_restart_takes_everything_over(lab: KernelPathLab) -> None:
    """With another engine and another loader, as after a crash."""
    one = lab.sides[0]
    stream = Stream(lab.containers[0], lab.containers[1], addresses(2)[0])
    stream.flows()
    places, verdicts = dict(one.layout.places), one.path.verdicts()
    one.restart()
    assert one.path.taken_over
    assert one.layout.places == places
    assert one.sync() == 0
    stream.flows()
    assert changes(one, verdicts)["to_remote"] > 0
    assert hosts.reaches(lab.containers[0], addresses(2)[1])
    stream.end()


@pytest.mark.parametrize("what", ["veth", "tap"])
def test_what_somebody_deletes_is_made_anew(lab: KernelPathLab, what: str) -> None:
    one = lab.sides[0]
    before = one.layout.places[one.endpoints[3].id]
    one.pen.ip(f"link delete {getattr(one, what)(3)}")
    one.add_container(3, lab.containers[2])
    after = one.layout.places[one.endpoints[3].id]
    assert getattr(after, what) != getattr(before, what)
    assert one.sync() > 0
    assert hosts.reaches(lab.containers[2], addresses(2)[0])
    assert transfer(lab.containers[2], lab.containers[1], addresses(2)[0]) == 4 << 20


def test_an_endpoint_that_goes_leaves_nothing(lab: KernelPathLab) -> None:
    one = lab.sides[0]
    names = {one.veth(3), one.tap(3)}
    assert names <= one.pen.links()
    one.remove_container(3)
    assert not names & one.pen.links()
    assert "eth0" not in lab.containers[2].links()
    assert len(one.path.ports) == 1
    one.add_container(3, lab.containers[2])
    one.sync()
    assert hosts.reaches(lab.containers[2], addresses(1)[0])


def test_nothing_is_left(lab: KernelPathLab) -> None:
    """The last one: it closes the lab."""
    one = lab.sides[0]
    path = one.path
    numbers = [program.id for program in (path.from_port, path.from_tunnel, path.from_engine)]
    numbers += [known.id for name in (one.veth(1), one.tap(1), TUNNEL) if (known := one.attached(name)) is not None]

    def left() -> dict[str, object]:
        with ExitStack() as stack:
            return {name: found for number in numbers for name, found in maps_of(number, stack).items()}

    assert len(left()) == 8
    lab.close()
    wait_for(lambda: not left(), "programs and maps are gone")  # the kernel waits for those who read them
