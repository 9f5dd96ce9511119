# SPDX-License-Identifier: Apache-2.0
"""The reconciler brings this host into the state that the store describes: links, segments, FDB. The same code compares
and repairs at the start, on every event, and on a slow timer; so a crash may leave anything half done.

The event loop decides what to look at (`Dirty`); the kernel thread does it (`HostState`).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from fastpath.control.cluster import keys
from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.in_use import InUse
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.host_state import HostState, NetworkPlan
from fastpath.control.host.intentions import Intentions
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.model.kinds import kind_of
from fastpath.control.model.objects import Endpoint, Network, Peer
from fastpath.control.model.problem import Problem, problem_of
from fastpath.control.runtime.failures import Failures
from fastpath.control.store.interface import UnavailableError
from fastpath.errors import FastpathError

if TYPE_CHECKING:
    from fastpath.control.cluster.registry import Registry  # the daemon loads it after frames flow

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

GATHER_S = 0.01  # events that come within this time are handled together
SOON_S = 1.0  # until failed work is tried again
LIVENESS_S = 5.0  # between checks whether sandboxes still exist


@dataclass
class Dirty:
    """The objects to check next."""

    everything: bool = False
    gateway: bool = False
    networks: set[str] = field(default_factory=set)
    endpoints: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True)
class Reconciles:
    """Counts of the reconciler's work since the start. `last_success` is a Unix time."""

    runs: int = 0
    failures: int = 0
    repairs: int = 0
    seconds: float = 0.0
    last_success: float | None = None


