# SPDX-License-Identifier: Apache-2.0
"""A TCP stream while daemons are killed and started again."""

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from fastpath.bench.e2e.sites.site import DEVICE, Site
from fastpath.bench.e2e.traffic.streams import WARM_UP_S, iperf
from fastpath.bench.e2e.traffic.window import Figures, last_line
from fastpath.errors import RefusedError

RESTARTS = 20
PAUSE_S = 0.5  # after each
START_S = 1.0  # about what a start takes: others are watched for as long
LONGEST_S = 1200  # that all of it may take
ESTIMATE_S = RESTARTS * (PAUSE_S + START_S)


@contextlib.contextmanager
def _watcher(site: Site) -> Iterator[subprocess.Popen[str]]:
    """Look at what c2 receives."""
    process = site.c2.spawn(sys.executable, "-m", "fastpath.bench.e2e.traffic.pauses", DEVICE, stdin=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RefusedError(f"the watcher did not start: {last_line(process.communicate()[1])}")
        yield process
    finally:
        process.kill()
        process.communicate()


def stream(site: Site, _: float, *, restarts: int = RESTARTS, congestion: str | None = None) -> Figures:
    """Send one TCP stream from c1 to c2, and meanwhile kill daemons (SIGKILL) and start them again, the sender's and
    the receiver's in turn. An overlay without daemons is watched for about as long. Raise RefusedError if the stream
    ends."""
    ready: list[float] = []
    with iperf(site, streams=1, seconds=LONGEST_S, congestion=congestion) as client:
        time.sleep(WARM_UP_S)
        with _watcher(site) as watcher:
            for number in range(restarts):
                if site.daemons:
                    daemon = site.daemons[number % len(site.daemons)]
                    daemon.kill()
                    started = daemon.launch()
                    ready.append(daemon.ready() - started)
                time.sleep(PAUSE_S if site.daemons else PAUSE_S + START_S)
            if client.poll() is not None:
                raise RefusedError("the stream ended")
            figures: Figures = json.loads(watcher.communicate("\n")[0])
    more = {"restarts": len(ready), "ready_s": statistics.median(ready)} if ready else {}
    return {**figures, **more}
