# SPDX-License-Identifier: Apache-2.0
"""The memory of an engine of ours as it grows, in a process of its own: python -m fastpath.bench.e2e.traffic.growth

Prints one JSON object: resident MiB with 1 network, with 1,000, with 10,000 addresses in them, and with a million.
"""

import json
import os

from fastpath import Engine, Segment
from fastpath.bench.common.process import memory_kib

NETWORKS, ENDPOINTS, ENTRIES = 1000, 10_000, 1_000_000
FIRST_MAC = 0x02FB_0000_0000
UDP_PORT = 4790  # a device of ours may run in the same namespace


def grow() -> dict[str, float]:
    """Return the figures. A network is a segment; an endpoint is an address in its FDB."""
    found: dict[str, int] = {}
    with Engine("192.0.2.1", udp_port=UDP_PORT) as engine:
        segments = _add_segments(engine, 1)
        found["rss_1_network"] = memory_kib(os.getpid())
        segments += _add_segments(engine, NETWORKS - 1, first=2)
        found["rss_1k_networks"] = memory_kib(os.getpid())
        _fill(segments, ENDPOINTS)
        found["rss_10k_endpoints"] = memory_kib(os.getpid())
    with Engine("192.0.2.1", udp_port=UDP_PORT, fdb_entries=ENTRIES) as engine:
        segments = _add_segments(engine, 1)
        before = memory_kib(os.getpid())
        _fill(segments, ENTRIES)
        found["rss_1m_entries"] = memory_kib(os.getpid())
    return {
        **{f"{name}_mib": kib / 1024 for name, kib in found.items()},
        "kib_per_network": (found["rss_1k_networks"] - found["rss_1_network"]) / (NETWORKS - 1),
        "bytes_per_entry": (found["rss_1m_entries"] - before) * 1024 / ENTRIES,
    }


def _add_segments(engine: Engine, count: int, first: int = 1) -> list[Segment]:
    segments = [engine.add_segment(vni) for vni in range(first, first + count)]
    for segment in segments:
        segment.add_remote("192.0.2.2")
    return segments


def _fill(segments: list[Segment], entries: int) -> None:
    """Add `entries` addresses, the same number to each segment."""
    remotes = [segment.remotes[0] for segment in segments]
    for number in range(entries):
        at = number % len(segments)
        segments[at].fdb.set(FIRST_MAC + number, remotes[at])


if __name__ == "__main__":
    print(json.dumps(grow()))