class Reconciler:
    """`changed` takes the mirror's changes; `run` does the work; `ensure_endpoint_now` handles one endpoint at once."""

    def __init__(
        self,
        host: str,
        mirror: Mirror,
        state: HostState,
        kernel: KernelThread,
        *,
        peers: Callable[[], dict[str, Peer]],
        mtu: Callable[[], int],
        removals: Path | None = None,
    ) -> None:
        # Failures of the last pass, by (network, endpoint's id or ""); the next pass that succeeds clears them.
        self.problems: dict[tuple[str, str], Problem] = {}
        self.gateway_problems: list[Problem] = []  # which are others' to mend
        self._failures = Failures(log, "sandboxes")
        self.intentions = Intentions(mirror, removals)
        mirror.contents.is_unwanted = self.intentions.__contains__
        self._registry: Registry | None = None  # None until the store is open
        # Whether the endpoints under this host's name are ours, not those of another host of the same name.
        self._may_write: Callable[[], bool] = lambda: True
        self.done = Reconciles()
        self._host = host
        self._mirror = mirror
        self._state = state
        self._kernel = kernel
        self._peers = peers
        self._mtu = mtu
        self._dirty = Dirty(everything=True)
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._cleared = False
        self._handling = 0  # how many look at changes now

    # For the rest of the daemon.

    def write_to(self, registry: "Registry", may_write: Callable[[], bool]) -> None:
        """Write the states of local endpoints to the store from now on, whenever `may_write` returns true."""
        self._registry, self._may_write = registry, may_write

    def changed(self, changes: Changes) -> None:
        """Reconcile what changed in the mirror, soon."""
        self.intentions.changed(changes)
        self._dirty.networks |= changes.networks
        self._dirty.endpoints |= changes.endpoints
        for name, members in self._mirror.endpoints.items() if changes.peers else ():
            if any(endpoint.host in changes.peers for endpoint in members.values()):
                self._dirty.networks.add(name)
        self._wake.set()

    @property
    def settled(self) -> bool:
        """Whether the engine has all that the mirror says: no change waits, and none of a whole network failed.
        (`NetworkSync` tells the engine of endpoints that failed.)"""
        if any(name and not identity for name, identity in self.problems):
            return False
        return not (self._handling or self._dirty.everything or self._dirty.networks or self._dirty.endpoints)

    def kernel_paths_changed(self, hosts: Set[str]) -> None:
        """Tell the kernel path of these hosts' endpoints again, soon: it is used from now on, or left."""
        for name, members in self._mirror.endpoints.items():
            self._dirty.endpoints |= {(name, i) for i, end in members.items() if end.host in hosts and end.kernel_path}
        self._wake.set()

    def links_changed(self) -> None:
        """Reconcile the gateway, the networks that use interfaces of this host, and those with an interface that a
        manager is about to place, soon: links or routes changed."""
        for network in self._mirror.networks.values():
            here = self._here(network.name)
            placed = any(endpoint.manager and endpoint.state == "joining" for endpoint in here)
            if here and (kind_of(network.driver).in_lan or placed):
                self._dirty.networks.add(network.name)
        self._dirty.gateway = True
        self._wake.set()

    def look_at_everything(self) -> None:
        """Reconcile everything, soon: something changed."""
        self._dirty.everything = True
        self._wake.set()

    async def run(self, interval: float) -> None:
        """Reconcile until cancelled; everything at least every `interval` seconds."""
        last, patience = time.monotonic(), min(interval, SOON_S)
        while True:
            due = last + (patience if self.problems else interval)
            await self._sleep(due - time.monotonic())
            settled = self.settled
            dirty, self._dirty = self._dirty, Dirty()
            begin = time.monotonic()
            with self._handles(not settled):
                if dirty.everything or begin >= due:
                    await self.everything()
                    last = time.monotonic()
                    # What keeps failing must not keep a large host busy.
                    patience = min(interval, max(SOON_S, 10 * (last - begin)))
                else:
                    async with self._lock:
                        await self._handle(dirty)

    @contextlib.contextmanager
    def _handles(self, changes: bool) -> Iterator[None]:
        self._handling += changes
        try:
            yield
        finally:
            self._handling -= changes

    async def take_over(self) -> None:
        """Let frames flow again at the start, and have everything reconciled afterwards."""
        async with self._lock:
            for name in {endpoint.network for endpoint in self._mirror.local_endpoints(self._host)}:
                plan = self._plan(name)
                if plan is not None:
                    await self._guarded((name, ""), self._state.take_over, plan)
        self.look_at_everything()

    async def everything(self) -> None:
        """Compare and repair everything."""
        async with self._lock, self._counted():
            here = {endpoint.network for endpoint in self._mirror.local_endpoints(self._host)}
            here |= await self._kernel.run(self._state.networks_here)
            self._forget_problems(here)
            for name in here:
                await self._network(name)
                if self._dirty.endpoints or self._dirty.networks:  # it need not wait for all the rest
                    dirty, self._dirty = self._dirty, Dirty(self._dirty.everything, self._dirty.gateway)
                    with self._handles(True):
                        await self._handle(replace(dirty, gateway=False))
            await self._gateway()
            if not any(name and not identity for name, identity in self.problems):  # else some would be missing
                repairs = await self._guarded(("", "kernel path"), self._state.ensure_kernel_path)
                self.done = replace(self.done, repairs=self.done.repairs + (repairs or 0))
            if self._mirror.synced.is_set() and not self._cleared:
                await self._clear_up()

    async def ensure_endpoint_now(self, endpoint: Endpoint) -> None:
        """Create one local endpoint now, between two passes, as the mirror says. Raise FastpathError if that fails."""
        async with self._lock:
            plan = self._plan(endpoint.network)
            if plan is not None:
                await self._kernel.run(self._state.ensure_endpoint, plan, endpoint)

    async def carries(self, network: str) -> bool:
        """Return whether frames to new endpoints of a network may come by the kernel path."""
        there = self._mirror.networks.get(network)
        if there is None or there.kernel_path == "off":  # no reason to wait for the kernel thread
            return False
        return await self._kernel.run(self._state.carries, there)

    def network_changed(self, name: str) -> None:
        """Reconcile a network, soon: somebody set its forwarder here."""
        self._dirty.networks.add(name)
        self._wake.set()

    async def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Remove one local endpoint's interface now. Raise FastpathError if that fails."""
        async with self._lock:
            await self._kernel.run(self._state.remove_endpoint, endpoint)
            if not any(e.id != endpoint.id for e in self._here(endpoint.network)):
                await self._kernel.run(self._state.remove_network, endpoint.network)

    async def check_network(self, network: Network) -> None:
        """Raise FastpathError if this host could not have endpoints of a network that is about to be created."""
        async with self._lock:
            await self._kernel.run(self._state.check_network, network)

    async def own_mac(self, network: Network) -> str | None:
        """Return the MAC address of an endpoint that requests none; None if it is derived from its IP address."""
        return await self._kernel.run(self._state.own_mac, network)

    async def in_use(self, network: str) -> InUse:
        """Return the addresses of a network that are in use, as far as this host knows."""
        refused = await self._kernel.run(self._state.refused_addresses, network)
        members = self._mirror.endpoints.get(network, {}).values()
        holders = {address.ip: end for end in members for address in (*end.allowed, *end.addresses)}
        return InUse(holders, frozenset(refused), self._mirror.answering and self._mirror.synced.is_set())

    # Within.

    @contextlib.asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        """Count one pass over everything, for the metrics."""
        start = time.monotonic()
        yield
        done = self.done
        self.done = replace(
            done,
            runs=done.runs + 1,
            failures=done.failures + bool(self.problems),
            seconds=done.seconds + time.monotonic() - start,
            last_success=done.last_success if self.problems else time.time(),
        )

    async def _sleep(self, interval: float) -> None:
        deadline = time.monotonic() + interval
        while not self._wake.is_set() and (left := deadline - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(left, LIVENESS_S)):
                    await self._wake.wait()
            except TimeoutError:
                if await self._some_died():
                    return
        await asyncio.sleep(GATHER_S)
        self._wake.clear()

    async def _some_died(self) -> bool:
        try:
            dead = await self._kernel.run(self._state.dead_endpoints)
        except FastpathError as error:
            self._failures.failed("", error, f"cannot tell which sandboxes still exist: {error}")
            return False
        self._failures.over("")
        self._dirty.networks |= {endpoint.network for endpoint in dead}
        return bool(dead)

    def _here(self, name: str) -> list[Endpoint]:
        return [e for e in self._mirror.endpoints.get(name, {}).values() if e.host == self._host]

    def _plan(self, name: str) -> NetworkPlan | None:
        """Return the network's desired state on this host; None if it should not be here."""
        network = self._mirror.networks.get(name)
        members = self._mirror.endpoints.get(name, {})
        if network is None or not any(endpoint.host == self._host for endpoint in members.values()):
            return None
        mtu = network.mtu if network.mtu is not None else self._mtu()
        endpoints = tuple(self.intentions.applied(endpoint) for endpoint in members.values())
        return NetworkPlan(network, mtu, endpoints, self._peers(), self._mirror.contents.knows_all(name))

    async def _handle(self, dirty: Dirty) -> None:
        """Reconcile only what changed."""
        if dirty.gateway and await self._guarded(("", "way out"), self._state.follow_way_out):
            self.look_at_everything()
        active = await self._kernel.run(self._state.endpoints_here)
        self._forget_problems(set(active))
        some: dict[str, set[str]] = {}  # of networks that need no look at all of their endpoints here
        for name, identity in dirty.endpoints:
            here, endpoint = active.get(name), self._mirror.endpoints.get(name, {}).get(identity)
            ours = (here and identity in here) or (endpoint is not None and endpoint.host == self._host)
            if ours or here == set():  # the last one here went
                some.setdefault(name, set()).add(identity)
        for name in dirty.networks | some.keys():
            if name in active or self._here(name):
                await self._network(name, None if name in dirty.networks else some[name])
        others = [(n, i) for n, i in dirty.endpoints if n in active and n not in dirty.networks | some.keys()]
        for name in {name for name, _ in others}:
            changed = {i: self._mirror.endpoints.get(name, {}).get(i) for n, i in others if n == name}
            failed = self.problems.get((name, ""))
            await self._guarded((name, ""), self._state.set_endpoints, name, changed, self._peers())
            if failed is not None:  # what failed was more than these few: the next pass tries it again
                self.problems.setdefault((name, ""), failed)

    async def _gateway(self) -> None:
        """Repair the gateway, and report what is wrong with it."""
        if await self._guarded(("", "gateway"), self._state.ensure_gateway):
            self.look_at_everything()
        known, self.gateway_problems = self.gateway_problems, await self._kernel.run(self._state.gateway_problems)
        for why in self.gateway_problems:
            if not any(why.is_same(other) for other in known):
                log.error("%s", why.text)

    def _forget_problems(self, here: set[str]) -> None:
        """Forget problems of networks that are not, and should not be, on this host."""
        for key in [key for key in self.problems if key[0] and key[0] not in here and not self._here(key[0])]:
            del self.problems[key]

    async def _network(self, name: str, only: Set[str] | None = None) -> None:
        """Reconcile one network: its segment, its local endpoints (or `only` some), and its remote endpoints."""
        plan = self._plan(name)
        if plan is None:
            await self._guarded((name, ""), self._state.remove_network, name)
            return
        outcome = await self._guarded((name, ""), self._state.reconcile, plan, only)
        if outcome is None:
            return
        self.done = replace(self.done, repairs=self.done.repairs + outcome.repairs)
        known = {key: why for key, why in self.problems.items() if key[0] == name}
        for key in known:
            if only is None or key[1] in only:
                del self.problems[key]
        for identity, why in outcome.failed.items():
            if not why.is_same(known.get((name, identity))):  # else it would be reported every second
                log.error("%s", why.text)
            self.problems[name, identity] = why
        await self._tell_store(outcome.made, outcome.removed)

    async def _tell_store(self, made: list[Endpoint], removed: list[Endpoint]) -> None:
        """Write the new states of local endpoints to the store; a later pass repeats what fails."""
        if self._registry is None or not self._may_write():
            return  # a later pass writes it, when there is a store and we may
        for endpoint in made:
            await self._written(endpoint, self._registry.set_state(endpoint, "ready"))
        for endpoint in removed:
            await self._written(endpoint, self._registry.delete_endpoint(endpoint))

    async def _written(self, endpoint: Endpoint, writing: Coroutine[None, None, int | None]) -> None:
        key = (endpoint.network, endpoint.id)
        try:
            await writing
        except UnavailableError as error:
            why = f"the store does not have the new state of endpoint {endpoint.id} yet: {error}"
            self.problems[key] = problem_of(*key, error, why)
        except FastpathError as error:
            log.debug("the store refuses the new state of endpoint %s", endpoint.id, exc_info=error)
            self.problems[key] = problem_of(*key, error)

    async def _clear_up(self) -> None:
        """Remove what an earlier process left incomplete: once, as soon as the wanted objects are known."""
        if any(keys.may_concern(key, self._host) for key in self._mirror.unreadable):
            return  # what we found may belong to a wanted object that we cannot read
        # Strangers' too: if their interfaces are here, they are this host's soon (own_records.py).
        wanted = [*self._mirror.local_endpoints(self._host), *self._mirror.contents.strangers.values()]
        here = {endpoint.network for endpoint in wanted}
        networks = [network for name, network in self._mirror.networks.items() if name in here]
        found = await self._guarded(("", ""), self._state.remove_strays, wanted, networks)
        self._cleared = found is not None
        for sentence in found or ():
            log.warning("%s", sentence)

    async def _guarded(
        self, key: tuple[str, str], function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R | None:
        """Call a function in the kernel thread; an error becomes a problem, which the next pass clears or repeats."""
        try:
            result = await self._kernel.run(function, *args, **kwargs)
        except (FastpathError, OSError) as error:
            problem = problem_of(*key, error)
            if not problem.is_same(self.problems.get(key)):
                log.error("%s: %s", key[0] or key[1] or "clearing up", error)
                log.debug("%s: its cause", key[0] or key[1] or "clearing up", exc_info=error)
            self.problems[key] = problem
            return None
        except Exception as error:  # our bug: it would end this daemon, and the next one at the same point
            why = f"{key[0] or key[1] or 'clearing up'}: an internal error ({type(error).__name__}: {error})"
            problem = problem_of(*key, error, why)
            if not problem.is_same(self.problems.get(key)):
                log.exception("%s", why)
            self.problems[key] = problem
            return None
        self.problems.pop(key, None)
        return result
