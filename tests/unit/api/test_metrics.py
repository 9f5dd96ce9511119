# SPDX-License-Identifier: Apache-2.0
"""The metrics as Prometheus parses them; docs/operators/metrics.md lists all of them."""

import asyncio
import dataclasses
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from fastpath import DROP_SENTENCES, EVENT_SENTENCES
from fastpath.control.api import metrics as module
from fastpath.control.api.metrics import Metrics, Snapshot
from fastpath.control.api.metrics_http import application, serving_metrics
from fastpath.control.host.reconciler import Reconciles
from fastpath.control.host.worker_watch import WorkerState
from fastpath.control.model.requests import NetworkInfo, PeerInfo
from fastpath.engine.stats import PortStats, RemoteStats
from fastpath.errors import RefusedError
from tests.support.control import fake_daemon as fake

DOCUMENT = Path(__file__).parents[3] / "docs" / "operators" / "metrics.md"
NETWORKS = tuple(
    NetworkInfo.model_validate(detail.model_dump(exclude={"members"})) for detail in (fake.DETAIL, fake.LAN_DETAIL)
)
SNAPSHOT = Snapshot(
    status=fake.STATUS,
    stats=fake.STATS,
    networks=NETWORKS,
    peers=fake.PEERS,
    reconciles=Reconciles(runs=10, failures=1, repairs=3, seconds=0.5, last_success=1.7e9),
    questions={"answered": 12, "busy": 0},
    limited={"blue": 7},
    guard=fake.GUARD,
    workers=(WorkerState(10, True), WorkerState(7, True, 5)),
)


def families(snapshot: Snapshot) -> dict[str, Metric]:
    """The page, parsed; counters by their names without _total."""
    page, content_type = Metrics(lambda: snapshot).render()
    assert content_type.startswith("text/plain")
    return {family.name.removesuffix("_total"): family for family in parse_text(page.decode())}


def value(snapshot: Snapshot, name: str, **labels: str) -> float | None:
    """One sample; None where there is none."""
    family = families(snapshot)[f"fastpath_{name}".removesuffix("_total")]
    found = [s.value for s in family.samples if s.name == f"fastpath_{name}" and s.labels == labels]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("healthy", {}, 1),
        ("problems", {}, 0),
        ("uptime_seconds", {}, 3723),
        ("store_up", {}, 1),
        ("store_revision", {}, 1234),
        ("endpoints", {}, 6),
        ("local_endpoints", {}, 1),
        ("underlay_mtu_bytes", {}, 1500),
        ("answered_total", {}, 17),
        ("reconcile_runs_total", {"result": "ok"}, 9),
        ("reconcile_runs_total", {"result": "failed"}, 1),
        ("reconcile_repairs_total", {}, 3),
        ("reconcile_seconds_total", {}, 0.5),
        ("reconcile_last_success_timestamp_seconds", {}, 1.7e9),
        ("dns_queries_total", {"result": "answered"}, 12),
        ("dns_queries_total", {"result": "busy"}, 0),
        ("dns_limited_total", {"network": "blue"}, 7),
        ("worker_turns_total", {"worker": "0"}, 5),
        ("worker_well", {"worker": "0"}, 1),
        ("worker_well", {"worker": "1"}, 0),
        ("frames_total", {"direction": "rx"}, 10),
        ("bytes_total", {"direction": "tx"}, 2000),
        ("worker_frames_total", {"worker": "0", "direction": "tx"}, 20),
        ("drops_total", {"reason": "unknown_vni"}, 3),
        ("drops_total", {"reason": "socket_overflow"}, 6),
        ("drops_total", {"reason": "runt"}, 0),
        ("events_total", {"event": "learned"}, 2),
        ("fdb_entries", {}, 5),
        ("fdb_limit", {}, 65536),
        ("network_endpoints", {"network": "blue"}, 2),
        ("network_local_endpoints", {"network": "blue"}, 1),
        ("network_mtu_bytes", {"network": "lan"}, 1500),
        ("network_fdb_entries", {"network": "blue"}, 5),
        ("network_fdb_entries", {"network": "lan"}, None),
        ("network_fdb_learned", {"network": "blue"}, 2),
        ("port_unlearned_total", {"network": "blue", "port": "fp-1f0c5a3b", "endpoint": "one"}, 9),
        ("housekeeping_failures_total", {}, 1),
        ("network_frames_total", {"network": "blue", "direction": "rx"}, 10),
        ("network_drops_total", {"network": "blue"}, 3),
        ("port_bytes_total", {"network": "blue", "port": "fp-1f0c5a3b", "endpoint": "one", "direction": "rx"}, 1000),
        ("remote_drops_total", {"address": "192.0.2.2", "udp_port": "4789"}, 3),
        ("peers", {"state": "up"}, 1),
        ("peers", {"state": "silent"}, 0),
        ("peer_up", {"host": "h2"}, 1),
        ("peer_up", {"host": "h3"}, 0),
        ("peer_endpoints", {"host": "h3"}, 4),
        ("peer_silence_seconds", {"host": "h2"}, 0.4),
        ("peer_round_trip_seconds", {"host": "h2"}, 0.000214),
        ("peer_round_trip_seconds", {"host": "h3"}, None),
        ("omitted", {"kind": "port"}, 0),
    ],
)
def test_values(name: str, labels: dict[str, str], expected: float | None) -> None:
    assert value(SNAPSHOT, name, **labels) == expected


