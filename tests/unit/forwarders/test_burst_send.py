# SPDX-License-Identifier: Apache-2.0
"""Burst.send: one frame goes to several in several forms. And the numbers of the flood list."""

from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from fastpath import FLOOD, SENT, Burst, Forwarder
from tests.support.engine.forwarding import Site
from tests.support.engine.frames import mac
from tests.support.engine.lab import Lab

ETHER = Ether(dst=mac(0xB), src=mac(0xA), type=0x88B5)
BARE = bytes(ETHER / Raw(b"hello"))
TAGGED = bytes(Ether(dst=mac(0xB), src=mac(0xA)) / Dot1Q(vlan=7, type=0x88B5) / Raw(b"hello"))


class Sender(Forwarder):
    """Sends to two, then floods or not."""

    rewrites = True

    def __init__(self, flood: bool = False, to: int | None = None) -> None:
        self.flood, self.to = flood, to

    def forward(self, burst: Burst) -> None:
        every = range(len(burst))
        burst.send(list(every), self.port("b") if self.to is None else self.to)
        burst.push_vlan(list(every), 7)
        burst.send(list(every), self.port("c"))
        if self.flood:
            burst.out = FLOOD


def test_a_frame_is_sent_as_it_is_at_that_moment(lab: Lab) -> None:
    site = Site(lab, "a b c")
    site.use(Sender())
    assert site.send("a", BARE) == {"b": [BARE], "c": [TAGGED]}
    assert lab.drops() == {}
    assert site.segment.stats().tally.traffic.tx_frames == 2
    site.use(Sender(flood=True))
    assert site.send("a", BARE) == {"b": [BARE, TAGGED], "c": [TAGGED] * 2}
    assert site.counters == {}


def test_frames_are_sent_to_ports_and_remotes_only(lab: Lab) -> None:
    site = Site(lab, "a b c")
    site.use(Sender(to=FLOOD))
    assert site.send("a", BARE) == {}
    assert site.stats.last_error == f"Sender: UsageError: {FLOOD} is not the number of a port or remote"
    assert lab.drops() == {"forwarder_failed": 1}


class ToFloodList(Forwarder):
    """Sends to the remotes of the flood list alone."""

    def forward(self, burst: Burst) -> None:
        for remote in self.flood_list:
            burst.send(burst.from_port, remote)


def test_the_flood_list_is_the_one_of_this_moment(lab: Lab) -> None:
    site = Site(lab, "a b")
    site.use(ToFloodList())
    near, far = lab.far(2), lab.far(3)
    assert site.send("a", BARE) == {}
    site.segment.add_remote(near.address)
    site.segment.add_remote(far.address)
    site.send("a", BARE)
    site.segment.remove_remote(near.address)
    site.send("a", BARE)
    assert [packet.frame for packet in near.receive()] == [BARE]
    assert [packet.frame for packet in far.receive()] == [BARE] * 2
    assert lab.drops() == {"undecided": 1}


def test_a_remote_is_held_once(lab: Lab) -> None:
    site = Site(lab, "a")
    forwarder = ToFloodList()
    site.use(forwarder)
    assert forwarder.remote("127.0.0.2") == forwarder.remote("127.0.0.2") != forwarder.remote("127.0.0.3")


def test_what_is_said_to_be_sent_and_was_not_is_counted(lab: Lab) -> None:
    class Liar(Forwarder):
        def forward(self, burst: Burst) -> None:
            burst.out = SENT

    site = Site(lab, "a b")
    site.use(Liar())
    assert site.send("a", BARE) == {}
    assert lab.drops() == {"bad_target": 1}
