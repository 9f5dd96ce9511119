# SPDX-License-Identifier: Apache-2.0
"""The options of macvlan networks. What cannot be is in tests/system/macvlan/test_macvlan_errors.py, as it is typed."""

import pytest

from fastpath.control.model.macvlan import check_parent_free, checked, parse_options
from fastpath.control.model.objects import Network
from fastpath.control.model.requests import NetworkCreate
from fastpath.errors import ConflictError, UsageError


@pytest.mark.parametrize(
    ("parent", "vlan"),
    [
        ("eth0", None),
        ("eth0.10", ("eth0", 10)),
        ("eth0.4094", ("eth0", 4094)),
        ("eth0.010", None),
        ("br.lan", None),
        ("eth0.10.20", None),
    ],
)
def test_which_parents_can_be_made(parent: str, vlan: tuple[str, int] | None) -> None:
    assert parse_options({"parent": parent}).vlan == vlan


def request(**more: object) -> NetworkCreate:
    return NetworkCreate.model_validate({"name": "lan", "driver": "macvlan", "subnets": ["192.0.2.0/24"], **more})


def test_what_is_left_out_is_filled_in() -> None:
    made = checked(request(options={"parent": "eth0"}))
    assert made.options == {"parent": "eth0", "macvlan_mode": "bridge"}
    assert not made.internal
    assert checked(made) == made
    full = {"parent": "eth0", "macvlan_mode": "bridge", "shim": "yes", "ip_range": "192.0.2.128/25"}
    assert checked(request(options=full | {"shim": "True"})).options == full


def test_without_a_parent_a_network_is_internal() -> None:
    assert checked(request()).internal
    assert checked(request(subnets=[])).internal


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"options": {"parent": "eth0", "shim": "yes"}, "subnets": ["2001:db8::/64"]}, "-o shim is for IPv4"),
        ({"options": {"parent": "eth0", "ip_range": "2001:db8::/80"}}, "is in none of the subnets"),
        ({"options": {"parent": "eth0", "ip_range": "192.0.2.1/25"}}, "a part of the subnet such as"),
        ({"options": {"parent": "a/b"}}, "cannot be an interface name"),
    ],
)
def test_what_does_not_go_together(more: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        checked(request(**more))


def test_a_parent_carries_one_network() -> None:
    def network(name: str, driver: str = "macvlan", **options: str) -> Network:
        return Network.model_validate({"name": name, "driver": driver, "vni": None, "subnets": [], "options": options})

    others = [
        network("a", parent="eth0"),
        network("b", parent="eth0.10"),
        network("c"),
        network("d", "overlay", parent="eth1"),
    ]
    for free in ({"parent": "eth1"}, {"parent": "eth0.11"}, {}):
        check_parent_free("x", free, others)
    with pytest.raises(ConflictError, match=r"eth0 is the parent of the network a already: .* -o parent=eth0\.11"):
        check_parent_free("x", {"parent": "eth0"}, others)
    with pytest.raises(ConflictError, match=r"eth0\.10 is the parent of the network b already: .* another VLAN"):
        check_parent_free("x", {"parent": "eth0.10"}, others)
