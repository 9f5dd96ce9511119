# SPDX-License-Identifier: Apache-2.0
"""Where the store keeps endpoints: as version 0.1 does, or under a prefix for each host; and the move."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fastpath.control.cluster import keys
from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.ipam import DEFAULT_POOL
from fastpath.control.docker.claims import Claims
from fastpath.control.docker.wanted import Wanted
from fastpath.control.model.requests import EndpointSet
from fastpath.control.store.interface import Put
from fastpath.errors import ConflictError, UsageError
from tests.support.control.sites import Host, ids, until, with_hosts

A, B, C = ids(1, 3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def with_mirrors(hosts: list[Host], play: Callable[[], Awaitable[None]]) -> None:
    tasks = [asyncio.create_task(host.mirror.run(host.store)) for host in hosts]
    for host in hosts:
        await host.mirror.synced.wait()
    await play()
    for task in tasks:
        task.cancel()


async def register(host: Host, version: str = "0.2.0") -> None:
    peer = host.peer(f"192.0.2.{host.name[1:]}").model_copy(update={"version": version})
    await host.own_writes.commit([], [Put(keys.peer(host.name), peer.model_dump_json().encode())])


async def kept(host: Host) -> list[str]:
    """The keys of all endpoints."""
    found = (await host.store.list(keys.OBJECTS)).items
    return [item.key for item in found if item.key.startswith((keys.ENDPOINTS, keys.HOSTS))]


def test_endpoints_move_under_their_hosts_prefixes(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        one, other = hosts
        for host in hosts:
            await register(host)
        await one.network("web", subnets=["10.7.0.0/24"])
        old = await one.endpoint("web", A)
        assert await kept(one) == [keys.endpoint("web", A)]

        async def scenario() -> None:
            shown: list[bool] = []

            def look(_: Changes) -> None:
                shown.append(A in other.mirror.endpoints.get("web", {}))

            other.mirror.subscribe(look)
            await one.registry.upgrade()
            await one.registry.upgrade()  # once more is no error
            new = await other.endpoint("web", B)
            assert await kept(one) == [keys.endpoint("web", A), keys.host_endpoint("h2", "web", B)]
            await until(lambda: one.mirror.contents.per_host and B in one.mirror.endpoints["web"])
            assert one.mirror.contents.outside() == {"h1": 1}
            for endpoint in one.mirror.contents.unsettled("h1"):
                await one.registry.change_endpoint(endpoint, lambda there: there)
            own = [keys.host_endpoint("h1", "web", A), keys.host_endpoint("h2", "web", B)]
            assert await kept(one) == own
            await until(lambda: not other.mirror.contents.outside())
            assert shown
            assert all(shown)  # nobody saw it go
            assert one.mirror.endpoints == other.mirror.endpoints == {"web": {A: old, B: new}}
            await one.registry.set_state(old, "ready")
            await one.registry.set_allowed(old, EndpointSet.model_validate({"allow": ["10.7.0.9"]}))
            assert await kept(one) == own
            with pytest.raises(ConflictError, match="the network web has 2 endpoints on h1, h2"):
                await one.registry.remove_network("web")
            assert await one.registry.delete_endpoint(old) is not None
            assert await other.registry.delete_endpoint(new) is not None
            assert await kept(one) == []
            await one.registry.remove_network("web")
            claims = {item.key for item in (await one.store.list(keys.CLAIMS)).items}
            assert claims == {keys.NETWORKS_GUARD}

        await with_mirrors(hosts, scenario)

    with_hosts(file, 2, play)


def test_dockers_last_user_does_not_remove_a_network_with_endpoints(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        (host,) = hosts
        await host.registry.upgrade()
        claims = Claims(host.own_writes, host.registry, "h1", DEFAULT_POOL)
        subnet = {"pool": "10.7.0.0/24", "gateway": "10.7.0.1"}
        wanted = Wanted.model_validate({"name": "web", "subnets": [subnet]})
        await claims.use_network(wanted, ())
        endpoint = await host.endpoint("web", A)
        await claims.leave_network("web")
        assert await host.store.get(keys.network("web")) is not None
        await host.registry.delete_endpoint(endpoint)
        await claims.use_network(wanted, ())
        await claims.leave_network("web")
        assert await host.store.get(keys.network("web")) is None

    with_hosts(file, 1, play)


def test_the_layout_stays_while_a_host_would_not_see_the_endpoints(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        one, other = hosts
        await register(one)
        await one.network("web")
        await one.endpoint("web", A)
        await register(other, "0.1.0")
        with pytest.raises(ConflictError, match=r"the host h2 runs fastpath 0\.1\.0: upgrade it first"):
            await one.registry.upgrade()
        await other.endpoint("web", B)
        await other.store.commit([], [Put(keys.peer("h3"), b"{")])
        await register(other)
        await one.endpoint("web", C)
        third = Host("h3", file)
        await third.endpoint("web", "f" * 16)
        await third.close()
        with pytest.raises(ConflictError, match="the host h3 is away: start it, or wait until its endpoints"):
            await one.registry.upgrade()
        assert await one.store.get(keys.LAYOUT) is None

    with_hosts(file, 2, play)


def test_a_layout_of_a_later_version_is_not_written_to(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        await hosts[0].store.commit([], [Put(keys.LAYOUT, b"spiral")])
        with pytest.raises(UsageError, match="does not know the store's layout: upgrade"):
            await hosts[0].endpoint("web", A)

    with_hosts(file, 1, play)


def test_a_host_cannot_speak_for_another(file: Path) -> None:
    """With a role of etcd, it can write under its own prefix only."""

    async def play(hosts: list[Host]) -> None:
        other, one = hosts
        await one.network("web", subnets=["10.7.0.0/24"])
        await one.registry.upgrade()
        mine = await one.endpoint("web", A)
        value = mine.model_copy(update={"mac": "02:00:00:00:00:66"})
        forged = [
            Put(keys.host_endpoint("h1", "web", A), value.model_copy(update={"host": "h1"}).model_dump_json().encode()),
            Put(keys.host_endpoint("h1", "web", B), value.model_copy(update={"id": B}).model_dump_json().encode()),
            Put(f"{keys.HOSTS}h1/web/{C}/x", mine.model_dump_json().encode()),
            Put(f"{keys.HOSTS}h1", mine.model_dump_json().encode()),
        ]

        async def scenario() -> None:
            await other.store.commit([], forged)
            await until(lambda: len(one.mirror.unreadable) == 4)
            assert one.mirror.endpoints == {"web": {A: mine}}
            reasons = dict(one.mirror.contents.ignored())
            assert reasons[forged[0].key].endswith("cannot be read: the host h2 has the endpoint of this id")
            assert reasons[forged[1].key].endswith("cannot be read: its value has another name than its key")
            assert len(reasons) == 4

        await with_mirrors([one], scenario)
        later = Host("h3", file)  # one that lists them all at once, h2's first, if it were by name

        async def as_well() -> None:
            assert later.mirror.endpoints == {"web": {A: mine}}

        await with_mirrors([later], as_well)
        await later.close()

    with_hosts(file, 2, play)
