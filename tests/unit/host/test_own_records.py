# SPDX-License-Identifier: Apache-2.0
"""A host's endpoints in the store are brought up to date."""

import asyncio
from pathlib import Path

import pytest

from fastpath.control.cluster import keys
from fastpath.control.cluster.membership import Membership
from fastpath.control.drivers import managed
from fastpath.control.host import own_records
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.own_records import OwnRecords
from fastpath.control.model.objects import Endpoint
from tests.support.control.sites import Host, ids, until, with_hosts

OLD, LOST, FOREIGN = ids(1, 3)


def test_endpoints_get_the_hosts_id_and_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is of version 0.1; one of this machine before it lost its id; one of another machine of this name."""
    looks: list[str] = []

    def look_for(_: str, endpoint: Endpoint) -> Endpoint | None:
        looks.append(endpoint.id)
        if len(looks) == 1:
            raise OSError("the sandbox is just going")
        return endpoint if endpoint.id == LOST else None

    monkeypatch.setattr(managed, "look_for", look_for)
    monkeypatch.setattr(own_records, "RETRY_S", 0.01)

    async def play(hosts: list[Host]) -> None:
        for identity, made_by in ((OLD, ""), (LOST, "before"), (FOREIGN, "other")):
            host = Host("h1", tmp_path / "db", identity=made_by)
            if identity == OLD:
                await host.network("web")
            await host.endpoint("web", identity)
            await host.close()
        (host,) = hosts
        kernel = KernelThread()
        membership = Membership(
            host.own_writes, 30, lambda: host.peer(identity="now").model_copy(update={"version": "0.2.0"})
        )
        records = OwnRecords("h1", host.mirror, host.registry, membership, kernel)
        host.mirror.subscribe(records.changed)
        tasks = [asyncio.create_task(each) for each in (host.mirror.run(host.store), records.run())]
        await host.mirror.synced.wait()
        assert {e.id for e in host.mirror.local_endpoints("h1")} == {OLD}
        await membership.register()

        def mine() -> dict[str, Endpoint]:
            return {e.id: e for e in host.mirror.local_endpoints("h1") if e.host_id == "now"}

        await until(lambda: set(mine()) == {OLD, LOST})
        assert set(host.mirror.contents.strangers) == {("web", FOREIGN)}
        await host.registry.upgrade()
        await until(lambda: host.mirror.contents.outside() == {"h1": 1})
        found = [item.key for item in (await host.store.list(keys.HOSTS)).items]
        assert found == [keys.host_endpoint("h1", "web", each) for each in (OLD, LOST)]
        assert await host.store.get(keys.endpoint("web", FOREIGN)) is not None
        for task in tasks:
            task.cancel()
        kernel.close()

    with_hosts(tmp_path / "db", 1, play, identity="now")
