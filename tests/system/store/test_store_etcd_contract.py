# SPDX-License-Identifier: Apache-2.0
"""The etcd store keeps the promises of control/store/interface.py."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aetcd import rpc

from fastpath.control.store.etcd.store import EtcdStore
from fastpath.control.store.interface import StoreOptions
from fastpath.control.store.open import open_store
from tests.support.control.store_checks import CHECKS, ROOT, Check, put, run_check, take, watching
from tests.support.servers.etcd_server import Etcd, patient


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with Etcd(tmp_path) as server:
        yield server


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Check, etcd: Etcd) -> None:
    with patient():
        asyncio.run(run_check(check, lambda: open_store(etcd.url)))


def test_a_key_that_is_no_text_is_in_nobodys_way(etcd: Etcd) -> None:
    async def scenario() -> None:
        store = EtcdStore([etcd.url.removeprefix("etcd://")], StoreOptions())
        try:
            revision = await put(store, ROOT + "a", b"1")
            async with watching(store, ROOT, revision) as watch:
                request = rpc.PutRequest(key=ROOT.encode() + b"\xff", value=b"2")
                await store._calls.call(lambda member: member.kv.Put, request)
                await put(store, ROOT + "b", b"3")
                assert [event.key for event in await take(watch, 2)] == [ROOT + "\\xff", ROOT + "b"]
            assert [item.key for item in (await store.list(ROOT)).items] == [ROOT + "a", ROOT + "b", ROOT + "\\xff"]
        finally:
            await store.close()

    asyncio.run(scenario())
