# SPDX-License-Identifier: Apache-2.0
"""Work that keeps failing is tried every second and logged once."""

import asyncio
import logging
from pathlib import Path
from typing import cast

import pytest

from fastpath.control.host.host_state import HostState, NetworkPlan, Outcome
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.model.problem import Problem
from tests.support.control.sites import Host, ids, with_hosts


class Failing:
    """A host whose endpoints fail, for the reasons that a test puts in here."""

    def __init__(self) -> None:
        self.why = "eth0 is taken"
        self.more = ""

    def networks_here(self) -> set[str]:
        return {"web"}

    def reconcile(self, plan: NetworkPlan, only: None) -> Outcome:
        return Outcome(
            failed={
                end.id: Problem("web", end.id, self.why, f"{end.id}: {self.why}{self.more}") for end in plan.endpoints
            }
        )

    def ensure_gateway(self) -> bool:
        return False

    def ensure_kernel_path(self) -> int:
        return 0

    def gateway_problems(self) -> list[Problem]:
        return []

    def remove_strays(self, *_: object) -> list[str]:
        return []


def test_what_keeps_failing_is_logged_once(
    tmp_path: Path, kernel: KernelThread, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = ids(1, 2)
    state = Failing()

    async def play(hosts: list[Host]) -> None:
        host = hosts[0]
        await host.network("web")
        await host.endpoint("web", one)
        await host.endpoint("web", two)
        following = asyncio.create_task(host.mirror.run(host.store))
        await host.mirror.synced.wait()
        reconciler = Reconciler(host.name, host.mirror, cast("HostState", state), kernel, peers=dict, mtu=lambda: 1450)
        for why in ("eth0 is taken", "the sandbox is odd"):
            state.why = why
            for look in range(3):
                state.more = f" for {look} s" if look else ""  # what changes in a sentence makes it no other problem
                await reconciler.everything()
                assert sorted(reconciler.problems) == [("web", one), ("web", two)]
        following.cancel()

    with caplog.at_level(logging.ERROR):
        with_hosts(tmp_path / "store.db", 1, play)
    said = sorted(record.message for record in caplog.records)
    assert said == sorted(f"{end}: {why}" for end in (one, two) for why in ("eth0 is taken", "the sandbox is odd"))
