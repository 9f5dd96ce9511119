# SPDX-License-Identifier: Apache-2.0
"""The same frames, by the engine alone and with the kernel path: what arrives is the same, and so are the headers of
the packets between the hosts."""

import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from fastpath.engine.stats import Traffic
from tests.support.hosts import hosts, kernel_path_lab
from tests.support.hosts.kernel_path_lab import UDP_PORT, KernelPathLab, addresses, mac, neighbour

FRAMES = 300
OURS = b"both paths"  # in each frame, so that what the containers' kernels send does not count
BROADCAST = "ff:ff:ff:ff:ff:ff"
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23  # <linux/if_packet.h>
SO_RCVBUFFORCE = 33  # <asm/socket.h>


@pytest.fixture(scope="module")
def lab() -> Iterator[KernelPathLab]:
    with kernel_path_lab.lab() as made:
        for number in (2, 3):
            neighbour(made.containers[0], number)
        yield made


def frames(seed: int) -> list[bytes]:
    """Frames from c1, most of them as programs send them, each with another one's mistakes now and then."""
    rng = random.Random(seed)  # the same ones each time

    def rarely(usual: str, *others: str) -> str:
        return rng.choice(others) if rng.random() < 0.08 else usual

    def transport(upper: Callable[[int], Packet]) -> Packet:
        text = rng.randbytes(rng.choice([0, 1, 3, 100, rng.randrange(1300)]))
        return upper(rng.randrange(1024, 65536)) / Raw(OURS + text)

    def upper(port: int) -> Packet:
        other = rng.randrange(1024, 65536)
        return TCP(sport=port, dport=other, flags="R") if rng.random() < 0.7 else UDP(sport=port, dport=other)

    def four(to: int) -> Packet:
        return IP(
            src=rarely(addresses(1)[0], addresses(3)[0], "10.9.0.77", "127.0.0.1"),
            dst=rarely(addresses(to)[0], "10.9.0.88", "239.1.1.1"),
            tos=rng.randrange(256),
            ttl=rng.randrange(1, 256),
            flags=rng.choice(["", "DF", "DF", rarely("DF", "MF")]),
            frag=rng.choice([0] * 19 + [7]),
            options=[IPOption_NOP()] * 4 if rng.random() < 0.05 else [],
        ) / transport(rng.choice([upper, upper, upper, lambda _: ICMP(type=0)]))

    def six(to: int) -> Packet:
        header = IPv6(
            src=rarely(addresses(1)[1], addresses(3)[1], "fe80::1"),
            dst=rarely(addresses(to)[1], "ff02::99"),
            tc=rng.randrange(256),
            hlim=rng.randrange(1, 256),
        )
        return (header / IPv6ExtHdrDestOpt() if rng.random() < 0.05 else header) / transport(upper)

    def arp(to: int) -> Packet:
        return ARP(
            op=rng.choice([1, 2]),
            hwsrc=rarely(mac(1), mac(3)),
            psrc=rarely(addresses(1)[0], addresses(3)[0]),
            hwdst=mac(to),
            pdst=addresses(to)[0],
        ) / Raw(OURS)

    def discovery(to: int) -> Packet:
        own = rarely(addresses(1)[1], addresses(3)[1])
        if rng.random() < 0.5:
            return IPv6(src=own, dst=addresses(to)[1], hlim=255) / ICMPv6ND_NA(tgt=own, R=0) / Raw(OURS)
        option = ICMPv6NDOptSrcLLAddr(lladdr=rarely(mac(1), mac(3)))
        return IPv6(src=own, dst=addresses(to)[1], hlim=255) / ICMPv6ND_NS(tgt=addresses(to)[1]) / option / Raw(OURS)

    found = []
    for _ in range(FRAMES):
        to = rng.choice([2, 3])
        head: Packet = Ether(src=rarely(mac(1), mac(2), mac(9)), dst=rarely(mac(to), mac(9), BROADCAST))
        if rng.random() < 0.05:
            head = head / Dot1Q(vlan=7)
        data = bytearray(bytes(head / rng.choice([four, four, four, six, six, arp, discovery])(to)))
        if rng.random() < 0.05 and len(data) > 60:
            data[rng.randrange(14, 50)] ^= 1 << rng.randrange(8)  # a header's field, or a checksum
        found.append(bytes(data) + bytes(rng.choice([0] * 9 + [5])))
    return [data for data in found if OURS in data]


