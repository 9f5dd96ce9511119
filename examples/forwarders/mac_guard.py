# SPDX-License-Identifier: Apache-2.0
"""Guards a bridge: an address that moves too often is held in its place, and nobody may flood too much.

fastpath forwarder set vx0 examples/forwarders/mac_guard.py moves=5 storm=1000 '|' bridge
"""

import numpy as np

from fastpath import Burst, Forwarder, Table

GROUP = 1 << 40  # set in addresses of many


class MacGuard(Forwarder):
    """An address that moved more than `moves` times in `window` seconds is held in its place for `hold` seconds:
    frames with it from elsewhere are dropped (`flapping`). Each port and remote may send `storm` frames per second to
    group addresses; more are dropped (`storm`). All other frames pass. A burst counts as at most one move of an
    address; addresses without room in the table (`capacity`) may move freely."""

    tick_interval = 10.0

    def __init__(
        self, moves: int = 5, window: float = 10.0, hold: float = 60.0, storm: int = 1000, capacity: int = 65536
    ) -> None:
        self.limit, self.window, self.hold, self.storm_limit = moves, window, hold, storm
        self.hosts = Table(capacity)
        self.place = self.hosts.column(np.uint32)
        self.moves = self.hosts.column(np.uint32)  # in the window
        self.since = self.hosts.column(np.float64)  # when the window began
        self.until = self.hosts.column(np.float64)  # when it may move again
        self.flapping, self.storm = self.reason("flapping"), self.reason("storm")
        self.second, self.flooded = 0, dict[int, int]()  # source -> frames in this second

    def forward(self, burst: Burst) -> None:
        rows = self.hosts.add(burst.src_mac)
        stale = rows[self.since[rows] < burst.now - self.window]
        self.since[stale], self.moves[stale] = burst.now, 0
        elsewhere = (self.place[rows] != burst.port) & (self.place[rows] != 0) & (rows < self.hosts.capacity)
        self.moves[np.unique(rows[elsewhere])] += 1
        caught = rows[elsewhere & (self.moves[rows] > self.limit) & (self.until[rows] <= burst.now)]
        self.until[caught] = burst.now + self.hold
        held = self.until[rows] > burst.now
        self.place[rows[~held]] = burst.port[~held]
        burst.out[held & elsewhere] = self.flapping
        self.limit_storms(burst)

    def limit_storms(self, burst: Burst) -> None:
        """Drop what a source floods beyond its share of this second."""
        if self.second != int(burst.now):
            self.second, self.flooded = int(burst.now), {}
        to_many = burst.dst_mac & GROUP != 0
        for source in np.unique(burst.port[to_many]).tolist():
            frames = np.flatnonzero(to_many & (burst.port == source))
            total = np.cumsum(burst.segments[frames]) + self.flooded.get(source, 0)
            burst.out[frames[total > self.storm_limit]] = self.storm
            self.flooded[source] = int(total[-1])

    def tick(self) -> None:
        rows = self.hosts.rows
        self.hosts.remove(rows[np.maximum(self.since[rows] + self.window, self.until[rows]) < self.now])
