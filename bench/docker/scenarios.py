# SPDX-License-Identifier: Apache-2.0
"""The scenarios: traffic as in `fastpath bench`, and how long containers take to start and to be removed."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fastpath.bench.docker.dockerd import Dockerd
from fastpath.bench.docker.hosts import Hosts
from fastpath.bench.e2e.traffic import measure, streams
from fastpath.bench.e2e.traffic.window import Figures
from fastpath.errors import FastpathError, RefusedError

COUNT = 20
UNDERLAYS = ("offload", "wire")


@dataclass(frozen=True)
class Compared:
    """A figure of a scenario, with its unit, and whether less is better."""

    figure: str
    unit: str
    less_is_better: bool = False
    scale: float = 1.0
    digits: int = 2


@dataclass(frozen=True)
class Scenario:
    """`measure` takes the driver and the seconds."""

    name: str
    what: str
    measure: Callable[[Hosts, str, float], Figures]
    compared: tuple[Compared, ...]
    underlays: tuple[str, ...] = UNDERLAYS


def _tcp(hosts: Hosts, driver: str, seconds: float) -> Figures:
    return streams.streams(hosts.sites[driver], seconds)


def _udp(hosts: Hosts, driver: str, seconds: float) -> Figures:
    return measure.datagrams(hosts.sites[driver], seconds)


def _requests(hosts: Hosts, driver: str, seconds: float) -> Figures:
    return measure.requests(hosts.sites[driver], seconds)


def _one_by_one(hosts: Hosts, driver: str, _: float) -> Figures:
    return _containers(hosts.dockers[0], driver, at_once=False)


def _at_once(hosts: Hosts, driver: str, _: float) -> Figures:
    return _containers(hosts.dockers[0], driver, at_once=True)


def _containers(docker: Dockerd, network: str, *, at_once: bool) -> Figures:
    """Run `docker run -d` COUNT times; then remove all containers by one `docker rm -f`."""
    names = [f"n{number}" for number in range(COUNT)]
    failed: list[FastpathError] = []

    def make(name: str) -> None:
        try:
            docker.container(name, network)
        except FastpathError as error:
            failed.append(error)

    begin = time.monotonic()
    if at_once:
        threads = [threading.Thread(target=make, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        for name in names:
            make(name)
    made = time.monotonic()
    docker.run("rm", "-f", *names, check=False)
    removed = time.monotonic()
    if failed:
        raise RefusedError(f"{len(failed)} of {COUNT} containers did not start: {failed[0]}")
    return {"create_s": made - begin, "remove_s": removed - made}


_CREATE = (Compared("create_s", "s", less_is_better=True), Compared("remove_s", "s to remove", less_is_better=True))
_HOSTS = ("offload",)  # there is hardly any traffic on the underlay

ALL = (
    Scenario("tcp1", "1 TCP stream", _tcp, (Compared("gbit_per_s", "Gbit/s"),)),
    Scenario("udp64", "64-byte datagrams", _udp, (Compared("received_kpps", "kpps", digits=0),)),
    Scenario(
        "rr",
        "64-byte request/response, one-way time",
        _requests,
        (
            Compared("p50_us", "µs p50", less_is_better=True, digits=1),
            Compared("p99_us", "µs p99", less_is_better=True, digits=1),
        ),
    ),
    Scenario("create20", f"{COUNT} containers on a host, one after another", _one_by_one, _CREATE, _HOSTS),
    Scenario("create20_at_once", f"{COUNT} containers on a host at once", _at_once, _CREATE, _HOSTS),
)
SCENARIOS = {scenario.name: scenario for scenario in ALL}
