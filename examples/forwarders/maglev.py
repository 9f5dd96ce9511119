# SPDX-License-Identifier: Apache-2.0
"""A load balancer: one address and port for many backends, by Maglev hashing (Eisenbud et al., NSDI 2016).

fastpath forwarder set blue examples/forwarders/maglev.py address=10.0.0.100 port=80 \
    backends=10.0.0.5=02:00:00:00:00:05,10.0.0.6=02:00:00:00:00:06 '|' bridge
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from fastpath import Burst, Forwarder, Table, UsageError
from fastpath.addresses import parse_ip4, parse_mac


class Maglev(Forwarder):
    """`backends` are IP=MAC. Frames to `address` and `port` (TCP and UDP) go to a backend, and its answers come from
    `address`. A flow keeps its backend until it was silent for `idle` seconds."""

    rewrites, tick_interval = True, 10.0

    def __init__(self, address: str, port: int, backends: list[str], size: int = 65537, idle: float = 300.0) -> None:
        self.address, self.service, self.idle = parse_ip4(address), port, idle
        pairs = [backend.partition("=") for backend in sorted(backends)]
        self.ips = np.array([parse_ip4(ip) for ip, _, _ in pairs], np.uint32)
        self.macs = np.array([parse_mac(mac) for _, _, mac in pairs], np.uint64)
        self.table = maglev_table([ip for ip, _, _ in pairs], size)
        self.flows = Table(65536)
        self.backend, self.seen = self.flows.column(np.int64, -1), self.flows.column(np.float64)
        self.no_room = self.reason("no_room")

    def forward(self, burst: Burst) -> None:
        there = np.flatnonzero((burst.dst_ip == self.address) & (burst.dst_port == self.service))
        rows = self.flows.add(flow_key(burst.src_ip, burst.src_port, burst.protocol)[there])
        by_hash = self.table[burst.flow_hash[there] % len(self.table)]
        chosen = np.where(self.backend[rows] < 0, by_hash, self.backend[rows])
        self.backend[rows], self.seen[rows] = chosen, burst.now
        burst.set_dst_mac(there, self.macs[chosen])
        burst.set_dst_ip(there, self.ips[chosen])
        burst.out[there[rows > self.flows.capacity]] = self.no_room

        # The source MAC address stays the backend's: the bridge behind us learns where that is.
        back = np.flatnonzero((burst.src_port == self.service) & np.isin(burst.src_ip, self.ips))
        backend = self.backend[self.flows.find(flow_key(burst.dst_ip, burst.dst_port, burst.protocol)[back])]
        ours = (backend >= 0) & (self.ips[backend] == burst.src_ip[back])
        burst.set_src_ip(back[ours], self.address)

    def tick(self) -> None:
        rows = self.flows.rows
        self.flows.remove(rows[self.seen[rows] < self.now - self.idle])


def flow_key(ip: NDArray[np.uint32], port: NDArray[np.uint16], protocol: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return a number for the client's side of each flow."""
    return ip.astype(np.uint64) << np.uint64(32) | port.astype(np.uint64) << np.uint64(16) | protocol


def maglev_table(names: list[str], size: int) -> NDArray[np.int64]:
    """Return the owner of each of `size` places, a prime: in turn, each takes its next choice (section 3.4)."""
    if size < max(len(names), 2) or any(size % n == 0 for n in range(2, int(size**0.5) + 1)) or not names:
        raise UsageError(f"{len(names)} backends in a table of {size}: it must be a prime above their number")
    hashes = [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest()) for name in names]
    at, skips = [h % size for h in hashes], [(h >> 64) % (size - 1) + 1 for h in hashes]
    table = [-1] * size
    for turn in range(size):
        who = turn % len(names)
        while table[at[who]] >= 0:
            at[who] = (at[who] + skips[who]) % size
        table[at[who]] = who
    return np.array(table)
