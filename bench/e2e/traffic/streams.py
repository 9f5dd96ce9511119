# SPDX-License-Identifier: Apache-2.0
"""TCP streams by iperf3."""

import contextlib
import json
import math
import subprocess
import time
from collections.abc import Iterator

from fastpath.bench.common.namespaces import Namespace, wait_for
from fastpath.bench.e2e.sites.site import Site
from fastpath.bench.e2e.traffic.window import (
    ADDRESS,
    RECEIVER_CPU,
    SENDER_CPU,
    Figures,
    Window,
    cpu_within,
    last_line,
    per,
)
from fastpath.errors import RefusedError

PORT = 5201
WARM_UP_S = 1  # none before a window of less than that


def _listens(where: Namespace) -> bool:
    return bool(where.run("ss", "-Hltn", f"sport = :{PORT}").stdout.strip())


@contextlib.contextmanager
def iperf(
    site: Site,
    *,
    streams: int,
    seconds: int,
    warm_up: int = WARM_UP_S,
    congestion: str | None = None,
    buffer: str | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Run an iperf3 client in c1 with its server in c2: `warm_up` seconds, which iperf3 leaves out, then `seconds`.

    `congestion` is set for each connection at both ends; None leaves the namespace's own. `buffer` is the size of the
    sockets' buffers, as `iperf3 -w` takes it; None: they grow.
    """
    server = site.c2.spawn("iperf3", "-s", "-1", "-p", str(PORT))
    wait_for(lambda: _listens(site.c2), "iperf3 listens")
    command = f"iperf3 -J -i 0 -c {ADDRESS} -p {PORT} -P {streams} -O {warm_up} -t {seconds}"
    more = [f"-A{SENDER_CPU},{RECEIVER_CPU}"]
    more += ["-C", congestion] if congestion is not None else []
    more += ["-w", buffer] if buffer is not None else []
    client = site.c1.spawn(*command.split(), *more)
    try:
        yield client
    finally:
        for process in (client, server):
            process.kill()
            process.communicate()


def streams(
    site: Site, seconds: float, *, count: int = 1, congestion: str | None = None, buffer: str | None = None
) -> Figures:
    """Send TCP streams from c1 to c2. The window is rounded up to whole seconds, as iperf3 needs it."""
    whole, warm_up = math.ceil(seconds), WARM_UP_S if seconds >= WARM_UP_S else 0
    with iperf(site, streams=count, seconds=whole, warm_up=warm_up, congestion=congestion, buffer=buffer) as client:
        begin = time.monotonic_ns() + 20_000_000  # until it is connected
        start = begin + warm_up * 10**9
        cpu = cpu_within(Window(begin, start, start + whole * 10**9))
        end = read_end(client.communicate(timeout=30)[0], congestion)
    received, sent = end["sum_received"], end["sum_sent"]
    bits = received["bits_per_second"]
    return {
        "gbit_per_s": bits / 1e9,
        "offered_gbit_per_s": sent["bits_per_second"] / 1e9,
        "cpu_s_per_gb": per(cpu.busy / whole, bits / 8e9),
        "cpu_cores": cpu.busy / whole,
        "retransmits": sent.get("retransmits", 0),
        "stolen_s": cpu.stolen,
    }


def read_end(output: str, congestion: str | None) -> dict[str, dict[str, float]]:
    """Return what iperf3 reports at its end. Raise RefusedError for an error, or another congestion control."""
    try:
        report = json.loads(output)
    except ValueError:
        raise RefusedError(f"iperf3 said: {last_line(output)}") from None
    if "error" in report:
        raise RefusedError(f"iperf3: {report['error']}")
    end: dict[str, dict[str, float]] = report["end"]
    if congestion is not None and (used := report["end"].get("sender_tcp_congestion")) != congestion:
        raise RefusedError(f"iperf3 used {used} instead of {congestion}")
    return end
