# SPDX-License-Identifier: Apache-2.0
"""An engine on 127.0.0.1 with plain UDP sockets on other loopback addresses as the far ends.

Nothing is timed: `Lab.poll` knows how many frames were handed to the engine and turns until its
counters say that all of them came in; `FarEnd.receive` waits for as many packets as the engine counted.
"""

import itertools
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from fastpath import ConflictError, Engine, MemoryPort, Remote, Segment
from tests.support.engine.twin import VNET, VXLAN_SIZE
from tests.support.ports import free_port

UDP_SEGMENT, GRO = 103, (socket.IPPROTO_UDP, 104)  # <linux/udp.h>
DEADLINE_S = 120.0  # only a failure takes that long
MANY = 10_000  # more frames than a port's queue has room for
ENTRY_DROPS = (
    "unknown_vtep",
    "not_member",
    "short_packet",
    "no_vni_flag",
    "reserved_bits",
    "unknown_vni",
    "ecn_invalid",
    "ambiguous_train",
    "runt",
    "bad_super_frame",
    "tiny_segments",
    "spoofed_source",
    "spoofed_arp",
    "rogue_router",
    "rogue_dhcp",
    "hidden_headers",
)


def vxlan(vni: int, frame: bytes, *, flags: int = 1 << 27, reserved: int = 0) -> bytes:
    """A VXLAN packet as a far end sends it."""
    return struct.pack(">II", flags, vni << 8 | reserved) + frame


def drain(port: MemoryPort) -> list[bytes]:
    """All frames that wait on a memory port's outer side; not those that come meanwhile without end."""
    return list(itertools.islice(iter(port.receive, None), MANY))


def wait_until(what: Callable[[], object]) -> None:
    """Return when it is true. Only a failure takes long."""
    deadline = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)


def receive(port: MemoryPort, expected: int) -> list[bytes]:
    """So many frames, as they come."""
    frames: list[bytes] = []

    def enough() -> bool:
        frames.extend(drain(port))
        return len(frames) >= expected

    wait_until(enough)
    return frames


class Train(NamedTuple):
    """What a far end received as one message (UDP_GRO): packets of `size` bytes, but for a shorter last one."""

    payload: bytes
    size: int
    source_port: int

    def frames(self) -> list[bytes]:
        """The inner frames."""
        return [self.payload[at : at + self.size][VXLAN_SIZE:] for at in range(0, len(self.payload), self.size)]


class Packet(NamedTuple):
    """What a far end received."""

    vni: int
    frame: bytes
    tos: int
    source_port: int


