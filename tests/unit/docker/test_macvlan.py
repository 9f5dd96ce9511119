# SPDX-License-Identifier: Apache-2.0
"""Docker's macvlan driver: from its words to a network, and whose addresses are claimed for whom."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from fastpath.control.docker.protocol import CreateNetwork
from fastpath.control.docker.wanted import Wanted
from fastpath.control.docker.wanted_macvlan import wanted
from fastpath.control.host import lan
from fastpath.control.model.objects import Network
from fastpath.errors import ConflictError, RefusedError, UsageError
from tests.support.control.docker_lab import DockerHost, data, endpoint, network, plugged
from tests.support.control.sites import Host, with_hosts

LAN, ROUTER = "192.0.2.0/24", "192.0.2.254"
MTU = "com.docker.network.driver.mtu"
KEY = "addresses/docker-192.0.2.0-24/"


def request(words: dict[str, str], space: str = "LocalDefault", number: int = 1, **changes: Any) -> dict[str, Any]:
    body = network(number, LAN, f"{ROUTER}/24", **words)
    return body | {"IPv4Data": [data(LAN, f"{ROUTER}/24", space)]} | changes


def read(words: dict[str, str], space: str = "LocalDefault", **changes: Any) -> Wanted:
    return wanted(CreateNetwork.model_validate(request(words, space, **changes)))


def made(want: Wanted, **more: Any) -> Network:
    fields = want.request().model_dump(exclude={"subnets", "gateways", "kernel_path"})
    return Network.model_validate({**fields, "subnets": want.subnets, **more})


def test_the_command_of_the_documents() -> None:
    want = read({"parent": "eth0"})
    asked = want.request()
    assert (asked.driver, asked.name, asked.vni, asked.internal) == ("macvlan", "docker-192.0.2.0-24", None, False)
    assert asked.options == {"parent": "eth0", "macvlan_mode": "bridge"}
    assert [str(gateway) for gateway in asked.gateways] == [ROUTER]
    assert not want.own_ipam
    assert read({"parent": "eth0"}, "fastpath").own_ipam


def test_what_is_said() -> None:
    words = {"parent": "eth0.10", "macvlan_mode": "private", MTU: "1400", "fastpath.network": "lan"}
    asked = read(words, Options=request(words)["Options"] | {"com.docker.network.internal": True}).request()
    assert (asked.name, asked.mtu, asked.internal) == ("lan", 1400, True)
    assert asked.options == {"parent": "eth0.10", "macvlan_mode": "private"}


def test_without_a_parent_it_is_internal() -> None:
    want = read({})
    assert want.request().internal
    want.check_same(made(want))
    want.check_same(made(read({"parent": "eth0"})))  # which may be another one's: as it is


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"parnet": "eth0"}, 'there is no option "parnet": did you mean parent?'),
        ({"ip_range": "192.0.2.0/25"}, 'there is no option "ip_range"'),
        ({"parent": "lo"}, "the loopback interface leads nowhere"),
        ({"parent": "eth0", "macvlan_mode": "brigde"}, "did you mean bridge?"),
        ({"macvlan_mode": "passthru"}, "needs -o parent"),
        ({"parent": "eth0", "shim": "yes", "macvlan_mode": "vepa"}, "goes with macvlan_mode=bridge only"),
        ({"parent": "eth0", MTU: "x"}, "give the containers' MTU"),
        ({"parent": "eth0", MTU: "1"}, f"invalid -o {MTU}=1:"),
        ({"parent": "eth0", "fastpath.network": "/"}, "invalid -o fastpath.network=/:"),
    ],
)
def test_what_cannot_be(words: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        read(words)
    assert said in str(error.value)


@pytest.mark.parametrize("changes", [{"IPv4Data": []}, {"IPv4Data": [data("0.0.0.0/0", "", "null")]}])
def test_a_subnet_has_to_be_there(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="docker network create -d fastpath-macvlan --subnet"):
        read({"parent": "eth0"}, **changes)


@pytest.mark.parametrize(
    ("words", "there", "said"),
    [
        ({"parent": "eth1"}, {}, ("-o parent eth1", "-o parent eth0")),
        ({"parent": "eth0", "macvlan_mode": "vepa"}, {}, ("-o macvlan_mode vepa", "-o macvlan_mode bridge")),
        ({"parent": "eth0"}, {"internal": True}, ("internal no", "internal yes")),
        ({"parent": "eth0"}, {"driver": "overlay", "vni": 256, "options": {}}, ("driver macvlan", "driver overlay")),
    ],
)
def test_another_network_is_refused_with_both_shown(words: dict[str, str], there: dict[str, Any], said: Any) -> None:
    with pytest.raises(ConflictError) as error:
        read(words).check_same(made(read({"parent": "eth0"}), **there))
    assert all(part in str(error.value) for part in said)


@pytest.fixture(autouse=True)
def _no_addresses_of_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine has is not what the hosts of a test have."""
    monkeypatch.setattr(lan, "own_addresses", set)


async def create(docker: DockerHost, space: str = "LocalDefault", number: int = 1) -> None:
    await docker.ask("MacvlanDriver.CreateNetwork", request({"parent": "eth0"}, space, number))


