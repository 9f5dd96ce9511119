# SPDX-License-Identifier: Apache-2.0
"""A segment whose remotes are no routers."""

import pytest

from fastpath import MemoryPort, Segment
from tests.attacks import spoofing
from tests.support.engine.frames import mac
from tests.support.engine.lab import FarEnd, Lab, drain

OWN, OTHER = mac(1), mac(2)
LINK_LOCAL = "fe80::ff:fe00:1"
ROUTERS = {
    "advertisement": [spoofing.router_advertisement(OWN, LINK_LOCAL)],
    "redirect": [spoofing.redirect(OWN, LINK_LOCAL, "fd09::2", via=LINK_LOCAL)],
    **spoofing.hidden_router_advertisements(OWN, LINK_LOCAL),
}
HOSTS = [
    spoofing.advertisement(OWN, "fd09::1", "fd09::1"),
    spoofing.echo(OWN, OTHER, "fd09::1", "fd09::2"),
    spoofing.echo(OWN, OTHER, "10.9.0.1", "10.9.0.2"),
    spoofing.arp_announcement(OWN, "10.9.0.1"),
]


@pytest.fixture
def segment(lab: Lab) -> Segment:
    return lab.engine.add_segment(42)


@pytest.fixture
def port(segment: Segment) -> MemoryPort:
    return segment.add_memory_port("one")


@pytest.fixture
def far(lab: Lab, segment: Segment) -> FarEnd:
    return lab.far(2)


@pytest.mark.parametrize("name", ROUTERS)
def test_routers_are_refused_where_there_are_hosts_only(
    lab: Lab, segment: Segment, port: MemoryPort, far: FarEnd, name: str
) -> None:
    """A fragment whose header is in an earlier one may pass: without that it is nothing."""
    frames = [bytes(frame) for frame in ROUTERS[name]]
    assert not segment.hosts_only
    for frame in frames:
        far.send(42, frame)
    lab.poll()
    assert drain(port) == frames
    segment.hosts_only = True
    assert segment.hosts_only
    before = lab.drops()
    for frame in frames:
        far.send(42, frame)
    lab.poll()
    assert drain(port) == frames[1:]
    dropped = {reason for reason, count in lab.drops().items() if count > before.get(reason, 0)}
    assert dropped <= {"rogue_router", "hidden_headers"}
    assert len(dropped) == 1


def test_hosts_are_not(lab: Lab, segment: Segment, port: MemoryPort, far: FarEnd) -> None:
    segment.hosts_only = True
    frames = [bytes(frame) for frame in HOSTS]
    for frame in frames:
        far.send(42, frame)
    lab.poll()
    assert drain(port) == frames
