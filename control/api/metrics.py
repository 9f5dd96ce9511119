# SPDX-License-Identifier: Apache-2.0
"""The daemon's metrics for Prometheus; docs/operators/metrics.md lists them.

Nothing is counted here: a scrape reads the counters of the engine, the store's mirror and the probes. At most
SERIES_LIMIT ports, remotes, networks and peers have series of their own, the oldest of each, so that a host with very
many containers does not overload its Prometheus; fastpath_omitted counts the rest. Endpoints of other hosts have no
series, and drop reasons have none for each port.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from fastpath import DROP_SENTENCES, EVENT_SENTENCES
from fastpath.control.host.reconciler import Reconciles
from fastpath.control.host.worker_watch import WorkerState
from fastpath.control.model.requests import GuardInfo, NetworkInfo, PeerInfo, PeerState, Status
from fastpath.engine.stats import EngineStats, Traffic, total

SERIES_LIMIT = 1000

T = TypeVar("T")


@dataclass(frozen=True)
class Snapshot:
    """The data of one scrape."""

    status: Status
    stats: EngineStats
    networks: Sequence[NetworkInfo]
    peers: Sequence[PeerInfo]
    reconciles: Reconciles
    questions: dict[str, int]
    limited: dict[str, int]
    """Questions to the resolvers over a limit, by network."""
    guard: GuardInfo
    workers: Sequence[WorkerState]


class Metrics:
    """Render what `snapshot` returns; it is called at each scrape, in the thread that asks."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(snapshot))
        ProcessCollector(registry=self._registry)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the page and its content type, in the format that an Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Collector(Collector):
    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not read an engine that does not exist yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        now = self._snapshot()
        omitted: dict[str, int] = {}
        yield from _daemon(now.status)
        yield from _reconciler(now.reconciles)
        yield from _guard(now.guard)
        yield _labelled(
            CounterMetricFamily("fastpath_dns_queries", "queries to the resolvers, by result", labels=["result"]),
            now.questions,
        )
        limited = _few(now.limited.items(), "resolver", omitted)
        yield _labelled(
            CounterMetricFamily(
                "fastpath_dns_limited",
                "queries and connections to the resolvers over a limit, by network",
                labels=["network"],
            ),
            dict(limited),
        )
        yield from _engine(now.stats)
        yield from _workers(now.workers)
        yield from _networks(now, omitted)
        yield from _ports(now, omitted)
        yield from _remotes(now.stats, omitted)
        yield from _peers(now.peers, omitted)
        yield _labelled(
            GaugeMetricFamily(
                "fastpath_omitted", "objects without series of their own, because there are too many", labels=["kind"]
            ),
            omitted,
        )


def _daemon(status: Status) -> Iterator[Metric]:
    build = {"version": status.version, "python": platform.python_version()}
    yield InfoMetricFamily("fastpath_build", "fastpath's version", value=build)
    for name, what, value in (
        ("healthy", "1: this host has no problems", status.healthy),
        ("problems", "number of present problems; `fastpath status` names them", len(status.problems)),
        ("uptime_seconds", "seconds since the daemon started", status.uptime),
        ("store_up", "1: the store answers", status.store_answers),
        ("store_revision", "the revision of the store that this host has", status.revision),
        ("networks", "networks in the store", status.networks),
        ("endpoints", "endpoints on all hosts", status.endpoints),
        ("local_endpoints", "endpoints on this host", status.local_endpoints),
        ("workers", "worker threads of the engine", status.workers),
        ("underlay_mtu_bytes", "the size of the largest IP packet that leaves this host", status.underlay_mtu),
    ):
        yield GaugeMetricFamily(f"fastpath_{name}", what, value=float(value))
    yield CounterMetricFamily(
        "fastpath_answered", "ARP requests and neighbour solicitations that the engine answered", value=status.answered
    )


def _reconciler(done: Reconciles) -> Iterator[Metric]:
    yield _labelled(
        CounterMetricFamily(
            "fastpath_reconcile_runs", "passes that compared this host's state with the store", labels=["result"]
        ),
        {"ok": done.runs - done.failures, "failed": done.failures},
    )
    for name, what, value in (
        ("repairs", "differences that a pass repaired", done.repairs),
        ("seconds", "seconds spent in passes", done.seconds),
    ):
        yield CounterMetricFamily(f"fastpath_reconcile_{name}", what, value=value)
    last = GaugeMetricFamily(
        "fastpath_reconcile_last_success_timestamp_seconds", "time of the last successful pass, in Unix time"
    )
    if done.last_success is not None:
        last.add_metric([], done.last_success)
    yield last