class Listeners:
    """What arrives at c2, at c3, and at h2 for the tunnels."""

    def __init__(self, lab: KernelPathLab, stack: ExitStack) -> None:
        self._lab = lab
        self._sender = stack.enter_context(lab.containers[0].raw("eth0"))
        self._sockets = [stack.enter_context(lab.containers[number - 1].raw("eth0")) for number in (2, 3)]
        self._sockets.append(stack.enter_context(lab.hosts[1].raw("u0")))
        for sock in self._sockets:
            sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
            sock.setblocking(False)

    def pass_by(self, wanted: list[bytes]) -> list[Counter[bytes]]:
        """Send the frames, and return what arrived."""
        came = self._came()
        for data in wanted:
            self._sender.send(data)
        hosts.wait_for(lambda: self._came() >= came + len(wanted), "both paths took all")
        hosts.wait_for(self._is_quiet, "no packet is on its way")
        return [self._read(sock) for sock in self._sockets]

    def _came(self) -> int:
        """How many frames came from c1, by either path."""
        one = self._lab.sides[0]
        carried, engine = one.path.port_traffic(one.index(one.veth(1))), one.ports[1].traffic
        return carried.rx_frames + engine.rx_frames + engine.drops

    def _is_quiet(self) -> bool:
        one, two = (side.engine.stats() for side in self._lab.sides)
        sent = sum(remote.traffic.tx_frames for remote in one.remotes)
        came = sum(remote.traffic.rx_frames + remote.traffic.drops for remote in two.remotes)
        # What came in and then had nowhere to go counts as both.
        return sent == came - sum(segment.tally.drops.get("no_destination", 0) for segment in two.segments)

    @staticmethod
    def _read(sock: socket.socket) -> Counter[bytes]:
        found: Counter[bytes] = Counter()
        while True:
            try:
                data = sock.recv(1 << 16)
            except BlockingIOError:
                return found
            if OURS in data:
                found[data] += 1


@pytest.mark.parametrize("seed", range(4))
def test_what_arrives_is_the_same(lab: KernelPathLab, seed: int) -> None:
    wanted = frames(seed)
    with ExitStack() as stack:
        listeners = Listeners(lab, stack)
        found = []
        for on in (False, True):
            before, carried = lab.sides[0].path.verdicts(), carried_by(lab)
            for side in lab.sides:
                side.sync(on)
            found.append(listeners.pass_by(wanted))
            after = lab.sides[0].path.verdicts()
            assert (after["to_remote"] > before["to_remote"]) == on
            assert (after["to_local"] > before["to_local"]) == on
            assert (carried_by(lab).tx_frames > carried.tx_frames) == on
    by_engine, by_both = found
    for one, other in zip(by_engine[:2], by_both[:2], strict=True):
        assert len(one) > FRAMES // 4
        assert one == other
    engine, both = (outer(each[2]) for each in found)
    assert {each[1:] for each in both} == {each[1:] for each in engine}
    assert {each[0] for each in both} == {4789, UDP_PORT}


def carried_by(lab: KernelPathLab) -> Traffic:
    """What the kernel path carried to c2."""
    return lab.sides[1].path.port_traffic(lab.sides[1].index(lab.sides[1].veth(2)))


def outer(packets: Counter[bytes]) -> set[tuple[object, ...]]:
    """What the headers of packets say, by the traffic class of the (first) frame within, but for lengths and numbers
    that are other ones each time."""
    found: set[tuple[object, ...]] = set()
    for data in packets:
        packet = Ether(data)
        ip, udp = packet[IP], packet[UDP]
        header, inner = bytes(udp.payload)[:8], Ether(bytes(udp.payload)[8:])
        assert 49152 <= udp.sport <= 65535
        assert udp.chksum != 0
        ecn = inner[IP].tos & 3 if IP in inner else inner[IPv6].tc & 3 if IPv6 in inner else 0
        found.add((udp.dport, ecn, ip.tos, ip.ttl, str(ip.flags), header, packet.src, packet.dst, ip.src, ip.dst))
    return found
