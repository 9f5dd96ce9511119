# SPDX-License-Identifier: Apache-2.0
"""The guard of this host's VTEP: an nftables table that admits packets of the engine and of its peers only, and keeps
containers from the store. rules.py has the rules, the keeper puts them back when somebody removes them. They stay
when the daemon ends, as the interfaces do.

There are two tables of these rules, one right behind the other: while the keeper restores one, the other one stops what
that let pass."""

import asyncio
import contextlib
import dataclasses
import ipaddress
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Literal

from fastpath.addresses import IPAddress
from fastpath.control.host.guard.rules import Plan, copy_of, counts
from fastpath.control.kernel import nftables
from fastpath.control.kernel.keeper import Keeper
from fastpath.control.kernel.nft_query import has_table
from fastpath.control.model.problem import Problem
from fastpath.control.model.requests import GuardInfo, GuardRule
from fastpath.control.model.store_url import member_parts
from fastpath.errors import FastpathError

RESOLVE_S = 60.0  # between two looks at the addresses of the store's names


class Guard:
    """One VTEP's guard. `set_peers`, `set_members` and `set_store` never wait. What changes it may be called from any
    thread, and does nothing with a `refusal`, the reason why there cannot be a guard here. If the second table is
    `owned`, nobody else can change it, and `nft flush ruleset` leaves it; it goes when the keeper is closed. Where that
    cannot be, `problems` tells."""

    def __init__(
        self, keeper: Keeper, table: str, plan: Plan, refusal: str | None = None, *, owned: bool = False
    ) -> None:
        self.table = table
        self.tables = (table, copy_of(table))
        self._keeper = keeper
        self._plan = plan
        self._kept = False
        self._lock = threading.Lock()  # peers come from the event loop's thread, members from the kernel thread
        self._refusal = refusal
        self._owned = (False, owned)

    def stands(self) -> bool:
        """Return whether rules are there already: those of an earlier life, until `set_peers` replaces them."""
        try:
            return has_table(self.table)
        except OSError:
            return False

    def put_up(self, vteps: Iterable[IPAddress]) -> None:
        """Do as `set_peers` does, and wait until the rules are in place or refused."""
        with contextlib.suppress(FastpathError):  # which `problems` tells
            self.set_peers(vteps).result()

    def set_peers(self, vteps: Iterable[IPAddress]) -> Future[None]:
        """Admit packets of these VTEPs from now on. The first call puts the rules in place. The answer comes when the
        first table has them, or nft refused them."""
        with self._lock:
            return self._update(dataclasses.replace(self._plan, peers=frozenset(vteps)))

    def assume_members(self, members: frozenset[tuple[IPAddress, int]]) -> None:
        """Admit these as soon as the rules are put in place; at once if they are, as where none were there before."""
        with self._lock:
            plan = dataclasses.replace(self._plan, members=members)
            if self._kept:
                self._update(plan)
            else:
                self._plan = plan

    def set_members(self, members: frozenset[tuple[IPAddress, int]]) -> None:
        """Admit packets to the kernel path's port from these (VTEP, VNI)."""
        with self._lock:
            self._update(dataclasses.replace(self._plan, members=members))

    def set_store(self, endpoints: Iterable[tuple[IPAddress, int]]) -> None:
        """Keep containers from these endpoints."""
        with self._lock:
            self._update(dataclasses.replace(self._plan, store=frozenset(endpoints)))

    def _update(self, plan: Plan) -> Future[None]:
        before, self._plan = self._plan, plan
        if self._refusal is not None or (self._kept and plan == before):
            done: Future[None] = Future()
            done.set_result(None)
            return done
        answers = []
        for later, (table, owned) in enumerate(zip(self.tables, self._owned, strict=True)):
            change = plan.change(before, table) if self._kept else None
            answers.append(self._keeper.keep_soon(table, plan.body(later), change, owned=owned))
        self._kept = True
        return answers[0]

    @property
    def problems(self) -> list[Problem]:
        """Return why the rules are not in place, if they are not; else, why a flush of nftables removes them all."""
        if (why := self._missing()) is not None:
            return [Problem("host", "guard", "not-kept", f"the guard is not in place: {why}")]
        if (why := self._keeper.shared.get(self.tables[1])) is not None:
            text = f"a flush of nftables removes both tables of the guard for a moment: {why}"
            return [Problem("host", "guard", "not-owned", text)]
        return []

    def _missing(self) -> str | None:
        found = self._keeper.problems
        return self._refusal or next((found[table] for table in self.tables if table in found), None)

    @property
    def state(self) -> Literal["in place", "not in place"]:
        """Return whether the rules are in place."""
        return "not in place" if self._missing() is not None else "in place"

    @property
    def restored(self) -> int:
        """Return how often somebody else changed one of the tables, and it was restored."""
        return sum(self._keeper.restored.get(table, 0) for table in self.tables)

    def info(self) -> GuardInfo:
        """Return the state and the rules. It calls nft: not in the event loop."""
        state, problems = self.state, [problem.text for problem in self.problems]
        rules: tuple[GuardRule, ...] = ()
        try:
            rules = tuple(counts(nftables.objects(self.table)))
        except FastpathError as error:
            if state == "in place":
                state, problems = "not in place", [f"the guard's rules cannot be read: {error}"]
        return GuardInfo(
            state=state,
            problem=next(iter(problems), None),
            table=self.table,
            restored=self.restored,
            rules=rules,
        )


def fixed_endpoints(members: Iterable[str]) -> frozenset[tuple[IPAddress, int]]:
    """Return the members of an etcd cluster (HOST:PORT) that are addresses."""
    parts = map(member_parts, members)
    return frozenset((address, port) for host, port in parts if (address := _fixed(host)) is not None)


async def follow_store(guard: Guard, members: Iterable[str]) -> None:
    """Keep containers from the members of an etcd cluster (HOST:PORT), also when their names get other addresses."""
    parts = [member_parts(member) for member in members]
    known: dict[str, frozenset[IPAddress]] = {}
    while True:
        for host, _ in parts:
            # While the resolver is away, the last addresses hold.
            known[host] = await _addresses(host) or known.get(host, frozenset())
        guard.set_store((each, port) for host, port in parts for each in known[host])
        if all(_fixed(host) is not None for host, _ in parts):
            return
        await asyncio.sleep(RESOLVE_S)


def _fixed(host: str) -> IPAddress | None:
    """Return the address that a host is; None if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


async def _addresses(host: str) -> frozenset[IPAddress]:
    fixed = _fixed(host)
    if fixed is not None:
        return frozenset({fixed})
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found)
