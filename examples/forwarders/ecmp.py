# SPDX-License-Identifier: Apache-2.0
"""Several VTEPs behind one gateway MAC address: each flow takes one. If one fails, only its own flows move.

fastpath forwarder set vx0 examples/forwarders/ecmp.py gateway=02:00:00:00:00:01 vteps=192.0.2.2,192.0.2.3 '|' bridge
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from fastpath import Burst, Forwarder, UsageError
from fastpath.addresses import parse_mac

NEVER = np.inf


class Ecmp(Forwarder):
    """Leaves out a VTEP that got frames for `silence` seconds and sent none. It is tried again after `retry` seconds,
    or as soon as it sends something. Frames for others than the gateway are left to the next forwarder."""

    def __init__(self, gateway: str, vteps: list[str], silence: float = 10.0, retry: float = 60.0) -> None:
        if not vteps:
            raise UsageError("vteps is empty: name the gateway's VTEPs")
        self.gateway, self.vteps = parse_mac(gateway), vteps
        self.silence, self.retry = silence, retry
        self.salt = np.array([zlib.crc32(vtep.encode()) for vtep in vteps], np.uint64)
        self.waiting = np.full(len(vteps), NEVER)  # since when each VTEP owes us a frame
        self.sent, self.out_until = np.full(len(vteps), -NEVER), np.full(len(vteps), -NEVER)

    def start(self) -> None:
        self.numbers = np.array([self.remote(vtep) for vtep in self.vteps], np.uint32)

    def forward(self, burst: Burst) -> None:
        heard = np.isin(self.numbers, burst.port)
        long_ago = burst.now - self.silence
        self.waiting[heard | (self.sent < long_ago)] = NEVER  # nor owes us one who was not sent to lately
        self.out_until[self.waiting < long_ago] = burst.now + self.retry
        self.out_until[heard] = -NEVER
        alive = self.out_until <= burst.now
        if not alive.any():
            alive[:] = True  # it may be that nobody has anything to say

        mine = np.flatnonzero((burst.dst_mac == self.gateway) & burst.from_port)
        weight = weights(burst.flow_hash[mine], self.salt)
        chosen = np.argmax(weight * alive, axis=1)
        burst.out[mine] = self.numbers[chosen]
        self.waiting[chosen] = np.minimum(self.waiting[chosen], burst.now)
        self.sent[chosen] = burst.now
        self.count("detoured", np.count_nonzero(chosen != np.argmax(weight, axis=1)))


def weights(flow_hash: NDArray[np.uint32], salt: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a number for each flow and VTEP; the highest one takes the flow (rendezvous hashing, Thaler 1996)."""
    mixed = (flow_hash[:, None].astype(np.uint64) << np.uint64(32)) | salt
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed | np.uint64(1)
