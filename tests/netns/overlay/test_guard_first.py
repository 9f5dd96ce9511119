# SPDX-License-Identifier: Apache-2.0
"""No packet reaches a socket of the engine before the guard's rules are in place."""

import asyncio
import ipaddress
from pathlib import Path

import pytest

from fastpath.control.cluster.cache import Cache
from fastpath.control.daemon import data_plane, former
from fastpath.control.daemon.data_plane import DataPlane
from fastpath.control.host.guard.rules import table_of
from fastpath.control.kernel import nftables
from fastpath.control.kernel.nft_query import has_table
from fastpath.control.runtime.config import DaemonConfig
from fastpath.control.runtime.state_dir import StateDir
from tests.support.hosts.hosts import Lab

TABLE = table_of(ipaddress.ip_address("192.0.2.1"), 4789)


def test_the_rules_are_there_before_the_sockets(two: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = DaemonConfig(host="h1", vtep="192.0.2.1", state_dir=tmp_path / "state", dns=False)
    seen: list[str] = []
    make = data_plane._engine

    def observed(config: DaemonConfig, vtep: str) -> object:
        seen.append(nftables._nft(["list", "table", *TABLE.split()], "", TABLE).stdout)
        return make(config, vtep)

    monkeypatch.setattr(data_plane, "_engine", observed)

    def start_and_stop() -> None:
        with StateDir(tmp_path / "state") as state:
            DataPlane(config, state)._close()

    two.hosts[0].inside(start_and_stop)
    assert "ip daddr 192.0.2.1 goto here" in seen[0]
    assert "not_a_peer" in seen[0]
    assert two.hosts[0].inside(lambda: has_table(TABLE))  # it stays, as the interfaces do
    # The next life need not wait for its own: these protect it until then.
    two.hosts[0].inside(lambda: nftables.run(f"flush table {TABLE}", TABLE))
    two.hosts[0].inside(start_and_stop)
    assert seen[1]
    assert "not_a_peer" not in seen[1]
    two.hosts[0].inside(lambda: nftables.delete(TABLE))
    assert not two.hosts[0].inside(lambda: has_table(TABLE))


@pytest.mark.parametrize("guarded", [True, False])
def test_the_first_start_reads_each_file_once(
    two: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """The copy of the store: once for what concerns this host, once for all else."""
    config = DaemonConfig(
        host="h1", vtep="192.0.2.1", state_dir=tmp_path / "state", dns=False, gateway_bridge=False, guard=guarded
    )
    read: list[str] = []

    def note(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def noted(*args: object) -> object:
            read.append(name)
            return real(*args)

        monkeypatch.setattr(owner, name, noted)

    note(Cache, "load")
    note(former, "read")

    async def start_and_stop(state: StateDir) -> None:
        async with DataPlane(config, state):
            pass

    def run() -> None:
        with StateDir(tmp_path / "state") as state:
            asyncio.run(start_and_stop(state))
        if guarded:
            nftables.delete(TABLE)

    two.hosts[0].inside(run)
    assert sorted(read) == ["load", "load", "read"]
