# SPDX-License-Identifier: Apache-2.0
"""Follow the underlay: check it whenever links, addresses or routes of this host change, or a peer appears."""

import asyncio
import logging
from collections.abc import Callable

from fastpath.addresses import IPAddress
from fastpath.control.cluster.contents import Changes
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.peering import Peering
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.host.underlay import HostUnderlay
from fastpath.control.host.underlay_watch import QUIET_S, UnderlayWatch, resolve_vtep, underlay_mtu
from fastpath.control.model.problem import Problem, problem_of
from fastpath.control.runtime.failures import Failures
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)

SETTLED_S = 1.0


class UnderlayFollower:
    """`vtep` is the setting. `mtu_changed` is called when this host's own MTU changes, and `moved` when its VTEP has
    had another address for SETTLED_S."""

    def __init__(
        self,
        vtep: str | None,
        underlay: HostUnderlay,
        peering: Peering,
        *,
        reconciler: Reconciler,
        kernel: KernelThread,
        mtu_changed: Callable[[], object],
        moved: Callable[[], object],
    ) -> None:
        self.problems: list[Problem] = []
        self._vtep = vtep
        self._underlay = underlay
        self._peering = peering
        self._reconciler = reconciler
        self._kernel = kernel
        self._mtu_changed = mtu_changed
        self._moved = moved
        self._new: tuple[IPAddress, float] | None = None  # the VTEP's new address, and since when
        self._due = asyncio.Event()
        self._measured: frozenset[IPAddress] = frozenset()  # the VTEPs that the underlay's MTU is known for

    def changed(self, changes: Changes) -> None:
        """Check again, soon, if the mirror has a new peer: the path to it may have a smaller MTU than all others."""
        if changes.peers and not self._measured.issuperset(self._remotes()):
            self._due.set()

    async def run(self) -> None:
        """Check the underlay at every change, until cancelled."""
        if self._remotes():
            self._due.set()
        watch, failures = UnderlayWatch(self._due.set), Failures(log, "underlay")
        watch.start()
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                try:
                    await self._look()
                    failures.over("")
                except (FastpathError, OSError) as error:
                    failures.failed("", error, f"cannot look at the underlay: {error}")
                await asyncio.sleep(QUIET_S)  # many hosts may come at once
        finally:
            watch.close()

    async def _look(self) -> None:
        self._reconciler.links_changed()
        try:
            vtep, _ = await self._kernel.run(resolve_vtep, self._vtep)
            self.problems = []
            self._compare(vtep)
        except FastpathError as error:
            self.problems = [problem_of("host", "vtep", error)]
        remotes = self._remotes()
        mtu = await self._kernel.run(underlay_mtu, self._underlay.vtep, remotes)
        if mtu != self._underlay.mtu:
            self._mtu_changed()
        self._measured = frozenset(remotes)
        self._underlay.measured(mtu, self._peering.peers.values())  # peers may have written another MTU meanwhile

    def _compare(self, vtep: IPAddress) -> None:
        """See whether the VTEP's address is another one, and stays that."""
        if vtep == self._underlay.vtep:
            self._new = None
            return
        if vtep.version != self._underlay.vtep.version:  # its peers have no VTEP of that family
            why = f"this host's interface has no address of the family of its VTEP, {self._underlay.vtep}, any more"
            self.problems = [Problem("host", "vtep", "moved", why)]
            return
        now = asyncio.get_running_loop().time()
        if self._new is None or self._new[0] != vtep:
            self._new = vtep, now
        if now >= self._new[1] + SETTLED_S:
            log.warning("this host's VTEP address is %s now, and was %s: starting again", vtep, self._underlay.vtep)
            self._moved()
            return
        why = f"this host's VTEP address is {vtep} now, {self._underlay.vtep} is in use: the daemon starts again"
        self.problems = [Problem("host", "vtep", "moved", why)]
        asyncio.get_running_loop().call_later(SETTLED_S, self._due.set)

    def _remotes(self) -> tuple[IPAddress, ...]:
        return tuple(peer.vtep for peer in self._peering.peers.values())