class FarEnd:
    """A remote VTEP that is just a socket."""

    def __init__(self, lab: "Lab", address: str, udp_port: int) -> None:
        self.lab, self.address, self.udp_port = lab, address, udp_port
        self.v6 = ":" in address
        self.sock = socket.socket(socket.AF_INET6 if self.v6 else socket.AF_INET, socket.SOCK_DGRAM)
        if self.v6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind((address, udp_port))
        self.received = 0

    def remote(self, segment: Segment) -> Remote:
        """What the engine calls this far end."""
        return segment.remote(self.address, self.udp_port)

    def send(self, vni: int, frame: bytes, *, tos: int = 0, **header: int) -> None:
        """Send a frame in a VXLAN packet to the engine."""
        self.send_payload(vxlan(vni, frame, **header), tos=tos)

    def send_train(self, vni: int, frames: list[bytes], size: int = 0) -> None:
        """Send frames as one train (UDP_SEGMENT), all but the last of equal size."""
        payloads = [vxlan(vni, frame) for frame in frames]
        self.send_segmented(b"".join(payloads), size or len(payloads[0]), len(frames))

    def send_segmented(self, payload: bytes, size: int, packets: int) -> None:
        """Send any bytes as a train of packets of this size, in which the engine sees so many frames."""
        control = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))]
        self.sock.sendmsg([payload], control, 0, (str(self.lab.engine.local), self.lab.engine.udp_port))
        self.lab.sent += packets

    def receive_trains(self) -> list[Train]:
        """What waits here, as the kernel hands it over. For a far end that called `gro`."""
        result = []
        while select.select([self.sock], [], [], 0)[0]:
            data, ancillary, _, peer = self.sock.recvmsg(1 << 17, 128)
            sizes = [int.from_bytes(value, "little") for level, kind, value in ancillary if (level, kind) == GRO]
            result.append(Train(data, sizes[0] if sizes else len(data), peer[1]))
            self.received += -(-len(data) // result[-1].size)
        return result

    def gro(self) -> None:
        """From now on trains arrive as they were sent."""
        self.sock.setsockopt(*GRO, 1)

    def send_payload(self, payload: bytes, *, tos: int = 0) -> None:
        """Send any UDP payload to the engine."""
        if self.v6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
        else:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        self.sock.sendto(payload, (str(self.lab.engine.local), self.lab.engine.udp_port))
        self.lab.sent += 1

    def receive(self) -> list[Packet]:
        """What the engine has sent since the last call, by its own account; and what it sent beyond that."""
        stats = self.lab.engine.stats().remotes
        counted = sum(r.traffic.tx_frames for r in stats if (r.address, r.udp_port) == (self.address, self.udp_port))
        packets = [self.wait() for _ in range(counted - self.received)]
        while select.select([self.sock], [], [], 0)[0]:
            packets.append(self.wait())
        self.received += len(packets)
        return packets

    def wait(self) -> Packet:
        """The next packet."""
        self.sock.settimeout(DEADLINE_S)
        data, ancillary, _, peer = self.sock.recvmsg(1 << 17, 64)
        flags, vni = struct.unpack(">II", data[:VXLAN_SIZE])
        assert flags == 1 << 27
        assert vni & 0xFF == 0
        tos = [int.from_bytes(value, "little") for _, _, value in ancillary]
        return Packet(vni >> 8, data[VXLAN_SIZE:], tos[0], peer[1])


class Lab:
    """The engine and its far ends."""

    def __init__(self, local: str = "127.0.0.1", **options: Any) -> None:
        self.sent = 0
        self.far_ends: list[FarEnd] = []
        self.engine = self._engine(local, options)

    @staticmethod
    def _engine(local: str, options: dict[str, Any]) -> Engine:
        for _ in range(20):  # somebody else may take the port meanwhile
            try:
                return Engine(local, udp_port=free_port(local), **options)
            except ConflictError:
                continue
        raise RuntimeError("no UDP port is free")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.engine.close()
        for far in self.far_ends:
            far.sock.close()

    def far(self, number: int) -> FarEnd:
        """A far end on 127.0.0.`number`, at the engine's UDP port."""
        return self.far_at(f"127.0.0.{number}", self.engine.udp_port)

    def far_at(self, address: str, udp_port: int) -> FarEnd:
        """A far end with an address and port of the test's choice."""
        self.far_ends.append(FarEnd(self, address, udp_port))
        return self.far_ends[-1]

    def send(self, port: MemoryPort, frame: bytes, *, vnet: bytes = bytes(VNET.size), segments: int = 1) -> None:
        """Hand a frame to the engine on a port; a super-frame counts as its segments."""
        port.send(frame, vnet=vnet)
        self.sent += segments

    def entered(self) -> int:
        """How many frames and packets the engine has taken in, kept or not."""
        tallies = self.engine.stats().tallies
        return sum(t.traffic.rx_frames + sum(t.drops.get(name, 0) for name in ENTRY_DROPS) for t in tallies)

    def poll(self) -> None:
        """Turn until the engine has served everything that was sent."""
        deadline = time.monotonic() + DEADLINE_S
        while self.engine.poll() or self.entered() < self.sent:
            assert time.monotonic() < deadline, f"{self.sent} frames were sent, only {self.entered()} came in"
            self.engine.poll(0.01)

    def drops(self) -> dict[str, int]:
        """The engine's drop counters, summed."""
        return self._sum("drops")

    def events(self) -> dict[str, int]:
        """The engine's event counters, summed."""
        return self._sum("events")

    def _sum(self, what: str) -> dict[str, int]:
        total: dict[str, int] = {}
        for tally in self.engine.stats().tallies:
            for name, count in getattr(tally, what).items():
                total[name] = total.get(name, 0) + count
        return total
