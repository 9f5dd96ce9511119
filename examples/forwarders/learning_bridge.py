# SPDX-License-Identifier: Apache-2.0
"""A learning bridge: a frame goes where its destination was last heard; frames for unknown ones are flooded.

fastpath forwarder set vx0 examples/forwarders/learning_bridge.py ageing=60
"""

import numpy as np

from fastpath import FLOOD, Burst, Forwarder, Table

GROUP = 1 << 40  # set in addresses of many


class LearningBridge(Forwarder):
    """Remembers `capacity` addresses, each until it was silent for `ageing` seconds (at most 600, since numbers of
    remotes are valid that long)."""

    tick_interval = 10.0

    def __init__(self, capacity: int = 65536, ageing: float = 300.0) -> None:
        self.ageing = ageing
        self.hosts = Table(capacity)
        self.place = self.hosts.column(np.uint32, FLOOD)
        self.seen = self.hosts.column(np.float64)
        self.bad_source = self.reason("bad_source")
        self.same_port = self.reason("same_port")
        self.split_horizon = self.reason("split_horizon")

    def forward(self, burst: Burst) -> None:
        good = (burst.src_mac != 0) & (burst.src_mac & GROUP == 0)
        rows = self.hosts.add(burst.src_mac[good])
        self.place[rows] = burst.port[good]
        self.seen[rows] = burst.now
        self.count("table_full", np.count_nonzero(rows > self.hosts.capacity))

        burst.out = self.place[self.hosts.find(burst.dst_mac)]
        burst.out[burst.out == burst.port] = self.same_port
        burst.out[burst.from_remote & burst.to_remote] = self.split_horizon
        burst.out[~good] = self.bad_source

    def tick(self) -> None:
        rows = self.hosts.rows
        self.hosts.remove(rows[self.seen[rows] < self.now - self.ageing])
