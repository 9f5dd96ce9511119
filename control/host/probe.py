# SPDX-License-Identifier: Apache-2.0
"""The prober checks whether a peer's data path answers, and how fast. A probe is a frame in a segment reserved for
probes. It passes through the engine, the underlay and the peer's engine to the peer's daemon, which sends it back.

The frame: Ethernet with a local experimental EtherType (IEEE 802, 88-B5), then `MAGIC`, one byte that says question
or answer, and eight bytes that the sender of the question chose.
"""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from fastpath import Engine
from fastpath.addresses import IPAddress, format_mac
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)

PROBE_VNI = 1  # networks begin at 256
ETHERTYPE = b"\x88\xb5"
MAGIC = b"fastpath probe 1"
QUESTION, ANSWER = b"\x01", b"\x02"
NONCE_SIZE = 8
LENGTH = 14 + len(MAGIC) + 1 + NONCE_SIZE
AT_ONCE = 64  # frames read from the port before the event loop continues
PAUSE_S = 0.01  # before the next AT_ONCE frames
EAGER_S = 1.0  # between questions to a peer that never answered: it may be starting


@dataclass
class Pulse:
    """The state of one peer's data path. Times are those of time.monotonic."""

    vtep: IPAddress
    since: float
    nonce: bytes = b""
    asked: float = 0.0
    answered: float | None = None
    round_trip: float | None = None

    def due(self, now: float, interval: float) -> bool:
        """Return whether it is time for the next question."""
        return now - self.asked >= (interval if self.answered is not None else min(interval, EAGER_S))

    def silent(self, now: float, patience: float) -> bool:
        """Return whether the peer has been silent for more than `patience` seconds."""
        return now - (self.answered if self.answered is not None else self.since) > patience


def probe_mac(host: str) -> bytes:
    """Return the MAC address of a host's daemon in the probe segment: locally administered, from the host's name."""
    return b"\x02\xfa" + hashlib.sha256(host.encode()).digest()[:4]


class Prober:
    """Probes every peer at intervals, and answers their probes. It belongs to the event loop's thread."""

    def __init__(self, engine: Engine, host: str) -> None:
        self.pulses: dict[str, Pulse] = {}
        self._mac = probe_mac(host)
        self._segment = engine.add_segment(PROBE_VNI, learning=False)
        self._port = self._segment.add_memory_port("probe")
        self._segment.fdb.set(format_mac(int.from_bytes(self._mac)), self._port)

    def set_peers(self, vteps: Mapping[str, IPAddress]) -> None:
        """Probe these hosts from now on."""
        for host in [known for known, pulse in self.pulses.items() if vteps.get(known) != pulse.vtep]:
            del self.pulses[host]
            self._forget(probe_mac(host))
        for host, vtep in vteps.items():
            if host not in self.pulses:
                try:
                    self._segment.fdb.set(format_mac(int.from_bytes(probe_mac(host))), self._segment.remote(vtep))
                except FastpathError as error:
                    log.error("cannot probe %s: %s", host, error)
                    log.debug("why %s cannot be probed", host, exc_info=error)
                self.pulses[host] = Pulse(vtep, time.monotonic())

    async def run(self, interval: float) -> None:
        """Probe until cancelled."""
        loop, fd = asyncio.get_running_loop(), self._port.fileno()
        later: list[asyncio.TimerHandle] = []

        def readable() -> None:
            if self.receive():  # a peer that floods us must not occupy the loop
                loop.remove_reader(fd)
                later[:] = [loop.call_later(PAUSE_S, loop.add_reader, fd, readable)]

        loop.add_reader(fd, readable)
        try:
            while True:
                self.ask(interval)
                await asyncio.sleep(min(interval, EAGER_S))
        finally:
            for handle in later:
                handle.cancel()
            loop.remove_reader(fd)

    def ask(self, interval: float) -> None:
        """Send a question to every peer that was not asked for `interval` seconds."""
        now = time.monotonic()
        for host, pulse in self.pulses.items():
            if pulse.due(now, interval):
                pulse.nonce, pulse.asked = secrets.token_bytes(NONCE_SIZE), now
                self._send(probe_mac(host), QUESTION + pulse.nonce)

    def receive(self) -> bool:
        """Handle frames that arrived, and return whether there may be more."""
        for _ in range(AT_ONCE):
            frame = self._port.receive()
            if frame is None:
                return False
            self._take(frame)
        return True

    def _take(self, frame: bytes) -> None:
        body = frame[14:LENGTH]
        if len(frame) < LENGTH or frame[12:14] != ETHERTYPE or not body.startswith(MAGIC):
            return
        kind, nonce = body[len(MAGIC) : -NONCE_SIZE], body[-NONCE_SIZE:]
        if kind == QUESTION:
            self._send(frame[6:12], ANSWER + nonce)
            return
        for pulse in self.pulses.values():
            if kind == ANSWER and secrets.compare_digest(pulse.nonce, nonce):
                pulse.answered = time.monotonic()
                pulse.round_trip = pulse.answered - pulse.asked
                pulse.nonce = secrets.token_bytes(NONCE_SIZE)  # each question takes one answer

    def _send(self, to: bytes, body: bytes) -> None:
        try:
            self._port.send(to + self._mac + ETHERTYPE + MAGIC + body)
        except OSError:
            return  # the engine is behind, or there is no memory; the next probe tells

    def _forget(self, mac: bytes) -> None:
        try:
            self._segment.fdb.delete(format_mac(int.from_bytes(mac)))
        except FastpathError:
            return  # its remote was removed meanwhile
