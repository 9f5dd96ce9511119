# SPDX-License-Identifier: Apache-2.0
"""Datagrams and requests, alone and beside other traffic."""

import math
import time

from fastpath.bench.e2e.sites.site import Site
from fastpath.bench.e2e.traffic.streams import iperf
from fastpath.bench.e2e.traffic.window import RECEIVER_CPU, SENDER_CPU, Figures, flow, load, per, together
from fastpath.errors import RefusedError

LOSS, NDR_STEPS, DRAIN_S = 0.001, 8, 0.1
FLOOD_PORT = 5002  # requests have the load's own


def datagrams(site: Site, seconds: float, *, flows: int = 1, size: int = 64, rate: float = 0) -> Figures:
    """Send datagrams from c1 to c2 as fast as the socket takes them, or at a rate."""
    receiver = load(site.c2, "receive", cpu=RECEIVER_CPU, size=size)
    sender = load(site.c1, "send", cpu=SENDER_CPU, size=size, flows=flows, rate=rate)
    window, cpu, (received, sent) = together(receiver, sender, seconds=seconds)
    reordered = received["late"] if flows == 1 else 0
    return {**flow(window, cpu, received, sent), "reordered": reordered, "retries": sent["retries"]}


def no_drop_rate(site: Site, seconds: float) -> Figures:
    """Search the highest rate with at most LOSS lost, by halving as in RFC 2544 section 26.1.

    A trial takes `seconds` / 2. Everything that was sent counts, until DRAIN_S after the end.
    """
    length = max(0.2, seconds / 2)
    low, high = 0.0, datagrams(site, length)["received_kpps"] * 2e3
    best: Figures = {"ndr_kpps": 0.0, "cpu_us_per_datagram": float("inf")}
    for _ in range(NDR_STEPS):
        rate = (low + high) / 2
        receiver = load(site.c2, "receive", cpu=RECEIVER_CPU)
        sender = load(site.c1, "send", cpu=SENDER_CPU, rate=rate)
        window, cpu, (received, sent) = together(receiver, sender, seconds=length, drain=DRAIN_S)
        achieved = sent["total"] / (window.end - window.begin) * 1e9
        if received["total"] >= (1 - LOSS) * sent["total"] and achieved > 0.98 * rate:
            low = rate
            best = {
                "ndr_kpps": achieved / 1e3,
                "cpu_us_per_datagram": per(cpu.busy * 1e6, sent["datagrams"]),
                "cpu_cores": cpu.busy / window.seconds,
            }
        else:
            high = rate
    return best


def requests(site: Site, seconds: float, *, size: int = 64) -> Figures:
    """Send requests from c1, answered by c2, one outstanding. One-way times are half of the round trip."""
    responder = load(site.c2, "respond", cpu=RECEIVER_CPU, size=size)
    prober = load(site.c1, "request", cpu=SENDER_CPU, size=size)
    window, cpu, (_, asked) = together(responder, prober, seconds=seconds)
    return {
        **_one_way_times(asked),
        "cpu_us_per_transaction": per(cpu.busy * 1e6, asked["datagrams"]),
        "cpu_cores": cpu.busy / window.seconds,
        "stolen_s": cpu.stolen,
    }


def _one_way_times(asked: Figures) -> Figures:
    """Return times and counts of a tally of requests. Raise RefusedError where none was answered."""
    if not asked["datagrams"]:
        raise RefusedError("no request was answered")
    return {
        **{name: asked[name] for name in ("p50_us", "p99_us", "p999_us", "max_us")},
        "transactions": asked["datagrams"],
        "lost": asked["lost"],
    }


def requests_beside_a_stream(site: Site, seconds: float, *, congestion: str | None = None) -> Figures:
    """Measure `requests` while one TCP stream goes the same way."""
    with iperf(site, streams=1, seconds=math.ceil(seconds) + 5, congestion=congestion) as client:
        time.sleep(0.5)
        figures = requests(site, seconds)
        if client.poll() is not None:
            raise RefusedError("iperf3 ended before the requests did")
    return figures


def requests_beside_a_flood(site: Site, seconds: float, *, size: int = 64) -> Figures:
    """Measure `requests` while c1 sends datagrams to c2 as fast as the socket takes them, as in `datagrams`.

    An unanswered request is lost after 0.2 s (load.py); the times are those of the answered ones.
    """
    responder = load(site.c2, "respond", cpu=RECEIVER_CPU, size=size)
    prober = load(site.c1, "request", cpu=SENDER_CPU, size=size)
    receiver = load(site.c2, "receive", cpu=RECEIVER_CPU, size=size, port=FLOOD_PORT)
    sender = load(site.c1, "send", cpu=SENDER_CPU, size=size, port=FLOOD_PORT)
    window, cpu, (_, asked, received, sent) = together(responder, prober, receiver, sender, seconds=seconds)
    figures = _one_way_times(asked)
    return {
        **figures,
        "lost_percent": 100 * figures["lost"] / (figures["lost"] + figures["transactions"]),
        "flood_kpps": received["datagrams"] / window.seconds / 1e3,
        "flood_offered_kpps": sent["datagrams"] / window.seconds / 1e3,
        "cpu_cores": cpu.busy / window.seconds,
        "stolen_s": cpu.stolen,
    }
