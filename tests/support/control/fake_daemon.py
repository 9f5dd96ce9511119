# SPDX-License-Identifier: Apache-2.0
"""A daemon that makes nothing: it serves messages that are always the same on its socket, or what a test puts in
their place, and keeps what it was asked."""

import asyncio
import contextlib
import ipaddress
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from fastpath.control.model.objects import Endpoint, Network, Peer, Sandbox, Subnet
from fastpath.control.model.requests import (
    GuardInfo,
    GuardRule,
    NetworkDetail,
    NetworkInfo,
    OverlayFdbLine,
    PeerInfo,
    Status,
)
from fastpath.engine.stats import EngineStats, KernelPathStats, PortStats, RemoteStats, SegmentStats, Tally, Traffic

ENDPOINT = Endpoint(
    id="1f0c5a3b00000001",
    network="blue",
    host="h1",
    mac="02:42:0a:01:00:02",
    addresses=(ipaddress.IPv4Interface("10.1.0.2/24"), ipaddress.IPv6Interface("fd00:1::2/64")),
    sandbox=Sandbox(path="/run/netns/c1", inode=4026532000),
    state="ready",
    names=("web", "www"),
)
VIRTUAL = ipaddress.IPv4Interface("10.1.0.100/24")
LEAVING = ENDPOINT.model_copy(
    update={
        "id": "2b00000000000002",
        "host": "h2",
        "mac": "02:42:0a:01:00:03",
        "ifname": "eth1",
        "state": "leaving",
        "names": (),
    }
)
BLUE = Network(
    name="blue",
    vni=256,
    subnets=(
        Subnet(pool=ipaddress.IPv4Network("10.1.0.0/24"), gateway=ipaddress.IPv4Address("10.1.0.1")),
        Subnet(pool=ipaddress.IPv6Network("fd00:1::/64"), gateway=ipaddress.IPv6Address("fd00:1::1")),
    ),
)
LAN = Network(
    name="lan",
    driver="macvlan",
    vni=None,
    subnets=(Subnet(pool=ipaddress.IPv4Network("192.0.2.0/24"), gateway=ipaddress.IPv4Address("192.0.2.254")),),
    mtu=1500,
    internal=True,
    options={"parent": "eth0"},
)
DETAIL = NetworkDetail(network=BLUE, mtu=1450, endpoints=2, local_endpoints=1, members=(ENDPOINT, LEAVING))
LAN_DETAIL = NetworkDetail(network=LAN, mtu=1500, endpoints=0, local_endpoints=0, members=())
PEERS = (
    PeerInfo(
        peer=Peer(host="h2", id="a1", vtep=ipaddress.IPv4Address("192.0.2.2"), mtu=1500, version="0.1.0"),
        host="h2",
        state="up",
        endpoints=1,
        last_seen=0.4,
        round_trip=0.000214,
        kernel_path="up",
        path_mtu=1400,
    ),
    PeerInfo(peer=None, host="h3", state="gone", endpoints=4, forgotten_in=130.0),
)
FDB = (
    OverlayFdbLine(network="blue", mac="02:42:0a:01:00:02", ifname="eth0", state="local"),
    OverlayFdbLine(network="blue", mac="02:42:0a:01:00:03", dst="192.0.2.2", endpoint="two", state="permanent"),
    OverlayFdbLine(network="lan", mac="02:42:0a:01:00:09", dst="192.0.2.3", port=8472, updated=7),
)
STATUS = Status(
    healthy=True,
    problems=(),
    host="h1",
    version="0.1.0",
    pid=4711,
    uptime=3723.0,
    vtep="192.0.2.1",
    udp_port=4789,
    underlay_mtu=1500,
    workers=1,
    guard="in place",
    store="etcd://192.0.2.10:2379",
    store_answers=True,
    revision=1234,
    networks=2,
    endpoints=6,
    local_endpoints=1,
    peers=2,
    peers_up=1,
    smaller_paths={"h2": 1400},
    rx_frames=1234567,
    tx_frames=7654321,
    dropped=3,
    flooded=0,
    unknown_unicast=0,
    answered=17,
)
GUARD = GuardInfo(
    state="in place",
    table="inet fastpath-guard-192.0.2.1-4789",
    restored=2,
    rules=(
        GuardRule(name="from_peer", chain="arriving", sentence="from a peer", passes=True, packets=5, bytes=500),
        GuardRule(name="not_a_peer", chain="arriving", sentence="from no peer", passes=False, packets=3, bytes=300),
    ),
)
TRAFFIC = Traffic(rx_frames=10, rx_bytes=1000, tx_frames=20, tx_bytes=2000, drops=3)
STATS = EngineStats(
    workers=[Tally(TRAFFIC, {"unknown_vni": 3}, {"learned": 2})],
    deferred=Tally(Traffic()),
    segments=[SegmentStats(256, 5, Tally(TRAFFIC, {"no_destination": 1}, {"flooded": 4}), fdb_learned=2)],
    ports=[PortStats("fp-1f0c5a3b", 256, 1450, gone=False, traffic=TRAFFIC, unlearned=9, label="one")],
    remotes=[RemoteStats("192.0.2.2", 4789, TRAFFIC)],
    fdb_entries=5,
    fdb_limit=65536,
    socket_overflows=6,
    housekeeping_failures=1,
    kernel_path=KernelPathStats(Traffic(8, 800, 9, 900), {"to_remote": 7, "drop_source": 1}),
)


