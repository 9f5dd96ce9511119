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


class UnderlayFollower:
    """`vtep` is the setting. `mtu_changed` is called when this host's own MTU changes."""

    def __init__(
        self,
        vtep: str | None,
        underlay: HostUnderlay,
        peering: Peering,
        *,
        reconciler: Reconciler,
        kernel: KernelThread,
        mtu_changed: Callable[[], object],
    ) -> None:
        self.problems: list[Problem] = []
        self._vtep = vtep
        self._underlay = underlay
        self._peering = peering
        self._reconciler = reconciler
        self._kernel = kernel
        self._mtu_changed = mtu_changed
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
            moved = f"this host's VTEP address is {vtep} now, {self._underlay.vtep} is in use: restart the daemon"
            self.problems = [Problem("host", "vtep", "moved", moved)] if vtep != self._underlay.vtep else []
        except FastpathError as error:
            self.problems = [problem_of("host", "vtep", error)]
        remotes = self._remotes()
        mtu = await self._kernel.run(underlay_mtu, self._underlay.vtep, remotes)
        if mtu != self._underlay.mtu:
            self._mtu_changed()
        self._measured = frozenset(remotes)
        self._underlay.measured(mtu, self._peering.peers.values())  # peers may have written another MTU meanwhile

    def _remotes(self) -> tuple[IPAddress, ...]:
        return tuple(peer.vtep for peer in self._peering.peers.values())
