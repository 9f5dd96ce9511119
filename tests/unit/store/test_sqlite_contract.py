# SPDX-License-Identifier: Apache-2.0
"""The SQLite store keeps the promises of control/store/interface.py."""

import asyncio
from pathlib import Path

import pytest

from fastpath.control.store.open import open_store
from tests.support.control.store_checks import CHECKS, Check, run_check

WAITING = ("a_lease_takes_its_keys_along", "a_lease_that_is_kept_alive_stays")  # for seconds, until leases end
CASES = [pytest.param(each, marks=[pytest.mark.slow] if each.__name__ in WAITING else []) for each in CHECKS]


@pytest.mark.parametrize("check", CASES, ids=lambda check: check.__name__)
def test_contract(check: Check, tmp_path: Path) -> None:
    asyncio.run(run_check(check, lambda: open_store(f"sqlite://{tmp_path}/store.db")))
