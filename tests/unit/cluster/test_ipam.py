# SPDX-License-Identifier: Apache-2.0
"""The choice of the next subnet, VNI and address."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.control.cluster import ipam
from fastpath.control.cluster.ipam import DEFAULT_POOL, Pool
from fastpath.control.model.objects import MIN_VNI, IPNetwork, Subnet
from fastpath.errors import ConflictError, UsageError

SMALL = Pool(ip_network("10.0.0.0/22"), 24)
SUBNET = Subnet(pool=ip_network("10.1.0.0/29"), gateway=ip_address("10.1.0.1"))


def test_the_first_subnet_of_the_default_pool() -> None:
    assert ipam.choose_subnet(DEFAULT_POOL, []) == ip_network("10.0.0.0/24")
    assert ipam.choose_subnet(DEFAULT_POOL, [ip_network("10.0.0.0/24")]) == ip_network("10.0.1.0/24")


def test_a_gap_is_used_again_and_others_do_not_matter() -> None:
    taken = [ip_network("10.0.0.0/24"), ip_network("10.0.2.0/24"), ip_network("192.168.0.0/16"), ip_network("fd00::/8")]
    assert ipam.choose_subnet(DEFAULT_POOL, taken) == ip_network("10.0.1.0/24")


def test_a_full_pool_says_so() -> None:
    with pytest.raises(ConflictError, match=r"10\.0\.0\.0/22 has no free /24"):
        ipam.choose_subnet(SMALL, [ip_network("10.0.0.0/8")])


@given(st.lists(st.tuples(st.integers(0, 1023), st.integers(22, 30)), max_size=20))
def test_what_is_chosen_is_the_lowest_that_overlaps_nothing(spans: list[tuple[int, int]]) -> None:
    taken: list[IPNetwork] = [
        ip_network((int(IPv4Address("10.0.0.0")) + offset, prefix), strict=False) for offset, prefix in spans
    ]
    free = [
        subnet for subnet in SMALL.network.subnets(new_prefix=24) if not any(subnet.overlaps(other) for other in taken)
    ]
    if free:
        assert ipam.choose_subnet(SMALL, taken) == free[0]
    else:
        with pytest.raises(ConflictError):
            ipam.choose_subnet(SMALL, taken)


def test_a_v6_pool() -> None:
    pool = Pool(ip_network("fd00:1::/32"), 64)
    assert ipam.choose_subnet(pool, [ip_network("fd00:1::/64")]) == ip_network("fd00:1:0:1::/64")


def test_an_overlap_names_the_other() -> None:
    with pytest.raises(ConflictError, match=r"10\.1\.0\.0/25 overlaps 10\.1\.0\.0/24 of the network web"):
        ipam.check_subnet(ip_network("10.1.0.0/25"), [(ip_network("10.1.0.0/24"), "the network web")])


@pytest.mark.parametrize(
    "subnet",
    ["10.0.0.0/31", "224.0.0.0/24", "127.0.0.0/8", "169.254.0.0/16", "fe80::/64", "::ffff:10.1.0.0/120", "::/0"],
)
def test_subnets_that_cannot_be(subnet: str) -> None:
    with pytest.raises(UsageError):
        ipam.check_subnet(ip_network(subnet), [])


def test_gateways_belong_to_the_subnets_that_hold_them() -> None:
    pools = [ip_network("10.1.0.0/24"), ip_network("fd00::/64")]
    made = ipam.make_subnets(pools, [ip_address("fd00::9")])
    assert [str(subnet.gateway) for subnet in made] == ["10.1.0.1", "fd00::9"]


@pytest.mark.parametrize(
    ("pools", "gateways", "message"),
    [
        (["10.1.0.0/24"], ["10.2.0.1"], "in none of the subnets"),
        (["10.1.0.0/24"], ["10.1.0.1", "10.1.0.2"], "has one gateway"),
        (["10.1.0.0/24"], ["10.1.0.255"], "cannot be the gateway"),
        (["10.1.0.0/24"], ["10.1.0.0"], "cannot be the gateway"),
        (["10.1.0.0/24", "10.2.0.0/24"], [], "one IPv4 subnet"),
        (["224.0.0.0/24"], [], "cannot be used for containers"),
        (["224.0.0.0/3"], ["239.0.0.1"], "239.0.0.1 is not the address of one host"),
    ],
)
def test_gateways_that_cannot_be(pools: list[str], gateways: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ipam.make_subnets([ip_network(pool) for pool in pools], [ip_address(gateway) for gateway in gateways])


def test_vnis_begin_at_256_and_gaps_are_used() -> None:
    assert ipam.choose_vni([]) == MIN_VNI == 256
    assert ipam.choose_vni([256, 257, 259]) == 258


def test_the_lowest_free_address_but_not_the_gateway() -> None:
    assert ipam.choose_address(SUBNET, []) == ip_interface("10.1.0.2/29")
    assert ipam.choose_address(SUBNET, [ip_address("10.1.0.2")]) == ip_interface("10.1.0.3/29")


@pytest.mark.parametrize(
    ("after", "expected"),
    [("10.1.0.3", "10.1.0.5/29"), ("10.1.0.6", "10.1.0.2/29"), ("10.9.9.9", "10.1.0.2/29"), ("fd00::3", "10.1.0.2/29")],
)
def test_the_next_address_comes_after_the_last(after: str, expected: str) -> None:
    taken = [ip_address("10.1.0.4")]
    assert ipam.choose_address(SUBNET, taken, after=ip_address(after)) == ip_interface(expected)


@given(st.sets(st.integers(2, 6)), st.booleans(), st.integers(0, 8))
def test_an_address_is_never_given_twice(used: set[int], spread: bool, after: int) -> None:
    last = IPv4Address("10.1.0.0") + after
    taken = {IPv4Address("10.1.0.0") + n for n in used}
    if len(used) == 5:
        with pytest.raises(ConflictError, match="is full"):
            ipam.choose_address(SUBNET, taken, after=last, spread=spread)
        return
    chosen = ipam.choose_address(SUBNET, taken, after=last, spread=spread)
    assert chosen.ip not in taken
    assert ipam.is_usable(SUBNET.pool, chosen.ip)
    assert chosen.ip != SUBNET.gateway


def test_a_v6_address() -> None:
    subnet = Subnet(pool=ip_network("fd00::/64"), gateway=ip_address("fd00::1"))
    assert ipam.choose_address(subnet, [IPv6Address("fd00::2")]) == ip_interface("fd00::3/64")


@pytest.mark.parametrize(
    ("address", "error"),
    [("10.1.0.7", UsageError), ("10.1.0.0", UsageError), ("10.1.0.1", ConflictError), ("10.1.0.3", ConflictError)],
)
def test_addresses_that_cannot_be_had(address: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        ipam.ask_for_address(SUBNET, ip_address(address), {ip_address("10.1.0.3")})


def test_macs_tell_the_address() -> None:
    assert ipam.mac_for([ip_interface("10.0.0.5/24")]) == "02:42:0a:00:00:05"
    assert ipam.mac_for([ip_interface("fd00::1:2/64")]) == "02:43:00:01:00:02"
