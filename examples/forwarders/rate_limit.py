# SPDX-License-Identifier: Apache-2.0
"""A token bucket for each source MAC address: a number of bytes per second, and a number at once.

fastpath forwarder set vx0 examples/forwarders/rate_limit.py rate=125000 burst=65536 '|' bridge
"""

import numpy as np

from fastpath import Burst, Forwarder, Table


class RateLimit(Forwarder):
    """`rate` is in bytes per second, `burst` the bytes that a bucket holds; a super-frame counts all its bytes. A frame
    passes while there is anything in the bucket, which it may overdraw, so large frames pass small buckets. Sources
    without room in the table (`capacity`) share one bucket."""

    tick_interval = 10.0

    def __init__(self, rate: float, burst: float = 65536.0, capacity: int = 65536) -> None:
        self.rate, self.depth = rate, burst
        self.buckets = Table(capacity)
        self.tokens = self.buckets.column(np.float64, burst)
        self.filled = self.buckets.column(np.float64)  # when
        self.too_fast = self.reason("too_fast")

    def forward(self, burst: Burst) -> None:
        rows = self.buckets.add(burst.src_mac)
        gained = (burst.now - self.filled[rows]) * self.rate
        self.tokens[rows] = np.minimum(self.tokens[rows] + gained, self.depth)
        self.filled[rows] = burst.now

        # What the frames of the same source take that come before this one in the burst.
        order = np.argsort(rows, kind="stable")
        length = burst.length[order].astype(np.float64)
        before = np.cumsum(length) - length
        before -= before[np.searchsorted(rows[order], rows[order])]

        passes = before < self.tokens[rows[order]]
        burst.out[order[~passes]] = self.too_fast
        np.subtract.at(self.tokens, rows[order[passes]], length[passes])

    def tick(self) -> None:
        """Forget those whose bucket is full again."""
        rows = self.buckets.rows
        idle = self.now - self.filled[rows]
        self.buckets.remove(rows[self.tokens[rows] + idle * self.rate >= self.depth])
