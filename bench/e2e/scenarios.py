# SPDX-License-Identifier: Apache-2.0
"""The scenarios by name, and which of their figures are compared."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from fastpath.bench.e2e import traffic
from fastpath.bench.e2e.site import Site
from fastpath.bench.e2e.traffic import Figures

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Compared:
    """A figure of which the ratio subject / baseline is formed."""

    figure: str
    unit: str
    better: Better = "higher"


@dataclass(frozen=True)
class Scenario:
    """One kind of traffic. The first of `compared` is what the scenario is about."""

    name: str
    what: str
    measure: Callable[[Site, float], Figures]
    compared: tuple[Compared, ...]
    programs: tuple[str, ...] = ()


_TCP = (Compared("gbit_per_s", "Gbit/s"), Compared("cpu_s_per_gb", "CPU s/GB", "lower"))
_UDP = (Compared("received_kpps", "kpps"), Compared("cpu_us_per_datagram", "CPU µs/datagram", "lower"))
_RR = (
    Compared("p50_us", "µs p50", "lower"),
    Compared("p99_us", "µs p99", "lower"),
    Compared("cpu_us_per_transaction", "CPU µs/transaction", "lower"),
)

ALL = (
    Scenario("tcp1", "1 TCP stream", traffic.streams, _TCP, ("iperf3",)),
    Scenario("tcp4", "4 TCP streams", partial(traffic.streams, count=4), _TCP, ("iperf3",)),
    Scenario("udp64", "one flow of 64-byte datagrams", traffic.datagrams, _UDP),
    Scenario("udp64x256", "256 flows of 64-byte datagrams in turn", partial(traffic.datagrams, flows=256), _UDP),
    Scenario("rr", "64-byte request/response, one outstanding, one-way time", traffic.requests, _RR),
    Scenario("rr_loaded", "the same beside one TCP stream", traffic.requests_beside_a_stream, _RR, ("iperf3",)),
)
SCENARIOS = {scenario.name: scenario for scenario in ALL}
