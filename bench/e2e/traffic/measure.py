# SPDX-License-Identifier: Apache-2.0
"""Datagrams, streams of them, and requests, alone and beside other traffic."""

import math
import time

from fastpath.bench.e2e.sites.site import DEVICE, Site
from fastpath.bench.e2e.traffic.streams import iperf
from fastpath.bench.e2e.traffic.window import (
    RECEIVER_CPU,
    SENDER_CPU,
    Figures,
    Window,
    flow,
    load,
    lost_percent,
    per,
    together,
)
from fastpath.errors import RefusedError

LOSS, NDR_STEPS, DRAIN_S = 0.001, 8, 0.1
NDR_TIMES, NDR_BESIDE_S = (1 + NDR_STEPS) / 2, (1 + NDR_STEPS) * 0.6  # what the search takes
STARTING_S = 10  # how much longer a stream beside requests runs than they do: they may start late on a busy machine
FLOOD_PORT = 5002  # requests have the load's own


def datagrams(site: Site, seconds: float, *, flows: int = 1, size: int = 64, rate: float = 0) -> Figures:
    """Send datagrams from c1 to c2 as fast as the socket takes them, or at a rate."""
    receiver = load(site.c2, "receive", cpu=RECEIVER_CPU, size=size)
    sender = load(site.c1, "send", cpu=SENDER_CPU, size=size, flows=flows, rate=rate)
    window, cpu, (received, sent) = together(receiver, sender, seconds=seconds)
    reordered = received["late"] if flows == 1 else 0
    return {**flow(window, cpu, received, sent), "reordered": reordered, "retries": sent["retries"]}


def unpinned(site: Site, seconds: float, *, size: int, rate: float = 0) -> Figures:
    """Send datagrams as `iperf3 -u` does: a call for each, default buffers, no process pinned.

    `rate` is in datagrams a second, which leave in a burst each ms; 0 is a flood.
    """
    receiver = load(site.c2, "receive", "plain", size=size)
    sender = load(site.c1, "send", "plain", size=size, rate=rate)
    window, cpu, (received, sent) = together(receiver, sender, seconds=seconds, drain=DRAIN_S)
    return {
        **flow(window, cpu, received, sent),
        "lost_percent": lost_percent(received, sent),
        "gbit_per_s": _gbit_per_s(received, size, window),
    }


def _gbit_per_s(received: Figures, size: int, window: Window) -> float:
    """Return the payload that arrived."""
    return received["datagrams"] * size * 8 / window.seconds / 1e9


def trains(site: Site, seconds: float, *, size: int = 1200) -> Figures:
    """Send a stream of datagrams as QUIC does: cut and put together by the kernel, acknowledged (trains.h)."""
    receiver = load(site.c2, "absorb", cpu=RECEIVER_CPU, size=size)
    sender = load(site.c1, "stream", cpu=SENDER_CPU, size=size)
    window, cpu, (received, sent) = together(receiver, sender, seconds=seconds, drain=DRAIN_S)
    gbit_per_s = _gbit_per_s(received, size, window)
    if not received["datagrams"]:
        raise RefusedError("no datagram arrived")
    return {
        "gbit_per_s": gbit_per_s,
        "cpu_s_per_gb": per(cpu.busy / window.seconds, gbit_per_s / 8),
        "lost_percent": lost_percent(received, sent),
        "reordered": received["late"],
        "cpu_cores": cpu.busy / window.seconds,
        "stolen_s": cpu.stolen,
    }


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


def requests(site: Site, seconds: float, *, size: int = 64, tcp: bool = False) -> Figures:
    """Send requests from c1, answered by c2, one outstanding. One-way times are half of the round trip."""
    over = ["tcp"] if tcp else []
    responder = load(site.c2, "respond", *over, cpu=RECEIVER_CPU, size=size)
    prober = load(site.c1, "request", *over, cpu=SENDER_CPU, size=size)
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
    """Measure `requests` while one TCP stream goes the same way, and what the stream gets meanwhile.

    The stream takes the CPU time that is left, so the cost is given for each GB of it, not for each request.
    """
    with iperf(site, streams=1, seconds=math.ceil(seconds) + STARTING_S, congestion=congestion) as client:
        time.sleep(0.5)
        before, begin = _sent_bytes(site), time.monotonic()
        figures = requests(site, seconds)
        gbit_per_s = (_sent_bytes(site) - before) * 8e-9 / (time.monotonic() - begin)
        if client.poll() is not None:
            raise RefusedError("iperf3 ended before the requests did")
    stream = {"stream_gbit_per_s": gbit_per_s, "cpu_s_per_gb": per(figures["cpu_cores"], gbit_per_s / 8)}
    return {**figures, **stream}


def _sent_bytes(site: Site) -> int:
    """Return the bytes that c1 has sent, with headers, as its interface counts them."""
    return int(site.c1.run("cat", f"/sys/class/net/{DEVICE}/statistics/tx_bytes").stdout)


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
        "cpu_us_per_datagram": per(cpu.busy * 1e6, received["datagrams"]),
        "cpu_cores": cpu.busy / window.seconds,
        "stolen_s": cpu.stolen,
    }
