# SPDX-License-Identifier: Apache-2.0
"""Addresses, subnets and networks that several hosts' Dockers claim and release, in any order."""

import asyncio
import json
import random
from ipaddress import ip_address
from pathlib import Path

import pytest

from fastpath.control.cluster import keys, reservations
from fastpath.control.cluster.in_use import InUse
from fastpath.control.docker import upkeep
from fastpath.control.model.objects import Sandbox
from fastpath.control.store.interface import Delete
from tests.support.control.docker_lab import DockerHost, endpoint, network, network_id, plugged
from tests.support.control.sites import Host, until, with_hosts

POOL = {"PoolID": "10.1.0.0/24"}


async def address(docker: DockerHost, **more: str) -> str:
    return str((await docker.ask("IpamDriver.RequestAddress", {**POOL, **more}))["Address"])


async def joined(dockers: list[DockerHost]) -> None:
    for number, docker in enumerate(dockers, 1):
        await docker.ask("NetworkDriver.CreateNetwork", network(number))


def test_an_address_s_way(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await joined([docker])
            key = "addresses/docker-10.1.0.0-24/10.1.0.2"
            assert await address(docker) == "10.1.0.2/24"
            assert (await docker.claimed())[key] == "docker@h1"
            await docker.ask("NetworkDriver.CreateEndpoint", endpoint(1, 7, "10.1.0.2/24"))
            assert (await docker.claimed())[key] == f"{7:016x}"
            await docker.ask("IpamDriver.ReleaseAddress", {**POOL, "Address": "10.1.0.2"})  # of an earlier endpoint
            assert (await docker.claimed())[key] == f"{7:016x}"
            await docker.ask("NetworkDriver.DeleteEndpoint", endpoint(1, 7))
            assert (await docker.claimed())[key] == "docker@h1"
            await docker.ask("IpamDriver.ReleaseAddress", {**POOL, "Address": "10.1.0.2"})
            assert key not in await docker.claimed()
            assert docker.reconciler.removed == [f"{7:016x}"]

    with_hosts(tmp_path / "db", 1, play)


def test_what_docker_forgets_is_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservations, "RESERVATION_S", 1)
    monkeypatch.setattr(reservations, "FRESH_S", 0.0)

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (h1, h2):
            await joined([h1, h2])
            assert await address(h1, Address="10.1.0.9") == "10.1.0.9/24"
            await h1.ask("IpamDriver.RequestPool", {})
            while {"docker@h1"} & set((await h2.claimed()).values()):
                await asyncio.sleep(0.05)
            assert await address(h2, Address="10.1.0.9") == "10.1.0.9/24"

    with_hosts(tmp_path / "db", 2, play)


def test_an_endpoint_without_a_container_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await joined([docker])
            await docker.ask("NetworkDriver.CreateEndpoint", endpoint(1, 7, await address(docker)))
            await docker.upkeep.look()
            assert docker.host.mirror.endpoints
            monkeypatch.setattr(upkeep, "ORPHAN_S", 0.0)
            monkeypatch.setattr("fastpath.control.drivers.managed.find", lambda *_: None)
            await docker.upkeep.look()
            assert not docker.host.mirror.endpoints

    with_hosts(tmp_path / "db", 1, play)


