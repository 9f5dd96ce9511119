# SPDX-License-Identifier: Apache-2.0
"""What Docker was seen to ask (tests/support/servers/record_docker.py), what it could ask, and what nobody should."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.control.docker_lab import DockerHost, endpoint, network, network_id, plugged
from tests.support.control.sites import Host, with_hosts
from tests.support.examples import times

RECORDED: list[tuple[str, dict[str, Any] | None]] = [
    (method, body) for method, body in json.loads((Path(__file__).parent / "docker_requests.json").read_text())
]
METHODS = sorted({method for method, _ in RECORDED} | {"NetworkDriver.EndpointOperInfo", "NetworkDriver.FreeNetwork"})


def test_the_recording_has_every_kind_of_request() -> None:
    kinds = {method.partition(".")[2] for method, _ in RECORDED}
    assert kinds >= {"Activate", "GetCapabilities", "GetDefaultAddressSpaces", "RequestPool", "ReleasePool"}
    assert kinds >= {"RequestAddress", "ReleaseAddress", "CreateNetwork", "DeleteNetwork", "CreateEndpoint"}
    assert kinds >= {"DeleteEndpoint", "Join", "Leave"}


@pytest.mark.parametrize("times", [1, 2])
def test_what_docker_was_seen_to_ask(tmp_path: Path, times: int) -> None:
    """Each request once, and each twice, as when an answer is lost."""

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            for method, body in RECORDED:
                for _ in range(times):
                    answer = await docker.ask(method, body)
                if method == "NetworkDriver.CreateEndpoint" and body is not None:
                    asked = body["Interface"]
                    assert bool(answer["Interface"]["MacAddress"]) == (not asked["MacAddress"])
                    assert not answer["Interface"]["Address"]
                if method == "NetworkDriver.Join" and body is not None:
                    assert answer["InterfaceName"] == {"SrcName": f"fp-{body['EndpointID'][:12]}", "DstPrefix": "eth"}
                    assert answer["DisableGatewayService"] is False
            assert not docker.state.networks
            assert not docker.state.left
            assert not (await docker.host.store.list("/fastpath/v1/objects/")).items
            assert set((await docker.claimed()).values()) <= {"docker@h1"}  # with a lease

    with_hosts(tmp_path / "db", 1, play)


@pytest.mark.parametrize("method", METHODS)
def test_malformed_requests_are_refused_in_one_line(tmp_path: Path, method: str) -> None:
    bodies: list[bytes | str] = [
        "",
        "{",
        "[]",
        "null",
        "3",
        '"x"',
        b"\xff\xfe",
        "{" * 2000,
        json.dumps({"NetworkID": 3}),
    ]
    long = {"NetworkID": "n" * 500, "EndpointID": "../..", "PoolID": "10.0.0.0/99", "Address": "x", "Options": []}
    right = {"NetworkID": network_id(1), "EndpointID": "0" * 64, "PoolID": "1.2.3.0/24", "SandboxKey": "\0"}
    wrong = [
        {**right, "Interface": {"Address": "x"}},
        {**right, "IPv4Data": [{"Pool": "x"}]},
        {**right, "Interface": 3},
    ]
    bodies += [json.dumps(each) for each in (long, right, *wrong)]

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            for body in bodies:
                status, answer = await docker.raw(method, body)
                assert status == 200
                said = answer.get("Error" if method.startswith("Ipam") else "Err", "")
                assert "\n" not in said
                assert "Traceback" not in said

    with_hosts(tmp_path / "db", 1, play)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 1 << 40)
    | st.text(max_size=9)
    | st.sampled_from(["10.1.0.0/24", "::/64"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["NetworkID", "EndpointID", "Options", "IPv4Data", "IPv6Data", "Interface", "SandboxKey", "PoolID", "Pool"]
FIELDS += ["SubPool", "Address", "V6", "AddressSpace"]


@pytest.mark.slow
@settings(max_examples=times(0.3))
@given(st.lists(st.tuples(st.sampled_from(METHODS), st.dictionaries(st.sampled_from(FIELDS), values)), max_size=20))
def test_whatever_is_asked_is_answered(tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("any")

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, folder) as (docker,):
            for method, body in asked:
                status, answer = await docker.raw(method, json.dumps(body))
                assert status == 200
                assert isinstance(answer, dict)

    with_hosts(folder / "db", 1, play)


def test_what_is_not_known_any_more_is_taken_for_done(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            for method in ("Leave", "DeleteEndpoint", "EndpointOperInfo", "RevokeExternalConnectivity"):
                await docker.ask(f"NetworkDriver.{method}", endpoint(1, 1))
            await docker.ask("NetworkDriver.DeleteNetwork", {"NetworkID": network_id(1)})
            await docker.ask("IpamDriver.ReleaseAddress", {"PoolID": "10.1.0.0/24", "Address": "10.1.0.9"})
            await docker.ask("IpamDriver.ReleasePool", {"PoolID": "10.1.0.0/24"})
            said = await docker.refused("NetworkDriver.CreateEndpoint", endpoint(1, 1, "10.1.0.2/24"))
            assert "docker network rm it" in said
            assert "start the container again" in await docker.refused(
                "NetworkDriver.Join", {**endpoint(1, 1), "SandboxKey": "/run/docker/netns/x"}
            )

    with_hosts(tmp_path / "db", 1, play)


def test_an_unknown_method_is_not_found(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            assert (await docker.raw("NetworkDriver.GwAllocCheck", "{}"))[0] == 404

    with_hosts(tmp_path / "db", 1, play)


async def create(docker: DockerHost, number: int, **words: Any) -> None:
    await docker.ask("NetworkDriver.CreateNetwork", network(number, **words))


def test_a_restarted_plugin_knows_its_networks(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await create(docker, 1)
        async with plugged(hosts, tmp_path) as (docker,):
            given_ = await docker.ask("IpamDriver.RequestAddress", {"PoolID": "10.1.0.0/24"})
            made = await docker.ask("NetworkDriver.CreateEndpoint", endpoint(1, 7, given_["Address"]))
            assert made["Interface"]["MacAddress"] == "02:42:0a:01:00:02"

    with_hosts(tmp_path / "db", 1, play)


def test_a_damaged_book_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "h1.json").write_text("{")

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            assert not docker.state.networks
            await create(docker, 1)

    with_hosts(tmp_path / "db", 1, play)
    assert (tmp_path / "h1.broken").read_text() == "{"