def test_the_plugin_is_a_network_driver_only(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            async with docker.macvlan_client.post("/Plugin.Activate") as answer:
                assert await answer.json(content_type=None) == {"Implements": ["NetworkDriver"]}
            async with docker.macvlan_client.post("/IpamDriver.GetCapabilities") as answer:
                assert answer.status == 404
            async with docker.client.post("/Plugin.Activate") as answer:
                assert await answer.json(content_type=None) == {"Implements": ["IpamDriver", "NetworkDriver"]}

    with_hosts(tmp_path / "db", 1, play)


def test_what_docker_s_own_ipam_gave_is_claimed_for_all_hosts(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (h1, h2):
            await create(h1)
            await create(h2)
            await h1.ask("MacvlanDriver.CreateEndpoint", endpoint(1, 7, "192.0.2.9/24"))
            said = await h2.refused("MacvlanDriver.CreateEndpoint", endpoint(1, 8, "192.0.2.9/24"))
            assert "192.0.2.9 is taken" in said
            await h1.ask("MacvlanDriver.DeleteEndpoint", endpoint(1, 7))
            assert f"{KEY}192.0.2.9" not in await h1.claimed()  # nobody would give it back
            await h2.ask("MacvlanDriver.CreateEndpoint", endpoint(1, 8, "192.0.2.9/24"))

    with_hosts(tmp_path / "db", 2, play)


def test_with_our_ipam_docker_gives_addresses_back_itself(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            docker.hosts_addresses = {ip_address("192.0.2.1"), ip_address("192.0.2.2")}
            await create(docker, "fastpath")
            given = await docker.ask("IpamDriver.RequestAddress", {"PoolID": LAN})
            assert given["Address"] == "192.0.2.3/24"
            said = await docker.refused("IpamDriver.RequestAddress", {"PoolID": LAN, "Address": "192.0.2.2"})
            assert "192.0.2.2 is taken" in said
            await docker.ask("MacvlanDriver.CreateEndpoint", endpoint(1, 7, "192.0.2.3/24"))
            await docker.ask("MacvlanDriver.DeleteEndpoint", endpoint(1, 7))
            assert (await docker.claimed())[f"{KEY}192.0.2.3"] == "docker@h1"

    with_hosts(tmp_path / "db", 1, play)


def test_hosts_addresses_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lan, "own_addresses", lambda: {ip_address("192.0.2.1")})

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await create(docker)
            said = await docker.refused("MacvlanDriver.CreateEndpoint", endpoint(1, 7, "192.0.2.1/24"))
            assert "192.0.2.1 is the address of a host: exclude it with --aux-address" in said
            assert not docker.host.mirror.endpoints

    with_hosts(tmp_path / "db", 1, play)


def test_what_leads_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastpath.control.drivers.managed.expected", lambda _: None)

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await create(docker)
            await docker.ask("MacvlanDriver.CreateEndpoint", endpoint(1, 7, "192.0.2.9/24"))
            join = {**endpoint(1, 7), "SandboxKey": "/run/docker/netns/x"}
            assert await docker.ask("MacvlanDriver.Join", join) == {
                "InterfaceName": {"SrcName": f"fp-{7:012x}"[:3] + f"{7:016x}"[:12], "DstPrefix": "eth"},
                "Gateway": ROUTER,
                "GatewayIPv6": "",
                "DisableGatewayService": True,
            }
            inner = request({"parent": "eth0.5", "fastpath.network": "inner"}, number=2)
            inner |= {"IPv4Data": [data("198.51.100.0/24", "198.51.100.1/24", "LocalDefault")]}
            inner["Options"]["com.docker.network.internal"] = True
            await docker.ask("MacvlanDriver.CreateNetwork", inner)
            await docker.ask("MacvlanDriver.CreateEndpoint", endpoint(2, 1 << 40, "198.51.100.9/24"))
            answer = await docker.ask("MacvlanDriver.Join", {**join, **endpoint(2, 1 << 40)})
            assert (answer["Gateway"], answer["DisableGatewayService"]) == ("", True)

    with_hosts(tmp_path / "db", 1, play)


def test_passthru_has_the_parent_s_mac(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            docker.reconciler.mac = "02:11:22:33:44:55"
            words = {"parent": "eth0", "macvlan_mode": "passthru"}
            await docker.ask("MacvlanDriver.CreateNetwork", request(words))
            answer = await docker.ask("MacvlanDriver.CreateEndpoint", endpoint(1, 7, "192.0.2.9/24"))
            assert answer["Interface"]["MacAddress"] == "02:11:22:33:44:55"

    with_hosts(tmp_path / "db", 1, play)


def test_a_host_that_cannot_have_the_network_says_so_and_nothing_is_made(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            docker.reconciler.trouble = RefusedError("this host has no interface eth9")
            said = await docker.refused("MacvlanDriver.CreateNetwork", request({"parent": "eth9"}))
            assert said == "this host has no interface eth9"
            assert not docker.host.mirror.networks
            assert not docker.state.networks

    with_hosts(tmp_path / "db", 1, play)


def test_one_network_for_a_parent(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await create(docker)
            other = request({"parent": "eth0"}, number=2)
            other |= {"IPv4Data": [data("198.51.100.0/24", "198.51.100.1/24", "LocalDefault")]}
            said = await docker.refused("MacvlanDriver.CreateNetwork", other)
            assert "eth0 is the parent of the network docker-192.0.2.0-24 already" in said
            assert "-o parent=eth0.10" in said

    with_hosts(tmp_path / "db", 1, play)
