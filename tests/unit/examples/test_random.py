# SPDX-License-Identifier: Apache-2.0
"""examples/forwarders/: whatever comes in, none of them raises anything, and every frame is accounted for."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.packet import Packet

from examples.forwarders.acl import Acl
from examples.forwarders.arp_responder import ArpResponder
from examples.forwarders.ecmp import Ecmp
from examples.forwarders.learning_bridge import LearningBridge
from examples.forwarders.mac_guard import MacGuard
from examples.forwarders.maglev import Maglev
from examples.forwarders.match_action import MatchAction
from examples.forwarders.mirror import Mirror
from examples.forwarders.rate_limit import RateLimit
from examples.forwarders.vlan_switch import VlanSwitch
from fastpath import Forwarder
from tests.support.engine.forwarding import VNI, Site
from tests.support.engine.frames import checked_packets, mac, other_packets
from tests.support.engine.lab import Lab
from tests.support.engine.streams import Stream
from tests.support.examples import times
from tests.unit.examples.test_bridge import learning_bridge_numba

FOLDER = Path(__file__).parents[3] / "examples" / "forwarders"
HOSTS = [f"10.0.0.{n}={mac(n)}" for n in range(1, 5)]
EXAMPLES: dict[str, Callable[[], Forwarder]] = {
    "acl": lambda: Acl(rules=FOLDER / "acl.toml"),
    "arp_responder": lambda: ArpResponder(hosts=[*HOSTS, f"fd00::1={mac(1)}"]),
    "ecmp": lambda: Ecmp(gateway=mac(2), vteps=["127.0.0.2", "127.0.0.3"]),
    "learning_bridge": lambda: LearningBridge(capacity=4),
    "learning_bridge_numba": learning_bridge_numba,
    "mac_guard": lambda: MacGuard(moves=1, storm=3, capacity=4),
    "maglev": lambda: Maglev(address="10.0.0.2", port=2000, backends=HOSTS[2:], size=251),
    "match_action": lambda: MatchAction(program=FOLDER / "match_action.toml"),
    "mirror": lambda: Mirror(to="c", match=["protocol=udp"]),
    "rate_limit": lambda: RateLimit(rate=100, burst=1000, capacity=4),
    "vlan_switch": lambda: VlanSwitch(access=["a=1", "b=2"], trunks=["c"], capacity=4),
}

pytestmark = pytest.mark.compiler


def garbage(chance: random.Random) -> bytes:
    """Bytes that begin like something."""
    begin = mac(chance.randrange(5)), mac(chance.randrange(5))
    kind = chance.choice(["", "0800", "86dd", "0806", "8100", "81000001 0800", "8100000a 8100000b 8100", "0800 45"])
    head = bytes.fromhex("".join(begin).replace(":", "")) + bytes.fromhex(kind)
    return (head + chance.randbytes(chance.choice([2, 2, 20, 60, 200])))[:1464]


def test_all_examples_are_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_garbage(lab: Lab, name: str) -> None:
    chance = random.Random(name)
    site, far = Site(lab), lab.far(2)
    site.segment.add_remote(far.address)
    site.use(EXAMPLES[name]())
    for _ in range(20):
        for _ in range(chance.randrange(1, 40)):
            lab.send(site.ports[chance.choice("abc")], garbage(chance))
            far.send(VNI, bytes(14) if chance.random() < 0.2 else garbage(chance))
        for protocol in (6, 17):
            stream = Stream(protocol=protocol, version=chance.choice([4, 6]), tags=chance.choice([(), (1,), (1, 2)]))
            vnet, data = stream.super_frame(chance.randbytes(5000), 1000)
            lab.send(site.ports["a"], data, vnet=vnet, segments=5)
        lab.poll()
        site.received()
        site.wait(chance.choice([0, 1, 10, 1000]))
    assert site.counters is not None
    assert "bad_target" not in lab.drops()


@pytest.mark.parametrize("name", EXAMPLES)
@settings(max_examples=times(0.2))
@given(st.lists(checked_packets() | other_packets(), min_size=1, max_size=20), st.randoms())
def test_packets_of_all_kinds(name: str, packets: list[Packet], chance: random.Random) -> None:
    with Lab() as lab:
        site = Site(lab)
        site.use(EXAMPLES[name]())
        for packet in packets:
            data = bytes(packet)[:1464]
            lab.send(site.ports[chance.choice("abc")], data)
        lab.poll()
        assert site.counters is not None
        assert "bad_target" not in lab.drops()
