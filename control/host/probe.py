# SPDX-License-Identifier: Apache-2.0
"""The prober checks whether a peer's data path answers, and how fast. A probe is a frame in a segment reserved for
probes. It passes through the engine, the underlay and the peer's engine to the peer's daemon, which sends it back.

The frame: Ethernet with a local experimental EtherType (IEEE 802, 88-B5), then `MAGIC`, one byte that says question
or answer, and eight bytes that the sender of the question chose. Questions of the kernel path come another way
(kernel_probe.py); their answers are here.
"""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastpath import Engine
from fastpath.addresses import IPAddress, format_mac
from fastpath.control.drivers.naming import PROBE_VNI
from fastpath.control.drivers.overlay.probe_device import ETHERTYPE as ETHERTYPE_NUMBER
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)

ETHERTYPE = ETHERTYPE_NUMBER.to_bytes(2)
MAGIC = b"fastpath probe 1"
QUESTION, ANSWER, KERNEL_QUESTION, KERNEL_ANSWER = b"\x01", b"\x02", b"\x03", b"\x04"
NONCE_SIZE = 8
LENGTH = 14 + len(MAGIC) + 1 + NONCE_SIZE
AT_ONCE = 64  # frames read from the port before the event loop continues
PAUSE_S = 0.01  # before the next AT_ONCE frames
PATIENCE = 3.0  # intervals without an answer after which a peer is called silent
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


def nonce_in(frame: bytes, kind: bytes) -> bytes | None:
    """Return the eight bytes in a probe of that kind; None if the frame is no such probe."""
    body = frame[14:LENGTH]
    if len(frame) < LENGTH or frame[12:14] != ETHERTYPE or not body.startswith(MAGIC + kind):
        return None
    return body[-NONCE_SIZE:]


class Reader:
    """Calls `receive` while a descriptor is readable. When that returns true, there may be more: it is called again
    after a pause, since a peer that floods us must not occupy the loop."""

    def __init__(self, fd: int, receive: Callable[[], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._receive = receive
        self._later: asyncio.TimerHandle | None = None
        self._watch()

    def close(self) -> None:
        """Stop. The descriptor has to be open still."""
        if self._later is not None:
            self._later.cancel()
        self._loop.remove_reader(self._fd)

    def _watch(self) -> None:
        self._later = None
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        if self._receive():
            self._loop.remove_reader(self._fd)
            self._later = self._loop.call_later(PAUSE_S, self._watch)


class Prober:
    """Probes every peer at intervals, and answers their probes. It belongs to the event loop's thread. Answers to
    questions that went by the kernel path are for `on_kernel_answer`, those to questions that others sent for
    `on_sized_answer`."""

    def __init__(self, engine: Engine, host: str) -> None:
        self.pulses: dict[str, Pulse] = {}
        self.mac = probe_mac(host)
        self.on_kernel_answer: Callable[[bytes], object] = lambda _: None
        self.on_sized_answer: Callable[[bytes], object] = lambda _: None
        self._segment = engine.add_segment(PROBE_VNI, learning=False, probes=True)
        self._port = self._segment.add_memory_port("probe")
        self._segment.fdb.set(format_mac(int.from_bytes(self.mac)), self._port)

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
        reader = Reader(self._port.fileno(), self.receive)
        try:
            while True:
                self.ask(interval)
                await asyncio.sleep(min(interval, EAGER_S))
        finally:
            reader.close()

    def ask(self, interval: float) -> None:
        """Send a question to every peer that was not asked for `interval` seconds."""
        now = time.monotonic()
        for host, pulse in self.pulses.items():
            if pulse.due(now, interval):
                self._ask(host, pulse, now)

    def ask_now(self, host: str) -> None:
        """Send a question to a peer, whenever it was asked last."""
        if (pulse := self.pulses.get(host)) is not None:
            self._ask(host, pulse, time.monotonic())

    def _ask(self, host: str, pulse: Pulse, now: float) -> None:
        pulse.nonce, pulse.asked = secrets.token_bytes(NONCE_SIZE), now
        self.send(probe_mac(host), QUESTION + pulse.nonce)

    def receive(self) -> bool:
        """Handle frames that arrived, and return whether there may be more."""
        for _ in range(AT_ONCE):
            frame = self._port.receive()
            if frame is None:
                return False
            self._take(frame)
        return True

    def _take(self, frame: bytes) -> None:
        if (nonce := nonce_in(frame, QUESTION)) is not None:
            self.send(frame[6:12], ANSWER + nonce)
        elif (nonce := nonce_in(frame, KERNEL_ANSWER)) is not None:
            self.on_kernel_answer(nonce)
        elif (nonce := nonce_in(frame, ANSWER)) is not None:
            self._answered(nonce)

    def _answered(self, nonce: bytes) -> None:
        for pulse in self.pulses.values():
            if secrets.compare_digest(pulse.nonce, nonce):
                pulse.answered = time.monotonic()
                pulse.round_trip = pulse.answered - pulse.asked
                pulse.nonce = secrets.token_bytes(NONCE_SIZE)  # each question takes one answer
                return
        self.on_sized_answer(nonce)

    def send(self, to: bytes, body: bytes, *, length: int = 0) -> None:
        """Send a probe to the daemon behind a MAC address of the probe segment: its kind, and eight bytes. The frame is
        filled up to `length` bytes."""
        try:
            self._port.send((to + self.mac + ETHERTYPE + MAGIC + body).ljust(length, b"\0"))
        except OSError:
            return  # the engine is behind, or there is no memory; the next probe tells

    def _forget(self, mac: bytes) -> None:
        try:
            self._segment.fdb.delete(format_mac(int.from_bytes(mac)))
        except FastpathError:
            return  # its remote was removed meanwhile
