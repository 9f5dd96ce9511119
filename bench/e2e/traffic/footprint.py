# SPDX-License-Identifier: Apache-2.0
"""What an overlay costs without traffic: CPU time, wake-ups, memory."""

import json
import sys
import time
from pathlib import Path

from fastpath.bench.common.namespaces import Namespace
from fastpath.bench.e2e.names import DEVICE_ALONE
from fastpath.bench.e2e.sites.site import Site
from fastpath.bench.e2e.traffic.stations import resident_mib
from fastpath.bench.e2e.traffic.window import Figures

IDLE_FACTOR = 5  # an idle period is so many times as long as a measurement with traffic


def _spent(host: Namespace) -> tuple[float, int]:
    """Return CPU seconds (schedstat) and voluntary context switches of all threads of the host's processes."""
    seconds, switches = 0.0, 0
    for pid in host.pids():
        for task in Path(f"/proc/{pid}/task").iterdir():
            seconds += int((task / "schedstat").read_text().split()[0]) / 1e9
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    switches += int(line.split()[1])
    return seconds, switches


def idle(site: Site, seconds: float) -> Figures:
    """Measure one host's processes while nothing is sent, IDLE_FACTOR times as long as with traffic."""
    before, start = _spent(site.h1), time.monotonic()
    time.sleep(seconds * IDLE_FACTOR)
    after, took = _spent(site.h1), time.monotonic() - start
    return {
        "cpu_percent": (after[0] - before[0]) / took * 100,
        "wakeups_per_s": (after[1] - before[1]) / took,
        "seconds": took,
    }


def memory(site: Site, _: float) -> Figures:
    """Measure the resident memory of one host's processes with one network; of an engine alone, its growth, too."""
    figures: Figures = {"rss_mib": resident_mib(site.h1), "processes": len(site.h1.pids())}
    if site.overlay == DEVICE_ALONE:
        figures |= json.loads(site.h1.run(sys.executable, "-m", "fastpath.bench.e2e.traffic.growth").stdout)
    return figures