@dataclass
class FakeDaemon:
    """`answers` replaces what "METHOD /path" gets: a status and a value for JSON, or text to be sent as it is.
    `asked` has a (method, path and query, body) for each request."""

    path: Path
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    silent: bool = False
    end: asyncio.Event = field(default_factory=asyncio.Event)

    def refuse(self, request: str, status: int, error: str) -> None:
        """Answer "METHOD /path" with an error."""
        self.answers[request] = (status, {"error": error})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Everything that is asked."""
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.path_qs, body))
        if self.silent:
            await self.end.wait()
        what = f"{request.method} {request.path}"
        status, value = self.answers.get(what) or CANNED.get(what) or (404, {"error": f"the fake has no {what}"})
        if isinstance(value, str):
            return web.Response(status=status, text=value)
        return web.json_response(_plain(value), status=status)


CANNED: dict[str, tuple[int, Any]] = {
    "GET /v1/status": (200, STATUS),
    "GET /v1/networks": (
        200,
        [NetworkInfo.model_validate(each.model_dump(exclude={"members"})) for each in (DETAIL, LAN_DETAIL)],
    ),
    "POST /v1/networks": (200, NetworkInfo.model_validate(DETAIL.model_dump(exclude={"members"}))),
    "GET /v1/networks/blue": (200, DETAIL),
    "GET /v1/networks/lan": (200, LAN_DETAIL),
    "PATCH /v1/networks/blue": (200, NetworkInfo.model_validate(DETAIL.model_dump(exclude={"members"}))),
    "DELETE /v1/networks/blue": (200, {}),
    "DELETE /v1/networks/lan": (200, {}),
    "GET /v1/endpoints": (200, [ENDPOINT, LEAVING]),
    "POST /v1/endpoints": (200, ENDPOINT),
    "PATCH /v1/endpoints/1f0c": (200, ENDPOINT.model_copy(update={"allowed": (VIRTUAL,)})),
    "DELETE /v1/endpoints/1f0c": (200, {}),
    "DELETE /v1/endpoints/2b": (200, {}),
    "GET /v1/peers": (200, list(PEERS)),
    "GET /v1/fdb": (200, list(FDB)),
    "GET /v1/guard": (200, GUARD),
    "GET /v1/stats": (200, STATS.as_dict()),
}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(each) for each in value] if isinstance(value, list) else value


@contextlib.contextmanager
def fake_daemon(path: Path) -> Iterator[FakeDaemon]:
    """One that answers on `path`, in a thread of its own, until the end."""
    daemon = FakeDaemon(path)
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", r"/{anything:[\s\S]*}", daemon.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(path)).start()
        ready.set()
        await daemon.end.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(serve()), loop.close()))
    thread.start()
    assert ready.wait(10)
    try:
        yield daemon
    finally:
        loop.call_soon_threadsafe(daemon.end.set)
        thread.join()
