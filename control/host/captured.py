# SPDX-License-Identifier: Apache-2.0
"""The networks of which somebody captures frames on this host: meanwhile the engine carries all of them, and other
hosts hear that it has to."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.reconciler import Reconciler

PATIENCE_S = 2.0  # until a capture begins although the store does not know of it
LOOK_S = 0.02


class CapturedNetworks:
    """`in` is for any thread, the rest for the event loop's."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __contains__(self, name: object) -> bool:
        return self._counts[str(name)] > 0

    @contextlib.asynccontextmanager
    async def seen(self, name: str, host: str, mirror: Mirror, reconciler: Reconciler) -> AsyncIterator[str]:
        """Within, the engine sees the frames of a network. Yield what may be missing nevertheless; "" if nothing."""
        network = mirror.networks.get(name)
        if network is None or network.kernel_path == "off":
            yield ""
            return
        self._counts[name] += 1
        reconciler.network_changed(name)
        try:
            when = "at first" if await _told(name, host, mirror) else "until other hosts hear of it by the store"
            yield f"the kernel path of {name} is left: {when}, frames that other hosts send may be missing"
        finally:
            self._counts[name] -= 1
            reconciler.network_changed(name)


async def _told(name: str, host: str, mirror: Mirror) -> bool:
    """Wait until the store says that frames to this host's endpoints go by the engine; return whether it does."""

    def carried() -> bool:
        return any(each.kernel_path and each.host == host for each in mirror.endpoints.get(name, {}).values())

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while carried():
                await asyncio.sleep(LOOK_S)
    return not carried()
