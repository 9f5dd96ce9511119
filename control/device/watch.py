# SPDX-License-Identifier: Apache-2.0
"""What happens to a device's interface and its namespaces without a word to its process."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from fastpath.control.device.vxlan import VxlanDevice

LOOK_S = 0.5
# Where namespaces are given names: ip-netns(8), and Docker's.
NAMES = (Path("/run/netns"), Path("/run/docker/netns"))


class DeviceWatch:
    """Let `run` run. It calls `end` with the reason when nobody can reach the device any more."""

    def __init__(self, device: VxlanDevice, end: Callable[[str], object]) -> None:
        self._device = device
        self._end = end
        self._name = _name_of_this()

    async def run(self) -> None:
        """Look twice a second, until cancelled."""
        while True:
            self._device.look()
            if self._name is not None and not _is_this(self._name):
                self._end(f"the network namespace {self._name.name} was deleted")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._comes_up()

    async def _comes_up(self) -> None:
        """Return when the interface, which is down, comes up: nothing is to be missed then. That it goes down wakes
        nobody (tun_net_open and tun_net_close in drivers/net/tun.c)."""
        woken = asyncio.Event()
        with self._writer(woken.set) if not self._device.up else contextlib.nullcontext():
            await woken.wait()

    @contextlib.contextmanager
    def _writer(self, call: Callable[[], object]) -> Iterator[None]:
        loop, fd = asyncio.get_running_loop(), self._device.port.fileno()
        loop.add_writer(fd, call)
        try:
            yield
        finally:
            loop.remove_writer(fd)


def _name_of_this() -> Path | None:
    """Return the name of this process's network namespace, if it has one: whoever deletes it means all that is within,
    as the kernel deletes its own devices."""
    for folder in NAMES:
        with contextlib.suppress(OSError):
            for name in folder.iterdir():
                if _is_this(name):
                    return name
    return None


def _is_this(name: Path) -> bool:
    try:
        return os.path.samestat(name.stat(), os.stat("/proc/self/ns/net"))
    except OSError:
        return False
