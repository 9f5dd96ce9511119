# SPDX-License-Identifier: Apache-2.0
"""The learning bridge as a function that numba compiles; all workers call it, without the interpreter.

fastpath forwarder set vx0 examples/forwarders/learning_bridge_numba.py
"""

from typing import Any

import numpy as np
from numba import njit

from fastpath import FLOOD, PASS
from fastpath.forwarder.compiled import compiled

ROWS, PROBES = 1 << 16, 8
REMOTE = 2  # the kind of a remote's number


@njit  # type: ignore[untyped-decorator]
def row_of(key: Any, mac: Any) -> Any:
    """Return the row that has the address, or else one near its place where it may be put."""
    home = (mac * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(48)
    for probe in range(PROBES):
        row = (home + np.uint64(probe)) % np.uint64(ROWS)
        if key[row] == mac or key[row] == 0:
            return row
    return home


@compiled(
    key=np.zeros(ROWS, np.uint64),
    place=np.zeros(ROWS, np.uint32),
    reasons=("bad_source", "same_port", "split_horizon"),
)
def learning_bridge(burst: Any, key: Any, place: Any, bad_source: Any, same_port: Any, split_horizon: Any) -> None:  # noqa: PLR0917
    """Without ageing: an address that finds no row puts another one out."""
    for frame in burst:
        if frame.src_mac == 0 or frame.src_mac >> 40 & 1:
            frame.out = bad_source
        else:
            row = row_of(key, frame.src_mac)
            key[row], place[row] = frame.src_mac, frame.port
    for frame in burst:
        if frame.out != PASS:
            continue
        row = row_of(key, frame.dst_mac)
        if key[row] != frame.dst_mac:
            frame.out = FLOOD
        elif place[row] == frame.port:
            frame.out = same_port
        elif place[row] >> 28 == REMOTE and frame.port >> 28 == REMOTE:
            frame.out = split_horizon
        else:
            frame.out = place[row]
