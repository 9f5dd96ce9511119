# SPDX-License-Identifier: Apache-2.0
"""When the kernel path to a peer is used and left, with engines that carry nothing by themselves."""

import asyncio
import socket
from collections.abc import Iterator, Set
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest

from fastpath.control.drivers.overlay.probe_device import probe_mac
from fastpath.control.host import kernel_probe, probe
from fastpath.control.host.kernel_probe import KernelProber
from fastpath.control.host.probe import Pulse
from fastpath.control.model.objects import Peer

VTEP, MTU = ip_address("192.0.2.2"), 1450
PEER = Peer(host="h2", id="2", vtep=VTEP, udp_port=4789, mtu=1500, version="1", kernel_port=14789)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Scene:
    """A prober with a fake engine; `frames` are its questions by the kernel path, and `by_engine` those by the engine.
    `kernel` and `engine` say which of them carry."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.kernel = self.engine = True
        self.frames: list[bytes] = []
        self.by_engine = 0
        self.changes: list[Set[str]] = []
        self.answers: list[tuple[bytes, bytes]] = []
        self.pulse = Pulse(VTEP, clock.now, round_trip=0.001)
        given: Any = SimpleNamespace(
            pulses={"h2": self.pulse},
            mac=probe.probe_mac("h1"),
            ask_now=self._ask_now,
            send=lambda to, body: self.answers.append((to, body)),
        )
        peers = {"h2": PEER}
        self.prober = KernelProber(given, lambda: peers, lambda _: MTU)
        self.prober.subscribe(self.changes.append)
        ours, self.other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for sock in (ours, self.other):
            sock.setblocking(False)
        self.prober.use(ours)
        self.prober.set_vteps(frozenset({VTEP}))

    def _ask_now(self, _: str) -> None:
        self.by_engine += 1
        if self.engine:
            self.pulse.answered = self.clock.now

    async def passes(self, seconds: float) -> None:
        """Let that time pass, in ticks."""
        end = self.clock.now + seconds - 1e-6
        while self.clock.now < end:
            self.prober.turn(self.clock.now)
            while (frame := self._read()) is not None:
                self.frames.append(frame)
                if self.kernel and self.engine:
                    self.prober.answered(frame[31:39])
            self.clock.now += kernel_probe.TICK_S

    def _read(self) -> bytes | None:
        try:
            return self.other.recv(65536)
        except BlockingIOError:
            return None

    @property
    def usable(self) -> bool:
        return self.prober.usable(VTEP, lambda: False)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    clock = Clock()
    monkeypatch.setattr(kernel_probe, "time", clock)
    made = Scene(clock)
    yield made
    made.other.close()
    if made.prober._socket is not None:
        made.prober._socket.close()


def test_a_path_is_used_when_it_is_proven_and_left_within_a_second(scene: Scene) -> None:
    async def story() -> None:
        assert not scene.usable
        await scene.passes(0.1)
        assert scene.usable
        assert scene.changes == [{"h2"}]
        assert scene.prober.state("h2") == "up"
        (frame,) = scene.frames
        assert frame[:12] == probe_mac(VTEP) + probe.probe_mac("h1")
        assert len(frame) == 14 + MTU, "a question of full size"
        await scene.passes(60)
        assert scene.by_engine == 0, "the engine is asked when the kernel path is silent"
        scene.kernel = False
        await scene.passes(0.9)
        assert not scene.usable
        assert scene.changes == [{"h2"}, {"h2"}]
        assert scene.prober.state("h2") == "silent"

    asyncio.run(story())


@pytest.mark.parametrize("silence", [0.3, 5.0, 600.0])
def test_who_is_silent_altogether_is_not_left(scene: Scene, silence: float) -> None:
    async def story() -> None:
        await scene.passes(1)
        scene.engine = False
        await scene.passes(silence)
        assert scene.usable
        scene.engine = True
        await scene.passes(3)
        assert scene.changes == [{"h2"}]

    asyncio.run(story())


def test_a_path_that_was_left_is_used_when_the_engine_is_silent_too(scene: Scene) -> None:
    """A peer whose daemon ends after the path to it was left, maybe wrongly, is reached by the kernel path only."""

    async def story() -> None:
        await scene.passes(1)
        scene.kernel = False
        await scene.passes(1)
        assert not scene.usable
        scene.engine = False
        await scene.passes(10)
        assert scene.usable
        scene.engine = True
        await scene.passes(1)
        assert not scene.usable, "the engine carries, and the kernel path does not"

    asyncio.run(story())


def test_a_path_that_was_never_proven_is_not_used_in_silence(scene: Scene) -> None:
    async def story() -> None:
        scene.engine = False
        await scene.passes(60)
        assert not scene.usable

    asyncio.run(story())


def test_one_lost_question_changes_nothing(scene: Scene) -> None:
    async def story() -> None:
        await scene.passes(1)
        for _ in range(20):
            count = len(scene.frames)
            scene.kernel = False
            while len(scene.frames) == count:
                await scene.passes(0.1)
            scene.kernel = True
            await scene.passes(0.3)
        assert scene.changes == [{"h2"}]

    asyncio.run(story())


def test_a_path_that_fails_again_and_again_is_left_for_longer(scene: Scene) -> None:
    async def away() -> float:
        scene.kernel = False
        await scene.passes(1)
        assert not scene.usable
        scene.kernel = True
        left = scene.clock.now
        while not scene.usable:
            await scene.passes(0.1)
        return scene.clock.now - left

    async def story() -> None:
        await scene.passes(1)
        times = [await away() for _ in range(6)]
        assert times == sorted(times)
        assert 3 < times[0] < 7
        assert 55 < times[-1] < 65
        await scene.passes(70)
        assert await away() < 7, "it was steady for a minute"

    asyncio.run(story())


def test_a_path_that_never_answered_is_told_and_asked_slowly(scene: Scene) -> None:
    async def story() -> None:
        scene.kernel = False
        await scene.passes(2)
        assert list(scene.prober.silent(scene.clock.now)) == []
        await scene.passes(2)
        assert list(scene.prober.silent(scene.clock.now)) == ["h2"]
        count = len(scene.frames)
        await scene.passes(10)
        assert 9 <= len(scene.frames) - count <= 11
        assert scene.changes == []

    asyncio.run(story())


def test_what_an_earlier_process_used_is_used_on_until_it_is_judged(scene: Scene) -> None:
    async def story() -> None:
        assert scene.prober.usable(VTEP, lambda: True)
        scene.kernel = False
        await scene.passes(0.3)
        assert scene.usable
        await scene.passes(0.5)
        assert not scene.prober.usable(VTEP, lambda: True)

    asyncio.run(story())


def test_nobody_is_asked_whom_no_network_needs(scene: Scene) -> None:
    async def story() -> None:
        await scene.passes(1)
        scene.prober.set_vteps(frozenset())
        count = len(scene.frames)
        await scene.passes(1)
        assert len(scene.frames) == count
        assert scene.prober.state("h2") == "off"

    asyncio.run(story())


def test_answers_are_taken_once_and_only_if_they_were_asked_for(scene: Scene) -> None:
    async def story() -> None:
        scene.kernel = False
        await scene.passes(0.1)
        nonce = scene.frames[0][31:39]
        for wrong in (bytes(8), b"", nonce[:7], nonce[::-1]):
            scene.prober.answered(wrong)
        assert not scene.usable
        scene.prober.answered(nonce)
        assert scene.usable
        scene.prober.answered(nonce)
        assert scene.changes == [{"h2"}]

    asyncio.run(story())


def test_answers_that_come_late_are_answers(scene: Scene) -> None:
    async def story() -> None:
        await scene.passes(1)
        scene.kernel = False
        for _ in range(10):
            count = len(scene.frames)
            await scene.passes(0.5)
            scene.prober.answered(scene.frames[count][31:39])
        assert scene.changes == [{"h2"}]

    asyncio.run(story())


def test_questions_are_answered_by_the_engine(scene: Scene) -> None:
    whole = bytes(6) + b"\x02\xfa\0\0\0\1" + probe.ETHERTYPE + probe.MAGIC + probe.KERNEL_QUESTION + b"12345678"
    for frame in (whole[:-1], b"", whole.replace(b"probe", b"Probe"), whole[:30] + probe.ANSWER + whole[31:]):
        scene.other.send(frame)
    scene.other.send(whole.ljust(1464, b"\0"))
    assert not scene.prober.receive()
    assert scene.answers == [(b"\x02\xfa\0\0\0\1", probe.KERNEL_ANSWER + b"12345678")]


def test_a_flood_of_questions_is_answered_in_turns(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "AT_ONCE", 2)
    for _ in range(3):
        scene.other.send(b"?")
    assert scene.prober.receive()
    assert not scene.prober.receive()
