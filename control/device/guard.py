# SPDX-License-Identifier: Apache-2.0
"""The guard of a device: the rules of control/host/guard/rules.py for its remotes, as long as the device lives."""

from typing import Self

from fastpath.addresses import IPAddress
from fastpath.control.device.config import VxlanConfig
from fastpath.control.host.guard.guard import Guard
from fastpath.control.host.guard.rules import Plan, table_of
from fastpath.control.kernel.keeper import Keeper
from fastpath.control.model.requests import GuardInfo
from fastpath.errors import RefusedError


class DeviceGuard:
    """A guard with a keeper of its own. Raise RefusedError if it cannot be put in place."""

    def __init__(self, config: VxlanConfig) -> None:
        if config.local is None:
            raise RefusedError("--guard protects one address: give it, e.g. local 192.0.2.1")
        self._keeper = Keeper()
        plan = Plan(config.local, config.dstport)
        self._guard = Guard(self._keeper, table_of(config.local, config.dstport), plan, owned=True)
        try:
            self._guard.set_peers(config.remote).result()
        except BaseException:
            self._keeper.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def set_remotes(self, remotes: set[IPAddress]) -> None:
        """Admit packets of these VTEPs from now on."""
        self._guard.set_peers(remotes)

    def info(self) -> GuardInfo:
        """Return the state and the rules. It calls nft."""
        return self._guard.info()

    def close(self) -> None:
        """Remove the rules."""
        try:
            # Each of them, though nft refuses another.
            for done in [self._keeper.release_soon(table) for table in self._guard.tables]:
                done.result()
        finally:
            self._keeper.close()
