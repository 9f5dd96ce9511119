# SPDX-License-Identifier: Apache-2.0
"""Replays in memory, for the tests."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fastpath.control.replay.ports import PortMap
from fastpath.control.replay.session import Plan, Result, Session
from fastpath.forwarder.forwarder import LearningBridge
from fastpath.pcap.pcap import CaptureReader, Record
from fastpath.replay.recording import Recording
from tests.support.engine.twin import checksum


class Replayed(NamedTuple):
    """What a replay said, and the file that it wrote."""

    result: Result
    output: bytes
    records: list[Record]

    def left(self) -> list[tuple[str, int, bytes]]:
        """(interface, time in nanoseconds, bytes) of what left."""
        return [(record.interface, record.time_ns, record.data) for record in self.records]

    @property
    def drops(self) -> dict[str, int]:
        return self.result.stats.segments[0].tally.drops


def replay(
    capture: bytes,
    directory: Path,
    *,
    ports: str | None = None,
    sleep: Callable[[float], object] = lambda _: None,
    clock: Callable[[], float] = lambda: 0.0,
    **plan: Any,
) -> Replayed:
    """Replay the capture through files in the directory."""
    into, out = directory / "in.capture", directory / "out.pcapng"
    into.write_bytes(capture)
    plan.setdefault("make_forwarder", LearningBridge)
    given = Plan(ports=PortMap.parse(ports) if ports is not None else None, **plan)
    with into.open("rb", buffering=0) as file, out.open("wb", buffering=0) as written:
        session = Session(given, CaptureReader(file, "in"), Recording(written, given.local), sleep=sleep, clock=clock)
        try:
            result = session.run()
        finally:
            session.close()
    with out.open("rb", buffering=0) as file:
        return Replayed(result, out.read_bytes(), list(CaptureReader(file, "out")))


def outer(payload: bytes, source: str, *, udp_port: int = 4789, tos: int = 0) -> bytes:
    """The payload in an Ethernet frame with an IPv4 and a UDP header, to 192.0.2.1."""
    addresses = bytes(map(int, source.split("."))) + bytes([192, 0, 2, 1])
    total = 28 + len(payload)
    head = struct.pack("!BBHHHBBH", 0x45, tos, total, 0, 0, 64, 17, 0)
    head = head[:10] + checksum(head + addresses).to_bytes(2, "big") + addresses
    udp = struct.pack("!HHHH", 50000, udp_port, 8 + len(payload), 0)
    return bytes(12) + b"\x08\0" + head + udp + payload