def test_every_reason_and_event_has_a_series_from_the_start() -> None:
    found = families(SNAPSHOT)
    assert {s.labels["reason"] for s in found["fastpath_drops"].samples} == {*DROP_SENTENCES, "socket_overflow"}
    assert {s.labels["event"] for s in found["fastpath_events"].samples} == set(EVENT_SENTENCES)


def test_the_process_is_there_too() -> None:
    assert families(SNAPSHOT)["process_resident_memory_bytes"].samples[0].value > 0


def test_before_the_first_reconciliation_there_is_no_time_of_it() -> None:
    snapshot = dataclasses.replace(SNAPSHOT, reconciles=Reconciles())
    assert value(snapshot, "reconcile_last_success_timestamp_seconds") is None


def test_openmetrics_where_it_is_asked_for() -> None:
    page, content_type = Metrics(lambda: SNAPSHOT).render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert len(list(parse_openmetrics(page.decode()))) > 30  # type: ignore[no-untyped-call]


@pytest.mark.slow
def test_series_are_bounded_on_a_host_with_10000_endpoints() -> None:
    peer = fake.PEERS[1]
    stats = dataclasses.replace(
        fake.STATS,
        ports=[PortStats(f"fp-{i}", 256, 1450, False, fake.TRAFFIC) for i in range(10_000)],
        remotes=[RemoteStats(f"10.9.{i >> 8}.{i & 255}", 4789, fake.TRAFFIC) for i in range(5_000)],
    )
    networks = tuple(
        info.model_copy(update={"network": info.network.model_copy(update={"name": f"n{i}", "vni": 256 + i})})
        for info in NETWORKS[:1]
        for i in range(3_000)
    )
    peers = tuple(PeerInfo.model_validate(peer.model_dump() | {"host": f"h{i}"}) for i in range(4_000))
    snapshot = dataclasses.replace(SNAPSHOT, stats=stats, networks=networks, peers=peers)
    found = families(snapshot)
    assert sum(len(family.samples) for family in found.values()) < 25_000
    assert len(found["fastpath_port_drops"].samples) == module.SERIES_LIMIT
    assert found["fastpath_port_drops"].samples[0].labels["port"] == "fp-0"
    omitted = {sample.labels["kind"]: sample.value for sample in found["fastpath_omitted"].samples}
    assert omitted == {"port": 9_000, "remote": 4_000, "network": 2_000, "peer": 3_000, "resolver": 0}
    assert value(snapshot, "peers", state="gone") == 4_000


