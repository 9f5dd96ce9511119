# SPDX-License-Identifier: Apache-2.0
"""New endpoints of this host are announced a few times; those that were there at the start are not."""

import asyncio
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any, cast

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from fastpath.addresses import parse_ip
from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host import announcer
from fastpath.control.host.announcer import Announcer
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.kernel import announce
from fastpath.control.model.objects import Endpoint

MAC = "02:42:0a:09:00:02"


def test_the_arp_announcement() -> None:
    packet = Ether(announce.frame(bytes.fromhex(MAC.replace(":", "")), parse_ip("10.9.0.2")))
    assert (packet.dst, packet.src) == ("ff:ff:ff:ff:ff:ff", MAC)
    arp = packet[ARP]
    assert (arp.op, arp.hwsrc, arp.psrc, arp.pdst) == (1, MAC, "10.9.0.2", "10.9.0.2")


def test_the_neighbour_advertisement() -> None:
    data = announce.frame(bytes.fromhex(MAC.replace(":", "")), parse_ip("fd00:9::2"))
    packet = Ether(data)
    assert (packet.dst, packet.src) == ("33:33:00:00:00:01", MAC)
    assert (packet[IPv6].src, packet[IPv6].dst, packet[IPv6].hlim) == ("fd00:9::2", "ff02::1", 255)
    advert = packet[ICMPv6ND_NA]
    assert (advert.R, advert.S, advert.O, advert.tgt) == (0, 0, 1, "fd00:9::2")
    assert advert[ICMPv6NDOptDstLLAddr].lladdr == MAC
    del advert.cksum
    assert bytes(packet.__class__(bytes(packet))) == data  # the checksum is right


class Place:
    """A mirror, and what was announced."""

    def __init__(self) -> None:
        self.announced: list[str] = []
        synced = asyncio.Event()
        self.mirror = SimpleNamespace(endpoints={"web": {}}, synced=synced)

        async def run(function: Callable[[Collection[Endpoint]], object], ends: Collection[Endpoint]) -> None:
            function(ends)

        self.announcer = Announcer(
            "h1",
            cast(Mirror, self.mirror),
            cast(KernelThread, SimpleNamespace(run=run)),
            lambda ends: self.announced.extend(sorted(end.id for end in ends)),
        )

    def put(self, identity: str, **state: Any) -> None:
        """Let the store say so."""
        fields = {"host": "h1", "state": "ready"} | state
        self.mirror.endpoints["web"][identity] = SimpleNamespace(id=identity, **fields)
        self.announcer.changed(Changes(endpoints={("web", identity)}))


def play(scene: Callable[[Place], None], expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Announce until so much was announced, and then nothing more."""
    monkeypatch.setattr(announcer, "AFTER_S", (0.0, 0.01, 0.02))

    async def run() -> None:
        place = Place()
        place.put("old")  # before the store was heard
        place.mirror.synced.set()
        scene(place)
        task = asyncio.create_task(place.announcer.run())
        async with asyncio.timeout(60):
            while sorted(place.announced) != sorted(expected):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        assert sorted(place.announced) == sorted(expected)

    asyncio.run(run())


def test_a_new_endpoint_is_announced_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    def scene(place: Place) -> None:
        place.put("a", state="joining")
        place.put("a")
        place.put("a")
        place.put("old")
        place.put("b", host="h2")

    play(scene, ["a"] * 3, monkeypatch)


def test_one_that_goes_meanwhile_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def scene(place: Place) -> None:
        place.put("a")
        del place.mirror.endpoints["web"]["a"]
        place.announcer.changed(Changes(endpoints={("web", "a")}))
        place.put("b")
        place.put("c", state="leaving")

    play(scene, ["b"] * 3, monkeypatch)


def test_one_that_comes_again_is_announced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def scene(place: Place) -> None:
        del place.mirror.endpoints["web"]["old"]
        place.announcer.changed(Changes(endpoints={("web", "old")}))
        place.put("old")

    play(scene, ["old"] * 3, monkeypatch)