def _guard(guard: GuardInfo) -> Iterator[Metric]:
    yield GaugeMetricFamily("fastpath_guard_in_place", "1: the guard is in place", value=guard.state == "in place")
    yield CounterMetricFamily(
        "fastpath_guard_restored", "changes of others to the guard that were undone", value=guard.restored
    )
    packets = CounterMetricFamily(
        "fastpath_guard_packets",
        "packets that a rule of the guard caught, and whether it lets them pass",
        labels=["rule", "passes"],
    )
    for rule in guard.rules:
        packets.add_metric([rule.name, str(rule.passes).lower()], rule.packets)
    yield packets


def _engine(stats: EngineStats) -> Iterator[Metric]:
    everything = total(tally.traffic for tally in stats.tallies)
    yield from _traffic("", "of the workers and forwarders together", [], {(): everything}, drops=False)
    workers = {(str(index),): worker.traffic for index, worker in enumerate(stats.workers)}
    workers[("deferred",)] = stats.deferred.traffic
    frames = CounterMetricFamily(
        "fastpath_worker_frames",
        "frames of one worker, or of all forwarders in Python (deferred)",
        labels=["worker", "direction"],
    )
    for labels, traffic in workers.items():
        frames.add_metric([*labels, "rx"], traffic.rx_frames)
        frames.add_metric([*labels, "tx"], traffic.tx_frames)
    yield frames
    drops = {reason: sum(tally.drops.get(reason, 0) for tally in stats.tallies) for reason in DROP_SENTENCES}
    drops["socket_overflow"] = stats.socket_overflows
    yield _labelled(CounterMetricFamily("fastpath_drops", "frames dropped, by reason", labels=["reason"]), drops)
    events = {event: sum(tally.events.get(event, 0) for tally in stats.tallies) for event in EVENT_SENTENCES}
    yield _labelled(
        CounterMetricFamily(
            "fastpath_kernel_path_frames", "frames by what the kernel path's programs decided", labels=["verdict"]
        ),
        stats.kernel_path.verdicts,
    )
    yield _labelled(CounterMetricFamily("fastpath_events", "other events", labels=["event"]), events)
    yield GaugeMetricFamily("fastpath_fdb_entries", "addresses in the FDB", value=stats.fdb_entries)
    yield GaugeMetricFamily("fastpath_fdb_limit", "the most addresses that the FDB can hold", value=stats.fdb_limit)
    yield CounterMetricFamily(
        "fastpath_housekeeping_failures",
        "rounds that age the FDB and follow interfaces, and that failed",
        value=stats.housekeeping_failures,
    )


