# SPDX-License-Identifier: Apache-2.0
"""An underlay that loses, doubles, delays and marks packets: it takes the place of the switch's bridge between h1
and h2. (The kernel has netem for that, but not every kernel has netem.)"""

import random
import select
import socket
import threading
from collections import Counter
from types import TracebackType
from typing import Self

from tests.support.hosts.hosts import Lab, ip

PACKET_OUTGOING = 4
CE = 3


class Relay:
    """Joins the switch's ports of h1 and h2 while the context lasts. Each of `share` in 1 of the packets is lost, as
    many are doubled, as many come after the one behind them, and where `marks`, as many of the ECN-capable ones
    are marked. The random numbers are the same every time. `counts` says what was done."""

    def __init__(self, lab: Lab, *, share: float, marks: bool = False, seed: int = 1) -> None:
        self.lab, self.share, self.marks = lab, share, marks
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        for port in ("p1", "p2"):
            ip("-n", self.lab.switch.name, "link", "set", port, "nomaster")
        self.ends = [self.lab.switch.raw(port) for port in ("p1", "p2")]
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self.thread.join()
        for end in self.ends:
            end.close()

    def _run(self) -> None:
        held: dict[socket.socket, bytes] = {}
        other = dict(zip(self.ends, reversed(self.ends), strict=True))
        while not self.stopping.is_set():
            ready = select.select(self.ends, [], [], 0.005)[0]
            if not ready:  # nothing follows: what waits to be overtaken goes out
                for end, packet in held.items():
                    other[end].send(packet)
                held.clear()
            for end in ready:
                packet, address = end.recvfrom(1 << 16)
                if address[2] == PACKET_OUTGOING:
                    continue
                for each in self._impair(end, packet, held):
                    other[end].send(each)

    def _impair(self, end: socket.socket, packet: bytes, held: dict[socket.socket, bytes]) -> list[bytes]:
        self.counts["all"] += 1
        dice = self.random.random() / self.share
        waiting = [held.pop(end)] if end in held else []
        if dice < 1:
            self.counts["lost"] += 1
            return waiting
        if dice < 2:
            self.counts["doubled"] += 1
            return [packet, *waiting, packet]
        if dice < 3 and not waiting:
            self.counts["delayed"] += 1
            held[end] = packet
            return []
        if dice < 4 and self.marks:
            packet = self._mark(packet)
        return [packet, *waiting]

    def _mark(self, packet: bytes) -> bytes:
        """With CE in its IPv4 or IPv6 header, if it says that its ends understand that."""
        data = bytearray(packet)
        version = data[14] >> 4 if packet[12:14] in (b"\x08\x00", b"\x86\xdd") else 0
        ecn = data[15] & 3 if version == 4 else data[15] >> 4 & 3
        if version not in (4, 6) or ecn in (0, CE):
            return packet
        self.counts["marked"] += 1
        if version == 6:
            data[15] |= CE << 4
            return bytes(data)
        data[15] |= CE
        data[24:26] = bytes(2)
        total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(14, 34, 2))
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        data[24:26] = (~total & 0xFFFF).to_bytes(2, "big")
        return bytes(data)
