# SPDX-License-Identifier: Apache-2.0
"""Probes between two engines on loopback, turned by hand."""

import asyncio
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from fastpath import Engine
from fastpath.control.host import probe
from fastpath.control.host.probe import ETHERTYPE, MAGIC, Prober, probe_mac
from tests.support.engine.lab import wait_until
from tests.support.ports import free_port


@pytest.fixture
def pair() -> Iterator[tuple[Engine, Engine, Prober, Prober]]:
    udp_port = free_port()
    with (
        Engine("127.0.0.1", udp_port=udp_port, known_only=True) as one,
        Engine("127.0.0.2", udp_port=udp_port, known_only=True) as two,
    ):
        one.admit("127.0.0.2")
        two.admit("127.0.0.1")
        yield one, two, Prober(one, "h1"), Prober(two, "h2")


def turn(engines: tuple[Engine, Engine], *probers: Prober) -> bool:
    for engine in engines:
        engine.poll()
    for prober in probers:
        prober.receive()
    return False


def test_a_peer_answers(pair: tuple[Engine, Engine, Prober, Prober]) -> None:
    one, two, asker, other = pair
    asker.set_peers({"h2": ip_address("127.0.0.2")})
    other.set_peers({"h1": ip_address("127.0.0.1")})
    asker.ask(60)
    pulse = asker.pulses["h2"]
    wait_until(lambda: turn((one, two), asker, other) or pulse.answered)
    assert pulse.round_trip is not None
    assert pulse.round_trip > 0
    assert not pulse.silent(time.monotonic(), 60)
    asked = pulse.asked
    asker.ask(60)
    assert pulse.asked == asked  # it is not due
    asker.ask(0)
    assert pulse.asked > asked


def test_one_answer_for_one_question(pair: tuple[Engine, Engine, Prober, Prober]) -> None:
    one, two, asker, _ = pair
    asker.set_peers({"h2": ip_address("127.0.0.2")})
    asker.ask(60)
    pulse = asker.pulses["h2"]
    stranger = one.segments[1].add_memory_port("stranger")
    head = probe_mac("h1") + b"\x02\x00\x00\x00\x00\x07" + ETHERTYPE + MAGIC
    for body in (b"\x02" + bytes(8), b"\x02" + pulse.nonce[:7], b"\x03" + pulse.nonce, b""):
        stranger.send(head + body)
        turn((one, two), asker)
        assert pulse.answered is None
    for _ in range(2):
        nonce = pulse.nonce
        stranger.send(head + b"\x02" + nonce)
        turn((one, two), asker)
        assert pulse.answered is not None
        assert pulse.nonce != nonce  # who replays it is not believed


def test_a_flood_of_questions_is_answered_in_turns(
    pair: tuple[Engine, Engine, Prober, Prober], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _, asker, _ = pair
    monkeypatch.setattr(probe, "AT_ONCE", 1)
    stranger = one.segments[1].add_memory_port("stranger")
    one.segments[1].fdb.set("02:00:00:00:00:07", stranger)
    question = probe_mac("h1") + b"\x02\x00\x00\x00\x00\x07" + ETHERTYPE + MAGIC + b"\x01" + bytes(8)

    async def play() -> None:
        running = asyncio.create_task(asker.run(60))
        for _ in range(5):
            stranger.send(question)
        answers = 0
        async with asyncio.timeout(60):
            while answers < 5:
                one.poll()
                answers += stranger.receive() is not None
                await asyncio.sleep(0)
        running.cancel()

    asyncio.run(play())


def test_peers_come_and_go(pair: tuple[Engine, Engine, Prober, Prober]) -> None:
    one, _, asker, _ = pair
    asker.set_peers({"h2": ip_address("127.0.0.2"), "h3": ip_address("127.0.0.3")})
    kept = asker.pulses["h2"]
    asker.set_peers({"h2": ip_address("127.0.0.2"), "h3": ip_address("127.0.0.4")})
    assert asker.pulses["h2"] is kept
    assert str(asker.pulses["h3"].vtep) == "127.0.0.4"
    asker.set_peers({})
    assert asker.pulses == {}
    assert sum(entry.static for entry in one.segments[1].fdb.values()) == 1  # our own