def _workers(states: Sequence[WorkerState]) -> Iterator[Metric]:
    turns = CounterMetricFamily("fastpath_worker_turns", "turns of a worker", labels=["worker"])
    well = GaugeMetricFamily(
        "fastpath_worker_well", "1: the worker runs, and does not hang within a turn", labels=["worker"]
    )
    for index, state in enumerate(states):
        turns.add_metric([str(index)], state.turns // 2)
        well.add_metric([str(index)], float(state.well))
    yield turns
    yield well


def _networks(now: Snapshot, omitted: dict[str, int]) -> Iterator[Metric]:
    infos = _few(now.networks, "network", omitted)
    for name, what, values in (
        ("endpoints", "endpoints of the network on all hosts", [info.endpoints for info in infos]),
        ("local_endpoints", "endpoints of the network on this host", [info.local_endpoints for info in infos]),
        ("mtu_bytes", "the MTU of the network's interfaces", [info.mtu for info in infos]),
    ):
        family = GaugeMetricFamily(f"fastpath_network_{name}", what, labels=["network"])
        for info, value in zip(infos, values, strict=True):
            if value is not None:
                family.add_metric([info.network.name], value)
        yield family
    segments = {segment.vni: segment for segment in now.stats.segments}
    shown = {
        info.network.name: segments[vni] for info in infos if (vni := info.network.vni) in segments and vni is not None
    }
    entries = GaugeMetricFamily(
        "fastpath_network_fdb_entries", "addresses of the network in the FDB", labels=["network"]
    )
    learned = GaugeMetricFamily(
        "fastpath_network_fdb_learned", "addresses of the network that the FDB learned", labels=["network"]
    )
    for name, segment in shown.items():
        entries.add_metric([name], segment.fdb_entries)
        learned.add_metric([name], segment.fdb_learned)
    yield entries
    yield learned
    traffic: dict[tuple[str, ...], Traffic] = {(name,): segment.tally.traffic for name, segment in shown.items()}
    yield from _traffic("network_", "of the network", ["network"], traffic)


PORT_LABELS = ["network", "port", "endpoint"]


def _ports(now: Snapshot, omitted: dict[str, int]) -> Iterator[Metric]:
    names = {info.network.vni: info.network.name for info in now.networks}
    ports = [
        ((names.get(port.segment, f"VNI {port.segment}"), port.name, port.label or ""), port)
        for port in now.stats.ports
    ]
    traffic = _merged((key, port.traffic) for key, port in ports)
    few = _few(traffic, "port", omitted)
    yield from _traffic("port_", "of an interface", PORT_LABELS, {key: traffic[key] for key in few})
    unlearned = CounterMetricFamily(
        "fastpath_port_unlearned",
        "frames of an interface from addresses for which the FDB had no room",
        labels=PORT_LABELS,
    )
    counts: Counter[tuple[str, ...]] = Counter()
    for labels, port in ports:
        counts[labels] += port.unlearned
    for key in few:
        unlearned.add_metric(list(key), counts[key])
    yield unlearned


def _remotes(stats: EngineStats, omitted: dict[str, int]) -> Iterator[Metric]:
    traffic = _merged(((remote.address, str(remote.udp_port)), remote.traffic) for remote in stats.remotes)
    few = _few(traffic, "remote", omitted)
    yield from _traffic(
        "remote_", "of another host's VTEP", ["address", "udp_port"], {key: traffic[key] for key in few}
    )


def _peers(infos: Sequence[PeerInfo], omitted: dict[str, int]) -> Iterator[Metric]:
    states = {state: sum(info.state == state for info in infos) for state in get_args(PeerState)}
    yield _labelled(GaugeMetricFamily("fastpath_peers", "other hosts, by state", labels=["state"]), states)
    few = _few(infos, "peer", omitted)
    for name, what, values in (
        ("up", "1: the host's data path answers", [float(info.state == "up") for info in few]),
        (
            "kernel_path_up",
            "1: the kernel path carries packets to the host, if a network needs that",
            [float(info.kernel_path == "up") if info.kernel_path != "off" else None for info in few],
        ),
        ("endpoints", "endpoints on the host", [float(info.endpoints) for info in few]),
        ("silence_seconds", "seconds since the host's data path last answered", [info.last_seen for info in few]),
        ("round_trip_seconds", "round-trip time of the last answered probe", [info.round_trip for info in few]),
    ):
        family = GaugeMetricFamily(f"fastpath_peer_{name}", what, labels=["host"])
        for info, value in zip(few, values, strict=True):
            if value is not None:
                family.add_metric([info.host], value)
        yield family


def _traffic(
    prefix: str, whose: str, labels: list[str], traffic: dict[tuple[str, ...], Traffic], *, drops: bool = True
) -> Iterator[Metric]:
    frames = CounterMetricFamily(f"fastpath_{prefix}frames", f"frames {whose}", labels=[*labels, "direction"])
    octets = CounterMetricFamily(f"fastpath_{prefix}bytes", f"bytes of frames {whose}", labels=[*labels, "direction"])
    for key, count in traffic.items():
        frames.add_metric([*key, "rx"], count.rx_frames)
        frames.add_metric([*key, "tx"], count.tx_frames)
        octets.add_metric([*key, "rx"], count.rx_bytes)
        octets.add_metric([*key, "tx"], count.tx_bytes)
    yield frames
    yield octets
    if drops:
        lost = CounterMetricFamily(f"fastpath_{prefix}drops", f"dropped frames {whose}", labels=labels)
        for key, count in traffic.items():
            lost.add_metric(key, count.drops)
        yield lost


def _labelled(family: CounterMetricFamily | GaugeMetricFamily, values: dict[str, int]) -> Metric:
    for label, value in values.items():
        family.add_metric([label], value)
    return family


def _few(things: Iterable[T], kind: str, omitted: dict[str, int]) -> list[T]:
    """Return the objects that get series of their own, and count the others in `omitted`."""
    everything = list(things)
    omitted[kind] = max(0, len(everything) - SERIES_LIMIT)
    return everything[:SERIES_LIMIT]


def _merged(pairs: Iterable[tuple[tuple[str, ...], Traffic]]) -> dict[tuple[str, ...], Traffic]:
    """Add up counters with the same labels, e.g. of a port and a newer one of the same name."""
    found: dict[tuple[str, ...], Traffic] = {}
    for key, traffic in pairs:
        found[key] = total((found[key], traffic)) if key in found else traffic
    return found
