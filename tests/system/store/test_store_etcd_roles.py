# SPDX-License-Identifier: Apache-2.0
"""Roles of etcd that keep a host from changing what others wrote: those of docs/operators/store.md, in a real etcd.

h1 (manager) ── etcd with users ── h2, h3 (confined)
"""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpath.control.cluster import keys
from fastpath.control.cluster.ipam import DEFAULT_POOL
from fastpath.control.cluster.membership import Membership
from fastpath.control.cluster.reaper import Reaper
from fastpath.control.cluster.stored import to_json
from fastpath.control.docker.claims import Claims
from fastpath.control.docker.wanted import Wanted
from fastpath.control.store.interface import Delete, DeniedError, Put, StoreOptions
from fastpath.control.store.open import open_store
from tests.support.control.sites import LONG, Host, ids, until
from tests.support.servers.etcd_server import Etcd

DOCUMENT = Path(__file__).parents[3] / "docs" / "operators" / "store.md"
A, B, C, D = ids(1, 4)


def documented(role: str) -> list[list[str]]:
    """The words after the role's name in each `etcdctl role grant-permission`, $H being the host's name."""
    found = re.findall(rf"^etcdctl role grant-permission {re.escape(role)} (.*)$", DOCUMENT.read_text(), re.MULTILINE)
    assert found, role
    return [line.split() for line in found]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Etcd]:
    with Etcd(tmp_path) as etcd:
        root = etcd.enable_auth("other", "secret", "/other/")
        etcd.add_role("fastpath", documented("fastpath"), root)
        for host in ("h2", "h3"):
            grants = [[word.replace("$H", host) for word in grant] for grant in documented("fastpath-$H")]
            etcd.add_role(f"fastpath-{host}", grants, root)
        yield etcd


def host(etcd: Etcd, name: str, user: str) -> Host:
    store = open_store(etcd.url, StoreOptions(user=user, password="secret"))
    return Host(name, Path(), identity=f"id-{name}", store=store)


async def register(host: Host, number: int) -> None:
    peer = host.peer(f"192.0.2.{number}", f"id-{host.name}")
    await Membership(host.own_writes, 30, lambda: peer).register()


def test_a_confined_host_cannot_change_what_others_wrote(guarded: Etcd) -> None:
    async def play(manager: Host, one: Host, other: Host) -> None:
        await manager.network("web", subnets=["10.7.0.0/24"])
        await manager.registry.upgrade()
        following = asyncio.create_task(other.mirror.run(other.store))
        for number, each in enumerate((manager, one, other), 1):  # each can do what it has to
            await register(each, number)
        mine = await one.endpoint("web", A)
        theirs = await other.endpoint("web", B)
        assert await one.registry.set_state(mine, "ready") is not None
        docker = Claims(one.own_writes, one.registry, "h2", DEFAULT_POOL)
        wanted = Wanted.model_validate({"name": "web", "subnets": [{"pool": "10.7.0.0/24", "gateway": "10.7.0.1"}]})
        await docker.use_network(wanted, ())
        address = await docker.reserve_address("web", mine.addresses[0].network, mine.addresses[0].network, None)
        await docker.create_endpoint("web", C, (address,), None)

        stolen = other.store
        others = (keys.peer("h2"), keys.host_endpoint("h2", "web", A), keys.endpoint("web", A), keys.LAYOUT)
        for key in (*others, keys.network("web"), keys.network("new"), f"{keys.HOSTS}h2x/web/{A}", keys.peer("h22")):
            for change in (Delete(key), Put(key, b"{}")):
                with pytest.raises(DeniedError, match='etcd does not permit user "fastpath-h3" to do this'):
                    await stolen.commit([], [change])
        item = await stolen.get(keys.peer("h2"))
        assert item is not None
        with pytest.raises(DeniedError):
            await stolen.revoke(item.lease)
        assert await stolen.get(keys.peer("h2")) == item
        assert stolen.problem is None  # it may read, and write its own

        copy = mine.model_copy(update={"id": D, "host": "h3", "host_id": other.registry.host_id})
        place = keys.host_endpoint("h3", "web", D)
        claims = [keys.address("web", mine.addresses[0].ip), keys.mac("web", mine.mac)]
        await stolen.commit([], [*map(Delete, claims), Put(place, to_json(copy))])
        late = await manager.store.list(keys.OBJECTS)  # as a host lists it that starts now
        assert {item.key: item.created < item.revision for item in late.items if A in item.key or D in item.key} == {
            keys.host_endpoint("h2", "web", A): True,
            place: False,
        }
        gathering = asyncio.create_task(manager.mirror.run(manager.store))
        await until(lambda: D in manager.mirror.contents.disputed.get("web", {}))
        assert A in manager.mirror.endpoints["web"]
        assert await other.registry.delete_endpoint(copy) is not None

        await one.store.commit([], [Delete(keys.peer("h2"))])  # it dies
        await until(lambda: "h2" not in other.mirror.peers and len(other.mirror.endpoints.get("web", {})) == 3)
        await until(lambda: "h2" in manager.mirror.contents.lost)
        for each in (other, manager):  # neither hears it any more
            each.mirror.forget_peer("h2")
        confined = Reaper("h3", other.mirror, other.registry, grace=0.0)
        await confined.look()  # leaves them to the manager
        assert await other.registry.delete_endpoint(theirs) is not None
        assert await manager.store.get(keys.host_endpoint("h2", "web", A)) is not None
        await Reaper("h1", manager.mirror, manager.registry, grace=0.0).look()
        assert (await manager.store.list(keys.HOSTS)).items == ()
        await docker.leave_network("web")  # the last of its users, but may not remove it
        assert await manager.store.get(keys.user("web", "h2")) is None
        for task in (following, gathering):
            task.cancel()

    async def main() -> None:
        hosts = [host(guarded, "h1", "fastpath"), *(host(guarded, name, f"fastpath-{name}") for name in ("h2", "h3"))]
        try:
            async with asyncio.timeout(LONG):
                await play(*hosts)
        finally:
            for each in hosts:
                await each.close()

    asyncio.run(main())
