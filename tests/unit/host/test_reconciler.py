# SPDX-License-Identifier: Apache-2.0
"""The reconciler continues after every error."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import cast

import pytest

from fastpath import Engine
from fastpath.control.cluster import keys
from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.ipam import DEFAULT_POOL
from fastpath.control.cluster.membership import Membership
from fastpath.control.cluster.registry import Registry
from fastpath.control.drivers.overlay.driver import Overlay
from fastpath.control.host.host_state import HostState, NetworkPlan, Outcome
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.reconciler import Dirty, Reconciler
from fastpath.control.model.objects import Endpoint, Network, Peer, Sandbox
from fastpath.control.model.problem import Problem
from fastpath.control.model.requests import EndpointCreate
from fastpath.control.store.interface import Delete, Put
from tests.support.control.sites import Host, ids, until, with_hosts
from tests.support.ports import free_port
from tests.unit.host.test_host_state import SANDBOX, MemoryDriver


class Driver(MemoryDriver):
    """Has a way out, nothing to clear up, and a mistake that shows with one network."""

    mistaken = ""
    cleared = 0
    spared: Mapping[str, Set[str]] = {}

    def ensure_network(self, network: Network, mtu: int) -> object:  # type: ignore[override]
        if network.name == self.mistaken:
            raise KeyError(network.name)
        return super().ensure_network(network, mtu)

    way_changed = False
    hindrance: Problem | None = None

    def ensure_gateway(self) -> bool:
        return False

    def follow_way_out(self) -> bool:
        changed, self.way_changed = self.way_changed, False
        return changed

    def gateway_problems(self) -> list[Problem]:
        return [self.hindrance] if self.hindrance is not None else []

    def remove_strays(self, wanted: Iterable[Endpoint], networks: Iterable[Network]) -> list[str]:
        self.cleared += 1
        self.spared = {network.name: {e.id for e in wanted if e.network == network.name} for network in networks}
        return []


@pytest.fixture
def driver() -> Iterator[Driver]:
    with Engine("127.0.0.1", udp_port=free_port()) as engine:
        yield Driver(engine)


def test_a_mistake_of_ours_is_a_problem_and_not_the_end(tmp_path: Path, driver: Driver, kernel: KernelThread) -> None:
    async def play(hosts: list[Host]) -> None:
        host = hosts[0]
        state = HostState("h1", {"overlay": cast(Overlay, driver)})
        reconciler = Reconciler("h1", host.mirror, state, kernel, peers=dict, mtu=lambda: 1450)
        driver.mistaken = "db"
        following = asyncio.create_task(host.mirror.run(host.store))
        await host.mirror.synced.wait()
        running = asyncio.create_task(reconciler.run(0.05))
        for n, name in enumerate(("db", "web")):
            await host.network(name)
            request = EndpointCreate(network=name, sandbox="own")
            await host.registry.create_endpoint(f"{n:016x}", request, Sandbox.model_validate(SANDBOX))
        await until(lambda: state.networks_here() == {"web"} and bool(reconciler.problems))
        assert {key: problem.text for key, problem in reconciler.problems.items()} == {
            ("db", ""): "db: an internal error (KeyError: 'db')"
        }
        assert not reconciler.settled
        driver.mistaken = ""
        await until(lambda: state.networks_here() == {"db", "web"} and not reconciler.problems)
        await until(lambda: reconciler.settled)
        following.cancel()
        running.cancel()

    with_hosts(tmp_path / "store.db", 1, play)


def test_containers_follow_the_way_out_and_what_hinders_them_is_told_once(
    tmp_path: Path, driver: Driver, kernel: KernelThread, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(hosts: list[Host]) -> None:
        host = hosts[0]
        state = HostState("h1", {"overlay": cast(Overlay, driver)})
        reconciler = Reconciler("h1", host.mirror, state, kernel, peers=dict, mtu=lambda: 1450)
        reconciler.look_at_everything()
        running = asyncio.create_task(reconciler.run(3600))
        await until(lambda: reconciler.done.runs == 1)
        driver.way_changed, driver.hindrance = True, Problem("host", "gateway", "mine", "the table mine drops")
        reconciler.links_changed()
        await until(lambda: reconciler.done.runs == 2)
        assert reconciler.gateway_problems == [driver.hindrance]
        await reconciler.everything()
        assert [record.message for record in caplog.records].count("the table mine drops") == 1
        assert not reconciler.problems  # it is no reason to look again at once
        driver.hindrance = None
        await reconciler.everything()
        assert reconciler.gateway_problems == []
        running.cancel()

    with_hosts(tmp_path / "store.db", 1, play)


@pytest.mark.parametrize("turns", range(4))
def test_it_ends_though_something_changes_at_the_same_time(
    tmp_path: Path, driver: Driver, kernel: KernelThread, turns: int
) -> None:
    async def play(hosts: list[Host]) -> None:
        state = HostState("h1", {"overlay": cast(Overlay, driver)})
        reconciler = Reconciler("h1", hosts[0].mirror, state, kernel, peers=dict, mtu=lambda: 1450)
        running = asyncio.create_task(reconciler.run(3600.0))
        await asyncio.sleep(0)  # it waits for something to do
        reconciler.look_at_everything()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=20)
        assert done == {running}

    with_hosts(tmp_path / "store.db", 1, play)


def test_a_call_that_hangs_is_told(kernel: KernelThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastpath.control.host.kernel_thread.OVERDUE_S", 0.0)

    async def play() -> None:
        assert kernel.overdue() is None
        answer = threading.Event()
        hanging = asyncio.create_task(kernel.run(answer.wait))
        await until(lambda: kernel.overdue() is not None)
        assert kernel.overdue() == "one look at this host's interfaces has taken 0 s so far"
        answer.set()
        await hanging
        assert kernel.overdue() is None

    asyncio.run(play())


def test_what_is_to_go_is_not_made_anew_while_the_mirror_lags(
    tmp_path: Path, driver: Driver, kernel: KernelThread
) -> None:
    async def play(hosts: list[Host]) -> None:
        host, identity = hosts[0], ids(1, 1)[0]
        state = HostState("h1", {"overlay": cast(Overlay, driver)})
        reconciler = Reconciler("h1", host.mirror, state, kernel, peers=dict, mtu=lambda: 1450)
        registry = Registry(host.store, "h1", DEFAULT_POOL)
        reconciler.write_to(registry, lambda: True)  # the mirror does not see what it writes
        await host.network("web")
        request = EndpointCreate(network="web", sandbox="own")
        await host.registry.create_endpoint(identity, request, Sandbox.model_validate(SANDBOX))
        following = asyncio.create_task(host.mirror.run(host.store))
        await host.mirror.synced.wait()
        await reconciler.everything()
        assert state.endpoints_here() == {"web": {identity}}
        following.cancel()  # as when etcd comes back: it takes what is written before it tells of it
        reconciler.intentions.abandon(identity)
        for _ in range(3):
            await reconciler.everything()
            assert state.endpoints_here() == {}
        assert identity in host.mirror.endpoints["web"]
        following = asyncio.create_task(host.mirror.run(host.store))
        await until(lambda: "web" not in host.mirror.endpoints)
        for changes in host.changes:
            reconciler.changed(changes)
        assert len(reconciler.intentions) == 0
        await reconciler.everything()
        assert state.endpoints_here() == {}
        following.cancel()

    with_hosts(tmp_path / "store.db", 1, play)


def test_nothing_is_a_stray_while_something_cannot_be_read(
    tmp_path: Path, driver: Driver, kernel: KernelThread
) -> None:
    async def play(hosts: list[Host]) -> None:
        host = hosts[0]
        key = keys.network("db")
        await host.store.commit([], [Put(key, b"{")])
        state = HostState("h1", {"overlay": cast(Overlay, driver)})
        reconciler = Reconciler("h1", host.mirror, state, kernel, peers=dict, mtu=lambda: 1450)
        following = asyncio.create_task(host.mirror.run(host.store))
        await host.mirror.synced.wait()
        await reconciler.everything()
        assert driver.cleared == 0
        await host.store.commit([], [Delete(key)])
        await until(lambda: not host.mirror.unreadable)
        for _ in range(2):
            await reconciler.everything()
        assert driver.cleared == 1
        following.cancel()

    with_hosts(tmp_path / "store.db", 1, play)


def test_what_may_be_a_strangers_is_no_stray(tmp_path: Path, driver: Driver, kernel: KernelThread) -> None:
    """This machine may have lost its id: it takes those endpoints over whose interfaces are here."""

    async def play(hosts: list[Host]) -> None:
        (host,) = hosts
        before = Host("h1", tmp_path / "store.db", identity="before")
        await before.network("web")
        await before.network("db")
        await before.endpoint("web", "0" * 16)
        await before.close()
        state = HostState("h1", {"overlay": cast(Overlay, driver)})
        reconciler = Reconciler("h1", host.mirror, state, kernel, peers=dict, mtu=lambda: 1450)
        reconciler.write_to(host.registry, lambda: True)
        following = asyncio.create_task(host.mirror.run(host.store))
        await host.mirror.synced.wait()
        await reconciler.everything()
        assert host.mirror.local_endpoints("h1") == []
        assert driver.spared == {"web": {"0" * 16}}
        assert await host.store.get(keys.endpoint("web", "0" * 16)) is not None
        following.cancel()

    with_hosts(tmp_path / "store.db", 1, play, identity="now")


def test_a_second_host_of_one_name_does_not_delete_the_firsts_endpoints(
    tmp_path: Path, driver: Driver, kernel: KernelThread
) -> None:
    """Their sandboxes are not there, of course."""

    async def play(hosts: list[Host]) -> None:
        host = hosts[0]
        await host.network("web")
        await host.endpoint("web", "0" * 16)
        state = HostState("h1", {"overlay": cast(Overlay, driver)})
        reconciler = Reconciler("h1", host.mirror, state, kernel, peers=dict, mtu=lambda: 1450)
        first = Membership(host.store, 30, lambda: host.peer("192.0.2.9", "another"))
        await first.register()
        second = Membership(host.store, 30, host.peer)
        reconciler.write_to(host.registry, lambda: second.owns_name)
        following = asyncio.create_task(host.mirror.run(host.store))
        joining = asyncio.create_task(second.run())
        await host.mirror.synced.wait()
        await until(lambda: second.problem is not None)
        await reconciler.everything()
        assert await host.store.get(keys.endpoint("web", "0" * 16)) is not None
        await host.store.commit([], [Delete(keys.peer("h1"))])
        second.changed()
        await until(lambda: second.owns_name)
        await reconciler.everything()
        assert await host.store.get(keys.endpoint("web", "0" * 16)) is None
        for task in (following, joining):
            task.cancel()

    with_hosts(tmp_path / "store.db", 1, play)


def test_a_new_endpoint_costs_no_look_at_the_others(tmp_path: Path, driver: Driver, kernel: KernelThread) -> None:
    async def play(hosts: list[Host]) -> None:
        host = hosts[0]
        reconciler = Reconciler(
            "h1", host.mirror, HostState("h1", {"overlay": cast(Overlay, driver)}), kernel, peers=dict, mtu=lambda: 1450
        )
        reconciler.write_to(host.registry, lambda: True)
        host.mirror.subscribe(reconciler.changed)
        await host.network("web")
        following = asyncio.create_task(host.mirror.run(host.store))
        await host.mirror.synced.wait()
        await reconciler.everything()
        assert not reconciler.settled  # until `run` has looked at everything
        running = asyncio.create_task(reconciler.run(3600.0))
        await until(lambda: reconciler.settled)
        for identity in ids(1, 6):
            request = EndpointCreate(network="web", sandbox="own")
            await host.registry.create_endpoint(identity, request, Sandbox.model_validate(SANDBOX))
            await until(lambda: {e.state for e in host.mirror.local_endpoints("h1")} == {"ready"})  # by the reconciler
            await until(lambda: reconciler.settled)
        assert not reconciler.problems
        for looked in Counter(driver.looked).values():
            assert looked <= 2  # joining, ready
        following.cancel()
        running.cancel()

    with_hosts(tmp_path / "store.db", 1, play)


class Watched(HostState):
    """Notes what is done, and calls `first` when the first network is looked at."""

    def __init__(self, driver: Driver) -> None:
        super().__init__("h1", {"overlay": cast(Overlay, driver)})
        self.done: list[str] = []
        self.first: Callable[[], object] = lambda: None
        self.note: Callable[[], object] = lambda: None

    def reconcile(self, plan: NetworkPlan, only: Set[str] | None = None) -> Outcome:
        if not self.done:
            self.first()
        self.done.append("network")
        return super().reconcile(plan, only)

    def set_endpoints(self, name: str, endpoints: Mapping[str, Endpoint | None], peers: Mapping[str, Peer]) -> None:
        self.done.append("endpoint")
        self.note()
        super().set_endpoints(name, endpoints, peers)


def test_a_change_need_not_wait_until_everything_was_looked_at(
    tmp_path: Path, driver: Driver, kernel: KernelThread
) -> None:
    async def play(hosts: list[Host]) -> None:
        host, loop = hosts[0], asyncio.get_running_loop()
        for n, name in enumerate(("web", "db", "log")):
            await host.network(name)
            request = EndpointCreate(network=name, sandbox="own")
            await host.registry.create_endpoint(f"{n:016x}", request, Sandbox.model_validate(SANDBOX))
        state = Watched(driver)
        reconciler = Reconciler("h1", host.mirror, state, kernel, peers=dict, mtu=lambda: 1450)
        following = asyncio.create_task(host.mirror.run(host.store))
        await host.mirror.synced.wait()
        await reconciler.everything()
        state.done.clear()
        change = Changes(endpoints={("web", "9" * 16)})
        settled: list[bool] = []
        state.first = lambda: loop.call_soon_threadsafe(reconciler.changed, change)
        state.note = lambda: settled.append(reconciler.settled)
        await reconciler.everything()
        assert settled == [False]  # while the change is handled
        assert state.done == ["network", "endpoint", "network", "network"]
        following.cancel()

    with_hosts(tmp_path / "store.db", 1, play)


def test_a_network_that_failed_is_not_in_order_after_a_change_that_succeeds(
    tmp_path: Path, driver: Driver, kernel: KernelThread
) -> None:
    async def play(hosts: list[Host]) -> None:
        host, state = hosts[0], Watched(driver)
        reconciler = Reconciler("h1", host.mirror, state, kernel, peers=dict, mtu=lambda: 1450)
        await host.network("web")
        request = EndpointCreate(network="web", sandbox="own")
        await host.registry.create_endpoint("0" * 16, request, Sandbox.model_validate(SANDBOX))
        following = asyncio.create_task(host.mirror.run(host.store))
        await host.mirror.synced.wait()
        await reconciler.everything()
        assert not reconciler.problems
        driver.mistaken = "web"
        await reconciler.everything()
        assert reconciler.problems.keys() == {("web", "")}
        await reconciler._handle(Dirty(endpoints={("web", "9" * 16)}))  # of another host
        assert state.done[-1] == "endpoint"
        assert reconciler.problems.keys() == {("web", "")}
        driver.mistaken = ""
        await reconciler.everything()
        assert not reconciler.problems
        following.cancel()

    with_hosts(tmp_path / "store.db", 1, play)
