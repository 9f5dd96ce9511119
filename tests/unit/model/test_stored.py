# SPDX-License-Identifier: Apache-2.0
"""Objects in the store that daemons of several versions read."""

import json
from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from fastpath.control.model.objects import MAX_ALLOWED, Endpoint, Network

NETWORK = {"name": "blue", "vni": 300, "subnets": [{"pool": "10.1.0.0/24", "gateway": "10.1.0.1"}]}
ENDPOINT = {
    "id": "0123456789abcdef",
    "network": "blue",
    "host": "a",
    "mac": "02:42:0a:01:00:02",
    "addresses": ["10.1.0.2/24"],
    "sandbox": {"path": "/run/netns/c1", "inode": 4711},
}


def read(kind: type[Network] | type[Endpoint], value: Mapping[str, object], **more: object) -> Network | Endpoint:
    return kind.model_validate_json(json.dumps({**value, **more}))


def test_objects_of_version_0_1_have_the_defaults() -> None:
    network, endpoint = read(Network, NETWORK), read(Endpoint, ENDPOINT)
    assert isinstance(network, Network)
    assert network.port_security
    assert isinstance(endpoint, Endpoint)
    assert endpoint.allowed == ()


def test_allowed_addresses_are_kept() -> None:
    endpoint = read(Endpoint, ENDPOINT, allowed=["10.1.0.9/24", "fd00::9/64"])
    assert Endpoint.model_validate_json(endpoint.model_dump_json()) == endpoint
    assert json.loads(endpoint.model_dump_json())["allowed"] == ["10.1.0.9/24", "fd00::9/64"]


@pytest.mark.parametrize(
    "allowed",
    [
        pytest.param(["10.1.0.9/24", "10.1.0.9/32"], id="twice"),
        pytest.param(["::ffff:10.1.0.9/128"], id="IPv4 as IPv6"),
        pytest.param([f"10.2.{i}.1/24" for i in range(MAX_ALLOWED + 1)], id="too many"),
    ],
)
def test_wrong_allowed_addresses_are_refused(allowed: list[str]) -> None:
    with pytest.raises(ValidationError):
        read(Endpoint, ENDPOINT, allowed=allowed)


@pytest.mark.parametrize("address", ["239.0.0.1", "ff02::1", "127.0.0.1", "0.0.0.0", "::ffff:10.1.0.9", "fe80::1%eth0"])  # noqa: S104
def test_a_router_has_the_address_of_one_host(address: str) -> None:
    with pytest.raises(ValidationError):
        read(Network, NETWORK, kept=[address])
    pool = "::/0" if ":" in address else "0.0.0.0/0"
    with pytest.raises(ValidationError):
        read(Network, NETWORK, subnets=[{"pool": pool, "gateway": address}])
    assert read(Network, NETWORK, kept=["10.1.0.9", "fe80::1"])
