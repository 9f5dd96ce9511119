# SPDX-License-Identifier: Apache-2.0
"""examples/forwarders/vlan_switch.py."""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from examples.forwarders.vlan_switch import VlanSwitch
from fastpath import ConflictError, UsageError
from tests.support.engine.forwarding import VNI, Site
from tests.support.engine.frames import BROADCAST, mac
from tests.support.engine.lab import Lab
from tests.support.engine.streams import Stream

A, B, C = mac(0xA), mac(0xB), mac(0xC)
INNER = IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / b"hello"


def bare(to: str, source: str) -> bytes:
    return bytes(Ether(dst=to, src=source) / INNER)


def tagged(vlan: int, to: str, source: str) -> bytes:
    return bytes(Ether(dst=to, src=source) / Dot1Q(vlan=vlan) / INNER)


def switch(site: Site, **options: float) -> VlanSwitch:
    """Two ports in VLAN 10, one in 20, a trunk, and whatever remotes there are."""
    result = VlanSwitch(access=["a=10", "b=10", "c=20"], trunks=["t"], **options)  # type: ignore[arg-type]
    site.use(result)
    return result


def test_frames_stay_in_their_vlan_and_trunks_see_tags(lab: Lab) -> None:
    site = Site(lab, "a b c t")
    far = lab.far(2)
    switch(site)
    site.segment.add_remote(far.address)
    hello = bare(BROADCAST, A)
    assert site.send("a", hello) == {"b": [hello], "t": [tagged(10, BROADCAST, A)]}
    assert [packet.frame for packet in far.receive()] == [tagged(10, BROADCAST, A)]
    assert site.send("t", tagged(20, BROADCAST, B)) == {"c": [bare(BROADCAST, B)]}
    assert [packet.frame for packet in far.receive()] == [tagged(20, BROADCAST, B)]
    far.send(VNI, tagged(10, BROADCAST, C))
    lab.poll()
    assert site.received() == {"a": [bare(BROADCAST, C)], "b": [bare(BROADCAST, C)], "t": [tagged(10, BROADCAST, C)]}
    assert far.receive() == []
    assert site.counters == {}


def test_what_was_learned_goes_one_way(lab: Lab) -> None:
    site = Site(lab, "a b c t")
    switch(site)
    site.send("a", bare(BROADCAST, A))
    site.send("t", tagged(10, BROADCAST, B))
    assert site.send("b", bare(A, C)) == {"a": [bare(A, C)]}
    assert site.send("t", tagged(10, A, B)) == {"a": [bare(A, B)]}
    assert site.send("a", bare(B, A)) == {"t": [tagged(10, B, A)]}
    assert site.send("c", bare(A, C)) == {"t": [tagged(20, A, C)]}  # A is unknown in VLAN 20
    assert site.send("t", tagged(10, B, C)) == {}
    assert site.counters == {"nowhere": 1}


def test_tags_where_none_belong(lab: Lab) -> None:
    site = Site(lab, "a b c t")
    switch(site)
    assert site.send("a", tagged(10, BROADCAST, A), tagged(20, BROADCAST, A)) == {}
    assert site.send("t", bare(BROADCAST, A)) == {}
    assert site.send("a", bare(B, BROADCAST)) == {}
    assert site.counters == {"refused": 4}


def test_a_port_that_has_no_part_in_it(lab: Lab) -> None:
    site = Site(lab, "a b c t other")
    switch(site)
    assert site.send("other", bare(BROADCAST, A), tagged(10, BROADCAST, A)) == {}
    assert site.counters == {"refused": 2}


@pytest.mark.parametrize("vlan", [0, 4095, 70000])
def test_vlans_that_are_wrong(vlan: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 4094"):
        VlanSwitch(access=[f"a={vlan}"], trunks=[])


def test_a_vlan_without_anybody(lab: Lab) -> None:
    site = Site(lab, "a b c t")
    switch(site)
    assert site.send("t", tagged(99, BROADCAST, A)) == {}
    assert site.counters == {"nowhere": 1}


def test_the_switch_forgets_and_is_bounded(lab: Lab) -> None:
    site = Site(lab, "a b c t")
    vlans = switch(site, capacity=1, ageing=100)
    site.send("a", bare(BROADCAST, A), bare(BROADCAST, B))
    assert len(vlans.hosts) == 1
    assert site.send("b", bare(A, C)) == {"a": [bare(A, C)]}
    assert site.send("b", bare(B, C)) == {"a": [bare(B, C)], "t": [tagged(10, B, C)]}
    site.wait(101)
    assert len(vlans.hosts) == 0


def test_a_super_frame_is_flooded_in_both_forms(lab: Lab) -> None:
    site = Site(lab, "a b c t")
    switch(site)
    vnet, data = Stream().super_frame(bytes(10_000), 1000)
    sizes = {port: [len(each) for each in frames] for port, frames in site.send_super("a", (vnet, data), 10).items()}
    assert sizes == {"b": [len(data)], "t": [len(data) + 4]}


def test_a_switch_without_its_ports_does_not_start(lab: Lab) -> None:
    site = Site(lab, "a")
    with pytest.raises((ConflictError, UsageError), match="no port named"):
        switch(site)
