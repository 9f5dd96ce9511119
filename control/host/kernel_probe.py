# SPDX-License-Identifier: Apache-2.0
"""The prober of the kernel path (docs/kernel-path.md): whether it carries packets of full size to each peer.

A question goes as data does: by a vxlan device of the pen, to the peer's port for the kernel path. It is as long as the
longest packet there. The peer's daemon answers by its engine, so each direction is judged alone. A peer that does not
answer is asked by the engine, too: the kernel path is left only if the engine is better. While neither answers, as
when the peer's daemon restarts, one that is used is used on; one that was left is used again after a while, since it
needs no daemon there, and the engine does.

A question is a frame as in probe.py, filled up with zeros.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

from fastpath.addresses import IPAddress
from fastpath.control.drivers.overlay.probe_device import probe_mac
from fastpath.control.host import probe
from fastpath.control.model.objects import Peer

log = logging.getLogger(__name__)

ETHERNET = 14
TICK_S = 0.05
INTERVAL_S = 0.3  # between questions to a peer that answers: with PATIENCE_S and EVIDENCE, it is left within a second
PATIENCE_S = 0.1  # until a question counts as lost, or a few round trips of the engine
ROUND_TRIPS = 3
REMEMBERED = 8  # questions: an answer that comes late is one, too
EVIDENCE = 2  # questions in a row that only the engine carried
QUIET = 6  # questions in a row that nobody answered: the engine is no better than a path that was left
SLOWLY_S = 1.0  # between questions to a peer that does not answer
QUICKLY_S = 3.0  # after the start they are asked at INTERVAL_S: the peer may be starting, too
HOLD_S, LONGEST_HOLD_S = 5.0, 60.0  # until a peer that was left is used again; twice as long each time
STEADY_S = 60.0  # a path that was used for so long begins with HOLD_S again

State = Literal["off", "up", "silent"]


@dataclass
class Trial:
    """What is known of the kernel path to one peer. Times are those of time.monotonic."""

    host: str
    vtep: IPAddress
    since: float
    usable: bool = False
    asked: float = 0.0
    open: bool = False  # the last question waits for its answer
    nonces: deque[bytes] = field(default_factory=lambda: deque(maxlen=REMEMBERED))  # of questions without an answer yet
    evidence: int = 0
    quiet: int = 0  # questions in a row that neither path answered
    changed: float = 0.0  # when it was used or left
    hold: float = 0.0

    @property
    def was_left(self) -> bool:
        """Return whether it was used before, and is not now."""
        return not self.usable and self.changed > 0

    def interval(self, now: float) -> float:
        """Return the time between two questions, if they are answered or the peer is not used, in seconds."""
        return INTERVAL_S if self.usable or now - self.since < QUICKLY_S or self.evidence == 0 else SLOWLY_S


class KernelProber:
    """`usable` is for any thread, and so are `set_vteps` and `use`; the rest belongs to the event loop's thread.
    `peers` are the usable ones by host; `mtu` returns the longest packet of a container that the kernel path to a host
    should carry, 0 if there is none."""

    def __init__(
        self,
        prober: probe.Prober,
        peers: Callable[[], Mapping[str, Peer]],
        mtu: Callable[[str], int],
    ) -> None:
        self._prober = prober
        self._peers = peers
        self._mtu = mtu
        self._changed: Callable[[Set[str]], object] = lambda _: None
        self._vteps: frozenset[IPAddress] = frozenset()
        self._assumed: frozenset[IPAddress] = frozenset()
        self._trials: dict[IPAddress, Trial] = {}
        self._basis: tuple[object, object] = (None, None)  # of what the trials were made
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._watched: socket.socket | None = None
        self._reader: probe.Reader | None = None
        prober.on_kernel_answer = self.answered

    # For the kernel thread.

    def usable(self, vtep: IPAddress, used_before: Callable[[], bool]) -> bool:
        """Return whether the kernel path to a VTEP has been proven. Of a VTEP that was not tried yet, an earlier
        process may know it: what it used is used on."""
        trial = self._trials.get(vtep)
        if trial is not None:
            return trial.usable
        if vtep not in self._assumed and used_before():
            self._assumed |= {vtep}
        return vtep in self._assumed

    def set_vteps(self, vteps: frozenset[IPAddress]) -> None:
        """Try these from now on."""
        self._vteps = vteps
        self._woken()

    def use(self, sock: socket.socket | None) -> None:
        """Ask by another packet socket from now on, or by none. It is closed when the next one comes."""
        before, self._socket = self._socket, sock
        if self._loop is None or before is None:
            return
        self._loop.call_soon_threadsafe(self._retire, before)

    def _woken(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    # For the event loop's thread.

    def subscribe(self, listener: Callable[[Set[str]], object]) -> None:
        """Call `listener` with hosts whose kernel path is used, or left, from now on."""
        self._changed = listener

    def state(self, host: str) -> State:
        """Return whether the kernel path to a host carries packets; "off" if no network needs it."""
        for trial in self._trials.values():
            if trial.host == host:
                return "up" if trial.usable else "silent"
        return "off"

    def silent(self, now: float) -> Iterator[str]:
        """Yield the hosts to which only the engine carries packets, some time after the start."""
        for trial in self._trials.values():
            if not trial.usable and trial.evidence >= EVIDENCE and now - trial.since > QUICKLY_S:
                yield trial.host

    async def run(self) -> None:
        """Try the peers until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                self.turn(time.monotonic())
                if self._vteps:
                    await asyncio.sleep(TICK_S)
                else:
                    await self._wake.wait()
        finally:
            self._watch(None)
            self._loop = None

    def turn(self, now: float) -> None:
        """Judge what was asked, and ask what is due."""
        self._follow(now)
        self._watch(self._socket)
        different = set()
        for trial in self._trials.values():
            if trial.open and now - trial.asked >= self._patience(trial):
                if self._judge(trial, now):
                    different.add(trial.host)
                lost = trial.usable or trial.evidence < EVIDENCE
            else:
                lost = False
            if not trial.open and (lost or now - trial.asked >= trial.interval(now)):
                self._ask(trial, now, by_engine=trial.evidence > 0 or lost or trial.was_left)
        if different:
            self._changed(different)

    def _judge(self, trial: Trial, now: float) -> bool:
        """Take note of a question that the kernel path did not answer; return whether it is used, or left, by that."""
        trial.open = False
        by_engine = self._engine_answered(trial)
        trial.evidence, trial.quiet = (trial.evidence + 1, 0) if by_engine else (0, trial.quiet + 1)
        if trial.usable and trial.evidence >= EVIDENCE:
            self._leave(trial, now)
            return True
        if trial.was_left and trial.quiet >= QUIET:
            trial.usable, trial.changed = True, now
            log.warning("neither path to %s answers: the kernel path is used, which needs no daemon there", trial.host)
            return True
        return False

    def answered(self, nonce: bytes) -> None:
        """Take an answer to one of our questions."""
        for trial in self._trials.values():
            if any(secrets.compare_digest(known, nonce) for known in trial.nonces):
                trial.nonces.clear()
                trial.open, trial.evidence, trial.quiet = False, 0, 0
                now = time.monotonic()
                if not trial.usable and now - trial.changed >= trial.hold:
                    self._take(trial, now)
                    self._changed({trial.host})

    def receive(self) -> bool:
        """Answer questions that arrived, and return whether there may be more."""
        for _ in range(probe.AT_ONCE):
            if self._socket is None:
                return False
            try:
                frame = self._socket.recv(probe.LENGTH)  # the rest is zeros
            except OSError:  # nothing more; or the device is down or gone: the next pass makes another
                return False
            nonce = probe.nonce_in(frame, probe.KERNEL_QUESTION)
            if nonce is not None:
                self._prober.send(frame[6:12], probe.KERNEL_ANSWER + nonce)
        return True

    def _follow(self, now: float) -> None:
        """Try those that are peers with a kernel path now."""
        peers, vteps = self._peers(), self._vteps
        if self._basis[0] is peers and self._basis[1] is vteps:
            return
        self._basis = (peers, vteps)
        wanted = {peer.vtep: host for host, peer in peers.items() if peer.vtep in vteps and self._mtu(host)}
        for vtep in [vtep for vtep, trial in self._trials.items() if wanted.get(vtep) != trial.host]:
            del self._trials[vtep]
        for vtep, host in wanted.items():
            if vtep not in self._trials:
                self._trials[vtep] = Trial(host, vtep, now, usable=vtep in self._assumed)
        self._assumed -= wanted.keys()

    def _watch(self, sock: socket.socket | None) -> None:
        if sock is self._watched:
            return
        if self._reader is not None:
            self._reader.close()
        self._reader = probe.Reader(sock.fileno(), self.receive) if sock is not None else None
        self._watched = sock

    def _retire(self, sock: socket.socket) -> None:
        self._watch(self._socket)
        sock.close()

    def _patience(self, trial: Trial) -> float:
        pulse = self._prober.pulses.get(trial.host)
        return max(PATIENCE_S, ROUND_TRIPS * (pulse.round_trip or 0.0) if pulse is not None else 0.0)

    def _engine_answered(self, trial: Trial) -> bool:
        pulse = self._prober.pulses.get(trial.host)
        return pulse is not None and pulse.answered is not None and pulse.answered >= trial.asked

    def _ask(self, trial: Trial, now: float, *, by_engine: bool) -> None:
        size = self._mtu(trial.host)
        if self._socket is None or not size:
            return
        nonce, trial.asked, trial.open = secrets.token_bytes(probe.NONCE_SIZE), now, True
        trial.nonces.append(nonce)
        head = probe_mac(trial.vtep) + self._prober.mac + probe.ETHERTYPE + probe.MAGIC + probe.KERNEL_QUESTION
        with contextlib.suppress(OSError):  # a question that is lost, like others
            self._socket.send((head + nonce).ljust(ETHERNET + size, b"\0"))
        if by_engine:
            self._prober.ask_now(trial.host)

    def _take(self, trial: Trial, now: float) -> None:
        if trial.changed:
            log.warning("the kernel path to %s answers again: it is used from now on", trial.host)
        trial.usable, trial.changed = True, now

    def _leave(self, trial: Trial, now: float) -> None:
        steady = now - trial.changed > STEADY_S
        trial.hold = HOLD_S if steady else min(max(2 * trial.hold, HOLD_S), LONGEST_HOLD_S)
        trial.usable, trial.changed = False, now
        log.warning("the kernel path to %s does not answer, its engine does: the engine carries all frames", trial.host)