def test_an_endpoint_whose_container_went_before_it_was_seen_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a store that was restored from a back-up has it: it is joining a namespace that there was once."""
    monkeypatch.setattr("fastpath.control.drivers.managed.expected", lambda path: Sandbox(path=path, inode=7))
    monkeypatch.setattr("fastpath.control.drivers.managed.find", lambda *_: None)

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await joined([docker])
            await docker.ask("NetworkDriver.CreateEndpoint", endpoint(1, 7, await address(docker)))
            await docker.ask("NetworkDriver.Join", {**endpoint(1, 7), "SandboxKey": "/run/docker/netns/x"})
            (known,) = docker.host.mirror.local_endpoints("h1")
            assert (known.state, known.sandbox.inode) == ("joining", 7)
            await docker.upkeep.look()
            assert docker.host.mirror.local_endpoints("h1")
            monkeypatch.setattr(upkeep, "ORPHAN_S", 0.0)
            await docker.upkeep.look()
            assert not docker.host.mirror.local_endpoints("h1")

    with_hosts(tmp_path / "db", 1, play)


def test_two_hosts_that_ask_for_one_address(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (h1, h2):
            await joined([h1, h2])
            await address(h1, Address="10.1.0.9")
            said = await h2.refused("IpamDriver.RequestAddress", {**POOL, "Address": "10.1.0.9"})
            assert "10.1.0.9 is taken by Docker of h1" in said
            assert await address(h1, Address="10.1.0.9") == "10.1.0.9/24"  # asked once more: no answer came
            said = await h2.refused("NetworkDriver.CreateEndpoint", endpoint(2, 8, "10.1.0.9/24"))
            assert "10.1.0.9 is taken" in said
            await h2.ask("IpamDriver.ReleaseAddress", {**POOL, "Address": "10.1.0.9"})
            await h1.ask("NetworkDriver.CreateEndpoint", endpoint(1, 7, "10.1.0.9/24"))
            said = await h2.refused("IpamDriver.RequestAddress", {**POOL, "Address": "10.1.0.9"})
            assert f"10.1.0.9 is taken by endpoint {7:016x} of h1" in said
            said = await h2.refused("NetworkDriver.CreateEndpoint", endpoint(2, 8, "10.1.0.9/24"))
            assert f"10.1.0.9 is taken by endpoint {7:016x} of h1" in said

    with_hosts(tmp_path / "db", 2, play)


@pytest.mark.parametrize("seed", range(5))
def test_no_address_is_ever_two_endpoints_s(tmp_path: Path, seed: int) -> None:
    """Two Dockers that do everything in any order, also what Docker would not."""
    chance = random.Random(seed)

    async def step(docker: DockerHost, net: int, given: list[str]) -> None:
        number = chance.randrange(8) + 100 * net
        match chance.randrange(5):
            case 0:
                given.append(await address(docker))
            case 1 if given:
                await docker.raw(
                    "NetworkDriver.CreateEndpoint",
                    json.dumps(endpoint(net, number, chance.choice(given))),
                )
            case 2:
                await docker.ask("NetworkDriver.DeleteEndpoint", endpoint(net, number))
            case 3 if given:
                ip = chance.choice(given).partition("/")[0]
                await docker.ask("IpamDriver.ReleaseAddress", {**POOL, "Address": ip})
            case _:
                wish = f"10.1.0.{chance.randrange(2, 9)}"
                _, answer = await docker.raw(
                    "IpamDriver.RequestAddress", f'{{"PoolID": "10.1.0.0/24", "Address": "{wish}"}}'
                )
                given += [answer["Address"]] if "Address" in answer else []

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as dockers:
            await joined(dockers)
            given: list[list[str]] = [[], []]
            for _ in range(30):
                await asyncio.gather(*(step(dockers[n], n + 1, given[n]) for n in (0, 1)))
            mirror = dockers[0].host.mirror
            await until(lambda: mirror.endpoints == dockers[1].host.mirror.endpoints)
            ends = list(mirror.endpoints.get("docker-10.1.0.0-24", {}).values())
            taken = [a.ip for end in ends for a in end.addresses]
            assert len(taken) == len(set(taken))
            claimed = await dockers[0].claimed()
            for end in ends:
                assert claimed[f"addresses/docker-10.1.0.0-24/{end.addresses[0].ip}"] == end.id

    with_hosts(tmp_path / "db", 2, play)


def test_a_network_goes_with_the_last_host(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (h1, h2):
            await joined([h1, h2])
            await h1.ask("NetworkDriver.DeleteNetwork", {"NetworkID": network_id(1)})
            assert set(await h2.claimed()) == {"users/docker-10.1.0.0-24/h2"}
            await address(h2)  # which nobody gives back
            await h2.ask("NetworkDriver.DeleteNetwork", {"NetworkID": network_id(2)})
            assert not await h2.claimed()
            assert not await h2.claims.networks()

    with_hosts(tmp_path / "db", 2, play)


def test_a_network_goes_after_its_endpoints(tmp_path: Path) -> None:
    """The store, which was away, does not know yet that they are gone."""

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await joined([docker])
            await docker.ask("NetworkDriver.CreateEndpoint", endpoint(1, 7, await address(docker)))
            docker.state.remove(network_id(1))
            await docker.upkeep.look()
            assert [each.manager for each in await docker.claims.networks()] == ["docker"]
            assert "users/docker-10.1.0.0-24/h1" in await docker.claimed()
            (known,) = docker.host.mirror.local_endpoints("h1")
            await docker.host.registry.delete_endpoint(known)
            await docker.upkeep.look()
            assert not await docker.claims.networks()
            assert not await docker.claimed()
            assert not docker.state.left

    with_hosts(tmp_path / "db", 1, play)


def test_a_network_of_the_cluster_stays(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await hosts[0].network("blue", subnets=["10.1.0.0/24"])
            await docker.ask("NetworkDriver.CreateNetwork", network(1))
            assert docker.state.networks[network_id(1)].network == "blue"
            await docker.ask("NetworkDriver.DeleteNetwork", {"NetworkID": network_id(1)})
            assert [each.name for each in await docker.claims.networks()] == ["blue"]
            assert not await docker.claimed()

    with_hosts(tmp_path / "db", 1, play)


def test_subnets_that_are_chosen_at_once_differ(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as dockers:
            asked = [docker.ask("IpamDriver.RequestPool", {}) for docker in dockers * 5]
            pools = [answer["Pool"] for answer in await asyncio.gather(*asked)]
            assert len(set(pools)) == len(pools)
            await dockers[0].ask("IpamDriver.ReleasePool", {"PoolID": pools[0]})
            assert (await dockers[0].ask("IpamDriver.RequestPool", {}))["Pool"] == pools[0]

    with_hosts(tmp_path / "db", 2, play)


def test_a_part_of_a_subnet(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await joined([docker])
            asked = {"Pool": "10.1.0.0/24", "SubPool": "10.1.0.252/30"}
            part = {"PoolID": (await docker.ask("IpamDriver.RequestPool", asked))["PoolID"]}
            given = [(await docker.ask("IpamDriver.RequestAddress", part))["Address"] for _ in range(3)]
            assert given == ["10.1.0.252/24", "10.1.0.253/24", "10.1.0.254/24"]
            assert "is full" in await docker.refused("IpamDriver.RequestAddress", part)
            await docker.ask("IpamDriver.ReleaseAddress", {**part, "Address": "10.1.0.253"})
            assert (await docker.ask("IpamDriver.RequestAddress", part))["Address"] == "10.1.0.253/24"
            wrong = {"Pool": "10.1.0.0/24", "SubPool": "10.2.0.0/30"}
            assert "is not in 10.1.0.0/24" in await docker.refused("IpamDriver.RequestPool", wrong)

    with_hosts(tmp_path / "db", 1, play)


def test_what_somebody_uses_is_not_given_away(tmp_path: Path) -> None:
    """Without being allowed to, or allowed to, but not claimed: another host may have deleted the claim."""

    async def play(hosts: list[Host]) -> None:
        async with plugged(hosts, tmp_path) as (docker,):
            await joined([docker])
            docker.reconciler.known = InUse(refused=frozenset({ip_address("10.1.0.2")}))
            assert await address(docker) == "10.1.0.3/24"
            assert await address(docker, Address="10.1.0.2") == "10.1.0.2/24"  # it was asked for
            await docker.ask("NetworkDriver.CreateEndpoint", endpoint(1, 7, "10.1.0.3/24"))
            (held,) = docker.host.mirror.endpoints["docker-10.1.0.0-24"].values()
            docker.reconciler.known = InUse({ip_address("10.1.0.3"): held})
            await docker.host.store.commit([], [Delete(keys.address(held.network, ip_address("10.1.0.3")))])
            assert await address(docker) == "10.1.0.4/24"
            said = await docker.refused("IpamDriver.RequestAddress", {**POOL, "Address": "10.1.0.3"})
            assert f"10.1.0.3 is taken by endpoint {held.id}" in said

    with_hosts(tmp_path / "db", 1, play)