def test_ports_of_one_name_are_one_series() -> None:
    gone = dataclasses.replace(fake.STATS.ports[0], gone=True)
    snapshot = dataclasses.replace(SNAPSHOT, stats=dataclasses.replace(fake.STATS, ports=[gone, fake.STATS.ports[0]]))
    labels = {"network": "blue", "port": "fp-1f0c5a3b", "endpoint": "one", "direction": "rx"}
    assert value(snapshot, "port_frames_total", **labels) == 20


def test_a_port_of_no_known_network_is_shown_by_its_vni() -> None:
    snapshot = dataclasses.replace(SNAPSHOT, networks=())
    assert value(snapshot, "port_drops_total", network="VNI 256", port="fp-1f0c5a3b", endpoint="one") == 3


def test_every_metric_is_documented() -> None:
    lines = DOCUMENT.read_text().splitlines()
    expected = []
    for family in families(SNAPSHOT).values():
        if family.name.startswith("fastpath_"):
            labels = dict.fromkeys(f"`{label}`" for sample in family.samples for label in sample.labels)
            name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
            expected.append(f"| `{name}` | {family.type} | {' '.join(labels)} | {family.documentation} |")
    assert [line for line in lines if line.startswith("| `fastpath_")] == expected


def ask(listen: Path | tuple[str, int], request: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    """Serve, and ask what is served there."""
    healthy = SNAPSHOT.status

    async def run() -> None:
        connector = aiohttp.UnixConnector(str(listen)) if isinstance(listen, Path) else None
        async with (
            serving_metrics(application(Metrics(lambda: SNAPSHOT), lambda: healthy), listen),
            aiohttp.ClientSession(connector=connector) as session,
        ):
            await request(session)

    asyncio.run(run())


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("kind", ["unix", "stale", "tcp"])
def test_it_is_served(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    listen = ("127.0.0.1", free_port()) if kind == "tcp" else path
    if kind == "stale":
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(path))
    base = f"http://127.0.0.1:{listen[1]}" if isinstance(listen, tuple) else "http://localhost"

    async def request(session: aiohttp.ClientSession) -> None:
        async with session.get(f"{base}/metrics") as response:
            assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert "fastpath_healthy 1.0" in await response.text()
        async with session.get(f"{base}/healthz") as response:
            assert response.status == 200
            assert (await response.json())["host"] == "h1"

    ask(listen, request)


def test_ill_health_is_503(tmp_path: Path) -> None:
    async def run() -> None:
        ill = fake.STATUS.model_copy(update={"healthy": False, "problems": ("no store",)})
        async with (
            serving_metrics(application(Metrics(lambda: SNAPSHOT), lambda: ill), tmp_path / "m.sock"),
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "m.sock"))) as session,
            session.get("http://localhost/healthz") as response,
        ):
            assert (response.status, (await response.json())["problems"]) == (503, ["no store"])

    asyncio.run(run())


def test_where_it_cannot_listen_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("keep me")
    with socket.socket() as taken, socket.socket(socket.AF_UNIX) as heard:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        heard.bind(str(tmp_path / "heard"))
        heard.listen()
        places: list[tuple[Path | tuple[str, int], str]] = [
            (("127.0.0.1", taken.getsockname()[1]), "port .*: Address already in use"),
            (tmp_path / "heard", "heard: Address .*already in use"),
            (tmp_path / "file", "file: Address .*already in use"),
            (tmp_path / "none" / "m.sock", "m.sock: No such file or directory"),
        ]

        async def listen_on(listen: Path | tuple[str, int]) -> None:
            async with serving_metrics(application(Metrics(lambda: SNAPSHOT), lambda: fake.STATUS), listen):
                pass

        for listen, why in places:
            with pytest.raises(RefusedError, match=f"^cannot serve metrics on .*{why}"):
                asyncio.run(listen_on(listen))
    assert (tmp_path / "file").read_text() == "keep me"
