# SPDX-License-Identifier: Apache-2.0
"""The daemon vouches for what the engine knows only while that is what the store says."""

from ipaddress import ip_address
from typing import Any, cast

import pytest

from fastpath import Engine
from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.vouching import LOOKS, VOUCHED_S, Voucher
from fastpath.control.model.objects import Peer


class World:
    """Stands in for an engine with a segment for VNI 256, and for a mirror with two networks."""

    def __init__(self) -> None:
        self.vouched: list[int] = []
        self.segments = {256: None}
        self.current = self.settled = True
        self.networks = {"here": _Network(256), "elsewhere": _Network(257), "macvlan": _Network(None)}
        self.known_peers: dict[str, Peer] = {}
        both = cast(Any, self)
        self.voucher = Voucher(cast(Engine, both), cast(Mirror, both), lambda: self.settled)

    def vouch(self, seconds: int) -> None:
        self.vouched.append(seconds)

    def look(self, times: int = 1) -> int:
        for _ in range(times):
            self.voucher.look()
        return self.vouched[-1]


class _Network:
    def __init__(self, vni: int | None) -> None:
        self.vni = vni


@pytest.fixture
def world() -> World:
    return World()


def test_all_has_to_be_in_order_for_a_while(world: World) -> None:
    assert world.look(LOOKS - 1) == 0
    assert world.look() == VOUCHED_S
    for what in ("current", "settled"):
        setattr(world, what, False)
        assert world.look() == 0
        setattr(world, what, True)
        assert world.look(LOOKS - 1) == 0
        assert world.look() == VOUCHED_S


def test_a_host_without_port_security_may_have_any_address(world: World) -> None:
    def peer(version: str) -> Peer:
        return Peer(host="h2", id="2", vtep=ip_address("192.0.2.2"), mtu=1500, version=version)

    for version, vouched in (("0.1.0", 0), ("0.2.0", VOUCHED_S), ("nonsense", 0), ("1.0", VOUCHED_S)):
        world.known_peers["h2"] = peer(version)
        assert world.look(LOOKS) == vouched


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        (Changes(endpoints={("here", "1" * 16)}), True),
        (Changes(networks={"here"}), True),
        (Changes(peers={"h2"}), True),
        (Changes(networks={"elsewhere", "macvlan"}, endpoints={("elsewhere", "1" * 16), ("gone", "2" * 16)}), False),
    ],
)
def test_a_change_ends_it_at_once(world: World, changes: Changes, ends: bool) -> None:
    """It has to be in the engine first."""
    world.look(LOOKS)
    world.voucher.changed(changes)
    assert world.vouched[-1] == (0 if ends else VOUCHED_S)
    assert world.look() == (0 if ends else VOUCHED_S)
    assert world.look(LOOKS - 1) == VOUCHED_S
