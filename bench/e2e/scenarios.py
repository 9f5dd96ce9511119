# SPDX-License-Identifier: Apache-2.0
"""The scenarios by name, and the figures of each that are compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from fastpath.bench.e2e.names import UNDERLAYS, known
from fastpath.bench.e2e.sites.site import Site
from fastpath.bench.e2e.traffic import footprint, measure, restarts, stations, streams, web
from fastpath.bench.e2e.traffic.window import Figures
from fastpath.errors import UsageError

Better = Literal["higher", "lower"]
IPERF, WEB = ("iperf3",), ("nginx", "wrk", "taskset")


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
    prepare: Callable[[Site], None] | None = None  # once for each contestant, in each round
    times: float = 1.0  # how many times the measuring time it takes, and how many seconds beside that: an estimate
    beside_s: float = 0.5
    preparing_s: float = 0.0

    def on(self, underlay: str) -> "Scenario":
        """Return it as it is measured on one underlay only. Raise UsageError where it has a form of its own."""
        if self.form not in (None, *UNDERLAYS):
            raise UsageError(f"{self.name} is measured in the form {self.form} only: leave :{underlay} out")
        return replace(self, form=underlay)

    @property
    def word(self) -> str:
        """What names it on the command line."""
        return f"{self.name}:{self.form}" if self.form in UNDERLAYS else self.name

    def forms(self, underlays: Sequence[str]) -> tuple[str, ...]:
        """Return the forms of site on which it is measured."""
        if self.form is not None:
            return (self.form,)
        return tuple(underlays[:1]) if self.once else tuple(underlays)

    def under(self, congestion: Sequence[str]) -> tuple[str | None, ...]:
        """Return the congestion controls with which it is measured; one None where it has no TCP."""
        return tuple(congestion) if self.tcp else (None,)

    def takes(self, seconds: float) -> float:
        """Return about how many seconds one measurement takes."""
        return self.times * seconds + self.beside_s

    def figures(self, site: Site, seconds: float, congestion: str | None) -> Figures:
        """Measure it once."""
        if congestion is None:
            return self.measure(site, seconds)
        return self.measure(site, seconds, congestion=congestion)


STREAM_S = 1.2  # connecting, and the second that is left out
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
    Compared("cpu_us_per_datagram", "CPU µs/datagram", "lower"),
)
_UNPINNED = (*_UDP, Compared("lost_percent", "% lost", "lower", ratio=False))
_TRAINS = (*_TCP, Compared("lost_percent", "% lost", "lower", ratio=False))
_NDR = (Compared("ndr_kpps", "kpps"), Compared("cpu_us_per_datagram", "CPU µs/datagram", "lower"))
_IDLE = (
    Compared("cpu_percent", "% of a core", "lower", ratio=False),
    Compared("wakeups_per_s", "wake-ups/s", "lower", ratio=False),
)
_MEMORY = (Compared("rss_mib", "MiB", "lower"),)
_WEB = (
    Compared("answers_per_s", "answers/s"),
    Compared("p99_us", "µs p99", "lower"),
    Compared("cpu_us_per_answer", "CPU µs/answer", "lower"),
)
_LOADED = (
    Compared("p50_us", "µs p50", "lower"),
    Compared("p99_us", "µs p99", "lower"),
    Compared("stream_gbit_per_s", "Gbit/s of the stream"),
    Compared("cpu_s_per_gb", "CPU s/GB of the stream", "lower"),
)
_RESTARTS = (
    Compared("longest_pause_ms", "ms without data", "lower", ratio=False),
    Compared("pauses", "pauses of 20 ms", "lower", ratio=False),
    Compared("gbit_per_s", "Gbit/s"),
)
_RR = (
    Compared("p50_us", "µs p50", "lower"),
    Compared("p99_us", "µs p99", "lower"),
    Compared("cpu_us_per_transaction", "CPU µs/request", "lower"),
)


def _table(name: str, entries: int) -> Scenario:
    what = f"64-byte datagrams to {entries:,} stations in turn, all of them in the table"
    measure = partial(stations.spread, entries=entries)
    prepare, preparing_s = partial(stations.learn, entries=entries), stations.learning_s(entries)
    return Scenario(name, what, measure, _UDP, form="fdb", prepare=prepare, preparing_s=preparing_s)


def _unpinned(name: str, size: int, rate: int = 0) -> Scenario:
    how = f"{rate:,} a second" if rate else "as fast as possible"
    what = f"datagrams of {size:,} bytes, {how}, as iperf3 -u sends them: nothing pinned"
    return Scenario(name, what, partial(measure.unpinned, size=size, rate=rate), _UNPINNED)


_tcp = partial(Scenario, compared=_TCP, programs=IPERF, tcp=True, beside_s=STREAM_S)

ALL = (
    _tcp("tcp1", "1 TCP stream", streams.streams),
    _tcp("tcp4", "4 TCP streams", partial(streams.streams, count=4)),
    _tcp("tcp_w64k", "1 TCP stream, buffers of 64 KB", partial(streams.streams, buffer="64K")),
    Scenario(
        "http100k",
        "a web server's answers of 100 KB over one connection",
        web.answers,
        _WEB,
        WEB,
        tcp=True,
        beside_s=1.1,
    ),
    Scenario("udp64", "one flow of 64-byte datagrams", measure.datagrams, _UDP),
    Scenario("udp64x256", "256 flows of 64-byte datagrams in turn", partial(measure.datagrams, flows=256), _UDP),
    Scenario(
        "ndr64",
        "highest rate of 64-byte datagrams with 0.1 % loss at most",
        measure.no_drop_rate,
        _NDR,
        times=measure.NDR_TIMES,
        beside_s=measure.NDR_BESIDE_S,
    ),
    _unpinned("flood64", 64),
    _unpinned("flood1300", 1300),
    _unpinned("paced64", 64, 100_000),
    _unpinned("paced1300", 1300, 144_000),
    Scenario("udp_gso", "a stream of 1,200-byte datagrams in trains, acknowledged, as QUIC", measure.trains, _TRAINS),
    Scenario("rr", "64-byte request/response, one outstanding, one-way time", measure.requests, _RR),
    Scenario("tcp_rr", "rr over TCP", partial(measure.requests, tcp=True), _RR),
    Scenario(
        "rr_loaded",
        "rr beside one TCP stream",
        measure.requests_beside_a_stream,
        _LOADED,
        IPERF,
        tcp=True,
        beside_s=1.5,
    ),
    Scenario("rr_flooded", "rr beside udp64 from the same container", measure.requests_beside_a_flood, _FLOODED),
    _tcp("local_tcp", "two containers on one host, 1 TCP stream", streams.streams, form="local"),
    Scenario("local_udp64", "two containers on one host, 64-byte datagrams", measure.datagrams, _UDP, form="local"),
    _table("fdb1k", 1 << 10),
    _table("fdb64k", 1 << 16),
    _table("fdb1m", 1 << 20),
    Scenario(
        "restarts",
        f"1 TCP stream while daemons, if there are some, are killed and started {restarts.RESTARTS} times",
        restarts.stream,
        _RESTARTS,
        IPERF,
        once=True,
        tcp=True,
        times=0,
        beside_s=restarts.ESTIMATE_S,
    ),
    Scenario("idle", "no traffic, one host's processes", footprint.idle, _IDLE, once=True, times=footprint.IDLE_FACTOR),
    Scenario(
        "memory",
        "resident memory of one host's processes, one network",
        footprint.memory,
        _MEMORY,
        once=True,
        times=0,
        beside_s=2,
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in ALL}
FAMILIES = {
    "overview": (  # what README's table has: both underlays where they differ most
        *("tcp1", "tcp4", "ndr64"),
        *("tcp_w64k:offload", "http100k:offload", "rr_loaded:offload", "udp_gso:offload", "rr:offload"),
        *("tcp_rr:offload", "udp64:offload", "udp64x256:offload", "flood64:offload", "flood1300:offload"),
        *("local_tcp", "local_udp64"),
    ),
    "unpinned": ("flood64", "flood1300", "paced64", "paced1300"),
    "local": ("local_tcp", "local_udp64"),
    "fdb": ("fdb1k", "fdb64k", "fdb1m"),
}


def chosen(words: Sequence[str]) -> tuple[Scenario, ...]:
    """Return the scenarios that `NAME` or `NAME:UNDERLAY` name; those of FAMILIES are groups. Raise UsageError for an
    unknown name, or an underlay for a scenario that has none."""
    found: dict[str, Scenario] = {}
    for word in words:
        name, colon, underlay = word.partition(":")
        known(name, (*SCENARIOS, *FAMILIES), "scenario")
        members = chosen(FAMILIES[name]) if name in FAMILIES else (SCENARIOS[name],)
        for scenario in members:
            found[scenario.name] = scenario.on(known(underlay, UNDERLAYS, "underlay")) if colon else scenario
    return tuple(found.values())
