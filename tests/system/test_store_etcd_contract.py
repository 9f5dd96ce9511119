# SPDX-License-Identifier: Apache-2.0
"""The etcd store keeps the promises of control/store/interface.py."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpath.control.store.open import open_store
from tests.store_checks import CHECKS, Check, run_check
from tests.system.etcd_server import Etcd


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with Etcd(tmp_path) as server:
        yield server


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Check, etcd: Etcd) -> None:
    asyncio.run(run_check(check, lambda: open_store(etcd.url)))
