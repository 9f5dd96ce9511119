# SPDX-License-Identifier: Apache-2.0
"""The SQLite store keeps the promises of control/store/interface.py."""

import asyncio
from pathlib import Path

import pytest

from fastpath.control.store.open import open_store
from tests.support.control.store_checks import CHECKS, Check, run_check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Check, tmp_path: Path) -> None:
    asyncio.run(run_check(check, lambda: open_store(f"sqlite://{tmp_path}/store.db")))
