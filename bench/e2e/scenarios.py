# SPDX-License-Identifier: Apache-2.0
"""The scenarios by name, and which of their figures are compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from fastpath.bench.e2e.names import known
from fastpath.bench.e2e.sites.site import Site
from fastpath.bench.e2e.traffic import footprint, measure, stations
from fastpath.bench.e2e.traffic.measure import Figures

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Compared:
    """A figure of which the ratio subject / baseline is formed."""

    figure: str
    unit: str
    better: Better = "higher"
    offered: str | None = None  # the figure that says how much was sent
    ratio: bool = True  # of figures that are about zero, a ratio says nothing


@dataclass(frozen=True)
class Scenario:
    """One kind of traffic. The first of `compared` is what the scenario is about."""

    name: str
    what: str
    measure: Callable[[Site, float], Figures]
    compared: tuple[Compared, ...]
    programs: tuple[str, ...] = ()
    form: str | None = None  # None: on each underlay that was asked for
    once: bool = False  # on the first of them is enough
    prepare: Callable[[Site], None] | None = None  # once for each contestant, before the first round

    def forms(self, underlays: Sequence[str]) -> tuple[str, ...]:
        """The forms of site that it is measured on."""
        if self.form is not None:
            return (self.form,)
        return tuple(underlays[:1]) if self.once else tuple(underlays)


_TCP = (Compared("gbit_per_s", "Gbit/s"), Compared("cpu_s_per_gb", "CPU s/GB", "lower"))
_UDP = (
    Compared("received_kpps", "kpps", offered="offered_kpps"),
    Compared("cpu_us_per_datagram", "CPU µs/datagram", "lower"),
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
    Scenario("tcp1", "1 TCP stream", measure.streams, _TCP, ("iperf3",)),
    Scenario("tcp4", "4 TCP streams", partial(measure.streams, count=4), _TCP, ("iperf3",)),
    Scenario("udp64", "one flow of 64-byte datagrams", measure.datagrams, _UDP),
    Scenario("udp64x256", "256 flows of 64-byte datagrams in turn", partial(measure.datagrams, flows=256), _UDP),
    Scenario("ndr64", "highest rate of 64-byte datagrams with 0.1 % loss at most", measure.no_drop_rate, _NDR),
    Scenario("rr", "64-byte request/response, one outstanding, one-way time", measure.requests, _RR),
    Scenario("rr_loaded", "the same beside one TCP stream", measure.requests_beside_a_stream, _RR, ("iperf3",)),
    Scenario("local_tcp", "two containers on one host, 1 TCP stream", measure.streams, _TCP, ("iperf3",), "local"),
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
    """The scenarios that are named; `local` and `fdb` stand for several. Raises UsageError."""
    found: dict[str, Scenario] = {}
    for word in words:
        known(word, (*SCENARIOS, *FAMILIES), "scenario")
        found |= {name: SCENARIOS[name] for name in FAMILIES.get(word, (word,))}
    return tuple(found.values())
