# SPDX-License-Identifier: Apache-2.0
"""Who may ask how much. Each check costs about a microsecond, and comes before anything is parsed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from fastpath.control.dns.counts import Counts

QUESTIONS = 2000.0  # a second, of all networks: about half of the event loop's time
PER_NETWORK = 1000.0
PER_ASKER = 250.0
BURST_S = 2.0  # a bucket holds what comes in so many seconds, and who is silent for so long is forgotten
ASKERS = 4096  # of one network; sources are easy to invent


@dataclass
class _Bucket:
    tokens: float
    filled: float


class Shares:
    """Divides `rate`, in questions a second, among those who asked lately; nobody gets more than `most`."""

    def __init__(self, rate: float, most: float, limit: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._most = most
        self._limit = limit
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._swept = clock()

    def take(self, who: str) -> bool:
        """Count one question, and return whether it is within the share."""
        now = self._clock()
        if now - self._swept >= BURST_S:
            self._sweep(now)
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= self._limit:
                return False
            bucket = self._buckets[who] = _Bucket(self._most * BURST_S, now)
        share = min(self._most, self._rate / len(self._buckets))
        bucket.tokens = min(share * BURST_S, bucket.tokens + (now - bucket.filled) * share)
        bucket.filled = now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def _sweep(self, now: float) -> None:
        self._buckets = {who: bucket for who, bucket in self._buckets.items() if now - bucket.filled < BURST_S}
        self._swept = now


class Admission:
    """The shares of the networks in what the daemon can do, and of the askers in what their network may do. An asker
    who invents sources takes from its own network only."""

    def __init__(self, counts: Counts, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts = counts
        self._clock = clock
        self._networks = Shares(QUESTIONS, PER_NETWORK, 1 << 16, clock)
        self._askers: dict[str, Shares] = {}

    def take(self, network: str, asker: str) -> bool:
        """Count one question, and return whether it may be looked at."""
        askers = self._askers.get(network)
        if askers is None:
            askers = self._askers[network] = Shares(PER_NETWORK, PER_ASKER, ASKERS, self._clock)
        if askers.take(asker) and self._networks.take(network):
            return True
        self.counts.limit(network, asker)
        return False

    def forget(self, network: str) -> None:
        """Forget the askers of a network that is served no more."""
        self._askers.pop(network, None)


class Waiting:
    """How many things of each asker and network are under way. There is always room left for the next asker and the
    next network: alone, they get half of what there is."""

    def __init__(self, total: int, per_network: int) -> None:
        self._total = total
        self._per_network = per_network
        self._networks: dict[str, dict[str, int]] = {}
        self._sums: dict[str, int] = {}
        self.sum = 0

    def enter(self, network: str, asker: str) -> bool:
        """Count one more, unless that is too many; return whether it is counted."""
        askers = self._networks.get(network, {})
        of_network = min(self._per_network, self._total // (len(self._networks.keys() | {network}) + 1))
        of_asker = max(1, self._per_network // (len(askers.keys() | {asker}) + 1))
        mine = askers.get(asker, 0)
        if mine >= of_asker or self._sums.get(network, 0) >= of_network or self.sum >= self._total:
            return False
        self._networks.setdefault(network, askers)[asker] = mine + 1
        self._sums[network] = self._sums.get(network, 0) + 1
        self.sum += 1
        return True

    def leave(self, network: str, asker: str) -> None:
        """Undo one `enter`."""
        askers = self._networks[network]
        askers[asker] -= 1
        self._sums[network] -= 1
        self.sum -= 1
        if not askers[asker]:
            del askers[asker]
        if not askers:
            del self._networks[network], self._sums[network]
