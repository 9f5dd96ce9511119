# SPDX-License-Identifier: Apache-2.0
"""The scenarios by name, and the figures of each that are compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from fastpath.bench.e2e.names import known
from fastpath.bench.e2e.sites.site import Site
from fastpath.bench.e2e.traffic import footprint, measure, stations, streams
from fastpath.bench.e2e.traffic.window import Figures

Better = Literal["higher", "lower"]
IPERF = ("iperf3",)


@dataclass(frozen=True)
class Compared:
    """A figure of which the ratio subject / baseline is formed."""

    figure: str
    unit: str
    better: Better = "higher"
    offered: str | None = None  # the figure that says how much was sent
    ratio: bool = True  # False: the figure is about zero, so a ratio would be noise


@dataclass(frozen=True)
class Scenario:
    """One kind of traffic. The first of `compared` is its main figure."""

    name: str
    what: str
    measure: Callable[..., Figures]  # takes site and seconds; with `tcp`, `congestion`, too
    compared: tuple[Compared, ...]
    programs: tuple[str, ...] = ()
    form: str | None = None  # None: each of the underlays that were asked for
    once: bool = False  # the first of them is enough
    tcp: bool = False  # measured with each congestion control that was asked for
    prepare: Callable[[Site], None] | None = None  # once for each contestant, before the first round

    def forms(self, underlays: Sequence[str]) -> tuple[str, ...]:
        """Return the forms of site on which it is measured."""
        if self.form is not None:
            return (self.form,)
        return tuple(underlays[:1]) if self.once else tuple(underlays)

    def under(self, congestion: Sequence[str]) -> tuple[str | None, ...]:
        """Return the congestion controls with which it is measured; one None where it has no TCP."""
        return tuple(congestion) if self.tcp else (None,)

    def figures(self, site: Site, seconds: float, congestion: str | None) -> Figures:
        """Measure it once."""
        if congestion is None:
            return self.measure(site, seconds)
        return self.measure(site, seconds, congestion=congestion)


_TCP = (Compared("gbit_per_s", "Gbit/s"), Compared("cpu_s_per_gb", "CPU s/GB", "lower"))
_UDP = (
    Compared("received_kpps", "kpps", offered="offered_kpps"),
    Compared("cpu_us_per_datagram", "CPU µs/datagram", "lower"),
)
_FLOODED = (
    Compared("p50_us", "µs p50", "lower"),
    Compared("p99_us", "µs p99", "lower"),
    Compared("lost_percent", "% of requests lost", "lower", ratio=False),
    Compared("flood_kpps", "kpps of the flood", offered="flood_offered_kpps"),
)
_NDR = (Compared("ndr_kpps", "kpps"), Compared("cpu_us_per_datagram", "CPU µs/datagram", "lower"))
_IDLE = (
    Compared("cpu_percent", "% of a core", "lower", ratio=False),
    Compared("wakeups_per_s", "wake-ups/s", "lower", ratio=False),
)
_MEMORY = (Compared("rss_mib", "MiB", "lower"),)
_RR = (
    Compared("p50_us", "µs p50", "lower"),
    Compared("p99_us", "µs p99", "lower"),
    Compared("cpu_us_per_transaction", "CPU µs/request", "lower"),
)


def _table(name: str, entries: int) -> Scenario:
    what = f"64-byte datagrams to {entries:,} stations in turn, all of them in the table"
    measure = partial(stations.spread, entries=entries)
    return Scenario(name, what, measure, _UDP, form="fdb", prepare=partial(stations.learn, entries=entries))


ALL = (
    Scenario("tcp1", "1 TCP stream", streams.streams, _TCP, IPERF, tcp=True),
    Scenario("tcp4", "4 TCP streams", partial(streams.streams, count=4), _TCP, IPERF, tcp=True),
    Scenario("udp64", "one flow of 64-byte datagrams", measure.datagrams, _UDP),
    Scenario("udp64x256", "256 flows of 64-byte datagrams in turn", partial(measure.datagrams, flows=256), _UDP),
    Scenario("ndr64", "highest rate of 64-byte datagrams with 0.1 % loss at most", measure.no_drop_rate, _NDR),
    Scenario("rr", "64-byte request/response, one outstanding, one-way time", measure.requests, _RR),
    Scenario("rr_loaded", "rr beside one TCP stream", measure.requests_beside_a_stream, _RR, IPERF, tcp=True),
    Scenario("rr_flooded", "rr beside udp64 from the same container", measure.requests_beside_a_flood, _FLOODED),
    Scenario("local_tcp", "two containers on one host, 1 TCP stream", streams.streams, _TCP, IPERF, "local", tcp=True),
    Scenario("local_udp64", "two containers on one host, 64-byte datagrams", measure.datagrams, _UDP, form="local"),
    _table("fdb1k", 1 << 10),
    _table("fdb64k", 1 << 16),
    _table("fdb1m", 1 << 20),
    Scenario("idle", "no traffic, one host's processes", footprint.idle, _IDLE, once=True),
    Scenario("memory", "resident memory of one host's processes, one network", footprint.memory, _MEMORY, once=True),
)
SCENARIOS = {scenario.name: scenario for scenario in ALL}
FAMILIES = {"local": ("local_tcp", "local_udp64"), "fdb": ("fdb1k", "fdb64k", "fdb1m")}


def chosen(words: Sequence[str]) -> tuple[Scenario, ...]:
    """Return the named scenarios; `local` and `fdb` are groups. Raise UsageError for an unknown name."""
    found: dict[str, Scenario] = {}
    for word in words:
        known(word, (*SCENARIOS, *FAMILIES), "scenario")
        found |= {name: SCENARIOS[name] for name in FAMILIES.get(word, (word,))}
    return tuple(found.values())
