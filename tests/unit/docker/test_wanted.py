# SPDX-License-Identifier: Apache-2.0
"""From the words of `docker network create` to a network, or to an error that says what to type."""

from typing import Any

import pytest

from fastpath.control.docker.protocol import CreateNetwork
from fastpath.control.docker.wanted import Wanted
from fastpath.control.docker.wanted_overlay import wanted
from fastpath.control.model.objects import Network
from fastpath.errors import ConflictError, UsageError
from tests.support.control.docker_lab import data, network

VNIS = "com.docker.network.driver.overlay.vxlanid_list"
MTU = "com.docker.network.driver.mtu"


def read(words: dict[str, str] | None = None, **changes: Any) -> Wanted:
    return wanted(CreateNetwork.model_validate(network(1, **(words or {})) | changes), 50)


def made(want: Wanted, **more: Any) -> Network:
    """The network that comes of it, or one that differs in some way."""
    fields = want.request().model_dump(exclude={"subnets", "gateways", "kernel_path"})
    return Network.model_validate({**fields, "vni": 256, "subnets": want.subnets, **more})


def test_what_nobody_says_is_as_it_comes() -> None:
    want = read()
    assert (want.new_name, want.mtu, want.vni, want.layout, want.internal) == (
        "docker-10.1.0.0-24",
        None,
        None,
        None,
        False,
    )
    want.check_same(made(want, mtu=1400, layout="bridge", vni=4711))


def test_what_is_said() -> None:
    want = read({"fastpath.network": "blue", "fastpath.layout": "bridge", MTU: "1500", VNIS: "4711"})
    request = want.request()
    assert (request.name, request.layout, request.mtu, request.vni) == ("blue", "bridge", 1450, 4711)


def test_names_of_ipv6_networks() -> None:
    want = read(IPv4Data=[], IPv6Data=[data("fd00:1::/64", "fd00:1::1/64")])
    assert want.request().name == "docker-fd00-1---64"


def test_internal_and_kept_addresses() -> None:
    pool = data("10.1.0.0/24", "10.1.0.1/24") | {"AuxAddresses": {"router": "10.1.0.9/24"}}
    want = read(Options={"com.docker.network.internal": True}, IPv4Data=[pool])
    assert want.internal
    assert [str(address) for address in want.kept] == ["10.1.0.9"]


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (
            data("10.1.0.0/24", "10.1.0.1/24") | {"AuxAddresses": {"all": "224.0.0.1/24"}},
            "invalid --aux-address 224.0.0.1/24: 224.0.0.1 is not the address of one host",
        ),
        (data("239.0.0.0/24", "239.0.0.1/24"), "invalid subnet 239.0.0.0/24: 239.0.0.1 is not the address of one host"),
        (
            data("10.1.0.0/24", "10.2.0.1/24"),
            "invalid subnet 10.1.0.0/24: the gateway 10.2.0.1 is not in the subnet 10.1.0.0/24",
        ),
    ],
)
def test_addresses_that_no_host_can_have_are_refused_in_a_line(pool: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(IPv4Data=[pool])
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"encrypted": ""}, "encrypted networks are not supported: leave -o encrypted out"),
        ({"fastpath.lay": "x"}, 'there is no option "fastpath.lay": did you mean fastpath.layout?'),
        ({"parent": "eth0"}, "the options are fastpath.network"),
        ({"fastpath.layout": "x"}, "invalid -o fastpath.layout=x: it is 'direct' or 'bridge'"),
        ({"fastpath.network": "a/b"}, "invalid -o fastpath.network=a/b: a name has"),
        ({MTU: "lots"}, f"-o {MTU}=lots is not a number"),
        ({MTU: "60"}, f"invalid -o {MTU}=60:"),
        ({VNIS: "256,257"}, "a network has one VNI here"),
        ({VNIS: "x"}, f"-o {VNIS}=x is not a number"),
        ({VNIS: "1"}, f"invalid -o {VNIS}=1:"),
    ],
)
def test_what_cannot_be(words: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        read(words)
    assert said in str(error.value)


def test_docker_s_own_addresses_are_refused_with_the_command() -> None:
    for space in ("LocalDefault", "null", ""):
        with pytest.raises(UsageError, match="docker network create -d fastpath --ipam-driver fastpath --subnet"):
            read(IPv4Data=[data("10.1.0.0/24", "10.1.0.1/24", space)])


@pytest.mark.parametrize(
    ("words", "there", "said"),
    [
        ({MTU: "1500"}, {"mtu": 1400}, ("MTU 1450", "MTU 1400")),
        ({MTU: "1500"}, {"mtu": None}, ("MTU 1450", "MTU automatic")),
        ({"fastpath.layout": "direct"}, {"layout": "bridge"}, ("layout direct", "layout bridge")),
        ({VNIS: "300"}, {"vni": 301}, ("VNI 300", "VNI 301")),
        ({}, {"internal": True}, ("internal no", "internal yes")),
        ({}, {"driver": "macvlan"}, ("driver overlay", "driver macvlan")),
        (
            {},
            {"subnets": ({"pool": "10.1.0.0/24", "gateway": "10.1.0.9"},)},
            ("10.1.0.0/24 (gateway 10.1.0.1)", "10.1.0.0/24 (gateway 10.1.0.9)"),
        ),
    ],
)
def test_another_network_is_refused_with_both_shown(words: dict[str, str], there: dict[str, Any], said: Any) -> None:
    want = read(words)
    with pytest.raises(ConflictError) as error:
        want.check_same(made(want, **there))
    assert all(part in str(error.value) for part in said)
