# SPDX-License-Identifier: Apache-2.0
"""How the questions to the resolvers ended."""

import logging
import time
from collections import Counter
from collections.abc import Callable

log = logging.getLogger(__name__)

RESULTS = (
    "answered", "nodata", "nxdomain", "forwarded", "failed", "busy", "refused", "malformed", "unsent",
)  # fmt: skip
QUIET_S = 60.0  # after which a network that asks too much again is reported again


class Counts:
    """Count the questions of all networks by result; every result has a number from the start. `limited` has the
    questions and connections over a limit, by network."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.limited: dict[str, int] = {}
        self._clock = clock
        self._last: dict[str, float] = {}
        self._counter: Counter[str] = Counter()

    def add(self, result: str) -> None:
        """Count one question."""
        assert result in RESULTS  # noqa: S101  # a mistake in the caller
        self._counter[result] += 1

    def limit(self, network: str, asker: str) -> None:
        """Count a question or connection that was over a limit; the first one after a quiet minute is logged."""
        now = self._clock()
        self.limited[network] = self.limited.get(network, 0) + 1
        if now - self._last.get(network, -QUIET_S) >= QUIET_S:
            log.warning("network %s asks its resolver too much, most recently %s: the rest is dropped", network, asker)
        self._last[network] = now

    def keep(self, networks: set[str]) -> None:
        """Have a number for these networks, and for no others."""
        self.limited = {name: self.limited.get(name, 0) for name in networks}
        self._last = {name: at for name, at in self._last.items() if name in networks}

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by result."""
        return {result: self._counter[result] for result in RESULTS}
