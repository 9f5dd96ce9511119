# SPDX-License-Identifier: Apache-2.0
"""How long traffic is interrupted when a daemon is killed and started again at once."""

import contextlib
import itertools
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence

from fastpath.bench.common.namespaces import wait_for
from fastpath.bench.scale.bed import Bed
from fastpath.bench.scale.joining import Figures, joined
from fastpath.control.model.requests import EndpointCreate, NetworkCreate
from fastpath.errors import RefusedError

NETWORK, SUBNET = "traffic", "10.200.0.0/24"
ADDRESSES = ("10.200.0.11", "10.200.0.12")  # c1's, behind the daemon that is killed, and c2's
PING_S = 0.005
BEFORE_S, AFTER_S = 2, 8
INTERVAL_S = 0.1  # iperf3's shortest


def prepare(found: Bed) -> None:
    """Start both daemons, and join c1 and c2 to a network of their own."""
    joined(found)
    found.h2.launch()
    found.h2.ready()
    found.h1.client.create_network(NetworkCreate.model_validate({"name": NETWORK, "subnets": [SUBNET]}))
    for daemon, container, address in zip((found.h1, found.h2), (found.c1, found.c2), ADDRESSES, strict=True):
        wait_for(lambda d=daemon: NETWORK in {each.network.name for each in d.client.networks()}, "both know it")  # type: ignore[misc]
        wanted = {"network": NETWORK, "sandbox": container.name, "addresses": [address]}
        daemon.client.create_endpoint(EndpointCreate.model_validate(wanted))
    wait_for(lambda: found.c2.run("ping", "-c1", "-W1", ADDRESSES[0], check=False).returncode == 0, "they talk")


def killed(found: Bed, *, load: bool) -> Figures:
    """Kill and start once; with `load`, while a TCP stream runs from c1 to c2 as fast as it can."""
    with _ping(found) as pinging, _stream(found) if load else contextlib.nullcontext() as stream:
        time.sleep(BEFORE_S)
        found.h1.kill()
        started = found.h1.launch()
        ready = found.h1.ready() - started
        time.sleep(max(0.0, started + AFTER_S - time.monotonic()))
        pinging.send_signal(signal.SIGINT)
        said, errors = pinging.communicate(timeout=30)
        gap, lost = read_ping(said)
        if gap is None:
            raise RefusedError(f"ping said: {said[-500:]}{errors}")
        figures = {"ping_gap_ms": gap * 1000, "pings_lost": float(lost), "ready_s": ready}
        if stream is not None:
            out, _ = stream.communicate(timeout=60)
            figures["tcp_gap_ms"] = longest_pause(json.loads(out)["intervals"]) * 1000
        return figures


@contextlib.contextmanager
def _ping(found: Bed) -> Iterator[subprocess.Popen[str]]:
    process = found.c2.spawn("ping", "-D", "-n", "-i", str(PING_S), ADDRESSES[0])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _stream(found: Bed) -> Iterator[subprocess.Popen[str]]:
    """Run the receiving end, whose intervals count what arrived."""
    server = found.c1.spawn("iperf3", "-s", "-1")
    try:
        wait_for(lambda: "5201" in found.c1.run("ss", "-Hltn").stdout, "iperf3 listens")
        seconds = str(BEFORE_S + AFTER_S)
        client = found.c2.spawn("iperf3", "-c", ADDRESSES[0], "-R", "-J", "-i", str(INTERVAL_S), "-t", seconds)
        try:
            yield client
        finally:
            client.kill()
            client.wait()
    finally:
        server.kill()
        server.wait()


def read_ping(said: str) -> tuple[float | None, int]:
    """Return the longest time between two answers in seconds, and the number of lost ones, from `ping -D`'s output."""
    times = [float(found[1]) for found in re.finditer(r"^\[(\d+\.\d+)\] \d+ bytes from", said, re.MULTILINE)]
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    if len(times) < 2 or counts is None:
        return None, 0
    longest = max(after - before for before, after in itertools.pairwise(times))
    return longest, int(counts[1]) - int(counts[2])


def longest_pause(intervals: Sequence[dict[str, dict[str, float]]]) -> float:
    """Return for how many seconds nothing arrived: the longest run of iperf3's intervals without a byte."""
    longest = running = 0.0
    for interval in intervals:
        running = running + interval["sum"]["seconds"] if interval["sum"]["bytes"] == 0 else 0.0
        longest = max(longest, running)
    return longest
